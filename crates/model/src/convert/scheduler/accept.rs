//! The operations of an ACCEPT, read one by one: one that cannot be read does not stop the others (B4, B47).
//!
//! Relies on the conversions of operations and tasks. Never loses one: what cannot be read becomes [`Action::Unreadable`], which says
//! what is wrong, so that its framework hears of it.

use holdfast_proto::mesos::v1;
use v1::offer::operation::Type;
use v1::offer::Operation as Wire;

use crate::convert::field::Place;
use crate::convert::limits::{check_operation, check_size, DESCRIPTION_BYTES_MAX};
use crate::convert::{operation, task};
use crate::id::{FrameworkId, TaskId};
use crate::launch::check_owner;
use crate::operation::{Action, Operation, Unreadable};
use crate::task::TaskInfo;
use crate::validate::Invalid;

/// Reads the operations that `framework` sends. The tasks of a LAUNCH that cannot be read come after the others: should
/// one have the name of another, that one is known by then.
pub(super) fn operations(list: Vec<Wire>, framework: &FrameworkId) -> Vec<Operation> {
    list.into_iter()
        .enumerate()
        .flat_map(|(index, wire)| read(wire, &format!("accept.operations[{index}]"), framework))
        .collect()
}

fn read(mut wire: Wire, place: &str, framework: &FrameworkId) -> Vec<Operation> {
    let id = wire.id.as_ref().map(|it| it.value.clone());
    if wire.r#type == Some(Type::Launch.into()) {
        if let Some(launch) = wire.launch.take() {
            return read_launch(
                id,
                launch.task_infos,
                &format!("{place}.launch.task_infos"),
                framework,
            );
        }
    }
    let group =
        wire.launch_group.as_ref().filter(|_| wire.r#type == Some(Type::LaunchGroup.into()));
    let tasks: Option<Vec<TaskId>> =
        group.map(|it| it.task_group.tasks.iter().map(given_id).collect());
    let read = check_operation(&wire)
        .and_then(|()| operation::from_proto(wire))
        .and_then(|it| check_owners(it, framework));
    vec![read.under(place).unwrap_or_else(|why| {
        unreadable(id, why, tasks.clone().unwrap_or_default(), tasks.is_some())
    })]
}

fn read_launch(
    id: Option<String>,
    tasks: Vec<v1::TaskInfo>,
    place: &str,
    framework: &FrameworkId,
) -> Vec<Operation> {
    let (mut good, mut bad, is_empty) = (Vec::new(), Vec::new(), tasks.is_empty());
    for (index, wire) in tasks.into_iter().enumerate() {
        let given = given_id(&wire);
        match read_task(wire, framework).under(format_args!("{place}[{index}]")) {
            Ok(task) => good.push(task),
            Err(why) => bad.push(unreadable(id.clone(), why, vec![given], false)),
        }
    }
    let launch =
        (is_empty || !good.is_empty()).then_some(Operation { id, action: Action::Launch(good) });
    launch.into_iter().chain(bad).collect()
}

fn read_task(wire: v1::TaskInfo, framework: &FrameworkId) -> Result<TaskInfo, Invalid> {
    check_size("", &wire, DESCRIPTION_BYTES_MAX)?;
    let task = task::from_proto(wire)?;
    task.executor.iter().try_for_each(|it| check_owner(it, framework)).under("executor")?;
    Ok(task)
}

/// A group's executors are its framework's own.
fn check_owners(operation: Operation, framework: &FrameworkId) -> Result<Operation, Invalid> {
    if let Action::LaunchGroup(executor, tasks) = &operation.action {
        check_owner(executor, framework).under("launch_group.executor")?;
        for (index, task) in tasks.iter().enumerate() {
            let checked = task.executor.iter().try_for_each(|it| check_owner(it, framework));
            checked.under(format_args!("launch_group.task_group.tasks[{index}].executor"))?;
        }
    }
    Ok(operation)
}

/// Whatever the framework calls the task: it must hear of it by that name, also when it is none.
fn given_id(task: &v1::TaskInfo) -> TaskId {
    TaskId::made(task.task_id.value.clone())
}

