//! A machine made of files, for tests.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Allocation, Environment};

/// A folder with `proc` and `sys` of some machine.
pub(crate) struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    /// A machine whose processors have all rested since it started, without groups and limits.
    pub(crate) fn new(processors: usize, memory_gib: u64) -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        machine.write("proc/meminfo", &format!("MemTotal: {:>14} kB\nMemFree: 1 kB\n", memory_gib << 20));
        machine.write("proc/self/cgroup", "0::/\n");
        machine.write("sys/fs/cgroup/cgroup.procs", "1\n");
        machine.worked(&vec![0; processors]);
        machine
    }

    /// With one more file, named from the machine's root.
    pub(crate) fn with(self, file: &str, text: &str) -> Self {
        self.write(file, text);
        self
    }

    /// The hundredths of a second that each of its processors has worked since it started.
    pub(crate) fn worked(&self, ticks: &[u64]) {
        let line = |name: &str, ticks: u64| format!("{name} {ticks} 0 0 900 9 0 0 5 0 0\n");
        let mut stat = line("cpu ", ticks.iter().sum());
        ticks.iter().enumerate().for_each(|(number, ticks)| stat += &line(&format!("cpu{number}"), *ticks));
        self.write("proc/stat", &(stat + "intr 1 2 3\n"));
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let file = self.root.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.root.path().join(file)).unwrap();
    }

    pub(crate) fn proc(&self) -> PathBuf {
        self.root.path().join("proc")
    }

    pub(crate) fn sys(&self) -> PathBuf {
        self.root.path().join("sys")
    }

    pub(crate) fn cgroup(&self) -> PathBuf {
        self.sys().join("fs/cgroup")
    }

    pub(crate) fn allocation(&self, variables: &[(&str, &str)]) -> Allocation {
        self.find(&|name| value(variables, name)).unwrap()
    }

    pub(crate) fn find(&self, environment: Environment<'_>) -> Option<Allocation> {
        Allocation::find(&self.proc(), &self.cgroup(), environment)
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }
}

/// The value of a variable in a list of them.
pub(crate) fn value(variables: &[(&str, &str)], name: &str) -> Option<String> {
    variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}
