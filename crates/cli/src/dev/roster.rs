//! Who belongs to a running cluster of this machine, in a file of its directory, so that others find its processes.
//!
//! Written whole or not at all, and anew whenever a process was started again. Never read by the cluster itself.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use super::process::Kind;
use crate::failure::{Failure, EXIT_CONFLICT};

/// The file.
const FILE: &str = "cluster.json";

/// The processes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// The process that started the others.
    pub pid: u32,
    /// Whether it starts again what ends.
    pub keeps_alive: bool,
    /// How the masters are named to agents and clients.
    pub meeting_place: String,
    /// The processes: the masters, and then the agents.
    pub members: Vec<Member>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What it is called.
    pub name: String,
    /// Whether it is a master; otherwise it is an agent.
    pub is_master: bool,
    /// Where it serves.
    pub address: String,
    /// Its number among the machine's processes; `None` while it does not run.
    pub pid: Option<u32>,
}

impl Roster {
    /// Those that belong to a cluster now.
    pub fn of(cluster: &Cluster, keeps_alive: bool) -> Roster {
        let member = |it: &super::process::Process| Member {
            name: it.name().to_owned(),
            is_master: it.kind() == Kind::Master,
            address: it.address().to_owned(),
            pid: it.pid(),
        };
        Roster {
            pid: std::process::id(),
            keeps_alive,
            meeting_place: cluster.meeting_place(),
            members: cluster.processes().map(member).collect(),
        }
    }

    /// Writes it into the cluster's directory.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let (file, new) = (dir.join(FILE), dir.join(format!("{FILE}.new")));
        let text = serde_json::to_string_pretty(self).context("the roster of the cluster")? + "\n";
        let write = || {
            // An ensemble's address may have a password.
            let mut options = std::fs::File::options();
            let mut file =
                options.create(true).write(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())
        };
        write().and_then(|()| std::fs::rename(&new, &file)).with_context(|| {
            format!("cannot write {}, in which others find the processes", file.display())
        })
    }

    /// Takes it away: nothing of it runs any more.
    pub fn remove(dir: &Path) {
        // It is not there where the cluster did not come to run.
        let _ = std::fs::remove_file(dir.join(FILE));
    }

    /// Reads that of a running cluster.
    ///
    /// # Errors
    /// When no cluster runs there.
    pub fn read(dir: &Path) -> anyhow::Result<Roster> {
        let hint = "start one with `holdfast dev --dir DIR --keep-alive`, and name DIR";
        let file = dir.join(FILE);
        let text = std::fs::read_to_string(&file).map_err(|error| {
            let cause = format!("no cluster runs in {}: {}: {error}", dir.display(), FILE);
            Failure::not_found(cause, hint)
        })?;
        let roster: Roster = serde_json::from_str(&text)
            .with_context(|| format!("{} is not understood", file.display()))?;
        if !Path::new("/proc").join(roster.pid.to_string()).exists() {
            let cause = format!(
                "the cluster in {} was killed: its process {} is gone",
                dir.display(),
                roster.pid
            );
            return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
        }
        Ok(roster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_while_its_cluster_runs() {
        let dir = tempfile::tempdir().unwrap();
        let why = format!("{:#}", Roster::read(dir.path()).unwrap_err());
        assert!(why.contains("no cluster runs in") && why.contains("--keep-alive"), "{why}");
        let member = Member {
            name: "master-1".to_owned(),
            is_master: true,
            address: "127.0.0.1:1".to_owned(),
            pid: None,
        };
        let members = vec![member];
        let mut roster = Roster {
            pid: std::process::id(),
            keeps_alive: true,
            meeting_place: "h:1".to_owned(),
            members,
        };
        roster.write(dir.path()).unwrap();
        assert_eq!(Roster::read(dir.path()).unwrap(), roster);
        // Greater than any number of a process.
        roster.pid = u32::MAX;
        roster.write(dir.path()).unwrap();
        assert!(Roster::read(dir.path()).unwrap_err().to_string().contains("was killed"));
        Roster::remove(dir.path());
        assert!(Roster::read(dir.path()).is_err());
    }
}
