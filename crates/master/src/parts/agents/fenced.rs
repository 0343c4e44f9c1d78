//! Agents that are not believed because their ledger was lost, rolled back or replaced: what they said last, for whoever decides.
//!
//! Kept apart from what is believed, and never taken for it. Few are kept: one that goes on speaking is told of again soon.

use holdfast_model::{
    AgentId, Claim, ClaimId, DiskReport, Instant, LabelledVolume, NodeId, Report, SharedMap,
};

/// How many are kept.
const KEPT_MAX: usize = 256;

/// What such an agent said.
#[derive(Clone, Debug)]
pub struct FencedAgent {
    /// Its ledger.
    pub node: NodeId,
    /// The agent that it calls itself, or whose disks it has.
    pub agent: AgentId,
    /// Whether its ledger is a new one, which knows nothing.
    pub is_lost: bool,
    /// Its host.
    pub hostname: String,
    /// The version of its ledger.
    pub ledger_version: u64,
    /// Its disks.
    pub disks: Vec<DiskReport>,
    /// What it has claimed, by its ledger.
    pub claims: Vec<Claim>,
    /// What of that cannot be used.
    pub faults: Vec<(ClaimId, String)>,
    /// When it said so.
    pub at: Instant,
}

impl FencedAgent {
    /// What a report says.
    pub(crate) fn of(agent: AgentId, report: &Report, at: Instant) -> FencedAgent {
        FencedAgent {
            node: report.node,
            agent,
            is_lost: report.agent.is_none(),
            hostname: report.machine.hostname.clone(),
            ledger_version: report.ledger_version,
            disks: report.disks.clone(),
            claims: report.claims.clone(),
            faults: report.faults.clone(),
            at,
        }
    }

    /// The volumes on its disks that its ledger does not know, each with its disk.
    pub fn labelled(&self) -> impl Iterator<Item = (&DiskReport, &LabelledVolume)> {
        self.disks.iter().flat_map(|disk| disk.orphans.iter().map(move |it| (disk, it)))
    }
}

/// All of them, by their ledgers.
#[derive(Clone, Debug, Default)]
pub(crate) struct FencedAgents(SharedMap<NodeId, FencedAgent>);

impl FencedAgents {
    pub(crate) fn rows(&self) -> &SharedMap<NodeId, FencedAgent> {
        &self.0
    }

    pub(crate) fn note(&mut self, it: FencedAgent) {
        if KEPT_MAX <= self.0.len() && !self.0.contains_key(&it.node) {
            let oldest = self.0.values().min_by_key(|it| it.at).map(|it| it.node);
            oldest.map(|it| self.0.remove(&it));
        }
        self.0.insert(it.node, it);
    }

    /// Those that call themselves this agent are of no interest any more.
    pub(crate) fn forget_of(&mut self, agent: &AgentId) {
        let its = self.0.iter().filter(|(_, it)| it.agent == *agent);
        let its: Vec<NodeId> = its.map(|(node, _)| *node).collect();
        its.into_iter().for_each(|it| self.forget(it));
    }

    pub(crate) fn forget(&mut self, node: NodeId) {
        self.0.remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_oldest_go_when_there_are_many() {
        let mut all = FencedAgents::default();
        for number in 0..300u64 {
            all.note(FencedAgent {
                node: NodeId(Uuid::from_u128(u128::from(number))),
                agent: AgentId::made("a".to_owned()),
                is_lost: true,
                hostname: String::new(),
                ledger_version: 1,
                disks: Vec::new(),
                claims: Vec::new(),
                faults: Vec::new(),
                at: Instant(number),
            });
        }
        assert_eq!(all.rows().len(), KEPT_MAX);
        assert_eq!(all.rows().values().map(|it| it.at.0).min(), Some(300 - KEPT_MAX as u64));
        let last = NodeId(Uuid::from_u128(299));
        all.forget(last);
        assert!(!all.rows().contains_key(&last));
    }
}
