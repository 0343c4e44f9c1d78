//! `service pause|resume|retry|force-complete|restart|replace|repair|backup|restore`: what a plan or a member of a service is told.
//!
//! Relies on the service for whether it can be done, and for a record of who asked. Never gives a member new disks by a habit of the hand.

use holdfast_sdk::net::rows::{DoneRow, OrderDocument, PlanRow, PodRow};

use super::find::{asker, find, Service};
use super::update::path;
use crate::failure::Failure;
use crate::failure::EXIT_NOT_PLACED;
use crate::verbs::change::{confirm_by_name, DestroyArgs, PlanArgs};
use crate::verbs::Context;

/// Which plan.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanOrderArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// The plan: deploy, update ... The one that is not complete, when there is one only.
    pub plan: Option<String>,
}

/// Which service begins a plan of its own.
#[derive(Clone, Debug, clap::Args)]
pub struct OwnPlanArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
}

/// Which step of which plan.
#[derive(Clone, Debug, clap::Args)]
pub struct StepOrderArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// The step, as `service plans` names it.
    pub step: String,
    /// The plan that it belongs to. The one that is not complete, when there is one only.
    #[arg(long)]
    pub plan: Option<String>,
}

/// Who is started anew.
#[derive(Clone, Debug, clap::Args)]
pub struct RestartArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// The member, such as node-0; or a pod, such as node, for all of its members, by its strategy.
    pub pod: String,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Which member gets new disks.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplaceArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// The member, such as node-0.
    pub pod: String,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// Whose kept claims are given up.
#[derive(Clone, Debug, clap::Args)]
pub struct ReleaseArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// The member, such as node-0.
    pub pod: String,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// Which service ends.
#[derive(Clone, Debug, clap::Args)]
pub struct UninstallArgs {
    /// Its name, or the id of its framework.
    pub service: String,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// Has a plan pause or resume.
///
/// # Errors
/// When there is no such service or plan, or it refuses.
pub async fn plan(context: &Context, args: &PlanOrderArgs, verb: &str) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    let plan = plan_of(&service, args.plan.as_deref()).await?;
    order(&service, context, &format!("/v1/plans/{plan}/{verb}"), None).await
}

/// Has a service begin a plan that its framework has.
///
/// # Errors
/// When there is no such service, or it has no such plan, or another one is under way.
pub async fn own_plan(context: &Context, args: &OwnPlanArgs, plan: &str) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    order(&service, context, &format!("/v1/plans/{plan}/start"), None).await
}

/// Has a step be tried again, or counted as done.
///
/// # Errors
/// When there is no such service, plan or step, or it refuses.
pub async fn step(context: &Context, args: &StepOrderArgs, verb: &str) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    let plan = plan_of(&service, args.plan.as_deref()).await?;
    let step = Some(args.step.clone());
    order(&service, context, &format!("/v1/plans/{plan}/{verb}"), step).await
}

/// Has a member, or all of a pod one after the other, restart where they are.
///
/// # Errors
/// When there is no such service, member or pod, or it refuses.
pub async fn restart(context: &Context, args: &RestartArgs) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    let rows = service.get::<Vec<PodRow>>("/v1/pods").await?;
    if !rows.iter().any(|it| it.name == args.pod || it.pod == args.pod) {
        return Err(Failure::not_found(
            format!("service `{}` has no member and no pod `{}`", service.name, args.pod),
            format!("see `holdfast service pods {}`", service.name),
        )
        .into());
    }
    planned(&service, context, &format!("/v1/pods/{}/restart", args.pod), args.plan).await
}

/// Has a member begin anew on other volumes.
///
/// # Errors
/// When there is no such service or member, nobody agreed, or it refuses.
pub async fn replace(context: &Context, args: &ReplaceArgs) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    let pod = pod_of(&service, &args.pod).await?;
    let path = format!("/v1/pods/{}/replace", pod.name);
    if args.plan.plan {
        return planned(&service, context, &path, args.plan).await;
    }
    let held: Vec<&str> = pod.volumes.iter().map(|it| it.id.as_str()).collect();
    let question = format!(
        "Give {} of service `{}` new, empty volumes on another place? What it has now ({}) is kept, and not used any more.",
        pod.name,
        service.name,
        if held.is_empty() { "nothing".to_owned() } else { held.join(", ") }
    );
    let agreed = DestroyArgs { yes: args.yes, ..DestroyArgs::default() };
    confirm_by_name(context, &question, &pod.name, agreed)?;
    order(&service, context, &path, None).await
}

