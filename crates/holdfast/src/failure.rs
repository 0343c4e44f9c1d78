//! How the binary fails: an exit code that scripts can rely on, one line of cause, one line of what to try.

use std::fmt;

/// Anything that has no code of its own.
pub const EXIT_ERROR: i32 = 1;
/// Accepted, but not (all) placed; or a plan that has changes.
pub const EXIT_NOT_PLACED: i32 = 2;
/// No such thing.
pub const EXIT_NOT_FOUND: i32 = 3;
/// The caller may not.
pub const EXIT_NOT_ALLOWED: i32 = 4;
/// Right in itself, but it does not fit what is there.
pub const EXIT_CONFLICT: i32 = 5;
/// It took too long.
pub const EXIT_TIMEOUT: i32 = 6;
/// No master answers, or none leads.
pub const EXIT_NO_LEADER: i32 = 7;
/// The state could not be written: restart the process.
pub const EXIT_STORE: i32 = 74;
/// A rule of the house was broken: a bug.
pub const EXIT_BUG: i32 = 70;

/// The list for `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 ok; 1 error; 2 accepted but not (all) placed, or the plan has changes; 3 not found; \
4 not allowed; 5 conflict; 6 timed out; 7 no leader; 64 usage.";

/// A failure with its exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: i32,
    /// What went wrong.
    pub cause: String,
    /// What to try.
    pub hint: String,
}

impl Failure {
    /// A failure.
    pub fn new(code: i32, cause: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { code, cause: cause.into(), hint: hint.into() }
    }

    /// No such thing.
    pub fn not_found(cause: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(EXIT_NOT_FOUND, cause, hint)
    }

    /// A refusal of a master or agent, by its HTTP status.
    pub fn refused(status: u16, message: impl Into<String>) -> Failure {
        let (code, hint) = match status {
            401 | 403 => (EXIT_NOT_ALLOWED, "use a principal that may do this"),
            404 => (EXIT_NOT_FOUND, "list what there is: `holdfast agent list`, `claim list`, `framework list`, `task list`"),
            409 => (EXIT_CONFLICT, "see who uses it: `holdfast claim list -o wide`, `holdfast task list`"),
            408 | 504 => (EXIT_TIMEOUT, "try again, or allow more time with --timeout"),
            503 => (EXIT_NO_LEADER, "wait until a master leads, or name another with --master"),
            _ => (EXIT_ERROR, "see `holdfast help`"),
        };
        Failure::new(code, message, hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  try: {}", self.cause, self.hint)
    }
}

impl std::error::Error for Failure {}
