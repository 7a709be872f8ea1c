//! What a machine has to say beside its user's arguments. All of it is a value, so that a test has a machine of its own.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::file::{SettingsFile, SettingsScope};

/// The file of the whole machine's settings.
const SITE_FILE: &str = "/etc/sootprint.toml";

/// The name of the project's file and of the user's.
const SETTINGS_FILE_NAME: &str = "sootprint.toml";

/// The variables, the settings files in their order, the time zone and the year.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessEnv {
    /// Those that are set and not empty.
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) files: Vec<SettingsFile>,
    /// As in `Europe/Paris`.
    pub(super) time_zone: Option<String>,
    pub(super) year: u16,
}

impl ProcessEnv {
    /// This one. The tests of this crate see its variables and its clock only, whoever's machine they are run on.
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
            // `TZ` may name a file of the database, or begin with a colon.
            time_zone: time_zone.map(|zone| zone.trim_start_matches(':').to_owned()),
            ..process_env
        }
    }

    /// The same settings for something that need not be here: the time zone says nothing of it.
    pub(crate) fn without_time_zone(self) -> Self {
        Self { time_zone: None, ..self }
    }

    /// Of this year, in this time zone, without variables and files.
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

    /// The files that are there: the project's, which is the nearest in the working folder or above it, the user's and
    /// the site's.
    pub(super) fn settings_files(&self, working: Option<&Path>, site: &Path) -> Vec<SettingsFile> {
        let nearest =
            |dir: &Path| dir.ancestors().map(|dir| dir.join(SETTINGS_FILE_NAME)).find(|path| path.is_file());
        let config = self
            .path("XDG_CONFIG_HOME")
            // The specification asks to ignore a path that is not absolute.
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
            // A working folder inside the user's configuration makes one file two.
            let path = path.filter(|path| path.is_file() && files.iter().all(|file| file.path != *path));
            files.extend(path.map(|path| SettingsFile { scope, path }));
        }
        files
    }
}
