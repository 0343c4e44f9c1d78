//! Offers that nobody has answered yet, by name, by agent and by framework. Names are given once in a term, which is part of them.
//!
//! Whoever is given back many at once has them given back one after the other: until then they stand, and nobody can answer them any more.
//! Never counts what an offer holds; see [`crate::flows::offers`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use holdfast_model::{
    AgentId, ClusterId, Filters, FrameworkId, Identity, Instant, Offer, OfferId, Resources, Role,
    SharedIndex, SharedMap, Term,
};

use super::inverse_offers::InverseOffers;

/// An offer and when it was made.
#[derive(Clone, Debug)]
pub struct OfferRecord {
    /// The offer.
    pub offer: Offer,
    /// Its resources without allocations.
    pub resources: Resources,
    /// When it was made.
    pub made: Instant,
}

/// The offers as readers see them. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct OfferRows {
    open: SharedMap<OfferId, OfferRecord>,
    by_agent: SharedIndex<AgentId, OfferId>,
    by_framework: SharedIndex<FrameworkId, OfferId>,
}

/// All offers.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    rows: OfferRows,
    /// The number in the name of the next offer.
    next: u64,
    /// What comes before it, and of which cluster and term that is.
    names: Option<(ClusterId, Term, String)>,
    /// Those that are to be given back; those that were declined, with when and for how long.
    given_back: BTreeMap<OfferId, Option<(Instant, Filters)>>,
    /// When a step left some of these for the next one.
    left_at: Option<Instant>,
    /// What frameworks were asked about planned downtime.
    pub(crate) inverse: InverseOffers,
}

impl Deref for Offers {
    type Target = OfferRows;

    fn deref(&self) -> &OfferRows {
        &self.rows
    }
}

impl OfferRows {
    pub(crate) fn open(&self) -> &SharedMap<OfferId, OfferRecord> {
        &self.open
    }

    /// An offer that a framework names; it may have been rescinded, answered before, or never been made.
    pub(crate) fn get(&self, id: &OfferId) -> Option<&Offer> {
        self.open.get(id).map(|it| &it.offer)
    }

    pub(crate) fn of_agent<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a Offer> {
        self.records_of_agent(agent).map(|it| &it.offer)
    }

    /// As [`OfferRows::of_agent`], with what else is known of them.
    pub(crate) fn records_of_agent<'a>(
        &'a self,
        agent: &'a AgentId,
    ) -> impl Iterator<Item = &'a OfferRecord> {
        self.by_agent.of(agent).map(|id| &self.open[id])
    }

    pub(crate) fn of_framework<'a>(
        &'a self,
        framework: &'a FrameworkId,
    ) -> impl Iterator<Item = &'a Offer> {
        self.by_framework.of(framework).map(|id| self.indexed(id))
    }

    fn indexed(&self, id: &OfferId) -> &Offer {
        self.get(id).unwrap_or_else(|| panic!("offer {id} is in the index only"))
    }

    /// The offers of an agent that hold a shared volume (without allocation).
    pub(crate) fn with_shared<'a>(
        &'a self,
        agent: &'a AgentId,
        volume: &'a Identity,
    ) -> impl Iterator<Item = &'a Offer> {
        let holding = self.records_of_agent(agent);
        holding.filter(|it| it.resources.get(volume).is_some()).map(|it| &it.offer)
    }

    /// What the offers of an agent hold together, without allocations.
    pub(crate) fn held_of(&self, agent: &AgentId) -> Resources {
        let mut held = Resources::new();
        self.records_of_agent(agent).for_each(|it| held.add_all(&it.resources));
        held
    }
}

impl Offers {
    /// No offers, and names that go on where `former` stopped.
    pub(crate) fn after(former: &Offers) -> Offers {
        Offers { next: former.next, ..Offers::default() }
    }

    /// No name with a number below this was ever given out in this term.
    pub(crate) fn begin_at(&mut self, number: u64) {
        self.next = self.next.max(number);
    }

    pub(crate) fn rows(&self) -> &OfferRows {
        &self.rows
    }

    /// A name that no offer has had.
    pub(crate) fn name(&mut self, cluster: ClusterId, term: Term) -> OfferId {
        if self.names.as_ref().is_none_or(|it| (it.0, it.1) != (cluster, term)) {
            self.names = Some((cluster, term, format!("{cluster}-T{term}-O")));
        }
        let (.., before) = self.names.as_ref().expect("it was just set");
        let id = OfferId::made(format!("{before}{}", self.next));
        self.next += 1;
        id
    }

