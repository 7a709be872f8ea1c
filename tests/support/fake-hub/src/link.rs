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
pub enum Link {
    /// As it should be.
    #[default]
    Open,
    /// Connections are closed as soon as they are made, and those that are open are cut.
    Refused,
    /// Connections are taken, and nothing travels.
    Hung,
    /// So many bytes travel in a second, in each direction of each connection.
    Slow(u32),
}

/// A relay in front of the storage's port.
pub(crate) struct Links {
    port: u16,
    link: watch::Sender<Link>,
}

impl Links {
    /// Starts it on a port that the system chooses, on the runtime that this is called on.
    pub(crate) async fn start(behind: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (link, watched) = watch::channel(Link::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, behind, watched.clone()));
            }
        });
        Ok(Self { port, link })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

/// Carries one connection until either end closes it.
async fn relay(client: TcpStream, behind: SocketAddr, mut link: watch::Receiver<Link>) {
    if *link.borrow() == Link::Refused {
        return;
    }
    let Ok(server) = TcpStream::connect(behind).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = carry(from_client, to_server, link.clone());
    let down = carry(from_server, to_client, link.clone());
    let cut = async {
        // An error means that the hub is gone, and the connection with it.
        let _ = link.wait_for(|link| *link == Link::Refused).await;
    };
    tokio::select! {
        _ = async { tokio::join!(up, down) } => {}
        () = cut => {}
    }
}

/// Carries bytes in one direction, as fast as the link allows.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = *link.borrow_and_update();
        let piece = match now {
            Link::Open => buffer.len(),
            // Twenty pieces a second.
            Link::Slow(bytes) => (bytes as usize / 20).clamp(1, buffer.len()),
            Link::Hung | Link::Refused => {
                link.changed().await.map_err(io::Error::other)?;
                continue;
            }
        };
        let read = from.read(&mut buffer[..piece]).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if matches!(now, Link::Slow(_)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
