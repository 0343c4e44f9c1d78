//! The nouns and their verbs, as the grammar has them, and where each leads.
//!
//! Never knows what a verb does.

use clap::{Args, Subcommand};
use holdfast_node::settings::agent::AgentSettings;
use holdfast_node::settings::master::MasterSettings;
use tokio_util::sync::CancellationToken;

use super::globals::Globals;
use super::settings_demo::DemoSettings;
use super::settings_dev::DevSettings;
use super::settings_drill::DrillSettings;
use crate::verbs::conditions::OrPlan;
use crate::verbs::listing::WatchArgs;
use crate::verbs::service::ServiceVerb;
use crate::verbs::volume_resize::Resize;
use crate::verbs::{self, Context};

/// What can be done.
#[allow(clippy::large_enum_variant, reason = "there is one of it in the life of a process")]
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a master; or begin the masters' ledger anew after it was lost.
    Master(MasterLine),
    /// Run an agent; or look at the agents.
    Agent(AgentLine),
    /// Run a whole cluster on this machine until Ctrl-C.
    Dev(DevSettings),
    /// Show what this is for: a service, its volumes, and five kinds of kill -9.
    Demo(DemoSettings),
    /// Strike masters, agents and a service with faults, and judge how all of them recover.
    Drill(DrillSettings),
    /// The disks.
    #[command(subcommand)]
    Disk(DiskVerb),
    /// Reservations and volumes: who holds what, where.
    #[command(subcommand)]
    Claim(ClaimVerb),
    /// Hold resources for a role, or give them back.
    #[command(subcommand)]
    Reservation(ReservationVerb),
    /// Make, resize, adopt or destroy volumes, or bring one back.
    #[command(subcommand)]
    Volume(VolumeVerb),
    /// Destroyed volumes: what can still be brought back.
    #[command(subcommand)]
    Trash(TrashVerb),
    /// The frameworks.
    #[command(subcommand)]
    Framework(FrameworkVerb),
    /// Services: run one from a file, and drive its whole life.
    #[command(subcommand)]
    Service(ServiceVerb),
    /// The tasks.
    #[command(subcommand)]
    Task(TaskVerb),
    /// The roles.
    #[command(subcommand)]
    Role(RoleVerb),
    /// Quota: what roles are guaranteed of the cluster, and what they may have at most.
    #[command(subcommand)]
    Quota(QuotaVerb),
    /// Planned downtime of machines: what is planned, what is down, and what frameworks say to it.
    #[command(subcommand)]
    Maintenance(MaintenanceVerb),
    /// The offers.
    #[command(subcommand)]
    Offer(OfferVerb),
    /// Run one command as a task, show what it writes, and exit as it does.
    Run(verbs::run::RunArgs),
    /// Say why a framework or a task is where it is, or is not.
    Explain(verbs::explain::ExplainArgs),
    /// Look at the state of a master, an agent or a framework on this machine, or move it.
    #[command(subcommand)]
    Ledger(LedgerVerb),
    /// Say what this machine can do for containers and volumes.
    Doctor(verbs::doctor::DoctorArgs),
    /// Write a script that lets a shell complete verbs, flags, and the ids of what there is.
    Completion(verbs::completion::CompletionArgs),
    /// What the last of these words could become; asked by shells.
    #[command(hide = true)]
    CompleteWords(verbs::complete_words::CompleteWordsArgs),
    /// The executor of one command; started by agents.
    #[command(hide = true)]
    CommandExecutor,
    /// The executor of groups of tasks; started by agents.
    #[command(hide = true)]
    DefaultExecutor,
    /// The keeper of one container; started by agents.
    #[command(hide = true)]
    ContainerShim {
        /// The container's directory.
        directory: std::path::PathBuf,
    },
}

/// `master`: the process, or the noun.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct MasterLine {
    /// What the process is told.
    #[command(flatten)]
    pub settings: MasterSettings,
    /// What else is done.
    #[command(subcommand)]
    pub verb: Option<MasterVerb>,
}

