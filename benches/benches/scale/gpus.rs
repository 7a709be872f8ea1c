//! One to eight GPUs.

use std::ffi::OsStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use sootprint::{ComponentKind, Run};

use crate::child::{child_figures, verdict};
use nvidia_ml::{FakeGpu, NvmlScript, install};
use sootprint_benches::{BenchError, system};

/// The thread name in Linux: 15 characters.
const SAMPLER_THREAD: &str = "sootprint-sampl";

const TICK: Duration = Duration::from_millis(20);

/// How long the sampler is measured between boundaries.
const WATCH_TIME: Duration = Duration::from_secs(8);

pub(crate) fn print_table() -> Result<bool, BenchError> {
    println!(
        "| GPUs with a counter | start ≤ 20 ms | finish ≤ 40 ms | sampler ≤ 0.1 % of a core | memory ≤ 3 MB | |"
    );
    println!("|---|---|---|---|---|---|");
    let mut all = true;
    for count in ["1", "2", "4", "8"] {
        let [start, finish, part, bytes] = child_figures(&["boards", count])?;
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

/// Prints the seconds of start and finish, the sampler's share of a core, and the bytes added on top of NVML.
pub(crate) fn measure(count: &str) -> Result<bool, BenchError> {
    let folder = tempfile::tempdir()?;
    let count: usize = count.parse()?;
    let script = (0..count).map(scripted_gpu).fold(NvmlScript::new(), NvmlScript::with_gpu);
    let library = install(&script, folder.path())?;
    let nvml = Nvml::builder().lib_path(OsStr::new(&library)).init()?;
    nvml.device_by_index(0)?.total_energy_consumption()?;

    let before = system::resident_bytes()?;
    let called = Instant::now();
    let run = Run::pre_training(folder.path().join("run")).nvml_library(&library).start();
    let start = called.elapsed();
    sleep(Duration::from_secs(1));
    let (busy, began) = (system::thread_cpu_time(SAMPLER_THREAD)?, Instant::now());
    sleep(WATCH_TIME);
    let part =
        (system::thread_cpu_time(SAMPLER_THREAD)? - busy).as_secs_f64() / began.elapsed().as_secs_f64();
    let called = Instant::now();
    let footprint = run.finish();
    let finish = called.elapsed();
    let bytes = system::peak_resident_bytes()? - before;
    let measured = footprint.components.iter().filter(|it| it.kind == ComponentKind::Gpu).count();
    if measured != count {
        return Err(format!("{measured} of {count} GPUs were measured").into());
    }
    println!("{} {} {part} {bytes}", start.as_secs_f64(), finish.as_secs_f64());
    Ok(true)
}

fn scripted_gpu(index: usize) -> FakeGpu {
    let letter = char::from(b'a' + u8::try_from(index).unwrap_or(0));
    let uuid = format!("GPU-{}-0000-0000-0000-000000000000", String::from(letter).repeat(8));
    FakeGpu::new(uuid, format!("0000:{:02x}:00.0", 7 + index), "NVIDIA H200")
        .power_limit(700)
        .power_from(Duration::ZERO, 100)
        .power_from(Duration::from_millis(700), 400)
        .repeat_every(Duration::from_millis(1030))
        .energy_counter(TICK)
}
