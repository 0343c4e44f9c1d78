//! What can happen to a master, and what it can want done: two closed lists, and nothing else crosses the wall.

use holdfast_model::{
    AgentId, Call, ClaimAction, Event, FrameworkId, Invalid, LinkId, MasterChange, Role, Scalar,
    TaskId, Term, ToAgent, ToMaster,
};

/// Names a question of an operator until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What an operator can ask of the master's mind (reading is done by [`crate::Master::view`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCall {
    /// RESERVE, UNRESERVE, CREATE or DESTROY on one agent. Answered once it is durable there.
    Claim {
        /// Where.
        agent: AgentId,
        /// What.
        action: ClaimAction,
        /// The authenticated principal, if any.
        principal: Option<String>,
        /// Only say whether it would work.
        plan: bool,
    },
    /// Remove a framework; its claims stay.
    Teardown(FrameworkId),
    /// End a task of a framework.
    Kill(FrameworkId, TaskId),
    /// Set the weight of a role.
    Weight(Role, Scalar),
}

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
    /// An agent's link broke.
    AgentLost(LinkId),
    /// A framework says. Its first call on a link is SUBSCRIBE.
    FromFramework(LinkId, FrameworkCall),
    /// A framework's link broke.
    FrameworkLost(LinkId),
    /// An operator asks.
    FromOperator(RequestId, OperatorCall),
    /// Time has passed; see [`crate::Master::next_deadline`].
    Tick,
}

/// A call with the name that it came under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkCall {
    /// The framework that the call names; `None` only for a first SUBSCRIBE.
    pub framework: Option<FrameworkId>,
    /// What.
    pub call: Call,
}

/// Everything that a master can want done. The shell carries effects out in order; a [`Effect::Commit`] is
/// in the masters' journal before the next effect begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write these down, durably, all or none. A shell that cannot, dies.
    Commit(Vec<MasterChange>),
    /// Tell an agent.
    ToAgent(LinkId, ToAgent),
    /// Hang up on an agent.
    CloseAgent(LinkId),
    /// Tell a framework.
    ToFramework(LinkId, Event),
    /// Hang up on a framework, after what was sent before.
    CloseFramework(LinkId),
    /// Answer an operator: done and durable, or why not.
    Answer(RequestId, Result<(), Refusal>),
    /// Worth telling a person.
    Log(String),
}
