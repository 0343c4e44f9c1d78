//! Drivers of disks: one thread that opens, makes, checks and trashes in the order asked, and makes all
//! volumes that wait at once, so that they share their syncs.
//!
//! Disks may be opened again at any time: one that came back is open from then on, one that went is not any more. Never uses a disk
//! that another agent of this machine holds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_agent::{DiskFound, Input, Machine, VolumeLabel};
use holdfast_model::{ClusterId, DiskId, DiskKind, DiskRecord, MachineInfo};
use holdfast_volumes::{DiskConfig, DiskHold, DiskLabel, HoldFault, OpenDisk, Opened, VolumeFault};

use super::machine::{disk_resource, root_size_mb, DiskPlan, MachinePlan};
use crate::core_loop::{now, or_die_loudly, Inbox};

/// How many volumes are made at once at most.
const MAKE_MAX: usize = 256;
/// How long a batch of volumes waits for more at most, when the last one was of several: they share their syncs.
const LINGER_MAX: Duration = Duration::from_millis(20);
/// How long the first opening waits for a predecessor that is just ending and still holds a disk.
const HOLD_PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks at a disk that another process holds.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The open disks, shared with the drivers on processes.
pub type Places = Arc<Mutex<BTreeMap<DiskId, OpenDisk>>>;

/// The way to the thread.
#[derive(Clone)]
pub struct Disks {
    jobs: Sender<Job>,
    places: Places,
}

enum Job {
    Open(ClusterId, Vec<DiskRecord>),
    Make(VolumeLabel),
    Check(VolumeLabel),
    Trash(VolumeLabel),
}

impl Disks {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn start(plan: MachinePlan, inbox: Inbox<Input>) -> std::io::Result<Disks> {
        let (jobs, work) = channel();
        let places = Places::default();
        let worker = Worker::new(plan, places.clone(), inbox);
        std::thread::Builder::new()
            .name("disks".to_owned())
            .spawn(move || or_die_loudly("disks", || worker.run(&work)))?;
        Ok(Disks { jobs, places })
    }

    /// The open disks.
    pub fn places(&self) -> Places {
        self.places.clone()
    }

    /// Opens all disks of the settings.
    pub fn open(&self, cluster: ClusterId, known: Vec<DiskRecord>) {
        self.send(Job::Open(cluster, known));
    }

    /// Makes a volume, or finds it whole.
    pub fn make(&self, label: VolumeLabel) {
        self.send(Job::Make(label));
    }

    /// Sees whether a volume can be used.
    pub fn check(&self, label: VolumeLabel) {
        self.send(Job::Check(label));
    }

    /// Moves a volume to the trash.
    pub fn trash(&self, label: VolumeLabel) {
        self.send(Job::Trash(label));
    }

    fn send(&self, job: Job) {
        // The thread ends only with the process.
        let _ = self.jobs.send(job);
    }
}

/// The label that must be on the volume.
pub fn wanted(label: &VolumeLabel, cluster: ClusterId) -> holdfast_volumes::VolumeLabel {
    holdfast_volumes::VolumeLabel {
        volume_uuid: label.claim.0,
        persistence_id: label.persistence.clone(),
        role: label.role.clone(),
        principal: label.principal.clone(),
        generation: label.generation,
        disk_uuid: label.disk.0,
        cluster_uuid: cluster.0,
        size_mb: label.size_mb,
    }
}

/// The open disk that a label names.
///
/// # Errors
/// A sentence, when it is not open.
pub fn place_of(places: &Places, disk: DiskId) -> Result<OpenDisk, String> {
    let open = places.lock().unwrap_or_else(PoisonError::into_inner).get(&disk).cloned();
    open.ok_or_else(|| format!("disk {disk} is not there; mount it, or see `holdfast disk list`"))
}

