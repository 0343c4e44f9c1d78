//! The queue of one disk: what is asked about it is done in the order asked, by its helper process, and waits for no other disk.
//!
//! A helper that does not answer in time (in a multiple of that while the disk's device completes writes: then it is slow, and does not hang) is *abandoned*: it is sent SIGKILL, nobody waits for it, and the disk has a fault until it is gone.
//! Then another one is started, which must prove that the disk takes writes; if it can, the disk is whole again without anybody's help.
//!
//! Why an abandoned helper can do no harm when it finishes late:
//!
//! * It has one thread, and SIGKILL is pending: of all that it was asked, at most the one system call in which it hangs is completed.
//! * Nothing else is done on the disk before it is gone. Its successor is started only when this process has seen its end; the successor of
//!   a helper whose agent died finds the name taken that each helper holds in the kernel as long as it lives (`volumes::HeldBy::Worker`).
//!   So no two helpers ever work on one disk, and whatever the late call did was done before its successor looks.
//! * What it may leave is what a crash at any step leaves, and `volumes` is built for that: a draft under `making/`, which is swept when the
//!   disk is opened next; a whole but empty volume of a CREATE that was said to have failed, which belongs to no claim, and whose uuid is
//!   never used again; a volume in the trash whose DESTROY is still being tried, and finds it there.
//!
//! Never answers that something was done unless its helper said so. A fault is told before the answers of what failed with it, so that
//! nothing of the disk is offered in between.

mod space;
mod trash;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_agent::{Adopted, DiskFound, Input, VolumeLabel};
use holdfast_model::{ClaimId, ClusterId, DiskId, DiskKind, DiskRecord, VolumeLimit};
use holdfast_volumes::{DiskHold, DiskLabel, HeldBy, HoldFault, Place};
use uuid::Uuid;

use self::space::Space;
use self::trash::Trash;
use super::board::News;
use super::device::Device;
use super::worker::{Starter, Worker, WorkerFault};
use super::{not_there, wanted, Routes};
use crate::agent_process::machine::{root_size_mb, DiskPlan};
use crate::core_loop::{now, Inbox};
use crate::disk_worker::protocol::{Answer, Found, Kind, Request, Room, Trashed};

/// How many volumes are made at once at most.
const MAKE_MAX: usize = 256;
/// The same of volumes that are images, each of which is a file system to be made: an answer must not be long in coming.
const IMAGES_MAX: usize = 16;
/// How many volumes are moved to the trash at once at most; they share their syncs.
const TRASH_MAX: usize = 256;
/// How long a batch of volumes waits for more at most, when the last one was of several: they share their syncs.
const LINGER_MAX: Duration = Duration::from_millis(20);
/// Pause between two looks at a disk that another process holds.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A disk whose measured size changes by less than this part of it is as large as it was.
const SIZE_STEPS: u64 = 64;
/// The part of a whole disk that is left to the labels, the directories and the index of what lies on it; at least 1 MB.
const MARGIN_PART: u64 = 256;
/// Pause between two looks at a helper that was abandoned.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// What may be asked about a disk.
pub enum Job {
    /// Look at it.
    Open(Asked),
    /// Make a volume, or find it whole.
    Make(VolumeLabel),
    /// See whether a volume can be used.
    Check(VolumeLabel),
    /// Move a volume to the trash.
    Trash(VolumeLabel),
    /// Move a volume back from the trash.
    Restore(VolumeLabel),
    /// Make a volume that no claim stands for that of a claim again.
    Adopt(VolumeLabel, Adopted),
    /// A volume has another size now.
    Resize(VolumeLabel),
    /// Remove a destroyed volume from the trash.
    Purge(DiskId, ClaimId),
    /// Find a volume's data, for a container that is about to use it.
    Find(VolumeLabel, Sender<Result<PathBuf, String>>),
    /// Give a volume's top directory to a user.
    Give(VolumeLabel, (u32, u32), Sender<Result<(), String>>),
}

