//! An executor's container in this life of the agent: where it is, who speaks for it, and what it may see.
//!
//! Never lets a volume go that the container may still see.

use std::collections::BTreeSet;

use holdfast_model::{ClaimId, LinkId, Reason, TaskKey, TaskState};

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The drivers have not said yet what runs.
    Recovering,
    /// It was not asked for yet: a volume is being made, or still held by a container that ends.
    Waiting,
    /// It was asked for.
    Starting,
    Running,
    /// Its executor was asked to end.
    Ending,
    /// The drivers were asked to destroy it.
    Destroying,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Recovering => "recovering",
            Phase::Waiting => "waiting",
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Ending => "ending",
            Phase::Destroying => "destroying",
        }
    }
}

/// What the tasks of a container that the agent ends are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TerminationReason {
    pub(crate) state: TaskState,
    pub(crate) reason: Reason,
    pub(crate) why: String,
}

impl TerminationReason {
    pub(crate) fn new(
        state: TaskState,
        reason: Reason,
        why: impl Into<String>,
    ) -> TerminationReason {
        TerminationReason { state, reason, why: why.into() }
    }
}

/// See the file.
#[derive(Clone, Debug)]
pub(crate) struct LiveContainer {
    phase: Phase,
    /// Its newest link, while that stands.
    link: Option<LinkId>,
    /// Tasks to be given to it, in the order of their launch.
    queue: Vec<TaskKey>,
    /// Whether it was ever given a task.
    used: bool,
    /// Volumes that it may see; they are free again when the container is gone, and not before.
    mounted: BTreeSet<ClaimId>,
    /// Of those, the ones that it was asked to show while it ran, and of which no answer has said yet that it does.
    unproven: BTreeSet<ClaimId>,
    /// How many updates of it are not answered yet.
    updates: u64,
    /// Why the agent ends it, if it does.
    termination: Option<TerminationReason>,
}

impl LiveContainer {
    /// One that is not asked for yet.
    pub(crate) fn waiting() -> LiveContainer {
        LiveContainer::new(Phase::Waiting)
    }

    /// One that the ledger knows, before the drivers have said what became of it.
    pub(crate) fn recovering() -> LiveContainer {
        LiveContainer::new(Phase::Recovering)
    }

    fn new(phase: Phase) -> LiveContainer {
        LiveContainer {
            phase,
            link: None,
            queue: Vec::new(),
            used: false,
            mounted: BTreeSet::new(),
            unproven: BTreeSet::new(),
            updates: 0,
            termination: None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Whether it was asked to end, or is being destroyed.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::Destroying)
    }

    /// Whether it takes tasks.
    pub(crate) fn takes_tasks(&self) -> bool {
        !self.is_ending() && self.phase != Phase::Waiting
    }

    pub(crate) fn link(&self) -> Option<LinkId> {
        self.link
    }

    pub(super) fn set_link(&mut self, link: Option<LinkId>) {
        self.link = link;
    }

    /// Tasks to be given to it, in order.
    pub(crate) fn queue(&self) -> &[TaskKey] {
        &self.queue
    }

    pub(crate) fn enqueue(&mut self, tasks: impl IntoIterator<Item = TaskKey>) {
        self.queue.extend(tasks);
    }

    /// A task is not to be given to it any more.
    pub(crate) fn dequeue(&mut self, task: &TaskKey) {
        self.queue.retain(|it| it != task);
    }

    /// Whether it was ever given a task.
    pub(crate) fn is_used(&self) -> bool {
        self.used
    }

    pub(crate) fn set_used(&mut self) {
        self.used = true;
    }

    /// Volumes that it may see.
    pub(crate) fn mounted(&self) -> &BTreeSet<ClaimId> {
        &self.mounted
    }

    /// It is started with this volume, or was.
    pub(super) fn mount(&mut self, volume: ClaimId) {
        self.mounted.insert(volume);
    }

    /// It is asked to show these volumes while it runs; see [`LiveContainer::end_update`].
    pub(super) fn begin_update(&mut self, volumes: &[ClaimId]) {
        for volume in volumes {
            if self.mounted.insert(*volume) {
                self.unproven.insert(*volume);
            }
        }
        self.updates += 1;
    }

    /// An update was answered: it shows these volumes, if only at one of their paths. If that was the last one under way, volumes that nothing
    /// has shown by then are given up, and named. One that a later update still asks for may yet be shown.
    pub(super) fn end_update(&mut self, shown: &[ClaimId]) -> Option<BTreeSet<ClaimId>> {
        self.updates = self.updates.saturating_sub(1);
        for volume in shown {
            self.unproven.remove(volume);
        }
        if self.updates != 0 {
            return None;
        }
        let given_up = std::mem::take(&mut self.unproven);
        self.mounted.retain(|it| !given_up.contains(it));
        Some(given_up)
    }

    /// Why the agent ends it. The first reason stays.
    pub(crate) fn note_termination(&mut self, reason: Option<TerminationReason>) {
        self.termination = self.termination.take().or(reason);
    }

    pub(crate) fn termination(&self) -> Option<&TerminationReason> {
        self.termination.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_volume_is_given_up_when_the_last_update_has_not_shown_it() {
        let (mut live, id) = (LiveContainer::recovering(), |it| ClaimId(Uuid::from_u128(it)));
        live.mount(id(1));
        live.begin_update(&[id(1), id(2)]);
        live.begin_update(&[id(3)]);
        assert_eq!(live.end_update(&[]), None, "another one may still show them");
        assert_eq!(live.mounted().len(), 3);
        assert_eq!(live.end_update(&[id(3)]), Some(BTreeSet::from([id(2)])));
        assert_eq!(*live.mounted(), BTreeSet::from([id(1), id(3)]));
    }

    #[test]
    fn the_first_reason_stays() {
        let reason =
            |why| Some(TerminationReason::new(TaskState::Killed, Reason::TaskInvalid, why));
        let mut live = LiveContainer::waiting();
        live.note_termination(None);
        live.note_termination(reason("first"));
        live.note_termination(reason("second"));
        assert_eq!(live.termination(), reason("first").as_ref());
        assert!(!live.takes_tasks() && !live.is_ending());
    }
}
