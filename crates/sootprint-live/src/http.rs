//! A GET request with a time limit, and the mapping of its failures to [`ProviderError`].

use std::time::Duration;

use sootprint_core::ProviderError;
use ureq::Agent;

/// The time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// The size limit of a response; thirteen days of half-hours are 90 kB.
const MAX_RESPONSE_BYTES: u64 = 1_000_000;

/// A client of one provider's API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiClient {
    pub(crate) provider: &'static str,
    /// The variable of the token, if the provider requires one; part of the error message.
    pub(crate) token_variable: Option<&'static str>,
    /// The time limit of the whole query; part of the error message.
    pub(crate) timeout: Duration,
}

impl ApiClient {
    /// Returns the body of a response with status 200 that arrives completely within `timeout`. Redirects are not
    /// followed, so that the token reaches no other host.
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

    pub(crate) fn invalid_data_error(&self, reason: String) -> ProviderError {
        ProviderError::InvalidData { provider: self.provider.to_owned(), reason }
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
