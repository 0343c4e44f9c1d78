//! The rules, checked after every step by code of their own: they see facts and durable state, and
//! never ask a core.
//!
//! One file per rule, named by what it checks; the letters are those of the project's list of
//! promises. It relies on [`known`] for what was asked for and acknowledged. It never changes
//! anything.

pub(crate) mod known;
pub(crate) mod l1_terms;
pub(crate) mod l2_answers;
pub(crate) mod l3_names;
pub(crate) mod l4_liveness;
pub(crate) mod p1_plans;
pub(crate) mod r1_recovery;
pub(crate) mod r4_growth;
pub(crate) mod t1_outcomes;
pub(crate) mod t2_once;
pub(crate) mod t3_reconciled;
pub(crate) mod v1_exclusive;
pub(crate) mod v2_bytes_kept;
pub(crate) mod v4_acknowledged;
pub(crate) mod v5_whole;
pub(crate) mod v6_offers;
pub(crate) mod v7_reclaimed;
pub(crate) mod v8_identity;
pub(crate) mod v9_missing;

use std::collections::BTreeSet;
use std::fmt;

use holdfast_model::{Instant, Term};

use crate::agenda::Node;
use crate::fact::Fact;
use crate::frameworks::FrameworkProcess;
use crate::journal::Journal;
use crate::machines::Machine;
use crate::masters::MasterProcess;
use known::Known;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's id, such as `V1`.
    pub rule: &'static str,
    /// How the rule was broken.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.why)
    }
}

/// The world as it is, after a step.
pub struct Truth<'a> {
    /// The simulated time now.
    pub now: Instant,
    /// Machines: what their agents wrote down, their disks, their containers.
    pub machines: &'a [Machine],
    /// Frameworks and what they wrote down.
    pub frameworks: &'a [FrameworkProcess],
    /// All master processes.
    pub masters: &'a [MasterProcess],
    /// The journal.
    pub journal: &'a Journal,
    /// The present leader and its term.
    pub leader: Option<(usize, Term)>,
    /// The parties that acted in this step.
    pub touched: &'a BTreeSet<Node>,
}

/// The outcome of a check.
pub type Checked = Result<(), String>;

/// An invariant of the cluster.
pub trait Rule {
    /// The rule's id.
    fn letters(&self) -> &'static str;
    /// Checks a fact when it happens; `known` has seen it already.
    ///
    /// # Errors
    /// What is wrong.
    fn see(&mut self, _now: Instant, _known: &Known, _fact: &Fact<'_>) -> Checked {
        Ok(())
    }
    /// Checks the truth after a step.
    ///
    /// # Errors
    /// What is wrong.
    fn check(&mut self, _known: &Known, _truth: &Truth<'_>) -> Checked {
        Ok(())
    }
    /// Checks the truth after all had the time to recover.
    ///
    /// # Errors
    /// What is wrong.
    fn check_healed(&mut self, _known: &Known, _truth: &Truth<'_>) -> Checked {
        Ok(())
    }
}

/// All rules, with the state that they share.
pub struct Rules {
    known: Known,
    rules: Vec<Box<dyn Rule>>,
}

impl Default for Rules {
    fn default() -> Rules {
        let rules: Vec<Box<dyn Rule>> = vec![
            Box::new(v1_exclusive::Exclusive::default()),
            Box::new(v2_bytes_kept::BytesKept),
            Box::new(v4_acknowledged::Acknowledged::default()),
            Box::new(v5_whole::Whole::default()),
            Box::new(v6_offers::Offers::default()),
            Box::new(v7_reclaimed::Reclaimed::default()),
            Box::new(v8_identity::Identities),
            Box::new(v9_missing::Missing::default()),
            Box::new(t1_outcomes::Outcomes::default()),
            Box::new(t2_once::Once::default()),
            Box::new(t3_reconciled::Reconciled::default()),
            Box::new(l1_terms::Terms::default()),
            Box::new(l3_names::Names::default()),
            Box::new(l4_liveness::Liveness),
            Box::new(p1_plans::Plans::default()),
            Box::new(r4_growth::Growth),
        ];
        Rules { known: Known::default(), rules }
    }
}

impl Rules {
    /// Shows a fact to all rules.
    pub(crate) fn see(&mut self, now: Instant, fact: &Fact<'_>) -> Result<(), Violation> {
        self.known.see(fact);
        let known = &self.known;
        let mut each = self.rules.iter_mut();
        each.try_for_each(|rule| {
            rule.see(now, known, fact).map_err(|why| Violation { rule: rule.letters(), why })
        })
    }

    /// Shows the truth to all rules.
    pub(crate) fn check(&mut self, truth: &Truth<'_>) -> Result<(), Violation> {
        let known = &self.known;
        let mut each = self.rules.iter_mut();
        each.try_for_each(|rule| {
            rule.check(known, truth).map_err(|why| Violation { rule: rule.letters(), why })
        })
    }

    /// Shows the healed truth to all rules.
    pub(crate) fn check_healed(&mut self, truth: &Truth<'_>) -> Result<(), Violation> {
        let known = &self.known;
        let mut each = self.rules.iter_mut();
        each.try_for_each(|rule| {
            rule.check_healed(known, truth).map_err(|why| Violation { rule: rule.letters(), why })
        })
    }
}
