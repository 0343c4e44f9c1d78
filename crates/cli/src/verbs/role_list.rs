//! `role list`: the roles in the order in which they are served, and those of which no framework is here.

use holdfast_api::rows::RoleRow;

use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, Column, Table};

/// The list of roles.
pub const ROLES: Listing<RoleRow> = Listing { table };

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    ROLES.show(context, args, |_| true).await
}

fn table(rows: &[&RoleRow], _now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ROLE"),
        Column::right("WEIGHT"),
        Column::right("SHARE"),
        Column::right("FRAMEWORKS"),
        Column::left("RESERVED"),
        Column::left("RESOURCES").wide(),
    ]);
    for row in rows {
        table.push(vec![
            row.role.as_str().into(),
            row.weight.into(),
            format!("{:.1} %", row.share * 100.0).into(),
            row.frameworks.into(),
            amounts::summary(&row.reserved).into(),
            row.reserved.as_str().into(),
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
        let row = testbed::row(
            serde_json::json!({ "role": "db", "weight": 1.5, "share": 0.1234, "reserved": "disk(db):1024", "frameworks": 2 }),
        );
        let text = "\
ROLE  WEIGHT   SHARE  FRAMEWORKS  RESERVED
db       1.5  12.3 %           2  disk 1 GiB
";
        assert_eq!(table(&[&row], 0).render(false, false), text);
    }
}
