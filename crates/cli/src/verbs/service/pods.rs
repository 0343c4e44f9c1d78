//! `service pods`: the members of a service, where each is and what it holds.

use holdfast_sdk::net::rows::PodRow;

use super::find::find;
use crate::output::{human, ids, Cell, Column, Table};
use crate::verbs::listing::WatchArgs;
use crate::verbs::show::{show, Shown};
use crate::verbs::Context;

/// Whose.
#[derive(Clone, Debug, clap::Args)]
pub struct PodsArgs {
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
pub async fn run(context: &Context, args: &PodsArgs) -> anyhow::Result<i32> {
    show(context, args.watch, || async {
        let service = find(context, &args.service).await?;
        let rows = service.get::<Vec<PodRow>>("/v1/pods").await?;
        let id = rows.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join("\n");
        let sheet = table(&rows).render(context.is_wide(), context.console.colours);
        Ok(Shown { id, value: rows.raw, sheet })
    })
    .await
}

fn table(rows: &[PodRow]) -> Table {
    let mut table = Table::new(&[
        Column::left("NAME"),
        Column::left("STATE"),
        Column::left("HOST"),
        Column::left("AGENT").wide(),
        Column::left("TASK"),
        Column::left("VOLUMES"),
        Column::left("PORTS").optional(),
        Column::left("KEPT").optional(),
        Column::left("WHY IT WAITS").optional(),
    ]);
    for row in rows {
        let volumes = row.volumes.iter().map(|it| it.id.as_str());
        let ports = row.ports.iter().map(|it| format!("{} {}", it.name, it.number));
        let agent = row.agent.as_deref().map(ids::short);
        table.push(vec![
            row.name.as_str().into(),
            Cell::state(&row.state),
            human::or_dash(row.hostname.as_deref()).into(),
            human::or_dash(agent).into(),
            human::or_dash(row.task.as_deref()).into(),
            human::or_dash(Some(&volumes.collect::<Vec<_>>().join(", "))).into(),
            ports.collect::<Vec<_>>().join(", ").into(),
            row.kept.join(", ").into(),
            row.waits.as_ref().map(|it| it.reason.as_str()).unwrap_or_default().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_sdk::net::rows::{PodPortRow, PodVolumeRow};

    #[test]
    fn the_table() {
        let row = PodRow {
            name: "node-0".to_owned(),
            state: "READY".to_owned(),
            agent: Some("x-S1".to_owned()),
            hostname: Some("h".to_owned()),
            task: Some("ring-node-0-1".to_owned()),
            volumes: vec![PodVolumeRow { path: "data".to_owned(), id: "v".to_owned() }],
            ports: vec![PodPortRow { name: "cql".to_owned(), number: 9042 }],
            ..PodRow::default()
        };
        let text = "\
NAME    STATE  HOST  TASK           VOLUMES  PORTS
node-0  READY  h     ring-node-0-1  v        cql 9042
";
        assert_eq!(table(&[row]).render(false, false), text);
    }
}
