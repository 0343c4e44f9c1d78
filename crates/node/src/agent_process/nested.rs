//! Containers inside those of executors: what is asked for about them becomes work of the launcher.
//!
//! What is allowed is said by the register, which is pure; which of them run is found again in the launcher's files after a restart.
//! A session hangs on its connection, so it never outlives an agent. Never says that one has ended before nothing of it runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_agent::{Begun, Nested, NestedContainers, NestedExit, NestedPath, NestedState};
use holdfast_api::agent::NestedRun;
use holdfast_api::requests::{NestedLaunch, WindowRows};
use holdfast_api::Refusal as Refused;
use holdfast_containers::{
    AttachError, Attachment, Command, ContainerSpec, Exit, Found, FoundState, Inside, LaunchError,
    Limits, WindowSize,
};
use holdfast_model::{CommandInfo, ContainerId};
use holdfast_proto::mesos::v1;
use holdfast_wire::Refusal;
use tokio::sync::watch;

use super::containers::Containers;
use super::keyed_queues::spawn;
use crate::refusals::http;

/// The containers inside others, and word of what becomes of them.
pub struct NestedBoard {
    register: Mutex<NestedContainers>,
    changed: watch::Sender<()>,
}

impl Default for NestedBoard {
    fn default() -> Self {
        NestedBoard { register: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl NestedBoard {
    fn register(&self) -> MutexGuard<'_, NestedContainers> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a container is not started, as HTTP says it.
fn not_started(error: LaunchError) -> Refusal {
    let why = error.to_string();
    match error {
        // It was checked that it runs; it has ended since, or cannot have any inside it.
        LaunchError::InvalidField { field, .. } if field == "inside" => Refusal::conflict(why),
        LaunchError::InvalidField { .. }
        | LaunchError::UnknownUser { .. }
        | LaunchError::CannotSwitchUser { .. }
        | LaunchError::MissingProgram { .. }
        | LaunchError::NotExecutable { .. } => Refusal::bad_request(why),
        _ => Refusal::internal(why),
    }
}

fn not_attached(error: AttachError) -> Refusal {
    let why = error.to_string();
    match error {
        AttachError::NotRunning { .. } => Refusal::not_found(why),
        AttachError::Taken { .. } => Refusal::conflict(why),
        AttachError::Nothing { .. } => Refusal::bad_request(why),
        AttachError::Broken { .. } | AttachError::File(_) => Refusal::internal(why),
    }
}

/// The unit of one that runs. To whoever wants to speak with it, one that has ended is not there.
fn running(register: &NestedContainers, path: &NestedPath) -> Result<String, Refusal> {
    let found = register.running(path).map(|it| it.unit.clone());
    found.map_err(|refused| http(Refused::NotFound(refused.to_string())))
}

fn exit_of(exit: &Exit) -> NestedExit {
    let status = exit.code.map(|code| (code & 0xff) << 8).or(exit.signal);
    NestedExit { status, message: exit.message.clone() }
}

impl Containers {
    /// Starts a container inside another. `false` when it runs already. Blocks.
    ///
    /// # Errors
    /// A refusal; then nothing of it runs, or it is being ended.
    pub fn launch_nested(
        &self,
        launch: &NestedLaunch,
        is_session: bool,
        is_known: bool,
    ) -> Result<Option<String>, Refusal> {
        let root = launch.path.root.to_string();
        let unit = uuid::Uuid::new_v4().to_string();
        let nested = Nested { unit: unit.clone(), state: NestedState::Runs, is_session };
        let is_running = is_known.then(|| self.launcher().payload_pid(&root).is_some());
        let begun = self.nested().register().begin(&launch.path, nested, is_running);
        let around = match begun.map_err(|refused| http(refused.into()))? {
            Begun::Already => return Ok(None),
            Begun::New { around } => around,
        };
        let started = self
            .nested_spec(&unit, around, launch, is_session)
            .and_then(|spec| self.launcher().start(&spec).map_err(not_started));
        match started {
            Ok(_) => {
                self.watch_nested(launch.path.clone(), unit.clone());
                Ok(Some(unit))
            }
            Err(refusal) => {
                self.clear_unstarted(launch.path.clone(), unit);
                Err(refusal)
            }
        }
    }

    /// Forgets one that was not started, at once unless something of it lives all the same.
    fn clear_unstarted(&self, path: NestedPath, unit: String) {
        let is_empty = self.launcher().destroy(&unit).is_ok();
        let this = self.clone();
        let clear = move || {
            this.empty_unit(&unit);
            this.forget_unit(&unit);
            this.nested().register().not_started(&path);
        };
        match is_empty {
            true => clear(),
            false => spawn("end-nested", clear),
        }
    }

    fn nested_spec(
        &self,
        unit: &str,
        around: String,
        launch: &NestedLaunch,
        is_session: bool,
    ) -> Result<ContainerSpec, Refusal> {
        let over = || Refusal::conflict(format!("container {} has ended", launch.path.root));
        let root = self.launcher().spec(&launch.path.root.to_string()).ok_or_else(over)?;
        let user = launch.command.user.clone();
        let sandbox = match is_session {
            true => root.sandbox.clone(),
            false => self
                .launcher()
                .make_sandbox_beneath(
                    &root.sandbox,
                    &launch.path.sandbox(),
                    user.as_deref().or(root.user.as_deref()),
                )
                .map_err(not_started)?,
        };
        let mut environment = match is_session {
            true => root.environment,
            false => BTreeMap::new(),
        };
        environment.insert("MESOS_SANDBOX".to_owned(), sandbox.to_string_lossy().into_owned());
        environment.extend(launch.command.environment.iter().cloned());
        let terminal =
            launch.terminal.map(|WindowRows { rows, columns }| WindowSize { rows, columns });
        let names = launch.path.names();
        let inside =
            Inside { container: around, names, beneath: root.sandbox, is_session, terminal };
        Ok(ContainerSpec {
            id: unit.to_owned(),
            command: command(&launch.command),
            environment,
            sandbox,
            user,
            volumes: Vec::new(),
            limits: Limits::default(),
            output: root.output,
            isolate: true,
            inside: Some(inside),
        })
    }

    fn watch_nested(&self, path: NestedPath, unit: String) {
        let this = self.clone();
        spawn("watch-nested", move || {
            let exit = match this.launcher().wait(&unit) {
                Ok(exit) => exit_of(&exit),
                // Its keeper is gone; nothing may run on unwatched.
                Err(error) => {
                    this.empty_unit(&unit);
                    NestedExit { status: None, message: error.to_string() }
                }
            };
            let is_known = this.nested().register().ended(&path, exit);
            this.nested().changed.send_replace(());
            if !is_known {
                this.forget_unit(&unit); // What was around it was forgotten meanwhile.
            }
        });
    }

    fn forget_unit(&self, unit: &str) {
        if let Err(error) = self.launcher().forget(unit) {
            tracing::warn!("cannot forget container {unit}, which was inside another: {error}");
        }
    }

    /// Takes up one that was found when the agent was started. `false` when it is none of these.
    pub fn recover_nested(&self, found: &Found) -> bool {
        let Some(inside) = self.launcher().inside(&found.id) else { return false };
        let unit = found.id.clone();
        let path = NestedPath::parse(&inside.names).ok();
        let path = path.filter(|it| self.launcher().spec(&it.root.to_string()).is_some());
        let state = match &found.state {
            FoundState::Exited(exit) => NestedState::Ended(exit_of(exit)),
            FoundState::Lost { message } => {
                NestedState::Ended(NestedExit { status: None, message: message.clone() })
            }
            FoundState::Starting | FoundState::Running { .. } | FoundState::Stuck { .. } => {
                NestedState::Runs
            }
        };
        let this = self.clone();
        let Some(path) = path else {
            // Nobody can name it any more.
            spawn("end-nested", move || {
                this.empty_unit(&unit);
                this.forget_unit(&unit);
            });
            return true;
        };
        let is_session = inside.is_session;
        let runs = state == NestedState::Runs;
        self.nested()
            .register()
            .found(path.clone(), Nested { unit: unit.clone(), state, is_session });
        if runs {
            self.watch_nested(path, unit.clone());
            if is_session {
                spawn("end-nested", move || this.empty_unit(&unit)); // Its connection was that of another process.
            }
        }
        true
    }

    /// Forgets all that were inside an executor's container that is no more. Blocks.
    pub fn forget_nested(&self, root: ContainerId) {
        let units = self.nested().register().remove_root(root);
        for unit in units {
            self.empty_unit(&unit);
            self.forget_unit(&unit);
        }
        self.nested().changed.send_replace(());
    }

    /// Waits for the end of one.
    ///
    /// # Errors
    /// 404 for one that is not known.
    pub async fn wait_nested(&self, path: &NestedPath) -> Result<NestedExit, Refusal> {
        let mut changed = self.nested().changed.subscribe();
        loop {
            let found = self.nested().register().find(path).map(|it| it.state.clone());
            match found.map_err(|refused| http(refused.into()))? {
                NestedState::Ended(exit) => return Ok(exit),
                NestedState::Runs => {}
            }
            let is_over = changed.changed().await.is_err();
            if is_over {
                return Err(Refusal::unavailable("the agent is stopping; ask again"));
            }
        }
    }

    /// Sends a signal to the payload of one.
    ///
    /// # Errors
    /// 404 for one that does not run.
    pub fn signal_nested(&self, path: &NestedPath, signal: i32) -> Result<(), Refusal> {
        let unit = running(&self.nested().register(), path)?;
        let sent = self.launcher().signal(&unit, signal);
        sent.map_err(|error| Refusal::not_found(error.to_string()))
    }

    /// Removes what is left of one that has ended. Blocks.
    ///
    /// # Errors
    /// 404 for one that is not known, 409 for one that runs.
    pub fn remove_nested(&self, path: &NestedPath) -> Result<(), Refusal> {
        let removed = self.nested().register().remove(path);
        let units = removed.map_err(|refused| http(refused.into()))?;
        for unit in units {
            self.launcher().forget(&unit).map_err(|error| Refusal::internal(error.to_string()))?;
        }
        self.nested().changed.send_replace(());
        let Some(root) = self.launcher().spec(&path.root.to_string()) else { return Ok(()) };
        let removed = self.launcher().remove_sandbox_beneath(&root.sandbox, &path.sandbox());
        removed.map_err(|error| Refusal::internal(error.to_string()))
    }

    /// Connects to one. Blocks a little.
    ///
    /// # Errors
    /// A refusal.
    pub fn attach_nested(
        &self,
        path: &NestedPath,
        how: Attachment,
    ) -> Result<std::os::unix::net::UnixStream, Refusal> {
        let unit = running(&self.nested().register(), path)?;
        self.attach_unit(&unit, how)
    }

    /// The same by the launcher's name.
    ///
    /// # Errors
    /// A refusal; a session that nobody could be attached to is ended.
    pub fn attach_unit(
        &self,
        unit: &str,
        how: Attachment,
    ) -> Result<std::os::unix::net::UnixStream, Refusal> {
        self.launcher().attach(unit, how).map_err(|error| {
            if how == Attachment::Session {
                let (this, unit) = (self.clone(), unit.to_owned());
                spawn("end-nested", move || this.empty_unit(&unit));
            }
            not_attached(error)
        })
    }

    /// All that run.
    pub fn nested_runs(&self) -> Vec<NestedRun> {
        let all: Vec<(NestedPath, String)> = {
            let register = self.nested().register();
            register.all_running().map(|(path, it)| (path.clone(), it.unit.clone())).collect()
        };
        let run = |(path, unit): (NestedPath, String)| NestedRun {
            root: path.root,
            id: container_id(&path.names()),
            pid: self.launcher().payload_pid(&unit),
        };
        all.into_iter().map(run).collect()
    }
}

fn container_id(names: &[String]) -> v1::ContainerId {
    let nest = |parent: Option<Box<v1::ContainerId>>, value: &String| {
        Some(Box::new(v1::ContainerId { value: value.clone(), parent }))
    };
    names.iter().fold(None, nest).map(|it| *it).unwrap_or_default()
}

fn command(command: &CommandInfo) -> Command {
    let value = command.value.clone().unwrap_or_default();
    match command.shell {
        true => Command::Shell(value),
        // In Mesos `arguments` begins with argv[0], which programs rarely look at.
        false => Command::Argv {
            program: value,
            args: command.arguments.iter().skip(1).cloned().collect(),
        },
    }
}
