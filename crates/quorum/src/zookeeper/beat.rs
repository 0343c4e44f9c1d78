//! The leader's heartbeat in the ensemble: one small node, written again and again while the leader runs.
//!
//! It relies on the fence: only whose election node stands writes it. It proves that the leader runs and reaches the ensemble, not that it
//! answers anybody.

use std::fmt;
use std::time::Duration;

use tokio::task::JoinHandle;
use zookeeper_client::{Error, MultiWriteError};

use super::commit::Pen;
use super::service::{is_over, pause, within, Service};

/// What a beat says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The election node of whoever sends it.
    pub candidate: String,
    /// Its term.
    pub term: u64,
    /// When the next one is to be expected.
    pub every: Duration,
}

impl fmt::Display for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} term {} every-ms {}", self.candidate, self.term, self.every.as_millis())
    }
}

impl Beat {
    /// Reads what [`Beat`] writes; `None` for anything else. What follows is for later versions.
    pub fn parse(bytes: &[u8]) -> Option<Beat> {
        let mut words = std::str::from_utf8(bytes).ok()?.split(' ');
        let candidate = words.next().filter(|it| !it.is_empty())?.to_owned();
        let term = words.nth(1)?.parse().ok()?;
        let every = Duration::from_millis(words.nth(1)?.parse().ok()?);
        Some(Beat { candidate, term, every })
    }
}

/// Sends beats until this value is dropped, or leadership is over.
#[derive(Debug)]
pub(crate) struct Beating(JoinHandle<()>);

impl Beating {
    pub fn start(service: &Service, pen: Pen, term: u64, every: Duration) -> Beating {
        let candidate = pen.fence.rsplit('/').next().unwrap_or_default().to_owned();
        let beat = Beat { candidate, term, every };
        Beating(service.handle().spawn(async move {
            while send(&pen, &beat).await {
                pause(beat.every).await;
            }
        }))
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends one; `false` when it was the last.
async fn send(pen: &Pen, beat: &Beat) -> bool {
    let (path, data) = (pen.layout.beat(), beat.to_string().into_bytes());
    let mut writer = pen.client.new_multi_writer();
    let added = writer
        .add_check_version(&pen.fence, -1)
        .and_then(|()| writer.add_set_data(&path, &data, None));
    if added.is_err() {
        return false;
    }
    let sent = tokio::time::timeout(pen.limit, writer.commit()).await;
    match sent {
        Ok(Err(MultiWriteError::OperationFailed { index: 1, source: Error::NoNode })) => {
            let made = pen.client.create(&path, &data, &pen.access.journal());
            !within(pen.limit, made).await.is_err_and(|error| is_over(&error))
        }
        Ok(Err(MultiWriteError::OperationFailed { index: 0, .. })) => false,
        Ok(Err(MultiWriteError::RequestFailed { source })) => !is_over(&source),
        // Who is cut off may come back; the watch over the lease says when it is too late.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_comes_back_as_it_was_and_noise_is_none() {
        let every = Duration::from_millis(200);
        let beat = Beat { candidate: "json.info_0000000007".to_owned(), term: 12, every };
        assert_eq!(beat.to_string(), "json.info_0000000007 term 12 every-ms 200");
        assert_eq!(Beat::parse(beat.to_string().as_bytes()), Some(beat.clone()));
        assert_eq!(Beat::parse(format!("{beat} mood good").as_bytes()), Some(beat));
        for noise in ["", "a", "a term x every-ms 1", "a term 1", " term 1 every-ms 1"] {
            assert_eq!(Beat::parse(noise.as_bytes()), None, "{noise}");
        }
    }
}
