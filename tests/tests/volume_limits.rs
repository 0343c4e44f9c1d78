//! What volumes use of their sizes: measured, and told to whoever asks. Real processes over small file systems in memory.
//!
//! Relies on the right to mount; where that is missing it is said, and passed. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::Path;

use holdfast_tests::calls::{disk, path_source};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::http::get;
use holdfast_tests::small_disk::SmallDisk;
use holdfast_tests::{until, Cluster};
use serde_json::Value;

const MB: u64 = 1 << 20;

/// Starts an agent with one disk, as `--disk` takes it.
fn start(cluster: &mut Cluster, disk: &str) {
    let settings = ["--resources", "cpus:4;mem:4096;disk:100", "--hostname", "agent0"];
    let mut agent = cluster.agent_with("agent0", &[&settings[..], &["--disk", disk]].concat());
    agent.start();
    cluster.agents.push(agent);
    cluster.wait_for_agent(0, "well");
}

/// A volume of so many MB on a disk; its claim.
fn claim(cluster: &Cluster, root: &Path, name: &str, mb: f64) -> Value {
    cluster.claim_volume(0, name, &disk(mb, Some(&path_source(&text(root)))))
}

fn write(root: &Path, claim: &Value, mb: u64) {
    let file = volume_dir(root, claim).join("data/file");
    fs::write(file, vec![7; usize::try_from(mb * MB).unwrap()]).unwrap();
}

/// Waits until the masters say that a volume uses so much.
fn wait_for_used(cluster: &Cluster, name: &str, is_it: impl Fn(u64) -> bool) -> Value {
    until(&format!("what {name} uses is known"), || {
        let claim = cluster.claim(name);
        match claim["used_bytes"].as_u64() {
            Some(bytes) if is_it(bytes) => Ok(claim),
            other => Err(format!("{other:?}")),
        }
    })
}

/// The numbers of the agent with this name, by their labels.
fn metrics(cluster: &Cluster, name: &str) -> Vec<(String, f64)> {
    let answer = get(cluster.agents[0].address(), "/metrics").expect(200, "/metrics");
    let of = |line: &str| {
        let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        (series.is_empty() || series.starts_with('{'))
            .then(|| (series.to_owned(), value.parse().unwrap()))
    };
    answer.text().lines().filter_map(of).collect()
}

#[test]
fn what_a_volume_uses_is_told_by_master_and_agent_with_its_age() {
    let mut cluster = Cluster::without_agents();
    let root = cluster.path("small");
    let test = "what_a_volume_uses_is_told_by_master_and_agent_with_its_age";
    let Some(small) = SmallDisk::new(test, root.clone(), 64) else { return };
    start(&mut cluster, &format!("path={}", text(&root)));
    let (one, other) = (claim(&cluster, &root, "one", 20.0), claim(&cluster, &root, "other", 20.0));
    write(&root, &one, 12);
    let told = wait_for_used(&cluster, "one", |it| it == 12 * MB);
    assert!(told["created_ms"].as_u64() <= told["used_measured_ms"].as_u64(), "{told}");
    wait_for_used(&cluster, "other", |it| it == 0);
    let label = |claim: &Value| claim["id"].as_str().unwrap().to_owned();
    let of = |name: &str, claim: &Value| {
        let numbers = metrics(&cluster, name);
        let found = numbers.iter().find(|(labels, _)| labels.contains(&label(claim)));
        found.map(|(labels, value)| {
            assert!(labels.contains("role=\"db\"") && labels.contains("disk=\""), "{labels}");
            *value
        })
    };
    until("the agent's numbers say it, too", || {
        let used = [&one, &other].map(|it| of("holdfast_volume_used_bytes", it));
        (used == [Some((12 * MB) as f64), Some(0.0)]).then_some(()).ok_or(format!("{used:?}"))
    });
    assert_eq!(of("holdfast_volume_size_bytes", &one), Some((20 * MB) as f64));
    let page = get(cluster.agents[0].address(), "/state").expect(200, "/state").json();
    let on_page = page["claims"].as_array().unwrap().iter().find(|it| it["id"] == one["id"]);
    assert_eq!(on_page.unwrap()["used_bytes"], 12 * MB, "{page}");
    // More than its size: it is said, and counted.
    write(&root, &one, 24);
    wait_for_used(&cluster, "one", |it| it == 24 * MB);
    until("it is counted", || match metrics(&cluster, "holdfast_volumes_over_size").as_slice() {
        [(_, over)] if *over == 1.0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop(cluster);
    drop(small);
}
