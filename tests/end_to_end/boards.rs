//! Runs on a scripted NVML library: the energy is the script's, worked out on paper.

use std::path::PathBuf;
use std::time::Duration;

use sootprint::{Claim, ComponentSummary, Footprint, Kind, Method, Run};

use nvidia_ml::{Board, Script, VirtualClock, install};

const UUIDS: [&str; 2] =
    ["GPU-aaaaaaaa-0000-0000-0000-000000000000", "GPU-bbbbbbbb-0000-0000-0000-000000000000"];

/// A board that always draws the same, with a counter.
fn steady(index: usize, watts: u32) -> Board {
    Board::new(UUIDS[index], format!("0000:{:02x}:00.0", 7 + index), "NVIDIA H200")
        .limit(700)
        .power(Duration::ZERO, watts)
        .counter(Duration::from_millis(1))
}

/// An NVML library with scripted boards; the meter lives in the boards' time.
struct Machine {
    folder: tempfile::TempDir,
    boards_clock: VirtualClock,
    meters_clock: sootprint::VirtualClock,
    library: PathBuf,
}

impl Machine {
    fn new(boards: impl IntoIterator<Item = Board>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let boards_clock = VirtualClock::new(folder.path().join("clock")).unwrap();
        let script = boards.into_iter().fold(Script::new().virtual_clock(&boards_clock), Script::board);
        let library = install(&script, folder.path()).unwrap();
        Self { folder, boards_clock, meters_clock: sootprint::VirtualClock::default(), library }
    }

    fn start(&self) -> Run {
        let clock = self.meters_clock.clone();
        Run::pre_training(self.folder.path().join("run")).nvml(&self.library).clock(clock).start()
    }

    /// Lets time pass, in which the meter reads the boards as often as it would.
    fn pass(&self, run: &Run, millis: u64) {
        for _ in 0..millis / 200 {
            self.advance(200);
            assert!(run.handle().settle(Duration::from_secs(10)));
        }
        self.advance(millis % 200);
    }

    fn advance(&self, millis: u64) {
        let now = self.meters_clock.now() + Duration::from_millis(millis);
        self.boards_clock.set_millis(now.as_millis() as u64).unwrap();
        self.meters_clock.advance(Duration::from_millis(millis));
    }
}

fn boards(footprint: &Footprint) -> Vec<&ComponentSummary> {
    footprint.components.iter().filter(|component| component.kind == Kind::Gpu).collect()
}

fn joules(board: &ComponentSummary) -> f64 {
    board.energy.joules().round()
}

#[test]
fn two_boards_count_in_full_and_beside_the_modelled_processor() {
    let machine = Machine::new([steady(0, 300), steady(1, 500)]);
    let run = machine.start();
    machine.pass(&run, 10_000);
    let footprint = run.finish();
    let energies: Vec<_> =
        boards(&footprint).into_iter().map(|board| (board.method, joules(board))).collect();
    assert_eq!(energies, [(Some(Method::Counter), 3_000.0), (Some(Method::Counter), 5_000.0)]);
    assert_eq!(footprint.energy.gpu.joules().round(), 8_000.0);
    assert_eq!(footprint.hardware, "2 x NVIDIA H200");
    let parts = footprint.energy.gpu + footprint.energy.cpu + footprint.energy.memory;
    assert!((parts - footprint.energy.total).joules().abs() < 1e-6);
}

#[test]
fn only_the_claimed_board_counts_by_number_uuid_or_address() {
    let claims = [Claim::CudaOrdinal(1), Claim::Uuid(UUIDS[1].into()), Claim::Pci("00000000:08:00.0".into())];
    for claim in claims {
        let machine = Machine::new([steady(0, 300), steady(1, 500)]);
        let run = machine.start();
        run.handle().claim([claim.clone()]);
        machine.pass(&run, 10_000);
        let footprint = run.finish();
        let counted: Vec<_> =
            boards(&footprint).into_iter().map(|board| (board.id.as_str(), joules(board))).collect();
        assert_eq!(counted, [(UUIDS[1], 5_000.0)], "{claim:?}");
    }
}

#[test]
fn without_a_claim_the_board_of_this_process_counts_and_a_neighbour_s_does_not() {
    let neighbour = 1; // The first process of any machine is not one of ours.
    let machine = Machine::new([
        steady(0, 300).process(neighbour),
        steady(1, 500).process(std::process::id()).process(neighbour),
    ]);
    let run = machine.start();
    machine.pass(&run, 10_000);
    let footprint = run.finish();
    let counted: Vec<_> =
        boards(&footprint).into_iter().map(|it| (it.id.as_str(), joules(it), it.shared)).collect();
    assert_eq!(counted, [(UUIDS[1], 5_000.0, true)]);
}

#[test]
fn a_lost_board_keeps_its_energy_and_is_told_and_the_other_goes_on() {
    let machine = Machine::new([steady(0, 300).lost(Duration::from_secs(5)), steady(1, 500)]);
    let run = machine.start();
    machine.pass(&run, 10_000);
    let footprint = run.finish();
    let energies: Vec<_> = boards(&footprint).into_iter().map(joules).collect();
    // The last good reading was 200 ms before the loss.
    assert_eq!(energies, [1_440.0, 5_000.0]);
    let told = footprint.notes.iter().find(|note| note.contains(UUIDS[0])).unwrap();
    assert!(told.contains("lost"), "{told}");
    let lost = boards(&footprint)[0];
    assert!((lost.measured_s - 4.8).abs() < 1e-6 && (lost.unmeasured_s - 5.2).abs() < 1e-6, "{lost:?}");
    // Nobody saw the counter tick on this clock: at either end it may lag by a quarter of a second at the limit.
    let lag = 2.0 * 0.25 * 700.0;
    assert_eq!(lost.high.joules().round(), (1_440.0_f64 / 0.95 + 700.0 * 5.2 + lag).round());
}

#[test]
fn a_counter_that_restarts_is_reported_and_bridged_by_the_power() {
    let machine = Machine::new([steady(0, 300).counter_start(5_000).reset(Duration::from_millis(5_130))]);
    let run = machine.start();
    machine.pass(&run, 10_000);
    let footprint = run.finish();
    let board = boards(&footprint)[0];
    assert_eq!(board.resets, 1);
    assert!((joules(board) / 3_000.0 - 1.0).abs() <= 0.01, "{} J, of 3,000 J in truth", joules(board));
    assert!(footprint.notes.iter().any(|note| note.contains("began again")), "{:?}", footprint.notes);
}

#[test]
fn a_library_that_is_not_there_is_named_and_the_rest_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::pre_training(folder.path()).nvml("/nowhere/libnvidia-ml.so.1").start();
    let footprint = run.finish();
    assert!(
        footprint.notes.iter().any(|note| note.contains("/nowhere/libnvidia-ml.so.1")),
        "{:?}",
        footprint.notes
    );
    assert!(boards(&footprint).is_empty());
}
