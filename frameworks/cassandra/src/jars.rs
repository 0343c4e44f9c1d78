//! The program: where Cassandra's jars are, and which version they are.
//!
//! It relies on the names of files alone, as they are in a release and in Maven's repository. It never runs anything.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A version of Cassandra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its first two numbers; within them the format on disk does not change.
    series: (u32, u32),
    text: String,
}

impl Release {
    /// Reads `5.0.9` or `5.0-rc1`.
    pub fn parse(text: &str) -> Option<Release> {
        let mut numbers = text.split(['.', '-']);
        let mut number = || numbers.next()?.parse::<u32>().ok();
        Some(Release { series: (number()?, number()?), text: text.to_owned() })
    }

    /// Whether it may be unable to read what `other` wrote.
    pub fn is_before(&self, other: &Release) -> bool {
        self.series < other.series
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Cassandra's jars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jars {
    /// The directory that holds all of them.
    pub dir: PathBuf,
    /// The version of Cassandra.
    pub release: Release,
    /// The agent that measures objects, which Cassandra needs.
    pub jamm: PathBuf,
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum NoJars {
    /// The directory cannot be listed.
    #[error("cannot list {dir}: {source}; --distribution is an unpacked release, --jars a directory of jars, on each agent")]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A jar is missing.
    #[error("{dir} holds no {what}; --distribution is an unpacked release of Apache Cassandra, --jars a directory with all of its jars")]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// What is missing.
        what: &'static str,
    },
}

impl Jars {
    /// Finds the jars of an unpacked release.
    ///
    /// # Errors
    /// When it holds none.
    pub fn of_distribution(dir: &Path) -> Result<Jars, NoJars> {
        Jars::of(&dir.join("lib"))
    }

    /// Finds the jars in a directory that holds them.
    ///
    /// # Errors
    /// When some that are needed are missing.
    pub fn of(dir: &Path) -> Result<Jars, NoJars> {
        let unreadable = |source| NoJars::Unreadable { dir: dir.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let missing = |what| NoJars::Missing { dir: dir.to_owned(), what };
        let version = |start: &'static str| {
            let mut versions =
                names.iter().filter_map(|it| it.strip_prefix(start)?.strip_suffix(".jar"));
            versions.find_map(Release::parse)
        };
        let release = version("apache-cassandra-").or_else(|| version("cassandra-all-"));
        let release = release.ok_or_else(|| missing("apache-cassandra-VERSION.jar"))?;
        let jamm = names.iter().find(|it| it.starts_with("jamm-") && it.ends_with(".jar"));
        let jamm = dir.join(jamm.ok_or_else(|| missing("jamm-VERSION.jar"))?);
        Ok(Jars { dir: dir.to_owned(), release, jamm })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jars(names: &[&str]) -> (tempfile::TempDir, Result<Jars, NoJars>) {
        let dir = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(dir.path().join(name), "").unwrap());
        let found = Jars::of(dir.path());
        (dir, found)
    }

    #[test]
    fn a_release_and_a_folder_of_mavens_are_found() {
        for names in [
            ["apache-cassandra-5.0.9.jar", "jamm-0.4.0.jar"],
            ["cassandra-all-5.0.9.jar", "jamm-0.4.0.jar"],
        ] {
            let (dir, found) = jars(&names);
            let found = found.unwrap();
            assert_eq!(found.release.to_string(), "5.0.9");
            assert_eq!(found.jamm, dir.path().join("jamm-0.4.0.jar"));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (names, what) in [
            (&["jamm-0.4.0.jar"][..], "no apache-cassandra-VERSION.jar"),
            (&["apache-cassandra-clientutil.jar", "jamm-0.4.0.jar"], "no apache-cassandra-"),
            (&["cassandra-all-5.0.9.jar"], "no jamm-VERSION.jar"),
        ] {
            let error = jars(names).1.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        let error = Jars::of_distribution(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/lib"), "{error}");
    }

    #[test]
    fn versions_are_compared_by_what_changes_the_format() {
        let release = |text| Release::parse(text).unwrap();
        assert!(release("4.1.9").is_before(&release("5.0-rc1")));
        assert!(!release("5.0.0").is_before(&release("5.0.9")));
        assert!(release("5.0.9").is_before(&release("5.1.0")));
        for wrong in ["", "5", "five.0", "all-5"] {
            assert_eq!(Release::parse(wrong), None, "{wrong}");
        }
    }
}
