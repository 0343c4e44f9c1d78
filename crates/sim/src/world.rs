//! The world: masters, machines, frameworks, links, clock and randomness as one value, stepped one
//! thing at a time.
//!
//! It relies on the real cores for every decision, and on [`crate::rules`] to look after every
//! step. The same seed and shape give the same steps. It never uses real time, threads, files or
//! randomness.

use std::collections::BTreeSet;

use holdfast_agent::Input;
use holdfast_master as master;
use holdfast_model::{CallerIdentity, Instant, LinkId, ToMaster};
use holdfast_sdk as sdk;

use crate::agenda::{Agenda, AgendaEntry, Due, Message, Node, Rest, ANY_LIFE, DAWN};
use crate::byzantine_peers::ByzantinePeer;
use crate::fact::Fact;
use crate::faults::{self, Fault};
use crate::frameworks::{FrameworkProcess, Performer};
use crate::journal::Journal;
use crate::links::{Links, Side, Weather};
use crate::machines::Machine;
use crate::masters::{Election, MasterProcess};
use crate::operator::Operator;
use crate::process::Process;
use crate::rng::Rng;
use crate::rules::{Rules, Truth, Violation};
use crate::shape::{Conditions, Shape};
use crate::trace::Trace;

/// A storm takes a few thousand steps; one that takes so many runs in circles.
const STEPS_MAX: u64 = 500_000;

/// The whole cluster, with its clock, its faults and its rules.
pub struct World {
    /// The shape of the run.
    pub shape: Shape,
    /// Master processes.
    pub masters: Vec<MasterProcess>,
    /// Machines with their agents.
    pub machines: Vec<Machine>,
    /// Frameworks.
    pub frameworks: Vec<FrameworkProcess>,
    /// The number of byzantine peers.
    pub(crate) byzantine_peers: Vec<ByzantinePeer>,
    /// The masters' journal.
    pub journal: Journal,
    /// A copy of it that somebody made.
    pub(crate) journal_copy: Option<Journal>,
    /// Faults to come and past.
    pub plan: Vec<Fault>,
    /// The trace of the run.
    pub trace: Trace,
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// The number of steps.
    pub steps: u64,
    /// The number of faults that struck.
    pub faults: u64,
    /// Records acknowledged to their writers.
    pub records: u64,
    pub(crate) agenda: Agenda,
    pub(crate) links: Links,
    pub(crate) election: Election,
    pub(crate) operator: Operator,
    pub(crate) rng: Rng,
    pub(crate) touched: BTreeSet<Node>,
    rules: Rules,
    digest: u64,
    pub(crate) calmed: bool,
}

impl World {
    /// A cluster about to start; all that happens follows from `seed`. Without a plan the seed
    /// draws one.
    pub fn new(
        seed: u64,
        shape: Shape,
        plan: Option<Vec<Fault>>,
        services: Vec<Box<dyn Performer>>,
    ) -> World {
        let rng = Rng::new(seed);
        let weather =
            if shape.conditions == Conditions::Still { Weather::Still } else { Weather::Rough };
        let mut world = World {
            masters: (0..shape.masters)
                .map(|it| MasterProcess::new(rng.fork(1_000 + it as u64)))
                .collect(),
            machines: (0..shape.agents)
                .map(|it| Machine::new(it, &shape, &rng.fork(2_000)))
                .collect(),
            frameworks: Vec::new(),
            byzantine_peers: (0..shape.byzantine_peers)
                .map(|it| ByzantinePeer::new(rng.fork(20_000 + it as u64)))
                .collect(),
            journal: Journal::default(),
            journal_copy: None,
            plan: plan.unwrap_or_else(|| {
                if shape.storm_ms == 0 {
                    Vec::new()
                } else {
                    faults::plan(&shape, rng.fork(3))
                }
            }),
            trace: Trace::default(),
            violation: None,
            steps: 0,
            faults: 0,
            records: 0,
            agenda: Agenda::new(),
            links: Links::new(rng.fork(4), weather),
            election: Election { leader: None, term: 0, rng: rng.fork(5) },
            operator: Operator::new(rng.fork(6)),
            rng: rng.fork(7),
            touched: BTreeSet::new(),
            rules: Rules::default(),
            digest: seed,
            calmed: false,
            shape,
        };
        for service in services {
            world.add_framework(service);
        }
        for index in 0..world.plan.len() {
            world.agenda.at(
                DAWN.plus_ms(world.plan[index].at_ms),
                Node::World,
                ANY_LIFE,
                AgendaEntry::Fault(index),
            );
        }
        world.begin();
        world
    }

