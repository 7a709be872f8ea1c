//! A run that publishes itself when it is finished.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sootprint::{FinishHook, Footprint, RunBuilder};

use crate::model_upload::ModelUpload;

/// Lets a run publish its folder when it is finished.
///
/// [`Run::finish`](sootprint::Run::finish) then returns when the publication is made, or has failed: a failure fails no
/// training. What was to be sent is [`staged`](crate::staged_push()), one warning says why and what to do, and the footprint
/// is what it would have been. Save the weights before the finish, for they go into the same commit. A run that is
/// dropped, or switched off, is not published.
///
/// ```no_run
/// use sootprint::Run;
/// use sootprint_hub::PushToHubExt as _;
///
/// let run = Run::pre_training("artifacts/digits").push_to_hub("me/digits").start();
/// // train, and save the weights into the folder
/// let footprint = run.finish();
/// # let _ = footprint;
/// ```
pub trait PushToHubExt: Sized {
    /// Publishes as `repo`, which is `owner/name`, with everything else left as it is: see [`ModelUpload`].
    #[must_use]
    fn push_to_hub(self, repo_id: &str) -> Self {
        self.push_to_hub_with(repo_id, |publication| publication)
    }

    /// Publishes as `repo`, with a publication that `with` has completed: a token, a branch, what a new card says.
    #[must_use]
    fn push_to_hub_with(
        self,
        repo_id: &str,
        configure: impl Fn(ModelUpload) -> ModelUpload + Send + Sync + 'static,
    ) -> Self;
}

impl PushToHubExt for RunBuilder {
    fn push_to_hub_with(
        self,
        repo_id: &str,
        configure: impl Fn(ModelUpload) -> ModelUpload + Send + Sync + 'static,
    ) -> Self {
        self.on_finish(Arc::new(PushOnFinish { repo: repo_id.to_owned(), configure: Box::new(configure) }))
    }
}

struct PushOnFinish {
    repo: String,
    configure: Box<dyn Fn(ModelUpload) -> ModelUpload + Send + Sync>,
}

impl fmt::Debug for PushOnFinish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("repo", &self.repo).finish_non_exhaustive()
    }
}

impl FinishHook for PushOnFinish {
    fn on_finish(&self, footprint: &Footprint, dir: &Path) {
        // What was published is told where it happens.
        let Err(error) = (self.configure)(ModelUpload::new(footprint, dir, &self.repo)).push() else {
            return;
        };
        let next = if error.is_retryable() { "; it is staged, and `sootprint push` sends it" } else { "" };
        tracing::warn!("{} is not published: {error}{next}", self.repo);
    }
}
