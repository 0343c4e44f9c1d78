//! Executors in their containers: they speak the executor API, outlive the agent, and run tasks
//! that append records to their volumes.
//!
//! It relies on links and on the machine's disks. A record counts once it was synced; only then its
//! writer hears so, and the rules with it. It never believes that a status arrived before the agent
//! acknowledged it.

use holdfast_agent::{Input, Payload, VolumeLabel};
use holdfast_model::{
    ContainerId, ExecutorCall, ExecutorEvent, FrameworkId, IdSource, Instant, LinkId, StatusSource,
    StatusUuid, TaskId, TaskInfo, TaskState, TaskStatus,
};

use crate::agenda::{AgendaEntry, ExecutorAction, Message, Node, ANY_LIFE};
use crate::drivers::containers::{exit, word_for, Container, Phase, State, TaskRun};
use crate::fact::{Fact, VolumeSeen};
use crate::links::Side;
use crate::world::World;

/// A task writes a record this often, in milliseconds.
const APPEND_MS: u64 = 1_000;

/// Whose records a volume may hold: those of its framework, or of its role when it is shared.
fn owner(framework: &FrameworkId, label: &VolumeLabel) -> String {
    match label.shared {
        true => format!("role {}/{}", label.role, label.persistence),
        false => format!("{framework}/{}", label.persistence),
    }
}

impl World {
    fn container(&mut self, index: usize, id: ContainerId) -> Option<&mut Container> {
        self.machines[index].containers.get_mut(&id).filter(|it| it.lives())
    }

    fn act_after(&mut self, delay_ms: u64, index: usize, id: ContainerId, doing: ExecutorAction) {
        self.agenda.after(delay_ms, Node::Executor(index, id), ANY_LIFE, AgendaEntry::Act(doing));
    }

    /// Runs an action of an executor.
    pub(crate) fn act(&mut self, index: usize, id: ContainerId, doing: ExecutorAction) {
        if self.container(index, id).is_none() {
            return;
        }
        match doing {
            ExecutorAction::Connect => self.connect_executor(index, id),
            ExecutorAction::Begin(task) => self.begin_task(index, id, &task),
            ExecutorAction::Append(task) => self.append_record(index, id, &task),
            ExecutorAction::End(task, state, why) => self.end_task(index, id, &task, state, why),
            ExecutorAction::Exit(status) => {
                self.end_container(index, id, State::Exited(exit(status)))
            }
            ExecutorAction::Tell(data) => {
                self.executor_says(index, id, ExecutorCall::Message(data))
            }
        }
    }

    fn connect_executor(&mut self, index: usize, id: ContainerId) {
        let (up, life) = (self.machines[index].process.up, self.machines[index].process.life);
        if !up || self.container(index, id).is_none_or(|it| it.executor.link.is_some()) {
            return; // It tries again when the agent is back.
        }
        let link = self.links.open(
            self.agenda.now,
            (Node::Executor(index, id), 0),
            (Node::Machine(index), life),
        );
        let Some(container) = self.container(index, id) else { return };
        container.executor.link = Some(link);
        let subscribe = ExecutorCall::Subscribe {
            tasks: container.executor.unreported(),
            updates: container.executor.updates.clone(),
        };
        self.executor_says(index, id, subscribe);
    }

    fn executor_says(&mut self, index: usize, id: ContainerId, call: ExecutorCall) {
        let link = self.container(index, id).and_then(|it| it.executor.link);
        if let Some(link) = link {
            self.links.send(&mut self.agenda, link, Side::Client, Message::FromExecutor(call));
        }
    }

    /// An executor notices that its agent is gone.
    pub(crate) fn executor_noticed(&mut self, index: usize, id: ContainerId, link: u64) {
        let delay_ms = self.delay_ms(50, 1_000, 10);
        let Some(container) = self.container(index, id).filter(|it| it.executor.link == Some(link))
        else {
            return;
        };
        container.executor.link = None;
        self.act_after(delay_ms, index, id, ExecutorAction::Connect);
    }

    /// The agent's end of an executor's link.
    pub(crate) fn agent_hears_executor(
        &mut self,
        index: usize,
        from: Node,
        link: u64,
        call: ExecutorCall,
    ) {
        let Node::Executor(_, id) = from else { return };
        let Some(container) = self.machines[index].containers.get(&id) else { return };
        let (framework, executor) =
            (container.plan.framework.clone(), container.plan.executor.clone());
        self.step_agent(index, Input::FromExecutor(LinkId(link), framework, executor, call));
    }

