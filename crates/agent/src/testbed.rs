//! A small world for tests: drivers, executors and a master that do what an agent asks, at once or when
//! told, fail when told, and check on the way that nothing is told before it is written down and that no
//! volume has two users.
//!
//! Relies on nothing but the closed lists. It is not the simulator: there is one agent, and no chance.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use holdfast_model::{
    Action, AgentId, AgentLedger, Claim, ClaimAction, ClaimId, ClusterId, CommandInfo, ContainerId,
    DiskId, DiskKind, DiskRecord, ExecutorCall, ExecutorEvent, ExecutorId, ExecutorInfo,
    ExecutorKey, ExecutorKind, Expected, FrameworkId, FrameworkInfo, IdSource, Instant,
    LabelledVolume, LinkId, MachineInfo, NamedOperation, NodeId, Operation, OperationState,
    OperationUpdate, OperationUuid, Order, Ownership, PersistenceId, Report, Reservation,
    ReservationKind, Resource, Role, Scalar, Source, StatusUuid, StepContext, TaskId, TaskInfo,
    TaskKey, TaskState, TaskStatus, Term, ToAgent, ToMaster, Together, VolumeLimit,
};
use uuid::Uuid;

use crate::{
    Agent, Config, ContainerPlan, DiskFound, Effect, Exit, Found, FoundSpace, Input, Machine,
    TrashFound, UsedSpace, VolumePlan,
};

pub(crate) const DB_VOLUME: &str = "db-data";

pub(crate) struct Counter(u128);

