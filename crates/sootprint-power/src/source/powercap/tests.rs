//! Tests with file trees as the kernel creates them on real machines. The figures are computed by hand.

use super::super::sysfs::fixture::SysfsFixture;
use super::*;

mod accumulation;

const XEON: &str =
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 85\nmodel name\t: Intel(R) Xeon(R) 6248\n";
const EPYC: &str =
    "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9654 96-Core Processor\n";

/// The range of a package counter on most Xeons, in microjoules.
const RANGE: &str = "262143328850";

/// A zone that shows an energy in joules.
fn add_zone(tree: &SysfsFixture, zone: &str, name: &str, joules: u64) {
    tree.write_files(zone, &[("name", name), ("max_energy_range_uj", RANGE)]);
    set_energy(tree, zone, joules);
}

fn set_energy(tree: &SysfsFixture, zone: &str, joules: u64) {
    tree.write_files(zone, &[("energy_uj", &(joules * 1_000_000).to_string())]);
}

fn open_powercap(tree: &SysfsFixture, cpuinfo: &str, share: f64) -> Powercap {
    Powercap::open(&tree.path(""), cpuinfo, share).unwrap()
}

fn counter_joules(source: &mut Powercap, index: usize, second: u64) -> f64 {
    match source.read(index, Duration::from_secs(second)) {
        Ok(SensorReading::Counter(energy)) => energy.joules(),
        other => panic!("{other:?} is no counter"),
    }
}

/// The id of each component and the energy that it used within ten seconds.
fn energy_used(source: &mut Powercap, advance: impl FnOnce()) -> Vec<(String, f64)> {
    let names: Vec<String> = source.components().into_iter().map(|component| component.id).collect();
    let before: Vec<f64> = (0..names.len()).map(|index| counter_joules(source, index, 0)).collect();
    advance();
    let after = (0..names.len()).map(|index| counter_joules(source, index, 10));
    let used: Vec<f64> = after.zip(before).map(|(after, before)| after - before).collect();
    names.into_iter().zip(used).collect()
}

fn assert_used(used: &[(String, f64)], expected: &[(&str, f64)]) {
    let close =
        |(one, other): (&(String, f64), &(&str, f64))| one.0 == other.0 && (one.1 - other.1).abs() < 1e-6;
    assert!(
        used.len() == expected.len() && used.iter().zip(expected).all(close),
        "{used:?}, not {expected:?}"
    );
}

/// Two sockets, each with its memory, and the whole machine.
fn dual_socket_server() -> SysfsFixture {
    let tree = SysfsFixture::new();
    tree.write_files("intel-rapl", &[("enabled", "1")]);
    for (package, joules) in [("0", 1_000), ("1", 5_000)] {
        add_zone(&tree, &format!("intel-rapl:{package}"), &format!("package-{package}"), joules);
        add_zone(&tree, &format!("intel-rapl:{package}:0"), "dram", joules / 10);
    }
    add_zone(&tree, "intel-rapl:2", "psys", 90_000);
    tree
}

#[test]
fn dual_socket_energy_is_summed() {
    let tree = dual_socket_server();
    let mut source = open_powercap(&tree, XEON, 0.5);
    assert_eq!(source.gaps(), Vec::<String>::new());
    let cpu = &source.components()[0];
    assert_eq!((cpu.kind, cpu.name.as_str()), (ComponentKind::Cpu, "Intel(R) Xeon(R) 6248"));
    assert_eq!(cpu.method, MeasurementMethod::Counter);
    let used = energy_used(&mut source, || {
        // 200 W and 100 W; 15 W and 5 W; psys includes them all.
        set_energy(&tree, "intel-rapl:0", 3_000);
        set_energy(&tree, "intel-rapl:1", 6_000);
        set_energy(&tree, "intel-rapl:0:0", 250);
        set_energy(&tree, "intel-rapl:1:0", 550);
        set_energy(&tree, "intel-rapl:2", 94_000);
    });
    assert_used(&used, &[("cpu", 1_500.0), ("memory", 100.0)]);
}

