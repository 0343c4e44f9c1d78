//! What `deploy/` and the tables of settings name exists: flags, environment variables, metrics.
//!
//! Relies on the binary's own help, and on what a running master and agent say of themselves. Never trusts a name because it looks right.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use holdfast_tests::calls;
use holdfast_tests::http::get;
use holdfast_tests::{until, Cluster};

use super::{read, root};

/// What metrics' names begin with.
const FAMILIES: [&str; 5] = ["allocator_", "holdfast_", "master_", "slave_", "wire_"];
/// Settings that everything of ours understands, though its help does not say so.
const EVERYWHERE: [&str; 1] = ["RUST_LOG"];

fn help(verb: &str) -> String {
    let output = Command::new(holdfast_tests::daemon::binary())
        .args([verb, "--help"])
        .env("COLUMNS", "1000")
        .output()
        .expect("holdfast runs");
    assert!(
        output.status.success(),
        "holdfast {verb} --help: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Words that begin like this, and go on with these characters.
fn words(text: &str, begin: &str, more: impl Fn(char) -> bool) -> BTreeSet<String> {
    let is_word = |it: char| more(it) || begin.contains(it);
    text.split(|it: char| !is_word(it))
        .filter(|it| it.starts_with(begin) && begin.len() < it.len())
        .map(str::to_owned)
        .collect()
}

fn flags(text: &str) -> BTreeSet<String> {
    let found = words(text, "--", |it| it.is_ascii_lowercase());
    found.into_iter().filter(|it| it.contains(|letter: char| letter.is_ascii_lowercase())).collect()
}

/// The flags of a help text; what its sentences name is not among them.
fn options(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start).filter(|it| it.starts_with('-'));
    lines
        .filter_map(|it| it.split(' ').find(|word| word.starts_with("--")))
        .map(str::to_owned)
        .collect()
}

fn variables(text: &str) -> BTreeSet<String> {
    words(text, "HOLDFAST_", |it| it.is_ascii_uppercase() || it == '_')
}

fn files(end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(root().join("deploy"))
        .expect("deploy can be listed")
        .flatten()
        .map(|it| it.path());
    let mut found: Vec<PathBuf> = all.filter(|it| it.to_string_lossy().ends_with(end)).collect();
    found.sort();
    found
}

#[test]
fn units_start_what_exists() {
    let units = files(".service");
    assert_eq!(units.len(), 3);
    for unit in units {
        let text = fs::read_to_string(&unit).expect("it was listed");
        let line = text
            .lines()
            .find_map(|it| it.strip_prefix("ExecStart=/usr/bin/holdfast "))
            .unwrap_or_else(|| panic!("{}: no ExecStart", unit.display()));
        let verb = line.split(' ').next().unwrap_or_default();
        let known = help(verb);
        assert!(flags(line).is_subset(&options(&known)), "{}: {line}", unit.display());
        assert!(
            variables(&text).is_subset(&variables(&known)),
            "{}: {:?}",
            unit.display(),
            variables(&text)
        );
        let needed: &[&str] = match verb {
            "agent" => &["KillMode=process", "Delegate=yes", "Restart=on-failure"],
            _ => &["User=holdfast", "Restart=on-failure"],
        };
        assert!(
            needed.iter().all(|it| text.lines().any(|line| line == *it)),
            "{} lacks one of {needed:?}",
            unit.display()
        );
    }
}

#[test]
fn settings_exist_and_are_all_named() {
    for (verb, page) in
        [("master", "deploy/master.env.example"), ("agent", "deploy/agent.env.example")]
    {
        let known = variables(&help(verb));
        let lines: Vec<String> = read(page).lines().map(str::to_owned).collect();
        for line in lines
            .iter()
            .filter_map(|it| it.trim_start_matches('#').split_once('='))
            .map(|(name, _)| name)
        {
            let is_setting = line.chars().all(|it| it.is_ascii_uppercase() || it == '_');
            assert!(
                !is_setting || known.contains(line) || EVERYWHERE.contains(&line),
                "{page}: there is no {line}"
            );
        }
    }
}

/// The rows of the tables of flags in `operate.md`, by verb.
#[test]
fn every_setting_is_documented() {
    let text = read("docs/operate.md");
    for verb in ["master", "agent"] {
        let section = text
            .split(&format!("### `holdfast {verb}`"))
            .nth(1)
            .unwrap_or_else(|| panic!("no settings of {verb} in operate.md"));
        let section = section.split("\n#").next().unwrap_or_default();
        let (told, real) = (flags(section), options(&help(verb)));
        let everywhere: BTreeSet<String> =
            ["--help", "--master", "--output", "--timeout", "--quiet"].map(str::to_owned).into();
        let forgotten: Vec<&String> =
            real.difference(&told).filter(|it| !everywhere.contains(*it)).collect();
        let invented: Vec<&String> = told.difference(&real).collect();
        assert!(
            forgotten.is_empty() && invented.is_empty(),
            "{verb}: not documented {forgotten:?}, not there {invented:?}"
        );
    }
}

fn metrics(text: &str) -> BTreeSet<String> {
    let more = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    FAMILIES.iter().flat_map(|family| words(text, family, more)).collect()
}

#[test]
fn metrics_that_are_named_exist() {
    let cluster = Cluster::start();
    // What is said of volumes is said when there is one that was measured.
    let (agent, piece) = (cluster.agent_id(0), calls::disk(10.0, None));
    let reserve = calls::reserve(&agent, &[calls::reserved(&piece)]);
    cluster.call(&reserve).expect(202, "RESERVE");
    let create = calls::create(&agent, &[calls::volume(&piece, "measured")]);
    cluster.call(&create).expect(202, "CREATE");
    let real = until("metrics of a leader and of a volume", || {
        let (master, agent) = (
            get(cluster.master.address(), "/metrics"),
            get(cluster.agents[0].address(), "/metrics"),
        );
        let text = master.text() + &agent.text();
        let names: BTreeSet<String> = text
            .lines()
            .filter(|it| it.starts_with("# TYPE "))
            .filter_map(|it| it.split(' ').nth(2))
            .map(str::to_owned)
            .collect();
        if names.contains("master_elected") && names.contains("holdfast_volume_used_bytes") {
            Ok(names)
        } else {
            Err(text)
        }
    });
    for page in ["deploy/prometheus/alerts.yml", "docs/operate.md"] {
        let text = read(page);
        // Prose names other things too; metrics are code.
        let code: String = match page.ends_with(".md") {
            true => text
                .split("## Metrics")
                .nth(1)
                .and_then(|it| it.split("\n## ").next())
                .expect("operate.md has a section on metrics")
                .to_owned(),
            false => text
                .lines()
                .filter(|it| it.trim_start().starts_with("expr:"))
                .collect::<Vec<_>>()
                .join("\n"),
        };
        let named = metrics(&code);
        assert!(5 < named.len(), "{page} names only {named:?}");
        let invented: Vec<&String> = named.difference(&real).collect();
        assert!(invented.is_empty(), "{page}: there are no {invented:?}; there are {real:#?}");
    }
}

#[test]
fn names_are_found_in_text() {
    assert_eq!(
        flags("|---| use --a-b, `--c`; not - or --"),
        ["--a-b", "--c"].map(str::to_owned).into()
    );
    assert_eq!(
        options("  -a, --b <B>\n     Goes with --c\n      --d\n"),
        ["--b", "--d"].map(str::to_owned).into()
    );
    assert_eq!(variables("[env: HOLDFAST_IP=] HOLDFAST_"), ["HOLDFAST_IP".to_owned()].into());
    assert_eq!(
        metrics("sum(master_elected) / up{job=\"a\"}"),
        ["master_elected".to_owned()].into()
    );
}
