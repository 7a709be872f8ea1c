//! Loads the NVML library of this machine.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::Mutex;

use nvml_wrapper::Nvml;
use serde::{Deserialize, Serialize};
use sootprint_core::sync::lock_ignoring_poison;

/// The reason why NVML could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NvmlError {
    /// The helper process that reads NVML could not be started, or has ended.
    #[error("cannot read NVML: {reason}")]
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
