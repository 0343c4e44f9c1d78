//! What the process of a framework needs around its work: a runtime, a log, and the signals that ask it to stop.
//!
//! It never installs anything that outlives the call except the log.

use std::future::Future;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Runs a future on a runtime of its own, with the log on standard error.
///
/// # Errors
/// When the machine has no thread for it, else what the future says.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    log_to_stderr();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.context("cannot start the threads of this process")?.block_on(future)
}

/// Sends the log to standard error; `RUST_LOG` says how much, `info` by default. Where a log is installed already, it stays.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let built = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // Somebody else's log is as good.
    let _ = built.try_init();
}

/// Set, to anything, by whoever starts a process of ours that must not outlive the starter: the process stops once its standard input, a pipe
/// that the starter holds, ends. The kernel sees to that, however the starter ends.
pub const TETHER_VARIABLE: &str = "HOLDFAST_UNTIL_STDIN_ENDS";

/// Resolves when the standard input has ended, if this process was started with [`TETHER_VARIABLE`]; else never.
pub async fn tether_ends() {
    if std::env::var_os(TETHER_VARIABLE).is_none() {
        return std::future::pending().await;
    }
    let (ended, hears) = tokio::sync::oneshot::channel();
    // A thread of its own: a runtime that ends would wait for one of its own that reads.
    std::thread::spawn(move || {
        // That it cannot be read is its end, too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        // Nobody listens any more when the process stops for another reason.
        let _ = ended.send(());
    });
    // The sender is only dropped by a thread that could not go on.
    let _ = hears.await;
}

/// Resolves when this process is asked to stop: SIGTERM, SIGINT, or the end of [its tether](TETHER_VARIABLE).
pub async fn stop_signal() {
    use tokio::signal::unix::{signal, SignalKind};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the signals end the process, which every state of the ledger can bear.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = tether_ends() => {}
    }
}
