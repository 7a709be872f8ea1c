//! The job's share of the machine: how many of its processors, how much of its memory.
//!
//! The share is the job's, not the task's: of several ranks of one job each sees the same allocation, and one of
//! them stands for all.

#[cfg(test)]
pub(crate) mod fixture;
mod groups;
mod identity;
mod slurm;
pub(crate) mod stat;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

use groups::Groups;
pub(crate) use groups::Usage;
pub use identity::HostShareId;

/// Reads a variable of the environment.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What this process's job may use of its host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Allocation {
    /// Logical processors that the job may keep busy. A quota may give it a part of one.
    pub(crate) processors: f64,
    /// Logical processors that the host has on line.
    pub(crate) online: usize,
    /// How the kernel tells for how long these processors worked.
    pub(crate) work: Work,
    /// Bytes of memory that the job was given; all of the host's where nothing limits it.
    pub(crate) memory: u64,
    /// Bytes of memory that the host has.
    pub(crate) host_memory: u64,
}

/// Where the working time of the job's processors is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Work {
    /// The processors have numbers: in their own lines of `/proc/stat`.
    Processors(BTreeSet<usize>),
    /// A quota lets the job run on any processor: with the control group that has the quota.
    Group(Usage),
    /// In `/proc/stat`, for the whole machine. Of that the job is taken to have its share, whoever worked.
    Machine,
}

impl Allocation {
    /// Of this process, from `proc` and `cgroup` as they are mounted (`/proc`, `/sys/fs/cgroup`).
    ///
    /// None where the kernel does not tell, as outside Linux.
    pub(crate) fn of_this_process(proc: &Path, cgroup: &Path) -> Option<Self> {
        Self::find(proc, cgroup, &|name| std::env::var(name).ok())
    }

    /// The least of what affinity, cpusets, quotas and Slurm allow; likewise for memory.
    pub(crate) fn find(proc: &Path, cgroup: &Path, environment: Environment<'_>) -> Option<Self> {
        let seen = stat::online(&read_to_string(proc.join("stat")).ok()?);
        if seen.is_empty() {
            return None;
        }
        let host_memory = memory_total(&read_to_string(proc.join("meminfo")).ok()?)?;
        let groups = Groups::of_this_process(proc, cgroup);
        let slurm = slurm::given(environment);

        let online = seen.len().max(threads_of_packages(proc));
        let limits = processor_limits(proc, &groups, slurm.as_ref(), environment, &seen);
        let whole = (online as f64, Work::Machine);
        let (processors, work) = limits
            .into_iter()
            .flatten()
            .fold(whole, |least, limit| if limit.0 < least.0 { limit } else { least });

        let limits = [groups.memory_limit(), slurm.and_then(|given| given.memory)];
        let memory = limits.into_iter().flatten().fold(host_memory, u64::min);
        Some(Self { processors, online, work, memory, host_memory })
    }

    /// The processors' share, from 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.processors / self.online as f64
    }
}

/// How many processors each kind of limit leaves, and where their work is told: a list, a quota, Slurm's booking.
fn processor_limits(
    proc: &Path,
    groups: &Groups,
    slurm: Option<&slurm::Given>,
    environment: Environment<'_>,
    seen: &BTreeSet<usize>,
) -> [Option<(f64, Work)>; 3] {
    let cpuset = groups.cpuset();
    let is_slurm_s_own = cpuset.as_ref().is_some_and(|cpuset| cpuset.is_of_job && cpuset.confines(seen));
    // A launcher binds each of its tasks to a part of what the job was given: such an affinity is the task's.
    let is_bound = slurm.is_some() || is_bound_by_launcher(environment);
    let affinity = if is_bound { None } else { affinity(proc) };
    let allowed = affinity.or(cpuset.map(|cpuset| cpuset.processors)).unwrap_or_default();
    let listed: BTreeSet<usize> = &allowed & seen;
    // A list of none that is on line says nothing.
    let listed = if listed.is_empty() { seen.clone() } else { listed };

    let quota =
        groups.quota().map(|quota| (quota.processors, quota.usage.map_or(Work::Machine, Work::Group)));
    // Slurm may count cores where the kernel counts threads: where Slurm has confined the job, the kernel's count of
    // the same thing stands.
    let booked = slurm.and_then(|given| given.processors).filter(|_| !is_slurm_s_own);
    [Some((listed.len() as f64, Work::Processors(listed))), quota, booked.map(|count| (count, Work::Machine))]
}

/// The logical processors of the packages that `cpuinfo` shows; zero where it does not tell.
///
/// The kernel's own files never show fewer processors than that. A container behind lxcfs sees only its own, on the
/// host's packages, and would take the whole packages for its own as well.
fn threads_of_packages(proc: &Path) -> usize {
    let cpuinfo = read_to_string(proc.join("cpuinfo")).unwrap_or_default();
    let values = |name: &'static str| {
        cpuinfo.lines().filter_map(move |line| line.split_once(':')).filter_map(move |(field, value)| {
            if field.trim() == name { value.trim().parse::<usize>().ok() } else { None }
        })
    };
    let packages = values("physical id").collect::<BTreeSet<_>>().len();
    values("siblings").next().unwrap_or_default().saturating_mul(packages)
}

/// Whether this process is one of several that a message-passing launcher started, and bound, on this host.
///
/// Open MPI binds to cores unless it is told not to; MPICH and Intel MPI likewise. `torchrun` binds nothing.
fn is_bound_by_launcher(environment: Environment<'_>) -> bool {
    ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"].iter().any(|name| {
        environment(name).and_then(|count| count.trim().parse().ok()).is_some_and(|count: u32| count > 1)
    })
}

/// The processors that the process may run on, as `taskset` and container engines set them.
fn affinity(proc: &Path) -> Option<BTreeSet<usize>> {
    let status = read_to_string(proc.join("self/status")).ok()?;
    stat::list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// `MemTotal` of `/proc/meminfo`, which counts in KiB. It is a little less than what is plugged in: the firmware and
/// the kernel keep some for themselves.
fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
