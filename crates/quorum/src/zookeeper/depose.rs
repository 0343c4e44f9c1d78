//! A standby that watches the leader, and deposes it when it is silent on both sides (S6).
//!
//! What is evidence is said by [`super::suspicion`]. The ensemble carries it out in one transaction: our own node stands, the leader has not
//! sent a beat since, its node is removed. Whoever is deposed although it lives loses its leadership and nothing else: it was fenced with its
//! node, and its successor reads all that it has committed.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use zookeeper_client::{Error, MultiWriteError};

use super::beat::Beat;
use super::candidate::address_of;
use super::commit::Pen;
use super::layout::candidates;
use super::service::{pause, within};
use super::suspicion::{Advice, Look, Suspicion, BEATS_IN_LIMIT};
use crate::leadership::{Deposing, DirectAnswer};

/// How a standby watches. It lives as long as its campaigns, so that it remembers what it has done.
pub(crate) struct Watcher {
    deposing: Deposing,
    suspicion: Suspicion,
}

impl Watcher {
    pub fn new(deposing: Deposing) -> Watcher {
        let suspicion = Suspicion::new(deposing.after, Instant::now());
        Watcher { deposing, suspicion }
    }

    /// Watches for as long as it is let.
    pub async fn watch(&mut self, pen: &Pen) {
        let every = self.deposing.after / BEATS_IN_LIMIT;
        self.suspicion.begin_anew(Instant::now());
        let (leader, link) = (watch::Sender::new(None), watch::Sender::new(DirectAnswer::Answers));
        let asking = ask(&self.deposing, &leader, &link);
        let looking = async {
            loop {
                let began = Instant::now();
                match look(pen, self.deposing.after).await {
                    Ok(Some(seen)) => {
                        leader.send_if_modified(|it| {
                            let is_new = *it != seen.address;
                            it.clone_from(&seen.address);
                            is_new
                        });
                        let link = *link.borrow();
                        let look = Look { leader: seen.leader, beat: seen.beat, link };
                        act(&mut self.suspicion, pen, &look).await;
                    }
                    // Who does not reach the ensemble knows nothing of anybody.
                    Ok(None) | Err(_) => self.suspicion.begin_anew(Instant::now()),
                }
                pause(every.saturating_sub(began.elapsed())).await;
            }
        };
        tokio::join!(asking, looking);
    }
}

/// What the ensemble says of the leader.
struct Seen {
    leader: String,
    address: Option<String>,
    beat: Option<(Beat, i32)>,
}

async fn look(pen: &Pen, limit: Duration) -> Result<Option<Seen>, Error> {
    let Pen { client, layout, .. } = pen;
    let seen = async {
        let children = client.list_children(&layout.election).await?;
        let Some(leader) = candidates(&children).into_iter().next() else { return Ok(None) };
        let (info, _) = client.get_data(&layout.candidate(&leader)).await?;
        let beat = match client.get_data(&layout.beat()).await {
            Ok((bytes, stat)) => Beat::parse(&bytes).map(|it| (it, stat.version)),
            Err(Error::NoNode) => None,
            Err(error) => return Err(error),
        };
        Ok(Some(Seen { leader, address: address_of(&info), beat }))
    };
    within(limit / 2, seen).await
}

/// Asks the leader itself, again and again.
async fn ask(
    deposing: &Deposing,
    leader: &watch::Sender<Option<String>>,
    told: &watch::Sender<DirectAnswer>,
) {
    let every = deposing.after / BEATS_IN_LIMIT;
    let mut leader = leader.subscribe();
    loop {
        let address = leader.borrow_and_update().clone();
        let Some(address) = address else {
            // The sender lives as long as this.
            let _ = leader.changed().await;
            continue;
        };
        let began = Instant::now();
        let asked = deposing.link.ask(&address, deposing.after / 2);
        tokio::select! {
            answer = asked => {
                told.send_replace(answer);
                pause(every.saturating_sub(began.elapsed())).await;
            }
            // Another one leads: nothing is known of it.
            _ = leader.changed() => {
                leader.mark_changed();
                told.send_replace(DirectAnswer::Answers);
            }
        }
    }
}

async fn act(suspicion: &mut Suspicion, pen: &Pen, look: &Look) {
    let advice = suspicion.see(Instant::now(), look);
    let (Advice::Depose { silent_for, beat_version }, Some((beat, _))) = (advice, &look.beat)
    else {
        return;
    };
    let node = pen.layout.candidate(&look.leader);
    let mut writer = pen.client.new_multi_writer();
    let added = writer
        .add_check_version(&pen.fence, -1)
        .and_then(|()| writer.add_check_version(&pen.layout.beat(), beat_version))
        .and_then(|()| writer.add_delete(&node, None));
    if added.is_err() {
        return;
    }
    let done = tokio::time::timeout(pen.limit, writer.commit()).await;
    match done {
        Ok(Ok(_)) => {
            tracing::warn!(
                "the leader of term {} neither answers nor sends heartbeats since {silent_for:?} ({}): it is deposed",
                beat.term,
                look.link
            );
            suspicion.deposed(beat.term, look.link);
        }
        // It was heard in the last moment, or has left by itself, or this master was deposed.
        Ok(Err(MultiWriteError::OperationFailed { .. })) => suspicion.begin_anew(Instant::now()),
        // Whether that was done is seen at the next look.
        Ok(Err(_)) | Err(_) => {}
    }
}
