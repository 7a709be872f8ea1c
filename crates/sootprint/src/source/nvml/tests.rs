//! Against a scripted NVML library on a virtual clock, whose boards' true energy is known.

use nvidia_ml::{Board as Scripted, Script, VirtualClock, install};

use super::*;

const UUIDS: [&str; 2] =
    ["GPU-aaaaaaaa-0000-0000-0000-000000000000", "GPU-bbbbbbbb-0000-0000-0000-000000000000"];

/// A board of 100 W for 700 ms and 400 W for 330 ms, again and again.
fn board(index: usize) -> Scripted {
    Scripted::new(UUIDS[index], format!("0000:{:02x}:00.0", 7 + index), "NVIDIA H200")
        .limit(700)
        .power(Duration::ZERO, 100)
        .power(Duration::from_millis(700), 400)
        .repeat(Duration::from_millis(1_030))
}

/// An NVML library with these boards, and the clock that moves them.
struct Machine {
    clock: VirtualClock,
    library: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Machine {
    fn new(boards: impl IntoIterator<Item = Scripted>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = VirtualClock::new(folder.path().join("clock")).unwrap();
        let script = boards.into_iter().fold(Script::new().virtual_clock(&clock), Script::board);
        let library = install(&script, folder.path()).unwrap();
        Self { clock, library, _folder: folder }
    }

    fn open(&self, visible: Option<&str>) -> Nvml {
        let visibility = Visibility::new(visible, Some("PCI_BUS_ID"));
        Nvml::open(Some(self.library.as_os_str()), &visibility).unwrap()
    }
}

fn joules(reading: Result<Reading, Unreadable>) -> f64 {
    match reading.unwrap() {
        Reading::Counter(energy) => energy.joules(),
        other => panic!("{other:?} is no counter"),
    }
}

#[test]
fn a_missing_library_is_named_with_the_next_step() {
    let error = Nvml::open(Some("/nowhere/libnvidia-ml.so.1".as_ref()), &Visibility::ALL).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, NvmlError::NoLibrary { .. }), "{text}");
    assert!(text.contains("/nowhere/libnvidia-ml.so.1") && text.contains("SOOTPRINT_NVML"), "{text}");
}

#[test]
fn the_counter_is_preferred_and_exact() {
    let machine = Machine::new([board(0).counter(Duration::from_millis(1))]);
    let mut nvml = machine.open(None);
    let component = &nvml.components()[0];
    assert_eq!((component.method, component.id.as_str()), (Method::Counter, UUIDS[0]));
    assert_eq!(component.limit, Some(Power::from_watts(700.0)));
    let start = joules(nvml.read(0, Duration::ZERO));
    machine.clock.set_millis(10_300).unwrap();
    assert!(nvml.ticks(0));
    // Ten rounds of 70 J + 132 J.
    assert!((joules(nvml.read(0, Duration::ZERO)) - start - 2_020.0).abs() < 1e-6);
}

#[test]
fn without_a_counter_the_instant_reading_beats_the_averaged_one() {
    let machine = Machine::new([
        board(0).average(Duration::from_secs(1)).instant(),
        board(1).average(Duration::from_secs(1)),
    ]);
    let mut nvml = machine.open(None);
    assert!(nvml.cadence(0) <= POWER_CADENCE[1]);
    assert_eq!(nvml.cadence(1), MEAN_WINDOW);
    machine.clock.set_millis(1_030).unwrap();
    assert_eq!(nvml.read(0, Duration::ZERO), Ok(Reading::Instant(Power::from_watts(100.0))));
    // Over the last second: 0.67 s at 100 W and 0.33 s at 400 W.
    assert_eq!(nvml.read(1, Duration::ZERO), Ok(Reading::Averaged(Power::from_watts(199.0))));
}

#[test]
fn only_the_boards_that_cuda_shows_are_read_in_its_order() {
    let machine = Machine::new([0, 1].map(|index| board(index).counter(Duration::from_millis(20))));
    let ids = |visible| machine.open(visible).components().into_iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(None), UUIDS);
    assert_eq!(ids(Some("1,0")), [UUIDS[1], UUIDS[0]]);
    assert_eq!(ids(Some("GPU-bb")), [UUIDS[1]]);
    assert!(ids(Some("")).is_empty());
}

#[test]
fn a_slice_of_a_board_is_a_named_gap() {
    let machine = Machine::new([board(0).counter(Duration::from_millis(20))]);
    let nvml = machine.open(Some("MIG-4b5c"));
    assert!(nvml.components().is_empty());
    assert!(nvml.gaps().iter().any(|gap| gap.contains("MIG-4b5c")), "{:?}", nvml.gaps());
}

#[test]
fn a_board_that_answers_nothing_is_a_named_gap_and_costs_the_other_nothing() {
    let silent = Scripted::new(UUIDS[0], "0000:07:00.0", "Old board");
    let machine = Machine::new([silent, board(1).counter(Duration::from_millis(20)).no_memory()]);
    let nvml = machine.open(None);
    assert_eq!(nvml.components().len(), 1);
    assert!(
        nvml.gaps()[0].contains(UUIDS[0]) && nvml.gaps()[0].contains("not measured"),
        "{:?}",
        nvml.gaps()
    );
}

#[test]
fn a_lost_board_is_told_apart_from_a_failing_one() {
    let machine = Machine::new([board(0).counter(Duration::from_millis(20)).lost(Duration::from_secs(5))]);
    let mut nvml = machine.open(None);
    assert!(nvml.read(0, Duration::ZERO).is_ok());
    machine.clock.set_millis(5_000).unwrap();
    assert!(matches!(nvml.read(0, Duration::ZERO), Err(Unreadable::Lost(_))));
    assert!(matches!(nvml.read(9, Duration::ZERO), Err(Unreadable::Failed(_))));
}
