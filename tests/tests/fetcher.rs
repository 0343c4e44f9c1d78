//! What a command wants fetched is in its sandbox before it starts: from files and servers, unpacked, by way of the cache, as its user.
//!
//! Relies on `curl` and `tar` of this machine.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use holdfast_tests::calls::{command_task, cpus, framework_info, mem};
use holdfast_tests::cluster::text;
use holdfast_tests::{until, Cluster, Scheduler};
use serde_json::{json, Value};

/// A cluster whose agent has these settings, and a folder that everybody may read.
fn cluster(settings: &[&str]) -> Cluster {
    let mut cluster = Cluster::without_agents();
    std::fs::set_permissions(cluster.scratch(), PermissionsExt::from_mode(0o755)).unwrap();
    let resources = ["--resources", "cpus:8;mem:4096;disk:1000", "--hostname", "agent0"];
    let mut agent = cluster.agent_with("agent0", &[&resources, settings].concat());
    agent.start();
    cluster.agents.push(agent);
    cluster.wait_for_agent(0, "well");
    cluster
}

fn subscribe(cluster: &Cluster) -> Scheduler {
    let mut info = framework_info("f", 60.0);
    info["user"] = json!("nobody");
    Scheduler::subscribe(cluster.master.address(), &info, false)
}

fn task(cluster: &Cluster, id: &str, line: &str, uris: Value) -> Value {
    let mut task = command_task(id, &cluster.agent_id(0), line, &[cpus(0.1), mem(32.0)]);
    task["command"]["uris"] = uris;
    task
}

fn launch(scheduler: &mut Scheduler, tasks: &[Value]) {
    let offer = scheduler.offer_with("cpus", |it| it["name"] == "cpus");
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": tasks } }]));
}

/// The last statuses of so many tasks, acknowledged.
fn ends(scheduler: &mut Scheduler, count: usize) -> BTreeMap<String, Value> {
    let mut ends = BTreeMap::new();
    while ends.len() < count {
        let event = scheduler.event("UPDATE");
        let status = event["update"]["status"].clone();
        scheduler.acknowledge(&status);
        if !["TASK_STARTING", "TASK_RUNNING"].contains(&status["state"].as_str().unwrap()) {
            ends.insert(status["task_id"]["value"].as_str().unwrap().to_owned(), status);
        }
    }
    ends
}

/// A server of one file; notes what was asked. What begins with `/hangs` is never answered.
fn server(content: &'static [u8]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = asked.clone();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|it| !it.is_empty()).collect();
            let first = head.first().cloned().unwrap_or_default();
            notes.lock().unwrap().push(first.split(' ').take(2).collect::<Vec<_>>().join(" "));
            if first.contains("/hangs") {
                kept.push(stream);
                continue;
            }
            let length = content.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            if first.starts_with("GET") {
                let _ = stream.write_all(content);
            }
        }
    });
    (url, asked)
}

