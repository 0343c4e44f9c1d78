//! Whether a task may be launched, as far as it can be known without looking at a cluster (B48 to B57).
//!
//! Relies on tasks being parsed already. Never accepts what would then be ignored silently: what is not supported yet is refused by
//! name.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::mesos::v1;

use crate::convert::check;
use crate::convert::field::span_ms;
use crate::convert::limits::{check_bytes, DESCRIPTION_BYTES_MAX};
use crate::convert::rest::unpack;
use crate::convert::uris;
use crate::id::{AgentId, FrameworkId, PersistenceId};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::role::Role;
use crate::task::{CommandInfo, ExecutorInfo, ExecutorKind, TaskInfo};
use crate::validate::{check_container_path, check_resource, Invalid};
use crate::value::Scalar;

/// The least that the executor of a group needs: a hundredth of a cpu.
pub const EXECUTOR_CPUS_MIN: Scalar = Scalar::thousandths(10);

/// The least memory that the executor of a group needs, in megabytes (2^20 bytes).
pub const EXECUTOR_MEM_MIN: Scalar = Scalar::whole(32);

/// Checks one task that shall be launched on `agent`.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn check_task(task: &TaskInfo, agent: &AgentId) -> Result<(), Invalid> {
    check_task_alone(task, agent, false)?;
    uris::of_task(task)?;
    let within = |it: Invalid| it.within("executor");
    match (&task.command, &task.executor) {
        (Some(command), None) => check_command(command).map_err(|it| it.within("command"))?,
        (None, Some(executor)) => check_executor(executor).map_err(within)?,
        (None, None) => {
            return Err(Invalid::new("command", "a task needs a `command` or an `executor`"))
        }
        (Some(_), Some(_)) => {
            return Err(Invalid::new(
                "executor",
                "a task has either a `command` or an `executor`; leave one out",
            ))
        }
    }
    let executors = task.executor.iter().flat_map(|it| &it.resources);
    check_together(task.resources.iter().chain(executors))
}

/// Checks a group of tasks that shall be launched together on `agent`.
///
/// # Errors
/// [`Invalid`] naming the field, such as `task_group.tasks[1].command`.
pub fn check_group(
    executor: &ExecutorInfo,
    tasks: &[TaskInfo],
    agent: &AgentId,
) -> Result<(), Invalid> {
    check_group_executor(executor).map_err(|it| it.within("executor"))?;
    if tasks.is_empty() {
        return Err(Invalid::new("task_group.tasks", "is empty; a group needs at least one task"));
    }
    let mut seen = BTreeSet::new();
    for (index, task) in tasks.iter().enumerate() {
        let check = check_member(task, executor, agent);
        check.map_err(|it| it.within(format_args!("task_group.tasks[{index}]")))?;
        if !seen.insert(&task.id) {
            return Err(Invalid::new(
                format!("task_group.tasks[{index}].task_id"),
                format!("`{}` comes twice", task.id),
            ));
        }
    }
    check_together(executor.resources.iter().chain(tasks.iter().flat_map(|it| &it.resources)))
}

/// Checks that the tasks of a group are run as whom they say: Holdfast's own executor runs them all as the user of its framework.
///
/// # Errors
/// [`Invalid`] naming the field, such as `task_group.tasks[1].command.user`.
pub fn check_group_users(
    executor: &ExecutorInfo,
    tasks: &[TaskInfo],
    user: &str,
) -> Result<(), Invalid> {
    if executor.kind != Some(ExecutorKind::Default) {
        return Ok(());
    }
    let wanted = |it: &TaskInfo| it.command.as_ref().and_then(|it| it.user.clone());
    match tasks.iter().position(|it| wanted(it).is_some_and(|it| it != user)) {
        Some(index) => Err(Invalid::new(
            format!("task_group.tasks[{index}].command.user"),
            format!("the tasks of a group run as their framework's user, `{user}`; leave it out, or launch the task by itself"),
        )),
        None => Ok(()),
    }
}

/// Checks that an executor does not say that it belongs to another framework than the one that launches it. `convert::scheduler` has
/// done so for every call that it read.
///
/// # Errors
/// [`Invalid`] naming the field, `framework_id`.
pub fn check_owner(executor: &ExecutorInfo, framework: &FrameworkId) -> Result<(), Invalid> {
    match executor.framework.as_ref().filter(|it| *it != framework) {
        Some(other) => Err(Invalid::new(
            "framework_id",
            format!("is `{other}`, but `{framework}` launches it; leave it out"),
        )),
        None => Ok(()),
    }
}

