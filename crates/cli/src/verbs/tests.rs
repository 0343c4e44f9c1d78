//! Verbs against a real master and a real agent within this process, and against nobody at all.
//!
//! No container is started here: what runs is tested with the whole program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{CommandFactory, Parser};
use holdfast_node::settings::agent::{AgentSettings, DiskHelpers};
use holdfast_node::settings::master::MasterSettings;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::testbed;
use crate::failure::{
    Failure, EXIT_CONFLICT, EXIT_NOT_FOUND, EXIT_NOT_PLACED, EXIT_NO_LEADER, EXIT_TIMEOUT,
    EXIT_USAGE,
};
use crate::globals::Globals;
use crate::nouns::Verb;
use crate::output::console::tests::kept;
use crate::verbs::Context;

/// How long anything may take here.
const SOON: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Parser)]
struct Master {
    #[command(flatten)]
    settings: MasterSettings,
}

#[derive(Parser)]
struct Agent {
    #[command(flatten)]
    settings: AgentSettings,
}

/// What a verb did: exit code, data, remarks.
#[derive(Debug)]
struct Done {
    code: i32,
    data: String,
    remarks: String,
}

/// Types a line; `answers` is what a person would type then.
async fn typed(address: &str, line: &str, answers: Option<&'static str>) -> Done {
    let words: Vec<String> = line.split(' ').map(|it| it.replace('_', " ")).collect();
    let words =
        ["holdfast".to_owned(), "--master".to_owned(), address.to_owned()].into_iter().chain(words);
    let line = Line::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
    let (console, data, remarks) = kept(answers);
    let stop = CancellationToken::new();
    let context = Context::new(&line.globals, console, stop.clone());
    let done =
        tokio::time::timeout(SOON, line.verb.run(&line.globals, &context, stop, Line::command))
            .await
            .expect("it takes no minute");
    let (code, failure) = match done {
        Ok(code) => (code, String::new()),
        Err(error) => {
            (error.downcast_ref::<Failure>().map_or(1, |it| it.code), format!("{error:#}"))
        }
    };
    Done { code, data: data.text(), remarks: remarks.text() + &failure }
}

/// A cluster of one master and one agent.
struct Cluster {
    address: String,
    stop: CancellationToken,
    processes: Vec<JoinHandle<anyhow::Result<()>>>,
    dir: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let file = dir.path().join("master-address");
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let master = [
            "m",
            "--port",
            "0",
            "--dir",
            &text(&dir.path().join("m")),
            "--address-file",
            &text(&file),
        ];
        let master = Master::try_parse_from(master).unwrap().settings;
        let processes =
            vec![tokio::spawn(holdfast_node::master_process::run(master, stop.clone()))];
        let address = appears(&file).await;
        let mut cluster = Cluster { address, stop, processes, dir };
        cluster.start_agent().await;
        cluster
    }

    async fn start_agent(&mut self) {
        let disk = self.dir.path().join("disk");
        std::fs::create_dir_all(&disk).unwrap();
        let (dir, disk) = (
            self.dir.path().join("a").to_string_lossy().into_owned(),
            format!("path={},size-mb=500", disk.display()),
        );
        let agent = [
            "a",
            "--port",
            "0",
            "--dir",
            &dir,
            "--resources",
            "cpus:4;mem:2048;disk:1000",
            "--disk",
            &disk,
        ];
        let settings = AgentSettings {
            master: vec![self.address.clone()],
            disk_helpers: DiskHelpers::Threads,
            ..Agent::try_parse_from(agent).unwrap().settings
        };
        self.processes
            .push(tokio::spawn(holdfast_node::agent_process::run(settings, self.stop.clone())));
        self.until("agent list -o json", |rows| rows[0]["state"] == "well").await;
    }

    async fn typed(&self, line: &str) -> Done {
        typed(&self.address, line, None).await
    }

    /// Types a line that must work, and reads its JSON.
    async fn rows(&self, line: &str) -> Value {
        let done = self.typed(line).await;
        assert_eq!(done.code, 0, "{line}: {done:?}");
        serde_json::from_str(&done.data).unwrap_or_else(|error| panic!("{line}: {error}: {done:?}"))
    }

    /// Asks again until the answer is as it should be.
    async fn until(&self, line: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        let until = tokio::time::Instant::now() + SOON;
        loop {
            let rows = self.rows(line).await;
            if is_so(&rows) {
                return rows;
            }
            assert!(tokio::time::Instant::now() < until, "{line}: {rows:#}");
            again.tick().await;
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        for process in self.processes {
            process.await.unwrap().unwrap();
        }
    }
}

