//! Against a scripted NVML library on a virtual clock, whose boards' true energy is known.

use sootprint_core::{Energy, Method};

use super::*;
use nvidia_ml::{Board as Scripted, Script, VirtualClock, install};

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
        let visibility = CudaVisibility::new(visible, Some("PCI_BUS_ID"));
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
    let error = Nvml::open(Some("/nowhere/libnvidia-ml.so.1".as_ref()), &CudaVisibility::new(None, None))
        .err()
        .unwrap();
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
    let cadence = [0, 500, 5_000].map(|cost| nvml.cadence(0, Duration::from_micros(cost)).as_millis());
    assert_eq!(cadence, [200, 500, 1_000]);
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
    let cadence =
        |index| [0, 500, 5_000].map(|cost| nvml.cadence(index, Duration::from_micros(cost)).as_millis());
    assert_eq!([cadence(0), cadence(1)], [[12, 60, 100], [MEAN_WINDOW.as_millis(); 3]]);
    machine.clock.set_millis(1_030).unwrap();
    assert_eq!(nvml.read(0, Duration::ZERO), Ok(Reading::Instant(Power::from_watts(100.0))));
    // Over the last second: 0.67 s at 100 W and 0.33 s at 400 W.
    assert_eq!(
        nvml.read(1, Duration::ZERO),
        Ok(Reading::Averaged { mean: Power::from_watts(199.0), over: Some(MEAN_WINDOW) })
    );
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

const SLICES: [&str; 2] =
    ["MIG-11111111-0000-0000-0000-000000000000", "MIG-22222222-0000-0000-0000-000000000000"];

/// A board in two slices, of three and of one of its seven parts, with a process on the second.
fn sliced() -> Scripted {
    board(0).counter(Duration::from_millis(1)).slice(SLICES[0], 3, &[]).slice(SLICES[1], 1, &[4_711])
}

#[test]
fn a_slice_is_its_part_of_the_board_s_energy_within_nothing_and_the_whole() {
    let machine = Machine::new([sliced()]);
    let mut nvml = machine.open(Some(SLICES[0]));
    assert_eq!(nvml.gaps(), Vec::<String>::new());
    let [component] = &nvml.components()[..] else { panic!("one slice") };
    assert_eq!((component.id.as_str(), component.name.as_str()), (SLICES[0], "NVIDIA H200 (3 of 7 slices)"));
    assert!((component.share - 3.0 / 7.0).abs() < 1e-12);
    assert_eq!(
        component.board.as_ref().map(|board| (board.cuda, board.pci.as_str())),
        Some((Some(0), "00000000:07:00.0"))
    );
    assert!(
        component.note.as_ref().is_some_and(|note| note.starts_with("3 of 7 parts of the whole board's"))
    );
    let start = joules(nvml.read(0, Duration::ZERO));
    machine.clock.set_millis(10_300).unwrap();
    let used = joules(nvml.read(0, Duration::ZERO)) - start;
    // The board uses 2,020 J in ten rounds.
    assert!((used - 2_020.0 * 3.0 / 7.0).abs() < 1e-6, "{used}");
    let used = Energy::from_joules(used);
    assert!(component.tolerance.low(used).joules().abs() < 1e-9);
    assert!((component.tolerance.high(used).joules() - 2_020.0 / 0.95).abs() < 1e-6);
}

#[test]
fn each_slice_has_its_own_processes() {
    let machine = Machine::new([sliced()]);
    let mut nvml = machine.open(Some("MIG-22,MIG-11"));
    assert_eq!([0, 1].map(|index| nvml.processes(index)), [Some(vec![4_711]), Some(vec![])]);
}

#[test]
fn a_board_in_slices_is_its_slices_and_which_one_cuda_takes_is_said_to_be_uncertain() {
    let machine = Machine::new([sliced(), board(1).counter(Duration::from_millis(1))]);
    let nvml = machine.open(None);
    let boards = nvml.components().into_iter().filter_map(|component| component.board);
    let boards: Vec<_> = boards.map(|board| (board.uuid, board.cuda)).collect();
    let expected = [(SLICES[0], Some(0)), (SLICES[1], None), (UUIDS[1], Some(1))];
    assert_eq!(boards, expected.map(|(uuid, cuda)| (uuid.to_owned(), cuda)));
    let [gap] = &nvml.gaps[..] else { panic!("one gap: {:?}", nvml.gaps) };
    assert!(gap.contains("cut into slices") && gap.contains("nvidia-smi -L"), "{gap}");
}

#[test]
fn a_board_that_is_to_be_cut_and_is_not_is_named_and_not_measured() {
    let machine = Machine::new([board(0).counter(Duration::from_millis(1)).mig(true)]);
    let nvml = machine.open(None);
    assert!(
        nvml.gaps.iter().any(|gap| gap.contains(UUIDS[0]) && gap.contains("no slice")),
        "{:?}",
        nvml.gaps
    );
}

#[test]
fn a_superchip_s_counter_holds_processor_and_memory_and_its_power_readings_do_not() {
    let superchip = |name: &str| Scripted::new(UUIDS[0], "0009:01:00.0", name).power(Duration::ZERO, 500);
    let machine = Machine::new([superchip("NVIDIA GH200 480GB").instant().counter(Duration::from_millis(1))]);
    let mut nvml = machine.open(None);
    assert_eq!(nvml.holds(), [Kind::Cpu, Kind::Memory]);
    assert!(nvml.components()[0].note.as_ref().is_some_and(|note| note.contains("are in it")));
    assert_eq!(nvml.power(0), None);
    assert!(nvml.gaps()[0].contains("not counted on their own"), "{:?}", nvml.gaps());

    let without_counter = Machine::new([superchip("NVIDIA GH200 480GB").instant()]).open(None);
    assert_eq!((without_counter.holds(), &without_counter.components()[0].note), (&[][..], &None));
    let blackwell = Machine::new([superchip("NVIDIA GB200").counter(Duration::from_millis(1))]).open(None);
    assert!(blackwell.holds().is_empty());
    assert!(blackwell.components()[0].note.as_ref().is_some_and(|note| note.contains("nobody says")));
}
