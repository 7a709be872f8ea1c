//! One request with a time limit for everything, and what its failures are called.

use std::time::Duration;

use sootprint_core::ProviderError;
use ureq::Agent;

/// Who does not take a connection by then takes none.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// Thirteen days of half-hours are 90 kB.
const LARGEST_REPLY: u64 = 1_000_000;

/// Somebody who is asked for intensities.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    /// The variable that holds the token, for who asks for one.
    pub(crate) variable: Option<&'static str>,
    /// What was allowed in all, for the error.
    pub(crate) time_limit: Duration,
}

impl Asked {
    /// The body of a good answer, whole within `left`. A token goes to no other host: nobody is followed elsewhere.
    pub(crate) fn get(
        &self,
        url: &str,
        header: Option<(&str, &str)>,
        left: Duration,
    ) -> Result<String, ProviderError> {
        if left.is_zero() {
            return Err(self.too_slow());
        }
        let config = Agent::config_builder()
            .timeout_global(Some(left))
            .timeout_connect(Some(CONNECT_LIMIT))
            .max_redirects(0)
            .user_agent(concat!("sootprint/", env!("CARGO_PKG_VERSION")));
        let request = config.build().new_agent().get(url).header("accept", "application/json");
        let request = match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        let read = || {
            let mut reply = request.call()?;
            if reply.status() != 200 {
                return Err(ureq::Error::StatusCode(reply.status().as_u16()));
            }
            reply.body_mut().with_config().limit(LARGEST_REPLY).read_to_string()
        };
        read().map_err(|error| self.failure(error))
    }

    pub(crate) fn too_slow(&self) -> ProviderError {
        ProviderError::TooSlow { provider: self.name.to_owned(), limit: self.time_limit }
    }

    pub(crate) fn nonsense(&self, what: String) -> ProviderError {
        ProviderError::Nonsense { provider: self.name.to_owned(), what }
    }

    fn failure(&self, error: ureq::Error) -> ProviderError {
        let provider = self.name.to_owned();
        match (error, self.variable) {
            (ureq::Error::StatusCode(status @ (401 | 403)), Some(variable)) => {
                ProviderError::Unauthorised { provider, status, variable }
            }
            (ureq::Error::StatusCode(429), _) => ProviderError::TooOften { provider },
            (ureq::Error::StatusCode(status), _) => ProviderError::Refused { provider, status },
            (ureq::Error::Timeout(_), _) => self.too_slow(),
            (
                error @ (ureq::Error::BodyExceedsLimit(_)
                | ureq::Error::LargeResponseHeader(..)
                | ureq::Error::Protocol(_)),
                _,
            ) => self.nonsense(error.to_string()),
            (error, _) => ProviderError::Unreachable { provider, source: Box::new(error) },
        }
    }
}
