//! When this process trained, by the host's clock since boot: the truth that is worked out without the library.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Writes the moment down a hundred times a second into `truth-RANK-START`, until the training is over or the process.
pub(crate) struct UptimeLogger(Arc<AtomicBool>);

impl UptimeLogger {
    pub(crate) fn start(dir: &Path, rank: u32) -> Result<Self> {
        let start = uptime().context("no /proc/uptime")?;
        let path: PathBuf = dir.join(format!("truth-{rank}-{start}"));
        let is_stopped = Arc::<AtomicBool>::default();
        let thread_flag = Arc::clone(&is_stopped);
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        thread::spawn(move || {
            while let (Some(now), false) = (uptime(), thread_flag.load(Ordering::Relaxed)) {
                // A moment that is not written down is a hundredth of a second.
                let _ = writeln!(file, "{start:.2} {now:.2}");
                thread::sleep(Duration::from_millis(10));
            }
        });
        Ok(Self(is_stopped))
    }

    pub(crate) fn stop(self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn uptime() -> Option<f64> {
    fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()
}
