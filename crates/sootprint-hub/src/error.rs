//! Errors of a push, each with the next step.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sootprint::{FootprintError, RunStatus};
use sootprint_card::CardError;
use sootprint_core::RepoIdError;

use crate::failure::{HubOperation, RedactedError};
use crate::token::TokenError;
use crate::verification_error::VerificationError;
use crate::weights_problem::WeightsProblem;

/// Why a model could not be pushed to the Hub.
///
/// No message contains the token. A message does not repeat its [`source`](std::error::Error::source): print the whole
/// chain to show the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// No component of the footprint was measured or modelled.
    #[error("nothing to push: no component was measured or modelled; run `sootprint doctor` to see why")]
    NotMeasured,
    /// The run failed or has not finished, so its footprint does not describe a trained model.
    #[error("refusing to push a run with the outcome `{}`; push again after a run has succeeded", status.as_str())]
    UnsuccessfulRun {
        /// The outcome of the run.
        status: RunStatus,
    },
    /// The footprint cannot be written as JSON.
    #[error("cannot serialize the footprint")]
    FootprintSerialization(#[source] FootprintError),
    /// This process is not the first of a distributed training; only rank 0 pushes.
    #[error("rank {rank} does not push; only rank 0 of a distributed training does")]
    NonZeroRank {
        /// The rank of this process.
        rank: u32,
    },
    /// All weights are older than the run, so the run cannot have produced them.
    #[error(
        "{} and all other weights are older than the run; save the model after the training, or push the folder of the \
         run that produced them",
        path.display()
    )]
    StaleWeights {
        /// The path of the newest weights file.
        path: PathBuf,
    },
    /// A file pattern is malformed or leads out of the folder.
    #[error("invalid file pattern `{pattern}`: {reason}; use a pattern such as `*.txt` or `onnx/*`")]
    InvalidPattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with the pattern.
        reason: String,
    },
    /// A file that would be pushed contains the token.
    #[error("{} contains the Hub token, so nothing was uploaded; remove it there and create a new token", path.display())]
    TokenInFile {
        /// The path of the file.
        path: PathBuf,
    },
    /// A file that would be pushed contains a private key.
    #[error(
        "{} contains a private key, so nothing was uploaded; remove it there, or exclude the file with --ignore",
        path.display()
    )]
    PrivateKeyInFile {
        /// The path of the file.
        path: PathBuf,
    },
    /// A text of the commit contains the token or a private key.
    #[error("{text} contains the Hub token or a private key, so nothing was uploaded; remove it there")]
    SecretInText {
        /// The name of the text, such as the title of the commit or a file in the repository.
        text: String,
    },
    /// A file was changed or replaced during the push.
    #[error("{} was changed during the push, so nothing was committed; push again", path.display())]
    FileChanged {
        /// The path of the file.
        path: PathBuf,
    },
    /// The name of the repository is not of the form `owner/name`.
    #[error(transparent)]
    InvalidRepoId(#[from] RepoIdError),
    /// An environment variable forbids network access.
    #[error("cannot push while {variable} is set; unset it and push again")]
    Offline {
        /// The name of the variable.
        variable: &'static str,
    },
    /// The endpoint is not the address of a Hub.
    #[error(
        "invalid Hub endpoint `{endpoint}`: expected `https://host` without a user name; check HF_ENDPOINT"
    )]
    InvalidEndpoint {
        /// The endpoint as it was given, without a user name and password.
        endpoint: String,
    },
    /// No token was given, and none was found.
    #[error(
        "no Hub token found; log in with `hf auth login`, or set HF_TOKEN to a token with the role `write`"
    )]
    NoToken,
    /// No token was given, and the environment forbids looking for one.
    #[error(
        "no Hub token given, and HF_HUB_DISABLE_IMPLICIT_TOKEN forbids looking for one; pass a token or unset the \
         variable"
    )]
    ImplicitTokenDisabled,
    /// The text that was found as the token is not a valid token.
    #[error("invalid Hub token (log in again with `hf auth login`, or set HF_TOKEN)")]
    InvalidToken(#[source] TokenError),
    /// The token file exists, but cannot be read.
    #[error("cannot read the token file {} (log in again with `hf auth login`, or set HF_TOKEN)", path.display())]
    UnreadableTokenFile {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The folder, or a file in it, cannot be read.
    #[error("cannot read {}", path.display())]
    UnreadableFile {
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The folder contains no weights.
    #[error(
        "no weights in {}; save the model there, for example as .safetensors or .bpk, and push again",
        dir.display()
    )]
    NoWeights {
        /// The path of the folder.
        dir: PathBuf,
    },
    /// A file of weights, or an index of such files, cannot be loaded.
    #[error("{} cannot be loaded by others, so nothing was uploaded (save the model again)", path.display())]
    InvalidWeights {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with the file.
        #[source]
        problem: WeightsProblem,
    },
    /// A file is larger than the Hub accepts.
    #[error(
        "{} has {} GB, but the Hub accepts at most {} GB per file; split it, as `save_pretrained` does with \
         `max_shard_size`, or exclude it with --ignore",
        path.display(),
        size.div_ceil(1_000_000_000),
        limit / 1_000_000_000
    )]
    FileTooLarge {
        /// The path of the file.
        path: PathBuf,
        /// Its length in bytes.
        size: u64,
        /// The Hub's limit in bytes.
        limit: u64,
    },
    /// A folder has more files than the Hub accepts.
    #[error(
        "{} has {count} files to push, but the Hub accepts fewer than {limit}; pack them into an archive, or exclude \
         them with --ignore",
        dir.display()
    )]
    TooManyFiles {
        /// The path of the folder.
        dir: PathBuf,
        /// The number of files in it that would be pushed.
        count: usize,
        /// The Hub's limit.
        limit: usize,
    },
    /// The name of a file or folder has control characters, or is not UTF-8.
    #[error("the name of {path:?} has control characters or is not UTF-8; rename it")]
    InvalidFileName {
        /// The path of the file or folder.
        path: PathBuf,
    },
    /// A file that would be pushed is a symbolic link to a target outside the folder, or to a file in the folder that
    /// is never pushed: a hidden file, credentials or one of sootprint's own files.
    #[error(
        "refusing to push {}, a symbolic link to {}, which is outside the folder or is never pushed (hidden files, \
         credentials and sootprint's own files); replace the link with a copy, or remove it",
        path.display(),
        target.display()
    )]
    UnsafeSymlink {
        /// The path of the link.
        path: PathBuf,
        /// The target of the link.
        target: PathBuf,
    },
    /// A symbolic link has no target, or leads in a circle.
    #[error("cannot follow the symbolic link {}; remove it, or exclude it with --ignore", path.display())]
    BrokenSymlink {
        /// The path of the link.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A model card or its plot cannot be read or edited.
    #[error("cannot process {card}")]
    InvalidCard {
        /// The name of the file, and its repository if the file is on the Hub.
        card: String,
        /// What is wrong with the file.
        source: CardError,
    },
    /// The card in the folder and the card on the Hub were both edited in the same place.
    #[error(
        "{} and README.md of {repo} on the Hub were both edited, so nothing was uploaded; {conflict} shows both versions: \
         merge them into {}, delete {conflict} and push again (or delete {} to keep the Hub's card, or open a pull \
         request)",
        local.display(),
        local.display(),
        local.display(),
        conflict = conflict_file.display()
    )]
    CardConflict {
        /// The path of the card in the folder.
        local: PathBuf,
        /// The repository.
        repo: String,
        /// The path of a file with both versions of the card and git's conflict markers.
        conflict_file: PathBuf,
    },
    /// The HTTP client could not be created, usually because the system's certificates cannot be read.
    #[error("cannot set up a connection to {endpoint} (check the system's certificates and proxies)")]
    ClientSetup {
        /// The address of the Hub.
        endpoint: String,
        /// The error of the client.
        #[source]
        cause: RedactedError,
    },
    /// The Hub rejected the token.
    #[error(
        "the Hub at {endpoint} rejected the token while {operation} {repo} (create one with the role `write` at \
         {endpoint}/settings/tokens, then run `hf auth login` or set HF_TOKEN)"
    )]
    Unauthorized {
        /// The address of the Hub.
        endpoint: String,
        /// The repository.
        repo: String,
        /// The operation that failed.
        operation: HubOperation,
        /// The response of the Hub.
        #[source]
        cause: RedactedError,
    },
    /// The token is valid, but lacks the required permission.
    #[error(
        "the Hub denied access while {operation} {repo}: the token lacks a permission (use a token with the role \
         `write`, or give yours write access to this repository, at {endpoint}/settings/tokens, then run \
         `hf auth login` or set HF_TOKEN)"
    )]
    Forbidden {
        /// The address of the Hub.
        endpoint: String,
        /// The repository.
        repo: String,
        /// The operation that failed.
        operation: HubOperation,
        /// The response of the Hub.
        #[source]
        cause: RedactedError,
    },
    /// The name of the branch is not one that git allows, or is the id of a commit.
    #[error("`{branch}` is no name for a branch; use one such as `main` or `releases/v1`")]
    InvalidBranch {
        /// The name as it was given.
        branch: String,
    },
    /// A private repository was asked for, and the existing one is public.
    #[error(
        "{repo} is public, but a private repository was asked for, so nothing was uploaded; make it private at \
         {endpoint}/{repo}/settings, or push without --private"
    )]
    RepositoryIsPublic {
        /// The address of the Hub.
        endpoint: String,
        /// The repository.
        repo: String,
    },
    /// The Hub would refuse the card, so nothing was uploaded.
    #[error(
        "the Hub refuses README.md of {repo}, so nothing was uploaded: {}; correct it and push again",
        errors.join("; ")
    )]
    CardRefused {
        /// The repository.
        repo: String,
        /// What the Hub finds wrong.
        errors: Vec<String>,
    },
    /// The Hub takes fewer new files in one request.
    #[error(
        "the Hub takes no more than 256 new files at once, and {count} files of {repo} are new or changed; pack small \
         files into an archive, exclude some with --ignore, or upload them first with `hf upload {repo} DIR`"
    )]
    TooManyNewFiles {
        /// The repository.
        repo: String,
        /// The number of files that are new or changed.
        count: usize,
    },
    /// The Hub's storage has lost content that the cache of an earlier upload lists as stored, for example because the
    /// repository was deleted since.
    #[error(
        "the Hub's storage does not have a file of {repo} that an earlier upload sent, so nothing was committed; delete \
         {} and push again",
        cache.display()
    )]
    StoredFileMissing {
        /// The repository.
        repo: String,
        /// The cache of the storage client.
        cache: PathBuf,
        /// The response of the Hub.
        #[source]
        cause: RedactedError,
    },
    /// The cache folder of the storage client cannot be written.
    #[error("cannot write to {}, which uploads need; make it writable, or set HF_HOME to another folder", path.display())]
    CacheNotWritable {
        /// The path of the folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Other commits moved the branch during each attempt.
    #[error("branch `{branch}` of {repo} changed during the push, so nothing was committed; push again")]
    Conflict {
        /// The repository.
        repo: String,
        /// The branch.
        branch: String,
    },
    /// The Hub received too many requests.
    #[error("rate limited by the Hub ({})", retry_advice(retry_after))]
    RateLimited {
        /// The wait that the Hub asks for. `None` if it states none.
        retry_after: Option<Duration>,
        /// The response of the Hub.
        #[source]
        cause: RedactedError,
    },
    /// The Hub did not answer. If this happens during the commit, the commit may exist.
    #[error(
        "no answer from the Hub at {endpoint} while {operation} {repo} (check the connection and HF_ENDPOINT, then push \
         again)"
    )]
    Unreachable {
        /// The address of the Hub.
        endpoint: String,
        /// The repository.
        repo: String,
        /// The operation that failed.
        operation: HubOperation,
        /// The error of the client.
        #[source]
        cause: RedactedError,
    },
    /// The Hub answered with a server error. If this happens during the commit, the commit may exist.
    #[error("server error of the Hub at {endpoint} while {operation} {repo} (push again later)")]
    Unavailable {
        /// The address of the Hub.
        endpoint: String,
        /// The repository.
        repo: String,
        /// The operation that failed.
        operation: HubOperation,
        /// The response of the Hub.
        #[source]
        cause: RedactedError,
    },
    /// The token lacks the write permission that a pull request with weights needs.
    #[error(
        "the token may not write to {repo}: a pull request with weights needs write access (a limit of hf-hub 1.0.0); \
         open one with the card alone (--card-alone), or ask for write access"
    )]
    PullRequestForbidden {
        /// The repository.
        repo: String,
        /// The response of the Hub.
        #[source]
        cause: RedactedError,
    },
    /// The Hub offers no large-file storage, so it would store weights or another large file in git, where the file
    /// stays in the history of the repository forever.
    #[error(
        "the Hub at {endpoint} offers no Xet storage for {path} of {repo}, so nothing was uploaded; ask its \
         administrator to enable it, or push to another Hub"
    )]
    NoStorage {
        /// The address of the Hub.
        endpoint: String,
        /// The repository.
        repo: String,
        /// The path of the file in the repository.
        path: String,
    },
    /// The deadline passed. The commit may exist; the next push looks for it.
    #[error("deadline of {} s exceeded; push again (files already uploaded are not resent)", deadline.as_secs_f64())]
    DeadlineExceeded {
        /// The time limit of the push.
        deadline: Duration,
    },
    /// The caller dropped the future before the push ended.
    #[error("upload cancelled; push again to resume")]
    Cancelled,
    /// The thread of the push could not be started, or panicked.
    #[error("cannot run the upload thread (check the limit on this user's processes)")]
    WorkerThread {
        /// The error of the system.
        source: io::Error,
    },
    /// The weights could not be uploaded to the Hub's storage.
    #[error("cannot upload the files of {repo}, so nothing was committed (push again)")]
    UploadFailed {
        /// The repository.
        repo: String,
        /// The error of the storage client.
        #[source]
        cause: RedactedError,
    },
    /// The Hub refused the request and gave a reason, such as invalid card metadata or an exceeded quota.
    #[error("request refused by the Hub while {operation} {repo} (fix the reported problem and push again)")]
    Refused {
        /// The repository.
        repo: String,
        /// The operation that failed.
        operation: HubOperation,
        /// The response of the Hub.
        #[source]
        cause: RedactedError,
    },
    /// The server is not a Hub, or is a Hub of another version.
    #[error("unexpected response from {endpoint} while {operation} {repo} (check that HF_ENDPOINT is a Hub)")]
    UnexpectedResponse {
        /// The address of the server.
        endpoint: String,
        /// The repository.
        repo: String,
        /// The operation that failed.
        operation: HubOperation,
        /// What is wrong with the response.
        #[source]
        cause: RedactedError,
    },
    /// The commit exists, but a file in it differs from the file that was sent.
    #[error("verification of {path} in commit {commit} of {repo} failed")]
    VerificationFailed {
        /// The repository.
        repo: String,
        /// The id of the commit.
        commit: String,
        /// The path of the file.
        path: String,
        /// What is wrong with the file.
        #[source]
        problem: VerificationError,
    },
    /// The model was pushed, but the card in the folder could not be written.
    #[error(
        "the model was pushed to {url}, but the card in the folder could not be written (download it from there)"
    )]
    LocalCardNotWritten {
        /// The address of the model's page.
        url: String,
        /// Why the card could not be written.
        source: CardError,
    },
}

impl PushError {
    /// Whether another push may succeed, so that this one is [staged](crate::staged_push()).
    #[must_use]
    pub fn is_staged(&self) -> bool {
        !matches!(
            self,
            Self::NonZeroRank { .. }
                | Self::NotMeasured
                | Self::InvalidRepoId { .. }
                | Self::InvalidPattern { .. }
                | Self::InvalidBranch { .. }
                | Self::RepositoryIsPublic { .. }
                | Self::VerificationFailed { .. }
                | Self::LocalCardNotWritten { .. }
        )
    }
}

fn retry_advice(retry_after: &Option<Duration>) -> String {
    retry_after
        .map_or_else(|| "push again later".to_owned(), |time| format!("retry after {} s", time.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_shown_in_seconds() {
        assert_eq!(retry_advice(&Some(Duration::from_secs(30))), "retry after 30 s");
        assert_eq!(retry_advice(&None), "push again later");
    }
}
