//! The shim: the process that stands between an agent and one container, and outlives the agent.
//!
//! It is the container's ancestor and, as its subreaper, the parent of whatever the container
//! leaves behind; so it alone can say when nothing is left. It relies on being single-threaded (it
//! forks and goes on; a thread for the output comes after the last fork) and on the files of `record`. It never ends before the container is empty,
//! never writes an exit that is not true, and does nothing on behalf of a container but start, reap
//! and kill.

mod first;
mod messages;
mod payload;
mod streams;
mod sweep;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sched::CloneFlags;
use nix::sys::signal::{SigHandler, Signal};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{ForkResult, Pid};

use crate::isolation::inside::{self, InsidePlan};
use crate::process::{self, ProcessIdentity};
use crate::record::{ContainerDir, Ending, Launch, Payload, ShimIdentity};
use crate::{Exit, LaunchError};
use messages::{FirstSays, Line, ShimSays};
use streams::Carried;

pub(crate) use messages::ShimReport;

/// The kernel's out-of-memory killer must not choose the shim: how the container ended would then
/// be unknown.
const OOM_SCORE_NEVER: &str = "-1000";

/// How long the last output may take to be written.
const OUTPUT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// The state of the shim while the container lives.
struct Shim {
    dir: ContainerDir,
    launch: Launch,
    own: ProcessIdentity,
    /// The lock of the container, held as long as the shim lives and never read.
    lock: Option<File>,
    /// The pipe to the launcher, until the payload is exec'ed.
    report: Option<File>,
    /// What carries the payload's output, once the first process is forked.
    carried: Option<Carried>,
}

/// Runs the shim of the container whose files are in `spec_dir` until the container has ended;
/// returns the process's exit code (0 when an exit was written). To be called first thing in
/// `main`, by a program that a `Launcher` has spawned: it closes every file that it has inherited,
/// needs to be the only thread, and fails if it is not.
pub fn shim_main(spec_dir: &Path) -> i32 {
    // A panic must not unwind into the caller's `main`: in the forked first process that would run
    // the caller's program a second time.
    let outcome = std::panic::catch_unwind(|| match Shim::begin(spec_dir) {
        Ok(mut shim) => shim.run(),
        Err(problem) => {
            eprintln!("{problem}");
            1
        }
    });
    outcome.unwrap_or(70)
}

impl Shim {
    /// Detaches from the agent and learns what to run.
    fn begin(spec_dir: &Path) -> Result<Shim, String> {
        if process::own_threads() > 1 {
            return Err(
                "the shim must be the only thread of its process: call it first thing in main"
                    .to_string(),
            );
        }
        close_inherited();
        let dir = ContainerDir::at(spec_dir);
        let (lock, report) = take_stdio(&dir)?;
        detach().map_err(|error| format!("detaching from the agent: {error}"))?;
        let launch = dir
            .launch()
            .map_err(|error| error.to_string())?
            .ok_or("there is no launch.json: nothing to run")?;
        let own =
            ProcessIdentity::of(std::process::id() as i32).ok_or("this process is not in /proc")?;
        dir.write_shim(&ShimIdentity { shim: own.clone(), first: None })
            .map_err(|error| error.to_string())?;
        Ok(Shim { dir, launch, own, lock: Some(lock), report: Some(report), carried: None })
    }

    /// The whole life of a container.
    fn run(&mut self) -> i32 {
        let started = self.start();
        let ending = match started {
            Ok((first, mut stream)) => {
                let status = sweep::wait_first(first);
                sweep::until_empty(&self.launch, self.own.pid);
                self.end_output();
                Ending::Exited(self.exit(status, &mut stream))
            }
            Err(error) => {
                sweep::until_empty(&self.launch, self.own.pid);
                Ending::NeverStarted(error)
            }
        };
        // Links stay until the container is forgotten, so that an ended sandbox can still be looked
        // at; cgroups go now.
        for isolator in
            self.launch.plan.isolators().iter().filter(|isolator| isolator.name() != "posix")
        {
            if let Err(error) = isolator.cleanup(&self.launch.subject(Some(self.own.pid))) {
                eprintln!("{error}");
            }
        }
        if let Err(error) = self.dir.write_ending(&ending) {
            // Whoever waits finds a dead shim without an exit and reports the container lost, as it
            // is.
            eprintln!("the exit could not be written: {error}");
            return 1;
        }
        if let Ending::NeverStarted(error) = ending {
            self.report(&ShimReport::Failed(error));
        }
        0
    }

