//! What is done before a member's program starts: its volumes are looked at and judged, its configuration is made in the sandbox, a file
//! system is formatted or copied where the law says so, and the start is counted on the volumes.
//!
//! It relies on `law` for the verdict. When the answer is no, nothing on a volume is changed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_sdk::net::{bail, ensure, Context, Result};

use crate::config::{of_member, xml, EXCLUDED};
use crate::identity::{Identity, Kind, Version};
use crate::jmx;
use crate::jvm::{arguments, Program};
use crate::law::{judge, Admitted, Case};
use crate::log_tail::LogTail;
use crate::looks::Look;
use crate::marker::{Marker, Stage};
use crate::order::Order;
use crate::settings::{NodeSettings, CONTROLLER_HEAP_MB};
use crate::volumes::{begin_journal, look, Found};

/// The pause between two looks at a program that runs to its end.
const PAUSE: Duration = Duration::from_millis(50);
/// What `-formatZK` ends with when that was done before.
const FORMATTED_BEFORE: i32 = 2;
/// Folders that Hadoop's web servers must find; a release has pages in them, its jars alone have none.
const PAGES: [&str; 5] = ["datanode", "hdfs", "journal", "secondary", "static"];
/// How Hadoop logs; `log_tail` reads it.
const LOG: &str = "log4j.rootLogger=INFO,c\nlog4j.appender.c=org.apache.log4j.ConsoleAppender\nlog4j.appender.c.target=System.out\n\
    log4j.appender.c.layout=org.apache.log4j.PatternLayout\nlog4j.appender.c.layout.ConversionPattern=%d{HH:mm:ss,SSS} %p %c{1}: %m%n\n";

/// A member whose program may be started.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The markers on its volumes, as they are now.
    pub markers: Vec<Marker>,
    /// Where its volumes are.
    pub volumes: Vec<PathBuf>,
    /// What is done, for people.
    pub words: String,
}

/// A preparation.
struct Preparation<'a> {
    order: &'a Order,
    sandbox: &'a Path,
    volumes: Vec<PathBuf>,
    /// Set when the member shall not be started any more.
    is_over: &'a AtomicBool,
}

/// Judges and prepares.
///
/// # Errors
/// Why the member is not started, for people.
pub fn prepare(order: &Order, sandbox: &Path, is_over: &AtomicBool) -> Result<Prepared> {
    ensure!(
        order.settings.allow_root || !is_root()?,
        "members do not run as root; run the scheduler with --user NAME, or with --allow-root"
    );
    let volumes: Vec<PathBuf> = order.volumes.iter().map(|it| sandbox.join(&it.path)).collect();
    let look = |it: &PathBuf| {
        look(&order.who, it)
            .with_context(|| format!("its volume at {} cannot be listed", it.display()))
    };
    let found = volumes.iter().map(look).collect::<Result<Vec<Found>>>()?;
    let admitted = judge(&Case {
        who: &order.who,
        volumes: &order.volume_ids(),
        identity: order.known.identity.as_ref(),
        note: order.known.note.as_ref(),
        may_format: order.known.may_format,
        may_fill: order.known.fill.is_some(),
        found: &found,
    })?;
    let it = Preparation { order, sandbox, volumes, is_over };
    let (markers, words) = match admitted {
        Admitted::Goes => it.goes(&found)?,
        Admitted::New => it.begins(&found)?,
        Admitted::Bootstraps => it.bootstraps(&found)?,
        Admitted::Fills => it.fills(&found)?,
        Admitted::Formats(cluster) => it.formats(&found, cluster)?,
    };
    Ok(Prepared { markers, volumes: it.volumes, words })
}

