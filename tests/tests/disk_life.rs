//! The life of disks: added to a running agent and taken away, unmounted behind its back, found again at another path. Real processes over
//! real file systems on loop devices.
//!
//! Relies on the right to mount; where that is missing it is said, and passed. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use holdfast_tests::calls::{disk, mount_source, path_source};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::loop_disk::LoopDisk;
use holdfast_tests::{until, Cluster};
use serde_json::Value;

/// What a test keeps in a volume.
const BYTES: &[u8] = b"every acknowledged record";

fn row(cluster: &Cluster, root: &Path) -> Option<Value> {
    cluster.list("disks").into_iter().find(|it| it["root"] == text(root))
}

fn unclaimed(cluster: &Cluster, root: &Path) -> u64 {
    let mb = || row(cluster, root)?["unclaimed_mb"].as_u64();
    until("space of the disk can be claimed", || match mb() {
        None | Some(0) => Err(format!("{:?}", row(cluster, root))),
        Some(mb) => Ok(mb),
    })
}

/// A volume on all of a MOUNT disk, with bytes in it.
fn fill(cluster: &Cluster, agent: usize, root: &Path, volume: &str) -> Value {
    let piece = disk(unclaimed(cluster, root) as f64, Some(&mount_source(&text(root))));
    let claim = cluster.claim_volume(agent, volume, &piece);
    fs::write(volume_dir(root, &claim).join("data/file"), BYTES).unwrap();
    claim
}

fn assert_whole(root: &Path, claim: &Value) {
    assert_eq!(fs::read(volume_dir(root, claim).join("data/file")).unwrap(), BYTES);
}

#[test]
fn a_disk_is_added_to_a_running_agent_stays_through_its_restart_and_is_taken_away_untouched() {
    let test =
        "a_disk_is_added_to_a_running_agent_stays_through_its_restart_and_is_taken_away_untouched";
    let mut cluster = Cluster::start();
    let root = cluster.path("a disk, with a comma");
    let path = text(&root);
    let add = ["disk", "add", "--agent", "agent0", "--path", &path, "--type", "mount"];
    // What is not there is not added, and nothing is left of the try.
    let why = refused(&cluster, &add);
    assert!(why.contains("no such directory"), "{why}");
    fs::create_dir(&root).unwrap();
    let why = refused(&cluster, &add);
    assert!(why.contains("is not mounted"), "{why}");
    assert_eq!((row(&cluster, &root), fs::read_dir(&root).unwrap().count()), (None, 0));
    let Some(_disk) = LoopDisk::mounted(test, &cluster.path("image"), &root, 64) else { return };
    let plan = holdfast(&cluster, &[&add[..], &["--plan"]].concat());
    assert_eq!((plan.status.code(), row(&cluster, &root)), (Some(2), None), "{}", words(&plan));
    let added = done(&cluster, &add);
    assert!(added.contains("open and durable"), "{added}");
    let id = row(&cluster, &root).unwrap()["id"].clone();
    assert_eq!(done(&cluster, &add).matches("open and durable").count(), 1, "twice is once");
    let claim = fill(&cluster, 0, &root, "v");
    cluster.agents[0].kill();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    cluster.wait_for_claim("v", "ready");
    assert_eq!(row(&cluster, &root).unwrap()["id"], id);
    let shown = done(&cluster, &["disk", "show", &path]);
    assert!(shown.contains("an operator, with `disk add`") && shown.contains(" v "), "{shown}");
    // What carries claims is not taken away, and what the settings name is theirs.
    let remove = ["disk", "remove", &path];
    let why = refused(&cluster, &remove);
    assert!(why.contains("volume `v` of role db") && why.contains("destroy the volumes"), "{why}");
    let why = refused(&cluster, &["disk", "remove", &text(&cluster.agent_dir(0))]);
    assert!(why.contains("the agent's settings name"), "{why}");
    assert_whole(&root, &claim);
    done(&cluster, &["volume", "destroy", "v", "-y", "--force"]);
    let reserved = cluster.list("claims").remove(0);
    done(&cluster, &["reservation", "remove", reserved["id"].as_str().unwrap(), "-y"]);
    done(&cluster, &remove);
    assert_eq!(row(&cluster, &root), None);
    assert!(root.join("holdfast/label").exists(), "nothing on it is touched");
    cluster.agents[0].kill();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    assert_eq!(row(&cluster, &root), None, "it is gone for good");
    done(&cluster, &add);
    assert_eq!(row(&cluster, &root).unwrap()["id"], id, "its label names it");
    done(&cluster, &["volume", "undelete", "v"]);
    cluster.wait_for_claim("v", "ready");
    assert_whole(&root, &claim);
    drop(cluster);
}

