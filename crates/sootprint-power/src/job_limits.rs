//! The job's share of the machine: how many of its processors, how much of its memory.
//!
//! The share is the job's, not the task's: of several ranks of one job each sees the same allocation, and one of
//! them stands for all.

mod cgroups;
#[cfg(test)]
pub(crate) mod fixture;
mod host_share_id;
pub(crate) mod proc_stat;
mod slurm;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

use crate::env::{VariableLookup, process_variable};
use crate::proc_cpuinfo::cpuinfo_fields;
use cgroups::Cgroups;
pub(crate) use cgroups::CpuUsageFile;
pub use host_share_id::HostShareId;

/// What this process's job may use of its host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobLimits {
    /// Logical processors that the job may keep busy. A quota may give it a part of one.
    pub(crate) cpus: f64,
    /// Logical processors that the host has on line.
    pub(crate) online_cpus: usize,
    /// How the kernel tells for how long these processors worked.
    pub(crate) cpu_time_source: CpuTimeSource,
    /// Bytes of memory that the job was given; all of the host's where nothing limits it.
    pub(crate) memory_bytes: u64,
    /// Bytes of memory that the host has.
    pub(crate) host_memory_bytes: u64,
}

/// Where the working time of the job's processors is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CpuTimeSource {
    /// The processors have numbers: in their own lines of `/proc/stat`.
    CpuList(BTreeSet<usize>),
    /// A quota lets the job run on any processor: with the control group that has the quota.
    Cgroup(CpuUsageFile),
    /// In `/proc/stat`, for the whole machine. Of that the job is taken to have its share, whoever worked.
    WholeMachine,
}

impl JobLimits {
    /// Of this process, from `proc` and `cgroup` as they are mounted (`/proc`, `/sys/fs/cgroup`).
    ///
    /// None where the kernel does not tell, as outside Linux.
    pub(crate) fn detect(proc: &Path, cgroup: &Path) -> Option<Self> {
        Self::detect_at(proc, cgroup, &process_variable)
    }

    /// The least of what affinity, cpusets, quotas and Slurm allow; likewise for memory.
    pub(crate) fn detect_at(proc: &Path, cgroup: &Path, read_variable: VariableLookup<'_>) -> Option<Self> {
        let online_numbers = proc_stat::online_cpus(&read_to_string(proc.join("stat")).ok()?);
        if online_numbers.is_empty() {
            return None;
        }
        let host_memory_bytes = total_memory(&read_to_string(proc.join("meminfo")).ok()?)?;
        let cgroups = Cgroups::read_current(proc, cgroup);
        let slurm = slurm::detect(read_variable);

        let online_cpus = online_numbers.len().max(package_threads(proc));
        let limits = cpu_limits(proc, &cgroups, slurm.as_ref(), read_variable, &online_numbers);
        let whole = (online_cpus as f64, CpuTimeSource::WholeMachine);
        let (cpus, cpu_time_source) = limits
            .into_iter()
            .flatten()
            .fold(whole, |least, limit| if limit.0 < least.0 { limit } else { least });

        let limits = [cgroups.memory_limit(), slurm.and_then(|given| given.memory_bytes)];
        let memory_bytes = limits.into_iter().flatten().fold(host_memory_bytes, u64::min);
        Some(Self { cpus, online_cpus, cpu_time_source, memory_bytes, host_memory_bytes })
    }

    /// The processors' share, from 0 to 1.
    pub(crate) fn cpu_share(&self) -> f64 {
        self.cpus / self.online_cpus as f64
    }
}

/// How many processors each kind of limit leaves, and where their work is told: a list, a quota, Slurm's booking.
fn cpu_limits(
    proc: &Path,
    cgroups: &Cgroups,
    slurm: Option<&slurm::SlurmLimits>,
    read_variable: VariableLookup<'_>,
    online: &BTreeSet<usize>,
) -> [Option<(f64, CpuTimeSource)>; 3] {
    let cpuset = cgroups.cpuset();
    let is_confined_by_slurm =
        cpuset.as_ref().is_some_and(|cpuset| cpuset.is_set_on_job && cpuset.is_restrictive(online));
    // A launcher binds each of its tasks to a part of what the job was given: such an affinity is the task's.
    let is_bound = slurm.is_some() || is_bound_by_mpi(read_variable);
    let affinity = if is_bound { None } else { cpu_affinity(proc) };
    let allowed = affinity.or(cpuset.map(|cpuset| cpuset.cpus)).unwrap_or_default();
    let listed: BTreeSet<usize> = &allowed & online;
    // A list of none that is on line says nothing.
    let listed = if listed.is_empty() { online.clone() } else { listed };

    let quota = cgroups.cpu_quota().map(|quota| {
        (quota.cpus, quota.usage_file.map_or(CpuTimeSource::WholeMachine, CpuTimeSource::Cgroup))
    });
    // Slurm may count cores where the kernel counts threads: where Slurm has confined the job, the kernel's count of
    // the same thing stands.
    let booked = slurm.and_then(|given| given.cpus).filter(|_| !is_confined_by_slurm);
    [
        Some((listed.len() as f64, CpuTimeSource::CpuList(listed))),
        quota,
        booked.map(|count| (count, CpuTimeSource::WholeMachine)),
    ]
}

/// The logical processors of the packages that `cpuinfo` shows; zero where it does not tell.
///
/// The kernel's own files never show fewer processors than that. A container behind lxcfs sees only its own, on the
/// host's packages, and would take the whole packages for its own as well.
fn package_threads(proc: &Path) -> usize {
    let cpuinfo = read_to_string(proc.join("cpuinfo")).unwrap_or_default();
    let packages = cpuinfo_fields(&cpuinfo, "physical id")
        .filter_map(|id| id.parse::<usize>().ok())
        .collect::<BTreeSet<_>>();
    let siblings = cpuinfo_fields(&cpuinfo, "siblings").find_map(|count| count.parse::<usize>().ok());
    siblings.unwrap_or_default().saturating_mul(packages.len())
}

/// Whether this process is one of several that a message-passing launcher started, and bound, on this host.
///
/// Open MPI binds to cores unless it is told not to; MPICH and Intel MPI likewise. `torchrun` binds nothing.
fn is_bound_by_mpi(read_variable: VariableLookup<'_>) -> bool {
    ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"].iter().any(|name| {
        read_variable(name).and_then(|count| count.trim().parse().ok()).is_some_and(|count: u32| count > 1)
    })
}

/// The processors that the process may run on, as `taskset` and container engines set them.
fn cpu_affinity(proc: &Path) -> Option<BTreeSet<usize>> {
    let status = read_to_string(proc.join("self/status")).ok()?;
    proc_stat::parse_cpu_list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// `MemTotal` of `/proc/meminfo`, which counts in KiB. It is a little less than what is plugged in: the firmware and
/// the kernel keep some for themselves.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
