//! `service list`: the frameworks that serve a service's pages, and how each stands.
//!
//! Never leaves out one that does not answer: that is what somebody looks for.

use std::time::Duration;

use holdfast_api::rows::FrameworkRow;
use holdfast_sdk::net::rows::ServiceRow;
use serde_json::{json, Value};

use super::find::{address_of, frameworks, Service};
use crate::failure::{Failure, EXIT_NOT_FOUND};
use crate::output::{ids, Cell, Column, Table};
use crate::verbs::listing::WatchArgs;
use crate::verbs::rows::Received;
use crate::verbs::show::{show, Shown};
use crate::verbs::Context;

/// How long a service may take to answer; others are not kept waiting by one that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    show(context, args, || look(context)).await
}

/// A service, if it answers.
struct Found {
    framework: Received<FrameworkRow>,
    service: Option<Received<ServiceRow>>,
}

async fn look(context: &Context) -> Result<Shown, Failure> {
    let rows = frameworks(context).await?;
    let mut found = Vec::new();
    for framework in rows {
        let Some(address) = framework.webui_url.as_deref().and_then(address_of) else { continue };
        let service = Service::at(context, &framework, address);
        let asked = tokio::time::timeout(PATIENCE, service.get::<ServiceRow>("/v1/service")).await;
        let service = match asked {
            Ok(Ok(row)) => Some(row),
            // Another kind of page.
            Ok(Err(failure)) if failure.code == EXIT_NOT_FOUND => continue,
            Ok(Err(_)) | Err(_) => None,
        };
        found.push(Found { framework, service });
    }
    if found.is_empty() {
        context.remark("there are no services; `holdfast service run SPEC` starts one");
    }
    let names: Vec<&str> = found.iter().map(|it| it.framework.name.as_str()).collect();
    let sheet = match found.is_empty() {
        true => String::new(),
        false => table(&found).render(context.is_wide(), context.console.colours),
    };
    let id = names.join("\n");
    Ok(Shown { id, value: found.iter().map(value).collect(), sheet })
}

fn value(found: &Found) -> Value {
    json!({
        "framework": found.framework.raw,
        "service": found.service.as_ref().map(|it| it.raw.clone()),
    })
}

fn table(found: &[Found]) -> Table {
    let mut table = Table::new(&[
        Column::left("NAME"),
        Column::left("STATE"),
        Column::left("ROLE"),
        Column::left("MEMBERS"),
        Column::left("FRAMEWORK"),
        Column::left("FRAMEWORK ID").wide(),
        Column::left("WEB UI").wide(),
        Column::left("SUMMARY"),
    ]);
    let all: Vec<&str> = found.iter().map(|it| it.framework.id.as_str()).collect();
    for (it, short) in found.iter().zip(ids::short_all(&all)) {
        let service = it.service.as_ref().map(|it| &it.row);
        let sum = |of: fn(&holdfast_sdk::net::rows::PodTypeRow) -> u32| {
            service.map_or(0, |it| it.pods.iter().map(of).sum::<u32>())
        };
        let members = match service {
            Some(_) => format!("{} of {}", sum(|it| it.running), sum(|it| it.count)),
            None => "-".to_owned(),
        };
        let silent = "its scheduler does not answer; its tasks run on without it";
        table.push(vec![
            it.framework.name.as_str().into(),
            Cell::state(service.map_or("silent", |it| it.state.as_str())),
            it.framework.roles.join(",").into(),
            members.into(),
            short.into(),
            it.framework.id.as_str().into(),
            it.framework.webui_url.as_deref().unwrap_or("-").into(),
            service.map_or(silent, |it| it.summary.as_str()).into(),
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
        let framework = |tail: &str| {
            let id = format!("0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-{tail}");
            testbed::received::<FrameworkRow>(json!({
                "id": id, "name": "ring", "roles": ["db"], "webui_url": "http://h:1/"
            }))
        };
        let pods = json!([{ "name": "node", "count": 3, "running": 2 }]);
        let raw = serde_json::to_value(ServiceRow {
            state: "working".to_owned(),
            summary: "deploy".to_owned(),
            ..ServiceRow::default()
        });
        let mut raw = raw.unwrap();
        raw["pods"] = pods;
        let service = Received::read("service", raw).unwrap();
        let rows = [
            Found { framework: framework("0001"), service: Some(service) },
            Found { framework: framework("0002"), service: None },
        ];
        assert_eq!(
            table(&rows).render(false, false),
            "\
NAME  STATE    ROLE  MEMBERS  FRAMEWORK  SUMMARY
ring  working  db    2 of 3   0001       deploy
ring  silent   db    -        0002       its scheduler does not answer; its tasks run on without it
"
        );
    }
}
