//! What frameworks say to the master.
//!
//! Relies on the conversions of operations and framework descriptions. Never lets a call without its part, or with another
//! framework's id, through; of an ACCEPT, each operation stands by itself.

use std::collections::BTreeSet;

use holdfast_proto::mesos::v1;
use v1::scheduler::call::{Accept, Subscribe, Type, UpdateFramework};
use v1::scheduler::Call as Wire;

use super::accept::operations;
use crate::convert::field::{
    agent_id, each, executor_id, grace_ms, needed, offer_id, part, some_agent, some_framework,
    task_id, uuid_bytes, Place,
};
use crate::convert::limits::{check_size, DESCRIPTION_BYTES_MAX};
use crate::convert::{framework, offer_constraints};
use crate::framework::FrameworkInfo;
use crate::id::{check_id, AgentId, FrameworkId, OfferId, StatusUuid};
use crate::message::{Call, Filters, FrameworkCall};
use crate::role::Role;
use crate::validate::Invalid;

/// The longest filter, in milliseconds: 365 days.
pub const REFUSE_MS_MAX: u64 = 365 * 24 * 3_600_000;

/// Why a call cannot be heard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It breaks a rule (answered with 400).
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Nobody here knows such a call (answered with 501).
    #[error("there is no call of type {number} here; see the scheduler API for those that are")]
    UnknownType {
        /// The number of its type.
        number: i32,
    },
}

