//! `/holdfast/v1/ended-claims`: a row for each claim that has ended and is remembered, oldest first.
//!
//! Relies on the masters' ledger in the view, which finds them by claim and by name. Never says how a claim ended unless its agent did,
//! and never lists one that is back.

use holdfast_master::AgentHealth;
use holdfast_model::{ClaimId, EndedClaim, MasterLedger, PersistenceId};

use super::claims::{event, labels};
use super::hostname;
use crate::rows::{ClaimKind, EndedClaimRow, EndedData};
use crate::{MasterView, Parameters, Refusal};

/// How many rows an answer has when nobody says, and at most.
const ROWS: usize = 1_000;
const ROWS_MAX: usize = 10_000;

/// Which ended claims are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedWanted {
    /// An id, the beginning of one, or a volume's name.
    about: Option<String>,
    role: Option<String>,
    agent: Option<String>,
    framework: Option<String>,
    /// Only those with a greater number.
    after: u64,
    limit: usize,
}

impl EndedWanted {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for one that is no number.
    pub fn read(parameters: Parameters<'_>) -> Result<EndedWanted, Refusal> {
        let after = parameters.number("after", 0)?;
        Ok(EndedWanted {
            about: parameters.owned("about"),
            role: parameters.owned("role"),
            agent: parameters.owned("agent"),
            framework: parameters.owned("framework"),
            after: u64::try_from(after).unwrap_or(u64::MAX),
            limit: parameters.number("limit", ROWS)?.min(ROWS_MAX),
        })
    }

    fn wants(&self, it: &EndedClaim) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let identity = &it.claim.resource.identity;
        let framework = it.claim.framework.as_ref().map(|it| it.as_str());
        self.after < it.number
            && is(&self.role, identity.role().as_str())
            && is(&self.agent, it.agent.as_str())
            && is(&self.framework, framework.unwrap_or_default())
    }
}

/// The ended claims that are wanted, oldest first.
pub fn ended_claims(view: &MasterView, wanted: &EndedWanted) -> Vec<EndedClaimRow> {
    let ledger = view.ledger();
    let found = found(ledger, wanted);
    let left = found.filter(|it| wanted.wants(it) && !is_back(ledger, it));
    left.take(wanted.limit).map(|it| row(view, it)).collect()
}

/// Those among which the wanted ones are: by an index where there is one.
fn found<'a>(
    ledger: &'a MasterLedger,
    wanted: &'a EndedWanted,
) -> Box<dyn Iterator<Item = &'a EndedClaim> + 'a> {
    let Some(about) = &wanted.about else { return Box::new(ledger.ended.after(wanted.after)) };
    if let Ok(id) = ClaimId::parse(about) {
        return Box::new(ledger.ended.of_claim(id));
    }
    if let Ok(name) = PersistenceId::parse(about) {
        let mut named = ledger.ended.of_volume(&name).peekable();
        if named.peek().is_some() {
            // What the index yields is borrowed from a name that ends here.
            return Box::new(named.collect::<Vec<_>>().into_iter());
        }
    }
    let begins = |it: &&EndedClaim| it.claim.id.to_string().starts_with(about.as_str());
    Box::new(ledger.ended.after(wanted.after).filter(begins))
}

/// Whether the claim is there again, or has ended once more since.
pub(super) fn is_back(ledger: &MasterLedger, it: &EndedClaim) -> bool {
    ledger.claims.contains_key(&(it.agent.clone(), it.claim.id)) || ledger.ended.is_superseded(it)
}

fn row(view: &MasterView, ended: &EndedClaim) -> EndedClaimRow {
    let claim = &ended.claim;
    let identity = &claim.resource.identity;
    let (is_volume, end) = (claim.is_volume(), ended.end());
    EndedClaimRow {
        number: ended.number,
        id: claim.id.to_string(),
        kind: if is_volume { ClaimKind::Volume } else { ClaimKind::Reservation },
        volume: identity.persistence.as_ref().map(ToString::to_string),
        role: identity.role().to_string(),
        principal: identity.reservations.last().and_then(|it| it.principal.clone()),
        labels: identity.reservations.last().map(|it| labels(&it.labels)).unwrap_or_default(),
        resource: identity.name.clone(),
        amount: claim.resource.value.quantity().to_f64(),
        agent: ended.agent.to_string(),
        hostname: hostname(view, &ended.agent),
        disk: claim.disk.map(|it| it.to_string()),
        disk_root: identity.source.as_ref().and_then(|it| it.root.clone()),
        framework: claim.framework.as_ref().map(ToString::to_string),
        generation: claim.generation,
        created_ms: claim.created.0,
        ended_ms: ended.at().0,
        how: end.map(|it| it.what.clone()),
        by: end.map(|it| it.by.clone()),
        reason: reason(view, ended),
        data: is_volume.then(|| data(view, ended)),
        history: claim.history.iter().map(|it| event(it, is_volume)).collect(),
    }
}

