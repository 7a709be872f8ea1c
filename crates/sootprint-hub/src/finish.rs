//! A run that publishes itself when it is finished.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sootprint::{AtFinish, Footprint, RunBuilder};

use crate::publication::Publication;

/// Lets a run publish its folder when it is finished.
///
/// [`Run::finish`](sootprint::Run::finish) then returns when the publication is made, or has failed: a failure fails no
/// training. What was to be sent is [`staged`](crate::staged()), one warning says why and what to do, and the footprint
/// is what it would have been. Save the weights before the finish, for they go into the same commit. A run that is
/// dropped, or switched off, is not published.
///
/// ```no_run
/// use sootprint::Run;
/// use sootprint_hub::PublishTo as _;
///
/// let run = Run::pre_training("artifacts/digits").publish_to("me/digits").start();
/// // train, and save the weights into the folder
/// let footprint = run.finish();
/// # let _ = footprint;
/// ```
pub trait PublishTo: Sized {
    /// Publishes as `repo`, which is `owner/name`, with everything else left as it is: see [`Publication`].
    #[must_use]
    fn publish_to(self, repo: &str) -> Self {
        self.publish_with(repo, |publication| publication)
    }

    /// Publishes as `repo`, with a publication that `with` has completed: a token, a branch, what a new card says.
    #[must_use]
    fn publish_with(
        self,
        repo: &str,
        with: impl Fn(Publication) -> Publication + Send + Sync + 'static,
    ) -> Self;
}

impl PublishTo for RunBuilder {
    fn publish_with(
        self,
        repo: &str,
        with: impl Fn(Publication) -> Publication + Send + Sync + 'static,
    ) -> Self {
        self.at_finish(Arc::new(Publisher { repo: repo.to_owned(), with: Box::new(with) }))
    }
}

struct Publisher {
    repo: String,
    with: Box<dyn Fn(Publication) -> Publication + Send + Sync>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("repo", &self.repo).finish_non_exhaustive()
    }
}

impl AtFinish for Publisher {
    fn finished(&self, footprint: &Footprint, dir: &Path) {
        // What was published is told where it happens.
        let Err(error) = (self.with)(Publication::new(footprint, dir, &self.repo)).publish() else { return };
        let next = if error.is_staged() { "; it is staged, and `sootprint push` sends it" } else { "" };
        tracing::warn!("{} is not published: {error}{next}", self.repo);
    }
}
