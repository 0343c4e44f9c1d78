//! What the framework wants: how many members, what each needs, how each is run. The keeper of the SDK does the rest.

use holdfast_sdk::model::{CommandInfo, Role, Scalar};
use holdfast_sdk::net::{self, Options, Result};
use holdfast_sdk::{Member, Needs, Program, Service, Stage};
use std::path::PathBuf;

/// The framework, as the command line describes it.
#[derive(Clone, clap::Args)]
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
    #[arg(long, default_value = "journal", value_parser = Role::parse)]
    role: Role,
    /// The size of each volume, in megabytes.
    #[arg(long, default_value_t = 64)]
    disk_mb: i64,
    /// The processors of each node.
    #[arg(long, default_value = "0.1", value_parser = cpus)]
    cpus: Scalar,
    /// The memory of each node, in megabytes.
    #[arg(long, default_value_t = 32)]
    mem_mb: i64,
    /// How many records each node appends per second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// This program, where the agents find it.
    #[arg(long, default_value_os_t = std::env::current_exe().unwrap_or_default())]
    program: PathBuf,
}

/// Runs the framework until it is told to stop.
pub async fn run(arguments: Arguments) -> Result<()> {
    let options = Options::new(arguments.master.clone(), &arguments.ledger);
    net::run(arguments, options).await
}

impl Service for Arguments {
    fn name(&self) -> &str {
        "journal"
    }
    fn role(&self) -> &Role {
        &self.role
    }
    fn members(&self) -> u32 {
        self.nodes
    }
    fn needs(&self, _member: u32) -> Needs {
        Needs { cpus: self.cpus, mem_mb: self.mem_mb, disk_mb: self.disk_mb, container_path: "data".to_owned() }
    }
    /// The node is told what it must find: nothing yet, on a volume that is still being claimed; else all that was acknowledged.
    fn program(&self, member: &Member) -> Program {
        let (program, index, at_least) = (self.program.to_string_lossy(), member.index, watermark(&member.note));
        let first = if member.stage == Stage::Claiming && at_least == 0 { "--first" } else { "--again" };
        let line = format!("executor --dir data --member {index} --at-least {at_least} {first} --rate {}", self.rate);
        let arguments = std::iter::once(&*program).chain(line.split(' ')).map(str::to_owned).collect();
        Program { command: CommandInfo { value: Some(program.into_owned()), arguments, ..CommandInfo::default() }, executor: true }
    }
    /// `acked N`: so many records are durable. Remembered before anything else happens, and never lowered.
    fn heard(&mut self, member: &Member, data: &[u8]) -> Option<Vec<u8>> {
        let count = data.strip_prefix(b"acked ").map(watermark)?;
        (watermark(&member.note) < count).then(|| count.to_string().into_bytes())
    }
}

fn watermark(note: &[u8]) -> u64 {
    std::str::from_utf8(note).ok().and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn cpus(text: &str) -> Result<Scalar, &'static str> {
    text.parse().ok().and_then(Scalar::from_f64).ok_or("give a number of processors, such as 0.5")
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

    fn journal(line: &str) -> Result<Arguments, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|it| it.arguments)
    }

    #[test]
    fn a_node_is_told_what_it_must_find() {
        let journal = journal("j --ledger /l --program /p --rate 7").unwrap();
        let line = |member: &Member| journal.program(member).command.arguments.join(" ");
        let first = Member { stage: Stage::Claiming, ..Member::new(2) };
        assert_eq!(line(&first), "/p executor --dir data --member 2 --at-least 0 --first --rate 7");
        for stage in [Stage::Placed, Stage::Claiming] {
            let again = Member { stage, note: b"41".to_vec(), ..Member::new(2) };
            assert_eq!(line(&again), "/p executor --dir data --member 2 --at-least 41 --again --rate 7");
        }
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
        for (line, name) in [("j --ledger /l --role a//b", "--role"), ("j --ledger /l --cpus NaN", "--cpus"), ("j", "--ledger")] {
            assert!(journal(line).err().unwrap().to_string().contains(name), "{line}");
        }
    }

    #[test]
    fn every_node_comes_back_to_its_volume() {
        let mut kit = holdfast_sim::kit::Kit::new(3, journal("j --ledger /l --program /p").unwrap());
        kit.run_until_content(60_000);
        let before = kit.volumes(&kit.members());
        kit.reboot(0, 2_000);
        kit.kill_scheduler(1_000);
        kit.run_ms(5_000);
        kit.run_until_content(120_000);
        assert_eq!(kit.volumes(&kit.members()), before);
    }
}
