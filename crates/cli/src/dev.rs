//! A whole cluster on one machine, as real processes on loopback, for trying things out.
//!
//! It ends with everything that it started: masters, agents and the containers that would outlive them.

pub mod cluster;
pub mod process;
pub mod roster;

use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use self::cluster::{Cluster, Shape};
use self::process::Kind;
use self::roster::Roster;
use crate::failure::{Failure, EXIT_ERROR};
use crate::settings_dev::DevSettings;

/// Runs a cluster until it is told to stop, also while it starts.
///
/// # Errors
/// When a process of it does not start, or ends by itself.
pub async fn run(settings: DevSettings, stop: CancellationToken) -> anyhow::Result<()> {
    let shape = Shape {
        masters: settings.masters,
        zk: settings.zk.clone(),
        agents: settings.agents,
        disks: settings.disks,
        port: settings.port,
    };
    let scratch = Scratch::new(settings.scratch.dir.clone(), settings.scratch.keep)?;
    let mut cluster = Cluster::new(scratch.path(), shape)?;
    let served =
        stop.run_until_cancelled(serve(&mut cluster, scratch.path(), settings.keep_alive)).await;
    eprintln!("stopping");
    cluster.stop().await;
    Roster::remove(scratch.path());
    served.unwrap_or(Ok(()))
}

/// Starts the cluster, tells where it is, and looks after it for as long as it is whole.
async fn serve(cluster: &mut Cluster, dir: &Path, keep_alive: bool) -> anyhow::Result<()> {
    cluster.start().await?;
    Roster::of(cluster, keep_alive).write(dir)?;
    tell(cluster, dir);
    loop {
        let name = cluster.watch().await;
        if !keep_alive {
            let hint =
                format!("start it again with --dir DIR, and read DIR/{name}/log when it happens; or with --keep-alive, which starts again what ends; here it ended with:\n{}", cluster.log_of(&name));
            let cause = format!("{name} ended by itself, so the others were ended too");
            return Err(Failure::new(EXIT_ERROR, cause, hint).into());
        }
        cluster.start_again(&name).await?;
        Roster::of(cluster, keep_alive).write(dir)?;
        eprintln!("{name} had ended, and was started again");
    }
}

fn tell(cluster: &Cluster, dir: &Path) {
    let (mut masters, mut agents) = (0, 0);
    let several = 1 < cluster.master_addresses().len();
    for process in cluster.processes() {
        let (kind, number) = match process.kind() {
            Kind::Master => ("master", &mut masters),
            Kind::Agent => ("agent", &mut agents),
        };
        let name = match (process.kind(), several) {
            (Kind::Master, false) => kind.to_owned(),
            _ => format!("{kind} {number}"),
        };
        *number += 1;
        let pid = process.pid().map_or_else(|| "-".to_owned(), |it| it.to_string());
        println!("{name:<8} http://{} (process {pid})", process.address());
    }
    println!("state    {}", dir.display());
    println!("try      HOLDFAST_ADDR={} holdfast agent list", cluster.meeting_place());
    println!("stop     Ctrl-C; nothing is left running");
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
    pub fn path(&self) -> &Path {
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
