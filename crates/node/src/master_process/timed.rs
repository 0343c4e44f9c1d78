//! A journal and an allocation policy that note how long each of their works took, and do nothing else of their own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use holdfast_allocator::{Allocation, AllocationInput, Changes, Place, Policy};
use holdfast_model::FrameworkId;
use holdfast_quorum::{Journal, JournalError};
use holdfast_store::{Entry, RecordRef, Sequence};
use holdfast_wire::Metric;

use crate::timings::Timings;

/// How long the works of a master took. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Works {
    /// To read the ledger when it was elected.
    fetch: Timings,
    /// To write down a batch of changes.
    store: Timings,
    /// To divide what is free.
    allocation: Timings,
}

impl Works {
    /// The ledger was read.
    pub fn fetched(&self, took: Duration) {
        self.fetch.note(took);
    }

    /// A journal whose appends are noted.
    pub fn journal(&self, journal: Box<dyn Journal>) -> Box<dyn Journal> {
        Box::new(TimedJournal { journal, store: self.store.clone() })
    }

    /// A policy whose divisions are noted.
    pub fn policy(&self, policy: Box<dyn Policy>) -> Box<dyn Policy> {
        Box::new(TimedPolicy { policy, allocation: self.allocation.clone() })
    }

    /// All of it, under Mesos's names.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.fetch.metrics(
            "registrar/state_fetch_ms",
            "To read the ledger when it was elected, in milliseconds.",
        );
        metrics.extend(self.store.metrics(
            "registrar/state_store_ms",
            "To write a batch of changes to the journal, until it was durable, in milliseconds.",
        ));
        metrics.extend(self.allocation.metrics(
            "allocator/mesos/allocation_run_ms",
            "To divide what is free on the agents that had changed, in milliseconds.",
        ));
        metrics.push(Metric::counter(
            "allocator/mesos/allocation_runs",
            "How often what is free on agents that had changed was divided.",
            self.allocation.times() as f64,
        ));
        metrics
    }
}

struct TimedJournal {
    journal: Box<dyn Journal>,
    store: Timings,
}

impl Journal for TimedJournal {
    fn append(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, JournalError> {
        let began = Instant::now();
        let appended = self.journal.append(term, batch)?;
        self.store.note(began.elapsed());
        Ok(appended)
    }

    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_> {
        self.journal.records()
    }

    fn head(&self) -> Sequence {
        self.journal.head()
    }

    fn term(&self) -> u64 {
        self.journal.term()
    }

    fn trim(&mut self) -> Result<(), JournalError> {
        self.journal.trim()
    }
}

struct TimedPolicy {
    policy: Box<dyn Policy>,
    allocation: Timings,
}

impl Policy for TimedPolicy {
    fn name(&self) -> &'static str {
        self.policy.name()
    }

    fn allocate(&mut self, input: &AllocationInput<'_>, changes: &Changes) -> Vec<Allocation> {
        let began = Instant::now();
        let allocations = self.policy.allocate(input, changes);
        self.allocation.note(began.elapsed());
        allocations
    }

    fn take_short_of_quota(&mut self) -> BTreeSet<FrameworkId> {
        self.policy.take_short_of_quota()
    }

    fn order(&self, input: &AllocationInput<'_>) -> Vec<Place> {
        self.policy.order(input)
    }

    fn snapshot(&self) -> Box<dyn Policy> {
        self.policy.snapshot()
    }
}
