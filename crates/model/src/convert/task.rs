//! Tasks as frameworks describe them.
//!
//! What is decided on is typed; the whole description, less all resources, is kept as received (data, labels, health check,
//! container, limits ...). Where both say something, the typed field is what is written. Relies on the conversions of the parts. Never decides whether
//! the task may run: see [`crate::launch`].

use holdfast_proto::mesos::v1;

use super::executor::{info_from_proto, info_to_proto};
use super::field::{
    agent_id, agent_id_out, each, grace_ms, grace_out, task_id, task_id_out, Place,
};
use super::resource::{list_from_proto, list_to_proto, Format};
use super::{command, rest};
use crate::task::{OpaquePayload, TaskInfo};
use crate::validate::Invalid;

/// Reads a task.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn from_proto(mut wire: v1::TaskInfo) -> Result<TaskInfo, Invalid> {
    let mut task = TaskInfo {
        id: task_id(&wire.task_id)?,
        agent: agent_id(&wire.agent_id)?,
        executor: wire
            .executor
            .take()
            .map(|it| info_from_proto(it).under("executor"))
            .transpose()?,
        name: wire.name.clone(),
        resources: list_from_proto("resources", std::mem::take(&mut wire.resources))?,
        command: command::take(&mut wire.command)?,
        kill_grace_ms: grace_ms(wire.kill_policy.take())?,
        payload: OpaquePayload::default(),
    };
    let mut whole = fill(&task, wire, Format::WHOLE);
    whole.resources.clear();
    if let Some(executor) = &mut whole.executor {
        executor.resources.clear();
    }
    task.payload = rest::pack(&whole);
    Ok(task)
}

/// How long a task may take to end when it is killed, by the description that was kept of it, in milliseconds.
pub fn kill_grace_ms(payload: &OpaquePayload) -> Option<u64> {
    grace_ms(rest::unpack::<v1::TaskInfo>(payload).kill_policy).ok().flatten()
}

/// Writes a task, whole, with its resources in this format.
pub fn to_proto(task: &TaskInfo, format: Format) -> v1::TaskInfo {
    fill(task, rest::unpack(&task.payload), format)
}

fn fill(task: &TaskInfo, mut wire: v1::TaskInfo, format: Format) -> v1::TaskInfo {
    wire.name.clone_from(&task.name);
    wire.task_id = task_id_out(&task.id);
    wire.agent_id = agent_id_out(&task.agent);
    wire.resources = list_to_proto(&task.resources, format);
    wire.executor = task.executor.as_ref().map(|it| info_to_proto(it, format));
    command::put(task.command.as_ref(), &mut wire.command);
    wire.kill_policy = grace_out(task.kill_grace_ms);
    wire
}

/// The whole task as an encoded `mesos.v1.TaskInfo`, resources included, for whoever passes it on unread.
pub fn to_bytes(task: &TaskInfo) -> OpaquePayload {
    holdfast_proto::binary::encode(&to_proto(task, Format::WHOLE)).into()
}

/// Reads a list; `field` is its name.
///
/// # Errors
/// [`Invalid`] naming the field, such as `task_infos[0].task_id`.
pub fn list_from_wire(field: &str, tasks: Vec<v1::TaskInfo>) -> Result<Vec<TaskInfo>, Invalid> {
    each(field, tasks, from_proto)
}

/// Writes a list.
pub fn list_to_wire(tasks: &[TaskInfo], format: Format) -> Vec<v1::TaskInfo> {
    tasks.iter().map(|it| to_proto(it, format)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::samples;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_typed_rides_along_and_typed_fields_win() {
        let wire = v1::TaskInfo {
            name: "t".to_owned(),
            task_id: v1::TaskId { value: "t".to_owned() },
            agent_id: v1::AgentId { value: "a".to_owned() },
            data: Some(b"state".to_vec()),
            health_check: Some(v1::HealthCheck { delay_seconds: Some(1.5), ..Default::default() }),
            discovery: Some(v1::DiscoveryInfo { visibility: 1, ..Default::default() }),
            ..Default::default()
        };
        let mut task = from_proto(wire.clone()).unwrap();
        assert_eq!(to_proto(&task, Format::WHOLE), wire);
        task.name = "u".to_owned();
        let changed = to_proto(&task, Format::WHOLE);
        assert_eq!(
            (changed.name.as_str(), &changed.data, &changed.health_check),
            ("u", &wire.data, &wire.health_check)
        );
    }

    #[test]
    fn ids_and_parts_are_named() {
        let wire = v1::TaskInfo {
            task_id: v1::TaskId { value: "t".to_owned() },
            agent_id: v1::AgentId { value: "a".to_owned() },
            ..Default::default()
        };
        let path = |change: fn(&mut v1::TaskInfo)| {
            let mut bad = wire.clone();
            change(&mut bad);
            from_proto(bad).unwrap_err().path
        };
        assert_eq!(path(|it| it.task_id.value = "a/b".to_owned()), "task_id");
        assert_eq!(path(|it| it.agent_id.value = String::new()), "agent_id");
        assert_eq!(
            path(|it| it.executor = Some(v1::ExecutorInfo::default())),
            "executor.executor_id"
        );
        assert_eq!(
            path(|it| it.command =
                Some(v1::CommandInfo { value: Some("\0".to_owned()), ..Default::default() })),
            "command.value"
        );
        assert_eq!(path(|it| it.resources = vec![v1::Resource::default()]), "resources[0].scalar");
    }

    proptest! {
        #[test]
        fn received_tasks_come_back(task in samples::task()) {
            prop_assert_eq!(from_proto(to_proto(&task, Format::WHOLE)), Ok(task));
        }

        #[test]
        fn tasks_made_here_keep_what_they_say(task in samples::bare_task()) {
            let mut read = from_proto(to_proto(&task, Format::WHOLE)).unwrap();
            read.payload = OpaquePayload::default();
            read.executor.iter_mut().for_each(|it| it.payload = OpaquePayload::default());
            prop_assert_eq!(read, task);
        }

        #[test]
        fn bytes_hold_the_whole(task in samples::task()) {
            let wire: v1::TaskInfo = holdfast_proto::binary::decode(to_bytes(&task).bytes()).unwrap();
            prop_assert_eq!(from_proto(wire), Ok(task));
        }
    }
}
