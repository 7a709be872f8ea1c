//! Where the library and its script lie.

#![expect(unsafe_code, reason = "dladdr is the only way for a library to learn where it was loaded from")]

use crate::script::NvmlScript;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The environment variable with the path of the script: `SCRIPTED_NVML`. It wins over the file beside the library.
pub const SCRIPT_ENV_VAR: &str = "SCRIPTED_NVML";

/// What the script beside the library is called.
const SCRIPT_FILE_NAME: &str = "script.nvml";

/// What programs ask the dynamic loader for.
const LIBRARY_FILE_NAME: &str = "libnvidia-ml.so.1";

/// Puts a copy of the library, with its script beside it, into a folder; answers the path of the copy.
///
/// Load the copy by that path (`Nvml::builder().lib_path(…)`, `SOOTPRINT_NVML`), or put the folder into `LD_LIBRARY_PATH` of a
/// process that asks for `libnvidia-ml.so.1`.
///
/// A process has one library of each path, and the script that it was first initialised with until its last shutdown: for another
/// script at the same time, take another folder. Installing again replaces the files; who has loaded the former ones keeps them.
///
/// # Errors
///
/// Those of [`library_path`] and of [`NvmlScript::write`], and what copying meets.
pub fn install(script: &NvmlScript, folder: impl AsRef<Path>) -> io::Result<PathBuf> {
    let (folder, built) = (folder.as_ref(), library_path()?);
    let library = folder.join(LIBRARY_FILE_NAME);
    fs::create_dir_all(folder)?;
    script.write(folder.join(SCRIPT_FILE_NAME))?;
    // Writing over a file that is loaded would change the code under a running program; a new file under the name does not.
    match fs::remove_file(&library) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::copy(built, &library)?;
    Ok(library)
}

/// The library as cargo has built it, for a test, a benchmark, an example or a binary that depends on this crate.
///
/// Cargo puts it into the folder `deps` of the profile: that of a test or a benchmark itself, a neighbour of an example's, below a
/// binary's. Documentation tests run elsewhere and do not find it.
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

/// The script that this library follows: the variable's, else the one beside it.
pub(crate) fn script_path() -> Option<PathBuf> {
    let named = env::var_os(SCRIPT_ENV_VAR).filter(|path| !path.is_empty());
    named.map(PathBuf::from).or_else(|| Some(loaded_library_path()?.parent()?.join(SCRIPT_FILE_NAME)))
}

/// The file that says why a script was refused.
pub(crate) fn error_file_path(script: &Path) -> PathBuf {
    let mut name = OsString::from(script);
    name.push(".error");
    PathBuf::from(name)
}

/// The file that this code was loaded from.
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
    // SAFETY: any address may be asked for, and `place` is a `Dl_info` that may be written.
    let found = unsafe { dladdr((&raw const OWN_SYMBOL).cast(), &raw mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: dladdr has succeeded, so that this is a text which the loader keeps as long as this code is loaded.
    let file = unsafe { CStr::from_ptr(info.file) };
    Some(PathBuf::from(OsStr::from_bytes(file.to_bytes())))
}

/// Elsewhere the script has to be named by the environment variable.
#[cfg(not(unix))]
fn own_path() -> Option<PathBuf> {
    None
}
