use std::path::Path;
use std::time::Duration;

use sootprint_core::{CarbonIntensity, Energy, FILE_NAME, Footprint, Kind, Outcome, Power, TrainingType};
use sootprint_power::{Board, Claim, Replay, VirtualClock};

use super::Attached;
use super::devices::Devices;
use crate::ledger::{Counts, Entry, read};
use crate::run::book::{Identity, Inside};
use crate::run::said::Said;
use crate::run::{Budget, Every, Run, RunBuilder, recover};
use crate::settings::{Arguments, Machine, Settings};

const PATIENCE: Duration = Duration::from_secs(60);

/// A run without a label on a scripted board of 300 W, and the clock that moves it. A joule emits 1e-4 g.
fn measured(dir: &Path) -> (Run, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(300.0))];
    let replay = Replay::new().component(Kind::Gpu, "Scripted board", steady).on_clock(clock.clone());
    let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(360.0);
    (Run::unlabelled(dir).replay(replay).intensity(intensity).start(), clock)
}

/// A training of its own folder that attaches to what is recorded in `dir`.
fn inside(dir: &Path, own: &Path) -> Run {
    started(dir, Run::fine_tuning(own, "me/base"))
}

fn started(dir: &Path, builder: RunBuilder) -> Run {
    let mut settings = Settings::resolve(Arguments::default(), &Machine::silent(2026, None));
    settings.outer = Some(dir.to_owned());
    let run = builder.begin(settings, false).0;
    assert!(run.is_attached());
    run
}

fn ranked(dir: &Path, own: &Path, rank: u32) -> Run {
    let mut settings = Settings::resolve(Arguments::default(), &Machine::silent(2026, None));
    settings.outer = Some(dir.to_owned());
    settings.launch = settings.launch.with_rank(rank, 2);
    Run::pre_training(own).begin(settings, false).0
}

fn attached(dir: &Path) -> Option<Attached> {
    let settings = Settings::resolve(Arguments::default(), &Machine::silent(2026, None));
    let training = Identity { training_type: None, base_model: None };
    Attached::to(dir, &settings.launch, Inside::of(training, &settings, Vec::new()))
}

/// So many seconds pass, after all that was said before was heard.
fn pass(run: &Run, clock: &VirtualClock, seconds: u64) {
    assert!(run.handle().settle(PATIENCE));
    clock.advance(Duration::from_secs(seconds));
}

fn train(run: &Run, clock: &VirtualClock, seconds: &[u64]) {
    for (number, seconds) in (1..).zip(seconds) {
        run.handle().epoch_started(number);
        pass(run, clock, *seconds);
        run.handle().epoch_ended(true);
        assert!(run.handle().settle(PATIENCE));
    }
}

fn is(energy: Energy, joules: f64) -> bool {
    (energy.joules() - joules).abs() < 1e-6
}

fn rounded(energy: Energy) -> f64 {
    (energy.joules() * 1e3).round() / 1e3
}

/// Number, joules and completeness of each epoch.
fn epochs(footprint: &Footprint) -> Vec<(u32, f64, bool)> {
    footprint.epochs.iter().map(|it| (it.epoch, rounded(it.energy), it.completed)).collect()
}

fn has_note(footprint: &Footprint, text: &str) -> bool {
    footprint.notes.iter().any(|note| note.contains(text))
}

#[test]
fn a_training_inside_has_its_own_time_and_the_run_around_it_has_all() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    clock.advance(Duration::from_secs(5));
    let training = inside(dir.path(), own.path());
    training.handle().plan_epochs(2);
    train(&training, &clock, &[10, 20]);
    let inner = training.finish();
    clock.advance(Duration::from_secs(5));
    drop(attachments);
    let outer = run.finish();

    // 300 W: thirty of forty seconds are the training's.
    let expected = [(1, 3_000.0, true), (2, 6_000.0, true)];
    assert_eq!((epochs(&inner), epochs(&outer)), (expected.to_vec(), expected.to_vec()));
    assert!(is(inner.energy.total, 9_000.0), "{:?}", inner.energy);
    assert!(is(outer.energy.total, 12_000.0), "{:?}", outer.energy);
    assert!((inner.emissions.best.grams() - 0.9).abs() < 1e-9, "at the figure of the run around it");
    assert_eq!((inner.run.outcome, inner.run.base_model.as_deref()), (Outcome::Completed, Some("me/base")));
    assert!(has_note(&inner, "counts this energy as well"), "{:?}", inner.notes);
    assert_eq!(inner.run.id, format!("{}-t{}", outer.run.id, inner.run.id.rsplit_once("-t").unwrap().1));
    assert_eq!(Footprint::read(&own.path().join(FILE_NAME)).unwrap(), inner);
    assert_eq!(std::fs::read_dir(own.path()).unwrap().count(), 1, "it has no ledger of its own");

    assert_eq!(outer.run.training_type, Some(TrainingType::FineTuning), "what the training said of itself");
    assert_eq!(outer.run.outcome, Outcome::Completed);
    assert_eq!(recover(dir.path(), None).unwrap(), outer);
    assert_eq!(std::fs::read_dir(dir.path().join("sootprint")).unwrap().count(), 1, "the ledger alone stays");
}

