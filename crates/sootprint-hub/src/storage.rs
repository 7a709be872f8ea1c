//! Whether the Hub offers a way to its storage.
//!
//! hf-hub 1.0.0 puts weights into the commit itself when it does not, with a line in the log and no error. So the Hub
//! is asked first, with the two requests that hf-hub itself makes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::cause::{Cause, Failure};
use crate::settings::Settings;
use crate::verify::Sent;

const LFS: &str = "application/vnd.git-lfs+json";

/// What the Hub answered, as far as it is no failure.
pub(crate) enum Answer {
    Offered,
    /// Files would lie in git, or in the commit.
    NotOffered {
        path: String,
    },
}

/// A request that failed, before it is said in our words.
pub(crate) type Failed = (Failure, Cause);

/// Asks for the files that belong into the storage, at least one.
pub(crate) async fn ask(
    http: &Client,
    settings: &Settings,
    repo: &str,
    branch: &str,
    files: &[&Sent],
) -> Result<Answer, Failed> {
    let Settings { endpoint, token, .. } = settings;
    let announced: Result<Vec<Value>, std::io::Error> = files
        .iter()
        .map(|file| {
            let sample = STANDARD.encode(file.sample()?);
            Ok(json!({ "path": file.path, "size": file.digest.size, "sample": sample }))
        })
        .collect();
    let announced = announced.map_err(|error| (Failure::Upload, Cause::new(&error, token)))?;
    // A branch may have slashes in its name.
    let url = format!("{endpoint}/api/models/{repo}/preupload/{}", branch.replace('/', "%2F"));
    let modes = post(http, settings, &url, "application/json", &json!({ "files": announced })).await?;
    let to_storage = |path: &str| {
        modes["files"]
            .as_array()
            .is_some_and(|modes| modes.iter().any(|mode| mode["path"] == path && mode["uploadMode"] == "lfs"))
    };
    if let Some(file) = files.iter().find(|file| !to_storage(&file.path)) {
        return Ok(Answer::NotOffered { path: file.path.clone() });
    }

    let objects: Vec<Value> =
        files.iter().map(|file| json!({ "oid": file.digest.sha256, "size": file.digest.size })).collect();
    let batch = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart", "xet"],
        "objects": objects,
        "hash_algo": "sha256",
        "ref": { "name": branch },
    });
    let url = format!("{endpoint}/{repo}.git/info/lfs/objects/batch");
    let chosen = post(http, settings, &url, LFS, &batch).await?;
    match (chosen["transfer"].as_str(), files.first()) {
        (transfer, Some(file)) if transfer != Some("xet") => {
            Ok(Answer::NotOffered { path: file.path.clone() })
        }
        _ => Ok(Answer::Offered),
    }
}

async fn post(
    http: &Client,
    settings: &Settings,
    url: &str,
    kind: &str,
    body: &Value,
) -> Result<Value, Failed> {
    let token = &settings.token;
    let unreachable = |error: reqwest::Error| (Failure::Unreachable, Cause::new(&error, token));
    let request = http.post(url).header(AUTHORIZATION, format!("Bearer {}", token.expose()));
    let request = request.header(CONTENT_TYPE, kind).header(ACCEPT, kind).body(body.to_string());
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let text = answer.text().await.map_err(unreachable)?;
    if status.is_success() {
        return serde_json::from_str(&text).map_err(|error| (Failure::NoHub, Cause::new(&error, token)));
    }
    let failure = match status {
        StatusCode::UNAUTHORIZED => Failure::Unauthorized,
        StatusCode::FORBIDDEN => Failure::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => Failure::RateLimited(retry_after.map(Duration::from_secs)),
        status if status.is_server_error() => Failure::Unavailable,
        _ => Failure::Refused,
    };
    let said = serde_json::from_str::<Value>(&text).ok();
    let said = said.and_then(|said| said["error"].as_str().map(str::to_owned)).unwrap_or_default();
    Err((failure, Cause::new(&Said(format!("HTTP status {status}: {said}")), token)))
}

/// What a server said, as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);
