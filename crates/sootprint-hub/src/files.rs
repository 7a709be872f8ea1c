//! Selects the files of a folder that are pushed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use crate::error::PushError;
use crate::exclusions::{ExcludedPath, ExclusionReason};
use crate::file_matcher::FileMatcher;
use crate::local_file::LocalFile;
use crate::references::missing_references;
use crate::weights_check::check_weights;
use crate::weights_names::is_weights_name;

/// The name of the model card, in the folder and in the repository.
pub(crate) const CARD_FILE: &str = "README.md";

/// The Hub refuses larger files.
/// <https://huggingface.co/docs/hub/repositories-recommendations>
const MAX_FILE_SIZE: u64 = 50_000_000_000;

/// The most files in one folder of a repository, and in the whole repository.
const MAX_FILES_PER_FOLDER: usize = 10_000;
const MAX_FILES: usize = 100_000;

/// The files of a folder, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectedFiles {
    /// Files that are pushed unchanged, sorted by name: at least one file of weights, and the files that belong to it.
    pub(crate) files: Vec<LocalFile>,
    /// The card, if the folder contains one.
    pub(crate) card: Option<PathBuf>,
    /// The other files, and folders without a selected file, sorted.
    pub(crate) excluded: Vec<ExcludedPath>,
    /// Files that others refer to and that are missing.
    pub(crate) warnings: Vec<String>,
}

/// Options of the selection.
pub(crate) struct SelectOptions<'a> {
    pub(crate) matcher: &'a FileMatcher,
    /// Whether only the card is sent, so that weights are neither read nor required.
    pub(crate) card_only: bool,
}

/// Classifies the files of a folder and its subfolders, and checks the weights.
///
/// # Errors
/// [`PushError::NoWeights`] and [`PushError::InvalidWeights`]; [`PushError::UnsafeSymlink`] if a file that would be
/// pushed is a link out of the folder; [`PushError::FileTooLarge`] and [`PushError::TooManyFiles`] beyond the Hub's
/// limits; [`PushError::InvalidFileName`] for a name that is not UTF-8; [`PushError::UnreadableFile`] if a file or folder
/// cannot be read.
pub(crate) fn select_files(dir: &Path, options: &SelectOptions<'_>) -> Result<SelectedFiles, PushError> {
    let unreadable = |source| PushError::UnreadableFile { path: dir.to_owned(), source };
    let root = dir.canonicalize().map_err(unreadable)?;
    let files = SelectedFiles { files: Vec::new(), card: None, excluded: Vec::new(), warnings: Vec::new() };
    let mut walk = FolderWalk { root: &root, options, selection: files };
    walk.visit_folder("", None)?;
    let mut selection = walk.selection;
    selection.files.sort_by(|one, other| one.name.cmp(&other.name));
    selection.excluded.sort();
    if selection.files.len() >= MAX_FILES {
        return Err(too_many_files(dir, selection.files.len(), MAX_FILES));
    }
    if !options.card_only {
        if !selection.files.iter().any(|file| file.is_weights) {
            return Err(PushError::NoWeights { dir: dir.to_owned() });
        }
        check_weights(&selection.files)?;
        selection.warnings = missing_references(&selection.files);
    }
    Ok(selection)
}

fn no_regular_file(path: &Path) -> PushError {
    let source = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; replace or remove it");
    PushError::UnreadableFile { path: path.to_owned(), source }
}

fn too_many_files(dir: &Path, count: usize, limit: usize) -> PushError {
    PushError::TooManyFiles { dir: dir.to_owned(), count, limit }
}

/// Visits a folder and its subfolders.
struct FolderWalk<'a> {
    root: &'a Path,
    options: &'a SelectOptions<'a>,
    selection: SelectedFiles,
}

