//! Merged ranks and attempts, compared with results that were computed independently.

use sootprint_core::{
    CarbonIntensity, ComponentKind, Energy, GridIntensity, LocationSource, MeasurementMethod, Pue, RunStatus,
};
use sootprint_power::{ComponentInfo, ComponentTotal, GpuInfo, SensorTolerance};

use super::merge_ledgers;
use crate::footprint::FootprintBuilder;
use crate::ledger::{LedgerEntry, ProcessInfo, RunHeader, WorkCounts};

/// A process with constant power.
#[derive(Clone)]
struct ScriptedRank {
    rank: u32,
    ranks: u32,
    attempt: u32,
    host: &'static str,
    cpu_allocation: &'static str,
    memory_allocation: &'static str,
    /// By the host's clock since boot, in seconds.
    start: f64,
    end: f64,
    /// The error of the host's wall clock, in seconds.
    clock_skew: i64,
    gpus: Vec<(&'static str, f64)>,
    cpu_watts: f64,
    memory_watts: f64,
    /// Number, start and end, by the host's clock.
    epochs: Vec<(u32, f64, f64)>,
    status: Option<RunStatus>,
}

fn scripted_rank(rank: u32, host: &'static str, gpus: &[(&'static str, f64)]) -> ScriptedRank {
    ScriptedRank {
        rank,
        ranks: 4,
        attempt: 1,
        host,
        cpu_allocation: "all",
        memory_allocation: "all",
        start: 1_000.0,
        end: 1_100.0,
        clock_skew: 0,
        gpus: gpus.to_vec(),
        cpu_watts: 100.0,
        memory_watts: 10.0,
        epochs: Vec::new(),
        status: Some(RunStatus::Completed),
    }
}

fn component(kind: ComponentKind, id: &str) -> ComponentInfo {
    ComponentInfo {
        kind,
        id: id.to_owned(),
        name: format!("Scripted {id}").trim_end_matches(char::is_numeric).to_owned(),
        method: if kind == ComponentKind::Gpu {
            MeasurementMethod::Counter
        } else {
            MeasurementMethod::Modelled
        },
        gpu: (kind == ComponentKind::Gpu).then(|| GpuInfo {
            uuid: id.to_owned(),
            pci: String::new(),
            model: String::new(),
            cuda: None,
            rocm: None,
            has_uncertain_order: false,
        }),
        limit: None,
        assumed_limit: None,
        min_power: None,
        includes: Vec::new(),
        share: 1.0,
        tolerance: SensorTolerance::from_accuracy(0.05),
        note: None,
    }
}

impl ScriptedRank {
    fn ledger(&self) -> (FootprintBuilder, RunStatus) {
        let started =
            jiff::Timestamp::from_second(1_790_000_000 + self.start as i64 + self.clock_skew).unwrap();
        let mut components: Vec<ComponentInfo> =
            self.gpus.iter().map(|it| component(ComponentKind::Gpu, it.0)).collect();
        components.extend([component(ComponentKind::Cpu, "cpu"), component(ComponentKind::Memory, "memory")]);
        let watts: Vec<f64> =
            self.gpus.iter().map(|it| it.1).chain([self.cpu_watts, self.memory_watts]).collect();
        let mut builder = FootprintBuilder::new(Box::new(RunHeader {
            schema: "sootprint-ledger/2".into(),
            version: "0.0.0".into(),
            run: "00001-run".into(),
            training_type: None,
            base_model: None,
            started: started.to_string(),
            grid: GridIntensity::user_provided(
                CarbonIntensity::from_grams_per_kilowatt_hour(360.0),
                None,
                LocationSource::Argument,
            ),
            pue: Pue::new(1.5).unwrap(),
            components,
            gaps: vec![],
            pending_drivers: Vec::new(),
            task: ProcessInfo {
                rank: self.rank,
                ranks: self.ranks,
                attempt: self.attempt,
                launch: Some(format!("launch {}", self.attempt)),
                array_index: None,
                host: Some(self.host.to_owned()),
                booted: Some(self.start),
                processors: Some(self.cpu_allocation.to_owned()),
                memory: Some(self.memory_allocation.to_owned()),
            },
        }));
        builder.apply(LedgerEntry::Devices {
            at: 0.0,
            components: (0..self.gpus.len()).collect(),
            unresolved: vec![],
            found: Vec::new(),
        });
        let joules = |time: f64| watts.iter().map(move |watts| Energy::from_joules(watts * time));
        let totals = |at: f64| -> Vec<ComponentTotal> {
            let total = |energy: Energy| ComponentTotal {
                energy,
                low: energy * 0.9,
                high: energy * 1.1,
                measured: at,
                unmeasured: 0.0,
                resets: 0,
            };
            joules(at).map(total).collect()
        };
        for &(epoch, start, end) in &self.epochs {
            let energy = joules(end - start).collect();
            let (start, end) = (start - self.start, end - self.start);
            let (counts, phases) = (WorkCounts::default(), Vec::new());
            builder.apply(LedgerEntry::Epoch { epoch, start, end, energy, completed: true, counts, phases });
        }
        let length = self.end - self.start;
        for tenth in 1..=10 {
            let at = length * f64::from(tenth) / 10.0;
            builder.apply(LedgerEntry::Totals { at, totals: totals(at) });
        }
        if let Some(outcome) = self.status {
            builder.apply(LedgerEntry::End { at: length, outcome, totals: totals(length) });
        }
        (builder, RunStatus::Killed)
    }
}

