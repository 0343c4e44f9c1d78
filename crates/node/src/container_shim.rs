//! The keeper of one container as a process, and the end of containers whose agent does not run.
//!
//! Relies on `containers` for both. Never starts a container: an agent does.

use std::path::Path;

use anyhow::Context;
use holdfast_containers::{Launcher, ShimCommand};

/// Keeps the container in `directory` until it has ended; returns the exit code. It must be the first thing in its process, while there is
/// no other thread.
pub fn main(directory: &Path) -> i32 {
    holdfast_containers::shim_main(directory)
}

/// How `program`, which is this binary, is started as a keeper.
pub fn command(program: &Path) -> ShimCommand {
    ShimCommand { program: program.to_owned(), leading_args: vec!["container-shim".into()] }
}

/// Ends and forgets all containers of the agent with the directory `agent_dir`, which does not run; says on standard error which could not
/// be ended.
///
/// # Errors
/// When the directory of its containers cannot be opened, because its agent runs for instance.
pub fn end_all(agent_dir: &Path, program: &Path) -> anyhow::Result<()> {
    let dir = agent_dir.join("containers");
    if !dir.exists() {
        return Ok(());
    }
    let launcher = Launcher::open(&dir, command(program))
        .with_context(|| format!("cannot end the containers in {}", dir.display()))?;
    for found in launcher.list().unwrap_or_default() {
        let ended = launcher.destroy(&found.id).map(drop).map_err(|it| it.to_string());
        if let Err(error) =
            ended.and_then(|()| launcher.forget(&found.id).map_err(|it| it.to_string()))
        {
            eprintln!("cannot end container {}: {error}", found.id);
        }
    }
    Ok(())
}
