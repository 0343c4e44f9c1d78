//! The helper process of a disk as its agent sees it: started, asked one thing at a time, and abandoned when it does not answer in time.
//!
//! Relies on a pair of sockets for the line to it, because those can be waited on with a deadline. Never waits for it without one, not even
//! for its end: a process that hangs in the kernel ends when the kernel lets it.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::keyed_queues::spawn;
use crate::disk_worker::protocol::{self, Answer, Request};

/// This very program, also when its file was replaced since: parent and child must understand each other.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// The hidden verb.
const VERB: &str = "disk-worker";
/// How many times as long a disk that completes writes may take for an answer.
const PATIENCE_MAX: u32 = 12;
/// The greatest length of an answer.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The process behind a line.
pub trait Process: Send {
    /// Its id.
    fn id(&self) -> u32;
    /// Kills it. That takes effect when the kernel lets go of it.
    fn kill(&mut self);
    /// Whether nothing of it is left.
    fn has_ended(&mut self) -> bool;
}

impl Process for Child {
    fn id(&self) -> u32 {
        Child::id(self)
    }

    fn kill(&mut self) {
        // It can only fail because it has ended.
        let _ = Child::kill(self);
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.try_wait(), Ok(None))
    }
}

/// How the helper of the disk with a root is started.
pub type Starter = Arc<dyn Fn(&Path) -> io::Result<(UnixStream, Box<dyn Process>)> + Send + Sync>;

/// Starts this program as the helper of a disk.
///
/// # Errors
/// When the machine has no process left.
pub fn start_process(root: &Path) -> io::Result<(UnixStream, Box<dyn Process>)> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = OwnedFd::from(theirs);
    let mut command = Command::new(OWN_PROGRAM);
    // The agent's environment may hold secrets, and its directory and terminal are none of the helper's business.
    command.env_clear().current_dir("/").process_group(0).arg0("holdfast").arg(VERB);
    command.envs(std::env::var_os("RUST_LOG").map(|it| ("RUST_LOG", it)));
    let child = command
        .stdin(Stdio::from(theirs.try_clone()?))
        .stdout(Stdio::from(theirs))
        // Not ours: whoever reads our log to its end must not wait for a helper that hangs.
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child?;
    if let Some(log) = child.stderr.take() {
        let root = root.to_owned();
        spawn("disk-worker-log", move || pass_on(&root, log));
    }
    Ok((ours, Box::new(child)))
}

/// Starts the same work in a thread of this process, which a disk that hangs would hold up.
///
/// # Errors
/// When the machine has no thread left.
pub fn start_thread(_root: &Path) -> io::Result<(UnixStream, Box<dyn Process>)> {
    let (ours, theirs) = UnixStream::pair()?;
    let (line, ended) = (BufReader::new(theirs.try_clone()?), Arc::<AtomicBool>::default());
    let process = HelperThread { line: ours.try_clone()?, ended: ended.clone() };
    let work = move || {
        // An error says that the agent is gone.
        let _ = crate::disk_worker::serve(line, theirs);
        ended.store(true, Ordering::SeqCst);
    };
    std::thread::Builder::new().name("disk-worker".to_owned()).spawn(work)?;
    Ok((ours, Box::new(process)))
}

/// A helper that is a thread of this process.
struct HelperThread {
    line: UnixStream,
    ended: Arc<AtomicBool>,
}

impl Process for HelperThread {
    fn id(&self) -> u32 {
        std::process::id()
    }

    fn kill(&mut self) {
        // It ends when it asks for the next request. One that has ended has no line any more.
        let _ = self.line.shutdown(std::net::Shutdown::Both);
    }