#[test]
fn trainings_one_after_the_other_do_not_count_each_other_s_energy() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    for seconds in [4, 2] {
        let training = inside(dir.path(), own.path());
        train(&training, &clock, &[seconds]);
        assert!(is(training.finish().energy.total, 300.0 * seconds as f64));
    }
    drop(attachments);
    assert_eq!(epochs(&run.finish()), [(1, 1_200.0, true), (1, 600.0, true)]);
}

#[test]
fn every_hook_is_heard_in_both_records() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let training = inside(dir.path(), own.path());
    for _ in training.slices(Every::steps(2), 0..4) {
        let phase = training.phase("forward");
        pass(&training, &clock, 1);
        phase.end();
        training.samples(10);
        training.tokens(100);
        pass(&training, &clock, 1);
    }
    training.samples(7);
    training.handle().note("what a reader should hear");
    let inner = training.finish();
    drop(attachments);
    for footprint in [&inner, &run.finish()] {
        assert_eq!(epochs(footprint), [(1, 1_200.0, true), (2, 1_200.0, true)]);
        assert_eq!(footprint.run.slices.as_deref(), Some("2 steps"));
        assert_eq!((footprint.run.samples, footprint.run.tokens), (Some(47), Some(400)));
        for epoch in &footprint.epochs {
            let phases: Vec<_> =
                epoch.phases.iter().map(|it| (it.name.as_str(), rounded(it.energy))).collect();
            assert_eq!(phases, [("forward", 600.0)]);
            assert_eq!(epoch.samples, Some(20));
        }
        assert!(has_note(footprint, "what a reader should hear"), "{:?}", footprint.notes);
    }
}

#[test]
fn what_is_counted_without_epochs_reaches_the_run_too() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, _) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let training = inside(dir.path(), own.path());
    training.samples(70);
    assert_eq!(training.finish().run.samples, Some(70));
    drop(attachments);
    assert_eq!(run.finish().run.samples, Some(70));
}

#[test]
fn a_budget_stops_a_training_inside_by_what_the_training_used() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    // More than the whole budget is used before the training begins, and is not its.
    clock.advance(Duration::from_secs(100));
    let budget = Budget::energy(Energy::from_joules(14_000.0)).stop();
    let training = started(dir.path(), Run::pre_training(own.path()).budget(budget));
    let mut predicted = Vec::new();
    for _ in training.epochs(1..=10) {
        predicted.push(training.prediction().map(|it| rounded(it.energy)));
        pass(&training, &clock, 10);
        assert!(training.handle().settle(PATIENCE));
    }
    // Of epochs of 3 kJ four fit into 14 kJ.
    let inner = training.finish();
    assert_eq!(inner.epochs.len(), 4);
    assert_eq!(predicted, [None, Some(30_000.0), Some(30_000.0), Some(30_000.0)]);
    assert!(has_note(&inner, "not enough for another epoch"), "{:?}", inner.notes);
    drop(attachments);
    let outer = run.finish();
    assert_eq!((inner.run.outcome, outer.run.outcome), (Outcome::StoppedEarly, Outcome::StoppedEarly));
    assert!(has_note(&outer, "not enough for another epoch"), "{:?}", outer.notes);
}

#[test]
fn a_loop_without_epochs_stops_at_the_step_at_which_its_budget_is_used_up() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let budget = Budget::energy(Energy::from_joules(2_000.0)).stop();
    let training = started(dir.path(), Run::pre_training(own.path()).budget(budget));
    let mut steps = 0;
    for _ in training.slices(Every::steps(100), 0..1_000) {
        pass(&training, &clock, 3);
        assert!(training.handle().settle(PATIENCE));
        steps += 1;
    }
    assert_eq!(steps, 3);
    assert_eq!(training.finish().run.outcome, Outcome::StoppedEarly);
    drop(attachments);
    let _ = run.finish();
}

#[test]
fn a_reading_on_request_is_answered_by_the_run_around_the_training() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let training = inside(dir.path(), own.path());
    pass(&training, &clock, 7);
    let (tell, told) = std::sync::mpsc::channel();
    training.handle().read(move |live| tell.send(live).unwrap());
    let live = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((live.elapsed, rounded(live.energy)), (Duration::from_secs(7), 2_100.0));
    assert!(training.handle().settle(PATIENCE));
    assert!(is(training.handle().live().energy, 2_100.0));
    let _ = training.finish();
    drop(attachments);
    let _ = run.finish();
}

