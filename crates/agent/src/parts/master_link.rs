//! The link to the master: how far it has come, what came too early, and what the master is still to be told on it.
//!
//! Only the newest link counts. Never forgets with a link what counts over links: which operations were heard of.

use std::collections::BTreeSet;

use holdfast_model::{LinkId, OperationUuid, Order, ToAgent, ToMaster};

use super::seen::Seen;

/// How many orders may come before the welcome.
const EARLY_ORDERS_MAX: usize = 4096;

/// How many names of operations are remembered, so that an order that comes twice is done once.
const SEEN_OPERATIONS_MAX: usize = 4096;

/// Why the master shall have a report at the end of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportWish {
    /// Something has changed that it has not asked for.
    News,
    /// It cannot wait; `when` ends a sentence that begins with "when".
    Now { when: &'static str },
}

/// What is to be done with a message of the master.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It came on a link that is not the newest.
    Stale,
    /// It can be looked at; the master has proved to be of this cluster if `welcomed`.
    Message { message: ToAgent, welcomed: bool },
    /// It waits for the welcome.
    Early,
    /// So many orders wait for the welcome that the master cannot mean well.
    TooMany(usize),
}

#[derive(Debug)]
struct Current {
    link: LinkId,
    /// How many orders came on it: everything that the master sends on a link except [`Order::Ping`].
    orders_seen: u64,
    /// Whether the master has proved to be of this cluster.
    welcomed: bool,
    /// Orders that came before the welcome; they are obeyed after it.
    early: Vec<ToAgent>,
    /// Something ended after the report on this link and before its welcome, which nobody tells again.
    untold: bool,
    wish: Option<ReportWish>,
}

/// See the file.
#[derive(Debug, Default)]
pub(crate) struct MasterLink {
    current: Option<Current>,
    newest: Option<LinkId>,
    /// Operations that a report of this link called pending.
    reported_pending: BTreeSet<OperationUuid>,
    seen_operations: Seen<OperationUuid, SEEN_OPERATIONS_MAX>,
}

impl MasterLink {
    /// The newest link, while it stands.
    pub(crate) fn link(&self) -> Option<LinkId> {
        self.current.as_ref().map(|it| it.link)
    }

    /// The same, once the master has proved to be of this cluster.
    pub(crate) fn welcomed(&self) -> Option<LinkId> {
        self.current.as_ref().filter(|it| it.welcomed).map(|it| it.link)
    }

    /// How many orders came on the link.
    pub(crate) fn orders_seen(&self) -> u64 {
        self.current.as_ref().map_or(0, |it| it.orders_seen)
    }

    /// Whether a link is older than one that was seen.
    pub(crate) fn is_outdated(&self, link: LinkId) -> bool {
        self.newest.is_some_and(|newest| link <= newest)
    }

    /// A link stands; what was true of the old one, if any, is over.
    pub(crate) fn connect(&mut self, link: LinkId) {
        self.disconnect();
        self.newest = Some(link);
        self.current = Some(Current {
            link,
            orders_seen: 0,
            welcomed: false,
            early: Vec::new(),
            untold: false,
            wish: None,
        });
    }

    /// The link is over; names it if it stood.
    pub(crate) fn disconnect(&mut self) -> Option<LinkId> {
        self.reported_pending.clear();
        self.current.take().map(|it| it.link)
    }

    /// Takes a message in: counts it, and keeps what comes before the welcome and has to wait for it.
    pub(crate) fn hear(&mut self, link: LinkId, message: ToAgent) -> Admission {
        let Some(current) = self.current.as_mut().filter(|it| it.link == link) else {
            return Admission::Stale;
        };
        if !matches!(message.order, Order::Ping { .. }) {
            current.orders_seen += 1;
        }
        let at_once = matches!(
            message.order,
            Order::Registered(..)
                | Order::Refused(_)
                | Order::ShutDown { .. }
                | Order::Recover { .. }
                | Order::Ping { .. }
                | Order::Resync
        );
        if current.welcomed || at_once {
            return Admission::Message { message, welcomed: current.welcomed };
        }
        if EARLY_ORDERS_MAX <= current.early.len() {
            return Admission::TooMany(EARLY_ORDERS_MAX);
        }
        current.early.push(message);
        Admission::Early
    }

