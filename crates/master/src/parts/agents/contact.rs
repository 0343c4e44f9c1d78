//! How the master stands with an agent: whether it is there, is believed, belongs to the cluster, and since when.

use holdfast_model::Instant;

/// How the master stands with an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentHealth {
    /// Connected, and its last report was believed.
    Well,
    /// Connected; it was asked to tell everything again.
    Resyncing,
    /// Connected, but it has not joined yet (its disks are being opened).
    Joining,
    /// Not connected since then.
    Away(Instant),
    /// It has lost data, or belongs elsewhere; it is not believed.
    Fenced(String),
}

/// An agent's presence.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    health: AgentHealth,
    /// Whether the agent has told this leader what it has.
    is_heard: bool,
    /// Whether the agent counts to the cluster; one that was called unreachable does not.
    is_admitted: bool,
    /// When the agent was last lost, or first expected; means nothing while it is connected.
    away_since: Instant,
    /// When this leader first saw or expected the agent.
    registered: Instant,
    /// When the agent last introduced itself.
    reregistered: Instant,
}

impl Contact {
    pub(super) fn away(now: Instant) -> Contact {
        Contact {
            health: AgentHealth::Away(now),
            is_heard: false,
            is_admitted: false,
            away_since: now,
            registered: now,
            reregistered: now,
        }
    }

    pub(super) fn health(&self) -> &AgentHealth {
        &self.health
    }

    pub(super) fn set_health(&mut self, health: AgentHealth) {
        if let AgentHealth::Away(since) = health {
            self.away_since = since;
        }
        self.health = health;
    }

    pub(super) fn is_heard(&self) -> bool {
        self.is_heard
    }

    pub(super) fn heard(&mut self) {
        self.is_heard = true;
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.is_admitted
    }

    /// Says whether that is news.
    pub(super) fn admit(&mut self) -> bool {
        !std::mem::replace(&mut self.is_admitted, true)
    }

    /// Says whether that is news.
    pub(super) fn dismiss(&mut self) -> bool {
        std::mem::replace(&mut self.is_admitted, false)
    }

    pub(super) fn away_since(&self) -> Instant {
        self.away_since
    }

    pub(super) fn registered(&self) -> Instant {
        self.registered
    }

    pub(super) fn reregistered(&self) -> Instant {
        self.reregistered
    }

    pub(super) fn reregister(&mut self, now: Instant) {
        self.reregistered = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_lost_is_away_since_then() {
        let mut contact = Contact::away(Instant(1));
        contact.reregister(Instant(5));
        contact.set_health(AgentHealth::Well);
        contact.set_health(AgentHealth::Away(Instant(9)));
        contact.set_health(AgentHealth::Fenced("it has lost data".to_owned()));
        assert_eq!(
            (contact.registered(), contact.reregistered(), contact.away_since()),
            (Instant(1), Instant(5), Instant(9))
        );
    }

    #[test]
    fn admittance_is_news_once() {
        let mut contact = Contact::away(Instant(0));
        assert_eq!((contact.dismiss(), contact.admit(), contact.admit()), (false, true, false));
        assert!(contact.is_admitted() && contact.dismiss() && !contact.is_admitted());
    }
}
