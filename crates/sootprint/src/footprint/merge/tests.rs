//! Ranks and attempts against truths that are worked out apart from the code under test.

use sootprint_core::{Answer, CarbonIntensity, Energy, Method, Origin, Pue};
use sootprint_power::{Board, Tolerance, Total};

use super::*;
use crate::ledger::{Entry, Opened, Task};

/// What a process of the scenarios sees and when: all powers are constant.
#[derive(Clone)]
struct Process {
    rank: u32,
    ranks: u32,
    attempt: u32,
    host: &'static str,
    processors: &'static str,
    memory: &'static str,
    /// By the host's clock since boot.
    start: f64,
    end: f64,
    /// What the host's wall clock is off.
    skew: i64,
    boards: Vec<(&'static str, f64)>,
    cpu: f64,
    dram: f64,
    /// Number, start and end on the host's clock.
    epochs: Vec<(u32, f64, f64)>,
    outcome: Option<Outcome>,
}

fn process(rank: u32, host: &'static str, boards: &[(&'static str, f64)]) -> Process {
    Process {
        rank,
        ranks: 4,
        attempt: 1,
        host,
        processors: "all",
        memory: "all",
        start: 1_000.0,
        end: 1_100.0,
        skew: 0,
        boards: boards.to_vec(),
        cpu: 100.0,
        dram: 10.0,
        epochs: Vec::new(),
        outcome: Some(Outcome::Completed),
    }
}

fn component(kind: Kind, id: &str) -> Component {
    Component {
        kind,
        id: id.to_owned(),
        name: format!("Scripted {id}").trim_end_matches(char::is_numeric).to_owned(),
        method: if kind == Kind::Gpu { Method::Counter } else { Method::Modelled },
        board: (kind == Kind::Gpu).then(|| Board {
            uuid: id.to_owned(),
            pci: String::new(),
            model: String::new(),
            cuda: None,
            rocm: None,
        }),
        limit: None,
        share: 1.0,
        tolerance: Tolerance::of(0.05),
        note: None,
    }
}

