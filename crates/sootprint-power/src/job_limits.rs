//! The limits of the job: how many of the machine's CPUs and how much of its memory it may use.
//!
//! The limits are those of the job, not of the task: all ranks of a job on a host have the same limits, and
//! the energy of these CPUs and memory is counted once.

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

/// The part of the host that this process's job may use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobLimits {
    /// Logical CPUs that the job may keep busy. A quota may allow a fraction of one.
    pub(crate) cpus: f64,
    /// Logical CPUs of the host that are online.
    pub(crate) online_cpus: usize,
    /// Where the kernel reports the busy time of these CPUs.
    pub(crate) cpu_time_source: CpuTimeSource,
    /// Memory of the job in bytes; all of the host's if there is no limit.
    pub(crate) memory_bytes: u64,
    /// Memory of the host in bytes.
    pub(crate) host_memory_bytes: u64,
}

/// The source of the job's CPU time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CpuTimeSource {
    /// The job runs on these CPUs: their lines of `/proc/stat`.
    CpuList(BTreeSet<usize>),
    /// A quota allows any CPU: the CPU time of the control group with the quota.
    Cgroup(CpuUsageFile),
    /// The first line of `/proc/stat`, for the whole machine. The job is assumed to use its share of the busy time.
    WholeMachine,
}

impl JobLimits {
    /// Detects the limits of this process. `proc` and `cgroup` are the mount points (`/proc`, `/sys/fs/cgroup`).
    ///
    /// `None` if the kernel does not provide these files, as outside Linux.
    pub(crate) fn detect(proc: &Path, cgroup: &Path) -> Option<Self> {
        Self::detect_at(proc, cgroup, &process_variable)
    }

    /// Takes the smallest of the limits from affinity, cpusets, quotas and Slurm. Memory is handled in the same
    /// way.
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

    /// The job's share of the CPUs, from 0 to 1.
    pub(crate) fn cpu_share(&self) -> f64 {
        self.cpus / self.online_cpus as f64
    }
}

/// The CPUs that each kind of limit allows and the source of their busy time: a CPU list, a quota, Slurm's allocation.
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
    // A launcher binds each task to a part of the job's CPUs, so the affinity is the task's and not the job's.
    let is_bound = slurm.is_some() || is_bound_by_mpi(read_variable);
    let affinity = if is_bound { None } else { cpu_affinity(proc) };
    let allowed = affinity.or(cpuset.map(|cpuset| cpuset.cpus)).unwrap_or_default();
    let listed: BTreeSet<usize> = &allowed & online;
    // A list without any online CPU is ignored.
    let listed = if listed.is_empty() { online.clone() } else { listed };

    let quota = cgroups.cpu_quota().map(|quota| {
        (quota.cpus, quota.usage_file.map_or(CpuTimeSource::WholeMachine, CpuTimeSource::Cgroup))
    });
    // Slurm may count cores where the kernel counts threads. If Slurm confines the job, the kernel's count is used.
    let allocated_cpus = slurm.and_then(|given| given.cpus).filter(|_| !is_confined_by_slurm);
    [
        Some((listed.len() as f64, CpuTimeSource::CpuList(listed))),
        quota,
        allocated_cpus.map(|count| (count, CpuTimeSource::WholeMachine)),
    ]
}

/// The logical CPUs of the packages that `cpuinfo` lists; zero if it does not list packages.
///
/// The kernel's own files never show fewer CPUs than that. A container behind lxcfs sees only its own CPUs but the
/// host's package ids, and would otherwise be charged for whole packages.
fn package_threads(proc: &Path) -> usize {
    let cpuinfo = read_to_string(proc.join("cpuinfo")).unwrap_or_default();
    let packages = cpuinfo_fields(&cpuinfo, "physical id")
        .filter_map(|id| id.parse::<usize>().ok())
        .collect::<BTreeSet<_>>();
    let siblings = cpuinfo_fields(&cpuinfo, "siblings").find_map(|count| count.parse::<usize>().ok());
    siblings.unwrap_or_default().saturating_mul(packages.len())
}

/// Whether an MPI launcher started several processes on this host, including this one, and bound them to CPUs.
///
/// Open MPI, MPICH and Intel MPI bind to cores by default. `torchrun` binds nothing.
fn is_bound_by_mpi(read_variable: VariableLookup<'_>) -> bool {
    ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"].iter().any(|name| {
        read_variable(name).and_then(|count| count.trim().parse().ok()).is_some_and(|count: u32| count > 1)
    })
}

/// The CPUs that the process may run on, as `taskset` and container engines set them.
fn cpu_affinity(proc: &Path) -> Option<BTreeSet<usize>> {
    let status = read_to_string(proc.join("self/status")).ok()?;
    proc_stat::parse_cpu_list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// `MemTotal` of `/proc/meminfo`, converted from KiB. It is slightly less than the installed memory, because the
/// firmware and the kernel reserve some.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
