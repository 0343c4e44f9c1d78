//! Calls of the scheduler API.

use holdfast_model::convert::scheduler::{call_from_proto, CallError};
use holdfast_model::{Call, CallerIdentity, FrameworkCall, FrameworkId};
use holdfast_proto::mesos::v1::scheduler::Call as Wire;

use crate::{authorize, Action, Object, Refusal};

/// What the master's core is told by a framework, and who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkCommand {
    /// Who speaks.
    pub caller: CallerIdentity,
    /// What is said, and under which name.
    pub call: FrameworkCall,
}

/// Reads a SUBSCRIBE.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field, [`Refusal::NotServed`] for a type that nobody knows, [`Refusal::Forbidden`].
pub fn subscription(caller: &CallerIdentity, wire: Wire) -> Result<FrameworkCommand, Refusal> {
    let call = read(wire)?;
    if let Call::Subscribe { info, .. } = &call.call {
        for role in &info.roles {
            authorize(caller, Action::RegisterFramework, Object::Role(role))?;
        }
    }
    Ok(FrameworkCommand { caller: caller.clone(), call })
}

/// Reads any other call, and says which framework it names.
///
/// # Errors
/// As [`subscription`]; a SUBSCRIBE without a framework is [`Refusal::Invalid`].
pub fn scheduler_call(
    caller: &CallerIdentity,
    wire: Wire,
) -> Result<(FrameworkId, FrameworkCommand), Refusal> {
    let call = read(wire)?;
    let Some(framework) = call.framework.clone() else {
        return Err(Refusal::Invalid("framework_id: is missing".to_owned()));
    };
    authorize(caller, Action::ActAsFramework, Object::Framework(&framework))?;
    Ok((framework, FrameworkCommand { caller: caller.clone(), call }))
}

fn read(wire: Wire) -> Result<FrameworkCall, Refusal> {
    call_from_proto(wire).map_err(|error| match error {
        CallError::Invalid(invalid) => invalid.into(),
        CallError::UnknownType { .. } => Refusal::NotServed(error.to_string()),
    })
}
