//! Logs when a process trains, in seconds since boot: a reference that does not depend on sootprint.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Appends the uptime to `truth-RANK-START` every 10 ms until [`stop`](Self::stop) or the end of the process.
#[derive(Debug)]
pub struct UptimeLogger(Arc<AtomicBool>);

impl UptimeLogger {
    /// Starts the thread that writes the log.
    ///
    /// # Errors
    /// If `/proc/uptime` cannot be read or the log cannot be created.
    pub fn start(dir: &Path, rank: u32) -> Result<Self> {
        let start = uptime().context("cannot read /proc/uptime")?;
        let path: PathBuf = dir.join(format!("truth-{rank}-{start}"));
        let is_stopped = Arc::<AtomicBool>::default();
        let thread_flag = Arc::clone(&is_stopped);
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        thread::spawn(move || {
            while let (Some(now), false) = (uptime(), thread_flag.load(Ordering::Relaxed)) {
                // A lost line costs 10 ms of accuracy.
                let _ = writeln!(file, "{start:.2} {now:.2}");
                thread::sleep(Duration::from_millis(10));
            }
        });
        Ok(Self(is_stopped))
    }

    /// Stops logging.
    pub fn stop(self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn uptime() -> Option<f64> {
    fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()
}
