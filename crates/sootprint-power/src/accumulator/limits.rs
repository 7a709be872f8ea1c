//! Limits that the modules of the accumulator share.

use std::time::Duration;

use sootprint_core::Power;

/// The upper bound of the power of a suspended GPU. Laptops save 5 to 7 W when a GPU that draws about 10 W
/// while awake and idle goes to sleep.
pub const SUSPENDED_POWER: Power = Power::from_watts(5.0);

/// Number of past observations that are kept to locate a boundary. Queries reach the sampler slightly late
/// and in bursts.
pub(super) const HISTORY_LEN: usize = 256;

/// Longest wait for a tick. The slowest known counter ticks every 100 ms.
pub(crate) const MAX_TICK_INTERVAL: Duration = Duration::from_millis(250);
