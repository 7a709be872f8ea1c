//! Tests with file trees as the drivers create them for real GPUs. The figures are computed by hand.

use sootprint_core::{MeasurementMethod, Power};

use super::super::sysfs::fixture::SysfsFixture;
use super::*;
use crate::accumulator::EnergyAccumulator;
use crate::gpu::DeviceId;

const AMD: &str = "0x1002";
const INTEL: &str = "0x8086";

/// The device of a GPU, and its hwmon folder with a link to it.
fn add_gpu(tree: &SysfsFixture, pci: &str, number: [&str; 2], hwmon: &str, files: &[(&str, &str)]) {
    let device = format!("devices/pci0000:00/{pci}");
    let hwmon = format!("class/hwmon/{hwmon}");
    tree.write_files(&device, &[("vendor", number[0]), ("device", number[1])]);
    tree.write_files(&hwmon, files).symlink(&format!("{hwmon}/device"), tree.path(&device));
}

fn open_hwmon(tree: &SysfsFixture) -> Hwmon {
    Hwmon::open(&tree.path("class/hwmon"), &RocmDevices::default())
}

fn read_first(hwmon: &mut Hwmon) -> Result<SensorReading, ReadError> {
    hwmon.read(0, Duration::ZERO)
}

fn watts(watts: f64) -> Power {
    Power::from_watts(watts)
}

fn add_radeon(tree: &SysfsFixture) {
    let files = [("name", "amdgpu"), ("power1_average", "87000000"), ("power1_cap", "203000000")];
    add_gpu(tree, "0000:03:00.0", [AMD, "0x73bf"], "hwmon4", &files);
}

#[test]
fn radeon_average_power_is_used() {
    let tree = SysfsFixture::new();
    add_radeon(&tree);
    let mut hwmon = open_hwmon(&tree);
    let component = &hwmon.components()[0];
    assert_eq!((component.kind, component.method), (ComponentKind::Gpu, MeasurementMethod::Integrated));
    assert_eq!(
        (component.name.as_str(), component.id.as_str()),
        ("AMD GPU [1002:73bf]", "GPU-pci-0000:03:00.0")
    );
    assert_eq!(component.limit, Some(watts(203.0)));
    assert_eq!(hwmon.cadence(0).interval(Duration::ZERO), POWER_CADENCE);
    assert_eq!(read_first(&mut hwmon), Ok(SensorReading::Averaged { mean: watts(87.0), window: None }));
    tree.write_files("class/hwmon/hwmon4", &[("power1_average", "187500000")]);
    assert_eq!(read_first(&mut hwmon), Ok(SensorReading::Averaged { mean: watts(187.5), window: None }));
}

#[test]
fn instinct_instant_power_is_used() {
    let tree = SysfsFixture::new();
    let files = [("name", "amdgpu"), ("power1_input", "145000000"), ("power1_cap", "750000000")];
    add_gpu(&tree, "0000:c5:00.0", [AMD, "0x74a1"], "hwmon9", &files);
    let device = "devices/pci0000:00/0000:c5:00.0";
    tree.write_files(
        device,
        &[("unique_id", "1f2e3d4c5b6a7988"), ("product_name", "AMD Instinct MI300X OAM")],
    );
    let mut hwmon = open_hwmon(&tree);
    let component = &hwmon.components()[0];
    assert_eq!(
        (component.name.as_str(), component.id.as_str()),
        ("AMD Instinct MI300X OAM", "GPU-1f2e3d4c5b6a7988")
    );
    assert_eq!(read_first(&mut hwmon), Ok(SensorReading::Instant(watts(145.0))));
}

