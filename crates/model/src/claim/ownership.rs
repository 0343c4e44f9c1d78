//! Whose claims an operation may take from. Equal reservations are one amount to the API, and inside they stay the claims of those who
//! made them.
//!
//! Masters decide once who is there to hold anything, and say it with each order, so that agent and master come to the same. Never
//! takes a framework for removed that was not named as that: what is in doubt stays held.

use std::cmp::Ordering;

use super::Claim;
use crate::id::{ClaimId, FrameworkId};
use crate::operation::ClaimAction;
use crate::resource::Resource;

/// What masters say with an order about whose claims it may take from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Whether anybody may take away what a framework holds: an operator insists on it, or the masters are set to Mesos's way.
    pub anybody: bool,
    /// Those of the makers that were removed; their claims are their role's.
    pub removed: Vec<FrameworkId>,
    /// The one claim that is meant, whichever others look the same.
    pub claim: Option<ClaimId>,
}

impl Ownership {
    /// What holds for an order that says nothing of it, because an older master gave it.
    pub fn unsaid() -> Ownership {
        Ownership { anybody: true, ..Ownership::default() }
    }
}

/// Whose a claim is, as one who takes sees it. What comes first is taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Of the framework that asks.
    Own,
    /// An operator made it, or a framework that was removed.
    Roles,
    /// Another framework made it, which was not removed.
    Others,
}

/// Why a claim gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Another framework holds what was to be taken away.
    Held {
        /// Its claim.
        claim: ClaimId,
        /// The framework.
        framework: FrameworkId,
        /// What of the claim was to be taken.
        resource: Box<Resource>,
    },
    /// The one claim that was meant has less than that by now, or is gone.
    Less(ClaimId),
}

impl NotTaken {
    /// The refusal of `action`, in words; `name` is how people call a framework.
    pub fn why(&self, action: &ClaimAction, name: &dyn Fn(&FrameworkId) -> String) -> String {
        let (claim, framework, resource) = match self {
            NotTaken::Held { claim, framework, resource } => (claim, framework, resource),
            NotTaken::Less(claim) => {
                return format!("claim {claim} has changed in the meantime; look at it again");
            }
        };
        let hint = match action {
            ClaimAction::Destroy(_) | ClaimAction::Shrink { .. } => {
                "only that framework may, or an operator with force"
            }
            _ => "take what is your own or the role's, or have an operator end that claim by its id, with force",
        };
        format!(
            "{} would take {resource}, claim {claim}, which is held by framework {} and that was not removed; {hint}",
            action.name(),
            name(framework)
        )
    }
}

/// What was taken of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The claim.
    pub claim: ClaimId,
    /// The framework that made it, if one did.
    pub framework: Option<FrameworkId>,
    /// What was taken of it.
    pub resource: Resource,
}

/// Whether an action is ever refused for whose claims it takes from; else it takes what there is.
pub fn can_be_refused(
    action: &ClaimAction,
    asker: Option<&FrameworkId>,
    ownership: &Ownership,
) -> bool {
    ownership.claim.is_some() || !ownership.anybody && takes_away(action, asker)
}

/// Whose a claim is, to one who asks.
pub(super) fn whose(claim: &Claim, asker: Option<&FrameworkId>, ownership: &Ownership) -> Whose {
    match &claim.framework {
        Some(maker) if Some(maker) == asker => Whose::Own,
        Some(maker) if !ownership.removed.contains(maker) => Whose::Others,
        _ => Whose::Roles,
    }
}

/// Who gives first: one's own, the role's, the others', and of each the oldest.
pub(super) fn in_turn((one, ones): (&Claim, Whose), (other, others): (&Claim, Whose)) -> Ordering {
    (ones, one.created, one.id).cmp(&(others, other.created, other.id))
}

/// Whether an action takes away what it takes; else it uses it, and gives it back in the end to whoever it came from. An operator who makes
/// a volume smaller takes nothing away: its space goes back at once.
pub(super) fn takes_away(action: &ClaimAction, asker: Option<&FrameworkId>) -> bool {
    match action {
        ClaimAction::Unreserve(_) | ClaimAction::Destroy(_) => true,
        ClaimAction::Shrink { .. } => asker.is_some(),
        ClaimAction::Reserve { source, .. } => !source.is_empty(),
        ClaimAction::Create(_) | ClaimAction::Grow { .. } => false,
        ClaimAction::Together(it) => it.steps.iter().any(|step| takes_away(step, asker)),
    }
}
