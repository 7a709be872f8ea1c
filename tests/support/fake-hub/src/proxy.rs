//! The way to the storage, which can be cut, clogged or slowed down.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the way to the storage is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// As it should be.
    #[default]
    Open,
    /// Connections are closed as soon as they are made, and those that are open are cut.
    Refused,
    /// Connections are taken, and nothing travels.
    Stalled,
    /// So many bytes travel in a second, in each direction of each connection.
    Throttled(u32),
}

/// A relay in front of the storage's port.
pub(crate) struct StorageProxy {
    port: u16,
    link_tx: watch::Sender<LinkState>,
}

impl StorageProxy {
    /// Starts it on a port that the system chooses, on the runtime that this is called on.
    pub(crate) async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (link_tx, link_rx) = watch::channel(LinkState::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, upstream, link_rx.clone()));
            }
        });
        Ok(Self { port, link_tx })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set_state(&self, link: LinkState) {
        self.link_tx.send_replace(link);
    }
}

/// Carries one connection until either end closes it.
async fn relay(client: TcpStream, upstream: SocketAddr, mut link_rx: watch::Receiver<LinkState>) {
    if *link_rx.borrow() == LinkState::Refused {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = copy_throttled(from_client, to_server, link_rx.clone());
    let down = copy_throttled(from_server, to_client, link_rx.clone());
    let refused = async {
        // An error means that the hub is gone, and the connection with it.
        let _ = link_rx.wait_for(|link| *link == LinkState::Refused).await;
    };
    tokio::select! {
        _ = async { tokio::join!(up, down) } => {}
        () = refused => {}
    }
}

/// Carries bytes in one direction, as fast as the link allows.
async fn copy_throttled(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link_rx: watch::Receiver<LinkState>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = *link_rx.borrow_and_update();
        let chunk_size = match now {
            LinkState::Open => buffer.len(),
            // Twenty pieces a second.
            LinkState::Throttled(bytes) => (bytes as usize / 20).clamp(1, buffer.len()),
            LinkState::Stalled | LinkState::Refused => {
                link_rx.changed().await.map_err(io::Error::other)?;
                continue;
            }
        };
        let read = from.read(&mut buffer[..chunk_size]).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if matches!(now, LinkState::Throttled(_)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
