//! Proof that a member's volume is no more. That a volume is not offered proves nothing; that its claim has ended does, and the masters say
//! so only where the agent that had it did.
//!
//! It relies on the masters' memory of ended claims. It never takes an end for proof that nobody told, or while any volume of the member may
//! still exist.

use holdfast_model::{AgentId, ClaimId, FrameworkId, PersistenceId};

use crate::ledger::{Member, Stage};

/// How a claim ends when whoever may decide that has decided that its data are not needed any more.
const FINAL: [&str; 2] = ["given up", "destroyed"];

/// A volume whose claim has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedVolume {
    /// The claim that it had.
    pub claim: ClaimId,
    /// The agent that had it.
    pub agent: AgentId,
    /// Its name.
    pub volume: PersistenceId,
    /// The framework that made it.
    pub framework: Option<FrameworkId>,
    /// How it ended, as its agent said; `None` when the agent merely does not have it any more.
    pub how: Option<String>,
    /// Who asked for that.
    pub by: Option<String>,
}

/// A volume that was moved to another agent with its disk: the same claim, whose history says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedVolume {
    /// Its name.
    pub volume: PersistenceId,
    /// The agent that had it, and was asked about.
    pub from: AgentId,
    /// The agent that has it.
    pub to: AgentId,
}

/// The masters' answer to a question about volumes. What lives was read after what has ended, so that a volume that came back from the
/// trash is among the living.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// Volumes that have ended and are not back.
    pub ended: Vec<EndedVolume>,
    /// All volumes of the framework that live.
    pub living: Vec<(AgentId, PersistenceId)>,
    /// Those of the framework that live at another agent than they did.
    pub moved: Vec<MovedVolume>,
}

/// What the masters' answer means for a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It proves nothing.
    Unproven,
    /// The member's volume is no more.
    Ended(&'a EndedVolume),
    /// It lives, at this agent.
    Moved(&'a AgentId),
    /// It is no more, and another volume of the same member lives: the ledger is older than that one.
    Outdated(&'a (AgentId, PersistenceId)),
}

impl EndedVolume {
    /// Whether whoever may decide that has decided that its data are not needed any more.
    pub(crate) fn is_final(&self) -> bool {
        self.how.as_deref().is_some_and(|how| FINAL.contains(&how))
    }
}

impl Endings {
    /// Judges for a member that waits for its volume. `name` is what the names of its volumes begin with.
    pub(crate) fn judge(
        &self,
        framework: Option<&FrameworkId>,
        member: &Member,
        name: &str,
    ) -> Verdict<'_> {
        if member.run.is_some() || member.stage != Stage::Placed || framework.is_none() {
            return Verdict::Unproven;
        }
        let is_its = |it: &&MovedVolume| {
            Some(&it.volume) == member.volume.as_ref() && Some(&it.from) == member.agent.as_ref()
        };
        let is_where_it_was = |(agent, volume): &(AgentId, PersistenceId)| {
            Some(agent) == member.agent.as_ref() && Some(volume) == member.volume.as_ref()
        };
        if let Some(it) = self.moved.iter().find(is_its) {
            // Two of one name are nobody's to choose between.
            let is_there_too = self.living.iter().any(is_where_it_was);
            return if is_there_too { Verdict::Unproven } else { Verdict::Moved(&it.to) };
        }
        let proves = |it: &&EndedVolume| {
            Some(&it.volume) == member.volume.as_ref()
                && Some(&it.agent) == member.agent.as_ref()
                && it.framework.as_ref() == framework
                && it.is_final()
        };
        let Some(ended) = self.ended.iter().rfind(proves) else { return Verdict::Unproven };
        let is_a_members = |it: &&(AgentId, PersistenceId)| {
            let number = it.1.as_str().strip_prefix(name).and_then(|it| it.strip_prefix('-'));
            number.is_some_and(|it| it.parse::<u32>().is_ok())
        };
        match self.living.iter().find(is_a_members) {
            Some(it) if Some(&it.1) == member.volume.as_ref() => Verdict::Unproven,
            Some(it) => Verdict::Outdated(it),
            None => Verdict::Ended(ended),
        }
    }
}
