//! How all disks were found last: what the queues of the disks saw is put together to what the core is told of the machine.
//!
//! A disk that hangs holds up no other: the core is told of those that have answered after a moment, and of the others when they do. Relies
//! on each queue to answer each look it was asked for, sooner or later. Never says that a disk is well that has not answered.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use holdfast_agent::{DiskFound, Input, Machine};
use holdfast_model::{ClusterId, DiskId, DiskRecord, MachineInfo};
use uuid::Uuid;

use super::lane::Job;
use super::{not_there, Routes};
use crate::agent_process::machine::{disk_resource, DiskPlan, MachinePlan};
use crate::core_loop::Inbox;

/// How long a look waits for a disk. One that was well before is called so until its queue says otherwise; one that was never looked at
/// is not.
const ANSWER_WAIT: Duration = Duration::from_millis(1_500);

/// What the board hears.
pub enum News {
    /// Look at all disks, for this cluster; those are known.
    Open(ClusterId, Vec<DiskRecord>),
    /// A disk was looked at.
    Looked {
        /// Which of the settings' disks.
        index: usize,
        /// How it was found.
        found: DiskFound,
        /// Whether this answers a look that was asked for.
        as_asked: bool,
        /// Told once the core is.
        done: Sender<()>,
    },
    /// Something was asked about a disk that no setting names.
    Stray(Job, DiskId),
    /// Nobody will ask anything any more.
    End,
}

/// See the module.
pub struct Board {
    plan: MachinePlan,
    inbox: Inbox<Input>,
    routes: Routes,
    rows: Vec<Row>,
    known: Vec<DiskRecord>,
    /// When the look that the core waits for is answered at the latest.
    due: Option<Instant>,
}

/// A disk of the settings.
struct Row {
    plan: DiskPlan,
    queue: Sender<Job>,
    /// How it was found last; `None` until it has answered.
    seen: Option<DiskFound>,
    /// Whether its queue owes an answer.
    looking: bool,
    /// Its name when it was well last, which the ledger has as well by the next look.
    well: Option<DiskId>,
    /// Its name as long as nobody knows its own.
    unnamed: DiskId,
    /// What was last said to be wrong with it; said once.
    told: Option<String>,
}

impl Board {
    /// A board over the queues of the plan's disks, in order.
    pub fn new(
        plan: MachinePlan,
        queues: Vec<Sender<Job>>,
        routes: Routes,
        inbox: Inbox<Input>,
    ) -> Board {
        let row = |(plan, queue): (&DiskPlan, Sender<Job>)| Row {
            plan: plan.clone(),
            queue,
            seen: None,
            looking: false,
            well: None,
            unnamed: DiskId(Uuid::new_v4()),
            told: None,
        };
        let rows = plan.disks.iter().zip(queues).map(row).collect();
        Board { plan, inbox, routes, rows, known: Vec::new(), due: None }
    }

    /// Listens until nobody speaks any more.
    pub fn run(mut self, news: &Receiver<News>) {
        loop {
            let next = match self.due {
                Some(at) => news.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(News::Open(cluster, known)) => self.open(cluster, known),
                Ok(News::Looked { index, found, as_asked, done }) => {
                    self.looked(index, found, as_asked);
                    // A queue that ended with its process does not wait.
                    let _ = done.send(());
                }
                Ok(News::Stray(job, disk)) => job.refuse(&not_there(disk), &self.inbox),
                Err(RecvTimeoutError::Timeout) => self.tell(),
                Ok(News::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn open(&mut self, cluster: ClusterId, known: Vec<DiskRecord>) {
        self.known = known;
        for (index, row) in self.rows.iter_mut().enumerate() {
            let record = row.record(&self.known).cloned();
            if let Some(record) = &record {
                // What is asked about it before it was found waits in its queue.
                let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
                routes.entry(record.id).or_insert(index);
            }
            if !row.looking {
                row.looking = true;
                // The queues live as long as the board.
                let _ = row.queue.send(Job::Open(cluster, record));
            }
        }
        self.due = Some(Instant::now() + ANSWER_WAIT);
    }

    fn looked(&mut self, index: usize, found: DiskFound, as_asked: bool) {
        let row = &mut self.rows[index];
        row.looking &= !as_asked;
        let is_news = row.seen.as_ref() != Some(&found);
        row.tell_fault(found.fault.as_deref());
        if found.fault.is_none() {
            row.well = Some(found.disk.id);
        }
        row.seen = Some(found);
        let has_all = self.rows.iter().all(|it| !it.looking);
        let knows_all = self.rows.iter().all(|it| it.seen.is_some());
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
        let (mut found, mut offered) = (Vec::new(), self.plan.resources.clone());
        for row in &mut self.rows {
            let disk = row.found(&self.known);
            let plan = &row.plan;
            if !plan.given {
                offered.add(&disk_resource(plan.kind, &plan.root, disk.disk.size_mb));
            } else if disk.fault.is_some() && !row.is_known(&disk, &self.known) {
                offered = offered.filter(|it| !plan.offers(it)); // It was never ours, and nobody is owed anything of it.
            }
            found.push(disk);
        }
        // Disks that the settings no longer name are still owed to whoever has claims on them.
        let is_found =
            |it: &DiskRecord, found: &[DiskFound]| found.iter().any(|one| one.disk.id == it.id);
        let forgotten: Vec<DiskRecord> =
            self.known.iter().filter(|it| !is_found(it, &found)).cloned().collect();
        for disk in forgotten {
            let fault =
                "it is no longer among the disks of the agent's settings; name it again".to_owned();
            offered.add(&disk_resource(disk.kind, Path::new(&disk.root), disk.size_mb));
            found.push(DiskFound { disk, fault: Some(fault), space: None });
        }
        let info = MachineInfo { resources: offered, ..self.plan.info.clone() };
        self.inbox.tell_blocking(Input::Opened(Machine { info, disks: found }));
    }
}

impl Row {
    fn record<'a>(&self, known: &'a [DiskRecord]) -> Option<&'a DiskRecord> {
        let root = self.plan.root.to_string_lossy();
        known.iter().find(|it| it.root == root && it.kind == self.plan.kind)
    }

    /// Whether somebody may be owed something of it.
    fn is_known(&self, found: &DiskFound, known: &[DiskRecord]) -> bool {
        let id = found.disk.id;
        self.well == Some(id) || known.iter().any(|it| it.id == id)
    }

    /// How it was found, or that it has not been.
    fn found(&mut self, known: &[DiskRecord]) -> DiskFound {
        if let Some(seen) = &self.seen {
            return seen.clone();
        }
        let fault = "it has not answered yet since the agent was started; other disks go on, and it is used as soon as it answers";
        self.tell_fault(Some(fault));
        let disk = self.record(known).cloned().unwrap_or_else(|| DiskRecord {
            id: self.unnamed,
            kind: self.plan.kind,
            root: self.plan.root.to_string_lossy().into_owned(),
            size_mb: 0,
        });
        DiskFound { disk, fault: Some(fault.to_owned()), space: None }
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
