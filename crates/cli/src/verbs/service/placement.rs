//! Where the members of a service that does not run yet would have room, and of each agent what is missing.
//!
//! Relies on the masters for what could be offered to a newcomer, and on the SDK's keeper for what it would take of that.

use std::collections::BTreeMap;

use holdfast_api::rows::OutlookRow;
use holdfast_model::convert::offer;
use holdfast_model::Offer;
use holdfast_proto::{json, mesos::v1};
use holdfast_sdk::net::{preview, Preview, SpecHooks};
use holdfast_sdk::spec::ServiceSpec;
use serde::Deserialize;
use serde_json::json;

use crate::failure::{Failure, EXIT_ERROR, EXIT_NOT_PLACED};
use crate::output::{ids, Cell, Column, Table};
use crate::verbs::Context;

/// What is known of the agents.
struct Cluster {
    outlooks: Vec<OutlookRow>,
    offers: Vec<Offer>,
}

/// Shows what would be deployed, and where there is room; the exit code says that something would change.
///
/// # Errors
/// When no master answers.
pub async fn plan(context: &Context, spec: &ServiceSpec) -> anyhow::Result<i32> {
    let cluster = ask(context, spec).await?;
    let preview = preview(spec, SpecHooks, cluster.offers.clone());
    if context.format.is_table() {
        let (wide, colours) = (context.is_wide(), context.console.colours);
        context.console.put(&members(spec, &cluster, &preview).render(wide, colours))?;
        let lacking = lacking(&cluster, &preview);
        if !preview.unplaced.is_empty() && !lacking.is_empty() {
            let table = agents(&cluster, &lacking).render(wide, colours);
            context.console.put(&format!("\nWhy there is no room for all\n{table}"))?;
        }
    } else {
        context.put_value(&value(spec, &cluster, &preview))?;
    }
    let (placed, missing) = (preview.placed.len(), preview.unplaced.len());
    context.remark(&match missing {
        0 => format!("service `{}` is new: {placed} members would be deployed; nothing was changed", spec.name),
        _ => format!(
            "service `{}` cannot be placed whole: {missing} of {} members have no room; nothing was changed",
            spec.name,
            placed + missing
        ),
    });
    Ok(EXIT_NOT_PLACED)
}

async fn ask(context: &Context, spec: &ServiceSpec) -> Result<Cluster, Failure> {
    let answer = context.master.get("outlook", &[("role", spec.role.as_str())]).await?;
    let unread = |why: String| {
        let hint = "the master may be of another version than this program; -V says which this is";
        Failure::new(EXIT_ERROR, format!("the master's `outlook` cannot be read: {why}"), hint)
    };
    let outlooks =
        Vec::<OutlookRow>::deserialize(answer).map_err(|error| unread(error.to_string()))?;
    let mut offers = Vec::new();
    for text in outlooks.iter().filter_map(|it| it.offer.as_deref()) {
        let wire = json::from_slice::<v1::Offer>(text.as_bytes());
        let wire = wire.map_err(|error| unread(error.to_string()))?;
        offers
            .push(offer::from_proto(wire, &spec.role).map_err(|error| unread(error.to_string()))?);
    }
    Ok(Cluster { outlooks, offers })
}

/// Why members are not on an agent: what the masters say, and what the keeper found missing.
fn lacking(cluster: &Cluster, preview: &Preview) -> BTreeMap<String, Vec<String>> {
    let mut lacking: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in cluster.outlooks.iter().filter(|it| !it.reasons.is_empty()) {
        lacking.insert(row.agent.clone(), row.reasons.clone());
    }
    for (agent, why) in preview.why_not.iter().filter(|(_, why)| !why.is_empty()) {
        lacking.entry(agent.to_string()).or_default().extend(why.iter().cloned());
    }
    lacking
}

fn hostname(cluster: &Cluster, agent: &str) -> String {
    let row = cluster.outlooks.iter().find(|it| it.agent == agent);
    row.map(|it| it.hostname.clone()).unwrap_or_default()
}

fn members(spec: &ServiceSpec, cluster: &Cluster, preview: &Preview) -> Table {
    let mut table = Table::new(&[
        Column::left("MEMBER"),
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("VOLUMES"),
        Column::left("TASKS"),
    ]);
    let each = preview.placed.iter().map(|(member, agent)| (member, Some(agent)));
    for (member, agent) in each.chain(preview.unplaced.iter().map(|it| (it, None))) {
        let pod = spec.pod(&member.pod);
        let volumes = pod.iter().flat_map(|it| &it.volumes);
        let volumes: Vec<String> =
            volumes.map(|it| format!("{} {} MB", it.path, it.size_mb)).collect();
        let tasks = pod.iter().flat_map(|it| &it.tasks).map(|it| it.name.as_str());
        table.push(vec![
            member.to_string().into(),
            match agent {
                Some(agent) => ids::short(agent.as_str()).into(),
                None => Cell::bad("no room"),
            },
            agent.map(|it| hostname(cluster, it.as_str())).unwrap_or_default().into(),
            volumes.join(", ").into(),
            tasks.collect::<Vec<_>>().join(", ").into(),
        ]);
    }
    table
}

fn agents(cluster: &Cluster, lacking: &BTreeMap<String, Vec<String>>) -> Table {
    let mut table =
        Table::new(&[Column::left("AGENT"), Column::left("HOST"), Column::left("WHY NOT")]);
    for (agent, reasons) in lacking {
        for reason in reasons {
            let host = hostname(cluster, agent);
            table.push(vec![ids::short(agent).into(), host.into(), reason.as_str().into()]);
        }
    }
    table
}

fn value(spec: &ServiceSpec, cluster: &Cluster, preview: &Preview) -> serde_json::Value {
    let placed = preview.placed.iter().map(|(member, agent)| {
        json!({ "member": member.to_string(), "agent": agent.as_str(), "hostname": hostname(cluster, agent.as_str()) })
    });
    let unplaced: Vec<String> = preview.unplaced.iter().map(ToString::to_string).collect();
    json!({
        "service": spec.name,
        "placed": placed.collect::<Vec<_>>(),
        "unplaced": unplaced,
        "why_not": lacking(cluster, preview),
    })
}
