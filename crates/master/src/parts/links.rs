//! Which links are open, and who is at their ends. No part of what a leader believes: a link may outlive a leadership.
//!
//! Relies on links that are never reused and whose numbers grow. Never decides which of two links speaks for a peer.

use std::collections::BTreeMap;

use holdfast_model::{AgentId, FrameworkId, LinkId};

use crate::Effect;

/// The links whose owners have introduced themselves.
#[derive(Debug, Default)]
pub(crate) struct Links {
    agents: BTreeMap<LinkId, AgentId>,
    frameworks: BTreeMap<LinkId, FrameworkId>,
}

impl Links {
    pub(crate) fn agent_at(&self, link: LinkId) -> Option<&AgentId> {
        self.agents.get(&link)
    }

    pub(crate) fn framework_at(&self, link: LinkId) -> Option<&FrameworkId> {
        self.frameworks.get(&link)
    }

    pub(crate) fn open_agent(&mut self, link: LinkId, agent: AgentId) {
        self.agents.insert(link, agent);
    }

    pub(crate) fn open_framework(&mut self, link: LinkId, framework: FrameworkId) {
        self.frameworks.insert(link, framework);
    }

    /// Forgets a link; returns the agent that was at its end, if it had introduced itself.
    pub(crate) fn close_agent(&mut self, link: LinkId) -> Option<AgentId> {
        self.agents.remove(&link)
    }

    /// Forgets a link; returns the framework that was at its end, if it had subscribed.
    pub(crate) fn close_framework(&mut self, link: LinkId) -> Option<FrameworkId> {
        self.frameworks.remove(&link)
    }

    /// Hangs up on everybody.
    pub(crate) fn close_all(&mut self) -> Vec<Effect> {
        let agents = std::mem::take(&mut self.agents).into_keys().map(Effect::CloseAgent);
        let frameworks =
            std::mem::take(&mut self.frameworks).into_keys().map(Effect::CloseFramework);
        agents.chain(frameworks).collect()
    }

    #[cfg(test)]
    pub(crate) fn agents(&self) -> &BTreeMap<LinkId, AgentId> {
        &self.agents
    }

    #[cfg(test)]
    pub(crate) fn frameworks(&self) -> &BTreeMap<LinkId, FrameworkId> {
        &self.frameworks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_owner_until_it_is_closed() {
        let agent = AgentId::made("a".to_owned());
        let mut links = Links::default();
        links.open_agent(LinkId(1), agent.clone());
        links.open_framework(LinkId(2), FrameworkId::made("f".to_owned()));
        assert_eq!((links.agent_at(LinkId(1)), links.agent_at(LinkId(2))), (Some(&agent), None));
        assert_eq!(links.close_agent(LinkId(1)), Some(agent));
        assert_eq!(links.close_agent(LinkId(1)), None);
        assert_eq!(links.close_all(), [Effect::CloseFramework(LinkId(2))]);
        assert!(links.close_all().is_empty());
    }
}
