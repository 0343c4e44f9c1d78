//! Services of spec files on a real cluster: the gallery runs, members come back to their volumes whatever is killed, a setting is rolled
//! out and paused in the middle, and what is unsafe or has no room is refused with the reason.
//!
//! Relies on the built `holdfast` and on /bin/sh. It never looks into the service's ledger: only at what everybody can ask.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::daemon::binary;
use holdfast_tests::{until, Cluster};
use serde_json::Value;

/// A scheduler of a spec file: `holdfast service run`.
struct Service {
    spec: PathBuf,
    ledger: PathBuf,
    log: PathBuf,
    master: String,
    child: Option<Child>,
}

impl Service {
    /// A spec of the gallery, with parts replaced; not started yet.
    fn of_gallery(cluster: &Cluster, kind: &str, changes: &[(&str, &str)]) -> Service {
        let service = Service {
            spec: cluster.path(&format!("{kind}.toml")),
            ledger: cluster.path(&format!("{kind}.ledger")),
            log: cluster.path(&format!("{kind}.log")),
            master: cluster.master.address().to_string(),
            child: None,
        };
        let text = done(cluster, &["service", "init", kind]);
        std::fs::write(&service.spec, replaced(&text, changes)).expect("it can be written");
        service
    }

    fn path(&self) -> &str {
        self.spec.to_str().expect("a path is text")
    }

    /// Another file of the same service.
    fn changed(&self, changes: &[(&str, &str)]) -> String {
        let path = self.spec.with_extension("changed.toml");
        let text = std::fs::read_to_string(&self.spec).expect("it was written");
        std::fs::write(&path, replaced(&text, changes)).expect("it can be written");
        path.to_str().expect("a path is text").to_owned()
    }

    fn start(&mut self, more: &[&str]) {
        let log = File::options().create(true).append(true).open(&self.log).expect("a log");
        let mut command = Command::new(binary());
        command.args(["service", "run", self.path(), "--master", &self.master, "--ledger"]);
        command.arg(&self.ledger).args(more).env("RUST_LOG", "info").stdin(Stdio::null());
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().expect("it starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().expect("it is our child");
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the scheduler's log ---\n{}", self.log());
        }
        self.kill();
    }
}

fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "`{from}` is not in\n{text}");
        text.replace(from, to)
    })
}

/// What a verb answers as JSON, if it answers.
fn asked(cluster: &Cluster, verb: &[&str]) -> Result<Value, String> {
    let output = holdfast(cluster, &[&["service"], verb, &["-o", "json"]].concat());
    serde_json::from_slice(&output.stdout).map_err(|_| words(&output))
}

fn wait_for_state(cluster: &Cluster, name: &str, state: &str) -> Value {
    until(&format!("service {name} is {state}"), || {
        let row = asked(cluster, &["show", name])?;
        if row["state"] == state {
            Ok(row)
        } else {
            Err(format!("{row:#}"))
        }
    })
}

/// Tasks and volumes of members that are all ready.
fn ready(cluster: &Cluster, name: &str) -> Vec<(String, String)> {
    until(&format!("all members of {name} are ready"), || {
        let rows = asked(cluster, &["pods", name])?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        match rows.iter().all(|it| it["state"] == "READY") && !rows.is_empty() {
            true => Ok(rows
                .iter()
                .map(|it| (text(&it["task"]), text(&it["volumes"][0]["id"])))
                .collect()),
            false => Err(format!("{rows:#?}")),
        }
    })
}

fn volumes(members: &[(String, String)]) -> Vec<&str> {
    members.iter().map(|it| it.1.as_str()).collect()
}

/// A cluster of agents in two racks, each with an address of its own.
fn cluster(agents: usize) -> Cluster {
    let mut cluster = Cluster::without_agents();
    for index in 0..agents {
        let (name, host) = (format!("agent{index}"), host(index));
        let rack = format!("rack:r{}", index % 2);
        let resources = "cpus:4;mem:1024;disk:1000;ports:[31000-31100]";
        let settings = ["--resources", resources, "--hostname", &host, "--ip", &host];
        let mut agent =
            cluster.agent_with(&name, &[&settings[..], &["--attributes", &rack]].concat());
        agent.start();
        cluster.agents.push(agent);
    }
    wait_for_agents(&cluster, agents);
    cluster
}

