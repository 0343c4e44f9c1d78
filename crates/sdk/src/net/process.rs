//! The process of a framework: a runtime, a log, and the signals that ask it to stop.
//!
//! It never installs anything that outlives the call except the log.

use std::future::Future;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Runs a future on a runtime of its own, with the log on standard error.
///
/// # Errors
/// When no thread can be started, or the error of the future.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    log_to_stderr();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.context("cannot start the threads of this process")?.block_on(future)
}

/// Sends the log to standard error; `RUST_LOG` says how much, `info` by default. Where a log is
/// installed already, it stays.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let built = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // This fails when a log is installed already, which stays.
    let _ = built.try_init();
}

/// This variable is set, to anything, by a parent that its child must not outlive: the process
/// stops once its standard input, a pipe that the parent holds, ends. The kernel ensures that,
/// however the parent ends.
pub const TETHER_VARIABLE: &str = "HOLDFAST_UNTIL_STDIN_ENDS";

/// Resolves when the standard input has ended, if this process was started with
/// [`TETHER_VARIABLE`]; else never.
pub async fn tether_ends() {
    if std::env::var_os(TETHER_VARIABLE).is_none() {
        return std::future::pending().await;
    }
    let (ended, hears) = tokio::sync::oneshot::channel();
    // A thread outside of the runtime reads: a runtime that ends would wait for one of its own.
    std::thread::spawn(move || {
        // An input that cannot be read has ended, too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        // Nobody receives when the process stops for another reason.
        let _ = ended.send(());
    });
    // The sender is only dropped by a thread that could not go on.
    let _ = hears.await;
}

/// Resolves when this process is asked to stop: SIGTERM, SIGINT, or the end of [its
/// tether](TETHER_VARIABLE).
pub async fn stop_signal() {
    use tokio::signal::unix::{signal, SignalKind};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the signals end the process, which is safe in every state of the ledger.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = tether_ends() => {}
    }
}
