//! The house as rules see it: its text files, packages, and Rust sources with their gates.
//!
//! Relies on [`super::items`] for sources, [`super::manifest`] for manifests and [`super::modules`] for how files hang together. Reads
//! the tree once and never writes; follows no links; leaves out what is built (`target`), git's own folder, and what is not text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::items::Items;
use super::manifest::Manifest;
use super::modules::{self, Standing};

/// What holds nothing anybody wrote; in a second worktree `.git` is a file.
const LEFT_OUT: &[&str] = &[".git", "target", "__pycache__", "node_modules"];

/// Larger files are data, not text that a person reads.
const TEXT_BYTES_MAX: u64 = 2 << 20;

/// The tree, read.
#[derive(Debug)]
pub struct House {
    /// All text files by their path relative to the root, with `/` between.
    pub texts: BTreeMap<String, String>,
    /// Names in the root itself, folders included.
    pub root: Vec<String>,
    /// Packages by folder.
    pub packages: Vec<Package>,
}

/// What kind of place a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `crates/x`.
    Crate,
    /// `frameworks/x`.
    Framework,
    /// `tests`.
    Tests,
}

/// A folder with a manifest.
#[derive(Debug)]
pub struct Package {
    /// Where: `crates/store`.
    pub folder: String,
    /// Which kind.
    pub kind: Kind,
    /// The folder's own name: `store`.
    pub name: String,
    /// Its manifest; `Err` says why it cannot be read.
    pub manifest: Result<Manifest, String>,
    /// Its Rust files.
    pub sources: Vec<Source>,
}

/// A Rust file.
#[derive(Debug)]
pub struct Source {
    /// Relative to the root.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What it declares; nothing, if it cannot be read.
    pub items: Items,
    /// Why it cannot be read.
    pub unreadable: Option<String>,
    /// How it hangs in its package.
    pub standing: Standing,
}

impl House {
    /// Reads the tree under `root`.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn read(root: &Path) -> Result<House> {
        let mut texts = BTreeMap::new();
        walk(root, "", &mut texts)?;
        let mut names = Vec::new();
        for entry in
            fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))?
        {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(House::new(texts, names))
    }

    /// A house of these files and nothing else, to plant an offender in.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> House {
        let texts: BTreeMap<String, String> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let mut root: Vec<String> =
            texts.keys().filter_map(|path| path.split('/').next()).map(str::to_owned).collect();
        root.dedup();
        House::new(texts, root)
    }

    fn new(texts: BTreeMap<String, String>, root: Vec<String>) -> House {
        let mut folders: Vec<(String, Kind)> = Vec::new();
        for path in texts.keys() {
            let parts: Vec<&str> = path.split('/').collect();
            let folder = match parts[..] {
                ["crates", name, _, ..] => (format!("crates/{name}"), Kind::Crate),
                ["frameworks", name, _, ..] => (format!("frameworks/{name}"), Kind::Framework),
                ["tests", _, ..] => (package_above(path, &texts), Kind::Tests),
                _ => continue,
            };
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        let packages = folders
            .iter()
            .map(|(folder, kind)| {
                // What lies in a package within this one is that one's.
                let inner: Vec<String> = folders
                    .iter()
                    .filter(|(other, _)| other.starts_with(&format!("{folder}/")))
                    .map(|(other, _)| format!("{other}/"))
                    .collect();
                package(folder.clone(), *kind, &texts, &inner)
            })
            .collect();
        House { texts, root, packages }
    }

    /// Every Rust file with its package.
    pub fn sources(&self) -> impl Iterator<Item = (&Package, &Source)> {
        self.packages
            .iter()
            .flat_map(|package| package.sources.iter().map(move |source| (package, source)))
    }

    /// How many text files were read.
    pub fn files(&self) -> usize {
        self.texts.len()
    }
}

impl Source {
    /// Whether a line is test code: under `#[cfg(test)]`, in a test function, or in a file that only tests compile.
    pub fn is_test(&self, line: usize) -> bool {
        self.standing.test
            || self.standing.outside
            || self.items.tests.iter().any(|range| range.contains(&line))
    }

