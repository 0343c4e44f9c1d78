//! `service endpoints`: where the members of a service can be reached.

use holdfast_sdk::net::rows::EndpointRow;

use super::find::find;
use crate::output::{Column, Table};
use crate::verbs::listing::WatchArgs;
use crate::verbs::show::{show, Shown};
use crate::verbs::Context;

/// Whose.
#[derive(Clone, Debug, clap::Args)]
pub struct EndpointsArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// Only the ports of this name.
    #[arg(long)]
    pub port: Option<String>,
    /// How it is read.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Runs the verb.
///
/// # Errors
/// When there is no such service, or it does not answer.
pub async fn run(context: &Context, args: &EndpointsArgs) -> anyhow::Result<i32> {
    show(context, args.watch, || async {
        let service = find(context, &args.service).await?;
        let mut rows = service.get::<Vec<EndpointRow>>("/v1/endpoints").await?.row;
        rows.retain(|it| args.port.as_ref().is_none_or(|port| *port == it.port));
        if rows.is_empty() {
            context.remark(&format!("service `{}` publishes no such port", service.name));
        }
        let id = rows.iter().map(|it| it.address.as_str()).collect::<Vec<_>>().join("\n");
        let sheet = match rows.is_empty() {
            true => String::new(),
            false => table(&rows).render(context.is_wide(), context.console.colours),
        };
        let value = serde_json::to_value(&rows).expect("rows are JSON");
        Ok(Shown { id, value, sheet })
    })
    .await
}

fn table(rows: &[EndpointRow]) -> Table {
    let mut table = Table::new(&[
        Column::left("PORT"),
        Column::left("ADDRESS"),
        Column::left("MEMBER"),
        Column::left("RUNS"),
    ]);
    for row in rows {
        table.push(vec![
            row.port.as_str().into(),
            row.address.as_str().into(),
            row.member.as_str().into(),
            if row.running { "yes" } else { "no" }.into(),
        ]);
    }
    table
}
