//! HTTP/1.1 by hand over a blocking socket, so that a test can also send what no client library would.
//!
//! Relies on std only. Never follows redirects and never retries.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status code; 0 when the connection was closed without an answer.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.text()))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Panics unless the status is as expected; `what` says what was asked.
    pub fn expect(self, status: u16, what: &str) -> Answer {
        assert_eq!(self.status, status, "{what}: {}", self.text());
        self
    }
}

/// One connection.
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> std::io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Connection { stream, buffer: Vec::new() })
    }

    /// Sends as much as the other side takes; it may have answered and hung up before the end.
    pub fn send(&mut self, bytes: &[u8]) {
        // What it answered, if anything, is what counts.
        let _ = self.stream.write_all(bytes);
    }

    /// Reads on; false at the end, however it came.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 16_384];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return false,
                Ok(count) => {
                    self.buffer.extend_from_slice(&piece[..count]);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                let mut taken: Vec<u8> = self.buffer.drain(..at + mark.len()).collect();
                taken.truncate(at);
                return Some(taken);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// The head of the next answer; status 0 when the connection ends before.
    pub fn head(&mut self) -> Answer {
        let Some(head) = self.until(b"\r\n\r\n") else { return Answer::default() };
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head, body: Vec::new() }
    }

    /// The next answer, whole.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.status == 0 {
            return answer;
        }
        if let Some(length) = answer.header("content-length").and_then(|length| length.parse().ok())
        {
            answer.body = self.exactly(length).unwrap_or_default();
        } else if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.body.extend(chunk);
            }
        }
        answer
    }

    /// The next chunk of a stream; none at its end, however it came.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.until(b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&size).ok()?.trim(), 16).ok()?;
        let chunk = self.exactly(size)?;
        self.exactly(2)?;
        (0 < size).then_some(chunk)
    }

    /// Whether the other side has hung up, within the read timeout; what it said before that is thrown away.
    pub fn is_closed(&mut self) -> bool {
        let mut piece = [0; 16_384];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                }
            }
        }
    }
}

/// A request with a body, for the host `test` unless a header says another.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        text += "Host: test\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    [text.as_bytes(), b"\r\n", body].concat()
}

/// Sends bytes as they are on a connection of their own, and reads one answer.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let Ok(mut connection) = Connection::open(address) else { return Answer::default() };
    connection.send(bytes);
    connection.answer()
}

/// Sends one request on a connection of its own. Status 0 when nobody answers.
pub fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    exchange(address, &request(method, path, headers, body))
}

/// Reads a page.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[], b"")
}

/// Sends JSON.
pub fn post(address: SocketAddr, path: &str, body: &Value) -> Answer {
    ask(address, "POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answered(text: &'static [u8]) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the test connects");
            let mut sink = [0; 1024];
            assert!(0 < stream.read(&mut sink).expect("a request"));
            stream.write_all(text).expect("the test reads");
        });
        let answer = get(address, "/");
        server.join().expect("the server ends well");
        answer
    }

    #[test]
    fn answers_of_both_framings() {
        let plain = answered(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
        assert_eq!(
            (plain.status, plain.text().as_str(), plain.header("CONTENT-length")),
            (404, "none", Some("4"))
        );
        let chunked = answered(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{\"\r\n5\r\na\":1}\r\n0\r\n\r\n");
        assert_eq!(chunked.json()["a"], 1);
        assert_eq!(answered(b"HTTP/1.1").status, 0);
    }
}
