//! Executors come, go and come back; they are given their tasks, each once.
//!
//! A task is written down as given before it is given, so that a crash can lose it but never give it
//! twice; the executor's next introduction tells which.

use std::collections::BTreeSet;

use holdfast_model::{
    AgentChange, ExecutorCall, ExecutorEvent, ExecutorKey, ExecutorRecord, LinkId, MachineInfo,
    Reason, StepContext, TaskId, TaskInfo, TaskKey, TaskRecord, TaskState, TaskStatus, ToMaster,
};

use crate::alarms::Alarm;
use crate::soft::{Phase, TerminationReason};
use crate::step::Effect;
use crate::Agent;

impl Agent {
    pub(crate) fn executor_said(
        &mut self,
        ctx: &mut StepContext<'_>,
        link: LinkId,
        key: ExecutorKey,
        call: ExecutorCall,
    ) {
        if let ExecutorCall::Subscribe { tasks, updates } = call {
            return self.subscribe(ctx, link, key, &tasks, updates);
        }
        if self.soft.executor_links.get(&link) != Some(&key) {
            return self
                .refuse_executor(link, "subscribe first, and speak for the executor that you are");
        }
        match call {
            ExecutorCall::Subscribe { .. } | ExecutorCall::Heartbeat => {}
            ExecutorCall::Update(status) => self.update(ctx, &key, status),
            ExecutorCall::Message(data) => {
                self.tell_master(ToMaster::ExecutorMessage(key.0, key.1, data));
            }
        }
    }

    fn refuse_executor(&mut self, link: LinkId, why: &str) {
        self.effects.push(Effect::ToExecutor(link, ExecutorEvent::Error(why.to_owned())));
        self.effects.push(Effect::CloseExecutor(link));
    }

    fn subscribe(
        &mut self,
        ctx: &mut StepContext<'_>,
        link: LinkId,
        key: ExecutorKey,
        tasks: &[TaskId],
        updates: Vec<TaskStatus>,
    ) {
        let welcome = match self.welcome(&key) {
            Ok(welcome) => welcome,
            Err(why) => return self.refuse_executor(link, why),
        };
        if self.soft.executor_links.get(&link).is_some_and(|it| *it != key) {
            return self.refuse_executor(link, "this link belongs to another executor");
        }
        let Some(run) = self.soft.runs.get_mut(&key) else { return };
        match run.link {
            Some(newer) if link < newer => {
                return self.refuse_executor(link, "there is a newer link of this executor")
            }
            Some(older) if older != link => {
                self.soft.executor_links.remove(&older);
                self.effects.push(Effect::CloseExecutor(older));
            }
            _ => {}
        }
        run.link = Some(link);
        let ending = run.phase == Phase::Ending;
        if !ending {
            self.soft.alarms.clear(&Alarm::Executor(key.clone()));
        }
        self.soft.executor_links.insert(link, key.clone());
        if let Some(record) = self.ledger.executors.get(&key).filter(|it| !it.registered).cloned() {
            self.commit(vec![AgentChange::Executor(ExecutorRecord { registered: true, ..record })]);
        }
        self.effects.push(Effect::ToExecutor(link, welcome));
        self.compare_tasks(ctx, &key, tasks, updates);
        if ending {
            return self.effects.push(Effect::ToExecutor(link, ExecutorEvent::Shutdown));
        }
        self.send_kills(&key);
        self.deliver(&key);
        let idle = self.live_tasks(&key).is_empty();
        if idle && self.ledger.executors.get(&key).is_some_and(|it| it.command) {
            self.end_executor(ctx, &key, None);
        }
    }

