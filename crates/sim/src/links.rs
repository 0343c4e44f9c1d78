//! The network: ordered on one link, broken at any time, and a broken link is noticed late.
//!
//! Each link is one connection between two processes. What was sent before a break arrives as a
//! prefix, the rest is lost. It relies on the agenda for time. It never reorders, duplicates or
//! invents a message: links are streams, as in the real world.

use std::collections::BTreeMap;

use holdfast_model::Instant;

use crate::agenda::{Agenda, AgendaEntry, Message, Node};
use crate::rng::Rng;

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The side that connected.
    Client = 0,
    /// The side that accepted.
    Server = 1,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// One end of a link, and its process.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) node: Node,
    pub(crate) life: u64,
    /// Whether the end is closed: it neither receives nor sends.
    closed: bool,
    /// When the last thing sent to it arrives.
    last: Instant,
    /// What would arrive later than this is lost.
    cut: Option<Instant>,
}

/// A connection.
#[derive(Clone, Debug)]
struct Link {
    ends: [End; 2],
    rng: Rng,
    /// Whether its end has been arranged.
    broken: bool,
}

/// The latency of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every message takes one millisecond.
    Still,
    /// Messages take longer, now and then much longer.
    Rough,
}

/// All links of the network.
#[derive(Debug)]
pub(crate) struct Links {
    links: BTreeMap<u64, Link>,
    next: u64,
    rng: Rng,
    pub(crate) weather: Weather,
    /// Nodes whose links are slow now, and by how many milliseconds.
    pub(crate) slow: BTreeMap<Node, u64>,
}

impl Links {
    pub(crate) fn new(rng: Rng, weather: Weather) -> Links {
        Links { links: BTreeMap::new(), next: 1, rng, weather, slow: BTreeMap::new() }
    }

    /// Connects a client to a server; both given with their present lives.
    pub(crate) fn open(&mut self, now: Instant, client: (Node, u64), server: (Node, u64)) -> u64 {
        let id = self.next;
        self.next += 1;
        let end = |(node, life)| End { node, life, closed: false, last: now, cut: None };
        self.links.insert(
            id,
            Link { ends: [end(client), end(server)], rng: self.rng.fork(id), broken: false },
        );
        id
    }

    /// Sends; what is sent on a link that is closed or gone is lost.
    pub(crate) fn send(&mut self, agenda: &mut Agenda, id: u64, from: Side, message: Message) {
        let Some(link) = self.links.get_mut(&id).filter(|it| !it.ends[from as usize].closed) else {
            return;
        };
        let slow =
            link.ends.iter().filter_map(|it| self.slow.get(&it.node)).max().copied().unwrap_or(0);
        let delay_ms = match self.weather {
            Weather::Still => 1,
            Weather::Rough if link.rng.one_in(40) => link.rng.between(50, 2_000),
            Weather::Rough => link.rng.between(1, 8),
        };
        let end = &mut link.ends[from.other() as usize];
        let at = agenda.now.plus_ms(delay_ms + slow).max(end.last);
        end.last = at; // Also of what is lost: nothing that was said later arrives.
        if end.closed || end.cut.is_some_and(|cut| cut < at) {
            return;
        }
        agenda.at(at, end.node, end.life, AgendaEntry::Deliver(id, from.other(), message));
    }

    /// Who is at this end, if what arrives there now is still heard.
    pub(crate) fn hears(&self, now: Instant, id: u64, side: Side) -> Option<Node> {
        let end = &self.links.get(&id)?.ends[side as usize];
        (!end.closed && end.cut.is_none_or(|cut| now <= cut)).then_some(end.node)
    }

    /// Who is at this end, unless it has closed it.
    pub(crate) fn end(&self, id: u64, side: Side) -> Option<&End> {
        self.links.get(&id).map(|it| &it.ends[side as usize]).filter(|it| !it.closed)
    }

    /// The side that connected.
    pub(crate) fn client_of(&self, id: u64) -> Option<Node> {
        self.links.get(&id).map(|it| it.ends[Side::Client as usize].node)
    }

    /// One end hangs up: what it sent before still arrives, then the other end notices.
    pub(crate) fn close(&mut self, agenda: &mut Agenda, id: u64, side: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ends[side as usize].closed = true;
        let quick = match self.weather {
            Weather::Still => 1,
            Weather::Rough => link.rng.between(1, 100),
        };
        self.leave(agenda, id, side, quick);
    }

    /// The process at one end dies: a prefix of what it sent arrives, and the other end notices
    /// after `late_ms` at most.
    pub(crate) fn die(&mut self, agenda: &mut Agenda, id: u64, side: Side, late_ms: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ends[side as usize].closed = true;
        let other = &mut link.ends[side.other() as usize];
        if self.weather == Weather::Rough && other.cut.is_none() && link.rng.one_in(2) {
            other.cut = Some(agenda.now.plus_ms(link.rng.below(10)));
        }
        let late_ms = if late_ms == 0 { 0 } else { link.rng.between(1, late_ms) };
        self.leave(agenda, id, side, late_ms);
    }

