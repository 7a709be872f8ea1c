//! The Hub's API over HTTP: the routes of its handlers.

mod access;
mod commit;
mod download;
mod error;
mod fault_layer;
mod files;
mod renaming;
mod repositories;
mod request;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, post};

use crate::state::HubState;
use error::ApiError;

/// All routes of the API.
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
        .route("/api/models", get(repositories::list))
        .route("/api/repos/create", post(repositories::create))
        .route("/api/repos/delete", delete(repositories::delete))
        .route("/api/repos/move", post(repositories::rename))
        .route("/api/whoami-v2", get(repositories::whoami))
        .route("/api/validate-yaml", post(repositories::validate_yaml))
        .route("/{namespace}/{name}/info/lfs/objects/batch", post(upload::lfs_batch))
        .route("/{namespace}/{name}/resolve/{revision}/{*path}", get(download::resolve))
        .route("/cdn/{sha256}", get(download::serve_lfs_file))
        .fallback(not_implemented)
        .method_not_allowed_fallback(not_implemented)
        // A commit carries its regular files, each up to 10 MiB, in one body.
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&hub), renaming::redirect_renamed))
        // Runs before the handler on each request and after it on each response.
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&hub), fault_layer::inject_fault))
        .with_state(hub)
}

async fn not_implemented(method: Method, OriginalUri(address): OriginalUri) -> ApiError {
    let message = format!("the fake Hub does not implement {method} {}", address.path());
    ApiError::new(StatusCode::NOT_IMPLEMENTED, message)
}
