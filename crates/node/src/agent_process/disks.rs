//! Drivers of disks: each disk has a queue of its own and a helper process that does the work on it, so that a disk that hangs stops nobody
//! else (`lane`, `worker`); what is known of all of them goes to the core (`board`).
//!
//! Disks may be looked at again at any time: one that came back is open from then on, one that went is not any more. Never uses a disk
//! that another agent of this machine holds, and never touches a disk's file system from this process: a thread that hangs in the kernel
//! would keep the agent's port and its ledger even after the agent was killed.

mod board;
mod device;
mod lane;
pub mod peek;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_agent::{Adopted, Input, VolumeLabel};
use holdfast_model::{AddedDisk, ClaimId, ClusterId, DiskId, DiskKind, DiskRecord};

use self::board::{Board, News};
use self::device::Device;
use self::lane::{Job, Lane, Shared};
use self::worker::Starter;
use super::machine::{DiskPlan, MachinePlan};
use crate::core_loop::{or_die_loudly, Inbox};
use crate::settings::agent::DiskHelpers;

/// How long the first opening waits for a predecessor that is just ending and still holds a disk.
const HOLD_PATIENCE: Duration = Duration::from_secs(1);

/// The queues of the agent's disks, and which of them is that of a label.
#[derive(Default)]
struct RouteTable {
    /// By their numbers; those of disks that were taken away are gone.
    queues: BTreeMap<usize, Sender<Job>>,
    disks: BTreeMap<DiskId, usize>,
}

impl RouteTable {
    fn queue(&self, disk: DiskId) -> Option<&Sender<Job>> {
        self.queues.get(self.disks.get(&disk)?)
    }

    /// The labels that a queue serves.
    fn disks_of(&self, index: usize) -> impl Iterator<Item = DiskId> + '_ {
        self.disks.iter().filter(move |(_, at)| **at == index).map(|(disk, _)| *disk)
    }
}

type Routes = Arc<Mutex<RouteTable>>;

/// What is done before a disk is touched that was added: its place is hidden from the tasks that run.
pub type BeforeUse = Arc<dyn Fn(&DiskPlan) + Send + Sync>;

/// Starts queues of disks. A queue ends with its last sender.
#[derive(Clone)]
struct LaneStarter {
    shared: Shared,
    before_use: BeforeUse,
}

impl LaneStarter {
    fn start(&self, index: usize, plan: &DiskPlan, is_added: bool) -> std::io::Result<Sender<Job>> {
        let (queue, work): (_, Receiver<Job>) = channel();
        let lane = Lane::new(index, plan.clone(), self.shared.clone());
        let (before_use, plan) = (self.before_use.clone(), plan.clone());
        spawn("disk", move || {
            if is_added {
                before_use(&plan);
            }
            lane.run(&work);
        })?;
        Ok(queue)
    }
}

/// The way to the disks. Cheap to clone.
#[derive(Clone)]
pub struct Disks {
    board: Arc<BoardEnd>,
    routes: Routes,
}

/// The way to the board; with the last one, the board and the queues end.
struct BoardEnd(Sender<News>);

impl Drop for BoardEnd {
    fn drop(&mut self) {
        // It can only have ended before.
        let _ = self.0.send(News::End);
    }
}

