//! The messages between shim, first process and launcher: one JSON value per line.
//!
//! The processes share one program, so there are no versions. A line is short; a longer one than
//! allowed is an error. It never acts on a message.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::LaunchError;

/// The greatest length of a message.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// The message from shim to launcher, sent once over the pipe that is the shim's standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShimReport {
    /// The payload was exec'ed.
    Running { pid: i32 },
    /// The payload was not exec'ed, and nothing is left.
    Failed(LaunchError),
}

/// A message from the shim to the first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ShimSays {
    /// The first process is recorded: it is to enter the container and fork the payload.
    Go,
    /// The payload is recorded and under control: it is to exec.
    Exec,
}

/// A message from the first process to the shim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FirstSays {
    /// The payload has been forked and waits.
    Forked,
    /// The payload was exec'ed.
    Running,
    /// The payload could not be exec'ed.
    Failed(LaunchError),
    /// The payload ended.
    Ended { code: Option<i32>, signal: Option<i32> },
}

/// One end of a conversation.
pub(super) struct Line {
    reader: BufReader<UnixStream>,
}

impl Line {
    pub fn new(stream: UnixStream) -> Line {
        Line { reader: BufReader::new(stream) }
    }

    /// Sends one message.
    pub fn say<T: Serialize>(&mut self, what: &T) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(what)?;
        bytes.push(b'\n');
        self.reader.get_mut().write_all(&bytes)
    }

    /// Waits for one message; `None` when the other side is gone.
    pub fn hear<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        match line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
            Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a message was cut off")),
        }
    }

    /// Takes one message if it has been sent already.
    pub fn hear_now<T: DeserializeOwned>(&mut self) -> Option<T> {
        self.reader.get_ref().set_nonblocking(true).ok()?;
        self.hear().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_is_heard_in_order_and_the_end_is_noticed() {
        let (_silent, listener) = UnixStream::pair().unwrap();
        assert!(Line::new(listener).hear_now::<FirstSays>().is_none());
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (Line::new(one), Line::new(other));
        one.say(&FirstSays::Running).unwrap();
        one.say(&FirstSays::Ended { code: Some(3), signal: None }).unwrap();
        drop(one);
        assert_eq!(other.hear().unwrap(), Some(FirstSays::Running));
        assert_eq!(other.hear_now(), Some(FirstSays::Ended { code: Some(3), signal: None }));
        assert_eq!(other.hear::<FirstSays>().unwrap(), None);
    }

    #[test]
    fn a_message_that_is_cut_off_is_not_taken_for_one() {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(b"\"running\"").unwrap();
        drop(one);
        assert!(Line::new(other).hear::<FirstSays>().is_err());
    }
}
