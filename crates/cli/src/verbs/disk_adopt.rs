//! `disk adopt`: have the claims of a disk follow it to another path of its agent, or to another agent.
//!
//! The agent on whose host it is now, which has the last word, looks for the disk at the path, by its label, and writes it down there with all
//! its claims in one go. Answered once that is durable and the masters know it. The path is one of that agent's host, so nothing of it can be
//! checked here.

use holdfast_api::rows::{AgentRow, ClaimRow, DiskRow, GoneAgentRow};
use holdfast_model::{DiskAdoption, DiskId};
use serde_json::json;

use super::change::{put_plan, PlanArgs};
use super::choose::choose;
use super::claim_list::CLAIMS;
use super::listing::raw;
use super::rows::Received;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT};

/// Which disk, and where it is now.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskAdoptArgs {
    /// Its id, the beginning of it, or the path where its claims say that it is.
    pub disk: String,
    /// The absolute path where it is now, on the agent's host.
    #[arg(long)]
    pub path: String,
    /// The agent on whose host it is now, when that is not the one that has its claims; or which one, when several have a disk at that path.
    #[arg(long)]
    pub agent: Option<String>,
    /// The agent that had it, where that one was marked gone: nothing of it is claimed then, and its volumes are orphans.
    #[arg(long, value_name = "AGENT", requires = "agent")]
    pub from_gone: Option<String>,
    /// Its size in MB from now on; as it was when not given, and at another agent as it is measured.
    #[arg(long, value_name = "MB")]
    pub size_mb: Option<u64>,
    /// Pass over the agent that has its claims, which is away and cannot say that nothing of it uses the disk any more.
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// How it is known that nothing of that agent uses the disk any more.
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub reason: Option<String>,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// What is to be adopted, and where.
struct Wanted {
    /// Its id.
    disk: String,
    /// The agent that has its claims.
    owner: String,
    /// The agent on whose host it is now, and that host.
    agent: String,
    hostname: String,
    /// As the owner tells of it; `None` when it does not, since it is away.
    row: Option<Received<DiskRow>>,
    /// What is claimed of it.
    claims: Vec<Received<ClaimRow>>,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &DiskAdoptArgs) -> anyhow::Result<i32> {
    let wanted = find(context, args).await?;
    let size_mb = args.size_mb.map(|it| it.to_string());
    let adoption = DiskId::parse(&wanted.disk)
        .and_then(|id| DiskAdoption::parse(id, &args.path, size_mb.as_deref()))
        .map_err(|it| Failure::usage(it.to_string(), "write for instance --path /mnt/disk2"))?;
    if args.plan.plan {
        return plan(context, &wanted, &adoption, args);
    }
    let mut pairs = vec![
        ("agent", wanted.agent.as_str()),
        ("disk", &wanted.disk),
        ("path", &adoption.root),
        ("from", &wanted.owner),
    ];
    pairs.extend(size_mb.as_deref().map(|it| ("size_mb", it)));
    pairs.extend(args.force.then_some(("force", "true")));
    pairs.extend(args.reason.as_deref().map(|it| ("reason", it)));
    context.master.post("adopt-disk", &pairs).await?;
    context.remark(&format!(
        "disk {} on {} is at {} from now on, with all that is claimed of it",
        wanted.disk, wanted.hostname, adoption.root
    ));
    let mut claims = context.master.rows::<ClaimRow>().await?;
    claims.retain(|it| {
        it.agent == wanted.agent && is_on(it, &wanted.disk, Some(adoption.root.as_str()))
    });
    context.console.put(&CLAIMS.text(context, &claims))?;
    Ok(0)
}

