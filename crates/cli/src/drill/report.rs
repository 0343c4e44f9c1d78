//! The report of a drill: a table for people, JSON and YAML for programs, JUnit for continuous integration.
//!
//! Pure. All of them say the same.

use std::fmt::Write as _;

use serde_json::{json, Value};

use super::plan::{Schedule, Size, Step};
use super::verdict::{judge, times, Outcome, Totals, Verdict};

/// All that is known about a drill.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed of its order.
    pub seed: u64,
    /// What each fault came to.
    pub outcomes: Vec<Outcome>,
    /// What was counted at the end.
    pub totals: Totals,
    /// Whether all of the plan was done.
    pub complete: bool,
}

impl Report {
    /// The verdict, and what speaks against it.
    pub fn verdict(&self) -> (Verdict, Vec<String>) {
        judge(&self.outcomes, &self.totals, self.complete)
    }

    /// Tasks that ran beside another one of the same member.
    fn doubled(&self) -> usize {
        self.outcomes.iter().map(|it| it.doubled).sum()
    }

    fn lost(&self) -> usize {
        self.totals.acknowledged.saturating_sub(self.totals.read_back)
    }

    /// For programs.
    pub fn value(&self) -> Value {
        let (verdict, reasons) = self.verdict();
        let faults: Vec<Value> = self.outcomes.iter().map(fault_value).collect();
        let recovery: Vec<Value> = times(&self.outcomes)
            .into_iter()
            .map(|((fault, target), it)| {
                json!({ "fault": fault.to_string(), "target": target.to_string(), "count": it.count,
                    "p50_ms": it.p50_ms, "p99_ms": it.p99_ms, "max_ms": it.max_ms })
            })
            .collect();
        let Totals { acknowledged, read_back, claims_before, claims_after } = self.totals;
        json!({
            "verdict": verdict, "reasons": reasons, "seed": self.seed, "complete": self.complete,
            "faults": faults, "recovery": recovery,
            "records": { "acknowledged": acknowledged, "read_back": read_back, "lost": self.lost() },
            "claims": { "before": claims_before, "after": claims_after },
            "doubled_tasks": self.doubled(),
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text =
            format!("{:<22} {:>6} {:>9} {:>9} {:>9}\n", "FAULT", "COUNT", "P50", "P99", "MAX");
        for ((fault, target), it) in times(&self.outcomes) {
            let what = format!("{fault} {target}");
            line(
                &mut text,
                format_args!(
                    "{what:<22} {:>6} {:>6} ms {:>6} ms {:>6} ms",
                    it.count, it.p50_ms, it.p99_ms, it.max_ms
                ),
            );
        }
        let Totals { acknowledged, read_back, claims_before, claims_after } = self.totals;
        let lost = self.lost();
        text.push('\n');
        line(
            &mut text,
            format_args!(
                "records  {acknowledged} acknowledged, {read_back} read back, {lost} lost"
            ),
        );
        line(&mut text, format_args!("claims   {claims_before} before, {claims_after} after"));
        line(&mut text, format_args!("tasks    {} doubled", self.doubled()));
        line(&mut text, format_args!("seed     {}", self.seed));
        let (verdict, reasons) = self.verdict();
        line(&mut text, format_args!("verdict  {verdict}"));
        for reason in reasons {
            line(&mut text, format_args!("         {reason}"));
        }
        text
    }

    /// For continuous integration: a case for each fault, and one for what was counted at the end.
    pub fn junit(&self) -> String {
        let mut cases: Vec<(String, u64, Vec<String>)> = Vec::new();
        for outcome in &self.outcomes {
            let Step { number, fault, target, .. } = outcome.step;
            let alone = judge(std::slice::from_ref(outcome), &Totals::default(), true).1;
            let name = format!("{number} {fault} {target}: {}", outcome.victims.join(" and "));
            cases.push((name, outcome.recovered_ms.unwrap_or(0), alone));
        }
        let counted = judge(&[], &self.totals, true).1;
        // Of the verdict without faults all but the last reason, which says that there are none, are of what was counted.
        let counted = counted.split_last().map(|(_, it)| it.to_vec()).unwrap_or_default();
        cases.push(("records and claims in the end".to_owned(), 0, counted));
        let stopped = match self.complete && !self.outcomes.is_empty() {
            true => Vec::new(),
            false => vec![format!("it was stopped after {} faults", self.outcomes.len())],
        };
        cases.push(("all of the plan was carried out".to_owned(), 0, stopped));
        let failures = cases.iter().filter(|(_, _, why)| !why.is_empty()).count();
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        line(
            &mut text,
            format_args!(
                "<testsuite name=\"holdfast drill\" tests=\"{}\" failures=\"{failures}\">",
                cases.len()
            ),
        );
        for (name, ms, why) in cases {
            let (name, seconds) = (escaped(&name), format!("{}.{:03}", ms / 1000, ms % 1000));
            let head = format!(
                "  <testcase classname=\"holdfast.drill\" name=\"{name}\" time=\"{seconds}\""
            );
            match why.is_empty() {
                true => line(&mut text, format_args!("{head}/>")),
                false => {
                    let why = escaped(&why.join("; "));
                    line(&mut text, format_args!("{head}><failure message=\"{why}\"/></testcase>"));
                }
            }
        }
        text.push_str("</testsuite>\n");
        text
    }
}

fn fault_value(outcome: &Outcome) -> Value {
    let Step { number, fault, target, .. } = outcome.step;
    json!({
        "number": number, "fault": fault.to_string(), "target": target.to_string(),
        "victims": outcome.victims, "recovered_ms": outcome.recovered_ms,
        "allowed_ms": outcome.allowed_ms, "lost": outcome.lost,
        "same_claims": outcome.same_claims, "doubled": outcome.doubled, "why": outcome.why,
    })
}

/// The steps that would be done, as far as they are `shown`; for programs.
pub fn plan_value(schedule: Schedule, shown: usize, size: Size) -> Value {
    let steps: Vec<Value> = schedule
        .take(shown)
        .map(|it| {
            json!({ "number": it.number, "fault": it.fault.to_string(), "target": it.target.to_string(),
                "victims": it.victims, "whom": it.whom(size) })
        })
        .collect();
    Value::Array(steps)
}

/// The same for people.
pub fn plan_table(schedule: Schedule, shown: usize, size: Size) -> String {
    let mut text = String::new();
    for step in schedule.take(shown) {
        line(
            &mut text,
            format_args!("{:>4}  {:<6} {}", step.number, step.fault.to_string(), step.whom(size)),
        );
    }
    text
}

/// Writing into a string cannot fail.
fn line(text: &mut String, said: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{said}");
}

/// Text as it may stand in an attribute of XML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Not allowed in XML at all, or folded to a space in attributes.
            it if it.is_control() => out.push(' '),
            it => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::verdict::examples::{recovered, WHOLE};
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> Report {
        Report { seed: 7, outcomes, totals: WHOLE, complete: true }
    }

    #[test]
    fn people_read_times_counts_and_the_verdict() {
        let text = report(vec![recovered(12), recovered(40)]).table();
        for line in [
            "kill agent                  2     12 ms     40 ms     40 ms\n",
            "records  100 acknowledged, 100 read back, 0 lost\n",
            "claims   3 before, 3 after\n",
            "tasks    0 doubled\n",
            "verdict  Resilient\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let text = report(vec![recovered(1001)]).table();
        assert!(
            text.contains(
                "verdict  Degraded\n         fault 1 (kill agent): recovered after 1001 ms"
            ),
            "{text}"
        );
    }

    #[test]
    fn programs_read_the_same() {
        let value = report(vec![recovered(12)]).value();
        assert_eq!(value["verdict"], "resilient");
        assert_eq!(value["recovery"][0]["p99_ms"], 12);
        assert_eq!(value["records"]["lost"], 0);
        assert_eq!(value["faults"][0]["victims"][0], "agent-1");
    }

    #[test]
    fn continuous_integration_reads_a_case_for_each_fault() {
        let text = report(vec![recovered(1234)]).junit();
        assert!(text.contains("tests=\"3\" failures=\"1\""), "{text}");
        assert!(
            text.contains("name=\"1 kill agent: agent-1\" time=\"1.234\"><failure message"),
            "late is a failure: {text}"
        );
        let text = report(vec![recovered(12)]).junit();
        assert!(text.contains("tests=\"3\" failures=\"0\""), "{text}");
        let bad =
            Outcome { recovered_ms: None, why: Some("<\"a\" & b>\n".to_owned()), ..recovered(1) };
        let text = report(vec![bad]).junit();
        assert!(text.contains("&lt;&quot;a&quot; &amp; b&gt; \""), "{text}");
        let text = Report { complete: false, ..report(vec![recovered(12)]) }.junit();
        assert!(
            text.contains("failures=\"1\"") && text.contains("stopped after 1 faults"),
            "{text}"
        );
    }
}