impl Disks {
    /// Starts the queues of a plan's disks, whose helpers may take so long for an answer, and whose trash is kept so long. `before_use` is
    /// called for each disk that is added to them.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn start(
        plan: MachinePlan,
        (timeout, trash_retention): (Duration, Duration),
        helpers: DiskHelpers,
        before_use: BeforeUse,
        inbox: Inbox<Input>,
    ) -> std::io::Result<Disks> {
        let starter: Starter = match helpers {
            DiskHelpers::Processes => Arc::new(worker::start_process),
            DiskHelpers::Threads => Arc::new(worker::start_thread),
        };
        let shared = Shared {
            starter,
            timeout,
            trash_retention,
            devices: Device::numbered,
            hold_patience: HOLD_PATIENCE,
            inbox,
            board: channel().0,
            routes: Routes::default(),
            holds: Arc::default(),
        };
        Disks::start_with(plan, shared, before_use)
    }

    fn start_with(
        plan: MachinePlan,
        shared: Shared,
        before_use: BeforeUse,
    ) -> std::io::Result<Disks> {
        let (board, news) = channel();
        let shared = Shared { board: board.clone(), ..shared };
        let (routes, inbox) = (shared.routes.clone(), shared.inbox.clone());
        let lanes = LaneStarter { shared, before_use };
        let all = Board::new(plan, lanes, routes.clone(), inbox)?;
        spawn("disks", move || all.run(&news))?;
        Ok(Disks { board: Arc::new(BoardEnd(board)), routes })
    }

    /// Looks at all disks, those of the settings and those that were added or may be.
    pub fn open(&self, cluster: ClusterId, known: Vec<DiskRecord>, added: Vec<AddedDisk>) {
        // The board lives as long as this.
        let _ = self.board.0.send(News::Open(cluster, known, added));
    }

    /// Looks at the disks of the settings, and labels none.
    pub fn survey(&self, cluster: ClusterId) {
        // The board lives as long as this.
        let _ = self.board.0.send(News::Survey(cluster));
    }

    /// Makes a volume, or finds it whole.
    pub fn make(&self, label: VolumeLabel) {
        self.send(label.disk, Job::Make(label));
    }

    /// Sees whether a volume can be used.
    pub fn check(&self, label: VolumeLabel) {
        self.send(label.disk, Job::Check(label));
    }

    /// Moves a volume to the trash.
    pub fn trash(&self, label: VolumeLabel) {
        self.send(label.disk, Job::Trash(label));
    }

    /// Moves a volume back from the trash.
    pub fn restore(&self, label: VolumeLabel) {
        self.send(label.disk, Job::Restore(label));
    }

    /// Makes a volume that no claim stands for that of a claim again.
    pub fn adopt(&self, label: VolumeLabel, adopted: Adopted) {
        self.send(label.disk, Job::Adopt(label, adopted));
    }

    /// A volume has another size now.
    pub fn resize(&self, label: VolumeLabel) {
        self.send(label.disk, Job::Resize(label));
    }

    /// Removes a destroyed volume from the trash of a disk.
    pub fn purge(&self, disk: DiskId, claim: ClaimId) {
        self.send(disk, Job::Purge(disk, claim));
    }

    /// The path of a volume's data, if it can be used now. Waits for the volume's disk, but for no other, and not for ever.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn find(&self, label: &VolumeLabel) -> Result<PathBuf, String> {
        let (reply, answer) = channel();
        self.send(label.disk, Job::Find(label.clone(), reply));
        answer.recv().unwrap_or_else(|_| Err(not_there(label.disk)))
    }

    /// Gives a volume's top directory to a user, by number, and group. Waits as [`Disks::find`] does.
    ///
    /// # Errors
    /// Why it cannot be given.
    pub fn give(&self, label: &VolumeLabel, owner: (u32, u32)) -> Result<(), String> {
        let (reply, answer) = channel();
        self.send(label.disk, Job::Give(label.clone(), owner, reply));
        answer.recv().unwrap_or_else(|_| Err(not_there(label.disk)))
    }

    fn send(&self, disk: DiskId, job: Job) {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let unsent = match routes.queue(disk) {
            Some(queue) => queue.send(job).err().map(|it| it.0),
            None => Some(job),
        };
        drop(routes);
        if let Some(job) = unsent {
            // Not from here: whoever asks must not wait.
            let _ = self.board.0.send(News::Stray(job, disk));
        }
    }
}

fn spawn(name: &'static str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || or_die_loudly(name, work)).map(drop)
}

