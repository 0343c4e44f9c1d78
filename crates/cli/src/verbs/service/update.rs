//! `service update` and `service scale`: another spec for a service that runs.
//!
//! Relies on the service for what is safe: what it refuses is told with the reason and what to do instead. Never changes a part of it.

use std::path::PathBuf;

use holdfast_sdk::net::rows::{ChangeRow, OrderDocument, SpecDocument};
use holdfast_sdk::net::{read_spec_file, spec_text};

use super::check::spec_failure;
use super::find::{asker, find, Service};
use crate::failure::EXIT_NOT_PLACED;
use crate::output::{Column, Table};
use crate::verbs::change::PlanArgs;
use crate::verbs::rows::Received;
use crate::verbs::Context;

/// To what.
#[derive(Clone, Debug, clap::Args)]
pub struct UpdateArgs {
    /// The spec file; the service is the one of its name.
    pub spec: PathBuf,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// To how many.
#[derive(Clone, Debug, clap::Args)]
pub struct ScaleArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// The pod.
    pub pod: String,
    /// How many members it shall have.
    pub count: u32,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Has a service become as a file says.
///
/// # Errors
/// When the file is no spec, there is no such service, or it refuses.
pub async fn run(context: &Context, args: &UpdateArgs) -> anyhow::Result<i32> {
    let spec = read_spec_file(&args.spec).map_err(spec_failure)?;
    let service = find(context, &spec.name).await?;
    let document = SpecDocument { toml: spec_text(&spec), by: asker() };
    let change = service.post::<ChangeRow>(&path("/v1/spec", args.plan), &document).await?;
    tell(context, &service, &change, args.plan)
}

/// Has a pod have another number of members.
///
/// # Errors
/// When there is no such service or pod, or it refuses.
pub async fn scale(context: &Context, args: &ScaleArgs) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    let document = OrderDocument { step: None, count: Some(args.count), by: asker() };
    let path = path(&format!("/v1/pods/{}/scale", args.pod), args.plan);
    let change = service.post::<ChangeRow>(&path, &document).await?;
    tell(context, &service, &change, args.plan)
}

/// Where something is asked for, or only what it would do.
pub fn path(path: &str, plan: PlanArgs) -> String {
    if plan.plan {
        format!("{path}?plan=true")
    } else {
        path.to_owned()
    }
}

/// Tells what a change means; the exit code of a plan says whether anything would change.
pub fn tell(
    context: &Context,
    service: &Service<'_>,
    change: &Received<ChangeRow>,
    plan: PlanArgs,
) -> anyhow::Result<i32> {
    let nothing = change.differences.is_empty();
    match context.format.is_table() {
        true if nothing => {}
        true => {
            let table = differences(change);
            context.console.put(&table.render(context.is_wide(), context.console.colours))?;
        }
        false => context.put_value(&change.raw)?,
    }
    let name = &service.name;
    if let (Some(plan), false) = (&change.plan, change.steps.is_empty()) {
        context.remark(&format!("plan {plan}: {}", change.steps.join(", ")));
    }
    if nothing {
        context.remark(&format!("service `{name}` is as the spec says; nothing is to be changed"));
    } else if plan.plan {
        context.remark("nothing was changed: this is a plan");
        return Ok(EXIT_NOT_PLACED);
    } else {
        context.remark(&format!("accepted; see `holdfast service plans {name} --watch`"));
    }
    Ok(0)
}

fn differences(change: &ChangeRow) -> Table {
    let mut table = Table::new(&[
        Column::left("WHAT"),
        Column::left("NOW"),
        Column::left("THEN"),
        Column::left("WHAT FOLLOWS"),
    ]);
    for it in &change.differences {
        table.push(vec![
            it.path.as_str().into(),
            it.from.as_str().into(),
            it.to.as_str().into(),
            it.then.as_str().into(),
        ]);
    }
    table
}
