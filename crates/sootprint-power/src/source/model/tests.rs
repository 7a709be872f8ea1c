#![expect(clippy::float_cmp, reason = "the same readings give the same figure to the last bit")]

use proptest::prelude::*;
use sootprint_core::Energy;

use super::*;
use crate::allocation::fixture::{Machine, value};

/// `/proc/cpuinfo` of an x86 with its logical processors dealt out to its packages.
fn x86(name: &str, packages: usize, processors: usize, flags: &str) -> String {
    let processor = |number: usize| {
        let package = number * packages / processors;
        format!(
            "processor\t: {number}\nvendor_id\t: Vendor\nmodel name\t: {name}\nphysical id\t: {package}\nsiblings\t: {}\nflags\t\t: fpu {flags} sse2\n\n",
            processors / packages
        )
    };
    (0..processors).map(processor).collect()
}

/// `/proc/cpuinfo` of an Arm of Arm's own design, which names nothing.
fn arm(part: &str, processors: usize) -> String {
    let processor = |number| {
        format!(
            "processor\t: {number}\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n"
        )
    };
    (0..processors).map(processor).collect()
}

fn model_in(machine: &Machine, variables: &[(&str, &str)]) -> Model {
    Model::of_machine(machine.proc(), &machine.sys(), &machine.cgroup(), &|name| value(variables, name))
        .unwrap()
}

fn joules(reading: Result<Reading, Unreadable>) -> Range {
    match reading {
        Ok(Reading::Modelled(energy)) => [energy.low, energy.best, energy.high].map(Energy::joules),
        other => panic!("{other:?} is not modelled"),
    }
}

/// What the processors use in ten seconds in which each of them works for so many hundredths of a second.
fn ten_seconds(machine: &Machine, model: &mut Model, ticks: &[u64]) -> Range {
    let before = joules(model.read(PROCESSOR, Duration::from_secs(100)));
    machine.worked(ticks);
    let after = joules(model.read(PROCESSOR, Duration::from_secs(110)));
    [0, 1, 2].map(|bound| after[bound] - before[bound])
}

#[track_caller]
fn assert_near(found: Range, expected: Range) {
    let is_near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6);
    assert!(is_near, "{found:?} is not {expected:?}");
}

fn note(model: &Model, index: usize) -> String {
    model.components()[index].note.clone().unwrap()
}

const XEON: &str = "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz";

#[test]
fn two_xeons_on_bare_metal_draw_their_tdp_when_busy_and_a_part_of_it_at_rest() {
    let machine = Machine::new(80, 384).with("proc/cpuinfo", &x86(XEON, 2, 80, ""));
    let mut model = model_in(&machine, &[]);
    // 2 × 150 W × 10 s × 0.3; low × 0.6 × 0.1, high × 1.25 × 0.4.
    assert_near(ten_seconds(&machine, &mut model, &[0; 80]), [180.0, 900.0, 1_500.0]);
    assert_near(ten_seconds(&machine, &mut model, &[1_000; 80]), [1_800.0, 3_000.0, 3_750.0]);
    let components = model.components();
    assert_eq!(components[0].name, XEON);
    insta::assert_snapshot!(note(&model, 0), @"TDP: 2 x 150 W (90 to 187.5 W) at full load, 30 % (10 to 40 %) of that at rest; 80 of 80 logical processors, by load");
    // 384 GiB as twelve modules of 32 GiB.
    assert_near(joules(model.read(1, Duration::from_secs(10))), [180.0, 600.0, 1_200.0]);
    insta::assert_snapshot!(note(&model, 1), @"0.16 W (0.05 to 0.31 W) for each GiB that the job was given, as in modules of 32 GiB");
}

#[test]
fn only_the_listed_processors_work_for_the_job() {
    let machine = Machine::new(80, 384)
        .with("proc/cpuinfo", &x86(XEON, 2, 80, ""))
        .with("proc/self/status", "Cpus_allowed_list:\t0-19\n");
    let mut model = model_in(&machine, &[]);
    // A quarter of 300 W at rest, while the other three quarters work.
    let others = [[0; 20].as_slice(), &[1_000; 60]].concat();
    let [_, rested, _] = ten_seconds(&machine, &mut model, &others);
    assert!((rested - 225.0).abs() < 1e-6, "{rested}");
    let [_, worked, _] = ten_seconds(&machine, &mut model, &[1_000; 80]);
    assert!((worked - 750.0).abs() < 1e-6, "{worked}");
    insta::assert_snapshot!(note(&model, 0), @"TDP: 2 x 150 W (90 to 187.5 W) at full load, 30 % (10 to 40 %) of that at rest; 20 of 80 logical processors, by their own load");
}

