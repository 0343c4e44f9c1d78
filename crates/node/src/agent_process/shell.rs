//! The agent's shell: the core, its ledger on disk, its links, and its drivers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_agent::{Agent, AgentView, Effect, Input};
use holdfast_model::convert::{executor, ledger, link, Format};
use holdfast_model::{AgentChange, ExecutorEvent, Instant, LinkId, StepContext};
use holdfast_proto::holdfast::v1::FromAgent;
use holdfast_proto::mesos::v1::executor::Event as WireEvent;
use holdfast_store::{DurableStore, Store};
use holdfast_wire::Outbox;
use tokio_util::sync::CancellationToken;

use super::containers::Containers;
use super::disks::Disks;
use crate::core_loop::Shell;
use crate::ledger_file::batches;
use crate::links::Links;

/// The links to masters. What a master leaves unread is bounded by its outbox, which cuts the link then.
#[derive(Clone, Default)]
pub struct Masters(Arc<Mutex<HashMap<LinkId, Open>>>);

/// An open link, and how its keeper learns that the core hung up.
struct Open {
    outbox: Outbox<FromAgent>,
    closed: CancellationToken,
}

impl Masters {
    /// A link stands. The answer is cancelled when the core hangs up.
    pub fn open(&self, link: LinkId, outbox: Outbox<FromAgent>) -> CancellationToken {
        let closed = CancellationToken::new();
        self.with(|open| open.insert(link, Open { outbox, closed: closed.clone() }));
        closed
    }

    /// A link is over, or shall be once everything sent before has been taken.
    pub fn close(&self, link: LinkId) {
        if let Some(open) = self.with(|open| open.remove(&link)) {
            open.closed.cancel();
        }
    }

    /// Sends, if the link is open. Never waits.
    pub fn send(&self, link: LinkId, message: FromAgent) {
        self.with(|open| {
            if let Some(open) = open.get(&link) {
                // Too slow or gone: the keeper of the link hears of it by itself.
                let _ = open.outbox.send(message);
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<LinkId, Open>) -> T) -> T {
        // Nothing in here can panic half-way.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See the module.
pub struct AgentShell {
    /// The core.
    pub core: Agent,
    /// Its ledger.
    pub store: DurableStore,
    /// Links to masters.
    pub masters: Masters,
    /// Links of executors.
    pub executors: Links<WireEvent>,
    /// The drivers of disks.
    pub disks: Disks,
    /// The drivers of processes.
    pub containers: Containers,
}

impl Shell for AgentShell {
    type Input = Input;
    type Effect = Effect;
    type View = AgentView;

    fn handle(&mut self, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
        self.core.handle(ctx, input)
    }

    fn view(&self) -> AgentView {
        self.core.view()
    }

    fn tick() -> Input {
        Input::Tick
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    fn is_commit(effect: &Effect) -> bool {
        matches!(effect, Effect::Commit { .. })
    }

    /// Forgetting what was acknowledged: after a crash it is told, and acknowledged, once more. What is remembered of the ledger's own history
    /// goes with it: lost together, the ledger is the one of before, which remembers that.
    fn may_wait(effect: &Effect) -> bool {
        let forgets = |it: &AgentChange| {
            matches!(
                it,
                AgentChange::Identity(_)
                    | AgentChange::OperationGone(_)
                    | AgentChange::TaskGone(_)
                    | AgentChange::Point(_)
                    | AgentChange::PointGone(_)
            )
        };
        matches!(effect, Effect::Commit { changes, .. } if changes.iter().all(forgets))
    }

    /// What is done here may begin; nobody else learns of it.
    fn may_precede_commit(effect: &Effect) -> bool {
        match effect {
            Effect::Commit { .. }
            | Effect::ToMaster(..)
            | Effect::CloseMaster(_)
            | Effect::ToExecutor(..)
            | Effect::CloseExecutor(_) => false,
            Effect::OpenDisks(..)
            | Effect::SurveyDisks(_)
            | Effect::MakeVolume(_)
            | Effect::CheckVolume(_)
            | Effect::TrashVolume(_)
            | Effect::RestoreVolume(_)
            | Effect::AdoptVolume(..)
            | Effect::ResizeVolume(_)
            | Effect::PurgeTrash(..)
            | Effect::StartContainer(_)
            | Effect::UpdateContainer(_)
            | Effect::DestroyContainer(_)
            | Effect::ForgetContainer(_)
            | Effect::Log(_) => true,
        }
    }

    fn commit(&mut self, effects: &[Effect]) -> anyhow::Result<()> {
        let commits = effects.iter().filter_map(|effect| match effect {
            Effect::Commit { term, changes } => Some((*term, changes)),
            _ => None,
        });
        let Some(term) = commits.clone().map(|(term, _)| term).max() else { return Ok(()) };
        let groups = commits.map(|(_, group)| group.iter().map(ledger::agent::encode));
        for batch in batches(groups) {
            self.store.commit(term.0, &batch)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Commit { .. } => {}
            Effect::ToMaster(link, message) => {
                self.masters.send(link, link::to_master_to_proto(&message))
            }
            Effect::CloseMaster(link) => self.masters.close(link),
            Effect::ToExecutor(link, event) => self.tell_executor(link, &event),
            Effect::CloseExecutor(link) => self.executors.close(link),
            Effect::OpenDisks(cluster, known, added) => self.disks.open(cluster, known, added),
            Effect::SurveyDisks(cluster) => self.disks.survey(cluster),
            Effect::MakeVolume(label) => self.disks.make(label),
            Effect::CheckVolume(label) => self.disks.check(label),
            Effect::TrashVolume(label) => self.disks.trash(label),
            Effect::RestoreVolume(label) => self.disks.restore(label),
            Effect::AdoptVolume(label, adopted) => self.disks.adopt(label, adopted),
            Effect::ResizeVolume(label) => self.disks.resize(label),
            Effect::PurgeTrash(disk, claim) => self.disks.purge(disk, claim),
            Effect::StartContainer(plan) => self.containers.start(*plan, self.disks.clone()),
            Effect::UpdateContainer(plan) => self.containers.update(*plan, self.disks.clone()),
            Effect::DestroyContainer(container) => self.containers.destroy(container),
            Effect::ForgetContainer(container) => self.containers.forget(container),
            Effect::Log(line) => tracing::info!("{line}"),
        }
    }

    fn close(&mut self) {
        crate::ledger_file::note_close(self.store.close());
    }
}

impl AgentShell {
    fn tell_executor(&self, link: LinkId, event: &ExecutorEvent) {
        // Executors see resources as operators do: both shapes where they agree.
        self.executors.send(link, executor::event_to_proto(event, Format::ENDPOINT));
    }
}
