//! What an acknowledged operation costs the disk: syncs of one agent over operations one after another, and over 64 callers at once.
//!
//! Relies on strace and on being allowed to attach it; says so and passes where that is not. Prints the figures; asserts only bounds that a
//! change for the worse would break. Never measures time: a traced process is slow.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::sync::Barrier;

use holdfast_tests::calls::{self, disk, reserved, volume};
use holdfast_tests::http::{request, Connection};
use holdfast_tests::syscalls::{Counts, Tracer};
use holdfast_tests::Cluster;
use serde_json::Value;

/// Operations one after another.
const SEQUENTIAL: u32 = 100;
/// Tasks one after another.
const TASKS: u32 = 20;
/// Callers at once.
const CALLERS: usize = 64;
/// How often each of them calls.
const ROUNDS: usize = 4;
/// Syncs of the journal that a RESERVE needs alone: one, before it is acknowledged.
const RESERVE_ALONE: f64 = 1.0;
/// The same for a CREATE: before the volume is made, and when it is.
const CREATE_ALONE: f64 = 2.0;
/// The part of these that callers at once need at most.
const SHARED_MAX: f64 = 2.0 / 3.0;

/// Counts an agent's syncs while `work` runs; none where they cannot be counted.
fn counted(cluster: &Cluster, what: &str, work: impl FnOnce()) -> Option<Counts> {
    let output = cluster.path(&format!("{}.strace", what.replace(' ', "-")));
    match Tracer::attach(cluster.agents[0].id(), &output) {
        Ok(tracer) => {
            work();
            Some(tracer.counts())
        }
        Err(why) => {
            holdfast_tests::left_out(&format!("syncs of {what}"), &why);
            None
        }
    }
}

fn say(what: &str, operations: u32, counts: &Counts) -> f64 {
    let all: u64 = counts.values().sum();
    let each = all as f64 / f64::from(operations);
    let kinds: Vec<String> = counts.iter().map(|(name, calls)| format!("{name} {calls}")).collect();
    println!(
        "{what:<58} {operations:>4} operations  {all:>5} syncs  {each:>6.3} each  ({})",
        kinds.join(", ")
    );
    each
}

/// How many times the journal was synced for each operation.
fn journal(operations: u32, counts: &Counts) -> f64 {
    counts.get("fdatasync").copied().unwrap_or(0) as f64 / f64::from(operations)
}

/// Syncs of anything but the journal.
fn others(counts: &Counts) -> u64 {
    counts.iter().filter(|(name, _)| *name != "fdatasync").map(|(_, calls)| calls).sum()
}

fn call(cluster: &Cluster, call: &Value) {
    cluster.call(call).expect(202, "an operation");
}

#[test]
fn operations_one_after_another() {
    let cluster = Cluster::start();
    let agent = cluster.agent_id(0);
    let piece = disk(10.0, None);
    let reserve = calls::reserve(&agent, &[reserved(&piece)]);
    let create = |index: u32| calls::create(&agent, &[volume(&piece, &format!("v{index}"))]);
    let Some(counts) = counted(&cluster, "reserve alone", || {
        (0..SEQUENTIAL).for_each(|_| call(&cluster, &reserve))
    }) else {
        return;
    };
    say("RESERVE, one after another", SEQUENTIAL, &counts);
    // One to write it down before it is acknowledged. That the acknowledgement was heard goes with the next.
    assert!(
        (1.0..=1.03).contains(&journal(SEQUENTIAL, &counts)),
        "one sync of the journal each: {counts:?}"
    );
    // Now and then a new segment of the journal is begun, and the books are brought up.
    assert!(
        others(&counts) * 2 <= u64::from(SEQUENTIAL),
        "RESERVE touches nothing but the ledger: {counts:?}"
    );
    let both = |index| {
        call(&cluster, &reserve);
        call(&cluster, &create(index));
    };
    let counts = counted(&cluster, "reserve and create", || (0..SEQUENTIAL).for_each(both))
        .expect("it could be traced before");
    say("RESERVE + CREATE, one after another (per pair)", SEQUENTIAL, &counts);
    // RESERVE, CREATE before the volume is made, CREATE when it is.
    assert!(journal(SEQUENTIAL, &counts) <= 3.03, "{counts:?}");
    assert_eq!(
        cluster.list("claims").iter().filter(|row| row["kind"] == "volume").count(),
        SEQUENTIAL as usize
    );
}

