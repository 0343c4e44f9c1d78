//! Where the members of a service that does not run yet would have room.
//!
//! It is the keeper itself that places them, on copies of what could be offered: the rules are those
//! that will decide. It asks nobody, and claims nothing.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    Action, AgentId, Call, ClaimAction, Event, FrameworkId, Instant, Offer, OfferId, Operation,
    Resource, TaskId, TaskState, TaskStatus,
};

use crate::keeper::{Effect, Input};
use crate::ledger::KeeperLedger;
use crate::pods::{Hooks, Lost, MemberId, ServiceKeeper};
use crate::spec::{Goal, ServiceSpec, Strategy};

/// How often what is left is offered again; each round starts at least one member or is the last.
const ROUNDS_MAX: usize = 4_096;

/// Where members would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Members that have room, and the agent of each.
    pub placed: Vec<(MemberId, AgentId)>,
    /// Members that have none.
    pub unplaced: Vec<MemberId>,
    /// For each agent that was offered, why no more members are there.
    pub why_not: BTreeMap<AgentId, Vec<String>>,
}

/// Places the members of a service on what could be offered.
pub fn preview<H: Hooks>(spec: &ServiceSpec, hooks: H, offers: Vec<Offer>) -> Preview {
    let mut left: BTreeMap<AgentId, Offer> =
        offers.into_iter().map(|it| (it.agent.clone(), it)).collect();
    let ledger = KeeperLedger::default();
    let mut keeper = ServiceKeeper::recover(at_once(spec), hooks, Lost::New, ledger);
    let framework = FrameworkId::made("not-there-yet".to_owned());
    keeper.handle(Instant(0), Input::Event(Event::Subscribed(framework)));
    let mut why_not = BTreeMap::new();
    for round in 1..=ROUNDS_MAX {
        let now = Instant(round as u64);
        let offered: Vec<Offer> = left.values().map(|it| renamed(it, round)).collect();
        let effects = keeper.handle(now, Input::Event(Event::Offers(offered)));
        let launched = take(&mut left, effects);
        if launched.is_empty() {
            let last = keeper.offers();
            why_not = last.map(|it| (it.agent.clone(), it.why_not.clone())).collect();
            break;
        }
        for (task, agent) in launched {
            let status = TaskStatus::new(task, TaskState::Running, now).at_agent(&agent);
            keeper.handle(now, Input::Event(Event::Update(status)));
        }
    }
    let members = &keeper.ledger().service.members;
    let agent = |it: &MemberId| members.get(it).and_then(|it| it.agent.clone());
    let all =
        spec.pods.iter().flat_map(|pod| (0..pod.count).map(|it| MemberId::new(&pod.name, it)));
    let (placed, unplaced): (Vec<_>, Vec<_>) = all.partition(|it| agent(it).is_some());
    let placed = placed.into_iter().filter_map(|it| Some((it.clone(), agent(&it)?))).collect();
    Preview { placed, unplaced, why_not }
}

/// The same service, of which nobody waits for another: as to where members are, that is the same.
fn at_once(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    for pod in &mut spec.pods {
        pod.strategy = Strategy::Parallel;
        let cpus = pod.tasks.iter().map(|it| it.cpus).max();
        let mem_mb = pod.tasks.iter().map(|it| it.mem_mb).max();
        pod.tasks.retain(|it| it.goal == Goal::Running);
        for task in &mut pod.tasks {
            task.cpus = cpus.unwrap_or(task.cpus);
            task.mem_mb = mem_mb.unwrap_or(task.mem_mb);
            task.readiness = None;
        }
    }
    spec
}

fn renamed(offer: &Offer, round: usize) -> Offer {
    Offer { id: OfferId::made(format!("{}-{round}", offer.agent)), ..offer.clone() }
}

