//! Atomic creation and replacement of files.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Replaces the contents of the file at `path`, or creates it. A symbolic link is kept; its target is replaced.
///
/// The new contents are written to a temporary file in the same folder, synchronised to the disk, and renamed over the
/// old file. Permissions are kept, and owner and group if the system allows it; access lists and other hard links are not.
///
/// # Errors
/// The error of the file system. The old file is then unchanged, except if only the synchronisation of the folder
/// failed: the new contents are then in place.
pub fn write_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    let target = resolve_link(path)?;
    let old = match fs::metadata(&target) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let file = write_temp_file(&target, contents, old.as_ref())?;
    file.persist(&target).map_err(|error| error.error)?;
    sync_dir(parent_dir(&target))
}

/// Creates the file at `path` with `contents`. Never replaces an existing file.
///
/// # Errors
/// The error of the file system; [`io::ErrorKind::AlreadyExists`] if the file exists.
pub fn create_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    let file = write_temp_file(path, contents, None)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_dir(parent_dir(path))
}

/// Reads a text file of at most `max_len` bytes.
///
/// # Errors
/// The errors of [`open_regular_file`], because reading another kind of file could block or never end; [`io::ErrorKind::FileTooLarge`] if it is longer.
pub fn read_text(path: &Path, max_len: u64) -> io::Result<String> {
    let bytes = read_bytes(path, max_len)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// Reads a file of at most `max_len` bytes.
///
/// # Errors
/// Those of [`read_text`].
pub fn read_bytes(path: &Path, max_len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular_file(path)?.take(max_len + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_len {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {} KB", max_len / 1024),
        ));
    }
    Ok(bytes)
}

/// Opens a file for reading.
///
/// # Errors
/// The error of the file system; [`io::ErrorKind::InvalidInput`] for a FIFO, a device or a folder.
pub fn open_regular_file(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// Returns whether the file at `path` is marked as read-only, or the current user may not write it.
#[must_use]
pub fn is_read_only(path: &Path) -> bool {
    let is_marked = fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly());
    let is_denied = || {
        let opened = File::options().write(true).open(path);
        opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    is_marked || is_denied()
}

/// Returns the folder that contains the file at `path`; `.` if `path` is a bare file name.
#[must_use]
pub fn parent_dir(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Returns the target of the symbolic link at `path`, even if that target does not exist. Any other path is returned
/// in canonical form, or unchanged if it does not exist.
///
/// # Errors
/// The error of the file system if the path cannot be resolved. A missing file is not an error.
pub fn resolve_link(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(match fs::read_link(path) {
            Ok(link) => path.parent().unwrap_or(Path::new("")).join(link),
            Err(_) => path.to_owned(),
        }),
        resolved => resolved,
    }
}

fn write_temp_file(target: &Path, contents: &[u8], old: Option<&Metadata>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sootprint-");
    // Temporary files are private by default; the umask reduces this mode to that of any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent_dir(target))?;
    file.write_all(contents)?;
    if let Some(old) = old {
        keep_owner(file.as_file(), old);
        // Set last, because a change of the owner removes the set-user-ID bit.
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

/// Gives a file the owner and the group of another one. Only root can give a file away, so failing is not an error.
#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) {
    use std::os::unix::fs::{MetadataExt as _, fchown};

    let _ = fchown(file, Some(old.uid()), Some(old.gid())).or_else(|_| fchown(file, None, Some(old.gid())));
}

#[cfg(not(unix))]
const fn keep_owner(_file: &File, _old: &Metadata) {}

/// Makes a rename durable. Only Unix can open and synchronise a folder.
#[cfg_attr(not(unix), expect(unused_variables, clippy::unnecessary_wraps))]
fn sync_dir(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn permissions_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn owner_is_kept_where_the_system_allows_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        fs::write(&path, "old").unwrap();
        // Only root can give a file away.
        let is_root = std::os::unix::fs::chown(&path, Some(12_345), Some(54_321)).is_ok();
        let old = fs::metadata(&path).unwrap();
        assert_eq!((old.uid(), old.gid()) == (12_345, 54_321), is_root);
        write_atomic(&path, b"new").unwrap();
        let new = fs::metadata(&path).unwrap();
        assert_eq!((new.uid(), new.gid()), (old.uid(), old.gid()));
        assert_ne!(new.ino(), old.ino());
    }

    #[test]
    fn new_file_has_default_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let [replaced, created, any] = ["README.md", "card.md", "any"].map(|name| dir.path().join(name));
        write_atomic(&replaced, b"new").unwrap();
        create_atomic(&created, b"new").unwrap();
        fs::write(&any, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().mode();
        assert_eq!((mode(&replaced), mode(&created)), (mode(&any), mode(&any)));
    }

    #[test]
    fn symlink_is_preserved() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("README.md"), dir.path().join("card.md"));
        symlink("card.md", &link).unwrap();
        for text in ["created", "changed"] {
            write_atomic(&link, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), text);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
    }

    #[test]
    fn missing_dir_leaves_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing").join("README.md");
        assert_eq!(write_atomic(&path, b"new").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn existing_file_is_not_recreated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        create_atomic(&path, b"first").unwrap();
        assert_eq!(create_atomic(&path, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