struct Worker {
    plan: MachinePlan,
    places: Places,
    inbox: Inbox<Input>,
    cluster: Option<ClusterId>,
    /// How long the next batch waits for more: as long as the last one took, if that was of several volumes; less and less when they
    /// come singly.
    linger: Duration,
    /// Disks that are this agent's as long as it lives.
    holds: BTreeMap<DiskId, DiskHold>,
    /// The uuids of disks that bear none yet, by their place: a disk that is looked at again keeps its name.
    fresh: BTreeMap<PathBuf, uuid::Uuid>,
    /// What was last said to be wrong with a disk, by its place; said once.
    told: BTreeMap<PathBuf, String>,
    /// Until when a predecessor that holds a disk is waited for.
    patience: Option<Instant>,
}

impl Worker {
    fn new(plan: MachinePlan, places: Places, inbox: Inbox<Input>) -> Worker {
        let (holds, fresh, told) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Worker {
            plan,
            places,
            inbox,
            cluster: None,
            linger: Duration::ZERO,
            holds,
            fresh,
            told,
            patience: None,
        }
    }

    fn run(mut self, work: &Receiver<Job>) {
        let mut next = work.recv().ok();
        while let Some(job) = next.take() {
            match job {
                Job::Open(cluster, known) => self.open(cluster, &known),
                Job::Check(label) => self.check(&label),
                Job::Trash(label) => self.trash(&label),
                Job::Make(first) => next = self.make_all(first, work),
            }
            if next.is_none() {
                next = work.recv().ok();
            }
        }
    }

