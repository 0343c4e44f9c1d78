//! The framework of one task: takes an offer, launches, shows what the task writes, and ends with it.
//!
//! Never launches twice what may have run: only a task whose offer was gone is launched again, under a new id.

use std::time::Duration;

use holdfast_api::rows::AgentRow;
use holdfast_model::{
    Action, AgentId, Call, CommandInfo, Event, Filters, FrameworkId, FrameworkInfo, Offer,
    Operation, TaskId, TaskInfo, TaskState, TaskStatus,
};
use holdfast_node::exit_codes::EXIT_INTERRUPTED;
use holdfast_sdk::net::{Session, SessionEvent, SessionOptions};
use tokio::time::{Instant, Interval};

use super::fate;
use super::placement::Needs;
use crate::failure::{Failure, EXIT_ERROR, EXIT_NOT_PLACED, EXIT_TIMEOUT};
use crate::verbs::sandbox::{Sandbox, Stream};
use crate::verbs::{explain, Context};

/// How often what the task wrote is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// After this long without a place somebody wants to know why.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the master may take to remove the framework.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Offers that do not fit, or come after the launch, are not wanted again soon.
const REFUSE_MS: u64 = 5_000;

/// Where the task is.
enum Stage {
    Waiting,
    Launched { task: TaskId, agent: AgentId },
}

/// See the module.
pub(super) struct Runner<'a> {
    context: &'a Context,
    session: Session,
    framework: Option<FrameworkId>,
    name: &'a str,
    command: CommandInfo,
    needs: Needs,
    stage: Stage,
    sandbox: Option<Sandbox>,
    state: Option<TaskState>,
}

