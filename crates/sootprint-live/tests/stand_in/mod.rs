//! A server on this machine that answers as the grid's API does, or as badly as a test wants it to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Lives until the test's process ends.
pub(crate) struct StandIn {
    url: String,
    paths: Arc<Mutex<Vec<String>>>,
}

/// What is said to a request.
pub(crate) enum Reply {
    /// A status and a body.
    Body(u16, String),
    /// Bytes as they are, whether they are HTTP or not; then the connection is closed.
    Bytes(&'static [u8]),
    /// Nothing, for as long as the other side waits.
    Silence,
    /// The beginning of a body, then nothing for as long as the other side waits.
    Beginning(&'static str),
}

impl StandIn {
    /// Answers each request by its path.
    pub(crate) fn start(answer: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let paths = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&paths);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let path = path(&stream);
                seen.lock().unwrap().push(path.clone());
                say(stream, answer(&path));
            }
        });
        Self { url, paths }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The paths that were asked for, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.paths.lock().unwrap().clone()
    }
}

/// Reads a request to the end of its head.
fn path(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let request = lines.next().unwrap();
    assert!(lines.any(|line| line.is_empty()), "a request's head ends with an empty line");
    let mut words = request.split(' ');
    assert_eq!(words.next(), Some("GET"));
    words.next().unwrap().to_owned()
}

fn say(mut stream: TcpStream, reply: Reply) {
    let head = |status: u16, length: usize| {
        format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
    };
    match reply {
        Reply::Body(status, body) => {
            // Who has read enough may be gone.
            let _ = stream.write_all((head(status, body.len()) + &body).as_bytes());
        }
        Reply::Bytes(bytes) => stream.write_all(bytes).unwrap(),
        Reply::Silence => wait(&mut stream),
        Reply::Beginning(body) => {
            stream.write_all((head(200, body.len() + 1) + body).as_bytes()).unwrap();
            wait(&mut stream);
        }
    }
}

/// Until the other side has gone.
fn wait(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0]);
}
