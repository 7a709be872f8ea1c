//! What the core will have: a seam.

use sootprint::RunHandle;

pub(crate) trait Soon {
    fn samples(&self, _: u64) {}
    fn over_budget(&self) -> Option<String> {
        None
    }
}

impl Soon for RunHandle {}