    fn begin(&mut self) {
        (0..self.masters.len()).for_each(|it| self.start_master(it));
        for index in 0..self.machines.len() {
            let late_ms = self.delay_ms(0, 3_000, 0);
            self.agenda.after(late_ms, Node::Machine(index), ANY_LIFE, AgendaEntry::Restart);
        }
        for index in 0..self.byzantine_peers.len() {
            self.agenda.after(
                4_000,
                Node::ByzantinePeer(index),
                ANY_LIFE,
                AgendaEntry::ActByzantine,
            );
        }
        if self.shape.operators {
            self.agenda.after(3_000, Node::World, ANY_LIFE, AgendaEntry::Operate);
        }
    }

    /// Adds a framework, which starts by and by. Returns its index.
    pub fn add_framework(&mut self, service: Box<dyn Performer>) -> usize {
        let index = self.frameworks.len();
        let ids = self.rng.fork(10_000 + index as u64);
        self.frameworks.push(FrameworkProcess::new(service, ids));
        let late_ms = self.delay_ms(0, 3_000, 0);
        self.agenda.after(late_ms, Node::Framework(index), ANY_LIFE, AgendaEntry::Restart);
        index
    }

    /// Milliseconds since the beginning.
    pub fn elapsed_ms(&self) -> u64 {
        self.agenda.elapsed_ms()
    }

    /// The simulated time now.
    pub fn now(&self) -> Instant {
        self.agenda.now
    }

    /// Who leads, as far as the ensemble knows.
    pub fn leader(&self) -> Option<usize> {
        self.election.leader.map(|(leader, _)| leader)
    }

    /// The digest, which is equal for equal worlds.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether faults may strike now.
    pub(crate) fn is_storm(&self) -> bool {
        self.shape.conditions == Conditions::Storm
            && self.agenda.elapsed_ms() < self.shape.storm_ms
            && !self.calmed
    }

    /// A random delay in a storm; `still_ms` where nothing happens by itself.
    pub(crate) fn delay_ms(&mut self, low_ms: u64, high_ms: u64, still_ms: u64) -> u64 {
        match self.shape.conditions {
            Conditions::Still => still_ms,
            Conditions::Storm => self.rng.between(low_ms, high_ms),
        }
    }

    /// Runs until so many milliseconds have passed since the beginning, or a rule is broken.
    pub fn run_until(&mut self, elapsed_ms: u64) {
        let end = DAWN.plus_ms(elapsed_ms);
        while self.violation.is_none() {
            let Some(due) = self.agenda.next(end) else { break };
            self.step(due);
        }
    }

    /// Runs one step; returns `false` when nothing is due by then, or a rule is broken.
    pub fn step_until(&mut self, elapsed_ms: u64) -> bool {
        if self.violation.is_some() {
            return false;
        }
        let Some(due) = self.agenda.next(DAWN.plus_ms(elapsed_ms)) else { return false };
        self.step(due);
        true
    }

