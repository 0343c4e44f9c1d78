//! The helper process of one disk, the hidden verb `disk-worker`: it alone touches the disk's file system, so that a disk that hangs holds up this
//! process and nobody else.
//!
//! Relies on `volumes` for the work, on its agent for requests (one line each on standard input) and for taking the answers (one line each
//! on standard output). It ends when its input does, that is with its agent. It has one thread: killed while the kernel does not let it go,
//! it does not do another step once the kernel does. It inherits nothing of its agent but the three standard streams, so that it cannot
//! keep the agent's port or ledger when it outlives it; and it holds a name of its own in the kernel, so that no second worker touches a disk
//! before the first one is gone. Never decides what is done, and never works on a disk that it has not just identified.

pub mod protocol;
mod trash;

use std::ffi::OsStr;
use std::io::{BufRead, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holdfast_volumes::{
    place_of, Adopted, DiskConfig, DiskFault, DiskHold, DiskLabel, HeldBy, HoldFault, OpenDisk,
    Opened, Place, VolumeFault, VolumeLabel, VolumesMeter,
};
use uuid::Uuid;

use self::protocol::{Answer, Found, Kind, Request, Trashed};

/// Pause between two looks at a name that another process holds.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Works until standard input ends; returns the exit code. It must be the first thing in its process, before anything is opened.
pub fn main() -> i32 {
    // Also what the agent itself has inherited from whoever started it.
    holdfast_containers::close_inherited();
    match serve(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("the helper of a disk cannot go on: {error}");
            1
        }
    }
}

/// Answers requests until there are no more.
///
/// # Errors
/// When a request cannot be understood, or an answer cannot be given: the agent is gone, or is no agent.
pub fn serve(mut requests: impl BufRead, mut answers: impl Write) -> std::io::Result<()> {
    let mut worker = DiskWorker::default();
    while let Some(request) = protocol::read(&mut requests)? {
        protocol::write(&mut answers, &worker.answer(request))?;
    }
    Ok(())
}

/// What a worker knows of its disk.
#[derive(Default)]
struct DiskWorker {
    open: Option<OpenDisk>,
    /// The name that keeps other workers off the disk that is open.
    hold: Option<(Uuid, DiskHold)>,
    /// A measurement of its volumes that is under way.
    meter: Option<VolumesMeter>,
}

/// What a disk must be, and by which other names it may be known.
#[derive(Default)]
struct Wanted {
    expected: Option<DiskLabel>,
    /// The path under which the agent knows it.
    known_as: Option<Vec<u8>>,
    /// The agent's other disks.
    others: Vec<Uuid>,
}

impl Wanted {
    /// A disk that its path does not name is the one that is known to be at the same place, whatever that is called.
    fn by_place(root: &Path, fresh: &DiskLabel, others: Vec<(Uuid, Vec<u8>)>) -> Wanted {
        let here = (!others.is_empty()).then(|| place_of(root).ok()).flatten();
        let is_here = |(_, other): &&(Uuid, Vec<u8>)| {
            let other = place_of(Path::new(OsStr::from_bytes(other))).ok();
            here.as_ref().zip(other).is_some_and(|(here, other)| here.is_same(&other))
        };
        let same = others.iter().find(is_here).cloned();
        let label = |disk_uuid| DiskLabel { disk_uuid, cluster_uuid: fresh.cluster_uuid };
        Wanted {
            expected: same.as_ref().map(|(uuid, _)| label(*uuid)),
            known_as: same.map(|(_, root)| root),
            others: others.into_iter().map(|(uuid, _)| uuid).collect(),
        }
    }
}

