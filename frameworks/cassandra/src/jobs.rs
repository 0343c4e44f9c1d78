//! What is done beside a node by Cassandra's own tool, over JMX on the node's machine.
//!
//! It blocks: a thread of its own waits for it. Each act begins with a look at how the node stands, so that one that was begun by an earlier
//! executor, or by a person, is not begun a second time.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::backup::{self, Origin};
use crate::marker::Marker;
use crate::orders::{Act, Order, Progress};
use crate::ring::Session;

/// The pause between two looks at a node that leaves.
const LOOK: Duration = Duration::from_secs(3);
/// How much of what the tool said is told.
const WORDS_MAX: usize = 300;

/// An order, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The order.
    pub order: Order,
    /// How far it has come.
    pub progress: Progress,
}

/// How a node stands, by its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Leaving,
    Left,
    Other(String),
}

/// Cassandra's tool for one node.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The Java.
    pub java: PathBuf,
    /// What stands behind it, before what the tool is told.
    pub words: Vec<String>,
}

/// What is done beside one node.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Cassandra's tool for it.
    pub tool: Tool,
    /// Who it is.
    pub marker: Marker,
    /// Its volume.
    pub volume: PathBuf,
    /// Its address.
    pub address: IpAddr,
    /// Its port of CQL.
    pub port: u16,
    /// Where backups are.
    pub backup_dir: Option<PathBuf>,
}

impl Beside {
    /// Carries an order out, and returns once it is done.
    ///
    /// # Errors
    /// Why it is not, or may not be, done.
    pub fn carry_out(&self, order: &Order) -> Result<(), String> {
        match order.act {
            Act::Leave => self.tool.leave(),
            Act::Cleanup => self.tool.run(&["cleanup"]).map(drop),
            // Each range is repaired by one node alone.
            Act::Repair => self.tool.run(&["repair", "-pr", "--full"]).map(drop),
            Act::Backup => self.back_up(order.backup.as_deref()),
            Act::Restore => self.restore(order.backup.as_deref()),
        }
    }

    /// What the node has now, and where its backup of that name is.
    fn origin(&self, name: Option<&str>) -> Result<(Origin, PathBuf, String), String> {
        let dir = self.backup_dir.as_ref().ok_or("no --backup-dir says where backups are")?;
        let name = name.filter(|it| !it.is_empty() && !it.contains('/') && !it.starts_with('.'));
        let name = name.ok_or("the order names no backup")?;
        let host = self.marker.joined.as_ref().map(|it| it.host_id.clone()).unwrap_or_default();
        let asked = Session::connect(self.address, self.port).and_then(|mut it| it.nodes());
        let nodes = asked.map_err(|why| format!("the node is asked for its schema: {why:#}"))?;
        let schema = nodes.into_iter().find(|it| it.host_id == host).map(|it| it.schema);
        let origin = schema.and_then(|it| Origin::of(&self.marker, it));
        let origin = origin.ok_or("the node does not know itself in its ring")?;
        let place = backup::place(dir, &origin, name);
        Ok((origin, place, name.to_owned()))
    }

    /// One that was made by an earlier executor, and is whole, is read again and counts.
    fn back_up(&self, name: Option<&str>) -> Result<(), String> {
        let (origin, to, name) = self.origin(name)?;
        let words = |it: backup::Failed| it.to_string();
        if let Ok(manifest) = backup::read(&to) {
            manifest.origin.fits(&origin).map_err(words)?;
            return backup::verify(&to, &manifest).map_err(words);
        }
        // A snapshot of that name that was not copied is made anew.
        self.tool.run(&["clearsnapshot", "-t", &name])?;
        self.tool.run(&["snapshot", "-t", &name])?;
        let saved = backup::save(&self.volume.join("data"), &name, origin, &to);
        let cleared = self.tool.run(&["clearsnapshot", "-t", &name]);
        saved.map_err(words)?;
        cleared.map(drop)
    }

    /// Nothing is taken in before all of the backup was read, and found to be this node's.
    fn restore(&self, name: Option<&str>) -> Result<(), String> {
        let (origin, from, name) = self.origin(name)?;
        let words = |it: backup::Failed| it.to_string();
        let manifest = backup::read(&from).map_err(words)?;
        manifest.origin.fits(&origin).map_err(words)?;
        let tables = backup::tables(&manifest);
        let missing =
            tables.iter().find(|it| !self.volume.join("data").join(&it.0).join(&it.1).is_dir());
        if let Some((keyspace, table)) = missing {
            return Err(backup::Failed::Table(format!("{keyspace}.{table}")).to_string());
        }
        backup::verify(&from, &manifest).map_err(words)?;
        let staging = self.volume.join(format!("restore-{name}"));
        removed(&staging)?;
        for table in &tables {
            let dir = staging.join(&table.0).join(&table.1);
            backup::lay_out(&from, &manifest, table, &dir).map_err(words)?;
            let plain = table.1.rsplit_once('-').map_or(table.1.as_str(), |it| it.0);
            self.tool.run(&["import", &table.0, plain, &dir.to_string_lossy()])?;
        }
        removed(&staging)
    }
}

