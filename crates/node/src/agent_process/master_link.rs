//! Keeping a link to a master: connect, hand over messages both ways, connect again.

use std::time::Duration;

use holdfast_agent::Input;
use holdfast_model::convert::link::{to_agent_from_proto, unknown_to_agent, Heard};
use holdfast_model::{LinkId, Order, Term, ToAgent};
use holdfast_wire::{AgentLinkClient, ClientSettings};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::shell::Masters;
use crate::core_loop::Inbox;

/// The pause before the second try; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The pause after a master said that this agent is not welcome: only a person can change that.
const PAUSE_REFUSED: Duration = Duration::from_secs(5);

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

/// Keeps a link until told to stop. Masters are tried in turn.
pub async fn keep(
    addresses: Vec<String>,
    masters: Masters,
    inbox: Inbox<Input>,
    stop: CancellationToken,
) {
    let client = AgentLinkClient::new(ClientSettings::default());
    let (mut last, mut pause) = (0, PAUSE_MIN);
    for address in addresses.iter().cycle() {
        last += 1;
        let talk = talk(&client, address, LinkId(last), &masters, &inbox);
        match stop.run_until_cancelled(talk).await {
            None => return,
            Some(Ended::Broken) => pause = PAUSE_MIN,
            Some(Ended::Absent) => pause = (pause * 2).min(PAUSE_MAX),
            Some(Ended::Refused) => pause = PAUSE_REFUSED,
        }
        // tidy: sleep is the point: a master that refuses is not asked in a tight loop
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// One link, from its beginning to its end.
async fn talk(
    client: &AgentLinkClient,
    address: &str,
    link: LinkId,
    masters: &Masters,
    inbox: &Inbox<Input>,
) -> Ended {
    let (to_master, mut from_master) = match client.connect(address).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!("no link to master {address}: {error}");
            return Ended::Absent;
        }
    };
    let (sender, mut outgoing) = mpsc::unbounded_channel();
    masters.open(link, sender);
    inbox.tell(Input::MasterLinked(link)).await;
    let mut ended = Ended::Absent;
    loop {
        tokio::select! {
            message = outgoing.recv() => match message {
                Some(message) => if to_master.send(message).await.is_err() { break },
                None => break, // The core hung up.
            },
            message = from_master.recv() => match message.map(|it| it.map(|it| (Term(it.term), to_agent_from_proto(it)))) {
                Ok(Some((_, Ok(Heard::Message(message))))) => {
                    ended = if matches!(message.order, Order::Refused(_)) { Ended::Refused } else { Ended::Broken };
                    inbox.tell(Input::FromMaster(link, message)).await;
                }
                Ok(Some((term, Ok(Heard::Unknown)))) => {
                    if to_master.send(unknown_to_agent()).await.is_err() { break }
                    // The core counts it among the orders that it has seen, as the master does.
                    inbox.tell(Input::FromMaster(link, ToAgent { term, order: Order::Unknown })).await;
                }
                Ok(Some((_, Ok(Heard::NotUnderstood { newest_known })))) => {
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
