//! Which tasks live and die together (I12).
//!
//! Relies on being told each end once. Never ends anything itself.

use std::collections::BTreeSet;

use holdfast_model::TaskId;

/// The groups that an executor was given.
#[derive(Debug, Default)]
pub(super) struct Groups {
    live: Vec<BTreeSet<TaskId>>,
    given: bool,
}

impl Groups {
    /// A group was given.
    pub fn give(&mut self, tasks: impl IntoIterator<Item = TaskId>) {
        self.live.push(tasks.into_iter().collect());
        self.given = true;
    }

    /// A task ended. Returns whom it takes along: the rest of its group, unless it ended well.
    pub fn end(&mut self, task: &TaskId, well: bool) -> Vec<TaskId> {
        let mut along = Vec::new();
        for group in &mut self.live {
            if group.remove(task) && !well {
                along.extend(group.iter().cloned());
            }
        }
        self.live.retain(|group| !group.is_empty());
        along
    }

    /// Whether there ever was a group.
    pub fn are_given(&self) -> bool {
        self.given
    }

    /// Whether there were groups, and all have ended.
    pub fn are_over(&self) -> bool {
        self.given && self.live.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> TaskId {
        TaskId::made(name.to_owned())
    }

    #[test]
    fn i12_a_failing_task_takes_its_group_along_and_no_other() {
        let mut groups = Groups::default();
        assert!(!groups.are_over(), "an executor without tasks waits for some");
        groups.give([id("a1"), id("a2"), id("a3")]);
        groups.give([id("b1"), id("b2")]);
        assert_eq!(groups.end(&id("a1"), true), []);
        assert_eq!(groups.end(&id("a2"), false), [id("a3")]);
        assert_eq!(groups.end(&id("a3"), false), []);
        assert_eq!(groups.end(&id("b1"), true), []);
        assert!(!groups.are_over());
        assert_eq!(groups.end(&id("b2"), true), []);
        assert!(groups.are_over());
    }

    #[test]
    fn a_stranger_takes_nobody_along() {
        let mut groups = Groups::default();
        groups.give([id("a")]);
        assert_eq!(groups.end(&id("x"), false), []);
        assert!(!groups.are_over());
    }
}
