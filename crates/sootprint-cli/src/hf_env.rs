//! Default settings for the Hub's storage client, which reads them only from the environment.
//!
//! A process cannot safely change its own environment, so sootprint re-executes itself with more variables before it
//! starts a thread. Variables that the user has set are kept, and the measured command does not get the defaults.

#[cfg(any(unix, test))]
use std::ffi::OsString;
use std::process::Command;

/// Lists the variables set here, separated by commas.
const REEXEC_VAR: &str = "SOOTPRINT_SET_VARIABLES";

/// A variable, its default, and the variables that override the default if the user has set any of them.
#[cfg(any(unix, test))]
struct EnvDefault {
    name: &'static str,
    value: &'static str,
    overridden_by: &'static [&'static str],
}

/// Disables transfer statistics, gives up on an unreachable storage server after seconds instead of minutes, and limits
/// the memory: each block of 64 MB under way is held until the storage has it.
#[cfg(any(unix, test))]
const ENV_DEFAULTS: [EnvDefault; 7] = [
    EnvDefault {
        name: "HF_HUB_DISABLE_TELEMETRY",
        value: "1",
        overridden_by: &["HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "HF_XET_TELEMETRY_ENABLED"],
    },
    EnvDefault {
        name: "HF_XET_CLIENT_AC_MAX_UPLOAD_CONCURRENCY",
        value: "2",
        overridden_by: &[
            "HF_XET_CLIENT_AC_MAX_UPLOAD_CONCURRENCY",
            "HF_XET_FIXED_UPLOAD_CONCURRENCY",
            "HF_XET_HIGH_PERFORMANCE",
        ],
    },
    // glibc returns larger blocks to the system as soon as they are free.
    EnvDefault {
        name: "MALLOC_MMAP_THRESHOLD_",
        value: "524288",
        overridden_by: &["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"],
    },
    EnvDefault {
        name: "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS",
        value: "3",
        overridden_by: &["HF_XET_CLIENT_RETRY_MAX_ATTEMPTS"],
    },
    EnvDefault {
        name: "HF_XET_CLIENT_RETRY_BASE_DELAY",
        value: "500ms",
        overridden_by: &["HF_XET_CLIENT_RETRY_BASE_DELAY"],
    },
    EnvDefault {
        name: "HF_XET_CLIENT_CONNECT_TIMEOUT",
        value: "15s",
        overridden_by: &["HF_XET_CLIENT_CONNECT_TIMEOUT"],
    },
    EnvDefault {
        name: "HF_XET_CLIENT_READ_TIMEOUT",
        value: "60s",
        overridden_by: &["HF_XET_CLIENT_READ_TIMEOUT"],
    },
];

/// Re-executes this program with the defaults; returns if there is nothing to set or the exec fails.
#[cfg(unix)]
pub(crate) fn reexec_with_defaults() {
    use std::os::unix::process::CommandExt as _;

    let missing = unset_defaults(&|name| std::env::var_os(name));
    let mut arguments = std::env::args_os();
    if missing.is_empty() || std::env::var_os(REEXEC_VAR).is_some() {
        return;
    }
    let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) else { return };
    let names: Vec<&str> = missing.iter().map(|setting| setting.name).collect();
    let mut command = Command::new(program);
    command.arg0(name).args(arguments).env(REEXEC_VAR, names.join(","));
    command.envs(missing.iter().map(|setting| (setting.name, setting.value)));
    // Returns only on failure; the client then uses its own defaults.
    let _ = command.exec();
}

/// Outside Unix a process cannot exec; the client uses its own defaults.
#[cfg(not(unix))]
pub(crate) fn reexec_with_defaults() {}

/// Removes the defaults from the environment of the measured command.
pub(crate) fn remove_defaults(command: &mut Command) {
    if let Ok(names) = std::env::var(REEXEC_VAR) {
        names.split(',').for_each(|name| {
            command.env_remove(name);
        });
        command.env_remove(REEXEC_VAR);
    }
}

#[cfg(any(unix, test))]
fn unset_defaults(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<&'static EnvDefault> {
    let is_overridden =
        |setting: &EnvDefault| setting.overridden_by.iter().any(|name| variable(name).is_some());
    ENV_DEFAULTS.iter().filter(|setting| !is_overridden(setting)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_choices_are_not_overridden() {
        assert_eq!(unset_defaults(&|_| None).len(), ENV_DEFAULTS.len());
        assert!(unset_defaults(&|_| Some(OsString::new())).is_empty());
        let missing = unset_defaults(&|name| (name == "DO_NOT_TRACK").then(OsString::new));
        assert!(missing.iter().all(|setting| setting.name != "HF_HUB_DISABLE_TELEMETRY"));
        assert_eq!(missing.len(), ENV_DEFAULTS.len() - 1);
    }
}
