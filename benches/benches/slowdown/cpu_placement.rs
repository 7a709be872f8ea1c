//! The processors that a training keeps to.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where a training's threads may run.
///
/// On a machine that guests share each processor has neighbours of its own. Linux hardly ever moves a thread that is busy,
/// in 2 of 30 measured trainings of 2 s and in 1 of 63 others; but one that waits may go on at another place, and then it
/// has other neighbours than the trainings that it is compared with. So a training that leaves a processor keeps to all but
/// the first. What else there is, sootprint's threads among it, goes where it likes.
#[derive(Clone, Copy)]
pub(crate) struct CpuPlacement {
    training: CpuSet,
    is_taken: bool,
}

impl CpuPlacement {
    /// All processors that this process may use, or all but the first.
    ///
    /// # Errors
    /// When the system does not let a thread choose.
    pub(crate) fn new(leaves_one: bool) -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut training = all;
        if leaves_one
            && all.count() > 1
            && let Some(first) = (0..CpuSet::MAX_CPU).find(|processor| all.is_set(*processor))
        {
            training.unset(first);
        }
        sched_setaffinity(None, &training)?;
        sched_setaffinity(None, &all)?;
        Ok(Self { training, is_taken: false })
    }

    /// To be called at each batch by the thread that trains: threads that began before do not keep to its place.
    pub(crate) fn take(&mut self) {
        if !std::mem::replace(&mut self.is_taken, true) {
            // It was let before.
            let _: rustix::io::Result<()> = sched_setaffinity(None, &self.training);
        }
    }
}
