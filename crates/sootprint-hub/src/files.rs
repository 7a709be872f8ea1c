//! Which files of a folder are published.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::PublishError;
use crate::patterns::Patterns;

/// The card's name, in the folder and in the repository.
pub(crate) const CARD: &str = "README.md";

/// How the names of weights end: safetensors, and Burn's own format.
const WEIGHTS: [&str; 2] = [".safetensors", ".bpk"];

/// How the name of the file ends that says which tensor lies in which of several files of weights.
const INDEX: &str = ".safetensors.index.json";

/// What a model needs beside its weights.
const OTHERS: [&str; 5] = [
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// The files of a folder, sorted out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// What is published as it is, in the order of the names: weights, at least one, and what belongs to them.
    pub(crate) files: Vec<LocalFile>,
    /// The card, if the folder has one.
    pub(crate) card: Option<PathBuf>,
    /// The names of the other files in the folder itself, in order.
    pub(crate) left_out: Vec<String>,
}

/// A file that is published as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Its path in the folder and in the repository, with `/` between its parts.
    pub(crate) name: String,
    /// Where its bytes are, links resolved.
    pub(crate) path: PathBuf,
    /// Whether it is a file of weights.
    pub(crate) is_weights: bool,
}

/// What is wanted of a folder.
pub(crate) struct Wanted<'a> {
    pub(crate) patterns: &'a Patterns,
    /// Whether only the card is sent: then the rest is neither looked at nor needed.
    pub(crate) card_alone: bool,
}

/// Sorts out what lies in a folder. Its own folders are looked into only when a pattern asks for more.
///
/// # Errors
/// [`PublishError::NoWeights`] and [`PublishError::EmptyWeights`], [`PublishError::LinkOutside`] when a file that
/// would be published is a link out of the folder, [`PublishError::File`] when something cannot be read.
pub(crate) fn select(dir: &Path, wanted: &Wanted<'_>) -> Result<Selection, PublishError> {
    let unreadable = |source| PublishError::File { path: dir.to_owned(), source };
    let root = dir.canonicalize().map_err(unreadable)?;
    let mut selection = Selection { files: Vec::new(), card: None, left_out: Vec::new() };
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = format!("{folder}{}", entry.file_name().to_string_lossy());
            // A link to a folder is none: it could lead anywhere, also back here.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if wanted.patterns.asks_for_more() && !wanted.card_alone && !name.starts_with('.') {
                    folders.push(format!("{name}/"));
                }
            } else {
                sort_in(&mut selection, &root, &entry.path(), name, wanted)?;
            }
        }
    }
    selection.files.sort_by(|one, other| one.name.cmp(&other.name));
    selection.left_out.sort();
    if !wanted.card_alone {
        check_weights(dir, &selection.files)?;
    }
    Ok(selection)
}

fn sort_in(
    selection: &mut Selection,
    root: &Path,
    entry: &Path,
    name: String,
    wanted: &Wanted<'_>,
) -> Result<(), PublishError> {
    // What is made anew for each publication.
    if [CARD, sootprint::FILE_NAME].contains(&name.as_str()) {
        if name == CARD {
            selection.card = resolve(root, entry, wanted.patterns)?;
        }
        return Ok(());
    }
    let is_weights = WEIGHTS.iter().any(|ending| name.ends_with(ending));
    let is_usual =
        !name.contains('/') && (is_weights || name.ends_with(INDEX) || OTHERS.contains(&name.as_str()));
    if !wanted.card_alone && wanted.patterns.takes(&name, is_usual) {
        if let Some(path) = resolve(root, entry, wanted.patterns)? {
            selection.files.push(LocalFile { name, path, is_weights });
        }
    } else if !name.contains('/') {
        selection.left_out.push(name);
    }
    Ok(())
}

/// Refuses weights that no run can have made: none is newer than the run's start.
///
/// Two seconds are the coarsest that a file system in use counts in (FAT).
pub(crate) fn check_age(files: &[LocalFile], started: Option<SystemTime>) -> Result<(), PublishError> {
    let age = |file: &LocalFile| fs::metadata(&file.path).and_then(|metadata| metadata.modified()).ok();
    let newest = files.iter().filter(|file| file.is_weights).filter_map(|file| Some((age(file)?, file)));
    match (newest.max_by_key(|(age, _)| *age), started) {
        (Some((age, file)), Some(started)) if age + Duration::from_secs(2) < started => {
            Err(PublishError::OldWeights { path: file.path.clone() })
        }
        _ => Ok(()),
    }
}

/// The file that an entry of the folder is or links to; none when it is a folder or something else.
fn resolve(root: &Path, entry: &Path, patterns: &Patterns) -> Result<Option<PathBuf>, PublishError> {
    let unreadable = |source| PublishError::File { path: entry.to_owned(), source };
    let path = entry.canonicalize().map_err(unreadable)?;
    if !fs::metadata(&path).map_err(unreadable)?.is_file() {
        return Ok(None);
    }
    match path.strip_prefix(root) {
        // A link with a harmless name may lead to what nobody meant to publish: into `.git`, to a token.
        Ok(inside) if !patterns.never(&inside.to_string_lossy().replace('\\', "/")) => Ok(Some(path)),
        _ => Err(PublishError::LinkOutside { path: entry.to_owned(), target: path }),
    }
}

