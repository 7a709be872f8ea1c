//! Does to a request what the script says.

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
use crate::fault::Misbehaviour;
use crate::hub::Hub;
use crate::repository::Proposal;
use crate::snapshot::{Change, File};

/// The layer around the router.
pub(super) async fn misbehave(
    State(hub): State<Arc<Hub>>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    let Some(what) = hub.script.next(request.uri().path()) else { return next.run(request).await };
    match what {
        Misbehaviour::Status { status, retry_after, applied } => {
            if applied {
                next.run(request).await;
            }
            error(status, retry_after)
        }
        Misbehaviour::Cut { applied } => {
            let whole = answer(request, next, applied).await;
            let body = to_bytes(whole.into_body(), usize::MAX).await.unwrap_or_default();
            broken(&body[..body.len() / 2], body.len().max(1))
        }
        Misbehaviour::Lose { applied } => {
            answer(request, next, applied).await;
            broken(&[], 1)
        }
        Misbehaviour::Hang { time, applied: true } => {
            let answer = next.run(request).await;
            tokio::time::sleep(time).await;
            answer
        }
        Misbehaviour::Hang { time, applied: false } => {
            tokio::time::sleep(time).await;
            next.run(request).await
        }
        Misbehaviour::Meanwhile { repository, path, content } => {
            let proposal = Proposal {
                title: format!("Edit {path}"),
                description: String::new(),
                parent: None,
                changes: vec![Change::Put { path, file: File::regular(content) }],
                date: Timestamp::now(),
            };
            hub.with(&repository, |repository| repository.commit("main", proposal));
            next.run(request).await
        }
        Misbehaviour::NoXet => {
            let whole = to_bytes(next.run(request).await.into_body(), usize::MAX).await.unwrap_or_default();
            let mut batch: serde_json::Value = serde_json::from_slice(&whole).unwrap_or_default();
            batch["transfer"] = json!("basic");
            Json(batch).into_response()
        }
    }
}

/// The right answer, or one of about the same length.
async fn answer(request: Request, next: Next, applied: bool) -> axum::response::Response {
    match applied {
        true => next.run(request).await,
        false => Json(json!({ "error": "this is never read to its end" })).into_response(),
    }
}

fn error(status: u16, retry_after: Option<u32>) -> axum::response::Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = ApiError::new(status, "as the script says").into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An answer that promises more bytes than it has, after which the server closes the connection.
fn broken(bytes: &[u8], promised: usize) -> axum::response::Response {
    let body = Broken(Some(Bytes::copy_from_slice(bytes)).filter(|bytes| !bytes.is_empty()));
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(promised));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// One piece at most, then a failure.
struct Broken(Option<Bytes>);

impl futures_core::Stream for Broken {
    type Item = std::io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = self.0.take().map_or_else(|| Err(std::io::ErrorKind::ConnectionReset.into()), Ok);
        std::task::Poll::Ready(Some(next))
    }
}
