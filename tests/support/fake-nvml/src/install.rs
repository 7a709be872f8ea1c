//! Locations of the library and its script.

#![expect(unsafe_code, reason = "dladdr is the only way for a library to learn where it was loaded from")]

use crate::script::NvmlScript;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The environment variable with the path of the script: `SCRIPTED_NVML`. It takes precedence over the file
/// next to the library.
pub const SCRIPT_ENV_VAR: &str = "SCRIPTED_NVML";

/// The name of the script next to the library.
const SCRIPT_FILE_NAME: &str = "script.nvml";

/// The library name that programs pass to the dynamic loader.
const LIBRARY_FILE_NAME: &str = "libnvidia-ml.so.1";

/// Copies the library and its script into a folder and returns the path of the copy.
///
/// Load the copy by that path (`Nvml::builder().lib_path(…)`, `SOOTPRINT_NVML`), or add the folder to the
/// `LD_LIBRARY_PATH` of a process that loads `libnvidia-ml.so.1`.
///
/// A process loads each path once, and the library keeps its script from the first initialisation to the last
/// shutdown: to use two scripts at the same time, use two folders. Installing again replaces the files;
/// processes that have loaded the old library keep it.
///
/// # Errors
///
/// Errors of [`library_path`], of [`NvmlScript::write`] and of copying the file.
pub fn install(script: &NvmlScript, folder: impl AsRef<Path>) -> io::Result<PathBuf> {
    let (folder, built) = (folder.as_ref(), library_path()?);
    let library = folder.join(LIBRARY_FILE_NAME);
    fs::create_dir_all(folder)?;
    script.write(folder.join(SCRIPT_FILE_NAME))?;
    // Overwriting a loaded file would change the code of a running program; creating a new file does not.
    match fs::remove_file(&library) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::copy(built, &library)?;
    Ok(library)
}

/// The library built by cargo, for a test, benchmark, example or binary that depends on this crate.
///
/// Cargo puts it into the `deps` folder of the profile: the folder of a test or benchmark, next to the folder
/// of an example, below the folder of a binary. Doctests run elsewhere and do not find it.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) with the folders that were searched.
pub fn library_path() -> io::Result<PathBuf> {
    let executable = env::current_exe()?;
    let folder = executable.parent().unwrap_or(Path::new("."));
    let file = format!("{DLL_PREFIX}nvidia_ml{DLL_SUFFIX}");
    let candidates =
        [folder.join(&file), folder.join("deps").join(&file), folder.join("../deps").join(&file)];
    let found = candidates.iter().find(|place| place.is_file());
    found.cloned().ok_or_else(|| {
        let searched: Vec<String> = candidates.iter().map(|place| place.display().to_string()).collect();
        let message = format!(
            "the scripted NVML library is not built: looked for {}; try `cargo build -p fake-nvml`",
            searched.join(", ")
        );
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

/// The script of this library: from the environment variable, otherwise next to the library.
pub(crate) fn script_path() -> Option<PathBuf> {
    let named = env::var_os(SCRIPT_ENV_VAR).filter(|path| !path.is_empty());
    named.map(PathBuf::from).or_else(|| Some(loaded_library_path()?.parent()?.join(SCRIPT_FILE_NAME)))
}

/// The file with the reason why a script was rejected.
pub(crate) fn error_file_path(script: &Path) -> PathBuf {
    let mut name = OsString::from(script);
    name.push(".error");
    PathBuf::from(name)
}

/// The file from which this code was loaded.
#[cfg(unix)]
fn loaded_library_path() -> Option<PathBuf> {
    use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
    use std::os::unix::ffi::OsStrExt;

    /// `Dl_info` of `dlfcn.h`.
    #[repr(C)]
    struct DlInfo {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }

    unsafe extern "C" {
        fn dladdr(address: *const c_void, place: *mut DlInfo) -> c_int;
    }

    static OWN_SYMBOL: u8 = 0;
    let null: *mut c_void = std::ptr::null_mut();
    let mut info = DlInfo { file: null.cast(), base: null, symbol: null.cast(), address: null };
    // SAFETY: dladdr accepts any address, and `info` is a writable `Dl_info`.
    let found = unsafe { dladdr((&raw const OWN_SYMBOL).cast(), &raw mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: dladdr succeeded, so this is a C string that the loader keeps while this code is loaded.
    let file = unsafe { CStr::from_ptr(info.file) };
    Some(PathBuf::from(OsStr::from_bytes(file.to_bytes())))
}

/// On other systems the script must be set by the environment variable.
#[cfg(not(unix))]
fn loaded_library_path() -> Option<PathBuf> {
    None
}
