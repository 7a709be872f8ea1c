//! One line on the terminal that says what the run has used so far.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{FormattedDuration, ProgressBar, ProgressStyle};
use sootprint::{Live, RunHandle};

/// The boards' counters are read once to five times a second; a faster line would show hardly more.
const CADENCE: Duration = Duration::from_secs(1);

/// The live line; it is gone when this is dropped.
pub(crate) struct LiveLine {
    /// The thread ends when this does.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LiveLine {
    /// Begins the line if stderr is a terminal. A system that gives no thread for it costs no more than the line.
    pub(crate) fn start(run: RunHandle) -> Option<Self> {
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            return None;
        }
        bar.set_style(ProgressStyle::with_template("{wide_msg}").ok()?);
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sootprint-live-line".to_owned())
            .spawn(move || draw(&bar, &run, &stopped))
            .ok()?;
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A line that could not be drawn is no loss.
            let _ = thread.join();
        }
    }
}

fn draw(bar: &ProgressBar, run: &RunHandle, stopped: &Receiver<()>) {
    while stopped.recv_timeout(CADENCE) == Err(RecvTimeoutError::Timeout) {
        let live = run.live();
        // Where nothing is measured (SOOTPRINT=off) no time passes, and there is nothing to show.
        if live.elapsed > Duration::ZERO {
            bar.set_message(line(&live));
        }
    }
    bar.finish_and_clear();
}

fn line(live: &Live) -> String {
    let power = live.power.map_or_else(|| "power not known yet".to_owned(), |power| power.to_string());
    let elapsed = FormattedDuration(live.elapsed);
    format!("sootprint  {elapsed}  {power}  {}  {} CO2e", live.energy, live.emissions)
}

#[cfg(test)]
mod tests {
    use sootprint::{Co2e, Energy, Power};

    use super::*;

    #[test]
    fn the_line_has_time_power_energy_and_emissions() {
        let mut live = Live::default();
        live.elapsed = Duration::from_secs(3_725);
        assert_eq!(line(&live), "sootprint  01:02:05  power not known yet  0.000 J  0.000 mg CO2e");
        live.power = Some(Power::from_watts(700.0));
        live.energy = Energy::from_kilowatt_hours(0.7);
        live.emissions = Co2e::from_grams(30.9);
        assert_eq!(line(&live), "sootprint  01:02:05  700.0 W  700.00 Wh  30.90 g CO2e");
    }
}
