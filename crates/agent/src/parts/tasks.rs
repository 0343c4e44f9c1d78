//! What is known of tasks in this life: which of their statuses were seen, how long they may take to end, and which volumes their
//! running container must be seen to show before they are given.
//!
//! Never decides about a task; its record is the ledger's.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{ClaimId, StatusUuid, TaskKey};

use super::seen::Seen;

/// How many names of statuses are remembered per task, so that a status that comes twice is told once.
const SEEN_STATUSES_MAX: usize = 64;

/// What is kept by task.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    seen_statuses: BTreeMap<TaskKey, Seen<StatusUuid, SEEN_STATUSES_MAX>>,
    /// As their kills said, in milliseconds.
    kill_graces_ms: BTreeMap<TaskKey, u64>,
    unshown: BTreeMap<TaskKey, BTreeSet<ClaimId>>,
}

impl Tasks {
    /// Notes a status's name; says whether it is new.
    pub(crate) fn note_status(&mut self, task: &TaskKey, uuid: StatusUuid) -> bool {
        self.seen_statuses.entry(task.clone()).or_default().note(uuid)
    }

    /// How long a task may take to end, if a kill said.
    pub(crate) fn kill_grace_ms(&self, task: &TaskKey) -> Option<u64> {
        self.kill_graces_ms.get(task).copied()
    }

    pub(crate) fn set_kill_grace_ms(&mut self, task: TaskKey, grace_ms: u64) {
        self.kill_graces_ms.insert(task, grace_ms);
    }

    /// A task waits until its container shows these volumes.
    pub(crate) fn await_shown(&mut self, task: TaskKey, volumes: BTreeSet<ClaimId>) {
        self.unshown.insert(task, volumes);
    }

    /// A container shows a volume; those of its tasks that `which` names wait for it no longer.
    pub(crate) fn note_shown(&mut self, volume: ClaimId, which: impl Fn(&TaskKey) -> bool) {
        self.unshown.retain(|task, volumes| {
            if which(task) {
                volumes.remove(&volume);
            }
            !volumes.is_empty()
        });
    }

    /// Tasks whose volumes are not shown yet.
    pub(crate) fn unshown(&self) -> impl Iterator<Item = &TaskKey> {
        self.unshown.keys()
    }

    pub(crate) fn is_unshown(&self, task: &TaskKey) -> bool {
        self.unshown.contains_key(task)
    }

    /// The first volume that a task waits to be shown.
    pub(crate) fn first_unshown(&self, task: &TaskKey) -> Option<ClaimId> {
        self.unshown.get(task)?.first().copied()
    }

    /// A task has ended, and need not be shown anything.
    pub(crate) fn forget_unshown(&mut self, task: &TaskKey) {
        self.unshown.remove(task);
    }

    /// Forgets all that was kept about a task.
    pub(crate) fn forget(&mut self, task: &TaskKey) {
        self.seen_statuses.remove(task);
        self.kill_graces_ms.remove(task);
        self.unshown.remove(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::task_key;
    use uuid::Uuid;

    #[test]
    fn a_status_is_new_once_until_it_is_long_ago() {
        let (mut tasks, task) = (Tasks::default(), task_key("t"));
        let uuid = |it: usize| StatusUuid(Uuid::from_u128(it as u128));
        assert!((0..=SEEN_STATUSES_MAX).all(|it| tasks.note_status(&task, uuid(it))));
        assert!(!tasks.note_status(&task, uuid(SEEN_STATUSES_MAX)));
        assert!(tasks.note_status(&task, uuid(0)), "the oldest was let go");
        tasks.forget(&task);
        assert!(tasks.note_status(&task, uuid(0)));
    }

    #[test]
    fn a_task_waits_for_each_of_its_volumes() {
        let (mut tasks, task) = (Tasks::default(), task_key("t"));
        let id = |it| ClaimId(Uuid::from_u128(it));
        tasks.await_shown(task.clone(), BTreeSet::from([id(1), id(2)]));
        tasks.note_shown(id(1), |_| false);
        assert_eq!(tasks.first_unshown(&task), Some(id(1)), "another container shows it");
        tasks.note_shown(id(1), |it| *it == task);
        assert_eq!(tasks.first_unshown(&task), Some(id(2)));
        tasks.note_shown(id(2), |_| true);
        assert!(!tasks.is_unshown(&task));
    }
}
