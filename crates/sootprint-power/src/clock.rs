//! The meter's time: the system's, or a virtual one that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A clock that stands still until somebody moves it.
///
/// A [`Replay`](crate::Replay) on a virtual clock gives the same joules every time, whatever the machine does
/// meanwhile: a week is played in a millisecond.
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
    /// The time since the clock was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }

    /// Moves the clock forward, for all who share it.
    pub fn advance(&self, by: Duration) {
        // 2^64 ns are 584 years.
        self.0.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }
}

/// The clock of a set of sources.
#[derive(Debug, Clone)]
pub enum SamplerClock {
    /// The system's monotonic clock, from an origin.
    System(Instant),
    /// A clock that a script moves.
    Virtual(VirtualClock),
}

impl SamplerClock {
    /// The time since the clock's origin.
    pub fn now(&self) -> Duration {
        match self {
            Self::System(origin) => origin.elapsed(),
            Self::Virtual(clock) => clock.now(),
        }
    }

    /// How long to sleep until `due`; none on a virtual clock, whose time no sleep brings nearer.
    pub fn time_until(&self, due: Duration) -> Option<Duration> {
        matches!(self, Self::System(_)).then(|| due.saturating_sub(self.now()))
    }
}
