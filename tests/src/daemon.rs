//! One `holdfast` process: started, waited for, killed with -9, started again on the same port.
//!
//! Relies on `--address-file` to learn the port. Never lives longer than its value.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::deadline::until;

/// How many lines of a log are shown when something goes wrong.
const SHOWN_LINES: usize = 15;

/// The program under test.
pub fn binary() -> PathBuf {
    let given = std::env::var_os("HOLDFAST_BIN").map(PathBuf::from);
    let found = given.unwrap_or_else(|| {
        let own = std::env::current_exe().expect("a running test knows its file");
        own.ancestors().nth(2).expect("tests lie in target/debug/deps").join("holdfast")
    });
    assert!(found.is_file(), "{} is not there; try: cargo build -p holdfast", found.display());
    found
}

/// See the module.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    scratch: PathBuf,
    arguments: Vec<String>,
    address: Option<SocketAddr>,
    child: Option<Child>,
}

impl Daemon {
    /// A process that is not started yet. `name` is unique within `scratch`; `arguments` are the verb and its flags, but for its port.
    pub fn new(name: &str, scratch: &Path, arguments: &[&str]) -> Daemon {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        Daemon {
            name: name.to_owned(),
            scratch: scratch.to_owned(),
            arguments,
            address: None,
            child: None,
        }
    }

    /// The same, to be started at an address that is known already.
    pub fn at(mut self, address: SocketAddr) -> Daemon {
        self.address = Some(address);
        self
    }

    fn file(&self, end: &str) -> PathBuf {
        self.scratch.join(format!("{}.{end}", self.name))
    }

    /// Starts it without waiting for anything: at the port that it had before, if it had one.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let _ = fs::remove_file(self.file("address")); // There is none before the first start.
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .expect("the scratch directory can be written");
        let port = self.address.map_or(0, |it| it.port());
        let mut command = Command::new(binary());
        command
            .args(&self.arguments)
            .args(["--port", &port.to_string()])
            .arg("--address-file")
            .arg(self.file("address"));
        // Settings come from this test alone.
        let foreign =
            std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("HOLDFAST_"));
        for name in foreign {
            command.env_remove(name);
        }
        command.env("RUST_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(
            command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", self.name)),
        );
    }

    /// Starts it, and waits until it serves.
    pub fn start(&mut self) {
        // The port was free a moment ago, but a stranger's connection may have been given it meanwhile.
        until(&format!("{} serves", self.name), || {
            if self.child.is_none() {
                self.launch();
            }
            if let Some(status) = self.ended() {
                let log = self.log();
                assert!(
                    log.contains("cannot listen on"),
                    "{} ended with {status}:\n{log}",
                    self.name
                );
                return Err(log);
            }
            self.read_address().ok_or_else(|| self.log())
        });
    }

    fn read_address(&mut self) -> Option<SocketAddr> {
        let text = fs::read_to_string(self.file("address")).ok()?;
        self.address = Some(
            text.parse()
                .unwrap_or_else(|error| panic!("{}: the address `{text}`: {error}", self.name)),
        );
        self.address
    }

    /// Waits until it serves, after [`Daemon::launch`].
    pub fn wait_until_it_serves(&mut self) {
        until(&format!("{} serves", self.name), || {
            let ended = self.ended();
            assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.log());
            self.read_address().ok_or_else(|| self.log())
        });
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("it was started")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.is_some() && self.ended().is_none()
    }

    /// Its end, if it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("it is our child")?;
        self.child = None;
        Some(status)
    }

    /// Waits for it to end by itself.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        until(&format!("{} ends by itself", self.name), || {
            self.ended().ok_or_else(|| format!("it runs:\n{}", self.log()))
        })
    }

    /// `kill -9`, and waits for its end. Nothing happens when it does not run.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself just now.
            let _ = child.kill();
            child.wait().expect("it is our child");
        }
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let id = Pid::from_raw(i32::try_from(self.id()).expect("process ids are small"));
        kill(id, Signal::SIGTERM)
            .unwrap_or_else(|error| panic!("{} cannot be asked to stop: {error}", self.name));
        self.wait_for_end()
    }

    /// `kill -9`, and a new start.
    pub fn restart(&mut self) {
        self.kill();
        self.start();
    }

    /// The end of what it wrote.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.file("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    /// A line of `/proc/PID/status`, such as `VmHWM`, as a number (memory in kB).
    pub fn status_line(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_else(|| panic!("no {name}"));
        line.split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("{name}: `{line}` is no number"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
