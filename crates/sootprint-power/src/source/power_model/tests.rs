#![expect(clippy::float_cmp, reason = "the same readings give the same figure to the last bit")]

use proptest::prelude::*;
use sootprint_core::Energy;

use super::coefficient::CoefficientRange;
use super::*;
use crate::job_limits::fixture::{HostFixture, lookup_variable};

/// `/proc/cpuinfo` of an x86 machine with its logical CPUs distributed over its packages.
fn x86_cpuinfo(name: &str, packages: usize, cpus: usize, flags: &str) -> String {
    let entry = |number: usize| {
        let package = number * packages / cpus;
        format!(
            "processor\t: {number}\nvendor_id\t: Vendor\nmodel name\t: {name}\nphysical id\t: {package}\nsiblings\t: {}\nflags\t\t: fpu {flags} sse2\n\n",
            cpus / packages
        )
    };
    (0..cpus).map(entry).collect()
}

/// `/proc/cpuinfo` of an Arm machine with a core designed by Arm, which has no model name.
fn arm_cpuinfo(part: &str, cpus: usize) -> String {
    let entry = |number| {
        format!(
            "processor\t: {number}\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n"
        )
    };
    (0..cpus).map(entry).collect()
}

fn open_model(machine: &HostFixture, variables: &[(&str, &str)]) -> PowerModel {
    open_model_without(&[], machine, variables)
}

fn open_model_without(
    excluded: &[ComponentKind],
    machine: &HostFixture,
    variables: &[(&str, &str)],
) -> PowerModel {
    let read_variable = |name: &str| lookup_variable(variables, name);
    PowerModel::open_at(
        machine.proc_dir(),
        &machine.sys_dir(),
        &machine.cgroup_dir(),
        excluded,
        &read_variable,
    )
    .unwrap()
}

/// The index of the CPU, unless it is excluded.
const CPU_INDEX: usize = 0;

fn modelled_joules(reading: Result<SensorReading, ReadError>) -> CoefficientRange {
    match reading {
        Ok(SensorReading::Modelled(energy)) => [energy.low, energy.best, energy.high].map(Energy::joules),
        other => panic!("{other:?} is not modelled"),
    }
}

/// The CPU energy of ten seconds in which each logical CPU is busy for this many hundredths of a second.
fn energy_over_ten_seconds(machine: &HostFixture, model: &mut PowerModel, ticks: &[u64]) -> CoefficientRange {
    let before = modelled_joules(model.read(CPU_INDEX, Duration::from_secs(100)));
    machine.set_cpu_ticks(ticks);
    let after = modelled_joules(model.read(CPU_INDEX, Duration::from_secs(110)));
    [0, 1, 2].map(|bound| after[bound] - before[bound])
}

#[track_caller]
fn assert_near(found: CoefficientRange, expected: CoefficientRange) {
    let is_near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6);
    assert!(is_near, "{found:?} is not {expected:?}");
}

fn note(model: &PowerModel, index: usize) -> String {
    model.components()[index].note.clone().unwrap()
}

const XEON: &str = "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz";

#[test]
fn dual_xeon_power_follows_load() {
    let machine = HostFixture::new(80, 384).with_file("proc/cpuinfo", &x86_cpuinfo(XEON, 2, 80, ""));
    let mut model = open_model(&machine, &[]);
    // 2 × 150 W × 10 s × 0.3; low × 0.6 × 0.1, high × 1.25 × 0.4.
    assert_near(energy_over_ten_seconds(&machine, &mut model, &[0; 80]), [180.0, 900.0, 1_500.0]);
    assert_near(energy_over_ten_seconds(&machine, &mut model, &[1_000; 80]), [1_800.0, 3_000.0, 3_750.0]);
    let components = model.components();
    assert_eq!(components[0].name, XEON);
    insta::assert_snapshot!(note(&model, 0), @"TDP: 2 x 150 W (90 to 187.5 W) at full load, 30 % (10 to 40 %) of that at idle; 80 of 80 logical CPUs, by load");
    // 384 GiB as twelve modules of 32 GiB.
    assert_near(modelled_joules(model.read(1, Duration::from_secs(10))), [180.0, 600.0, 1_200.0]);
    insta::assert_snapshot!(note(&model, 1), @"0.16 W (0.05 to 0.31 W) per GiB of memory allocated to the job, assuming 32 GiB modules");
}

