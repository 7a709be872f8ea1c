//! The clock of the sampler: the system's, or a virtual one that a test advances.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A clock that only moves when it is advanced.
///
/// A [`Replay`](crate::Replay) on a virtual clock yields the same energy each time, however busy the machine
/// is, and does not wait for the replayed time to pass.
///
/// ```
/// use std::time::Duration;
/// use sootprint_power::VirtualClock;
///
/// let clock = VirtualClock::default();
/// clock.advance(Duration::from_millis(250));
/// assert_eq!(clock.now(), Duration::from_millis(250));
/// ```
#[derive(Debug, Clone, Default)]
pub struct VirtualClock(Arc<AtomicU64>);

impl VirtualClock {
    /// Returns the time since the clock was created.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }

    /// Advances the clock and all of its clones.
    pub fn advance(&self, by: Duration) {
        // 2^64 ns are 584 years.
        self.0.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }
}

/// The clock of a set of sources.
#[derive(Debug, Clone)]
pub enum SamplerClock {
    /// The system's monotonic clock, measured from this origin.
    System(Instant),
    /// A virtual clock, which moves only when it is advanced.
    Virtual(VirtualClock),
}

impl SamplerClock {
    /// Returns the time since the clock's origin.
    pub fn now(&self) -> Duration {
        match self {
            Self::System(origin) => origin.elapsed(),
            Self::Virtual(clock) => clock.now(),
        }
    }

    /// Returns the time to sleep until `due`. `None` on a virtual clock, which does not advance during a
    /// sleep.
    pub fn time_until(&self, due: Duration) -> Option<Duration> {
        matches!(self, Self::System(_)).then(|| due.saturating_sub(self.now()))
    }
}
