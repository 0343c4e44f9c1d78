//! The rules of a spec: everything that is wrong is told at once, each thing with its path.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::validate::check_container_path;
use holdfast_model::Scalar;

use super::error::SpecError;
use super::{template, CheckSpec, Condition, DiskClass, Goal, PodSpec, PortNumber, ProbeSpec};
use super::{Recovery, ServiceSpec, Strategy, TaskSpec};

/// The longest name of a service, pod, port or task, in bytes.
pub const NAME_BYTES_MAX: usize = 63;
/// The most pods of a service.
pub const PODS_MAX: usize = 32;
/// The most members of a pod.
pub const COUNT_MAX: u32 = 1_000;
/// The most volumes of a member.
pub const VOLUMES_MAX: usize = 16;
/// The most ports of a member.
pub const PORTS_MAX: usize = 32;
/// The most tasks of a pod.
pub const TASKS_MAX: usize = 16;
/// The most files of a task.
pub const FILES_MAX: usize = 16;
/// The most that the files of a task may have together, in bytes: they travel in its environment.
pub const FILES_BYTES_MAX: usize = 64 * 1024;
/// The most variables of a task.
pub const VARIABLES_MAX: usize = 256;
/// The longest value of a variable, and the longest command, in bytes.
pub const VALUE_BYTES_MAX: usize = 32 * 1024;
/// The greatest size of a volume or a memory, in megabytes: an exabyte.
pub const SIZE_MB_MAX: u64 = 1 << 40;
/// The most processors of a task.
const CPUS_MAX: i64 = 100_000;
/// The longest time, in milliseconds: a year.
const TIME_MS_MAX: u64 = 366 * 86_400_000;
/// The beginning of variables that the SDK sets itself.
const OWN_VARIABLES: &str = "HOLDFAST_";

/// Collects what is wrong.
#[derive(Default)]
struct Wrong(Vec<SpecError>);

impl Wrong {
    fn add(&mut self, path: impl Into<String>, why: impl Into<String>) {
        self.0.push(SpecError::new(path, why));
    }

    fn unless(&mut self, holds: bool, path: impl Into<String>, why: impl Into<String>) {
        if !holds {
            self.add(path, why);
        }
    }
}

/// Checks a service with everything in it.
pub(super) fn service(spec: &ServiceSpec) -> Result<(), Vec<SpecError>> {
    let mut wrong = Wrong::default();
    name(&mut wrong, "name", &spec.name);
    wrong.unless(!spec.role.is_any(), "role", "is `*`; claims need a role of their own");
    optional(&mut wrong, "principal", spec.principal.as_deref());
    optional(&mut wrong, "user", spec.user.as_deref());
    wrong.unless(!spec.pods.is_empty(), "pods", "has no pod; name at least one");
    let why = format!("are {}; at most {PODS_MAX} in one service", spec.pods.len());
    wrong.unless(spec.pods.len() <= PODS_MAX, "pods", why);
    let names: BTreeSet<&str> = spec.pods.iter().map(|it| it.name.as_str()).collect();
    unique(&mut wrong, "pods", spec.pods.iter().map(|it| it.name.as_str()));
    for it in &spec.pods {
        pod(&mut wrong, it, &names);
    }
    match wrong.0.is_empty() {
        true => Ok(()),
        false => Err(wrong.0),
    }
}

fn pod(wrong: &mut Wrong, pod: &PodSpec, pods: &BTreeSet<&str>) {
    let at = format!("pods.{}", pod.name);
    name(wrong, &format!("{at}.name"), &pod.name);
    let why = format!("is {}; 1 to {COUNT_MAX}", pod.count);
    wrong.unless((1..=COUNT_MAX).contains(&pod.count), format!("{at}.count"), why);
    placement(wrong, &at, pod, pods);
    volumes(wrong, &at, pod);
    ports(wrong, &at, pod);
    tasks(wrong, &at, pod);
    if let Recovery::ReplaceAfter(ms) = pod.recovery {
        time(wrong, format!("{at}.recovery"), ms, 1);
    }
    match &pod.strategy {
        Strategy::Canary(0) => wrong.add(
            format!("{at}.strategy"),
            "is a canary of 0 members; 1 at least, or use `parallel`",
        ),
        Strategy::Canary(count) if pod.count <= *count && 1 < pod.count => wrong.add(
            format!("{at}.strategy"),
            format!("is a canary of {count} of {} members; leave some for afterwards", pod.count),
        ),
        Strategy::ByAttribute(name) => attribute(wrong, &format!("{at}.strategy"), name),
        _ => {}
    }
}

