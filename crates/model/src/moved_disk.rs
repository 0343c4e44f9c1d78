//! A disk that its claims follow to another place.
//!
//! A claim's resources name the path of its disk, as Mesos has it; what the disk is, its label says. So a disk that is found at another path
//! is taken over there by an explicit act, with all that is claimed of it: the same claims, under the new path. The place that it has left
//! is noted, so that nobody takes the empty directory there for a disk. Never changes what is held, or who holds it.

use crate::added_disk::AddedDisk;
use crate::agent_ledger::{DiskKind, DiskRecord};
use crate::claim::Claim;
use crate::id::{AgentId, DiskId, Instant, OperationUuid};
use crate::resource::{Resource, Source};
use crate::validate::Invalid;

/// A disk that shall be taken over at another path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskAdoption {
    /// The disk, by the label that is written on it.
    pub disk: DiskId,
    /// The absolute path where it is now.
    pub root: String,
    /// Its size in megabytes (2^20 bytes) from now on; `None` leaves it as it was.
    pub size_mb: Option<u64>,
}

impl DiskAdoption {
    /// A disk and where it is, as an operator names them.
    ///
    /// # Errors
    /// [`Invalid`] naming `path` or `size_mb`.
    pub fn parse(disk: DiskId, root: &str, size_mb: Option<&str>) -> Result<Self, Invalid> {
        let AddedDisk { root, size_mb, .. } = AddedDisk::parse("path", root, size_mb)?;
        Ok(DiskAdoption { disk, root, size_mb })
    }
}

/// A path at which a disk of this agent was until its claims followed it elsewhere. What lies there is no disk as long as this stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftPlace {
    /// The absolute path.
    pub root: String,
    /// What kind of place it is.
    pub kind: DiskKind,
    /// The disk that was there.
    pub disk: DiskId,
    /// The agent that has the disk now; `None` when it is at another path of this one.
    pub to: Option<AgentId>,
}

/// How far a disk has come that is moved to another agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveState {
    /// The former agent is to write down that it does not use it any more.
    Fencing,
    /// The new agent is to take it over.
    Taking,
    /// The new agent did not take it over, and the former one is to use it again.
    Lifting,
    /// The claims are the new agent's, and end at the former one.
    Moved,
    /// An operator wants it no more: the new agent is to say whether it took the disk over.
    Cancelling,
    /// The former agent of this record was itself to take the disk over, and that was cancelled by force while it was away: it is to say
    /// whether it did, and what it took ends there.
    Recalling,
}

/// A disk that is moved from one agent to another with all that is claimed of it, as the masters remember it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskMove {
    /// The disk, by the label that is written on it.
    pub disk: DiskId,
    /// The agent that had it.
    pub from: AgentId,
    /// The agent that takes it over.
    pub to: AgentId,
    /// What kind of place it is, at both agents.
    pub kind: DiskKind,
    /// The absolute path at the former agent.
    pub from_root: String,
    /// The absolute path at the new agent.
    pub root: String,
    /// Its size in megabytes (2^20 bytes) at the new agent; `None` when it is measured.
    pub size_mb: Option<u64>,
    /// What is claimed of it, as the former agent told it last.
    pub claims: Vec<Claim>,
    /// The order whose answer is awaited.
    pub order: OperationUuid,
    /// Who asked, for the history of claims.
    pub by: String,
    /// Why the former agent, which was away, was not asked; `None` when it was.
    pub reason: Option<String>,
    /// How far it has come.
    pub state: MoveState,
    /// When it began; 0 when an older program wrote it down.
    pub since: Instant,
    /// Who cancelled it, if somebody did.
    pub cancelled_by: Option<String>,
    /// Why it was cancelled by force, if it was.
    pub cancel_reason: Option<String>,
}

impl DiskMove {
    /// What names the record: one disk may have left several agents that do not know it yet.
    pub fn key(&self) -> (DiskId, AgentId) {
        (self.disk, self.from.clone())
    }

    /// The agent that has to do the next thing.
    pub fn asked(&self) -> &AgentId {
        match self.state {
            MoveState::Taking | MoveState::Cancelling => &self.to,
            MoveState::Fencing | MoveState::Lifting | MoveState::Moved | MoveState::Recalling => {
                &self.from
            }
        }
    }

    /// The disk as the former agent has it; its size is not known.
    pub fn former(&self) -> DiskRecord {
        DiskRecord { id: self.disk, kind: self.kind, root: self.from_root.clone(), size_mb: 0 }
    }

    /// Whether a claim of the former agent lies on the disk.
    pub fn concerns(&self, claim: &Claim) -> bool {
        claim
            .disk
            .map_or_else(|| self.former().carries(&claim.resource.identity), |it| it == self.disk)
    }

    /// What the new agent is told.
    pub fn taking(&self) -> DiskTaking {
        DiskTaking {
            disk: self.disk,
            kind: self.kind,
            root: self.root.clone(),
            size_mb: self.size_mb,
            from: self.from.clone(),
            from_root: self.from_root.clone(),
            claims: self.claims.clone(),
            reason: self.reason.clone(),
        }
    }

    /// What is remembered when a move is cancelled while the agent that was to take the disk over is away: should it have taken it, that ends
    /// there, as the claims are the other agent's.
    pub fn recalled(&self, order: OperationUuid, since: Instant) -> DiskMove {
        DiskMove {
            from: self.to.clone(),
            to: self.from.clone(),
            from_root: self.root.clone(),
            root: self.from_root.clone(),
            size_mb: None,
            order,
            state: MoveState::Recalling,
            since,
            ..self.clone()
        }
    }
}