impl Preparation<'_> {
    /// It goes on with what it has.
    fn goes(&self, found: &[Found]) -> Result<(Vec<Marker>, String)> {
        let cluster = self.order.known.identity.as_ref().map(|it| it.cluster.clone());
        let marked = found.iter().find_map(|it| it.marker.as_ref().ok()?.as_ref()?.identity());
        let cluster = cluster.or_else(|| marked.map(|it| it.cluster.clone()));
        self.configure(cluster.as_deref())?;
        let markers = self.mark(found, |it| match &it.marker {
            Ok(Some(marker)) if marker.identity().is_some() => marker.stage.clone(),
            _ => Stage::Whole(self.identity_of(it)),
        })?;
        Ok((markers, "it goes on with what is on its volumes".to_owned()))
    }

    /// It has nothing yet.
    fn begins(&self, found: &[Found]) -> Result<(Vec<Marker>, String)> {
        self.configure(None)?;
        Ok((self.mark(found, |_| Stage::Begun)?, "its volumes are new".to_owned()))
    }

    /// Copies the other name node's metadata.
    fn bootstraps(&self, found: &[Found]) -> Result<(Vec<Marker>, String)> {
        let identity = self.order.known.identity.as_ref().context("no file system is known")?;
        self.configure(Some(&identity.cluster))?;
        self.mark(found, |_| Stage::Begun)?;
        let words = ["-bootstrapStandby", "-nonInteractive", "-force"];
        self.run("bootstrap.log", Program::NameNode, &words, &[0])
            .context("the other name node's metadata cannot be copied")?;
        let markers = self.take_up(Some(identity))?;
        Ok((markers, format!("it has copied the file system {}", identity.cluster)))
    }

    /// Begins the journal of a journal node that takes a lost one's place; it copies the edits itself.
    fn fills(&self, found: &[Found]) -> Result<(Vec<Marker>, String)> {
        let known = &self.order.known;
        let fill = known.fill.as_ref().context("nobody has said what the others have")?;
        let identity = known.identity.as_ref().context("no file system is known")?;
        let version = Version::parse(&fill.version).map_err(holdfast_sdk::net::Error::msg)?;
        if let Some((what, is, wanted)) = version.identity.contradiction(identity) {
            bail!("the other journal nodes have {what} `{is}`, and not `{wanted}`");
        }
        self.configure(Some(&identity.cluster))?;
        let markers = self.mark(found, |_| Stage::Begun)?;
        for volume in &self.volumes {
            begin_journal(&self.order.who, volume, fill)
                .with_context(|| format!("its journal at {} cannot begin", volume.display()))?;
        }
        Ok((markers, "its journal begins anew, and the edits are copied from the others".into()))
    }

    /// Formats a new file system, once no journal node has another one.
    fn formats(&self, found: &[Found], begun: Option<String>) -> Result<(Vec<Marker>, String)> {
        self.journals_are_new(begun.as_deref())?;
        let cluster = match &begun {
            Some(cluster) => cluster.clone(),
            None => format!("CID-{}", new_uuid()?),
        };
        self.configure(Some(&cluster))?;
        self.mark(found, |_| Stage::Formatting(cluster.clone()))?;
        let mut words = vec!["-format", "-nonInteractive", "-clusterId", &cluster];
        // Whatever an interrupted attempt left bears this clusterID, and no name node ever started on it.
        words.extend(begun.as_ref().map(|_| "-force"));
        self.run("format.log", Program::NameNode, &words, &[0])
            .context("the file system cannot be formatted")?;
        let words = ["-formatZK", "-nonInteractive"];
        self.run("format-zk.log", Program::FailoverController, &words, &[0, FORMATTED_BEFORE])
            .context("its place in ZooKeeper cannot be made")?;
        let markers = self.take_up(None)?;
        Ok((markers, format!("it has formatted the file system {cluster}")))
    }

    /// Whether each journal node says that it has no journal, or that of the attempt that is repeated.
    fn journals_are_new(&self, begun: Option<&str>) -> Result<()> {
        for peer in &self.order.journals {
            let name = format!("journal-{}", peer.member);
            let seen = jmx::look(Kind::Journal, &self.order.who.service, peer).with_context(|| {
                format!("nothing is formatted before all journal nodes say that they are new, and {name} does not say")
            })?;
            let Look::Journal(seen) = seen else { bail!("{name} is no journal node") };
            let is_own = begun.is_some_and(|it| seen.clusters.iter().all(|has| has == it));
            ensure!(
                !seen.is_formatted || is_own,
                "{name} has the edits of a file system {}, which the scheduler's ledger does not know: nothing is formatted; bring back the ledger, or a name node's volume",
                seen.clusters.join(", ")
            );
        }
        Ok(())
    }

    /// Writes the configuration into the sandbox.
    fn configure(&self, cluster: Option<&str>) -> Result<()> {
        let conf = self.sandbox.join("conf");
        for page in PAGES {
            let folder = conf.join("webapps").join(page).join("WEB-INF");
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            fs::write(folder.join("web.xml"), "<web-app/>\n")?;
        }
        let config = of_member(self.order, cluster, self.sandbox);
        excluded(self.sandbox, &self.order.known.leaving)?;
        for (name, text) in [
            ("core-site.xml", xml(&config.core)),
            ("hdfs-site.xml", xml(&config.hdfs)),
            ("log4j.properties", LOG.to_owned()),
        ] {
            fs::write(conf.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        Ok(())
    }

    /// Writes the markers of all volumes, each of which is started once more.
    fn mark(&self, found: &[Found], stage: impl Fn(&Found) -> Stage) -> Result<Vec<Marker>> {
        let mut markers = Vec::new();
        for (place, (found, volume)) in found.iter().zip(&self.volumes).enumerate() {
            let was = found.marker.as_ref().ok().and_then(Option::as_ref);
            let mut marker = Marker::new(&self.order.who, place, stage(found));
            marker.starts = was.map_or(0, |it| it.starts) + 1;
            marker.data_node = ids(found).or_else(|| was?.data_node.clone());
            write(&marker, volume)?;
            markers.push(marker);
        }
        Ok(markers)
    }

    /// Marks volumes that Hadoop has just made whole.
    fn take_up(&self, identity: Option<&Identity>) -> Result<Vec<Marker>> {
        let mut markers = Vec::new();
        for volume in &self.volumes {
            let found = look(&self.order.who, volume)?;
            let version = found.version.clone().map_err(holdfast_sdk::net::Error::msg)?;
            let version = version.context("Hadoop has written no file VERSION")?;
            if let Some((what, is, wanted)) =
                identity.and_then(|it| version.identity.contradiction(it))
            {
                bail!("Hadoop has written {what} `{is}`, and not `{wanted}`");
            }
            let was = found.marker.clone().map_err(holdfast_sdk::net::Error::msg)?;
            let was = was.context("the marker is gone")?;
            let marker = Marker { stage: Stage::Whole(version.identity), ..was };
            write(&marker, volume)?;
            markers.push(marker);
        }
        Ok(markers)
    }

    /// The file system of a volume on which Hadoop has written whose it is.
    fn identity_of(&self, found: &Found) -> Identity {
        let version = found.version.as_ref().ok().and_then(Option::as_ref);
        let written = version.map(|it| it.identity.clone());
        let known = self.order.known.identity.clone();
        known.or(written).expect("the law lets nobody go on whose file system is not known")
    }

    /// Runs a program of Hadoop's to its end.
    fn run(&self, log: &str, program: Program, rest: &[&str], well: &[i32]) -> Result<()> {
        let at = Running { settings: &self.order.settings, sandbox: self.sandbox, log };
        at.run(program, rest, well, self.is_over)
    }
}

/// Where a program of Hadoop's is run to its end.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// How.
    pub settings: &'a NodeSettings,
    /// Where.
    pub sandbox: &'a Path,
    /// The name of the file that has what it writes.
    pub log: &'a str,
}

