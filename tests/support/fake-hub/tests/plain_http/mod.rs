//! Requests that no Hugging Face client sends, and responses with all their headers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use fake_hub::FakeHub;

/// A response.
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) body: String,
    headers: Vec<(String, String)>,
}

impl RawResponse {
    /// The value of a header; `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// GET, without a token.
pub(crate) fn get(hub: &FakeHub, path: &str) -> RawResponse {
    send_request(hub, &format!("GET {path}"), "", "")
}

/// GET with these headers, each terminated by a line break.
#[allow(dead_code, reason = "some of the test binaries that share this file have no use for it")]
pub(crate) fn get_with_headers(hub: &FakeHub, path: &str, headers: &str) -> RawResponse {
    send_request(hub, &format!("GET {path}"), headers, "")
}

/// POST with an empty body, without a token.
pub(crate) fn post_without_token(hub: &FakeHub, path: &str) -> RawResponse {
    send_request(hub, &format!("POST {path}"), "", "")
}

/// A commit to `main` of `me/digits`, with this line after its header.
pub(crate) fn post_commit(hub: &FakeHub, line: &str) -> RawResponse {
    let token = format!("Authorization: Bearer {}\r\n", hub.token());
    let body = format!("{{\"key\":\"header\",\"value\":{{\"summary\":\"By hand\"}}}}\n{line}\n");
    send_request(hub, "POST /api/models/me/digits/commit/main", &token, &body)
}

fn send_request(hub: &FakeHub, request: &str, headers: &str, body: &str) -> RawResponse {
    let address = hub.endpoint().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    RawResponse { status, headers: lines.map(pair).collect(), body: body.to_owned() }
}
