//! Selects the files of a folder that are pushed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::PushError;
use crate::file_matcher::FileMatcher;

/// The name of the model card, in the folder and in the repository.
pub(crate) const CARD_FILE: &str = "README.md";

/// Weights: safetensors, and Burn's own format.
const WEIGHT_SUFFIXES: [&str; 2] = [".safetensors", ".bpk"];

/// The index of weights that are split into several files.
const WEIGHT_INDEX_SUFFIX: &str = ".safetensors.index.json";

/// Files that a model needs in addition to its weights.
const COMPANION_FILES: [&str; 5] = [
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// The files of a folder, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectedFiles {
    /// Files that are pushed unchanged, sorted by name: at least one file of weights, and the files that belong to it.
    pub(crate) files: Vec<LocalFile>,
    /// The card, if the folder contains one.
    pub(crate) card: Option<PathBuf>,
    /// Sorted names of the other files in the folder, without subfolders.
    pub(crate) skipped_files: Vec<String>,
}

/// A file that is pushed unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Its path in the folder and in the repository, separated by `/`.
    pub(crate) name: String,
    /// Its path on disk, with links resolved.
    pub(crate) path: PathBuf,
    /// Whether it is a file of weights.
    pub(crate) is_weights: bool,
}

/// Options of the selection.
pub(crate) struct SelectOptions<'a> {
    pub(crate) matcher: &'a FileMatcher,
    /// Whether only the card is sent, so that weights are neither read nor required.
    pub(crate) card_only: bool,
}

/// Classifies the files of a folder. Subfolders are searched only if there are allow patterns.
///
/// # Errors
/// [`PushError::NoWeights`] and [`PushError::EmptyWeights`], [`PushError::UnsafeSymlink`] if a file that would be
/// pushed is a link out of the folder, [`PushError::UnreadableFile`] if a file or folder cannot be read.
pub(crate) fn select_files(dir: &Path, options: &SelectOptions<'_>) -> Result<SelectedFiles, PushError> {
    let unreadable = |source| PushError::UnreadableFile { path: dir.to_owned(), source };
    let root = dir.canonicalize().map_err(unreadable)?;
    let mut selection = SelectedFiles { files: Vec::new(), card: None, skipped_files: Vec::new() };
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = format!("{folder}{}", entry.file_name().to_string_lossy());
            // Links to folders are not followed: they may lead anywhere, or in a circle.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if options.matcher.has_allow_patterns() && !options.card_only && !name.starts_with('.') {
                    folders.push(format!("{name}/"));
                }
            } else {
                classify_entry(&mut selection, &root, &entry.path(), name, options)?;
            }
        }
    }
    selection.files.sort_by(|one, other| one.name.cmp(&other.name));
    selection.skipped_files.sort();
    if !options.card_only {
        check_weights(dir, &selection.files)?;
    }
    Ok(selection)
}

fn classify_entry(
    selection: &mut SelectedFiles,
    root: &Path,
    entry: &Path,
    name: String,
    options: &SelectOptions<'_>,
) -> Result<(), PushError> {
    // Card and footprint are generated for each push.
    if [CARD_FILE, sootprint::Footprint::FILE_NAME].contains(&name.as_str()) {
        if name == CARD_FILE {
            selection.card = resolve_file(root, entry, options.matcher)?;
        }
        return Ok(());
    }
    let is_weights = WEIGHT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    let is_default = !name.contains('/')
        && (is_weights || name.ends_with(WEIGHT_INDEX_SUFFIX) || COMPANION_FILES.contains(&name.as_str()));
    if !options.card_only && options.matcher.is_selected(&name, is_default) {
        if let Some(path) = resolve_file(root, entry, options.matcher)? {
            selection.files.push(LocalFile { name, path, is_weights });
        }
    } else if !name.contains('/') {
        selection.skipped_files.push(name);
    }
    Ok(())
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

/// Resolves an entry to a regular file; `None` for a folder or a special file.
fn resolve_file(root: &Path, entry: &Path, matcher: &FileMatcher) -> Result<Option<PathBuf>, PushError> {
    let unreadable = |source| PushError::UnreadableFile { path: entry.to_owned(), source };
    let path = entry.canonicalize().map_err(unreadable)?;
    if !fs::metadata(&path).map_err(unreadable)?.is_file() {
        return Ok(None);
    }
    match path.strip_prefix(root) {
        // A link with a harmless name may lead into `.git` or to a token.
        Ok(inside) if !matcher.is_always_excluded(&inside.to_string_lossy().replace('\\', "/")) => {
            Ok(Some(path))
        }
        _ => Err(PushError::UnsafeSymlink { path: entry.to_owned(), target: path }),
    }
}

fn check_weights(dir: &Path, files: &[LocalFile]) -> Result<(), PushError> {
    let mut weights = files.iter().filter(|file| file.is_weights).peekable();
    if weights.peek().is_none() {
        return Err(PushError::NoWeights { dir: dir.to_owned() });
    }
    for file in weights {
        let length = fs::metadata(&file.path).map(|metadata| metadata.len());
        match length {
            Ok(0) => return Err(PushError::EmptyWeights { path: file.path.clone() }),
            Ok(_) => {}
            Err(source) => return Err(PushError::UnreadableFile { path: file.path.clone(), source }),
        }
    }
    Ok(())
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
            fs::write(path, "x").unwrap();
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

    #[test]
    fn model_files_selected_and_rest_listed() {
        let dir = dir_with_files(&[
            "model.safetensors",
            "model.safetensors.index.json",
            "model.bpk",
            "config.json",
            "README.md",
            "footprint.json",
            "experiment.log",
            ".env",
            "train/epoch-1/Loss.log",
            "checkpoint/model.safetensors",
            ".git/config",
            ".sootprint/run.jsonl",
        ]);
        fs::create_dir(dir.path().join("tokenizer.json")).unwrap();
        let selection = select_default(dir.path()).unwrap();
        assert_eq!(
            file_names(&selection),
            ["config.json", "model.bpk", "model.safetensors", "model.safetensors.index.json"]
        );
        let weights: Vec<_> = selection.files.iter().map(|file| file.is_weights).collect();
        assert_eq!(weights, [false, true, true, false]);
        assert!(selection.card.is_some());
        assert_eq!(selection.skipped_files, [".env", "experiment.log"]);
    }

    #[test]
    fn allow_pattern_selects_from_subfolders() {
        let dir = dir_with_files(&[
            "model.bpk",
            "onnx/model.onnx",
            ".git/config",
            "sootprint/1-a.jsonl",
            "train.log",
        ]);
        let patterns = FilePatterns { allow: vec!["*".to_owned()], ignore: vec!["*.log".to_owned()] };
        let selection = select_with(dir.path(), patterns, false).unwrap();
        assert_eq!(file_names(&selection), ["model.bpk", "onnx/model.onnx"]);
        assert_eq!(selection.skipped_files, ["train.log"]);
    }

    #[test]
    fn card_only_needs_no_weights() {
        let dir = dir_with_files(&["README.md", "config.json"]);
        let selection = select_with(dir.path(), FilePatterns::default(), true).unwrap();
        assert!(selection.card.is_some() && selection.files.is_empty());
        assert_eq!(selection.skipped_files, ["config.json"]);
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
        assert!(matches!(&error, PushError::EmptyWeights { path } if path.ends_with("model.bpk")), "{error}");
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