#[test]
fn only_listed_cpus_count_as_busy() {
    let machine = HostFixture::new(80, 384)
        .with_file("proc/cpuinfo", &x86_cpuinfo(XEON, 2, 80, ""))
        .with_file("proc/self/status", "Cpus_allowed_list:\t0-19\n");
    let mut model = open_model(&machine, &[]);
    // A quarter of 300 W at idle, while the other three quarters are busy.
    let others = [[0; 20].as_slice(), &[1_000; 60]].concat();
    let [_, idle, _] = energy_over_ten_seconds(&machine, &mut model, &others);
    assert!((idle - 225.0).abs() < 1e-6, "{idle}");
    let [_, busy, _] = energy_over_ten_seconds(&machine, &mut model, &[1_000; 80]);
    assert!((busy - 750.0).abs() < 1e-6, "{busy}");
    insta::assert_snapshot!(note(&model, 0), @"TDP: 2 x 150 W (90 to 187.5 W) at full load, 30 % (10 to 40 %) of that at idle; 20 of 80 logical CPUs, by their own load");
}

#[test]
fn bare_metal_epyc_is_one_package() {
    let machine = HostFixture::new(128, 512)
        .with_file("proc/cpuinfo", &x86_cpuinfo("AMD EPYC 7763 64-Core Processor", 1, 128, ""));
    let mut model = open_model(&machine, &[]);
    // Half load: 280 W × 10 s × (0.3 + 0.7 / 2).
    let [_, best, _] = energy_over_ten_seconds(&machine, &mut model, &[500; 128]);
    assert!((best - 1_820.0).abs() < 1e-6, "{best}");
}

#[test]
fn guest_uses_watts_per_logical_cpu() {
    for name in ["Intel(R) Xeon(R) CPU @ 2.20GHz", "AMD EPYC 7763 64-Core Processor"] {
        let machine =
            HostFixture::new(4, 16).with_file("proc/cpuinfo", &x86_cpuinfo(name, 1, 4, "hypervisor"));
        let mut model = open_model(&machine, &[]);
        // 4 CPUs × 4 W × 10 s; low 0.6 × 500 / 384 W, high 253 / 24 W.
        assert_near(energy_over_ten_seconds(&machine, &mut model, &[0; 4]), [3.125, 48.0, 168.666_666_667]);
        assert_near(
            energy_over_ten_seconds(&machine, &mut model, &[1_000; 4]),
            [31.25, 160.0, 421.666_666_667],
        );
        assert!(note(&model, 0).starts_with("guest of a hypervisor: 4 W (0.78 to 10.54 W) per logical CPU"));
        assert!(note(&model, 1).contains("unknown in a guest"), "{}", note(&model, 1));
    }
}

#[test]
fn xen_guest_detected_by_type_file() {
    let bare = HostFixture::new(4, 16)
        .with_file("proc/cpuinfo", &x86_cpuinfo(XEON, 1, 4, ""))
        .with_file("sys/hypervisor/uevent", "");
    assert!(note(&open_model(&bare, &[]), 0).starts_with("TDP: 1 x 150 W"));
    let guest = bare.with_file("sys/hypervisor/type", "xen\n");
    assert!(note(&open_model(&guest, &[]), 0).starts_with("guest"));
}

/// 1.5 CPUs and 32 GiB of a host with 384 CPUs and 1 TiB.
#[test]
fn container_is_charged_its_quota() {
    let machine = HostFixture::new(384, 1024)
        .with_file("proc/cpuinfo", &x86_cpuinfo("AMD EPYC 9654 96-Core Processor", 2, 384, ""))
        .with_file("sys/fs/cgroup/cpu.max", "150000 100000\n")
        .with_file("sys/fs/cgroup/cpu.stat", "usage_usec 1000000\n")
        .with_file("sys/fs/cgroup/memory.max", "34359738368\n");
    let mut model = open_model(&machine, &[]);
    let before = modelled_joules(model.read(CPU_INDEX, Duration::from_secs(100)));
    machine.write_file("sys/fs/cgroup/cpu.stat", "usage_usec 16000000\n");
    machine.set_cpu_ticks(&[1_000; 384]);
    let after = modelled_joules(model.read(CPU_INDEX, Duration::from_secs(110)));
    // Its full quota: 1.5 × 720 W / 384 × 10 s. The rest of the machine works for others.
    assert_near([0, 1, 2].map(|bound| after[bound] - before[bound]), [16.875, 28.125, 35.156_25]);
    // Half of a module of 64 GiB.
    assert_near(modelled_joules(model.read(1, Duration::from_secs(10))), [15.0, 35.0, 50.0]);
    let components = model.components();
    assert_eq!(components[1].name, "32 GiB");
    assert!((components[0].share - 1.5 / 384.0).abs() < 1e-12);
    insta::assert_snapshot!(note(&model, 0), @"TDP: 2 x 360 W (216 to 450 W) at full load, 30 % (10 to 40 %) of that at idle; 1.5 of 384 logical CPUs, by the load of their control group");
    insta::assert_snapshot!(note(&model, 1), @"0.11 W (0.05 to 0.16 W) per GiB of memory allocated to the job, assuming 64 GiB modules; the machine has 1024 GiB");
}

