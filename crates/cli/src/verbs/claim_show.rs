//! `claim show`: one reservation or volume, with all that ever happened to it.

use holdfast_api::rows::{ClaimKind, ClaimRow};

use super::choose::choose;
use super::claim_list::holder;
use super::claim_where::{state, used, SHARED};
use super::context::now_ms;
use super::listing::WatchArgs;
use super::sheet::Sheet;
use super::show::{show, Shown};
use super::Context;
use crate::failure::Failure;
use crate::output::{amounts, human, Column, Table};

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
    let claims = context.master.rows::<ClaimRow>().await?;
    let claim = choose(&claims, given)?;
    let sheet = sheet(claim, now_ms(), context.is_wide()).text();
    Ok(Shown { id: claim.id.clone(), value: claim.raw.clone(), sheet })
}

fn sheet(row: &ClaimRow, now_ms: u64, wide: bool) -> Sheet {
    let mut history = Table::new(&[
        Column::left("WHEN"),
        Column::right("GENERATION"),
        Column::left("WHAT"),
        Column::left("BY"),
    ]);
    for event in &row.history {
        let when = human::ctx(event.at_ms);
        history.push(vec![
            when.into(),
            event.generation.into(),
            event.what.as_str().into(),
            event.by.as_str().into(),
        ]);
    }
    let mut sheet = Sheet::default();
    sheet
        .line("id", &row.id)
        .line("kind", row.kind.word())
        .line("state", state(row))
        .line("fault", row.fault.as_deref().unwrap_or_default())
        .line("volume", row.volume.as_deref().unwrap_or_default())
        .line("role", &row.role)
        .line("principal", row.principal.as_deref().unwrap_or_default())
        .line("labels", row.labels.join(", "))
        .line("holds", format!("{} {}", row.resource, amounts::of(&row.resource, row.amount)))
        .line("used", if row.kind == ClaimKind::Volume { used(row, now_ms) } else { String::new() })
        .line("held by", holder(row))
        .line("shared", if row.shared { SHARED } else { "" })
        .line("used by", row.used_by().unwrap_or_default())
        .line("agent", format!("{} ({}, {})", row.agent, row.hostname, row.agent_state))
        .line("disk", row.disk.as_deref().unwrap_or_default())
        .line("made", human::ago(now_ms, row.created_ms))
        .table("History", &history, wide, false);
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn the_sheet() {
        let claim = testbed::row(json!({
            "id": "aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9", "kind": "volume", "state": "missing", "fault": "the disk is not there", "volume": "data-0",
            "role": "db", "principal": null, "resource": "disk", "amount": 2048.0, "agent": "S0", "hostname": "h1", "agent_state": "well", "disk": "d",
            "framework": null, "unclaimed": true, "task": null, "generation": 2, "created_ms": 1000,
            "history": [{ "at_ms": 1000, "generation": 1, "what": "created", "by": "operator", "operation": "CREATE" }, { "at_ms": 2000, "generation": 2, "what": "ready", "by": "agent", "operation": null }]
        }));
        let text = "\
id       aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9
kind     volume
state    missing
fault    the disk is not there
volume   data-0
role     db
holds    disk 2 GiB
used     not measured
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
