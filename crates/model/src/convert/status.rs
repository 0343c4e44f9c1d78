//! Statuses of tasks.
//!
//! What is decided on is typed; data, labels, check and container status, and limitation are kept as received. Relies on times in
//! milliseconds: the wire's seconds are a double. Never accepts a state that does not exist.

use holdfast_proto::mesos::v1;

use super::field::{
    agent_id_out, executor_id, executor_id_out, nanos, nanos_out, some_agent, task_id, task_id_out,
    time, time_out, uuid_bytes,
};
use super::rest;
use crate::id::StatusUuid;
use crate::task::{StatusSource, TaskState, TaskStatus};
use crate::validate::Invalid;

/// Reads a status.
///
/// # Errors
/// [`Invalid`] naming the field: a state that does not exist, a uuid that has no 16 bytes, a time that is none.
pub fn from_proto(mut wire: v1::TaskStatus) -> Result<TaskStatus, Invalid> {
    let state = task_state(std::mem::replace(&mut wire.state, v1::TaskStatus::default().state))?;
    let source =
        wire.source.take().map(v1::task_status::Source::try_from).and_then(Result::ok).map(|it| {
            match it {
                v1::task_status::Source::Master => StatusSource::Master,
                v1::task_status::Source::Agent => StatusSource::Agent,
                v1::task_status::Source::Executor => StatusSource::Executor,
            }
        });
    let uuid = wire.uuid.take().filter(|it| !it.is_empty());
    Ok(TaskStatus {
        task: task_id(&std::mem::take(&mut wire.task_id))?,
        state,
        source,
        reason: wire.reason.take(),
        message: wire.message.take(),
        uuid: uuid.map(|it| uuid_bytes("uuid", &it)).transpose()?.map(StatusUuid),
        agent: some_agent(wire.agent_id.take())?,
        executor: wire.executor_id.take().map(|it| executor_id(&it)).transpose()?,
        at: time("timestamp", wire.timestamp.take())?,
        healthy: wire.healthy.take(),
        unreachable: nanos("unreachable_time", wire.unreachable_time.take())?,
        payload: rest::pack(&wire),
    })
}

/// Writes a status.
pub fn to_proto(status: &TaskStatus) -> v1::TaskStatus {
    let mut wire: v1::TaskStatus = rest::unpack(&status.payload);
    wire.task_id = task_id_out(&status.task);
    wire.state = status.state as i32;
    wire.source = status.source.map(|it| it as i32);
    wire.reason = status.reason;
    wire.message.clone_from(&status.message);
    wire.uuid = status.uuid.map(|it| it.0.as_bytes().to_vec());
    wire.agent_id = status.agent.as_ref().map(agent_id_out);
    wire.executor_id = status.executor.as_ref().map(executor_id_out);
    wire.timestamp = time_out(status.at);
    wire.healthy = status.healthy;
    wire.unreachable_time = status.unreachable.map(nanos_out);
    wire
}

/// Reads a state from the wire's number.
pub(crate) fn task_state(number: i32) -> Result<TaskState, Invalid> {
    TaskState::from_number(number)
        .ok_or_else(|| Invalid::new("state", format!("there is no task state {number}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::samples;
    use crate::id::Instant;
    use proptest::prelude::*;

    fn wire() -> v1::TaskStatus {
        v1::TaskStatus {
            task_id: v1::TaskId { value: "t".to_owned() },
            state: 1,
            ..Default::default()
        }
    }

    #[test]
    fn wrong_statuses_are_named() {
        let path = |change: fn(&mut v1::TaskStatus)| {
            let mut bad = wire();
            change(&mut bad);
            from_proto(bad).unwrap_err().path
        };
        assert_eq!(path(|it| it.state = 99), "state");
        assert_eq!(path(|it| it.task_id.value = "/".to_owned()), "task_id");
        assert_eq!(path(|it| it.uuid = Some(vec![1; 15])), "uuid");
        assert_eq!(path(|it| it.timestamp = Some(f64::NAN)), "timestamp");
        assert_eq!(path(|it| it.agent_id = Some(v1::AgentId::default())), "agent_id");
        assert_eq!(
            path(|it| it.unreachable_time = Some(v1::TimeInfo { nanoseconds: -1 })),
            "unreachable_time.nanoseconds"
        );
    }

    #[test]
    fn what_the_executor_adds_is_kept() {
        let mut wire = wire();
        wire.data = Some(b"x".to_vec());
        wire.container_status =
            Some(v1::ContainerStatus { executor_pid: Some(7), ..Default::default() });
        wire.check_status = Some(v1::CheckStatusInfo { r#type: Some(1), ..Default::default() });
        wire.timestamp = Some(1234.567);
        wire.source = Some(2);
        wire.reason = Some(4711);
        let status = from_proto(wire.clone()).unwrap();
        assert_eq!((status.at, status.source), (Instant(1_234_567), Some(StatusSource::Executor)));
        assert_eq!(to_proto(&status), wire);
    }

    #[test]
    fn a_status_without_extras_carries_nothing() {
        assert!(from_proto(wire()).unwrap().payload.bytes().is_empty());
        assert_eq!(
            from_proto(v1::TaskStatus { uuid: Some(Vec::new()), source: Some(9), ..wire() })
                .unwrap()
                .uuid,
            None
        );
    }

    proptest! {
        #[test]
        fn statuses_come_back(status in samples::task_status()) {
            prop_assert_eq!(from_proto(to_proto(&status)), Ok(status));
        }
    }
}
