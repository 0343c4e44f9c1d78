//! V8: a task sees exactly the volumes that it named: the right ones, at the right path, in the
//! right mode, for the right role.
//!
//! It relies on what the framework asked for when it launched the task. It never takes a label's
//! word for what a volume is.

use holdfast_agent::ContainerPlan;
use holdfast_model::{Instant, TaskId, TaskInfo};

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule V8.
pub(crate) struct Identities;

impl Rule for Identities {
    fn letters(&self) -> &'static str {
        "V8"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::ContainerStarts { machine, plan } => check_plan(known, *machine, plan),
            Fact::TaskStarts { machine, task, volumes, .. } => {
                for volume in *volumes {
                    let mine = &volume.owner;
                    if volume.stamp.as_ref().is_some_and(|it| it != mine) {
                        let theirs = volume.stamp.clone().unwrap_or_default();
                        return Err(format!("task {task} on machine {machine} named {mine} and sees the records of {theirs}"));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The keeper names a task's own executor after the task, and so does the agent for commands.
fn asked<'a>(known: &'a Known, plan: &ContainerPlan) -> Option<&'a TaskInfo> {
    known.tasks.get(&(plan.framework.clone(), TaskId::made(plan.executor.as_str().to_owned())))
}

fn check_plan(known: &Known, machine: usize, plan: &ContainerPlan) -> Checked {
    let Some(asked) = asked(known, plan) else {
        return Err(format!(
            "machine {machine} starts executor {} of {}, which nobody asked for",
            plan.executor, plan.framework
        ));
    };
    if known.machines.get(&asked.agent) != Some(&machine) {
        return Err(format!(
            "task {} was meant for agent {}, and starts on machine {machine}",
            asked.id, asked.agent
        ));
    }
    let named: Vec<_> =
        asked.resources.iter().filter(|it| it.identity.persistence.is_some()).collect();
    if named.len() != plan.volumes.len() {
        return Err(format!(
            "task {} named {} volumes and is given {}",
            asked.id,
            named.len(),
            plan.volumes.len()
        ));
    }
    for volume in &plan.volumes {
        let label = &volume.label;
        let same = named.iter().find(|it| {
            it.identity.persistence.as_ref().is_some_and(|name| name.as_str() == label.persistence)
        });
        let Some(same) = same else {
            return Err(format!(
                "task {} is given volume {}, which it did not name",
                asked.id, label.persistence
            ));
        };
        let mount = same.mount.as_ref();
        let shown = mount
            .is_some_and(|it| it.container_path == volume.container_path && it.mode == volume.mode);
        if !shown || same.identity.role().to_string() != label.role {
            return Err(format!(
                "task {} is shown volume {} in another way than it asked for: {volume:?}",
                asked.id, label.persistence
            ));
        }
        let claim = known.claims.get(&(machine, label.claim));
        if claim.is_none_or(|it| it.resource.identity != same.identity.unallocated()) {
            return Err(format!(
                "task {} named {same}, and is given claim {}: {claim:?}",
                asked.id, label.claim
            ));
        }
    }
    Ok(())
}