/// Takes what was accepted away; the tasks that were launched.
fn take(left: &mut BTreeMap<AgentId, Offer>, effects: Vec<Effect>) -> Vec<(TaskId, AgentId)> {
    let mut launched = Vec::new();
    for effect in effects {
        let Effect::Call(call) = effect else { continue };
        let Call::Accept { offers, operations, .. } = *call else { continue };
        let ids: BTreeSet<&OfferId> = offers.iter().collect();
        let is_it = |it: &&mut Offer| {
            ids.iter().any(|id| {
                id.as_str().rsplit_once('-').is_some_and(|(at, _)| at == it.agent.as_str())
            })
        };
        let Some(offer) = left.values_mut().find(is_it) else { continue };
        let mut is_claimed = false;
        for Operation { action, .. } in operations {
            match action {
                Action::Claim(ClaimAction::Reserve { resources, .. }) => {
                    is_claimed = true;
                    resources.iter().map(Resource::popped).for_each(|it| subtract(offer, &it));
                }
                Action::Launch(tasks) => {
                    for task in tasks {
                        if !is_claimed {
                            task.resources.iter().for_each(|it| subtract(offer, it));
                        }
                        launched.push((task.id, offer.agent.clone()));
                    }
                    is_claimed = false;
                }
                _ => {}
            }
        }
    }
    launched
}

fn subtract(offer: &mut Offer, used: &Resource) {
    offer.resources.subtract(used);
}

#[cfg(test)]
mod tests {
    use holdfast_model::{Role, Scalar};

    use super::*;
    use crate::pods::NoHooks;
    use crate::spec::testbed::{ring, two_pods};

    fn offer(agent: &str, disk_mb: i64) -> Offer {
        let role = Role::parse("db").unwrap();
        let scalar = |name, amount| Resource::scalar(name, Scalar::whole(amount));
        let ports = holdfast_model::Ranges::new([(9_000, 9_100)]);
        let ports = Resource::unreserved("ports", holdfast_model::Value::Ranges(ports));
        let all = [scalar("cpus", 4), scalar("mem", 1_024), scalar("disk", disk_mb), ports];
        Offer {
            id: OfferId::made("o".to_owned()),
            framework: FrameworkId::made("f".to_owned()),
            resources: all.map(|it| it.allocated_to(&role)).iter().collect(),
            role,
            agent: AgentId::made(agent.to_owned()),
            executors: Vec::new(),
            hostname: format!("host-of-{agent}"),
            machine: Default::default(),
            claims: Vec::new(),
            unavailability: None,
        }
    }

    fn names(members: &[MemberId]) -> Vec<String> {
        members.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn members_are_placed_as_the_keeper_would() {
        let offers = ["a", "b", "c"].map(|it| offer(it, 1_000)).to_vec();
        let found = preview(&two_pods(), NoHooks, offers);
        assert!(found.unplaced.is_empty(), "{found:?}");
        let nodes: BTreeSet<&AgentId> =
            found.placed.iter().filter(|it| it.0.pod == "node").map(|it| &it.1).collect();
        assert_eq!((found.placed.len(), nodes.len()), (4, 3), "{found:?}");
    }

    #[test]
    fn who_has_no_room_is_named_and_each_agent_says_why() {
        let offers = vec![offer("a", 1_000), offer("b", 120)];
        let found = preview(&ring(), NoHooks, offers);
        assert_eq!(names(&found.unplaced), ["node-1", "node-2"], "{found:?}");
        let why = |agent: &str| found.why_not[&AgentId::made(agent.to_owned())].join(" ");
        assert!(why("a").contains("node-1: "), "{found:?}");
        assert!(why("b").contains("no disk"), "{found:?}");
        let nothing = preview(&ring(), NoHooks, Vec::new());
        assert_eq!((nothing.placed.len(), nothing.unplaced.len()), (0, 3));
    }

    #[test]
    fn what_one_pod_takes_is_not_there_for_another() {
        let mut spec = two_pods();
        spec.pods[0].count = 1;
        spec.pods[1].count = 9;
        // Four processors, one of which the node takes: thirty would have room, but for memory.
        spec.pods[1].tasks[0].mem_mb = 200;
        let found = preview(&spec, NoHooks, vec![offer("a", 1_000)]);
        assert_eq!((found.placed.len(), found.unplaced.len()), (5, 5), "{found:?}");
    }
}
