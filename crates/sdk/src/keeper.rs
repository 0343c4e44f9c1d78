//! The keeper: a framework's core. It claims a volume for each member once, and from then on brings
//! the member's task back to exactly that volume, whatever restarts or fails over.
//!
//! It never destroys, never asks for a second volume while the first may exist (an end of its claim
//! that the masters prove is the only one that it believes), and writes down
//! what it is about to do before it calls the master. It has no clock, no randomness, no file and
//! no network.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    Action, AgentId, Call, CommandInfo, Event, ExecutorId, ExecutorInfo, ExecutorKind, Filters,
    FrameworkId, Instant, Offer, Operation, OperationState, OperationStatus, PersistenceId, TaskId,
    TaskInfo, TaskState, TaskStatus,
};

use crate::ended::{EndedVolume, Endings, Verdict};
use crate::ledger::{KeeperChange, KeeperLedger, Member, MemberTask, Stage};
use crate::pace::Pace;
use crate::placing::{self, Place};
use crate::pods::{Answer, Command, FoundVolume, Refused};
use crate::service::Service;

/// The filter on declined offers while members wait, in milliseconds.
const DECLINE_MS: u64 = 5_000;
/// The filter while a member waits for others of the service, and not for resources, in milliseconds.
const HELD_MS: u64 = 1_000;
/// The filter on declined offers while every member runs, in milliseconds.
const CONTENT_MS: u64 = 3_600_000;
/// The interval at which tasks that are not known to run and claims that are not known to exist are
/// reconciled.
const RECONCILE_MS: u64 = 10_000;
/// How many volumes are asked about in one such interval; the others have their turn in the next ones.
const ASKED_MAX: usize = 32;

/// The inputs of a keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An event from the master. The first event of each session is SUBSCRIBED.
    Event(Event),
    /// The session broke; the shell subscribes again.
    Disconnected,
    /// The time of [`Keeper::next_deadline`] has come.
    Tick,
    /// The masters say what became of volumes that were asked about.
    Ended(Endings),
    /// The masters say which volumes bear the service's name; answers [`Effect::AskFound`].
    Found(Vec<FoundVolume>),
    /// Somebody asks something of the service; the answer bears the same number.
    Command(u64, Box<Command>),
    /// The author's hooks have learnt something.
    Poke,
}

/// The effects of a keeper, in order; a commit is durable before the next effect begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make these changes durable, all or none. A shell that cannot ends the process.
    Commit(Vec<KeeperChange>),
    /// Send a call to the master.
    Call(Box<Call>),
    /// Write a line to the log.
    Log(String),
    /// Ask the masters whether the claim of this volume on this agent has ended. An answer that
    /// does not come is asked for again.
    AskEnded(AgentId, PersistenceId),
    /// Ask the same about a volume of which another agent offers one of the same name: it may have
    /// been moved there with its disk.
    AskMoved(AgentId, PersistenceId),
    /// Ask the masters which volumes live whose names begin with the service's. Asked again until it
    /// is answered.
    AskFound,
    /// The answer to a command.
    Answer(u64, Box<Result<Answer, Refused>>),
}

/// The core of a framework: a service, its ledger, and soft state that is learnt again.
#[derive(Clone, Debug)]
pub struct Keeper<S> {
    service: S,
    ledger: KeeperLedger,
    subscribed: bool,
    /// Volumes whose CREATE is known not to have happened, by member; learnt again by
    /// reconciliation.
    refuted: BTreeMap<u32, PersistenceId>,
    /// Members whose volume was not in the last offers of its agent; each is told of once, until it is placed.
    waiting: BTreeSet<u32>,
    /// The last member that was asked about.
    asked: Option<u32>,
    /// The restart backoff of each member's task.
    paces: BTreeMap<u32, Pace>,
    #[cfg(feature = "planted")]
    planted: Option<&'static str>,
    reconcile_at: Option<Instant>,
    effects: Vec<Effect>,
}

impl<S: Service> Keeper<S> {
    /// Makes a keeper from its ledger. Members that the service wants and the ledger lacks are
    /// added.
    pub fn recover(service: S, ledger: KeeperLedger) -> Keeper<S> {
        let mut keeper = Keeper {
            service,
            ledger,
            subscribed: false,
            refuted: BTreeMap::new(),
            waiting: BTreeSet::new(),
            asked: None,
            paces: BTreeMap::new(),
            #[cfg(feature = "planted")]
            planted: None,
            reconcile_at: None,
            effects: Vec::new(),
        };
        for index in 0..keeper.service.members() {
            keeper.ledger.members.entry(index).or_insert_with(|| Member::new(index));
        }
        keeper.ledger.members.values().for_each(|it| keeper.service.learnt(it));
        keeper
    }

    /// The durable state.
    pub fn ledger(&self) -> &KeeperLedger {
        &self.ledger
    }

    /// The service that the author wrote.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Whether every member's task was seen running.
    pub fn is_content(&self) -> bool {
        self.wanted().all(|it| it.run.as_ref().is_some_and(|run| run.running))
    }

    /// When the next [`Input::Tick`] is wanted; earlier ones are harmless.
    pub fn next_deadline(&self) -> Option<Instant> {
        let rested = self.paces.values().filter_map(Pace::until).min();
        self.reconcile_at.into_iter().chain(rested).min().filter(|_| self.subscribed)
    }

    /// Puts a bug in on purpose, for the simulator to find.
    #[cfg(feature = "planted")]
    pub fn plant(&mut self, bug: &'static str) {
        self.planted = Some(bug);
    }

