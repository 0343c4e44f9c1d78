//! Garbage collection of sandboxes: those of ended containers go when they are old, earlier when the file system fills up, oldest first.
//!
//! Relies on being told which containers have a sandbox in use, and on `volumes` to remove a tree so that nothing of a volume, a disk or
//! another file system is reached from it. A sandbox leaves its place in one step before anything of it is removed. Never walks all
//! sandboxes but once, when the agent starts; never removes one whose container is not known to be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use holdfast_containers::Room;
use holdfast_model::ContainerId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::room::Reserve as _;

/// The part of the file system that is to stay free: with less, sandboxes of any age go (`gc_disk_headroom` of Mesos).
const HEADROOM: f64 = 0.1;
/// How long a sandbox stays at least while there is room.
const READABLE: Duration = Duration::from_secs(300);
/// How often it is looked whether one has become too old.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// Where sandboxes are that are being removed, beside those of agents.
const REMOVING: &str = "removing";

/// Sandboxes by use and age. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Collector {
    root: PathBuf,
    delay: Duration,
    /// Directories that nothing is removed below, whatever leads there.
    protected: Arc<Vec<PathBuf>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Containers that are not gone, and where their sandboxes are, as far as that is known.
    used: BTreeMap<ContainerId, Option<PathBuf>>,
    /// Sandboxes of those that are gone, by when something was last written there.
    ended: BTreeSet<(SystemTime, PathBuf)>,
}

impl Collector {
    /// A collector of the sandboxes below `root`.
    pub fn new(root: &Path, delay: Duration, protected: Vec<PathBuf>) -> Collector {
        let (root, protected) = (root.to_owned(), Arc::new(protected));
        Collector { root, delay, protected, state: Arc::default() }
    }

    /// These containers are not gone either.
    pub fn keep(&self, used: impl IntoIterator<Item = ContainerId>) {
        let mut state = self.state();
        for container in used {
            state.used.entry(container).or_default();
        }
    }

