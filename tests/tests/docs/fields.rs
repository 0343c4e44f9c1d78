//! The tables of fields in `docs/api.md` are those that a running master answers with: none is missing, none is invented.
//!
//! Relies on a cluster in which there is at least one of everything. Never reads our own types.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use holdfast_tests::calls::{self, command_task, cpus, disk, framework_info, mem, volume};
use holdfast_tests::http::{get, request, Connection};
use holdfast_tests::{until, Cluster, Scheduler};
use serde_json::{json, Value};

use super::read;

/// The lists of the native API.
const LISTS: [&str; 9] = [
    "agents",
    "disks",
    "claims",
    "ended-claims",
    "frameworks",
    "tasks",
    "offers",
    "roles",
    "trash",
];

/// The names in the first column of the table below a heading.
fn told(text: &str, name: &str) -> BTreeSet<String> {
    let heading = format!("### `{name}`\n");
    let section = text
        .split(&heading)
        .nth(1)
        .unwrap_or_else(|| panic!("docs/api.md has no section {}", heading.trim()));
    let section = section.split("\n#").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

/// All fields of a value; those of lists within it as `list[].field`.
fn fields(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (name, value) in value.as_object().expect("a row is an object") {
        all.insert(name.clone());
        if let Some(first) =
            value.as_array().and_then(|list| list.first()).filter(|it| it.is_object())
        {
            all.extend(fields(first).into_iter().map(|it| format!("{name}[].{it}")));
        }
    }
    all
}

/// A cluster with one of everything, and the scheduler that holds it so.
fn full_cluster() -> (Cluster, Scheduler) {
    let cluster = Cluster::start();
    cluster.claim_volume(0, "v", &disk(64.0, None));
    cluster.claim_volume(0, "gone", &disk(16.0, None));
    let destroyed = calls::destroy(&cluster.agent_id(0), &[volume(&disk(16.0, None), "gone")]);
    until("a volume is destroyed", || match cluster.call(&destroyed) {
        answer if answer.status == 202 => Ok(()),
        answer => Err(answer.text()),
    });
    let mut scheduler =
        Scheduler::subscribe(cluster.master.address(), &framework_info("f", 60.0), false);
    let offer = scheduler.offer_with("cpus", |it| it["name"] == "cpus");
    let agent = offer["agent_id"]["value"].as_str().expect("an offer names its agent").to_owned();
    let task = command_task("t", &agent, "sleep 600", &[cpus(0.1), mem(32.0)]);
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
    until("a task and an offer", || {
        let (tasks, offers) = (cluster.list("tasks"), cluster.list("offers"));
        let running = tasks.iter().any(|it| it["state"] == "TASK_RUNNING");
        if running && !offers.is_empty() {
            Ok(())
        } else {
            Err(format!("{tasks:?} {offers:?}"))
        }
    });
    (cluster, scheduler)
}

#[test]
fn tables_of_fields_are_true() {
    let (cluster, scheduler) = full_cluster();
    let text = read("docs/api.md");
    for name in LISTS {
        let rows = cluster.list(name);
        let first = rows.first().unwrap_or_else(|| panic!("there are no {name}"));
        assert_eq!(
            told(&text, name),
            fields(first),
            "left: docs/api.md; right: the master's {name}"
        );
    }
    let about = format!("/holdfast/v1/explain?about=f&resources=cpus:{}", 1_000_000);
    let answer = get(cluster.master.address(), &about).expect(200, "explain").json();
    let rows = |it: &BTreeSet<String>| {
        it.iter()
            .filter(|it| !it.starts_with("tasks[") && !it.starts_with("offers["))
            .cloned()
            .collect()
    };
    let real: BTreeSet<String> = rows(&fields(&answer));
    assert_eq!(
        told(&text, "explain"),
        real,
        "left: docs/api.md; right: the master's explain; {answer:#}"
    );
    let answer = get(cluster.master.address(), "/holdfast/v1/outlook?role=new");
    let rows = answer.expect(200, "outlook").json();
    assert_eq!(told(&text, "outlook"), fields(&rows[0]), "left: docs/api.md; right: {rows:#}");
    scheduler.hang_up();
}

/// The first column of the table in a section of `api.md`, and what its second column begins with.
fn calls_of(text: &str, heading: &str) -> Vec<(String, bool)> {
    let section = text
        .split(&format!("## {heading}\n"))
        .nth(1)
        .unwrap_or_else(|| panic!("docs/api.md has no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('|'));
    let calls = rows.flat_map(|(names, says)| {
        let served = !says.trim_start().starts_with("no");
        let names: Vec<String> = names
            .split('`')
            .map(str::trim)
            .filter(|it| !it.is_empty() && *it != ",")
            .map(str::to_owned)
            .collect();
        names.into_iter().map(move |it| (it, served))
    });
    calls.collect()
}

/// The names of all calls that Mesos has, from its messages.
fn all_calls(file: &str) -> BTreeSet<String> {
    let text = read(file);
    let list = text
        .split("enum Type {")
        .nth(1)
        .and_then(|it| it.split('}').next())
        .expect("a Call has types");
    let names = list
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.trim().to_owned());
    names.filter(|it| it != "UNKNOWN").collect()
}

/// The status of the answer to a call; one of them answers with a stream that has no end.
fn status(address: SocketAddr, call: &Value) -> u16 {
    let mut connection = Connection::open(address).expect("it listens");
    let headers = [("Content-Type", "application/json")];
    connection.send(&request("POST", "/api/v1", &headers, call.to_string().as_bytes()));
    connection.head().status
}

/// A call that is said to be served is never answered with 501, whatever else is wrong with it; any other is; and all are named.
#[test]
fn calls_that_are_said_to_be_served_are() {
    let cluster = Cluster::start();
    let text = read("docs/api.md");
    let sides = [
        (
            "Operator API of a master",
            "proto/mesos/v1/master/master.proto",
            cluster.master.address(),
        ),
        (
            "Operator API of an agent",
            "proto/mesos/v1/agent/agent.proto",
            cluster.agents[0].address(),
        ),
    ];
    for (heading, file, address) in sides {
        let calls = calls_of(&text, heading);
        let named: BTreeSet<String> = calls.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(named, all_calls(file), "left: docs/api.md, {heading}; right: {file}");
        for (name, served) in calls {
            let status = status(address, &json!({ "type": name }));
            assert_eq!(status != 501, served, "{heading}: {name}: {status}");
        }
    }
}

#[test]
fn tables_are_read() {
    let text = "## Calls\n\n| call | served |\n|---|---|\n| `A`, `B` | yes, x |\n| `C` | no: y |\n\n## Next\n| `D` | yes |\n";
    let expected =
        [("A", true), ("B", true), ("C", false)].map(|(name, served)| (name.to_owned(), served));
    assert_eq!(calls_of(text, "Calls"), expected);
    let text =
        "### `a`\n\n| f | m |\n|---|---|\n| `x` | y |\n| `z[].w` | v |\n\n### `b`\n| `n` | |\n";
    assert_eq!(told(text, "a"), ["x", "z[].w"].map(str::to_owned).into());
    assert_eq!(
        fields(&json!({ "a": 1, "b": [{ "c": 2 }], "d": [3] })),
        ["a", "b", "b[].c", "d"].map(str::to_owned).into()
    );
}
