//! How files hang together: which `mod` leads to which file, and what gates it. And the rule that each file is compiled.
//!
//! Relies on the modules that [`super::items`] found and on cargo's conventions for where targets lie. Never follows `include!`.

use std::collections::BTreeMap;

use super::gates::Gate;
use super::house::{House, Kind, Source};
use super::items::Module;
use super::manifest::Manifest;
use super::Complaint;

/// How a file hangs in its package.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether cargo or a `mod` leads here.
    pub reached: bool,
    /// Compiled only for tests, by a `cfg`.
    pub test: bool,
    /// Compiled only with the feature `net`.
    pub net: bool,
    /// Never part of what is shipped: an integration test, a bench, an example.
    pub outside: bool,
}

/// Gives each source its standing, starting at the package's targets and following `mod`.
pub fn hang(folder: &str, kind: Kind, manifest: Option<&Manifest>, sources: &mut [Source]) {
    let index: BTreeMap<String, usize> =
        sources.iter().enumerate().map(|(at, source)| (source.path.clone(), at)).collect();
    let mut open: Vec<(usize, Standing, bool)> = Vec::new();
    for (path, &at) in &index {
        let inner = path[folder.len() + 1..].to_owned();
        let named = manifest.is_some_and(|manifest| manifest.targets.contains(&inner));
        if named || is_target(&inner) {
            let outside = kind == Kind::Tests
                || ["tests/", "benches/", "examples/"].iter().any(|start| inner.starts_with(start));
            open.push((at, Standing { reached: true, outside, ..Standing::default() }, true));
        }
    }
    while let Some((at, mut standing, is_root)) = open.pop() {
        if sources[at].standing.reached {
            continue;
        }
        let own = sources[at].items.gate;
        standing = under(standing, own);
        sources[at].standing = standing;
        let modules = sources[at].items.modules.clone();
        for module in modules.iter().filter(|module| !module.inline) {
            let found = places(&sources[at].path, is_root, module)
                .into_iter()
                .find_map(|place| index.get(&place));
            if let Some(&child) = found {
                open.push((child, under(standing, module.gate), false));
            }
        }
    }
}

/// Each Rust file is compiled: one that no `mod` leads to rots unseen.
pub fn check(house: &House) -> Vec<Complaint> {
    let lost = house.sources().filter(|(_, source)| !source.standing.reached);
    lost.map(|(_, source)| {
        Complaint::at(
            &source.path,
            0,
            "no `mod` leads here, so it is never compiled; declare it or delete it",
        )
    })
    .collect()
}

fn under(standing: Standing, gate: Gate) -> Standing {
    Standing { test: standing.test || gate.test, net: standing.net || gate.net, ..standing }
}

/// Whether cargo itself finds a file as a target, by its place in the package.
fn is_target(inner: &str) -> bool {
    let parts: Vec<&str> = inner.split('/').collect();
    let by_itself = matches!(parts[..], ["build.rs"] | ["src", "lib.rs" | "main.rs"]);
    by_itself || matches!(parts[..], ["src", "bin", _] | ["src", "bin", _, "main.rs"]) || {
        let (folder, rest) = (parts[0], &parts[1..]);
        ["tests", "benches", "examples"].contains(&folder) && matches!(rest, [_] | [_, "main.rs"])
    }
}

/// Where the file of a module may lie.
fn places(from: &str, is_root: bool, module: &Module) -> Vec<String> {
    let (folder, file) = from.rsplit_once('/').unwrap_or(("", from));
    let stem = file.trim_end_matches(".rs");
    let mut base = match is_root || stem == "mod" {
        true => folder.to_owned(),
        false => format!("{folder}/{stem}"),
    };
    for name in &module.within {
        base = format!("{base}/{name}");
    }
    match &module.file {
        Some(file) if module.within.is_empty() => vec![format!("{folder}/{file}")],
        Some(file) => vec![format!("{base}/{file}")],
        None => {
            vec![format!("{base}/{}.rs", module.name), format!("{base}/{}/mod.rs", module.name)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "[package]\nname = \"holdfast-x\"\n[[bin]]\nname = \"odd\"\npath = \"odd/start.rs\"";

    fn standing(house: &House, path: &str) -> Standing {
        house.sources().find(|(_, source)| source.path == path).unwrap().1.standing
    }

    #[test]
    fn files_are_reached_the_way_rustc_reaches_them() {
        let house = House::of(&[
            ("crates/x/Cargo.toml", MANIFEST),
            ("crates/x/odd/start.rs", "mod near;"),
            ("crates/x/odd/near.rs", ""),
            ("crates/x/build.rs", ""),
            ("crates/x/src/lib.rs", "mod a; mod b { mod c; } #[path = \"far.rs\"] mod d;"),
            ("crates/x/src/a.rs", "mod deep;"),
            ("crates/x/src/a/deep.rs", ""),
            ("crates/x/src/b/c/mod.rs", "mod e;"),
            ("crates/x/src/b/c/e.rs", ""),
            ("crates/x/src/far.rs", ""),
            ("crates/x/src/lost.rs", ""),
            ("crates/x/src/bin/tool.rs", ""),
            ("crates/x/tests/outer.rs", "mod kit;"),
            ("crates/x/tests/kit/mod.rs", ""),
        ]);
        let lost: Vec<_> = check(&house).into_iter().map(|complaint| complaint.path).collect();
        assert_eq!(lost, ["crates/x/src/lost.rs"]);
        assert!(standing(&house, "crates/x/tests/kit/mod.rs").outside);
        assert!(!standing(&house, "crates/x/src/a/deep.rs").outside);
    }

    #[test]
    fn gates_reach_down() {
        let house = House::of(&[
            ("crates/x/Cargo.toml", MANIFEST),
            ("crates/x/src/lib.rs", "#[cfg(test)] mod tests; #[cfg(feature = \"net\")] pub mod net; #[cfg(test)] mod inline { mod kit; }"),
            ("crates/x/src/tests.rs", "mod inner;"),
            ("crates/x/src/tests/inner.rs", ""),
            ("crates/x/src/net.rs", "mod session;"),
            ("crates/x/src/net/session.rs", ""),
            ("crates/x/src/inline/kit.rs", ""),
        ]);
        assert!(check(&house).is_empty());
        assert!(standing(&house, "crates/x/src/tests/inner.rs").test);
        assert!(standing(&house, "crates/x/src/inline/kit.rs").test);
        let session = standing(&house, "crates/x/src/net/session.rs");
        assert!(session.net && !session.test);
    }
}
