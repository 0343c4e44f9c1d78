//! What can go wrong on the caller's side.
//!
//! Never hides what the other side said.

use std::time::Duration;

use crate::recordio::RecordError;

/// Why a call or a stream failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address makes no URL.
    #[error("`{address}` is no address; write host:port")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// No connection, or it broke before the answer. Whether the call was carried out is not known.
    #[error(
        "{address} cannot be reached, or the connection broke; is it up, and is the port right?"
    )]
    Unreachable {
        /// Whom.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time. Whether the call was carried out is not known.
    #[error("{address} did not answer within {timeout:?}; try again")]
    TimedOut {
        /// Who.
        address: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// The other side refused.
    #[error("refused with {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The other side refused over gRPC.
    #[error("refused with {code:?}: {message}")]
    StreamRefused {
        /// The gRPC code's number.
        code: i32,
        /// Its words.
        message: String,
        /// `host:port` of the leading master, when the refusal told.
        leader: Option<String>,
    },
    /// One master sent to the next, too often.
    #[error("the masters send to one another and none answers, last {address}; the leader is changing, try again")]
    NoLeader {
        /// The last one that was named.
        address: String,
    },
    /// The answer is not what it should be.
    #[error("the answer of {address} cannot be read: {reason}; is it the right port, and the right version?")]
    Malformed {
        /// Whose.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// A stream is no RecordIO.
    #[error("the stream cannot be read")]
    Record(#[from] RecordError),
    /// A stream carried nothing for too long, not even heartbeats.
    #[error("nothing was heard for {silence:?}, not even a heartbeat; subscribe again")]
    Silent {
        /// How long was waited.
        silence: Duration,
    },
    /// The stream broke in the middle.
    #[error("the stream broke ({reason}); subscribe again")]
    Broken {
        /// What the connection said.
        reason: String,
    },
}

impl ClientError {
    /// Over gRPC.
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
