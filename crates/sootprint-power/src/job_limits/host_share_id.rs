//! Identifies the part of a host that a process may use.
//!
//! The energy of ranks with the same part is counted once. The energies of ranks in different containers, or
//! confined to different CPUs, are added.

use std::path::Path;

use super::cgroups::Cgroups;
use super::{CpuTimeSource, JobLimits};

/// Identifies the part of a host that a process may use. Such ids are only compared and never displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostShareId {
    /// The CPUs: `all`, a list of CPUs, a control group, or the allocated number of CPUs.
    pub cpus: String,
    /// The memory: `all`, a control group, or the allocated number of bytes.
    pub memory: String,
}

/// The value for a process without limits.
const WHOLE_HOST: &str = "all";

impl HostShareId {
    /// Identifies the part of the host that this process may use. `None` if `/proc` does not list the CPUs
    /// and memory, for example outside Linux.
    pub fn current() -> Option<Self> {
        let (proc, cgroup) = (Path::new("/proc"), Path::new("/sys/fs/cgroup"));
        let job_limits = JobLimits::detect(proc, cgroup)?;
        Some(Self::from_limits(&job_limits, &Cgroups::read_current(proc, cgroup)))
    }

    pub(super) fn from_limits(job_limits: &JobLimits, cgroups: &Cgroups) -> Self {
        let cpus = match &job_limits.cpu_time_source {
            _ if job_limits.cpu_share() >= 1.0 => WHOLE_HOST.to_owned(),
            // The kernel uses the host's CPU numbers in a container too: processes with the same numbers share the
            // CPUs.
            CpuTimeSource::CpuList(numbers) => format!("CPUs {numbers:?}"),
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

/// Identifies a control group by its inode, because its path differs between containers.
#[cfg(unix)]
fn cgroup_id(folder: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(folder).map_or_else(|_| String::new(), |it| format!("group {}:{}", it.dev(), it.ino()))
}

#[cfg(not(unix))]
fn cgroup_id(folder: &Path) -> String {
    format!("group {}", folder.display())
}