/// What a former agent is to do about a disk that is moved to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveStage {
    /// Not to use it any more, and to keep its claims.
    Fence,
    /// To use it again: it is not moved after all.
    Lift,
    /// To end its claims, which the other agent has now.
    End,
}

/// A disk of another agent that shall be taken over, with all that is claimed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskTaking {
    /// The disk, by the label that is written on it.
    pub disk: DiskId,
    /// What kind of place it is.
    pub kind: DiskKind,
    /// The absolute path where it is now.
    pub root: String,
    /// Its size in megabytes (2^20 bytes) from now on; `None` when it is measured.
    pub size_mb: Option<u64>,
    /// The agent that had it.
    pub from: AgentId,
    /// The absolute path where it had it.
    pub from_root: String,
    /// What is claimed of it, as that agent has it.
    pub claims: Vec<Claim>,
    /// Why that agent, which was away, was passed over; `None` when it was asked.
    pub reason: Option<String>,
}

impl DiskTaking {
    /// A claim of the disk once the disk is at this agent: the same claim, with one event more.
    pub fn taken(&self, claim: &Claim, to: &AgentId, at: Instant, by: &str) -> Claim {
        let (root, from, from_root) = (&self.root, &self.from, &self.from_root);
        let former =
            DiskRecord { id: self.disk, kind: self.kind, root: from_root.clone(), size_mb: 0 };
        let resource = former.moved(&claim.resource, root);
        let passed_over = self.reason.as_deref();
        let passed_over = passed_over.map(|it| format!("; agent {from} was passed over: {it}"));
        let what = format!(
            "moved with its disk from {from_root} on agent {from} to {root} on agent {to}{}",
            passed_over.unwrap_or_default()
        );
        Claim { resource, ..claim.ended(at, &what, by) }
    }
}

impl DiskRecord {
    /// A part of this disk as it is called once the disk is at another path. A part of ROOT names no path.
    pub fn moved(&self, part: &Resource, root: &str) -> Resource {
        if !self.carries(&part.identity) {
            return part.clone();
        }
        match &part.identity.source {
            Some(source) => {
                part.clone().on(Source { root: Some(root.to_owned()), ..source.clone() })
            }
            None => part.clone(),
        }
    }
}

impl Claim {
    /// The claim once its disk is at another path: the same claim, with one event more.
    pub fn moved(&self, disk: &DiskRecord, root: &str, at: Instant, by: &str) -> Claim {
        let resource = disk.moved(&self.resource, root);
        let what = format!("moved with its disk from {} to {root}", disk.root);
        Claim { resource, ..self.ended(at, &what, by) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::{ClaimState, HISTORY_MAX};
    use crate::id::{ClaimId, PersistenceId};
    use crate::value::Scalar;
    use uuid::Uuid;

    fn disk(kind: DiskKind) -> DiskRecord {
        DiskRecord { id: DiskId(Uuid::from_u128(1)), kind, root: "/old".to_owned(), size_mb: 100 }
    }

    fn part(source: Option<Source>) -> Resource {
        let part = Resource::scalar("disk", Scalar::whole(10));
        let part = match source {
            Some(source) => part.on(source),
            None => part,
        };
        part.volume(PersistenceId::made("v".to_owned()), "data", None)
    }

    #[test]
    fn only_what_lies_on_the_disk_moves_and_only_its_path_changes() {
        let [path, mount] = [disk(DiskKind::Path), disk(DiskKind::Mount)];
        assert_eq!(
            path.moved(&part(Some(Source::path("/old"))), "/new"),
            part(Some(Source::path("/new")))
        );
        assert_eq!(
            mount.moved(&part(Some(Source::mount("/old"))), "/new"),
            part(Some(Source::mount("/new")))
        );
        for other in [None, Some(Source::path("/other")), Some(Source::mount("/old"))] {
            assert_eq!(path.moved(&part(other.clone()), "/new"), part(other));
        }
        assert_eq!(disk(DiskKind::Root).moved(&part(None), "/new"), part(None));
    }

    #[test]
    fn a_claim_that_moves_is_the_same_claim_with_one_event_more() {
        let claim = Claim {
            id: ClaimId(Uuid::from_u128(5)),
            state: ClaimState::Ready,
            resource: part(Some(Source::path("/old"))),
            framework: None,
            generation: 3,
            created: Instant(1),
            disk: Some(disk(DiskKind::Path).id),
            history: Vec::new(),
            shares: Vec::new(),
            operation: None,
        };
        let moved = claim.moved(&disk(DiskKind::Path), "/new", Instant(9), "ops");
        let event = moved.history.last().unwrap();
        assert_eq!((event.at, event.generation, event.by.as_str()), (Instant(9), 4, "ops"));
        assert_eq!(event.what, "moved with its disk from /old to /new");
        let before = Claim {
            resource: claim.resource.clone(),
            generation: 3,
            history: Vec::new(),
            ..moved.clone()
        };
        assert_eq!(before, claim, "nothing else has changed");
        let mut often = moved;
        (0..40).for_each(|_| often = often.moved(&disk(DiskKind::Path), "/old", Instant(9), "ops"));
        assert_eq!(often.history.len(), HISTORY_MAX);
    }
}
