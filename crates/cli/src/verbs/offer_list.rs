//! `offer list`: what is offered now, to whom and for how long already.

use holdfast_api::rows::OfferRow;

use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, human, ids, Column, Table};

/// The list of offers.
pub const OFFERS: Listing<OfferRow> = Listing { table };

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    OFFERS.show(context, args, |_| true).await
}

fn table(rows: &[&OfferRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("OFFER ID").wide(),
        Column::left("FRAMEWORK"),
        Column::left("ROLE"),
        Column::left("AGENT"),
        Column::left("OFFERED"),
        Column::left("MADE"),
        Column::left("RESOURCES").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            ids::short(&row.framework).into(),
            row.role.as_str().into(),
            ids::short(&row.agent).into(),
            amounts::summary(&row.resources).into(),
            human::ago(now_ms, row.made_ms).into(),
            row.resources.as_str().into(),
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
            serde_json::json!({ "id": "o1", "framework": "f", "role": "*", "agent": "a", "resources": "cpus:2; disk(db):10", "made_ms": 1000 }),
        );
        let text = "\
ID  FRAMEWORK  ROLE  AGENT  OFFERED              MADE
o1  f          *     a      cpus 2, disk 10 MiB  2s ago
";
        assert_eq!(table(&[&row], 3000).render(false, false), text);
    }
}
