//! What to try after an error that has no advice of its own kind ([`Failure`]): it is found in the error's own words, or in what the
//! operating system said.
//!
//! Relies on the house's form of messages: what is wrong; what to try. Never leaves a person with the cause alone.

use std::io::{self, ErrorKind};

use crate::failure::{Failure, EXIT_ERROR};

/// What was typed is written in another way; every setting is described there.
const SETTING: &str = "write it as `--help` shows";
/// Nothing is known of the error.
const UNKNOWN: &str = "run it again with RUST_LOG=debug, and look at what comes before; report it if that does not explain it";

/// The error as a failure: each cause once, and what to try.
pub fn advised(error: &anyhow::Error) -> Failure {
    let (mut causes, mut advice): (Vec<String>, Option<String>) = (Vec::new(), None);
    for said in error.chain().map(ToString::to_string) {
        // Some errors repeat the one below them.
        if causes.last().is_some_and(|above| above.ends_with(&said)) {
            continue;
        }
        let (cause, tail) = split(&said);
        causes.push(cause.to_owned());
        // The innermost knows best.
        advice = tail.map(str::to_owned).or(advice);
    }
    let system = error
        .chain()
        .find_map(|it| it.downcast_ref::<io::Error>())
        .and_then(|it| for_kind(it.kind()));
    let setting = causes.iter().any(|it| it.starts_with("--")).then_some(SETTING);
    let hint = advice.unwrap_or_else(|| system.or(setting).unwrap_or(UNKNOWN).to_owned());
    Failure::new(EXIT_ERROR, causes.join(": "), hint)
}

/// What is wrong, and what to try, if the message says so.
fn split(said: &str) -> (&str, Option<&str>) {
    match said.rsplit_once("; ") {
        // A question is none; the system's own word answers it.
        Some((cause, tail)) if tail.ends_with('?') => (cause, None),
        Some((cause, tail)) if !tail.contains('\n') && tail.split(' ').count() > 1 => {
            (cause, Some(tail))
        }
        _ => (said, None),
    }
}

/// What helps against an error of the operating system.
fn for_kind(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::AddrInUse => {
            Some("end what listens there, or choose another --port (0 takes any free one)")
        }
        ErrorKind::AddrNotAvailable => Some("--ip must be an address of this machine"),
        ErrorKind::PermissionDenied => {
            Some("run it as a user who may, or name a place (--dir) or a --port that you may use")
        }
        ErrorKind::NotFound => {
            Some("look whether the path is right, and what it lies on is mounted")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("make room there, then start it again")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Some("mount it for writing, or name another place (--dir)")
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            Some("name another place (--dir), or move away what is there")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    fn told(error: anyhow::Error) -> String {
        advised(&error).to_string()
    }

    #[test]
    fn the_messages_own_advice_is_the_try_line() {
        let error = anyhow::anyhow!("the ledger is gone; bring it back").context("cannot start");
        assert_eq!(told(error), "error: cannot start: the ledger is gone\n  try: bring it back");
        let outer = Err::<(), _>(io::Error::other("strange"))
            .context("the memory cannot be read; name it: --resources mem:MB")
            .unwrap_err();
        assert_eq!(
            told(outer),
            "error: the memory cannot be read: strange\n  try: name it: --resources mem:MB"
        );
    }

    #[test]
    fn what_the_system_said_is_advised_on() {
        let taken = || io::Error::from(ErrorKind::AddrInUse);
        let error = Err::<(), _>(taken()).context("cannot listen on 127.0.0.1:5050").unwrap_err();
        assert!(told(error).ends_with(
            "\n  try: end what listens there, or choose another --port (0 takes any free one)"
        ));
        let asked = Err::<(), _>(taken())
            .context("cannot listen on 127.0.0.1:5050; is another process there?")
            .unwrap_err();
        assert!(told(asked).starts_with("error: cannot listen on 127.0.0.1:5050: "));
        let twice = Err::<(), _>(taken())
            .with_context(|| format!("cannot listen: {}", taken()))
            .unwrap_err();
        assert!(!told(twice).contains("in use: "), "a cause is told once");
    }

    #[test]
    fn every_error_has_a_try_line() {
        for (error, hint) in [
            (anyhow::anyhow!("`x` is no number").context("--disk path=/d"), SETTING),
            (anyhow::anyhow!("cpus:1; mem:2").context("x"), UNKNOWN),
            (io::Error::other("odd").into(), UNKNOWN),
        ] {
            assert!(told(error).ends_with(&format!("\n  try: {hint}")));
        }
    }

    #[test]
    fn a_ledger_that_will_not_open_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let first = holdfast_node::ledger_file::open(dir.path(), "agent").unwrap();
        let in_use = told(holdfast_node::ledger_file::open(dir.path(), "agent").unwrap_err());
        assert!(
            in_use.starts_with("error: cannot open the ledger in ")
                && in_use.ends_with("\n  try: stop that process first"),
            "{in_use}"
        );
        drop(first);
        let other = told(holdfast_node::ledger_file::open(dir.path(), "master").unwrap_err());
        assert!(
            other.ends_with("\n  try: point the state directory at the right place"),
            "{other}"
        );
    }
}
