//! Operations of an ACCEPT.
//!
//! An operation that we do not do is no error: it becomes [`Action::Unsupported`], so that the others of the same call go on.
//! Relies on the conversions of resources and tasks. Never lets an operation mix roles: [`with_role`].

use holdfast_proto::mesos::v1;
use v1::offer::operation::{Create, Destroy, Launch, LaunchGroup, Reserve, Type, Unreserve};
use v1::offer::Operation as Wire;

use super::executor::{info_from_proto, info_to_proto};
use super::field::{part, Place};
use super::resource::{list_from_proto, list_to_proto, Format};
use super::task::{list_from_wire, list_to_wire};
use crate::id::check_id;
use crate::operation::{Action, ClaimAction, Operation};
use crate::resource::Resource;
use crate::role::Role;
use crate::task::{ExecutorInfo, TaskInfo};
use crate::validate::Invalid;

/// The types of the API that Holdfast does not do.
const UNSUPPORTED: [(Type, &str); 4] = [
    (Type::GrowVolume, "GROW_VOLUME"),
    (Type::ShrinkVolume, "SHRINK_VOLUME"),
    (Type::CreateDisk, "CREATE_DISK"),
    (Type::DestroyDisk, "DESTROY_DISK"),
];

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

/// Writes an operation, with resources in this format. Of an unsupported one only its type is left, of an unreadable one nothing.
pub fn to_proto(operation: &Operation, format: Format) -> Wire {
    let mut wire =
        Wire { id: operation.id.clone().map(|value| v1::OperationId { value }), ..Wire::default() };
    let list = |it: &[Resource]| list_to_proto(it, format);
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
        Action::Unreadable(_) => Type::Unknown,
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
        Action::Launch(tasks) => allocate_tasks("launch.task_infos", tasks, role)?,
        Action::LaunchGroup(executor, tasks) => {
            allocate_executor(executor, role).under("launch_group.executor")?;
            allocate_tasks("launch_group.task_group.tasks", tasks, role)?;
        }
        Action::Unsupported(_) | Action::Unreadable(_) => {}
    }
    Ok(operation)
}

fn allocate(field: &str, resources: &mut [Resource], role: &Role) -> Result<(), Invalid> {
    for (index, resource) in resources.iter_mut().enumerate() {
        let given = resource.identity.allocation.get_or_insert_with(|| role.clone());
        if given != role {
            let why = format!("is `{given}`, but the offer was made to `{role}`; leave it out, or use offers of that role");
            return Err(Invalid::new(format!("{field}[{index}].allocation_info.role"), why));
        }
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
        ] {
            let wire = Wire { r#type: Some(kind.into()), ..Wire::default() };
            assert_eq!(from_proto(wire).unwrap_err().path, field);
        }
        let wire = Wire { id: Some(v1::OperationId::default()), ..Wire::default() };
        assert_eq!(from_proto(wire).unwrap_err().path, "id");
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
                let lists = match &filled.action {
                    Action::Claim(ClaimAction::Reserve { resources, source }) => vec![resources, source],
                    Action::Claim(ClaimAction::Unreserve(list) | ClaimAction::Create(list) | ClaimAction::Destroy(list)) => vec![list],
                    Action::Launch(tasks) => tasks.iter().flat_map(lists_of).collect(),
                    Action::LaunchGroup(executor, tasks) => tasks.iter().flat_map(lists_of).chain([&executor.resources]).collect(),
                    Action::Unsupported(_) | Action::Unreadable(_) => Vec::new(),
                };
                prop_assert!(lists.into_iter().flatten().all(|it| it.identity.allocation.as_ref() == Some(&role)));
                prop_assert_eq!(with_role(filled.clone(), &role), Ok(filled));
            }
        }
    }
}
