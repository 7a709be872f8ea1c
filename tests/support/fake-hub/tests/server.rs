//! The hub's life: it starts anywhere, ends in time and shares nothing with another hub.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise, too")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fake_hub::{FakeHub, HubError, Refusal};
use tokio::runtime::Builder;

fn address(hub: &FakeHub) -> SocketAddr {
    hub.endpoint().strip_prefix("http://").unwrap().parse().unwrap()
}

#[test]
fn a_dropped_hub_cuts_off_its_clients_in_time() {
    let hub = FakeHub::start().unwrap();
    assert!(address(&hub).ip().is_loopback());
    let mut client = TcpStream::connect(address(&hub)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A request whose body never comes.
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
fn a_hub_can_be_shared_between_threads() {
    let hub = FakeHub::start().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| hub.create_repository("me/one").unwrap());
        scope.spawn(|| hub.create_repository("me/other").unwrap());
    });
    assert_ne!(hub.files("me/one", "main").unwrap(), Vec::<String>::new());
    assert_ne!(hub.files("me/other", "main").unwrap(), Vec::<String>::new());
}

#[test]
fn it_works_inside_a_runtime() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        builder.build().unwrap().block_on(async {
            let hub = FakeHub::start().unwrap();
            hub.create_repository("me/digits").unwrap();
            hub.write("me/digits", "README.md", b"# Digits").unwrap();
            assert_eq!(hub.read("me/digits", "main", "README.md").unwrap(), b"# Digits");
        });
    }
}

#[test]
fn two_hubs_share_nothing() {
    let (one, other) = (FakeHub::start().unwrap(), FakeHub::start().unwrap());
    assert_ne!(one.endpoint(), other.endpoint());
    one.create_repository("me/digits").unwrap();
    assert!(matches!(other.head("me/digits"), Err(HubError::NoRepository { .. })));
}

#[test]
fn what_was_written_is_read_back() {
    let hub = FakeHub::start().unwrap();
    hub.create_repository("me/digits").unwrap();
    let commit = hub.write("me/digits", "notes/one.md", b"1\r\n").unwrap();

    assert_eq!(hub.head("me/digits").unwrap(), commit);
    assert_eq!(hub.files("me/digits", "main").unwrap(), [".gitattributes", "notes/one.md"]);
    assert_eq!(hub.read("me/digits", &commit, "notes/one.md").unwrap(), b"1\r\n");
    assert!(!hub.is_lfs("me/digits", "main", "notes/one.md").unwrap());
    let commits = hub.commits("me/digits").unwrap();
    assert_eq!(commits.len(), 2);
    assert_eq!(commits[0].id, commit);
    assert_eq!(commits[0].parent.as_ref(), Some(&commits[1].id));
    assert_eq!(commits[0].changed, ["notes/one.md"]);
}

#[test]
fn what_is_not_there_is_named() {
    let hub = FakeHub::start().unwrap();
    hub.create_repository("me/digits").unwrap();
    let reason = |result: Result<Vec<u8>, HubError>| match result {
        Err(HubError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(hub.read("me/digits", "main", "x")), Refusal::NoFile("x".to_owned()));
    assert_eq!(reason(hub.read("me/digits", "v1", "x")), Refusal::NoRevision("v1".to_owned()));
    assert!(matches!(hub.create_repository("me/digits"), Err(HubError::Exists { .. })));
}
