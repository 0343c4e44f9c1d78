//! Makes plans: which steps, in which phases.
//!
//! Pure functions of specs and members. They never look at what is offered or under way: that is for
//! whoever carries a plan out.

use std::collections::BTreeMap;

use holdfast_model::Instant;

use super::{Act, PhaseHead, Plan, PlanHead, PlanKind, Signed, Step};
use crate::pods::{MemberId, PodMember};
use crate::spec::{PodSpec, ServiceSpec, Strategy};

/// The members of a service by their identity.
type Members = BTreeMap<MemberId, PodMember>;

/// Whether the members of a pod that are launched with a generation must be started anew.
pub(crate) type Rolled = BTreeMap<(String, u64), bool>;

/// A phase that is being made.
struct Phase {
    head: PhaseHead,
    steps: Vec<Step>,
}

/// Whoever asks for a plan, and which one.
pub(crate) struct PlanRequest<'a> {
    /// The kind of the plan.
    pub(crate) kind: PlanKind,
    /// The number of the plan among those of its kind.
    pub(crate) serial: u64,
    /// Who asks.
    pub(crate) by: &'a str,
    /// When.
    pub(crate) at: Instant,
}

fn plan(request: &PlanRequest<'_>, phases: Vec<Phase>) -> Plan {
    let phases: Vec<Phase> = phases.into_iter().filter(|it| !it.steps.is_empty()).collect();
    let head = PlanHead {
        kind: request.kind,
        serial: request.serial,
        asked: Signed { by: request.by.to_owned(), at: request.at },
        paused: None,
        ended: None,
        phases: phases.iter().map(|it| it.head.clone()).collect(),
    };
    Plan { head, steps: phases.into_iter().map(|it| it.steps).collect() }
}

fn phase(name: impl Into<String>, is_parallel: bool, steps: Vec<Step>) -> Phase {
    Phase { head: PhaseHead { name: name.into(), is_parallel, is_gated: false }, steps }
}

/// The members of a pod from one number on.
fn members(pod: &PodSpec, from: u32) -> Vec<MemberId> {
    (from..pod.count).map(|it| MemberId::new(&pod.name, it)).collect()
}

/// Phases for an act on these members, by the pod's strategy.
fn by_strategy(pod: &PodSpec, of: Vec<MemberId>, act: &Act, known: &Members) -> Vec<Phase> {
    let steps = |of: Vec<MemberId>| -> Vec<Step> {
        of.into_iter().map(|it| Step::new(it, act.clone())).collect()
    };
    match &pod.strategy {
        Strategy::Serial => vec![phase(&pod.name, false, steps(of))],
        Strategy::Parallel => vec![phase(&pod.name, true, steps(of))],
        Strategy::Canary(count) => {
            let mut first = of;
            let rest = first.split_off(first.len().min(*count as usize));
            let mut after = phase(&pod.name, false, steps(rest));
            after.head.is_gated = true;
            vec![phase(format!("{}-canary", pod.name), false, steps(first)), after]
        }
        Strategy::ByAttribute(name) => {
            let mut groups: BTreeMap<String, Vec<MemberId>> = BTreeMap::new();
            for id in of {
                let value = known.get(&id).and_then(|it| it.attribute(name)).unwrap_or_default();
                groups.entry(value.to_owned()).or_default().push(id);
            }
            let named = |value: String| match value.is_empty() {
                true => pod.name.clone(),
                false => format!("{}-{value}", pod.name),
            };
            groups.into_iter().map(|(value, of)| phase(named(value), false, steps(of))).collect()
        }
    }
}

/// The first start of everything, pod after pod.
pub(crate) fn deploy(request: &PlanRequest<'_>, spec: &ServiceSpec) -> Plan {
    let mut phases = Vec::new();
    for pod in &spec.pods {
        let is_parallel = pod.strategy == Strategy::Parallel;
        // Nobody has a place yet, so that there are no groups and nothing to try out first.
        let steps = members(pod, 0).into_iter().map(|it| Step::new(it, Act::Launch)).collect();
        phases.push(phase(&pod.name, is_parallel, steps));
    }
    plan(request, phases)
}

