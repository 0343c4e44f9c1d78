//! The command line: every list and sheet in every format, plans, reasons, ledgers, help, misuse, and last what changes something.
//!
//! Relies on the binary that the scene's processes run. Never has a terminal, and no settings but what is typed.

use std::process::{Command, Stdio};

use holdfast_tests::cluster::text;
use holdfast_tests::daemon::binary;

use serde_json::Value;

use super::book::{sorted_yaml, Book};
use super::layout::laid_out;
use super::lines;
use super::normal::Known;
use super::scene::Scene;
use super::steps::wait_for_rows;

/// How long a call may take, in seconds, for the program `timeout`.
const LIMIT_S: &str = "20";
/// How data are written.
const FORMATS: [&str; 4] = ["table", "wide", "json", "yaml"];

/// What a call of the binary wrote, and how it ended.
struct Ran {
    out: String,
    err: String,
    code: i32,
}

/// Calls the binary.
fn run(words: &[&str], master: &str) -> Ran {
    // A call that waits for ever must show in its golden file, and not stop the test.
    let mut command = Command::new("timeout");
    command.arg(LIMIT_S).arg(binary());
    let foreign = std::env::vars()
        .map(|(name, _)| name)
        .filter(|it| it.starts_with("HOLDFAST_") || it == "RUST_LOG" || it == "COLUMNS");
    for name in foreign {
        command.env_remove(name);
    }
    if !master.is_empty() {
        command.env("HOLDFAST_ADDR", master);
    }
    let output = command.args(words).stdin(Stdio::null()).output().unwrap();
    // The binary calls itself by the name of its file, whatever that is.
    let name = binary().file_name().unwrap().to_string_lossy().into_owned();
    let [out, err] = [output.stdout, output.stderr]
        .map(|it| String::from_utf8_lossy(&it).replace(&name, "holdfast"));
    Ran { out, err, code: output.status.code().unwrap_or(-1) }
}

/// Runs a line and records it.
fn record(book: &mut Book, master: &str, line: &str) {
    put(book, line, &run_line(line, master));
}

/// Runs a line; words are separated by blanks, `_` stands for a blank within a word.
fn run_line(line: &str, master: &str) -> Ran {
    let words: Vec<String> = line.split_whitespace().map(|it| it.replace('_', " ")).collect();
    run(&words.iter().map(String::as_str).collect::<Vec<_>>(), master)
}

/// Records what a line wrote.
fn put(book: &mut Book, line: &str, ran: &Ran) {
    let out = if line.starts_with("ledger ") { without_points(&ran.out) } else { ran.out.clone() };
    let out = if line.contains("-o json") {
        laid_out(&out).unwrap_or(out)
    } else if line.contains("-o yaml") {
        sorted_yaml(&out, &book.masking())
    } else {
        without_versions(&book.calm(&out))
    };
    let remarks = if ran.err.is_empty() {
        String::new()
    } else {
        format!("\nremarks:\n{}", book.calm(&ran.err))
    };
    let body = format!("exit code {}\n{}{remarks}", ran.code, out.trim_end_matches('\n'));
    book.put(&format!("holdfast {}", line.replace('_', " ")), &body);
}

/// Records of an agent's ledger without those that are one for each version that masters were told of, which depend on what happens to be
/// written together.
fn without_points(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(mut records)) => {
            records.retain(|it| it["tree"] != "points");
            Value::Array(records).to_string()
        }
        Ok(mut sheet) => {
            if let Some(count) = sheet.pointer_mut("/records/points") {
                *count = "some".into();
            }
            sheet.to_string()
        }
        Err(_) => {
            let lines = text.lines().filter(|it| !it.starts_with("points/"));
            lines.map(|it| format!("{it}\n")).collect()
        }
    }
}

/// A table without the versions of ledgers, which depend on what happens to be written together.
fn without_versions(table: &str) -> String {
    let cells = |line: &str| line.split("  ").map(str::to_owned).collect::<Vec<_>>();
    let titles = cells(table.lines().next().unwrap_or_default());
    let Some(column) = titles.iter().position(|it| it == "LEDGER") else { return table.to_owned() };
    let row = |line: &str| {
        let mut cells = cells(line);
        if cells.get(column).is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit())) {
            cells[column] = "<version>".to_owned();
        }
        cells.join("  ")
    };
    table.lines().map(row).collect::<Vec<_>>().join("\n")
}

