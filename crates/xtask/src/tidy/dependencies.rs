//! Which crate of ours may depend on which, and which outside crates only some of ours may use.
//!
//! Relies on the manifests. Never looks at code: without a line in a manifest nothing compiles. The tables here are the map in
//! `crates/README.md`, in a form that can refuse; a new crate or dependency is a new entry.

use std::collections::BTreeSet;

use super::house::{House, Kind, Package};
use super::manifest::{Dependency, Manifest, Need};
use super::purity::PURE;
use super::Complaint;

/// A crate of ours and those that it may depend on.
struct Crate {
    name: &'static str,
    allowed: &'static [&'static str],
    /// What it may depend on only by a feature: the dependency must be optional.
    by_feature: &'static [&'static str],
}

const fn entry(name: &'static str, allowed: &'static [&'static str]) -> Crate {
    Crate { name, allowed, by_feature: &[] }
}

impl Crate {
    const fn by_feature(self, by_feature: &'static [&'static str]) -> Crate {
        Crate { by_feature, ..self }
    }
}

/// Which crates a crate may depend on. A dependency that is not here is refused.
const CRATES: &[Crate] = &[
    entry("proto", &[]),
    entry("model", &["proto"]),
    entry("allocator", &["model"]),
    entry("master", &["model", "allocator"]),
    entry("agent", &["model"]),
    entry("api", &["proto", "model", "master", "agent"]),
    entry("store", &[]),
    entry("quorum", &["store"]),
    entry("volumes", &[]),
    entry("containers", &[]),
    entry("wire", &["proto"]),
    entry("sdk", &["model"]).by_feature(&["proto", "wire", "store", "quorum"]),
    entry("sim", &["model", "allocator", "master", "agent", "store", "sdk"]),
    entry(
        "node",
        &[
            "proto",
            "model",
            "allocator",
            "master",
            "agent",
            "api",
            "store",
            "quorum",
            "volumes",
            "containers",
            "wire",
            "sdk",
        ],
    ),
    entry("cli", &["proto", "model", "api", "store", "quorum", "wire", "sdk", "node"]),
    entry("holdfast", &["node", "cli"]),
    entry("xtask", &[]),
];

/// Outside crates that only some of ours may use.
struct Confined {
    crates: &'static [&'static str],
    to: &'static [&'static str],
    /// Crates of ours in which they must be optional.
    by_feature: &'static [&'static str],
    /// Whether even tests must leave it alone.
    in_tests_too: bool,
    why: &'static str,
}

const CONFINED: &[Confined] = &[
    Confined {
        crates: &["sled"],
        to: &["store"],
        by_feature: &[],
        in_tests_too: true,
        why: "its flush is no fsync; go through holdfast-store, which knows the guards",
    },
    Confined {
        crates: &["tonic", "tonic-prost", "tonic-prost-build", "tonic-build"],
        to: &["proto", "wire"],
        by_feature: &[],
        in_tests_too: false,
        why: "only wire speaks gRPC; let it hand over domain types",
    },
    Confined {
        crates: &["axum", "hyper", "hyper-util", "tower-http"],
        to: &["wire"],
        by_feature: &[],
        in_tests_too: false,
        why: "only wire speaks HTTP; let it hand over domain types",
    },
    Confined {
        crates: &["zookeeper-client"],
        to: &["quorum"],
        by_feature: &[],
        in_tests_too: false,
        why: "only quorum knows where the masters' journal lives",
    },
    Confined {
        crates: &["nix", "libc", "rustix", "procfs"],
        to: &["volumes", "containers"],
        by_feature: &[],
        in_tests_too: false,
        why: "only volumes and containers talk to the kernel; use std, or ask them",
    },
    Confined {
        crates: &["anyhow"],
        to: &["node", "cli", "holdfast", "xtask"],
        by_feature: &["sdk"],
        in_tests_too: false,
        why: "a library names its errors, one enum per operation (thiserror)",
    },
];

