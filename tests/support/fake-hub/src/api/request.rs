//! Parts of requests shared by several handlers.

use jiff::Timestamp;
use serde::Deserialize;

/// The repository, revision and file in a request's path.
#[derive(Debug, Deserialize)]
pub(super) struct RequestTarget {
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(default = "main_branch")]
    pub(super) revision: String,
    #[serde(default)]
    pub(super) path: String,
}

impl RequestTarget {
    /// The name of the repository, `owner/name`.
    pub(super) fn repository_id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn main_branch() -> String {
    "main".to_owned()
}

/// Whether a query parameter is set. hf-hub writes `true` or `1`, Python also `True`.
pub(super) fn is_true(parameter: Option<&str>) -> bool {
    parameter.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

/// A date in the Hub's format: RFC 3339 in UTC, with milliseconds.
pub(super) fn format_timestamp(instant: Timestamp) -> String {
    format!("{instant:.3}")
}
