//! `role list`: the roles in the order in which they are served.

use serde_json::Value;

use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, Column, Row, Table};

/// The list of roles.
pub const ROLES: Listing = Listing { page: "roles", id: "role", table };

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    ROLES.show(context, args, |_| true).await
}

fn table(rows: &[Value], _now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ROLE"),
        Column::right("WEIGHT"),
        Column::right("SHARE"),
        Column::right("FRAMEWORKS"),
        Column::left("RESERVED"),
        Column::left("RESOURCES").wide(),
    ]);
    for row in rows.iter().map(Row) {
        table.push(vec![
            row.text("role").into(),
            row.number("weight").into(),
            format!("{:.1} %", row.number("share") * 100.0).into(),
            row.count("frameworks").into(),
            amounts::summary(row.text("reserved")).into(),
            row.text("reserved").into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let row = serde_json::json!({ "role": "db", "weight": 1.5, "share": 0.1234, "reserved": "disk(db):1024", "frameworks": 2 });
        let text = "\
ROLE  WEIGHT   SHARE  FRAMEWORKS  RESERVED
db       1.5  12.3 %           2  disk 1 GiB
";
        assert_eq!(table(&[row], 0).render(false, false), text);
    }
}
