//! Frameworks: the shell around a keeper, its ledger, and the session with the masters.
//!
//! It relies on `holdfast_sdk::Keeper` as every framework does, and on
//! [`crate::drivers::ledger_disk`] for its ledger. A commit is durable before the next effect
//! begins; a framework that cannot commit dies. It never hands a keeper anything that did not come
//! over a link.

use std::fmt;

use holdfast_model::convert::{framework, resource::Format, task};
use holdfast_model::{
    Action, Call, Capability, Event, FrameworkCall, FrameworkId, FrameworkInfo, Operation, Role,
    TaskId,
};
use holdfast_sdk::{
    Effect, Input, Keeper, KeeperChange, KeeperLedger, Member, Needs, Program, Service,
};

use holdfast_sdk::pods::{Answer, Command, FoundVolume, Lost, Refused, Request};
use holdfast_sdk::spec::ServiceSpec;

use crate::agenda::{AgendaEntry, Message, Node, Rest};
use crate::clients::Client;
use crate::drivers::ledger_disk::LedgerDisk;
use crate::fact::Fact;
use crate::keepers::{AnyHooks, AnyKeeper, HooksAgain, Pods};
use crate::links::Side;
use crate::process::{Process, ProcessFault};
use crate::rng::Rng;
use crate::services::Records;
use crate::world::World;

/// A service that the simulator can start again and again.
pub trait Performer: Service {
    /// Makes the same service, as at its first start.
    fn again(&self) -> Box<dyn Performer>;
}

impl<S: Service + Clone + 'static> Performer for S {
    fn again(&self) -> Box<dyn Performer> {
        Box::new(self.clone())
    }
}

/// A service of any type.
pub struct AnyService(pub(crate) Box<dyn Performer>);

impl Clone for AnyService {
    fn clone(&self) -> AnyService {
        AnyService(self.0.again())
    }
}

impl fmt::Debug for AnyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}", self.0.name())
    }
}

impl Service for AnyService {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn role(&self) -> &Role {
        self.0.role()
    }
    fn principal(&self) -> Option<&str> {
        self.0.principal()
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
    fn may_share_agent(&self) -> bool {
        self.0.may_share_agent()
    }
    fn may_start(&self, member: &Member) -> bool {
        self.0.may_start(member)
    }
    fn end_grace_ms(&self) -> Option<u64> {
        self.0.end_grace_ms()
    }
    fn learnt(&mut self, member: &Member) {
        self.0.learnt(member);
    }
    fn heard(&mut self, member: &Member, data: &[u8]) -> Option<Vec<u8>> {
        self.0.heard(member, data)
    }
}

/// What the executors of a service say to its scheduler when a task starts: messages, by the task's
/// name.
pub(crate) type StartMessages = fn(&TaskId) -> Vec<Vec<u8>>;

/// A framework's scheduler in the simulation.
pub struct FrameworkProcess {
    /// The process of the scheduler.
    pub process: Process,
    /// The keeper, while its process runs.
    pub keeper: Option<AnyKeeper>,
    /// The durable ledger.
    pub ledger: KeeperLedger,
    /// The service, as at its first start.
    pub service: AnyService,
    /// Whether it is subscribed.
    pub subscribed: bool,
    pub(crate) ledger_disk: LedgerDisk<KeeperLedger>,
    pub(crate) client: Client,
    pub(crate) greeting: Option<StartMessages>,
    /// What it is when it is a service of pods; then `service` has no members.
    pub(crate) pods: Option<Pods>,
    /// The answers to commands, the oldest first.
    pub(crate) answers: Vec<Result<Answer, Refused>>,
}

impl FrameworkProcess {
    pub(crate) fn new(service: Box<dyn Performer>, ids: Rng) -> FrameworkProcess {
        let mut rng = ids.fork(2);
        let uuid = *holdfast_model::IdSource::fresh(&mut rng).as_bytes();
        FrameworkProcess {
            ledger_disk: LedgerDisk::new(rng.bits(), uuid, KeeperLedger::default(), &[]),
            process: Process::new(ids),
            keeper: None,
            ledger: KeeperLedger::default(),
            service: AnyService(service),
            subscribed: false,
            client: Client::default(),
            greeting: None,
            pods: None,
            answers: Vec::new(),
        }
    }

    /// A keeper over this ledger, as at each start.
    pub(crate) fn make_keeper(&self, ledger: KeeperLedger) -> AnyKeeper {
        match &self.pods {
            Some(pods) => AnyKeeper::Pods(Box::new(pods.keeper(ledger))),
            None => AnyKeeper::Members(Box::new(Keeper::recover(self.service.clone(), ledger))),
        }
    }

