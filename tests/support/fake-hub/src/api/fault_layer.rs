//! Applies the scripted faults to requests.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use jiff::Timestamp;
use serde_json::json;

use super::error::ApiError;
use crate::fault::HubFaultKind;
use crate::file_tree::{FileChange, RepositoryFile};
use crate::repository::NewCommit;
use crate::state::HubState;

/// The layer around the router.
pub(super) async fn inject_fault(
    State(hub): State<Arc<HubState>>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    let Some(fault) = hub.faults.next_fault(request.uri().path()) else { return next.run(request).await };
    match fault {
        HubFaultKind::Status { status, retry_after, applied } => {
            if applied {
                next.run(request).await;
            }
            error_response(status, retry_after)
        }
        HubFaultKind::Refusal { status, message, headers } => {
            let mut response = refusal(status, &message);
            for (name, value) in headers {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        HubFaultKind::EndlessBody => Response::new(Body::from_stream(EndlessBody)),
        HubFaultKind::TruncatedBody { applied } => {
            let whole = response_or_filler(request, next, applied).await;
            let body = to_bytes(whole.into_body(), usize::MAX).await.unwrap_or_default();
            truncated_response(&body[..body.len() / 2], body.len().max(1))
        }
        HubFaultKind::DroppedConnection { applied } => {
            response_or_filler(request, next, applied).await;
            truncated_response(&[], 1)
        }
        HubFaultKind::Delay { time, applied: true } => {
            let answer = next.run(request).await;
            tokio::time::sleep(time).await;
            answer
        }
        HubFaultKind::Delay { time, applied: false } => {
            tokio::time::sleep(time).await;
            next.run(request).await
        }
        HubFaultKind::ConcurrentCommit { repository, path, content } => {
            let proposal = NewCommit {
                title: format!("Edit {path}"),
                description: String::new(),
                parent: None,
                changes: vec![FileChange::Put { path, file: RepositoryFile::regular(content) }],
                date: Timestamp::now(),
            };
            hub.with_repository(&repository, |repository| repository.commit("main", proposal));
            next.run(request).await
        }
        HubFaultKind::NoXet => {
            let whole = to_bytes(next.run(request).await.into_body(), usize::MAX).await.unwrap_or_default();
            let mut batch: serde_json::Value = serde_json::from_slice(&whole).unwrap_or_default();
            batch["transfer"] = json!("basic");
            Json(batch).into_response()
        }
    }
}

/// The correct response, or one of about the same length.
async fn response_or_filler(request: Request, next: Next, applied: bool) -> axum::response::Response {
    match applied {
        true => next.run(request).await,
        false => Json(json!({ "error": "this is never read to its end" })).into_response(),
    }
}

fn error_response(status: u16, retry_after: Option<u32>) -> axum::response::Response {
    let message =
        if status == 403 { "You don't have write access to this repository" } else { "scripted fault" };
    let mut response = refusal(status, message);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn refusal(status: u16, message: &str) -> axum::response::Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ApiError::new(status, message).into_response()
}

/// The same block again and again.
struct EndlessBody;

impl futures_core::Stream for EndlessBody {
    type Item = std::io::Result<Bytes>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; 1 << 16]))))
    }
}

/// A response with a `Content-Length` larger than its body, after which the server closes the connection.
fn truncated_response(bytes: &[u8], content_length: usize) -> axum::response::Response {
    let body = TruncatedBody(Some(Bytes::copy_from_slice(bytes)).filter(|bytes| !bytes.is_empty()));
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(content_length));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// One piece at most, then a failure.
struct TruncatedBody(Option<Bytes>);

impl futures_core::Stream for TruncatedBody {
    type Item = std::io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = self.0.take().map_or_else(|| Err(std::io::ErrorKind::ConnectionReset.into()), Ok);
        std::task::Poll::Ready(Some(next))
    }
}
