//! Machines and the agents on them: power, the agent's shell, and the start that is also every
//! restart.
//!
//! It relies on [`crate::drivers`] for disks, containers and the ledger's disk. A commit is durable
//! before the next effect begins; an agent whose ledger disk fails dies. It never lets a new life
//! of an agent see the memory of an old one.

use std::collections::BTreeMap;

use holdfast_agent::{self as agent, Agent, Effect, Found, Input};
use holdfast_model::{
    AgentChange, AgentLedger, ContainerId, DiskKind, Instant, LinkId, NodeId, StepContext, ToAgent,
};
use uuid::Uuid;

use crate::agenda::{AgendaEntry, DriverJob, ExecutorAction, Message, Node, Rest, ANY_LIFE};
use crate::clients::Client;
use crate::drivers::containers::{Container, State};
use crate::drivers::disks::Disk;
use crate::drivers::ledger_disk::LedgerDisk;
use crate::fact::Fact;
use crate::links::Side;
use crate::process::{Process, ProcessFault};
use crate::rng::Rng;
use crate::shape::Shape;
use crate::world::World;

/// A machine and its agent.
pub struct Machine {
    /// The agent's process.
    pub process: Process,
    /// Whether the machine has power.
    pub powered: bool,
    /// The agent's core, while its process runs.
    pub core: Option<Agent>,
    /// The host name.
    pub host: String,
    /// Processor, in thousandths of a core.
    pub cpus_thousandths: i64,
    /// Memory in megabytes (2^20 bytes).
    pub mem_mb: i64,
    /// ROOT first.
    pub disks: Vec<Disk>,
    /// Containers that run or of which something is left.
    pub containers: BTreeMap<ContainerId, Container>,
    pub(crate) ledger_disk: LedgerDisk<AgentLedger>,
    pub(crate) client: Client,
    pub(crate) rng: Rng,
    /// When the drivers are free again for one volume or container: what is asked for one thing is
    /// done in order.
    pub(crate) gates: BTreeMap<Uuid, Instant>,
}

/// Settings under which a storm of two minutes sees every timer fire.
pub(crate) fn config(planted: Option<&'static str>) -> agent::Config {
    let _ = planted;
    agent::Config {
        registration_timeout_ms: 12_000,
        reregistration_timeout_ms: 6_000,
        update_retry_min_ms: 2_000,
        update_retry_max_ms: 8_000,
        shutdown_grace_ms: 2_000,
        #[cfg(feature = "planted")]
        planted,
        ..agent::Config::default()
    }
}

impl Machine {
    pub(crate) fn new(index: usize, shape: &Shape, rng: &Rng) -> Machine {
        let mut own = rng.fork(index as u64);
        let mut all = vec![Disk::new(
            DiskKind::Root,
            format!("/var/lib/holdfast{index}"),
            own.between(2, 12) * 1_000,
        )];
        for disk in 0..shape.disks {
            let kind = if disk % 2 == 0 { DiskKind::Path } else { DiskKind::Mount };
            all.push(Disk::new(kind, format!("/disks/{}", disk + 1), own.between(2, 12) * 1_000));
        }
        let ledger = AgentLedger::new(NodeId(holdfast_model::IdSource::fresh(&mut own)));
        let first = [AgentChange::Identity(ledger.identity.clone())];
        let mut ledger_disk =
            LedgerDisk::new(own.bits(), *ledger.identity.node.0.as_bytes(), ledger, &first);
        ledger_disk.believes_failures = shape.planted == Some("agents-shell-believes-failed-syncs");
        Machine {
            process: Process::new(own.fork(1)),
            powered: true,
            core: None,
            host: format!("host{index}"),
            cpus_thousandths: 8_000,
            mem_mb: 16_384,
            disks: all,
            containers: BTreeMap::new(),
            ledger_disk,
            client: Client::default(),
            rng: own,
            gates: BTreeMap::new(),
        }
    }

    /// The agent's durable ledger, as acknowledged to it.
    pub fn proven(&self) -> &AgentLedger {
        &self.ledger_disk.proven
    }

    /// Its link to a master, while that stands as far as its agent knows.
    pub fn link(&self) -> Option<u64> {
        self.client.link
    }

    /// Every container, with how it is.
    fn found(&self) -> Vec<(ContainerId, Found)> {
        self.containers.iter().map(|(id, container)| (*id, container.found())).collect()
    }
}

impl World {
    /// The machine whose agent sits at the client's end of a link.
    pub(crate) fn machine_at(&self, link: u64) -> Option<usize> {
        match self.links.client_of(link)? {
            Node::Machine(index) => Some(index),
            _ => None,
        }
    }

