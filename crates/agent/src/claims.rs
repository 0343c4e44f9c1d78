//! What operations may do to the agent's claims: planned on what is there now, without changing anything.
//!
//! Relies on `holdfast_model::claim` and `holdfast_model::operation`, which are the law. Never gives a
//! volume's space back before its bytes are in the trash.

use std::collections::BTreeMap;

use holdfast_model::claim::{self, ClaimChanges, Making};
use holdfast_model::{
    Action, AgentLedger, Asker, Claim, ClaimAction, ClaimState, ExecutorKey, FrameworkId, Identity,
    OperationState, OperationUuid, Resource, Resources, StepContext, TaskRecord,
};

use crate::soft::Phase;
use crate::step::VolumeLabel;
use crate::Agent;

/// Whether an operation can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Now.
    Do,
    /// Once something that is under way has ended.
    Wait,
    /// Not at all.
    Refuse(OperationState, String),
}

/// How a container holds a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// By a task or executor that lives; says which.
    Live(String),
    /// By a container that is ending; it will be free.
    Ending,
}

/// The claim of the volume with this identity, allocation put aside.
pub(crate) fn find_volume<'a>(ledger: &'a AgentLedger, identity: &Identity) -> Option<&'a Claim> {
    let bare = identity.unallocated();
    ledger.claims.values().find(|it| {
        it.is_volume() && it.state != ClaimState::Destroying && it.resource.identity == bare
    })
}

/// What is written on a volume. It says how things were when the volume was made, whatever happened to the claim since.
pub(crate) fn label(claim: &Claim) -> Option<VolumeLabel> {
    Some(VolumeLabel {
        claim: claim.id,
        disk: claim.disk?,
        persistence: claim.resource.identity.persistence.as_ref()?.as_str().to_owned(),
        role: claim.resource.identity.role().as_str().to_owned(),
        principal: claim.resource.creator.clone(),
        generation: claim.history.first().map_or(claim.generation, |it| it.generation),
        size_mb: u64::try_from(claim.resource.value.quantity().as_whole()).unwrap_or(0),
    })
}

pub(crate) fn uses(list: &[Resource], identity: &Identity) -> bool {
    list.iter().any(|it| it.identity.unallocated() == *identity)
}

impl Agent {
    /// Whether `action` (without allocations) can be done; `uuid` is its own name, if it waits already.
    pub(crate) fn plan(&self, action: &ClaimAction, uuid: OperationUuid) -> Plan {
        if let Err(invalid) = action.check(Asker::Operator { principal: None }) {
            return Plan::Refuse(OperationState::Error, invalid.to_string());
        }
        if self.soft.machine.is_none() {
            return Plan::Refuse(
                OperationState::Failed,
                "the agent has not opened its disks yet; try again".to_owned(),
            );
        }
        if let Some(why) = self.disks_forbid(action) {
            return Plan::Refuse(OperationState::Failed, why);
        }
        match action.apply(&mut self.soft.total.clone()) {
            Ok(_) => match action {
                ClaimAction::Destroy(volumes) => self.plan_destroy(volumes),
                _ => Plan::Do,
            },
            Err(_) if action.apply(&mut self.future_total(Some(uuid))).is_ok() => Plan::Wait,
            Err(invalid) => Plan::Refuse(OperationState::Failed, invalid.to_string()),
        }
    }

    /// Ill disks get no new claims and lose none; names are unique also among claims that cannot be used now.
    fn disks_forbid(&self, action: &ClaimAction) -> Option<String> {
        for resource in action.resources() {
            let disk = self.disk_of(&resource.identity);
            let fault = disk.and_then(|it| self.disk_fault(it));
            match action {
                ClaimAction::Unreserve(_) => continue,
                ClaimAction::Create(_) if disk.is_none() => {
                    return Some(format!(
                        "{resource}: there is no such disk on this agent; see its disks"
                    ));
                }
                ClaimAction::Create(_) if self.name_is_taken(&resource.identity) => {
                    return Some(format!("{resource}: the role already has a volume of this name on this agent; choose another id"));
                }
                ClaimAction::Reserve { .. } | ClaimAction::Create(_) | ClaimAction::Destroy(_) => {}
            }
            if let Some(fault) = fault {
                return Some(format!("{resource}: its disk cannot be used: {fault}"));
            }
        }
        None
    }

    fn name_is_taken(&self, identity: &Identity) -> bool {
        let same = |it: &&Claim| {
            it.resource.identity.persistence == identity.persistence
                && it.resource.identity.role() == identity.role()
        };
        self.ledger
            .claims
            .values()
            .filter(same)
            .any(|it| it.is_volume() && it.state != ClaimState::Destroying)
    }

