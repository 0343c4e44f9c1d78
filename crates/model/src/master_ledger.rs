//! What the masters must not forget: who was admitted, who was promised what, and where each claim is.

use crate::claim::Claim;
use crate::deactivation::Deactivation;
use crate::ended::{EndedClaim, EndedClaims};
use crate::framework::FrameworkInfo;
use crate::id::{
    AgentId, ClaimId, ClusterId, DiskId, FrameworkId, Instant, NodeId, OperationUuid, Term,
};
use crate::maintenance::{host_key, Machine, MachineId, Schedule, Unavailability};
use crate::moved_disk::DiskMove;
use crate::operation::Operation;
use crate::quota::Quota;
use crate::recovery::Recovery;
use crate::resource::Identity;
use crate::role::Role;
use crate::shared_index::SharedIndex;
use crate::shared_map::SharedMap;
use crate::suspect::{Peer, Suspect};
use crate::value::Scalar;

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub id: ClusterId,
    /// The next agent's number.
    pub next_agent: u64,
    /// The next framework's number.
    pub next_framework: u64,
    /// When it began.
    pub created: Instant,
    /// When it was last found that its ledger lacks something that was written before; `None` = never.
    pub lost: Option<Instant>,
}

impl Cluster {
    /// How many numbers there are for each term, where it is not known which ones were given.
    const NUMBERS: u64 = 1 << 20;

    /// A new cluster.
    pub fn new(id: ClusterId, created: Instant) -> Cluster {
        Cluster { id, next_agent: 0, next_framework: 0, created, lost: None }
    }

    /// The same, when it is found at this time that its ledger lacks what leaders up to that term wrote: it is an older copy, or was begun
    /// anew. Agents and frameworks that it does not know of may still come, and nobody else is given their names.
    pub fn after_loss(self, term: Term, now: Instant) -> Cluster {
        let free = term.0.saturating_add(1).saturating_mul(Cluster::NUMBERS);
        Cluster {
            next_agent: self.next_agent.max(free),
            next_framework: self.next_framework.max(free),
            lost: Some(now),
            ..self
        }
    }
}

/// What the cluster knows of an agent's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It belongs to the cluster.
    Admitted,
    /// It does not answer.
    Unreachable,
    /// An operator said that it will not come back.
    Gone,
}

/// An agent that was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its name.
    pub id: AgentId,
    /// The machine's agent.
    pub node: NodeId,
    /// Its host.
    pub hostname: String,
    /// Its port.
    pub port: u16,
    /// Its presence.
    pub presence: Presence,
    /// Since when.
    pub since: Instant,
    /// The greatest version of its ledger that was told to anyone; an older one is proof of lost data.
    pub ledger_version: u64,
    /// The chained checksum of its ledger at that version; `None` when it was not told. A ledger of that version or a greater one with another
    /// checksum was rolled back and has gone on from there.
    pub ledger_checksum: Option<u64>,
}

/// An operator said that an agent will not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeathCertificate {
    /// The agent.
    pub agent: AgentId,
    /// When.
    pub at: Instant,
    /// Who said so.
    pub by: String,
    /// Why, in that person's words.
    pub reason: Option<String>,
}

/// A framework, until long after its removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkRecord {
    /// As it described itself last, with its id.
    pub info: FrameworkInfo,
    /// Whether it was removed; that is for good.
    pub removed: bool,
    /// When it will be removed unless it comes back; `None` while it is connected.
    pub deadline: Option<Instant>,
    /// When it subscribed first.
    pub registered: Instant,
}

/// An operation sent to an agent and not yet settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingOperation {
    /// Its name.
    pub uuid: OperationUuid,
    /// Whose; `None` for an operator's.
    pub framework: Option<FrameworkId>,
    /// Where.
    pub agent: AgentId,
    /// What.
    pub operation: Operation,
}

