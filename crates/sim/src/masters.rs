//! Master processes: elections, the shell around the master's core, zombies.
//!
//! It relies on [`crate::journal`] for what is durable and on the agenda for when things happen. A
//! leader's core is made anew for each leadership from what the journal holds; a leader that cannot
//! append dies. It never lets a core see another's memory.

use holdfast_allocator::by_name;
use holdfast_master::{self as master, Effect, Input, Master};
use holdfast_model::{Event, StepContext, Term};

use crate::agenda::{AgendaEntry, Message, Node, Rest, ANY_LIFE};
use crate::fact::Fact;
use crate::links::Side;
use crate::lost_journal;
use crate::process::{Process, ProcessFault};
use crate::rng::Rng;
use crate::world::World;

/// A master process.
pub struct MasterProcess {
    /// The process.
    pub process: Process,
    /// The core, while it believes that it leads, with its term.
    pub core: Option<(Term, Master)>,
    /// The next append is taken, but its answer is lost.
    pub(crate) loses_answer: bool,
}

/// The present leader and its term.
#[derive(Debug)]
pub(crate) struct Election {
    /// The leader as the ensemble sees it.
    pub(crate) leader: Option<(usize, Term)>,
    pub(crate) term: u64,
    pub(crate) rng: Rng,
}

impl MasterProcess {
    pub(crate) fn new(ids: Rng) -> MasterProcess {
        MasterProcess { process: Process::new(ids), core: None, loses_answer: false }
    }
}

/// Settings under which a storm of two minutes sees every timer fire.
pub(crate) fn config(planted: Option<&'static str>) -> master::Config {
    let _ = planted;
    master::Config {
        offer_timeout_ms: Some(15_000),
        ping_interval_ms: 3_000,
        pings_missed_max: 3,
        agent_timeout_ms: 15_000,
        reregister_timeout_ms: 20_000,
        failover_grace_ms: 600_000,
        #[cfg(feature = "planted")]
        planted,
        ..master::Config::default()
    }
}

impl World {
    pub(crate) fn start_master(&mut self, index: usize) {
        if self.masters[index].process.up {
            return;
        }
        self.masters[index].process.start();
        self.operator.forget_master(index);
        self.note(|| format!("master {index} starts"));
        if self.election.leader.is_none() {
            self.agenda.after(10, Node::World, ANY_LIFE, AgendaEntry::Elect(None));
        }
    }

    pub(crate) fn kill_master(&mut self, index: usize, down_ms: u64) {
        if !self.masters[index].process.up {
            return;
        }
        self.note(|| format!("master {index} dies"));
        self.masters[index].process.die();
        self.masters[index].core = None;
        self.masters[index].loses_answer = false;
        self.drop_links(Node::Master(index), 500);
        self.operator.forget_master(index);
        if self.election.leader.is_some_and(|(leader, _)| leader == index) {
            let late_ms = self.delay_ms(50, 3_000, 100);
            let term = self.election.leader.map(|(_, term)| term);
            self.agenda.after(late_ms, Node::World, ANY_LIFE, AgendaEntry::Elect(term));
        }
        let life = self.masters[index].process.life;
        self.agenda.after(down_ms, Node::Master(index), life, AgendaEntry::Restart);
    }

    /// Chooses a leader among those that live; `unless` names the term that is over. The old leader
    /// may still believe for a while.
    pub(crate) fn elect(&mut self, unless: Option<Term>) {
        if self.election.leader.is_some_and(|(_, term)| Some(term) != unless) {
            return; // Somebody else has been chosen since.
        }
        let old = self.election.leader.take();
        let others = |index: &usize| {
            self.masters[*index].process.up && old.is_none_or(|(leader, _)| leader != *index)
        };
        let mut candidates: Vec<usize> = (0..self.masters.len()).filter(others).collect();
        if candidates.is_empty() {
            candidates
                .extend(old.map(|(leader, _)| leader).filter(|it| self.masters[*it].process.up));
        }
        if let Some((index, term)) = old {
            let late_ms = self.delay_ms(1, 12_000, 1);
            let life = self.masters[index].process.life;
            self.agenda.after(late_ms, Node::Master(index), life, AgendaEntry::Deposed(term));
        }
        let Some(leader) = self.election.rng.pick(&candidates).copied() else { return };
        self.election.term += 1;
        self.begin_term(leader, Term(self.election.term));
    }

