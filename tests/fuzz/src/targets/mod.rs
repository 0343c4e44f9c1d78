//! The targets, by name. Relies on the modules below for what each reads; never names one twice.

mod calls;
mod forms;
mod ledgers;
mod links;
mod streams;
mod words;

pub use ledgers::{AGENT_TREES, MASTER_TREES};

/// A decoder with its check.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Reads any bytes, and checks what came out.
    pub run: fn(&[u8]),
    /// What it may hold beyond what any target may, for something that it makes of what it reads.
    pub more_bytes: usize,
}

/// What an open ledger holds, whatever is in it.
const OPEN_LEDGER_BYTES: usize = 512 * 1024;

/// What is wrong with a spec, which is remembered letter by letter if it is of a few pages.
const MISREAD_SPEC_BYTES: usize = 8 * 1024 * 1024;

const fn of(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, more_bytes: 0 }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    of("agent_call", calls::agent),
    of("agent_flags", words::agent_flags),
    of("agent_ledger", ledgers::agent),
    of("executor_call", calls::executor),
    of("form", forms::form),
    of("keeper_ledger", ledgers::keeper),
    Target { more_bytes: OPEN_LEDGER_BYTES, ..of("ledger_export", ledgers::export) },
    of("ledger_files", ledgers::files),
    of("link_to_agent", links::to_agent),
    of("link_to_master", links::to_master),
    of("master_call", calls::master),
    of("master_flags", words::master_flags),
    of("master_ledger", ledgers::master),
    of("recordio", streams::recordio),
    of("resources", words::resources),
    of("scheduler_call", calls::scheduler),
    Target { more_bytes: MISREAD_SPEC_BYTES, ..of("service_spec", words::service_spec) },
    of("words", words::words),
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|it| it.name == name)
}
