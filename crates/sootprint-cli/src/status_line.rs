//! A status line on the terminal with the run's usage so far.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{FormattedDuration, ProgressBar, ProgressStyle};
use sootprint::{LiveUsage, RunHandle};

/// GPU counters are read one to five times per second, so a faster refresh would show little more.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// The status line, removed on drop.
pub(crate) struct StatusLine {
    /// Dropping the sender stops the thread.
    stop_tx: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StatusLine {
    /// Starts the line if stderr is a terminal; returns `None` otherwise, or if no thread can be spawned.
    pub(crate) fn start(run: RunHandle) -> Option<Self> {
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            return None;
        }
        bar.set_style(ProgressStyle::with_template("{wide_msg}").ok()?);
        let (stop_tx, stop_rx) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sootprint-status-line".to_owned())
            .spawn(move || refresh_until_stopped(&bar, &run, &stop_rx))
            .ok()?;
        Some(Self { stop_tx: Some(stop_tx), thread: Some(thread) })
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        drop(self.stop_tx.take());
        if let Some(thread) = self.thread.take() {
            // A panic while drawing must not fail the run.
            let _ = thread.join();
        }
    }
}

fn refresh_until_stopped(bar: &ProgressBar, run: &RunHandle, stop_rx: &Receiver<()>) {
    while stop_rx.recv_timeout(REFRESH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let usage = run.usage();
        // With SOOTPRINT=off the elapsed time stays zero.
        if usage.elapsed > Duration::ZERO {
            bar.set_message(status_text(&usage));
        }
    }
    bar.finish_and_clear();
}

fn status_text(usage: &LiveUsage) -> String {
    let power = usage.power.map_or_else(|| "no power reading yet".to_owned(), |power| power.to_string());
    let elapsed = FormattedDuration(usage.elapsed);
    format!("sootprint  {elapsed}  {power}  {}  {} CO2e", usage.energy, usage.emissions)
}

#[cfg(test)]
mod tests {
    use sootprint::{Co2e, Energy, Power};

    use super::*;

    #[test]
    fn status_text_has_all_figures() {
        let mut usage = LiveUsage::default();
        usage.elapsed = Duration::from_secs(3_725);
        assert_eq!(status_text(&usage), "sootprint  01:02:05  no power reading yet  0.000 J  0.000 mg CO2e");
        usage.power = Some(Power::from_watts(700.0));
        usage.energy = Energy::from_kilowatt_hours(0.7);
        usage.emissions = Co2e::from_grams(30.9);
        assert_eq!(status_text(&usage), "sootprint  01:02:05  700.0 W  700.00 Wh  30.90 g CO2e");
    }
}
