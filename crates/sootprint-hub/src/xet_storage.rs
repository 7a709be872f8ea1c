//! Checks that the Hub offers its Xet storage for large files.
//!
//! Without it, hf-hub 1.0.0 puts weights into the commit itself; it logs this and returns no error. The check makes the
//! same two requests as hf-hub before the upload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::digest::FileDigest;
use crate::failure::{HubFailureKind, RedactedError};
use crate::hub_requests::{HubRequests, RequestFailure};
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

/// Checks the files that belong in the storage; there is at least one.
pub(crate) async fn probe_xet_storage(
    requests: HubRequests<'_>,
    repo: &str,
    branch: &str,
    files: &[&UploadFile],
) -> Result<StorageOffer, RequestFailure> {
    let token = &requests.settings.token;
    let preupload_files: Result<Vec<Value>, std::io::Error> = files
        .iter()
        .map(|file| {
            let sample = STANDARD.encode(file.preupload_sample()?);
            Ok(json!({ "path": file.path, "size": file.size, "sample": sample }))
        })
        .collect();
    let preupload_files =
        preupload_files.map_err(|error| (HubFailureKind::Upload, RedactedError::new(&error, token)))?;
    let url = format!("/api/models/{repo}/preupload/{}", encode_segment(branch));
    let upload_modes =
        requests.post_json(&url, "application/json", &json!({ "files": preupload_files })).await?;
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
    let url = format!("/{repo}.git/info/lfs/objects/batch");
    let batch_response = requests.post_json(&url, LFS_CONTENT_TYPE, &batch).await?;
    match (batch_response["transfer"].as_str(), files.first()) {
        (transfer, Some(file)) if transfer != Some("xet") => {
            Ok(StorageOffer::Unavailable { path: file.path.clone() })
        }
        _ => Ok(StorageOffer::Available),
    }
}

/// A name as one segment of a path, in which `/`, `#`, `?` and `%` are escaped.
fn encode_segment(name: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    name.bytes().fold(String::new(), |mut text, byte| {
        match is_plain(&byte) {
            true => text.push(byte.into()),
            false => text += &format!("%{byte:02X}"),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_is_one_segment() {
        assert_eq!(encode_segment("feat#1/q?x=1%é"), "feat%231%2Fq%3Fx%3D1%25%C3%A9");
    }
}
