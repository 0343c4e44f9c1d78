//! How fast the JSON of a big cluster's state is written and read, against `serde_json` on the same document without types.
//!
//! `cargo xtask bench json` runs it. Relies on one run of both sides on one machine, so that the ratio means something where the times do
//! not. Never judges: a figure is no test.

use std::time::{Duration, Instant};

use holdfast_proto::json;
use holdfast_proto::mesos::v1::master::Response;

/// Tasks in the dump: about those of a thousand busy machines.
const TASKS: usize = 20_000;
/// Each side is measured so often; the best counts, since all that disturbs makes slower.
const ROUNDS: usize = 5;

/// The dump as text.
fn dump() -> String {
    let task = |index: usize| {
        format!(
            r#"{{"name":"db-{index}","task_id":{{"value":"db-{index}-7"}},"framework_id":{{"value":"f-0001"}},
            "agent_id":{{"value":"c-S{}"}},"state":"TASK_RUNNING","resources":[
            {{"name":"cpus","type":"SCALAR","scalar":{{"value":1.5}},"allocation_info":{{"role":"db"}}}},
            {{"name":"disk","type":"SCALAR","scalar":{{"value":2048}},"allocation_info":{{"role":"db"}},
            "reservations":[{{"type":"DYNAMIC","role":"db","principal":"ops","labels":{{"labels":[{{"key":"member","value":"{index}"}}]}}}}],
            "disk":{{"persistence":{{"id":"v-{index}","principal":"ops"}},"volume":{{"container_path":"data","mode":"RW"}}}}}}],
            "statuses":[{{"task_id":{{"value":"db-{index}-7"}},"state":"TASK_RUNNING","source":"SOURCE_EXECUTOR","timestamp":1700000000.125,
            "uuid":"AAECAwQFBgcICQoLDA0ODw=="}}],"labels":{{"labels":[{{"key":"zone","value":"b"}}]}}}}"#,
            index % 1_000
        )
    };
    let tasks: Vec<String> = (0..TASKS).map(task).collect();
    format!(
        r#"{{"type":"GET_STATE","get_state":{{"get_tasks":{{"tasks":[{}]}}}}}}"#,
        tasks.join(",")
    )
}

/// The shortest of some runs.
fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let once = |work: &mut dyn FnMut() -> T| {
        let began = Instant::now();
        let result = work();
        let took = began.elapsed();
        drop(std::hint::black_box(result));
        took
    };
    (0..ROUNDS).map(|_| once(&mut work)).min().unwrap_or_default()
}

fn say(what: &str, bytes: usize, ours: Duration, plain: Duration) {
    let rate = bytes as f64 / 1e6 / ours.as_secs_f64().max(1e-9);
    let ratio = plain.as_secs_f64() / ours.as_secs_f64().max(1e-9);
    println!("{what}\t{rate:.0} MB/s, {ratio:.2} of serde_json's own speed");
}

fn main() {
    let state: Response = match json::from_slice(dump().as_bytes()) {
        Ok(state) => state,
        Err(error) => {
            eprintln!("json_speed: the dump is no GET_STATE: {error}");
            std::process::exit(1);
        }
    };
    let text = json::to_vec(&state);
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    say(
        "JSON of 20,000 tasks written",
        text.len(),
        best(|| json::to_vec(&state)),
        best(|| serde_json::to_vec(&document)),
    );
    let read = best(|| json::from_slice::<Response>(&text));
    say(
        "JSON of 20,000 tasks read",
        text.len(),
        read,
        best(|| serde_json::from_slice::<serde_json::Value>(&text)),
    );
}
