//! The last steps of a forked process before it becomes the payload.
//!
//! Everything that the shim set for itself is undone (ignored signals, protection from the
//! out-of-memory killer), the sandbox becomes the directory, its files the output, the account the
//! user. It never returns: it becomes the program or reports why not.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal};
use nix::unistd::{execve, Gid, Pid, Uid};

use super::set_handler;
use super::streams::Theirs;
use crate::record::Launch;
use crate::spec_check::Account;
use crate::{Command, LaunchError, CONTAINER_ID_VARIABLE};

/// The `PATH` when the spec has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SHELL: &str = "/bin/sh";

/// What a forked process holds until it becomes the payload.
pub(super) struct Held {
    /// Where it waits.
    pub gate: PipeReader,
    /// How it comes under the container's control.
    pub doors: Vec<File>,
    /// What its streams are connected to.
    pub output: Theirs,
}

/// Becomes the payload; if that fails, reports why through `problems` and exits.
pub(super) fn become_it(
    launch: &Launch,
    parent: Pid,
    held: Held,
    mut problems: PipeWriter,
    oom_score: &str,
) -> ! {
    let attempt = std::panic::AssertUnwindSafe(|| {
        pass(held.gate, parent)?;
        step_in(held.doors)?;
        try_to_become_it(launch, parent, oom_score, held.output)
    });
    let problem = match std::panic::catch_unwind(attempt) {
        Ok(Ok(never)) => match never {},
        Ok(Err(error)) => error,
        Err(_) => LaunchError::shim("prepare the payload", "a panic"),
    };
    let _ = problems.write_all(&serde_json::to_vec(&problem).unwrap_or_default());
    std::process::exit(127)
}

/// Waits at the gate: until it opens, this process is in no cgroup and not on record, and must do
/// nothing.
fn pass(mut gate: PipeReader, parent: Pid) -> Result<(), LaunchError> {
    die_with(parent)?;
    gate.read_exact(&mut [0]).map_err(|error| LaunchError::shim("start the payload", error))
}

/// Puts this process under the container's control.
fn step_in(doors: Vec<File>) -> Result<(), LaunchError> {
    doors
        .into_iter()
        .try_for_each(|mut door| door.write_all(b"0"))
        .map_err(|error| LaunchError::shim("put the payload into its cgroups", error))
}

/// Has the kernel kill us when our parent dies, which it may have done already.
fn die_with(parent: Pid) -> Result<(), LaunchError> {
    let failed =
        |detail: String| LaunchError::shim("tie the payload's life to its parent's", detail);
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| failed(error.to_string()))?;
    match nix::unistd::getppid() == parent {
        true => Ok(()),
        false => Err(failed("the parent died".to_string())),
    }
}

fn try_to_become_it(
    launch: &Launch,
    parent: Pid,
    oom_score: &str,
    output: Theirs,
) -> Result<Infallible, LaunchError> {
    let failed = |action: &'static str| move |error: Errno| LaunchError::shim(action, error);
    let spec = &launch.spec;
    nix::unistd::setsid().map_err(failed("give the payload a session"))?;
    let _ = std::fs::write("/proc/self/oom_score_adj", oom_score);
    redirect(output, &spec.sandbox, launch.account.as_ref())?;
    nix::unistd::chdir(&spec.sandbox).map_err(failed("enter the sandbox"))?;
    if let Some(account) = launch.account.as_ref().filter(|account| account.switch) {
        switch_user(account).map_err(failed("switch to the payload's user"))?;
    }
    // This is repeated since the kernel clears the setting when the user changes.
    die_with(parent)?;
    restore_signals().map_err(failed("restore signals"))?;
    execute(launch)
}

/// Redirects the standard streams: input from nothing unless there is something, and output to where it is carried on or, appending, to
/// the sandbox's files.
fn redirect(output: Theirs, sandbox: &Path, account: Option<&Account>) -> Result<(), LaunchError> {
    let open = |name: &str| -> Result<File, LaunchError> {
        let failed =
            |error: std::io::Error| LaunchError::shim(format!("open {name} in the sandbox"), error);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY)
            .open(sandbox.join(name))
            .map_err(failed)?;
        if let Some(account) = account.filter(|account| account.switch) {
            std::os::unix::fs::fchown(&file, Some(account.uid), Some(account.gid))
                .map_err(failed)?;
        }
        Ok(file)
    };
    let failed = |error: Errno| LaunchError::shim("redirect the payload's output", error);
    let nothing =
        File::open("/dev/null").map_err(|error| LaunchError::shim("open /dev/null", error))?;
    nix::unistd::dup2_stdin(&nothing).map_err(failed)?;
    match output {
        Theirs::Files => {
            nix::unistd::dup2_stdout(&open("stdout")?).map_err(failed)?;
            nix::unistd::dup2_stderr(&open("stderr")?).map_err(failed)
        }
        Theirs::Output(ends) => {
            nix::unistd::dup2_stdout(&ends.stdout).map_err(failed)?;
            nix::unistd::dup2_stderr(&ends.stderr).map_err(failed)
        }
        Theirs::Pipes(stdin, stdout, stderr) => {
            if let Some(stdin) = stdin {
                nix::unistd::dup2_stdin(&stdin).map_err(failed)?;
            }
            nix::unistd::dup2_stdout(&stdout).map_err(failed)?;
            nix::unistd::dup2_stderr(&stderr).map_err(failed)
        }
        Theirs::Terminal(terminal) => {
            crate::terminal::control(&terminal)
                .map_err(|error| LaunchError::shim("take control of its terminal", error))?;
            nix::unistd::dup2_stdin(&terminal).map_err(failed)?;
            nix::unistd::dup2_stdout(&terminal).map_err(failed)?;
            nix::unistd::dup2_stderr(&terminal).map_err(failed)
        }
    }
}

