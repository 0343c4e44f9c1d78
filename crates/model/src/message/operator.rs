//! What operators ask of a master that changes something.
//!
//! Relies on the law of operations. Never holds a read: that changes nothing, so no core hears of it.

use crate::added_disk::AddedDisk;
use crate::adopted_volume::VolumeAdoption;
use crate::id::{AgentId, ClaimId, DiskId, FrameworkId, NodeId, TaskId};
use crate::maintenance::{MachineId, Window};
use crate::moved_disk::DiskAdoption;
use crate::operation::{ClaimAction, Expected};
use crate::quota::Quota;
use crate::role::Role;
use crate::value::Scalar;

/// What an operator can have changed.
#[allow(clippy::large_enum_variant, reason = "calls of operators are few, and soon answered")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCall {
    /// RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME or SHRINK_VOLUME on one agent. Answered once it is durable there.
    Claim {
        /// The agent whose resources change.
        agent: AgentId,
        /// The change; its resources are not allocated.
        action: ClaimAction,
    },
    /// Several changes of the claims of one agent, all or none, if its claims are as expected. Answered once they are durable there.
    Apply {
        /// The agent whose resources change.
        agent: AgentId,
        /// The changes, in order; their resources are not allocated.
        steps: Vec<ClaimAction>,
        /// How the claims have to be.
        expected: Expected,
        /// Whether claims end though their frameworks were not removed, and may come back for them.
        force: bool,
        /// The one claim that is meant by the one step, whichever others look the same.
        claim: Option<ClaimId>,
    },
    /// End one claim, whichever others look the same: UNRESERVE of a reservation, DESTROY of a volume.
    EndClaim {
        /// The agent that has the claim.
        agent: AgentId,
        /// The claim.
        claim: ClaimId,
        /// Whether a volume ends though its framework was not removed, and may come back for it.
        force: bool,
        /// The generation that the claim must have; `None` when it does not matter.
        if_generation: Option<u64>,
    },
    /// End a claim whose disk is dead, without touching any bytes.
    GiveUp {
        /// The agent that has the claim.
        agent: AgentId,
        /// The claim.
        claim: ClaimId,
    },
    /// Bring a destroyed volume back. Answered once it is durable at its agent.
    Undelete {
        /// The agent in whose trash it lies.
        agent: AgentId,
        /// The claim that it had.
        claim: ClaimId,
    },
    /// Make an orphan a volume of a claim again, as it is. Answered once it is durable at its agent.
    AdoptVolume {
        /// The agent that has its disk.
        agent: AgentId,
        /// Which, and as what.
        adoption: VolumeAdoption,
    },
    /// Move an orphan to the trash of its disk. Answered once it is written down at its agent, which can bring it back from then on.
    RemoveOrphan {
        /// The agent that has its disk.
        agent: AgentId,
        /// The orphan.
        orphan: ClaimId,
    },
    /// Remove a destroyed volume from the trash now. Answered once nobody can bring it back any more.
    PurgeTrash {
        /// The agent in whose trash it lies.
        agent: AgentId,
        /// The claim that it had.
        claim: ClaimId,
    },
    /// Give a running agent one more disk. Answered once it is open there and written down.
    AddDisk {
        /// The agent on whose host the disk is.
        agent: AgentId,
        /// The disk.
        disk: AddedDisk,
    },
    /// Take a disk over at another path of its agent, with all that is claimed of it. Answered once that is written down at the agent.
    AdoptDisk {
        /// The agent that has it.
        agent: AgentId,
        /// The disk, and where it is.
        adoption: DiskAdoption,
    },
    /// Take a disk over from another agent, with all that is claimed of it. Answered once that is written down at the new agent.
    MoveDisk {
        /// The agent that has its claims.
        from: AgentId,
        /// The agent on whose host it is now.
        to: AgentId,
        /// The disk, and where it is.
        adoption: DiskAdoption,
        /// Why the agent that has its claims is not asked, when it is away; `None` when it must be.
        reason: Option<String>,
    },
    /// Cancel such a move, as long as the new agent has not taken the disk over. Answered once that is known, and written down.
    CancelMove {
        /// The disk.
        disk: DiskId,
        /// The agent that has its claims.
        from: AgentId,
        /// Why the new agent is not asked first, when it is away; `None` when it must be.
        reason: Option<String>,
    },
    /// Give an agent, whose ledger was lost or rolled back, its claims back. Answered once they are written down there.
    RecoverAgent {
        /// The agent.
        agent: AgentId,
        /// The ledger that is to have them, where several call themselves that agent.
        node: Option<NodeId>,
        /// The name of the plan that was looked at.
        plan: String,
    },
    /// Take a disk away that was added; nothing on it is touched. Answered once it is written down at the agent.
    RemoveDisk {
        /// The agent that has it.
        agent: AgentId,
        /// Its path there.
        root: String,
    },
    /// Call an agent gone for ever, with all that runs and is claimed there; nothing on its disks is touched.
    MarkAgentGone {
        /// The agent.
        agent: AgentId,
        /// Why, for the death certificate.
        reason: Option<String>,
    },
    /// Offer nothing of an agent; its tasks go on.
    DeactivateAgent(AgentId),
    /// Offer it again. A drain that is under way is only ended if that is meant.
    ReactivateAgent {
        /// The agent.
        agent: AgentId,
        /// Whether a drain that is under way ends, too; what was killed stays killed.
        cancel_drain: bool,
    },
    /// Offer nothing of an agent, and end what runs there; its claims stay.
    DrainAgent {
        /// The agent.
        agent: AgentId,
        /// No task gets more time to end than this, in milliseconds.
        max_grace_ms: Option<u64>,
        /// Whether the agent is marked gone once nothing runs there any more.
        mark_gone: bool,
    },
    /// Plan this downtime, and no other; what is down stays so, and no machine of these windows is called down here.
    Schedule(Vec<Window>),
    /// Take machines of the schedule down: what runs there ends, its agents are not taken in, and their claims stay.
    MachinesDown(Vec<MachineId>),
    /// Machines that are down are up again, and have no downtime planned any more.
    MachinesUp(Vec<MachineId>),
    /// Remove a framework; its claims stay.
    Teardown(FrameworkId),
    /// End a task of a framework.
    Kill(FrameworkId, TaskId),
    /// Set the weight of a role.
    Weight(Role, Scalar),
    /// Set the quota of several roles, all or none; a default one takes a role's away.
    Quota {
        /// The roles with what each is to have from now on.
        quotas: Vec<(Role, Quota)>,
        /// Also if the cluster has less than is guaranteed, or a role has more than its limit.
        force: bool,
    },
}
