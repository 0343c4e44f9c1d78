//! Health checks and checks, and what was seen by them.
//!
//! Relies on a task's description being kept as received. Never guesses what is to be looked at: a check says its type, has the part
//! that belongs to it, and no other.

use std::time::Duration;

use holdfast_proto::mesos::v1;
use v1::network_info::Protocol;

use super::field::Place;
use super::{command, rest};
use crate::check::{Check, HealthCheck, HttpProbe, Probe, Seen, TaskChecks, Timing};
use crate::task::{CommandInfo, TaskInfo, TaskStatus};
use crate::validate::Invalid;

/// The defaults of the wire, in seconds.
const DELAY_S: f64 = 15.0;
const INTERVAL_S: f64 = 10.0;
const TIMEOUT_S: f64 = 20.0;
const GRACE_S: f64 = 10.0;
const FAILURES_MAX: u32 = 3;

/// The longest time that a check may wait for anything: a year.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// The greatest path of an HTTP check, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// The parts that a check of either kind can have.
#[derive(Default)]
struct Parts {
    command: Option<v1::CommandInfo>,
    http: Option<HttpProbe>,
    tcp: Option<(u32, Option<i32>)>,
    /// The port as given, which is checked after the type.
    http_port: u32,
}

/// What the executor of a task shall look at.
///
/// # Errors
/// [`Invalid`] naming the field, such as `health_check.http.port`.
pub fn of_task(task: &TaskInfo) -> Result<TaskChecks, Invalid> {
    of_wire(&rest::unpack(&task.payload))
}

/// As [`of_task`], from what was received.
///
/// # Errors
/// [`Invalid`] naming the field.
pub(crate) fn of_wire(wire: &v1::TaskInfo) -> Result<TaskChecks, Invalid> {
    let health = wire.health_check.as_ref().map(|it| health(it).under("health_check"));
    let check = wire.check.as_ref().map(|it| plain(it).under("check"));
    Ok(TaskChecks { health: health.transpose()?, check: check.transpose()? })
}

