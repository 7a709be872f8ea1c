//! A counter that leaves its course and may return to it: a dip, a spike, or a restart.

use std::time::Duration;

use sootprint_core::Energy;

use super::component_total::ComponentTotal;

/// If a counter passes its old value within this time, it may have returned rather than grown.
const MAX_AMBIGUOUS_TIME: Duration = Duration::from_secs(10);

/// After this time, a new excursion replaces one from which the counter has not returned.
const MAX_RETURN_TIME: Duration = Duration::from_secs(60);

/// The last reading before a counter went back or jumped.
#[derive(Debug, Clone, Copy)]
pub(super) struct CounterExcursion {
    pub(super) left_at: Duration,
    pub(super) counter: Energy,
    /// The total of the component at that reading.
    pub(super) total: ComponentTotal,
}

/// How a counter passed the value that it had before an excursion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterReturn {
    /// It jumped there, so its readings before and after the excursion can be compared.
    Certain,
    /// It may have returned, or restarted and grown to that value.
    Possible,
    /// It restarted and grew to that value.
    Grown,
}

impl CounterExcursion {
    /// The excursion that counts if another one begins now.
    pub(super) fn continue_or_replace(current: Option<Self>, new: Self) -> Self {
        current.filter(|current| new.left_at <= current.left_at + MAX_RETURN_TIME).unwrap_or(new)
    }

    /// How a counter has reached its old value. `is_jump` is set if the last step was no plausible growth.
    pub(super) fn classify_return(&self, now: Duration, is_jump: bool) -> CounterReturn {
        if is_jump {
            CounterReturn::Certain
        } else if now.saturating_sub(self.left_at) <= MAX_AMBIGUOUS_TIME {
            CounterReturn::Possible
        } else {
            CounterReturn::Grown
        }
    }
}
