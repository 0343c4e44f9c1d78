//! When the trash of a disk is removed: what has lain there long enough, and earlier, oldest first, what the disk's promises need the room of.
//!
//! Removal is done by the disk's helper in slices, between other work. Relies on [`shortage`] alone for what is "needed", on labels for
//! what is ours, and on the core, which is asked about each volume and writes down that it goes. Never removes what no label proves to be a
//! volume of this disk and this cluster; never begins on a second volume before the first is gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use holdfast_agent::{Adopted, Input, TrashFound, VolumeLabel};
use holdfast_model::{ClaimId, DiskId, LabelledVolume};
use uuid::Uuid;

use super::{wanted, Job, Lane, State};
use crate::core_loop::now;
use crate::disk_worker::protocol::{Answer, Listed, Purged, Request, Room, Survey, TrashItem};

/// How long the helper may remove without looking for other work.
const SLICE: Duration = Duration::from_millis(40);
/// While other work waits, a slice is done this often, so that a busy disk is relieved, too.
const SLICE_PAUSE: Duration = Duration::from_millis(250);
/// How often the room is looked at while something lies in the trash.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// How long the core may take to agree to a removal; what it does not agree to is left alone for a while.
const CONSENT_WAIT: Duration = Duration::from_secs(2);
/// How long what could not be removed is left alone.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// The part of a file system that promises and trash together leave alone: its own needs, and what it keeps for root.
const MARGIN_PART: u64 = 16;
/// Trash never leaves less free than that, or [`MARGIN_PART`] of a small disk: what others write is in no promise.
const FREE_MIN_MB: u64 = 1_024;
/// Nor fewer files than that.
const FREE_FILES_MIN: u64 = 1_000;

/// The name of an entry: oldest first.
type Key = (u64, Uuid);

/// What lies in the trash of one disk.
pub(super) struct Trash {
    retention_ms: u64,
    /// The disk, once it has been looked at.
    disk: Option<DiskId>,
    /// The volumes on the disk, with their sizes in MB.
    volumes: BTreeMap<Uuid, u64>,
    items: BTreeMap<Key, TrashItem>,
    room: Room,
    removal: Option<Removal>,
    /// What the core was asked about, when and why.
    asked: Option<(Key, Instant, Why)>,
    /// What could not be removed, and until when it is left alone.
    refused: BTreeMap<Key, Instant>,
    /// Volumes that are made once there is room.
    parked: Vec<VolumeLabel>,
    looked: Instant,
    sliced: Instant,
}

/// A removal that is under way.
struct Removal {
    key: Key,
    why: Why,
    entries: u64,
    bytes: u64,
}

/// Why an entry is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// It was begun before, or somebody asked for it.
    Begun,
    /// It has lain there long enough.
    Age,
    /// Its space is needed: for what.
    Space(String),
}

/// A volume as the core knows it.
fn labelled(it: Listed) -> LabelledVolume {
    let Listed { volume, persistence, role, size_mb, principal, generation, shared } = it;
    let id = ClaimId(volume);
    LabelledVolume { id, persistence, role, size_mb, principal, generation, shared }
}

/// Why trash must make room now, if it must: what is promised to volumes and what lies in the trash do not fit beside each other on the
/// file system, or nearly nothing is free. How much of their sizes volumes use does not matter, since either is theirs. Space that is
/// offered needs no room before a volume is made of it, and that waits for the room.
fn shortage(room: &Room, volumes_mb: u64, trash_mb: u64) -> Option<String> {
    let Room { total_mb, free_mb, free_files } = *room;
    let margin_mb = total_mb / MARGIN_PART;
    if free_files.is_some_and(|it| it < FREE_FILES_MIN) {
        return Some(format!("no more than {FREE_FILES_MIN} files can be made on the disk"));
    }
    if free_mb < margin_mb.min(FREE_MIN_MB) {
        return Some(format!("only {free_mb} MB of the disk are free"));
    }
    let wanted_mb = volumes_mb.saturating_add(trash_mb).saturating_add(margin_mb);
    (total_mb < wanted_mb)
        .then(|| format!("{volumes_mb} MB of the disk's {total_mb} MB are promised to volumes"))
}

