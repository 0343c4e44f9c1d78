//! V9: what is missing is refused: no volume that was ready once is ever made anew and empty, and
//! no task starts on less than was safe.
//!
//! It relies on what agents wrote down and on records that were called safe. It never accepts an
//! empty directory in place of a volume.

use std::collections::BTreeSet;

use holdfast_model::{AgentChange, ClaimId, ClaimState, Instant};

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule V9.
#[derive(Default)]
pub(crate) struct Missing {
    ready: BTreeSet<ClaimId>,
}

impl Rule for Missing {
    fn letters(&self) -> &'static str {
        "V9"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::AgentCommits { changes, .. } => {
                let ready = |it: &AgentChange| match it {
                    AgentChange::Claim(claim)
                        if claim.is_volume() && claim.state == ClaimState::Ready =>
                    {
                        Some(claim.id)
                    }
                    _ => None,
                };
                self.ready.extend(changes.iter().filter_map(ready));
            }
            Fact::VolumeMade { machine, label, fresh: true }
                if self.ready.contains(&label.claim) =>
            {
                return Err(format!(
                    "volume {} of machine {machine} was ready before and is made anew, empty",
                    label.persistence
                ));
            }
            Fact::TaskStarts { machine, task, volumes, .. } => {
                for volume in *volumes {
                    let safe = known.records.get(&volume.claim).copied().unwrap_or(0);
                    if volume.records < safe {
                        let (seen, name) = (volume.records, &volume.persistence);
                        return Err(format!("task {task} on machine {machine} sees {seen} records on {name}, and {safe} were called safe"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