/// Verbs of `master`.
#[derive(Debug, Subcommand)]
pub enum MasterVerb {
    /// Begin the masters' ledger anew after all copies of it were lost; agents come back with all that they own.
    Recover(verbs::master_recover::MasterRecoverArgs),
}

/// `agent`: the process, or the noun.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentLine {
    /// What the process is told.
    #[command(flatten)]
    pub settings: AgentSettings,
    /// What the agents are asked.
    #[command(subcommand)]
    pub verb: Option<AgentVerb>,
}

/// Verbs of `agent`.
#[derive(Debug, Subcommand)]
pub enum AgentVerb {
    /// List the agents.
    List(verbs::agent_list::AgentListArgs),
    /// Show one agent with its disks, claims and tasks.
    Show(verbs::agent_show::AgentShowArgs),
    /// Give an agent whose ledger was lost or rolled back its claims back.
    Recover(verbs::agent_recover::AgentRecoverArgs),
    /// End what runs on an agent and offer nothing of it; what is claimed there is kept.
    Drain(verbs::agent_drain::AgentDrainArgs),
    /// Offer nothing of an agent; its tasks go on.
    Deactivate(verbs::agent_drain::AgentChoice),
    /// Offer an agent again that was deactivated or drained.
    Reactivate(verbs::agent_drain::AgentChoice),
    /// Say that an agent will not come back: its tasks are lost and its claims given up, for ever.
    Gone(verbs::agent_gone::AgentGoneArgs),
}

/// Verbs of `disk`.
#[derive(Debug, Subcommand)]
pub enum DiskVerb {
    /// List the disks.
    List(verbs::disk_list::DiskListArgs),
    /// Show one disk with what is claimed of it.
    Show(verbs::disk_show::DiskShowArgs),
    /// Give a running agent one more disk.
    Add(verbs::disk_add::DiskAddArgs),
    /// Have the claims of a disk follow it to another path of its agent, or to another agent.
    Adopt(verbs::disk_adopt::DiskAdoptArgs),
    /// List the disks that are moved from one agent to another, and what each waits for.
    Moves(verbs::disk_moves::DiskMovesArgs),
    /// Cancel the move of a disk to another agent, as long as that one has not taken it over.
    CancelMove(verbs::disk_cancel_move::DiskCancelMoveArgs),
    /// Take a disk away from a running agent that was added to it; nothing on it is touched.
    Remove(verbs::disk_remove::DiskRemoveArgs),
}

/// Verbs of `claim`.
#[derive(Debug, Subcommand)]
pub enum ClaimVerb {
    /// List reservations and volumes.
    List(verbs::claim_list::ClaimListArgs),
    /// Show one with all that ever happened to it.
    Show(verbs::claim_show::ClaimShowArgs),
    /// Say where one is, who holds it and what happened to it, also while its agent is away.
    Where(verbs::claim_where::ClaimWhereArgs),
    /// Tell all that is remembered of one, whether it is still there or has ended.
    History(verbs::claim_history::ClaimHistoryArgs),
    /// Write every claim, and every one that is remembered as ended, as JSON lines.
    Export(verbs::claim_export::ClaimExportArgs),
    /// Make several changes of the claims of one agent, all or none, or carry out a plan.
    Apply(verbs::claim_apply::ClaimApplyArgs),
    /// End claims whose disk is dead, without touching any data.
    GiveUp(verbs::claim_give_up::ClaimGiveUpArgs),
}

/// Verbs of `reservation`.
#[derive(Debug, Subcommand)]
pub enum ReservationVerb {
    /// Hold resources of a running agent for a role.
    #[command(
        override_usage = "holdfast reservation create [OPTIONS] --agent <AGENT> --role <ROLE> <RESOURCES>\n       holdfast reservation create [OPTIONS] --apply <FILE>"
    )]
    Create(OrPlan<verbs::reservation_create::ReservationCreateArgs>),
    /// List what is reserved; what was reserved together is one line.
    List(verbs::reservation_list::ReservationListArgs),
    /// Give reserved resources back.
    #[command(
        override_usage = "holdfast reservation remove [OPTIONS] <WHAT>\n       holdfast reservation remove [OPTIONS] --apply <FILE>"
    )]
    Remove(OrPlan<verbs::reservation_remove::ReservationRemoveArgs>),
}

