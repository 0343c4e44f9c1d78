//! The power of a whole machine is cut: master, agent, framework, ledgers and disks on one file system that writes nothing by itself and of
//! which only that is left which was synced. What was acknowledged is there afterwards, at each place that writes for good
//! (`tests/write-sites.tsv` says which test is whose), and what was under way is done or not, never half.
//!
//! Real processes over a real file system on a loop device; where that may not be mounted it is said, and passed. Sectors that are torn or
//! written in another order are the business of the simulated disk of `crates/store`.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use holdfast_tests::calls::{self, command_task, cpus, disk, mem, path_source, reserved, volume};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::daemon::binary;
use holdfast_tests::http::post;
use holdfast_tests::leftovers::everything_of;
use holdfast_tests::loop_disk::LoopDisk;
use holdfast_tests::{until, Cluster, Daemon, Scheduler};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::{json, Value};

const BYTES: &[u8] = b"every acknowledged record";

/// A machine with a master and an agent, all that they write on one file system.
struct Machine {
    cluster: Cluster,
    disk: LoopDisk,
}

impl Machine {
    fn new(test: &str) -> Option<Machine> {
        let mut cluster = Cluster::without_agents();
        let (root, scratch) = (cluster.path("machine"), cluster.scratch().to_owned());
        let disk = LoopDisk::powered(test, &cluster.path("machine.image"), &root, 1024)?;
        fs::create_dir(root.join("disk")).unwrap();
        cluster.master.kill();
        let dir = text(&root.join("master"));
        cluster.master = Daemon::new("the-master", &scratch, &["master", "--dir", &dir]);
        cluster.master.start();
        let (dir, master) = (text(&root.join("agent0")), cluster.master.address().to_string());
        let setting = format!("path={},size-mb=200", text(&root.join("disk")));
        let mut arguments = vec!["agent", "--dir", &dir, "--master", &master, "--disk", &setting];
        arguments.extend(["--hostname", "agent0", "--resources", "cpus:4;mem:4096;disk:10"]);
        let mut agent = Daemon::new("agent0", &scratch, &arguments);
        agent.start();
        cluster.agents.push(agent);
        cluster.wait_for_agent(0, "well");
        Some(Machine { cluster, disk })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.cluster.path("machine").join(name)
    }

    /// Whatever runs on it ends, and of what was written only that is left which was synced.
    fn cut_power(&mut self) {
        self.cluster.agents[0].kill();
        self.cluster.master.kill();
        let scratch = self.cluster.scratch().to_owned();
        until("nothing runs on the machine", || {
            let left = everything_of(&scratch);
            for (id, _) in &left {
                // It may end by itself in between.
                let _ = kill(Pid::from_raw(*id), Signal::SIGKILL);
            }
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        });
        self.disk.cut_power(&self.cluster.path("machine.image"));
    }

    fn start(&mut self) {
        self.cluster.master.start();
        self.cluster.agents[0].start();
        self.cluster.wait_for_agent(0, "well");
    }

    fn cut_and_start(&mut self) {
        self.cut_power();
        self.start();
    }

    /// A line on the command line, again while the agent's news are on their way.
    fn line(&self, line: &str) -> Output {
        let master = self.cluster.master.address().to_string();
        let words: Vec<&str> = line.split(' ').chain(["--master", &master]).collect();
        until(line, || match Command::new(binary()).args(&words).output().unwrap() {
            output if said(&output).contains("is just reporting") => Err(said(&output)),
            output => Ok(output),
        })
    }

    fn done(&self, line: &str) -> String {
        let output = self.line(line);
        assert!(output.status.success(), "{line}: {}", said(&output));
        said(&output)
    }

    fn piece(&self, mb: f64) -> Value {
        disk(mb, Some(&path_source(&text(&self.path("disk")))))
    }

    fn data(&self, claim: &Value) -> PathBuf {
        volume_dir(&self.path("disk"), claim).join("data")
    }

    /// Claims a volume, and keeps bytes in it as a database would.
    fn claim(&self, name: &str, mb: f64) -> Value {
        let claim = self.cluster.claim_volume(0, name, &self.piece(mb));
        let data = self.data(&claim);
        let mut file = File::create(data.join("db")).unwrap();
        file.write_all(BYTES).and_then(|()| file.sync_all()).unwrap();
        File::open(&data).unwrap().sync_all().unwrap();
        claim
    }

    fn assert_whole(&self, claim: &Value) -> Value {
        let now = self.cluster.wait_for_claim(claim["volume"].as_str().unwrap(), "ready");
        assert_eq!(now["id"], claim["id"]);
        assert_eq!(fs::read(self.data(&now).join("db")).unwrap(), BYTES);
        now
    }

    /// News of the trash follow the answer, and an agent's report.
    fn wait_for_trash(&self) {
        until("the trash is told", || self.cluster.list("trash").pop().ok_or("no row"));
    }

    fn has_disk(&self, path: &Path) -> bool {
        self.cluster.list("disks").iter().any(|it| it["root"] == text(path))
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it)).concat()
}

