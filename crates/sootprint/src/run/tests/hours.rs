//! Runs with a series of the user's own, runs that ask while they go on, and runs whose cloud says where they are.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, SyncSender};

use jiff::{SignedDuration, Timestamp};
use sootprint_core::{Basis, Figure, MetadataError, Origin, Period, ProviderError, PueOrigin, Series};

use super::*;
use crate::ledger::Entry;

const HOUR: Duration = Duration::from_secs(3_600);

/// A run of 1 kW without PUE that is about to start.
fn kilowatt(dir: &Path) -> (RunBuilder, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
    let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone());
    (Run::pre_training(dir).replay(replay).pue(Pue::new(1.0).unwrap()), clock)
}

fn grams(grams: f64) -> CarbonIntensity {
    CarbonIntensity::from_grams_per_kilowatt_hour(grams)
}

/// A series of hours from an hour before now on, as a file that its user wrote.
fn series(dir: &Path, figures: &[f64]) -> Series {
    let first = Timestamp::now() - SignedDuration::from_hours(1);
    let line = |(hour, figure): (usize, &f64)| {
        format!("{},{figure}\n", first + SignedDuration::from_hours(i64::try_from(hour).unwrap()))
    };
    let rows: String = figures.iter().enumerate().map(line).collect();
    let path = dir.join("hours.csv");
    fs::write(&path, format!("start,g_per_kwh\n{rows}")).unwrap();
    Series::from_csv_file(&path).unwrap()
}

fn methods(footprint: &Footprint) -> Vec<Figure> {
    footprint.grid.hours.iter().map(|hour| hour.method).collect()
}

#[test]
fn the_user_s_series_is_exact_and_weighs_each_hour() {
    let dir = tempfile::tempdir().unwrap();
    // The run's first hour lies almost whole in the second row, its second in the third.
    let series = series(dir.path(), &[900.0, 100.0, 300.0, 500.0]);
    let (builder, clock) = kilowatt(dir.path());
    let run = builder.series(series).start();
    clock.advance(2 * HOUR);
    let footprint = run.finish();
    let grid = &footprint.grid;
    // The start is rounded down to a second, so that a moment of the first row may be in it, too.
    assert!((footprint.emissions.best.grams() - 400.0).abs() < 1.0, "{:?}", footprint.emissions);
    assert!(close(
        footprint.emissions.low.grams() / footprint.energy.low.kilowatt_hours(),
        grid.low.grams_per_kilowatt_hour()
    ));
    assert_eq!((grid.low, grid.high), (grid.intensity, grid.intensity), "the user's figures are exact");
    assert_eq!((grid.method, grid.origin, grid.place.as_deref()), (Figure::Series, Origin::Argument, None));
    assert!(methods(&footprint).iter().all(|method| *method == Figure::Series));
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);
    assert_eq!(recover(dir.path(), None).unwrap(), footprint);
}

#[test]
fn beyond_the_series_the_given_figure_or_the_table_stands_and_the_hours_say_so() {
    let dir = tempfile::tempdir().unwrap();
    for (is_given, method, word) in
        [(true, Figure::Given, "given figure"), (false, Figure::Table, "table's yearly")]
    {
        // The series ends an hour after the run's start.
        let series = series(dir.path(), &[100.0, 100.0]);
        let (builder, clock) = kilowatt(dir.path());
        let builder = builder.place("FR".parse().unwrap()).series(series);
        let run = if is_given { builder.intensity(grams(50.0)) } else { builder }.start();
        clock.advance(4 * HOUR);
        let footprint = run.finish();
        assert_eq!(methods(&footprint).last(), Some(&method));
        assert!(
            footprint
                .notes
                .iter()
                .any(|note| note.starts_with("the user's series has no") && note.contains(word))
        );
        if is_given {
            assert!((footprint.emissions.best.grams() - 250.0).abs() < 1.0, "{:?}", footprint.emissions);
        }
        assert_eq!(footprint.grid.basis, Basis::Unknown);
    }
}

#[test]
fn a_series_of_another_time_changes_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hours.csv");
    fs::write(&path, "start,g_per_kwh\n2020-01-01T00:00Z,100\n").unwrap();
    let (builder, clock) = kilowatt(dir.path());
    let run = builder.place("FR".parse().unwrap()).series(Series::from_csv_file(&path).unwrap()).start();
    clock.advance(HOUR);
    let footprint = run.finish();
    assert_eq!((footprint.grid.method, footprint.grid.zone.as_deref()), (Figure::Table, Some("FR")));
    assert!(footprint.notes[0].contains("hours in which 1.00 kWh was used"), "{:?}", footprint.notes);
}

