//! How an executor's container shall be, with the tasks that live now.
//!
//! Relies on the ledger, and on [`Containers`] for who sees a shared volume. Never names a volume twice at one path.

use holdfast_model::launch::memory_limit;
use holdfast_model::{AgentLedger, ExecutorKey, ExecutorKind, Mode, Resource, Resources};

use super::holds::is_seen_elsewhere;
use super::records::{find_volume, label, live_tasks};
use crate::contract::{ContainerPlan, Payload, VolumePlan};
use crate::parts::Containers;

/// `None` when the agent does not know its own name or the framework.
pub(crate) fn container_plan(
    ledger: &AgentLedger,
    containers: &Containers,
    key: &ExecutorKey,
) -> Option<ContainerPlan> {
    let record = ledger.executors.get(key)?;
    let framework = ledger.frameworks.get(&key.0)?;
    let tasks = live_tasks(ledger, key);
    let resources: Vec<&Resource> = record
        .info
        .resources
        .iter()
        .chain(tasks.iter().flat_map(|it| &it.info.resources))
        .collect();
    let total = |name: &str| -> i64 {
        let amounts = resources
            .iter()
            .filter(|it| it.identity.name == name)
            .map(|it| it.value.quantity().as_thousandths());
        amounts.fold(0, i64::saturating_add)
    };
    // All of a container share one limit; one task without makes it none.
    let executor = record.info.resources.iter().collect::<Resources>().quantity("mem");
    let memory =
        tasks.iter().try_fold(executor, |sum, task| Some(sum.plus(memory_limit(&task.info)?)));
    let payload = match (record.command, record.info.kind) {
        (true, _) => Payload::CommandExecutor,
        (false, Some(ExecutorKind::Default)) => Payload::DefaultExecutor,
        (false, _) => Payload::Custom,
    };
    let command_user = record.info.command.as_ref().and_then(|it| it.user.clone());
    Some(ContainerPlan {
        container: record.container,
        framework: key.0.clone(),
        executor: key.1.clone(),
        payload,
        info: record.info.clone(),
        agent: ledger.identity.agent.clone()?,
        user: command_user.unwrap_or_else(|| framework.user.clone()),
        role: record.role.as_str().to_owned(),
        checkpoint: framework.checkpoint,
        volumes: volume_plans(ledger, containers, key, &resources),
        cpus_thousandths: u64::try_from(total("cpus")).unwrap_or(0),
        mem_mb: memory
            .map_or(0, |it| u64::try_from(it.as_thousandths()).unwrap_or(0).div_ceil(1000)),
        task: tasks.first().filter(|_| record.command).map(|it| it.info.payload.clone()),
    })
}

fn volume_plans(
    ledger: &AgentLedger,
    containers: &Containers,
    key: &ExecutorKey,
    resources: &[&Resource],
) -> Vec<VolumePlan> {
    let mut plans: Vec<VolumePlan> = Vec::new();
    for resource in resources {
        let Some(claim) = find_volume(ledger, &resource.identity) else { continue };
        let mount = resource.mount.as_ref().or(claim.resource.mount.as_ref());
        let (Some(label), Some(mount)) = (label(claim), mount) else { continue };
        let read_only = mount.mode == Mode::ReadOnly;
        let plan = VolumePlan {
            label,
            container_path: mount.container_path.clone(),
            mode: if read_only { Mode::ReadOnly } else { Mode::ReadWrite },
            // Whoever sees it now needs it as it is, until the last of its processes has ended.
            keeps_owner: claim.resource.identity.shared
                && is_seen_elsewhere(containers, claim, key),
        };
        if !plans.contains(&plan) {
            plans.push(plan);
        }
    }
    plans
}
