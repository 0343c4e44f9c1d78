//! What the framework wants: how many members, what each needs, how each is run. The keeper of the SDK does the rest.

use std::path::PathBuf;

use holdfast_sdk::model::{CommandInfo, Role, Scalar};
use holdfast_sdk::net::{self, Context, Options, Result};
use holdfast_sdk::{Member, Needs, Program, Service, Stage};

/// Where the volume shows in a node's working directory.
const DATA: &str = "data";

/// What the scheduler is told on the command line.
#[derive(clap::Args)]
pub struct Arguments {
    /// The masters, as host:port, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1:5050")]
    master: Vec<String>,
    /// How many nodes; each gets an agent and a volume of its own.
    #[arg(long, default_value_t = 3)]
    nodes: u32,
    /// Where the scheduler remembers what it was given.
    #[arg(long)]
    ledger: PathBuf,
    /// The role that the volumes are reserved for.
    #[arg(long, default_value = "journal")]
    role: String,
    /// The size of each volume, in megabytes.
    #[arg(long, default_value_t = 64)]
    disk_mb: i64,
    /// The processors of each node.
    #[arg(long, default_value_t = 0.1)]
    cpus: f64,
    /// The memory of each node, in megabytes.
    #[arg(long, default_value_t = 32)]
    mem_mb: i64,
    /// How many records each node appends per second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// This program, where the agents find it; by default where it is here.
    #[arg(long)]
    program: Option<PathBuf>,
}

struct Journal {
    arguments: Arguments,
    role: Role,
    cpus: Scalar,
    program: String,
}

/// Runs the framework until it is told to stop.
pub async fn run(arguments: Arguments) -> Result<()> {
    let options = Options::new(arguments.master.clone(), &arguments.ledger);
    net::run(Journal::new(arguments)?, options).await
}

impl Journal {
    fn new(arguments: Arguments) -> Result<Journal> {
        let role = Role::parse(&arguments.role).context("--role")?;
        let cpus = Scalar::from_f64(arguments.cpus).context("--cpus: give a number of processors, such as 0.5")?;
        let program = arguments.program.clone().map_or_else(std::env::current_exe, Ok).context("--program")?;
        Ok(Journal { role, cpus, program: program.to_string_lossy().into_owned(), arguments })
    }
}

impl Service for Journal {
    fn name(&self) -> &str {
        "journal"
    }

    fn role(&self) -> &Role {
        &self.role
    }

    fn members(&self) -> u32 {
        self.arguments.nodes
    }

    fn needs(&self, _member: u32) -> Needs {
        let Arguments { mem_mb, disk_mb, .. } = self.arguments;
        Needs { cpus: self.cpus, mem_mb, disk_mb, container_path: DATA.to_owned() }
    }

    /// The executor is told what the node must find: a volume made this moment is empty, any other holds all that was acknowledged.
    fn program(&self, member: &Member) -> Program {
        let first = if member.stage == Stage::Claiming { "--first" } else { "--again" };
        let (index, rate) = (member.index.to_string(), self.arguments.rate.to_string());
        let at_least = watermark(&member.note).to_string();
        let words = [&self.program, "executor", "--dir", DATA, "--member", &index, "--at-least", &at_least, first, "--rate", &rate];
        let arguments = words.iter().map(|&it| it.to_owned()).collect();
        let command = CommandInfo { value: Some(self.program.clone()), arguments, ..CommandInfo::default() };
        Program { command, executor: true }
    }

    /// `acked N`: so many records are durable. Remembered before anything else happens, and never lowered.
    fn heard(&mut self, member: &Member, data: &[u8]) -> Option<Vec<u8>> {
        let count: u64 = std::str::from_utf8(data).ok()?.strip_prefix("acked ")?.parse().ok()?;
        (watermark(&member.note) < count).then(|| count.to_string().into_bytes())
    }
}

fn watermark(note: &[u8]) -> u64 {
    std::str::from_utf8(note).ok().and_then(|it| it.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn journal(line: &str) -> Result<Journal> {
        Journal::new(Line::parse_from(line.split(' ')).arguments)
    }

    #[test]
    fn a_node_is_told_what_it_must_find() {
        let journal = journal("j --ledger /l --program /p --rate 7").unwrap();
        let line = |member: &Member| journal.program(member).command.arguments.join(" ");
        let first = Member { stage: Stage::Claiming, ..Member::new(2) };
        assert_eq!(line(&first), "/p executor --dir data --member 2 --at-least 0 --first --rate 7");
        let again = Member { stage: Stage::Placed, note: b"41".to_vec(), ..Member::new(2) };
        assert_eq!(line(&again), "/p executor --dir data --member 2 --at-least 41 --again --rate 7");
    }

    #[test]
    fn the_watermark_only_rises() {
        let mut journal = journal("j --ledger /l").unwrap();
        let member = Member { note: b"10".to_vec(), ..Member::new(0) };
        assert_eq!(journal.heard(&member, b"acked 11"), Some(b"11".to_vec()));
        for other in ["acked 10", "acked 9", "acked", "acked x", "hello"] {
            assert_eq!(journal.heard(&member, other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        for (line, name) in [("j --ledger /l --role a//b", "--role"), ("j --ledger /l --cpus NaN", "--cpus")] {
            assert!(journal(line).err().unwrap().to_string().contains(name));
        }
    }
}
