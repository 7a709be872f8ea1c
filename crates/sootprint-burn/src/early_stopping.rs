//! Early stopping that minds the run's budget, too.

use std::sync::{Arc, OnceLock};

use burn::train::EarlyStoppingStrategy;
use burn::train::metric::store::EventStoreClient;

use crate::course::Course;

/// A user's strategy, asked after the budget. Burn asks between two epochs, when the checkpoint is saved.
#[derive(Clone)]
pub(crate) struct WithinBudget<S> {
    strategy: S,
    course: Arc<OnceLock<Course>>,
}

impl<S> WithinBudget<S> {
    /// The course is known at the launch.
    pub(crate) fn new(strategy: S, course: Arc<OnceLock<Course>>) -> Self {
        Self { strategy, course }
    }
}

impl<S: EarlyStoppingStrategy> EarlyStoppingStrategy for WithinBudget<S> {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        // The strategy is asked in any case: it remembers what it has seen.
        let is_enough = self.strategy.should_stop(epoch, store);
        self.course.get().is_some_and(Course::is_over_budget) || is_enough
    }
}