/// Verbs of `volume`.
#[derive(Debug, Subcommand)]
pub enum VolumeVerb {
    /// Make a volume on reserved disk.
    #[command(
        override_usage = "holdfast volume create [OPTIONS] --agent <AGENT> --role <ROLE> --size <SIZE> <NAME>\n       holdfast volume create [OPTIONS] --apply <FILE>"
    )]
    Create(OrPlan<verbs::volume_create::VolumeCreateArgs>),
    /// Make a volume larger, by disk that is reserved beside it; also while a task uses it.
    #[command(
        override_usage = "holdfast volume grow [OPTIONS] <--by <SIZE>|--to <SIZE>> <VOLUME>\n       holdfast volume grow [OPTIONS] --apply <FILE>"
    )]
    Grow(OrPlan<verbs::volume_resize::VolumeResizeArgs>),
    /// Make a volume smaller; what it gives back stays reserved.
    #[command(
        override_usage = "holdfast volume shrink [OPTIONS] <--by <SIZE>|--to <SIZE>> <VOLUME>\n       holdfast volume shrink [OPTIONS] --apply <FILE>"
    )]
    Shrink(OrPlan<verbs::volume_resize::VolumeResizeArgs>),
    /// Give a volume up; its data go to the trash.
    #[command(
        override_usage = "holdfast volume destroy [OPTIONS] <VOLUME>\n       holdfast volume destroy [OPTIONS] --apply <FILE>"
    )]
    Destroy(OrPlan<verbs::volume_destroy::VolumeDestroyArgs>),
    /// Bring a destroyed volume back from the trash, with its data, its history and its holder.
    Undelete(verbs::volume_undelete::VolumeUndeleteArgs),
    /// Make a directory with data a volume, or a whole volume that no claim stands for that of a claim again.
    Adopt(verbs::volume_adopt::VolumeAdoptArgs),
    /// Move a whole volume that no claim stands for to the trash of its disk.
    RemoveOrphan(verbs::volume_remove_orphan::VolumeRemoveOrphanArgs),
}

/// Verbs of `trash`.
#[derive(Debug, Subcommand)]
pub enum TrashVerb {
    /// List destroyed volumes, and until when each is kept.
    List(verbs::trash_list::TrashListArgs),
    /// Bring one back, as `volume undelete` does.
    Restore(verbs::volume_undelete::VolumeUndeleteArgs),
    /// Remove one for good, before its time.
    Purge(verbs::trash_purge::TrashPurgeArgs),
}

/// Verbs of `framework`.
#[derive(Debug, Subcommand)]
pub enum FrameworkVerb {
    /// List the frameworks.
    List(WatchArgs),
    /// Remove a framework and end its tasks; its claims stay.
    Teardown(verbs::framework_teardown::FrameworkTeardownArgs),
}

/// Verbs of `task`.
#[derive(Debug, Subcommand)]
pub enum TaskVerb {
    /// List the tasks.
    List(verbs::task_list::TaskListArgs),
    /// Show what a task wrote.
    Logs(verbs::task_logs::TaskLogsArgs),
    /// Run a command in a task's container.
    Exec(verbs::task_exec::TaskExecArgs),
    /// Ask a task to end.
    Kill(verbs::task_kill::TaskKillArgs),
}

/// Verbs of `role`.
#[derive(Debug, Subcommand)]
pub enum RoleVerb {
    /// List the roles in the order in which they are served.
    List(WatchArgs),
}

/// Verbs of `quota`.
#[derive(Debug, Subcommand)]
pub enum QuotaVerb {
    /// List the roles that have quota, and what each has of it.
    List(WatchArgs),
    /// Set what a role is guaranteed of the cluster, and what it may have at most, in place of what it had.
    Set(verbs::quota_set::QuotaSetArgs),
    /// Take a role's quota away.
    Remove(verbs::quota_set::QuotaRemoveArgs),
}