#[test]
fn an_epyc_on_bare_metal_is_one_package() {
    let machine =
        Machine::new(128, 512).with("proc/cpuinfo", &x86("AMD EPYC 7763 64-Core Processor", 1, 128, ""));
    let mut model = model_in(&machine, &[]);
    // Half of the load: 280 W × 10 s × (0.3 + 0.7 / 2).
    let [_, best, _] = ten_seconds(&machine, &mut model, &[500; 128]);
    assert!((best - 1_820.0).abs() < 1e-6, "{best}");
}

#[test]
fn a_guest_counts_its_logical_processors_whatever_its_model_is_called() {
    for name in ["Intel(R) Xeon(R) CPU @ 2.20GHz", "AMD EPYC 7763 64-Core Processor"] {
        let machine = Machine::new(4, 16).with("proc/cpuinfo", &x86(name, 1, 4, "hypervisor"));
        let mut model = model_in(&machine, &[]);
        // 4 processors × 4 W × 10 s; low 0.6 × 500 / 384 W, high 253 / 24 W.
        assert_near(ten_seconds(&machine, &mut model, &[0; 4]), [3.125, 48.0, 168.666_666_667]);
        assert_near(ten_seconds(&machine, &mut model, &[1_000; 4]), [31.25, 160.0, 421.666_666_667]);
        assert!(
            note(&model, 0)
                .starts_with("guest of a hypervisor: 4 W (0.78 to 10.54 W) for each logical processor")
        );
        assert!(note(&model, 1).contains("hidden from a guest"), "{}", note(&model, 1));
    }
}

#[test]
fn xen_is_known_by_its_file_and_not_by_the_folder_that_bare_metal_has_too() {
    let bare =
        Machine::new(4, 16).with("proc/cpuinfo", &x86(XEON, 1, 4, "")).with("sys/hypervisor/uevent", "");
    assert!(note(&model_in(&bare, &[]), 0).starts_with("TDP: 1 x 150 W"));
    let guest = bare.with("sys/hypervisor/type", "xen\n");
    assert!(note(&model_in(&guest, &[]), 0).starts_with("guest"));
}

/// One and a half processors and 32 GiB of a host of 384 and 1 TiB.
#[test]
fn a_container_pays_for_its_quota_and_not_for_its_host() {
    let machine = Machine::new(384, 1024)
        .with("proc/cpuinfo", &x86("AMD EPYC 9654 96-Core Processor", 2, 384, ""))
        .with("sys/fs/cgroup/cpu.max", "150000 100000\n")
        .with("sys/fs/cgroup/cpu.stat", "usage_usec 1000000\n")
        .with("sys/fs/cgroup/memory.max", "34359738368\n");
    let mut model = model_in(&machine, &[]);
    let before = joules(model.read(PROCESSOR, Duration::from_secs(100)));
    machine.write("sys/fs/cgroup/cpu.stat", "usage_usec 16000000\n");
    machine.worked(&[1_000; 384]);
    let after = joules(model.read(PROCESSOR, Duration::from_secs(110)));
    // Its quota in full: 1.5 × 720 W / 384 × 10 s. The rest of the machine works for others.
    assert_near([0, 1, 2].map(|bound| after[bound] - before[bound]), [16.875, 28.125, 35.156_25]);
    // Half of a module of 64 GiB.
    assert_near(joules(model.read(1, Duration::from_secs(10))), [15.0, 35.0, 50.0]);
    let components = model.components();
    assert_eq!(components[1].name, "32 GiB");
    assert!((components[0].share - 1.5 / 384.0).abs() < 1e-12);
    insta::assert_snapshot!(note(&model, 0), @"TDP: 2 x 360 W (216 to 450 W) at full load, 30 % (10 to 40 %) of that at rest; 1.5 of 384 logical processors, by the load of their control group");
    insta::assert_snapshot!(note(&model, 1), @"0.11 W (0.05 to 0.16 W) for each GiB that the job was given, as in modules of 64 GiB; the host has 1024 GiB");
}