impl FolderWalk<'_> {
    /// `folder` is empty for the root. `inherited`: why the folder is left out unless a pattern allows a file.
    fn visit_folder(&mut self, folder: &str, inherited: Option<ExclusionReason>) -> Result<(), PushError> {
        let path = self.root.join(folder);
        let unreadable = |source| PushError::UnreadableFile { path: path.clone(), source };
        let mut entries = fs::read_dir(&path)
            .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
            .map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let before = self.selection.files.len();
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            let is_valid = name.to_str().is_some_and(|name| !name.contains(char::is_control));
            let name = name.to_string_lossy().escape_debug().to_string();
            let name = match entry.file_name().to_str().filter(|_| is_valid) {
                Some(name) => name.to_owned(),
                None => name,
            };
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            // Links to folders are not followed: they may lead anywhere, or in a circle.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_valid {
                let reason = self.exclusion(&name, is_folder, inherited);
                let reason = reason.ok_or_else(|| PushError::InvalidFileName { path: path.clone() })?;
                self.selection.excluded.push(ExcludedPath { path: name, reason });
            } else if is_folder && name == CARD_FILE {
                return Err(no_regular_file(&path));
            } else if is_folder {
                self.visit_subfolder(name, inherited)?;
            } else {
                self.visit_file(&path, name, inherited)?;
            }
        }
        let direct =
            |file: &&LocalFile| file.name.rsplit_once('/').map_or("", |(parent, _)| parent) == folder;
        let count = self.selection.files[before..].iter().filter(direct).count();
        if count >= MAX_FILES_PER_FOLDER {
            return Err(too_many_files(&path, count, MAX_FILES_PER_FOLDER));
        }
        Ok(())
    }

    /// Why a file or folder is left out, unless a pattern allows a file in it.
    fn exclusion(
        &self,
        name: &str,
        is_folder: bool,
        inherited: Option<ExclusionReason>,
    ) -> Option<ExclusionReason> {
        let matcher = self.options.matcher;
        match (self.options.card_only, is_folder) {
            (true, _) => Some(ExclusionReason::CardOnly),
            (false, true) => matcher.folder_exclusion(name).or(inherited),
            (false, false) => matcher.file_exclusion(name, inherited),
        }
    }

    fn visit_subfolder(&mut self, name: String, inherited: Option<ExclusionReason>) -> Result<(), PushError> {
        let may_allow_inside =
            |reason| !self.options.card_only && self.options.matcher.may_allow_inside(&name, reason);
        match self.exclusion(&name, true, inherited) {
            Some(reason) if !may_allow_inside(reason) => {
                self.selection.excluded.push(ExcludedPath { path: format!("{name}/"), reason });
            }
            reason => {
                let (selected, excluded) = (self.selection.files.len(), self.selection.excluded.len());
                self.visit_folder(&name, reason)?;
                if self.selection.files.len() == selected {
                    self.join_excluded(excluded, &name);
                }
            }
        }
        Ok(())
    }

    /// Replaces the entries from `first` on, all of one folder, by the folder if they have the same reason.
    fn join_excluded(&mut self, first: usize, folder: &str) {
        let of_folder = &self.selection.excluded[first..];
        if let Some(reason) = of_folder.first().map(|it| it.reason)
            && of_folder.iter().all(|it| it.reason == reason)
        {
            self.selection.excluded.truncate(first);
            self.selection.excluded.push(ExcludedPath { path: format!("{folder}/"), reason });
        }
    }

    fn visit_file(
        &mut self,
        entry: &Path,
        name: String,
        inherited: Option<ExclusionReason>,
    ) -> Result<(), PushError> {
        // Card and footprint are generated for each push.
        if [CARD_FILE, sootprint::Footprint::FILE_NAME].contains(&name.as_str()) {
            if name == CARD_FILE {
                self.selection.card = self.resolve_file(entry)?;
                if self.selection.card.is_none() {
                    return Err(no_regular_file(entry));
                }
            }
            return Ok(());
        }
        if let Some(reason) = self.exclusion(&name, false, inherited) {
            self.selection.excluded.push(ExcludedPath { path: name, reason });
            return Ok(());
        }
        match self.resolve_file(entry)? {
            Some(path) => {
                let size = fs::metadata(&path).map(|it| it.len());
                let size =
                    size.map_err(|source| PushError::UnreadableFile { path: entry.to_owned(), source })?;
                if size > MAX_FILE_SIZE {
                    return Err(PushError::FileTooLarge { path, size, limit: MAX_FILE_SIZE });
                }
                let is_weights = is_weights_name(&name);
                self.selection.files.push(LocalFile { name, path, is_weights });
            }
            None => {
                let reason = ExclusionReason::NotRegularFile;
                self.selection.excluded.push(ExcludedPath { path: name, reason });
            }
        }
        Ok(())
    }

    /// Resolves an entry to a regular file; `None` for a link to a folder, or a special file.
    fn resolve_file(&self, entry: &Path) -> Result<Option<PathBuf>, PushError> {
        let unreadable = |source| PushError::UnreadableFile { path: entry.to_owned(), source };
        let path = entry.canonicalize().map_err(|source| match entry.symlink_metadata() {
            Ok(link) if link.is_symlink() => PushError::BrokenSymlink { path: entry.to_owned(), source },
            _ => unreadable(source),
        })?;
        if !fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Ok(None);
        }
        match path.strip_prefix(self.root).map(Path::to_str) {
            // A link with a harmless name may lead into `.git` or to a token.
            Ok(Some(inside)) if self.is_link_target_allowed(inside) => Ok(Some(path)),
            _ => Err(PushError::UnsafeSymlink { path: entry.to_owned(), target: path }),
        }
    }
}

