//! Byzantine peers: strangers who call out of order, under others' ids, with stale offers and
//! absurd amounts, and who pose as agents. They may harm themselves; they stop nobody.
//!
//! It relies on what any peer on the network can send: typed messages on links of their own. The
//! outcome that a message must have travels with it ([`Bad`]), and rule L2 checks the answer. A
//! peer never sends what the honest owner of an id could have sent: without authentication nobody
//! can tell the two apart.

mod lies;
mod talk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_master::{Effect, Input, RequestId};
use holdfast_model::{
    AgentId, Call, CallerIdentity, Event, FrameworkCall, FrameworkId, LinkId, NodeId, Offer,
    OfferId, OperatorCall, Order, StatusUuid, TaskId, ToAgent, ToMaster,
};

use crate::agenda::{AgendaEntry, Message, Node, ANY_LIFE};
use crate::fact::Fact;
use crate::links::Side;
use crate::rng::Rng;
use crate::rules::l2_answers::{judge, Bad};
use crate::world::World;

/// Byzantine peers are numbered from here on among frameworks.
pub(crate) const FIRST: usize = 1_000;
/// The number of offers that a byzantine peer remembers.
const OFFERS_MAX: usize = 40;
/// The principal of every byzantine peer, by which an operator recognizes them.
const PRINCIPAL: &str = "rogue";

/// A byzantine peer, with the links and names that it uses.
#[derive(Debug)]
pub(crate) struct ByzantinePeer {
    rng: Rng,
    /// Links on which it poses as a framework, and the id that it was given there.
    sessions: BTreeMap<u64, Option<FrameworkId>>,
    /// Links on which it poses as an agent.
    posts: BTreeSet<u64>,
    /// The framework id that it was given.
    own: Option<FrameworkId>,
    /// The agent id that it was given.
    agent: Option<AgentId>,
    node: NodeId,
    /// Offers made to it that it has not answered.
    offers: VecDeque<Offer>,
    /// Offers that it has answered, and others' that it has overheard.
    stale: VecDeque<OfferId>,
    statuses: VecDeque<(AgentId, TaskId, StatusUuid)>,
    /// Counts the names that it made.
    count: u64,
    /// The number of valid requests that it made.
    wished: u64,
}

impl ByzantinePeer {
    pub(crate) fn new(mut rng: Rng) -> ByzantinePeer {
        let node = NodeId(holdfast_model::IdSource::fresh(&mut rng));
        ByzantinePeer {
            rng,
            sessions: BTreeMap::new(),
            posts: BTreeSet::new(),
            own: None,
            agent: None,
            node,
            offers: VecDeque::new(),
            stale: VecDeque::new(),
            statuses: VecDeque::new(),
            count: 0,
            wished: 0,
        }
    }

    fn fresh_name(&mut self) -> String {
        self.count += 1;
        format!("r{}", self.count)
    }

    /// Notes an offer to somebody else.
    pub(crate) fn overhear(&mut self, offers: &[Offer]) {
        for offer in offers {
            self.stale.push_back(offer.id.clone());
            if OFFERS_MAX < self.stale.len() {
                self.stale.pop_front();
            }
        }
    }

    fn forget(&mut self, link: u64) {
        self.sessions.remove(&link);
        self.posts.remove(&link);
    }
}

impl World {
    /// A byzantine peer acts.
    pub(crate) fn byzantine_acts(&mut self, index: usize) {
        let pause_ms = self.byzantine_peers[index].rng.between(200, 2_500);
        self.agenda.after(
            pause_ms,
            Node::ByzantinePeer(index),
            ANY_LIFE,
            AgendaEntry::ActByzantine,
        );
        if !self.is_storm() {
            return self.leave_byzantine(index);
        }
        let lead = self.byzantine_peers[index].rng.below(10);
        if lead < 7 {
            self.annoy_as_framework(index);
        } else {
            self.annoy_as_agent(index);
        }
    }

    /// Ends the peer after the storm: it disconnects, and an operator removes what it left.
    fn leave_byzantine(&mut self, index: usize) {
        let byzantine = &mut self.byzantine_peers[index];
        let links: Vec<u64> = std::mem::take(&mut byzantine.sessions)
            .into_keys()
            .chain(std::mem::take(&mut byzantine.posts))
            .collect();
        if !links.is_empty() {
            return links
                .into_iter()
                .for_each(|link| self.links.close(&mut self.agenda, link, Side::Client));
        }
        let Some((leader, _)) = self.election.leader else { return };
        let left = self
            .journal
            .ledger
            .frameworks
            .values()
            .filter(|it| !it.removed && it.info.principal.as_deref() == Some(PRINCIPAL));
        let left: Vec<FrameworkId> = left.filter_map(|it| it.info.id.clone()).collect();
        let life = self.masters[leader].process.life;
        left.into_iter().for_each(|id| {
            self.agenda.after(1, Node::Master(leader), life, AgendaEntry::TearDown(id))
        });
    }

    pub(crate) fn tear_down(&mut self, master: usize, id: FrameworkId) {
        self.step_master(
            master,
            Input::FromOperator(
                RequestId(u64::MAX),
                CallerIdentity::Anonymous,
                OperatorCall::Teardown(id),
            ),
        );
    }

