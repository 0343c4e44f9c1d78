//! Tasks as child processes of the executor.
//!
//! It relies on `child` for each of them. It reports every state by itself: RUNNING when the
//! process runs, FINISHED, FAILED or KILLED when nothing of it is left. It never forgets a child
//! that runs.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_model::{Reason, TaskId, TaskState, TaskStatus};
use tokio::sync::mpsc;

use super::super::clock::now;
use super::child::{self, KillOrder};
use super::child_plan::ChildPlan;
use super::reporter::Reporter;
use super::signal::{SendToGroup, Signals};

/// A task that has ended, which was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The id of the task.
    pub task: TaskId,
    /// Whether it ended by itself, with status 0.
    pub well: bool,
}

#[derive(Debug)]
struct Running {
    orders: mpsc::UnboundedSender<KillOrder>,
    grace: Duration,
}

/// The children of an executor. Dropping it ends them.
#[derive(Debug)]
pub struct ChildTasks {
    reporter: Reporter,
    signals: Signals,
    running: BTreeMap<TaskId, Running>,
    ends: mpsc::UnboundedReceiver<Ended>,
    ended: mpsc::UnboundedSender<Ended>,
}

impl ChildTasks {
    /// Makes a set without children.
    pub fn new(reporter: Reporter) -> ChildTasks {
        let (ended, ends) = mpsc::unbounded_channel();
        ChildTasks { reporter, signals: Signals::Shell, running: BTreeMap::new(), ends, ended }
    }

    /// Has signals to process groups sent by `send` instead of a shell. Each task that ends costs
    /// one at least.
    pub fn send_signals_by(self, send: SendToGroup) -> ChildTasks {
        ChildTasks { signals: Signals::Given(send), ..self }
    }

    /// Starts a task. One that does not start has failed, which is reported, and returned by
    /// [`ChildTasks::next_ended`]. A task that runs already is left alone.
    pub fn launch(&mut self, task: &TaskId, mut plan: ChildPlan) {
        if self.running.contains_key(task) {
            return tracing::warn!("task {task} runs already; it is not started again");
        }
        let (orders, taken) = mpsc::unbounded_channel();
        self.running.insert(task.clone(), Running { orders, grace: plan.grace });
        if plan.reports_starting {
            self.reporter.report(child::first_word(task, TaskState::Starting, &plan));
        }
        match child::start(&mut plan) {
            Ok(started) => {
                self.reporter.report(child::first_word(task, TaskState::Running, &plan));
                let (task, reporter, ended) =
                    (task.clone(), self.reporter.clone(), self.ended.clone());
                let signals = self.signals;
                tokio::spawn(async move {
                    let followed =
                        child::follow(started, task.clone(), plan, reporter, signals, taken);
                    let well = followed.await;
                    // Nobody receives when the executor itself has ended.
                    let _ = ended.send(Ended { task, well });
                });
            }
            Err(why) => self.fail(task, &why),
        }
    }

    /// Reports that a task has failed before it ran.
    pub fn fail(&mut self, task: &TaskId, why: &str) {
        tracing::warn!("task {task} does not start: {why}");
        self.reporter.state_because(task, TaskState::Failed, why);
        // This cannot fail, since we hold the receiver.
        let _ = self.ended.send(Ended { task: task.clone(), well: false });
    }

    /// Reports that a task has ended before it ran: that it was killed, or that something failed with
    /// a reason of its own.
    pub fn conclude(&mut self, task: &TaskId, state: TaskState, reason: Option<Reason>, why: &str) {
        let (message, reason) = (Some(why.to_owned()), reason.map(|it| it as i32));
        let status = TaskStatus::new(task.clone(), state, now());
        self.reporter.report(TaskStatus { message, reason, ..status });
        // This cannot fail, since we hold the receiver.
        let _ = self.ended.send(Ended { task: task.clone(), well: false });
    }

