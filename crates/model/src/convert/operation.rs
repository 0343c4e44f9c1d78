//! Operations of an ACCEPT.
//!
//! An operation that we do not do is no error: it becomes [`Action::Unsupported`], so that the others of the same call go on.
//! Relies on the conversions of resources and tasks. Never lets an operation mix roles: [`with_role`].

use holdfast_proto::mesos::v1;
use v1::offer::operation::{
    Create, Destroy, GrowVolume, Launch, LaunchGroup, Reserve, ShrinkVolume, Type, Unreserve,
};
use v1::offer::Operation as Wire;

use super::executor::{info_from_proto, info_to_proto};
use super::field::{part, Place};
use super::resource::{self, list_from_proto, list_to_proto, Format};
use super::task::{list_from_wire, list_to_wire};
use crate::id::check_id;
use crate::operation::{Action, ClaimAction, Operation};
use crate::resource::Resource;
use crate::role::Role;
use crate::task::{ExecutorInfo, TaskInfo};
use crate::validate::Invalid;
use crate::value::Scalar;

/// The types of the API that Holdfast does not do.
const UNSUPPORTED: [(Type, &str); 4] = [
    (Type::GrowVolume, GROW_VOLUME), // Only in records of a time when it was not done: see `from_record`.
    (Type::ShrinkVolume, SHRINK_VOLUME),
    (Type::CreateDisk, "CREATE_DISK"),
    (Type::DestroyDisk, "DESTROY_DISK"),
];
const GROW_VOLUME: &str = "GROW_VOLUME";
const SHRINK_VOLUME: &str = "SHRINK_VOLUME";

/// Reads an operation of a ledger or of a link. Earlier versions kept nothing but its type of one that they did not do.
///
/// # Errors
/// As [`from_proto`].
pub fn from_record(wire: Wire) -> Result<Operation, Invalid> {
    let name = match wire.r#type.map(Type::try_from) {
        Some(Ok(Type::GrowVolume)) if wire.grow_volume.is_none() => GROW_VOLUME,
        Some(Ok(Type::ShrinkVolume)) if wire.shrink_volume.is_none() => SHRINK_VOLUME,
        _ => return from_proto(wire),
    };
    let id = wire.id.map(|it| it.value);
    if let Some(id) = &id {
        check_id("id", id)?;
    }
    Ok(Operation { id, action: Action::Unsupported(name) })
}

/// Reads an operation.
///
/// # Errors
/// [`Invalid`] naming the field, such as `reserve.resources[0].role`.
pub fn from_proto(wire: Wire) -> Result<Operation, Invalid> {
    let id = wire.id.map(|it| it.value);
    if let Some(id) = &id {
        check_id("id", id)?;
    }
    let kind = wire.r#type.map(Type::try_from).and_then(Result::ok).unwrap_or(Type::Unknown);
    let claim = match kind {
        Type::Reserve => {
            let it = part("RESERVE", "reserve", wire.reserve)?;
            ClaimAction::Reserve {
                resources: list_from_proto("reserve.resources", it.resources)?,
                source: list_from_proto("reserve.source", it.source)?,
            }
        }
        Type::Unreserve => {
            let it = part("UNRESERVE", "unreserve", wire.unreserve)?;
            ClaimAction::Unreserve(list_from_proto("unreserve.resources", it.resources)?)
        }
        Type::Create => ClaimAction::Create(list_from_proto(
            "create.volumes",
            part("CREATE", "create", wire.create)?.volumes,
        )?),
        Type::Destroy => ClaimAction::Destroy(list_from_proto(
            "destroy.volumes",
            part("DESTROY", "destroy", wire.destroy)?.volumes,
        )?),
        Type::GrowVolume => {
            let it = part(GROW_VOLUME, "grow_volume", wire.grow_volume)?;
            grow(it.volume, it.addition).under("grow_volume")?
        }
        Type::ShrinkVolume => {
            let it = part(SHRINK_VOLUME, "shrink_volume", wire.shrink_volume)?;
            shrink(it.volume, it.subtract.value).under("shrink_volume")?
        }
        Type::Launch => {
            let tasks = list_from_wire(
                "launch.task_infos",
                part("LAUNCH", "launch", wire.launch)?.task_infos,
            )?;
            return Ok(Operation { id, action: Action::Launch(tasks) });
        }
        Type::LaunchGroup => {
            let it = part("LAUNCH_GROUP", "launch_group", wire.launch_group)?;
            let executor = info_from_proto(it.executor).under("launch_group.executor")?;
            let tasks = list_from_wire("launch_group.task_group.tasks", it.task_group.tasks)?;
            return Ok(Operation { id, action: Action::LaunchGroup(executor, tasks) });
        }
        other => {
            let name = UNSUPPORTED
                .iter()
                .find(|(it, _)| *it == other)
                .map_or("UNKNOWN", |(_, name)| *name);
            return Ok(Operation { id, action: Action::Unsupported(name) });
        }
    };
    Ok(Operation { id, action: Action::Claim(claim) })
}

