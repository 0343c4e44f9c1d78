//! The matchmaker's mind: it owns nothing but the match.
//!
//! What it believes about an agent is a copy of the agent's last word, plus what it has asked the agent
//! to do since. Losing a master therefore loses nothing: the next one hears from every agent, and its
//! ledger says at once where each claim is.
//!
//! [`Master::handle`] turns one [`Input`] into a list of [`Effect`]s and does nothing else. There is no
//! clock, file, thread or randomness in this room. Nothing that comes from outside can stop it.

mod accept;
mod adopt;
mod agents;
mod bookkeeping;
mod explain;
mod frameworks;
mod launch;
mod learn;
mod offers;
mod operations;
mod operator;
mod orders;
mod reconcile;
mod state;
mod step;
mod strays;
mod subscribe;
mod tasks;
mod timers;
mod view;
mod withhold;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_allocator::{AgentView, Filters, FrameworkView, Policy};
use holdfast_model::{
    AgentId, Cluster, ClusterId, FrameworkId, Instant, LinkId, MasterChange, MasterLedger, OfferId,
    OperationUuid, Quantities, StepContext, TaskKey, Term,
};

pub use explain::Explanation;
pub use holdfast_allocator::{policy::Place, Reason, WhyNot};
pub use state::{
    AgentHealth, AgentState, ExecutorView, FrameworkState, InFlight, OfferRecord, TaskView,
};
pub use step::{Effect, FrameworkCall, Input, OperatorCall, Refusal, RequestId};
pub use withhold::Withheld;

use state::{OperationNames, Timer};

/// What can be set. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long an offer may stay unanswered before it is rescinded; `None` = for ever.
    pub offer_timeout_ms: Option<u64>,
    /// How often an agent is asked whether it hears us.
    pub ping_interval_ms: u64,
    /// How many unanswered pings in a row make an agent's link dead.
    pub pings_missed_max: u32,
    /// How long an agent may be away before its tasks are called unreachable.
    pub agent_timeout_ms: u64,
    /// How long agents may take to come back to a new leader before their tasks are called unreachable.
    pub reregister_timeout_ms: u64,
    /// The least time that frameworks have to come back to a new leader.
    pub failover_grace_ms: u64,
    /// The least time before declined resources are offered to the same role of a framework again.
    pub reoffer_min_ms: u64,
    /// How many removed frameworks are remembered.
    pub removed_frameworks_max: usize,
    /// Offers smaller than all of these are not made, unless they hold a reservation or volume.
    pub min_allocatable: Vec<Quantities>,
    /// The cluster to go on with when the ledger is empty because it was lost: agents of that cluster are then welcome with all they
    /// own, and frameworks are learnt from them. `None` = an empty ledger begins a new cluster.
    pub recover_cluster: Option<ClusterId>,
    /// A bug put in on purpose, by name, for the simulator to find.
    #[cfg(feature = "planted")]
    pub planted: Option<&'static str>,
}

impl Default for Config {
    fn default() -> Config {
        let least = |name: &str, thousandths| {
            Quantities::from([(name.to_owned(), holdfast_model::Scalar::thousandths(thousandths))])
        };
        Config {
            offer_timeout_ms: Some(300_000),
            ping_interval_ms: 15_000,
            pings_missed_max: 5,
            agent_timeout_ms: 75_000,
            reregister_timeout_ms: 600_000,
            failover_grace_ms: 75_000,
            reoffer_min_ms: 100,
            removed_frameworks_max: 1000,
            min_allocatable: vec![least("cpus", 10), least("mem", 32_000)],
            #[cfg(feature = "planted")]
            planted: None,
            recover_cluster: None,
        }
    }
}

/// See the crate.
pub struct Master {
    config: Config,
    policy: Box<dyn Policy>,
    /// Survives a crash; the fold of every committed change.
    ledger: MasterLedger,
    term: Option<Term>,
    /// When the term began.
    leads_since: Instant,
    agents: BTreeMap<AgentId, AgentState>,
    agent_links: BTreeMap<LinkId, AgentId>,
    frameworks: BTreeMap<FrameworkId, FrameworkState>,
    framework_links: BTreeMap<LinkId, FrameworkId>,
    tasks: BTreeMap<TaskKey, TaskView>,
    completed: VecDeque<TaskView>,
    offers: BTreeMap<OfferId, OfferRecord>,
    next_offer: u64,
    operations: BTreeMap<OperationUuid, InFlight>,
    operation_names: OperationNames,
    /// Frameworks that this leader removed and remembers, the newest last.
    removals: VecDeque<FrameworkId>,
    /// Kills asked for while the agent was away.
    kills: BTreeMap<TaskKey, Option<u64>>,
    agent_views: BTreeMap<AgentId, AgentView>,
    framework_views: BTreeMap<FrameworkId, FrameworkView>,
    totals: Quantities,
    filters: Filters,
    timers: BTreeSet<(Instant, Timer)>,
    dirty: BTreeSet<AgentId>,
    effects: Vec<Effect>,
}

