//! The pages and forms of the time before the v1 API, asked as tools ask them.
//!
//! Each check names the behaviour of Mesos that it is about (H38 to H49 read, B83 to B86 change).

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::net::SocketAddr;

use holdfast_tests::calls::{command_task, cpus, disk, framework_info, mem, reserved, volume};
use holdfast_tests::http::{ask, get, Answer};
use holdfast_tests::{until, Cluster, Scheduler};
use serde_json::{json, Value};

/// A form, as browsers and `curl -d` send it.
fn form(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Answer {
    let encoded: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    ask(address, "POST", path, &headers, encoded.join("&").as_bytes())
}

fn escaped(text: &str) -> String {
    let letter = |it: u8| match it {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => (it as char).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(letter).collect()
}

fn has(page: &Value, names: &str, what: &str) {
    for name in names.split_whitespace() {
        assert!(page.get(name).is_some(), "{what} has no `{name}`: {page}");
    }
}

#[test]
fn what_masters_answer_has_all_that_tools_look_for() {
    let cluster = Cluster::start();
    let (master, agent) = (cluster.master.address(), cluster.agent_id(0));
    let mut scheduler = Scheduler::subscribe(master, &framework_info("f", 60.0), false);
    let offer = scheduler.offer_with("anything", |_| true);
    let mut task = command_task("t", &agent, "sleep 1000", &[cpus(0.5), mem(64.0)]);
    task["labels"] = json!({"labels": [{"key": "tier", "value": "one"}]});
    scheduler.accept(&offer, json!([{"type": "LAUNCH", "launch": {"task_infos": [task]}}]));
    until("the task runs", || match get(master, "/tasks").expect(200, "/tasks").json() {
        it if it["tasks"][0]["state"] == "TASK_RUNNING" => Ok(()),
        it => Err(it),
    });
    let state = get(master, "/master/state").expect(200, "H39").json();
    let keys = "version build_date build_time build_user start_time elected_time id pid hostname capabilities activated_slaves \
        deactivated_slaves unreachable_slaves leader leader_info cluster flags slaves recovered_slaves frameworks completed_frameworks \
        orphan_tasks unregistered_frameworks";
    has(&state, keys, "H39: /state");
    assert_eq!(state["activated_slaves"], 1, "H39");
    assert!(state["flags"]["port"].is_string(), "H39: {}", state["flags"]);
    let slave = &state["slaves"][0];
    let keys = "id pid hostname port attributes registered_time resources used_resources offered_resources reserved_resources \
        unreserved_resources active deactivated version capabilities";
    has(slave, keys, "H40: a slave of /state");
    assert!(slave.get("used_resources_full").is_none(), "H40: only /slaves has them");
    let slaves = get(master, &format!("/slaves?slave_id={agent}")).expect(200, "H40").json();
    let keys = "reserved_resources_full unreserved_resources_full used_resources_full offered_resources_full";
    has(&slaves["slaves"][0], keys, "H40: /slaves");
    let framework = &get(master, "/frameworks").expect(200, "H41").json()["frameworks"][0];
    let keys = "id name user failover_timeout checkpoint hostname webui_url principal capabilities roles active connected recovered \
        registered_time unregistered_time used_resources offered_resources tasks unreachable_tasks completed_tasks offers executors";
    has(framework, keys, "H41: a framework");
    let task = &framework["tasks"][0];
    has(
        task,
        "id name framework_id executor_id slave_id state resources role statuses labels",
        "H42",
    );
    assert_eq!(task["labels"], json!([{"key": "tier", "value": "one"}]), "H42");
    let roles = get(master, "/roles").expect(200, "H43").json();
    let keys = "name weight quota resources allocated offered reserved frameworks";
    has(&roles["roles"][0], keys, "H43");
    assert_eq!(roles["roles"][0]["allocated"]["cpus"], 0.5, "H43");
    let summary = get(master, "/state-summary").expect(200, "H38").json();
    assert_eq!(summary["slaves"][0]["TASK_RUNNING"], 1, "H38: {summary}");
    assert_eq!(summary["frameworks"][0]["slave_ids"], json!([agent]), "H38");
    let all = get(master, "/tasks?limit=-1&order=asc").expect(200, "H38").json();
    assert_eq!(all["tasks"].as_array().map(Vec::len), Some(1), "H38: a limit of -1 is none");
}

#[test]
fn each_page_is_there_with_and_without_the_process_before_it() {
    let cluster = Cluster::start();
    let (master, agent) = (cluster.master.address(), cluster.agents[0].address());
    for page in [
        "/state",
        "/state-summary",
        "/slaves",
        "/frameworks",
        "/tasks",
        "/roles",
        "/weights",
        "/quota",
        "/flags",
        "/health",
        "/version",
        "/maintenance/schedule",
        "/maintenance/status",
        "/files/debug",
        "/metrics/snapshot",
        "/system/stats.json",
    ] {
        get(master, page).expect(200, "H38");
        get(master, &format!("/master{page}")).expect(200, "H1, H38");
    }
    get(master, "/registrar(1)/registry").expect(200, "H38");
    for page in [
        "/state",
        "/monitor/statistics",
        "/containers",
        "/flags",
        "/health",
        "/version",
        "/files/debug",
        "/metrics/snapshot",
        "/system/stats.json",
    ] {
        get(agent, page).expect(200, "H44");
        get(agent, &format!("/slave(1){page}")).expect(200, "H1, H44");
    }
    let wrapped = get(master, "/flags?jsonp=show").expect(200, "H12").text();
    assert!(wrapped.starts_with("show({") && wrapped.ends_with("})"), "H12: {wrapped}");
    for (page, status) in [
        ("/files/browse", 400),
        ("/files/browse?path=/x", 404),
        ("/files/read?path=/x&offset=0", 404),
        ("/files/download?path=/x", 404),
        ("/logging/toggle", 200),
        ("/nowhere", 404),
    ] {
        let words = get(master, page).expect(status, "H46").text();
        assert!(!words.is_empty(), "{page}");
    }
    for page in [
        "/teardown",
        "/reserve",
        "/unreserve",
        "/create-volumes",
        "/destroy-volumes",
        "/machine/up",
    ] {
        let answer = get(master, page).expect(405, "B84");
        assert_eq!(answer.header("allow"), Some("POST"), "B84: {page}");
    }
}

#[test]
fn forms_reserve_create_destroy_and_give_back() {
    let cluster = Cluster::start();
    let (master, agent) = (cluster.master.address(), cluster.agent_id(0));
    let disk = disk(64.0, None);
    let one = |it: &Value| json!([it]).to_string();
    let (reservation, volume) = (one(&reserved(&disk)), one(&volume(&disk, "data-0")));
    let slave = ("slaveId", agent.as_str());
    let resources = ("resources", reservation.as_str());
    let volumes = ("volumes", volume.as_str());
    form(master, "/master/reserve", &[slave, resources]).expect(202, "B83");
    form(master, "/create-volumes", &[slave, volumes]).expect(202, "B83");
    assert_eq!(cluster.claim("data-0")["state"], "ready", "what is accepted here is done");
    form(master, "/unreserve", &[slave, resources]).expect(409, "B84");
    form(master, "/destroy-volumes", &[slave, volumes]).expect(202, "B83");
    form(master, "/unreserve", &[slave, resources]).expect(202, "B83");
    assert!(cluster.list("claims").is_empty());
    for (path, fields, words) in [
        ("/reserve", vec![resources], "Missing 'slaveId'"),
        ("/unreserve", vec![slave], "Missing 'resources'"),
        ("/create-volumes", vec![slave], "Missing 'volumes'"),
        ("/destroy-volumes", vec![slave, ("volumes", "[")], "Error in parsing 'volumes'"),
        ("/reserve", vec![("slaveId", "nobody"), resources], "No agent found with specified ID"),
        ("/teardown", vec![], "Missing 'frameworkId'"),
        ("/teardown", vec![("frameworkId", "nobody")], "No framework found with specified ID"),
    ] {
        let said = form(master, path, &fields).expect(400, "B84").text();
        assert!(said.contains(words), "B84: {path}: {said}");
    }
}

#[test]
fn a_framework_is_torn_down_weights_and_quota_are_set_and_what_is_not_served_says_so() {
    let cluster = Cluster::start();
    let master = cluster.master.address();
    let scheduler = Scheduler::subscribe(master, &framework_info("f", 60.0), true);
    let id = get(master, "/frameworks").expect(200, "H41").json()["frameworks"][0]["id"].clone();
    form(master, "/teardown", &[("frameworkId", id.as_str().unwrap())]).expect(200, "D22");
    let frameworks = get(master, "/frameworks").expect(200, "H41").json();
    assert_eq!(frameworks["frameworks"], json!([]));
    assert_eq!(frameworks["completed_frameworks"][0]["id"], id);
    drop(scheduler);
    let put = |path: &str, body: &str| ask(master, "PUT", path, &[], body.as_bytes());
    put("/weights", r#"[{"role":"db","weight":2.5}]"#).expect(200, "I16");
    let weights = get(master, "/weights").expect(200, "I16").json();
    assert_eq!(weights, json!([{"role": "db", "weight": 2.5}]));
    put("/weights", r#"[{"role":"db","weight":-1}]"#).expect(400, "I16");
    put("/reserve", "").expect(405, "B84");
    let one = json!([{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 1 } }]);
    let quota = json!({ "role": "db", "guarantee": one }).to_string();
    for (method, path, body, status) in [
        ("POST", "/quota", r#"{"role":"db","guarantee":[]}"#, 400),
        ("POST", "/quota", &quota, 200),
        ("DELETE", "/quota/db", "", 200),
        ("POST", "/maintenance/schedule", "{}", 200),
        (
            "POST",
            "/maintenance/schedule",
            r#"{"windows":[{"machine_ids":[{"hostname":"h"}],"unavailability":{"start":{"nanoseconds":1}}}]}"#,
            200,
        ),
        ("POST", "/machine/up", r#"[{"hostname":"h"}]"#, 400),
        ("POST", "/machine/down", r#"[{"hostname":"H"}]"#, 200),
        ("POST", "/maintenance/schedule", "{}", 400),
        ("POST", "/machine/up", r#"[{"hostname":"h"}]"#, 200),
        ("POST", "/machine/down", "[]", 400),
        ("POST", "/machine/up", r#"[{"hostname":"h"}]"#, 400),
    ] {
        ask(master, method, path, &[], body.as_bytes()).expect(status, &format!("{method} {path}"));
    }
}

#[test]
fn an_agents_page_leads_to_the_sandboxes_of_what_runs_and_of_what_ran() {
    let cluster = Cluster::start();
    let (master, id) = (cluster.master.address(), cluster.agent_id(0));
    let agent = cluster.agents[0].address();
    let mut scheduler = Scheduler::subscribe(master, &framework_info("f", 60.0), false);
    for (task, command) in [("ends", "echo over"), ("runs", "echo here; sleep 1000")] {
        let offer =
            scheduler.offer_with("processor and memory", |it| it.to_string().contains("mem"));
        let task = command_task(task, &id, command, &[cpus(0.5), mem(64.0)]);
        scheduler.accept(&offer, json!([{"type": "LAUNCH", "launch": {"task_infos": [task]}}]));
    }
    let mut ended = false;
    while !ended {
        let status = scheduler.status("ends");
        scheduler.acknowledge(&status);
        ended = status["state"] == "TASK_FINISHED";
    }
    let page = until("one task runs and the other's executor is gone", || {
        let page = get(agent, "/slave(1)/state").expect(200, "H44").json();
        let framework = &page["frameworks"][0];
        let running = framework["executors"][0]["tasks"][0]["state"] == "TASK_RUNNING"
            && framework["executors"].as_array().map(Vec::len) == Some(1);
        match running && framework["completed_executors"][0]["id"] == "ends" {
            true => Ok(page),
            false => Err(page),
        }
    });
    let keys = "id pid hostname resources reserved_resources reserved_resources_full unreserved_resources unreserved_resources_full \
        attributes master_hostname flags frameworks completed_frameworks version start_time";
    has(&page, keys, "H44");
    let framework = &page["frameworks"][0];
    for (executor, words) in
        [(&framework["executors"][0], "here"), (&framework["completed_executors"][0], "over")]
    {
        let directory = executor["directory"].as_str().unwrap();
        let path = format!("/files/read?path={directory}/stdout&offset=0");
        let text =
            until("the output is there", || match get(agent, &path).expect(200, "H46").json() {
                it if it["data"].as_str().unwrap().contains(words) => Ok(it),
                it => Err(it),
            });
        assert_eq!(text["offset"], 0, "H46");
    }
    let entry = &get(agent, "/monitor/statistics").expect(200, "H45").json()[0];
    has(entry, "executor_id executor_name framework_id source statistics", "H44");
    let keys = "timestamp cpus_user_time_secs cpus_system_time_secs cpus_limit mem_rss_bytes mem_limit_bytes disk_limit_bytes";
    has(&entry["statistics"], keys, "H45");
    let container = &get(agent, "/containers").expect(200, "H44").json()[0];
    assert_eq!(container["container_id"], framework["executors"][0]["container"], "H44");
    assert_eq!(container["status"]["container_id"]["value"], container["container_id"], "H44");
}

/// The names that Mesos's monitoring page lists (H47), less those of parts that are not here, such as its replicated log.
const MASTER_METRICS: &str = "master/elected master/uptime_secs master/outstanding_offers master/slaves_active master/slaves_connected \
    master/slaves_disconnected master/slaves_inactive master/slaves_unreachable master/slave_registrations master/slave_reregistrations \
    master/frameworks_active master/frameworks_connected master/frameworks_disconnected master/frameworks_inactive master/tasks_error \
    master/tasks_failed master/tasks_finished master/tasks_killed master/tasks_killing master/tasks_lost master/tasks_running \
    master/tasks_staging master/tasks_starting master/tasks_unreachable master/tasks_dropped master/tasks_gone master/tasks_gone_by_operator \
    master/dropped_messages master/messages_authenticate master/messages_deactivate_framework master/messages_decline_offers \
    master/messages_executor_to_framework master/messages_exited_executor master/messages_framework_to_executor master/messages_kill_task \
    master/messages_launch_tasks master/messages_operation_status_update_acknowledgement master/messages_reconcile_operations \
    master/messages_reconcile_tasks master/messages_register_framework master/messages_register_slave master/messages_reregister_framework \
    master/messages_reregister_slave master/messages_resource_request master/messages_revive_offers master/messages_status_update \
    master/messages_status_update_acknowledgement master/messages_suppress_offers master/messages_unregister_framework \
    master/messages_unregister_slave master/messages_update_slave master/valid_status_updates master/invalid_status_updates \
    master/valid_status_update_acknowledgements master/invalid_status_update_acknowledgements \
    master/valid_framework_to_executor_messages master/invalid_framework_to_executor_messages \
    master/valid_executor_to_framework_messages master/invalid_executor_to_framework_messages system/cpus_total system/load_1min \
    system/load_5min system/load_15min system/mem_total_bytes system/mem_free_bytes allocator/mesos/offer_filters/active";

const AGENT_METRICS: &str = "slave/registered slave/uptime_secs slave/frameworks_active slave/executors_registering \
    slave/executors_running slave/executors_terminating slave/tasks_failed slave/tasks_finished slave/tasks_killed slave/tasks_killing \
    slave/tasks_lost slave/tasks_running slave/tasks_staging slave/tasks_starting slave/valid_status_updates slave/invalid_status_updates \
    slave/valid_framework_messages slave/invalid_framework_messages system/cpus_total system/load_1min system/mem_total_bytes";

#[test]
fn h47_metrics_have_the_names_that_dashboards_know() {
    let cluster = Cluster::start();
    let (master, agent) = (cluster.master.address(), cluster.agents[0].address());
    let mut scheduler = Scheduler::subscribe(master, &framework_info("f", 60.0), false);
    let offer = scheduler.offer_with("anything", |_| true);
    scheduler.accept(&offer, json!([]));
    let snapshot = |address, sign: &str| {
        until("the numbers are there", || {
            match get(address, "/metrics/snapshot").expect(200, "H47").json() {
                it if it.get(sign).is_some() => Ok(it),
                it => Err(it),
            }
        })
    };
    let of_master = snapshot(master, "master/tasks_running");
    let of_agent = snapshot(agent, "slave/tasks_running");
    has(&of_master, MASTER_METRICS, "H47: the master");
    has(&of_agent, AGENT_METRICS, "H47: the agent");
    for name in ["cpus", "mem", "disk", "gpus"] {
        for kind in ["", "_revocable"] {
            for what in ["total", "used", "percent"] {
                has(&of_master, &format!("master/{name}{kind}_{what}"), "H47: the master");
                has(&of_agent, &format!("slave/{name}{kind}_{what}"), "H47: the agent");
            }
        }
        has(&of_master, &format!("allocator/mesos/resources/{name}/total"), "H47");
        has(&of_master, &format!("allocator/mesos/resources/{name}/offered_or_allocated"), "H47");
    }
    for (name, count) in [
        ("master/messages_register_framework", 1.0),
        ("master/messages_launch_tasks", 1.0),
        ("master/slave_registrations", 1.0),
        ("master/messages_kill_task", 0.0),
    ] {
        assert_eq!(of_master[name], count, "H47: {name}");
    }
}
