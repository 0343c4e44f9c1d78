//! An agent in small, for tests: it obeys, counts orders, keeps claims by the law of the model, and says what it has.
//!
//! Relies on `holdfast_model` for what operations do. Never does more than it was told: destroyed volumes reach the trash when a test says
//! so, and tasks move when a test moves them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_model::claim::{changes, fit, give_back, taken, Making};
use holdfast_model::{
    Action, AgentId, AgentRecovery, Claim, ClaimAction, ClaimId, ClaimState, ClusterId, DiskId,
    DiskReport, ExecutorId, ExecutorInfo, ExecutorKey, ExecutorRecord, Filling, FrameworkId,
    FrameworkInfo, IdSource, Identity, Instant, LabelledVolume, LedgerPoint, LinkId, MachineInfo,
    NamedOperation, NodeId, OpaquePayload, Operation, OperationRecord, OperationState,
    OperationUpdate, OperationUuid, Order, Ownership, Reason, Report, Resource, Resources, Role,
    StatusSource, StatusUuid, TaskInfo, TaskKey, TaskRecord, TaskState, TaskStatus, Term, ToAgent,
    ToMaster, Together, TrashNews, TrashedVolume,
};
use uuid::Uuid;

use super::bed::Counter;

pub(crate) struct Machine {
    pub(crate) link: Option<LinkId>,
    pub(crate) inbox: VecDeque<ToAgent>,
    pub(crate) outbox: VecDeque<ToMaster>,
    pub(crate) orders_seen: u64,
    pub(crate) refused: Option<String>,
    pub(crate) node: NodeId,
    pub(crate) agent: Option<AgentId>,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) term: Term,
    pub(crate) version: u64,
    pub(crate) hostname: String,
    pub(crate) payload: OpaquePayload,
    pub(crate) configured: Resources,
    pub(crate) claims: BTreeMap<ClaimId, Claim>,
    pub(crate) faults: BTreeMap<ClaimId, String>,
    pub(crate) disks: Vec<DiskReport>,
    pub(crate) frameworks: BTreeMap<FrameworkId, FrameworkInfo>,
    pub(crate) executors: BTreeMap<ExecutorKey, ExecutorRecord>,
    pub(crate) tasks: BTreeMap<TaskKey, TaskRecord>,
    pub(crate) operations: BTreeMap<OperationUuid, OperationRecord>,
    /// Destroyed volumes.
    pub(crate) trash: BTreeMap<ClaimId, TrashedVolume>,
    /// Fails the next operation.
    pub(crate) fails: bool,
    /// The newest kind of order that it knows; others it passes over.
    pub(crate) newest: u32,
    /// Does not speak with such a master.
    pub(crate) hangs_up: bool,
    /// Every order obeyed, for tests to look at.
    pub(crate) obeyed: Vec<Order>,
    /// The checksums of the versions that it has reported, and what makes those to come other than another ledger's.
    pub(crate) points: BTreeMap<u64, u64>,
    pub(crate) branch: u64,
    reported_pending: BTreeSet<OperationUuid>,
    ids: Counter,
}

impl Machine {
    pub(crate) fn new(number: u128, base: Resources) -> Machine {
        Machine {
            link: None,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            orders_seen: 0,
            refused: None,
            node: NodeId(Uuid::from_u128(0xa0_0000 + number)),
            agent: None,
            cluster: None,
            term: Term(0),
            version: 1,
            hostname: format!("host{number}"),
            payload: OpaquePayload::default(),
            configured: base,
            claims: BTreeMap::new(),
            faults: BTreeMap::new(),
            disks: Vec::new(),
            frameworks: BTreeMap::new(),
            executors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            operations: BTreeMap::new(),
            trash: BTreeMap::new(),
            fails: false,
            newest: u32::MAX,
            hangs_up: false,
            obeyed: Vec::new(),
            points: BTreeMap::new(),
            branch: 0,
            reported_pending: BTreeSet::new(),
            ids: Counter(number << 64),
        }
    }

    pub(crate) fn total(&self) -> Resources {
        fit(&self.opened(), &self.claims).0
    }

    fn opened(&self) -> Resources {
        if self.cluster.is_some() {
            self.configured.clone()
        } else {
            Resources::new()
        }
    }