#[test]
fn a_training_that_goes_on_moves_the_command_s_record_and_says_that_its_own_sum_is_of_this_attempt() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    clock.advance(Duration::from_secs(1));
    // Let the first attempt be one that was killed.
    run.handle().kill();
    drop(run);
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let training = started(dir.path(), Run::fine_tuning(own.path(), "me/base").resume());
    train(&training, &clock, &[2]);
    let inner = training.finish();
    drop(attachments);
    let outer = run.finish();
    assert_eq!((outer.run.attempts, epochs(&outer)), (2, vec![(1, 600.0, true)]));
    assert!(is(inner.energy.total, 600.0) && has_note(&inner, "earlier attempts"), "{:?}", inner.notes);
}

#[test]
fn the_training_s_own_word_of_its_electricity_stands() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let arguments = Arguments {
        intensity: Some(CarbonIntensity::from_grams_per_kilowatt_hour(36.0)),
        ..Arguments::default()
    };
    let mut settings = Settings::resolve(arguments, &Machine::silent(2026, None));
    settings.outer = Some(dir.path().to_owned());
    let training = Run::pre_training(own.path()).begin(settings, false).0;
    pass(&training, &clock, 10);
    assert!((training.finish().emissions.best.grams() - 0.03).abs() < 1e-9);
    drop(attachments);
    assert!((run.finish().emissions.best.grams() - 0.3).abs() < 1e-9);
}

#[test]
fn a_training_that_goes_away_leaves_its_epoch_incomplete_and_room_for_the_next_one() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let training = inside(dir.path(), own.path());
    training.handle().epoch_started(1);
    let _phase = training.phase("forward");
    pass(&training, &clock, 4);
    training.handle().kill();
    let name = run.handle().record().unwrap();
    // Until the other side has seen it go, the epochs of the next one are not its.
    for attempt in 0.. {
        assert!(attempt < 10_000, "nobody notices that the training has gone");
        assert!(run.handle().settle(PATIENCE));
        let entries = read(dir.path(), &name).unwrap().entries;
        if entries.iter().any(|entry| matches!(entry, Entry::Epoch { .. })) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let next = inside(dir.path(), own.path());
    train(&next, &clock, &[2]);
    let _ = next.finish();
    drop(attachments);
    let footprint = run.finish();
    assert_eq!(epochs(&footprint), [(1, 1_200.0, false), (1, 600.0, true)]);
    assert!(is(footprint.phases[0].energy, 1_200.0), "{:?}", footprint.phases);
}

#[test]
fn of_trainings_at_once_one_is_heard_and_the_footprint_says_so() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let (first, second) = (inside(dir.path(), own.path()), inside(dir.path(), own.path()));
    first.handle().epoch_started(1);
    assert!(first.handle().settle(PATIENCE));
    train(&second, &clock, &[1, 1]);
    assert_eq!(epochs(&second.finish()), [(1, 300.0, true), (2, 300.0, true)], "it has them all the same");
    first.handle().epoch_ended(true);
    let _ = first.finish();
    drop(attachments);
    let footprint = run.finish();
    assert_eq!(epochs(&footprint), [(1, 600.0, true)]);
    assert!(has_note(&footprint, "several trainings ran at once"), "{:?}", footprint.notes);
}

#[test]
fn ranks_inside_one_command_are_measured_as_one() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let (first, second) = (ranked(dir.path(), own.path(), 0), ranked(dir.path(), own.path(), 1));
    second.handle().epoch_started(1);
    second.samples(10);
    assert!(second.handle().settle(PATIENCE));
    first.samples(1);
    train(&first, &clock, &[3]);
    second.handle().epoch_ended(true);
    // The first one may come later, too.
    second.handle().epoch_started(2);
    second.samples(20);
    second.handle().epoch_ended(true);
    assert!(second.handle().settle(PATIENCE));
    first.handle().epoch_started(2);
    first.samples(20);
    first.handle().epoch_ended(true);
    second.handle().outcome(Outcome::Interrupted);
    let (_, inner) = (second.finish(), first.finish());
    drop(attachments);
    let outer = run.finish();
    for footprint in [&inner, &outer] {
        let expected = vec![(1, 900.0, true), (2, 0.0, true)];
        assert_eq!((epochs(footprint), rounded(footprint.energy.total)), (expected, 900.0));
        let samples: Vec<_> = footprint.epochs.iter().map(|it| it.samples).collect();
        assert_eq!((samples, footprint.run.samples), (vec![Some(10), Some(40)], Some(51)));
    }
    assert_eq!(recover(dir.path(), None).unwrap(), outer);
    assert!(has_note(&outer, "those of the first one"), "{:?}", outer.notes);
    assert!(has_note(&inner, "of the whole command so far"), "{:?}", inner.notes);
    assert!(!has_note(&outer, "several trainings ran at once"), "{:?}", outer.notes);
    assert_eq!(outer.run.outcome, Outcome::Interrupted, "the worst of all ranks");
}

