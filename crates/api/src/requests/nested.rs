//! What can be done with containers inside those of executors.
//!
//! A request is complete once it is read: ids are checked, and what such a container cannot have is refused by name.

use holdfast_agent::{NestedPath, NestedRefusal};
use holdfast_model::convert::command;
use holdfast_model::{CallerIdentity, CommandInfo};
use holdfast_proto::mesos::v1::agent::call::Type;
use holdfast_proto::mesos::v1::agent::Call;
use holdfast_proto::mesos::v1::{self, container_info};

use crate::{authorize, Action, Object, Refusal};

/// The signal that is sent where none is named.
const SIGKILL: i32 = 9;
/// Real-time signals are nobody's business.
const SIGNAL_MAX: i32 = 31;

/// A call about a container inside another that is answered at once, or when it has ended.
#[derive(Clone, Debug, PartialEq)]
pub enum NestedRequest {
    /// LAUNCH_NESTED_CONTAINER.
    Launch(Box<NestedLaunch>),
    /// WAIT_NESTED_CONTAINER.
    Wait(NestedPath),
    /// KILL_NESTED_CONTAINER, with a signal.
    Kill(NestedPath, i32),
    /// REMOVE_NESTED_CONTAINER.
    Remove(NestedPath),
}

/// A call that is answered with output as it comes.
#[derive(Clone, Debug, PartialEq)]
pub enum NestedStream {
    /// LAUNCH_NESTED_CONTAINER_SESSION.
    Session(Box<NestedLaunch>),
    /// ATTACH_CONTAINER_OUTPUT.
    Output(NestedPath),
}

/// A container to be started inside another.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedLaunch {
    /// Where, and its name.
    pub path: NestedPath,
    /// What it runs.
    pub command: CommandInfo,
    /// The size of its terminal, if it has one.
    pub terminal: Option<WindowRows>,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowRows {
    /// Lines.
    pub rows: u16,
    /// Letters in a line.
    pub columns: u16,
}

impl WindowRows {
    /// Reads a size; one that is not said is that of a terminal of which nothing is known, which is 0.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for one that no terminal has.
    pub fn parse(tty: &v1::TtyInfo) -> Result<WindowRows, Refusal> {
        let Some(size) = &tty.window_size else { return Ok(WindowRows::default()) };
        let number = |field: &str, number: u32| {
            u16::try_from(number).map_err(|_| {
                Refusal::Invalid(format!(
                    "tty_info.window_size.{field}: a terminal has at most 65535, not {number}"
                ))
            })
        };
        Ok(WindowRows {
            rows: number("rows", size.rows)?,
            columns: number("columns", size.columns)?,
        })
    }
}

impl From<NestedRefusal> for Refusal {
    fn from(refused: NestedRefusal) -> Refusal {
        let why = refused.to_string();
        match refused {
            NestedRefusal::BadId(_) => Refusal::Invalid(why),
            NestedRefusal::Unknown(_) => Refusal::NotFound(why),
            NestedRefusal::Ended(_)
            | NestedRefusal::Taken(_)
            | NestedRefusal::Runs(_)
            | NestedRefusal::TooMany(_) => Refusal::Conflict(why),
        }
    }
}

impl NestedRequest {
    /// Reads a call; `None` for one that is about something else.
    ///
    /// # Errors
    /// A refusal.
    #[allow(deprecated, reason = "Mesos calls these deprecated, and its clients send them")]
    pub fn parse(caller: &CallerIdentity, call: &Call) -> Result<Option<NestedRequest>, Refusal> {
        let field = |name: &str, found: Option<&v1::ContainerId>| {
            path(found.ok_or_else(|| {
                Refusal::Invalid(format!(
                    "{name}: required for a call of this type; set it, with a container_id"
                ))
            })?)
        };
        let request = match call.r#type() {
            Type::LaunchNestedContainer => {
                let asked = call.launch_nested_container.as_ref();
                let path = field("launch_nested_container", asked.map(|it| &it.container_id))?;
                let (command, container) =
                    asked.map(|it| (it.command.clone(), it.container.as_ref())).unwrap_or_default();
                NestedRequest::Launch(Box::new(launch(path, command, container)?))
            }
            Type::WaitNestedContainer => {
                let asked = call.wait_nested_container.as_ref().map(|it| &it.container_id);
                NestedRequest::Wait(field("wait_nested_container", asked)?)
            }
            Type::KillNestedContainer => {
                let asked = call.kill_nested_container.as_ref();
                let path = field("kill_nested_container", asked.map(|it| &it.container_id))?;
                let signal = asked.and_then(|it| it.signal).unwrap_or(SIGKILL);
                if !(1..=SIGNAL_MAX).contains(&signal) {
                    let why = format!("kill_nested_container.signal: {signal} is no signal that can be sent; use one of 1 to {SIGNAL_MAX}");
                    return Err(Refusal::Invalid(why));
                }
                NestedRequest::Kill(path, signal)
            }
            Type::RemoveNestedContainer => {
                let asked = call.remove_nested_container.as_ref().map(|it| &it.container_id);
                NestedRequest::Remove(field("remove_nested_container", asked)?)
            }
            _ => return Ok(None),
        };
        authorize(caller, Action::EnterContainer, Object::Tasks)?;
        Ok(Some(request))
    }
}

