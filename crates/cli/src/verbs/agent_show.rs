//! `agent show`: one agent with its disks, claims and tasks, in every format.

use holdfast_api::rows::AgentRow;
use serde_json::{json, Value};

use super::choose::choose;
use super::claim_list::CLAIMS;
use super::context::now_ms;
use super::disk_list::DISKS;
use super::listing::{raw, Listing, WatchArgs};
use super::rows::{Listed, Received};
use super::sheet::Sheet;
use super::show::{show, Shown};
use super::task_list::TASKS;
use super::Context;
use crate::failure::Failure;
use crate::output::human;

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
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = choose(&agents, given)?;
    let mut shown = (Sheet::default(), json!({ "agent": agent.raw }));
    head(&mut shown.0, agent);
    add(context, &mut shown, "Disks", DISKS, |it| it.agent == agent.id).await?;
    add(context, &mut shown, "Claims", CLAIMS, |it| it.agent == agent.id).await?;
    add(context, &mut shown, "Tasks", TASKS, |it| it.agent == agent.id).await?;
    let (sheet, value) = shown;
    Ok(Shown { id: agent.id.clone(), value, sheet: sheet.text() })
}

/// Adds a list to what is shown: to the sheet, and to the value.
async fn add<T: Listed>(
    context: &Context,
    (sheet, value): &mut (Sheet, Value),
    heading: &'static str,
    listing: Listing<T>,
    keep: impl Fn(&T) -> bool,
) -> Result<(), Failure> {
    let mut rows: Vec<Received<T>> = context.master.rows().await?;
    rows.retain(|it| keep(it));
    sheet.table(heading, &listing.table(&rows), context.is_wide(), context.console.colours);
    value[T::PAGE] = raw(&rows);
    Ok(())
}

fn head(sheet: &mut Sheet, row: &AgentRow) {
    sheet
        .line("id", &row.id)
        .line("host", &row.hostname)
        .line("address", &row.address)
        .line("state", row.state.word())
        .line("why", row.why.as_deref().unwrap_or_default())
        .line("total", &row.total)
        .line("free", &row.free)
        .line("used", &row.used)
        .line("ledger", format!("version {}", row.ledger_version))
        .line("registered", human::ago(now_ms(), row.reregistered_ms));
}
