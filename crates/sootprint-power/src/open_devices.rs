//! Determines the GPUs whose device files the processes of a run have open.
//!
//! A compute context keeps the device file of its GPU open as long as it exists. Unlike the process list of a
//! driver, this also works where the driver lists the process ids of another namespace, or no processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::gpu::GpuInfo;

/// The maximum number of processes of a run that are examined, and of open files of each process.
const MAX_PROCESSES: usize = 4_096;
const MAX_FILES: usize = 65_536;

/// The device files that processes have open.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenDevices {
    /// The device files that this process has open.
    own: BTreeSet<PathBuf>,
    /// The device files that its descendants have open. Other processes of this program are excluded, because
    /// they only read GPUs.
    descendants: BTreeSet<PathBuf>,
    /// Whether the open files of all these processes could be listed.
    is_complete: bool,
}

impl OpenDevices {
    /// Lists the device files of a process and its descendants.
    pub(crate) fn scan(proc: &Path, process: u32) -> Self {
        let mut found = Self { is_complete: true, ..Self::default() };
        found.is_complete &= add_devices(&mut found.own, &proc.join(process.to_string()));
        let program = fs::read_link(proc.join(format!("{process}/exe"))).ok();
        let (mut seen, mut next) = (BTreeSet::from([process]), children(proc, process));
        while let Some(child) = next.pop() {
            if seen.len() >= MAX_PROCESSES {
                found.is_complete = false;
                break;
            }
            if !seen.insert(child) {
                continue;
            }
            next.extend(children(proc, child));
            let folder = proc.join(child.to_string());
            let is_reader = program.is_some() && fs::read_link(folder.join("exe")).ok() == program;
            // A process that has just ended has no files.
            if !is_reader && folder.exists() {
                found.is_complete &= add_devices(&mut found.descendants, &folder) || !folder.exists();
            }
        }
        found
    }

    /// Whether a process of the run has a file of the GPU open. `None` if that cannot be determined.
    ///
    /// `trains_elsewhere` is set if only descendants can train, as in a command that measures another
    /// command. Otherwise this process may train, and its own open files of NVIDIA GPUs are no evidence,
    /// because NVML opens them too.
    pub(crate) fn uses(&self, files: &GpuDeviceFiles, trains_elsewhere: bool) -> Option<bool> {
        let is_open = |open: &BTreeSet<PathBuf>| files.paths.iter().any(|path| open.contains(path));
        match () {
            () if files.paths.is_empty() => None,
            () if is_open(&self.descendants) => Some(true),
            () if trains_elsewhere => self.is_complete.then_some(false),
            () if files.are_opened_by_nvml => None,
            () if is_open(&self.own) => Some(true),
            () => self.is_complete.then_some(false),
        }
    }
}

/// The device files of a GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GpuDeviceFiles {
    paths: Vec<PathBuf>,
    /// Whether NVML opens these files in this process.
    are_opened_by_nvml: bool,
}

impl GpuDeviceFiles {
    /// Finds the device files of a GPU by its PCI address. The result is empty if there are none.
    pub(crate) fn find(gpu: &GpuInfo, proc: &Path, sys: &Path) -> Self {
        // NVML writes eight digits of the domain, the kernel four.
        let address = gpu.pci.to_lowercase();
        let address = address.get(address.len().saturating_sub("0000:00:00.0".len())..).unwrap_or_default();
        let information = proc.join("driver/nvidia/gpus").join(address).join("information");
        if let Ok(text) = fs::read_to_string(information) {
            let minor = text.lines().find_map(|line| line.strip_prefix("Device Minor:"));
            let minor: Option<u32> = minor.and_then(|minor| minor.trim().parse().ok());
            let paths = minor.map(|minor| PathBuf::from(format!("/dev/nvidia{minor}")));
            return Self { paths: paths.into_iter().collect(), are_opened_by_nvml: true };
        }
        let nodes = fs::read_dir(sys.join("bus/pci/devices").join(address).join("drm"));
        let names =
            nodes.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let is_node = |name: &String| name.starts_with("render") || name.starts_with("card");
        let paths = names.filter(is_node).map(|name| Path::new("/dev/dri").join(name)).collect();
        Self { paths, are_opened_by_nvml: false }
    }
}

/// Adds the device files that a process has open. Returns whether all of its open files could be listed.
fn add_devices(devices: &mut BTreeSet<PathBuf>, process: &Path) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    let mut count = 0;
    for file in files.take(MAX_FILES).flatten() {
        count += 1;
        if let Ok(target) = fs::read_link(file.path())
            && target.starts_with("/dev")
        {
            devices.insert(target);
        }
    }
    count < MAX_FILES
}

