//! What is done before Cassandra starts: its directory is looked at and judged, its configuration is made in the sandbox, and the start
//! is counted on the volume.
//!
//! It relies on `admission` for the verdict. It writes the marker and nothing else on the volume, and nothing at all there when the
//! answer is no.

use std::fs;
use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_sdk::net::executor::Welcome;
use holdfast_sdk::net::{bail, ensure, Context, Result};

use crate::admission::{judge, Admitted, Case};
use crate::directory;
use crate::jars::Jars;
use crate::jvm;
use crate::marker::{Marker, Memory};
use crate::settings::{place_name, Settings};
use crate::topology::is_calm;
use crate::yaml;

/// What a rack is called where no attribute says it.
const RACK: &str = "rack1";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a node is told by the scheduler.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The settings of the ring.
    #[command(flatten)]
    pub settings: Settings,
    /// The number of the member.
    #[arg(long)]
    pub member: u32,
    /// Whom it asks about the ring.
    #[arg(long, value_delimiter = ',')]
    pub seeds: Vec<IpAddr>,
    /// In how many racks nodes have joined before it.
    #[arg(long, default_value_t = 0)]
    pub ring_racks: usize,
    /// It is the first node of a cluster that is new, and its own seed.
    #[arg(long, conflicts_with = "seeds")]
    pub first: bool,
    /// The name of its volume.
    #[arg(long, default_value = "", value_name = "VOLUME")]
    pub claim: String,
    /// The address of the node that it replaces.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "first")]
    pub replace: Option<IpAddr>,
}

/// A node that may be started.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its marker, as it is on the volume now.
    pub marker: Marker,
    /// Its volume.
    pub volume: PathBuf,
    /// Its address.
    pub address: IpAddr,
    /// What stands behind `java`.
    pub arguments: Vec<String>,
    /// What stands behind `java` for nodetool, before what it is told.
    pub tool: Vec<String>,
    /// What is done, for people.
    pub words: String,
}

/// Judges and prepares.
///
/// # Errors
/// Why the node is not started, for people.
pub fn prepare(
    arguments: &Arguments,
    note: &[u8],
    welcome: &Welcome,
    sandbox: &Path,
) -> Result<Prepared> {
    let settings = &arguments.settings;
    ensure!(
        settings.allow_root || !is_root()?,
        "Cassandra does not run as root; run the scheduler with --user NAME, or with --allow-root"
    );
    let memory = Memory::read(note).map_err(|why| {
        holdfast_sdk::net::Error::msg(format!(
            "what the scheduler remembers of it cannot be read ({why}); restore its ledger"
        ))
    })?;
    ensure!(
        arguments.first || !arguments.seeds.is_empty() || memory != Memory::Nothing,
        "there is nobody whom it could ask about its ring: no other node has joined; bring one back first"
    );
    let jars = jars(settings)?;
    let sizes = settings.sizes()?;
    let address = address_of(&welcome.hostname)?;
    let frozen = settings.frozen(&rack(settings, welcome)?);
    let volume = sandbox.join(&settings.volume);
    let found = directory::look(&volume)
        .with_context(|| format!("its volume at {} cannot be listed", volume.display()))?;
    let admitted = judge(&Case {
        member: arguments.member,
        wanted: &frozen,
        memory: &memory,
        found: &found,
        release: &jars.release,
        now_ms: now_ms(),
        gc_grace_ms: gc_grace_ms(settings),
    })?;
    is_free(address, settings.storage_port)?;
    is_free(address, settings.native_transport_port)?;
    let mut replaced = None;
    let (mut marker, words) = match admitted {
        Admitted::ToJoin(marker) => {
            replaced = arguments.replace;
            (marker, may_join(arguments, address)?)
        }
        Admitted::Back(marker) => {
            let host = marker.joined.as_ref().map(|it| it.host_id.clone()).unwrap_or_default();
            (marker, format!("it comes back as host {host}"))
        }
    };
    // One that has joined may be its own seed, and is when nobody else is known.
    let seeds = match arguments.seeds.as_slice() {
        [] => vec![address],
        seeds => seeds.to_vec(),
    };
    let node = yaml::Node {
        settings,
        frozen: &frozen,
        address,
        seeds: &seeds,
        volume: &volume,
        sizes: &sizes,
        ring_racks: arguments.ring_racks,
    };
    let conf = sandbox.join("conf");
    configure(&conf, &node).with_context(|| format!("cannot write {}", conf.display()))?;
    marker.starts += 1;
    marker.release = jars.release.to_string();
    marker.write(&volume).context("the marker cannot be written on its volume")?;
    let mut arguments = jvm::arguments(settings, &sizes, &jars, address, &conf, &volume);
    if let Some(old) = replaced {
        // Before the class, which is the last word.
        let option = format!("-Dcassandra.replace_address_first_boot={old}");
        arguments.insert(arguments.len().saturating_sub(1), option);
    }
    let tool = jvm::tool_arguments(settings, &jars, address, &conf, sandbox);
    Ok(Prepared { marker, volume, address, arguments, tool, words })
}

