//! What one operation on claims costs the agent and the master when the agent has 100 to 6,400 claims already: RESERVE, CREATE, DESTROY and
//! UNRESERVE by an operator, each reservation with a label of its own, and by which power of the claims it grows.
//!
//! `cargo xtask bench operations` runs it; sizes may be given as arguments. Both cores are real and speak to each other; their drivers do everything at once, and each step
//! publishes its view, as the loop does. Says the median by the clock, which a busy machine does not move much. Never judges.

mod clock;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use clock::{Counter, NOW};
use holdfast_agent::{Agent, AgentView, DiskFound, Machine};
use holdfast_allocator::by_name;
use holdfast_api::MasterView;
use holdfast_master::{Effect, Input, Master, Refusal, RequestId};
use holdfast_model::{
    AgentId, AgentLedger, CallerIdentity, ClaimAction, DiskId, DiskKind, DiskRecord, LinkId,
    MachineInfo, MasterLedger, NodeId, OpaquePayload, OperatorCall, PersistenceId, Reservation,
    ReservationKind, Resource, Role, Scalar, Source, StepContext, Term, ToAgent,
};
use uuid::Uuid;

const LINK: LinkId = LinkId(1);
const SIZES: [usize; 4] = [100, 400, 1_600, 6_400];
/// How many operations of a kind are measured at each size.
const OPERATIONS: usize = 200;

/// A master and its one agent, and how long each has worked.
struct Pair {
    master: Master,
    agent: Agent,
    ids: Counter,
    views: (MasterView, AgentView),
    /// What drivers and peers have said and nobody has heard yet.
    waiting: VecDeque<Said>,
    master_took: Duration,
    agent_took: Duration,
    requests: u64,
    /// How the last request was answered.
    answered: Option<Result<(), Refusal>>,
    agent_id: Option<AgentId>,
}

enum Said {
    ToMaster(Input),
    ToAgent(holdfast_agent::Input),
}

impl Pair {
    fn new() -> Pair {
        let policy = by_name("drf").expect("the default policy is in the table");
        let master =
            Master::new(holdfast_master::Config::default(), policy, MasterLedger::default());
        let ledger = AgentLedger::new(NodeId(Uuid::from_u128(1)));
        let agent = Agent::recover(holdfast_agent::Config::default(), ledger);
        let views = (master.view(), agent.view());
        let mut pair = Pair {
            master,
            agent,
            ids: Counter(1 << 100),
            views,
            waiting: VecDeque::new(),
            master_took: Duration::ZERO,
            agent_took: Duration::ZERO,
            requests: 0,
            answered: None,
            agent_id: None,
        };
        pair.run(Said::ToMaster(Input::Elected(Term(1))));
        pair.run(Said::ToAgent(holdfast_agent::Input::Started(Vec::new())));
        pair.run(Said::ToAgent(holdfast_agent::Input::MasterLinked(LINK)));
        pair.agent_id = pair.agent.ledger().identity.agent.clone();
        pair
    }

    /// One input, and all that comes of it.
    fn run(&mut self, first: Said) {
        self.waiting.push_back(first);
        while let Some(said) = self.waiting.pop_front() {
            match said {
                Said::ToMaster(input) => self.master_hears(input),
                Said::ToAgent(input) => self.agent_hears(input),
            }
        }
    }

    fn master_hears(&mut self, input: Input) {
        let began = Instant::now();
        let effects = self.master.handle(&mut StepContext { now: NOW, ids: &mut self.ids }, input);
        self.views.0 = self.master.view();
        self.master_took += began.elapsed();
        for effect in effects {
            match effect {
                Effect::ToAgent(_, said) => self.tell_agent(said),
                Effect::Answer(_, answer) => self.answered = Some(answer),
                _ => {}
            }
        }
    }

    fn tell_agent(&mut self, said: ToAgent) {
        self.waiting.push_back(Said::ToAgent(holdfast_agent::Input::FromMaster(LINK, said)));
    }

    fn agent_hears(&mut self, input: holdfast_agent::Input) {
        use holdfast_agent::{Effect, Input as Heard};
        let began = Instant::now();
        let effects = self.agent.handle(&mut StepContext { now: NOW, ids: &mut self.ids }, input);
        self.views.1 = self.agent.view();
        self.agent_took += began.elapsed();
        for effect in effects {
            let said = match effect {
                Effect::ToMaster(_, said) => Said::ToMaster(Input::FromAgent(LINK, said)),
                Effect::OpenDisks(..) => Said::ToAgent(Heard::Opened(machine())),
                Effect::MakeVolume(it) => Said::ToAgent(Heard::VolumeMade(it.claim, Ok(()))),
                Effect::CheckVolume(it) => Said::ToAgent(Heard::VolumeChecked(it.claim, Ok(()))),
                Effect::TrashVolume(it) => Said::ToAgent(Heard::VolumeTrashed(it.claim, Ok(()))),
                _ => continue,
            };
            self.waiting.push_back(said);
        }
    }

