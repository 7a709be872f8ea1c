//! On trees of files as the drivers make them for real boards. The figures are worked out by hand.

use sootprint_core::{Method, Power};

use super::super::sysfs::fixture::Tree;
use super::*;
use crate::boards::Claim;
use crate::tally::Tally;

const AMD: &str = "0x1002";
const INTEL: &str = "0x8086";

/// A board's device, and its folder of hwmon with a link to it.
fn board(tree: &Tree, pci: &str, number: [&str; 2], hwmon: &str, files: &[(&str, &str)]) {
    let device = format!("devices/pci0000:00/{pci}");
    let hwmon = format!("class/hwmon/{hwmon}");
    tree.folder(&device, &[("vendor", number[0]), ("device", number[1])]);
    tree.folder(&hwmon, files).link(&format!("{hwmon}/device"), tree.path(&device));
}

fn open(tree: &Tree) -> Hwmon {
    Hwmon::open(&tree.path("class/hwmon"), &RocmDevices::default())
}

fn read(hwmon: &mut Hwmon) -> Result<Reading, Unreadable> {
    hwmon.read(0, Duration::ZERO)
}

fn watts(watts: f64) -> Power {
    Power::from_watts(watts)
}

fn radeon(tree: &Tree) {
    let files = [("name", "amdgpu"), ("power1_average", "87000000"), ("power1_cap", "203000000")];
    board(tree, "0000:03:00.0", [AMD, "0x73bf"], "hwmon4", &files);
}

#[test]
fn a_radeon_s_averaged_power_is_taken_as_such() {
    let tree = Tree::new();
    radeon(&tree);
    let mut hwmon = open(&tree);
    let component = &hwmon.components()[0];
    assert_eq!((component.kind, component.method), (Kind::Gpu, Method::Integrated));
    assert_eq!(
        (component.name.as_str(), component.id.as_str()),
        ("AMD GPU [1002:73bf]", "GPU-pci-0000:03:00.0")
    );
    assert_eq!(component.limit, Some(watts(203.0)));
    assert_eq!(hwmon.cadence(0, Duration::ZERO), POWER_CADENCE);
    assert_eq!(read(&mut hwmon), Ok(Reading::Averaged { mean: watts(87.0), over: None }));
    tree.folder("class/hwmon/hwmon4", &[("power1_average", "187500000")]);
    assert_eq!(read(&mut hwmon), Ok(Reading::Averaged { mean: watts(187.5), over: None }));
}

#[test]
fn an_instinct_s_instant_power_is_taken_as_such_under_rocm_s_own_name() {
    let tree = Tree::new();
    let files = [("name", "amdgpu"), ("power1_input", "145000000"), ("power1_cap", "750000000")];
    board(&tree, "0000:c5:00.0", [AMD, "0x74a1"], "hwmon9", &files);
    let device = "devices/pci0000:00/0000:c5:00.0";
    tree.folder(device, &[("unique_id", "1f2e3d4c5b6a7988"), ("product_name", "AMD Instinct MI300X OAM")]);
    let mut hwmon = open(&tree);
    let component = &hwmon.components()[0];
    assert_eq!(
        (component.name.as_str(), component.id.as_str()),
        ("AMD Instinct MI300X OAM", "GPU-1f2e3d4c5b6a7988")
    );
    assert_eq!(read(&mut hwmon), Ok(Reading::Instant(watts(145.0))));
}

#[test]
fn an_arc_s_counter_is_preferred_and_its_tiles_are_not_added() {
    let tree = Tree::new();
    let files = [
        ("name", "i915"),
        ("energy1_input", "5000000"),
        ("power1_max", "190000000"),
        ("power1_rated_max", "225000000"),
    ];
    board(&tree, "0000:03:00.0", [INTEL, "0x56a0"], "hwmon2", &files);
    let tile = [("name", "i915_gt0"), ("energy1_input", "4000000")];
    tree.folder("class/hwmon/hwmon3", &tile)
        .link("class/hwmon/hwmon3/device", tree.path("devices/pci0000:00/0000:03:00.0"));
    let mut hwmon = open(&tree);
    let [component] = &hwmon.components()[..] else { panic!("one board") };
    assert_eq!((component.name.as_str(), component.method), ("Intel GPU [8086:56a0]", Method::Counter));
    assert_eq!((component.limit, component.note.as_deref()), (Some(watts(190.0)), None));
    assert!(hwmon.ticks(0));

    let component = component.clone();
    let mut tally = Tally::new([(&component, true)]);
    tally.observe(Duration::ZERO, 0, read(&mut hwmon));
    tree.folder("class/hwmon/hwmon2", &[("energy1_input", "1505000000")]);
    tally.observe(Duration::from_secs(10), 0, read(&mut hwmon));
    let total = tally.totals(Duration::from_secs(10))[0];
    assert!((total.energy.joules() - 1_500.0).abs() < 1e-6, "{total:?}");
    // The counter's ticks were not seen: at either end it may lag by 0.25 s of 190 W.
    let lag = 2.0 * 0.25 * 190.0;
    assert!((total.low.joules() - (1_500.0 / 1.1 - lag)).abs() < 1e-6, "{total:?}");
    assert!((total.high.joules() - (1_500.0 / 0.9 + lag)).abs() < 1e-6, "{total:?}");
}