/// Verbs of `maintenance`.
#[derive(Debug, Subcommand)]
pub enum MaintenanceVerb {
    /// List the machines with planned downtime, and what runs and is claimed there.
    List(WatchArgs),
    /// Plan downtime of machines, in place of what was planned for them.
    Schedule(verbs::maintenance::ScheduleArgs),
    /// Take machines of the schedule down: what runs there ends, and what is claimed there is kept.
    Start(verbs::maintenance::StartArgs),
    /// Bring machines up that are down; no downtime is planned for them any more.
    Stop(verbs::maintenance::MachinesArgs),
    /// Take machines that are not down out of the schedule.
    Clear(verbs::maintenance::MachinesArgs),
}

/// Verbs of `offer`.
#[derive(Debug, Subcommand)]
pub enum OfferVerb {
    /// List the offers that were not answered yet.
    List(WatchArgs),
}

/// Verbs of `ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerVerb {
    /// Show every record.
    Show(verbs::ledger::show::ShowArgs),
    /// Prove every byte; exit with 1 when there is damage.
    Check(verbs::ledger::LedgerArgs),
    /// Write a ledger into one file.
    Export(verbs::ledger::export::ExportArgs),
    /// Make a ledger out of an export, where there is none.
    Import(verbs::ledger::import::ImportArgs),
}

impl Verb {
    /// Whether it is a process that serves others and logs what it does.
    pub fn is_process(&self) -> bool {
        match self {
            Verb::Agent(agent) => agent.verb.is_none(),
            Verb::Master(master) => master.verb.is_none(),
            Verb::Service(verb) => verb.is_process(),
            Verb::Dev(_)
            | Verb::Demo(_)
            | Verb::Drill(_)
            | Verb::CommandExecutor
            | Verb::DefaultExecutor
            | Verb::ContainerShim { .. } => true,
            _ => false,
        }
    }

    /// Whether it has so much to do at once that more than one thread is worth its cost. An executor has not: there is one in each
    /// container, and each begins with its task waiting.
    pub fn wants_threads(&self) -> bool {
        self.is_process() && !matches!(self, Verb::CommandExecutor | Verb::DefaultExecutor)
    }

