//! Rooms and doors: which crate may look into which, and which outside crates stay in the rooms that tame them.
//!
//! Relies on the manifests. Never looks at code: without a line in a manifest nothing compiles. The tables here are the map in
//! `crates/README.md`, in a form that can refuse; a new room or door is a new entry.

use std::collections::BTreeSet;

use super::house::{House, Kind, Package};
use super::manifest::{Dependency, Manifest, Need};
use super::purity::MINDS;
use super::Complaint;

/// A crate of ours and where it may look.
struct Room {
    name: &'static str,
    doors: &'static [&'static str],
    /// Doors that only a feature opens: the dependency must be optional.
    by_feature: &'static [&'static str],
}

const fn room(name: &'static str, doors: &'static [&'static str]) -> Room {
    Room { name, doors, by_feature: &[] }
}

/// Which rooms a room may look into. A door that is not here is a wall.
const ROOMS: &[Room] = &[
    room("proto", &[]),
    room("model", &["proto"]),
    room("allocator", &["model"]),
    room("master", &["model", "allocator"]),
    room("agent", &["model"]),
    room("api", &["proto", "model", "master", "agent"]),
    room("store", &["proto", "model"]),
    room("quorum", &["proto", "model", "store"]),
    room("volumes", &["model"]),
    room("containers", &["model"]),
    room("wire", &["proto", "model"]),
    Room { name: "sdk", doors: &["model"], by_feature: &["proto", "wire", "store"] },
    room("sim", &["proto", "model", "allocator", "master", "agent", "store", "sdk"]),
    room(
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
    room("cli", &["proto", "model", "api", "store", "wire", "sdk", "node"]),
    room("holdfast", &["node", "cli"]),
    room("xtask", &[]),
];

/// An outside crate that only some rooms may use.
struct RoomOnly {
    crates: &'static [&'static str],
    rooms: &'static [&'static str],
    /// Rooms in which it must be optional.
    by_feature: &'static [&'static str],
    /// Whether even tests must leave it alone.
    in_tests_too: bool,
    why: &'static str,
}

