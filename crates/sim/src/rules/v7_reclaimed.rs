//! V7: a member of a service gets its own volume back, on the same agent, and never a second one
//! while the first exists.
//!
//! It relies on how keepers name volumes (service, member, attempt) and tasks (service, member,
//! launch). It never forgets where a member lived.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentChange, ClaimId, ClaimState, FrameworkId, Instant};
use holdfast_sdk::pods::ServiceChange;
use holdfast_sdk::KeeperChange;

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule V7.
#[derive(Default)]
pub(crate) struct Reclaimed {
    /// Volumes by role and member.
    volumes: BTreeMap<(String, String), BTreeMap<(usize, ClaimId), String>>,
    /// The volume on which a member's tasks ran and had records acknowledged.
    homes: BTreeMap<(FrameworkId, String), (usize, ClaimId)>,
    /// Volumes that members were replaced from, and that are kept beside the new ones.
    kept: BTreeSet<String>,
}

/// `journal-2-7` is of member `journal-2`.
fn member(name: &str) -> Option<&str> {
    let (member, number) = name.rsplit_once('-')?;
    number.parse::<u64>().ok().map(|_| member)
}

impl Rule for Reclaimed {
    fn letters(&self) -> &'static str {
        "V7"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::AgentCommits { machine, changes } => {
                changes.iter().try_for_each(|change| self.committed(*machine, change))
            }
            Fact::FrameworkCommits { changes, .. } => {
                changes.iter().for_each(|change| self.replaced(change));
                Ok(())
            }
            Fact::TaskStarts { machine, framework, task, volumes, .. } => {
                let Some(member) = member(task.as_str()) else { return Ok(()) };
                let Some(volume) = volumes.first() else { return Ok(()) };
                let key = ((*framework).clone(), member.to_owned());
                let here = (*machine, volume.claim);
                let home = *self.homes.entry(key).or_insert(here);
                if home != here && known.records.contains_key(&home.1) {
                    return Err(format!(
                        "task {task} runs on volume {} of machine {machine}, and its data is on {} of machine {}",
                        volume.claim, home.1, home.0
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Reclaimed {
    fn committed(&mut self, machine: usize, change: &AgentChange) -> Checked {
        match change {
            AgentChange::Claim(claim)
                if claim.is_volume() && claim.state != ClaimState::Destroying =>
            {
                let name = claim
                    .resource
                    .identity
                    .persistence
                    .as_ref()
                    .map(|it| it.as_str().to_owned())
                    .unwrap_or_default();
                let Some(member) = member(&name) else { return Ok(()) };
                let key = (claim.resource.identity.role().to_string(), member.to_owned());
                let all = self.volumes.entry(key).or_default();
                all.insert((machine, claim.id), name.clone());
                all.retain(|_, name| !self.kept.contains(name));
                if 1 < all.len() {
                    let where_: Vec<String> = all
                        .keys()
                        .map(|(machine, id)| format!("{id} on machine {machine}"))
                        .collect();
                    return Err(format!(
                        "member {member} has {} volumes: {}",
                        all.len(),
                        where_.join(", ")
                    ));
                }
            }
            AgentChange::Claim(claim) => self.forget(machine, claim.id),
            AgentChange::ClaimGone(id) => self.forget(machine, *id),
            _ => {}
        }
        Ok(())
    }

    /// A plan has written down that a member begins anew, and that its old volumes are kept.
    fn replaced(&mut self, change: &KeeperChange) {
        let KeeperChange::Service(change) = change else { return };
        let ServiceChange::Member(it) = &**change else { return };
        for volume in it.kept.iter().flat_map(|it| &it.volumes) {
            if self.kept.insert(volume.as_str().to_owned()) {
                let owner = member(volume.as_str()).and_then(member);
                self.homes.retain(|(_, home), _| Some(home.as_str()) != owner);
            }
        }
    }

    fn forget(&mut self, machine: usize, id: ClaimId) {
        for all in self.volumes.values_mut() {
            all.remove(&(machine, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::member;

    #[test]
    fn members_are_read_from_names() {
        assert_eq!(member("journal-2-7"), Some("journal-2"));
        assert_eq!(member("ops-ab12cd"), None);
        assert_eq!(member("plain"), None);
    }
}
