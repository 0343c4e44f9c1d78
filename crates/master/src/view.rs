//! Reading: what operators, consoles and tests may see. Nothing here changes anything.
//!
//! A view is what a master was when it was made. It shares all rows with the master until those change, so that it may be made after every
//! batch and read on any thread for as long as it takes.

use std::sync::Arc;

use holdfast_allocator::{Policy, RoleView};
use holdfast_model::{
    AgentId, ClaimAction, ClaimId, FrameworkId, Instant, InverseOffer, MachineId, MasterLedger,
    NodeId, Offer, OfferId, OperationUuid, Ownership, Quantities, Resource, Resources, Schedule,
    SharedMap, Taken, TaskKey, Term, Together, VolumeAdoption, Window,
};

use crate::flows::allocate::without_faulty;
use crate::flows::ownership::claims_taken;
use crate::flows::quota::{quota_input, QuotaSums};
use crate::handlers::adopt_volume::{plan_adoption, plan_removal};
use crate::handlers::drain_agent;
use crate::handlers::maintain;
use crate::handlers::mark_gone;
use crate::handlers::operator_claim::{ending, plan, Force, Wish};
use crate::handlers::recover::{self, RecoveryPlan};
use crate::handlers::together;
use crate::handlers::trash::plan_undelete;
use crate::parts::agents::{AgentState, FencedAgent};
use crate::parts::allocator_input::AllocatorView;
use crate::parts::frameworks::FrameworkState;
use crate::parts::inverse_offers::{InverseRows, InverseStatus};
use crate::parts::offers::{OfferRecord, OfferRows};
use crate::parts::operations::InFlight;
use crate::parts::tasks::{TaskRows, TaskView};
use crate::{Config, Master, Refusal};

/// A master as it was at one moment.
#[derive(Clone)]
pub struct MasterView {
    pub(crate) config: Arc<Config>,
    pub(crate) policy: Arc<dyn Policy>,
    term: Option<Term>,
    ledger: MasterLedger,
    agents: SharedMap<AgentId, AgentState>,
    fenced: SharedMap<NodeId, FencedAgent>,
    totals: Quantities,
    pub(crate) quota: QuotaSums,
    frameworks: SharedMap<FrameworkId, FrameworkState>,
    tasks: TaskRows,
    offers: OfferRows,
    inverse_offers: InverseRows,
    operations: SharedMap<OperationUuid, InFlight>,
    pub(crate) allocator: AllocatorView,
}

impl Master {
    /// What may be seen of it now. It costs a few pointers; what changes afterwards is copied once, row by row.
    pub fn view(&self) -> MasterView {
        let belief = &self.belief;
        MasterView {
            config: self.config.clone(),
            policy: self.policy.snapshot().into(),
            term: self.outbox.term(),
            ledger: self.outbox.ledger().clone(),
            agents: belief.agents.states().clone(),
            fenced: belief.agents.fenced().clone(),
            totals: belief.agents.totals().clone(),
            quota: QuotaSums::new(quota_input(
                self.outbox.ledger(),
                &belief.agents,
                &belief.frameworks,
            )),
            frameworks: belief.frameworks.states().clone(),
            tasks: belief.tasks.rows().clone(),
            offers: belief.offers.rows().clone(),
            inverse_offers: belief.offers.inverse.rows().clone(),
            operations: belief.operations.in_flight().clone(),
            allocator: belief.allocator.view(&belief.frameworks),
        }
    }
}

