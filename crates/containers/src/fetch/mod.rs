//! The fetcher: puts what a command wants into its sandbox, before it starts.
//!
//! It runs as a process of its own, in a container with the task's user, limits and view of the
//! machine, and with the sandbox as its working directory; so a server or a disk that hangs holds
//! up nobody else, it can be killed like any container, and nobody reads by it what the task could
//! not. It relies on the machine's `curl` for the network and on `hadoop` for its file systems. It
//! never follows a link in the sandbox, and writes nothing outside of it.

mod archive;
mod bounded;
mod places;
mod plan;
mod source;
mod tree;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

pub use places::{clear_places, pass_through, read_told};
pub use plan::{FetchKind, FetchPlan, FetchSource, FetchStep, FETCH_PLAN_VARIABLE};

use archive::Archive;
use bounded::Bounds;
use tree::Tree;

/// Why something could not be fetched. No variant says more of an address than may be shown.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The process was given no plan.
    #[error("{FETCH_PLAN_VARIABLE} holds no plan: {detail}; this program is started by an agent")]
    NoPlan {
        /// What is wrong with it.
        detail: String,
    },
    /// The source did not give it.
    #[error("cannot fetch {address}: {why}")]
    Source {
        /// The address, without credentials and query.
        address: String,
        /// What happened.
        why: String,
    },
    /// The sandbox could not take it.
    #[error("cannot write `{name}` in the sandbox: {why}")]
    Sandbox {
        /// The path in the sandbox.
        name: String,
        /// What happened.
        why: String,
    },
    /// It is no good archive.
    #[error("cannot unpack `{name}`: {why}")]
    Archive {
        /// The path in the sandbox, or the name that it would have there.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Carries out the plan in the environment, in the current directory; returns the exit code. What
/// failed is written to where the plan says and to standard error.
pub fn fetch_main() -> i32 {
    let plan = std::env::var(FETCH_PLAN_VARIABLE).map_err(|error| error.to_string());
    let plan = plan
        .and_then(|it| serde_json::from_str::<FetchPlan>(&it).map_err(|error| error.to_string()));
    let (result, outcome) = match plan {
        Ok(plan) => (plan.result.clone(), run(&plan, Path::new("."))),
        Err(detail) => (None, Err(FetchError::NoPlan { detail })),
    };
    let Err(error) = outcome else { return 0 };
    eprintln!("{error}");
    if let Some(result) = result {
        // Without it there is still the exit code.
        let _ = File::create(result).and_then(|mut it| it.write_all(error.to_string().as_bytes()));
    }
    1
}

/// Carries out a plan in this sandbox.
///
/// # Errors
/// [`FetchError`]: what failed first. What was fetched before it stays.
pub fn run(plan: &FetchPlan, sandbox: &Path) -> Result<(), FetchError> {
    let failed = |error: std::io::Error| FetchError::Sandbox {
        name: ".".to_string(),
        why: error.to_string(),
    };
    let tree = Tree::open(sandbox).map_err(failed)?;
    plan.steps.iter().try_for_each(|step| carry_out(plan, step, sandbox, &tree))
}

fn carry_out(
    plan: &FetchPlan,
    step: &FetchStep,
    sandbox: &Path,
    tree: &Tree,
) -> Result<(), FetchError> {
    let bounds = |max_bytes| Bounds { max_bytes, keep_free_bytes: plan.keep_free_bytes };
    let wrote = |name: &str| {
        let name = name.to_string();
        move |error: std::io::Error| FetchError::Sandbox { name, why: error.to_string() }
    };
    match step {
        FetchStep::Size { source, into } => {
            let size = source.size(plan.stall_s);
            let text = size.map(|it| it.to_string()).unwrap_or_default();
            std::fs::write(sandbox.join(into), text).map_err(wrote(into))
        }
        FetchStep::Download { source, into, max_bytes } => {
            let mut file = File::create(sandbox.join(into)).map_err(wrote(into))?;
            source.read_into(&mut bounds(Some(*max_bytes)).writer(&mut file), plan.stall_s)
        }
        FetchStep::Place { source, cached, name, executable, extract } => {
            let archive = Archive::of_name(name).filter(|_| *extract && !executable);
            let opened = match cached {
                Some(cached) => {
                    let file = File::open(sandbox.join(cached)).map_err(wrote(name))?;
                    if archive.is_none() {
                        let mut target = tree.create(name).map_err(wrote(name))?;
                        copy(file, &mut bounds(None).writer(&mut target)).map_err(wrote(name))?;
                        None
                    } else {
                        Some(file)
                    }
                }
                None => {
                    let mut target = tree.create(name).map_err(wrote(name))?;
                    source.read_into(&mut bounds(None).writer(&mut target), plan.stall_s)?;
                    archive.map(|_| tree.open_file(name).map_err(wrote(name))).transpose()?
                }
            };
            if *executable {
                tree.make_executable(name).map_err(wrote(name))?;
            }
            let shown = source.shown();
            match (archive, opened) {
                (Some(archive), Some(file)) => {
                    archive.unpack(name, file, tree, bounds(None))?;
                    eprintln!("Fetched {shown} and unpacked it");
                }
                _ => eprintln!("Fetched {shown} to {name}"),
            }
            Ok(())
        }
    }
}

fn copy(mut from: impl Read, to: &mut impl Write) -> std::io::Result<()> {
    std::io::copy(&mut from, to).map(drop)
}

#[cfg(test)]
mod tests;
