//! The NVML library of this machine: where it is, and why it cannot be used.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::Mutex;

use nvml_wrapper::Nvml;
use sootprint_core::sync::lock_ignoring_poison;

/// Why NVML could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NvmlError {
    /// There is no such library: no NVIDIA driver, or not where the loader looks.
    #[error(
        "no NVML library: {library} cannot be loaded ({reason}); \
         install NVIDIA's driver, or name the library's path in SOOTPRINT_NVML"
    )]
    NoLibrary {
        /// The name or path that was tried.
        library: String,
        /// What the loader says.
        reason: String,
    },
    /// The library is there and its driver does not answer.
    #[error("{library} does not start: {reason}; `nvidia-smi` shows whether the driver is loaded")]
    NoDriver {
        /// The name or path that was tried.
        library: String,
        /// What the library says.
        reason: String,
    },
}

/// The library, opened once per path and kept until the process ends.
///
/// Opening takes the driver a second on a large machine, so a second run must not pay it again; and a device of
/// `nvml-wrapper` borrows its library, which therefore has to outlive every run.
pub(super) fn load_library(path: Option<&OsStr>) -> Result<&'static Nvml, NvmlError> {
    static LOADED_LIBRARIES: Mutex<Option<HashMap<Option<OsString>, &'static Nvml>>> = Mutex::new(None);

    let mut loaded = lock_ignoring_poison(&LOADED_LIBRARIES);
    let opened = loaded.get_or_insert_default();
    let key = path.map(OsStr::to_owned);
    if let Some(library) = opened.get(&key) {
        return Ok(library);
    }
    let mut builder = Nvml::builder();
    if let Some(path) = path {
        builder.lib_path(path);
    }
    let library = builder.init().map_err(|error| match &error {
        nvml_wrapper::error::NvmlError::LibloadingError(reason) => {
            NvmlError::NoLibrary { library: library_name(path), reason: reason.to_string() }
        }
        _ => no_driver_error(path, &error),
    })?;
    let library: &'static _ = Box::leak(Box::new(library));
    opened.insert(key, library);
    Ok(library)
}

pub(super) fn no_driver_error(path: Option<&OsStr>, error: &nvml_wrapper::error::NvmlError) -> NvmlError {
    NvmlError::NoDriver { library: library_name(path), reason: error.to_string() }
}

fn library_name(path: Option<&OsStr>) -> String {
    path.map_or_else(|| "libnvidia-ml.so.1".to_owned(), |path| path.to_string_lossy().into_owned())
}
