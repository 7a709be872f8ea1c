//! Named parts of an epoch.

use super::event::{HookEvent, PhaseId};
use super::handle::RunHandle;

/// A named part of an epoch, or of the time between epochs. It lasts from [`Run::phase`](super::Run::phase) until it is
/// dropped.
///
/// Durations and energies of phases with the same name are added up per epoch. A phase that is open when its epoch ends
/// is split there. Phases may be nested and may run on several threads; each phase counts everything that the hardware
/// used while it was open.
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
/// The boundaries of a phase are timestamps of the calling thread. Work that a device does later is counted in the next
/// phase, unless the caller synchronises the device before it ends the phase. A phase that is shorter than the update
/// interval of the energy counter (20 to 100 ms), or than the 1 s between power readings of hardware without a counter,
/// gets a share of that interval's energy in proportion to its length.
#[must_use = "a phase lasts until it is dropped"]
#[derive(Debug)]
pub struct Phase {
    handle: RunHandle,
    id: PhaseId,
}

impl RunHandle {
    /// Starts a phase, a named part of an epoch, which ends when the returned [`Phase`] is dropped.
    pub fn phase(&self, name: impl Into<String>) -> Phase {
        let (id, name) = (self.next_phase_id(), name.into());
        self.emit(HookEvent::PhaseStarted { id, name });
        Phase { handle: self.clone(), id }
    }
}

impl Phase {
    /// Ends the phase now, as dropping it does.
    pub fn end(self) {}
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.handle.emit(HookEvent::PhaseEnded(self.id));
    }
}
