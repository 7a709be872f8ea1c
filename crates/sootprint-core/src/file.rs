//! Files that are replaced as a whole or not at all.

#[cfg(unix)]
use std::fs::File;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Replaces the contents of the file at `path`, or creates it. A symbolic link stays: its target is replaced.
///
/// The new contents are written to a temporary file in the same folder, synchronised to the disk, and renamed over the
/// old file. Permissions are kept; owner, access lists and other hard links are not.
///
/// # Errors
/// Those of the file system. The old file is then unchanged.
pub fn write_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    let target = resolve_link(path)?;
    let permissions = match fs::metadata(&target) {
        Ok(old) => Some(old.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let file = write_temp_file(&target, contents, permissions)?;
    file.persist(&target).map_err(|error| error.error)?;
    sync_dir(parent_dir(&target))
}

/// Creates a file with these contents, and never replaces one that exists.
///
/// # Errors
/// Those of the file system; [`io::ErrorKind::AlreadyExists`] when the file exists.
pub fn create_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    let file = write_temp_file(path, contents, None)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_dir(parent_dir(path))
}

/// The folder that contains a file; `.` for a bare name.
#[must_use]
pub fn parent_dir(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

fn write_temp_file(
    target: &Path,
    contents: &[u8],
    permissions: Option<Permissions>,
) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sootprint-");
    // Temporary files are private by default; the umask reduces this mode to that of any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent_dir(target))?;
    file.write_all(contents)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

/// The target of a symbolic link, even if it does not exist yet; the path itself when it is no link.
///
/// # Errors
/// Those of the file system, except that a missing file is no error.
pub fn resolve_link(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(match fs::read_link(path) {
            Ok(link) => path.parent().unwrap_or(Path::new("")).join(link),
            Err(_) => path.to_owned(),
        }),
        resolved => resolved,
    }
}

/// The rename is durable once the folder is synchronised; only Unix lets a folder be opened.
#[cfg_attr(not(unix), expect(unused_variables, clippy::unnecessary_wraps))]
fn sync_dir(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    Ok(())
}
