//! The executors that every agent has: one for a single command, one for groups of tasks. The agent starts them inside of a container as
//! `holdfast command-executor` and `holdfast default-executor`.
//!
//! They speak the executor API like anyone's, by way of the SDK. They outlive their agent, and end only when every status was
//! acknowledged by it, or when it is lost for good. Never more than this: limits, volumes and the fence around what runs are the
//! container's.

mod fetches;
mod groups;
mod runner;
mod task_directory;

use runner::{Kind, Runner};

/// The variables by which an agent tells executors how much of each task's output is kept, in bytes, and how much is to stay free.
pub(crate) const OUTPUT_MAX_VARIABLE: &str = "HOLDFAST_TASK_LOG_MAX_BYTES";
pub(crate) const OUTPUT_FREE_VARIABLE: &str = "HOLDFAST_TASK_LOG_KEEP_FREE_BYTES";

/// The variable by which an agent tells executors after how many seconds a download that stalls is cut.
pub(crate) const FETCH_STALL_VARIABLE: &str = "HOLDFAST_FETCHER_STALL_SECONDS";

/// Runs the one command that this container was made for, in the sandbox. Returns the exit code of this process.
///
/// # Errors
/// When the environment is not that of an executor.
pub async fn run_command_executor() -> anyhow::Result<i32> {
    Runner::new(Kind::Command)?.run().await
}

/// Runs groups of tasks, each task in a directory of its own below the sandbox; when one of a group fails or is killed, so is the rest of
/// its group (I12). Ends when all groups have ended. Returns the exit code of this process.
///
/// # Errors
/// When the environment is not that of an executor.
pub async fn run_default_executor() -> anyhow::Result<i32> {
    Runner::new(Kind::Groups)?.run().await
}
