//! The agent's core: it has the disks, so its word about them counts.
//!
//! [`Agent::handle`] turns one [`Input`] into a list of [`Effect`]s and does nothing else. The shell
//! carries the effects out **in order**; a [`Effect::Commit`] is on disk before the next effect begins.
//! So "written down before anybody is told" is visible in the order of the list.
//!
//! What an agent knows is of two kinds: the [`AgentLedger`], which survives a crash, and soft state, which is found
//! out again. Start and restart are the same path: [`Agent::recover`] with a ledger (a new agent's is
//! empty), then [`Input::Started`].
//!
//! There is no clock, file, thread or randomness in this crate. Nothing that comes from outside can stop
//! it, and nothing of a volume is ever given away that its owner did not destroy.
//!
//! # Parts and layers
//!
//! A layer uses only those below it. Each function names in its signature the parts that it needs.
//!
//! ```text
//! lib          dispatches inputs; at the end of each step what was woken goes on, then a report goes out if one is wanted
//! handlers     link -> operations, trash, kill, executors, updates    alarms -> kill, volumes    executors -> updates
//!              containers   volumes   disks   recovery
//! flows        waking -> settling, launching, placing, ending    reporting -> launching    fitting    limiting -> ending
//!              launching -> placing, idle, delivery, shown, ending    idle -> ending    delivery -> shown    kills
//! bookkeeping  step -> record (ledger + effects + Totals + Alarms + what was stirred)
//!              records: the ledger by other than its names    holds: + Containers    faults: + Disks
//!              claims: + Disks, Containers, Waiting    topics: + Containers    looks, limits: + Disks    telling: + MasterLink    plans
//! parts        Alarms       what is due, and when
//!              Totals       the machine with all claims laid on it, claims that do not fit
//!              Disks        the machine and its disks as found; Volumes: made, checked, faulty
//!              Containers   LiveContainer by executor, executors' links, frameworks that leave
//!              Tasks        statuses seen, kill graces, tasks whose volumes are not shown yet
//!              MasterLink   the link, early orders, reports that are wanted, operations seen
//!              Waiting      operations, launches and containers that wait, and what wakes each
//! beside them  nested: containers inside those of executors, which no ledger has and no claim hangs on
//! ```

mod bookkeeping;
mod config;
mod contract;
mod flows;
mod handlers;
mod nested;
mod parts;
mod view;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod testbed;

use holdfast_model::{AgentLedger, Instant, StepContext};

pub use config::Config;
#[cfg(feature = "planted")]
pub use config::PLANTED;
pub use contract::{
    Adopted, ContainerPlan, DiskFound, Effect, Exit, Found, FoundSpace, Input, Machine, Payload,
    TrashFound, UsedSpace, VolumeLabel, VolumePlan,
};
pub use nested::{
    Begun, Nested, NestedContainers, NestedExit, NestedPath, NestedRefusal, NestedState,
};
pub use view::{AgentView, ExecutorView, Status};

use bookkeeping::telling::{tell_trash, tell_used};
use bookkeeping::{holds, topics, Record, Step};
use flows::{
    fitting::fit_to_space, limiting::look_at_measured, reporting::report_if_wanted, waking::go_on,
};
use handlers::{
    alarms, containers, disk_changes, disks, executors, link, recovery, together, trash, volumes,
};
use parts::{Containers, Disks, MasterLink, Tasks, Waiting};

/// See the crate.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    record: Record,
    disks: Disks,
    containers: Containers,
    tasks: Tasks,
    master: MasterLink,
    waiting: Waiting,
}

impl Agent {
    /// An agent with what its ledger says; a new agent's ledger is [`AgentLedger::new`]. Its first input is [`Input::Started`].
    pub fn recover(config: Config, ledger: AgentLedger) -> Agent {
        Agent {
            config,
            disks: Disks::default(),
            containers: holds::recovering(&ledger),
            tasks: Tasks::default(),
            master: MasterLink::default(),
            waiting: topics::recovering(&ledger),
            record: Record::new(ledger),
        }
    }

