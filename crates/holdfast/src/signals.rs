//! SIGTERM and SIGINT ask a process to stop; what it holds for others goes on without it.

use tokio::signal::unix::{signal, SignalKind};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` at the first signal; the second one ends the process at once.
pub async fn stop_on_signal(stop: CancellationToken) {
    for kind in ["first", "second"] {
        wait().await;
        if kind == "second" {
            std::process::exit(130);
        }
        stop.cancel();
    }
}

async fn wait() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be heard; the process can only be killed");
        return std::future::pending().await;
    };
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}
