//! `service plan`: what a spec file would change of a service that runs; or, of a new one, what it would deploy, and where there is room.
//!
//! Relies on the service for what differs, and on the masters' allocator and the SDK's keeper for where there is room. Never changes
//! anything.

use std::path::PathBuf;

use holdfast_sdk::net::rows::{ChangeRow, SpecDocument};
use holdfast_sdk::net::{read_spec_file, spec_text};

use super::check::spec_failure;
use super::find::{asker, find, frameworks};
use super::{placement, update};
use crate::verbs::change::PlanArgs;
use crate::verbs::Context;

/// Of which file.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanArgsOfSpec {
    /// The spec file.
    pub spec: PathBuf,
}

/// Runs the verb.
///
/// # Errors
/// When the file is no spec, no master answers, or the change is refused.
pub async fn run(context: &Context, args: &PlanArgsOfSpec) -> anyhow::Result<i32> {
    let spec = read_spec_file(&args.spec).map_err(spec_failure)?;
    let known = frameworks(context).await?;
    if !known.iter().any(|it| it.name == spec.name && it.webui_url.is_some()) {
        return placement::plan(context, &spec).await;
    }
    let service = find(context, &spec.name).await?;
    let document = SpecDocument { toml: spec_text(&spec), by: asker() };
    let change = service.post::<ChangeRow>("/v1/spec?plan=true", &document).await?;
    update::tell(context, &service, &change, PlanArgs { plan: true })
}
