//! An agent whose ledger was lost or rolled back gets its claims back, once an operator says so.
//!
//! It is written down which ledger is to have them, and what that ledger is called from then on, before the agent is told; so a failover, a
//! lost order or an agent's crash is made good by telling it again when it reports again. Who reports under the new name has the claims, and
//! is the agent from then on: the ledger that was lost, and every copy of it, is refused by its name. What the agent has that is not known
//! to have ended is kept. Never ends a claim that the masters know, and never recovers an agent that is believed.

use holdfast_model::{
    recovered_claims, AgentId, AgentRecord, AgentRecovery, Claim, ClaimId, LinkId, MasterChange,
    MasterLedger, MoveState, NodeId, OperationUuid, Order, Presence, Recovery, Report, SharedMap,
    ToAgent,
};

use super::ledger_history::acknowledging;
use super::passed_over::why_passed_over;
use crate::flows::gone::why_gone;
use crate::parts::agents::{AgentState, Agents, FencedAgent};
use crate::parts::operations::Operations;
use crate::{Belief, Effect, Refusal, RequestId, Step};

/// What a recovery would do.
#[derive(Clone, Debug)]
pub struct RecoveryPlan<'a> {
    /// The ledger that is to have the claims.
    pub from: &'a FencedAgent,
    /// What of the agent's ledger the masters had acknowledged.
    pub record: &'a AgentRecord,
    /// What the agent has afterwards.
    pub claims: Vec<&'a Claim>,
    /// What it has by its ledger, and is known to have ended or to be another agent's.
    pub over: Vec<&'a Claim>,
}

/// What a recovery of an agent would do; `node` is the ledger that is meant, where there are several.
///
/// # Errors
/// [`Refusal`] when there is no such agent, it is believed, nobody has reported whose ledger was lost, or something is under way with it.
pub(crate) fn plan<'a>(
    ledger: &'a MasterLedger,
    states: &SharedMap<AgentId, AgentState>,
    fenced: &'a SharedMap<NodeId, FencedAgent>,
    agent: &AgentId,
    node: Option<NodeId>,
) -> Result<RecoveryPlan<'a>, Refusal> {
    let record = ledger.agents.get(agent);
    let record = record.ok_or_else(|| Refusal::NotFound(format!("there is no agent {agent}")))?;
    if record.presence == Presence::Gone {
        return Err(Refusal::Conflict(why_gone(ledger, agent)));
    }
    if states.get(agent).is_some_and(|it| it.link().is_some()) {
        return Err(Refusal::Conflict(format!(
            "agent {agent} is connected, and its ledger is believed; there is nothing to recover"
        )));
    }
    let is_open = |it: &&holdfast_model::DiskMove| {
        let is_decided = matches!(it.state, MoveState::Moved | MoveState::Recalling);
        (it.from == *agent || it.to == *agent) && !is_decided
    };
    if let Some(it) = ledger.moves.values().find(is_open) {
        return Err(Refusal::Conflict(format!(
            "disk {} is just being moved from agent {} to {}, and whose its claims are is not decided; end that first: `holdfast disk moves`",
            it.disk, it.from, it.to
        )));
    }
    let is_meant =
        |it: &&FencedAgent| it.agent == *agent && node.is_none_or(|node| it.node == node);
    let mut named = fenced.values().filter(is_meant);
    let from = named.next().ok_or_else(|| {
        Refusal::Conflict(format!(
            "nobody has reported as agent {agent} whose ledger was lost or is older than what was acknowledged; start the agent on its host, with its disks, and look again in a moment"
        ))
    })?;
    if let Some(other) = named.next() {
        return Err(Refusal::Conflict(format!(
            "two ledgers call themselves agent {agent}: {} on {} and {} on {}; stop one of the two, or say which: --ledger",
            from.node, from.hostname, other.node, other.hostname
        )));
    }
    let (claims, over) = merged(ledger, agent, &from.claims);
    Ok(RecoveryPlan { from, record, claims, over })
}

