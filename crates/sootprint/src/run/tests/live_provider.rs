//! Runs that query an intensity provider when they finish.

use std::sync::Mutex;
use std::thread;

use jiff::{SignedDuration, Timestamp};
use sootprint_core::{
    EmissionScope, IntensityKind, IntensityPeriod, IntensitySeries, LocationSource, ProviderError,
    ServerMessage,
};

use super::*;
use crate::ledger::LedgerEntry;

/// A provider that stores its queries and takes one hour of the run's clock to answer.
#[derive(Debug)]
struct SlowScriptedProvider {
    clock: VirtualClock,
    answer: fn(Timestamp) -> Result<IntensitySeries, ProviderError>,
    queries: Mutex<Vec<(String, SignedDuration, Option<String>)>>,
}

impl IntensityProvider for SlowScriptedProvider {
    fn intensity_between(
        &self,
        place: Place,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntensitySeries, ProviderError> {
        let query = (place.code(), to.duration_since(from), thread::current().name().map(str::to_owned));
        self.queries.lock().unwrap().push(query);
        self.clock.advance(Duration::from_secs(3_600));
        (self.answer)(from)
    }
}

/// 100 g/kWh in the first half hour and 300 g/kWh in the next three; the last two are forecasts.
fn two_hour_series(from: Timestamp) -> Result<IntensitySeries, ProviderError> {
    half_hour_series(from, &[(0, 100.0), (1, 300.0), (2, 300.0), (3, 300.0)])
}

/// The half hours with these numbers since the start of the run.
fn half_hour_series(from: Timestamp, figures: &[(i64, f64)]) -> Result<IntensitySeries, ProviderError> {
    let half_hour = |&(number, grams): &(i64, f64)| IntensityPeriod {
        start: from + SignedDuration::from_mins(30 * number),
        end: from + SignedDuration::from_mins(30 * (number + 1)),
        intensity: CarbonIntensity::from_grams_per_kilowatt_hour(grams),
        is_forecast: number >= 2,
    };
    IntensitySeries::new(
        "a scripted grid",
        EmissionScope::DirectConsumption,
        figures.iter().map(half_hour).collect(),
    )
}

/// A builder for a run of 400 W with a PUE of 1.5, its clock and its provider.
fn run_with_provider(
    dir: &Path,
    answer: fn(Timestamp) -> Result<IntensitySeries, ProviderError>,
) -> (RunBuilder, VirtualClock, Arc<SlowScriptedProvider>) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(400.0))];
    let replay =
        Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", steady).with_clock(clock.clone());
    let provider = Arc::new(SlowScriptedProvider { clock: clock.clone(), answer, queries: Mutex::default() });
    let dyn_provider: Arc<dyn IntensityProvider> = provider.clone();
    let builder =
        Run::pre_training(dir).replay(replay).pue(Pue::new(1.5).unwrap()).intensity_provider(dyn_provider);
    (builder, clock, provider)
}

/// A finished run of two epochs of one hour each in Great Britain.
fn run_two_hours_in_britain(
    dir: &Path,
    answer: fn(Timestamp) -> Result<IntensitySeries, ProviderError>,
) -> (Footprint, Arc<SlowScriptedProvider>) {
    let (builder, clock, provider) = run_with_provider(dir, answer);
    let run = builder.place("GB".parse().unwrap()).start();
    for _ in run.epochs(1..=2) {
        clock.advance(Duration::from_secs(3_600));
    }
    (run.finish(), provider)
}

fn this_year() -> u16 {
    Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year().try_into().unwrap()
}

/// Checks that the saved footprint and the one loaded from the ledger equal `footprint`.
fn assert_saved_and_loaded(footprint: &Footprint, dir: &Path) {
    assert_eq!(&Footprint::read(&dir.join(Footprint::FILE_NAME)).unwrap(), footprint);
    assert_eq!(&load_footprint(dir, None).unwrap(), footprint);
}

#[test]
fn emissions_weight_intensity_by_energy() {
    let dir = tempfile::tempdir().unwrap();
    let (footprint, provider) = run_two_hours_in_britain(dir.path(), two_hour_series);

    // 0.3 kWh at 100 g/kWh and 0.9 kWh at 300 g/kWh, including the PUE: 250 g/kWh on average.
    assert!(approx_eq(footprint.emissions.best.grams(), 300.0), "{:?}", footprint.emissions);
    assert!(approx_eq(footprint.grid.intensity.grams_per_kilowatt_hour(), 250.0));
    // Both epochs use the mean intensity.
    assert!(footprint.epochs.iter().all(|epoch| approx_eq(epoch.emissions.grams(), 150.0)));
    // (0.85 × (0.3 × 100 + 0.3 × 300) + 0.85 × 0.7 × 0.6 × 300) g; the high bound uses 1.15, 1.3 and 30 g/kWh.
    assert!(approx_eq(footprint.emissions.low.grams(), 209.1), "{:?}", footprint.emissions);
    assert!(approx_eq(footprint.emissions.high.grams(), 443.1), "{:?}", footprint.emissions);

    let grid = &footprint.grid;
    assert_eq!(
        (grid.method, grid.basis, grid.year),
        (IntensityKind::Live, EmissionScope::DirectConsumption, None)
    );
    assert_eq!((grid.source.as_str(), grid.zone.as_deref()), ("a scripted grid", Some("GB")));
    let methods: Vec<IntensityKind> = grid.hours.iter().map(|hour| hour.method).collect();
    assert_eq!(
        methods,
        [IntensityKind::Live, IntensityKind::Live, IntensityKind::Forecast, IntensityKind::Forecast]
    );
    assert_eq!(grid.hours[0].start, footprint.run.started);
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);

    let queries = provider.queries.lock().unwrap().clone();
    assert_eq!(
        queries,
        [("GB".to_owned(), SignedDuration::from_hours(2), Some("sootprint-intensity".to_owned()))]
    );
    assert!(approx_eq(footprint.run.duration_s, 7_200.0), "waiting for the answer is not part of the run");
    assert_saved_and_loaded(&footprint, dir.path());
}

