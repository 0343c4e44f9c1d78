//! Agents come, speak, fall silent and come back. Start, restart and failover are one path: an agent
//! introduces itself with everything it owns, and is believed unless it has lost data.

use holdfast_model::{
    AgentId, AgentRecord, ClusterId, Event, Instant, LinkId, MasterChange, Order, Presence, Reason,
    Report, StatusSource, StepContext, TaskKey, TaskState, TaskStatus, ToMaster,
};

use crate::state::{AgentHealth, AgentState, Timer};
use crate::{Effect, Master};

/// How many agents a cluster may ever have had.
const AGENTS_MAX: usize = 100_000;
/// Beyond any number that was ever given.
const NUMBER_MAX: u64 = 1 << 53;

impl Master {
    /// A new leader expects the agents that its predecessors admitted.
    pub(crate) fn remember_agents(&mut self, now: Instant) {
        let admitted: Vec<AgentId> = self
            .ledger
            .agents
            .values()
            .filter(|it| it.presence != Presence::Gone)
            .map(|it| it.id.clone())
            .collect();
        for id in admitted {
            self.agents.insert(id.clone(), AgentState::away(now));
            self.set_timer(
                now.plus_ms(self.config.reregister_timeout_ms),
                Timer::Agent(id.clone()),
            );
            self.touch(&id);
        }
    }

    pub(crate) fn agent_said(
        &mut self,
        ctx: &mut StepContext<'_>,
        link: LinkId,
        message: ToMaster,
    ) {
        if let ToMaster::Report(report) = message {
            return self.reported(ctx, link, *report);
        }
        let Some(agent) = self.agent_links.get(&link).cloned() else {
            self.effects.push(Effect::CloseAgent(link)); // It has to introduce itself first.
            return;
        };
        if self.agents.get(&agent).is_none_or(|it| it.link != Some(link)) {
            return; // An older link's last words.
        }
        match message {
            ToMaster::Report(_) => {}
            ToMaster::TaskUpdate { framework, status, latest } => {
                self.task_updated(ctx.now, &agent, &framework, status, latest)
            }
            ToMaster::OperationUpdate(update) => self.operation_updated(ctx.now, &agent, update),
            ToMaster::ExecutorMessage(framework, executor, data) => {
                self.tell(&framework, Event::Message(agent, executor, data));
            }
            ToMaster::ExecutorExited { framework, executor, status } => {
                self.executor_exited(&agent, &framework, &executor, status)
            }
            ToMaster::Pong(number) => self.pong(&agent, number),
        }
    }

    fn reported(&mut self, ctx: &mut StepContext<'_>, link: LinkId, report: Report) {
        if let Some(why) = self.why_not_believe(link, &report) {
            return self.refuse_agent(ctx.now, link, &report, why);
        }
        let id = match self.agent_of(&report) {
            Some(id) => id,
            None => self.admit(ctx.now, &report),
        };
        let believes_all = self.is_planted("master-believes-old-reports");
        let state = self.agents.entry(id.clone()).or_insert_with(|| AgentState::away(ctx.now));
        if state.link.is_some_and(|it| link < it) {
            // The former link's introduction arrives after the newer one's.
            self.effects.push(Effect::CloseAgent(link));
        } else if state.link != Some(link) {
            self.greet(ctx.now, &id, link, report);
        } else if state.orders_sent == report.orders_seen || believes_all {
            state.asked = None;
            self.adopt(ctx.now, &id, report);
            self.send_held_back(&id);
        } else {
            // It has not seen all that we sent: what it says may already be out of date. While an answer is still to come, asking
            // once is enough: two questions would each find the other's answer out of date, for ever.
            state.asked = state.asked.filter(|asked| report.orders_seen < *asked);
            self.resync(&id);
        }
    }

    fn agent_of(&self, report: &Report) -> Option<AgentId> {
        let known = report.agent.as_ref().filter(|id| self.ledger.agents.contains_key(id)).cloned();
        known.or_else(|| {
            self.ledger.agents.values().find(|it| it.node == report.node).map(|it| it.id.clone())
        })
    }

