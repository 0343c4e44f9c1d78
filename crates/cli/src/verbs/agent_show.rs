//! `agent show`: one agent with its disks, claims and tasks, in every format.

use serde_json::{json, Value};

use super::agent_list::AGENTS;
use super::choose::AGENT;
use super::claim_list::CLAIMS;
use super::context::now_ms;
use super::disk_list::DISKS;
use super::listing::WatchArgs;
use super::sheet::Sheet;
use super::show::{show, Shown};
use super::task_list::TASKS;
use super::Context;
use crate::failure::Failure;
use crate::output::{human, Row};

/// Which agent.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentShowArgs {
    /// Its id, the beginning of it, its short form (S0), or its host.
    pub agent: String,
    /// Whether it is shown again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such agent.
pub async fn run(context: &Context, args: &AgentShowArgs) -> anyhow::Result<i32> {
    show(context, args.watch, || read(context, &args.agent)).await
}

async fn read(context: &Context, given: &str) -> Result<Shown, Failure> {
    let agents = context.master.rows(AGENTS.page).await?;
    let agent = AGENT.choose(&agents, given)?;
    let row = Row(agent);
    let mut sheet = Sheet::default();
    head(&mut sheet, row);
    let mut value = json!({ "agent": agent });
    for (heading, listing) in [("Disks", DISKS), ("Claims", CLAIMS), ("Tasks", TASKS)] {
        let mut rows = context.master.rows(listing.page).await?;
        rows.retain(|it: &Value| it["agent"] == agent["id"]);
        sheet.table(
            heading,
            &(listing.table)(&rows, now_ms()),
            context.is_wide(),
            context.console.colours,
        );
        value[listing.page] = Value::from(rows);
    }
    Ok(Shown { id: row.text("id").to_owned(), value, sheet: sheet.text() })
}

fn head(sheet: &mut Sheet, row: Row<'_>) {
    sheet
        .line("id", row.text("id"))
        .line("host", row.text("hostname"))
        .line("address", row.text("address"))
        .line("state", row.text("state"))
        .line("why", row.text("why"))
        .line("total", row.text("total"))
        .line("free", row.text("free"))
        .line("used", row.text("used"))
        .line("ledger", format!("version {}", row.count("ledger_version")))
        .line("registered", human::ago(now_ms(), row.count("reregistered_ms")));
}
