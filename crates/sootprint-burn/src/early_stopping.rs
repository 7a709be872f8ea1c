//! Early stopping that minds the run's budget, too.

use std::sync::{Arc, OnceLock};

use burn::train::EarlyStoppingStrategy;
use burn::train::metric::store::EventStoreClient;

use crate::epoch_tracker::EpochTracker;

/// A user's strategy, asked after the budget. Burn asks between two epochs, when the checkpoint is saved.
#[derive(Clone)]
pub(crate) struct BudgetEarlyStopping<S> {
    strategy: S,
    tracker: Arc<OnceLock<EpochTracker>>,
}

impl<S> BudgetEarlyStopping<S> {
    /// The course is known at the launch.
    pub(crate) fn new(strategy: S, tracker: Arc<OnceLock<EpochTracker>>) -> Self {
        Self { strategy, tracker }
    }
}

impl<S: EarlyStoppingStrategy> EarlyStoppingStrategy for BudgetEarlyStopping<S> {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        // The strategy is asked in any case: it remembers what it has seen.
        let strategy_stops = self.strategy.should_stop(epoch, store);
        self.tracker.get().is_some_and(EpochTracker::should_stop_after_epoch) || strategy_stops
    }
}
