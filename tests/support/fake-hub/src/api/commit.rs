//! Commits: newline-delimited JSON, a header first and then one line for each change.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Writer;
use super::error::ApiError;
use super::{Target, says_yes};
use crate::hub::Hub;
use crate::lfs::LARGEST_REGULAR_FILE;
use crate::repository::Proposal;
use crate::snapshot::{Change, File};

/// The query of a commit.
#[derive(Deserialize)]
pub(super) struct Destination {
    create_pr: Option<String>,
}

/// `POST /api/models/{id}/commit/{revision}`
pub(super) async fn commit(
    State(hub): State<Arc<Hub>>,
    writer: Writer,
    Path(target): Path<Target>,
    Query(destination): Query<Destination>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let id = target.repository();
    writer.change(&hub, &id, |_| Ok(()))?;
    let proposal = proposal(&hub, &body).await?;
    let (commit, pull_request) = writer.change(&hub, &id, |repository| {
        if says_yes(destination.create_pr.as_deref()) {
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
enum Line {
    Header(Header),
    File(InlineFile),
    LfsFile(StoredFile),
    DeletedFile { path: String },
    DeletedFolder { path: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    summary: String,
    description: Option<String>,
    parent_commit: Option<String>,
}

#[derive(Deserialize)]
struct InlineFile {
    path: String,
    content: String,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct StoredFile {
    path: String,
    algo: Option<String>,
    oid: String,
    size: u64,
}

async fn proposal(hub: &Hub, body: &[u8]) -> Result<Proposal, ApiError> {
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let Some(Line::Header(header)) = lines.next().map(parse).transpose()? else {
        return Err(ApiError::bad_request("a commit starts with a line whose key is header"));
    };
    let mut changes = Vec::new();
    for line in lines {
        changes.push(match parse(line)? {
            Line::Header(_) => return Err(ApiError::bad_request("a commit has one header")),
            Line::File(file) => inline(file)?,
            Line::LfsFile(file) => stored(hub, file).await?,
            Line::DeletedFile { path } => Change::DeleteFile { path },
            Line::DeletedFolder { path } => Change::DeleteFolder { path },
        });
    }
    Ok(Proposal {
        title: header.summary,
        description: header.description.unwrap_or_default(),
        parent: header.parent_commit,
        changes,
        date: Timestamp::now(),
    })
}

fn parse(line: &[u8]) -> Result<Line, ApiError> {
    serde_json::from_slice(line)
        .map_err(|error| ApiError::bad_request(format!("a line of the commit cannot be read: {error}")))
}

fn inline(file: InlineFile) -> Result<Change, ApiError> {
    let InlineFile { path, content, encoding } = file;
    let content = match encoding.as_deref() {
        Some("base64") => STANDARD
            .decode(content)
            .map_err(|_| ApiError::bad_request(format!("the content of {path} is not base64")))?,
        None | Some("utf-8") => content.into_bytes(),
        Some(other) => {
            return Err(ApiError::bad_request(format!("{path} has the unknown encoding {other}")));
        }
    };
    if content.len() as u64 > LARGEST_REGULAR_FILE {
        return Err(ApiError::bad_request(format!(
            "Your push was rejected because {path} is larger than 10 MiB: it belongs into LFS"
        )));
    }
    Ok(Change::Put { path, file: File::regular(content) })
}

/// Accepts a file whose bytes lie in the storage, and refuses a mere promise.
async fn stored(hub: &Hub, file: StoredFile) -> Result<Change, ApiError> {
    let StoredFile { path, algo, oid, size } = file;
    if algo.is_some_and(|algo| algo != "sha256") {
        return Err(ApiError::bad_request(format!("{path} is not named by its SHA-256")));
    }
    let found = hub.storage.find(&oid).await?;
    let Some(file) = found.filter(|file| file.size == size) else {
        return Err(ApiError::bad_request(format!(
            "LFS pointer pointed to a file that does not exist: {path}, {size} bytes"
        )));
    };
    Ok(Change::Put { path, file: File::Lfs(file) })
}
