//! Whether an agent's ledger is the one whose claims were acknowledged, gone on from there; or another one, that was rolled back.
//!
//! A version is a count, and a rolled-back ledger counts on: so the checksum that the ledger had at the acknowledged version is compared. The
//! agent remembers it for each version that it has reported, until it hears what was acknowledged. Never takes a greater version alone for a
//! later one, where both sides know checksums.

use holdfast_model::{AgentId, AgentRecord, LedgerPoint, Report};

/// The record with what this report acknowledges. Never acknowledges less than before.
pub(super) fn acknowledging(record: &AgentRecord, report: &Report) -> AgentRecord {
    let checksum = reported(report).map(|it| it.checksum);
    acknowledging_version(record, report.ledger_version, checksum)
}

/// The record with this version acknowledged. Never acknowledges less than before.
pub(super) fn acknowledging_version(
    record: &AgentRecord,
    ledger_version: u64,
    ledger_checksum: Option<u64>,
) -> AgentRecord {
    match record.ledger_version <= ledger_version {
        true => AgentRecord { ledger_version, ledger_checksum, ..record.clone() },
        false => record.clone(),
    }
}

/// Why the ledger that is reported is none that has gone on from the acknowledged one.
pub(super) fn why_rolled_back(record: &AgentRecord, report: &Report) -> Option<String> {
    let (id, known) = (&record.id, record.ledger_version);
    let lost = format!(
        "it has lost data; restore its ledger, or import an export of it, or see `holdfast agent recover {id} --plan`"
    );
    if report.ledger_version < known {
        let version = report.ledger_version;
        return Some(format!(
            "agent {id} reports version {version} of its ledger, but version {known} was acknowledged: {lost}"
        ));
    }
    let checksum = record.ledger_checksum?;
    let is_it = match point_at(report, known) {
        Some(point) => point.checksum == checksum,
        // It remembers nothing (an older version of it), or only what came later: the masters' ledger is the older one.
        None => report.history.iter().all(|it| known < it.version),
    };
    (!is_it).then(|| {
        format!(
            "the ledger of agent {id} was rolled back behind version {known}, which was acknowledged, and has gone on from there to version {}: {lost}",
            report.ledger_version
        )
    })
}

/// Why the process on a newer link is not the one that is connected: both have the ledger of this agent, of which one is a copy.
pub(super) fn why_copied(id: &AgentId, heard: &LedgerPoint, report: &Report) -> Option<String> {
    let is_told = !report.history.is_empty();
    (is_told && !report.history.contains(heard)).then(|| {
        format!(
            "another process with the ledger of agent {id} is connected, and this one has not seen what that one did since: the ledger was copied; stop one of the two, and start the other machine in an empty --dir"
        )
    })
}

/// The ledger that a report is of.
pub(super) fn reported(report: &Report) -> Option<LedgerPoint> {
    point_at(report, report.ledger_version).copied()
}

fn point_at(report: &Report, version: u64) -> Option<&LedgerPoint> {
    report.history.iter().find(|it| it.version == version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::machine::Machine;
    use holdfast_model::{AgentId, Instant, Presence, Resources};

    fn report(points: &[(u64, u64)]) -> Report {
        let point = |&(version, checksum): &(u64, u64)| LedgerPoint { version, checksum };
        let history: Vec<LedgerPoint> = points.iter().map(point).collect();
        let ledger_version = history.last().map_or(9, |it| it.version);
        Report { ledger_version, history, ..Machine::new(0, Resources::new()).report() }
    }

    fn record(ledger_version: u64, ledger_checksum: Option<u64>) -> AgentRecord {
        AgentRecord {
            id: AgentId::made("a".to_owned()),
            node: report(&[]).node,
            hostname: "h".to_owned(),
            port: 1,
            presence: Presence::Admitted,
            since: Instant(0),
            ledger_version,
            ledger_checksum,
        }
    }

    #[test]
    fn a_ledger_is_believed_if_it_was_once_the_acknowledged_one() {
        for (known, points, is_believed) in [
            ((5, Some(50)), &[(3, 30), (5, 50), (9, 90)][..], true),
            ((5, Some(50)), &[(5, 50)], true),
            ((5, Some(50)), &[(5, 51)], false),
            ((5, Some(50)), &[(3, 30), (5, 51), (9, 90)], false),
            ((5, Some(50)), &[(3, 30), (9, 90)], false),
            ((5, Some(50)), &[(3, 30), (4, 40)], false),
            // The masters' ledger was put back to before what it remembers.
            ((5, Some(50)), &[(7, 70), (9, 90)], true),
            // One of the two is of an older version, and tells no checksum.
            ((5, Some(50)), &[], true),
            ((12, Some(50)), &[], false),
            ((5, None), &[(3, 30), (9, 90)], true),
            ((5, None), &[(3, 30)], false),
        ] {
            let why = why_rolled_back(&record(known.0, known.1), &report(points));
            assert_eq!(why.is_none(), is_believed, "{known:?} {points:?}: {why:?}");
        }
    }

    #[test]
    fn what_is_acknowledged_only_grows() {
        let of = |points: &[(u64, u64)]| {
            let it = acknowledging(&record(5, Some(50)), &report(points));
            (it.ledger_version, it.ledger_checksum)
        };
        assert_eq!(of(&[(5, 50), (9, 90)]), (9, Some(90)));
        assert_eq!(of(&[(4, 40)]), (5, Some(50)));
        assert_eq!(of(&[]), (9, None));
    }
}
