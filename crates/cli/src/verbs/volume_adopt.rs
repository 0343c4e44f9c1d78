//! `volume adopt`: make a directory with data a volume, or a whole volume that no claim stands for that of a claim again.
//!
//! Such an orphan was given up while its disk was away, or its CREATE was said to have failed. What is not said otherwise is as its label
//! says; a directory has none. Relies on the agent, which looks at what is adopted before its claim is written down. Never makes an empty volume.

use holdfast_api::rows::{AgentRow, ClaimRow, DiskRow};

use super::change::{put_plan, PlanArgs};
use super::choose::choose;
use super::claim_list::CLAIMS;
use super::rows::Received;
use super::Context;
use crate::failure::{Failure, EXIT_NOT_FOUND};

/// Which directory or orphan, and as what.
#[derive(Clone, Debug, clap::Args)]
pub struct VolumeAdoptArgs {
    /// A directory with data, by its absolute path on the agent's host, on the file system of the disk; it is moved, and never copied.
    #[arg(required_unless_present = "orphan", conflicts_with = "orphan")]
    pub path: Option<String>,
    /// A volume that no claim stands for, by its uuid or the beginning of it, as `disk show` names it.
    #[arg(long, value_name = "UUID")]
    pub orphan: Option<String>,
    /// The agent that has its disk; of an orphan only when several have such a volume.
    #[arg(long, required_unless_present = "orphan")]
    pub agent: Option<String>,
    /// Its disk: the disk's id, the beginning of it, or its path.
    #[arg(long, required_unless_present = "orphan")]
    pub disk: Option<String>,
    /// The role that it shall be for; of an orphan, else that of its label.
    #[arg(long, required_unless_present = "orphan")]
    pub role: Option<String>,
    /// The name that it shall have; of an orphan, else that of its label.
    #[arg(long, required_unless_present = "orphan")]
    pub name: Option<String>,
    /// The size that it shall have, in MB; of an orphan, else that of its label.
    #[arg(long, value_name = "MB", required_unless_present = "orphan")]
    pub size: Option<u64>,
    /// Where tasks will see it, in their sandbox.
    #[arg(long, default_value = "data", value_name = "PATH")]
    pub container_path: String,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &VolumeAdoptArgs) -> anyhow::Result<i32> {
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = args.agent.as_deref().map(|it| choose(&agents, it)).transpose()?;
    let place = (agent.map(|it| it.id.as_str()), args.disk.as_deref());
    let disks = context.master.rows::<DiskRow>().await?;
    let found = match &args.orphan {
        Some(orphan) => find(&disks, orphan, place)?,
        None => on_disk(&disks, args, place)?,
    };
    let size = args.size.map(|it| it.to_string());
    let mut pairs = vec![
        ("agent", found.agent.as_str()),
        ("disk", found.disk.as_str()),
        (if args.orphan.is_some() { "volume" } else { "path" }, found.volume.as_str()),
        ("container_path", args.container_path.as_str()),
    ];
    pairs.extend(args.role.as_deref().map(|it| ("role", it)));
    pairs.extend(args.name.as_deref().map(|it| ("name", it)));
    pairs.extend(size.as_deref().map(|it| ("size_mb", it)));
    if args.plan.plan {
        let plan = context.master.get("adopt-volume-plan", &pairs).await?;
        return put_plan(context, &plan);
    }
    context.master.post("adopt-volume", &pairs).await?;
    context.remark(&format!(
        "{} on {} is adopted, with its data: done and durable",
        found.volume, found.hostname
    ));
    let mut claims = context.master.rows::<ClaimRow>().await?;
    let is_it = |it: &ClaimRow| match args.orphan {
        Some(_) => it.id == found.volume,
        None => it.volume == args.name && Some(&it.role) == args.role.as_ref(),
    };
    claims.retain(|it| it.agent == found.agent && is_it(it));
    context.console.put(&CLAIMS.text(context, &claims))?;
    Ok(0)
}