    /// Delivers an event to an executor.
    pub(crate) fn executor_hears(&mut self, index: usize, id: ContainerId, event: ExecutorEvent) {
        match event {
            ExecutorEvent::Launch(task) => self.take_task(index, id, *task),
            ExecutorEvent::LaunchGroup(tasks) => {
                tasks.into_iter().for_each(|task| self.take_task(index, id, task))
            }
            ExecutorEvent::Kill(task, _) => {
                let delay_ms = self.delay_ms(1, 900, 1);
                self.act_after(
                    delay_ms,
                    index,
                    id,
                    ExecutorAction::End(task, TaskState::Killed, word_for(TaskState::Killed)),
                );
            }
            ExecutorEvent::Acknowledged(task, status) => {
                self.executor_acknowledged(index, id, &task, status)
            }
            ExecutorEvent::Shutdown => self.shut_executor_down(index, id),
            ExecutorEvent::Subscribed { .. }
            | ExecutorEvent::Message(_)
            | ExecutorEvent::Error(_) => {}
        }
    }

    fn take_task(&mut self, index: usize, id: ContainerId, info: TaskInfo) {
        let delay_ms = self.delay_ms(5, 600, 5);
        let Some(container) = self.container(index, id) else { return };
        let task = info.id.clone();
        container
            .executor
            .tasks
            .insert(task.clone(), TaskRun { info, phase: Phase::Given, appended: 0 });
        self.act_after(delay_ms, index, id, ExecutorAction::Begin(task));
    }

    fn shut_executor_down(&mut self, index: usize, id: ContainerId) {
        let (end_ms, exit_ms) = (self.delay_ms(1, 300, 1), self.delay_ms(300, 2_500, 5));
        let Some(container) = self.container(index, id) else { return };
        container.executor.leaving = true;
        for task in container.executor.unreported() {
            self.act_after(
                end_ms,
                index,
                id,
                ExecutorAction::End(task, TaskState::Killed, word_for(TaskState::Killed)),
            );
        }
        self.act_after(exit_ms, index, id, ExecutorAction::Exit(0));
    }

    fn executor_acknowledged(
        &mut self,
        index: usize,
        id: ContainerId,
        task: &TaskId,
        status: StatusUuid,
    ) {
        let delay_ms = self.delay_ms(1, 3_000, 5);
        let Some(container) = self.container(index, id) else { return };
        container.executor.updates.retain(|it| it.uuid != Some(status) || it.task != *task);
        if container.executor.is_done() && container.plan.payload != Payload::DefaultExecutor {
            self.act_after(delay_ms, index, id, ExecutorAction::Exit(0));
        }
    }

    /// The task's process starts, and looks at what is on its volumes.
    fn begin_task(&mut self, index: usize, id: ContainerId, task: &TaskId) {
        let append_ms = self.delay_ms(APPEND_MS / 2, APPEND_MS * 3 / 2, APPEND_MS);
        let Some(container) = self.container(index, id) else { return };
        let framework = container.plan.framework.clone();
        let Some(run) =
            container.executor.tasks.get_mut(task).filter(|it| it.phase == Phase::Given)
        else {
            return;
        };
        run.phase = Phase::Running;
        let seen = self.volumes_seen(index, id, task);
        self.rules_see(&Fact::TaskStarts {
            machine: index,
            container: id,
            framework: &framework,
            task,
            volumes: &seen,
        });
        self.report_task(index, id, task, TaskState::Running, "");
        self.act_after(append_ms, index, id, ExecutorAction::Append(task.clone()));
        if self.runs_once(index, id, task) {
            let end = ExecutorAction::End(task.clone(), TaskState::Finished, "");
            self.act_after(append_ms * 2, index, id, end);
        }
        for data in self.greetings(&framework, task) {
            self.act_after(append_ms, index, id, ExecutorAction::Tell(data));
        }
    }

    /// Whether a task's command says that it ends by itself.
    fn runs_once(&self, index: usize, id: ContainerId, task: &TaskId) -> bool {
        let container = self.machines[index].containers.get(&id);
        let run = container.and_then(|it| it.executor.tasks.get(task));
        let line = run.and_then(|it| it.info.command.as_ref()?.value.as_deref());
        line.is_some_and(|it| it.ends_with("once"))
    }

    fn volumes_seen(&self, index: usize, id: ContainerId, task: &TaskId) -> Vec<VolumeSeen> {
        let Some(container) = self.machines[index].containers.get(&id) else { return Vec::new() };
        let Some(run) = container.executor.tasks.get(task) else { return Vec::new() };
        let names = |it: &&holdfast_agent::VolumePlan| {
            let named = |r: &holdfast_model::Resource| {
                r.identity.persistence.as_ref().is_some_and(|p| p.as_str() == it.label.persistence)
            };
            run.info.resources.iter().any(named)
        };
        let seen = |plan: &holdfast_agent::VolumePlan| {
            let volume = self.machines[index]
                .disks
                .iter()
                .find_map(|disk| disk.mounted_volume(&plan.label.claim));
            let bytes = volume.map(|it| it.bytes.clone()).unwrap_or_default();
            VolumeSeen {
                claim: plan.label.claim,
                persistence: plan.label.persistence.clone(),
                container_path: plan.container_path.clone(),
                owner: owner(&container.plan.framework, &plan.label),
                stamp: bytes.stamp,
                records: bytes.synced + bytes.unsynced,
            }
        };
        container.plan.volumes.iter().filter(names).map(seen).collect()
    }