/// What a disk is looked at for.
#[derive(Clone)]
pub struct Asked {
    /// The cluster.
    pub cluster: ClusterId,
    /// What the ledger knows of it.
    pub known: Option<DiskRecord>,
    /// What the ledger knows of all disks.
    pub all: Arc<Vec<DiskRecord>>,
    /// Whether it gets a label if it bears none.
    pub may_label: bool,
}

impl Job {
    /// Answers that it cannot be done.
    pub fn refuse(self, why: &str, inbox: &Inbox<Input>) {
        let failed = || Err(why.to_owned());
        // Whoever no longer waits for an answer needs none.
        match self {
            Job::Open(_) | Job::Purge(..) | Job::Resize(_) => {}
            Job::Make(label) | Job::Restore(label) | Job::Adopt(label, _) => {
                inbox.tell_blocking(Input::VolumeMade(label.claim, failed()))
            }
            Job::Check(label) => inbox.tell_blocking(Input::VolumeChecked(label.claim, failed())),
            Job::Trash(label) => inbox.tell_blocking(Input::VolumeTrashed(label.claim, failed())),
            Job::Find(_, reply) => drop(reply.send(Err(why.to_owned()))),
            Job::Give(_, _, reply) => drop(reply.send(failed())),
        }
    }
}

/// What the queues of all disks share.
#[derive(Clone)]
pub struct Shared {
    /// How helpers are started.
    pub starter: Starter,
    /// How long a helper may take for one answer.
    pub timeout: Duration,
    /// The device with a number.
    pub devices: fn(u64) -> Device,
    /// How long destroyed volumes are kept, where nothing needs their space.
    pub trash_retention: Duration,
    /// How long the first opening waits for a predecessor that is just ending and still holds a disk.
    pub hold_patience: Duration,
    /// The way to the core.
    pub inbox: Inbox<Input>,
    /// Where it is told how the disk was found.
    pub board: Sender<News>,
    /// Which disk is at which place.
    pub routes: Routes,
    /// Disks that are this agent's as long as it lives.
    pub holds: Arc<Mutex<BTreeMap<DiskId, DiskHold>>>,
}

/// See the module.
pub struct Lane {
    index: usize,
    plan: DiskPlan,
    shared: Shared,
    state: State,
    /// What the disk lies on, once that is known.
    device: Device,
    /// Where it is, when it was found last.
    place: Option<Place>,
    /// What the last look was asked for.
    asked: Option<Asked>,
    /// The uuid for a disk that bears none yet; one that is looked at again keeps its name.
    fresh: Uuid,
    /// Whether what was left half made was cleared away since the helper was started and the disk was there.
    swept: bool,
    /// Whether the disk must prove that it takes writes, since it has hung.
    doubted: bool,
    /// How long the next batch waits for more: as long as the last one took, if that was of several volumes; less and less when they
    /// come singly.
    linger: Duration,
    /// Until when a predecessor that holds the disk is waited for.
    patience: Option<Instant>,
    /// What lies in its trash.
    trash: Trash,
    /// The space on it.
    space: Space,
}

/// The disk's helper.
enum State {
    /// There is none; the next thing that is asked starts one.
    Idle,
    /// It has not opened the disk.
    Fresh(Worker),
    /// It was asked to open the disk: this is what it has open, or what is wrong.
    Asked(Worker, Result<DiskId, String>),
    /// It did not answer, and is not gone; this is what is wrong with the disk.
    Abandoned(Worker, String),
}

impl Lane {
    /// The queue of the disk with this index among those of the settings.
    pub fn new(index: usize, plan: DiskPlan, shared: Shared) -> Lane {
        Lane {
            index,
            plan,
            trash: Trash::new(shared.trash_retention),
            space: Space::default(),
            shared,
            state: State::Idle,
            device: Device::default(),
            place: None,
            asked: None,
            fresh: Uuid::new_v4(),
            swept: false,
            doubted: false,
            linger: Duration::ZERO,
            patience: None,
        }
    }

