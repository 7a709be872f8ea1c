//! Files that other files of a model refer to: a model without them cannot be loaded.

use std::collections::BTreeSet;

use serde_json::Value;
use sootprint_core::file::read_bytes;

use crate::local_file::LocalFile;

/// Longer than any of these files.
const MAX_LEN: u64 = 16 << 20;

/// The vocabulary of a tokenizer: names of files, and endings of such names after a `.`.
const VOCABULARY_FILES: [&str; 6] =
    ["tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "tokens.txt", "tekken.json"];
const VOCABULARY_EXTENSIONS: [&str; 4] = ["model", "tiktoken", "vocab", "bpe"];

/// Describes each reference to a file that is not among `files`.
pub(crate) fn missing_references(files: &[LocalFile]) -> Vec<String> {
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    files.iter().filter_map(|file| missing_reference(file, &names)).collect()
}

fn missing_reference(file: &LocalFile, names: &BTreeSet<&str>) -> Option<String> {
    let (folder, name) =
        file.name.rsplit_once('/').map_or(("", file.name.as_str()), |(folder, name)| (folder, name));
    let in_folder = |path: &str| if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    let has_folder = |path: &str| {
        let prefix = format!("{}/", in_folder(path));
        names.iter().any(|it| it.starts_with(&prefix))
    };
    let missing =
        |what: &str| Some(format!("{} needs {what}, which is not among the files to push", file.name));
    match name {
        "adapter_config.json" => {
            let adapters = ["adapter_model.safetensors", "adapter_model.bin"];
            let has_adapter = adapters.iter().any(|adapter| names.contains(in_folder(adapter).as_str()));
            if has_adapter { None } else { missing("adapter_model.safetensors") }
        }
        "tokenizer_config.json" => {
            let has_vocabulary = names.iter().any(|path| {
                let (its_folder, its_name) = path.rsplit_once('/').unwrap_or(("", path));
                let extension = its_name.rsplit_once('.').map_or("", |(_, extension)| extension);
                its_folder == folder
                    && (VOCABULARY_FILES.contains(&its_name) || VOCABULARY_EXTENSIONS.contains(&extension))
            });
            if has_vocabulary { None } else { missing("a vocabulary such as tokenizer.json") }
        }
        // diffusers: each component is a folder, or absent and then null.
        "model_index.json" => {
            let index = read_json(file)?;
            let components = index.as_object()?.iter().filter(|(name, value)| {
                !name.starts_with('_') && value.as_array().is_some_and(|it| it.iter().any(Value::is_string))
            });
            let mut missing_folders = components.map(|(name, _)| name).filter(|name| !has_folder(name));
            missing_folders.next().and_then(|name| missing(&format!("the folder {name}")))
        }
        // sentence-transformers: a list of modules, each in a folder or in the root.
        "modules.json" => {
            let modules = read_json(file)?;
            let folders = modules.as_array()?.iter().filter_map(|module| {
                // Modules without parameters have an empty folder, which git does not keep.
                let has_files = module["type"].as_str().is_none_or(|it| !it.ends_with("Normalize"));
                module["path"].as_str().filter(|path| has_files && !path.is_empty())
            });
            let mut missing_folders = folders.filter(|path| !has_folder(path.trim_end_matches('/')));
            missing_folders.next().and_then(|path| missing(&format!("the folder {path}")))
        }
        _ => None,
    }
}

fn read_json(file: &LocalFile) -> Option<Value> {
    serde_json::from_slice(&read_bytes(&file.path, MAX_LEN).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(files: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<LocalFile> = files
            .iter()
            .map(|(name, text)| {
                let path = dir.path().join(name.replace('/', "-"));
                std::fs::write(&path, text).unwrap();
                LocalFile { name: (*name).to_owned(), path, is_weights: false }
            })
            .collect();
        missing_references(&files)
    }

    #[test]
    fn missing_files_are_named() {
        let index = r#"{"_class_name": "X", "unet": ["diffusers", "U"], "safety_checker": [null, null]}"#;
        let modules =
            r#"[{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Normalize", "type": "m.Normalize"}]"#;
        for (files, needed) in [
            (
                &[("adapter_config.json", "{}")][..],
                Some("adapter_config.json needs adapter_model.safetensors"),
            ),
            (&[("adapter_config.json", "{}"), ("adapter_model.bin", "")], None),
            (
                &[("a/adapter_config.json", "{}"), ("adapter_model.bin", "")],
                Some("a/adapter_config.json needs"),
            ),
            (&[("tokenizer_config.json", "{}")], Some("a vocabulary")),
            (&[("tokenizer_config.json", "{}"), ("spiece.model", "")], None),
            (&[("tokenizer/tokenizer_config.json", "{}"), ("tokenizer/vocab.json", "")], None),
            (&[("model_index.json", index)], Some("the folder unet")),
            (&[("model_index.json", index), ("unet/config.json", "")], None),
            (&[("modules.json", modules)], Some("the folder 1_Pooling")),
            (&[("modules.json", modules), ("1_Pooling/config.json", "")], None),
        ] {
            let found = warnings(files);
            match needed {
                Some(needed) => assert!(found.len() == 1 && found[0].contains(needed), "{found:?}"),
                None => assert_eq!(found, [""; 0]),
            }
        }
    }
}
