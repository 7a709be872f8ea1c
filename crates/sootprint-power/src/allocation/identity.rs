//! Whether two processes of one host were given the same part of it, or two parts.
//!
//! Ranks that were given the same are measured once; ranks of different containers, or confined to different
//! processors, add up.

use std::path::Path;

use super::groups::Groups;
use super::{Allocation, Work};

/// What tells a part of a host from its other parts. Compared, and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostShareId {
    /// The CPUs: `all`, a list of them, a control group, or a booked number.
    pub processors: String,
    /// The memory: `all`, a control group, or a booked amount.
    pub memory: String,
}

/// What a process was given that nothing limits.
const ALL: &str = "all";

impl HostShareId {
    /// Of this process; none where the kernel does not tell, as outside Linux.
    pub fn of_this_process() -> Option<Self> {
        let (proc, cgroup) = (Path::new("/proc"), Path::new("/sys/fs/cgroup"));
        let allocation = Allocation::of_this_process(proc, cgroup)?;
        Some(Self::of(&allocation, &Groups::of_this_process(proc, cgroup)))
    }

    pub(super) fn of(allocation: &Allocation, groups: &Groups) -> Self {
        let processors = match &allocation.work {
            _ if allocation.share() >= 1.0 => ALL.to_owned(),
            // The kernel's numbers are the host's, in a container too: who shares them shares their work.
            Work::Processors(numbers) => format!("processors {numbers:?}"),
            Work::Group(usage) => usage.file().parent().map_or_else(String::new, group),
            Work::Machine => format!("booked {}", allocation.processors),
        };
        let memory = match groups.memory_group() {
            _ if allocation.memory >= allocation.host_memory => ALL.to_owned(),
            Some((limit, folder)) if limit == allocation.memory => group(folder),
            _ => format!("booked {}", allocation.memory),
        };
        Self { processors, memory }
    }
}

/// A control group by its number in the kernel: its path is another in each container.
#[cfg(unix)]
fn group(folder: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(folder).map_or_else(|_| String::new(), |it| format!("group {}:{}", it.dev(), it.ino()))
}

#[cfg(not(unix))]
fn group(folder: &Path) -> String {
    format!("group {}", folder.display())
}