impl MasterView {
    /// Says whether an operation of an operator could be done now, and of which claims it would take how much; `claim` is the one that is
    /// meant, if only one is.
    ///
    /// # Errors
    /// [`Refusal`] saying what is wrong with it, or in its way.
    pub fn plan(
        &self,
        agent: &AgentId,
        (action, force): (&ClaimAction, Force),
        claim: Option<ClaimId>,
        principal: Option<&str>,
    ) -> Result<Vec<Taken>, Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        let known = (&self.ledger, &self.tasks, &self.offers);
        let (state, under_way) = (self.agents.get(agent), self.under_way(agent));
        let wish = Wish { action, force, claim };
        let planned = plan(&self.config, known, state, agent, wish, under_way, principal)?;
        self.taken(agent, action, &planned.ownership)
    }

    /// Says whether several changes could be made together now, and of which claims they would take how much.
    ///
    /// # Errors
    /// As for [`MasterView::plan`].
    pub fn plan_together(
        &self,
        agent: &AgentId,
        what: (&Together, Force, Option<ClaimId>),
        principal: Option<&str>,
    ) -> Result<Vec<Taken>, Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        let known = (&self.ledger, &self.tasks, &self.offers);
        let (state, under_way) = (self.agents.get(agent), self.under_way(agent));
        let planned =
            together::plan(&self.config, known, state, agent, what, under_way, principal)?;
        self.taken(agent, &ClaimAction::Together(what.0.clone()), &planned.ownership)
    }

    /// Of which claims an operator's action would take how much.
    fn taken(
        &self,
        agent: &AgentId,
        action: &ClaimAction,
        ownership: &Ownership,
    ) -> Result<Vec<Taken>, Refusal> {
        let under_way = self.under_way(agent);
        claims_taken(&self.ledger, agent, (action, None), ownership, under_way)
            .map_err(|(_, why)| Refusal::Conflict(why))
    }

    /// What an agent has not settled yet.
    fn under_way<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a ClaimAction> {
        let there = self.operations.values().filter(move |it| it.agent == *agent);
        there.filter(|it| it.settled.is_none()).map(|it| &it.action)
    }

    /// What ends a claim.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such claim, or nothing that can be undone.
    pub fn ending(&self, agent: &AgentId, claim: ClaimId) -> Result<ClaimAction, Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        ending(&self.ledger, agent, claim)
    }
}

/// What can be planned on a view.
impl MasterView {
    /// Says what bringing a destroyed volume back would come to: a reservation of its space, if that was given up since, then the volume;
    /// nothing when it is back already.
    ///
    /// # Errors
    /// [`Refusal`] saying what stands in its way.
    pub fn plan_undelete(
        &self,
        agent: &AgentId,
        claim: ClaimId,
    ) -> Result<Vec<ClaimAction>, Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        let known = (&self.ledger, &self.tasks, &self.offers);
        plan_undelete(known, self.agents.get(agent), agent, claim).map(|it| it.actions)
    }

    /// Says what the adoption of an orphan would come to.
    ///
    /// # Errors
    /// [`Refusal`] saying what stands in its way.
    pub fn plan_adoption(
        &self,
        agent: &AgentId,
        adoption: &VolumeAdoption,
        principal: Option<&str>,
    ) -> Result<Together, Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        let known = (&*self.config, &self.ledger);
        let there = (agent, self.agents.get(agent));
        let planned = plan_adoption(known, there, adoption, self.under_way(agent), principal)?;
        Ok(planned.together)
    }

    /// Says what would be kept of an orphan that is removed.
    ///
    /// # Errors
    /// [`Refusal`] saying what stands in its way.
    pub fn plan_removal(&self, agent: &AgentId, orphan: ClaimId) -> Result<Resource, Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        let there = (agent, self.agents.get(agent));
        plan_removal(&self.ledger, there, orphan).map(|it| it.resource)
    }
}

/// What can be planned of agents.
impl MasterView {
    /// Says whether an agent can be drained.
    ///
    /// # Errors
    /// [`Refusal`] saying what stands in its way.
    pub fn check_drain(&self, agent: &AgentId) -> Result<(), Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        drain_agent::check(&self.ledger, agent)?;
        drain_agent::check_not_planned(&self.ledger, agent)
    }

    /// Says whether this downtime can be planned, and no other.
    ///
    /// # Errors
    /// [`Refusal`] saying what stands in its way.
    pub fn plan_downtime(&self, windows: Vec<Window>) -> Result<Schedule, Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        maintain::planned(&self.ledger, windows)
    }

    /// Says whether these machines can be taken down, or, when they are to be down now, brought up.
    ///
    /// # Errors
    /// [`Refusal`] saying what stands in its way.
    pub fn check_machines(&self, ids: &[MachineId], are_down: bool) -> Result<(), Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        maintain::check_modes(&self.ledger, ids, are_down)
    }

    /// Says whether an agent can be marked gone.
    ///
    /// # Errors
    /// [`Refusal`] saying what stands in its way.
    pub fn check_gone(&self, agent: &AgentId) -> Result<(), Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        mark_gone::check(&self.ledger, agent)
    }

    /// Says what a recovery of an agent would do; `node` is the ledger that is meant, where there are several.
    ///
    /// # Errors
    /// [`Refusal`] saying what stands in its way.
    pub fn plan_recovery(
        &self,
        agent: &AgentId,
        node: Option<NodeId>,
    ) -> Result<RecoveryPlan<'_>, Refusal> {
        if self.term.is_none() {
            return Err(Refusal::NotLeading);
        }
        recover::plan(&self.ledger, &self.agents, &self.fenced, agent, node)
    }
}

