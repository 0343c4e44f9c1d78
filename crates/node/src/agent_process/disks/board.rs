//! How all disks were found last: what the queues of the disks saw is put together to what the core is told of the machine.
//!
//! A disk that hangs holds up no other: the core is told of those that have answered after a moment, and of the others when they do. Relies
//! on each queue to answer each look it was asked for, sooner or later. Never says that a disk is well that has not answered.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use holdfast_agent::{DiskFound, Input, Machine};
use holdfast_model::{
    AddedDisk, ClusterId, DiskId, DiskRecord, MachineInfo, Resource, Resources, Source,
};
use holdfast_volumes::Place;
use uuid::Uuid;

use super::lane::{Asked, Job};
use super::{not_there, LaneStarter, RouteTable, Routes};
use crate::agent_process::machine::{disk_resource, DiskPlan, MachinePlan};
use crate::core_loop::Inbox;

/// How long a look waits for a disk. One that was well before is called so until its queue says otherwise; one that was never looked at
/// is not.
const ANSWER_WAIT: Duration = Duration::from_millis(1_500);

/// What the board hears.
pub enum News {
    /// Look at all disks, for this cluster; those in the first list are known, those in the second were added or may be.
    Open(ClusterId, Vec<DiskRecord>, Vec<AddedDisk>),
    /// Look at the disks of the settings, of which none is known, and label none.
    Survey(ClusterId),
    /// A disk was looked at.
    Looked {
        /// Which queue's disk.
        index: usize,
        /// How it was found.
        found: DiskFound,
        /// Where it is, if that is known.
        place: Option<Place>,
        /// Whether this answers a look that was asked for.
        as_asked: bool,
        /// Told once the core is.
        done: Sender<()>,
    },
    /// Something was asked about a disk that the agent does not have.
    Stray(Job, DiskId),
    /// Nobody will ask anything any more.
    End,
}

/// See the module.
pub struct Board {
    plan: MachinePlan,
    inbox: Inbox<Input>,
    routes: Routes,
    lanes: LaneStarter,
    /// By the numbers of their queues: those of the settings first, ROOT with 0; no number is used twice.
    rows: BTreeMap<usize, Row>,
    next: usize,
    known: Arc<Vec<DiskRecord>>,
    /// When the look that the core waits for is answered at the latest.
    due: Option<Instant>,
}

/// A disk of the settings, or one that was added.
struct Row {
    plan: DiskPlan,
    /// As it was added.
    added: Option<AddedDisk>,
    queue: Sender<Job>,
    /// How it was found last; `None` until it has answered.
    seen: Option<DiskFound>,
    /// Where it was then.
    place: Option<Place>,
    /// Whether its queue owes an answer.
    looking: bool,
    /// Its name as long as nobody knows its own.
    unnamed: DiskId,
    /// What was last said to be wrong with it; said once.
    told: Option<String>,
}

