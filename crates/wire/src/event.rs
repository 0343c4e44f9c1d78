//! The properties of messages that a link needs: which one opens it, which one ends it, and what a
//! heartbeat is.
//!
//! It relies on `proto`, and never looks further into a message.

use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use holdfast_proto::mesos::v1::{executor, master, scheduler};

/// A message that a link carries outwards.
pub trait LinkMessage: prost::Message + Send + 'static {
    /// Whether the first heartbeat follows the opening message at once.
    const HEARTBEAT_AT_ONCE: bool = false;

    /// Whether heartbeats start after this message.
    fn opens(&self) -> bool {
        false
    }

    /// Whether the link ends after this message.
    fn ends(&self) -> bool {
        false
    }

    /// A heartbeat, if this kind of link has any.
    fn heartbeat() -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

impl LinkMessage for scheduler::Event {
    const HEARTBEAT_AT_ONCE: bool = true;

    fn opens(&self) -> bool {
        self.r#type() == scheduler::event::Type::Subscribed
    }

    fn ends(&self) -> bool {
        self.r#type() == scheduler::event::Type::Error
    }

    fn heartbeat() -> Option<Self> {
        Some(Self { r#type: Some(scheduler::event::Type::Heartbeat.into()), ..Self::default() })
    }
}

impl LinkMessage for executor::Event {
    fn opens(&self) -> bool {
        self.r#type() == executor::event::Type::Subscribed
    }

    fn ends(&self) -> bool {
        self.r#type() == executor::event::Type::Error
    }

    fn heartbeat() -> Option<Self> {
        Some(Self { r#type: Some(executor::event::Type::Heartbeat.into()), ..Self::default() })
    }
}

impl LinkMessage for master::Event {
    const HEARTBEAT_AT_ONCE: bool = true;

    fn opens(&self) -> bool {
        self.r#type() == master::event::Type::Subscribed
    }

    fn heartbeat() -> Option<Self> {
        Some(Self { r#type: Some(master::event::Type::Heartbeat.into()), ..Self::default() })
    }
}

/// Masters ping agents themselves; the connection's own keep-alive notices a dead machine.
impl LinkMessage for ToAgent {}

/// The other direction of the same link.
impl LinkMessage for FromAgent {}
