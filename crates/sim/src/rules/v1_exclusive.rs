//! V1: no volume can be written by two containers at once, be it after a pause, a failover or an
//! agent's restart, unless it was made to be shared; one that was is not given to the user of another
//! container while one still sees it; and none goes to the trash while a container sees it.
//!
//! It relies on containers as they are, not as anybody believes, and on what agents have written
//! down for which volumes are shared. It never lets a container count as
//! gone before nothing of it runs.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_agent::{ContainerPlan, VolumeLabel};
use holdfast_model::{ClaimId, ContainerId, Instant, Mode};

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule V1.
#[derive(Default)]
pub(crate) struct Exclusive {
    writers: BTreeMap<(usize, ClaimId), ContainerId>,
    /// The containers that see each shared volume.
    sharers: BTreeMap<(usize, ClaimId), BTreeSet<ContainerId>>,
}

impl Exclusive {
    fn starts(&mut self, known: &Known, machine: usize, plan: &ContainerPlan) -> Checked {
        for volume in &plan.volumes {
            let place = (machine, volume.label.claim);
            if known.claims.get(&place).is_some_and(|it| it.resource.identity.shared) {
                let sharers = self.sharers.entry(place).or_default();
                let other = sharers.iter().find(|it| **it != plan.container).copied();
                sharers.insert(plan.container);
                if let Some(other) = other.filter(|_| !volume.keeps_owner) {
                    let (name, executor) = (&volume.label.persistence, &plan.executor);
                    return Err(format!(
                        "shared volume {name} of machine {machine} is made that of the user of {executor} while container {other} still sees it"
                    ));
                }
                continue;
            }
            if volume.mode != Mode::ReadWrite {
                continue;
            }
            let other = self.writers.insert(place, plan.container);
            if let Some(other) = other.filter(|it| *it != plan.container) {
                let (name, executor) = (&volume.label.persistence, &plan.executor);
                return Err(format!(
                    "volume {name} of machine {machine} is given to {executor} while container {other} still runs on it"
                ));
            }
        }
        Ok(())
    }

    fn trashed(&self, machine: usize, label: &VolumeLabel) -> Checked {
        let place = (machine, label.claim);
        let sharer = self.sharers.get(&place).and_then(|it| it.first());
        match self.writers.get(&place).or(sharer) {
            Some(user) => Err(format!(
                "volume {} of machine {machine} goes to the trash while container {user} runs on it",
                label.persistence
            )),
            None => Ok(()),
        }
    }
}

impl Rule for Exclusive {
    fn letters(&self) -> &'static str {
        "V1"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::ContainerStarts { machine, plan } => return self.starts(known, *machine, plan),
            Fact::VolumeTrashed { machine, label } => return self.trashed(*machine, label),
            Fact::ContainerEnds { machine, container } => {
                self.writers.retain(|(at, _), it| at != machine || it != container);
                self.sharers.retain(|(at, _), them| {
                    if at == machine {
                        them.remove(container);
                    }
                    !them.is_empty()
                });
            }
            _ => {}
        }
        Ok(())
    }
}
