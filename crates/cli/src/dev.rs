//! A whole cluster on one machine, as real processes on loopback, for trying things out.
//!
//! It ends with everything that it started: masters, agents and the containers that would outlive them.

pub mod cluster;

use std::path::PathBuf;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use self::cluster::{Cluster, Shape};
use crate::failure::{Failure, EXIT_ERROR};
use crate::settings_dev::DevSettings;

/// Runs a cluster until it is told to stop, also while it starts.
///
/// # Errors
/// When a process of it does not start, or ends by itself.
pub async fn run(settings: DevSettings, stop: CancellationToken) -> anyhow::Result<()> {
    let scratch = Scratch::new(settings.dir.clone(), settings.keep)?;
    let shape = Shape { agents: settings.agents, disks: settings.disks, port: settings.port };
    let mut cluster = Cluster::new(scratch.path(), shape)?;
    let served = stop.run_until_cancelled(serve(&mut cluster, scratch.path())).await;
    eprintln!("stopping");
    cluster.stop().await;
    served.unwrap_or(Ok(()))
}

/// Starts the cluster, tells where it is, and looks after it for as long as it is whole.
async fn serve(cluster: &mut Cluster, dir: &std::path::Path) -> anyhow::Result<()> {
    cluster.start().await?;
    println!("master   http://{}", cluster.master_address());
    for (index, address) in cluster.agent_addresses().enumerate() {
        println!("agent {index}  http://{address}");
    }
    println!("state    {}", dir.display());
    println!("try      HOLDFAST_ADDR={} holdfast agent list", cluster.master_address());
    println!("stop     Ctrl-C; nothing is left running");
    let name = cluster.watch().await;
    let hint =
        format!("start it again with --dir DIR, and read DIR/{name}/log when it happens; here it ended with:\n{}", cluster.log_of(&name));
    Err(Failure::new(
        EXIT_ERROR,
        format!("{name} ended by itself, so the others were ended too"),
        hint,
    )
    .into())
}

/// The directory of a cluster; removed at the end unless it was given or shall be kept.
pub struct Scratch {
    path: PathBuf,
    remove: bool,
}

impl Scratch {
    /// Takes a directory, or makes one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(given: Option<PathBuf>, keep: bool) -> anyhow::Result<Scratch> {
        let remove = given.is_none() && !keep;
        let path = given.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("holdfast-{}", uuid::Uuid::new_v4()))
        });
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Scratch { path: path.canonicalize()?, remove })
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.remove {
            // A cluster of an afternoon; what cannot be removed is left in the temporary directory.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
