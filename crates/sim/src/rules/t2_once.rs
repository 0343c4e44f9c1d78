//! T2: no task runs twice, neither at once nor one after the other.
//!
//! It relies on processes as they start. It never excuses a second start by a restart in between.

use std::collections::BTreeMap;

use holdfast_model::{FrameworkId, Instant, TaskId};

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule T2.
#[derive(Default)]
pub(crate) struct Once {
    started: BTreeMap<(FrameworkId, TaskId), usize>,
}

impl Rule for Once {
    fn letters(&self) -> &'static str {
        "T2"
    }

    fn see(&mut self, _now: Instant, _known: &Known, fact: &Fact<'_>) -> Checked {
        let Fact::TaskStarts { machine, framework, task, .. } = fact else { return Ok(()) };
        match self.started.insert(((*framework).clone(), (*task).clone()), *machine) {
            None => Ok(()),
            Some(before) => Err(format!("task {task} of {framework} starts on machine {machine}, and was started on {before} before")),
        }
    }
}
