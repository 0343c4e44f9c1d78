//! What containers of this agent must not see, and what is said of it.
//!
//! Relies on `containers` to hide it. Never claims more than the machine was found to do.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use holdfast_containers::{HiddenPlace, Isolation};
use holdfast_model::DiskKind;

use super::containers::Containers;
use super::machine::DiskPlan;

/// Where a master keeps its ledger unless it is told otherwise; there may be one on this machine.
const MASTER_DIR: &str = "/var/lib/holdfast/master";
/// The folder on each disk that holds everything of ours.
const FOLDER: &str = "holdfast";

/// The places of Holdfast on this machine that are known: the agent's own directory, which holds the ROOT disk, its other disks, a
/// master's directory, and what the settings name.
pub fn places(dir: &Path, disks: &[DiskPlan], others: &[PathBuf]) -> Vec<HiddenPlace> {
    let disks = disks.iter().filter_map(|it| match it.kind {
        DiskKind::Root => None,
        DiskKind::Path => Some(HiddenPlace::folder(it.root.clone(), FOLDER)),
        DiskKind::Mount => Some(HiddenPlace::whole(it.root.clone())),
    });
    let all = [HiddenPlace::whole(dir), HiddenPlace::whole(MASTER_DIR)];
    all.into_iter().chain(disks).chain(others.iter().map(HiddenPlace::whole)).collect()
}

/// Hides the places of Holdfast from tasks, and those of disks that are added later.
pub struct Hiding {
    dir: PathBuf,
    others: Vec<PathBuf>,
    containers: Containers,
    /// All disks there ever were: what was taken away from the agent is still not the tasks'.
    disks: Mutex<Vec<DiskPlan>>,
}

impl Hiding {
    /// Of an agent with these disks.
    pub fn new(
        dir: &Path,
        disks: Vec<DiskPlan>,
        others: Vec<PathBuf>,
        containers: Containers,
    ) -> Hiding {
        Hiding { dir: dir.to_owned(), others, containers, disks: Mutex::new(disks) }
    }

    /// Hides them, also from the tasks that run.
    pub fn hide(&self) {
        self.hide_all(&self.disks.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The same with one disk more. May wait for containers that are being started.
    pub fn add(&self, disk: &DiskPlan) {
        let mut disks = self.disks.lock().unwrap_or_else(PoisonError::into_inner);
        if !disks.contains(disk) {
            disks.push(disk.clone());
            self.hide_all(&disks);
        }
    }

    fn hide_all(&self, disks: &[DiskPlan]) {
        self.containers.hide(places(&self.dir, disks, &self.others));
    }
}

/// Says in the log what keeps tasks apart.
pub fn tell(isolation: &Isolation, privileged: bool) {
    match (isolation.namespaces, isolation.hides) {
        (true, true) => tracing::info!(
            "tasks see no volume, sandbox or ledger on this machine but what they were given"
        ),
        (true, false) if privileged => tracing::warn!(
            "--privileged-tasks: tasks of root can reach every volume, sandbox and ledger on this machine; between other users, isolation is by \
             user only"
        ),
        _ => tracing::warn!(
            "isolation is by user only: tasks of the same user, and all of root's, can reach each other's volumes; `holdfast doctor` says what \
             this machine lacks"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_has_is_hidden_and_what_others_keep_beside_a_shared_disk_is_not() {
        let disk = |kind, root: &str| DiskPlan {
            kind,
            root: root.into(),
            size_mb: None,
            given: true,
            limit: Default::default(),
        };
        let disks = [
            disk(DiskKind::Root, "/agent"),
            disk(DiskKind::Path, "/srv/d1"),
            disk(DiskKind::Mount, "/mnt/d2"),
        ];
        assert_eq!(
            places(Path::new("/agent"), &disks, &["/backups".into()]),
            [
                HiddenPlace::whole("/agent"),
                HiddenPlace::whole(MASTER_DIR),
                HiddenPlace::folder("/srv/d1", "holdfast"),
                HiddenPlace::whole("/mnt/d2"),
                HiddenPlace::whole("/backups"),
            ]
        );
    }
}