/// What the agent has afterwards, and what of its own has ended or is another agent's.
fn merged<'a>(
    ledger: &'a MasterLedger,
    agent: &AgentId,
    own: &'a [Claim],
) -> (Vec<&'a Claim>, Vec<&'a Claim>) {
    let is_others = |id: ClaimId| {
        // Only few are asked about, and only when an operator recovers an agent.
        let mut others = ledger.agents.keys().filter(|it| *it != agent);
        others.any(|it| ledger.claims.contains_key(&(it.clone(), id)))
    };
    let is_over = |id: ClaimId| ledger.ended.last(agent, id).is_some() || is_others(id);
    let known = claims_of(ledger, agent);
    let claims = recovered_claims(known, own, is_over);
    let is_kept = |it: &&Claim| claims.iter().any(|kept| kept.id == it.id);
    let over = own.iter().filter(|it| !is_kept(it)).collect();
    (claims, over)
}

impl RecoveryPlan<'_> {
    /// Names what the plan was made on: another one has another name.
    pub fn name(&self) -> String {
        let mut sum = Sum::new();
        sum.add(self.from.node.0.as_u128());
        sum.add(u128::from(self.record.ledger_version));
        for claim in self.claims.iter().chain(&self.over) {
            sum.add(claim.id.0.as_u128());
            sum.add(u128::from(claim.generation));
        }
        for disk in &self.from.disks {
            sum.add(disk.disk.id.0.as_u128());
        }
        for (_, volume) in self.from.labelled() {
            sum.add(volume.id.0.as_u128());
        }
        format!("{:016x}", sum.0)
    }
}

/// A sum that says whether two plans are the same (FNV-1a).
struct Sum(u64);

