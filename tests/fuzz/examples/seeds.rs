//! Writes what each corpus begins with: the samples that the model's own tests keep, and a few words. What a corpus has already stays.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use holdfast_fuzz::{corpus, corpus_path, AGENT_TREES, MASTER_TREES, TARGETS};
use holdfast_proto::mesos::v1;
use holdfast_proto::{binary, json};
use holdfast_store::{DurableStore, Entry, Options, Store};

type Inputs = Vec<Vec<u8>>;
type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    for target in TARGETS {
        let path = corpus_path(target.name);
        let mut inputs = corpus::read(&fs::read_to_string(&path).unwrap_or_default())?;
        inputs.extend(seeds(target.name)?);
        fs::write(&path, corpus::write(inputs))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn seeds(name: &str) -> Done<Inputs> {
    Ok(match name {
        "scheduler_call" => in_both::<v1::scheduler::Call>(&golden("scheduler-call.txt")?)?,
        "executor_call" => in_both::<v1::executor::Call>(&golden("executor-call.txt")?)?,
        "link_to_agent" => golden("link-to-agent.txt")?,
        "link_to_master" => golden("link-to-master.txt")?,
        "agent_ledger" => records("agent", &AGENT_TREES)?,
        "master_ledger" => records("master", &MASTER_TREES)?,
        "ledger_files" => ledger_files()?,
        "ledger_export" => vec![ledger_export()?],
        _ => texts(name),
    })
}

fn texts(name: &str) -> Inputs {
    let of = |all: &[&str]| all.iter().map(|it| it.as_bytes().to_vec()).collect();
    match name {
        "master_call" => of(&[
            "0{\"type\":\"GET_STATE\"}",
            "0{\"type\":\"RESERVE_RESOURCES\",\"reserve_resources\":{\"agent_id\":{\"value\":\"a\"},\"resources\":[{\"type\":\"SCALAR\",\"name\":\"disk\",\"scalar\":{\"value\":8},\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"r\",\"principal\":\"p\"}]}]}}",
            "0{\"type\":\"UPDATE_QUOTA\",\"update_quota\":{\"force\":true,\"quota_configs\":[{\"role\":\"r\",\"limits\":{\"cpus\":{\"value\":1.5}}}]}}",
            "0{\"type\":\"UPDATE_MAINTENANCE_SCHEDULE\",\"update_maintenance_schedule\":{\"schedule\":{\"windows\":[{\"machine_ids\":[{\"hostname\":\"h\",\"ip\":\"10.0.0.1\"}],\"unavailability\":{\"start\":{\"nanoseconds\":1}}}]}}}",
            "0{\"type\":\"UPDATE_WEIGHTS\",\"update_weights\":{\"weight_infos\":[{\"role\":\"r\",\"weight\":2.5}]}}",
            "0{\"type\":\"DRAIN_AGENT\",\"drain_agent\":{\"agent_id\":{\"value\":\"a\"},\"max_grace_period\":{\"nanoseconds\":5}}}",
            "0{\"type\":\"READ_FILE\",\"read_file\":{\"path\":\"/master/log\",\"offset\":0,\"length\":10}}",
        ]),
        "agent_call" => of(&[
            "0{\"type\":\"GET_CONTAINERS\",\"get_containers\":{\"show_nested\":true}}",
            "0{\"type\":\"GET_FLAGS\"}",
            "0{\"type\":\"LAUNCH_NESTED_CONTAINER_SESSION\",\"launch_nested_container_session\":{\"container_id\":{\"value\":\"c\",\"parent\":{\"value\":\"p\"}},\"command\":{\"value\":\"ls\",\"environment\":{\"variables\":[{\"name\":\"A\",\"value\":\"b\"}]}},\"container\":{\"type\":\"MESOS\",\"tty_info\":{\"window_size\":{\"rows\":3,\"columns\":4}}}}}",
            "0{\"type\":\"ATTACH_CONTAINER_INPUT\",\"attach_container_input\":{\"type\":\"PROCESS_IO\",\"process_io\":{\"type\":\"DATA\",\"data\":{\"type\":\"STDIN\",\"data\":\"aGk=\"}}}}",
            "0{\"type\":\"WAIT_NESTED_CONTAINER\",\"wait_nested_container\":{\"container_id\":{\"value\":\"c\",\"parent\":{\"value\":\"p\"}}}}",
            "0{\"type\":\"KILL_CONTAINER\",\"kill_container\":{\"container_id\":{\"value\":\"c\"},\"signal\":9}}",
        ]),
        "form" => of(&[
            "0claims-at\nat=2026-01-01T00:00:00Z&limit=-1",
            "1reserve\nslaveId=a&resources=[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":8}}]",
            "2plan\nagent=a&steps=[]&if-generation=3",
            "3tasks\nlimit=10&offset=5&order=asc&task_id=t&framework_id=f",
            "4quota\nrole=%2A&force=true&limits=cpus:4;mem:8",
            "5explain\nrole=r&framework=f&agent=a",
            "6drain-agent\nagent=a&grace=30s&mark-gone=true",
        ]),
        "resources" => of(&[
            "cpus:4;mem:1024.5;disk(role):10;ports:[1-5,7-9];zones:{a,b}",
            "cpus(*):0.001;gpus:2",
            "[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":8},\"disk\":{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/d\"}}}}]",
            "cpus:1;mem:32,cpus:2",
            "mem:1e3;cpus:-0",
        ]),
        "agent_flags" => of(&[
            "--dir\n/tmp/a\n--master\n127.0.0.1:5050\n--resources\ncpus:4;mem:8",
            "--attributes\nrack:r1;ssd:yes\n--ip\n127.0.0.1\n--port\n5051",
            "--disk-timeout\n10s\n--hostname\nh",
            "--master\nzk://u:p@a:1,b:2/holdfast",
            "--strict-host\n--disk\npath:/d",
        ]),
        "master_flags" => of(&[
            "--dir\n/tmp/m\n--ip\n127.0.0.1\n--port\n5050",
            "--zk\nzk://u:p@a:1,b:2/holdfast\n--zk-session-timeout\n20s",
            "--weights\na=1,b=2.5",
            "--min-allocatable-resources\ncpus:1;mem:32",
            "--strict-host\n--cors-origin\nhttp://a",
        ]),
        "words" => of(&["role/sub\n64GiB", "zk://u:p@a:1,b:2/path\n10", "90s", "1.5h", "/mnt/disk one\n10240"]),
        "service_spec" => of(&[
            "name = \"s\"\nrole = \"r\"\n[[pod]]\nname = \"p\"\ncount = 3\n[[pod.volume]]\nname = \"v\"\nsize = \"1GiB\"\npath = \"data\"\n[[pod.task]]\nname = \"main\"\ncommand = \"sleep 1\"\n",
            "name = 3", "[[pod]]\n", "a = [1, \"x\", { b = 1979-05-27 }]", "\u{feff}name = \"\"",
        ]),
        "recordio" => of(&["0a3\nabc0\n5\nhello", "\u{1}\u{2}4097\n", "aa1\n", "zz12", "09\n123456789"]),
        "keeper_ledger" => vec![b"\0\x02id\x01framework".to_vec(), vec![1, 4, 0, 0, 0, 1, 1, 8, 1], vec![2, 1, 0, 1], vec![4, 3, b'p', 0, 1, 1], vec![6, 0, 1]],
        _ => Vec::new(),
    }
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/model/tests/golden")
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap_or("0"), 16).unwrap_or(0);
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Lines of a name and parts in hexadecimal: the first of the parts.
fn golden(file: &str) -> Done<Inputs> {
    let text = fs::read_to_string(samples().join(file))?;
    let part = |line: &str| line.split(' ').find_map(|it| it.strip_prefix('x').map(unhex));
    Ok(text.lines().filter_map(part).collect())
}

