//! Checks weights before the upload: a file that cannot be loaded would replace a good one on the Hub.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read as _};

use serde::Deserialize;
use serde_json::Value;
use sootprint_core::file::read_bytes;

use crate::error::PushError;
use crate::local_file::LocalFile;
use crate::weights_names::is_weights_name;
use crate::weights_problem::WeightsProblem;

/// The first line of a file that stands for another in git.
const LFS_POINTER_START: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// safetensors itself reads no longer header.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;

/// Longer than the index of any model.
const MAX_INDEX_LEN: u64 = 64 << 20;

/// Checks all files of weights, the indices that refer to them, and whether git has downloaded all files.
pub(crate) fn check_weights(files: &[LocalFile]) -> Result<(), PushError> {
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    for file in files {
        let problem =
            if is_weights_index(&file.name) { index_problem(file, &names) } else { file_problem(file) };
        match problem {
            Ok(None) => {}
            Ok(Some(problem)) => {
                return Err(PushError::InvalidWeights { path: file.path.clone(), problem });
            }
            Err(source) => return Err(PushError::UnreadableFile { path: file.path.clone(), source }),
        }
    }
    Ok(())
}

/// Whether a file lists the tensors of several files of weights, as in `model.safetensors.index.fp16.json`.
fn is_weights_index(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".json") && name.split_once(".index.").is_some_and(|(weights, _)| is_weights_name(weights))
}

fn file_problem(file: &LocalFile) -> io::Result<Option<WeightsProblem>> {
    let mut opened = File::open(&file.path)?;
    let length = opened.metadata()?.len();
    let mut start = Vec::new();
    (&mut opened).take(LFS_POINTER_START.len() as u64).read_to_end(&mut start)?;
    if length == 0 && file.is_weights {
        return Ok(Some(WeightsProblem::Empty));
    }
    if start == LFS_POINTER_START {
        return Ok(Some(WeightsProblem::LfsPointer));
    }
    let is_safetensors = file.name.to_ascii_lowercase().ends_with(".safetensors");
    if is_safetensors { safetensors_problem(&file.path, length) } else { Ok(None) }
}

/// The format: 8 bytes with the length of the header, the header as JSON, and the tensors.
fn safetensors_problem(path: &std::path::Path, length: u64) -> io::Result<Option<WeightsProblem>> {
    #[derive(Deserialize)]
    struct Tensor {
        data_offsets: (u64, u64),
    }

    let mut file = File::open(path)?;
    let mut header_length = [0; 8];
    if length < 8 {
        return Ok(Some(WeightsProblem::InvalidHeader));
    }
    file.read_exact(&mut header_length)?;
    let header_length = u64::from_le_bytes(header_length);
    if header_length > MAX_SAFETENSORS_HEADER {
        return Ok(Some(WeightsProblem::InvalidHeader));
    }
    if length < 8 + header_length {
        return Ok(Some(WeightsProblem::WrongLength { actual: length, expected: 8 + header_length }));
    }
    let mut header = vec![0; usize::try_from(header_length).map_err(io::Error::other)?];
    file.read_exact(&mut header)?;
    let Ok(mut tensors) = serde_json::from_slice::<HashMap<String, Value>>(&header) else {
        return Ok(Some(WeightsProblem::InvalidHeader));
    };
    tensors.remove("__metadata__");
    let tensors: Result<Vec<Tensor>, _> = tensors.into_values().map(serde_json::from_value).collect();
    let Ok(tensors) = tensors else { return Ok(Some(WeightsProblem::InvalidHeader)) };
    let end = tensors.iter().map(|tensor| tensor.data_offsets.1).max().unwrap_or(0);
    let expected = end.saturating_add(8 + header_length);
    Ok((expected != length).then_some(WeightsProblem::WrongLength { actual: length, expected }))
}

