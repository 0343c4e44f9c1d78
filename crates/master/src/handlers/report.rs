//! An agent introduces itself with everything it owns. Start, restart and failover are one path: it is believed unless it has lost data.

use holdfast_model::{
    AgentId, AgentRecord, ClusterId, LinkId, MasterChange, Order, Peer, Presence, Report, Term,
    ToAgent,
};

use super::adopt::adopt;
use super::ledger_history::{why_copied, why_rolled_back};
use super::move_disk::{drive_all, why_not_welcome};
use super::recover;
use crate::flows::agents::agent_lost;
use crate::flows::drain::kill_drained;
use crate::flows::gone::{send_away, why_gone};
use crate::flows::maintenance::why_down;
use crate::flows::offers::rescind_all_of;
use crate::flows::resync::{drop_queued, resync, send_queued};
use crate::flows::tasks::order_kills;
use crate::flows::telling::order;
use crate::parts::agents::{AgentHealth, Agents, FencedAgent};
use crate::parts::timers::Timer;
use crate::{Belief, Effect, Step};

/// How many agents a cluster may ever have had.
const AGENTS_MAX: usize = 100_000;
/// Terms grow by one with each leader. One that is ahead by more than this would use them up.
const TERM_STEP_MAX: u64 = 1 << 32;
/// Beyond any number that was ever given.
const NUMBER_MAX: u64 = 1 << 53;

/// A report came: the first message of a link, or the answer to a resync.
pub(crate) fn reported(step: &mut Step, belief: &mut Belief, link: LinkId, report: Report) {
    let is_outranked = is_outranked(step, belief, &report);
    recover::learn(step, belief, &report);
    if let Some(disbelief) = why_not_believe(step, belief, link, &report) {
        return refuse_agent(step, belief, link, &report, disbelief);
    }
    if is_outranked {
        return outranked(step, belief, link, &report);
    }
    let id = match agent_of(step, &report) {
        Some(id) => id,
        None => admit(step, &mut belief.agents, &report),
    };
    recover::is_well(step, belief, &id, report.node);
    let believes_all = step.config.is_planted("master-believes-old-reports");
    let current = belief.agents.at(&id).link();
    if current.is_some_and(|it| link < it) {
        // The former link's introduction arrives after the newer one's.
        step.out.send(Effect::CloseAgent(link));
    } else if current != Some(link) {
        greet(step, belief, &id, link, report);
    } else if belief.agents.orders_sent(&id) == report.orders_seen || believes_all {
        belief.agents.answered(&id);
        adopt(step, belief, &id, report);
        send_queued(step, &mut belief.agents, &id);
    } else {
        // It has not seen all that we sent: what it says may already be out of date. While an answer is still to come, asking
        // once is enough: two questions would each find the other's answer out of date, for ever.
        belief.agents.answered_late(&id, report.orders_seen);
        resync(step, belief, &id);
    }
}

/// Whether an agent has obeyed a leader that this one cannot be: one of a greater term, or one of the same that was not this one.
fn is_outranked(step: &Step, belief: &Belief, report: &Report) -> bool {
    let led = step.out.term_led();
    if report.term != led {
        return led < report.term;
    }
    let is_told = |id: &AgentId| {
        let has_spoken = belief.agents.get(id).is_some_and(|it| it.heard());
        has_spoken || step.out.ledger().recoveries.contains_key(id)
    };
    !agent_of(step, report).as_ref().is_some_and(is_told)
}

/// This leader's term is one that the agent has left behind: an older copy of the ledger was brought back, or another leader was elected. It
/// tells nobody anything before it leads in a greater term, and whoever may not have that dies.
fn outranked(step: &mut Step, belief: &mut Belief, link: LinkId, report: &Report) {
    step.out.log(format!(
        "{} has obeyed term {}, and this master leads in term {}: its ledger is an older copy, or it was deposed; it leads anew in a greater term, or not at all",
        report.machine.hostname, report.term.0, step.out.term_led().0
    ));
    let has_said = |id: &AgentId| belief.agents.get(id).is_some_and(|it| it.heard());
    let changes = step.out.ledger().after_loss(report.term, step.now, has_said);
    step.out.commit(changes);
    agent_lost(step, belief, link);
    step.out.send(Effect::Outranked(report.term));
    step.out.send(Effect::CloseAgent(link)); // It introduces itself to that leader.
}

