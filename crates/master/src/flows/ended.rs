//! Claims that end are remembered: what they were, and how they ended, as far as their agent says.
//!
//! Relies on the agent, which alone knows: it tells with an operation's outcome, and with each report until the outcome is acknowledged.
//! Never makes up how a claim ended, and never remembers one that only came and went within one ACCEPT.

use std::collections::BTreeMap;

use holdfast_model::{
    AgentId, Claim, ClaimId, ClaimState, EndedClaim, Instant, MasterChange, MasterLedger,
};

use crate::Config;

/// What ends a claim of an agent and remembers it; `gone` are claims that are known and that the agent does not have any more,
/// `endings` what it says of them.
pub(crate) fn end_claims(
    ledger: &MasterLedger,
    (config, now): (&Config, Instant),
    agent: &AgentId,
    gone: impl IntoIterator<Item = ClaimId>,
    endings: &[Claim],
) -> Vec<MasterChange> {
    let mut changes = Vec::new();
    let told: BTreeMap<ClaimId, &Claim> = endings.iter().map(|it| (it.id, it)).collect();
    let mut number = ledger.ended.next_number();
    for id in gone {
        let Some(known) = ledger.claims.get(&(agent.clone(), id)) else { continue };
        changes.push(MasterChange::ClaimGone(agent.clone(), id));
        // An older end is not the end of what has changed since.
        let end = told.get(&id).filter(|it| known.generation <= it.generation).copied();
        if is_forgettable(known, end) {
            continue;
        }
        let ended = EndedClaim {
            number,
            agent: agent.clone(),
            claim: end.unwrap_or(known).clone(),
            noticed: now,
            told: end.is_some_and(|it| !it.history.is_empty()),
        };
        number += 1;
        changes.push(MasterChange::Ended(ended));
    }
    changes.extend(told_late(ledger, agent, endings));
    changes.extend(forget_oldest(ledger, config.ended_claims_max, number));
    changes
}

/// What nobody was promised: a volume that never came to be, and a reservation that one ACCEPT made and used up.
fn is_forgettable(known: &Claim, end: Option<&Claim>) -> bool {
    match end {
        None => known.state == ClaimState::Making && known.history.len() <= 1,
        Some(end) => {
            let ended = end.history.last().map(|it| it.at);
            !end.is_volume() && ended == Some(end.created)
        }
    }
}

/// Claims that were only noticed to be gone, of which their agent now says how they ended.
fn told_late<'a>(
    ledger: &'a MasterLedger,
    agent: &'a AgentId,
    endings: &'a [Claim],
) -> impl Iterator<Item = MasterChange> + 'a {
    endings.iter().filter_map(|end| {
        let noticed = ledger.ended.last(agent, end.id)?;
        let is_news = !noticed.told
            && noticed.claim.generation <= end.generation
            && !end.history.is_empty()
            && !ledger.claims.contains_key(&(agent.clone(), end.id));
        is_news.then(|| {
            let told = EndedClaim { claim: end.clone(), told: true, ..noticed.clone() };
            MasterChange::Ended(told)
        })
    })
}

/// Makes room for those that are numbered below `next`. From then on it is known only of later ones that all are remembered.
fn forget_oldest(ledger: &MasterLedger, max: usize, next: u64) -> Vec<MasterChange> {
    let added = usize::try_from(next - ledger.ended.next_number()).unwrap_or(usize::MAX);
    if added == 0 {
        return Vec::new();
    }
    let left = max.max(1).saturating_sub(added);
    // A bound that was lowered is reached bit by bit, so that no step is long.
    let oldest: Vec<&EndedClaim> = ledger.ended.excess(left).take(added + EXTRA_MAX).collect();
    let Some(last) = oldest.last() else { return Vec::new() };
    let since = ledger.ended.since().map_or(last.noticed, |it| it.max(last.noticed));
    let mut changes: Vec<MasterChange> =
        oldest.iter().map(|it| MasterChange::EndedForgotten(it.number)).collect();
    changes.push(MasterChange::EndedSince(since));
    changes
}

