//! What is said of the compatibility with Mesos is whole and true: `docs/compatibility.md` and the tables that it is made from.
//!
//! Relies on the descriptors of the messages, so that a field or a call that is new has to be spoken of. To write the page anew:
//! `HOLDFAST_GOLDEN=rewrite cargo test -p holdfast-tests --test compatibility`.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use holdfast_tests::calls::{command_task, cpus, framework_info, mem, ROLE};
use holdfast_tests::http::{ask, post};
use holdfast_tests::{Cluster, Scheduler};
use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};
use serde_json::{json, Value};

/// What comes in.
const CALLS: [&str; 4] = ["scheduler.Call", "executor.Call", "master.Call", "agent.Call"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rows of a table below its heading.
fn table(name: &str) -> Vec<Vec<String>> {
    let path = root().join("docs/compatibility").join(name);
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{}: {it}", path.display()));
    text.lines().skip(1).map(|it| it.split('\t').map(str::to_owned).collect()).collect()
}

/// All messages and enums of the Mesos v1 API, by their names below `mesos.v1`.
#[derive(Default)]
struct Descriptors {
    messages: BTreeMap<String, DescriptorProto>,
    enums: BTreeMap<String, EnumDescriptorProto>,
}

impl Descriptors {
    fn read() -> Descriptors {
        let files = FileDescriptorSet::decode(holdfast_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut all = Descriptors::default();
        for file in files.file {
            let Some(package) = file.package().strip_prefix("mesos.v1") else { continue };
            let package = package.trim_start_matches('.').to_owned();
            for message in file.message_type {
                all.take(&package, message);
            }
        }
        all
    }

    fn take(&mut self, above: &str, message: DescriptorProto) {
        let name =
            [above, message.name()].iter().filter(|it| !it.is_empty()).copied().collect::<Vec<_>>();
        let name = name.join(".");
        for inner in &message.nested_type {
            self.take(&name, inner.clone());
        }
        for inner in &message.enum_type {
            self.enums.insert(format!("{name}.{}", inner.name()), inner.clone());
        }
        self.messages.insert(name, message);
    }

    /// The message that a field holds; of a map, that of its values.
    fn within(&self, type_name: &str) -> Option<String> {
        let name = type_name.strip_prefix(".mesos.v1.")?;
        let message = self.messages.get(name)?;
        let is_map = message.options.as_ref().is_some_and(|it| it.map_entry());
        match message.field.iter().find(|it| is_map && it.name() == "value") {
            Some(value) => self.within(value.type_name()),
            None => Some(name.to_owned()),
        }
    }
}

#[test]
fn every_field_that_comes_in_is_applied_refused_by_name_or_informational() {
    let all = Descriptors::read();
    let rows = table("fields.tsv");
    let sorted = rows.windows(2).find(|it| it[1] <= it[0]);
    assert!(sorted.is_none(), "rows are sorted, and none comes twice: {sorted:?}");
    let known: BTreeMap<(&str, &str), &str> =
        rows.iter().map(|it| ((it[0].as_str(), it[1].as_str()), it[2].as_str())).collect();
    let (mut reached, mut missing) = (BTreeSet::new(), Vec::new());
    let mut left: Vec<String> = CALLS.iter().map(|it| (*it).to_owned()).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = left.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        for field in &all.messages[&name].field {
            let inner = all.within(field.type_name());
            match known.get(&(name.as_str(), field.name())) {
                None => missing.push(format!("{name}\t{}", field.name())),
                // What is refused or carried whole is not looked into.
                Some(&"applied") => left.extend(inner),
                Some(_) => {}
            }
            reached.insert((name.clone(), field.name().to_owned()));
        }
    }
    assert!(
        missing.is_empty(),
        "docs/compatibility/fields.tsv has no row for:\n{}",
        missing.join("\n")
    );
    for row in &rows {
        let key = (row[0].clone(), row[1].clone());
        assert!(
            reached.contains(&key),
            "nothing that comes in has the field {key:?}; take its row out"
        );
        assert!(["applied", "refused", "informational"].contains(&row[2].as_str()), "{row:?}");
        assert!(row[2] == "applied" || !row[3].is_empty(), "say why: {row:?}");
    }
}

#[test]
fn every_call_has_a_row() {
    let all = Descriptors::read();
    let rows = table("calls.tsv");
    let said: BTreeSet<(&str, &str)> =
        rows.iter().map(|it| (it[0].as_str(), it[1].as_str())).collect();
    let mut wanted = BTreeSet::new();
    for api in CALLS {
        let kinds = all.enums[&format!("{api}.Type")].value.iter();
        let api = api.trim_end_matches(".Call");
        wanted.extend(kinds.map(|it| it.name()).filter(|it| *it != "UNKNOWN").map(|it| (api, it)));
    }
    assert_eq!(said, wanted);
    for row in &rows {
        assert!(["works", "differs", "later"].contains(&row[2].as_str()), "{row:?}");
        assert!(row[2] == "works" || !row[3].is_empty(), "say why: {row:?}");
    }
}

#[test]
fn what_is_for_later_says_so_and_nothing_else_does() {
    let cluster = Cluster::start();
    let (master, agent) = (cluster.master.address(), cluster.agents[0].address());
    for row in table("calls.tsv") {
        let address = match row[0].as_str() {
            "master" => master,
            "agent" => agent,
            _ => continue, // Their streams are what other tests are about.
        };
        if row[1] == "SUBSCRIBE" {
            continue;
        }
        let answer = post(address, "/api/v1", &json!({ "type": row[1] }));
        assert_eq!(answer.status == 501, row[2] == "later", "{row:?}: {}", answer.text());
    }
    for row in table("endpoints.tsv") {
        let address = if row[0] == "master" { master } else { agent };
        let (method, path) = row[1].split_once(' ').unwrap();
        let answer = ask(address, method, path, &[], b"");
        let text = answer.text();
        match row[2].as_str() {
            "later" => assert_eq!(answer.status, 501, "{row:?}: {text}"),
            _ => {
                assert!(
                    ![404, 405, 501].contains(&answer.status) || row[3].contains("404"),
                    "{row:?}: {} {text}",
                    answer.status
                );
            }
        }
    }
}

/// A task's container, or its command's variables, and the field that its TASK_ERROR names.
fn refused_tasks() -> Vec<(&'static str, Value, &'static str)> {
    let mesos = |name: &str, value: Value| json!({ "type": "MESOS", name: value });
    vec![
        ("container", mesos("hostname", json!("h")), "container.hostname"),
        (
            "container",
            mesos(
                "rlimit_info",
                json!({"rlimits": [{"type": "RLMT_NOFILE", "soft": 9, "hard": 8}]}),
            ),
            "container.rlimit_info.rlimits[0].soft",
        ),
        (
            "container",
            mesos("linux_info", json!({"effective_capabilities": {"capabilities": ["NET_RAW"]}})),
            "container.linux_info.effective_capabilities",
        ),
        (
            "container",
            mesos("linux_info", json!({"share_pid_namespace": false})),
            "container.linux_info.share_pid_namespace",
        ),
        (
            "container",
            mesos("network_infos", json!([{"groups": ["web"]}])),
            "container.network_infos[0].groups",
        ),
        (
            "command",
            json!({"value": "true", "environment": {"variables": [
                {"name": "PW", "type": "SECRET", "secret": {"type": "REFERENCE", "reference": {"name": "s"}}}]}}),
            "command.environment.variables[0].secret",
        ),
    ]
}

#[test]
fn what_a_task_does_not_get_is_named_in_its_status() {
    let cluster = Cluster::start();
    let (master, agent) = (cluster.master.address(), cluster.agent_id(0));
    let mut scheduler = Scheduler::subscribe(master, &framework_info("f", 60.0), false);
    for (index, (field, value, named)) in refused_tasks().into_iter().enumerate() {
        let offer = scheduler.offer_with("processor", |it| it.to_string().contains("cpus"));
        let id = format!("t{index}");
        let mut task = command_task(&id, &agent, "true", &[cpus(0.5), mem(64.0)]);
        task[field] = value;
        scheduler.accept(&offer, json!([{"type": "LAUNCH", "launch": {"task_infos": [task]}}]));
        let status = scheduler.status(&id);
        assert_eq!(status["state"], "TASK_ERROR", "{named}: {status}");
        assert!(status["message"].as_str().unwrap().contains(named), "{named}: {status}");
    }
}

#[test]
fn d8_d10_d13_what_a_framework_may_not_say_is_refused_before_anything_else() {
    let cluster = Cluster::start();
    let master = cluster.master.address();
    for seconds in [json!(604_800_000_000_000_u64), json!(1e300), json!(-1)] {
        let mut info = framework_info("f", 60.0);
        info["failover_timeout"] = seconds.clone();
        let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
        let said = post(master, "/api/v1/scheduler", &call).expect(200, "D8").text();
        let told = said.contains("ERROR") && said.contains("failover_timeout");
        assert!(told, "D8, D10: {seconds}: {said}");
    }
    let scheduler = Scheduler::subscribe(master, &framework_info("f", 60.0), true);
    let id = scheduler.framework_id.clone();
    let update = |name: &str, value: Value| {
        let mut info = framework_info("f", 60.0);
        info["id"] = json!({ "value": id });
        info[name] = value;
        let update = json!({ "framework_info": info, "suppressed_roles": [ROLE] });
        scheduler.call(json!({"type": "UPDATE_FRAMEWORK", "update_framework": update}))
    };
    for (name, value) in
        [("user", json!("nobody")), ("checkpoint", json!(false)), ("principal", json!("other"))]
    {
        let said = update(name, value).expect(400, "D13").text();
        assert!(said.contains(name), "D13: {said}");
    }
    update("name", json!("renamed")).expect(200, "D13");
}

#[test]
fn the_page_is_made_from_the_tables() {
    let path = root().join("docs/compatibility.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let parts = [("calls", calls()), ("endpoints", endpoints()), ("fields", fields())];
    let made = parts.iter().fold(page.clone(), |page, (name, text)| {
        let (begin, end) = (format!("<!-- made: {name} -->\n"), format!("<!-- end: {name} -->\n"));
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no `{begin}`"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no `{end}`"));
        format!("{before}{begin}\n{text}\n{end}{after}")
    });
    if std::env::var("HOLDFAST_GOLDEN").is_ok_and(|it| it == "rewrite") {
        return std::fs::write(&path, made).unwrap();
    }
    assert!(made == page, "docs/compatibility.md is not what its tables say; write it anew");
}

