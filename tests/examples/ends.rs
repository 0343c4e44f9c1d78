//! What operators, frameworks and people wait for, with real processes over loopback: operations on claims one by one and by 64 callers, a
//! burst of them, a task that does nothing, and a master that is killed with -9 and started again.
//!
//! `cargo xtask bench ends` runs it. A plain `fdatasync` of 4 kB in the same directory is timed between the others, since everything durable
//! waits for one. Relies on the program that `HOLDFAST_BIN` names, which should be a release build, and on `TMPDIR` for the disk. Never judges.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use holdfast_tests::daemon::binary;
use holdfast_tests::http::{get, request, Connection};
use holdfast_tests::{calls, Cluster, Scheduler};
use serde_json::{json, Value};

const SINGLE: usize = 100;
const CALLERS: usize = 64;
const EACH: usize = 12;
const BURSTS: [usize; 3] = [100, 400, 800];

/// An operator with a connection that stays open.
struct Operator(Connection);

impl Operator {
    fn of(cluster: &Cluster) -> Operator {
        Operator(Connection::open(cluster.master.address()).expect("the master listens"))
    }

    fn call(&mut self, call: &Value) {
        let headers = [("Content-Type", "application/json")];
        self.0.send(&request("POST", "/api/v1", &headers, call.to_string().as_bytes()));
        self.0.answer().expect(202, "the operation");
    }
}

/// The four operations on the reservation of one number.
fn steps(agent: &str, number: usize) -> [(&'static str, Value); 4] {
    let disk = calls::disk(1.0, None);
    let mut reserved = calls::reserved(&disk);
    reserved["reservations"][0]["labels"] =
        json!({ "labels": [{ "key": "number", "value": number.to_string() }] });
    let mut volume = calls::volume(&disk, &format!("v{number}"));
    volume["reservations"] = reserved["reservations"].clone();
    [
        ("RESERVE", calls::reserve(agent, &[reserved.clone()])),
        ("CREATE", calls::create(agent, &[volume.clone()])),
        ("DESTROY", calls::destroy(agent, &[volume])),
        ("UNRESERVE", calls::unreserve(agent, &[reserved])),
    ]
}

fn sync_once(file: &mut File) -> Duration {
    let began = Instant::now();
    file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).expect("the disk can be written");
    began.elapsed()
}

fn show(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let ms = |it: Duration| it.as_secs_f64() * 1_000.0;
    println!("{what}\tp50 {:.2} ms, p99 {:.2} ms", ms(at(50)), ms(at(99)));
    at(50)
}

fn one_caller(cluster: &Cluster, agent: &str) {
    let mut operator = Operator::of(cluster);
    let mut probe = File::create(cluster.path("probe")).expect("there is room for a file");
    let (mut raw, mut times) = (Vec::new(), vec![Vec::new(); 4]);
    for number in 0..SINGLE {
        for (at, (_, call)) in steps(agent, number).iter().enumerate() {
            raw.push(sync_once(&mut probe));
            let began = Instant::now();
            operator.call(call);
            times[at].push(began.elapsed());
        }
    }
    let raw = show("raw sync", raw);
    for (at, times) in times.into_iter().enumerate() {
        let name = steps(agent, 0)[at].0;
        let ratio = show(name, times).as_secs_f64() / raw.as_secs_f64();
        println!("{name} against a raw sync\t{ratio:.1}");
    }
}

fn many_callers(cluster: &Cluster, agent: &str) {
    for at in 0..4 {
        let ready = Barrier::new(CALLERS + 1);
        let began = std::thread::scope(|scope| {
            for caller in 0..CALLERS {
                let ready = &ready;
                scope.spawn(move || {
                    let mut operator = Operator::of(cluster);
                    ready.wait();
                    for number in 0..EACH {
                        operator.call(&steps(agent, 10_000 + caller * EACH + number)[at].1);
                    }
                });
            }
            ready.wait();
            Instant::now()
        });
        let rate = (CALLERS * EACH) as f64 / began.elapsed().as_secs_f64();
        println!("{}, {CALLERS} callers\t{rate:.0}/s", steps(agent, 0)[at].0);
    }
}

/// Operations from 16 callers, so that it is the cores that are measured and not one connection.
fn burst(cluster: &Cluster, agent: &str, first: usize, count: usize) {
    let began = Instant::now();
    for at in 0..2 {
        std::thread::scope(|scope| {
            for caller in 0..16 {
                scope.spawn(move || {
                    let mut operator = Operator::of(cluster);
                    for number in (caller..count).step_by(16) {
                        operator.call(&steps(agent, first + number)[at].1);
                    }
                });
            }
        });
    }
    println!("burst {count} RESERVE + {count} CREATE\t{:.2} s", began.elapsed().as_secs_f64());
}

fn run_true(cluster: &Cluster) {
    let times = (0..30).map(|_| {
        let began = Instant::now();
        let status = Command::new(binary())
            .args(["run", "--", "true"])
            .env("HOLDFAST_ADDR", cluster.master.address().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok_and(|it| it.success()), "the task ends well");
        began.elapsed()
    });
    show("run -- true", times.collect());
}

/// A master whose agent has one volume.
fn killed_master() {
    let mut cluster = Cluster::start();
    cluster.claim_volume(0, "data", &calls::disk(10.0, None));
    let framework = calls::framework_info("ends", 3_600.0);
    let mut scheduler = Scheduler::subscribe(cluster.master.address(), &framework, false);
    let is_volume = |it: &Value| it["disk"]["persistence"]["id"].is_string();
    scheduler.offer_with("a volume", is_volume);
    let mut info = framework.clone();
    info["id"] = json!({ "value": scheduler.framework_id });
    let mut times = Vec::new();
    for _ in 0..10 {
        cluster.master.kill();
        scheduler.hang_up();
        let began = Instant::now();
        cluster.master.launch();
        scheduler = subscribe_again(&cluster, &info);
        scheduler.offer_with("a volume", is_volume);
        times.push(began.elapsed());
    }
    show("kill -9 master, start to the first volume on offer", times);
}

/// Subscribes as soon as there is a leader.
fn subscribe_again(cluster: &Cluster, info: &Value) -> Scheduler {
    while get(cluster.master.address(), "/holdfast/v1/agents").status != 200 {
        std::thread::yield_now();
    }
    Scheduler::subscribe(cluster.master.address(), info, false)
}

fn main() {
    let scratch = std::env::temp_dir();
    println!("disk\t{}", Path::new(&scratch).display());
    let cluster = Cluster::start();
    let agent = cluster.agent_id(0);
    one_caller(&cluster, &agent);
    many_callers(&cluster, &agent);
    run_true(&cluster);
    let mut first = 100_000;
    for count in BURSTS {
        burst(&cluster, &agent, first, count);
        first += count;
    }
    drop(cluster);
    killed_master();
}
