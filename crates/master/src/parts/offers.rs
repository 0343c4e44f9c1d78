//! Offers that nobody has answered yet, by name, by agent and by framework. Names are given once in a term, which is part of them.
//!
//! Never counts what an offer holds; see [`crate::flows::offers`].

use std::collections::BTreeMap;

use holdfast_model::{AgentId, ClusterId, FrameworkId, Instant, Offer, OfferId, Resources, Term};

use super::index::Index;

/// An offer and when it was made.
#[derive(Clone, Debug)]
pub struct OfferRecord {
    /// The offer.
    pub offer: Offer,
    /// When it was made.
    pub made: Instant,
}

/// All offers.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    open: BTreeMap<OfferId, OfferRecord>,
    by_agent: Index<AgentId, OfferId>,
    by_framework: Index<FrameworkId, OfferId>,
    /// The number in the name of the next offer.
    next: u64,
}

impl Offers {
    /// No offers, and names that go on where `former` stopped.
    pub(crate) fn after(former: &Offers) -> Offers {
        Offers { next: former.next, ..Offers::default() }
    }

    pub(crate) fn open(&self) -> &BTreeMap<OfferId, OfferRecord> {
        &self.open
    }

    /// An offer that a framework names; it may have been rescinded, answered before, or never been made.
    pub(crate) fn get(&self, id: &OfferId) -> Option<&Offer> {
        self.open.get(id).map(|it| &it.offer)
    }

    /// Whether `framework` may answer that offer.
    pub(crate) fn is_of(&self, id: &OfferId, framework: &FrameworkId) -> bool {
        self.get(id).is_some_and(|it| it.framework == *framework)
    }

    pub(crate) fn of_agent(&self, agent: &AgentId) -> impl Iterator<Item = &Offer> {
        self.by_agent.of(agent).map(|id| self.indexed(id))
    }

    pub(crate) fn of_framework(&self, framework: &FrameworkId) -> impl Iterator<Item = &Offer> {
        self.by_framework.of(framework).map(|id| self.indexed(id))
    }

    fn indexed(&self, id: &OfferId) -> &Offer {
        self.get(id).unwrap_or_else(|| panic!("offer {id} is in the index only"))
    }

    /// What the offers of an agent hold together, without allocations.
    pub(crate) fn held_of(&self, agent: &AgentId) -> Resources {
        let mut held = Resources::new();
        self.of_agent(agent).for_each(|it| held.add_all(&it.resources.unallocated()));
        held
    }

    /// A name that no offer has had.
    pub(crate) fn name(&mut self, cluster: ClusterId, term: Term) -> OfferId {
        let id = OfferId::made(format!("{cluster}-T{term}-O{}", self.next));
        self.next += 1;
        id
    }

    pub(crate) fn put(&mut self, offer: Offer, made: Instant) {
        self.by_agent.insert(&offer.agent, offer.id.clone());
        self.by_framework.insert(&offer.framework, offer.id.clone());
        let former = self.open.insert(offer.id.clone(), OfferRecord { offer, made });
        assert!(former.is_none(), "an offer's name is given once");
    }

    /// Ends an offer, however it ended.
    pub(crate) fn take(&mut self, id: &OfferId) -> Option<OfferRecord> {
        let record = self.open.remove(id)?;
        self.by_agent.remove(&record.offer.agent, id);
        self.by_framework.remove(&record.offer.framework, id);
        Some(record)
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        assert_eq!(
            (self.by_agent.len(), self.by_framework.len()),
            (self.open.len(), self.open.len())
        );
        for (id, OfferRecord { offer, .. }) in &self.open {
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
            machine: OpaquePayload::default(),
        }
    }

    #[test]
    fn offers_are_found_by_agent_and_framework_until_they_end() {
        let mut offers = Offers::default();
        for (agent, framework) in [("a", "f"), ("a", "g"), ("b", "f")] {
            let it = offer(&mut offers, agent, framework);
            offers.put(it, Instant(1));
        }
        let (a, f) = (AgentId::made("a".to_owned()), FrameworkId::made("f".to_owned()));
        assert_eq!((offers.of_agent(&a).count(), offers.of_framework(&f).count()), (2, 2));
        assert_eq!(offers.held_of(&a), [disk(20)].iter().collect());
        let id = offers.of_agent(&a).find(|it| it.framework == f).unwrap().id.clone();
        assert!(id.as_str().ends_with("-T7-O0") && offers.is_of(&id, &f));
        assert!(offers.take(&id).is_some() && offers.take(&id).is_none());
        assert_eq!((offers.of_agent(&a).count(), offers.is_of(&id, &f)), (1, false));
        offers.check();
        assert!(offer(&mut Offers::after(&offers), "a", "f").id.as_str().ends_with("-O3"));
    }
}