    #[cfg(feature = "planted")]
    fn is_planted(&self, bug: &str) -> bool {
        self.planted == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    fn is_planted(&self, _bug: &str) -> bool {
        false
    }

    /// Handles one input.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        match input {
            Input::Disconnected => self.subscribed = false,
            Input::Tick => self.tick(now),
            Input::Ended(endings) => self.ended(&endings),
            Input::Event(Event::Subscribed(id)) => self.subscribed(now, id),
            Input::Event(event) => self.event(now, event),
            Input::Found(_) | Input::Poke => {}
            Input::Command(ticket, _) => {
                let why = "this service has no plans; it is changed by another start";
                let refused = Err(Refused::Conflict(why.to_owned()));
                self.effects.push(Effect::Answer(ticket, Box::new(refused)));
            }
        }
        std::mem::take(&mut self.effects)
    }

    fn wanted(&self) -> impl Iterator<Item = &Member> {
        let count = self.service.members();
        self.ledger.members.values().filter(move |it| it.index < count)
    }

    fn subscribed(&mut self, now: Instant, id: FrameworkId) {
        if self.ledger.framework.as_ref() != Some(&id) {
            self.commit(vec![KeeperChange::Framework(id)]);
        }
        self.subscribed = true;
        self.reconcile(now);
    }

    fn tick(&mut self, now: Instant) {
        if self.subscribed && self.reconcile_at.is_some_and(|at| at <= now) {
            let idle = self.wanted().filter(|it| it.run.is_none() && it.volume.is_some());
            let idle: Vec<Member> = idle.cloned().collect();
            idle.iter().for_each(|it| self.tell_waiting(it));
            self.ask_ended(idle);
            self.reconcile(now);
        }
        let mut rested = false;
        self.paces.values_mut().for_each(|it| rested |= it.wake(now));
        if rested {
            self.revive();
        }
    }

    /// Reconciles all tasks and operations that may not be as the ledger says.
    fn reconcile(&mut self, now: Instant) {
        let runs = self
            .ledger
            .members
            .values()
            .filter_map(|it| Some((it.run.as_ref()?.task.clone(), it.agent.clone())));
        let runs: Vec<(TaskId, Option<AgentId>)> = runs.collect();
        if !runs.is_empty() {
            self.call(Call::Reconcile(runs));
        }
        if self.wanted().any(|it| it.run.is_none() && it.volume.is_some()) {
            self.call(Call::Reconcile(Vec::new())); // A task that the ledger does not know may hold a member's volume.
        }
        let claiming = self.ledger.members.values().filter(|it| it.stage == Stage::Claiming);
        let claiming: Vec<_> =
            claiming.map(|it| (placing::create_id(it), it.agent.clone())).collect();
        if !claiming.is_empty() {
            self.call(Call::ReconcileOperations(claiming));
        }
        self.reconcile_at = Some(now.plus_ms(RECONCILE_MS));
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Offers(offers) => offers.into_iter().for_each(|offer| self.offered(now, &offer)),
            Event::Update(status) => self.updated(now, status),
            Event::UpdateOperation(status) => self.operation_updated(status),
            Event::Message(_, executor, data) => self.heard(executor.as_str(), &data),
            Event::Error(why) => self.effects.push(Effect::Log(format!("the master says: {why}"))),
            Event::Subscribed(_) | Event::Rescind(_) | Event::Failure { .. } => {}
            // They ask, and nothing follows from an answer: what is here moves when its operator says so.
            Event::InverseOffers(_) | Event::RescindInverse(_) => {}
        }
    }

    fn heard(&mut self, executor: &str, data: &[u8]) {
        let prefix = format!("{}-", self.service.name());
        let index = executor
            .strip_prefix(&prefix)
            .and_then(|it| it.split('-').next())
            .and_then(|it| it.parse::<u32>().ok());
        let Some(member) = index.and_then(|it| self.ledger.members.get(&it)).cloned() else {
            return;
        };
        if let Some(note) = self.service.heard(&member, data) {
            if note != member.note {
                self.commit(vec![KeeperChange::Member(Member { note, ..member })]);
            }
        }
    }

    fn offered(&mut self, now: Instant, offer: &Offer) {
        self.ask_moved(offer);
        let mut rest = placing::Rest::of(offer);
        let mut operations = Vec::new();
        let members: Vec<Member> = self.wanted().cloned().collect();
        for member in members {
            if let Some(place) = self.place(now, &member, offer, &rest) {
                self.use_place(member, offer, place, &mut rest, &mut operations);
            }
        }
        let is_held = |it: &Member| it.run.is_none() && !self.service.may_start(it);
        let refuse_ms = match self.is_content() {
            true => CONTENT_MS,
            false if self.wanted().any(is_held) => HELD_MS,
            false => DECLINE_MS,
        };
        let (offers, filters) = (vec![offer.id.clone()], Filters { refuse_ms });
        if operations.is_empty() {
            self.call(Call::Decline { offers, filters });
        } else {
            self.call(Call::Accept { offers, operations, filters });
        }
    }

    /// Asks about members that wait for their volumes, when another agent offers volumes of these names.
    fn ask_moved(&mut self, offer: &Offer) {
        let volumes: BTreeSet<PersistenceId> =
            offer.resources.iter().filter_map(|it| it.identity.persistence.clone()).collect();
        let waits = |it: &&Member| it.run.is_none() && it.stage == Stage::Placed;
        let waiting = self.wanted().filter(waits);
        let asked: Vec<Effect> = waiting
            .filter_map(|it| Some((it.agent.clone()?, it.volume.clone()?)))
            .filter(|(agent, volume)| *agent != offer.agent && volumes.contains(volume))
            .map(|(agent, volume)| Effect::AskMoved(agent, volume))
            .collect();
        self.effects.extend(asked);
    }

    /// Finds a place for a member in this offer, if there is one.
    fn place(
        &mut self,
        now: Instant,
        member: &Member,
        offer: &Offer,
        rest: &placing::Rest,
    ) -> Option<Place> {
        if member.run.is_some() {
            return None; // Its task may be alive; only a terminal status permits another.
        }
        if self.paces.get(&member.index).is_some_and(|it| it.rests(now).is_some()) {
            return None;
        }
        if !self.service.may_start(member) {
            return None;
        }
        let needs = self.service.needs(member.index);
        if let Some(volume) = &member.volume {
            if member.agent.as_ref() != Some(&offer.agent) {
                return None; // Its volume is, or may be, on another agent; it is asked whether it moved.
            }
            if let Some(place) = rest.with_volume(volume, &needs) {
                return Some(place);
            }
            let gone =
                member.stage == Stage::Claiming && self.refuted.get(&member.index) == Some(volume);
            let gone = gone || self.is_planted("keeper-claims-again");
            if gone {
                return rest
                    .with_reservation(&placing::label(&self.service, member), &needs)
                    .or_else(|| rest.fresh(&needs));
            }
            self.tell_waiting(member);
            return None;
        }
        if let Some(place) = rest.with_reservation(&placing::label(&self.service, member), &needs) {
            return Some(place);
        }
        let taken =
            |it: &Member| it.index != member.index && it.agent.as_ref() == Some(&offer.agent);
        if !self.service.may_share_agent() && self.ledger.members.values().any(taken) {
            return None;
        }
        rest.fresh(&needs)
    }

    /// Says, once until it is placed, that a member is not placed for want of its volume.
    fn tell_waiting(&mut self, member: &Member) {
        let (Some(volume), Some(agent)) = (&member.volume, &member.agent) else { return };
        if self.waiting.insert(member.index) {
            self.effects.push(Effect::Log(format!(
                "member {} waits for its volume {volume}: agent {agent} does not offer it, or too little beside it; see `holdfast claim show {volume}`",
                member.index
            )));
        }
    }

    /// Asks what became of the volumes of these members: of some after the other, so that a service
    /// that lost many agents does not ask for all of them at once.
    fn ask_ended(&mut self, mut idle: Vec<Member>) {
        idle.retain(|it| it.stage == Stage::Placed);
        let next = idle.partition_point(|it| Some(it.index) <= self.asked);
        let waiting = idle.len().max(1);
        idle.rotate_left(next % waiting);
        for member in idle.into_iter().take(ASKED_MAX) {
            self.asked = Some(member.index);
            if let (Some(agent), Some(volume)) = (member.agent, member.volume) {
                self.effects.push(Effect::AskEnded(agent, volume));
            }
        }
    }

    /// A member whose volume is proven to be no more gets another one.
    fn ended(&mut self, endings: &Endings) {
        let members: Vec<Member> = self.wanted().cloned().collect();
        let mut is_any = false;
        for member in members {
            let name = format!("{}-{}", self.service.name(), member.index);
            match endings.judge(self.ledger.framework.as_ref(), &member, &name) {
                Verdict::Unproven => {}
                Verdict::Outdated((agent, volume)) => self.effects.push(Effect::Log(format!(
                    "member {} stays where it is: its volume is no more, but {volume} on agent {agent} is the member's, too, and newer than this ledger; restore a newer copy of the ledger, or end that volume's claim",
                    member.index
                ))),
                Verdict::Moved(to) => {
                    is_any = true;
                    self.follow(member, to.clone());
                }
                Verdict::Ended(ended) => {
                    is_any = true;
                    self.place_anew(member, ended);
                }
            }
        }
        if is_any {
            self.revive();
        }
    }

    /// The member's volume is at another agent now, and the member goes there.
    fn follow(&mut self, member: Member, to: AgentId) {
        if let (Some(volume), Some(from)) = (&member.volume, &member.agent) {
            self.effects.push(Effect::Log(format!(
                "member {} follows its volume {volume} to agent {to}, where it was moved with its disk from agent {from}",
                member.index
            )));
        }
        self.waiting.remove(&member.index);
        self.commit(vec![KeeperChange::Member(Member { agent: Some(to), ..member })]);
    }

    fn place_anew(&mut self, member: Member, ended: &EndedVolume) {
        self.effects.push(Effect::Log(format!(
            "member {} is placed anew with an empty volume: its volume {} on agent {} (claim {}) was {} by {}",
            member.index,
            ended.volume,
            ended.agent,
            ended.claim,
            ended.how.as_deref().unwrap_or("ended"),
            ended.by.as_deref().unwrap_or("somebody who is not known"),
        )));
        self.waiting.remove(&member.index);
        self.commit(vec![KeeperChange::Member(Member {
            stage: Stage::Wanted,
            agent: None,
            volume: None,
            ..member
        })]);
    }

    fn use_place(
        &mut self,
        member: Member,
        offer: &Offer,
        place: Place,
        rest: &mut placing::Rest,
        operations: &mut Vec<Operation>,
    ) {
        let mut member =
            Member { agent: Some(offer.agent.clone()), launches: member.launches + 1, ..member };
        let task =
            TaskId::made(format!("{}-{}-{}", self.service.name(), member.index, member.launches));
        member.run = Some(MemberTask { task: task.clone(), running: false });
        if place.volume.is_none() {
            member.attempts += 1;
            member.stage = Stage::Claiming;
            member.volume = Some(PersistenceId::made(format!(
                "{}-{}-{}",
                self.service.name(),
                member.index,
                member.attempts
            )));
        }
        // An offer that holds the volume does not prove that it exists: masters offer what they
        // have just asked for. Its CREATE's outcome does prove it, and so does a task that runs on
        // it.
        self.refuted.remove(&member.index);
        self.waiting.remove(&member.index);
        let needs = self.service.needs(member.index);
        let resources =
            placing::operations(&self.service, &member, &needs, &place, offer, operations);
        rest.take(&place);
        let program = self.service.program(&member);
        let info = task_info(&self.service, &member, task, &offer.agent, resources, program);
        operations.push(Operation { id: None, action: Action::Launch(vec![info]) });
        self.commit(vec![KeeperChange::Member(member)]);
    }

    fn updated(&mut self, now: Instant, status: TaskStatus) {
        let owner = self
            .ledger
            .members
            .values()
            .find(|it| it.run.as_ref().is_some_and(|run| run.task == status.task))
            .cloned();
        let owner = owner.or_else(|| self.adopt(&status));
        if let Some(mut member) = owner {
            let over = status.state.is_terminal() || status.state == TaskState::Unknown;
            let running = status.state == TaskState::Running;
            let was = member.run.take();
            member.run = was
                .clone()
                .filter(|_| !over)
                .map(|run| MemberTask { running: running || run.running, ..run });
            if running && member.stage == Stage::Claiming && member.volume.is_some() {
                member.stage = Stage::Placed; // The volume of a task that runs exists.
            }
            let index = member.index;
            if self.ledger.members.get(&index) != Some(&member) {
                if over {
                    let why = status.message.as_deref().unwrap_or("");
                    self.effects.push(Effect::Log(format!(
                        "task {} is {}: {why}",
                        status.task,
                        status.state.name()
                    )));
                }
                self.commit(vec![KeeperChange::Member(member)]);
            }
            if running {
                self.paces.entry(index).or_default().running(now);
            }
            if over {
                self.over(now, index, &status);
            }
        }
        // The status is acknowledged only now that its content is durable.
        if let (Some(uuid), Some(agent)) = (status.uuid, status.agent) {
            self.call(Call::Acknowledge { agent, task: status.task, status: uuid });
        }
    }

    /// Handles a task that lives and that the ledger does not know: it was reported gone, or the
    /// ledger is an old one. A member without a task adopts it; where another has taken its place,
    /// it is killed.
    fn adopt(&mut self, status: &TaskStatus) -> Option<Member> {
        let lives = matches!(
            status.state,
            TaskState::Staging | TaskState::Starting | TaskState::Running | TaskState::Killing
        );
        let (name, launch) = status.task.as_str().rsplit_once('-').filter(|_| lives)?;
        let index =
            name.strip_prefix(self.service.name())?.strip_prefix('-')?.parse::<u32>().ok()?;
        let member = self.ledger.members.get(&index)?.clone();
        let launch = launch.parse::<u64>().ok()?;
        if member.run.is_none() && member.volume.is_some() && member.agent == status.agent {
            self.effects.push(Effect::Log(format!(
                "task {} lives after all; member {index} takes it back",
                status.task
            )));
            let run = Some(MemberTask { task: status.task.clone(), running: false });
            return Some(Member { run, launches: member.launches.max(launch), ..member });
        }
        self.effects.push(Effect::Log(format!(
            "task {} is no member's any more; it is ended",
            status.task
        )));
        self.call(Call::Kill {
            task: status.task.clone(),
            agent: status.agent.clone(),
            grace_ms: None,
        });
        None
    }

    /// Handles the end of a member's task: its executor is shut down too, or it would hold the
    /// volume for ever.
    fn over(&mut self, now: Instant, index: u32, status: &TaskStatus) {
        let Some(member) = self.ledger.members.get(&index) else { return };
        let agent = status.agent.clone().or_else(|| member.agent.clone());
        let own = self.service.program(member).executor;
        if let Some(agent) = agent.filter(|_| own) {
            self.call(Call::Shutdown(executor_of(&status.task), agent));
        }
        self.paces.entry(index).or_default().over(now);
        self.revive();
    }

    fn operation_updated(&mut self, status: OperationStatus) {
        let id = status.id.clone().unwrap_or_default();
        let owner = self
            .ledger
            .members
            .values()
            .find(|it| it.stage == Stage::Claiming && placing::create_id(it) == id)
            .cloned();
        if let Some(member) = owner {
            match status.state {
                OperationState::Finished => self
                    .commit(vec![KeeperChange::Member(Member { stage: Stage::Placed, ..member })]),
                OperationState::Failed | OperationState::Error | OperationState::Dropped => {
                    let why = status.message.as_deref().unwrap_or("no reason was given");
                    self.effects.push(Effect::Log(format!(
                        "the volume of member {} was not made: {why}",
                        member.index
                    )));
                    // The task that was to use the volume gets a status of its own.
                    self.commit(vec![KeeperChange::Member(Member {
                        stage: Stage::Wanted,
                        agent: None,
                        volume: None,
                        ..member
                    })]);
                    self.revive();
                }
                OperationState::Unknown => {
                    // The agent is there and does not know the operation: it was either done and
                    // long acknowledged, or never arrived. The agent's next offer shows which: with
                    // the volume, or without.
                    if let Some(volume) = member.volume {
                        self.refuted.insert(member.index, volume);
                    }
                }
                _ => {}
            }
        }
        if let (Some(uuid), Some(operation)) = (status.uuid, status.id) {
            self.call(Call::AcknowledgeOperation { agent: status.agent, operation, status: uuid });
        }
    }

    /// Revives offers, since a member needs something again.
    fn revive(&mut self) {
        if self.subscribed {
            self.call(Call::Revive(std::collections::BTreeSet::new()));
        }
    }

    fn commit(&mut self, changes: Vec<KeeperChange>) {
        for change in &changes {
            self.ledger.apply(change);
            if let KeeperChange::Member(member) = change {
                self.service.learnt(member);
            }
        }
        match self.effects.last_mut() {
            Some(Effect::Commit(last)) => last.extend(changes),
            _ => self.effects.push(Effect::Commit(changes)),
        }
    }

    fn call(&mut self, call: Call) {
        self.effects.push(Effect::Call(Box::new(call)));
    }
}

