//! What volumes use of their sizes: measured, told to whoever asks, and limited as far as a soft limit goes. Real processes over small file systems in memory.
//!
//! Relies on the right to mount; where that is missing it is said, and passed. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use holdfast_tests::calls::{command_task, cpus, disk, framework_info, mem, path_source, volume};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::daemon::binary;
use holdfast_tests::http::get;
use holdfast_tests::loop_disk::LoopDisk;
use holdfast_tests::small_disk::SmallDisk;
use holdfast_tests::{until, Cluster, Scheduler};
use serde_json::{json, Value};

const MB: u64 = 1 << 20;

/// Starts an agent with one disk, as `--disk` takes it.
fn start(cluster: &mut Cluster, disk: &str) {
    let settings = ["--resources", "cpus:4;mem:4096;disk:100", "--hostname", "agent0"];
    let mut agent = cluster.agent_with("agent0", &[&settings[..], &["--disk", disk]].concat());
    agent.start();
    cluster.agents.push(agent);
    cluster.wait_for_agent(0, "well");
}

/// A volume of so many MB on a disk; its claim.
fn claim(cluster: &Cluster, root: &Path, name: &str, mb: f64) -> Value {
    cluster.claim_volume(0, name, &disk(mb, Some(&path_source(&text(root)))))
}

fn write(root: &Path, claim: &Value, mb: u64) {
    let file = volume_dir(root, claim).join("data/file");
    fs::write(file, vec![7; usize::try_from(mb * MB).unwrap()]).unwrap();
}

/// Waits until the masters say that a volume uses so much.
fn wait_for_used(cluster: &Cluster, name: &str, is_it: impl Fn(u64) -> bool) -> Value {
    until(&format!("what {name} uses is known"), || {
        let claim = cluster.claim(name);
        match claim["used_bytes"].as_u64() {
            Some(bytes) if is_it(bytes) => Ok(claim),
            other => Err(format!("{other:?}")),
        }
    })
}

/// The numbers of the agent with this name, by their labels.
fn metrics(cluster: &Cluster, name: &str) -> Vec<(String, f64)> {
    let answer = get(cluster.agents[0].address(), "/metrics").expect(200, "/metrics");
    let of = |line: &str| {
        let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        (series.is_empty() || series.starts_with('{'))
            .then(|| (series.to_owned(), value.parse().unwrap()))
    };
    answer.text().lines().filter_map(of).collect()
}

