//! The rule for which files are kept outside git, and the LFS pointers that replace them.

/// The largest file that a commit may contain, in bytes: 10 MiB, the Hub's documented limit for regular
/// files.
pub(crate) const MAX_REGULAR_FILE_SIZE: u64 = 10 * 1024 * 1024;

/// A file in the Xet storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LfsFile {
    /// SHA-256 of the bytes, in hexadecimal: the id used in commits.
    pub(crate) sha256: String,
    /// Length in bytes.
    pub(crate) size: u64,
    /// The id used by the storage.
    pub(crate) xet_hash: String,
}

impl LfsFile {
    /// The pointer text that git keeps in place of the bytes.
    /// <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>
    pub(crate) fn pointer(&self) -> String {
        format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
            self.sha256, self.size
        )
    }
}

/// Whether a file belongs in the Xet storage, based on its name, size and first 512 bytes.
///
/// The Hub's own rule is not public. What is known: names listed in `.gitattributes`, files above 10 MiB and
/// binary files are kept outside git; empty files never are.
pub(crate) fn is_lfs_file(path: &str, size: u64, sample: &[u8]) -> bool {
    size > 0
        && (LFS_SUFFIXES.iter().any(|suffix| path.ends_with(suffix))
            || size > MAX_REGULAR_FILE_SIZE
            || is_binary(sample))
}

/// The initial `.gitattributes` of a new repository.
pub(crate) fn gitattributes() -> String {
    LFS_SUFFIXES.iter().map(|suffix| format!("*{suffix} filter=lfs diff=lfs merge=lfs -text\n")).collect()
}

/// Extensions of weights, arrays and archives. The Hub's list is longer; its other entries are detected as
/// binary.
const LFS_SUFFIXES: [&str; 14] = [
    ".7z",
    ".bin",
    ".ckpt",
    ".gguf",
    ".gz",
    ".mpk",
    ".npy",
    ".npz",
    ".onnx",
    ".parquet",
    ".pt",
    ".safetensors",
    ".tar",
    ".zip",
];

fn is_binary(sample: &[u8]) -> bool {
    // A sample may end in the middle of a character, which does not make the text invalid.
    sample.contains(&0) || std::str::from_utf8(sample).is_err_and(|error| error.error_len().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_binary_files_use_lfs() {
        assert!(is_lfs_file("model.safetensors", 8, b"{}"));
        assert!(is_lfs_file("checkpoints/1/model.mpk", 8, b"text"));
        assert!(is_lfs_file("plot.png", 8, b"\x89PNG\r\n\x1a\n"));
        assert!(is_lfs_file("log.txt", MAX_REGULAR_FILE_SIZE + 1, b"text"));
    }

    #[test]
    fn text_and_empty_files_stay_regular() {
        assert!(!is_lfs_file("README.md", 8, "café".as_bytes()));
        assert!(!is_lfs_file("log.txt", MAX_REGULAR_FILE_SIZE, b"text"));
        assert!(!is_lfs_file("empty.safetensors", 0, b""));
    }

    #[test]
    fn sample_split_inside_character_is_text() {
        let (cut, _) = "café".as_bytes().split_at(4);
        assert!(!is_lfs_file("README.md", 600, cut));
    }

    #[test]
    fn pointer_matches_lfs_specification() {
        let file = LfsFile {
            sha256: "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393".to_owned(),
            size: 12_345,
            xet_hash: "unused".to_owned(),
        };
        // The expected id was printed by `git hash-object` for the example in the specification.
        let id = crate::git::blob_id(file.pointer().as_bytes());
        assert_eq!(id.to_string(), "60c8d8ab2adcf57a391163a7eeb0cdb8bf348e44");
    }
}
