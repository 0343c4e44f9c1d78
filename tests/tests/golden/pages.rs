//! The read endpoints of the time before the v1 API, on a master and on an agent.
//!
//! Relies on the scene standing still. Never follows a redirect.

use std::net::SocketAddr;

use holdfast_tests::http::{ask, get};
use serde_json::Value;

use super::book::Book;
use super::operator::run_of;
use super::scene::Scene;

/// Paths that both answer.
const OF_BOTH: [&str; 9] = [
    "/",
    "/health",
    "/health/",
    "/version",
    "/version?jsonp=f",
    "/version?jsonp=f(",
    "/flags",
    "/state.json?jsonp=f",
    "/nowhere",
];

/// What the master answers.
pub fn master_book(scene: &Scene) -> Book {
    let mut book = Book::new("pages-master.txt", "Pages of a master", &scene.known);
    let address = scene.cluster.master.address();
    let (runner, gone, agent) = (&scene.runner.framework_id, &scene.gone, &scene.agents[1]);
    let mut paths: Vec<String> = OF_BOTH.iter().map(|it| (*it).to_owned()).collect();
    for path in [
        "/state",
        "/state.json",
        "/master/state",
        "/state-summary",
        "/slaves",
        "/frameworks",
        "/tasks",
        "/roles",
        "/roles.json",
        "/redirect",
        "/master/redirect",
        "/master/health",
        "/master",
        "/slave(1)/state",
        "/holdfast/v1",
        "/holdfast",
        "/metricsx",
        "/api",
        "/api/v2",
        "/tasks?order=asc",
        "/tasks?order=des&limit=1",
        "/tasks?order=asc&offset=1&limit=2",
        "/tasks?limit=0",
        "/tasks?offset=100",
        "/tasks?task_id=done",
        "/tasks?task_id=nobody",
        "/tasks?limit=many",
        "/tasks?limit=-1",
        "/tasks?offset=x",
        "/tasks?order=up",
        "/slaves?slave_id=nobody",
        "/frameworks?framework_id=nobody",
        "/tasks?framework_id=nobody",
    ] {
        paths.push(path.to_owned());
    }
    paths.push(format!("/slaves?slave_id={agent}"));
    paths.push(format!("/frameworks?framework_id={runner}"));
    paths.push(format!("/frameworks?framework_id={gone}"));
    paths.push(format!("/tasks?framework_id={runner}&limit=1"));
    record(&mut book, address, &paths);
    book
}

/// What agents answer.
pub fn agent_book(scene: &Scene) -> Book {
    let mut book = Book::new(
        "pages-agent.txt",
        "Pages of an agent: of agent2, then of the others",
        &scene.known,
    );
    let address = scene.cluster.agents[2].address();
    let run = run_of(scene, 2, "server");
    let mut paths: Vec<String> = OF_BOTH.iter().map(|it| (*it).to_owned()).collect();
    for path in [
        "/state",
        "/slave(1)/state",
        "/slave(1)/health",
        "/slave(x)/health",
        "/master/state",
        "/redirect",
        "/slaves",
        "/files/browse",
        "/files/browse?path=nowhere",
        "/files/read?path=nowhere",
        "/files/download?path=nowhere",
        "/files/read?path=../ledger&offset=0",
        "/files/read",
        "/files/download",
    ] {
        paths.push(path.to_owned());
    }
    for (page, query) in [
        ("read", ""),
        ("read", "&offset=0"),
        ("read", "&offset=3&length=2"),
        ("read", "&offset=-2"),
        ("read", "&offset=x"),
        ("download", ""),
    ] {
        paths.push(format!("/files/{page}?path={run}/stdout{query}"));
    }
    record(&mut book, address, &paths);
    for index in [0, 1] {
        book.answer(
            &format!("GET /state of agent{index}"),
            &get(scene.cluster.agents[index].address(), "/state"),
        );
    }
    for path in ["/containers", "/monitor/statistics", "/monitor/statistics.json"] {
        let entry = &get(address, path).expect(200, path).json()[0];
        let names =
            |it: &Value| -> Vec<String> { it.as_object().unwrap().keys().cloned().collect() };
        let shown = format!("{:?}\n{:?}", names(entry), names(&entry["statistics"]));
        book.put(&format!("GET {path}: fields, and those of statistics"), &shown);
    }
    let files = get(address, &format!("/files/browse?path={run}")).expect(200, "a sandbox").json();
    let names: Vec<&str> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    let fields: Vec<&String> = files[0].as_object().unwrap().keys().collect();
    book.put("/files/browse of a sandbox: files and fields", &format!("{names:?}\n{fields:?}"));
    book
}

fn record(book: &mut Book, address: SocketAddr, paths: &[String]) {
    for path in paths {
        book.answer(&format!("GET {path}"), &get(address, path));
    }
    for method in ["HEAD", "POST", "PUT", "DELETE"] {
        // An answer to HEAD has no body, whatever its length says.
        let answer = if method == "HEAD" {
            head(address)
        } else {
            ask(address, method, "/health", &[], b"")
        };
        book.answer(&format!("{method} /health"), &answer);
    }
}

fn head(address: SocketAddr) -> holdfast_tests::Answer {
    let mut connection = holdfast_tests::http::Connection::open(address).unwrap();
    connection.send(&holdfast_tests::http::request("HEAD", "/health", &[], b""));
    connection.head()
}