#[test]
fn intensity_entry_precedes_end_entry() {
    let dir = tempfile::tempdir().unwrap();
    let (footprint, _) = run_two_hours_in_britain(dir.path(), two_hour_series);
    let entries = ledger_entries(dir.path(), &footprint.run.id);
    assert!(matches!(
        entries.as_slice(),
        [.., LedgerEntry::Totals { .. }, LedgerEntry::Intensity(_), LedgerEntry::End { .. }]
    ));
}

#[test]
fn unknown_hours_use_table() {
    let dir = tempfile::tempdir().unwrap();
    let (footprint, _) =
        run_two_hours_in_britain(dir.path(), |from| half_hour_series(from, &[(0, 100.0), (3, 300.0)]));
    let table = "GB".parse::<Place>().unwrap().intensity(LocationSource::Argument, this_year()).intensity;
    let mean = (100.0 + 300.0 + 2.0 * table.grams_per_kilowatt_hour()) / 4.0;
    assert!(approx_eq(footprint.grid.intensity.grams_per_kilowatt_hour(), mean), "{:?}", footprint.grid);
    let methods: Vec<IntensityKind> = footprint.grid.hours.iter().map(|hour| hour.method).collect();
    assert_eq!(methods, [IntensityKind::Live, IntensityKind::Table, IntensityKind::Forecast]);
    // One hour at 400 W.
    let is_noted = footprint.notes.iter().any(|note| note.contains("hours in which 400.00 Wh was used"));
    assert!(is_noted, "{:?}", footprint.notes);
    assert_saved_and_loaded(&footprint, dir.path());
}

#[test]
fn provider_failure_falls_back_to_table() {
    let dir = tempfile::tempdir().unwrap();
    let (footprint, provider) = run_two_hours_in_britain(dir.path(), |_| {
        Err(ProviderError::RequestRejected {
            provider: "a scripted grid".to_owned(),
            status: 503,
            message: ServerMessage::default(),
        })
    });
    assert_eq!(provider.queries.lock().unwrap().len(), 1);
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert_eq!((footprint.grid.method, footprint.grid.hours.len()), (IntensityKind::Table, 0));
    let table = footprint.grid.intensity.grams_per_kilowatt_hour();
    assert!(approx_eq(footprint.emissions.best.grams(), 1.2 * table), "{:?}", footprint.emissions);
    assert_eq!(
        footprint.notes,
        ["no live intensity, using the yearly value: request rejected by a scripted grid \
             (HTTP status 503); if this persists for a day, update sootprint"]
    );
    assert_saved_and_loaded(&footprint, dir.path());
}

#[test]
fn irrelevant_provider_query_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3_600);
    let query_count = |provider: &SlowScriptedProvider| provider.queries.lock().unwrap().len();
    let britain: Place = "GB".parse().unwrap();

    let (builder, clock, provider) = run_with_provider(dir.path(), two_hour_series);
    let run = builder.place(britain).start();
    clock.advance(hour);
    drop(run);
    assert_eq!(query_count(&provider), 0, "a dropped run does not query");

    let (builder, clock, provider) = run_with_provider(dir.path(), two_hour_series);
    let given = CarbonIntensity::from_grams_per_kilowatt_hour(12.0);
    let run = builder.place(britain).intensity(given).start();
    clock.advance(hour);
    let footprint = run.finish();
    assert_eq!(
        (query_count(&provider), footprint.grid.intensity),
        (0, given),
        "the configured intensity is used"
    );

    let (builder, _, provider) = run_with_provider(dir.path(), two_hour_series);
    let _ = builder.place(britain).start().finish();
    assert_eq!(query_count(&provider), 0, "no energy was used");

    let (builder, clock, provider) = run_with_provider(dir.path(), two_hour_series);
    let run = builder.start();
    clock.advance(hour);
    let footprint = run.finish();
    assert_eq!(query_count(&provider), 0, "the place is unknown");
    assert!(footprint.notes.iter().any(|note| note.starts_with("live intensity provider not queried")));
    assert_saved_and_loaded(&footprint, dir.path());
}