impl NestedStream {
    /// Reads a call.
    ///
    /// # Errors
    /// A refusal.
    pub fn parse(caller: &CallerIdentity, call: &Call) -> Result<NestedStream, Refusal> {
        let missing = |name: &str| {
            Refusal::Invalid(format!(
                "{name}: required for a call of this type; set it, with a container_id"
            ))
        };
        let request = match call.r#type() {
            Type::LaunchNestedContainerSession => {
                let asked = call.launch_nested_container_session.as_ref();
                let asked = asked.ok_or_else(|| missing("launch_nested_container_session"))?;
                let path = path(&asked.container_id)?;
                let launch = launch(path, asked.command.clone(), asked.container.as_ref())?;
                NestedStream::Session(Box::new(launch))
            }
            _ => {
                let asked = call.attach_container_output.as_ref();
                let asked = asked.ok_or_else(|| missing("attach_container_output"))?;
                NestedStream::Output(path(&asked.container_id)?)
            }
        };
        authorize(caller, Action::EnterContainer, Object::Tasks)?;
        Ok(request)
    }
}

/// Lets a caller send input to a container.
///
/// # Errors
/// A refusal.
pub fn nested_input(caller: &CallerIdentity, id: &v1::ContainerId) -> Result<NestedPath, Refusal> {
    authorize(caller, Action::EnterContainer, Object::Tasks)?;
    path(id)
}

/// Reads an id, whose parents are those around it.
fn path(id: &v1::ContainerId) -> Result<NestedPath, Refusal> {
    let chain = std::iter::successors(Some(id), |it| it.parent.as_deref());
    let mut names: Vec<String> = chain.map(|it| it.value.clone()).collect();
    names.reverse();
    Ok(NestedPath::parse(&names)?)
}

fn launch(
    path: NestedPath,
    command: Option<v1::CommandInfo>,
    container: Option<&v1::ContainerInfo>,
) -> Result<NestedLaunch, Refusal> {
    let missing = "command: required here, since nothing is run without one; set it, with a value";
    let wire = command.ok_or_else(|| Refusal::Invalid(missing.to_owned()))?;
    if !wire.uris.is_empty() {
        let why = "command.uris: nothing is fetched for a container inside another; leave them out";
        return Err(Refusal::Invalid(why.to_owned()));
    }
    let (command, rest) =
        command::from_proto(wire).map_err(|it| Refusal::Invalid(format!("command.{it}")))?;
    if rest.is_some_and(|it| it.environment.is_some()) {
        let why = "command.environment: secrets are not served; give plain values";
        return Err(Refusal::Invalid(why.to_owned()));
    }
    if command.value.as_ref().is_none_or(String::is_empty) {
        return Err(Refusal::Invalid(
            "command.value: name a program, or give a shell line".to_owned(),
        ));
    }
    let terminal = container.map(checked).transpose()?.flatten();
    Ok(NestedLaunch { path, command, terminal })
}