    pub(crate) fn start_agent(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if machine.process.up {
            return;
        }
        machine.powered = true;
        let opened = match machine.ledger_disk.reopen() {
            Ok(opened) => opened,
            Err(why) => {
                return self
                    .violate("R2", format!("the ledger of agent {index} does not open: {why}"))
            }
        };
        machine.process.start();
        self.note(|| {
            format!("agent {index} starts, ledger version {}", opened.ledger.identity.version)
        });
        if let Some(changes) = &opened.late {
            self.rules_see(&Fact::AgentCommits { machine: index, changes });
        }
        self.rules_see(&Fact::AgentStarts { machine: index, ledger: &opened.ledger });
        let (found, now, planted) =
            (self.machines[index].found(), self.agenda.now, self.shape.planted);
        let twice = crate::rules::r1_recovery::recover_agent_twice(
            &config(planted),
            &opened.ledger,
            &found,
            now,
            &self.machines[index].process.ids,
        );
        if let Err(why) = twice {
            self.violate("R1", format!("agent {index}: {why}"));
        }
        self.machines[index].core = Some(Agent::recover(config(planted), opened.ledger));
        let life = self.machines[index].process.life;
        self.step_agent(index, Input::Started(found));
        let late_ms = self.delay_ms(1, 400, 1);
        self.agenda.after(late_ms, Node::Machine(index), life, AgendaEntry::Follow);
        let living: Vec<ContainerId> = self.machines[index]
            .containers
            .iter()
            .filter(|(_, it)| it.lives())
            .map(|(id, _)| *id)
            .collect();
        for container in living {
            let late_ms = self.delay_ms(20, 2_000, 2);
            self.agenda.after(
                late_ms,
                Node::Executor(index, container),
                ANY_LIFE,
                AgendaEntry::Act(ExecutorAction::Connect),
            );
        }
    }

    /// Its process dies; containers live on.
    pub(crate) fn kill_agent(&mut self, index: usize, down_ms: Option<u64>) {
        if !self.machines[index].process.up {
            return;
        }
        self.note(|| format!("agent {index} dies"));
        self.stop_agent(index, false, 300);
        if let Some(down_ms) = down_ms {
            let life = self.machines[index].process.life;
            self.agenda.after(down_ms, Node::Machine(index), life, AgendaEntry::Restart);
        }
    }

    fn stop_agent(&mut self, index: usize, power: bool, late_ms: u64) {
        let machine = &mut self.machines[index];
        machine.process.die();
        machine.core = None;
        machine.client.forget_link();
        machine.disks.iter_mut().for_each(Disk::lose_agent);
        machine.ledger_disk.go_down(power);
        self.drop_links(Node::Machine(index), late_ms);
    }

    /// The machine goes down with all that runs on it, and comes back after a while.
    pub(crate) fn reboot(&mut self, index: usize, down_ms: Option<u64>) {
        if !self.machines[index].powered {
            return;
        }
        self.note(|| format!("machine {index} loses power"));
        self.stop_agent(index, true, 5_000);
        self.machines[index].powered = false;
        let ids: Vec<ContainerId> = self.machines[index].containers.keys().copied().collect();
        for id in ids {
            self.end_container(index, id, State::Lost);
        }
        self.machines[index].disks.iter_mut().for_each(Disk::cut_power);
        if let Some(down_ms) = down_ms {
            let life = self.machines[index].process.life;
            self.agenda.after(down_ms, Node::Machine(index), life, AgendaEntry::Restart);
        }
    }

    pub(crate) fn step_agent(&mut self, index: usize, input: Input) {
        let heard = match &input {
            Input::FromMaster(_, message) => Some(message.clone()),
            _ => None,
        };
        let now = self.agenda.now;
        let Machine { process, core, .. } = &mut self.machines[index];
        let Some(core) = core else { return };
        let effects = core.handle(&mut StepContext { now, ids: &mut process.ids }, input);
        self.touched.insert(Node::Machine(index));
        if let Some(message) = heard {
            self.agent_heard(index, &message, &effects);
        }
        self.carry_out_agent(index, effects);
    }

    fn agent_heard(&mut self, index: usize, message: &ToAgent, effects: &[Effect]) {
        let mut commits = Vec::new();
        for effect in effects {
            if let Effect::Commit { changes, .. } = effect {
                commits.extend(changes);
            }
        }
        self.rules_see(&Fact::AgentHears { machine: index, message, commits });
    }

