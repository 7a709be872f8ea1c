//! Limits that the parts of the accumulator share.

use std::time::Duration;

/// Number of past observations in which a boundary may lie. Queries reach the sampler slightly late and in bursts.
pub(super) const HISTORY_LEN: usize = 256;

/// Longest wait for a tick. The slowest known counter ticks every 100 ms.
pub(crate) const MAX_TICK_INTERVAL: Duration = Duration::from_millis(250);
