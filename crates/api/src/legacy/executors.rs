//! Executors as the pages of a master show them.
//!
//! Relies on what agents reported; never shows what Holdfast's own executors of single commands are made of.

use holdfast_master::ExecutorView;
use holdfast_model::{AgentId, ExecutorKey};
use holdfast_proto::binary;
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::Amounts;

/// An executor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExecutorEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<v1::CommandInfo>,
    executor_id: String,
    framework_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<v1::Label>>,
    name: String,
    resources: Amounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    slave_id: String,
    source: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

impl ExecutorEntry {
    /// As the agent reported it.
    #[allow(deprecated, reason = "`source` is what old tools show")]
    pub(super) fn at_master(
        agent: &AgentId,
        (framework, id): &ExecutorKey,
        view: &ExecutorView,
    ) -> ExecutorEntry {
        let info =
            binary::decode::<v1::ExecutorInfo>(view.payload.bytes()).ok().unwrap_or_default();
        let allocation = view.resources.entries().find_map(|(it, _)| it.allocation.as_ref());
        let kind = info.r#type.is_some().then(|| info.r#type().as_str_name());
        ExecutorEntry {
            command: info.command,
            executor_id: id.to_string(),
            framework_id: framework.to_string(),
            labels: info.labels.map(|it| it.labels),
            name: info.name.unwrap_or_default(),
            resources: Amounts::of(&view.resources),
            role: allocation.map(ToString::to_string),
            slave_id: agent.to_string(),
            source: info.source.unwrap_or_default(),
            kind,
        }
    }
}
