//! Runs with a user-provided series, with provider queries while they continue, or with cloud metadata.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, SyncSender};

use jiff::{SignedDuration, Timestamp};
use sootprint_core::{
    CloudMetadataError, EmissionScope, IntensityKind, IntensityPeriod, IntensitySeries, LocationSource,
    ProviderError, PueOrigin, ServerMessage,
};

use super::*;
use crate::ledger::LedgerEntry;

const HOUR: Duration = Duration::from_secs(3_600);

/// A builder for a run of 1 kW with a PUE of 1.0, and its clock.
fn kilowatt_run_builder(dir: &Path) -> (RunBuilder, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
    let replay =
        Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", steady).with_clock(clock.clone());
    (Run::pre_training(dir).replay(replay).pue(Pue::new(1.0).unwrap()), clock)
}

fn grams_per_kwh(grams: f64) -> CarbonIntensity {
    CarbonIntensity::from_grams_per_kilowatt_hour(grams)
}

/// A series of hours that starts one hour ago, read from a CSV file.
fn series_from_last_hour(dir: &Path, figures: &[f64]) -> IntensitySeries {
    let first = Timestamp::now() - SignedDuration::from_hours(1);
    let line = |(hour, figure): (usize, &f64)| {
        format!("{},{figure}\n", first + SignedDuration::from_hours(i64::try_from(hour).unwrap()))
    };
    let rows: String = figures.iter().enumerate().map(line).collect();
    let path = dir.join("hours.csv");
    fs::write(&path, format!("start,g_per_kwh\n{rows}")).unwrap();
    IntensitySeries::from_csv_file(&path).unwrap()
}

fn interval_kinds(footprint: &Footprint) -> Vec<IntensityKind> {
    footprint.grid.hours.iter().map(|hour| hour.method).collect()
}

#[test]
fn user_series_is_weighted_by_energy() {
    let dir = tempfile::tempdir().unwrap();
    // The run's first hour is almost entirely in the second row, its second hour in the third.
    let series = series_from_last_hour(dir.path(), &[900.0, 100.0, 300.0, 500.0]);
    let (builder, clock) = kilowatt_run_builder(dir.path());
    let run = builder.intensity_series(series).start();
    clock.advance(2 * HOUR);
    let footprint = run.finish();
    let grid = &footprint.grid;
    // The start is rounded down to a second, so up to a second of the first row may be included.
    assert!((footprint.emissions.best.grams() - 400.0).abs() < 1.0, "{:?}", footprint.emissions);
    assert!(approx_eq(
        footprint.emissions.low.grams() / footprint.energy.low.kilowatt_hours(),
        grid.low.grams_per_kilowatt_hour()
    ));
    assert_eq!((grid.low, grid.high), (grid.intensity, grid.intensity), "the user's figures are exact");
    assert_eq!(
        (grid.method, grid.origin, grid.place.as_deref()),
        (IntensityKind::UserSeries, LocationSource::Argument, None)
    );
    assert!(interval_kinds(&footprint).iter().all(|method| *method == IntensityKind::UserSeries));
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
}

#[test]
fn hours_beyond_series_use_fallback() {
    let dir = tempfile::tempdir().unwrap();
    for (is_given, method, word) in
        [(true, IntensityKind::UserProvided, "given figure"), (false, IntensityKind::Table, "yearly figure")]
    {
        // The series ends one hour after the start of the run.
        let series = series_from_last_hour(dir.path(), &[100.0, 100.0]);
        let (builder, clock) = kilowatt_run_builder(dir.path());
        let builder = builder.place("FR".parse().unwrap()).intensity_series(series);
        let run = if is_given { builder.intensity(grams_per_kwh(50.0)) } else { builder }.start();
        clock.advance(4 * HOUR);
        let footprint = run.finish();
        assert_eq!(interval_kinds(&footprint).last(), Some(&method));
        assert!(
            footprint
                .notes
                .iter()
                .any(|note| note.starts_with("the user's series has no") && note.contains(word))
        );
        if is_given {
            assert!((footprint.emissions.best.grams() - 250.0).abs() < 1.0, "{:?}", footprint.emissions);
        }
        assert_eq!(footprint.grid.basis, EmissionScope::Unknown);
    }
}

