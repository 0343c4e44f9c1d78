//! Contexts that keep what they are told, for the tests of verbs.

use tokio_util::sync::CancellationToken;

use super::Context;
use crate::globals::Globals;
use crate::output::console::tests::{kept, Kept};
use crate::output::Format;

/// A context that asks the master at `address`; its data and its remarks. `answers` is what a person would type.
pub(crate) fn context(address: &str, answers: Option<&'static str>) -> (Context, Kept, Kept) {
    let (console, data, remarks) = kept(answers);
    let globals = Globals {
        master: address.split(',').map(str::to_owned).collect(),
        output: Format::Table,
        timeout: None,
        quiet: false,
        log_json: false,
    };
    (Context::new(&globals, console, CancellationToken::new()), data, remarks)
}