    /// How much is logged when nobody says. An executor's log goes where its task writes, so it says only what is wrong.
    pub fn log_level(&self) -> &'static str {
        match self {
            Verb::CommandExecutor | Verb::DefaultExecutor => "warn",
            _ if self.is_process() => "info",
            _ => "error",
        }
    }

    /// Whether a signal asks it to stop; everything else simply ends.
    pub fn stops_in_order(&self) -> bool {
        self.is_process() || matches!(self, Verb::Run(_))
    }

    /// Whether it starts processes that must be gone when it ends.
    pub fn keeps_others(&self) -> bool {
        matches!(self, Verb::Dev(_) | Verb::Demo(_) | Verb::Drill(_))
    }

    /// Does it; gives the exit code. `command` makes the grammar, which only completions need once more.
    ///
    /// # Errors
    /// As each verb says.
    pub async fn run(
        self,
        globals: &Globals,
        context: &Context,
        stop: CancellationToken,
        command: fn() -> clap::Command,
    ) -> anyhow::Result<i32> {
        match self {
            Verb::Master(MasterLine { settings, verb: None }) => {
                holdfast_node::master_process::run(settings, stop).await.map(|()| 0)
            }
            Verb::Master(MasterLine { verb: Some(MasterVerb::Recover(args)), .. }) => {
                verbs::master_recover::run(context, &args).await
            }
            Verb::Agent(AgentLine { settings, verb: None }) => {
                let settings = AgentSettings { master: globals.masters_of_agent(), ..settings };
                holdfast_node::agent_process::run(settings, stop).await.map(|()| 0)
            }
            Verb::Agent(AgentLine { verb: Some(verb), .. }) => verb.ask(context).await,
            Verb::Dev(settings) => crate::dev::run(settings, stop).await.map(|()| 0),
            Verb::Demo(settings) => crate::demo::run(settings, stop).await,
            Verb::Drill(settings) => crate::drill::run(context, settings, stop).await,
            Verb::CommandExecutor => holdfast_node::executor_process::run_command_executor().await,
            Verb::DefaultExecutor => holdfast_node::executor_process::run_default_executor().await,
            Verb::ContainerShim { .. } => anyhow::bail!(
                "a container's keeper must be the first thing in its process; `main` starts it"
            ),
            Verb::Run(args) => verbs::run::run(context, &args).await,
            Verb::Explain(args) => verbs::explain::run(context, &args).await,
            Verb::Doctor(args) => verbs::doctor::run(context, &args),
            Verb::Completion(args) => verbs::completion::run(context, args, command()),
            Verb::Ledger(verb) => verb.run(context),
            Verb::Service(verb) => verb.ask(context).await,
            other => other.ask(context).await,
        }
    }

    /// Asks the masters.
    async fn ask(self, context: &Context) -> anyhow::Result<i32> {
        match self {
            Verb::Disk(DiskVerb::List(args)) => verbs::disk_list::run(context, &args).await,
            Verb::Disk(DiskVerb::Show(args)) => verbs::disk_show::run(context, &args).await,
            Verb::Disk(DiskVerb::Add(args)) => verbs::disk_add::run(context, &args).await,
            Verb::Disk(DiskVerb::Adopt(args)) => verbs::disk_adopt::run(context, &args).await,
            Verb::Disk(DiskVerb::Moves(args)) => verbs::disk_moves::run(context, &args).await,
            Verb::Disk(DiskVerb::CancelMove(args)) => {
                verbs::disk_cancel_move::run(context, &args).await
            }
            Verb::Disk(DiskVerb::Remove(args)) => verbs::disk_remove::run(context, &args).await,
            Verb::Claim(ClaimVerb::List(args)) => verbs::claim_list::run(context, &args).await,
            Verb::Claim(ClaimVerb::Show(args)) => verbs::claim_show::run(context, &args).await,
            Verb::Claim(ClaimVerb::Where(args)) => verbs::claim_where::run(context, &args).await,
            Verb::Claim(ClaimVerb::History(args)) => {
                verbs::claim_history::run(context, &args).await
            }
            Verb::Claim(ClaimVerb::Export(args)) => verbs::claim_export::run(context, &args).await,
            Verb::Claim(ClaimVerb::Apply(args))
            | Verb::Reservation(
                ReservationVerb::Create(OrPlan::Planned(args))
                | ReservationVerb::Remove(OrPlan::Planned(args)),
            ) => verbs::claim_apply::run(context, &args).await,
            Verb::Claim(ClaimVerb::GiveUp(args)) => verbs::claim_give_up::run(context, &args).await,
            Verb::Reservation(ReservationVerb::Create(OrPlan::Asked(args))) => {
                verbs::reservation_create::run(context, &args).await
            }
            Verb::Reservation(ReservationVerb::List(args)) => {
                verbs::reservation_list::run(context, &args).await
            }
            Verb::Reservation(ReservationVerb::Remove(OrPlan::Asked(args))) => {
                verbs::reservation_remove::run(context, &args).await
            }
            Verb::Volume(verb) => verb.ask(context).await,
            Verb::Trash(TrashVerb::Restore(args)) => {
                verbs::volume_undelete::run(context, &args).await
            }
            Verb::Trash(TrashVerb::List(args)) => verbs::trash_list::run(context, &args).await,
            Verb::Trash(TrashVerb::Purge(args)) => verbs::trash_purge::run(context, &args).await,
            Verb::Framework(FrameworkVerb::List(args)) => {
                verbs::framework_list::run(context, args).await
            }
            Verb::Framework(FrameworkVerb::Teardown(args)) => {
                verbs::framework_teardown::run(context, &args).await
            }
            Verb::Task(TaskVerb::List(args)) => verbs::task_list::run(context, &args).await,
            Verb::Task(TaskVerb::Logs(args)) => verbs::task_logs::run(context, &args).await,
            Verb::Task(TaskVerb::Exec(args)) => verbs::task_exec::run(context, &args).await,
            Verb::Task(TaskVerb::Kill(args)) => verbs::task_kill::run(context, &args).await,
            Verb::Role(RoleVerb::List(args)) => verbs::role_list::run(context, args).await,
            Verb::Maintenance(verb) => verb.ask(context).await,
            Verb::Quota(QuotaVerb::List(args)) => verbs::quota_list::run(context, args).await,
            Verb::Quota(QuotaVerb::Set(args)) => verbs::quota_set::set(context, &args).await,
            Verb::Quota(QuotaVerb::Remove(args)) => verbs::quota_set::remove(context, &args).await,
            Verb::Offer(OfferVerb::List(args)) => verbs::offer_list::run(context, args).await,
            Verb::CompleteWords(args) => verbs::complete_words::run(context, &args).await,
            other => anyhow::bail!("{other:?} is led nowhere; this is a bug"),
        }
    }
}

