//! Why something could not be published, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sootprint::{FootprintError, RunStatus};
use sootprint_card::CardError;

use crate::failure::{HubOperation, RedactedError};
use crate::settings::NO_IMPLICIT_TOKEN;
use crate::token::TokenError;
use crate::verify::VerificationError;

/// Why a model could not be published. The token is in none of the texts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// Nothing was measured or modelled.
    #[error(
        "the footprint has no component with a figure, so there is nothing to publish; see `sootprint doctor`"
    )]
    NotMeasured,
    /// The run failed, or is still going on: its footprint is not that of a model.
    #[error(
        "the run's outcome is `{}`, so its weights and footprint are not published; finish a run first",
        status.as_str()
    )]
    UnsuccessfulRun {
        /// How the run ended.
        status: RunStatus,
    },
    /// The footprint cannot be written as JSON.
    #[error("the footprint cannot be published: {0}")]
    FootprintSerialization(#[source] FootprintError),
    /// Of several processes of one training only the first publishes.
    #[error("this is rank {rank}, as its launcher says, and only rank 0 publishes")]
    NonZeroRank {
        /// This process's rank.
        rank: u32,
    },
    /// The weights are older than the run, which therefore cannot have made them.
    #[error(
        "{} and all other weights are older than the run; save the model after its training, or publish the folder of \
         the run that made them",
        path.display()
    )]
    StaleWeights {
        /// The newest file of weights.
        path: PathBuf,
    },
    /// That is no pattern of names in the folder.
    #[error("`{pattern}` is no pattern of files in the folder: {reason}; write it as `*.txt` or `onnx/*`")]
    InvalidPattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that would be published holds the token.
    #[error("{} holds the token, and nothing was sent; take it out, and replace the token on the Hub", path.display())]
    TokenInFile {
        /// The file.
        path: PathBuf,
    },
    /// That is no repository's name.
    #[error(
        "`{input}` is no name of a repository; write it as `owner/name`, with letters, digits, `-`, `_` and `.`"
    )]
    InvalidRepoId {
        /// What was given.
        input: String,
    },
    /// The environment forbids the network.
    #[error("{variable} is set, so nothing is published; unset it and publish again")]
    Offline {
        /// The variable that says so.
        variable: &'static str,
    },
    /// That is no address of a Hub.
    #[error(
        "`{endpoint}` is no address of a Hub; write it as `https://host`, without a user name (HF_ENDPOINT)"
    )]
    InvalidEndpoint {
        /// What was given, up to a user name cut off.
        endpoint: String,
    },
    /// There is no token.
    #[error(
        "there is no token for the Hub; log in with `hf auth login` or set HF_TOKEN to a token of the role `write`"
    )]
    NoToken,
    /// The environment forbids looking for a token, and none was given.
    #[error(
        "no token was given, and {NO_IMPLICIT_TOKEN} forbids looking for one; give one or unset the variable"
    )]
    ImplicitTokenDisabled,
    /// What was found is no token.
    #[error("{0}; log in again with `hf auth login`, or set HF_TOKEN")]
    InvalidToken(#[source] TokenError),
    /// The token's file is there and cannot be read.
    #[error("cannot read the token in {}: {source}; log in again with `hf auth login`, or set HF_TOKEN", path.display())]
    UnreadableTokenFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder, or a file in it, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    UnreadableFile {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder has no weights.
    #[error("{} has no weights; save the model there as .safetensors or .bpk and publish again", dir.display())]
    NoWeights {
        /// The folder.
        dir: PathBuf,
    },
    /// A file of weights is empty.
    #[error("{} is empty; save the model again", path.display())]
    EmptyWeights {
        /// The file.
        path: PathBuf,
    },
    /// A file that would be published is a link out of the folder, or to something hidden in it.
    #[error(
        "{} is a link to {}, which is not for everybody to see; put a copy in its place, or remove the link",
        path.display(),
        target.display()
    )]
    UnsafeSymlink {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A card cannot be edited.
    #[error("{card}: {source}")]
    InvalidCard {
        /// Which card it is.
        card: String,
        /// What is wrong in it.
        source: CardError,
    },
    /// The folder's card and the Hub's were both edited, in the same place.
    #[error(
        "{} and README.md of {repo} on the Hub were both edited, and nothing was sent; put into the one in the folder \
         what you want of both, as {} shows them, delete that file and publish again (or delete the one in the folder \
         to keep the Hub's, or open a pull request)",
        local.display(),
        conflict_file.display()
    )]
    CardConflict {
        /// The card in the folder.
        local: PathBuf,
        /// The repository.
        repo: String,
        /// Both cards in one text, with git's marks where they disagree.
        conflict_file: PathBuf,
    },
    /// No connection could be prepared, most often because the system's certificates cannot be read.
    #[error(
        "cannot prepare a connection to {endpoint}: {cause}; check the system's certificates and proxies"
    )]
    ClientSetup {
        /// The Hub's address.
        endpoint: String,
        /// What the client says.
        #[source]
        cause: RedactedError,
    },
    /// The Hub does not know the token.
    #[error(
        "the Hub at {endpoint} did not accept the token while {operation} {repo}: {cause}; make one of the role `write` \
         at {endpoint}/settings/tokens and log in with `hf auth login`, or set HF_TOKEN"
    )]
    Unauthorized {
        /// The Hub's address.
        endpoint: String,
        /// The repository.
        repo: String,
        /// What was being done.
        operation: HubOperation,
        /// What the Hub says.
        #[source]
        cause: RedactedError,
    },
    /// The Hub knows the token, and it may not do this.
    #[error(
        "the token may not write to {repo} (it was refused while {operation} it): {cause}; use one of the role `write`, \
         or give yours write access to this repository, at {endpoint}/settings/tokens, and log in with `hf auth login`"
    )]
    Forbidden {
        /// The Hub's address.
        endpoint: String,
        /// The repository.
        repo: String,
        /// What was being done.
        operation: HubOperation,
        /// What the Hub says.
        #[source]
        cause: RedactedError,
    },
    /// The repository has no such branch.
    #[error("{repo} has no branch `{branch}`; create it on the Hub, or publish to main")]
    BranchNotFound {
        /// The repository.
        repo: String,
        /// The branch.
        branch: String,
    },
    /// Somebody else committed in between.
    #[error("somebody committed to `{branch}` of {repo} meanwhile, and nothing was committed; publish again")]
    Conflict {
        /// The repository.
        repo: String,
        /// The branch.
        branch: String,
    },
    /// The Hub has had too many requests.
    #[error(
        "the Hub has had too many requests{}: {cause}; publish again later",
        retry_after_suffix(retry_after)
    )]
    RateLimited {
        /// How long the Hub asks to wait, if it says so.
        retry_after: Option<Duration>,
        /// What the Hub says.
        #[source]
        cause: RedactedError,
    },
    /// The Hub did not answer. When this happens while committing, the commit may be there.
    #[error(
        "no answer from the Hub at {endpoint} while {operation} {repo}: {cause}; check the connection and HF_ENDPOINT, \
         and publish again"
    )]
    Unreachable {
        /// The Hub's address.
        endpoint: String,
        /// The repository.
        repo: String,
        /// What was being done.
        operation: HubOperation,
        /// What the client says.
        #[source]
        cause: RedactedError,
    },
    /// The Hub answered with an error of its own. When this happens while committing, the commit may be there.
    #[error("the Hub at {endpoint} is in trouble while {operation} {repo}: {cause}; publish again later")]
    Unavailable {
        /// The Hub's address.
        endpoint: String,
        /// The repository.
        repo: String,
        /// What was being done.
        operation: HubOperation,
        /// What the Hub says.
        #[source]
        cause: RedactedError,
    },
    /// A pull request with weights needs the right to write.
    #[error(
        "the token may not write to {repo}, and without that the Hub's client (hf-hub 1.0.0) cannot send weights in a \
         pull request: {cause}; open one with the card alone, or ask for write access"
    )]
    PullRequestForbidden {
        /// The repository.
        repo: String,
        /// What the Hub says.
        #[source]
        cause: RedactedError,
    },
    /// The Hub would take weights into git, which makes a repository heavy for ever.
    #[error(
        "the Hub at {endpoint} offers no Xet storage for {path} of {repo}, and nothing was sent; ask whoever runs it to \
         turn it on, or publish to another Hub"
    )]
    NoStorage {
        /// The Hub's address.
        endpoint: String,
        /// The repository.
        repo: String,
        /// The file.
        path: String,
    },
    /// It took too long. The commit may be there; the next publication looks for it.
    #[error("it took longer than {} s; publish again, and what has arrived does not travel again", deadline.as_secs_f64())]
    DeadlineExceeded {
        /// How long it was allowed to take.
        deadline: Duration,
    },
    /// The caller did not wait for it to end.
    #[error("it was stopped before its end; publish again")]
    Cancelled,
    /// The system gave no thread to publish on.
    #[error("no thread could be had to publish on: {source}; is there a limit on this user's processes?")]
    WorkerThread {
        /// What the system says.
        source: io::Error,
    },
    /// The weights did not get into the Hub's storage.
    #[error("the files of {repo} could not be uploaded, and nothing was committed: {cause}; publish again")]
    UploadFailed {
        /// The repository.
        repo: String,
        /// What the storage's client says.
        #[source]
        cause: RedactedError,
    },
    /// The Hub refused, for a reason that it gives: a card whose metadata it does not like, a full quota.
    #[error("the Hub refused while {operation} {repo}: {cause}; mend what it names and publish again")]
    Refused {
        /// The repository.
        repo: String,
        /// What was being done.
        operation: HubOperation,
        /// What the Hub says.
        #[source]
        cause: RedactedError,
    },
    /// What answered is no Hub, or one of another version.
    #[error("{endpoint} did not answer as the Hub does while {operation} {repo}: {cause}; check HF_ENDPOINT")]
    UnexpectedResponse {
        /// The address.
        endpoint: String,
        /// The repository.
        repo: String,
        /// What was being done.
        operation: HubOperation,
        /// What was wrong with the answer.
        #[source]
        cause: RedactedError,
    },
    /// The commit was made, and the Hub does not have in it what was sent.
    #[error("commit {commit} of {repo} was made, and in it {path} {problem}")]
    VerificationFailed {
        /// The repository.
        repo: String,
        /// The commit.
        commit: String,
        /// The file's path.
        path: String,
        /// What is wrong with it.
        #[source]
        problem: VerificationError,
    },
    /// The model is published, and the card in the folder could not be written.
    #[error(
        "the model is published at {url}, and its card could not be written into the folder: {source}; download it"
    )]
    LocalCardNotWritten {
        /// The model's page.
        url: String,
        /// Why not.
        source: CardError,
    },
}

impl PushError {
    /// Whether publishing again may help, so that the publication is kept for it.
    pub(crate) fn is_retryable(&self) -> bool {
        !matches!(
            self,
            Self::NonZeroRank { .. }
                | Self::NotMeasured
                | Self::InvalidRepoId { .. }
                | Self::InvalidPattern { .. }
                | Self::VerificationFailed { .. }
                | Self::LocalCardNotWritten { .. }
        )
    }
}

fn retry_after_suffix(retry_after: &Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |time| format!(" and asks to wait {} s", time.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_shown_in_seconds() {
        assert_eq!(retry_after_suffix(&Some(Duration::from_secs(30))), " and asks to wait 30 s");
        assert_eq!(retry_after_suffix(&None), "");
    }
}