    /// The description that it subscribes with.
    fn info(&self) -> FrameworkInfo {
        let info = FrameworkInfo {
            id: None,
            name: self.service.name().to_owned(),
            user: "root".to_owned(),
            roles: vec![self.service.role().clone()],
            failover_timeout_ms: 86_400_000,
            checkpoint: true,
            principal: self.service.principal().map(str::to_owned),
            hostname: None,
            capabilities: [
                Capability::MultiRole,
                Capability::ReservationRefinement,
                Capability::PartitionAware,
                Capability::TaskKillingState,
            ]
            .into(),
            payload: Default::default(),
            constraints: Default::default(),
        };
        FrameworkInfo { id: self.ledger.framework.clone(), ..info_as_read(&info) }
    }
}

impl World {
    pub(crate) fn start_framework(&mut self, index: usize) {
        if self.frameworks[index].process.up {
            return;
        }
        let opened = match self.frameworks[index].ledger_disk.reopen() {
            Ok(opened) => opened,
            Err(why) => {
                return self
                    .violate("R2", format!("the ledger of framework {index} does not open: {why}"))
            }
        };
        if let Some(changes) = &opened.late {
            self.rules_see(&Fact::FrameworkCommits { framework: index, changes });
        }
        let now = self.agenda.now;
        if let Err(why) = crate::rules::r1_recovery::recover_keeper_twice(
            |ledger| self.frameworks[index].make_keeper(ledger),
            &opened.ledger,
            now,
        ) {
            self.violate("R1", format!("framework {index}: {why}"));
        }
        let late_ms = self.delay_ms(1, 300, 1);
        let it = &mut self.frameworks[index];
        it.process.start();
        it.ledger = opened.ledger;
        it.keeper = Some(it.make_keeper(it.ledger.clone()));
        #[cfg(feature = "planted")]
        if let (Some(keeper), Some(bug)) = (&mut it.keeper, self.shape.planted) {
            keeper.plant(bug);
        }
        let life = it.process.life;
        self.note(|| format!("framework {index} starts"));
        self.agenda.after(late_ms, Node::Framework(index), life, AgendaEntry::Follow);
    }

    pub(crate) fn kill_framework(&mut self, index: usize, down_ms: Option<u64>) {
        let it = &mut self.frameworks[index];
        if !it.process.up {
            return;
        }
        it.process.die();
        it.ledger_disk.go_down(false);
        (it.keeper, it.subscribed) = (None, false);
        it.client.forget_link();
        let life = it.process.life;
        self.note(|| format!("framework {index} dies"));
        self.drop_links(Node::Framework(index), 500);
        if let Some(down_ms) = down_ms {
            self.agenda.after(down_ms, Node::Framework(index), life, AgendaEntry::Restart);
        }
    }

    /// The shell subscribes on a new link.
    pub(crate) fn subscribe(&mut self, index: usize) {
        let info = Box::new(self.frameworks[index].info());
        self.call(index, Call::Subscribe { info, suppressed: Default::default() });
    }

    pub(crate) fn disconnected(&mut self, index: usize) {
        self.frameworks[index].subscribed = false;
        self.step_framework(index, Input::Disconnected);
    }

    pub(crate) fn framework_at(&self, link: u64) -> Option<usize> {
        match self.links.client_of(link)? {
            Node::Framework(index) => Some(index),
            Node::ByzantinePeer(index) => Some(crate::byzantine_peers::FIRST + index),
            _ => None,
        }
    }

    /// Delivers an event to a framework.
    pub(crate) fn framework_hears(&mut self, index: usize, link: u64, event: Event) {
        let (term, leads) = match self.links.end(link, Side::Server).map(|it| it.node) {
            Some(Node::Master(master)) => self.leads(master),
            _ => (None, false),
        };
        self.rules_see(&Fact::FrameworkHears {
            framework: index,
            term: term.unwrap_or_default(),
            leads,
            event: &event,
        });
        self.touched.insert(Node::Framework(index));
        if let Event::Subscribed(_) = event {
            self.frameworks[index].subscribed = true;
        }
        self.step_framework(index, Input::Event(event));
    }

    pub(crate) fn step_framework(&mut self, index: usize, input: Input) {
        let now = self.agenda.now;
        let Some(keeper) = &mut self.frameworks[index].keeper else { return };
        let effects = keeper.handle(now, input);
        self.carry_out_framework(index, effects);
    }

