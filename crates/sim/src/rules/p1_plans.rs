//! P1: a step's act is done once or known not to be; two members of one pod never change topology
//! at once; a member never has two live tasks.
//!
//! It relies on what frameworks write down and call, and on processes as they start. It folds their
//! ledgers itself, and never asks a keeper.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{Call, FrameworkId, Instant, TaskId};
use holdfast_sdk::plans::{Act, Plan, Step, StepState};
use holdfast_sdk::pods::{ServiceChange, ServiceLedger};
use holdfast_sdk::KeeperChange;

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule P1.
#[derive(Default)]
pub(crate) struct Plans {
    /// What frameworks have written down, by their index.
    ledgers: BTreeMap<usize, ServiceLedger>,
    /// Tasks that run, by their framework and member.
    live: BTreeMap<(FrameworkId, String), BTreeSet<TaskId>>,
}

impl Rule for Plans {
    fn letters(&self) -> &'static str {
        "P1"
    }

    fn see(&mut self, _now: Instant, _known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::FrameworkCommits { framework, changes } => {
                let ledger = self.ledgers.entry(*framework).or_default();
                for change in *changes {
                    let KeeperChange::Service(change) = change else { continue };
                    ledger.apply(change);
                    if let ServiceChange::Step(key, step) = &**change {
                        let plan = ledger.plans.get(&key.plan);
                        plan.map_or(Ok(()), |plan| check_begun(plan, step))?;
                    }
                }
                Ok(())
            }
            Fact::FrameworkCalls { framework, call } => match &call.call {
                Call::Kill { task, .. } => self.killed(*framework, task),
                _ => Ok(()),
            },
            Fact::TaskStarts { framework, task, .. } => {
                let Some((member, _)) = task.as_str().rsplit_once('-') else { return Ok(()) };
                let key = ((*framework).clone(), member.to_owned());
                let live = self.live.entry(key).or_default();
                live.insert((*task).clone());
                match live.len() {
                    1 => Ok(()),
                    _ => Err(format!("member {member} has {} live tasks: {live:?}", live.len())),
                }
            }
            Fact::TaskEnds { framework, task, .. } => {
                let member = task.as_str().rsplit_once('-').map(|it| it.0.to_owned());
                let key = member.map(|it| ((*framework).clone(), it));
                if let Some(live) = key.and_then(|it| self.live.get_mut(&it)) {
                    live.remove(*task);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Plans {
    /// A member's own task is ended only by a step that has begun, and whose intent names it.
    fn killed(&self, framework: usize, task: &TaskId) -> Checked {
        let Some(ledger) = self.ledgers.get(&framework) else { return Ok(()) };
        let has = |it: &&holdfast_sdk::pods::PodMember| {
            it.run.as_ref().is_some_and(|run| run.task == *task)
        };
        let Some(member) = ledger.members.values().find(has) else { return Ok(()) };
        let wants = |step: &Step| {
            let StepState::Begun(intent) = &step.state else { return false };
            step.member == member.id
                && match step.act {
                    Act::Stop => true,
                    Act::Update | Act::Restart => intent.task.as_ref() == Some(task),
                    _ => false,
                }
        };
        let plans = ledger.plans.values().filter(|it| it.head.ended.is_none());
        let mut steps = plans.flat_map(|it| it.steps.iter().flatten());
        match steps.any(wants) {
            true => Ok(()),
            false => Err(format!("task {task} is ended, and no step that has begun says so")),
        }
    }
}

/// Two members of one pod never change topology at once.
fn check_begun(plan: &Plan, step: &Step) -> Checked {
    let is_open = |it: &Step| matches!(it.state, StepState::Begun(_)) && it.act.is_topology();
    if !is_open(step) {
        return Ok(());
    }
    let other = plan
        .steps
        .iter()
        .flatten()
        .find(|it| is_open(it) && it.member.pod == step.member.pod && it.member != step.member);
    match other {
        None => Ok(()),
        Some(other) => Err(format!("{} begins while {} is under way", step.name(), other.name())),
    }
}