impl FolderWalk<'_> {
    /// Whether a path in the folder may be sent under another name.
    fn is_link_target_allowed(&self, inside: &str) -> bool {
        let path = inside.replace(std::path::MAIN_SEPARATOR, "/");
        path == CARD_FILE || self.options.matcher.fixed_exclusion(&path).is_none()
    }
}

/// Refuses weights that the run cannot have produced, because all of them are older than its start.
///
/// The tolerance of 2 s is the time resolution of FAT, the coarsest of the file systems in use.
pub(crate) fn check_weights_age(files: &[LocalFile], started: Option<SystemTime>) -> Result<(), PushError> {
    let modified_at =
        |file: &LocalFile| fs::metadata(&file.path).and_then(|metadata| metadata.modified()).ok();
    let newest =
        files.iter().filter(|file| file.is_weights).filter_map(|file| Some((modified_at(file)?, file)));
    match (newest.max_by_key(|(age, _)| *age), started) {
        (Some((age, file)), Some(started)) if age + Duration::from_secs(2) < started => {
            Err(PushError::StaleWeights { path: file.path.clone() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_matcher::FilePatterns;

    fn dir_with_files(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // A safetensors file without tensors.
            let content = if name.ends_with(".safetensors") { "\x02\0\0\0\0\0\0\0{}" } else { "x" };
            fs::write(path, content).unwrap();
        }
        dir
    }

    fn select_default(dir: &Path) -> Result<SelectedFiles, PushError> {
        select_with(dir, FilePatterns::default(), false)
    }

    fn select_with(
        dir: &Path,
        file_patterns: FilePatterns,
        card_only: bool,
    ) -> Result<SelectedFiles, PushError> {
        let matcher = FileMatcher::compile(&file_patterns)?;
        super::select_files(dir, &SelectOptions { matcher: &matcher, card_only })
    }

    fn file_names(selection: &SelectedFiles) -> Vec<&str> {
        selection.files.iter().map(|file| file.name.as_str()).collect()
    }

    fn excluded_paths(selection: &SelectedFiles) -> Vec<String> {
        selection.excluded.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn folder_is_selected_except_state_and_records() {
        let dir = dir_with_files(&[
            "model.safetensors",
            "model.bpk",
            "config.json",
            "chat_template.jinja",
            "merges.txt",
            "unet/diffusion_pytorch_model.safetensors",
            "1_Pooling/config.json",
            "README.md",
            "footprint.json",
            "experiment.log",
            ".env",
            "hf_token.txt",
            "train/epoch-1/Loss.log",
            "train/epoch-2/Loss.log",
            "checkpoint/model-1.bpk",
            ".git/config",
            "sootprint/1-a.jsonl",
        ]);
        let selection = select_default(dir.path()).unwrap();
        assert_eq!(
            file_names(&selection),
            [
                "1_Pooling/config.json",
                "chat_template.jinja",
                "config.json",
                "merges.txt",
                "model.bpk",
                "model.safetensors",
                "unet/diffusion_pytorch_model.safetensors"
            ]
        );
        let weights = selection.files.iter().filter(|file| file.is_weights).map(|file| file.name.as_str());
        assert_eq!(
            weights.collect::<Vec<_>>(),
            ["model.bpk", "model.safetensors", "unet/diffusion_pytorch_model.safetensors"]
        );
        assert!(selection.card.is_some());
        assert_eq!(
            excluded_paths(&selection),
            [
                ".env (hidden)",
                ".git/ (hidden)",
                "checkpoint/ (training state)",
                "experiment.log (log)",
                "hf_token.txt (name typical of credentials)",
                "sootprint/ (record of sootprint)",
                "train/ (log)"
            ]
        );
    }

    #[test]
    fn exact_path_allows_one_file_of_a_folder_for_credentials() {
        let dir = dir_with_files(&["model.bpk", "secrets/map.json", "secrets/other.json", "secrets/.env"]);
        for (pattern, expected) in [
            ("secrets/map.json", vec!["model.bpk", "secrets/map.json"]),
            ("secrets/*", vec!["model.bpk"]),
            ("secrets", vec!["model.bpk"]),
        ] {
            let patterns = FilePatterns { allow: vec![pattern.to_owned()], ignore: Vec::new() };
            let selection = select_with(dir.path(), patterns, false).unwrap();
            assert_eq!(file_names(&selection), expected, "{pattern}");
        }
    }

    #[test]
    fn allow_pattern_includes_what_is_left_out() {
        let dir = dir_with_files(&[
            "model.bpk",
            "checkpoint/model-1.bpk",
            "checkpoint/optim-1.bpk",
            ".git/config",
            "sootprint/1-a.jsonl",
            "train.log",
        ]);
        let patterns =
            FilePatterns { allow: vec!["checkpoint/model*".to_owned()], ignore: vec!["*.log".to_owned()] };
        let selection = select_with(dir.path(), patterns, false).unwrap();
        assert_eq!(file_names(&selection), ["checkpoint/model-1.bpk", "model.bpk"]);
        assert_eq!(
            excluded_paths(&selection),
            [
                ".git/ (hidden)",
                "checkpoint/optim-1.bpk (training state)",
                "sootprint/ (record of sootprint)",
                "train.log (ignored)"
            ]
        );
    }

    #[test]
    fn card_only_needs_no_weights() {
        let dir = dir_with_files(&["README.md", "config.json"]);
        let selection = select_with(dir.path(), FilePatterns::default(), true).unwrap();
        assert!(selection.card.is_some() && selection.files.is_empty());
        assert_eq!(excluded_paths(&selection), ["config.json (only the card is pushed)"]);
    }

    #[test]
    fn limits_of_the_hub_are_errors() {
        let dir = dir_with_files(&["model.bpk"]);
        let huge = fs::File::create(dir.path().join("huge.bin")).unwrap();
        huge.set_len(MAX_FILE_SIZE + 1).unwrap();
        let error = select_default(dir.path()).unwrap_err();
        assert!(
            matches!(&error, PushError::FileTooLarge { path, .. } if path.ends_with("huge.bin")),
            "{error}"
        );
        assert!(error.to_string().contains("51 GB, but the Hub accepts at most 50 GB"), "{error}");
        fs::remove_file(dir.path().join("huge.bin")).unwrap();

        fs::create_dir(dir.path().join("data")).unwrap();
        for number in 0..MAX_FILES_PER_FOLDER {
            fs::write(dir.path().join(format!("data/{number}")), "").unwrap();
        }
        let error = select_default(dir.path()).unwrap_err();
        assert!(matches!(error, PushError::TooManyFiles { count: 10_000, .. }), "{error}");
        fs::remove_file(dir.path().join("data/7")).unwrap();
        assert_eq!(select_default(dir.path()).unwrap().files.len(), 10_000);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn name_that_is_not_utf8_is_refused() {
        use std::os::unix::ffi::OsStrExt as _;

        let dir = dir_with_files(&["model.bpk"]);
        for name in [&b"caf\xe9.txt"[..], b"w\x1b[2J\nok.bin"] {
            let path = dir.path().join(std::ffi::OsStr::from_bytes(name));
            fs::write(&path, "").unwrap();
            let error = select_default(dir.path()).unwrap_err();
            assert!(matches!(error, PushError::InvalidFileName { .. }), "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
            let ignored =
                FilePatterns { ignore: vec!["*.txt".into(), "*.bin".into()], ..FilePatterns::default() };
            let selection = select_with(dir.path(), ignored, false).unwrap();
            assert!(!selection.excluded[0].path.contains(char::is_control));
            fs::remove_file(path).unwrap();
        }
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b".hidden\xe9")), "").unwrap();
        assert!(select_default(dir.path()).is_ok(), "left out anyway");
    }

    #[cfg(unix)]
    #[test]
    fn card_that_is_no_file_is_refused() {
        let dir = dir_with_files(&["model.bpk", "README.md/x"]);
        let error = select_default(dir.path()).unwrap_err();
        assert!(
            matches!(&error, PushError::UnreadableFile { path, .. } if path.ends_with("README.md")),
            "{error}"
        );
        let dir = dir_with_files(&["model.bpk"]);
        std::os::unix::fs::symlink("nowhere", dir.path().join("a.txt")).unwrap();
        let error = select_default(dir.path()).unwrap_err();
        assert!(matches!(error, PushError::BrokenSymlink { .. }), "{error}");
        assert!(
            select_with(
                dir.path(),
                FilePatterns { ignore: vec!["a.txt".into()], ..FilePatterns::default() },
                false
            )
            .is_ok()
        );
    }

    #[cfg(unix)]
    #[test]
    fn special_files_and_links_to_folders_are_left_out() {
        let dir = dir_with_files(&["model.bpk", "a/x.txt"]);
        std::os::unix::fs::symlink("a", dir.path().join("b")).unwrap();
        let status = std::process::Command::new("mkfifo").arg(dir.path().join("fifo")).status();
        assert!(status.unwrap().success());
        let selection = select_default(dir.path()).unwrap();
        assert_eq!(file_names(&selection), ["a/x.txt", "model.bpk"]);
        assert_eq!(excluded_paths(&selection), ["b (not a regular file)", "fifo (not a regular file)"]);
    }

    #[test]
    fn weights_older_than_run_are_refused() {
        let dir = dir_with_files(&["model.bpk", "old.safetensors"]);
        let old = fs::File::options().write(true).open(dir.path().join("old.safetensors")).unwrap();
        let now = SystemTime::now();
        old.set_modified(now - Duration::from_secs(3_600)).unwrap();
        let files = select_default(dir.path()).unwrap().files;
        assert!(check_weights_age(&files, Some(now)).is_ok(), "one file is newer");
        assert!(check_weights_age(&files, None).is_ok(), "unknown start of the run");
        let error = check_weights_age(&files, Some(now + Duration::from_secs(60))).unwrap_err();
        assert!(matches!(&error, PushError::StaleWeights { path } if path.ends_with("model.bpk")), "{error}");
    }

    #[test]
    fn folder_without_weights_is_named() {
        let dir = dir_with_files(&["config.json", "README.md"]);
        let error = select_default(dir.path()).unwrap_err();
        assert!(matches!(error, PushError::NoWeights { .. }), "{error}");
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    }

    #[test]
    fn empty_weights_file_is_named() {
        let dir = dir_with_files(&["model.safetensors"]);
        fs::write(dir.path().join("model.bpk"), "").unwrap();
        let error = select_default(dir.path()).unwrap_err();
        assert!(
            matches!(&error, PushError::InvalidWeights { path, .. } if path.ends_with("model.bpk")),
            "{error}"
        );
    }

    #[test]
    fn missing_folder_is_named() {
        let error = select_default(Path::new("nowhere/digits")).unwrap_err();
        assert!(error.to_string().contains("nowhere/digits"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn symlink_inside_folder_is_followed() {
        let dir = dir_with_files(&["checkpoint/model-10.safetensors"]);
        std::os::unix::fs::symlink("checkpoint/model-10.safetensors", dir.path().join("model.safetensors"))
            .unwrap();
        let selection = select_default(dir.path()).unwrap();
        assert_eq!(file_names(&selection), ["model.safetensors"]);
        assert!(selection.files[0].path.ends_with("checkpoint/model-10.safetensors"));
    }

    #[cfg(unix)]
    #[test]
    fn symlink_outside_or_hidden_is_refused() {
        let outside = dir_with_files(&["secret"]);
        for target in [outside.path().join("secret"), PathBuf::from(".git/config"), PathBuf::from("token")] {
            for name in ["config.json", "README.md", "other.safetensors"] {
                let dir = dir_with_files(&["model.safetensors", ".git/config", "token"]);
                std::os::unix::fs::symlink(&target, dir.path().join(name)).unwrap();
                let error = select_default(dir.path()).unwrap_err();
                assert!(matches!(error, PushError::UnsafeSymlink { .. }), "{error}");
            }
        }
    }
}
