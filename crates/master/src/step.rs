//! What can happen to a master, and what it can want done: two closed lists, and nothing else crosses the wall.

use std::fmt;
use std::sync::Arc;

use holdfast_model::convert::Format;
use holdfast_model::{
    CallerIdentity, Event, FrameworkCall, Invalid, LinkId, MasterChange, OperatorCall, Term,
    ToAgent, ToMaster,
};

use crate::Belief;

/// Names a question of an operator until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Why an operator's call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The call is wrong.
    Invalid(Invalid),
    /// No such agent, framework or task.
    NotFound(String),
    /// Right, but not now: in use, not enough, not connected.
    Conflict(String),
    /// This master does not lead.
    NotLeading,
}

/// Everything that can happen to a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This master leads now.
    Elected(Term),
    /// A term is over. Says nothing about a later one.
    Deposed(Term),
    /// An agent says. Its first message on a link is a report.
    FromAgent(LinkId, ToMaster),
    /// An agent passed over an order that it does not know, since it is of an older version. It knows the kinds up to this number, see
    /// [`holdfast_model::Order::kind`].
    AgentPassedOver(LinkId, u32),
    /// An agent's link broke.
    AgentLost(LinkId),
    /// A framework says. Its first call on a link is SUBSCRIBE.
    FromFramework(LinkId, CallerIdentity, FrameworkCall),
    /// A framework's link broke.
    FrameworkLost(LinkId),
    /// An operator asks.
    FromOperator(RequestId, CallerIdentity, OperatorCall),
    /// Somebody waits until all that was said before is decided on, and durable. It is answered as what an operator asks.
    Settle(RequestId),
    /// Time has passed; see [`crate::Master::next_deadline`].
    Tick,
}

/// Everything that a master can want done. The shell carries effects out in order; a [`Effect::Commit`] is
/// in the masters' journal before the next effect begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write these down under that term, durably, all or none. A shell that cannot, dies.
    Commit(Term, Vec<MasterChange>),
    /// An agent of this cluster has obeyed that term, and obeys no lesser one: have a greater one written down durably, and say
    /// [`Input::Elected`] with it. A shell that cannot, dies: it was deposed.
    Outranked(Term),
    /// Tell an agent.
    ToAgent(LinkId, ToAgent),
    /// Hang up on an agent.
    CloseAgent(LinkId),
    /// Tell a framework, in the format that it understands.
    ToFramework(LinkId, Event, Format),
    /// Hang up on a framework, after what was sent before.
    CloseFramework(LinkId),
    /// Answer an operator: done and durable, or why not.
    Answer(RequestId, Result<(), Refusal>),
    /// Worth telling a person.
    Log(String),
    /// Nobody needs this any more. Dropping it takes its time, so that a shell may do it on another thread.
    Discard(FormerBelief),
}

/// What a leader believed whose term is over; only good for being dropped.
#[derive(Clone)]
pub struct FormerBelief {
    _belief: Arc<Belief>,
}

impl FormerBelief {
    pub(crate) fn new(belief: Belief) -> FormerBelief {
        FormerBelief { _belief: Arc::new(belief) }
    }
}

impl fmt::Debug for FormerBelief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormerBelief")
    }
}

/// Nobody can look into it: one is as good as another.
impl PartialEq for FormerBelief {
    fn eq(&self, _: &FormerBelief) -> bool {
        true
    }
}

impl Eq for FormerBelief {}
