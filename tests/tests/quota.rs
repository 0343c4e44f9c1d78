//! Quota on real processes: a limit and a guarantee hold for greedy frameworks, across a restart of the master.
//!
//! Relies on one real agent. Never measures time.

use holdfast_tests::calls::framework_info;
use holdfast_tests::http::get;
use holdfast_tests::{until, Cluster, Scheduler};
use serde_json::{json, Value};

fn update(cluster: &Cluster, configs: Value) -> u16 {
    let call = json!({ "type": "UPDATE_QUOTA", "update_quota": { "quota_configs": configs } });
    cluster.call(&call).status
}

fn cpus(offer: &Value) -> f64 {
    let resources = offer["resources"].as_array().cloned().unwrap_or_default();
    let named = resources.iter().filter(|it| it["name"] == "cpus");
    named.filter_map(|it| it["scalar"]["value"].as_f64()).sum()
}

fn quotas(cluster: &Cluster) -> Value {
    get(cluster.master.address(), "/holdfast/v1/quotas").expect(200, "quotas").json()
}

fn of_role(name: &str, role: &str) -> Value {
    let mut info = framework_info(name, 60.0);
    info["roles"] = json!([role]);
    info
}

#[test]
fn a_limit_and_a_guarantee_hold_for_greedy_frameworks_and_outlive_the_master() {
    let mut cluster = Cluster::start();
    let limit = json!({ "cpus": { "value": 0.3 } });
    let guarantee = json!({ "cpus": { "value": 0.2 } });
    let both =
        json!([{ "role": "small", "limits": limit }, { "role": "kept", "guarantees": guarantee }]);
    assert_eq!(update(&cluster, both), 200);
    let nested = json!([{ "role": "small", "limits": {} }, { "role": "a/b", "limits": limit }]);
    assert_eq!(update(&cluster, nested), 400, "all or none");
    let much = json!([{ "role": "kept", "guarantees": { "cpus": { "value": 1e6 } } }]);
    assert_eq!(update(&cluster, much), 409);
    let before = quotas(&cluster);
    assert_eq!(before.as_array().map(Vec::len), Some(2), "{before:#}");
    cluster.master.kill();
    cluster.master.start();
    until("the new leader has the quota", || {
        let now = quotas(&cluster);
        if now == before {
            Ok(())
        } else {
            Err(now)
        }
    });
    let address = cluster.master.address();
    let mut small = Scheduler::subscribe(address, &of_role("small", "small"), false);
    let offer = small.offer_with("what is within the limit", |_| true);
    assert!((cpus(&offer) - 0.3).abs() < 1e-9, "{offer:#}");
    let mut other = Scheduler::subscribe(address, &of_role("other", "other"), false);
    let rest = other.offer_with("the rest", |it| it["name"] == "cpus");
    let mut kept = Scheduler::subscribe(address, &of_role("kept", "kept"), false);
    let own = kept.offer_with("what is guaranteed", |it| it["name"] == "cpus");
    assert!((cpus(&own) - 0.2).abs() < 1e-9, "{own:#} beside {rest:#}");
    let told = get(address, "/holdfast/v1/explain?about=small&resources=cpus:1");
    let told = told.expect(200, "explain").text();
    assert!(told.contains("of 1 asked") || told.contains("its quota lets it have 0.3"), "{told}");
    for scheduler in [small, other, kept] {
        scheduler.hang_up();
    }
}
