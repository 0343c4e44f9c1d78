//! `task list`: the tasks, those that live first.

use holdfast_api::rows::{FrameworkRow, TaskRow};

use super::choose::choose;
use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, human, ids, Cell, Column, Table};

/// The list of tasks.
pub const TASKS: Listing<TaskRow> = Listing { table };

/// Which tasks.
#[derive(Clone, Debug, clap::Args)]
pub struct TaskListArgs {
    #[command(flatten)]
    watch: WatchArgs,
    /// Only those of this framework (id or name).
    #[arg(long)]
    framework: Option<String>,
    /// Only those that have not ended.
    #[arg(long)]
    live: bool,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such framework.
pub async fn run(context: &Context, args: &TaskListArgs) -> anyhow::Result<i32> {
    let framework = match &args.framework {
        Some(given) => {
            Some(choose(&context.master.rows::<FrameworkRow>().await?, given)?.id.clone())
        }
        None => None,
    };
    let keep = |row: &TaskRow| {
        framework.as_ref().is_none_or(|it| *it == row.framework) && !(args.live && row.ended)
    };
    TASKS.show(context, args.watch, keep).await
}

fn table(rows: &[&TaskRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("TASK ID").wide(),
        Column::left("NAME"),
        Column::left("STATE"),
        Column::left("FRAMEWORK"),
        Column::left("AGENT"),
        Column::left("RESOURCES"),
        Column::left("VOLUMES").optional(),
        Column::left("UPDATED"),
        Column::left("EXECUTOR").wide(),
        Column::left("MESSAGE").wide(),
    ]);
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|row| (row.ended, if row.ended { u64::MAX - row.updated_ms } else { 0 }));
    let all: Vec<&str> = sorted.iter().map(|row| row.id.as_str()).collect();
    for (row, short) in sorted.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.name.as_str().into(),
            Cell::state(row.state.name()),
            ids::short(&row.framework).into(),
            ids::short(&row.agent).into(),
            amounts::summary(&row.resources).into(),
            row.volumes.join(",").into(),
            human::ago(now_ms, row.updated_ms).into(),
            row.executor.as_str().into(),
            row.message.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn those_that_live_come_first_then_those_that_ended_last() {
        let row = |id: &str, state: &str, updated_ms: u64| {
            testbed::row::<TaskRow>(json!({
                "id": id, "name": "node", "framework": "f", "executor": "e", "agent": "a", "agent_address": null, "state": state, "message": "so it is",
                "resources": "cpus:1; mem:64", "volumes": [], "ended": state != "TASK_RUNNING", "updated_ms": updated_ms
            }))
        };
        let rows = [
            row("one", "TASK_FINISHED", 1000),
            row("two", "TASK_FAILED", 2000),
            row("three", "TASK_RUNNING", 1),
        ];
        let text = "\
ID     NAME  STATE          FRAMEWORK  AGENT  RESOURCES           UPDATED
three  node  TASK_RUNNING   f          a      cpus 1, mem 64 MiB  3s ago
two    node  TASK_FAILED    f          a      cpus 1, mem 64 MiB  1s ago
one    node  TASK_FINISHED  f          a      cpus 1, mem 64 MiB  2s ago
";
        let rows: Vec<&TaskRow> = rows.iter().collect();
        assert_eq!(table(&rows, 3001).render(false, false), text);
        assert!(table(&rows, 3001).render(true, false).contains("so it is"));
    }
}
