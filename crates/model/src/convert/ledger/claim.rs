//! Claims and disks, as they lie on disk and travel on the link between agent and master.
//!
//! Relies on nothing but the message's own fields: a claim is read back even if a rule of today would refuse to make it. Never
//! guesses a state.

use holdfast_proto::holdfast::ledger::v1 as ledger;

use crate::agent_ledger::{DiskKind, DiskRecord};
use crate::claim::{Claim, ClaimEvent, ClaimState};
use crate::convert::field::{some, Place};
use crate::convert::resource::{field_from_proto, to_proto, Format};
use crate::id::{ClaimId, DiskId, FrameworkId, Instant};
use crate::validate::Invalid;

/// Writes a claim.
pub(crate) fn claim_out(claim: &Claim) -> ledger::Claim {
    let state = match claim.state {
        ClaimState::Making => ledger::ClaimState::Making,
        ClaimState::Ready => ledger::ClaimState::Ready,
        ClaimState::Destroying => ledger::ClaimState::Destroying,
    };
    let event = |it: &ClaimEvent| ledger::ClaimEvent {
        at_ms: it.at.0,
        generation: it.generation,
        what: it.what.clone(),
        by: it.by.clone(),
    };
    ledger::Claim {
        uuid: claim.id.to_string(),
        state: state.into(),
        resource: Some(to_proto(&claim.resource, Format::WHOLE)),
        framework_id: claim.framework.as_ref().map(ToString::to_string).unwrap_or_default(),
        generation: claim.generation,
        created_ms: claim.created.0,
        disk_uuid: claim.disk.map(|it| it.to_string()).unwrap_or_default(),
        history: claim.history.iter().map(event).collect(),
    }
}

/// Reads a claim.
pub(crate) fn claim_in(wire: ledger::Claim) -> Result<Claim, Invalid> {
    let state = match ledger::ClaimState::try_from(wire.state) {
        Ok(ledger::ClaimState::Making) => ClaimState::Making,
        Ok(ledger::ClaimState::Ready) => ClaimState::Ready,
        Ok(ledger::ClaimState::Destroying) => ClaimState::Destroying,
        _ => {
            return Err(Invalid::new(
                "state",
                format!("there is no claim state {} here; use the newer program", wire.state),
            ))
        }
    };
    let event = |it: ledger::ClaimEvent| ClaimEvent {
        at: Instant(it.at_ms),
        generation: it.generation,
        what: it.what,
        by: it.by,
    };
    Ok(Claim {
        id: ClaimId::parse(&wire.uuid).at("uuid")?,
        state,
        resource: field_from_proto("resource", wire.resource)?,
        framework: some("framework_id", &wire.framework_id, FrameworkId::parse)?,
        generation: wire.generation,
        created: Instant(wire.created_ms),
        disk: some("disk_uuid", &wire.disk_uuid, DiskId::parse)?,
        history: wire.history.into_iter().map(event).collect(),
    })
}

/// Writes a disk.
pub(crate) fn disk_out(disk: &DiskRecord) -> ledger::Disk {
    let kind = match disk.kind {
        DiskKind::Root => "root",
        DiskKind::Path => "path",
        DiskKind::Mount => "mount",
    };
    ledger::Disk {
        uuid: disk.id.to_string(),
        kind: kind.to_owned(),
        root: disk.root.clone(),
        size_mb: disk.size_mb,
    }
}

/// Reads a disk.
pub(crate) fn disk_in(wire: ledger::Disk) -> Result<DiskRecord, Invalid> {
    let kind = match wire.kind.as_str() {
        "root" => DiskKind::Root,
        "path" => DiskKind::Path,
        "mount" => DiskKind::Mount,
        other => {
            return Err(Invalid::new(
                "kind",
                format!("`{other}` is no kind of disk; there are root, path and mount"),
            ))
        }
    };
    Ok(DiskRecord {
        id: DiskId::parse(&wire.uuid).at("uuid")?,
        kind,
        root: wire.root,
        size_mb: wire.size_mb,
    })
}
