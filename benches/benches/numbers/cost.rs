//! What a training process pays: time at both ends, memory, the sampler's processor time, the epoch hook.

use std::ffi::OsStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;

use crate::child::{Child, Report};
use crate::machine::{Machine, board};
use crate::{Row, per_cent};
use nvidia_ml::Board;
use sootprint_benches::{Failure, system};

const TICK: Duration = Duration::from_millis(20);

/// Runs whose start and finish are timed.
const RUNS: usize = 20;

/// Epochs whose edges are timed, and how long each lasts.
const EPOCHS: u32 = 2_000;
const EPOCH: Duration = Duration::from_micros(2_500);

/// How long the sampler is watched.
const WATCHED: Duration = Duration::from_secs(12);

pub(crate) fn rows() -> impl Iterator<Item = Row> {
    let edges = std::iter::once_with(edge_rows).flatten();
    let memory = std::iter::once_with(memory_row);
    let sampler = std::iter::once_with(sampler_rows).flatten();
    edges.chain(memory).chain(sampler).chain(std::iter::once_with(hook_row))
}

fn edge_rows() -> Vec<Row> {
    let measure = || {
        let each = (0..RUNS).map(|_| Child::start(&["edges"], None)?.report()?.flawless());
        each.collect::<Result<Vec<[f64; 2]>, Failure>>()
    };
    let found = measure().map_err(|failure| failure.to_string());
    [
        ("start of a run, in a process that has initialised NVML", "≤ 20 ms", 20.0),
        ("finish of a run, tick of 20 ms", "≤ 20 ms and one tick", 40.0),
    ]
    .into_iter()
    .enumerate()
    .map(|(edge, (what, goal, most))| {
        let found = found.clone().map_err(Failure::from).map(|runs| {
            let mut times: Vec<f64> = runs.iter().map(|run| run[edge] * 1e3).collect();
            times.sort_unstable_by(f64::total_cmp);
            let (median, worst) = (times[RUNS / 2], times[RUNS - 1]);
            (format!("{median:.1} ms, worst of {RUNS} {worst:.1} ms"), worst <= most)
        });
        Row::new(what, goal, found)
    })
    .collect()
}

/// The seconds that the first start and the finish of a process take.
pub(crate) fn edges() -> Result<Report, Failure> {
    let machine = Machine::new([board(0, 1).counter(TICK)], Duration::ZERO)?;
    let _library = initialised(&machine)?;
    let called = Instant::now();
    let run = machine.start();
    let start = called.elapsed();
    sleep(Duration::from_millis(300));
    let called = Instant::now();
    let footprint = run.finish();
    let finish = called.elapsed();
    let flaws = footprint.notes.iter().filter(|note| note.contains("did not answer")).cloned().collect();
    Ok(Report { figures: vec![start.as_secs_f64(), finish.as_secs_f64()], flaws })
}

fn memory_row() -> Row {
    let found = Child::start(&["memory"], None).and_then(Child::report).and_then(|report| report.flawless());
    let found = found.map(|[bytes]: [f64; 1]| (format!("{:.2} MB", bytes / 1e6), bytes <= 3e6));
    Row::new(
        "memory added to a process that has initialised NVML, eight boards, 3 s, at its peak",
        "≤ 3 MB",
        found,
    )
}

/// The bytes that a run adds at its peak.
pub(crate) fn memory() -> Result<Report, Failure> {
    let machine = Machine::new(boards("8", "counter")?, Duration::ZERO)?;
    let _library = initialised(&machine)?;
    let before = system::resident()?;
    let run = machine.start();
    for _ in run.epochs(1..=30) {
        sleep(Duration::from_millis(100));
    }
    let footprint = run.finish();
    let added = system::peak()? - before;
    Ok(Report { figures: vec![added], flaws: not_all(&footprint, 8) })
}