    /// What an executor is greeted with, or why it is not.
    fn welcome(&self, key: &ExecutorKey) -> Result<ExecutorEvent, &'static str> {
        let record = self
            .ledger
            .executors
            .get(key)
            .ok_or("this agent has no such executor; end yourself")?;
        let framework = self
            .ledger
            .frameworks
            .get(&key.0)
            .ok_or("this agent does not know your framework; end yourself")?;
        let agent =
            self.ledger.identity.agent.clone().ok_or("this agent has no name yet; try again")?;
        match self.soft.runs.get(key).map(|it| it.phase) {
            None | Some(Phase::Destroying) => {
                return Err("your container is being destroyed; end yourself")
            }
            Some(Phase::Waiting) => return Err("your container was not started yet"),
            Some(Phase::Recovering | Phase::Starting | Phase::Running | Phase::Ending) => {}
        }
        let machine: MachineInfo = self.soft.machine.clone().unwrap_or_default();
        Ok(ExecutorEvent::Subscribed {
            executor: Box::new(record.info.clone()),
            framework: Box::new(framework.clone()),
            agent,
            machine: Box::new(machine),
            container: record.container,
        })
    }

    /// Takes what the executor reports, and finds out which tasks were lost on their way to it.
    fn compare_tasks(
        &mut self,
        ctx: &mut StepContext<'_>,
        key: &ExecutorKey,
        tasks: &[TaskId],
        updates: Vec<TaskStatus>,
    ) {
        let known: BTreeSet<TaskId> =
            tasks.iter().cloned().chain(updates.iter().map(|it| it.task.clone())).collect();
        let given = |it: &&TaskRecord| it.delivered && it.state == TaskState::Staging;
        let lost: Vec<TaskKey> = self
            .live_tasks(key)
            .into_iter()
            .filter(given)
            .map(TaskRecord::key)
            .filter(|it| !known.contains(&it.1))
            .collect();
        for status in updates {
            self.update(ctx, key, status);
        }
        let why = "the task was lost on its way to its executor; it never ran";
        self.end_tasks(
            ctx,
            &lost,
            &TerminationReason::new(TaskState::Dropped, Reason::AgentRestarted, why),
        );
    }

    /// Gives an executor the tasks that it shall have, in the order of their launch.
    pub(crate) fn deliver(&mut self, key: &ExecutorKey) {
        let Some(run) =
            self.soft.runs.get(key).filter(|it| it.is_open() && it.phase != Phase::Waiting)
        else {
            return;
        };
        let Some(link) = run.link else { return };
        let (mut given, mut batch) = (Vec::new(), Vec::new());
        for task in &run.queue {
            let Some(record) =
                self.ledger.tasks.get(task).filter(|it| !it.state.is_terminal() && !it.delivered)
            else {
                continue;
            };
            let same_group = |(it, _): &(&TaskKey, _)| {
                self.ledger.tasks.get(*it).is_some_and(|it| it.group == record.group)
            };
            let doubtful = self
                .soft
                .unshown
                .iter()
                .filter(|_| record.group.is_some())
                .any(|(it, claims)| same_group(&(it, claims)));
            if doubtful || self.soft.unshown.contains_key(task) {
                break; // Those behind it keep their place.
            }
            batch.push(AgentChange::Task(TaskRecord { delivered: true, ..record.clone() }));
            given.push(record.clone());
        }
        if given.is_empty() {
            return;
        }
        self.commit(batch);
        if let Some(run) = self.soft.runs.get_mut(key) {
            run.queue.retain(|it| given.iter().all(|task| task.key() != *it));
            run.used = true;
        }
        self.resize_container(key);
        self.effects
            .extend(launches(given).into_iter().map(|event| Effect::ToExecutor(link, event)));
    }

    pub(crate) fn message_executor(&mut self, key: &ExecutorKey, data: Vec<u8>) {
        match self.soft.runs.get(key).and_then(|it| it.link) {
            Some(link) => self.effects.push(Effect::ToExecutor(link, ExecutorEvent::Message(data))),
            None => self.log(format!(
                "a message for executor `{}`, which is not connected, is dropped",
                key.1
            )),
        }
    }

    pub(crate) fn executor_lost(&mut self, link: LinkId) {
        let Some(key) = self.soft.executor_links.remove(&link) else { return };
        if let Some(run) = self.soft.runs.get_mut(&key).filter(|it| it.link == Some(link)) {
            run.link = None; // It comes back, or its container ends; both will be heard.
        }
    }
}

/// One event for each task by itself, one for each group.
fn launches(tasks: Vec<TaskRecord>) -> Vec<ExecutorEvent> {
    let mut events = Vec::new();
    let mut last_group: Option<String> = None;
    for task in tasks {
        match (&task.group, events.last_mut()) {
            (None, _) => events.push(ExecutorEvent::Launch(Box::new(task.info))),
            (Some(_), Some(ExecutorEvent::LaunchGroup(members))) if last_group == task.group => {
                let members: &mut Vec<TaskInfo> = members;
                members.push(task.info);
            }
            (Some(_), _) => events.push(ExecutorEvent::LaunchGroup(vec![task.info])),
        }
        last_group = task.group;
    }
    events
}

#[cfg(test)]
mod tests {
    use crate::step::Effect;
    use crate::testbed::{custom_executor, framework_id, task, task_key, Bed};
    use crate::Input;
    use holdfast_model::{
        Action, ExecutorCall, ExecutorEvent, ExecutorId, LinkId, Order, TaskInfo, TaskState,
        ToMaster,
    };

