//! Runs every scenario of `tests/scenarios` and compares what it shows with what is written there.
//!
//! `HOLDFAST_REWRITE=1 cargo test -p holdfast-sim --test scenarios` writes down what is shown now;
//! read the difference before you keep it. It relies on the scenario language. It never passes when
//! a file shows a broken rule.

use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let entries = std::fs::read_dir(&dir).expect("the scenarios lie in tests/scenarios");
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|it| it.path())
        .filter(|it| it.extension().is_some_and(|it| it == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_shows_what_is_written() {
    let rewrite = std::env::var_os("HOLDFAST_REWRITE").is_some();
    let (mut wrong, files) = (Vec::new(), files());
    assert!(12 <= files.len(), "scenarios are missing: there are only {}", files.len());
    for file in files {
        let written = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let shown =
            holdfast_sim::scenario::run(&written).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!shown.contains("IS BROKEN"), "{name}:\n{shown}");
        if rewrite {
            std::fs::write(&file, &shown).unwrap();
        } else if shown != written {
            wrong.push(format!("{name} shows now:\n{shown}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nHOLDFAST_REWRITE=1 writes this down, if it is right",
        wrong.join("\n")
    );
}
