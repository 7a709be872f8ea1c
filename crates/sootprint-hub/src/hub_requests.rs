//! Requests that hf-hub 1.0.0 does not offer, or not as the Hub's Python client makes them.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sootprint_core::RepoId;

use crate::failure::{HubFailureKind, RedactedError, is_about_access};
use crate::rate_limit::requested_wait;
use crate::settings::HubSettings;

/// Longer than any response to these requests.
const MAX_BODY_LEN: usize = 16 << 20;

/// A failed request.
pub(crate) type RequestFailure = (HubFailureKind, RedactedError);

/// The Hub's opinion about a card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CardOpinion {
    /// Why the Hub would refuse the card; empty if it would not.
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// A Hub and its token.
#[derive(Clone, Copy)]
pub(crate) struct HubRequests<'a> {
    pub(crate) http: &'a Client,
    pub(crate) settings: &'a HubSettings,
}

impl HubRequests<'_> {
    /// Creates a repository. One that exists is no error.
    ///
    /// hf-hub always sends `private`, which overrides the default of an organisation.
    pub(crate) async fn create_repository(&self, repo: &RepoId, private: bool) -> Result<(), RequestFailure> {
        let mut body = json!({ "name": repo.name(), "organization": repo.owner(), "type": "model" });
        if private {
            body["private"] = true.into();
        }
        match self.post_json("/api/repos/create", "application/json", &body).await {
            Err((HubFailureKind::Conflict, error)) if error.to_string().contains("conflicting operation") => {
                Err((HubFailureKind::Unavailable, error))
            }
            Err((HubFailureKind::Conflict, _)) => Ok(()),
            created => created.map(drop),
        }
    }

    /// Asks what the Hub thinks of a card. `None` if this Hub does not answer that.
    pub(crate) async fn validate_card(&self, card: &str) -> Option<CardOpinion> {
        let body = json!({ "content": card, "repoType": "model" });
        let response = self.send_json("/api/validate-yaml", "application/json", &body).await.ok()?;
        let status = response.status();
        if !status.is_success() && status != StatusCode::BAD_REQUEST {
            return None;
        }
        let answer: Value = serde_json::from_slice(&read_body(response).await.ok()?).ok()?;
        let messages = |key: &str| {
            let list = answer[key].as_array().into_iter().flatten();
            list.filter_map(|item| Some(item["message"].as_str()?.to_owned())).collect()
        };
        Some(CardOpinion { errors: messages("errors"), warnings: messages("warnings") })
    }

    /// The wait that the Hub asks for, which hf-hub does not report.
    pub(crate) async fn requested_wait(&self, repo: &RepoId) -> Option<Duration> {
        let url = format!("{}/api/models/{repo}", self.settings.endpoint);
        let request = self.http.get(url).header(AUTHORIZATION, self.authorization());
        let response = request.send().await.ok()?;
        let is_limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
        if is_limited { requested_wait(response.headers()) } else { Some(Duration::ZERO) }
    }

    pub(crate) async fn post_json(
        &self,
        path: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<Value, RequestFailure> {
        let token = &self.settings.token;
        let response = self.send_json(path, content_type, body).await?;
        let status = response.status();
        let wait = requested_wait(response.headers());
        let text = read_body(response)
            .await
            .map_err(|error| (HubFailureKind::Unreachable, RedactedError::new(&error, token)))?;
        if status.is_success() {
            return serde_json::from_slice(&text)
                .map_err(|error| (HubFailureKind::UnexpectedResponse, RedactedError::new(&error, token)));
        }
        let message = serde_json::from_slice::<Value>(&text).ok();
        let message = message.and_then(|json| json["error"].as_str().map(str::to_owned)).unwrap_or_default();
        let failure = match status {
            StatusCode::UNAUTHORIZED => HubFailureKind::Unauthorized,
            StatusCode::FORBIDDEN if is_about_access(&message) => HubFailureKind::Forbidden,
            StatusCode::CONFLICT => HubFailureKind::Conflict,
            StatusCode::TOO_MANY_REQUESTS => HubFailureKind::RateLimited(wait),
            StatusCode::PAYLOAD_TOO_LARGE => HubFailureKind::TooManyFiles,
            status if status.is_server_error() => HubFailureKind::Unavailable,
            _ => HubFailureKind::Refused,
        };
        Err((
            failure,
            RedactedError::new(&HubErrorMessage(format!("HTTP status {status}: {message}")), token),
        ))
    }

    async fn send_json(
        &self,
        path: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<Response, RequestFailure> {
        let url = format!("{}{path}", self.settings.endpoint);
        let request = self.http.post(url).header(AUTHORIZATION, self.authorization());
        let request =
            request.header(CONTENT_TYPE, content_type).header(ACCEPT, content_type).body(body.to_string());
        let unreachable = |error: reqwest::Error| {
            (HubFailureKind::Unreachable, RedactedError::new(&error, &self.settings.token))
        };
        request.send().await.map_err(unreachable)
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.settings.token.expose())
    }
}

/// Reads a body up to [`MAX_BODY_LEN`]; the rest of a longer one is cut off.
async fn read_body(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY_LEN - body.len())]);
        if body.len() == MAX_BODY_LEN {
            break;
        }
    }
    Ok(body)
}

/// The message of a server as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct HubErrorMessage(String);
