//! T1: each task has one end. Its states reach the framework in order, and what a framework was told has ended does not run.
//!
//! Relies on processes as they are. What a deposed master says is old and may be wrong; the leader's word must be right. Never counts a
//! repeated status as a new one.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{Event, FrameworkId, Instant, StatusUuid, TaskId, TaskState, TaskStatus};

use super::known::Known;
use super::{Rule, Verdict};
use crate::fact::Fact;

type Key = (FrameworkId, TaskId);

/// See the module.
#[derive(Default)]
pub(crate) struct Outcomes {
    running: BTreeSet<Key>,
    over: BTreeMap<Key, TaskState>,
    heard: BTreeMap<Key, (TaskState, BTreeSet<StatusUuid>)>,
}

/// States only go forward.
fn rank(state: TaskState) -> u8 {
    match state {
        TaskState::Staging => 0,
        TaskState::Starting => 1,
        TaskState::Running => 2,
        TaskState::Killing => 3,
        _ => 4,
    }
}

impl Outcomes {
    fn told(&mut self, known: &Known, framework: usize, leads: bool, status: &TaskStatus) -> Verdict {
        let names = known.frameworks.iter().filter(|(_, it)| **it == framework).map(|(id, _)| (id.clone(), status.task.clone()));
        let Some(key) = names.into_iter().find(|key| known.tasks.contains_key(key)) else { return Ok(()) };
        if let Some(uuid) = status.uuid {
            let (last, seen) = self.heard.entry(key.clone()).or_insert((status.state, BTreeSet::new()));
            if seen.insert(uuid) {
                let back = rank(status.state) < rank(*last);
                let second = last.is_terminal() && status.state != *last;
                if back || second {
                    return Err(format!("task {} went from {} to {}", status.task, last.name(), status.state.name()));
                }
                *last = status.state;
            }
        }
        if status.state.is_terminal() && (leads || status.uuid.is_some()) {
            if self.running.contains(&key) {
                let why = status.message.as_deref().unwrap_or("");
                return Err(format!("framework {framework} is told that {} is {} ({why}), and it runs", status.task, status.state.name()));
            }
            self.over.insert(key, status.state);
        }
        Ok(())
    }
}

impl Rule for Outcomes {
    fn letters(&self) -> &'static str {
        "T1"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::FrameworkHears { framework, leads, event: Event::Update(status), .. } => {
                return self.told(known, *framework, *leads, status)
            }
            Fact::TaskStarts { machine, framework, task, .. } => {
                let key = ((*framework).clone(), (*task).clone());
                if let Some(state) = self.over.get(&key) {
                    return Err(format!(
                        "task {task} starts on machine {machine} after its framework was told that it is {}",
                        state.name()
                    ));
                }
                self.running.insert(key);
            }
            Fact::TaskEnds { framework, task, .. } => drop(self.running.remove(&((*framework).clone(), (*task).clone()))),
            _ => {}
        }
        Ok(())
    }
}