/// What holds for each task, whatever runs it.
fn check_task_alone(task: &TaskInfo, agent: &AgentId, shares_sandbox: bool) -> Result<(), Invalid> {
    if task.agent != *agent {
        return Err(Invalid::new(
            "agent_id",
            format!("is `{}`, but the offer is of `{agent}`", task.agent),
        ));
    }
    check_bytes("data", task.payload.bytes().len(), DESCRIPTION_BYTES_MAX)?;
    if task.resources.iter().all(|it| it.value.is_empty()) {
        return Err(Invalid::new("resources", "a task uses at least one resource"));
    }
    check_resources(&task.resources)?;
    let rest: v1::TaskInfo = unpack(&task.payload);
    check_container(rest.container.as_ref(), shares_sandbox)?;
    check_secrets(rest.command.as_ref())?;
    check_gpus(&task.resources)?;
    span_ms("max_completion_time", rest.max_completion_time)?;
    check::of_wire(&rest)?;
    check_limits(&rest.limits, &task.resources)
}

fn check_member(task: &TaskInfo, executor: &ExecutorInfo, agent: &AgentId) -> Result<(), Invalid> {
    check_task_alone(task, agent, executor.kind == Some(ExecutorKind::Default))?;
    if task.executor.as_ref().is_some_and(|it| it != executor) {
        return Err(Invalid::new("executor", "differs from that of the group; leave it out"));
    }
    uris::of_task(task)?;
    match &task.command {
        Some(command) => check_command(command).map_err(|it| it.within("command")),
        None if executor.kind == Some(ExecutorKind::Default) => {
            Err(Invalid::new("command", "a task of the default executor needs a command"))
        }
        None => Ok(()),
    }
}

fn check_executor(executor: &ExecutorInfo) -> Result<(), Invalid> {
    check_bytes("data", executor.payload.bytes().len(), DESCRIPTION_BYTES_MAX)?;
    check_resources(&executor.resources)?;
    if let Some(index) = executor.resources.iter().position(|it| it.identity.shared) {
        return Err(Invalid::new(
            format!("resources[{index}].shared"),
            "executors cannot use shared resources; give them to its tasks",
        ));
    }
    let rest: v1::ExecutorInfo = unpack(&executor.payload);
    uris::of_executor(executor)?;
    check_container(rest.container.as_ref(), false)?;
    check_secrets(rest.command.as_ref())?;
    check_gpus(&executor.resources)?;
    match (executor.kind, &executor.command) {
        (Some(ExecutorKind::Default), Some(_)) => {
            Err(Invalid::new("command", "the default executor has its own; leave it out"))
        }
        (Some(ExecutorKind::Default), None) => Ok(()),
        (_, None) => Err(Invalid::new("command", "a custom executor needs a command")),
        (_, Some(command)) => check_command(command).map_err(|it| it.within("command")),
    }
}

fn check_group_executor(executor: &ExecutorInfo) -> Result<(), Invalid> {
    if executor.kind.is_none() {
        return Err(Invalid::new(
            "type",
            "is missing; the executor of a group is DEFAULT or CUSTOM",
        ));
    }
    check_executor(executor)?;
    let all: Resources = executor.resources.iter().collect();
    let (cpus, mem, disk) = (all.quantity("cpus"), all.quantity("mem"), all.quantity("disk"));
    if cpus < EXECUTOR_CPUS_MIN {
        return Err(Invalid::new(
            "resources",
            format!("has {cpus} cpus; the executor of a group needs at least {EXECUTOR_CPUS_MIN}"),
        ));
    }
    if mem < EXECUTOR_MEM_MIN {
        return Err(Invalid::new(
            "resources",
            format!(
                "has {mem} MB of mem; the executor of a group needs at least {EXECUTOR_MEM_MIN}"
            ),
        ));
    }
    if disk <= Scalar::ZERO {
        return Err(Invalid::new(
            "resources",
            "has no disk; the executor of a group needs some for its sandbox",
        ));
    }
    Ok(())
}

fn check_resources(resources: &[Resource]) -> Result<(), Invalid> {
    for (index, resource) in resources.iter().enumerate() {
        check_resource(resource).map_err(|it| it.within(format_args!("resources[{index}]")))?;
    }
    Ok(())
}

/// What holds for a task and its executor, or a group, taken together.
fn check_together<'a>(all: impl Iterator<Item = &'a Resource>) -> Result<(), Invalid> {
    let mut revocable: BTreeMap<&str, bool> = BTreeMap::new();
    let mut volumes: BTreeSet<(Role, &PersistenceId)> = BTreeSet::new();
    for resource in all.filter(|it| !it.value.is_empty()) {
        let identity = &resource.identity;
        if *revocable.entry(&identity.name).or_insert(identity.revocable) != identity.revocable {
            let why = format!(
                "`{}` is partly revocable; use either revocable or other {}",
                identity.name, identity.name
            );
            return Err(Invalid::new("resources", why));
        }
        if let Some(id) = identity.persistence.as_ref().filter(|_| !identity.shared) {
            if !volumes.insert((identity.role(), id)) {
                return Err(Invalid::new(
                    "resources",
                    format!("the volume `{id}` comes twice; name it once"),
                ));
            }
        }
    }
    Ok(())
}