impl Process {
    fn ledger(&self) -> (Fold, Outcome) {
        let started = jiff::Timestamp::from_second(1_790_000_000 + self.start as i64 + self.skew).unwrap();
        let mut components: Vec<Component> =
            self.boards.iter().map(|it| component(Kind::Gpu, it.0)).collect();
        components.extend([component(Kind::Cpu, "cpu"), component(Kind::Memory, "memory")]);
        let watts: Vec<f64> = self.boards.iter().map(|it| it.1).chain([self.cpu, self.dram]).collect();
        let mut fold = Fold::new(Box::new(Opened {
            schema: "sootprint-ledger/1".into(),
            version: "0.0.0".into(),
            run: "00001-run".into(),
            training_type: None,
            base_model: None,
            started: started.to_string(),
            grid: Answer::given(CarbonIntensity::from_grams_per_kilowatt_hour(360.0), None, Origin::Argument),
            pue: Pue::new(1.5).unwrap(),
            components,
            gaps: vec![],
            task: Task {
                rank: self.rank,
                ranks: self.ranks,
                attempt: self.attempt,
                launch: Some(format!("launch {}", self.attempt)),
                host: Some(self.host.to_owned()),
                booted: Some(self.start),
                processors: Some(self.processors.to_owned()),
                memory: Some(self.memory.to_owned()),
            },
        }));
        fold.apply(Entry::Claimed {
            at: 0.0,
            components: (0..self.boards.len()).collect(),
            unresolved: vec![],
        });
        let joules = |time: f64| watts.iter().map(move |watts| Energy::from_joules(watts * time));
        let totals = |at: f64| -> Vec<Total> {
            let total = |energy: Energy| Total {
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
            let (counts, phases) = (Counts::default(), Vec::new());
            fold.apply(Entry::Epoch { epoch, start, end, energy, completed: true, counts, phases });
        }
        let length = self.end - self.start;
        for tenth in 1..=10 {
            let at = length * f64::from(tenth) / 10.0;
            fold.apply(Entry::Totals { at, totals: totals(at) });
        }
        if let Some(outcome) = self.outcome {
            fold.apply(Entry::Closed { at: length, outcome, totals: totals(length) });
        }
        (fold, Outcome::Killed)
    }
}

/// A scenario: its ledgers, and the joules of boards, processors and memory as they are on paper.
struct Scenario {
    name: &'static str,
    processes: Vec<Process>,
    truth: [f64; 3],
    seconds: f64,
    outcome: Outcome,
    missing: &'static [u32],
}

fn four(change: impl Fn(&mut Process)) -> Vec<Process> {
    let boards = ["GPU-0", "GPU-1", "GPU-2", "GPU-3"];
    let process = |(rank, board): (u32, &&'static str)| {
        let mut process = process(rank, "host", &[(*board, 300.0)]);
        change(&mut process);
        process
    };
    (0..4).zip(&boards).map(process).collect()
}

fn scenarios() -> Vec<Scenario> {
    let done = Outcome::Completed;
    vec![
        Scenario {
            name: "4 ranks, a board each, one host",
            processes: four(|_| ()),
            truth: [120_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            name: "2 hosts of 2 ranks",
            processes: four(|it| it.host = if it.rank < 2 { "host" } else { "other" }),
            truth: [120_000.0, 20_000.0, 2_000.0],
            seconds: 100.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            name: "all ranks claim all boards",
            processes: four(|it| it.boards = vec![("GPU-0", 300.0), ("GPU-1", 200.0)]),
            truth: [50_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            // One board from 1000 s to 1130 s, however many claim it.
            name: "one board, starts 10 s apart",
            processes: four(|it| {
                it.boards = vec![("GPU-0", 300.0)];
                it.start += 10.0 * f64::from(it.rank);
                it.end += 10.0 * f64::from(it.rank);
            }),
            truth: [39_000.0, 13_000.0, 1_300.0],
            seconds: 130.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            name: "a container each, with a quota and a limit",
            processes: four(|it| {
                it.processors = ["group 0:1", "group 0:2", "group 0:3", "group 0:4"][it.rank as usize];
                it.memory = it.processors;
                (it.cpu, it.dram) = (25.0, 2.5);
            }),
            truth: [120_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            name: "two containers of two ranks, memory alone limited",
            processes: four(|it| {
                it.memory = if it.rank < 2 { "group 0:1" } else { "group 0:2" };
                it.dram = 4.0;
            }),
            truth: [120_000.0, 10_000.0, 800.0],
            seconds: 100.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            name: "per-task cgroups within a job",
            processes: four(|it| (it.processors, it.memory) = ("group 0:7", "group 0:7")),
            truth: [120_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            name: "rank 2 has no ledger",
            processes: four(|_| ()).into_iter().filter(|it| it.rank != 2).collect(),
            truth: [90_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            outcome: done,
            missing: &[2],
        },
        Scenario {
            name: "rank 1 was killed after 40 s",
            processes: four(|it| {
                if it.rank == 1 {
                    (it.end, it.outcome) = (1_040.0, None);
                }
            }),
            truth: [102_000.0, 10_000.0, 1_000.0],
            seconds: 100.0,
            outcome: Outcome::Killed,
            missing: &[],
        },
        Scenario {
            // Host `other` says an hour later, and counts its time since boot from elsewhere.
            name: "a clock an hour off",
            processes: four(|it| {
                if it.rank >= 2 {
                    (it.host, it.skew, it.start, it.end) = ("other", 3_600, 7.0, 107.0);
                }
            }),
            truth: [120_000.0, 20_000.0, 2_000.0],
            seconds: 100.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            // 40 s, a minute of nothing, and 100 s.
            name: "killed, requeued, resumed",
            processes: [1, 2]
                .into_iter()
                .flat_map(|attempt| {
                    four(move |it| {
                        it.attempt = attempt;
                        match attempt {
                            1 => (it.end, it.outcome) = (1_040.0, None),
                            _ => (it.start, it.end) = (1_100.0, 1_200.0),
                        }
                    })
                })
                .collect(),
            truth: [168_000.0, 14_000.0, 1_400.0],
            seconds: 140.0,
            outcome: done,
            missing: &[],
        },
        Scenario {
            name: "resumed on another host, rank 3 new in attempt 2",
            processes: [1, 2]
                .into_iter()
                .flat_map(|attempt| {
                    four(move |it| {
                        it.attempt = attempt;
                        it.ranks = if attempt == 1 { 3 } else { 4 };
                        if attempt == 1 {
                            (it.end, it.outcome) = (1_040.0, None);
                        } else {
                            (it.host, it.start, it.end) = ("other", 50.0, 150.0);
                        }
                    })
                })
                .filter(|it| it.rank < it.ranks)
                .collect(),
            truth: [156_000.0, 14_000.0, 1_400.0],
            seconds: 140.0,
            outcome: done,
            missing: &[],
        },
    ]
}

/// Deterministic disorder, as a shared file system lists its files.
fn shuffled<T>(mut items: Vec<T>, seed: usize) -> Vec<T> {
    for index in (1..items.len()).rev() {
        items.swap(index, (index * 7 + seed * 13) % (index + 1));
    }
    items
}

#[test]
fn the_merged_footprint_is_the_truth_whatever_the_ranks_do() {
    println!("| scenario | ledgers | truth J (GPU, CPU, memory) | merged J | s | outcome | missing |");
    println!("|---|---|---|---|---|---|---|");
    for Scenario { name, processes, truth, seconds, outcome, missing } in scenarios() {
        let count = processes.len();
        let ledgers: Vec<_> = processes.iter().map(Process::ledger).collect();
        let merged = merged(&shuffled(ledgers.clone(), 1), &[]);
        let found = [merged.energy.gpu, merged.energy.cpu, merged.energy.memory].map(Energy::joules);
        println!(
            "| {name} | {count} | {truth:?} | {:?} | {:.1} | {} | {:?} |",
            found.map(|joules| (joules * 1e3).round() / 1e3),
            merged.run.duration_s,
            merged.run.outcome.as_str(),
            merged.run.missing_ranks
        );
        for (found, truth) in found.iter().zip(truth) {
            assert!((found - truth).abs() <= 1e-6 * truth, "{name}: {found} J of {truth} J");
        }
        assert_eq!(merged.run.missing_ranks, missing, "{name}");
        assert_eq!(merged.run.partial, !missing.is_empty(), "{name}");
        assert_eq!(merged.run.outcome, outcome, "{name}");
        assert!((merged.run.duration_s - seconds).abs() < 1e-6, "{name}: {} s", merged.run.duration_s);
        let total: f64 = truth.iter().sum();
        // × 1.5 × 360 g/kWh, and the bounds of 10 %.
        let grams = total * 1.5 * 360.0 / 3.6e6;
        assert!((merged.emissions.best.grams() - grams).abs() < 1e-6 * grams, "{name}");
        assert!((merged.energy.low.joules() - 0.9 * total).abs() < 1e-6 * total, "{name}");
        assert!((merged.energy.high.joules() - 1.1 * total).abs() < 1e-6 * total, "{name}");
        // The curve is of the same energy.
        let mut then = 0.0;
        let curve: f64 =
            merged.power.iter().map(|(at, watts)| watts * (at - std::mem::replace(&mut then, *at))).sum();
        assert!((curve - total).abs() < 1e-6 * total, "{name}: a curve of {curve} J, {total} J");
        assert!(merged.power.len() <= 500);
        for seed in 2..5 {
            assert_eq!(super::merged(&shuffled(ledgers.clone(), seed), &[]), merged, "{name}: another order");
        }
    }
}

#[test]
fn a_host_has_one_processor_and_one_memory_and_each_board_once() {
    let merged = merged(
        &four(|it| it.host = if it.rank < 2 { "host" } else { "other" })
            .iter()
            .map(Process::ledger)
            .collect::<Vec<_>>(),
        &[],
    );
    let kinds = |kind| merged.components.iter().filter(|it| it.kind == kind).count();
    assert_eq!([Kind::Gpu, Kind::Cpu, Kind::Memory].map(kinds), [4, 2, 2]);
    assert_eq!(merged.hardware, "4 x Scripted GPU-");
    assert_eq!((merged.run.ranks, merged.run.ranks_expected), (4, 4));
}

#[test]
fn an_epoch_is_what_all_ranks_used_in_it() {
    let mut processes = four(|it| it.epochs = vec![(1, 1_000.0, 1_050.0), (2, 1_050.0, 1_100.0)]);
    // A straggler: its second epoch begins and ends 5 s later.
    processes[3].end = 1_105.0;
    processes[3].epochs = vec![(1, 1_000.0, 1_055.0), (2, 1_055.0, 1_105.0)];
    let merged = merged(&processes.iter().map(Process::ledger).collect::<Vec<_>>(), &[]);
    let each: Vec<_> =
        merged.epochs.iter().map(|it| (it.epoch, it.start_s, it.energy.joules().round())).collect();
    // Boards: 3 × 300 W × 50 s + 300 W × 55 s; processor and memory: 110 W × 55 s.
    assert_eq!(each, [(1, Some(0.0), 61_500.0 + 6_050.0), (2, Some(50.0), 60_000.0 + 6_050.0)]);
}

#[test]
fn redone_epochs_are_kept_and_named_and_time_between_attempts_is_none() {
    let attempts = [
        Process {
            ranks: 1,
            epochs: vec![(1, 1_000.0, 1_030.0), (2, 1_030.0, 1_060.0)],
            outcome: None,
            ..process(0, "host", &[("GPU-0", 300.0)])
        },
        Process {
            ranks: 1,
            attempt: 2,
            start: 5_000.0,
            end: 5_060.0,
            epochs: vec![(2, 5_000.0, 5_030.0), (3, 5_030.0, 5_060.0)],
            ..process(0, "host", &[("GPU-0", 300.0)])
        },
    ];
    let merged = merged(&attempts.map(|it| it.ledger()), &[]);
    let each: Vec<_> = merged.epochs.iter().map(|it| (it.attempt, it.epoch, it.start_s)).collect();
    assert_eq!(each, [(1, 1, Some(0.0)), (1, 2, Some(30.0)), (2, 2, Some(100.0)), (2, 3, Some(130.0))]);
    assert!(merged.notes.iter().any(|note| note.starts_with("epoch 2 was trained in more than one attempt")));
    assert_eq!((merged.run.attempts, merged.hardware.as_str()), (2, "1 x Scripted GPU-"));
    assert!((merged.energy.total.joules() - 410.0 * 160.0).abs() < 1e-6);
}

#[test]
fn missing_and_unreadable_ranks_are_named() {
    let ledgers: Vec<_> = four(|_| ()).iter().take(2).map(Process::ledger).collect();
    let merged = merged(&ledgers, &[(3, 1)]);
    assert_eq!((merged.run.missing_ranks.as_slice(), merged.run.partial), (&[2][..], true));
    assert_eq!(merged.notes[0], "rank 2 has no ledger: its energy is not in the total");
    assert!(merged.notes[1].starts_with("the ledger of rank 3, attempt 1, cannot be read"));
}
