//! `disk show`: one disk, how it is, who named it, and what is claimed of it.

use holdfast_api::rows::{ClaimRow, DiskRow};
use serde_json::json;

use super::choose::choose;
use super::claim_list::CLAIMS;
use super::disk_list::fault;
use super::listing::{raw, WatchArgs};
use super::rows::Received;
use super::sheet::Sheet;
use super::show::{show, Shown};
use super::Context;
use crate::failure::Failure;
use crate::output::{human, Column, Table};

/// Which disk.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskShowArgs {
    /// Its id, the beginning of it, or its path.
    pub disk: String,
    /// Whether it is shown again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such disk.
pub async fn run(context: &Context, args: &DiskShowArgs) -> anyhow::Result<i32> {
    show(context, args.watch, || read(context, &args.disk)).await
}

async fn read(context: &Context, given: &str) -> Result<Shown, Failure> {
    let disks = context.master.rows::<DiskRow>().await?;
    let disk = choose(&disks, given)?;
    let claims = claims_on(context, disk).await?;
    let value = json!({ "disk": disk.raw, "claims": raw(&claims) });
    let (wide, colours) = (context.is_wide(), context.console.colours);
    let mut sheet = head(disk);
    sheet.table("Claims", &CLAIMS.table(&claims), wide, colours);
    sheet.table("Orphans", &orphans(disk), wide, colours);
    Ok(Shown { id: disk.id.clone(), value, sheet: sheet.text() })
}

/// The claims of parts of a disk.
///
/// # Errors
/// When no master answers.
pub async fn claims_on(
    context: &Context,
    disk: &DiskRow,
) -> Result<Vec<Received<ClaimRow>>, Failure> {
    let mut claims = context.master.rows::<ClaimRow>().await?;
    claims.retain(|it| is_on(it, disk));
    Ok(claims)
}

/// A volume names its disk; a reservation only the path.
fn is_on(claim: &ClaimRow, disk: &DiskRow) -> bool {
    let is_there = match &claim.disk {
        Some(id) => *id == disk.id,
        None => claim.disk_root.as_deref() == Some(disk.root.as_str()),
    };
    claim.agent == disk.agent && is_there
}

fn head(disk: &DiskRow) -> Sheet {
    let mut sheet = Sheet::default();
    let size = |mb: Option<u64>| mb.map(human::size_mb).unwrap_or_default();
    let fault = fault(disk);
    sheet
        .line("id", &disk.id)
        .line("agent", &disk.agent)
        .line("host", &disk.hostname)
        .line("path", &disk.root)
        .line("kind", disk.kind.word())
        .line("named by", named_by(disk))
        .line("state", if fault.is_empty() { "well" } else { &fault })
        .line("size", human::size_mb(disk.size_mb))
        .line("volumes", disk.volumes)
        .line("in volumes", human::size_mb(u64::try_from(disk.volumes_mb).unwrap_or(0)))
        .line("orphans", orphan_count(disk))
        .line("unclaimed", human::size_mb(disk.unclaimed_mb))
        .line("used", size(disk.used_mb))
        .line("trash", human::size_mb(disk.trash_mb))
        .line("file system", disk.file_system.as_deref().unwrap_or_default())
        .line("its size", size(disk.file_system_mb))
        .line("its free", size(disk.file_system_free_mb));
    sheet
}

/// How many volumes on a disk no claim stands for.
fn orphan_count(disk: &DiskRow) -> u64 {
    disk.more_orphans.saturating_add(u64::try_from(disk.orphans.len()).unwrap_or(u64::MAX))
}

/// Whole volumes on a disk that no claim stands for, as their labels tell.
fn orphans(disk: &DiskRow) -> Table {
    let mut table = Table::new(&[
        Column::left("UUID"),
        Column::left("ROLE"),
        Column::left("VOLUME"),
        Column::right("MADE WITH"),
        Column::left("SHARED"),
    ]);
    for it in &disk.orphans {
        table.push(vec![
            it.id.as_str().into(),
            it.role.as_str().into(),
            it.volume.as_str().into(),
            human::size_mb(it.size_mb).into(),
            if it.shared { "yes" } else { "no" }.into(),
        ]);
    }
    table
}

/// Who gave the agent a disk.
pub fn named_by(disk: &DiskRow) -> &'static str {
    if disk.added {
        "an operator, with `disk add`"
    } else {
        "the agent's settings"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    #[test]
    fn a_reservation_lies_on_the_disk_of_its_path_and_a_volume_on_the_one_it_names() {
        let disk = json!({
            "id": "d1", "agent": "a", "hostname": "h1", "kind": "path", "root": "/mnt/d1", "size_mb": 1, "volumes_mb": 0, "volumes": 0,
            "fault": null, "unclaimed_mb": 1, "used_mb": null, "trash_mb": 0, "overcommitted_mb": 0, "file_system": null,
            "file_system_mb": null, "file_system_free_mb": null, "added": true
        });
        let disk: DiskRow = testbed::row(disk);
        let disk = &disk;
        let claim = |agent: &str, id: Option<&str>, root: &str| -> Received<ClaimRow> {
            testbed::received(json!({ "agent": agent, "disk": id, "disk_root": root }))
        };
        assert!(is_on(&claim("a", Some("d1"), "/elsewhere"), disk));
        assert!(is_on(&claim("a", None, "/mnt/d1"), disk));
        assert!(!is_on(&claim("a", Some("d2"), "/mnt/d1"), disk));
        assert!(!is_on(&claim("b", None, "/mnt/d1"), disk));
        let orphan = holdfast_api::rows::OrphanRow {
            id: "c-7".to_owned(),
            volume: "data-9".to_owned(),
            role: "db".to_owned(),
            size_mb: 64,
            shared: true,
        };
        let with_orphans = DiskRow { orphans: vec![orphan], more_orphans: 2, ..disk.clone() };
        assert_eq!((orphan_count(disk), orphan_count(&with_orphans)), (0, 3));
        assert!(orphans(disk).is_empty());
        let shown = orphans(&with_orphans).render(false, false);
        assert!(shown.contains("c-7") && shown.contains("data-9"), "{shown}");
        assert!(shown.contains("SHARED") && shown.contains("yes"), "{shown}");
        let text = head(disk).text();
        assert!(text.contains("`disk add`") && text.contains("well"), "{text}");
    }
}
