//! `task kill`: ask a task to end, as its framework could.

use serde_json::{json, Value};

use super::change::{confirm, put_plan, DestroyArgs};
use super::choose::{FRAMEWORK, TASK};
use super::Context;
use crate::failure::{Failure, EXIT_NOT_FOUND};
use crate::output::Row;

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
    let ended: Vec<Value> = tasks.extract_if(.., |it| Row(it).is("ended")).collect();
    let row = match TASK.choose(&tasks, &args.task) {
        Ok(task) => Row(task),
        Err(failure) => return Err(ended_before(&ended, &args.task).unwrap_or(failure).into()),
    };
    let (id, framework) = (row.text("id"), row.text("framework"));
    if args.destroy.plan.plan {
        let plan = json!({ "action": "KILL", "task": id, "name": row.text("name"), "framework": framework, "agent": row.text("agent") });
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
) -> Result<Vec<Value>, Failure> {
    let mut tasks = context.master.rows("tasks").await?;
    if let Some(given) = framework {
        let frameworks = context.master.rows("frameworks").await?;
        let id = Row(FRAMEWORK.choose(&frameworks, given)?).text("id").to_owned();
        tasks.retain(|it| it["framework"] == *id);
    }
    Ok(tasks)
}

/// A better word than "not found" for what has ended.
fn ended_before(ended: &[Value], given: &str) -> Option<Failure> {
    let cause = match TASK.choose(ended, given) {
        Ok(task) => format!(
            "task `{}` has ended already ({})",
            Row(task).text("id"),
            Row(task).text("state")
        ),
        Err(failure) if failure.code == EXIT_NOT_FOUND => return None,
        Err(_) => format!("all tasks that could be `{given}` have ended already"),
    };
    Some(Failure::not_found(cause, "see `holdfast task list`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_ended_is_named() {
        let ended = [json!({ "id": "t-1", "name": "node", "state": "TASK_FAILED" })];
        assert!(ended_before(&ended, "node")
            .unwrap()
            .cause
            .contains("`t-1` has ended already (TASK_FAILED)"));
        assert!(ended_before(&ended, "other").is_none());
        let twice =
            [ended[0].clone(), json!({ "id": "t-2", "name": "node", "state": "TASK_FINISHED" })];
        assert!(ended_before(&twice, "node")
            .unwrap()
            .cause
            .contains("all tasks that could be `node`"));
    }
}