impl DiskWorker {
    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Open { kind, root, expected, fresh, others, prove, patience_ms } => {
                let root = PathBuf::from(OsStr::from_bytes(&root));
                let patience = Duration::from_millis(patience_ms);
                let config = DiskConfig { kind: kind.into(), root };
                let wanted = match expected {
                    Some(label) => Wanted { expected: Some(label), ..Wanted::default() },
                    None => Wanted::by_place(&config.root, &fresh, others),
                };
                self.open(&config, wanted.expected.as_ref(), &fresh, patience)
                    .and_then(|(open, place)| found(open, place, wanted, prove))
                    .map_or_else(|refused| refused, |it| Answer::Opened(Box::new(it)))
            }
            Request::Peek { kind, root } => {
                let root = PathBuf::from(OsStr::from_bytes(&root));
                let peeked = holdfast_volumes::peek_disk(&DiskConfig { kind: kind.into(), root });
                Answer::Peeked(
                    peeked.map(|it| it.map(|it| (it.label, it.carries_volumes))).map_err(words),
                )
            }
            Request::Measure { slice_ms } => {
                Answer::Measured(self.measure(Duration::from_millis(slice_ms)))
            }
            Request::Sweep => Answer::Swept(
                self.disk().and_then(|it| holdfast_volumes::sweep_unmade(it).map_err(words)),
            ),
            Request::Make(labels) => Answer::Made(self.make(&labels)),
            Request::Check(label) => Answer::Checked(self.check(&label)),
            Request::Give { label, uid, gid } => Answer::Given(self.disk().and_then(|it| {
                holdfast_volumes::give_volume_to(it, &label, uid, gid).map_err(words)
            })),
            Request::Adopt { label, directory, generation, own_mb } => {
                let adopted = Adopted { generation, own_mb };
                Answer::Adopted(self.adopt(&label, directory.as_deref(), adopted))
            }
            Request::Trash { volumes, now_ms } => Answer::Trashed(self.trash(&volumes, now_ms)),
            Request::Survey => Answer::Surveyed(self.disk().and_then(trash::survey)),
            Request::Room => Answer::Room(self.disk().and_then(trash::room)),
            Request::Restore { label, destroyed_ms } => Answer::Restored(
                self.disk().and_then(|it| trash::restore(it, &label, destroyed_ms)),
            ),
            Request::Purge { volume, destroyed_ms, begun, slice_ms } => Answer::Purged(
                self.disk()
                    .and_then(|it| trash::purge(it, (volume, destroyed_ms), begun, slice_ms)),
            ),
        }
    }

    /// Identifies the disk, and takes it for this worker.
    fn open(
        &mut self,
        config: &DiskConfig,
        expected: Option<&DiskLabel>,
        fresh: &DiskLabel,
        patience: Duration,
    ) -> Result<(&OpenDisk, Place), Answer> {
        self.open = None;
        let opened = holdfast_volumes::open_disk(config, expected, fresh);
        let opened = match opened {
            Ok(opened) => opened,
            Err(fault) => {
                self.hold = None; // It may turn up at another place, and have another worker there.
                return Err(Answer::NotOpened(fault.to_string()));
            }
        };
        let place = place_of(&config.root).map_err(|error| {
            let root = config.root.display();
            Answer::NotOpened(format!("disk {root}: cannot look at it: {error}"))
        })?;
        let disk_uuid = opened.label().disk_uuid;
        if self.hold.as_ref().is_none_or(|(held, _)| *held != disk_uuid) {
            self.hold = None;
            let hold = take(&config.root, disk_uuid, patience);
            let in_use = |why: HoldFault| Answer::InUse {
                disk_uuid,
                why: why.to_string(),
                place: place.clone(),
            };
            self.hold = Some((disk_uuid, hold.map_err(in_use)?));
            self.meter = None;
        }
        self.hold.iter().for_each(|(_, hold)| hold.forget_callers());
        Ok((self.open.insert(opened), place))
    }

    /// Measures for as long as a slice; what all volumes use when that is known.
    fn measure(&mut self, slice: Duration) -> Result<Option<Vec<(Uuid, u64)>>, String> {
        let until = Instant::now() + slice;
        let disk = self.open.as_ref().ok_or("the disk is not open")?;
        let mut meter = match self.meter.take() {
            Some(meter) => meter,
            None => VolumesMeter::begin(disk).map_err(words)?,
        };
        if meter.go_on(disk, &mut || Instant::now() < until).map_err(words)? {
            return Ok(Some(meter.found()));
        }
        self.meter = Some(meter);
        Ok(None)
    }

    fn disk(&self) -> Result<&OpenDisk, String> {
        self.open.as_ref().ok_or_else(|| "the disk is not open".to_owned())
    }

    fn make(&self, labels: &[VolumeLabel]) -> Vec<Result<(), String>> {
        match self.disk() {
            Ok(disk) => holdfast_volumes::make_volumes(disk, labels)
                .into_iter()
                .map(|it| it.map(drop).map_err(words))
                .collect(),
            Err(why) => labels.iter().map(|_| Err(why.clone())).collect(),
        }
    }

    fn adopt(
        &self,
        label: &VolumeLabel,
        directory: Option<&str>,
        adopted: Adopted,
    ) -> Result<(), String> {
        let disk = self.disk()?;
        let data = match directory {
            Some(from) => {
                holdfast_volumes::adopt_directory(disk, label, Path::new(from), adopted.own_mb)
            }
            None => holdfast_volumes::adopt_volume(disk, label, adopted),
        };
        data.map(drop).map_err(words)
    }

    /// The data of a volume, as a path below the disk's root.
    fn check(&self, label: &VolumeLabel) -> Result<String, String> {
        let disk = self.disk()?;
        let data = holdfast_volumes::check_volume(disk, label).map_err(words)?;
        let below = data.strip_prefix(&disk.config().root).ok().and_then(Path::to_str);
        Ok(below.expect("a volume lies below its disk's root, under plain names").to_owned())
    }

    fn trash(&self, volumes: &[Uuid], now_ms: u64) -> Vec<Result<Trashed, String>> {
        let moved = |disk: &OpenDisk, outcome| match outcome {
            Ok(entry) => Ok(Trashed::Moved(trash::item(disk, &entry))),
            Err(VolumeFault::Missing { .. }) => Ok(Trashed::Missing),
            Err(fault) => Err(words(fault)),
        };
        match self.disk() {
            Ok(disk) => holdfast_volumes::trash_volumes(disk, volumes, now_ms)
                .into_iter()
                .map(|it| moved(disk, it))
                .collect(),
            Err(why) => volumes.iter().map(|_| Err(why.clone())).collect(),
        }
    }
}

