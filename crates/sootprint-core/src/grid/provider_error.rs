//! Failures of a live provider of carbon intensities.

use std::fmt;
use std::time::Duration;

/// Why a live provider returned no series.
///
/// The run then uses the figures of earlier responses, and the figure of the embedded table for all other time. An
/// error of the last query is recorded as a note in the footprint.
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
    #[error(
        "no complete response from {provider} within {} s; check the network connection, or raise the provider's \
         `timeout` in the program",
        timeout.as_secs_f64()
    )]
    Timeout {
        /// The name of the provider.
        provider: String,
        /// The total time limit.
        timeout: Duration,
    },
    /// The provider requires a token and rejected the one that was sent.
    #[error(
        "access denied by {provider} (HTTP status {status}{message}); check the token in {variable} and the zones that it covers"
    )]
    Unauthorised {
        /// The name of the provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// The environment variable that holds the token.
        variable: &'static str,
        /// The message of the server.
        message: ServerMessage,
    },
    /// Too many requests were sent to the provider.
    #[error("rate limited by {provider} (HTTP status 429{message}); start fewer runs at once, or wait")]
    RateLimited {
        /// The name of the provider.
        provider: String,
        /// The message of the server.
        message: ServerMessage,
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
        "request rejected by {provider} (HTTP status {status}{message}); if this persists for a day, update sootprint"
    )]
    RequestRejected {
        /// The name of the provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// The message of the server.
        message: ServerMessage,
    },
    /// The response cannot be interpreted.
    #[error("invalid response from {provider}: {reason}; if this persists for a day, update sootprint")]
    InvalidData {
        /// The name of the provider.
        provider: String,
        /// What is wrong with the response.
        reason: String,
    },
    /// The run ended its wait before the provider answered.
    #[error("no answer from the provider while the run waited for it")]
    NoAnswer,
    /// The provider has no data for the place of the run.
    #[error("{provider} does not cover {zone}; use another provider")]
    ZoneNotCovered {
        /// The name of the provider.
        provider: String,
        /// The zone of the place.
        zone: String,
    },
}

/// What a server wrote about an error: one line of at most 200 characters, without control characters. Empty if it
/// wrote nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerMessage(String);

impl ServerMessage {
    /// Extracts the message of a response: the text of `message`, `error` or `detail` in a JSON object, otherwise the
    /// body itself unless it is HTML. `secret` is removed from it.
    #[must_use]
    pub fn from_body(body: &str, secret: Option<&str>) -> Self {
        const MAX_LEN: usize = 200;

        let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
        let field = |name: &str| json.as_ref()?.get(name)?.as_str().map(str::to_owned);
        let is_html = body.trim_start().starts_with('<');
        let text = ["message", "error", "detail"].into_iter().find_map(field);
        let text = text.unwrap_or_else(|| if is_html { String::new() } else { body.to_owned() });
        let text = match secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => text.replace(secret, "…"),
            None => text,
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let line: String =
            words.join(" ").chars().filter(|letter| !letter.is_control()).take(MAX_LEN).collect();
        Self(line)
    }
}

impl fmt::Display for ServerMessage {
    /// Writes a colon and the message; nothing if there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_extracted_from_body() {
        for (body, expected) in [
            (r#"{"message":"no access to zone DE"}"#, ": no access to zone DE"),
            (r#"{"error":"bad token abc"}"#, ": bad token …"),
            ("slow\n  down\u{1b}", ": slow down"),
            ("<html><body>502</body></html>", ""),
            ("", ""),
        ] {
            assert_eq!(ServerMessage::from_body(body, Some("abc")).to_string(), expected);
        }
        assert_eq!(ServerMessage::from_body(&"x".repeat(9_999), None).to_string().len(), 202);
    }
}
