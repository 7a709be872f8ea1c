//! One line on the terminal that says how far a publication is.

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use sootprint_hub::{Event, Events};

/// The line; it is gone when the publication has ended.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins the line if stderr is a terminal.
    pub(crate) fn start() -> Option<Self> {
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            return None;
        }
        bar.set_style(ProgressStyle::with_template("{wide_msg}").ok()?);
        Some(Self { bar })
    }
}

impl Events for Progress {
    fn on_event(&self, event: &Event) {
        match line(event) {
            Some(line) => self.bar.set_message(line),
            None => self.bar.finish_and_clear(),
        }
        self.bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Hashing { path, done, total } => {
            format!("sootprint  reading {path}: {} of {}", HumanBytes(*done), HumanBytes(*total))
        }
        Event::Uploading { done, total } => {
            format!("sootprint  uploading: {} of {}", HumanBytes(*done), HumanBytes(*total))
        }
        Event::Committing => "sootprint  committing".to_owned(),
        Event::Waiting { duration, reason } => {
            format!("sootprint  asking again in {:.0} s: {reason}", duration.as_secs_f64().ceil())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_step_has_its_line_and_the_end_has_none() {
        let path = "model.safetensors".to_owned();
        let hashing = Event::Hashing { path, done: 1 << 20, total: 3 << 20 };
        assert_eq!(line(&hashing).unwrap(), "sootprint  reading model.safetensors: 1.00 MiB of 3.00 MiB");
        let uploading = Event::Uploading { done: 0, total: 3 << 20 };
        assert_eq!(line(&uploading).unwrap(), "sootprint  uploading: 0 B of 3.00 MiB");
        let waiting = Event::Waiting { duration: Duration::from_millis(1_500), reason: "busy".to_owned() };
        assert_eq!(line(&waiting).unwrap(), "sootprint  asking again in 2 s: busy");
        assert_eq!(line(&Event::Ended), None);
    }
}