/// Lists, in every format.
pub fn lists(scene: &Scene) -> Book {
    let mut book = Book::new("command-line-lists.txt", "The command line: lists", &scene.known);
    let master = scene.cluster.master.address().to_string();
    for noun in ["agent", "disk", "claim", "framework", "task", "role", "offer"] {
        FORMATS
            .iter()
            .for_each(|format| record(&mut book, &master, &format!("{noun} list -o {format}")));
        record(&mut book, &master, &format!("{noun} list -q"));
    }
    lines::LISTS.lines().for_each(|line| record(&mut book, &master, line));
    book
}

/// Sheets, reasons, files of tasks, plans.
pub fn sheets(scene: &Scene) -> Book {
    let mut book = Book::new(
        "command-line-sheets.txt",
        "The command line: sheets, reasons, files of tasks, plans",
        &scene.known,
    );
    let master = scene.cluster.master.address().to_string();
    let mut record = |line: &str| record(&mut book, &master, line);
    for line in lines::SHEETS.lines() {
        FORMATS.iter().for_each(|format| record(&format!("{line} -o {format}")));
        record(&format!("{line} -q"));
    }
    lines::READINGS.lines().for_each(&mut record);
    for line in lines::PLANS.lines() {
        ["table", "json", "yaml"].iter().for_each(|format| record(&format!("{line} -o {format}")));
        record(&format!("{line} -q"));
    }
    book
}

/// What is typed wrong, or cannot be.
pub fn misuse(scene: &Scene) -> Book {
    let mut book = Book::new(
        "command-line-misuse.txt",
        "The command line: what is typed wrong, or cannot be",
        &scene.known,
    );
    let master = scene.cluster.master.address().to_string();
    lines::MISUSE.lines().for_each(|line| record(&mut book, &master, line));
    let nowhere = text(&scene.cluster.path("nowhere"));
    for verb in ["show", "check", "export"] {
        record(&mut book, &master, &format!("ledger {verb} --dir {nowhere}"));
    }
    record(&mut book, &master, &format!("ledger import --dir {nowhere} --from {nowhere}"));
    book
}

/// The ledgers of the master and an agent, which both have open.
pub fn ledgers(scene: &Scene) -> Book {
    let mut book = Book::new("command-line-ledgers.txt", "The command line: ledgers", &scene.known);
    for (name, trees) in [("master", ["cluster", "claims"]), ("agent0", ["identity", "tasks"])] {
        let dir = text(&scene.cluster.path(name));
        record(&mut book, "", &format!("ledger show --dir {dir} -o json"));
        record(&mut book, "", &format!("ledger check --dir {dir} -o json"));
        record(&mut book, "", &format!("ledger show --dir {dir} -q"));
        for tree in trees {
            record(&mut book, "", &format!("ledger show --dir {dir} --tree {tree} -o yaml"));
        }
    }
    book
}

/// Help of every verb.
pub fn help() -> Book {
    let mut book = Book::new("command-line-help.txt", "The command line: help", &Known::default());
    for line in std::iter::once("").chain(lines::VERBS.lines()).map(|verb| format!("{verb} --help"))
    {
        record_help(&mut book, &line);
    }
    for line in ["--version", "-h", "completion bash", "completion zsh", "completion fish"] {
        record_help(&mut book, line);
    }
    book
}

/// Help is recorded as it is, with its columns.
fn record_help(book: &mut Book, line: &str) {
    let Ran { out, err, code } = run(&line.split_whitespace().collect::<Vec<_>>(), "");
    book.put(&format!("holdfast {}", line.trim()), &format!("exit code {code}\n{out}{err}"));
}

/// What changes something: the scene is not the same afterwards.
pub fn changes(scene: &Scene) -> Book {
    let mut book = Book::new(
        "command-line-changes.txt",
        "The command line: what changes something, in this order",
        &scene.known,
    );
    let master = scene.cluster.master.address().to_string();
    let mut record = |line: &str| {
        let ran = run_line(line, &master);
        // What was made by it is shown by the first digits of its id.
        scene.cluster.list("claims").iter().for_each(|it| book.learn(it["id"].as_str().unwrap()));
        put(&mut book, line, &ran);
    };
    lines::CHANGES.lines().for_each(&mut record);
    wait_for_rows(&scene.cluster, "tasks", |rows| {
        rows.iter().any(|it| it["id"] == "server" && it["state"] == "TASK_KILLED")
    });
    lines::CHANGES_AFTER_THE_END.lines().for_each(&mut record);
    book
}