impl MaintenanceVerb {
    /// Asks the masters.
    async fn ask(self, context: &Context) -> anyhow::Result<i32> {
        match self {
            MaintenanceVerb::List(args) => verbs::maintenance::list(context, args).await,
            MaintenanceVerb::Schedule(args) => verbs::maintenance::schedule(context, &args).await,
            MaintenanceVerb::Start(args) => verbs::maintenance::start(context, &args).await,
            MaintenanceVerb::Stop(args) => verbs::maintenance::stop(context, &args).await,
            MaintenanceVerb::Clear(args) => verbs::maintenance::clear(context, &args).await,
        }
    }
}

impl AgentVerb {
    /// Asks the masters.
    async fn ask(self, context: &Context) -> anyhow::Result<i32> {
        match self {
            AgentVerb::List(args) => verbs::agent_list::run(context, args).await,
            AgentVerb::Show(args) => verbs::agent_show::run(context, &args).await,
            AgentVerb::Recover(args) => verbs::agent_recover::run(context, &args).await,
            AgentVerb::Drain(args) => verbs::agent_drain::drain(context, &args).await,
            AgentVerb::Deactivate(args) => verbs::agent_drain::deactivate(context, &args).await,
            AgentVerb::Reactivate(args) => verbs::agent_drain::reactivate(context, &args).await,
            AgentVerb::Gone(args) => verbs::agent_gone::run(context, &args).await,
        }
    }
}

impl VolumeVerb {
    /// Asks the masters.
    async fn ask(self, context: &Context) -> anyhow::Result<i32> {
        match self {
            VolumeVerb::Create(OrPlan::Planned(args))
            | VolumeVerb::Grow(OrPlan::Planned(args))
            | VolumeVerb::Shrink(OrPlan::Planned(args))
            | VolumeVerb::Destroy(OrPlan::Planned(args)) => {
                verbs::claim_apply::run(context, &args).await
            }
            VolumeVerb::Create(OrPlan::Asked(args)) => {
                verbs::volume_create::run(context, &args).await
            }
            VolumeVerb::Grow(OrPlan::Asked(args)) => {
                verbs::volume_resize::run(context, &args, Resize::Grow).await
            }
            VolumeVerb::Shrink(OrPlan::Asked(args)) => {
                verbs::volume_resize::run(context, &args, Resize::Shrink).await
            }
            VolumeVerb::Destroy(OrPlan::Asked(args)) => {
                verbs::volume_destroy::run(context, &args).await
            }
            VolumeVerb::Adopt(args) => verbs::volume_adopt::run(context, &args).await,
            VolumeVerb::RemoveOrphan(args) => {
                verbs::volume_remove_orphan::run(context, &args).await
            }
            VolumeVerb::Undelete(args) => verbs::volume_undelete::run(context, &args).await,
        }
    }
}

impl LedgerVerb {
    fn run(self, context: &Context) -> anyhow::Result<i32> {
        match self {
            LedgerVerb::Show(args) => verbs::ledger::show::run(context, &args),
            LedgerVerb::Check(args) => verbs::ledger::check::run(context, &args),
            LedgerVerb::Export(args) => verbs::ledger::export::run(context, &args),
            LedgerVerb::Import(args) => verbs::ledger::import::run(context, &args),
        }
    }
}