fn in_both<T: holdfast_wire::Wired>(messages: &[Vec<u8>]) -> Done<Inputs> {
    let mut inputs = Vec::new();
    for bytes in messages {
        let message: T = binary::decode(bytes)?;
        inputs.push([b"1", bytes.as_slice()].concat());
        inputs.push([b"0", json::to_vec(&message).as_slice()].concat());
    }
    Ok(inputs)
}

/// Lines of a key and a value, in a file for each tree.
fn records(of: &str, trees: &[&str]) -> Done<Inputs> {
    let mut inputs = Vec::new();
    for (number, tree) in trees.iter().enumerate() {
        let text = fs::read_to_string(samples().join(format!("ledger/{of}.{tree}.hex")))?;
        for (key, value) in text.lines().filter_map(|it| it.split_once(' ')) {
            let key = unhex(key);
            let head = [u8::try_from(number)?, u8::try_from(key.len())?];
            inputs.push([&head, key.as_slice(), &unhex(value)].concat());
        }
    }
    Ok(inputs)
}

fn small_ledger(dir: &Path) -> Done<DurableStore> {
    let (mut store, _) = DurableStore::open(dir, Options::new("fuzz").create_as([7; 16]))?;
    for number in 0..3_u8 {
        store.commit(1, &[Entry::put("tree", vec![number], vec![number; 20])])?;
    }
    Ok(store)
}

fn ledger_files() -> Done<Inputs> {
    let dir = tempfile::tempdir()?;
    drop(small_ledger(dir.path())?);
    let whole = fs::read(dir.path().join("journal-000000000001.seg"))?;
    let half = whole[..whole.len() / 2].to_vec();
    Ok(vec![Vec::new(), half, whole[..40.min(whole.len())].to_vec(), whole[8..].to_vec(), whole])
}

fn ledger_export() -> Done<Vec<u8>> {
    let dir = tempfile::tempdir()?;
    drop(small_ledger(dir.path())?);
    let mut exported = Vec::new();
    holdfast_store::inspect(dir.path(), holdfast_store::Depth::Bytes)?.export(&mut exported)?;
    Ok(exported)
}
