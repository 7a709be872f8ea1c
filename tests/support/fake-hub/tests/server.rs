//! The hub's lifecycle: it starts in any context, stops in time and shares nothing with other hubs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise, too")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fake_hub::{FakeHub, FakeHubError, RepositoryError};
use tokio::runtime::Builder;

fn socket_address(hub: &FakeHub) -> SocketAddr {
    hub.endpoint().strip_prefix("http://").unwrap().parse().unwrap()
}

#[test]
fn dropped_hub_disconnects_clients_promptly() {
    let hub = FakeHub::start().unwrap();
    assert!(socket_address(&hub).ip().is_loopback());
    let mut client = TcpStream::connect(socket_address(&hub)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A request whose body never arrives.
    client.write_all(b"POST /api/validate-yaml HTTP/1.1\r\nContent-Length: 1000\r\n").unwrap();

    let before = Instant::now();
    drop(hub);
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    match client.read(&mut [0]) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn hub_is_shared_between_threads() {
    let hub = FakeHub::start().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| hub.create_repository("me/one").unwrap());
        scope.spawn(|| hub.create_repository("me/other").unwrap());
    });
    assert_ne!(hub.files("me/one", "main").unwrap(), Vec::<String>::new());
    assert_ne!(hub.files("me/other", "main").unwrap(), Vec::<String>::new());
}

#[test]
fn hub_starts_inside_tokio_runtime() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        builder.build().unwrap().block_on(async {
            let hub = FakeHub::start().unwrap();
            hub.create_repository("me/digits").unwrap();
            hub.commit_file("me/digits", "README.md", b"# Digits").unwrap();
            assert_eq!(hub.read_file("me/digits", "main", "README.md").unwrap(), b"# Digits");
        });
    }
}

#[test]
fn two_hubs_are_independent() {
    let (one, other) = (FakeHub::start().unwrap(), FakeHub::start().unwrap());
    assert_ne!(one.endpoint(), other.endpoint());
    one.create_repository("me/digits").unwrap();
    assert!(matches!(other.head_commit("me/digits"), Err(FakeHubError::RepositoryNotFound { .. })));
}

#[test]
fn committed_file_is_read_back() {
    let hub = FakeHub::start().unwrap();
    hub.create_repository("me/digits").unwrap();
    let commit = hub.commit_file("me/digits", "notes/one.md", b"1\r\n").unwrap();

    assert_eq!(hub.head_commit("me/digits").unwrap(), commit);
    assert_eq!(hub.files("me/digits", "main").unwrap(), [".gitattributes", "notes/one.md"]);
    assert_eq!(hub.read_file("me/digits", &commit, "notes/one.md").unwrap(), b"1\r\n");
    assert!(!hub.is_lfs("me/digits", "main", "notes/one.md").unwrap());
    let commits = hub.commits("me/digits").unwrap();
    assert_eq!(commits.len(), 2);
    assert_eq!(commits[0].id, commit);
    assert_eq!(commits[0].parent.as_ref(), Some(&commits[1].id));
    assert_eq!(commits[0].changed_paths, ["notes/one.md"]);
}

#[test]
fn missing_items_return_named_errors() {
    let hub = FakeHub::start().unwrap();
    hub.create_repository("me/digits").unwrap();
    let reason = |result: Result<Vec<u8>, FakeHubError>| match result {
        Err(FakeHubError::Rejected { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(hub.read_file("me/digits", "main", "x")),
        RepositoryError::FileNotFound("x".to_owned())
    );
    assert_eq!(
        reason(hub.read_file("me/digits", "v1", "x")),
        RepositoryError::RevisionNotFound("v1".to_owned())
    );
    assert!(matches!(hub.create_repository("me/digits"), Err(FakeHubError::RepositoryExists { .. })));
}
