//! A proxy in front of the storage, which can be cut, blocked or throttled.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The state of the connection to the storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// Forwards normally.
    #[default]
    Open,
    /// New connections are closed immediately, and open ones are cut.
    Refused,
    /// Connections are accepted, but no data is forwarded.
    Stalled,
    /// Bytes per second, in each direction of each connection.
    Throttled(u32),
}

/// A proxy in front of the storage's port.
pub(crate) struct StorageProxy {
    port: u16,
    link_tx: watch::Sender<LinkState>,
}

impl StorageProxy {
    /// Starts the proxy on a free port, on the current runtime.
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

/// Forwards one connection until either side closes it.
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
        // An error means that the hub and the connection are gone.
        let _ = link_rx.wait_for(|link| *link == LinkState::Refused).await;
    };
    tokio::select! {
        _ = async { tokio::join!(up, down) } => {}
        () = refused => {}
    }
}

/// Forwards bytes in one direction, at the speed of the link.
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
            // Twenty chunks per second.
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
