//! `explain`: why a framework or a task is where it is, or is not.

use holdfast_api::rows::{ExplainRow, Explained, FrameworkRow, FrameworkStanding, TaskRow};

use super::choose::choose;
use super::claim_list::CLAIMS;
use super::context::now_ms;
use super::offer_list::OFFERS;
use super::rows::Received;
use super::service;
use super::sheet::Sheet;
use super::task_list::TASKS;
use super::Context;
use crate::failure::{Failure, EXIT_NOT_FOUND};
use crate::output::{ids, Column, Table};

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
        context.console.put(&format!("{}\n", explained.framework))?;
    } else if context.format.is_table() {
        let mut sheet = sheet(&explained, context.is_wide(), context.console.colours);
        if explained.task.is_none() {
            // A service knows best what its members wait for.
            let waits = service::waits_of(context, &explained.framework).await;
            sheet.table("What waits", &waits, context.is_wide(), context.console.colours);
        }
        context.console.put(&sheet.text())?;
    } else {
        context.put_value(&explained.raw)?;
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
) -> Result<Received<Explained>, Failure> {
    let mut pairs = vec![("about", about)];
    pairs.extend(resources.map(|it| ("resources", it)));
    Received::read("explain", context.master.get("explain", &pairs).await?)
}

/// The id that is meant, of a framework or else of a task.
async fn resolve(context: &Context, given: &str) -> Result<String, Failure> {
    let frameworks = context.master.rows::<FrameworkRow>().await?;
    let is_live = |it: &Received<FrameworkRow>| it.state != FrameworkStanding::Removed;
    let (live, removed): (Vec<_>, Vec<_>) = frameworks.into_iter().partition(is_live);
    let tasks = context.master.rows::<TaskRow>().await?;
    let tries = [
        choose(&live, given).map(|it| &it.id),
        choose(&tasks, given).map(|it| &it.id),
        choose(&removed, given).map(|it| &it.id),
    ];
    for found in tries {
        match found {
            Ok(id) => return Ok(id.clone()),
            Err(failure) if failure.code == EXIT_NOT_FOUND => {}
            Err(failure) => return Err(failure),
        }
    }
    let hint = "see `holdfast framework list` and `holdfast task list`";
    Err(Failure::not_found(format!("no framework and no task is called `{given}`"), hint))
}

fn sheet(explained: &Explained, wide: bool, colours: bool) -> Sheet {
    let tasks: Vec<_> = explained.tasks.iter().collect();
    let volumes: Vec<_> = explained.volumes.iter().collect();
    let offers: Vec<_> = explained.offers.iter().collect();
    let offered = (OFFERS.table)(&offers, now_ms());
    let mut sheet = Sheet::default();
    sheet
        .line("task", explained.task.as_deref().unwrap_or_default())
        .line("framework", format!("{} ({})", explained.name, explained.framework))
        .line("now", &explained.summary)
        .table("Tasks", &(TASKS.table)(&tasks, now_ms()), wide, colours)
        .table("Volumes", &(CLAIMS.table)(&volumes, now_ms()), wide, colours)
        .table("Offers that it has not answered", &offered, wide, colours)
        .table("Why it is not offered more", &reasons(&explained.reasons), wide, colours);
    sheet
}

/// The reasons of an explanation as a table.
pub fn reasons(rows: &[ExplainRow]) -> Table {
    let mut table = Table::new(&[
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("ROLE"),
        Column::left("WHY NOT"),
    ]);
    for row in rows {
        table.push(vec![
            ids::short(&row.agent).into(),
            row.hostname.as_str().into(),
            row.role.as_str().into(),
            row.reason.as_str().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use holdfast_api::rows::ClaimRow;
    use serde_json::json;

    fn explained(raw: serde_json::Value) -> Explained {
        Received::read("explain", raw).unwrap().row
    }

    #[test]
    fn the_sheet() {
        let explained = explained(json!({
            "framework": "f-1", "name": "run", "task": null, "summary": "framework run: 0 live tasks, 0 unanswered offers",
            "tasks": [], "volumes": [], "offers": [],
            "reasons": [{ "agent": "a", "hostname": "h", "role": "*", "offer": null, "reason": "has 1 cpus free, 2 are wanted" }]
        }));
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
        let explained = explained(json!({
            "framework": "f-1", "name": "db", "task": "t", "summary": "task t is TASK_FAILED: exited with 3", "offers": [], "reasons": [],
            "tasks": [testbed::received::<TaskRow>(json!({ "id": "t", "state": "TASK_FAILED", "ended": true })).raw],
            "volumes": [testbed::received::<ClaimRow>(json!({ "id": "c", "kind": "volume", "volume": "data-0" })).raw]
        }));
        let text = sheet(&explained, false, false).text();
        assert!(text.starts_with("task       t\nframework  db (f-1)\nnow        task t is TASK_FAILED: exited with 3\n"), "{text}");
        assert!(text.contains("\nVolumes\n") && text.contains("data-0"), "{text}");
    }
}
