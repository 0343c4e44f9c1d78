//! `complete-words`: which living things could be meant by the word that is being typed; asked by the scripts of `completion`.
//!
//! Relies on the masters for what there is. Never says anything but candidates, one a line: not when no master answers, not when the line makes
//! no sense; and never lets a person who typed TAB wait.

use std::time::Duration;

use holdfast_api::rows::{
    AgentRow, ClaimKind, ClaimRow, DiskRow, FrameworkRow, FrameworkStanding, TaskRow, TrashRow,
};
use holdfast_quorum::Masters;
use holdfast_wire::{ClientSettings, MesosClient};

use super::choose::Named;
use super::master_api::MasterApi;
use super::rows::Received;
use super::Context;
use crate::output::ids;

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
    let named = value_of(before, "--master").map(|it| Masters::join(it.split(',')));
    let master = MasterApi::new(
        MesosClient::new(settings),
        named.unwrap_or_else(|| context.master.addresses().to_vec()),
    );
    let mut found = Vec::new();
    for wanted in wanted(before) {
        found.extend(wanted.ask(&master).await);
    }
    found.retain(|it| it.starts_with(begun.as_str()));
    found.sort();
    found.dedup();
    found.truncate(CANDIDATES_MAX);
    context.console.put(&found.iter().map(|it| format!("{it}\n")).collect::<String>())?;
    Ok(0)
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Agents,
    Claims,
    Reservations,
    Volumes,
    Disks,
    Frameworks,
    Tasks,
    LiveTasks,
    Trash,
}

impl Wanted {
    /// How they may be called.
    async fn ask(self, master: &MasterApi) -> Vec<String> {
        match self {
            Wanted::Agents => called::<AgentRow>(master, |_| true).await,
            Wanted::Claims => called::<ClaimRow>(master, |_| true).await,
            Wanted::Reservations => {
                called::<ClaimRow>(master, |it| it.kind != ClaimKind::Volume).await
            }
            Wanted::Volumes => called::<ClaimRow>(master, |it| it.kind == ClaimKind::Volume).await,
            Wanted::Disks => called::<DiskRow>(master, |_| true).await,
            Wanted::Frameworks => {
                called::<FrameworkRow>(master, |it| it.state != FrameworkStanding::Removed).await
            }
            Wanted::Tasks => called::<TaskRow>(master, |_| true).await,
            Wanted::LiveTasks => called::<TaskRow>(master, |it| !it.ended).await,
            Wanted::Trash => called::<TrashRow>(master, |it| !it.purging).await,
        }
    }
}

async fn called<T: Named>(master: &MasterApi, counts: impl Fn(&T) -> bool) -> Vec<String> {
    let rows = tokio::time::timeout(PATIENCE, master.rows::<T>()).await;
    let mut rows = rows.ok().and_then(Result::ok).unwrap_or_default();
    rows.retain(|it| counts(it));
    names(&rows)
}

/// What the word behind these could mean.
fn wanted(before: &[String]) -> &'static [Wanted] {
    match before.last().map(String::as_str) {
        Some("--agent") => return &[Wanted::Agents],
        Some("--framework") => return &[Wanted::Frameworks],
        Some("--disk") => return &[Wanted::Disks],
        _ => {}
    }
    let words: Vec<&str> = positional(before);
    match words.as_slice() {
        ["agent", "show" | "recover"] => &[Wanted::Agents],
        ["disk", "show" | "adopt" | "remove"] => &[Wanted::Disks],
        ["claim", "show" | "where" | "history" | "give-up"] => &[Wanted::Claims],
        ["reservation", "remove"] => &[Wanted::Reservations],
        ["volume", "destroy"] => &[Wanted::Volumes],
        ["volume", "undelete"] | ["trash", "restore" | "purge"] => &[Wanted::Trash],
        ["framework", "teardown"] => &[Wanted::Frameworks],
        ["service", "init" | "check" | "plan" | "run" | "update" | "list"] => &[],
        ["service", _] => &[Wanted::Frameworks],
        ["task", "logs"] => &[Wanted::Tasks],
        ["task", "kill"] => &[Wanted::LiveTasks],
        ["explain"] => &[Wanted::Frameworks, Wanted::Tasks],
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
fn names<T: Named>(rows: &[Received<T>]) -> Vec<String> {
    let all: Vec<&str> = rows.iter().map(|it| it.id()).collect();
    let shorts = ids::short_all(&all);
    let named = rows.iter().flat_map(|row| row.names());
    let safe = |it: &&str| {
        !it.is_empty() && it.chars().all(|it| it.is_alphanumeric() || "-_./:".contains(it))
    };
    shorts.into_iter().chain(named).filter(safe).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    fn looked_for(line: &str) -> Vec<Wanted> {
        let before: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        wanted(&before).to_vec()
    }

    #[test]
    fn the_place_says_what_is_looked_for() {
        for (line, thing) in [
            ("agent show", Wanted::Agents),
            ("-o json agent show", Wanted::Agents),
            ("disk remove", Wanted::Disks),
            ("disk adopt", Wanted::Disks),
            ("claim show --watch", Wanted::Claims),
            ("volume destroy -y", Wanted::Volumes),
            ("volume undelete --plan", Wanted::Trash),
            ("trash purge", Wanted::Trash),
            ("reservation remove", Wanted::Reservations),
            ("framework teardown --master h:1", Wanted::Frameworks),
            ("service show", Wanted::Frameworks),
            ("service pods -w", Wanted::Frameworks),
            ("task logs -f", Wanted::Tasks),
            ("task kill --framework f", Wanted::LiveTasks),
            ("claim list --agent", Wanted::Agents),
            ("task kill t --framework", Wanted::Frameworks),
            ("volume create v --disk", Wanted::Disks),
        ] {
            assert_eq!(looked_for(line), [thing], "{line}");
        }
        assert_eq!(looked_for("explain"), [Wanted::Frameworks, Wanted::Tasks]);
        for line in [
            "",
            "agent",
            "agent show S0",
            "service run",
            "service show s",
            "agent list",
            "task logs --only",
            "run",
            "volume create",
            "explain f",
        ] {
            assert_eq!(looked_for(line), [], "{line}");
        }
    }

    #[test]
    fn short_ids_and_names_are_offered() {
        let cluster = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";
        let agent = |tail: &str, hostname: &str, address: &str| -> Received<AgentRow> {
            let id = format!("{cluster}-{tail}");
            testbed::received(json!({ "id": id, "hostname": hostname, "address": address }))
        };
        let rows = [agent("S0", "one", "one:5051"), agent("S1", "two $(rm)", "")];
        assert_eq!(names(&rows), ["S0", "S1", "one", "one:5051"]);
        let claim = |id: &str, volume: Option<&str>| -> Received<ClaimRow> {
            testbed::received(json!({ "id": id, "volume": volume }))
        };
        assert_eq!(names(&[claim("a", Some("data-0")), claim("b", None)]), ["a", "b", "data-0"]);
        assert_eq!(
            value_of(&["--master", "h:1", "agent"].map(str::to_owned), "--master"),
            Some("h:1")
        );
    }
}