/// From one spec to another: new members are started one after the other, those that must change are
/// started anew by their pod's strategy.
pub(crate) fn update(
    request: &PlanRequest<'_>,
    spec: &ServiceSpec,
    rolled: &Rolled,
    known: &Members,
) -> Plan {
    let mut phases = Vec::new();
    for pod in &spec.pods {
        let is_up =
            |it: &MemberId| known.get(it).is_some_and(|it| it.target == crate::pods::Target::Up);
        let (up, down): (Vec<_>, Vec<_>) = members(pod, 0).into_iter().partition(is_up);
        let is_rolled = |it: &MemberId| {
            let generation = known.get(it).map_or(0, |it| it.generation);
            rolled.get(&(pod.name.clone(), generation)) != Some(&false)
        };
        let up = up.into_iter().filter(is_rolled).collect();
        phases.extend(by_strategy(pod, up, &Act::Update, known));
        let steps = down.into_iter().map(|it| Step::new(it, Act::Launch)).collect();
        phases.push(phase(format!("{}-new", pod.name), false, steps));
    }
    plan(request, phases)
}

/// These members are started anew on their volumes, by their pod's strategy.
pub(crate) fn restart(
    request: &PlanRequest<'_>,
    pod: &PodSpec,
    of: Vec<MemberId>,
    known: &Members,
) -> Plan {
    let serial = PodSpec { strategy: Strategy::Serial, ..pod.clone() };
    let pod = if let Strategy::Canary(_) = pod.strategy { &serial } else { pod };
    plan(request, by_strategy(pod, of, &Act::Restart, known))
}

/// A member gets new volumes, and those that are told where it is are started anew; its old claim is
/// released at the end.
pub(crate) fn replace(
    request: &PlanRequest<'_>,
    member: &MemberId,
    dependents: Vec<MemberId>,
) -> Plan {
    let told = dependents.into_iter().map(|it| Step::new(it, Act::Restart)).collect();
    let of = |act| vec![Step::new(member.clone(), act)];
    plan(
        request,
        vec![
            phase("stop", false, of(Act::Stop)),
            phase("place", false, of(Act::Place)),
            phase("dependents", false, told),
            phase("release", false, of(Act::Release)),
        ],
    )
}

/// As [`replace`], asked for by the pod's policy; when it only asks, the plan begins paused.
pub(crate) fn recover(
    request: &PlanRequest<'_>,
    member: &MemberId,
    dependents: Vec<MemberId>,
    asks: bool,
) -> Plan {
    let mut plan = replace(request, member, dependents);
    if asks {
        plan.head.paused = Some(plan.head.asked.clone());
    }
    plan
}

/// The last members of a pod leave, one after the other.
pub(crate) fn decommission(request: &PlanRequest<'_>, of: Vec<MemberId>) -> Plan {
    let leave = |it: MemberId| {
        let steps = [Act::Hook("leave".to_owned()), Act::Stop, Act::Release];
        let name = it.to_string();
        phase(name, false, steps.into_iter().map(|act| Step::new(it.clone(), act)).collect())
    };
    plan(request, of.into_iter().map(leave).collect())
}

/// Everybody is stopped, the last pod first; then the claims are released.
pub(crate) fn uninstall(
    request: &PlanRequest<'_>,
    spec: &ServiceSpec,
    known: &Members,
    release: &Act,
) -> Plan {
    let mut phases = Vec::new();
    let order: Vec<&PodSpec> = spec.pods.iter().rev().collect();
    for (name, act) in [("stop", &Act::Stop), ("release", release)] {
        for pod in &order {
            let of = known.keys().filter(|it| it.pod == pod.name).rev();
            let steps = of.map(|it| Step::new(it.clone(), act.clone())).collect();
            phases.push(phase(format!("{}-{name}", pod.name), false, steps));
        }
    }
    plan(request, phases)
}

/// What the author's hooks do, one member after the other.
pub(crate) fn of_hooks(request: &PlanRequest<'_>, steps: Vec<(MemberId, String)>) -> Plan {
    let step = |(member, name)| Step::new(member, Act::Hook(name));
    plan(request, vec![phase(request.kind.name(), false, steps.into_iter().map(step).collect())])
}

/// The same with the author's own steps at its end, one after the other.
pub(crate) fn ending_with(mut plan: Plan, steps: Vec<(MemberId, String)>) -> Plan {
    if !steps.is_empty() {
        let own = PhaseHead { name: "afterwards".to_owned(), is_parallel: false, is_gated: false };
        plan.head.phases.push(own);
        let step = |(member, name)| Step::new(member, Act::Hook(name));
        plan.steps.push(steps.into_iter().map(step).collect());
    }
    plan
}