#[test]
fn a_killed_run_keeps_its_first_days_of_the_series() {
    let dir = tempfile::tempdir().unwrap();
    let series = series(dir.path(), &[100.0; 200]);
    let (builder, clock) = kilowatt(dir.path());
    let run = builder.series(series).start();
    clock.advance(HOUR);
    assert!(run.handle().settle(Duration::from_secs(60)));
    // Nothing is closed: as after a kill.
    let recovered = recover(dir.path(), None).unwrap();
    assert_eq!((recovered.run.outcome, recovered.grid.method), (Outcome::Running, Figure::Series));
    assert!(close(recovered.grid.intensity.grams_per_kilowatt_hour(), 100.0));
    let entries = entries(dir.path(), &recovered.run.id);
    let kept = entries.iter().find_map(|entry| match entry {
        Entry::Live(series) => Some(series.periods().len()),
        _ => None,
    });
    assert_eq!(kept, Some(49), "two days, and the hour in which the run began");
    drop(run);
}

/// Answers in turn, tells each time, and after its last answer is away.
#[derive(Debug)]
struct Scripted {
    answers: Mutex<Vec<Answered>>,
    asked: SyncSender<()>,
}

type Answered = fn(Timestamp) -> Result<Series, ProviderError>;

impl Provider for Scripted {
    fn hours(&self, _: Place, from: Timestamp, _: Timestamp) -> Result<Series, ProviderError> {
        let next = self.answers.lock().unwrap().pop();
        let answer = next.map_or_else(|| away(from), |answer| answer(from));
        // Whether anybody counts is not its business.
        let _ = self.asked.try_send(());
        answer
    }
}

/// So many questions fit between the provider and the test that counts them.
fn provider(mut answers: Vec<Answered>) -> (Arc<Scripted>, Receiver<()>) {
    let (asked, told) = mpsc::sync_channel(64);
    answers.reverse();
    (Arc::new(Scripted { answers: Mutex::new(answers), asked }), told)
}

fn away(_: Timestamp) -> Result<Series, ProviderError> {
    Err(ProviderError::Refused { provider: "a scripted grid".to_owned(), status: 503 })
}

/// The hours with these numbers from the run's start on, each at 100 g times its number and 100 g.
fn hours(from: Timestamp, numbers: std::ops::Range<i64>) -> Result<Series, ProviderError> {
    let hour = |number: i64| Period {
        start: from + SignedDuration::from_hours(number),
        end: from + SignedDuration::from_hours(number + 1),
        intensity: grams(100.0 * (number + 1) as f64),
        is_forecast: false,
    };
    Series::new("a scripted grid", Basis::LifecycleGeneration, numbers.map(hour).collect())
}

fn wait(told: &Receiver<()>) {
    told.recv_timeout(Duration::from_secs(60)).unwrap();
}

#[test]
fn what_was_answered_before_an_outage_stands_and_the_rest_is_the_table_s() {
    let dir = tempfile::tempdir().unwrap();
    let (builder, clock) = kilowatt(dir.path());
    let (provider, told) = provider(vec![|from| hours(from, 0..1)]);
    let mut builder = builder.place("FR".parse().unwrap()).provider(provider);
    builder.every = Duration::from_millis(1);
    let run = builder.start();
    clock.advance(HOUR);
    assert!(run.handle().settle(Duration::from_secs(60)));
    wait(&told);
    clock.advance(HOUR);
    assert!(run.handle().settle(Duration::from_secs(60)));
    // The second question is only asked when the first answer is kept.
    wait(&told);
    let footprint = run.finish();
    assert_eq!(methods(&footprint), [Figure::Live, Figure::Table]);
    let table = 41.5;
    assert!(close(footprint.emissions.best.grams(), 100.0 + table), "{:?}", footprint.emissions);
    assert!(
        footprint.notes[0].starts_with("the live provider's last answer is missing: "),
        "{:?}",
        footprint.notes
    );
    assert!(footprint.notes[1].contains("hours in which 1.00 kWh was used"), "{:?}", footprint.notes);
    assert_eq!(recover(dir.path(), None).unwrap(), footprint);
}

#[test]
fn an_outage_is_filled_from_the_history_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (builder, clock) = kilowatt(dir.path());
    let (provider, told) = provider(vec![away, away]);
    let answers: Arc<Scripted> = Arc::clone(&provider);
    let mut builder = builder.place("FR".parse().unwrap()).provider(provider);
    builder.every = Duration::from_millis(1);
    let run = builder.start();
    clock.advance(2 * HOUR);
    assert!(run.handle().settle(Duration::from_secs(60)));
    wait(&told);
    wait(&told);
    // From now on it answers, whoever asks.
    *answers.answers.lock().unwrap() = vec![|from| hours(from, 0..2); 1_000];
    let footprint = run.finish();
    assert_eq!(methods(&footprint), [Figure::Live, Figure::Live]);
    assert!(
        close(footprint.emissions.best.grams(), 300.0) && footprint.notes.is_empty(),
        "{:?}",
        footprint.notes
    );
    assert_eq!(recover(dir.path(), None).unwrap(), footprint);
}

