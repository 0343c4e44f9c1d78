//! A GET of a page of Hadoop's: its name nodes, journal nodes and data nodes tell about themselves at `/jmx`.
//!
//! It relies on HTTP/1.0, so that an answer ends with its connection. It never waits longer than its deadline for any one thing, and never
//! takes an answer that is longer than it says.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use holdfast_sdk::net::{bail, ensure, Context, Result};

/// How long one connection, one read or one write may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest answer.
const ANSWER_MAX: u64 = 16 << 20;

/// Opens a connection.
///
/// # Errors
/// When nobody takes it.
pub fn connect(address: &str) -> Result<TcpStream> {
    let all = address.to_socket_addrs().with_context(|| format!("{address} is not known"))?;
    let mut last = None;
    for one in all {
        match TcpStream::connect_timeout(&one, DEADLINE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(DEADLINE))?;
                stream.set_write_timeout(Some(DEADLINE))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error).with_context(|| format!("{address} does not listen")),
        None => bail!("{address} has no address"),
    }
}

/// Gets a page.
///
/// # Errors
/// When there is no whole answer, or it is not 200.
pub fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = connect(address)?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(|| format!("{address} does not listen"))?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_MAX)
        .read_to_end(&mut answer)
        .with_context(|| format!("{address} does not answer"))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) =
        answer.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    let status = head.split_whitespace().nth(1).unwrap_or("nothing");
    ensure!(status == "200", "{address} answers {status}");
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered(answer: &'static str) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let got = get(&address, "/jmx?qry=x");
        assert!(server.join().unwrap().starts_with("GET /jmx?qry=x HTTP/1.0\r\n"));
        got
    }

    #[test]
    fn a_page_is_got_or_said_why_not() {
        assert_eq!(answered("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}").unwrap(), "{}");
        let error = answered("HTTP/1.1 503 Busy\r\n\r\n").unwrap_err().to_string();
        assert!(error.contains("answers 503"), "{error}");
        assert!(answered("hello").is_err());
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = get(&nobody.to_string(), "/").unwrap_err().to_string();
        assert!(error.contains("does not listen"), "{error}");
    }
}
