//! Sends a signal to a whole process group.
//!
//! By itself it relies on the shell's own `kill`, so that this crate needs no system calls of its
//! own; an executor that has a way without a process gives it. It never signals anything but the
//! group of a child that this process started.

use std::process::Stdio;

use tokio::process::Command;

/// A signal that ends a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// Sends a signal to all of the group of this number, at once; `false` when nobody was left in it.
pub type SendToGroup = fn(group: u32, signal: Signal) -> bool;

/// How signals are sent to groups.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signals {
    /// By a shell.
    Shell,
    /// By what the executor gave.
    Given(SendToGroup),
}

impl Signals {
    /// Sends a signal to all of a group; `false` when nobody was left in it, or the shell could not
    /// be started.
    pub async fn send(self, group: u32, signal: Signal) -> bool {
        match self {
            Signals::Shell => signal_by_shell(group, signal).await,
            Signals::Given(send) => send(group, signal),
        }
    }
}

async fn signal_by_shell(group: u32, signal: Signal) -> bool {
    let name = match signal {
        Signal::Term => "TERM",
        Signal::Kill => "KILL",
    };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "kill -s \"$1\" -- \"-$2\"", "kill", name, &group.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status().await {
        Ok(status) => status.success(),
        Err(error) => {
            tracing::warn!("cannot signal process group {group}: /bin/sh does not start: {error}");
            false
        }
    }
}