fn check_command(command: &CommandInfo) -> Result<(), Invalid> {
    let value = command.value.as_deref().unwrap_or_default();
    if command.shell && value.is_empty() {
        return Err(Invalid::new("value", "is missing; a shell command needs its line, or set `shell` to false and give `arguments`"));
    }
    if value.is_empty() && command.arguments.is_empty() {
        return Err(Invalid::new(
            "value",
            "is missing; name the program in `value` or in `arguments`",
        ));
    }
    Ok(())
}

/// `shares_sandbox`: Holdfast's own executor runs the task beside others in one sandbox.
fn check_container(
    container: Option<&v1::ContainerInfo>,
    shares_sandbox: bool,
) -> Result<(), Invalid> {
    let Some(container) = container else { return Ok(()) };
    let refuse = |field: &str, why: &str| Err(Invalid::new(format!("container.{field}"), why));
    if container.r#type != i32::from(v1::container_info::Type::Mesos) {
        return refuse("type", "Docker containers are not supported; use MESOS without an image");
    }
    if container.docker.is_some() {
        return refuse("docker", "must be absent from a container of type MESOS");
    }
    if container.mesos.as_ref().is_some_and(|it| it.image.is_some()) {
        return refuse(
            "mesos.image",
            "images are not supported yet; the task sees the machine's own files",
        );
    }
    if !container.volumes.is_empty() && !shares_sandbox {
        return refuse(
            "volumes",
            "a container's own volumes are not supported yet; use a persistent volume",
        );
    }
    for (index, volume) in container.volumes.iter().enumerate() {
        check_shared_place(volume)
            .map_err(|it| it.within(format_args!("container.volumes[{index}]")))?;
    }
    if container.hostname.is_some() {
        return refuse(
            "hostname",
            "a name of its own is not supported yet; tasks have the machine's",
        );
    }
    if let Some(limits) = &container.rlimit_info {
        check_rlimits(limits).map_err(|it| it.within("container.rlimit_info"))?;
    }
    if let Some(linux) = &container.linux_info {
        check_linux(linux).map_err(|it| it.within("container.linux_info"))?;
    }
    for (index, network) in container.network_infos.iter().enumerate() {
        check_network(network)
            .map_err(|it| it.within(format_args!("container.network_infos[{index}]")))?;
    }
    Ok(())
}

/// A limit that contradicts itself is wrong; the others are not supported yet.
fn check_rlimits(limits: &v1::RLimitInfo) -> Result<(), Invalid> {
    for (index, limit) in limits.rlimits.iter().enumerate() {
        let (field, why) = match (limit.soft, limit.hard) {
            (Some(soft), Some(hard)) if hard < soft => ("soft", "is greater than `hard`"),
            (Some(_), None) => ("hard", "is missing; give both bounds, or none"),
            (None, Some(_)) => ("soft", "is missing; give both bounds, or none"),
            _ => continue,
        };
        return Err(Invalid::new(format!("rlimits[{index}].{field}"), why));
    }
    match limits.rlimits.is_empty() {
        true => Ok(()),
        false => Err(Invalid::new(
            "rlimits[0].type",
            "limits of the kernel are not supported yet; set them in the command, with ulimit",
        )),
    }
}

/// What would make a task see or do less than others is refused: it would be taken for granted.
#[allow(deprecated, reason = "`capability_info` is refused as its successors are")]
fn check_linux(linux: &v1::LinuxInfo) -> Result<(), Invalid> {
    let refused = [
        ("capability_info", linux.capability_info.is_some()),
        ("bounding_capabilities", linux.bounding_capabilities.is_some()),
        ("effective_capabilities", linux.effective_capabilities.is_some()),
        ("seccomp", linux.seccomp.is_some()),
        ("share_pid_namespace", linux.share_pid_namespace == Some(false)),
        ("ipc_mode", linux.ipc_mode == Some(v1::linux_info::IpcMode::Private.into())),
        ("shm_size", linux.shm_size.is_some()),
        ("share_cgroups", linux.share_cgroups == Some(false)),
    ];
    match refused.into_iter().find(|(_, is_asked)| *is_asked) {
        Some((field, _)) => Err(Invalid::new(
            field,
            "is not supported yet; leave it out, and the task has what the agent gives to all",
        )),
        None => Ok(()),
    }
}

