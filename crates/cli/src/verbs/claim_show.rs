//! `claim show`: one reservation or volume, with all that ever happened to it.

use serde_json::Value;

use super::choose::CLAIM;
use super::claim_list::{holder, CLAIMS};
use super::context::now_ms;
use super::listing::WatchArgs;
use super::sheet::Sheet;
use super::show::{show, Shown};
use super::Context;
use crate::failure::Failure;
use crate::output::{amounts, human, Column, Row, Table};

/// Which claim.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimShowArgs {
    /// Its id, the beginning of it, or the volume's name.
    pub claim: String,
    /// Whether it is shown again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such claim.
pub async fn run(context: &Context, args: &ClaimShowArgs) -> anyhow::Result<i32> {
    show(context, args.watch, || read(context, &args.claim)).await
}

async fn read(context: &Context, given: &str) -> Result<Shown, Failure> {
    let claims = context.master.rows(CLAIMS.page).await?;
    let claim = CLAIM.choose(&claims, given)?;
    let sheet = sheet(claim, now_ms(), context.is_wide()).text();
    Ok(Shown { id: Row(claim).text("id").to_owned(), value: claim.clone(), sheet })
}

fn sheet(claim: &Value, now_ms: u64, wide: bool) -> Sheet {
    let row = Row(claim);
    let mut history = Table::new(&[
        Column::left("WHEN"),
        Column::right("GENERATION"),
        Column::left("WHAT"),
        Column::left("BY"),
    ]);
    for event in row.rows("history").iter().map(Row) {
        let when = human::ctx(event.count("at_ms"));
        history.push(vec![
            when.into(),
            event.count("generation").into(),
            event.text("what").into(),
            event.text("by").into(),
        ]);
    }
    let mut sheet = Sheet::default();
    sheet
        .line("id", row.text("id"))
        .line("kind", row.text("kind"))
        .line("state", row.text("state"))
        .line("fault", row.text("fault"))
        .line("volume", row.text("volume"))
        .line("role", row.text("role"))
        .line("principal", row.text("principal"))
        .line(
            "holds",
            format!(
                "{} {}",
                row.text("resource"),
                amounts::of(row.text("resource"), row.number("amount"))
            ),
        )
        .line("held by", holder(row))
        .line("used by", row.text("task"))
        .line(
            "agent",
            format!(
                "{} ({}, {})",
                row.text("agent"),
                row.text("hostname"),
                row.text("agent_state")
            ),
        )
        .line("disk", row.text("disk"))
        .line("made", human::ago(now_ms, row.count("created_ms")))
        .table("History", &history, wide, false);
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_sheet() {
        let claim = json!({
            "id": "aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9", "kind": "volume", "state": "missing", "fault": "the disk is not there", "volume": "data-0",
            "role": "db", "principal": null, "resource": "disk", "amount": 2048.0, "agent": "S0", "hostname": "h1", "agent_state": "well", "disk": "d",
            "framework": null, "unclaimed": true, "task": null, "generation": 2, "created_ms": 1000,
            "history": [{ "at_ms": 1000, "generation": 1, "what": "created", "by": "operator" }, { "at_ms": 2000, "generation": 2, "what": "ready", "by": "agent" }]
        });
        let text = "\
id       aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9
kind     volume
state    missing
fault    the disk is not there
volume   data-0
role     db
holds    disk 2 GiB
held by  operator
agent    S0 (h1, well)
disk     d
made     5s ago

History
  WHEN                  GENERATION  WHAT     BY
  1970-01-01 00:00:01Z           1  created  operator
  1970-01-01 00:00:02Z           2  ready    agent
";
        assert_eq!(sheet(&claim, 6000, false).text(), text);
    }
}
