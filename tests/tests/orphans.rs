//! Whole volumes that no claim stands for: adopted under their own ids, or removed on purpose. Real processes over a real file system on a
//! loop device, killed and put back to old ledgers.
//!
//! Relies on the right to mount; where that is missing it is said, and passed. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use holdfast_tests::calls::{disk, path_source};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::daemon::binary;
use holdfast_tests::loop_disk::LoopDisk;
use holdfast_tests::{until, Cluster};
use serde_json::Value;

/// What a test keeps in a volume.
const BYTES: &[u8] = b"every acknowledged record";

fn holdfast(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).args(["--master", &cluster.master.address().to_string()]);
    command.output().unwrap()
}

fn words(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn done(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = holdfast(cluster, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    words(&output)
}

fn refused(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = holdfast(cluster, arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", words(&output));
    words(&output)
}

fn orphans(cluster: &Cluster, root: &Path) -> Vec<Value> {
    let row = cluster.list("disks").into_iter().find(|it| it["root"] == text(root));
    row.and_then(|it| it["orphans"].as_array().cloned()).unwrap_or_default()
}

fn wait_for_orphans(cluster: &Cluster, root: &Path, count: usize) -> Vec<Value> {
    until(&format!("{count} orphans are named"), || {
        let found = orphans(cluster, root);
        if found.len() == count {
            Ok(found)
        } else {
            Err(Value::from(found))
        }
    })
}

/// A cluster whose disk carries a volume that was given up while the disk was away.
struct Bed {
    cluster: Cluster,
    _device: LoopDisk,
    root: PathBuf,
    /// The claim that it had.
    lost: Value,
}

fn bed(test: &str) -> Option<Bed> {
    let cluster = Cluster::start();
    let (root, image) = (cluster.path("disk"), cluster.path("image"));
    let mut device = LoopDisk::mounted(test, &image, &root, 64)?;
    let path = text(&root);
    let add = ["disk", "add", "--agent", "agent0", "--path", &path, "--type", "path"];
    done(&cluster, &[&add[..], &["--size-mb", "50"]].concat());
    let lost = cluster.claim_volume(0, "lost", &disk(10.0, Some(&path_source(&path))));
    fs::write(volume_dir(&root, &lost).join("data/file"), BYTES).unwrap();
    // A disk of which all is given up is forgotten.
    cluster.claim_volume(0, "kept", &disk(5.0, Some(&path_source(&path))));
    device.unmount();
    cluster.wait_for_claim("lost", "missing");
    done(&cluster, &["claim", "give-up", "lost", "-y"]);
    device.mount(&root);
    wait_for_orphans(&cluster, &root, 1);
    Some(Bed { cluster, _device: device, root, lost })
}

fn is_whole(bed: &Bed) {
    let file = volume_dir(&bed.root, &bed.lost).join("data/file");
    assert_eq!(fs::read(file).unwrap(), BYTES);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

fn put_back(kept: &Path, dir: &Path) {
    fs::remove_dir_all(dir).unwrap();
    copy(kept, dir);
}

#[test]
fn an_orphan_is_adopted_under_its_own_id_with_its_data_and_stays_so_through_kills() {
    let test = "an_orphan_is_adopted_under_its_own_id_with_its_data_and_stays_so_through_kills";
    let Some(mut bed) = bed(test) else { return };
    let id = bed.lost["id"].as_str().unwrap().to_owned();
    let adopt = ["volume", "adopt", "--orphan", &id[..8], "--role", "other", "--name", "found"];
    let plan = holdfast(&bed.cluster, &[&adopt[..], &["--plan"]].concat());
    let told = words(&plan);
    assert!(plan.status.code() == Some(2) && told.contains("action: ADOPT"), "{told}");
    assert!(told.contains("disk(other)") && told.contains("found"), "{told}");
    assert_eq!(orphans(&bed.cluster, &bed.root).len(), 1, "nothing was changed");
    let why = refused(&bed.cluster, &[&adopt[..], &["--size", "4000"]].concat());
    assert!(why.contains("4000 MB are needed") && why.contains("try"), "{why}");
    let why = refused(&bed.cluster, &["volume", "adopt", "--orphan", "ffffffff"]);
    assert!(why.contains("no disk there has a volume ffffffff"), "{why}");
    let told = done(&bed.cluster, &adopt);
    assert!(told.contains("is adopted, with its data"), "{told}");
    let claim = bed.cluster.claim("found");
    assert_eq!(
        (&claim["id"], &claim["role"], &claim["state"]),
        (&bed.lost["id"], &Value::from("other"), &Value::from("ready"))
    );
    is_whole(&bed);
    wait_for_orphans(&bed.cluster, &bed.root, 0);
    let history = done(&bed.cluster, &["claim", "history", "found"]);
    assert!(history.contains("adopted") && history.contains("operator"), "{history}");
    bed.cluster.agents[0].kill();
    bed.cluster.master.kill();
    bed.cluster.master.start();
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    let claim = bed.cluster.wait_for_claim("found", "ready");
    assert!(claim["id"] == bed.lost["id"] && claim["fault"].is_null(), "{claim}");
    is_whole(&bed);
    let why = refused(&bed.cluster, &adopt);
    assert!(why.contains("no disk there has a volume"), "{why}");
}

#[test]
fn old_ledgers_that_know_nothing_of_an_adoption_end_no_claim() {
    let Some(mut bed) = bed("old_ledgers_that_know_nothing_of_an_adoption_end_no_claim") else {
        return;
    };
    let (master, agent) = (bed.cluster.path("master"), bed.cluster.agent_dir(0));
    let (old_master, old_agent) = (bed.cluster.path("old-master"), bed.cluster.path("old-agent"));
    bed.cluster.agents[0].kill();
    bed.cluster.master.kill();
    copy(&master, &old_master);
    copy(&agent.join("ledger"), &old_agent);
    bed.cluster.master.start();
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    wait_for_orphans(&bed.cluster, &bed.root, 1);
    let id = bed.lost["id"].as_str().unwrap().to_owned();
    done(&bed.cluster, &["volume", "adopt", "--orphan", &id, "--name", "found"]);
    // The masters' ledger of before: the agent tells what it owns.
    bed.cluster.master.kill();
    put_back(&old_master, &master);
    bed.cluster.master.start();
    bed.cluster.wait_for_agent(0, "well");
    assert_eq!(bed.cluster.wait_for_claim("found", "ready")["id"], bed.lost["id"]);
    is_whole(&bed);
    // The agent's ledger of before: it is fenced, and its claims stay known.
    bed.cluster.agents[0].kill();
    put_back(&old_agent, &agent.join("ledger"));
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "fenced");
    let claim = bed.cluster.claim("found");
    assert_eq!(claim["id"], bed.lost["id"]);
    let why = refused(&bed.cluster, &["volume", "remove-orphan", &id, "-y"]);
    assert!(!why.is_empty(), "{why}");
    is_whole(&bed);
}

#[test]
fn an_orphan_is_removed_on_purpose_and_comes_back_with_its_data() {
    let Some(mut bed) = bed("an_orphan_is_removed_on_purpose_and_comes_back_with_its_data") else {
        return;
    };
    let id = bed.lost["id"].as_str().unwrap().to_owned();
    let remove = ["volume", "remove-orphan", &id[..8]];
    let plan = holdfast(&bed.cluster, &[&remove[..], &["--plan"]].concat());
    let told = words(&plan);
    assert!(plan.status.code() == Some(2) && told.contains("REMOVE_ORPHAN"), "{told}");
    is_whole(&bed);
    // Nobody agrees to it by pressing Enter.
    refused(&bed.cluster, &remove);
    is_whole(&bed);
    done(&bed.cluster, &[&remove[..], &["-y"]].concat());
    until("its bytes are in the trash", || {
        let there = volume_dir(&bed.root, &bed.lost).exists();
        if there {
            Err("they are still there")
        } else {
            Ok(())
        }
    });
    wait_for_orphans(&bed.cluster, &bed.root, 0);
    assert!(bed.cluster.list("trash").iter().any(|it| it["id"] == bed.lost["id"]));
    bed.cluster.agents[0].kill();
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    until("the trash is told", || {
        let trash = bed.cluster.list("trash");
        trash.iter().any(|it| it["id"] == bed.lost["id"]).then_some(()).ok_or(trash.len())
    });
    done(&bed.cluster, &["volume", "undelete", &id]);
    let claim = bed.cluster.wait_for_claim("lost", "ready");
    assert_eq!(claim["id"], bed.lost["id"]);
    is_whole(&bed);
    let history = done(&bed.cluster, &["claim", "history", &id]);
    assert!(history.contains("removed as an orphan") && history.contains("undeleted"), "{history}");
}
