//! Processes as `/proc` and pidfds show them.
//!
//! A pid alone says nothing: pids are reused. So a process is known by pid, start time and boot,
//! and is signalled only through a pidfd that was opened first and checked afterwards. It never
//! decides what to kill.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{pidfd_open, pidfd_send_signal, Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// At most this much of a process's environment is read; what the launcher sets comes first.
const ENVIRON_BYTES_MAX: u64 = 4 << 20;
/// How often an environment is looked for where there is none: a few milliseconds for the rare process that was started without any.
const ENVIRON_LOOKS_MAX: usize = 1000;
/// The interval at which a process is polled where there is no pidfd.
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// One process, told apart from every other that ever had its pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    pub pid: i32,
    /// Clock ticks from boot to its start.
    pub start_ticks: u64,
    /// The kernel's name for this boot: after a reboot pid and ticks can repeat.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// The identity of the process that has `pid` now.
    pub fn of(pid: i32) -> Option<ProcessIdentity> {
        let stat = Stat::read(pid)?;
        Some(ProcessIdentity { pid, start_ticks: stat.start_ticks, boot_id: boot_id() })
    }

    /// Whether it still executes something. A zombie does not: it holds no memory, no file and no
    /// mount.
    pub fn is_alive(&self) -> bool {
        self.boot_id == boot_id()
            && Stat::read(self.pid)
                .is_some_and(|stat| stat.start_ticks == self.start_ticks && stat.is_alive())
    }

    /// Sends a signal if the process is still that one. `false` when it is gone.
    pub fn signal(&self, signal: Signal) -> rustix::io::Result<bool> {
        signal_if(self.pid, signal, || self.is_alive())
    }

    /// Waits until it is gone, or `deadline`; `None` waits without end. `true` when it is gone.
    pub fn wait_gone(&self, deadline: Option<Instant>) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return true };
        let handle = pidfd_open(pid, PidfdFlags::empty());
        // The handle was opened first and is checked after: it is of this process, or the process
        // is gone.
        if !self.is_alive() {
            return true;
        }
        match handle {
            Ok(handle) => wait_readable(&handle, deadline) || !self.is_alive(),
            Err(_) => loop {
                if !self.is_alive() {
                    return true;
                }
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return false;
                }
                // tidy: sleep is the point: without pidfds a process can only be looked at again
                std::thread::sleep(POLL_PAUSE);
            },
        }
    }
}

/// Signals `pid` if `still_meant` holds once a handle on the process is open. `false` when it does
/// not or the process is gone.
pub(crate) fn signal_if(
    pid: i32,
    signal: Signal,
    still_meant: impl Fn() -> bool,
) -> rustix::io::Result<bool> {
    let Some(number) = Pid::from_raw(pid) else { return Ok(false) };
    let sent = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(handle) if still_meant() => pidfd_send_signal(&handle, signal),
        Ok(_) | Err(rustix::io::Errno::SRCH) => return Ok(false),
        // A kernel without pidfds: a small window remains, which is why `doctor` speaks of it.
        Err(_) if still_meant() => rustix::process::kill_process(number, signal),
        Err(_) => return Ok(false),
    };
    match sent {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends SIGKILL to all of `pids` that `members` still lists once a handle on each is open. In
/// portions, for the sake of open files.
pub(crate) fn kill_members(pids: &[i32], members: impl Fn() -> Vec<i32>) {
    const PORTION: usize = 128;
    let own = std::process::id() as i32;
    for portion in pids.chunks(PORTION) {
        let handles: Vec<(i32, Option<OwnedFd>)> = portion
            .iter()
            .filter(|pid| **pid != own)
            .filter_map(|pid| Some((*pid, Pid::from_raw(*pid)?)))
            .map(|(pid, number)| (pid, pidfd_open(number, PidfdFlags::empty()).ok()))
            .collect();
        let still: std::collections::BTreeSet<i32> = members().into_iter().collect();
        for (pid, handle) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
            // A process that is gone needs no signal, and one that may not be killed is found by
            // the check that follows.
            let _ = match (handle, Pid::from_raw(*pid)) {
                (Some(handle), _) => pidfd_send_signal(handle, Signal::KILL),
                (None, Some(number)) => rustix::process::kill_process(number, Signal::KILL),
                (None, None) => Ok(()),
            };
        }
    }
}

