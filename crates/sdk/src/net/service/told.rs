//! What became of an order, as rows and refusals.
//!
//! It never leaves out what to do instead.

use holdfast_wire::Refusal;

use super::super::rows::{ChangeRow, DifferenceRow, DoneRow};
use crate::pods::{Answer, Refused};
use crate::spec::{Consequence, Difference};

/// What a change of the spec means.
pub(super) fn change_row(answer: &Answer, is_preview: bool) -> ChangeRow {
    ChangeRow {
        differences: answer.differences.iter().map(difference).collect(),
        steps: answer.steps.clone(),
        plan: answer.plan.map(|it| it.name().to_owned()),
        accepted: !is_preview,
    }
}

fn difference(it: &Difference) -> DifferenceRow {
    let then = match it.consequence {
        Consequence::NewPod => "its members are deployed".to_owned(),
        Consequence::NewMembers(1) => "1 member is added".to_owned(),
        Consequence::NewMembers(count) => format!("{count} members are added"),
        Consequence::Roll => "its members are started anew, by its strategy".to_owned(),
        Consequence::Nothing => "it holds from now on; nobody is started anew".to_owned(),
    };
    DifferenceRow { path: it.path.clone(), from: it.from.clone(), to: it.to.clone(), then }
}

/// Fewer members of a pod.
pub(super) fn fewer(pod: &str, now: u32, count: u32) -> DifferenceRow {
    DifferenceRow {
        path: format!("pods.{pod}.count"),
        from: now.to_string(),
        to: count.to_string(),
        then: "the last members leave, one after the other; what each has is kept until it is released"
            .to_owned(),
    }
}

/// What was done.
pub(super) fn done_row(answer: &Answer) -> DoneRow {
    let message = match (&answer.plan, answer.steps.len()) {
        (Some(plan), 0) => format!("plan {plan}: done"),
        (Some(plan), 1) => format!("plan {plan} has begun: {}", answer.steps[0]),
        (Some(plan), count) => format!("plan {plan} has begun, of {count} steps"),
        (None, _) => "done".to_owned(),
    };
    let plan = answer.plan.map(|it| it.name().to_owned());
    DoneRow { message, plan, steps: answer.steps.clone() }
}

/// What would be done.
pub(super) fn would_row(answer: &Answer) -> DoneRow {
    let message = match &answer.plan {
        Some(plan) => format!("plan {plan} would have {} steps", answer.steps.len()),
        None => "what is kept would be given up".to_owned(),
    };
    DoneRow { message, ..done_row(answer) }
}

/// Why nothing was done.
pub(super) fn refusal(refused: &Refused) -> Refusal {
    let words = refused.to_string();
    match refused {
        Refused::NotFound(_) => Refusal::not_found(words),
        Refused::Spec(_) => Refusal::bad_request(words),
        Refused::Conflict(_) | Refused::Change(_) => Refusal::conflict(words),
    }
}
