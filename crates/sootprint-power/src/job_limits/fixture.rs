//! A machine in a temporary folder, for tests.

use std::fs;
use std::path::{Path, PathBuf};

use super::JobLimits;
use crate::env::VariableLookup;

/// A folder with the `proc` and `sys` of a machine.
pub(crate) struct HostFixture {
    root: tempfile::TempDir,
}

impl HostFixture {
    /// A machine whose CPUs have been idle since boot, without control groups and limits.
    pub(crate) fn new(cpus: usize, memory_gib: u64) -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        machine
            .write_file("proc/meminfo", &format!("MemTotal: {:>14} kB\nMemFree: 1 kB\n", memory_gib << 20));
        machine.write_file("proc/self/cgroup", "0::/\n");
        machine.write_file("sys/fs/cgroup/cgroup.procs", "1\n");
        machine.set_cpu_ticks(&vec![0; cpus]);
        machine
    }

    /// Adds a file, relative to the machine's root.
    pub(crate) fn with_file(self, file: &str, text: &str) -> Self {
        self.write_file(file, text);
        self
    }

    /// Sets the busy time of each CPU since boot, in hundredths of a second.
    pub(crate) fn set_cpu_ticks(&self, ticks: &[u64]) {
        let line = |name: &str, ticks: u64| format!("{name} {ticks} 0 0 900 9 0 0 5 0 0\n");
        let mut stat = line("cpu ", ticks.iter().sum());
        ticks.iter().enumerate().for_each(|(number, ticks)| stat += &line(&format!("cpu{number}"), *ticks));
        self.write_file("proc/stat", &(stat + "intr 1 2 3\n"));
    }

    pub(crate) fn write_file(&self, file: &str, text: &str) {
        let file = self.root.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(crate) fn remove_file(&self, file: &str) {
        fs::remove_file(self.root.path().join(file)).unwrap();
    }

    pub(crate) fn proc_dir(&self) -> PathBuf {
        self.root.path().join("proc")
    }

    pub(crate) fn sys_dir(&self) -> PathBuf {
        self.root.path().join("sys")
    }

    pub(crate) fn cgroup_dir(&self) -> PathBuf {
        self.sys_dir().join("fs/cgroup")
    }

    pub(crate) fn job_limits(&self, variables: &[(&str, &str)]) -> JobLimits {
        self.detect_limits(&|name| lookup_variable(variables, name)).unwrap()
    }

    pub(crate) fn detect_limits(&self, read_variable: VariableLookup<'_>) -> Option<JobLimits> {
        JobLimits::detect_at(&self.proc_dir(), &self.cgroup_dir(), read_variable)
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }
}

/// The value of a variable in a list of them.
pub(crate) fn lookup_variable(variables: &[(&str, &str)], name: &str) -> Option<String> {
    variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}
