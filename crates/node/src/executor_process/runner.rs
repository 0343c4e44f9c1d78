//! The loop of both built-in executors: a command is a group of one that lives in the sandbox itself.
//!
//! Relies on the SDK to keep statuses and to follow children. Never ends while something that it said is not acknowledged, unless the
//! agent is lost or the time to end is over.

use std::io::{stderr, stdout};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use holdfast_containers::{is_settled, open_output, GroupSignal, OutputLimits, OwnMemory};
use holdfast_model::convert::{check, task, uris, Format};
use holdfast_model::{Capability, Reason, Resource, TaskId, TaskInfo, TaskState};
use holdfast_sdk::net::executor::{
    ChildPlan, ChildTasks, Ended, Environment, Event, Executor, Limitation, Output, Settled, Signal,
};
use holdfast_sdk::net::stop_signal;

use super::fetches::{FetchBounds, Fetched, Fetches};
use super::groups::Groups;
use super::{task_directory, FETCH_STALL_VARIABLE, OUTPUT_FREE_VARIABLE, OUTPUT_MAX_VARIABLE};

/// What kind of executor this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One command.
    Command,
    /// Groups of tasks.
    Groups,
}

/// See the module.
pub(super) struct Runner {
    kind: Kind,
    environment: Environment,
    executor: Executor,
    children: ChildTasks,
    groups: Groups,
    /// Tasks of groups whose files are being fetched.
    fetches: Fetches,
    fetch_bounds: FetchBounds,
    /// What the executor itself was given.
    resources: Vec<Resource>,
    reports_killing: bool,
    /// How much is kept of what each task of a group prints.
    output: OutputLimits,
}

impl Runner {
    /// An executor in the environment of this process, which looks for its agent from now on.
    pub fn new(kind: Kind) -> anyhow::Result<Runner> {
        Ok(Runner::in_environment(kind, Environment::from_env()?))
    }

    fn in_environment(kind: Kind, environment: Environment) -> Runner {
        let executor = Executor::start(environment.clone());
        let children = ChildTasks::new(executor.reporter()).send_signals_by(send_to_group);
        Runner {
            kind,
            environment,
            executor,
            children,
            groups: Groups::default(),
            fetches: Fetches::default(),
            fetch_bounds: fetch_bounds(|name| std::env::var(name).ok()),
            resources: Vec::new(),
            reports_killing: false,
            output: output_limits(|name| std::env::var(name).ok()),
        }
    }

    /// Runs to the end.
    pub async fn run(mut self) -> anyhow::Result<i32> {
        std::env::set_current_dir(&self.environment.sandbox).with_context(|| {
            format!("cannot enter the sandbox {}", self.environment.sandbox.display())
        })?;
        self.serve().await;
        Ok(0)
    }

    async fn serve(&mut self) {
        let stop = stop_signal();
        tokio::pin!(stop);
        let reporter = self.executor.reporter();
        let why = loop {
            tokio::select! {
                biased; // A task that is given last is taken before the end is.
                heard = self.executor.next() => match heard {
                    Some(Event::Shutdown(why)) => break why,
                    Some(heard) => self.hear(heard),
                    None => break "the agent is lost".to_owned(),
                },
                ended = self.children.next_ended() => self.end(&ended),
                (task, fetched) = self.fetches.next() => self.go_on(&task, fetched),
                settled = reporter.settled(), if self.groups.are_over() => {
                    return tracing::info!("all tasks have ended{}", if settled { "" } else { ", but not all was acknowledged" });
                }
                () = &mut stop => break "the executor was told to end by a signal".to_owned(),
            }
        };
        tracing::info!("ending: {why}");
        let grace = self.environment.shutdown_grace;
        self.fetches.stop_all(&why);
        while !self.fetches.is_empty() {
            let (task, fetched) = self.fetches.next().await;
            self.go_on(&task, fetched);
        }
        // The agent takes the container away after this time; what is said should be said before.
        self.children.end_all_within(grace.mul_f64(0.6), &why).await;
        reporter.settled_within(grace.max(Duration::from_secs(1))).await;
    }

    fn hear(&mut self, heard: Event) {
        match heard {
            Event::Subscribed(welcome) => {
                self.reports_killing = welcome.framework.can(Capability::TaskKillingState);
                self.resources = welcome.executor.resources;
            }
            Event::Launch(task) => self.launch(vec![*task]),
            Event::LaunchGroup(tasks) => self.launch(tasks),
            Event::Kill(task, grace) => self.kill(&task, grace, "killed as asked"),
            // These executors have nothing to hear from schedulers; the end is seen to by the loop.
            Event::Message(_) | Event::Shutdown(_) => {}
        }
    }