/// The agent of the ledger that this is, by its name or by its machine.
fn agent_of(step: &Step, report: &Report) -> Option<AgentId> {
    let ledger = step.out.ledger();
    // All that is kept of an agent shares one copy of its name: the ledger's.
    let known = report.agent.as_ref().and_then(|id| ledger.agents.get_key(id));
    known.or_else(|| ledger.agent_of_node(report.node)).cloned()
}

/// Why a report is not believed.
struct Disbelief {
    why: String,
    /// The agent that it is or was, if it is gone or its machine is down: what runs there is to end.
    gone: Option<AgentId>,
    /// The agent whose ledger was lost, rolled back or replaced, as far as can be told; an operator can have it recovered.
    lost: Option<AgentId>,
}

impl From<String> for Disbelief {
    fn from(why: String) -> Disbelief {
        Disbelief { why, gone: None, lost: None }
    }
}

/// Why a leader may not be led beyond a term that an agent says it has obeyed.
fn why_absurd(led: Term, report: &Report) -> Option<String> {
    let seen = report.term;
    let is_absurd = TERM_STEP_MAX < seen.0.saturating_sub(led.0);
    is_absurd.then(|| {
        format!("it says that it has obeyed term {}, and this master leads in term {}: no cluster has had so many leaders; its ledger is damaged, or it lies", seen.0, led.0)
    })
}

/// Why this report cannot be the truth about an agent of this cluster.
fn why_not_believe(
    step: &Step,
    belief: &Belief,
    link: LinkId,
    report: &Report,
) -> Option<Disbelief> {
    if let Some(why) = step.why_suspected(&Peer::Agent(report.node)) {
        return Some(why.into());
    }
    let ledger = step.out.ledger();
    let cluster = ledger.cluster.as_ref().expect("a leader's ledger has its cluster").id;
    if let Some(theirs) = report.cluster.filter(|it| *it != cluster) {
        return Some(format!(
            "this agent's disks belong to cluster {theirs}, not to {cluster}; point it at its own masters, or start the masters from that cluster's ledger"
        ).into());
    }
    if let Some(why) = why_absurd(step.out.term_led(), report) {
        return Some(why.into());
    }
    let id = agent_of(step, report);
    if let Some(speaker) = step.links.agent_at(link).filter(|it| Some(*it) != id.as_ref()) {
        return Some(format!("this link was opened by agent {speaker}; open another one").into());
    }
    if let Some(why) = why_down(ledger, &report.machine.hostname) {
        return Some(Disbelief { why, gone: id, lost: None });
    }
    let Some(id) = id else {
        return why_not_admit(step, cluster, report)
            .map(Disbelief::from)
            .or_else(|| why_lost(step, belief, report));
    };
    let record = &ledger.agents[&id];
    if record.presence == Presence::Gone {
        return Some(Disbelief { why: why_gone(ledger, &id), gone: Some(id), lost: None });
    }
    if record.node != report.node {
        let why = format!(
            "agent {id} is node {}, not {}: its ledger was lost or copied; stop one of the two, or see `holdfast agent recover {id} --plan`",
            record.node, report.node
        );
        return Some(Disbelief { why, gone: None, lost: Some(id) });
    }
    if let Some(why) = why_not_welcome(ledger, &id) {
        return Some(why.into());
    }
    if let Some(why) = why_rolled_back(record, report) {
        return Some(Disbelief { why, gone: None, lost: Some(id) });
    }
    let is_newer = belief.agents.get(&id).and_then(|it| it.link()).is_some_and(|it| it < link);
    let heard = belief.agents.heard_of_connected(&id).filter(|_| is_newer)?;
    why_copied(&id, &heard, report).map(Disbelief::from)
}

fn why_not_admit(step: &Step, cluster: ClusterId, report: &Report) -> Option<String> {
    if AGENTS_MAX <= step.out.ledger().agents.len() {
        return Some(format!(
            "this cluster has {AGENTS_MAX} agents, which is as many as it can have"
        ));
    }
    let name = report.agent.as_ref().filter(|it| number_of(cluster, it).is_none())?;
    Some(format!("it calls itself {name}, which is no name of an agent of cluster {cluster}"))
}

