//! What a framework that is not there yet could be offered.
//!
//! It asks what decides eligibility, as the reasons do, so that the answer is that of the allocator.
//! It only reads the allocation input: nothing is allocated, and nobody's turn is taken.

use holdfast_model::{AgentId, Resources};

use crate::candidate::Candidate;
use crate::input::{Allocation, AllocationInput, FrameworkView};
use crate::quota::QuotaState;
use crate::reasons::{reasons_after, Reason};
use crate::roster::Contender;

/// What could be offered of one agent to one role of a framework.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// The agent.
    pub agent: AgentId,
    /// What could be offered.
    pub resources: Resources,
    /// Where nothing could be: why not.
    pub reasons: Vec<Reason>,
}

/// For each agent, what is left beside the offers that are open and could be offered to the first
/// role of a framework, or why nothing could be.
pub fn outlook(
    input: &AllocationInput<'_>,
    open: &[Allocation],
    framework: &FrameworkView,
) -> Vec<Outlook> {
    let Some(role) = framework.roles.first() else { return Vec::new() };
    let contender = Contender::of(framework, role);
    let quota = QuotaState::new(input.quota);
    let mut all = Vec::new();
    for view in input.agents.values() {
        let here: Vec<&Allocation> = open.iter().filter(|it| it.agent == view.id).collect();
        let mut rest = view.clone();
        here.iter().for_each(|it| rest.free.subtract_all(&it.resources));
        let candidate = Candidate::new(input, &rest);
        let (resources, reasons) = match candidate.eligible(input, quota.as_ref(), &contender) {
            Ok(fit) => (candidate.fitting(&fit), Vec::new()),
            Err(_) => (Resources::default(), reasons_after(input, view, &here, &contender, None)),
        };
        all.push(Outlook { agent: view.id.clone(), resources, reasons });
    }
    all
}