impl Trash {
    pub(super) fn new(retention: Duration) -> Trash {
        let now = Instant::now();
        Trash {
            retention_ms: u64::try_from(retention.as_millis()).unwrap_or(u64::MAX),
            disk: None,
            volumes: BTreeMap::new(),
            items: BTreeMap::new(),
            room: Room::default(),
            removal: None,
            asked: None,
            refused: BTreeMap::new(),
            parked: Vec::new(),
            looked: now,
            sliced: now,
        }
    }

    fn surveyed(&mut self, disk: DiskId, survey: Survey) {
        self.disk = Some(disk);
        self.volumes = survey.volumes.into_iter().map(|it| (it.volume, it.size_mb)).collect();
        self.items = survey.trash.into_iter().map(|it| (key(&it), it)).collect();
        (self.removal, self.asked) = (None, None);
        self.refused.clear();
    }

    pub(super) fn made(&mut self, label: &VolumeLabel) {
        self.volumes.insert(label.claim.0, label.size_mb);
    }

    /// What a volume needs to have ready has changed. The survey finds it with the size that it was made with, and it is told again then.
    pub(super) fn resized(&mut self, label: &VolumeLabel) {
        if let Some(size_mb) = self.volumes.get_mut(&label.claim.0) {
            *size_mb = label.size_mb;
        }
    }

    pub(super) fn trashed(&mut self, item: TrashItem) {
        self.volumes.remove(&item.volume);
        self.items.insert(key(&item), item);
    }

    /// A volume is back in its place.
    fn restored(&mut self, label: &VolumeLabel) {
        if let Some(key) = self.find(label.claim) {
            self.items.remove(&key);
        }
        self.made(label);
    }

    fn find(&self, claim: ClaimId) -> Option<Key> {
        self.items.keys().rfind(|(_, volume)| *volume == claim.0).copied()
    }

    /// The next entry that goes, if one does.
    fn due(&self, now_ms: u64, more_mb: u64) -> Option<(Key, Why)> {
        let here = Instant::now();
        let is_left = |key: &Key| self.refused.get(key).is_some_and(|until| here < *until);
        let mut ours =
            self.items.iter().filter(|(key, it)| it.ours && !is_left(key)).map(|(key, _)| *key);
        if let Some(key) = ours.clone().find(|it| self.items[it].purging) {
            return Some((key, Why::Begun));
        }
        let oldest = ours.next()?;
        if oldest.0.saturating_add(self.retention_ms) <= now_ms {
            return Some((oldest, Why::Age));
        }
        self.shortage(more_mb).map(|it| (oldest, Why::Space(it)))
    }

    fn shortage(&self, more_mb: u64) -> Option<String> {
        let volumes_mb = self.volumes.values().sum::<u64>().saturating_add(more_mb);
        let trash_mb = self.items.values().map(|it| it.mb).sum();
        shortage(&self.room, volumes_mb, trash_mb)
    }

    /// What would be given back if all of it were removed that may be, in MB.
    pub(super) fn removable_mb(&self) -> u64 {
        self.items.values().filter(|it| it.ours).map(|it| it.mb).sum()
    }

    /// What is asked for beside the volumes that are there, in MB.
    fn asked_mb(&self, labels: &[VolumeLabel]) -> u64 {
        let new: BTreeMap<Uuid, u64> =
            labels.iter().chain(&self.parked).map(|it| (it.claim.0, it.size_mb)).collect();
        new.iter().filter(|(id, _)| !self.volumes.contains_key(id)).map(|(_, mb)| mb).sum()
    }

    /// How long other work may be waited for; `None` if there is nothing to do beside it.
    fn pause(&self) -> Option<Duration> {
        if self.removal.is_some() {
            return Some(Duration::ZERO);
        }
        let is_idle = self.items.is_empty() && self.parked.is_empty();
        (!is_idle).then(|| LOOK_PAUSE.saturating_sub(self.looked.elapsed()))
    }
}

fn key(item: &TrashItem) -> Key {
    (item.destroyed_ms, item.volume)
}

