//! The disk owner's mind: the one who has the disks is the one whose word about them counts.
//!
//! [`Agent::handle`] turns one [`Input`] into a list of [`Effect`]s and does nothing else. The shell
//! carries the effects out **in order**; a [`Effect::Commit`] is on disk before the next effect begins.
//! So "written down before anybody is told" is visible in the order of the list.
//!
//! An agent has two drawers: the [`AgentLedger`], which survives a crash, and the rest, which is found
//! out again. Start and restart are the same path: [`Agent::recover`] with a ledger (a new agent's is
//! empty), then [`Input::Started`].
//!
//! There is no clock, file, thread or randomness in this room. Nothing that comes from outside can stop
//! it, and nothing of a volume is ever given away that its owner did not destroy.

mod alarms;
mod claims;
mod containers;
mod deadlines;
mod disks;
mod ending;
mod executors;
mod idle;
mod kill;
mod launch;
mod link;
mod operations;
mod recovery;
mod report;
mod shown;
mod soft;
mod step;
mod updates;
mod view;
mod volumes;
mod waiting;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod testbed;

use holdfast_model::claim::fit;
use holdfast_model::{
    AgentChange, AgentIdentity, AgentLedger, Instant, LinkId, Resource, Resources, Scalar,
    StepContext, ToMaster,
};

pub use step::{
    ContainerPlan, DiskFound, Effect, Exit, Found, Input, Machine, Payload, VolumeLabel, VolumePlan,
};
pub use view::{ExecutorView, Status};

use soft::Soft;

/// What can be set. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long an executor may take to subscribe after its container started.
    pub registration_timeout_ms: u64,
    /// How long a live executor may take to come back to an agent that was restarted.
    pub reregistration_timeout_ms: u64,
    /// How long an update may stay unacknowledged before it is sent again; doubled each time.
    pub update_retry_min_ms: u64,
    /// The longest time between two sendings of an update.
    pub update_retry_max_ms: u64,
    /// How long an executor may take to end after it was asked to, unless it says otherwise itself.
    pub shutdown_grace_ms: u64,
    /// How often all disks are looked at, to notice one that went.
    pub disk_look_ms: u64,
    /// The same while something is wrong with one of them, to notice when it comes back.
    pub ill_disk_look_ms: u64,
    /// The agent's version, for its report.
    pub version: String,
    /// What Holdfast's own executor gets for a command, on top of what the task asks for.
    pub command_overhead: Resources,
    /// The bug to have on purpose, one of [`PLANTED`].
    #[cfg(feature = "planted")]
    pub planted: Option<&'static str>,
}

/// Bugs that an agent can be given on purpose, to test whoever looks for bugs.
#[cfg(feature = "planted")]
pub const PLANTED: [&str; 5] = [
    "agent-tells-before-commit",
    "agent-ignores-terms",
    "agent-hands-over-early",
    "agent-forgets-updates",
    "agent-replaces-missing-volumes",
];

impl Default for Config {
    fn default() -> Config {
        let overhead = [
            Resource::scalar("cpus", Scalar::thousandths(100)),
            Resource::scalar("mem", Scalar::whole(32)),
        ];
        Config {
            registration_timeout_ms: 60_000,
            reregistration_timeout_ms: 15_000,
            update_retry_min_ms: 10_000,
            update_retry_max_ms: 600_000,
            shutdown_grace_ms: 5_000,
            disk_look_ms: 10_000,
            ill_disk_look_ms: 5_000,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command_overhead: overhead.into_iter().collect(),
            #[cfg(feature = "planted")]
            planted: None,
        }
    }
}

/// See the crate.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    /// Survives a crash; the fold of every committed change.
    ledger: AgentLedger,
    soft: Soft,
    effects: Vec<Effect>,
}

impl Agent {
    /// An agent with what its ledger says; a new agent's ledger is [`AgentLedger::new`]. Its first input is [`Input::Started`].
    pub fn recover(config: Config, ledger: AgentLedger) -> Agent {
        let soft = Soft::of(&ledger);
        Agent { config, ledger, soft, effects: Vec::new() }
    }

