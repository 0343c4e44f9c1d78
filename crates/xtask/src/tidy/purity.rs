//! Cores are functions of their inputs: no clock, chance, file, thread, network, async, or order that differs from run to run.
//!
//! Relies on paths as written. Never judges test code, nor what only the SDK's feature `net` compiles; clippy's `disallowed-types` sees
//! through renamed imports where this rule does not.

use super::house::{House, Kind, Package, Source};
use super::paths::PathUse;
use super::Complaint;

/// The pure crates.
pub const PURE: &[&str] = &["model", "allocator", "master", "agent", "api", "sim", "sdk"];

/// Files of pure crates that start them: the simulator's command line, and the storm that catches a panic on its thread.
const STARTERS: &[&str] =
    &["crates/sim/src/main.rs", "crates/sim/src/cli", "crates/sim/src/storm.rs"];

/// What a path may not begin with, and what to do instead.
const OUTSIDE: &[(&[&str], &str)] = &[
    (&["std", "fs"], "the shell reads and writes"),
    (&["std", "net"], "the shell talks"),
    (&["std", "thread"], "the shell runs"),
    (&["std", "process"], "the shell starts and ends"),
    (&["std", "env"], "settings come in with the input"),
    (&["std", "sync", "mpsc"], "a core returns effects"),
    (&["tokio"], "the shell is async, a core is not"),
    (&["async_trait"], "the shell is async, a core is not"),
    (&["futures"], "the shell is async, a core is not"),
    (&["rand"], "chance comes in with the input"),
    (&["getrandom"], "chance comes in with the input"),
];

/// Names that no path may hold.
const NAMES: &[(&str, &str)] = &[
    ("SystemTime", "time comes in with the input"),
    ("HashMap", "its order differs from run to run; use BTreeMap"),
    ("HashSet", "its order differs from run to run; use BTreeSet"),
    ("RandomState", "its order differs from run to run"),
    ("new_v4", "random ids come in with the input"),
    ("now_v7", "random ids come in with the input"),
    ("async", "the shell is async, a core is not"),
];

/// No pure crate touches the world.
pub fn check(house: &House) -> Vec<Complaint> {
    let pure =
        house.sources().filter(|(package, source)| is_pure(package) && is_inside(package, source));
    pure.flat_map(|(package, source)| check_source(&package.name, source)).collect()
}

fn is_pure(package: &Package) -> bool {
    package.kind == Kind::Crate && PURE.contains(&package.name.as_str())
}

/// Build scripts, tests and what starts a core run outside of it.
fn is_inside(package: &Package, source: &Source) -> bool {
    !source.standing.outside
        && !STARTERS.iter().any(|start| source.path.starts_with(start))
        && source.path != format!("{}/build.rs", package.folder)
}

fn check_source(name: &str, source: &Source) -> Vec<Complaint> {
    let exempt = |line| source.is_test(line) || (name == "sdk" && source.is_net(line));
    let mut complaints = Vec::new();
    for path in source.items.paths.iter().filter(|path| !exempt(path.line)) {
        if let Some(instead) = impure(path) {
            let says =
                format!("`{}` in {name}, which is pure: {instead}", path.segments.join("::"));
            complaints.push(Complaint::at(&source.path, path.line, says));
        }
    }
    complaints
}

/// Why a path is impure.
fn impure(path: &PathUse) -> Option<&'static str> {
    if path.segments == ["await"] && path.after_dot {
        return Some("the shell is async, a core is not");
    }
    if path.segments.ends_with(&["Instant".to_owned(), "now".to_owned()]) {
        return Some("time comes in with the input");
    }
    let begins = |start: &[&str]| {
        start.len() <= path.segments.len() && start.iter().zip(&path.segments).all(|(a, b)| a == b)
    };
    // A field or variable may be called `rand`; only as the head of a longer path is it the crate.
    let foreign = OUTSIDE.iter().find(|(start, _)| {
        begins(start) && start.len().max(2) <= path.segments.len() && !path.after_dot
    });
    let named =
        || NAMES.iter().find(|(name, _)| path.segments.iter().any(|segment| segment == name));
    foreign.map(|(_, instead)| *instead).or_else(|| named().map(|(_, instead)| *instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> Vec<usize> {
        let manifest = format!("crates/{name}/Cargo.toml");
        let path = format!("crates/{name}/src/lib.rs");
        let house = House::of(&[(&manifest, "[package]\nname = \"any\""), (&path, text)]);
        let mut lines: Vec<_> = check(&house).into_iter().map(|complaint| complaint.line).collect();
        lines.dedup();
        lines
    }

    #[test]
    fn each_way_out_is_seen() {
        for text in [
            "use std::{collections::BTreeMap, fs};",
            "use std::fs::*;",
            "fn f() { std::net::TcpStream::connect(a); }",
            "use std::thread;",
            "fn f() { ::std::process::exit(1) }",
            "fn f() -> X { std::env::var(\"A\") }",
            "async fn f() {}",
            "fn f() { let a = async move { 1 }; }",
            "fn f() { vec![a.await] }",
            "use std::time; fn f() { time::Instant::now(); }",
            "use std::time::Instant; fn f() { assert!(Instant::now() < a); }",
            "use std::time::SystemTime;",
            "struct S { a: std::collections::HashMap<u8, u8> }",
            "fn f(a: &HashSet<u8>) {}",
            "fn f() { rand::random::<u8>() }",
            "fn f() { uuid::Uuid::new_v4() }",
            "#[tokio::main] fn f() { tokio::spawn(x) }",
        ] {
            assert_eq!(found("agent", text), [1], "{text}");
            assert_eq!(found("wire", text), [0; 0], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_it_passes() {
        for text in [
            "// std::fs and HashMap\nfn f() { let a = \"SystemTime\"; }",
            "fn f(now: Instant) { self.rand.next(); tokio(1); }",
            "mod fs { pub struct Thread; } use fs::Thread;",
            "#[cfg(test)]\nmod tests { use std::collections::HashMap; use std::fs; }",
            "#[test]\nfn f() { std::fs::read(a); }",
        ] {
            assert_eq!(found("master", text), [0; 0], "{text}");
        }
    }

    #[test]
    fn the_sdk_is_pure_outside_of_its_feature() {
        let text = "#[cfg(feature = \"net\")]\nmod net { async fn f() { std::fs::read(a).await } }\nuse std::fs;\n";
        assert_eq!(found("sdk", text), [3]);
        assert_eq!(found("model", text), [2, 3]);
        let house = House::of(&[
            ("crates/sdk/Cargo.toml", "[package]\nname = \"any\""),
            ("crates/sdk/src/lib.rs", "#[cfg(feature = \"net\")] mod net; mod keeper;"),
            ("crates/sdk/src/net.rs", "use tokio::net::TcpStream;"),
            ("crates/sdk/src/keeper.rs", "use tokio::net::TcpStream;"),
            ("crates/sdk/tests/outer.rs", "use tokio::net::TcpStream;"),
        ]);
        let paths: Vec<_> = check(&house).into_iter().map(|complaint| complaint.path).collect();
        assert_eq!(paths, ["crates/sdk/src/keeper.rs"]);
    }
}
