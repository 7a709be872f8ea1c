//! Repository endpoints: creation, metadata, history and branches; and the user of a token.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{ReadAccess, WriteAccess};
use super::error::ApiError;
use super::request::{RequestTarget, format_timestamp, is_true};
use crate::card_metadata::CardMetadata;
use crate::file_tree::RepositoryFile;
use crate::git;
use crate::repository::{CommitSnapshot, ModelRepository};
use crate::state::{HubState, USER};

/// The body of `POST /api/repos/create`; hf-hub sends `private`, Python `visibility`.
#[derive(Deserialize)]
pub(super) struct CreateRepositoryRequest {
    name: String,
    organization: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    private: Option<bool>,
    visibility: Option<String>,
}

/// `POST /api/repos/create`
pub(super) async fn create(
    State(hub): State<Arc<HubState>>,
    _writer: WriteAccess,
    Json(creation): Json<CreateRepositoryRequest>,
) -> Result<Response, ApiError> {
    if creation.kind.is_some_and(|kind| kind != "model") {
        return Err(ApiError::bad_request("the fake Hub holds models only"));
    }
    let owner = creation.organization.as_deref().unwrap_or(USER);
    if !is_valid_name(owner) || !is_valid_name(&creation.name) {
        return Err(ApiError::bad_request("Invalid repo name: letters, digits, -, _ and . only, 96 at most"));
    }
    let id = format!("{owner}/{}", creation.name);
    let url = format!("{}/{id}", hub.endpoint);
    let asked = creation.private.or_else(|| creation.visibility.as_deref().map(|it| it == "private"));
    let Some(private) = hub.organization(owner).visibility(asked) else {
        let message = format!("{owner} forbids the creation of public models");
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    };
    if hub.create_repository(&id, private) {
        Ok(Json(json!({ "url": url, "name": id })).into_response())
    } else {
        // Both clients continue if the repository may already exist; Python reads the URL from this response.
        let error = "You already created this model repo";
        Ok((StatusCode::CONFLICT, Json(json!({ "error": error, "url": url }))).into_response())
    }
}

/// The body of `DELETE /api/repos/delete`
#[derive(Deserialize)]
pub(super) struct DeleteRepositoryRequest {
    name: String,
    organization: Option<String>,
}

/// `DELETE /api/repos/delete`
pub(super) async fn delete(
    State(hub): State<Arc<HubState>>,
    _writer: WriteAccess,
    Json(deletion): Json<DeleteRepositoryRequest>,
) -> Result<StatusCode, ApiError> {
    let id = format!("{}/{}", deletion.organization.as_deref().unwrap_or(USER), deletion.name);
    if hub.delete_repository(&id) { Ok(StatusCode::OK) } else { Err(ApiError::repository_not_found()) }
}

/// The body of `POST /api/repos/move`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RenameRepositoryRequest {
    from_repo: String,
    to_repo: String,
}

/// `POST /api/repos/move`: requests for the old name are redirected from then on.
pub(super) async fn rename(
    State(hub): State<Arc<HubState>>,
    _writer: WriteAccess,
    Json(renaming): Json<RenameRepositoryRequest>,
) -> Result<StatusCode, ApiError> {
    let is_renamed = hub.rename_repository(&renaming.from_repo, &renaming.to_repo);
    if is_renamed { Ok(StatusCode::OK) } else { Err(ApiError::repository_not_found()) }
}

/// `GET /api/models`: all visible models, whatever is asked for. Python filters the answer.
pub(super) async fn list(State(hub): State<Arc<HubState>>, reader: ReadAccess) -> Json<Vec<Value>> {
    let models = hub.repository_ids().into_iter().filter_map(|id| {
        let (namespace, name) = id.split_once('/')?;
        let target = RequestTarget {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            revision: "main".to_owned(),
            path: String::new(),
        };
        let model = reader.read_repository(&hub, &id, |repository| {
            Ok(model_json(&target, repository, repository.resolve("main")?, false))
        });
        model.ok()
    });
    Json(models.collect())
}

/// `GET /api/whoami-v2`
pub(super) async fn whoami(_writer: WriteAccess) -> Json<Value> {
    Json(json!({
        "type": "user",
        "id": git::blob_id(USER.as_bytes()).to_string(),
        "name": USER,
        "fullname": "Loopback",
        "email": "loopback@localhost",
        "emailVerified": true,
        "canPay": false,
        "isPro": false,
        "orgs": [],
        "auth": { "type": "access_token", "accessToken": { "displayName": "loopback", "role": "write" } },
    }))
}

/// The body of `POST /api/validate-yaml`
#[derive(Deserialize)]
pub(super) struct ValidateYamlRequest {
    content: String,
}

/// `POST /api/validate-yaml`
pub(super) async fn validate_yaml(Json(card): Json<ValidateYamlRequest>) -> Response {
    let metadata = CardMetadata::parse(&card.content);
    let status = if metadata.errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (status, Json(metadata.validation())).into_response()
}

/// The query of a model's information.
#[derive(Deserialize)]
pub(super) struct ModelInfoQuery {
    blobs: Option<String>,
}

