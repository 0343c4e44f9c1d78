//! What every verb is given: whom to ask, how to answer, how long to wait.

use std::time::Duration;

use holdfast_wire::{ClientSettings, MesosClient};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::master_api::MasterApi;
use crate::globals::Globals;
use crate::output::{Console, Format};

/// See the module.
pub struct Context {
    /// The masters.
    pub master: MasterApi,
    /// Where data and remarks go.
    pub console: Console,
    /// How data are written.
    pub format: Format,
    /// Only ids, no remarks.
    pub quiet: bool,
    /// How long all of it may take, if that was said.
    pub timeout: Option<Duration>,
    /// Somebody wants it to end.
    pub stop: CancellationToken,
}

impl Context {
    /// As it was typed.
    pub fn new(globals: &Globals, console: Console, stop: CancellationToken) -> Context {
        let settings =
            ClientSettings { call_timeout: globals.answer_timeout(), ..ClientSettings::default() };
        let master = MasterApi::new(MesosClient::new(settings), globals.masters());
        Context {
            master,
            console,
            format: globals.output,
            quiet: globals.quiet,
            timeout: globals.timeout,
            stop,
        }
    }

    /// Says something that is no data, unless it shall be quiet.
    pub fn remark(&self, text: &str) {
        if !self.quiet {
            self.console.note(text);
        }
    }

    /// Writes one value for programs.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn put_value(&self, value: &Value) -> std::io::Result<()> {
        self.console.put(&self.format.text(value))
    }

    /// Whether tables show all their columns.
    pub fn is_wide(&self) -> bool {
        self.format == Format::Wide
    }
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    holdfast_node::core_loop::now().0
}
