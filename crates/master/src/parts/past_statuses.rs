//! What a task was before its newest status, for people and for tools that ask when it began to run.
//!
//! As in Mesos a state that is reported again replaces what was known of it. Never kept on a disk: after a failover of
//! the master it begins anew with what the agent reports.

use std::sync::Arc;

use holdfast_model::{Instant, TaskState, TaskStatus};

/// How many are kept of a task: one that is unreachable every other minute does not grow.
const PAST_MAX: usize = 16;

/// What a task was, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastStatus {
    /// The state.
    pub state: TaskState,
    /// Since when.
    pub at: Instant,
    /// Whether it passed its health check, when last said.
    pub healthy: Option<bool>,
}

/// What a task was, the oldest first; nothing for a task in its first state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastStatuses(Option<Arc<Vec<PastStatus>>>);

impl PastStatuses {
    /// They, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &PastStatus> {
        self.0.iter().flat_map(|it| it.iter())
    }

    /// `former` is not the newest status any more, `newest` is: a later one, or one that an agent tells again, after
    /// which the later ones come again, too.
    pub(super) fn superseded(&mut self, former: &TaskStatus, newest: &TaskStatus) {
        let is_told_again = former.at > newest.at;
        if former.state == newest.state && !is_told_again {
            return;
        }
        let past = Arc::make_mut(self.0.get_or_insert_default());
        if is_told_again {
            past.retain(|it| it.at <= newest.at && it.state != newest.state);
            return;
        }
        if past.len() == PAST_MAX {
            past.remove(0);
        }
        // Most tasks have one or two of them: no more room is taken than that.
        past.reserve_exact(1);
        past.push(PastStatus { state: former.state, at: former.at, healthy: former.healthy });
    }
}

#[cfg(test)]
mod tests {
    use holdfast_model::TaskId;

    use super::*;

    fn status(state: TaskState, at: u64) -> TaskStatus {
        TaskStatus::new(TaskId::made("t".to_owned()), state, Instant(at))
    }

    #[test]
    fn h42_each_state_is_remembered_once_and_a_repetition_replaces() {
        let mut past = PastStatuses::default();
        past.superseded(&status(TaskState::Starting, 1), &status(TaskState::Running, 2));
        past.superseded(&status(TaskState::Running, 2), &status(TaskState::Running, 3));
        past.superseded(&status(TaskState::Running, 3), &status(TaskState::Finished, 4));
        let seen: Vec<_> = past.iter().map(|it| (it.state, it.at.0)).collect();
        assert_eq!(seen, [(TaskState::Starting, 1), (TaskState::Running, 3)]);
    }

    #[test]
    fn what_an_agent_tells_again_is_remembered_once() {
        let told = [(TaskState::Starting, 1), (TaskState::Running, 2), (TaskState::Killing, 2)];
        let told = told.map(|(state, at)| status(state, at));
        let mut past = PastStatuses::default();
        // Nothing of it was acknowledged: the agent comes back and begins with the oldest.
        for pair in [[0, 1], [1, 2], [2, 0], [0, 1], [1, 2]] {
            past.superseded(&told[pair[0]], &told[pair[1]]);
        }
        let seen: Vec<_> = past.iter().map(|it| it.state).collect();
        assert_eq!(seen, [TaskState::Starting, TaskState::Running]);
    }

    #[test]
    fn a_task_that_comes_and_goes_keeps_the_newest() {
        let mut past = PastStatuses::default();
        for at in 0..100 {
            let (former, newest) = (TaskState::Running, TaskState::Unreachable);
            past.superseded(&status(former, 2 * at), &status(newest, 2 * at + 1));
        }
        let seen: Vec<_> = past.iter().map(|it| it.at.0).collect();
        assert_eq!((seen.len(), seen.first(), seen.last()), (PAST_MAX, Some(&168), Some(&198)));
    }
}
