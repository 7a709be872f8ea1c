//! Answers that are kept on disk.

#![allow(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise, too")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use sootprint::{Basis, CarbonIntensity, Period, Place, Provider, ProviderError, Series};
use sootprint_live::Cached;

const START: &str = "2026-10-03T00:00:00Z";

fn at(hour: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour)
}

fn hour(number: i64, is_forecast: bool) -> Period {
    let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(100.0 + number as f64);
    Period { start: at(number), end: at(number + 1), intensity, is_forecast }
}

/// Knows the hours up to a number, the last of them as a forecast; away without one.
#[derive(Debug, Clone, Default)]
struct Scripted {
    known: Arc<Mutex<Option<i64>>>,
    asked: Arc<Mutex<Vec<(i64, i64)>>>,
}

impl Provider for Scripted {
    fn hours(&self, _: Place, from: Timestamp, to: Timestamp) -> Result<Series, ProviderError> {
        let number = |time: Timestamp| time.duration_since(at(0)).as_secs().div_euclid(3_600);
        self.asked.lock().unwrap().push((number(from), number(to)));
        let Some(known) = *self.known.lock().unwrap() else {
            return Err(ProviderError::Refused { provider: "a scripted grid".to_owned(), status: 503 });
        };
        let hours = (number(from)..number(to).min(known)).map(|number| hour(number, number + 1 == known));
        Series::new("a scripted grid", Basis::DirectConsumption, hours.collect())
    }
}

impl Scripted {
    fn knows(&self, hours: Option<i64>) {
        *self.known.lock().unwrap() = hours;
    }

    fn asked(&self) -> Vec<(i64, i64)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn cached(dir: &Path) -> (Cached<Scripted>, Scripted) {
    let scripted = Scripted::default();
    (Cached::new(scripted.clone(), "scripted").in_dir(dir.join("made/when/needed")), scripted)
}

fn ask(provider: &impl Provider, from: i64, to: i64) -> Result<Vec<Period>, ProviderError> {
    provider.hours("FR".parse().unwrap(), at(from), at(to)).map(|series| series.periods().to_vec())
}

#[test]
fn what_was_found_is_not_asked_for_again_and_what_was_foreseen_is() {
    let dir = tempfile::tempdir().unwrap();
    let (cached, scripted) = cached(dir.path());
    scripted.knows(Some(3));
    assert_eq!(ask(&cached, 0, 3).unwrap(), [hour(0, false), hour(1, false), hour(2, true)]);
    assert_eq!(scripted.asked(), [(0, 3)]);
    scripted.knows(Some(5));
    assert_eq!(ask(&cached, 0, 4).unwrap(), [hour(0, false), hour(1, false), hour(2, false), hour(3, false)]);
    assert_eq!(scripted.asked(), [(2, 4)]);
    assert_eq!(ask(&cached, 1, 3).unwrap(), [hour(1, false), hour(2, false)]);
    assert_eq!(scripted.asked(), []);
}

#[test]
fn an_outage_is_bridged_by_what_is_kept_and_filled_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let (cached, scripted) = cached(dir.path());
    assert!(ask(&cached, 0, 2).is_err(), "nothing is kept");
    scripted.knows(Some(10));
    ask(&cached, 0, 2).unwrap();
    scripted.knows(None);
    assert_eq!(ask(&cached, 0, 5).unwrap(), [hour(0, false), hour(1, false)]);
    assert!(ask(&cached, 3, 5).is_err(), "nothing is kept of that time");
    scripted.knows(Some(10));
    assert_eq!(ask(&cached, 0, 5).unwrap().len(), 5);
    // Another process finds what this one kept.
    let another = Cached::new(scripted.clone(), "scripted").in_dir(dir.path().join("made/when/needed"));
    scripted.asked();
    assert_eq!(ask(&another, 0, 5).unwrap().len(), 5);
    assert_eq!(scripted.asked(), []);
}

#[test]
fn a_file_that_is_spoilt_or_a_folder_that_is_none_costs_nothing_but_a_question() {
    let dir = tempfile::tempdir().unwrap();
    let (cached, scripted) = cached(dir.path());
    scripted.knows(Some(10));
    ask(&cached, 0, 2).unwrap();
    let folder = dir.path().join("made/when/needed");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let good = fs::read_to_string(&file).unwrap();
    for spoilt in ["", "{}", "[1", &good.replace("100.0", "-100.0"), &good[..good.len() / 2]] {
        fs::write(&file, spoilt).unwrap();
        scripted.asked();
        assert_eq!(ask(&cached, 0, 2).unwrap(), [hour(0, false), hour(1, false)]);
        assert_eq!(scripted.asked(), [(0, 2)], "{spoilt}");
    }
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let nowhere = Cached::new(scripted.clone(), "scripted").in_dir(file);
    assert_eq!(ask(&nowhere, 0, 2).unwrap().len(), 2);
}

#[test]
fn places_and_providers_have_files_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (cached, scripted) = cached(dir.path());
    scripted.knows(Some(10));
    for name in ["FR", "gcp:europe-west9", "EGRID-SRVC"] {
        cached.hours(name.parse().unwrap(), at(0), at(1)).unwrap();
    }
    Cached::new(scripted, "../another")
        .in_dir(dir.path())
        .hours("FR".parse().unwrap(), at(0), at(1))
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
