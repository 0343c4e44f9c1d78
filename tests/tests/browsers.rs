//! No web page of somebody else acts in the name of whoever looks at it.
//!
//! Each check is an attack that a page can make without being asked first, or what must go on working beside it.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::net::SocketAddr;

use holdfast_tests::calls::{command_task, cpus, framework_info, mem};
use holdfast_tests::{until, Answer, Cluster, Scheduler};
use serde_json::json;

/// Asks as a browser does: it says which host it means.
fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let host = address.to_string();
    let says = headers.iter().any(|(name, _)| *name == "Host");
    let own = (!says).then_some(("Host", host.as_str()));
    let headers: Vec<(&str, &str)> = own.into_iter().chain(headers.iter().copied()).collect();
    holdfast_tests::ask(address, method, path, &headers, body)
}

fn status(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    ask(address, method, path, headers, b"").status
}

#[test]
fn a_form_on_a_foreign_page_kills_no_task() {
    let cluster = Cluster::start();
    let (master, agent) = (cluster.master.address(), cluster.agent_id(0));
    let mut scheduler = Scheduler::subscribe(master, &framework_info("f", 60.0), false);
    let offer = scheduler.offer_with("anything", |_| true);
    let task = command_task("t", &agent, "sleep 1000", &[cpus(0.5), mem(64.0)]);
    scheduler.accept(&offer, json!([{"type": "LAUNCH", "launch": {"task_infos": [task]}}]));
    let framework = until("the task runs", || match cluster.list("tasks").first() {
        Some(it) if it["state"] == "TASK_RUNNING" => {
            Ok(it["framework"].as_str().unwrap().to_owned())
        }
        other => Err(format!("{other:?}")),
    });
    let kill = format!("/holdfast/v1/kill?framework={framework}&task=t");
    let teardown = format!("frameworkId={framework}");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let foreign = ("Origin", "http://evil.example");
    for headers in
        [vec![form, foreign], vec![foreign], vec![("Sec-Fetch-Site", "cross-site")], vec![form]]
    {
        let refused = status(master, "POST", &kill, &headers);
        assert!([403, 415].contains(&refused), "{headers:?}: {refused}");
    }
    for headers in [vec![form, foreign], vec![form, ("Sec-Fetch-Site", "same-site")]] {
        ask(master, "POST", "/teardown", &headers, teardown.as_bytes()).expect(403, "a form");
    }
    ask(master, "POST", "/api/v1", &[("Content-Type", "text/plain")], br#"{"type":"GET_STATE"}"#)
        .expect(415, "a form that looks like JSON");
    assert_eq!(
        status(master, "GET", "/state?jsonp=steal", &[("Sec-Fetch-Site", "cross-site")]),
        403
    );
    assert_eq!(status(master, "GET", "/state", &[("Sec-Fetch-Site", "cross-site")]), 200, "a link");
    let task = &cluster.list("tasks")[0];
    assert_eq!(task["state"], "TASK_RUNNING", "{task}");
    let own = format!("http://{master}");
    assert_eq!(status(master, "POST", &kill, &[("Origin", &own)]), 200, "a page of its own may");
}

#[test]
fn another_name_bound_to_the_address_opens_nothing_to_a_page() {
    let cluster = Cluster::start();
    for address in [cluster.master.address(), cluster.agents[0].address()] {
        let rebound = [("Host", "evil.example"), ("Origin", "http://evil.example")];
        assert_eq!(status(address, "GET", "/state", &rebound), 403);
        assert_eq!(status(address, "POST", "/api/v1", &rebound), 403);
        assert_eq!(status(address, "GET", "/health", &[("Sec-Fetch-Site", "none")]), 200);
    }
}

#[test]
fn strict_hosts_and_allowed_origins_are_settings() {
    let cluster = Cluster::start();
    let settings = [
        "--resources",
        "cpus:1;mem:64;disk:64",
        "--hostname",
        "agent7.example",
        "--strict-host",
        "--allow-origin",
        "https://console.example",
    ];
    let mut agent = cluster.agent_with("agent7", &settings);
    agent.start();
    let at = agent.address();
    assert_eq!(status(at, "GET", "/health", &[("Host", "evil.example")]), 403);
    assert_eq!(status(at, "GET", "/health", &[("Host", "agent7.example:5051")]), 200);
    let page = ("Origin", "https://console.example");
    let answer = ask(at, "GET", "/health", &[page], b"").expect(200, "an allowed page");
    assert_eq!(answer.header("access-control-allow-origin"), Some(page.1));
    let asks = [page, ("Access-Control-Request-Method", "POST")];
    assert_eq!(status(at, "OPTIONS", "/api/v1", &asks), 204);
    let asks = [("Origin", "https://evil.example"), asks[1]];
    let answer = ask(at, "OPTIONS", "/api/v1", &asks, b"");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
}