/// A volume, and what comes to it.
pub(super) fn grow(volume: v1::Resource, addition: v1::Resource) -> Result<ClaimAction, Invalid> {
    Ok(ClaimAction::Grow {
        volume: resource::from_proto(volume).under("volume")?,
        addition: resource::from_proto(addition).under("addition")?,
    })
}

/// A volume, and how many megabytes of it go.
pub(super) fn shrink(volume: v1::Resource, subtract: f64) -> Result<ClaimAction, Invalid> {
    let why = || Invalid::new("subtract.value", format!("{subtract} is no amount of megabytes"));
    Ok(ClaimAction::Shrink {
        volume: resource::from_proto(volume).under("volume")?,
        subtract: Scalar::from_f64(subtract).ok_or_else(why)?,
    })
}

/// Writes an operation, with resources in this format. Of an unsupported one only its type is left, of an unreadable one nothing.
pub fn to_proto(operation: &Operation, format: Format) -> Wire {
    let mut wire =
        Wire { id: operation.id.clone().map(|value| v1::OperationId { value }), ..Wire::default() };
    let list = |it: &[Resource]| list_to_proto(it, format);
    let one = |it: &Resource| resource::to_proto(it, format);
    let kind = match &operation.action {
        Action::Claim(ClaimAction::Reserve { resources, source }) => {
            wire.reserve = Some(Reserve { source: list(source), resources: list(resources) });
            Type::Reserve
        }
        Action::Claim(ClaimAction::Unreserve(resources)) => {
            wire.unreserve = Some(Unreserve { resources: list(resources) });
            Type::Unreserve
        }
        Action::Claim(ClaimAction::Create(volumes)) => {
            wire.create = Some(Create { volumes: list(volumes) });
            Type::Create
        }
        Action::Claim(ClaimAction::Destroy(volumes)) => {
            wire.destroy = Some(Destroy { volumes: list(volumes) });
            Type::Destroy
        }
        Action::Claim(ClaimAction::Grow { volume, addition }) => {
            wire.grow_volume = Some(GrowVolume { volume: one(volume), addition: one(addition) });
            Type::GrowVolume
        }
        Action::Claim(ClaimAction::Shrink { volume, subtract }) => {
            let subtract = v1::value::Scalar { value: subtract.to_f64() };
            wire.shrink_volume = Some(ShrinkVolume { volume: one(volume), subtract });
            Type::ShrinkVolume
        }
        Action::Launch(tasks) => {
            wire.launch = Some(Launch { task_infos: list_to_wire(tasks, format) });
            Type::Launch
        }
        Action::LaunchGroup(executor, tasks) => {
            let task_group = v1::TaskGroupInfo { tasks: list_to_wire(tasks, format) };
            wire.launch_group =
                Some(LaunchGroup { executor: info_to_proto(executor, format), task_group });
            Type::LaunchGroup
        }
        Action::Unsupported(name) => {
            UNSUPPORTED.iter().find(|(_, it)| it == name).map_or(Type::Unknown, |(kind, _)| *kind)
        }
        // No operation of the Mesos API: our own messages have a field of its own for it.
        Action::Claim(ClaimAction::Together(_)) | Action::Unreadable(_) => Type::Unknown,
    };
    wire.r#type = Some(kind.into());
    wire
}

