use sootprint_core::{
    CarbonIntensity, ComponentKind, Energy, GpuSelection, GpuSelectionMethod, GridIntensity, LocationSource,
    MeasurementMethod, Power, Pue, RunStatus, SensorFault,
};
use sootprint_power::{ComponentInfo, ComponentTotal, GpuUsers};

use super::FootprintBuilder;
use super::trace::MAX_POWER_POINTS;
use crate::ledger::{LedgerEntry, OpenEpoch, RunHeader, WorkCounts};

fn component(kind: ComponentKind, name: &str, limit: Option<f64>) -> ComponentInfo {
    ComponentInfo {
        kind,
        id: name.to_lowercase(),
        name: name.to_owned(),
        method: MeasurementMethod::Counter,
        gpu: None,
        limit: limit.map(Power::from_watts),
        assumed_limit: None,
        min_power: None,
        includes: Vec::new(),
        share: 1.0,
        tolerance: sootprint_power::SensorTolerance::from_accuracy(0.05),
        note: None,
    }
}

fn footprint_builder(components: Vec<ComponentInfo>, pue: Pue) -> FootprintBuilder {
    let grams = CarbonIntensity::from_grams_per_kilowatt_hour;
    FootprintBuilder::new(Box::new(RunHeader {
        schema: "sootprint-ledger/2".into(),
        version: "0.0.0".into(),
        run: "a-run".into(),
        training_type: None,
        base_model: None,
        started: "2026-11-23T00:00:00Z".into(),
        grid: GridIntensity {
            low: grams(100.0),
            high: grams(900.0),
            ..GridIntensity::user_provided(grams(360.0), None, LocationSource::Argument)
        },
        pue,
        components,
        gaps: vec!["a GPU that cannot be read".into()],
        pending_drivers: Vec::new(),
        task: crate::ledger::ProcessInfo::default(),
    }))
}

fn total(joules: f64, measured: f64, unmeasured: f64) -> ComponentTotal {
    let energy = Energy::from_joules(joules);
    ComponentTotal { energy, low: energy * 0.95, high: energy * 1.05, measured, unmeasured, resets: 0 }
}

fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * right.abs().max(1.0)
}

#[test]
fn unmeasured_time_raises_high_bound() {
    let mut builder =
        footprint_builder(vec![component(ComponentKind::Gpu, "GPU", Some(700.0))], Pue::ASSUMED);
    builder.apply(LedgerEntry::End {
        at: 20.0,
        outcome: RunStatus::Completed,
        totals: vec![total(1_000.0, 15.0, 5.0)],
    });
    let footprint = builder.footprint(RunStatus::Running);
    let energy = &footprint.energy;
    assert!(is_close(energy.total.joules(), 1_000.0) && is_close(energy.low.joules(), 950.0));
    // 1,050 J and 5 s at 700 W.
    assert!(is_close(energy.high.joules(), 4_550.0), "{energy:?}");
    let grams = &footprint.emissions;
    assert!(is_close(grams.best.grams(), 1_000.0 * 360.0 / 3.6e6));
    assert!(is_close(grams.low.grams(), 950.0 * 1.0 * 100.0 / 3.6e6));
    assert!(is_close(grams.high.grams(), 4_550.0 * 1.56 * 900.0 / 3.6e6));
    assert_eq!(footprint.components[0].mean_power.map(|mean| mean.watts().round()), Some(67.0));
}

#[test]
fn hardware_groups_gpus_by_name() {
    let gpus = vec![
        component(ComponentKind::Gpu, "NVIDIA H200", None),
        component(ComponentKind::Gpu, "NVIDIA L4", None),
        component(ComponentKind::Gpu, "NVIDIA H200", None),
        component(ComponentKind::Cpu, "AMD EPYC", None),
    ];
    let footprint = footprint_builder(gpus, Pue::ASSUMED).footprint(RunStatus::Killed);
    assert_eq!(footprint.hardware, "2 x NVIDIA H200, 1 x NVIDIA L4");
    assert_eq!(footprint.run.outcome, RunStatus::Killed);
    assert!(footprint.notes.iter().any(|note| note == "a GPU that cannot be read"));
    assert!(footprint.notes.iter().any(|note| note.starts_with("the training's GPUs are unknown")));
}