/// How many are forgotten at once beyond those that make room for others.
const EXTRA_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{ClaimEvent, Resource, Scalar};
    use uuid::Uuid;

    fn agent() -> AgentId {
        AgentId::made("S0".to_owned())
    }

    fn id(number: u128) -> ClaimId {
        ClaimId(Uuid::from_u128(number))
    }

    fn claim(number: u128) -> Claim {
        let made = ClaimEvent {
            at: Instant(5),
            generation: 1,
            what: "reserved".to_owned(),
            by: "ops".to_owned(),
        };
        Claim {
            id: id(number),
            state: ClaimState::Ready,
            resource: Resource::scalar("disk", Scalar::whole(10)),
            framework: None,
            generation: 1,
            created: Instant(5),
            disk: None,
            history: vec![made],
            shares: Vec::new(),
            operation: None,
        }
    }

    /// A ledger with so many claims.
    fn ledger(count: u128) -> MasterLedger {
        let mut ledger = MasterLedger::default();
        (1..=count).for_each(|it| ledger.apply(&MasterChange::Claim(agent(), claim(it))));
        ledger
    }

    fn end(ledger: &mut MasterLedger, max: usize, at: u64, gone: &[u128], endings: &[Claim]) {
        let config = Config { ended_claims_max: max, ..Config::default() };
        let gone = gone.iter().map(|it| id(*it));
        let changes = end_claims(ledger, (&config, Instant(at)), &agent(), gone, endings);
        changes.iter().for_each(|it| ledger.apply(it));
    }

    fn kept(ledger: &MasterLedger) -> Vec<(u64, u128, bool)> {
        let row = |it: &EndedClaim| (it.number, it.claim.id.0.as_u128(), it.told);
        ledger.ended.iter().map(row).collect()
    }

    #[test]
    fn how_it_ended_is_said_by_the_agent_or_not_at_all() {
        let mut ledger = ledger(3);
        let told = claim(1).ended(Instant(9), "unreserved", "ops");
        end(&mut ledger, 10, 20, &[1, 2], &[told]);
        assert_eq!(kept(&ledger), [(1, 1, true), (2, 2, false)]);
        let first = ledger.ended.of_claim(id(1)).next().unwrap();
        assert_eq!((first.at(), first.end().unwrap().what.as_str()), (Instant(9), "unreserved"));
        assert_eq!(ledger.ended.of_claim(id(2)).next().unwrap().at(), Instant(20));
        assert_eq!(ledger.claims.len(), 1);
        // It says so after all, twice.
        let late = claim(2).ended(Instant(8), "given up", "ops");
        end(&mut ledger, 10, 30, &[2], std::slice::from_ref(&late));
        end(&mut ledger, 10, 40, &[2], &[late]);
        assert_eq!(kept(&ledger), [(1, 1, true), (2, 2, true)]);
        assert_eq!(ledger.ended.of_claim(id(2)).next().unwrap().at(), Instant(8));
        // What an older outcome says is not the end of what has changed since.
        let older = Claim { generation: 0, ..claim(3) };
        end(&mut ledger, 10, 50, &[3], &[older]);
        assert_eq!(kept(&ledger).last(), Some(&(3, 3, false)));
    }

    #[test]
    fn the_oldest_are_forgotten_and_from_when_on_all_are_known_is_said() {
        let mut ledger = ledger(40);
        ledger.apply(&MasterChange::EndedSince(Instant(1)));
        end(&mut ledger, 100, 10, &(1..=30).collect::<Vec<_>>(), &[]);
        assert_eq!((ledger.ended.len(), ledger.ended.since()), (30, Some(Instant(1))));
        end(&mut ledger, 31, 20, &[31], &[]);
        assert_eq!((ledger.ended.len(), ledger.ended.since()), (31, Some(Instant(1))));
        end(&mut ledger, 31, 30, &[32], &[]);
        assert_eq!((ledger.ended.len(), ledger.ended.since()), (31, Some(Instant(10))));
        assert_eq!(kept(&ledger)[0].0, 2);
        // A bound that was lowered is reached bit by bit.
        end(&mut ledger, 2, 40, &[33], &[]);
        assert_eq!(ledger.ended.len(), 31 + 1 - 1 - EXTRA_MAX);
        end(&mut ledger, 2, 50, &[34], &[]);
        end(&mut ledger, 0, 60, &[35], &[]);
        assert_eq!((ledger.ended.len(), kept(&ledger)[0].1), (1, 35), "the last one stays");
        assert_eq!(ledger.ended.since(), Some(Instant(50)));
    }

    #[test]
    fn what_nobody_was_promised_is_not_remembered() {
        let mut ledger = ledger(2);
        let made = Claim { state: ClaimState::Making, ..claim(3) };
        ledger.apply(&MasterChange::Claim(agent(), made));
        let used_up = claim(1).ended(claim(1).created, "made a volume", "f");
        end(&mut ledger, 10, 9, &[1, 3, 77], &[used_up]);
        assert_eq!((kept(&ledger), ledger.claims.len()), (Vec::new(), 1));
    }
}
