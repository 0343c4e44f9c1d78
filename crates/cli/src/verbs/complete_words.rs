//! `complete-words`: which living things could be meant by the word that is being typed; asked by the scripts of `completion`.
//!
//! Relies on the masters for what there is. Never says anything but candidates, one a line: not when no master answers, not when the line makes
//! no sense; and never lets a person who typed TAB wait.

use std::time::Duration;

use holdfast_wire::{ClientSettings, MesosClient};
use serde_json::Value;

use super::choose::{Kind, AGENT, CLAIM, DISK, FRAMEWORK, TASK};
use super::master_api::MasterApi;
use super::Context;
use crate::output::{ids, Row};

/// How long a master may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many candidates are of any use.
const CANDIDATES_MAX: usize = 200;

/// The line so far.
#[derive(Clone, Debug, clap::Args)]
pub struct CompleteWordsArgs {
    /// The words behind `holdfast`; the last one is not complete.
    #[arg(last = true)]
    pub words: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// When nobody reads it.
pub async fn run(context: &Context, args: &CompleteWordsArgs) -> anyhow::Result<i32> {
    let Some((begun, before)) = args.words.split_last() else { return Ok(0) };
    let settings = ClientSettings {
        call_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..ClientSettings::default()
    };
    let named = value_of(before, "--master").map(|it| it.split(',').map(str::to_owned).collect());
    let master = MasterApi::new(
        MesosClient::new(settings),
        named.unwrap_or_else(|| context.master.addresses().to_vec()),
    );
    let mut found = Vec::new();
    for wanted in wanted(before) {
        let rows = tokio::time::timeout(PATIENCE, master.rows(wanted.page)).await;
        found.extend(names(&rows.ok().and_then(Result::ok).unwrap_or_default(), wanted));
    }
    found.retain(|it| it.starts_with(begun.as_str()));
    found.sort();
    found.dedup();
    found.truncate(CANDIDATES_MAX);
    context.console.put(&found.iter().map(|it| format!("{it}\n")).collect::<String>())?;
    Ok(0)
}

/// What is looked for: a list of the masters, what its rows are called by, and which of them count.
#[derive(Clone, Copy)]
struct Wanted {
    page: &'static str,
    kind: Kind,
    counts: fn(Row<'_>) -> bool,
}

const AGENTS: Wanted = Wanted { page: "agents", kind: AGENT, counts: |_| true };
const CLAIMS: Wanted = Wanted { page: "claims", kind: CLAIM, counts: |_| true };
const RESERVATIONS: Wanted =
    Wanted { page: "claims", kind: CLAIM, counts: |row| row.text("kind") != "volume" };
const VOLUMES: Wanted =
    Wanted { page: "claims", kind: CLAIM, counts: |row| row.text("kind") == "volume" };
const DISKS: Wanted = Wanted { page: "disks", kind: DISK, counts: |_| true };
const FRAMEWORKS: Wanted =
    Wanted { page: "frameworks", kind: FRAMEWORK, counts: |row| row.text("state") != "removed" };
const TASKS: Wanted = Wanted { page: "tasks", kind: TASK, counts: |_| true };
const LIVE_TASKS: Wanted = Wanted { page: "tasks", kind: TASK, counts: |row| !row.is("ended") };

/// What the word behind these could mean.
fn wanted(before: &[String]) -> &'static [Wanted] {
    match before.last().map(String::as_str) {
        Some("--agent") => return &[AGENTS],
        Some("--framework") => return &[FRAMEWORKS],
        Some("--disk") => return &[DISKS],
        _ => {}
    }
    let words: Vec<&str> = positional(before);
    match words.as_slice() {
        ["agent", "show"] => &[AGENTS],
        ["claim", "show"] => &[CLAIMS],
        ["reservation", "remove"] => &[RESERVATIONS],
        ["volume", "destroy"] => &[VOLUMES],
        ["framework", "teardown"] => &[FRAMEWORKS],
        ["task", "logs"] => &[TASKS],
        ["task", "kill"] => &[LIVE_TASKS],
        ["explain"] => &[FRAMEWORKS, TASKS],
        _ => &[],
    }
}

/// Flags that are followed by a value, of those that may stand with the verbs above.
const WITH_VALUE: [&str; 11] = [
    "--master",
    "-o",
    "--output",
    "--timeout",
    "--agent",
    "--framework",
    "--disk",
    "--role",
    "--only",
    "--tail",
    "--resources",
];

/// The words that are neither flags nor their values; nothing when the word to come is a value itself.
fn positional(before: &[String]) -> Vec<&str> {
    let mut words = Vec::new();
    let mut is_value = false;
    for word in before.iter().map(String::as_str) {
        if !std::mem::take(&mut is_value) {
            match word.starts_with('-') {
                true => is_value = WITH_VALUE.contains(&word),
                false => words.push(word),
            }
        }
    }
    if is_value {
        words.clear();
    }
    words
}

fn value_of<'a>(before: &'a [String], flag: &str) -> Option<&'a str> {
    before.windows(2).rev().find(|pair| pair[0] == flag).map(|pair| pair[1].as_str())
}