/// Finds out which disk is meant, and who has its claims: an agent that is away tells of no disks, but what it has claimed is known.
async fn find(context: &Context, args: &DiskAdoptArgs) -> anyhow::Result<Wanted> {
    let disks = context.master.rows::<DiskRow>().await?;
    let claims = context.master.rows::<ClaimRow>().await?;
    let agents = context.master.rows::<AgentRow>().await?;
    let given = args.agent.as_deref().map(|it| choose(&agents, it)).transpose()?;
    let is_owner = |it: &DiskRow| {
        claims.iter().any(|claim| claim.agent == it.agent && claim.disk.as_ref() == Some(&it.id))
    };
    // Of two that tell of one disk, the one with its claims has it.
    let owned: Vec<Received<DiskRow>> = disks.iter().filter(|it| is_owner(it)).cloned().collect();
    let at_given: Vec<Received<DiskRow>> = disks
        .iter()
        .filter(|it| given.is_some_and(|agent| it.agent == agent.id))
        .cloned()
        .collect();
    let ids: Vec<&ClaimRow> = claims
        .iter()
        .map(|it| &**it)
        .filter(|it| it.disk.as_ref().is_some_and(|id| id.starts_with(&args.disk)))
        .collect();
    let chosen = match choose(&at_given, &args.disk) {
        Ok(row) => Ok(row),
        Err(_) => choose(&owned, &args.disk).or_else(|_| choose(&disks, &args.disk)),
    };
    let (id, teller) = match (chosen, ids.first()) {
        (Ok(row), _) => (row.id.clone(), row.agent.clone()),
        (Err(_), Some(claim)) if ids.iter().all(|it| it.disk == claim.disk) => {
            (claim.disk.clone().unwrap_or_default(), claim.agent.clone())
        }
        (Err(why), _) => return Err(why.into()),
    };
    let volume = claims.iter().find(|it| it.disk.as_ref() == Some(&id));
    let owner = match &args.from_gone {
        Some(gone) => choose(&context.master.rows::<GoneAgentRow>().await?, gone)?.id.clone(),
        None => volume.map_or(teller, |it| it.agent.clone()),
    };
    let row = disks.iter().find(|it| it.id == id && it.agent == owner).cloned();
    let root = row.as_ref().map(|it| it.root.as_str());
    let root = root.or_else(|| volume.and_then(|it| it.disk_root.as_deref())).map(str::to_owned);
    let agent = given.map_or_else(|| owner.clone(), |it| it.id.clone());
    let host = agents.iter().find(|it| it.id == agent).map(|it| it.hostname.clone());
    let on_it = claims.iter().filter(|it| it.agent == owner && is_on(it, &id, root.as_deref()));
    let on_it = on_it.cloned().collect();
    let hostname = host.unwrap_or_else(|| agent.clone());
    Ok(Wanted { disk: id, owner, agent, hostname, row, claims: on_it })
}

/// A volume names its disk; a reservation only the path.
fn is_on(claim: &ClaimRow, disk: &str, root: Option<&str>) -> bool {
    match &claim.disk {
        Some(id) => id == disk,
        None => root.is_some() && claim.disk_root.as_deref() == root,
    }
}

fn plan(
    context: &Context,
    wanted: &Wanted,
    adoption: &DiskAdoption,
    args: &DiskAdoptArgs,
) -> anyhow::Result<i32> {
    let (id, is_moved) = (&wanted.disk, wanted.agent != wanted.owner);
    if let Some(row) = &wanted.row {
        if row.root == adoption.root && !is_moved {
            let cause = format!("the claims of disk {id} are at {} already", row.root);
            let hint = "see it with `holdfast disk show`";
            return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
        }
        if row.fault.is_none() {
            let cause = format!("disk {id} is well at {}, where its claims are", row.root);
            let hint = "unmount it there and mount it at the new path first";
            return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
        }
    } else if !args.force {
        let cause = format!(
            "agent {}, which has the claims of disk {id}, is away, and cannot say that nothing of it uses the disk any more",
            wanted.owner
        );
        let hint = "start it, or, if nothing of it does, pass it over: --force --reason TEXT";
        return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
    }
    let from = wanted.row.as_ref().map(|it| it.root.clone());
    let mut plan = json!({
        "action": "ADOPT_DISK", "agent": wanted.agent, "disk": id, "from": from,
        "path": adoption.root, "claims": raw(&wanted.claims),
        "touches": "nothing on the disk"
    });
    if is_moved {
        plan["from_agent"] = json!(wanted.owner);
    }
    put_plan(context, &plan)
}
