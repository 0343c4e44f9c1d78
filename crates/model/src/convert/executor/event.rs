//! What agents say to executors.
//!
//! Relies on the format that the framework understands. Never leaves out what an executor needs to find its agent again.

use holdfast_proto::mesos::v1;
use v1::executor::event::{
    Acknowledged, Error, Kill, Launch, LaunchGroup, Message, Subscribed, Type,
};
use v1::executor::Event;

use super::{info_from_proto, info_to_proto};
use crate::convert::field::{
    agent_id, agent_id_out, grace_ms, grace_out, needed, part, task_id, task_id_out, uuid_bytes,
    Place,
};
use crate::convert::resource::Format;
use crate::convert::{framework, machine, task};
use crate::id::{ContainerId, StatusUuid};
use crate::message::ExecutorEvent;
use crate::validate::Invalid;

/// Writes an event, with resources as the framework understands them.
pub fn event_to_proto(event: &ExecutorEvent, format: Format) -> Event {
    let mut wire = Event::default();
    let kind = match event {
        ExecutorEvent::Subscribed { executor, framework, agent, machine, container } => {
            let mut agent_info = machine::to_proto(machine, format);
            agent_info.id = Some(agent_id_out(agent));
            wire.subscribed = Some(Subscribed {
                executor_info: info_to_proto(executor, format),
                framework_info: framework::to_proto(framework),
                agent_info,
                container_id: Some(v1::ContainerId { value: container.to_string(), parent: None }),
            });
            Type::Subscribed
        }
        ExecutorEvent::Launch(info) => {
            wire.launch = Some(Launch { task: task::to_proto(info, format) });
            Type::Launch
        }
        ExecutorEvent::LaunchGroup(tasks) => {
            wire.launch_group = Some(LaunchGroup {
                task_group: v1::TaskGroupInfo { tasks: task::list_to_wire(tasks, format) },
            });
            Type::LaunchGroup
        }
        ExecutorEvent::Kill(task, grace) => {
            wire.kill = Some(Kill { task_id: task_id_out(task), kill_policy: grace_out(*grace) });
            Type::Kill
        }
        ExecutorEvent::Acknowledged(task, uuid) => {
            wire.acknowledged =
                Some(Acknowledged { task_id: task_id_out(task), uuid: uuid.0.as_bytes().to_vec() });
            Type::Acknowledged
        }
        ExecutorEvent::Message(data) => {
            wire.message = Some(Message { data: data.clone() });
            Type::Message
        }
        ExecutorEvent::Shutdown => Type::Shutdown,
        ExecutorEvent::Error(message) => {
            wire.error = Some(Error { message: message.clone() });
            Type::Error
        }
    };
    wire.r#type = Some(kind.into());
    wire
}

/// The heartbeat that agents send to executors.
pub fn heartbeat() -> Event {
    Event { r#type: Some(Type::Heartbeat.into()), ..Event::default() }
}

/// Reads an event; `None` for heartbeats and for types that we do not know.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn event_from_proto(wire: Event) -> Result<Option<ExecutorEvent>, Invalid> {
    let event = match wire.r#type.map(Type::try_from) {
        Some(Ok(Type::Subscribed)) => {
            subscribed(part("SUBSCRIBED", "subscribed", wire.subscribed)?).under("subscribed")?
        }
        Some(Ok(Type::Launch)) => {
            let launch = part("LAUNCH", "launch", wire.launch)?;
            ExecutorEvent::Launch(Box::new(task::from_proto(launch.task).under("launch.task")?))
        }
        Some(Ok(Type::LaunchGroup)) => {
            let group = part("LAUNCH_GROUP", "launch_group", wire.launch_group)?.task_group;
            ExecutorEvent::LaunchGroup(
                task::list_from_wire("tasks", group.tasks).under("launch_group.task_group")?,
            )
        }
        Some(Ok(Type::Kill)) => {
            let kill = part("KILL", "kill", wire.kill)?;
            ExecutorEvent::Kill(
                task_id(&kill.task_id).under("kill")?,
                grace_ms(kill.kill_policy).under("kill")?,
            )
        }
        Some(Ok(Type::Acknowledged)) => {
            let acknowledged = part("ACKNOWLEDGED", "acknowledged", wire.acknowledged)?;
            let uuid = uuid_bytes("uuid", &acknowledged.uuid).under("acknowledged")?;
            ExecutorEvent::Acknowledged(
                task_id(&acknowledged.task_id).under("acknowledged")?,
                StatusUuid(uuid),
            )
        }
        Some(Ok(Type::Message)) => {
            ExecutorEvent::Message(part("MESSAGE", "message", wire.message)?.data)
        }
        Some(Ok(Type::Error)) => ExecutorEvent::Error(part("ERROR", "error", wire.error)?.message),
        Some(Ok(Type::Shutdown)) => ExecutorEvent::Shutdown,
        _ => return Ok(None),
    };
    Ok(Some(event))
}

fn subscribed(wire: Subscribed) -> Result<ExecutorEvent, Invalid> {
    let agent = needed("agent_info.id", wire.agent_info.id.as_ref())?;
    let container = needed("container_id", wire.container_id)?;
    Ok(ExecutorEvent::Subscribed {
        agent: agent_id(agent).at("agent_info.id")?,
        container: ContainerId::parse(&container.value).at("container_id")?,
        executor: Box::new(info_from_proto(wire.executor_info).under("executor_info")?),
        framework: Box::new(framework::from_proto(wire.framework_info).under("framework_info")?),
        machine: Box::new(machine::from_proto(wire.agent_info).under("agent_info")?),
    })
}
