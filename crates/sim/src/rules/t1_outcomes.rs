//! T1: each task has one end, which its framework gets to know. Its states reach the framework in
//! order, and what a framework was told has ended does not run.
//!
//! It relies on processes as they are. What a deposed master says is old and may be wrong; the
//! leader's word must be right. It never counts a repeated status as a new one.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AgentChange, Event, FrameworkId, Instant, StatusUuid, TaskId, TaskState, TaskStatus,
};

use super::known::Known;
use super::{Checked, Rule, Truth};
use crate::fact::Fact;
use crate::machines::Machine;

type Key = (FrameworkId, TaskId);

/// Rule T1.
#[derive(Default)]
pub(crate) struct Outcomes {
    running: BTreeSet<Key>,
    over: BTreeMap<Key, TaskState>,
    heard: BTreeMap<Key, (TaskState, BTreeSet<StatusUuid>)>,
    /// Tasks that an agent wrote down.
    taken: BTreeSet<Key>,
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
    fn check_report(
        &mut self,
        known: &Known,
        framework: usize,
        leads: bool,
        status: &TaskStatus,
    ) -> Checked {
        let names = known
            .frameworks
            .iter()
            .filter(|(_, it)| **it == framework)
            .map(|(id, _)| (id.clone(), status.task.clone()));
        let Some(key) = names.into_iter().find(|key| known.tasks.contains_key(key)) else {
            return Ok(());
        };
        if let Some(uuid) = status.uuid {
            let (last, seen) =
                self.heard.entry(key.clone()).or_insert((status.state, BTreeSet::new()));
            if seen.insert(uuid) {
                let back = rank(status.state) < rank(*last);
                let second = last.is_terminal() && status.state != *last;
                if back || second {
                    return Err(format!(
                        "task {} went from {} to {}",
                        status.task,
                        last.name(),
                        status.state.name()
                    ));
                }
                *last = status.state;
            }
        }
        if status.state.is_terminal() && (leads || status.uuid.is_some()) {
            if self.running.contains(&key) {
                let why = status.message.as_deref().unwrap_or("");
                return Err(format!(
                    "framework {framework} is told that {} is {} ({why}), and it runs",
                    status.task,
                    status.state.name()
                ));
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

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::FrameworkHears { framework, leads, event: Event::Update(status), .. } => {
                return self.check_report(known, *framework, *leads, status)
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
            Fact::AgentCommits { changes, .. } => {
                let taken = |it: &AgentChange| match it {
                    AgentChange::Task(record) => {
                        Some((record.framework.clone(), record.info.id.clone()))
                    }
                    _ => None,
                };
                self.taken.extend(changes.iter().filter_map(taken));
            }
            Fact::TaskEnds { framework, task, .. } => {
                self.running.remove(&((*framework).clone(), (*task).clone()));
            }
            _ => {}
        }
        Ok(())
    }

    /// Every task that was launched has ended, and its framework knows how; or it lives; or no
    /// agent ever took it.
    fn check_healed(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        let lives = |key: &Key| {
            let record = |machine: &Machine| {
                machine.proven().tasks.get(key).is_some_and(|it| !it.state.is_terminal())
            };
            truth.machines.iter().any(record)
        };
        for key in known.tasks.keys() {
            let ours = known.frameworks.get(&key.0).is_some_and(|it| *it < truth.frameworks.len());
            if ours && self.taken.contains(key) && !self.over.contains_key(key) && !lives(key) {
                return Err(format!("task {} of framework {} was taken, has ended, and its framework was not told how", key.1, key.0));
            }
        }
        Ok(())
    }
}
