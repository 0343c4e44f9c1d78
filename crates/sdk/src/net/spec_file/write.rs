//! Writes a spec as the file that it could have been read from.
//!
//! What is usual is left out. It never writes what [`super::parse_spec`] reads otherwise.

use std::fmt::Write;

use holdfast_model::FetchUri;

use crate::spec::{
    CheckSpec, Condition, DiskClass, Goal, PodSpec, PortNumber, ProbeSpec, Recovery, ServiceSpec,
    Strategy, TaskSpec,
};

/// The text of a spec.
pub fn spec_text(spec: &ServiceSpec) -> String {
    let mut text = format!("name = {}\n", quoted(&spec.name));
    line(&mut text, "role", Some(quoted(spec.role.as_str())));
    line(&mut text, "principal", spec.principal.as_deref().map(quoted));
    line(&mut text, "user", spec.user.as_deref().map(quoted));
    for it in &spec.pods {
        pod(&mut text, it);
    }
    text
}

fn pod(text: &mut String, pod: &PodSpec) {
    let _ = write!(text, "\n[pods.{}]\ncount = {}\n", key(&pod.name), pod.count);
    line(text, "placement", placement(pod));
    let volumes = pod.volumes.iter().map(|it| {
        let disk = match &it.class {
            DiskClass::Any => String::new(),
            DiskClass::Root => ", disk = \"root\"".to_owned(),
            DiskClass::Path => ", disk = \"path\"".to_owned(),
            DiskClass::Mount => ", disk = \"mount\"".to_owned(),
            DiskClass::Profile(name) => format!(", disk = {{ profile = {} }}", quoted(name)),
        };
        format!("{{ path = {}, size = \"{}MB\"{disk} }}", quoted(&it.path), it.size_mb)
    });
    list(text, "volumes", volumes);
    let ports = pod.ports.iter().map(|it| {
        let number = match it.number {
            PortNumber::Fixed(number) => format!(", number = {number}"),
            PortNumber::KeptForLife => String::new(),
        };
        let publish = if it.publish { "" } else { ", publish = false" };
        format!("{{ name = {}{number}{publish} }}", quoted(&it.name))
    });
    list(text, "ports", ports);
    let recovery = match pod.recovery {
        Recovery::Wait => None,
        Recovery::Ask => Some("\"ask\"".to_owned()),
        Recovery::ReplaceAfter(ms) => Some(format!("{{ replace_after = {} }}", time(ms))),
    };
    line(text, "recovery", recovery);
    let strategy = match &pod.strategy {
        Strategy::Serial => None,
        Strategy::Parallel => Some("\"parallel\"".to_owned()),
        Strategy::Canary(count) => Some(format!("{{ canary = {count} }}")),
        Strategy::ByAttribute(name) => Some(format!("{{ by = {} }}", quoted(name))),
    };
    line(text, "strategy", strategy);
    for it in &pod.tasks {
        task(text, pod, it);
    }
}

fn placement(pod: &PodSpec) -> Option<String> {
    let place = &pod.placement;
    let mut parts = Vec::new();
    parts.extend(place.max_per_agent.map(|it| format!("max_per_agent = {it}")));
    let over = place.spread_over.as_ref();
    parts.extend(over.map(|it| format!("spread_over = {}", quoted(&it.to_string()))));
    for (name, all) in [("include", &place.include), ("exclude", &place.exclude)] {
        let each = |it: &Condition| {
            format!("{} = {}", key(&it.attribute.to_string()), quoted_all(&it.values))
        };
        let all: Vec<String> = all.iter().map(each).collect();
        if !all.is_empty() {
            parts.push(format!("{name} = {{ {} }}", all.join(", ")));
        }
    }
    for (name, all) in [("near", &place.near), ("not_near", &place.not_near)] {
        if !all.is_empty() {
            parts.push(format!("{name} = {}", quoted_all(all)));
        }
    }
    (!parts.is_empty()).then(|| format!("{{ {} }}", parts.join(", ")))
}

fn task(text: &mut String, pod: &PodSpec, task: &TaskSpec) {
    let at = format!("pods.{}.tasks.{}", key(&pod.name), key(&task.name));
    let _ = write!(text, "\n[{at}]\n");
    line(text, "goal", (task.goal == Goal::Once).then(|| "\"once\"".to_owned()));
    line(text, "command", Some(quoted(&task.command)));
    line(text, "cpus", Some(task.cpus.to_string()));
    line(text, "memory", Some(format!("\"{}MB\"", task.mem_mb)));
    line(text, "user", task.user.as_deref().map(quoted));
    line(text, "kill_grace", task.kill_grace_ms.map(time));
    list(text, "uris", task.uris.iter().map(uri));
    line(text, "health", task.health.as_ref().map(|it| check(it, true)));
    line(text, "readiness", task.readiness.as_ref().map(|it| check(it, false)));
    if !task.environment.is_empty() {
        let _ = write!(text, "\n[{at}.environment]\n");
        for (name, value) in &task.environment {
            line(text, &key(name), Some(quoted(value)));
        }
    }
    for file in &task.files {
        let _ = write!(text, "\n[[{at}.files]]\n");
        line(text, "path", Some(quoted(&file.path)));
        line(text, "template", Some(quoted(&file.template)));
    }
}

fn uri(uri: &FetchUri) -> String {
    let mut parts = vec![format!("uri = {}", quoted(&uri.value))];
    let flags = [("executable", uri.executable, false), ("extract", uri.extract, true)];
    for (name, is, usual) in flags.into_iter().chain([("cache", uri.cache, false)]) {
        if is != usual {
            parts.push(format!("{name} = {is}"));
        }
    }
    parts.extend(uri.output_file.as_deref().map(|it| format!("output = {}", quoted(it))));
    format!("{{ {} }}", parts.join(", "))
}

fn check(check: &CheckSpec, is_health: bool) -> String {
    let usual = CheckSpec::new(check.probe.clone());
    let mut parts = vec![match &check.probe {
        ProbeSpec::Command(command) => format!("command = {}", quoted(command)),
        ProbeSpec::Http { port, path } => {
            format!("http = {}, path = {}", quoted(port), quoted(path))
        }
        ProbeSpec::Tcp { port } => format!("tcp = {}", quoted(port)),
    }];
    let times = [
        ("delay", check.delay_ms, usual.delay_ms),
        ("every", check.interval_ms, usual.interval_ms),
        ("timeout", check.timeout_ms, usual.timeout_ms),
    ];
    let grace = [("grace", check.grace_ms, usual.grace_ms)].into_iter().filter(|_| is_health);
    for (name, ms, usual) in times.into_iter().chain(grace) {
        if ms != usual {
            parts.push(format!("{name} = {}", time(ms)));
        }
    }
    if is_health && check.failures_max != usual.failures_max {
        parts.push(format!("failures = {}", check.failures_max));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn line(text: &mut String, name: &str, value: Option<String>) {
    if let Some(value) = value {
        let _ = writeln!(text, "{name} = {value}");
    }
}

fn list(text: &mut String, name: &str, values: impl Iterator<Item = String>) {
    let values: Vec<String> = values.collect();
    if !values.is_empty() {
        let _ = writeln!(text, "{name} = [{}]", values.join(", "));
    }
}

fn time(ms: u64) -> String {
    match ms % 1_000 {
        0 => format!("\"{}s\"", ms / 1_000),
        _ => format!("\"{ms}ms\""),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quoted_all(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", "))
}

/// A key, in quotes where it must be.
fn key(name: &str) -> String {
    let bare = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}