#[test]
fn what_a_volume_uses_is_told_by_master_and_agent_with_its_age() {
    let mut cluster = Cluster::without_agents();
    let root = cluster.path("small");
    let test = "what_a_volume_uses_is_told_by_master_and_agent_with_its_age";
    let Some(small) = SmallDisk::new(test, root.clone(), 64) else { return };
    start(&mut cluster, &format!("path={}", text(&root)));
    let (one, other) = (claim(&cluster, &root, "one", 20.0), claim(&cluster, &root, "other", 20.0));
    write(&root, &one, 12);
    let told = wait_for_used(&cluster, "one", |it| it == 12 * MB);
    assert!(told["created_ms"].as_u64() <= told["used_measured_ms"].as_u64(), "{told}");
    wait_for_used(&cluster, "other", |it| it == 0);
    let label = |claim: &Value| claim["id"].as_str().unwrap().to_owned();
    let of = |name: &str, claim: &Value| {
        let numbers = metrics(&cluster, name);
        let found = numbers.iter().find(|(labels, _)| labels.contains(&label(claim)));
        found.map(|(labels, value)| {
            assert!(labels.contains("role=\"db\"") && labels.contains("disk=\""), "{labels}");
            *value
        })
    };
    until("the agent's numbers say it, too", || {
        let used = [&one, &other].map(|it| of("holdfast_volume_used_bytes", it));
        (used == [Some((12 * MB) as f64), Some(0.0)]).then_some(()).ok_or(format!("{used:?}"))
    });
    assert_eq!(of("holdfast_volume_size_bytes", &one), Some((20 * MB) as f64));
    let page = get(cluster.agents[0].address(), "/state").expect(200, "/state").json();
    let on_page = page["claims"].as_array().unwrap().iter().find(|it| it["id"] == one["id"]);
    assert_eq!(on_page.unwrap()["used_bytes"], 12 * MB, "{page}");
    // More than its size: it is said, and counted.
    write(&root, &one, 24);
    wait_for_used(&cluster, "one", |it| it == 24 * MB);
    until("it is counted", || match metrics(&cluster, "holdfast_volumes_over_size").as_slice() {
        [(_, over)] if *over == 1.0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop(cluster);
    drop(small);
}

/// A framework that keeps the offer that came last.
struct Framework {
    scheduler: Scheduler,
    offer: Option<Value>,
}

impl Framework {
    fn next_event(&mut self) -> Value {
        let event = self.scheduler.event_where("anything", |_| true);
        if let Some(offers) = event["offers"]["offers"].as_array() {
            self.offer = offers.last().cloned();
        }
        event
    }

    /// Launches a shell line with a volume of 20 MB.
    fn launch(&mut self, root: &Path, task: &str, name: &str, line: &str) {
        let has_it = |offer: &Value| {
            let all = offer["resources"].as_array().unwrap();
            all.iter().any(|it| it["disk"]["persistence"]["id"] == name)
        };
        while !self.offer.as_ref().is_some_and(has_it) {
            self.next_event();
        }
        let offer = self.offer.take().unwrap();
        let agent = offer["agent_id"]["value"].as_str().unwrap();
        let disk = volume(&disk(20.0, Some(&path_source(&text(root)))), name);
        let task = command_task(task, agent, line, &[cpus(0.1), mem(32.0), disk]);
        let launch = json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]);
        self.scheduler.accept(&offer, launch);
    }

    /// Acknowledges statuses of a task until it has this state; that status.
    fn wait_for_state(&mut self, task: &str, state: &str) -> Value {
        loop {
            let status = self.next_status(task);
            if status["state"] == state {
                return status;
            }
            assert!(!is_over(&status), "{task} was to become {state}: {status:#}");
        }
    }

    /// The same until it has ended, however.
    fn wait_for_end(&mut self, task: &str) -> Value {
        loop {
            let status = self.next_status(task);
            if is_over(&status) {
                return status;
            }
        }
    }

    fn next_status(&mut self, task: &str) -> Value {
        loop {
            let event = self.next_event();
            let status = &event["update"]["status"];
            if status["task_id"]["value"] != task {
                continue;
            }
            self.scheduler.acknowledge(status);
            return status.clone();
        }
    }
}

fn is_over(status: &Value) -> bool {
    let over = ["TASK_FAILED", "TASK_FINISHED", "TASK_KILLED"];
    over.iter().any(|it| status["state"] == *it)
}

