//! Checks that the Hub offers its Xet storage for large files.
//!
//! Without it, hf-hub 1.0.0 puts weights into the commit itself; it logs this and returns no error. The check makes the
//! same two requests as hf-hub before the upload.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::digest::FileDigest;
use crate::failure::{HubFailureKind, RedactedError};
use crate::settings::HubSettings;
use crate::upload_file::UploadFile;

const LFS_CONTENT_TYPE: &str = "application/vnd.git-lfs+json";

/// Whether the storage may be used.
pub(crate) enum StorageOffer {
    Available,
    /// This file would be stored in git.
    Unavailable {
        path: String,
    },
}

/// A failed request.
pub(crate) type RequestFailure = (HubFailureKind, RedactedError);

/// Checks the files that belong in the storage; there is at least one.
pub(crate) async fn probe_xet_storage(
    http: &Client,
    settings: &HubSettings,
    repo: &str,
    branch: &str,
    files: &[&UploadFile],
) -> Result<StorageOffer, RequestFailure> {
    let HubSettings { endpoint, token, .. } = settings;
    let preupload_files: Result<Vec<Value>, std::io::Error> = files
        .iter()
        .map(|file| {
            let sample = STANDARD.encode(file.preupload_sample()?);
            Ok(json!({ "path": file.path, "size": file.size, "sample": sample }))
        })
        .collect();
    let preupload_files =
        preupload_files.map_err(|error| (HubFailureKind::Upload, RedactedError::new(&error, token)))?;
    // The name of a branch may contain slashes.
    let url = format!("{endpoint}/api/models/{repo}/preupload/{}", branch.replace('/', "%2F"));
    let upload_modes =
        post_json(http, settings, &url, "application/json", &json!({ "files": preupload_files })).await?;
    let uses_lfs = |path: &str| {
        upload_modes["files"]
            .as_array()
            .is_some_and(|modes| modes.iter().any(|mode| mode["path"] == path && mode["uploadMode"] == "lfs"))
    };
    if let Some(file) = files.iter().find(|file| !uses_lfs(&file.path)) {
        return Ok(StorageOffer::Unavailable { path: file.path.clone() });
    }

    // Which transfer the Hub offers depends on the repository, so the question is about the beginning of a file: the
    // SHA-256 of a large file is not known yet.
    let sample = files
        .first()
        .map(|file| file.preupload_sample())
        .transpose()
        .map_err(|error| (HubFailureKind::Upload, RedactedError::new(&error, token)))?;
    let digest = FileDigest::from_bytes(&sample.unwrap_or_default());
    let objects = [json!({ "oid": digest.sha256, "size": digest.size })];
    let batch = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart", "xet"],
        "objects": objects,
        "hash_algo": "sha256",
        "ref": { "name": branch },
    });
    let url = format!("{endpoint}/{repo}.git/info/lfs/objects/batch");
    let batch_response = post_json(http, settings, &url, LFS_CONTENT_TYPE, &batch).await?;
    match (batch_response["transfer"].as_str(), files.first()) {
        (transfer, Some(file)) if transfer != Some("xet") => {
            Ok(StorageOffer::Unavailable { path: file.path.clone() })
        }
        _ => Ok(StorageOffer::Available),
    }
}

async fn post_json(
    http: &Client,
    settings: &HubSettings,
    url: &str,
    content_type: &str,
    body: &Value,
) -> Result<Value, RequestFailure> {
    let token = &settings.token;
    let unreachable =
        |error: reqwest::Error| (HubFailureKind::Unreachable, RedactedError::new(&error, token));
    let request = http.post(url).header(AUTHORIZATION, format!("Bearer {}", token.expose()));
    let request =
        request.header(CONTENT_TYPE, content_type).header(ACCEPT, content_type).body(body.to_string());
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let text = response.text().await.map_err(unreachable)?;
    if status.is_success() {
        return serde_json::from_str(&text)
            .map_err(|error| (HubFailureKind::UnexpectedResponse, RedactedError::new(&error, token)));
    }
    let failure = match status {
        StatusCode::UNAUTHORIZED => HubFailureKind::Unauthorized,
        StatusCode::FORBIDDEN => HubFailureKind::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => HubFailureKind::RateLimited(retry_after.map(Duration::from_secs)),
        status if status.is_server_error() => HubFailureKind::Unavailable,
        _ => HubFailureKind::Refused,
    };
    let message = serde_json::from_str::<Value>(&text).ok();
    let message = message.and_then(|json| json["error"].as_str().map(str::to_owned)).unwrap_or_default();
    Err((failure, RedactedError::new(&HubErrorMessage(format!("HTTP status {status}: {message}")), token)))
}

/// The message of a server as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct HubErrorMessage(String);
