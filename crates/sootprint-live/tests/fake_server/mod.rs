//! A server on this machine that answers as a grid's API or a cloud does, or as badly as a test wants it to.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Lives until the test's process ends.
pub(crate) struct FakeApiServer {
    url: String,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
}

/// What somebody asked.
#[derive(Debug, Clone)]
pub(crate) struct RecordedRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Each line with a name in lower case.
    headers: Vec<(String, String)>,
}

impl RecordedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What is said to a request.
pub(crate) enum FakeResponse {
    /// A status and a body.
    Body(u16, String),
    /// A line of the head and a body, with status 200.
    WithHeader(&'static str, String),
    /// Bytes as they are, whether they are HTTP or not; then the connection is closed.
    Raw(&'static [u8]),
    /// Nothing, for as long as the other side waits.
    Hang,
    /// The beginning of a body, then nothing for as long as the other side waits.
    Truncated(&'static str),
}

impl FakeApiServer {
    /// Answers each request by its path.
    pub(crate) fn start_by_path(respond: impl Fn(&str) -> FakeResponse + Send + 'static) -> Self {
        Self::start_with_handler(move |request| respond(&request.path))
    }

    /// Answers each request.
    pub(crate) fn start_with_handler(
        respond: impl Fn(&RecordedRequest) -> FakeResponse + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let request = read_request(&stream);
                seen.lock().unwrap().push(request.clone());
                write_response(stream, respond(&request));
            }
        });
        Self { url, requests }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The paths that were asked for, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.path).collect()
    }
}

/// Reads a request to the end of its head.
fn read_request(stream: &TcpStream) -> RecordedRequest {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let line = |line: String| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    };
    let head = lines.take_while(|line| !line.is_empty()).map(line).collect();
    RecordedRequest { method, path, headers: head }
}

fn write_response(mut stream: TcpStream, reply: FakeResponse) {
    let head = |status: u16, length: usize| {
        format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
    };
    match reply {
        FakeResponse::Body(status, body) => {
            // Who has read enough may be gone.
            let _ = stream.write_all((head(status, body.len()) + &body).as_bytes());
        }
        FakeResponse::WithHeader(line, body) => {
            let head = head(200, body.len()).replacen("\r\n", &format!("\r\n{line}\r\n"), 1);
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
        // Who asks again may be gone, too.
        FakeResponse::Raw(bytes) => {
            let _ = stream.write_all(bytes);
        }
        FakeResponse::Hang => wait_for_close(&mut stream),
        FakeResponse::Truncated(body) => {
            let _ = stream.write_all((head(200, body.len() + 1) + body).as_bytes());
            wait_for_close(&mut stream);
        }
    }
}

/// Until the other side has gone.
fn wait_for_close(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0]);
}