#[test]
fn own_gpus_count_without_declared_devices() {
    let gpus =
        vec![component(ComponentKind::Gpu, "First", None), component(ComponentKind::Gpu, "Second", None)];
    let mut builder = footprint_builder(gpus, Pue::ASSUMED);
    let used = |component, own, foreign| LedgerEntry::GpuUsers {
        at: 1.0,
        component,
        users: GpuUsers { own, foreign, unused: false },
    };
    builder.apply(used(0, false, true));
    assert_eq!(builder.footprint(RunStatus::Running).components.len(), 2, "no process of ours was seen");
    builder.apply(used(1, true, true));
    builder.apply(used(1, true, false));
    let footprint = builder.footprint(RunStatus::Running);
    assert_eq!(footprint.components.len(), 1);
    assert_eq!((footprint.components[0].name.as_str(), footprint.components[0].shared), ("Second", true));
    assert!(
        footprint.notes.iter().any(|note| note.contains("a process of the run used")),
        "{:?}",
        footprint.notes
    );
}

#[test]
fn unread_component_has_no_method() {
    let mut builder = footprint_builder(vec![component(ComponentKind::Gpu, "GPU", None)], Pue::ASSUMED);
    builder.apply(LedgerEntry::End {
        at: 9.0,
        outcome: RunStatus::Completed,
        totals: vec![total(0.0, 0.0, 9.0)],
    });
    let footprint = builder.footprint(RunStatus::Running);
    assert_eq!(footprint.components[0].method, None);
    assert!(footprint.run.partial && !footprint.is_measured());
}

#[test]
fn thinned_power_keeps_total_energy() {
    let mut builder = footprint_builder(vec![component(ComponentKind::Cpu, "CPU", None)], Pue::ASSUMED);
    let mut joules = 0.0;
    for minute in 1..=10_001_u32 {
        joules += f64::from(minute % 7) * 60.0;
        let at = f64::from(minute) * 60.0;
        builder.apply(LedgerEntry::Totals { at, totals: vec![total(joules, at, 0.0)] });
    }
    let power = builder.footprint(RunStatus::Running).power;
    assert!((200..=MAX_POWER_POINTS).contains(&power.len()), "{} points", power.len());
    assert!(is_close(power.last().unwrap().0, 600_060.0), "the last point is kept");
    let mut previous = 0.0;
    let sum: f64 = power.iter().map(|(at, watts)| watts * (at - std::mem::replace(&mut previous, *at))).sum();
    assert!(is_close(sum, joules), "{sum} J of {joules} J");
}

#[test]
fn idle_energy_uses_lowest_power() {
    let at = |watts: &[f64]| {
        let mut builder = footprint_builder(vec![component(ComponentKind::Cpu, "CPU", None)], Pue::ASSUMED);
        let mut joules = 0.0;
        for (second, watts) in watts.iter().enumerate() {
            joules += watts;
            let at = second as f64 + 1.0;
            builder.apply(LedgerEntry::Totals { at, totals: vec![total(joules, at, 0.0)] });
        }
        builder.footprint(RunStatus::Running).energy
    };
    let energy = at(&[300.0, 80.0, 400.0, 120.0]);
    assert_eq!(energy.idle_method.as_deref(), Some("lowest_seen"));
    assert!(is_close(energy.idle.unwrap().joules(), 80.0 * 4.0) && is_close(energy.total.joules(), 900.0));
    let energy = at(&[300.0]);
    assert_eq!((energy.idle, energy.idle_method), (None, None));
}

#[test]
fn repeated_note_is_kept_once() {
    let mut builder = footprint_builder(vec![], Pue::ASSUMED);
    for at in [1.0, 2.0] {
        builder.apply(LedgerEntry::Note { at, text: "again".into() });
    }
    let notes = builder.footprint(RunStatus::Running).notes;
    assert_eq!(notes.iter().filter(|note| *note == "again").count(), 1);
}