/// The same with all resources allocated to `role`, which is that of the offers.
///
/// # Errors
/// [`Invalid`] when a resource says that it is allocated to another role.
pub fn with_role(mut operation: Operation, role: &Role) -> Result<Operation, Invalid> {
    match &mut operation.action {
        Action::Claim(ClaimAction::Reserve { resources, source }) => {
            allocate("reserve.resources", resources, role)?;
            allocate("reserve.source", source, role)?;
        }
        Action::Claim(ClaimAction::Unreserve(resources)) => {
            allocate("unreserve.resources", resources, role)?
        }
        Action::Claim(ClaimAction::Create(volumes)) => allocate("create.volumes", volumes, role)?,
        Action::Claim(ClaimAction::Destroy(volumes)) => allocate("destroy.volumes", volumes, role)?,
        Action::Claim(ClaimAction::Grow { volume, addition }) => {
            allocate_one(volume, role).under("grow_volume.volume")?;
            allocate_one(addition, role).under("grow_volume.addition")?;
        }
        Action::Claim(ClaimAction::Shrink { volume, .. }) => {
            allocate_one(volume, role).under("shrink_volume.volume")?;
        }
        Action::Launch(tasks) => allocate_tasks("launch.task_infos", tasks, role)?,
        Action::LaunchGroup(executor, tasks) => {
            allocate_executor(executor, role).under("launch_group.executor")?;
            allocate_tasks("launch_group.task_group.tasks", tasks, role)?;
        }
        Action::Claim(ClaimAction::Together(_))
        | Action::Unsupported(_)
        | Action::Unreadable(_) => {}
    }
    Ok(operation)
}

fn allocate(field: &str, resources: &mut [Resource], role: &Role) -> Result<(), Invalid> {
    for (index, resource) in resources.iter_mut().enumerate() {
        allocate_one(resource, role).under(format_args!("{field}[{index}]"))?;
    }
    Ok(())
}

fn allocate_one(resource: &mut Resource, role: &Role) -> Result<(), Invalid> {
    let given = resource.identity.allocation.get_or_insert_with(|| role.clone());
    if given != role {
        let why = format!("is `{given}`, but the offer was made to `{role}`; leave it out, or use offers of that role");
        return Err(Invalid::new("allocation_info.role", why));
    }
    Ok(())
}

fn allocate_executor(executor: &mut ExecutorInfo, role: &Role) -> Result<(), Invalid> {
    allocate("resources", &mut executor.resources, role)
}