fn host(index: usize) -> String {
    format!("127.0.0.{}", index + 1)
}

fn wait_for_agents(cluster: &Cluster, count: usize) {
    until("the agents are well", || {
        let rows = cluster.list("agents");
        let well = rows.iter().filter(|it| it["state"] == "well").count();
        if well == count {
            Ok(())
        } else {
            Err(format!("{rows:#?}"))
        }
    });
}

#[test]
fn members_come_back_to_their_volumes_whatever_is_killed() {
    let mut cluster = cluster(2);
    let mut service = Service::of_gallery(&cluster, "hello-volume", &[]);
    done(&cluster, &["service", "check", service.path()]);
    let planned = holdfast(&cluster, &["service", "plan", service.path()]);
    assert_eq!(planned.status.code(), Some(2), "{}", words(&planned));
    assert!(!words(&planned).contains("no room"), "{}", words(&planned));
    service.start(&[]);
    wait_for_state(&cluster, "hello", "running");
    let first = ready(&cluster, "hello");
    assert!(service.log().contains("all 2 members run"));
    let same = holdfast(&cluster, &["service", "plan", service.path()]);
    assert_eq!(same.status.code(), Some(0), "{}", words(&same));

    // A page of another site drives no service, whatever its reader may do.
    let framework = &cluster.list("frameworks")[0];
    let url = framework["webui_url"].as_str().expect("it says where it serves its pages");
    let address =
        url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let foreign = [("Origin", "http://evil.example"), ("Content-Type", "application/json")];
    for path in ["/v1/pods/hello-0/restart", "/v1/uninstall", "/v1/spec"] {
        holdfast_tests::ask(address, "POST", path, &foreign, b"{}").expect(403, path);
    }
    holdfast_tests::ask(address, "POST", "/v1/spec", &foreign[1..], b"{").expect(400, "no JSON");

    done(&cluster, &["task", "kill", &first[0].0, "-y"]);
    until("another task runs", || match ready(&cluster, "hello") {
        now if now[0].0 != first[0].0 => Ok(()),
        now => Err(format!("{now:?}")),
    });
    service.kill();
    let silent = holdfast(&cluster, &["service", "show", "hello"]);
    assert_eq!(silent.status.code(), Some(6), "{}", words(&silent));
    assert!(words(&silent).contains("its tasks run on without it"), "{}", words(&silent));
    let before = cluster.list("tasks").iter().filter(|it| it["ended"] == false).count();
    assert_eq!(before, 2, "tasks outlive their scheduler");
    service.start(&[]);
    wait_for_state(&cluster, "hello", "running");

    cluster.agents[1].restart();
    wait_for_agents(&cluster, 2);
    cluster.master.restart();
    until("the service is known again", || asked(&cluster, &["show", "hello"]));
    wait_for_state(&cluster, "hello", "running");
    assert_eq!(volumes(&ready(&cluster, "hello")), volumes(&first));
}

