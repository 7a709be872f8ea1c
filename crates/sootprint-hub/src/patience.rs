//! How long a publication waits, and for what.

use std::time::{Duration, Instant};

use crate::error::PublishError;
use crate::events::{Event, Listener};

/// How long a publication waits for the Hub, and how often it asks again.
///
/// The storage's client, hf-xet, has its own waits, in the environment alone: `HF_XET_CLIENT_CONNECT_TIMEOUT` (60 s),
/// `HF_XET_CLIENT_READ_TIMEOUT` (300 s), `HF_XET_CLIENT_RETRY_MAX_ATTEMPTS` (5), `HF_XET_CLIENT_RETRY_BASE_DELAY`
/// (3 s). [`Patience::deadline`] holds for it, too.
///
/// ```
/// use std::time::Duration;
/// use sootprint_hub::Patience;
///
/// let short = Patience { deadline: Duration::from_secs(600), ..Patience::default() };
/// assert_eq!(short.tries, 4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to the Hub. 30 s by default.
    pub connect: Duration,
    /// For the Hub's next byte; it also runs while a commit's small files are sent. 300 s by default, as in hf-xet.
    pub read: Duration,
    /// How often one thing is asked for when the Hub does not answer, is in trouble or asks to wait, the first time
    /// included. 4 by default.
    pub tries: u32,
    /// Before the second try; each further one waits twice as long. What the Hub asks for with `Retry-After` goes
    /// before it. 1 s by default.
    pub pause: Duration,
    /// For the whole publication. 6 hours by default.
    pub deadline: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            read: Duration::from_secs(300),
            tries: 4,
            pause: Duration::from_secs(1),
            deadline: Duration::from_secs(6 * 3600),
        }
    }
}

/// The patience of a publication that has begun.
pub(crate) struct Waiting {
    patience: Patience,
    until: Instant,
    listener: Listener,
}

impl Waiting {
    pub(crate) fn new(patience: Patience, listener: Listener) -> Self {
        // A deadline beyond the clock's end is none; a century stands in for it.
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        let until = Instant::now() + patience.deadline.min(century);
        Self { patience, until, listener }
    }

    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// Asks again while that may help.
    pub(crate) async fn persist<T>(
        &self,
        mut ask: impl AsyncFnMut() -> Result<T, PublishError>,
    ) -> Result<T, PublishError> {
        let mut tried = 1;
        loop {
            match ask().await {
                Err(error) => self.before_next(&mut tried, error).await?,
                answer => return answer,
            }
        }
    }

    /// Waits before the next try, or gives the error back when there is none.
    pub(crate) async fn before_next(&self, tried: &mut u32, error: PublishError) -> Result<(), PublishError> {
        let backoff = self.patience.pause.saturating_mul(1 << (*tried - 1).min(10));
        let duration = match &error {
            PublishError::RateLimited { retry_after, .. } => retry_after.unwrap_or(backoff),
            PublishError::Unreachable { .. } | PublishError::Unavailable { .. } => backoff,
            _ => return Err(error),
        };
        // A wait that the deadline would cut off is not begun.
        if *tried >= self.patience.tries || Instant::now() + duration >= self.until {
            return Err(error);
        }
        *tried += 1;
        tracing::info!("waiting {} s: {error}", duration.as_secs_f64());
        self.listener.tell(&Event::Waiting { duration, reason: error.to_string() });
        tokio::time::sleep(duration).await;
        Ok(())
    }
}