    /// The master has proved to be of this cluster. Orders that came too early are to be obeyed now, and if something ended that
    /// nobody tells again, a report is wanted.
    pub(crate) fn welcome(&mut self) -> Vec<ToAgent> {
        let current = self.current.as_mut().expect("a welcome comes on the link that stands");
        current.welcomed = true;
        let early = std::mem::take(&mut current.early);
        if std::mem::take(&mut current.untold) {
            self.want_report(ReportWish::News);
        }
        early
    }

    /// The link that a message goes to. Without one, it is noted if nobody tells it again.
    pub(crate) fn address(&mut self, message: &ToMaster) -> Option<LinkId> {
        let link = self.welcomed();
        if let (None, Some(current)) = (link, &mut self.current) {
            current.untold |= is_told_once(message);
        }
        link
    }

    /// The master shall have a report at the end of the step, if there is a link by then.
    pub(crate) fn want_report(&mut self, wish: ReportWish) {
        if let Some(current) = &mut self.current {
            if !matches!(current.wish, Some(ReportWish::Now { .. })) {
                current.wish = Some(wish);
            }
        }
    }

    /// Whether the master is about to be told everything.
    pub(crate) fn is_report_wanted(&self) -> bool {
        self.current.as_ref().is_some_and(|it| it.wish.is_some())
    }

    pub(crate) fn take_wish(&mut self) -> Option<ReportWish> {
        self.current.as_mut()?.wish.take()
    }

    /// A report has called these operations pending.
    pub(crate) fn note_pending(&mut self, operations: impl Iterator<Item = OperationUuid>) {
        self.reported_pending = operations.collect();
    }

    /// An operation is settled. If the master was told how things were before, it is told how they are now.
    pub(crate) fn note_settled(&mut self, operation: OperationUuid) {
        if self.reported_pending.remove(&operation) {
            self.want_report(ReportWish::News);
        }
    }

    /// Notes an operation's name; says whether it is new.
    pub(crate) fn note_operation(&mut self, uuid: OperationUuid) -> bool {
        self.seen_operations.note(uuid)
    }
}

/// Whether a message is never told again: nobody acknowledges it.
fn is_told_once(message: &ToMaster) -> bool {
    match message {
        ToMaster::ExecutorExited { .. } => true,
        ToMaster::TaskUpdate { status, .. } => status.uuid.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::Term;
    use uuid::Uuid;

    const NOW: ReportWish = ReportWish::Now { when: "it was asked for" };

    fn order(order: Order) -> ToAgent {
        ToAgent { term: Term(1), order }
    }

    #[test]
    fn what_comes_before_the_welcome_is_kept_for_it() {
        let mut master = MasterLink::default();
        master.connect(LinkId(1));
        assert!(master.is_outdated(LinkId(1)) && !master.is_outdated(LinkId(2)));
        let message = order(Order::ShutdownFramework(crate::testbed::framework_id()));
        assert_eq!(master.hear(LinkId(0), message.clone()), Admission::Stale);
        assert_eq!(master.hear(LinkId(1), message.clone()), Admission::Early);
        assert!(matches!(
            master.hear(LinkId(1), order(Order::Ping { number: 1, acknowledged: 0 })),
            Admission::Message { welcomed: false, .. }
        ));
        assert_eq!(master.orders_seen(), 1, "pings do not count");
        assert_eq!((master.welcomed(), master.welcome()), (None, vec![message]));
        assert_eq!((master.welcomed(), master.welcome()), (Some(LinkId(1)), vec![]));
    }

    #[test]
    fn what_cannot_wait_is_not_forgotten_for_news_and_ends_with_the_link() {
        let mut master = MasterLink::default();
        master.want_report(NOW);
        assert_eq!(master.take_wish(), None, "nobody is there");
        master.connect(LinkId(1));
        master.want_report(NOW);
        master.want_report(ReportWish::News);
        assert_eq!((master.take_wish(), master.take_wish()), (Some(NOW), None));
        master.want_report(NOW);
        master.connect(LinkId(2));
        assert_eq!(master.take_wish(), None);
    }

    #[test]
    fn an_operation_that_was_reported_pending_is_news_when_it_is_settled() {
        let (mut master, uuid) = (MasterLink::default(), OperationUuid(Uuid::from_u128(1)));
        master.connect(LinkId(1));
        master.note_settled(uuid);
        assert_eq!(master.take_wish(), None);
        master.note_pending([uuid].into_iter());
        master.note_settled(uuid);
        assert_eq!(master.take_wish(), Some(ReportWish::News));
        master.note_settled(uuid);
        assert_eq!(master.take_wish(), None);
        assert!(master.note_operation(uuid) && !master.note_operation(uuid));
    }
}
