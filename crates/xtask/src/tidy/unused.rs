//! What may be used is used: dependencies of a package, of the workspace, and those that the table of dependencies allows.
//!
//! Relies on the words of the sources: a crate that no path begins with is not used. What is needed without being named stands in
//! [`UNNAMED`].

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::dependencies;
use super::house::{House, Kind, Package};
use super::Complaint;

/// Crates that are needed where no code names them: what `prost` and `tonic` generate does, in the folder of the build; and the file of
/// `tests/fuzz` that `xtask` compiles, too.
const UNNAMED: &[(&str, &[&str])] =
    &[("proto", &["prost", "prost-types", "tonic", "tonic-prost"]), ("xtask", &["base64"])];

/// No dependency is there for nothing.
pub fn check(house: &House) -> Vec<Complaint> {
    let mut complaints: Vec<Complaint> = house.packages.iter().flat_map(of_package).collect();
    complaints.extend(of_workspace(house));
    for (name, other) in dependencies::allowed() {
        let of = house.packages.iter().find(|it| it.kind == Kind::Crate && it.name == name);
        let manifest = of.and_then(|package| package.manifest.as_ref().ok());
        let wanted = format!("holdfast-{other}");
        if manifest.is_some_and(|it| !it.dependencies.iter().any(|it| it.name == wanted)) {
            let says =
                format!("{name} may depend on {other} and does not; take it out of the table");
            complaints.push(Complaint::at("crates/xtask/src/tidy/dependencies.rs", 0, says));
        }
    }
    complaints
}

fn of_package(package: &Package) -> Vec<Complaint> {
    let Ok(manifest) = &package.manifest else { return Vec::new() };
    let words = package.sources.iter().flat_map(|source| &source.items.paths);
    let named: BTreeSet<&str> = words.map(|path| path.segments[0].as_str()).collect();
    let unnamed = UNNAMED.iter().find(|(name, _)| *name == package.name).map_or(&[][..], |it| it.1);
    let unused = manifest.dependencies.iter().filter(|dependency| {
        let word = dependency.here.replace('-', "_");
        !named.contains(&*word) && !unnamed.contains(&&*dependency.name)
    });
    let path = format!("{}/Cargo.toml", package.folder);
    unused
        .map(|it| Complaint::at(&path, 0, format!("no code names `{}`; take it out", it.here)))
        .collect()
}

fn of_workspace(house: &House) -> Vec<Complaint> {
    let table: Table =
        house.texts.get("Cargo.toml").and_then(|text| text.parse().ok()).unwrap_or_default();
    let listed = table.get("workspace").and_then(|it| it.get("dependencies"));
    let listed = listed.and_then(Value::as_table).into_iter().flat_map(Table::keys);
    let manifests = house.packages.iter().filter_map(|package| package.manifest.as_ref().ok());
    let used: BTreeSet<&str> =
        manifests.flat_map(|it| &it.dependencies).map(|it| it.here.as_str()).collect();
    let unused = listed.filter(|name| !used.contains(name.as_str()));
    unused
        .map(|name| {
            Complaint::at("Cargo.toml", 0, format!("no package uses `{name}`; take it out"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_is_named() {
        let house = House::of(&[
            ("Cargo.toml", "[workspace.dependencies]\na-b = \"1\"\nc = \"1\""),
            (
                "crates/store/Cargo.toml",
                "[package]\nname = \"x\"\n[dependencies]\na-b.workspace = true\nodd = { package = \"d\" }\n\
                 holdfast-proto.workspace = true\nholdfast-model.workspace = true\n[dev-dependencies]\ne = \"1\"",
            ),
            ("crates/store/src/lib.rs", "use a_b::X; fn f() { holdfast_proto::g(); odd!(); }"),
            ("crates/store/tests/t.rs", "use holdfast_model as model; // e::f"),
        ]);
        let found: Vec<String> = check(&house).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "crates/store/Cargo.toml: no code names `e`; take it out",
                "Cargo.toml: no package uses `c`; take it out"
            ]
        );
        let house = House::of(&[("crates/agent/Cargo.toml", "[package]\nname = \"x\"")]);
        let found = check(&house);
        assert!(
            found.len() == 1 && found[0].says.contains("agent may depend on model"),
            "{found:?}"
        );
    }
}
