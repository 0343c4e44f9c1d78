//! The command line of the Cassandra framework.

use std::path::PathBuf;

use holdfast_cassandra::directory;
use holdfast_sdk::net::{bail, Context, Result};

#[derive(clap::Parser)]
#[command(
    name = "holdfast-cassandra",
    about = "Apache Cassandra on claimed disks: nodes come back to their own data, or say why not."
)]
enum Verb {
    /// Print what is marked on a node's volume: its ring, host id, tokens and rack.
    Inspect {
        /// The directory of the volume.
        dir: PathBuf,
    },
}

fn main() -> std::process::ExitCode {
    let done = match <Verb as clap::Parser>::parse() {
        Verb::Inspect { dir } => inspect(&dir),
    };
    done.map_or_else(|error| (eprintln!("cassandra: {error:#}"), 1.into()).1, |()| 0.into())
}

fn inspect(dir: &std::path::Path) -> Result<()> {
    let found = directory::look(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    match found.marker {
        Ok(Some(marker)) => print!("{}", marker.to_text()),
        Ok(None) if found.others.is_empty() => bail!("{} is empty", dir.display()),
        Ok(None) => {
            bail!("{} bears no marker; it holds {}", dir.display(), found.others.join(", "))
        }
        Err(why) => bail!("the marker in {} cannot be read: {why}", dir.display()),
    }
    Ok(())
}
