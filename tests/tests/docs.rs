//! The documentation is true: every command block of every page is run, code is quoted from files that compile, links lead somewhere, and
//! what `deploy/` names exists.
//!
//! Relies on the built binaries `holdfast` and `holdfast-journal`, and on bash. A block is run unless the comment directly above it says
//! otherwise: `<!-- runs: elsewhere (FILE: why) -->` (that file holds the commands; `docs/elsewhere.rs` says what that is worth),
//! `<!-- needs: root -->` (or programs; left out where they are missing). `<!-- from: FILE -->` says that a block's lines are those of a file. Never believes a page that has no test.

#[path = "docs/blocks.rs"]
mod blocks;
#[path = "docs/deploy.rs"]
mod deploy;
#[path = "docs/elsewhere.rs"]
mod elsewhere;
#[path = "docs/fields.rs"]
mod fields;
#[path = "docs/service.rs"]
mod service;
#[path = "docs/session.rs"]
mod session;

use std::fs;
use std::path::{Path, PathBuf};

use blocks::{anchors, blocks, links, Block, Fate};
use session::Session;

/// Every page, in the order in which newcomers read them.
const PAGES: [&str; 14] = [
    "README.md",
    "docs/concepts.md",
    "docs/services.md",
    "docs/write-a-framework.md",
    "docs/operate.md",
    "docs/drill.md",
    "docs/cassandra.md",
    "docs/hdfs.md",
    "docs/api.md",
    "docs/compatibility.md",
    "docs/scars.md",
    "docs/parity.md",
    "crates/README.md",
    "deploy/README.md",
];

/// What pages may use of the repository.
const SHOWN: [&str; 4] = ["deploy", "docs", "frameworks", "proto"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the repository").to_owned()
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

fn blocks_of(page: &str) -> Vec<Block> {
    blocks(&read(page)).unwrap_or_else(|wrong| panic!("{page}:\n{}", wrong.join("\n")))
}

/// The directory with the programs under test.
fn programs() -> PathBuf {
    let holdfast = holdfast_tests::daemon::binary();
    let programs = holdfast.parent().expect("a program is in a directory").to_owned();
    assert!(
        programs.join("holdfast-journal").is_file(),
        "there is no holdfast-journal; try: cargo build -p holdfast-journal"
    );
    programs
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|it| it.join(program).is_file())
}

/// Whether a block is run here; says why not.
fn is_run(page: &str, block: &Block) -> bool {
    let why = match &block.fate {
        _ if !block.is_run() => return false,
        Fate::Elsewhere { files, why } => {
            elsewhere::check(page, block, files);
            format!("{}: {why}", files.join(", "))
        }
        Fate::Needs(all) => {
            match all.iter().find(|it| if *it == "root" { !is_root() } else { !is_there(it) }) {
                Some(missing) => {
                    let what = format!("{page}, line {}", block.line);
                    holdfast_tests::left_out(&what, &format!("{missing} is not there"));
                    return false;
                }
                None => return true,
            }
        }
        Fate::Here | Fate::From(_) => return true,
    };
    println!("{page}, line {}: not run here ({why})", block.line);
    false
}

fn run(page: &str) {
    let all = blocks_of(page);
    let here = all.iter().filter(|block| is_run(page, block));
    let steps: Result<Vec<_>, String> = here.map(Block::steps).collect();
    let steps: Vec<_> =
        steps.unwrap_or_else(|why| panic!("{page}, {why}")).into_iter().flatten().collect();
    let session = Session::new(&programs());
    session.show(&root(), &SHOWN);
    if let Err(why) = session.run(&steps) {
        panic!("{page}, {why}");
    }
    println!("{page}: {} steps run", steps.len());
}

macro_rules! pages {
    ($($name:ident: $page:expr,)*) => {
        const TESTED: &[&str] = &[$($page),*];
        $(#[test]
        fn $name() {
            run($page);
        })*
    };
}

pages! {
    the_readme_runs: PAGES[0],
    concepts_run: PAGES[1],
    services_run: PAGES[2],
    writing_a_framework_runs: PAGES[3],
    operating_runs: PAGES[4],
    drilling_runs: PAGES[5],
    cassandra_runs: PAGES[6],
    hdfs_runs: PAGES[7],
    the_api_runs: PAGES[8],
    compatibility_runs: PAGES[9],
    scars_run: PAGES[10],
    parity_runs: PAGES[11],
    the_map_runs: PAGES[12],
    deploying_runs: PAGES[13],
}

