//! Reading: what operators, consoles and tests may see. Nothing here changes anything.

use std::collections::BTreeMap;

use holdfast_model::{
    AgentId, FrameworkId, LinkId, MasterLedger, OfferId, OperationUuid, Quantities, TaskKey, Term,
};

use crate::state::{AgentState, FrameworkState, InFlight, OfferRecord, TaskView};
use crate::Master;

impl Master {
    /// The term that it leads in, if it leads.
    pub fn term(&self) -> Option<Term> {
        self.term
    }

    /// What survives it.
    pub fn ledger(&self) -> &MasterLedger {
        &self.ledger
    }

    /// The agents that it expects or has.
    pub fn agents(&self) -> &BTreeMap<AgentId, AgentState> {
        &self.agents
    }

    /// The frameworks that it expects or has.
    pub fn frameworks(&self) -> &BTreeMap<FrameworkId, FrameworkState> {
        &self.frameworks
    }

    /// Which framework speaks on a link.
    pub fn framework_of(&self, link: LinkId) -> Option<&FrameworkId> {
        self.framework_links.get(&link)
    }

    /// Tasks that have not ended or not been acknowledged.
    pub fn tasks(&self) -> &BTreeMap<TaskKey, TaskView> {
        &self.tasks
    }

    /// The newest of the tasks that have ended and been acknowledged.
    pub fn completed_tasks(&self) -> impl Iterator<Item = &TaskView> {
        self.completed.iter()
    }

    /// Offers not yet answered.
    pub fn offers(&self) -> &BTreeMap<OfferId, OfferRecord> {
        &self.offers
    }

    /// Operations not yet settled or acknowledged.
    pub fn operations(&self) -> &BTreeMap<OperationUuid, InFlight> {
        &self.operations
    }

    /// What the whole cluster has.
    pub fn totals(&self) -> &Quantities {
        &self.totals
    }

    /// How many refusals hold.
    pub fn filters_len(&self) -> usize {
        self.filters.len()
    }
}