fn placement(wrong: &mut Wrong, at: &str, pod: &PodSpec, pods: &BTreeSet<&str>) {
    let (place, at) = (&pod.placement, format!("{at}.placement"));
    let why = "is 0, so that no member has a place; 1 at least";
    wrong.unless(place.max_per_agent != Some(0), format!("{at}.max_per_agent"), why);
    if let Some(super::Attribute::Named(name)) = &place.spread_over {
        attribute(wrong, &format!("{at}.spread_over"), name);
    }
    for (list, all) in [("include", &place.include), ("exclude", &place.exclude)] {
        for (index, it) in all.iter().enumerate() {
            condition(wrong, &format!("{at}.{list}[{index}]"), it);
        }
    }
    for (list, all) in [("near", &place.near), ("not_near", &place.not_near)] {
        for (index, other) in all.iter().enumerate() {
            let path = format!("{at}.{list}[{index}]");
            if *other == pod.name {
                wrong.add(path, "is the pod itself; use `max_per_agent`");
            } else if !pods.contains(other.as_str()) {
                wrong.add(path, format!("`{}` is no pod of this service", other.escape_debug()));
            }
        }
    }
    for both in place.near.iter().filter(|it| place.not_near.contains(it)) {
        wrong.add(format!("{at}.near"), format!("`{both}` is in `not_near`, too"));
    }
}

fn condition(wrong: &mut Wrong, at: &str, condition: &Condition) {
    if let super::Attribute::Named(name) = &condition.attribute {
        attribute(wrong, &format!("{at}.attribute"), name);
    }
    let why = "has no value, so that no agent fulfils it; name at least one";
    wrong.unless(!condition.values.is_empty(), format!("{at}.values"), why);
}

fn volumes(wrong: &mut Wrong, at: &str, pod: &PodSpec) {
    let why = format!("are {}; at most {VOLUMES_MAX} of a member", pod.volumes.len());
    wrong.unless(pod.volumes.len() <= VOLUMES_MAX, format!("{at}.volumes"), why);
    for (index, it) in pod.volumes.iter().enumerate() {
        let at = format!("{at}.volumes[{index}]");
        path(wrong, &format!("{at}.path"), &it.path);
        size(wrong, format!("{at}.size_mb"), it.size_mb);
        if let DiskClass::Profile(profile) = &it.class {
            wrong.unless(!profile.is_empty(), format!("{at}.class"), "has an empty profile");
        }
        let clash = pod.volumes[..index].iter().find(|other| overlap(&it.path, &other.path));
        if let Some(other) = clash {
            let why = format!("`{}` and `{}` are one within the other", it.path, other.path);
            wrong.add(format!("{at}.path"), why);
        }
    }
}

/// Whether one path lies within the other, or is the same.
fn overlap(one: &str, other: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(one, other) || within(other, one)
}

fn ports(wrong: &mut Wrong, at: &str, pod: &PodSpec) {
    let why = format!("are {}; at most {PORTS_MAX} of a member", pod.ports.len());
    wrong.unless(pod.ports.len() <= PORTS_MAX, format!("{at}.ports"), why);
    unique(wrong, &format!("{at}.ports"), pod.ports.iter().map(|it| it.name.as_str()));
    let mut numbers: BTreeMap<u16, &str> = BTreeMap::new();
    for (index, it) in pod.ports.iter().enumerate() {
        let at = format!("{at}.ports[{index}]");
        name(wrong, &format!("{at}.name"), &it.name);
        let path = format!("{at}.number");
        match it.number {
            PortNumber::Fixed(number) => {
                wrong.unless(number != 0, &path, "is 0; give 1 to 65535, or let it be chosen");
                if let Some(other) = numbers.insert(number, &it.name) {
                    wrong.add(path, format!("{number} is the number of port `{other}`, too"));
                }
            }
            PortNumber::KeptForLife if pod.volumes.is_empty() => wrong.add(
                path,
                "is kept for life, but a pod without volumes has no claim that keeps it; fix the number, or give the pod a volume",
            ),
            PortNumber::KeptForLife => {}
        }
    }
}