    fn has_ended(&mut self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// Puts what a helper has to tell people into the agent's own log.
fn pass_on(root: &Path, log: impl Read) {
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        tracing::warn!("disk {}: {line}", root.display());
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkerFault {
    /// It could not be started.
    #[error("its helper process cannot be started: {0}; look at the machine's limits on processes and memory")]
    NotStarted(io::Error),
    /// It has not answered in time.
    #[error("it has not answered for {} s ({doing}); its helper process {pid} {how}; other disks go on", timeout.as_secs_f64())]
    Silent {
        /// How long it was waited for.
        timeout: Duration,
        /// What it was doing.
        doing: String,
        /// The helper.
        pid: u32,
        /// What the system says that it does.
        how: &'static str,
    },
    /// It ended instead.
    #[error("its helper process ended in the middle of work ({doing}); it is started again")]
    Ended {
        /// What it was doing.
        doing: String,
    },
    /// It said what is no answer to that.
    #[error("its helper process {pid} gave no proper answer ({doing}): {said}; it is started again, and this should be reported as a bug")]
    Strange {
        /// What it was doing.
        doing: String,
        /// The helper.
        pid: u32,
        /// What is wrong with it.
        said: String,
    },
}

/// What the system says that a process does.
fn how_it_is(pid: u32) -> &'static str {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it is in brackets, and may itself hold any.
    match stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) {
        Some('D') => "hangs in the kernel",
        Some('T' | 't') => "is stopped by somebody's signal",
        Some('R') => "is busy",
        _ => "waits for something else than the disk",
    }
}

/// A helper process.
pub struct Worker {
    line: UnixStream,
    process: Box<dyn Process>,
    root: PathBuf,
    /// Answers, as far as they have come.
    heard: Vec<u8>,
}

impl Worker {
    /// Starts one.
    ///
    /// # Errors
    /// [`WorkerFault::NotStarted`].
    pub fn start(starter: &Starter, root: &Path) -> Result<Worker, WorkerFault> {
        let (line, process) = starter(root).map_err(WorkerFault::NotStarted)?;
        Ok(Worker { line, process, root: root.to_owned(), heard: Vec::new() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether nothing of it is left.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Kills it. It is not waited for.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks, and waits for the answer at most so long; several times as long while the disk `moves`, since then it is only slow. After a
    /// fault nothing more may be asked.
    ///
    /// # Errors
    /// Whatever the fault, the work may have been done, or may be done yet.
    pub fn ask(
        &mut self,
        request: &Request,
        doing: &str,
        timeout: Duration,
        mut moves: impl FnMut() -> bool,
    ) -> Result<Answer, WorkerFault> {
        let (doing, pid) = (doing.to_owned(), self.id());
        moves(); // From now on it is compared with this.
        let mut waited = timeout;
        let mut more = || {
            let more = waited < timeout * PATIENCE_MAX && moves();
            waited += if more { timeout } else { Duration::ZERO };
            more.then(|| Instant::now() + timeout)
        };
        let heard = self.exchange(request, Instant::now() + timeout, &mut more);
        let line = heard.map_err(|error| {
            let doing = doing.clone();
            match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    WorkerFault::Silent { timeout: waited, doing, pid, how: how_it_is(pid) }
                }
                io::ErrorKind::InvalidData => {
                    WorkerFault::Strange { doing, pid, said: error.to_string() }
                }
                _ => WorkerFault::Ended { doing },
            }
        })?;
        protocol::parse(&line).map_err(|error| WorkerFault::Strange {
            doing,
            pid,
            said: error.to_string(),
        })
    }

    fn exchange(
        &mut self,
        request: &Request,
        mut deadline: Instant,
        more: &mut dyn FnMut() -> Option<Instant>,
    ) -> io::Result<Vec<u8>> {
        self.line.set_write_timeout(Some(left(deadline)?))?;
        protocol::write(&mut self.line, request)?;
        let mut portion = [0; 8192];
        loop {
            if let Some(end) = self.heard.iter().position(|it| *it == b'\n') {
                let rest = self.heard.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.heard, rest));
            }
            if ANSWER_BYTES_MAX < self.heard.len() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without end"));
            }
            if left(deadline).is_err() {
                deadline = more().ok_or(io::ErrorKind::TimedOut)?;
            }
            self.line.set_read_timeout(Some(left(deadline)?))?;
            match self.line.read(&mut portion) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.heard.extend_from_slice(&portion[..count]),
                Err(error) if is_no_end(error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "helper {} of {}", self.id(), self.root.display())
    }
}