    fn begin_term(&mut self, leader: usize, term: Term) {
        self.election.leader = Some((leader, term));
        self.journal.begin(term);
        self.note(|| format!("master {leader} is elected, term {term}"));
        let life = self.masters[leader].process.life;
        self.agenda.after(0, Node::Master(leader), life, AgendaEntry::Lead(term));
        self.rules_see(&Fact::Elected { master: leader, term });
        let clients: Vec<Node> = self.clients().collect();
        for client in clients {
            let late_ms = self.delay_ms(5, 1_500, 1);
            self.agenda.after(late_ms, client, ANY_LIFE, AgendaEntry::News(leader, term));
        }
    }

    /// A master that was chosen reads the journal and leads; it may be late, and deposed already.
    pub(crate) fn lead(&mut self, index: usize, term: Term) {
        let ledger = match self.journal.read() {
            Ok(ledger) => ledger,
            Err(why) => return self.violate("R2", why),
        };
        let config = config(self.shape.planted);
        let ctx = (self.agenda.now, term);
        let twice = crate::rules::r1_recovery::recover_master_twice(
            &config,
            &ledger,
            &self.machines,
            ctx,
            &self.masters[index].process.ids,
        );
        if let Err(why) = twice {
            self.violate("R1", format!("master {index}: {why}"));
        }
        let policy = by_name("drf").expect("the default policy is in the table");
        if self.masters[index].core.take().is_some() {
            self.drop_links(Node::Master(index), 100); // Links belong to one term.
            self.operator.forget_master(index);
        }
        self.masters[index].core = Some((term, Master::new(config, policy, ledger)));
        self.step_master(index, Input::Elected(term));
    }

    pub(crate) fn depose(&mut self, index: usize, term: Term) {
        if self.masters[index].core.as_ref().is_none_or(|(theirs, _)| *theirs != term) {
            return;
        }
        self.note(|| format!("master {index} hears that term {term} is over"));
        self.step_master(index, Input::Deposed(term));
        self.masters[index].core = None;
        self.drop_links(Node::Master(index), 100);
        self.operator.forget_master(index);
    }

    /// The term in which a master believes to lead, and whether it does.
    pub(crate) fn leads(&self, index: usize) -> (Option<Term>, bool) {
        let term = self.masters[index].core.as_ref().map(|(term, _)| *term);
        (
            term,
            term.is_some()
                && self.election.leader.map(|(leader, term)| (leader, Some(term)))
                    == Some((index, term)),
        )
    }

    pub(crate) fn step_master(&mut self, index: usize, input: Input) {
        if let Some(effects) = self.think_master(index, input) {
            self.carry_out_master(index, effects);
        }
    }

    /// The effects of a master's core on an input; `None` when it does not believe that it leads.
    pub(crate) fn think_master(&mut self, index: usize, input: Input) -> Option<Vec<Effect>> {
        let now = self.agenda.now;
        let MasterProcess { process, core, .. } = &mut self.masters[index];
        let (_, core) = core.as_mut()?;
        let mut effects = core.handle(&mut StepContext { now, ids: &mut process.ids }, input);
        effects.retain(|it| !matches!(it, Effect::Discard(_))); // Nothing that can be seen from outside.
        self.touched.insert(Node::Master(index));
        Some(effects)
    }

    pub(crate) fn carry_out_master(&mut self, index: usize, effects: Vec<Effect>) {
        let life = self.masters[index].process.life;
        let (mut left, mut after_commit) = (effects.into_iter(), false);
        while let Some(effect) = left.next() {
            let is_commit = matches!(effect, Effect::Commit(..));
            match self.masters[index].process.struck(is_commit, after_commit) {
                Some(ProcessFault::Die(down_ms)) => return self.kill_master(index, down_ms),
                Some(ProcessFault::Pause(ms)) => {
                    let rest = std::iter::once(effect).chain(left).collect();
                    return self.pause(Node::Master(index), ms, Some(Rest::Master(rest)));
                }
                None => {}
            }
            self.carry_out_master_one(index, effect);
            if self.masters[index].process.life != life {
                return;
            }
            after_commit = is_commit;
        }
        self.wake_master(index);
    }

    fn wake_master(&mut self, index: usize) {
        let deadline = self.masters[index].core.as_ref().and_then(|(_, core)| core.next_deadline());
        self.wake(Node::Master(index), deadline);
    }

