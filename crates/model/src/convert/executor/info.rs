//! Executors as frameworks describe them.
//!
//! What is decided on is typed; the whole description, less the resources, is kept as received (container, data, labels,
//! discovery ...). Where both say something, the typed field is what is written. Relies on the conversions of the parts. Never invents a kind.

use holdfast_proto::mesos::v1;
use v1::executor_info::Type;

use crate::convert::field::{
    executor_id, executor_id_out, framework_id_out, some_framework, span_ms, span_out,
};
use crate::convert::resource::{list_from_proto, list_to_proto, Format};
use crate::convert::{command, rest};
use crate::task::{ExecutorInfo, ExecutorKind, OpaquePayload};
use crate::validate::Invalid;

/// Reads an executor's description. A type that is UNKNOWN counts as unset.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn info_from_proto(mut wire: v1::ExecutorInfo) -> Result<ExecutorInfo, Invalid> {
    let kind = match wire.r#type.take().map(Type::try_from) {
        Some(Ok(Type::Default)) => Some(ExecutorKind::Default),
        Some(Ok(Type::Custom)) => Some(ExecutorKind::Custom),
        _ => None,
    };
    let mut executor = ExecutorInfo {
        id: executor_id(&wire.executor_id)?,
        kind,
        framework: some_framework(wire.framework_id.take())?,
        resources: list_from_proto("resources", std::mem::take(&mut wire.resources))?,
        command: command::take(&mut wire.command)?,
        shutdown_grace_ms: span_ms("shutdown_grace_period", wire.shutdown_grace_period.take())?,
        payload: OpaquePayload::default(),
    };
    let mut whole = fill(&executor, wire, Format::WHOLE);
    whole.resources.clear();
    executor.payload = rest::pack(&whole);
    Ok(executor)
}

/// Writes an executor's description, whole, with its resources in this format.
pub fn info_to_proto(executor: &ExecutorInfo, format: Format) -> v1::ExecutorInfo {
    fill(executor, rest::unpack(&executor.payload), format)
}

fn fill(executor: &ExecutorInfo, mut wire: v1::ExecutorInfo, format: Format) -> v1::ExecutorInfo {
    wire.executor_id = executor_id_out(&executor.id);
    wire.r#type = executor.kind.map(|it| match it {
        ExecutorKind::Default => Type::Default.into(),
        ExecutorKind::Custom => Type::Custom.into(),
    });
    wire.framework_id = executor.framework.as_ref().map(framework_id_out);
    wire.resources = list_to_proto(&executor.resources, format);
    command::put(executor.command.as_ref(), &mut wire.command);
    wire.shutdown_grace_period = executor.shutdown_grace_ms.map(span_out);
    wire
}