/// Waits until a file is written.
async fn appears(file: &PathBuf) -> String {
    let mut again = tokio::time::interval(Duration::from_millis(10));
    let until = tokio::time::Instant::now() + SOON;
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if !text.is_empty() => return text,
            _ => assert!(tokio::time::Instant::now() < until, "{} does not come", file.display()),
        }
        again.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_claims_and_gives_back() {
    let cluster = Cluster::start().await;
    let agents = cluster.rows("agent list -o json").await;
    let agent = agents[0]["id"].as_str().unwrap();
    assert!(
        agent.ends_with("-S0") && agents[0]["free"].as_str().unwrap().contains("cpus:4"),
        "{agents:#}"
    );
    let table = cluster.typed("agent show S0").await;
    assert!(
        table.data.starts_with(&format!("id          {agent}\n"))
            && table.data.contains("\nDisks\n"),
        "{table:?}"
    );
    reserve(&cluster).await;
    let id = make_volume(&cluster).await;
    resize_volume(&cluster, &id).await;
    let all = cluster.rows("agent show S0 -o json").await;
    assert_eq!(
        (&all["agent"]["id"], all["disks"].as_array().map(Vec::len)),
        (&agents[0]["id"], Some(2)),
        "{all:#}"
    );
    assert!(
        all["claims"].as_array().unwrap().iter().any(|it| it["id"] == *id)
            && all["tasks"] == Value::from(Vec::<Value>::new()),
        "{all:#}"
    );
    words_are_completed(&cluster).await;
    destroy_and_remove(&cluster, &id).await;
    what_has_ended_is_told(&cluster, &id).await;
    cluster.stop().await;
}

async fn what_has_ended_is_told(cluster: &Cluster, volume: &str) {
    let ended = cluster.rows("claim list --ended -o json").await;
    let ended = ended.as_array().unwrap();
    let row = ended.iter().find(|it| it["id"] == volume).unwrap();
    assert_eq!(
        (&row["how"], &row["data"]),
        (&"destroyed".into(), &"in the trash".into()),
        "{row:#}"
    );
    assert!(
        row["by"].is_string() && ended.iter().any(|it| it["how"] == "unreserved"),
        "{ended:#?}"
    );
    let volumes = cluster.rows("claim list --ended --volumes --role db --agent S0 -o json").await;
    assert_eq!(volumes.as_array().map(Vec::len), Some(1));
    assert_eq!(cluster.typed("claim list --ended --role web -q").await.data, "");
    for named in ["data-0", volume, &volume[..8]] {
        let told = cluster.typed(&format!("claim history {named}")).await;
        assert_eq!((told.code, told.remarks.as_str()), (0, ""), "{told:?}");
        assert!(told.data.contains("destroyed  DESTROY "), "{told:?}");
    }
    let made_ms = row["created_ms"].as_u64().unwrap();
    let (made, ended_at) = (made_ms + 1, row["ended_ms"].as_u64().unwrap());
    for (ms, is_there) in [(made, true), (ended_at - 1, true), (ended_at, false)] {
        let moment = crate::output::human::ctx(ms).replace(' ', "T").replace('Z', "");
        let moment = format!("{moment}.{:03}Z", ms % 1000);
        let then = cluster.typed(&format!("claim list --at {moment} -q")).await;
        assert_eq!((then.code, then.data.contains(volume)), (0, is_there), "{moment}: {then:?}");
    }
    let unknown = cluster.typed("claim history moon").await;
    assert_eq!(unknown.code, EXIT_NOT_FOUND, "{unknown:?}");
    let before = cluster.typed("claim list --at 1h_ago").await;
    assert!(
        before.remarks.contains("this may not be all: claims that ended before "),
        "{before:?}"
    );
    let odd = cluster.typed("claim list --at yesterday").await;
    assert_eq!(odd.code, EXIT_USAGE, "{odd:?}");
    let lines = cluster.typed("claim export").await.data;
    let lines: Vec<Value> = lines.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(lines[0]["record"] == "export" && lines[0]["known_since_ms"].as_u64() <= Some(made_ms));
    assert_eq!(lines.len(), 1 + ended.len(), "nothing is claimed any more");
    assert!(lines.iter().any(|it| it["record"] == "ended-claim" && it["id"] == volume));
    // Made again under the same name, it is another claim.
    let again = "reservation create --agent S0 --role db disk:100 -q";
    assert_eq!(cluster.typed(again).await.code, 0);
    let made = cluster.typed("volume create data-0 --agent S0 --role db --size 100 -q").await;
    assert_eq!(made.code, 0, "{made:?}");
    let either = cluster.typed("claim history data-0").await;
    assert!(either.code == 1 && either.remarks.contains("any of 2 claims"), "{either:?}");
    assert!(either.remarks.contains(volume) && either.remarks.contains(made.data.trim()));
}

