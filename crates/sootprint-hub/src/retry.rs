//! Timeouts, retries and the deadline of a push.

use std::time::{Duration, Instant};

use crate::error::PushError;
use crate::failure::error_chain;
use crate::progress::{ProgressSink, PushEvent};

/// Timeouts and retries of a push.
///
/// The storage client, hf-xet, reads its own settings from the environment: `HF_XET_CLIENT_CONNECT_TIMEOUT` (60 s),
/// `HF_XET_CLIENT_READ_TIMEOUT` (300 s), `HF_XET_CLIENT_RETRY_MAX_ATTEMPTS` (5), `HF_XET_CLIENT_RETRY_BASE_DELAY`
/// (3 s). [`RetryPolicy::deadline`] applies to the storage client too.
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
    /// Timeout for connecting to the Hub. Default: 30 s.
    pub connect_timeout: Duration,
    /// Timeout for the next byte of a response, including the time to send the small files of a commit. Default: 60 s.
    pub read_timeout: Duration,
    /// The maximum number of attempts per request, including the first. A request is repeated if the Hub does not
    /// answer, returns a server error or limits the rate. Default: 4.
    pub max_attempts: u32,
    /// The wait before the second attempt, which doubles with each further attempt. A `Retry-After` from the Hub
    /// takes precedence. Default: 1 s.
    pub initial_backoff: Duration,
    /// The time limit for the whole push. It is checked between and during requests, not while files are hashed.
    /// Default: 6 hours.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
            max_attempts: 4,
            initial_backoff: Duration::from_secs(1),
            deadline: Duration::from_secs(6 * 3600),
        }
    }
}

/// Applies the policy to one push.
pub(crate) struct Retrier {
    policy: RetryPolicy,
    deadline: Instant,
    progress: ProgressSink,
}

impl Retrier {
    pub(crate) fn new(policy: RetryPolicy, progress: ProgressSink) -> Self {
        // `Instant` cannot represent every duration; a century is as good as no deadline.
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        let deadline = Instant::now() + policy.deadline.min(century);
        Self { policy, deadline, progress }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Repeats a request while a retry may help. `requested_wait` asks for the wait if the response did not state it.
    pub(crate) async fn retry<T>(
        &self,
        requested_wait: impl AsyncFn() -> Option<Duration>,
        mut request: impl AsyncFnMut() -> Result<T, PushError>,
    ) -> Result<T, PushError> {
        let mut attempt = 1;
        loop {
            match request().await {
                Err(error) => self.back_off(&requested_wait, &mut attempt, error).await?,
                answer => return answer,
            }
        }
    }

    /// Waits before the next attempt, or returns the error if there is none.
    pub(crate) async fn back_off(
        &self,
        requested_wait: impl AsyncFn() -> Option<Duration>,
        attempt: &mut u32,
        error: PushError,
    ) -> Result<(), PushError> {
        let backoff = self.policy.initial_backoff.saturating_mul(1 << (*attempt - 1).min(10));
        let delay = match &error {
            PushError::RateLimited { retry_after: Some(wait), .. } => *wait,
            PushError::RateLimited { retry_after: None, .. } => {
                requested_wait().await.unwrap_or_default().max(backoff)
            }
            PushError::Unreachable { .. } | PushError::Unavailable { .. } => backoff,
            _ => return Err(error),
        };
        // No wait that would exceed the deadline.
        if *attempt >= self.policy.max_attempts || Instant::now() + delay >= self.deadline {
            return Err(error);
        }
        *attempt += 1;
        let reason = error_chain(&error);
        tracing::info!("retrying in {} s: {reason}", delay.as_secs_f64());
        self.progress.emit(&PushEvent::BackingOff { duration: delay, reason });
        tokio::time::sleep(delay).await;
        Ok(())
    }
}
