//! SIGTERM and SIGINT ask a process to stop; what it holds for others goes on without it.
//!
//! A process that keeps others (`dev`, `demo`, `drill`) has to end them first: however often it is asked, it stops in order. Any other ends at once
//! when it is asked a second time.

use std::io;

use tokio::signal::unix::{signal, Signal, SignalKind};
use tokio_util::sync::CancellationToken;

use crate::exit_codes::EXIT_INTERRUPTED;

/// The signals that ask this process to stop. From the moment that there is such a value, none of them ends it by itself.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The end of its terminal, where it matters.
    hangup: Option<Signal>,
    keeps_others: bool,
}

impl Signals {
    /// Listens. A process that `keeps_others` also hears that its terminal is gone, unless it was started to live on without one (`nohup`).
    ///
    /// # Errors
    /// When the machine does not let it.
    pub fn listen(keeps_others: bool) -> io::Result<Signals> {
        let hangup = (keeps_others && !hangup_is_ignored())
            .then(|| signal(SignalKind::hangup()))
            .transpose()?;
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
            keeps_others,
        })
    }

    /// Cancels `stop` at the first signal. The second one ends the process at once, unless it keeps others.
    pub async fn cancel(mut self, stop: CancellationToken) {
        self.next().await;
        stop.cancel();
        loop {
            self.next().await;
            if !self.keeps_others {
                std::process::exit(EXIT_INTERRUPTED);
            }
            eprintln!(
                "stopping already; this ends as soon as nothing that it started runs any more"
            );
        }
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {}, _ = hangup => {} }
    }
}

/// Whether whoever started this process wants it to outlive its terminal.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// SIGHUP is the first signal in the mask of those that are ignored.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok()).is_some_and(|it| it & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_noticed() {
        assert!(ignores_hangup("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n"));
        for other in ["SigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n", "SigIgn:\tx\n", ""]
        {
            assert!(!ignores_hangup(other), "{other:?}");
        }
    }
}