/// A container inside another has nothing of its own but a terminal.
fn checked(container: &v1::ContainerInfo) -> Result<Option<WindowRows>, Refusal> {
    if container.r#type() == container_info::Type::Docker {
        return Err(Refusal::Invalid("container.type: only MESOS is served".to_owned()));
    }
    let asked = [
        ("volumes", !container.volumes.is_empty()),
        ("hostname", container.hostname.is_some()),
        ("docker", container.docker.is_some()),
        ("mesos.image", container.mesos.as_ref().is_some_and(|it| it.image.is_some())),
        ("network_infos", !container.network_infos.is_empty()),
        ("linux_info", container.linux_info.is_some()),
        ("rlimit_info", container.rlimit_info.is_some()),
    ];
    match asked.iter().find(|(_, is_asked)| *is_asked) {
        Some((field, _)) => Err(Refusal::Invalid(format!("container.{field}: a container inside another has that of the one around it; leave it out"))),
        None => container.tty_info.as_ref().map(WindowRows::parse).transpose(),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::json;

    use super::*;

    const ID: &str = r#"{"value":"x","parent":{"value":"00000000-0000-0000-0000-0000000000c0"}}"#;

    fn ops() -> CallerIdentity {
        CallerIdentity::Principal("ops".to_owned())
    }

    fn call(kind: &str, field: &str, rest: &str) -> Call {
        let text = format!(r#"{{"type":"{kind}","{field}":{{"container_id":{ID}{rest}}}}}"#);
        json::from_slice(text.as_bytes()).unwrap()
    }

    fn launched(rest: &str) -> Result<NestedRequest, Refusal> {
        let call = call("LAUNCH_NESTED_CONTAINER", "launch_nested_container", rest);
        NestedRequest::parse(&ops(), &call).map(Option::unwrap)
    }

    #[test]
    fn a_launch_says_what_it_runs() {
        let rest = r#","command":{"value":"ls"},"container":{"type":"MESOS","tty_info":{"window_size":{"rows":3,"columns":4}}}"#;
        let Ok(NestedRequest::Launch(launch)) = launched(rest) else { panic!() };
        assert_eq!(launch.path.names()[1], "x");
        assert_eq!(launch.command.value.as_deref(), Some("ls"));
        assert_eq!(launch.terminal, Some(WindowRows { rows: 3, columns: 4 }));
    }

    #[test]
    fn what_it_cannot_have_is_named() {
        for (rest, named) in [
            ("", "command"),
            (r#","command":{}"#, "command.value"),
            (r#","command":{"value":"x","uris":[{"value":"http://x/"}]}"#, "command.uris"),
            (r#","command":{"value":"x"},"container":{"type":"DOCKER"}"#, "container.type"),
            (
                r#","command":{"value":"x"},"container":{"type":"MESOS","hostname":"h"}"#,
                "container.hostname",
            ),
            (
                r#","command":{"value":"x"},"container":{"type":"MESOS","volumes":[{"mode":"RW","container_path":"p"}]}"#,
                "container.volumes",
            ),
            (
                r#","command":{"value":"x"},"container":{"type":"MESOS","tty_info":{"window_size":{"rows":70000,"columns":1}}}"#,
                "rows",
            ),
        ] {
            let Err(Refusal::Invalid(why)) = launched(rest) else { panic!("{rest}") };
            assert!(why.contains(named), "{rest}: {why}");
        }
    }

    #[test]
    fn each_refusal_is_one_that_is_known() {
        let kill = |rest: &str| {
            let call = call("KILL_NESTED_CONTAINER", "kill_nested_container", rest);
            NestedRequest::parse(&ops(), &call).map(Option::unwrap)
        };
        assert!(matches!(kill(""), Ok(NestedRequest::Kill(_, 9))));
        assert!(matches!(kill(r#","signal":15"#), Ok(NestedRequest::Kill(_, 15))));
        assert!(matches!(kill(r#","signal":0"#), Err(Refusal::Invalid(_))));
        let empty: Call = json::from_slice(br#"{"type":"WAIT_NESTED_CONTAINER"}"#).unwrap();
        assert!(matches!(NestedRequest::parse(&ops(), &empty), Err(Refusal::Invalid(_))));
        let other: Call = json::from_slice(br#"{"type":"GET_AGENT"}"#).unwrap();
        assert_eq!(NestedRequest::parse(&ops(), &other), Ok(None));
        let lone = br#"{"type":"ATTACH_CONTAINER_OUTPUT","attach_container_output":{"container_id":{"value":"x"}}}"#;
        let lone: Call = json::from_slice(lone).unwrap();
        let Err(Refusal::Invalid(why)) = NestedStream::parse(&ops(), &lone) else { panic!() };
        assert!(why.contains("parent"), "{why}");
    }
}