#[test]
fn a_setting_is_tried_on_a_canary_and_waits_for_somebody_to_go_on() {
    let cluster = cluster(2);
    let change = ("max_per_agent = 1", "max_per_agent = 2");
    let mut service = Service::of_gallery(&cluster, "canary", &[change]);
    service.start(&[]);
    wait_for_state(&cluster, "canary", "running");
    let first = ready(&cluster, "canary");

    let unsafe_file =
        service.changed(&[("count = 3", "count = 2"), ("size = \"32MB\"", "size = \"16MB\"")]);
    for verb in ["plan", "update"] {
        let output = holdfast(&cluster, &["service", verb, &unsafe_file]);
        assert_eq!(output.status.code(), Some(5), "{}", words(&output));
        let told = words(&output);
        assert!(told.contains("pods.app.count") && told.contains("does not shrink"), "{told}");
    }

    let file = service.changed(&[("VERSION = \"1\"", "VERSION = \"2\"")]);
    let planned = holdfast(&cluster, &["service", "plan", &file]);
    assert_eq!(planned.status.code(), Some(2), "{}", words(&planned));
    done(&cluster, &["service", "update", &file]);
    let paused = wait_for_state(&cluster, "canary", "paused");
    let tasks = || ready(&cluster, "canary").into_iter().map(|it| it.0).collect::<Vec<_>>();
    let halfway = tasks();
    let changed =
        |now: &[String]| now.iter().zip(&first).filter(|(now, (was, _))| **now != *was).count();
    assert_eq!(changed(&halfway), 1, "{paused:#}");
    // Who starts the scheduler anew does not make the plan go on.
    service.kill();
    service.start(&[]);
    wait_for_state(&cluster, "canary", "paused");
    assert_eq!(tasks(), halfway);
    done(&cluster, &["service", "resume", "canary"]);
    until("all have changed", || match changed(&tasks()) {
        3 => Ok(()),
        count => Err(format!("{count} have changed")),
    });
    wait_for_state(&cluster, "canary", "running");
    assert_eq!(volumes(&ready(&cluster, "canary")), volumes(&first));
    let written = done(&cluster, &["service", "logs", "canary", "app-2"]);
    assert!(written.contains("app-2 runs version 2"), "{written}");
    assert!(written.contains("member = app-2 of 3\nversion = 2"), "{written}");
}

#[test]
fn members_are_spread_over_racks_and_formatted_once() {
    let cluster = cluster(2);
    let mut service = Service::of_gallery(&cluster, "rack-spread", &[]);
    service.start(&[]);
    wait_for_state(&cluster, "rack-spread", "running");
    let rows = asked(&cluster, &["pods", "rack-spread"]).expect("it answers");
    let rows = rows.as_array().expect("a list");
    let on = |host: &str| rows.iter().filter(|it| it["hostname"] == host).count();
    assert_eq!((on(&host(0)), on(&host(1))), (2, 2), "{rows:#?}");
    done(&cluster, &["service", "restart", "rack-spread", "node-0"]);
    until("it was restarted", || {
        let written = words(&holdfast(&cluster, &["service", "logs", "rack-spread", "node-0"]));
        let rows = asked(&cluster, &["plans", "rack-spread", "restart"])?;
        let is_over = rows[0]["state"] == "COMPLETE" && written.contains("by node-0");
        if is_over {
            Ok(())
        } else {
            Err(format!("{rows:#} {written}"))
        }
    });
}

#[test]
fn a_helper_is_placed_beside_each_member_and_told_where_they_are() {
    if !["/usr/bin/python3", "/usr/local/bin/python3"]
        .iter()
        .any(|it| std::path::Path::new(it).exists())
    {
        holdfast_tests::left_out("the sidecar of the gallery", "python3 is not there");
        return;
    }
    let cluster = cluster(2);
    let mut service = Service::of_gallery(&cluster, "sidecar", &[]);
    service.start(&[]);
    wait_for_state(&cluster, "sidecar", "running");
    let endpoints = asked(&cluster, &["endpoints", "sidecar"]).expect("it answers");
    let endpoints = endpoints.as_array().expect("a list");
    assert_eq!(endpoints.len(), 2, "{endpoints:#?}");
    let address = endpoints[1]["address"].as_str().expect("an address").to_owned();
    until("the helper was told of both", || {
        let written = words(&holdfast(&cluster, &["service", "logs", "sidecar", "watch-0"]));
        if written.contains(&address) {
            Ok(())
        } else {
            Err(written)
        }
    });
}