    /// One step.
    pub fn handle(&mut self, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
        self.dispatch(ctx, input);
        self.go_on(ctx);
        let mut effects = self.record.take_effects();
        if self.config.is_planted("agent-tells-before-commit") {
            effects.sort_by_key(|it| matches!(it, Effect::Commit { .. }));
        }
        effects
    }

    fn dispatch(&mut self, ctx: &mut StepContext<'_>, input: Input) {
        let Agent { config, record, disks, containers, tasks, master, waiting } = self;
        let step = &mut Step::new(ctx, config, record);
        match input {
            Input::Started(found) => {
                recovery::started(step, disks, containers, tasks, master, found)
            }
            Input::Opened(machine) => disks::opened(step, disks, containers, master, machine),
            Input::Room(full) => disks::room_changed(step, disks, master, full),
            Input::MasterLinked(link) => link::master_linked(step, master, link),
            Input::MasterLost(link) => link::master_lost(step, master, link),
            Input::FromMaster(link, message) => {
                link::master_said(step, disks, containers, tasks, master, waiting, (link, message))
            }
            Input::FromExecutor(link, framework, executor, call) => {
                let from = (link, (framework, executor));
                executors::executor_said(step, disks, containers, tasks, master, from, call)
            }
            Input::ExecutorLost(link) => containers.disconnect(link),
            Input::VolumeMade(claim, outcome) => {
                let made = (claim, &outcome);
                if !together::volume_made(step, disks, containers, master, waiting, made) {
                    if outcome.is_ok() {
                        disks.note_made(step.ledger(), claim);
                    }
                    volumes::volume_made(step, disks.volumes_mut(), master, claim, outcome)
                }
            }
            Input::VolumeTrashed(claim, outcome) => {
                volumes::volume_trashed(step, disks.volumes_mut(), master, claim, outcome)
            }
            Input::TrashFound(disk, found) => {
                disks.note_images(&found.images);
                trash::trash_found(step, disks, master, disk, found);
            }
            Input::TrashDue(disk, claim, is_aged) => trash::trash_due(step, disk, claim, is_aged),
            Input::TrashPurged(claim) => {
                disks.forget_image(claim);
                trash::trash_purged(step, claim);
            }
            Input::VolumeChecked(claim, outcome) => {
                volumes::volume_checked(step, disks, master, claim, outcome)
            }
            Input::ContainerStarted(id, outcome) => {
                containers::container_started(step, containers, tasks, master, id, outcome)
            }
            Input::ContainerUpdated(id, shown) => {
                containers::container_updated(step, containers, tasks, master, id, &shown)
            }
            Input::ContainerExited(id, exit) => {
                containers::container_exited(step, containers, tasks, master, id, exit)
            }
            Input::Tick => alarms::tick(step, disks, containers, tasks, master),
        }
    }

    /// Lets go on what waited for something that this step has changed, then reports what the master is to know of it.
    fn go_on(&mut self, ctx: &mut StepContext<'_>) {
        let Agent { config, record, disks, containers, tasks, master, waiting } = self;
        let step = &mut Step::new(ctx, config, record);
        look_at_measured(step, disks, containers);
        loop {
            go_on(step, disks, containers, tasks, master, waiting);
            if step.take_space_stale() {
                fit_to_space(step, disks, master);
            }
            if !report_if_wanted(step, disks, containers, tasks, master, waiting) {
                break;
            }
        }
        disk_changes::answer_adopted(step, disks, master);
        tell_trash(step, master, false);
        tell_used(step, disks, master, false);
        #[cfg(test)]
        flows::waking::assert_nobody_could_go_on(step, disks, containers, waiting);
    }

    /// The durable half, for the shell and for checks.
    pub fn ledger(&self) -> &AgentLedger {
        self.record.ledger()
    }

    /// When the next [`Input::Tick`] is wanted; earlier ones are harmless.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.record.alarms().next()
    }

    /// When anything is due beside the next look at the disks.
    #[cfg(test)]
    fn next_deadline_beside_disks(&self) -> Option<Instant> {
        self.record.alarms().next_beside_disks()
    }
}
