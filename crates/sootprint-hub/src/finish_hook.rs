//! Pushes a run's folder when the run finishes.
//!
//! The core crate only defines the hook, so that it does not depend on this crate or on the network.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sootprint::{FinishHook, Footprint, RunBuilder};

use crate::failure::error_chain;
use crate::model_upload::ModelUpload;

/// Pushes a run's folder to the Hub when the run finishes.
///
/// [`Run::finish`](sootprint::Run::finish) then returns after the push has succeeded or failed. A failed push does not
/// fail the training or change the footprint: one warning names the error and the next step, and a push that may
/// succeed later is [`staged`](crate::staged_push()). Save the weights before `finish`, because they are part of the
/// commit. A run that is dropped or disabled is not pushed.
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
    /// Pushes the run's folder to the repository `repo_id` (`owner/name`) when the run finishes, with the defaults of
    /// [`ModelUpload`].
    #[must_use]
    fn push_to_hub(self, repo_id: &str) -> Self {
        self.push_to_hub_with(repo_id, |upload| upload)
    }

    /// Pushes the run's folder to the repository `repo_id` (`owner/name`) when the run finishes, with the options
    /// that `configure` sets, such as a token or a branch.
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
        self.on_finish(Arc::new(PushOnFinish { repo_id: repo_id.to_owned(), configure: Box::new(configure) }))
    }
}

struct PushOnFinish {
    repo_id: String,
    configure: Box<dyn Fn(ModelUpload) -> ModelUpload + Send + Sync>,
}

impl fmt::Debug for PushOnFinish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushOnFinish").field("repo_id", &self.repo_id).finish_non_exhaustive()
    }
}

impl FinishHook for PushOnFinish {
    fn on_finish(&self, footprint: &Footprint, dir: &Path) {
        // A successful push logs its own message.
        let Err(error) = (self.configure)(ModelUpload::new(footprint, dir, &self.repo_id)).push() else {
            return;
        };
        let next = if error.is_staged() {
            format!("; to retry, run `sootprint push {} {}`", dir.display(), self.repo_id)
        } else {
            String::new()
        };
        tracing::warn!("cannot push to {}: {}{next}", self.repo_id, error_chain(&error));
    }
}
