//! `task kill`: ask a task to end, as its framework could.

use holdfast_api::rows::{FrameworkRow, TaskRow};
use serde_json::json;

use super::change::{confirm, put_plan, DestroyArgs};
use super::choose::choose;
use super::rows::Received;
use super::Context;
use crate::failure::{Failure, EXIT_NOT_FOUND};

/// Which task.
#[derive(Clone, Debug, clap::Args)]
pub struct TaskKillArgs {
    /// Its id, the beginning of it, or its name.
    pub task: String,
    /// Whose, when two frameworks have such a task.
    #[arg(long)]
    pub framework: Option<String>,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &TaskKillArgs) -> anyhow::Result<i32> {
    let mut tasks = of_framework(context, args.framework.as_deref()).await?;
    let ended: Vec<Received<TaskRow>> = tasks.extract_if(.., |it| it.ended).collect();
    let row = match choose(&tasks, &args.task) {
        Ok(task) => task,
        Err(failure) => return Err(ended_before(&ended, &args.task).unwrap_or(failure).into()),
    };
    let (id, framework) = (&row.id, &row.framework);
    if args.destroy.plan.plan {
        let plan = json!({ "action": "KILL", "task": id, "name": row.name, "framework": framework, "agent": row.agent });
        return put_plan(context, &plan);
    }
    confirm(context, &format!("Kill task `{id}` of framework {framework}?"), args.destroy)?;
    context.master.post("kill", &[("framework", framework), ("task", id)]).await?;
    context.remark(&format!("task `{id}` was asked to end; see `holdfast task list --watch`"));
    Ok(0)
}

/// The tasks of a framework, or all.
///
/// # Errors
/// When no master answers, or there is no such framework.
pub async fn of_framework(
    context: &Context,
    framework: Option<&str>,
) -> Result<Vec<Received<TaskRow>>, Failure> {
    let mut tasks = context.master.rows::<TaskRow>().await?;
    if let Some(given) = framework {
        let frameworks = context.master.rows::<FrameworkRow>().await?;
        let id = &choose(&frameworks, given)?.id;
        tasks.retain(|it| it.framework == *id);
    }
    Ok(tasks)
}

/// A better word than "not found" for what has ended.
fn ended_before(ended: &[Received<TaskRow>], given: &str) -> Option<Failure> {
    let cause = match choose(ended, given) {
        Ok(task) => format!("task `{}` has ended already ({})", task.id, task.state.name()),
        Err(failure) if failure.code == EXIT_NOT_FOUND => return None,
        Err(_) => format!("all tasks that could be `{given}` have ended already"),
    };
    Some(Failure::not_found(cause, "see `holdfast task list`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    #[test]
    fn a_task_that_ended_is_named() {
        let task = |id: &str, state: &str| -> Received<TaskRow> {
            testbed::received(json!({ "id": id, "name": "node", "state": state }))
        };
        let ended = [task("t-1", "TASK_FAILED")];
        assert!(ended_before(&ended, "node")
            .unwrap()
            .cause
            .contains("`t-1` has ended already (TASK_FAILED)"));
        assert!(ended_before(&ended, "other").is_none());
        let twice = [ended[0].clone(), task("t-2", "TASK_FINISHED")];
        assert!(ended_before(&twice, "node")
            .unwrap()
            .cause
            .contains("all tasks that could be `node`"));
    }
}