/// Each file that the index names is next to it.
fn index_problem(file: &LocalFile, names: &BTreeSet<&str>) -> io::Result<Option<WeightsProblem>> {
    let bytes = read_bytes(&file.path, MAX_INDEX_LEN)?;
    let index: Option<Value> = serde_json::from_slice(&bytes).ok();
    let Some(weight_map) = index.as_ref().and_then(|index| index.get("weight_map")?.as_object()) else {
        return Ok(Some(WeightsProblem::InvalidIndex));
    };
    let folder = file.name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    for shard in weight_map.values() {
        let Some(shard) = shard.as_str() else { return Ok(Some(WeightsProblem::InvalidIndex)) };
        let path = normalized(&format!("{folder}{shard}"));
        if !path.as_ref().is_some_and(|path| names.contains(path.as_str())) {
            let path = path.unwrap_or_else(|| shard.to_owned());
            return Ok(Some(WeightsProblem::MissingFile { file: path }));
        }
    }
    Ok(None)
}

/// The path without `.` and `..`; `None` if it leads out of the folder.
fn normalized(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A safetensors file with one tensor.
    fn safetensors(data: &[u8]) -> Vec<u8> {
        let header = format!(r#"{{"x":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, data.len());
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    fn check(files: &[(&str, &[u8])]) -> Option<WeightsProblem> {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<LocalFile> = files
            .iter()
            .map(|(name, bytes)| {
                let path = dir.path().join(name.replace('/', "-"));
                fs::write(&path, bytes).unwrap();
                LocalFile { name: (*name).to_owned(), path, is_weights: is_weights_name(name) }
            })
            .collect();
        match check_weights(&files) {
            Ok(()) => None,
            Err(PushError::InvalidWeights { problem, .. }) => Some(problem),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn damaged_weights_are_found() {
        let whole = safetensors(&[7; 1_000]);
        assert_eq!(check(&[("model.safetensors", &whole)]), None);
        assert_eq!(check(&[("model.safetensors", &safetensors(&[]))]), None);
        let length = whole.len() as u64;
        for (bytes, problem) in [
            (&whole[..whole.len() - 1], WeightsProblem::WrongLength { actual: length - 1, expected: length }),
            (&whole[..20], WeightsProblem::WrongLength { actual: 20, expected: length - 1_000 }),
            (&whole[..4], WeightsProblem::InvalidHeader),
            (&[255; 100][..], WeightsProblem::InvalidHeader),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
                WeightsProblem::LfsPointer,
            ),
            (b"", WeightsProblem::Empty),
        ] {
            assert_eq!(check(&[("model.safetensors", bytes)]), Some(problem));
        }
        let longer = [&whole[..], b"x"].concat();
        let problem = WeightsProblem::WrongLength { actual: length + 1, expected: length };
        assert_eq!(check(&[("model.safetensors", &longer)]), Some(problem));
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
        for name in
            ["pytorch_model.bin", "model.onnx_data", "tokenizer.model", "variables.data-00000-of-00001"]
        {
            assert_eq!(check(&[(name, pointer)]), Some(WeightsProblem::LfsPointer), "{name}");
        }
        assert!(check(&[("B.SAFETENSORS", &whole[..100])]).is_some());
        assert_eq!(check(&[("empty.txt", b"")]), None);
    }

    #[test]
    fn index_lists_only_existing_files() {
        let index = br#"{"metadata": {}, "weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}}"#;
        let shard = safetensors(&[1]);
        let complete: [(&str, &[u8]); 3] = [
            ("t/x.safetensors.index.json", index),
            ("t/x-1.safetensors", &shard),
            ("t/x-2.safetensors", &shard),
        ];
        assert_eq!(check(&complete), None);
        let missing = WeightsProblem::MissingFile { file: "t/x-2.safetensors".to_owned() };
        assert_eq!(check(&complete[..2]), Some(missing));
        assert_eq!(check(&[("m.bin.index.json", b"[]")]), Some(WeightsProblem::InvalidIndex));
        assert_eq!(check(&[("corpus.index.json", b"[]")]), None, "an index of something else");
        let variant = br#"{"weight_map": {"a": "./x-1.safetensors", "b": "../t/x-2.safetensors"}}"#;
        let mut variants = complete;
        variants[0] = ("t/x.safetensors.index.fp16.json", variant);
        assert_eq!(check(&variants), None);
        let missing = WeightsProblem::MissingFile { file: "t/x-2.safetensors".to_owned() };
        assert_eq!(check(&variants[..2]), Some(missing));
    }
}
