//! What a step leaves behind: the changed ledger, the effects in their order, the alarms that are set, and what was stirred by it.
//!
//! The ledger is changed by [`Record::commit`] and by nothing else, so that memory and disk are folds of the same changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_model::convert::ledger::chain;
use holdfast_model::{
    AgentChange, AgentIdentity, AgentLedger, Claim, ClaimId, ClaimState, LedgerPoint, Resources,
};

use crate::contract::Effect;
use crate::parts::{Alarms, ChangedClaims, Topic, Totals};

/// How many versions of which the master was told are remembered.
const POINTS_MAX: usize = 1024;

/// See the file.
#[derive(Debug)]
pub(crate) struct Record {
    ledger: AgentLedger,
    effects: Vec<Effect>,
    totals: Totals,
    alarms: Alarms,
    /// What has changed since it was last seen who waits for it.
    stirred: BTreeSet<Topic>,
    space: SpaceChanges,
    /// Records of the trash that have changed since the master was told.
    changed_trash: BTreeSet<ClaimId>,
    history: History,
}

/// What has changed of the claimed space since it was last found what of the disks can be claimed.
#[derive(Debug, Default)]
struct SpaceChanges {
    /// Whether claims have changed.
    is_stale: bool,
    /// Volumes, as they were, that are being destroyed, are no more or have another size.
    released: Vec<Arc<Claim>>,
}

/// What of the ledger's history has yet to be written down.
#[derive(Debug, Default)]
struct History {
    /// The ledger as the master was told of it last, or found at the start: the next commit remembers it.
    told: Option<LedgerPoint>,
    /// The version that the masters have acknowledged, as far as they said.
    acknowledged: u64,
    /// Whether it is written down that this process has the ledger.
    is_started: bool,
}

impl Record {
    pub(crate) fn new(ledger: AgentLedger) -> Record {
        let history = History { told: Some(now_of(&ledger)), ..History::default() };
        Record {
            ledger,
            history,
            effects: Vec::new(),
            totals: Totals::default(),
            alarms: Alarms::default(),
            stirred: BTreeSet::new(),
            space: SpaceChanges::default(),
            changed_trash: BTreeSet::new(),
        }
    }

    /// The ledger and the totals once more, to try something on.
    pub(crate) fn scratch(&self) -> Record {
        Record { totals: self.totals.clone(), ..Record::new(self.ledger.clone()) }
    }