#[test]
fn a_job_that_nothing_confines_has_its_share_of_the_machine_s_load() {
    let machine = Machine::new(80, 384).with("proc/cpuinfo", &x86(XEON, 2, 80, ""));
    let slurm = [("SLURM_JOB_ID", "1"), ("SLURM_PROCID", "0"), ("SLURM_CPUS_ON_NODE", "20")];
    let mut model = model_in(&machine, &slurm);
    // 20 of 80 processors of a machine that is half busy: 75 W × 10 s × (0.3 + 0.7 / 2).
    let [_, best, _] = ten_seconds(&machine, &mut model, &[[1_000; 40], [0; 40]].concat());
    assert!((best - 487.5).abs() < 1e-6, "{best}");
    assert!(note(&model, 0).ends_with("by their share of the machine's load"));
}

#[test]
fn a_laptop_may_draw_twice_its_tdp() {
    let machine = Machine::new(8, 16)
        .with("proc/cpuinfo", &x86("11th Gen Intel(R) Core(TM) i7-1185G7 @ 3.00GHz", 1, 8, ""));
    let mut model = model_in(&machine, &[]);
    // 28 W × 10 s, low × 0.6, high × 253 / 125.
    assert_near(ten_seconds(&machine, &mut model, &[1_000; 8]), [168.0, 280.0, 566.72]);
}

#[test]
fn a_graviton_is_known_by_its_core_and_its_vendor() {
    let amazon = |product: &str| {
        Machine::new(64, 128)
            .with("proc/cpuinfo", &arm("0xd40", 64))
            .with("sys/class/dmi/id/sys_vendor", "Amazon EC2\n")
            .with("sys/class/dmi/id/product_name", product)
    };
    let metal = amazon("c7g.metal\n");
    let mut model = model_in(&metal, &[]);
    assert_eq!(model.components()[0].name, "AWS Graviton3");
    // 100 W, which Amazon never published: low × 0.6 × 0.5, high × 1.25 × 2.
    assert_near(ten_seconds(&metal, &mut model, &[1_000; 64]), [300.0, 1_000.0, 2_500.0]);
    assert!(note(&model, 0).starts_with("TDP, unpublished: 1 x 100 W (30 to 250 W)"));

    let guest = amazon("c7g.16xlarge\n");
    let mut model = model_in(&guest, &[]);
    assert_eq!(model.components()[0].name, "AWS Graviton3");
    // 64 processors × 250 / 128 W; low 1 W, high 6 W.
    assert_near(ten_seconds(&guest, &mut model, &[1_000; 64]), [640.0, 1_250.0, 3_840.0]);
}

#[test]
fn an_arm_of_several_packages_is_told_by_its_cores_on_bare_metal_only() {
    let altra = |vendor: &str| {
        let machine = Machine::new(160, 512)
            .with("proc/cpuinfo", &arm("0xd0c", 160))
            .with("sys/class/dmi/id/sys_vendor", vendor);
        (0..160).fold(machine, |machine, number| {
            let file = format!("sys/devices/system/cpu/cpu{number}/topology/physical_package_id");
            machine.with(&file, if number < 80 { "36\n" } else { "256\n" })
        })
    };
    let bare = model_in(&altra("GIGABYTE\n"), &[]);
    assert_eq!(bare.components()[0].name, "Ampere Altra");
    // 210 W; as an estimate low × 0.6 × 0.75, high × 1.25 × 1.35.
    assert!(note(&bare, 0).starts_with("TDP, estimated: 2 x 210 W (94.5 to 354.38 W)"), "{}", note(&bare, 0));
    let guest = model_in(&altra("QEMU\n"), &[]);
    assert_eq!(guest.components()[0].name, "Arm CPU 0x41:0xd0c");
    assert!(note(&guest, 0).starts_with("guest"));
}

