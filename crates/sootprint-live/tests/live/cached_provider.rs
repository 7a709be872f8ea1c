//! The cache of a provider's series on disk.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use sootprint::{
    CarbonIntensity, EmissionScope, IntensityPeriod, IntensityProvider, IntensitySeries, Place,
    ProviderError, ServerMessage,
};
use sootprint_live::CachedProvider;

const START: &str = "2026-10-03T00:00:00Z";

fn timestamp_at(hour: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour)
}

fn period_at(number: i64, is_forecast: bool) -> IntensityPeriod {
    let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(100.0 + number as f64);
    IntensityPeriod { start: timestamp_at(number), end: timestamp_at(number + 1), intensity, is_forecast }
}

/// Returns the first `known_hours` hours, the last of them as a forecast; fails without a number.
#[derive(Debug, Clone, Default)]
struct ScriptedIntensityProvider {
    known_hours: Arc<Mutex<Option<i64>>>,
    requested_ranges: Arc<Mutex<Vec<(i64, i64)>>>,
}

impl IntensityProvider for ScriptedIntensityProvider {
    fn intensity_between(
        &self,
        _: Place,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntensitySeries, ProviderError> {
        let number = |time: Timestamp| time.duration_since(timestamp_at(0)).as_secs().div_euclid(3_600);
        self.requested_ranges.lock().unwrap().push((number(from), number(to)));
        let Some(known) = *self.known_hours.lock().unwrap() else {
            return Err(ProviderError::RequestRejected {
                provider: "a scripted grid".to_owned(),
                status: 503,
                message: ServerMessage::default(),
            });
        };
        let hours =
            (number(from)..number(to).min(known)).map(|number| period_at(number, number + 1 == known));
        IntensitySeries::new("a scripted grid", EmissionScope::DirectConsumption, hours.collect())
    }
}

impl ScriptedIntensityProvider {
    fn set_known_hours(&self, hours: Option<i64>) {
        *self.known_hours.lock().unwrap() = hours;
    }

    fn take_requested_ranges(&self) -> Vec<(i64, i64)> {
        std::mem::take(&mut *self.requested_ranges.lock().unwrap())
    }
}

fn scripted_cache(dir: &Path) -> (CachedProvider<ScriptedIntensityProvider>, ScriptedIntensityProvider) {
    let scripted = ScriptedIntensityProvider::default();
    (CachedProvider::new(scripted.clone(), "scripted").with_cache_dir(dir.join("made/when/needed")), scripted)
}

fn fetch_periods(
    provider: &impl IntensityProvider,
    from: i64,
    to: i64,
) -> Result<Vec<IntensityPeriod>, ProviderError> {
    provider
        .intensity_between("FR".parse().unwrap(), timestamp_at(from), timestamp_at(to))
        .map(|series| series.periods().to_vec())
}

#[test]
fn only_forecast_hours_are_refetched() {
    let dir = tempfile::tempdir().unwrap();
    let (cached, scripted) = scripted_cache(dir.path());
    scripted.set_known_hours(Some(3));
    assert_eq!(
        fetch_periods(&cached, 0, 3).unwrap(),
        [period_at(0, false), period_at(1, false), period_at(2, true)]
    );
    assert_eq!(scripted.take_requested_ranges(), [(0, 3)]);
    scripted.set_known_hours(Some(5));
    assert_eq!(
        fetch_periods(&cached, 0, 4).unwrap(),
        [period_at(0, false), period_at(1, false), period_at(2, false), period_at(3, false)]
    );
    assert_eq!(scripted.take_requested_ranges(), [(2, 4)]);
    assert_eq!(fetch_periods(&cached, 1, 3).unwrap(), [period_at(1, false), period_at(2, false)]);
    assert_eq!(scripted.take_requested_ranges(), []);
}

#[test]
fn outage_falls_back_to_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (cached, scripted) = scripted_cache(dir.path());
    assert!(fetch_periods(&cached, 0, 2).is_err(), "nothing is cached");
    scripted.set_known_hours(Some(10));
    fetch_periods(&cached, 0, 2).unwrap();
    scripted.set_known_hours(None);
    assert_eq!(fetch_periods(&cached, 0, 5).unwrap(), [period_at(0, false), period_at(1, false)]);
    assert!(fetch_periods(&cached, 3, 5).is_err(), "nothing is cached for this time");
    scripted.set_known_hours(Some(10));
    assert_eq!(fetch_periods(&cached, 0, 5).unwrap().len(), 5);
    // Another process reads the same cache.
    let another =
        CachedProvider::new(scripted.clone(), "scripted").with_cache_dir(dir.path().join("made/when/needed"));
    scripted.take_requested_ranges();
    assert_eq!(fetch_periods(&another, 0, 5).unwrap().len(), 5);
    assert_eq!(scripted.take_requested_ranges(), []);
}

#[test]
fn corrupt_cache_is_refetched() {
    let dir = tempfile::tempdir().unwrap();
    let (cached, scripted) = scripted_cache(dir.path());
    scripted.set_known_hours(Some(10));
    fetch_periods(&cached, 0, 2).unwrap();
    let folder = dir.path().join("made/when/needed");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let good = fs::read_to_string(&file).unwrap();
    for corrupt in ["", "{}", "[1", &good.replace("100.0", "-100.0"), &good[..good.len() / 2]] {
        fs::write(&file, corrupt).unwrap();
        scripted.take_requested_ranges();
        assert_eq!(fetch_periods(&cached, 0, 2).unwrap(), [period_at(0, false), period_at(1, false)]);
        assert_eq!(scripted.take_requested_ranges(), [(0, 2)], "{corrupt}");
    }
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let without_cache_dir = CachedProvider::new(scripted.clone(), "scripted").with_cache_dir(file);
    assert_eq!(fetch_periods(&without_cache_dir, 0, 2).unwrap().len(), 2);
}

#[test]
fn each_place_and_provider_cached_separately() {
    let dir = tempfile::tempdir().unwrap();
    let (cached, scripted) = scripted_cache(dir.path());
    scripted.set_known_hours(Some(10));
    for name in ["FR", "gcp:europe-west9", "EGRID-SRVC"] {
        cached.intensity_between(name.parse().unwrap(), timestamp_at(0), timestamp_at(1)).unwrap();
    }
    CachedProvider::new(scripted, "../another")
        .with_cache_dir(dir.path())
        .intensity_between("FR".parse().unwrap(), timestamp_at(0), timestamp_at(1))
        .unwrap();
    let names = |folder: &Path| {
        let entries =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.filter(|name| name.ends_with(".json")).collect();
        names.sort();
        names
    };
    let folder = dir.path().join("made/when/needed");
    assert_eq!(
        names(&folder),
        ["scripted-EGRID-SRVC.json", "scripted-FR.json", "scripted-gcp_europe-west9.json"]
    );
    assert_eq!(names(dir.path()), ["___another-FR.json"]);
}
