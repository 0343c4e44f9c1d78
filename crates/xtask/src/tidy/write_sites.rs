//! Each place that writes for good has its crash test.
//!
//! Relies on [`TABLE`], which names per file how many such places it has and which tests cut the power there, or why none is needed; and on
//! the words by which a file system is asked to keep something. Never judges whether the test is a good one: a reader does.

use std::collections::BTreeMap;

use super::house::{House, Source};
use super::paths::{self, PathUse};
use super::Complaint;

/// File, number of places, tests separated by blanks; or `-` and why there is none.
const TABLE: &str = "tests/write-sites.tsv";

/// What makes bytes durable, or gives them their name.
const WORDS: &[&str] = &[
    "fallocate",
    "fdatasync",
    "fsync",
    "hard_link",
    "rename",
    "renameat",
    "renameat_with",
    "sync_all",
    "sync_data",
    "syncfs",
];

/// What only builds, tests or shows the product keeps nothing for anybody.
const NOT_THE_PRODUCT: &[&str] = &["crates/xtask/", "crates/sim/", "tests/"];

/// The table and the sources agree, and each test that is named exists.
pub fn check(house: &House) -> Vec<Complaint> {
    let Some(table) = house.texts.get(TABLE) else { return Vec::new() };
    let mut complaints = Vec::new();
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (_, source) in house.sources() {
        let lines = places(source);
        if !lines.is_empty() {
            found.insert(&source.path, lines);
        }
    }
    for (number, line) in (1..).zip(table.lines()).filter(|it| !it.1.starts_with('#')) {
        let row: Vec<&str> = line.split('\t').collect();
        let [file, count, tests] = row[..] else {
            let says = "a row is FILE, PLACES and TESTS, with tabs between";
            complaints.push(Complaint::at(TABLE, number, says));
            continue;
        };
        let lines = found.remove(file).unwrap_or_default();
        if lines.len().to_string() != count {
            let says = format!(
                "{} places that write for good, at lines {lines:?}, and not {count} as {TABLE} says; cut the power there in a test and count it",
                lines.len()
            );
            complaints.push(Complaint::at(file, lines.last().copied().unwrap_or(0), says));
        }
        complaints.extend(
            missing(house, tests)
                .map(|test| Complaint::at(TABLE, number, format!("there is no test `{test}`"))),
        );
    }
    complaints.extend(found.into_iter().map(|(file, lines)| {
        let says =
            format!("writes for good; cut the power there in a test, and list it in {TABLE}");
        Complaint::at(file, lines[0], says)
    }));
    complaints
}

fn places(source: &Source) -> Vec<usize> {
    if NOT_THE_PRODUCT.iter().any(|it| source.path.starts_with(it)) {
        return Vec::new();
    }
    let names = source.items.bodies.iter().flat_map(|body| paths::of(&body.tokens));
    let is_place = |path: &PathUse| path.segments.last().is_some_and(|it| WORDS.contains(&&**it));
    let lines = names.filter(is_place).map(|it| it.line);
    lines.filter(|line| !source.is_test(*line)).collect()
}

/// Tests of a row that nobody wrote.
fn missing<'a>(house: &'a House, tests: &'a str) -> impl Iterator<Item = &'a str> {
    let names = if tests.starts_with("- ") { "" } else { tests };
    let is_there = |name: &str| {
        let head = format!("fn {name}(");
        house.sources().any(|(_, source)| source.text.contains(&head))
    };
    names.split(' ').filter(|it| !it.is_empty()).filter(move |name| !is_there(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fn f() { file.sync_all()?; std::fs::rename(a, b)?; }\n\
        #[cfg(test)] mod tests { fn g() { file.sync_all() } }";

    fn found(table: &str) -> Vec<String> {
        let test = ("crates/store/tests/crash.rs", "fn a_power_cut() {}");
        let house = House::of(&[("crates/store/src/lib.rs", SOURCE), test, (TABLE, table)]);
        check(&house).into_iter().map(|it| it.says).collect()
    }

    #[test]
    fn a_place_without_its_test_is_found() {
        assert!(found("crates/store/src/lib.rs\t2\ta_power_cut").is_empty());
        assert!(found("crates/store/src/lib.rs\t2\t- it is a note for people").is_empty());
        assert!(found("# nothing")[0].contains("cut the power there"));
        assert!(found("crates/store/src/lib.rs\t1\ta_power_cut")[0].starts_with("2 places"));
        assert!(found("crates/store/src/lib.rs\t2\tanother")[0].contains("no test `another`"));
        assert!(found("crates/store/src/lib.rs 2")[0].contains("with tabs"));
        let gone =
            "crates/store/src/lib.rs\t2\ta_power_cut\ncrates/store/src/gone.rs\t1\ta_power_cut";
        assert!(found(gone)[0].starts_with("0 places"));
    }
}
