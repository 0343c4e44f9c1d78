//! `service logs`: what a member's task wrote, by way of `task logs`.

use holdfast_sdk::net::rows::PodRow;

use super::find::find;
use crate::failure::Failure;
use crate::sizes::parse_size_mb;
use crate::verbs::sandbox::Stream;
use crate::verbs::task_logs::{self, TaskLogsArgs};
use crate::verbs::Context;

/// Whose.
#[derive(Clone, Debug, clap::Args)]
pub struct LogsArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// The member, such as node-0.
    pub pod: String,
    /// Go on until the task has ended.
    #[arg(short, long)]
    pub follow: bool,
    /// Only this one of the two.
    #[arg(long, value_enum)]
    pub only: Option<Stream>,
    /// Begin this much before the end: 1 (MB), 2GiB ...
    #[arg(long, value_parser = parse_size_mb, value_name = "SIZE")]
    pub tail: Option<u64>,
}

/// Runs the verb.
///
/// # Errors
/// When there is no such service or member, it had no task yet, or its agent does not answer.
pub async fn run(context: &Context, args: &LogsArgs) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    let rows = service.get::<Vec<PodRow>>("/v1/pods").await?;
    let Some(row) = rows.iter().find(|it| it.name == args.pod) else {
        return Err(Failure::not_found(
            format!("service `{}` has no member `{}`", service.name, args.pod),
            format!("see `holdfast service pods {}`", service.name),
        )
        .into());
    };
    let Some(task) = row.task.clone() else {
        let why = row.waits.as_ref().map(|it| format!(": {}", it.reason)).unwrap_or_default();
        return Err(Failure::not_found(
            format!("{} has had no task yet{why}", row.name),
            format!("see `holdfast service show {}`", service.name),
        )
        .into());
    };
    let asked = TaskLogsArgs {
        task,
        framework: Some(service.framework.clone()),
        follow: args.follow,
        only: args.only,
        tail: args.tail,
    };
    task_logs::run(context, &asked).await
}
