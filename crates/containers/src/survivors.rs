//! The fence, which proves that nothing of a container is alive, or lists what is.
//!
//! It is for containers whose shim is dead or must go. It kills the first process (with a pid
//! namespace that is everything), then whatever the cgroups list, then, where there is neither,
//! every process whose environment carries the container's id. It relies on the plan that was
//! written with the container. It never reports "empty" without a check after the last kill, nor
//! while a shim holds the lock: one that has not yet written its identity could still start the
//! payload.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::isolation::Plan;
use crate::process::{carriers, carries, signal_if, ProcessIdentity};
use crate::record::{ContainerDir, Launch, ShimIdentity};
use crate::{CONTAINER_ID_VARIABLE, SHIM_OF_VARIABLE};

/// The pauses between two polls grow from the first to the second.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Empties a container; on success nothing of it lives. Otherwise returns what lives at `deadline`.
pub(crate) fn fence(
    dir: &ContainerDir,
    launch: &Launch,
    deadline: Instant,
) -> Result<(), Vec<i32>> {
    // Without a readable shim file the first process is not known; the other two ways still find
    // it.
    let identity = dir.shim().ok().flatten();
    let by_environment = !launch.plan.is_exact() || identity.is_none();
    let known: Vec<ProcessIdentity> = identity
        .into_iter()
        .flat_map(|ShimIdentity { shim, first }| std::iter::once(shim).chain(first))
        .collect();
    let payload = dir.payload().ok().flatten().map(|found| found.payload);
    let known: Vec<ProcessIdentity> = known.into_iter().chain(payload).collect();
    empty(dir, launch, &known, by_environment, deadline)
}

/// Empties what may be left of a container without a record, or with one that cannot be read.
pub(crate) fn fence_unrecorded(
    dir: &ContainerDir,
    plan: &Plan,
    id: &str,
    deadline: Instant,
) -> Result<(), Vec<i32>> {
    let spec = crate::ContainerSpec {
        id: id.to_string(),
        command: crate::Command::Shell(String::new()),
        environment: Default::default(),
        sandbox: "/nonexistent".into(),
        user: None,
        volumes: Vec::new(),
        limits: Default::default(),
        output: Default::default(),
        isolate: true,
        inside: None,
    };
    let launch =
        Launch { version: crate::record::LAYOUT_VERSION, spec, account: None, plan: plan.clone() };
    empty(dir, &launch, &[], true, deadline)?;
    for isolator in plan.isolators() {
        if let Err(error) = isolator.cleanup(&launch.subject(None)) {
            tracing::warn!(%id, %error, "a container without a record left something behind");
        }
    }
    Ok(())
}

fn empty(
    dir: &ContainerDir,
    launch: &Launch,
    known: &[ProcessIdentity],
    by_environment: bool,
    deadline: Instant,
) -> Result<(), Vec<i32>> {
    let subject = launch.subject(None);
    let isolators = launch.plan.isolators();
    let marks = [(CONTAINER_ID_VARIABLE, subject.id), (SHIM_OF_VARIABLE, subject.id)];
    let mut pause = PAUSE_MIN;
    loop {
        let mut alive: Vec<i32> =
            known.iter().filter(|process| process.is_alive()).map(|process| process.pid).collect();
        alive.extend(isolators.iter().flat_map(|isolator| isolator.members(&subject)));
        let carriers = if by_environment { carriers(&marks) } else { Vec::new() };
        alive.extend(&carriers);
        // A lock that cannot be checked may be held.
        if alive.is_empty() && !dir.is_locked().unwrap_or(true) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            alive.sort_unstable();
            alive.dedup();
            return Err(alive);
        }
        // A process that cannot be killed is found by the next poll.
        for process in known {
            let _ = process.signal(Signal::KILL);
        }
        isolators.iter().for_each(|isolator| isolator.kill(&subject));
        for pid in carriers {
            let _ = signal_if(pid, Signal::KILL, || carries(pid, &marks));
        }
        // tidy: sleep is the point: killed processes end in their own time
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn survivors_without_any_record_are_found_by_their_environment() {
        use std::io::Read;
        let id = uuid::Uuid::new_v4().to_string();
        let mut child = Command::new("sh")
            .args(["-c", "setsid sh -c 'echo up; exec sleep 1000' & wait"])
            .env(CONTAINER_ID_VARIABLE, &id)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 1]).unwrap();
        let marks = [(CONTAINER_ID_VARIABLE, id.as_str())];
        assert_eq!(carriers(&marks).len(), 2);
        let dir = ContainerDir::at("/nonexistent");
        fence_unrecorded(&dir, &Plan::default(), &id, Instant::now() + Duration::from_secs(20))
            .unwrap();
        assert!(carriers(&marks).is_empty());
        child.wait().unwrap();
    }

    #[test]
    fn a_lock_that_is_held_is_not_empty_even_if_nobody_is_found() {
        let root = tempfile::tempdir().unwrap();
        let dir = ContainerDir::at(root.path());
        let id = uuid::Uuid::new_v4().to_string();
        let held = dir.lock().unwrap();
        assert_eq!(fence_unrecorded(&dir, &Plan::default(), &id, Instant::now()), Err(vec![]));
        drop(held);
        // A process that another test starts just now has the lock's file open, too, until it is exec'ed.
        let deadline = Instant::now() + Duration::from_secs(20);
        assert_eq!(fence_unrecorded(&dir, &Plan::default(), &id, deadline), Ok(()));
    }

    #[test]
    fn at_the_deadline_it_names_what_lives() {
        let id = uuid::Uuid::new_v4().to_string();
        // The process has a known identity and is not killed in time, because no time is given.
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let root = tempfile::tempdir().unwrap();
        let dir = ContainerDir::at(root.path());
        let identity = ProcessIdentity::of(child.id() as i32).unwrap();
        dir.write_shim(&ShimIdentity { shim: identity.clone(), first: None }).unwrap();
        let spec: crate::ContainerSpec = serde_json::from_value(serde_json::json!({
            "id": id, "command": {"shell": "true"}, "sandbox": "/", "isolate": false,
        }))
        .unwrap();
        let launch = Launch { version: 1, spec, account: None, plan: Plan::default() };
        assert_eq!(fence(&dir, &launch, Instant::now()), Err(vec![identity.pid]));
        assert_eq!(fence(&dir, &launch, Instant::now() + Duration::from_secs(20)), Ok(()));
        child.wait().unwrap();
    }
}
