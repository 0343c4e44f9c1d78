//! Drivers of processes: plans of the core become containers, their ends become inputs.
//!
//! What is asked about one container is done in the order asked (see `keyed_queues`), so a container is never started after it was destroyed.
//! Never says that a container has ended, or did not start, while anything of it may run: its volumes stay with it until then.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use holdfast_agent::{AgentView, ContainerPlan, Exit, Found, Input, Payload, VolumePlan};
use holdfast_containers::{
    Command, ContainerSpec, FoundState, HiddenPlace, Launcher, LauncherOptions, Limits,
    OutputLimits, Room, Usage, VolumeMount,
};
use holdfast_model::{AgentLedger, ContainerId, Mode};
use holdfast_proto::mesos::v1;
use tokio_util::sync::CancellationToken;

use super::disks::Disks;
use super::fetching::Fetcher;
use super::gc::Collector;
use super::keyed_queues::{spawn, KeyedQueues};
use super::machine::DiskPlan;
use super::nested::NestedBoard;
use super::room::{Reserve as _, RoomKeeper};
use super::sandboxes::Sandboxes;
use crate::container_shim;
use crate::core_loop::{now, Inbox};
use crate::executor_process::{FETCH_STALL_VARIABLE, OUTPUT_FREE_VARIABLE, OUTPUT_MAX_VARIABLE};
use crate::settings::agent::AgentSettings;

/// How long executors look for a restarted agent before they give up.
const RECOVERY_TIMEOUT: &str = "15mins";

/// How long to wait before a container that would not end is ended again; doubled each time up to the greatest.
const EMPTY_RETRY_MIN: Duration = Duration::from_secs(1);
const EMPTY_RETRY_MAX: Duration = Duration::from_secs(60);

/// The containers of an agent. Cheap to clone.
#[derive(Clone)]
pub struct Containers(Arc<Inner>);

struct Inner {
    launcher: Launcher,
    keyed_queues: KeyedQueues<ContainerId>,
    /// Containers inside these.
    nested: NestedBoard,
    /// Containers whose end was asked for and has not come yet.
    ending: Mutex<BTreeSet<ContainerId>>,
    sandboxes: Sandboxes,
    collector: Collector,
    room: RoomKeeper,
    fetcher: Fetcher,
    fetch_stall: Duration,
    inbox: Inbox<Input>,
    address: SocketAddr,
    program: std::path::PathBuf,
    registration_timeout: Duration,
    /// How much is kept of what a task prints.
    task_log_max_bytes: u64,
}

/// What was measured, in the words of the API. What a kernel does not tell is left out.
fn statistics(usage: &Usage) -> v1::ResourceStatistics {
    v1::ResourceStatistics {
        timestamp: now().0 as f64 / 1000.0,
        processes: u32::try_from(usage.processes).ok(),
        cpus_user_time_secs: Some(usage.cpu_user_s),
        cpus_system_time_secs: Some(usage.cpu_system_s),
        mem_rss_bytes: Some(usage.mem_rss_bytes),
        mem_total_bytes: Some(usage.mem_total_bytes).filter(|it| 0 < *it),
        ..Default::default()
    }
}

