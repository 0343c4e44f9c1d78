//! The metrics of a master and an agent: names, types, help and labels.
//!
//! Relies on processes copying their numbers soon after their start. Never records a value.

use std::net::SocketAddr;

use holdfast_tests::http::{get, post};
use holdfast_tests::until;
use serde_json::{json, Value};

use super::book::Book;
use super::scene::Scene;

/// See the module.
pub fn book(scene: &Scene) -> Book {
    let mut book = Book::new("metrics.txt", "Metrics without their values", &scene.known);
    for (name, address, sign) in [
        ("master", scene.cluster.master.address(), "master_tasks_running"),
        ("agent", scene.cluster.agents[2].address(), "slave_tasks_running"),
    ] {
        let text = until(&format!("the {name}'s numbers are there"), || {
            match get(address, "/metrics").expect(200, "/metrics") {
                answer if answer.text().contains(sign) => Ok(answer),
                answer => Err(answer.text()),
            }
        });
        let lines = text.text();
        let lines = lines.lines().filter(|it| !is_of_a_measurement(it));
        let lines: Vec<String> = lines.map(without_value).collect();
        book.put(
            &format!("GET /metrics of the {name}"),
            &format!("{}\n{}", text.header("content-type").unwrap(), lines.join("\n")),
        );
        record_flat(&mut book, name, address);
    }
    book
}

/// Whether a number, or what is said of it, is there only once disks were measured with all volumes on them.
fn is_of_a_measurement(text: &str) -> bool {
    ["volume_used_bytes", "disk_measured_timestamp_seconds"].iter().any(|it| text.contains(it))
}

/// A line of the exposition, without the value at its end.
fn without_value(line: &str) -> String {
    match line.rsplit_once(' ') {
        Some((series, _)) if !line.starts_with('#') => series.to_owned(),
        _ => line.to_owned(),
    }
}

/// The flat names, which the snapshot and GET_METRICS share.
fn record_flat(book: &mut Book, name: &str, address: SocketAddr) {
    let snapshot = get(address, "/metrics/snapshot").expect(200, "the snapshot").json();
    let names: Vec<&str> = snapshot
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, it)| it.is_number())
        .map(|(name, _)| name.as_str())
        .filter(|it| !is_of_a_measurement(it))
        .collect();
    book.put(&format!("GET /metrics/snapshot of the {name}"), &names.join("\n"));
    let answer = post(address, "/api/v1", &json!({ "type": "GET_METRICS" }))
        .expect(200, "GET_METRICS")
        .json();
    let all = answer["get_metrics"]["metrics"].as_array().unwrap();
    let names: Vec<&str> = all
        .iter()
        .filter(|it| it["value"].is_number())
        .map(|it: &Value| it["name"].as_str().unwrap())
        .filter(|it| !is_of_a_measurement(it))
        .collect();
    book.put(&format!("GET_METRICS of the {name}"), &names.join("\n"));
}
