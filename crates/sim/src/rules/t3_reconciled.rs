//! T3: whoever asks how a task is, is answered, and truly: it is not told that the task is no more
//! while it is or has its end to tell, nor that it runs when nothing of it is left, nor of another
//! end than it had.
//!
//! It relies on agents' durable ledgers and on processes. Silence and "unreachable" are honest
//! answers for a while; "gone", "unknown" and "running" must be true. It never checks a deposed
//! leader, whose knowledge is old.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentChange, Call, Event, Instant, TaskId, TaskRecord, TaskState};

use super::known::Known;
use super::{Checked, Rule, Truth};
use crate::fact::Fact;

/// After the calm, a question may be so old and still wait for its answer, in milliseconds.
const PATIENCE_MS: u64 = 20_000;

/// A framework's task.
type Key = (usize, TaskId);

/// Rule T3.
#[derive(Default)]
pub(crate) struct Reconciled {
    answers: Vec<(usize, TaskId, TaskState)>,
    /// Ends as agents wrote them down.
    ends: BTreeMap<Key, TaskState>,
    /// Tasks of whose end their framework has heard.
    over: BTreeSet<Key>,
    /// The time since which an explicit reconciliation waits.
    asked: BTreeMap<Key, Instant>,
}

impl Rule for Reconciled {
    fn letters(&self) -> &'static str {
        "T3"
    }

    fn see(&mut self, now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::MasterTells { leads: true, framework, event: Event::Update(status), .. }
                if status.uuid.is_none() =>
            {
                self.answers.push((*framework, status.task.clone(), status.state));
            }
            Fact::AgentCommits { changes, .. } => {
                for change in *changes {
                    let AgentChange::Task(record) = change else { continue };
                    let Some(framework) = known
                        .frameworks
                        .get(&record.framework)
                        .filter(|_| record.state.is_terminal())
                    else {
                        continue;
                    };
                    self.ends.insert((*framework, record.info.id.clone()), record.state);
                }
            }
            Fact::FrameworkCalls { framework, call } => {
                let Call::Reconcile(tasks) = &call.call else { return Ok(()) };
                for (task, _) in tasks {
                    self.asked.entry((*framework, task.clone())).or_insert(now);
                }
            }
            Fact::FrameworkHears { framework, event: Event::Update(status), .. } => {
                let key = (*framework, status.task.clone());
                self.asked.remove(&key);
                if status.state.is_terminal() {
                    self.over.insert(key);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        let answers = std::mem::take(&mut self.answers);
        answers.into_iter().try_for_each(|(framework, task, state)| {
            self.judge(known, truth, (framework, task), state)
        })
    }

    /// Whoever still wants to know has been answered by now.
    fn check_healed(&mut self, _known: &Known, truth: &Truth<'_>) -> Checked {
        for ((framework, task), since) in &self.asked {
            let Some(process) = truth.frameworks.get(*framework) else { continue };
            let wants = process
                .ledger
                .members
                .values()
                .any(|it| it.run.as_ref().is_some_and(|run| run.task == *task));
            if wants && since.plus_ms(PATIENCE_MS) < truth.now {
                return Err(format!(
                    "framework {framework} asks how {task} is, and is not answered"
                ));
            }
        }
        Ok(())
    }
}

impl Reconciled {
    fn judge(&self, known: &Known, truth: &Truth<'_>, key: Key, state: TaskState) -> Checked {
        let (framework, task) = &key;
        let theirs = |id: &holdfast_model::FrameworkId| known.frameworks.get(id) == Some(framework);
        if !known.tasks.keys().any(|(id, it)| it == task && theirs(id)) {
            return Ok(()); // Nobody asked for such a task; byzantine peers speak of them.
        }
        let record = |machine: &crate::machines::Machine| -> Option<TaskRecord> {
            machine
                .proven()
                .tasks
                .values()
                .find(|it| theirs(&it.framework) && it.info.id == *task)
                .cloned()
        };
        let (mut lives, mut tells) = (None, None);
        for (index, machine) in truth.machines.iter().enumerate() {
            let mut running = machine
                .containers
                .values()
                .filter(|it| theirs(&it.plan.framework))
                .flat_map(|it| it.executor.running());
            let record = record(machine);
            if record.as_ref().is_some_and(|it| !it.state.is_terminal())
                || running.any(|it| it.info.id == *task)
            {
                lives = Some(index);
            }
            if record.is_some_and(|it| !it.updates.is_empty()) {
                tells = Some(index);
            }
        }
        let wrong = |what: String| {
            Err(format!(
                "framework {framework} is told that {task} is {}, and {what}",
                state.name()
            ))
        };
        match (state, lives, tells) {
            (
                TaskState::Gone | TaskState::Unknown | TaskState::Dropped | TaskState::Lost,
                Some(index),
                _,
            ) => wrong(format!("machine {index} has it")),
            (
                TaskState::Gone | TaskState::Unknown | TaskState::Dropped | TaskState::Lost,
                None,
                Some(index),
            ) if !self.over.contains(&key) && self.ends.get(&key) != Some(&state) => {
                wrong(format!("machine {index} has its end to tell"))
            }
            (TaskState::Running | TaskState::Starting, None, None) => {
                wrong("nothing is left of it".to_owned())
            }
            (TaskState::Finished | TaskState::Failed | TaskState::Killed, ..)
                if self.ends.get(&key) != Some(&state) =>
            {
                wrong(format!("its end was {:?}", self.ends.get(&key).map(|it| it.name())))
            }
            _ => Ok(()),
        }
    }
}