impl Master {
    /// A master that does not lead yet, with what its predecessors wrote.
    pub fn new(config: Config, policy: Box<dyn Policy>, ledger: MasterLedger) -> Master {
        Master {
            config,
            policy,
            ledger,
            term: None,
            leads_since: Instant(0),
            agents: BTreeMap::new(),
            agent_links: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            framework_links: BTreeMap::new(),
            tasks: BTreeMap::new(),
            completed: VecDeque::new(),
            offers: BTreeMap::new(),
            next_offer: 0,
            operations: BTreeMap::new(),
            operation_names: BTreeMap::new(),
            removals: VecDeque::new(),
            kills: BTreeMap::new(),
            agent_views: BTreeMap::new(),
            framework_views: BTreeMap::new(),
            totals: Quantities::new(),
            filters: Filters::default(),
            timers: BTreeSet::new(),
            dirty: BTreeSet::new(),
            effects: Vec::new(),
        }
    }

    /// One step.
    pub fn handle(&mut self, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
        match input {
            Input::Elected(term) => self.elected(ctx, term),
            Input::Deposed(term) => self.deposed(term),
            input if self.term.is_none() => self.not_leading(input),
            Input::FromAgent(link, message) => self.agent_said(ctx, link, message),
            Input::AgentLost(link) => self.agent_lost(ctx.now, link),
            Input::FromFramework(link, call) => self.framework_said(ctx, link, call),
            Input::FrameworkLost(link) => self.framework_lost(ctx.now, link),
            Input::FromOperator(request, call) => self.operator_asks(ctx, request, call),
            Input::Tick => self.tick(ctx.now),
        }
        self.allocate(ctx.now);
        std::mem::take(&mut self.effects)
    }

    fn elected(&mut self, ctx: &mut StepContext<'_>, term: Term) {
        if self.term.is_some_and(|it| term <= it) {
            return;
        }
        self.step_down(); // Links and beliefs belong to one term.
        (self.term, self.leads_since) = (Some(term), ctx.now);
        if self.ledger.cluster.is_none() {
            let id = self.config.recover_cluster.unwrap_or_else(|| ClusterId(ctx.ids.fresh()));
            let cluster = Cluster { id, next_agent: 0, next_framework: 0, created: ctx.now };
            self.commit(vec![MasterChange::Cluster(cluster)]);
        }
        self.remember_agents(ctx.now);
        self.remember_frameworks(ctx.now);
        self.remember_operations();
    }

    fn deposed(&mut self, term: Term) {
        if self.term.is_some_and(|it| it <= term) {
            self.step_down();
        }
    }

    /// Forgets all but the ledger. Operators who wait are told so.
    fn step_down(&mut self) {
        self.term = None;
        let agents = std::mem::take(&mut self.agent_links).into_keys().map(Effect::CloseAgent);
        let frameworks =
            std::mem::take(&mut self.framework_links).into_keys().map(Effect::CloseFramework);
        self.effects.extend(agents.chain(frameworks));
        let why = "this master does not lead any more; it is not known whether the operation was done: see the claims of the agent";
        let waiting =
            std::mem::take(&mut self.operations).into_values().filter_map(|it| it.request);
        self.effects.extend(
            waiting.map(|request| Effect::Answer(request, Err(Refusal::Conflict(why.to_owned())))),
        );
        self.operation_names.clear();
        self.agents.clear();
        self.frameworks.clear();
        self.tasks.clear();
        self.completed.clear();
        self.offers.clear();
        self.removals.clear();
        self.kills.clear();
        self.agent_views.clear();
        self.framework_views.clear();
        self.totals.clear();
        self.filters = Filters::default();
        self.timers.clear();
        self.dirty.clear();
    }

    fn not_leading(&mut self, input: Input) {
        match input {
            Input::FromAgent(link, _) => self.effects.push(Effect::CloseAgent(link)),
            Input::FromFramework(link, _) => self.effects.push(Effect::CloseFramework(link)),
            Input::FromOperator(request, _) => {
                self.effects.push(Effect::Answer(request, Err(Refusal::NotLeading)))
            }
            _ => {}
        }
    }

    /// Writes down, then goes on: in memory now, on disk before the next effect.
    fn commit(&mut self, changes: Vec<MasterChange>) {
        if changes.is_empty() {
            return;
        }
        changes.iter().for_each(|change| self.ledger.apply(change));
        match self.effects.last_mut() {
            Some(Effect::Commit(last)) => last.extend(changes),
            _ => self.effects.push(Effect::Commit(changes)),
        }
    }

    fn log(&mut self, line: impl Into<String>) {
        self.effects.push(Effect::Log(line.into()));
    }

    /// Whether this master was given the bug of that name on purpose.
    #[cfg(feature = "planted")]
    fn is_planted(&self, bug: &str) -> bool {
        self.config.planted == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    fn is_planted(&self, _bug: &str) -> bool {
        false
    }
}