#[test]
fn notes_are_limited() {
    let mut builder = footprint_builder(vec![], Pue::ASSUMED);
    for step in 0..100_000 {
        let text = format!("step {step}");
        builder.apply(LedgerEntry::Note { at: 0.0, text });
    }
    let notes = builder.footprint(RunStatus::Completed).notes;
    assert!(notes.contains(&"step 999".to_owned()) && !notes.contains(&"step 1000".to_owned()));
    assert!(notes.contains(&"only the first 1000 notes are listed".to_owned()), "{}", notes.len());
    assert!(builder.has_note("step 1000"), "it would not be recorded again");
}

#[test]
fn work_counts_for_the_newest_epoch_of_its_number() {
    let counts = |samples| WorkCounts { samples: Some(samples), tokens: None };
    let epoch = |epoch| LedgerEntry::Epoch {
        epoch,
        start: 0.0,
        end: 1.0,
        energy: vec![],
        completed: true,
        counts: WorkCounts::default(),
        phases: vec![],
    };
    let mut builder = footprint_builder(vec![], Pue::ASSUMED);
    for entry in [
        epoch(1),
        epoch(2),
        epoch(1),
        LedgerEntry::Work { epoch: Some(1), counts: counts(10) },
        LedgerEntry::Work { epoch: Some(3), counts: counts(5) },
        epoch(3),
    ] {
        builder.apply(entry);
    }
    let footprint = builder.footprint(RunStatus::Completed);
    let samples: Vec<_> = footprint.epochs.iter().map(|it| (it.epoch, it.samples)).collect();
    assert_eq!(samples, [(1, None), (2, None), (1, Some(10)), (3, Some(5))]);
}

#[test]
fn late_heartbeat_keeps_epoch_closed() {
    let energy = |joules| vec![Energy::from_joules(joules)];
    let heartbeat = |epoch, start| LedgerEntry::Heartbeat {
        at: 10.5,
        totals: vec![total(105.0, 10.5, 0.0)],
        epoch: Some(OpenEpoch { epoch, start, energy: energy(105.0 - 10.0 * start) }),
    };
    let epochs = |heartbeat| {
        let mut builder = footprint_builder(vec![component(ComponentKind::Gpu, "GPU", None)], Pue::ASSUMED);
        let (epoch, start, end) = (1, 0.0, 10.0);
        builder.apply(LedgerEntry::Epoch {
            epoch,
            start,
            end,
            energy: energy(100.0),
            completed: true,
            counts: WorkCounts::default(),
            phases: Vec::new(),
        });
        builder.apply(heartbeat);
        let epochs = builder.footprint(RunStatus::Killed).epochs;
        epochs.iter().map(|it| (it.epoch, it.energy.joules(), it.completed)).collect::<Vec<_>>()
    };
    assert_eq!(epochs(heartbeat(1, 0.0)), [(1, 100.0, true)]);
    // The next epoch, and a repetition of the same epoch, are separate.
    assert_eq!(epochs(heartbeat(2, 10.0)), [(1, 100.0, true), (2, 5.0, false)]);
    assert_eq!(epochs(heartbeat(1, 10.0)), [(1, 100.0, true), (1, 5.0, false)]);
}

#[test]
fn unknown_gpus_lower_bound_is_one_gpu() {
    let components = vec![
        component(ComponentKind::Gpu, "First", None),
        component(ComponentKind::Gpu, "Second", None),
        component(ComponentKind::Cpu, "CPU", None),
    ];
    let mut builder = footprint_builder(components, Pue::ASSUMED);
    builder.apply(LedgerEntry::End {
        at: 10.0,
        outcome: RunStatus::Completed,
        totals: vec![total(3_000.0, 10.0, 0.0), total(600.0, 10.0, 0.0), total(100.0, 10.0, 0.0)],
    });
    let footprint = builder.footprint(RunStatus::Running);
    let selection = GpuSelection { method: GpuSelectionMethod::AllVisible, certain: false };
    assert_eq!(footprint.gpu_selection, Some(selection));
    assert!(is_close(footprint.energy.total.joules(), 3_700.0));
    // 95 % of the CPU and of the GPU that used least.
    assert!(is_close(footprint.energy.low.joules(), 0.95 * 700.0), "{:?}", footprint.energy);
    let lows = footprint.components.iter().map(|component| component.low.joules());
    assert_eq!(lows.collect::<Vec<_>>(), [0.0, 0.0, 95.0]);
}

