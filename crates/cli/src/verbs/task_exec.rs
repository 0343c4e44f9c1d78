//! `task exec`: run a command in a task's container, with its volumes, its limits and, if wanted, our terminal.
//!
//! Relies on the agent's sessions, which end with their connection: whatever becomes of this process, nothing of the command is left
//! behind. The terminal is given back as it was.

use holdfast_api::rows::TaskRow;
use holdfast_node::own_terminal::{window_size, RawTerminal, WindowSize};
use holdfast_proto::mesos::v1::agent::call::{
    LaunchNestedContainerSession, RemoveNestedContainer, Type, WaitNestedContainer,
};
use holdfast_proto::mesos::v1::agent::process_io::{self, data};
use holdfast_proto::mesos::v1::agent::{response, Call, ProcessIo};
use holdfast_proto::mesos::v1::{
    self, container_info, environment, tty_info, CommandInfo, ContainerId, ContainerInfo,
    Environment,
};
use holdfast_wire::client::EventStream;
use holdfast_wire::{ClientError, MesosClient};
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::mpsc;

use super::task_input::{resized, Typed};
use super::task_kill::of_framework;
use super::task_logs::choose;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR};

/// What is run, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct TaskExecArgs {
    /// Pass standard input on to the command.
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal, of the size of ours.
    #[arg(short, long)]
    pub tty: bool,
    /// Whose, when two frameworks have such a task.
    #[arg(long)]
    pub framework: Option<String>,
    /// HOST:PORT at which the task's agent is reached from here, when its name is not known here.
    #[arg(long, value_name = "HOST:PORT")]
    pub agent_address: Option<String>,
    /// The task's id, the beginning of it, or its name; of several with a name the one that lives.
    pub task: String,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Runs the verb; the exit code is the command's, or 128 and the signal that ended it.
///
/// # Errors
/// When there is no such task, it does not run, or the command cannot be started.
pub async fn run(context: &Context, args: &TaskExecArgs) -> anyhow::Result<i32> {
    let tasks = of_framework(context, args.framework.as_deref()).await?;
    let task = choose(&tasks, &args.task)?;
    let place = Place::of(context, task, args.agent_address.clone()).await?;
    let container = place.inside(uuid::Uuid::new_v4().to_string());
    let call = launch(&container, args, args.tty.then(window_size).flatten());
    let mut output = place.client.container_output(&place.address, &call).await?;
    // Before any letter is read, and until all that was printed is shown.
    let terminal = match args.tty && args.interactive {
        true => RawTerminal::enter()?,
        false => None,
    };
    let (typed, input) = mpsc::channel(16);
    let input = place.client.container_input(&place.address, container.clone(), input);
    let typed = Typed::begin(typed, args.interactive, args.tty)?;
    let stopped = tokio::select! {
        shown = show(context, &mut output) => { shown?; None }
        never = pass_on(input) => match never {},
        signal = stopped(typed, args.tty) => Some(signal?),
    };
    drop(terminal);
    if let Some(signal) = stopped {
        return Ok(128 + signal); // The connection closes, and with it the session ends.
    }
    let exit = place.wait(&container).await?;
    place.remove(container).await;
    match exit.exit_status {
        Some(status) => Ok(exit_code(status)),
        None => {
            let cause = format!("how the command ended is not known: {}", exit.message());
            Err(Failure::new(EXIT_ERROR, cause, "look what it did before you run it again").into())
        }
    }
}

