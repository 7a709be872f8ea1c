//! Failures of a live provider of carbon intensities.

use std::time::Duration;

/// Why a live provider returned no series.
///
/// The run then uses the figure of the embedded table and records the reason as a note in the footprint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The connection could not be established, or it broke.
    #[error("cannot reach {provider} (check the network connection and the proxy settings)")]
    Unreachable {
        /// The name of the provider.
        provider: String,
        /// The error of the HTTP client.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The response was not complete within the provider's time limit.
    #[error("no complete response from {provider} within {} s; raise the timeout", timeout.as_secs_f64())]
    Timeout {
        /// The name of the provider.
        provider: String,
        /// The total time limit.
        timeout: Duration,
    },
    /// The provider requires a token and rejected the one that was sent.
    #[error("token rejected by {provider} (HTTP status {status}); check {variable}")]
    Unauthorised {
        /// The name of the provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// The environment variable that holds the token.
        variable: &'static str,
    },
    /// Too many requests were sent to the provider.
    #[error("rate limited by {provider} (HTTP status 429); use fewer runs per token, or wait")]
    RateLimited {
        /// The name of the provider.
        provider: String,
    },
    /// The response is about a zone other than the requested one.
    #[error("{provider} returned zone {returned} instead of {requested}; set a more specific place")]
    ZoneMismatch {
        /// The name of the provider.
        provider: String,
        /// The requested zone.
        requested: String,
        /// The zone of the response.
        returned: String,
    },
    /// The provider refused the request for another reason.
    #[error(
        "request rejected by {provider} (HTTP status {status}); if this persists for a day, update sootprint"
    )]
    RequestRejected {
        /// The name of the provider.
        provider: String,
        /// The HTTP status.
        status: u16,
    },
    /// The response cannot be interpreted.
    #[error("invalid response from {provider}: {reason}; if this persists for a day, update sootprint")]
    InvalidData {
        /// The name of the provider.
        provider: String,
        /// What is wrong with the response.
        reason: String,
    },
    /// The provider has no data for the place of the run.
    #[error("{provider} does not cover {zone}; use another provider")]
    ZoneNotCovered {
        /// The name of the provider.
        provider: String,
        /// The zone of the place.
        zone: String,
    },
}
