//! Error responses.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use xet_client::ClientError;

use crate::error::RepositoryError;

/// An error in the Hub's format: a status, the `X-Error-Code` header that the Python client uses, and the
/// message both in `X-Error-Message` and in the body. hf-hub uses the status and the operation.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: Option<&'static str>,
    message: String,
    commit: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: None, message: message.into(), commit: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The request has no token and needs one.
    pub(super) fn missing_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Invalid username or password.")
    }

    /// The request has a token other than the hub's.
    pub(super) fn invalid_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Invalid credentials in Authorization header")
    }

    /// The repository does not exist.
    pub(super) fn repository_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Repository not found").with_code("RepoNotFound")
    }

    /// The repository does not exist, or is not visible without a token.
    pub(super) fn repository_hidden() -> Self {
        Self::missing_token().with_code("RepoNotFound")
    }

    /// The file does not exist at this commit. Clients cache this, so the response includes the commit id.
    pub(super) fn file_not_found(commit: &str) -> Self {
        let error = Self::new(StatusCode::NOT_FOUND, "Entry not found").with_code("EntryNotFound");
        Self { commit: Some(commit.to_owned()), ..error }
    }

    fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }
}

impl From<RepositoryError> for ApiError {
    fn from(refusal: RepositoryError) -> Self {
        let (status, code) = match refusal {
            RepositoryError::RevisionNotFound(_) => (StatusCode::NOT_FOUND, Some("RevisionNotFound")),
            RepositoryError::FileNotFound(_) => (StatusCode::NOT_FOUND, Some("EntryNotFound")),
            RepositoryError::StaleParent => (StatusCode::PRECONDITION_FAILED, None),
            RepositoryError::BranchExists(_) => (StatusCode::CONFLICT, None),
            RepositoryError::InvalidPath(_) => (StatusCode::BAD_REQUEST, None),
        };
        Self { code, ..Self::new(status, refusal.to_string()) }
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the fake Hub's storage failed: {error}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.message }))).into_response();
        let headers = response.headers_mut();
        if let Some(code) = self.code {
            headers.insert("x-error-code", HeaderValue::from_static(code));
        }
        // A message with a path may contain bytes that a header cannot; it is then only in the body.
        if let Ok(message) = HeaderValue::from_str(&self.message) {
            headers.insert("x-error-message", message);
        }
        if let Some(commit) = self.commit.and_then(|commit| HeaderValue::from_str(&commit).ok()) {
            headers.insert("x-repo-commit", commit);
        }
        response
    }
}