fn tasks(wrong: &mut Wrong, at: &str, pod: &PodSpec) {
    let why = format!("are {}; at most {TASKS_MAX} of a pod", pod.tasks.len());
    wrong.unless(pod.tasks.len() <= TASKS_MAX, format!("{at}.tasks"), why);
    unique(wrong, &format!("{at}.tasks"), pod.tasks.iter().map(|it| it.name.as_str()));
    match pod.tasks.iter().filter(|it| it.goal == Goal::Running).count() {
        0 => wrong.add(
            format!("{at}.tasks"),
            "has no task that goes on; give one of them the goal `running`",
        ),
        1 => {}
        many => wrong.add(
            format!("{at}.tasks"),
            format!("has {many} tasks that go on; sidecars are not supported yet: make it a pod of its own, or start both from one command"),
        ),
    }
    for (index, it) in pod.tasks.iter().enumerate() {
        task(wrong, &format!("{at}.tasks[{index}]"), it, pod);
    }
}

fn task(wrong: &mut Wrong, at: &str, task: &TaskSpec, pod: &PodSpec) {
    name(wrong, &format!("{at}.name"), &task.name);
    text(wrong, &format!("{at}.command"), &task.command);
    wrong.unless(
        !task.command.trim().is_empty(),
        format!("{at}.command"),
        "is empty; give a line for /bin/sh",
    );
    let why = format!("is {}; more than 0, at most {CPUS_MAX}", task.cpus);
    let fits = Scalar::ZERO < task.cpus && task.cpus <= Scalar::whole(CPUS_MAX);
    wrong.unless(fits, format!("{at}.cpus"), why);
    size(wrong, format!("{at}.mem_mb"), task.mem_mb);
    optional(wrong, &format!("{at}.user"), task.user.as_deref());
    if let Some(ms) = task.kill_grace_ms {
        time(wrong, format!("{at}.kill_grace_ms"), ms, 0);
    }
    environment(wrong, at, task, pod);
    for (index, it) in task.uris.iter().enumerate() {
        if let Err(why) = it.check() {
            wrong.add(format!("{at}.uris[{index}].{}", why.path), why.why);
        }
    }
    files(wrong, at, task);
    for (field, it) in [("health", &task.health), ("readiness", &task.readiness)] {
        let Some(it) = it else { continue };
        let at = format!("{at}.{field}");
        wrong.unless(
            task.goal == Goal::Running,
            &at,
            "is of a task that runs once; its exit status says how it went: leave it out",
        );
        checked(wrong, &at, it, pod);
    }
}

fn environment(wrong: &mut Wrong, at: &str, task: &TaskSpec, pod: &PodSpec) {
    let at = format!("{at}.environment");
    let why = format!("has {} variables; at most {VARIABLES_MAX}", task.environment.len());
    wrong.unless(task.environment.len() <= VARIABLES_MAX, &at, why);
    let ports: BTreeSet<String> = pod.ports.iter().map(super::PortSpec::variable).collect();
    let mut seen = BTreeSet::new();
    for (key, value) in &task.environment {
        let at = format!("{at}.{key}");
        let why = "is no name of a variable; letters, digits and `_`";
        wrong.unless(is_variable(key), &at, why);
        let why = format!("begins with {OWN_VARIABLES}, as what the cluster sets itself does");
        wrong.unless(!key.starts_with(OWN_VARIABLES), &at, why);
        wrong.unless(!ports.contains(key), &at, "is what a port of the pod is told by");
        wrong.unless(seen.insert(key), &at, "is given twice; name it once");
        text(wrong, &at, value);
        if let Err(why) = template::check(value) {
            wrong.add(&at, why);
        }
    }
}

fn files(wrong: &mut Wrong, at: &str, task: &TaskSpec) {
    let why = format!("are {}; at most {FILES_MAX} of a task", task.files.len());
    wrong.unless(task.files.len() <= FILES_MAX, format!("{at}.files"), why);
    let bytes: usize = task.files.iter().map(|it| it.template.len()).sum();
    let why = format!(
        "have {bytes} bytes together; at most {FILES_BYTES_MAX}: fetch what is larger as a uri"
    );
    wrong.unless(bytes <= FILES_BYTES_MAX, format!("{at}.files"), why);
    unique(wrong, &format!("{at}.files"), task.files.iter().map(|it| it.path.as_str()));
    for (index, it) in task.files.iter().enumerate() {
        let at = format!("{at}.files[{index}]");
        path(wrong, &format!("{at}.path"), &it.path);
        wrong.unless(!it.template.contains('\0'), format!("{at}.template"), "has a NUL byte");
        if let Err(why) = template::check(&it.template) {
            wrong.add(format!("{at}.template"), why);
        }
    }
}

