//! Unix sockets in folders with long paths.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// The longest socket path that every Unix accepts, including the terminating zero.
const MAX_SOCKET_PATH: usize = 104;

/// Calls `open` with a short path to the same socket: socket paths are limited to about a hundred bytes, and Linux has a
/// short path for every open folder.
pub(crate) fn with_short_path<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) if cfg!(target_os = "linux") && path.as_os_str().len() >= MAX_SOCKET_PATH => {
            let dir_handle = File::open(dir)?;
            open(&Path::new("/proc/self/fd").join(dir_handle.as_raw_fd().to_string()).join(name))
        }
        _ => open(path),
    }
}