/// How the rows may be called: their ids, short where people write them short, and their names. What a shell would split is left out.
fn names(rows: &[Value], wanted: &Wanted) -> Vec<String> {
    let rows: Vec<Row<'_>> = rows.iter().map(Row).filter(|it| (wanted.counts)(*it)).collect();
    let all: Vec<&str> = rows.iter().map(|it| it.text("id")).collect();
    let shorts = ids::short_all(&all);
    let named = rows.iter().flat_map(|row| wanted.kind.names.iter().map(|field| row.text(field)));
    let safe = |it: &&str| {
        !it.is_empty() && it.chars().all(|it| it.is_alphanumeric() || "-_./:".contains(it))
    };
    shorts.into_iter().chain(named).filter(safe).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pages(line: &str) -> Vec<&'static str> {
        let before: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        wanted(&before).iter().map(|it| it.page).collect()
    }

    #[test]
    fn the_place_says_what_is_looked_for() {
        for (line, page) in [
            ("agent show", "agents"),
            ("-o json agent show", "agents"),
            ("claim show --watch", "claims"),
            ("volume destroy -y", "claims"),
            ("reservation remove", "claims"),
            ("framework teardown --master h:1", "frameworks"),
            ("task logs -f", "tasks"),
            ("task kill --framework f", "tasks"),
            ("claim list --agent", "agents"),
            ("task kill t --framework", "frameworks"),
            ("volume create v --disk", "disks"),
        ] {
            assert_eq!(pages(line), [page], "{line}");
        }
        assert_eq!(pages("explain"), ["frameworks", "tasks"]);
        for line in [
            "",
            "agent",
            "agent show S0",
            "agent list",
            "task logs --only",
            "run",
            "volume create",
            "explain f",
        ] {
            assert_eq!(pages(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn short_ids_and_names_are_offered() {
        let cluster = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";
        let rows = [
            json!({ "id": format!("{cluster}-S0"), "hostname": "one", "address": "one:5051" }),
            json!({ "id": format!("{cluster}-S1"), "hostname": "two $(rm)", "address": "" }),
        ];
        assert_eq!(names(&rows, &AGENTS), ["S0", "S1", "one", "one:5051"]);
        let rows = [
            json!({ "id": "a", "volume": "data-0", "kind": "volume" }),
            json!({ "id": "b", "kind": "reservation" }),
        ];
        assert_eq!(
            (names(&rows, &VOLUMES), names(&rows, &RESERVATIONS)),
            (vec!["a".to_owned(), "data-0".to_owned()], vec!["b".to_owned()])
        );
        assert_eq!(
            value_of(&["--master", "h:1", "agent"].map(str::to_owned), "--master"),
            Some("h:1")
        );
    }
}