fn words(fault: impl std::error::Error) -> String {
    fault.to_string()
}

/// Takes the name of a disk's worker. A predecessor that is just ending is waited for.
fn take(root: &Path, disk_uuid: Uuid, patience: Duration) -> Result<DiskHold, HoldFault> {
    let until = Instant::now() + patience;
    loop {
        match holdfast_volumes::hold_disk_for(root, disk_uuid, HeldBy::Worker) {
            Err(HoldFault::AtWork { .. }) if Instant::now() < until => {
                // tidy: sleep is the point: a name that another process is about to drop has no event
                std::thread::sleep(LOOK_AGAIN);
            }
            other => return other,
        }
    }
}

/// What the agent must know of a disk that was opened.
fn found(open: &OpenDisk, place: Place, wanted: Wanted, prove: bool) -> Result<Found, Answer> {
    if prove {
        holdfast_volumes::prove_writable(open)
            .map_err(|fault: DiskFault| Answer::NotOpened(fault.to_string()))?;
    }
    let label = open.label().clone();
    let is_known = wanted.expected.is_some() || wanted.others.contains(&label.disk_uuid);
    Ok(Found {
        label,
        repair: open.repair().map(|it| format!("{it:?}")),
        room: trash::room(open),
        place,
        known_as: wanted.known_as,
        strangers: strangers(open, is_known),
    })
}

/// A disk that the agent's ledger does not know and that carries volumes is another's: its space must not be promised twice.
fn strangers(open: &OpenDisk, known: bool) -> Option<String> {
    if known || open.opened() != Opened::Found {
        return None;
    }
    match holdfast_volumes::list_volumes(open) {
        Ok(found) if found.volumes.is_empty() && found.damaged.is_empty() => None,
        Ok(found) => Some(format!(
            "it carries {} volumes that this agent's ledger does not know; start the agent that they belong to, import its ledger, or, if that is lost, `holdfast agent recover`",
            found.volumes.len() + found.damaged.len()
        )),
        Err(fault) => Some(fault.to_string()),
    }
}

