//! `volume remove-orphan`: have a whole volume that no claim stands for moved to the trash of its disk, on purpose.
//!
//! It can be brought back as any destroyed volume, and is removed as one. Never without a typed word of somebody (or -y, for scripts).

use holdfast_api::rows::{AgentRow, DiskRow};

use super::change::{confirm_by_name, put_plan, DestroyArgs};
use super::choose::choose;
use super::volume_adopt::find;
use super::Context;

/// Which orphan.
#[derive(Clone, Debug, clap::Args)]
pub struct VolumeRemoveOrphanArgs {
    /// The volume, by its uuid or the beginning of it, as `disk show` names it.
    #[arg(value_name = "UUID")]
    pub orphan: String,
    /// The agent that has its disk, when several have such a volume.
    #[arg(long)]
    pub agent: Option<String>,
    /// Its disk: the disk's id, the beginning of it, or its path.
    #[arg(long)]
    pub disk: Option<String>,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &VolumeRemoveOrphanArgs) -> anyhow::Result<i32> {
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = args.agent.as_deref().map(|it| choose(&agents, it)).transpose()?;
    let place = (agent.map(|it| it.id.as_str()), args.disk.as_deref());
    let disks = context.master.rows::<DiskRow>().await?;
    let found = find(&disks, &args.orphan, place)?;
    let pairs = [("agent", found.agent.as_str()), ("volume", found.volume.as_str())];
    if args.destroy.plan.plan {
        let plan = context.master.get("remove-orphan-plan", &pairs).await?;
        return put_plan(context, &plan);
    }
    let question = format!(
        "Move volume {} (`{}` of role {}) on {} to the trash of its disk.",
        found.volume, found.name, found.role, found.hostname
    );
    confirm_by_name(context, &question, &found.name, args.destroy)?;
    context.master.post("remove-orphan", &pairs).await?;
    context.remark(&format!(
        "volume {} goes to the trash; `holdfast volume undelete {}` brings it back, as a volume of role {}",
        found.volume, found.volume, found.role
    ));
    Ok(0)
}