    fn launch(&mut self, tasks: Vec<TaskInfo>) {
        let spent = self.groups.are_given();
        self.groups.give(tasks.iter().map(|it| it.id.clone()));
        for task in tasks {
            let plan = match self.kind {
                Kind::Command if spent => {
                    Err("this executor runs one command, and was given another before".to_owned())
                }
                Kind::Command => plan(&task, &self.environment.sandbox),
                Kind::Groups => {
                    task_directory::make(&self.environment.sandbox, &task, &self.resources)
                        .and_then(|it| group_plan(&task, &it, self.output))
                }
            };
            match plan {
                Ok(plan) => {
                    self.begin(&task, ChildPlan { reports_killing: self.reports_killing, ..plan })
                }
                Err(why) => self.children.fail(&task.id, &why),
            }
        }
    }

    /// Starts a task, once what it wants is there. The agent has fetched what the one command of an executor wants.
    fn begin(&mut self, task: &TaskInfo, plan: ChildPlan) {
        let uris = match self.kind {
            Kind::Command => Vec::new(),
            Kind::Groups => match uris::of_task(task) {
                Ok(uris) => uris,
                Err(error) => return self.children.fail(&task.id, &error.to_string()),
            },
        };
        if uris.is_empty() {
            return self.children.launch(&task.id, plan);
        }
        self.executor.reporter().state(&task.id, TaskState::Starting);
        let plan = ChildPlan { reports_starting: false, ..plan };
        if let Err(why) = self.fetches.start(&task.id, &uris, plan, self.fetch_bounds) {
            self.go_on(&task.id, Fetched::Failed(why));
        }
    }

    /// What a task wants was fetched, or not.
    fn go_on(&mut self, task: &TaskId, fetched: Fetched) {
        match fetched {
            Fetched::Whole(plan) => self.children.launch(task, *plan),
            Fetched::Failed(why) => {
                let reason = Some(Reason::ContainerLaunchFailed);
                self.children.conclude(task, TaskState::Failed, reason, &why);
            }
            Fetched::Killed(why) => {
                let why = format!("{why}, while what it wants was fetched");
                self.children.conclude(task, TaskState::Killed, None, &why);
            }
        }
    }

    fn kill(&mut self, task: &TaskId, grace: Option<Duration>, why: &str) {
        if !self.fetches.stop(task, why) {
            self.children.kill(task, grace, why);
        }
    }

    fn end(&mut self, ended: &Ended) {
        let along: Vec<TaskId> = self.groups.end(&ended.task, ended.well);
        for task in along {
            self.kill(
                &task,
                None,
                &format!("task {} of its group has failed or was killed", ended.task),
            );
        }
    }
}

fn send_to_group(group: u32, signal: Signal) -> bool {
    let signal = match signal {
        Signal::Term => GroupSignal::Term,
        Signal::Kill => GroupSignal::Kill,
    };
    holdfast_containers::signal_group(group, signal)
}

fn plan(info: &TaskInfo, directory: &Path) -> Result<ChildPlan, String> {
    let wire = task::to_proto(info, Format::WHOLE);
    // The master has refused what cannot be read, but it may know less than this program.
    let checks = check::of_task(info).map_err(|error| error.to_string())?;
    let lifetime = wire
        .max_completion_time
        .and_then(|it| u64::try_from(it.nanoseconds).ok())
        .map(Duration::from_nanos);
    // A task prints to where this process does: by way of the container's keeper, when that keeps the output short.
    let settled = || is_settled(stdout().as_fd()) && is_settled(stderr().as_fd());
    let settled = Some(Box::new(settled) as Settled);
    let plan = ChildPlan::of(info, directory);
    let limitation = OwnMemory::find().map(memory_limitation);
    Ok(ChildPlan { lifetime, checks, reports_starting: true, settled, limitation, ..plan })
}

/// That the kernel has killed something of this container for its memory since now. All tasks of an executor share its limit.
fn memory_limitation(memory: OwnMemory) -> Limitation {
    let before = memory.events().oom_kills;
    Box::new(move || {
        let events = memory.events();
        (before < events.oom_kills).then(|| (Reason::MemoryLimit, events.words()))
    })
}