/// A directory, and where it is said to be.
fn on_disk(
    disks: &[Received<DiskRow>],
    args: &VolumeAdoptArgs,
    (agent, disk): (Option<&str>, Option<&str>),
) -> Result<FoundOrphan, Failure> {
    let its = disks.iter().filter(|it| agent.is_none_or(|agent| it.agent == agent));
    let its: Vec<Received<DiskRow>> = its.cloned().collect();
    let disk = choose(&its, disk.unwrap_or_default())?;
    Ok(FoundOrphan {
        volume: args.path.clone().unwrap_or_default(),
        name: args.name.clone().unwrap_or_default(),
        role: args.role.clone().unwrap_or_default(),
        disk: disk.id.clone(),
        agent: disk.agent.clone(),
        hostname: disk.hostname.clone(),
    })
}

/// What is adopted, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundOrphan {
    /// Its uuid; of a directory its path.
    pub volume: String,
    /// The name on its label.
    pub name: String,
    /// The role on its label.
    pub role: String,
    /// Its disk.
    pub disk: String,
    /// The agent of that disk.
    pub agent: String,
    /// The host of that agent.
    pub hostname: String,
}

/// Finds the one orphan that is meant.
///
/// # Errors
/// When there is none, or several are meant.
pub fn find(
    disks: &[Received<DiskRow>],
    given: &str,
    (agent, disk): (Option<&str>, Option<&str>),
) -> Result<FoundOrphan, Failure> {
    let is_there = |it: &&Received<DiskRow>| agent.is_none_or(|agent| it.agent == agent);
    let there: Vec<Received<DiskRow>> = disks.iter().filter(is_there).cloned().collect();
    let there = match disk {
        None => there,
        Some(disk) => vec![choose(&there, disk)?.clone()],
    };
    let orphans = there.iter().flat_map(|disk| {
        let its = disk.orphans.iter().filter(|it| it.id.starts_with(given));
        its.map(|it| FoundOrphan {
            volume: it.id.clone(),
            name: it.volume.clone(),
            role: it.role.clone(),
            disk: disk.id.clone(),
            agent: disk.agent.clone(),
            hostname: disk.hostname.clone(),
        })
    });
    let mut orphans: Vec<FoundOrphan> = orphans.collect();
    match orphans.len() {
        1 => Ok(orphans.remove(0)),
        0 => {
            let cause = format!("no disk there has a volume {given} that no claim stands for");
            let hint = "see `holdfast disk list`, and `holdfast disk show DISK`; one whose label is damaged, or of another cluster, cannot be adopted";
            Err(Failure::new(EXIT_NOT_FOUND, cause, hint))
        }
        several => {
            let which: Vec<String> =
                orphans.iter().map(|it| format!("{} on {}", it.volume, it.hostname)).collect();
            let cause = format!("{several} such volumes are there: {}", which.join(", "));
            Err(Failure::usage(cause, "write more of the uuid, or name --agent and --disk"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    fn disk(agent: &str, root: &str, orphans: &[&str]) -> Received<DiskRow> {
        let orphans: Vec<_> = orphans
            .iter()
            .map(|it| json!({ "id": it, "role": "db", "size_mb": 10, "volume": "data-0" }))
            .collect();
        testbed::received(json!({
            "id": format!("d-{agent}-{root}"), "agent": agent, "hostname": format!("h-{agent}"), "root": root, "kind": "path",
            "orphans": orphans
        }))
    }

    #[test]
    fn an_orphan_is_found_by_the_beginning_of_its_uuid_and_named_when_several_are_meant() {
        let disks = [disk("S0", "/d1", &["aa1", "aa2"]), disk("S1", "/d1", &["aa1"])];
        let none = (None, None);
        assert_eq!(find(&disks, "aa2", none).unwrap().agent, "S0");
        assert_eq!(find(&disks, "aa1", (Some("S1"), None)).unwrap().disk, "d-S1-/d1");
        assert_eq!(find(&disks, "bb", none).unwrap_err().code, EXIT_NOT_FOUND);
        let several = find(&disks, "aa1", none).unwrap_err();
        assert!(several.cause.contains("aa1 on h-S0, aa1 on h-S1"), "{several}");
        assert!(find(&disks, "aa1", (Some("S0"), Some("/d1"))).is_ok());
        assert!(find(&disks, "aa1", (Some("S0"), Some("/d9"))).is_err());
    }
}
