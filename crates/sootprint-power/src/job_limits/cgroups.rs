//! The control groups of this process, in both versions: <https://docs.kernel.org/admin-guide/cgroup-v2.html>,
//! <https://docs.kernel.org/admin-guide/cgroup-v1/index.html>.
//!
//! A limit applies to all groups below its own, so every ancestor is read. In a container the path ends at the
//! container's own group, which is mounted as the root.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Component, Path, PathBuf};

use super::proc_stat;

/// The groups whose limits apply to this process's job, from the job's own to the root.
pub(super) struct Cgroups {
    mounts: Vec<CgroupMount>,
}

/// The groups of one mount.
struct CgroupMount {
    /// Empty in version 2, where all controllers share one mount.
    controllers: Vec<String>,
    dirs: Vec<PathBuf>,
}

/// The CPUs that a group is confined to.
pub(super) struct CgroupCpuset {
    pub(super) cpus: BTreeSet<usize>,
    /// Whether the cpuset belongs to the group of a batch system's job.
    pub(super) is_set_on_job: bool,
}

/// CPU time that a group may use per second of wall time.
pub(super) struct CpuQuota {
    pub(super) cpus: f64,
    pub(super) usage_file: Option<CpuUsageFile>,
}

/// A file in which the kernel reports the CPU time of a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CpuUsageFile {
    /// `cpu.stat` of version 2.
    CpuStat(PathBuf),
    /// `cpuacct.usage` of version 1.
    CpuacctUsage(PathBuf),
}

impl Cgroups {
    pub(super) fn read_current(proc: &Path, root: &Path) -> Self {
        let groups = read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        Self { mounts: groups.lines().filter_map(|line| CgroupMount::parse(line, root)).collect() }
    }

    /// The smallest memory limit in bytes.
    ///
    /// Without a limit the file contains `max` (version 2) or a number near 2^63 (version 1), neither of which is
    /// the minimum.
    pub(super) fn memory_limit(&self) -> Option<u64> {
        self.tightest_memory_group().map(|(limit, _)| limit)
    }

    /// The smallest memory limit, and the nearest group that has it.
    pub(super) fn tightest_memory_group(&self) -> Option<(u64, &Path)> {
        let limit = |folder: &Path| {
            let limits = ["memory.max", "memory.limit_in_bytes"].map(|file| folder.join(file));
            limits.into_iter().filter_map(|file| read_to_string(file).ok()?.trim().parse().ok()).min()
        };
        self.dirs("memory")
            .filter_map(|folder| Some((limit(folder)?, folder)))
            .min_by_key(|(limit, _)| *limit)
    }

    /// The smallest CPU quota.
    pub(super) fn cpu_quota(&self) -> Option<CpuQuota> {
        let quota = |folder: &Path| Some((read_quota(folder)?, folder.to_owned()));
        let (cpus, folder) =
            self.dirs("cpu").filter_map(quota).min_by(|(one, _), (other, _)| one.total_cmp(other))?;
        Some(CpuQuota { cpus, usage_file: CpuUsageFile::find_in(&folder) })
    }

    /// The CPUs of the nearest group with a cpuset.
    pub(super) fn cpuset(&self) -> Option<CgroupCpuset> {
        // The effective set includes the limits of the ancestors. Older kernels only have the other file.
        let files = ["cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"];
        self.dirs("cpuset").find_map(|folder| {
            let read = |file| proc_stat::parse_cpu_list(&read_to_string(folder.join(file)).ok()?);
            let is_of_job = folder.file_name().and_then(|name| name.to_str()).is_some_and(is_slurm_job);
            Some(CgroupCpuset { cpus: files.into_iter().find_map(read)?, is_set_on_job: is_of_job })
        })
    }

    fn dirs(&self, controller: &str) -> impl Iterator<Item = &Path> {
        self.mounts
            .iter()
            .filter(move |mount| {
                mount.controllers.is_empty() || mount.controllers.iter().any(|known| known == controller)
            })
            .flat_map(|hierarchy| hierarchy.dirs.iter().map(PathBuf::as_path))
    }
}

impl CgroupMount {
    /// Parses a line of `/proc/self/cgroup`: `number:controllers:group`.
    fn parse(line: &str, root: &Path) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, group) = (fields.next()?, fields.next()?);
        let controllers: Vec<String> =
            names.split(',').filter(|name| !name.is_empty()).map(String::from).collect();
        let group = job_cgroup(group);
        // Version 1 mounts several controllers together as `cpu,cpuacct`, usually with a symlink for each of them.
        let top = std::iter::once(names)
            .chain(controllers.iter().map(String::as_str))
            .map(|mount| root.join(mount))
            .find(|mount| mount.is_dir())?;
        let folders = group.ancestors().map(|above| top.join(above)).collect();
        Some(Self { controllers, dirs: folders })
    }
}

impl CgroupCpuset {
    pub(super) fn is_restrictive(&self, online: &BTreeSet<usize>) -> bool {
        !online.is_subset(&self.cpus)
    }
}

impl CpuUsageFile {
    fn find_in(folder: &Path) -> Option<Self> {
        let (stat, usage) = (folder.join("cpu.stat"), folder.join("cpuacct.usage"));
        [Self::CpuStat(stat), Self::CpuacctUsage(usage)].into_iter().find(|file| file.cpu_seconds().is_some())
    }

    /// CPU time in seconds since the group was created. `None` if the file cannot be read.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let text = read_to_string(self.path()).ok()?;
        match self {
            Self::CpuStat(_) => {
                let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                Some(microseconds.trim().parse::<u64>().ok()? as f64 / 1e6)
            }
            Self::CpuacctUsage(_) => Some(text.trim().parse::<u64>().ok()? as f64 / 1e9),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::CpuStat(file) | Self::CpuacctUsage(file) => file,
        }
    }
}

/// The part of a group's path that belongs to the job. Slurm creates a group for each step and task below it.
///
/// The path of a process outside the container's view contains `..`; only the root is readable then.
fn job_cgroup(path: &str) -> PathBuf {
    let mut group = PathBuf::new();
    let mut is_below_slurm = false;
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => return PathBuf::new(),
            Component::Normal(name) => {
                group.push(name);
                let name = name.to_string_lossy();
                is_below_slurm |= name.contains("slurm");
                if is_below_slurm && is_slurm_job(&name) {
                    break;
                }
            }
            _ => {}
        }
    }
    group
}

/// Whether the name is `job_123`, as Slurm names the group of a job.
fn is_slurm_job(name: &str) -> bool {
    name.strip_prefix("job_")
        .is_some_and(|id| !id.is_empty() && id.chars().all(|digit| digit.is_ascii_digit()))
}

/// The number of CPUs that the quota allows. `cpu.max` holds quota and period; version 1 has a file for each.
/// Without a quota the first value is `max` or -1.
fn read_quota(folder: &Path) -> Option<f64> {
    let number = |file: &str| read_to_string(folder.join(file)).ok()?.trim().parse::<f64>().ok();
    let (quota, period) = match read_to_string(folder.join("cpu.max")) {
        Ok(text) => {
            let mut fields = text.split_whitespace().map(str::parse::<f64>);
            (fields.next()?.ok()?, fields.next()?.ok()?)
        }
        Err(_) => (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?),
    };
    let cpus = quota / period;
    (quota > 0.0 && period > 0.0 && cpus.is_finite()).then_some(cpus)
}
