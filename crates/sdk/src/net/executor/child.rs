//! One task as a child process, from its start to its end.
//!
//! The child leads a process group of its own, so that all it starts can be ended with it, and so
//! that a signal to the executor does not reach it. When the child has ended, whatever it left in
//! its group is ended too: a task that is reported ended holds no file open. It relies on `signal`
//! for signals to groups. It never reports the end of a task that may still run.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use holdfast_model::{CommandInfo, Reason, Seen, TaskId, TaskState, TaskStatus};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::clock::now;
use super::checks::{told, Checks, News, Surroundings};
use super::child_plan::{ChildPlan, Output, Settled};
use super::exit_words::exit_words;
use super::reporter::Reporter;
use super::signal::{Signal, Signals};

/// The longest line that is passed in one piece, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// The time that reading the last lines of a child that ended may take.
const LAST_LINES: Duration = Duration::from_secs(2);
/// The pause between two looks whether the output is written.
const SETTLE_PAUSE: Duration = Duration::from_millis(1);

/// A request to end a child.
#[derive(Debug)]
pub(super) struct KillOrder {
    /// The grace period, if the order has one.
    pub grace: Option<Duration>,
    /// The reason, for people.
    pub why: String,
}

/// A child that was started, with its output.
#[derive(Debug)]
pub(super) struct Started {
    child: Child,
    group: u32,
    lines: Option<JoinHandle<()>>,
}

/// Starts a child.
///
/// # Errors
/// The reason why it does not start, for people.
pub(super) fn start(plan: &mut ChildPlan) -> Result<Started, String> {
    let mut command = program_of(&plan.command)?;
    command.current_dir(&plan.directory).stdin(Stdio::null()).process_group(0);
    command.envs(
        plan.environment.iter().chain(&plan.command.environment).map(|(name, value)| (name, value)),
    );
    let taker = match std::mem::replace(&mut plan.output, Output::Inherit) {
        Output::Inherit => None,
        Output::Files(dir) => {
            command.stdout(append(&dir.join("stdout"))?).stderr(append(&dir.join("stderr"))?);
            None
        }
        Output::Open(stdout, stderr) => {
            command.stdout(stdout).stderr(stderr);
            None
        }
        Output::Lines(taker) => {
            command.stdout(Stdio::piped());
            Some(taker)
        }
    };
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let spawned = command.spawn();
    // Its ends of pipes are in there.
    drop(command);
    let mut child = spawned.map_err(|error| {
        format!("cannot start `{program}` in {}: {error}", plan.directory.display())
    })?;
    let group = child.id().ok_or_else(|| format!("`{program}` ended before it began"))?;
    let lines = taker
        .zip(child.stdout.take())
        .map(|(taker, stdout)| tokio::spawn(read_lines(stdout, taker)));
    Ok(Started { child, group, lines })
}

/// The program of a command, which is not started yet.
///
/// # Errors
/// When there is none, for people.
pub(super) fn program_of(command: &CommandInfo) -> Result<Command, String> {
    let value = command.value.as_deref().filter(|it| !it.is_empty());
    let value = value.ok_or("command.value: there is no command to run; set it")?;
    if command.shell {
        let mut program = Command::new("/bin/sh");
        program.args(["-c", value]);
        return Ok(program);
    }
    let mut program = Command::new(value);
    // As in Mesos the first argument is the name that the program sees as its own.
    if let Some((own_name, arguments)) = command.arguments.split_first() {
        program.arg0(own_name).args(arguments);
    }
    Ok(program)
}

fn append(path: &std::path::Path) -> Result<std::fs::File, String> {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

async fn read_lines(stdout: ChildStdout, mut taker: Box<dyn FnMut(&str) + Send>) {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) => return,
            Ok(_) => taker(String::from_utf8_lossy(&line).trim_end_matches('\n')),
            Err(error) => return tracing::warn!("cannot read a task's output: {error}"),
        }
    }
}