    fn step(&mut self, due: Due) {
        if self.waits(&due) || !self.is_current(&due) {
            return;
        }
        self.steps += 1;
        if STEPS_MAX < self.steps {
            return self.violate("L4", format!("{STEPS_MAX} steps and no rest"));
        }
        let name = match due.to {
            Node::Master(it) => it as u64,
            Node::Machine(it) => 100 + it as u64,
            Node::Framework(it) => 200 + it as u64,
            Node::Executor(it, _) => 300 + it as u64,
            Node::ByzantinePeer(it) => 500 + it as u64,
            Node::World => 400,
        };
        self.digest = (self.digest ^ self.agenda.now.0 ^ name << 40 ^ due.what.kind() << 48)
            .wrapping_mul(0x0000_0100_0000_01B3);
        self.happen(due.to, due.what);
        if !self.touched.is_empty() {
            let touched = std::mem::take(&mut self.touched);
            self.check(&touched);
        }
    }

    /// What is due for somebody who stands still waits.
    fn waits(&mut self, due: &Due) -> bool {
        let now = self.agenda.now;
        let Some(until) = self.process(due.to).and_then(|it| it.paused_until) else { return false };
        if matches!(due.what, AgendaEntry::GoOn(_)) {
            return false;
        }
        if until < now {
            if let Some(process) = self.process(due.to) {
                process.paused_until = None;
            }
            return false;
        }
        self.agenda.put_off(until.plus_ms(1), due.clone());
        true
    }

    fn is_current(&mut self, due: &Due) -> bool {
        if due.life == ANY_LIFE
            || matches!(due.to, Node::Executor(..) | Node::ByzantinePeer(_) | Node::World)
        {
            return true;
        }
        self.process(due.to).is_some_and(|it| it.life == due.life)
    }

    pub(crate) fn process(&mut self, node: Node) -> Option<&mut Process> {
        match node {
            Node::Master(index) => self.masters.get_mut(index).map(|it| &mut it.process),
            Node::Machine(index) => self.machines.get_mut(index).map(|it| &mut it.process),
            Node::Framework(index) => self.frameworks.get_mut(index).map(|it| &mut it.process),
            Node::Executor(..) | Node::ByzantinePeer(_) | Node::World => None,
        }
    }

    fn happen(&mut self, to: Node, what: AgendaEntry) {
        match (to, what) {
            (_, AgendaEntry::Deliver(link, side, message)) => self.deliver(link, side, message),
            (_, AgendaEntry::Noticed(link, side)) => self.noticed(to, link, side),
            (_, AgendaEntry::Follow) => self.follow(to),
            (_, AgendaEntry::News(leader, term)) => self.hear_news(to, leader, term),
            (_, AgendaEntry::Elect(unless)) => self.elect(unless),
            (Node::Master(index), AgendaEntry::Lead(term)) => self.lead(index, term),
            (Node::Master(index), AgendaEntry::Raise { led, seen }) => self.raise(index, led, seen),
            (Node::Master(index), AgendaEntry::Asked(request)) => self.asked(index, request),
            (Node::Master(index), AgendaEntry::Deposed(term)) => self.depose(index, term),
            (_, AgendaEntry::Tick) => self.ring(to),
            (_, AgendaEntry::Restart) => self.restart(to),
            (_, AgendaEntry::GoOn(rest)) => self.go_on(to, rest),
            (Node::Machine(index), AgendaEntry::Work(job)) => self.do_work(index, job),
            (Node::Machine(index), AgendaEntry::Done(input)) => self.step_agent(index, *input),
            (Node::Machine(index), AgendaEntry::Ended(container)) => {
                self.container_ended(index, container)
            }
            (Node::Executor(index, container), AgendaEntry::Act(doing)) => {
                self.act(index, container, doing)
            }
            (Node::Machine(index), AgendaEntry::LookAtDisks) => self.look_at_disks(index),
            (_, AgendaEntry::Operate) => self.operate(),
            (Node::ByzantinePeer(index), AgendaEntry::ActByzantine) => self.byzantine_acts(index),
            (Node::Master(index), AgendaEntry::TearDown(id)) => self.tear_down(index, id),
            (_, AgendaEntry::Fault(index)) if self.is_storm() => self.strike(index),
            (_, AgendaEntry::Heal(heal)) => self.heal(heal),
            _ => {}
        }
    }

