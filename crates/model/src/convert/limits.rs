//! How big the parts of a message may be that end up in one record of a ledger.
//!
//! A store refuses a record that is too big, and a process whose commit is refused dies; so what outsiders send is measured when it
//! comes in. Relies on the message being counted in protobuf encoding. Never cuts anything short: what is too big is refused.

use holdfast_proto::mesos::v1;
use prost::Message;

use crate::validate::Invalid;

/// The longest description of a framework, an executor, or a task, and the longest operation on claims: 256 KiB.
pub const DESCRIPTION_BYTES_MAX: usize = 256 * 1024;

/// The longest status of a task: 32 KiB. Several lie in one record while nobody acknowledges them.
pub const STATUS_BYTES_MAX: usize = 32 * 1024;

/// Refuses what is too big.
pub(crate) fn check_size(
    field: &str,
    message: &impl Message,
    bytes_max: usize,
) -> Result<(), Invalid> {
    check_bytes(field, message.encoded_len(), bytes_max)
}

/// As [`check_size`], of what was counted already.
pub(crate) fn check_bytes(field: &str, bytes: usize, bytes_max: usize) -> Result<(), Invalid> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Invalid::new(field, format!("has {bytes} bytes, at most {bytes_max} are kept; send less, or fetch big data from elsewhere")))
}

/// Refuses an operation that is too big, or one of its tasks.
pub(crate) fn check_operation(operation: &v1::offer::Operation) -> Result<(), Invalid> {
    let tasks = |list: &str, tasks: &[v1::TaskInfo]| {
        let check = |(index, it): (usize, &v1::TaskInfo)| {
            check_size(&format!("{list}[{index}]"), it, DESCRIPTION_BYTES_MAX)
        };
        tasks.iter().enumerate().try_for_each(check)
    };
    if let Some(launch) = &operation.launch {
        tasks("launch.task_infos", &launch.task_infos)
    } else if let Some(group) = &operation.launch_group {
        check_size("launch_group.executor", &group.executor, DESCRIPTION_BYTES_MAX)?;
        tasks("launch_group.task_group.tasks", &group.task_group.tasks)
    } else {
        check_size("", operation, DESCRIPTION_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_refused_by_name() {
        let task =
            v1::TaskInfo { data: Some(vec![0; DESCRIPTION_BYTES_MAX]), ..Default::default() };
        let path = |operation: v1::offer::Operation| check_operation(&operation).unwrap_err().path;
        let launch =
            v1::offer::operation::Launch { task_infos: vec![Default::default(), task.clone()] };
        assert_eq!(
            path(v1::offer::Operation { launch: Some(launch), ..Default::default() }),
            "launch.task_infos[1]"
        );
        let executor = v1::ExecutorInfo { data: task.data.clone(), ..Default::default() };
        let mut group = v1::offer::operation::LaunchGroup { executor, ..Default::default() };
        assert_eq!(
            path(v1::offer::Operation { launch_group: Some(group.clone()), ..Default::default() }),
            "launch_group.executor"
        );
        group.executor = Default::default();
        group.task_group.tasks = vec![task];
        assert_eq!(
            path(v1::offer::Operation { launch_group: Some(group), ..Default::default() }),
            "launch_group.task_group.tasks[0]"
        );
        let many = v1::Resource { name: "x".repeat(1000), ..Default::default() };
        let reserve =
            v1::offer::operation::Reserve { resources: vec![many; 300], ..Default::default() };
        assert_eq!(path(v1::offer::Operation { reserve: Some(reserve), ..Default::default() }), "");
        assert!(check_operation(&v1::offer::Operation::default()).is_ok());
    }
}
