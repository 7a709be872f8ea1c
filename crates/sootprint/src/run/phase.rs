//! A named part of an epoch.

use super::handle::RunHandle;
use super::recorder::PhaseId;

/// A named part of an epoch, or of the time between epochs, from [`Run::phase`](super::Run::phase) until it is dropped.
///
/// What it took and used is added to all phases of its name in the epoch; one that is open when its epoch ends is cut
/// there. Phases may lie within each other and on several threads: each counts all that the hardware used in its time.
///
/// ```
/// use sootprint::Run;
///
/// # let dir = tempfile::tempdir()?;
/// let run = Run::pre_training(dir.path()).start();
/// for epoch in run.epochs(1..=2) {
///     {
///         let _phase = run.phase("data loading");
///         // load
///     }
///     let training = run.phase("forward and backward");
///     // train
///     training.end();
/// }
/// let footprint = run.finish();
/// assert_eq!(footprint.epochs[1].phases[0].name, "data loading");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Limits
/// Its edges are timestamps of the thread that calls: what a device does later is in the next phase, unless the thread
/// waits for the device first, which this does not. A phase that is shorter than a counter's tick (20 to 100 ms), or
/// than the second between readings of hardware without one, has its part of that time's energy by its length.
#[must_use = "a phase lasts until it is dropped"]
#[derive(Debug)]
pub struct Phase {
    handle: RunHandle,
    id: PhaseId,
}

impl Phase {
    pub(super) const fn new(handle: RunHandle, id: PhaseId) -> Self {
        Self { handle, id }
    }

    /// Ends the phase here, as dropping it does.
    pub fn end(self) {}
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.handle.end_phase(self.id);
    }
}
