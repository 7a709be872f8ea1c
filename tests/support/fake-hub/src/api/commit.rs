//! Commits: newline-delimited JSON, a header followed by one line per change.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::WriteAccess;
use super::error::ApiError;
use super::request::{RequestTarget, is_true};
use crate::card_metadata::CardMetadata;
use crate::file_tree::{FileChange, RepositoryFile};
use crate::lfs::MAX_REGULAR_FILE_SIZE;
use crate::repository::NewCommit;
use crate::state::HubState;

/// The query of a commit.
#[derive(Deserialize)]
pub(super) struct CommitQuery {
    create_pr: Option<String>,
}

/// `POST /api/models/{id}/commit/{revision}`
pub(super) async fn commit(
    State(hub): State<Arc<HubState>>,
    writer: WriteAccess,
    Path(target): Path<RequestTarget>,
    Query(destination): Query<CommitQuery>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let id = target.repository_id();
    writer.update_repository(&hub, &id, |_| Ok(()))?;
    let proposal = parse_commit(&hub, &body).await?;
    let (commit, pull_request) = writer.update_repository(&hub, &id, |repository| {
        if is_true(destination.create_pr.as_deref()) {
            let (number, commit) = repository.open_pull_request(&target.revision, proposal)?;
            Ok((commit, Some(number)))
        } else {
            Ok((repository.commit(&target.revision, proposal)?, None))
        }
    })?;
    let mut answer = json!({
        "success": true,
        "commitOid": commit,
        "commitUrl": format!("{}/{id}/commit/{commit}", hub.endpoint),
        "hookOutput": "",
    });
    if let Some(number) = pull_request {
        answer["pullRequestUrl"] = json!(format!("{}/{id}/discussions/{number}", hub.endpoint));
    }
    Ok(Json(answer))
}

#[derive(Deserialize)]
#[serde(tag = "key", content = "value", rename_all = "camelCase")]
enum CommitLine {
    Header(CommitHeader),
    File(RegularFileLine),
    LfsFile(LfsFileLine),
    DeletedFile { path: String },
    DeletedFolder { path: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitHeader {
    summary: String,
    description: Option<String>,
    parent_commit: Option<String>,
}

#[derive(Deserialize)]
struct RegularFileLine {
    path: String,
    content: String,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct LfsFileLine {
    path: String,
    algo: Option<String>,
    oid: String,
    size: u64,
}

async fn parse_commit(hub: &HubState, body: &[u8]) -> Result<NewCommit, ApiError> {
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let Some(CommitLine::Header(header)) = lines.next().map(parse_line).transpose()? else {
        return Err(ApiError::bad_request("a commit starts with a line whose key is header"));
    };
    let mut changes = Vec::new();
    for line in lines {
        changes.push(match parse_line(line)? {
            CommitLine::Header(_) => return Err(ApiError::bad_request("a commit has one header")),
            CommitLine::File(file) => regular_file_change(file)?,
            CommitLine::LfsFile(file) => lfs_file_change(hub, file).await?,
            CommitLine::DeletedFile { path } => FileChange::DeleteFile { path },
            CommitLine::DeletedFolder { path } => FileChange::DeleteFolder { path },
        });
    }
    Ok(NewCommit {
        title: header.summary,
        description: header.description.unwrap_or_default(),
        parent: header.parent_commit,
        changes,
        date: Timestamp::now(),
    })
}

fn parse_line(line: &[u8]) -> Result<CommitLine, ApiError> {
    serde_json::from_slice(line)
        .map_err(|error| ApiError::bad_request(format!("a line of the commit cannot be read: {error}")))
}

/// The Hub refuses a card with invalid metadata.
fn check_card(path: &str, content: &[u8]) -> Result<(), ApiError> {
    let is_card = path == "README.md";
    match CardMetadata::parse(&String::from_utf8_lossy(content)).errors.first() {
        Some(error) if is_card => {
            Err(ApiError::bad_request(format!("Invalid metadata in README.md: {error}")))
        }
        _ => Ok(()),
    }
}

fn regular_file_change(file: RegularFileLine) -> Result<FileChange, ApiError> {
    let RegularFileLine { path, content, encoding } = file;
    let content = match encoding.as_deref() {
        Some("base64") => STANDARD
            .decode(content)
            .map_err(|_| ApiError::bad_request(format!("the content of {path} is not base64")))?,
        None | Some("utf-8") => content.into_bytes(),
        Some(other) => {
            return Err(ApiError::bad_request(format!("{path} has the unknown encoding {other}")));
        }
    };
    if content.len() as u64 > MAX_REGULAR_FILE_SIZE {
        return Err(ApiError::bad_request(format!(
            "Your push was rejected because {path} is larger than 10 MiB: it belongs in LFS"
        )));
    }
    check_card(&path, &content)?;
    Ok(FileChange::Put { path, file: RepositoryFile::regular(content) })
}

/// Accepts a file only if the storage has its bytes.
async fn lfs_file_change(hub: &HubState, file: LfsFileLine) -> Result<FileChange, ApiError> {
    let LfsFileLine { path, algo, oid, size } = file;
    if algo.is_some_and(|algo| algo != "sha256") {
        return Err(ApiError::bad_request(format!("{path} is not named by its SHA-256")));
    }
    let found = hub.storage.find_file(&oid).await?;
    let Some(file) = found.filter(|file| file.size == size) else {
        return Err(ApiError::bad_request(format!(
            "LFS pointer pointed to a file that does not exist: {path}, {size} bytes"
        )));
    };
    Ok(FileChange::Put { path, file: RepositoryFile::Lfs(file) })
}
