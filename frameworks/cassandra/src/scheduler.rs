//! The scheduler of a ring: the SDK's keeper of pods with the ring's spec and hooks. It is shown and changed by `holdfast service ...`, as any
//! service.
//!
//! It never begins beside a ring that it does not know: a ledger of the former scheduler is refused, and an empty one asks.

use std::net::SocketAddr;
use std::path::PathBuf;

use holdfast_sdk::model::Role;
use holdfast_sdk::net::{self, bail, LedgerFile, Result, ServiceOptions};
use holdfast_sdk::pods::Lost;

use crate::hooks::{thawed, Ring};
use crate::settings::Settings;
use crate::spec::{service_spec, Frame};
use crate::watch::{look, Watch};

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
    /// How it is reached, and what it does without its ledger.
    #[command(flatten)]
    pub place: Place,
    /// The settings of the ring.
    #[command(flatten)]
    pub settings: Settings,
}

/// How the scheduler is reached, and what it does when its ledger is empty and there are volumes of its name.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The address on which it serves its pages, for `holdfast service ...`; with port 0 any free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// HOST:PORT of its pages as others see it, where that is not what it listens on.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// The ledger was lost: take the volumes that bear the service's name as its own. The markers on them say which nodes they are.
    #[arg(long, conflicts_with = "new")]
    pub adopt: bool,
    /// Begin another ring, beside the volumes that bear the service's name.
    #[arg(long)]
    pub new: bool,
}

impl Place {
    fn lost(&self) -> Lost {
        match (self.adopt, self.new) {
            (true, _) => Lost::Adopt,
            (false, true) => Lost::New,
            (false, false) => Lost::Ask,
        }
    }
}

fn service_name(text: &str) -> Result<String, String> {
    let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    match text.starts_with(|it: char| it.is_ascii_lowercase()) && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("use lower-case letters, digits and `-`, and begin with a letter".to_owned()),
    }
}

/// Runs the framework until it is told to stop.
///
/// # Errors
/// When a setting makes no sense or contradicts what the ring was made with, or as [`net::run_service`].
pub async fn run(arguments: Arguments) -> Result<()> {
    let settings = &arguments.settings;
    settings.sizes()?;
    let (file, ledger) = LedgerFile::open(&arguments.ledger, &arguments.name)?;
    let frozen = ledger.service.members.values().find_map(|it| thawed(settings, it));
    file.close()?;
    if let Some(why) = frozen {
        bail!("{why}: set it back");
    }
    let spec = arguments.frame().map(|it| service_spec(&it, settings))?;
    if let Err(wrong) = spec.check() {
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        bail!("{}", wrong.join("\n"));
    }
    let mut options = ServiceOptions::new(arguments.master, arguments.ledger);
    if let Some(user) = arguments.user {
        options.user = user;
    }
    options.lost = arguments.place.lost();
    (options.listen, options.advertise) = (arguments.place.listen, arguments.place.advertise);
    let ring = Ring::new(Watch::start(options.news.clone(), look));
    net::run_service(spec, ring, options).await
}

impl Arguments {
    fn frame(&self) -> Result<Frame> {
        let Some(program) = self.program.to_str() else {
            bail!(
                "--program {}: agents are told it as text; give it another name",
                self.program.display()
            );
        };
        Ok(Frame {
            name: self.name.clone(),
            role: self.role.clone(),
            user: self.user.clone(),
            nodes: self.nodes,
            program: program.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use holdfast_sdk::model::Scalar;
    use holdfast_sdk::KeeperChange;

    use super::*;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(words: &str) -> Result<Arguments, clap::Error> {
        let given = ["x", "--ledger", "/l", "--jars", "/j", "--program", "/p"];
        let words = given.into_iter().chain(words.split_whitespace());
        Words::try_parse_from(words).map(|it| it.arguments)
    }

    #[test]
    fn wrong_settings_are_named() {
        for (words, name) in [
            ("--role a//b", "--role"),
            ("--cpus NaN", "--cpus"),
            ("--nodes 0", "--nodes"),
            ("--name a/b", "--name"),
            ("--name Ring", "--name"),
            ("--adopt --new", "--new"),
        ] {
            assert!(arguments(words).unwrap_err().to_string().contains(name), "{words}");
        }
        let given = arguments("--cpus 0.5 --mem-mb 700 --disk-mb 900").unwrap();
        let pod = service_spec(&given.frame().unwrap(), &given.settings).pods.remove(0);
        let task = &pod.tasks[0];
        assert_eq!((task.cpus, task.mem_mb), (Scalar::thousandths(500), 700));
        assert_eq!(pod.volumes[0].size_mb, 900);
        assert_eq!(arguments("--new").unwrap().place.lost(), Lost::New);
    }

    #[test]
    fn the_ledger_of_the_former_scheduler_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = LedgerFile::open(dir.path(), "cassandra").unwrap();
        file.commit(&[KeeperChange::Member(holdfast_sdk::Member::new(0))]).unwrap();
        file.close().unwrap();
        let given = Arguments { ledger: dir.path().to_owned(), ..arguments("").unwrap() };
        let why = net::block_on(run(given)).unwrap_err().to_string();
        assert!(why.contains("go on with the program that wrote it"), "{why}");
    }
}
