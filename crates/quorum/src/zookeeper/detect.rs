//! Finds the leader as clients of Mesos do: in the lowest election node.
//!
//! It relies on a session of its own, on a thread of its own. What it says is a hint: whoever
//! follows it finds out. It never gives up: an ensemble that is away keeps the last answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use zookeeper_client::{Client, Error};

use super::address::ZooKeeperAddress;
use super::candidate::leader_of;
use super::layout::Layout;
use super::service::{connect, is_over, pause, Service};

const SESSION: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(200);

/// Who watches an election. Cheap to clone.
#[derive(Clone)]
pub struct LeaderDetector {
    // Its thread ends with the last clone.
    _service: Arc<Service>,
    latest: watch::Receiver<Detected>,
}

/// What is known of the leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detected {
    /// Its address, as `host:port`, if one leads.
    pub leader: Option<String>,
    /// What stands in the way of knowing.
    pub trouble: Option<String>,
    /// Whether the ensemble has answered at all.
    pub is_known: bool,
}

impl LeaderDetector {
    /// One that knows what it is told, and asks nobody.
    #[cfg(test)]
    pub(crate) fn told_by(latest: watch::Receiver<Detected>) -> std::io::Result<LeaderDetector> {
        Ok(LeaderDetector { _service: Arc::new(Service::start()?), latest })
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(address: ZooKeeperAddress) -> std::io::Result<LeaderDetector> {
        let service = Service::start()?;
        let (sender, latest) = watch::channel(Detected::default());
        service.handle().spawn(async move { detect(&address, &sender).await });
        Ok(LeaderDetector { _service: Arc::new(service), latest })
    }

    /// What is known now.
    #[must_use]
    pub fn latest(&self) -> Detected {
        self.latest.borrow().clone()
    }

    /// Waits for a leader, at most for `patience`; then what is known.
    pub async fn leader_within(&self, patience: Duration) -> Detected {
        let mut latest = self.latest.clone();
        let found = latest.wait_for(|it| it.leader.is_some());
        let _ = tokio::time::timeout(patience, found).await;
        self.latest()
    }

    /// Waits until somebody else than `address` leads.
    pub async fn other_than(&self, address: &str) {
        let mut latest = self.latest.clone();
        let is_other = |it: &Detected| it.leader.as_deref().is_some_and(|it| it != address);
        if latest.wait_for(is_other).await.is_err() {
            std::future::pending().await
        }
    }
}

async fn detect(address: &ZooKeeperAddress, told: &watch::Sender<Detected>) {
    let layout = Layout::new(address);
    loop {
        let outcome = match connect(address, SESSION, SILENCE).await {
            Ok(client) => follow(&client, &layout, told).await,
            Err(error) => error,
        };
        let trouble = Some(format!("{address}: {outcome}"));
        told.send_if_modified(|it| std::mem::replace(&mut it.trouble, trouble.clone()) != trouble);
        pause(PAUSE).await;
    }
}

/// Follows the election until the session ends; says why it did.
async fn follow(client: &Client, layout: &Layout, told: &watch::Sender<Detected>) -> Error {
    loop {
        let seen = async {
            let (children, changed) = client.list_and_watch_children(&layout.election).await?;
            Ok((leader_of(client, layout, &children).await?, changed))
        };
        match seen.await {
            Ok((leader, changed)) => {
                let found = Detected { leader, trouble: None, is_known: true };
                told.send_if_modified(|it| std::mem::replace(it, found.clone()) != found);
                changed.changed().await;
            }
            Err(Error::NoNode) => {
                let trouble = Some(format!("no master has ever stood at {}", layout.election));
                let found = Detected { leader: None, trouble, is_known: true };
                told.send_if_modified(|it| std::mem::replace(it, found.clone()) != found);
                pause(PAUSE).await;
            }
            Err(error) if is_over(&error) => return error,
            Err(_) => pause(PAUSE).await,
        }
    }
}
