//! `service show`: a service with its pods, its plans and what it waits for.

use std::time::Duration;

use holdfast_sdk::net::rows::{PodTypeRow, ServiceRow, WaitRow};

use super::find::find;
use super::plans;
use crate::output::{Cell, Column, Table};
use crate::verbs::listing::WatchArgs;
use crate::verbs::sheet::Sheet;
use crate::verbs::show::{show, Shown};
use crate::verbs::Context;

/// How long a service may take to say what it waits for where something else was asked.
const PATIENCE: Duration = Duration::from_secs(3);

/// Which service.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// Its name, or the id of its framework.
    pub service: String,
    /// Only its spec in force, as a file.
    #[arg(long, conflicts_with = "watch")]
    pub spec: bool,
    /// How it is read.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Runs the verb.
///
/// # Errors
/// When there is no such service, or it does not answer.
pub async fn run(context: &Context, args: &ShowArgs) -> anyhow::Result<i32> {
    if args.spec {
        let service = find(context, &args.service).await?;
        let row = service.get::<ServiceRow>("/v1/service").await?;
        context.console.put(&row.spec)?;
        return Ok(0);
    }
    show(context, args.watch, || async {
        let service = find(context, &args.service).await?;
        let row = service.get::<ServiceRow>("/v1/service").await?;
        let sheet = sheet(context, &row, &service.framework, service.address()).text();
        Ok(Shown { id: service.framework.clone(), value: row.raw, sheet })
    })
    .await
}

fn sheet(context: &Context, row: &ServiceRow, framework: &str, address: &str) -> Sheet {
    let (wide, colours) = (context.is_wide(), context.console.colours);
    let mut sheet = Sheet::default();
    sheet
        .line("service", &row.name)
        .line("state", format!("{}: {}", row.state, row.summary))
        .line("role", &row.role)
        .line("framework", framework)
        .line("address", address)
        .line("not in force", row.refused.join("; "))
        .table("Pods", &pods(&row.pods), wide, colours)
        .table("What waits", &waits(&row.waits), wide, colours)
        .table("Plans", &plans::table(&row.plans), wide, colours);
    sheet
}

fn pods(rows: &[PodTypeRow]) -> Table {
    let mut table =
        Table::new(&[Column::left("POD"), Column::right("RUNNING"), Column::right("MEMBERS")]);
    for row in rows {
        table.push(vec![row.name.as_str().into(), row.running.into(), row.count.into()]);
    }
    table
}

/// What the service of a framework waits for; nothing where there is none, or it does not answer.
pub async fn waits_of(context: &Context, framework: &str) -> Table {
    let rows = match find(context, framework).await {
        Ok(service) => {
            let asked = service.get::<ServiceRow>("/v1/service");
            tokio::time::timeout(PATIENCE, asked).await.ok().and_then(Result::ok)
        }
        Err(_) => None,
    };
    waits(rows.as_ref().map_or(&[], |it| &it.waits))
}

/// What waits, a line for each member.
fn waits(rows: &[WaitRow]) -> Table {
    let mut table =
        Table::new(&[Column::left("MEMBER"), Column::left("WHY"), Column::left("NEXT")]);
    for row in rows {
        table.push(vec![
            row.member.as_str().into(),
            Cell::bad(&row.reason),
            row.next.as_str().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    #[test]
    fn what_waits_has_a_line_for_each_member() {
        let (context, ..) = testbed::context("127.0.0.1:1", None);
        let row = ServiceRow {
            name: "ring".to_owned(),
            role: "db".to_owned(),
            state: "waiting".to_owned(),
            summary: "1 of 2 members run".to_owned(),
            pods: vec![PodTypeRow { name: "node".to_owned(), count: 2, running: 1 }],
            waits: vec![WaitRow {
                member: "node-1".to_owned(),
                reason: "agent a is away".to_owned(),
                next: "bring it back".to_owned(),
            }],
            ..ServiceRow::default()
        };
        let text = "\
service    ring
state      waiting: 1 of 2 members run
role       db
framework  f-1
address    h:1

Pods
  POD   RUNNING  MEMBERS
  node        1        2

What waits
  MEMBER  WHY              NEXT
  node-1  agent a is away  bring it back
";
        assert_eq!(sheet(&context, &row, "f-1", "h:1").text(), text);
    }
}
