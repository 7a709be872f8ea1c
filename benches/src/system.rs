//! CPU time and memory of this process, and the load of others, on Linux.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::BenchError;

/// The CPU time of this process's thread with this name.
///
/// # Errors
/// If the thread does not exist or its `/proc` files cannot be read.
pub fn thread_cpu_time(name: &str) -> Result<Duration, BenchError> {
    read_cpu_time(&find_thread(name)?)
}

/// The `/proc` folder of this process's thread with this name.
fn find_thread(name: &str) -> Result<PathBuf, BenchError> {
    // A new thread has no name yet, and a listing may miss a thread while others end.
    for _ in 0..1_000 {
        if let Some(task) = task_dir(name)? {
            return Ok(task);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(format!("there is no thread {name}").into())
}

fn task_dir(name: &str) -> Result<Option<PathBuf>, BenchError> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
            return Ok(Some(task));
        }
    }
    Ok(None)
}

/// The CPU time of all running threads of this process.
///
/// # Errors
/// If the `/proc` files cannot be read.
pub fn process_cpu_time() -> Result<Duration, BenchError> {
    fs::read_dir("/proc/self/task")?.map(|task| read_cpu_time(&task?.path())).sum()
}

fn read_cpu_time(task: &Path) -> Result<Duration, BenchError> {
    let stat = fs::read_to_string(task.join("schedstat"))?;
    // The first number: <https://docs.kernel.org/scheduler/sched-stats.html>
    let nanoseconds = stat.split_whitespace().next().and_then(|number| number.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.ok_or_else(|| format!("cannot parse schedstat `{stat}`"))?))
}

/// The resident memory of this process in bytes.
///
/// # Errors
/// If the `/proc` file cannot be read.
pub fn resident_bytes() -> Result<f64, BenchError> {
    read_memory_field("/proc/self/smaps_rollup", "Rss:")
}

/// The peak resident memory of this process in bytes. The kernel's peak value is slightly less precise than
/// the current one.
///
/// # Errors
/// If the `/proc` files cannot be read.
pub fn peak_resident_bytes() -> Result<f64, BenchError> {
    Ok(read_memory_field("/proc/self/status", "VmHWM:")?.max(resident_bytes()?))
}

/// The load of other programs, which disturbs the measurements.
#[derive(Debug)]
pub struct BackgroundLoad {
    started_at: Instant,
    cpu_seconds_at_start: f64,
}

impl BackgroundLoad {
    /// Starts measuring.
    ///
    /// # Errors
    /// If the `/proc` files cannot be read.
    pub fn start() -> Result<Self, BenchError> {
        Ok(Self { started_at: Instant::now(), cpu_seconds_at_start: other_cpu_seconds()? })
    }

    /// The average number of cores that other programs kept busy since the start.
    ///
    /// # Errors
    /// If the `/proc` files cannot be read.
    pub fn busy_cores(&self) -> Result<f64, BenchError> {
        Ok((other_cpu_seconds()? - self.cpu_seconds_at_start) / self.started_at.elapsed().as_secs_f64())
    }
}

/// The CPU seconds of everything except this process and the children it waited for, including other guests
/// of the host.
/// <https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat>
fn other_cpu_seconds() -> Result<f64, BenchError> {
    /// User, nice, system, irq, softirq and steal; idle and iowait are left out.
    const BUSY: [usize; 6] = [0, 1, 2, 5, 6, 7];
    /// User and system time of the process and its children; counted from the field after its name.
    const OWN: [usize; 4] = [11, 12, 13, 14];
    let machine = fs::read_to_string("/proc/stat")?;
    let all = machine.strip_prefix("cpu ").ok_or("/proc/stat does not begin with `cpu`")?;
    let process = fs::read_to_string("/proc/self/stat")?;
    let (_, own) = process.rsplit_once(')').ok_or("/proc/self/stat names no program")?;
    // The kernel counts in hundredths of a second on all platforms supported by Rust.
    Ok((sum_fields(all, &BUSY)? - sum_fields(own, &OWN)?) / 100.0)
}

/// The sum of some fields.
fn sum_fields(text: &str, positions: &[usize]) -> Result<f64, BenchError> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let field =
        |position: &usize| Ok(fields.get(*position).ok_or("too few fields in /proc")?.parse::<f64>()?);
    positions.iter().map(field).sum()
}

fn read_memory_field(path: &str, key: &str) -> Result<f64, BenchError> {
    let text = fs::read_to_string(path)?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB"));
    let kibibytes: f64 = value.ok_or_else(|| format!("{path} has no line {key}"))?.trim().parse()?;
    Ok(kibibytes * 1024.0)
}