/// Why its agent was marked gone, if that was its end.
fn reason(view: &MasterView, ended: &EndedClaim) -> Option<String> {
    let death = view.ledger().deaths.get(&ended.agent)?;
    let end = ended.end().filter(|it| it.what == "given up" && it.at == death.at);
    end.and(death.reason.clone())
}

/// Where the bytes of a volume are, as its agent has told this leader.
fn data(view: &MasterView, ended: &EndedClaim) -> EndedData {
    let agent = view.agents().get(&ended.agent);
    let volume = agent.and_then(|it| it.trash().volumes().get(&ended.claim.id));
    let is_here = agent.is_some_and(|it| *it.health() == AgentHealth::Well);
    match (volume, ended.end().map(|it| it.what.as_str())) {
        (Some(it), _) if it.purging => EndedData::Removed,
        (Some(_), _) => EndedData::InTrash,
        (None, Some("given up")) => EndedData::Untouched,
        (None, Some("destroyed")) if is_here => EndedData::Removed,
        (None, _) => EndedData::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{report, Bed, NOW, RESERVATION, VOLUME};
    use holdfast_model::{Claim, ClaimState, Instant, OperationRecord, Report};
    use serde_json::{json, Value};

    /// The agent has no claims any more, and says of the volume that an operator destroyed it.
    fn bed() -> Bed {
        let mut bed = Bed::elected();
        let before = report();
        let volume = before.claims.iter().find(|it| it.is_volume()).unwrap();
        let ended = Claim { state: ClaimState::Destroying, ..volume.clone() };
        let ended = ended.ended(Instant(NOW + 5), "destroyed", "ops");
        bed.report(Report {
            claims: Vec::new(),
            tasks: Vec::new(),
            operations: vec![OperationRecord {
                claims: vec![ended.id],
                endings: vec![ended],
                ..crate::testbed::operation()
            }],
            ..before
        });
        bed
    }

    fn asked(bed: &Bed, pairs: &[(&str, &str)]) -> Vec<Value> {
        let get = |name: &str| pairs.iter().find(|it| it.0 == name).map(|it| it.1);
        let wanted = EndedWanted::read(Parameters(&get)).unwrap();
        let rows = ended_claims(&bed.view(), &wanted);
        rows.iter().map(|it| serde_json::to_value(it).unwrap()).collect()
    }

    #[test]
    fn what_ended_how_and_by_whom_or_that_nobody_said() {
        let rows = asked(&bed(), &[]);
        let volume = json!({
            "number": 1, "id": VOLUME, "kind": "volume", "volume": "data-0", "role": "db", "principal": "db-team",
            "labels": [], "resource": "disk", "amount": 200.0, "agent": "S0", "hostname": "host0",
            "disk": crate::testbed::DISK, "disk_root": "/d1", "framework": "f-0", "generation": 3,
            "created_ms": 500, "ended_ms": NOW + 5, "how": "destroyed", "by": "ops", "reason": null, "data": "removed",
            "history": [
                { "at_ms": 500, "generation": 2, "what": "created", "by": "db-team", "operation": "CREATE" },
                { "at_ms": NOW + 5, "generation": 3, "what": "destroyed", "by": "ops", "operation": "DESTROY" },
            ],
        });
        assert_eq!(rows[0], volume);
        assert_eq!(rows[1]["id"], RESERVATION);
        assert_eq!((&rows[1]["how"], &rows[1]["by"]), (&Value::Null, &Value::Null));
        assert_eq!((&rows[1]["ended_ms"], &rows[1]["data"]), (&json!(NOW), &Value::Null));
    }

    #[test]
    fn they_are_found_by_what_they_were() {
        let bed = bed();
        let numbers = |pairs: &[(&str, &str)]| -> Vec<u64> {
            asked(&bed, pairs).iter().map(|it| it["number"].as_u64().unwrap()).collect()
        };
        assert_eq!(numbers(&[("about", "data-0")]), [1]);
        assert_eq!(numbers(&[("about", RESERVATION)]), [2]);
        assert_eq!(numbers(&[("about", "00000000")]), [1, 2], "ids begin so");
        assert_eq!(numbers(&[("about", "data")]), [] as [u64; 0]);
        assert_eq!(numbers(&[("framework", "f-0"), ("role", "db"), ("agent", "S0")]), [1]);
        assert_eq!(numbers(&[("agent", "S1")]), [] as [u64; 0]);
        assert_eq!((numbers(&[("limit", "1")]), numbers(&[("after", "1")])), (vec![1], vec![2]));
    }
}
