//! What a person or a tool asks of a service, and what is answered.
//!
//! Plain values. Who asks is a part of each, and is written down with what it changes.

use std::fmt;

use super::member::MemberId;
use crate::plans::PlanKind;
use crate::spec::{Difference, Refusal, ServiceSpec};

/// A request to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Who asks.
    pub by: String,
    /// What is asked for.
    pub request: Request,
}

/// What is asked of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Another spec; with `is_preview` only what would be done.
    Spec {
        /// The spec.
        spec: Box<ServiceSpec>,
        /// Whether nothing is done.
        is_preview: bool,
    },
    /// What a request for a plan would do; nothing is changed.
    Preview(Box<Request>),
    /// A plan begins no further step.
    Pause(PlanKind),
    /// A plan that is paused goes on.
    Resume(PlanKind),
    /// A step that has stopped is tried again.
    Retry(PlanKind, String),
    /// A step counts as done, whatever is observed.
    ForceComplete(PlanKind, String),
    /// A member is started anew on its volumes; without a number all of the pod are.
    Restart(String, Option<u32>),
    /// A member gets new volumes.
    Replace(MemberId),
    /// A pod gets fewer members: the last ones leave.
    ScaleIn(String, u32),
    /// The claims that are kept of a member are not needed any more.
    Release(MemberId),
    /// Everybody is stopped; with `is_release` their claims are released without asking again.
    Uninstall {
        /// Whether the claims are released.
        is_release: bool,
    },
    /// One of the author's own plans, such as `backup`.
    Start(PlanKind),
    /// The volumes that were found are the service's own.
    Adopt,
    /// The volumes that were found are another's: the service begins anew beside them.
    New,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The plan that was made.
    pub plan: Option<PlanKind>,
    /// The steps of that plan.
    pub steps: Vec<String>,
    /// What is different in the spec.
    pub differences: Vec<Difference>,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such plan, step, pod or member.
    NotFound(String),
    /// It cannot be done now.
    Conflict(String),
    /// The spec is wrong.
    Spec(Vec<crate::spec::SpecError>),
    /// The change of the spec is unsafe.
    Change(Vec<Refusal>),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |f: &mut fmt::Formatter<'_>, all: Vec<String>| f.write_str(&all.join("\n"));
        match self {
            Refused::NotFound(why) | Refused::Conflict(why) => f.write_str(why),
            Refused::Spec(wrong) => lines(f, wrong.iter().map(ToString::to_string).collect()),
            Refused::Change(refused) => lines(f, refused.iter().map(ToString::to_string).collect()),
        }
    }
}

impl std::error::Error for Refused {}
