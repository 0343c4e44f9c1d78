//! What only real servers can show: the contracts of journal and leadership, servers that die,
//! answers that are lost.
//!
//! Relies on [`super::ensemble`]. Run by `cargo xtask test --engines`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use holdfast_store::Entry;
use zookeeper_client::{Acls, CreateMode};

use super::ensemble::Ensemble;
use super::layout::Layout;
use super::service::{connect, Service};
use super::*;
use crate::journal::conformance;
use crate::leadership::conformance as of_leadership;
use crate::{Journal, JournalError, Leadership, LeadershipError, Lease};

const PATIENCE: Duration = Duration::from_secs(60);

/// A master with this number for its port.
fn master(address: &str, port: u16, commit_timeout: Duration) -> ZooKeeperLeadership {
    let info = format!(
        r#"{{"address":{{"hostname":"localhost","ip":"127.0.0.1","port":{port}}},"id":"m{port}","ip":16777343,"port":{port}}}"#
    );
    let session_timeout = Duration::from_secs(4);
    let address = address.parse().unwrap();
    let deposing = None;
    let options =
        ZooKeeperOptions { address, session_timeout, commit_timeout, deposing, seen: None };
    ZooKeeperLeadership::new(options, &info).unwrap()
}

fn patient(address: &str, port: u16) -> ZooKeeperLeadership {
    master(address, port, PATIENCE)
}

fn lead(master: &ZooKeeperLeadership) -> (ZooKeeperLease, ZooKeeperJournal) {
    let mut lease = master.campaign_for_journal().unwrap();
    let journal = lease.take_over().unwrap();
    (lease, journal)
}

fn read(journal: &dyn Journal) -> Vec<(Vec<u8>, Vec<u8>)> {
    journal.records().map(|it| (it.key.to_vec(), it.value.to_vec())).collect()
}

/// Does something with a client of its own.
fn by_hand<T: Send + 'static, F>(address: &str, work: F) -> T
where
    F: AsyncFnOnce(zookeeper_client::Client, Layout) -> T,
{
    let address: ZooKeeperAddress = address.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let seconds = Duration::from_secs;
        let client = connect(&address, seconds(10), seconds(10)).await.unwrap();
        work(client, Layout::new(&address)).await
    })
}

/// Every node below a path.
async fn tree(client: &zookeeper_client::Client, path: String) -> Vec<String> {
    let mut found = Vec::new();
    for child in client.list_children(&path).await.unwrap() {
        found.push(format!("{path}/{child}"));
        found.extend(Box::pin(tree(client, format!("{path}/{child}"))).await);
    }
    found
}