const ROOM_ONLY: &[RoomOnly] = &[
    RoomOnly {
        crates: &["sled"],
        rooms: &["store"],
        by_feature: &[],
        in_tests_too: true,
        why: "its flush is no fsync; go through holdfast-store, which knows the guards",
    },
    RoomOnly {
        crates: &["tonic", "tonic-prost", "tonic-prost-build", "tonic-build"],
        rooms: &["proto", "wire"],
        by_feature: &[],
        in_tests_too: false,
        why: "only wire speaks gRPC; let it hand over domain types",
    },
    RoomOnly {
        crates: &["axum", "hyper", "hyper-util", "tower-http"],
        rooms: &["wire"],
        by_feature: &[],
        in_tests_too: false,
        why: "only wire speaks HTTP; let it hand over domain types",
    },
    RoomOnly {
        crates: &["zookeeper-client"],
        rooms: &["quorum"],
        by_feature: &[],
        in_tests_too: false,
        why: "only quorum knows where the masters' journal lives",
    },
    RoomOnly {
        crates: &["nix", "libc", "rustix", "procfs"],
        rooms: &["volumes", "containers"],
        by_feature: &[],
        in_tests_too: false,
        why: "only volumes and containers talk to the kernel; use std, or ask them",
    },
    RoomOnly {
        crates: &["anyhow"],
        rooms: &["node", "cli", "holdfast", "xtask"],
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

/// What has no business in a mind, whatever it is used for.
const NOT_FOR_MINDS: &[&str] = &[
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

/// Doors between our own crates.
pub fn doors(house: &House) -> Vec<Complaint> {
    each(house, |package, manifest, complaints| {
        let path = format!("{}/Cargo.toml", package.folder);
        if package.kind == Kind::Room && find(&package.name).is_none() {
            complaints.push(Complaint::at(
                &path,
                0,
                format!(
                    "no room `{}` in the table; add it to crates/README.md and ROOMS",
                    package.name
                ),
            ));
            return;
        }
        for dependency in &manifest.dependencies {
            let wall = match (package.kind, inner(&dependency.name)) {
                (Kind::Room, Some(other)) => wall(&package.name, other, dependency),
                (Kind::Framework, Some(other)) => framework_wall(other, dependency),
                (Kind::Framework, None) if dependency.kind != Need::Dev && !FRAMEWORK_CRATES.contains(&dependency.name.as_str()) => {
                    Some(format!("a framework uses the SDK and plain crates, not `{}`; let holdfast-sdk offer it", dependency.name))
                }
                (Kind::Room | Kind::Framework, None) | (Kind::Tests, _) => None,
            };
            complaints.extend(wall.map(|says| Complaint::at(&path, 0, says)));
        }
    })
}

/// Outside crates that stay in their rooms.
pub fn room_only(house: &House) -> Vec<Complaint> {
    each(house, |package, manifest, complaints| {
        let path = format!("{}/Cargo.toml", package.folder);
        for dependency in &manifest.dependencies {
            let (name, is_test) = (
                dependency.name.as_str(),
                dependency.kind == Need::Dev || package.kind == Kind::Tests,
            );
            let place = match package.kind {
                Kind::Room => package.name.as_str(),
                Kind::Framework | Kind::Tests => "",
            };
            for only in ROOM_ONLY.iter().filter(|only| only.crates.contains(&name)) {
                let by_feature = dependency.optional && only.by_feature.contains(&place);
                let in_test = is_test && !only.in_tests_too;
                if !only.rooms.contains(&place) && !by_feature && !in_test {
                    let says = format!(
                        "`{name}` stays in {}: {}",
                        [only.rooms, only.by_feature].concat().join(", "),
                        only.why
                    );
                    complaints.push(Complaint::at(&path, 0, says));
                }
            }
            let mind = MINDS.contains(&place) && !dependency.optional && !is_test;
            if mind && NOT_FOR_MINDS.contains(&name) {
                let says = format!("{place} is pure and cannot use `{name}`; let time, chance and effects come and go with the input");
                complaints.push(Complaint::at(&path, 0, says));
            }
        }
    })
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

/// The room that a crate of ours is.
fn inner(dependency: &str) -> Option<&str> {
    dependency
        .strip_prefix("holdfast-")
        .or_else(|| (dependency == "holdfast").then_some("holdfast"))
}

fn find(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

/// Why there is no door from one room to another.
fn wall(from: &str, to: &str, dependency: &Dependency) -> Option<String> {
    let room = find(from)?;
    let listed = || [room.doors, room.by_feature].concat().join(", ");
    match dependency.kind {
        _ if room.doors.contains(&to) => None,
        Need::Normal | Need::Build if room.by_feature.contains(&to) && dependency.optional => None,
        Need::Normal | Need::Build if room.by_feature.contains(&to) => Some(format!(
            "{from} looks into {to} only by a feature; make the dependency `optional = true`"
        )),
        Need::Normal | Need::Build => Some(format!(
            "no door from {from} to {to} (it has: {}); change the design first, then ROOMS",
            listed()
        )),
        // Tests may reach further down, and may run inside the simulated cluster.
        Need::Dev if from == "sim" || to == "sim" || below(from).contains(to) => None,
        Need::Dev => {
            Some(format!("not even tests of {from} look into {to}; only further down, or into sim"))
        }
    }
}

fn framework_wall(to: &str, dependency: &Dependency) -> Option<String> {
    match to {
        "sdk" => None,
        "sim" if dependency.kind == Need::Dev => None,
        other => Some(format!(
            "a framework looks only into sdk, not into {other}; let holdfast-sdk offer it"
        )),
    }
}

/// All rooms that lie under a room.
fn below(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![name];
    while let Some(room) = open.pop().and_then(find) {
        for door in room.doors.iter().chain(room.by_feature) {
            if found.insert(*door) {
                open.push(door);
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
    fn the_table_has_no_circle_and_no_unknown_door() {
        for room in ROOMS {
            assert!(!below(room.name).contains(room.name), "{} lies under itself", room.name);
            assert!(
                room.doors.iter().chain(room.by_feature).all(|door| find(door).is_some()),
                "{}",
                room.name
            );
        }
        assert!(below("master").contains("proto") && below("frameworks").is_empty());
    }

    #[test]
    fn doors_of_rooms() {
        for (folder, section, says) in [
            ("crates/model", "[dependencies]\nholdfast-proto.workspace = true", ""),
            (
                "crates/model",
                "[dependencies]\nholdfast-store.workspace = true",
                "no door from model to store",
            ),
            (
                "crates/allocator",
                "[dependencies]\nholdfast-proto.workspace = true",
                "no door from allocator to proto",
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
                "no door from agent to wire",
            ),
            (
                "crates/agent",
                "[dependencies]\nlog = { package = \"holdfast-store\", path = \"../store\" }",
                "no door from agent to store",
            ),
            (
                "crates/agent",
                "[build-dependencies]\nholdfast-sim = \"1\"",
                "no door from agent to sim",
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
                "no door from holdfast to sim",
            ),
            ("crates/sim", "[dev-dependencies]\nholdfast-quorum.workspace = true", ""),
            ("crates/lobby", "", "no room `lobby`"),
            (
                "tests",
                "[dependencies]\nholdfast.workspace = true\nholdfast-wire.workspace = true",
                "",
            ),
        ] {
            let complaints = found(doors, folder, section);
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
            ("[dependencies]\nholdfast-model.workspace = true", "only into sdk, not into model"),
            ("[dev-dependencies]\nholdfast-sim.workspace = true", ""),
            ("[dev-dependencies]\nholdfast-master.workspace = true", "not into master"),
            ("[dependencies]\nreqwest = \"1\"", "not `reqwest`"),
            ("[dev-dependencies]\ntempfile.workspace = true", ""),
        ] {
            let complaints = found(doors, "frameworks/journal", section);
            assert!(
                if says.is_empty() { complaints.is_empty() } else { complaints.contains(says) },
                "{section}: {complaints}"
            );
        }
    }

    #[test]
    fn outside_crates_stay_in_their_rooms() {
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
            let complaints = found(room_only, folder, section);
            assert!(
                if says.is_empty() { complaints.is_empty() } else { complaints.contains(says) },
                "{folder} {section}: {complaints}"
            );
        }
    }
}
