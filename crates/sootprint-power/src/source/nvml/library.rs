//! Loads the NVML library of this machine.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nvml_wrapper::Nvml;
use serde::{Deserialize, Serialize};
use sootprint_core::sync::lock_ignoring_poison;

/// The reason why NVML could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NvmlError {
    /// The helper process that reads NVML could not be started, or has ended.
    #[error("cannot read NVML in a helper process: {reason}")]
    NoHelper {
        /// The error of the operating system.
        reason: String,
    },
    /// The library cannot be loaded: there is no NVIDIA driver, or the library is not in the search path of
    /// the loader.
    #[error(
        "no NVML library: {library} cannot be loaded ({reason}); \
         install the NVIDIA driver or set SOOTPRINT_NVML to the library's path"
    )]
    NoLibrary {
        /// The name or path that was tried.
        library: String,
        /// The error of the loader.
        reason: String,
    },
    /// The library was loaded, but the driver does not respond.
    #[error("cannot initialise {library}: {reason}; `nvidia-smi` shows whether the driver is loaded")]
    NoDriver {
        /// The name or path that was tried.
        library: String,
        /// The error of the library.
        reason: String,
    },
}

/// The name of the library on Linux.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// Where driver packages put the library outside the loader's search path: WSL, Colab, Kaggle and GKE, and NixOS.
const PACKAGE_FOLDERS: [&str; 4] =
    ["/usr/lib/wsl/lib", "/usr/lib64-nvidia", "/usr/local/nvidia/lib64", "/run/opengl-driver/lib"];

/// Loads the library once per path and keeps it until the process ends.
///
/// Loading takes a second on large machines, which a second run should not pay again. A device of `nvml-wrapper`
/// borrows its library, which must therefore outlive every run.
pub(super) fn load_library(path: Option<&OsStr>) -> Result<&'static Nvml, NvmlError> {
    static LOADED_LIBRARIES: Mutex<Option<HashMap<Option<OsString>, &'static Nvml>>> = Mutex::new(None);

    let mut loaded = lock_ignoring_poison(&LOADED_LIBRARIES);
    let opened = loaded.get_or_insert_default();
    let key = path.map(OsStr::to_owned);
    if let Some(library) = opened.get(&key) {
        return Ok(library);
    }
    let library = match init(path) {
        // The loader does not search the folders of some driver packages.
        Err(error @ NvmlError::NoLibrary { .. }) if path.is_none() => match packaged_library() {
            Some(packaged) => init(Some(packaged.as_os_str()))?,
            None => return Err(error),
        },
        library => library?,
    };
    let library: &'static _ = Box::leak(Box::new(library));
    opened.insert(key, library);
    Ok(library)
}

fn init(path: Option<&OsStr>) -> Result<Nvml, NvmlError> {
    let mut builder = Nvml::builder();
    if let Some(path) = path {
        builder.lib_path(path);
    }
    builder.init().map_err(|error| match &error {
        nvml_wrapper::error::NvmlError::LibloadingError(reason) => {
            NvmlError::NoLibrary { library: library_name(path), reason: reason.to_string() }
        }
        _ => no_driver_error(path, &error),
    })
}

/// Returns the library of a driver package outside the loader's search path, if only root can have written it.
fn packaged_library() -> Option<PathBuf> {
    PACKAGE_FOLDERS.iter().map(|folder| Path::new(folder).join(LIBRARY)).find(|path| is_of_root(path))
}

#[cfg(unix)]
fn is_of_root(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;

    let is_safe = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|it| it.uid() == 0 && it.mode() & GROUP_OR_OTHERS_WRITE == 0)
    };
    let target = std::fs::canonicalize(path);
    target.is_ok_and(|target| target.ancestors().all(is_safe))
}

#[cfg(not(unix))]
fn is_of_root(_: &Path) -> bool {
    false
}

pub(super) fn no_driver_error(path: Option<&OsStr>, error: &nvml_wrapper::error::NvmlError) -> NvmlError {
    NvmlError::NoDriver { library: library_name(path), reason: error.to_string() }
}

fn library_name(path: Option<&OsStr>) -> String {
    path.map_or_else(|| LIBRARY.to_owned(), |path| path.to_string_lossy().into_owned())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn library_in_writable_folder_is_refused() {
        // The folders above it, such as /tmp, are open to others.
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join(LIBRARY);
        fs::write(&library, "").unwrap();
        fs::set_permissions(&library, Permissions::from_mode(0o644)).unwrap();
        assert!(!is_of_root(&library));
        assert!(!is_of_root(&dir.path().join("missing")));
        assert!(is_of_root(Path::new("/etc/passwd")), "only root can write it");
    }
}
