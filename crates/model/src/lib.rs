//! The law: ids, resources, reservations, volumes, operations, claims, typed changes, messages; and
//! their conversion from and to `proto`.
//!
//! Plain data and pure functions. This crate never touches a file, a clock, a thread or the network.
//! What comes from outside is parsed here once ([`convert`]); behind it, everything is typed.

pub mod added_disk;
pub mod adopted_volume;
pub mod agent_ledger;
pub mod caller;
pub mod check;
pub mod claim;
pub mod convert;
pub mod deactivation;
pub mod ended;
pub mod fetch;
pub mod framework;
pub mod id;
pub mod labelled_volume;
pub mod labels;
pub mod launch;
pub mod limit;
pub mod maintenance;
pub mod master_ledger;
pub mod message;
pub mod moved_disk;
pub mod offer_constraints;
pub mod operation;
pub mod quota;
pub mod recovery;
pub mod resource;
pub mod resources;
pub mod role;
pub mod shared_index;
pub mod shared_map;
pub mod suspect;
pub mod task;
pub mod totals;
pub mod trash;
pub mod used;
pub mod validate;
pub mod value;

pub use added_disk::{plain_root, AddedDisk};
pub use adopted_volume::{AdoptedFrom, Filling, VolumeAdoption};
pub use agent_ledger::{
    AgentChange, AgentIdentity, AgentLedger, ClaimedSpace, DiskKind, DiskRecord, ExecutorKey,
    ExecutorRecord, LedgerPoint, OperationRecord, TaskKey, TaskRecord,
};
pub use caller::CallerIdentity;
pub use check::{Check, HealthCheck, HttpProbe, Probe, Seen, TaskChecks, Timing};
pub use claim::{Claim, ClaimEvent, ClaimState, NotTaken, Ownership, Share, Taken};
pub use deactivation::{Deactivation, Drain};
pub use ended::{EndedClaim, EndedClaims};
pub use fetch::{FetchUri, Scheme};
pub use framework::{Capability, FrameworkInfo};
pub use id::{
    AgentId, ClaimId, ClusterId, ContainerId, DiskId, ExecutorId, FrameworkId, IdSource, Instant,
    LinkId, NodeId, OfferId, OperationUuid, PersistenceId, StatusUuid, StepContext, TaskId, Term,
};
pub use labelled_volume::{LabelledVolume, ORPHANS_NAMED_MAX};
pub use labels::Labels;
pub use limit::{OverSize, VolumeLimit};
pub use maintenance::{Machine, MachineId, Schedule, Unavailability, Window};
pub use master_ledger::{
    AgentRecord, Cluster, DeathCertificate, FrameworkRecord, MasterChange, MasterLedger,
    PendingOperation, Presence,
};
pub use message::{
    Call, DiskReport, DiskSpace, Event, ExecutorCall, ExecutorEvent, Filters, FrameworkCall,
    InverseOffer, MachineInfo, NamedOperation, Offer, OperationState, OperationStatus,
    OperationUpdate, OperatorCall, Order, Report, SpaceNews, ToAgent, ToMaster,
};
pub use moved_disk::{DiskAdoption, DiskMove, DiskTaking, LeaveStage, LeftPlace, MoveState};
pub use offer_constraints::{OfferConstraints, RoleConstraints, Traits};
pub use operation::{
    Action, Asker, ClaimAction, Conversion, Expected, ExpectedClaim, Operation, Together,
    Unreadable, STEPS_MAX,
};
pub use quota::Quota;
pub use recovery::{recovered_claims, AgentRecovery, Recovery};
pub use resource::{
    Identity, Mode, Reservation, ReservationKind, Resource, Source, SourceKind,
    UnallocatedIdentity, VolumeMount,
};
pub use resources::{Quantities, Resources};
pub use role::Role;
pub use shared_index::SharedIndex;
pub use shared_map::SharedMap;
pub use suspect::{Peer, Suspect};
pub use task::{
    CommandInfo, ExecutorInfo, ExecutorKind, OpaquePayload, Reason, StatusSource, TaskInfo,
    TaskState, TaskStatus,
};
pub use totals::{RoleTotals, Totals};
pub use trash::{TrashNews, TrashedVolume};
pub use used::{is_used_news, size_bytes, UsedNews, VolumeUsed};
pub use validate::Invalid;
pub use value::{Ranges, Scalar, Value, ValueKind};
