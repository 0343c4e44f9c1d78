//! The errors of a client.
//!
//! They never hide what the other side answered.

use std::time::Duration;

use crate::recordio::RecordError;

/// Why a call or a stream failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address makes no URL.
    #[error("`{address}` is no address; write host:port")]
    BadAddress {
        /// The address that was given.
        address: String,
    },
    /// No connection; or, of a call that only reads, it broke before the answer.
    #[error(
        "{address} cannot be reached, or the connection broke; is it up, and is the port right?"
    )]
    Unreachable {
        /// The address of the peer.
        address: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke before the answer to what was posted. Whether the call was carried out is not known.
    #[error("the connection to {address} broke before it answered; look what it did before you ask again")]
    Lost {
        /// The address of the peer.
        address: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time. Whether the call was carried out is not known.
    #[error("{address} did not answer within {timeout:?}; try again")]
    TimedOut {
        /// The address of the peer.
        address: String,
        /// The time that was waited.
        timeout: Duration,
    },
    /// The other side refused.
    #[error("refused with {status}: {message}")]
    Refused {
        /// The HTTP status, or the more exact one that came with Mesos's.
        status: u16,
        /// The message of the peer.
        message: String,
    },
    /// The other side refused over gRPC.
    #[error("refused with {code:?}: {message}")]
    StreamRefused {
        /// The gRPC code's number.
        code: i32,
        /// The message of the peer.
        message: String,
        /// `host:port` of the leading master, when the refusal named it.
        leader: Option<String>,
    },
    /// Too many redirects followed each other.
    #[error("the masters send to one another and none answers, last {address}; the leader is changing, try again")]
    NoLeader {
        /// The last one that was named.
        address: String,
    },
    /// The answer is not what it should be.
    #[error("the answer of {address} cannot be read: {reason}; is it the right port, and the right version?")]
    Malformed {
        /// The address of the peer.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The stream is not valid RecordIO.
    #[error("the stream cannot be read")]
    Record(#[from] RecordError),
    /// A stream carried nothing for too long, not even heartbeats.
    #[error("nothing was heard for {silence:?}, not even a heartbeat; subscribe again")]
    Silent {
        /// The time that was waited.
        silence: Duration,
    },
    /// The other side left what was sent to it unread for too long, or too much of it.
    #[error("{address} does not read what is sent to it, and was cut off; connect again")]
    CutOff {
        /// The address of the peer.
        address: String,
    },
    /// The stream broke in the middle.
    #[error("the stream broke ({reason}); subscribe again")]
    Broken {
        /// The error of the connection.
        reason: String,
    },
}

impl ClientError {
    /// Makes the error of a gRPC status.
    pub(crate) fn refused_stream(status: &tonic::Status) -> Self {
        let leader = status
            .metadata()
            .get(crate::master::LEADER_METADATA)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        Self::StreamRefused {
            code: status.code().into(),
            message: status.message().to_owned(),
            leader,
        }
    }
}
