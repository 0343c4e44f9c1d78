//! A small world for tests: one master, agents and schedulers that it speaks to, and a ledger folded from what was committed.
//!
//! Messages lie in inboxes until a test delivers them, so that every order of events can be tried. After each input all rules of
//! [`super::balance`] are checked. Never knows what the master believes except through its public reads.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_allocator::by_name;
use holdfast_model::{
    Action, AgentId, Call, CallerIdentity, Capability, ClaimAction, CommandInfo, Event, ExecutorId,
    ExecutorInfo, Filters, FrameworkCall, FrameworkId, FrameworkInfo, IdSource, Instant, LinkId,
    MasterLedger, Offer, OfferId, Operation, OperationState, OperationStatus, OperatorCall, Order,
    PersistenceId, Reservation, ReservationKind, Resource, Resources, Role, Scalar, Source,
    StepContext, TaskId, TaskInfo, TaskState, TaskStatus, Term, ToAgent, ToMaster,
};
use uuid::Uuid;

use super::balance;
use super::machine::Machine;
use crate::{Config, Effect, Input, Master, Refusal, RequestId};

/// Fresh ids: 1, 2, 3 ...
pub(crate) struct Counter(pub(crate) u128);

impl IdSource for Counter {
    fn fresh(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

/// A scheduler, as far as the master sees it.
pub(crate) struct Scheduler {
    pub(crate) link: Option<LinkId>,
    pub(crate) info: FrameworkInfo,
    pub(crate) events: Vec<Event>,
    /// Offers that it holds.
    pub(crate) offers: BTreeMap<OfferId, Offer>,
}

pub(crate) struct Bed {
    pub(crate) config: Config,
    pub(crate) master: Master,
    pub(crate) folded: MasterLedger,
    pub(crate) now: u64,
    pub(crate) term: u64,
    pub(crate) ids: Counter,
    pub(crate) links: u64,
    pub(crate) machines: Vec<Machine>,
    pub(crate) schedulers: Vec<Scheduler>,
    pub(crate) next_request: u64,
    /// The number of the next machine that takes another one's place.
    pub(crate) next_machine: u128,
    pub(crate) answers: BTreeMap<RequestId, Result<(), Refusal>>,
    /// Links that the master closed, and that nobody was on.
    pub(crate) closed: BTreeSet<LinkId>,
    pub(crate) effects: Vec<Effect>,
    /// Some peers lie: what cannot be kept exactly then is not checked.
    pub(crate) byzantine_peers: bool,
    /// The rules are checked after each of so many inputs; 1 but for long runs.
    pub(crate) check_every: u64,
    pub(crate) inputs: u64,
}

pub(crate) fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

pub(crate) fn amount(name: &str, count: i64) -> Resource {
    Resource::scalar(name, Scalar::whole(count))
}

pub(crate) fn reservation(name: &str) -> Reservation {
    Reservation {
        kind: ReservationKind::Dynamic,
        role: role(name),
        principal: None,
        labels: holdfast_model::Labels::default(),
    }
}

pub(crate) fn disk(mb: i64) -> Resource {
    amount("disk", mb).on(Source::path("/d1"))
}

pub(crate) fn reserved(mb: i64) -> Resource {
    disk(mb).reserved(reservation("db"))
}

pub(crate) fn volume(id: &str, mb: i64) -> Resource {
    reserved(mb).volume(PersistenceId::parse(id).unwrap(), "data", None)
}

/// 8 cpus, 4096 MB of memory, 1000 MB of disk.
pub(crate) fn plenty() -> Resources {
    [amount("cpus", 8), amount("mem", 4096), disk(1000)].iter().collect()
}

pub(crate) fn info(name: &str, roles: &[&str]) -> FrameworkInfo {
    FrameworkInfo {
        id: None,
        name: name.to_owned(),
        user: "nobody".to_owned(),
        roles: roles.iter().map(|it| role(it)).collect(),
        failover_timeout_ms: 600_000,
        checkpoint: true,
        principal: None,
        hostname: None,
        capabilities: BTreeSet::from([
            Capability::PartitionAware,
            Capability::MultiRole,
            Capability::ReservationRefinement,
        ]),
        payload: Default::default(),
        constraints: Default::default(),
    }
}

pub(crate) fn reserve(resources: &[Resource]) -> ClaimAction {
    ClaimAction::Reserve { resources: resources.to_vec(), source: Vec::new() }
}

pub(crate) fn named(id: &str, action: ClaimAction) -> Operation {
    Operation { id: Some(id.to_owned()), action: Action::Claim(action) }
}

pub(crate) fn unnamed(action: ClaimAction) -> Operation {
    Operation { id: None, action: Action::Claim(action) }
}

pub(crate) fn command() -> CommandInfo {
    CommandInfo { shell: true, value: Some("true".to_owned()), ..CommandInfo::default() }
}

pub(crate) fn task(id: &str, agent: &AgentId, resources: &[Resource]) -> TaskInfo {
    TaskInfo {
        id: TaskId::made(id.to_owned()),
        name: id.to_owned(),
        agent: agent.clone(),
        resources: resources.to_vec(),
        executor: None,
        command: Some(command()),
        kill_grace_ms: None,
        payload: Default::default(),
    }
}

pub(crate) fn executor(id: &str) -> ExecutorInfo {
    ExecutorInfo {
        id: ExecutorId::made(id.to_owned()),
        kind: None,
        framework: None,
        resources: vec![amount("cpus", 1), amount("mem", 32)],
        command: Some(command()),
        shutdown_grace_ms: None,
        payload: Default::default(),
    }
}

pub(crate) fn launch(tasks: &[TaskInfo]) -> Operation {
    Operation { id: None, action: Action::Launch(tasks.to_vec()) }
}

pub(crate) fn no_filter() -> Filters {
    Filters { refuse_ms: 0 }
}

impl Bed {
    /// A leader of term 1 with nobody around.
    pub(crate) fn empty(config: Config) -> Bed {
        Bed::with_policy(config, "drf")
    }

    /// The same, where that policy decides.
    pub(crate) fn with_policy(config: Config, policy: &str) -> Bed {
        let master = Master::new(config.clone(), by_name(policy).unwrap(), MasterLedger::default());
        let mut bed = Bed {
            config,
            master,
            folded: MasterLedger::default(),
            now: 1_000_000,
            term: 1,
            ids: Counter(0),
            links: 0,
            machines: Vec::new(),
            schedulers: Vec::new(),
            next_request: 0,
            next_machine: 1000,
            answers: BTreeMap::new(),
            closed: BTreeSet::new(),
            effects: Vec::new(),
            byzantine_peers: false,
            check_every: 1,
            inputs: 0,
        };
        bed.input(Input::Elected(Term(1)));
        bed
    }

    /// `agents` of the usual size, registered.
    pub(crate) fn with_agents(agents: usize) -> Bed {
        let mut bed = Bed::empty(Config::default());
        for _ in 0..agents {
            bed.add_machine(plenty());
        }
        bed.settle();
        bed
    }

    /// One agent and one framework of role `db`, which has been offered all of it.
    pub(crate) fn usual() -> Bed {
        let mut bed = Bed::with_agents(1);
        bed.add_scheduler(info("keeper", &["db"]));
        bed.settle();
        bed
    }

    pub(crate) fn input(&mut self, input: Input) {
        let effects = self
            .master
            .handle(&mut StepContext { now: Instant(self.now), ids: &mut self.ids }, input);
        let mut outranked = None;
        for effect in effects {
            self.carry_out(&effect);
            if let Effect::Outranked(seen) = &effect {
                outranked = outranked.max(Some(*seen));
            }
            self.effects.push(effect);
        }
        if let Some(seen) = outranked {
            self.term = seen.0 + 1;
            self.input(Input::Elected(Term(self.term)));
        }
        self.inputs += 1;
        if self.inputs.is_multiple_of(self.check_every) {
            balance::check(self);
        }
    }

    fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Commit(term, changes) => {
                assert_eq!(Some(*term), self.master.term(), "a leader writes under its own term");
                changes.iter().for_each(|it| self.folded.apply(it));
            }
            Effect::ToAgent(link, message) => {
                if let Some(machine) = self.machines.iter_mut().find(|it| it.link == Some(*link)) {
                    machine.inbox.push_back(message.clone());
                }
            }
            Effect::CloseAgent(link) => {
                self.closed.insert(*link);
                for machine in self.machines.iter_mut().filter(|it| it.link == Some(*link)) {
                    if let Some(why) = machine.inbox.iter().find_map(|it| {
                        if let Order::Refused(why) = &it.order {
                            Some(why)
                        } else {
                            None
                        }
                    }) {
                        machine.refused = Some(why.clone());
                    }
                    let is_end = |it: &&ToAgent| matches!(it.order, Order::ShutDown { .. });
                    if let Some(end) = machine.inbox.iter().find(is_end).cloned() {
                        machine.obey(end);
                    }
                    machine.disconnect();
                }
            }
            Effect::ToFramework(link, event, _) => {
                if let Some(scheduler) =
                    self.schedulers.iter_mut().find(|it| it.link == Some(*link))
                {
                    scheduler.hear(event.clone());
                }
            }
            Effect::CloseFramework(link) => {
                self.closed.insert(*link);
                for scheduler in self.schedulers.iter_mut().filter(|it| it.link == Some(*link)) {
                    scheduler.link = None;
                    scheduler.offers.clear();
                }
            }
            Effect::Answer(request, answer) => {
                let before = self.answers.insert(*request, answer.clone());
                assert_eq!(before, None, "every request is answered at most once");
            }
            Effect::Log(line) => assert!(!line.is_empty()),
            Effect::Discard(_) | Effect::Outranked(_) => {}
        }
    }

