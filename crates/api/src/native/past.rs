//! `/holdfast/v1/claims-at`: what was claimed at some time, out of what is claimed now and what has ended since.
//!
//! Relies on the history that each claim has, which is bounded. Never says how much a claim held when that has changed since and is not
//! remembered, and always says whether all claims of that time are known.

use holdfast_model::{AgentId, Claim, ClaimEvent, EndedClaim, Instant};

use super::claims::event;
use super::ended::is_back;
use super::hostname;
use crate::rows::{ClaimKind, ClaimsAt, PastClaimRow};
use crate::MasterView;

/// Events that end a claim; one of a volume may be followed by others when it comes back.
const ENDS: [&str; 7] = [
    "destroyed",
    "given up",
    "unreserved",
    "made a volume",
    "grew a volume",
    "reserved anew",
    "left in the trash",
];

/// What was claimed at that time.
pub fn claims_at(view: &MasterView, at: Instant) -> ClaimsAt {
    let ledger = view.ledger();
    let living = ledger.claims.iter().filter(|(_, it)| was_claimed(it, at));
    let mut claims: Vec<PastClaimRow> =
        living.map(|((agent, _), it)| row(view, agent, (it, None), at)).collect();
    let was_there =
        |it: &&EndedClaim| at < it.at() && was_claimed(&it.claim, at) && !is_back(ledger, it);
    let ended = ledger.ended.iter().filter(was_there);
    claims.extend(ended.map(|it| row(view, &it.agent, (&it.claim, Some(it.at())), at)));
    let since = ledger.ended.since().unwrap_or(Instant(u64::MAX));
    ClaimsAt { at_ms: at.0, known_since_ms: since.0, complete: since <= at, claims }
}

/// The last thing that had happened to a claim by then.
fn last_event(claim: &Claim, at: Instant) -> Option<&ClaimEvent> {
    claim.history.iter().rfind(|it| it.at <= at)
}

fn was_claimed(claim: &Claim, at: Instant) -> bool {
    let is_end = |it: &ClaimEvent| ENDS.contains(&it.what.as_str());
    claim.created <= at && !last_event(claim, at).is_some_and(is_end)
}

/// Whether a claim held as much then as it does now, or did at its end.
fn held_the_same(claim: &Claim, at: Instant) -> bool {
    let Some(mut generation) = last_event(claim, at).map(|it| it.generation) else { return false };
    let since = claim.history.iter().filter(|it| at < it.at);
    for event in since {
        let keeps = ENDS.contains(&event.what.as_str()) || event.what == "undeleted";
        if !keeps || event.generation != generation + 1 {
            return false; // It was changed, or what happened in between is not remembered.
        }
        generation = event.generation;
    }
    generation == claim.generation
}

fn row(
    view: &MasterView,
    agent: &AgentId,
    (claim, ended): (&Claim, Option<Instant>),
    at: Instant,
) -> PastClaimRow {
    let identity = &claim.resource.identity;
    let is_volume = claim.is_volume();
    let amount = claim.resource.value.quantity().to_f64();
    PastClaimRow {
        id: claim.id.to_string(),
        kind: if is_volume { ClaimKind::Volume } else { ClaimKind::Reservation },
        volume: identity.persistence.as_ref().map(ToString::to_string),
        role: identity.role().to_string(),
        resource: identity.name.clone(),
        amount: held_the_same(claim, at).then_some(amount),
        agent: agent.to_string(),
        hostname: hostname(view, agent),
        disk_root: identity.source.as_ref().and_then(|it| it.root.clone()),
        framework: claim.framework.as_ref().map(ToString::to_string),
        created_ms: claim.created.0,
        last: last_event(claim, at).map(|it| event(it, is_volume)),
        ended_ms: ended.map(|it| it.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::claims;

    /// A claim to which this happened, one thing each second, beginning with 1.
    fn claim(what: &[&str]) -> Claim {
        let made = Claim {
            created: Instant(1_000),
            generation: 0,
            history: Vec::new(),
            ..claims().remove(0)
        };
        let seconds = (1..).map(|it: u64| Instant(it * 1_000));
        what.iter().zip(seconds).fold(made, |it, (what, at)| it.ended(at, what, "ops"))
    }

    #[test]
    fn a_claim_was_there_from_its_making_to_its_end_and_from_its_return() {
        let back = claim(&["created", "destroyed", "undeleted", "destroyed"]);
        let there: Vec<bool> =
            [500, 1_500, 2_500, 3_500, 4_500].map(|it| was_claimed(&back, Instant(it))).into();
        assert_eq!(there, [false, true, false, true, false]);
    }

    #[test]
    fn how_much_it_held_is_said_only_where_it_is_known() {
        let grown = claim(&["reserved", "reserved more", "unreserved"]);
        let known = [1_500, 2_500, 3_500].map(|it| held_the_same(&grown, Instant(it)));
        assert_eq!(known, [false, true, true]);
        let mut long = claim(&["reserved", "x", "y"]);
        long.history.remove(1);
        assert!(!held_the_same(&long, Instant(1_500)), "what happened in between is not known");
    }
}
