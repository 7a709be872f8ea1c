//! Cost for the training process: start and finish, memory, CPU time of the sampler, epoch hook.

use std::ffi::OsStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;

use crate::child::{FigureProcess, FigureReport};
use crate::machine::{BenchMachine, scripted_gpu};
use crate::row::{NumbersRow, format_percent};
use nvidia_ml::FakeGpu;
use sootprint_benches::{BenchError, system};

const TICK: Duration = Duration::from_millis(20);

/// Runs whose start and finish are timed.
const RUN_COUNT: usize = 20;

/// Epochs whose boundaries are timed, and the length of each.
const EPOCH_COUNT: u32 = 2_000;
const EPOCH_LENGTH: Duration = Duration::from_micros(2_500);

/// How long the sampler is measured.
const WATCH_TIME: Duration = Duration::from_secs(12);

pub(crate) fn rows() -> impl Iterator<Item = NumbersRow> {
    let start_finish = std::iter::once_with(start_finish_rows).flatten();
    let memory = std::iter::once_with(memory_row);
    let sampler = std::iter::once_with(sampler_rows).flatten();
    start_finish.chain(memory).chain(sampler).chain(std::iter::once_with(hook_row))
}

fn start_finish_rows() -> Vec<NumbersRow> {
    let measure = || {
        let each = (0..RUN_COUNT)
            .map(|_| FigureProcess::start(&["edges"], None)?.wait()?.figures_without_problems());
        each.collect::<Result<Vec<[f64; 2]>, BenchError>>()
    };
    let found = measure().map_err(|failure| failure.to_string());
    [
        ("start of a run, in a process that has initialised NVML", "≤ 20 ms", 20.0),
        ("finish of a run, tick of 20 ms", "≤ 20 ms and one tick", 40.0),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (what, goal, most))| {
        let found = found.clone().map_err(BenchError::from).map(|runs| {
            let mut times: Vec<f64> = runs.iter().map(|run| run[index] * 1e3).collect();
            times.sort_unstable_by(f64::total_cmp);
            let (median, worst) = (times[RUN_COUNT / 2], times[RUN_COUNT - 1]);
            (format!("{median:.1} ms, worst of {RUN_COUNT} {worst:.1} ms"), worst <= most)
        });
        NumbersRow::new(what, goal, found)
    })
    .collect()
}

/// The seconds of the first start and the finish in a process.
pub(crate) fn start_finish_times() -> Result<FigureReport, BenchError> {
    let machine = BenchMachine::new([scripted_gpu(0, 1).energy_counter(TICK)], Duration::ZERO)?;
    let _library = load_nvml(&machine)?;
    let called = Instant::now();
    let run = machine.start();
    let start = called.elapsed();
    sleep(Duration::from_millis(300));
    let called = Instant::now();
    let footprint = run.finish();
    let finish = called.elapsed();
    let problems = footprint.notes.iter().filter(|note| note.contains("did not answer")).cloned().collect();
    Ok(FigureReport { figures: vec![start.as_secs_f64(), finish.as_secs_f64()], problems })
}

fn memory_row() -> NumbersRow {
    let found = FigureProcess::start(&["memory"], None)
        .and_then(FigureProcess::wait)
        .and_then(|report| report.figures_without_problems());
    let found = found.map(|[bytes]: [f64; 1]| (format!("{:.2} MB", bytes / 1e6), bytes <= 3e6));
    NumbersRow::new(
        "memory added to a process that has initialised NVML, eight GPUs, 3 s, at its peak",
        "≤ 3 MB",
        found,
    )
}

/// The bytes that a run adds at the peak.
pub(crate) fn added_memory() -> Result<FigureReport, BenchError> {
    let machine = BenchMachine::new(scripted_gpus("8", "counter")?, Duration::ZERO)?;
    let _library = load_nvml(&machine)?;
    let before = system::resident_bytes()?;
    let run = machine.start();
    for _ in run.epochs(1..=30) {
        sleep(Duration::from_millis(100));
    }
    let footprint = run.finish();
    let added = system::peak_resident_bytes()? - before;
    Ok(FigureReport { figures: vec![added], problems: missing_gpus(&footprint, 8) })
}