    /// Why this report cannot be the truth about an agent of this cluster.
    fn why_not_believe(&self, link: LinkId, report: &Report) -> Option<String> {
        let cluster = self.ledger.cluster.as_ref()?.id;
        if let Some(theirs) = report.cluster.filter(|it| *it != cluster) {
            return Some(format!(
                "this agent's disks belong to cluster {theirs}, not to {cluster}; point it at its own masters, or start the masters from that cluster's ledger"
            ));
        }
        let id = self.agent_of(report);
        if let Some(speaker) = self.agent_links.get(&link).filter(|it| Some(*it) != id.as_ref()) {
            return Some(format!("this link was opened by agent {speaker}; open another one"));
        }
        let Some(id) = id else { return self.why_not_admit(cluster, report) };
        let record = self.ledger.agents.get(&id)?;
        if record.presence == Presence::Gone {
            return Some(format!("agent {id} was declared gone by an operator"));
        }
        if record.node != report.node {
            return Some(format!(
                "agent {id} is node {}, not {}: its ledger was lost or copied",
                record.node, report.node
            ));
        }
        (report.ledger_version < record.ledger_version).then(|| {
            format!(
                "agent {id} reports version {} of its ledger, but version {} was acknowledged: it has lost data; restore its ledger, or import an export of it",
                report.ledger_version, record.ledger_version
            )
        })
    }

    fn why_not_admit(&self, cluster: ClusterId, report: &Report) -> Option<String> {
        if AGENTS_MAX <= self.ledger.agents.len() {
            return Some(format!(
                "this cluster has {AGENTS_MAX} agents, which is as many as it can have"
            ));
        }
        let name = report.agent.as_ref().filter(|it| number_of(cluster, it).is_none())?;
        Some(format!("it calls itself {name}, which is no name of an agent of cluster {cluster}"))
    }

    fn refuse_agent(&mut self, now: Instant, link: LinkId, report: &Report, why: String) {
        let Some(term) = self.term else { return };
        self.agent_lost(now, link);
        if let Some(id) = self.agent_of(report) {
            // One who poses as an agent that is here does not unseat it.
            if let Some(state) = self.agents.get_mut(&id).filter(|it| it.link.is_none()) {
                state.health = AgentHealth::Fenced(why.clone());
            }
            self.touch(&id);
        }
        self.log(format!("refused {}: {why}", report.machine.hostname));
        self.effects.push(Effect::ToAgent(
            link,
            holdfast_model::ToAgent { term, order: Order::Refused(why) },
        ));
        self.effects.push(Effect::CloseAgent(link));
    }

    /// Takes an agent in: under a new name, or under the name that it was given before our ledger was lost.
    fn admit(&mut self, now: Instant, report: &Report) -> AgentId {
        let mut cluster = self.ledger.cluster.clone().expect("a leader's ledger has its cluster");
        let id = match &report.agent {
            Some(own) => own.clone(),
            None => {
                let names = (cluster.next_agent..)
                    .map(|number| AgentId::made(format!("{}-S{number}", cluster.id)));
                names
                    .into_iter()
                    .find(|id| !self.ledger.agents.contains_key(id))
                    .expect("there are more numbers than agents")
            }
        };
        cluster.next_agent =
            cluster.next_agent.max(number_of(cluster.id, &id).map_or(0, |it| it + 1));
        let record = AgentRecord {
            id: id.clone(),
            node: report.node,
            hostname: report.machine.hostname.clone(),
            port: report.machine.port,
            presence: Presence::Admitted,
            since: now,
            ledger_version: 0,
        };
        self.commit(vec![MasterChange::Cluster(cluster), MasterChange::Agent(record)]);
        self.log(format!("admitted agent {id} at {}", report.machine.hostname));
        id
    }

    fn greet(&mut self, now: Instant, id: &AgentId, link: LinkId, report: Report) {
        let cluster = self.ledger.cluster.as_ref().expect("a leader's ledger has its cluster").id;
        self.rescind_all_of(id);
        self.drop_held_back(id);
        let Some(state) = self.agents.get_mut(id) else { return };
        if let Some(old) = state.link.replace(link) {
            self.agent_links.remove(&old);
            self.effects.push(Effect::CloseAgent(old));
        }
        self.agent_links.insert(link, id.clone());
        (state.orders_sent, state.ping, state.reregistered) = (0, (0, 0), now);
        self.adopt(now, id, report);
        self.order(id, Order::Registered(id.clone(), cluster));
        self.set_timer(now.plus_ms(self.config.ping_interval_ms), Timer::Ping(id.clone(), link));
        self.order_kills(id);
    }

