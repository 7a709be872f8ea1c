//! Who asks, and what they may see and change.
//!
//! Each handler takes one of these, and repositories are reached through them alone, so no request goes unchecked.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::error::ApiError;
use crate::hub::{Hub, TOKEN};
use crate::repository::Repository;

/// Somebody who reads, with the hub's token or without one. Another token is refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reader {
    Anonymous,
    Known,
}

/// Somebody with the hub's token, who may write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer;

impl Reader {
    /// Looks at a repository that this reader may see.
    pub(super) fn look<T>(
        self,
        hub: &Hub,
        repository: &str,
        look: impl FnOnce(&Repository) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let seen = hub.with(repository, |found| match self {
            Reader::Anonymous if found.private => Err(ApiError::hidden_repository()),
            Reader::Anonymous | Reader::Known => look(found),
        });
        seen.unwrap_or_else(|| match self {
            Reader::Anonymous => Err(ApiError::hidden_repository()),
            Reader::Known => Err(ApiError::no_repository()),
        })
    }
}

impl Writer {
    /// Changes a repository.
    pub(super) fn change<T>(
        self,
        hub: &Hub,
        repository: &str,
        change: impl FnOnce(&mut Repository) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        hub.with(repository, change).unwrap_or_else(|| Err(ApiError::no_repository()))
    }
}

impl FromRequestParts<Arc<Hub>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _hub: &Arc<Hub>) -> Result<Self, ApiError> {
        match parts.headers.get(AUTHORIZATION).map(|value| value.as_bytes()) {
            None => Ok(Reader::Anonymous),
            Some(value) if value.strip_prefix(b"Bearer ") == Some(TOKEN.as_bytes()) => Ok(Reader::Known),
            Some(_) => Err(ApiError::wrong_token()),
        }
    }
}

impl FromRequestParts<Arc<Hub>> for Writer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, ApiError> {
        match Reader::from_request_parts(parts, hub).await? {
            Reader::Known => Ok(Writer),
            Reader::Anonymous => Err(ApiError::token_needed()),
        }
    }
}