#[test]
fn unconfined_job_gets_load_share() {
    let machine = HostFixture::new(80, 384).with_file("proc/cpuinfo", &x86_cpuinfo(XEON, 2, 80, ""));
    let slurm = [("SLURM_JOB_ID", "1"), ("SLURM_PROCID", "0"), ("SLURM_CPUS_ON_NODE", "20")];
    let mut model = open_model(&machine, &slurm);
    // 20 of 80 CPUs of a machine at half load: 75 W × 10 s × (0.3 + 0.7 / 2).
    let [_, best, _] = energy_over_ten_seconds(&machine, &mut model, &[[1_000; 40], [0; 40]].concat());
    assert!((best - 487.5).abs() < 1e-6, "{best}");
    assert!(note(&model, 0).ends_with("by their share of the machine's load"));
}

#[test]
fn laptop_may_draw_twice_its_tdp() {
    let machine = HostFixture::new(8, 16)
        .with_file("proc/cpuinfo", &x86_cpuinfo("11th Gen Intel(R) Core(TM) i7-1185G7 @ 3.00GHz", 1, 8, ""));
    let mut model = open_model(&machine, &[]);
    // 28 W × 10 s, low × 0.6, high × 253 / 125.
    assert_near(energy_over_ten_seconds(&machine, &mut model, &[1_000; 8]), [168.0, 280.0, 566.72]);
}

#[test]
fn graviton_identified_by_core_and_vendor() {
    let amazon = |product: &str| {
        HostFixture::new(64, 128)
            .with_file("proc/cpuinfo", &arm_cpuinfo("0xd40", 64))
            .with_file("sys/class/dmi/id/sys_vendor", "Amazon EC2\n")
            .with_file("sys/class/dmi/id/product_name", product)
    };
    let metal = amazon("c7g.metal\n");
    let mut model = open_model(&metal, &[]);
    assert_eq!(model.components()[0].name, "AWS Graviton3");
    // 100 W, which Amazon has not published: low × 0.6 × 0.5, high × 1.25 × 2.
    assert_near(energy_over_ten_seconds(&metal, &mut model, &[1_000; 64]), [300.0, 1_000.0, 2_500.0]);
    assert!(note(&model, 0).starts_with("TDP, unpublished: 1 x 100 W (30 to 250 W)"));

    let guest = amazon("c7g.16xlarge\n");
    let mut model = open_model(&guest, &[]);
    assert_eq!(model.components()[0].name, "AWS Graviton3");
    // 64 CPUs × 250 / 128 W; low 1 W, high 6 W.
    assert_near(energy_over_ten_seconds(&guest, &mut model, &[1_000; 64]), [640.0, 1_250.0, 3_840.0]);
}

#[test]
fn arm_model_unknown_inside_guest() {
    let altra = |vendor: &str| {
        let machine = HostFixture::new(160, 512)
            .with_file("proc/cpuinfo", &arm_cpuinfo("0xd0c", 160))
            .with_file("sys/class/dmi/id/sys_vendor", vendor);
        (0..160).fold(machine, |machine, number| {
            let file = format!("sys/devices/system/cpu/cpu{number}/topology/physical_package_id");
            machine.with_file(&file, if number < 80 { "36\n" } else { "256\n" })
        })
    };
    let bare = open_model(&altra("GIGABYTE\n"), &[]);
    assert_eq!(bare.components()[0].name, "Ampere Altra");
    // 210 W; as an estimate low × 0.6 × 0.75, high × 1.25 × 1.35.
    assert!(note(&bare, 0).starts_with("TDP, estimated: 2 x 210 W (94.5 to 354.38 W)"), "{}", note(&bare, 0));
    let guest = open_model(&altra("QEMU\n"), &[]);
    assert_eq!(guest.components()[0].name, "Arm CPU 0x41:0xd0c");
    assert!(note(&guest, 0).starts_with("guest"));
}

#[test]
fn missing_cpuinfo_gives_unknown_model() {
    for cpuinfo in
        ["", "\n\n", "model name\n", "model name\t:\n", ":::\n", "CPU part\t: 0xzz\nCPU implementer\t: 65\n"]
    {
        let machine = HostFixture::new(2, 4).with_file("proc/cpuinfo", cpuinfo);
        let model = open_model(&machine, &[]);
        assert_eq!(model.components()[0].name, "CPU of unknown model", "{cpuinfo:?}");
        assert!(note(&model, 0).starts_with("model without known TDP: 4 W"), "{cpuinfo:?}");
    }
}