/// Lists the child processes that any thread of a process has started.
fn children(proc: &Path, process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(proc.join(process.to_string()).join("task"));
    let lists = tasks
        .into_iter()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A `/proc` with one process per line: its id, its children, its program and its open files.
    fn proc_fixture(processes: &[(u32, &str, &str, &[&str])]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for (id, children, program, files) in processes {
            let folder = proc.path().join(id.to_string());
            fs::create_dir_all(folder.join(format!("task/{id}"))).unwrap();
            fs::create_dir_all(folder.join("fd")).unwrap();
            fs::write(folder.join(format!("task/{id}/children")), children).unwrap();
            symlink(program, folder.join("exe")).unwrap();
            for (number, file) in files.iter().enumerate() {
                symlink(file, folder.join(format!("fd/{number}"))).unwrap();
            }
        }
        proc
    }

    fn nvidia_files(minor: u32) -> GpuDeviceFiles {
        let paths = vec![PathBuf::from(format!("/dev/nvidia{minor}"))];
        GpuDeviceFiles { paths, are_opened_by_nvml: true }
    }

    #[test]
    fn gpu_of_descendant_is_used() {
        let proc = proc_fixture(&[
            (1, "10 11 ", "/bin/sootprint", &["/dev/null"]),
            (10, "", "/bin/sootprint", &["/dev/nvidia0", "/dev/nvidia1"]),
            (11, "12", "/bin/sh", &["/dev/pts/0"]),
            (12, "", "/bin/python", &["/dev/nvidiactl", "/dev/nvidia1", "socket:[1]"]),
            (13, "", "/bin/other", &["/dev/nvidia2"]),
        ]);
        let open = OpenDevices::scan(proc.path(), 1);
        let uses = [0, 1, 2].map(|minor| open.uses(&nvidia_files(minor), true));
        assert_eq!(uses, [Some(false), Some(true), Some(false)]);
        assert_eq!(open.uses(&GpuDeviceFiles::default(), true), None, "the device files are unknown");
        // This process might train as well.
        assert_eq!(open.uses(&nvidia_files(0), false), None);
    }

    #[test]
    fn own_render_node_is_used() {
        let proc = proc_fixture(&[(1, "", "/bin/train", &["/dev/dri/renderD128"])]);
        let open = OpenDevices::scan(proc.path(), 1);
        let files = |name| GpuDeviceFiles {
            paths: vec![Path::new("/dev/dri").join(name)],
            are_opened_by_nvml: false,
        };
        assert_eq!(open.uses(&files("renderD128"), false), Some(true));
        assert_eq!(open.uses(&files("renderD129"), false), Some(false));
    }

    #[test]
    fn unreadable_process_makes_result_unknown() {
        let proc = proc_fixture(&[(1, "2", "/bin/sootprint", &[]), (2, "", "/bin/python", &[])]);
        fs::remove_dir_all(proc.path().join("2/fd")).unwrap();
        assert_eq!(OpenDevices::scan(proc.path(), 1).uses(&nvidia_files(0), true), None);
    }

    #[test]
    fn device_files_are_found_by_pci_address() {
        let dir = tempfile::tempdir().unwrap();
        let (proc, sys) = (dir.path().join("proc"), dir.path().join("sys"));
        let information = proc.join("driver/nvidia/gpus/0000:c1:00.0");
        fs::create_dir_all(&information).unwrap();
        fs::write(information.join("information"), "Model: \t\t NVIDIA H200\nDevice Minor: \t 3\n").unwrap();
        let drm = sys.join("bus/pci/devices/0000:03:00.0/drm");
        for name in ["renderD129", "card1", "by-path"] {
            fs::create_dir_all(drm.join(name)).unwrap();
        }
        let find = |pci: &str| {
            let gpu = GpuInfo { pci: pci.to_owned(), ..GpuInfo::default() };
            let mut paths = GpuDeviceFiles::find(&gpu, &proc, &sys).paths;
            paths.sort();
            paths
        };
        assert_eq!(find("00000000:C1:00.0"), [PathBuf::from("/dev/nvidia3")]);
        assert_eq!(find("0000:03:00.0"), ["/dev/dri/card1", "/dev/dri/renderD129"].map(PathBuf::from));
        assert_eq!(find("0000:04:00.0"), Vec::<PathBuf>::new());
    }
}