fn keeps_the_contracts(ensemble: &Ensemble) {
    static PATHS: AtomicU64 = AtomicU64::new(0);
    let path = || format!("/mesos-{}", PATHS.fetch_add(1, Ordering::Relaxed));
    let address = ensemble.address(&path());
    let held = std::cell::RefCell::new(None);
    conformance::check(&|| {
        // The one before lets go first; a term has one lease.
        held.replace(None);
        let (lease, journal) = lead(&patient(&address, 1));
        held.replace(Some(lease));
        Box::new(journal)
    });
    let address = ensemble.address(&path());
    of_leadership::check(&|port| Box::new(patient(&address, port)));
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn one_server_keeps_the_contracts_of_journal_and_leadership() {
    let Some(ensemble) = Ensemble::start(1) else { return };
    keeps_the_contracts(&ensemble);
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn three_servers_keep_the_contracts_and_one_of_them_may_die() {
    let Some(mut ensemble) = Ensemble::start(3) else { return };
    keeps_the_contracts(&ensemble);
    let address = ensemble.address("/dies");
    let (lease, mut journal) = lead(&patient(&address, 1));
    for round in 0..3u8 {
        for count in 0..50u8 {
            if count == 25 {
                let killed = ensemble.kill_leading();
                journal.append(journal.term(), &[Entry::put("t", [round], "while")]).unwrap();
                ensemble.run(killed);
                ensemble.wait_for(killed);
            }
            journal.append(journal.term(), &[Entry::put("t", [round, count], "x")]).unwrap();
        }
    }
    assert!(lease.is_held());
    assert_eq!(read(&journal).len(), 3 * 51);
    let there = read(&journal);
    Box::new(lease).resign().unwrap();
    let (_lease, next) = lead(&patient(&address, 2));
    assert_eq!(read(&next), there);
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn a_leader_whose_node_is_removed_is_told_and_writes_nothing() {
    let Some(ensemble) = Ensemble::start(1) else { return };
    let address = ensemble.address("/mesos");
    let first = patient(&address, 1);
    let (mut lease, mut journal) = lead(&first);
    journal.append(journal.term(), &[Entry::put("t", "a", "1")]).unwrap();
    let (sender, told) = mpsc::channel();
    lease.on_loss(Box::new(move |why| sender.send(why).unwrap()));
    let children = by_hand(&address, async |client, layout| {
        let children = client.list_children(&layout.election).await.unwrap();
        client.delete(&layout.candidate(&children[0]), None).await.unwrap();
        children
    });
    assert_eq!(children.len(), 1, "nothing stands beside the candidates: {children:?}");
    let why = told.recv_timeout(PATIENCE).unwrap();
    assert!(why.to_string().contains("removed"), "{why}");
    assert!(!lease.is_held());
    let (next_lease, next) = lead(&patient(&address, 2));
    assert_eq!(next_lease.term(), lease.term() + 1);
    let refused = journal.append(journal.term(), &[Entry::put("t", "a", "2")]).unwrap_err();
    assert!(
        matches!(refused, JournalError::NotLeading { .. } | JournalError::Deposed { .. }),
        "{refused}"
    );
    assert_eq!(read(&next), [(b"a".to_vec(), b"1".to_vec())]);
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn a_leader_that_is_cut_off_stops_within_its_bound() {
    let Some(mut ensemble) = Ensemble::start(1) else { return };
    let address = ensemble.address("/mesos");
    let bound = Duration::from_secs(1);
    let (mut lease, mut journal) = lead(&master(&address, 1, bound));
    let (sender, told) = mpsc::channel();
    lease.on_loss(Box::new(move |why| sender.send(why).unwrap()));
    journal.append(journal.term(), &[Entry::put("t", "a", "1")]).unwrap();
    ensemble.kill(0);
    let refused = journal.append(journal.term(), &[Entry::put("t", "b", "2")]).unwrap_err();
    assert!(refused.to_string().contains("has not answered for 1s"), "{refused}");
    let why = told.recv_timeout(PATIENCE).unwrap();
    assert!(!lease.is_held(), "{why}");
    let again = journal.append(journal.term(), &[]).unwrap_err();
    assert!(matches!(again, JournalError::NotLeading { .. }), "it stops for good: {again}");
    ensemble.run(0);
    let (_lease, next) = lead(&patient(&address, 2));
    let found = read(&next);
    assert_eq!(found[0], (b"a".to_vec(), b"1".to_vec()), "what was acknowledged is there");
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn large_batches_go_in_parts_and_what_is_not_needed_is_swept() {
    let Some(ensemble) = Ensemble::start(1) else { return };
    let address = ensemble.address("/mesos");
    let (lease, mut journal) = lead(&patient(&address, 1));
    let term = journal.term();
    let large: Vec<Entry> =
        (0..5u8).map(|key| Entry::put("large", [key], vec![key; 1 << 20])).collect();
    journal.append(term, &large).unwrap();
    // A leader died between the parts of a batch and its commit.
    by_hand(&address, async |client, layout| {
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        for path in [layout.parts_of(0, 9), layout.parts_of(0, 9) + "/0000000000"] {
            client.create(&path, b"orphan", &options).await.unwrap();
        }
    });
    for count in 0..1_100u16 {
        let entry = Entry::put("small", count.to_be_bytes(), vec![1; 10_000]);
        journal.append(term, &[entry]).unwrap();
    }
    assert!(journal.stored_bytes().load(Ordering::Relaxed) < 40 << 20, "it trims by itself");
    journal.append(term, &[Entry::delete("large", [0])]).unwrap();
    let there = read(&journal);
    journal.trim().unwrap();
    assert_eq!(read(&journal), there);
    Box::new(lease).resign().unwrap();
    let (_lease, mut next) = lead(&patient(&address, 2));
    assert_eq!(read(&next), there);
    next.trim().unwrap();
    let left = by_hand(&address, async |client, layout| tree(&client, layout.journal).await);
    let at = |what: &str| left.iter().filter(|it| it.contains(what)).count();
    assert_eq!(at("/parts/"), 0, "{left:?}");
    assert_eq!(
        left.iter().filter(|it| it.matches('/').count() == 4 && it.contains("/log/")).count(),
        0
    );
    let checkpoints =
        left.iter().filter(|it| it.contains("/checkpoints/") && it.matches('/').count() == 3);
    assert_eq!(checkpoints.count(), 1, "{left:?}");
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn a_standby_follows_across_a_trim_and_leads_with_everything() {
    let Some(ensemble) = Ensemble::start(1) else { return };
    let address = ensemble.address("/mesos");
    let (lease, mut journal) = lead(&patient(&address, 5051));
    let (term, standby) = (journal.term(), patient(&address, 5052));
    let waits = std::thread::spawn({
        let standby = standby.clone();
        move || lead(&standby)
    });
    while standby.leader().unwrap().map(|it| it.address).as_deref() != Some("localhost:5051") {
        std::thread::yield_now();
    }
    for count in 0..300u16 {
        journal.append(term, &[Entry::put("t", count.to_be_bytes(), vec![2; 5_000])]).unwrap();
        if count % 100 == 50 {
            journal.trim().unwrap();
        }
    }
    let there = read(&journal);
    Box::new(lease).resign().unwrap();
    let (next_lease, next) = waits.join().unwrap();
    assert_eq!(next_lease.term(), term + 1);
    assert_eq!(read(&next), there);
    assert!(standby.leader().unwrap().is_none(), "it leads itself");
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn a_path_of_mesos_is_refused_and_a_strangers_login_too() {
    let Some(ensemble) = Ensemble::start(1) else { return };
    let address = ensemble.address("/taken");
    by_hand(&address, async |client, layout| {
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        client.mkdir(&format!("{}/log_replicas", layout.election), &options).await.unwrap();
    });
    let refused = patient(&address, 1).campaign().err().unwrap();
    assert!(matches!(refused, LeadershipError::OfMesos { .. }), "{refused}");

    let with = |login: &str| ensemble.address("/ours").replace("zk://", &format!("zk://{login}@"));
    let (lease, mut journal) = lead(&patient(&with("ops:secret"), 1));
    journal.append(journal.term(), &[Entry::put("t", "a", "1")]).unwrap();
    let open = ensemble.address("/ours");
    by_hand(&open, async |client, layout| {
        let children = client.list_children(&layout.election).await.unwrap();
        let node = layout.candidate(&children[0]);
        client.get_data(&node).await.expect("everybody finds the leader");
        let denied = |it| assert_eq!(it, Err(zookeeper_client::Error::NoAuth));
        denied(client.set_data(&node, b"{}", None).await.map(|_| ()));
        denied(client.get_data(&layout.head()).await.map(|_| ()));
        denied(client.set_data(&layout.head(), b"", None).await.map(|_| ()));
        denied(client.delete(&layout.batch(1), None).await);
    });
    Box::new(lease).resign().unwrap();
    let refused = patient(&with("ops:guess"), 2).campaign().err().unwrap();
    assert!(matches!(refused, LeadershipError::Login { .. }), "{refused}");

    let open = ensemble.address("/open");
    drop(lead(&patient(&open, 1)));
    let refused = patient(&open.replace("zk://", "zk://ops:secret@"), 2).campaign().err().unwrap();
    assert!(refused.to_string().contains("setAcl -R /open.holdfast"), "{refused}");
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn an_ensemble_that_was_put_back_is_not_believed_by_who_has_seen_more() {
    let Some(ensemble) = Ensemble::start(1) else { return };
    let (address, dir) = (ensemble.address("/mesos"), tempfile::tempdir().unwrap());
    let remembering = || {
        let options = ZooKeeperOptions {
            address: address.parse().unwrap(),
            session_timeout: Duration::from_secs(4),
            commit_timeout: PATIENCE,
            deposing: None,
            seen: Some(dir.path().join("journal-seen")),
        };
        let info = r#"{"hostname":"localhost","port":5051}"#;
        ZooKeeperLeadership::new(options, info).unwrap()
    };
    let (lease, mut journal) = lead(&remembering());
    let keep =
        by_hand(&address, async |client, layout| client.get_data(&layout.head()).await.unwrap().0);
    for count in 0..5u8 {
        journal.append(journal.term(), &[Entry::put("t", [count], "x")]).unwrap();
    }
    journal.trim().unwrap();
    Box::new(lease).resign().unwrap();
    drop(lead(&remembering()));
    by_hand(&address, async |client, layout| {
        client.set_data(&layout.head(), &keep, None).await.unwrap();
    });
    let refused = remembering().campaign().err().unwrap();
    assert!(refused.to_string().contains("put back to an older state"), "{refused}");
    by_hand(&address, async |client, layout| {
        client.delete(&layout.head(), None).await.unwrap();
    });
    let refused = remembering().campaign().err().unwrap();
    assert!(refused.to_string().contains("is missing"), "{refused}");
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn a_detector_finds_the_leader_and_the_next_one() {
    let Some(ensemble) = Ensemble::start(1) else { return };
    let address = ensemble.address("/mesos");
    let detector = LeaderDetector::start(address.parse().unwrap()).unwrap();
    let waits_for = |wanted: Option<&str>| {
        while detector.latest().leader.as_deref() != wanted || !detector.latest().is_known {
            std::thread::yield_now();
        }
    };
    waits_for(None);
    let (lease, _journal) = lead(&patient(&address, 5051));
    waits_for(Some("localhost:5051"));
    Box::new(lease).resign().unwrap();
    waits_for(None);
    let _leads = lead(&patient(&address, 5052));
    waits_for(Some("localhost:5052"));
}

/// Passes everything on to a server, and cuts a connection whose answer it was told to lose.
struct Lossy {
    address: String,
    lose: std::sync::Arc<AtomicU64>,
}

impl Lossy {
    fn before(server: &str) -> Lossy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lose = std::sync::Arc::new(AtomicU64::new(0));
        let (server, losing) = (server.to_owned(), lose.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass_on(from, to, |_| false));
                let losing = losing.clone();
                // An answer to a transaction is longer than one to a ping.
                let lost = move |bytes: usize| {
                    let loses = |it: u64| it.checked_sub(1);
                    let order = Ordering::SeqCst;
                    40 < bytes && losing.fetch_update(order, order, loses).is_ok()
                };
                std::thread::spawn(move || pass_on(server, client, lost));
            }
        });
        Lossy { address, lose }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, lost: impl Fn(usize) -> bool) {
    let mut buffer = [0; 1 << 16];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if lost(bytes) || to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
#[ignore = "needs ZooKeeper: run by `cargo xtask test --engines`"]
fn commits_whose_answers_are_lost_are_done_once() {
    let Some(ensemble) = Ensemble::start(1) else { return };
    let address = ensemble.address("/mesos");
    let server = address.trim_start_matches("zk://").split('/').next().unwrap().to_owned();
    let lossy = Lossy::before(&server);
    let (_lease, mut journal) = lead(&patient(&address.replace(&server, &lossy.address), 1));
    let before = journal.head().0;
    for count in 0..40u8 {
        // One, or one after another: also the attempt to find out gets no answer.
        lossy.lose.store(u64::from(count % 4), Ordering::SeqCst);
        journal.append(journal.term(), &[Entry::put("t", [count], [count])]).unwrap();
        assert_eq!(journal.head().0, before + u64::from(count) + 1, "each is one commit");
    }
    let there = read(&journal);
    assert_eq!(there.len(), 40);
    by_hand(&address, async |client, layout| {
        let children = client.list_children(&layout.election).await.unwrap();
        client.delete(&layout.candidate(&children[0]), None).await.unwrap();
    });
    let (_lease, next) = lead(&patient(&address, 2));
    assert_eq!(read(&next), there, "the chain is whole");
}

#[test]
fn a_service_ends_on_a_thread_that_must_not_block() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { drop(Service::start().unwrap()) });
}
