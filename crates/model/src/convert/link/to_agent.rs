//! What masters order agents to do.
//!
//! Relies on the conversions of operations and framework descriptions. Never yields an order without its term.

use holdfast_proto::holdfast::v1 as link;

use super::{own_oneof, Received};
use crate::convert::codec::{
    AFramework, AResource, AnOperation, Boxed, Each, LeaveStageWord, Maybe, Name, Needed, Own,
    Same, SomeName, Text,
};
use crate::convert::field::Place;
use crate::convert::own_message::own_message;
use crate::id::Term;
use crate::message::{NamedOperation, Order, ToAgent};
use crate::validate::Invalid;

/// Writes an order.
pub fn to_agent_to_proto(it: &ToAgent) -> link::ToAgent {
    link::ToAgent { term: it.term.0, message: write(&it.order) }
}

/// Reads an order.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn to_agent_from_proto(message: link::ToAgent) -> Result<Received<ToAgent>, Invalid> {
    let term = Term(message.term);
    Ok(match read(message.message)? {
        Received::Message(order) => Received::Message(ToAgent { term, order }),
        Received::Unknown => Received::Unknown,
        Received::NotUnderstood { newest_known } => Received::NotUnderstood { newest_known },
    })
}

own_oneof! {
    write, read: Order = link::to_agent::Message {
        registered: Registered(agent, cluster) = Registered {
            agent = agent_id: Name,
            cluster = cluster_uuid: Name,
        },
        refused: Refused(reason) = Refused { reason = reason: Same },
        shut_down: ShutDown { agent, cluster, reason } = ShutDown {
            agent = agent_id: Name,
            cluster = cluster_uuid: Name,
            reason = reason: Same,
        },
        apply: Apply { framework, role, by, operations, ownership } = Apply {
            framework = framework: Maybe<Boxed<AFramework>>,
            operations = operations: Each<Own>,
            role = role: SomeName,
            by = by: Same,
            ownership = ownership: Maybe<Own>,
        },
        apply_together: ApplyTogether { uuid, together, ownership } = ApplyTogether {
            uuid = uuid: Name,
            together = together: Needed<Own>,
            ownership = ownership: Maybe<Own>,
        },
        adopt_volume: AdoptVolume { uuid, together, ownership } = AdoptVolume {
            uuid = uuid: Name,
            together = together: Needed<Own>,
            ownership = ownership: Maybe<Own>,
        },
        adopt_directory: AdoptDirectory { uuid, together, ownership } = AdoptDirectory {
            uuid = uuid: Name,
            together = together: Needed<Own>,
            ownership = ownership: Maybe<Own>,
        },
        remove_orphan: RemoveOrphan { uuid, volume, disk, resource, by } = RemoveOrphan {
            uuid = uuid: Name,
            volume = volume_uuid: Name,
            disk = disk_uuid: Name,
            resource = resource: Needed<Boxed<AResource>>,
            by = by: Same,
        },
        give_up: GiveUp { uuid, claim, by } = GiveUp {
            uuid = uuid: Name,
            claim = claim_uuid: Name,
            by = by: Same,
        },
        kill: Kill { framework, task, grace_ms } = Kill {
            framework = framework_id: Name,
            task = task_id: Name,
            grace_ms = grace_ms: Same,
        },
        shutdown_executor: ShutdownExecutor(framework, executor) = ShutdownExecutor {
            framework = framework_id: Name,
            executor = executor_id: Name,
        },
        shutdown_framework: ShutdownFramework(framework) = ShutdownFramework {
            framework = framework_id: Name,
        },
        acknowledge_task: AcknowledgeTask(framework, task, status) = AcknowledgeTask {
            framework = framework_id: Name,
            task = task_id: Name,
            status = status_uuid: Name,
        },
        acknowledge_operation: AcknowledgeOperation(uuid, status) = AcknowledgeOperation {
            uuid = uuid: Name,
            status = status_uuid: Name,
        },
        executor_message: ExecutorMessage(framework, executor, data) = ExecutorMessage {
            framework = framework_id: Name,
            executor = executor_id: Name,
            data = data: Same,
        },
        ping: Ping { number, acknowledged } = Ping {
            number = number: Same,
            acknowledged = acknowledged_version: Same,
        },
        resync: Resync {} = Resync {},
        undelete: Undelete { uuid, claim, by } = Undelete {
            uuid = uuid: Name,
            claim = claim_uuid: Name,
            by = by: Same,
        },
        purge_trash: PurgeTrash { claim, by } = PurgeTrash {
            claim = claim_uuid: Name,
            by = by: Same,
        },
        add_disk: AddDisk { uuid, disk, by } = AddDisk {
            uuid = uuid: Name,
            disk = disk: Needed<Own>,
            by = by: Same,
        },
        adopt_disk: AdoptDisk { uuid, adoption, by } = AdoptDisk {
            uuid = uuid: Name,
            adoption = adoption: Needed<Own>,
            by = by: Same,
        },
        cancel_take: CancelTake { uuid, disk, claims, by } = CancelTake {
            uuid = uuid: Name,
            disk = disk_uuid: Name,
            claims = claim_uuids: Each<Name>,
            by = by: Same,
        },
        leave_disk: LeaveDisk { uuid, disk, to, stage, by, reason } = LeaveDisk {
            uuid = uuid: Name,
            disk = disk_uuid: Name,
            to = to_agent_id: Name,
            stage = stage: LeaveStageWord,
            by = by: Same,
            reason = reason: Text,
        },
        take_disk: TakeDisk { uuid, taking, by } = TakeDisk {
            uuid = uuid: Name,
            taking = taking: Needed<Boxed<Own>>,
            by = by: Same,
        },
        remove_disk: RemoveDisk { uuid, root, by } = RemoveDisk {
            uuid = uuid: Name,
            root = root: Same,
            by = by: Same,
        },
        recover: Recover { uuid, recovery, by } = Recover {
            uuid = uuid: Name,
            recovery = recovery: Needed<Boxed<Own>>,
            by = by: Same,
        },
    } else Unknown
}

own_message! {
    NamedOperation = link::NamedOperation {
        uuid = uuid: Name,
        operation = operation: Needed<AnOperation>,
    }
}