    pub(crate) fn ledger(&self) -> &AgentLedger {
        &self.ledger
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(crate) fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    pub(crate) fn alarms_mut(&mut self) -> &mut Alarms {
        &mut self.alarms
    }

    /// As [`Record::commit`], as the beginning of a history of its own, with a version that is greater than this one.
    pub(crate) fn commit_anew(&mut self, version: u64, mut changes: Vec<AgentChange>) {
        changes.extend(self.ledger.points.keys().copied().map(AgentChange::PointGone));
        self.history.told = None;
        self.ledger.identity.version = self.ledger.identity.version.max(version.saturating_add(1));
        self.commit(changes);
    }

    /// Folds changes into the ledger and has them written down. Changes right after one another are one commit, all or none.
    pub(crate) fn commit(&mut self, changes: Vec<AgentChange>) {
        if changes.is_empty() {
            return;
        }
        let mut identity = self.ledger.identity.clone();
        let mut batch = match self.effects.pop() {
            Some(Effect::Commit { mut changes, .. }) => {
                changes.pop(); // Its identity; the one below takes its place.
                changes
            }
            other => {
                self.effects.extend(other);
                let history = self.history_to_write();
                identity.version = identity.version.saturating_add(1);
                identity.checksum = chain::begin(identity.checksum, identity.version);
                history
            }
        };
        let mut changed = ChangedClaims::new();
        for change in changes {
            if let AgentChange::Identity(changed) = change {
                let AgentIdentity { version, claims_generation, checksum, .. } = identity;
                identity = AgentIdentity { version, claims_generation, checksum, ..changed };
                continue;
            }
            identity.checksum = chain::extend(identity.checksum, &change);
            identity.claims_generation += u64::from(self.is_new_generation(&change));
            self.note_claim(&change, &mut changed);
            self.note_trash(&change);
            self.stir_by(&change);
            self.ledger.apply(&change);
            batch.push(change);
        }
        let term = identity.term;
        let identity = AgentChange::Identity(identity);
        self.ledger.apply(&identity);
        batch.push(identity);
        self.effects.push(Effect::Commit { term, changes: batch });
        if !changed.is_empty() {
            self.space.is_stale = true;
            self.space.released.extend(released(&changed, &self.ledger));
            let refitted = self.totals.apply_claim_changes(&changed, &self.ledger.claims);
            self.stirred.extend(refitted.into_iter().map(Topic::Volume));
        }
    }

    /// Writes down that this process has the ledger, before anybody is told of it: another process that has a copy of it is told apart by that.
    pub(crate) fn start(&mut self, process: u128) {
        if std::mem::replace(&mut self.history.is_started, true) {
            return;
        }
        // The commit's identity comes last, and is put in again with the checksum that only this process has.
        self.commit(vec![AgentChange::Identity(self.ledger.identity.clone())]);
        let checksum = chain::start(self.ledger.identity.checksum, process);
        let identity = AgentIdentity { checksum, ..self.ledger.identity.clone() };
        self.ledger.apply(&AgentChange::Identity(identity.clone()));
        if let Some(Effect::Commit { changes, .. }) = self.effects.last_mut() {
            changes.pop();
            changes.push(AgentChange::Identity(identity));
        }
    }

    /// The ledger at the versions that the masters may have acknowledged, and as it is now.
    pub(crate) fn history(&self) -> Vec<LedgerPoint> {
        let point = |(&version, &checksum)| LedgerPoint { version, checksum };
        let now = Some(now_of(&self.ledger)).filter(|it| it.checksum != 0);
        self.ledger.points.iter().map(point).chain(now).collect()
    }

    /// The master is told of the ledger as it is now, and may acknowledge that.
    pub(crate) fn note_told(&mut self) {
        self.history.told = Some(now_of(&self.ledger));
    }

    /// The masters have acknowledged this version, and will not ask about those before it.
    pub(crate) fn note_acknowledged(&mut self, version: u64) {
        self.history.acknowledged = version;
    }

    /// Remembers what was told before the ledger goes on from there, and forgets what will not be asked about any more.
    fn history_to_write(&mut self) -> Vec<AgentChange> {
        let (points, acknowledged) = (&self.ledger.points, self.history.acknowledged);
        let is_new = |it: &LedgerPoint| it.checksum != 0 && !points.contains_key(&it.version);
        let mut told = self.history.told.take().filter(is_new);
        let mut over: Vec<u64> = points.range(..acknowledged).map(|(it, _)| *it).collect();
        if POINTS_MAX <= points.len() - over.len() {
            // One that is not believed is asked about the oldest; else the masters are long past what came right after the acknowledged one.
            let next = points.range(acknowledged.saturating_add(1)..).next();
            match acknowledged {
                0 => told = None,
                _ => over.extend(next.map(|(it, _)| *it)),
            }
        }
        let over = over.into_iter().map(AgentChange::PointGone);
        let changes: Vec<AgentChange> = over.chain(told.map(AgentChange::Point)).collect();
        changes.iter().for_each(|it| self.ledger.apply(it));
        changes
    }

    /// Whether a change makes or ends a claim, or gives it another generation.
    fn is_new_generation(&self, change: &AgentChange) -> bool {
        let claims = &self.ledger.claims;
        match change {
            AgentChange::Claim(claim) => {
                claims.get(&claim.id).is_none_or(|it| it.generation != claim.generation)
            }
            AgentChange::ClaimGone(id) => claims.contains_key(id),
            _ => false,
        }
    }

    /// Notes which claim a change is about, and what that was before the first of them.
    fn note_claim(&self, change: &AgentChange, changed: &mut ChangedClaims) {
        let id = match change {
            AgentChange::Claim(claim) => claim.id,
            AgentChange::ClaimGone(id) => *id,
            _ => return,
        };
        changed.entry(id).or_insert_with(|| self.ledger.claims.get_shared(&id).cloned());
    }

    /// Notes which record of the trash a change is about.
    fn note_trash(&mut self, change: &AgentChange) {
        match change {
            AgentChange::Trashed(volume) => drop(self.changed_trash.insert(volume.claim.id)),
            AgentChange::TrashGone(id) => drop(self.changed_trash.insert(*id)),
            _ => {}
        }
    }

    pub(crate) fn take_changed_trash(&mut self) -> BTreeSet<ClaimId> {
        std::mem::take(&mut self.changed_trash)
    }

    /// Notes what a change stirs, before it is made.
    fn stir_by(&mut self, change: &AgentChange) {
        match change {
            AgentChange::Claim(claim) => {
                self.stirred.extend([Topic::Claims, Topic::Volume(claim.id)])
            }
            AgentChange::ClaimGone(id) => self.stirred.extend([Topic::Claims, Topic::Volume(*id)]),
            AgentChange::Disk(_)
            | AgentChange::DiskGone(_)
            | AgentChange::DiskAdded(_)
            | AgentChange::DiskRemoved(_)
            | AgentChange::PlaceLeft(_)
            | AgentChange::PlaceFreed(_) => self.stir(Topic::Disks),
            AgentChange::Executor(it) => {
                if !self.ledger.executors.contains_key(&it.key()) {
                    self.stir(Topic::Executor(it.key()));
                }
            }
            AgentChange::ExecutorGone(key) => self.stir(Topic::Executor(key.clone())),
            AgentChange::Task(task) => {
                let before = self.ledger.tasks.get(&task.key()).map(|it| it.state.is_terminal());
                if before != Some(task.state.is_terminal()) {
                    self.stir(Topic::Executor((task.framework.clone(), task.executor.clone())));
                }
            }
            AgentChange::TaskGone(key) => {
                if let Some(task) = self.ledger.tasks.get(key) {
                    self.stir(Topic::Executor((key.0.clone(), task.executor.clone())));
                }
            }
            AgentChange::Identity(_)
            | AgentChange::Framework(_)
            | AgentChange::FrameworkGone(_)
            | AgentChange::Operation(_)
            | AgentChange::OperationGone(_)
            | AgentChange::Trashed(_)
            | AgentChange::TrashGone(_)
            | AgentChange::Point(_)
            | AgentChange::PointGone(_) => {}
        }
    }

    /// The machine was found to have `base`; all claims are laid on it. Says whether one fits now that did not, or the other way round.
    pub(crate) fn set_base(&mut self, base: &Resources) -> bool {
        let refitted = self.totals.set_base(base, &self.ledger.claims);
        let is_any = !refitted.is_empty();
        self.stirred.extend(refitted.into_iter().map(Topic::Volume));
        self.stir(Topic::Claims);
        is_any
    }

    /// Whether claims have changed since this was asked last.
    pub(crate) fn take_space_stale(&mut self) -> bool {
        std::mem::take(&mut self.space.is_stale)
    }

    /// Volumes, as they were, that are being destroyed, are no more or have another size since this was asked last.
    pub(crate) fn take_released(&mut self) -> Vec<Arc<Claim>> {
        std::mem::take(&mut self.space.released)
    }

    /// Who waits for this is asked again.
    pub(crate) fn stir(&mut self, topic: Topic) {
        self.stirred.insert(topic);
    }

    pub(crate) fn take_stirred(&mut self) -> BTreeSet<Topic> {
        std::mem::take(&mut self.stirred)
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn extend(&mut self, effects: impl IntoIterator<Item = Effect>) {
        self.effects.extend(effects);
    }

    pub(crate) fn log(&mut self, line: impl Into<String>) {
        self.effects.push(Effect::Log(line.into()));
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }
}

/// Volumes, as they were, whose bytes are theirs no more, or that have another size now.
fn released<'a>(
    changed: &'a ChangedClaims,
    ledger: &'a AgentLedger,
) -> impl Iterator<Item = Arc<Claim>> + 'a {
    let was_there = |it: &&Arc<Claim>| it.is_volume() && it.state != ClaimState::Destroying;
    let before = changed.values().filter_map(move |before| before.as_ref().filter(was_there));
    let is_other = |before: &&Arc<Claim>| {
        let now = ledger.claims.get(&before.id);
        now.is_none_or(|it| {
            it.state == ClaimState::Destroying || it.resource.value != before.resource.value
        })
    };
    before.filter(is_other).cloned()
}

