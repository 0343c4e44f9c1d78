//! Every answer of the native API, written out for a small cluster.

use holdfast_master::Input;
use holdfast_model::{
    Call, ClaimId, FrameworkInfo, Instant, LinkId, Resources, Role, ToMaster, UsedNews, VolumeUsed,
};
use holdfast_proto::mesos::v1;
use serde::Serialize;
use serde_json::{json, Value};

use super::*;
use crate::rows::{ClaimStanding, FrameworkStanding};
use crate::testbed::{
    amount, framework_id, info, report, role, Bed, DISK, NOW, OFFER, RESERVATION, VOLUME,
};
use crate::Refusal;

fn value(rows: impl Serialize) -> Value {
    serde_json::to_value(rows).unwrap()
}

fn volume_row() -> Value {
    json!({
        "id": VOLUME, "kind": "volume", "state": "ready", "fault": null, "volume": "data-0", "role": "db",
        "principal": "db-team", "resource": "disk", "amount": 200.0,
        "used_bytes": null, "used_measured_ms": null, "agent": "S0", "hostname": "host0",
        "agent_state": "well", "disk": DISK, "disk_root": "/d1", "labels": [], "made_by_operation": null, "framework": "f-0", "unclaimed": false, "task": "db-0",
        "shared": false, "users": [{ "task": "db-0", "framework": "f-0" }],
        "generation": 2, "created_ms": 500,
        "history": [{ "at_ms": 500, "generation": 2, "what": "created", "by": "db-team", "operation": "CREATE" }],
    })
}

fn failed_task() -> Value {
    json!({
        "id": "db-1", "name": "name of db-1", "framework": "f-0", "executor": "db-1", "agent": "S0",
        "agent_address": "host0:5051", "state": "TASK_FAILED", "reason": "REASON_EXECUTOR_TERMINATED",
        "message": "exited with 3", "resources": "cpus:2", "volumes": [], "ended": true, "updated_ms": 6000,
    })
}

fn running_task() -> Value {
    json!({
        "id": "db-0", "name": "name of db-0", "framework": "f-0", "executor": "db-0", "agent": "S0",
        "agent_address": "host0:5051", "state": "TASK_RUNNING", "reason": null, "message": null,
        "resources": "cpus:1; disk(db, db-team)[Path:/d1,data-0]:200; mem:128", "volumes": ["data-0"],
        "ended": false, "updated_ms": 5000,
    })
}

#[test]
fn agents_that_are_here_and_expected() {
    let expected = json!([
        {
            "id": "S0", "hostname": "host0", "address": "host0:5051", "state": "well", "why": null, "deactivated": null,
            "total": "cpus:8; disk[Path:/d1]:700; disk(db, db-team)[Path:/d1]:100; disk(db, db-team)[Path:/d1,data-0]:200; mem:4096; ports:[31000-31009]",
            "free": "nothing",
            "used": "cpus:1.5; disk(db, db-team)[Path:/d1,data-0]:200; mem:128",
            "tasks": 1, "volumes": 1, "generation": 3, "ledger_version": 4, "reregistered_ms": NOW,
        },
        {
            "id": "S1", "hostname": "host1", "address": "host1:5051", "state": "away",
            "why": "it is not connected", "deactivated": null, "total": "nothing", "free": "nothing", "used": "nothing",
            "tasks": 0, "volumes": 0, "generation": 0, "ledger_version": 4, "reregistered_ms": NOW,
        },
    ]);
    assert_eq!(value(agents(&Bed::usual().view())), expected);
}

#[test]
fn an_agent_that_cannot_be_believed_says_why() {
    let mut bed = Bed::elected();
    bed.report(holdfast_model::Report { ledger_version: 3, ..report() });
    let row = agents(&bed.view()).remove(0);
    assert_eq!(row.state, AgentStanding::Fenced);
    let why = row.why.unwrap();
    assert!(why.contains("version 3") && why.contains("it has lost data"), "{why}");
    bed.report(holdfast_model::Report { machine: Default::default(), ..report() });
    let row = agents(&bed.view()).remove(0);
    assert_eq!(
        (row.state, row.why.as_deref()),
        (AgentStanding::Joining, Some("it is opening its disks"))
    );
}

#[test]
fn disks_with_what_lies_on_them() {
    let expected = json!([{
        "id": DISK, "agent": "S0", "hostname": "host0", "kind": "path", "root": "/d1", "size_mb": 1000,
        "volumes_mb": 200, "volumes": 1, "unclaimed_mb": 700, "used_mb": 20, "limit": "soft:report", "trash_mb": 5, "overcommitted_mb": 0,
        "file_system": "8:1", "file_system_mb": 2000, "file_system_free_mb": 1500, "added": false, "orphans": [], "more_orphans": 0, "fault": null,
    }]);
    assert_eq!(value(disks(&Bed::usual().view())), expected);
}