    /// Makes what waits in one go; returns the first job of another kind.
    fn make_all(&mut self, first: VolumeLabel, work: &Receiver<Job>) -> Option<Job> {
        let (mut labels, mut other) = (vec![first], None);
        let until = Instant::now() + self.linger;
        while labels.len() < MAKE_MAX {
            match work.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Job::Make(label)) => labels.push(label),
                Ok(job) => {
                    other = Some(job);
                    break;
                }
                Err(_) => break,
            }
        }
        let (began, several) = (Instant::now(), 1 < labels.len());
        let mut by_disk: BTreeMap<DiskId, Vec<VolumeLabel>> = BTreeMap::new();
        labels.into_iter().for_each(|label| by_disk.entry(label.disk).or_default().push(label));
        for (disk, labels) in by_disk {
            let outcomes: Vec<Result<(), String>> =
                match (place_of(&self.places, disk), self.cluster) {
                    (Ok(open), Some(cluster)) => {
                        let wanted: Vec<_> = labels.iter().map(|it| wanted(it, cluster)).collect();
                        let made = holdfast_volumes::make_volumes(&open, &wanted);
                        made.into_iter()
                            .map(|it| it.map(drop).map_err(|fault| fault.to_string()))
                            .collect()
                    }
                    (Err(why), _) => labels.iter().map(|_| Err(why.clone())).collect(),
                    (_, None) => labels
                        .iter()
                        .map(|_| Err("the disks are not open yet".to_owned()))
                        .collect(),
                };
            for (label, outcome) in labels.into_iter().zip(outcomes) {
                self.inbox.tell_blocking(Input::VolumeMade(label.claim, outcome));
            }
        }
        self.linger = if several { began.elapsed().min(LINGER_MAX) } else { self.linger / 2 };
        other
    }

    fn check(&self, label: &VolumeLabel) {
        let outcome =
            self.with(label, |open, wanted| holdfast_volumes::check_volume(open, wanted).map(drop));
        self.inbox.tell_blocking(Input::VolumeChecked(label.claim, outcome));
    }

    fn trash(&self, label: &VolumeLabel) {
        let outcome = self.with(label, |open, _| {
            match holdfast_volumes::trash_volume(open, label.claim.0, now().0) {
                // Its disk is there and well, and its owner wants it gone: there is nothing left to do (E26).
                Err(VolumeFault::Missing { .. }) => {
                    tracing::warn!(
                        "volume {} was to be destroyed, and is not there; nothing was removed",
                        label.claim
                    );
                    Ok(())
                }
                outcome => outcome.map(drop),
            }
        });
        self.inbox.tell_blocking(Input::VolumeTrashed(label.claim, outcome));
    }

    fn with(
        &self,
        label: &VolumeLabel,
        work: impl FnOnce(&OpenDisk, &holdfast_volumes::VolumeLabel) -> Result<(), VolumeFault>,
    ) -> Result<(), String> {
        let open = place_of(&self.places, label.disk)?;
        let cluster = self.cluster.ok_or("the disks are not open yet")?;
        work(&open, &wanted(label, cluster)).map_err(|fault| fault.to_string())
    }

    fn open(&mut self, cluster: ClusterId, known: &[DiskRecord]) {
        self.cluster = Some(cluster);
        self.patience.get_or_insert_with(|| Instant::now() + HOLD_PATIENCE);
        self.holds.values().for_each(DiskHold::forget_callers);
        let mut found = Vec::new();
        let mut offered = self.plan.resources.clone();
        for plan in self.plan.disks.clone() {
            let disk = self.open_one(cluster, &plan, known);
            if !plan.given {
                offered.add(&disk_resource(plan.kind, &plan.root, disk.disk.size_mb));
            } else if disk.fault.is_some() && known.iter().all(|it| it.id != disk.disk.id) {
                offered = offered.filter(|it| !plan.offers(it)); // It was never ours, and nobody is owed anything of it.
            }
            found.push(disk);
        }
        // Disks that the settings no longer name are still owed to whoever has claims on them.
        let forgotten: Vec<&DiskRecord> = known
            .iter()
            .filter(|it| found.iter().all(|found: &DiskFound| found.disk.id != it.id))
            .collect();
        for record in forgotten {
            let fault = Some(
                "it is no longer among the disks of the agent's settings; name it again".to_owned(),
            );
            offered.add(&disk_resource(
                record.kind,
                std::path::Path::new(&record.root),
                record.size_mb,
            ));
            found.push(DiskFound { disk: record.clone(), fault });
        }
        let info = MachineInfo { resources: offered, ..self.plan.info.clone() };
        self.inbox.tell_blocking(Input::Opened(Machine { info, disks: found }));
    }

    fn open_one(&mut self, cluster: ClusterId, plan: &DiskPlan, known: &[DiskRecord]) -> DiskFound {
        let root = plan.root.to_string_lossy().into_owned();
        let expected = known.iter().find(|it| it.root == root && it.kind == plan.kind);
        let label = |disk_uuid| DiskLabel { disk_uuid, cluster_uuid: cluster.0 };
        let fresh = *self.fresh.entry(plan.root.clone()).or_insert_with(uuid::Uuid::new_v4);
        let config = DiskConfig { kind: kind_on_disk(plan.kind), root: plan.root.clone() };
        let opened = holdfast_volumes::open_disk(
            &config,
            expected.map(|it| label(it.id.0)).as_ref(),
            &label(fresh),
        );
        let found = match opened {
            Ok(open) => {
                self.fresh.remove(&plan.root); // It is on the disk now; another disk there must not get it, too.
                match self.hold(&open) {
                    Ok(()) => self.opened(plan, root, open, expected),
                    Err(fault) => self.ill(plan, root, fault, expected, open.label().disk_uuid),
                }
            }
            Err(fault) => self.ill(plan, root, fault.to_string(), expected, fresh),
        };
        self.tell_fault(plan, found.fault.as_deref());
        found
    }

    /// Makes sure that no other agent of this machine uses the disk.
    fn hold(&mut self, open: &OpenDisk) -> Result<(), String> {
        let id = DiskId(open.label().disk_uuid);
        while !self.holds.contains_key(&id) {
            match holdfast_volumes::hold_disk(open) {
                Ok(hold) => {
                    self.holds.insert(id, hold);
                    sweep(open);
                }
                Err(HoldFault::Held { .. })
                    if self.patience.is_some_and(|it| Instant::now() < it) =>
                {
                    // tidy: sleep is the point: a name that another process is about to drop has no event
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(fault) => return Err(fault.to_string()),
            }
        }
        Ok(())
    }

    fn opened(
        &self,
        plan: &DiskPlan,
        root: String,
        open: OpenDisk,
        expected: Option<&DiskRecord>,
    ) -> DiskFound {
        let id = DiskId(open.label().disk_uuid);
        let measured = holdfast_volumes::capacity(&open).map(|it| it.total_mb);
        let size_mb = match (plan.size_mb, measured) {
            (Some(size), _) => Ok(size),
            (None, Ok(total)) if plan.kind == DiskKind::Root => {
                Ok(expected.map_or(root_size_mb(total), |it| it.size_mb))
            }
            (None, Ok(total)) => Ok(expected.map_or(total, |it| it.size_mb)),
            (None, Err(fault)) => Err(fault.to_string()),
        };
        let fault = size_mb.as_ref().err().cloned().or_else(|| strangers(&open, expected));
        if let Some(mend) = open.mend() {
            tracing::warn!("disk {root}: one copy of its label was damaged and has been mended from the other: {mend:?}");
        }
        self.places.lock().unwrap_or_else(PoisonError::into_inner).insert(id, open);
        let size_mb = size_mb.unwrap_or_else(|_| expected.map_or(0, |it| it.size_mb));
        DiskFound { disk: DiskRecord { id, kind: plan.kind, root, size_mb }, fault }
    }

    /// It keeps what it carries, and is offered to nobody until it is well again.
    fn ill(
        &self,
        plan: &DiskPlan,
        root: String,
        fault: String,
        expected: Option<&DiskRecord>,
        fresh: uuid::Uuid,
    ) -> DiskFound {
        let disk = match expected {
            Some(record) => record.clone(),
            None => DiskRecord { id: DiskId(fresh), kind: plan.kind, root, size_mb: 0 },
        };
        self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&disk.id);
        DiskFound { disk, fault: Some(fault) }
    }

    /// Disks are looked at again and again; only what has changed is told.
    fn tell_fault(&mut self, plan: &DiskPlan, fault: Option<&str>) {
        let before = match fault {
            Some(fault) => self.told.insert(plan.root.clone(), fault.to_owned()),
            None => self.told.remove(&plan.root),
        };
        match fault {
            Some(fault) if before.as_deref() != Some(fault) => {
                tracing::error!("disk {} cannot be used: {fault}", plan.root.display())
            }
            None if before.is_some() => {
                tracing::info!("disk {} is well again", plan.root.display())
            }
            _ => {}
        }
    }
}

