//! T3: whoever asks how a task is, is not told that it is no more while it is.
//!
//! Relies on agents' durable ledgers and on processes. Silence and "unreachable" are honest answers; "gone" and "unknown" must be true.

use holdfast_model::{Event, Instant, TaskId, TaskState};

use super::known::Known;
use super::{Rule, Truth, Verdict};
use crate::fact::Fact;

/// See the module.
#[derive(Default)]
pub(crate) struct Reconciled {
    answers: Vec<(usize, TaskId, TaskState)>,
}

impl Rule for Reconciled {
    fn letters(&self) -> &'static str {
        "T3"
    }

    fn see(&mut self, _now: Instant, _known: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::MasterTells { leads: true, framework, event: Event::Update(status), .. } = fact else { return Ok(()) };
        let denies = matches!(status.state, TaskState::Gone | TaskState::Unknown | TaskState::Dropped | TaskState::Lost);
        if status.uuid.is_none() && denies {
            self.answers.push((*framework, status.task.clone(), status.state));
        }
        Ok(())
    }

    fn check(&mut self, known: &Known, truth: &Truth<'_>) -> Verdict {
        for (framework, task, state) in std::mem::take(&mut self.answers) {
            for (index, machine) in truth.machines.iter().enumerate() {
                let theirs = |id: &holdfast_model::FrameworkId| known.frameworks.get(id) == Some(&framework);
                let record =
                    machine.proven().tasks.values().find(|it| theirs(&it.framework) && it.info.id == task && !it.state.is_terminal());
                let runs = machine.containers.values().filter(|it| theirs(&it.plan.framework)).flat_map(|it| it.executor.running());
                if record.is_some() || runs.into_iter().any(|it| it.info.id == task) {
                    return Err(format!("framework {framework} is told that {task} is {}, and machine {index} has it", state.name()));
                }
            }
        }
        Ok(())
    }
}
