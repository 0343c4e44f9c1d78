//! The master's shell: the core, its ledger on disk, and the links it speaks on.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use holdfast_master::{Effect, Input, Master, MasterView, Refusal, RequestId, Speaker};
use holdfast_model::convert::{ledger, link, scheduler, Format};
use holdfast_model::{Event, FrameworkId, Instant, LinkId, MasterChange, StepContext, Term};
use holdfast_proto::holdfast::v1::ToAgent;
use holdfast_proto::mesos::v1::scheduler::Event as SchedulerEvent;
use holdfast_quorum::Journal;
use tokio::sync::oneshot;

use super::failover::Failover;
use crate::core_loop::Shell;
use crate::ledger_file::batches;
use crate::links::Links;
use crate::views::drop_elsewhere;

/// The way back to somebody who asked.
type Answer = oneshot::Sender<Result<(), Refusal>>;

/// Whoever waits for an answer of the core.
#[derive(Clone, Default)]
pub struct Waiting(Arc<Mutex<HashMap<RequestId, Answer>>>);

impl Waiting {
    /// Notes who waits.
    pub fn insert(&self, request: RequestId) -> oneshot::Receiver<Result<(), Refusal>> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(request, sender);
        receiver
    }

    fn answer(&self, request: RequestId, answer: Result<(), Refusal>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&request);
        if let Some(sender) = sender {
            // Who asked may have left.
            let _ = sender.send(answer);
        }
    }
}

/// Which framework speaks on which link: what a call's stream id is checked against.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<HashMap<FrameworkId, LinkId>>>);

impl Sessions {
    /// The link that a framework is subscribed on.
    pub fn link_of(&self, framework: &FrameworkId) -> Option<LinkId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(framework).copied()
    }

    fn opened(&self, framework: FrameworkId, link: LinkId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(framework, link);
    }

    /// The link is over.
    pub fn closed(&self, link: LinkId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, it| *it != link);
    }
}

/// What may be seen of a master.
pub struct Seen {
    /// Its core, as it was when this was published.
    pub core: MasterView,
}

/// See the module.
pub struct MasterShell {
    /// The core.
    pub core: Master,
    /// Where its ledger is written.
    pub journal: Box<dyn Journal>,
    /// Links of agents.
    pub agents: Links<ToAgent>,
    /// Links of frameworks.
    pub frameworks: Links<SchedulerEvent>,
    /// Operators who wait.
    pub waiting: Waiting,
    /// Who is subscribed.
    pub sessions: Sessions,
    /// What is added to SUBSCRIBED.
    pub welcome: scheduler::Welcome,
    /// A term that was written down because an agent has obeyed a greater one than the core's, until the core leads in it.
    pub raised: Option<Term>,
    /// How its beginning went.
    pub failover: Failover,
}

impl Shell for MasterShell {
    type Input = Input;
    type Effect = Effect;
    type View = Seen;

    fn handle(&mut self, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
        let (speaker, now) = (self.core.speaker(&input), ctx.now);
        let (core, raised) = (&mut self.core, self.raised.take());
        // Nothing of the core is used after a panic but its ledger and its links.
        let handled = catch_unwind(AssertUnwindSafe(|| {
            let mut effects = raised.map_or(Vec::new(), |it| core.handle(ctx, Input::Elected(it)));
            effects.extend(core.handle(ctx, input));
            effects
        }));
        handled.unwrap_or_else(|panic| {
            if let Some(speaker) = speaker {
                self.accuse(speaker, now, &*panic);
            }
            resume_unwind(panic)
        })
    }

    fn view(&self) -> Seen {
        Seen { core: self.core.view() }
    }

    fn is_replaced(former: &Seen, next: &Seen) -> bool {
        former.core.term() != next.core.term()
    }

    fn tick() -> Input {
        Input::Tick
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.raised {
            Some(_) => Some(Instant::default()), // It is for now.
            None => self.core.next_deadline(),
        }
    }

    fn is_commit(effect: &Effect) -> bool {
        matches!(effect, Effect::Commit(..) | Effect::Outranked(_))
    }