    fn order(&mut self, action: ClaimAction) {
        self.requests += 1;
        let agent = self.agent_id.clone().expect("the agent is registered");
        let call = OperatorCall::Claim { agent, action };
        let id = RequestId(self.requests);
        self.run(Said::ToMaster(Input::FromOperator(id, CallerIdentity::Anonymous, call)));
        assert_eq!(self.answered.take(), Some(Ok(())), "the operation is done");
    }

    /// Microseconds of the master and of the agent for one of these, the median of each.
    fn measure(&mut self, actions: Vec<ClaimAction>) -> (f64, f64) {
        let (mut master, mut agent) = (Vec::new(), Vec::new());
        for action in actions {
            (self.master_took, self.agent_took) = (Duration::ZERO, Duration::ZERO);
            self.order(action);
            master.push(self.master_took);
            agent.push(self.agent_took);
        }
        (median_us(master), median_us(agent))
    }
}

fn median_us(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_nanos() as f64 / 1_000.0
}

fn disk(mb: i64) -> Resource {
    Resource::scalar("disk", Scalar::whole(mb)).on(Source::path("/d1"))
}

fn machine() -> Machine {
    let resources = [
        Resource::scalar("cpus", Scalar::whole(16)),
        Resource::scalar("mem", Scalar::whole(65_536)),
        disk(1_000_000),
    ];
    let disk = DiskRecord {
        id: DiskId(Uuid::from_u128(0xd1)),
        kind: DiskKind::Path,
        root: "/d1".to_owned(),
        size_mb: 1_000_000,
    };
    Machine {
        info: MachineInfo {
            hostname: "host1".to_owned(),
            port: 5051,
            resources: resources.iter().collect(),
            payload: OpaquePayload::default(),
        },
        disks: vec![DiskFound { disk, fault: None, space: None, added: None }],
    }
}

/// A reservation that differs from all others by its label.
fn reserved(number: usize) -> Resource {
    disk(10).reserved(Reservation {
        kind: ReservationKind::Dynamic,
        role: Role::parse("db").expect("it is a role"),
        principal: None,
        labels: [("number".to_owned(), Some(number.to_string()))].into_iter().collect(),
    })
}

fn volume(number: usize) -> Resource {
    let id = PersistenceId::parse(&format!("v{number}")).expect("it is a name");
    reserved(number).volume(id, "data", None)
}

fn reserve(number: usize) -> ClaimAction {
    ClaimAction::Reserve { resources: vec![reserved(number)], source: Vec::new() }
}

fn main() {
    let kinds = ["RESERVE", "CREATE", "DESTROY", "UNRESERVE"];
    let mut pair = Pair::new();
    let mut figures: Vec<Vec<(f64, f64)>> = vec![Vec::new(); kinds.len()];
    let mut there = 0;
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|it| it.parse().ok()).collect();
    let sizes = if given.is_empty() { SIZES.to_vec() } else { given };
    for size in sizes.iter().copied() {
        // A half are volumes, each on a reservation of its own.
        for number in there..size {
            pair.order(reserve(number));
            if number % 2 == 1 {
                pair.order(ClaimAction::Create(vec![volume(number)]));
            }
        }
        there = size;
        let fresh = || 1_000_000..1_000_000 + OPERATIONS;
        let steps: [Vec<ClaimAction>; 4] = [
            fresh().map(reserve).collect(),
            fresh().map(|it| ClaimAction::Create(vec![volume(it)])).collect(),
            fresh().map(|it| ClaimAction::Destroy(vec![volume(it)])).collect(),
            fresh().map(|it| ClaimAction::Unreserve(vec![reserved(it)])).collect(),
        ];
        for (at, actions) in steps.into_iter().enumerate() {
            let (master, agent) = pair.measure(actions);
            let kind = kinds[at];
            println!("{kind} beside {size} claims\tmaster {master:.1} us, agent {agent:.1} us");
            figures[at].push((master, agent));
        }
    }
    let span = (sizes[sizes.len() - 1] as f64 / sizes[0] as f64).ln();
    for (kind, figures) in kinds.iter().zip(&figures) {
        let ((m0, a0), (m1, a1)) = (figures[0], figures[figures.len() - 1]);
        let (master, agent) = ((m1 / m0).ln() / span, (a1 / a0).ln() / span);
        println!("{kind}, exponent\tmaster {master:.2}, agent {agent:.2}");
    }
}
