//! A settings file on this machine.

use std::fmt;
use std::path::PathBuf;

/// The name of the project's and the user's settings file.
pub(super) const SETTINGS_FILE_NAME: &str = "sootprint.toml";

/// A `sootprint.toml`. There may be three of them, in order of precedence:
/// - the project's: the nearest one in the working directory or above it; the search ends at the user's home, the root of
///   a repository or a mount point
/// - the user's, in `$XDG_CONFIG_HOME/sootprint` or `~/.config/sootprint`
/// - the site's, in `/etc`
///
/// Arguments and environment variables take precedence over all files. Each key is taken from the first source that sets
/// it, except that a `place` or an `intensity` also hides `place`, `intensity` and `series` of later sources. The keys:
///
/// ```toml
/// place = "US-VA"          # or a cloud region, as in "aws:us-east-1"
/// intensity = 56           # in g CO2e per kWh, replaces the figure of the place
/// series = "hours.csv"     # hourly intensities; the path is relative to this file
/// provider = "uk"          # live provider for `sootprint run --live`
/// pue = 1.2
/// nvml = "/usr/lib/libnvidia-ml.so.1"   # not in a project's file
/// baseline = 5             # measure the idle power for 5 seconds before a run; at most 60
/// metadata = false         # never query the cloud's metadata service
/// repository = "me/digits" # default repository of a push; does not start one
/// ```
///
/// On Unix, a project's file is only used if it and its folder belong to this user or root, and only they can write to
/// them. It cannot name the NVML library, which is code that runs in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    pub(super) scope: SettingsScope,
    pub(super) path: PathBuf,
}

/// The scope of a settings file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingsScope {
    Project,
    User,
    Site,
}

impl SettingsFile {
    /// A description without the path, which may contain a user name.
    pub(super) const fn description_without_path(&self) -> &'static str {
        match self.scope {
            SettingsScope::Project => "the project's sootprint.toml",
            SettingsScope::User => "the user's sootprint.toml",
            SettingsScope::Site => "the site's sootprint.toml",
        }
    }
}

impl fmt::Display for SettingsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}