#[test]
fn claims_with_whoever_holds_and_uses_them() {
    let mut reservation = volume_row();
    for (field, is) in [
        ("id", json!(RESERVATION)),
        ("kind", json!("reservation")),
        ("volume", Value::Null),
        ("amount", json!(100.0)),
        ("disk", Value::Null),
        ("framework", json!("f-1")),
        ("unclaimed", json!(true)),
        ("task", Value::Null),
        ("users", json!([])),
    ] {
        reservation[field] = is;
    }
    assert_eq!(value(claims(&Bed::usual().view())), json!([volume_row(), reservation]));
}

#[test]
fn a_volume_says_what_it_was_last_found_to_use() {
    let mut bed = Bed::usual();
    let used = VolumeUsed { bytes: 5 << 20, measured: Instant(900) };
    let volumes = vec![(ClaimId::parse(VOLUME).unwrap(), used)];
    let news = UsedNews { whole: true, volumes, gone: Vec::new() };
    bed.input(Input::FromAgent(LinkId(1), ToMaster::UsedNews(news)));
    let row = claims(&bed.view()).remove(0);
    assert_eq!((row.used_bytes, row.used_measured_ms), (Some(5 << 20), Some(900)));
    bed.input(Input::AgentLost(LinkId(1)));
    let row = claims(&bed.view()).remove(0);
    assert_eq!(row.used_bytes, Some(5 << 20), "with its time, also while its agent is away");
}

#[test]
fn a_claim_that_cannot_be_used_says_why_and_one_of_an_absent_agent_is_away() {
    let mut bed = Bed::elected();
    assert_eq!(claims(&bed.view())[0].agent_state, AgentStanding::Away);
    let fault = (ClaimId::parse(VOLUME).unwrap(), "its disk is not mounted".to_owned());
    bed.report(holdfast_model::Report { faults: vec![fault], ..report() });
    let row = claims(&bed.view()).remove(0);
    assert_eq!(
        (row.state, row.fault.as_deref()),
        (ClaimStanding::Missing, Some("its disk is not mounted"))
    );
}

#[test]
fn frameworks_that_are_here_away_and_removed() {
    let mut bed = Bed::elected();
    bed.report(report());
    assert_eq!(frameworks(&bed.view())[0].state, FrameworkStanding::Away);
    bed.subscribe();
    let row = |id: &str, name: &str, state: &str, count: usize| {
        json!({
            "id": id, "name": name, "state": state, "roles": ["db"], "principal": "db-team", "tasks": count,
            "offers": count, "volumes": count, "failover_timeout_ms": 600_000, "deadline_ms": null,
            "registered_ms": 100, "webui_url": null,
        })
    };
    let expected = json!([row("f-0", "db", "connected", 1), row("f-1", "old", "removed", 0)]);
    assert_eq!(value(frameworks(&bed.view())), expected);
}

#[test]
fn tasks_with_their_newest_status() {
    assert_eq!(value(tasks(&Bed::usual().view())), json!([running_task(), failed_task()]));
}

#[test]
fn a_task_that_was_acknowledged_is_remembered() {
    let mut bed = Bed::usual();
    bed.acknowledge_failure();
    assert_eq!(bed.view().tasks().len(), 1);
    assert_eq!(value(tasks(&bed.view())), json!([running_task(), failed_task()]));
}

fn offer_row() -> Value {
    json!({
        "id": OFFER, "framework": "f-0", "role": "db", "agent": "S0",
        "resources": "cpus:6.5; disk[Path:/d1]:700; disk(db, db-team)[Path:/d1]:100; mem:3968; ports:[31000-31009]",
        "made_ms": NOW,
    })
}

#[test]
fn offers_without_allocations() {
    assert_eq!(value(offers(&Bed::usual().view())), json!([offer_row()]));
}

#[test]
fn roles_in_the_order_in_which_they_are_served() {
    let mut bed = Bed::usual();
    let second = FrameworkInfo { roles: vec![role("web"), role("web")], ..info("f-2", "web") };
    bed.subscribe_new(LinkId(3), second);
    let expected = json!([
        { "role": "web", "weight": 1.0, "share": 0.0, "reserved": "nothing", "frameworks": 1 },
        {
            "role": "db", "weight": 2.0, "share": 1.0,
            "reserved": "disk(db, db-team)[Path:/d1]:100; disk(db, db-team)[Path:/d1,data-0]:200",
            "frameworks": 1,
        },
    ]);
    assert_eq!(value(roles(&bed.view())), expected);
}

#[test]
fn a_role_whose_frameworks_are_away_is_listed_for_its_weight_and_for_what_it_holds() {
    let rows = roles(&Bed::elected().view());
    let [db] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((db.role.as_str(), db.weight, db.share, db.frameworks), ("db", 2.0, 0.0, 1));
    assert!(db.reserved.contains("data-0"), "{db:?}");
}

fn ask(bed: &Bed, about: &str, wanted: Option<Resources>) -> Result<Value, Refusal> {
    let question = Question { about: about.to_owned(), wanted };
    explain(&bed.view(), Instant(NOW), &question).map(value)
}

