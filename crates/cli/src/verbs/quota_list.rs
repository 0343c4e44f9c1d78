//! `quota list`: the roles that have quota, and what each has of it.

use holdfast_api::rows::QuotaRow;

use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, Column, Table};

/// The list of roles that have quota.
pub const QUOTAS: Listing<QuotaRow> = Listing { table };

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    QUOTAS.show(context, args, |_| true).await
}

fn table(rows: &[&QuotaRow], _now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ROLE"),
        Column::left("GUARANTEED"),
        Column::left("LIMITED TO"),
        Column::left("HAS"),
    ]);
    for row in rows {
        let amounts = |text: &str| amounts::summary(text);
        table.push(vec![
            row.role.as_str().into(),
            amounts(&row.guarantees).into(),
            amounts(&row.limits).into(),
            amounts(&row.has).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    #[test]
    fn the_table() {
        let row = testbed::row(serde_json::json!({
            "role": "db", "guarantees": "cpus:4; mem:1024", "limits": "cpus:8", "has": "cpus:2.5; disk:10240",
        }));
        let text = "\
ROLE  GUARANTEED         LIMITED TO  HAS
db    cpus 4, mem 1 GiB  cpus 8      cpus 2.5, disk 10 GiB
";
        assert_eq!(table(&[&row], 0).render(false, false), text);
    }
}
