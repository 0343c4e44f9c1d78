//! The native API of a master: its lists, its reasons, its plans, and what it refuses.
//!
//! Relies on the scene standing still. Never sends a change that would be carried out.

use holdfast_tests::calls::{self, cpus, disk, reserved, volume};
use holdfast_tests::http::{ask, get};
use serde_json::{json, Value};

use super::book::Book;
use super::scene::Scene;

/// What `explain` is asked beside the scene's own ids.
const ABOUT: [&str; 16] = [
    "about=runner",
    "about=runner&resources=cpus:1",
    "about=decliner",
    "about=holder",
    "about=holder&resources=cpus:1",
    "about=holder&resources=cpus:1000",
    "about=sleeper",
    "about=gone",
    "about=keeper",
    "about=keeper&resources=cpus:1",
    "about=done",
    "about=unseen",
    "about=nobody",
    "about=",
    "about=runner&resources=nonsense",
    "",
];

/// See the module.
pub fn book(scene: &Scene) -> Book {
    let mut book =
        Book::new("native.txt", "The native API of a master: /holdfast/v1", &scene.known);
    let address = scene.cluster.master.address();
    let mut read = |path: &str| {
        book.answer(
            &format!("GET /holdfast/v1{path}"),
            &get(address, &format!("/holdfast/v1{path}")),
        )
    };
    for list in ["agents", "disks", "claims", "frameworks", "tasks", "offers", "roles", "trash"] {
        read(&format!("/{list}"));
    }
    ["", "/", "/nothing", "/agents/S0", "/roles?jsonp=f", "/kill"].into_iter().for_each(&mut read);
    ABOUT.iter().for_each(|query| read(&format!("/explain?{query}")));
    read(&format!("/explain?about={}", scene.runner.framework_id));
    read(&format!("/explain?about={}", scene.gone));
    for (what, call) in plans(scene) {
        let path = format!("/holdfast/v1/plan?call={}", encoded(&call));
        book.answer(&format!("GET /holdfast/v1/plan: {what}"), &get(address, &path));
    }
    book.answer("GET /holdfast/v1/plan without a call", &get(address, "/holdfast/v1/plan"));
    let runner = &scene.runner.framework_id;
    for query in [
        String::new(),
        "framework=nobody".to_owned(),
        "framework=nobody&task=keeper".to_owned(),
        "framework=a/b&task=keeper".to_owned(),
        format!("framework={runner}&task=nobody"),
        format!("framework={runner}&task=done"),
    ] {
        let answer = ask(address, "POST", &format!("/holdfast/v1/kill?{query}"), &[], b"");
        book.answer(&format!("POST /holdfast/v1/kill?{query}"), &answer);
    }
    book.answer("PUT /holdfast/v1/claims", &ask(address, "PUT", "/holdfast/v1/claims", &[], b""));
    book
}

/// Operators' calls as plans: what would be done, and what is refused.
fn plans(scene: &Scene) -> Vec<(&'static str, String)> {
    let (first, last) = (&scene.agents[0], &scene.agents[2]);
    let teardown =
        |id: &str| json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": id } } });
    let spare = volume(&disk(256.0, None), "spare");
    let calls: Vec<(&str, Value)> = vec![
        (
            "a reservation",
            calls::reserve(first, &[reserved(&cpus(1.0)), reserved(&disk(10.0, None))]),
        ),
        ("more than there is", calls::reserve(first, &[reserved(&cpus(1000.0))])),
        ("an agent that is not there", calls::reserve("nobody", &[reserved(&cpus(1.0))])),
        ("giving back", calls::unreserve(first, &[reserved(&cpus(0.25))])),
        ("giving back what is not reserved", calls::unreserve(first, &[reserved(&cpus(3.0))])),
        (
            "giving back what carries a volume",
            calls::unreserve(last, &[reserved(&disk(256.0, None))]),
        ),
        ("a volume", calls::create(&scene.agents[1], &[volume(&disk(50.0, None), "new")])),
        ("a volume that is there already", calls::create(last, std::slice::from_ref(&spare))),
        ("destroying a volume", calls::destroy(last, &[spare])),
        (
            "destroying a volume in use",
            calls::destroy(first, &[volume(&disk(512.0, None), "data-0")]),
        ),
        (
            "destroying what is not there",
            calls::destroy(first, &[volume(&disk(1.0, None), "none")]),
        ),
        ("removing a framework", teardown(&scene.runner.framework_id)),
        ("removing a removed framework", teardown(&scene.gone)),
        ("removing nobody", teardown("nobody")),
        ("a call that only reads", json!({ "type": "GET_HEALTH" })),
        ("a call without its message", json!({ "type": "RESERVE_RESOURCES" })),
    ];
    let texts = calls.into_iter().map(|(what, call)| (what, call.to_string()));
    texts
        .chain([("no JSON", "{".to_owned()), ("an unknown type", r#"{"type":"DANCE"}"#.to_owned())])
        .collect()
}

/// As a query has it.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|it| {
            if it.is_ascii_alphanumeric() {
                char::from(it).to_string()
            } else {
                format!("%{it:02X}")
            }
        })
        .collect()
}
