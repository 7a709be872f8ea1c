//! The contents of files.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, LINK, LOCATION, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::access::ReadAccess;
use super::error::ApiError;
use super::request::RequestTarget;
use crate::file_tree::RepositoryFile;
use crate::lfs::LfsFile;
use crate::state::HubState;

const REPO_COMMIT: HeaderName = HeaderName::from_static("x-repo-commit");
const LINKED_ETAG: HeaderName = HeaderName::from_static("x-linked-etag");
const LINKED_SIZE: HeaderName = HeaderName::from_static("x-linked-size");
const XET_HASH: HeaderName = HeaderName::from_static("x-xet-hash");

/// `GET` and `HEAD /{id}/resolve/{revision}/{path}`: returns a regular file, or redirects to a file in the
/// storage.
pub(super) async fn resolve(
    State(hub): State<Arc<HubState>>,
    reader: ReadAccess,
    Path(target): Path<RequestTarget>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (commit, file) = reader.read_repository(&hub, &target.repository_id(), |repository| {
        let version = repository.resolve(&target.revision)?;
        let commit = version.commit.id.clone();
        match version.files.get(&target.path) {
            Some(file) => Ok((commit, file.clone())),
            None => Err(ApiError::file_not_found(&commit)),
        }
    })?;
    Ok(match &file {
        RepositoryFile::Lfs(file) => redirect_to_storage(&hub, &target, &commit, file),
        RepositoryFile::Regular(bytes) => {
            let metadata_headers = [(REPO_COMMIT, commit), (ETAG, format!("\"{}\"", file.id()))];
            (metadata_headers, content_response(Bytes::copy_from_slice(bytes), &headers)).into_response()
        }
    })
}

/// The response for a file in the storage: its metadata and two ways to download it. A Xet client requests a
/// token and fetches the chunks; other clients follow the redirect.
fn redirect_to_storage(hub: &HubState, target: &RequestTarget, commit: &str, file: &LfsFile) -> Response {
    let id = target.repository_id();
    let token = format!("{}/api/models/{id}/xet-read-token/{commit}", hub.endpoint);
    let headers = [
        (LOCATION, format!("{}/cdn/{}", hub.content_origin, file.sha256)),
        (REPO_COMMIT, commit.to_owned()),
        (LINKED_ETAG, format!("\"{}\"", file.sha256)),
        (LINKED_SIZE, file.size.to_string()),
        (XET_HASH, file.xet_hash.clone()),
        (LINK, format!("<{token}>; rel=\"xet-auth\"")),
    ];
    (StatusCode::FOUND, headers).into_response()
}

/// `GET` and `HEAD /cdn/{sha256}`: the whole file, for clients without Xet.
///
/// The response has no repository headers, because on the Hub this is a separate CDN. It requires no token,
/// because CDN URLs are signed.
pub(super) async fn serve_lfs_file(
    State(hub): State<Arc<HubState>>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    match hub.storage.read_file(&sha256).await? {
        Some(bytes) => {
            Ok(([(ETAG, format!("\"{sha256}\""))], content_response(bytes, &headers)).into_response())
        }
        None => Err(ApiError::new(StatusCode::NOT_FOUND, "Not found")),
    }
}

/// The whole content, or the requested range. For HEAD, axum drops the body.
fn content_response(bytes: Bytes, headers: &HeaderMap) -> Response {
    let length = bytes.len();
    let requested_range = headers.get(RANGE).and_then(|range| range.to_str().ok()).and_then(parse_range);
    let mut response = match requested_range.map(|range| range.resolve(length)) {
        None => bytes.into_response(),
        Some(None) => {
            let range = format!("bytes */{length}");
            (StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, range)]).into_response()
        }
        Some(Some((first, last))) => {
            let range = format!("bytes {first}-{last}/{length}");
            (StatusCode::PARTIAL_CONTENT, [(CONTENT_RANGE, range)], bytes.slice(first..=last)).into_response()
        }
    };
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

/// One range of bytes, as RFC 9110 section 14.1.2 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteRange {
    /// From the first to the last byte, both included; without a last byte, to the end.
    FromTo(usize, Option<usize>),
    /// The last bytes, by count.
    Suffix(usize),
}

impl ByteRange {
    /// The first and last byte of the range in a content of this length; `None` if the range starts past the
    /// end.
    fn resolve(self, length: usize) -> Option<(usize, usize)> {
        let end = length.checked_sub(1)?;
        match self {
            ByteRange::FromTo(first, last) => {
                (first <= end).then(|| (first, last.map_or(end, |last| last.min(end))))
            }
            ByteRange::Suffix(0) => None,
            ByteRange::Suffix(count) => Some((length.saturating_sub(count), end)),
        }
    }
}

/// An unsupported range, such as several ranges, is ignored: the response has the whole content.
fn parse_range(header: &str) -> Option<ByteRange> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    match (first, last) {
        ("", count) => count.parse().ok().map(ByteRange::Suffix),
        (first, "") => first.parse().ok().map(|first| ByteRange::FromTo(first, None)),
        (first, last) => {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(ByteRange::FromTo(first, Some(last)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_range(range: &str, length: usize) -> Option<Option<(usize, usize)>> {
        parse_range(range).map(|range| range.resolve(length))
    }

    #[test]
    fn range_is_clamped_to_content() {
        assert_eq!(resolve_range("bytes=0-4", 10), Some(Some((0, 4))));
        assert_eq!(resolve_range("bytes=3-", 10), Some(Some((3, 9))));
        assert_eq!(resolve_range("bytes=3-99", 10), Some(Some((3, 9))));
        assert_eq!(resolve_range("bytes=-4", 10), Some(Some((6, 9))));
        assert_eq!(resolve_range("bytes=-99", 10), Some(Some((0, 9))));
    }

    #[test]
    fn range_beyond_end_is_unsatisfiable() {
        assert_eq!(resolve_range("bytes=10-", 10), Some(None));
        assert_eq!(resolve_range("bytes=-0", 10), Some(None));
        assert_eq!(resolve_range("bytes=0-0", 0), Some(None));
    }

    #[test]
    fn unsupported_range_is_ignored() {
        for range in ["bytes=0-1,4-5", "bytes=5-3", "bytes=a-b", "lines=0-1", "bytes=", "bytes=-"] {
            assert_eq!(parse_range(range), None, "{range}");
        }
    }
}
