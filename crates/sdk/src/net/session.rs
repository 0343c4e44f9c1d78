//! A scheduler's session with whichever master leads: it subscribes, and subscribes again for ever.
//!
//! It relies on `wire` for the stream. Several addresses may be given; a master that does not lead
//! names the one that does. A silent stream counts as broken after five heartbeats. Calls belong to
//! the subscription whose events caused them: those of an earlier one are dropped, because offers
//! end with their subscription and everything else is reconciled anew. It never retries a call.

use std::future::Future;
use std::time::Duration;

use holdfast_model::convert::scheduler::{call_to_proto, event_from_proto};
use holdfast_model::convert::Format;
use holdfast_model::{Call, Event, FrameworkInfo, Role};
use holdfast_proto::mesos::v1::scheduler::{event::Type, Event as WireEvent};
use holdfast_quorum::Masters;
use holdfast_wire::client::{EventStream, SchedulerCaller, SchedulerSession};
use holdfast_wire::{ClientError, ClientSettings, MesosClient, Reconnect};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The number of events, and of calls, that may wait.
const QUEUE_MAX: usize = 1024;
/// The number of heartbeats that may be missed (H8).
const HEARTBEATS_MISSED_MAX: u32 = 5;
/// The interval of heartbeats when the master names none.
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(15);
/// A subscription that lasted this long was stable: the next attempt is made at once.
const STEADY: Duration = Duration::from_secs(1);

/// The options of a session: the masters, and the framework that subscribes.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// `host:port` of one or more of the masters, or `zk://host:port,.../path` where they meet.
    pub masters: Vec<String>,
    /// The framework that subscribes; its id is filled in once a master gave one. Offers that name
    /// no role are for the first.
    pub info: FrameworkInfo,
    /// The time that a connection may take.
    pub connect_timeout: Duration,
    /// The time that a master may take to accept a subscription or a call.
    pub call_timeout: Duration,
    /// The longest wait between two attempts.
    pub backoff_max: Duration,
}

impl SessionOptions {
    /// Makes the default options.
    pub fn new(masters: Vec<String>, info: FrameworkInfo) -> SessionOptions {
        SessionOptions {
            masters,
            info,
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(10),
            backoff_max: Duration::from_secs(2),
        }
    }
}

/// An event of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// An event came from the master. The first event of each subscription is SUBSCRIBED.
    Event(Event),
    /// The subscription broke; another one is being made.
    Disconnected,
    /// The masters ended the session: another process took over, or the framework was removed.
    /// Nothing follows.
    Ended(String),
}

/// A session. Dropping it closes the connection, which starts the failover timeout at the master.
#[derive(Debug)]
pub struct Session {
    heard: mpsc::Receiver<(u64, SessionEvent)>,
    calls: mpsc::Sender<(u64, Call)>,
    masters: Masters,
    /// The number of the subscription of the last event that was taken.
    number: u64,
}

impl Session {
    /// Begins to subscribe. Must be called within a tokio runtime.
    pub fn open(options: SessionOptions) -> Session {
        let (teller, heard) = mpsc::channel(QUEUE_MAX);
        let (calls, queue) = mpsc::channel(QUEUE_MAX);
        let settings = ClientSettings {
            connect_timeout: options.connect_timeout,
            call_timeout: options.call_timeout,
            // This session has a timeout of its own that follows the heartbeats which the master
            // announces.
            silence_timeout: Duration::from_secs(24 * 3600),
            ..ClientSettings::default()
        };
        let reconnect = Reconnect::new(options.backoff_max);
        let masters = Masters::watch(&options.masters);
        let subscriber = Subscriber {
            client: MesosClient::new(settings),
            options,
            masters: masters.as_ref().cloned().unwrap_or_default(),
            teller,
            queue,
            number: 0,
            welcomed: false,
            knew: None,
            asked: None,
            reconnect,
        };
        let known = subscriber.masters.clone();
        match masters {
            Ok(_) => drop(tokio::spawn(subscriber.run())),
            // The queue is empty: there is room.
            Err(why) => drop(subscriber.teller.try_send((0, SessionEvent::Ended(why.to_string())))),
        }
        Session { heard, calls, masters: known, number: 0 }
    }

    /// The masters that it knows, for questions beside the session.
    pub(super) fn masters(&self) -> Masters {
        self.masters.clone()
    }