    // ---- Time and delivery.

    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.now += ms;
        self.input(Input::Tick);
    }

    /// One message from the master to this agent.
    pub(crate) fn obey_one(&mut self, machine: usize) -> bool {
        let Some(message) = self.machines[machine].inbox.pop_front() else { return false };
        let newest = self.machines[machine].newest;
        if newest < message.order.kind() {
            while self.hear_one(machine) {} // What it has said before arrives before.
            self.machines[machine].orders_seen += 1;
            if let Some(link) = self.machines[machine].link {
                self.input(Input::AgentPassedOver(link, newest));
            }
            return true;
        }
        self.machines[machine].obey(message);
        if std::mem::take(&mut self.machines[machine].hangs_up) {
            self.lose(machine);
        }
        true
    }

    /// One message from this agent to the master.
    pub(crate) fn hear_one(&mut self, machine: usize) -> bool {
        let Some(link) = self.machines[machine].link else { return false };
        let Some(message) = self.machines[machine].outbox.pop_front() else { return false };
        self.input(Input::FromAgent(link, message));
        true
    }

    /// Delivers all that lies around, until nothing does.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut moved = false;
            for machine in 0..self.machines.len() {
                moved |= self.obey_one(machine);
                moved |= self.hear_one(machine);
            }
            if !moved {
                return;
            }
        }
        panic!("master and agents talk to each other without end");
    }

    // ---- Agents.

    pub(crate) fn link(&mut self) -> LinkId {
        self.links += 1;
        LinkId(self.links)
    }

    pub(crate) fn add_machine(&mut self, base: Resources) -> usize {
        self.machines.push(Machine::new(self.machines.len() as u128 + 1, base));
        let index = self.machines.len() - 1;
        self.connect(index);
        index
    }

    /// Opens a new link; the old one, if any, is lost without a word.
    pub(crate) fn connect(&mut self, machine: usize) {
        let link = self.link();
        self.machines[machine].connect(link);
    }

    /// The link breaks, and the master hears of it.
    pub(crate) fn lose(&mut self, machine: usize) {
        if let Some(link) = self.machines[machine].disconnect() {
            self.input(Input::AgentLost(link));
        }
    }

    pub(crate) fn agent(&self, machine: usize) -> AgentId {
        self.machines[machine].agent.clone().expect("it is registered")
    }

    pub(crate) fn state(&self, machine: usize) -> &crate::AgentState {
        &self.master.agents()[&self.agent(machine)]
    }

    pub(crate) fn task_is(&mut self, machine: usize, task: &str, state: TaskState) {
        self.task_will_be(machine, task, state);
        self.settle();
    }

    /// As [`Bed::task_is`], with nothing delivered.
    pub(crate) fn task_will_be(&mut self, machine: usize, task: &str, state: TaskState) {
        let owner = self.machines[machine]
            .tasks
            .keys()
            .find(|it| it.1.as_str() == task)
            .map(|it| it.0.clone());
        self.machines[machine].task_is(&owner.expect("the agent has the task"), task, state);
    }

    pub(crate) fn say(&mut self, machine: usize, message: ToMaster) {
        self.machines[machine].outbox.push_back(message);
        self.settle();
    }

    // ---- Schedulers.

    pub(crate) fn add_scheduler(&mut self, info: FrameworkInfo) -> usize {
        self.schedulers.push(Scheduler {
            link: None,
            info,
            events: Vec::new(),
            offers: BTreeMap::new(),
        });
        let index = self.schedulers.len() - 1;
        self.subscribe(index);
        index
    }

    /// Subscribes on a new link; an old one is given up without a word.
    pub(crate) fn subscribe(&mut self, scheduler: usize) {
        self.subscribe_suppressed(scheduler, &[]);
    }

    /// As [`Bed::subscribe`]; one that was removed comes without its id.
    pub(crate) fn subscribe_anew(&mut self, scheduler: usize) {
        let id = self.schedulers[scheduler].info.id.clone();
        if id.is_some_and(|it| self.folded.frameworks.get(&it).is_none_or(|it| it.removed)) {
            self.schedulers[scheduler].info.id = None;
        }
        self.subscribe(scheduler);
    }

    pub(crate) fn subscribe_suppressed(&mut self, scheduler: usize, suppressed: &[&str]) {
        let link = self.link();
        let it = &mut self.schedulers[scheduler];
        it.link = Some(link);
        it.offers.clear();
        let (framework, info) = (it.info.id.clone(), Box::new(it.info.clone()));
        let suppressed = suppressed.iter().map(|it| role(it)).collect();
        self.input(Input::FromFramework(
            link,
            CallerIdentity::Anonymous,
            FrameworkCall { framework, call: Call::Subscribe { info, suppressed } },
        ));
    }

    pub(crate) fn leave(&mut self, scheduler: usize) {
        if let Some(link) = self.schedulers[scheduler].link.take() {
            self.schedulers[scheduler].offers.clear();
            self.input(Input::FrameworkLost(link));
        }
    }

    pub(crate) fn call(&mut self, scheduler: usize, call: Call) {
        let it = &mut self.schedulers[scheduler];
        let Some(link) = it.link else { return };
        if let Call::Accept { offers, .. } | Call::Decline { offers, .. } = &call {
            offers.iter().for_each(|id| drop(it.offers.remove(id)));
        }
        let framework = it.info.id.clone();
        self.input(Input::FromFramework(
            link,
            CallerIdentity::Anonymous,
            FrameworkCall { framework, call },
        ));
    }

    pub(crate) fn id(&self, scheduler: usize) -> FrameworkId {
        self.schedulers[scheduler].info.id.clone().expect("it is subscribed")
    }

    /// The roles of a scheduler with what it holds for each.
    pub(crate) fn roles(&self, scheduler: usize) -> &[holdfast_allocator::RoleView] {
        &self.master.belief.frameworks.views()[&self.id(scheduler)].roles
    }

    /// The only offer that a scheduler holds.
    pub(crate) fn offer(&self, scheduler: usize) -> Offer {
        let offers: Vec<&Offer> = self.schedulers[scheduler].offers.values().collect();
        assert_eq!(offers.len(), 1, "one offer is held: {offers:?}");
        offers[0].clone()
    }

    pub(crate) fn offers(&self, scheduler: usize) -> Vec<Offer> {
        self.schedulers[scheduler].offers.values().cloned().collect()
    }

    /// All that a scheduler is offered now, without allocations.
    pub(crate) fn offered(&self, scheduler: usize) -> Resources {
        self.schedulers[scheduler]
            .offers
            .values()
            .flat_map(|it| it.resources.unallocated().iter().collect::<Vec<_>>())
            .collect()
    }

    /// Accepts all offers of one agent that the scheduler holds, without filter, and lets everything settle.
    pub(crate) fn accept(&mut self, scheduler: usize, operations: Vec<Operation>) {
        let offers = self.schedulers[scheduler].offers.keys().cloned().collect();
        self.call(scheduler, Call::Accept { offers, operations, filters: no_filter() });
        self.settle();
    }

    pub(crate) fn launch(&mut self, scheduler: usize, id: &str, resources: &[Resource]) {
        let agent = self.offer(scheduler).agent;
        self.accept(scheduler, vec![launch(&[task(id, &agent, resources)])]);
    }

    /// As [`Bed::launch`], with all the offers that the scheduler holds.
    pub(crate) fn launch_all(&mut self, scheduler: usize, id: &str, resources: &[Resource]) {
        let agent = self.offers(scheduler)[0].agent.clone();
        self.accept(scheduler, vec![launch(&[task(id, &agent, resources)])]);
    }

    /// A task of one cpu, under a name that was used before.
    pub(crate) fn launch_again(&mut self, scheduler: usize, id: &str) {
        self.pass_ms(100);
        self.launch_all(scheduler, id, &[amount("cpus", 1)]);
    }

    /// A task of one cpu that runs, acknowledged.
    pub(crate) fn run(&mut self, scheduler: usize, machine: usize, id: &str) {
        self.launch(scheduler, id, &[amount("cpus", 1)]);
        self.task_is(machine, id, TaskState::Running);
        self.acknowledge_last(scheduler);
        self.pass_ms(100);
    }

    pub(crate) fn acknowledge_last(&mut self, scheduler: usize) {
        self.acknowledge_last_unsettled(scheduler);
        self.settle();
    }

    /// As [`Bed::acknowledge_last`], with nothing delivered.
    pub(crate) fn acknowledge_last_unsettled(&mut self, scheduler: usize) {
        let status = self.schedulers[scheduler].statuses().pop().expect("there is a status");
        let (agent, uuid) = (
            status.agent.expect("it names its agent"),
            status.uuid.expect("it is to be acknowledged"),
        );
        self.call(scheduler, Call::Acknowledge { agent, task: status.task, status: uuid });
    }

    /// Acknowledges the newest status that has a name to acknowledge.
    pub(crate) fn acknowledge_last_named(&mut self, scheduler: usize) {
        let status = self.schedulers[scheduler]
            .statuses()
            .into_iter()
            .rfind(|it| it.uuid.is_some())
            .expect("there is one");
        let (agent, uuid) =
            (status.agent.expect("it names its agent"), status.uuid.expect("it has one"));
        self.call(scheduler, Call::Acknowledge { agent, task: status.task, status: uuid });
        self.settle();
    }

    pub(crate) fn acknowledge_operations(&mut self, scheduler: usize) {
        for status in self.schedulers[scheduler].outcomes() {
            if let (Some(operation), Some(uuid)) = (status.id, status.uuid) {
                self.call(
                    scheduler,
                    Call::AcknowledgeOperation { agent: status.agent, operation, status: uuid },
                );
            }
        }
        self.settle();
    }

    // ---- Operators and leaders.

    pub(crate) fn ask(&mut self, call: OperatorCall) -> RequestId {
        self.ask_as(None, call)
    }

    pub(crate) fn ask_as(&mut self, principal: Option<String>, call: OperatorCall) -> RequestId {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.input(Input::FromOperator(request, CallerIdentity::authenticated(principal), call));
        request
    }

    pub(crate) fn operate(&mut self, machine: usize, action: ClaimAction) -> Result<(), Refusal> {
        let call = OperatorCall::Claim { agent: self.agent(machine), action };
        let request = self.ask(call);
        self.settle();
        self.answers.get(&request).cloned().expect("an operator is answered")
    }

    /// The master dies; another one leads with what was committed. Nobody is connected any more.
    pub(crate) fn fail_over(&mut self) {
        self.term += 1;
        let policy = by_name("drf").unwrap();
        self.master = Master::new(self.config.clone(), policy, self.folded.clone());
        for machine in &mut self.machines {
            machine.disconnect();
        }
        for scheduler in &mut self.schedulers {
            scheduler.link = None;
            scheduler.offers.clear();
        }
        self.input(Input::Elected(Term(self.term)));
    }

    /// All come back.
    pub(crate) fn reunite(&mut self) {
        (0..self.machines.len()).for_each(|it| self.connect(it));
        self.settle();
        (0..self.schedulers.len()).for_each(|it| self.subscribe_anew(it));
        self.settle();
    }
}

