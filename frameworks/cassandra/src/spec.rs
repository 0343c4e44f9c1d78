//! The ring as a spec: one pod, whose members have a volume, three ports and a task that is its own executor. The settings are words of the
//! task's command, so that another setting is another spec, which a plan rolls out.
//!
//! Pure.

use clap::Parser;
use holdfast_sdk::model::Role;
use holdfast_sdk::spec::{
    Attribute, CheckSpec, DiskClass, Placement, PodSpec, PortNumber, PortSpec, ProbeSpec, Recovery,
    ServiceSpec, Strategy, TaskSpec, VolumeSpec,
};

use crate::settings::Settings;

/// The name of the pod.
pub const POD: &str = "node";
/// The name of its task.
pub const TASK: &str = "server";
/// The port of CQL.
const CQL: &str = "cql";
/// What a node may need to end beside the time for which it drains, in milliseconds.
const END_MS: u64 = 10_000;

/// What a ring is beside its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The name of the service.
    pub name: String,
    /// The role that its claims are reserved for.
    pub role: Role,
    /// The user that nodes run as.
    pub user: Option<String>,
    /// How many nodes.
    pub nodes: u32,
    /// This program, where the agents find it.
    pub program: String,
}

/// The ring as a spec.
pub fn service_spec(frame: &Frame, settings: &Settings) -> ServiceSpec {
    let fixed = |name: &str, number: u16, publish: bool| PortSpec {
        name: name.to_owned(),
        number: PortNumber::Fixed(number),
        publish,
    };
    let mb = |it: i64| u64::try_from(it).unwrap_or(0);
    let words = std::iter::once("node".to_owned()).chain(settings.to_arguments());
    let words: Vec<String> = words.map(|it| quoted(&it)).collect();
    let command = format!("exec {} {}", quoted(&frame.program), words.join(" "));
    let task = TaskSpec {
        kill_grace_ms: Some(settings.drain_timeout_s * 1_000 + END_MS),
        // The executor looks, by more than a connection: a node is well once it is `UN`.
        health: Some(CheckSpec::new(ProbeSpec::Tcp { port: CQL.to_owned() })),
        ..TaskSpec::new(TASK, &command, settings.cpus, mb(settings.mem_mb))
    };
    let pod = PodSpec {
        name: POD.to_owned(),
        count: frame.nodes,
        placement: Placement {
            max_per_agent: Some(1),
            spread_over: settings.rack_attribute.clone().map(Attribute::Named),
            ..Placement::default()
        },
        volumes: vec![VolumeSpec {
            path: settings.volume.clone(),
            size_mb: mb(settings.disk_mb),
            class: DiskClass::Any,
        }],
        ports: vec![
            fixed(CQL, settings.native_transport_port, true),
            fixed("jmx", settings.jmx_port, false),
            fixed("storage", settings.storage_port, false),
        ],
        tasks: vec![task],
        recovery: Recovery::Wait,
        strategy: Strategy::Serial,
    };
    ServiceSpec {
        name: frame.name.clone(),
        role: frame.role.clone(),
        principal: None,
        user: frame.user.clone(),
        pods: vec![pod],
    }
}

#[derive(Parser)]
struct Words {
    #[command(flatten)]
    settings: Settings,
}

/// The settings that a ring's spec has.
///
/// # Errors
/// When the command of its task is none of [`service_spec`]'s.
pub fn settings_of(spec: &ServiceSpec) -> Result<Settings, String> {
    let task = spec.pod(POD).and_then(|it| it.task(TASK));
    let task = task.ok_or_else(|| format!("the spec has no task `{TASK}` of a pod `{POD}`"))?;
    let words = unquoted(&task.command)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["exec", _, words @ ..] = words.as_slice() else {
        return Err(format!("`{}` starts no node of a ring", task.command));
    };
    if words.first() != Some(&"node") {
        return Err(format!("`{}` starts no node of a ring", task.command));
    }
    Words::try_parse_from(words).map(|it| it.settings).map_err(|it| it.to_string())
}

/// A word for `/bin/sh`.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The words of a line that [`quoted`] has made.
fn unquoted(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let mut word = String::new();
        while let Some(next) = rest.chars().next().filter(|it| *it != ' ') {
            match next {
                '\'' => {
                    let inside = rest[1..].split_once('\'');
                    let (inside, after) = inside.ok_or("a quote has no end")?;
                    word.push_str(inside);
                    rest = after;
                }
                '\\' => {
                    let escaped = rest[1..].chars().next().ok_or("a `\\` stands at the end")?;
                    word.push(escaped);
                    rest = &rest[1 + escaped.len_utf8()..];
                }
                plain => {
                    word.push(plain);
                    rest = &rest[plain.len_utf8()..];
                }
            }
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::settings::tests::settings;

    pub(crate) fn frame(nodes: u32) -> Frame {
        Frame {
            name: "cassandra".to_owned(),
            role: Role::parse("db").unwrap(),
            user: None,
            nodes,
            program: "/opt/it's/here".to_owned(),
        }
    }

    #[test]
    fn a_spec_says_what_the_settings_say_and_is_one_that_can_be_run() {
        let words = ["--cluster-name", "it's ours", "--rack-attribute", "rack", "--cpus", "0.5"];
        let more = ["--set", "concurrent_reads=3", "--jvm-option", "-Dx=y z", "--heap-mb", "200"];
        let given = settings(&[&words[..], &more].concat()).unwrap();
        let spec = service_spec(&frame(3), &given);
        assert_eq!(spec.check(), Ok(()));
        assert_eq!(settings_of(&spec), Ok(given));
        let pod = &spec.pods[0];
        assert_eq!(pod.placement.spread_over, Some(Attribute::Named("rack".to_owned())));
        assert_eq!((pod.placement.max_per_agent, pod.volumes[0].size_mb), (Some(1), 10_240));
        let published: Vec<&str> =
            pod.ports.iter().filter(|it| it.publish).map(|it| it.name.as_str()).collect();
        assert_eq!(published, ["cql"]);
        assert_eq!(pod.tasks[0].kill_grace_ms, Some(70_000));
    }

    #[test]
    fn a_command_of_somebody_else_is_no_settings() {
        let mut spec = service_spec(&frame(3), &settings(&[]).unwrap());
        for command in ["", "exec", "serve data", "exec '/x", "exec /x node --cpus=none"] {
            spec.pods[0].tasks[0].command = command.to_owned();
            assert!(settings_of(&spec).is_err(), "{command}");
        }
    }
}