/// Whether it may be read on.
fn is_no_end(error: io::ErrorKind) -> bool {
    matches!(
        error,
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// The time until a deadline; an error once there is none.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

#[cfg(test)]
pub mod testbed {
    //! Helpers that are threads of the test, and helpers that hang.

    use std::sync::Mutex;

    use super::*;

    /// A thread that stands for a process. Killed, it does nothing more once the kernel lets go of it.
    pub struct Thread {
        ended: Arc<AtomicBool>,
        killed: Arc<AtomicBool>,
    }

    impl Process for Thread {
        fn id(&self) -> u32 {
            1234
        }

        fn kill(&mut self) {
            self.killed.store(true, Ordering::SeqCst);
        }

        fn has_ended(&mut self) -> bool {
            self.ended.load(Ordering::SeqCst)
        }
    }

    /// The kernel's side of a disk: while it is frozen, no request gets through.
    #[derive(Clone, Default)]
    pub struct Freezer(Arc<Mutex<()>>);

    impl Freezer {
        /// Freezes the disk until the guard is dropped.
        pub fn freeze(&self) -> std::sync::MutexGuard<'_, ()> {
            self.0.lock().unwrap()
        }
    }

    /// Starts the real work in a thread. What is asked waits for the freezer; what was abandoned meanwhile is not begun.
    pub fn threads(freezer: Freezer) -> Starter {
        Arc::new(move |_| {
            let (ours, theirs) = UnixStream::pair()?;
            let (ended, killed) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
            let process = Thread { ended: ended.clone(), killed: killed.clone() };
            let (line, freezer) = (BufReader::new(theirs.try_clone()?), freezer.clone());
            std::thread::spawn(move || {
                // An error says that the agent is gone, or has abandoned it.
                let _ = crate::disk_worker::serve(Frozen { line, freezer, killed }, theirs);
                ended.store(true, Ordering::SeqCst);
            });
            Ok((ours, Box::new(process) as Box<dyn Process>))
        })
    }

    /// A line on which requests arrive once the disk is not frozen.
    struct Frozen {
        line: BufReader<UnixStream>,
        freezer: Freezer,
        killed: Arc<AtomicBool>,
    }

    impl Read for Frozen {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.line.read(buffer)
        }
    }

    impl BufRead for Frozen {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            self.line.fill_buf()?;
            drop(self.freezer.freeze());
            match self.killed.load(Ordering::SeqCst) {
                true => Ok(&[]),
                false => self.line.fill_buf(),
            }
        }

        fn consume(&mut self, amount: usize) {
            self.line.consume(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A helper that does what a shell line says.
    fn shell(script: &'static str) -> Worker {
        let starter: Starter = Arc::new(move |_| {
            let (ours, theirs) = UnixStream::pair()?;
            let theirs = OwnedFd::from(theirs);
            let child = Command::new("sh")
                .args(["-c", script])
                .stdin(Stdio::from(theirs.try_clone()?))
                .stdout(Stdio::from(theirs))
                .spawn()?;
            Ok((ours, Box::new(child) as Box<dyn Process>))
        });
        Worker::start(&starter, Path::new("/disk")).unwrap()
    }

    #[test]
    fn an_answer_is_the_answer_to_what_was_asked() {
        let mut worker = shell(r#"while read line; do echo '{"Swept":{"Ok":7}}'; done"#);
        for _ in 0..3 {
            let answer = worker.ask(&Request::Sweep, "sweeping", LONG, || false).unwrap();
            assert_eq!(answer, Answer::Swept(Ok(7)));
        }
    }

    #[test]
    fn one_that_says_nothing_is_named_with_what_it_does_and_is_not_waited_for() {
        let mut worker = shell("exec sleep 1000");
        let fault = worker
            .ask(&Request::Sweep, "sweeping", Duration::from_millis(50), || false)
            .unwrap_err();
        let words = fault.to_string();
        assert!(matches!(fault, WorkerFault::Silent { .. }), "{words}");
        let named = format!("its helper process {} ", worker.id());
        assert!(words.contains("for 0.05 s (sweeping)") && words.contains(&named), "{words}");
        assert!(!worker.has_ended());
        worker.kill();
        while !worker.has_ended() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_whose_disk_completes_writes_is_waited_for_but_not_for_ever() {
        let short = Duration::from_millis(20);
        // It answers when it is told to, and that is when the disk was seen to move for the third time.
        let mut worker =
            shell(r#"read line; read more; echo '{"Swept":{"Ok":1}}'; exec sleep 1000"#);
        let (mut tell, mut looks) = (worker.line.try_clone().unwrap(), 0);
        let moves = || {
            looks += 1;
            if looks == 4 {
                protocol::write(&mut tell, &()).unwrap();
            }
            true
        };
        let answer = worker.ask(&Request::Sweep, "sweeping", short, moves).unwrap();
        assert_eq!(answer, Answer::Swept(Ok(1)));
        let fault = worker.ask(&Request::Sweep, "sweeping", short, || true).unwrap_err();
        assert!(
            matches!(fault, WorkerFault::Silent { timeout, .. } if timeout == short * PATIENCE_MAX),
            "{fault}"
        );
        worker.kill();
    }

    #[test]
    fn one_that_ends_or_talks_nonsense_is_told_apart() {
        let fault =
            shell("read line; exit 3").ask(&Request::Sweep, "x", LONG, || false).unwrap_err();
        assert!(matches!(fault, WorkerFault::Ended { .. }), "{fault}");
        let fault =
            shell("read line; echo hello").ask(&Request::Sweep, "x", LONG, || false).unwrap_err();
        assert!(
            matches!(&fault, WorkerFault::Strange { said, .. } if said.contains("hello")),
            "{fault}"
        );
    }

    #[test]
    fn one_that_cannot_be_started_is_a_fault() {
        let starter: Starter = Arc::new(|_| Err(io::ErrorKind::OutOfMemory.into()));
        let fault = Worker::start(&starter, Path::new("/disk")).unwrap_err();
        assert!(matches!(fault, WorkerFault::NotStarted(_)), "{fault}");
    }
}