#[test]
fn series_outside_run_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hours.csv");
    fs::write(&path, "start,g_per_kwh\n2020-01-01T00:00Z,100\n").unwrap();
    let (builder, clock) = kilowatt_run_builder(dir.path());
    let run = builder
        .place("FR".parse().unwrap())
        .intensity_series(IntensitySeries::from_csv_file(&path).unwrap())
        .start();
    clock.advance(HOUR);
    let footprint = run.finish();
    assert_eq!((footprint.grid.method, footprint.grid.zone.as_deref()), (IntensityKind::Table, Some("FR")));
    assert!(footprint.notes[0].contains("hours in which 1.00 kWh was used"), "{:?}", footprint.notes);
}

#[test]
fn killed_run_keeps_initial_series() {
    let dir = tempfile::tempdir().unwrap();
    let series = series_from_last_hour(dir.path(), &[100.0; 200]);
    let (builder, clock) = kilowatt_run_builder(dir.path());
    let run = builder.intensity_series(series).start();
    clock.advance(HOUR);
    assert!(run.handle().flush(Duration::from_secs(60)));
    // The ledger is read before the run ends, as after a kill.
    let recovered = load_footprint(dir.path(), None).unwrap();
    assert_eq!(
        (recovered.run.outcome, recovered.grid.method),
        (RunStatus::Running, IntensityKind::UserSeries)
    );
    assert!(approx_eq(recovered.grid.intensity.grams_per_kilowatt_hour(), 100.0));
    let entries = ledger_entries(dir.path(), &recovered.run.id);
    let kept = entries.iter().find_map(|entry| match entry {
        LedgerEntry::Intensity(series) => Some(series.periods().len()),
        _ => None,
    });
    assert_eq!(kept, Some(49), "two days, and the hour in which the run began");
    drop(run);
}

/// A provider that returns scripted answers in turn, then fails. It sends a message for each query.
#[derive(Debug)]
struct ScriptedProvider {
    answers: Mutex<Vec<ProviderAnswerFn>>,
    query_tx: SyncSender<()>,
}

type ProviderAnswerFn = fn(Timestamp) -> Result<IntensitySeries, ProviderError>;

impl IntensityProvider for ScriptedProvider {
    fn intensity_between(
        &self,
        _: Place,
        from: Timestamp,
        _: Timestamp,
    ) -> Result<IntensitySeries, ProviderError> {
        let next = self.answers.lock().unwrap().pop();
        let answer = next.map_or_else(|| service_unavailable(from), |answer| answer(from));
        // The test may not receive the messages.
        let _ = self.query_tx.try_send(());
        answer
    }
}

fn scripted_provider(mut answers: Vec<ProviderAnswerFn>) -> (Arc<ScriptedProvider>, Receiver<()>) {
    let (query_tx, query_rx) = mpsc::sync_channel(64);
    answers.reverse();
    (Arc::new(ScriptedProvider { answers: Mutex::new(answers), query_tx }), query_rx)
}

fn service_unavailable(_: Timestamp) -> Result<IntensitySeries, ProviderError> {
    Err(ProviderError::RequestRejected {
        provider: "a scripted grid".to_owned(),
        status: 503,
        message: ServerMessage::default(),
    })
}

/// The hours with these numbers since the start of the run. Hour n has 100 (n + 1) g/kWh.
fn hourly_series(from: Timestamp, numbers: std::ops::Range<i64>) -> Result<IntensitySeries, ProviderError> {
    let hour = |number: i64| IntensityPeriod {
        start: from + SignedDuration::from_hours(number),
        end: from + SignedDuration::from_hours(number + 1),
        intensity: grams_per_kwh(100.0 * (number + 1) as f64),
        is_forecast: false,
    };
    IntensitySeries::new("a scripted grid", EmissionScope::LifecycleGeneration, numbers.map(hour).collect())
}