fn not_there(disk: DiskId) -> String {
    format!("disk {disk} is not there; mount it, or see `holdfast disk list`")
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
        shared: label.shared,
        image: false, // What a volume is made as is no part of its claim.
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

    use holdfast_agent::Machine;
    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::worker::testbed::{threads, Freezer};

    const CLUSTER: ClusterId = ClusterId(Uuid::from_u128(1));
    /// Nothing in these tests takes so long, unless it hangs.
    const LONG: Duration = Duration::from_secs(60);

    /// The drivers of an agent with PATH disks beside ROOT, and what they say.
    struct Bed {
        disks: Disks,
        said: mpsc::Receiver<Input>,
        /// How the disks were found last.
        last: Option<Machine>,
    }

    impl Bed {
        fn new(dir: &Path, disk: &Path) -> Bed {
            Bed::with(dir, &[disk], LONG, threads(Freezer::default()))
        }

        fn with(dir: &Path, roots: &[&Path], timeout: Duration, starter: Starter) -> Bed {
            std::fs::create_dir_all(dir).unwrap();
            roots.iter().for_each(|it| std::fs::create_dir_all(it).unwrap());
            let disk = roots.iter().map(|it| format!("path={},size-mb=100", it.display()));
            let dir = dir.to_owned();
            let settings = crate::settings::agent::AgentSettings {
                disk: disk.collect(),
                dir: dir.clone(),
                ..settings()
            };
            let plan =
                MachinePlan::read(&settings, &dir, SocketAddr::from((Ipv4Addr::LOCALHOST, 5051)))
                    .unwrap();
            let (inbox, said) = Inbox::new();
            // The machine's own is written to by others.
            let unknown = |_| Device::default();
            let shared = Shared {
                starter,
                timeout,
                trash_retention: LONG,
                devices: unknown,
                hold_patience: Duration::ZERO,
                inbox,
                board: channel().0,
                routes: Routes::default(),
                holds: Arc::default(),
            };
            let disks = Disks::start_with(plan, shared, Arc::new(|_| {})).unwrap();
            Bed { disks, said, last: None }
        }

        fn told(&mut self) -> Input {
            loop {
                match self.said.blocking_recv().expect("the drivers live") {
                    Input::TrashFound(..) | Input::TrashPurged(_) => {}
                    // As a core does that has no reason to keep it.
                    Input::TrashDue(disk, claim, _) => self.disks.purge(disk, claim),
                    other => return other,
                }
            }
        }

        /// What is said next, but for news of the space on the disks.
        fn next(&mut self) -> Input {
            loop {
                match self.told() {
                    Input::Opened(machine) if self.last == Some(without_space(&machine)) => {}
                    other => return other,
                }
            }
        }

        fn opened(&mut self) -> Machine {
            match self.told() {
                Input::Opened(machine) => self.last.insert(without_space(&machine)).clone(),
                other => panic!("it is not told what was found, but {other:?}"),
            }
        }

        /// As [`Bed::opened`], when something else was found than before.
        fn opened_anew(&mut self) -> Machine {
            let before = self.last.clone();
            loop {
                let machine = self.opened();
                if Some(&machine) != before.as_ref() {
                    return machine;
                }
            }
        }

        /// Waits until the volumes of all disks were measured.
        fn measured(&mut self) {
            let is_measured = |it: &holdfast_agent::DiskFound| {
                it.space.as_ref().is_some_and(|space| space.used.is_some())
            };
            loop {
                if matches!(self.told(), Input::Opened(it) if it.disks.iter().all(is_measured)) {
                    return;
                }
            }
        }

        /// As [`Bed::open`], when something else is found than before.
        fn open_anew(&mut self, known: &[DiskRecord]) -> Machine {
            self.disks.open(CLUSTER, known.to_vec(), Vec::new());
            self.opened_anew()
        }

        /// As [`Bed::open_anew`], once another directory is in the place of the second disk: a look that came in between has found none.
        fn open_replaced(&mut self, known: &[DiskRecord]) -> Machine {
            let is_between = |it: &Machine| {
                it.disks[1].fault.as_ref().is_some_and(|it| it.contains("no such directory"))
            };
            loop {
                let found = self.open_anew(known);
                if !is_between(&found) {
                    return found;
                }
            }
        }

        fn open(&mut self, known: &[DiskRecord]) -> Machine {
            self.disks.open(CLUSTER, known.to_vec(), Vec::new());
            self.opened()
        }
    }

    /// The space on a disk is measured when there is time, and others write to the machine's own.
    fn without_space(machine: &Machine) -> Machine {
        let mut machine = machine.clone();
        machine.disks.iter_mut().for_each(|it| it.space = None);
        machine
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

    fn label(disk: DiskId, number: u128) -> VolumeLabel {
        VolumeLabel {
            claim: ClaimId(Uuid::from_u128(number)),
            disk,
            persistence: format!("v{number}"),
            role: "db".to_owned(),
            principal: None,
            generation: 1,
            size_mb: 1,
            shared: false,
        }
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
        let gone = bed.open_replaced(&known);
        assert!(
            gone.disks[1].fault.as_ref().is_some_and(|it| it.contains("bears none")),
            "{gone:?}"
        );
        assert_eq!(
            (&gone.disks[1].disk, &gone.info),
            (&first.disks[1].disk, &first.info),
            "its claims keep their ground"
        );
        let why = bed.disks.find(&label(id, 1)).unwrap_err();
        assert!(why.contains("bears none"), "{why}");
        assert_eq!(std::fs::read_dir(&disk).unwrap().count(), 0, "nothing is made in its place");
        std::fs::remove_dir(&disk).unwrap();
        std::fs::rename(&away, &disk).unwrap();
        assert_eq!(bed.open_replaced(&known), first);
        bed.disks.make(label(id, 1));
        assert_eq!(bed.next(), Input::VolumeMade(label(id, 1).claim, Ok(())));
        let data = bed.disks.find(&label(id, 1)).unwrap();
        assert!(data.starts_with(&disk) && data.is_dir(), "{data:?}");
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
        // Its threads let go of the disk in their own time.
        while other.open(&[]).disks[1].fault.is_some() {}
    }

    #[test]
    fn a_disk_that_nobody_named_is_answered_for_by_its_absence() {
        let dir = tempfile::tempdir().unwrap();
        let mut bed = Bed::new(&dir.path().join("agent"), &dir.path().join("disk"));
        bed.open(&[]);
        let stray = label(DiskId(Uuid::from_u128(77)), 1);
        assert!(bed.disks.find(&stray).unwrap_err().contains("is not there"));
        bed.disks.trash(stray);
        assert!(
            matches!(bed.next(), Input::VolumeTrashed(_, Err(why)) if why.contains("is not there"))
        );
    }

    /// An agent with two PATH disks, of which the first can be frozen.
    struct TwoDisks {
        bed: Bed,
        freezer: Freezer,
        ids: Vec<DiskId>,
        known: Vec<DiskRecord>,
        machine: Machine,
        _dir: tempfile::TempDir,
    }

    impl TwoDisks {
        fn new(timeout: Duration) -> TwoDisks {
            let dir = tempfile::tempdir().unwrap();
            let (ill, well) = (dir.path().join("ill"), dir.path().join("well"));
            let freezer = Freezer::default();
            let (frozen, sound) = (threads(freezer.clone()), threads(Freezer::default()));
            let is_ill = ill.clone();
            let starter: Starter =
                Arc::new(move |root| if root == is_ill { frozen(root) } else { sound(root) });
            let mut bed = Bed::with(&dir.path().join("agent"), &[&ill, &well], timeout, starter);
            let machine = bed.open(&[]);
            bed.measured();
            let known = records(&machine);
            let ids = known[1..].iter().map(|it| it.id).collect();
            TwoDisks { bed, freezer, ids, known, machine, _dir: dir }
        }
    }

    #[test]
    fn a_disk_that_hangs_has_a_fault_before_anything_fails_and_other_disks_go_on() {
        let mut two = TwoDisks::new(Duration::from_millis(100));
        let (ill, well) = (label(two.ids[0], 1), label(two.ids[1], 2));
        let freezer = two.freezer.clone();
        let frozen = freezer.freeze();
        two.bed.disks.make(ill.clone());
        two.bed.disks.make(well.clone());
        assert_eq!(two.bed.next(), Input::VolumeMade(well.claim, Ok(())), "it does not wait");
        let machine = two.bed.opened_anew();
        let fault = machine.disks[1].fault.clone().unwrap();
        let doing = format!("it has not answered for 0.1 s (making volume {})", ill.claim);
        assert!(fault.starts_with(&doing) && fault.contains("process 1234 "), "{fault}");
        assert_eq!((&machine.disks[2].fault, &machine.info), (&None, &two.machine.info));
        let Input::VolumeMade(_, Err(why)) = two.bed.next() else { panic!("nobody is told") };
        assert!(why.starts_with(&fault) && why.contains("is not known"), "{why}");
        // From now on nobody waits for it.
        two.bed.disks.trash(ill.clone());
        assert_eq!(two.bed.next(), Input::VolumeTrashed(ill.claim, Err(fault.clone())));
        assert_eq!(two.bed.disks.find(&ill), Err(fault.clone()));
        assert_eq!(two.bed.open(&two.known.clone()), machine);
        drop(frozen);
        // Nobody asks, and it is whole again.
        assert_eq!(two.bed.opened_anew(), two.machine);
        let why = two.bed.disks.find(&ill).expect_err("what was abandoned was not begun");
        assert_eq!(two.bed.next(), Input::VolumeChecked(ill.claim, Err(why)), "it is told at once");
        two.bed.disks.make(ill.clone());
        assert_eq!(two.bed.next(), Input::VolumeMade(ill.claim, Ok(())));
        two.bed.disks.find(&ill).unwrap();
    }

    #[test]
    fn a_disk_that_hangs_from_the_start_holds_up_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (ill, well) = (dir.path().join("ill"), dir.path().join("well"));
        let freezer = Freezer::default();
        let frozen = freezer.freeze();
        let (stuck, sound) = (threads(freezer.clone()), threads(Freezer::default()));
        let is_ill = ill.clone();
        let starter: Starter =
            Arc::new(move |root| if root == is_ill { stuck(root) } else { sound(root) });
        let mut bed = Bed::with(&dir.path().join("agent"), &[&ill, &well], LONG, starter);
        let machine = bed.open(&[]);
        let fault = machine.disks[1].fault.clone().unwrap();
        assert!(fault.contains("has not answered yet"), "{fault}");
        assert_eq!((&machine.disks[0].fault, &machine.disks[2].fault), (&None, &None));
        drop(frozen);
        let machine = bed.opened_anew();
        assert!(machine.disks.iter().all(|it| it.fault.is_none()), "{machine:?}");
    }

    #[test]
    fn a_helper_that_cannot_be_started_is_the_fault_of_its_disk() {
        let dir = tempfile::tempdir().unwrap();
        let starter: Starter = Arc::new(|_| Err(std::io::ErrorKind::OutOfMemory.into()));
        let mut bed = Bed::with(&dir.path().join("agent"), &[], LONG, starter);
        let fault = bed.open(&[]).disks[0].fault.clone().unwrap();
        assert!(fault.contains("cannot be started"), "{fault}");
    }

    #[test]
    fn volumes_that_are_asked_for_together_are_answered_each() {
        let mut two = TwoDisks::new(LONG);
        let labels: Vec<VolumeLabel> = (1..=20).map(|it| label(two.ids[1], it)).collect();
        labels.iter().for_each(|it| two.bed.disks.make(it.clone()));
        for label in &labels {
            assert_eq!(two.bed.next(), Input::VolumeMade(label.claim, Ok(())));
        }
        labels.iter().for_each(|it| two.bed.disks.trash(it.clone()));
        two.bed.disks.trash(label(two.ids[1], 99));
        for label in labels.iter().chain([&label(two.ids[1], 99)]) {
            assert_eq!(two.bed.next(), Input::VolumeTrashed(label.claim, Ok(())));
        }
        two.bed.disks.check(labels[0].clone());
        assert!(
            matches!(two.bed.next(), Input::VolumeChecked(_, Err(why)) if why.contains("missing"))
        );
    }

    /// A small file system of its own, until it is dropped.
    struct SmallDisk(PathBuf);

    impl SmallDisk {
        fn of_64_mb(root: PathBuf) -> Option<SmallDisk> {
            std::fs::create_dir_all(&root).unwrap();
            let mount = std::process::Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
                .arg(&root)
                .status();
            mount.is_ok_and(|it| it.success()).then_some(SmallDisk(root))
        }

        fn trash(&self) -> usize {
            std::fs::read_dir(self.0.join("holdfast/trash")).unwrap().count()
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
            assert!(unmounted.is_ok_and(|it| it.success()));
        }
    }

    #[test]
    fn a_destroyed_volume_stays_until_another_needs_its_room_which_is_there_when_that_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let Some(small) = SmallDisk::of_64_mb(dir.path().join("disk")) else {
            eprintln!("skipped: this needs the right to mount");
            return;
        };
        let mut bed = Bed::new(&dir.path().join("agent"), &small.0);
        let disk = bed.open(&[]).disks[1].disk.id;
        let sized = |number, size_mb| VolumeLabel { size_mb, ..label(disk, number) };
        let (first, tiny, next) = (sized(1, 50), sized(2, 1), sized(3, 50));
        bed.disks.make(first.clone());
        assert_eq!(bed.next(), Input::VolumeMade(first.claim, Ok(())));
        let data = bed.disks.find(&first).unwrap();
        std::fs::write(data.join("db"), vec![7; 45 << 20]).unwrap();
        bed.disks.trash(first.clone());
        assert_eq!(bed.next(), Input::VolumeTrashed(first.claim, Ok(())));
        bed.disks.make(tiny.clone());
        assert_eq!(bed.next(), Input::VolumeMade(tiny.claim, Ok(())));
        assert_eq!(small.trash(), 1, "there is room for both");
        bed.disks.make(next.clone());
        assert_eq!(bed.next(), Input::VolumeMade(next.claim, Ok(())));
        assert_eq!(small.trash(), 0);
        let data = bed.disks.find(&next).unwrap();
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "nothing of the old one is seen");
        std::fs::write(data.join("db"), vec![8; 45 << 20]).unwrap();
    }

    #[test]
    fn the_room_of_a_volume_that_has_grown_is_taken_out_of_the_trash() {
        let dir = tempfile::tempdir().unwrap();
        let Some(small) = SmallDisk::of_64_mb(dir.path().join("disk")) else {
            eprintln!("skipped: this needs the right to mount");
            return;
        };
        let mut bed = Bed::new(&dir.path().join("agent"), &small.0);
        let disk = bed.open(&[]).disks[1].disk.id;
        let sized = |number, size_mb| VolumeLabel { size_mb, ..label(disk, number) };
        let (first, second) = (sized(1, 40), sized(2, 5));
        for volume in [&first, &second] {
            bed.disks.make(volume.clone());
            assert_eq!(bed.next(), Input::VolumeMade(volume.claim, Ok(())));
        }
        std::fs::write(bed.disks.find(&first).unwrap().join("db"), vec![7; 35 << 20]).unwrap();
        let data = bed.disks.find(&second).unwrap();
        std::fs::write(data.join("db"), "precious").unwrap();
        bed.disks.trash(first.clone());
        assert_eq!(bed.next(), Input::VolumeTrashed(first.claim, Ok(())));
        assert_eq!(small.trash(), 1, "there is room for both");
        let grown = sized(2, 50);
        bed.disks.resize(grown.clone());
        // The space of the first is needed.
        loop {
            match bed.said.blocking_recv().expect("the drivers live") {
                Input::TrashDue(disk, claim, _) => bed.disks.purge(disk, claim),
                Input::TrashPurged(claim) => break assert_eq!(claim, first.claim),
                _ => {}
            }
        }
        assert_eq!(small.trash(), 0);
        assert_eq!(bed.disks.find(&grown).unwrap(), data, "it is the same volume");
        assert_eq!(std::fs::read_to_string(data.join("db")).unwrap(), "precious");
    }

    #[test]
    fn a_destroyed_volume_comes_back_whole_from_the_trash_and_only_from_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut bed = Bed::new(&dir.path().join("agent"), &dir.path().join("disk"));
        let disk = bed.open(&[]).disks[1].disk.id;
        let volume = label(disk, 1);
        bed.disks.restore(volume.clone());
        assert!(matches!(bed.next(), Input::VolumeMade(_, Err(why)) if why.contains("trash")));
        bed.disks.make(volume.clone());
        bed.next();
        let data = bed.disks.find(&volume).unwrap();
        std::fs::write(data.join("db"), "precious").unwrap();
        bed.disks.trash(volume.clone());
        bed.next();
        for _ in 0..2 {
            bed.disks.restore(volume.clone());
            assert_eq!(bed.next(), Input::VolumeMade(volume.claim, Ok(())));
        }
        let data = bed.disks.find(&volume).unwrap();
        assert_eq!(std::fs::read_to_string(data.join("db")).unwrap(), "precious");
    }

    #[test]
    fn a_removal_that_a_crash_cut_short_goes_on_and_holds_up_no_other_work() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("disk");
        let mut bed = Bed::new(&dir.path().join("agent"), &root);
        let machine = bed.open(&[]);
        let (known, disk) = (records(&machine), machine.disks[1].disk.id);
        let (big, other) = (label(disk, 1), label(disk, 2));
        bed.disks.make(big.clone());
        bed.next();
        let data = bed.disks.find(&big).unwrap();
        (0..20_000).for_each(|it| std::fs::write(data.join(it.to_string()), "").unwrap());
        bed.disks.trash(big.clone());
        assert_eq!(bed.next(), Input::VolumeTrashed(big.claim, Ok(())));
        drop(bed);
        let trash = root.join("holdfast/trash");
        let names = || -> Vec<String> {
            let entries = std::fs::read_dir(&trash).unwrap();
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
        };
        let name = names().remove(0);
        std::fs::rename(trash.join(&name), trash.join(format!("{name}.purging"))).unwrap();
        let mut bed = Bed::new(&dir.path().join("agent"), &root);
        // The threads of the first let go of the disk in their own time.
        while bed.open(&known).disks[1].fault.is_some() {}
        bed.disks.make(other.clone());
        assert_eq!(bed.next(), Input::VolumeMade(other.claim, Ok(())));
        while !names().is_empty() {
            bed.disks.find(&other).unwrap();
        }
    }
}
