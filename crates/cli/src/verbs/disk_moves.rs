//! `disk moves`: disks that are moved from one agent to another, how far each has come, and whom it waits for.

use holdfast_api::rows::{DiskMoveRow, DiskMoveState};

use super::choose::agent_filter;
use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{human, ids, Cell, Column, Table};

/// The list of moves.
pub const MOVES: Listing<DiskMoveRow> = Listing { table };

/// Which moves.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskMovesArgs {
    #[command(flatten)]
    watch: WatchArgs,
    /// Only those from or to this agent.
    #[arg(long)]
    agent: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such agent.
pub async fn run(context: &Context, args: &DiskMovesArgs) -> anyhow::Result<i32> {
    let agent = agent_filter(context, args.agent.as_deref()).await?;
    let keep =
        |row: &DiskMoveRow| agent.as_ref().is_none_or(|it| [&row.from, &row.to].contains(&it));
    MOVES.show(context, args.watch, keep).await
}

fn table(rows: &[&DiskMoveRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("DISK"),
        Column::left("DISK ID").wide(),
        Column::left("FROM"),
        Column::left("PATH THERE").wide(),
        Column::left("TO"),
        Column::left("PATH"),
        Column::right("CLAIMS"),
        Column::left("STATE"),
        Column::left("SINCE"),
        Column::left("BY"),
        Column::left("WAITS FOR"),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.from_hostname.as_str().into(),
            row.from_root.as_str().into(),
            row.to_hostname.as_str().into(),
            row.root.as_str().into(),
            row.claims.into(),
            row.state.word().into(),
            human::ago(now_ms, row.since_ms.unwrap_or(0)).into(),
            row.cancelled_by.as_ref().unwrap_or(&row.by).as_str().into(),
            match row.is_connected {
                true => waits_for(row).into(),
                false => Cell::bad(format!("{}; that agent is not connected", waits_for(row))),
            },
        ]);
    }
    table
}

/// What has to be done next.
pub fn waits_for(row: &DiskMoveRow) -> String {
    let host = &row.waits_for_hostname;
    match row.state {
        DiskMoveState::Fencing => format!("{host} to let go of it"),
        DiskMoveState::Taking => format!("{host} to take it over"),
        DiskMoveState::Lifting => format!("{host} to use it again"),
        DiskMoveState::Moved => format!("{host} to end its claims of it"),
        DiskMoveState::Cancelling | DiskMoveState::Recalling => {
            format!("{host} to say whether it has taken it over")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let row = DiskMoveRow {
            id: "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9".to_owned(),
            from: "c-S1".to_owned(),
            from_hostname: "h1".to_owned(),
            from_root: "/mnt/d1".to_owned(),
            to: "c-S2".to_owned(),
            to_hostname: "h2".to_owned(),
            root: "/mnt/d2".to_owned(),
            state: DiskMoveState::Taking,
            waits_for: "c-S2".to_owned(),
            waits_for_hostname: "h2".to_owned(),
            is_connected: false,
            claims: 2,
            since_ms: Some(1000),
            by: "ops".to_owned(),
            reason: None,
            cancelled_by: None,
            cancel_reason: None,
        };
        let text = "\
DISK      FROM  TO  PATH     CLAIMS  STATE   SINCE   BY   WAITS FOR
0d1e2f30  h1    h2  /mnt/d2       2  taking  9s ago  ops  h2 to take it over; that agent is not connected
";
        assert_eq!(table(&[&row], 10_000).render(false, false), text);
    }
}