impl Running<'_> {
    /// Runs it to its end, or ends it once that is wanted.
    ///
    /// # Errors
    /// What it said last, when it ends with none of the numbers that are well.
    pub fn run(
        &self,
        program: Program,
        rest: &[&str],
        well: &[i32],
        is_over: &AtomicBool,
    ) -> Result<()> {
        let settings = self.settings;
        let heap_mb = match program {
            Program::FailoverController | Program::Admin => CONTROLLER_HEAP_MB,
            _ => settings.heap_mb,
        };
        let path = self.sandbox.join(self.log);
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut child = Command::new(&settings.java)
            .args(arguments(settings, program, heap_mb, self.sandbox, rest))
            .current_dir(self.sandbox)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{} does not start", settings.java.display()))?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if is_over.load(Ordering::Relaxed) {
                child.kill()?;
                child.wait()?;
                bail!("it was stopped");
            }
            // tidy: sleep is the point: a program is waited for that may have to be stopped before its end
            std::thread::sleep(PAUSE);
        };
        if status.code().is_some_and(|it| well.contains(&it)) {
            return Ok(());
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let words = LogTail::of(&text).or_else(|| text.lines().last().map(str::to_owned));
        bail!("{} ended with {status}: {}", rest[0], words.unwrap_or_default())
    }
}