#[test]
fn unreadable_proc_stat_is_reported() {
    let machine = HostFixture::new(4, 16).with_file("proc/self/status", "Cpus_allowed_list:\t2-3\n");
    let mut model = open_model(&machine, &[]);
    let mut reason = || model.read(CPU_INDEX, Duration::ZERO).unwrap_err().to_string();
    machine.set_cpu_ticks(&[0; 3]);
    assert_eq!(reason(), "CPU 3 of this job is offline");
    machine.remove_file("proc/stat");
    assert!(reason().contains("/proc/stat"), "{}", reason());
    assert!(PowerModel::open(machine.root().join("nowhere"), &machine.cgroup_dir(), &[]).is_none());
}

#[test]
fn excluded_cpu_leaves_memory_unchanged() {
    let machine = HostFixture::new(80, 384).with_file("proc/cpuinfo", &x86_cpuinfo(XEON, 2, 80, ""));
    let mut both = open_model(&machine, &[]);
    let mut memory = open_model_without(&[ComponentKind::Cpu], &machine, &[]);
    assert_eq!(memory.components(), both.components()[1..]);
    let now = Duration::from_secs(60);
    assert_eq!(modelled_joules(memory.read(0, now)), modelled_joules(both.read(1, now)));
    assert!(memory.read(1, now).is_err(), "the CPU is excluded");
}

#[test]
fn fully_excluded_model_is_empty() {
    let machine = HostFixture::new(4, 16);
    let count = |excluded: &[ComponentKind]| open_model_without(excluded, &machine, &[]).components().len();
    assert_eq!(count(&[ComponentKind::Cpu, ComponentKind::Memory]), 0);
    assert_eq!(count(&[]), 2);
}

/// One of five machines, which cover the three sources of busy time and each origin of the watts.
fn machine_variant(which: usize) -> HostFixture {
    let machine = |cpuinfo: &str| HostFixture::new(4, 64).with_file("proc/cpuinfo", cpuinfo);
    match which {
        0 => machine(&x86_cpuinfo(XEON, 2, 4, "")),
        1 => machine(&x86_cpuinfo("AMD EPYC 7R32", 1, 4, ""))
            .with_file("proc/self/status", "Cpus_allowed_list:\t1-2\n"),
        2 => machine(&x86_cpuinfo("Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz", 1, 4, ""))
            .with_file("sys/fs/cgroup/cpu.max", "250000 100000\n")
            .with_file("sys/fs/cgroup/cpu.stat", "usage_usec 0\n"),
        3 => machine(&x86_cpuinfo("QEMU Virtual CPU", 1, 4, "hypervisor")),
        _ => machine(&arm_cpuinfo("0xd40", 4)).with_file("sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In each interval, however short, and with values that jump or decrease.
    #[test]
    fn modelled_energy_never_decreases(
        which in 0_usize..5,
        steps in prop::collection::vec((0_u64..5_000, prop::array::uniform4(0_u64..100_000)), 1..20),
    ) {
        let machine = &machine_variant(which);
        let mut model = open_model(machine, &[]);
        let mut now = Duration::ZERO;
        let mut before = [modelled_joules(model.read(0, now)), modelled_joules(model.read(1, now))];
        for (milliseconds, ticks) in steps {
            now += Duration::from_millis(milliseconds);
            machine.set_cpu_ticks(&ticks);
            machine.write_file("sys/fs/cgroup/cpu.stat", &format!("usage_usec {}\n", ticks[0] * 10_000));
            for (index, before) in before.iter_mut().enumerate() {
                let after = modelled_joules(model.read(index, now));
                let [low, best, high] = [0, 1, 2].map(|bound| after[bound] - before[bound]);
                // A part in 10^12 of the counter is rounding.
                let rounding = 1e-12 * after[2];
                prop_assert!(low >= 0.0 && low <= best + rounding && best <= high + rounding, "{low} {best} {high}");
                *before = after;
            }
        }
    }

    /// The sum of any readings is the difference between the last and the first.
    #[test]
    fn read_frequency_does_not_change_energy(
        which in 0_usize..5,
        steps in prop::collection::vec((1_u64..5_000, prop::array::uniform4(0_u64..500)), 2..12),
    ) {
        let machine = &machine_variant(which);
        let (mut often, mut once) = (open_model(machine, &[]), open_model(machine, &[]));
        let (mut now, mut ticks) = (Duration::ZERO, [0; 4]);
        let first = modelled_joules(once.read(CPU_INDEX, now));
        prop_assert_eq!(first, modelled_joules(often.read(CPU_INDEX, now)));
        for (milliseconds, worked) in steps {
            now += Duration::from_millis(milliseconds);
            ticks.iter_mut().zip(worked).for_each(|(ticks, worked)| *ticks += worked);
            machine.set_cpu_ticks(&ticks);
            let _ = modelled_joules(often.read(CPU_INDEX, now));
        }
        prop_assert_eq!(modelled_joules(often.read(CPU_INDEX, now)), modelled_joules(once.read(CPU_INDEX, now)));
    }
}