/// What a framework may use beside the SDK: crates that touch neither network, disk nor clock. Frameworks are templates to copy, so what
/// they need is what everybody needs.
const FRAMEWORK_CRATES: &[&str] = &[
    "base64",
    "bytes",
    "clap",
    "crc32fast",
    "serde",
    "serde_json",
    "serde_yaml_ng",
    "sha2",
    "thiserror",
    "toml",
    "tracing",
    "uuid",
];

/// What has no business in a pure crate, whatever it is used for.
const NOT_FOR_PURE: &[&str] = &[
    "async-trait",
    "chrono",
    "futures",
    "futures-core",
    "futures-util",
    "getrandom",
    "mio",
    "rand",
    "reqwest",
    "tempfile",
    "time",
    "tokio",
    "tokio-stream",
    "tokio-util",
];

/// Our own crates depend on each other as the table allows.
pub fn check(house: &House) -> Vec<Complaint> {
    each(house, |package, manifest, complaints| {
        let path = format!("{}/Cargo.toml", package.folder);
        if package.kind == Kind::Crate && find(&package.name).is_none() {
            complaints.push(Complaint::at(
                &path,
                0,
                format!(
                    "no crate `{}` in the table; add it to crates/README.md and CRATES",
                    package.name
                ),
            ));
            return;
        }
        for dependency in &manifest.dependencies {
            let refused = match (package.kind, inner(&dependency.name)) {
                (Kind::Crate, Some(other)) => refusal(&package.name, other, dependency),
                (Kind::Framework, Some(other)) => framework_refusal(other, dependency),
                (Kind::Framework, None) if dependency.kind != Need::Dev && !FRAMEWORK_CRATES.contains(&dependency.name.as_str()) => {
                    Some(format!("a framework uses the SDK and plain crates, not `{}`; let holdfast-sdk offer it", dependency.name))
                }
                (Kind::Crate | Kind::Framework, None) | (Kind::Tests, _) => None,
            };
            complaints.extend(refused.map(|says| Complaint::at(&path, 0, says)));
        }
    })
}

/// Outside crates stay in those of ours that tame them.
pub fn confined(house: &House) -> Vec<Complaint> {
    each(house, |package, manifest, complaints| {
        let path = format!("{}/Cargo.toml", package.folder);
        for dependency in &manifest.dependencies {
            let (name, is_test) = (
                dependency.name.as_str(),
                dependency.kind == Need::Dev || package.kind == Kind::Tests,
            );
            let place = match package.kind {
                Kind::Crate => package.name.as_str(),
                Kind::Framework | Kind::Tests => "",
            };
            for only in CONFINED.iter().filter(|only| only.crates.contains(&name)) {
                let by_feature = dependency.optional && only.by_feature.contains(&place);
                let in_test = is_test && !only.in_tests_too;
                if !only.to.contains(&place) && !by_feature && !in_test {
                    let says = format!(
                        "`{name}` stays in {}: {}",
                        [only.to, only.by_feature].concat().join(", "),
                        only.why
                    );
                    complaints.push(Complaint::at(&path, 0, says));
                }
            }
            let is_pure = PURE.contains(&place) && !dependency.optional && !is_test;
            if is_pure && NOT_FOR_PURE.contains(&name) {
                let says = format!("{place} is pure and cannot use `{name}`; let time, chance and effects come and go with the input");
                complaints.push(Complaint::at(&path, 0, says));
            }
        }
    })
}

/// Every dependency that the table allows: from which crate, into which.
pub fn allowed() -> impl Iterator<Item = (&'static str, &'static str)> {
    let others = |it: &'static Crate| it.allowed.iter().chain(it.by_feature);
    CRATES.iter().flat_map(move |it| others(it).map(|other| (it.name, *other)))
}

fn each(house: &House, check: impl Fn(&Package, &Manifest, &mut Vec<Complaint>)) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in &house.packages {
        if let Ok(manifest) = &package.manifest {
            check(package, manifest, &mut complaints);
        }
    }
    complaints
}