#[test]
fn unused_gpu_is_not_hardware_used() {
    let components =
        vec![component(ComponentKind::Gpu, "AMD GPU", None), component(ComponentKind::Cpu, "AMD EPYC", None)];
    let mut builder = footprint_builder(components, Pue::ASSUMED);
    let users = GpuUsers { unused: true, ..GpuUsers::default() };
    builder.apply(LedgerEntry::GpuUsers { at: 0.5, component: 0, users });
    let footprint = builder.footprint(RunStatus::Completed);
    assert_eq!((footprint.hardware.as_str(), footprint.components.len()), ("1 x AMD EPYC", 1));
    let selection = GpuSelection { method: GpuSelectionMethod::NoneUsed, certain: true };
    assert_eq!(footprint.gpu_selection, Some(selection));
    // A process may open the device later.
    let users = GpuUsers { own: true, ..GpuUsers::default() };
    builder.apply(LedgerEntry::GpuUsers { at: 5.5, component: 0, users });
    assert_eq!(builder.footprint(RunStatus::Completed).hardware, "1 x AMD GPU");
}

#[test]
fn cpu_included_in_gpu_counts_once() {
    let superchip = ComponentInfo {
        includes: vec![ComponentKind::Cpu],
        ..component(ComponentKind::Gpu, "NVIDIA GH200", None)
    };
    let mut builder =
        footprint_builder(vec![superchip, component(ComponentKind::Cpu, "Grace", None)], Pue::ASSUMED);
    let counted = |builder: &FootprintBuilder| -> Vec<String> {
        builder.footprint(RunStatus::Completed).components.into_iter().map(|it| it.name).collect()
    };
    assert_eq!(counted(&builder), ["NVIDIA GH200"]);
    let users = GpuUsers { unused: true, ..GpuUsers::default() };
    builder.apply(LedgerEntry::GpuUsers { at: 0.5, component: 0, users });
    assert_eq!(counted(&builder), ["Grace"]);
}

#[test]
fn late_components_follow_those_of_header() {
    let mut builder = footprint_builder(vec![component(ComponentKind::Cpu, "CPU", None)], Pue::ASSUMED);
    builder.apply(LedgerEntry::Devices {
        at: 0.1,
        components: Vec::new(),
        unresolved: vec!["cuda:0".into()],
        found: Vec::new(),
    });
    builder.header_mut().pending_drivers = vec!["NVML".into()];
    builder.apply(LedgerEntry::Totals { at: 1.0, totals: vec![total(50.0, 1.0, 0.0)] });
    let before = builder.footprint(RunStatus::Running);
    assert!(before.run.partial && before.components.iter().any(|it| it.name == "GPUs of NVML"));
    builder.apply(LedgerEntry::ComponentsAdded {
        at: 3.0,
        components: vec![component(ComponentKind::Gpu, "GPU", Some(700.0))],
        gaps: vec!["NVML: the driver answered after 3.0 s".into()],
        pending_drivers: Vec::new(),
    });
    builder.apply(LedgerEntry::Devices {
        at: 3.0,
        components: vec![1],
        unresolved: Vec::new(),
        found: vec!["cuda:0".into()],
    });
    builder.apply(LedgerEntry::SensorFault { at: 4.0, component: 1, fault: SensorFault::CounterFaulty });
    builder.apply(LedgerEntry::End {
        at: 10.0,
        outcome: RunStatus::Completed,
        totals: vec![total(500.0, 10.0, 0.0), total(2_100.0, 7.0, 3.0)],
    });
    let footprint = builder.footprint(RunStatus::Running);
    assert_eq!(footprint.components.len(), 2, "{:?}", footprint.components);
    let gpu = &footprint.components[1];
    assert_eq!((gpu.name.as_str(), gpu.fault), ("GPU", Some(SensorFault::CounterFaulty)));
    // 3 s before the driver answered, at 700 W.
    assert!(is_close(gpu.high.joules(), 2_100.0 * 1.05 + 2_100.0), "{gpu:?}");
    assert!(footprint.notes.iter().any(|note| note.contains("answered after")), "{:?}", footprint.notes);
}