    /// Collects until told to stop: now and then, and whenever somebody asks for room.
    pub async fn run(self, dir: PathBuf, wanted: Arc<Notify>, stop: CancellationToken) {
        let mut has_found = false;
        loop {
            let (this, dir) = (self.clone(), dir.clone());
            let work = move || {
                if !has_found {
                    this.find();
                }
                this.collect(SystemTime::now(), || Room::at(&dir).ok())
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(0) | Err(_) => {}
                Ok(count) => tracing::info!("{count} sandboxes of ended containers were removed"),
            }
            has_found = true;
            tokio::select! {
                () = stop.cancelled() => return,
                () = wanted.notified() => {}
                // tidy: sleep is the point: sandboxes become old by themselves
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
        }
    }

    /// Finds what earlier lives of the agent have left.
    pub fn find(&self) {
        for runs in super::sandboxes::executors(&self.root).map(|it| it.join("runs")) {
            for sandbox in super::sandboxes::folders(&runs) {
                let name = sandbox.file_name().and_then(|it| it.to_str());
                // What is no container's is not ours to remove.
                let Some(container) = name.and_then(|it| ContainerId::parse(it).ok()) else {
                    continue;
                };
                let mut state = self.state();
                match state.used.get_mut(&container) {
                    Some(place) => *place = Some(sandbox),
                    None => drop(state.ended.insert((last_written(&sandbox), sandbox))),
                }
            }
        }
        let begun = super::sandboxes::folders(&self.root.join(REMOVING));
        self.state().ended.extend(begun.map(|it| (SystemTime::UNIX_EPOCH, it)));
    }

    /// A container's sandbox is made by `make`, unless that fails; nothing of its place is removed meanwhile.
    ///
    /// # Errors
    /// That of `make`.
    pub fn stage<E>(
        &self,
        container: ContainerId,
        make: impl FnOnce() -> Result<PathBuf, E>,
    ) -> Result<PathBuf, E> {
        let mut state = self.state();
        let made = make()?;
        state.used.insert(container, Some(made.clone()));
        Ok(made)
    }

    /// Nothing of a container is left but its sandbox.
    pub fn gone(&self, container: ContainerId) {
        let mut state = self.state();
        if let Some(Some(sandbox)) = state.used.remove(&container) {
            state.ended.insert((last_written(&sandbox), sandbox));
        }
    }

    /// Removes what is old enough, oldest first; `room` is asked before each. Returns how many went.
    pub fn collect(&self, now: SystemTime, room: impl Fn() -> Option<Room>) -> usize {
        let mut removed = 0;
        let mut kept = Vec::new();
        while let Some(sandbox) = self.take_oldest(now, room()) {
            match holdfast_volumes::remove_tree_guarded(&sandbox, &self.protected) {
                Ok(report) if report.complete() => removed += 1,
                Ok(report) => {
                    tracing::warn!(
                        "of the sandbox that is now {} is kept what is not its own, and it is tried again: {:?}",
                        sandbox.display(),
                        report.kept
                    );
                    kept.push(sandbox);
                }
                Err(error) => {
                    tracing::warn!(
                        "cannot remove the sandbox that is now {}, which is tried again: {error}",
                        sandbox.display()
                    );
                    kept.push(sandbox);
                }
            }
        }
        // Not in this round again.
        self.state().ended.extend(kept.into_iter().map(|it| (now, it)));
        removed
    }

    /// Moves the oldest sandbox out of its place, if it is older than it may be.
    fn take_oldest(&self, now: SystemTime, room: Option<Room>) -> Option<PathBuf> {
        let mut state = self.state();
        let age = |at: &SystemTime| now.duration_since(*at).unwrap_or_default();
        let oldest = state
            .ended
            .first()
            .filter(|(at, _)| oldest_allowed(self.delay, room) <= age(at) && *at < now)?
            .clone();
        state.ended.remove(&oldest);
        let (_, sandbox) = oldest;
        let removing = self.root.join(REMOVING);
        if sandbox.starts_with(&removing) {
            return Some(sandbox);
        }
        let place = removing.join(sandbox.file_name()?);
        let moved =
            std::fs::create_dir_all(&removing).and_then(|()| std::fs::rename(&sandbox, &place));
        match moved {
            Ok(()) => {
                tidy_above(&sandbox, &self.root);
                Some(place)
            }
            // Removed by somebody else.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(place),
            Err(error) => {
                tracing::warn!(
                    "cannot move the sandbox {} aside, where it is removed: {error}",
                    sandbox.display()
                );
                state.ended.insert((now, sandbox.clone()));
                // The others are tried all the same, when they come round again.
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How old an ended sandbox may become: the less the fuller the file system is, as in Mesos (E48). Somebody may want to read it, so unless the
/// file system is nearly full it stays a little in any case.
fn oldest_allowed(delay: Duration, room: Option<Room>) -> Duration {
    let Some(room) = room.filter(|it| 0 < it.total_bytes) else { return delay };
    let used = 1.0 - room.free_bytes.min(room.total_bytes) as f64 / room.total_bytes as f64;
    let allowed = delay.mul_f64((1.0 - HEADROOM - used).clamp(0.0, 1.0));
    match room.free_bytes < room.low_bytes() {
        true => allowed,
        false => allowed.max(delay.min(READABLE)),
    }
}

/// When something was last written to a sandbox, as far as that is seen from outside.
fn last_written(sandbox: &Path) -> SystemTime {
    let places = [sandbox.to_owned(), sandbox.join("stdout"), sandbox.join("stderr")];
    let written =
        places.iter().filter_map(|it| std::fs::symlink_metadata(it).ok()?.modified().ok());
    written.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Removes the folders above a sandbox that hold nothing any more, and the link to the newest run, once that is no more.
fn tidy_above(sandbox: &Path, root: &Path) {
    let latest = sandbox.with_file_name("latest");
    if latest.is_symlink() && !latest.exists() {
        // Only people use it.
        let _ = std::fs::remove_file(&latest);
    }
    for above in sandbox.ancestors().skip(1).take_while(|it| *it != root) {
        if std::fs::remove_dir(above).is_err() {
            return; // It holds something.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    use uuid::Uuid;

    const DELAY: Duration = Duration::from_secs(1_000);

    /// An agent's directory with sandboxes, and a disk with a volume beside it.
    struct Scene {
        dir: tempfile::TempDir,
        collector: Collector,
    }

    impl Scene {
        fn new() -> Scene {
            let dir = tempfile::tempdir().unwrap();
            let volume = dir.path().join("disk/holdfast/volumes/u/data");
            fs::create_dir_all(&volume).unwrap();
            fs::write(volume.join("precious"), "bytes").unwrap();
            let protected =
                vec![dir.path().join("disk/holdfast"), dir.path().join("missing/holdfast")];
            let collector = Collector::new(&dir.path().join("slaves"), DELAY, protected);
            Scene { dir, collector }
        }

        fn volume(&self) -> PathBuf {
            self.dir.path().join("disk/holdfast/volumes/u/data")
        }

        fn place(&self, number: u128) -> PathBuf {
            let runs = format!("slaves/a/frameworks/f/executors/e{number}/runs");
            self.dir.path().join(runs).join(container(number).to_string())
        }

        /// The sandbox of a container that is gone, in which something was last written so long ago.
        fn ended(&self, number: u128, age: Duration) -> PathBuf {
            let place = self.place(number);
            self.collector
                .stage(container(number), || fs::create_dir_all(&place).map(|()| place.clone()))
                .unwrap();
            let latest = place.with_file_name("latest");
            std::os::unix::fs::symlink(place.file_name().unwrap(), latest).unwrap();
            fs::write(place.join("stdout"), "said").unwrap();
            let at = SystemTime::now() - age;
            for path in [place.join("stdout"), place.clone()] {
                fs::File::open(path).unwrap().set_modified(at).unwrap();
            }
            self.collector.gone(container(number));
            place
        }

        fn collect(&self, used_percent: u64) -> usize {
            let room = Room { total_bytes: 100, free_bytes: 100 - used_percent };
            self.collector.collect(SystemTime::now(), || Some(room))
        }

        fn assert_volume_is_whole(&self) {
            assert_eq!(fs::read_to_string(self.volume().join("precious")).unwrap(), "bytes");
            assert_eq!(fs::read_dir(self.volume()).unwrap().count(), 1);
        }
    }

    fn container(number: u128) -> ContainerId {
        ContainerId::parse(&Uuid::from_u128(number).to_string()).unwrap()
    }

    #[test]
    fn what_is_old_goes_and_what_is_used_or_young_stays() {
        let scene = Scene::new();
        let (old, young) = (scene.ended(1, DELAY * 2), scene.ended(2, Duration::from_secs(5)));
        let used = scene.place(3);
        scene
            .collector
            .stage(container(3), || fs::create_dir_all(&used).map(|()| used.clone()))
            .unwrap();
        fs::File::open(&used).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(scene.collect(0), 1);
        assert!(!old.exists() && young.exists() && used.exists());
        assert!(!old.ancestors().nth(2).unwrap().exists(), "the folders above it are empty");
        assert!(young.with_file_name("latest").exists());
        assert_eq!(scene.collect(0), 0);
        let later = Collector::new(scene.dir.path().join("slaves").as_path(), DELAY, vec![]);
        later.keep([container(3)]);
        later.find();
        let soon = SystemTime::now() + DELAY;
        assert_eq!(later.collect(soon, || None), 1, "what an earlier life has left is found");
        assert!(!young.exists() && used.exists(), "and what is used is not");
    }

    #[test]
    fn the_fuller_the_file_system_the_younger_they_go_oldest_first() {
        let scene = Scene::new();
        let ages = [700, 500, 300, 10].map(Duration::from_secs);
        let places: Vec<PathBuf> =
            ages.iter().zip(1..).map(|(age, number)| scene.ended(number, *age)).collect();
        assert_eq!(scene.collect(0), 0);
        assert_eq!(scene.collect(30), 1, "40 % of the delay are used and headroom");
        assert!(!places[0].exists() && places[1].exists());
        // There is room again once the second is gone.
        let full = std::cell::Cell::new(95);
        let removed = scene.collector.collect(SystemTime::now(), || {
            if !places[1].exists() {
                full.set(0);
            }
            Some(Room { total_bytes: 100, free_bytes: 100 - full.get() })
        });
        assert_eq!(removed, 1);
        assert!(!places[1].exists() && places[2].exists() && places[3].exists());
        assert_eq!(scene.collect(90), 2, "any age");
    }

    #[test]
    fn a_volume_is_not_reached_by_links_of_any_kind_nor_by_names() {
        let scene = Scene::new();
        let place = scene.ended(1, DELAY * 2);
        std::os::unix::fs::symlink(scene.volume(), place.join("data")).unwrap();
        std::os::unix::fs::symlink(scene.volume().join("precious"), place.join("file")).unwrap();
        fs::hard_link(scene.volume().join("precious"), place.join("hard")).unwrap();
        std::os::unix::fs::symlink("/nonexistent", place.join("dangling")).unwrap();
        let outside = scene.dir.path().join("disk/of-others");
        fs::write(&outside, "theirs").unwrap();
        std::os::unix::fs::symlink(scene.dir.path(), place.join("up")).unwrap();
        // A sandbox that was replaced by a link is not followed either.
        let replaced = scene.ended(2, DELAY * 2);
        fs::remove_dir_all(&replaced).unwrap();
        std::os::unix::fs::symlink(scene.volume(), &replaced).unwrap();
        let now = SystemTime::now() + DELAY * 9;
        scene.collector.collect(now, || None);
        assert!(!place.exists());
        scene.assert_volume_is_whole();
        assert_eq!(fs::read_to_string(outside).unwrap(), "theirs");
    }

    /// Something mounted, unmounted at the end; `None`, and why, where nothing can be.
    struct Mounted(PathBuf);

    impl Mounted {
        fn bind(from: &Path, at: &Path) -> Option<Mounted> {
            fs::create_dir_all(at).unwrap();
            let mounted = Command::new("mount").arg("--bind").args([from, at]).output();
            if mounted.is_ok_and(|it| it.status.success()) {
                return Some(Mounted(at.to_owned()));
            }
            use std::io::Write as _;
            let _ = writeln!(
                std::io::stdout(),
                "left out: mounts in sandboxes: nothing can be mounted"
            );
            None
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).output();
        }
    }

    #[test]
    fn what_is_mounted_in_a_sandbox_stays_and_the_sandbox_goes_once_it_is_not() {
        let scene = Scene::new();
        let place = scene.ended(1, DELAY * 2);
        let other = scene.ended(2, DELAY * 2);
        let Some(outer) = Mounted::bind(&scene.volume(), &place.join("data")) else { return };
        // One in another: the disk within the volume, by which the volume can be reached once more.
        let nested = scene.dir.path().join("nested");
        fs::create_dir_all(nested.join("sub")).unwrap();
        let (Some(middle), Some(inner)) = (
            Mounted::bind(&nested, &place.join("deep/er")),
            Mounted::bind(&scene.dir.path().join("disk"), &place.join("deep/er/sub")),
        ) else {
            return;
        };
        assert_eq!(scene.collect(0), 1, "the other one");
        assert!(!other.exists());
        scene.assert_volume_is_whole();
        assert!(nested.join("sub").is_dir());
        let kept = scene.dir.path().join("slaves").join(REMOVING).join(container(1).to_string());
        assert!(kept.join("data/precious").exists() && !kept.join("stdout").exists());
        // A mount whose source is gone.
        fs::remove_dir_all(nested.join("sub")).ok();
        drop((inner, middle, outer));
        let later = SystemTime::now() + DELAY;
        for at in ["deep/er/sub", "deep/er", "data"] {
            let _ = Command::new("umount").arg("-l").arg(kept.join(at)).output();
        }
        assert_eq!(scene.collector.collect(later, || None), 1);
        assert!(!kept.exists());
        scene.assert_volume_is_whole();
    }
}