    pub(crate) fn carry_out_framework(&mut self, index: usize, effects: Vec<Effect>) {
        let life = self.frameworks[index].process.life;
        let (mut left, mut after_commit, mut found) = (effects.into_iter(), false, None);
        while let Some(effect) = left.next() {
            let is_commit = matches!(effect, Effect::Commit(_));
            match self.frameworks[index].process.struck(is_commit, after_commit) {
                Some(ProcessFault::Die(down_ms)) => {
                    return self.kill_framework(index, Some(down_ms))
                }
                Some(ProcessFault::Pause(ms)) => {
                    let rest = std::iter::once(effect).chain(left).collect();
                    return self.pause(Node::Framework(index), ms, Some(Rest::Framework(rest)));
                }
                None => {}
            }
            match effect {
                Effect::Commit(changes) => self.commit_framework(index, &changes),
                Effect::Call(call) => self.call(index, *call),
                Effect::Log(line) => self.note(|| format!("framework {index} says: {line}")),
                // Nobody ends a framework's claims here, so there is no answer but none.
                Effect::AskEnded(..) | Effect::AskMoved(..) => {}
                Effect::AskFound => found = Some(self.volumes_that_live()),
                Effect::Answer(_, answer) => self.frameworks[index].answers.push(*answer),
            }
            if self.frameworks[index].process.life != life {
                return;
            }
            after_commit = is_commit;
        }
        if let Some(found) = found {
            return self.step_framework(index, Input::Found(found));
        }
        let deadline = self.frameworks[index].keeper.as_ref().and_then(AnyKeeper::next_deadline);
        self.wake(Node::Framework(index), deadline);
    }

    /// All volumes, as masters that know every agent would say.
    fn volumes_that_live(&self) -> Vec<FoundVolume> {
        let claims = self.machines.iter().flat_map(|machine| {
            let agent = machine.proven().identity.agent.clone();
            let claims = machine.proven().claims.values();
            claims.filter_map(move |it| {
                let volume = it.resource.identity.persistence.clone()?;
                Some(FoundVolume { agent: agent.clone()?, volume, framework: None })
            })
        });
        claims.collect()
    }

    /// Adds a service of pods, which starts by and by. Returns its index.
    pub fn add_pods(&mut self, spec: ServiceSpec, hooks: Box<dyn HooksAgain>, lost: Lost) -> usize {
        let face = Records::new(&spec.name, spec.role.as_str(), 0, 1);
        let index = self.add_framework(Box::new(face));
        self.frameworks[index].pods = Some(Pods { spec, hooks: AnyHooks(hooks), lost });
        index
    }

    /// Asks something of a service; `None` when its scheduler is down.
    pub fn command(
        &mut self,
        index: usize,
        by: &str,
        request: Request,
    ) -> Option<Result<Answer, Refused>> {
        self.frameworks[index].answers.clear();
        let command = Command { by: by.to_owned(), request };
        self.step_framework(index, Input::Command(0, Box::new(command)));
        self.frameworks[index].answers.pop()
    }

    /// Writes down what a keeper wants written. One that cannot dies; half of the time its machine
    /// goes with it, and takes what was not synced.
    fn commit_framework(&mut self, index: usize, changes: &[KeeperChange]) {
        let it = &mut self.frameworks[index];
        match it.ledger_disk.commit(changes) {
            Ok(()) => {
                changes.iter().for_each(|change| it.ledger.apply(change));
                self.rules_see(&Fact::FrameworkCommits { framework: index, changes });
            }
            Err(why) => {
                self.note(|| format!("framework {index} cannot commit: {why}"));
                let down_ms = self.delay_ms(100, 3_000, 100);
                if self.rng.one_in(2) {
                    self.frameworks[index].ledger_disk.go_down(true);
                }
                self.kill_framework(index, Some(down_ms));
            }
        }
    }

    fn call(&mut self, index: usize, call: Call) {
        let Some(link) = self.frameworks[index].client.link else { return };
        let framework = self.frameworks[index].ledger.framework.clone();
        let call = Box::new(FrameworkCall { framework, call: as_read(call) });
        self.rules_see(&Fact::FrameworkCalls { framework: index, call: &call });
        self.links.send(&mut self.agenda, link, Side::Client, Message::FromFramework(call));
    }

    /// What a task's executor says to its scheduler when the task starts.
    pub(crate) fn greetings(&self, framework: &FrameworkId, task: &TaskId) -> Vec<Vec<u8>> {
        let whose = |it: &&FrameworkProcess| it.ledger.framework.as_ref() == Some(framework);
        let greeting = self.frameworks.iter().find(whose).and_then(|it| it.greeting);
        greeting.map(|greeting| greeting(task)).unwrap_or_default()
    }
}

/// A framework as a master reads it from the wire: what is carried along is filled in.
pub(crate) fn info_as_read(info: &FrameworkInfo) -> FrameworkInfo {
    framework::from_proto(framework::to_proto(info))
        .expect("the simulator describes valid frameworks")
}

/// A call as a master reads it from the wire: what is carried along is filled in.
fn as_read(call: Call) -> Call {
    let Call::Accept { offers, operations, filters } = call else { return call };
    let read = |info| {
        task::from_proto(task::to_proto(&info, Format::WHOLE))
            .expect("a keeper describes valid tasks")
    };
    let operations = operations.into_iter().map(|it| match it.action {
        Action::Launch(tasks) => {
            Operation { id: it.id, action: Action::Launch(tasks.into_iter().map(read).collect()) }
        }
        action => Operation { id: it.id, action },
    });
    Call::Accept { offers, operations: operations.collect(), filters }
}