    /// Starts the payload up to its exec. After an error, processes may be left for the sweep.
    fn start(&mut self) -> Result<(Pid, Line), LaunchError> {
        let own_score = shield_from_oom();
        let subject = self.launch.subject(Some(self.own.pid));
        let isolators = self.launch.plan.isolators();
        for isolator in &isolators {
            isolator.prepare(&subject)?;
        }
        let (ours, theirs) =
            UnixStream::pair().map_err(|error| LaunchError::shim("make a socket pair", error))?;
        let own_pids = File::open("/proc/self/ns/pid")
            .map_err(|error| LaunchError::shim("find its pid namespace", error))?;
        let around = self.enter_pids()?;
        let (carried, ends) = streams::open(&self.dir, &self.launch)?;
        let first = fork_single_threaded().map_err(|error| LaunchError::shim("fork", error))?;
        let first = match first {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                drop((ours, carried));
                // The lock says that the shim lives, and the pipe's end that it has reported:
                // neither may stay open in the first process.
                (self.lock, self.report) = (None, None);
                first::live(&self.launch, theirs, (own_score, ends), around)
            }
        };
        drop((theirs, ends, around));
        // From here on nothing is forked. Threads must be of the process's own pid namespace.
        if self.launch.plan.namespaces {
            nix::sched::setns(own_pids, CloneFlags::CLONE_NEWPID)
                .map_err(|error| LaunchError::shim("return to its pid namespace", error))?;
        }
        let identity = ProcessIdentity::of(first.as_raw())
            .ok_or_else(|| LaunchError::shim("find", "its first process in /proc"))?;
        let to_end = identity.clone();
        let end = move || {
            if let Err(error) = to_end.signal(rustix::process::Signal::KILL) {
                eprintln!("the payload could not be ended: {error}");
            }
        };
        let carried = carried.start(Box::new(end));
        self.carried = Some(
            carried.map_err(|error| LaunchError::shim("start a thread for the output", error))?,
        );
        // This is written before the first process may do anything, so that whoever finds this
        // container later can find it.
        self.dir.write_shim(&ShimIdentity { shim: self.own.clone(), first: Some(identity) })?;
        let mut stream = Line::new(ours);
        match self.await_exec(first, &mut stream) {
            Ok(()) => Ok((first, stream)),
            Err(error) => {
                let _ = nix::sys::signal::kill(first, Signal::SIGKILL);
                Err(error)
            }
        }
    }

    /// Has what is forked be in the container's pid namespace. Returns a handle on the container around it, if there is one.
    fn enter_pids(&self) -> Result<Option<OwnedFd>, LaunchError> {
        let plan = &self.launch.plan;
        let failed = |error| LaunchError::shim("enter the container around it", error);
        let around = plan.inside.as_ref().map(InsidePlan::handle).transpose().map_err(failed)?;
        match &around {
            Some(around) => inside::enter_pids(around).map_err(failed)?,
            None if plan.namespaces => nix::sched::unshare(CloneFlags::CLONE_NEWPID)
                .map_err(|error| LaunchError::shim("make a pid namespace", error))?,
            None => {}
        }
        Ok(around)
    }

    /// All that was printed is in the files, and told to a session, before the end is told, unless a disk hangs.
    fn end_output(&self) {
        if self.carried.as_ref().is_some_and(|it| !it.finish(OUTPUT_PATIENCE)) {
            eprintln!("the last output is not written after {OUTPUT_PATIENCE:?}; the end is told without it");
        }
    }

    /// Lets the first process go on step by step until the payload has been exec'ed and noted.
    fn await_exec(&mut self, first: Pid, stream: &mut Line) -> Result<(), LaunchError> {
        ask(stream, ShimSays::Go, FirstSays::Forked)?;
        // The payload waits at its gate, so it exists, under the pid that the host gives it.
        let payload = process::first_child(first.as_raw())
            .and_then(ProcessIdentity::of)
            .ok_or_else(|| LaunchError::shim("find", "the payload in /proc"))?;
        let pid = payload.pid;
        let subject = self.launch.subject(Some(self.own.pid));
        self.launch
            .plan
            .isolators()
            .iter()
            .try_for_each(|isolator| isolator.attach(&subject, pid))?;
        // This is written before and after: should we die in between, the payload may have run and
        // must not be run again.
        self.dir.write_payload(&Payload { payload: payload.clone(), execed: false })?;
        ask(stream, ShimSays::Exec, FirstSays::Running)?;
        self.dir.write_payload(&Payload { payload, execed: true })?;
        self.report(&ShimReport::Running { pid });
        Ok(())
    }

    /// Reports to the launcher, if it is still there, and closes the pipe.
    fn report(&mut self, report: &ShimReport) {
        let text = serde_json::to_vec(report).unwrap_or_default();
        if let Some(mut pipe) = self.report.take() {
            // A launcher that is gone will read the files instead.
            let _ = pipe.write_all(&text);
        }
    }

    /// Finds how the payload ended: from the first process's last message or, if that was killed,
    /// from its own exit status.
    fn exit(&self, first: WaitStatus, stream: &mut Line) -> Exit {
        let said = stream.hear_now::<FirstSays>();
        let (code, signal) = match (said, first) {
            (Some(FirstSays::Ended { code, signal }), _) => (code, signal),
            (_, WaitStatus::Signaled(_, signal, _)) => (None, Some(signal as i32)),
            (_, WaitStatus::Exited(_, code)) => (Some(code), None),
            _ => (None, None),
        };
        let subject = self.launch.subject(Some(self.own.pid));
        let isolators = self.launch.plan.isolators();
        let memory = isolators.iter().find_map(|it| it.memory_events(&subject));
        let memory = memory.unwrap_or_default();
        let oom_killed = memory.oom_kills > 0 && code != Some(0);
        let how = match (code, signal) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "ended in a way that was not seen".to_string(),
        };
        let message = match oom_killed {
            true => format!("{}; {how}", memory.words()),
            false => how,
        };
        Exit { code, signal, oom_killed, message }
    }
}