#[test]
fn arc_counter_excludes_tile_counters() {
    let tree = SysfsFixture::new();
    let files = [
        ("name", "i915"),
        ("energy1_input", "5000000"),
        ("power1_max", "190000000"),
        ("power1_rated_max", "225000000"),
    ];
    add_gpu(&tree, "0000:03:00.0", [INTEL, "0x56a0"], "hwmon2", &files);
    let tile = [("name", "i915_gt0"), ("energy1_input", "4000000")];
    tree.write_files("class/hwmon/hwmon3", &tile)
        .symlink("class/hwmon/hwmon3/device", tree.path("devices/pci0000:00/0000:03:00.0"));
    let mut hwmon = open_hwmon(&tree);
    let [component] = &hwmon.components()[..] else { panic!("one GPU") };
    assert_eq!(
        (component.name.as_str(), component.method),
        ("Intel GPU [8086:56a0]", MeasurementMethod::Counter)
    );
    assert_eq!((component.limit, component.note.as_deref()), (Some(watts(190.0)), None));
    assert!(hwmon.is_ticking_counter(0));

    let component = component.clone();
    let mut accumulator = EnergyAccumulator::new([(&component, true)]);
    accumulator.record_reading(Duration::ZERO, 0, read_first(&mut hwmon));
    for (second, energy) in [(9, "1355000000"), (10, "1505000000")] {
        tree.write_files("class/hwmon/hwmon2", &[("energy1_input", energy)]);
        accumulator.record_reading(Duration::from_secs(second), 0, read_first(&mut hwmon));
    }
    let total = accumulator.totals(Duration::from_secs(10))[0];
    assert!((total.energy.joules() - 1_500.0).abs() < 1e-6, "{total:?}");
    // The ticks were not observed: at either end the counter may lag by 0.25 s of 190 W. Without power readings, it may
    // have stopped after the reading before the last.
    let lag = (2.0 * 0.25 + 1.0) * 190.0;
    assert!((total.low.joules() - (1_500.0 / 1.1 - lag)).abs() < 1e-6, "{total:?}");
    assert!((total.high.joules() - (1_500.0 / 0.9 + lag)).abs() < 1e-6, "{total:?}");
}

#[test]
fn xe_package_counter_is_noted() {
    let tree = SysfsFixture::new();
    let card = [("name", "xe"), ("energy1_input", "7000000"), ("energy2_input", "6000000")];
    add_gpu(&tree, "0000:03:00.0", [INTEL, "0xe20b"], "hwmon1", &card);
    let package =
        [("name", "xe"), ("energy2_input", "9000000"), ("power2_max", "0"), ("power2_cap", "228000000")];
    add_gpu(&tree, "0000:04:00.0", [INTEL, "0x56a0"], "hwmon0", &package);
    let mut hwmon = open_hwmon(&tree);
    let components = hwmon.components();
    assert_eq!(components[0].note, None);
    assert!(components[1].note.as_ref().is_some_and(|note| note.contains("package")));
    assert_eq!(components[1].limit, Some(watts(228.0)));
    let joules = [0, 1].map(|index| match hwmon.read(index, Duration::ZERO) {
        Ok(SensorReading::Counter(energy)) => energy.joules().to_string(),
        other => panic!("{other:?} is no counter"),
    });
    assert_eq!(joules, ["7", "9"]);
}

#[test]
fn gpus_are_sorted_by_pci_address() {
    let tree = SysfsFixture::new();
    let files = [("name", "amdgpu"), ("power1_average", "20000000")];
    add_gpu(&tree, "0000:83:00.0", [AMD, "0x740f"], "hwmon1", &files);
    add_gpu(&tree, "0000:03:00.0", [AMD, "0x740f"], "hwmon7", &files);
    let gpus: Vec<GpuInfo> =
        open_hwmon(&tree).components().into_iter().filter_map(|component| component.gpu).collect();
    let addresses: Vec<&str> = gpus.iter().map(|gpu| gpu.pci.as_str()).collect();
    assert_eq!(addresses, ["0000:03:00.0", "0000:83:00.0"]);
    assert_eq!(DeviceId::Pci("00000000:83:00.0".into()).position_in(&gpus), Some(1));
    assert_eq!(DeviceId::CudaOrdinal(0).position_in(&gpus), None, "none is a CUDA device");
}

#[test]
fn integrated_gpu_is_not_counted() {
    let tree = SysfsFixture::new();
    let files = [("name", "amdgpu"), ("power1_input", "35000000"), ("in1_label", "vddnb")];
    add_gpu(&tree, "0000:c1:00.0", [AMD, "0x15bf"], "hwmon3", &files);
    let hwmon = open_hwmon(&tree);
    assert_eq!(hwmon.components(), []);
    assert_eq!(hwmon.gaps(), Vec::<String>::new());
    assert!(hwmon.integrated_gpus()[0].contains("0000:c1:00.0"), "{:?}", hwmon.integrated_gpus());
}

#[test]
fn mi300a_includes_cpu() {
    let tree = SysfsFixture::new();
    let files = [("name", "amdgpu"), ("power1_input", "340000000")];
    add_gpu(&tree, "0000:01:00.0", [AMD, "0x74a0"], "hwmon3", &files);
    let hwmon = open_hwmon(&tree);
    assert_eq!(hwmon.components()[0].includes, [ComponentKind::Cpu]);
    assert!(hwmon.components()[0].note.as_ref().is_some_and(|note| note.contains("CPU")));
}