/// What the agent says in the environment about fetching; without it, the default of its setting.
fn fetch_bounds(variable: impl Fn(&str) -> Option<String>) -> FetchBounds {
    let number = |name| variable(name).and_then(|it| it.parse().ok());
    FetchBounds {
        keep_free_bytes: number(OUTPUT_FREE_VARIABLE).unwrap_or_default(),
        stall_s: number(FETCH_STALL_VARIABLE).unwrap_or(60),
    }
}

/// What the agent says in the environment; without it, all is kept.
fn output_limits(variable: impl Fn(&str) -> Option<String>) -> OutputLimits {
    let bytes = |name| variable(name).and_then(|it| it.parse().ok()).unwrap_or_default();
    let (max_bytes, keep_free_bytes) = (bytes(OUTPUT_MAX_VARIABLE), bytes(OUTPUT_FREE_VARIABLE));
    OutputLimits { max_bytes, keep_free_bytes }
}

fn group_plan(
    info: &TaskInfo,
    directory: &Path,
    limits: OutputLimits,
) -> Result<ChildPlan, String> {
    let plan = plan(info, directory)?;
    let mut plan = match limits.max_bytes {
        0 => plan.output(Output::Files(directory.to_owned())),
        _ => kept_short(plan, directory, limits).map_err(|error| {
            format!("cannot open the output in {}: {error}", directory.display())
        })?,
    };
    let place = directory.to_string_lossy().into_owned();
    plan.environment
        .extend(["MESOS_SANDBOX", "MESOS_DIRECTORY"].map(|name| (name.to_owned(), place.clone())));
    Ok(plan)
}

/// Has a task print by way of a thread of this process, which keeps its files short.
fn kept_short(
    plan: ChildPlan,
    directory: &Path,
    limits: OutputLimits,
) -> std::io::Result<ChildPlan> {
    let (pump, ends) = open_output(directory, limits, None)?;
    let (stdout, stderr) = (OwnedFd::from(ends.stdout), OwnedFd::from(ends.stderr));
    let own = [stdout.try_clone()?, stderr.try_clone()?];
    // It ends when nobody can print any more.
    drop(pump.start()?);
    let settled = move || own.iter().all(|it| is_settled(it.as_fd()));
    Ok(ChildPlan { settled: Some(Box::new(settled)), ..plan.output(Output::Open(stdout, stderr)) })
}

#[cfg(test)]
mod tests {
    use holdfast_model::{AgentId, CommandInfo, ExecutorId, FrameworkId, PersistenceId, Scalar};

    use super::*;

    /// An executor whose agent is not there: what it hears comes from the test.
    fn runner(kind: Kind, sandbox: &Path) -> Runner {
        Runner::in_environment(
            kind,
            Environment {
                agent: "127.0.0.1:1".to_owned(),
                framework: FrameworkId::made("f".to_owned()),
                executor: ExecutorId::made("e".to_owned()),
                sandbox: sandbox.to_owned(),
                checkpoint: true,
                recovery_timeout: Duration::from_secs(60),
                backoff_max: Duration::from_secs(2),
                shutdown_grace: Duration::from_secs(5),
            },
        )
    }

    fn task(name: &str, line: &str) -> TaskInfo {
        TaskInfo {
            id: TaskId::made(name.to_owned()),
            name: name.to_owned(),
            agent: AgentId::made("a".to_owned()),
            resources: Vec::new(),
            executor: None,
            command: Some(CommandInfo {
                shell: true,
                value: Some(line.to_owned()),
                ..CommandInfo::default()
            }),
            kill_grace_ms: None,
            payload: Default::default(),
        }
    }

    async fn next_ended(runner: &mut Runner) -> (String, bool) {
        let ended = tokio::time::timeout(Duration::from_secs(30), runner.children.next_ended())
            .await
            .expect("a task ends in time");
        runner.end(&ended);
        (ended.task.to_string(), ended.well)
    }

