//! Difference between the measured and the true energy.

use std::time::Duration;

use crate::child::{FigureProcess, FigureReport};
use crate::machine::{BenchMachine, ObservedRun, POWER_PERIOD, SCRIPT_LEAD, gpu_uuid, scripted_gpu};
use crate::row::{NumbersRow, format_percent};
use nvidia_ml::FakeGpu;
use sootprint_benches::BenchError;

/// Windows per case, with phases spread over the period of the power.
const WINDOWS_PER_CASE: u32 = 8;

/// Windows overlap, except for their ends, where the sampler is busy.
const STAGGER: Duration = Duration::from_millis(250);

/// A measurement and its goal.
struct AccuracyCase {
    name: &'static str,
    description: &'static str,
    /// Maximum relative error.
    goal: f64,
    window: Duration,
    /// `CUDA_VISIBLE_DEVICES`.
    visible_devices: Option<&'static str>,
    /// The GPUs of the machine, for a run that starts at this script time.
    gpus: fn(Duration) -> Vec<FakeGpu>,
    judge: fn(&ObservedRun) -> Result<CaseResult, BenchError>,
}

/// The relative error, and other problems.
type CaseResult = (f64, Vec<String>);

const SHORT_WINDOW: Duration = Duration::from_secs(5);
const LONG_WINDOW: Duration = Duration::from_secs(20);
const FAST_TICK: Duration = Duration::from_millis(20);
const SLOW_TICK: Duration = Duration::from_millis(100);
/// The time of a counter read on an H100.
const EXPENSIVE_READ: Duration = Duration::from_millis(5);