/// The executor of a task: each task has its own, with the task's name.
fn executor_of(task: &TaskId) -> ExecutorId {
    ExecutorId::made(task.as_str().to_owned())
}

fn task_info<S: Service>(
    service: &S,
    member: &Member,
    task: TaskId,
    agent: &AgentId,
    resources: Vec<holdfast_model::Resource>,
    program: crate::service::Program,
) -> TaskInfo {
    let name = format!("{}-{}", service.name(), member.index);
    let (command, executor): (Option<CommandInfo>, Option<ExecutorInfo>) = if program.executor {
        let executor = ExecutorInfo {
            id: executor_of(&task),
            kind: Some(ExecutorKind::Custom),
            framework: None,
            resources: Vec::new(),
            command: Some(program.command),
            shutdown_grace_ms: service.end_grace_ms(),
            payload: Default::default(),
        };
        (None, Some(executor))
    } else {
        (Some(program.command), None)
    };
    TaskInfo {
        id: task,
        name,
        agent: agent.clone(),
        resources,
        executor,
        command,
        kill_grace_ms: service.end_grace_ms(),
        payload: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_model::{ClaimAction, OfferId, Resource, Resources, Role, Scalar, StatusUuid};
    use uuid::Uuid;

    use super::*;
    use crate::ended::MovedVolume;
    use crate::service::{Needs, Program};

    /// A service whose members note the longest message.
    #[derive(Clone)]
    struct Notes(u32, Role);

    impl Service for Notes {
        fn name(&self) -> &str {
            "notes"
        }
        fn role(&self) -> &Role {
            &self.1
        }
        fn members(&self) -> u32 {
            self.0
        }
        fn needs(&self, _member: u32) -> Needs {
            Needs {
                cpus: Scalar::whole(1),
                mem_mb: 16,
                disk_mb: 32,
                container_path: "data".to_owned(),
            }
        }
        fn program(&self, _member: &Member) -> Program {
            Program { command: CommandInfo::default(), executor: true }
        }
        fn heard(&mut self, member: &Member, data: &[u8]) -> Option<Vec<u8>> {
            (member.note.len() < data.len()).then(|| data.to_owned())
        }
    }

    /// A service whose members start one after the other, each once the one before has noted something.
    #[derive(Clone)]
    struct OneByOne(Notes, BTreeMap<u32, Member>);

    impl Service for OneByOne {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn role(&self) -> &Role {
            self.0.role()
        }
        fn members(&self) -> u32 {
            self.0.members()
        }
        fn needs(&self, member: u32) -> Needs {
            self.0.needs(member)
        }
        fn program(&self, member: &Member) -> Program {
            self.0.program(member)
        }
        fn may_start(&self, member: &Member) -> bool {
            (0..member.index).all(|it| self.1.get(&it).is_some_and(|it| !it.note.is_empty()))
        }
        fn end_grace_ms(&self) -> Option<u64> {
            Some(60_000)
        }
        fn learnt(&mut self, member: &Member) {
            self.1.insert(member.index, member.clone());
        }
        fn heard(&mut self, member: &Member, data: &[u8]) -> Option<Vec<u8>> {
            self.0.heard(member, data)
        }
    }

    fn role() -> Role {
        Role::parse("db").unwrap()
    }

    /// A keeper, its clock, and the effects since the last check.
    struct Case<S = Notes> {
        keeper: Keeper<S>,
        now: Instant,
        calls: Vec<Call>,
        offers: u32,
        statuses: u128,
        log: Vec<String>,
        asked: Vec<(AgentId, PersistenceId)>,
        sighted: Vec<(AgentId, PersistenceId)>,
    }

    impl Case {
        fn new(members: u32, ledger: KeeperLedger) -> Case {
            Case::of(Notes(members, role()), ledger)
        }
    }

    impl<S: Service> Case<S> {
        fn of(service: S, ledger: KeeperLedger) -> Case<S> {
            let keeper = Keeper::recover(service, ledger);
            let mut case = Case {
                keeper,
                now: Instant(1),
                calls: Vec::new(),
                offers: 0,
                statuses: 0,
                log: Vec::new(),
                asked: Vec::new(),
                sighted: Vec::new(),
            };
            case.event(Event::Subscribed(FrameworkId::made("f-1".to_owned())));
            case
        }

        /// Handles an input, folds commits into a ledger of its own and compares it with the
        /// keeper's at each call.
        fn handle(&mut self, input: Input) {
            let mut durable = self.keeper.ledger().clone();
            for effect in self.keeper.handle(self.now, input) {
                match effect {
                    Effect::Commit(changes) => changes.iter().for_each(|it| durable.apply(it)),
                    Effect::Call(call) => {
                        let destroys = |it: &Operation| {
                            matches!(
                                it.action,
                                Action::Claim(ClaimAction::Destroy { .. })
                                    | Action::Claim(ClaimAction::Unreserve(..))
                            )
                        };
                        assert!(
                            !matches!(&*call, Call::Accept { operations, .. } if operations.iter().any(destroys)),
                            "{call:?}"
                        );
                        if let Call::Accept { operations, .. } = &*call {
                            launched(operations).iter().for_each(|task| {
                                assert!(knows(&durable, &task.id), "{} is not durable", task.id)
                            });
                        }
                        self.calls.push(*call);
                    }
                    Effect::Log(line) => self.log.push(line),
                    Effect::AskEnded(agent, volume) => self.asked.push((agent, volume)),
                    Effect::AskMoved(agent, volume) => self.sighted.push((agent, volume)),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(&durable, self.keeper.ledger(), "what is remembered is durable");
        }

        fn event(&mut self, event: Event) {
            self.handle(Input::Event(event));
        }

        fn offer(&mut self, agent: &str, resources: Resources) -> Call {
            self.offers += 1;
            let offer = Offer {
                id: OfferId::made(format!("o-{}", self.offers)),
                framework: FrameworkId::made("f-1".to_owned()),
                role: role(),
                agent: AgentId::made(agent.to_owned()),
                resources,
                executors: Vec::new(),
                hostname: agent.to_owned(),
                machine: Default::default(),
                claims: Vec::new(),
                unavailability: None,
            };
            self.calls.clear();
            self.event(Event::Offers(vec![offer]));
            self.calls.pop().expect("each offer is answered")
        }

        fn status(&mut self, task: &TaskInfo, state: TaskState) {
            self.statuses += 1;
            let mut status =
                TaskStatus::new(task.id.clone(), state, self.now).at_agent(&task.agent);
            status.uuid = Some(StatusUuid(Uuid::from_u128(self.statuses)));
            self.calls.clear();
            self.event(Event::Update(status));
            assert!(self.calls.iter().any(|it| matches!(it, Call::Acknowledge { .. })));
        }

        fn operation(&mut self, id: &str, state: OperationState) {
            let status = OperationStatus {
                id: Some(id.to_owned()),
                state,
                message: None,
                converted: Resources::new(),
                uuid: None,
                agent: None,
            };
            self.calls.clear();
            self.event(Event::UpdateOperation(status));
        }

        fn member(&self, index: u32) -> &Member {
            &self.keeper.ledger().members[&index]
        }
    }

    fn knows(ledger: &KeeperLedger, task: &TaskId) -> bool {
        ledger.members.values().any(|it| it.run.as_ref().is_some_and(|run| run.task == *task))
    }

    fn launched(operations: &[Operation]) -> Vec<TaskInfo> {
        let tasks = operations.iter().filter_map(|it| {
            if let Action::Launch(tasks) = &it.action {
                Some(tasks.clone())
            } else {
                None
            }
        });
        tasks.flatten().collect()
    }

    fn accepted(call: Call) -> (Vec<Operation>, TaskInfo) {
        let Call::Accept { operations, .. } = call else { panic!("{call:?}") };
        let tasks = launched(&operations);
        assert_eq!(tasks.len(), 1);
        (operations, tasks[0].clone())
    }

    fn declined_ms(call: Call) -> u64 {
        let Call::Decline { filters, .. } = call else { panic!("{call:?}") };
        filters.refuse_ms
    }

    /// Some of each resource, unreserved.
    fn fresh() -> Resources {
        let of = |name: &str| Resource::scalar(name, Scalar::whole(1000)).allocated_to(&role());
        ["cpus", "mem", "disk"].map(of).iter().collect()
    }

    /// The resources that a task used, offered again.
    fn used(task: &TaskInfo) -> Resources {
        task.resources
            .iter()
            .map(|it| it.clone().allocated_to(&role()))
            .collect::<Vec<_>>()
            .iter()
            .collect()
    }

    fn reserved_only(task: &TaskInfo) -> Resources {
        let bare = |it: &Resource| {
            if it.identity.persistence.is_some() {
                it.without_volume()
            } else {
                it.clone()
            }
        };
        task.resources
            .iter()
            .map(|it| bare(it).allocated_to(&role()))
            .collect::<Vec<_>>()
            .iter()
            .collect()
    }

    fn running(members: u32) -> (Case, TaskInfo) {
        let mut case = Case::new(members, KeeperLedger::default());
        let (_, task) = accepted(case.offer("a-1", fresh()));
        case.status(&task, TaskState::Running);
        (case, task)
    }

    #[test]
    fn a_member_that_may_not_start_yet_waits_for_the_others_and_not_for_resources() {
        let service = OneByOne(Notes(2, role()), BTreeMap::new());
        let mut case = Case::of(service.clone(), KeeperLedger::default());
        let (_, first) = accepted(case.offer("a-1", fresh()));
        assert_eq!(first.kill_grace_ms, Some(60_000));
        let executor = first.executor.clone().expect("it has an executor of its own");
        assert_eq!(executor.shutdown_grace_ms, Some(60_000));
        case.status(&first, TaskState::Running);
        assert_eq!(declined_ms(case.offer("a-2", fresh())), HELD_MS);
        assert!(!case.keeper.is_content());
        let (agent, executor) = (AgentId::made("a-1".to_owned()), executor.id);
        case.event(Event::Message(agent, executor, b"joined".to_vec()));
        let (_, second) = accepted(case.offer("a-2", fresh()));
        case.status(&second, TaskState::Running);
        assert!(case.keeper.is_content());
        // Another process learns the same from the ledger.
        let mut next = Case::of(service, case.keeper.ledger().clone());
        next.status(&second, TaskState::Failed);
        next.now = Instant(1_000_000);
        next.handle(Input::Tick);
        accepted(next.offer("a-2", used(&second)));
    }

    #[test]
    fn a_member_that_waits_for_its_volume_says_so_once() {
        let (mut case, task) = running(1);
        case.status(&task, TaskState::Failed);
        case.now = Instant(1_000_000);
        case.log.clear();
        case.offer("a-1", fresh());
        case.offer("a-1", fresh());
        case.handle(Input::Tick);
        let told: Vec<_> =
            case.log.iter().filter(|it| it.contains("waits for its volume")).collect();
        assert!(
            told.len() == 1 && told[0].contains("agent a-1 does not offer it"),
            "{:?}",
            case.log
        );
    }

    /// A member whose task has ended and whose volume is not offered, and what it asks about.
    fn waiting() -> (Case, TaskInfo, EndedVolume) {
        let (mut case, task) = running(1);
        case.status(&task, TaskState::Failed);
        case.now = Instant(1_000_000);
        case.handle(Input::Tick);
        let (agent, volume) = case.asked.pop().expect("it asks what became of its volume");
        assert_eq!(Some(&volume), case.member(0).volume.as_ref());
        let ended = EndedVolume {
            claim: holdfast_model::ClaimId(Uuid::from_u128(7)),
            agent,
            volume,
            framework: Some(FrameworkId::made("f-1".to_owned())),
            how: Some("given up".to_owned()),
            by: Some("ops".to_owned()),
        };
        case.log.clear();
        (case, task, ended)
    }

    #[test]
    fn a_member_whose_volume_was_given_up_is_placed_anew_and_leaves_the_old_one_alone() {
        let (mut case, old, ended) = waiting();
        case.handle(Input::Ended(Endings {
            ended: vec![ended.clone()],
            living: Vec::new(),
            ..Endings::default()
        }));
        let told = "member 0 is placed anew with an empty volume: its volume notes-0-1 on agent a-1 (claim 00000000-0000-0000-0000-000000000007) was given up by ops";
        assert_eq!(case.log, [told]);
        assert_eq!((case.member(0).stage, &case.member(0).volume), (Stage::Wanted, &None));
        let (operations, task) = accepted(case.offer("a-2", fresh()));
        assert_eq!(operations.len(), 3, "reserve, create, launch");
        assert_eq!(case.member(0).volume.as_ref().unwrap().as_str(), "notes-0-2");
        case.handle(Input::Ended(Endings {
            ended: vec![ended],
            living: Vec::new(),
            ..Endings::default()
        }));
        case.status(&task, TaskState::Running);
        case.status(&task, TaskState::Failed);
        case.now = Instant(2_000_000);
        case.handle(Input::Tick);
        declined_ms(case.offer("a-1", used(&old))); // The disk came back; what lies on it is nobody's.
        accepted(case.offer("a-2", used(&task)));
    }

    #[test]
    fn a_member_follows_its_volume_to_another_agent_once_the_masters_say_that_it_moved() {
        let (mut case, old, ended) = waiting();
        declined_ms(case.offer("a-2", used(&old)));
        assert_eq!(case.sighted, [(ended.agent.clone(), ended.volume.clone())]);
        let agent = |name: &str| AgentId::made(name.to_owned());
        let moved = MovedVolume { volume: ended.volume, from: ended.agent, to: agent("a-2") };
        let unproven = [
            Endings::default(),
            Endings {
                moved: vec![MovedVolume { from: agent("a-7"), ..moved.clone() }],
                ..Endings::default()
            },
            Endings {
                living: vec![(moved.from.clone(), moved.volume.clone())],
                moved: vec![moved.clone()],
                ..Endings::default()
            },
        ];
        for answer in unproven {
            case.handle(Input::Ended(answer));
            assert_eq!(case.member(0).agent, Some(agent("a-1")), "it waits where it was");
        }
        case.handle(Input::Ended(Endings { moved: vec![moved], ..Endings::default() }));
        assert_eq!(case.member(0).agent, Some(agent("a-2")));
        assert_eq!(case.member(0).stage, Stage::Placed);
        assert!(case.log.last().unwrap().contains("follows its volume notes-0-1 to agent a-2"));
        declined_ms(case.offer("a-1", fresh()));
        let (operations, _) = accepted(case.offer("a-2", used(&old)));
        assert_eq!(operations.len(), 1, "it is launched on what it had");
    }

    #[test]
    fn without_proof_a_member_waits_for_its_volume() {
        let (case, _, proof) = waiting();
        let other = |name: &str| name.to_owned();
        let unproven = [
            EndedVolume { how: None, ..proof.clone() },
            EndedVolume { how: Some(other("unreserved")), ..proof.clone() },
            EndedVolume { agent: AgentId::made(other("a-2")), ..proof.clone() },
            EndedVolume { volume: PersistenceId::made(other("notes-0-2")), ..proof.clone() },
            EndedVolume { framework: None, ..proof.clone() },
            EndedVolume { framework: Some(FrameworkId::made(other("f-2"))), ..proof.clone() },
        ];
        let back = vec![(proof.agent.clone(), proof.volume.clone())];
        let mut answers: Vec<Endings> = unproven
            .map(|it| Endings { ended: vec![it], living: Vec::new(), ..Endings::default() })
            .into();
        answers.push(Endings { ended: vec![proof.clone()], living: back, ..Endings::default() });
        answers.push(Endings::default());
        for answer in answers {
            let mut case = Case {
                keeper: case.keeper.clone(),
                log: Vec::new(),
                ..Case::new(1, KeeperLedger::default())
            };
            case.handle(Input::Ended(answer.clone()));
            assert_eq!((case.log.len(), case.member(0).stage), (0, Stage::Placed), "{answer:?}");
        }
    }

    #[test]
    fn a_ledger_that_is_older_than_a_living_volume_of_the_member_is_told_so() {
        let (mut case, _, ended) = waiting();
        let newer = (AgentId::made("a-9".to_owned()), PersistenceId::made("notes-0-2".to_owned()));
        let another = (newer.0.clone(), PersistenceId::made("notes-01-7".to_owned()));
        let living = vec![another, newer];
        case.handle(Input::Ended(Endings { ended: vec![ended], living, ..Endings::default() }));
        assert_eq!(case.member(0).stage, Stage::Placed);
        assert!(case.log[0].contains("notes-0-2 on agent a-9 is the member's"), "{:?}", case.log);
    }

    #[test]
    fn a_task_that_may_live_is_proof_of_nothing() {
        let (mut case, task, ended) = waiting();
        accepted(case.offer("a-1", used(&task)));
        case.handle(Input::Ended(Endings {
            ended: vec![ended],
            living: Vec::new(),
            ..Endings::default()
        }));
        assert_eq!((case.member(0).stage, case.log.len()), (Stage::Placed, 0));
    }

    #[test]
    fn many_that_wait_are_asked_about_in_turns() {
        let (case, _) = running(1);
        let mut ledger = case.keeper.ledger().clone();
        let member = Member { run: None, ..ledger.members[&0].clone() };
        for index in 0..80 {
            ledger.apply(&KeeperChange::Member(Member { index, ..member.clone() }));
        }
        let mut case = Case::new(80, ledger);
        let mut asked = Vec::new();
        for turn in 1..=3 {
            case.now = Instant(turn * 1_000_000);
            case.handle(Input::Tick);
            asked.push((case.asked.len(), case.keeper.asked));
            case.asked.clear();
        }
        assert_eq!(asked, [(32, Some(31)), (32, Some(63)), (32, Some(15))]);
    }

    #[test]
    fn a_volume_is_claimed_once_and_its_task_launched_with_it() {
        let mut case = Case::new(1, KeeperLedger::default());
        let (operations, task) = accepted(case.offer("a-1", fresh()));
        let kinds: Vec<bool> =
            operations.iter().map(|it| matches!(it.action, Action::Launch(_))).collect();
        assert_eq!(kinds, [false, false, true], "reserve, create, launch");
        assert_eq!(case.member(0).stage, Stage::Claiming);
        let volume = task.resources.iter().find(|it| it.identity.persistence.is_some()).unwrap();
        assert_eq!(volume.mount.as_ref().unwrap().container_path, "data");
        assert!(
            task.resources.iter().all(|it| it.identity.is_dynamic()),
            "cpus and mem stay beside the volume"
        );
        case.offer("a-1", fresh());
        assert_eq!(case.member(0).launches, 1, "one task at a time");
        case.status(&task, TaskState::Running);
        assert!(case.keeper.is_content() && case.member(0).stage == Stage::Placed);
        assert_eq!(declined_ms(case.offer("a-1", fresh())), CONTENT_MS);
    }

    #[test]
    fn a_task_that_ended_comes_back_to_its_own_volume_and_to_no_other() {
        let (mut case, task) = running(1);
        case.status(&task, TaskState::Failed);
        assert!(case.calls.iter().any(|it| matches!(it, Call::Revive(_))));
        assert_eq!(
            declined_ms(case.offer("a-2", fresh())),
            DECLINE_MS,
            "elsewhere is no place for it"
        );
        assert_eq!(
            declined_ms(case.offer("a-1", fresh())),
            DECLINE_MS,
            "without its volume neither"
        );
        let (operations, again) = accepted(case.offer("a-1", used(&task)));
        assert_eq!(operations.len(), 1, "nothing is claimed twice");
        assert_ne!(again.id, task.id);
        assert_eq!(
            again.resources.iter().filter(|it| it.identity.persistence.is_some()).count(),
            1
        );
    }

    #[test]
    fn who_may_be_alive_is_not_started_a_second_time() {
        let (mut case, task) = running(1);
        for state in [TaskState::Unreachable, TaskState::Killing, TaskState::Staging] {
            case.status(&task, state);
            declined_ms(case.offer("a-1", used(&task)));
        }
        case.status(&task, TaskState::Gone);
        accepted(case.offer("a-1", used(&task)));
    }

    #[test]
    fn a_restart_asks_about_everything_and_forgets_nothing() {
        let (case, task) = running(2);
        let mut case = Case::new(2, case.keeper.ledger().clone());
        let asked = case
            .calls
            .iter()
            .any(|it| matches!(it, Call::Reconcile(tasks) if tasks[0].0 == task.id));
        assert!(asked, "{:?}", case.calls);
        case.status(&task, TaskState::Unknown);
        let (operations, _) = accepted(case.offer("a-1", used(&task)));
        assert_eq!(operations.len(), 1);
    }

    #[test]
    fn an_empty_ledger_takes_up_reservations_and_destroys_nothing() {
        let (_, task) = running(1);
        let mut case = Case::new(1, KeeperLedger::default());
        declined_ms(case.offer("a-1", used(&task))); // A volume that is not in the ledger is left alone.
        let (operations, _) = accepted(case.offer("a-1", reserved_only(&task)));
        assert_eq!(operations.len(), 2, "create, launch: what is reserved under its label is used");
    }

    #[test]
    fn an_operation_that_failed_is_tried_anew_under_another_name() {
        let mut case = Case::new(1, KeeperLedger::default());
        let (_, task) = accepted(case.offer("a-1", fresh()));
        let first = placing::create_id(case.member(0));
        case.operation(&first, OperationState::Failed);
        assert_eq!((case.member(0).stage, &case.member(0).volume), (Stage::Wanted, &None));
        declined_ms(case.offer("a-1", fresh())); // There is no status of its task yet.
        case.status(&task, TaskState::Error);
        accepted(case.offer("a-2", fresh()));
        assert_ne!(placing::create_id(case.member(0)), first);
        assert_eq!(case.member(0).attempts, 2);
    }

    #[test]
    fn a_claim_whose_fate_is_unknown_is_not_made_twice() {
        let mut case = Case::new(1, KeeperLedger::default());
        let (_, task) = accepted(case.offer("a-1", fresh()));
        case.status(&task, TaskState::Dropped);
        declined_ms(case.offer("a-1", fresh()));
        declined_ms(case.offer("a-2", fresh()));
        case.now = case.keeper.next_deadline().unwrap();
        case.calls.clear();
        case.handle(Input::Tick);
        assert!(
            case.calls.iter().any(|it| matches!(it, Call::ReconcileOperations(_))),
            "it asks: {:?}",
            case.calls
        );
        let name = placing::create_id(case.member(0));
        let mut made = case.keeper.clone();
        case.operation(&name, OperationState::Unknown);
        declined_ms(case.offer("a-2", fresh()));
        accepted(case.offer("a-1", fresh()));
        assert_eq!(case.member(0).attempts, 2);
        // Had it been made, the offer would have shown it.
        std::mem::swap(&mut case.keeper, &mut made);
        case.operation(&name, OperationState::Unknown);
        let (operations, again) = accepted(case.offer("a-1", used(&task)));
        assert_eq!(
            (operations.len(), case.member(0).attempts, case.member(0).stage),
            (1, 1, Stage::Claiming)
        );
        case.status(&again, TaskState::Running);
        assert_eq!(case.member(0).stage, Stage::Placed, "what a task runs on exists");
    }

    #[test]
    fn members_do_not_share_an_agent() {
        let (mut case, _) = running(2);
        assert_eq!(declined_ms(case.offer("a-1", fresh())), DECLINE_MS);
        accepted(case.offer("a-2", fresh()));
        assert_eq!(case.member(1).agent, Some(AgentId::made("a-2".to_owned())));
    }

    #[test]
    fn what_an_executor_says_is_noted_durably() {
        let (mut case, task) = running(1);
        let message = |name: &str, data: &[u8]| {
            Event::Message(task.agent.clone(), ExecutorId::made(name.to_owned()), data.to_owned())
        };
        for (name, data, note) in [
            ("notes-0-1", "abc", "abc"),
            ("notes-0-1", "ab", "abc"),
            ("other-0-1", "abcd", "abc"),
            ("notes-9-1", "abcd", "abc"),
        ] {
            case.event(message(name, data.as_bytes()));
            assert_eq!(case.member(0).note, note.as_bytes(), "{name} {data}");
        }
    }

    #[test]
    fn without_a_session_nothing_is_due() {
        let (mut case, _) = running(1);
        assert!(case.keeper.next_deadline().is_some());
        case.handle(Input::Disconnected);
        assert_eq!(case.keeper.next_deadline(), None);
    }
}
