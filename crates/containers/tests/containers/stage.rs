//! The stage that every test of this crate plays on: a runtime directory, sandboxes, volumes, and
//! real shims.
//!
//! Each stage has a cgroup parent of its own, so that tests run side by side and what they leave
//! behind can be seen. On drop it ends whatever still runs.

#![allow(dead_code, reason = "two test programs share this file and each uses a part of it")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holdfast_containers::{
    stage_sandbox, Command, ContainerSpec, Exit, FoundState, Launcher, LauncherOptions, Limits,
    OutputLimits, ShimCommand, VolumeMount,
};

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Directories, and a launcher that can be put away and opened again.
pub struct Stage {
    pub dir: tempfile::TempDir,
    pub isolate: bool,
    pub hides: bool,
    pub cgroup_parent: String,
    launcher: Option<Launcher>,
}

/// We are root, so that isolation can be had.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").map(|found| std::os::unix::fs::MetadataExt::uid(&found)).unwrap_or(1)
        == 0
}

/// With all the isolation that the machine has (when root), and with none.
pub fn both(play: impl Fn(&mut Stage)) {
    if is_root() {
        play(&mut Stage::new(true));
    } else {
        left_out("isolation", "not root");
    }
    play(&mut Stage::new(false));
}

/// With isolation; tells why when it cannot be had.
pub fn isolated(play: impl FnOnce(&mut Stage)) {
    let mut stage = Stage::new(true);
    match stage.launcher().isolation().namespaces {
        true => play(&mut stage),
        false => left_out("isolation", if is_root() { "no namespaces here" } else { "not root" }),
    }
}

/// Says that a test, or a part of it, was left out and why, so that `cargo xtask test` counts and names it.
pub fn left_out(what: &str, why: &str) {
    // Not by a macro: the test runner keeps what those print of tests that pass.
    let _ = writeln!(std::io::stdout(), "left out: {what}: {why}");
}

/// Looks until `condition` holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        // tidy: sleep is the point: other processes bring the condition about
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The process exists and is no zombie. Its first thread may be one while others, and the files that are open, go on for a moment.
pub fn lives(pid: i32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let lives =
        |stat: String| !stat[stat.rfind(')').unwrap() + 1..].trim_start().starts_with(['Z', 'X']);
    threads.flatten().any(|it| fs::read_to_string(it.path().join("stat")).is_ok_and(lives))
}

/// The program that becomes a shim.
pub fn shim() -> ShimCommand {
    ShimCommand {
        program: env!("CARGO_BIN_EXE_holdfast-container-shim").into(),
        leading_args: vec![],
    }
}

/// Sends SIGKILL, as an operator's `kill -9` does.
pub fn kill_9(pid: i32) {
    assert!(std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap()
        .success());
}

