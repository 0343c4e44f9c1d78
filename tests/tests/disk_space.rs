//! Space that cannot lie: one file system under several disks, one disk under several names, other people's files, disks that go, come back
//! and are swapped behind the agent's back. Real processes over small file systems in memory.
//!
//! Relies on the right to mount; where that is missing it is said, and passed. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use holdfast_tests::calls::{self, disk, path_source, reserved};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::small_disk::SmallDisk;
use holdfast_tests::{until, Cluster, Daemon};
use serde_json::{json, Value};

/// What a test keeps in a volume.
const BYTES: &[u8] = b"every acknowledged record";

/// An agent with these disks, as `--disk` takes them.
fn agent(cluster: &Cluster, disks: &[String]) -> Daemon {
    let mut settings = vec!["--resources", "cpus:4;mem:4096;disk:100"];
    disks.iter().for_each(|it| settings.extend(["--disk", it]));
    cluster.agent_with("agent0", &[settings, vec!["--hostname", "agent0"]].concat())
}

fn start(cluster: &mut Cluster, disks: &[String]) {
    let mut agent = agent(cluster, disks);
    agent.start();
    cluster.agents.push(agent);
    cluster.wait_for_agent(0, "well");
}

/// Stops the agent and starts it with other disks.
fn start_again(cluster: &mut Cluster, disks: &[String]) {
    let mut old = cluster.agents.remove(0);
    let address = old.address();
    old.stop();
    let mut agent = agent(cluster, disks).at(address);
    agent.start();
    cluster.agents.push(agent);
    cluster.wait_for_agent(0, "well");
}

fn row(cluster: &Cluster, root: &Path) -> Value {
    let all = cluster.list("disks");
    let found = all.iter().find(|it| it["root"] == text(root));
    found.unwrap_or_else(|| panic!("no disk {} in {all:#?}", root.display())).clone()
}

fn unclaimed(cluster: &Cluster, root: &Path) -> u64 {
    row(cluster, root)["unclaimed_mb"].as_u64().unwrap()
}

fn wait_for_unclaimed(cluster: &Cluster, root: &Path, what: &str, is_it: impl Fn(u64) -> bool) {
    until(&format!("{what} of {} can be claimed", root.display()), || {
        let mb = unclaimed(cluster, root);
        is_it(mb).then_some(()).ok_or_else(|| format!("{mb} MB"))
    });
}

fn piece(root: &Path, mb: f64) -> Value {
    disk(mb, Some(&path_source(&text(root))))
}

fn write(path: PathBuf, mb: usize) {
    fs::write(path, vec![7; mb << 20]).unwrap();
}

#[test]
fn disks_of_one_file_system_offer_its_space_once_and_none_lies_in_another() {
    let mut cluster = Cluster::without_agents();
    let root = cluster.path("small");
    let test = "disks_of_one_file_system_offer_its_space_once_and_none_lies_in_another";
    let Some(small) = SmallDisk::new(test, root.clone(), 64) else { return };
    let roots: Vec<PathBuf> = ["a", "b", "c", "a/inner"].iter().map(|it| root.join(it)).collect();
    roots.iter().for_each(|it| fs::create_dir_all(it).unwrap());
    let disks: Vec<String> = roots.iter().map(|it| format!("path={}", text(it))).collect();
    start(&mut cluster, &disks);
    let sum = || roots.iter().map(|it| unclaimed(&cluster, it)).sum::<u64>();
    until("the space of the file system is offered once", || match sum() {
        mb @ 55..=64 => Ok(mb),
        other => Err(format!("{other} MB")),
    });
    let inner = row(&cluster, &roots[3]);
    assert!(inner["fault"].as_str().unwrap().contains("lies in another disk"), "{inner}");
    // What one of them claims is gone for all.
    let mb = unclaimed(&cluster, &roots[0]);
    cluster.claim_volume(0, "v", &piece(&roots[0], mb as f64));
    write(roots[1].join("others"), 60 - mb as usize);
    wait_for_unclaimed(&cluster, &roots[2], "next to nothing", |it| it < mb / 4);
    assert_eq!(cluster.claim("v")["state"], "ready");
    drop(cluster);
    drop(small);
}