    fn deliver(&mut self, link: u64, side: Side, message: Message) {
        let Some(node) = self.links.hears(self.agenda.now, link, side) else { return };
        self.trace.message(self.agenda.elapsed_ms(), node, &message);
        match (node, message) {
            (Node::Master(index), message) => self.master_hears(index, link, message),
            (Node::Machine(index), Message::ToAgent(message)) => {
                self.step_agent(index, Input::FromMaster(LinkId(link), message))
            }
            (Node::Machine(index), Message::FromExecutor(call)) => {
                let Some(from) = self.links.client_of(link) else { return };
                self.agent_hears_executor(index, from, link, call);
            }
            (Node::Framework(index), Message::ToFramework(event)) => {
                self.framework_hears(index, link, event)
            }
            (Node::Executor(index, container), Message::ToExecutor(event)) => {
                self.executor_hears(index, container, *event)
            }
            (Node::ByzantinePeer(index), message) => self.byzantine_hears(index, link, message),
            _ => {}
        }
    }

    fn master_hears(&mut self, index: usize, link: u64, message: Message) {
        if self.masters[index].core.is_none() {
            return self.links.close(&mut self.agenda, link, Side::Server);
        }
        match message {
            Message::FromAgent(message) => {
                if let (ToMaster::Report(_), Some(Node::Machine(machine))) =
                    (&message, self.links.client_of(link))
                {
                    self.rules_see(&Fact::MasterHearsReport { master: index, machine, link });
                }
                self.step_master(index, master::Input::FromAgent(LinkId(link), message));
            }
            Message::FromFramework(call) => {
                if let Some(Node::Framework(framework)) = self.links.client_of(link) {
                    self.rules_see(&Fact::MasterHears { master: index, framework, call: &call });
                }
                self.step_master(
                    index,
                    master::Input::FromFramework(LinkId(link), CallerIdentity::Anonymous, *call),
                );
            }
            Message::FromByzantinePeer(bad, message) => {
                self.master_hears_byzantine(index, link, bad, *message)
            }
            _ => {}
        }
    }

    fn noticed(&mut self, node: Node, link: u64, side: Side) {
        let client = self.links.client_of(link);
        if !self.links.noticed(link, side) {
            return;
        }
        match (node, client) {
            (Node::Master(index), Some(Node::Machine(_))) => {
                self.step_master(index, master::Input::AgentLost(LinkId(link)))
            }
            (Node::Master(index), Some(Node::Framework(framework))) => {
                self.rules_see(&Fact::MasterLoses { master: index, framework });
                self.step_master(index, master::Input::FrameworkLost(LinkId(link)));
            }
            (_, Some(Node::ByzantinePeer(byzantine))) => {
                self.byzantine_noticed(node, byzantine, link)
            }
            (Node::Machine(index), Some(Node::Executor(..))) => {
                self.step_agent(index, Input::ExecutorLost(LinkId(link)))
            }
            (Node::Executor(index, container), _) => self.executor_noticed(index, container, link),
            (node, _) => self.client_noticed(node, link),
        }
    }

    fn ring(&mut self, node: Node) {
        if let Some(process) = self.process(node) {
            process.tick_at = None;
        }
        match node {
            Node::Master(index) => self.step_master(index, master::Input::Tick),
            Node::Machine(index) => self.step_agent(index, Input::Tick),
            Node::Framework(index) => self.step_framework(index, sdk::Input::Tick),
            Node::Executor(..) | Node::ByzantinePeer(_) | Node::World => {}
        }
    }

    /// Schedules a core's next deadline.
    pub(crate) fn wake(&mut self, node: Node, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let deadline = deadline.max(self.agenda.now.plus_ms(1));
        let Some(process) = self.process(node) else { return };
        if process.up && process.tick_at.is_none_or(|at| deadline < at) {
            process.tick_at = Some(deadline);
            let life = process.life;
            self.agenda.at(deadline, node, life, AgendaEntry::Tick);
        }
    }

