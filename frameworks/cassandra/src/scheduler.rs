//! What the service wants: how many nodes, in which order they join, what each is told. The keeper of the SDK does the rest.
//!
//! One node joins at a time, and only while those before it run. A node that has joined is never asked to join again: it comes back to its
//! volume, or waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use holdfast_sdk::model::{CommandInfo, Role};
use holdfast_sdk::net::{self, bail, LedgerFile, Options, Result};
use holdfast_sdk::{Member, Needs, Program, Service};

use crate::marker::Note;
use crate::node::NOTE_VARIABLE;
use crate::seeds::{seeds, Peer, Seeds};
use crate::settings::Settings;

/// What a node may need to end beside the time for which it drains, in milliseconds.
const END_MS: u64 = 10_000;

/// The framework, as the command line describes it.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The masters, as host:port, separated by commas, or zk://host:port,.../path.
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1:5050")]
    pub master: Vec<String>,
    /// How many nodes; each gets an agent and a volume of its own.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub nodes: u32,
    /// Where the scheduler remembers what it was given.
    #[arg(long)]
    pub ledger: PathBuf,
    /// The name of the service, with which the names of its tasks and volumes begin.
    #[arg(long, default_value = "cassandra", value_parser = service_name)]
    pub name: String,
    /// The role that the volumes are reserved for.
    #[arg(long, default_value = "cassandra", value_parser = Role::parse)]
    pub role: Role,
    /// The user that nodes run as, on each agent; without it, whoever starts this.
    #[arg(long)]
    pub user: Option<String>,
    /// This program, where the agents find it.
    #[arg(long, default_value_os_t = std::env::current_exe().unwrap_or_default())]
    pub program: PathBuf,
    /// The settings of the ring.
    #[command(flatten)]
    pub settings: Settings,
}

fn service_name(text: &str) -> Result<String, String> {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '-';
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("use letters, digits and `-`".to_owned()),
    }
}

/// Runs the framework until it is told to stop.
///
/// # Errors
/// When a setting makes no sense or contradicts what the ring was made with, or as [`net::run`].
pub async fn run(arguments: Arguments) -> Result<()> {
    arguments.settings.sizes()?;
    let (file, ledger) = LedgerFile::open(&arguments.ledger, &arguments.name)?;
    let ring = Ring::new(arguments);
    if let Err(why) = ring.may_go_on(ledger.members.values()) {
        bail!("{why}");
    }
    file.close()?;
    let mut options = Options::new(ring.arguments.master.clone(), &ring.arguments.ledger);
    if let Some(user) = &ring.arguments.user {
        options.user.clone_from(user);
    }
    net::run(ring, options).await
}

/// What is known of a member.
#[derive(Clone, Debug)]
struct Known {
    note: Option<Note>,
    is_running: bool,
}

/// The service.
#[derive(Clone, Debug)]
pub struct Ring {
    arguments: Arguments,
    known: BTreeMap<u32, Known>,
}

impl Ring {
    /// Makes the service.
    pub fn new(arguments: Arguments) -> Ring {
        Ring { arguments, known: BTreeMap::new() }
    }

    /// Whether the settings may go with what the ring was made with.
    fn may_go_on<'a>(&self, members: impl Iterator<Item = &'a Member>) -> Result<(), String> {
        let wanted = self.arguments.nodes;
        for member in members {
            let index = member.index;
            if wanted <= index && member.volume.is_some() {
                return Err(format!(
                    "--nodes {wanted}: node {index} has a volume, and its data must be streamed to others first; give --nodes {} or more",
                    index + 1
                ));
            }
            let note = Note::read(&member.note).map_err(|why| {
                format!("what the ledger says of node {index} cannot be read: {why}")
            })?;
            let Some(note) = note else { continue };
            // The rack is its agent's; the node compares it itself.
            let settings = self.arguments.settings.frozen(&note.frozen.rack);
            if let Some((setting, old, new)) = note.frozen.difference(&settings) {
                return Err(format!(
                    "{setting} was `{old}` when node {index} joined and is `{new}` now; it cannot be changed on nodes that have data: set it back"
                ));
            }
        }
        Ok(())
    }

    fn joined(&self) -> Vec<Peer> {
        let peer = |note: &Note| {
            let address = note.address.parse().ok()?;
            Some(Peer { member: note.member, address, rack: note.frozen.rack.clone() })
        };
        self.known.values().filter_map(|it| peer(it.note.as_ref()?)).collect()
    }
}