    /// Returns the next event. May be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> SessionEvent {
        match self.heard.recv().await {
            Some(heard) => self.take(heard),
            None => std::future::pending().await, // The session has returned `Ended` already.
        }
    }

    /// Returns an event if one is there already.
    pub fn try_next(&mut self) -> Option<SessionEvent> {
        self.heard.try_recv().ok().map(|it| self.take(it))
    }

    fn take(&mut self, (number, heard): (u64, SessionEvent)) -> SessionEvent {
        self.number = number;
        heard
    }

    /// Queues a call; calls are made in order, each when the master took the one before. Waits
    /// while too many wait.
    pub async fn send(&self, call: Call) {
        // The receiver is gone only after `Ended` was returned.
        let _ = self.calls.send((self.number, call)).await;
    }
}

/// Why a subscription ended.
enum Over {
    /// It was lost; try again.
    Lost(String),
    /// The master ended it; do not try again.
    Ended(String),
    /// Nobody receives its events any more.
    Dropped,
}

struct Subscriber {
    client: MesosClient,
    options: SessionOptions,
    masters: Masters,
    teller: mpsc::Sender<(u64, SessionEvent)>,
    queue: mpsc::Receiver<(u64, Call)>,
    number: u64,
    /// Whether any master ever accepted us.
    welcomed: bool,
    /// The master that knew the leader: it is asked first the next time.
    knew: Option<String>,
    /// The master that was asked last.
    asked: Option<String>,
    reconnect: Reconnect,
}

impl Subscriber {
    async fn run(mut self) {
        loop {
            let listener = self.teller.clone();
            let over = tokio::select! {
                over = self.pass() => over,
                () = listener.closed() => return,
            };
            match over {
                Over::Lost(_) => {}
                Over::Dropped => return,
                Over::Ended(why) => {
                    // A receiver that is gone has ended too.
                    let _ = self.teller.send((self.number, SessionEvent::Ended(why))).await;
                    return;
                }
            }
            // Masters that are not there are not asked all the time, but one that was just elected is at once.
            let wait = self.reconnect.pause();
            let another = self.masters.pause(wait, self.asked.as_deref().unwrap_or_default());
            tokio::select! {
                another = another => {
                    if another {
                        self.reconnect.reset();
                    }
                }
                () = self.teller.closed() => return,
            }
        }
    }

    /// Tries each master once, until one accepts us.
    async fn pass(&mut self) -> Over {
        let mut last = "no master was named".to_owned();
        let mut addresses = self.masters.next(self.options.backoff_max).await;
        if let Some(at) = addresses.iter().position(|it| self.knew.as_ref() == Some(it)) {
            addresses.rotate_left(at);
        }
        if let Some(trouble) = self.masters.trouble().filter(|_| addresses.is_empty()) {
            last = trouble;
            if self.reconnect.is_first() {
                tracing::warn!("cannot subscribe: {last}; trying again until it can");
            }
        }
        for address in addresses {
            self.asked = Some(address.clone());
            match self.subscribe(&address).await {
                Ok(session) => {
                    let elsewhere = self.masters.leads_elsewhere(&address);
                    self.knew = Some(address);
                    return self.converse(session, elsewhere).await;
                }
                Err(ClientError::Refused { status: 400, message }) if !self.welcomed => {
                    return Over::Ended(message)
                }
                Err(error) => {
                    last = format!("{address}: {}", chain(&error));
                    // Once for each loss; the next attempts follow within milliseconds.
                    if self.reconnect.is_first() {
                        tracing::warn!("cannot subscribe at {last}; trying again until it can");
                    } else {
                        tracing::debug!("cannot subscribe at {last}");
                    }
                }
            }
        }
        Over::Lost(last)
    }

    async fn subscribe(&self, address: &str) -> Result<SchedulerSession, ClientError> {
        let call = Call::Subscribe {
            info: Box::new(self.options.info.clone()),
            suppressed: Default::default(),
        };
        let wire =
            call_to_proto(self.options.info.id.as_ref(), &call, Format::of(&self.options.info));
        SchedulerSession::subscribe(&self.client, address, &wire).await
    }

