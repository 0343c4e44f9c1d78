//! What a service shows of itself, as rows: rendered when somebody asks.
//!
//! It relies on the keeper's views. It never says that a member runs before that is known.

use holdfast_model::Instant;

use super::super::rows::{
    EndpointRow, OfferRow, PhaseRow, PlanRow, PodPortRow, PodRow, PodTypeRow, PodVolumeRow,
    ServiceRow, StepRow, WaitRow,
};
use super::super::spec_file::spec_text;
use crate::plans::{Plan, Signed, Status, Step, StepKey, StepState};
use crate::pods::{Hooks, MemberId, MemberView, ServiceKeeper, ServiceState};

/// How many volumes of an old self are named.
const FOUND_SHOWN: usize = 8;

/// How many members run and pass their checks, and how many there shall be.
pub(super) fn counts<H: Hooks>(keeper: &ServiceKeeper<H>) -> (usize, usize) {
    let wanted: usize = keeper.spec().pods.iter().map(|it| it.count as usize).sum();
    (keeper.members().filter(|it| it.state == "READY").count(), wanted)
}

/// The service as a whole.
pub(super) fn service<H: Hooks>(keeper: &ServiceKeeper<H>) -> ServiceRow {
    let (state, spec) = (keeper.state(), keeper.spec());
    let (word, summary) = summary(keeper, &state);
    let members: Vec<MemberView> = keeper.members().collect();
    let running =
        |pod: &str| members.iter().filter(|it| it.id.pod == pod && it.state == "READY").count();
    let pods = spec.pods.iter().map(|it| PodTypeRow {
        name: it.name.clone(),
        count: it.count,
        running: u32::try_from(running(&it.name)).unwrap_or(u32::MAX),
    });
    let open = keeper.plans().filter(|it| !it.is_over());
    ServiceRow {
        name: spec.name.clone(),
        role: spec.role.to_string(),
        framework: keeper.ledger().framework.as_ref().map(ToString::to_string),
        state: word.to_owned(),
        summary,
        pods: pods.collect(),
        waits: state.waits.iter().map(|(id, why)| wait(id, why)).collect(),
        plans: open.map(|it| plan(keeper, it)).collect(),
        refused: state.refused.iter().map(ToString::to_string).collect(),
        spec: spec_text(spec),
    }
}

/// The state in a word and in a sentence.
fn summary<H: Hooks>(keeper: &ServiceKeeper<H>, state: &ServiceState) -> (&'static str, String) {
    if !state.found.is_empty() {
        let shown: Vec<String> = state
            .found
            .iter()
            .take(FOUND_SHOWN)
            .map(|it| format!("{} on agent {}", it.volume, it.agent))
            .collect();
        let words = format!(
            "its ledger is empty, and {} volumes bear its name ({}); nothing is claimed or started until it is told to adopt them, or to begin anew",
            state.found.len(),
            shown.join(", ")
        );
        return ("stopped", words);
    }
    let (running, wanted) = counts(keeper);
    let count = match running == wanted {
        true => format!("all {wanted} members run"),
        false => format!("{running} of {wanted} members run"),
    };
    let connected = if state.is_subscribed { "" } else { "; no master knows it at the moment" };
    let plan = state.plan.and_then(|it| keeper.plan(it));
    match plan.map(|it| (it, it.status())) {
        Some((plan, Status::Error(why))) => {
            ("failed", format!("{count}; plan {} has stopped at {why}{connected}", plan.head.kind))
        }
        Some((plan, Status::Waiting)) => {
            let by = plan.head.paused.as_ref().map(|it| it.by.as_str()).unwrap_or_default();
            let kind = plan.head.kind;
            ("paused", format!("{count}; plan {kind} was paused by {by}{connected}"))
        }
        Some((plan, _)) => {
            let kind = plan.head.kind;
            ("working", format!("{count}; plan {kind} is under way{connected}"))
        }
        None if running == wanted => ("running", format!("{count}{connected}")),
        None => ("waiting", format!("{count}{connected}")),
    }
}

/// A reason of the keeper's, which ends with what to do where there is something.
fn wait(id: &MemberId, why: &str) -> WaitRow {
    let (reason, next) = match why.rsplit_once("; ") {
        Some((reason, next)) => (reason, next),
        None => (why, ""),
    };
    WaitRow { member: id.to_string(), reason: reason.to_owned(), next: next.to_owned() }
}