    fn leave(&mut self, agenda: &mut Agenda, id: u64, side: Side, late_ms: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let other = &link.ends[side.other() as usize];
        if other.closed {
            self.links.remove(&id);
        } else if !link.broken {
            // On a broken link even the goodbye is lost; the other end's own noticing is arranged
            // already.
            let at =
                agenda.now.plus_ms(late_ms).max(other.last.min(other.cut.unwrap_or(other.last)));
            agenda.at(at, other.node, other.life, AgendaEntry::Noticed(id, side.other()));
        }
    }

    /// The link breaks by itself; each end notices in its own time, within `late_ms`.
    pub(crate) fn break_link(&mut self, agenda: &mut Agenda, id: u64, late_ms: u64) {
        let Some(link) = self.links.get_mut(&id).filter(|it| !it.broken) else { return };
        link.broken = true;
        for side in [Side::Client, Side::Server] {
            let (cut_ms, late_ms) = (link.rng.below(10), link.rng.between(1, late_ms));
            let end = &mut link.ends[side as usize];
            let cut = agenda.now.plus_ms(cut_ms);
            end.cut = Some(end.cut.map_or(cut, |it| it.min(cut)));
            if !end.closed {
                agenda.at(cut.plus_ms(late_ms), end.node, end.life, AgendaEntry::Noticed(id, side));
            }
        }
    }

    /// An end has noticed; says whether that is news to it.
    pub(crate) fn noticed(&mut self, id: u64, side: Side) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        let news = !link.ends[side as usize].closed;
        link.ends[side as usize].closed = true;
        if link.ends.iter().all(|it| it.closed) {
            self.links.remove(&id);
        }
        news
    }

    /// The open links that end at `node`, with the side it sits on.
    pub(crate) fn of(&self, node: Node) -> Vec<(u64, Side)> {
        let side = |link: &Link| {
            [Side::Client, Side::Server].into_iter().find(|it| link.ends[*it as usize].node == node)
        };
        let open = |(id, link): (&u64, &Link)| {
            side(link).filter(|it| !link.ends[*it as usize].closed).map(|it| (*id, it))
        };
        self.links.iter().filter_map(open).collect()
    }

    /// All links that are not broken yet, executors' left out.
    pub(crate) fn sound(&self) -> Vec<u64> {
        let sound =
            |(_, link): &(&u64, &Link)| !link.broken && link.ends.iter().all(|it| !it.closed);
        let wide = |(_, link): &(&u64, &Link)| !matches!(link.ends[0].node, Node::Executor(..));
        self.links.iter().filter(sound).filter(wide).map(|(id, _)| *id).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::DAWN;
    use holdfast_model::ToMaster;

    fn pair(seed: u64) -> (Agenda, Links, u64) {
        let mut links = Links::new(Rng::new(seed), Weather::Rough);
        let id = links.open(DAWN, (Node::Machine(0), 0), (Node::Master(0), 0));
        (Agenda::new(), links, id)
    }

    fn heard(agenda: &mut Agenda, links: &mut Links) -> (Vec<u64>, bool) {
        let (mut numbers, mut lost) = (Vec::new(), false);
        while let Some(due) = agenda.next(DAWN.plus_ms(100_000)) {
            match due.what {
                AgendaEntry::Deliver(id, side, Message::FromAgent(ToMaster::Pong(number)))
                    if links.hears(agenda.now, id, side).is_some() =>
                {
                    assert!(!lost, "nothing is heard on a link that was noticed to be broken");
                    numbers.push(number);
                }
                AgendaEntry::Noticed(id, side) => {
                    lost |= links.noticed(id, side) && side == Side::Server
                }
                _ => {}
            }
        }
        (numbers, lost)
    }

    #[test]
    fn a_link_keeps_order_and_a_broken_one_loses_a_suffix() {
        let mut lost_some = 0;
        for seed in 0..100 {
            let (mut agenda, mut links, id) = pair(seed);
            (0..20).for_each(|number| {
                links.send(
                    &mut agenda,
                    id,
                    Side::Client,
                    Message::FromAgent(ToMaster::Pong(number)),
                )
            });
            links.break_link(&mut agenda, id, 3_000);
            (20..25).for_each(|number| {
                links.send(
                    &mut agenda,
                    id,
                    Side::Client,
                    Message::FromAgent(ToMaster::Pong(number)),
                )
            });
            let (numbers, lost) = heard(&mut agenda, &mut links);
            assert!(lost && numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
            lost_some += u32::from(numbers.len() < 25);
        }
        assert!(lost_some > 50);
    }

    #[test]
    fn what_was_sent_before_hanging_up_arrives() {
        for seed in 0..50 {
            let (mut agenda, mut links, id) = pair(seed);
            (0..20).for_each(|number| {
                links.send(
                    &mut agenda,
                    id,
                    Side::Client,
                    Message::FromAgent(ToMaster::Pong(number)),
                )
            });
            links.close(&mut agenda, id, Side::Client);
            assert_eq!(heard(&mut agenda, &mut links), ((0..20).collect(), true));
            assert_eq!(links.len(), 0);
        }
    }
}
