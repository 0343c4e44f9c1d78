//! `service`: services of pods, each run by a scheduler of its own, which serves what it knows and is told what to do.
//!
//! Relies on the masters for which frameworks there are and where they serve their pages, and on the service itself for all else. Never
//! changes a service behind its scheduler's back.

mod check;
mod endpoints;
mod find;
mod init;
mod list;
mod logs;
mod offers;
mod order;
mod placement;
mod plan;
mod plans;
mod pods;
mod run;
mod show;
mod update;

use clap::Subcommand;

pub use show::waits_of;

use super::Context;

/// Verbs of `service`.
#[derive(Debug, Subcommand)]
pub enum ServiceVerb {
    /// Write a commented spec file to begin with.
    Init(init::InitArgs),
    /// Say whether a spec file can be run, and where it is wrong.
    Check(check::CheckArgs),
    /// Say what a spec file would change of a service that runs; or, of a new one, what it would deploy and where there is room.
    Plan(plan::PlanArgsOfSpec),
    /// Run the scheduler of a spec file until Ctrl-C; its tasks run on.
    Run(run::RunArgs),
    /// Have a service that runs become as a spec file says.
    Update(update::UpdateArgs),
    /// List the services.
    List(super::listing::WatchArgs),
    /// Show a service with its pods, its plans and what it waits for.
    Show(show::ShowArgs),
    /// List the members of a service.
    Pods(pods::PodsArgs),
    /// List where the members of a service can be reached.
    Endpoints(endpoints::EndpointsArgs),
    /// Show the plans of a service, step by step.
    Plans(plans::PlansArgs),
    /// Have a plan stand still after what it has begun.
    Pause(order::PlanOrderArgs),
    /// Have a plan go on.
    Resume(order::PlanOrderArgs),
    /// Try a step of a plan again.
    Retry(order::StepOrderArgs),
    /// Count a step of a plan as done, whatever is known of it.
    ForceComplete(order::StepOrderArgs),
    /// Restart a member on its volumes, or all members of a pod, by its strategy.
    Restart(order::RestartArgs),
    /// Give a member new, empty volumes elsewhere; the old ones are kept until their claims are given up.
    Replace(order::ReplaceArgs),
    /// Give up the claims that a member had before it was replaced or left; their data go to the trash.
    Release(order::ReleaseArgs),
    /// Have a pod have another number of members.
    Scale(update::ScaleArgs),
    /// Have the copies of a service's data agree again, where its framework knows how.
    Repair(order::OwnPlanArgs),
    /// Have a service back its data up, where its framework knows how.
    Backup(order::OwnPlanArgs),
    /// Have a service restore its last backup, where its framework knows how.
    Restore(order::OwnPlanArgs),
    /// List the last offers that a service was made, and why each was not used.
    Offers(offers::OffersArgs),
    /// Show what a member's task wrote.
    Logs(logs::LogsArgs),
    /// End all members of a service; their claims stay until each is released.
    Uninstall(order::UninstallArgs),
}

impl ServiceVerb {
    /// Whether it is a process that serves others and logs what it does.
    pub fn is_process(&self) -> bool {
        matches!(self, ServiceVerb::Run(_))
    }

    /// Does it; gives the exit code.
    ///
    /// # Errors
    /// As each verb says.
    pub async fn ask(self, context: &Context) -> anyhow::Result<i32> {
        match self {
            ServiceVerb::Init(args) => init::run(context, &args),
            ServiceVerb::Check(args) => check::run(context, &args),
            ServiceVerb::Plan(args) => plan::run(context, &args).await,
            ServiceVerb::Run(args) => run::run(context, &args).await,
            ServiceVerb::Update(args) => update::run(context, &args).await,
            ServiceVerb::List(args) => list::run(context, args).await,
            ServiceVerb::Show(args) => show::run(context, &args).await,
            ServiceVerb::Pods(args) => pods::run(context, &args).await,
            ServiceVerb::Endpoints(args) => endpoints::run(context, &args).await,
            ServiceVerb::Plans(args) => plans::run(context, &args).await,
            ServiceVerb::Pause(args) => order::plan(context, &args, "pause").await,
            ServiceVerb::Resume(args) => order::plan(context, &args, "resume").await,
            ServiceVerb::Retry(args) => order::step(context, &args, "retry").await,
            ServiceVerb::ForceComplete(args) => order::step(context, &args, "force-complete").await,
            ServiceVerb::Restart(args) => order::restart(context, &args).await,
            ServiceVerb::Replace(args) => order::replace(context, &args).await,
            ServiceVerb::Release(args) => order::release(context, &args).await,
            ServiceVerb::Scale(args) => update::scale(context, &args).await,
            ServiceVerb::Repair(args) => order::own_plan(context, &args, "repair").await,
            ServiceVerb::Backup(args) => order::own_plan(context, &args, "backup").await,
            ServiceVerb::Restore(args) => order::own_plan(context, &args, "restore").await,
            ServiceVerb::Offers(args) => offers::run(context, &args).await,
            ServiceVerb::Logs(args) => logs::run(context, &args).await,
            ServiceVerb::Uninstall(args) => order::uninstall(context, &args).await,
        }
    }
}