/// A new ledger on disks that were used before is no new agent, as long as the agent that they were of is not here.
fn why_lost(step: &Step, belief: &Belief, report: &Report) -> Option<Disbelief> {
    if report.agent.is_some() || report.cluster.is_none() {
        return None;
    }
    let id = recover::owner(step.out.ledger(), &belief.agents, report)?;
    let why = format!(
        "its ledger is new, and its disks are those of agent {id}, which is not connected: put the ledger of that agent back, or an export of it, or see `holdfast agent recover {id} --plan`; if this is another machine, start it in an empty --dir without those disks, and have them taken over: `holdfast disk adopt`"
    );
    Some(Disbelief { why, gone: None, lost: Some(id) })
}

fn refuse_agent(
    step: &mut Step,
    belief: &mut Belief,
    link: LinkId,
    report: &Report,
    Disbelief { why, gone, lost }: Disbelief,
) {
    agent_lost(step, belief, link);
    if let Some(id) = lost.clone().or_else(|| agent_of(step, report)) {
        // One who poses as an agent that is here does not unseat it; one that was declared gone is not expected.
        if belief.agents.get(&id).is_some_and(|it| it.link().is_none()) {
            belief.agents.at_mut(&id).set_health(AgentHealth::Fenced(why.clone()));
        }
        belief.allocator.touch(&id);
    }
    step.out.log(format!("refused {}: {why}", report.machine.hostname));
    if let Some(id) = gone {
        return send_away(step, link, &id, &why);
    }
    if let Some(id) = lost {
        if recover::tell(step, &mut belief.operations, link, &id, report) {
            return; // It hangs up when it has written it down.
        }
        belief.agents.fenced_mut().note(FencedAgent::of(id, report, step.now));
    }
    let (term, order) = (step.out.term_led(), Order::Refused(why));
    step.out.send(Effect::ToAgent(link, ToAgent { term, order }));
    step.out.send(Effect::CloseAgent(link));
}

/// Takes an agent in: under a new name, or under the name that it was given before our ledger was lost.
fn admit(step: &mut Step, agents: &mut Agents, report: &Report) -> AgentId {
    let ledger = step.out.ledger();
    let mut cluster = ledger.cluster.clone().expect("a leader's ledger has its cluster");
    let id = match &report.agent {
        Some(own) => own.clone(),
        None => {
            let mut names = (cluster.next_agent..)
                .map(|number| AgentId::made(format!("{}-S{number}", cluster.id)));
            names
                .find(|id| !ledger.agents.contains_key(id))
                .expect("there are more numbers than agents")
        }
    };
    cluster.next_agent = cluster.next_agent.max(number_of(cluster.id, &id).map_or(0, |it| it + 1));
    let record = AgentRecord {
        id: id.clone(),
        node: report.node,
        hostname: report.machine.hostname.clone(),
        port: report.machine.port,
        presence: Presence::Admitted,
        since: step.now,
        ledger_version: 0,
        ledger_checksum: None,
    };
    step.out.commit(vec![MasterChange::Cluster(cluster), MasterChange::Agent(record)]);
    step.out.log(format!("admitted agent {id} at {}", report.machine.hostname));
    agents.expect(&id, step.now, true);
    id
}

/// It speaks on a new link: what was offered of it, and what was said on the old one, is over.
fn greet(step: &mut Step, belief: &mut Belief, id: &AgentId, link: LinkId, report: Report) {
    let cluster = step.out.ledger().cluster.as_ref();
    let cluster = cluster.expect("a leader's ledger has its cluster").id;
    rescind_all_of(step, belief, id);
    drop_queued(&mut belief.agents, &mut belief.tasks, id);
    if let Some(old) = belief.agents.open(id, step.now, link) {
        step.links.close_agent(old);
        step.out.send(Effect::CloseAgent(old));
    }
    step.links.open_agent(link, id.clone());
    adopt(step, belief, id, report);
    order(step, &mut belief.agents, id, Order::Registered(id.clone(), cluster));
    let next = step.now.plus_ms(step.config.ping_interval_ms);
    belief.timers.set(next, Timer::Ping(id.clone(), link));
    order_kills(step, &mut belief.agents, &mut belief.tasks, id);
    kill_drained(step, belief, id);
    drive_all(step, belief, id);
}

/// The number in the name of an agent of `cluster`.
pub(crate) fn number_of(cluster: ClusterId, id: &AgentId) -> Option<u64> {
    let number = id.as_str().strip_prefix(&format!("{cluster}-S"))?;
    let number = number.parse::<u64>().ok().filter(|it| it.to_string() == number)?;
    (number < NUMBER_MAX).then_some(number)
}