/// All plans.
pub(super) fn plans<H: Hooks>(keeper: &ServiceKeeper<H>) -> Vec<PlanRow> {
    keeper.plans().map(|it| plan(keeper, it)).collect()
}

fn plan<H: Hooks>(keeper: &ServiceKeeper<H>, plan: &Plan) -> PlanRow {
    let head = &plan.head;
    let said = |what: &str, it: &Signed| format!("{what} by {}", it.by);
    let status = plan.status();
    let why = match (&status, &head.ended, &head.paused) {
        (Status::Error(why), ..) => Some(why.clone()),
        (_, Some(by), _) => Some(said("ended before it was complete", by)),
        (_, None, Some(by)) => Some(said("paused", by)),
        _ => Some(said("asked for", &head.asked)),
    };
    let mut phases: Vec<PhaseRow> = head
        .phases
        .iter()
        .enumerate()
        .map(|(index, it)| PhaseRow {
            name: it.name.clone(),
            strategy: if it.is_parallel { "parallel" } else { "serial" }.to_owned(),
            state: plan.phase_status(index).name().to_owned(),
            steps: Vec::new(),
        })
        .collect();
    for (key, it) in plan.all_steps() {
        if let Some(phase) = phases.get_mut(key.phase) {
            phase.steps.push(step(keeper, &key, it));
        }
    }
    PlanRow { name: head.kind.to_string(), state: status.name().to_owned(), why, phases }
}

fn step<H: Hooks>(keeper: &ServiceKeeper<H>, key: &StepKey, step: &Step) -> StepRow {
    let status = step.status();
    let why = match (&status, &step.state) {
        (Status::Error(why), _) => Some(why.clone()),
        (_, StepState::Forced(by)) => Some(format!("completed by force, by {}", by.by)),
        (Status::Complete, _) => None,
        _ => keeper.step_reason(key).map(str::to_owned),
    };
    StepRow { name: step.name(), state: status.name().to_owned(), why }
}

/// The members.
pub(super) fn pods<H: Hooks>(keeper: &ServiceKeeper<H>) -> Vec<PodRow> {
    keeper.members().map(|it| pod(keeper, it)).collect()
}

fn pod<H: Hooks>(keeper: &ServiceKeeper<H>, it: MemberView) -> PodRow {
    let spec = keeper.spec().pod(&it.id.pod);
    let path = |index: usize| spec.and_then(|it| it.volumes.get(index)).map(|it| it.path.clone());
    let volumes = it.volumes.into_iter().enumerate();
    let kept = it.kept.iter().flat_map(|it| &it.volumes).map(ToString::to_string);
    PodRow {
        name: it.id.to_string(),
        pod: it.id.pod.clone(),
        index: it.id.index,
        state: it.state.to_owned(),
        agent: it.agent.map(|it| it.to_string()),
        hostname: Some(it.hostname).filter(|it| !it.is_empty()),
        task: it.task,
        volumes: volumes
            .map(|(index, id)| PodVolumeRow { path: path(index).unwrap_or_default(), id })
            .collect(),
        ports: it.ports.into_iter().map(|(name, number)| PodPortRow { name, number }).collect(),
        kept: kept.collect(),
        waits: it.waits.map(|why| wait(&it.id, &why)),
    }
}

/// Where members can be reached.
pub(super) fn endpoints<H: Hooks>(keeper: &ServiceKeeper<H>) -> Vec<EndpointRow> {
    let row = |it: crate::pods::EndpointView| EndpointRow {
        pod: it.member.pod.clone(),
        member: it.member.to_string(),
        port: it.name,
        address: it.address,
        running: it.is_ready,
    };
    keeper.endpoints().map(row).collect()
}

/// The last offers.
pub(super) fn offers<H: Hooks>(keeper: &ServiceKeeper<H>) -> Vec<OfferRow> {
    let row = |it: &crate::pods::OfferView| OfferRow {
        agent: it.agent.to_string(),
        hostname: it.hostname.clone(),
        at_ms: at_ms(it.at),
        taken: it.taken.clone(),
        why_not: it.why_not.clone(),
    };
    keeper.offers().map(row).collect()
}

fn at_ms(at: Instant) -> u64 {
    at.0
}
