//! What frameworks say to the master, written: for those who are frameworks themselves.
//!
//! Relies on the same fields as the reading side. Never leaves a default to chance: filters are always written.

use std::collections::BTreeSet;

use holdfast_proto::mesos::v1;
use v1::scheduler::call::{self, Type};
use v1::scheduler::Call as Wire;

use crate::convert::field::{
    agent_id_out, executor_id_out, framework_id_out, grace_out, offer_id_out, task_id_out,
};
use crate::convert::resource::Format;
use crate::convert::{framework, offer_constraints, operation};
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::message::{Call, Filters};
use crate::role::Role;

/// Writes a call, with resources in this format.
pub fn call_to_proto(framework: Option<&FrameworkId>, call: &Call, format: Format) -> Wire {
    let mut wire = Wire { framework_id: framework.map(framework_id_out), ..Wire::default() };
    let kind = match call {
        Call::Subscribe { info, suppressed } => {
            let framework_info = framework::to_proto(info);
            wire.subscribe = Some(call::Subscribe {
                framework_info,
                suppressed_roles: names(suppressed),
                offer_constraints: offer_constraints::to_proto(&info.constraints),
            });
            Type::Subscribe
        }
        Call::UpdateFramework { info, suppressed } => {
            let framework_info = framework::to_proto(info);
            let update = call::UpdateFramework {
                framework_info,
                suppressed_roles: names(suppressed),
                offer_constraints: offer_constraints::to_proto(&info.constraints),
            };
            wire.update_framework = Some(update);
            Type::UpdateFramework
        }
        Call::Accept { offers, operations, filters } => {
            wire.accept = Some(call::Accept {
                offer_ids: ids(offers),
                operations: operations.iter().map(|it| operation::to_proto(it, format)).collect(),
                filters: filters_out(*filters),
            });
            Type::Accept
        }
        Call::Decline { offers, filters } => {
            wire.decline =
                Some(call::Decline { offer_ids: ids(offers), filters: filters_out(*filters) });
            Type::Decline
        }
        Call::Revive(roles) => {
            wire.revive = Some(call::Revive { roles: names(roles) });
            Type::Revive
        }
        Call::Suppress(roles) => {
            wire.suppress = Some(call::Suppress { roles: names(roles) });
            Type::Suppress
        }
        Call::Teardown => Type::Teardown,
        Call::Request => {
            wire.request = Some(call::Request::default());
            Type::Request
        }
        Call::AnswerInverse { offers, accepts: true, filters } => {
            let (inverse_offer_ids, filters) = (ids(offers), filters_out(*filters));
            wire.accept_inverse_offers =
                Some(call::AcceptInverseOffers { inverse_offer_ids, filters });
            Type::AcceptInverseOffers
        }
        Call::AnswerInverse { offers, accepts: false, filters } => {
            let (inverse_offer_ids, filters) = (ids(offers), filters_out(*filters));
            wire.decline_inverse_offers =
                Some(call::DeclineInverseOffers { inverse_offer_ids, filters });
            Type::DeclineInverseOffers
        }
        _ => about_tasks(call, &mut wire),
    };
    wire.r#type = Some(kind.into());
    wire
}

/// Calls about tasks, executors and statuses.
fn about_tasks(call: &Call, wire: &mut Wire) -> Type {
    match call {
        Call::Kill { task, agent, grace_ms } => {
            wire.kill = Some(call::Kill {
                task_id: task_id_out(task),
                agent_id: place(agent),
                kill_policy: grace_out(*grace_ms),
            });
            Type::Kill
        }
        Call::Shutdown(executor, agent) => {
            wire.shutdown = Some(call::Shutdown {
                executor_id: executor_id_out(executor),
                agent_id: agent_id_out(agent),
            });
            Type::Shutdown
        }
        Call::Acknowledge { agent, task, status } => {
            let uuid = status.0.as_bytes().to_vec();
            wire.acknowledge = Some(call::Acknowledge {
                agent_id: agent_id_out(agent),
                task_id: task_id_out(task),
                uuid,
            });
            Type::Acknowledge
        }
        Call::Reconcile(tasks) => {
            let tasks = tasks.iter().map(|(task, agent)| call::reconcile::Task {
                task_id: task_id_out(task),
                agent_id: place(agent),
            });
            wire.reconcile = Some(call::Reconcile { tasks: tasks.collect() });
            Type::Reconcile
        }
        Call::Message(agent, executor, data) => {
            let (agent_id, executor_id) = (agent_id_out(agent), executor_id_out(executor));
            wire.message = Some(call::Message { agent_id, executor_id, data: data.clone() });
            Type::Message
        }
        Call::AcknowledgeOperation { agent, operation, status } => {
            wire.acknowledge_operation_status = Some(call::AcknowledgeOperationStatus {
                agent_id: place(agent),
                resource_provider_id: None,
                uuid: status.0.as_bytes().to_vec(),
                operation_id: v1::OperationId { value: operation.clone() },
            });
            Type::AcknowledgeOperationStatus
        }
        Call::ReconcileOperations(operations) => {
            let one = |(operation, agent): &(String, Option<AgentId>)| {
                call::reconcile_operations::Operation {
                    operation_id: v1::OperationId { value: operation.clone() },
                    agent_id: place(agent),
                    resource_provider_id: None,
                }
            };
            wire.reconcile_operations = Some(call::ReconcileOperations {
                operations: operations.iter().map(one).collect(),
            });
            Type::ReconcileOperations
        }
        // Written by the caller of this function.
        _ => Type::Unknown,
    }
}

fn names(roles: &BTreeSet<Role>) -> Vec<String> {
    roles.iter().map(|it| it.as_str().to_owned()).collect()
}

fn ids(offers: &[OfferId]) -> Vec<v1::OfferId> {
    offers.iter().map(offer_id_out).collect()
}

fn place(agent: &Option<AgentId>) -> Option<v1::AgentId> {
    agent.as_ref().map(agent_id_out)
}

fn filters_out(filters: Filters) -> Option<v1::Filters> {
    Some(v1::Filters { refuse_seconds: Some(filters.refuse_ms as f64 / 1000.0) })
}