const CASES: [AccuracyCase; 11] = [
    AccuracyCase {
        name: "fast-counter",
        description: "energy counter with a tick of 20 ms, 5 s",
        goal: 0.0005,
        window: SHORT_WINDOW,
        visible_devices: None,
        gpus: |_| vec![scripted_gpu(0, 1).energy_counter(FAST_TICK)],
        judge: |run| judge_total_energy(run, &[0]),
    },
    AccuracyCase {
        name: "slow-counter",
        description: "energy counter with a tick of 100 ms, 5 s",
        goal: 0.005,
        window: SHORT_WINDOW,
        visible_devices: None,
        gpus: |_| vec![scripted_gpu(0, 1).energy_counter(SLOW_TICK)],
        judge: |run| judge_total_energy(run, &[0]),
    },
    AccuracyCase {
        name: "expensive-counter",
        description: "energy counter with a tick of 100 ms, each read takes 5 ms, 5 s",
        goal: 0.005,
        window: SHORT_WINDOW,
        visible_devices: None,
        gpus: |_| vec![scripted_gpu(0, 1).energy_counter(SLOW_TICK).counter_delay(EXPENSIVE_READ)],
        judge: |run| judge_total_energy(run, &[0]),
    },
    AccuracyCase {
        name: "instant-power",
        description: "no energy counter, instantaneous power, 5 s",
        goal: 0.01,
        window: SHORT_WINDOW,
        visible_devices: None,
        gpus: |_| vec![scripted_gpu(0, 1).power_fields()],
        judge: |run| judge_total_energy(run, &[0]),
    },
    AccuracyCase {
        name: "mean-power",
        description: "no energy counter, power averaged over 1 s, 8 s",
        goal: 0.03,
        window: Duration::from_secs(8),
        visible_devices: None,
        gpus: |_| vec![scripted_gpu(0, 1).averaging_window(Duration::from_secs(1))],
        judge: |run| judge_total_energy(run, &[0]),
    },
    AccuracyCase {
        name: "by-index",
        description: "two of four GPUs by index, tick of 20 ms, 5 s",
        goal: 0.0005,
        window: SHORT_WINDOW,
        visible_devices: Some("2,0"),
        gpus: four_gpus,
        judge: |run| judge_total_energy(run, &[2, 0]),
    },
    AccuracyCase {
        name: "by-uuid",
        description: "two of four GPUs by UUID, tick of 20 ms, 5 s",
        goal: 0.0005,
        window: SHORT_WINDOW,
        visible_devices: Some(
            "GPU-dddddddd-0000-0000-0000-000000000000,GPU-bbbbbbbb-0000-0000-0000-000000000000",
        ),
        gpus: four_gpus,
        judge: |run| judge_total_energy(run, &[3, 1]),
    },
    AccuracyCase {
        name: "by-prefix",
        description: "one of four GPUs by a UUID prefix, tick of 20 ms, 5 s",
        goal: 0.0005,
        window: SHORT_WINDOW,
        visible_devices: Some("GPU-bbbb"),
        gpus: four_gpus,
        judge: |run| judge_total_energy(run, &[1]),
    },
    AccuracyCase {
        name: "lost",
        description: "one of two GPUs lost midway, tick of 20 ms, 5 s: energy of the other, and its own until the last \
               tick before its last valid reading",
        goal: 0.0005,
        window: SHORT_WINDOW,
        visible_devices: None,
        gpus: |start| {
            vec![
                scripted_gpu(0, 1).energy_counter(FAST_TICK).lost_at(start + SHORT_WINDOW / 2),
                scripted_gpu(1, 2).energy_counter(FAST_TICK),
            ]
        },
        judge: judge_lost_gpu,
    },
    AccuracyCase {
        name: "restart",
        description: "counter restarts midway, tick of 20 ms, 20 s",
        goal: 0.01,
        // Up to 0.2 s before the restart are unmeasured; a load that jumps by 300 W makes this 30 J
        // uncertain.
        window: LONG_WINDOW,
        visible_devices: None,
        gpus: |start| {
            vec![
                scripted_gpu(0, 1)
                    .energy_counter(FAST_TICK)
                    .initial_counter(5_000)
                    .counter_reset(start + LONG_WINDOW / 2),
            ]
        },
        judge: judge_counter_reset,
    },
    AccuracyCase {
        name: "short",
        description: "window of 0.15 s, tick of 100 ms",
        goal: 0.05,
        window: Duration::from_millis(150),
        visible_devices: None,
        gpus: |_| vec![scripted_gpu(0, 1).energy_counter(SLOW_TICK)],
        judge: |run| judge_total_energy(run, &[0]),
    },
];

pub(crate) fn rows() -> impl Iterator<Item = NumbersRow> {
    CASES.iter().map(|case| {
        NumbersRow::new(case.description, format!("≤ {} %", case.goal * 100.0), case.measure_row())
    })
}

/// Measures one window of a case in this process: the relative error, and the uncertainty of the window's
/// boundaries in seconds.
pub(crate) fn measure_window(case: &str, window: &str) -> Result<FigureReport, BenchError> {
    let case = CASES.iter().find(|it| it.name == case).ok_or("there is no such case")?;
    let phase = POWER_PERIOD * window.parse()? / WINDOWS_PER_CASE;
    let observed = BenchMachine::new((case.gpus)(SCRIPT_LEAD + phase), phase)?.observe(case.window)?;
    let (error, problems) = (case.judge)(&observed)?;
    Ok(FigureReport { figures: vec![error, observed.uncertainty.as_secs_f64()], problems })
}