    /// One step.
    pub fn handle(&mut self, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
        match input {
            Input::Started(found) => self.started(ctx, found),
            Input::Opened(machine) => self.opened(ctx, machine),
            Input::MasterLinked(link) => self.master_linked(ctx, link),
            Input::MasterLost(link) => self.master_lost(link),
            Input::FromMaster(link, message) => self.master_said(ctx, link, message),
            Input::FromExecutor(link, framework, executor, call) => {
                self.executor_said(ctx, link, (framework, executor), call)
            }
            Input::ExecutorLost(link) => self.executor_lost(link),
            Input::VolumeMade(claim, outcome) => self.volume_made(ctx, claim, outcome),
            Input::VolumeTrashed(claim, outcome) => self.volume_trashed(ctx, claim, outcome),
            Input::VolumeChecked(claim, outcome) => self.volume_checked(ctx, claim, outcome),
            Input::ContainerStarted(container, outcome) => {
                self.container_started(ctx, container, outcome)
            }
            Input::ContainerUpdated(container, shown) => {
                self.container_updated(ctx, container, &shown)
            }
            Input::ContainerExited(container, exit) => self.container_exited(ctx, container, exit),
            Input::Tick => self.tick(ctx),
        }
        loop {
            self.go_on(ctx);
            self.report_late_news(ctx);
            if !self.grant_wish(ctx) {
                break;
            }
        }
        if self.is_planted("agent-tells-before-commit") {
            self.effects.sort_by_key(|it| matches!(it, Effect::Commit(_)));
        }
        std::mem::take(&mut self.effects)
    }

    /// Whether this agent was given the bug of that name on purpose.
    #[cfg(feature = "planted")]
    fn is_planted(&self, bug: &str) -> bool {
        self.config.planted == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    fn is_planted(&self, _bug: &str) -> bool {
        false
    }

    /// The durable half, for the shell and for checks.
    pub fn ledger(&self) -> &AgentLedger {
        &self.ledger
    }

    /// When the next [`Input::Tick`] is wanted; earlier ones are harmless.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.soft.alarms.next()
    }

    /// Lets go on whatever waited for something that has changed.
    fn go_on(&mut self, ctx: &mut StepContext<'_>) {
        while std::mem::take(&mut self.soft.stirred) {
            self.retry_operations(ctx);
            self.retry_launches(ctx);
            self.start_containers(ctx);
        }
    }

    /// Folds changes into the ledger and has them written down. Changes right after one another are one commit, all or none.
    fn commit(&mut self, changes: Vec<AgentChange>) {
        if changes.is_empty() {
            return;
        }
        let mut identity = self.ledger.identity.clone();
        let mut batch = match self.effects.pop() {
            Some(Effect::Commit(mut last)) => {
                last.pop(); // Its identity; the one below takes its place.
                last
            }
            other => {
                self.effects.extend(other);
                identity.version = identity.version.saturating_add(1);
                Vec::new()
            }
        };
        let mut claims_changed = false;
        for change in changes {
            if let AgentChange::Identity(changed) = change {
                identity = AgentIdentity { version: identity.version, ..changed };
                continue;
            }
            claims_changed |= matches!(change, AgentChange::Claim(_) | AgentChange::ClaimGone(_));
            self.ledger.apply(&change);
            batch.push(change);
        }
        let identity = AgentChange::Identity(identity);
        self.ledger.apply(&identity);
        batch.push(identity);
        self.effects.push(Effect::Commit(batch));
        self.soft.stirred = true;
        if claims_changed {
            self.lay_claims();
        }
    }

    /// Lays the claims on what the machine has.
    fn lay_claims(&mut self) {
        let base = self.soft.machine.as_ref().map(|it| &it.resources);
        let (total, misfits) = base.map(|base| fit(base, &self.ledger.claims)).unwrap_or_default();
        (self.soft.total, self.soft.misfits) = (total, misfits.into_iter().collect());
    }

    fn tell_master(&mut self, message: ToMaster) -> bool {
        let link = self.welcomed_link();
        if let (None, Some(master)) = (link, &mut self.soft.master) {
            master.untold |= is_told_once(&message);
        }
        self.effects.extend(link.map(|link| Effect::ToMaster(link, message)));
        link.is_some()
    }

    fn welcomed_link(&self) -> Option<LinkId> {
        self.soft.master.as_ref().filter(|it| it.welcomed).map(|it| it.link)
    }

    fn log(&mut self, line: impl Into<String>) {
        self.effects.push(Effect::Log(line.into()));
    }
}

/// Whether a message is never told again: nobody acknowledges it.
fn is_told_once(message: &ToMaster) -> bool {
    match message {
        ToMaster::ExecutorExited { .. } => true,
        ToMaster::TaskUpdate { status, .. } => status.uuid.is_none(),
        _ => false,
    }
}