/// Plans, reserves, and asks for more than there is.
async fn reserve(cluster: &Cluster) {
    let planned =
        cluster.typed("reservation create --agent S0 --role db cpus:1;disk:300 --plan").await;
    assert_eq!(planned.code, EXIT_NOT_PLACED, "{planned:?}");
    assert!(
        planned.data.contains("action: RESERVE")
            && planned.data.contains("gives: cpus(db):1; disk(db):300"),
        "{planned:?}"
    );
    assert_eq!(
        cluster.rows("claim list -o json").await,
        Value::from(Vec::<Value>::new()),
        "a plan changes nothing"
    );

    let made = cluster
        .rows("reservation create --agent S0 --role db --label node=1 cpus:1;disk:300 -o json")
        .await;
    assert_eq!(made.as_array().unwrap().len(), 2, "{made:#}");
    let refused = cluster.typed("reservation create --agent S0 --role db cpus:100").await;
    assert_eq!(refused.code, EXIT_CONFLICT, "{refused:?}");
    assert!(
        refused.remarks.contains("cpus:100") && refused.remarks.contains("try: "),
        "{refused:?}"
    );
}

/// Makes a volume where its role has reserved; its claim's id.
async fn make_volume(cluster: &Cluster) -> String {
    let lacking = cluster.typed("volume create data-0 --agent S0 --role web --size 100").await;
    assert_eq!(lacking.code, EXIT_CONFLICT, "{lacking:?}");
    let volume = cluster.typed("volume create data-0 --agent S0 --role db --size 200 -q").await;
    assert_eq!((volume.code, volume.remarks.as_str()), (0, ""), "{volume:?}");
    let id = volume.data.trim();
    let claims =
        cluster.until("claim list --volumes -o json", |rows| rows[0]["state"] == "ready").await;
    assert_eq!(
        (claims[0]["id"].as_str(), claims[0]["amount"].as_f64()),
        (Some(id), Some(200.0)),
        "{claims:#}"
    );
    let shown = cluster.typed(&format!("claim show {}", &id[..8])).await;
    assert!(
        shown.data.contains("holds    disk 200 MiB") && shown.data.contains("\nHistory\n"),
        "{shown:?}"
    );
    id.to_owned()
}

/// Grows the volume by what is left of its reservation, and gives it back.
async fn resize_volume(cluster: &Cluster, id: &str) {
    let planned = cluster.typed("volume grow data-0 --to 260 --plan").await;
    assert_eq!(planned.code, EXIT_NOT_PLACED, "{planned:?}");
    assert!(planned.data.contains("action: GROW_VOLUME"), "{planned:?}");
    let more = cluster.typed("volume grow data-0 --by 5GiB").await;
    assert_eq!(more.code, EXIT_CONFLICT, "{more:?}");
    let size = |rows: Value| (rows[0]["id"].clone(), rows[0]["amount"].as_f64());
    let grown = cluster.rows("volume grow data-0 --to 260 -o json").await;
    assert_eq!(size(grown), (id.into(), Some(260.0)));
    let same = cluster.typed("volume grow data-0 --to 260").await;
    assert!(same.code == 0 && same.remarks.contains("that size already"), "{same:?}");
    let wrong = cluster.typed("volume grow data-0 --to 10").await;
    assert!(wrong.code == EXIT_USAGE && wrong.remarks.contains("volume shrink"), "{wrong:?}");
    let shrunk = cluster.rows("volume shrink data-0 --by 60 -o json").await;
    assert_eq!(size(shrunk), (id.into(), Some(200.0)));
    let all = cluster.typed("volume shrink data-0 --by 200").await;
    assert!(all.code != 0 && all.remarks.contains("subtract.value"), "{all:?}");
}

