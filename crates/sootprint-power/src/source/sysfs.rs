//! Kernel files that hold one value each.

use std::io;
use std::path::Path;

use sootprint_core::{Energy, Power};

/// Reads a file that holds one integer.
///
/// # Errors
/// The error of the operating system, or that the content is not an integer.
pub(super) fn read_number(path: &Path) -> io::Result<u64> {
    let text = read_line(path)?;
    let not_a_number = |_| io::Error::new(io::ErrorKind::InvalidData, format!("`{text}` is not an integer"));
    text.parse().map_err(not_a_number)
}

/// Reads a file of one line.
///
/// # Errors
/// The error of the operating system.
pub(super) fn read_line(path: &Path) -> io::Result<String> {
    Ok(std::fs::read_to_string(path)?.trim().to_owned())
}

/// Converts the unit of the kernel's energy counters.
pub(super) fn energy_from_microjoules(microjoules: u64) -> Energy {
    // A u64 of microjoules loses precision in an f64 only beyond 2^53 µJ: a microjoule in 2.5 MWh.
    Energy::from_joules(microjoules as f64 / 1e6)
}

/// Converts the unit of the kernel's power readings and limits.
pub(super) fn power_from_microwatts(microwatts: u64) -> Power {
    Power::from_watts(microwatts as f64 / 1e6)
}

/// A tree of such files, for tests.
#[cfg(unix)]
#[cfg(test)]
pub(super) mod fixture {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A folder in place of `/sys`.
    pub(crate) struct SysfsFixture(tempfile::TempDir);

    impl SysfsFixture {
        pub(crate) fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        pub(crate) fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        /// Writes single-value files into a folder. Like the kernel's, they end with a line feed.
        pub(crate) fn write_files(&self, folder: &str, files: &[(&str, &str)]) -> &Self {
            fs::create_dir_all(self.path(folder)).unwrap();
            for (file, value) in files {
                fs::write(self.path(folder).join(file), format!("{value}\n")).unwrap();
            }
            self
        }

        /// Puts a folder in place of a file, which even root cannot read.
        pub(crate) fn make_unreadable(&self, path: &str) -> &Self {
            let _ = fs::remove_file(self.path(path));
            fs::create_dir_all(self.path(path)).unwrap();
            self
        }

        pub(crate) fn remove_dir(&self, path: &str) -> &Self {
            fs::remove_dir_all(self.path(path)).unwrap();
            self
        }

        pub(crate) fn symlink(&self, path: &str, target: impl AsRef<Path>) -> &Self {
            std::os::unix::fs::symlink(target, self.path(path)).unwrap();
            self
        }
    }
}
