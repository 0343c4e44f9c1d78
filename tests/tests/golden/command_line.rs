//! The command line: every list and sheet in every format, plans, reasons, ledgers, help, misuse, and last what changes something.
//!
//! Relies on the binary that the scene's processes run. Never has a terminal, and no settings but what is typed.

use std::process::{Command, Stdio};

use holdfast_tests::cluster::text;
use holdfast_tests::daemon::binary;

use super::book::{sorted_yaml, Book};
use super::layout::laid_out;
use super::normal::Known;
use super::scene::{wait_for_rows, Scene};

/// How long a call may take, in seconds, for the program `timeout`.
const LIMIT_S: &str = "20";
/// How data are written.
const FORMATS: [&str; 4] = ["table", "wide", "json", "yaml"];
/// Every verb that is shown to people.
const VERBS: [&str; 39] = [
    "",
    "master",
    "agent",
    "agent list",
    "agent show",
    "dev",
    "demo",
    "disk",
    "disk list",
    "claim",
    "claim list",
    "claim show",
    "reservation",
    "reservation create",
    "reservation remove",
    "volume",
    "volume create",
    "volume destroy",
    "framework",
    "framework list",
    "framework teardown",
    "task",
    "task list",
    "task logs",
    "task kill",
    "role",
    "role list",
    "offer",
    "offer list",
    "run",
    "explain",
    "ledger",
    "ledger show",
    "ledger check",
    "ledger export",
    "ledger import",
    "doctor",
    "completion",
    "complete-words",
];

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
    let foreign = std::env::vars().map(|(name, _)| name).filter(|it| it.starts_with("HOLDFAST_") || it == "RUST_LOG" || it == "COLUMNS");
    for name in foreign {
        command.env_remove(name);
    }
    if !master.is_empty() {
        command.env("HOLDFAST_ADDR", master);
    }
    let output = command.args(words).stdin(Stdio::null()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
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
    let out = if line.contains("-o json") {
        laid_out(&ran.out).unwrap_or_else(|| ran.out.clone())
    } else if line.contains("-o yaml") {
        sorted_yaml(&ran.out, &book.masking())
    } else {
        without_versions(&book.calm(&ran.out))
    };
    let remarks = if ran.err.is_empty() { String::new() } else { format!("\nremarks:\n{}", book.calm(&ran.err)) };
    let body = format!("exit code {}\n{}{remarks}", ran.code, out.trim_end_matches('\n'));
    book.put(&format!("holdfast {}", line.replace('_', " ")), &body);
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
        FORMATS.iter().for_each(|format| record(&mut book, &master, &format!("{noun} list -o {format}")));
        record(&mut book, &master, &format!("{noun} list -q"));
    }
    for line in [
        "claim list --role db",
        "claim list --volumes",
        "claim list --unclaimed",
        "claim list --agent agent0",
        "claim list --agent S1 --role tmp",
        "claim list --role nobody",
        "claim list --role nobody -o json",
        "claim list --role nobody -o yaml",
        "task list --live",
        "task list --framework runner",
        "task list --framework holder",
        "disk list --agent agent1",
    ] {
        record(&mut book, &master, line);
    }
    book
}

/// Sheets, reasons, files of tasks, plans.
pub fn sheets(scene: &Scene) -> Book {
    let mut book = Book::new("command-line-sheets.txt", "The command line: sheets, reasons, files of tasks, plans", &scene.known);
    let master = scene.cluster.master.address().to_string();
    let mut record = |line: &str| record(&mut book, &master, line);
    for line in [
        "agent show agent0",
        "agent show S1",
        "claim show data-0",
        "claim show spare",
        "explain runner",
        "explain holder",
        "explain keeper",
    ] {
        FORMATS.iter().for_each(|format| record(&format!("{line} -o {format}")));
        record(&format!("{line} -q"));
    }
    for line in [
        "explain decliner",
        "explain sleeper",
        "explain gone",
        "explain done",
        "explain unseen",
        "explain holder --resources cpus:1",
        "explain holder --resources cpus:1000",
        "explain runner --resources cpus:1",
        "task logs server",
        "task logs server --only stdout",
        "task logs server --only stderr",
        "complete-words -- agent show S",
        "complete-words -- claim show ",
        "complete-words -- task kill k",
        "complete-words -- framework teardown ",
        "complete-words -- nonsense ",
    ] {
        record(line);
    }
    for line in [
        "reservation create cpus:1;mem:64 --agent agent0 --role db --plan",
        "reservation create cpus:1 --agent S0 --role db/team --principal me --label k=v --plan",
        "volume create new --agent agent1 --role db --size 50MiB --plan",
        "volume destroy spare --plan",
        "reservation remove cpus:0.25 --agent agent0 --role db --plan",
        "framework teardown runner --plan",
        "task kill keeper --plan",
    ] {
        ["table", "json", "yaml"].iter().for_each(|format| record(&format!("{line} -o {format}")));
        record(&format!("{line} -q"));
    }
    book
}

