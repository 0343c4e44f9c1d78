//! The link on which a standby asks the leader itself whether it still answers.
//!
//! It relies on the leader's `/health`, which every master answers. It never says what follows from the answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use holdfast_quorum::{Deposing, DirectAnswer, DirectLink};
use holdfast_wire::{ClientError, ClientSettings, MesosClient};

/// See the module.
#[derive(Debug)]
pub struct LinkToLeader(MesosClient);

impl LinkToLeader {
    /// Deposes a leader that is silent for so long; nothing, where that is 0.
    pub fn deposing(after: Duration) -> Option<Deposing> {
        let link = || Arc::new(LinkToLeader(MesosClient::new(ClientSettings::default())));
        (!after.is_zero()).then(|| Deposing { after, link: link() })
    }
}

impl DirectLink for LinkToLeader {
    fn ask<'a>(
        &'a self,
        address: &'a str,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = DirectAnswer> + Send + 'a>> {
        let asked = tokio::time::timeout(limit, self.0.get_bytes(address, "/health"));
        Box::pin(async move {
            match asked.await {
                Err(_) | Ok(Err(ClientError::TimedOut { .. })) => DirectAnswer::Silent,
                Ok(Err(ClientError::Unreachable { .. } | ClientError::Lost { .. })) => {
                    DirectAnswer::Broken
                }
                // A refusal is an answer.
                Ok(Ok(_) | Err(_)) => DirectAnswer::Answers,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn silence_is_told_from_a_process_that_is_gone() {
        let link = LinkToLeader::deposing(Duration::from_secs(2)).unwrap().link;
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let limit = Duration::from_millis(50);
        // The kernel takes the connection, and nobody answers: as with a process that is stopped.
        assert_eq!(link.ask(&address, limit).await, DirectAnswer::Silent);
        // A port that is had and not listened on, so that nobody else can be there.
        let held = tokio::net::TcpSocket::new_v4().unwrap();
        held.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = held.local_addr().unwrap().to_string();
        assert_eq!(link.ask(&address, Duration::from_secs(60)).await, DirectAnswer::Broken);
        assert!(LinkToLeader::deposing(Duration::ZERO).is_none());
    }
}