#[test]
fn a_volume_over_its_size_stops_its_own_writer_and_nobody_else() {
    let mut cluster = Cluster::without_agents();
    let root = cluster.path("small");
    let test = "a_volume_over_its_size_stops_its_own_writer_and_nobody_else";
    let Some(small) = SmallDisk::new(test, root.clone(), 128) else { return };
    start(&mut cluster, &format!("path={},limit=soft:stop", text(&root)));
    let greedy = claim(&cluster, &root, "greedy", 20.0);
    let calm = claim(&cluster, &root, "calm", 20.0);
    until("the limit is told", || {
        let disks = cluster.list("disks");
        let limits: Vec<Value> = disks.iter().map(|it| it["limit"].clone()).collect();
        let is_told =
            limits.contains(&json!("soft:stop")) && limits.contains(&json!("soft:report"));
        is_told.then_some(()).ok_or(format!("{limits:?}"))
    });
    let address = cluster.master.address();
    let scheduler = Scheduler::subscribe(address, &framework_info("one", 60.0), false);
    let mut one = Framework { scheduler, offer: None };
    let fill = |mb: u64| format!("dd if=/dev/zero of=data/file bs=1M count={mb} && sleep 1000");
    one.launch(&root, "neighbour", "calm", &fill(10));
    one.wait_for_state("neighbour", "TASK_RUNNING");
    one.launch(&root, "writer", "greedy", &fill(30));
    let status = one.wait_for_state("writer", "TASK_FAILED");
    assert_eq!(status["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{status:#}");
    let why = status["message"].as_str().unwrap();
    assert!(why.contains("use 30.0 MB, its size is 20.0 MB"), "{why}");
    // Its bytes are all there; and it is not given to the next writer.
    let file = volume_dir(&root, &greedy).join("data/file");
    assert_eq!(fs::metadata(&file).unwrap().len(), 30 * MB);
    one.launch(&root, "again", "greedy", "sleep 1000");
    let status = one.wait_for_state("again", "TASK_FAILED");
    assert!(status["message"].as_str().unwrap().contains("is over its size"), "{status:#}");
    // Nobody else felt it.
    assert_eq!(cluster.agent_row(0).unwrap()["state"], "well");
    let tasks = cluster.list("tasks");
    let neighbour = tasks.iter().find(|it| it["id"] == "neighbour").unwrap();
    assert_eq!(neighbour["state"], "TASK_RUNNING", "{neighbour}");
    assert_eq!(fs::metadata(volume_dir(&root, &calm).join("data/file")).unwrap().len(), 10 * MB);
    // Within its size it is given out as before.
    fs::remove_file(&file).unwrap();
    wait_for_used(&cluster, "greedy", |it| it < MB);
    one.launch(&root, "small", "greedy", "echo x > data/file");
    one.wait_for_state("small", "TASK_FINISHED");
    drop(cluster);
    drop(small);
}

/// What a person types.
fn holdfast(cluster: &Cluster, line: &str) -> Output {
    let mut command = Command::new(binary());
    let master = cluster.master.address().to_string();
    command.args(line.split(' ')).args(["--master", &master]).output().unwrap()
}

/// An agent with one PATH disk on a file system of its own, whose volumes are images.
fn images(test: &str) -> Option<(Cluster, LoopDisk, std::path::PathBuf)> {
    let mut cluster = Cluster::without_agents();
    // The blank is in every path of it as the kernel lists mounts. The setting takes several disks between blanks, so that it is named by a
    // link.
    let (real, root) = (cluster.path("the disk"), cluster.path("link"));
    let disk = LoopDisk::mounted(test, &cluster.path("device"), &real, 300)?;
    std::os::unix::fs::symlink(&real, &root).unwrap();
    start(&mut cluster, &format!("path={},size-mb=200,limit=image", text(&root)));
    Some((cluster, disk, root))
}

/// The loop devices over the image of a volume, wherever it is.
fn devices(claim: &Value) -> Vec<String> {
    let id = claim["id"].as_str().unwrap();
    let blocks = fs::read_dir("/sys/block").unwrap().map(|it| it.unwrap().path());
    let backing = blocks.filter_map(|it| fs::read_to_string(it.join("loop/backing_file")).ok());
    backing.filter(|it| it.contains(id)).collect()
}

fn subscribe(cluster: &Cluster) -> Framework {
    let address = cluster.master.address();
    let scheduler = Scheduler::subscribe(address, &framework_info("one", 60.0), false);
    Framework { scheduler, offer: None }
}

#[test]
fn an_image_ends_for_its_own_writer_and_its_space_is_free_when_it_is_gone() {
    let test = "an_image_ends_for_its_own_writer_and_its_space_is_free_when_it_is_gone";
    let Some((cluster, disk, root)) = images(test) else { return };
    let greedy = claim(&cluster, &root, "greedy", 20.0);
    let calm = claim(&cluster, &root, "calm", 20.0);
    until("the limit is told, and that all of both is taken", || {
        let disks = cluster.list("disks");
        let row = disks.iter().find(|it| it["root"] == text(&root)).unwrap();
        let free = row["file_system_free_mb"].as_u64().unwrap_or(u64::MAX);
        (row["limit"] == "image" && free < 235).then_some(()).ok_or(row.to_string())
    });
    let mut one = subscribe(&cluster);
    let write = "cat /dev/zero > data/file; echo $? > data/../status; df -m data > data/../df";
    one.launch(&root, "writer", "greedy", &format!("{write}; stat -c %s data/file; sleep 1000"));
    one.wait_for_state("writer", "TASK_RUNNING");
    // It is started when the other's image is mounted, and must not keep that.
    let more = "echo $$ > data/pid; while sleep 0.05; do date +%N >> data/log; done";
    one.launch(&root, "neighbour", "calm", more);
    one.wait_for_state("neighbour", "TASK_RUNNING");
    let used = wait_for_used(&cluster, "greedy", |it| 14 * MB < it);
    assert!(used["used_bytes"].as_u64().unwrap() <= 20 * MB, "{used}");
    let file = volume_dir(&root, &greedy).join("data/file");
    until("the writer has met the end of its volume", || {
        let length = fs::metadata(&file).unwrap().len();
        (14 * MB < length && length < 20 * MB).then_some(()).ok_or(length.to_string())
    });
    // Nobody else feels it: the neighbour writes, and so does the machine.
    let log = volume_dir(&root, &calm).join("data/log");
    let before = fs::metadata(&log).unwrap().len();
    until("the neighbour goes on", || {
        (before < fs::metadata(&log).unwrap().len()).then_some(()).ok_or("it stands still")
    });
    fs::write(root.join("else"), vec![1; 1 << 20]).unwrap();
    assert_eq!(cluster.agent_row(0).unwrap()["state"], "well");
    let grown = holdfast(&cluster, "volume grow greedy --by-mb 5");
    assert!(!grown.status.success(), "{grown:?}");
    // Destroyed while the neighbour's container runs, it is kept by nobody: its device goes, and with the trash its space.
    let kill = json!({ "type": "KILL", "kill": { "task_id": { "value": "writer" } } });
    one.scheduler.call(kill).expect(202, "KILL");
    one.wait_for_end("writer");
    let destroyed = until_done(&cluster, "volume destroy greedy --yes");
    assert!(devices(&calm).len() == 1, "{destroyed}");
    until("nobody keeps its device", || match devices(&greedy) {
        it if it.is_empty() => Ok(()),
        it => Err(format!("{it:?}")),
    });
    until_done(&cluster, "volume undelete greedy");
    cluster.wait_for_claim("greedy", "ready");
    assert!(14 * MB < fs::metadata(&file).unwrap().len(), "it is back with all its bytes");
    drop(cluster);
    drop(disk);
}

/// Waits until a command works; what it says.
fn until_done(cluster: &Cluster, line: &str) -> String {
    until(&format!("`{line}` is done"), || {
        let output = holdfast(cluster, line);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() {
            Ok(said)
        } else {
            Err(said)
        }
    })
}

#[test]
fn an_image_that_is_not_mounted_is_mounted_again_and_one_that_cannot_be_is_refused() {
    let test = "an_image_that_is_not_mounted_is_mounted_again_and_one_that_cannot_be_is_refused";
    let Some((mut cluster, disk, root)) = images(test) else { return };
    let kept = claim(&cluster, &root, "kept", 20.0);
    let dir = volume_dir(&root, &kept);
    let data = dir.join("data");
    fs::write(data.join("file"), "bytes").unwrap();
    let device = devices(&kept);
    assert_eq!(device.len(), 1);
    // An agent that is killed and comes back uses the mount that is there.
    cluster.agents[0].kill();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    let mut one = subscribe(&cluster);
    one.launch(&root, "first", "kept", "grep -q bytes data/file");
    one.wait_for_state("first", "TASK_FINISHED");
    assert_eq!(devices(&kept), device);
    // A restart of the machine takes it away.
    drop(one);
    cluster.agents[0].kill();
    let unmount = || {
        let unmounted = Command::new("umount").arg(&data).status().unwrap();
        assert!(unmounted.success() && !data.join("file").exists());
    };
    unmount();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    let mut one = subscribe(&cluster);
    one.launch(&root, "second", "kept", "grep -q bytes data/file");
    one.wait_for_state("second", "TASK_FINISHED");
    // Without its image it is refused, and the directory below is not served in its place.
    unmount();
    fs::rename(dir.join("image"), dir.join("away")).unwrap();
    one.launch(&root, "third", "kept", "echo x > data/other; sleep 1000");
    let status = one.wait_for_end("third");
    assert!(status["message"].as_str().unwrap().contains("its image is gone"), "{status:#}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    until("its claim says so", || {
        let claim = cluster.claim("kept");
        let said = claim.to_string();
        said.contains("its image is gone").then_some(()).ok_or(said)
    });
    fs::rename(dir.join("away"), dir.join("image")).unwrap();
    until("it is whole again without anybody's help", || {
        let said = cluster.claim("kept").to_string();
        (!said.contains("its image is gone")).then_some(()).ok_or(said)
    });
    drop(one); // It has an offer without the volume.
    let mut one = subscribe(&cluster);
    one.launch(&root, "fourth", "kept", "grep -q bytes data/file");
    one.wait_for_state("fourth", "TASK_FINISHED");
    drop(cluster);
    drop(disk);
}
