//! Early stopping that also applies the run's budget.

use std::sync::{Arc, OnceLock};

use burn::train::EarlyStoppingStrategy;
use burn::train::metric::store::EventStoreClient;

use crate::epoch_tracker::EpochTracker;

/// Combines a user's strategy with the run's budget. Burn queries it between two epochs, after the checkpoint.
#[derive(Clone)]
pub(crate) struct BudgetEarlyStopping<S> {
    strategy: S,
    tracker: Arc<OnceLock<EpochTracker>>,
}

impl<S> BudgetEarlyStopping<S> {
    /// `tracker` is set at the launch.
    pub(crate) fn new(strategy: S, tracker: Arc<OnceLock<EpochTracker>>) -> Self {
        Self { strategy, tracker }
    }
}

impl<S: EarlyStoppingStrategy> EarlyStoppingStrategy for BudgetEarlyStopping<S> {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        // Always query the strategy: it may keep state between epochs.
        let strategy_stops = self.strategy.should_stop(epoch, store);
        self.tracker.get().is_some_and(EpochTracker::should_stop_after_epoch) || strategy_stops
    }
}