    /// Orders may go: the agent is the truth, and no client learns of them before it is told.
    fn may_precede_commit(effect: &Effect) -> bool {
        matches!(effect, Effect::ToAgent(..) | Effect::CloseAgent(_) | Effect::Log(_))
    }

    fn commit(&mut self, effects: &[Effect]) -> anyhow::Result<()> {
        let commits = effects.iter().filter_map(|effect| match effect {
            Effect::Commit(term, changes) => Some((*term, changes)),
            _ => None,
        });
        let commits: Vec<(Term, &Vec<MasterChange>)> = commits.collect();
        for of_term in commits.chunk_by(|(one, _), (other, _)| one == other) {
            let groups = of_term.iter().map(|(_, group)| group.iter().map(ledger::master::encode));
            for batch in batches(groups) {
                self.journal.append(of_term[0].0 .0, &batch)?;
            }
        }
        let seen = effects.iter().filter_map(|effect| match effect {
            Effect::Outranked(seen) => Some(*seen),
            _ => None,
        });
        seen.max().map_or(Ok(()), |it| self.lead_above(it))
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Commit(..) | Effect::Outranked(_) => {}
            Effect::ToAgent(to, order) => {
                self.failover.ordered(&order.order);
                self.agents.send(to, link::to_agent_to_proto(&order));
            }
            Effect::CloseAgent(link) => self.agents.close(link),
            Effect::ToFramework(link, event, format) => self.tell_framework(link, &event, format),
            Effect::CloseFramework(link) => {
                self.sessions.closed(link);
                self.frameworks.close(link);
            }
            Effect::Answer(request, answer) => self.waiting.answer(request, answer),
            Effect::Log(line) => tracing::info!("{line}"),
            Effect::Discard(former) => drop_elsewhere(former),
        }
    }

    fn close(&mut self) {
        if let Err(error) = self.journal.trim() {
            tracing::warn!("the ledger's second copy, or its checkpoint, is not up to date: {error}; the next leader brings it up");
        }
    }
}

impl MasterShell {
    /// Writes a term down that is above `seen`. Where another leader was elected meanwhile, the journal takes nothing from this one.
    fn lead_above(&mut self, seen: Term) -> anyhow::Result<()> {
        if seen.0 < self.journal.term() {
            return Ok(()); // Several agents have said so.
        }
        let raised = seen.0.checked_add(1).context("the terms are used up")?;
        self.journal.append(raised, &[])?;
        tracing::warn!(
            term = raised,
            "leads anew: agents have obeyed term {}, which this master's ledger does not know; it is an older copy",
            seen.0
        );
        self.raised = Some(Term(raised));
        Ok(())
    }

    /// The core fell over what a peer said, which that will say to the next leader, too: so this is written where that one reads it.
    fn accuse(&mut self, speaker: Speaker, now: Instant, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let broken = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it did not say why");
        let Some(term) = self.core.term() else { return }; // Who does not lead has nothing to write under.
        let change = self.core.suspicion(speaker, broken, now);
        tracing::error!("{change:?}");
        for batch in batches(std::iter::once(std::iter::once(ledger::master::encode(&change)))) {
            if let Err(error) = self.journal.append(term.0, &batch) {
                tracing::error!("the next leader is not warned: {error}");
            }
        }
    }

    fn tell_framework(&self, link: LinkId, event: &Event, format: Format) {
        if let Event::Subscribed(framework) = event {
            self.sessions.opened(framework.clone(), link);
        }
        if let Event::Offers(offers) = event {
            self.failover.offered(offers);
        }
        self.frameworks.send(link, scheduler::event_to_proto(event, format, &self.welcome));
    }
}

#[cfg(test)]
mod tests {

    use holdfast_allocator::{Allocation, AllocationInput, Changes, Place, Policy};
    use holdfast_master::Config;
    use holdfast_model::{
        ClusterId, FrameworkId, MachineInfo, NodeId, Peer, Report, Resource, Scalar, ToMaster,
    };
    use holdfast_quorum::{Leadership, LocalJournal, LocalLeadership};
    use uuid::Uuid;