#[test]
fn power_limit_needs_every_package() {
    let tree = dual_socket_server();
    let limit = |tree: &SysfsFixture| open_powercap(tree, XEON, 0.5).components()[0].limit.map(Power::watts);
    assert_eq!(limit(&tree), None);
    let constraints = [
        ("enabled", "1"),
        ("constraint_0_name", "long_term"),
        ("constraint_0_power_limit_uw", "150000000"),
        ("constraint_1_name", "short_term"),
        ("constraint_1_power_limit_uw", "180000000"),
    ];
    tree.write_files("intel-rapl:0", &constraints);
    assert_eq!(limit(&tree), None, "the second package has none");
    tree.write_files("intel-rapl:1", &constraints);
    assert_eq!(limit(&tree), Some(180.0));
    tree.write_files("intel-rapl:1", &[("constraint_1_power_limit_uw", "4095000000")]);
    assert_eq!(limit(&tree), None, "firmware without a limit");
    tree.write_files("intel-rapl:1", &[("constraint_1_power_limit_uw", "180000000"), ("enabled", "0")]);
    assert_eq!(limit(&tree), None, "not enforced");
}

#[test]
fn subzones_and_mirrors_are_excluded() {
    let tree = SysfsFixture::new();
    let zones = [
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "uncore"),
        ("intel-rapl:1", "psys"),
        ("intel-rapl-mmio:0", "package-0"),
    ];
    zones.iter().for_each(|(path, name)| add_zone(&tree, path, name, 100));
    let mut source = open_powercap(&tree, XEON, 1.0);
    let used = energy_used(&mut source, || zones.iter().for_each(|(path, _)| set_energy(&tree, path, 350)));
    assert_used(&used, &[("cpu", 250.0)]);
}

#[test]
fn amd_packages_have_no_memory() {
    let tree = SysfsFixture::new();
    for package in ["0", "1"] {
        add_zone(&tree, &format!("intel-rapl:{package}"), &format!("package-{package}"), 100);
        add_zone(&tree, &format!("intel-rapl:{package}:0"), "core", 100);
    }
    let mut source = open_powercap(&tree, EPYC, 1.0);
    assert_eq!(source.components()[0].name, "AMD EPYC 9654 96-Core Processor");
    let used = energy_used(&mut source, || {
        set_energy(&tree, "intel-rapl:0", 2_100);
        set_energy(&tree, "intel-rapl:1", 1_100);
        set_energy(&tree, "intel-rapl:0:0", 900);
    });
    assert_used(&used, &[("cpu", 3_000.0)]);
}

#[test]
fn amd_dies_count_once_per_package() {
    // As Linux 6.9 shows two sockets of eight dies, numbered in hexadecimal.
    let tree = SysfsFixture::new();
    let zones: Vec<(String, u32)> = (0..16).map(|die| (format!("intel-rapl:{die:x}"), die / 8)).collect();
    for (die, (path, package)) in zones.iter().enumerate() {
        add_zone(&tree, path, &format!("package-{package}-die-{}", die % 8), 100);
    }
    let mut source = open_powercap(&tree, EPYC, 1.0);
    let used = energy_used(&mut source, || {
        zones
            .iter()
            .for_each(|(path, package)| set_energy(&tree, path, if *package == 0 { 2_100 } else { 1_100 }));
    });
    assert_used(&used, &[("cpu", 3_000.0)]);
}

#[test]
fn intel_dies_are_summed() {
    let tree = SysfsFixture::new();
    for (number, die) in ["0-die-0", "0-die-1", "1-die-0", "1-die-1"].iter().enumerate() {
        add_zone(&tree, &format!("intel-rapl:{number}"), &format!("package-{die}"), 100);
        add_zone(&tree, &format!("intel-rapl:{number}:0"), "dram", 10);
    }
    let mut source = open_powercap(&tree, XEON, 1.0);
    let used = energy_used(&mut source, || {
        for number in 0..4 {
            set_energy(&tree, &format!("intel-rapl:{number}"), 1_100 + number);
            set_energy(&tree, &format!("intel-rapl:{number}:0"), 30);
        }
    });
    assert_used(&used, &[("cpu", 4_006.0), ("memory", 80.0)]);
}

