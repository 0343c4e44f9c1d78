//! `reservation list`: what is reserved, where and by whom. What one operation reserved together is one line.
//!
//! Relies on the masters' list of claims, which tells which operation made each. Never adds up what belongs to different holders.

use std::collections::BTreeMap;

use holdfast_api::rows::{ClaimKind, ClaimRow};

use super::choose::agent_filter;
use super::claim_list::holder;
use super::claim_where::state_cell;
use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, human, ids, Cell, Column, Table};

const RESERVATIONS: Listing<ClaimRow> = Listing { table };

/// Which reservations.
#[derive(Clone, Debug, clap::Args)]
pub struct ReservationListArgs {
    #[command(flatten)]
    watch: WatchArgs,
    /// Only those for this role.
    #[arg(long)]
    role: Option<String>,
    /// Only those of this agent.
    #[arg(long)]
    agent: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: &ReservationListArgs) -> anyhow::Result<i32> {
    let agent = agent_filter(context, args.agent.as_deref()).await?;
    let keep = |row: &ClaimRow| {
        row.kind == ClaimKind::Reservation
            && agent.as_ref().is_none_or(|it| *it == row.agent)
            && args.role.as_ref().is_none_or(|it| *it == row.role)
    };
    RESERVATIONS.show(context, args.watch, keep).await
}

/// The claims that one operation made for one role, in the order of the list. Claims of which that is not known stand alone.
fn together<'a>(rows: &[&'a ClaimRow]) -> Vec<Vec<&'a ClaimRow>> {
    let mut groups: Vec<Vec<&ClaimRow>> = Vec::new();
    let mut places: BTreeMap<(&str, &str, &str, &str), usize> = BTreeMap::new();
    for row in rows {
        let alone = row.id.as_str();
        let operation = row.made_by_operation.as_deref().unwrap_or(alone);
        let holder = row.framework.as_deref().unwrap_or_default();
        let key = (operation, row.agent.as_str(), row.role.as_str(), holder);
        match places.get(&key) {
            Some(at) => groups[*at].push(row),
            None => {
                places.insert(key, groups.len());
                groups.push(vec![row]);
            }
        }
    }
    groups
}

/// What they hold, such as `cpus 2, mem 1 GiB, disk 10 GiB on /srv/d1`.
fn resources(group: &[&ClaimRow]) -> String {
    let one = |row: &&ClaimRow| {
        let place = row.disk_root.as_ref().map(|it| format!(" on {it}")).unwrap_or_default();
        format!("{} {}{place}", row.resource, amounts::of(&row.resource, row.amount))
    };
    let mut group = group.to_vec();
    let rank = |it: &str| ["cpus", "mem", "disk"].iter().position(|name| *name == it).unwrap_or(3);
    group.sort_by_key(|it| (rank(&it.resource), it.resource.clone(), it.disk_root.clone()));
    group.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn table(rows: &[&ClaimRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("IDS"),
        Column::left("CLAIM IDS").wide(),
        Column::left("STATE"),
        Column::left("ROLE"),
        Column::left("RESOURCES"),
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("HELD BY"),
        Column::left("MADE"),
        Column::left("FAULT").optional(),
        Column::left("PRINCIPAL").wide(),
        Column::left("LABELS").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    let short: BTreeMap<&str, String> =
        all.iter().copied().zip(ids::short_all(&all).into_iter().map(Into::into)).collect();
    for group in together(rows) {
        let ids: Vec<&str> = group.iter().map(|it| short[it.id.as_str()].as_str()).collect();
        let whole: Vec<&str> = group.iter().map(|it| it.id.as_str()).collect();
        let worst = group.iter().find(|it| it.fault.is_some()).unwrap_or(&group[0]);
        let (first, labels) = (group[0], worst.labels.join(", "));
        table.push(vec![
            ids.join(", ").into(),
            whole.join(", ").into(),
            state_cell(worst),
            first.role.as_str().into(),
            resources(&group).into(),
            ids::short(&first.agent).into(),
            first.hostname.as_str().into(),
            holder(first).into(),
            human::ago(now_ms, first.created_ms).into(),
            Cell::bad(worst.fault.as_deref().unwrap_or_default()),
            human::or_dash(first.principal.as_deref()).into(),
            human::or_dash(Some(labels.as_str()).filter(|it| !it.is_empty())).into(),
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
    fn what_one_operation_reserved_for_one_holder_is_one_line() {
        let row = |id: &str,
                   resource: &str,
                   amount: f64,
                   operation: Option<&str>,
                   by: Option<&str>| {
            testbed::row(json!({
                "id": format!("{id}-4151-6172-8393-a4b5c6d7e8f9"), "kind": "reservation", "state": "ready", "fault": null, "volume": null,
                "role": "db", "principal": null, "resource": resource, "amount": amount, "agent": "c-S0", "hostname": "h1",
                "agent_state": "well", "disk": null, "framework": by, "unclaimed": by.is_none(), "task": null, "generation": 1,
                "created_ms": 1, "history": [], "made_by_operation": operation
            }))
        };
        let rows = [
            row("aaaaaaaa", "disk", 2048.0, Some("o1"), None),
            row("bbbbbbbb", "cpus", 1.5, Some("o1"), None),
            row("cccccccc", "mem", 512.0, Some("o1"), None),
            row("dddddddd", "cpus", 1.0, Some("o2"), Some("c-0001")),
            row("eeeeeeee", "mem", 32.0, None, None),
        ];
        let text = "\
IDS                           STATE  ROLE  RESOURCES                          AGENT  HOST  HELD BY   MADE
aaaaaaaa, bbbbbbbb, cccccccc  ready  db    cpus 1.5, mem 512 MiB, disk 2 GiB  c-S0   h1    the role  1m ago
dddddddd                      ready  db    cpus 1                             c-S0   h1    c-0001    1m ago
eeeeeeee                      ready  db    mem 32 MiB                         c-S0   h1    the role  1m ago
";
        assert_eq!(table(&rows.iter().collect::<Vec<_>>(), 60_001).render(false, false), text);
    }
}
