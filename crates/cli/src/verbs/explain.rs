//! `explain`: why a framework or a task is where it is, or is not.

use serde_json::Value;

use super::choose::{FRAMEWORK, TASK};
use super::claim_list::CLAIMS;
use super::context::now_ms;
use super::offer_list::OFFERS;
use super::sheet::Sheet;
use super::task_list::TASKS;
use super::Context;
use crate::failure::{Failure, EXIT_NOT_FOUND};
use crate::output::{ids, Column, Row, Table};

/// About what.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// A framework or a task: its id, the beginning of it, or its name.
    pub about: String,
    /// What it waits for, such as `cpus:2;mem:1024;disk(db):10240`: then the reasons are about that. For a task that does not run, what it
    /// would use is taken.
    #[arg(long)]
    pub resources: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or nothing is called so.
pub async fn run(context: &Context, args: &ExplainArgs) -> anyhow::Result<i32> {
    let about = resolve(context, &args.about).await?;
    let explained = ask(context, &about, args.resources.as_deref()).await?;
    if context.quiet {
        context.console.put(&format!("{}\n", Row(&explained).text("framework")))?;
    } else if context.format.is_table() {
        context
            .console
            .put(&sheet(&explained, context.is_wide(), context.console.colours).text())?;
    } else {
        context.put_value(&explained)?;
    }
    Ok(0)
}

/// The masters' explanation.
///
/// # Errors
/// When no master answers, or nothing is called so.
pub async fn ask(
    context: &Context,
    about: &str,
    resources: Option<&str>,
) -> Result<Value, Failure> {
    let mut pairs = vec![("about", about)];
    pairs.extend(resources.map(|it| ("resources", it)));
    context.master.get("explain", &pairs).await
}

/// The id that is meant, of a framework or else of a task.
async fn resolve(context: &Context, given: &str) -> Result<String, Failure> {
    let frameworks = context.master.rows("frameworks").await?;
    let (live, removed): (Vec<Value>, Vec<Value>) =
        frameworks.into_iter().partition(|it| it["state"] != "removed");
    let tasks = context.master.rows("tasks").await?;
    let tries = [
        FRAMEWORK.choose(&live, given),
        TASK.choose(&tasks, given),
        FRAMEWORK.choose(&removed, given),
    ];
    for found in tries {
        match found {
            Ok(row) => return Ok(Row(row).text("id").to_owned()),
            Err(failure) if failure.code == EXIT_NOT_FOUND => {}
            Err(failure) => return Err(failure),
        }
    }
    let hint = "see `holdfast framework list` and `holdfast task list`";
    Err(Failure::not_found(format!("no framework and no task is called `{given}`"), hint))
}

fn sheet(explained: &Value, wide: bool, colours: bool) -> Sheet {
    let row = Row(explained);
    let mut sheet = Sheet::default();
    sheet
        .line("task", row.text("task"))
        .line("framework", format!("{} ({})", row.text("name"), row.text("framework")))
        .line("now", row.text("summary"))
        .table("Tasks", &(TASKS.table)(row.rows("tasks"), now_ms()), wide, colours)
        .table("Volumes", &(CLAIMS.table)(row.rows("volumes"), now_ms()), wide, colours)
        .table(
            "Offers that it has not answered",
            &(OFFERS.table)(row.rows("offers"), now_ms()),
            wide,
            colours,
        )
        .table("Why it is not offered more", &reasons(row.rows("reasons")), wide, colours);
    sheet
}

/// The reasons of an explanation as a table.
pub fn reasons(rows: &[Value]) -> Table {
    let mut table = Table::new(&[
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("ROLE"),
        Column::left("WHY NOT"),
    ]);
    for row in rows.iter().map(Row) {
        table.push(vec![
            ids::short(row.text("agent")).into(),
            row.text("hostname").into(),
            row.text("role").into(),
            row.text("reason").into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_sheet() {
        let explained = json!({
            "framework": "f-1", "name": "run", "summary": "framework run: 0 live tasks, 0 unanswered offers", "tasks": [], "offers": [],
            "reasons": [{ "agent": "a", "hostname": "h", "role": "*", "reason": "has 1 cpus free, 2 are wanted" }]
        });
        let text = "\
framework  run (f-1)
now        framework run: 0 live tasks, 0 unanswered offers

Why it is not offered more
  AGENT  HOST  ROLE  WHY NOT
  a      h     *     has 1 cpus free, 2 are wanted
";
        assert_eq!(sheet(&explained, false, false).text(), text);
    }

    #[test]
    fn the_sheet_of_a_task() {
        let explained = json!({
            "framework": "f-1", "name": "db", "task": "t", "summary": "task t is TASK_FAILED: exited with 3", "offers": [], "reasons": [],
            "tasks": [{ "id": "t", "state": "TASK_FAILED", "ended": true }],
            "volumes": [{ "id": "c", "kind": "volume", "volume": "data-0", "agent": "a", "state": "ready" }]
        });
        let text = sheet(&explained, false, false).text();
        assert!(text.starts_with("task       t\nframework  db (f-1)\nnow        task t is TASK_FAILED: exited with 3\n"), "{text}");
        assert!(text.contains("\nVolumes\n") && text.contains("data-0"), "{text}");
    }
}