    pub(crate) fn restart(&mut self, node: Node) {
        match node {
            Node::Master(index) => self.start_master(index),
            Node::Machine(index) => self.start_agent(index),
            Node::Framework(index) => self.start_framework(index),
            Node::Executor(..) | Node::ByzantinePeer(_) | Node::World => {}
        }
    }

    /// Pauses a process, with what it has yet to do.
    pub(crate) fn pause(&mut self, node: Node, ms: u64, rest: Option<Rest>) {
        let until = self.agenda.now.plus_ms(ms);
        let Some(process) = self.process(node).filter(|it| it.up) else { return };
        let until = process.paused_until.map_or(until, |it| it.max(until));
        process.paused_until = Some(until);
        let life = process.life;
        self.note(|| format!("{node} stands still for {ms} ms"));
        if let Some(rest) = rest {
            self.agenda.at(until, node, life, AgendaEntry::GoOn(rest));
        }
    }

    fn go_on(&mut self, node: Node, rest: Rest) {
        match (node, rest) {
            (Node::Master(index), Rest::Master(effects)) if self.masters[index].core.is_some() => {
                self.carry_out_master(index, effects)
            }
            (Node::Machine(index), Rest::Agent(effects)) => self.carry_out_agent(index, effects),
            (Node::Framework(index), Rest::Framework(effects)) => {
                self.carry_out_framework(index, effects)
            }
            _ => {}
        }
    }

    /// The process at one end of these links is gone.
    pub(crate) fn drop_links(&mut self, node: Node, late_ms: u64) {
        let late_ms = if self.shape.conditions == Conditions::Still { 1 } else { late_ms };
        for (link, side) in self.links.of(node) {
            self.links.die(&mut self.agenda, link, side, late_ms);
        }
    }

    pub(crate) fn rules_see(&mut self, fact: &Fact<'_>) {
        if let Err(violation) = self.rules.see(self.agenda.now, fact) {
            self.broken(violation);
        }
    }

    /// Has the rules look after something that happened beside the agenda.
    pub(crate) fn look(&mut self, touched: Node) {
        let mut all = std::mem::take(&mut self.touched);
        all.insert(touched);
        self.check(&all);
    }

    fn check(&mut self, touched: &BTreeSet<Node>) {
        let truth = Truth {
            now: self.agenda.now,
            machines: &self.machines,
            frameworks: &self.frameworks,
            masters: &self.masters,
            journal: &self.journal,
            leader: self.election.leader,
            touched,
        };
        if let Err(violation) = self.rules.check(&truth) {
            self.broken(violation);
        }
    }

    /// Checks what must hold once the cluster has recovered.
    pub(crate) fn check_healed(&mut self) {
        let all: BTreeSet<Node> = BTreeSet::new();
        let truth = Truth {
            now: self.agenda.now,
            machines: &self.machines,
            frameworks: &self.frameworks,
            masters: &self.masters,
            journal: &self.journal,
            leader: self.election.leader,
            touched: &all,
        };
        let outcome = self.rules.check_healed(&truth);
        if let Err(violation) = outcome {
            self.broken(violation);
        }
        let (waiting, queue, links) =
            (self.operator.waiting(), self.agenda.len(), self.links.len());
        let most = 60 * (1 + self.machines.len() + self.frameworks.len() + self.masters.len());
        if 0 < waiting {
            self.violate("L4", format!("{waiting} operators were never answered"));
        }
        if most < queue || most < links {
            self.violate(
                "R4",
                format!("{queue} things are due and {links} links stand after the calm"),
            );
        }
    }

    pub(crate) fn violate(&mut self, rule: &'static str, why: String) {
        self.broken(Violation { rule, why });
    }

    fn broken(&mut self, violation: Violation) {
        self.note(|| format!("VIOLATION of {}: {}", violation.rule, violation.why));
        self.violation.get_or_insert(violation);
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.tell(self.agenda.elapsed_ms(), line);
    }
}
