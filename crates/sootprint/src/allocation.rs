//! The job's share of the machine: how many of its processors, how much of its memory.

use std::path::Path;

/// What this process may use of its host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Allocation {
    /// Logical processors that the process may keep busy: affinity and control-group quota, whichever is less.
    pub(crate) processors: usize,
    /// Logical processors that the host has on line.
    pub(crate) online: usize,
    /// Bytes of memory that the process was given: the tightest control-group limit, else the host's memory.
    pub(crate) memory: u64,
}

impl Allocation {
    /// Of this process, from `proc` and `cgroup` as they are mounted (`/proc`, `/sys/fs/cgroup`).
    ///
    /// None where the kernel does not tell, as outside Linux.
    pub(crate) fn of_this_process(proc: &Path, cgroup: &Path) -> Option<Self> {
        let online = online_processors(&std::fs::read_to_string(proc.join("stat")).ok()?);
        let host_memory = memory_total(&std::fs::read_to_string(proc.join("meminfo")).ok()?)?;
        let groups = std::fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        let memory = memory_limits(&groups, cgroup).fold(host_memory, u64::min);
        // The standard library reads affinity and the quotas of both versions of control groups.
        let processors = std::thread::available_parallelism().map_or(online, usize::from).min(online);
        (online > 0).then_some(Self { processors, online, memory })
    }

    /// The processors' share, from 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.processors as f64 / self.online as f64
    }

    /// The memory in GiB.
    pub(crate) fn memory_gib(&self) -> f64 {
        self.memory as f64 / f64::from(1 << 30)
    }
}

fn online_processors(stat: &str) -> usize {
    let numbered = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    stat.lines().filter(numbered).count()
}

/// `MemTotal` of `/proc/meminfo`, which counts in KiB.
fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The limits of the process's groups and of all groups above them, in both versions of control groups.
///
/// A group without a limit says `max` (version 2) or a number near 2^63 (version 1), and neither is the least.
fn memory_limits(groups: &str, root: &Path) -> impl Iterator<Item = u64> {
    let files = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let group = Path::new(group.trim_start_matches('/')).to_owned();
        let (top, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            return Vec::new();
        };
        group.ancestors().map(|above| top.join(above).join(file)).collect()
    });
    let limits: Vec<u64> =
        files.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok()).collect();
    limits.into_iter()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const STAT: &str =
        "cpu  4 0 2 90 1 0 0 0 0 0\ncpu0 2 0 1 45 0 0 0 0 0 0\ncpu1 2 0 1 45 1 0 0 0 0 0\nintr 1\n";

    fn machine(groups: &str, limits: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::write(root.path().join("proc/stat"), STAT).unwrap();
        fs::write(root.path().join("proc/meminfo"), "MemTotal:       16777216 kB\nMemFree: 1 kB\n").unwrap();
        fs::write(root.path().join("proc/self/cgroup"), groups).unwrap();
        for (file, limit) in limits {
            let file = root.path().join("cgroup").join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, limit).unwrap();
        }
        root
    }

    fn memory(root: &tempfile::TempDir) -> u64 {
        let (proc, cgroup) = (root.path().join("proc"), root.path().join("cgroup"));
        Allocation::of_this_process(&proc, &cgroup).unwrap().memory
    }

    #[test]
    fn without_a_limit_it_is_the_host_s_memory() {
        let root = machine("0::/user.slice\n", &[("user.slice/memory.max", "max\n")]);
        assert_eq!(memory(&root), 16 << 30);
    }

    #[test]
    fn the_tightest_group_on_the_way_up_is_the_limit() {
        let limits = [("pod/memory.max", "2147483648\n"), ("pod/job/memory.max", "max\n")];
        assert_eq!(memory(&machine("0::/pod/job\n", &limits)), 2 << 30);
    }

    #[test]
    fn version_one_is_read_as_well() {
        let limits = [
            ("memory/slurm/memory.limit_in_bytes", "4294967296\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(memory(&machine("4:memory:/slurm\n3:cpuset:/x\n", &limits)), 4 << 30);
    }

    #[test]
    fn processors_on_line_are_counted() {
        assert_eq!(online_processors(STAT), 2);
        assert!(Allocation::of_this_process(Path::new("/nowhere"), Path::new("/nowhere")).is_none());
    }
}