fn switch_user(account: &Account) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let name = CString::new(account.name.as_bytes()).map_err(|_| Errno::EINVAL)?;
    nix::unistd::initgroups(&name, gid)?;
    nix::unistd::setgid(gid)?;
    nix::unistd::setuid(uid)
}

/// Restores the signals that the shim ignores, and those that the agent's parent may have ignored
/// or blocked.
fn restore_signals() -> Result<(), Errno> {
    for signal in
        Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP))
    {
        set_handler(signal, SigHandler::SigDfl)?;
    }
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

fn execute(launch: &Launch) -> Result<Infallible, LaunchError> {
    let spec = &launch.spec;
    let path = spec.environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let mut environment: Vec<CString> = spec
        .environment
        .iter()
        .filter(|(name, _)| *name != CONTAINER_ID_VARIABLE)
        .map(|(name, value)| text(format!("{name}={value}")))
        .collect::<Result<_, _>>()?;
    environment.push(text(format!("{CONTAINER_ID_VARIABLE}={}", spec.id))?);
    if !spec.environment.contains_key("PATH") {
        environment.push(text(format!("PATH={path}"))?);
    }
    let (program, words): (&str, Vec<&str>) = match &spec.command {
        Command::Shell(line) => (SHELL, vec!["sh", "-c", line]),
        Command::Argv { program, args } => {
            (program, std::iter::once(program).chain(args).map(String::as_str).collect())
        }
    };
    let words: Vec<CString> = words.into_iter().map(text).collect::<Result<_, _>>()?;
    let mut found_but_failed = None;
    for candidate in candidates(program, path) {
        let name = CString::new(candidate.as_os_str().as_bytes())
            .map_err(|_| missing(program, "its path has a NUL byte"))?;
        let Err(error) = execve(&name, &words, &environment);
        match error {
            Errno::ENOENT | Errno::ENOTDIR => {
                // A script may exist while its interpreter does not: that must not be reported as a
                // missing program.
                if candidate.exists() {
                    found_but_failed = Some((candidate, Errno::ENOENT));
                }
            }
            Errno::ENOEXEC => return run_by_shell(name, words, &environment, program),
            error => found_but_failed = Some((candidate, error)),
        }
    }
    Err(match found_but_failed {
        Some((candidate, Errno::ENOENT)) => not_executable(
            program,
            format!("{}: its interpreter or loader is missing", candidate.display()),
        ),
        Some((candidate, error)) => {
            not_executable(program, format!("{}: {error}", candidate.display()))
        }
        None if program.contains('/') => {
            missing(program, format!("looked from {}", spec.sandbox.display()))
        }
        None => missing(program, format!("looked in PATH={path}")),
    })
}

/// A script without `#!` is run by the shell, as `execvp` does.
fn run_by_shell(
    script: CString,
    words: Vec<CString>,
    environment: &[CString],
    program: &str,
) -> Result<Infallible, LaunchError> {
    let mut all = vec![text(SHELL)?, script];
    all.extend(words.into_iter().skip(1));
    let Err(error) = execve(&text(SHELL)?, &all, environment);
    Err(not_executable(program, format!("{SHELL}: {error}")))
}

/// Lists the places of a program: itself if it names a directory, else in each directory of `path`.
fn candidates(program: &str, path: &str) -> Vec<PathBuf> {
    match program.contains('/') {
        true => vec![PathBuf::from(program)],
        false => path
            .split(':')
            .map(|dir| Path::new(if dir.is_empty() { "." } else { dir }).join(program))
            .collect(),
    }
}

fn text(text: impl Into<Vec<u8>>) -> Result<CString, LaunchError> {
    CString::new(text)
        .map_err(|error| LaunchError::shim("pass the command line and environment", error))
}

fn missing(program: &str, detail: impl Into<String>) -> LaunchError {
    LaunchError::MissingProgram { program: program.to_string(), detail: detail.into() }
}

fn not_executable(program: &str, detail: impl Into<String>) -> LaunchError {
    LaunchError::NotExecutable { program: program.to_string(), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        assert_eq!(candidates("./db", "/bin"), [PathBuf::from("./db")]);
        assert_eq!(candidates("db", "/a:/b"), [PathBuf::from("/a/db"), PathBuf::from("/b/db")]);
        assert_eq!(candidates("db", "/a::/b")[1], PathBuf::from("./db"));
    }
}
