//! How agents and frameworks find the leader: news that comes late, links that belong to one term,
//! and old leaders who still answer.
//!
//! It relies on the election for the truth, which reaches clients by and by. A client never learns
//! more than it would in the real world.

use holdfast_agent as agent;
use holdfast_model::{LinkId, Term};

use crate::agenda::{AgendaEntry, Node, ANY_LIFE};
use crate::world::World;

/// A client of the masters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// Its link, while it believes that to be open.
    pub(crate) link: Option<u64>,
    /// The leader that it believes in.
    pub(crate) believes: Option<(usize, Term)>,
    /// Whether it will try again.
    pub(crate) trying: bool,
}

impl Client {
    pub(crate) fn forget_link(&mut self) {
        (self.link, self.trying) = (None, false);
    }
}

impl World {
    /// Lists all agents and frameworks.
    pub(crate) fn clients(&self) -> impl Iterator<Item = Node> {
        (0..self.machines.len())
            .map(Node::Machine)
            .chain((0..self.frameworks.len()).map(Node::Framework))
    }

    /// A client and the life of its process, while that runs.
    pub(crate) fn client(&mut self, node: Node) -> Option<(&mut Client, u64)> {
        let (process, client) = match node {
            Node::Machine(index) => {
                let machine = &mut self.machines[index];
                (&machine.process, &mut machine.client)
            }
            Node::Framework(index) => {
                let framework = &mut self.frameworks[index];
                (&framework.process, &mut framework.client)
            }
            _ => return None,
        };
        process.up.then_some((client, process.life))
    }

    /// A client hears who leads. News of an older term is no news.
    pub(crate) fn hear_news(&mut self, node: Node, leader: usize, term: Term) {
        let Some((client, _)) = self.client(node) else { return };
        if client.believes.is_some_and(|(_, known)| term <= known) {
            return;
        }
        client.believes = Some((leader, term));
        self.leave_link(node);
        self.follow(node);
    }

    /// A client hangs up by itself.
    pub(crate) fn leave_link(&mut self, node: Node) {
        let Some((client, _)) = self.client(node) else { return };
        let Some(link) = client.link.take() else { return };
        self.links.close(&mut self.agenda, link, crate::links::Side::Client);
        self.link_lost(node, link);
    }

    /// Notifies a client's core that its link is gone.
    fn link_lost(&mut self, node: Node, link: u64) {
        match node {
            Node::Machine(index) => self.step_agent(index, agent::Input::MasterLost(LinkId(link))),
            Node::Framework(index) => self.disconnected(index),
            _ => {}
        }
    }

    /// A client notices that its link is gone.
    pub(crate) fn client_noticed(&mut self, node: Node, link: u64) {
        let Some((client, _)) = self.client(node) else { return };
        if client.link == Some(link) {
            client.link = None;
            self.link_lost(node, link);
            self.follow_later(node);
        }
    }

    pub(crate) fn follow_later(&mut self, node: Node) {
        let late_ms = self.delay_ms(20, 1_000, 20);
        let Some((client, life)) = self.client(node) else { return };
        if !std::mem::replace(&mut client.trying, true) {
            self.agenda.after(late_ms, node, life, AgendaEntry::Follow);
        }
    }

    /// A client connects to whoever it believes leads.
    pub(crate) fn follow(&mut self, node: Node) {
        let leader = self.election.leader;
        let asks_again = self.rng.one_in(3);
        let Some((client, _)) = self.client(node) else { return };
        client.trying = false;
        if client.link.is_some() {
            return;
        }
        if client.believes.is_none() || asks_again {
            client.believes = leader.or(client.believes);
        }
        self.connect(node);
    }

    fn connect(&mut self, node: Node) {
        let leader = self.election.leader;
        let Some((client, life)) = self.client(node) else { return };
        let Some((index, _)) = client.believes else { return self.follow_later(node) };
        if !self.masters[index].process.up || self.masters[index].core.is_none() {
            if let Some((client, _)) = self.client(node) {
                client.believes = leader;
            }
            return self.follow_later(node);
        }
        let server = (Node::Master(index), self.masters[index].process.life);
        let link = self.links.open(self.agenda.now, (node, life), server);
        if let Some((client, _)) = self.client(node) {
            client.link = Some(link);
        }
        match node {
            Node::Machine(index) => {
                self.step_agent(index, agent::Input::MasterLinked(LinkId(link)))
            }
            Node::Framework(index) => self.subscribe(index),
            _ => {}
        }
    }

    /// A client goes back to an old leader that still believes, if there is one.
    pub(crate) fn mislead(&mut self, node: Node) -> bool {
        if self.process(node).is_none_or(|it| !it.up || it.paused_until.is_some()) {
            return false;
        }
        let present = self.election.leader.map(|(leader, _)| leader);
        let believers = (0..self.masters.len()).filter(|it| Some(*it) != present);
        let zombie = believers
            .filter_map(|it| self.masters[it].core.as_ref().map(|(term, _)| (it, *term)))
            .next();
        let (Some((zombie, old)), Some((client, _))) = (zombie, self.client(node)) else {
            return false;
        };
        client.believes = Some((zombie, old)); // Later news is news again.
        self.note(|| format!("{node} goes back to master {zombie} of term {old}"));
        self.leave_link(node);
        self.connect(node);
        let (Some((leader, term)), late_ms) =
            (self.election.leader, self.delay_ms(300, 4_000, 300))
        else {
            return true;
        };
        self.agenda.after(late_ms, node, ANY_LIFE, AgendaEntry::News(leader, term));
        true
    }
}
