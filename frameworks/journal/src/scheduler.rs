//! What the framework wants: how many members, what each needs, how each is run. The keeper of the
//! SDK does the rest.

use crate::node::acked;
use holdfast_sdk::model::{CommandInfo, Role, Scalar};
use holdfast_sdk::net::{self, Options, Result};
use holdfast_sdk::{Member, Needs, Program, Service};
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
    #[arg(long, default_value = "0.1")]
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
    net::run(arguments.clone(), Options::new(arguments.master, &arguments.ledger)).await
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
        Needs {
            cpus: self.cpus,
            mem_mb: self.mem_mb,
            disk_mb: self.disk_mb,
            container_path: "data".to_owned(),
        }
    }
    /// The node is told what it must find: nothing yet, or the last record that was acknowledged.
    fn program(&self, member: &Member) -> Program {
        let (program, index, acked) = (self.program.to_string_lossy(), member.index, note(member));
        let line =
            format!("executor --dir data --member {index} --acked {acked} --rate {}", self.rate);
        let arguments =
            std::iter::once(&*program).chain(line.split(' ')).map(str::to_owned).collect();
        Program {
            command: CommandInfo {
                value: Some(program.into_owned()),
                arguments,
                ..CommandInfo::default()
            },
            executor: true,
        }
    }
    /// `acked N:SUM`: N records are durable. Remembered before anything else happens, and never
    /// lowered.
    fn heard(&mut self, member: &Member, data: &[u8]) -> Option<Vec<u8>> {
        let said = std::str::from_utf8(data).ok()?.strip_prefix("acked ")?;
        (acked(&note(member)).ok()?.0 < acked(said).ok()?.0).then(|| said.into())
    }
}

/// What was remembered; what cannot be read goes to the node as it is, which refuses it.
fn note(member: &Member) -> std::borrow::Cow<'_, str> {
    match &member.note[..] {
        [] => "0:0".into(),
        note => String::from_utf8_lossy(note),
    }
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
        assert_eq!(line(&Member::new(2)), "/p executor --dir data --member 2 --acked 0:0 --rate 7");
        let member = |note: &[u8]| Member { note: note.to_vec(), ..Member::new(2) };
        assert_eq!(
            line(&member(b"41:0badcafe")),
            "/p executor --dir data --member 2 --acked 41:0badcafe --rate 7"
        );
        assert!(line(&member(b"?")).contains(" --acked ? "), "never taken for nothing");
    }

    #[test]
    fn what_was_acknowledged_only_rises() {
        let mut journal = journal("j --ledger /l").unwrap();
        let member = |note: &[u8]| Member { note: note.to_vec(), ..Member::new(0) };
        assert_eq!(journal.heard(&member(b"10:aa"), b"acked 11:bb"), Some(b"11:bb".to_vec()));
        assert_eq!(journal.heard(&member(b""), b"acked 1:c"), Some(b"1:c".to_vec()));
        for other in ["acked 10:bb", "acked 9:bb", "acked", "acked x", "acked 11", "hello"] {
            assert_eq!(journal.heard(&member(b"10:aa"), other.as_bytes()), None, "{other}");
        }
        assert_eq!(
            journal.heard(&member(b"?"), b"acked 11:bb"),
            None,
            "what cannot be read is not written over"
        );
    }

    #[test]
    fn wrong_settings_are_named() {
        for (line, name) in [
            ("j --ledger /l --role a//b", "--role"),
            ("j --ledger /l --cpus NaN", "--cpus"),
            ("j", "--ledger"),
        ] {
            assert!(journal(line).err().unwrap().to_string().contains(name), "{line}");
        }
    }

    #[test]
    fn every_node_comes_back_to_its_volume() {
        let mut kit =
            holdfast_sim::kit::Kit::new(3, journal("j --ledger /l --program /p").unwrap());
        kit.run_until_content(60_000);
        let before = kit.volumes(&kit.members());
        kit.reboot(0, 2_000);
        kit.kill_scheduler(1_000);
        kit.run_ms(5_000);
        kit.run_until_content(120_000);
        assert_eq!(kit.volumes(&kit.members()), before);
    }
}
