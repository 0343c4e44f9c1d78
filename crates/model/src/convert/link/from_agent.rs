//! What agents say to masters.
//!
//! Relies on [`crate::convert::agent_state`] for what an agent owns. Never fails to write; reading names the field.

use holdfast_proto::holdfast::v1 as link;

use super::{own_oneof, Received};
use crate::agent_ledger::LedgerPoint;
use crate::convert::codec::{
    AMachine, AResource, AStatus, Boxed, Codec, Each, Maybe, Millis, Name, Needed,
    OperationStateNumber, Own, Same, SomeName, TaskStateNumber, TermNumber, Text,
};
use crate::convert::field::Place;
use crate::convert::own_message::own_message;
use crate::id::ClaimId;
use crate::labelled_volume::LabelledVolume;
use crate::message::{DiskReport, DiskSpace, OperationUpdate, Report, SpaceNews, ToMaster};
use crate::trash::TrashNews;
use crate::used::{UsedNews, VolumeUsed};
use crate::validate::Invalid;

/// Writes a message.
pub fn to_master_to_proto(message: &ToMaster) -> link::FromAgent {
    link::FromAgent { message: write(message) }
}

/// Reads a message.
///
/// # Errors
/// [`Invalid`] naming the field, such as `report.claims[3].resource.scalar.value`.
pub fn to_master_from_proto(message: link::FromAgent) -> Result<Received<ToMaster>, Invalid> {
    read(message.message)
}

own_oneof! {
    write, read: ToMaster = link::from_agent::Message {
        report: Report(it) = Report [it: Boxed<Own>],
        task_update: TaskUpdate { framework, status, latest } = TaskUpdate {
            framework = framework_id: Name,
            status = status: Needed<AStatus>,
            latest = latest_state: TaskStateNumber,
        },
        operation_update: OperationUpdate(it) = OperationUpdate [it: Own],
        executor_message: ExecutorMessage(framework, executor, data) = ExecutorMessage {
            framework = framework_id: Name,
            executor = executor_id: Name,
            data = data: Same,
        },
        executor_exited: ExecutorExited { framework, executor, status } = ExecutorExited {
            framework = framework_id: Name,
            executor = executor_id: Name,
            status = status: Same,
        },
        pong: Pong(number) = Pong { number = number: Same },
        trash_news: TrashNews(it) = TrashNews [it: Own],
        space_news: SpaceNews(it) = SpaceNews [it: Own],
        used_news: UsedNews(it) = UsedNews [it: Own],
        disk_answer: DiskAnswer { uuid, refusal } = DiskAnswer {
            uuid = uuid: Name,
            refusal = refusal: Text,
        },
    }
}

own_message! {
    DiskReport = link::DiskReport {
        disk = disk: Needed<Own>,
        fault = fault: Text,
        space = space: Maybe<Own>,
        added = added: Same,
        orphans = orphans: Each<Own>,
        more_orphans = more_orphans: Same,
    }
}

own_message! {
    LabelledVolume = link::LabelledVolume {
        principal = principal: Text,
        generation = label_generation: Same,
        shared = shared: Same,
        id = uuid: Name,
        persistence = persistence_id: Same,
        role = role: Same,
        size_mb = size_mb: Same,
    }
}

own_message! {
    SpaceNews = link::SpaceNews {
        resources = resources: Each<AResource>,
        disks = disks: Each<Own>,
        full = full: Text,
    }
}

own_message! {
    DiskSpace = link::DiskSpace {
        file_system = file_system: Same,
        total_mb = total_mb: Same,
        free_mb = free_mb: Same,
        trash_mb = trash_mb: Same,
        used_mb = used_mb: Same,
        overcommitted_mb = overcommitted_mb: Same,
        limit = limit: Same,
    }
}

own_message! {
    (ClaimId, String) as { (id, fault) } = link::ClaimFault {
        id = uuid: Name,
        fault = fault: Same,
    }
}

own_message! {
    Report = link::Report {
        node = node_uuid: Name,
        agent = agent_id: SomeName,
        cluster = cluster_uuid: SomeName,
        ledger_version = ledger_version: Same,
        orders_seen = orders_seen: Same,
        machine = info: Needed<AMachine>,
        disks = disks: Each<Own>,
        full = full: Text,
        claims = claims: Each<Own>,
        faults = faults: Each<Own>,
        frameworks = frameworks: Each<Own>,
        executors = executors: Each<Own>,
        tasks = tasks: Each<Own>,
        operations = operations: Each<Own>,
        version = version: Same,
        claims_generation = claims_generation: Same,
        history = history: Each<Own>,
        term = term: TermNumber,
    }
}

own_message! {
    LedgerPoint = link::LedgerPoint {
        version = version: Same,
        checksum = checksum: Same,
    }
}

own_message! {
    TrashNews = link::TrashNews {
        whole = whole: Same,
        retention_ms = retention_ms: Same,
        volumes = volumes: Each<Own>,
        gone = gone: Each<Name>,
    }
}

own_message! {
    UsedNews = link::UsedNews {
        whole = whole: Same,
        volumes = volumes: Each<Own>,
        gone = gone: Each<Name>,
    }
}

own_message! {
    (ClaimId, VolumeUsed) as { (id, VolumeUsed { bytes, measured }) } = link::VolumeUsed {
        id = uuid: Name,
        bytes = bytes: Same,
        measured = measured_ms: Millis,
    }
}

own_message! {
    OperationUpdate = link::OperationUpdate {
        uuid = uuid: Name,
        id = operation_id: Text,
        framework = framework_id: SomeName,
        state = state: OperationStateNumber,
        message = message: Text,
        status = status_uuid: Name,
        ledger_version = ledger_version: Same,
        ledger_checksum = ledger_checksum: Same,
        claims = claims: Each<Own>,
        ended = ended_claims: Each<Name>,
        endings = endings: Each<Own>,
        claims_generation = claims_generation: Same,
    }
}
