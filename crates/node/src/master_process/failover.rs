//! How long this master's beginning took: from the election until it led, until a framework was offered a claim again, and until the agents were
//! back.
//!
//! Relies on the shell for the effects that it carried out, each in its moment. What it costs follows the agents that come, and nothing once
//! all is seen.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_model::{AgentId, MasterLedger, Offer, Order, Presence};
use holdfast_wire::Metric;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Failover(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    elected: Instant,
    /// After that an agent was away, whoever led.
    patience: Duration,
    leading: Option<Duration>,
    first_reclaimed: Option<Duration>,
    /// The agents that belonged to the cluster, and were not welcomed yet.
    awaited: BTreeSet<AgentId>,
    expected: usize,
    back: usize,
    last_back: Duration,
}

impl Failover {
    /// Of a master that was elected then, and waits so long for agents.
    pub fn new(elected: Instant, patience: Duration, ledger: &MasterLedger) -> Failover {
        let admitted = ledger.agents.iter().filter(|(_, it)| it.presence == Presence::Admitted);
        let awaited: BTreeSet<AgentId> = admitted.map(|(id, _)| id.clone()).collect();
        Failover(Arc::new(Mutex::new(Seen {
            elected,
            patience,
            leading: None,
            first_reclaimed: None,
            expected: awaited.len(),
            awaited,
            back: 0,
            last_back: Duration::ZERO,
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen, Duration) -> T) -> T {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = seen.elected.elapsed();
        look(&mut seen, since)
    }

    /// It answers, from now on.
    pub fn leads(&self) {
        self.with(|seen, since| seen.leads(since));
    }

    /// A framework was sent offers.
    pub fn offered(&self, offers: &[Offer]) {
        self.with(|seen, since| seen.offered(offers, since));
    }

    /// An agent was sent an order.
    pub fn ordered(&self, order: &Order) {
        if let Order::Registered(agent, _) = order {
            self.with(|seen, since| seen.welcomed(agent, since));
        }
    }

    /// What was seen so far.
    pub fn metrics(&self) -> Vec<Metric> {
        self.with(|seen, _| seen.metrics())
    }
}

impl Seen {
    fn leads(&mut self, since: Duration) {
        self.leading.get_or_insert(since);
    }

    fn offered(&mut self, offers: &[Offer], since: Duration) {
        if self.first_reclaimed.is_none() {
            self.first_reclaimed = offers.iter().any(|it| !it.claims.is_empty()).then_some(since);
        }
    }

    fn welcomed(&mut self, agent: &AgentId, since: Duration) {
        if since <= self.patience && self.awaited.remove(agent) {
            self.back += 1;
            self.last_back = since;
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let seconds = |name: &str, help: &str, it: Duration| {
            Metric::gauge(format!("holdfast/failover_{name}"), help, it.as_secs_f64())
        };
        let count = |name: &str, help: &str, it: usize| {
            Metric::gauge(format!("holdfast/failover_{name}"), help, it as f64)
        };
        vec![
            count(
                "agents_expected",
                "Agents that belonged to the cluster when this master was elected.",
                self.expected,
            ),
            count(
                "agents_back",
                "Those of them that this master has welcomed within the agents' timeout.",
                self.back,
            ),
            seconds(
                "agents_back_seconds",
                "From the election to the latest of these welcomes, in seconds; 0 without any.",
                self.last_back,
            ),
            seconds(
                "leading_seconds",
                "From the election until this master answered, in seconds; 0 before that.",
                self.leading.unwrap_or_default(),
            ),
            seconds(
                "first_reclaimed_offer_seconds",
                "From the election until a framework was offered a claim, in seconds; 0 before that.",
                self.first_reclaimed.unwrap_or_default(),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn seen(agents: &[&str]) -> Seen {
        let awaited: BTreeSet<AgentId> =
            agents.iter().map(|it| AgentId::made((*it).to_owned())).collect();
        Seen {
            elected: Instant::now(),
            patience: S * 75,
            leading: None,
            first_reclaimed: None,
            expected: awaited.len(),
            awaited,
            back: 0,
            last_back: Duration::ZERO,
        }
    }

    fn value(seen: &Seen, name: &str) -> Option<f64> {
        let name = format!("holdfast/failover_{name}");
        seen.metrics().into_iter().find(|it| it.name == name).map(|it| it.value)
    }

    #[test]
    fn each_agent_that_was_known_counts_once_and_in_time() {
        let mut seen = seen(&["a", "b", "c"]);
        for (agent, at) in [("a", 1), ("new", 2), ("b", 3), ("a", 4), ("c", 76)] {
            seen.welcomed(&AgentId::made(agent.to_owned()), S * at);
        }
        let values =
            ["agents_expected", "agents_back", "agents_back_seconds"].map(|it| value(&seen, it));
        assert_eq!(values, [Some(3.0), Some(2.0), Some(3.0)]);
    }

    #[test]
    fn it_led_once() {
        let mut seen = seen(&[]);
        assert_eq!(value(&seen, "leading_seconds"), Some(0.0));
        seen.leads(S);
        seen.leads(S * 2);
        assert_eq!(value(&seen, "leading_seconds"), Some(1.0));
    }

    #[test]
    fn the_first_offer_of_a_claim_counts() {
        use holdfast_model::{ClaimId, FrameworkId, OfferId, OpaquePayload, Resources, Role};
        let offer = |claims: &[u128]| Offer {
            id: OfferId::made("o".to_owned()),
            framework: FrameworkId::made("f".to_owned()),
            role: Role::any(),
            agent: AgentId::made("a".to_owned()),
            resources: Resources::default(),
            executors: Vec::new(),
            hostname: "h".to_owned(),
            machine: OpaquePayload::default(),
            claims: claims.iter().map(|it| ClaimId(uuid::Uuid::from_u128(*it))).collect(),
            unavailability: None,
        };
        let mut seen = seen(&[]);
        seen.offered(&[offer(&[])], S);
        assert_eq!(value(&seen, "first_reclaimed_offer_seconds"), Some(0.0));
        seen.offered(&[offer(&[]), offer(&[1])], S * 2);
        seen.offered(&[offer(&[2])], S * 3);
        assert_eq!(value(&seen, "first_reclaimed_offer_seconds"), Some(2.0));
    }
}
