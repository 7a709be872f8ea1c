//! A progress line on the terminal during a push.

use crate::terminal::without_controls;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use sootprint_hub::{PushEvent, PushProgressHandler};

/// The progress line, removed when the push ends.
pub(crate) struct UploadProgressBar {
    bar: ProgressBar,
}

impl UploadProgressBar {
    /// Starts the line if stderr is a terminal.
    pub(crate) fn start() -> Option<Self> {
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            return None;
        }
        bar.set_style(ProgressStyle::with_template("{wide_msg}").ok()?);
        Some(Self { bar })
    }
}

impl PushProgressHandler for UploadProgressBar {
    fn on_progress(&self, event: &PushEvent) {
        match progress_message(event) {
            Some(message) => self.bar.set_message(without_controls(&message).into_owned()),
            None => self.bar.finish_and_clear(),
        }
        self.bar.tick();
    }
}

impl Drop for UploadProgressBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn progress_message(event: &PushEvent) -> Option<String> {
    Some(match event {
        PushEvent::Hashing { path, done, total } => {
            format!("sootprint  reading {path}: {} of {}", HumanBytes(*done), HumanBytes(*total))
        }
        PushEvent::Uploading { done, total } => {
            format!("sootprint  uploading: {} of {}", HumanBytes(*done), HumanBytes(*total))
        }
        PushEvent::Committing => "sootprint  committing".to_owned(),
        PushEvent::BackingOff { duration, reason } => {
            format!("sootprint  retrying in {:.0} s: {reason}", duration.as_secs_f64().ceil())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_event_has_message_except_end() {
        let path = "model.safetensors".to_owned();
        let hashing = PushEvent::Hashing { path, done: 1 << 20, total: 3 << 20 };
        assert_eq!(
            progress_message(&hashing).unwrap(),
            "sootprint  reading model.safetensors: 1.00 MiB of 3.00 MiB"
        );
        let uploading = PushEvent::Uploading { done: 0, total: 3 << 20 };
        assert_eq!(progress_message(&uploading).unwrap(), "sootprint  uploading: 0 B of 3.00 MiB");
        let waiting =
            PushEvent::BackingOff { duration: Duration::from_millis(1_500), reason: "busy".to_owned() };
        assert_eq!(progress_message(&waiting).unwrap(), "sootprint  retrying in 2 s: busy");
        assert_eq!(progress_message(&PushEvent::Finished), None);
    }
}