    fn subscribe(link: u64, executor: &str) -> Input {
        let call = ExecutorCall::Subscribe { tasks: Vec::new(), updates: Vec::new() };
        Input::FromExecutor(
            LinkId(link),
            framework_id(),
            ExecutorId::made(executor.to_owned()),
            call,
        )
    }

    fn errors(bed: &Bed, link: u64) -> usize {
        bed.seen
            .iter()
            .filter(
                |it| matches!(it, Effect::ToExecutor(to, ExecutorEvent::Error(_)) if to.0 == link),
            )
            .count()
    }

    #[test]
    fn strangers_are_sent_away() {
        let mut bed = Bed::registered();
        bed.input(subscribe(70, "nobody"));
        let call = ExecutorCall::Heartbeat;
        bed.input(Input::FromExecutor(
            LinkId(71),
            framework_id(),
            ExecutorId::made("x".to_owned()),
            call,
        ));
        assert_eq!((errors(&bed, 70), errors(&bed, 71)), (1, 1));
        assert!(bed.seen.contains(&Effect::CloseExecutor(LinkId(71))));
    }

    #[test]
    fn a_newer_link_of_an_executor_replaces_the_older_and_not_the_other_way_round() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        let old = bed.containers.values().next().unwrap().link.unwrap();
        bed.input(subscribe(90, "t"));
        assert!(bed.seen.contains(&Effect::CloseExecutor(old)));
        bed.input(subscribe(80, "t"));
        assert_eq!(errors(&bed, 80), 1);
        bed.input(Input::ExecutorLost(old));
        bed.order(Order::ExecutorMessage(
            framework_id(),
            ExecutorId::made("t".to_owned()),
            b"hello".to_vec(),
        ));
        assert_eq!(
            bed.seen.last(),
            Some(&Effect::ToExecutor(LinkId(90), ExecutorEvent::Message(b"hello".to_vec())))
        );
        let heard = ExecutorCall::Message(b"there".to_vec());
        bed.input(Input::FromExecutor(
            LinkId(90),
            framework_id(),
            ExecutorId::made("t".to_owned()),
            heard,
        ));
        assert!(
            matches!(bed.seen.last(), Some(Effect::ToMaster(_, ToMaster::ExecutorMessage(_, _, data))) if data == b"there")
        );
    }

    #[test]
    fn a_task_is_written_down_as_given_before_it_is_given() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.seen.clear();
        while bed.runs.is_empty() {
            bed.answer();
        }
        let at = |which: &dyn Fn(&Effect) -> bool| bed.seen.iter().position(which).unwrap();
        let given = at(&|it| matches!(it, Effect::ToExecutor(_, ExecutorEvent::Launch(_))));
        let noted = at(
            &|it| matches!(it, Effect::Commit(changes) if changes.iter().any(|it| matches!(it, holdfast_model::AgentChange::Task(task) if task.delivered))),
        );
        assert!(noted < given);
    }

    #[test]
    fn a_task_lost_on_its_way_is_dropped_and_never_given_again() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        // The crash comes between writing it down as given and giving it.
        while bed.agent.ledger().tasks.values().all(|it| !it.delivered) {
            if matches!(bed.answers.front(), Some(Input::FromExecutor(..))) {
                bed.crash_in = Some(3);
            }
            bed.answer();
            if 0 < bed.crashes {
                break;
            }
        }
        bed.settle();
        assert_eq!((bed.crashes, bed.runs.len()), (1, 0));
        assert_eq!(bed.task_state("t"), Some(TaskState::Dropped));
        assert!(bed.agent.ledger().executors.is_empty(), "its executor has nothing to do");
    }

    #[test]
    fn tasks_are_given_in_the_order_of_their_launch() {
        let mut bed = Bed::registered();
        let custom = |id: &str| TaskInfo {
            executor: Some(custom_executor("e")),
            command: None,
            ..task(id, &[])
        };
        bed.apply(vec![Action::Launch(vec![custom("z"), custom("a"), custom("m")])]);
        bed.settle();
        let given = bed.seen.iter().filter_map(|it| {
            if let Effect::ToExecutor(_, ExecutorEvent::Launch(task)) = it {
                Some(task.id.to_string())
            } else {
                None
            }
        });
        assert_eq!(given.collect::<Vec<_>>(), ["z", "a", "m"]);
        assert_eq!(bed.task_state("m"), Some(TaskState::Running));
        assert!(bed.agent.ledger().tasks[&task_key("z")].delivered);
    }
}
