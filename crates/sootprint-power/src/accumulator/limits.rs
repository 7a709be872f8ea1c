//! Limits that the parts of the accumulator share.

use std::time::Duration;

/// How many observations back an edge may be placed: marks reach the meter a little late and in bursts.
pub(super) const HISTORY_LEN: usize = 256;

/// The slowest counter known ticks every 100 ms; who waits longer than this for a tick waits in vain.
pub(crate) const MAX_TICK_INTERVAL: Duration = Duration::from_millis(250);