/// Looks whether the ring is calm enough for another node; what is done then, for people.
fn may_join(arguments: &Arguments, address: IpAddr) -> Result<String> {
    if !arguments.first {
        let but: Vec<IpAddr> = std::iter::once(address).chain(arguments.replace).collect();
        is_calm(&arguments.seeds, arguments.settings.native_transport_port, &but)
            .context("it joins once its ring is calm")?;
    }
    Ok(match arguments.replace {
        None => "it joins its ring".to_owned(),
        Some(old) => format!("it joins its ring in the place of the node at {old}"),
    })
}

fn jars(settings: &Settings) -> Result<Jars> {
    Ok(match (&settings.source.distribution, &settings.source.jars) {
        (Some(dir), _) => Jars::of_distribution(dir)?,
        (None, Some(dir)) => Jars::of(dir)?,
        (None, None) => bail!("neither --distribution nor --jars says where Cassandra is"),
    })
}

fn configure(conf: &Path, node: &yaml::Node) -> std::io::Result<()> {
    fs::create_dir_all(conf)?;
    fs::write(conf.join("cassandra.yaml"), yaml::cassandra_yaml(node))?;
    fs::write(conf.join("cassandra-rackdc.properties"), yaml::rackdc_properties(node.frozen))?;
    fs::write(conf.join("logback.xml"), yaml::logback_xml())
}

/// The time, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn gc_grace_ms(settings: &Settings) -> Option<u64> {
    let days = u32::try_from(settings.gc_grace_days).unwrap_or(u32::MAX);
    u64::try_from((DAY * days).as_millis()).ok().filter(|it| 0 < *it)
}

fn rack(settings: &Settings, welcome: &Welcome) -> Result<String> {
    let Some(name) = &settings.rack_attribute else { return Ok(RACK.to_owned()) };
    let rack = welcome.attributes.get(name).with_context(|| {
        format!("agent {} has no attribute `{name}` that is a text; start it with --attributes '{name}:...'", welcome.hostname)
    })?;
    place_name(rack).map_err(|why| {
        holdfast_sdk::net::Error::msg(format!(
            "attribute `{name}` of agent {}: {why}",
            welcome.hostname
        ))
    })
}

/// The address under which the others reach a node: that of its agent.
fn address_of(hostname: &str) -> Result<IpAddr> {
    if let Ok(address) = hostname.parse() {
        return Ok(address);
    }
    let found = (hostname, 0).to_socket_addrs().with_context(|| {
        format!(
            "the agent's name `{hostname}` has no address here; start it with --hostname ADDRESS"
        )
    })?;
    let addresses: Vec<IpAddr> = found.map(|it| it.ip()).collect();
    // Debian gives a machine's own name the address 127.0.1.1.
    let usable = addresses.iter().filter(|it| !it.is_loopback());
    usable.clone().find(|it| it.is_ipv4()).or_else(|| usable.clone().next()).copied().with_context(|| {
        format!("the agent's name `{hostname}` is a loopback address here, which no other machine reaches; start it with --hostname ADDRESS")
    })
}

