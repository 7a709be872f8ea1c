use sootprint_core::{Answer, CarbonIntensity, Method, Origin, Power, Pue};
use sootprint_power::Users;

use super::trace::MOST_POINTS;
use super::*;

fn component(kind: Kind, name: &str, limit: Option<f64>) -> Component {
    Component {
        kind,
        id: name.to_lowercase(),
        name: name.to_owned(),
        method: Method::Counter,
        board: None,
        limit: limit.map(Power::from_watts),
        share: 1.0,
        tolerance: sootprint_power::Tolerance::of(0.05),
        note: None,
    }
}

fn fold(components: Vec<Component>, pue: Pue) -> Fold {
    let grams = CarbonIntensity::from_grams_per_kilowatt_hour;
    Fold::new(Box::new(Opened {
        schema: "sootprint-ledger/1".into(),
        version: "0.0.0".into(),
        run: "a-run".into(),
        training_type: None,
        base_model: None,
        started: "2026-11-23T00:00:00Z".into(),
        grid: Answer {
            low: grams(100.0),
            high: grams(900.0),
            ..Answer::given(grams(360.0), None, Origin::Argument)
        },
        pue,
        components,
        gaps: vec!["a board that cannot be read".into()],
        task: crate::ledger::Task::default(),
    }))
}

fn total(joules: f64, measured: f64, unmeasured: f64) -> Total {
    let energy = Energy::from_joules(joules);
    Total { energy, low: energy * 0.95, high: energy * 1.05, measured, unmeasured, resets: 0 }
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * right.abs().max(1.0)
}

#[test]
fn bounds_multiply_and_unmeasured_time_counts_at_the_limit() {
    let mut fold = fold(vec![component(Kind::Gpu, "Board", Some(700.0))], Pue::ASSUMED);
    fold.apply(Entry::Closed {
        at: 20.0,
        outcome: Outcome::Completed,
        totals: vec![total(1_000.0, 15.0, 5.0)],
    });
    let footprint = fold.footprint(Outcome::Running);
    let energy = &footprint.energy;
    assert!(close(energy.total.joules(), 1_000.0) && close(energy.low.joules(), 950.0));
    // 1,050 J and 5 s at 700 W.
    assert!(close(energy.high.joules(), 4_550.0), "{energy:?}");
    let grams = &footprint.emissions;
    assert!(close(grams.best.grams(), 1_000.0 * 360.0 / 3.6e6));
    assert!(close(grams.low.grams(), 950.0 * 1.0 * 100.0 / 3.6e6));
    assert!(close(grams.high.grams(), 4_550.0 * 1.56 * 900.0 / 3.6e6));
    assert_eq!(footprint.components[0].mean.map(|mean| mean.watts().round()), Some(67.0));
}

#[test]
fn boards_of_a_name_are_counted_and_gaps_are_told() {
    let boards = vec![
        component(Kind::Gpu, "NVIDIA H200", None),
        component(Kind::Gpu, "NVIDIA L4", None),
        component(Kind::Gpu, "NVIDIA H200", None),
        component(Kind::Cpu, "AMD EPYC", None),
    ];
    let footprint = fold(boards, Pue::ASSUMED).footprint(Outcome::Killed);
    assert_eq!(footprint.hardware, "2 x NVIDIA H200, 1 x NVIDIA L4");
    assert_eq!(footprint.run.outcome, Outcome::Killed);
    assert!(footprint.notes.iter().any(|note| note == "a board that cannot be read"));
    assert!(footprint.notes.iter().any(|note| note.starts_with("no framework said")));
}

#[test]
fn without_a_claim_the_boards_that_we_were_seen_on_count_and_others_are_told() {
    let boards = vec![component(Kind::Gpu, "First", None), component(Kind::Gpu, "Second", None)];
    let mut fold = fold(boards, Pue::ASSUMED);
    let used = |component, ours, others| Entry::Used { at: 1.0, component, users: Users { ours, others } };
    fold.apply(used(0, false, true));
    assert_eq!(fold.footprint(Outcome::Running).components.len(), 2, "none of ours was seen");
    fold.apply(used(1, true, true));
    fold.apply(used(1, true, false));
    let footprint = fold.footprint(Outcome::Running);
    assert_eq!(footprint.components.len(), 1);
    assert_eq!((footprint.components[0].name.as_str(), footprint.components[0].shared), ("Second", true));
    assert!(
        footprint.notes.iter().any(|note| note.contains("a process of ours used")),
        "{:?}",
        footprint.notes
    );
}