/// A count of each status, as a sentence.
fn counts(rows: &[Vec<String>], names: &[&str]) -> String {
    let of = |name: &str| rows.iter().filter(|it| it[2] == name).count();
    let parts: Vec<String> = names.iter().map(|it| format!("{} {it}", of(it))).collect();
    format!("{}: {}.\n\n", rows.len(), parts.join(", "))
}

fn calls() -> String {
    let rows = table("calls.tsv");
    let mut text = counts(&rows, &["works", "differs", "later"]);
    text.push_str("| API | call | | |\n|---|---|---|---|\n");
    for row in &rows {
        let _ = writeln!(text, "| {} | `{}` | {} | {} |", row[0], row[1], row[2], row[3]);
    }
    text
}

fn endpoints() -> String {
    let rows = table("endpoints.tsv");
    let mut text = counts(&rows, &["works", "differs", "later"]);
    text.push_str("| on | endpoint | | |\n|---|---|---|---|\n");
    for row in &rows {
        let _ = writeln!(text, "| {} | `{}` | {} | {} |", row[0], row[1], row[2], row[3]);
    }
    text
}

fn fields() -> String {
    let rows = table("fields.tsv");
    let mut text = counts(&rows, &["applied", "refused", "informational"]);
    text.push_str("| message | field | | |\n|---|---|---|---|\n");
    for row in rows.iter().filter(|it| it[2] != "applied" || !it[3].is_empty()) {
        let _ = writeln!(text, "| `{}` | `{}` | {} | {} |", row[0], row[1], row[2], row[3]);
    }
    text
}
