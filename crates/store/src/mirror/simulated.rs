//! The simulator's mirror: the same promises as the real one, kept in memory, and interrupted by
//! crashes like it.
//!
//! It relies on `records`. It is deterministic: an update is done when it was polled twice. It
//! never loses sealed content.

use super::{Mirror, MirrorError, MirrorJob, MirrorReading, Survey, Title};
use crate::records::{Change, Records};
use std::collections::BTreeMap;

/// An update is done after this many polls: that of a real thread overlaps a few commits, too.
const POLLS_TO_DONE: u32 = 2;

/// A mirror in memory, with an update that may be running.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedMirror {
    title: Option<Title>,
    records: BTreeMap<(String, Vec<u8>), Change>,
    sealed: bool,
    damaged: bool,
    running: Option<(MirrorJob, u32)>,
}

impl SimulatedMirror {
    /// Crashes the machine or the process: a running update stops after `done` of its changes.
    pub fn crash(&mut self, done: usize) {
        let Some((job, _)) = self.running.take() else { return };
        if job.from.is_none() {
            // A rebuild happens beside the old mirror, which is still there.
            return;
        }
        self.sealed = false;
        self.write(&job.changes[..done.min(job.changes.len())]);
    }

    /// The number of changes in the running update.
    pub fn running_changes(&self) -> usize {
        self.running.as_ref().map_or(0, |(job, _)| job.changes.len())
    }

    /// Damages the mirror: its seal no longer fits, and one record is gone.
    pub fn damage(&mut self) {
        self.damaged = true;
        self.records.pop_first();
    }

    fn write(&mut self, changes: &[Change]) {
        for change in changes {
            let key = (change.tree.clone(), change.key.clone());
            match &change.value {
                Some(_) => self.records.insert(key, change.clone()),
                None => self.records.remove(&key),
            };
        }
    }

    fn done(&mut self, job: MirrorJob) -> Result<(), MirrorError> {
        if job.from.is_some()
            && (self.damaged || job.from != self.title.as_ref().map(|title| title.sequence))
        {
            return Err(MirrorError::Damaged("they are not where the work starts".to_owned()));
        }
        if job.from.is_none() {
            self.records.clear();
        }
        self.write(&job.changes);
        (self.title, self.sealed, self.damaged) = (Some(job.title), true, false);
        Ok(())
    }
}

impl Mirror for SimulatedMirror {
    fn survey(&mut self) -> Survey {
        match &self.title {
            None => Survey::Missing,
            Some(_) if self.damaged => Survey::Damaged("simulated damage".to_owned()),
            Some(_) if !self.sealed => Survey::Interrupted,
            Some(title) => Survey::Sealed(title.clone()),
        }
    }

    fn read(&mut self) -> MirrorReading {
        let mut all = Records::default();
        self.records.values().for_each(|change| all.apply_change(change));
        let mut reading = MirrorReading {
            title: self.title.clone(),
            records: self.records.values().cloned().collect(),
            problems: Vec::new(),
        };
        if self.title.as_ref().is_none_or(|title| title.state != all.digest()) {
            reading.problems.push("the digest is not the one on the title".to_owned());
        }
        reading
    }

    fn start(&mut self, job: MirrorJob) {
        self.running = Some((job, 0));
    }

    fn poll(&mut self) -> Option<Result<(), MirrorError>> {
        let (_, polls) = self.running.as_mut()?;
        *polls += 1;
        if *polls < POLLS_TO_DONE {
            return None;
        }
        self.wait()
    }

    fn wait(&mut self) -> Option<Result<(), MirrorError>> {
        let (job, _) = self.running.take()?;
        Some(self.done(job))
    }

    fn busy(&self) -> bool {
        self.running.is_some()
    }
}
