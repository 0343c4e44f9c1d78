//! What reads cost a leader: RESERVE steps of a master with 10,000 agents and 100,000 tasks, alone and while eight readers ask for all of it.
//!
//! `cargo xtask bench reads` runs it on Linux, which says how long a thread waited for a processor. A step is what the loop does with one order of an operator and the agent's answer: handle, and publish
//! the view. As in a process, no more reads render at once than leave a processor to the loop. Relies on [`cluster`]. Never judges.

mod clock;
mod cluster;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use clock::{Counter, NOW};
use cluster::{agent, lead, link_of};
use holdfast_api::{legacy, metrics, native, v1, MasterView};
use holdfast_master::{Effect, Input, Master, RequestId};
use holdfast_model::{
    CallerIdentity, ClaimAction, OperationState, OperationUpdate, OperatorCall, Order, Reservation,
    ReservationKind, Resource, Role, Scalar, StatusUuid, StepContext, ToMaster,
};
use uuid::Uuid;

const AGENTS: usize = 10_000;
const TASKS: usize = 10;
const READERS: usize = 8;
const STEPS: usize = 20_000;

/// What the loop publishes, and who may render: one at a time beside the loop, on a machine of two processors.
struct Published {
    latest: Mutex<Arc<MasterView>>,
    turn: Mutex<()>,
    over: AtomicBool,
    reads: AtomicUsize,
    longest_ms: AtomicUsize,
}

fn main() {
    let mut master = lead(AGENTS, TASKS, |_| {});
    let published = Arc::new(Published {
        latest: Mutex::new(Arc::new(master.view())),
        turn: Mutex::new(()),
        over: AtomicBool::new(false),
        reads: AtomicUsize::new(0),
        longest_ms: AtomicUsize::new(0),
    });
    let mut ids = Counter(1 << 110);
    show("alone", &measure(&mut master, &mut ids, &published, 0));
    let readers: Vec<_> = (0..READERS)
        .map(|number| {
            let published = published.clone();
            std::thread::spawn(move || read_on(&published, number))
        })
        .collect();
    show("beside 8 readers", &measure(&mut master, &mut ids, &published, STEPS));
    published.over.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|it| it.join().expect("a reader only reads"));
    println!("reads rendered meanwhile\t{}", published.reads.load(Ordering::Relaxed));
    println!("longest of them\t{} ms", published.longest_ms.load(Ordering::Relaxed));
}

/// Nanoseconds of each step by the clock, and of those how many this thread was ready and no processor was free.
fn measure(
    master: &mut Master,
    ids: &mut Counter,
    to: &Published,
    first: usize,
) -> Vec<(u64, u64)> {
    let mut times = Vec::new();
    for number in first..first + STEPS {
        let (waited, began) = (waited_ns(), Instant::now());
        reserve(master, ids, number);
        let view = Arc::new(master.view());
        let former = std::mem::replace(&mut *to.latest.lock().expect("nobody panics"), view);
        drop(former);
        let took = u64::try_from(began.elapsed().as_nanos()).expect("it is short");
        times.push((took, waited_ns() - waited));
    }
    times
}

/// Nanoseconds that this thread was ready to run and waited for a processor.
fn waited_ns() -> u64 {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat");
    let said = said.ok().and_then(|it| it.split(' ').nth(1).and_then(|it| it.parse().ok()));
    said.expect("this machine says how long a thread has waited")
}

/// An operator reserves, and the agent says that it is done.
fn reserve(master: &mut Master, ids: &mut Counter, number: usize) {
    let on = number % AGENTS;
    let reservation = Reservation {
        kind: ReservationKind::Dynamic,
        role: Role::parse("db").expect("it is a role"),
        principal: None,
        labels: holdfast_model::Labels::default(),
    };
    let resource = Resource::scalar("cpus", Scalar::whole(1)).reserved(reservation);
    let action = ClaimAction::Reserve { resources: vec![resource], source: Vec::new() };
    let call = OperatorCall::Claim { agent: agent(on), action };
    let asked = Input::FromOperator(RequestId(number as u64), CallerIdentity::Anonymous, call);
    let effects = master.handle(&mut StepContext { now: NOW, ids }, asked);
    let uuid = effects.iter().find_map(|it| match it {
        Effect::ToAgent(_, said) => match &said.order {
            Order::Apply { operations, .. } => operations.first().map(|it| it.uuid),
            _ => None,
        },
        _ => None,
    });
    let update = OperationUpdate {
        uuid: uuid.expect("the agent is ordered to reserve"),
        id: None,
        framework: None,
        state: OperationState::Finished,
        message: None,
        status: StatusUuid(Uuid::from_u128(number as u128)),
        ledger_checksum: None,
        ledger_version: 11 + number as u64,
        claims: Vec::new(),
        ended: Vec::new(),
        endings: Vec::new(),
        claims_generation: 0,
    };
    let settled = Input::FromAgent(link_of(on), ToMaster::OperationUpdate(update));
    master.handle(&mut StepContext { now: NOW, ids }, settled);
}

/// Renders one answer after the other, as clients of the API would have it.
fn read_on(published: &Published, number: usize) {
    while !published.over.load(Ordering::Relaxed) {
        let turn = published.turn.lock().expect("nobody panics");
        let began = Instant::now();
        let view = published.latest.lock().expect("nobody panics").clone();
        let bytes = match number % 4 {
            0 => serde_json::to_vec(&v1::state(&view)).map(|it| it.len()),
            1 => serde_json::to_vec(&legacy::frameworks(&view, None)).map(|it| it.len()),
            2 => Ok(metrics::master(&view).len()),
            _ => serde_json::to_vec(&native::claims(&view)).map(|it| it.len()),
        };
        assert!(0 < bytes.expect("an answer is JSON"));
        let took = usize::try_from(began.elapsed().as_millis()).expect("it is short");
        drop(turn);
        published.longest_ms.fetch_max(took, Ordering::Relaxed);
        published.reads.fetch_add(1, Ordering::Relaxed);
    }
}

fn show(what: &str, times: &[(u64, u64)]) {
    show_one(what, times.iter().map(|(took, _)| *took).collect());
    let own = times.iter().map(|(took, waited)| took.saturating_sub(*waited)).collect();
    show_one(&format!("{what}, waits for a processor left out"), own);
}

fn show_one(what: &str, mut sorted: Vec<u64>) {
    sorted.sort_unstable();
    let at = |share: usize| sorted[(sorted.len() - 1) * share / 1000] as f64 / 1_000.0;
    let (p50, p99, longest) = (at(500), at(990), at(1000));
    println!("RESERVE step, {what}\tp50 {p50:.0} us, p99 {p99:.0} us, longest {longest:.0} us");
}