/// `GET /api/models/{id}` and `GET /api/models/{id}/revision/{revision}`
pub(super) async fn info(
    State(hub): State<Arc<HubState>>,
    reader: ReadAccess,
    Path(target): Path<RequestTarget>,
    Query(detail): Query<ModelInfoQuery>,
) -> Result<Json<Value>, ApiError> {
    let id = target.repository_id();
    reader.read_repository(&hub, &id, |repository| {
        let version = repository.resolve(&target.revision)?;
        Ok(Json(model_json(&target, repository, version, is_true(detail.blobs.as_deref()))))
    })
}

fn model_json(
    target: &RequestTarget,
    repository: &ModelRepository,
    version: &CommitSnapshot,
    blobs: bool,
) -> Value {
    let id = target.repository_id();
    let siblings: Vec<Value> =
        version.files.iter().map(|(path, file)| sibling_json(path, file, blobs)).collect();
    let card = match version.files.get("README.md") {
        Some(RepositoryFile::Regular(card)) => CardMetadata::parse(&String::from_utf8_lossy(card)),
        _ => CardMetadata::default(),
    };
    json!({
        "_id": git::blob_id(id.as_bytes()).to_string(),
        "id": id,
        "modelId": id,
        "author": target.namespace,
        "sha": version.commit.id,
        "createdAt": format_timestamp(repository.created_at),
        "lastModified": format_timestamp(version.date),
        "private": repository.private,
        "gated": false,
        "disabled": false,
        "downloads": 0,
        "likes": 0,
        "tags": card.tags(),
        "cardData": card.data,
        "spaces": [],
        "siblings": siblings,
    })
}

fn sibling_json(path: &str, file: &RepositoryFile, blobs: bool) -> Value {
    let mut sibling = json!({ "rfilename": path });
    if blobs {
        sibling["blobId"] = json!(file.id().to_string());
        sibling["size"] = json!(file.size());
        if let RepositoryFile::Lfs(file) = file {
            let pointer_size = file.pointer().len();
            sibling["lfs"] = json!({ "sha256": file.sha256, "size": file.size, "pointerSize": pointer_size });
        }
    }
    sibling
}

/// `GET /api/models/{id}/commits/{revision}`
pub(super) async fn commits(
    State(hub): State<Arc<HubState>>,
    reader: ReadAccess,
    Path(target): Path<RequestTarget>,
) -> Result<Json<Vec<Value>>, ApiError> {
    reader.read_repository(&hub, &target.repository_id(), |repository| {
        let history = repository.history(&target.revision)?;
        Ok(Json(history.into_iter().map(commit_json).collect()))
    })
}

fn commit_json(version: &CommitSnapshot) -> Value {
    let commit = &version.commit;
    json!({
        "id": commit.id,
        "title": commit.title,
        "message": commit.description,
        "date": format_timestamp(version.date),
        "authors": [{ "user": if commit.parent.is_some() { USER } else { "system" } }],
        "parents": commit.parent.iter().collect::<Vec<_>>(),
    })
}

/// The query of the references.
#[derive(Deserialize)]
pub(super) struct RefsQuery {
    include_prs: Option<String>,
}

/// `GET /api/models/{id}/refs`
pub(super) async fn references(
    State(hub): State<Arc<HubState>>,
    reader: ReadAccess,
    Path(target): Path<RequestTarget>,
    Query(query): Query<RefsQuery>,
) -> Result<Json<Value>, ApiError> {
    let reference =
        |name: &str, full: &str, commit: &str| json!({ "name": name, "ref": full, "targetCommit": commit });
    reader.read_repository(&hub, &target.repository_id(), |repository| {
        let branches = repository.branches();
        let branches: Vec<Value> =
            branches.map(|(name, commit)| reference(name, &format!("refs/heads/{name}"), commit)).collect();
        let mut references = json!({ "branches": branches, "tags": [], "converts": [] });
        if is_true(query.include_prs.as_deref()) {
            let pull_requests = repository.pull_requests().map(|(number, commit)| {
                let name = format!("refs/pr/{number}");
                reference(&name, &name, commit)
            });
            references["pullRequests"] = pull_requests.collect();
        }
        Ok(Json(references))
    })
}

/// The body of `POST /api/models/{id}/branch/{branch}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateBranchRequest {
    starting_point: Option<String>,
}

/// `POST /api/models/{id}/branch/{branch}`
pub(super) async fn create_branch(
    State(hub): State<Arc<HubState>>,
    writer: WriteAccess,
    Path(target): Path<RequestTarget>,
    Json(branch): Json<CreateBranchRequest>,
) -> Result<StatusCode, ApiError> {
    let start = branch.starting_point.as_deref().unwrap_or("main");
    writer.update_repository(&hub, &target.repository_id(), |repository| {
        repository.create_branch(&target.revision, start)?;
        Ok(StatusCode::OK)
    })
}

fn is_valid_name(name: &str) -> bool {
    let valid = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 96 && name.chars().all(valid) && !name.contains("..")
}