/// Writes which data nodes a name node shall have no more, one on a line.
///
/// # Errors
/// When it cannot be written.
pub fn excluded(sandbox: &Path, lines: &[String]) -> Result<()> {
    let text: String = lines.iter().map(|it| format!("{it}\n")).collect();
    let path = sandbox.join(EXCLUDED);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The ids of a data node and its storage, as Hadoop has written them.
pub fn ids(found: &Found) -> Option<(String, String)> {
    let version = found.version.as_ref().ok()?.as_ref()?;
    version.data_node.clone().zip(version.storage.clone())
}

fn write(marker: &Marker, volume: &Path) -> Result<()> {
    marker
        .write(volume)
        .with_context(|| format!("the marker on {} cannot be written", volume.display()))
}

fn new_uuid() -> Result<String> {
    let path = "/proc/sys/kernel/random/uuid";
    Ok(fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?.trim().to_owned())
}

/// Whether this runs as root: who owns our own entry under /proc.
fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata("/proc/self").context("cannot read /proc/self")?.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::identity;
    use crate::order::tests::order;
    use crate::order::Fill;

    /// An order for a member whose Java is a script.
    fn scripted(kind: Kind, dir: &Path, script: &str) -> Order {
        use std::os::unix::fs::PermissionsExt as _;
        let mut order = order(kind, 0);
        let java = dir.join("java");
        fs::write(&java, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).unwrap();
        (order.settings.java, order.settings.allow_root) = (java, true);
        fs::create_dir(dir.join(kind.name())).unwrap();
        order
    }

    fn prepared(order: &Order, dir: &Path) -> Result<Prepared> {
        prepare(order, dir, &AtomicBool::new(false))
    }

    #[test]
    fn a_lost_name_node_copies_the_other_and_an_interrupted_copy_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let copy = "mkdir -p name/name/current; echo \"$*\" >>told; printf 'clusterID=c\\nnamespaceID=7\\nblockpoolID=BP-1\\n' >name/name/current/VERSION; test ! -e broken";
        let mut order = scripted(Kind::Name, dir.path(), copy);
        order.known.identity = Some(identity("c"));
        fs::write(dir.path().join("broken"), "").unwrap();
        let why = format!("{:#}", prepared(&order, dir.path()).unwrap_err());
        assert!(why.contains("cannot be copied"), "{why}");
        assert_eq!(Marker::read(&dir.path().join("name")).unwrap().unwrap().stage, Stage::Begun);
        fs::remove_file(dir.path().join("broken")).unwrap();
        let it = prepared(&order, dir.path()).unwrap();
        assert_eq!(it.markers[0].stage, Stage::Whole(identity("c")));
        assert_eq!(it.markers[0].starts, 2);
        assert_eq!(prepared(&order, dir.path()).unwrap().markers[0].starts, 3, "it goes on");
        let told = fs::read_to_string(dir.path().join("told")).unwrap();
        assert_eq!(told.matches("-bootstrapStandby").count(), 2, "and copies nothing again");
        let conf = fs::read_to_string(dir.path().join("conf/core-site.xml")).unwrap();
        assert!(conf.contains("/files/c<"), "{conf}");
    }

    #[test]
    fn a_journal_that_takes_a_lost_ones_place_begins_as_the_others_are_and_of_no_other_file_system()
    {
        let dir = tempfile::tempdir().unwrap();
        let mut order = scripted(Kind::Journal, dir.path(), "");
        order.known.identity = Some(identity("c"));
        let why = prepared(&order, dir.path()).unwrap_err().to_string();
        assert!(why.contains("replace the member"), "{why}");
        let fill = |cluster: &str| Fill {
            version: format!("namespaceID=7\nclusterID={cluster}\n"),
            promised: 2,
        };
        order.known.fill = Some(fill("d"));
        let why = prepared(&order, dir.path()).unwrap_err().to_string();
        assert!(why.contains("clusterID `d`"), "{why}");
        assert_eq!(Marker::read(&dir.path().join("journal")), Ok(None), "nothing was written");
        order.known.fill = Some(fill("c"));
        let it = prepared(&order, dir.path()).unwrap();
        assert_eq!(it.markers[0].stage, Stage::Begun);
        let again = prepared(&order, dir.path()).unwrap();
        assert_eq!(again.markers[0].stage, Stage::Whole(identity("c")), "it goes on");
        let current = dir.path().join("journal/journal/files/current");
        assert_eq!(fs::read_to_string(current.join("last-promised-epoch")).unwrap(), "2\n");
    }

    #[test]
    fn nothing_is_formatted_while_a_journal_node_does_not_say_that_it_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let mut order = scripted(Kind::Name, dir.path(), "touch formatted");
        order.known.may_format = true;
        order.journals.iter_mut().for_each(|it| it.host = "127.0.0.1".to_owned());
        order.journals.iter_mut().for_each(|it| it.ports.clear());
        let why = format!("{:#}", prepared(&order, dir.path()).unwrap_err());
        assert!(why.contains("journal-0 does not say"), "{why}");
        assert_eq!(
            fs::read_dir(dir.path().join("name")).unwrap().count(),
            0,
            "nothing was written"
        );
        assert!(!dir.path().join("formatted").exists());
    }

    #[test]
    fn whoever_is_refused_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let mut order = scripted(Kind::Data, dir.path(), "");
        fs::write(dir.path().join("data/photo"), "x").unwrap();
        order.known.identity = Some(identity("c"));
        let why = prepared(&order, dir.path()).unwrap_err().to_string();
        assert!(why.contains("has photo and no marker"), "{why}");
        assert_eq!(fs::read_dir(dir.path().join("data")).unwrap().count(), 1);
        fs::remove_file(dir.path().join("data/photo")).unwrap();
        let it = prepared(&order, dir.path()).unwrap();
        assert_eq!((it.markers[0].stage.clone(), it.markers[0].starts), (Stage::Begun, 1));
        assert!(dir.path().join("conf/hdfs-site.xml").is_file());
    }

    #[test]
    fn a_preparation_that_is_stopped_ends() {
        let dir = tempfile::tempdir().unwrap();
        let mut order = scripted(Kind::Name, dir.path(), "exec sleep 600");
        order.known.identity = Some(identity("c"));
        let why = prepare(&order, dir.path(), &AtomicBool::new(true)).unwrap_err();
        assert!(format!("{why:#}").contains("it was stopped"), "{why:#}");
    }
}