fn removed(dir: &Path) -> Result<(), String> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}

impl Tool {
    /// Has the node leave, and believes only the node itself that it has.
    fn leave(&self) -> Result<(), String> {
        let mut said = String::new();
        let mut mode = self.mode()?;
        if let Mode::Other(_) = mode {
            said = self.run(&["decommission"]).err().unwrap_or_default();
            mode = self.mode()?;
        }
        while mode == Mode::Leaving {
            // tidy: sleep is the point: a node that gives its data away is looked at now and then
            std::thread::sleep(LOOK);
            mode = self.mode()?;
        }
        match mode {
            Mode::Left => Ok(()),
            Mode::Leaving => Err(said),
            Mode::Other(mode) => Err(format!("it is {mode}, and not DECOMMISSIONED: {said}")),
        }
    }

    fn mode(&self) -> Result<Mode, String> {
        let said = self.run(&["netstats"])?;
        mode_of(&said).ok_or_else(|| format!("it does not say how it stands: {}", end(&said)))
    }

    /// Runs the tool; what it printed.
    fn run(&self, told: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.java);
        command.args(&self.words).args(told).stdin(Stdio::null());
        let what = told.join(" ");
        let output = command.output().map_err(|why| format!("nodetool {what}: {why}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        match output.status.success() {
            true => Ok(said.into_owned()),
            false => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                let said = if stderr.trim().is_empty() { &said } else { &stderr };
                Err(format!("nodetool {what}: {}", end(said)))
            }
        }
    }
}

fn mode_of(netstats: &str) -> Option<Mode> {
    let mode = netstats.lines().find_map(|it| it.strip_prefix("Mode: "))?.trim();
    Some(match mode {
        "LEAVING" => Mode::Leaving,
        "DECOMMISSIONED" => Mode::Left,
        other => Mode::Other(other.to_owned()),
    })
}

/// The last words of a text, in one line; an exception's own words come before its stack.
fn end(text: &str) -> String {
    let is_stack = |it: &&str| it.starts_with(['\t', ' ']) && it.trim_start().starts_with("at ");
    let lines: Vec<&str> = text.lines().filter(|it| !is_stack(it)).map(str::trim).collect();
    let line = lines.join(" ");
    let skipped = line.chars().count().saturating_sub(WORDS_MAX);
    line.chars().skip(skipped).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A tool of a few lines of shell, which keeps how the node stands in a file.
    fn tool(dir: &std::path::Path, mode: &str, leaves: &str) -> Tool {
        let java = dir.join("java");
        let state = dir.join("mode");
        std::fs::write(&state, mode).unwrap();
        let state = state.display();
        let script = format!(
            "#!/bin/sh\ncase $2 in\nnetstats) echo INFO; echo \"Mode: $(cat {state})\" ;;\ndecommission) {leaves} ;;\n*) echo \"$@\" >> {state}; exit 1 ;;\nesac\n"
        );
        std::fs::write(&java, script).unwrap();
        std::fs::set_permissions(&java, std::fs::Permissions::from_mode(0o755)).unwrap();
        Tool { java, words: vec!["first".to_owned()] }
    }

    #[test]
    fn a_node_has_left_when_it_says_so_itself() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("mode").display().to_string();
        let leaves = format!("echo DECOMMISSIONED > {state}");
        assert_eq!(tool(dir.path(), "NORMAL", &leaves).leave(), Ok(()));
        // One that has left already is not told to again.
        assert_eq!(tool(dir.path(), "DECOMMISSIONED", "exit 7").leave(), Ok(()));
        let why = tool(dir.path(), "NORMAL", "exit 0").leave().unwrap_err();
        assert!(why.starts_with("it is NORMAL, and not DECOMMISSIONED"), "{why}");
        let why = tool(dir.path(), "NORMAL", "echo no room >&2; exit 1").leave();
        assert!(why.unwrap_err().ends_with("nodetool decommission: no room"));
    }

    #[test]
    fn what_the_tool_refuses_is_told_without_its_stack() {
        let dir = tempfile::tempdir().unwrap();
        let why = tool(dir.path(), "NORMAL", "").run(&["cleanup"]).unwrap_err();
        assert!(why.starts_with("nodetool cleanup: "), "{why}");
        let said = std::fs::read_to_string(dir.path().join("mode")).unwrap();
        assert_eq!(said, "NORMALfirst cleanup\n");
        assert_eq!(end("error: it\n\tat x.y(Z.java:1)\nCaused by: z\n"), "error: it Caused by: z");
        let none = Tool { java: "/no/java".into(), words: Vec::new() };
        let why = none.run(&["repair", "-pr"]).unwrap_err();
        assert!(why.starts_with("nodetool repair -pr: "), "{why}");
    }
}
