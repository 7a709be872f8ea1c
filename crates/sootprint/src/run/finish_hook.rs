//! What other crates do when a run is finished.

use std::fmt;
use std::path::Path;

use sootprint_core::Footprint;

/// Is told of a finished run, as `sootprint_hub` is to publish it; see [`RunBuilder::on_finish`](super::RunBuilder::on_finish).
pub trait FinishHook: fmt::Debug + Send + Sync {
    /// The run is finished and its footprint is written into its folder.
    ///
    /// It is called by [`Run::finish`](super::Run::finish) on the thread that finishes, of several ranks by the first
    /// alone, and not for a run that was dropped or is switched off. It has no way to fail a training: what goes wrong is
    /// told through `tracing`.
    ///
    /// Inside `sootprint run` the footprint is that of the training's own time, and it is in the folder unless the command
    /// records there; what the command itself publishes is the whole command's.
    fn on_finish(&self, footprint: &Footprint, dir: &Path);
}