fn is_free(address: IpAddr, port: u16) -> Result<()> {
    TcpListener::bind((address, port)).map(drop).with_context(|| {
        format!("port {port} of {address} cannot be had: another process has it, or the address is not this machine's")
    })
}

/// Whether this process is root's, as the kernel says.
fn is_root() -> Result<bool> {
    let status =
        fs::read_to_string("/proc/self/status").context("who this process is cannot be read")?;
    let line = status.lines().find_map(|it| it.strip_prefix("Uid:"));
    let effective = line.and_then(|it| it.split_whitespace().nth(1));
    Ok(effective.context("/proc/self/status does not say who this process is")? == "0")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use holdfast_sdk::model::{AgentId, ExecutorId, ExecutorInfo, FrameworkInfo, Role};

    use super::*;

    #[derive(Parser)]
    #[command(args_override_self = true)]
    struct Words {
        #[command(flatten)]
        arguments: Arguments,
    }

    struct Bed {
        sandbox: tempfile::TempDir,
        jars: tempfile::TempDir,
        welcome: Welcome,
        words: Vec<String>,
    }

    impl Bed {
        fn new() -> Bed {
            let (sandbox, jars) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            fs::create_dir(sandbox.path().join("cassandra")).unwrap();
            for name in ["cassandra-all-5.0.9.jar", "jamm-0.4.0.jar"] {
                fs::write(jars.path().join(name), "").unwrap();
            }
            let free = || {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                listener.local_addr().unwrap().port().to_string()
            };
            let words = [
                "x",
                "--member",
                "1",
                "--allow-root",
                "--rack-attribute",
                "rack",
                "--storage-port",
                &free(),
                "--native-transport-port",
                &free(),
                "--jars",
                &jars.path().to_string_lossy(),
            ];
            let words = words.map(str::to_owned).into();
            Bed { sandbox, jars, welcome: welcome(), words }
        }

        fn prepare(&self, more: &[&str], note: &[u8]) -> Result<Prepared> {
            let first = (!more.contains(&"--seeds")).then_some("--first");
            let words = self.words.iter().map(String::as_str).chain(more.iter().copied());
            let words = words.chain(first);
            let arguments = Words::try_parse_from(words).unwrap().arguments;
            prepare(&arguments, note, &self.welcome, self.sandbox.path())
        }

        fn refused(&self, more: &[&str], says: &str) {
            let error = format!("{:#}", self.prepare(more, b"").unwrap_err());
            assert!(error.contains(says), "`{error}` does not say `{says}`");
            let volume = self.sandbox.path().join("cassandra");
            assert_eq!(fs::read_dir(volume).unwrap().count(), 0, "the volume is left alone");
        }
    }

    fn welcome() -> Welcome {
        let executor = ExecutorInfo {
            id: ExecutorId::parse("e").unwrap(),
            kind: None,
            framework: None,
            resources: Vec::new(),
            command: None,
            shutdown_grace_ms: None,
            payload: Default::default(),
        };
        let framework = FrameworkInfo {
            id: None,
            name: "f".to_owned(),
            user: String::new(),
            roles: vec![Role::parse("db").unwrap()],
            failover_timeout_ms: 0,
            checkpoint: true,
            principal: None,
            hostname: None,
            capabilities: Default::default(),
            payload: Default::default(),
            constraints: Default::default(),
        };
        let attributes = BTreeMap::from([("rack".to_owned(), "r1".to_owned())]);
        let agent = AgentId::parse("a").unwrap();
        Welcome { executor, framework, agent, hostname: "127.0.0.1".to_owned(), attributes }
    }

    #[test]
    fn a_node_is_configured_in_its_sandbox_and_each_start_is_counted() {
        let bed = Bed::new();
        let prepared = bed.prepare(&[], b"").unwrap();
        assert_eq!((prepared.marker.starts, prepared.marker.frozen.rack.as_str()), (1, "r1"));
        assert_eq!(bed.prepare(&[], b"").unwrap().marker.starts, 2);
        assert_eq!(Marker::read(&prepared.volume).unwrap().unwrap().starts, 2);
        assert_eq!(fs::read_dir(&prepared.volume).unwrap().count(), 1, "the marker alone");
        let yaml = fs::read_to_string(bed.sandbox.path().join("conf/cassandra.yaml")).unwrap();
        assert!(
            yaml.contains("listen_address: '127.0.0.1'") && yaml.contains("seeds: '127.0.0.1'")
        );
        let place = fs::read_to_string(bed.sandbox.path().join("conf/cassandra-rackdc.properties"));
        assert_eq!(place.unwrap(), "dc=dc1\nrack=r1\n");
        assert!(prepared
            .arguments
            .iter()
            .any(|it| it.starts_with("-javaagent:") && it.contains("jamm")));
    }

    #[test]
    fn an_adopted_node_that_knows_nobody_else_is_its_own_seed_and_an_empty_one_is_refused() {
        let bed = Bed::new();
        let adopted = crate::marker::ADOPTED.as_bytes();
        let volume = bed.sandbox.path().join("cassandra");
        let words = bed.words.iter().map(String::as_str);
        let arguments = Words::try_parse_from(words).unwrap().arguments;
        let prepare = |note: &[u8]| prepare(&arguments, note, &bed.welcome, bed.sandbox.path());
        let error = prepare(adopted).unwrap_err().to_string();
        assert!(error.contains("its volume was adopted"), "{error}");
        assert!(prepare(b"").unwrap_err().to_string().contains("nobody whom it could ask"));
        assert_eq!(fs::read_dir(&volume).unwrap().count(), 0, "the volume is left alone");
        let mut marker = crate::marker::tests::joined_marker(1, 4);
        marker.frozen.cluster_name = "holdfast".to_owned();
        marker.alive_at_ms = now_ms();
        marker.write(&volume).unwrap();
        let table = volume.join("data/system/local-7ad54392bcdd35a684174e047860b377");
        fs::create_dir_all(&table).unwrap();
        fs::write(table.join("nb-1-big-Data.db"), "").unwrap();
        let prepared = prepare(adopted).unwrap();
        assert_eq!(
            (prepared.marker.starts, prepared.words.as_str()),
            (5, "it comes back as host host-1")
        );
        let yaml = fs::read_to_string(bed.sandbox.path().join("conf/cassandra.yaml")).unwrap();
        assert!(yaml.contains("seeds: '127.0.0.1'"), "{yaml}");
    }

    #[test]
    fn what_is_not_as_it_must_be_is_refused_and_nothing_is_written_on_the_volume() {
        let mut bed = Bed::new();
        bed.refused(&["--rack-attribute", "zone"], "has no attribute `zone`");
        bed.refused(&["--mem-mb", "100"], "--mem-mb 100");
        // Nobody listens there at the port that was found to be free.
        bed.refused(
            &["--seeds", "127.0.0.1"],
            "it joins once its ring is calm: none of its seeds answers",
        );
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        bed.refused(&["--native-transport-port", &port], "another process has it");
        bed.welcome.attributes.insert("rack".to_owned(), "a b".to_owned());
        bed.refused(&[], "attribute `rack` of agent 127.0.0.1");
        bed.welcome = Welcome { hostname: "localhost".to_owned(), ..welcome() };
        bed.refused(&[], "is a loopback address here");
        bed.welcome = welcome();
        fs::remove_file(bed.jars.path().join("jamm-0.4.0.jar")).unwrap();
        bed.refused(&[], "no jamm");
    }

    #[test]
    fn a_note_that_cannot_be_read_is_not_taken_for_none() {
        let bed = Bed::new();
        let error = bed.prepare(&[], b"?").unwrap_err().to_string();
        assert!(error.contains("restore its ledger"), "{error}");
        let mut marker = Marker::about_to_join(1, bed.prepare(&[], b"").unwrap().marker.frozen);
        marker.joined = Some(crate::marker::Joined { host_id: "h".to_owned(), tokens: Vec::new() });
        marker.starts = 9;
        let note = marker.note("127.0.0.1", "v-1").unwrap().to_text();
        let error = bed.prepare(&[], note.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("older than what is known of it"), "{error}");
    }
}
