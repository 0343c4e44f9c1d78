//! An agent whose ledger was lost or rolled back, and that is given back what the masters know of it.
//!
//! Its ledger gets another name with that, so that the one that was lost, and every older copy of it, is told apart from it for ever. Whoever
//! has written down the new name has written down the claims with it. Never gives back a claim that is known to have ended.

use std::collections::BTreeMap;

use crate::claim::Claim;
use crate::id::{AgentId, ClaimId, ClusterId, Instant, NodeId, OperationUuid};

/// A recovery that an operator has ordered, as the masters remember it until it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The agent that gets its claims back.
    pub agent: AgentId,
    /// The ledger that is to have them, as it calls itself now.
    pub node: NodeId,
    /// The name of that ledger from then on.
    pub lineage: NodeId,
    /// The name of the order.
    pub order: OperationUuid,
    /// Who asked, for the history of claims.
    pub by: String,
    /// When.
    pub since: Instant,
}

/// What an agent is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecovery {
    /// Its name in the cluster.
    pub agent: AgentId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The ledger that this is meant for.
    pub node: NodeId,
    /// What that ledger is called from now on.
    pub lineage: NodeId,
    /// The version of its ledger that the masters had acknowledged; the next one is greater.
    pub ledger_version: u64,
    /// All that is claimed of it.
    pub claims: Vec<Claim>,
}

impl Claim {
    /// The claim as its agent gets it back: the same claim, with one event more.
    pub fn recovered(&self, at: Instant, by: &str) -> Claim {
        self.ended(at, "recovered: the agent's ledger was lost or rolled back", by)
    }
}

/// What an agent is to have: all that the masters know of it, and what only the agent has, unless it is known to have ended. Of two states
/// of one claim the newer one counts.
pub fn recovered_claims<'a>(
    masters: impl IntoIterator<Item = &'a Claim>,
    agents: impl IntoIterator<Item = &'a Claim>,
    ended: impl Fn(ClaimId) -> bool,
) -> Vec<&'a Claim> {
    let mut all: BTreeMap<ClaimId, &Claim> = masters.into_iter().map(|it| (it.id, it)).collect();
    for claim in agents {
        match all.get(&claim.id) {
            Some(masters) if claim.generation <= masters.generation => {}
            None if ended(claim.id) => {}
            _ => drop(all.insert(claim.id, claim)),
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::ClaimState;
    use crate::resource::Resource;
    use crate::value::Scalar;
    use uuid::Uuid;

    fn claim(number: u128, generation: u64) -> Claim {
        Claim {
            id: ClaimId(Uuid::from_u128(number)),
            state: ClaimState::Ready,
            resource: Resource::scalar("disk", Scalar::whole(10)),
            framework: None,
            generation,
            created: Instant(1),
            disk: None,
            history: Vec::new(),
            shares: Vec::new(),
            operation: None,
        }
    }

    #[test]
    fn the_newer_of_two_counts_and_what_has_ended_does_not_come_back() {
        let masters = [claim(1, 5), claim(2, 5), claim(3, 1)];
        let agents = [claim(1, 4), claim(2, 6), claim(4, 1), claim(5, 1)];
        let is_ended = |id: ClaimId| [3, 4].contains(&id.0.as_u128());
        let all = recovered_claims(&masters, &agents, is_ended);
        let all: Vec<_> = all.iter().map(|it| (it.id.0.as_u128(), it.generation)).collect();
        assert_eq!(all, [(1, 5), (2, 6), (3, 1), (5, 1)]);
    }

    #[test]
    fn a_claim_that_is_given_back_is_the_same_with_one_event_more() {
        let back = claim(1, 5).recovered(Instant(9), "ops");
        let event = back.history.last().unwrap();
        assert_eq!((event.at, event.generation, event.by.as_str()), (Instant(9), 6, "ops"));
        assert!(event.what.starts_with("recovered"));
        assert_eq!(Claim { generation: 5, history: Vec::new(), ..back }, claim(1, 5));
    }
}