impl Lane {
    /// How long other work may be waited for before [`Lane::tend_trash`] is called. A slice that is overdue is done now.
    pub(super) fn trash_pause(&mut self) -> Option<Duration> {
        if self.trash.removal.is_some() && SLICE_PAUSE < self.trash.sliced.elapsed() {
            self.tend_trash();
        }
        self.trash.pause()
    }

    /// Does what there is to do about the trash, for as long as a slice.
    pub(super) fn tend_trash(&mut self) {
        self.trash.sliced = Instant::now();
        let Some(disk) = self.trash.disk else { return };
        if let Err(why) = self.ready(disk) {
            self.trash.looked = Instant::now();
            self.trash.removal = None; // What has begun is seen by the next survey.
            return self.refuse_parked(&why);
        }
        match self.trash.removal.take() {
            Some(removal) => self.remove_slice(removal),
            None => self.look_for_room(),
        }
    }

    /// Volumes that wait for room are not made on a disk that does not answer.
    pub(super) fn refuse_parked(&mut self, why: &str) {
        let parked = std::mem::take(&mut self.trash.parked);
        parked.into_iter().for_each(|it| Job::Make(it).refuse(why, &self.shared.inbox));
    }

    /// Sees what lies on a disk that was just opened.
    pub(super) fn survey(&mut self, disk: DiskId) -> Result<(), String> {
        let doing = "looking into its trash";
        match self.ask(&Request::Survey, doing)? {
            Answer::Surveyed(Ok(survey)) => {
                let found = TrashFound {
                    trashed: survey.trash.iter().map(|it| ClaimId(it.volume)).collect(),
                    volumes: survey.volumes.iter().cloned().map(labelled).collect(),
                    images: survey.images.iter().map(|it| ClaimId(*it)).collect(),
                };
                self.trash.surveyed(disk, survey);
                self.shared.inbox.tell_blocking(Input::TrashFound(disk, found));
            }
            Answer::Surveyed(Err(why)) => tracing::warn!("the trash stays: {why}"),
            other => return Err(self.misunderstood(doing, &other)),
        }
        Ok(())
    }

    /// Of volumes that are to be made, those for which there is room; the others are made when trash has made it.
    pub(super) fn with_room(&mut self, labels: Vec<VolumeLabel>) -> Vec<VolumeLabel> {
        if self.trash.items.is_empty() || !matches!(self.state, State::Asked(_, Ok(_))) {
            return labels;
        }
        self.read_room();
        let asked_mb = self.trash.asked_mb(&labels);
        match self.trash.due(now().0, asked_mb) {
            // What is going already, or goes anyhow, may be enough.
            Some((key, why)) if self.trash.shortage(asked_mb).is_some() => {
                self.trash.parked.extend(labels);
                self.begin_removal(key, why);
                Vec::new()
            }
            _ => labels,
        }
    }

    /// The room that there is now; `None` if that cannot be told.
    pub(super) fn read_room(&mut self) -> Option<Room> {
        self.trash.looked = Instant::now();
        let doing = "reading its free space";
        match self.work(&Request::Room, doing) {
            Ok(Answer::Room(Ok(room))) => {
                self.trash.room = room;
                return Some(room);
            }
            Ok(Answer::Room(Err(why))) => tracing::warn!("{why}"),
            Ok(other) => drop(self.misunderstood(doing, &other)),
            Err(_) => {} // It was told.
        }
        None
    }

    fn look_for_room(&mut self) {
        self.read_room();
        let asked_mb = self.trash.asked_mb(&[]);
        match self.trash.due(now().0, asked_mb) {
            Some((key, why)) => self.begin_removal(key, why),
            None => {
                let labels = std::mem::take(&mut self.trash.parked);
                self.make_now(labels);
            }
        }
    }

    /// Goes on with what has begun; asks the core about anything else, one volume at a time, so that no more goes than must.
    fn begin_removal(&mut self, key: Key, why: Why) {
        if self.trash.removal.is_some() {
            return;
        }
        if why == Why::Begun {
            self.trash.removal = Some(Removal { key, why, entries: 0, bytes: 0 });
            return;
        }
        match &self.trash.asked {
            Some((_, at, _)) if at.elapsed() < CONSENT_WAIT => {}
            Some((unanswered, ..)) => {
                self.trash.refused.insert(*unanswered, Instant::now() + REFUSED_PAUSE);
                self.trash.asked = None;
            }
            None => {
                let is_aged = why == Why::Age;
                self.trash.asked = Some((key, Instant::now(), why));
                let disk = self.trash.disk.expect("a disk with trash was looked at");
                self.shared.inbox.tell_blocking(Input::TrashDue(disk, ClaimId(key.1), is_aged));
            }
        }
    }

