//! Callbacks for finished runs.

use std::fmt;
use std::path::Path;

use sootprint_core::Footprint;

/// A callback for a finished run, registered with [`RunBuilder::on_finish`](super::RunBuilder::on_finish).
/// `sootprint_hub` uses it to push the run to the Hugging Face Hub, so that this crate needs no network code.
pub trait FinishHook: fmt::Debug + Send + Sync {
    /// Called once the run has finished and its footprint has been written to `dir`, the folder of the run.
    ///
    /// [`Run::finish`](super::Run::finish) calls this on the thread of its caller, on rank 0 only, and not for a run
    /// that was dropped or is disabled. A hook cannot make a training fail: implementations log their errors through
    /// `tracing`.
    ///
    /// Inside `sootprint run` the footprint covers the training only, and is written to the folder unless the command
    /// records there. With `--push`, the command itself pushes the footprint of the whole command.
    fn on_finish(&self, footprint: &Footprint, dir: &Path);
}