#[test]
fn what_has_no_room_is_told_agent_by_agent() {
    let cluster = cluster(2);
    let mut service = Service::of_gallery(
        &cluster,
        "hello-volume",
        &[("count = 2", "count = 3"), ("size = \"64MB\"", "size = \"600MB\"")],
    );
    let planned = holdfast(&cluster, &["service", "plan", service.path()]);
    let told = words(&planned);
    assert_eq!(planned.status.code(), Some(2), "{told}");
    assert!(told.contains("hello-2  no room") && told.contains("1 of 3 members"), "{told}");
    for host in [host(0), host(1)] {
        let line = told.lines().find(|it| it.contains(&host) && it.contains("hello-2: "));
        assert!(line.is_some(), "{host}: {told}");
    }
    // It is told by the service, too, and nobody is said to run who does not.
    service.start(&[]);
    until("the third one waits", || {
        let row = asked(&cluster, &["show", "hello"])?;
        let waits = row["waits"].as_array().cloned().unwrap_or_default();
        let is_third = waits.iter().any(|it| it["member"] == "hello-2");
        let two = row["summary"].as_str().is_some_and(|it| it.starts_with("2 of 3 members run"));
        if is_third && two {
            Ok(())
        } else {
            Err(format!("{row:#}"))
        }
    });
    assert!(!service.log().contains("members run"), "{}", service.log());
    until("the masters' explanation has it, too", || {
        let told = words(&holdfast(&cluster, &["explain", "hello"]));
        if told.contains("What waits") && told.contains("hello-2") {
            Ok(())
        } else {
            Err(told)
        }
    });
}

#[test]
fn a_service_whose_ledger_is_lost_asks_before_it_does_anything() {
    let cluster = cluster(2);
    let mut service = Service::of_gallery(&cluster, "hello-volume", &[]);
    service.start(&[]);
    wait_for_state(&cluster, "hello", "running");
    let first = ready(&cluster, "hello");
    service.kill();
    let lost = service.ledger.with_extension("lost");
    std::fs::rename(&service.ledger, &lost).expect("it can be moved");
    service.start(&[]);
    let framework = until("the newcomer has stopped", || {
        let rows = cluster.list("frameworks");
        let stopped = rows.iter().find(|it| {
            let id = it["id"].as_str().unwrap_or_default();
            asked(&cluster, &["show", id]).is_ok_and(|row| row["state"] == "stopped")
        });
        stopped.cloned().ok_or_else(|| format!("{rows:#?}\n{}", service.log()))
    });
    assert!(service.log().contains("volumes bear the name of this service"), "{}", service.log());
    let live = cluster.list("tasks").into_iter().filter(|it| it["ended"] == false);
    assert_eq!(live.count(), 2, "nothing was started beside the old self");
    assert_eq!(cluster.list("claims").iter().filter(|it| it["kind"] == "volume").count(), 2);
    let id = framework["id"].as_str().expect("an id");
    let told = refused(&cluster, &["service", "scale", id, "hello", "3"]);
    assert!(told.contains("adopt"), "{told}");
    // With its ledger it goes on as if nothing had been.
    service.kill();
    std::fs::remove_dir_all(&service.ledger).expect("it was made anew");
    std::fs::rename(&lost, &service.ledger).expect("it can be moved back");
    service.start(&[]);
    until("it runs on", || {
        let rows = asked(&cluster, &["pods", "hello"])?;
        let tasks: Vec<&str> =
            rows.as_array().into_iter().flatten().filter_map(|it| it["task"].as_str()).collect();
        let old: Vec<&str> = first.iter().map(|it| it.0.as_str()).collect();
        if tasks == old {
            Ok(())
        } else {
            Err(format!("{rows:#}"))
        }
    });
}

#[test]
fn a_spec_that_is_wrong_is_told_with_its_place() {
    let cluster = Cluster::without_agents();
    let service = Service::of_gallery(
        &cluster,
        "hello-volume",
        &[("count = 2", "cuont = 2"), ("\"64MB\"", "\"64 parsecs\"")],
    );
    for verb in ["check", "plan", "run", "update"] {
        let told = refused(&cluster, &["service", verb, service.path()]);
        assert!(told.contains("hello-volume.toml:11:1: a pod has no `cuont`"), "{told}");
        assert!(told.contains("did you mean `count`?") && told.contains("is no size"), "{told}");
    }
}
