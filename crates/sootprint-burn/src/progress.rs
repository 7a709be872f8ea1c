//! Burn's progress calls, turned into epochs.

use burn::train::logger::TrainingProgressLogger;
use sootprint::RunHandle;

use crate::metrics::SplitStart;

/// The logger in Burn's one slot, with the user's beside it.
pub(crate) struct Progress {
    run: RunHandle,
    split: SplitStart,
    beside: Option<Box<dyn TrainingProgressLogger>>,
    next: usize,
    is_open: bool,
}

impl Progress {
    pub(crate) fn new(
        run: RunHandle,
        split: SplitStart,
        beside: Option<Box<dyn TrainingProgressLogger>>,
    ) -> Self {
        Self { run, split, beside, next: 1, is_open: false }
    }

    fn close(&mut self, completed: bool) {
        if std::mem::take(&mut self.is_open) {
            self.run.epoch_ended(completed);
        }
    }
}

impl TrainingProgressLogger for Progress {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        total_items: Option<usize>,
        label: Option<&str>,
    ) {
        self.next = starting_epoch;
        if starting_epoch > 1 {
            self.run.resumed();
        }
        // A resumed training counts on from its checkpoint: of four epochs from the third on, two are to come.
        let to_come = (total_epochs + 1).saturating_sub(starting_epoch);
        self.run.plan_epochs(u32::try_from(to_come).unwrap_or(u32::MAX));
        if let Some(beside) = &mut self.beside {
            beside.start(total_epochs, starting_epoch, total_items, label);
        }
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.split.set(&self.run);
        // The first split of an epoch opens it; validation, when there is any, is the second.
        if !self.is_open {
            self.is_open = true;
            self.run.epoch_started(u32::try_from(self.next).unwrap_or(u32::MAX));
        }
        if let Some(beside) = &mut self.beside {
            beside.start_split(split, total_items);
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        if let Some(beside) = &mut self.beside {
            beside.update_split(items_processed);
        }
    }

    fn end_split(&mut self) {
        if let Some(beside) = &mut self.beside {
            beside.end_split();
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.close(true);
        self.next = epoch + 1;
        if let Some(beside) = &mut self.beside {
            beside.update_epoch(epoch);
        }
    }

    fn end(&mut self) {
        self.close(false);
        if let Some(beside) = &mut self.beside {
            beside.end();
        }
    }

    fn log_event_training(&mut self, event: String) {
        if let Some(beside) = &mut self.beside {
            beside.log_event_training(event);
        }
    }
}
