use std::fs;
use std::path::Path;

use futures_util::TryStreamExt as _;

use super::*;
use crate::progress::ProgressSink;
use crate::token::HubToken;

fn open(path: &Path) -> Result<UploadFile, PushError> {
    let context = ReadContext::new(HubToken::new("hf_secret").unwrap(), ProgressSink::default());
    let path = path.canonicalize().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    UploadFile::from_local_file(LocalFile { name, path, is_weights: true }, &context)
}

/// Reads the file as hf-hub does.
fn read_stream(file: &UploadFile) -> Result<Vec<u8>, hf_hub::HFError> {
    let CommitOperation::Add { source: AddSource::Stream(source), .. } = file.commit_operation() else {
        panic!("a file is sent as a stream")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let blocks: Vec<Bytes> = runtime.block_on(source.open().try_collect())?;
    Ok(blocks.concat())
}

/// More than can be kept in git, so it is hashed while it is sent.
fn large_content() -> Vec<u8> {
    (0..MAX_GIT_FILE_SIZE as usize + 3).map(|index| (index % 251) as u8).collect()
}

#[test]
fn large_file_is_hashed_while_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (path, content) = (dir.path().join("model.bin"), large_content());
    fs::write(&path, &content).unwrap();
    let file = open(&path).unwrap();
    assert_eq!(file.known_digest(), None);
    assert!(read_stream(&file).unwrap() == content);
    assert_eq!(file.known_digest(), Some(&FileDigest::from_bytes(&content)));
    assert!(read_stream(&file).unwrap() == content, "the second pass");
    assert_eq!(open(&path).unwrap().read_digest().unwrap(), &FileDigest::from_bytes(&content));
}

#[test]
fn secret_in_any_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.bin");
    // The token crosses the boundary between two blocks of 1 MiB.
    let at = (1 << 20) - 4;
    let mut content = vec![b' '; at + 40];
    content[at..at + 9].copy_from_slice(b"hf_secret");
    fs::write(&path, &content).unwrap();
    assert!(matches!(open(&path), Err(PushError::TokenInFile { .. })));
    let mut content = large_content();
    content[at..at + 9].copy_from_slice(b"hf_secret");
    fs::write(&path, &content).unwrap();
    let file = open(&path).unwrap();
    read_stream(&file).unwrap_err();
    assert!(matches!(file.problem(), Some(PushError::TokenInFile { .. })));
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n", "QUJD".repeat(16));
    fs::write(&path, key).unwrap();
    assert!(matches!(open(&path), Err(PushError::PrivateKeyInFile { .. })));
}

#[test]
fn changed_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut content) = (dir.path().join("model.bin"), large_content());
    for change in [0, 1, 2] {
        fs::write(&path, &content).unwrap();
        let file = open(&path).unwrap();
        read_stream(&file).unwrap();
        match change {
            0 => content[0] += 1,
            1 => content.push(1),
            _ => content.truncate(1 << 20),
        }
        fs::write(&path, &content).unwrap();
        read_stream(&file).unwrap_err();
        assert!(matches!(file.problem(), Some(PushError::FileChanged { .. })), "{change}");
    }
}

#[cfg(unix)]
#[test]
fn replaced_file_is_sent_from_the_open_handle() {
    let dir = tempfile::tempdir().unwrap();
    let (path, content) = (dir.path().join("model.bin"), large_content());
    fs::write(&path, &content).unwrap();
    let file = open(&path).unwrap();
    fs::rename(&path, dir.path().join("moved")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    // Renaming changes the file's times, so the file counts as changed; the link's target is never read.
    read_stream(&file).unwrap_err();
    assert!(matches!(file.problem(), Some(PushError::FileChanged { .. })));
    let local = LocalFile { name: "model.bin".to_owned(), path, is_weights: true };
    let context = ReadContext::new(HubToken::new("hf_secret").unwrap(), ProgressSink::default());
    assert!(matches!(UploadFile::from_local_file(local, &context), Err(PushError::FileChanged { .. })));
}
