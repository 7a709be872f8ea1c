//! Describes a counter that goes backwards or jumps, and may return to its course: a dip, a spike, or a
//! restart.

use std::time::Duration;

use sootprint_core::Energy;

use super::component_total::ComponentTotal;

/// If a counter reaches its old value within this time, it may have returned rather than grown.
const MAX_AMBIGUOUS_TIME: Duration = Duration::from_secs(10);

/// After this time, a new excursion replaces one from which the counter has not returned.
const MAX_RETURN_TIME: Duration = Duration::from_secs(60);

/// The last reading before a counter went backwards or jumped.
#[derive(Debug, Clone, Copy)]
pub(super) struct CounterExcursion {
    /// The time of that reading.
    pub(super) left_at: Duration,
    /// The value of the counter at that reading.
    pub(super) counter: Energy,
    /// The total of the component at that reading.
    pub(super) total: ComponentTotal,
}

/// How a counter reached the value that it had before an excursion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterReturn {
    /// It jumped to that value, so its readings before and after the excursion can be compared.
    Certain,
    /// It may have returned, or it may have restarted and grown to that value.
    Possible,
    /// It restarted and grew to that value.
    Grown,
}

impl CounterExcursion {
    /// Returns the excursion that applies when `new` begins: `current`, unless it began too long ago.
    pub(super) fn continue_or_replace(current: Option<Self>, new: Self) -> Self {
        current.filter(|current| new.left_at <= current.left_at + MAX_RETURN_TIME).unwrap_or(new)
    }

    /// Classifies how the counter has reached its old value. `is_jump` is set if the last step is not
    /// plausible as growth.
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
