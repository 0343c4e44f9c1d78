//! The processes of Holdfast: shells that tie the cores of master and agent to their drivers, the executors, and their settings.
//!
//! Everything that decides lives in other crates. This one knows processes, threads and ports, and never what a person types.

mod address_file;
pub mod agent_process;
pub mod container_shim;
pub mod core_loop;
mod counts;
pub mod disk_worker;
pub mod doctor;
pub mod executor_process;
pub mod exit_codes;
pub mod fetch_worker;
mod files;
pub mod ledger_file;
mod links;
pub mod logging;
pub mod master_process;
pub mod own_terminal;
mod refusals;
mod samples;
pub mod settings;
pub mod signals;
mod timings;
mod version;
mod views;
