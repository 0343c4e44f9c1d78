//! Inverse offers that nobody has answered yet, and what frameworks have answered to those before.
//!
//! Relies on whoever changes who has what on an agent to say so (`touch`). Whoever has answered is not asked again before its filter has
//! passed. Never knows who has what; see [`crate::flows::inverse_offers`].

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AgentId, FrameworkId, Instant, InverseOffer, OfferId, SharedIndex, SharedMap,
};

/// What a framework has said about the downtime of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InverseStatus {
    /// It was asked, and has not answered yet.
    Unknown,
    /// It can do without the agent.
    Accepted,
    /// It cannot.
    Declined,
}

/// Inverse offers as readers see them. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct InverseRows {
    open: SharedMap<OfferId, InverseOffer>,
    /// What was said last, and when, by agent and framework.
    statuses: SharedMap<(AgentId, FrameworkId), (InverseStatus, Instant)>,
}

/// All inverse offers.
#[derive(Debug, Default)]
pub(crate) struct InverseOffers {
    rows: InverseRows,
    by_agent: SharedIndex<AgentId, OfferId>,
    by_framework: SharedIndex<FrameworkId, OfferId>,
    /// Until when they are not asked again.
    quiet: BTreeMap<(AgentId, FrameworkId), Instant>,
    /// The agents that frameworks would be asked about which are not connected.
    missed: BTreeMap<FrameworkId, BTreeSet<AgentId>>,
    /// Agents that are to be looked at.
    touched: BTreeSet<AgentId>,
    /// When a step left some of these for the next one.
    left_at: Option<Instant>,
}

impl InverseRows {
    pub(crate) fn open(&self) -> &SharedMap<OfferId, InverseOffer> {
        &self.open
    }

    /// What frameworks have said about the downtime of an agent.
    pub(crate) fn statuses_of<'a>(
        &'a self,
        agent: &'a AgentId,
    ) -> impl Iterator<Item = (&'a FrameworkId, InverseStatus, Instant)> {
        let first = (agent.clone(), FrameworkId::made(String::new()));
        let from = self.statuses.range_from(&first);
        let own = from.take_while(move |(key, _)| key.0 == *agent);
        own.map(|(key, (status, at))| (&key.1, *status, *at))
    }
}

impl InverseOffers {
    pub(crate) fn rows(&self) -> &InverseRows {
        &self.rows
    }

    /// Who has what on this agent may have changed, or whether it will be down.
    pub(crate) fn touch(&mut self, agent: &AgentId) {
        self.touched.insert(agent.clone());
    }

    pub(crate) fn next_touched(&mut self) -> Option<AgentId> {
        self.touched.pop_first()
    }

