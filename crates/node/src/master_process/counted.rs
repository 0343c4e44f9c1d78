//! What a master counts of what it is told: calls of schedulers and messages of agents, under Mesos's names.
//!
//! Relies on each message being counted once, before it reaches the core. What the protocol of this program never has, such as messages
//! of its own for authentication, stays 0, which is true.

use holdfast_model::ToMaster;
use holdfast_proto::mesos::v1::scheduler::call::Type;
use holdfast_proto::mesos::v1::scheduler::Call;

use crate::counts::{Counts, Table};

/// All that is counted.
pub const COUNTED: Table = &[
    ("master/dropped_messages", "Messages of agents that were newer than this master."),
    ("master/invalid_executor_to_framework_messages", "Messages of executors that were refused."),
    ("master/invalid_framework_to_executor_messages", "Messages to executors that were refused."),
    (
        "master/invalid_operation_status_update_acknowledgements",
        "Acknowledgements of operations that were refused.",
    ),
    (
        "master/invalid_status_update_acknowledgements",
        "Acknowledgements of tasks that were refused.",
    ),
    ("master/invalid_status_updates", "Statuses of tasks that could not be read."),
    ("master/messages_authenticate", "Messages of an authentication; nobody is authenticated yet."),
    ("master/messages_deactivate_framework", "Frameworks whose stream ended."),
    ("master/messages_decline_offers", "DECLINE calls."),
    ("master/messages_executor_to_framework", "Messages of executors."),
    ("master/messages_exited_executor", "Executors that ended."),
    ("master/messages_framework_to_executor", "MESSAGE calls."),
    ("master/messages_kill_task", "KILL calls."),
    ("master/messages_launch_tasks", "ACCEPT calls."),
    (
        "master/messages_operation_status_update_acknowledgement",
        "ACKNOWLEDGE_OPERATION_STATUS calls.",
    ),
    ("master/messages_reconcile_operations", "RECONCILE_OPERATIONS calls."),
    ("master/messages_reconcile_tasks", "RECONCILE calls."),
    ("master/messages_register_framework", "SUBSCRIBE calls without an id."),
    ("master/messages_register_slave", "Reports of agents that had no id yet."),
    ("master/messages_reregister_framework", "SUBSCRIBE calls with an id."),
    ("master/messages_reregister_slave", "Reports of agents that had an id."),
    ("master/messages_resource_request", "REQUEST calls."),
    ("master/messages_revive_offers", "REVIVE calls."),
    ("master/messages_status_update", "Statuses of tasks from agents."),
    ("master/messages_status_update_acknowledgement", "ACKNOWLEDGE calls."),
    ("master/messages_suppress_offers", "SUPPRESS calls."),
    ("master/messages_unregister_framework", "TEARDOWN calls of schedulers."),
    ("master/messages_unregister_slave", "Agents that took leave; they never do."),
    ("master/messages_update_slave", "News of an agent's disks."),
    ("master/slave_registrations", "Agents that came for the first time."),
    ("master/slave_reregistrations", "Agents that came back."),
    ("master/valid_executor_to_framework_messages", "Messages of executors that were passed on."),
    ("master/valid_framework_to_executor_messages", "Messages to executors that were passed on."),
    (
        "master/valid_operation_status_update_acknowledgements",
        "Acknowledgements of operations that were taken.",
    ),
    ("master/valid_status_update_acknowledgements", "Acknowledgements of tasks that were taken."),
    ("master/valid_status_updates", "Statuses of tasks that could be read."),
];

/// Counts a scheduler's call that arrived.
pub fn called(counts: &Counts, call: &Call) {
    let name = match call.r#type() {
        Type::Subscribe => match call.framework_id {
            None => "master/messages_register_framework",
            Some(_) => "master/messages_reregister_framework",
        },
        Type::Teardown => "master/messages_unregister_framework",
        Type::Accept => "master/messages_launch_tasks",
        Type::Decline => "master/messages_decline_offers",
        Type::Revive => "master/messages_revive_offers",
        Type::Suppress => "master/messages_suppress_offers",
        Type::Kill => "master/messages_kill_task",
        Type::Acknowledge => "master/messages_status_update_acknowledgement",
        Type::AcknowledgeOperationStatus => {
            "master/messages_operation_status_update_acknowledgement"
        }
        Type::Reconcile => "master/messages_reconcile_tasks",
        Type::ReconcileOperations => "master/messages_reconcile_operations",
        Type::Message => "master/messages_framework_to_executor",
        Type::Request => "master/messages_resource_request",
        _ => return,
    };
    counts.add(name);
}

/// Counts whether a scheduler's call of this type was taken.
pub fn taken(counts: &Counts, kind: Type, is_valid: bool) {
    let (valid, invalid) = match kind {
        Type::Acknowledge => (
            "master/valid_status_update_acknowledgements",
            "master/invalid_status_update_acknowledgements",
        ),
        Type::AcknowledgeOperationStatus => (
            "master/valid_operation_status_update_acknowledgements",
            "master/invalid_operation_status_update_acknowledgements",
        ),
        Type::Message => (
            "master/valid_framework_to_executor_messages",
            "master/invalid_framework_to_executor_messages",
        ),
        _ => return,
    };
    counts.add(if is_valid { valid } else { invalid });
}

/// Counts a message of an agent.
pub fn told(counts: &Counts, message: &ToMaster) {
    let names: &[&'static str] = match message {
        ToMaster::Report(report) if report.agent.is_none() => {
            &["master/messages_register_slave", "master/slave_registrations"]
        }
        ToMaster::Report(_) => {
            &["master/messages_reregister_slave", "master/slave_reregistrations"]
        }
        ToMaster::TaskUpdate { .. } => {
            &["master/messages_status_update", "master/valid_status_updates"]
        }
        ToMaster::ExecutorMessage(..) => &[
            "master/messages_executor_to_framework",
            "master/valid_executor_to_framework_messages",
        ],
        ToMaster::ExecutorExited { .. } => &["master/messages_exited_executor"],
        ToMaster::SpaceNews(_) => &["master/messages_update_slave"],
        _ => &[],
    };
    names.iter().for_each(|it| counts.add(it));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_counted_under_a_name_of_the_table() {
        let counts = Counts::new(COUNTED);
        for number in 0..64 {
            let Ok(kind) = Type::try_from(number) else { continue };
            called(&counts, &Call { r#type: Some(number), ..Call::default() });
            taken(&counts, kind, true);
            taken(&counts, kind, false);
        }
        told(
            &counts,
            &ToMaster::ExecutorExited {
                framework: holdfast_model::FrameworkId::made("f".to_owned()),
                executor: holdfast_model::ExecutorId::made("e".to_owned()),
                status: 0,
            },
        );
        let told = counts.metrics().into_iter().filter(|it| it.value == 1.0).count();
        assert_eq!(told, 13 + 6 + 1);
    }
}
