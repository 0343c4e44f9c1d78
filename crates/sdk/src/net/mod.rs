//! The drivers of a framework: a session with the masters, a ledger on disk, the shell that ties
//! both to a keeper, and the executor's side.
//!
//! A scheduler is a [`crate::Service`] and one call of [`run`]; an executor is a loop around
//! [`executor::Executor`]. It relies on `wire` for the network and on `store` for the disk. It
//! never decides what happens to a volume, and never destroys one.

mod clock;
mod endings;
pub mod executor;
mod ledger;
mod process;
pub mod rows;
mod run;
mod service;
mod session;
mod spec_file;
#[cfg(test)]
mod testbed;

pub use crate::record::RecordError;
pub use anyhow::{bail, ensure, Context, Error, Result};
pub use ledger::{read_record, LedgerError, LedgerFile, LedgerRecord, LEDGER_KIND};
pub use process::{block_on, log_to_stderr, stop_signal, tether_ends, TETHER_VARIABLE};
pub use run::{run, run_until, Options};
pub use service::{
    endpoint_variables, preview, run_service, run_service_until, News, Preview, ServiceOptions,
    SpecHooks,
};
pub use session::{Session, SessionEvent, SessionOptions};
pub use spec_file::{
    parse_spec, read_spec_file, spec_text, Problem, SpecFileError, SPEC_FILE_BYTES_MAX,
};
