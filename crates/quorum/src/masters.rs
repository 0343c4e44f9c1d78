//! The masters as a client is told of them: addresses, and ensembles in which the leader is found.
//!
//! It relies on [`LeaderDetector`]. What it names is where to try next, and no proof of leadership.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::zookeeper::{AddressError, LeaderDetector, ZooKeeperAddress};

/// See the module. Cheap to clone; one session with each ensemble, whatever the number of clones.
#[derive(Clone, Default)]
pub struct Masters {
    fixed: Vec<String>,
    ensembles: Vec<(ZooKeeperAddress, LeaderDetector)>,
}

/// Why what was named are no masters.
#[derive(Debug, thiserror::Error)]
pub enum MastersError {
    /// The address of an ensemble is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// An ensemble cannot be watched.
    #[error("no thread can be started to watch the masters: {0}")]
    Thread(#[from] std::io::Error),
}

impl Masters {
    /// Reads `host:port`s and `zk://host:port,.../path`s, and begins to watch the latter.
    ///
    /// # Errors
    /// [`MastersError`].
    pub fn watch(given: &[String]) -> Result<Masters, MastersError> {
        let mut masters = Masters::default();
        for text in Masters::join(given.iter().map(String::as_str)) {
            if text.starts_with(ZooKeeperAddress::SCHEME) {
                let address: ZooKeeperAddress = text.parse()?;
                let detector = LeaderDetector::start(address.clone())?;
                masters.ensembles.push((address, detector));
            } else {
                masters.fixed.push(text);
            }
        }
        Ok(masters)
    }

    /// Puts together again what was separated at the commas within the address of an ensemble.
    #[must_use]
    pub fn join<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut joined: Vec<String> = Vec::new();
        for piece in pieces.into_iter().map(str::trim).filter(|it| !it.is_empty()) {
            let is_open = |it: &&mut String| {
                it.strip_prefix(ZooKeeperAddress::SCHEME).is_some_and(|it| !it.contains('/'))
            };
            match joined.last_mut().filter(is_open) {
                Some(begun) => *begun = format!("{begun},{piece}"),
                None => joined.push(piece.to_owned()),
            }
        }
        joined
    }

    /// Where to try next, as `host:port`: who leads according to an ensemble first. Where only
    /// ensembles were named and none knows a leader, it waits for one, at most for `patience`.
    pub async fn next(&self, patience: Duration) -> Vec<String> {
        let mut found = Vec::new();
        for (_, detector) in &self.ensembles {
            let latest = match self.fixed.is_empty() && found.is_empty() {
                true => detector.leader_within(patience).await,
                false => detector.latest(),
            };
            found.extend(latest.leader);
        }
        found.extend(self.fixed.iter().cloned());
        found
    }

    /// Why nobody is known to lead, as far as the ensembles say.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.ensembles.iter().find_map(|(address, detector)| {
            let latest = detector.latest();
            let unknown = || format!("{address} does not answer yet");
            let nobody = || format!("no master leads at {address}");
            match latest.leader {
                Some(_) => None,
                None if latest.is_known => Some(latest.trouble.unwrap_or_else(nobody)),
                None => Some(latest.trouble.unwrap_or_else(unknown)),
            }
        })
    }

    /// Waits until an ensemble names another leader than `address`; for ever, where none is asked.
    pub fn leads_elsewhere(&self, address: &str) -> impl Future<Output = ()> + Send + 'static {
        let (address, ensembles) = (address.to_owned(), self.ensembles.clone());
        let is_fixed = self.fixed.contains(&address);
        async move {
            match ensembles.first().filter(|_| !is_fixed) {
                Some((_, detector)) => detector.other_than(&address).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for the pause between two attempts, the last of which was at `asked`; and no longer than until an ensemble names another leader.
    /// Says whether it did: then there is somebody to ask who was not asked yet.
    pub fn pause(
        &self,
        pause: Duration,
        asked: &str,
    ) -> impl Future<Output = bool> + Send + 'static {
        let elsewhere = self.leads_elsewhere(asked);
        async move { tokio::time::timeout(pause, elsewhere).await.is_ok() }
    }
}

impl fmt::Display for Masters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ensembles = self.ensembles.iter().map(|(address, _)| address.to_string());
        f.write_str(&ensembles.chain(self.fixed.iter().cloned()).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Masters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masters({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detected;

    fn split(text: &str) -> Vec<String> {
        Masters::join(text.split(','))
    }

    #[test]
    fn a_pause_ends_when_another_master_leads() {
        let known = |leader: Option<&str>| Detected {
            leader: leader.map(str::to_owned),
            trouble: None,
            is_known: true,
        };
        let (tell, latest) = tokio::sync::watch::channel(known(Some("a:1")));
        let masters = Masters {
            fixed: Vec::new(),
            ensembles: vec![(
                "zk://h:1/m".parse().unwrap(),
                LeaderDetector::told_by(latest).unwrap(),
            )],
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(!masters.pause(Duration::from_millis(1), "a:1").await, "it leads still");
            assert!(masters.pause(Duration::ZERO, "b:2").await, "it was not asked yet");
            let pause = masters.pause(Duration::from_secs(24 * 3600), "a:1");
            let (woken, ()) = tokio::join!(pause, async {
                // Nobody leads for a moment, which is no news for whoever waits.
                tell.send_replace(known(None));
                tokio::task::yield_now().await;
                tell.send_replace(known(Some("b:2")));
            });
            assert!(woken, "a day has not passed");
        });
        let fixed = Masters { fixed: vec!["a:1".to_owned()], ensembles: Vec::new() };
        assert!(!runtime.block_on(fixed.pause(Duration::from_millis(1), "a:1")), "nobody tells");
    }

    #[test]
    fn the_commas_of_an_ensemble_separate_no_masters() {
        assert_eq!(split("a:1, b:2,,"), ["a:1", "b:2"]);
        assert_eq!(split("zk://a:1,b:2,c:3/mesos"), ["zk://a:1,b:2,c:3/mesos"]);
        assert_eq!(
            split("h:1,zk://u:p@a:1,b:2/m,zk://c:3/m,i:2"),
            ["h:1", "zk://u:p@a:1,b:2/m", "zk://c:3/m", "i:2"]
        );
        assert_eq!(split("zk://a:1,b:2"), ["zk://a:1,b:2"], "what has no path is one address, too");
    }

    #[test]
    fn what_is_no_address_is_refused_and_passwords_are_not_shown() {
        let refused = Masters::watch(&split("zk://a:1,b:2")).unwrap_err();
        assert!(refused.to_string().contains("path"), "{refused}");
        let masters = Masters::watch(&split("h:1,zk://u:secret@127.0.0.1:1/m")).unwrap();
        assert_eq!(masters.to_string(), "zk://u:***@127.0.0.1:1/m, h:1");
    }

    #[tokio::test]
    async fn masters_that_were_named_are_tried_without_waiting_for_an_ensemble() {
        let masters = Masters::watch(&split("h:1,zk://127.0.0.1:1/m,i:2")).unwrap();
        assert_eq!(masters.next(Duration::from_secs(600)).await, ["h:1", "i:2"]);
        let only = Masters::watch(&split("zk://127.0.0.1:1/m")).unwrap();
        assert!(only.next(Duration::from_millis(1)).await.is_empty());
        assert!(only.trouble().unwrap().contains("zk://127.0.0.1:1/m"));
    }
}
