//! L3: names are given once: no two machines share an agent id, no two frameworks a framework id,
//! no two offers or operations theirs.
//!
//! It relies on names as they are told. It never forgets one.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AgentChange, AgentId, Event, FrameworkId, Instant, NodeId, OfferId, Operation, OperationUuid,
};

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule L3.
#[derive(Default)]
pub(crate) struct Names {
    agents: BTreeMap<AgentId, NodeId>,
    nodes: BTreeMap<NodeId, AgentId>,
    frameworks: BTreeMap<FrameworkId, usize>,
    offers: BTreeSet<OfferId>,
    operations: BTreeMap<OperationUuid, (usize, Operation)>,
}

impl Rule for Names {
    fn letters(&self) -> &'static str {
        "L3"
    }

    fn see(&mut self, _now: Instant, _known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::AgentCommits { machine, changes } => {
                changes.iter().try_for_each(|it| self.committed(*machine, it))
            }
            Fact::FrameworkHears { framework, event: Event::Subscribed(id), .. } => {
                let other = *self.frameworks.entry(id.clone()).or_insert(*framework);
                if other != *framework {
                    return Err(format!("framework id {id} is given to framework {framework}, and belongs to {other}"));
                }
                Ok(())
            }
            Fact::MasterTells { event: Event::Offers(offers), .. } => {
                let again = offers.iter().find(|it| !self.offers.insert(it.id.clone()));
                again.map_or(Ok(()), |it| Err(format!("offer id {} is used again", it.id)))
            }
            _ => Ok(()),
        }
    }
}

impl Names {
    fn committed(&mut self, machine: usize, change: &AgentChange) -> Checked {
        match change {
            AgentChange::Identity(identity) => {
                let Some(agent) = &identity.agent else { return Ok(()) };
                let node = *self.agents.entry(agent.clone()).or_insert(identity.node);
                let name = self.nodes.entry(identity.node).or_insert_with(|| agent.clone());
                if node != identity.node || name != agent {
                    return Err(format!("machine {machine} is called {agent}; that name belongs to node {node}, and this node is {name}"));
                }
            }
            AgentChange::Operation(record) => {
                let first = self
                    .operations
                    .entry(record.uuid)
                    .or_insert_with(|| (machine, record.operation.clone()));
                if *first != (machine, record.operation.clone()) {
                    return Err(format!("operation {} names two different things", record.uuid));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