fn checked(wrong: &mut Wrong, at: &str, check: &CheckSpec, pod: &PodSpec) {
    let port = match &check.probe {
        ProbeSpec::Command(line) => {
            text(wrong, &format!("{at}.command"), line);
            let why = "is empty; give a line for /bin/sh";
            wrong.unless(!line.trim().is_empty(), format!("{at}.command"), why);
            None
        }
        ProbeSpec::Http { port, path } => {
            let plain = path.starts_with('/') && path.bytes().all(|it| it.is_ascii_graphic());
            let why = "must begin with `/`, and have no blanks and only ASCII characters";
            wrong.unless(plain && path.len() <= 4096, format!("{at}.path"), why);
            Some(port)
        }
        ProbeSpec::Tcp { port } => Some(port),
    };
    if let Some(port) = port.filter(|it| pod.port(it).is_none()) {
        let why = format!("`{}` is no port of the pod; name one of them", port.escape_debug());
        wrong.add(format!("{at}.port"), why);
    }
    time(wrong, format!("{at}.delay_ms"), check.delay_ms, 0);
    time(wrong, format!("{at}.interval_ms"), check.interval_ms, 1);
    time(wrong, format!("{at}.timeout_ms"), check.timeout_ms, 1);
    time(wrong, format!("{at}.grace_ms"), check.grace_ms, 0);
    let why = "is 0; 1 ends the task at the first failure";
    wrong.unless(check.failures_max != 0, format!("{at}.failures_max"), why);
}

/// Whether this can be the name of a variable.
pub(super) fn is_variable(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    text.bytes().all(plain) && text.bytes().next().is_some_and(|it| !it.is_ascii_digit())
}

fn name(wrong: &mut Wrong, at: &str, text: &str) {
    let inner = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    let plain = text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-');
    if text.is_empty() {
        wrong.add(at, "is empty; give it a name such as `data`");
    } else if !plain || NAME_BYTES_MAX < text.len() {
        wrong.add(
            at,
            format!(
                "`{}` must be lower-case letters, digits and inner `-`, at most {NAME_BYTES_MAX}",
                text.escape_debug()
            ),
        );
    }
}

fn attribute(wrong: &mut Wrong, at: &str, name: &str) {
    let plain = !name.is_empty() && !name.chars().any(|it| it.is_control() || it == ':');
    wrong.unless(plain, at, "is no name of an attribute, such as `rack`");
}

fn optional(wrong: &mut Wrong, at: &str, text: Option<&str>) {
    let plain = text.is_none_or(|it| !it.is_empty() && !it.chars().any(char::is_control));
    wrong.unless(plain, at, "is empty or has control characters; leave it out");
}

fn text(wrong: &mut Wrong, at: &str, text: &str) {
    let why = format!("has a NUL byte, or more than {VALUE_BYTES_MAX} bytes");
    wrong.unless(!text.contains('\0') && text.len() <= VALUE_BYTES_MAX, at, why);
}

fn path(wrong: &mut Wrong, at: &str, path: &str) {
    if let Err(why) = check_container_path(path) {
        wrong.add(at, why.why);
    }
}

fn size(wrong: &mut Wrong, at: String, mb: u64) {
    let why = format!("is {mb}; 1 to {SIZE_MB_MAX}");
    wrong.unless((1..=SIZE_MB_MAX).contains(&mb), at, why);
}

fn time(wrong: &mut Wrong, at: String, ms: u64, least: u64) {
    let why = format!("is {ms}; {least} to {TIME_MS_MAX} milliseconds");
    wrong.unless((least..=TIME_MS_MAX).contains(&ms), at, why);
}