async fn words_are_completed(cluster: &Cluster) {
    for (line, offered) in [
        ("agent show S", "S0\n"),
        ("volume destroy data", "data-0\n"),
        ("claim list --agent S", "S0\n"),
        ("agent list S", ""),
    ] {
        // Completion gives up after half a second, so that a shell does not hang: a busy machine is asked again.
        let mut again = tokio::time::interval(Duration::from_millis(20));
        let until = tokio::time::Instant::now() + SOON;
        loop {
            again.tick().await;
            let done = cluster.typed(&format!("complete-words -- {line}")).await;
            assert_eq!((done.code, done.remarks.as_str()), (0, ""), "{line}");
            if done.data == offered {
                break;
            }
            assert!(tokio::time::Instant::now() < until, "{line}: {done:?}");
        }
    }
}

async fn destroy_and_remove(cluster: &Cluster, volume: &str) {
    let unasked = cluster.typed("volume destroy data-0").await;
    assert_eq!(unasked.code, EXIT_USAGE, "nobody is there to agree: {unasked:?}");
    let declined = typed(&cluster.address, "volume destroy data-0", Some("\n")).await;
    assert_eq!(declined.code, 1, "{declined:?}");
    let asked = "Its data go to the trash. Type its name to go on: error: nothing was done";
    assert!(declined.remarks.contains(asked), "{declined:?}");
    let habit = typed(&cluster.address, "volume destroy data-0", Some("y\n")).await;
    assert_eq!(habit.code, 1, "{habit:?}");
    assert_eq!(cluster.typed("volume destroy data-0 --plan").await.code, EXIT_NOT_PLACED);
    assert_eq!(cluster.rows("claim list --volumes -o json").await[0]["id"], volume);
    let agreed = typed(&cluster.address, "volume destroy data-0", Some("data-0\n")).await;
    assert_eq!(agreed.code, 0, "{agreed:?}");
    cluster
        .until("claim list --volumes -o json", |rows| rows.as_array().is_some_and(Vec::is_empty))
        .await;

    let left = cluster
        .until("claim list -o json", |rows| {
            rows.as_array().is_some_and(|it| it.iter().any(|it| it["amount"] == 300.0))
        })
        .await;
    for claim in left.as_array().unwrap() {
        let removed = cluster
            .typed(&format!("reservation remove {} -y", claim["id"].as_str().unwrap()))
            .await;
        assert_eq!(removed.code, 0, "{removed:?}");
    }
    cluster.until("claim list -o json", |rows| rows.as_array().is_some_and(Vec::is_empty)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_given_back_and_disks_are_chosen() {
    let cluster = Cluster::start().await;
    let disks = cluster.rows("disk list -o json").await;
    let path = disks.as_array().unwrap().iter().find(|it| it["kind"] == "path").unwrap();
    let root = path["root"].as_str().unwrap();
    let made = cluster
        .rows(&format!("reservation create --agent S0 --role db --disk {root} disk:400 -o json"))
        .await;
    assert_eq!(made[0]["amount"], 400.0);
    let id = &path["id"].as_str().unwrap()[..13];
    let volume = cluster
        .rows(&format!("volume create v --agent S0 --role db --size 100 --disk {id} -o json"))
        .await;
    assert_eq!(
        (volume[0]["disk"].as_str(), volume[0]["volume"].as_str()),
        (path["id"].as_str(), Some("v")),
        "{volume:#}"
    );
    let removed = cluster
        .typed(&format!("reservation remove --agent S0 --role db --disk {root} disk:50 -y"))
        .await;
    assert_eq!(removed.code, 0, "{removed:?}");
    let rest = cluster.rows("claim list --role db -o json").await;
    assert!(rest.as_array().unwrap().iter().any(|it| it["amount"] == 250.0), "{rest:#}");
    let refused = cluster.typed("reservation remove v -y").await;
    assert!(
        refused.code == EXIT_CONFLICT && refused.remarks.contains("holdfast volume destroy"),
        "{refused:?}"
    );
    let whole = cluster.typed("reservation create --agent S0 --role db disk:5000").await;
    assert_eq!(whole.code, EXIT_CONFLICT, "{whole:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_the_masters_own_and_watched() {
    let cluster = Cluster::start().await;
    for page in ["agent", "disk", "claim", "framework", "task", "role", "offer"] {
        let served = testbed::context(&cluster.address, None)
            .0
            .master
            .get(&format!("{page}s"), &[])
            .await
            .unwrap();
        assert_eq!(cluster.rows(&format!("{page} list -o json")).await, served, "{page}");
        let yaml = cluster.typed(&format!("{page} list -o yaml")).await;
        assert_eq!(serde_yaml_ng::from_str::<Value>(&yaml.data).unwrap(), served, "{page}");
    }
    let none = cluster.typed("task list").await;
    assert_eq!(
        (none.code, none.data.as_str(), none.remarks.as_str()),
        (0, "", "there are no tasks\n")
    );

    let (address, line) = (cluster.address.clone(), "claim list --watch -o json --timeout 5s");
    let watching = tokio::spawn(async move { typed(&address, line, None).await });
    let made = cluster.typed("reservation create --agent S0 --role db cpus:1 -q").await;
    assert_eq!(made.code, 0, "{made:?}");
    let watched = watching.await.unwrap();
    let first: Value = serde_json::from_str(watched.data.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first["change"].as_str(), first["row"]["id"].as_str()),
        (Some("added"), Some(made.data.trim())),
        "{watched:?}"
    );
    assert_eq!(watched.code, EXIT_TIMEOUT, "it was not asked to end by itself");
    let shown = cluster.typed("agent show S0 --watch -o json --timeout 1s").await;
    assert_eq!(shown.code, EXIT_TIMEOUT, "{shown:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_not_found() {
    let cluster = Cluster::start().await;
    for line in [
        "agent show S7",
        "claim show nothing",
        "framework teardown nobody -y",
        "task kill t -y",
        "task logs t",
        "explain nobody",
        "volume destroy v -y",
        "reservation remove c -y",
        "task list --framework f",
        "claim list --agent x",
        "disk list --agent x",
        "reservation create --agent x --role r cpus:1",
        "volume create v --agent S0 --role r --size 1 --disk /none",
    ] {
        let done = cluster.typed(line).await;
        assert_eq!(done.code, EXIT_NOT_FOUND, "{line}: {done:?}");
        assert!(done.data.is_empty() && done.remarks.contains("\n  try: "), "{line}: {done:?}");
    }
    for line in [
        "reservation create --agent S0 --role * cpus:1",
        "reservation create --agent S0 --role r cpus",
        "run --role a//b -- true",
    ] {
        assert_eq!(cluster.typed(line).await.code, EXIT_USAGE, "{line}");
    }
    let unplaced = cluster.typed("run --cpus 64 --timeout 1s -- true").await;
    assert_eq!(unplaced.code, EXIT_NOT_PLACED, "{unplaced:?}");
    assert!(
        unplaced.remarks.contains("no place for cpus:64;mem:32 within 1s")
            && unplaced.remarks.contains("WHY NOT"),
        "{unplaced:?}"
    );
    cluster.until("framework list -o json", |rows| rows[0]["state"] == "removed").await;
    cluster.stop().await;
}

#[tokio::test]
async fn nobody_answers() {
    // A port that is had and not listened on, so that nobody else can be there.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = held.local_addr().unwrap().to_string();
    let pair = format!("{address},{address}");
    for line in [
        "agent list",
        "agent show S0",
        "volume destroy v -y",
        "task kill t -y",
        "run -- true",
        "explain f",
        "claim list --watch",
    ] {
        for address in [&address, &pair] {
            let done = typed(address, line, None).await;
            assert_eq!(done.code, EXIT_NO_LEADER, "{line}: {done:?}");
            assert!(done.remarks.contains("no master answers at 127.0.0.1:"), "{line}: {done:?}");
        }
    }
}

#[tokio::test]
async fn shells_are_taught() {
    let silent = typed("127.0.0.1:1", "complete-words -- agent show S", None).await;
    assert_eq!(
        (silent.code, silent.data.as_str(), silent.remarks.as_str()),
        (0, "", ""),
        "no master answers"
    );
    for (shell, word) in [
        ("bash", "complete -F _holdfast"),
        ("zsh", "#compdef holdfast"),
        ("fish", "complete -c holdfast"),
    ] {
        let done = typed("127.0.0.1:1", &format!("completion {shell}"), None).await;
        assert!(done.code == 0 && done.data.contains(word), "{shell}");
    }
}
