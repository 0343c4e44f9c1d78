//! A package's manifest: its name, its lints, whom it depends on. And the rule that folder and package agree.
//!
//! Relies on the `toml` crate. Never asks cargo: a manifest is judged by what it says.

use toml::{Table, Value};

use super::house::{House, Kind, Package};
use super::Complaint;

/// What the rules need of a manifest.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The package's name.
    pub name: String,
    /// Whether `[lints] workspace = true`, or it is a workspace of its own, which has none to follow.
    pub lints: bool,
    /// All dependencies, of every kind and target.
    pub dependencies: Vec<Dependency>,
    /// Files named as targets: `[[bin]] path`.
    pub targets: Vec<String>,
}

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The crate's own name, even where the manifest gives it another.
    pub name: String,
    /// The name that the manifest gives it.
    pub here: String,
    /// When it is needed.
    pub kind: Need,
    /// Whether a feature has to ask for it.
    pub optional: bool,
}

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// By the crate.
    Normal,
    /// By its build script.
    Build,
    /// By its tests.
    Dev,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Says why it is none.
    pub fn parse(text: &str) -> Result<Manifest, String> {
        let table: Table = text.parse().map_err(|error| format!("is no TOML: {error}"))?;
        let package = table.get("package").and_then(Value::as_table).ok_or("has no [package]")?;
        let name =
            package.get("name").and_then(Value::as_str).ok_or("has no package name")?.to_owned();
        let lints =
            table.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool)
                == Some(true);
        let lints = lints || table.contains_key("workspace");
        let mut manifest = Manifest { name, lints, ..Manifest::default() };
        manifest.depend(&table);
        for target in
            table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values)
        {
            manifest.depend(target.as_table().unwrap_or(&Table::new()));
        }
        manifest.targets.extend(package.get("build").and_then(Value::as_str).map(str::to_owned));
        for kind in ["lib", "bin", "test", "bench", "example"] {
            let targets = match table.get(kind) {
                Some(Value::Array(targets)) => targets.iter().collect(),
                Some(target) => vec![target],
                None => Vec::new(),
            };
            let paths = targets.into_iter().filter_map(|target| target.get("path")?.as_str());
            manifest.targets.extend(paths.map(str::to_owned));
        }
        Ok(manifest)
    }

    fn depend(&mut self, table: &Table) {
        for (key, kind) in [
            ("dependencies", Need::Normal),
            ("build-dependencies", Need::Build),
            ("dev-dependencies", Need::Dev),
        ] {
            for (here, value) in table.get(key).and_then(Value::as_table).into_iter().flatten() {
                let name = value.get("package").and_then(Value::as_str).unwrap_or(here).to_owned();
                let optional = value.get("optional").and_then(Value::as_bool) == Some(true);
                self.dependencies.push(Dependency { name, here: here.clone(), kind, optional });
            }
        }
    }
}

/// Folder `x` holds package `holdfast-x` (`crates/holdfast` holds `holdfast`), and the workspace's lints hold in it.
pub fn check(house: &House) -> Vec<Complaint> {
    house.packages.iter().flat_map(check_one).collect()
}

fn check_one(package: &Package) -> Vec<Complaint> {
    let path = format!("{}/Cargo.toml", package.folder);
    let manifest = match &package.manifest {
        Ok(manifest) => manifest,
        Err(why) => return vec![Complaint::at(&path, 0, why.clone())],
    };
    let expected = match (package.kind, package.name.as_str()) {
        (Kind::Crate, "holdfast") => "holdfast".to_owned(),
        (_, name) => format!("holdfast-{name}"),
    };
    let mut complaints = Vec::new();
    if manifest.name != expected {
        let says = format!(
            "package `{}` in folder `{}`; call it `{expected}`, or move it",
            manifest.name, package.name
        );
        complaints.push(Complaint::at(&path, 0, says));
    }
    if !manifest.lints {
        complaints.push(Complaint::at(
            &path,
            0,
            "the workspace's lints do not hold here; add `[lints]` with `workspace = true`",
        ));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> String {
        check(&House::of(&[(path, text)]))
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn dependencies_of_every_kind_are_read() {
        let text = "[package]\nname = \"x\"\nbuild = \"make.rs\"\n[dependencies]\na.workspace = true\nb = { package = \"real\", version = \"1\" }\n\
                    [dev-dependencies]\nc = \"1\"\n[target.'cfg(unix)'.build-dependencies]\nd = { version = \"1\", optional = true }\n\
                    [[bin]]\nname = \"y\"\npath = \"src/y.rs\"";
        let manifest = Manifest::parse(text).unwrap();
        let seen: Vec<_> = manifest
            .dependencies
            .iter()
            .map(|it| (it.name.as_str(), it.kind, it.optional))
            .collect();
        let expected = [
            ("a", Need::Normal, false),
            ("real", Need::Normal, false),
            ("c", Need::Dev, false),
            ("d", Need::Build, true),
        ];
        assert_eq!(seen, expected);
        assert_eq!(manifest.targets, ["make.rs", "src/y.rs"]);
    }

    #[test]
    fn folder_and_package_agree() {
        let lints = "\n[lints]\nworkspace = true";
        for (path, name, right) in [
            ("crates/store/Cargo.toml", "holdfast-store", true),
            ("crates/store/Cargo.toml", "store", false),
            ("crates/holdfast/Cargo.toml", "holdfast", true),
            ("crates/holdfast/Cargo.toml", "holdfast-holdfast", false),
            ("frameworks/journal/Cargo.toml", "holdfast-journal", true),
            ("frameworks/journal/Cargo.toml", "holdfast-log", false),
            ("tests/Cargo.toml", "holdfast-tests", true),
            ("tests/apart/Cargo.toml", "holdfast-apart", true),
            ("tests/apart/Cargo.toml", "holdfast-tests", false),
        ] {
            let found = complaints(path, &format!("[package]\nname = \"{name}\"{lints}"));
            assert_eq!(found.is_empty(), right, "{path} {name}: {found}");
        }
    }

    #[test]
    fn a_package_without_our_lints_or_without_a_manifest_is_told() {
        let bare = "[package]\nname = \"holdfast-store\"\n";
        assert!(complaints("crates/store/Cargo.toml", bare).contains("lints do not hold"));
        assert!(complaints(
            "crates/store/Cargo.toml",
            &format!("{bare}[lints]\nworkspace = false")
        )
        .contains("lints do not hold"));
        let apart = complaints("crates/store/Cargo.toml", &format!("{bare}[workspace]"));
        assert_eq!(apart, "", "a workspace of its own has no lints to follow");
        assert!(complaints("crates/store/Cargo.toml", "[package").contains("no TOML"));
        assert!(complaints("crates/store/src/lib.rs", "//! x").contains("Cargo.toml is missing"));
    }
}