fn wait_for_query(query_rx: &Receiver<()>) {
    query_rx.recv_timeout(Duration::from_secs(60)).unwrap();
}

#[test]
fn hours_after_outage_use_table() {
    let dir = tempfile::tempdir().unwrap();
    let (builder, clock) = kilowatt_run_builder(dir.path());
    let (provider, query_rx) = scripted_provider(vec![|from| hourly_series(from, 0..1)]);
    let mut builder = builder.place("FR".parse().unwrap()).intensity_provider(provider);
    builder.query_interval = Duration::from_millis(1);
    let run = builder.start();
    clock.advance(HOUR);
    assert!(run.handle().flush(Duration::from_secs(60)));
    wait_for_query(&query_rx);
    clock.advance(HOUR);
    assert!(run.handle().flush(Duration::from_secs(60)));
    // The second query is sent only after the first answer is recorded.
    wait_for_query(&query_rx);
    let footprint = run.finish();
    assert_eq!(interval_kinds(&footprint), [IntensityKind::Live, IntensityKind::Table]);
    let table = 41.4;
    assert!(approx_eq(footprint.emissions.best.grams(), 100.0 + table), "{:?}", footprint.emissions);
    assert!(
        footprint.notes[0].starts_with("last query of the live intensity provider failed: "),
        "{:?}",
        footprint.notes
    );
    assert!(footprint.notes[1].contains("hours in which 1.00 kWh was used"), "{:?}", footprint.notes);
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
}

#[test]
fn outage_is_backfilled_at_finish() {
    let dir = tempfile::tempdir().unwrap();
    let (builder, clock) = kilowatt_run_builder(dir.path());
    let (provider, query_rx) = scripted_provider(vec![service_unavailable, service_unavailable]);
    let scripted: Arc<ScriptedProvider> = Arc::clone(&provider);
    let mut builder = builder.place("FR".parse().unwrap()).intensity_provider(provider);
    builder.query_interval = Duration::from_millis(1);
    let run = builder.start();
    clock.advance(2 * HOUR);
    assert!(run.handle().flush(Duration::from_secs(60)));
    wait_for_query(&query_rx);
    wait_for_query(&query_rx);
    // From here on the provider answers.
    *scripted.answers.lock().unwrap() = vec![|from| hourly_series(from, 0..2); 1_000];
    let footprint = run.finish();
    assert_eq!(interval_kinds(&footprint), [IntensityKind::Live, IntensityKind::Live]);
    assert!(
        approx_eq(footprint.emissions.best.grams(), 300.0) && footprint.notes.is_empty(),
        "{:?}",
        footprint.notes
    );
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
}

/// A provider that knows all completed hours and stores its queries.
#[derive(Debug, Default)]
struct CompletedHoursProvider(Mutex<Vec<(Timestamp, Timestamp)>>);

impl IntensityProvider for CompletedHoursProvider {
    fn intensity_between(
        &self,
        _: Place,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntensitySeries, ProviderError> {
        self.0.lock().unwrap().push((from, to));
        hourly_series(from, 0..to.duration_since(from).as_hours())
    }
}

#[test]
fn known_hours_are_not_queried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (builder, clock) = kilowatt_run_builder(dir.path());
    let run = builder.place("FR".parse().unwrap()).start();
    let (handle, provider) = (run.handle(), CompletedHoursProvider::default());
    for _ in 0..3 {
        clock.advance(HOUR + HOUR / 4);
        assert!(handle.flush(Duration::from_secs(60)));
        assert!(matches!(handle.query_provider_so_far(&provider), Some(Ok(()))));
    }
    let _ = run.finish();
    let queries = provider.0.into_inner().unwrap();
    let start = queries[0].0;
    let minutes = |time: Timestamp| time.duration_since(start).as_mins();
    let queries: Vec<_> = queries.into_iter().map(|(from, to)| (minutes(from), minutes(to))).collect();
    assert_eq!(queries, [(0, 75), (60, 150), (120, 225)]);
}

