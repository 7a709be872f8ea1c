//! Progress of a push on stderr: a bar on a terminal, otherwise a line every 30 seconds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use sootprint_hub::{PushEvent, PushProgressHandler};

use crate::terminal::{eprint_message, without_controls};

/// The time between two lines if stderr is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// A shorter wait is not worth a line.
const MIN_ANNOUNCED_WAIT: Duration = Duration::from_secs(5);

const BAR: &str = "sootprint  {msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const MESSAGE: &str = "sootprint  {wide_msg}";

/// Reports the progress of a push.
pub(crate) struct UploadProgress {
    /// Removed when the push ends; hidden if stderr is not a terminal.
    bar: ProgressBar,
    lines: Mutex<ProgressLines>,
}

impl UploadProgress {
    pub(crate) fn start() -> Self {
        let lines =
            ProgressLines { step: String::new(), begin: Instant::now(), first: 0, last: Instant::now() };
        Self { bar: ProgressBar::new(0), lines: Mutex::new(lines) }
    }

    /// Shows a step with a known number of bytes.
    fn show_bytes(&self, step: String, done: u64, total: u64) {
        if self.bar.message() != step {
            self.bar.reset();
            self.bar.set_style(
                ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            self.bar.set_message(step);
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn show_message(&self, message: String) {
        self.bar.set_style(
            ProgressStyle::with_template(MESSAGE).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        self.bar.set_message(message);
        self.bar.tick();
    }
}

impl PushProgressHandler for UploadProgress {
    fn on_progress(&self, event: &PushEvent) {
        if self.bar.is_hidden() {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let line = lines.next_line(event, Instant::now());
            line.iter().for_each(eprint_message);
            return;
        }
        match (event_bytes(event), event_message(event)) {
            (Some((step, done, total)), _) => {
                self.show_bytes(without_controls(&step).into_owned(), done, total)
            }
            (None, Some(message)) => self.show_message(without_controls(&message).into_owned()),
            (None, None) => self.bar.finish_and_clear(),
        }
    }
}

impl Drop for UploadProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The lines for a log: none for a push that takes less than [`LINE_INTERVAL`].
struct ProgressLines {
    /// The current step, when it began, and how many bytes were done then.
    step: String,
    begin: Instant,
    first: u64,
    /// When the last line was printed.
    last: Instant,
}

impl ProgressLines {
    /// The line for an event, if one is due.
    fn next_line(&mut self, event: &PushEvent, now: Instant) -> Option<String> {
        if let PushEvent::BackingOff { duration, .. } = event
            && *duration >= MIN_ANNOUNCED_WAIT
        {
            self.last = now;
            return event_message(event);
        }
        let (step, done, total) = event_bytes(event)?;
        if step != self.step {
            (self.step, self.begin, self.first) = (step, now, done);
        }
        if now.duration_since(self.last) < LINE_INTERVAL {
            return None;
        }
        self.last = now;
        let (step, amount) = (&self.step, format!("{} of {}", HumanBytes(done), HumanBytes(total)));
        let seconds = now.duration_since(self.begin).as_secs_f64();
        let speed = (done - self.first.min(done)) as f64 / seconds;
        if !speed.is_finite() || speed < 1.0 {
            return Some(format!("{step}: {amount}"));
        }
        let left = Duration::from_secs_f64((total - done.min(total)) as f64 / speed);
        Some(format!("{step}: {amount}, {}/s, {} left", HumanBytes(speed as u64), HumanDuration(left)))
    }
}

/// The name of the step, the bytes that are done, and all bytes.
fn event_bytes(event: &PushEvent) -> Option<(String, u64, u64)> {
    match event {
        PushEvent::Hashing { path, done, total } => Some((format!("hashing {path}"), *done, *total)),
        PushEvent::Uploading { done, total } => Some(("uploading".to_owned(), *done, *total)),
        _ => None,
    }
}

fn event_message(event: &PushEvent) -> Option<String> {
    match event {
        PushEvent::Committing => Some("committing".to_owned()),
        PushEvent::BackingOff { duration, reason } => {
            Some(format!("retrying in {:.0} s: {reason}", duration.as_secs_f64().ceil()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_gets_a_line_every_30_seconds() {
        let begin = Instant::now();
        let mut lines = ProgressLines { step: String::new(), begin, first: 0, last: begin };
        let at = |seconds| begin + Duration::from_secs(seconds);
        let uploading = |mebibytes: u64| PushEvent::Uploading { done: mebibytes << 20, total: 1 << 30 };
        assert_eq!(lines.next_line(&uploading(0), at(1)), None);
        assert_eq!(lines.next_line(&uploading(10), at(29)), None);
        assert_eq!(
            lines.next_line(&uploading(64), at(33)).as_deref(),
            Some("uploading: 64.00 MiB of 1.00 GiB, 2.00 MiB/s, 8 minutes left")
        );
        assert_eq!(lines.next_line(&uploading(65), at(34)), None);
        let path = "model.safetensors".to_owned();
        let hashing = PushEvent::Hashing { path, done: 1 << 20, total: 3 << 20 };
        assert_eq!(
            lines.next_line(&hashing, at(64)).as_deref(),
            Some("hashing model.safetensors: 1.00 MiB of 3.00 MiB")
        );
        assert_eq!(lines.next_line(&PushEvent::Committing, at(100)), None);
    }

    #[test]
    fn long_waits_are_announced() {
        let begin = Instant::now();
        let mut lines = ProgressLines { step: String::new(), begin, first: 0, last: begin };
        let waiting = |seconds| PushEvent::BackingOff {
            duration: Duration::from_secs(seconds),
            reason: "busy".to_owned(),
        };
        assert_eq!(lines.next_line(&waiting(1), begin), None);
        assert_eq!(lines.next_line(&waiting(55), begin).as_deref(), Some("retrying in 55 s: busy"));
    }
}
