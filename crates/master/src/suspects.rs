//! Poison: a message that breaks an assertion in one leader is sent to the next. Whoever carries a leader out asks, before it hands an input
//! over, who said it (`Master::speaker`); when the leader falls over it, that is written down (`Master::suspicion`), and a successor keeps
//! out a peer that was named twice.
//!
//! Relies on a leader that fell still knowing its ledger and its links, which no handler changes half-way. Never keeps anybody out for good.

use holdfast_model::{Call, Instant, MasterChange, Peer, Suspect, ToMaster};

use crate::{Input, Master, Step};

/// Who said something, and what kind of thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    peer: Peer,
    kind: &'static str,
}

impl Master {
    /// Who says this, if it is a peer that would say it again to another leader.
    pub fn speaker(&self, input: &Input) -> Option<Speaker> {
        let (peer, kind) = match input {
            Input::FromAgent(link, message) => {
                let known = self.links.agent_at(*link);
                let known = known.and_then(|id| self.ledger().agents.get(id)).map(|it| it.node);
                let node = match message {
                    ToMaster::Report(report) => known.or(Some(report.node)),
                    _ => known,
                };
                (Peer::Agent(node?), kind_of_message(message))
            }
            Input::FromFramework(link, _, said) => {
                let known = self.links.framework_at(*link);
                let framework = match &said.call {
                    Call::Subscribe { info, .. } => known.or(info.id.as_ref()),
                    _ => known,
                };
                (Peer::Framework(framework?.clone()), kind_of_call(&said.call))
            }
            _ => return None,
        };
        Some(Speaker { peer, kind })
    }

    /// What is to be written down when a leader has fallen over what `speaker` said; `broken` is the assertion.
    pub fn suspicion(&self, speaker: Speaker, broken: &str, now: Instant) -> MasterChange {
        let Speaker { peer, kind } = speaker;
        let former = self.ledger().suspects.get(&peer);
        MasterChange::Suspect(Suspect::again(former, peer, format!("{kind} ({broken})"), now))
    }
}

impl Step<'_> {
    /// Why a peer is kept out for now, if it is.
    pub(crate) fn why_suspected(&self, peer: &Peer) -> Option<String> {
        let suspect = self.out.ledger().suspects.get(peer)?;
        let until = suspect.fenced_until(self.now)?;
        let minutes = |ms: u64| ms.div_ceil(60_000);
        Some(format!(
            "{peer} is kept out: what it sends broke an assertion in {} leaders, last {} minutes ago: {}; it is tried again in {} minutes; report the bug with the logs of the masters that stopped",
            suspect.times,
            minutes(self.now.0.saturating_sub(suspect.at.0)),
            suspect.what,
            minutes(until.0.saturating_sub(self.now.0)),
        ))
    }

    /// A new leader forgets what is long ago.
    pub(crate) fn forget_suspects(&mut self) {
        let suspects = self.out.ledger().suspects.values();
        let over = suspects.filter(|it| it.is_over(self.now)).map(|it| it.peer.clone());
        self.out.commit(over.map(MasterChange::SuspectForgotten).collect());
    }
}

fn kind_of_message(message: &ToMaster) -> &'static str {
    match message {
        ToMaster::Report(_) => "a report",
        ToMaster::TaskUpdate { .. } => "a task's status",
        ToMaster::OperationUpdate(_) => "an operation's status",
        ToMaster::ExecutorMessage(..) => "an executor's message",
        ToMaster::ExecutorExited { .. } => "an executor's end",
        ToMaster::SpaceNews(_) => "news of the space on its disks",
        ToMaster::TrashNews(_) => "news of its trash",
        ToMaster::UsedNews(_) => "news of what its volumes use",
        ToMaster::DiskAnswer { .. } => "what came of a change of its disks",
        ToMaster::Pong(_) => "an answer to a ping",
    }
}

fn kind_of_call(call: &Call) -> &'static str {
    match call {
        Call::Subscribe { .. } => "SUBSCRIBE",
        Call::UpdateFramework { .. } => "UPDATE_FRAMEWORK",
        Call::Teardown => "TEARDOWN",
        Call::Accept { .. } => "ACCEPT",
        Call::Decline { .. } => "DECLINE",
        Call::Revive(_) => "REVIVE",
        Call::Suppress(_) => "SUPPRESS",
        Call::Kill { .. } => "KILL",
        Call::Shutdown(..) => "SHUTDOWN",
        Call::Acknowledge { .. } => "ACKNOWLEDGE",
        Call::Reconcile(_) => "RECONCILE",
        Call::Message(..) => "MESSAGE",
        Call::AcknowledgeOperation { .. } => "ACKNOWLEDGE_OPERATION_STATUS",
        Call::ReconcileOperations(_) => "RECONCILE_OPERATIONS",
        Call::Request => "REQUEST",
        Call::AnswerInverse { accepts: true, .. } => "ACCEPT_INVERSE_OFFERS",
        Call::AnswerInverse { accepts: false, .. } => "DECLINE_INVERSE_OFFERS",
    }
}
