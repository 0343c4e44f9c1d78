//! What a framework's task carries beside its typed fields, and what else a framework reads: what is fetched, how it is checked, what a
//! check has seen, and the attributes of an offer's agent.
//!
//! Relies on descriptions being kept as encoded messages, which it makes here instead of receiving them. Never decides what to carry.

use std::time::Duration;

use holdfast_proto::mesos::v1;

use super::command;
use super::rest::{pack, unpack};
use crate::check::{HttpProbe, Probe, TaskChecks, Timing};
use crate::fetch::FetchUri;
use crate::message::Offer;
use crate::task::{OpaquePayload, TaskInfo, TaskStatus};

/// The same task with what it wants fetched and how it is looked at.
pub fn with_parts(task: TaskInfo, uris: &[FetchUri], checks: &TaskChecks) -> TaskInfo {
    let mut wire: v1::TaskInfo = unpack(&task.payload);
    if !uris.is_empty() {
        let uri = |it: &FetchUri| v1::command_info::Uri {
            value: it.value.clone(),
            executable: Some(it.executable),
            extract: Some(it.extract),
            cache: Some(it.cache),
            output_file: it.output_file.clone(),
        };
        let command = wire.command.get_or_insert_with(Default::default);
        command.uris = uris.iter().map(uri).collect();
    }
    wire.health_check = checks.health.as_ref().map(|it| {
        let (kind, line, http, tcp) = health_parts(&it.probe);
        v1::HealthCheck {
            r#type: Some(kind.into()),
            command: line,
            http,
            tcp,
            delay_seconds: Some(it.timing.delay.as_secs_f64()),
            interval_seconds: Some(it.timing.interval.as_secs_f64()),
            timeout_seconds: Some(timeout(&it.timing)),
            consecutive_failures: Some(it.failures_max),
            grace_period_seconds: Some(it.grace.as_secs_f64()),
        }
    });
    wire.check = checks.check.as_ref().map(|it| {
        let (kind, line, http, tcp) = check_parts(&it.probe);
        v1::CheckInfo {
            r#type: Some(kind.into()),
            command: line,
            http,
            tcp,
            delay_seconds: Some(it.timing.delay.as_secs_f64()),
            interval_seconds: Some(it.timing.interval.as_secs_f64()),
            timeout_seconds: Some(timeout(&it.timing)),
        }
    });
    let command = task.command.map(|it| crate::task::CommandInfo { uris: uris.len(), ..it });
    let payload: OpaquePayload = pack(&wire);
    TaskInfo { command, payload, ..task }
}

/// Of the wire, 0 is as long as it likes.
fn timeout(timing: &Timing) -> f64 {
    timing.timeout.unwrap_or(Duration::ZERO).as_secs_f64()
}

type HealthParts = (
    v1::health_check::Type,
    Option<v1::CommandInfo>,
    Option<v1::health_check::HttpCheckInfo>,
    Option<v1::health_check::TcpCheckInfo>,
);

fn health_parts(probe: &Probe) -> HealthParts {
    use v1::health_check::{HttpCheckInfo, TcpCheckInfo, Type};
    match probe {
        Probe::Command(line) => (Type::Command, Some(command::to_proto(line, None)), None, None),
        Probe::Http(HttpProbe { is_tls, port, path, statuses, .. }) => {
            let http = HttpCheckInfo {
                scheme: Some(if *is_tls { "https" } else { "http" }.to_owned()),
                port: u32::from(*port),
                path: Some(path.clone()),
                statuses: statuses.iter().map(|it| u32::from(*it)).collect(),
                ..Default::default()
            };
            (Type::Http, None, Some(http), None)
        }
        Probe::Tcp { port, .. } => {
            let tcp = TcpCheckInfo { port: u32::from(*port), ..Default::default() };
            (Type::Tcp, None, None, Some(tcp))
        }
    }
}

type CheckParts = (
    v1::check_info::Type,
    Option<v1::check_info::Command>,
    Option<v1::check_info::Http>,
    Option<v1::check_info::Tcp>,
);

fn check_parts(probe: &Probe) -> CheckParts {
    use v1::check_info::{Command, Http, Tcp, Type};
    match probe {
        Probe::Command(line) => {
            let command = Command { command: command::to_proto(line, None) };
            (Type::Command, Some(command), None, None)
        }
        Probe::Http(http) => {
            let http = Http { port: u32::from(http.port), path: Some(http.path.clone()) };
            (Type::Http, None, Some(http), None)
        }
        Probe::Tcp { port, .. } => (Type::Tcp, None, None, Some(Tcp { port: u32::from(*port) })),
    }
}