    pub(crate) fn agent_lost(&mut self, now: Instant, link: LinkId) {
        let Some(id) = self.agent_links.remove(&link) else { return };
        let Some(state) = self.agents.get_mut(&id).filter(|it| it.link == Some(link)) else {
            return;
        };
        (state.link, state.health, state.away_since) = (None, AgentHealth::Away(now), now);
        self.drop_held_back(&id);
        self.rescind_all_of(&id);
        self.touch(&id);
        self.set_timer(now.plus_ms(self.config.agent_timeout_ms), Timer::Agent(id.clone()));
        self.answer_waiting(&id);
    }

    pub(crate) fn ping(&mut self, now: Instant, id: &AgentId, link: LinkId) {
        let missed_max = self.config.pings_missed_max;
        let Some(state) = self.agents.get_mut(id).filter(|it| it.link == Some(link)) else {
            return;
        };
        if missed_max <= state.ping.1 {
            self.log(format!("agent {id} left {missed_max} pings unanswered; its link is closed"));
            self.effects.push(Effect::CloseAgent(link));
            return self.agent_lost(now, link);
        }
        state.ping = (state.ping.0 + 1, state.ping.1 + 1);
        let number = state.ping.0;
        self.order(id, Order::Ping(number));
        self.set_timer(now.plus_ms(self.config.ping_interval_ms), Timer::Ping(id.clone(), link));
    }

    fn pong(&mut self, id: &AgentId, number: u64) {
        // A late answer is an answer too: what it leaves open are the pings after it.
        if let Some(state) = self.agents.get_mut(id).filter(|it| number <= it.ping.0) {
            let open = u32::try_from(state.ping.0 - number).unwrap_or(u32::MAX);
            state.ping.1 = state.ping.1.min(open);
        }
    }

    /// Whether an agent that is away has been so for too long.
    pub(crate) fn is_overdue(&self, now: Instant, id: &AgentId) -> bool {
        self.agents.get(id).filter(|it| it.link.is_none()).is_some_and(|state| {
            let patience_ms = if state.heard {
                self.config.agent_timeout_ms
            } else {
                self.config.reregister_timeout_ms
            };
            state.away_since.plus_ms(patience_ms) <= now
        })
    }

    /// The agent did not come back in time. Its claims stay as they are; its tasks may still run.
    pub(crate) fn agent_unreachable(&mut self, now: Instant, id: &AgentId) {
        let Some(record) =
            self.ledger.agents.get(id).filter(|it| it.presence == Presence::Admitted)
        else {
            return;
        };
        let record = AgentRecord { presence: Presence::Unreachable, since: now, ..record.clone() };
        self.commit(vec![MasterChange::Agent(record)]);
        self.log(format!("agent {id} is unreachable"));
        self.forget_holdings(id);
        let tasks: Vec<TaskKey> =
            self.agents.get(id).map(|it| it.tasks.iter().cloned().collect()).unwrap_or_default();
        for key in tasks {
            self.task_unreachable(now, id, &key);
        }
        let frameworks: Vec<_> = self.frameworks.keys().cloned().collect();
        for framework in frameworks {
            self.tell(
                &framework,
                Event::Failure { agent: Some(id.clone()), executor: None, status: None },
            );
        }
        self.operations_unreachable(id);
        self.filters.remove_agent(id);
        self.sum_totals();
        self.touch(id);
    }

    fn task_unreachable(&mut self, now: Instant, id: &AgentId, key: &TaskKey) {
        if self.is_removed(now, &key.0) {
            return self.retire(key); // Nobody asks for it any more; should it come back, it is ended.
        }
        let Some(task) = self.tasks.get_mut(key).filter(|it| !it.state.is_terminal()) else {
            return;
        };
        task.state = TaskState::Unreachable;
        let mut status =
            TaskStatus::new(key.1.clone(), TaskState::Unreachable, now).at_agent(id).because(
                StatusSource::Master,
                Reason::AgentRemoved,
                "the agent does not answer; the task may still run, and its volumes are kept",
            );
        status.unreachable = Some(now);
        task.latest = Some(status.clone());
        self.tell(&key.0, Event::Update(status));
    }
}

/// The number in the name of an agent of `cluster`.
fn number_of(cluster: ClusterId, id: &AgentId) -> Option<u64> {
    let number = id.as_str().strip_prefix(&format!("{cluster}-S"))?;
    let number = number.parse::<u64>().ok().filter(|it| it.to_string() == number)?;
    (number < NUMBER_MAX).then_some(number)
}
