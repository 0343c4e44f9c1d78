//! Keeping a link to a master: connect, hand over messages both ways, connect again.
//!
//! Relies on wire for the bounds of what a master leaves unread. Tries all masters at once after a loss, then again and again with
//! small, growing pauses. Never asks a master in a tight loop that takes a link and lets it go again.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use holdfast_agent::Input;
use holdfast_model::convert::link::{to_agent_from_proto, unknown_to_agent, Received};
use holdfast_model::{LinkId, Order, Term, ToAgent};
use holdfast_wire::{AgentLinkClient, ClientSettings, Reconnect};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::shell::Masters;
use crate::core_loop::Inbox;

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The pause after a master said that this agent is not welcome: only a person can change that.
const PAUSE_REFUSED: Duration = Duration::from_secs(5);
/// A link that stood this long was sound: the next attempt is made at once.
const STEADY: Duration = Duration::from_secs(1);

/// How a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It never stood.
    Absent,
    /// It stood and broke.
    Broken,
    /// The master does not want this agent.
    Refused,
}

/// The course of attempts: masters are tried in turn, and after all of them there is a pause.
struct Attempts {
    reconnect: Reconnect,
    /// How many masters there are.
    masters: usize,
    /// How many of them were tried in vain since the last pause.
    in_vain: usize,
}

impl Attempts {
    fn new(masters: usize) -> Attempts {
        Attempts { reconnect: Reconnect::new(PAUSE_MAX), masters, in_vain: 0 }
    }

    /// How long to wait after a link that ended like this and had stood for so long.
    fn pause_after(&mut self, ended: Ended, stood: Duration) -> Duration {
        match ended {
            Ended::Refused => {
                self.in_vain = 0;
                return PAUSE_REFUSED;
            }
            // What broke is tried again with the others; one that only ever breaks is no better than one that is absent.
            Ended::Broken if STEADY <= stood => {
                self.reconnect.reset();
                self.in_vain = 0;
            }
            Ended::Broken | Ended::Absent => self.in_vain += 1,
        }
        if self.in_vain > 0 && self.in_vain < self.masters {
            return Duration::ZERO; // The others first.
        }
        self.in_vain = 0;
        self.reconnect.pause()
    }

    /// There is somebody whom nobody has asked yet.
    fn begin_anew(&mut self) {
        self.in_vain = 0;
        self.reconnect.reset();
    }
}

/// Keeps a link until told to stop. Masters are tried in turn.
pub async fn keep(
    named: holdfast_quorum::Masters,
    masters: Masters,
    inbox: Inbox<Input>,
    stop: CancellationToken,
) {
    let client = AgentLinkClient::new(ClientSettings::default());
    let mut attempts = Attempts::new(1);
    let mut last = 0;
    let mut next = VecDeque::new();
    loop {
        if next.is_empty() {
            let Some(found) = stop.run_until_cancelled(named.next(PAUSE_MAX)).await else { return };
            next.extend(found);
            attempts.masters = next.len();
        }
        // An ensemble that names nobody has been waited for already.
        let Some(address) = next.pop_front() else { continue };
        last += 1;
        let begun = Instant::now();
        let elsewhere = named.leads_elsewhere(&address);
        let talk = talk(&client, &address, LinkId(last), elsewhere, (&masters, &inbox));
        let Some(ended) = stop.run_until_cancelled(talk).await else { return };
        let pause = attempts.pause_after(ended, begun.elapsed());
        // Masters that are not there, or refuse, are not asked in a tight loop, but one that was just elected is at once.
        let another = stop.run_until_cancelled(named.pause(pause, &address)).await;
        let Some(another) = another else { return };
        if another {
            next.clear();
            attempts.begin_anew();
        }
    }
}

/// One link, from its beginning to its end.
async fn talk(
    client: &AgentLinkClient,
    address: &str,
    link: LinkId,
    elsewhere: impl Future<Output = ()>,
    (masters, inbox): (&Masters, &Inbox<Input>),
) -> Ended {
    let (outbox, mut from_master) = match client.connect(address).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!("no link to master {address}: {error}");
            return Ended::Absent;
        }
    };
    let closed = masters.open(link, outbox);
    inbox.tell(Input::MasterLinked(link)).await;
    let mut ended = Ended::Absent;
    tokio::pin!(elsewhere);
    loop {
        tokio::select! {
            () = closed.cancelled() => break, // The core hung up.
            () = &mut elsewhere => {
                tracing::info!("another master than {address} leads now");
                break;
            }
            message = from_master.recv() => match message.map(|it| it.map(|it| (Term(it.term), to_agent_from_proto(it)))) {
                Ok(Some((_, Ok(Received::Message(message))))) => {
                    ended = if matches!(message.order, Order::Refused(_)) { Ended::Refused } else { Ended::Broken };
                    inbox.tell(Input::FromMaster(link, message)).await;
                }
                Ok(Some((term, Ok(Received::Unknown)))) => {
                    masters.send(link, unknown_to_agent());
                    // The core counts it among the orders that it has seen, as the master does.
                    inbox.tell(Input::FromMaster(link, ToAgent { term, order: Order::Unknown })).await;
                }
                Ok(Some((_, Ok(Received::NotUnderstood { newest_known })))) => {
                    tracing::warn!("master {address} passed over a message: it runs an older version, which knows messages up to kind {newest_known}");
                }
                Ok(Some((_, Err(invalid)))) => {
                    tracing::error!("master {address} says what cannot be understood: {invalid}");
                    break;
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::info!("the link to master {address} broke: {error}");
                    break;
                }
            },
        }
    }
    masters.close(link);
    inbox.tell(Input::MasterLost(link)).await;
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_sound_link_that_broke_is_tried_again_at_once_and_then_in_small_steps() {
        let mut attempts = Attempts::new(1);
        assert_eq!(attempts.pause_after(Ended::Broken, 5 * STEADY), Duration::ZERO);
        let pauses: Vec<_> = (0..6).map(|_| attempts.pause_after(Ended::Absent, MS)).collect();
        for (pause, step) in pauses.iter().zip([5, 5, 10, 10, 20, 20]) {
            assert!(*pause >= MS * step / 2 && *pause <= MS * step, "{pauses:?}");
        }
        assert_eq!(attempts.pause_after(Ended::Broken, STEADY), Duration::ZERO, "it was back");
    }

    #[test]
    fn after_a_loss_every_master_is_tried_before_there_is_a_pause() {
        let mut attempts = Attempts::new(3);
        assert_eq!(attempts.pause_after(Ended::Broken, STEADY), Duration::ZERO);
        let pauses: Vec<_> = (0..9).map(|_| attempts.pause_after(Ended::Absent, MS)).collect();
        let waited: Vec<bool> = pauses.iter().map(|it| !it.is_zero()).collect();
        assert_eq!(waited, [false, false, true, false, false, true, false, false, true]);
    }

    #[test]
    fn a_master_that_takes_links_and_drops_them_is_asked_ever_less() {
        let mut attempts = Attempts::new(1);
        let last = (0..40).map(|_| attempts.pause_after(Ended::Broken, MS)).last().unwrap();
        assert!(last >= PAUSE_MAX / 2 && last <= PAUSE_MAX, "{last:?}");
        assert_eq!(attempts.pause_after(Ended::Refused, MS), PAUSE_REFUSED);
    }
}