/// The ledger as it is now.
fn now_of(ledger: &AgentLedger) -> LedgerPoint {
    let AgentIdentity { version, checksum, .. } = ledger.identity;
    LedgerPoint { version, checksum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{NodeId, Term};
    use uuid::Uuid;

    fn record() -> Record {
        Record::new(AgentLedger::new(NodeId(Uuid::from_u128(1))))
    }

    #[test]
    fn changes_right_after_one_another_are_one_commit_with_one_identity() {
        let mut record = record();
        let gone = || AgentChange::FrameworkGone(crate::testbed::framework_id());
        let identity = AgentIdentity { term: Term(7), ..record.ledger().identity.clone() };
        record.commit(vec![gone()]);
        record.commit(vec![gone(), AgentChange::Identity(identity)]);
        record.log("something else");
        record.commit(vec![gone()]);
        record.commit(Vec::new());
        let effects = record.take_effects();
        let commit = |effect: &Effect| match effect {
            Effect::Commit { term, changes } => Some((term.0, changes.len())),
            _ => None,
        };
        let commits: Vec<_> = effects.iter().map(commit).collect();
        assert_eq!(commits, [Some((7, 3)), None, Some((7, 2))]);
        assert_eq!(record.ledger().identity.version, 2);
    }

    #[test]
    fn what_was_reported_is_remembered_until_the_masters_have_acknowledged_more() {
        let mut record = record();
        let commit = |record: &mut Record| {
            record.log("something else");
            record.commit(vec![AgentChange::FrameworkGone(crate::testbed::framework_id())]);
            record.history().last().copied().unwrap()
        };
        assert_eq!(record.history(), []);
        let first = commit(&mut record);
        record.note_told();
        let second = commit(&mut record);
        assert_eq!(record.history(), [first, second]);
        let third = commit(&mut record);
        assert_eq!(record.history(), [first, third], "what was told to nobody is not asked about");
        record.note_told();
        record.note_acknowledged(third.version);
        let fourth = commit(&mut record);
        assert_eq!(record.history(), [third, fourth]);
        // A restart does not know what was reported last.
        let mut again = Record::new(record.ledger().clone());
        let fifth = commit(&mut again);
        assert_eq!(again.history(), [third, fourth, fifth]);
        again.commit_anew(90, vec![AgentChange::FrameworkGone(crate::testbed::framework_id())]);
        assert!(matches!(again.history()[..], [LedgerPoint { version: 91.., .. }]));
    }

    #[test]
    fn a_status_stirs_nobody_and_the_end_of_a_task_does() {
        let mut bed = crate::testbed::Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        let mut record = Record::new(bed.agent.ledger().clone());
        let task = record.ledger().tasks.values().next().unwrap().clone();
        record.commit(vec![AgentChange::Task(task.clone())]);
        assert!(record.take_stirred().is_empty());
        let key = (task.framework.clone(), task.executor.clone());
        let ended = holdfast_model::TaskRecord { state: holdfast_model::TaskState::Failed, ..task };
        record.commit(vec![AgentChange::Task(ended)]);
        assert_eq!(record.take_stirred(), BTreeSet::from([Topic::Executor(key)]));
    }
}