fn unique<'a>(wrong: &mut Wrong, at: &str, names: impl Iterator<Item = &'a str>) {
    let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
    for name in names {
        if !seen.insert(name) && told.insert(name) {
            let why = format!("has `{}` twice; names are unique here", name.escape_debug());
            wrong.add(at, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testbed::{ring, two_pods};
    use super::super::{Attribute, ConfigFile, PortSpec, VolumeSpec};
    use super::*;

    fn paths(change: impl FnOnce(&mut ServiceSpec)) -> Vec<String> {
        let mut spec = ring();
        change(&mut spec);
        match spec.check() {
            Ok(()) => Vec::new(),
            Err(wrong) => wrong.into_iter().map(|it| it.path).collect(),
        }
    }

    #[test]
    fn a_spec_that_can_be_done_is_taken() {
        assert_eq!(ring().check(), Ok(()));
        assert_eq!(two_pods().check(), Ok(()));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_path() {
        type Change = fn(&mut ServiceSpec);
        let cases: &[(&str, Change)] = &[
            ("name", |it| it.name = "Ring".into()),
            ("role", |it| it.role = holdfast_model::Role::any()),
            ("user", |it| it.user = Some(String::new())),
            ("pods", |it| it.pods.clear()),
            ("pods", |it| it.pods.push(it.pods[0].clone())),
            ("pods.node.count", |it| it.pods[0].count = 0),
            ("pods.node.count", |it| it.pods[0].count = COUNT_MAX + 1),
            ("pods.node.volumes[0].size_mb", |it| it.pods[0].volumes[0].size_mb = 0),
            ("pods.node.volumes[0].path", |it| it.pods[0].volumes[0].path = "../x".into()),
            ("pods.node.volumes[2].path", |it| {
                let inner = VolumeSpec { path: "data/log".into(), ..it.pods[0].volumes[0].clone() };
                it.pods[0].volumes.push(inner);
            }),
            ("pods.node.ports[0].number", |it| it.pods[0].ports[0].number = PortNumber::Fixed(0)),
            ("pods.proxy.ports[0].number", |it| {
                *it = two_pods();
                it.pods[1].ports = vec![it.pods[0].ports[1].clone()];
            }),
            ("pods.node.ports[2].number", |it| {
                let clash = PortSpec { name: "other".into(), ..it.pods[0].ports[0].clone() };
                it.pods[0].ports.push(clash);
            }),
            ("pods.node.tasks", |it| it.pods[0].tasks.truncate(1)),
            ("pods.node.tasks[1].command", |it| it.pods[0].tasks[1].command = " ".into()),
            ("pods.node.tasks[1].cpus", |it| it.pods[0].tasks[1].cpus = Scalar::ZERO),
            ("pods.node.tasks[1].environment.A B", |it| {
                it.pods[0].tasks[1].environment.push(("A B".into(), String::new()));
            }),
            ("pods.node.tasks[1].environment.PORT_CQL", |it| {
                it.pods[0].tasks[1].environment.push(("PORT_CQL".into(), String::new()));
            }),
            ("pods.node.tasks[1].files[0].template", |it| {
                it.pods[0].tasks[1].files[0] =
                    ConfigFile { path: "c".into(), template: "{{A".into() };
            }),
            ("pods.node.tasks[1].health.port", |it| {
                it.pods[0].tasks[1].health =
                    Some(CheckSpec::new(ProbeSpec::Tcp { port: "none".into() }));
            }),
            ("pods.node.tasks[0].readiness", |it| {
                it.pods[0].tasks[0].readiness =
                    Some(CheckSpec::new(ProbeSpec::Command("true".into())));
            }),
            ("pods.node.placement.near[0]", |it| it.pods[0].placement.near = vec!["x".into()]),
            ("pods.node.placement.include[0].values", |it| {
                it.pods[0].placement.include =
                    vec![Condition { attribute: Attribute::Hostname, values: Vec::new() }];
            }),
            ("pods.node.strategy", |it| it.pods[0].strategy = Strategy::Canary(0)),
            ("pods.node.recovery", |it| it.pods[0].recovery = Recovery::ReplaceAfter(0)),
        ];
        for (path, change) in cases {
            assert_eq!(paths(*change), [*path], "{path}");
        }
        let both = |it: &mut ServiceSpec| {
            it.name.clear();
            it.pods[0].count = 0;
        };
        assert_eq!(paths(both), ["name", "pods.node.count"], "all at once");
    }

    #[test]
    fn sidecars_are_refused_and_not_ignored() {
        let wrong = |it: &mut ServiceSpec| it.pods[0].tasks[0].goal = Goal::Running;
        assert_eq!(paths(wrong), ["pods.node.tasks"]);
    }
}
