//! What was said on one agent's link: the orders that were sent, what waits for an answer, the pings, and what it was told to forget.
//! Nobody but the core reads it, so it is not published.
//!
//! Relies on agents counting the orders they have seen: a report is believed only when its agent had seen all that was sent. While such an
//! answer is awaited, orders are queued, so that a busy link cannot keep an agent from ever being believed.

use std::collections::{BTreeSet, VecDeque};

use holdfast_model::{LedgerPoint, LinkId, OperationUuid, Order, TaskKey};

/// How many orders are queued for one agent.
const QUEUED_MAX: usize = 4096;
/// How many of the operations that an agent was told to forget are remembered.
const ACKNOWLEDGED_MAX: usize = 256;
/// How many of them may be messages, which are large and promised to nobody.
const MESSAGES_MAX: usize = 16;

/// What became of an order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It goes out on this link now.
    On(LinkId, Order),
    /// It waits until the agent has told everything again.
    Queued,
    /// The agent is not connected, or too much waits for it already.
    Lost,
}

/// What was said on an agent's link.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Orders sent on this link, pings not counted.
    orders_sent: u64,
    /// `orders_sent` when the agent was last asked to tell everything again, while the answer is still to come.
    asked: Option<u64>,
    /// Whether the agent, which is of an older version, passed over an order on this link.
    passed_over: bool,
    /// Orders that wait for that answer: were they sent, it would be out of date when it comes.
    queued: Vec<Order>,
    /// Tasks that were forgotten since it was asked, which the answer may still name.
    forgotten: BTreeSet<TaskKey>,
    /// The number of the last ping, and how many in a row were not answered.
    ping: (u64, u32),
    /// Operations that the agent was told to forget, the newest last. It may not hear it the first time, so they outlive the link.
    acknowledged: VecDeque<OperationUuid>,
    /// Its ledger as it was when it told of it last.
    heard: Option<LedgerPoint>,
}

impl Session {
    /// The agent speaks on another link from now on. Whatever waited for an answer on the former one must have been taken first, see
    /// [`Session::abandon`].
    pub(super) fn begin(&mut self) {
        assert!(
            self.queued.is_empty(),
            "nothing waits for an answer on a link that is not open yet"
        );
        (self.orders_sent, self.ping, self.passed_over) = (0, (0, 0), false);
    }

    /// It told of its ledger, which was so.
    pub(super) fn hears(&mut self, point: Option<LedgerPoint>) {
        self.heard = point;
    }

    pub(super) fn heard(&self) -> Option<LedgerPoint> {
        self.heard
    }

    /// The agent passed over an order that it does not know.
    pub(super) fn passes_over(&mut self) {
        self.passed_over = true;
    }

    pub(super) fn has_passed_over(&self) -> bool {
        self.passed_over
    }

    pub(super) fn orders_sent(&self) -> u64 {
        self.orders_sent
    }

    pub(super) fn asked(&self) -> Option<u64> {
        self.asked
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> &[Order] {
        &self.queued
    }

    #[cfg(test)]
    pub(super) fn forgotten(&self) -> &BTreeSet<TaskKey> {
        &self.forgotten
    }

    /// Counts an order that goes out on `link`, or queues it while an answer is awaited.
    pub(super) fn order(&mut self, link: LinkId, order: Order) -> Sent {
        if matches!(order, Order::Ping { .. }) {
            return Sent::On(link, order);
        }
        if self.asked.is_some() {
            return self.queue(order);
        }
        self.orders_sent += 1;
        Sent::On(link, order)
    }

    fn queue(&mut self, order: Order) -> Sent {
        let is_message = |it: &Order| matches!(it, Order::ExecutorMessage(..));
        let many_messages = is_message(&order)
            && MESSAGES_MAX <= self.queued.iter().filter(|it| is_message(it)).count();
        if many_messages || QUEUED_MAX <= self.queued.len() {
            return Sent::Lost;
        }
        self.queued.push(order);
        Sent::Queued
    }

    /// The order that was just sent asks the agent to tell everything again.
    pub(super) fn ask(&mut self) {
        self.asked = Some(self.orders_sent);
    }

    /// A report came that has seen `orders_seen` of our orders, and is out of date. It is the awaited answer if it has seen the question;
    /// then another one may be asked.
    pub(super) fn answered_late(&mut self, orders_seen: u64) {
        self.asked = self.asked.filter(|asked| orders_seen < *asked);
    }

    /// The answer came.
    pub(super) fn answered(&mut self) {
        self.asked = None;
    }

    /// A task was forgotten that the answer may still name.
    pub(super) fn forget(&mut self, task: &TaskKey) {
        if self.asked.is_some() {
            self.forgotten.insert(task.clone());
        }
    }

    /// What the answer might have named matters no more.
    pub(super) fn take_forgotten(&mut self) -> BTreeSet<TaskKey> {
        std::mem::take(&mut self.forgotten)
    }

    pub(super) fn take_queued(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.queued)
    }