fn sampler_rows() -> Vec<NumbersRow> {
    let cases =
        [("1", "counter", 0.001), ("8", "counter", 0.001), ("1", "power", 0.01), ("8", "power", 0.01)];
    // The processes mostly wait, so they can run at the same time.
    let children = cases.map(|(gpus, sensor, most)| {
        (gpus, sensor, most, FigureProcess::start(&["sampler", gpus, sensor], None))
    });
    let row = |(gpus, sensor, most, child): (&str, &str, f64, Result<FigureProcess, BenchError>)| {
        let found = child.and_then(FigureProcess::wait).and_then(|report| report.figures_without_problems());
        let found =
            found.map(|[part]: [f64; 1]| (format!("{} of a core", format_percent(part)), part <= most));
        let with = if sensor == "counter" { "with a counter" } else { "without a counter" };
        let gpus = if gpus == "1" { "one GPU" } else { "eight GPUs, each" };
        let what =
            format!("sampler's CPU time between boundaries, {gpus} {with}; including the fake library");
        NumbersRow::new(what, format!("≤ {} %", most * 100.0), found)
    };
    children.map(row).into()
}

/// The share of a core that the sampler uses between boundaries.
pub(crate) fn sampler_cpu_share(count: &str, sensor: &str) -> Result<FigureReport, BenchError> {
    /// The thread name in Linux: 15 characters.
    const SAMPLER_THREAD: &str = "sootprint-sampl";
    let machine = BenchMachine::new(scripted_gpus(count, sensor)?, Duration::ZERO)?;
    let run = machine.start();
    sleep(Duration::from_secs(1));
    let (before, began) = (system::thread_cpu_time(SAMPLER_THREAD)?, Instant::now());
    sleep(WATCH_TIME);
    let (after, watched) = (system::thread_cpu_time(SAMPLER_THREAD)?, began.elapsed());
    let footprint = run.finish();
    let part = (after - before).as_secs_f64() / watched.as_secs_f64();
    Ok(FigureReport { figures: vec![part], problems: missing_gpus(&footprint, count.parse()?) })
}

fn hook_row() -> NumbersRow {
    let found = FigureProcess::start(&["hook"], None)
        .and_then(FigureProcess::wait)
        .and_then(|report| report.figures_without_problems());
    let found = found.map(|[median, high]: [f64; 2]| {
        (format!("{:.1} µs, median {:.1} µs", high * 1e6, median * 1e6), high <= 100e-6)
    });
    let what = format!("epoch hook, 99th percentile of {EPOCH_COUNT} epochs of {EPOCH_LENGTH:?}");
    NumbersRow::new(what, "≤ 100 µs", found)
}

/// The median and 99th percentile of the seconds that the training thread spends at an epoch boundary.
pub(crate) fn epoch_hook_times() -> Result<FigureReport, BenchError> {
    let machine = BenchMachine::new([scripted_gpu(0, 1).energy_counter(TICK)], Duration::ZERO)?;
    let run = machine.start();
    let mut epochs = run.epochs(0..=EPOCH_COUNT);
    let mut times = Vec::with_capacity(EPOCH_COUNT as usize);
    // The first call starts an epoch but ends none.
    epochs.next();
    for _ in 0..EPOCH_COUNT {
        sleep(EPOCH_LENGTH);
        let called = Instant::now();
        epochs.next();
        times.push(called.elapsed().as_secs_f64());
    }
    drop(epochs);
    let footprint = run.finish();
    times.sort_unstable_by(f64::total_cmp);
    let at = |percentile: usize| times[(times.len() * percentile).div_ceil(100) - 1];
    let mut report = FigureReport::new([at(50), at(99)]);
    if footprint.epochs.len() != times.len() + 1 {
        report.problems.push(format!("{} epochs recorded", footprint.epochs.len()));
    }
    Ok(report)
}

fn scripted_gpus(count: &str, sensor: &str) -> Result<Vec<FakeGpu>, BenchError> {
    let sensor: fn(FakeGpu) -> FakeGpu = match sensor {
        "counter" => |gpu| gpu.energy_counter(TICK),
        "power" => FakeGpu::power_fields,
        _ => return Err("there is no such sensor".into()),
    };
    Ok((0..count.parse()?).map(|index| sensor(scripted_gpu(index, 1))).collect())
}

/// Loads and initialises the machine's NVML library, so that only the additional cost of a run is measured.
fn load_nvml(machine: &BenchMachine) -> Result<Nvml, BenchError> {
    let library = Nvml::builder().lib_path(OsStr::new(&machine.library)).init()?;
    library.device_by_index(0)?.total_energy_consumption()?;
    Ok(library)
}

/// A run that measured too few GPUs would appear too cheap.
fn missing_gpus(footprint: &sootprint::Footprint, gpus: usize) -> Vec<String> {
    let measured = footprint.components.iter().filter(|it| it.kind == sootprint::ComponentKind::Gpu).count();
    if measured == gpus { Vec::new() } else { vec![format!("{measured} of {gpus} GPUs were measured")] }
}
