//! Compares a commit with the files that were sent.
//!
//! hf-hub 1.0.0 puts weights into the commit itself if the Hub offers no storage for large files; it logs this and
//! returns no error. A file may also change during the upload. The commit is therefore checked afterwards: the Hub
//! reports the git object id of each file, or of the LFS pointer with its SHA-256, and both are computed locally.

use hf_hub::repository::RepoTreeEntry;

use crate::digest::FileDigest;
use crate::push_report::UploadedFile;
use crate::upload_file::UploadFile;
use crate::verification_error::VerificationError;

/// Compares a file with the Hub's entries of the commit.
pub(crate) fn verify_stored(
    file: &UploadFile,
    digest: &FileDigest,
    entries: &[RepoTreeEntry],
) -> Result<UploadedFile, VerificationError> {
    let entry = entries.iter().find_map(|entry| match entry {
        RepoTreeEntry::File { path, oid, lfs, xet_hash, .. } if *path == file.path => {
            Some((oid, lfs.is_some() || xet_hash.is_some()))
        }
        _ => None,
    });
    let (oid, is_lfs) = entry.ok_or(VerificationError::Missing)?;
    if file.belongs_in_lfs && !is_lfs {
        return Err(VerificationError::StoredInGit);
    }
    let expected = if is_lfs { Some(digest.lfs_pointer_oid()) } else { digest.git_oid.clone() };
    if Some(oid) != expected.as_ref() {
        return Err(VerificationError::ContentMismatch);
    }
    Ok(UploadedFile { path: file.path.clone(), size: digest.size, sha256: digest.sha256.clone(), is_lfs })
}

/// Whether the Hub has a file of this path and length. Only then can its content be the same.
pub(crate) fn has_same_length(file: &UploadFile, entries: &[RepoTreeEntry]) -> bool {
    entries.iter().any(
        |entry| matches!(entry, RepoTreeEntry::File { path, size, .. } if *path == file.path && *size == file.size),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `flax_model.msgpack` and `merges.txt` as in the documentation of `huggingface_hub`.
    fn tree_entries() -> Vec<RepoTreeEntry> {
        serde_json::from_str(
            r#"[
                {"type": "file", "path": "flax_model.safetensors", "size": 497764107,
                 "oid": "8095a62ccb4d806da7666fcda07467e2d150218e",
                 "lfs": {"oid": "d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9",
                         "size": 497764107, "pointerSize": 134}},
                {"type": "file", "path": "config.json", "size": 6,
                 "oid": "ce013625030ba8dba906f756967f9e9ca394464a"},
                {"type": "directory", "path": "tokenizer.json", "size": 0,
                 "oid": "ce013625030ba8dba906f756967f9e9ca394464a"}
            ]"#,
        )
        .unwrap()
    }

    fn verify(file: &UploadFile) -> Result<UploadedFile, VerificationError> {
        verify_stored(file, file.known_digest().unwrap(), &tree_entries())
    }

    fn weights_file(path: &str, size: u64) -> UploadFile {
        let digest = FileDigest {
            size,
            sha256: "d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9".to_owned(),
            git_oid: Some("ce013625030ba8dba906f756967f9e9ca394464a".to_owned()),
        };
        UploadFile::weights_with_digest(path, digest)
    }

    #[test]
    fn files_match_git_or_pointer_oid() {
        let weights = weights_file("flax_model.safetensors", 497_764_107);
        assert!(has_same_length(&weights, &tree_entries()));
        let file = verify(&weights).unwrap();
        assert!(file.is_lfs);
        assert_eq!(file.size, 497_764_107);
        let file = verify(&UploadFile::from_bytes("config.json", "hello\n".to_owned())).unwrap();
        assert!(!file.is_lfs);
    }

    #[test]
    fn changed_content_is_detected() {
        for changed in [
            weights_file("flax_model.safetensors", 497_764_108),
            UploadFile::from_bytes("config.json", "hello".to_owned()),
        ] {
            assert!(!has_same_length(&changed, &tree_entries()));
            assert_eq!(verify(&changed), Err(VerificationError::ContentMismatch));
        }
        let same_length = UploadFile::from_bytes("config.json", "hullo\n".to_owned());
        assert!(has_same_length(&same_length, &tree_entries()));
        assert_eq!(verify(&same_length), Err(VerificationError::ContentMismatch));
    }

    #[test]
    fn weights_stored_in_git_are_detected() {
        assert_eq!(verify(&weights_file("config.json", 497_764_107)), Err(VerificationError::StoredInGit));
    }

    #[test]
    fn missing_file_is_detected() {
        for path in ["missing.json", "tokenizer.json"] {
            let sent = UploadFile::from_bytes(path, "hello\n".to_owned());
            assert_eq!(verify(&sent), Err(VerificationError::Missing));
        }
    }
}