/// Ledgers, and the expected joules of GPUs, CPUs and memory.
struct MergeScenario {
    name: &'static str,
    ranks: Vec<ScriptedRank>,
    expected_joules: [f64; 3],
    seconds: f64,
    status: RunStatus,
    missing_ranks: &'static [u32],
}

fn four_ranks(change: impl Fn(&mut ScriptedRank)) -> Vec<ScriptedRank> {
    let gpus = ["GPU-0", "GPU-1", "GPU-2", "GPU-3"];
    let rank_on_gpu = |(rank, gpu): (u32, &&'static str)| {
        let mut process = scripted_rank(rank, "host", &[(*gpu, 300.0)]);
        change(&mut process);
        process
    };
    (0..4).zip(&gpus).map(rank_on_gpu).collect()
}

fn merge_scenarios() -> Vec<MergeScenario> {
    let done = RunStatus::Completed;
    vec![
        MergeScenario {
            name: "4 ranks, one GPU each, one host",
            ranks: four_ranks(|_| ()),
            expected_joules: [120_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            name: "2 hosts of 2 ranks",
            ranks: four_ranks(|it| it.host = if it.rank < 2 { "host" } else { "other" }),
            expected_joules: [120_000.0, 20_000.0, 2_000.0],
            seconds: 100.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            name: "all ranks claim all GPUs",
            ranks: four_ranks(|it| it.gpus = vec![("GPU-0", 300.0), ("GPU-1", 200.0)]),
            expected_joules: [50_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            // One GPU from 1000 s to 1130 s, which all ranks claim.
            name: "one GPU, starts 10 s apart",
            ranks: four_ranks(|it| {
                it.gpus = vec![("GPU-0", 300.0)];
                it.start += 10.0 * f64::from(it.rank);
                it.end += 10.0 * f64::from(it.rank);
            }),
            expected_joules: [39_000.0, 13_000.0, 1_300.0],
            seconds: 130.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            name: "one container per rank, with a quota and a limit",
            ranks: four_ranks(|it| {
                it.cpu_allocation = ["group 0:1", "group 0:2", "group 0:3", "group 0:4"][it.rank as usize];
                it.memory_allocation = it.cpu_allocation;
                (it.cpu_watts, it.memory_watts) = (25.0, 2.5);
            }),
            expected_joules: [120_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            name: "two containers of two ranks, only memory limited",
            ranks: four_ranks(|it| {
                it.memory_allocation = if it.rank < 2 { "group 0:1" } else { "group 0:2" };
                it.memory_watts = 4.0;
            }),
            expected_joules: [120_000.0, 10_000.0, 800.0],
            seconds: 100.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            name: "per-task cgroups within a job",
            ranks: four_ranks(|it| (it.cpu_allocation, it.memory_allocation) = ("group 0:7", "group 0:7")),
            expected_joules: [120_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            name: "rank 2 has no ledger",
            ranks: four_ranks(|_| ()).into_iter().filter(|it| it.rank != 2).collect(),
            expected_joules: [90_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            status: done,
            missing_ranks: &[2],
        },
        MergeScenario {
            name: "rank 1 was killed after 40 s",
            ranks: four_ranks(|it| {
                if it.rank == 1 {
                    (it.end, it.status) = (1_040.0, None);
                }
            }),
            expected_joules: [102_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            status: RunStatus::Killed,
            missing_ranks: &[],
        },
        MergeScenario {
            // The wall clock of host `other` is an hour ahead, and it booted at another time.
            name: "a clock an hour off",
            ranks: four_ranks(|it| {
                if it.rank >= 2 {
                    (it.host, it.clock_skew, it.start, it.end) = ("other", 3_600, 7.0, 107.0);
                }
            }),
            expected_joules: [120_000.0, 20_000.0, 2_000.0],
            seconds: 100.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            // 40 s, a pause of 60 s, and 100 s.
            name: "killed, requeued, resumed",
            ranks: [1, 2]
                .into_iter()
                .flat_map(|attempt| {
                    four_ranks(move |it| {
                        it.attempt = attempt;
                        match attempt {
                            1 => (it.end, it.status) = (1_040.0, None),
                            _ => (it.start, it.end) = (1_100.0, 1_200.0),
                        }
                    })
                })
                .collect(),
            expected_joules: [168_000.0, 14_000.0, 1_400.0],
            seconds: 140.0,
            status: done,
            missing_ranks: &[],
        },
        MergeScenario {
            name: "resumed on another host, rank 3 new in attempt 2",
            ranks: [1, 2]
                .into_iter()
                .flat_map(|attempt| {
                    four_ranks(move |it| {
                        it.attempt = attempt;
                        it.ranks = if attempt == 1 { 3 } else { 4 };
                        if attempt == 1 {
                            (it.end, it.status) = (1_040.0, None);
                        } else {
                            (it.host, it.start, it.end) = ("other", 50.0, 150.0);
                        }
                    })
                })
                .filter(|it| it.rank < it.ranks)
                .collect(),
            expected_joules: [156_000.0, 14_000.0, 1_400.0],
            seconds: 140.0,
            status: done,
            missing_ranks: &[],
        },
    ]
}

/// A deterministic shuffle, because file systems list files in any order.
fn shuffle<T>(mut items: Vec<T>, seed: usize) -> Vec<T> {
    for index in (1..items.len()).rev() {
        items.swap(index, (index * 7 + seed * 13) % (index + 1));
    }
    items
}

#[test]
fn merged_footprint_matches_every_scenario() {
    for scenario in merge_scenarios() {
        let MergeScenario { name, ranks, expected_joules, seconds, status, missing_ranks } = scenario;
        let ledgers: Vec<_> = ranks.iter().map(ScriptedRank::ledger).collect();
        let merged = merge_ledgers(&shuffle(ledgers.clone(), 1), &[]);
        let found = [merged.energy.gpu, merged.energy.cpu, merged.energy.memory].map(Energy::joules);
        for (found, expected) in found.iter().zip(expected_joules) {
            assert!((found - expected).abs() <= 1e-6 * expected, "{name}: {found} J of {expected} J");
        }
        assert_eq!(merged.run.missing_ranks, missing_ranks, "{name}");
        assert_eq!(merged.run.partial, !missing_ranks.is_empty(), "{name}");
        assert_eq!(merged.run.outcome, status, "{name}");
        assert!((merged.run.duration_s - seconds).abs() < 1e-6, "{name}: {} s", merged.run.duration_s);
        let total: f64 = expected_joules.iter().sum();
        // × 1.5 × 360 g/kWh, and the bounds of 10 %.
        let grams = total * 1.5 * 360.0 / 3.6e6;
        assert!((merged.emissions.best.grams() - grams).abs() < 1e-6 * grams, "{name}");
        assert!((merged.energy.low.joules() - 0.9 * total).abs() < 1e-6 * total, "{name}");
        assert!((merged.energy.high.joules() - 1.1 * total).abs() < 1e-6 * total, "{name}");
        // The power curve integrates to the same energy.
        let mut previous = 0.0;
        let curve: f64 =
            merged.power.iter().map(|(at, watts)| watts * (at - std::mem::replace(&mut previous, *at))).sum();
        assert!(
            (curve - total).abs() < 1e-6 * total,
            "{name}: the curve integrates to {curve} J, not {total} J"
        );
        assert!(merged.power.len() <= 500);
        for seed in 2..5 {
            assert_eq!(merge_ledgers(&shuffle(ledgers.clone(), seed), &[]), merged, "{name}: another order");
        }
    }
}

#[test]
fn each_host_component_counts_once() {
    let merged = merge_ledgers(
        &four_ranks(|it| it.host = if it.rank < 2 { "host" } else { "other" })
            .iter()
            .map(ScriptedRank::ledger)
            .collect::<Vec<_>>(),
        &[],
    );
    let kinds = |kind| merged.components.iter().filter(|it| it.kind == kind).count();
    assert_eq!([ComponentKind::Gpu, ComponentKind::Cpu, ComponentKind::Memory].map(kinds), [4, 2, 2]);
    assert_eq!(merged.hardware, "4 x Scripted GPU-");
    assert_eq!((merged.run.ranks, merged.run.ranks_expected), (4, 4));
}

#[test]
fn epoch_sums_all_ranks() {
    let mut processes = four_ranks(|it| it.epochs = vec![(1, 1_000.0, 1_050.0), (2, 1_050.0, 1_100.0)]);
    // A straggler: its second epoch starts and ends 5 s later.
    processes[3].end = 1_105.0;
    processes[3].epochs = vec![(1, 1_000.0, 1_055.0), (2, 1_055.0, 1_105.0)];
    let merged = merge_ledgers(&processes.iter().map(ScriptedRank::ledger).collect::<Vec<_>>(), &[]);
    let each: Vec<_> =
        merged.epochs.iter().map(|it| (it.epoch, it.start_s, it.energy.joules().round())).collect();
    // GPUs: 3 × 300 W × 50 s + 300 W × 55 s; CPU and memory: 110 W × 55 s.
    assert_eq!(each, [(1, Some(0.0), 61_500.0 + 6_050.0), (2, Some(50.0), 60_000.0 + 6_050.0)]);
}

#[test]
fn repeated_epochs_are_kept_and_named() {
    let attempts = [
        ScriptedRank {
            ranks: 1,
            epochs: vec![(1, 1_000.0, 1_030.0), (2, 1_030.0, 1_060.0)],
            status: None,
            ..scripted_rank(0, "host", &[("GPU-0", 300.0)])
        },
        ScriptedRank {
            ranks: 1,
            attempt: 2,
            start: 5_000.0,
            end: 5_060.0,
            epochs: vec![(2, 5_000.0, 5_030.0), (3, 5_030.0, 5_060.0)],
            ..scripted_rank(0, "host", &[("GPU-0", 300.0)])
        },
    ];
    let merged = merge_ledgers(&attempts.map(|it| it.ledger()), &[]);
    let each: Vec<_> = merged.epochs.iter().map(|it| (it.attempt, it.epoch, it.start_s)).collect();
    assert_eq!(each, [(1, 1, Some(0.0)), (1, 2, Some(30.0)), (2, 2, Some(100.0)), (2, 3, Some(130.0))]);
    assert!(merged.notes.iter().any(|note| note.starts_with("epoch 2 was trained in more than one attempt")));
    assert_eq!((merged.run.attempts, merged.hardware.as_str()), (2, "1 x Scripted GPU-"));
    assert!((merged.energy.total.joules() - 410.0 * 160.0).abs() < 1e-6);
}

#[test]
fn missing_and_unreadable_ranks_are_named() {
    let ledgers: Vec<_> = four_ranks(|_| ()).iter().take(2).map(ScriptedRank::ledger).collect();
    let merged = merge_ledgers(&ledgers, &[(3, 1)]);
    assert_eq!((merged.run.missing_ranks.as_slice(), merged.run.partial), (&[2][..], true));
    assert_eq!(merged.notes[0], "rank 2 has no ledger: its energy is not in the total");
    assert!(merged.notes[1].starts_with("the ledger of rank 3, attempt 1, cannot be read"));
}

#[test]
fn each_place_has_its_share() {
    let attempt = |attempt, watts, start| ScriptedRank {
        rank: 0,
        ranks: 1,
        attempt,
        start,
        end: start + 100.0,
        cpu_watts: 0.0,
        memory_watts: 0.0,
        ..scripted_rank(0, "host", &[("GPU-0", watts)])
    };
    let mut ledgers = [attempt(1, 300.0, 1_000.0), attempt(2, 100.0, 2_000.0)].map(|it| it.ledger());
    let places = ["Singapore", "Norway"].map(|name| name.parse::<sootprint_core::Place>().unwrap());
    let grids = places.map(|place| place.intensity(LocationSource::Argument, 2024));
    for ((builder, _), grid) in ledgers.iter_mut().zip(&grids) {
        builder.header_mut().grid = grid.clone();
    }
    let merged = merge_ledgers(&ledgers, &[]);
    let found: Vec<_> = merged.grid.places.iter().map(|it| (it.place.as_deref(), it.share)).collect();
    assert_eq!(found, [(Some("Singapore"), 0.75), (Some("Norway"), 0.25)]);
    assert_eq!((merged.grid.place.as_deref(), merged.grid.zone), (Some("Singapore, Norway"), None));
    let [singapore, norway] = grids.map(|grid| grid.intensity.grams_per_kilowatt_hour());
    let mean = merged.grid.intensity.grams_per_kilowatt_hour();
    assert!((mean - (0.75 * singapore + 0.25 * norway)).abs() < 1e-9, "{mean}");
}
