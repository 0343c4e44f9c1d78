//! `cargo xtask services`: real databases and file systems on a real cluster, killed and read back; `cargo xtask services --bounded` for a build machine.
//! `cargo xtask services --bounded hdfs` runs one of them.
//!
//! Relies on Maven and a Java for the engines' jars, on `python3` with `venv` for their drivers, on ZooKeeper from Debian where an engine
//! needs it, and on the stories in `tests/services`.
//! What is fetched is fetched once, into `target/services`, and counts as there only once its stamp is written. Never reads what a
//! story prints: its exit code counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail, Context as _, Result};

use crate::arguments::{Flag, Given, Words};
use crate::process::{cargo, echo, find, output, program, run, watch, End};
use crate::project;
use crate::test::machine;
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "services",
    about: "Run real databases on a real cluster, kill everything in turn, and read back what was acknowledged",
    details: "Builds the binary and the frameworks, fetches the engines' jars by Maven and their drivers by pip (once, into target/services),\n\
              and runs the stories in tests/services, or those that are named: cassandra, hdfs. A story that is bounded leaves out what takes longer.",
    flags: &[Flag { name: "--bounded", value: None, about: "at most three minutes for each, for a build machine" }],
    words: Words::FlagsAndNames,
    run: all,
};

/// A database that is run.
struct Engine {
    name: &'static str,
    /// The description of its jars for Maven, below `tests/services`.
    pom: &'static str,
    /// The variable in which its story finds the jars.
    variable: &'static str,
    story: &'static str,
    /// What else it needs: a file, and the Debian package that has it.
    beside: Option<(&'static str, &'static str)>,
}

const ENGINES: &[Engine] = &[
    Engine {
        name: "cassandra",
        pom: "cassandra-pom.xml",
        variable: "HOLDFAST_CASSANDRA_JARS",
        story: "cassandra_story.py",
        beside: None,
    },
    Engine {
        name: "hdfs",
        pom: "hdfs-pom.xml",
        variable: "HOLDFAST_HDFS_JARS",
        story: "hdfs_story.py",
        beside: Some(("/usr/share/java/zookeeper.jar", "zookeeper")),
    },
];
/// The drivers of all engines, in exactly these versions.
const DRIVERS: &[&str] = &["cassandra-driver==3.30.1"];
/// The Debian packages that fetch and run the jars.
const TOOLS: [&str; 2] = ["maven", "openjdk-17-jre-headless"];
/// A story that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(1800);

fn all(given: &Given) -> Result<bool> {
    let known = || ENGINES.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = given.names.iter().find(|it| ENGINES.iter().all(|known| known.name != **it))
    {
        bail!("there is no service `{name}`; known are {}", known());
    }
    let is_wanted =
        |it: &&Engine| given.names.is_empty() || given.names.iter().any(|name| name == it.name);
    let mut passed = true;
    for engine in ENGINES.iter().filter(is_wanted) {
        passed &= one(engine, given.has("--bounded"))?;
    }
    Ok(passed)
}

fn one(engine: &Engine, bounded: bool) -> Result<bool> {
    // As `cargo xtask test` builds, so that nothing is built again with other features.
    if !run(&mut cargo(&["build", "--quiet", "--workspace", "--bins", "--tests"]))? {
        return Ok(false);
    }
    let had = beside(engine).and_then(|()| Ok((jars(engine)?, python()?)));
    let (jars, python) = match had {
        Ok(had) => had,
        // As with the other tools of tests: what cannot be had is named, and what can be had must pass.
        Err(why) if bounded => {
            println!("{} is left out, since what it needs cannot be had: {why:#}", engine.name);
            return Ok(true);
        }
        Err(why) => return Err(why),
    };
    let scratch = folder().join("scratch").join(engine.name);
    if scratch.exists() {
        fs::remove_dir_all(&scratch)
            .with_context(|| format!("cannot remove the previous {}", scratch.display()))?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let mut story = program(&python);
    story.arg("-u").arg(stories().join(engine.story)).args(bounded.then_some("--bounded"));
    story
        .env("HOLDFAST_BIN", project::target().join("debug"))
        .env("HOLDFAST_SCRATCH", &scratch)
        .env(engine.variable, jars)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    println!("{}: its logs are in {}", engine.name, scratch.display());
    match watch(&mut story, Some(LIMIT), echo)? {
        End::Exit(status) => Ok(status.success()),
        End::TimedOut => bail!("the story of {} took longer than {LIMIT:?}", engine.name),
    }
}

fn folder() -> PathBuf {
    project::target().join("services")
}

fn stories() -> PathBuf {
    project::root().join("tests/services")
}

/// Installs what an engine needs beside its jars, if that is not there yet.
fn beside(engine: &Engine) -> Result<()> {
    let Some((file, package)) = engine.beside.filter(|it| find(it.0).is_none()) else {
        return Ok(());
    };
    machine::debian(&[package]).map_err(|why| {
        anyhow!("{} needs {file}: {why}; try: apt-get install {package}", engine.name)
    })
}

/// The folder of an engine's jars, fetched if they are not there yet.
fn jars(engine: &Engine) -> Result<PathBuf> {
    let folder = folder().join(engine.name);
    let (lib, pom) = (folder.join("lib"), stories().join(engine.pom));
    let content =
        fs::read_to_string(&pom).with_context(|| format!("cannot read {}", pom.display()))?;
    let stamp = folder.join("holdfast.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|it| it == content) {
        return Ok(lib);
    }
    if find("mvn").is_none() || find("java").is_none() {
        machine::debian(&TOOLS).map_err(|why| {
            anyhow!(
                "Maven and a Java 17 are needed for the jars of {}: {why}; try: apt-get install {}",
                engine.name,
                TOOLS.join(" ")
            )
        })?;
    }
    eprintln!("prepare: the jars of {} into {}", engine.name, lib.display());
    begin_anew(&folder)?;
    let destination = format!("-DoutputDirectory={}", lib.display());
    let goal = ["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", &destination];
    output(program("mvn").arg("-f").arg(&pom).args(goal))?;
    fs::write(&stamp, content).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(lib)
}

/// A Python with the engines' drivers, made if it is not there yet.
fn python() -> Result<PathBuf> {
    let venv = folder().join("venv");
    let (python, stamp) = (venv.join("bin/python"), venv.join("holdfast.stamp"));
    let content = DRIVERS.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|it| it == content) {
        return Ok(python);
    }
    eprintln!("prepare: {} into {}", DRIVERS.join(" "), venv.display());
    begin_anew(&venv)?;
    output(program("python3").args(["-m", "venv"]).arg(&venv))
        .context("try: apt-get install python3-venv")?;
    output(program(&python).args(["-m", "pip", "install", "--quiet"]).args(DRIVERS))?;
    fs::write(&stamp, content).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

fn begin_anew(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove the previous {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_has_its_story_and_its_jars() {
        for engine in ENGINES {
            for file in [engine.story, engine.pom] {
                assert!(stories().join(file).is_file(), "{file}");
            }
        }
    }

    #[test]
    fn a_service_that_is_not_there_is_named() {
        let words = ["cassandre".to_owned()];
        let given = Given::sort(VERB.flags, VERB.words, &words).unwrap();
        let error = all(&given).unwrap_err().to_string();
        assert!(error.contains("`cassandre`; known are cassandra, hdfs"), "{error}");
    }
}