#[test]
fn a_component_that_was_never_read_has_no_method() {
    let mut fold = fold(vec![component(Kind::Gpu, "Board", None)], Pue::ASSUMED);
    fold.apply(Entry::Closed { at: 9.0, outcome: Outcome::Completed, totals: vec![total(0.0, 0.0, 9.0)] });
    let footprint = fold.footprint(Outcome::Running);
    assert_eq!(footprint.components[0].method, None);
    assert!(footprint.run.partial && !footprint.is_measured());
}

#[test]
fn a_long_run_s_power_is_thinned_out_and_its_energy_kept() {
    let mut fold = fold(vec![component(Kind::Cpu, "CPU", None)], Pue::ASSUMED);
    let mut joules = 0.0;
    for minute in 1..=10_001_u32 {
        joules += f64::from(minute % 7) * 60.0;
        let at = f64::from(minute) * 60.0;
        fold.apply(Entry::Totals { at, totals: vec![total(joules, at, 0.0)] });
    }
    let power = fold.footprint(Outcome::Running).power;
    assert!((200..=MOST_POINTS).contains(&power.len()), "{} points", power.len());
    assert!(close(power.last().unwrap().0, 600_060.0), "the end is kept");
    let mut then = 0.0;
    let sum: f64 = power.iter().map(|(at, watts)| watts * (at - std::mem::replace(&mut then, *at))).sum();
    assert!(close(sum, joules), "{sum} J of {joules} J");
}

#[test]
fn idle_is_the_lowest_power_seen_over_all_of_the_run_and_never_subtracted() {
    let at = |watts: &[f64]| {
        let mut fold = fold(vec![component(Kind::Cpu, "CPU", None)], Pue::ASSUMED);
        let mut joules = 0.0;
        for (second, watts) in watts.iter().enumerate() {
            joules += watts;
            let at = second as f64 + 1.0;
            fold.apply(Entry::Totals { at, totals: vec![total(joules, at, 0.0)] });
        }
        fold.footprint(Outcome::Running).energy
    };
    let energy = at(&[300.0, 80.0, 400.0, 120.0]);
    assert_eq!(energy.idle_method.as_deref(), Some("lowest_seen"));
    assert!(close(energy.idle.unwrap().joules(), 80.0 * 4.0) && close(energy.total.joules(), 900.0));
    let energy = at(&[300.0]);
    assert_eq!((energy.idle, energy.idle_method), (None, None));
}

#[test]
fn a_note_is_told_once() {
    let mut fold = fold(vec![], Pue::ASSUMED);
    for at in [1.0, 2.0] {
        fold.apply(Entry::Note { at, text: "again".into() });
    }
    let notes = fold.footprint(Outcome::Running).notes;
    assert_eq!(notes.iter().filter(|note| *note == "again").count(), 1);
}

#[test]
fn a_heartbeat_that_does_not_know_of_an_epoch_s_end_does_not_begin_it_again() {
    let energy = |joules| vec![Energy::from_joules(joules)];
    let beat = |epoch, start| Entry::Beat {
        at: 10.5,
        totals: vec![total(105.0, 10.5, 0.0)],
        epoch: Some(OpenEpoch { epoch, start, energy: energy(105.0 - 10.0 * start) }),
    };
    let epochs = |beat| {
        let mut fold = fold(vec![component(Kind::Gpu, "Board", None)], Pue::ASSUMED);
        let (epoch, start, end) = (1, 0.0, 10.0);
        fold.apply(Entry::Epoch {
            epoch,
            start,
            end,
            energy: energy(100.0),
            completed: true,
            counts: Counts::default(),
            phases: Vec::new(),
        });
        fold.apply(beat);
        let epochs = fold.footprint(Outcome::Killed).epochs;
        epochs.iter().map(|it| (it.epoch, it.energy.joules(), it.completed)).collect::<Vec<_>>()
    };
    assert_eq!(epochs(beat(1, 0.0)), [(1, 100.0, true)]);
    // The next one, and one that is trained again, are others.
    assert_eq!(epochs(beat(2, 10.0)), [(1, 100.0, true), (2, 5.0, false)]);
    assert_eq!(epochs(beat(1, 10.0)), [(1, 100.0, true), (1, 5.0, false)]);
}
