//! Makes the task of a member: its command, environment, files, what is fetched and how it is
//! checked.
//!
//! Files travel in the environment, and are written by the task's own shell before its command. A
//! template that names what is not known keeps the member from starting, with the reason.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_model::convert::carried::with_parts;
use holdfast_model::{
    AgentId, Check, CommandInfo, ExecutorInfo, ExecutorKind, HealthCheck, HttpProbe, Probe,
    Resource, TaskChecks, TaskId, TaskInfo, Timing,
};

use super::hooks::ServiceView;
use super::member::{executor_of, PodMember};
use crate::spec::{render, CheckSpec, Goal, PodSpec, ProbeSpec, TaskSpec};

/// The variable that holds a file.
const FILE: &str = "HOLDFAST_FILE_";

/// The variables that every task has, beside one for each port of its pod.
pub(crate) const MEMBER_VARIABLES: [&str; 7] =
    ["SERVICE_NAME", "POD", "POD_INDEX", "POD_NAME", "POD_COUNT", "TASK_NAME", "HOST"];

/// The description of a member's task.
///
/// # Errors
/// What a template of it names that is not known.
pub(crate) fn task_info(
    view: &ServiceView<'_>,
    pod: &PodSpec,
    member: &PodMember,
    task: &TaskSpec,
    (id, agent): (TaskId, AgentId),
    resources: Vec<Resource>,
) -> Result<TaskInfo, String> {
    let mut values = known(view, pod, member, task);
    for (name, value) in &task.environment {
        let value = render(value, &values).map_err(|why| format!("variable {name}: {why}"))?;
        values.insert(name.clone(), value);
    }
    let mut environment: Vec<(String, String)> =
        values.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut line = String::new();
    for (index, file) in task.files.iter().enumerate() {
        let text =
            render(&file.template, &values).map_err(|why| format!("file {}: {why}", file.path))?;
        environment.push((format!("{FILE}{index}"), text));
        line.push_str(&written(index, &file.path));
    }
    line.push_str(&task.command);
    let user = task.user.clone().or_else(|| view.spec.user.clone());
    let command =
        CommandInfo { shell: true, value: Some(line), environment, user, ..CommandInfo::default() };
    let service = &view.spec.name;
    let name = match task.goal {
        Goal::Running => format!("{service}-{}", member.id),
        Goal::Once => format!("{service}-{}-{}", member.id, task.name),
    };
    let info = TaskInfo {
        id,
        name,
        agent,
        resources,
        executor: None,
        command: Some(command),
        kill_grace_ms: task.kill_grace_ms,
        payload: Default::default(),
    };
    let checks = TaskChecks {
        health: task.health.as_ref().map(|it| health(it, member)).transpose()?,
        check: task.readiness.as_ref().map(|it| plain(it, member)).transpose()?,
    };
    Ok(with_parts(info, &task.uris, &checks))
}

/// The same task with its command as an executor of its own, which runs it.
///
/// # Errors
/// When the task has what only an executor of ours does.
pub(crate) fn by_its_executor(info: TaskInfo, task: &TaskSpec) -> Result<TaskInfo, String> {
    if !task.uris.is_empty() {
        return Err(format!(
            "task `{}` brings its own executor, which fetches for itself; take its `uris` away",
            task.name
        ));
    }
    let executor = ExecutorInfo {
        id: executor_of(&info.id),
        kind: Some(ExecutorKind::Custom),
        framework: None,
        resources: Vec::new(),
        command: info.command,
        shutdown_grace_ms: info.kill_grace_ms,
        payload: Default::default(),
    };
    Ok(TaskInfo { executor: Some(executor), command: None, ..info })
}

/// The variables that every task has.
fn known(
    view: &ServiceView<'_>,
    pod: &PodSpec,
    member: &PodMember,
    task: &TaskSpec,
) -> BTreeMap<String, String> {
    let own = [
        view.spec.name.clone(),
        member.id.pod.clone(),
        member.id.index.to_string(),
        member.id.to_string(),
        pod.count.to_string(),
        task.name.clone(),
        member.hostname.clone(),
    ];
    let names = MEMBER_VARIABLES.iter().map(|it| (*it).to_owned());
    let mut values: BTreeMap<String, String> = names.zip(own).collect();
    for port in &pod.ports {
        if let Some(number) = member.ports.get(&port.name) {
            values.insert(port.variable(), number.to_string());
        }
    }
    values
}

/// Shell words that write a file, with its folders.
fn written(index: usize, path: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let folder = match path.rsplit_once('/') {
        Some((folder, _)) => format!("mkdir -p {} && ", quoted(folder)),
        None => String::new(),
    };
    format!(
        "{{ {folder}printf %s \"${FILE}{index}\" >{}; }} || exit 1; unset {FILE}{index}\n",
        quoted(path)
    )
}

fn health(check: &CheckSpec, member: &PodMember) -> Result<HealthCheck, String> {
    Ok(HealthCheck {
        probe: probe(&check.probe, member)?,
        timing: timing(check),
        failures_max: check.failures_max,
        grace: Duration::from_millis(check.grace_ms),
    })
}

fn plain(check: &CheckSpec, member: &PodMember) -> Result<Check, String> {
    Ok(Check { probe: probe(&check.probe, member)?, timing: timing(check) })
}

fn timing(check: &CheckSpec) -> Timing {
    Timing {
        delay: Duration::from_millis(check.delay_ms),
        interval: Duration::from_millis(check.interval_ms),
        timeout: Some(Duration::from_millis(check.timeout_ms)),
    }
}

fn probe(probe: &ProbeSpec, member: &PodMember) -> Result<Probe, String> {
    let number = |port: &String| {
        let number = member.ports.get(port).copied();
        number.ok_or_else(|| format!("port `{port}` of a check is no port of the member"))
    };
    Ok(match probe {
        ProbeSpec::Command(line) => Probe::Command(CommandInfo {
            shell: true,
            value: Some(line.clone()),
            ..CommandInfo::default()
        }),
        ProbeSpec::Http { port, path } => Probe::Http(HttpProbe {
            is_tls: false,
            is_ipv6: false,
            port: number(port)?,
            path: path.clone(),
            statuses: Vec::new(),
        }),
        ProbeSpec::Tcp { port } => Probe::Tcp { port: number(port)?, is_ipv6: false },
    })
}
