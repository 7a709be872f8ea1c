//! The Hub's API over HTTP: which request goes to which handler.

mod access;
mod commit;
mod download;
mod error;
mod fault_layer;
mod files;
mod repositories;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Deserialize;

use crate::state::HubState;
use error::ApiError;

/// All requests that the hub answers.
pub(crate) fn router(hub: Arc<HubState>) -> Router {
    let model = Router::new()
        .route("/", get(repositories::info))
        .route("/revision/{revision}", get(repositories::info))
        .route("/commits/{revision}", get(repositories::commits))
        .route("/refs", get(repositories::references))
        .route("/branch/{revision}", post(repositories::create_branch))
        .route("/tree/{revision}", get(files::tree))
        .route("/tree/{revision}/{*path}", get(files::tree))
        .route("/paths-info/{revision}", post(files::paths_info))
        .route("/preupload/{revision}", post(upload::preupload))
        .route("/xet-write-token/{revision}", get(upload::xet_write_token))
        .route("/xet-read-token/{revision}", get(upload::xet_read_token))
        .route("/commit/{revision}", post(commit::commit))
        .method_not_allowed_fallback(not_implemented);
    Router::new()
        .nest("/api/models/{namespace}/{name}", model)
        .route("/api/repos/create", post(repositories::create))
        .route("/api/whoami-v2", get(repositories::whoami))
        .route("/api/validate-yaml", post(repositories::validate_yaml))
        .route("/{namespace}/{name}/info/lfs/objects/batch", post(upload::lfs_batch))
        .route("/{namespace}/{name}/resolve/{revision}/{*path}", get(download::resolve))
        .route("/cdn/{sha256}", get(download::serve_lfs_file))
        .fallback(not_implemented)
        .method_not_allowed_fallback(not_implemented)
        // A commit carries its regular files, each up to 10 MiB, in one body.
        .layer(DefaultBodyLimit::disable())
        // Sees each request before anything happened, and each answer after everything did.
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&hub), fault_layer::inject_fault))
        .with_state(hub)
}

/// What the path of a request says.
#[derive(Debug, Deserialize)]
struct RequestTarget {
    namespace: String,
    name: String,
    #[serde(default = "main_branch")]
    revision: String,
    #[serde(default)]
    path: String,
}

impl RequestTarget {
    /// The repository's name, `owner/name`.
    fn repository_id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn main_branch() -> String {
    "main".to_owned()
}

/// Whether a parameter of the query says yes. hf-hub writes `true` or `1`, Python also `True`.
fn is_true(parameter: Option<&str>) -> bool {
    parameter.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

/// A date as the Hub writes it: RFC 3339 in UTC, with milliseconds.
fn format_timestamp(instant: Timestamp) -> String {
    format!("{instant:.3}")
}

async fn not_implemented(method: Method, OriginalUri(address): OriginalUri) -> ApiError {
    let message = format!("the loopback hub does not answer {method} {}", address.path());
    ApiError::new(StatusCode::NOT_IMPLEMENTED, message)
}
