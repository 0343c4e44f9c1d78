//! One POST without a body to the masters' own API, over a connection of its own.
//!
//! Relies on the answer being short and ended by the end of the connection. Never sends the same thing twice, except to the master
//! that another one named instead of doing it.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::{Failure, EXIT_ERROR, EXIT_NO_LEADER, EXIT_TIMEOUT};

/// The most that is read of an answer, in bytes.
const ANSWER_MAX_BYTES: u64 = 1 << 20;
/// From a standby to the leader is one; more only while the leader changes.
const REDIRECTS_MAX: usize = 4;

/// Posts to `path` (with its query) of the master at `address`, or of the leader that it names.
///
/// # Errors
/// When no master answers in time, or it refuses.
pub(super) async fn post(address: &str, path: &str, timeout: Duration) -> Result<Value, Failure> {
    let (mut address, mut path) = (address.to_owned(), path.to_owned());
    for _ in 0..=REDIRECTS_MAX {
        let exchange = tokio::time::timeout(timeout, exchange(&address, &path)).await;
        let answer = exchange.map_err(|_| {
            let cause = format!("{address} did not answer within {timeout:?}; whether it did what was asked is not known");
            Failure::new(EXIT_TIMEOUT, cause, "look before you ask again, or allow more time with --timeout")
        })?;
        let answer = answer.map_err(|error| {
            Failure::new(EXIT_NO_LEADER, format!("no master answers at {address} ({error})"), "name another with --master HOST:PORT")
        })?;
        let answer = Answer::read(&answer)
            .ok_or_else(|| Failure::new(EXIT_ERROR, format!("the answer of {address} is no HTTP"), "is it the right port?"))?;
        match (answer.status, answer.location) {
            (200..=299, _) => return Ok(serde_json::from_str(&answer.body).unwrap_or(Value::Null)),
            (307 | 308, Some(location)) => (address, path) = follow(&location, &path),
            (status, _) => return Err(Failure::refused(status, answer.body)),
        }
    }
    Err(Failure::new(EXIT_NO_LEADER, "the masters send to one another and none answers", "wait a moment, the leader is changing"))
}

async fn exchange(address: &str, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX_BYTES).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Where a redirect `//host:port/path` or `http://host:port/path` leads.
fn follow(location: &str, path: &str) -> (String, String) {
    let rest = location.strip_prefix("http:").unwrap_or(location).trim_start_matches('/');
    let (host, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (host.to_owned(), if after.is_empty() { path.to_owned() } else { after.to_owned() })
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    location: Option<String>,
    body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Answer> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        };
        Some(Answer { status, location: lines.find_map(header), body: body.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Serves these answers, one for each connection; gives the requests' first lines.
    async fn serve(listener: TcpListener, answers: Vec<String>) -> Vec<String> {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            asked.push(String::from_utf8(head).unwrap().lines().next().unwrap().to_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    }

    #[tokio::test]
    async fn it_follows_to_the_leader_and_reads_the_answer() {
        let (standby, leader) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (first, second) = (standby.local_addr().unwrap().to_string(), leader.local_addr().unwrap());
        let redirect = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: //{second}/holdfast/v1/kill?task=a\r\n\r\n");
        let redirecting = tokio::spawn(serve(standby, vec![redirect]));
        let leading = tokio::spawn(serve(leader, vec!["HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"accepted\":true}".to_owned()]));
        let answer = post(&first, "/holdfast/v1/kill?task=a", Duration::from_secs(10)).await.unwrap();
        assert_eq!(answer["accepted"], true);
        assert_eq!(redirecting.await.unwrap(), ["POST /holdfast/v1/kill?task=a HTTP/1.1"]);
        assert_eq!(leading.await.unwrap(), ["POST /holdfast/v1/kill?task=a HTTP/1.1"]);
    }

    #[tokio::test]
    async fn refusals_and_nonsense_are_failures() {
        for (answer, code) in
            [("HTTP/1.1 404 Not Found\r\n\r\nthere is no task", 3), ("HTTP/1.1 409 X\r\n\r\n", 5), ("SSH-2.0-x\r\n", 1), ("", 1)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            tokio::spawn(serve(listener, vec![answer.to_owned()]));
            let failure = post(&address, "/x", Duration::from_secs(10)).await.unwrap_err();
            assert_eq!(failure.code, code, "{answer:?}: {failure}");
        }
    }

    #[tokio::test]
    async fn silence_and_absence_have_codes_of_their_own() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap().to_string();
        assert_eq!(post(&address, "/x", Duration::from_millis(20)).await.unwrap_err().code, EXIT_TIMEOUT);
        drop(silent);
        assert_eq!(post(&address, "/x", Duration::from_secs(10)).await.unwrap_err().code, EXIT_NO_LEADER);
    }
}
