//! The project's settings file: where it is searched, and whether it can be trusted.
//!
//! A program may start in a folder in which others can write, such as `/tmp`. What they leave there must not change its
//! figures or where it publishes them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sootprint_core::file::read_text;

use super::settings_file::SETTINGS_FILE_NAME;

/// Settings files are at most this long.
const MAX_FILE_SIZE: u64 = 64 * 1024;

/// Returns the nearest settings file in `working` or above it. The search ends at the user's home, at the root of a
/// repository and at a mount point.
pub(super) fn find_project_file(working: &Path, home: Option<&Path>) -> Option<PathBuf> {
    for folder in working.ancestors() {
        let path = folder.join(SETTINGS_FILE_NAME);
        // Even if it is no regular file, it is the project's.
        if fs::symlink_metadata(&path).is_ok() {
            return Some(path);
        }
        let is_boundary = Some(folder) == home
            || folder.join(".git").exists()
            || folder.parent().is_some_and(|parent| is_other_device(folder, parent));
        if is_boundary {
            return None;
        }
    }
    None
}

/// Checks that only this user and root can have written a file.
///
/// # Errors
/// Why others may have written it.
pub(super) fn check_owner(path: &Path) -> Result<(), String> {
    let path = fs::canonicalize(path).map_err(|error| error.to_string())?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    check_writers(&path, "it")?;
    check_writers(folder, "its folder")
}

/// Reads a settings file.
///
/// # Errors
/// If it is no regular file, longer than 64 KB, not text or cannot be read.
pub(super) fn read_settings(path: &Path) -> io::Result<String> {
    read_text(path, MAX_FILE_SIZE)
}

#[cfg(unix)]
fn check_writers(path: &Path, subject: &str) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;

    const ROOT: u32 = 0;
    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;

    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    let user = rustix::process::geteuid().as_raw();
    if ![user, ROOT].contains(&metadata.uid()) {
        return Err(format!("{subject} belongs to another user"));
    }
    if metadata.mode() & GROUP_OR_OTHERS_WRITE != 0 {
        return Err(format!("others can write to {subject}; `chmod go-w` changes that"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_writers(_: &Path, _: &str) -> Result<(), String> {
    Ok(())
}

#[cfg(unix)]
fn is_other_device(folder: &Path, parent: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(folder) != device(parent)
}

#[cfg(not(unix))]
fn is_other_device(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn search_ends_at_home_and_repository() {
        let dir = tempfile::tempdir().unwrap();
        let working = dir.path().join("a/b/c");
        fs::create_dir_all(&working).unwrap();
        let file = dir.path().join("a").join(SETTINGS_FILE_NAME);
        fs::write(&file, "").unwrap();
        assert_eq!(find_project_file(&working, None), Some(file.clone()));
        assert_eq!(find_project_file(&working, Some(&dir.path().join("a"))), Some(file.clone()));
        assert_eq!(find_project_file(&working, Some(&dir.path().join("a/b"))), None);
        fs::create_dir(dir.path().join("a/b/.git")).unwrap();
        assert_eq!(find_project_file(&working, None), None);
        assert_eq!(find_project_file(&dir.path().join("a"), None), Some(file));
        assert_eq!(find_project_file(Path::new("/proc/self"), None), None, "a mount point");
    }

    #[test]
    fn file_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(SETTINGS_FILE_NAME);
        fs::write(&file, "").unwrap();
        set_mode(&file, 0o644);
        assert_eq!(check_owner(&file), Ok(()));
        for mode in [0o664, 0o646] {
            set_mode(&file, mode);
            assert!(check_owner(&file).is_err_and(|reason| reason.contains("write to it")));
        }
        set_mode(&file, 0o600);
        set_mode(dir.path(), 0o777);
        assert!(check_owner(&file).is_err_and(|reason| reason.contains("write to its folder")));
        // The target of a link counts, not the link.
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join(SETTINGS_FILE_NAME);
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(check_owner(&link).is_err_and(|reason| reason.contains("write to its folder")));
    }

    #[test]
    fn only_short_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "#".repeat(65_536)).unwrap();
        assert!(read_settings(&file).is_ok());
        fs::write(&file, "#".repeat(65_537)).unwrap();
        assert!(read_settings(&file).is_err_and(|error| error.to_string().contains("64 KB")));
        for path in ["/dev/zero", "/dev/tty", "/proc/self"] {
            assert!(read_settings(Path::new(path)).is_err(), "{path}");
        }
    }
}