#[test]
fn xe_counts_the_card_or_says_that_it_counts_less() {
    let tree = Tree::new();
    let card = [("name", "xe"), ("energy1_input", "7000000"), ("energy2_input", "6000000")];
    board(&tree, "0000:03:00.0", [INTEL, "0xe20b"], "hwmon1", &card);
    let package =
        [("name", "xe"), ("energy2_input", "9000000"), ("power2_max", "0"), ("power2_cap", "228000000")];
    board(&tree, "0000:04:00.0", [INTEL, "0x56a0"], "hwmon0", &package);
    let mut hwmon = open(&tree);
    let components = hwmon.components();
    assert_eq!(components[0].note, None);
    assert!(components[1].note.as_ref().is_some_and(|note| note.contains("package")));
    assert_eq!(components[1].limit, Some(watts(228.0)));
    let joules = [0, 1].map(|index| match hwmon.read(index, Duration::ZERO) {
        Ok(Reading::Counter(energy)) => energy.joules().to_string(),
        other => panic!("{other:?} is no counter"),
    });
    assert_eq!(joules, ["7", "9"]);
}

#[test]
fn boards_come_in_the_order_of_their_addresses_and_are_claimed_by_them() {
    let tree = Tree::new();
    let files = [("name", "amdgpu"), ("power1_average", "20000000")];
    board(&tree, "0000:83:00.0", [AMD, "0x740f"], "hwmon1", &files);
    board(&tree, "0000:03:00.0", [AMD, "0x740f"], "hwmon7", &files);
    let boards: Vec<Board> =
        open(&tree).components().into_iter().filter_map(|component| component.board).collect();
    let addresses: Vec<&str> = boards.iter().map(|board| board.pci.as_str()).collect();
    assert_eq!(addresses, ["0000:03:00.0", "0000:83:00.0"]);
    assert_eq!(Claim::Pci("00000000:83:00.0".into()).find(&boards), Some(1));
    assert_eq!(Claim::CudaOrdinal(0).find(&boards), None, "CUDA knows none of them");
}

#[test]
fn graphics_in_the_processor_s_package_are_not_counted_again() {
    let tree = Tree::new();
    let files = [("name", "amdgpu"), ("power1_input", "35000000"), ("in1_label", "vddnb")];
    board(&tree, "0000:c1:00.0", [AMD, "0x15bf"], "hwmon3", &files);
    let hwmon = open(&tree);
    assert_eq!(hwmon.components(), []);
    assert!(hwmon.gaps().is_empty() && !hwmon.holds_processor());
    assert!(hwmon.part_of_processor()[0].contains("0000:c1:00.0"), "{:?}", hwmon.part_of_processor());
}

#[test]
fn a_board_that_holds_the_processor_says_so() {
    let tree = Tree::new();
    let files = [("name", "amdgpu"), ("power1_input", "340000000")];
    board(&tree, "0000:01:00.0", [AMD, "0x74a0"], "hwmon3", &files);
    let hwmon = open(&tree);
    assert!(hwmon.holds_processor());
    assert!(hwmon.components()[0].note.as_ref().is_some_and(|note| note.contains("processor")));
    assert!(hwmon.gaps()[0].contains("0000:01:00.0"), "{:?}", hwmon.gaps());
}