    /// Whether a line is compiled only with the feature `net`.
    pub fn is_net(&self, line: usize) -> bool {
        self.standing.net || self.items.nets.iter().any(|range| range.contains(&line))
    }
}

/// The package below `tests` that a file is in: the nearest folder with a manifest, or `tests` itself.
fn package_above(path: &str, texts: &BTreeMap<String, String>) -> String {
    let above = std::iter::successors(path.rsplit_once('/'), |(it, _)| it.rsplit_once('/'));
    let mut folders = above.map(|(folder, _)| folder);
    let found = folders.find(|it| texts.contains_key(&format!("{it}/Cargo.toml")));
    found.unwrap_or("tests").to_owned()
}

/// The package in a folder, without the files of those within it.
fn package(
    folder: String,
    kind: Kind,
    texts: &BTreeMap<String, String>,
    inner: &[String],
) -> Package {
    let name = folder.rsplit('/').next().unwrap_or_default().to_owned();
    let manifest = match texts.get(&format!("{folder}/Cargo.toml")) {
        Some(text) => Manifest::parse(text),
        None => Err("Cargo.toml is missing; every folder here is a package".to_owned()),
    };
    let start = format!("{folder}/");
    let files = texts.iter().filter(|(path, _)| {
        let is_own = path.starts_with(&start) && !inner.iter().any(|it| path.starts_with(it));
        is_own && path.ends_with(".rs")
    });
    let read = |(path, text): (&String, &String)| {
        let (items, unreadable) = match Items::of(text) {
            Ok(items) => (items, None),
            Err(why) => (Items::default(), Some(why)),
        };
        let (path, text, standing) = (path.clone(), text.clone(), Standing::default());
        Source { path, text, items, unreadable, standing }
    };
    let mut sources: Vec<Source> = files.map(read).collect();
    modules::hang(&folder, kind, manifest.as_ref().ok(), &mut sources);
    Package { folder, kind, name, manifest, sources }
}

fn walk(folder: &Path, prefix: &str, texts: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let (name, kind) = (entry.file_name().to_string_lossy().into_owned(), entry.file_type()?);
        let path = format!("{prefix}{name}");
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), texts)?;
        } else if kind.is_file() && entry.metadata()?.len() <= TEXT_BYTES_MAX {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                texts.insert(path, text);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_apart_by_where_they_lie() {
        let house = House::of(&[
            ("Cargo.toml", ""),
            ("crates/README.md", "the map"),
            ("crates/store/Cargo.toml", "[package]\nname = \"holdfast-store\""),
            ("crates/store/src/lib.rs", "//! x"),
            ("frameworks/journal/src/main.rs", "//! x"),
            ("tests/Cargo.toml", "[package]\nname = \"holdfast-tests\""),
            ("tests/src/lib.rs", "//! x"),
            ("tests/odd/Cargo.toml", "[package]\nname = \"holdfast-odd\""),
            ("tests/odd/src/lib.rs", "//! x"),
            ("tests/odd/src/other.rs", "//! x"),
        ]);
        let seen: Vec<_> = house
            .packages
            .iter()
            .map(|it| (it.folder.as_str(), it.kind, it.sources.len(), it.manifest.is_ok()))
            .collect();
        let expected = [
            ("crates/store", Kind::Crate, 1, true),
            ("frameworks/journal", Kind::Framework, 1, false),
            ("tests", Kind::Tests, 1, true),
            ("tests/odd", Kind::Tests, 2, true),
        ];
        assert_eq!(seen, expected);
        assert_eq!(house.root, ["Cargo.toml", "crates", "frameworks", "tests"]);
    }

    #[test]
    fn the_real_tree_is_read_without_what_was_built() {
        let house = House::read(&crate::project::root()).unwrap();
        assert!(house.texts.contains_key("crates/xtask/src/tidy/house.rs"));
        assert!(!house.texts.keys().any(|path| path.starts_with("target/")
            || path == ".git"
            || path.starts_with(".git/")));
    }
}
