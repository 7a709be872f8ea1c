//! Runs that ask a provider when they are finished.

use std::sync::Mutex;
use std::thread::{self, ThreadId};

use jiff::{SignedDuration, Timestamp};
use sootprint_core::{Basis, Figure, Origin, Period, ProviderError, Series};

use super::*;
use crate::ledger::Entry;

/// Answers as it is told, remembers what it was asked, and takes its time: an hour of the run's clock.
#[derive(Debug)]
struct Scripted {
    clock: VirtualClock,
    answer: fn(Timestamp) -> Result<Series, ProviderError>,
    questions: Mutex<Vec<(String, SignedDuration, ThreadId)>>,
}

impl Provider for Scripted {
    fn hours(&self, place: Place, from: Timestamp, to: Timestamp) -> Result<Series, ProviderError> {
        let question = (place.code(), to.duration_since(from), thread::current().id());
        self.questions.lock().unwrap().push(question);
        self.clock.advance(Duration::from_secs(3_600));
        (self.answer)(from)
    }
}

/// 100 g/kWh in the first half-hour and 300 g/kWh in three more, of which the last two are forecasts.
fn two_hours(from: Timestamp) -> Result<Series, ProviderError> {
    series(from, &[(0, 100.0), (1, 300.0), (2, 300.0), (3, 300.0)])
}

/// Half-hours of the given numbers from the run's start on.
fn series(from: Timestamp, figures: &[(i64, f64)]) -> Result<Series, ProviderError> {
    let half_hour = |&(number, grams): &(i64, f64)| Period {
        start: from + SignedDuration::from_mins(30 * number),
        end: from + SignedDuration::from_mins(30 * (number + 1)),
        intensity: CarbonIntensity::from_grams_per_kilowatt_hour(grams),
        is_forecast: number >= 2,
    };
    Series::new("a scripted grid", Basis::DirectConsumption, figures.iter().map(half_hour).collect())
}

/// A run of 400 W at a PUE of 1.5 that is about to ask, and its provider.
fn asking(
    dir: &Path,
    answer: fn(Timestamp) -> Result<Series, ProviderError>,
) -> (RunBuilder, VirtualClock, Arc<Scripted>) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(400.0))];
    let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone());
    let provider = Arc::new(Scripted { clock: clock.clone(), answer, questions: Mutex::default() });
    let asked: Arc<dyn Provider> = provider.clone();
    let builder = Run::pre_training(dir).replay(replay).pue(Pue::new(1.5).unwrap()).provider(asked);
    (builder, clock, provider)
}

/// Two epochs of an hour each in Great Britain, finished.
fn two_hours_in_britain(
    dir: &Path,
    answer: fn(Timestamp) -> Result<Series, ProviderError>,
) -> (Footprint, Arc<Scripted>) {
    let (builder, clock, provider) = asking(dir, answer);
    let run = builder.place("GB".parse().unwrap()).start();
    for _ in run.epochs(1..=2) {
        clock.advance(Duration::from_secs(3_600));
    }
    (run.finish(), provider)
}

fn this_year() -> u16 {
    Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year().try_into().unwrap()
}

/// The saved footprint and the one that is made again from the ledger are this one.
fn assert_kept(footprint: &Footprint, dir: &Path) {
    assert_eq!(&Footprint::read(&dir.join(FILE_NAME)).unwrap(), footprint);
    assert_eq!(&recover(dir, None).unwrap(), footprint);
}

#[test]
fn each_hour_s_energy_meets_that_hour_s_intensity() {
    let dir = tempfile::tempdir().unwrap();
    let (footprint, provider) = two_hours_in_britain(dir.path(), two_hours);

    // 0.3 kWh at 100 g and 0.9 kWh at 300 g at the facility's meter: 250 g/kWh in the mean.
    assert!(close(footprint.emissions.best.grams(), 300.0), "{:?}", footprint.emissions);
    assert!(close(footprint.grid.intensity.grams_per_kilowatt_hour(), 250.0));
    // Each epoch's energy at the mean, so that both are the total.
    assert!(footprint.epochs.iter().all(|epoch| close(epoch.emissions.grams(), 150.0)));
    // (0.85 × (0.3 × 100 + 0.3 × 300) + 0.85 × 0.7 × 0.6 × 300) g, and 1.15, 1.3 and 30 g/kWh on the other side.
    assert!(close(footprint.emissions.low.grams(), 209.1), "{:?}", footprint.emissions);
    assert!(close(footprint.emissions.high.grams(), 443.1), "{:?}", footprint.emissions);

    let grid = &footprint.grid;
    assert_eq!((grid.method, grid.basis, grid.year), (Figure::Live, Basis::DirectConsumption, None));
    assert_eq!((grid.source.as_str(), grid.zone.as_deref()), ("a scripted grid", Some("GB")));
    let methods: Vec<Figure> = grid.hours.iter().map(|hour| hour.method).collect();
    assert_eq!(methods, [Figure::Live, Figure::Live, Figure::Forecast, Figure::Forecast]);
    assert_eq!(grid.hours[0].start, footprint.run.started);
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);

    let asked = provider.questions.lock().unwrap().clone();
    assert_eq!(asked, [("GB".to_owned(), SignedDuration::from_hours(2), thread::current().id())]);
    assert!(close(footprint.run.duration_s, 7_200.0), "waiting for the answer is no part of the run");
    assert_kept(&footprint, dir.path());
}

