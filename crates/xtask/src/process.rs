//! Other programs: started with no stdin, watched live, and given up on in time.
//!
//! Relies on `cargo` of the environment and on `kill` for groups. Never leaves a child waiting for input, and never ends a process that
//! it did not start.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{bail, Context as _, Result};

use crate::project;

/// Variables that `cargo run` sets for its child about *this* package. They must not leak into an inner cargo, whose build scripts would
/// see another package's and build again.
const OURS: &[&str] = &[
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// A program in the root of the project, without stdin.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(project::root()).stdin(Stdio::null());
    for (key, _) in std::env::vars_os() {
        if OURS.iter().any(|start| key.to_string_lossy().starts_with(start)) {
            command.env_remove(key);
        }
    }
    command
}

/// The cargo that runs us, with these words.
pub fn cargo(words: &[&str]) -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words);
    command
}

/// Runs a command to its end, its output going where ours goes; true if it succeeded.
///
/// # Errors
/// If it cannot be started.
pub fn run(command: &mut Command) -> Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}; is it installed?", shown(command)))?;
    Ok(status.success())
}

/// Runs a command and returns what it printed.
///
/// # Errors
/// If it cannot be started or fails; the error carries the end of its stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let result = command
        .output()
        .with_context(|| format!("cannot start {}; is it installed?", shown(command)))?;
    if !result.status.success() {
        bail!(
            "{} failed ({}): {}",
            shown(command),
            result.status,
            tail(&String::from_utf8_lossy(&result.stderr))
        );
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

/// How a watched program ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exit(ExitStatus),
    /// Not within its limit: its whole process group was killed.
    TimedOut,
}

/// Runs a command, gives its stdout to `on_line` line by line, and kills its process group once `limit` has passed.
///
/// It counts as ended when it exited and nobody holds its stdout any more: a process that it leaves behind with that pipe counts as
/// running. One that left the group as well cannot be killed here, but is not waited for beyond the limit either.
///
/// # Errors
/// If it cannot be started or read.
pub fn watch(
    command: &mut Command,
    limit: Option<Duration>,
    mut on_line: impl FnMut(&str),
) -> Result<End> {
    command.stdout(Stdio::piped());
    if limit.is_some() {
        // Only what may have to be killed leaves our group: the rest hears the terminal's Ctrl-C as we do.
        command.process_group(0);
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}; is it installed?", shown(command)))?;
    let deadline = limit.map(|limit| Instant::now() + limit);
    let lines = lines_of(child.stdout.take().expect("stdout was piped"));
    loop {
        let line = match deadline {
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => {
                lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
        };
        match line {
            Ok(line) => {
                let line = line.context("cannot read a child's output")?;
                on_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(End::Exit(child.wait().context("cannot wait for a child")?))
            }
            Err(RecvTimeoutError::Timeout) => {
                // The child is not reaped yet, so its number is still its own.
                kill_group(child.id());
                child.wait().context("cannot wait for a child")?;
                return Ok(End::TimedOut);
            }
        }
    }
}

/// Lines as they come, read on a thread of their own so that the reader of the channel can give up.
fn lines_of(stdout: ChildStdout) -> Receiver<std::io::Result<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        loop {
            let mut line = Vec::new();
            let read = stdout.read_until(b'\n', &mut line);
            let last = !matches!(read, Ok(bytes) if bytes > 0);
            if matches!(read, Ok(0)) || send.send(read.map(|_| line)).is_err() || last {
                return;
            }
        }
    });
    receive
}

/// Ends the group that we made for a child; where `kill` is missing the caller sees the child live on and waits.
fn kill_group(group: u32) {
    let target = format!("-{group}");
    let mut kill = Command::new("kill");
    let _ = kill.args(["-KILL", "--", &target]).stdin(Stdio::null()).stderr(Stdio::null()).status();
}

/// Passes a line of a watched program on.
pub fn echo(line: &str) {
    // Whoever reads us may have left (`| head`): the run goes on all the same, its exit code matters.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Where a program of this name is on the PATH; a whole path is looked up as it is.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The last lines of a long output, on one line.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" | ")
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    format!("`{}`", words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_seen_and_the_exit_code_kept() {
        let mut seen = Vec::new();
        let end = watch(program("sh").args(["-c", "echo one; printf two; exit 3"]), None, |line| {
            seen.push(line.to_owned())
        })
        .unwrap();
        assert_eq!(seen, ["one", "two"]);
        assert!(matches!(end, End::Exit(status) if status.code() == Some(3)), "{end:?}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_children() {
        let mut child = String::new();
        let limit = Some(Duration::from_millis(300));
        let end = watch(program("sh").args(["-c", "sleep 600 & echo $!; wait"]), limit, |line| {
            child = line.to_owned()
        })
        .unwrap();
        assert_eq!(end, End::TimedOut);
        // Dying takes a moment; a zombie that nobody has reaped yet is dead enough.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z") || state.contains(") X") {
                break;
            }
            assert!(Instant::now() < deadline, "the grandchild lives on: {state}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_left_behind_with_the_pipe_is_not_waited_for_beyond_the_limit() {
        let script = "setsid sh -c 'echo $$; exec sleep 600' & exit 0";
        let mut stranger = String::new();
        let limit = Some(Duration::from_millis(500));
        let end =
            watch(program("sh").args(["-c", script]), limit, |line| stranger = line.to_owned())
                .unwrap();
        assert_eq!(end, End::TimedOut);
        if !stranger.is_empty() {
            assert!(std::path::Path::new("/proc").join(&stranger).exists(), "it was waited for");
            run(program("kill").args(["-KILL", &stranger])).unwrap();
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut program("holdfast-no-such-program")).unwrap_err();
        assert!(format!("{error:#}").contains("holdfast-no-such-program"), "{error:#}");
        assert!(find("holdfast-no-such-program").is_none() && find("sh").is_some());
    }

    #[test]
    fn failures_carry_the_end_of_stderr() {
        let error = output(program("sh").args(["-c", "echo one >&2; echo the reason >&2; exit 1"]))
            .unwrap_err();
        assert!(format!("{error:#}").contains("the reason"), "{error:#}");
        assert_eq!(output(program("sh").args(["-c", "echo said"])).unwrap(), "said\n");
    }

    #[test]
    fn nothing_of_this_package_leaks_into_an_inner_cargo() {
        let removed = program("true").get_envs().filter(|(_, value)| value.is_none()).count();
        let set = std::env::vars().filter(|(key, _)| key.starts_with("CARGO_PKG_")).count();
        assert!(set <= removed);
    }
}