impl Scheduler {
    fn hear(&mut self, event: Event) {
        match &event {
            Event::Subscribed(id) => self.info.id = Some(id.clone()),
            Event::Offers(offers) => {
                self.offers.extend(offers.iter().map(|it| (it.id.clone(), it.clone())))
            }
            Event::Rescind(offer) => {
                assert!(self.offers.remove(offer).is_some(), "only what was offered is rescinded");
            }
            _ => {}
        }
        self.events.push(event);
    }

    pub(crate) fn statuses(&self) -> Vec<TaskStatus> {
        self.events
            .iter()
            .filter_map(
                |it| if let Event::Update(status) = it { Some(status.clone()) } else { None },
            )
            .collect()
    }

    /// The states that it heard of a task, in order.
    pub(crate) fn states(&self, task: &str) -> Vec<TaskState> {
        self.statuses()
            .into_iter()
            .filter(|it| it.task.as_str() == task)
            .map(|it| it.state)
            .collect()
    }

    pub(crate) fn outcomes(&self) -> Vec<OperationStatus> {
        self.events
            .iter()
            .filter_map(|it| {
                if let Event::UpdateOperation(status) = it {
                    Some(status.clone())
                } else {
                    None
                }
            })
            .collect()
    }

    /// The states that it heard of an operation, in order.
    pub(crate) fn outcome(&self, id: &str) -> Vec<OperationState> {
        self.outcomes()
            .into_iter()
            .filter(|it| it.id.as_deref() == Some(id))
            .map(|it| it.state)
            .collect()
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|it| if let Event::Error(why) = it { Some(why.clone()) } else { None })
            .collect()
    }

    pub(crate) fn rescinded(&self) -> usize {
        self.events.iter().filter(|it| matches!(it, Event::Rescind(_))).count()
    }
}