/// A fresh id.
pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Stage {
    pub fn new(isolate: bool) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        // Payloads of other users must be able to reach their sandboxes.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut stage = Stage {
            dir,
            isolate,
            hides: true,
            cgroup_parent: format!("holdfast-test-{}", new_id()),
            launcher: None,
        };
        stage.open();
        stage
    }

    pub fn options(&self) -> LauncherOptions {
        LauncherOptions {
            isolate: self.isolate,
            hides: self.hides,
            cgroup_parent: self.cgroup_parent.clone(),
            ..LauncherOptions::default()
        }
    }

    pub fn runtime_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub fn open(&mut self) {
        self.launcher =
            Some(Launcher::open_with(self.runtime_dir(), shim(), self.options()).unwrap());
    }

    /// The agent is gone and another one comes.
    pub fn restart(&mut self) {
        self.launcher = None;
        self.open();
    }

    /// The agent is gone.
    pub fn close(&mut self) {
        self.launcher = None;
    }

    pub fn launcher(&self) -> &Launcher {
        self.launcher.as_ref().expect("open")
    }

    pub fn sandbox(&self, id: &str) -> PathBuf {
        self.dir.path().join("sandboxes").join(id)
    }

    /// A container that runs a shell line in a fresh sandbox.
    pub fn spec(&self, line: &str) -> ContainerSpec {
        let id = new_id();
        let sandbox = self.sandbox(&id);
        stage_sandbox(&sandbox, None).unwrap();
        ContainerSpec {
            id,
            command: Command::Shell(line.to_string()),
            environment: Default::default(),
            sandbox,
            user: None,
            volumes: vec![],
            limits: Limits { cpus_thousandths: 1000, mem_bytes: 256 << 20, cpu_is_ceiling: false },
            output: OutputLimits { max_bytes: 1 << 20, keep_free_bytes: 0 },
            isolate: true,
            inside: None,
        }
    }

    /// A volume's data directory with one file in it.
    pub fn volume(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join("volumes").join(name).join("data");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("kept"), name).unwrap();
        path
    }

    /// Runs a shell line to its end.
    pub fn run(&self, line: &str) -> (Exit, String) {
        self.run_spec(&self.spec(line))
    }

    pub fn run_spec(&self, spec: &ContainerSpec) -> (Exit, String) {
        self.launcher().start(spec).unwrap();
        let exit = self.launcher().wait(&spec.id).unwrap();
        (exit, self.output(&spec.id))
    }

    pub fn output(&self, id: &str) -> String {
        fs::read_to_string(self.sandbox(id).join("stdout")).unwrap_or_default()
    }

    /// Waits until the payload has written `text` to its output.
    pub fn until_output(&self, id: &str, text: &str) {
        until(text, || self.output(id).contains(text));
    }

    /// A number that the payload has written into a file of its sandbox.
    pub fn number_in(&self, path: &Path) -> i32 {
        let mut number = 0;
        until("a number in a file", || {
            number = fs::read_to_string(path)
                .ok()
                .filter(|text| text.ends_with('\n'))
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0);
            number != 0
        });
        number
    }

    /// The shim's process, from its own file.
    pub fn shim_pid(&self, id: &str) -> i32 {
        let path = self.runtime_dir().join("containers").join(id).join("shim.json");
        let value: serde_json::Value = serde_json::from_str(&record_at(&path)).unwrap();
        value["shim"]["pid"].as_i64().unwrap() as i32
    }

    pub fn state(&self, id: &str) -> Option<FoundState> {
        self.launcher()
            .list()
            .unwrap()
            .into_iter()
            .find(|found| found.id == id)
            .map(|found| found.state)
    }

    /// Cgroups that this stage's containers have now, on all hierarchies.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        cgroup_roots()
            .iter()
            .filter_map(|root| fs::read_dir(root.join(&self.cgroup_parent)).ok())
            .flat_map(|entries| {
                entries.flatten().filter(|entry| entry.path().is_dir()).map(|entry| entry.path())
            })
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.launcher.is_none() {
            self.open();
        }
        for found in self.launcher().list().unwrap_or_default() {
            let _ = self.launcher().destroy(&found.id);
            let _ = self.launcher().forget(&found.id);
        }
        for root in cgroup_roots() {
            let _ = fs::remove_dir(root.join(&self.cgroup_parent));
        }
    }
}

/// Where cgroups are mounted, of both versions.
fn cgroup_roots() -> Vec<PathBuf> {
    fs::read_to_string("/proc/mounts")
        .unwrap()
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields[2] == "cgroup" || fields[2] == "cgroup2")
        .map(|fields| PathBuf::from(fields[1]))
        .collect()
}

/// What a file of a container says, without its checksum.
pub fn record_at(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let (head, json) = text.split_once('\n').unwrap();
    assert!(head.starts_with("holdfast crc32 "), "{head}");
    json.to_owned()
}

/// A writable volume at `container_path`.
pub fn at(source: &Path, container_path: &str) -> VolumeMount {
    VolumeMount::new(source, container_path)
}
