//! Requests before a commit: the destination of each file and how to upload it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{ReadAccess, WriteAccess};
use super::error::ApiError;
use super::request::RequestTarget;
use crate::file_tree::RepositoryFile;
use crate::lfs;
use crate::state::HubState;

/// The most files in one request before an upload.
const MAX_PREUPLOAD_FILES: usize = 256;

/// The body of `POST /api/models/{id}/preupload/{revision}`
#[derive(Deserialize)]
pub(super) struct PreuploadRequest {
    files: Vec<PreuploadFile>,
}

#[derive(Deserialize)]
struct PreuploadFile {
    path: String,
    size: u64,
    /// The first 512 bytes, in base64.
    #[serde(default)]
    sample: String,
}

/// `POST /api/models/{id}/preupload/{revision}`: returns which files go to the storage.
///
/// It also returns the id of the current file at each path, which Python uses to skip unchanged files.
pub(super) async fn preupload(
    State(hub): State<Arc<HubState>>,
    writer: WriteAccess,
    Path(target): Path<RequestTarget>,
    Json(preupload): Json<PreuploadRequest>,
) -> Result<Json<Value>, ApiError> {
    if preupload.files.len() > MAX_PREUPLOAD_FILES {
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "Too many files in one request"));
    }
    writer.update_repository(&hub, &target.repository_id(), |repository| {
        let files = &repository.resolve(&target.revision)?.files;
        let answer = preupload.files.iter().map(|file| {
            let sample = STANDARD
                .decode(&file.sample)
                .map_err(|_| ApiError::bad_request(format!("the sample of {} is not base64", file.path)))?;
            let is_lfs = lfs::is_lfs_file(&file.path, file.size, &sample);
            let existing_oid = files.get(&file.path).map(|file| match file {
                RepositoryFile::Regular(_) => file.id().to_string(),
                RepositoryFile::Lfs(file) => file.sha256.clone(),
            });
            Ok(json!({
                "path": file.path,
                "uploadMode": if is_lfs { "lfs" } else { "regular" },
                "shouldIgnore": false,
                "oid": existing_oid,
            }))
        });
        let answer: Vec<Value> = answer.collect::<Result<_, ApiError>>()?;
        Ok(Json(json!({ "files": answer })))
    })
}

/// The body of `POST /{id}.git/info/lfs/objects/batch`
#[derive(Deserialize)]
pub(super) struct LfsBatchRequest {
    operation: String,
    #[serde(default)]
    transfers: Vec<String>,
    objects: Vec<Value>,
}

/// `POST /{id}.git/info/lfs/objects/batch`: the transfer to use. Only Xet is supported.
///
/// hf-hub calls this before every upload and embeds the weights in the commit if the response is anything
/// else.
pub(super) async fn lfs_batch(
    State(hub): State<Arc<HubState>>,
    writer: WriteAccess,
    Path(target): Path<RequestTarget>,
    Json(batch): Json<LfsBatchRequest>,
) -> Result<Json<Value>, ApiError> {
    let repository = target.repository_id();
    let repository = repository.strip_suffix(".git").ok_or_else(ApiError::repository_not_found)?;
    writer.update_repository(&hub, repository, |_| Ok(()))?;
    if batch.operation != "upload" || !batch.transfers.iter().any(|transfer| transfer == "xet") {
        return Err(ApiError::bad_request("the fake Hub takes LFS files by upload over xet only"));
    }
    let href = format!("{}/api/models/{repository}/xet-write-token/main", hub.endpoint);
    let mut objects = batch.objects;
    for object in &mut objects {
        let oid = object["oid"].as_str().unwrap_or_default();
        // A file that the storage has needs no action.
        if hub.storage.find_file(oid).await?.is_none() {
            object["actions"] = json!({ "upload": { "href": href, "header": {} } });
        }
    }
    Ok(Json(json!({ "transfer": "xet", "objects": objects })))
}

/// `GET /api/models/{id}/xet-write-token/{revision}`
pub(super) async fn xet_write_token(
    State(hub): State<Arc<HubState>>,
    writer: WriteAccess,
    Path(target): Path<RequestTarget>,
) -> Result<Response, ApiError> {
    writer.update_repository(&hub, &target.repository_id(), |_| Ok(()))?;
    Ok(xet_token(&hub, "loopback-write"))
}

/// `GET /api/models/{id}/xet-read-token/{revision}`
pub(super) async fn xet_read_token(
    State(hub): State<Arc<HubState>>,
    reader: ReadAccess,
    Path(target): Path<RequestTarget>,
) -> Result<Response, ApiError> {
    reader.read_repository(&hub, &target.repository_id(), |_| Ok(()))?;
    Ok(xet_token(&hub, "loopback-read"))
}

/// The storage URL, in the body for hf-hub and in the headers for Python.
fn xet_token(hub: &HubState, token: &str) -> Response {
    // The Hub's tokens expire after minutes; an hour is longer than any test, so no client renews one.
    let expires = Timestamp::now().as_second() + 3600;
    let url = hub.storage.url();
    let headers = [
        ("x-xet-cas-url", url.to_owned()),
        ("x-xet-access-token", token.to_owned()),
        ("x-xet-token-expiration", expires.to_string()),
    ];
    let body = Json(json!({ "accessToken": token, "exp": expires, "casUrl": url }));
    (headers, body).into_response()
}
