//! Reading: what operators, consoles and tests may see. Nothing here changes anything.

use std::collections::BTreeMap;

use holdfast_model::{
    AgentId, FrameworkId, MasterLedger, Offer, OfferId, OperationUuid, Quantities, TaskKey, Term,
};

use crate::parts::agents::AgentState;
use crate::parts::frameworks::FrameworkState;
use crate::parts::offers::OfferRecord;
use crate::parts::operations::InFlight;
use crate::parts::tasks::TaskView;
use crate::Master;

impl Master {
    /// The term that it leads in, if it leads.
    pub fn term(&self) -> Option<Term> {
        self.outbox.term()
    }

    /// What survives it.
    pub fn ledger(&self) -> &MasterLedger {
        self.outbox.ledger()
    }

    /// The agents that it expects or has.
    pub fn agents(&self) -> &BTreeMap<AgentId, AgentState> {
        self.belief.agents.states()
    }

    /// The frameworks that it expects or has.
    pub fn frameworks(&self) -> &BTreeMap<FrameworkId, FrameworkState> {
        self.belief.frameworks.states()
    }

    /// Tasks that have not ended or not been acknowledged.
    pub fn tasks(&self) -> &BTreeMap<TaskKey, TaskView> {
        self.belief.tasks.known()
    }

    /// Those of [`Master::tasks`] that are on one agent.
    pub fn tasks_of_agent(&self, agent: &AgentId) -> impl Iterator<Item = &TaskView> {
        self.belief.tasks.of_agent(agent)
    }

    /// Those of [`Master::tasks`] that one framework has.
    pub fn tasks_of_framework<'a>(
        &'a self,
        framework: &'a FrameworkId,
    ) -> impl Iterator<Item = &'a TaskView> {
        self.belief.tasks.of_framework(framework)
    }

    /// The newest of the tasks that have ended and been acknowledged.
    pub fn completed_tasks(&self) -> impl Iterator<Item = &TaskView> {
        self.belief.tasks.completed().iter()
    }

    /// Offers not yet answered.
    pub fn offers(&self) -> &BTreeMap<OfferId, OfferRecord> {
        self.belief.offers.open()
    }

    /// Those of [`Master::offers`] that are of one agent.
    pub fn offers_of_agent(&self, agent: &AgentId) -> impl Iterator<Item = &Offer> {
        self.belief.offers.of_agent(agent)
    }

    /// Those of [`Master::offers`] that one framework holds.
    pub fn offers_of_framework(&self, framework: &FrameworkId) -> impl Iterator<Item = &Offer> {
        self.belief.offers.of_framework(framework)
    }

    /// Operations not yet settled or acknowledged.
    pub fn operations(&self) -> &BTreeMap<OperationUuid, InFlight> {
        self.belief.operations.in_flight()
    }

    /// What the whole cluster has.
    pub fn totals(&self) -> &Quantities {
        self.belief.agents.totals()
    }

    /// How many declined offers are remembered.
    pub fn filters_len(&self) -> usize {
        self.belief.allocator.filters_len()
    }
}