impl Board {
    /// A board that starts the queues of the plan's disks.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn new(
        plan: MachinePlan,
        lanes: LaneStarter,
        routes: Routes,
        inbox: Inbox<Input>,
    ) -> std::io::Result<Board> {
        let known = Arc::default();
        let (rows, disks) = (BTreeMap::new(), plan.disks.clone());
        let mut board = Board { plan, inbox, routes, lanes, rows, next: 0, known, due: None };
        disks.into_iter().try_for_each(|it| board.add(it, None))?;
        Ok(board)
    }

    /// One disk more.
    fn add(&mut self, plan: DiskPlan, added: Option<AddedDisk>) -> std::io::Result<()> {
        let index = self.next;
        let queue = self.lanes.start(index, &plan, added.is_some())?;
        self.next += 1;
        self.routes().queues.insert(index, queue.clone());
        let unnamed = DiskId(Uuid::new_v4());
        let row = Row {
            plan,
            added,
            queue,
            seen: None,
            place: None,
            looking: false,
            unnamed,
            told: None,
        };
        self.rows.insert(index, row);
        Ok(())
    }

    fn routes(&self) -> MutexGuard<'_, RouteTable> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has exactly these disks beside those of the settings. What the settings name is one disk, whoever else names it.
    fn have(&mut self, wanted: Vec<AddedDisk>) {
        let is_gone = |row: &Row| row.added.as_ref().is_some_and(|it| !wanted.contains(it));
        let gone = self.rows.iter().filter(|(_, row)| is_gone(row)).map(|(index, _)| *index);
        for index in gone.collect::<Vec<_>>() {
            self.rows.remove(&index);
            // Its queue ends when it has done what it is about.
            self.routes().queues.remove(&index);
        }
        for disk in wanted {
            if self.rows.values().any(|it| it.plan.root == Path::new(&disk.root)) {
                continue;
            }
            if let Err(error) = self.add(DiskPlan::of_added(&disk, self.plan.limit), Some(disk)) {
                tracing::error!("a disk that was added has no queue, since no thread can be started: {error}; it is tried again with the next look");
            }
        }
    }

    /// Listens until nobody speaks any more.
    pub fn run(mut self, news: &Receiver<News>) {
        loop {
            let next = match self.due {
                Some(at) => news.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(News::Open(cluster, known, added)) => {
                    self.have(added);
                    self.open(cluster, known, true);
                }
                Ok(News::Survey(cluster)) => self.open(cluster, Vec::new(), false),
                Ok(News::Looked { index, found, place, as_asked, done }) => {
                    self.looked(index, found, place, as_asked);
                    // A queue that ended with its process does not wait.
                    let _ = done.send(());
                }
                Ok(News::Stray(job, disk)) => job.refuse(&not_there(disk), &self.inbox),
                Err(RecvTimeoutError::Timeout) => self.tell(),
                // The queues end with those who could ask them.
                Ok(News::End) | Err(RecvTimeoutError::Disconnected) => {
                    return self.routes().queues.clear();
                }
            }
        }
    }

    fn open(&mut self, cluster: ClusterId, known: Vec<DiskRecord>, may_label: bool) {
        self.known = Arc::new(known);
        for (index, row) in &mut self.rows {
            let record = row.record(&self.known).cloned();
            if let Some(record) = &record {
                // What is asked about it before it was found waits in its queue.
                let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
                routes.disks.entry(record.id).or_insert(*index);
            }
            if !row.looking {
                row.looking = true;
                // The queues live as long as the board.
                let all = self.known.clone();
                let asked = Asked { cluster, known: record, all, may_label };
                let _ = row.queue.send(Job::Open(asked));
            }
        }
        self.due = Some(Instant::now() + ANSWER_WAIT);
    }

    fn looked(&mut self, index: usize, found: DiskFound, place: Option<Place>, as_asked: bool) {
        let Some(row) = self.rows.get_mut(&index) else { return }; // It was taken away.
        row.looking &= !as_asked;
        let is_news = row.seen.as_ref() != Some(&found);
        (row.seen, row.place) = (Some(found), place);
        let has_all = self.rows.values().all(|it| !it.looking);
        let knows_all = self.rows.values().all(|it| it.seen.is_some());
        match self.due {
            Some(_) if has_all => self.tell(),
            // What fails with it is answered next, so this cannot wait. The look that is under way is answered all the same.
            Some(due) if is_news && knows_all && !as_asked => {
                self.tell();
                self.due = Some(due);
            }
            None if is_news => self.tell(),
            _ => {}
        }
    }

    /// Tells the core how everything was found.
    fn tell(&mut self) {
        self.due = None;
        let mut offered = self.plan.resources.clone();
        let mut found = Vec::new();
        for index in self.rows.keys().copied().collect::<Vec<_>>() {
            let disk = self.found(index);
            let Some(row) = self.rows.get_mut(&index) else { continue };
            row.tell_fault(disk.fault.as_deref());
            let (plan, root) = (&row.plan, Path::new(&disk.disk.root));
            if !plan.given {
                offered.add(&disk_resource(plan.kind, root, disk.disk.size_mb));
            } else if root != plan.root {
                offered = renamed(&offered, plan, &disk.disk.root);
            }
            found.push(disk);
        }
        let info = MachineInfo { resources: offered, ..self.plan.info.clone() };
        self.inbox.tell_blocking(Input::Opened(Machine { info, disks: found }));
    }
}