    /// When what a step left is wanted to go on.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.left_at
    }

    /// Whatever a step leaves is gone on with at once.
    pub(crate) fn end_step(&mut self, now: Instant) {
        self.left_at = (!self.touched.is_empty()).then_some(now);
    }

    /// Whether a framework may be asked about an agent now: it neither is asked already, nor has answered a short while ago.
    pub(crate) fn may_ask(&self, agent: &AgentId, framework: &FrameworkId, now: Instant) -> bool {
        let mut open = self.by_agent.of(agent).filter_map(|it| self.rows.open.get(it));
        let is_quiet =
            self.quiet.get(&(agent.clone(), framework.clone())).is_some_and(|it| now < *it);
        !is_quiet && !open.any(|it| it.framework == *framework)
    }

    /// A framework would be asked about an agent, and is not connected.
    pub(crate) fn miss(&mut self, agent: &AgentId, framework: &FrameworkId) {
        self.missed.entry(framework.clone()).or_default().insert(agent.clone());
    }

    /// A framework is connected: it is asked what it missed.
    pub(crate) fn connected(&mut self, framework: &FrameworkId) {
        self.touched.extend(self.missed.remove(framework).unwrap_or_default());
    }

    /// A framework is asked.
    pub(crate) fn put(&mut self, offer: InverseOffer, now: Instant) {
        self.by_agent.insert(&offer.agent, offer.id.clone());
        self.by_framework.insert(&offer.framework, offer.id.clone());
        let key = (offer.agent.clone(), offer.framework.clone());
        self.quiet.remove(&key);
        if !self.rows.statuses.contains_key(&key) {
            self.rows.statuses.insert(key, (InverseStatus::Unknown, now));
        }
        let former = self.rows.open.insert(offer.id.clone(), offer);
        assert!(former.is_none(), "the name of an inverse offer is given once");
    }

    pub(crate) fn get(&self, id: &OfferId) -> Option<&InverseOffer> {
        self.rows.open.get(id)
    }

    /// Ends an inverse offer, however it ended.
    pub(crate) fn take(&mut self, id: &OfferId) -> Option<InverseOffer> {
        let offer = std::sync::Arc::unwrap_or_clone(self.rows.open.remove(id)?);
        self.by_agent.remove(&offer.agent, id);
        self.by_framework.remove(&offer.framework, id);
        Some(offer)
    }

    /// What a framework has answered, and until when it is not asked again.
    pub(crate) fn answered(
        &mut self,
        offer: &InverseOffer,
        (status, at): (InverseStatus, Instant),
        until: Instant,
    ) {
        let key = (offer.agent.clone(), offer.framework.clone());
        self.rows.statuses.insert(key.clone(), (status, at));
        self.quiet.insert(key, until);
    }

    /// The inverse offers about an agent.
    pub(crate) fn of_agent(&self, agent: &AgentId) -> Vec<OfferId> {
        self.by_agent.of(agent).cloned().collect()
    }

    /// Nobody hears of a framework's inverse offers any more: it is not there. It is asked again when it is back.
    pub(crate) fn discard(&mut self, framework: &FrameworkId) {
        let ids: Vec<OfferId> = self.by_framework.of(framework).cloned().collect();
        for id in ids {
            let offer = self.take(&id).expect("an inverse offer of the index is open");
            self.miss(&offer.agent, framework);
        }
    }

    /// A framework is gone for good.
    pub(crate) fn remove_framework(&mut self, framework: &FrameworkId) {
        self.discard(framework);
        self.missed.remove(framework);
    }

    /// What was planned for an agent has changed: what was said about it means nothing any more. Its inverse offers have ended.
    pub(crate) fn forget_answers(&mut self, agent: &AgentId) {
        let said: Vec<FrameworkId> =
            self.rows.statuses_of(agent).map(|(framework, ..)| framework.clone()).collect();
        for framework in said {
            let key = (agent.clone(), framework);
            self.rows.statuses.remove(&key);
            self.quiet.remove(&key);
        }
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        assert_eq!(self.by_agent.key_values().count(), self.rows.open.len());
        assert_eq!(self.by_framework.key_values().count(), self.rows.open.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::Unavailability;

    fn ids() -> (AgentId, FrameworkId) {
        (AgentId::made("a".to_owned()), FrameworkId::made("f".to_owned()))
    }

    fn offer(id: &str) -> InverseOffer {
        let (agent, framework) = ids();
        let unavailability = Unavailability { start_ns: 7, duration_ns: None };
        InverseOffer { id: OfferId::made(id.to_owned()), framework, agent, unavailability }
    }

    #[test]
    fn a_framework_is_asked_once_and_again_after_its_filter() {
        let ((agent, framework), mut all) = (ids(), InverseOffers::default());
        assert!(all.may_ask(&agent, &framework, Instant(1)));
        all.put(offer("o1"), Instant(1));
        assert!(!all.may_ask(&agent, &framework, Instant(1)));
        let first = all.take(&OfferId::made("o1".to_owned())).unwrap();
        all.answered(&first, (InverseStatus::Declined, Instant(2)), Instant(9));
        assert!(!all.may_ask(&agent, &framework, Instant(8)));
        assert!(all.may_ask(&agent, &framework, Instant(9)));
        let said: Vec<_> = all.rows().statuses_of(&agent).collect();
        assert_eq!(said, [(&framework, InverseStatus::Declined, Instant(2))]);
        all.forget_answers(&agent);
        assert!(all.may_ask(&agent, &framework, Instant(3)));
        assert_eq!(all.rows().statuses_of(&agent).count(), 0);
        all.check();
    }

    #[test]
    fn who_is_away_is_asked_when_it_is_back() {
        let ((agent, framework), mut all) = (ids(), InverseOffers::default());
        all.put(offer("o1"), Instant(1));
        all.discard(&framework);
        assert!(all.rows().open().is_empty() && all.next_touched().is_none());
        all.connected(&framework);
        assert_eq!(all.next_touched(), Some(agent));
        all.check();
    }
}
