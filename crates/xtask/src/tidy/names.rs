//! Names that say nothing are not given: a module called `util` is where things go to be lost.
//!
//! Relies on the names of folders, files and modules. Never judges names of functions and types.

use std::collections::BTreeSet;

use super::house::House;
use super::Complaint;

/// Names that are not given.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "misc", "core", "base"];

/// No folder, file or module has an empty name.
pub fn check(house: &House) -> Vec<Complaint> {
    let mut places: BTreeSet<(String, usize, String)> = BTreeSet::new();
    for package in &house.packages {
        if is_empty(&package.name) {
            places.insert((package.folder.clone(), 0, package.name.clone()));
        }
        for source in &package.sources {
            let inner = &source.path[package.folder.len() + 1..];
            let stem = inner.strip_suffix(".rs").unwrap_or(inner);
            let empty = stem.split('/').find(|part| is_empty(part));
            places.extend(empty.map(|name| (source.path.clone(), 0, name.to_owned())));
            let modules = source.items.modules.iter().filter(|module| is_empty(&module.name));
            places.extend(
                modules.map(|module| (source.path.clone(), module.line, module.name.clone())),
            );
        }
    }
    places
        .into_iter()
        .map(|(path, line, name)| {
            Complaint::at(&path, line, format!("`{name}` says nothing; name what is inside"))
        })
        .collect()
}

fn is_empty(name: &str) -> bool {
    EMPTY_NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_files_and_modules_are_looked_at() {
        for (path, text, count) in [
            ("crates/x/src/sizes.rs", "mod commons; fn util() {} // mod util {}", 0),
            ("crates/x/src/util.rs", "", 1),
            ("crates/x/src/common/mod.rs", "", 1),
            ("crates/core/src/lib.rs", "", 1),
            ("tests/tests/helpers/mod.rs", "", 1),
            ("crates/x/src/lib.rs", "pub mod misc { pub mod base; }", 2),
        ] {
            let found = check(&House::of(&[(path, text)]));
            assert_eq!(found.len(), count, "{path} {text}: {found:?}");
        }
    }
}
