//! A server on this machine that imitates the API of a provider or a cloud, including its failures.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Runs until the test process ends.
pub(crate) struct FakeApiServer {
    url: String,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
}

/// A request that the server received.
#[derive(Debug, Clone)]
pub(crate) struct RecordedRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case, and values.
    headers: Vec<(String, String)>,
}

impl RecordedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A scripted response.
pub(crate) enum FakeResponse {
    /// A status and a body.
    Body(u16, String),
    /// A header line and a body, with status 200.
    WithHeader(&'static str, String),
    /// Raw bytes, HTTP or not; then the connection is closed.
    Raw(&'static [u8]),
    /// Nothing, until the client closes the connection.
    Hang,
    /// The beginning of a body, then nothing until the client closes the connection.
    Truncated(&'static str),
}

impl FakeApiServer {
    /// Answers requests by their path.
    pub(crate) fn start_by_path(respond: impl Fn(&str) -> FakeResponse + Send + 'static) -> Self {
        Self::start_with_handler(move |request| respond(&request.path))
    }

    /// Answers requests.
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

    /// The paths of all requests, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.path).collect()
    }
}

/// Reads a request up to the end of its headers.
fn read_request(stream: &TcpStream) -> RecordedRequest {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let header = |line: String| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    };
    let headers = lines.take_while(|line| !line.is_empty()).map(header).collect();
    RecordedRequest { method, path, headers }
}

fn write_response(mut stream: TcpStream, response: FakeResponse) {
    let head = |status: u16, length: usize| {
        format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
    };
    match response {
        FakeResponse::Body(status, body) => {
            // The client may have closed the connection early.
            let _ = stream.write_all((head(status, body.len()) + &body).as_bytes());
        }
        FakeResponse::WithHeader(line, body) => {
            let head = head(200, body.len()).replacen("\r\n", &format!("\r\n{line}\r\n"), 1);
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
        // The client may have closed the connection early.
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

/// Waits until the client closes the connection.
fn wait_for_close(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0]);
}