    pub(crate) fn report(&self) -> Report {
        Report {
            node: self.node,
            agent: self.agent.clone(),
            cluster: self.cluster,
            ledger_version: self.version,
            orders_seen: self.orders_seen,
            machine: MachineInfo {
                hostname: self.hostname.clone(),
                port: 5051,
                resources: self.opened(),
                payload: self.payload.clone(),
            },
            disks: self.disks.clone(),
            claims: self.claims.values().cloned().collect(),
            faults: self.faults.iter().map(|(id, why)| (*id, why.clone())).collect(),
            frameworks: self.frameworks.values().cloned().collect(),
            executors: self.executors.values().cloned().collect(),
            tasks: self
                .tasks
                .values()
                .filter(|it| !it.state.is_terminal() || !it.updates.is_empty())
                .cloned()
                .collect(),
            operations: self.operations.values().cloned().collect(),
            version: "test".to_owned(),
            full: None,
            claims_generation: self.claims_generation(),
            history: self.history(),
            term: self.term,
        }
    }

    fn history(&self) -> Vec<LedgerPoint> {
        let point = |(&version, &checksum)| LedgerPoint { version, checksum };
        let now = LedgerPoint { version: self.version, checksum: self.checksum() };
        self.points.range(..self.version).map(point).chain([now]).collect()
    }

    fn checksum(&self) -> u64 {
        *self.points.get(&self.version).unwrap_or(&(self.version * 1_000 + self.branch))
    }

    /// Says everything.
    pub(crate) fn introduce(&mut self) {
        let report = self.report();
        self.points.insert(self.version, self.checksum());
        let pending = report.operations.iter().filter(|it| it.state == OperationState::Pending);
        self.reported_pending = pending.map(|it| it.uuid).collect();
        self.outbox.push_back(ToMaster::Report(Box::new(report)));
    }

    pub(crate) fn connect(&mut self, link: LinkId) {
        (self.link, self.orders_seen, self.refused) = (Some(link), 0, None);
        self.inbox.clear();
        self.outbox.clear();
        self.introduce();
    }

    /// Its ledger is gone, and its disks tell whose they are.
    pub(crate) fn lose_ledger(&mut self, node: u128) -> Vec<Claim> {
        let labelled = |it: &Claim| LabelledVolume {
            id: it.id,
            persistence: it.resource.identity.persistence.as_ref().unwrap().to_string(),
            role: it.resource.identity.role().to_string(),
            size_mb: 10,
            principal: None,
            generation: 1,
            shared: it.resource.identity.shared,
        };
        for disk in &mut self.disks {
            let on_it = self.claims.values().filter(|it| it.disk == Some(disk.disk.id));
            disk.orphans = on_it.map(labelled).collect();
        }
        (self.node, self.agent, self.version) = (NodeId(Uuid::from_u128(node)), None, 3);
        std::mem::take(&mut self.claims).into_values().collect()
    }

    /// It has what the master gives back, and introduces itself anew when it is linked again.
    fn recover(&mut self, recovery: AgentRecovery, by: &str) {
        assert_eq!(self.node, recovery.node);
        let now = Instant(77);
        let claims = recovery.claims.iter().map(|it| (it.id, it.recovered(now, by)));
        self.claims = claims.collect();
        self.disks.iter_mut().for_each(|it| it.orphans.clear());
        (self.node, self.agent) = (recovery.lineage, Some(recovery.agent));
        self.version = self.version.max(recovery.ledger_version + 1);
        self.hangs_up = true;
    }

    pub(crate) fn disconnect(&mut self) -> Option<LinkId> {
        self.inbox.clear();
        self.outbox.clear();
        self.link.take()
    }