#[test]
fn a_framework_is_explained() {
    let bed = Bed::usual();
    let expected = json!({
        "framework": "f-0", "name": "db", "task": null,
        "summary": "framework db: 1 live tasks, 1 unanswered offers",
        "tasks": [running_task(), failed_task()], "volumes": [], "offers": [offer_row()],
        "reasons": [{
            "agent": "S1", "hostname": "host1", "role": "db", "offer": null,
            "reason": "the agent cannot be offered to anybody now: it is not connected",
        }],
    });
    let answer = ask(&bed, "f-0", None).unwrap();
    assert_eq!(answer, expected);
    assert_eq!(ask(&bed, "db", None).unwrap(), expected, "its name will do");
}

#[test]
fn what_is_asked_for_is_found_in_an_offer_or_lacking() {
    let bed = Bed::usual();
    let little: Resources = [amount("cpus", 1000)].iter().collect();
    let answer = ask(&bed, "f-0", Some(little)).unwrap();
    let summary = format!(
        "framework db: 1 live tasks, 1 unanswered offers; all that is asked is in offer {OFFER}, which its scheduler may accept"
    );
    assert_eq!(answer["summary"], summary);
    let much: Resources = [amount("cpus", 7000)].iter().collect();
    let answer = ask(&bed, "f-0", Some(much)).unwrap();
    assert_eq!(answer["summary"], "framework db: 1 live tasks, 1 unanswered offers");
    let reason = &answer["reasons"][0];
    assert_eq!((&reason["agent"], &reason["offer"]), (&json!("S0"), &json!(OFFER)));
    assert_eq!(reason["reason"], format!("offer {OFFER} has cpus 6.5 of 7 asked"));
}

#[test]
fn a_newcomer_is_told_what_it_could_have() {
    let bed = Bed::usual();
    let new = Role::parse("new").unwrap();
    let rows = outlook(&bed.view(), Instant(NOW), &new);
    let [first, second] = &rows[..] else { panic!("{rows:?}") };
    // All that is free there is in an offer to somebody else.
    assert_eq!((first.agent.as_str(), first.offer.is_none()), ("S0", true), "{first:?}");
    assert!(!first.reasons.is_empty(), "{first:?}");
    assert_eq!(second.reasons, ["the agent cannot be offered to anybody now: it is not connected"]);
    let mut bed = Bed::elected();
    bed.report(report());
    let rows = outlook(&bed.view(), Instant(NOW), &new);
    let offer = rows[0].offer.as_deref().expect("what is free could be offered");
    let wire = holdfast_proto::json::from_slice::<v1::Offer>(offer.as_bytes()).unwrap();
    let offer = holdfast_model::convert::offer::from_proto(wire, &new).unwrap();
    assert_eq!(offer.resources.unallocated().to_string(), rows[0].resources);
    assert!(rows[0].resources.contains("cpus"), "{rows:?}");
}

#[test]
fn a_task_is_explained_with_its_volumes() {
    let bed = Bed::usual();
    let running = ask(&bed, "db-0", None).unwrap();
    let expected = json!({
        "framework": "f-0", "name": "db", "task": "db-0", "summary": "task db-0 is TASK_RUNNING",
        "tasks": [running_task()], "volumes": [volume_row()], "offers": [offer_row()], "reasons": [],
    });
    assert_eq!(running, expected);
    let failed = ask(&bed, "db-1", None).unwrap();
    let summary = "task db-1 is TASK_FAILED (REASON_EXECUTOR_TERMINATED): exited with 3";
    assert_eq!((&failed["summary"], &failed["tasks"]), (&json!(summary), &json!([failed_task()])));
    assert_eq!(failed["reasons"][0]["agent"], "S1", "what it would use is not there");
}

#[test]
fn what_is_unknown_is_said() {
    let bed = Bed::usual();
    let why = Refusal::NotFound("there is no framework or task `x`".to_owned());
    assert_eq!(ask(&bed, "x", None), Err(why));
    let why = Refusal::NotFound("there is no such framework".to_owned());
    assert_eq!(teardown_plan(&bed.view(), &framework_id("f-1")), Err(why));
}

#[test]
fn a_teardown_says_what_it_ends_and_leaves() {
    let bed = Bed::usual();
    let plan = teardown_plan(&bed.view(), &framework_id("f-0")).unwrap();
    let expected = r#"{"action":"TEARDOWN","ends_tasks":["db-0"],"framework":"f-0","leaves_unclaimed":["00000000-0000-0000-0000-000000000ca1"]}"#;
    assert_eq!(serde_json::to_string(&NativeAnswer::Plan(Box::new(plan))).unwrap(), expected);
}

#[test]
fn nothing_is_shown_of_what_is_over() {
    let mut bed = Bed::usual();
    bed.say(LinkId(2), Call::Teardown);
    assert!(offers(&bed.view()).is_empty());
    let row = frameworks(&bed.view()).remove(0);
    assert_eq!((row.state, row.offers, row.volumes), (FrameworkStanding::Removed, 0, 1));
    assert!(
        claims(&bed.view()).iter().all(|it| it.unclaimed),
        "its volume stays, and nobody holds it"
    );
}
