//! Redirects requests for a renamed repository to its new name.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};

use crate::state::HubState;

/// The layer around the router.
pub(super) async fn redirect_renamed(
    State(hub): State<Arc<HubState>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let (prefix, rest) = match path.strip_prefix("/api/models/") {
        Some(rest) => ("/api/models/", rest),
        None => ("/", path.strip_prefix('/').unwrap_or(&path)),
    };
    let mut parts = rest.splitn(3, '/');
    let (Some(owner), Some(name)) = (parts.next(), parts.next()) else { return next.run(request).await };
    let (name, suffix) = name.strip_suffix(".git").map_or((name, ""), |name| (name, ".git"));
    let Some(new_name) = hub.new_name(&format!("{owner}/{name}")) else { return next.run(request).await };
    let tail = parts.next().map(|tail| format!("/{tail}")).unwrap_or_default();
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    // 307 keeps the method and the body.
    Redirect::temporary(&format!("{}{prefix}{new_name}{suffix}{tail}{query}", hub.endpoint)).into_response()
}
