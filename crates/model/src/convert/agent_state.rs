//! What an agent owns: one table for the messages of the link and for those of its ledger, as long as both have the same fields.
//!
//! Where they part ways, each gets a table of its own here. Relies on nothing but the message's own fields: a claim is read back even
//! if a rule of today would refuse to make it. Never guesses a state, and never forgets an update that was not acknowledged.

use holdfast_proto::holdfast::ledger::v1 as ledger;
use holdfast_proto::holdfast::v1 as link;

use super::codec::{
    AFilling, ANamedFramework, AResource, AStatus, AStep, ClaimStateNumber, DiskKindWord, Each,
    ExecutorOrBare, Expectation, Maybe, Millis, Name, Needed, OperationAndId, OperationStateNumber,
    Own, Same, SomeName, TaskOrBare, TaskStateNumber, Text,
};
use super::own_message::own_message;
use crate::added_disk::AddedDisk;
use crate::agent_ledger::{DiskRecord, ExecutorRecord, OperationRecord, TaskRecord};
use crate::claim::{Claim, ClaimEvent, Ownership, Share};
use crate::framework::FrameworkInfo;
use crate::moved_disk::{DiskAdoption, DiskTaking, LeftPlace};
use crate::operation::{ExpectedClaim, Together};
use crate::recovery::AgentRecovery;
use crate::trash::TrashedVolume;

own_message! {
    ClaimEvent = ledger::ClaimEvent, link::ClaimEvent {
        at = at_ms: Millis,
        generation = generation: Same,
        what = what: Same,
        by = by: Same,
    }
}

own_message! {
    Claim = ledger::Claim, link::Claim {
        id = uuid: Name,
        state = state: ClaimStateNumber,
        resource = resource: Needed<AResource>,
        framework = framework_id: SomeName,
        generation = generation: Same,
        created = created_ms: Millis,
        disk = disk_uuid: SomeName,
        history = history: Each<Own>,
        shares = shares: Each<Own>,
        operation = operation_uuid: SomeName,
    }
}

own_message! {
    Share = ledger::ClaimShare, link::ClaimShare {
        framework = framework_id: SomeName,
        amount = amount: Needed<AResource>,
    }
}

own_message! {
    Ownership = ledger::Ownership, link::Ownership {
        anybody = anybody: Same,
        removed = removed_framework_ids: Each<Name>,
        claim = claim_uuid: SomeName,
    }
}

own_message! {
    TrashedVolume = ledger::TrashedVolume, link::TrashedVolume {
        claim = claim: Needed<Own>,
        since = since_ms: Millis,
        purging = purging: Same,
    }
}

own_message! {
    DiskRecord = ledger::Disk, link::Disk {
        id = uuid: Name,
        kind = kind: DiskKindWord,
        root = root: Same,
        size_mb = size_mb: Same,
    }
}

own_message! {
    AddedDisk = ledger::AddedDisk, link::AddedDisk {
        root = root: Same,
        kind = kind: DiskKindWord,
        size_mb = size_mb: Same,
    }
}

own_message! {
    LeftPlace = ledger::LeftPlace {
        root = root: Same,
        kind = kind: DiskKindWord,
        disk = disk_uuid: Name,
        to = to_agent_id: SomeName,
    }
}

own_message! {
    DiskAdoption = link::DiskAdoption {
        disk = disk_uuid: Name,
        root = root: Same,
        size_mb = size_mb: Same,
    }
}

own_message! {
    DiskTaking = link::DiskTaking {
        disk = disk_uuid: Name,
        kind = kind: DiskKindWord,
        root = root: Same,
        size_mb = size_mb: Same,
        from = from_agent_id: Name,
        from_root = from_root: Same,
        claims = claims: Each<Own>,
        reason = reason: Text,
    }
}

own_message! {
    AgentRecovery = link::AgentRecovery {
        agent = agent_id: Name,
        cluster = cluster_uuid: Name,
        node = node_uuid: Name,
        lineage = lineage_uuid: Name,
        ledger_version = ledger_version: Same,
        claims = claims: Each<Own>,
    }
}

own_message! {
    FrameworkInfo as { info } = ledger::AgentFramework, link::AgentFramework {
        info = info: Needed<ANamedFramework>,
    }
}

own_message! {
    ExecutorRecord = ledger::Executor, link::Executor {
        framework = framework_id: Name,
        info = info + bare: ExecutorOrBare,
        container = container_id: Name,
        command = command: Same,
        registered = registered: Same,
        launched = launched_ms: Millis,
        role = role: Name,
    }
}

own_message! {
    TaskRecord = ledger::Task, link::Task {
        framework = framework_id: Name,
        info = info + bare: TaskOrBare,
        executor = executor_id: Name,
        state = state: TaskStateNumber,
        updates = updates: Each<AStatus>,
        delivered = delivered: Same,
        latest = latest: Maybe<AStatus>,
        role = role: Name,
        group = group: Text,
        killed = killed: Same,
    }
}

own_message! {
    OperationRecord = ledger::Operation, link::Operation {
        uuid = uuid: Name,
        operation = info + operation_id + together: OperationAndId,
        framework = framework_id: SomeName,
        state = state: OperationStateNumber,
        message = message: Text,
        status = status_uuid: SomeName,
        claims = claims: Each<Name>,
        endings = endings: Each<Own>,
        making = making: Each<Name>,
        ownership = ownership: Maybe<Own>,
    }
}

own_message! {
    Together = ledger::Together, link::Together {
        by = by: Same,
        steps = steps: Each<AStep>,
        expected = agent_generation + claims: Expectation,
        filling = orphan_uuid + orphan_generation + directory: AFilling,
    }
}

own_message! {
    ExpectedClaim = ledger::ExpectedClaim, link::ExpectedClaim {
        claim = uuid: Name,
        generation = generation: Same,
    }
}