#[test]
fn i1_what_a_command_wants_is_there_before_it_starts_and_is_its_users() {
    let cluster = cluster(&[]);
    let folder = cluster.path("given");
    std::fs::create_dir_all(folder.join("top")).unwrap();
    std::fs::write(folder.join("top/inner"), "unpacked\n").unwrap();
    std::fs::write(folder.join("run"), "#!/bin/sh\necho ran\n").unwrap();
    let archive = folder.join("given.tar.gz");
    let packed = std::process::Command::new("tar")
        .arg("czf")
        .arg(&archive)
        .args(["-C", &text(&folder), "top"])
        .status();
    assert!(packed.unwrap().success());
    let secret = folder.join("secret");
    std::fs::write(&secret, "root's").unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let (url, _) = server(b"served\n");
    let uris = json!([
        { "value": text(&archive) },
        { "value": format!("file://{}", text(&folder.join("run"))), "executable": true, "output_file": "bin/run" },
        { "value": format!("{url}/file?x=y"), "output_file": "file" },
    ]);
    let mut scheduler = subscribe(&cluster);
    let me = if nix::unistd::geteuid().is_root() { "nobody" } else { "$(id -un)" };
    let line = format!(
        "test \"$(cat top/inner file)\" = \"$(printf 'unpacked\\nserved')\" && test \"$(bin/run)\" = ran && \
         test $(stat -c %U file) = {me} && test $(stat -c %U top/inner) = {me} && test ! -e .holdfast-fetch"
    );
    let all = [
        task(&cluster, "well", &line, uris),
        task(&cluster, "missing", "true", json!([{ "value": "/no/such/file" }])),
        task(&cluster, "secret", "true", json!([{ "value": text(&secret) }])),
    ];
    launch(&mut scheduler, &all);
    let ends = ends(&mut scheduler, 3);
    assert_eq!(ends["well"]["state"], "TASK_FINISHED", "{:#}", ends["well"]);
    for (id, words) in
        [("missing", "/no/such/file: No such file"), ("secret", "secret: Permission denied")]
    {
        if id == "secret" && !nix::unistd::geteuid().is_root() {
            continue;
        }
        let status = &ends[id];
        assert_eq!(status["state"], "TASK_FAILED", "{status:#}");
        assert_eq!(status["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{status:#}");
        assert!(status["message"].as_str().unwrap().contains(words), "{status:#}");
    }
}

#[test]
fn i2_many_who_want_the_same_make_one_download_and_the_cache_is_wiped_at_start() {
    let mut cluster = cluster(&[]);
    let (url, asked) = server(b"cached\n");
    let mut scheduler = subscribe(&cluster);
    let uri = json!([{ "value": format!("{url}/file"), "cache": true }]);
    let tasks: Vec<Value> = (0..4)
        .map(|it| task(&cluster, &format!("t{it}"), "test $(cat file) = cached", uri.clone()))
        .collect();
    launch(&mut scheduler, &tasks);
    for (id, status) in ends(&mut scheduler, 4) {
        assert_eq!(status["state"], "TASK_FINISHED", "{id}: {status:#}");
    }
    assert_eq!(*asked.lock().unwrap(), ["HEAD /file", "GET /file"], "its size, then it, once");
    drop(scheduler);
    cluster.agents[0].kill();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    let mut scheduler = subscribe(&cluster);
    launch(&mut scheduler, &[task(&cluster, "later", "test $(cat file) = cached", uri)]);
    assert_eq!(ends(&mut scheduler, 1)["later"]["state"], "TASK_FINISHED");
    assert_eq!(asked.lock().unwrap().len(), 4, "what an earlier agent has fetched is not used");
}

#[test]
fn i1_a_task_of_a_group_has_what_it_wants_or_takes_its_group_along() {
    let cluster = cluster(&[]);
    let (url, asked) = server(b"served\n");
    let mut scheduler = subscribe(&cluster);
    let file = json!([{ "value": format!("{url}/file") }]);
    let hangs = json!([{ "value": format!("{url}/hangs") }]);
    let me = if nix::unistd::geteuid().is_root() { "nobody" } else { "$(id -un)" };
    let line = format!("test $(cat file) = served && test $(stat -c %U file) = {me}");
    let group = |executor: &str, tasks: &[Value], scheduler: &Scheduler| {
        let disk = json!({ "name": "disk", "type": "SCALAR", "scalar": { "value": 8 } });
        let executor = json!({
            "type": "DEFAULT", "executor_id": { "value": executor }, "resources": [cpus(0.1), mem(32.0), disk],
            "framework_id": { "value": scheduler.framework_id },
        });
        json!({ "type": "LAUNCH_GROUP", "launch_group": { "executor": executor, "task_group": { "tasks": tasks } } })
    };
    let well =
        [task(&cluster, "well", &line, file.clone()), task(&cluster, "beside", "true", json!([]))];
    let ill = [
        task(&cluster, "ill", "true", json!([{ "value": "/no/such/file" }])),
        task(&cluster, "waits", "true", hangs),
    ];
    let offer = scheduler.offer_with("cpus", |it| it["name"] == "cpus");
    let operations = json!([group("e1", &well, &scheduler), group("e2", &ill, &scheduler)]);
    scheduler.accept(&offer, operations);
    let ends = ends(&mut scheduler, 4);
    for id in ["well", "beside"] {
        assert_eq!(ends[id]["state"], "TASK_FINISHED", "{:#}", ends[id]);
    }
    let (ill, waits) = (&ends["ill"], &ends["waits"]);
    assert_eq!(ill["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{ill:#}");
    assert!(ill["message"].as_str().unwrap().contains("/no/such/file: No such file"), "{ill:#}");
    assert_eq!(waits["state"], "TASK_KILLED", "{waits:#}");
    assert!(
        waits["message"].as_str().unwrap().contains("while what it wants was fetched"),
        "{waits:#}"
    );
    assert!(asked.lock().unwrap().contains(&"GET /file".to_owned()));
}

#[test]
fn i3_a_download_that_stalls_is_cut_or_killed_and_holds_up_nobody() {
    let mut cluster = cluster(&["--fetcher-stall-timeout", "2s"]);
    let (url, asked) = server(b"");
    let mut scheduler = subscribe(&cluster);
    let hangs = |path: &str| json!([{ "value": format!("{url}/hangs/{path}") }]);
    let all =
        [task(&cluster, "cut", "true", hangs("cut")), task(&cluster, "other", "true", json!([]))];
    launch(&mut scheduler, &all);
    let ended = ends(&mut scheduler, 2);
    assert_eq!(ended["other"]["state"], "TASK_FINISHED");
    assert_eq!(ended["cut"]["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{:#}", ended["cut"]);
    assert!(ended["cut"]["message"].as_str().unwrap().contains("curl: "), "{:#}", ended["cut"]);

    // One that would hang for long is killed, and one is left by an agent that dies.
    drop(scheduler);
    cluster.agents[0].stop();
    let resources = ["--resources", "cpus:8;mem:4096;disk:1000", "--hostname", "agent0"];
    let mut agent = cluster
        .agent_with("agent0", &[&resources[..], &["--fetcher-stall-timeout", "1h"]].concat());
    agent.start();
    cluster.agents[0] = agent;
    cluster.wait_for_agent(0, "well");
    let mut scheduler = subscribe(&cluster);
    let all = [
        task(&cluster, "killed", "true", hangs("killed")),
        task(&cluster, "left", "true", hangs("left")),
    ];
    launch(&mut scheduler, &all);
    until("both are asked for", || {
        let asked = asked.lock().unwrap().clone();
        let all = ["GET /hangs/killed", "GET /hangs/left"]
            .iter()
            .all(|it| asked.iter().any(|one| one == it));
        all.then_some(()).ok_or(format!("{asked:?}"))
    });
    let call = json!({ "type": "KILL", "kill": { "task_id": { "value": "killed" } } });
    scheduler.call(call).expect(202, "KILL");
    let killed = ends(&mut scheduler, 1);
    assert_eq!(killed["killed"]["state"], "TASK_KILLED", "{killed:#?}");
    cluster.agents[0].kill();
    cluster.agents[0].start();
    // The other one's end may be told again: the agent may not have heard that it was acknowledged.
    let left = loop {
        if let Some(status) = ends(&mut scheduler, 1).remove("left") {
            break status;
        }
    };
    assert_eq!(left["reason"], "REASON_AGENT_RESTARTED", "{left:#}");
    let containers = cluster.agent_dir(0).join("containers/containers");
    until("nothing of it is left", || {
        let left = std::fs::read_dir(&containers).map_or(0, Iterator::count);
        if left == 0 {
            Ok(())
        } else {
            Err(format!("{left} containers"))
        }
    });
}
