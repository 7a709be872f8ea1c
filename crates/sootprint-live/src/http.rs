//! A GET request with a time limit, and the mapping of its failures to [`ProviderError`].

use std::time::Duration;

use sootprint_core::{ProviderError, ServerMessage};
use ureq::Agent;

/// The time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// The size limit of a response; thirteen days of half-hours are 90 kB.
const MAX_RESPONSE_BYTES: u64 = 1_000_000;

/// The size limit of the response about an error.
const MAX_ERROR_BYTES: u64 = 16_384;

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
            // The body of an error has the reason.
            .http_status_as_error(false)
            .user_agent(concat!("sootprint/", env!("CARGO_PKG_VERSION")));
        let request = config.build().new_agent().get(url).header("accept", "application/json");
        let request = match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        let read = || -> Result<(u16, String), ureq::Error> {
            let mut response = request.call()?;
            let status = response.status().as_u16();
            let limit = if status == 200 { MAX_RESPONSE_BYTES } else { MAX_ERROR_BYTES };
            let body = response.body_mut().with_config().limit(limit).read_to_string();
            // A message that cannot be read does not hide the status.
            Ok((status, if status == 200 { body? } else { body.unwrap_or_default() }))
        };
        match read() {
            Ok((200, body)) => Ok(body),
            Ok((status, body)) => {
                let secret = header.map(|(_, value)| value);
                Err(self.status_error(status, ServerMessage::from_body(&body, secret)))
            }
            Err(error) => Err(self.provider_error(error)),
        }
    }

    pub(crate) fn timeout_error(&self) -> ProviderError {
        ProviderError::Timeout { provider: self.provider.to_owned(), timeout: self.timeout }
    }

    pub(crate) fn invalid_data_error(&self, reason: String) -> ProviderError {
        ProviderError::InvalidData { provider: self.provider.to_owned(), reason }
    }

    fn status_error(&self, status: u16, message: ServerMessage) -> ProviderError {
        let provider = self.provider.to_owned();
        match (status, self.token_variable) {
            (401 | 403, Some(variable)) => {
                ProviderError::Unauthorised { provider, status, variable, message }
            }
            (429, _) => ProviderError::RateLimited { provider, message },
            _ => ProviderError::RequestRejected { provider, status, message },
        }
    }

    fn provider_error(&self, error: ureq::Error) -> ProviderError {
        match error {
            ureq::Error::Timeout(_) => self.timeout_error(),
            error @ (ureq::Error::BodyExceedsLimit(_)
            | ureq::Error::LargeResponseHeader(..)
            | ureq::Error::Protocol(_)) => self.invalid_data_error(error.to_string()),
            error => {
                ProviderError::Unreachable { provider: self.provider.to_owned(), source: Box::new(error) }
            }
        }
    }
}
