//! Limits that the parts of the accumulator share.

use std::time::Duration;

use sootprint_core::Power;

/// The most that a suspended GPU draws: laptops gain 5 to 7 W if a GPU sleeps that draws about 10 W awake and idle.
pub const SUSPENDED_POWER: Power = Power::from_watts(5.0);

/// Number of past observations in which a boundary may lie. Queries reach the sampler slightly late and in bursts.
pub(super) const HISTORY_LEN: usize = 256;

/// Longest wait for a tick. The slowest known counter ticks every 100 ms.
pub(crate) const MAX_TICK_INTERVAL: Duration = Duration::from_millis(250);