    /// The answer will not come on this link; returns what waited for it.
    pub(super) fn abandon(&mut self) -> Vec<Order> {
        self.asked = None;
        self.forgotten.clear();
        self.take_queued()
    }

    /// Notes that the agent was told to forget an operation.
    pub(super) fn acknowledge(&mut self, uuid: OperationUuid) {
        if ACKNOWLEDGED_MAX <= self.acknowledged.len() {
            self.acknowledged.pop_front();
        }
        self.acknowledged.push_back(uuid);
    }

    pub(super) fn was_acknowledged(&self, uuid: &OperationUuid) -> bool {
        self.acknowledged.contains(uuid)
    }

    /// How many pings in a row were not answered.
    pub(super) fn pings_missed(&self) -> u32 {
        self.ping.1
    }

    /// The number of the next ping, which is not answered yet.
    pub(super) fn next_ping(&mut self) -> u64 {
        self.ping = (self.ping.0 + 1, self.ping.1 + 1);
        self.ping.0
    }

    /// A late answer is an answer too: what it leaves open are the pings after it.
    pub(super) fn pong(&mut self, number: u64) {
        if number <= self.ping.0 {
            let open = u32::try_from(self.ping.0 - number).unwrap_or(u32::MAX);
            self.ping.1 = self.ping.1.min(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{ExecutorId, FrameworkId, TaskId};
    use uuid::Uuid;

    const LINK: LinkId = LinkId(1);
    const PING: Order = Order::Ping { number: 1, acknowledged: 0 };

    fn message() -> Order {
        let (framework, executor) =
            (FrameworkId::made("f".to_owned()), ExecutorId::made("e".to_owned()));
        Order::ExecutorMessage(framework, executor, Vec::new())
    }

    #[test]
    fn orders_are_counted_and_pings_are_not() {
        let mut session = Session::default();
        assert_eq!(session.order(LINK, Order::Resync), Sent::On(LinkId(1), Order::Resync));
        assert_eq!(session.order(LINK, PING), Sent::On(LinkId(1), PING));
        assert_eq!(session.orders_sent(), 1);
        session.begin();
        assert_eq!(session.orders_sent(), 0);
    }

    #[test]
    fn orders_wait_for_an_answer_and_few_of_them_are_messages() {
        let mut session = Session::default();
        session.order(LINK, Order::Resync);
        session.ask();
        let sent = (0..MESSAGES_MAX + 1).map(|_| session.order(LINK, message()));
        assert_eq!(sent.filter(|it| *it == Sent::Queued).count(), MESSAGES_MAX);
        assert_eq!(session.order(LINK, Order::Resync), Sent::Queued);
        assert_eq!((session.queued().len(), session.orders_sent()), (MESSAGES_MAX + 1, 1));
        session.answered();
        assert_eq!(session.take_queued().len(), MESSAGES_MAX + 1);
    }

    #[test]
    fn only_an_answer_that_has_seen_the_question_ends_the_wait() {
        let mut session = Session::default();
        session.order(LINK, Order::Resync);
        session.ask();
        session.answered_late(0);
        assert_eq!(session.asked(), Some(1));
        session.answered_late(1);
        assert_eq!(session.asked(), None);
    }

    #[test]
    fn tasks_are_remembered_as_forgotten_while_an_answer_is_awaited() {
        let key = (FrameworkId::made("f".to_owned()), TaskId::made("t".to_owned()));
        let mut session = Session::default();
        session.forget(&key);
        assert!(session.forgotten().is_empty());
        session.ask();
        session.forget(&key);
        assert_eq!(session.take_forgotten().len(), 1);
        session.forget(&key);
        assert!(session.abandon().is_empty() && session.forgotten().is_empty());
    }

    #[test]
    fn the_newest_of_many_acknowledged_operations_are_remembered() {
        let mut session = Session::default();
        let uuid = |number: usize| OperationUuid(Uuid::from_u128(number as u128));
        (0..ACKNOWLEDGED_MAX + 1).for_each(|it| session.acknowledge(uuid(it)));
        assert!(!session.was_acknowledged(&uuid(0)));
        assert!(session.was_acknowledged(&uuid(1)));
    }

    #[test]
    fn a_late_pong_leaves_the_later_pings_open() {
        let mut session = Session::default();
        assert_eq!([session.next_ping(), session.next_ping(), session.next_ping()], [1, 2, 3]);
        session.pong(9); // Never sent.
        assert_eq!(session.pings_missed(), 3);
        session.pong(2);
        assert_eq!(session.pings_missed(), 1);
        session.pong(1);
        assert_eq!(session.pings_missed(), 1);
    }
}
