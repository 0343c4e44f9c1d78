//! Waits for the end of the payload, then kills and reaps whatever it left behind.
//!
//! It relies on being the subreaper: every descendant that loses its parent becomes our child, so
//! "no child, and no member in a cgroup" means empty. It never gives up: a container that cannot be
//! emptied has not ended.

use std::time::Duration;

use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;

use crate::process::{descendants, kill_members};
use crate::record::Launch;

/// The pauses between two polls grow from the first to the second.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Reaps orphans until the first process ends.
pub(super) fn wait_first(first: Pid) -> WaitStatus {
    loop {
        match waitpid(None, None) {
            Ok(status @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)))
                if pid == first =>
            {
                return status
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            // That no child is left and the first was not seen cannot happen while we are its
            // parent; it would mean that it is gone.
            Err(_) => return WaitStatus::StillAlive,
        }
    }
}

/// Kills and reaps until nothing of the container is left.
pub(super) fn until_empty(launch: &Launch, own_pid: i32) {
    let subject = launch.subject(Some(own_pid));
    let isolators = launch.plan.isolators();
    let mut pause = PAUSE_MIN;
    loop {
        let children_left = reap_what_ended();
        // Without a child there is no descendant either; only a cgroup may then still list a
        // process.
        if !children_left && isolators.iter().all(|isolator| isolator.members(&subject).is_empty())
        {
            return;
        }
        isolators.iter().for_each(|isolator| isolator.kill(&subject));
        if children_left {
            let below = || descendants(own_pid).into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
            kill_members(&below(), below);
        }
        // tidy: sleep is the point: killed processes end in their own time
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Reaps without waiting; `true` when there are children that live.
fn reap_what_ended() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return false,
        }
    }
}
