//! The helper process that reads NVIDIA GPUs.
//!
//! sootprint is the parent of the training. If a driver call that is stuck in the kernel kept it from exiting, the
//! training's own exit status would not arrive.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use sootprint::NvmlHelperCommand;

/// The first argument of the helper process, before the path of the NVML library if it is not the system's.
const HELPER_ARG: &str = "__nvml";

/// The command that starts the helper process. `None` if the path of this program is unknown.
pub(crate) fn helper_command() -> Option<NvmlHelperCommand> {
    let program = std::env::current_exe().ok()?;
    Some(NvmlHelperCommand { program, arguments: vec![HELPER_ARG.into()] })
}

/// If this process is the helper, serves its parent and returns the exit status; `None` otherwise.
pub(crate) fn serve_if_helper() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != HELPER_ARG {
        return None;
    }
    // If the parent has abandoned a call that does not return, the helper ends with it.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let library = arguments.next().map(PathBuf::from);
    // An error means that the parent is gone, so there is no one to report it to.
    let _ = sootprint::serve_nvml(library.as_deref(), io::stdin().lock(), io::stdout().lock());
    Some(ExitCode::SUCCESS)
}
