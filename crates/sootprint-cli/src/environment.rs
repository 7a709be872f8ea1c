//! The settings of the storage's client, which reads them from the environment alone.
//!
//! A process cannot safely change its own environment, so sootprint starts itself anew before its first thread: the
//! same process, with more variables. What the user has chosen stays, and the measured command sees none of it.

#[cfg(any(unix, test))]
use std::ffi::OsString;
use std::process::Command;

/// Names what was set here, with commas between.
const SET: &str = "SOOTPRINT_SET_VARIABLES";

/// A variable, its value, and the variables by any of which the user has chosen already.
#[cfg(any(unix, test))]
struct Setting {
    name: &'static str,
    value: &'static str,
    chosen_by: &'static [&'static str],
}

/// No figures about transfers are posted, and a storage that is not there is given up after seconds, not minutes.
#[cfg(any(unix, test))]
const SETTINGS: [Setting; 5] = [
    Setting {
        name: "HF_HUB_DISABLE_TELEMETRY",
        value: "1",
        chosen_by: &["HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "HF_XET_TELEMETRY_ENABLED"],
    },
    Setting {
        name: "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS",
        value: "3",
        chosen_by: &["HF_XET_CLIENT_RETRY_MAX_ATTEMPTS"],
    },
    Setting {
        name: "HF_XET_CLIENT_RETRY_BASE_DELAY",
        value: "500ms",
        chosen_by: &["HF_XET_CLIENT_RETRY_BASE_DELAY"],
    },
    Setting {
        name: "HF_XET_CLIENT_CONNECT_TIMEOUT",
        value: "15s",
        chosen_by: &["HF_XET_CLIENT_CONNECT_TIMEOUT"],
    },
    Setting { name: "HF_XET_CLIENT_READ_TIMEOUT", value: "60s", chosen_by: &["HF_XET_CLIENT_READ_TIMEOUT"] },
];

/// Starts this program anew with what the user has not chosen; returns when nothing is to be set, or cannot be.
#[cfg(unix)]
pub(crate) fn prepare() {
    use std::os::unix::process::CommandExt as _;

    let missing = missing(&|name| std::env::var_os(name));
    let mut arguments = std::env::args_os();
    if missing.is_empty() || std::env::var_os(SET).is_some() {
        return;
    }
    let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) else { return };
    let names: Vec<&str> = missing.iter().map(|setting| setting.name).collect();
    let mut command = Command::new(program);
    command.arg0(name).args(arguments).env(SET, names.join(","));
    command.envs(missing.iter().map(|setting| (setting.name, setting.value)));
    // It returns only when it failed; then the client's own settings hold.
    let _ = command.exec();
}

/// Elsewhere a process cannot be replaced, and the client's own settings hold.
#[cfg(not(unix))]
pub(crate) fn prepare() {}

/// Takes out of a command's environment what was put in for sootprint itself.
pub(crate) fn restore(command: &mut Command) {
    if let Ok(names) = std::env::var(SET) {
        names.split(',').for_each(|name| {
            command.env_remove(name);
        });
        command.env_remove(SET);
    }
}

#[cfg(any(unix, test))]
fn missing(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<&'static Setting> {
    let is_chosen = |setting: &Setting| setting.chosen_by.iter().any(|name| variable(name).is_some());
    SETTINGS.iter().filter(|setting| !is_chosen(setting)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_has_chosen_is_not_set() {
        assert_eq!(missing(&|_| None).len(), SETTINGS.len());
        assert!(missing(&|_| Some(OsString::new())).is_empty());
        let missing = missing(&|name| (name == "DO_NOT_TRACK").then(OsString::new));
        assert!(missing.iter().all(|setting| setting.name != "HF_HUB_DISABLE_TELEMETRY"));
        assert_eq!(missing.len(), SETTINGS.len() - 1);
    }
}