    /// The core has written down that a volume goes.
    pub(super) fn purge(&mut self, disk: DiskId, claim: ClaimId) {
        if self.ready(disk).is_err() {
            return; // It is asked again when the disk is well.
        }
        let Some(key) = self.trash.find(claim) else {
            return self.shared.inbox.tell_blocking(Input::TrashPurged(claim));
        };
        let asked = self.trash.asked.take_if(|it| it.0 == key);
        if let Some(item) = self.trash.items.get_mut(&key) {
            item.purging = true;
        }
        if self.trash.removal.is_none() {
            let why = asked.map_or(Why::Begun, |(_, _, why)| why);
            self.trash.removal = Some(Removal { key, why, entries: 0, bytes: 0 });
        }
    }

    /// Moves a volume back from the trash.
    pub(super) fn restore(&mut self, label: &VolumeLabel) {
        let restored = self.try_restore(label);
        let has_failed = restored.is_err();
        self.shared.inbox.tell_blocking(Input::VolumeMade(label.claim, restored));
        if has_failed && self.ready(label.disk).is_ok() {
            // Somebody may have taken it away by hand, and then nobody is told any more that it lies there.
            if let Err(why) = self.survey(label.disk) {
                tracing::warn!("the trash was not looked at: {why}");
            }
        }
    }

    fn try_restore(&mut self, label: &VolumeLabel) -> Result<(), String> {
        self.ready(label.disk)?;
        let doing = format!("bringing volume {} back", label.claim);
        let destroyed_ms = self.trash.find(label.claim).map_or(0, |it| it.0);
        let request = Request::Restore { label: wanted(label, self.cluster()), destroyed_ms };
        match self.work(&request, &doing)? {
            Answer::Restored(outcome) => outcome.inspect(|()| self.trash.restored(label)),
            other => Err(self.misunderstood(&doing, &other)),
        }
    }

    /// Makes a volume that no claim stands for that of a claim again.
    pub(super) fn adopt(&mut self, label: &VolumeLabel, adopted: Adopted) {
        let outcome = self.try_adopt(label, adopted);
        self.shared.inbox.tell_blocking(Input::VolumeMade(label.claim, outcome));
    }

    fn try_adopt(&mut self, label: &VolumeLabel, adopted: Adopted) -> Result<(), String> {
        self.ready(label.disk)?;
        let doing = format!("adopting volume {}", label.claim);
        let Adopted { directory, generation, own_mb } = adopted;
        let label_there = wanted(label, self.cluster());
        let request = Request::Adopt { label: label_there, directory, generation, own_mb };
        match self.work(&request, &doing)? {
            Answer::Adopted(outcome) => outcome.inspect(|()| self.trash.made(label)),
            other => Err(self.misunderstood(&doing, &other)),
        }
    }

    fn remove_slice(&mut self, mut removal: Removal) {
        let (destroyed_ms, volume) = removal.key;
        let doing = format!("removing destroyed volume {volume}");
        let slice_ms = u64::try_from(SLICE.as_millis()).expect("a slice is short");
        let begun = 0 < removal.entries;
        let request = Request::Purge { volume, destroyed_ms, begun, slice_ms };
        let done = match self.work(&request, &doing) {
            Ok(Answer::Purged(done)) => done,
            Ok(other) => return drop(self.misunderstood(&doing, &other)),
            Err(_) => return, // It was told; the next survey sees what has begun.
        };
        match done {
            Ok(Purged { entries, bytes, done }) => {
                removal.entries += entries;
                removal.bytes += bytes;
                if !done {
                    if let Some(item) = self.trash.items.get_mut(&removal.key) {
                        item.purging = true;
                    }
                    self.trash.removal = Some(removal);
                    return;
                }
                self.trash.items.remove(&removal.key);
                self.tell_removed(&removal);
                self.shared.inbox.tell_blocking(Input::TrashPurged(ClaimId(volume)));
            }
            Err(why) => {
                tracing::warn!("{why}; it is tried again in {} s", REFUSED_PAUSE.as_secs());
                self.trash.refused.insert(removal.key, Instant::now() + REFUSED_PAUSE);
            }
        }
        self.look_for_room();
    }