    /// Runs a subscription from its beginning to its end.
    async fn converse(
        &mut self,
        session: SchedulerSession,
        elsewhere: impl Future<Output = ()>,
    ) -> Over {
        self.number += 1;
        let begun = Instant::now();
        let SchedulerSession { mut events, caller } = session;
        let first = match tokio::time::timeout(self.options.call_timeout, events.next()).await {
            Ok(Ok(Some(first))) => first,
            Ok(Ok(None)) => return Over::Lost("the stream ended before it began".to_owned()),
            Ok(Err(error)) => return Over::Lost(chain(&error)),
            Err(_) => return Over::Lost("no welcome came in time".to_owned()),
        };
        if first.r#type() == Type::Error {
            return Over::Ended(first.error.map(|it| it.message).unwrap_or_default());
        }
        let beat = first.subscribed.as_ref().and_then(|it| it.heartbeat_interval_seconds);
        let beat = beat
            .and_then(|it| Duration::try_from_secs_f64(it).ok())
            .filter(|it| !it.is_zero())
            .unwrap_or(HEARTBEAT_DEFAULT);
        let role = self.options.info.roles.first().cloned().unwrap_or_else(Role::any);
        let id = match event_from_proto(first, &role) {
            Ok(Some(Event::Subscribed(id))) => id,
            other => return Over::Lost(format!("the first event was no welcome but {other:?}")),
        };
        tracing::info!("subscribed at {} as framework {id}", caller.address());
        self.welcomed = true;
        self.options.info.id = Some(id.clone());
        if self
            .teller
            .send((self.number, SessionEvent::Event(Event::Subscribed(id))))
            .await
            .is_err()
        {
            return Over::Dropped;
        }
        let listening =
            listen(&mut events, &self.teller, self.number, &role, beat * HEARTBEATS_MISSED_MAX);
        let speaking = speak(&mut self.queue, &caller, self.number, &self.options.info);
        let over = tokio::select! {
            over = listening => over,
            over = speaking => over,
            () = elsewhere => Over::Lost("another master leads now".to_owned()),
        };
        if begun.elapsed() >= STEADY {
            self.reconnect.reset();
        }
        if let Over::Lost(why) = &over {
            tracing::warn!("the subscription is lost: {why}");
            if self.teller.send((self.number, SessionEvent::Disconnected)).await.is_err() {
                return Over::Dropped;
            }
        }
        over
    }
}

/// Delivers events until there are no more.
async fn listen(
    events: &mut EventStream<WireEvent>,
    teller: &mpsc::Sender<(u64, SessionEvent)>,
    number: u64,
    role: &Role,
    silence: Duration,
) -> Over {
    loop {
        let event = match tokio::time::timeout(silence, events.next()).await {
            Ok(Ok(Some(event))) => event,
            Ok(Ok(None)) => return Over::Lost("the master ended the stream".to_owned()),
            Ok(Err(error)) => return Over::Lost(chain(&error)),
            Err(_) => {
                return Over::Lost(format!(
                    "nothing was heard for {silence:?}, not even a heartbeat"
                ))
            }
        };
        match event_from_proto(event, role) {
            Ok(None) => {}
            Ok(Some(Event::Error(why))) => return Over::Ended(why),
            Ok(Some(event)) => {
                if teller.send((number, SessionEvent::Event(event))).await.is_err() {
                    return Over::Dropped;
                }
            }
            // Offers come again and statuses are repeated, and the stream itself is intact.
            Err(invalid) => {
                tracing::warn!("the master sent an event that cannot be understood: {invalid}")
            }
        }
    }
}

/// Makes the calls of this subscription, in order.
async fn speak(
    queue: &mut mpsc::Receiver<(u64, Call)>,
    caller: &SchedulerCaller,
    number: u64,
    info: &FrameworkInfo,
) -> Over {
    while let Some((of, call)) = queue.recv().await {
        if of != number {
            tracing::debug!("a call of an earlier subscription is dropped");
            continue;
        }
        let wire = call_to_proto(info.id.as_ref(), &call, Format::of(info));
        match caller.call(&wire).await {
            Ok(()) => {}
            // The call is wrong, but the subscription is intact.
            Err(ClientError::Refused { status: 400 | 409 | 501, message }) => {
                tracing::error!("the master refuses a call: {message}")
            }
            Err(error) => return Over::Lost(chain(&error)),
        }
    }
    Over::Dropped
}

