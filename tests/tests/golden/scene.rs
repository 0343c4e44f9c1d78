//! The scene that is recorded: a master, three agents with disks, claims of every kind, and frameworks in every state.
//!
//! Relies on waiting for each step's outcome before the next, so that every run comes to the same state. Never changes anything once it
//! is set.

use std::fs;

use holdfast_tests::calls::{self, command_task, cpus, disk, mem, path_source, reserved, volume};
use holdfast_tests::cluster::text;
use holdfast_tests::http::Answer;
use holdfast_tests::{until, Cluster, Daemon, Scheduler};
use serde_json::{json, Value};

use super::normal::Known;
use super::steps::{
    acknowledge, acknowledge_until, acknowledge_until_all_run, agent_id, decline_all, give_back,
    info, launch, wait_for_rows,
};

/// What an agent offers unless it says otherwise.
const RESOURCES: &str = "cpus:4;mem:4096;disk:2000;ports:[31000-32000]";
/// What the second agent offers: some of it is reserved for a role from its start.
const STATIC: &str = "cpus:4;cpus(prod):2;mem:4096;mem(prod):512;disk:2000;ports:[31000-32000]";
/// What a task that stays does: it writes to both of its streams, and waits for its end.
const STAYS: &str = "echo to stdout; echo to stderr >&2; exec sleep 1000";
/// The last agent's name is an address, so that the command line reaches it for the files of its tasks.
const HOSTS: [&str; 3] = ["agent0", "agent1", "127.0.0.1"];

/// See the module.
pub struct Scene {
    /// Its processes.
    pub cluster: Cluster,
    /// The ids of its agents, in the order of [`HOSTS`].
    pub agents: Vec<String>,
    /// Has tasks in every state, and wants no more offers.
    pub runner: Scheduler,
    /// One that declined all that it was offered, and one that holds offers: they stay subscribed.
    _others: [Scheduler; 2],
    /// The id of a framework that was removed.
    pub gone: String,
    /// What differs from run to run.
    pub known: Known,
}

impl Scene {
    /// Sets the scene.
    pub fn set() -> Scene {
        let cluster = with_agents();
        let agents: Vec<String> = HOSTS.iter().map(|host| agent_id(&cluster, host)).collect();
        claim(&cluster, &agents);
        let master = cluster.master.address();
        let runner = run_tasks(&cluster, &agents);
        let gone = remove_a_framework(&cluster, &agents);
        leave_a_framework(&cluster);
        let mut decliner = Scheduler::subscribe(master, &info("decliner", "batch"), false);
        decline_all(&mut decliner, &agents);
        let holder = Scheduler::subscribe(master, &info("holder", "web"), false);
        wait_for_rows(&cluster, "offers", |rows| rows.len() == agents.len());
        let known = known(&cluster, &[&runner, &decliner, &holder]);
        Scene { cluster, agents, runner, _others: [decliner, holder], gone, known }
    }
}

/// A master and three agents, each with a PATH disk of its own.
fn with_agents() -> Cluster {
    let mut cluster = Cluster::without_agents();
    for (index, host) in HOSTS.into_iter().enumerate() {
        let root = cluster.path(&format!("disk{index}"));
        fs::create_dir(&root).unwrap();
        let disk = format!("path={},size-mb=1000", text(&root));
        let resources = if index == 1 { STATIC } else { RESOURCES };
        let mut settings = vec!["--hostname", host, "--resources", resources, "--disk", &disk];
        if index == 1 {
            settings.extend(["--attributes", "rack:r1;ssd:yes"]);
        }
        let mut agent: Daemon = cluster.agent_with(&format!("agent{index}"), &settings);
        agent.start();
        cluster.agents.push(agent);
        wait_for_rows(&cluster, "agents", |rows| {
            rows.iter().any(|row| row["hostname"] == host && row["state"] == "well")
        });
    }
    cluster
}

/// An operator's call, again while the agent's news of its disks are on their way.
fn taken(cluster: &Cluster, call: &Value) -> Answer {
    until("the master takes a call", || match cluster.call(call) {
        answer if answer.text().contains("is just reporting") => Err(answer.text()),
        answer => Ok(answer),
    })
}

/// What operators claim: a ROOT volume with processor and memory beside it, a PATH volume, one that nobody uses, and a refined reservation.
fn claim(cluster: &Cluster, agents: &[String]) {
    let weights = json!({ "weight_infos": [{ "role": "db", "weight": 2.5 }, { "role": "web", "weight": 0.5 }] });
    cluster
        .call(&json!({ "type": "UPDATE_WEIGHTS", "update_weights": weights }))
        .expect(200, "UPDATE_WEIGHTS");
    let path = disk(200.0, Some(&path_source(&text(&cluster.path("disk0")))));
    let spare = disk(256.0, None);
    for (agent, disk, id) in [
        (&agents[0], disk(512.0, None), "data-0"),
        (&agents[0], path, "logs-0"),
        (&agents[2], spare, "spare"),
    ] {
        taken(cluster, &calls::reserve(agent, &[reserved(&disk)])).expect(202, id);
        taken(cluster, &calls::create(agent, &[volume(&disk, id)])).expect(202, id);
    }
    let beside = [reserved(&cpus(1.0)), reserved(&mem(256.0))];
    taken(cluster, &calls::reserve(&agents[0], &beside)).expect(202, "processor and memory");
    let mut refined = cpus(0.5);
    refined["reservations"] = json!([
        { "type": "STATIC", "role": "prod" },
        { "type": "DYNAMIC", "role": "prod/svc", "principal": "ops", "labels": { "labels": [{ "key": "k", "value": "v" }] } },
    ]);
    taken(cluster, &calls::reserve(&agents[1], &[refined])).expect(202, "a refined reservation");
}