#[test]
fn a_disk_is_the_same_by_whatever_name() {
    let mut cluster = Cluster::without_agents();
    let (disk, link, bound) = (cluster.path("disk"), cluster.path("link"), cluster.path("bound"));
    fs::create_dir(&disk).unwrap();
    std::os::unix::fs::symlink(&disk, &link).unwrap();
    let named = |path: &str| format!("path={path},size-mb=500");
    start(&mut cluster, &[named(&text(&disk)), named(&text(&link))]);
    until("one of the names is refused", || {
        let disks = cluster.list("disks");
        let faults: Vec<&str> = disks.iter().filter_map(|it| it["fault"].as_str()).collect();
        match faults.as_slice() {
            [one] if one.contains("the same directory as the disk") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let total = cluster.agent_row(0).unwrap()["total"].as_str().unwrap().to_owned();
    assert_eq!(total.matches("]:500").count(), 1, "{total}");
    // Whichever name was there first is the disk's from then on.
    let disks = cluster.list("disks");
    let mut paths = disks.iter().filter(|it| it["kind"] == "path" && it["fault"].is_null());
    let known_as = PathBuf::from(paths.next().unwrap()["root"].as_str().unwrap());
    let claim = cluster.claim_volume(0, "v", &piece(&known_as, 100.0));
    fs::write(volume_dir(&disk, &claim).join("data/file"), BYTES).unwrap();
    let scratch = text(cluster.scratch());
    let mut names =
        vec![format!("{scratch}/./disk/"), format!("{scratch}//disk"), text(&link), text(&disk)];
    fs::create_dir(&bound).unwrap();
    let bind = Command::new("mount").arg("--bind").args([&disk, &bound]).status();
    let is_bound = bind.is_ok_and(|it| it.success());
    match is_bound {
        true => names.push(text(&bound)),
        false => holdfast_tests::left_out(
            "a_disk_is_the_same_by_whatever_name",
            "this needs the right to mount",
        ),
    }
    for name in names {
        start_again(&mut cluster, &[named(&name)]);
        cluster.wait_for_claim("v", "ready");
        let total = cluster.agent_row(0).unwrap()["total"].as_str().unwrap().to_owned();
        assert!(total.contains("]:400") && !total.contains("]:500"), "{name}: {total}");
    }
    assert_eq!(fs::read(volume_dir(&disk, &claim).join("data/file")).unwrap(), BYTES);
    cluster.agents[0].stop();
    if is_bound {
        let _ = Command::new("umount").arg("-l").arg(&bound).status();
    }
}

#[test]
fn what_others_write_cannot_be_claimed_and_what_is_claimed_is_called_over_committed() {
    let mut cluster = Cluster::without_agents();
    let root = cluster.path("small");
    let test = "what_others_write_cannot_be_claimed_and_what_is_claimed_is_called_over_committed";
    let Some(small) = SmallDisk::new(test, root.clone(), 64) else { return };
    start(&mut cluster, &[format!("path={}", text(&root))]);
    wait_for_unclaimed(&cluster, &root, "all", |it| 60 < it);
    write(root.join("others"), 40);
    wait_for_unclaimed(&cluster, &root, "what is left", |it| it < 25);
    let agent = cluster.agent_id(0);
    let reserve = calls::reserve(&agent, &[reserved(&piece(&root, 30.0))]);
    let refused = cluster.call(&reserve).expect(409, "RESERVE of what is not there");
    assert!(refused.text().contains("not available there"), "{}", refused.text());
    fs::remove_file(root.join("others")).unwrap();
    wait_for_unclaimed(&cluster, &root, "all", |it| 60 < it);
    let claim = cluster.claim_volume(0, "v", &piece(&root, 50.0));
    let data = volume_dir(&root, &claim).join("data");
    write(data.join("ours"), 20);
    write(root.join("others"), 30);
    until("what is claimed and not there is told", || {
        match row(&cluster, &root)["overcommitted_mb"].as_u64() {
            Some(10..=20) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let row = row(&cluster, &root);
    assert_eq!((&row["fault"], row["unclaimed_mb"].as_u64()), (&Value::Null, Some(0)), "{row}");
    assert_eq!(cluster.claim("v")["state"], "ready", "what is claimed is never taken back");
    assert!(cluster.agents[0].log().contains("are not there"));
    drop(cluster);
    drop(small);
}

#[test]
fn a_disk_that_goes_or_is_swapped_behind_the_agents_back_comes_back_whole() {
    let mut cluster = Cluster::without_agents();
    let (root, away) = (cluster.path("small"), cluster.path("away"));
    let test = "a_disk_that_goes_or_is_swapped_behind_the_agents_back_comes_back_whole";
    let Some(mut small) = SmallDisk::new(test, root.clone(), 64) else { return };
    // Mounts that are shared cannot be moved.
    let _ = Command::new("mount").args(["--make-private", "/"]).status();
    start(&mut cluster, &[format!("mount={}", text(&root))]);
    let whole =
        |mb: u64| disk(mb as f64, Some(&json!({"type": "MOUNT", "mount": {"root": text(&root)}})));
    let mb = until("the disk is measured", || match unclaimed(&cluster, &root) {
        0 => Err("it is not".to_owned()),
        mb => Ok(mb),
    });
    let claim = cluster.claim_volume(0, "v", &whole(mb));
    fs::write(volume_dir(&root, &claim).join("data/file"), BYTES).unwrap();
    let fault = |words: &'static str| {
        let claim = cluster.wait_for_claim("v", "missing");
        assert!(claim["fault"].as_str().unwrap().contains(words), "{claim}");
        assert_eq!(unclaimed(&cluster, &root), 0, "nothing of it is offered");
    };
    small.move_to(away.clone());
    fault("is not mounted");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nothing is made in its place");
    let stranger = SmallDisk::new(test, root.clone(), 64).unwrap();
    until("the stranger is told apart", || {
        let claim = cluster.claim("v");
        let fault = claim["fault"].as_str().unwrap_or_default().to_owned();
        fault.contains("bears none").then_some(()).ok_or(fault)
    });
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nor is anything made on another disk");
    drop(stranger);
    small.move_to(root.clone());
    cluster.wait_for_claim("v", "ready");
    assert_eq!(fs::read(volume_dir(&root, &claim).join("data/file")).unwrap(), BYTES);
    drop(cluster);
    drop(small);
}

#[test]
fn a_disk_without_claims_that_is_named_no_more_is_forgotten_and_a_typo_is_offered_to_nobody() {
    let mut cluster = Cluster::without_agents();
    let (one, typo) = (cluster.path("one"), cluster.path("tpyo"));
    fs::create_dir(&one).unwrap();
    let named = |root: &Path| format!("path={},size-mb=500", text(root));
    start(&mut cluster, &[named(&one), named(&typo)]);
    let ill = row(&cluster, &typo);
    assert!(ill["fault"].as_str().unwrap().contains("missing"), "{ill}");
    let total = cluster.agent_row(0).unwrap()["total"].as_str().unwrap().to_owned();
    assert!(total.contains("one]:500") && !total.contains("tpyo"), "{total}");
    start_again(&mut cluster, &[]);
    let roots: Vec<Value> = cluster.list("disks").iter().map(|it| it["kind"].clone()).collect();
    assert_eq!(roots, ["root"]);
    let total = cluster.agent_row(0).unwrap()["total"].as_str().unwrap().to_owned();
    assert!(!total.contains("]:500"), "{total}");
}