#[test]
fn other_people_s_hwmon_and_none_at_all_are_no_boards() {
    let tree = Tree::new();
    assert_eq!(open(&tree).components(), []);
    let nouveau = [("name", "nouveau"), ("power1_input", "20000000")];
    board(&tree, "0000:01:00.0", ["0x10de", "0x2204"], "hwmon0", &nouveau);
    tree.folder("class/hwmon/hwmon1", &[("name", "k10temp"), ("temp1_input", "40000")]);
    tree.folder("class/hwmon/hwmon2", &[]);
    let hwmon = open(&tree);
    assert_eq!((hwmon.components(), hwmon.gaps()), (vec![], vec![]));
}

#[test]
fn a_board_without_a_sensor_that_answers_is_a_gap() {
    let tree = Tree::new();
    board(&tree, "0000:01:00.0", [AMD, "0x6611"], "hwmon0", &[("name", "amdgpu"), ("temp1_input", "40000")]);
    // The second half of an MI250X, whose power is told with the first.
    board(&tree, "0000:02:00.0", [AMD, "0x7408"], "hwmon1", &[("name", "amdgpu"), ("power1_average", "0")]);
    let hwmon = open(&tree);
    assert_eq!(hwmon.components(), []);
    let gaps = hwmon.gaps();
    assert!(gaps[0].contains("0000:01:00.0") && gaps[0].contains("neither energy nor power"), "{gaps:?}");
    assert!(gaps[1].contains("0000:02:00.0") && gaps[1].contains("0 W"), "{gaps:?}");
}

#[test]
fn a_sensor_that_does_not_answer_makes_room_for_the_next() {
    let tree = Tree::new();
    radeon(&tree);
    tree.folder("class/hwmon/hwmon4", &[("power1_input", "90000000")])
        .block("class/hwmon/hwmon4/power1_average");
    assert_eq!(read(&mut open(&tree)), Ok(Reading::Instant(watts(90.0))));
}

#[test]
fn a_board_that_sleeps_is_not_woken() {
    let tree = Tree::new();
    radeon(&tree);
    let power = "devices/pci0000:00/0000:03:00.0/power";
    tree.folder(power, &[("runtime_status", "suspended")]);
    let mut hwmon = open(&tree);
    let refusal = read(&mut hwmon).unwrap_err();
    assert!(matches!(&refusal, Unreadable::Failed(reason) if reason.contains("asleep")), "{refusal}");
    tree.folder(power, &[("runtime_status", "active")]);
    assert_eq!(read(&mut hwmon), Ok(Reading::Averaged { mean: watts(87.0), over: None }));
}

#[test]
fn a_board_that_is_gone_is_lost_and_one_that_errs_is_not() {
    let tree = Tree::new();
    radeon(&tree);
    let mut hwmon = open(&tree);
    tree.block("class/hwmon/hwmon4/power1_average");
    assert!(matches!(read(&mut hwmon), Err(Unreadable::Failed(_))));
    tree.remove("class/hwmon/hwmon4");
    assert!(matches!(read(&mut hwmon), Err(Unreadable::Lost(_))));
    assert!(matches!(hwmon.read(9, Duration::ZERO), Err(Unreadable::Failed(_))));
}

#[test]
fn rocm_s_numbers_are_the_boards_and_what_it_hides_is_not_read() {
    let tree = Tree::new();
    radeon(&tree);
    let files = [("name", "amdgpu"), ("power1_input", "145000000")];
    board(&tree, "0000:c5:00.0", [AMD, "0x74a1"], "hwmon9", &files);
    let node = |name: &str, location: &str| {
        let folder = format!("class/kfd/kfd/topology/nodes/{name}");
        tree.folder(&folder, &[("gpu_id", "7"), ("properties", location)]);
    };
    node("1", "location_id 50432\ndomain 0");
    node("2", "location_id 768\ndomain 0");
    let topology = tree.path("class/kfd/kfd/topology/nodes");
    let ordinals = |hidden: Option<&str>| -> Vec<(String, Option<usize>)> {
        let rocm = RocmDevices::new(&topology, |name| {
            hidden.filter(|_| name == "HIP_VISIBLE_DEVICES").map(str::to_owned)
        });
        let components = Hwmon::open(&tree.path("class/hwmon"), &rocm).components();
        components.into_iter().filter_map(|it| it.board.map(|board| (board.pci, board.rocm))).collect()
    };
    let named = |pci: &str, ordinal| (pci.to_owned(), Some(ordinal));
    assert_eq!(ordinals(None), [named("0000:03:00.0", 1), named("0000:c5:00.0", 0)]);
    assert_eq!(ordinals(Some("1")), [named("0000:03:00.0", 0)]);
}