/// What a shell says of a command that ended so.
fn exit_code(status: i32) -> i32 {
    match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

/// The container of a task, and the agent that has it.
pub struct Place {
    /// Who asks.
    pub client: MesosClient,
    /// The agent's address.
    pub address: String,
    /// The container of the task's executor.
    root: ContainerId,
}

impl Place {
    /// Finds it by the master's list and the agent's.
    ///
    /// # Errors
    /// When the task does not run, or its agent does not answer.
    pub async fn of(
        context: &Context,
        task: &TaskRow,
        address: Option<String>,
    ) -> Result<Place, Failure> {
        if task.ended {
            let cause = format!("task `{}` has ended ({})", task.id, task.state.name());
            return Err(Failure::new(EXIT_CONFLICT, cause, "see `holdfast task list`"));
        }
        let Some(address) = address.or_else(|| task.agent_address.clone()) else {
            let cause = format!("nobody knows where agent {} of task `{}` is", task.agent, task.id);
            return Err(Failure::new(EXIT_CONFLICT, cause, "see `holdfast agent list`"));
        };
        let client = context.master.client().clone();
        let call = Call { r#type: Some(Type::GetContainers.into()), ..Call::default() };
        let answer = client.agent_operator(&address, &call).await.map_err(|error| match error {
            ClientError::Unreachable { .. } | ClientError::TimedOut { .. } => Failure::new(
                EXIT_ERROR,
                format!("the agent of task `{}` does not answer: {error}", task.id),
                "see `holdfast agent list`; if it runs, and only its name is not known here, say where it is reached: --agent-address HOST:PORT",
            ),
            other => other.into(),
        })?;
        let all = answer.and_then(|it| it.get_containers).unwrap_or_default().containers;
        let is_its = |it: &response::get_containers::Container| {
            it.executor_id.as_ref().is_some_and(|it| it.value == task.executor.as_str())
                && it.framework_id.as_ref().is_some_and(|it| it.value == task.framework.as_str())
        };
        let missing = || {
            let cause = format!("agent {} has no container of task `{}`", task.agent, task.id);
            Failure::new(EXIT_CONFLICT, cause, "it is starting or ending: see `holdfast task list`")
        };
        let root = all.into_iter().find(is_its).ok_or_else(missing)?.container_id;
        Ok(Place { client, address, root })
    }

    fn inside(&self, value: String) -> ContainerId {
        ContainerId { value, parent: Some(Box::new(self.root.clone())) }
    }

    /// What is left of it otherwise is forgotten with the task's container.
    #[allow(
        deprecated,
        reason = "Mesos calls it deprecated, and has nothing else that every agent of it takes"
    )]
    async fn remove(&self, container_id: ContainerId) {
        let call = Call {
            r#type: Some(Type::RemoveNestedContainer.into()),
            remove_nested_container: Some(RemoveNestedContainer { container_id }),
            ..Call::default()
        };
        let _ = self.client.agent_operator(&self.address, &call).await;
    }

    /// However long that takes: what was printed is at its end, so it is a moment.
    #[allow(
        deprecated,
        reason = "Mesos calls it deprecated, and has nothing else that every agent of it takes"
    )]
    async fn wait(
        &self,
        container: &ContainerId,
    ) -> Result<response::WaitNestedContainer, Failure> {
        let call = Call {
            r#type: Some(Type::WaitNestedContainer.into()),
            wait_nested_container: Some(WaitNestedContainer { container_id: container.clone() }),
            ..Call::default()
        };
        match self.client.agent_operator(&self.address, &call).await {
            Ok(answer) => Ok(answer.and_then(|it| it.wait_nested_container).unwrap_or_default()),
            Err(ClientError::Refused { status: 404, .. }) => {
                let cause = "the task has ended, and the command with it";
                Err(Failure::new(EXIT_ERROR, cause, "see `holdfast task list`"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn launch(container: &ContainerId, args: &TaskExecArgs, size: Option<WindowSize>) -> Call {
    let window_size =
        size.map(|it| tty_info::WindowSize { rows: it.rows.into(), columns: it.columns.into() });
    let info = ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        tty_info: Some(v1::TtyInfo { window_size }),
        ..ContainerInfo::default()
    };
    let term = std::env::var("TERM").ok().filter(|_| args.tty).map(|value| environment::Variable {
        name: "TERM".to_owned(),
        value: Some(value),
        ..environment::Variable::default()
    });
    let command = CommandInfo {
        shell: Some(false),
        value: args.command.first().cloned(),
        arguments: args.command.clone(),
        environment: term.map(|it| Environment { variables: vec![it] }),
        ..CommandInfo::default()
    };
    Call {
        r#type: Some(Type::LaunchNestedContainerSession.into()),
        launch_nested_container_session: Some(LaunchNestedContainerSession {
            container_id: container.clone(),
            command: Some(command),
            container: args.tty.then_some(info),
        }),
        ..Call::default()
    }
}

/// Writes what the command prints until its end.
async fn show(context: &Context, output: &mut EventStream<ProcessIo>) -> anyhow::Result<()> {
    while let Some(piece) = output.next().await? {
        let Some(data) = piece.data else { continue };
        let bytes = data.data.as_deref().unwrap_or_default();
        match data.r#type() {
            data::Type::Stderr => context.console.note_bytes(bytes),
            _ => context.console.put_bytes(bytes)?,
        }
    }
    Ok(())
}

/// Passes on what is typed for as long as anybody takes it. What the command does not take is its own affair: its end is told by its
/// output.
async fn pass_on<E>(
    input: impl std::future::Future<Output = Result<(), E>>,
) -> std::convert::Infallible
where
    E: std::fmt::Display,
{
    if let Err(error) = input.await {
        tracing::debug!("the command takes no more input: {error}");
    }
    std::future::pending().await
}

/// Tells the command each new size of the terminal; returns with the signal that asks this process to stop.
async fn stopped(typed: Typed, has_terminal: bool) -> anyhow::Result<i32> {
    let mut sizes = signal(SignalKind::window_change())?;
    let (mut terminate, mut hangup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = sizes.recv() => {
                if let Some(size) = window_size().filter(|_| has_terminal) {
                    typed.send(resized(size)).await;
                }
            }
            _ = terminate.recv() => return Ok(15),
            _ = hangup.recv() => return Ok(1),
            _ = interrupt.recv() => return Ok(2),
        }
    }
}

/// A piece of input.
pub fn stdin(data: Vec<u8>) -> ProcessIo {
    let data = process_io::Data { r#type: Some(data::Type::Stdin.into()), data: Some(data) };
    ProcessIo {
        r#type: Some(process_io::Type::Data.into()),
        data: Some(data),
        ..ProcessIo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_what_a_shell_would_say() {
        assert_eq!(exit_code(0), 0);
        assert_eq!(exit_code(3 << 8), 3);
        assert_eq!(exit_code(9), 137);
    }

    #[test]
    fn a_command_goes_as_it_was_typed() {
        let words = ["cat", "a b", "-t"].map(str::to_owned).to_vec();
        let args = TaskExecArgs {
            interactive: false,
            tty: false,
            framework: None,
            agent_address: None,
            task: "t".to_owned(),
            command: words.clone(),
        };
        let session = launch(&ContainerId::default(), &args, None);
        let session = session.launch_nested_container_session.unwrap();
        let command = session.command.unwrap();
        assert_eq!((command.value.as_deref(), command.arguments), (Some("cat"), words));
        assert!(!command.shell.unwrap() && session.container.is_none());
        let args = TaskExecArgs { tty: true, ..args };
        let size = WindowSize { rows: 3, columns: 4 };
        let session = launch(&ContainerId::default(), &args, Some(size));
        let info = session.launch_nested_container_session.unwrap().container.unwrap();
        assert_eq!(info.tty_info.unwrap().window_size.unwrap().columns, 4);
    }
}