impl Sum {
    fn new() -> Sum {
        Sum(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, number: u128) {
        for byte in number.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Has an agent recovered. It is told when it reports next, and answered when it has written it down.
///
/// # Errors
/// As for [`plan`]; and when what the plan was made on has changed since.
pub(super) fn recover(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    (agent, node): (AgentId, Option<NodeId>),
    name: &str,
) -> Result<(), Refusal> {
    let ledger = step.out.ledger();
    let planned = plan(ledger, belief.agents.states(), belief.agents.fenced(), &agent, node)?;
    if planned.name() != name {
        return Err(Refusal::Conflict(format!(
            "what is known of agent {agent} has changed since the plan {name} was made; look at it again: `holdfast agent recover --plan`"
        )));
    }
    let node = planned.from.node;
    belief.operations.await_recovery(agent.clone(), request);
    if step.out.ledger().recoveries.get(&agent).is_some_and(|it| it.node == node) {
        return Ok(()); // It is under way.
    }
    let recovery = Recovery {
        agent,
        node,
        lineage: NodeId(step.ids.fresh()),
        order: OperationUuid(step.ids.fresh()),
        by: principal.unwrap_or("operator").to_owned(),
        since: step.now,
    };
    step.out.log(format!(
        "agent {} is recovered for {}: the ledger {node} gets its claims, and is {} from then on",
        recovery.agent, recovery.by, recovery.lineage
    ));
    step.out.commit(vec![MasterChange::Recovery(recovery)]);
    Ok(())
}

/// Whose report this is, if that agent is to have its claims back: it is told, in place of being refused.
pub(super) fn tell(
    step: &mut Step,
    operations: &mut Operations,
    link: LinkId,
    agent: &AgentId,
    report: &Report,
) -> bool {
    let ledger = step.out.ledger();
    let Some(it) = ledger.recoveries.get(agent).filter(|it| it.node == report.node) else {
        return false;
    };
    let cluster = ledger.cluster.as_ref().expect("a leader's ledger has its cluster").id;
    let (claims, _) = merged(ledger, agent, &report.claims);
    let recovery = AgentRecovery {
        agent: agent.clone(),
        cluster,
        node: it.node,
        lineage: it.lineage,
        ledger_version: ledger.agents[agent].ledger_version.max(report.ledger_version),
        claims: claims.into_iter().cloned().collect(),
    };
    let order = Order::Recover { uuid: it.order, recovery: Box::new(recovery), by: it.by.clone() };
    let term = step.out.term_led();
    operations.begin_recovery(link, agent.clone());
    step.out.send(Effect::ToAgent(link, ToAgent { term, order }));
    true
}

/// The fenced agent on that link passed the order over: it stays fenced as it was, and nobody waits any longer.
pub(super) fn recovery_passed_over(step: &mut Step, belief: &mut Belief, link: LinkId) {
    let Some(agent) = belief.operations.end_recovery(link) else { return };
    let why = why_passed_over(&agent);
    step.out.log(why.clone());
    if step.out.ledger().recoveries.contains_key(&agent) {
        step.out.commit(vec![MasterChange::RecoveryEnded(agent.clone())]);
    }
    for request in belief.operations.take_recoveries(&agent) {
        step.out.send(Effect::Answer(request, Err(Refusal::Conflict(why.clone()))));
    }
    let (term, order) = (step.out.term_led(), Order::Refused(why));
    step.out.send(Effect::ToAgent(link, ToAgent { term, order }));
    step.out.send(Effect::CloseAgent(link));
}

/// A report came. Under the new name of its ledger the agent has its claims back, and is believed; an agent that is believed needs none.
pub(super) fn learn(step: &mut Step, belief: &mut Belief, report: &Report) {
    let Some(agent) = report.agent.as_ref() else { return };
    let Some(it) = step.out.ledger().recoveries.get(agent) else { return };
    if it.lineage != report.node {
        return;
    }
    let (agent, former) = (it.agent.clone(), it.node);
    let record = &step.out.ledger().agents[&agent];
    let record = AgentRecord { node: report.node, ..acknowledging(record, report) };
    step.out.log(format!("agent {agent} has its claims again, in the ledger {}", report.node));
    step.out.commit(vec![MasterChange::Agent(record), MasterChange::RecoveryEnded(agent.clone())]);
    belief.agents.fenced_mut().forget(former);
    for request in belief.operations.take_recoveries(&agent) {
        step.out.send(Effect::Answer(request, Ok(())));
    }
}

/// The agent is believed as it is: a recovery that was ordered for another ledger of it is not done any more.
pub(super) fn is_well(step: &mut Step, belief: &mut Belief, agent: &AgentId, node: NodeId) {
    belief.agents.fenced_mut().forget(node);
    if !step.out.ledger().recoveries.contains_key(agent) {
        return;
    }
    step.out
        .log(format!("agent {agent} is back with a ledger that is believed, and is not recovered"));
    step.out.commit(vec![MasterChange::RecoveryEnded(agent.clone())]);
    for request in belief.operations.take_recoveries(agent) {
        let why = format!(
            "agent {agent} came back with a ledger that is believed; nothing had to be recovered"
        );
        step.out.send(Effect::Answer(request, Err(Refusal::Conflict(why))));
    }
}

/// The agent that is not connected and whose disks these are, by the volumes that the masters know on them; or else the one on the same
/// host. For a report of a new ledger whose disks were used before.
pub(super) fn owner(ledger: &MasterLedger, agents: &Agents, report: &Report) -> Option<AgentId> {
    let is_away = |it: &AgentId| agents.get(it).is_some_and(|it| it.link().is_none());
    let mut by_disk = report.disks.iter().flat_map(|it| ledger.agents_of_disk(it.disk.id));
    if let Some(agent) = by_disk.find(|it| is_away(it)) {
        return Some(agent.clone());
    }
    let hostname = &report.machine.hostname;
    let is_it = |it: &&AgentRecord| {
        it.hostname == *hostname
            && it.port == report.machine.port
            && is_away(&it.id)
            && ledger.claims_of(&it.id).next().is_some()
    };
    ledger.agents.values().find(is_it).map(|it| it.id.clone())
}

fn claims_of<'a>(ledger: &'a MasterLedger, agent: &AgentId) -> Vec<&'a Claim> {
    let key = ledger.agents.get_key(agent);
    key.map(|it| ledger.claims_of(it).collect()).unwrap_or_default()
}