/// Cloud metadata with a fixed answer, optionally delayed.
#[derive(Debug)]
struct FakeCloudMetadata {
    location: fn() -> Result<Option<Place>, CloudMetadataError>,
    /// Delays the answer until the sender is dropped.
    gate_rx: Mutex<Option<Receiver<()>>>,
}

impl sootprint_core::CloudMetadata for FakeCloudMetadata {
    fn locate(&self) -> Result<Option<Place>, CloudMetadataError> {
        if let Some(gate_rx) = self.gate_rx.lock().unwrap().take() {
            let _ = gate_rx.recv();
        }
        (self.location)()
    }
}

fn fake_cloud(location: fn() -> Result<Option<Place>, CloudMetadataError>) -> Arc<FakeCloudMetadata> {
    Arc::new(FakeCloudMetadata { location, gate_rx: Mutex::new(None) })
}

fn run_for_an_hour(
    dir: &Path,
    cloud: Arc<FakeCloudMetadata>,
    with: fn(RunBuilder) -> RunBuilder,
) -> Footprint {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
    let replay =
        Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", steady).with_clock(clock.clone());
    let run = with(Run::pre_training(dir).replay(replay).cloud_metadata(cloud)).start();
    clock.advance(HOUR);
    let footprint = run.finish();
    assert_eq!(load_footprint(dir, None).unwrap(), footprint);
    footprint
}

#[test]
fn cloud_metadata_sets_place_and_pue() {
    let dir = tempfile::tempdir().unwrap();
    let virginia = fake_cloud(|| Ok("aws:us-east-1".parse().ok()));
    let footprint = run_for_an_hour(dir.path(), virginia.clone(), |builder| builder);
    let grid = &footprint.grid;
    assert_eq!(
        (grid.origin, grid.provider.as_deref(), grid.zone.as_deref()),
        (LocationSource::CloudMetadata, Some("aws"), Some("EGRID-SRVC"))
    );
    assert_eq!((footprint.energy.pue_origin.as_str(), footprint.energy.pue_year), ("region", Some(2025)));
    assert!(approx_eq(footprint.emissions.best.grams(), 1.15 * 270.5), "{:?}", footprint.emissions);
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);

    // A configured place and a configured PUE take precedence.
    let footprint =
        run_for_an_hour(dir.path(), virginia.clone(), |builder| builder.place("FR".parse().unwrap()));
    assert_eq!(
        (footprint.grid.origin, footprint.grid.zone.as_deref()),
        (LocationSource::Argument, Some("FR"))
    );
    let footprint = run_for_an_hour(dir.path(), virginia, |builder| builder.pue(Pue::new(1.5).unwrap()));
    assert_eq!(footprint.energy.pue_origin, PueOrigin::Argument.as_str());
    assert_eq!(footprint.grid.origin, LocationSource::CloudMetadata);
}

#[test]
fn missing_cloud_region_leaves_place_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let footprint = run_for_an_hour(dir.path(), fake_cloud(|| Ok(None)), |builder| builder);
    assert_eq!((footprint.grid.origin, footprint.notes.len()), (LocationSource::Unknown, 1));
    let silent = fake_cloud(|| Err(CloudMetadataError::UnknownRegion { region: "aws:moon-1".to_owned() }));
    let footprint = run_for_an_hour(dir.path(), silent, |builder| builder);
    assert_eq!(footprint.grid.origin, LocationSource::Unknown);
    assert!(footprint.notes.iter().any(|note| note.contains("aws:moon-1")), "{:?}", footprint.notes);
}

#[test]
fn finish_wait_for_cloud_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (gate_tx, gate_rx) = mpsc::channel();
    let slow = Arc::new(FakeCloudMetadata {
        location: || Ok("aws:us-east-1".parse().ok()),
        gate_rx: Mutex::new(Some(gate_rx)),
    });
    let started = std::time::Instant::now();
    let footprint = run_for_an_hour(dir.path(), slow, |builder| builder);
    assert_eq!(footprint.grid.origin, LocationSource::Unknown);
    // Far above the timeout of 1 s, in case the machine is busy.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    drop(gate_tx);
}
