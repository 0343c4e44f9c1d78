//! How a command ended, in the words of Mesos.
//!
//! Pure. It never says more than the kernel did.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Names and words of the signals 1 to 31.
const SIGNALS: [(&str, &str); 31] = [
    ("SIGHUP", "Hangup"),
    ("SIGINT", "Interrupt"),
    ("SIGQUIT", "Quit"),
    ("SIGILL", "Illegal instruction"),
    ("SIGTRAP", "Trace/breakpoint trap"),
    ("SIGABRT", "Aborted"),
    ("SIGBUS", "Bus error"),
    ("SIGFPE", "Floating point exception"),
    ("SIGKILL", "Killed"),
    ("SIGUSR1", "User defined signal 1"),
    ("SIGSEGV", "Segmentation fault"),
    ("SIGUSR2", "User defined signal 2"),
    ("SIGPIPE", "Broken pipe"),
    ("SIGALRM", "Alarm clock"),
    ("SIGTERM", "Terminated"),
    ("SIGSTKFLT", "Stack fault"),
    ("SIGCHLD", "Child exited"),
    ("SIGCONT", "Continued"),
    ("SIGSTOP", "Stopped (signal)"),
    ("SIGTSTP", "Stopped"),
    ("SIGTTIN", "Stopped (tty input)"),
    ("SIGTTOU", "Stopped (tty output)"),
    ("SIGURG", "Urgent I/O condition"),
    ("SIGXCPU", "CPU time limit exceeded"),
    ("SIGXFSZ", "File size limit exceeded"),
    ("SIGVTALRM", "Virtual timer expired"),
    ("SIGPROF", "Profiling timer expired"),
    ("SIGWINCH", "Window changed"),
    ("SIGIO", "I/O possible"),
    ("SIGPWR", "Power failure"),
    ("SIGSYS", "Bad system call"),
];

/// How a command ended, such as `Command exited with status 3`.
pub(super) fn exit_words(exit: &std::io::Result<ExitStatus>) -> String {
    let exit = match exit {
        Ok(exit) => exit,
        Err(error) => return format!("The end of the command could not be seen: {error}"),
    };
    let dumped = if exit.core_dumped() { " (core dumped)" } else { "" };
    match (exit.code(), exit.signal()) {
        (Some(code), _) => format!("Command exited with status {code}"),
        (None, Some(signal)) => {
            let index = usize::try_from(signal).unwrap_or(0).wrapping_sub(1);
            match SIGNALS.get(index) {
                Some((name, words)) => {
                    format!("Command terminated with signal {words} ({name}){dumped}")
                }
                None => format!("Command terminated with signal {signal}{dumped}"),
            }
        }
        (None, None) => format!("Command ended: {exit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_said_as_mesos_says_them() {
        for (raw, words) in [
            (0, "Command exited with status 0"),
            (42 << 8, "Command exited with status 42"),
            (9, "Command terminated with signal Killed (SIGKILL)"),
            (15, "Command terminated with signal Terminated (SIGTERM)"),
            (
                11 | 0x80,
                "Command terminated with signal Segmentation fault (SIGSEGV) (core dumped)",
            ),
            (31, "Command terminated with signal Bad system call (SIGSYS)"),
            (40, "Command terminated with signal 40"),
        ] {
            assert_eq!(exit_words(&Ok(ExitStatus::from_raw(raw))), words);
        }
    }
}