impl From<Kind> for holdfast_volumes::DiskKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Root => holdfast_volumes::DiskKind::Root,
            Kind::Path => holdfast_volumes::DiskKind::Path,
            Kind::Mount => holdfast_volumes::DiskKind::Mount,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(number: u128) -> DiskLabel {
        DiskLabel { disk_uuid: Uuid::from_u128(number), cluster_uuid: Uuid::from_u128(1) }
    }

    fn open(root: &Path, fresh: DiskLabel) -> Request {
        let root = root.as_os_str().as_bytes().to_vec();
        let (others, prove) = (Vec::new(), true);
        Request::Open {
            kind: Kind::Path,
            root,
            expected: None,
            fresh,
            others,
            prove,
            patience_ms: 0,
        }
    }

    fn volume(disk: &DiskLabel, number: u128) -> VolumeLabel {
        VolumeLabel {
            volume_uuid: Uuid::from_u128(number),
            persistence_id: format!("v{number}"),
            role: "db".to_owned(),
            principal: None,
            generation: 1,
            disk_uuid: disk.disk_uuid,
            cluster_uuid: disk.cluster_uuid,
            size_mb: 1,
            shared: false,
            image: false,
        }
    }

    #[test]
    fn requests_are_answered_in_order_until_there_are_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let disk = DiskLabel { disk_uuid: Uuid::new_v4(), ..label(0) };
        let (one, two) = (volume(&disk, 1), volume(&disk, 2));
        let mut asked = Vec::new();
        let volumes = vec![one.volume_uuid, one.volume_uuid, Uuid::from_u128(9)];
        for request in [
            Request::Check(one.clone()),
            open(dir.path(), disk.clone()),
            Request::Sweep,
            Request::Make(vec![one.clone(), two.clone()]),
            Request::Check(two.clone()),
            Request::Trash { volumes, now_ms: 5 },
            Request::Check(one),
        ] {
            protocol::write(&mut asked, &request).unwrap();
        }
        let mut answers = Vec::new();
        serve(asked.as_slice(), &mut answers).unwrap();
        let mut answers = answers.as_slice();
        let mut next = || protocol::read::<Answer>(&mut answers).unwrap();
        assert!(matches!(next(), Some(Answer::Checked(Err(why))) if why.contains("not open")));
        let Some(Answer::Opened(found)) = next() else { panic!("it is not opened") };
        assert_eq!((&found.label, &found.strangers), (&disk, &None));
        assert!(found.room.is_ok_and(|it| 0 < it.total_mb));
        assert_eq!(next(), Some(Answer::Swept(Ok(0))));
        assert_eq!(next(), Some(Answer::Made(vec![Ok(()), Ok(())])));
        let below = format!("holdfast/volumes/{}/data", two.volume_uuid);
        assert_eq!(next(), Some(Answer::Checked(Ok(below))));
        let Some(Answer::Trashed(trashed)) = next() else { panic!("it is not answered") };
        let [Ok(Trashed::Moved(item)), Ok(Trashed::Moved(again)), Ok(Trashed::Missing)] =
            trashed.as_slice()
        else {
            panic!("{trashed:?}")
        };
        assert_eq!((item, item.destroyed_ms, item.ours), (again, 5, true));
        assert!(matches!(next(), Some(Answer::Checked(Err(why))) if why.contains("missing")));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_second_worker_keeps_off_a_disk_until_the_first_is_gone_and_says_who_that_is() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = DiskLabel { disk_uuid: Uuid::new_v4(), ..label(0) };
        let (mut first, mut second) = (DiskWorker::default(), DiskWorker::default());
        assert!(matches!(first.answer(open(dir.path(), fresh.clone())), Answer::Opened(_)));
        let Answer::InUse { disk_uuid, why, .. } = second.answer(open(dir.path(), label(2))) else {
            panic!("two work on one disk")
        };
        let own = format!("process {}", std::process::id());
        assert!(disk_uuid == fresh.disk_uuid && why.contains(&own), "{why}");
        assert_eq!(
            second.answer(Request::Sweep),
            Answer::Swept(Err("the disk is not open".to_owned()))
        );
        drop(first);
        assert!(matches!(second.answer(open(dir.path(), label(2))), Answer::Opened(_)));
    }

    #[test]
    fn a_disk_that_carries_volumes_of_another_ledger_is_called_a_strangers() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = DiskLabel { disk_uuid: Uuid::new_v4(), ..label(0) };
        let mut worker = DiskWorker::default();
        worker.answer(open(dir.path(), fresh.clone()));
        worker.answer(Request::Make(vec![volume(&fresh, 1)]));
        let Answer::Opened(found) = worker.answer(open(dir.path(), label(3))) else {
            panic!("it is not opened")
        };
        assert!(found.strangers.is_some_and(|it| it.contains("carries 1 volumes")));
    }

    #[test]
    fn what_is_no_request_ends_it_with_an_error() {
        let mut answers = Vec::new();
        let error = serve("hello\n".as_bytes(), &mut answers).unwrap_err();
        assert!(error.to_string().contains("hello") && answers.is_empty(), "{error}");
    }
}