/// The next status of the task in such a state; those before are acknowledged.
fn status_where(scheduler: &mut Scheduler, is_it: impl Fn(&str) -> bool) -> Value {
    loop {
        let status = scheduler.status("t");
        if is_it(status["state"].as_str().unwrap()) {
            return status;
        }
        scheduler.acknowledge(&status);
    }
}

#[test]
fn a_volume_survives_a_power_cut_at_each_step_of_its_life() {
    let test = "a_volume_survives_a_power_cut_at_each_step_of_its_life";
    let Some(mut machine) = Machine::new(test) else { return };
    let agent = machine.cluster.agent_id(0);
    machine.cut_and_start();
    assert_eq!(machine.cluster.agent_id(0), agent, "an agent that was admitted keeps its id");
    let call = calls::reserve(&agent, &[reserved(&machine.piece(30.0))]);
    machine.cluster.call(&call).expect(202, "RESERVE");
    let reservation = machine.cluster.list("claims").remove(0);
    machine.cut_and_start();
    assert_eq!(machine.cluster.list("claims")[0]["id"], reservation["id"]);
    let claim = machine.claim("a", 10.0);
    machine.cut_and_start();
    machine.assert_whole(&claim);
    machine.done("volume grow a --to 20");
    machine.cut_and_start();
    let grown = machine.assert_whole(&claim);
    assert!(machine.done("claim show a -o json").contains("20"), "{grown}");
    machine.done("volume destroy a -y --force");
    machine.cut_and_start();
    assert_eq!(machine.cluster.find_claim("a"), None, "what was destroyed stays so");
    machine.wait_for_trash();
    machine.done("volume undelete a");
    machine.cut_and_start();
    machine.assert_whole(&claim);
    machine.done("volume destroy a -y --force");
    machine.wait_for_trash();
    machine.done("trash purge a -y");
    machine.cut_and_start();
    let back = machine.line("volume undelete a");
    assert!(!back.status.success(), "half of it may be gone: {}", said(&back));
    let rest = machine.cluster.list("claims").remove(0);
    machine.done(&format!("reservation remove {} -y", rest["id"].as_str().unwrap()));
    machine.cut_and_start();
    assert!(machine.cluster.list("claims").is_empty(), "what was given back stays so");
}

#[test]
fn what_operators_and_frameworks_were_told_survives_a_power_cut() {
    let test = "what_operators_and_frameworks_were_told_survives_a_power_cut";
    let Some(mut machine) = Machine::new(test) else { return };
    let added = machine.path("added");
    fs::create_dir(&added).unwrap();
    machine.done(&format!("disk add --agent agent0 --path {}", text(&added)));
    let weight = json!({ "type": "UPDATE_WEIGHTS", "update_weights": { "weight_infos": [{ "role": "db", "weight": 3.0 }] } });
    machine.cluster.call(&weight).expect(200, "UPDATE_WEIGHTS");
    machine.cut_and_start();
    assert!(machine.has_disk(&added), "an added disk stays");
    let role = machine.cluster.list("roles").into_iter().find(|it| it["role"] == "db");
    assert_eq!(role.unwrap()["weight"], 3.0);
    machine.done(&format!("disk remove {}", text(&added)));
    machine.cut_and_start();
    assert!(!machine.has_disk(&added) && added.join("holdfast/label").exists());

    // A task with its volume: the machine's end is its end, and the volume is its framework's.
    let claim = machine.claim("data-0", 10.0);
    let mut info = calls::framework_info("db", 600.0);
    let address = machine.cluster.master.address();
    let mut scheduler = Scheduler::subscribe(address, &info, false);
    let has_volume = |it: &Value| it["disk"]["persistence"]["id"] == "data-0";
    let offer = scheduler.offer_with("the volume", has_volume);
    let agent = machine.cluster.agent_id(0);
    let held = volume(&machine.piece(10.0), "data-0");
    let task = command_task("t", &agent, "sleep 1000", &[cpus(0.5), mem(32.0), held]);
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
    status_where(&mut scheduler, |state| state == "TASK_RUNNING");
    info["id"] = json!({ "value": scheduler.framework_id });
    scheduler.hang_up();
    machine.cut_and_start();
    let mut scheduler = Scheduler::subscribe(machine.cluster.master.address(), &info, false);
    let ended = status_where(&mut scheduler, |it| !["TASK_STARTING", "TASK_RUNNING"].contains(&it));
    assert_ne!(ended["state"], "TASK_FINISHED", "nobody saw that it did: {ended}");
    until("the volume is offered to its framework", || {
        let offers = machine.cluster.list("offers");
        let is_there = offers.iter().any(|it| it["resources"].to_string().contains("data-0"));
        if is_there {
            Ok(())
        } else {
            Err(format!("{offers:?}"))
        }
    });
    machine.assert_whole(&claim);
}