#[test]
fn whoever_measures_may_go_first_and_the_training_ends_all_the_same() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let training = inside(dir.path(), own.path());
    train(&training, &clock, &[3]);
    drop(attachments);
    assert_eq!(epochs(&run.finish()), [(1, 900.0, true)]);
    training.handle().epoch_started(2);
    training.handle().epoch_ended(true);
    let inner = training.finish();
    assert!(!inner.is_measured());
    assert!(has_note(&inner, "did not answer"), "{:?}", inner.notes);
    assert!(attached(dir.path()).is_none(), "nobody listens any more");
}

#[test]
fn the_folder_of_the_run_around_it_keeps_that_run_s_footprint() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = measured(dir.path());
    let attachments = run.listen().unwrap();
    let training = inside(dir.path(), dir.path());
    train(&training, &clock, &[1]);
    let _ = training.finish();
    assert!(!dir.path().join(FILE_NAME).exists());
    drop(attachments);
    let outer = run.finish();
    assert_eq!(Footprint::read(&dir.path().join(FILE_NAME)).unwrap(), outer);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_with_a_long_name_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("n".repeat(150));
    let (run, _) = measured(&long);
    let attachments = run.listen().unwrap();
    assert!(attached(&long).is_some());
    drop(attachments);
    let _ = run.finish();
}

#[test]
fn a_socket_of_a_process_that_was_killed_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sootprint");
    std::fs::create_dir_all(&folder).unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.join("00001-x.socket")).unwrap());
    assert!(attached(dir.path()).is_none());
    let (run, _) = measured(dir.path());
    let attachments = run.listen().unwrap();
    assert!(!folder.join("00001-x.socket").exists());
    drop(attachments);
    let _ = run.finish();
}

#[test]
fn a_number_of_a_board_means_what_the_training_s_variables_say() {
    let board = |letter: char, cuda| Board {
        uuid: format!("GPU-{letter}"),
        pci: format!("0000:0{letter}:00.0"),
        model: "H200".to_owned(),
        cuda: Some(cuda),
        ..Board::default()
    };
    let boards = [board('a', 0), board('b', 1), board('c', 2)];
    let boards: Vec<&Board> = boards.iter().collect();
    let devices = |visible: Option<&str>| -> Devices {
        serde_json::from_value(serde_json::json!([visible, null, null, null])).unwrap()
    };
    for (inside, here, claim, expected) in [
        (None, None, Claim::CudaOrdinal(1), Claim::CudaOrdinal(1)),
        (Some("2,0"), Some("2,0"), Claim::CudaOrdinal(1), Claim::CudaOrdinal(1)),
        (Some("2,0"), None, Claim::CudaOrdinal(0), Claim::Uuid("GPU-c".to_owned())),
        (Some("2,0"), None, Claim::CudaOrdinal(1), Claim::Uuid("GPU-a".to_owned())),
        (Some("2"), None, Claim::CudaOrdinal(1), Claim::Unknown("cuda:1".to_owned())),
        (Some("0"), Some("1"), Claim::CudaOrdinal(0), Claim::Unknown("cuda:0".to_owned())),
        (Some("0"), Some("1"), Claim::Uuid("GPU-b".to_owned()), Claim::Uuid("GPU-b".to_owned())),
    ] {
        assert_eq!(devices(inside).translated(claim.clone(), &devices(here), &boards), expected, "{claim:?}");
    }
}

#[test]
fn what_is_said_is_understood() {
    let counts = Counts { samples: Some(3), tokens: None };
    for said in [
        Said::Label { training_type: Some(TrainingType::PreTraining), base_model: None },
        Said::Planned(3),
        Said::Sliced("10 steps".to_owned()),
        Said::EpochStarted { number: 1, before: counts },
        Said::EpochEnded { completed: true, counts: Counts::default() },
        Said::PhaseStarted { id: 1, name: "forward".to_owned() },
        Said::PhaseEnded(1),
        Said::Left(counts),
        Said::Counted { epoch: Some(1), counts },
        Said::Claimed(vec![Claim::Pci("0000:07:00.0".to_owned())]),
        Said::Outcome(Outcome::Panicked),
        Said::Resumed,
        Said::Note("a note".to_owned()),
    ] {
        let text = serde_json::to_string(&said).unwrap();
        assert_eq!(serde_json::from_str::<Said>(&text).unwrap(), said, "{text}");
    }
}
