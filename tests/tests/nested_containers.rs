//! Containers inside those of tasks, on a real cluster: over HTTP as a stranger speaks it, and by `holdfast task exec`.
//!
//! Relies on root and cgroups; where they are missing it is said, and passed.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use holdfast_tests::calls::{command_task, cpus, disk, framework_info, mem, volume};
use holdfast_tests::cluster::volume_dir;
use holdfast_tests::daemon::binary;
use holdfast_tests::http::{ask, post, request, Connection};
use holdfast_tests::{left_out, until, Cluster, Scheduler};
use serde_json::{json, Value};

/// A cluster with a task that has a volume, with one file in it.
struct Stage {
    cluster: Cluster,
    scheduler: Scheduler,
    root: String,
}

impl Stage {
    /// `None` where nothing keeps containers apart.
    fn set(test: &str) -> Option<Stage> {
        let cluster = Cluster::start();
        let log = cluster.agents[0].log();
        if log.contains("limits are not enforced") || unsafe_user() {
            left_out(test, "containers inside others need root and cgroups");
            return None;
        }
        let claim = cluster.claim_volume(0, "v", &disk(50.0, None));
        fs::write(volume_dir(&cluster.agent_dir(0), &claim).join("data/kept"), "kept\n").unwrap();
        let info = framework_info("f", 60.0);
        let mut scheduler = Scheduler::subscribe(cluster.master.address(), &info, false);
        let is_ours = |it: &Value| it["disk"]["persistence"]["id"] == "v";
        let offer = scheduler.offer_with("the volume", is_ours);
        let own = [cpus(0.5), mem(64.0), volume(&disk(50.0, None), "v")];
        let task = command_task("t", &cluster.agent_id(0), "exec sleep 1000", &own);
        scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
        until("the task runs", || {
            let status = scheduler.status("t");
            scheduler.acknowledge(&status);
            match status["state"] == "TASK_RUNNING" {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        });
        let answer =
            post(cluster.agents[0].address(), "/api/v1", &json!({ "type": "GET_CONTAINERS" }));
        let all = answer.expect(200, "GET_CONTAINERS").json();
        let container = &all["get_containers"]["containers"][0];
        assert_eq!(container["executor_id"]["value"], "t", "{all:#}");
        assert!(container["container_status"]["executor_pid"].as_u64() > Some(0), "{all:#}");
        assert!(container["resource_statistics"]["mem_limit_bytes"].as_u64() > Some(0), "{all:#}");
        let root = container["container_id"]["value"].as_str().unwrap().to_owned();
        Some(Stage { cluster, scheduler, root })
    }

    fn agent(&self) -> SocketAddr {
        self.cluster.agents[0].address()
    }

    fn id(&self, name: &str) -> Value {
        json!({ "value": name, "parent": { "value": self.root } })
    }

    fn call(&self, kind: &str, name: &str, rest: Value) -> holdfast_tests::http::Answer {
        let mut message = json!({ "container_id": self.id(name) });
        message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        post(self.agent(), "/api/v1", &json!({ "type": kind, kind.to_lowercase(): message }))
    }

    fn launch(&self, name: &str, line: &str) -> holdfast_tests::http::Answer {
        self.call("LAUNCH_NESTED_CONTAINER", name, json!({ "command": { "value": line } }))
    }

    fn wait(&self, name: &str) -> Value {
        let answer = self.call("WAIT_NESTED_CONTAINER", name, json!({}));
        answer.expect(200, "WAIT_NESTED_CONTAINER").json()["wait_nested_container"].clone()
    }

    /// A session, whose output comes on the connection.
    fn session(&self, name: &str, line: &str) -> Connection {
        let message = json!({ "container_id": self.id(name), "command": { "value": line } });
        let call = json!({ "type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": message });
        let headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/recordio"),
            ("Message-Accept", "application/json"),
        ];
        let mut connection = Connection::open(self.agent()).unwrap();
        connection.send(&request("POST", "/api/v1", &headers, call.to_string().as_bytes()));
        let head = connection.head();
        assert_eq!(head.status, 200, "{}", head.head);
        assert_eq!(head.header("content-type"), Some("application/recordio"));
        assert_eq!(head.header("message-content-type"), Some("application/json"));
        connection
    }

