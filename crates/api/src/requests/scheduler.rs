//! Calls of the scheduler API.

use holdfast_model::convert::scheduler::{call_from_proto, CallError};
use holdfast_model::{Call, CallerIdentity, FrameworkCall, FrameworkId, FrameworkInfo};
use holdfast_proto::mesos::v1::scheduler::Call as Wire;

use crate::{authorize, Action, MasterView, Object, Refusal};

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

/// Checks that a framework that describes itself anew stays who it is (D13).
///
/// # Errors
/// [`Refusal::Invalid`] naming the field that may not change.
pub fn check_update(
    view: &MasterView,
    framework: &FrameworkId,
    info: &FrameworkInfo,
) -> Result<(), Refusal> {
    let Some(record) = view.ledger().frameworks.get(framework) else { return Ok(()) };
    let changes = [
        ("user", record.info.user != info.user),
        ("checkpoint", record.info.checkpoint != info.checkpoint),
        ("principal", record.info.principal != info.principal),
    ];
    match changes.into_iter().find(|(_, differs)| *differs) {
        Some((field, _)) => Err(Refusal::Invalid(format!(
            "update_framework.framework_info.{field}: cannot be changed; leave it as it was, or subscribe as another framework"
        ))),
        None => Ok(()),
    }
}

fn read(wire: Wire) -> Result<FrameworkCall, Refusal> {
    call_from_proto(wire).map_err(|error| match error {
        CallError::Invalid(invalid) => invalid.into(),
        CallError::UnknownType { .. } => Refusal::NotServed(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{framework_id, info, Bed};

    #[test]
    fn d13_a_framework_stays_who_it_is() {
        let view = Bed::usual().view();
        let check = |change: fn(&mut FrameworkInfo)| {
            let mut info = info("f-0", "another name");
            change(&mut info);
            check_update(&view, &framework_id("f-0"), &info).map_err(|it| it.to_string())
        };
        assert_eq!(check(|_| ()), Ok(()));
        let wrong = |change, field: &str| {
            let why = check(change).unwrap_err();
            assert!(
                why.starts_with(&format!("update_framework.framework_info.{field}: ")),
                "{why}"
            );
        };
        wrong(|it| it.user = "root".to_owned(), "user");
        wrong(|it| it.checkpoint = false, "checkpoint");
        wrong(|it| it.principal = None, "principal");
    }
}
