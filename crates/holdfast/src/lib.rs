//! The one binary of Holdfast: shells that tie minds to their hands, settings, and the verbs of the command line.
//!
//! Everything that decides lives in other rooms. This one knows processes, ports and people.

pub mod address_file;
pub mod advice;
pub mod agent_process;
pub mod cli;
pub mod core_loop;
pub mod demo;
pub mod dev;
pub mod executor_process;
pub mod failure;
pub mod files;
pub mod ledger_file;
pub mod links;
pub mod master_process;
pub mod output;
pub mod signals;
pub mod verbs;
pub mod version;