fn check_network(network: &v1::NetworkInfo) -> Result<(), Invalid> {
    let refused = [
        ("name", network.name.is_some()),
        ("port_mappings", !network.port_mappings.is_empty()),
        ("groups", !network.groups.is_empty()),
        ("ip_addresses", !network.ip_addresses.is_empty()),
    ];
    match refused.into_iter().find(|(_, is_asked)| *is_asked) {
        Some((field, _)) => Err(Invalid::new(
            field,
            "networks of its own are not supported yet; tasks use the machine's network",
        )),
        None => Ok(()),
    }
}

/// A variable that is a secret cannot be had from anywhere yet, and a service that starts without its password is worse than none.
fn check_secrets(command: Option<&v1::CommandInfo>) -> Result<(), Invalid> {
    let variables = command.and_then(|it| it.environment.as_ref()).map(|it| &it.variables);
    match variables.and_then(|all| all.iter().position(|it| it.secret.is_some())) {
        Some(index) => Err(Invalid::new(
            format!("command.environment.variables[{index}].secret"),
            "secrets are not supported yet; give the variable a value, or read it from a file",
        )),
        None => Ok(()),
    }
}

/// Nothing gives a task a device, so it gets none of what an agent's settings say of them.
fn check_gpus(resources: &[Resource]) -> Result<(), Invalid> {
    let asked = |it: &Resource| it.identity.name == "gpus" && !it.value.is_empty();
    match resources.iter().position(asked) {
        Some(index) => Err(Invalid::new(
            format!("resources[{index}].name"),
            "gpus are not supported yet: no device would be given to the task",
        )),
        None => Ok(()),
    }
}

/// E40: a task of a group may be shown a place of the sandbox that it shares with the others, and nothing else.
fn check_shared_place(volume: &v1::Volume) -> Result<(), Invalid> {
    use v1::volume::source::{sandbox_path::Type as Whose, Type};
    let source = volume.source.as_ref();
    if volume.host_path.is_some()
        || volume.image.is_some()
        || source.is_none_or(|it| it.r#type() != Type::SandboxPath)
    {
        return Err(Invalid::new(
            "source.type",
            "only SANDBOX_PATH is supported, in a task of a group; else use a persistent volume",
        ));
    }
    let Some(place) = source.and_then(|it| it.sandbox_path.as_ref()) else {
        return Err(Invalid::new(
            "source.sandbox_path",
            "is missing; a source of type SANDBOX_PATH needs it",
        ));
    };
    if place.r#type() != Whose::Parent {
        return Err(Invalid::new(
            "source.sandbox_path.type",
            "only PARENT is supported: the sandbox that the tasks of a group share",
        ));
    }
    if volume.mode() != v1::volume::Mode::Rw {
        return Err(Invalid::new("mode", "RO is not supported: the place is shown by a link, which keeps nobody from writing; give RW"));
    }
    check_container_path(&place.path)
        .map_err(|it| Invalid::new("source.sandbox_path.path", it.why))?;
    check_container_path(&volume.container_path)
}

/// How much memory a task may take: its limit, else what it asked for; `None` when it said that there is no limit.
pub fn memory_limit(task: &TaskInfo) -> Option<Scalar> {
    let request = task.own_resources().quantity("mem");
    match unpack::<v1::TaskInfo>(&task.payload).limits.get("mem").map(|it| it.value) {
        Some(limit) if limit == f64::INFINITY => None,
        Some(limit) => Some(Scalar::from_f64(limit).map_or(request, |limit| limit.max(request))),
        None => Some(request),
    }
}

/// B54: only cpus and mem have limits, and a limit is at least the request. Processors are shares, and a ceiling on them is refused.
fn check_limits(
    limits: &BTreeMap<String, v1::value::Scalar>,
    resources: &[Resource],
) -> Result<(), Invalid> {
    let all: Resources = resources.iter().collect();
    for (name, limit) in limits {
        if name != "cpus" && name != "mem" {
            return Err(Invalid::new(
                format!("limits.{name}"),
                "has no limit; only cpus and mem have",
            ));
        }
        let request = all.quantity(name);
        let enough = limit.value == f64::INFINITY
            || Scalar::from_f64(limit.value).is_some_and(|it| request <= it);
        if !enough {
            return Err(Invalid::new(
                format!("limits.{name}"),
                format!("{} is less than the {request} requested", limit.value),
            ));
        }
        if name == "cpus" && limit.value != f64::INFINITY {
            let why = "a ceiling on processors is not supported yet: a task may use what is idle; give Infinity, or leave it out";
            return Err(Invalid::new("limits.cpus", why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