    pub(crate) fn put(&mut self, record: OfferRecord) {
        let OfferRecord { offer, .. } = &record;
        self.rows.by_agent.insert(&offer.agent, offer.id.clone());
        self.rows.by_framework.insert(&offer.framework, offer.id.clone());
        let former = self.rows.open.insert(offer.id.clone(), record);
        assert!(former.is_none(), "an offer's name is given once");
    }

    /// Whether `framework` may answer that offer.
    pub(crate) fn is_of(&self, id: &OfferId, framework: &FrameworkId) -> bool {
        let is_theirs = self.get(id).is_some_and(|it| it.framework == *framework);
        is_theirs && !self.given_back.contains_key(id)
    }

    /// An offer that stands is answered; it is given back when its turn comes.
    pub(crate) fn give_back(&mut self, id: OfferId, declined: Option<(Instant, Filters)>) {
        self.given_back.insert(id, declined);
    }

    /// The next offer to be given back.
    pub(crate) fn next_given_back(&mut self) -> Option<(OfferId, Option<(Instant, Filters)>)> {
        self.given_back.pop_first()
    }

    /// What `framework` has declined for these roles (none named: all) and is still to be given back is declined no more.
    pub(crate) fn revive(&mut self, framework: &FrameworkId, roles: &BTreeSet<Role>) {
        let Offers { rows, given_back, .. } = self;
        for (id, declined) in given_back {
            let is_concerned = |it: &Offer| {
                it.framework == *framework && (roles.is_empty() || roles.contains(&it.role))
            };
            if rows.get(id).is_some_and(is_concerned) {
                *declined = None;
            }
        }
    }

    /// When what a step left is wanted to go on.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.left_at
    }

    /// Whatever a step leaves is gone on with at once.
    pub(crate) fn end_step(&mut self, now: Instant) {
        self.left_at = (!self.given_back.is_empty()).then_some(now);
    }

    /// Ends an offer, however it ended.
    pub(crate) fn take(&mut self, id: &OfferId) -> Option<OfferRecord> {
        self.given_back.remove(id);
        let record = Arc::unwrap_or_clone(self.rows.open.remove(id)?);
        self.rows.by_agent.remove(&record.offer.agent, id);
        self.rows.by_framework.remove(&record.offer.framework, id);
        Some(record)
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        assert_eq!(
            (self.by_agent.key_values().count(), self.by_framework.key_values().count()),
            (self.open.len(), self.open.len())
        );
        for (id, OfferRecord { offer, .. }) in self.open.iter() {
            assert!(self.by_agent.of(&offer.agent).any(|it| it == id));
            assert!(self.by_framework.of(&offer.framework).any(|it| it == id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{disk, role};
    use holdfast_model::OpaquePayload;

    fn offer(offers: &mut Offers, agent: &str, framework: &str) -> Offer {
        let cluster = ClusterId(uuid::Uuid::nil());
        Offer {
            id: offers.name(cluster, Term(7)),
            framework: FrameworkId::made(framework.to_owned()),
            role: role("db"),
            agent: AgentId::made(agent.to_owned()),
            hostname: String::new(),
            resources: [disk(10)].iter().collect::<Resources>().allocated_to(&role("db")),
            executors: Vec::new(),
            claims: Vec::new(),
            unavailability: None,
            machine: OpaquePayload::default(),
        }
    }

    #[test]
    fn offers_are_found_by_agent_and_framework_until_they_end() {
        let mut offers = Offers::default();
        for (agent, framework) in [("a", "f"), ("a", "g"), ("b", "f")] {
            let it = offer(&mut offers, agent, framework);
            let resources = it.resources.unallocated();
            offers.put(OfferRecord { offer: it, resources, made: Instant(1) });
        }
        let (a, f) = (AgentId::made("a".to_owned()), FrameworkId::made("f".to_owned()));
        assert_eq!((offers.of_agent(&a).count(), offers.of_framework(&f).count()), (2, 2));
        assert_eq!(offers.held_of(&a), [disk(20)].iter().collect());
        let id = offers.of_agent(&a).find(|it| it.framework == f).unwrap().id.clone();
        assert!(id.as_str().ends_with("-T7-O0") && offers.is_of(&id, &f));
        assert!(offers.take(&id).is_some() && offers.take(&id).is_none());
        assert_eq!((offers.of_agent(&a).count(), offers.is_of(&id, &f)), (1, false));
        offers.check();
        let other = offers.of_agent(&a).next().unwrap().id.clone();
        offers.give_back(other.clone(), None);
        let g = FrameworkId::made("g".to_owned());
        assert!(!offers.is_of(&other, &g), "it cannot be answered twice");
        assert!(offers.take(&other).is_some() && offers.next_given_back().is_none());
        assert!(offer(&mut Offers::after(&offers), "a", "f").id.as_str().ends_with("-O3"));
    }
}