/// Clears away what a crash left half made. Nobody else makes volumes there: the disk is ours, and this is the thread that makes them.
fn sweep(open: &OpenDisk) {
    match holdfast_volumes::sweep_unmade(open) {
        Ok(0) => {}
        Ok(swept) => tracing::info!(
            "{swept} half-made volumes of {} were cleared away",
            open.config().root.display()
        ),
        Err(fault) => tracing::warn!("half-made volumes stay: {fault}"),
    }
}

/// A disk that our ledger does not know and that carries volumes is another's: its space must not be promised twice.
fn strangers(open: &OpenDisk, expected: Option<&DiskRecord>) -> Option<String> {
    if expected.is_some() || open.opened() != Opened::Found {
        return None;
    }
    match holdfast_volumes::list_volumes(open) {
        Ok(found) if found.volumes.is_empty() && found.damaged.is_empty() => None,
        Ok(found) => Some(format!(
            "it carries {} volumes that this agent's ledger does not know; start the agent that they belong to, or import its ledger",
            found.volumes.len() + found.damaged.len()
        )),
        Err(fault) => Some(fault.to_string()),
    }
}

/// The kind as `volumes` names it.
pub(crate) fn kind_on_disk(kind: DiskKind) -> holdfast_volumes::DiskKind {
    match kind {
        DiskKind::Root => holdfast_volumes::DiskKind::Root,
        DiskKind::Path => holdfast_volumes::DiskKind::Path,
        DiskKind::Mount => holdfast_volumes::DiskKind::Mount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::Path;
    use tokio::sync::mpsc;

    /// The drivers of an agent with one PATH disk beside ROOT, and what they say.
    struct Bed {
        worker: Worker,
        said: mpsc::Receiver<Input>,
    }

    impl Bed {
        fn new(dir: &Path, disk: &Path) -> Bed {
            std::fs::create_dir_all(dir).unwrap();
            std::fs::create_dir_all(disk).unwrap();
            let disk = format!("path={},size-mb=100", disk.display());
            let (disk, dir) = (vec![disk], dir.to_owned());
            let settings =
                crate::settings::agent::AgentSettings { disk, dir: dir.clone(), ..settings() };
            let plan =
                MachinePlan::read(&settings, &dir, SocketAddr::from((Ipv4Addr::LOCALHOST, 5051)))
                    .unwrap();
            let (inbox, said) = Inbox::new();
            let mut worker = Worker::new(plan, Places::default(), inbox);
            worker.patience = Some(Instant::now());
            Bed { worker, said }
        }

        fn open(&mut self, known: &[DiskRecord]) -> Machine {
            self.worker.open(ClusterId(uuid::Uuid::from_u128(1)), known);
            match self.said.try_recv() {
                Ok(Input::Opened(machine)) => machine,
                _ => panic!("it is not told what was found"),
            }
        }
    }

    fn settings() -> crate::settings::agent::AgentSettings {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            agent: crate::settings::agent::AgentSettings,
        }
        <Line as clap::Parser>::parse_from(["agent", "--resources", "cpus:1;mem:64;disk:10"]).agent
    }

    fn records(machine: &Machine) -> Vec<DiskRecord> {
        machine.disks.iter().map(|it| it.disk.clone()).collect()
    }

    #[test]
    fn a_disk_that_goes_and_comes_back_is_noticed_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, away) = (dir.path().join("disk"), dir.path().join("away"));
        let mut bed = Bed::new(&dir.path().join("agent"), &disk);
        let first = bed.open(&[]);
        assert!(first.disks.iter().all(|it| it.fault.is_none()), "{first:?}");
        let (known, id) = (records(&first), first.disks[1].disk.id);
        assert_eq!(bed.open(&known), first, "nothing has changed");
        std::fs::rename(&disk, &away).unwrap();
        std::fs::create_dir(&disk).unwrap();
        let gone = bed.open(&known);
        assert!(
            gone.disks[1].fault.as_ref().is_some_and(|it| it.contains("bears none")),
            "{gone:?}"
        );
        assert_eq!(
            (&gone.disks[1].disk, &gone.info),
            (&first.disks[1].disk, &first.info),
            "its claims keep their ground"
        );
        assert!(place_of(&bed.worker.places, id).is_err());
        assert_eq!(std::fs::read_dir(&disk).unwrap().count(), 0, "nothing is made in its place");
        std::fs::remove_dir(&disk).unwrap();
        std::fs::rename(&away, &disk).unwrap();
        assert_eq!(bed.open(&known), first);
        place_of(&bed.worker.places, id).unwrap();
    }

    #[test]
    fn a_disk_that_another_agent_uses_is_refused_with_its_name_until_that_one_ends() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        let mut one = Bed::new(&dir.path().join("one"), &disk);
        let mut other = Bed::new(&dir.path().join("other"), &disk);
        assert_eq!(one.open(&[]).disks[1].fault, None);
        let refused = other.open(&[]);
        let fault = refused.disks[1].fault.clone().unwrap();
        assert!(
            fault.contains(&format!(
                "in use by another agent on this machine, process {}",
                std::process::id()
            )),
            "{fault}"
        );
        assert_eq!(
            (refused.disks[0].fault.as_ref(), refused.disks[1].disk.size_mb),
            (None, 0),
            "the others are used"
        );
        assert_eq!(other.open(&[]), refused, "it is not another disk each time");
        drop(one);
        assert_eq!(other.open(&[]).disks[1].fault, None);
    }
}