/// The folder of a crate of ours.
fn inner(dependency: &str) -> Option<&str> {
    dependency
        .strip_prefix("holdfast-")
        .or_else(|| (dependency == "holdfast").then_some("holdfast"))
}

fn find(name: &str) -> Option<&'static Crate> {
    CRATES.iter().find(|it| it.name == name)
}

/// Why one crate may not depend on another.
fn refusal(from: &str, to: &str, dependency: &Dependency) -> Option<String> {
    let it = find(from)?;
    let listed = || [it.allowed, it.by_feature].concat().join(", ");
    match dependency.kind {
        _ if it.allowed.contains(&to) => None,
        Need::Normal | Need::Build if it.by_feature.contains(&to) && dependency.optional => None,
        Need::Normal | Need::Build if it.by_feature.contains(&to) => Some(format!(
            "{from} depends on {to} only by a feature; make the dependency `optional = true`"
        )),
        Need::Normal | Need::Build => Some(format!(
            "{from} may not depend on {to} (but on: {}); change the design first, then CRATES",
            listed()
        )),
        // Tests may reach further down, and may run inside the simulated cluster.
        Need::Dev if from == "sim" || to == "sim" || below(from).contains(to) => None,
        Need::Dev => Some(format!(
            "not even tests of {from} may depend on {to}; only on what lies below, or on sim"
        )),
    }
}

fn framework_refusal(to: &str, dependency: &Dependency) -> Option<String> {
    match to {
        "sdk" => None,
        "sim" if dependency.kind == Need::Dev => None,
        other => Some(format!(
            "a framework depends only on sdk, not on {other}; let holdfast-sdk offer it"
        )),
    }
}

