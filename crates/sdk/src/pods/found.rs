//! Volumes that bear the service's name while its ledger is empty: its old self may be running on
//! them.
//!
//! Nothing is claimed before the masters have said whether there are any. What is found is neither
//! taken nor stepped beside until somebody says which.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentId, FrameworkId, Instant, Offer, PersistenceId, Resource};

use super::command::{Answer, Refused};
use super::hooks::Hooks;
use super::member::{owner, volume_owner, MemberId, PodMember};
use super::place::{MEMBER_LABEL, SERVICE_LABEL};
use super::{ServiceChange, ServiceKeeper};
use crate::ledger::Stage;
use crate::spec::ServiceSpec;

/// What to do about volumes that bear the service's name while its ledger is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// Stop, say so, and wait for `adopt` or `new`.
    #[default]
    Ask,
    /// Take them as the members' own.
    Adopt,
    /// Begin anew, beside them.
    New,
}

/// A volume that lives, as the masters say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundVolume {
    /// The agent that has it.
    pub agent: AgentId,
    /// Its name.
    pub volume: PersistenceId,
    /// The framework that made it, if that is known.
    pub framework: Option<FrameworkId>,
}

/// Whether the service may claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// It may.
    Clear,
    /// The masters have not said yet whether there are volumes that bear its name.
    Asking,
    /// There are, and nobody has said what to do. What cannot be adopted, and why, is said.
    Halted {
        /// Where they are.
        found: BTreeSet<FoundVolume>,
        /// Why they were not adopted, if that was tried.
        why: Option<String>,
    },
}

impl<H: Hooks> ServiceKeeper<H> {
    /// The masters say which volumes of the service's role live.
    pub(super) fn found(&mut self, now: Instant, all: Vec<FoundVolume>) {
        if self.guard != Guard::Asking {
            return;
        }
        let name = self.spec().name.clone();
        let pods: Vec<String> = self.spec().pods.iter().map(|it| it.name.clone()).collect();
        let is_own = |it: &FoundVolume| {
            let owner = volume_owner(&name, it.volume.as_str());
            owner.is_some_and(|it| pods.contains(&it.0.pod)) || is_older(&name, &it.volume)
        };
        let found: BTreeSet<FoundVolume> = all.into_iter().filter(is_own).collect();
        if found.is_empty() {
            self.guard = Guard::Clear;
            self.accept_given(now);
            self.revive();
            return;
        }
        self.halt(now, found);
    }

    fn halt(&mut self, now: Instant, found: BTreeSet<FoundVolume>) {
        let shown: Vec<String> =
            found.iter().take(8).map(|it| format!("{} on {}", it.volume, it.agent)).collect();
        self.log(format!(
            "the ledger is empty, but {} volumes bear the name of this service ({}{}): nothing is claimed or started. Give the ledger back, or say `adopt` to take them, or `new` to begin anew beside them",
            found.len(),
            shown.join(", "),
            if shown.len() < found.len() { ", ..." } else { "" },
        ));
        self.guard = Guard::Halted { found, why: None };
        if self.lost == Lost::Adopt {
            if let Err(why) = self.adopt(now) {
                self.log(format!("they are not adopted: {why}"));
            }
        }
    }

    /// Looks for volumes in an offer that bear the service's labels, and that the ledger does not
    /// know: it is older than they are.
    pub(super) fn guard_offer(&mut self, offer: &Offer) {
        let strangers: Vec<(MemberId, u32, FoundVolume)> =
            offer.resources.iter().filter_map(|it| self.stranger(offer, &it)).collect();
        for (id, attempt, volume) in strangers {
            match (&mut self.guard, self.lost) {
                (Guard::Halted { found, .. }, _) => drop(found.insert(volume)),
                (Guard::Asking, _) => {}
                (Guard::Clear, Lost::New) => {
                    // Its name is given already, and is not given again.
                    let member = self.member(&id).cloned();
                    let member = member.unwrap_or_else(|| PodMember::new(id));
                    self.commit_member(PodMember { attempts: attempt, ..member });
                }
                (Guard::Clear, _) => {
                    let why = format!(
                        "{} on agent {} is its volume, too, and newer than this ledger; give a newer copy of the ledger back, or end that volume's claim",
                        volume.volume, volume.agent
                    );
                    self.strangers.insert(id, why);
                }
            }
        }
    }

    /// Whose volume this is, when the ledger has not given its name.
    fn stranger(&self, offer: &Offer, it: &Resource) -> Option<(MemberId, u32, FoundVolume)> {
        let volume = it.identity.persistence.clone()?;
        let name = &self.spec().name;
        let labels = &it.identity.reservations.last()?.labels;
        let of = |label: &str| labels.iter().find(|it| it.0 == label)?.1.as_deref();
        let (id, _, attempt) = volume_owner(name, volume.as_str())?;
        let is_own = of(SERVICE_LABEL) == Some(name)
            && of(MEMBER_LABEL).and_then(|it| owner(name, it)).as_ref() == Some(&id);
        let is_known = self.member(&id).is_some_and(|it| attempt <= it.attempts);
        (is_own && !is_known).then(|| {
            (id, attempt, FoundVolume { agent: offer.agent.clone(), volume, framework: None })
        })
    }