#[test]
fn a_machine_that_says_nothing_of_its_processor_has_one_of_unknown_model() {
    for cpuinfo in
        ["", "\n\n", "model name\n", "model name\t:\n", ":::\n", "CPU part\t: 0xzz\nCPU implementer\t: 65\n"]
    {
        let machine = Machine::new(2, 4).with("proc/cpuinfo", cpuinfo);
        let model = model_in(&machine, &[]);
        assert_eq!(model.components()[0].name, "CPU of unknown model", "{cpuinfo:?}");
        assert!(note(&model, 0).starts_with("model without a known TDP: 4 W"), "{cpuinfo:?}");
    }
}

#[test]
fn a_kernel_that_stops_telling_is_named() {
    let machine = Machine::new(4, 16).with("proc/self/status", "Cpus_allowed_list:\t2-3\n");
    let mut model = model_in(&machine, &[]);
    let mut reason = || model.read(PROCESSOR, Duration::ZERO).unwrap_err().to_string();
    machine.worked(&[0; 3]);
    assert_eq!(reason(), "processor 3 of this job is off line");
    machine.remove("proc/stat");
    assert!(reason().contains("/proc/stat"), "{}", reason());
    assert!(Model::open(machine.path().join("nowhere"), machine.cgroup()).is_none());
}

/// One of five machines: their working time is told in each of the three ways, and their watts in each way.
fn machine(which: usize) -> Machine {
    let machine = |cpuinfo: &str| Machine::new(4, 64).with("proc/cpuinfo", cpuinfo);
    match which {
        0 => machine(&x86(XEON, 2, 4, "")),
        1 => machine(&x86("AMD EPYC 7R32", 1, 4, "")).with("proc/self/status", "Cpus_allowed_list:\t1-2\n"),
        2 => machine(&x86("Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz", 1, 4, ""))
            .with("sys/fs/cgroup/cpu.max", "250000 100000\n")
            .with("sys/fs/cgroup/cpu.stat", "usage_usec 0\n"),
        3 => machine(&x86("QEMU Virtual CPU", 1, 4, "hypervisor")),
        _ => machine(&arm("0xd40", 4)).with("sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In each interval, however short, with counts that jump or go back.
    #[test]
    fn the_energy_never_falls_and_its_bounds_are_in_order(
        which in 0_usize..5,
        steps in prop::collection::vec((0_u64..5_000, prop::array::uniform4(0_u64..100_000)), 1..20),
    ) {
        let machine = &machine(which);
        let mut model = model_in(machine, &[]);
        let mut now = Duration::ZERO;
        let mut before = [joules(model.read(0, now)), joules(model.read(1, now))];
        for (milliseconds, ticks) in steps {
            now += Duration::from_millis(milliseconds);
            machine.worked(&ticks);
            machine.write("sys/fs/cgroup/cpu.stat", &format!("usage_usec {}\n", ticks[0] * 10_000));
            for (index, before) in before.iter_mut().enumerate() {
                let after = joules(model.read(index, now));
                let [low, best, high] = [0, 1, 2].map(|bound| after[bound] - before[bound]);
                // A part in 10^12 of the counter is rounding.
                let rounding = 1e-12 * after[2];
                prop_assert!(low >= 0.0 && low <= best + rounding && best <= high + rounding, "{low} {best} {high}");
                *before = after;
            }
        }
    }

    /// The sum of any readings is the difference of the last and the first.
    #[test]
    fn reading_more_often_changes_nothing(
        which in 0_usize..5,
        steps in prop::collection::vec((1_u64..5_000, prop::array::uniform4(0_u64..500)), 2..12),
    ) {
        let machine = &machine(which);
        let (mut often, mut once) = (model_in(machine, &[]), model_in(machine, &[]));
        let (mut now, mut ticks) = (Duration::ZERO, [0; 4]);
        let first = joules(once.read(PROCESSOR, now));
        prop_assert_eq!(first, joules(often.read(PROCESSOR, now)));
        for (milliseconds, worked) in steps {
            now += Duration::from_millis(milliseconds);
            ticks.iter_mut().zip(worked).for_each(|(ticks, worked)| *ticks += worked);
            machine.worked(&ticks);
            let _ = joules(often.read(PROCESSOR, now));
        }
        prop_assert_eq!(joules(often.read(PROCESSOR, now)), joules(once.read(PROCESSOR, now)));
    }
}