/// Tells the first process to go on and waits until it has.
fn ask(stream: &mut Line, what: ShimSays, done: FirstSays) -> Result<(), LaunchError> {
    let broken = |error: std::io::Error| LaunchError::shim("speak with the first process", error);
    stream.say(&what).map_err(broken)?;
    match stream.hear::<FirstSays>().map_err(broken)? {
        Some(said) if said == done => Ok(()),
        Some(FirstSays::Failed(error)) => Err(error),
        Some(_) => Err(LaunchError::shim("start the payload", "its first process is out of step")),
        None => Err(LaunchError::shim("start the payload", "its first process died")),
    }
}

/// Closes every descriptor but the three standard streams: a listening socket that an agent's child
/// inherits would outlive its agent. To be called first thing in `main`, by a process that has opened
/// nothing and has one thread.
#[allow(unsafe_code, reason = "closing descriptors by number has no safe form")]
pub fn close_inherited() {
    // SAFETY: the process is single-threaded, this runs before anything of ours is opened, and the
    // caller has promised that it owns no descriptor beyond 0, 1 and 2.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) };
    if result == 0 {
        return;
    }
    let listed: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .filter(|fd| *fd > 2)
                .collect()
        })
        .unwrap_or_default();
    for fd in listed {
        // SAFETY: as above; the one descriptor that is already closed (the listing's own) answers
        // EBADF.
        unsafe { libc::close(fd) };
    }
}

/// Moves lock (0) and report (1) to descriptors of their own that no payload inherits, and leaves
/// nothing but the log (2) in their place.
fn take_stdio(dir: &ContainerDir) -> Result<(File, File), String> {
    let copy = |fd: std::os::fd::BorrowedFd| -> Result<File, String> {
        let own: OwnedFd =
            fd.try_clone_to_owned().map_err(|error| format!("copying a descriptor: {error}"))?;
        Ok(File::from(own))
    };
    let lock = copy(std::io::stdin().as_fd())?;
    let report = copy(std::io::stdout().as_fd())?;
    let same = |one: std::fs::Metadata, other: std::fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    let is_ours =
        lock.metadata().and_then(|held| Ok(same(held, std::fs::metadata(dir.lock_path())?)));
    if !is_ours.unwrap_or(false) {
        return Err("standard input is not this container's lock: only an agent's launcher can start a shim".to_string());
    }
    let nothing = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| format!("opening /dev/null: {error}"))?;
    nix::unistd::dup2_stdin(&nothing).map_err(|error| error.to_string())?;
    nix::unistd::dup2_stdout(&nothing).map_err(|error| error.to_string())?;
    Ok((lock, report))
}

/// Leaves the agent's session, directory and signals, and becomes the parent of orphans.
fn detach() -> Result<(), nix::Error> {
    // This fails if we lead a session already because the agent gave us one of our own, which is
    // what is wanted.
    let _ = nix::unistd::setsid();
    nix::sys::prctl::set_child_subreaper(true)?;
    nix::unistd::chdir("/")?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    for signal in
        [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGPIPE]
    {
        set_handler(signal, SigHandler::SigIgn)?;
    }
    set_handler(Signal::SIGCHLD, SigHandler::SigDfl)
}

/// Sets a signal to be ignored or to its default.
#[allow(
    unsafe_code,
    reason = "nix marks signal() unsafe because a handler might be; these two are none"
)]
fn set_handler(signal: Signal, handler: SigHandler) -> Result<(), nix::Error> {
    // SAFETY: only SigIgn and SigDfl are passed, so no code runs in a signal context.
    unsafe { nix::sys::signal::signal(signal, handler) }.map(|_| ())
}

/// Forks and goes on in both.
#[allow(unsafe_code, reason = "fork has no safe form")]
fn fork_single_threaded() -> Result<ForkResult, nix::Error> {
    // SAFETY: `shim_main` has refused to run with more than one thread, so no lock can be held by a
    // thread that the child lacks.
    unsafe { nix::unistd::fork() }
}

/// Asks the out-of-memory killer to spare this process; returns what the payload gets instead. Only
/// root may.
fn shield_from_oom() -> String {
    let path = "/proc/self/oom_score_adj";
    let own: i32 =
        std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let _ = std::fs::write(path, OOM_SCORE_NEVER);
    // An agent that is protected itself does not pass its protection on.
    own.max(0).to_string()
}

/// Waits for one child, whatever interrupts.
fn wait_for(pid: Pid) -> Result<WaitStatus, nix::Error> {
    loop {
        match waitpid(pid, None) {
            Err(nix::Error::EINTR) => {}
            result => return result,
        }
    }
}