impl AccuracyCase {
    fn measure_row(&self) -> Result<(String, bool), BenchError> {
        let start = |window: u32| {
            std::thread::sleep(STAGGER);
            FigureProcess::start(&["accuracy", self.name, &window.to_string()], self.visible_devices)
        };
        let children: Vec<FigureProcess> = (0..WINDOWS_PER_CASE).map(start).collect::<Result<_, _>>()?;
        let reports: Vec<FigureReport> =
            children.into_iter().map(FigureProcess::wait).collect::<Result<_, _>>()?;
        let figures: Vec<[f64; 2]> =
            reports.iter().map(FigureReport::exact_figures).collect::<Result<_, _>>()?;
        let mut errors: Vec<f64> = figures.iter().map(|[error, _]| *error).collect();
        errors.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
        let (median, worst) = (errors[errors.len() / 2].abs(), errors[errors.len() - 1]);
        let slack = figures.iter().map(|[_, slack]| *slack).fold(0.0, f64::max) * 1e6;
        let problem = reports.iter().flat_map(|report| &report.problems).next();
        let measured = format!(
            "{}, worst of {WINDOWS_PER_CASE} windows; median {}; boundaries known to within {slack:.0} µs{}",
            format_percent(worst),
            format_percent(median),
            problem.map_or_else(String::new, |flaw| format!("; {flaw}"))
        );
        Ok((measured, worst.abs() <= self.goal && problem.is_none()))
    }
}

/// Four GPUs with different power.
fn four_gpus(_start: Duration) -> Vec<FakeGpu> {
    (0..4).map(|index| scripted_gpu(index, u32::from(index) + 1).energy_counter(FAST_TICK)).collect()
}

/// Checks that exactly these GPUs were measured, from start to end.
fn judge_total_energy(run: &ObservedRun, gpus: &[u8]) -> Result<CaseResult, BenchError> {
    let truth: f64 = gpus.iter().map(|index| run.true_energy(usize::from(*index))).sum();
    let counted: Vec<&str> = run.footprint.components.iter().map(|it| it.id.as_str()).collect();
    let mut problems = Vec::new();
    for index in 0..4 {
        if counted.contains(&gpu_uuid(index).as_str()) != gpus.contains(&index) {
            problems.push(format!("GPU {index} is counted wrongly"));
        }
    }
    Ok((run.footprint.energy.gpu.joules() / truth - 1.0, problems))
}

/// Checks the energy of a GPU whose counter restarted, and that the reset was reported.
fn judge_counter_reset(run: &ObservedRun) -> Result<CaseResult, BenchError> {
    let (error, mut problems) = judge_total_energy(run, &[0])?;
    let (resets, notes) = (run.component(0)?.resets, &run.footprint.notes);
    if resets != 1 || !notes.iter().any(|note| note.contains("energy counter reset")) {
        problems.push(format!("{resets} resets reported, in {notes:?}"));
    }
    Ok((error, problems))
}

/// Checks the energy of the first GPU up to its last valid reading, the full energy of the second, and that
/// the loss was reported.
fn judge_lost_gpu(run: &ObservedRun) -> Result<CaseResult, BenchError> {
    /// A counter is read five times per second; the rest allows for a late wake-up of the thread.
    const MAX_READ_GAP: Duration = Duration::from_millis(250);
    let (lost, other) = (run.component(0)?, run.component(1)?);
    let last_reading = run.from + Duration::try_from_secs_f64(lost.measured_s)?;
    let [least, most] = [last_reading - FAST_TICK, last_reading].map(|to| run.true_energy_until(0, to));
    let counted = lost.energy.joules();
    let error = if counted < least { counted / least - 1.0 } else { (counted / most - 1.0).max(0.0) };
    let other = other.energy.joules() / run.true_energy(1) - 1.0;

    let mut problems = Vec::new();
    let unmeasured = Duration::try_from_secs_f64(lost.unmeasured_s)?;
    let longest = run.to.saturating_sub(SCRIPT_LEAD + SHORT_WINDOW / 2) + MAX_READ_GAP;
    if unmeasured > longest {
        problems.push(format!("{unmeasured:?} are unmeasured, at most {longest:?} need be"));
    }
    let report = run.footprint.to_string();
    if !report.lines().take(3).any(|line| line.contains("lost")) {
        problems.push("the loss is not in the first lines of the report".to_owned());
    }
    Ok((if other.abs() > error.abs() { other } else { error }, problems))
}
