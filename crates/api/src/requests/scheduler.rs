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

/// Why there is no subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSubscribed {
    /// The call itself is wrong: it is answered by a status.
    Refused(Refusal),
    /// The framework may not be as it describes itself. Schedulers of Mesos wait for an ERROR event on the stream that they asked for (D8),
    /// and take a status for a fault of the network.
    Told(String),
}

/// Reads a SUBSCRIBE.
///
/// # Errors
/// [`NotSubscribed::Told`] naming what is wrong with the framework, or the role that it may not have; [`NotSubscribed::Refused`] for all
/// else.
pub fn subscription(
    caller: &CallerIdentity,
    wire: Wire,
) -> Result<FrameworkCommand, NotSubscribed> {
    let call = call_from_proto(wire).map_err(|error| match error {
        CallError::Invalid(invalid) if invalid.path.starts_with("subscribe.") => {
            NotSubscribed::Told(invalid.to_string())
        }
        error => NotSubscribed::Refused(error.into()),
    })?;
    if let Call::Subscribe { info, .. } = &call.call {
        for role in &info.roles {
            authorize(caller, Action::RegisterFramework, Object::Role(role))
                .map_err(|denied| NotSubscribed::Told(Refusal::from(denied).to_string()))?;
        }
    }
    Ok(FrameworkCommand { caller: caller.clone(), call })
}

/// Reads any other call, and says which framework it names.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field, also for a SUBSCRIBE without a framework; [`Refusal::NotServed`] for a type that nobody knows;
/// [`Refusal::Forbidden`].
pub fn scheduler_call(
    caller: &CallerIdentity,
    wire: Wire,
) -> Result<(FrameworkId, FrameworkCommand), Refusal> {
    let call = call_from_proto(wire)?;
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

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Refusal {
        match error {
            CallError::Invalid(invalid) => invalid.into(),
            CallError::UnknownType { .. } => Refusal::NotServed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{framework_id, info, Bed};
    use holdfast_proto::mesos::v1;

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

    #[test]
    fn d8_a_framework_that_cannot_be_is_told_so_on_its_stream() {
        let subscribe = |change: fn(&mut Wire)| {
            let info = v1::FrameworkInfo {
                name: "f".to_owned(),
                user: "u".to_owned(),
                ..Default::default()
            };
            let subscribe =
                v1::scheduler::call::Subscribe { framework_info: info, ..Default::default() };
            let mut wire = Wire {
                r#type: Some(v1::scheduler::call::Type::Subscribe as i32),
                subscribe: Some(subscribe),
                ..Default::default()
            };
            change(&mut wire);
            subscription(&CallerIdentity::default(), wire)
        };
        assert!(subscribe(|_| ()).is_ok());
        let told = subscribe(|it| {
            it.subscribe.as_mut().unwrap().framework_info.failover_timeout = Some(-1.0);
        });
        let Err(NotSubscribed::Told(why)) = told else { panic!("{told:?}") };
        assert!(why.starts_with("subscribe.framework_info.failover_timeout: "), "{why}");
        let refused = subscribe(|it| {
            it.framework_id = Some(v1::FrameworkId { value: "f".to_owned() });
        });
        let Err(NotSubscribed::Refused(why)) = refused else { panic!("{refused:?}") };
        assert!(why.to_string().starts_with("framework_id: "), "{why}");
    }
}
