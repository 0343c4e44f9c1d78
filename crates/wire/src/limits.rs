//! Every bound of this crate, in one place.
//!
//! Whatever a peer can make grow (bodies, queues, connections, waiting) has its bound here. Nothing
//! is ever unlimited.

use std::time::Duration;

use crate::browsers::BrowserPolicy;

/// The largest body of a call, in bytes after decompression; also the largest call on a gRPC
/// stream.
pub const BODY_MAX_BYTES: usize = 8 << 20;

/// The largest message on a link between master and agent, and the largest event, in bytes.
pub const MESSAGE_MAX_BYTES: usize = 64 << 20;

/// The limits that a server sets its peers.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest body of a call, in bytes after decompression.
    pub body_max_bytes: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How many bodies larger than 256 KiB may be on their way at once.
    pub large_bodies_max: usize,
    /// How long a new connection may take until its first request is complete up to its headers.
    pub first_request_timeout: Duration,
    /// How long an HTTP/1.1 connection may lie idle, or take for the headers of a later request.
    pub idle_timeout: Duration,
    /// How many connections may be open at once; one more is answered with 503 and closed.
    pub connections_max: usize,
    /// How long a stopping server waits for requests that are being answered.
    pub stop_grace: Duration,
    /// How often a scheduler's stream carries a heartbeat; the first follows SUBSCRIBED at once.
    pub heartbeat_interval: Duration,
    /// How often an executor's stream carries a heartbeat; the first after this time.
    pub executor_heartbeat_interval: Duration,
    /// The limits of each link.
    pub link: LinkLimits,
    /// What web browsers may do.
    pub browsers: BrowserPolicy,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_max_bytes: BODY_MAX_BYTES,
            body_timeout: Duration::from_secs(30),
            large_bodies_max: 32,
            first_request_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            connections_max: 16_384,
            stop_grace: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(15),
            executor_heartbeat_interval: Duration::from_secs(30 * 60),
            link: LinkLimits::default(),
            browsers: BrowserPolicy::default(),
        }
    }
}

/// The bounds within which the reader of a link may fall behind before it is cut off.
#[derive(Clone, Copy, Debug)]
pub struct LinkLimits {
    /// The number of messages that may wait.
    pub events_max: usize,
    /// How many bytes (as protobuf) may wait. One message larger than this passes when nothing else
    /// waits.
    pub bytes_max: usize,
    /// How long messages may wait without one being taken.
    pub stall_timeout: Duration,
}

impl LinkLimits {
    /// What an agent may owe a master. It begins with a report of all that it has, which may be as
    /// large as a message can be, and goes on with every update that nobody has acknowledged, at
    /// once: a master that is busy with ten thousand others must not be taken for one that hangs.
    pub const OF_AGENT: LinkLimits = LinkLimits {
        events_max: 1 << 20,
        bytes_max: 4 * MESSAGE_MAX_BYTES,
        stall_timeout: Duration::from_secs(60),
    };
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self { events_max: 65_536, bytes_max: 32 << 20, stall_timeout: Duration::from_secs(60) }
    }
}