/// Waits until `handle` can be read (for a pidfd: the process ended; for a pipe: data or its end).
/// `false` at the deadline.
pub(crate) fn wait_readable(handle: &impl std::os::fd::AsFd, deadline: Option<Instant>) -> bool {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec {
            tv_sec: left.as_secs().min(1 << 30) as i64,
            tv_nsec: left.subsec_nanos().into(),
        });
        let mut watched = [PollFd::new(handle, PollFlags::IN)];
        match poll(&mut watched, timeout.as_ref()) {
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return false,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub state: char,
    pub parent: i32,
    pub user_ticks: u64,
    pub system_ticks: u64,
    pub start_ticks: u64,
    pub rss_pages: u64,
}

impl Stat {
    /// Reads the file; `None` when there is no such process.
    pub fn read(pid: i32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name may hold spaces and parentheses, so fields are counted from the last `)`.
    fn parse(text: &str) -> Option<Stat> {
        let fields: Vec<&str> =
            text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        let number = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            user_ticks: number(14)?,
            system_ticks: number(15)?,
            start_ticks: number(22)?,
            rss_pages: number(24)?,
        })
    }

    fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// The pid of every process, zombies included.
fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Everything that descends from `pid`, alive, children before grandchildren; without `pid` itself.
/// The kernel's lists may miss a process while others end: whoever needs certainty polls until
/// nothing is left.
pub(crate) fn descendants(pid: i32) -> Vec<(i32, Stat)> {
    let mut found: Vec<(i32, Stat)> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        let children = children(parent);
        parents.extend(&children);
        found.extend(
            children
                .into_iter()
                .filter_map(|child| Some((child, Stat::read(child).filter(Stat::is_alive)?))),
        );
    }
    found
}

/// The children of all threads of a process, zombies included.
fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => found.extend(
                text.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok()),
            ),
            // The thread has ended, or the kernel was built without that file.
            Err(_) if thread.path().exists() => {
                return pids()
                    .filter(|child| Stat::read(*child).is_some_and(|stat| stat.parent == pid))
                    .collect()
            }
            Err(_) => {}
        }
    }
    found
}

/// The first child of `pid` that has not been reaped.
pub(crate) fn first_child(pid: i32) -> Option<i32> {
    children(pid).first().copied()
}

/// Processes whose environment carries one of the marks (name and value), this one excepted.
pub(crate) fn carriers(marks: &[(&str, &str)]) -> Vec<i32> {
    let own = std::process::id() as i32;
    pids().filter(|pid| *pid != own && carries(*pid, marks)).collect()
}

/// Whether `pid` carries one of the marks in the environment that it was started with.
pub(crate) fn carries(pid: i32, marks: &[(&str, &str)]) -> bool {
    let wanted: Vec<String> = marks.iter().map(|(name, value)| format!("{name}={value}")).collect();
    environment(pid)
        .split(|byte| *byte == 0)
        .any(|variable| wanted.iter().any(|wanted| wanted.as_bytes() == variable))
}