impl IdSource for Counter {
    fn fresh(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

pub(crate) fn cluster(number: u128) -> ClusterId {
    ClusterId(Uuid::from_u128(0xc0_0000 + number))
}

pub(crate) fn framework_id() -> FrameworkId {
    FrameworkId::made("f1".to_owned())
}

pub(crate) fn role() -> Role {
    Role::parse("db").unwrap()
}

/// A volume as the drivers of this bed know it: by its claim alone.
pub(crate) fn labelled(id: ClaimId) -> LabelledVolume {
    let (persistence, role) = (DB_VOLUME.to_owned(), role().to_string());
    LabelledVolume {
        id,
        persistence,
        role,
        size_mb: 60,
        principal: None,
        generation: 1,
        shared: false,
    }
}

pub(crate) fn task_key(id: &str) -> TaskKey {
    (framework_id(), TaskId::made(id.to_owned()))
}

pub(crate) fn framework() -> FrameworkInfo {
    FrameworkInfo {
        id: Some(framework_id()),
        name: "journal".to_owned(),
        user: "nobody".to_owned(),
        roles: vec![role()],
        failover_timeout_ms: 60_000,
        checkpoint: true,
        principal: None,
        hostname: None,
        capabilities: BTreeSet::new(),
        payload: Default::default(),
        constraints: Default::default(),
    }
}

pub(crate) fn reservation() -> Reservation {
    Reservation {
        kind: ReservationKind::Dynamic,
        role: role(),
        principal: None,
        labels: holdfast_model::Labels::default(),
    }
}

pub(crate) fn amount(name: &str, count: i64) -> Resource {
    Resource::scalar(name, Scalar::whole(count))
}

pub(crate) fn reserved_disk(mb: i64) -> Resource {
    amount("disk", mb).on(Source::path("/d1")).reserved(reservation())
}

pub(crate) fn volume_named(id: &str, mb: i64) -> Resource {
    reserved_disk(mb).volume(PersistenceId::parse(id).unwrap(), "data", None)
}

pub(crate) fn command() -> CommandInfo {
    CommandInfo { shell: true, value: Some("true".to_owned()), ..CommandInfo::default() }
}

pub(crate) fn custom_executor(id: &str) -> ExecutorInfo {
    ExecutorInfo {
        id: ExecutorId::made(id.to_owned()),
        kind: None,
        framework: Some(framework_id()),
        resources: vec![amount("cpus", 1), amount("mem", 32), amount("disk", 1)],
        command: Some(command()),
        shutdown_grace_ms: None,
        payload: Default::default(),
    }
}

pub(crate) fn group_executor(id: &str) -> ExecutorInfo {
    ExecutorInfo { kind: Some(ExecutorKind::Default), command: None, ..custom_executor(id) }
}

pub(crate) fn task(id: &str, volumes: &[Resource]) -> TaskInfo {
    let mut resources = vec![amount("cpus", 1), amount("mem", 32)];
    resources.extend(volumes.iter().cloned());
    TaskInfo {
        id: TaskId::made(id.to_owned()),
        name: id.to_owned(),
        agent: AgentId::made("a1".to_owned()),
        resources,
        executor: None,
        command: Some(command()),
        kill_grace_ms: None,
        payload: Default::default(),
    }
}

fn disk(number: u128, kind: DiskKind, root: &str) -> DiskFound {
    DiskFound {
        disk: DiskRecord {
            id: DiskId(Uuid::from_u128(0xd15c_0000 + number)),
            kind,
            root: root.to_owned(),
            size_mb: 1000,
        },
        fault: None,
        space: None,
        added: None,
    }
}

fn machine() -> Machine {
    let resources = [
        amount("cpus", 16),
        amount("mem", 4096),
        amount("disk", 1000),
        amount("disk", 1000).on(Source::path("/d1")),
        amount("disk", 1000).on(Source::mount("/d2")),
    ];
    Machine {
        info: MachineInfo {
            hostname: "host1".to_owned(),
            port: 5051,
            resources: resources.iter().collect(),
            payload: Default::default(),
        },
        disks: vec![
            disk(0, DiskKind::Root, "/var/lib/holdfast"),
            disk(1, DiskKind::Path, "/d1"),
            disk(2, DiskKind::Mount, "/d2"),
        ],
    }
}

/// A container, and the executor in it.
#[derive(Clone, Debug)]
pub(crate) struct Contained {
    pub(crate) plan: ContainerPlan,
    pub(crate) exited: Option<Exit>,
    pub(crate) link: Option<LinkId>,
    tasks: BTreeSet<TaskId>,
    updates: Vec<TaskStatus>,
}

/// See the file.
pub(crate) struct Bed {
    pub(crate) agent: Agent,
    pub(crate) now: u64,
    pub(crate) ids: Counter,
    pub(crate) machine: Machine,
    /// All effects so far.
    pub(crate) seen: Vec<Effect>,
    /// What a crash leaves of the ledger.
    pub(crate) durable: AgentLedger,
    /// Answers on their way to the agent.
    pub(crate) answers: VecDeque<Input>,
    pub(crate) containers: BTreeMap<ContainerId, Contained>,
    pub(crate) volumes: BTreeSet<ClaimId>,
    pub(crate) trash: BTreeSet<ClaimId>,
    /// What was removed from the trash.
    pub(crate) purged: BTreeSet<ClaimId>,
    /// What was made before anybody had it.
    pub(crate) made_for_nobody: BTreeSet<ClaimId>,
    /// Whether the master acknowledges what it hears.
    pub(crate) acknowledges: bool,
    pub(crate) term: u64,
    /// How often MakeVolume and TrashVolume fail from now on.
    pub(crate) failures: u32,
    /// How often showing a volume in a running container fails from now on.
    pub(crate) mount_failures: u32,
    /// Whether executors end when they are asked to.
    pub(crate) obedient: bool,
    /// After how many effects the agent crashes.
    pub(crate) crash_in: Option<usize>,
    pub(crate) crashes: u32,
    pub(crate) runs: BTreeMap<TaskKey, u32>,
    pub(crate) statuses: Vec<TaskStatus>,
    pub(crate) operations: Vec<OperationUpdate>,
    master: Option<LinkId>,
    next_link: u64,
    written: BTreeSet<StatusUuid>,
}

impl Bed {
    /// A new agent that was never started.
    pub(crate) fn fresh() -> Bed {
        let ledger = AgentLedger::new(NodeId(Uuid::from_u128(1)));
        Bed {
            agent: Agent::recover(Config::default(), ledger.clone()),
            now: 1_000_000,
            ids: Counter(1000),
            machine: machine(),
            seen: Vec::new(),
            durable: ledger,
            answers: VecDeque::new(),
            containers: BTreeMap::new(),
            volumes: BTreeSet::new(),
            trash: BTreeSet::new(),
            purged: BTreeSet::new(),
            made_for_nobody: BTreeSet::new(),
            acknowledges: false,
            term: 5,
            failures: 0,
            mount_failures: 0,
            obedient: true,
            crash_in: None,
            crashes: 0,
            runs: BTreeMap::new(),
            statuses: Vec::new(),
            operations: Vec::new(),
            master: None,
            next_link: 1,
            written: BTreeSet::new(),
        }
    }

    /// One that has its cluster, its disks and a link to a master.
    pub(crate) fn registered() -> Bed {
        let mut bed = Bed::fresh();
        bed.start();
        bed.link(1);
        bed.welcome();
        bed.settle();
        bed
    }

    pub(crate) fn welcome(&mut self) {
        self.order(Order::Registered(AgentId::made("a1".to_owned()), cluster(1)));
    }

    /// Its ledger is gone, and its disks have told whose they are.
    pub(crate) fn forget_all_but(&mut self, cluster: ClusterId) {
        let mut ledger = AgentLedger::new(NodeId(Uuid::from_u128(0x105e)));
        ledger.identity.cluster = Some(cluster);
        self.durable = ledger.clone();
        self.agent = Agent::recover(Config::default(), ledger);
    }

    /// It starts with another ledger.
    pub(crate) fn start_with(&mut self, ledger: AgentLedger) {
        self.durable = ledger.clone();
        self.agent = Agent::recover(Config::default(), ledger);
        self.answers.clear();
        self.master = None;
        self.start();
    }

    pub(crate) fn start(&mut self) {
        let found = self
            .containers
            .iter()
            .map(|(id, it)| (*id, it.exited.clone().map_or(Found::Running, Found::Exited)))
            .collect();
        self.input(Input::Started(found));
    }

    pub(crate) fn link(&mut self, number: u64) {
        self.master = Some(LinkId(number));
        self.next_link = self.next_link.max(number + 1);
        self.input(Input::MasterLinked(LinkId(number)));
    }

    pub(crate) fn relink(&mut self) {
        let number = self.next_link;
        self.link(number);
        self.welcome();
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.order_in(self.term, order);
    }

    pub(crate) fn order_in(&mut self, term: u64, order: Order) {
        let Some(link) = self.master else { return };
        self.input(Input::FromMaster(link, ToAgent { term: Term(term), order }));
    }

    /// One step of the agent, its effects carried out in order.
    pub(crate) fn input(&mut self, input: Input) {
        let effects = self
            .agent
            .handle(&mut StepContext { now: Instant(self.now), ids: &mut self.ids }, input);
        for effect in effects {
            if self.crash_in == Some(0) {
                self.crash_in = None;
                return self.crash();
            }
            self.crash_in = self.crash_in.map(|it| it - 1);
            self.seen.push(effect.clone());
            self.carry_out(effect);
        }
        assert_eq!(
            self.durable,
            *self.agent.ledger(),
            "memory and disk are folds of the same changes"
        );
    }

    /// The agent dies and comes back; containers and volumes are as they were, all links are broken.
    pub(crate) fn crash(&mut self) {
        self.crashes += 1;
        self.answers.clear();
        self.master = None;
        self.containers.values_mut().for_each(|it| it.link = None);
        self.agent = Agent::recover(Config::default(), self.durable.clone());
        self.start();
        if self.master.is_none() {
            self.relink();
            let running: Vec<ContainerId> = self
                .containers
                .iter()
                .filter(|(_, it)| it.exited.is_none())
                .map(|(id, _)| *id)
                .collect();
            running.into_iter().for_each(|container| self.subscribe(container));
        }
    }

    /// Answers are heard until there are none.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.answers.is_empty() {
                return;
            }
            self.answer();
        }
        panic!("the agent and its drivers keep each other busy");
    }

    pub(crate) fn answer(&mut self) {
        match self.answers.pop_front() {
            Some(Input::Opened(_)) => self.input(Input::Opened(self.machine.clone())), // As it is now.
            Some(answer) => self.input(answer),
            None => {}
        }
    }

    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.now += ms;
        if self.agent.next_deadline().is_some_and(|it| it.0 <= self.now) {
            self.input(Input::Tick);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Commit { changes, .. } => {
                for change in &changes {
                    self.durable.apply(change);
                    if let holdfast_model::AgentChange::Task(task) = change {
                        self.written.extend(task.updates.iter().filter_map(|it| it.uuid));
                    }
                }
            }
            Effect::ToMaster(link, message) if self.master == Some(link) => {
                self.master_hears(message)
            }
            Effect::CloseMaster(link) if self.master == Some(link) => self.master = None,
            Effect::ToExecutor(link, event) => self.executor_hears(link, event),
            Effect::CloseExecutor(link) => {
                self.containers
                    .values_mut()
                    .filter(|it| it.link == Some(link))
                    .for_each(|it| it.link = None);
            }
            Effect::OpenDisks(..) | Effect::SurveyDisks(_) => self.open_disks(),
            Effect::MakeVolume(label) => {
                if !self.agent.ledger().claims.contains_key(&label.claim) {
                    self.made_for_nobody.insert(label.claim);
                }
                let made = self.try_work(|bed| {
                    bed.volumes.insert(label.claim);
                });
                self.answers.push_back(Input::VolumeMade(label.claim, made));
            }
            Effect::CheckVolume(label) => {
                let whole = if self.volumes.contains(&label.claim) {
                    Ok(())
                } else {
                    Err("its directory is missing".to_owned())
                };
                self.answers.push_back(Input::VolumeChecked(label.claim, whole));
            }
            Effect::AdoptVolume(label, adopted) => self.adopt_volume(&label, &adopted),
            effect @ (Effect::TrashVolume(_)
            | Effect::RestoreVolume(_)
            | Effect::PurgeTrash(..)) => self.work_on_trash(effect),
            Effect::StartContainer(plan) => self.start_container(*plan),
            Effect::UpdateContainer(plan) => self.update_container(*plan),
            Effect::DestroyContainer(container) => self.exit(container, 137),
            Effect::ForgetContainer(container) => {
                let running = self.containers.get(&container).is_some_and(|it| it.exited.is_none());
                assert!(!running, "what runs is not forgotten");
                self.containers.remove(&container);
            }
            Effect::ResizeVolume(label) => {
                let claim = self.durable.claims.get(&label.claim);
                assert_eq!(
                    claim.and_then(crate::bookkeeping::records::label).as_ref(),
                    Some(&label),
                    "what a volume is held to is what is written down"
                );
            }
            Effect::ToMaster(..) | Effect::CloseMaster(_) | Effect::Log(_) => {}
        }
    }

    /// Says what there is, and what lies in the trash of the disk with the volumes.
    fn open_disks(&mut self) {
        self.answers.push_back(Input::Opened(self.machine.clone()));
        let found = TrashFound {
            images: Vec::new(),
            trashed: self.trash.iter().copied().collect(),
            volumes: self.volumes.iter().map(|it| labelled(*it)).collect(),
        };
        let disk = &self.machine.disks[1];
        if disk.fault.is_none() || self.agent.ledger().identity.agent.is_none() {
            self.answers.push_back(Input::TrashFound(disk.disk.id, found));
        }
    }

    /// It has 20 MB.
    fn adopt_volume(&mut self, label: &crate::VolumeLabel, adopted: &crate::Adopted) {
        let id = label.claim;
        if adopted.directory.as_deref() == Some("/data/old") && self.failures == 0 {
            self.volumes.insert(id);
        }
        let is_there = self.volumes.contains(&id) && adopted.own_mb <= 20;
        let outcome = self.try_work(|_| {});
        let gone = Err("it is not there, or not so large".to_owned());
        self.answers.push_back(Input::VolumeMade(id, if is_there { outcome } else { gone }));
    }

    fn work_on_trash(&mut self, effect: Effect) {
        match effect {
            Effect::TrashVolume(label) => {
                self.assert_unused(label.claim, None);
                let trashed = self.try_work(|bed| {
                    bed.volumes.remove(&label.claim);
                    bed.trash.insert(label.claim);
                });
                self.answers.push_back(Input::VolumeTrashed(label.claim, trashed));
            }
            Effect::RestoreVolume(label) => {
                let mut there = true;
                let restored = self.try_work(|bed| {
                    there = bed.trash.remove(&label.claim) || bed.volumes.contains(&label.claim);
                    if there {
                        bed.volumes.insert(label.claim);
                    }
                });
                let gone = Err("it is not in the trash".to_owned());
                let restored = if there { restored } else { gone };
                self.answers.push_back(Input::VolumeMade(label.claim, restored));
            }
            Effect::PurgeTrash(_, claim) => {
                assert!(!self.durable.claims.contains_key(&claim), "it is being brought back");
                let record = self.durable.trash.get(&claim);
                assert!(record.is_none_or(|it| it.purging), "that it goes is not written down");
                self.trash.remove(&claim);
                self.purged.insert(claim);
                self.answers.push_back(Input::TrashPurged(claim));
            }
            other => unreachable!("{other:?} is no work on the trash"),
        }
    }

    fn try_work(&mut self, work: impl FnOnce(&mut Bed)) -> Result<(), String> {
        if 0 < self.failures {
            self.failures -= 1;
            return Err("no space left".to_owned());
        }
        work(self);
        Ok(())
    }

    /// No volume that is not shared is seen by two containers that run.
    fn assert_own(&self, claim: ClaimId, except: Option<ContainerId>) {
        let claims = &self.durable.claims;
        if !claims.get(&claim).is_some_and(|it| it.resource.identity.shared) {
            self.assert_unused(claim, except);
        }
    }

    /// Nothing that runs sees a volume.
    fn assert_unused(&self, claim: ClaimId, except: Option<ContainerId>) {
        let users =
            self.containers.iter().filter(|(id, it)| Some(**id) != except && it.exited.is_none());
        let users: Vec<_> = users
            .filter(|(_, it)| it.plan.volumes.iter().any(|it| it.label.claim == claim))
            .map(|(id, _)| id)
            .collect();
        assert!(users.is_empty(), "volume {claim} is still used by {users:?}");
    }

    fn start_container(&mut self, plan: ContainerPlan) {
        let container = plan.container;
        if self.containers.contains_key(&container) {
            return self.answers.push_back(Input::ContainerStarted(container, Ok(())));
        }
        for volume in &plan.volumes {
            self.assert_own(volume.label.claim, None);
            if !self.volumes.contains(&volume.label.claim) {
                let why = "a volume's directory is missing".to_owned();
                self.answers.push_back(Input::VolumeChecked(volume.label.claim, Err(why.clone())));
                return self.answers.push_back(Input::ContainerStarted(container, Err(why)));
            }
        }
        let contained = Contained {
            plan,
            exited: None,
            link: None,
            tasks: BTreeSet::new(),
            updates: Vec::new(),
        };
        self.containers.insert(container, contained);
        self.answers.push_back(Input::ContainerStarted(container, Ok(())));
        self.subscribe(container);
    }

    fn update_container(&mut self, plan: ContainerPlan) {
        let (container, mut shown) = (plan.container, Vec::new());
        for volume in &plan.volumes {
            self.assert_own(volume.label.claim, Some(container));
            shown.push((volume.label.claim, self.show(container, volume)));
        }
        if let Some(contained) = self.containers.get_mut(&container) {
            contained.plan = ContainerPlan { volumes: contained.plan.volumes.clone(), ..plan };
        }
        self.answers.push_back(Input::ContainerUpdated(container, shown));
    }

    /// A container goes on seeing what it saw, whatever becomes of it.
    fn show(&mut self, container: ContainerId, volume: &VolumePlan) -> Result<(), String> {
        if 0 < self.mount_failures {
            self.mount_failures -= 1;
            return Err("no space for mounts".to_owned());
        }
        if !self.volumes.contains(&volume.label.claim) {
            let why = "a volume's directory is missing".to_owned();
            self.answers.push_back(Input::VolumeChecked(volume.label.claim, Err(why.clone())));
            return Err(why);
        }
        let contained = self
            .containers
            .get_mut(&container)
            .filter(|it| it.exited.is_none())
            .ok_or("the container does not run")?;
        if !contained.plan.volumes.contains(volume) {
            contained.plan.volumes.push(volume.clone());
        }
        Ok(())
    }

    /// The container ends.
    pub(crate) fn exit(&mut self, container: ContainerId, status: i32) {
        let exit = Exit { status, out_of_memory: false, message: "ended".to_owned() };
        if let Some(contained) = self.containers.get_mut(&container) {
            let exit = contained.exited.get_or_insert(exit).clone();
            let link = contained.link.take();
            self.answers.extend(link.map(Input::ExecutorLost));
            self.answers.push_back(Input::ContainerExited(container, exit));
        } else {
            self.answers.push_back(Input::ContainerExited(container, exit));
        }
    }

    /// Its executor subscribes.
    pub(crate) fn subscribe(&mut self, container: ContainerId) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let Some(contained) = self.containers.get_mut(&container).filter(|it| it.exited.is_none())
        else {
            return;
        };
        contained.link = Some(link);
        let call = ExecutorCall::Subscribe {
            tasks: contained.tasks.iter().cloned().collect(),
            updates: contained.updates.clone(),
        };
        let (framework, executor) =
            (contained.plan.framework.clone(), contained.plan.executor.clone());
        self.answers.push_back(Input::FromExecutor(link, framework, executor, call));
    }

    fn executor_hears(&mut self, link: LinkId, event: ExecutorEvent) {
        let Some((container, contained)) =
            self.containers.iter_mut().find(|(_, it)| it.link == Some(link))
        else {
            return;
        };
        let container = *container;
        match event {
            ExecutorEvent::Launch(info) => self.run(container, &info),
            ExecutorEvent::LaunchGroup(tasks) => {
                tasks.iter().for_each(|it| self.run(container, it))
            }
            ExecutorEvent::Kill(task, _) if self.obedient => {
                self.moved(container, &task, TaskState::Killed)
            }
            ExecutorEvent::Acknowledged(task, uuid) => {
                if contained.updates.iter().any(|it| it.uuid == Some(uuid))
                    && self
                        .durable
                        .tasks
                        .contains_key(&(contained.plan.framework.clone(), task.clone()))
                {
                    let late = self.durable.tasks
                        [&(contained.plan.framework.clone(), task.clone())]
                        .state
                        .is_terminal();
                    assert!(
                        late || self.written.contains(&uuid),
                        "acknowledged before it was written down"
                    );
                }
                contained.updates.retain(|it| it.uuid != Some(uuid));
                contained.tasks.remove(&task);
            }
            ExecutorEvent::Shutdown if self.obedient => self.exit(container, 0),
            _ => {}
        }
    }

    fn run(&mut self, container: ContainerId, info: &TaskInfo) {
        let (task, plan) = (&info.id, &self.containers[&container].plan);
        for name in info.resources.iter().filter_map(|it| it.identity.persistence.as_ref()) {
            assert!(
                plan.volumes.iter().any(|it| it.label.persistence == name.as_str()),
                "task {task} was given before its volume {name}"
            );
        }
        let framework = plan.framework.clone();
        let runs = self.runs.entry((framework, task.clone())).or_default();
        *runs += 1;
        assert_eq!(*runs, 1, "task {task} ran twice");
        if let Some(it) = self.containers.get_mut(&container) {
            it.tasks.insert(task.clone());
        }
        self.moved(container, task, TaskState::Running);
    }

    /// An executor reports a state.
    pub(crate) fn moved(&mut self, container: ContainerId, task: &TaskId, state: TaskState) {
        let mut status = TaskStatus::new(task.clone(), state, Instant(self.now));
        status.uuid = Some(StatusUuid(self.ids.fresh()));
        let Some(contained) = self.containers.get_mut(&container) else { return };
        contained.updates.push(status.clone());
        let key = (contained.plan.framework.clone(), contained.plan.executor.clone());
        self.answers.extend(
            contained
                .link
                .map(|link| Input::FromExecutor(link, key.0, key.1, ExecutorCall::Update(status))),
        );
    }

    fn master_hears(&mut self, message: ToMaster) {
        let Some(link) = self.master else { return };
        let mut reply = |order| {
            self.answers
                .push_back(Input::FromMaster(link, ToAgent { term: Term(self.term), order }))
        };
        match message {
            ToMaster::TaskUpdate { framework, status, .. } => {
                if let Some(uuid) = status.uuid {
                    assert!(
                        self.written.contains(&uuid),
                        "told before it was written down: {status:?}"
                    );
                    if self.acknowledges {
                        reply(Order::AcknowledgeTask(framework, status.task.clone(), uuid));
                    }
                }
                self.statuses.push(status);
            }
            ToMaster::OperationUpdate(update) => {
                let written = self.durable.operations.get(&update.uuid).and_then(|it| it.status);
                assert_eq!(written, Some(update.status), "told before it was written down");
                if self.acknowledges {
                    reply(Order::AcknowledgeOperation(update.uuid, update.status));
                }
                self.operations.push(update);
            }
            _ => {}
        }
    }

    // ---- What tests ask for.

    /// When anything is due beside the next look at the disks.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.agent.next_deadline_beside_disks()
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        let report = |it: &Effect| match it {
            Effect::ToMaster(_, ToMaster::Report(report)) => Some((**report).clone()),
            _ => None,
        };
        self.seen.iter().filter_map(report).collect()
    }

    pub(crate) fn apply(&mut self, actions: Vec<Action>) -> Vec<OperationUuid> {
        let named = |action| {
            let uuid = OperationUuid(self.ids.fresh());
            NamedOperation { uuid, operation: Operation { id: Some(uuid.to_string()), action } }
        };
        let operations: Vec<NamedOperation> = actions.into_iter().map(named).collect();
        let uuids = operations.iter().map(|it| it.uuid).collect();
        self.order(Order::Apply {
            framework: Some(Box::new(framework())),
            role: Some(role()),
            by: "tester".to_owned(),
            operations,
            ownership: Some(Ownership::default()),
        });
        uuids
    }

    /// Has these done together; they are of an operator, who may insist.
    pub(crate) fn apply_together(&mut self, actions: Vec<Action>, insists: bool) -> OperationUuid {
        let steps = actions.into_iter().map(|it| match it {
            Action::Claim(action) => action,
            other => panic!("{other:?} is no change of claims"),
        });
        let together = Together {
            by: "tester".to_owned(),
            steps: steps.collect(),
            expected: Expected::default(),
            filling: None,
        };
        let uuid = OperationUuid(self.ids.fresh());
        let ownership = Some(Ownership { anybody: insists, ..Ownership::default() });
        self.order(Order::ApplyTogether { uuid, together, ownership });
        uuid
    }

    pub(crate) fn reserve(resource: Resource) -> Action {
        Action::Claim(ClaimAction::Reserve {
            resources: vec![resource.allocated_to(&role())],
            source: Vec::new(),
        })
    }

    pub(crate) fn create(volumes: &[Resource]) -> Action {
        Action::Claim(ClaimAction::Create(volumes.to_vec()))
    }

    pub(crate) fn grow(volume: Resource, mb: i64) -> Action {
        let more = holdfast_model::Value::Scalar(holdfast_model::Scalar::whole(mb));
        let addition = Resource { value: more, ..volume.without_volume() };
        Action::Claim(ClaimAction::Grow { volume, addition })
    }

    pub(crate) fn shrink(volume: Resource, mb: i64) -> Action {
        let subtract = holdfast_model::Scalar::whole(mb);
        Action::Claim(ClaimAction::Shrink { volume, subtract })
    }

    pub(crate) fn destroy(volumes: &[Resource]) -> Action {
        Action::Claim(ClaimAction::Destroy(volumes.to_vec()))
    }

    /// An operator wants a destroyed volume back.
    pub(crate) fn undelete(&mut self, claim: ClaimId) -> OperationUuid {
        let uuid = OperationUuid(self.ids.fresh());
        self.order(Order::Undelete { uuid, claim, by: "ops".to_owned() });
        uuid
    }

    /// Why an operation failed.
    pub(crate) fn why(&self, uuid: OperationUuid) -> String {
        let update = self.operations.iter().rfind(|it| it.uuid == uuid);
        update.and_then(|it| it.message.clone()).unwrap_or_default()
    }

    /// The volumes of /d1 were measured: so many MB each.
    pub(crate) fn measured(&mut self, limit: VolumeLimit, volumes: &[(ClaimId, u64)]) {
        let volumes = volumes.iter().map(|(id, mb)| (*id, mb << 20)).collect();
        let used = UsedSpace { free_mb: 900, at: Instant(self.now), volumes: Arc::new(volumes) };
        self.machine.disks[1].space = Some(FoundSpace {
            file_system: "8:1".to_owned(),
            total_mb: 1_000,
            free_mb: 900,
            trash_mb: 0,
            reserve_mb: 0,
            limit,
            used: Some(used),
        });
        self.input(Input::Opened(self.machine.clone()));
    }

    /// 100 MB of `/d1` reserved, 60 MB of them a volume.
    pub(crate) fn reserve_and_create(&mut self) {
        self.apply(vec![Bed::reserve(reserved_disk(100)), Bed::create(&[self.volume()])]);
        self.settle();
        assert_eq!(self.claim(DB_VOLUME).state, holdfast_model::ClaimState::Ready);
    }

    pub(crate) fn volume(&self) -> Resource {
        volume_named(DB_VOLUME, 60)
    }

    pub(crate) fn launch_command(&mut self, id: &str, volumes: &[Resource]) {
        self.apply(vec![Action::Launch(vec![task(id, volumes)])]);
    }

    pub(crate) fn find_claim(&self, volume: &str) -> Option<Claim> {
        let named = |it: &&Claim| {
            it.resource.identity.persistence.as_ref().is_some_and(|it| it.as_str() == volume)
        };
        self.agent.ledger().claims.values().find(named).cloned()
    }

    pub(crate) fn claim(&self, volume: &str) -> Claim {
        self.find_claim(volume).expect("the volume has a claim")
    }

    pub(crate) fn task_state(&self, id: &str) -> Option<TaskState> {
        self.agent.ledger().tasks.get(&task_key(id)).map(|it| it.state)
    }

    pub(crate) fn last_status(&self, id: &str) -> TaskStatus {
        let record = &self.agent.ledger().tasks[&task_key(id)];
        record.latest.clone().expect("the task has a status")
    }

    pub(crate) fn container_of(&self, executor: &str) -> ContainerId {
        let key: ExecutorKey = (framework_id(), ExecutorId::made(executor.to_owned()));
        self.agent.ledger().executors[&key].container
    }

    pub(crate) fn outcome(&self, uuid: OperationUuid) -> Option<OperationState> {
        self.operations.iter().rfind(|it| it.uuid == uuid).map(|it| it.state)
    }

    pub(crate) fn states_told(&self, id: &str) -> Vec<TaskState> {
        self.statuses.iter().filter(|it| it.task.as_str() == id).map(|it| it.state).collect()
    }
}
