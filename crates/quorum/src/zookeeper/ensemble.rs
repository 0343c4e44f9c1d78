//! Real ZooKeeper servers for tests, on loopback, as Debian packages them.
//!
//! Relies on `java` and on the package `zookeeper`. Never leaves a server behind.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const JAR: &str = "/usr/share/java/zookeeper.jar";
const PATIENCE: Duration = Duration::from_secs(120);

/// Servers that end with this value.
pub(super) struct Ensemble {
    dir: tempfile::TempDir,
    servers: Vec<Server>,
}

struct Server {
    client_port: u16,
    process: Option<Child>,
}

impl Ensemble {
    /// Starts so many servers; `None`, with a word, where there is no ZooKeeper.
    pub fn start(count: usize) -> Option<Ensemble> {
        if !Path::new(JAR).exists() {
            println!("left out: masters on ZooKeeper: {JAR} is not there; try: apt-get install zookeeper");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let ports: Vec<[u16; 3]> = (0..count).map(|_| free_ports()).collect();
        let mut members = String::new();
        if 1 < count {
            for (id, [_, peers, votes]) in (1..).zip(&ports) {
                members.push_str(&format!("server.{id}=127.0.0.1:{peers}:{votes}\n"));
            }
        }
        let mut servers = Vec::new();
        for (id, [client_port, ..]) in (1..).zip(&ports) {
            let data = dir.path().join(format!("{id}/data"));
            fs::create_dir_all(&data).unwrap();
            fs::write(data.join("myid"), id.to_string()).unwrap();
            let settings = format!(
                "dataDir={}\nclientPort={client_port}\nclientPortAddress=127.0.0.1\ntickTime=200\nminSessionTimeout=400\n\
                 maxSessionTimeout=60000\ninitLimit=50\nsyncLimit=25\nadmin.enableServer=false\nmaxClientCnxns=0\n\
                 4lw.commands.whitelist=srvr\n{members}",
                data.display()
            );
            fs::write(dir.path().join(format!("{id}/zoo.cfg")), settings).unwrap();
            servers.push(Server { client_port: *client_port, process: None });
        }
        let mut ensemble = Ensemble { dir, servers };
        (0..count).for_each(|at| ensemble.run(at));
        (0..count).for_each(|at| ensemble.wait_for(at));
        Some(ensemble)
    }

    /// The address of the ensemble with this path.
    pub fn address(&self, path: &str) -> String {
        let servers = self.servers.iter().map(|it| format!("127.0.0.1:{}", it.client_port));
        format!("zk://{}{path}", servers.collect::<Vec<_>>().join(","))
    }

    /// Starts a server that does not run.
    pub fn run(&mut self, at: usize) {
        let folder = self.folder(at);
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let process = Command::new("java")
            .args(["-Xmx200m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(JAR)
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(folder.join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.servers[at].process = Some(process);
    }

    /// Kills a server.
    pub fn kill(&mut self, at: usize) {
        if let Some(mut process) = self.servers[at].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Kills the server that leads the others.
    pub fn kill_leading(&mut self) -> usize {
        let leads = |it: &Server| mode(it.client_port).is_some_and(|it| it.contains("leader"));
        let at = self.servers.iter().position(leads).expect("one leads");
        self.kill(at);
        at
    }

    /// Waits until a server serves.
    pub fn wait_for(&self, at: usize) {
        let end = Instant::now() + PATIENCE;
        while mode(self.servers[at].client_port).is_none() {
            let log = || fs::read_to_string(self.folder(at).join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "server {at} does not serve: {}", log());
            std::thread::yield_now();
        }
    }

    fn folder(&self, at: usize) -> PathBuf {
        self.dir.path().join((at + 1).to_string())
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for server in &mut self.servers {
            if let Some(mut process) = server.process.take() {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
    }
}

/// What a server says that it is; `None` before it serves.
fn mode(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"srvr").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.lines().find(|line| line.starts_with("Mode: ")).map(str::to_owned)
}

fn free_ports() -> [u16; 3] {
    // All are held until each has another number.
    let held = [0, 0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    held.map(|it| it.local_addr().unwrap().port())
}
