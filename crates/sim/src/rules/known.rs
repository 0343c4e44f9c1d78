//! The state that the rules share: what was asked for, and what was acknowledged.
//!
//! A lower bound of what must be there: what was acknowledged, less everything that was asked to be
//! taken from it (even if nobody knows whether that arrived). It relies on facts alone. It never
//! looks into a core.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    Action, AgentChange, AgentId, Call, Claim, ClaimAction, ClaimId, Event, FrameworkId, Identity,
    OfferId, OperationState, Resource, Role, TaskId, TaskInfo,
};

use crate::fact::Fact;

/// A volume's name to the world: its agent, role and persistence id.
pub type VolumeName = (AgentId, Role, String);

/// What the rules know from facts.
#[derive(Debug, Default)]
pub struct Known {
    /// The machine of each agent id.
    pub machines: BTreeMap<AgentId, usize>,
    /// The framework of each framework id.
    pub frameworks: BTreeMap<FrameworkId, usize>,
    /// The roles that each framework named.
    pub roles: BTreeMap<usize, Vec<Role>>,
    /// The framework and the agent of each offer.
    pub offers: BTreeMap<OfferId, (usize, AgentId)>,
    /// Tasks that frameworks asked for.
    pub tasks: BTreeMap<(FrameworkId, TaskId), TaskInfo>,
    /// At least this much of each reservation and volume must be there, in thousandths; negative
    /// while more was asked away.
    pub floors: BTreeMap<AgentId, BTreeMap<Identity, i128>>,
    /// Agents whose floor changed since somebody looked.
    pub floors_changed: BTreeSet<AgentId>,
    /// Operations whose outcome a framework has not heard, by framework and id.
    pub open: BTreeMap<(usize, String), (AgentId, ClaimAction)>,
    /// Volumes that a framework was told were not made.
    pub refuted: BTreeSet<VolumeName>,
    /// Volumes that somebody asked to destroy.
    pub destroyed: BTreeSet<VolumeName>,
    /// Claims as agents wrote them down.
    pub claims: BTreeMap<(usize, ClaimId), Claim>,
    /// Records that their writers were told are safe.
    pub records: BTreeMap<ClaimId, u64>,
}

impl Known {
    pub(crate) fn see(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::AgentCommits { machine, changes } => {
                changes.iter().for_each(|change| self.agent_commits(*machine, change))
            }
            Fact::FrameworkCalls { framework, call } => {
                self.framework_calls(*framework, &call.framework, &call.call)
            }
            Fact::FrameworkHears { framework, event, .. } => {
                self.framework_hears(*framework, event)
            }
            Fact::OperatorAsks { agent, action } => self.ask(agent, action),
            Fact::OperatorHears { agent, action, answer: Ok(()) } => {
                self.add(agent, &action.conversion().converted, 1)
            }
            Fact::OperatorHears { .. } => {} // Refused, or not known: the floor stays low.
            Fact::RecordKept { claim, count, .. } => drop(self.records.insert(*claim, *count)),
            _ => {}
        }
    }

    fn agent_commits(&mut self, machine: usize, change: &AgentChange) {
        match change {
            AgentChange::Identity(identity) => {
                if let Some(agent) = &identity.agent {
                    self.machines.insert(agent.clone(), machine);
                }
            }
            AgentChange::Claim(claim) => {
                drop(self.claims.insert((machine, claim.id), claim.clone()))
            }
            AgentChange::ClaimGone(claim) => drop(self.claims.remove(&(machine, *claim))),
            _ => {}
        }
    }

    fn framework_calls(&mut self, framework: usize, id: &Option<FrameworkId>, call: &Call) {
        match call {
            Call::Subscribe { info, .. } => drop(self.roles.insert(framework, info.roles.clone())),
            Call::Accept { offers, operations, .. } => {
                let theirs = |it: &&(usize, AgentId)| it.0 == framework;
                let Some((_, agent)) =
                    offers.first().and_then(|it| self.offers.get(it)).filter(theirs).cloned()
                else {
                    return;
                };
                self.forget_offers(framework, offers);
                for operation in operations {
                    match &operation.action {
                        Action::Claim(action) => {
                            let bare = action.map(|it| it.clone().unallocated());
                            self.ask(&agent, &bare);
                            if let Some(name) = &operation.id {
                                self.open.insert((framework, name.clone()), (agent.clone(), bare));
                            }
                        }
                        Action::Launch(tasks) | Action::LaunchGroup(_, tasks) => {
                            let Some(id) = id else { continue };
                            self.tasks.extend(
                                tasks.iter().map(|it| ((id.clone(), it.id.clone()), it.clone())),
                            );
                        }
                        Action::Unsupported(_) | Action::Unreadable(_) => {}
                    }
                }
            }
            Call::Decline { offers, .. } => self.forget_offers(framework, offers),
            _ => {}
        }
    }

    /// Offers are used up by whoever they were made to, and by nobody else.
    fn forget_offers(&mut self, framework: usize, offers: &[OfferId]) {
        for id in offers {
            if self.offers.get(id).is_some_and(|it| it.0 == framework) {
                self.offers.remove(id);
            }
        }
    }

    fn framework_hears(&mut self, framework: usize, event: &Event) {
        match event {
            Event::Subscribed(id) => drop(self.frameworks.insert(id.clone(), framework)),
            Event::Offers(offers) => self
                .offers
                .extend(offers.iter().map(|it| (it.id.clone(), (framework, it.agent.clone())))),
            Event::UpdateOperation(status) => {
                let key = (framework, status.id.clone().unwrap_or_default());
                match status.state {
                    OperationState::Finished => {
                        if let Some((agent, action)) = self.open.remove(&key) {
                            self.add(&agent, &action.conversion().converted, 1);
                        }
                    }
                    OperationState::Failed | OperationState::Error | OperationState::Dropped => {
                        if let Some((agent, action)) = self.open.remove(&key) {
                            self.add(&agent, &action.conversion().consumed, 1);
                            if let ClaimAction::Create(volumes) = &action {
                                self.refuted.extend(names(&agent, volumes));
                            }
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn ask(&mut self, agent: &AgentId, action: &ClaimAction) {
        self.add(agent, &action.conversion().consumed, -1);
        if let ClaimAction::Destroy(volumes) = action {
            self.destroyed.extend(names(agent, volumes));
        }
    }

    fn add(&mut self, agent: &AgentId, resources: &holdfast_model::Resources, sign: i128) {
        let floors = self.floors.entry(agent.clone()).or_default();
        for (identity, amount) in
            resources.entries().filter(|(identity, _)| identity.needs_checkpoint())
        {
            *floors.entry(identity.clone()).or_default() +=
                sign * i128::from(amount.value.quantity().as_thousandths());
        }
        floors.retain(|_, amount| *amount != 0);
        self.floors_changed.insert(agent.clone());
    }
}

/// The names of volumes of an agent.
pub(crate) fn names<'a>(
    agent: &'a AgentId,
    volumes: &'a [Resource],
) -> impl Iterator<Item = VolumeName> + 'a {
    volumes.iter().filter_map(|it| {
        Some((agent.clone(), it.identity.role(), it.identity.persistence.as_ref()?.to_string()))
    })
}