fn unreadable(id: Option<String>, why: Invalid, tasks: Vec<TaskId>, group: bool) -> Operation {
    Operation { id, action: Action::Unreadable(Unreadable { why, tasks, group }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The operations of an ACCEPT in JSON, each in a line.
    fn lines(json: &str) -> Vec<String> {
        let json = format!(r#"{{"operations":{json}}}"#);
        let accept: v1::scheduler::call::Accept =
            holdfast_proto::json::from_slice(json.as_bytes()).unwrap();
        let line = |it: Operation| {
            let id = it.id.unwrap_or_else(|| "-".to_owned());
            let names = |tasks: &[TaskInfo]| {
                tasks.iter().map(|it| it.id.to_string()).collect::<Vec<_>>().join(",")
            };
            match it.action {
                Action::Unreadable(it) => {
                    let tasks =
                        it.tasks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                    format!(
                        "{id} bad [{tasks}]{} {}",
                        if it.group { " group" } else { "" },
                        it.why.path
                    )
                }
                Action::Claim(action) => format!("{id} {}", action.name()),
                Action::Launch(tasks) => format!("{id} LAUNCH {}", names(&tasks)),
                Action::LaunchGroup(_, tasks) => format!("{id} LAUNCH_GROUP {}", names(&tasks)),
                Action::Unsupported(name) => format!("{id} unsupported {name}"),
            }
        };
        operations(accept.operations, &FrameworkId::made("f".to_owned()))
            .into_iter()
            .map(line)
            .collect()
    }

    fn cpus(amount: &str) -> String {
        format!(r#"[{{"name":"cpus","type":"SCALAR","scalar":{{"value":{amount}}}}}]"#)
    }

    fn task(id: &str, more: &str) -> String {
        format!(r#"{{"name":"t","task_id":{{"value":"{id}"}},"agent_id":{{"value":"a"}}{more}}}"#)
    }

    #[test]
    fn b4_an_operation_that_cannot_be_read_does_not_stop_the_others() {
        let json = format!(
            r#"[{{"type":"RESERVE","id":{{"value":"one"}},"reserve":{{"resources":{}}}}},
                {{"type":"RESERVE","id":{{"value":"two"}}}},
                {{"type":"UNRESERVE","unreserve":{{"resources":{}}}}},
                {{"type":"CREATE","id":{{"value":"a/b"}},"create":{{}}}},
                {{"type":"GROW_VOLUME"}},
                {{"type":"LAUNCH"}},
                {{"type":"LAUNCH","launch":{{}}}}]"#,
            cpus("-1"),
            cpus("1")
        );
        let expected = [
            "one bad [] accept.operations[0].reserve.resources[0].scalar.value",
            "two bad [] accept.operations[1].reserve",
            "- UNRESERVE",
            "a/b bad [] accept.operations[3].id",
            "- bad [] accept.operations[4].grow_volume",
            "- bad [] accept.operations[5].launch",
            "- LAUNCH ",
        ];
        assert_eq!(lines(&json), expected);
    }

    #[test]
    fn b47_a_task_that_cannot_be_read_does_not_stop_the_others() {
        let (negative, foreign) = (
            format!(r#","resources":{}"#, cpus("-1")),
            r#","executor":{"executor_id":{"value":"e"},"framework_id":{"value":"g"}}"#,
        );
        let late = r#","kill_policy":{"grace_period":{"nanoseconds":-1}}"#;
        let big = format!(r#","data":"{}""#, "A".repeat(400_000));
        let tasks = [
            task("a", ""),
            task("b", &negative),
            task("c/d", ""),
            task("e", foreign),
            task("f", late),
            task("g", &big),
            task("h", ""),
        ];
        let launch =
            format!(r#"[{{"type":"LAUNCH","launch":{{"task_infos":[{}]}}}}]"#, tasks.join(","));
        let expected = [
            "- LAUNCH a,h",
            "- bad [b] accept.operations[0].launch.task_infos[1].resources[0].scalar.value",
            "- bad [c/d] accept.operations[0].launch.task_infos[2].task_id",
            "- bad [e] accept.operations[0].launch.task_infos[3].executor.framework_id",
            "- bad [f] accept.operations[0].launch.task_infos[4].kill_policy.grace_period.nanoseconds",
            "- bad [g] accept.operations[0].launch.task_infos[5]",
        ];
        assert_eq!(lines(&launch), expected);
    }

    #[test]
    fn b56_a_group_is_read_as_a_whole() {
        let group = |framework: &str, tasks: &[String]| {
            let executor = format!(
                r#"{{"executor_id":{{"value":"e"}},"framework_id":{{"value":"{framework}"}}}}"#
            );
            let tasks = tasks.join(",");
            let group = format!(r#"{{"executor":{executor},"task_group":{{"tasks":[{tasks}]}}}}"#);
            lines(&format!(r#"[{{"type":"LAUNCH_GROUP","launch_group":{group}}}]"#))
        };
        let foreign = r#","executor":{"executor_id":{"value":"e"},"framework_id":{"value":"g"}}"#;
        let at = "accept.operations[0].launch_group";
        assert_eq!(group("f", &[task("a", ""), task("b", "")]), ["- LAUNCH_GROUP a,b"]);
        assert_eq!(
            group("f", &[task("a", ""), task("..", "")]),
            [format!("- bad [a,..] group {at}.task_group.tasks[1].task_id")]
        );
        assert_eq!(
            group("g", &[task("a", "")]),
            [format!("- bad [a] group {at}.executor.framework_id")]
        );
        let within = group("f", &[task("a", ""), task("b", foreign)]);
        assert_eq!(
            within,
            [format!("- bad [a,b] group {at}.task_group.tasks[1].executor.framework_id")]
        );
    }
}