/// A change of the masters' ledger: one record put or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterChange {
    /// The cluster.
    Cluster(Cluster),
    /// An agent.
    Agent(AgentRecord),
    /// A framework.
    Framework(FrameworkRecord),
    /// Removed frameworks are forgotten at last, oldest first.
    FrameworkForgotten(FrameworkId),
    /// A claim of an agent.
    Claim(AgentId, Claim),
    /// A claim that is no more.
    ClaimGone(AgentId, ClaimId),
    /// A claim that is no more is remembered.
    Ended(EndedClaim),
    /// The ended claim of this number is forgotten, the oldest first.
    EndedForgotten(u64),
    /// All claims that have ended since then are remembered.
    EndedSince(Instant),
    /// An operation was sent.
    Pending(PendingOperation),
    /// An operation was settled.
    Settled(OperationUuid),
    /// The weight of a role, in thousandths.
    Weight(Role, Scalar),
    /// The quota of a top-level role; a default one is none.
    Quota(Role, Quota),
    /// A leader fell while it handled what a peer said.
    Suspect(Suspect),
    /// That is long ago.
    SuspectForgotten(Peer),
    /// A disk is moved to another agent.
    Move(DiskMove),
    /// The agent that had it has ended its claims, or has them as before.
    MoveEnded(DiskId, AgentId),
    /// An agent is to have its claims back.
    Recovery(Recovery),
    /// It has them, or has come back by itself.
    RecoveryEnded(AgentId),
    /// An agent will not come back.
    Death(DeathCertificate),
    /// Nothing of an agent is offered, or it is drained.
    Deactivated(Deactivation),
    /// It is as any other again.
    Reactivated(AgentId),
    /// All planned downtime, and what is down; an empty schedule is none.
    Maintenance(Schedule),
}

/// The durable half of the masters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MasterLedger {
    /// The cluster; `None` before the first leadership.
    pub cluster: Option<Cluster>,
    /// Agents ever admitted.
    pub agents: SharedMap<AgentId, AgentRecord>,
    /// Frameworks, removed ones too.
    pub frameworks: SharedMap<FrameworkId, FrameworkRecord>,
    /// Every claim of every agent.
    pub claims: SharedMap<(AgentId, ClaimId), Claim>,
    /// Claims that have ended.
    pub ended: EndedClaims,
    /// Operations in flight.
    pub pending: SharedMap<OperationUuid, PendingOperation>,
    /// Weights that are not 1.
    pub weights: SharedMap<Role, Scalar>,
    /// The quota of top-level roles that have one.
    pub quotas: SharedMap<Role, Quota>,
    /// Peers whose messages felled leaders not long ago.
    pub suspects: SharedMap<Peer, Suspect>,
    /// Disks on their way to other agents, and those whose former agents have yet to end their claims: few at any time.
    pub moves: SharedMap<(DiskId, AgentId), DiskMove>,
    /// Agents that are to have their claims back: few at any time.
    pub recoveries: SharedMap<AgentId, Recovery>,
    /// Death certificates of agents that are gone.
    pub deaths: SharedMap<AgentId, DeathCertificate>,
    /// Agents of which nothing is offered, by an operator's wish: few at any time.
    pub deactivations: SharedMap<AgentId, Deactivation>,
    /// Planned downtime of machines.
    pub maintenance: Schedule,
    /// The claims of each agent.
    claims_by_agent: SharedIndex<AgentId, ClaimId>,
    /// Claims by agent and identity.
    by_identity: SharedIndex<(AgentId, Identity), ClaimId>,
    /// The claims of each agent that one framework has made all of.
    held: SharedIndex<AgentId, ClaimId>,
    /// The agents that have a claim of a volume: one, unless it is on its way from one to another.
    volumes: SharedIndex<ClaimId, AgentId>,
    /// The claims on each disk that are volumes.
    by_disk: SharedIndex<DiskId, (AgentId, ClaimId)>,
    /// Agents by their machines.
    nodes: SharedMap<NodeId, AgentId>,
    /// Agents by the hostnames of their machines, in small letters.
    by_host: SharedIndex<String, AgentId>,
}

impl MasterLedger {
    /// What is to be written down when it is found that this ledger is an older copy, of which leaders up to that term have written more: see
    /// [`Cluster::after_loss`]. Which operations were settled since it was made is for the agents to say; those that they do not name are not
    /// called dropped, and those of agents that have said already what is pending with them stay.
    pub fn after_loss(
        &self,
        term: Term,
        now: Instant,
        has_said: impl Fn(&AgentId) -> bool,
    ) -> Vec<MasterChange> {
        let cluster =
            self.cluster.clone().map(|it| MasterChange::Cluster(it.after_loss(term, now)));
        let doubtful = self.pending.iter().filter(|(_, it)| !has_said(&it.agent));
        cluster.into_iter().chain(doubtful.map(|(uuid, _)| MasterChange::Settled(*uuid))).collect()
    }