impl<'a> Runner<'a> {
    /// Subscribes.
    ///
    /// # Errors
    /// When no master answers.
    pub async fn open(
        context: &'a Context,
        info: FrameworkInfo,
        name: &'a str,
        command: CommandInfo,
        needs: Needs,
    ) -> anyhow::Result<Runner<'a>> {
        // Sessions try for ever; a person wants to know at once that nobody is there.
        context.master.get("roles", &[]).await?;
        let masters = context.master.addresses().to_vec();
        let session = Session::open(SessionOptions::new(masters, info));
        Ok(Runner {
            context,
            session,
            framework: None,
            name,
            command,
            needs,
            stage: Stage::Waiting,
            sandbox: None,
            state: None,
        })
    }

    /// Goes on until the task has ended, or somebody wants it to end.
    pub async fn run(mut self) -> anyhow::Result<i32> {
        let code = self.follow().await;
        self.tear_down().await;
        code
    }

    async fn follow(&mut self) -> anyhow::Result<i32> {
        let begun = Instant::now();
        let until = self.context.timeout.map(|it| begun + it);
        let mut look: Interval = tokio::time::interval(LOOK_AGAIN);
        let mut wondered = false;
        loop {
            tokio::select! {
                heard = self.session.next() => {
                    if let Some(code) = self.hear(heard).await? {
                        return Ok(code);
                    }
                }
                _ = look.tick() => {
                    self.show().await?;
                    if until.is_some_and(|it| it <= Instant::now()) {
                        return self.out_of_time().await;
                    }
                    if !wondered && matches!(self.stage, Stage::Waiting) && PATIENCE <= begun.elapsed() {
                        wondered = true;
                        self.context.remark(&format!("still waiting for {}\n{}", self.needs.text(), self.reasons().await));
                    }
                }
                () = self.context.stop.cancelled() => {
                    self.context.remark("interrupted; the task is ended");
                    return Ok(EXIT_INTERRUPTED);
                }
            }
        }
    }

    /// The exit code, once there is one.
    async fn hear(&mut self, heard: SessionEvent) -> anyhow::Result<Option<i32>> {
        match heard {
            SessionEvent::Event(Event::Subscribed(id)) => {
                self.framework = Some(id);
                if let Stage::Launched { task, agent } = &self.stage {
                    self.session
                        .send(Call::Reconcile(vec![(task.clone(), Some(agent.clone()))]))
                        .await;
                }
            }
            SessionEvent::Event(Event::Offers(offers)) => self.offered(offers).await,
            SessionEvent::Event(Event::Update(status)) => return self.moved_on(status).await,
            SessionEvent::Disconnected => self.context.remark(
                "the master is away; the task goes on, and so does the search for the next leader",
            ),
            SessionEvent::Ended(why) => {
                return Err(Failure::new(
                    EXIT_ERROR,
                    format!("the masters removed the framework: {why}"),
                    "see `holdfast framework list`",
                )
                .into());
            }
            SessionEvent::Event(_) => {}
        }
        Ok(None)
    }

    async fn offered(&mut self, offers: Vec<Offer>) {
        let mut refused = Vec::new();
        for offer in offers {
            match self.needs.take(&offer).filter(|_| matches!(self.stage, Stage::Waiting)) {
                None => refused.push(offer.id),
                Some(resources) => {
                    let task = self.task_id();
                    let (agent, hostname) = (offer.agent.clone(), offer.hostname.clone());
                    let info = TaskInfo {
                        id: task.clone(),
                        name: self.name.to_owned(),
                        agent: agent.clone(),
                        resources,
                        executor: None,
                        command: Some(self.command.clone()),
                        kill_grace_ms: None,
                        payload: Default::default(),
                    };
                    let operations =
                        vec![Operation { id: None, action: Action::Launch(vec![info]) }];
                    self.session
                        .send(Call::Accept {
                            offers: vec![offer.id],
                            operations,
                            filters: Filters { refuse_ms: REFUSE_MS },
                        })
                        .await;
                    self.context.remark(&format!("task {task} on {hostname}"));
                    self.stage = Stage::Launched { task, agent };
                }
            }
        }
        if !refused.is_empty() {
            self.session
                .send(Call::Decline { offers: refused, filters: Filters { refuse_ms: REFUSE_MS } })
                .await;
        }
    }

    /// The name with a few digits, so that the same command can be told from its earlier runs.
    fn task_id(&self) -> TaskId {
        let name: String = self
            .name
            .chars()
            .filter(|it| it.is_ascii_alphanumeric() || "-_.".contains(*it))
            .take(64)
            .collect();
        let digits = uuid::Uuid::new_v4().simple().to_string();
        TaskId::made(format!("{name}-{}", &digits[..8]))
    }

    async fn moved_on(&mut self, status: TaskStatus) -> anyhow::Result<Option<i32>> {
        if let (Some(uuid), Some(agent)) = (status.uuid, status.agent.clone()) {
            self.session
                .send(Call::Acknowledge { agent, task: status.task.clone(), status: uuid })
                .await;
        }
        let Stage::Launched { task, agent } = &self.stage else { return Ok(None) };
        if *task != status.task {
            return Ok(None);
        }
        if fate::may_try_again(&status) {
            self.stage = Stage::Waiting;
            return Ok(None);
        }
        if status.state == TaskState::Running && self.sandbox.is_none() {
            self.sandbox = self.find_sandbox(&task.clone(), &agent.clone()).await;
        }
        if self.state.replace(status.state) != Some(status.state) && !status.state.is_terminal() {
            self.context.remark(&fate::words(&status));
        }
        if !status.state.is_terminal() {
            return Ok(None);
        }
        if self.sandbox.is_none() {
            self.sandbox = self.find_sandbox(&status.task, &agent.clone()).await;
        }
        self.show().await?;
        self.context.remark(&fate::words(&status));
        Ok(Some(fate::code(&status)))
    }

    /// The task's sandbox, once its agent's address is known.
    async fn find_sandbox(&self, task: &TaskId, agent: &AgentId) -> Option<Sandbox> {
        let agents = self.context.master.rows::<AgentRow>().await.ok()?;
        let address = &agents.iter().find(|it| it.id == agent.as_str())?.address;
        let framework = self.framework.as_ref()?;
        let run = format!("{agent}/frameworks/{framework}/executors/{task}/runs/latest");
        Some(Sandbox::at(self.context, address, run, task.as_str()))
    }

    /// Shows what the task wrote since the last time. That its agent is away does not end the task, so it does not end us.
    async fn show(&mut self) -> anyhow::Result<()> {
        let Some(sandbox) = &mut self.sandbox else { return Ok(()) };
        for stream in Stream::BOTH {
            match sandbox.copy(stream, &self.context.console).await {
                Ok(_) => {}
                Err(error) if error.is::<Failure>() => {
                    tracing::debug!("cannot read what the task wrote: {error}")
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn out_of_time(&mut self) -> anyhow::Result<i32> {
        let time = self.context.timeout.unwrap_or_default();
        match self.stage {
            Stage::Waiting => {
                let cause = format!(
                    "no place for {} within {time:?}\n{}",
                    self.needs.text(),
                    self.reasons().await
                );
                Err(Failure::new(
                    EXIT_NOT_PLACED,
                    cause.trim_end(),
                    "ask for less, or wait longer with --timeout",
                )
                .into())
            }
            Stage::Launched { .. } => Err(Failure::new(
                EXIT_TIMEOUT,
                format!("the task did not end within {time:?}, and is ended"),
                "allow more time with --timeout",
            )
            .into()),
        }
    }

    /// Why it has no place yet.
    async fn reasons(&self) -> String {
        let Some(framework) = &self.framework else {
            return "no master has welcomed the framework yet".to_owned();
        };
        match explain::ask(self.context, framework.as_str(), Some(&self.needs.text())).await {
            Ok(explained) => match explained.reasons.as_slice() {
                [] => "there are no agents: `holdfast agent list`".to_owned(),
                reasons => explain::reasons(reasons).render(false, false),
            },
            Err(failure) => failure.cause,
        }
    }

    /// Removes the framework, and waits until the master says that it is gone.
    async fn tear_down(&mut self) {
        if self.framework.is_none() {
            return;
        }
        self.session.send(Call::Teardown).await;
        let over = async { while let SessionEvent::Event(_) = self.session.next().await {} };
        if tokio::time::timeout(TEARDOWN_TIMEOUT, over).await.is_err() {
            self.context
                .remark("the master has not yet removed the framework; it will within a minute");
        }
    }
}
