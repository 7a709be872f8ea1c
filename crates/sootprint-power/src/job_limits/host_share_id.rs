//! Whether two processes of one host were given the same part of it, or two parts.
//!
//! Ranks that were given the same are measured once; ranks of different containers, or confined to different
//! processors, add up.

use std::path::Path;

use super::cgroups::Cgroups;
use super::{CpuTimeSource, JobLimits};

/// What tells a part of a host from its other parts. Compared, and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostShareId {
    /// The CPUs: `all`, a list of them, a control group, or a booked number.
    pub cpus: String,
    /// The memory: `all`, a control group, or a booked amount.
    pub memory: String,
}

/// What a process was given that nothing limits.
const WHOLE_HOST: &str = "all";

impl HostShareId {
    /// Of this process; none where the kernel does not tell, as outside Linux.
    pub fn current() -> Option<Self> {
        let (proc, cgroup) = (Path::new("/proc"), Path::new("/sys/fs/cgroup"));
        let job_limits = JobLimits::detect(proc, cgroup)?;
        Some(Self::from_limits(&job_limits, &Cgroups::read_current(proc, cgroup)))
    }

    pub(super) fn from_limits(job_limits: &JobLimits, cgroups: &Cgroups) -> Self {
        let cpus = match &job_limits.cpu_time_source {
            _ if job_limits.cpu_share() >= 1.0 => WHOLE_HOST.to_owned(),
            // The kernel's numbers are the host's, in a container too: who shares them shares their work.
            CpuTimeSource::CpuList(numbers) => format!("processors {numbers:?}"),
            CpuTimeSource::Cgroup(usage) => usage.path().parent().map_or_else(String::new, cgroup_id),
            CpuTimeSource::WholeMachine => format!("booked {}", job_limits.cpus),
        };
        let memory = match cgroups.tightest_memory_group() {
            _ if job_limits.memory_bytes >= job_limits.host_memory_bytes => WHOLE_HOST.to_owned(),
            Some((limit, folder)) if limit == job_limits.memory_bytes => cgroup_id(folder),
            _ => format!("booked {}", job_limits.memory_bytes),
        };
        Self { cpus, memory }
    }
}

/// A control group by its number in the kernel: its path is another in each container.
#[cfg(unix)]
fn cgroup_id(folder: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(folder).map_or_else(|_| String::new(), |it| format!("group {}:{}", it.dev(), it.ino()))
}

#[cfg(not(unix))]
fn cgroup_id(folder: &Path) -> String {
    format!("group {}", folder.display())
}