#[test]
fn a_disk_that_is_removed_is_free_for_another_agent_and_two_copies_of_one_are_never_had() {
    let test =
        "a_disk_that_is_removed_is_free_for_another_agent_and_two_copies_of_one_are_never_had";
    let mut cluster = Cluster::start();
    cluster.add_agent(&[]);
    let (root, copy) = (cluster.path("disk"), cluster.path("copy"));
    let (path, copy_path) = (text(&root), text(&copy));
    let Some(_disk) = LoopDisk::mounted(test, &cluster.path("image"), &root, 64) else { return };
    let add = |agent: &'static str, path: &str| -> Vec<String> {
        ["disk", "add", "--agent", agent, "--path", path, "--type", "path"]
            .map(str::to_owned)
            .into()
    };
    let add = |agent, path: &str| -> Output {
        let words = add(agent, path);
        holdfast(&cluster, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(add("agent0", &path).status.success());
    let why = words(&add("agent1", &path));
    assert!(why.contains("in use by another agent on this machine"), "{why}");
    // A copy of the disk would promise its space, and its volumes, twice.
    fs::create_dir(&copy).unwrap();
    let copied = Command::new("cp").arg("-a").arg(root.join("holdfast")).arg(&copy).status();
    assert!(copied.unwrap().success());
    let why = words(&add("agent0", &copy_path));
    assert!(why.contains("bears the same label"), "{why}");
    assert_eq!(row(&cluster, &root).unwrap()["fault"], Value::Null, "the disk itself stays well");
    done(&cluster, &["disk", "remove", &path]);
    until("another agent may have it", || {
        let added = add("agent1", &path);
        added.status.success().then_some(()).ok_or_else(|| words(&added))
    });
    assert_eq!(row(&cluster, &root).unwrap()["hostname"], "agent1");
    drop(cluster);
}

fn add_mount(cluster: &Cluster, agent: &str, root: &Path) -> Output {
    let path = text(root);
    holdfast(cluster, &["disk", "add", "--agent", agent, "--path", &path, "--type", "mount"])
}

fn is_missing(cluster: &Cluster, volume: &str, why: &str) {
    until(&format!("{volume} is missing: {why}"), || {
        let told = done(cluster, &["claim", "where", volume]);
        let is_it = told.contains("missing") && told.contains(why);
        is_it.then_some(()).ok_or(told)
    });
}

#[test]
fn a_disk_that_is_unmounted_swapped_or_brought_to_another_agent_is_told_apart_and_comes_back_whole()
{
    let test =
        "a_disk_that_is_unmounted_swapped_or_brought_to_another_agent_is_told_apart_and_comes_back_whole";
    let mut cluster = Cluster::start();
    cluster.add_agent(&[]);
    let (one, other, third) = (cluster.path("one"), cluster.path("other"), cluster.path("third"));
    let image = |name: &str| cluster.path(name);
    let Some(mut first) = LoopDisk::mounted(test, &image("a"), &one, 64) else { return };
    let Some(mut second) = LoopDisk::mounted(test, &image("b"), &other, 64) else { return };
    for root in [&one, &other] {
        let added = add_mount(&cluster, "agent0", root);
        assert!(added.status.success(), "{}", words(&added));
    }
    let (a, b) = (fill(&cluster, 0, &one, "a"), fill(&cluster, 0, &other, "b"));
    // Unmounted behind the agent's back, and mounted again.
    first.unmount();
    is_missing(&cluster, "a", "is not mounted");
    assert_eq!(fs::read_dir(&one).unwrap().count(), 0, "nothing is made in its place");
    first.mount(&one);
    cluster.wait_for_claim("a", "ready");
    assert_whole(&one, &a);
    // Each at the place of the other.
    first.unmount();
    second.unmount();
    first.mount(&other);
    second.mount(&one);
    is_missing(&cluster, "a", "mount the right one");
    is_missing(&cluster, "b", "mount the right one");
    first.unmount();
    second.unmount();
    // Brought to another agent, which cannot have it: not beside its own, and not as long as it carries volumes of that.
    first.mount(&third);
    let why = words(&add_mount(&cluster, "agent1", &third));
    assert!(why.contains("in use by another agent on this machine"), "{why}");
    cluster.agents[0].kill();
    let why = words(&add_mount(&cluster, "agent1", &third));
    assert!(why.contains("1 volumes that this agent's ledger does not know"), "{why}");
    assert_eq!(row(&cluster, &third), None);
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    // Found elsewhere by its own agent.
    let why = words(&add_mount(&cluster, "agent0", &third));
    let expected = format!("it is found at {}, and its claims name {}", text(&third), text(&one));
    assert!(why.contains(&expected), "{why}");
    first.unmount();
    first.mount(&one);
    second.mount(&other);
    for (volume, root, claim) in [("a", &one, &a), ("b", &other, &b)] {
        cluster.wait_for_claim(volume, "ready");
        assert_whole(root, claim);
    }
    drop(cluster);
}

fn adopt(cluster: &Cluster, disk: &str, path: &Path) -> Output {
    holdfast(cluster, &["disk", "adopt", disk, "--path", &text(path)])
}

#[test]
fn the_claims_of_a_disk_follow_it_to_another_path_once_an_operator_says_so() {
    let test = "the_claims_of_a_disk_follow_it_to_another_path_once_an_operator_says_so";
    let mut cluster = Cluster::start();
    let (old, new, third) =
        (cluster.path("old"), cluster.path("the new, with a comma"), cluster.path("third"));
    let Some(mut device) = LoopDisk::mounted(test, &cluster.path("image"), &old, 64) else {
        return;
    };
    let added = add_mount(&cluster, "agent0", &old);
    assert!(added.status.success(), "{}", words(&added));
    let claim = fill(&cluster, 0, &old, "v");
    let id = row(&cluster, &old).unwrap()["id"].as_str().unwrap().to_owned();
    // As long as it is where it was, nothing is to be done; nor where it is not.
    let why = words(&adopt(&cluster, &id, &new));
    assert!(why.contains("no such directory"), "{why}");
    fs::create_dir(&new).unwrap();
    let why = words(&adopt(&cluster, &id, &new));
    assert!(why.contains("is not mounted"), "{why}");
    assert_eq!(fs::read_dir(&new).unwrap().count(), 0, "nothing is made in its place");
    let bound = Command::new("mount").arg("--bind").args([&old, &new]).status().unwrap();
    assert!(bound.success());
    let why = words(&adopt(&cluster, &id, &new));
    assert!(why.contains("is the same directory as the disk"), "{why}");
    assert!(Command::new("umount").arg(&new).status().unwrap().success());
    device.unmount();
    device.mount(&new);
    is_missing(&cluster, "v", "is not mounted");
    let plan = holdfast(&cluster, &["disk", "adopt", &id, "--path", &text(&new), "--plan"]);
    assert_eq!(plan.status.code(), Some(2), "{}", words(&plan));
    assert!(words(&plan).contains("volume"), "{}", words(&plan));
    is_missing(&cluster, "v", "is not mounted");
    let told = done(&cluster, &["disk", "adopt", &id, "--path", &text(&new)]);
    assert!(told.contains("with all that is claimed of it"), "{told}");
    let after = cluster.wait_for_claim("v", "ready");
    assert_eq!(after["id"], claim["id"], "it is the same claim");
    assert_eq!(row(&cluster, &new).unwrap()["id"], id.as_str());
    assert_eq!(row(&cluster, &old), None);
    assert_whole(&new, &claim);
    let history = done(&cluster, &["claim", "history", "v"]);
    assert!(history.contains("moved with its disk from"), "{history}");
    let twice = done(&cluster, &["disk", "adopt", &id, "--path", &text(&new)]);
    assert!(twice.contains("with all that is claimed of it"), "{twice}");
    // It stays there through a crash of the agent and of the master, and can be destroyed and brought back there.
    cluster.agents[0].kill();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    cluster.wait_for_claim("v", "ready");
    assert_whole(&new, &claim);
    done(&cluster, &["volume", "destroy", "v", "-y", "--force"]);
    // What was destroyed before the disk moves again is brought back where the disk is then.
    device.unmount();
    fs::create_dir(&third).unwrap();
    device.mount(&third);
    until("the disk is taken over at its third place", || {
        let output = adopt(&cluster, &id, &third);
        output.status.success().then_some(()).ok_or_else(|| words(&output))
    });
    done(&cluster, &["volume", "undelete", "v"]);
    cluster.wait_for_claim("v", "ready");
    assert_whole(&third, &claim);
    drop(cluster);
}

#[test]
fn a_volume_that_was_given_up_while_its_disk_was_away_is_an_orphan_once_it_is_back() {
    let test = "a_volume_that_was_given_up_while_its_disk_was_away_is_an_orphan_once_it_is_back";
    let cluster = Cluster::start();
    let (root, image) = (cluster.path("disk"), cluster.path("image"));
    let Some(mut device) = LoopDisk::mounted(test, &image, &root, 64) else { return };
    let path = text(&root);
    let add = ["disk", "add", "--agent", "agent0", "--path", &path, "--type", "path"];
    done(&cluster, &[&add[..], &["--size-mb", "40"]].concat());
    let piece = |mb| disk(mb, Some(&path_source(&path)));
    let (lost, kept) = (
        cluster.claim_volume(0, "lost", &piece(10.0)),
        cluster.claim_volume(0, "kept", &piece(10.0)),
    );
    for claim in [&lost, &kept] {
        fs::write(volume_dir(&root, claim).join("data/file"), BYTES).unwrap();
    }
    assert_eq!(row(&cluster, &root).unwrap()["orphans"].as_array().unwrap().len(), 0);
    device.unmount();
    is_missing(&cluster, "lost", "should bear the label");
    done(&cluster, &["claim", "give-up", "lost", "-y"]);
    device.mount(&root);
    cluster.wait_for_claim("kept", "ready");
    let orphan = until("the orphan is named", || {
        let orphans = row(&cluster, &root).unwrap()["orphans"].clone();
        orphans.get(0).cloned().ok_or(orphans)
    });
    assert_eq!(
        (&orphan["id"], orphan["volume"].as_str(), orphan["role"].as_str(), &orphan["size_mb"]),
        (&lost["id"], Some("lost"), Some("db"), &Value::from(10))
    );
    let shown = done(&cluster, &["disk", "show", &path]);
    assert!(shown.contains("Orphans") && shown.contains("lost"), "{shown}");
    for claim in [&lost, &kept] {
        assert_whole(&root, claim);
    }
    drop(cluster);
}

fn adopt_by(cluster: &Cluster, disk: &str, agent: &str, path: &Path, more: &[&str]) -> Output {
    let path = text(path);
    let adopt = ["disk", "adopt", disk, "--agent", agent, "--path", &path];
    holdfast(cluster, &[&adopt[..], more].concat())
}

/// The volume is told to be on this agent alone, ready, and to have moved there from the other one.
fn is_moved(cluster: &Cluster, volume: &str, claim: &Value, (from, to): (&str, &str)) {
    let after = until(&format!("{volume} is ready on {to}"), || {
        let claims = cluster.list("claims");
        let its: Vec<&Value> = claims.iter().filter(|it| it["volume"] == volume).collect();
        match its.as_slice() {
            [one] if one["hostname"] == to && one["state"] == "ready" && one["fault"].is_null() => {
                Ok((*one).clone())
            }
            _ => Err(format!("{its:?}")),
        }
    });
    assert_eq!(after["id"], claim["id"], "it is the same claim");
    let told = done(cluster, &["claim", "where", volume]);
    assert!(told.contains(to), "{told}");
    let history = done(cluster, &["claim", "history", volume]);
    let agents = cluster.list("agents");
    let id = |name: &str| {
        let row = agents.iter().find(|it| it["hostname"] == name).unwrap();
        row["id"].as_str().unwrap().to_owned()
    };
    let moved = format!("on agent {} to", id(from));
    assert!(history.contains("moved with its disk from") && history.contains(&moved), "{history}");
    assert!(history.contains(&format!("on agent {}", id(to))), "{history}");
}

#[test]
fn a_disk_that_is_brought_to_another_agent_is_adopted_there_with_its_claims_and_its_data() {
    let test =
        "a_disk_that_is_brought_to_another_agent_is_adopted_there_with_its_claims_and_its_data";
    let mut cluster = Cluster::start();
    cluster.add_agent(&[]);
    let (old, new, back) = (cluster.path("old"), cluster.path("new"), cluster.path("back"));
    let Some(mut device) = LoopDisk::mounted(test, &cluster.path("image"), &old, 64) else {
        return;
    };
    let added = add_mount(&cluster, "agent0", &old);
    assert!(added.status.success(), "{}", words(&added));
    let claim = fill(&cluster, 0, &old, "v");
    let id = row(&cluster, &old).unwrap()["id"].as_str().unwrap().to_owned();
    // As long as it is well where it was, nobody else gets it.
    fs::create_dir(&new).unwrap();
    let why = words(&adopt_by(&cluster, &id, "agent1", &new, &[]));
    assert!(why.contains("is well at") && why.contains("unmount it there first"), "{why}");
    device.unmount();
    is_missing(&cluster, "v", "is not mounted");
    // What is not there is refused, and the old agent has its claims as before.
    let why = words(&adopt_by(&cluster, &id, "agent1", &new, &[]));
    assert!(why.contains("is not mounted"), "{why}");
    assert_eq!(fs::read_dir(&new).unwrap().count(), 0, "nothing is made in its place");
    device.mount(&old);
    cluster.wait_for_claim("v", "ready");
    assert_whole(&old, &claim);
    // Brought to the other agent.
    device.unmount();
    is_missing(&cluster, "v", "is not mounted");
    device.mount(&new);
    let plan = adopt_by(&cluster, &id, "agent1", &new, &["--plan"]);
    assert_eq!(plan.status.code(), Some(2), "{}", words(&plan));
    assert!(words(&plan).contains("from agent"), "{}", words(&plan));
    until("the other agent takes it over", || {
        let output = adopt_by(&cluster, &id, "agent1", &new, &[]);
        output.status.success().then_some(()).ok_or_else(|| words(&output))
    });
    is_moved(&cluster, "v", &claim, ("agent0", "agent1"));
    assert_whole(&new, &claim);
    assert_eq!(row(&cluster, &new).unwrap()["hostname"], "agent1");
    until("the old agent knows nothing of it any more", || {
        row(&cluster, &old).map_or(Ok(()), |it| Err(it.to_string()))
    });
    let twice = adopt_by(&cluster, &id, "agent1", &new, &[]);
    assert!(twice.status.success(), "{}", words(&twice));
    // It stays there through crashes of both agents and of the master.
    for agent in [0, 1] {
        cluster.agents[agent].kill();
        cluster.agents[agent].start();
        cluster.wait_for_agent(agent, "well");
    }
    is_moved(&cluster, "v", &claim, ("agent0", "agent1"));
    assert_whole(&new, &claim);
    // And back, while the agent that has it is away: by force, and it ends what it had when it is back.
    cluster.agents[1].kill();
    device.unmount();
    fs::create_dir(&back).unwrap();
    device.mount(&back);
    cluster.wait_for_agent(1, "away");
    let why = words(&adopt_by(&cluster, &id, "agent0", &back, &[]));
    assert!(why.contains("is not connected") && why.contains("--force --reason"), "{why}");
    let force = ["--force", "--reason", "its machine has burnt down"];
    let forced = adopt_by(&cluster, &id, "agent0", &back, &force);
    assert!(forced.status.success(), "{}", words(&forced));
    is_moved(&cluster, "v", &claim, ("agent1", "agent0"));
    cluster.agents[1].start();
    cluster.wait_for_agent(1, "well");
    until("the agent that was passed over has ended its claims", || {
        let log = cluster.agents[1].log();
        log.contains("nothing on it is touched").then_some(()).ok_or(log)
    });
    is_moved(&cluster, "v", &claim, ("agent1", "agent0"));
    assert_whole(&back, &claim);
    drop(cluster);
}
