//! What people may write, and what they are told when it is wrong.

use proptest::prelude::*;

use super::*;
use crate::resource::Source;
use crate::resources::Resources;
use crate::value::Scalar;

fn anyone(text: &str) -> Result<Vec<Resource>, Invalid> {
    resources(text, &Role::any())
}

fn role(text: &str) -> Role {
    Role::parse(text).unwrap()
}

#[test]
fn the_text_form_by_example() {
    let list =
        anyone("cpus:4; mem:1024;disk(ads):10.5;ports:[21000-24000, 30000-34000];zones:{a, b};")
            .unwrap();
    let all: Vec<String> = list.iter().map(ToString::to_string).collect();
    assert_eq!(
        all,
        [
            "cpus:4",
            "mem:1024",
            "disk(ads):10.5",
            "ports:[21000-24000, 30000-34000]",
            "zones:{a, b}"
        ]
    );
    assert_eq!(list[2].identity.reservations, vec![stays(role("ads"))]);
    assert!(!anyone("cpus(*):1").unwrap()[0].identity.is_reserved());
    assert_eq!(anyone("").unwrap(), Vec::new());
}

#[test]
fn the_json_form_takes_disks_and_both_shapes() {
    let text = r#"[
        {"name":"cpus","type":"SCALAR","scalar":{"value":2}},
        {"name":"mem","type":"SCALAR","scalar":{"value":64},"role":"b"},
        {"name":"disk","type":"SCALAR","scalar":{"value":10},"disk":{"source":{"type":"PATH","path":{"root":"/d1"}}}},
        {"name":"disk","type":"SCALAR","scalar":{"value":10},"reservations":[{"type":"STATIC","role":"c"}]}
    ]"#;
    let list = resources(text, &role("a")).unwrap();
    let roles: Vec<String> = list.iter().map(|it| it.identity.role().to_string()).collect();
    assert_eq!(roles, ["a", "b", "a", "c"]);
    assert_eq!(list[2].identity.source, Some(Source::path("/d1")));
}

#[test]
fn wrong_texts_are_named() {
    for (bad, path) in [
        ("cpus", "resources[0]"),
        ("cpus:1;:2", "resources[1]"),
        ("cpus:one", "resources[0].cpus"),
        ("cpus:-1", "resources[0].cpus"),
        ("cpus:NaN", "resources[0].cpus"),
        ("mem:inf", "resources[0].mem"),
        ("mem(a:1", "resources[0]"),
        ("mem(a//b):1", "resources[0].role"),
        ("ports:[1]", "resources[0].ports"),
        ("ports:[5-1]", "resources[0].ports"),
        ("ports:[1-5,3-9]", "resources[0].ports"),
        ("zones:{a,a}", "resources[0].zones"),
        ("gpus:0.5", "resources[0].scalar.value"),
        ("cpus:1;cpus:{a}", "resources[1].type"),
        ("[{}]", "resources[0].name"),
        (r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":-1}}]"#, "resources[0].scalar.value"),
        (
            r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"revocable":{}}]"#,
            "resources[0].revocable",
        ),
        (
            r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"allocation_info":{"role":"a"}}]"#,
            "resources[0].allocation_info",
        ),
        (
            r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"a","reservation":{}}]"#,
            "resources[0].reservations",
        ),
        (
            r#"[{"name":"disk","type":"SCALAR","scalar":{"value":1},"role":"a","disk":{"persistence":{"id":"v"},"volume":{"mode":"RW","container_path":"v"}}}]"#,
            "resources[0].disk.persistence",
        ),
    ] {
        let refused = anyone(bad).unwrap_err();
        assert_eq!(refused.path, path, "{bad}: {refused}");
    }
}

#[test]
fn smallest_offers_by_example() {
    let sets = smallest_offers("cpus:0.01|mem:32;disk:1").unwrap();
    assert_eq!(sets.len(), 2);
    assert_eq!(sets[0]["cpus"], Scalar::thousandths(10));
    assert_eq!(sets[1]["disk"], Scalar::whole(1));
    assert_eq!(smallest_offers("").unwrap(), Vec::new());
    assert_eq!(smallest_offers("cpus:1|mem:x").unwrap_err().path, "sets[1].quantities[0].mem");
    assert_eq!(quantities("cpus:1;cpus:2").unwrap_err().path, "quantities[1]");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9:;(){}\\[\\],.| \"/*-]{0,40}") {
        let _ = anyone(&text);
        let _ = json(&text);
        let _ = smallest_offers(&text);
    }

    #[test]
    fn what_is_shown_can_be_written(cpus in 1i64..100_000, from in 0u64..1000, count in 0u64..1000) {
        let ports = Value::Ranges(Ranges::new([(from, from + count)]));
        let all: Resources = [Resource::scalar("cpus", Scalar::thousandths(cpus)), Resource::unreserved("ports", ports)].iter().collect();
        let read: Resources = anyone(&all.to_string()).unwrap().into_iter().collect();
        prop_assert_eq!(read, all);
    }
}