#[test]
fn volumes_one_after_another() {
    let cluster = Cluster::start();
    let agent = cluster.agent_id(0);
    let piece = disk(10.0, None);
    let all: Vec<Value> =
        (0..SEQUENTIAL).map(|index| volume(&piece, &format!("v{index}"))).collect();
    (0..SEQUENTIAL).for_each(|_| call(&cluster, &calls::reserve(&agent, &[reserved(&piece)])));
    let creates = || {
        all.iter().for_each(|it| call(&cluster, &calls::create(&agent, std::slice::from_ref(it))))
    };
    let Some(counts) = counted(&cluster, "create alone", creates) else { return };
    say("CREATE, one after another", SEQUENTIAL, &counts);
    // Its directory, both copies of its label and its folder, beside each other; then the folder that holds it. Now and then the books.
    let each = others(&counts) as f64 / f64::from(SEQUENTIAL);
    assert!((5.0..=5.5).contains(&each), "{counts:?}");
    assert_eq!(
        counts.get("syncfs"),
        None,
        "one volume does not wait for a whole file system: {counts:?}"
    );
    let destroys = || {
        all.iter().for_each(|it| call(&cluster, &calls::destroy(&agent, std::slice::from_ref(it))))
    };
    let counts = counted(&cluster, "destroy alone", destroys).expect("it could be traced before");
    say("DESTROY, one after another", SEQUENTIAL, &counts);
    assert!(
        others(&counts) as f64 / f64::from(SEQUENTIAL) >= 2.0,
        "it is in the trash, durably: {counts:?}"
    );
}

#[test]
fn tasks_one_after_another() {
    let cluster = Cluster::start();
    cluster.agent_id(0);
    let master = cluster.master.address().to_string();
    let task = || {
        let mut run = std::process::Command::new(holdfast_tests::daemon::binary());
        let ended = run.args(["run", "--master", &master, "--", "true"]).output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    };
    let Some(counts) = counted(&cluster, "tasks", || (0..TASKS).for_each(|_| task())) else {
        return;
    };
    say("command tasks, one after another", TASKS, &counts);
    // That the container may have run is on disk before it does. Now and then the books.
    let each = others(&counts) as f64 / f64::from(TASKS);
    assert!((1.0..=2.0).contains(&each), "{counts:?}");
}

/// Each caller has its connection open and its request written before all of them send at once.
fn at_once(cluster: &Cluster, bodies: &[Value]) {
    let (address, barrier) = (cluster.master.address(), Barrier::new(bodies.len()));
    std::thread::scope(|scope| {
        for body in bodies {
            let barrier = &barrier;
            scope.spawn(move || {
                let mut connection = Connection::open(address).expect("the master listens");
                let bytes = request(
                    "POST",
                    "/api/v1",
                    &[("Content-Type", "application/json")],
                    body.to_string().as_bytes(),
                );
                barrier.wait();
                connection.send(&bytes);
                connection.answer().expect(202, "an operation among many");
            });
        }
    });
}

#[test]
fn operations_of_many_callers() {
    let cluster = Cluster::start();
    let agent = cluster.agent_id(0);
    let piece = disk(10.0, None);
    let operations = u32::try_from(CALLERS * ROUNDS).unwrap();
    let reserves: Vec<Value> =
        (0..CALLERS).map(|_| calls::reserve(&agent, &[reserved(&piece)])).collect();
    let create = |round: usize, caller: usize| {
        calls::create(&agent, &[volume(&piece, &format!("v{round}-{caller}"))])
    };
    let Some(counts) = counted(&cluster, "many reserve", || {
        (0..ROUNDS).for_each(|_| at_once(&cluster, &reserves))
    }) else {
        return;
    };
    let each = say("RESERVE, 64 callers at once", operations, &counts);
    // How many share one depends on how the machine runs them: in no case do they need more than two thirds of what they need alone.
    assert!(each <= RESERVE_ALONE * SHARED_MAX, "callers at once share a sync: {counts:?}");
    let creates = |round| {
        at_once(&cluster, &(0..CALLERS).map(|caller| create(round, caller)).collect::<Vec<_>>())
    };
    let counts = counted(&cluster, "many create", || (0..ROUNDS).for_each(creates))
        .expect("it could be traced before");
    say("CREATE, 64 callers at once", operations, &counts);
    // Four of each at most, or one of the file system for all of a batch, where nobody else has much to write.
    let each = others(&counts) as f64 / f64::from(operations);
    assert!(each <= 4.5, "callers at once share the folder's sync: {counts:?}");
    assert!(
        journal(operations, &counts) <= CREATE_ALONE * SHARED_MAX,
        "callers at once share a sync: {counts:?}"
    );
    let pairs = &|caller: usize| {
        for round in ROUNDS..2 * ROUNDS {
            call(&cluster, &reserves[caller]);
            call(&cluster, &create(round, caller));
        }
    };
    let all_pairs = || {
        std::thread::scope(|scope| {
            (0..CALLERS).for_each(|caller| drop(scope.spawn(move || pairs(caller))))
        })
    };
    let counts =
        counted(&cluster, "many reserve and create", all_pairs).expect("it could be traced before");
    say("RESERVE + CREATE, 64 callers at once (per pair)", operations, &counts);
    assert!(
        journal(operations, &counts) <= (RESERVE_ALONE + CREATE_ALONE) * SHARED_MAX,
        "callers at once share a sync: {counts:?}"
    );
    assert_eq!(
        cluster.list("claims").iter().filter(|row| row["kind"] == "volume").count(),
        2 * CALLERS * ROUNDS
    );
}
