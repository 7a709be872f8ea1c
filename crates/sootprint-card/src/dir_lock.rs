//! Files that are written whole or not at all.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Replaces what is in the file at `path`, or creates it. A link stays a link: its target is replaced.
///
/// The new text goes into a temporary file beside the old one, is synchronised to the disk, and takes the old one's
/// place in one step; permissions are kept. Owner, access lists and other hard links are not.
pub(crate) fn write_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    let target = resolve_link(path)?;
    let dir = parent_dir(&target);
    let permissions = match fs::metadata(&target) {
        Ok(old) => Some(old.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };

    let mut builder = tempfile::Builder::new();
    builder.prefix(".sootprint-");
    if let Some(permissions) = new_file_permissions() {
        builder.permissions(permissions);
    }
    let mut file = builder.tempfile_in(dir)?;
    file.write_all(contents)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    sync_dir(dir)
}

/// One writer in a folder at a time, from reading a card to writing it.
///
/// It locks the folder itself: the card's own file is replaced by each writer, and a file for the lock alone would be
/// left behind. The system ends the lock when its holder dies. Where the system locks no folders, there is no lock;
/// every card is whole all the same.
#[derive(Debug)]
pub(crate) struct DirLock {
    _dir: Option<File>,
}

impl DirLock {
    /// Waits until no other writer holds it; [`io::ErrorKind::WouldBlock`] when one does for longer than this.
    pub(crate) fn acquire(card: &Path, timeout: Duration) -> io::Result<Self> {
        let Ok(dir) = File::open(parent_dir(card)) else { return Ok(Self { _dir: None }) };
        let deadline = Instant::now() + timeout;
        loop {
            match dir.try_lock() {
                Ok(()) => return Ok(Self { _dir: Some(dir) }),
                Err(TryLockError::Error(_)) => return Ok(Self { _dir: None }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(LOCK_RETRY_INTERVAL)
                }
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }
}

/// Writing a card takes milliseconds, a hundred of them at once some seconds. Who holds the folder longer than this
/// is stuck.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Between two attempts at the lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// The folder that a file lies in.
pub(crate) fn parent_dir(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The file that a link leads to, even when it is not there yet.
pub(crate) fn resolve_link(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(match fs::read_link(path) {
            Ok(link) => path.parent().unwrap_or(Path::new("")).join(link),
            Err(_) => path.to_owned(),
        }),
        found => found,
    }
}

/// What the user's umask makes of a file that everybody may read; temporary files are private otherwise.
#[cfg(unix)]
fn new_file_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn new_file_permissions() -> Option<Permissions> {
    None
}

/// The new name is on the disk once the folder is; other systems than Unix do not let a folder be opened.
#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_dir(_: &Path) -> io::Result<()> {
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
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn new_file_has_default_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, any) = (dir.path().join("README.md"), dir.path().join("any"));
        write_atomic(&ours, b"new").unwrap();
        fs::write(&any, "").unwrap();
        assert_eq!(fs::metadata(ours).unwrap().mode(), fs::metadata(any).unwrap().mode());
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
    fn dir_lock_is_exclusive_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let card = dir.path().join("README.md");
        let (waited, holder) = (dir.path().join("held"), DirLock::acquire(&card, LOCK_TIMEOUT).unwrap());
        assert!(holder._dir.is_some(), "this system locks folders");
        let error = DirLock::acquire(&card, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let _lock = DirLock::acquire(&card, LOCK_TIMEOUT).unwrap();
                assert!(waited.exists(), "the lock was given while another one held it");
            });
            thread::sleep(Duration::from_millis(50));
            fs::write(&waited, "").unwrap();
            drop(holder);
            second.join().unwrap();
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no file is left behind for the lock");
    }
}
