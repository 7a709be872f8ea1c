//! A user's own series: the intensity of each hour, from a CSV file.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::intensity_series::{IntensityPeriod, IntensitySeries, periods_error};
use crate::units::CarbonIntensity;

/// How long a single figure holds.
const DEFAULT_PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// Ten years of quarter-hours are 15 MB.
const MAX_FILE_SIZE: u64 = 64 << 20;

const START_COLUMN: &str = "start";
const END_COLUMN: &str = "end";
const INTENSITY_COLUMN: &str = "g_per_kwh";

impl IntensitySeries {
    /// A series of one's own, from a CSV file with a header:
    ///
    /// ```csv
    /// start,g_per_kwh
    /// 2026-10-03T00:00Z,83
    /// 2026-10-03T01:00Z,97.5
    /// ```
    ///
    /// A figure holds from its `start` up to the next one's; the last holds for as long as the one before it, a single
    /// one for an hour. With a column `end` each holds up to there. A row without a figure is a gap, as is all that lies
    /// before and after: there the run's table or given figure stands, and the footprint says for which hours. Rows may
    /// be in any order, and other columns are passed over.
    ///
    /// The figures are taken as exact, and as of an unknown basis.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("hours.csv");
    /// std::fs::write(&path, "start,g_per_kwh\n2026-10-03T00:00Z,83\n2026-10-03T01:00Z,97.5\n")?;
    /// let series = sootprint_core::IntensitySeries::from_csv_file(&path)?;
    /// assert_eq!(series.periods()[1].end.to_string(), "2026-10-03T02:00:00Z");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SeriesError`] with the file and the line: no time zone in a time, an intensity below 0 or above 3,000, two
    /// figures for one moment, or no figure at all.
    pub fn from_csv_file(path: &Path) -> Result<Self, SeriesError> {
        let content_error =
            |fault: SeriesContentError| SeriesError::Content { path: path.to_owned(), reason: fault };
        let read = || {
            let length = fs::metadata(path)?.len();
            if length > MAX_FILE_SIZE {
                return Err(std::io::Error::other("it is too large to be a series of hours"));
            }
            fs::read_to_string(path)
        };
        let text = read().map_err(|source| SeriesError::File { path: path.to_owned(), source })?;
        let periods = parse_periods(&text).map_err(content_error)?;
        Ok(Self::from_user(periods))
    }
}

/// Why a file is no series.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// The file cannot be read.
    #[error("cannot read the series {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("the series {}{reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: SeriesContentError,
    },
}

impl SeriesError {
    /// The file that was asked for.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::Content { path, .. } => path,
        }
    }
}

/// What is wrong in a series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesContentError {
    /// The header names no such column.
    #[error(" has no column `{column}`; its first line should be `start,g_per_kwh`")]
    MissingColumn {
        /// The column.
        column: &'static str,
    },
    /// A row says nothing that can be understood.
    #[error(", line {line}: {reason}")]
    InvalidRow {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The periods do not fit together.
    #[error(" has {reason}")]
    InvalidPeriods {
        /// What is wrong.
        reason: String,
    },
    /// There is no figure.
    #[error(" has no figure; give a line for each hour, as in 2026-10-03T00:00Z,83")]
    Empty,
}

/// A line of the file. Without a figure it is a gap.
struct SeriesRow {
    start: Timestamp,
    end: Option<Timestamp>,
    intensity: Option<CarbonIntensity>,
}

fn parse_periods(text: &str) -> Result<Vec<IntensityPeriod>, SeriesContentError> {
    let mut rows = parse_rows(text)?;
    rows.sort_by_key(|row| row.start);
    let mut periods = Vec::new();
    let mut length = DEFAULT_PERIOD;
    for (index, row) in rows.iter().enumerate() {
        if let Some(next) = rows.get(index + 1) {
            length = next.start.duration_since(row.start);
        }
        let end = row.end.or_else(|| row.start.checked_add(length).ok()).unwrap_or(row.start);
        let period = |intensity| IntensityPeriod { start: row.start, end, intensity, is_forecast: false };
        periods.extend(row.intensity.map(period));
        if length.is_zero() {
            return Err(SeriesContentError::InvalidPeriods {
                reason: format!("two figures for {}", row.start),
            });
        }
    }
    if periods.is_empty() {
        return Err(SeriesContentError::Empty);
    }
    match periods_error(&periods) {
        Some(what) => Err(SeriesContentError::InvalidPeriods { reason: what }),
        None => Ok(periods),
    }
}

fn parse_rows(text: &str) -> Result<Vec<SeriesRow>, SeriesContentError> {
    // Spreadsheets begin a file with a mark of its encoding.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let csv_error = |error: &csv::Error| SeriesContentError::InvalidRow {
        line: error.position().map_or(1, csv::Position::line),
        reason: "it has another number of columns than the first line".to_owned(),
    };
    let header = reader.headers().map_err(|error| csv_error(&error))?.clone();
    let column = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
    let start = column(START_COLUMN).ok_or(SeriesContentError::MissingColumn { column: START_COLUMN })?;
    let figure =
        column(INTENSITY_COLUMN).ok_or(SeriesContentError::MissingColumn { column: INTENSITY_COLUMN })?;
    let end = column(END_COLUMN);
    let row = |record: csv::StringRecord| {
        let line = record.position().map_or(0, csv::Position::line);
        let row_error = |what| SeriesContentError::InvalidRow { line, reason: what };
        let cell = |column: usize| record.get(column).filter(|cell| !cell.is_empty());
        Ok(SeriesRow {
            start: parse_timestamp(cell(start).unwrap_or_default()).map_err(row_error)?,
            end: end.and_then(cell).map(parse_timestamp).transpose().map_err(row_error)?,
            intensity: cell(figure).map(parse_intensity).transpose().map_err(row_error)?,
        })
    };
    reader.records().map(|record| row(record.map_err(|error| csv_error(&error))?)).collect()
}

