//! The environment of the process, as a value that tests can construct.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::project_file::find_project_file;
use super::settings_file::{SETTINGS_FILE_NAME, SettingsFile, SettingsScope};

/// The settings file of the whole machine.
const SITE_FILE: &str = "/etc/sootprint.toml";

/// The environment variables, the settings files in order of precedence, the time zone and the year.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessEnv {
    /// Variables with a non-empty value.
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) files: Vec<SettingsFile>,
    /// As in `Europe/Paris`.
    pub(super) time_zone: Option<String>,
    pub(super) year: u16,
}

impl ProcessEnv {
    /// The environment of this process. In the tests of this crate it contains no settings files and no time zone, so
    /// that they do not depend on the machine.
    pub(crate) fn current() -> Self {
        let year = Timestamp::now().to_zoned(TimeZone::UTC).year();
        let process_env = Self {
            variables: env::vars_os().filter(|(_, value)| !value.is_empty()).collect(),
            year: u16::try_from(year).unwrap_or_default(),
            ..Self::default()
        };
        if cfg!(test) {
            return process_env;
        }
        let time_zone = process_env.text("TZ").or_else(|| iana_time_zone::get_timezone().ok());
        Self {
            files: process_env.settings_files(env::current_dir().ok().as_deref(), Path::new(SITE_FILE)),
            // `TZ` may start with a colon.
            time_zone: time_zone.map(|zone| zone.trim_start_matches(':').to_owned()),
            ..process_env
        }
    }

    /// Without the time zone, for trainings that did not necessarily run on this machine.
    pub(crate) fn without_time_zone(self) -> Self {
        Self { time_zone: None, ..self }
    }

    /// An environment with this year and time zone, without variables and files.
    #[cfg(test)]
    pub(crate) fn without_variables(year: u16, time_zone: Option<&str>) -> Self {
        Self { year, time_zone: time_zone.map(str::to_owned), ..Self::default() }
    }

    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        let (_, value) = self.variables.iter().find(|(known, _)| known == name)?;
        Some(value.clone())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.variable(name).map(|value| value.to_string_lossy().into_owned())
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from)
    }

    /// The existing files: the project's, which is the nearest one in the working directory or above it within the user's
    /// home or the repository, the user's and the site's.
    pub(super) fn settings_files(&self, working: Option<&Path>, site: &Path) -> Vec<SettingsFile> {
        let home = self.path("HOME");
        let nearest = |dir: &Path| find_project_file(dir, home.as_deref());
        let config = self
            .path("XDG_CONFIG_HOME")
            // The XDG specification requires relative paths to be ignored.
            .filter(|path| path.is_absolute())
            .or_else(|| Some(self.path("HOME")?.join(".config")));
        let user = config.map(|config| config.join("sootprint").join(SETTINGS_FILE_NAME));
        let candidates = [
            (SettingsScope::Project, working.and_then(nearest)),
            (SettingsScope::User, user),
            (SettingsScope::Site, Some(site.to_owned())),
        ];
        let mut files: Vec<SettingsFile> = Vec::new();
        for (scope, path) in candidates {
            // In a working directory within the user's configuration, both scopes find the same file.
            let path = path.filter(|path| path.exists() && files.iter().all(|file| file.path != *path));
            files.extend(path.map(|path| SettingsFile { scope, path }));
        }
        files
    }
}