    fn plan_destroy(&self, volumes: &[Resource]) -> Plan {
        let mut plan = Plan::Do;
        for volume in volumes {
            let Some(claim) = find_volume(&self.ledger, &volume.identity) else {
                return Plan::Refuse(
                    OperationState::Failed,
                    format!("there is no volume {volume} on this agent; see its claims"),
                );
            };
            if claim.state == ClaimState::Making {
                plan = Plan::Wait;
            }
            for hold in self.holds(claim, None) {
                match hold {
                    Hold::Live(by) => {
                        return Plan::Refuse(
                            OperationState::Failed,
                            format!("{volume} is in use by {by}; end it first"),
                        )
                    }
                    Hold::Ending => plan = Plan::Wait,
                }
            }
        }
        plan
    }

    /// What the total will be when all that is under way has ended well.
    pub(crate) fn future_total(&self, except: Option<OperationUuid>) -> Resources {
        let mut future = self.soft.total.clone();
        for claim in self.ledger.claims.values().filter(|it| it.state == ClaimState::Destroying) {
            future.add(&claim.resource.without_volume());
        }
        let waiting = self.soft.waiting.iter().filter(|(uuid, _)| Some(*uuid) != except);
        let mut others: Vec<&ClaimAction> =
            waiting.filter_map(|(uuid, _)| self.claim_action(uuid)).collect();
        loop {
            let before = others.len();
            others.retain(|action| action.apply(&mut future).is_err());
            if others.len() == before {
                return future;
            }
        }
    }

    pub(crate) fn claim_action(&self, uuid: &OperationUuid) -> Option<&ClaimAction> {
        match &self.ledger.operations.get(uuid)?.operation.action {
            Action::Claim(action) => Some(action),
            _ => None,
        }
    }

    /// Who holds a volume, `except` aside. A container holds what it may see until nothing of it runs any more.
    pub(crate) fn holds(&self, claim: &Claim, except: Option<&ExecutorKey>) -> Vec<Hold> {
        let identity = &claim.resource.identity;
        let mut holders: BTreeMap<ExecutorKey, String> = BTreeMap::new();
        for task in self
            .ledger
            .tasks
            .values()
            .filter(|it| !it.state.is_terminal() && uses(&it.info.resources, identity))
        {
            let name = format!("task `{}` of framework {}", task.info.id, task.framework);
            holders.insert((task.framework.clone(), task.executor.clone()), name);
        }
        for (key, record) in &self.ledger.executors {
            let mounted = self.soft.runs.get(key).is_some_and(|it| it.mounted.contains(&claim.id));
            if mounted || uses(&record.info.resources, identity) {
                let name = format!("the container of executor `{}` of framework {}", key.1, key.0);
                holders.entry(key.clone()).or_insert(name);
            }
        }
        let others = holders.into_iter().filter(|(key, _)| Some(key) != except);
        others
            .map(|(key, name)| if self.is_ending(&key) { Hold::Ending } else { Hold::Live(name) })
            .collect()
    }

    pub(crate) fn is_ending(&self, key: &ExecutorKey) -> bool {
        let Some(record) = self.ledger.executors.get(key) else { return false };
        let ending = self
            .soft
            .runs
            .get(key)
            .is_some_and(|it| matches!(it.phase, Phase::Ending | Phase::Destroying));
        ending || (record.command && self.live_tasks(key).is_empty())
    }

    /// What an action does to the claims.
    pub(crate) fn changes(
        &self,
        ctx: &mut StepContext<'_>,
        action: &ClaimAction,
        framework: Option<&FrameworkId>,
        by: &str,
    ) -> ClaimChanges {
        let disk_of = |identity: &Identity| self.disk_of(identity);
        let mut making =
            Making { now: ctx.now, framework, by, ids: &mut *ctx.ids, disk_of: &disk_of };
        claim::changes(action, &self.ledger.claims, &mut making)
    }

    /// What gives the space of a volume that is no more back to its reservation. A RESERVE of what the machine has, under the
    /// volume's whole stack of reservations, is just that: it takes from no claim, and grows or makes the innermost one.
    pub(crate) fn give_back(
        &self,
        ctx: &mut StepContext<'_>,
        volume: &Claim,
        by: &str,
    ) -> ClaimChanges {
        let reserved = volume.resource.without_volume();
        let base = Resource { identity: reserved.identity.base(), ..reserved.clone() };
        let action = ClaimAction::Reserve { resources: vec![reserved], source: vec![base] };
        self.changes(ctx, &action, volume.framework.as_ref(), by)
    }

    /// Tasks of an executor that have not ended.
    pub(crate) fn live_tasks<'a>(&'a self, key: &'a ExecutorKey) -> Vec<&'a TaskRecord> {
        self.tasks_of(key).filter(|it| !it.state.is_terminal()).collect()
    }

    pub(crate) fn tasks_of<'a>(
        &'a self,
        key: &'a ExecutorKey,
    ) -> impl Iterator<Item = &'a TaskRecord> {
        let first = (key.0.clone(), holdfast_model::TaskId::made(String::new()));
        let framework = self.ledger.tasks.range(first..).take_while(|((it, _), _)| *it == key.0);
        framework.map(|(_, task)| task).filter(|it| it.executor == key.1)
    }
}