/// Whether the check of the status's task has last seen what is well; `None` when it has seen nothing.
pub fn check_is_well(status: &TaskStatus) -> Option<bool> {
    let wire: v1::TaskStatus = unpack(&status.payload);
    let seen = wire.check_status?;
    let command = seen.command.and_then(|it| it.exit_code).map(|it| it == 0);
    let http = seen.http.and_then(|it| it.status_code).map(|it| (200..400).contains(&it));
    let tcp = seen.tcp.and_then(|it| it.succeeded);
    command.or(http).or(tcp)
}

/// The attributes of the agent whose resources are offered, in their order, each as text.
pub fn attributes(offer: &Offer) -> Vec<(String, String)> {
    let machine: v1::AgentInfo = unpack(&offer.machine);
    let text = |it: v1::Attribute| {
        let ranges = |it: v1::value::Ranges| {
            let all: Vec<String> =
                it.range.iter().map(|it| format!("{}-{}", it.begin, it.end)).collect();
            format!("[{}]", all.join(","))
        };
        let value = it
            .text
            .map(|it| it.value)
            .or_else(|| it.scalar.map(|it| it.value.to_string()))
            .or_else(|| it.ranges.map(ranges))
            .or_else(|| it.set.map(|it| format!("{{{}}}", it.item.join(","))));
        (it.name, value.unwrap_or_default())
    };
    machine.attributes.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Check, HealthCheck, Seen};
    use crate::convert::resource::Format;
    use crate::convert::{check, task, uris};
    use crate::id::{AgentId, Instant, TaskId};
    use crate::task::{CommandInfo, TaskState};

    fn bare() -> TaskInfo {
        TaskInfo {
            id: TaskId::made("t".to_owned()),
            name: "t".to_owned(),
            agent: AgentId::made("a".to_owned()),
            resources: Vec::new(),
            executor: None,
            command: Some(line("serve")),
            kill_grace_ms: None,
            payload: OpaquePayload::default(),
        }
    }

    fn line(value: &str) -> CommandInfo {
        CommandInfo { shell: true, value: Some(value.to_owned()), ..CommandInfo::default() }
    }

    fn timing() -> Timing {
        let second = Duration::from_secs(1);
        Timing { delay: second, interval: second * 2, timeout: Some(second * 3) }
    }

    #[test]
    fn what_a_task_carries_is_read_as_it_was_made() {
        let http = HttpProbe {
            is_tls: false,
            is_ipv6: false,
            port: 80,
            path: "/x".to_owned(),
            statuses: Vec::new(),
        };
        let probes = [
            Probe::Command(line("true")),
            Probe::Http(http),
            Probe::Tcp { port: 9042, is_ipv6: false },
        ];
        let uri = FetchUri {
            value: "https://h/x.tar.gz".to_owned(),
            executable: false,
            extract: true,
            cache: true,
            output_file: None,
        };
        for probe in probes {
            let checks = TaskChecks {
                health: Some(HealthCheck {
                    probe: probe.clone(),
                    timing: timing(),
                    failures_max: 4,
                    grace: Duration::from_secs(5),
                }),
                check: Some(Check { probe, timing: timing() }),
            };
            let made = with_parts(bare(), std::slice::from_ref(&uri), &checks);
            let read = task::from_proto(task::to_proto(&made, Format::WHOLE)).unwrap();
            assert_eq!(check::of_task(&read), Ok(checks));
            assert_eq!(uris::of_task(&read), Ok(vec![uri.clone()]));
            assert_eq!(read.command, made.command, "the line and the count are as they were");
        }
        let plain = with_parts(bare(), &[], &TaskChecks::default());
        assert_eq!(plain, bare(), "nothing is carried where nothing is asked for");
    }

    #[test]
    fn what_a_check_has_seen_is_well_or_not() {
        let status = |probe: &Probe, seen| {
            let status =
                TaskStatus::new(TaskId::made("t".to_owned()), TaskState::Running, Instant(1));
            check_is_well(&check::with_check_status(status, probe, seen))
        };
        let probe = Probe::Tcp { port: 1, is_ipv6: false };
        assert_eq!(status(&probe, None), None);
        assert_eq!(status(&probe, Some(Seen::Connected(false))), Some(false));
        assert_eq!(status(&probe, Some(Seen::Connected(true))), Some(true));
        let probe = Probe::Command(line("x"));
        assert_eq!(status(&probe, Some(Seen::ExitCode(1))), Some(false));
        assert_eq!(status(&probe, Some(Seen::ExitCode(0))), Some(true));
    }
}