    /// Folds one change in.
    ///
    /// # Panics
    /// When a state would go backwards: that is a bug, and going on would put it on disk.
    pub fn apply(&mut self, change: &MasterChange) {
        match change.clone() {
            MasterChange::Cluster(cluster) => {
                if let Some(old) = &self.cluster {
                    assert!(old.id == cluster.id, "a cluster keeps its name");
                    assert!(
                        old.next_agent <= cluster.next_agent
                            && old.next_framework <= cluster.next_framework,
                        "ids are given once"
                    );
                }
                self.cluster = Some(cluster);
            }
            MasterChange::Agent(agent) => self.put_agent(agent),
            MasterChange::Framework(framework) => {
                let id = framework.info.id.clone().expect("a framework in the ledger has its id");
                let old = self.frameworks.get(&id);
                assert!(
                    !old.is_some_and(|it| it.removed) || framework.removed,
                    "removed is for good"
                );
                self.frameworks.insert(id, framework);
            }
            MasterChange::FrameworkForgotten(framework) => drop(self.frameworks.remove(&framework)),
            MasterChange::Claim(agent, claim) => self.put_claim(agent, claim),
            MasterChange::ClaimGone(agent, claim) => self.remove_claim(agent, claim),
            MasterChange::Ended(ended) => self.ended.put(ended),
            MasterChange::EndedForgotten(number) => self.ended.forget(number),
            MasterChange::EndedSince(since) => self.ended.keep_since(since),
            MasterChange::Pending(pending) => drop(self.pending.insert(pending.uuid, pending)),
            MasterChange::Settled(uuid) => drop(self.pending.remove(&uuid)),
            MasterChange::Weight(role, weight) if weight == Scalar::whole(1) => {
                self.weights.remove(&role);
            }
            MasterChange::Weight(role, weight) => drop(self.weights.insert(role, weight)),
            MasterChange::Quota(role, quota) if quota.is_default() => {
                self.quotas.remove(&role);
            }
            MasterChange::Quota(role, quota) => drop(self.quotas.insert(role, quota)),
            MasterChange::Suspect(it) => drop(self.suspects.insert(it.peer.clone(), it)),
            MasterChange::SuspectForgotten(peer) => drop(self.suspects.remove(&peer)),
            MasterChange::Move(it) => drop(self.moves.insert(it.key(), it)),
            MasterChange::MoveEnded(disk, from) => drop(self.moves.remove(&(disk, from))),
            MasterChange::Recovery(it) => drop(self.recoveries.insert(it.agent.clone(), it)),
            MasterChange::RecoveryEnded(agent) => drop(self.recoveries.remove(&agent)),
            MasterChange::Death(it) => {
                let former = self.deaths.insert(it.agent.clone(), it.clone());
                assert!(
                    former.is_none_or(|former| *former == it),
                    "a death certificate is never changed"
                );
            }
            MasterChange::Deactivated(it) => {
                drop(self.deactivations.insert(it.agent.clone(), it));
            }
            MasterChange::Reactivated(agent) => drop(self.deactivations.remove(&agent)),
            MasterChange::Maintenance(schedule) => self.maintenance = schedule,
        }
    }

    fn put_agent(&mut self, agent: AgentRecord) {
        if let Some(old) = self.agents.get(&agent.id) {
            assert!(old.ledger_version <= agent.ledger_version, "an agent's ledger only grows");
            assert!(
                old.presence != Presence::Gone || agent.presence == Presence::Gone,
                "gone is for good"
            );
        }
        if let Some(old) = self.agents.get(&agent.id).filter(|it| it.node != agent.node) {
            let old = old.node; // Its ledger was lost, and has another name now.
            if self.agent_of_node(old) == Some(&agent.id) {
                self.nodes.remove(&old);
            }
        }
        // Of two agents with one machine, which only a damaged ledger has, the first by name is found.
        if self.agent_of_node(agent.node).is_none_or(|named| agent.id < *named) {
            self.nodes.insert(agent.node, agent.id.clone());
        }
        let host = host_key(&agent.hostname);
        let former = self.agents.get(&agent.id).map(|it| host_key(&it.hostname));
        if former.as_ref() != Some(&host) {
            former.iter().for_each(|it| self.by_host.remove(it, &agent.id));
            self.by_host.insert(&host, agent.id.clone());
        }
        self.agents.insert(agent.id.clone(), agent);
    }