/// What is typed wrong, or cannot be.
pub fn misuse(scene: &Scene) -> Book {
    let mut book = Book::new("command-line-misuse.txt", "The command line: what is typed wrong, or cannot be", &scene.known);
    let master = scene.cluster.master.address().to_string();
    for line in [
        "nonsense",
        "agent lst",
        "agent show",
        "agent show nobody",
        "agent show S",
        "agent list -o xml",
        "role list --timeout 5",
        "claim show nobody",
        "claim list --agent nobody",
        "claim list --watch=x",
        "task kill",
        "task kill nobody -y",
        "task kill done -y",
        "task kill keeper",
        "task kill keeper --framework holder -y",
        "task logs nobody",
        "task list --framework nobody",
        "framework teardown nobody -y",
        "framework teardown runner",
        "framework teardown gone -y",
        "volume destroy spare",
        "volume destroy nobody -y",
        "volume destroy data-0 -y",
        "volume create",
        "volume create v --agent agent0 --role db --size big",
        "volume create a/b --agent agent0 --role db --size 1MiB",
        "volume create spare --agent 127.0.0.1 --role db --size 1MiB",
        "volume create v --agent agent0 --role db --size 1TiB",
        "reservation create nonsense --agent agent0 --role db",
        "reservation create cpus:1 --agent nobody --role db",
        "reservation create cpus:1000 --agent agent0 --role db",
        "reservation create cpus:1 --agent agent0 --role a_b",
        "reservation create cpus:1 --agent agent0 --role *",
        "reservation remove cpus:1000 --agent agent0 --role db -y",
        "reservation remove cpus:1 --agent agent0 -y",
        "reservation remove cpus:1 --agent agent0 --role db",
        "reservation remove spare -y",
        "explain nobody",
        "explain",
        "explain runner --resources nonsense",
        "run sleep",
        "run --cpus x -- true",
        "completion nonsense",
        "ledger show",
        "doctor --disk nonsense",
        "agent list --master nonsense",
        "agent list --master 127.0.0.1:1",
        "agent list --master 127.0.0.1:1 -o json",
        "agent list --master 127.0.0.1:1 -q",
        "master --port x",
        "master --allocation-policy nonsense --port 0 --dir /dev/null/x",
        "agent --port 1 list",
    ] {
        record(&mut book, &master, line);
    }
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
    for verb in VERBS {
        record_help(&mut book, &format!("{verb} --help"));
    }
    for line in ["--version", "-h", "completion bash", "completion zsh", "completion fish"] {
        record_help(&mut book, line);
    }
    book
}

/// Help is recorded as it is, with its columns.
fn record_help(book: &mut Book, line: &str) {
    let Ran { out, err, code } = run(&line.split_whitespace().collect::<Vec<_>>(), "");
    let out = if line.starts_with("completion") { format!("{} lines", out.lines().count()) } else { out };
    book.put(&format!("holdfast {}", line.trim()), &format!("exit code {code}\n{out}{err}"));
}

/// What changes something: the scene is not the same afterwards.
pub fn changes(scene: &Scene) -> Book {
    let mut book = Book::new("command-line-changes.txt", "The command line: what changes something, in this order", &scene.known);
    let master = scene.cluster.master.address().to_string();
    let mut record = |line: &str| {
        let ran = run_line(line, &master);
        // What was made by it is shown by the first digits of its id.
        scene.cluster.list("claims").iter().for_each(|it| book.learn(it["id"].as_str().unwrap()));
        put(&mut book, line, &ran);
    };
    for line in [
        "reservation create cpus:0.5;mem:64 --agent agent1 --role db --principal me -o json",
        "volume create new --agent agent1 --role db --size 50MiB",
        "volume create quiet --agent agent1 --role db --size 20MiB -q",
        "volume destroy new -y",
        "volume destroy quiet -y -q",
        "reservation remove cpus:0.5 --agent agent1 --role db -y",
        "task kill server -y",
    ] {
        record(line);
    }
    wait_for_rows(&scene.cluster, "tasks", |rows| rows.iter().any(|it| it["id"] == "server" && it["state"] == "TASK_KILLED"));
    for line in [
        "task kill server -y",
        "framework teardown decliner -y",
        "framework teardown holder -y",
        "framework list",
        "run --cpus 3.9 --mem 32 -- sh -c echo_out;echo_err_>&2;exit_3",
    ] {
        record(line);
    }
    book
}