    /// Takes the volumes that were found as the members'.
    pub(super) fn adopt(&mut self, now: Instant) -> Result<Answer, Refused> {
        let Guard::Halted { found, why } = &mut self.guard else {
            return Err(nothing_found());
        };
        let spec = self.given.as_ref().expect("no spec is accepted while it is halted");
        let members = match adopted(spec, found) {
            Ok(members) => members,
            Err(refused) => {
                *why = Some(refused.clone());
                return Err(Refused::Conflict(refused));
            }
        };
        self.guard = Guard::Clear;
        for member in members {
            let member = PodMember { note: self.hooks.adopted(&member), ..member };
            self.log(format!("member {} adopts {} volumes", member.id, member.volumes.len()));
            self.commit_service(vec![ServiceChange::Member(Box::new(member))]);
        }
        self.accept_given(now);
        self.revive();
        Ok(Answer::default())
    }

    /// Begins anew beside the volumes that were found.
    pub(super) fn begin_anew(&mut self, now: Instant) -> Result<Answer, Refused> {
        let Guard::Halted { found, .. } = &self.guard else { return Err(nothing_found()) };
        let mut attempts: BTreeMap<MemberId, u32> = BTreeMap::new();
        for (member, _, attempt) in
            found.iter().filter_map(|it| volume_owner(&self.spec().name, it.volume.as_str()))
        {
            let highest = attempts.entry(member).or_default();
            *highest = (*highest).max(attempt);
        }
        // Their names are given already, and are not given again.
        for (id, attempts) in attempts {
            let member = PodMember { attempts, ..PodMember::new(id) };
            self.commit_service(vec![ServiceChange::Member(Box::new(member))]);
        }
        self.guard = Guard::Clear;
        self.accept_given(now);
        self.revive();
        Ok(Answer::default())
    }
}

/// Whether this is a volume of a service of that name whose members have no pods, as
/// [`crate::Keeper`] names them: `service-3-1`.
fn is_older(service: &str, volume: &PersistenceId) -> bool {
    let rest = volume.as_str().strip_prefix(service).and_then(|it| it.strip_prefix('-'));
    let numbers = rest.and_then(|it| it.split_once('-'));
    numbers.is_some_and(|(member, attempt)| {
        member.parse::<u32>().is_ok() && attempt.parse::<u32>().is_ok()
    })
}

fn nothing_found() -> Refused {
    Refused::Conflict("no volumes were found for which that would have to be said".to_owned())
}

/// The members whose volumes these are.
fn adopted(spec: &ServiceSpec, found: &BTreeSet<FoundVolume>) -> Result<Vec<PodMember>, String> {
    type Places = BTreeMap<usize, (AgentId, PersistenceId)>;
    let mut claims: BTreeMap<MemberId, BTreeMap<u32, Places>> = BTreeMap::new();
    for it in found {
        let Some((member, place, attempt)) = volume_owner(&spec.name, it.volume.as_str()) else {
            return Err(format!(
                "{} is the volume of a service of members without pods, which is none of this spec's: go on with the scheduler that made it, and its ledger",
                it.volume
            ));
        };
        let places = claims.entry(member).or_default().entry(attempt).or_default();
        if places.insert(place, (it.agent.clone(), it.volume.clone())).is_some() {
            return Err(format!("there are two volumes of the name {}", it.volume));
        }
    }
    let mut members = Vec::new();
    for (id, attempts) in claims {
        let pod = spec.pod(&id.pod).filter(|it| id.index < it.count);
        let pod = pod.ok_or_else(|| format!("member {id} has volumes, and is not in the spec"))?;
        if 1 < attempts.len() {
            return Err(format!(
                "member {id} has volumes of {} claims: end the claims that are not its data, and try again",
                attempts.len()
            ));
        }
        let Some((attempt, places)) = attempts.into_iter().next() else { continue };
        let agents: BTreeSet<&AgentId> = places.values().map(|it| &it.0).collect();
        let is_whole = places.len() == pod.volumes.len()
            && places.keys().enumerate().all(|(at, place)| at == *place);
        let (Some(agent), 1, true) = (agents.first(), agents.len(), is_whole) else {
            return Err(format!(
                "member {id} has {} of its {} volumes, on {} agents",
                places.len(),
                pod.volumes.len(),
                agents.len()
            ));
        };
        let agent = Some((*agent).clone());
        members.push(PodMember {
            stage: Stage::Placed,
            agent,
            volumes: places.into_values().map(|it| it.1).collect(),
            attempts: attempt,
            // What ran once on them is not run again: formatting would take the data away.
            done: pod.once().map(|it| it.name.clone()).collect(),
            ..PodMember::new(id)
        });
    }
    Ok(members)
}