/// Formats an error with its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use holdfast_model::FrameworkId;
    use holdfast_wire::{LeadershipState, Refusal};

    use super::*;
    use crate::net::testbed::{framework, soon, MasterBed};

    fn open(masters: Vec<String>) -> Session {
        Session::open(SessionOptions::new(masters, framework()))
    }

    fn id(name: &str) -> FrameworkId {
        FrameworkId::made(name.to_owned())
    }

    async fn next(session: &mut Session) -> SessionEvent {
        soon("something is heard", session.next()).await
    }

    #[tokio::test]
    async fn an_address_at_which_no_masters_can_meet_ends_the_session_with_the_reason() {
        let mut session = open(vec!["zk://127.0.0.1:1".to_owned()]);
        let SessionEvent::Ended(why) = session.next().await else { panic!("it goes on") };
        assert!(why.contains("zk://HOST:2181/holdfast"), "{why}");
    }

    #[tokio::test]
    async fn events_come_in_and_calls_go_out_in_order() {
        let mut master = MasterBed::open().await;
        let mut session = open(vec![master.address()]);
        let subscription = master.subscription().await;
        assert_eq!(subscription.info, framework());
        subscription.welcome("f-1");
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        let rescind = Event::Rescind(holdfast_model::OfferId::made("o".to_owned()));
        subscription.send(&rescind);
        assert_eq!(next(&mut session).await, SessionEvent::Event(rescind));
        let calls = [
            Call::Revive(Default::default()),
            Call::Suppress(Default::default()),
            Call::Reconcile(Vec::new()),
            Call::Teardown,
        ];
        for call in &calls {
            session.send(call.clone()).await;
        }
        for call in calls {
            assert_eq!(master.call().await, call);
        }
        drop(session);
        subscription.gone().await;
    }

    #[tokio::test]
    async fn a_broken_subscription_is_made_again_and_calls_of_the_old_one_are_dropped() {
        let mut master = MasterBed::open().await;
        let mut session = open(vec![master.address()]);
        let first = master.subscription().await;
        first.welcome("f-1");
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        drop(first);
        let second = master.subscription().await;
        assert_eq!(second.info.id, Some(id("f-1")), "the framework comes back under its name");
        second.welcome("f-1");
        session.send(Call::Teardown).await; // This belongs to the first subscription, whose end was not taken yet.
        assert_eq!(next(&mut session).await, SessionEvent::Disconnected);
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        session.send(Call::Suppress(Default::default())).await;
        assert_eq!(master.call().await, Call::Suppress(Default::default()));
        assert_eq!(master.calls_so_far(), []);
    }

    #[tokio::test]
    async fn the_leader_is_found_among_the_dead_and_the_standing_by() {
        let dead = MasterBed::open().await;
        let (standby, mut leader) = (MasterBed::open().await, MasterBed::open().await);
        standby.stand(LeadershipState::Standby { leader: Some(leader.address()) });
        let masters = vec![dead.address(), standby.address()];
        dead.close().await;
        let mut session = open(masters);
        let subscription = leader.subscription().await;
        subscription.welcome("f-1");
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        session.send(Call::Teardown).await;
        assert_eq!(leader.call().await, Call::Teardown);
    }

    #[tokio::test]
    async fn a_new_leader_is_found_when_the_old_one_is_gone() {
        let (mut old, mut new) = (MasterBed::open().await, MasterBed::open().await);
        new.stand(LeadershipState::Standby { leader: None });
        let mut session = open(vec![old.address(), new.address()]);
        let subscription = old.subscription().await;
        subscription.welcome("f-1");
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        old.close().await;
        assert_eq!(next(&mut session).await, SessionEvent::Disconnected);
        new.stand(LeadershipState::Leading { address: new.address() });
        let subscription = new.subscription().await;
        assert_eq!(subscription.info.id, Some(id("f-1")));
    }

    #[tokio::test]
    async fn h8_silence_counts_as_broken() {
        let mut master = MasterBed::open().await;
        let mut session = open(vec![master.address()]);
        let silent = master.subscription().await;
        silent.send_beating(&Event::Subscribed(id("f-1")), 20); // The server's own heartbeats come every 15 s.
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        assert_eq!(next(&mut session).await, SessionEvent::Disconnected);
        master.subscription().await.welcome("f-1");
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        silent.gone().await;
    }

    #[tokio::test]
    async fn h23_an_error_ends_the_session_for_good() {
        let mut master = MasterBed::open().await;
        let mut session = open(vec![master.address()]);
        let subscription = master.subscription().await;
        subscription.welcome("f-1");
        subscription.send(&Event::Error("Framework failed over".to_owned()));
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        assert_eq!(
            next(&mut session).await,
            SessionEvent::Ended("Framework failed over".to_owned())
        );
        let mut session = open(vec![master.address()]);
        master.subscription().await.send(&Event::Error("Framework has been removed".to_owned()));
        assert_eq!(
            next(&mut session).await,
            SessionEvent::Ended("Framework has been removed".to_owned())
        );
    }

    #[tokio::test]
    async fn a_master_that_cannot_yet_is_asked_again_and_one_that_will_not_is_believed() {
        let mut master = MasterBed::open().await;
        master.refuse(Some(Refusal::unavailable("not yet")));
        let mut session = open(vec![master.address()]);
        master.refuse(None);
        master.subscription().await.welcome("f-1");
        assert_eq!(next(&mut session).await, SessionEvent::Event(Event::Subscribed(id("f-1"))));
        master.refuse(Some(Refusal::bad_request("framework_info.roles: no")));
        let mut session = open(vec![master.address()]);
        assert_eq!(
            next(&mut session).await,
            SessionEvent::Ended("framework_info.roles: no".to_owned())
        );
    }
}
