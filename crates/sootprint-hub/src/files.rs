//! Which files of a folder are published.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::error::PublishError;

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
    /// The names of the other files, in order.
    pub(crate) left_out: Vec<String>,
}

/// A file that is published as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Its name, in the folder and in the repository.
    pub(crate) name: String,
    /// Where its bytes are, links resolved.
    pub(crate) path: PathBuf,
    /// Whether it is a file of weights.
    pub(crate) is_weights: bool,
}

/// Sorts out what lies in a folder itself; its folders are not looked into.
///
/// # Errors
/// [`PublishError::NoWeights`] and [`PublishError::EmptyWeights`], [`PublishError::LinkOutside`] when a file that
/// would be published is a link out of the folder, [`PublishError::File`] when something cannot be read.
pub(crate) fn select(dir: &Path) -> Result<Selection, PublishError> {
    let unreadable = |source| PublishError::File { path: dir.to_owned(), source };
    let root = dir.canonicalize().map_err(unreadable)?;
    let mut selection = Selection { files: Vec::new(), card: None, left_out: Vec::new() };
    for entry in fs::read_dir(&root).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_weights = WEIGHTS.iter().any(|ending| name.ends_with(ending));
        if is_weights || name.ends_with(INDEX) || OTHERS.contains(&name.as_str()) || name == CARD {
            let Some(path) = resolve(&root, &entry.path())? else { continue };
            match name.as_str() {
                CARD => selection.card = Some(path),
                _ => selection.files.push(LocalFile { name, path, is_weights }),
            }
        } else if name != sootprint::FILE_NAME && entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
            selection.left_out.push(name);
        }
    }
    selection.files.sort_by(|one, other| one.name.cmp(&other.name));
    selection.left_out.sort();
    check_weights(dir, &selection.files)?;
    Ok(selection)
}

/// The file that an entry of the folder is or links to; none when it is a folder or something else.
fn resolve(root: &Path, entry: &Path) -> Result<Option<PathBuf>, PublishError> {
    let unreadable = |source| PublishError::File { path: entry.to_owned(), source };
    let path = entry.canonicalize().map_err(unreadable)?;
    if !fs::metadata(&path).map_err(unreadable)?.is_file() {
        return Ok(None);
    }
    let is_hidden = |part: Component<'_>| part.as_os_str().to_string_lossy().starts_with('.');
    match path.strip_prefix(root) {
        // A link to something hidden, in `.git` for one, publishes what nobody meant to publish.
        Ok(inside) if !inside.components().any(is_hidden) => Ok(Some(path)),
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

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        dir
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
        for target in [outside.path().join("secret"), PathBuf::from(".git/config")] {
            for name in ["config.json", "README.md", "other.safetensors"] {
                let dir = folder(&["model.safetensors", ".git/config"]);
                std::os::unix::fs::symlink(&target, dir.path().join(name)).unwrap();
                let error = select(dir.path()).unwrap_err();
                assert!(matches!(error, PublishError::LinkOutside { .. }), "{error}");
            }
        }
    }
}
