//! How the binary fails: an exit code that scripts can rely on, one line of cause, one line of what to try.
//!
//! Relies on the wire's words for what a master or agent refused. Never hides them.

use std::error::Error;
use std::fmt;

use holdfast_wire::ClientError;

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
/// It took too long, or the connection broke: whether it was done is not known.
pub const EXIT_TIMEOUT: i32 = 6;
/// No master answers, or none leads.
pub const EXIT_NO_LEADER: i32 = 7;
/// A drill came to its end and nothing was lost, but not all was as it should be.
pub const EXIT_DEGRADED: i32 = 8;
/// A drill found that something was lost, ran twice, or did not come back.
pub const EXIT_FAILED: i32 = 9;
/// What was typed makes no sense.
pub const EXIT_USAGE: i32 = 64;
/// Nobody reads what is written, as shells count it (`holdfast ... | head`).
pub const EXIT_PIPE_CLOSED: i32 = 141;

/// The list for `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 ok; 1 error; 2 accepted but not (all) placed, or the plan has changes; 3 not found; \
4 not allowed; 5 conflict; 6 timed out; 7 no leader; 8 drill degraded; 9 drill failed; 64 usage.";

/// How masters and agents begin when a change was not made because the claims are not as was expected.
const MOVED_ON: &str = "the state has moved on";

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

    /// What was typed makes no sense.
    pub fn usage(cause: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(EXIT_USAGE, cause, hint)
    }

    /// A refusal of a master or agent, by its HTTP status.
    pub fn refused(status: u16, message: impl Into<String>) -> Failure {
        let message = message.into();
        let (code, hint) = match status {
            401 | 403 => (EXIT_NOT_ALLOWED, "use a principal that may do this"),
            404 => (EXIT_NOT_FOUND, "list what there is: `holdfast agent list`, `claim list`, `framework list`, `task list`"),
            409 if message.starts_with(MOVED_ON) => {
                (EXIT_CONFLICT, "look at what has changed, and plan it again")
            }
            409 => (EXIT_CONFLICT, "see what stands in the way: `holdfast claim list -o wide`, `disk list`, `agent list`, `task list`"),
            408 | 504 => (EXIT_TIMEOUT, "try again, or allow more time with --timeout"),
            503 => (EXIT_NO_LEADER, "wait until a master leads, or name another with --master"),
            _ => (EXIT_ERROR, "see `holdfast help`"),
        };
        let message = Some(message).filter(|it| !it.is_empty());
        Failure::new(
            code,
            message.unwrap_or_else(|| format!("refused with {status} and no more words")),
            hint,
        )
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let cause = deepest(&error);
        match error {
            ClientError::Refused { status, message } => Failure::refused(status, message),
            ClientError::Unreachable { address, .. } => Failure::new(
                EXIT_NO_LEADER,
                format!("no master answers at {address} ({cause})"),
                "start one with `holdfast master` or `holdfast dev`, or name another with --master HOST:PORT (HOLDFAST_ADDR)",
            ),
            ClientError::NoLeader { .. } => {
                Failure::new(EXIT_NO_LEADER, error.to_string(), "wait a moment, or name another master with --master")
            }
            ClientError::Lost { address, .. } => Failure::new(
                EXIT_TIMEOUT,
                format!("the connection to {address} broke before it answered ({cause}); whether it did what was asked is not known"),
                "look before you ask again",
            ),
            ClientError::TimedOut { address, timeout } => Failure::new(
                EXIT_TIMEOUT,
                format!("{address} did not answer within {timeout:?}; whether it did what was asked is not known"),
                "look before you ask again, or allow more time with --timeout",
            ),
            ClientError::BadAddress { address } => {
                Failure::usage(format!("`{address}` is no address"), "write HOST:PORT, such as 127.0.0.1:5050")
            }
            other => Failure::new(EXIT_ERROR, format!("{other} ({cause})"), "is it the right port, and the same version?"),
        }
    }
}

/// The innermost of a chain of errors: what the operating system said.
fn deepest(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  try: {}", self.cause, self.hint)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_code() {
        let codes = [400, 401, 403, 404, 408, 409, 500, 503, 504]
            .map(|status| Failure::refused(status, "x").code);
        assert_eq!(codes, [1, 4, 4, 3, 6, 5, 1, 7, 6]);
        assert_eq!(Failure::refused(500, "").cause, "refused with 500 and no more words");
    }

    #[test]
    fn a_failure_says_what_and_what_to_try() {
        let source = Box::new(std::io::Error::other("connection refused"));
        let failure = Failure::from(ClientError::Unreachable { address: "h:1".to_owned(), source });
        assert_eq!(failure.code, EXIT_NO_LEADER);
        let text = failure.to_string();
        assert!(
            text.starts_with(
                "error: no master answers at h:1 (connection refused)\n  try: start one"
            ),
            "{text}"
        );
        let source = Box::new(std::io::Error::other("connection reset"));
        let lost = Failure::from(ClientError::Lost { address: "h:1".to_owned(), source });
        assert_eq!(lost.code, EXIT_TIMEOUT);
        assert!(lost.cause.ends_with("whether it did what was asked is not known"), "{lost}");
        assert_eq!(
            Failure::from(ClientError::BadAddress { address: "x".to_owned() }).code,
            EXIT_USAGE
        );
    }

    #[test]
    fn the_list_names_every_code() {
        for code in [
            EXIT_ERROR,
            EXIT_NOT_PLACED,
            EXIT_NOT_FOUND,
            EXIT_NOT_ALLOWED,
            EXIT_CONFLICT,
            EXIT_TIMEOUT,
            EXIT_NO_LEADER,
            EXIT_DEGRADED,
            EXIT_FAILED,
            EXIT_USAGE,
        ] {
            assert!(EXIT_CODES.contains(&format!(" {code} ")), "{code}");
        }
    }
}
