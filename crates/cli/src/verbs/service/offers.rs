//! `service offers`: the last offers that a service was made, and why each was not used.

use holdfast_sdk::net::rows::OfferRow;

use super::find::find;
use crate::output::{human, ids, Column, Table};
use crate::verbs::context::now_ms;
use crate::verbs::listing::WatchArgs;
use crate::verbs::show::{show, Shown};
use crate::verbs::Context;

/// Whose.
#[derive(Clone, Debug, clap::Args)]
pub struct OffersArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// How it is read.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Runs the verb.
///
/// # Errors
/// When there is no such service, or it does not answer.
pub async fn run(context: &Context, args: &OffersArgs) -> anyhow::Result<i32> {
    show(context, args.watch, || async {
        let service = find(context, &args.service).await?;
        let rows = service.get::<Vec<OfferRow>>("/v1/offers").await?;
        if rows.is_empty() {
            context.remark(&format!("service `{}` was made no offer lately", service.name));
        }
        let id = rows.iter().map(|it| it.agent.as_str()).collect::<Vec<_>>().join("\n");
        let sheet = match rows.is_empty() {
            true => String::new(),
            false => table(&rows, now_ms()).render(context.is_wide(), context.console.colours),
        };
        Ok(Shown { id, value: rows.raw, sheet })
    })
    .await
}

fn table(rows: &[OfferRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("CAME"),
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("USED FOR"),
        Column::left("WHY NOT"),
    ]);
    for row in rows {
        table.push(vec![
            human::ago(now_ms, row.at_ms).into(),
            ids::short(&row.agent).into(),
            row.hostname.as_str().into(),
            human::or_dash(Some(&row.taken.join(", "))).into(),
            human::or_dash(Some(&row.why_not.join("; "))).into(),
        ]);
    }
    table
}