/// All crates that lie below one.
fn below(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![name];
    while let Some(it) = open.pop().and_then(find) {
        for other in it.allowed.iter().chain(it.by_feature) {
            if found.insert(*other) {
                open.push(other);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: fn(&House) -> Vec<Complaint>, folder: &str, section: &str) -> String {
        let text = format!("[package]\nname = \"any\"\n{section}");
        let complaints = check(&House::of(&[(&format!("{folder}/Cargo.toml"), &text)]));
        complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_table_has_no_circle_and_no_unknown_crate() {
        for it in CRATES {
            assert!(!below(it.name).contains(it.name), "{} lies below itself", it.name);
            assert!(
                it.allowed.iter().chain(it.by_feature).all(|other| find(other).is_some()),
                "{}",
                it.name
            );
        }
        assert!(below("master").contains("proto") && below("frameworks").is_empty());
    }

    #[test]
    fn crates_depend_on_what_the_table_allows() {
        for (folder, section, says) in [
            ("crates/model", "[dependencies]\nholdfast-proto.workspace = true", ""),
            (
                "crates/model",
                "[dependencies]\nholdfast-store.workspace = true",
                "model may not depend on store",
            ),
            (
                "crates/allocator",
                "[dependencies]\nholdfast-proto.workspace = true",
                "allocator may not depend on proto",
            ),
            ("crates/allocator", "[dev-dependencies]\nholdfast-proto.workspace = true", ""),
            (
                "crates/allocator",
                "[dev-dependencies]\nholdfast-store.workspace = true",
                "not even tests of allocator",
            ),
            ("crates/agent", "[dev-dependencies]\nholdfast-sim.workspace = true", ""),
            (
                "crates/agent",
                "[target.'cfg(unix)'.dependencies]\nholdfast-wire.workspace = true",
                "agent may not depend on wire",
            ),
            (
                "crates/agent",
                "[dependencies]\nlog = { package = \"holdfast-store\", path = \"../store\" }",
                "agent may not depend on store",
            ),
            (
                "crates/agent",
                "[build-dependencies]\nholdfast-sim = \"1\"",
                "agent may not depend on sim",
            ),
            (
                "crates/sdk",
                "[dependencies]\nholdfast-store = { workspace = true, optional = true }",
                "",
            ),
            ("crates/sdk", "[dependencies]\nholdfast-store.workspace = true", "only by a feature"),
            (
                "crates/holdfast",
                "[dependencies]\nholdfast-sim.workspace = true",
                "holdfast may not depend on sim",
            ),
            ("crates/sim", "[dev-dependencies]\nholdfast-quorum.workspace = true", ""),
            ("crates/lobby", "", "no crate `lobby`"),
            (
                "tests",
                "[dependencies]\nholdfast.workspace = true\nholdfast-wire.workspace = true",
                "",
            ),
        ] {
            let complaints = found(check, folder, section);
            assert!(
                if says.is_empty() { complaints.is_empty() } else { complaints.contains(says) },
                "{folder} {section}: {complaints}"
            );
        }
    }

    #[test]
    fn frameworks_see_only_the_sdk_and_plain_crates() {
        for (section, says) in [
            ("[dependencies]\nholdfast-sdk.workspace = true\nserde.workspace = true", ""),
            ("[dependencies]\nholdfast-model.workspace = true", "only on sdk, not on model"),
            ("[dev-dependencies]\nholdfast-sim.workspace = true", ""),
            ("[dev-dependencies]\nholdfast-master.workspace = true", "not on master"),
            ("[dependencies]\nreqwest = \"1\"", "not `reqwest`"),
            ("[dev-dependencies]\ntempfile.workspace = true", ""),
        ] {
            let complaints = found(check, "frameworks/journal", section);
            assert!(
                if says.is_empty() { complaints.is_empty() } else { complaints.contains(says) },
                "{section}: {complaints}"
            );
        }
    }

    #[test]
    fn outside_crates_stay_where_they_are_tamed() {
        for (folder, section, says) in [
            ("crates/store", "[dependencies]\nsled.workspace = true", ""),
            ("crates/quorum", "[dependencies]\nsled.workspace = true", "`sled` stays in store"),
            ("tests", "[dev-dependencies]\nsled.workspace = true", "`sled` stays in store"),
            (
                "frameworks/journal",
                "[dependencies]\nsled.workspace = true",
                "`sled` stays in store",
            ),
            ("crates/proto", "[build-dependencies]\ntonic-prost-build.workspace = true", ""),
            (
                "crates/holdfast",
                "[dependencies]\ntonic.workspace = true",
                "`tonic` stays in proto, wire",
            ),
            ("crates/holdfast", "[dependencies]\nhyper.workspace = true", "`hyper` stays in wire"),
            ("crates/wire", "[dependencies]\naxum.workspace = true", ""),
            ("tests", "[dependencies]\nhyper.workspace = true\nnix.workspace = true", ""),
            ("crates/store", "[dependencies]\nzookeeper-client = \"1\"", "stays in quorum"),
            (
                "crates/store",
                "[dependencies]\nlibc.workspace = true",
                "stays in volumes, containers",
            ),
            ("crates/volumes", "[dependencies]\nnix.workspace = true", ""),
            ("crates/store", "[dependencies]\nanyhow.workspace = true", "names its errors"),
            ("crates/store", "[dev-dependencies]\nanyhow.workspace = true", ""),
            ("crates/sdk", "[dependencies]\nanyhow = { workspace = true, optional = true }", ""),
            (
                "crates/sdk",
                "[dependencies]\nanyhow.workspace = true",
                "stays in node, cli, holdfast, xtask, sdk",
            ),
            ("crates/master", "[dependencies]\ntokio.workspace = true", "master is pure"),
            ("crates/sdk", "[dependencies]\ntokio.workspace = true", "sdk is pure"),
            ("crates/sdk", "[dependencies]\ntokio = { workspace = true, optional = true }", ""),
            ("crates/wire", "[dependencies]\ntokio.workspace = true", ""),
        ] {
            let complaints = found(confined, folder, section);
            assert!(
                if says.is_empty() { complaints.is_empty() } else { complaints.contains(says) },
                "{folder} {section}: {complaints}"
            );
        }
    }
}
