//! V1: no volume can be written by two containers at once, be it after a pause, a failover or an
//! agent's restart.
//!
//! It relies on containers as they are, not as anybody believes. It never lets a container count as
//! gone before nothing of it runs.

use std::collections::BTreeMap;

use holdfast_model::{ClaimId, ContainerId, Instant, Mode};

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule V1.
#[derive(Default)]
pub(crate) struct Exclusive {
    writers: BTreeMap<(usize, ClaimId), ContainerId>,
}

impl Rule for Exclusive {
    fn letters(&self) -> &'static str {
        "V1"
    }

    fn see(&mut self, _now: Instant, _known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::ContainerStarts { machine, plan } => {
                for volume in plan.volumes.iter().filter(|it| it.mode == Mode::ReadWrite) {
                    let other = self.writers.insert((*machine, volume.label.claim), plan.container);
                    if let Some(other) = other.filter(|it| *it != plan.container) {
                        let (name, executor) = (&volume.label.persistence, &plan.executor);
                        return Err(format!(
                            "volume {name} of machine {machine} is given to {executor} while container {other} still runs on it"
                        ));
                    }
                }
            }
            Fact::ContainerEnds { machine, container } => {
                self.writers.retain(|(at, _), it| at != machine || it != container)
            }
            _ => {}
        }
        Ok(())
    }
}
