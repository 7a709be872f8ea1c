//! A footprint as a table for spreadsheets.

use std::borrow::Cow;

use sootprint_core::{Footprint, RunStatus};

/// The columns of every row. A value that a row does not have is empty.
const COLUMNS: [&str; 16] = [
    "run",
    "row",
    "name",
    "id",
    "method",
    "attempt",
    "completed",
    "duration_s",
    "mean_w",
    "energy_j",
    "low_j",
    "high_j",
    "grams",
    "low_grams",
    "high_grams",
    "outcome",
];

/// Why footprints could not be written as CSV.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the footprints as CSV")]
pub struct CsvError(#[source] ::csv::Error);

/// Returns footprints as CSV, with one row for each run, followed by one for each of its processes, components, epochs and
/// phases. A run of one process has no row for it.
///
/// The column `row` contains the kind of row: `run`, `process`, `GPU`, `CPU`, `memory`, `epoch` or `phase`. The name of a
/// process is its rank. Energies are in joules,
/// power in watts, durations in seconds and emissions in grams of CO2e. A component that could not be measured has empty
/// figures. A name that a spreadsheet would execute as a formula is preceded by an apostrophe.
///
/// ```
/// # let json = include_str!("../tests/sample.json");
/// let footprint = sootprint_core::Footprint::from_json(json)?;
/// let table = sootprint_report::to_csv(&[footprint])?;
/// assert!(table.starts_with("run,row,name,id,method,"));
/// assert_eq!(table.lines().filter(|line| line.contains(",epoch,")).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`CsvError`] if the table cannot be written.
pub fn to_csv(footprints: &[Footprint]) -> Result<String, CsvError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(CsvError)?;
    for footprint in footprints {
        for row in csv_rows(footprint) {
            let value = |column| row.iter().find(|(name, _)| *name == column).map_or("", |(_, value)| value);
            let cell = |column| match column {
                "run" | "name" | "id" => quote_formula(value(column)),
                _ => Cow::Borrowed(value(column)),
            };
            writer.write_record(COLUMNS.map(cell).iter().map(|cell| cell.as_bytes())).map_err(CsvError)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| CsvError(error.into_error().into()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Adds an apostrophe before a text that a spreadsheet would execute as a formula.
fn quote_formula(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

type CsvRow = Vec<(&'static str, String)>;

fn csv_rows(footprint: &Footprint) -> Vec<CsvRow> {
    let (run, energy, emissions) = (&footprint.run, &footprint.energy, &footprint.emissions);
    let start = |row: &str| vec![("run", run.id.clone()), ("row", row.to_owned())];
    let mut rows = vec![start("run")];
    rows[0].extend([
        ("name", footprint.hardware.clone()),
        ("attempt", run.attempts.to_string()),
        ("completed", (run.outcome == RunStatus::Completed).to_string()),
        ("outcome", run.outcome.as_str().to_owned()),
        ("duration_s", run.duration_s.to_string()),
        ("energy_j", energy.total.joules().to_string()),
        ("low_j", energy.low.joules().to_string()),
        ("high_j", energy.high.joules().to_string()),
        ("grams", emissions.best.grams().to_string()),
        ("low_grams", emissions.low.grams().to_string()),
        ("high_grams", emissions.high.grams().to_string()),
    ]);
    for process in &run.processes {
        let mut row = start("process");
        row.extend([("name", process.rank.to_string()), ("attempt", process.attempt.to_string())]);
        // A process with an unreadable ledger has no further values.
        row.extend(process.outcome.map(|outcome| ("outcome", outcome.as_str().to_owned())));
        row.extend(process.outcome.map(|it| ("completed", (it == RunStatus::Completed).to_string())));
        row.extend(process.duration_s.map(|duration| ("duration_s", duration.to_string())));
        row.extend(process.energy.map(|energy| ("energy_j", energy.joules().to_string())));
        rows.push(row);
    }
    for component in &footprint.components {
        let mut row = start(component.kind.name());
        row.extend([("name", component.name.clone()), ("id", component.id.clone())]);
        // An unmeasured component has no figures, and no zeros.
        if let Some(method) = component.method {
            row.extend([
                ("method", method.as_str().to_owned()),
                ("duration_s", component.measured_s.to_string()),
                ("energy_j", component.energy.joules().to_string()),
                ("low_j", component.low.joules().to_string()),
                ("high_j", component.high.joules().to_string()),
            ]);
            row.extend(component.mean_power.map(|mean| ("mean_w", mean.watts().to_string())));
        }
        rows.push(row);
    }
    for epoch in &footprint.epochs {
        let mut row = start("epoch");
        row.extend([
            ("name", epoch.epoch.to_string()),
            ("attempt", epoch.attempt.to_string()),
            ("completed", epoch.completed.to_string()),
            ("duration_s", epoch.duration_s.to_string()),
            ("energy_j", epoch.energy.joules().to_string()),
            ("grams", epoch.emissions.grams().to_string()),
        ]);
        rows.push(row);
    }
    for phase in &footprint.phases {
        let mut row = start("phase");
        row.extend([
            ("name", phase.name.clone()),
            ("duration_s", phase.duration_s.to_string()),
            ("energy_j", phase.energy.joules().to_string()),
            ("grams", phase.emissions.grams().to_string()),
        ]);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formula_is_quoted() {
        let mut footprint = Footprint::from_json(include_str!("../tests/sample.json")).unwrap();
        footprint.hardware = "=HYPERLINK(\"http://example.org\")".to_owned();
        let text = to_csv(std::slice::from_ref(&footprint)).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!(&row[2], "'=HYPERLINK(\"http://example.org\")");
    }

    #[test]
    fn csv_has_row_per_item() {
        let footprint = Footprint::from_json(include_str!("../tests/sample.json")).unwrap();
        let text = to_csv(std::slice::from_ref(&footprint)).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let column = |name: &str| COLUMNS.iter().position(|it| *it == name).unwrap();
        let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let kinds: Vec<&str> = rows.iter().map(|row| &row[column("row")]).collect();
        let components = footprint.components.len();
        assert_eq!(kinds[..3], ["run", "GPU", "GPU"]);
        assert_eq!(rows.len(), 1 + components + footprint.epochs.len() + footprint.phases.len());
        assert_eq!(&rows[0][column("energy_j")], "2880000");
        let unmeasured = footprint.components.iter().position(|it| it.method.is_none()).unwrap();
        assert_eq!(&rows[1 + unmeasured][column("energy_j")], "", "an unmeasured component has no figure");
        assert!(rows.iter().all(|row| row[column("run")] == footprint.run.id));
    }
}
