//! What a task cannot see: volumes of other roles, sandboxes of other tasks, ledgers; as root, and as another user.
//!
//! Relies on the machine to have namespaces, and says so where it has none.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use holdfast_tests::calls::{disk, path_source};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::daemon::binary;
use holdfast_tests::{left_out, Cluster};

/// A cluster whose one agent has a disk beside its own directory, with another role's volume and another task's output in it.
struct Scene {
    cluster: Cluster,
    /// Where the other role's secret is.
    secret: String,
    disk: String,
}

/// `None`, and why, where the machine keeps nobody apart.
fn scene(settings: &[&str]) -> Option<Scene> {
    if !nix::unistd::geteuid().is_root() {
        left_out("isolation of tasks", "not root");
        return None;
    }
    let mut cluster = Cluster::without_agents();
    fs::set_permissions(cluster.scratch(), Permissions::from_mode(0o755)).unwrap();
    let root = cluster.path("disk");
    fs::create_dir(&root).unwrap();
    let given = format!("path={},size-mb=100", text(&root));
    let resources = ["--resources", "cpus:4;mem:1024;disk:1000", "--hostname", "agent0"];
    let master = text(&cluster.path("master"));
    let all = [&resources[..], &["--disk", &given, "--hide", &master], settings].concat();
    let mut agent = cluster.agent_with("agent0", &all);
    agent.start();
    cluster.agents.push(agent);
    cluster.wait_for_agent(0, "well");
    let claim = cluster.claim_volume(0, "v", &disk(50.0, Some(&path_source(&text(&root)))));
    let secret = volume_dir(&root, &claim).join("data/secret");
    fs::write(&secret, "dbsecret\n").unwrap();
    assert_eq!(
        run(&cluster, "root", "echo printed-by-another | tee /dev/stderr"),
        "printed-by-another\n"
    );
    Some(Scene { cluster, secret: text(&secret), disk: text(&root) })
}

/// Runs a shell line as a task, with a secret in its environment; returns what it said.
fn run(cluster: &Cluster, user: &str, line: &str) -> String {
    // The agent's name in these tests is nobody's address, so that `run` cannot read from it.
    let said = cluster.path("said");
    fs::write(&said, "").unwrap();
    fs::set_permissions(&said, Permissions::from_mode(0o666)).unwrap();
    let line = format!("{{ {line}\n}} > {}", text(&said));
    let master = cluster.master.address().to_string();
    let ran = Command::new(binary())
        .args(["run", "--master", &master, "--user", user, "--env", "SECRET=hunter2secret"])
        .args(["--timeout", "60s", "--shell", "--", &line])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    fs::read_to_string(&said).unwrap()
}

/// All that a task may try to come by what is not its own. Each line that it prints after `>` is a leak.
fn attempts(scene: &Scene) -> String {
    let Scene { cluster, secret, disk } = scene;
    let (agent, master) = (text(&cluster.agent_dir(0)), text(&cluster.path("master")));
    format!(
        "id -un
         echo '# find'; find {agent} {disk} {master} -type f ! -path \"$PWD/*\" 2>/dev/null | sed 's/^/> /'
         echo '# read'; for file in {secret} {agent}/ledger/journal-*.seg {master}/ledger/journal-*.seg {agent}/containers/containers/*/launch.json
         do grep -a -o -e dbsecret -e hunter2secret $file 2>&1 | sed 's/^grep: .*No such file.*/gone/; s/^grep: .*Permission.*/denied/; /gone/!{{/denied/!s/^/> /}}'; done
         echo '# output of others'; cat {agent}/slaves/*/frameworks/*/executors/*/runs/*/stderr 2>/dev/null | grep -v '^[#>]' | grep another | sed 's/^/> /'
         echo '# write'; (echo x > {secret}) 2>/dev/null && echo '> written'
         echo '# uncover'; for place in {agent} {disk}/holdfast {disk} {master}; do umount -l $place 2>/dev/null && echo \"> $place\"; done
         mount -t tmpfs none /mnt 2>/dev/null && echo '> mounted'
         echo '# through processes'; for pid in /proc/[0-9]*; do cat $pid/root{secret} 2>/dev/null | sed 's/^/> /'; done
         echo '# devices'; find /dev -type b 2>/dev/null | sed 's/^/> /'; mknod node b 7 0 2>/dev/null && echo '> made'
         echo '# own'; echo mine > file && cat file"
    )
}

fn leaks(said: &str) -> Vec<String> {
    assert!(said.ends_with("# own\nmine\n"), "it can use its own sandbox: {said}");
    said.lines().filter(|it| it.starts_with('>')).map(str::to_owned).collect()
}

fn hides(cluster: &Cluster) -> bool {
    let hides = cluster.agents[0].log().contains("tasks see no volume, sandbox or ledger");
    if !hides {
        left_out("isolation of root's tasks", "this machine has no namespaces");
    }
    hides
}

#[test]
fn a_task_of_another_role_cannot_find_read_or_write_a_volume_that_is_not_its_own_not_even_as_root()
{
    let Some(scene) = scene(&[]) else { return };
    if !hides(&scene.cluster) {
        return;
    }
    let output = run(&scene.cluster, "root", &attempts(&scene));
    println!("{output}");
    assert_eq!(leaks(&output), Vec::<String>::new());
    assert_eq!(fs::read_to_string(&scene.secret).unwrap(), "dbsecret\n");
}

#[test]
fn a_task_of_another_user_sees_nothing_of_others_whatever_is_hidden() {
    for settings in [&[][..], &["--privileged-tasks"]] {
        let Some(scene) = scene(settings) else { return };
        let output = run(&scene.cluster, "nobody", &attempts(&scene));
        println!("{output}");
        let found: Vec<String> =
            leaks(&output).into_iter().filter(|it| !it.starts_with("> /dev/")).collect();
        assert_eq!(found, Vec::<String>::new(), "{settings:?}");
        let log = scene.cluster.agents[0].log();
        assert_eq!(
            log.contains("--privileged-tasks: tasks of root can reach"),
            !settings.is_empty()
        );
    }
}

#[test]
fn what_is_private_has_tight_modes() {
    let Some(scene) = scene(&[]) else { return };
    let (agent, master) = (scene.cluster.agent_dir(0), scene.cluster.path("master"));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let others = |path: &Path| mode(path) & 0o077;
    let volume = Path::new(&scene.secret).parent().unwrap();
    let dir = volume.parent().unwrap();
    for private in [
        agent.join("ledger"),
        master.join("ledger"),
        agent.join("containers"),
        volume.to_owned(),
        dir.join("label"),
        dir.join("label-copy"),
        Path::new(&scene.disk).join("holdfast/trash"),
        Path::new(&scene.disk).join("holdfast/making"),
        Path::new(&scene.disk).join("holdfast/label"),
    ] {
        assert_eq!(others(&private), 0, "{}", private.display());
    }
    let sandbox = run(&scene.cluster, "nobody", "pwd");
    let sandbox = sandbox.trim().to_owned();
    assert_eq!(mode(Path::new(&sandbox)), 0o700);
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw();
    assert_eq!(fs::metadata(&sandbox).unwrap().uid(), nobody);
    let runs = Path::new(&sandbox).parent().unwrap();
    assert_eq!(mode(runs), 0o711);
    assert_eq!(fs::canonicalize(runs.join("latest")).unwrap(), Path::new(&sandbox));
}