    fn carry_out_master_one(&mut self, index: usize, effect: Effect) {
        let (term, leads) = self.leads(index);
        let Some(term) = term else { return };
        match effect {
            Effect::Commit(_, changes) => self.append(index, term, &changes),
            Effect::ToAgent(link, message) => {
                if let Some(machine) = self.machine_at(link.0) {
                    self.rules_see(&Fact::MasterOrders {
                        master: index,
                        term,
                        leads,
                        machine,
                        message: &message,
                    });
                }
                self.links.send(&mut self.agenda, link.0, Side::Server, Message::ToAgent(message));
            }
            Effect::ToFramework(link, event, _) => {
                if let (Event::Offers(offers), Some(Node::Framework(_))) =
                    (&event, self.links.client_of(link.0))
                {
                    self.byzantine_peers.iter_mut().for_each(|it| it.overhear(offers));
                }
                if let Some(framework) = self.framework_at(link.0) {
                    self.rules_see(&Fact::MasterTells {
                        master: index,
                        term,
                        leads,
                        framework,
                        event: &event,
                    });
                }
                self.links.send(
                    &mut self.agenda,
                    link.0,
                    Side::Server,
                    Message::ToFramework(event),
                );
            }
            Effect::CloseAgent(link) | Effect::CloseFramework(link) => {
                self.links.close(&mut self.agenda, link.0, Side::Server)
            }
            Effect::Answer(request, answer) => self.answered(request, &answer),
            Effect::Discard(_) => {}
            Effect::Outranked(seen) => {
                let life = self.masters[index].process.life;
                let raise = AgendaEntry::Raise { led: term, seen };
                self.agenda.after(0, Node::Master(index), life, raise);
            }
            Effect::Log(line) => self.note(|| format!("master {index} says: {line}")),
        }
    }

    /// An agent has obeyed a greater term than this master leads in. Who leads indeed leads anew above it; who was deposed learns it so.
    pub(crate) fn raise(&mut self, index: usize, led: Term, seen: Term) {
        let (term, leads) = self.leads(index);
        if term != Some(led) {
            return; // Several agents have said so.
        }
        if !leads {
            self.note(|| format!("master {index} is outranked by term {seen}, and may not lead"));
            let down_ms = self.delay_ms(100, 3_000, 100);
            return self.kill_master(index, down_ms);
        }
        self.election.term = self.election.term.max(seen.0) + 1;
        self.begin_term(index, Term(self.election.term));
    }

    pub(crate) fn copy_journal(&mut self) {
        self.journal_copy = Some(self.journal.clone());
    }

    /// All masters die. When they start again, the journal is the older copy; or nothing but the name of the cluster, with numbers for agents
    /// and frameworks that nobody can have been given.
    pub(crate) fn lose_journal(&mut self, is_erased: bool) {
        let Some(cluster) = self.journal.ledger.cluster.clone() else { return };
        for index in 0..self.masters.len() {
            let down_ms = self.delay_ms(200, 3_000, 100);
            self.kill_master(index, down_ms);
        }
        self.election.leader = None;
        let now = self.agenda.now;
        self.journal = match self.journal_copy.clone().filter(|_| !is_erased) {
            Some(copy) => lost_journal::older(copy, now),
            None => {
                let obeyed = self.machines.iter().map(|it| it.proven().identity.term).max();
                lost_journal::begun_anew(cluster.id, obeyed.unwrap_or_default(), now)
            }
        };
        let term = self.journal.term();
        self.election.term = term.0;
        self.note(|| format!("the masters' journal is lost, and goes on from term {term}"));
        let clients: Vec<Node> = self.clients().collect();
        for client in clients {
            if let Some((client, _)) = self.client(client) {
                client.believes = None; // They ask again where the leader is.
            }
        }
        self.rules_see(&Fact::JournalLost { term });
    }

    fn append(&mut self, index: usize, term: Term, changes: &[holdfast_model::MasterChange]) {
        match self.journal.append(term, changes) {
            Ok(()) => {
                self.rules_see(&Fact::MasterCommits { term, changes });
                if std::mem::take(&mut self.masters[index].loses_answer) {
                    self.note(|| {
                        format!("master {index} does not hear whether its append was taken")
                    });
                    let down_ms = self.delay_ms(100, 3_000, 100);
                    self.kill_master(index, down_ms);
                }
            }
            Err(_) if self.shape.planted == Some("masters-shell-goes-on") => {}
            Err(why) => {
                self.note(|| format!("master {index} cannot append: {why}"));
                let down_ms = self.delay_ms(100, 3_000, 100);
                self.kill_master(index, down_ms);
            }
        }
    }
}
