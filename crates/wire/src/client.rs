//! The client side of the port, for frameworks, executors and the command line.
//!
//! It relies on hyper's client and on tonic's. It follows redirects to the leading master. It never
//! retries a call by itself: whether a call may be sent twice is known only to its sender.

mod agent_link;
mod containers;
mod cut_stream;
mod error;
mod events;
mod executor;
mod http1;
mod operator;
mod scheduler;
mod scheduler_stream;

use std::time::Duration;

pub use agent_link::AgentLinkClient;
pub use error::ClientError;
pub use events::EventStream;
pub use executor::ExecutorSession;
pub use scheduler::{SchedulerCaller, SchedulerSession};
pub use scheduler_stream::SchedulerStreamClient;

use crate::content::Content;
use crate::limits::{LinkLimits, MESSAGE_MAX_BYTES};

/// A receiver of messages on a gRPC link.
pub use agent_link::LinkReceiver;

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// How calls are encoded and answers are wanted.
    pub content: Content,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long the answer to a call may take; for a stream, its beginning.
    pub call_timeout: Duration,
    /// After how long without any event, heartbeats included, a scheduler's stream counts as
    /// broken. An executor's has no such time: its agent is on the same machine, and heartbeats are
    /// half an hour apart.
    pub silence_timeout: Duration,
    /// The largest answer, in bytes.
    pub answer_max_bytes: usize,
    /// The largest event, in bytes.
    pub event_max_bytes: usize,
    /// How far a master may fall behind in reading an agent's link.
    pub link: LinkLimits,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            content: Content::Protobuf,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            silence_timeout: Duration::from_secs(75),
            answer_max_bytes: 4 * MESSAGE_MAX_BYTES,
            event_max_bytes: MESSAGE_MAX_BYTES,
            link: LinkLimits::OF_AGENT,
        }
    }
}

/// A client for masters and agents. Cheap to clone; connections are shared and kept.
#[derive(Clone, Debug)]
pub struct MesosClient {
    settings: ClientSettings,
    http: http1::Http,
}

impl MesosClient {
    /// Makes a client with these settings. It connects when needed.
    pub fn new(settings: ClientSettings) -> Self {
        Self { http: http1::Http::new(&settings), settings }
    }
}

impl Default for MesosClient {
    fn default() -> Self {
        Self::new(ClientSettings::default())
    }
}
