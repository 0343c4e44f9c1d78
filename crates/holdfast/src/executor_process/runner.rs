//! The loop of both built-in executors: a command is a group of one that lives in the sandbox itself.
//!
//! Relies on the SDK to keep statuses and to follow children. Never ends while something that it said is not acknowledged, unless the
//! agent is lost or the time to end is over.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use holdfast_model::convert::{task, Format};
use holdfast_model::{Capability, Resource, TaskId, TaskInfo};
use holdfast_sdk::net::executor::{ChildPlan, ChildTasks, Ended, Environment, Executor, Heard, Output};
use holdfast_sdk::net::stop_signal;

use super::groups::Groups;
use super::task_directory;

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
    /// What the executor itself was given.
    resources: Vec<Resource>,
    tells_killing: bool,
}

impl Runner {
    /// An executor in the environment of this process, which looks for its agent from now on.
    pub fn new(kind: Kind) -> anyhow::Result<Runner> {
        Ok(Runner::in_environment(kind, Environment::from_env()?))
    }

    fn in_environment(kind: Kind, environment: Environment) -> Runner {
        let executor = Executor::start(environment.clone());
        let children = ChildTasks::new(executor.teller());
        Runner { kind, environment, executor, children, groups: Groups::default(), resources: Vec::new(), tells_killing: false }
    }

    /// Runs to the end.
    pub async fn run(mut self) -> anyhow::Result<i32> {
        std::env::set_current_dir(&self.environment.sandbox)
            .with_context(|| format!("cannot enter the sandbox {}", self.environment.sandbox.display()))?;
        self.serve().await;
        Ok(0)
    }

    async fn serve(&mut self) {
        let stop = stop_signal();
        tokio::pin!(stop);
        let teller = self.executor.teller();
        let why = loop {
            tokio::select! {
                biased; // A task that is given last is taken before the end is.
                heard = self.executor.next() => match heard {
                    Some(Heard::Shutdown(why)) => break why,
                    Some(heard) => self.hear(heard),
                    None => break "the agent is lost".to_owned(),
                },
                ended = self.children.next_ended() => self.end(&ended),
                settled = teller.settled(), if self.groups.are_over() => {
                    return tracing::info!("all tasks have ended{}", if settled { "" } else { ", but not all was acknowledged" });
                }
                () = &mut stop => break "the executor was told to end by a signal".to_owned(),
            }
        };
        tracing::info!("ending: {why}");
        let grace = self.environment.shutdown_grace;
        // The agent takes the container away after this time; what is said should be said before.
        self.children.end_all_within(grace.mul_f64(0.6), &why).await;
        teller.settled_within(grace.max(Duration::from_secs(1))).await;
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Subscribed(welcome) => {
                self.tells_killing = welcome.framework.can(Capability::TaskKillingState);
                self.resources = welcome.executor.resources;
            }
            Heard::Launch(task) => self.launch(vec![*task]),
            Heard::LaunchGroup(tasks) => self.launch(tasks),
            Heard::Kill(task, grace) => self.children.kill(&task, grace, "killed as asked"),
            // These executors have nothing to hear from schedulers; the end is seen to by the loop.
            Heard::Message(_) | Heard::Shutdown(_) => {}
        }
    }

    fn launch(&mut self, tasks: Vec<TaskInfo>) {
        let spent = self.groups.are_given();
        self.groups.give(tasks.iter().map(|it| it.id.clone()));
        for task in tasks {
            let plan = match self.kind {
                Kind::Command if spent => Err("this executor runs one command, and was given another before".to_owned()),
                Kind::Command => Ok(plan(&task, &self.environment.sandbox)),
                Kind::Groups => task_directory::make(&self.environment.sandbox, &task, &self.resources).map(|it| group_plan(&task, &it)),
            };
            match plan {
                Ok(plan) => self.children.launch(&task.id, ChildPlan { tells_killing: self.tells_killing, ..plan }),
                Err(why) => self.children.fail(&task.id, &why),
            }
        }
    }

    fn end(&mut self, ended: &Ended) {
        let along: Vec<TaskId> = self.groups.end(&ended.task, ended.well);
        for task in along {
            self.children.kill(&task, None, &format!("task {} of its group has failed or was killed", ended.task));
        }
    }
}

fn plan(info: &TaskInfo, directory: &Path) -> ChildPlan {
    let wire = task::to_proto(info, Format::WHOLE);
    if wire.health_check.is_some() || wire.check.is_some() {
        tracing::warn!("task {} asks for checks, which this executor does not make; it runs without", info.id);
    }
    let lifetime = wire.max_completion_time.and_then(|it| u64::try_from(it.nanoseconds).ok()).map(Duration::from_nanos);
    ChildPlan { lifetime, tells_starting: true, ..ChildPlan::of(info, directory) }
}

fn group_plan(info: &TaskInfo, directory: &Path) -> ChildPlan {
    let mut plan = plan(info, directory).output(Output::Files(directory.to_owned()));
    let place = directory.to_string_lossy().into_owned();
    plan.environment.extend(["MESOS_SANDBOX", "MESOS_DIRECTORY"].map(|name| (name.to_owned(), place.clone())));
    plan
}