#[test]
fn what_was_under_way_at_a_power_cut_is_done_or_not_and_never_half() {
    let test = "what_was_under_way_at_a_power_cut_is_done_or_not_and_never_half";
    let Some(mut machine) = Machine::new(test) else { return };
    let agent = machine.cluster.agent_id(0);
    for (round, answers) in [1, 4, 6, 9, 11].into_iter().enumerate() {
        let done = Mutex::new(Vec::new());
        let count = AtomicUsize::new(0);
        let (address, piece) = (machine.cluster.master.address(), machine.piece(4.0));
        let names: Vec<String> = (0..).map(|it| format!("v{round}-{it}")).take(30).collect();
        let work = || {
            let step = |call: &Value| loop {
                let answer = post(address, "/api/v1", call);
                if !answer.text().contains("is just reporting") {
                    break answer.status == 202;
                }
            };
            for name in &names {
                let told = step(&calls::reserve(&agent, &[reserved(&piece)]))
                    && step(&calls::create(&agent, &[volume(&piece, name)]));
                if !told {
                    return;
                }
                done.lock().unwrap().push(name.clone());
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(work);
            until("some are acknowledged", || match count.load(Ordering::SeqCst) {
                it if answers <= it => Ok(()),
                it => Err(it),
            });
            machine.cut_power();
        });
        machine.start();
        for name in done.into_inner().unwrap() {
            let claim = machine.cluster.wait_for_claim(&name, "ready");
            assert!(machine.data(&claim).is_dir(), "{claim}");
        }
        // What nobody was told of is whole or not there; neither is in the way.
        for claim in machine.cluster.list("claims") {
            let Some(name) = claim["volume"].as_str() else { continue };
            machine.cluster.wait_for_claim(name, "ready");
            machine.done(&format!("volume destroy {name} -y --force"));
        }
        for claim in machine.cluster.list("claims") {
            machine.done(&format!("reservation remove {} -y", claim["id"].as_str().unwrap()));
        }
    }
}

/// The scheduler of the journal service, on the machine as well.
fn start_journal(machine: &Machine) -> Child {
    let log = File::options().create(true).append(true).open(machine.cluster.path("journal.log"));
    Command::new(binary().with_file_name("holdfast-journal"))
        .args(["scheduler", "--nodes", "1", "--rate", "500"])
        .args(["--master", &machine.cluster.master.address().to_string()])
        .args(["--ledger", &text(&machine.path("journal"))])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.unwrap())
        .spawn()
        .unwrap()
}

/// How many records there are, once there are more than so many and the member runs: all but those of the last write are durable, and
/// the scheduler may have been told so.
fn records(machine: &Machine, more_than: u64) -> u64 {
    until("the journal grows", || {
        let tasks = machine.cluster.list("tasks");
        let runs = tasks.iter().any(|it| it["state"] == "TASK_RUNNING");
        let claim = machine.cluster.find_claim("journal-0-1").filter(|_| runs);
        let dir = claim.map(|it| machine.data(&it)).ok_or(format!("{tasks:?}"))?;
        let verified = Command::new(binary().with_file_name("holdfast-journal"))
            .arg("verify")
            .arg(dir)
            .output()
            .unwrap();
        let words = said(&verified);
        match words.split(' ').find_map(|it| it.trim().parse().ok()) {
            Some(count) if more_than < count => Ok(count),
            _ => Err(words),
        }
    })
}

#[test]
fn a_service_finds_each_acknowledged_record_after_each_power_cut() {
    let test = "a_service_finds_each_acknowledged_record_after_each_power_cut";
    let Some(mut machine) = Machine::new(test) else { return };
    let mut durable = 0;
    for _ in 0..4 {
        let mut journal = start_journal(&machine);
        // The node refuses to run on less than its scheduler remembers, so that it runs says the same.
        let found = records(&machine, durable);
        records(&machine, found);
        durable = found;
        machine.cut_power();
        journal.wait().unwrap();
        machine.start();
    }
    let mut journal = start_journal(&machine);
    records(&machine, durable);
    journal.kill().and_then(|()| journal.wait()).unwrap();
}

#[test]
fn an_export_of_a_ledger_survives_a_power_cut_and_can_be_imported() {
    let test = "an_export_of_a_ledger_survives_a_power_cut_and_can_be_imported";
    let Some(mut machine) = Machine::new(test) else { return };
    let claim = machine.claim("a", 10.0);
    machine.cluster.agents[0].stop();
    let (agent, export) = (text(&machine.path("agent0")), text(&machine.path("export")));
    let ledger = |line: &str| {
        let output = Command::new(binary()).arg("ledger").args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "{line}: {}", said(&output));
    };
    ledger(&format!("export --dir {agent} --to {export}"));
    machine.cut_power();
    fs::remove_dir_all(machine.path("agent0/ledger")).unwrap();
    ledger(&format!("import --dir {agent} --from {export}"));
    machine.cut_power();
    ledger(&format!("check --dir {agent}"));
    machine.start();
    machine.assert_whole(&claim);
}
