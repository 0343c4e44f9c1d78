//! Everything that an agent owns.
//!
//! Relies on the ledgers' records. Never reads half a report: one record that cannot be read refuses the whole, and is named.

use holdfast_proto::holdfast::v1 as wire;

use crate::convert::field::{each, needed, some, some_text, Place};
use crate::convert::ledger::agent::{framework_in, framework_out};
use crate::convert::ledger::{
    claim_in, claim_out, disk_in, disk_out, executor_in, executor_out, operation_in, operation_out,
    task_in, task_out,
};
use crate::convert::machine;
use crate::convert::resource::Format;
use crate::id::{AgentId, ClaimId, ClusterId, NodeId};
use crate::message::{DiskReport, Report};
use crate::validate::Invalid;

/// Writes a report.
pub fn report_to_proto(report: &Report) -> wire::Report {
    let disk = |it: &DiskReport| wire::DiskReport {
        disk: Some(disk_out(&it.disk)),
        fault: it.fault.clone().unwrap_or_default(),
    };
    wire::Report {
        node_uuid: report.node.to_string(),
        agent_id: report.agent.as_ref().map(ToString::to_string).unwrap_or_default(),
        cluster_uuid: report.cluster.map(|it| it.to_string()).unwrap_or_default(),
        ledger_version: report.ledger_version,
        orders_seen: report.orders_seen,
        info: Some(machine::to_proto(&report.machine, Format::WHOLE)),
        disks: report.disks.iter().map(disk).collect(),
        claims: report.claims.iter().map(claim_out).collect(),
        faults: report
            .faults
            .iter()
            .map(|(id, fault)| wire::ClaimFault { uuid: id.to_string(), fault: fault.clone() })
            .collect(),
        frameworks: report.frameworks.iter().map(framework_out).collect(),
        executors: report.executors.iter().map(executor_out).collect(),
        tasks: report.tasks.iter().map(task_out).collect(),
        operations: report.operations.iter().map(operation_out).collect(),
        version: report.version.clone(),
    }
}

/// Reads a report.
///
/// # Errors
/// [`Invalid`] naming the field, such as `claims[3].resource.scalar.value`.
pub fn report_from_proto(report: wire::Report) -> Result<Report, Invalid> {
    Ok(Report {
        node: NodeId::parse(&report.node_uuid).at("node_uuid")?,
        agent: some("agent_id", &report.agent_id, AgentId::parse)?,
        cluster: some("cluster_uuid", &report.cluster_uuid, ClusterId::parse)?,
        ledger_version: report.ledger_version,
        orders_seen: report.orders_seen,
        machine: needed("info", report.info)
            .and_then(|it| machine::from_proto(it).under("info"))?,
        disks: each("disks", report.disks, |it| {
            let disk = needed("disk", it.disk).and_then(|it| disk_in(it).under("disk"))?;
            Ok(DiskReport { disk, fault: some_text(it.fault) })
        })?,
        claims: each("claims", report.claims, claim_in)?,
        faults: each("faults", report.faults, |it| {
            Ok((ClaimId::parse(&it.uuid).at("uuid")?, it.fault))
        })?,
        frameworks: each("frameworks", report.frameworks, framework_in)?,
        executors: each("executors", report.executors, executor_in)?,
        tasks: each("tasks", report.tasks, task_in)?,
        operations: each("operations", report.operations, operation_in)?,
        version: report.version,
    })
}
