//! Reasons for which weights cannot be loaded.

/// What is wrong with a file of weights.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsProblem {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The file is a Git LFS pointer: git has not downloaded the weights.
    #[error("it is a Git LFS pointer, not the weights; run `git lfs pull` first")]
    LfsPointer,
    /// The file has another length than its header states.
    #[error("it is {actual} bytes long, its header states {expected}")]
    WrongLength {
        /// The length of the file in bytes.
        actual: u64,
        /// The length that its header states.
        expected: u64,
    },
    /// The header cannot be read.
    #[error("it has no readable safetensors header")]
    InvalidHeader,
    /// A file that an index lists is not among the pushed files.
    #[error("it refers to `{file}`, which is not among the files to push")]
    MissingFile {
        /// The path of the missing file.
        file: String,
    },
    /// An index is not a JSON object with a `weight_map`.
    #[error("it is not a JSON object with a `weight_map` of file names")]
    InvalidIndex,
}