/// The environment of a process; nothing for one that has none, or is none.
///
/// While a program is being executed the kernel shows nothing for a moment, or only the beginning to
/// who reads in portions, which must not be taken for all of it: such a process would be overlooked,
/// and a container with it in it called empty.
fn environment(pid: i32) -> Vec<u8> {
    let look = || -> io::Result<Vec<u8>> {
        // Nearly all come with the first read.
        let mut bytes = Vec::with_capacity(64 << 10);
        let file = fs::File::open(format!("/proc/{pid}/environ"))?;
        file.take(ENVIRON_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // Threads of the kernel and processes that have ended execute nothing.
    let executes = || fs::read_link(format!("/proc/{pid}/exe")).is_ok();
    for _ in 0..ENVIRON_LOOKS_MAX {
        match look() {
            Ok(bytes) if bytes.last() != Some(&0) && executes() => std::thread::yield_now(),
            found => return found.unwrap_or_default(),
        }
    }
    // It has none, or wrote over its end.
    look().unwrap_or_default()
}

/// The kernel's name for this boot; empty where it does not say.
pub(crate) fn boot_id() -> String {
    static BOOT_ID: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BOOT_ID
        .get_or_init(|| {
            fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|text| text.trim().to_string())
                .unwrap_or_default()
        })
        .clone()
}

/// Whether this process may become any user. Asks the kernel and nothing else, so it may be asked at
/// each start.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The number of threads of this process.
pub(crate) fn own_threads() -> usize {
    fs::read_dir(Path::new("/proc/self/task")).map(Iterator::count).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "42 (a) b ) R) S 7 42 42 0 -1 4194560 100 0 0 0 11 12 0 0 20 0 3 0 9999 1000000 250 18446744073709551615";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.state, stat.parent, stat.user_ticks, stat.system_ticks), ('S', 7, 11, 12));
        assert_eq!((stat.start_ticks, stat.rss_pages), (9999, 250));
        assert!(Stat::parse("").is_none());
        assert!(Stat::parse("1 (x) S 1").is_none());
    }

    #[test]
    fn the_same_pid_with_another_start_is_another_process() {
        let own = ProcessIdentity::of(std::process::id() as i32).unwrap();
        assert!(own.is_alive());
        let later = ProcessIdentity { start_ticks: own.start_ticks + 1, ..own.clone() };
        assert!(!later.is_alive());
        assert!(later.wait_gone(None), "an impostor is gone at once");
        assert!(
            !later.signal(Signal::KILL).unwrap(),
            "and is not signalled: this test would not live"
        );
        assert!(!ProcessIdentity { boot_id: "another".into(), ..own }.is_alive());
    }

    #[test]
    fn its_end_is_seen_even_while_it_is_a_zombie() {
        let mut child =
            Command::new("sleep").arg("1000").env("HOLDFAST_TEST_MARK", "abc").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id() as i32).unwrap();
        assert!(!identity.wait_gone(Some(Instant::now() + Duration::from_millis(5))));
        assert!(descendants(std::process::id() as i32).iter().any(|(pid, _)| *pid == identity.pid));
        assert!(identity.signal(Signal::KILL).unwrap());
        assert!(identity.wait_gone(Some(Instant::now() + Duration::from_secs(10))));
        assert!(!identity.is_alive());
        child.wait().unwrap();
        assert!(identity.wait_gone(None));
    }

    #[test]
    fn a_carrier_that_is_just_being_executed_is_found_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let (script, value) = (dir.path().join("again"), uuid::Uuid::new_v4().to_string());
        fs::write(&script, "exec sh \"$0\"").unwrap();
        let mut child =
            Command::new("sh").arg(&script).env("HOLDFAST_TEST_CARRIER", &value).spawn().unwrap();
        let marks = [("HOLDFAST_TEST_CARRIER", value.as_str())];
        let missed = (0..20_000).filter(|_| !carries(child.id() as i32, &marks)).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(missed, 0);
    }

    #[test]
    fn carriers_are_found_by_a_whole_variable() {
        // Of this run alone: what another one left behind, because it was cut off, is no carrier.
        let value = uuid::Uuid::new_v4().to_string();
        // Written by the shell once it has been exec'ed, so that the environment is certainly the
        // new one.
        let mut child = Command::new("sh")
            .args(["-c", "echo up; exec sleep 1000"])
            .env("HOLDFAST_TEST_CARRIER", &value)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        assert_eq!(
            carriers(&[("OTHER", "x"), ("HOLDFAST_TEST_CARRIER", &value)]),
            vec![child.id() as i32]
        );
        let beginning = &value[..value.len() - 1];
        assert!(carriers(&[("HOLDFAST_TEST_CARRIER", beginning)]).is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(carriers(&[("HOLDFAST_TEST_CARRIER", &value)]).is_empty());
    }
}