    #[tokio::test]
    async fn i12_a_failing_task_ends_its_group_and_the_other_runs_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut runner = runner(Kind::Groups, dir.path());
        runner.hear(Event::LaunchGroup(vec![task("b1", "exec sleep 1000")]));
        runner.hear(Event::LaunchGroup(vec![
            task("a1", "exec sleep 1000"),
            task("a2", "echo said; exit 1"),
        ]));
        assert_eq!(next_ended(&mut runner).await, ("a2".to_owned(), false));
        assert_eq!(next_ended(&mut runner).await, ("a1".to_owned(), false));
        assert!(!runner.groups.are_over());
        runner.hear(Event::Kill(TaskId::made("b1".to_owned()), None));
        assert_eq!(next_ended(&mut runner).await, ("b1".to_owned(), false));
        assert!(runner.groups.are_over());
        assert_eq!(std::fs::read_to_string(dir.path().join("tasks/a2/stdout")).unwrap(), "said\n");
    }

    #[tokio::test]
    async fn of_a_task_of_a_group_that_prints_a_lot_the_newest_is_kept_to_the_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let mut runner = runner(Kind::Groups, dir.path());
        let said = |name: &str| match name {
            OUTPUT_MAX_VARIABLE => Some("65536".to_owned()),
            _ => None,
        };
        runner.output = output_limits(said);
        runner
            .hear(Event::LaunchGroup(vec![task("t", "seq 1 100000; echo the end; echo and >&2")]));
        assert_eq!(next_ended(&mut runner).await, ("t".to_owned(), true));
        let read = |name: &str| std::fs::read_to_string(dir.path().join("tasks/t").join(name));
        let kept = read("stdout.1").unwrap() + &read("stdout").unwrap();
        assert!(
            kept.len() <= 65536 && kept.ends_with("99999\n100000\nthe end\n"),
            "{}",
            kept.len()
        );
        assert_eq!(read("stderr").unwrap(), "and\n");
    }

    #[tokio::test]
    async fn each_task_of_a_group_lives_in_its_own_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let mut runner = runner(Kind::Groups, dir.path());
        let mut info = task("t", "test \"$PWD\" = \"$MESOS_SANDBOX\" && test \"$MESOS_TASK_ID\" = t && echo kept > data/file");
        info.resources = vec![Resource::scalar("disk", Scalar::whole(1)).volume(
            PersistenceId::made("v".to_owned()),
            "data",
            None,
        )];
        runner.hear(Event::LaunchGroup(vec![info]));
        assert_eq!(next_ended(&mut runner).await, ("t".to_owned(), true));
        assert_eq!(std::fs::read_to_string(dir.path().join("data/file")).unwrap(), "kept\n");
    }

    #[tokio::test]
    async fn a_task_without_its_volume_fails_and_takes_its_group_along() {
        let dir = tempfile::tempdir().unwrap();
        let mut runner = runner(Kind::Groups, dir.path());
        let mut without = task("b", "true");
        without.resources = vec![Resource::scalar("disk", Scalar::whole(1)).volume(
            PersistenceId::made("v".to_owned()),
            "data",
            None,
        )];
        runner.hear(Event::LaunchGroup(vec![task("a", "exec sleep 1000"), without]));
        assert_eq!(next_ended(&mut runner).await, ("b".to_owned(), false));
        assert_eq!(next_ended(&mut runner).await, ("a".to_owned(), false));
        assert!(!dir.path().join("data").exists());
    }

    #[tokio::test]
    async fn the_command_executor_runs_one_command_in_the_sandbox() {
        let dir = tempfile::tempdir().unwrap();
        let mut runner = runner(Kind::Command, dir.path());
        runner.hear(Event::Launch(Box::new(task("one", "echo here > file"))));
        runner.hear(Event::Launch(Box::new(task("two", "echo there > file"))));
        let mut ends = vec![next_ended(&mut runner).await, next_ended(&mut runner).await];
        ends.sort();
        assert_eq!(ends, [("one".to_owned(), true), ("two".to_owned(), false)]);
        assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), "here\n");
        assert!(runner.groups.are_over());
    }

    #[test]
    fn i13_the_longest_time_is_taken_from_what_the_task_carries() {
        let mut wire = holdfast_model::convert::task::to_proto(&task("t", "true"), Format::WHOLE);
        wire.max_completion_time =
            Some(holdfast_proto::mesos::v1::DurationInfo { nanoseconds: 1_500_000_000 });
        let info = holdfast_model::convert::task::from_proto(wire).unwrap();
        assert_eq!(
            plan(&info, Path::new("/")).unwrap().lifetime,
            Some(Duration::from_millis(1_500))
        );
        assert_eq!(plan(&task("t", "true"), Path::new("/")).unwrap().lifetime, None);
    }
}