#[test]
fn no_page_is_forgotten() {
    assert_eq!(TESTED, PAGES);
    let pages = fs::read_dir(root().join("docs")).expect("docs can be listed").flatten();
    for page in
        pages.filter_map(|it| it.file_name().into_string().ok()).filter(|it| it.ends_with(".md"))
    {
        assert!(
            PAGES.contains(&format!("docs/{page}").as_str()),
            "docs/{page} has no test; add it to PAGES"
        );
    }
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in PAGES {
        for (line, target) in links(&read(page)) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = Path::new(page).parent().unwrap_or(Path::new(""));
            let path = if file.is_empty() { PathBuf::from(page) } else { folder.join(file) };
            let real = root().join(&path);
            let is_named = || {
                fs::read_to_string(&real)
                    .is_ok_and(|text| anchors(&text).iter().any(|it| it == anchor))
            };
            if !real.exists() || !anchor.is_empty() && !is_named() {
                wrong.push(format!("{page}, line {line}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn quotes_are_true() {
    for page in PAGES {
        for block in blocks_of(page) {
            match &block.fate {
                Fate::From(file) => {
                    let text = fs::read_to_string(root().join(file))
                        .unwrap_or_else(|error| panic!("{page}: {file}: {error}"));
                    if let Some(line) = misquoted(&text, &block.body) {
                        panic!("{page}, line {}: {file} does not say `{line}` there", block.line);
                    }
                }
                _ if block.language == "json" => {
                    let text = block.body.join("\n");
                    let read = serde_json::from_str::<serde_json::Value>(&text);
                    read.unwrap_or_else(|error| {
                        panic!("{page}, line {}: this is no JSON: {error}", block.line)
                    });
                }
                _ => {}
            }
        }
    }
}

/// The first line that does not follow the one before it in the text; after `...` alone, in a comment or not, anything may be left out.
fn misquoted<'a>(text: &str, quote: &'a [String]) -> Option<&'a str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_gap = |line: &String| ["...", "// ...", "# ..."].contains(&line.trim());
    let mut from = 0;
    for piece in quote.split(is_gap).filter(|it| it.iter().any(|line| !line.trim().is_empty())) {
        let fits = |at: &usize| {
            piece.iter().zip(&lines[*at..]).all(|(line, other)| line.trim() == *other)
                && at + piece.len() <= lines.len()
        };
        match (from..lines.len()).find(fits) {
            Some(at) => from = at + piece.len(),
            None => {
                return piece
                    .iter()
                    .map(String::as_str)
                    .find(|it| !lines.contains(&it.trim()))
                    .or(Some(&piece[0]))
            }
        }
    }
    None
}

#[test]
fn a_quote_is_held_against_its_file() {
    let quote = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let text = "a\n  b\nc\nd\n";
    assert_eq!(misquoted(text, &quote("b\nc")), None);
    assert_eq!(misquoted(text, &quote("a\n    // ...\nd")), None);
    assert_eq!(misquoted(text, &quote("a\nx")), Some("x"));
    assert_eq!(
        misquoted(text, &quote("a\nc")),
        Some("a"),
        "lines in between must be left out openly"
    );
    assert_eq!(misquoted(text, &quote("d\n...\na")), Some("a"));
    assert_eq!(misquoted(text, &quote("d\ne")), Some("e"));
}

#[test]
fn every_rule_of_the_simulator_is_a_promise() {
    let files = fs::read_dir(root().join("crates/sim/src/rules"))
        .expect("the rules can be listed")
        .flatten();
    let letters = |name: &str| name.split_once('_').map(|(letters, _)| letters.to_uppercase());
    let mut rules: Vec<String> = files.filter_map(|it| letters(it.file_name().to_str()?)).collect();
    let text = read("docs/concepts.md");
    let rows = text
        .lines()
        .filter_map(|it| it.strip_prefix("| ")?.split_once(" |"))
        .map(|(first, _)| first.to_owned());
    let is_rule = |it: &String| it.len() == 2 && it.ends_with(|it: char| it.is_ascii_digit());
    let mut told: Vec<String> = rows.filter(is_rule).collect();
    rules.sort();
    told.sort();
    assert_eq!(told, rules, "left: docs/concepts.md; right: crates/sim/src/rules");
}

#[test]
fn files_that_are_named_exist() {
    let mut wrong = Vec::new();
    for page in PAGES {
        let text = read(page);
        let names = text
            .lines()
            .filter(|it| !it.starts_with("```"))
            .flat_map(|line| line.split('`').skip(1).step_by(2));
        for name in names.filter(|it| {
            it.contains('/')
                && !it.contains(' ')
                && [".rs", ".proto", ".md", ".service", ".yml"].iter().any(|end| it.ends_with(end))
        }) {
            let name = name.trim_start_matches('/');
            if !root().join(name).exists()
                && !root().join("crates").join(name).exists()
                && !root().join("deploy").join(name).exists()
            {
                wrong.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these files do not exist:\n{}", wrong.join("\n"));
}

/// How many tests a text names, each of which is one.
fn tests_named_in(text: &str) -> usize {
    let named = text.split('`').filter_map(|it| it.split_once(".rs::"));
    let is_test = |(file, name): &(&str, &str)| {
        let text = read(&format!("{file}.rs"));
        let (before, _) = text.split_once(&format!("fn {name}(")).unwrap_or_default();
        let above = before.trim_end_matches("async ").trim_end();
        above.ends_with("test]")
    };
    let (named, wrong): (Vec<_>, Vec<_>) = named.partition(is_test);
    assert!(wrong.is_empty(), "these are no tests: {wrong:?}");
    named.len()
}

/// Every test that the page of scars names is a test.
#[test]
fn every_scar_has_its_test() {
    let named = tests_named_in(&read("docs/scars.md"));
    assert!(50 < named, "the page names {named} tests");
}

/// Each test of Mesos in the table has its like here, or a reason why not, and the counts above it are true.
#[test]
fn every_row_of_the_parity_table_has_its_test_or_a_reason() {
    let page = read("docs/parity.md");
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(str::to_owned).collect();
    let rows: Vec<Vec<String>> =
        page.lines().filter(|it| it.starts_with("| ")).map(cells).collect();
    let rows: Vec<_> = rows.iter().filter(|it| it[0].trim().parse::<usize>().is_ok()).collect();
    let is_proved = |row: &&&Vec<String>| {
        let here = row[3].trim();
        let proved = 0 < tests_named_in(here);
        let is_reason = here.starts_with("Not yet: ") || here.starts_with("Not so: ");
        assert!(proved != is_reason, "{}: neither a test nor a reason, or both", row[0]);
        proved
    };
    let has_star = |row: &&&Vec<String>| row[1].trim() == "★";
    let numbers: Vec<usize> = rows.iter().map(|it| it[0].trim().parse().unwrap()).collect();
    assert_eq!(numbers, (1..=140).collect::<Vec<_>>(), "a row is missing, or stands elsewhere");
    let said = format!(
        "Of {} rows {} are proved here, of the {} with a star {}.",
        rows.len(),
        rows.iter().filter(is_proved).count(),
        rows.iter().filter(has_star).count(),
        rows.iter().filter(has_star).filter(is_proved).count(),
    );
    assert!(page.contains(&said), "the page does not say: {said}");
}

/// The dependencies that `cargo xtask tidy` allows, as its source has them.
#[test]
fn the_map_has_the_dependencies_that_are_allowed() {
    let quoted =
        |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<String>>();
    let source = read("crates/xtask/src/tidy/dependencies.rs");
    let list = source
        .split("const CRATES")
        .nth(1)
        .and_then(|it| it.split("\n];").next())
        .expect("xtask has a table of crates");
    let kept: Vec<Vec<String>> = list.split("entry(").skip(1).map(quoted).collect();
    let crates: Vec<&String> = kept.iter().map(|it| &it[0]).collect();
    let map = read("crates/README.md");
    let rows = map.lines().filter(|it| it.starts_with("| `") && it.matches(" | ").count() == 3);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let words = cells[3]
            .split(|it: char| !it.is_ascii_alphabetic())
            .filter(|it| crates.iter().any(|name| name == it));
        std::iter::once(cells[0].trim().trim_matches('`').to_owned())
            .chain(words.map(str::to_owned))
            .collect::<Vec<String>>()
    };
    let sorted = |mut row: Vec<String>| {
        row[1..].sort();
        row
    };
    let told: Vec<Vec<String>> = rows.map(row).map(sorted).collect();
    assert_eq!(
        told,
        kept.iter().cloned().map(sorted).collect::<Vec<_>>(),
        "left: crates/README.md; right: crates/xtask/src/tidy/dependencies.rs"
    );
}
