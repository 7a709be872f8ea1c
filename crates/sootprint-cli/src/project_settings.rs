//! Prints which settings file of a project is in use.

use sootprint::ProjectSettings;

use crate::terminal::eprint_message;

/// Prints the path and the keys of the file, if one is in use and sets anything.
pub(crate) fn eprint_project_settings() {
    if let Some(ProjectSettings { path, keys, .. }) = ProjectSettings::in_use()
        && !keys.is_empty()
    {
        eprint_message(format_args!("using {}: {}", path.display(), keys.join(", ")));
    }
}
