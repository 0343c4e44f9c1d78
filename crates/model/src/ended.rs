//! Claims that have ended: what the masters remember of them, oldest first, and what happened to each.
//!
//! An ended claim is kept as it was at its end. Where its agent said how it ended, the last event of its history is that; where nobody
//! did, it is only known when the masters noticed. Each has a number, which only grows; the oldest are forgotten by theirs. Never says how
//! a claim ended unless its agent did.

use crate::claim::{Claim, ClaimEvent};
use crate::id::{AgentId, ClaimId, Instant, PersistenceId};
use crate::shared_index::SharedIndex;
use crate::shared_map::SharedMap;

/// A claim that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedClaim {
    /// Its place among all that ended: they are numbered as the masters learn of them, from 1.
    pub number: u64,
    /// The agent that had it.
    pub agent: AgentId,
    /// The claim as it was at its end.
    pub claim: Claim,
    /// When the masters learnt of it.
    pub noticed: Instant,
    /// Whether its agent said how it ended: the last event of its history says so. Else its agent merely does not have it any more.
    pub told: bool,
}

impl EndedClaim {
    /// How it ended and who asked for that, as far as its agent said.
    pub fn end(&self) -> Option<&ClaimEvent> {
        self.claim.history.last().filter(|_| self.told)
    }

    /// When it ended, or, where nobody said, when that was noticed.
    pub fn at(&self) -> Instant {
        self.end().map_or(self.noticed, |it| it.at)
    }
}

/// The operation that an event of a claim's history was, where what it says tells: programs before this one said less.
pub fn operation_of(event: &ClaimEvent, is_volume: bool) -> Option<&'static str> {
    Some(match event.what.as_str() {
        "reserved" | "reserved more" | "reserved anew" | "reserved anew in part" => "RESERVE",
        "unreserved" | "unreserved in part" => "UNRESERVE",
        "created" | "made a volume" | "made a volume in part" => "CREATE",
        "destroyed" => "DESTROY",
        "undeleted" => "UNDELETE",
        "given up" => "GIVE_UP",
        "grown" if is_volume => "GROW_VOLUME",
        "grew a volume" | "grew a volume in part" => "GROW_VOLUME",
        "shrunk" if is_volume => "SHRINK_VOLUME",
        "given back by a volume" => "SHRINK_VOLUME",
        back if back.starts_with("recovered") => "RECOVER_AGENT",
        moved if moved.starts_with("moved with its disk") => "ADOPT_DISK",
        _ => return None,
    })
}

/// The claims that have ended and are still remembered. A clone shares what did not change since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedClaims {
    rows: SharedMap<u64, EndedClaim>,
    by_claim: SharedIndex<ClaimId, u64>,
    by_volume: SharedIndex<PersistenceId, u64>,
    /// The greatest number that is remembered.
    newest: u64,
    since: Option<Instant>,
}

impl EndedClaims {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of them in the order in which they ended.
    pub fn iter(&self) -> impl Iterator<Item = &EndedClaim> {
        self.rows.values()
    }

    /// Those with a greater number than this one, in order.
    pub fn after(&self, number: u64) -> impl Iterator<Item = &EndedClaim> {
        self.rows.range_from(&number.saturating_add(1)).map(|(_, it)| it)
    }

    /// All ends of a claim that are remembered, oldest first: there are several when it was brought back in between, or lived on several
    /// agents.
    pub fn of_claim(&self, id: ClaimId) -> impl Iterator<Item = &EndedClaim> {
        self.by_claim.of(&id).map(|it| &self.rows[it])
    }

    /// The volumes that bore this name, oldest first.
    pub fn of_volume(&self, name: &PersistenceId) -> impl Iterator<Item = &EndedClaim> {
        self.by_volume.of(name).map(|it| &self.rows[it])
    }

    /// The last end of a claim on an agent.
    pub fn last(&self, agent: &AgentId, id: ClaimId) -> Option<&EndedClaim> {
        self.of_claim(id).filter(|it| it.agent == *agent).last()
    }

    /// Whether a later end of the same claim on the same agent is remembered, too.
    pub fn is_superseded(&self, it: &EndedClaim) -> bool {
        self.last(&it.agent, it.claim.id).is_some_and(|last| it.number < last.number)
    }