    pub(crate) fn obey(&mut self, message: ToAgent) {
        if !matches!(message.order, Order::Ping { .. }) {
            self.orders_seen += 1;
        }
        assert!(self.term <= message.term, "only the newest leader of this bed speaks");
        self.term = message.term;
        self.obeyed.push(message.order.clone());
        match message.order {
            Order::Registered(agent, cluster) => self.registered(agent, cluster),
            Order::Refused(why) => self.refused = Some(why),
            Order::Apply { framework, role, by, operations, ownership } => {
                for operation in operations {
                    self.apply(
                        framework.as_deref(),
                        role.clone().unwrap_or_else(Role::any),
                        (&by, ownership.as_ref()),
                        operation,
                    );
                }
            }
            Order::Undelete { uuid, claim, by } => {
                let volume = self.trash[&claim].claim.resource.clone();
                let action = Action::Claim(ClaimAction::Create(vec![volume]));
                let operation = NamedOperation { uuid, operation: Operation { id: None, action } };
                self.apply(None, Role::any(), (&by, None), operation);
                self.trash.remove(&claim);
                self.tell_trash();
            }
            Order::PurgeTrash { claim, .. } => {
                self.trash.remove(&claim);
                self.tell_trash();
            }
            Order::GiveUp { uuid, claim, .. } => self.give_up(uuid, claim),
            Order::ApplyTogether { uuid, together, ownership } => {
                self.apply_together(uuid, together, ownership.as_ref())
            }
            Order::AdoptVolume { uuid, together, ownership } => {
                self.adopt_volume(uuid, together, ownership.as_ref())
            }
            // Tests answer them.
            Order::RemoveOrphan { .. }
            | Order::AdoptDirectory { .. }
            | Order::AddDisk { .. }
            | Order::AdoptDisk { .. }
            | Order::LeaveDisk { .. }
            | Order::TakeDisk { .. }
            | Order::CancelTake { .. }
            | Order::RemoveDisk { .. } => {}

            Order::ShutDown { .. } => {
                let frameworks: Vec<_> = self.frameworks.keys().cloned().collect();
                frameworks.iter().for_each(|it| self.shut_down(it));
            }
            Order::Recover { recovery, by, .. } => self.recover(*recovery, &by),
            Order::Kill { framework, task, .. } => self.kill((framework, task)),
            Order::ShutdownExecutor(framework, executor) => {
                self.executor_ends(&framework, &executor)
            }
            Order::ShutdownFramework(framework) => self.shut_down(&framework),
            Order::AcknowledgeTask(framework, task, status) => {
                self.acknowledged((framework, task), status)
            }
            Order::AcknowledgeOperation(operation, status) => {
                if self.operations.get(&operation).is_some_and(|it| it.status == Some(status)) {
                    self.operations.remove(&operation);
                }
            }
            Order::ExecutorMessage(..) | Order::Unknown => {}
            Order::Ping { number, .. } => self.outbox.push_back(ToMaster::Pong(number)),
            Order::Resync => self.introduce(),
        }
    }