fn sampler_rows() -> Vec<Row> {
    let cases =
        [("1", "counter", 0.001), ("8", "counter", 0.001), ("1", "power", 0.01), ("8", "power", 0.01)];
    // They wait rather than work, and can do so at the same time.
    let children = cases.map(|(boards, sensor, most)| {
        (boards, sensor, most, Child::start(&["sampler", boards, sensor], None))
    });
    let row = |(boards, sensor, most, child): (&str, &str, f64, Result<Child, Failure>)| {
        let found = child.and_then(Child::report).and_then(|report| report.flawless());
        let found = found.map(|[part]: [f64; 1]| (format!("{} of a core", per_cent(part)), part <= most));
        let with = if sensor == "counter" { "with a counter" } else { "without a counter" };
        let boards = if boards == "1" { "one board" } else { "eight boards, each" };
        let what = format!(
            "sampler's processor time between edges, {boards} {with}; the scripted library's own is in it"
        );
        Row::new(what, format!("≤ {} %", most * 100.0), found)
    };
    children.map(row).into()
}

/// The part of a core that the sampler takes while nothing but training happens.
pub(crate) fn sampler(count: &str, sensor: &str) -> Result<Report, Failure> {
    /// As Linux keeps it: 15 characters.
    const THREAD: &str = "sootprint-meter";
    let machine = Machine::new(boards(count, sensor)?, Duration::ZERO)?;
    let run = machine.start();
    sleep(Duration::from_secs(1));
    let (before, began) = (system::thread_time(THREAD)?, Instant::now());
    sleep(WATCHED);
    let (after, watched) = (system::thread_time(THREAD)?, began.elapsed());
    let footprint = run.finish();
    let part = (after - before).as_secs_f64() / watched.as_secs_f64();
    Ok(Report { figures: vec![part], flaws: not_all(&footprint, count.parse()?) })
}

fn hook_row() -> Row {
    let found = Child::start(&["hook"], None).and_then(Child::report).and_then(|report| report.flawless());
    let found = found.map(|[median, high]: [f64; 2]| {
        (format!("{:.1} µs, median {:.1} µs", high * 1e6, median * 1e6), high <= 100e-6)
    });
    let what = format!(
        "epoch hook, end of one and beginning of the next, 99th percentile of {EPOCHS} epochs of {EPOCH:?}"
    );
    Row::new(what, "≤ 100 µs", found)
}

/// The median and the 99th percentile of the seconds that the training's thread spends on an epoch's edge.
pub(crate) fn hook() -> Result<Report, Failure> {
    let machine = Machine::new([board(0, 1).counter(TICK)], Duration::ZERO)?;
    let run = machine.start();
    let mut epochs = run.epochs(0..=EPOCHS);
    let mut times = Vec::with_capacity(EPOCHS as usize);
    // The first one begins an epoch and ends none.
    epochs.next();
    for _ in 0..EPOCHS {
        sleep(EPOCH);
        let called = Instant::now();
        epochs.next();
        times.push(called.elapsed().as_secs_f64());
    }
    drop(epochs);
    let footprint = run.finish();
    times.sort_unstable_by(f64::total_cmp);
    let at = |percentile: usize| times[(times.len() * percentile).div_ceil(100) - 1];
    let mut report = Report::new([at(50), at(99)]);
    if footprint.epochs.len() != times.len() + 1 {
        report.flaws.push(format!("{} epochs recorded", footprint.epochs.len()));
    }
    Ok(report)
}

fn boards(count: &str, sensor: &str) -> Result<Vec<Board>, Failure> {
    let sensor: fn(Board) -> Board = match sensor {
        "counter" => |board| board.counter(TICK),
        "power" => Board::instant,
        _ => return Err("there is no such sensor".into()),
    };
    Ok((0..count.parse()?).map(|index| sensor(board(index, 1))).collect())
}

/// The machine's NVML library, loaded and asked once by somebody else: what a run costs comes on top.
fn initialised(machine: &Machine) -> Result<Nvml, Failure> {
    let library = Nvml::builder().lib_path(OsStr::new(&machine.library)).init()?;
    library.device_by_index(0)?.total_energy_consumption()?;
    Ok(library)
}

/// A run that measured fewer boards than there are cost too little.
fn not_all(footprint: &sootprint::Footprint, boards: usize) -> Vec<String> {
    let measured = footprint.components.iter().filter(|it| it.kind == sootprint::Kind::Gpu).count();
    if measured == boards { Vec::new() } else { vec![format!("{measured} of {boards} boards were measured")] }
}