    fn put_claim(&mut self, agent: AgentId, claim: Claim) {
        let key = (agent, claim.id);
        if let Some(old) = self.claims.get(&key) {
            let is_same = old.resource.identity == claim.resource.identity
                && old.framework.is_some() == claim.framework.is_some()
                && old.disk == claim.disk;
            if !is_same {
                self.unindex(&key.0, &old.clone());
                self.index(&key.0, &claim);
            }
        } else {
            self.index(&key.0, &claim);
        }
        self.claims.insert(key, claim);
    }

    fn remove_claim(&mut self, agent: AgentId, claim: ClaimId) {
        let key = (agent, claim);
        if let Some(gone) = self.claims.remove(&key) {
            self.unindex(&key.0, &gone);
        }
    }

    fn index(&mut self, agent: &AgentId, claim: &Claim) {
        self.claims_by_agent.insert(agent, claim.id);
        let identity = claim.resource.identity.clone();
        self.by_identity.insert(&(agent.clone(), identity), claim.id);
        if claim.framework.is_some() {
            self.held.insert(agent, claim.id);
        }
        if claim.is_volume() {
            self.volumes.insert(&claim.id, agent.clone());
        }
        if let Some(disk) = claim.disk {
            self.by_disk.insert(&disk, (agent.clone(), claim.id));
        }
    }

    fn unindex(&mut self, agent: &AgentId, claim: &Claim) {
        self.claims_by_agent.remove(agent, &claim.id);
        let identity = claim.resource.identity.clone();
        self.by_identity.remove(&(agent.clone(), identity), &claim.id);
        self.held.remove(agent, &claim.id);
        self.volumes.remove(&claim.id, agent);
        if let Some(disk) = claim.disk {
            self.by_disk.remove(&disk, &(agent.clone(), claim.id));
        }
    }

    /// The agents that have volumes on a disk, each as often as it has one.
    pub fn agents_of_disk(&self, disk: DiskId) -> impl Iterator<Item = &AgentId> {
        self.by_disk.of(&disk).map(|(agent, _)| agent)
    }

    /// The agents of a machine that an operator names, but those that are gone.
    pub fn agents_of_machine(&self, id: &MachineId) -> impl Iterator<Item = &AgentId> {
        let agents = self.by_host.of(&id.key());
        agents.filter(|it| self.agents.get(it).is_some_and(|it| it.presence != Presence::Gone))
    }

    /// The machine of the schedule that an agent is of, and when it will be down.
    pub fn planned_for(&self, agent: &AgentId) -> Option<(&Machine, Unavailability)> {
        if self.maintenance.is_empty() {
            return None;
        }
        self.maintenance.of_host(&self.agents.get(agent)?.hostname)
    }

    /// The agent of a machine.
    pub fn agent_of_node(&self, node: NodeId) -> Option<&AgentId> {
        self.nodes.get(&node)
    }

    /// The claims of an agent with this identity, which is given without allocation.
    pub fn claims_with<'a>(
        &'a self,
        agent: &AgentId,
        identity: &Identity,
    ) -> impl Iterator<Item = &'a Claim> {
        let key = (agent.clone(), identity.clone());
        self.by_identity.of(&key).map(move |id| &self.claims[&(key.0.clone(), *id)])
    }

    /// The claims of a volume, with the agents that have them.
    pub fn volume_claims(&self, volume: ClaimId) -> impl Iterator<Item = (&AgentId, &Claim)> {
        self.volumes.of(&volume).map(move |it| (it, &self.claims[&(it.clone(), volume)]))
    }

    /// The claims of one agent.
    pub fn claims_of<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a Claim> {
        self.claims_by_agent.of(agent).map(|id| &self.claims[&(agent.clone(), *id)])
    }

    /// Those of an agent's claims that one framework has made all of.
    pub fn held_claims_of<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a Claim> {
        self.held.of(agent).map(|id| &self.claims[&(agent.clone(), *id)])
    }
}