/// Follows a child to its end, and reports it. `true` when it succeeded by itself.
pub(super) async fn follow(
    mut started: Started,
    task: TaskId,
    plan: ChildPlan,
    reporter: Reporter,
    signals: Signals,
    orders: mpsc::UnboundedReceiver<KillOrder>,
) -> bool {
    let environment = plan.environment.iter().chain(&plan.command.environment).cloned();
    let surroundings = Surroundings {
        directory: plan.directory.clone(),
        environment: environment.collect(),
        signals,
    };
    let mut checks = Checks::start(&plan.checks, surroundings);
    let mut ending = Ending {
        group: started.group,
        signals,
        plan,
        task,
        reporter,
        seen: None,
        healthy: None,
        why: None,
        cause: Cause::Asked,
        kill_at: None,
        killed: false,
    };
    let exit = ending.wait(&mut started.child, orders, &mut checks).await;
    checks.stop().await;
    // The group's number cannot be another's while anything lives in it, and numbers are not used
    // again so soon.
    signals.send(started.group, Signal::Kill).await;
    if let Some(lines) = started.lines {
        if tokio::time::timeout(LAST_LINES, lines).await.is_err() {
            let task = &ending.task;
            tracing::warn!("something outside of task {task}'s group holds its output open; the rest of it is not read");
        }
    }
    if let Some(settled) = &ending.plan.settled {
        settle(settled, &ending.task).await;
    }
    let status = ending.last_word(&exit);
    let well = status.state == TaskState::Finished;
    ending.reporter.report(status);
    well
}

