//! What a drill came to: how long recovery took, what was lost, and one word for it.
//!
//! Pure. Never calls resilient what was not tried.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::plan::{Fault, Step, Target};

/// What one fault came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The fault.
    pub step: Step,
    /// Who was struck, by name.
    pub victims: Vec<String>,
    /// How long it took until everything worked again; `None` when it did not.
    pub recovered_ms: Option<u64>,
    /// How long it may take.
    pub allowed_ms: u64,
    /// Records that were acknowledged before and are not there any more, or are others.
    pub lost: usize,
    /// Whether each member has the volume that it had.
    pub same_claims: bool,
    /// Tasks that ran beside another one of the same member.
    pub doubled: usize,
    /// Why it did not recover.
    pub why: Option<String>,
}

/// What was counted at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Records that the workload's scheduler was told are durable.
    pub acknowledged: usize,
    /// Those of them that were read back from the volumes, with their checksums.
    pub read_back: usize,
    /// Claims of the workload before the first fault.
    pub claims_before: usize,
    /// Those of them that are there now.
    pub claims_after: usize,
}

/// One word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything came back in time, and nothing was lost.
    Resilient,
    /// Everything came back, and nothing was lost; but not in time, or not everything was tried.
    Degraded,
    /// Something was lost, ran twice, or did not come back.
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Resilient => "Resilient",
            Verdict::Degraded => "Degraded",
            Verdict::Failed => "Failed",
        })
    }
}

/// How long recovery took, of one kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How often it was seen.
    pub count: usize,
    /// Half of them took no longer.
    pub p50_ms: u64,
    /// 99 of 100 took no longer.
    pub p99_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

/// Recovery by kind of fault, of those that recovered.
pub fn times(outcomes: &[Outcome]) -> BTreeMap<(Fault, Target), Times> {
    let mut taken: BTreeMap<(Fault, Target), Vec<u64>> = BTreeMap::new();
    for outcome in outcomes {
        if let Some(ms) = outcome.recovered_ms {
            taken.entry((outcome.step.fault, outcome.step.target)).or_default().push(ms);
        }
    }
    let of = |mut all: Vec<u64>| {
        all.sort_unstable();
        Times {
            count: all.len(),
            p50_ms: percentile(&all, 50),
            p99_ms: percentile(&all, 99),
            max_ms: percentile(&all, 100),
        }
    };
    taken.into_iter().map(|(kind, all)| (kind, of(all))).collect()
}

/// The nearest rank: the least of the sorted values that `percent` of 100 do not exceed; 0 of none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The verdict, and what speaks against it: nothing when all is well.
pub fn judge(outcomes: &[Outcome], totals: &Totals, complete: bool) -> (Verdict, Vec<String>) {
    let (mut failed, mut degraded) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        let Step { number, fault, target, .. } = outcome.step;
        let what = format!("fault {number} ({fault} {target})");
        match outcome.recovered_ms {
            None => failed.push(format!(
                "{what}: no recovery: {}",
                outcome.why.as_deref().unwrap_or("it was not seen")
            )),
            Some(ms) if outcome.allowed_ms < ms => degraded.push(format!(
                "{what}: recovered after {ms} ms, and {} are allowed",
                outcome.allowed_ms
            )),
            Some(_) => {}
        }
        if 0 < outcome.lost {
            failed.push(format!("{what}: {} acknowledged records are lost", outcome.lost));
        }
        if !outcome.same_claims {
            failed.push(format!("{what}: a member does not have the volume that it had"));
        }
        if 0 < outcome.doubled {
            failed.push(format!("{what}: {} tasks ran twice", outcome.doubled));
        }
    }
    let lost = totals.acknowledged.saturating_sub(totals.read_back);
    if 0 < lost {
        failed.push(format!("in the end {lost} acknowledged records cannot be read back"));
    }
    let gone = totals.claims_before.saturating_sub(totals.claims_after);
    if 0 < gone {
        failed.push(format!("in the end {gone} claims are gone"));
    }
    if outcomes.is_empty() {
        degraded.push("no fault was carried out to its end".to_owned());
    } else if !complete {
        degraded.push(format!("it was stopped after {} faults", outcomes.len()));
    }
    let verdict = match (failed.is_empty(), degraded.is_empty()) {
        (false, _) => Verdict::Failed,
        (true, false) => Verdict::Degraded,
        (true, true) => Verdict::Resilient,
    };
    failed.extend(degraded);
    (verdict, failed)
}

