//! One request with a time limit for everything, and what its failures are called.

use std::time::Duration;

use sootprint_core::ProviderError;
use ureq::Agent;

/// Who does not take a connection by then takes none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Thirteen days of half-hours are 90 kB.
const MAX_RESPONSE_BYTES: u64 = 1_000_000;

/// Somebody who is asked for intensities.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiClient {
    pub(crate) provider: &'static str,
    /// The variable that holds the token, for who asks for one.
    pub(crate) token_variable: Option<&'static str>,
    /// What was allowed in all, for the error.
    pub(crate) timeout: Duration,
}

impl ApiClient {
    /// The body of a good answer, whole within `left`. A token goes to no other host: nobody is followed elsewhere.
    pub(crate) fn get(
        &self,
        url: &str,
        header: Option<(&str, &str)>,
        timeout: Duration,
    ) -> Result<String, ProviderError> {
        if timeout.is_zero() {
            return Err(self.timeout_error());
        }
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_redirects(0)
            .user_agent(concat!("sootprint/", env!("CARGO_PKG_VERSION")));
        let request = config.build().new_agent().get(url).header("accept", "application/json");
        let request = match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        let read = || {
            let mut response = request.call()?;
            if response.status() != 200 {
                return Err(ureq::Error::StatusCode(response.status().as_u16()));
            }
            response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_string()
        };
        read().map_err(|error| self.provider_error(error))
    }

    pub(crate) fn timeout_error(&self) -> ProviderError {
        ProviderError::Timeout { provider: self.provider.to_owned(), timeout: self.timeout }
    }

    pub(crate) fn invalid_data_error(&self, what: String) -> ProviderError {
        ProviderError::InvalidData { provider: self.provider.to_owned(), reason: what }
    }

    fn provider_error(&self, error: ureq::Error) -> ProviderError {
        let provider = self.provider.to_owned();
        match (error, self.token_variable) {
            (ureq::Error::StatusCode(status @ (401 | 403)), Some(variable)) => {
                ProviderError::Unauthorised { provider, status, variable }
            }
            (ureq::Error::StatusCode(429), _) => ProviderError::RateLimited { provider },
            (ureq::Error::StatusCode(status), _) => ProviderError::RequestRejected { provider, status },
            (ureq::Error::Timeout(_), _) => self.timeout_error(),
            (
                error @ (ureq::Error::BodyExceedsLimit(_)
                | ureq::Error::LargeResponseHeader(..)
                | ureq::Error::Protocol(_)),
                _,
            ) => self.invalid_data_error(error.to_string()),
            (error, _) => ProviderError::Unreachable { provider, source: Box::new(error) },
        }
    }
}