    /// Connects a byzantine peer to the leader, or now and then to a master that only believes that
    /// it leads.
    fn byzantine_link(&mut self, index: usize) -> Option<u64> {
        let leader = self.election.leader.map(|(leader, _)| leader);
        let rng = &mut self.byzantine_peers[index].rng;
        let master =
            if rng.one_in(8) { rng.below(self.masters.len() as u64) as usize } else { leader? };
        let process = &self.masters[master].process;
        if !process.up || self.masters[master].core.is_none() {
            return None;
        }
        Some(self.links.open(
            self.agenda.now,
            (Node::ByzantinePeer(index), 0),
            (Node::Master(master), process.life),
        ))
    }

    /// Sends a byzantine peer's message on a link.
    fn byzantine_says(&mut self, index: usize, link: u64, bad: Bad, message: Message) {
        if let Message::FromFramework(call) = &message {
            if is_own_call(bad) {
                self.rules_see(&Fact::FrameworkCalls { framework: FIRST + index, call });
            }
        }
        self.links.send(
            &mut self.agenda,
            link,
            Side::Client,
            Message::FromByzantinePeer(bad, Box::new(message)),
        );
    }

    /// Delivers a byzantine peer's message to a master.
    pub(crate) fn master_hears_byzantine(
        &mut self,
        index: usize,
        link: u64,
        bad: Bad,
        message: Message,
    ) {
        let byzantine = self.links.client_of(link).and_then(byzantine_number).unwrap_or_default();
        let input = match message {
            Message::FromFramework(call) => {
                if is_own_call(bad) {
                    self.rules_see(&Fact::MasterHears {
                        master: index,
                        framework: FIRST + byzantine,
                        call: &call,
                    });
                }
                Input::FromFramework(LinkId(link), CallerIdentity::Anonymous, *call)
            }
            Message::FromAgent(message) => Input::FromAgent(LinkId(link), message),
            _ => return,
        };
        let Some(effects) = self.think_master(index, input.clone()) else { return };
        // A deposed leader may not know what the journal knows; whatever it answers changes
        // nothing.
        if self.leads(index).1 {
            self.judge_byzantine(link, bad, &input, &effects);
        }
        self.carry_out_master(index, effects);
    }

    fn judge_byzantine(&mut self, link: u64, bad: Bad, input: &Input, effects: &[Effect]) {
        if let Err(why) = judge(LinkId(link), bad, input, effects) {
            self.violate("L2", why);
        }
    }

    /// Delivers an event to a byzantine peer.
    pub(crate) fn byzantine_hears(&mut self, index: usize, link: u64, message: Message) {
        let (term, leads) = match self.links.end(link, Side::Server).map(|it| it.node) {
            Some(Node::Master(master)) => self.leads(master),
            _ => (None, false),
        };
        match message {
            Message::ToFramework(event) => {
                self.rules_see(&Fact::FrameworkHears {
                    framework: FIRST + index,
                    term: term.unwrap_or_default(),
                    leads,
                    event: &event,
                });
                self.byzantine_peers[index].note(link, event);
            }
            Message::ToAgent(ToAgent { order: Order::Registered(agent, _), .. }) => {
                self.byzantine_peers[index].agent = Some(agent)
            }
            _ => {}
        }
    }

    /// Ends a byzantine peer's link at one end.
    pub(crate) fn byzantine_noticed(&mut self, node: Node, byzantine: usize, link: u64) {
        let Node::Master(index) = node else { return self.byzantine_peers[byzantine].forget(link) };
        self.rules_see(&Fact::MasterLoses { master: index, framework: FIRST + byzantine });
        self.step_master(index, Input::FrameworkLost(LinkId(link)));
        self.step_master(index, Input::AgentLost(LinkId(link)));
    }

    fn say_call(
        &mut self,
        index: usize,
        link: u64,
        bad: Bad,
        framework: Option<FrameworkId>,
        call: Call,
    ) {
        self.byzantine_says(
            index,
            link,
            bad,
            Message::FromFramework(Box::new(FrameworkCall { framework, call })),
        );
    }

    fn say_as_agent(&mut self, index: usize, link: u64, bad: Bad, message: ToMaster) {
        self.byzantine_says(index, link, bad, Message::FromAgent(message));
    }
}

impl ByzantinePeer {
    fn note(&mut self, link: u64, event: Event) {
        match event {
            Event::Subscribed(id) => {
                self.own = Some(id.clone());
                self.sessions.entry(link).and_modify(|it| *it = Some(id));
                self.offers.clear();
            }
            Event::Offers(offers) => {
                self.offers.extend(offers);
                while OFFERS_MAX < self.offers.len() {
                    let old = self.offers.pop_front();
                    self.stale.extend(old.map(|it| it.id));
                }
            }
            Event::Rescind(id) => {
                self.offers.retain(|it| it.id != id);
                self.stale.push_back(id);
            }
            Event::Update(status) => {
                if let (Some(agent), Some(uuid)) = (status.agent, status.uuid) {
                    self.statuses.push_back((agent, status.task, uuid));
                }
                if OFFERS_MAX < self.statuses.len() {
                    self.statuses.pop_front();
                }
            }
            _ => {}
        }
    }
}

/// The number of the byzantine peer at a node.
pub(crate) fn byzantine_number(node: Node) -> Option<usize> {
    match node {
        Node::ByzantinePeer(index) => Some(index),
        _ => None,
    }
}

/// Whether the call is one that the peer could make honestly: rules count its effects like any
/// other's.
fn is_own_call(bad: Bad) -> bool {
    matches!(bad, Bad::Anything | Bad::Accept)
}