fn health(wire: &v1::HealthCheck) -> Result<HealthCheck, Invalid> {
    let timing = timing(wire.delay_seconds, wire.interval_seconds, wire.timeout_seconds)?;
    let grace = seconds("grace_period_seconds", wire.grace_period_seconds, GRACE_S)?;
    let http = wire.http.as_ref().map(|it| http_of_health(it).under("http")).transpose()?;
    let parts = Parts {
        command: wire.command.clone(),
        http,
        http_port: wire.http.as_ref().map_or(0, |it| it.port),
        tcp: wire.tcp.as_ref().map(|it| (it.port, it.protocol)),
    };
    Ok(HealthCheck {
        probe: probe(wire.r#type, parts)?,
        timing,
        failures_max: wire.consecutive_failures.unwrap_or(FAILURES_MAX),
        grace,
    })
}

fn plain(wire: &v1::CheckInfo) -> Result<Check, Invalid> {
    let timing = timing(wire.delay_seconds, wire.interval_seconds, wire.timeout_seconds)?;
    let http = wire.http.as_ref().map(|it| {
        let path = path(it.path.as_deref()).under("http")?;
        Ok(HttpProbe { is_tls: false, is_ipv6: false, port: 0, path, statuses: Vec::new() })
    });
    let parts = Parts {
        command: wire.command.as_ref().map(|it| it.command.clone()),
        http: http.transpose()?,
        http_port: wire.http.as_ref().map_or(0, |it| it.port),
        tcp: wire.tcp.as_ref().map(|it| (it.port, None)),
    };
    let of_command = wire.r#type == Some(v1::check_info::Type::Command.into());
    let probe = probe(wire.r#type, parts);
    // In a CheckInfo the command lies one level deeper.
    let probe = probe.map_err(|it| match it.path.starts_with("command.") && of_command {
        true => it.within("command"),
        false => it,
    });
    Ok(Check { probe: probe?, timing })
}

/// Both kinds number their types alike.
fn probe(kind: Option<i32>, parts: Parts) -> Result<Probe, Invalid> {
    let kind = kind.and_then(|it| v1::health_check::Type::try_from(it).ok());
    let (kind, field) = match kind {
        Some(v1::health_check::Type::Command) => ("COMMAND", "command"),
        Some(v1::health_check::Type::Http) => ("HTTP", "http"),
        Some(v1::health_check::Type::Tcp) => ("TCP", "tcp"),
        Some(v1::health_check::Type::Unknown) | None => {
            return Err(Invalid::new("type", "is missing or unknown; give COMMAND, HTTP or TCP"))
        }
    };
    let given = [
        ("command", parts.command.is_some()),
        ("http", parts.http.is_some()),
        ("tcp", parts.tcp.is_some()),
    ];
    if let Some((other, _)) = given.into_iter().find(|(name, given)| *given && *name != field) {
        return Err(Invalid::new(other, format!("must be absent from a check of type {kind}")));
    }
    let missing = || Invalid::new(field, format!("is missing; a check of type {kind} needs it"));
    match (parts.command, parts.http, parts.tcp) {
        (Some(wire), None, None) => Ok(Probe::Command(checked_command(wire).under("command")?)),
        (None, Some(http), None) => {
            let port = port(parts.http_port).under("http")?;
            Ok(Probe::Http(HttpProbe { port, ..http }))
        }
        (None, None, Some((wire, protocol))) => {
            let port = port(wire).under("tcp")?;
            Ok(Probe::Tcp { port, is_ipv6: is_ipv6(protocol).under("tcp")? })
        }
        _ => Err(missing()),
    }
}

/// A check's command runs where its task does and as its user, with nothing fetched for it.
fn checked_command(wire: v1::CommandInfo) -> Result<CommandInfo, Invalid> {
    let (command, rest) = command::from_proto(wire)?;
    if command.value.as_deref().unwrap_or_default().is_empty() {
        return Err(Invalid::new("value", "is missing; name the program, or give a shell line"));
    }
    if 0 < command.uris {
        return Err(Invalid::new("uris", "nothing is fetched for a check; give them to the task"));
    }
    if command.user.is_some() {
        return Err(Invalid::new("user", "a check runs as the user of its task; leave it out"));
    }
    if rest.is_some_and(|it| it.environment.is_some()) {
        return Err(Invalid::new("environment", "secrets are not supported in a check"));
    }
    Ok(command)
}

fn http_of_health(wire: &v1::health_check::HttpCheckInfo) -> Result<HttpProbe, Invalid> {
    let is_tls = match wire.scheme.as_deref() {
        None | Some("http") => false,
        Some("https") => true,
        Some(other) => {
            let why = format!("`{}`; give http or https", other.escape_debug());
            return Err(Invalid::new("scheme", why));
        }
    };
    let status = |(index, it): (usize, &u32)| match u16::try_from(*it) {
        Ok(status) if (100..600).contains(&status) => Ok(status),
        _ => Err(Invalid::new(format!("statuses[{index}]"), format!("{it} is no HTTP status"))),
    };
    Ok(HttpProbe {
        is_tls,
        is_ipv6: is_ipv6(wire.protocol)?,
        port: 0,
        path: path(wire.path.as_deref())?,
        statuses: wire.statuses.iter().enumerate().map(status).collect::<Result<_, _>>()?,
    })
}

fn path(given: Option<&str>) -> Result<String, Invalid> {
    let path = given.filter(|it| !it.is_empty()).unwrap_or("/");
    let plain = path.bytes().all(|it| it.is_ascii_graphic()) && path.len() <= PATH_BYTES_MAX;
    if !path.starts_with('/') || !plain {
        let why = "must begin with `/`, and have no blanks, control or other characters than ASCII; write those as %20";
        return Err(Invalid::new("path", why));
    }
    Ok(path.to_owned())
}

fn port(given: u32) -> Result<u16, Invalid> {
    match u16::try_from(given) {
        Ok(port) if 0 < port => Ok(port),
        _ => Err(Invalid::new("port", format!("{given} is no port; give 1 to 65535"))),
    }
}

fn is_ipv6(protocol: Option<i32>) -> Result<bool, Invalid> {
    match protocol.map(Protocol::try_from) {
        None | Some(Ok(Protocol::IPv4)) => Ok(false),
        Some(Ok(Protocol::IPv6)) => Ok(true),
        Some(Err(_)) => Err(Invalid::new("protocol", "is unknown; give IPv4 or IPv6")),
    }
}

fn timing(
    delay: Option<f64>,
    interval: Option<f64>,
    timeout: Option<f64>,
) -> Result<Timing, Invalid> {
    let timeout = seconds("timeout_seconds", timeout, TIMEOUT_S)?;
    Ok(Timing {
        delay: seconds("delay_seconds", delay, DELAY_S)?,
        interval: seconds("interval_seconds", interval, INTERVAL_S)?,
        timeout: Some(timeout).filter(|it| !it.is_zero()),
    })
}

fn seconds(field: &str, given: Option<f64>, default: f64) -> Result<Duration, Invalid> {
    let value = given.unwrap_or(default);
    if !value.is_finite() || value < 0.0 {
        return Err(Invalid::new(field, format!("{value} is no time; give 0 or more seconds")));
    }
    Ok(Duration::from_secs_f64(value.min(SECONDS_MAX)))
}

/// A status that says what a check has last seen; `None` when it has seen nothing yet, or could not look.
pub fn with_check_status(status: TaskStatus, probe: &Probe, seen: Option<Seen>) -> TaskStatus {
    use v1::check_status_info as info;
    let mut wire: v1::TaskStatus = rest::unpack(&status.payload);
    let mut told = v1::CheckStatusInfo::default();
    let kind = match probe {
        Probe::Command(_) => {
            let exit_code =
                seen.and_then(|it| if let Seen::ExitCode(code) = it { Some(code) } else { None });
            told.command = Some(info::Command { exit_code });
            v1::check_info::Type::Command
        }
        Probe::Http(_) => {
            let status_code =
                seen.and_then(|it| if let Seen::HttpStatus(code) = it { Some(code) } else { None });
            told.http = Some(info::Http { status_code: status_code.map(u32::from) });
            v1::check_info::Type::Http
        }
        Probe::Tcp { .. } => {
            let succeeded =
                seen.and_then(|it| if let Seen::Connected(is) = it { Some(is) } else { None });
            told.tcp = Some(info::Tcp { succeeded });
            v1::check_info::Type::Tcp
        }
    };
    told.r#type = Some(kind.into());
    wire.check_status = Some(told);
    TaskStatus { payload: rest::pack(&wire), ..status }
}

/// `status` with what `latest` says of the task's check.
pub fn with_check_status_of(status: TaskStatus, latest: &TaskStatus) -> TaskStatus {
    if latest.payload.bytes().is_empty() {
        return status;
    }
    let known: v1::TaskStatus = rest::unpack(&latest.payload);
    let Some(check_status) = known.check_status else { return status };
    let mut wire: v1::TaskStatus = rest::unpack(&status.payload);
    wire.check_status = Some(check_status);
    TaskStatus { payload: rest::pack(&wire), ..status }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Instant, TaskId};
    use crate::task::TaskState;
    use v1::health_check::{HttpCheckInfo, TcpCheckInfo, Type};

    fn of_health(change: impl FnOnce(&mut v1::HealthCheck)) -> Result<HealthCheck, Invalid> {
        let mut wire = v1::HealthCheck {
            r#type: Some(Type::Tcp.into()),
            tcp: Some(TcpCheckInfo { port: 80, ..Default::default() }),
            ..Default::default()
        };
        change(&mut wire);
        let task = v1::TaskInfo { health_check: Some(wire), ..Default::default() };
        of_wire(&task).map(|it| it.health.unwrap())
    }

    fn of_check(change: impl FnOnce(&mut v1::CheckInfo)) -> Result<Check, Invalid> {
        let mut wire = v1::CheckInfo { r#type: Some(Type::Tcp.into()), ..Default::default() };
        change(&mut wire);
        let task = v1::TaskInfo { check: Some(wire), ..Default::default() };
        of_wire(&task).map(|it| it.check.unwrap())
    }

    fn http(port: u32) -> HttpCheckInfo {
        HttpCheckInfo { port, ..Default::default() }
    }

    fn line(value: &str) -> v1::CommandInfo {
        v1::CommandInfo { value: Some(value.to_owned()), ..Default::default() }
    }

    #[test]
    fn l_defaults_are_those_of_the_wire() {
        let read = of_health(|_| ()).unwrap();
        let second = Duration::from_secs;
        let timing = Timing { delay: second(15), interval: second(10), timeout: Some(second(20)) };
        assert_eq!(read.timing, timing);
        assert_eq!((read.failures_max, read.grace), (3, second(10)));
        let endless = of_health(|it| it.timeout_seconds = Some(0.0)).unwrap();
        assert_eq!(endless.timing.timeout, None, "as in Mesos, no time is no limit");
        let mut both = v1::HealthCheck { r#type: Some(Type::Http.into()), ..Default::default() };
        both.http = Some(HttpCheckInfo { path: Some("/a?b=c".to_owned()), ..http(8080) });
        let Probe::Http(read) = of_health(|it| *it = both).unwrap().probe else { panic!() };
        assert_eq!((read.port, read.path.as_str(), read.is_tls), (8080, "/a?b=c", false));
    }

    #[test]
    fn each_broken_rule_of_a_health_check_is_named() {
        type Change = fn(&mut v1::HealthCheck);
        fn only_http(it: &mut v1::HealthCheck, http: HttpCheckInfo) {
            (it.r#type, it.tcp, it.http) = (Some(Type::Http.into()), None, Some(http));
        }
        fn only_command(it: &mut v1::HealthCheck, command: v1::CommandInfo) {
            (it.r#type, it.tcp, it.command) = (Some(Type::Command.into()), None, Some(command));
        }
        let rows: [(Change, &str); 19] = [
            (|it| it.r#type = None, "type"),
            (|it| it.r#type = Some(0), "type"),
            (|it| it.r#type = Some(99), "type"),
            (|it| it.tcp = None, "tcp"),
            (|it| it.http = Some(http(80)), "http"),
            (|it| it.command = Some(line("true")), "command"),
            (|it| it.tcp.as_mut().unwrap().port = 0, "tcp.port"),
            (|it| it.tcp.as_mut().unwrap().port = 65_536, "tcp.port"),
            (|it| it.tcp.as_mut().unwrap().protocol = Some(9), "tcp.protocol"),
            (|it| it.delay_seconds = Some(-1.0), "delay_seconds"),
            (|it| it.interval_seconds = Some(f64::INFINITY), "interval_seconds"),
            (|it| it.timeout_seconds = Some(f64::NAN), "timeout_seconds"),
            (|it| it.grace_period_seconds = Some(-0.1), "grace_period_seconds"),
            (|it| only_http(it, http(70_000)), "http.port"),
            (
                |it| only_http(it, HttpCheckInfo { path: Some("x".to_owned()), ..http(1) }),
                "http.path",
            ),
            (
                |it| only_http(it, HttpCheckInfo { path: Some("/a\r\nb".to_owned()), ..http(1) }),
                "http.path",
            ),
            (
                |it| only_http(it, HttpCheckInfo { scheme: Some("ftp".to_owned()), ..http(1) }),
                "http.scheme",
            ),
            (|it| only_command(it, line("")), "command.value"),
            (
                |it| {
                    only_command(it, v1::CommandInfo { user: Some("root".to_owned()), ..line("x") })
                },
                "command.user",
            ),
        ];
        for (change, field) in rows {
            assert_eq!(of_health(change).unwrap_err().path, format!("health_check.{field}"));
        }
    }

    #[test]
    fn each_broken_rule_of_a_check_is_named() {
        type Change = fn(&mut v1::CheckInfo);
        let rows: [(Change, &str); 5] = [
            (|_| (), "tcp"),
            (|it| it.tcp = Some(v1::check_info::Tcp { port: 0 }), "tcp.port"),
            (|it| it.delay_seconds = Some(-1.0), "delay_seconds"),
            (
                |it| {
                    it.r#type = Some(Type::Command.into());
                    it.command = Some(v1::check_info::Command { command: line("") });
                },
                "command.command.value",
            ),
            (
                |it| {
                    it.r#type = Some(Type::Http.into());
                    it.http = Some(v1::check_info::Http { port: 1, path: Some("x".to_owned()) });
                },
                "http.path",
            ),
        ];
        for (change, field) in rows {
            assert_eq!(of_check(change).unwrap_err().path, format!("check.{field}"));
        }
    }

    #[test]
    fn what_a_check_saw_is_said_and_carried_over() {
        let status =
            || TaskStatus::new(TaskId::made("t".to_owned()), TaskState::Running, Instant(1));
        let told =
            |it: &TaskStatus| super::super::status::to_proto(it).check_status.unwrap_or_default();
        let command = Probe::Command(CommandInfo::default());
        let none = with_check_status(status(), &command, None);
        assert_eq!(told(&none).command.unwrap().exit_code, None);
        let one = with_check_status(none, &command, Some(Seen::ExitCode(1)));
        assert_eq!((told(&one).r#type, told(&one).command.unwrap().exit_code), (Some(1), Some(1)));
        assert_eq!(told(&with_check_status_of(status(), &one)), told(&one));
        assert_eq!(with_check_status_of(status(), &status()), status());
        let tcp = Probe::Tcp { port: 1, is_ipv6: false };
        let tcp = with_check_status(status(), &tcp, Some(Seen::Connected(false)));
        assert_eq!(told(&tcp).tcp.unwrap().succeeded, Some(false));
    }
}
