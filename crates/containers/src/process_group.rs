//! Signals to a whole process group, for the executors that run inside a container.
//!
//! It is one system call where the shell's `kill` is a process of its own. It never looks for
//! processes: who is in a group is the kernel's knowledge.

use rustix::process::{kill_process_group, Pid, Signal};

/// A signal that ends a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupSignal {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// Sends a signal to all of the group that `leader` led; `false` when nobody is left in it, or
/// nobody of it may be signalled. The group is one that the caller made: its number is not another's
/// as long as anything lives in it, and numbers are not used again so soon.
pub fn signal_group(leader: u32, signal: GroupSignal) -> bool {
    let signal = match signal {
        GroupSignal::Term => Signal::TERM,
        GroupSignal::Kill => Signal::KILL,
    };
    // 1 would be everybody's group, and what does not fit is nobody's.
    let group = i32::try_from(leader).ok().filter(|it| 1 < *it).and_then(Pid::from_raw);
    group.is_some_and(|group| kill_process_group(group, signal).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    #[test]
    fn all_of_a_group_end_and_then_nobody_is_left() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo up; wait"]).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let group = child.id();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 3]).unwrap();
        assert!(signal_group(group, GroupSignal::Kill));
        child.wait().unwrap();
        // The other held the pipe, too: its end says that both are gone.
        assert_eq!(stdout.read_to_end(&mut Vec::new()).unwrap(), 0);
        // It may still be a zombie, which can be signalled, until whoever inherited it has reaped it.
        while signal_group(group, GroupSignal::Term) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn everybody_is_no_group() {
        for leader in [0, 1, u32::MAX] {
            assert!(!signal_group(leader, GroupSignal::Term), "{leader}");
        }
    }
}
