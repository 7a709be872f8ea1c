//! Burn's progress calls, turned into epochs.

use std::collections::VecDeque;
use std::time::Instant;

use burn::train::logger::TrainingProgressLogger;

use crate::course::{Course, Split};

/// The logger in Burn's one slot, with the user's beside it.
pub(crate) struct Progress {
    course: Course,
    beside: Option<Box<dyn TrainingProgressLogger>>,
    split: Split,
    /// Of the split: all there are, and those that were seen.
    total: usize,
    items: usize,
    batches: VecDeque<Instant>,
}

/// Burn's worker may be so many batches behind the training: it works at one, and one waits in its channel.
const BATCHES_BEHIND: usize = 2;

impl Progress {
    pub(crate) fn new(course: Course, beside: Option<Box<dyn TrainingProgressLogger>>) -> Self {
        Self { course, beside, split: Split::Train, total: 0, items: 0, batches: VecDeque::new() }
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
        let run = self.course.run();
        if starting_epoch > 1 {
            run.resumed();
        }
        // A resumed training counts on from its checkpoint: of four epochs from the third on, two are to come.
        let to_come = (total_epochs + 1).saturating_sub(starting_epoch);
        run.plan_epochs(u32::try_from(to_come).unwrap_or(u32::MAX));
        self.course.announce(starting_epoch, total_epochs);
        if let Some(beside) = &mut self.beside {
            beside.start(total_epochs, starting_epoch, total_items, label);
        }
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.split = if split == "train" { Split::Train } else { Split::Valid };
        (self.total, self.items) = (total_items, 0);
        self.batches.clear();
        self.batches.push_back(Instant::now());
        self.course.told_begin(self.split);
        if let Some(beside) = &mut self.beside {
            beside.start_split(split, total_items);
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        self.items = items_processed;
        self.batches.push_back(Instant::now());
        if self.batches.len() > BATCHES_BEHIND + 1 {
            self.batches.pop_front();
        }
        // What is validated is worth its checkpoint: a budget stops before that or after it.
        if self.split == Split::Train {
            self.course.ends().mind_budget();
        }
        if let Some(beside) = &mut self.beside {
            beside.update_split(items_processed);
        }
    }

    fn end_split(&mut self) {
        // When the batch before those was done, the training thread was still within the split.
        let bound = self.batches.front().map_or_else(Default::default, Instant::elapsed);
        // What was not validated to the end was stopped; of several devices the counts may fall short without that.
        let is_whole =
            self.split == Split::Train || self.items >= self.total || !self.course.ends().is_stopped();
        self.course.told_end(self.split, self.items, is_whole, bound);
        if let Some(beside) = &mut self.beside {
            beside.end_split();
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        if let Some(beside) = &mut self.beside {
            beside.update_epoch(epoch);
        }
    }

    fn end(&mut self) {
        self.course.close();
        self.course.report_lateness();
        self.course.ends().tell_now();
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