/// What can be read in a view.
impl MasterView {
    /// The term that it leads in, if it leads.
    pub fn term(&self) -> Option<Term> {
        self.term
    }

    /// What survives it.
    pub fn ledger(&self) -> &MasterLedger {
        &self.ledger
    }

    /// What of an agent is neither used nor offered nor on its way, nor ill.
    pub fn usable(&self, id: &AgentId) -> Resources {
        let state = self.agents.get(id);
        state.map_or_else(Resources::new, |it| without_faulty(&self.ledger, id, it, it.free()))
    }

    /// The agents that it expects or has.
    pub fn agents(&self) -> &SharedMap<AgentId, AgentState> {
        &self.agents
    }

    /// The frameworks that it expects or has.
    pub fn frameworks(&self) -> &SharedMap<FrameworkId, FrameworkState> {
        &self.frameworks
    }

    /// The roles of a framework with what it holds for each. What it holds for a role that it no longer names is still counted.
    pub fn roles_of(&self, framework: &FrameworkId) -> &[RoleView] {
        self.allocator.roles_of(framework)
    }

    pub(crate) fn task_rows(&self) -> &TaskRows {
        &self.tasks
    }

    /// Tasks that have not ended or not been acknowledged.
    pub fn tasks(&self) -> &SharedMap<TaskKey, TaskView> {
        self.tasks.known()
    }

    /// Those of [`MasterView::tasks`] that are on one agent.
    pub fn tasks_of_agent<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a TaskView> {
        self.tasks.of_agent(agent)
    }

    /// Those of [`MasterView::tasks`] that one framework has.
    pub fn tasks_of_framework<'a>(
        &'a self,
        framework: &'a FrameworkId,
    ) -> impl Iterator<Item = &'a TaskView> {
        self.tasks.of_framework(framework)
    }

    /// The newest of the tasks that have ended and been acknowledged.
    pub fn completed_tasks(&self) -> impl Iterator<Item = &TaskView> {
        self.tasks.completed()
    }

    /// Offers not yet answered.
    pub fn offers(&self) -> &SharedMap<OfferId, OfferRecord> {
        self.offers.open()
    }

    /// Those of [`MasterView::offers`] that are of one agent.
    pub fn offers_of_agent<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a Offer> {
        self.offers.of_agent(agent)
    }

    /// Those of [`MasterView::offers`] that one framework holds.
    pub fn offers_of_framework<'a>(
        &'a self,
        framework: &'a FrameworkId,
    ) -> impl Iterator<Item = &'a Offer> {
        self.offers.of_framework(framework)
    }

    /// Inverse offers not yet answered.
    pub fn inverse_offers(&self) -> &SharedMap<OfferId, InverseOffer> {
        self.inverse_offers.open()
    }

    /// What frameworks have said about the planned downtime of an agent.
    pub fn said_of_downtime<'a>(
        &'a self,
        agent: &'a AgentId,
    ) -> impl Iterator<Item = (&'a FrameworkId, InverseStatus, Instant)> {
        self.inverse_offers.statuses_of(agent)
    }

    /// Operations not yet settled or acknowledged.
    pub fn operations(&self) -> &SharedMap<OperationUuid, InFlight> {
        &self.operations
    }

    /// What the whole cluster has.
    pub fn totals(&self) -> &Quantities {
        &self.totals
    }

    /// How many declined offers are remembered.
    pub fn filters_len(&self) -> usize {
        self.allocator.filters_len()
    }
}

/// What whoever holds the master itself may read of it; see [`MasterView`].
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
    pub fn agents(&self) -> &SharedMap<AgentId, AgentState> {
        self.belief.agents.states()
    }

    /// The frameworks that it expects or has.
    pub fn frameworks(&self) -> &SharedMap<FrameworkId, FrameworkState> {
        self.belief.frameworks.states()
    }

    /// Tasks that have not ended or not been acknowledged.
    pub fn tasks(&self) -> &SharedMap<TaskKey, TaskView> {
        self.belief.tasks.known()
    }

    /// Offers not yet answered.
    pub fn offers(&self) -> &SharedMap<OfferId, OfferRecord> {
        self.belief.offers.open()
    }

    /// Operations not yet settled or acknowledged.
    pub fn operations(&self) -> &SharedMap<OperationUuid, InFlight> {
        self.belief.operations.in_flight()
    }

    /// How many declined offers are remembered.
    pub fn filters_len(&self) -> usize {
        self.belief.allocator.filters_len()
    }
}