impl Board {
    /// How a disk was found, seen beside the others.
    fn found(&self, index: usize) -> DiskFound {
        let row = &self.rows[&index];
        let added = row.added.as_ref().map(|it| it.root.clone());
        let found = DiskFound { added: added.clone(), ..row.found(&self.known) };
        let Some(fault) = self.clash(index, &found) else { return found };
        // It has no name of its own, and no part of what the other one is.
        let disk = match found.fault {
            Some(_) => row.nameless(),
            None => found.disk,
        };
        DiskFound { disk, fault: Some(fault), space: None, added }
    }

    /// Whether the place of a disk is another's, or lies in another's.
    fn clash(&self, index: usize, found: &DiskFound) -> Option<String> {
        let row = &self.rows[&index];
        let here = row.place.as_ref()?;
        let others = self.rows.iter().map(|(at, it)| (*at, it)).filter(|(at, _)| *at != index);
        let mut placed = others.filter_map(|(at, it)| Some((at, it, it.place.as_ref()?)));
        let is_first = |at: usize, other: &Row| match (row.is_well(), other.is_well()) {
            (a, b) if a != b => b,
            _ => at < index,
        };
        placed.find_map(|(at, other, there)| {
            let name = other.plan.root.display();
            if here.is_same(there) && is_first(at, other) {
                return Some(format!(
                    "it is the same directory as the disk {name}, by another name; name it once"
                ));
            }
            let is_known = self.known.iter().any(|it| it.id == found.disk.id);
            // Where there are claims already, they are kept, and nothing is lost: the space is counted once all the same.
            if is_known {
                return None;
            }
            if here.lies_in(there) {
                return Some(format!(
                    "it lies in another disk, {name}; give it a directory of its own"
                ));
            }
            (at == 0 && there.lies_in(here)).then(|| {
                format!(
                    "the agent's own directory, {name}, lies in it; give it a directory of its own"
                )
            })
        })
    }
}

/// The same resources, those of a disk under the path by which the agent knows it.
fn renamed(resources: &Resources, plan: &DiskPlan, root: &str) -> Resources {
    let under_known_path = |it: Resource| {
        let source = match (&it.identity.source, plan.offers(&it.identity)) {
            (Some(source), true) => Source { root: Some(root.to_owned()), ..source.clone() },
            _ => return it,
        };
        it.on(source)
    };
    resources.iter().map(under_known_path).collect()
}

impl Row {
    fn is_well(&self) -> bool {
        self.seen.as_ref().is_some_and(|it| it.fault.is_none())
    }

    fn record<'a>(&self, known: &'a [DiskRecord]) -> Option<&'a DiskRecord> {
        let root = self.plan.root.to_string_lossy();
        known.iter().find(|it| it.root == root && it.kind == self.plan.kind)
    }

    /// How it was found, or that it has not been.
    fn found(&self, known: &[DiskRecord]) -> DiskFound {
        if let Some(seen) = &self.seen {
            return seen.clone();
        }
        let fault = "it has not answered yet since the agent was started; other disks go on, and it is used as soon as it answers";
        let disk = self.record(known).cloned().unwrap_or_else(|| self.nameless());
        DiskFound { disk, fault: Some(fault.to_owned()), space: None, added: None }
    }

    /// A disk of which nothing is known but its place.
    fn nameless(&self) -> DiskRecord {
        DiskRecord {
            id: self.unnamed,
            kind: self.plan.kind,
            root: self.plan.root.to_string_lossy().into_owned(),
            size_mb: 0,
        }
    }

    /// Disks are looked at again and again; only what has changed is told.
    fn tell_fault(&mut self, fault: Option<&str>) {
        let before = std::mem::replace(&mut self.told, fault.map(str::to_owned));
        let root = self.plan.root.display();
        match fault {
            Some(fault) if before.as_deref() != Some(fault) => {
                tracing::error!("disk {root} cannot be used: {fault}")
            }
            None if before.is_some() => tracing::info!("disk {root} is well again"),
            _ => {}
        }
    }
}
