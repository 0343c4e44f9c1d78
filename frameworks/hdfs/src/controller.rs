//! The failover controller of a name node, beside it: started with it, started again when it ends by itself, and ended before it.
//!
//! A controller ends by itself when it has lost ZooKeeper for too long. The name node serves on meanwhile; only nobody would take over.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::jmx;
use crate::jvm::{arguments, Program};
use crate::log_tail::LogTail;
use crate::order::{Order, Peer};
use crate::settings::CONTROLLER_HEAP_MB;

/// The pause between two looks at the controller.
const PAUSE: Duration = Duration::from_millis(100);
/// The pause before it is started again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long it may take to end.
const END: Duration = Duration::from_secs(5);
/// How long the other name node may take to become the active one. It must see ZooKeeper's session of this one end first.
const HAND_OVER: Duration = Duration::from_secs(30);

/// A controller that is kept running until this is dropped.
#[derive(Debug)]
pub struct Controller {
    is_over: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
}

impl Controller {
    /// Starts it.
    pub fn start(order: Order, sandbox: PathBuf) -> Controller {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let keeper = std::thread::spawn(move || keep(&order, &sandbox, &seen));
        Controller { is_over, keeper: Some(keeper) }
    }

    /// Ends it, and waits until it has.
    pub fn end(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            if keeper.join().is_err() {
                tracing::error!("the thread that kept the failover controller has failed");
            }
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep(order: &Order, sandbox: &PathBuf, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        match spawn(order, sandbox) {
            Ok(child) => {
                if until_end(child, is_over) {
                    return;
                }
                let log = std::fs::read_to_string(sandbox.join("zkfc.log")).unwrap_or_default();
                let words = LogTail::of(&log).unwrap_or_default();
                tracing::warn!("the failover controller has ended, and is started again: {words}");
            }
            Err(error) => tracing::error!("the failover controller does not start: {error}"),
        }
        let begun = Instant::now();
        while begun.elapsed() < AGAIN && !is_over.load(Ordering::Relaxed) {
            // tidy: sleep is the point: whoever ends at once is not started in a circle
            std::thread::sleep(PAUSE);
        }
    }
}

fn spawn(order: &Order, sandbox: &PathBuf) -> std::io::Result<Child> {
    let log = File::create(sandbox.join("zkfc.log"))?;
    let settings = &order.settings;
    Command::new(&settings.java)
        .args(arguments(settings, Program::FailoverController, CONTROLLER_HEAP_MB, sandbox, &[]))
        .current_dir(sandbox)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// Waits for its end, or ends it; whether that was wanted.
fn until_end(mut child: Child, is_over: &AtomicBool) -> bool {
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(_)) => return is_over.load(Ordering::Relaxed),
            Err(error) => {
                tracing::error!("the failover controller cannot be waited for: {error}");
                return true;
            }
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        // tidy: sleep is the point: a process is waited for that may have to be ended
        std::thread::sleep(PAUSE);
    }
    ask_to_end(&child);
    let begun = Instant::now();
    while begun.elapsed() < END && matches!(child.try_wait(), Ok(None)) {
        // tidy: sleep is the point: it has its time to end
        std::thread::sleep(PAUSE);
    }
    // One that has ended already cannot be killed, which is as well.
    let _ = child.kill();
    let _ = child.wait();
    true
}

/// SIGTERM by the shell's own `kill`, so that this needs no system calls. The process is our child, and not waited for yet: the number is its own.
fn ask_to_end(child: &Child) {
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", "kill -s TERM \"$1\"", "kill", &child.id().to_string()]);
    kill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = kill.status() {
        tracing::warn!("the failover controller cannot be asked to end: {error}");
    }
}

/// Waits until this name node is not the active one any more, if the other can take over; its own controller has ended before.
pub fn hand_over(here: &Peer, other: Option<&Peer>) {
    let is = |peer: &Peer, wanted: &str| jmx::state(peer).is_ok_and(|it| it == wanted);
    if !is(here, "active") || !other.is_some_and(|it| is(it, "standby")) {
        return;
    }
    let begun = Instant::now();
    while begun.elapsed() < HAND_OVER && is(here, "active") {
        // tidy: sleep is the point: the other name node takes over when it has seen this one's controller gone
        std::thread::sleep(PAUSE);
    }
}