    fn append_record(&mut self, index: usize, id: ContainerId, task: &TaskId) {
        let next_ms = self.delay_ms(APPEND_MS / 2, APPEND_MS * 3 / 2, APPEND_MS);
        let volumes = self.volumes_seen(index, id, task);
        let Some(container) = self.container(index, id) else { return };
        let framework = container.plan.framework.clone();
        let Some(run) =
            container.executor.tasks.get_mut(task).filter(|it| it.phase == Phase::Running)
        else {
            return;
        };
        run.appended += 1;
        let sync = run.appended % 3 != 0;
        for volume in volumes {
            let mut disks = self.machines[index].disks.iter_mut();
            let kept = match disks.find(|it| it.mounted_volume(&volume.claim).is_some()) {
                Some(disk) => disk.append(&volume.claim, &volume.owner, sync),
                None => Err("the volume is gone".to_owned()),
            };
            match kept {
                Err(_) => {
                    return self.end_task(
                        index,
                        id,
                        task,
                        TaskState::Failed,
                        "it cannot write to its volume",
                    )
                }
                Ok(count) if sync => {
                    self.records += 1;
                    self.rules_see(&Fact::RecordKept {
                        machine: index,
                        claim: volume.claim,
                        framework: &framework,
                        task,
                        count,
                    });
                }
                Ok(_) => {}
            }
        }
        self.act_after(next_ms, index, id, ExecutorAction::Append(task.clone()));
    }

    /// The task's process has ended; its executor says so.
    pub(crate) fn end_task(
        &mut self,
        index: usize,
        id: ContainerId,
        task: &TaskId,
        state: TaskState,
        why: &str,
    ) {
        let Some(container) = self.container(index, id) else { return };
        let framework = container.plan.framework.clone();
        let Some(run) =
            container.executor.tasks.get_mut(task).filter(|it| it.phase != Phase::Ended)
        else {
            return;
        };
        run.phase = Phase::Ended;
        self.rules_see(&Fact::TaskEnds { machine: index, framework: &framework, task, state });
        self.report_task(index, id, task, state, why);
    }

    fn report_task(
        &mut self,
        index: usize,
        id: ContainerId,
        task: &TaskId,
        state: TaskState,
        why: &str,
    ) {
        let mut status = TaskStatus::new(task.clone(), state, self.agenda.now);
        status.uuid = Some(StatusUuid(self.machines[index].rng.fresh()));
        status.source = Some(StatusSource::Executor);
        status.message = (!why.is_empty()).then(|| why.to_owned());
        let Some(container) = self.container(index, id) else { return };
        container.executor.owes(status.clone());
        self.executor_says(index, id, ExecutorCall::Update(status));
    }

    /// Nothing of a container runs any more.
    pub(crate) fn end_container(&mut self, index: usize, id: ContainerId, state: State) {
        let late_ms = self.delay_ms(1, 200, 1);
        let Some(container) = self.container(index, id) else { return };
        let framework: FrameworkId = container.plan.framework.clone();
        let running: Vec<TaskId> =
            container.executor.running().map(|it| it.info.id.clone()).collect();
        container.state = state;
        container.executor = Default::default();
        for task in &running {
            self.rules_see(&Fact::TaskEnds {
                machine: index,
                framework: &framework,
                task,
                state: TaskState::Failed,
            });
        }
        self.rules_see(&Fact::ContainerEnds { machine: index, container: id });
        self.drop_links(Node::Executor(index, id), 50);
        let machine = &mut self.machines[index];
        if machine.process.up {
            let at: Instant = self
                .agenda
                .now
                .plus_ms(late_ms)
                .max(machine.gates.get(&id.0).copied().unwrap_or_default());
            self.agenda.at(at, Node::Machine(index), machine.process.life, AgendaEntry::Ended(id));
        }
    }

    /// The agent sees that a container has ended.
    pub(crate) fn container_ended(&mut self, index: usize, id: ContainerId) {
        let how = match self.machines[index].containers.get(&id).map(|it| &it.state) {
            Some(State::Exited(how)) => how.clone(),
            Some(State::Lost) => exit(137),
            _ => return,
        };
        self.step_agent(index, Input::ContainerExited(id, how));
    }
}
