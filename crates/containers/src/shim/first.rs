//! The first process of a container: pid 1 of its pid namespace, or a plain child of the shim where
//! there is none.
//!
//! It enters the container's mounts, starts the payload, reaps what the container leaves behind,
//! and ends when the payload ends, upon which the kernel (with a pid namespace) or the shim
//! (without) kills the rest. The process never runs without its shim: the kernel kills it when the
//! shim dies, and it does nothing before the shim says so. It is in no cgroup of the container.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{ForkResult, Pid};

use super::messages::{FirstSays, Line, ShimSays};
use super::payload;
use super::streams::Theirs;
use super::{fork_single_threaded, wait_for};
use crate::isolation::{hide, inside};
use crate::record::Launch;
use crate::LaunchError;

/// Runs the first process and exits; it never returns.
pub(super) fn live(
    launch: &Launch,
    stream: UnixStream,
    (oom_score, output): (String, Theirs),
    around: Option<OwnedFd>,
) -> ! {
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        act(launch, Line::new(stream), (&oom_score, output), around)
    }))
    .unwrap_or(70);
    std::process::exit(code)
}

fn act(
    launch: &Launch,
    mut shim: Line,
    (oom_score, output): (&str, Theirs),
    around: Option<OwnedFd>,
) -> i32 {
    if let Err(error) = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL) {
        eprintln!("the first process could not tie its life to the shim's: {error}");
        return 1;
    }
    // If the shim died before the line above, nobody is at the other end, and this is the end.
    if !matches!(shim.hear::<ShimSays>(), Ok(Some(ShimSays::Go))) {
        return 1;
    }
    // The doors are opened before the container's mounts are entered, which may lie over them.
    let payload = doors(launch)
        .and_then(|doors| enter(launch, around).map(|()| doors))
        .and_then(|doors| Waiting::fork(launch, (doors, output), oom_score))
        .and_then(|payload| payload.start(&mut shim));
    let payload = match payload {
        Ok(payload) => payload,
        Err(error) => {
            let _ = shim.say(&FirstSays::Failed(error));
            return 1;
        }
    };
    if shim.say(&FirstSays::Running).is_err() {
        return 1;
    }
    let ended = match reap_until(payload) {
        Ok(WaitStatus::Exited(_, code)) => FirstSays::Ended { code: Some(code), signal: None },
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            FirstSays::Ended { code: None, signal: Some(signal as i32) }
        }
        other => {
            eprintln!("waiting for the payload: {other:?}");
            return 1;
        }
    };
    match shim.say(&ended) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn doors(launch: &Launch) -> Result<Vec<File>, LaunchError> {
    let subject = launch.subject(None);
    let mut doors = Vec::new();
    for isolator in launch.plan.isolators() {
        doors.extend(isolator.doors(&subject)?);
    }
    Ok(doors)
}

fn enter(launch: &Launch, around: Option<OwnedFd>) -> Result<(), LaunchError> {
    if let Some(around) = around {
        // What its payload leaves behind is its own to reap, not that of the container around it.
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(|error| LaunchError::shim("become the parent of orphans", error))?;
        inside::enter_mounts(&around)
            .map_err(|error| LaunchError::shim("see what the container around it sees", error))?;
    }
    let subject = launch.subject(None);
    launch.plan.isolators().iter().try_for_each(|isolator| isolator.enter(&subject))?;
    match &launch.plan.hiding {
        // Also of this process, of which a root payload could make use otherwise.
        Some(_) => {
            hide::drop_capabilities().map_err(|error| LaunchError::shim("drop capabilities", error))
        }
        None => Ok(()),
    }
}

/// A payload that is forked and not yet exec'ed.
struct Waiting {
    pid: Pid,
    /// A byte on it lets the payload go on, its end makes the payload exit.
    gate: PipeWriter,
    /// The payload writes its error here; only exec closes the pipe with nothing written.
    problems: PipeReader,
}

impl Waiting {
    fn fork(
        launch: &Launch,
        (doors, output): (Vec<File>, Theirs),
        oom_score: &str,
    ) -> Result<Waiting, LaunchError> {
        let pipe = || std::io::pipe().map_err(|error| LaunchError::shim("make a pipe", error));
        let ((problems, problems_writer), (gate_reader, gate)) = (pipe()?, pipe()?);
        let own = nix::unistd::getpid();
        match fork_single_threaded()
            .map_err(|error| LaunchError::shim("fork the payload", error))?
        {
            ForkResult::Parent { child } => Ok(Waiting { pid: child, gate, problems }),
            ForkResult::Child => {
                drop((problems, gate));
                let held = payload::Held { gate: gate_reader, doors, output };
                payload::become_it(launch, own, held, problems_writer, oom_score)
            }
        }
    }

    /// Has the shim take control of it, lets it go on, and returns when it has been exec'ed.
    fn start(mut self, shim: &mut Line) -> Result<Pid, LaunchError> {
        let mut said = Vec::new();
        let step = match shim.say(&FirstSays::Forked).and_then(|()| shim.hear::<ShimSays>()) {
            Ok(Some(ShimSays::Exec)) => {
                self.gate.write_all(&[1]).and_then(|()| self.problems.read_to_end(&mut said))
            }
            // The shim is gone, and with the gate the payload.
            Ok(_) => Err(std::io::ErrorKind::BrokenPipe.into()),
            Err(error) => Err(error),
        };
        let problem = match (step, said.is_empty()) {
            (Ok(_), true) => return Ok(self.pid),
            (Ok(_), false) => serde_json::from_slice(&said)
                .unwrap_or_else(|error| LaunchError::shim("understand the payload", error)),
            (Err(error), _) => LaunchError::shim("lead the payload to its exec", error),
        };
        let _ = nix::sys::signal::kill(self.pid, Signal::SIGKILL);
        let _ = wait_for(self.pid);
        Err(problem)
    }
}

/// Reaps whatever ends until the payload does.
fn reap_until(payload: Pid) -> Result<WaitStatus, nix::Error> {
    loop {
        match waitpid(None, None) {
            Ok(status @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)))
                if pid == payload =>
            {
                return Ok(status)
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}