    pub(crate) fn carry_out_agent(&mut self, index: usize, effects: Vec<Effect>) {
        let life = self.machines[index].process.life;
        let (mut left, mut after_commit) = (effects.into_iter(), false);
        while let Some(effect) = left.next() {
            let is_commit = matches!(effect, Effect::Commit { .. });
            match self.machines[index].process.struck(is_commit, after_commit) {
                Some(ProcessFault::Die(down_ms)) => return self.kill_agent(index, Some(down_ms)),
                Some(ProcessFault::Pause(ms)) => {
                    let rest = std::iter::once(effect).chain(left).collect();
                    return self.pause(Node::Machine(index), ms, Some(Rest::Agent(rest)));
                }
                None => {}
            }
            self.carry_out_agent_one(index, life, effect);
            if self.machines[index].process.life != life {
                return;
            }
            after_commit = is_commit;
        }
        let deadline = self.machines[index].core.as_ref().and_then(Agent::next_deadline);
        self.wake(Node::Machine(index), deadline);
    }

    fn carry_out_agent_one(&mut self, index: usize, life: u64, effect: Effect) {
        match effect {
            Effect::Commit { changes, .. } => match self.machines[index]
                .ledger_disk
                .commit(&changes)
            {
                Ok(()) => self.rules_see(&Fact::AgentCommits { machine: index, changes: &changes }),
                Err(why) => self.ledger_disk_failed(index, &why),
            },
            Effect::ToMaster(link, message) => {
                self.rules_see(&Fact::AgentTells { machine: index, message: &message });
                self.links.send(
                    &mut self.agenda,
                    link.0,
                    Side::Client,
                    Message::FromAgent(message),
                );
            }
            Effect::CloseMaster(link) => self.agent_hangs_up(index, link),
            Effect::ToExecutor(link, event) => self.links.send(
                &mut self.agenda,
                link.0,
                Side::Server,
                Message::ToExecutor(Box::new(event)),
            ),
            Effect::CloseExecutor(link) => self.links.close(&mut self.agenda, link.0, Side::Server),
            Effect::OpenDisks(cluster, known, _) => {
                self.work(index, life, Uuid::nil(), DriverJob::Open(cluster, known))
            }
            Effect::SurveyDisks(cluster) => {
                self.work(index, life, Uuid::nil(), DriverJob::Open(cluster, Vec::new()))
            }
            Effect::MakeVolume(label) => {
                self.work(index, life, label.claim.0, DriverJob::Make(label))
            }
            Effect::CheckVolume(label) => {
                self.work(index, life, label.claim.0, DriverJob::Check(label))
            }
            Effect::TrashVolume(label) => {
                self.work(index, life, label.claim.0, DriverJob::Trash(label))
            }
            Effect::RestoreVolume(label) => {
                self.work(index, life, label.claim.0, DriverJob::Restore(label))
            }
            Effect::AdoptVolume(label, adopted) => {
                self.work(index, life, label.claim.0, DriverJob::Adopt(label, adopted))
            }
            // What holds a volume to its size is beyond what is simulated.
            Effect::ResizeVolume(label) => {
                self.note(|| format!("agent {index} resizes volume {}", label.persistence))
            }
            Effect::PurgeTrash(disk, claim) => {
                self.work(index, life, claim.0, DriverJob::Purge(disk, claim))
            }
            Effect::StartContainer(plan) => {
                self.work(index, life, plan.container.0, DriverJob::Start(plan))
            }
            Effect::UpdateContainer(plan) => {
                self.work(index, life, plan.container.0, DriverJob::Update(plan))
            }
            Effect::DestroyContainer(id) => self.work(index, life, id.0, DriverJob::Destroy(id)),
            Effect::ForgetContainer(id) => self.work(index, life, id.0, DriverJob::Forget(id)),
            Effect::Log(line) => self.note(|| format!("agent {index} says: {line}")),
        }
    }

    /// A commit failed: the process dies. Half of the time the machine goes with it, and takes what
    /// was not synced.
    fn ledger_disk_failed(&mut self, index: usize, why: &str) {
        self.note(|| format!("agent {index} cannot commit: {why}"));
        let down_ms = self.delay_ms(100, 3_000, 100);
        if self.machines[index].rng.one_in(2) {
            self.reboot(index, Some(down_ms));
        } else {
            self.kill_agent(index, Some(down_ms));
        }
    }

    fn agent_hangs_up(&mut self, index: usize, link: LinkId) {
        self.links.close(&mut self.agenda, link.0, Side::Client);
        let machine = &mut self.machines[index];
        if machine.client.link == Some(link.0) {
            machine.client.link = None;
            self.follow_later(Node::Machine(index));
        }
    }
}
