//! Translates Burn's progress calls into epochs.

use std::collections::VecDeque;
use std::time::Instant;

use burn::train::logger::TrainingProgressLogger;

use crate::epoch_tracker::{EpochSplit, EpochTracker};

/// Occupies Burn's only progress-logger slot and forwards every call to the user's logger.
pub(crate) struct ProgressAdapter {
    tracker: EpochTracker,
    inner: Option<Box<dyn TrainingProgressLogger>>,
    split: EpochSplit,
    /// Items in the current split.
    items_total: usize,
    /// Items of it that were processed.
    items: usize,
    /// When the last batches were reported.
    batch_times: VecDeque<Instant>,
}

/// How far Burn's worker can lag behind the training: one batch in progress and one in its channel.
const MAX_BATCHES_BEHIND: usize = 2;

impl ProgressAdapter {
    pub(crate) fn new(tracker: EpochTracker, inner: Option<Box<dyn TrainingProgressLogger>>) -> Self {
        Self {
            tracker,
            inner,
            split: EpochSplit::Train,
            items_total: 0,
            items: 0,
            batch_times: VecDeque::new(),
        }
    }
}

impl TrainingProgressLogger for ProgressAdapter {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        total_items: Option<usize>,
        label: Option<&str>,
    ) {
        let run = self.tracker.run();
        if starting_epoch > 1 {
            run.mark_resumed();
        }
        // A resumed training keeps counting from its checkpoint: four epochs from the third on leave two.
        let remaining_epochs = (total_epochs + 1).saturating_sub(starting_epoch);
        run.set_planned_epochs(u32::try_from(remaining_epochs).unwrap_or(u32::MAX));
        self.tracker.set_epoch_range(starting_epoch, total_epochs);
        if let Some(inner) = &mut self.inner {
            inner.start(total_epochs, starting_epoch, total_items, label);
        }
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.split = if split == "train" { EpochSplit::Train } else { EpochSplit::Valid };
        (self.items_total, self.items) = (total_items, 0);
        self.batch_times.clear();
        self.batch_times.push_back(Instant::now());
        self.tracker.on_split_started(self.split);
        if let Some(inner) = &mut self.inner {
            inner.start_split(split, total_items);
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        self.items = items_processed;
        self.batch_times.push_back(Instant::now());
        if self.batch_times.len() > MAX_BATCHES_BEHIND + 1 {
            self.batch_times.pop_front();
        }
        // The budget never interrupts a validation, so that a trained epoch gets its checkpoint.
        if self.split == EpochSplit::Train {
            self.tracker.stop_controller().enforce_budget();
        }
        if let Some(inner) = &mut self.inner {
            inner.update_split(items_processed);
        }
    }

    fn end_split(&mut self) {
        // When the oldest of these batches was reported, the training thread was still within the split.
        let max_lag = self.batch_times.front().map_or_else(Default::default, Instant::elapsed);
        // With several devices the count can fall short of the total in a complete validation, so an incomplete one is
        // recognised by the interruption, too.
        let is_complete = self.split == EpochSplit::Train
            || self.items >= self.items_total
            || !self.tracker.stop_controller().is_interrupted();
        self.tracker.on_split_ended(self.split, self.items, is_complete, max_lag);
        if let Some(inner) = &mut self.inner {
            inner.end_split();
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        if let Some(inner) = &mut self.inner {
            inner.update_epoch(epoch);
        }
    }

    fn end(&mut self) {
        self.tracker.end_epoch();
        self.tracker.note_boundary_lag();
        self.tracker.stop_controller().report_interruption();
        if let Some(inner) = &mut self.inner {
            inner.end();
        }
    }

    fn log_event_training(&mut self, event: String) {
        if let Some(inner) = &mut self.inner {
            inner.log_event_training(event);
        }
    }
}