fn check_weights(dir: &Path, files: &[LocalFile]) -> Result<(), PublishError> {
    let mut weights = files.iter().filter(|file| file.is_weights).peekable();
    if weights.peek().is_none() {
        return Err(PublishError::NoWeights { dir: dir.to_owned() });
    }
    for file in weights {
        let length = fs::metadata(&file.path).map(|metadata| metadata.len());
        match length {
            Ok(0) => return Err(PublishError::EmptyWeights { path: file.path.clone() }),
            Ok(_) => {}
            Err(source) => return Err(PublishError::File { path: file.path.clone(), source }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patterns::Asked;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        dir
    }

    fn select(dir: &Path) -> Result<Selection, PublishError> {
        select_with(dir, Asked::default(), false)
    }

    fn select_with(dir: &Path, asked: Asked, card_alone: bool) -> Result<Selection, PublishError> {
        let patterns = Patterns::read(&asked)?;
        super::select(dir, &Wanted { patterns: &patterns, card_alone })
    }

    fn names(selection: &Selection) -> Vec<&str> {
        selection.files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn what_a_model_needs_is_taken_and_the_rest_named() {
        let dir = folder(&[
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
        let selection = select(dir.path()).unwrap();
        assert_eq!(
            names(&selection),
            ["config.json", "model.bpk", "model.safetensors", "model.safetensors.index.json"]
        );
        let weights: Vec<_> = selection.files.iter().map(|file| file.is_weights).collect();
        assert_eq!(weights, [false, true, true, false]);
        assert!(selection.card.is_some());
        assert_eq!(selection.left_out, [".env", "experiment.log"]);
    }

    #[test]
    fn folders_are_looked_into_when_a_pattern_asks_for_more() {
        let dir =
            folder(&["model.bpk", "onnx/model.onnx", ".git/config", "sootprint/1-a.jsonl", "train.log"]);
        let asked = Asked { allow: vec!["*".to_owned()], ignore: vec!["*.log".to_owned()] };
        let selection = select_with(dir.path(), asked, false).unwrap();
        assert_eq!(names(&selection), ["model.bpk", "onnx/model.onnx"]);
        assert_eq!(selection.left_out, ["train.log"]);
    }

    #[test]
    fn the_card_alone_needs_no_weights() {
        let dir = folder(&["README.md", "config.json"]);
        let selection = select_with(dir.path(), Asked::default(), true).unwrap();
        assert!(selection.card.is_some() && selection.files.is_empty());
        assert_eq!(selection.left_out, ["config.json"]);
    }

    #[test]
    fn weights_from_before_the_run_are_refused() {
        let dir = folder(&["model.bpk", "old.safetensors"]);
        let old = fs::File::options().write(true).open(dir.path().join("old.safetensors")).unwrap();
        let now = SystemTime::now();
        old.set_modified(now - Duration::from_secs(3_600)).unwrap();
        let files = select(dir.path()).unwrap().files;
        assert!(check_age(&files, Some(now)).is_ok(), "one file is newer");
        assert!(check_age(&files, None).is_ok(), "nobody knows when the run began");
        let error = check_age(&files, Some(now + Duration::from_secs(60))).unwrap_err();
        assert!(
            matches!(&error, PublishError::OldWeights { path } if path.ends_with("model.bpk")),
            "{error}"
        );
    }

    #[test]
    fn a_folder_without_weights_is_refused_by_name() {
        let dir = folder(&["config.json", "README.md"]);
        let error = select(dir.path()).unwrap_err();
        assert!(matches!(error, PublishError::NoWeights { .. }), "{error}");
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    }

    #[test]
    fn weights_without_bytes_are_refused_by_name() {
        let dir = folder(&["model.safetensors"]);
        fs::write(dir.path().join("model.bpk"), "").unwrap();
        let error = select(dir.path()).unwrap_err();
        assert!(
            matches!(&error, PublishError::EmptyWeights { path } if path.ends_with("model.bpk")),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = select(Path::new("nowhere/digits")).unwrap_err();
        assert!(error.to_string().contains("nowhere/digits"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_inside_the_folder_is_followed() {
        let dir = folder(&["checkpoint/model-10.safetensors"]);
        std::os::unix::fs::symlink("checkpoint/model-10.safetensors", dir.path().join("model.safetensors"))
            .unwrap();
        let selection = select(dir.path()).unwrap();
        assert_eq!(names(&selection), ["model.safetensors"]);
        assert!(selection.files[0].path.ends_with("checkpoint/model-10.safetensors"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_or_to_something_hidden_is_refused() {
        let outside = folder(&["secret"]);
        for target in [outside.path().join("secret"), PathBuf::from(".git/config"), PathBuf::from("token")] {
            for name in ["config.json", "README.md", "other.safetensors"] {
                let dir = folder(&["model.safetensors", ".git/config", "token"]);
                std::os::unix::fs::symlink(&target, dir.path().join(name)).unwrap();
                let error = select(dir.path()).unwrap_err();
                assert!(matches!(error, PublishError::LinkOutside { .. }), "{error}");
            }
        }
    }
}