impl Service for Ring {
    fn name(&self) -> &str {
        &self.arguments.name
    }
    fn role(&self) -> &Role {
        &self.arguments.role
    }
    fn members(&self) -> u32 {
        self.arguments.nodes
    }
    fn needs(&self, _member: u32) -> Needs {
        let settings = &self.arguments.settings;
        Needs {
            cpus: settings.cpus,
            mem_mb: settings.mem_mb,
            disk_mb: settings.disk_mb,
            container_path: settings.volume.clone(),
        }
    }
    fn program(&self, member: &Member) -> Program {
        let program = self.arguments.program.to_string_lossy().into_owned();
        let mut words =
            vec![program.clone(), "node".to_owned(), format!("--member={}", member.index)];
        match seeds(&self.joined(), member.index, !member.note.is_empty()) {
            Seeds::First => words.push("--first".to_owned()),
            Seeds::Of(seeds) => {
                let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
                words.push(format!("--seeds={}", seeds.join(",")));
            }
            // The node refuses to start without, and says so.
            Seeds::Nobody => {}
        }
        let racks: BTreeSet<String> = self.joined().into_iter().map(|it| it.rack).collect();
        words.push(format!("--ring-racks={}", racks.len()));
        words.extend(self.arguments.settings.to_arguments());
        // What cannot be read goes to the node as it is, which refuses it.
        let note = String::from_utf8_lossy(&member.note).into_owned();
        let environment = vec![(NOTE_VARIABLE.to_owned(), note)];
        let command = CommandInfo {
            value: Some(program),
            arguments: words,
            environment,
            ..CommandInfo::default()
        };
        Program { command, executor: true }
    }
    fn may_start(&self, member: &Member) -> bool {
        let is_there =
            |it| self.known.get(&it).is_some_and(|it| it.note.is_some() && it.is_running);
        !member.note.is_empty() || (0..member.index).all(is_there)
    }
    fn end_grace_ms(&self) -> Option<u64> {
        Some(self.arguments.settings.drain_timeout_s * 1000 + END_MS)
    }
    fn learnt(&mut self, member: &Member) {
        let known = Known {
            note: Note::read(&member.note).unwrap_or_default(),
            is_running: member.run.as_ref().is_some_and(|it| it.running),
        };
        self.known.insert(member.index, known);
    }
    /// Who has joined is remembered before anything else happens; what is remembered goes forward only.
    fn heard(&mut self, member: &Member, data: &[u8]) -> Option<Vec<u8>> {
        let said = Note::read(data).ok().flatten().filter(|it| it.member == member.index)?;
        match Note::read(&member.note) {
            Ok(None) => {
                let frozen = &said.frozen;
                tracing::info!(
                    "node {} joined `{}` as host {} at {} in {}/{}",
                    member.index,
                    frozen.cluster_name,
                    said.joined.host_id,
                    said.address,
                    frozen.dc,
                    frozen.rack
                );
                Some(data.to_owned())
            }
            Ok(Some(note)) => note.gives_way_to(&said).then(|| data.to_owned()),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use holdfast_sdk::model::Scalar;

    use super::*;
    use crate::marker::tests::joined_marker;
    use crate::prepare;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[derive(Parser)]
    enum Verb {
        Node(prepare::Arguments),
    }

    fn ring(words: &str) -> Result<Ring, clap::Error> {
        let words = ["x", "--ledger", "/l", "--jars", "/j", "--program", "/p"]
            .into_iter()
            .chain(words.split_whitespace());
        Words::try_parse_from(words).map(|it| Ring::new(it.arguments))
    }

    fn note(member: u32, starts: u64) -> Vec<u8> {
        let address = format!("10.0.0.{}", member + 1);
        joined_marker(member, starts).note(&address).unwrap().to_text().into_bytes()
    }

    fn member(index: u32, note: &[u8]) -> Member {
        let run = holdfast_sdk::MemberTask {
            task: holdfast_sdk::model::TaskId::parse("t").unwrap(),
            running: true,
        };
        Member { note: note.to_vec(), run: Some(run), ..Member::new(index) }
    }

    fn told(ring: &Ring, member: &Member) -> prepare::Arguments {
        let program = ring.program(member);
        let Verb::Node(arguments) = Verb::try_parse_from(program.command.arguments).unwrap();
        arguments
    }

    #[test]
    fn one_node_joins_after_the_other() {
        let mut ring = ring("").unwrap();
        let new: Vec<Member> = (0..3).map(Member::new).collect();
        new.iter().for_each(|it| ring.learnt(it));
        assert_eq!([0, 1, 2].map(|it| ring.may_start(&new[it])), [true, false, false]);
        assert!(told(&ring, &new[0]).first);
        ring.learnt(&member(0, b""));
        assert!(!ring.may_start(&new[1]), "it runs, and has not joined");
        ring.learnt(&member(0, &note(0, 1)));
        assert_eq!([1, 2].map(|it| ring.may_start(&new[it])), [true, false]);
        let first = told(&ring, &new[1]);
        assert_eq!((first.first, first.ring_racks), (false, 1));
        assert_eq!(first.seeds, vec!["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
        ring.learnt(&Member { run: None, ..member(0, &note(0, 1)) });
        assert!(!ring.may_start(&new[1]), "a node does not join while another one is down");
        assert!(ring.may_start(&member(0, &note(0, 1))), "who has joined comes back at any time");
    }

    #[test]
    fn a_node_is_told_what_it_must_find_and_the_same_settings() {
        let mut ring = ring("--cluster-name hf --dc east --rack-attribute rack --heap-mb 200 --set concurrent_reads=3").unwrap();
        let back = member(1, &note(1, 4));
        [&member(0, &note(0, 2)), &back].iter().for_each(|it| ring.learnt(it));
        let program = ring.program(&back);
        assert_eq!(program.command.environment[0].0, NOTE_VARIABLE);
        assert_eq!(program.command.environment[0].1.as_bytes(), note(1, 4));
        assert_eq!(told(&ring, &back).settings, ring.arguments.settings);
        let unreadable = Member { note: b"?".to_vec(), ..Member::new(1) };
        assert_eq!(
            ring.program(&unreadable).command.environment[0].1,
            "?",
            "never taken for nothing"
        );
    }

    #[test]
    fn what_is_remembered_goes_forward_only() {
        let mut ring = ring("").unwrap();
        assert_eq!(ring.heard(&member(0, b""), &note(0, 1)), Some(note(0, 1)));
        assert_eq!(ring.heard(&member(0, &note(0, 1)), &note(0, 2)), Some(note(0, 2)));
        for (old, said) in
            [(note(0, 2), note(0, 1)), (note(0, 1), note(0, 1)), (b"?".to_vec(), note(0, 1))]
        {
            assert_eq!(ring.heard(&member(0, &old), &said), None);
        }
        assert_eq!(ring.heard(&member(0, b""), &note(1, 1)), None, "another member's");
        assert_eq!(ring.heard(&member(0, b""), b"hello"), None);
    }

    #[test]
    fn a_setting_that_is_frozen_and_fewer_nodes_are_refused_at_the_start() {
        let mut placed = member(2, &note(2, 1));
        placed.volume = Some(holdfast_sdk::model::PersistenceId::parse("cassandra-2-1").unwrap());
        let refused = |words: &str, says: &str| {
            let why = ring(words).unwrap().may_go_on([&placed].into_iter()).unwrap_err();
            assert!(why.contains(says), "`{why}` does not say `{says}`");
        };
        assert_eq!(ring("--cluster-name hf").unwrap().may_go_on([&placed].into_iter()), Ok(()));
        refused("--cluster-name other", "cluster_name was `hf` when node 2 joined");
        refused("--cluster-name hf --num-tokens 4", "num_tokens was `16`");
        refused("--cluster-name hf --dc dc2", "dc was `dc1`");
        refused("--cluster-name hf --nodes 2", "give --nodes 3 or more");
        let damaged = member(0, b"?");
        assert!(ring("").unwrap().may_go_on([&damaged].into_iter()).is_err());
    }

    #[test]
    fn wrong_settings_are_named() {
        for (words, name) in [
            ("--role a//b", "--role"),
            ("--cpus NaN", "--cpus"),
            ("--nodes 0", "--nodes"),
            ("--name a/b", "--name"),
        ] {
            assert!(ring(words).err().unwrap().to_string().contains(name), "{words}");
        }
        let needs = ring("--cpus 0.5 --mem-mb 700 --disk-mb 900").unwrap().needs(0);
        assert_eq!((needs.cpus, needs.mem_mb, needs.disk_mb), (Scalar::thousandths(500), 700, 900));
    }
}