#[test]
fn duplicate_package_counts_once() {
    let tree = SysfsFixture::new();
    add_zone(&tree, "intel-rapl:0", "package-0", 100);
    tree.symlink("intel-rapl:1", tree.path("intel-rapl:0"));
    add_zone(&tree, "intel-rapl:2", "package-0", 100);
    let mut source = open_powercap(&tree, XEON, 1.0);
    let used = energy_used(&mut source, || {
        set_energy(&tree, "intel-rapl:0", 600);
        set_energy(&tree, "intel-rapl:2", 600);
    });
    assert_used(&used, &[("cpu", 500.0)]);
}

/// Root may read every file, so the permission error is simulated.
fn deny_energy_files(path: &Path) -> io::Result<u64> {
    if path.ends_with("energy_uj") { Err(io::ErrorKind::PermissionDenied.into()) } else { read_number(path) }
}

#[test]
fn permission_error_names_the_fix() {
    let tree = dual_socket_server();
    let source = Powercap::open_with(&tree.path(""), XEON, 1.0, deny_energy_files).unwrap();
    assert_eq!(source.components(), []);
    let [gap] = &source.gaps()[..] else { panic!("one gap, not {:?}", source.gaps()) };
    let root = tree.path("").display().to_string();
    for part in [
        &format!("{root}intel-rapl:0/energy_uj (permission denied)"),
        "modelled",
        "sudo chmod a+r ",
        "intel-rapl:*/energy_uj",
        "/etc/udev/rules.d/",
        "RUN+=\"/bin/chmod a+r /sys%p/energy_uj\"",
    ] {
        assert!(gap.contains(part), "{part} in {gap}");
    }
}

#[test]
fn unreadable_memory_keeps_package_energy() {
    let refuse_memory: ReadNumberFn = |path| {
        let is_memory = path.parent().is_some_and(|zone| zone.ends_with("intel-rapl:1:0"));
        if is_memory { Err(io::ErrorKind::PermissionDenied.into()) } else { read_number(path) }
    };
    let tree = dual_socket_server();
    let source = Powercap::open_with(&tree.path(""), XEON, 1.0, refuse_memory).unwrap();
    assert_eq!(source.components().len(), 1);
    assert!(source.gaps()[0].contains("intel-rapl:1:0/energy_uj"), "{:?}", source.gaps());
}

#[test]
fn unreadable_package_disables_cpu_component() {
    let tree = dual_socket_server();
    tree.make_unreadable("intel-rapl:1/energy_uj");
    let source = open_powercap(&tree, XEON, 1.0);
    let kinds: Vec<ComponentKind> = source.components().iter().map(|component| component.kind).collect();
    assert_eq!(kinds, [ComponentKind::Memory]);
    assert!(source.gaps()[0].contains("intel-rapl:1/energy_uj"), "{:?}", source.gaps());
    assert!(!source.gaps()[0].contains("chmod"), "not a permission problem: {:?}", source.gaps());
}

#[test]
fn partial_memory_zones_are_reported() {
    let tree = dual_socket_server();
    tree.remove_dir("intel-rapl:1:0");
    let source = open_powercap(&tree, XEON, 1.0);
    assert_eq!(source.components().len(), 1);
    assert!(source.gaps()[0].contains("1 of 2 CPU packages"), "{:?}", source.gaps());
}

#[test]
fn hidden_zones_differ_from_absent() {
    let tree = SysfsFixture::new();
    let open = || Powercap::open(&tree.path(""), XEON, 1.0).err();
    assert_eq!(open(), Some(RaplUnavailable::Absent { root: tree.path("") }));
    add_zone(&tree, "intel-rapl:0", "psys", 100);
    assert_eq!(open(), Some(RaplUnavailable::Absent { root: tree.path("") }), "no package in it");
    // A container engine mounts an empty folder over the target of the links.
    tree.write_files("intel-rapl:1", &[]);
    let hidden = open().unwrap();
    assert!(matches!(&hidden, RaplUnavailable::Hidden { path, .. } if path.ends_with("intel-rapl:1/name")));
    assert!(hidden.to_string().contains("systempaths=unconfined"), "{hidden}");
}