    fn tell_removed(&self, removal: &Removal) {
        let (destroyed_ms, volume) = removal.key;
        let lain_s = now().0.saturating_sub(destroyed_ms) / 1_000;
        let (root, Removal { entries, bytes, why, .. }) = (self.plan.root.display(), removal);
        let gone = format!("{entries} files and {} MB", bytes >> 20);
        match why {
            Why::Space(why) => tracing::warn!("destroyed volume {volume} was removed from the trash of {root} early, after {lain_s} s of {} s, because {why}: {gone}", self.trash.retention_ms / 1_000),
            Why::Age | Why::Begun => tracing::info!("destroyed volume {volume} was removed from the trash of {root} after {lain_s} s: {gone}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Duration = Duration::from_secs(100);

    fn item(number: u128, destroyed_s: u64, mb: u64) -> TrashItem {
        let volume = Uuid::from_u128(number);
        TrashItem { volume, destroyed_ms: destroyed_s * 1_000, purging: false, mb, ours: true }
    }

    fn trash(total_mb: u64, free_mb: u64, items: Vec<TrashItem>) -> Trash {
        let mut trash = Trash::new(RETENTION);
        trash.surveyed(DiskId(Uuid::nil()), Survey { trash: items, ..Survey::default() });
        trash.room = Room { total_mb, free_mb, free_files: None };
        trash
    }

    #[test]
    fn what_has_lain_long_enough_goes_oldest_first_and_what_has_begun_before_it() {
        let mut trash = trash(1_000, 900, vec![item(1, 30, 5), item(2, 10, 5), item(3, 20, 5)]);
        assert_eq!(trash.due(109_999, 0), None);
        assert_eq!(trash.due(110_000, 0), Some(((10_000, Uuid::from_u128(2)), Why::Age)));
        trash.trashed(TrashItem { purging: true, ..item(1, 30, 5) });
        assert_eq!(trash.due(0, 0), Some(((30_000, Uuid::from_u128(1)), Why::Begun)));
    }

    #[test]
    fn what_no_label_proves_to_be_ours_stays_whatever_is_needed() {
        let trash = trash(100, 0, vec![TrashItem { ours: false, ..item(1, 0, 100) }]);
        assert_eq!(trash.due(u64::MAX, 1_000), None);
    }

    #[test]
    fn promises_come_before_trash_and_the_oldest_goes_first() {
        let mut trash = trash(1_000, 700, vec![item(1, 20, 100), item(2, 10, 200)]);
        let oldest = (10_000, Uuid::from_u128(2));
        assert_eq!(trash.due(0, 600), None, "900 MB and the margin fit");
        let Some((key, Why::Space(why))) = trash.due(0, 700) else { panic!("it does not fit") };
        assert!(key == oldest && why.contains("700 MB of the disk's 1000 MB"), "{why}");
        trash.items.remove(&oldest);
        assert_eq!(trash.due(0, 700), None, "no more goes than must");
    }

    #[test]
    fn trash_does_not_keep_a_disk_full() {
        let full = |free_mb, free_files| {
            let mut trash = trash(1_000, free_mb, vec![item(1, 10, 1)]);
            trash.room.free_files = free_files;
            trash.due(0, 0).is_some()
        };
        assert!(full(61, None) && !full(62, None));
        assert!(full(900, Some(999)) && !full(900, Some(1_000)));
    }

    #[test]
    fn nothing_is_looked_at_while_nothing_lies_there() {
        assert_eq!(trash(10, 10, Vec::new()).pause(), None);
        assert!(trash(10, 10, vec![item(1, 0, 1)]).pause().is_some_and(|it| it <= LOOK_PAUSE));
    }
}
