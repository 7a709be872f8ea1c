//! How long a publication waits, and for what.

use std::time::{Duration, Instant};

use crate::error::PushError;
use crate::progress::{ProgressSink, PushEvent};

/// How long a publication waits for the Hub, and how often it asks again.
///
/// The storage's client, hf-xet, has its own waits, in the environment alone: `HF_XET_CLIENT_CONNECT_TIMEOUT` (60 s),
/// `HF_XET_CLIENT_READ_TIMEOUT` (300 s), `HF_XET_CLIENT_RETRY_MAX_ATTEMPTS` (5), `HF_XET_CLIENT_RETRY_BASE_DELAY`
/// (3 s). [`RetryPolicy::deadline`] holds for it, too.
///
/// ```
/// use std::time::Duration;
/// use sootprint_hub::RetryPolicy;
///
/// let short = RetryPolicy { deadline: Duration::from_secs(600), ..RetryPolicy::default() };
/// assert_eq!(short.max_attempts, 4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// For a connection to the Hub. 30 s by default.
    pub connect_timeout: Duration,
    /// For the Hub's next byte; it also runs while a commit's small files are sent. 300 s by default, as in hf-xet.
    pub read_timeout: Duration,
    /// How often one thing is asked for when the Hub does not answer, is in trouble or asks to wait, the first time
    /// included. 4 by default.
    pub max_attempts: u32,
    /// Before the second try; each further one waits twice as long. What the Hub asks for with `Retry-After` goes
    /// before it. 1 s by default.
    pub initial_backoff: Duration,
    /// For the whole publication. 6 hours by default.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(300),
            max_attempts: 4,
            initial_backoff: Duration::from_secs(1),
            deadline: Duration::from_secs(6 * 3600),
        }
    }
}

/// The patience of a publication that has begun.
pub(crate) struct Retrier {
    policy: RetryPolicy,
    deadline: Instant,
    progress: ProgressSink,
}

impl Retrier {
    pub(crate) fn new(policy: RetryPolicy, progress: ProgressSink) -> Self {
        // A deadline beyond the clock's end is none; a century stands in for it.
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        let deadline = Instant::now() + policy.deadline.min(century);
        Self { policy, deadline, progress }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Asks again while that may help.
    pub(crate) async fn retry<T>(
        &self,
        mut request: impl AsyncFnMut() -> Result<T, PushError>,
    ) -> Result<T, PushError> {
        let mut attempt = 1;
        loop {
            match request().await {
                Err(error) => self.back_off(&mut attempt, error).await?,
                answer => return answer,
            }
        }
    }

    /// Waits before the next try, or gives the error back when there is none.
    pub(crate) async fn back_off(&self, attempt: &mut u32, error: PushError) -> Result<(), PushError> {
        let backoff = self.policy.initial_backoff.saturating_mul(1 << (*attempt - 1).min(10));
        let delay = match &error {
            PushError::RateLimited { retry_after, .. } => retry_after.unwrap_or(backoff),
            PushError::Unreachable { .. } | PushError::Unavailable { .. } => backoff,
            _ => return Err(error),
        };
        // A wait that the deadline would cut off is not begun.
        if *attempt >= self.policy.max_attempts || Instant::now() + delay >= self.deadline {
            return Err(error);
        }
        *attempt += 1;
        tracing::info!("waiting {} s: {error}", delay.as_secs_f64());
        self.progress.emit(&PushEvent::BackingOff { duration: delay, reason: error.to_string() });
        tokio::time::sleep(delay).await;
        Ok(())
    }
}
