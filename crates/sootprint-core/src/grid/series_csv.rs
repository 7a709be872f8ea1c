//! Reads a user's own series of carbon intensities from a CSV file.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::intensity_series::{IntensityPeriod, IntensitySeries, periods_error};
use crate::file::read_text;
use crate::units::CarbonIntensity;

/// Length of a single period without an `end`.
const DEFAULT_PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// Largest accepted file. Ten years of quarter-hours are 15 MB.
const MAX_FILE_SIZE: u64 = 16 << 20;

const START_COLUMN: &str = "start";
const END_COLUMN: &str = "end";
const INTENSITY_COLUMN: &str = "g_per_kwh";

impl IntensitySeries {
    /// Reads a user's own series from a CSV file with a header:
    ///
    /// ```csv
    /// start,g_per_kwh
    /// 2026-10-03T00:00Z,83
    /// 2026-10-03T01:00Z,97.5
    /// ```
    ///
    /// A period lasts from its `start` to the next `start`. The last period is as long as the one before it; a single
    /// period lasts an hour. If there is a column `end`, each period ends there. A row without a figure is a gap, as is
    /// the time before the first and after the last period. For gaps, the run uses the single figure that the user set,
    /// otherwise the yearly figure of the embedded table, and a note in the footprint states the energy used in them.
    /// Rows may be in any order; other columns are ignored.
    ///
    /// The figures are taken as exact, and their scope is unknown.
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
    /// [`SeriesError`], with the path, if the file cannot be read or exceeds 16 MiB, if a column is missing, if a time
    /// has no time zone, if an intensity is not between 0 and 3,000, if two periods overlap, or if there is no figure
    /// at all. An error in a single row also names the line.
    pub fn from_csv_file(path: &Path) -> Result<Self, SeriesError> {
        let text = read_text(path, MAX_FILE_SIZE)
            .map_err(|source| SeriesError::File { path: path.to_owned(), source })?;
        let periods =
            parse_periods(&text).map_err(|reason| SeriesError::Content { path: path.to_owned(), reason })?;
        Ok(Self::from_user(periods))
    }
}

/// Why a file could not be read as a series.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// The file cannot be read.
    #[error("cannot read the series {}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The contents are not a valid series.
    #[error("invalid series {}: {reason}", path.display())]
    Content {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with the contents.
        reason: SeriesContentError,
    },
}

impl SeriesError {
    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::Content { path, .. } => path,
        }
    }
}

/// An error in the contents of a series file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesContentError {
    /// A required column is missing.
    #[error("missing column `{column}`: the first line must name the columns, as in `start,g_per_kwh`")]
    MissingColumn {
        /// The name of the column.
        column: &'static str,
    },
    /// A row cannot be parsed.
    #[error("line {line}: {reason}")]
    InvalidRow {
        /// The line number, counted from 1.
        line: u64,
        /// What is wrong with the row.
        reason: String,
    },
    /// A period is invalid, or two periods overlap.
    #[error("{reason}")]
    InvalidPeriods {
        /// What is wrong with the periods.
        reason: String,
    },
    /// No row contains a figure.
    #[error("no figures: add a line for each hour, as in 2026-10-03T00:00Z,83")]
    Empty,
}

/// A row of the file. Without an intensity it is a gap.
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
                reason: format!("two rows for {}; keep one", row.start),
            });
        }
    }
    if periods.is_empty() {
        return Err(SeriesContentError::Empty);
    }
    match periods_error(&periods) {
        Some(reason) => Err(SeriesContentError::InvalidPeriods { reason }),
        None => Ok(periods),
    }
}

fn parse_rows(text: &str) -> Result<Vec<SeriesRow>, SeriesContentError> {
    // Spreadsheets write a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let csv_error = |error: &csv::Error| SeriesContentError::InvalidRow {
        line: error.position().map_or(1, csv::Position::line),
        reason: "wrong number of columns: must be as many as in the first line".to_owned(),
    };
    let header = reader.headers().map_err(|error| csv_error(&error))?.clone();
    let column = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
    let start = column(START_COLUMN).ok_or(SeriesContentError::MissingColumn { column: START_COLUMN })?;
    let intensity =
        column(INTENSITY_COLUMN).ok_or(SeriesContentError::MissingColumn { column: INTENSITY_COLUMN })?;
    let end = column(END_COLUMN);
    let row = |record: csv::StringRecord| {
        let line = record.position().map_or(0, csv::Position::line);
        let row_error = |reason| SeriesContentError::InvalidRow { line, reason };
        let cell = |column: usize| record.get(column).filter(|cell| !cell.is_empty());
        Ok(SeriesRow {
            start: parse_timestamp(cell(start).unwrap_or_default()).map_err(row_error)?,
            end: end.and_then(cell).map(parse_timestamp).transpose().map_err(row_error)?,
            intensity: cell(intensity).map(parse_intensity).transpose().map_err(row_error)?,
        })
    };
    reader.records().map(|record| row(record.map_err(|error| csv_error(&error))?)).collect()
}

fn parse_timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        format!("invalid time `{text}`: expected date, time and time zone, as in 2026-10-03T00:00Z")
    })
}

fn parse_intensity(text: &str) -> Result<CarbonIntensity, String> {
    let grams =
        text.parse().map_err(|_| format!("invalid number `{text}`: expected a number such as 97.5"))?;
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
            ("", "missing column `start`"),
            ("start,g_per_kwh\n", "no figures"),
            ("start,g_per_kwh\n2026-10-03T00:00Z,\n", "no figures"),
            ("time,g_per_kwh\n2026-10-03T00:00Z,1\n", "missing column `start`"),
            ("start,grams\n2026-10-03T00:00Z,1\n", "missing column `g_per_kwh`"),
            ("start,g_per_kwh\n2026-10-03 00:00,1\n", "line 2: invalid time `2026-10-03 00:00`"),
            (
                "start,g_per_kwh\n2026-10-03T00:00Z,1\n2026-10-03T01:00Z,many\n",
                "line 3: invalid number `many`",
            ),
            ("start,g_per_kwh\n2026-10-03T00:00Z,-1\n", "line 2: invalid carbon intensity -1 g CO2e/kWh"),
            (
                "start,g_per_kwh\n2026-10-03T00:00Z,3000.1\n",
                "line 2: invalid carbon intensity 3000.1 g CO2e/kWh",
            ),
            ("start,g_per_kwh\n2026-10-03T00:00Z,NaN\n", "line 2: invalid carbon intensity NaN g CO2e/kWh"),
            ("start,g_per_kwh\n2026-10-03T00:00Z,1,2\n", "line 2: wrong number of columns"),
            (
                "start,g_per_kwh\n2026-10-03T00:00Z,1\n2026-10-03T00:00Z,2\n",
                "two rows for 2026-10-03T00:00:00Z; keep one",
            ),
            (
                "start,end,g_per_kwh\n2026-10-03T00:00Z,2026-10-03T02:00Z,1\n2026-10-03T01:00Z,,2\n",
                "two periods overlap at 2026-10-03T01:00:00Z",
            ),
            (
                "start,end,g_per_kwh\n2026-10-03T00:00Z,2026-10-02T02:00Z,1\n",
                "period does not end after its start",
            ),
        ] {
            let error = read_periods(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn missing_file_is_named() {
        let error = IntensitySeries::from_csv_file(Path::new("/nowhere/hours.csv")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the series /nowhere/hours.csv");
        assert!(std::error::Error::source(&error).is_some(), "the chain has the cause");
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
