//! One to eight boards.

use std::ffi::OsStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use sootprint::{Kind, Run};

use crate::{child, verdict};
use nvidia_ml::{Board, Script, install};
use sootprint_benches::{Failure, system};

/// As Linux keeps it: 15 characters.
const SAMPLER: &str = "sootprint-meter";

const TICK: Duration = Duration::from_millis(20);

/// How long the sampler is watched between edges.
const WATCHED: Duration = Duration::from_secs(8);

pub(crate) fn table() -> Result<bool, Failure> {
    println!(
        "| boards with a counter | start ≤ 20 ms | finish ≤ 40 ms | sampler ≤ 0.1 % of a core | memory ≤ 3 MB | |"
    );
    println!("|---|---|---|---|---|---|");
    let mut all = true;
    for count in ["1", "2", "4", "8"] {
        let [start, finish, part, bytes] = child(&["boards", count])?;
        let passes = start <= 0.020 && finish <= 0.040 && part <= 0.001 && bytes <= 3e6;
        let verdict = verdict(passes);
        let (start, finish, part, megabytes) = (start * 1e3, finish * 1e3, part * 100.0, bytes / 1e6);
        println!(
            "| {count} | {start:.1} ms | {finish:.1} ms | {part:.3} % | {megabytes:.2} MB | {verdict} |"
        );
        all &= passes;
    }
    Ok(all)
}

/// Prints seconds of start and finish, the sampler's part of a core, and the bytes that are added beyond NVML's own.
pub(crate) fn measure(count: &str) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let count: usize = count.parse()?;
    let script = (0..count).map(board).fold(Script::new(), Script::board);
    let library = install(&script, folder.path())?;
    let nvml = Nvml::builder().lib_path(OsStr::new(&library)).init()?;
    nvml.device_by_index(0)?.total_energy_consumption()?;

    let before = system::resident()?;
    let called = Instant::now();
    let run = Run::pre_training(folder.path().join("run")).nvml(&library).start();
    let start = called.elapsed();
    sleep(Duration::from_secs(1));
    let (busy, began) = (system::thread_time(SAMPLER)?, Instant::now());
    sleep(WATCHED);
    let part = (system::thread_time(SAMPLER)? - busy).as_secs_f64() / began.elapsed().as_secs_f64();
    let called = Instant::now();
    let footprint = run.finish();
    let finish = called.elapsed();
    let bytes = system::peak()? - before;
    let measured = footprint.components.iter().filter(|it| it.kind == Kind::Gpu).count();
    if measured != count {
        return Err(format!("{measured} of {count} boards were measured").into());
    }
    println!("{} {} {part} {bytes}", start.as_secs_f64(), finish.as_secs_f64());
    Ok(true)
}

fn board(index: usize) -> Board {
    let letter = char::from(b'a' + u8::try_from(index).unwrap_or(0));
    let uuid = format!("GPU-{}-0000-0000-0000-000000000000", String::from(letter).repeat(8));
    Board::new(uuid, format!("0000:{:02x}:00.0", 7 + index), "NVIDIA H200")
        .limit(700)
        .power(Duration::ZERO, 100)
        .power(Duration::from_millis(700), 400)
        .repeat(Duration::from_millis(1030))
        .counter(TICK)
}