impl Containers {
    /// Opens the directory of containers.
    ///
    /// # Errors
    /// When another agent uses it.
    pub fn open(
        dir: &Path,
        address: SocketAddr,
        settings: &AgentSettings,
        disks: &[DiskPlan],
        inbox: Inbox<Input>,
    ) -> anyhow::Result<Containers> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let options =
            LauncherOptions { hides: !settings.privileged_tasks, ..LauncherOptions::default() };
        let shim = container_shim::command(&program);
        let launcher = Launcher::open_with(dir.join("containers"), shim, options)?;
        super::isolation::tell(&launcher.isolation(), settings.privileged_tasks);
        let sandboxes = Sandboxes::below(dir);
        let protected = disks.iter().map(|it| it.root.join("holdfast")).collect();
        let collector = Collector::new(sandboxes.root(), settings.gc_delay, protected);
        let registration_timeout = settings.executor_registration_timeout;
        let (keyed_queues, ending) = (KeyedQueues::default(), Mutex::default());
        let cache_bytes = settings.fetcher_cache_size_mb.saturating_mul(1 << 20);
        let fetcher =
            Fetcher::open(dir, cache_bytes, settings.fetcher_stall_timeout, program.clone())?;
        Ok(Containers(Arc::new(Inner {
            launcher,
            keyed_queues,
            nested: NestedBoard::default(),
            ending,
            sandboxes,
            collector,
            room: RoomKeeper::new(dir),
            fetcher,
            fetch_stall: settings.fetcher_stall_timeout,
            inbox,
            address,
            program,
            registration_timeout,
            task_log_max_bytes: settings.task_log_max_mb.saturating_mul(1 << 20),
        })))
    }

    /// The driver.
    pub(super) fn launcher(&self) -> &Launcher {
        &self.0.launcher
    }

    /// Containers inside these.
    pub(super) fn nested(&self) -> &NestedBoard {
        &self.0.nested
    }

    /// The sandboxes.
    pub fn sandboxes(&self) -> &Sandboxes {
        &self.0.sandboxes
    }

    /// What the containers that run use now; those that could not be measured are left out.
    pub fn measured(&self, view: &AgentView) -> BTreeMap<ContainerId, v1::ResourceStatistics> {
        let containers = view.ledger().executors.values().map(|it| it.container);
        let measured = |container: ContainerId| {
            let usage = self.0.launcher.usage(&container.to_string()).ok()?;
            Some((container, statistics(&usage)))
        };
        containers.filter_map(measured).collect()
    }

    /// The first process of the payload of each container that runs.
    pub fn pids(&self, view: &AgentView) -> BTreeMap<ContainerId, u32> {
        let containers = view.ledger().executors.values().map(|it| it.container);
        let pid = |it: ContainerId| Some((it, self.0.launcher.payload_pid(&it.to_string())?));
        containers.filter_map(pid).collect()
    }

    /// Watches the room on the agent's file system, and makes some, until told to stop. To be called once it is known what runs.
    pub fn keep_room(&self, dir: &Path, stop: &CancellationToken) {
        let (room, collector) = (self.0.room.clone(), self.0.collector.clone());
        tokio::spawn(collector.run(dir.to_owned(), room.wanted(), stop.clone()));
        tokio::spawn(room.run(self.0.inbox.clone(), stop.clone()));
    }

    /// Hides places of this machine from containers, also from those that run.
    pub fn hide(&self, places: Vec<HiddenPlace>) {
        for (container, problem) in self.0.launcher.hide(places) {
            match problem {
                Some(error) => tracing::warn!("container {container} may see more than it was given: {error}"),
                None => tracing::warn!(
                    "container {container} was started by an older program or as a privileged one: its tasks, when they are root's, can reach every \
                     volume of this machine until it ends"
                ),
            }
        }
    }

    /// What became of the containers while no agent looked. Those that still run are watched from now on.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn recover(&self, ledger: &AgentLedger) -> anyhow::Result<Vec<(ContainerId, Found)>> {
        let mut all = Vec::new();
        for found in self.0.launcher.recover()? {
            if self.recover_nested(&found) {
                continue;
            }
            let Ok(container) = ContainerId::parse(&found.id) else {
                tracing::warn!(
                    "the containers' directory holds `{}`, which is no container; it is left alone",
                    found.id
                );
                continue;
            };
            let state = match found.state {
                FoundState::Exited(exit) => Found::Exited(exit_of(&exit)),
                FoundState::Lost { message } => {
                    tracing::warn!("container {container} is lost: {message}");
                    Found::Lost
                }
                FoundState::Starting | FoundState::Running { .. } | FoundState::Stuck { .. } => {
                    self.watch(container);
                    Found::Running
                }
            };
            all.push((container, state));
        }
        self.0.collector.keep(all.iter().map(|(container, _)| *container));
        self.0.collector.keep(ledger.executors.values().map(|it| it.container));
        let known = ledger
            .executors
            .values()
            .filter(|it| all.iter().all(|(container, _)| *container != it.container))
            .count();
        if 0 < known {
            tracing::info!("{known} containers of the ledger were never started");
        }
        Ok(all)
    }

    /// Starts a container, after a look at each of its volumes; one whose end was asked for meanwhile is not started any more.
    pub fn start(&self, plan: ContainerPlan, disks: Disks) {
        let this = self.clone();
        self.0.keyed_queues.push(plan.container, move || {
            // The lock is given back here: a start takes long, and an end must be noted meanwhile.
            let is_ending = this.ending().contains(&plan.container);
            let outcome = match is_ending {
                true => Err("it was ended before it was started".to_owned()),
                false => this.start_now(&plan, &disks),
            };
            let started = outcome.is_ok();
            this.0.inbox.tell_blocking(Input::ContainerStarted(plan.container, outcome));
            if started {
                this.watch(plan.container);
            }
        });
    }

    fn start_now(&self, plan: &ContainerPlan, disks: &Disks) -> Result<(), String> {
        if let Some(full) = self.0.room.fault() {
            return Err(full);
        }
        let spec = self.spec(plan, disks)?;
        let wanted = || !self.ending().contains(&plan.container);
        self.0.fetcher.fetch(&self.0.launcher, plan, &spec, &wanted)?;
        self.0.launcher.start(&spec).map(drop).map_err(|error| {
            // Something of it may live all the same, and until it does not, its volumes are in use.
            self.empty(plan.container);
            error.to_string()
        })
    }

    /// Follows what a running container may use, and shows it new volumes, each after a look at it.
    pub fn update(&self, plan: ContainerPlan, disks: Disks) {
        let this = self.clone();
        self.0.keyed_queues.push(plan.container, move || {
            let id = plan.container.to_string();
            if let Err(error) = this.0.launcher.update_limits(&id, limits(&plan)) {
                tracing::warn!("cannot change what container {id} may use: {error}");
            }
            let user = this.user(&plan);
            let show = |volume: &VolumePlan| {
                let shown = this.volume(volume, &disks, user.as_deref()).and_then(|it| {
                    this.0.launcher.add_volumes(&id, &[it]).map_err(|it| it.to_string())
                });
                shown.inspect_err(|why| {
                    tracing::error!(
                        "cannot show volume {} to container {id}: {why}",
                        volume.label.claim
                    )
                })
            };
            let shown =
                plan.volumes.iter().map(|volume| (volume.label.claim, show(volume))).collect();
            this.0.inbox.tell_blocking(Input::ContainerUpdated(plan.container, shown));
        });
    }

    /// Kills everything in a container, and tells when nothing of it runs any more. Asking again before that changes nothing.
    pub fn destroy(&self, container: ContainerId) {
        self.end(container, "killed by the agent".to_owned());
    }

    /// Removes what is left of a container; its sandbox stays.
    pub fn forget(&self, container: ContainerId) {
        let this = self.clone();
        self.0.keyed_queues.push(container, move || {
            match this.0.launcher.forget(&container.to_string()) {
                Ok(()) => {
                    this.forget_nested(container);
                    this.0.collector.gone(container);
                }
                Err(error) => tracing::warn!("cannot forget container {container}: {error}"),
            }
        });
    }

    fn watch(&self, container: ContainerId) {
        let this = self.clone();
        spawn("watch-container", move || match this.0.launcher.wait(&container.to_string()) {
            Ok(exit) => {
                this.0.inbox.tell_blocking(Input::ContainerExited(container, exit_of(&exit)))
            }
            // Its keeper is gone; nothing may run on unwatched.
            Err(error) => this.end(container, error.to_string()),
        });
    }

    fn end(&self, container: ContainerId, message: String) {
        if !self.ending().insert(container) {
            return; // It is on its way, and will be told.
        }
        if let Some(fetching) = self.0.fetcher.running(container) {
            let this = self.clone();
            // What waits in the container's queue waits for the fetcher.
            spawn("end-fetcher", move || {
                if let Err(error) = this.0.launcher.destroy(&fetching) {
                    tracing::error!("the fetcher of container {container} does not end: {error}");
                }
            });
        }
        let this = self.clone();
        self.0.keyed_queues.push(container, move || {
            this.empty(container);
            this.ending().remove(&container);
            let exit = Exit { status: 137, out_of_memory: false, message };
            this.0.inbox.tell_blocking(Input::ContainerExited(container, exit));
        });
    }

    /// Returns once nothing of a container runs. What waits for a broken disk cannot be killed; it may take until somebody mends that.
    fn empty(&self, container: ContainerId) {
        self.empty_unit(&container.to_string());
    }

    /// The same by the driver's name.
    pub(super) fn empty_unit(&self, container: &str) {
        let mut pause = EMPTY_RETRY_MIN;
        while let Err(error) = self.0.launcher.destroy(container) {
            tracing::error!(
                "cannot end container {container}, which is tried again in {} s: {error}",
                pause.as_secs()
            );
            // tidy: sleep is the point: the kernel does not say when a process that could not be killed has gone
            std::thread::sleep(pause);
            pause = (pause * 2).min(EMPTY_RETRY_MAX);
        }
    }

    fn ending(&self) -> MutexGuard<'_, BTreeSet<ContainerId>> {
        self.0.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spec(&self, plan: &ContainerPlan, disks: &Disks) -> Result<ContainerSpec, String> {
        let user = self.user(plan);
        let volume = |it| self.volume(it, disks, user.as_deref());
        let volumes = plan.volumes.iter().map(volume).collect::<Result<_, _>>()?;
        let sandbox = self.0.collector.stage(plan.container, || {
            self.0.sandboxes.stage(
                &plan.agent,
                &plan.framework,
                &plan.executor,
                plan.container,
                user.as_deref(),
            )
        })?;
        let output = self.output_limits(&sandbox);
        let environment = self.environment(plan, &sandbox, output);
        let command = self.command(plan)?;
        Ok(ContainerSpec {
            id: plan.container.to_string(),
            command,
            environment,
            sandbox,
            user,
            volumes,
            limits: limits(plan),
            output,
            isolate: true,
            inside: None,
        })
    }

    /// Only root can be somebody else; without root every task is whoever the agent is.
    fn user(&self, plan: &ContainerPlan) -> Option<String> {
        let root = holdfast_containers::is_root();
        Some(plan.user.clone()).filter(|it| root && !it.is_empty())
    }

    /// Where a volume's data is, if it can be used now. Its disk's helper looks at it, and makes it its user's, so that nothing of this
    /// process can hang on a disk: what is left to do here is done on what the kernel has just seen.
    fn volume(
        &self,
        volume: &VolumePlan,
        disks: &Disks,
        user: Option<&str>,
    ) -> Result<VolumeMount, String> {
        let found = disks.find(&volume.label);
        if let Err(why) = &found {
            // Not only this launch fails: the claim itself cannot be used, and whoever asks must see that.
            self.0.inbox.tell_blocking(Input::VolumeChecked(volume.label.claim, Err(why.clone())));
        }
        let read_only = volume.mode == Mode::ReadOnly;
        let container_path = volume.container_path.clone();
        let mount = VolumeMount { source: found?, container_path, read_only };
        let user = user.filter(|_| !volume.keeps_owner);
        let owner = user.map(|it| self.0.launcher.owner_to_be(&mount, it)).transpose();
        match owner.map_err(|it| it.to_string())?.flatten() {
            Some(owner) => disks.give(&volume.label, owner).map(|()| mount),
            None => Ok(mount),
        }
    }

    fn command(&self, plan: &ContainerPlan) -> Result<Command, String> {
        let own = |verb: &str| Command::Argv {
            program: self.0.program.to_string_lossy().into_owned(),
            args: vec![verb.to_owned()],
        };
        match plan.payload {
            Payload::CommandExecutor => Ok(own("command-executor")),
            Payload::DefaultExecutor => Ok(own("default-executor")),
            Payload::Custom => {
                let command = plan
                    .info
                    .command
                    .as_ref()
                    .ok_or("executor.command: a custom executor needs a command")?;
                let value = command.value.clone().unwrap_or_default();
                if command.shell {
                    return Ok(Command::Shell(value));
                }
                // In Mesos `arguments` begins with argv[0], which programs rarely look at.
                Ok(Command::Argv {
                    program: value,
                    args: command.arguments.iter().skip(1).cloned().collect(),
                })
            }
        }
    }

    fn output_limits(&self, sandbox: &Path) -> OutputLimits {
        let keep_free_bytes = Room::at(sandbox).map_or(0, |it| it.output_leaves_bytes());
        OutputLimits { max_bytes: self.0.task_log_max_bytes, keep_free_bytes }
    }

    fn environment(
        &self,
        plan: &ContainerPlan,
        sandbox: &Path,
        output: OutputLimits,
    ) -> BTreeMap<String, String> {
        let sandbox = sandbox.to_string_lossy().into_owned();
        let grace = Duration::from_millis(plan.info.shutdown_grace_ms.unwrap_or(5_000));
        let mut environment: BTreeMap<String, String> = [
            ("MESOS_FRAMEWORK_ID", plan.framework.to_string()),
            ("MESOS_EXECUTOR_ID", plan.executor.to_string()),
            ("MESOS_DIRECTORY", sandbox.clone()),
            ("MESOS_SANDBOX", sandbox),
            ("MESOS_AGENT_ENDPOINT", self.0.address.to_string()),
            ("MESOS_SLAVE_ID", plan.agent.to_string()),
            ("MESOS_SLAVE_PID", format!("slave(1)@{}", self.0.address)),
            ("MESOS_CHECKPOINT", if plan.checkpoint { "1" } else { "0" }.to_owned()),
            ("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT.to_owned()),
            ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs".to_owned()),
            ("MESOS_EXECUTOR_REGISTRATION_TIMEOUT", span(self.0.registration_timeout)),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", span(grace)),
            ("MESOS_HTTP_COMMAND_EXECUTOR", "1".to_owned()),
            ("MESOS_ALLOCATION_ROLE", plan.role.clone()),
            ("LIBPROCESS_PORT", "0".to_owned()),
            (OUTPUT_MAX_VARIABLE, output.max_bytes.to_string()),
            (OUTPUT_FREE_VARIABLE, output.keep_free_bytes.to_string()),
            (FETCH_STALL_VARIABLE, self.0.fetch_stall.as_secs().to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(command) =
            plan.info.command.as_ref().filter(|_| plan.payload == Payload::Custom)
        {
            environment.extend(command.environment.iter().cloned());
        }
        environment
    }
}

/// A time as Mesos writes it, which not every executor reads in milliseconds.
fn span(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}secs", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

fn limits(plan: &ContainerPlan) -> Limits {
    Limits {
        cpus_thousandths: plan.cpus_thousandths,
        mem_bytes: plan.mem_mb << 20,
        cpu_is_ceiling: false,
    }
}

fn exit_of(exit: &holdfast_containers::Exit) -> Exit {
    let status = exit.code.or_else(|| exit.signal.map(|it| 128 + it)).unwrap_or(255);
    Exit { status, out_of_memory: exit.oom_killed, message: exit.message.clone() }
}