/// Has every hour but the one that is not over, and remembers what it was asked.
#[derive(Debug, Default)]
struct Punctual(Mutex<Vec<(Timestamp, Timestamp)>>);

impl Provider for Punctual {
    fn hours(&self, _: Place, from: Timestamp, to: Timestamp) -> Result<Series, ProviderError> {
        self.0.lock().unwrap().push((from, to));
        hours(from, 0..to.duration_since(from).as_hours())
    }
}

#[test]
fn what_was_found_is_not_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let (builder, clock) = kilowatt(dir.path());
    let run = builder.place("FR".parse().unwrap()).start();
    let (handle, provider) = (run.handle(), Punctual::default());
    for _ in 0..3 {
        clock.advance(HOUR + HOUR / 4);
        assert!(handle.settle(Duration::from_secs(60)));
        assert!(matches!(handle.ask_so_far(&provider), Some(Ok(()))));
    }
    let _ = run.finish();
    let asked = provider.0.into_inner().unwrap();
    let start = asked[0].0;
    let minutes = |time: Timestamp| time.duration_since(start).as_mins();
    let asked: Vec<_> = asked.into_iter().map(|(from, to)| (minutes(from), minutes(to))).collect();
    assert_eq!(asked, [(0, 75), (60, 150), (120, 225)]);
}

/// Says what it is told to say, once it may.
#[derive(Debug)]
struct Cloud {
    says: fn() -> Result<Option<Place>, MetadataError>,
    /// Dropped when it may answer.
    may: Mutex<Option<Receiver<()>>>,
}

impl sootprint_core::Metadata for Cloud {
    fn place(&self) -> Result<Option<Place>, MetadataError> {
        if let Some(may) = self.may.lock().unwrap().take() {
            let _ = may.recv();
        }
        (self.says)()
    }
}

fn cloud(says: fn() -> Result<Option<Place>, MetadataError>) -> Arc<Cloud> {
    Arc::new(Cloud { says, may: Mutex::new(None) })
}

fn an_hour_in(dir: &Path, cloud: Arc<Cloud>, with: fn(RunBuilder) -> RunBuilder) -> Footprint {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
    let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone());
    let run = with(Run::pre_training(dir).replay(replay).metadata(cloud)).start();
    clock.advance(HOUR);
    let footprint = run.finish();
    assert_eq!(recover(dir, None).unwrap(), footprint);
    footprint
}

#[test]
fn the_cloud_says_where_it_is_and_brings_its_pue() {
    let dir = tempfile::tempdir().unwrap();
    let virginia = cloud(|| Ok("aws:us-east-1".parse().ok()));
    let footprint = an_hour_in(dir.path(), virginia.clone(), |builder| builder);
    let grid = &footprint.grid;
    assert_eq!(
        (grid.origin, grid.provider.as_deref(), grid.zone.as_deref()),
        (Origin::CloudMetadata, Some("aws"), Some("EGRID-SRVC"))
    );
    assert_eq!((footprint.energy.pue_origin.as_str(), footprint.energy.pue_year), ("region", Some(2024)));
    assert!(close(footprint.emissions.best.grams(), 1.15 * 270.5), "{:?}", footprint.emissions);
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);

    // What the user said goes first: the place, and what the facility adds.
    let footprint = an_hour_in(dir.path(), virginia.clone(), |builder| builder.place("FR".parse().unwrap()));
    assert_eq!((footprint.grid.origin, footprint.grid.zone.as_deref()), (Origin::Argument, Some("FR")));
    let footprint = an_hour_in(dir.path(), virginia, |builder| builder.pue(Pue::new(1.5).unwrap()));
    assert_eq!(footprint.energy.pue_origin, PueOrigin::Argument.as_str());
    assert_eq!(footprint.grid.origin, Origin::CloudMetadata);
}

#[test]
fn a_cloud_that_says_nothing_leaves_the_place_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let footprint = an_hour_in(dir.path(), cloud(|| Ok(None)), |builder| builder);
    assert_eq!((footprint.grid.origin, footprint.notes.len()), (Origin::Unknown, 1));
    let silent = cloud(|| Err(MetadataError::UnknownRegion { region: "aws:moon-1".to_owned() }));
    let footprint = an_hour_in(dir.path(), silent, |builder| builder);
    assert_eq!(footprint.grid.origin, Origin::Unknown);
    assert!(footprint.notes.iter().any(|note| note.contains("aws:moon-1")), "{:?}", footprint.notes);
}

#[test]
fn a_finish_waits_a_second_for_the_cloud_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let (never, may) = mpsc::channel();
    let slow = Arc::new(Cloud { says: || Ok("aws:us-east-1".parse().ok()), may: Mutex::new(Some(may)) });
    let begun = std::time::Instant::now();
    let footprint = an_hour_in(dir.path(), slow, |builder| builder);
    assert_eq!(footprint.grid.origin, Origin::Unknown);
    // Far above what it waits, for a machine that is busy with other things.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(never);
}