/// Waits until what a child has printed can be read: whoever hears of its end may look at once.
async fn settle(settled: &Settled, task: &TaskId) {
    let until = Instant::now() + LAST_LINES;
    while !settled() {
        if until <= Instant::now() {
            return tracing::warn!("something still prints to the output of task {task}, or it cannot be written; its end is reported all the same");
        }
        // tidy: sleep is the point: who empties a pipe tells nobody
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

/// The status of a task that runs, before anything was seen by its checks.
pub(super) fn first_word(task: &TaskId, state: TaskState, plan: &ChildPlan) -> TaskStatus {
    told(&plan.checks, None, TaskStatus::new(task.clone(), state, now()))
}

/// Why a task is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It was asked for.
    Asked,
    /// It took longer than it may (I13).
    TooLong,
    /// Its health check failed too often (I11).
    Unhealthy,
}

/// The life of a child, and the progress of ending it.
struct Ending {
    group: u32,
    signals: Signals,
    plan: ChildPlan,
    task: TaskId,
    reporter: Reporter,
    /// What its check has seen last.
    seen: Option<Seen>,
    /// What its health check has found last.
    healthy: Option<bool>,
    /// The reason why it was asked to end, for people.
    why: Option<String>,
    cause: Cause,
    kill_at: Option<Instant>,
    killed: bool,
}

impl Ending {
    async fn wait(
        &mut self,
        child: &mut Child,
        mut orders: mpsc::UnboundedReceiver<KillOrder>,
        checks: &mut Checks,
    ) -> std::io::Result<ExitStatus> {
        let expires_at = self.plan.lifetime.map(|it| Instant::now() + it);
        let mut listening = true;
        loop {
            tokio::select! {
                exit = child.wait() => return exit,
                order = orders.recv(), if listening => match order {
                    Some(order) => self.ask(Cause::Asked, order).await,
                    // The owner of the child is gone, so nobody is left to end it.
                    None => {
                        listening = false;
                        self.ask(Cause::Asked, KillOrder { grace: None, why: "its executor ends".to_owned() }).await;
                    }
                },
                news = checks.next(), if self.why.is_none() => self.hear(news).await,
                () = until(expires_at), if self.why.is_none() => {
                    let why = "it took longer than its max_completion_time".to_owned();
                    // As in Mesos it has had its time.
                    self.ask(Cause::TooLong, KillOrder { grace: Some(Duration::ZERO), why }).await;
                }
                () = until(self.kill_at), if !self.killed => {
                    self.killed = true;
                    if !self.signals.send(self.group, Signal::Kill).await {
                        // This ends the child itself at least.
                        let _ = child.start_kill();
                    }
                }
            }
        }
    }

    /// Reports what was found out about a task that runs; ends it if that is enough.
    async fn hear(&mut self, news: News) {
        match news {
            News::Seen(seen) => {
                self.seen = seen;
                self.report_running(Reason::TaskCheckStatusUpdated, None);
            }
            News::Healthy => {
                self.healthy = Some(true);
                self.report_running(Reason::TaskHealthCheckStatusUpdated, None);
            }
            News::Unhealthy { words, is_enough } => {
                tracing::warn!("task {}: {words}", self.task);
                self.healthy = Some(false);
                let message = Some(words.clone());
                self.report_running(Reason::TaskHealthCheckStatusUpdated, message);
                if is_enough {
                    self.ask(Cause::Unhealthy, KillOrder { grace: None, why: words }).await;
                }
            }
        }
    }

    fn report_running(&self, reason: Reason, message: Option<String>) {
        let status = TaskStatus::new(self.task.clone(), TaskState::Running, now());
        let status = told(&self.plan.checks, self.seen, status);
        let (reason, healthy) = (Some(reason as i32), self.healthy);
        self.reporter.report(TaskStatus { reason, healthy, message, ..status });
    }

    /// SIGTERM once; a later order can only shorten the time that is left.
    async fn ask(&mut self, cause: Cause, order: KillOrder) {
        let kill_at = Instant::now() + order.grace.unwrap_or(self.plan.grace);
        self.kill_at = Some(self.kill_at.map_or(kill_at, |it| it.min(kill_at)));
        if self.why.is_some() {
            return;
        }
        (self.why, self.cause) = (Some(order.why), cause);
        if self.plan.reports_killing && cause != Cause::TooLong {
            self.reporter.report(first_word(&self.task, TaskState::Killing, &self.plan));
        }
        if !self.signals.send(self.group, Signal::Term).await {
            self.kill_at = Some(Instant::now());
        }
    }

    /// The limit that has ended it, unless we did.
    fn limitation(&self) -> Option<(Reason, String)> {
        let limitation = self.plan.limitation.as_ref().filter(|_| self.why.is_none())?;
        limitation()
    }

    fn last_word(&self, exit: &std::io::Result<ExitStatus>) -> TaskStatus {
        let mut how = exit_words(exit);
        if let Some(words) = self.plan.last_words.as_ref().and_then(|it| it()) {
            how = format!("{how}: {words}");
        }
        let succeeded = exit.as_ref().is_ok_and(ExitStatus::success);
        if let Some((reason, limit)) = self.limitation().filter(|_| !succeeded) {
            let message = Some(format!("{limit}; {how}"));
            let status = first_word(&self.task, TaskState::Failed, &self.plan);
            return TaskStatus { message, reason: Some(reason as i32), ..status };
        }
        let (state, message) = match (&self.why, self.cause) {
            (Some(why), Cause::TooLong) => (TaskState::Failed, format!("{how}; {why}")),
            (Some(why), _) => (TaskState::Killed, format!("{how}; {why}")),
            (None, _) if exit.as_ref().is_ok_and(ExitStatus::success) => (TaskState::Finished, how),
            (None, _) => (TaskState::Failed, how),
        };
        let (reason, healthy) = match self.cause {
            Cause::Asked => (None, None),
            Cause::TooLong => (Some(Reason::MaxCompletionTimeReached), None),
            Cause::Unhealthy => (Some(Reason::TaskHealthCheckStatusUpdated), Some(false)),
        };
        let reason = reason.map(|it| it as i32);
        let status = first_word(&self.task, state, &self.plan);
        TaskStatus { message: Some(message), reason, healthy, ..status }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        // tidy: sleep is the point: graces and lifetimes are times
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