    fn registered(&mut self, agent: AgentId, cluster: ClusterId) {
        if self.agent.as_ref().is_some_and(|it| *it != agent) {
            self.hangs_up = true; // An agent keeps its name.
            return;
        }
        let first = self.cluster.is_none();
        (self.agent, self.cluster) = (Some(agent), Some(cluster));
        self.version += 1;
        if first {
            self.introduce(); // Its disks are open now.
        }
        self.tell_trash();
        self.tasks
            .values()
            .filter(|it| !it.updates.is_empty())
            .map(TaskRecord::key)
            .collect::<Vec<_>>()
            .iter()
            .for_each(|it| self.forward(it));
        self.operations
            .keys()
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|it| self.tell_operation(it));
    }

    // ---- Operations.

    fn apply(
        &mut self,
        framework: Option<&FrameworkInfo>,
        role: Role,
        (by, ownership): (&str, Option<&Ownership>),
        named: NamedOperation,
    ) {
        let NamedOperation { uuid, operation } = named;
        if let Some(info) = framework {
            let id = info.id.clone().expect("a framework has its id");
            self.frameworks.insert(id, info.clone());
        }
        let owner = framework.and_then(|it| it.id.clone());
        match (operation.action.clone(), owner) {
            (Action::Claim(action), owner) => {
                self.claim(uuid, (owner, ownership), operation, &action, by)
            }
            (Action::Launch(tasks), Some(owner)) => {
                tasks.into_iter().for_each(|task| self.launch(&owner, &role, None, vec![task]))
            }
            (Action::LaunchGroup(executor, tasks), Some(owner)) => {
                self.launch(&owner, &role, Some(executor), tasks)
            }
            (action, owner) => panic!("no agent is ever sent {action:?} for {owner:?}"),
        }
    }

    fn claim(
        &mut self,
        uuid: OperationUuid,
        (framework, ownership): (Option<FrameworkId>, Option<&Ownership>),
        operation: Operation,
        action: &ClaimAction,
        by: &str,
    ) {
        let record = OperationRecord {
            uuid,
            framework,
            operation,
            state: OperationState::Pending,
            message: None,
            status: None,
            claims: Vec::new(),
            endings: Vec::new(),
            making: Vec::new(),
            ownership: ownership.cloned(),
        };
        self.operations.insert(uuid, record);
        if std::mem::take(&mut self.fails) {
            return self.settle(uuid, OperationState::Failed);
        }
        if self.name_is_taken(action) {
            return self.settle(uuid, OperationState::Failed);
        }
        if action.apply(&mut self.total()).is_ok() {
            self.carry_out(uuid, action, by);
        } else if self.destroying().next().is_none() {
            self.settle(uuid, OperationState::Failed); // Else it waits.
        }
    }

    /// A volume that cannot be used ends without its trash.
    fn give_up(&mut self, uuid: OperationUuid, id: ClaimId) {
        let resource = self.claims[&id].resource.clone();
        let action = Action::Claim(ClaimAction::Destroy(vec![resource]));
        let record = OperationRecord {
            uuid,
            framework: None,
            operation: Operation { id: None, action },
            state: OperationState::Pending,
            message: None,
            status: None,
            claims: vec![id],
            endings: Vec::new(),
            making: Vec::new(),
            ownership: None,
        };
        self.operations.insert(uuid, record);
        if self.faults.remove(&id).is_none() {
            return self.settle(uuid, OperationState::Failed);
        }
        self.claims.get_mut(&id).expect("it was just read").state = ClaimState::Destroying;
        self.empty_trash();
        self.introduce();
    }

    /// Also by a volume that cannot be used now.
    fn name_is_taken(&self, action: &ClaimAction) -> bool {
        let ClaimAction::Create(volumes) = action else { return false };
        let name = |it: &Resource| (it.identity.role(), it.identity.persistence.clone());
        let live =
            self.claims.values().filter(|it| it.is_volume() && it.state != ClaimState::Destroying);
        live.into_iter().any(|claim| volumes.iter().any(|it| name(it) == name(&claim.resource)))
    }

    fn destroying(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values().filter(|it| it.state == ClaimState::Destroying)
    }

    fn carry_out(&mut self, uuid: OperationUuid, action: &ClaimAction, by: &str) {
        let record = &self.operations[&uuid];
        let ownership = record.ownership.clone().unwrap_or_else(Ownership::unsaid);
        let there = |identity: &Identity| claims_with(&self.claims, identity);
        if taken(action, record.framework.as_ref(), &ownership, &there).is_err() {
            return self.settle(uuid, OperationState::Failed); // Nothing of it is done.
        }
        let (mut touched, mut ended) = (Vec::new(), Vec::new());
        for step in action.steps() {
            self.carry_out_step(uuid, step, by, (&mut touched, &mut ended));
        }
        let record = self.operations.get_mut(&uuid).expect("it was just written");
        (record.claims, record.endings) = (touched, ended);
        self.version += 1;
        if !action.steps().iter().any(|it| matches!(it, ClaimAction::Destroy(_))) {
            self.settle(uuid, OperationState::Finished);
        }
    }

    fn carry_out_step(
        &mut self,
        uuid: OperationUuid,
        action: &ClaimAction,
        by: &str,
        (touched, ended): (&mut Vec<ClaimId>, &mut Vec<Claim>),
    ) {
        let record = &self.operations[&uuid];
        let disk_of = |_: &_| Some(DiskId(Uuid::nil()));
        let ownership = record.ownership.clone().unwrap_or_else(Ownership::unsaid);
        let mut making = Making {
            now: Instant(1),
            framework: record.framework.as_ref(),
            ownership: &ownership,
            operation: Some(uuid),
            by,
            ids: &mut self.ids,
            disk_of: &disk_of,
            claims_with: &|identity| claims_with(&self.claims, identity),
        };
        let outcome = changes(action, &mut making).expect("it was found to apply");
        let destroys = matches!(action, ClaimAction::Destroy(_));
        touched.extend(outcome.kept.iter().chain(&outcome.ended).map(|it| it.id));
        outcome.ended.iter().for_each(|it| drop(self.claims.remove(&it.id)));
        for claim in outcome.kept {
            let state = if destroys { ClaimState::Destroying } else { ClaimState::Ready };
            self.claims.insert(claim.id, Claim { state, ..claim });
        }
        ended.extend(outcome.ended);
    }

    /// Stands for what an agent counts.
    fn claims_generation(&self) -> u64 {
        self.claims.values().map(|it| it.generation).sum()
    }

    fn apply_together(
        &mut self,
        uuid: OperationUuid,
        together: Together,
        ownership: Option<&Ownership>,
    ) {
        let generation = self.claims_generation();
        let moved = together.expected.moved(generation, |it| self.claims.get(&it));
        let by = together.by.clone();
        let action = Action::Claim(ClaimAction::Together(together));
        let operation = NamedOperation { uuid, operation: Operation { id: None, action } };
        self.fails |= !moved.is_empty();
        self.apply(None, Role::any(), (&by, ownership), operation);
    }

    /// The volume that is created is the orphan; all is told anew, since nothing of it was believed.
    fn adopt_volume(
        &mut self,
        uuid: OperationUuid,
        together: Together,
        ownership: Option<&Ownership>,
    ) {
        let Some(Filling::Orphan { volume, .. }) = together.filling.as_deref() else { return };
        let volume = *volume;
        let before: Vec<ClaimId> = self.claims.keys().copied().collect();
        self.apply_together(uuid, together, ownership);
        let made = self.claims.values().find(|it| it.is_volume() && !before.contains(&it.id));
        if let Some(made) = made.cloned() {
            self.claims.remove(&made.id);
            self.claims.insert(volume, Claim { id: volume, ..made });
            self.disks.iter_mut().for_each(|it| it.orphans.retain(|it| it.id != volume));
        }
        self.introduce();
    }

    pub(crate) fn tell_trash(&mut self) {
        let volumes = self.trash.values().cloned().collect();
        let news = TrashNews { whole: true, retention_ms: 60_000, volumes, gone: Vec::new() };
        self.outbox.push_back(ToMaster::TrashNews(news));
    }

    /// The bytes of destroyed volumes reach the trash; what waited for their space goes on.
    pub(crate) fn empty_trash(&mut self) {
        let gone: Vec<Claim> = self.destroying().cloned().collect();
        for volume in gone {
            self.claims.remove(&volume.id);
            let since = Instant(5);
            let trashed = TrashedVolume { claim: volume.clone(), since, purging: false };
            self.trash.insert(volume.id, trashed);
            let disk_of = |_: &_| None;
            let mut making = Making {
                now: Instant(1),
                framework: None,
                ownership: &Ownership::default(),
                operation: None,
                by: "trash",
                ids: &mut self.ids,
                disk_of: &disk_of,
                claims_with: &|identity| claims_with(&self.claims, identity),
            };
            let outcome = give_back(&volume, &mut making);
            let done = self
                .operations
                .values()
                .find(|it| it.state == OperationState::Pending && it.claims.contains(&volume.id));
            let done = done.map(|it| it.uuid);
            self.version += 1;
            if let Some(record) = done.and_then(|it| self.operations.get_mut(&it)) {
                record.claims.extend(outcome.kept.iter().map(|it| it.id));
            }
            self.claims.extend(outcome.kept.into_iter().map(|it| (it.id, it)));
            if let Some(uuid) = done.filter(|uuid| {
                !self.destroying().any(|it| self.operations[uuid].claims.contains(&it.id))
            }) {
                self.settle(uuid, OperationState::Finished);
            }
        }
        if self.link.is_some() {
            self.tell_trash();
        }
        self.retry_waiting();
    }

    fn retry_waiting(&mut self) {
        let waiting = self
            .operations
            .values()
            .filter(|it| it.state == OperationState::Pending && it.claims.is_empty());
        for uuid in waiting.map(|it| it.uuid).collect::<Vec<_>>() {
            let Action::Claim(action) = self.operations[&uuid].operation.action.clone() else {
                continue;
            };
            match action.apply(&mut self.total()) {
                Ok(_) => self.carry_out(uuid, &action, "later"),
                Err(_) => self.settle(uuid, OperationState::Failed),
            }
        }
    }

    fn settle(&mut self, uuid: OperationUuid, state: OperationState) {
        let status = StatusUuid(self.ids.fresh());
        self.version += 1;
        let record = self.operations.get_mut(&uuid).expect("only known operations are settled");
        (record.state, record.status) = (state, Some(status));
        record.message = (state != OperationState::Finished).then(|| "the disk says no".to_owned());
        self.tell_operation(uuid);
        if self.reported_pending.remove(&uuid) {
            self.introduce();
        }
    }

    pub(crate) fn tell_operation(&mut self, uuid: OperationUuid) {
        let Some(record) = self.operations.get(&uuid) else { return };
        let Some(status) = record.status else { return };
        self.points.insert(self.version, self.checksum());
        self.outbox.push_back(ToMaster::OperationUpdate(OperationUpdate {
            uuid,
            id: record.operation.id.clone(),
            framework: record.framework.clone(),
            state: record.state,
            message: record.message.clone(),
            status,
            ledger_checksum: Some(self.checksum()),
            ledger_version: self.version,
            claims: record.claims.iter().filter_map(|id| self.claims.get(id).cloned()).collect(),
            ended: record
                .claims
                .iter()
                .filter(|id| !self.claims.contains_key(id))
                .copied()
                .collect(),
            endings: record.endings.clone(),
            claims_generation: self.claims_generation(),
        }));
    }

    // ---- Tasks.

    fn launch(
        &mut self,
        owner: &FrameworkId,
        role: &Role,
        group: Option<ExecutorInfo>,
        tasks: Vec<TaskInfo>,
    ) {
        let own = group.or_else(|| tasks.first().and_then(|it| it.executor.clone()));
        let command = own.is_none();
        let id = own.as_ref().map_or_else(|| tasks[0].executor_id(), |it| it.id.clone());
        let info = own.unwrap_or_else(|| ExecutorInfo {
            id: id.clone(),
            kind: None,
            framework: None,
            resources: Vec::new(),
            command: None,
            shutdown_grace_ms: None,
            payload: Default::default(),
        });
        let key = (owner.clone(), id.clone());
        let fits = self.has_room(
            &tasks,
            if self.executors.contains_key(&key) { &[] } else { &info.resources },
        );
        self.version += 1;
        for task in tasks {
            let record = task_record(owner, &id, role, task);
            self.tasks.entry(record.key()).or_insert(record);
        }
        if fits {
            let container = holdfast_model::ContainerId(self.ids.fresh());
            let (framework, role) = (owner.clone(), role.clone());
            let record = ExecutorRecord {
                framework,
                info,
                container,
                command,
                registered: true,
                launched: Instant(1),
                role,
            };
            self.executors.entry(key).or_insert(record);
            return;
        }
        let mine =
            |it: &&TaskRecord| it.executor == id && it.framework == *owner && it.latest.is_none();
        let refused: Vec<TaskKey> = self.tasks.values().filter(mine).map(TaskRecord::key).collect();
        refused.iter().for_each(|key| self.task_is(&key.0, key.1.as_str(), TaskState::Dropped));
        if !command && !self.executors.contains_key(&key) {
            self.outbox.push_back(ToMaster::ExecutorExited {
                framework: key.0,
                executor: key.1,
                status: 1,
            });
        }
    }

    /// Whether what tasks and a new executor use is there, and their volumes are nobody's.
    fn has_room(&self, tasks: &[TaskInfo], executor: &[Resource]) -> bool {
        let needed: Resources = tasks
            .iter()
            .flat_map(|it| &it.resources)
            .chain(executor)
            .map(|it| it.clone().unallocated())
            .collect();
        let live = self
            .tasks
            .values()
            .filter(|it| !it.state.is_terminal())
            .flat_map(|it| &it.info.resources);
        let volumes: BTreeSet<_> = live
            .map(|it| it.identity.unallocated())
            .filter(|it| it.persistence.is_some() && !it.shared)
            .collect();
        self.total().contains(&needed.shared_once())
            && needed.entries().all(|(it, _)| !volumes.contains(it))
    }

    /// A task moves on.
    pub(crate) fn task_is(&mut self, framework: &FrameworkId, task: &str, state: TaskState) {
        let key = (framework.clone(), holdfast_model::TaskId::made(task.to_owned()));
        let uuid = StatusUuid(self.ids.fresh());
        let agent = self.agent.clone();
        let Some(record) = self.tasks.get_mut(&key).filter(|it| !it.state.is_terminal()) else {
            return;
        };
        let mut status = TaskStatus::new(key.1.clone(), state, Instant(1));
        (status.uuid, status.agent, status.source) =
            (Some(uuid), agent, Some(StatusSource::Executor));
        record.state = state;
        record.latest = Some(status.clone());
        record.updates.push(status);
        self.version += 1;
        let is_told = record.updates.len() == 1 || state.is_terminal();
        let executor = (framework.clone(), record.executor.clone());
        if is_told {
            self.forward(&key);
        }
        let over = self.tasks.values().all(|it| {
            it.executor != executor.1 || it.framework != executor.0 || it.state.is_terminal()
        });
        if over && self.executors.get(&executor).is_some_and(|it| it.command) {
            self.executors.remove(&executor);
        }
    }

    pub(crate) fn forward(&mut self, key: &TaskKey) {
        let Some(record) = self.tasks.get(key) else { return };
        let Some(status) = record.updates.first().cloned() else { return };
        self.outbox.push_back(ToMaster::TaskUpdate {
            framework: key.0.clone(),
            status,
            latest: record.state,
        });
    }

    fn acknowledged(&mut self, key: TaskKey, status: StatusUuid) {
        let Some(record) = self.tasks.get_mut(&key) else { return };
        if record.updates.first().and_then(|it| it.uuid) != Some(status) {
            return;
        }
        record.updates.remove(0);
        if record.updates.is_empty() && record.state.is_terminal() {
            self.tasks.remove(&key);
        } else {
            self.forward(&key);
        }
    }

    fn kill(&mut self, key: TaskKey) {
        if self.tasks.contains_key(&key) {
            return self.task_is(&key.0, key.1.as_str(), TaskState::Killed);
        }
        let mut status = TaskStatus::new(key.1, TaskState::Gone, Instant(1));
        status = status.because(StatusSource::Agent, Reason::Reconciliation, "not here");
        self.outbox.push_back(ToMaster::TaskUpdate {
            framework: key.0,
            status,
            latest: TaskState::Gone,
        });
    }

    /// A custom executor ends, and its tasks with it.
    pub(crate) fn executor_ends(&mut self, framework: &FrameworkId, executor: &ExecutorId) {
        let mine = |it: &&TaskRecord| {
            it.framework == *framework && it.executor == *executor && !it.state.is_terminal()
        };
        let tasks: Vec<TaskKey> = self.tasks.values().filter(mine).map(TaskRecord::key).collect();
        tasks.iter().for_each(|key| self.task_is(&key.0, key.1.as_str(), TaskState::Failed));
        if self
            .executors
            .remove(&(framework.clone(), executor.clone()))
            .is_some_and(|it| !it.command)
        {
            self.outbox.push_back(ToMaster::ExecutorExited {
                framework: framework.clone(),
                executor: executor.clone(),
                status: 1,
            });
        }
    }

    fn shut_down(&mut self, framework: &FrameworkId) {
        let tasks: Vec<TaskKey> =
            self.tasks.keys().filter(|it| it.0 == *framework).cloned().collect();
        for key in tasks {
            let Some(record) = self.tasks.remove(&key).filter(|it| !it.state.is_terminal()) else {
                continue;
            };
            let status = TaskStatus::new(record.info.id.clone(), TaskState::Killed, Instant(1));
            self.outbox.push_back(ToMaster::TaskUpdate {
                framework: framework.clone(),
                status,
                latest: TaskState::Killed,
            });
        }
        let executors: Vec<ExecutorKey> =
            self.executors.keys().filter(|it| it.0 == *framework).cloned().collect();
        executors.iter().for_each(|key| self.executor_ends(&key.0, &key.1));
        self.frameworks.remove(framework);
        self.version += 1;
    }
}

fn task_record(
    owner: &FrameworkId,
    executor: &ExecutorId,
    role: &Role,
    info: TaskInfo,
) -> TaskRecord {
    TaskRecord {
        framework: owner.clone(),
        executor: executor.clone(),
        info,
        state: TaskState::Staging,
        latest: None,
        updates: Vec::new(),
        delivered: false,
        killed: false,
        role: role.clone(),
        group: None,
    }
}

fn claims_with(claims: &BTreeMap<ClaimId, Claim>, identity: &Identity) -> Vec<Claim> {
    claims.values().filter(|it| it.resource.identity == *identity).cloned().collect()
}