#[test]
fn the_answer_is_in_the_ledger_before_the_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let (footprint, _) = two_hours_in_britain(dir.path(), two_hours);
    let entries = entries(dir.path(), &footprint.run.id);
    assert!(matches!(entries.as_slice(), [.., Entry::Totals { .. }, Entry::Live(_), Entry::Closed { .. }]));
}

#[test]
fn the_table_stands_for_hours_that_nobody_knows() {
    let dir = tempfile::tempdir().unwrap();
    let (footprint, _) = two_hours_in_britain(dir.path(), |from| series(from, &[(0, 100.0), (3, 300.0)]));
    let table = "GB".parse::<Place>().unwrap().intensity(Origin::Argument, this_year()).intensity;
    let mean = (100.0 + 300.0 + 2.0 * table.grams_per_kilowatt_hour()) / 4.0;
    assert!(close(footprint.grid.intensity.grams_per_kilowatt_hour(), mean), "{:?}", footprint.grid);
    let methods: Vec<Figure> = footprint.grid.hours.iter().map(|hour| hour.method).collect();
    assert_eq!(methods, [Figure::Live, Figure::Table, Figure::Forecast]);
    // An hour at 400 W.
    let said = footprint.notes.iter().any(|note| note.contains("hours in which 400.00 Wh was used"));
    assert!(said, "{:?}", footprint.notes);
    assert_kept(&footprint, dir.path());
}

#[test]
fn a_provider_that_fails_costs_its_figures_and_not_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let (footprint, provider) = two_hours_in_britain(dir.path(), |_| {
        Err(ProviderError::Refused { provider: "a scripted grid".to_owned(), status: 503 })
    });
    assert_eq!(provider.questions.lock().unwrap().len(), 1);
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    assert_eq!((footprint.grid.method, footprint.grid.hours.len()), (Figure::Table, 0));
    let table = footprint.grid.intensity.grams_per_kilowatt_hour();
    assert!(close(footprint.emissions.best.grams(), 1.2 * table), "{:?}", footprint.emissions);
    assert_eq!(
        footprint.notes,
        [
            "no live intensity, the table's yearly figure stands: a scripted grid refused with HTTP status 503; \
          if it does so tomorrow, look for a newer sootprint"
        ]
    );
    assert_kept(&footprint, dir.path());
}

#[test]
fn nobody_is_asked_where_the_answer_would_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3_600);
    let asked = |provider: &Scripted| provider.questions.lock().unwrap().len();
    let britain: Place = "GB".parse().unwrap();

    let (builder, clock, provider) = asking(dir.path(), two_hours);
    let run = builder.place(britain).start();
    clock.advance(hour);
    drop(run);
    assert_eq!(asked(&provider), 0, "a run that is dropped does not ask");

    let (builder, clock, provider) = asking(dir.path(), two_hours);
    let given = CarbonIntensity::from_grams_per_kilowatt_hour(12.0);
    let run = builder.place(britain).intensity(given).start();
    clock.advance(hour);
    let footprint = run.finish();
    assert_eq!((asked(&provider), footprint.grid.intensity), (0, given), "the user's figure stands");

    let (builder, _, provider) = asking(dir.path(), two_hours);
    let _ = builder.place(britain).start().finish();
    assert_eq!(asked(&provider), 0, "no energy has no grams");

    let (builder, clock, provider) = asking(dir.path(), two_hours);
    let run = builder.start();
    clock.advance(hour);
    let footprint = run.finish();
    assert_eq!(asked(&provider), 0, "an unknown place has no hours");
    assert!(footprint.notes.iter().any(|note| note.starts_with("the live provider was not asked")));
    assert_kept(&footprint, dir.path());
}

/// Lines of the first version, which knew no live series: an hour of 400 W at 50 g/kWh.
#[test]
fn a_ledger_from_before_there_were_providers_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sootprint");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("00001-20261123T084454Z-0000.jsonl"), include_str!("before_live.jsonl")).unwrap();
    let footprint = recover(dir.path(), None).unwrap();
    assert_eq!((footprint.run.outcome, footprint.grid.hours.len()), (Outcome::Completed, 0));
    assert!(close(footprint.emissions.best.grams(), 20.0), "{:?}", footprint.emissions);
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);
}