    /// Does what comes, until nobody can ask any more.
    pub fn run(mut self, work: &Receiver<Job>) {
        // It is up by the time that it is needed. If it does not start now, the first look says why.
        if let Ok(worker) = Worker::start(&self.shared.starter, &self.plan.root) {
            self.state = State::Fresh(worker);
        }
        let mut next = None;
        loop {
            let job = match next.take() {
                Some(job) => job,
                None => match self.wait(work) {
                    Ok(Some(job)) => job,
                    Ok(None) => continue,
                    Err(_) => return self.leave(),
                },
            };
            match job {
                Job::Make(first) => next = self.make_all(first, work),
                Job::Trash(first) => next = self.trash_all(first, work),
                job => self.do_one(job),
            }
        }
    }

    /// Nobody asks for this disk any more: another agent may have it, or another queue of this one.
    fn leave(self) {
        let mut routes = self.shared.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut holds = self.shared.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let ours: Vec<DiskId> = routes.disks_of(self.index).collect();
        for disk in ours {
            routes.disks.remove(&disk);
            holds.remove(&disk);
        }
    }

    /// The next job; none when an abandoned helper was looked at meanwhile, or the trash.
    fn wait(&mut self, work: &Receiver<Job>) -> Result<Option<Job>, RecvTimeoutError> {
        let State::Abandoned(_, why) = &self.state else {
            let pauses = [self.trash_pause(), self.space.pause()];
            let Some(pause) = pauses.into_iter().flatten().min() else {
                return work.recv().map(Some).map_err(|_| RecvTimeoutError::Disconnected);
            };
            return match work.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {
                    self.tend();
                    Ok(None)
                }
                other => other.map(Some),
            };
        };
        let why = why.clone();
        self.refuse_parked(&why);
        match work.recv_timeout(PROBE_PAUSE) {
            Err(RecvTimeoutError::Timeout) => {
                self.probe();
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Does what is due beside what is asked.
    fn tend(&mut self) {
        if self.trash_pause().is_some_and(|it| it.is_zero()) {
            self.tend_trash();
        }
        if self.space.pause().is_some_and(|it| it.is_zero()) {
            self.measure_slice();
        }
    }

    fn do_one(&mut self, job: Job) {
        match job {
            Job::Open(asked) => {
                self.asked = Some(asked);
                let found = self.look();
                self.tell(found, true);
            }
            Job::Check(label) => {
                let outcome = self.check(&label).map(drop);
                self.shared.inbox.tell_blocking(Input::VolumeChecked(label.claim, outcome));
            }
            Job::Restore(label) => self.restore(&label),
            Job::Adopt(label, adopted) => self.adopt(&label, adopted),
            // What holds a volume to its size is told here as well.
            Job::Resize(label) => self.trash.resized(&label),
            Job::Purge(disk, claim) => self.purge(disk, claim),
            // A container that does not wait any more needs no answer.
            Job::Find(label, reply) => {
                let found = self.check(&label);
                // What is wrong with a volume is said of its claim, too, by whomever that was seen, and looked at again from then on.
                if let (Err(why), State::Asked(_, Ok(_))) = (&found, &self.state) {
                    let seen = Input::VolumeChecked(label.claim, Err(why.clone()));
                    self.shared.inbox.tell_blocking(seen);
                }
                drop(reply.send(found));
            }
            Job::Give(label, owner, reply) => drop(reply.send(self.give(&label, owner))),
            Job::Make(_) | Job::Trash(_) => {
                debug_assert!(false, "they are done in batches");
            }
        }
    }

    /// Tells how the disk was found, and returns once the core is told.
    fn tell(&self, found: DiskFound, as_asked: bool) {
        let (done, wait) = channel();
        let (index, place) = (self.index, self.place.clone());
        // Both ends live as long as the process.
        let _ = self.shared.board.send(News::Looked { index, found, place, as_asked, done });
        let _ = wait.recv();
    }

    // What is done on volumes.

    /// Makes what waits in one go; returns the first job of another kind.
    fn make_all(&mut self, first: VolumeLabel, work: &Receiver<Job>) -> Option<Job> {
        let until = Instant::now() + self.linger;
        let (labels, other) = gather(first, self.make_max(), until, work, |job| match job {
            Job::Make(label) => Ok(label),
            other => Err(Box::new(other)),
        });
        let labels = self.with_room(labels);
        self.make_now(labels);
        other
    }

    fn make_max(&self) -> usize {
        match self.plan.limit {
            VolumeLimit::Image => IMAGES_MAX,
            VolumeLimit::None | VolumeLimit::Soft(_) => MAKE_MAX,
        }
    }

    fn make_now(&mut self, labels: Vec<VolumeLabel>) {
        let (began, several) = (Instant::now(), 1 < labels.len());
        self.do_all(labels, "making", Job::Make, |this, labels, doing| {
            let cluster = this.cluster();
            let image = this.plan.limit == VolumeLimit::Image;
            let to_make = |it| holdfast_volumes::VolumeLabel { image, ..wanted(it, cluster) };
            let request = Request::Make(labels.iter().map(to_make).collect());
            match this.work(&request, doing)? {
                Answer::Made(made) if made.len() == labels.len() => {
                    if made.iter().any(Result::is_err) {
                        this.doubt();
                    }
                    for (label, outcome) in labels.iter().zip(made) {
                        if outcome.is_ok() {
                            this.trash.made(label);
                        }
                        this.shared.inbox.tell_blocking(Input::VolumeMade(label.claim, outcome));
                    }
                    Ok(())
                }
                other => Err(this.misunderstood(doing, &other)),
            }
        });
        self.linger = if several { began.elapsed().min(LINGER_MAX) } else { self.linger / 2 };
    }

    /// Moves what waits to the trash in one go; returns the first job of another kind.
    fn trash_all(&mut self, first: VolumeLabel, work: &Receiver<Job>) -> Option<Job> {
        let (labels, other) = gather(first, TRASH_MAX, Instant::now(), work, |job| match job {
            Job::Trash(label) => Ok(label),
            other => Err(Box::new(other)),
        });
        self.do_all(labels, "moving to the trash", Job::Trash, |this, labels, doing| {
            let volumes = labels.iter().map(|it| it.claim.0).collect();
            match this.work(&Request::Trash { volumes, now_ms: now().0 }, doing)? {
                Answer::Trashed(trashed) if trashed.len() == labels.len() => {
                    this.note_trashed(moved_mb(&trashed));
                    labels.iter().zip(trashed).for_each(|(label, it)| this.trashed(label, it));
                    Ok(())
                }
                other => Err(this.misunderstood(doing, &other)),
            }
        });
        other
    }

    fn trashed(&mut self, label: &VolumeLabel, outcome: Result<Trashed, String>) {
        match &outcome {
            Ok(Trashed::Moved(item)) => self.trash.trashed(item.clone()),
            // Its disk is there and well, and its owner wants it gone: there is nothing left to do (E26).
            Ok(Trashed::Missing) => tracing::warn!(
                "volume {} was to be destroyed, and is not there; nothing was removed",
                label.claim
            ),
            Err(_) => {}
        }
        self.shared.inbox.tell_blocking(Input::VolumeTrashed(label.claim, outcome.map(drop)));
    }

    /// Does one thing for several volumes, or says of each why not.
    fn do_all(
        &mut self,
        labels: Vec<VolumeLabel>,
        verb: &str,
        job: impl Fn(VolumeLabel) -> Job,
        act: impl FnOnce(&mut Lane, &[VolumeLabel], &str) -> Result<(), String>,
    ) {
        let mut here = Vec::with_capacity(labels.len());
        for label in labels {
            match self.ready(label.disk) {
                Ok(()) => here.push(label),
                Err(why) => job(label).refuse(&why, &self.shared.inbox),
            }
        }
        let Some(first) = here.first() else { return };
        let doing = match here.len() {
            1 => format!("{verb} volume {}", first.claim),
            several => format!("{verb} volume {} and {} more", first.claim, several - 1),
        };
        if let Err(why) = act(self, &here, &doing) {
            let why = format!("{why}. What became of it is not known: nothing is promised, and what is left half done is cleared away or finished once the disk answers");
            here.into_iter().for_each(|label| job(label).refuse(&why, &self.shared.inbox));
        }
    }

    /// The path of a volume's data, if it can be used.
    fn check(&mut self, label: &VolumeLabel) -> Result<PathBuf, String> {
        self.ready(label.disk)?;
        let doing = format!("checking volume {}", label.claim);
        match self.work(&Request::Check(wanted(label, self.cluster())), &doing)? {
            Answer::Checked(outcome) => outcome.map(|below| self.plan.root.join(below)),
            other => Err(self.misunderstood(&doing, &other)),
        }
    }

    fn give(&mut self, label: &VolumeLabel, (uid, gid): (u32, u32)) -> Result<(), String> {
        self.ready(label.disk)?;
        let doing = format!("giving volume {} to its user", label.claim);
        let label = wanted(label, self.cluster());
        match self.work(&Request::Give { label, uid, gid }, &doing)? {
            Answer::Given(outcome) => outcome.map(drop),
            other => Err(self.misunderstood(&doing, &other)),
        }
    }

    fn cluster(&self) -> ClusterId {
        let asked = self.asked.as_ref().expect("a disk that is ready was opened for a cluster");
        asked.cluster
    }

    // The helper.

    /// Sees to it that there is a helper which has the disk open.
    fn ready(&mut self, disk: DiskId) -> Result<(), String> {
        self.let_go_of_the_dead();
        if self.asked.is_none() {
            return Err("the disks are not open yet".to_owned());
        }
        if matches!(self.state, State::Idle | State::Fresh(_)) {
            let found = self.look();
            let fault = found.fault.clone();
            self.tell(found, false);
            if let (State::Idle, Some(why)) = (&self.state, fault) {
                return Err(why);
            }
        }
        match &self.state {
            State::Asked(_, Ok(open)) if *open == disk => Ok(()),
            State::Asked(_, Err(why)) | State::Abandoned(_, why) => Err(why.clone()),
            _ => Err(not_there(disk)),
        }
    }

    /// A helper that has ended makes room for the next one.
    fn let_go_of_the_dead(&mut self) {
        let ended = match &mut self.state {
            State::Idle => false,
            State::Fresh(it) | State::Asked(it, _) | State::Abandoned(it, _) => it.has_ended(),
        };
        if ended {
            self.state = State::Idle;
        }
    }

    /// Looks whether the abandoned helper is gone, and if so, how the disk is now.
    fn probe(&mut self) {
        self.let_go_of_the_dead();
        if matches!(self.state, State::Idle) && self.asked.is_some() {
            let found = self.look();
            self.tell(found, false);
        }
    }

    /// Asks the helper; a fault is told at once.
    fn work(&mut self, request: &Request, doing: &str) -> Result<Answer, String> {
        self.ask(request, doing).inspect_err(|why| self.tell(self.ill(why), false))
    }

    fn ask(&mut self, request: &Request, doing: &str) -> Result<Answer, String> {
        let (State::Fresh(worker) | State::Asked(worker, _)) = &mut self.state else {
            return Err("its helper process has ended".to_owned());
        };
        let (device, timeout) = (&mut self.device, self.shared.timeout);
        let answer = worker.ask(request, doing, timeout, || device.has_moved());
        answer.map_err(|fault| self.abandon(&fault))
    }

    fn misunderstood(&mut self, doing: &str, said: &Answer) -> String {
        let pid = match &self.state {
            State::Fresh(it) | State::Asked(it, _) | State::Abandoned(it, _) => it.id(),
            State::Idle => 0,
        };
        let said = format!("{said:?}");
        let why = self.abandon(&WorkerFault::Strange { doing: doing.to_owned(), pid, said });
        self.tell(self.ill(&why), false);
        why
    }

    /// Kills the helper, and waits for nothing. Returns what is wrong with the disk.
    fn abandon(&mut self, fault: &WorkerFault) -> String {
        let why = format!("{fault}; it is tried again every {} s", PROBE_PAUSE.as_secs());
        self.doubted = true;
        // Whether the disk has this name by now is not known; it is not given to another one.
        self.fresh = Uuid::new_v4();
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Fresh(mut it) | State::Asked(mut it, _) | State::Abandoned(mut it, _) => {
                it.kill();
                State::Abandoned(it, why.clone())
            }
            State::Idle => State::Idle,
        };
        why
    }

    // Looking at the disk.

    /// Something could not be done on the disk. If that is the disk's fault, it is told before anybody tries again.
    fn doubt(&mut self) {
        let found = self.look();
        if found.fault.is_some() {
            self.tell(found, false);
        }
    }

    /// Looks at the disk as it was asked last.
    fn look(&mut self) -> DiskFound {
        let known = self.asked.as_ref().expect("somebody has asked for a look").known.clone();
        self.let_go_of_the_dead();
        match self.open(known.as_ref()) {
            Ok(found) => found,
            Err((why, disk_uuid)) => {
                if let State::Asked(_, opened) = &mut self.state {
                    *opened = Err(why.clone());
                }
                self.space.lost();
                let ill = self.ill(&why);
                match disk_uuid {
                    Some(uuid) if known.is_none() => {
                        let disk = DiskRecord { id: DiskId(uuid), ..ill.disk };
                        DiskFound { disk, ..ill }
                    }
                    _ => ill,
                }
            }
        }
    }

    /// It keeps what it carries, and is offered to nobody until it is well again.
    fn ill(&self, why: &str) -> DiskFound {
        let known = self.asked.as_ref().and_then(|it| it.known.clone());
        let disk = known.unwrap_or_else(|| DiskRecord {
            id: DiskId(self.fresh),
            kind: self.plan.kind,
            root: self.plan.root.to_string_lossy().into_owned(),
            size_mb: 0,
        });
        DiskFound { disk, fault: Some(why.to_owned()), space: None, added: None }
    }

    /// Has the disk opened; else what is wrong with it, and its uuid if that is known.
    fn open(&mut self, known: Option<&DiskRecord>) -> Result<DiskFound, (String, Option<Uuid>)> {
        let unknown = |why| (why, None);
        match &self.state {
            State::Abandoned(_, why) => return Err((why.clone(), None)),
            State::Asked(..) => {}
            State::Fresh(_) => self.swept = false,
            State::Idle => {
                let worker = Worker::start(&self.shared.starter, &self.plan.root);
                self.state = State::Fresh(worker.map_err(|it| unknown(it.to_string()))?);
                self.swept = false;
            }
        }
        let request = self.open_request(known);
        let answer = self.ask(&request, "opening it").map_err(unknown)?;
        self.note_asked();
        let found = match answer {
            Answer::Opened(found) => *found,
            Answer::NotOpened(why) => {
                self.swept = false;
                self.place = None;
                return Err(unknown(why));
            }
            Answer::InUse { disk_uuid, why, place } => {
                self.place = Some(place);
                // If another agent uses it, that one is to be named, and not its helper.
                let why = self.hold(disk_uuid).err().unwrap_or(why);
                return Err((why, Some(disk_uuid)));
            }
            other => return Err(unknown(self.misunderstood("opening it", &other))),
        };
        let disk_uuid = found.label.disk_uuid;
        self.hold(disk_uuid).map_err(|why| (why, Some(disk_uuid)))?;
        if !self.swept {
            self.sweep().map_err(unknown)?;
            self.survey(DiskId(disk_uuid)).map_err(unknown)?;
            self.swept = true;
        }
        self.doubted = false;
        if disk_uuid == self.fresh {
            self.fresh = Uuid::new_v4(); // It is on the disk now; another disk there must not get it, too.
        }
        Ok(self.opened(&found, known))
    }

    fn open_request(&mut self, known: Option<&DiskRecord>) -> Request {
        let patience =
            *self.patience.get_or_insert_with(|| Instant::now() + self.shared.hold_patience);
        let left = patience.saturating_duration_since(Instant::now()).min(self.shared.timeout / 2);
        let cluster_uuid = self.cluster().0;
        let may_label = self.asked.as_ref().is_some_and(|it| it.may_label);
        let label = |disk_uuid| DiskLabel { disk_uuid, cluster_uuid };
        Request::Open {
            kind: kind_on_disk(self.plan.kind),
            root: self.plan.root.as_os_str().as_bytes().to_vec(),
            expected: known.map(|it| label(it.id.0)),
            fresh: label(if may_label { self.fresh } else { Uuid::nil() }),
            others: self.others(known),
            prove: self.doubted,
            patience_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The places of the agent's other disks.
    fn others(&self, known: Option<&DiskRecord>) -> Vec<(Uuid, Vec<u8>)> {
        let all = self.asked.iter().flat_map(|it| it.all.iter());
        let others = all.filter(|it| known.is_none_or(|known| known.id != it.id));
        others.map(|it| (it.id.0, it.root.clone().into_bytes())).collect()
    }

    fn note_asked(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.state = match state {
            State::Fresh(worker) | State::Asked(worker, _) => {
                State::Asked(worker, Err("it is being opened".to_owned()))
            }
            other => other,
        };
    }

    /// Makes sure that no other agent of this machine uses the disk.
    fn hold(&self, disk_uuid: Uuid) -> Result<(), String> {
        let id = DiskId(disk_uuid);
        loop {
            let mut holds = self.shared.holds.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(hold) = holds.get(&id) {
                hold.forget_callers();
                return Ok(());
            }
            match holdfast_volumes::hold_disk_for(&self.plan.root, disk_uuid, HeldBy::Agent) {
                Ok(hold) => drop(holds.insert(id, hold)),
                Err(HoldFault::Held { .. })
                    if self.patience.is_some_and(|it| Instant::now() < it) =>
                {
                    drop(holds);
                    // tidy: sleep is the point: a name that another process is about to drop has no event
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(fault) => return Err(fault.to_string()),
            }
        }
    }

    /// Clears away what a crash left half made. Nobody else makes volumes there: the disk is ours, and so is its only helper.
    fn sweep(&mut self) -> Result<(), String> {
        let doing = "clearing away half-made volumes";
        match self.ask(&Request::Sweep, doing)? {
            Answer::Swept(Ok(0)) => {}
            Answer::Swept(Ok(swept)) => tracing::info!(
                "{swept} half-made volumes of {} were cleared away",
                self.plan.root.display()
            ),
            Answer::Swept(Err(fault)) => tracing::warn!("half-made volumes stay: {fault}"),
            other => return Err(self.misunderstood(doing, &other)),
        }
        Ok(())
    }

    fn opened(&mut self, found: &Found, known: Option<&DiskRecord>) -> DiskFound {
        let id = DiskId(found.label.disk_uuid);
        let known_as = found.known_as.as_ref().map(|it| String::from_utf8_lossy(it).into_owned());
        let all = self.asked.as_ref().map(|it| it.all.clone()).unwrap_or_default();
        let known = known.or_else(|| all.iter().find(|it| known_as.is_some() && it.id == id));
        let root = known_as.unwrap_or_else(|| self.plan.root.to_string_lossy().into_owned());
        let size_mb = size_mb(&self.plan, found, known);
        self.device = (self.shared.devices)(found.place.device);
        self.place = Some(found.place.clone());
        let fault = size_mb.as_ref().err().cloned().or_else(|| found.strangers.clone());
        if let Some(repair) = &found.repair {
            tracing::warn!("disk {root}: one copy of its label was damaged and has been repaired from the other: {repair}");
        }
        let size_mb = size_mb.unwrap_or_else(|_| known.map_or(0, |it| it.size_mb));
        if let State::Asked(_, opened) = &mut self.state {
            *opened = Ok(id);
        }
        let disk = DiskRecord { id, kind: self.plan.kind, root, size_mb };
        let mut routes = self.shared.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.disks.insert(id, self.index);
        drop(routes);
        if fault.is_some() {
            self.space.lost();
            return DiskFound { disk, fault, space: None, added: None };
        }
        if let Some(asked) = &mut self.asked {
            asked.known = Some(disk.clone()); // Should it hang before the core asks again, it is this one.
        }
        self.with_space(DiskFound { disk, fault, space: None, added: None }, found)
    }
}

/// The size that a disk is to have: as the settings say, or as it is. Not each change of what is measured is one of the disk.
fn size_mb(plan: &DiskPlan, found: &Found, known: Option<&DiskRecord>) -> Result<u64, String> {
    if let Some(size_mb) = plan.size_mb {
        return Ok(size_mb);
    }
    let room = found.room.as_ref().map_err(Clone::clone)?;
    let is_about = |size_mb: u64, other: u64| size_mb.abs_diff(other) <= other / SIZE_STEPS;
    let measured = |size_mb: u64| match known {
        Some(known) if is_about(known.size_mb, size_mb) => known.size_mb,
        _ => size_mb,
    };
    Ok(match plan.kind {
        DiskKind::Root => measured(root_size_mb(room.total_mb)),
        DiskKind::Path => measured(room.total_mb),
        DiskKind::Mount => whole_size_mb(room, known.map(|it| it.size_mb)),
    })
}

/// The size of a disk that is only given whole: what one volume on it can take. A file system needs some of its space itself, and keeps
/// some for root; where that is next to nothing, it is all of it. What was free when the disk was first opened is its size until it turns out to
/// be larger, or has shrunk.
fn whole_size_mb(room: &Room, known_mb: Option<u64>) -> u64 {
    let free_mb = match room.total_mb.saturating_sub(room.free_mb) {
        next_to_nothing if next_to_nothing <= room.total_mb / SIZE_STEPS => room.total_mb,
        _ => room.free_mb.saturating_sub((room.free_mb / MARGIN_PART).max(1)),
    };
    known_mb.map_or(free_mb, |known| known.max(free_mb)).min(room.total_mb)
}

/// What the removal of all that was moved to the trash would give back, in MB.
fn moved_mb(trashed: &[Result<Trashed, String>]) -> u64 {
    let moved = |it: &Result<Trashed, String>| match it {
        Ok(Trashed::Moved(item)) => item.mb,
        _ => 0,
    };
    trashed.iter().map(moved).sum()
}

/// The kind as the helper names it.
fn kind_on_disk(kind: DiskKind) -> Kind {
    match kind {
        DiskKind::Root => Kind::Root,
        DiskKind::Path => Kind::Path,
        DiskKind::Mount => Kind::Mount,
    }
}

/// Takes what waits of one kind, and what comes until a time; also the first job of another kind.
fn gather(
    first: VolumeLabel,
    max: usize,
    until: Instant,
    work: &Receiver<Job>,
    take: impl Fn(Job) -> Result<VolumeLabel, Box<Job>>,
) -> (Vec<VolumeLabel>, Option<Job>) {
    let mut labels = vec![first];
    while labels.len() < max {
        match work.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(job) => match take(job) {
                Ok(label) => labels.push(label),
                Err(other) => return (labels, Some(*other)),
            },
            Err(_) => break,
        }
    }
    (labels, None)
}