/// Has the claims that are kept of a member be given up.
///
/// # Errors
/// When there is no such service or member, it keeps nothing, nobody agreed, or it refuses.
pub async fn release(context: &Context, args: &ReleaseArgs) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    let pod = pod_of(&service, &args.pod).await?;
    if pod.kept.is_empty() {
        return Err(Failure::not_found(
            format!("no claims are kept of {} of service `{}`", pod.name, service.name),
            format!("see `holdfast service pods {}`", service.name),
        )
        .into());
    }
    let path = format!("/v1/pods/{}/release", pod.name);
    if args.plan.plan {
        return planned(&service, context, &path, args.plan).await;
    }
    let question = format!(
        "Give up what {} of service `{}` had before ({})? The data go to the trash.",
        pod.name,
        service.name,
        pod.kept.join(", ")
    );
    let agreed = DestroyArgs { yes: args.yes, ..DestroyArgs::default() };
    confirm_by_name(context, &question, &pod.name, agreed)?;
    order(&service, context, &path, None).await
}

/// Has all members of a service end.
///
/// # Errors
/// When there is no such service, nobody agreed, or it refuses.
pub async fn uninstall(context: &Context, args: &UninstallArgs) -> anyhow::Result<i32> {
    let service = find(context, &args.service).await?;
    if args.plan.plan {
        return planned(&service, context, "/v1/uninstall", args.plan).await;
    }
    let rows = service.get::<Vec<PodRow>>("/v1/pods").await?;
    let volumes: usize = rows.iter().map(|it| it.volumes.len()).sum();
    let question = format!(
        "End the {} members of service `{}`? Their {volumes} volumes stay until each is released.",
        rows.len(),
        service.name
    );
    let agreed = DestroyArgs { yes: args.yes, ..DestroyArgs::default() };
    confirm_by_name(context, &question, &service.name, agreed)?;
    order(&service, context, "/v1/uninstall", None).await
}

/// Does what begins a plan, or says which steps that would have: each on a line of its own.
async fn planned(
    service: &Service<'_>,
    context: &Context,
    at: &str,
    plan: PlanArgs,
) -> anyhow::Result<i32> {
    if !plan.plan {
        return order(service, context, at, None).await;
    }
    let document = OrderDocument { step: None, count: None, by: asker() };
    let would = service.post::<DoneRow>(&path(at, plan), &document).await?;
    match context.format.is_table() {
        true => {
            would.steps.iter().try_for_each(|it| context.console.put(&format!("{it}\n")))?;
            context.remark(&would.message);
        }
        false => context.put_value(&would.raw)?,
    }
    context.remark("nothing was changed: this is a plan");
    Ok(EXIT_NOT_PLACED)
}

async fn order(
    service: &Service<'_>,
    context: &Context,
    path: &str,
    step: Option<String>,
) -> anyhow::Result<i32> {
    let document = OrderDocument { step, count: None, by: asker() };
    let done = service.post::<DoneRow>(path, &document).await?;
    match context.format.is_table() {
        true => context.remark(&done.message),
        false => context.put_value(&done.raw)?,
    }
    Ok(0)
}

/// The plan that is meant: the one that is named, or the only one that is not complete.
async fn plan_of(service: &Service<'_>, given: Option<&str>) -> Result<String, Failure> {
    let rows = service.get::<Vec<PlanRow>>("/v1/plans").await?;
    let see = format!("see `holdfast service plans {}`", service.name);
    if let Some(given) = given {
        let is_there = rows.iter().any(|it| it.name == given);
        let missing = format!("service `{}` has no plan `{given}`", service.name);
        return match is_there {
            true => Ok(given.to_owned()),
            false => Err(Failure::not_found(missing, see)),
        };
    }
    let open: Vec<&str> =
        rows.iter().filter(|it| it.state != "COMPLETE").map(|it| it.name.as_str()).collect();
    match open.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::not_found(
            format!("service `{}` has no plan that is under way", service.name),
            see,
        )),
        several => Err(Failure::usage(
            format!("several plans are under way: {}", several.join(", ")),
            "name the one that you mean",
        )),
    }
}

/// The member that is meant.
async fn pod_of(service: &Service<'_>, given: &str) -> Result<PodRow, Failure> {
    let rows = service.get::<Vec<PodRow>>("/v1/pods").await?;
    let found = rows.iter().find(|it| it.name == given).cloned();
    found.ok_or_else(|| {
        Failure::not_found(
            format!("service `{}` has no member `{given}`", service.name),
            format!("see `holdfast service pods {}`", service.name),
        )
    })
}