    /// The number of the next one.
    pub fn next_number(&self) -> u64 {
        self.newest + 1
    }

    /// The oldest that are more than `max`, to be forgotten.
    pub fn excess(&self, max: usize) -> impl Iterator<Item = &EndedClaim> {
        self.rows.values().take(self.len().saturating_sub(max))
    }

    /// All claims that have ended since then are remembered; of those before some may not be. `None` before the first leadership that kept
    /// them.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(crate) fn keep_since(&mut self, since: Instant) {
        self.since = Some(since);
    }

    pub(crate) fn put(&mut self, ended: EndedClaim) {
        let number = ended.number;
        self.newest = self.newest.max(number);
        self.unindex(number);
        self.by_claim.insert(&ended.claim.id, number);
        if let Some(name) = &ended.claim.resource.identity.persistence {
            self.by_volume.insert(name, number);
        }
        self.rows.insert(number, ended);
    }

    pub(crate) fn forget(&mut self, number: u64) {
        self.unindex(number);
        self.rows.remove(&number);
        if number == self.newest {
            // As it is when the records that are left are read again. Masters never forget the newest.
            self.newest = self.rows.keys().last().copied().unwrap_or_default();
        }
    }

    fn unindex(&mut self, number: u64) {
        let Some(old) = self.rows.get(&number) else { return };
        self.by_claim.remove(&old.claim.id, &number);
        if let Some(name) = &old.claim.resource.identity.persistence {
            self.by_volume.remove(name, &number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::ClaimState;
    use crate::resource::Resource;
    use crate::value::Scalar;
    use uuid::Uuid;

    fn ended(number: u64, claim: u128, volume: Option<&str>) -> EndedClaim {
        let mut resource = Resource::scalar("disk", Scalar::whole(10));
        resource.identity.persistence = volume.map(|it| PersistenceId::made(it.to_owned()));
        let event = ClaimEvent {
            at: Instant(number),
            generation: 2,
            what: "destroyed".to_owned(),
            by: "ops".to_owned(),
        };
        let claim = Claim {
            id: ClaimId(Uuid::from_u128(claim)),
            state: ClaimState::Destroying,
            resource,
            framework: None,
            generation: 2,
            created: Instant(1),
            disk: None,
            history: vec![event],
            shares: Vec::new(),
            operation: None,
        };
        let agent = AgentId::made("S0".to_owned());
        EndedClaim { number, agent, claim, noticed: Instant(100), told: true }
    }

    #[test]
    fn they_are_found_by_claim_and_by_name_and_the_oldest_go_first() {
        let mut all = EndedClaims::default();
        for it in [ended(1, 7, Some("a")), ended(2, 8, None), ended(3, 7, Some("a"))] {
            assert_eq!(all.next_number(), it.number);
            all.put(it);
        }
        let id = ClaimId(Uuid::from_u128(7));
        let numbers = |it: &mut dyn Iterator<Item = &EndedClaim>| -> Vec<u64> {
            it.map(|it| it.number).collect()
        };
        assert_eq!(numbers(&mut all.of_claim(id)), [1, 3]);
        assert_eq!(numbers(&mut all.of_volume(&PersistenceId::made("a".to_owned()))), [1, 3]);
        assert_eq!(numbers(&mut all.after(1)), [2, 3]);
        assert_eq!(numbers(&mut all.excess(1)), [1, 2]);
        let agent = AgentId::made("S0".to_owned());
        assert_eq!(all.last(&agent, id).map(|it| it.number), Some(3));
        assert!(all.is_superseded(&ended(1, 7, None)) && !all.is_superseded(&ended(3, 7, None)));
        [1, 2].into_iter().for_each(|it| all.forget(it));
        let mut again = EndedClaims::default();
        again.put(ended(3, 7, Some("a")));
        assert_eq!(all, again, "what is left says all");
        all.forget(3);
        assert_eq!(all, EndedClaims::default());
    }

    #[test]
    fn what_nobody_said_is_not_said() {
        let told = ended(1, 7, None);
        assert_eq!((told.at(), told.end().unwrap().by.as_str()), (Instant(1), "ops"));
        let noticed = EndedClaim { told: false, ..told };
        assert_eq!((noticed.at(), noticed.end()), (Instant(100), None));
    }
}