    use super::*;
    use crate::core_loop::RandomIds;

    /// Breaks a rule as soon as an agent's report makes it divide something.
    struct Falls;

    impl Policy for Falls {
        fn name(&self) -> &'static str {
            "falls"
        }
        fn allocate(&mut self, _: &AllocationInput<'_>, _: &Changes) -> Vec<Allocation> {
            panic!("the index of agents has no agent")
        }
        fn take_short_of_quota(&mut self) -> std::collections::BTreeSet<FrameworkId> {
            std::collections::BTreeSet::new()
        }
        fn order(&self, _: &AllocationInput<'_>) -> Vec<Place> {
            Vec::new()
        }
        fn snapshot(&self) -> Box<dyn Policy> {
            Box::new(Falls)
        }
    }

    const NODE: NodeId = NodeId(Uuid::from_u128(7));

    /// An agent of which something can be divided.
    fn report(cluster: ClusterId) -> Report {
        let resources = [Resource::scalar("cpus", Scalar::whole(1))].into_iter().collect();
        Report {
            node: NODE,
            agent: None,
            cluster: Some(cluster),
            ledger_version: 1,
            history: Vec::new(),
            term: Term(0),
            orders_seen: 0,
            machine: MachineInfo {
                hostname: "h".to_owned(),
                port: 1,
                resources,
                ..MachineInfo::default()
            },
            disks: Vec::new(),
            claims: Vec::new(),
            faults: Vec::new(),
            frameworks: Vec::new(),
            executors: Vec::new(),
            tasks: Vec::new(),
            operations: Vec::new(),
            version: "test".to_owned(),
            full: None,
            claims_generation: 0,
        }
    }

    /// Leads on this ledger until the agent's report fells the core; the ledger that the next leader reads.
    fn lead_and_fall(dir: &std::path::Path, at: Instant) -> holdfast_model::MasterLedger {
        let mut lease = LocalLeadership::new(dir).unwrap().campaign().unwrap();
        let store = crate::ledger_file::open(&dir.join("ledger"), "master").unwrap();
        let journal = LocalJournal::take_over(store, &mut *lease).unwrap();
        let read = |journal: &dyn Journal| {
            let records = journal.records().map(|it| (it.tree, it.key, it.value));
            ledger::master::fold(records).unwrap()
        };
        let known = read(&journal);
        let mut shell = MasterShell {
            core: Master::new(Config::default(), Box::new(Falls), known),
            journal: Box::new(journal),
            agents: Links::default(),
            frameworks: Links::default(),
            waiting: Waiting::default(),
            sessions: Sessions::default(),
            welcome: scheduler::Welcome::default(),
            raised: None,
            failover: Failover::new(
                std::time::Instant::now(),
                std::time::Duration::ZERO,
                &holdfast_model::MasterLedger::default(),
            ),
        };
        let step = |shell: &mut MasterShell, input| {
            shell.handle(&mut StepContext { now: at, ids: &mut RandomIds }, input)
        };
        let effects = step(&mut shell, Input::Elected(Term(lease.term())));
        shell.commit(&effects).unwrap();
        let cluster = shell.core.ledger().cluster.as_ref().unwrap().id;
        let said = Input::FromAgent(LinkId(1), ToMaster::Report(Box::new(report(cluster))));
        let fallen = catch_unwind(AssertUnwindSafe(|| step(&mut shell, said)));
        assert!(fallen.is_err(), "the loop sees the panic, and ends the process");
        read(&*shell.journal)
    }

    #[test]
    fn who_fells_a_leader_is_named_in_the_ledger_that_the_next_one_reads() {
        let dir = tempfile::tempdir().unwrap();
        let peer = Peer::Agent(NODE);
        for times in [1, 2] {
            let ledger = lead_and_fall(dir.path(), Instant(u64::from(times) * 1_000));
            let suspect = ledger.suspects.get(&peer).unwrap();
            assert_eq!(suspect.times, times);
            assert!(suspect.what.contains("the index of agents has no agent"), "{suspect:?}");
            assert!(ledger.agents.is_empty(), "what the fallen step wanted is not written");
        }
    }
}