    /// Asks a task to end with SIGTERM, and ends it with SIGKILL when it has not within `grace`, or
    /// the time of its plan. May be repeated, with less time. Unknown tasks are ignored.
    pub fn kill(&mut self, task: &TaskId, grace: Option<Duration>, why: &str) {
        match self.running.get(task) {
            // The task may just be ending; then there is nothing left to do.
            Some(running) => drop(running.orders.send(KillOrder { grace, why: why.to_owned() })),
            None => tracing::info!("task {task} does not run here; there is nothing to kill"),
        }
    }

    /// Lists the tasks that run, or have ended but were not yet returned by
    /// [`ChildTasks::next_ended`].
    pub fn running(&self) -> impl Iterator<Item = &TaskId> {
        self.running.keys()
    }

    /// The next task that ended; waits for ever when none runs. May be dropped while it waits.
    pub async fn next_ended(&mut self) -> Ended {
        let ended = self.ends.recv().await.expect("this struct holds a sender");
        self.running.remove(&ended.task);
        ended
    }

    /// Ends all tasks, each within its own time, and waits until they have ended.
    pub async fn end_all(&mut self, why: &str) {
        self.end_all_within(Duration::MAX, why).await;
    }

    /// Does the same as [`ChildTasks::end_all`], but no task gets more than this time.
    pub async fn end_all_within(&mut self, longest: Duration, why: &str) {
        let tasks: Vec<(TaskId, Duration)> =
            self.running.iter().map(|(task, it)| (task.clone(), it.grace.min(longest))).collect();
        tasks.iter().for_each(|(task, grace)| self.kill(task, Some(*grace), why));
        while !self.running.is_empty() {
            self.next_ended().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use holdfast_model::{
        Check, CommandInfo, ExecutorCall, ExecutorId, HealthCheck, Probe, TaskChecks, Timing,
    };

    use super::super::{LastWords, Output};
    use super::*;
    use crate::net::testbed::soon;

    fn id() -> TaskId {
        TaskId::made("t".to_owned())
    }

    fn children() -> ChildTasks {
        ChildTasks::new(Reporter::new(ExecutorId::made("e".to_owned())).0)
    }

    fn shell(line: &str) -> ChildPlan {
        let command =
            CommandInfo { shell: true, value: Some(line.to_owned()), ..CommandInfo::default() };
        ChildPlan::new(command, &std::env::temp_dir())
    }

    fn told(children: &ChildTasks) -> Vec<TaskStatus> {
        match children.reporter.introduce().0 {
            ExecutorCall::Subscribe { updates, .. } => updates,
            other => panic!("{other:?}"),
        }
    }

    fn states(children: &ChildTasks) -> Vec<TaskState> {
        told(children).iter().map(|it| it.state).collect()
    }

    fn last_words(children: &ChildTasks) -> String {
        told(children).last().and_then(|it| it.message.clone()).unwrap_or_default()
    }

    async fn ended(children: &mut ChildTasks) -> bool {
        soon("the task ends", children.next_ended()).await.well
    }

    /// Passes the lines of a task to a channel.
    fn lines(plan: ChildPlan) -> (ChildPlan, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (
            plan.output(Output::Lines(Box::new(move |line| drop(sender.send(line.to_owned()))))),
            receiver,
        )
    }

    #[tokio::test]
    async fn i10_how_a_command_ends_is_told() {
        for (line, state, words) in [
            ("true", TaskState::Finished, "exited with status 0"),
            ("exit 3", TaskState::Failed, "exited with status 3"),
            ("kill -9 $$", TaskState::Failed, "signal Killed (SIGKILL)"),
        ] {
            let mut children = children();
            children.launch(&id(), shell(line));
            assert_eq!(ended(&mut children).await, state == TaskState::Finished, "{line}");
            assert_eq!(states(&children), [TaskState::Running, state], "{line}");
            assert!(last_words(&children).contains(words), "{line}: {}", last_words(&children));
        }
    }

    #[tokio::test]
    async fn what_it_said_last_is_told_with_how_it_ended() {
        let mut children = children();
        let heard = Arc::new(Mutex::new(None));
        let (writes, reads) = (heard.clone(), heard);
        let plan = shell("echo no room; exit 3").output(Output::Lines(Box::new(move |line| {
            *writes.lock().unwrap() = Some(line.to_owned());
        })));
        let asked: LastWords = Box::new(move || reads.lock().unwrap().clone());
        children.launch(&id(), ChildPlan { last_words: Some(asked), ..plan });
        ended(&mut children).await;
        assert_eq!(last_words(&children), "Command exited with status 3: no room");
    }

    #[tokio::test]
    async fn what_does_not_start_has_failed() {
        let nothing = ChildPlan::new(CommandInfo::default(), &std::env::temp_dir());
        let absent =
            CommandInfo { value: Some("/no/such/program".to_owned()), ..CommandInfo::default() };
        let nowhere = ChildPlan { directory: "/no/such/directory".into(), ..shell("true") };
        for (plan, words) in [
            (nothing, "there is no command"),
            (ChildPlan::new(absent, &std::env::temp_dir()), "cannot start `/no/such/program`"),
            (nowhere, "/no/such/directory"),
        ] {
            let mut children = children();
            children.launch(&id(), ChildPlan { reports_starting: true, ..plan });
            assert!(!ended(&mut children).await);
            assert_eq!(states(&children), [TaskState::Starting, TaskState::Failed]);
            assert!(last_words(&children).contains(words), "{}", last_words(&children));
        }
    }

    #[tokio::test]
    async fn arguments_environment_and_directory_reach_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let words = ["own-name", "-c", "echo $0 $A; pwd; echo $1", "zero", "one two"];
        let arguments = words.iter().map(|it| (*it).to_owned()).collect();
        let environment = vec![("A".to_owned(), "command".to_owned())];
        let command = CommandInfo {
            value: Some("/bin/sh".to_owned()),
            arguments,
            environment,
            ..CommandInfo::default()
        };
        let mut plan = ChildPlan::new(command, dir.path());
        plan.environment.push(("A".to_owned(), "plan".to_owned()));
        let (plan, mut lines) = lines(plan);
        let mut children = children();
        children.launch(&id(), plan);
        assert!(ended(&mut children).await);
        let place = dir.path().canonicalize().unwrap().to_string_lossy().into_owned();
        for expected in ["zero command", &place, "one two"] {
            assert_eq!(lines.recv().await.unwrap(), expected);
        }
        assert_eq!(lines.recv().await, None);
    }

    #[tokio::test]
    async fn output_goes_to_files_and_is_appended() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut children = children();
            children.launch(
                &id(),
                shell("echo out; echo err >&2").output(Output::Files(dir.path().to_owned())),
            );
            assert!(ended(&mut children).await);
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            (read("stdout"), read("stderr")),
            ("out\nout\n".to_owned(), "err\nerr\n".to_owned())
        );
    }

    #[tokio::test]
    async fn a_kill_is_sigterm_to_the_whole_group() {
        let line =
            "trap 'echo term; exit 0' TERM; sh -c 'trap \"echo inner; exit 0\" TERM; echo up; while :; do sleep 0.01; done' & echo up; \
                    wait";
        let (plan, mut lines) = lines(ChildPlan {
            reports_killing: true,
            grace: Duration::from_secs(30),
            ..shell(line)
        });
        let mut children = children();
        children.launch(&id(), plan);
        for _ in 0..2 {
            assert_eq!(soon("both run", lines.recv()).await.unwrap(), "up");
        }
        children.kill(&id(), None, "killed as asked");
        assert!(!ended(&mut children).await, "what was killed did not end well");
        assert_eq!(states(&children), [TaskState::Running, TaskState::Killing, TaskState::Killed]);
        assert_eq!(last_words(&children), "Command exited with status 0; killed as asked");
        let mut heard = Vec::new();
        while let Some(line) = soon("its output ends", lines.recv()).await {
            heard.push(line);
        }
        assert!(heard.contains(&"term".to_owned()), "{heard:?}");
    }

    #[tokio::test]
    async fn who_does_not_listen_is_ended_after_the_grace() {
        let (plan, mut lines) = lines(shell("trap '' TERM; echo up; while :; do sleep 0.01; done"));
        let mut children = children();
        children.launch(&id(), plan);
        assert_eq!(soon("it runs", lines.recv()).await.unwrap(), "up");
        children.kill(&id(), Some(Duration::from_secs(3600)), "first");
        children.kill(&id(), Some(Duration::from_millis(20)), "second");
        assert!(!ended(&mut children).await);
        assert_eq!(states(&children), [TaskState::Running, TaskState::Killed]);
        assert!(last_words(&children).contains("(SIGKILL)"), "{}", last_words(&children));
    }

    #[tokio::test]
    async fn nothing_of_a_task_outlives_it() {
        let (plan, mut lines) = lines(shell("(trap '' TERM HUP; echo up; while :; do sleep 0.01; done) & read line < /dev/null; exit 0"));
        let mut children = children();
        children.launch(&id(), plan);
        assert!(ended(&mut children).await);
        // The pipe ends when the last process that holds it has ended.
        soon("its output ends", async { while lines.recv().await.is_some() {} }).await;
    }

    #[tokio::test]
    async fn i13_a_task_that_takes_too_long_has_failed() {
        let mut children = children();
        children.launch(
            &id(),
            ChildPlan {
                lifetime: Some(Duration::from_millis(20)),
                grace: Duration::from_secs(3600),
                reports_killing: true,
                ..shell("trap '' TERM; sleep 1000; sleep 1000")
            },
        );
        assert!(!ended(&mut children).await);
        let last = told(&children).pop().unwrap();
        assert_eq!((last.state, last.reason), (TaskState::Failed, Some(33)));
        assert_eq!(
            states(&children),
            [TaskState::Running, TaskState::Failed],
            "it gets no more time"
        );
    }

    fn checked(line: &str, checks: TaskChecks) -> ChildPlan {
        ChildPlan { checks, grace: Duration::from_secs(30), ..shell(line) }
    }

    fn probe(line: &str) -> Probe {
        let value = Some(line.to_owned());
        Probe::Command(CommandInfo { shell: true, value, ..CommandInfo::default() })
    }

    const AT_ONCE: Timing =
        Timing { delay: Duration::ZERO, interval: Duration::ZERO, timeout: None };

    fn health(line: &str, failures_max: u32) -> TaskChecks {
        let (probe, grace) = (probe(line), Duration::ZERO);
        let health = HealthCheck { probe, timing: AT_ONCE, failures_max, grace };
        TaskChecks { health: Some(health), check: None }
    }

    const HEALTH: Option<i32> = Some(Reason::TaskHealthCheckStatusUpdated as i32);

    #[tokio::test]
    async fn i11_an_unhealthy_task_is_told_of_and_then_killed() {
        let mut children = children();
        let plan = checked("exec sleep 1000", health("echo down; exit 1", 2));
        children.launch(&id(), ChildPlan { reports_killing: true, ..plan });
        assert!(!ended(&mut children).await);
        let told: Vec<_> =
            told(&children).into_iter().map(|it| (it.state, it.reason, it.healthy)).collect();
        let unhealthy = (TaskState::Running, HEALTH, Some(false));
        assert_eq!(
            told,
            [
                (TaskState::Running, None, None),
                unhealthy,
                unhealthy,
                (TaskState::Killing, None, None),
                (TaskState::Killed, HEALTH, Some(false))
            ]
        );
        let words = last_words(&children);
        assert!(words.contains("failed 2 times in a row, 2 end the task"), "{words}");
        assert!(words.contains("its command exited with status 1: down"), "{words}");
    }

    #[tokio::test]
    async fn i11_health_is_told_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        // Well, well, ill, well; then the task ends by itself.
        let line = "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; [ $n -lt 5 ] || echo > end; [ $n -ne 2 ]";
        let task = "while [ ! -e end ]; do sleep 0.01; done";
        let mut plan = checked(task, health(line, 100));
        plan.directory = dir.path().to_owned();
        let mut children = children();
        children.launch(&id(), plan);
        assert!(ended(&mut children).await);
        let told: Vec<_> = told(&children).into_iter().map(|it| (it.state, it.healthy)).collect();
        let running = |healthy| (TaskState::Running, healthy);
        assert_eq!(
            told,
            [
                running(None),
                running(Some(true)),
                running(Some(false)),
                running(Some(true)),
                (TaskState::Finished, None)
            ]
        );
    }

    #[tokio::test]
    async fn i11_a_check_is_told_when_it_changes_and_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let line = "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; [ $n -lt 5 ] || echo > end; exit $((n / 2))";
        let check = Some(Check { probe: probe(line), timing: AT_ONCE });
        let task = "while [ ! -e end ]; do sleep 0.01; done";
        let mut plan = checked(task, TaskChecks { health: None, check });
        plan.directory = dir.path().to_owned();
        let mut children = children();
        children.launch(&id(), ChildPlan { reports_starting: true, ..plan });
        assert!(ended(&mut children).await);
        let code = |status: &TaskStatus| {
            let wire = holdfast_model::convert::status::to_proto(status);
            let seen = wire.check_status.and_then(|it| it.command);
            seen.expect("each status of a task with a check says that there is one").exit_code
        };
        let told: Vec<_> =
            told(&children).iter().map(|it| (it.state, it.reason, code(it))).collect();
        let reason = Some(Reason::TaskCheckStatusUpdated as i32);
        let expected = [
            (TaskState::Starting, None, None),
            (TaskState::Running, None, None),
            (TaskState::Running, reason, Some(0)),
            (TaskState::Running, reason, Some(1)),
            (TaskState::Running, reason, Some(2)),
        ];
        assert_eq!(told[..5], expected);
        assert_eq!(told.last().unwrap(), &(TaskState::Finished, None, None));
    }

    #[tokio::test]
    async fn a_limit_that_was_met_is_the_reason_unless_it_ended_well_or_was_asked_to() {
        for (line, killed, reason) in [
            ("exit 3", false, Some(Reason::MemoryLimit as i32)),
            ("exit 0", false, None),
            ("exec sleep 1000", true, None),
        ] {
            let met = || Some((Reason::MemoryLimit, "all used".to_owned()));
            let mut children = children();
            children.launch(&id(), ChildPlan { limitation: Some(Box::new(met)), ..shell(line) });
            if killed {
                children.kill(&id(), None, "killed as asked");
            }
            ended(&mut children).await;
            assert_eq!(told(&children).last().unwrap().reason, reason, "{line}");
        }
    }

    #[tokio::test]
    async fn all_can_be_ended_together() {
        let mut children = children();
        for name in ["a", "b", "c"] {
            children.launch(&TaskId::made(name.to_owned()), shell("exec sleep 1000"));
        }
        children.launch(&TaskId::made("a".to_owned()), shell("exit 1")); // Runs already.
        assert_eq!(children.running().count(), 3);
        soon("all end", children.end_all_within(Duration::from_secs(10), "the end")).await;
        assert_eq!(children.running().count(), 0);
        assert_eq!(states(&children).into_iter().filter(|it| *it == TaskState::Killed).count(), 3);
    }

    #[tokio::test]
    async fn a_line_that_never_ends_comes_in_pieces() {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let taken = sizes.clone();
        let plan = shell("head -c 200000 /dev/zero; echo")
            .output(Output::Lines(Box::new(move |line| taken.lock().unwrap().push(line.len()))));
        let mut children = children();
        children.launch(&id(), plan);
        assert!(ended(&mut children).await);
        let sizes = sizes.lock().unwrap();
        assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (200_000, Some(&65_536)));
    }
}
