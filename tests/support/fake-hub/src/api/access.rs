//! Authentication and authorisation of requests.
//!
//! Each handler takes one of these extractors. Repositories are only reachable through them, so every request
//! is checked.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::error::ApiError;
use crate::repository::ModelRepository;
use crate::state::{HubState, TOKEN};

/// Read access, with the hub's token or without a token. Any other token is refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReadAccess {
    Anonymous,
    Authenticated,
}

/// Write access, which requires the hub's token.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteAccess;

impl ReadAccess {
    /// Reads a repository that is visible to this request.
    pub(super) fn read_repository<T>(
        self,
        hub: &HubState,
        repository: &str,
        operation: impl FnOnce(&ModelRepository) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let result = hub.with_repository(repository, |found| match self {
            ReadAccess::Anonymous if found.private => Err(ApiError::repository_hidden()),
            ReadAccess::Anonymous | ReadAccess::Authenticated => operation(found),
        });
        result.unwrap_or_else(|| match self {
            ReadAccess::Anonymous => Err(ApiError::repository_hidden()),
            ReadAccess::Authenticated => Err(ApiError::repository_not_found()),
        })
    }
}

impl WriteAccess {
    /// Changes a repository.
    pub(super) fn update_repository<T>(
        self,
        hub: &HubState,
        repository: &str,
        operation: impl FnOnce(&mut ModelRepository) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        hub.with_repository(repository, operation).unwrap_or_else(|| Err(ApiError::repository_not_found()))
    }
}

impl FromRequestParts<Arc<HubState>> for ReadAccess {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _hub: &Arc<HubState>) -> Result<Self, ApiError> {
        match parts.headers.get(AUTHORIZATION).map(|value| value.as_bytes()) {
            None => Ok(ReadAccess::Anonymous),
            Some(value) if value.strip_prefix(b"Bearer ") == Some(TOKEN.as_bytes()) => {
                Ok(ReadAccess::Authenticated)
            }
            Some(_) => Err(ApiError::invalid_token()),
        }
    }
}

impl FromRequestParts<Arc<HubState>> for WriteAccess {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<HubState>) -> Result<Self, ApiError> {
        match ReadAccess::from_request_parts(parts, hub).await? {
            ReadAccess::Authenticated => Ok(WriteAccess),
            ReadAccess::Anonymous => Err(ApiError::missing_token()),
        }
    }
}