    fn sandbox(&self) -> PathBuf {
        let answer = post(self.agent(), "/api/v1", &json!({ "type": "GET_EXECUTORS" }));
        let executor = answer.json()["get_executors"]["executors"][0]["executor_info"].clone();
        let framework = executor["framework_id"]["value"].as_str().unwrap().to_owned();
        let slaves = self.cluster.agent_dir(0).join("slaves").join(self.cluster.agent_id(0));
        slaves.join("frameworks").join(framework).join("executors/t/runs").join(&self.root)
    }

    fn exec(&self, options: &[&str], words: &[&str], input: &[u8]) -> Output {
        let master = self.cluster.master.address().to_string();
        let mut child = Command::new(binary())
            .args(["--master", &master, "task", "exec", "--agent-address"])
            .arg(self.cluster.agents[0].address().to_string())
            .args(options)
            .args(["t", "--"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = input.to_vec();
        // What it does not read is its own affair.
        let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }
}

fn unsafe_user() -> bool {
    !Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n")
}

/// Whether a process runs that was started by these words.
fn runs(words: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    lines.any(|it| it == words.as_bytes())
}

fn until_gone(words: &str) {
    until(&format!("{words:?} is gone"), || if runs(words) { Err("it runs") } else { Ok(()) });
}

fn until_here(words: &str) {
    until(&format!("{words:?} runs"), || if runs(words) { Ok(()) } else { Err("it does not") });
}

#[test]
fn h36_a_container_inside_a_tasks_lives_as_in_mesos() {
    let Some(stage) = Stage::set("h36_a_container_inside_a_tasks_lives_as_in_mesos") else {
        return;
    };
    stage.launch("a", "cat ../../data/kept; exec sleep 1000.55123").expect(200, "launched");
    stage.launch("a", "true").expect(202, "it is there");
    let stdout = stage.sandbox().join("containers/a/stdout");
    until("it prints", || match fs::read_to_string(&stdout) {
        Ok(text) if text == "kept\n" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let shown = |nested: bool| {
        let asked =
            json!({ "type": "GET_CONTAINERS", "get_containers": { "show_nested": nested } });
        let answer = post(stage.agent(), "/api/v1", &asked).json();
        answer["get_containers"]["containers"].as_array().unwrap().clone()
    };
    assert_eq!(shown(false).len(), 1);
    assert_eq!(shown(true)[1]["container_id"], stage.id("a"));
    stage.call("REMOVE_NESTED_CONTAINER", "a", json!({})).expect(409, "it runs");
    stage.call("KILL_NESTED_CONTAINER", "a", json!({ "signal": 15 })).expect(200, "killed");
    assert_eq!(stage.wait("a")["exit_status"], 15);
    assert!(!runs("sleep\x001000.55123\0"));
    stage.launch("a", "true").expect(409, "it has ended, and is remembered");
    stage.call("KILL_NESTED_CONTAINER", "a", json!({})).expect(404, "it has ended");
    stage.call("REMOVE_NESTED_CONTAINER", "a", json!({})).expect(200, "removed");
    assert!(!stage.sandbox().join("containers/a").exists());
    stage.call("WAIT_NESTED_CONTAINER", "a", json!({})).expect(404, "it is forgotten");
    stage.launch("b", "exit 7").expect(200, "launched");
    assert_eq!(stage.wait("b")["exit_status"], 7 << 8);
}

#[test]
fn h36_what_cannot_be_is_refused_with_its_reason() {
    let Some(stage) = Stage::set("h36_what_cannot_be_is_refused_with_its_reason") else { return };
    let refused = |call: Value, status: u16, word: &str| {
        let text = post(stage.agent(), "/api/v1", &call).expect(status, word).text();
        assert!(text.contains(word), "{call}: {text}");
    };
    let launch = |id: Value, command: Value| json!({ "type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": { "container_id": id, "command": command } });
    let command = json!({ "value": "true" });
    let stranger =
        json!({ "value": "x", "parent": { "value": "00000000-0000-0000-0000-000000000009" } });
    refused(launch(stranger, command.clone()), 404, "cannot be found");
    refused(launch(json!({ "value": "x" }), command.clone()), 400, "parent");
    refused(launch(stage.id("a.b"), command.clone()), 400, "letter");
    refused(launch(stage.id("../x"), command.clone()), 400, "letter");
    let deep =
        (0..9).fold(json!({ "value": stage.root }), |it, _| json!({ "value": "x", "parent": it }));
    refused(launch(deep, command.clone()), 400, "deep");
    let inner = json!({ "value": "y", "parent": stage.id("nobody") });
    refused(launch(inner, command), 404, "cannot be found");
    let program = json!({ "shell": false, "value": "/no/such/program" });
    refused(launch(stage.id("p"), program), 400, "/no/such/program");
    let attach = json!({ "type": "ATTACH_CONTAINER_OUTPUT", "attach_container_output": { "container_id": stage.id("z") } });
    refused(attach, 404, "cannot be found");
    let unframed = json!({ "type": "ATTACH_CONTAINER_INPUT" });
    refused(unframed, 415, "application/recordio");
    let session = json!({ "type": "LAUNCH_NESTED_CONTAINER_SESSION" }).to_string();
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
    ask(stage.agent(), "POST", "/api/v1", &headers, session.as_bytes()).expect(406, "a stream");
}

#[test]
fn h10_a_session_streams_and_ends_with_its_connection() {
    let Some(stage) = Stage::set("h10_a_session_streams_and_ends_with_its_connection") else {
        return;
    };
    let mut session = stage.session("s", "cat data/kept; sleep 1000.44123 & exec cat");
    let record = String::from_utf8(session.chunk().unwrap()).unwrap();
    let (length, json) = record.split_once('\n').unwrap();
    assert_eq!(length.parse(), Ok(json.len()));
    let piece: Value = serde_json::from_str(json).unwrap();
    let expected = json!({ "type": "DATA", "data": { "type": "STDOUT", "data": "a2VwdAo=" } });
    assert_eq!(piece, expected);
    until_here("sleep\x001000.44123\0");
    stage.call("WAIT_NESTED_CONTAINER", "nobody", json!({})).expect(404, "unknown");
    drop(session);
    assert_eq!(stage.wait("s")["exit_status"], 9);
    assert!(!runs("sleep\x001000.44123\0"));
}

#[test]
fn a_killed_agent_finds_what_it_ran_and_its_sessions_are_over() {
    let test = "a_killed_agent_finds_what_it_ran_and_its_sessions_are_over";
    let Some(mut stage) = Stage::set(test) else { return };
    stage.launch("n", "exec sleep 1000.33123").expect(200, "launched");
    let session = stage.session("s", "exec sleep 1000.33124");
    until_here("sleep\x001000.33124\0");
    stage.cluster.agents[0].kill();
    until_gone("sleep\x001000.33124\0");
    drop(session);
    assert!(runs("sleep\x001000.33123\0"), "it is no session");
    stage.cluster.agents[0].start();
    stage.cluster.wait_for_agent(0, "well");
    stage.launch("n", "true").expect(202, "it runs on, and is known");
    stage.call("KILL_NESTED_CONTAINER", "n", json!({})).expect(200, "killed");
    assert_eq!(stage.wait("n")["exit_status"], 9);
    assert_eq!(stage.wait("s")["exit_status"], 9);
}

#[test]
fn everything_inside_a_task_is_gone_before_another_has_its_volume() {
    let test = "everything_inside_a_task_is_gone_before_another_has_its_volume";
    let Some(mut stage) = Stage::set(test) else { return };
    stage.launch("n", "trap '' TERM; sleep 1000.22123 & wait; wait").expect(200, "launched");
    until_here("sleep\x001000.22123\0");
    let kill = json!({ "type": "KILL", "kill": { "task_id": { "value": "t" } } });
    stage.scheduler.call(kill).expect(202, "KILL");
    let is_volume = |it: &Value| it["disk"]["persistence"]["id"] == "v";
    let offer = stage.scheduler.offer_with("the volume", is_volume);
    let own = [cpus(0.1), mem(32.0), volume(&disk(50.0, None), "v")];
    let next = command_task("u", &stage.cluster.agent_id(0), "exec sleep 1000.22124", &own);
    let launch = json!([{ "type": "LAUNCH", "launch": { "task_infos": [next] } }]);
    stage.scheduler.accept(&offer, launch);
    until_here("sleep\x001000.22124\0");
    assert!(!runs("sleep\x001000.22123\0"), "nothing of it runs once another has the volume");
    until("the container is forgotten", || {
        let answer = stage.call("WAIT_NESTED_CONTAINER", "n", json!({}));
        if answer.status == 404 {
            Ok(())
        } else {
            Err(answer.text())
        }
    });
}

#[test]
fn exec_runs_in_the_task_with_its_volume_and_tells_how_it_ended() {
    let test = "exec_runs_in_the_task_with_its_volume_and_tells_how_it_ended";
    let Some(stage) = Stage::set(test) else { return };
    let told = |options: &[&str], words: &[&str], input: &[u8]| {
        let output = stage.exec(options, words, input);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text, err)
    };
    assert_eq!(told(&[], &["cat", "data/kept"], b""), (Some(0), "kept\n".into(), String::new()));
    let (code, _, err) = told(&[], &["sh", "-c", "echo oops >&2; exit 3"], b"");
    assert_eq!((code, err.as_str()), (Some(3), "oops\n"));
    assert_eq!(told(&[], &["sh", "-c", "kill -KILL $$"], b"").0, Some(137));
    let input = vec![b'x'; 3_000_000];
    assert_eq!(told(&["-i"], &["wc", "-c"], &input).1.trim(), "3000000");
    assert_eq!(told(&["-i"], &["true"], &input).0, Some(0), "what it does not read is no failure");
    assert_eq!(told(&[], &["cat"], b"").1, "", "without -i there is nothing to read");
    let (code, text, _) =
        told(&["-it"], &["sh", "-c", "read line; tty; echo got $line"], b"word\n");
    assert_eq!(code, Some(0));
    assert!(text.contains("/dev/pts/") && text.contains("got word\r\n"), "{text}");
    let (code, _, err) = told(&[], &["/no/such/program"], b"");
    assert!(code == Some(1) && err.contains("/no/such/program"), "{code:?}: {err}");
    let (code, _, _) = told(&["--framework", "nobody"], &["true"], b"");
    assert_eq!(code, Some(3));
}

#[test]
fn exec_has_the_size_of_its_terminal_and_gives_it_back_as_it_was() {
    let test = "exec_has_the_size_of_its_terminal_and_gives_it_back_as_it_was";
    let Some(stage) = Stage::set(test) else { return };
    let master = stage.cluster.master.address().to_string();
    let holdfast = binary().display().to_string();
    let agent = stage.cluster.agents[0].address();
    // `script` gives it a terminal.
    let line = format!(
        "stty rows 33 cols 99; before=$(stty -g); {holdfast} --master {master} task exec --agent-address {agent} -it t -- stty size; \
         echo code $?; [ \"$before\" = \"$(stty -g)\" ] && echo as it was"
    );
    let output =
        Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output();
    let Ok(output) = output else { return left_out(test, "there is no `script` here") };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["33 99\r\n", "code 0\r\n", "as it was"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}