#[test]
fn unrelated_hwmon_entries_are_ignored() {
    let tree = SysfsFixture::new();
    assert_eq!(open_hwmon(&tree).components(), []);
    let nouveau = [("name", "nouveau"), ("power1_input", "20000000")];
    add_gpu(&tree, "0000:01:00.0", ["0x10de", "0x2204"], "hwmon0", &nouveau);
    tree.write_files("class/hwmon/hwmon1", &[("name", "k10temp"), ("temp1_input", "40000")]);
    tree.write_files("class/hwmon/hwmon2", &[]);
    let hwmon = open_hwmon(&tree);
    assert_eq!((hwmon.components(), hwmon.gaps()), (vec![], vec![]));
}

#[test]
fn gpu_without_sensor_is_reported() {
    let tree = SysfsFixture::new();
    add_gpu(
        &tree,
        "0000:01:00.0",
        [AMD, "0x6611"],
        "hwmon0",
        &[("name", "amdgpu"), ("temp1_input", "40000")],
    );
    // The second half of an MI250X, whose power is reported on the first.
    add_gpu(&tree, "0000:02:00.0", [AMD, "0x7408"], "hwmon1", &[("name", "amdgpu"), ("power1_average", "0")]);
    let hwmon = open_hwmon(&tree);
    assert_eq!(hwmon.components(), []);
    let gaps = hwmon.gaps();
    assert!(gaps[0].contains("0000:01:00.0") && gaps[0].contains("no energy or power file"), "{gaps:?}");
    assert!(gaps[1].contains("0000:02:00.0") && gaps[1].contains("0 W"), "{gaps:?}");
}

#[test]
fn failing_sensor_falls_back_to_next() {
    let tree = SysfsFixture::new();
    add_radeon(&tree);
    tree.write_files("class/hwmon/hwmon4", &[("power1_input", "90000000")])
        .make_unreadable("class/hwmon/hwmon4/power1_average");
    assert_eq!(read_first(&mut open_hwmon(&tree)), Ok(SensorReading::Instant(watts(90.0))));
}

#[test]
fn suspended_gpu_is_not_woken() {
    let tree = SysfsFixture::new();
    add_radeon(&tree);
    let power = "devices/pci0000:00/0000:03:00.0/power";
    tree.write_files(power, &[("runtime_status", "suspended")]);
    let mut hwmon = open_hwmon(&tree);
    let error = read_first(&mut hwmon).unwrap_err();
    assert!(error == ReadError::Suspended, "{error}");
    tree.write_files(power, &[("runtime_status", "active")]);
    assert_eq!(read_first(&mut hwmon), Ok(SensorReading::Averaged { mean: watts(87.0), window: None }));
}

#[test]
fn removed_gpu_is_reported_lost() {
    let tree = SysfsFixture::new();
    add_radeon(&tree);
    let mut hwmon = open_hwmon(&tree);
    tree.make_unreadable("class/hwmon/hwmon4/power1_average");
    assert!(matches!(read_first(&mut hwmon), Err(ReadError::Failed(_))));
    tree.remove_dir("class/hwmon/hwmon4");
    assert!(matches!(read_first(&mut hwmon), Err(ReadError::Lost(_))));
    assert!(matches!(hwmon.read(9, Duration::ZERO), Err(ReadError::Failed(_))));
}

#[test]
fn rocm_ordinals_skip_hidden_gpus() {
    let tree = SysfsFixture::new();
    add_radeon(&tree);
    let files = [("name", "amdgpu"), ("power1_input", "145000000")];
    add_gpu(&tree, "0000:c5:00.0", [AMD, "0x74a1"], "hwmon9", &files);
    let node = |name: &str, location: &str| {
        let folder = format!("class/kfd/kfd/topology/nodes/{name}");
        tree.write_files(&folder, &[("gpu_id", "7"), ("properties", location)]);
    };
    node("1", "location_id 50432\ndomain 0");
    node("2", "location_id 768\ndomain 0");
    let topology = tree.path("class/kfd/kfd/topology/nodes");
    let ordinals = |hidden: Option<&str>| -> Vec<(String, Option<usize>)> {
        let rocm = RocmDevices::new(&topology, |name| {
            hidden.filter(|_| name == "HIP_VISIBLE_DEVICES").map(str::to_owned)
        });
        let components = Hwmon::open(&tree.path("class/hwmon"), &rocm).components();
        components.into_iter().filter_map(|it| it.gpu.map(|gpu| (gpu.pci, gpu.rocm))).collect()
    };
    let named = |pci: &str, ordinal| (pci.to_owned(), Some(ordinal));
    assert_eq!(ordinals(None), [named("0000:03:00.0", 1), named("0000:c5:00.0", 0)]);
    assert_eq!(ordinals(Some("1")), [named("0000:03:00.0", 0)]);
}