/// Outcomes for tests of what is made of them.
#[cfg(test)]
pub mod examples {
    use super::*;
    use crate::drill::plan::{Schedule, Size, Wish};

    /// A fault that was recovered from in so many of 1000 allowed milliseconds.
    pub fn recovered(recovered_ms: u64) -> Outcome {
        let wish = Wish {
            faults: vec![Fault::Kill],
            targets: vec![Target::Agent],
            seed: 1,
            blast_radius: 1,
        };
        let size = Size { masters: 3, agents: 3, members: 3 };
        let step = Schedule::new(wish, size).unwrap().next().unwrap();
        Outcome {
            step,
            victims: vec!["agent-1".to_owned()],
            recovered_ms: Some(recovered_ms),
            allowed_ms: 1000,
            lost: 0,
            same_claims: true,
            doubled: 0,
            why: None,
        }
    }

    /// Nothing is missing.
    pub const WHOLE: Totals =
        Totals { acknowledged: 100, read_back: 100, claims_before: 3, claims_after: 3 };
}

#[cfg(test)]
mod tests {
    use super::examples::{recovered, WHOLE};
    use super::*;

    fn verdict(outcomes: &[Outcome], totals: &Totals) -> Verdict {
        judge(outcomes, totals, true).0
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!([50, 99, 100].map(|it| percentile(&hundred, it)), [50, 99, 100]);
        assert_eq!([50, 99, 100].map(|it| percentile(&[7], it)), [7, 7, 7]);
        assert_eq!([50, 99].map(|it| percentile(&[1, 2, 3], it)), [2, 3]);
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn times_are_of_those_that_recovered() {
        let never = Outcome { recovered_ms: None, ..recovered(0) };
        let times = times(&[recovered(30), recovered(10), never, recovered(20)]);
        let wanted = Times { count: 3, p50_ms: 20, p99_ms: 30, max_ms: 30 };
        assert_eq!(times, BTreeMap::from([((Fault::Kill, Target::Agent), wanted)]));
    }

    #[test]
    fn resilient_is_what_lost_nothing_and_was_in_time() {
        assert_eq!(judge(&[recovered(1000)], &WHOLE, true), (Verdict::Resilient, Vec::new()));
    }

    #[test]
    fn degraded_is_what_was_late_or_not_all_tried() {
        assert_eq!(verdict(&[recovered(1001)], &WHOLE), Verdict::Degraded);
        assert_eq!(verdict(&[], &WHOLE), Verdict::Degraded, "nothing was tried");
        let (verdict, why) = judge(&[recovered(1)], &WHOLE, false);
        assert_eq!(
            (verdict, &why[..]),
            (Verdict::Degraded, &["it was stopped after 1 faults".to_owned()][..])
        );
    }

    #[test]
    fn failed_is_what_lost_anything_ran_twice_or_did_not_come_back() {
        for (bad, says) in [
            (
                Outcome { recovered_ms: None, why: Some("no leader".to_owned()), ..recovered(1) },
                "no leader",
            ),
            (Outcome { lost: 1, ..recovered(1) }, "1 acknowledged records are lost"),
            (Outcome { same_claims: false, ..recovered(1) }, "the volume that it had"),
            (Outcome { doubled: 2, ..recovered(1) }, "2 tasks ran twice"),
        ] {
            let (verdict, why) = judge(&[recovered(1), bad], &WHOLE, false);
            assert_eq!(verdict, Verdict::Failed);
            assert!(why[0].contains(says), "{why:?}");
        }
        assert_eq!(verdict(&[recovered(1)], &Totals { read_back: 99, ..WHOLE }), Verdict::Failed);
        assert_eq!(verdict(&[recovered(1)], &Totals { claims_after: 2, ..WHOLE }), Verdict::Failed);
    }
}