fn parse_timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no time with its time zone; write it as in 2026-10-03T00:00Z"))
}

fn parse_intensity(text: &str) -> Result<CarbonIntensity, String> {
    let grams =
        text.parse().map_err(|_| format!("`{text}` is no number; write it with a point, as in 97.5"))?;
    CarbonIntensity::try_from_grams_per_kilowatt_hour(grams).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_periods(text: &str) -> Result<Vec<(String, String, f64)>, SeriesContentError> {
        let period = |it: IntensityPeriod| {
            (it.start.to_string(), it.end.to_string(), it.intensity.grams_per_kilowatt_hour())
        };
        parse_periods(text).map(|periods| periods.into_iter().map(period).collect())
    }

    fn expected_periods(periods: &[(&str, &str, f64)]) -> Vec<(String, String, f64)> {
        let hour = |hour: &str| format!("2026-10-03T{hour}:00Z");
        periods.iter().map(|(start, end, grams)| (hour(start), hour(end), *grams)).collect()
    }

    #[test]
    fn row_applies_until_next_row() {
        let text = "start,g_per_kwh\n2026-10-03T00:00Z,83\n2026-10-03T00:30:00+00:00,97.5\n2026-10-03T03:00+02:00,0\n";
        let expected = [("00:00", "00:30", 83.0), ("00:30", "01:00", 97.5), ("01:00", "01:30", 0.0)];
        assert_eq!(read_periods(text).unwrap(), expected_periods(&expected));
        assert_eq!(
            read_periods("start,g_per_kwh\n2026-10-03T00:00Z,83").unwrap(),
            expected_periods(&[("00:00", "01:00", 83.0)])
        );
    }

    #[test]
    fn csv_variations_are_accepted() {
        let text = "\u{feff}# our meter\r\nzone, G_per_kWh ,Start,end\r\n\
            FR, 90 ,2026-10-03T02:00Z,2026-10-03T03:00Z\r\nFR,80,2026-10-03T00:00Z,2026-10-03T01:00Z\r\n";
        assert_eq!(
            read_periods(text).unwrap(),
            expected_periods(&[("00:00", "01:00", 80.0), ("02:00", "03:00", 90.0)])
        );
        let gap = "start,g_per_kwh\n2026-10-03T00:00Z,80\n2026-10-03T01:00Z,\n2026-10-03T02:00Z,90\n";
        assert_eq!(
            read_periods(gap).unwrap(),
            expected_periods(&[("00:00", "01:00", 80.0), ("02:00", "03:00", 90.0)])
        );
    }

    #[test]
    fn invalid_row_error_names_line() {
        for (text, reason) in [
            ("", "no column `start`"),
            ("start,g_per_kwh\n", "no figure"),
            ("start,g_per_kwh\n2026-10-03T00:00Z,\n", "no figure"),
            ("time,g_per_kwh\n2026-10-03T00:00Z,1\n", "no column `start`"),
            ("start,grams\n2026-10-03T00:00Z,1\n", "no column `g_per_kwh`"),
            (
                "start,g_per_kwh\n2026-10-03 00:00,1\n",
                "line 2: `2026-10-03 00:00` is no time with its time zone",
            ),
            ("start,g_per_kwh\n2026-10-03T00:00Z,1\n2026-10-03T01:00Z,many\n", "line 3: `many` is no number"),
            ("start,g_per_kwh\n2026-10-03T00:00Z,-1\n", "line 2: -1 g CO2e/kWh is no carbon intensity"),
            ("start,g_per_kwh\n2026-10-03T00:00Z,3000.1\n", "line 2: 3000.1 g CO2e/kWh"),
            ("start,g_per_kwh\n2026-10-03T00:00Z,NaN\n", "line 2: NaN g CO2e/kWh"),
            ("start,g_per_kwh\n2026-10-03T00:00Z,1,2\n", "line 2: it has another number of columns"),
            (
                "start,g_per_kwh\n2026-10-03T00:00Z,1\n2026-10-03T00:00Z,2\n",
                "two figures for 2026-10-03T00:00:00Z",
            ),
            (
                "start,end,g_per_kwh\n2026-10-03T00:00Z,2026-10-03T02:00Z,1\n2026-10-03T01:00Z,,2\n",
                "two figures for 2026-10-03T01:00:00Z",
            ),
            ("start,end,g_per_kwh\n2026-10-03T00:00Z,2026-10-02T02:00Z,1\n", "a period from"),
        ] {
            let fault = read_periods(text).unwrap_err().to_string();
            assert!(fault.contains(reason), "{text:?}: {fault}");
        }
    }

    #[test]
    fn missing_file_is_named() {
        let error = IntensitySeries::from_csv_file(Path::new("/nowhere/hours.csv")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read the series /nowhere/hours.csv: "), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), rows in prop::collection::vec("[-0-9TZ:.,eN# \"]{0,40}", 0..5)) {
            for text in [text, format!("start,g_per_kwh\n{}", rows.join("\n"))] {
                if let Ok(periods) = parse_periods(&text) {
                    prop_assert!(!periods.is_empty() && periods_error(&periods).is_none());
                }
            }
        }
    }
}