/// A framework with a task on a volume, one without, one that ended and was acknowledged, one whose end was not, and claims of its own.
fn run_tasks(cluster: &Cluster, agents: &[String]) -> Scheduler {
    let mut runner = Scheduler::subscribe(cluster.master.address(), &info("runner", "db"), false);
    let used = [reserved(&cpus(0.5)), mem(64.0), volume(&disk(512.0, None), "data-0")];
    let keeper = command_task("keeper", &agents[0], STAYS, &used);
    launch(
        cluster,
        &runner,
        &agents[0],
        "data-0",
        json!([{ "type": "LAUNCH", "launch": { "task_infos": [keeper] } }]),
    );
    acknowledge_until(&mut runner, "keeper", "TASK_RUNNING");
    let server = command_task("server", &agents[2], STAYS, &[cpus(1.0), mem(128.0)]);
    launch(
        cluster,
        &runner,
        &agents[2],
        "ports:",
        json!([{ "type": "LAUNCH", "launch": { "task_infos": [server] } }]),
    );
    acknowledge_until(&mut runner, "server", "TASK_RUNNING");
    for (name, command, end) in
        [("done", "exit 0", "TASK_FINISHED"), ("unseen", "exit 3", "TASK_FAILED")]
    {
        let task = command_task(name, &agents[1], command, &[cpus(0.1), mem(32.0)]);
        launch(
            cluster,
            &runner,
            &agents[1],
            "ports:",
            json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]),
        );
        let status = acknowledge_until(&mut runner, name, end);
        if name == "done" {
            acknowledge(&runner, &status);
        }
    }
    launch(cluster, &runner, &agents[0], "ports:", group(&agents[0]));
    acknowledge_until_all_run(&mut runner, &["left", "right"]);
    reserve(cluster, &mut runner, &agents[1]);
    runner.call(json!({ "type": "SUPPRESS", "suppress": {} })).expect(202, "SUPPRESS");
    give_back(cluster, &runner);
    wait_for_rows(cluster, "tasks", |rows| {
        rows.len() == 6 && rows.iter().filter(|it| it["ended"] == true).count() == 2
    });
    runner
}

/// Operations of a framework: one is refused, the other done and not acknowledged.
fn reserve(cluster: &Cluster, runner: &mut Scheduler, agent: &str) {
    let mine = disk(100.0, None);
    let operation = |id: &str, kind: &str, resource: &Value| json!({ "id": { "value": id }, "type": kind.to_uppercase(), kind: { "resources": [resource] } });
    let operations = json!([
        operation("too-much", "reserve", &reserved(&cpus(1000.0))),
        operation("mine", "reserve", &reserved(&mine))
    ]);
    launch(cluster, runner, agent, "ports:", operations);
    for (id, state) in [("too-much", "OPERATION_ERROR"), ("mine", "OPERATION_FINISHED")] {
        runner.event_where(&format!("{state} of {id}"), |event| {
            let status = &event["update_operation_status"]["status"];
            status["operation_id"]["value"] == id && status["state"] == state
        });
    }
}

/// Two tasks in one executor.
fn group(agent: &str) -> Value {
    let tasks = ["left", "right"].map(|it| command_task(it, agent, STAYS, &[cpus(0.1), mem(32.0)]));
    let executor = json!({ "type": "DEFAULT", "executor_id": { "value": "pair" }, "resources": [cpus(0.1), mem(32.0), disk(16.0, None)] });
    json!([{ "type": "LAUNCH_GROUP", "launch_group": { "executor": executor, "task_group": { "tasks": tasks } } }])
}

/// A framework that reserved something and was removed; its id.
fn remove_a_framework(cluster: &Cluster, agents: &[String]) -> String {
    let gone = Scheduler::subscribe(cluster.master.address(), &info("gone", "tmp"), false);
    let mut resource = cpus(0.25);
    resource["reservations"] = json!([{ "type": "DYNAMIC", "role": "tmp", "principal": "ops" }]);
    launch(
        cluster,
        &gone,
        &agents[1],
        "ports:",
        json!([{ "type": "RESERVE", "reserve": { "resources": [resource] } }]),
    );
    wait_for_rows(cluster, "claims", |rows| {
        rows.iter().any(|it| it["role"] == "tmp" && it["state"] == "ready")
    });
    let id = gone.framework_id.clone();
    let teardown = json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": id } } });
    cluster.call(&teardown).expect(200, "TEARDOWN");
    id
}

/// A framework whose scheduler has gone away and may come back.
fn leave_a_framework(cluster: &Cluster) {
    Scheduler::subscribe(cluster.master.address(), &info("sleeper", "db"), true).hang_up();
    wait_for_rows(cluster, "frameworks", |rows| {
        rows.iter().any(|it| it["name"] == "sleeper" && it["state"] == "away")
    });
}

/// What differs from run to run.
fn known(cluster: &Cluster, schedulers: &[&Scheduler]) -> Known {
    let mut known = Known::default();
    let id = agent_id(cluster, HOSTS[0]);
    known.literal(id.trim_end_matches("-S0"), "<cluster>");
    for (name, daemon) in std::iter::once(("master".to_owned(), &cluster.master))
        .chain((0..).map(|it| format!("agent{it}")).zip(&cluster.agents))
    {
        known.literal(daemon.address().port().to_string(), &format!("<port of {name}>"));
    }
    known.literal(text(cluster.scratch()), "<scratch>");
    for list in ["claims", "disks"] {
        cluster.list(list).iter().for_each(|it| known.uuid(it["id"].as_str().unwrap()));
    }
    schedulers.iter().for_each(|it| known.literal(it.stream_id.as_str(), "<stream>"));
    known
}
