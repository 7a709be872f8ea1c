//! Listings of files and folders.

use std::sync::Arc;

use axum::extract::{Form, FromRequest as _, Path, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::{Json, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::ReadAccess;
use super::error::ApiError;
use super::request::{RequestTarget, is_true};
use crate::file_tree::{ListingEntry, RepositoryFile};
use crate::state::HubState;

/// The query of a listing. `expand` would add the last commit of each entry, which no client needs.
#[derive(Deserialize)]
pub(super) struct TreeQuery {
    recursive: Option<String>,
}

/// `GET /api/models/{id}/tree/{revision}[/{folder}]`
pub(super) async fn tree(
    State(hub): State<Arc<HubState>>,
    reader: ReadAccess,
    Path(target): Path<RequestTarget>,
    Query(depth): Query<TreeQuery>,
) -> Result<Json<Vec<Value>>, ApiError> {
    reader.read_repository(&hub, &target.repository_id(), |repository| {
        let version = repository.resolve(&target.revision)?;
        let folder = target.path.trim_end_matches('/');
        let entries = version.files.list(folder, is_true(depth.recursive.as_deref()));
        let entries = entries.ok_or_else(|| ApiError::file_not_found(&version.commit.id))?;
        Ok(Json(entries.iter().map(entry_json).collect()))
    })
}

/// `POST /api/models/{id}/paths-info/{revision}`: the entries at these paths; missing paths are left out.
pub(super) async fn paths_info(
    State(hub): State<Arc<HubState>>,
    reader: ReadAccess,
    Path(target): Path<RequestTarget>,
    request: Request,
) -> Result<Json<Vec<Value>>, Response> {
    let paths = requested_paths(request).await?;
    let entries = reader.read_repository(&hub, &target.repository_id(), |repository| {
        let files = &repository.resolve(&target.revision)?.files;
        Ok(paths.iter().filter_map(|path| files.entry(path)).map(|entry| entry_json(&entry)).collect())
    });
    entries.map(Json).map_err(ApiError::into_response)
}

/// hf-hub sends JSON; Python sends a form with one `paths` field per path.
async fn requested_paths(request: Request) -> Result<Vec<String>, Response> {
    #[derive(Deserialize)]
    struct PathsInfoRequest {
        paths: Vec<String>,
    }
    let kind = request.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_vec());
    if kind.is_some_and(|kind| kind.starts_with(b"application/json")) {
        let Json(body) = Json::<PathsInfoRequest>::from_request(request, &())
            .await
            .map_err(|rejection| rejection.into_response())?;
        return Ok(body.paths);
    }
    let Form(fields) = Form::<Vec<(String, String)>>::from_request(request, &())
        .await
        .map_err(|rejection| rejection.into_response())?;
    Ok(fields.into_iter().filter(|(name, _)| name == "paths").map(|(_, path)| path).collect())
}

fn entry_json(entry: &ListingEntry<'_>) -> Value {
    match entry {
        ListingEntry::Folder { path, id } => {
            json!({ "type": "directory", "oid": id.to_string(), "size": 0, "path": path })
        }
        ListingEntry::File { path, file } => {
            let mut description = json!({
                "type": "file",
                "oid": file.id().to_string(),
                "size": file.size(),
                "path": path,
            });
            if let RepositoryFile::Lfs(file) = file {
                let pointer_size = file.pointer().len();
                description["lfs"] =
                    json!({ "oid": file.sha256, "size": file.size, "pointerSize": pointer_size });
                description["xetHash"] = json!(file.xet_hash);
            }
            description
        }
    }
}