fn allocate_tasks(field: &str, tasks: &mut [TaskInfo], role: &Role) -> Result<(), Invalid> {
    for (index, task) in tasks.iter_mut().enumerate() {
        allocate("resources", &mut task.resources, role).under(format_args!("{field}[{index}]"))?;
        if let Some(executor) = &mut task.executor {
            allocate_executor(executor, role).under(format_args!("{field}[{index}].executor"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::samples;
    use proptest::prelude::*;

    #[test]
    fn an_operation_needs_its_part() {
        for (kind, field) in [
            (Type::Launch, "launch"),
            (Type::LaunchGroup, "launch_group"),
            (Type::Reserve, "reserve"),
            (Type::Unreserve, "unreserve"),
            (Type::Create, "create"),
            (Type::Destroy, "destroy"),
            (Type::GrowVolume, "grow_volume"),
            (Type::ShrinkVolume, "shrink_volume"),
        ] {
            let wire = Wire { r#type: Some(kind.into()), ..Wire::default() };
            assert_eq!(from_proto(wire).unwrap_err().path, field);
        }
        let wire = Wire { id: Some(v1::OperationId::default()), ..Wire::default() };
        assert_eq!(from_proto(wire).unwrap_err().path, "id");
    }

    #[test]
    fn what_an_earlier_version_did_not_do_is_read_as_it_was_written() {
        for (kind, name) in [(Type::GrowVolume, GROW_VOLUME), (Type::ShrinkVolume, SHRINK_VOLUME)] {
            let id = Some(v1::OperationId { value: "a".to_owned() });
            let wire = Wire { id, r#type: Some(kind.into()), ..Wire::default() };
            let read = from_record(wire.clone()).unwrap();
            let expected =
                Operation { id: Some("a".to_owned()), action: Action::Unsupported(name) };
            assert_eq!(read, expected);
            assert_eq!(to_proto(&read, Format::WHOLE), wire);
        }
    }

    #[test]
    fn a_shrinking_says_by_how_much() {
        let volume = v1::Resource {
            name: "disk".to_owned(),
            r#type: v1::value::Type::Scalar.into(),
            scalar: Some(v1::value::Scalar { value: 10.0 }),
            ..v1::Resource::default()
        };
        for (subtract, is_read) in [(2.5, true), (f64::NAN, false), (1e300, false)] {
            let subtract = v1::value::Scalar { value: subtract };
            let shrink_volume = Some(ShrinkVolume { volume: volume.clone(), subtract });
            let wire =
                Wire { r#type: Some(Type::ShrinkVolume.into()), shrink_volume, ..Wire::default() };
            match from_proto(wire) {
                Ok(read) => {
                    assert!(is_read);
                    let Action::Claim(ClaimAction::Shrink { subtract, .. }) = read.action else {
                        panic!("it is a shrinking")
                    };
                    assert_eq!(subtract, Scalar::thousandths(2500));
                }
                Err(why) => {
                    assert_eq!(
                        (is_read, why.path.as_str()),
                        (false, "shrink_volume.subtract.value")
                    )
                }
            }
        }
    }

    #[test]
    fn roles_are_filled_in_and_never_mixed() {
        let role = |it| Role::parse(it).unwrap();
        let cpus = || Resource::scalar("cpus", crate::value::Scalar::whole(1));
        let unreserve = |resources| Operation {
            id: None,
            action: Action::Claim(ClaimAction::Unreserve(resources)),
        };
        let filled =
            with_role(unreserve(vec![cpus(), cpus().allocated_to(&role("a"))]), &role("a"))
                .unwrap();
        assert_eq!(
            filled,
            unreserve(vec![cpus().allocated_to(&role("a")), cpus().allocated_to(&role("a"))])
        );
        let mixed = with_role(unreserve(vec![cpus(), cpus().allocated_to(&role("b"))]), &role("a"))
            .unwrap_err();
        assert_eq!(mixed.path, "unreserve.resources[1].allocation_info.role");
    }

    fn lists_of(task: &TaskInfo) -> impl Iterator<Item = &Vec<Resource>> {
        std::iter::once(&task.resources).chain(task.executor.as_ref().map(|it| &it.resources))
    }

    proptest! {
        #[test]
        fn operations_come_back(operation in samples::operation()) {
            prop_assert_eq!(from_proto(to_proto(&operation, Format::WHOLE)), Ok(operation));
        }

        #[test]
        fn a_filled_in_role_is_everywhere(operation in samples::operation(), role in samples::role()) {
            if let Ok(filled) = with_role(operation, &role) {
                let resized;
                let lists = match &filled.action {
                    Action::Claim(ClaimAction::Reserve { resources, source }) => vec![resources, source],
                    Action::Claim(ClaimAction::Unreserve(list) | ClaimAction::Create(list) | ClaimAction::Destroy(list)) => vec![list],
                    Action::Claim(ClaimAction::Grow { volume, addition }) => {
                        resized = vec![volume.clone(), addition.clone()];
                        vec![&resized]
                    }
                    Action::Claim(ClaimAction::Shrink { volume, .. }) => {
                        resized = vec![volume.clone()];
                        vec![&resized]
                    }
                    Action::Launch(tasks) => tasks.iter().flat_map(lists_of).collect(),
                    Action::LaunchGroup(executor, tasks) => tasks.iter().flat_map(lists_of).chain([&executor.resources]).collect(),
                    Action::Claim(ClaimAction::Together(_)) | Action::Unsupported(_) | Action::Unreadable(_) => Vec::new(),
                };
                prop_assert!(lists.into_iter().flatten().all(|it| it.identity.allocation.as_ref() == Some(&role)));
                prop_assert_eq!(with_role(filled.clone(), &role), Ok(filled));
            }
        }
    }
}