/// Reads a call.
///
/// # Errors
/// [`CallError::Invalid`] naming the field, or [`CallError::UnknownType`].
pub fn call_from_proto(wire: Wire) -> Result<FrameworkCall, CallError> {
    let number = needed("type", wire.r#type)?;
    let kind = Type::try_from(number).unwrap_or(Type::Unknown);
    if kind == Type::Unknown {
        return Err(CallError::UnknownType { number });
    }
    let framework = some_framework(wire.framework_id.clone())?;
    if framework.is_none() && kind != Type::Subscribe {
        return Err(Invalid::new(
            "framework_id",
            "is missing; every call but the first SUBSCRIBE names its framework",
        )
        .into());
    }
    let call = match kind {
        Type::Subscribe => {
            subscribe(part("SUBSCRIBE", "subscribe", wire.subscribe)?).under("subscribe")?
        }
        Type::UpdateFramework => {
            update(part("UPDATE_FRAMEWORK", "update_framework", wire.update_framework)?)
                .under("update_framework")?
        }
        Type::Accept => {
            accept(part("ACCEPT", "accept", wire.accept)?, framework.as_ref()).under("accept")?
        }
        _ => simple(kind, wire)?,
    };
    if let Call::Subscribe { info, .. } | Call::UpdateFramework { info, .. } = &call {
        if info.id != framework {
            let why = "differs from `framework_info.id`; set both to the same id, or neither";
            return Err(Invalid::new("framework_id", why).into());
        }
    }
    Ok(FrameworkCall { framework, call })
}

/// The agent that a call names beside a task. Schedulers that do not know it leave it out, or send it empty.
fn asked_agent(id: Option<v1::AgentId>) -> Result<Option<AgentId>, Invalid> {
    some_agent(id.filter(|it| !it.value.is_empty()))
}

/// Calls that consist of names.
fn simple(kind: Type, wire: Wire) -> Result<Call, Invalid> {
    Ok(match kind {
        Type::Teardown => Call::Teardown,
        Type::Request => {
            part("REQUEST", "request", wire.request)?;
            Call::Request
        }
        Type::AcceptInverseOffers => {
            let field = "accept_inverse_offers";
            let it = part("ACCEPT_INVERSE_OFFERS", field, wire.accept_inverse_offers)?;
            answer_inverse(it.inverse_offer_ids, true, it.filters).under(field)?
        }
        Type::DeclineInverseOffers => {
            let field = "decline_inverse_offers";
            let it = part("DECLINE_INVERSE_OFFERS", field, wire.decline_inverse_offers)?;
            answer_inverse(it.inverse_offer_ids, false, it.filters).under(field)?
        }
        Type::Revive => Call::Revive(roles("revive.roles", wire.revive.unwrap_or_default().roles)?),
        Type::Suppress => {
            Call::Suppress(roles("suppress.roles", wire.suppress.unwrap_or_default().roles)?)
        }
        Type::Decline => {
            let it = part("DECLINE", "decline", wire.decline)?;
            Call::Decline {
                offers: offers(it.offer_ids).under("decline")?,
                filters: filters(it.filters),
            }
        }
        Type::Kill => {
            let it = part("KILL", "kill", wire.kill)?;
            let task = task_id(&it.task_id).under("kill")?;
            Call::Kill {
                task,
                agent: asked_agent(it.agent_id).under("kill")?,
                grace_ms: grace_ms(it.kill_policy).under("kill")?,
            }
        }
        Type::Shutdown => {
            let it = part("SHUTDOWN", "shutdown", wire.shutdown)?;
            Call::Shutdown(
                executor_id(&it.executor_id).under("shutdown")?,
                agent_id(&it.agent_id).under("shutdown")?,
            )
        }
        Type::Message => {
            let it = part("MESSAGE", "message", wire.message)?;
            Call::Message(
                agent_id(&it.agent_id).under("message")?,
                executor_id(&it.executor_id).under("message")?,
                it.data,
            )
        }
        _ => feedback(kind, wire)?,
    })
}

/// Calls about statuses.
fn feedback(kind: Type, wire: Wire) -> Result<Call, Invalid> {
    match kind {
        Type::Acknowledge => {
            let it = part("ACKNOWLEDGE", "acknowledge", wire.acknowledge)?;
            let status = StatusUuid(uuid_bytes("uuid", &it.uuid).under("acknowledge")?);
            let task = task_id(&it.task_id).under("acknowledge")?;
            Ok(Call::Acknowledge {
                agent: agent_id(&it.agent_id).under("acknowledge")?,
                task,
                status,
            })
        }
        Type::AcknowledgeOperationStatus => {
            let field = "acknowledge_operation_status";
            let it =
                part("ACKNOWLEDGE_OPERATION_STATUS", field, wire.acknowledge_operation_status)?;
            let agent =
                needed("agent_id", it.agent_id).and_then(|it| agent_id(&it)).under(field)?;
            let status = StatusUuid(uuid_bytes("uuid", &it.uuid).under(field)?);
            let operation = operation_name(it.operation_id).under(field)?;
            Ok(Call::AcknowledgeOperation { agent: Some(agent), operation, status })
        }
        Type::Reconcile => {
            let tasks = part("RECONCILE", "reconcile", wire.reconcile)?.tasks;
            let read = |it: v1::scheduler::call::reconcile::Task| {
                Ok((task_id(&it.task_id)?, asked_agent(it.agent_id)?))
            };
            Ok(Call::Reconcile(each("reconcile.tasks", tasks, read)?))
        }
        Type::ReconcileOperations => {
            let list =
                part("RECONCILE_OPERATIONS", "reconcile_operations", wire.reconcile_operations)?
                    .operations;
            let read = |it: v1::scheduler::call::reconcile_operations::Operation| {
                Ok((operation_name(it.operation_id)?, asked_agent(it.agent_id)?))
            };
            Ok(Call::ReconcileOperations(each("reconcile_operations.operations", list, read)?))
        }
        other => {
            Err(Invalid::new("type", format!("{} is no call of a framework", other.as_str_name())))
        }
    }
}

fn subscribe(it: Subscribe) -> Result<Call, Invalid> {
    let (info, suppressed) =
        described(it.framework_info, it.suppressed_roles, it.offer_constraints)?;
    Ok(Call::Subscribe { info, suppressed })
}

fn update(it: UpdateFramework) -> Result<Call, Invalid> {
    let (info, suppressed) =
        described(it.framework_info, it.suppressed_roles, it.offer_constraints)?;
    Ok(Call::UpdateFramework { info, suppressed })
}

fn described(
    info: v1::FrameworkInfo,
    suppressed: Vec<String>,
    constraints: Option<v1::scheduler::OfferConstraints>,
) -> Result<(Box<FrameworkInfo>, BTreeSet<Role>), Invalid> {
    check_size("framework_info", &info, DESCRIPTION_BYTES_MAX)?;
    let mut info = framework::from_proto(info).under("framework_info")?;
    if let Some(it) = constraints {
        check_size("offer_constraints", &it, DESCRIPTION_BYTES_MAX)?;
        info.constraints =
            offer_constraints::from_proto(it, &info.roles).under("offer_constraints")?;
    }
    for (index, text) in suppressed.iter().enumerate() {
        if !info.roles.iter().any(|it| it.as_str() == text) {
            return Err(Invalid::new(
                format!("suppressed_roles[{index}]"),
                format!("`{text}` is no role of the framework"),
            ));
        }
    }
    let suppressed = roles("suppressed_roles", suppressed)?;
    Ok((Box::new(info), suppressed))
}

fn accept(it: Accept, framework: Option<&FrameworkId>) -> Result<Call, Invalid> {
    let operations = operations(it.operations, needed("framework_id", framework)?);
    Ok(Call::Accept { offers: offers(it.offer_ids)?, operations, filters: filters(it.filters) })
}

fn answer_inverse(
    ids: Vec<v1::OfferId>,
    accepts: bool,
    wire: Option<v1::Filters>,
) -> Result<Call, Invalid> {
    let read = |(index, it): (usize, &v1::OfferId)| {
        offer_id(it).at(format_args!("inverse_offer_ids[{index}]"))
    };
    let offers = ids.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(Call::AnswerInverse { offers, accepts, filters: filters(wire) })
}

fn offers(ids: Vec<v1::OfferId>) -> Result<Vec<OfferId>, Invalid> {
    let read =
        |(index, it): (usize, &v1::OfferId)| offer_id(it).at(format_args!("offer_ids[{index}]"));
    ids.iter().enumerate().map(read).collect()
}

fn roles(field: &str, names: Vec<String>) -> Result<BTreeSet<Role>, Invalid> {
    names
        .iter()
        .enumerate()
        .map(|(index, it)| Role::parse(it).at(format_args!("{field}[{index}]")))
        .collect()
}

fn operation_name(id: v1::OperationId) -> Result<String, Invalid> {
    check_id("operation_id", &id.value)?;
    Ok(id.value)
}

/// C5: a filter that makes no sense is the default one, and a filter lasts at most a year.
fn filters(wire: Option<v1::Filters>) -> Filters {
    match wire.and_then(|it| it.refuse_seconds) {
        Some(seconds) if 0.0 <= seconds => {
            Filters { refuse_ms: ((seconds * 1000.0).round() as u64).min(REFUSE_MS_MAX) }
        }
        _ => Filters::default(),
    }
}
