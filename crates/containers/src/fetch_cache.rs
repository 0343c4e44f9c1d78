//! The cache of what was fetched: one directory for each user and address.
//!
//! Who wants something that somebody just fetches waits for it; what nobody uses goes, the longest
//! unused first, when there is need of its space. It is wiped when it is opened. It never gives one
//! user what another has fetched, never holds more than it may, and never takes away what is in use.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often who waits looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The name of what was fetched, in its directory.
const DATA: &str = "data";
/// The name of the file that says how large it will be.
const SIZE: &str = "size";

/// User and address.
type Key = (String, String);

#[derive(Debug)]
struct Entry {
    dir: PathBuf,
    /// What it takes, or was promised.
    bytes: u64,
    /// How many use it.
    users: usize,
    /// Whether it is there.
    is_ready: bool,
    /// When it was last used: the greater, the later.
    used_at: u64,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Key, Entry>,
    bytes: u64,
    uses: u64,
    made: u64,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FetchCache(Arc<Shared>);

/// What there is of something that is wanted.
#[derive(Debug)]
pub enum Cached {
    /// It is here.
    Here(CacheHold),
    /// It is to be fetched by who asked.
    Missing(CacheSlot),
}

/// Something in the cache that is in use until this is dropped.
#[derive(Debug)]
pub struct CacheHold {
    cache: FetchCache,
    key: Key,
    dir: PathBuf,
}

/// A place for something that is being fetched. Dropped before it is filled, it is taken away.
#[derive(Debug)]
pub struct CacheSlot {
    cache: FetchCache,
    key: Key,
    dir: PathBuf,
    is_filled: bool,
}

impl FetchCache {
    /// Wipes the cache and opens it.
    ///
    /// # Errors
    /// When the directory cannot be made or emptied.
    pub fn open(dir: &Path, max_bytes: u64) -> std::io::Result<FetchCache> {
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().recursive(true).mode(0o711).create(dir)?;
        std::fs::set_permissions(dir, Permissions::from_mode(0o711))?;
        Ok(FetchCache(Arc::new(Shared {
            dir: dir.to_owned(),
            max_bytes,
            state: Mutex::default(),
            changed: Condvar::new(),
        })))
    }

    /// Finds something, or makes a place for it; waits while somebody else fetches it. `None` when it
    /// is not `wanted` any more.
    ///
    /// # Errors
    /// When a directory cannot be made.
    pub fn claim(
        &self,
        user: &str,
        address: &str,
        wanted: impl Fn() -> bool,
    ) -> std::io::Result<Option<Cached>> {
        let key = (user.to_string(), address.to_string());
        let mut state = self.state();
        loop {
            state.uses += 1;
            let now = state.uses;
            match state.entries.get_mut(&key) {
                Some(entry) if entry.is_ready => {
                    entry.users += 1;
                    entry.used_at = now;
                    let dir = entry.dir.clone();
                    return Ok(Some(Cached::Here(CacheHold { cache: self.clone(), key, dir })));
                }
                None => break,
                Some(_) if !wanted() => return Ok(None),
                Some(_) => {
                    let waited = self.0.changed.wait_timeout(state, LOOK_EVERY);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        state.made += 1;
        let dir = self.0.dir.join(state.made.to_string());
        DirBuilder::new().mode(0o700).create(&dir)?;
        let entry =
            Entry { dir: dir.clone(), bytes: 0, users: 1, is_ready: false, used_at: state.uses };
        state.entries.insert(key.clone(), entry);
        Ok(Some(Cached::Missing(CacheSlot { cache: self.clone(), key, dir, is_filled: false })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes room for so much by taking away what nobody uses; `false` when there is not enough of
    /// that, and then nothing is taken away.
    fn make_room(&mut self, bytes: u64, max_bytes: u64) -> bool {
        let idle: u64 = self.entries.values().filter(|it| it.users == 0).map(|it| it.bytes).sum();
        if max_bytes < (self.bytes - idle).saturating_add(bytes) {
            return false;
        }
        while max_bytes < self.bytes.saturating_add(bytes) {
            let idle = self.entries.iter().filter(|(_, it)| it.users == 0);
            let oldest = idle.min_by_key(|(_, it)| it.used_at).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return false };
            self.take_away(&oldest);
        }
        true
    }

    fn take_away(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.bytes -= entry.bytes;
        if let Err(error) = std::fs::remove_dir_all(&entry.dir) {
            tracing::warn!(
                "cannot remove {} from the fetcher's cache: {error}",
                entry.dir.display()
            );
        }
    }
}

impl CacheHold {
    /// The directory in which it is, under [`CacheHold::name`].
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its name in its directory.
    pub fn name(&self) -> &'static str {
        DATA
    }
}

impl Drop for CacheHold {
    fn drop(&mut self) {
        if let Some(entry) = self.cache.state().entries.get_mut(&self.key) {
            entry.users = entry.users.saturating_sub(1);
        }
    }
}

impl CacheSlot {
    /// The directory into which it is fetched.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The names in its directory: of what is fetched, and of the file that says how large it is.
    pub fn names(&self) -> (&'static str, &'static str) {
        (DATA, SIZE)
    }

    /// How large it is, as whoever looked has written; `None` when that is not known.
    pub fn told_size(&self) -> Option<u64> {
        // Its writer is the task's user.
        crate::fetch::read_told(&self.dir.join(SIZE), 32)?.trim().parse().ok()
    }

    /// Sets so much aside; `false` when the cache has not as much.
    pub fn reserve(&self, bytes: u64) -> bool {
        let mut state = self.cache.state();
        if !state.make_room(bytes, self.cache.0.max_bytes) {
            return false;
        }
        state.bytes += bytes;
        if let Some(entry) = state.entries.get_mut(&self.key) {
            entry.bytes += bytes;
        }
        true
    }

    /// It was fetched, with no more than was set aside for it; `None` when it is not there.
    pub fn fill(mut self) -> Option<CacheHold> {
        let found =
            std::fs::symlink_metadata(self.dir.join(DATA)).ok().filter(|it| it.is_file())?;
        let mut state = self.cache.state();
        let entry = state.entries.get_mut(&self.key).filter(|it| found.len() <= it.bytes)?;
        entry.is_ready = true;
        let surplus = entry.bytes - found.len();
        entry.bytes = found.len();
        state.bytes -= surplus;
        drop(state);
        self.is_filled = true;
        self.cache.0.changed.notify_all();
        Some(CacheHold { cache: self.cache.clone(), key: self.key.clone(), dir: self.dir.clone() })
    }
}

impl Drop for CacheSlot {
    fn drop(&mut self) {
        if !self.is_filled {
            self.cache.state().take_away(&self.key);
            self.cache.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(max_bytes: u64) -> (tempfile::TempDir, FetchCache) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("cache")).unwrap();
        std::fs::write(dir.path().join("cache/old"), "of a life before").unwrap();
        let cache = FetchCache::open(&dir.path().join("cache"), max_bytes).unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("cache")).unwrap().count(), 0, "it is wiped");
        (dir, cache)
    }

    fn slot(cache: &FetchCache, user: &str, address: &str) -> CacheSlot {
        match cache.claim(user, address, || true).unwrap() {
            Some(Cached::Missing(slot)) => slot,
            other => panic!("{other:?}"),
        }
    }

    fn fill(cache: &FetchCache, user: &str, address: &str, bytes: usize) -> Option<CacheHold> {
        let slot = slot(cache, user, address);
        if !slot.reserve(bytes as u64) {
            return None;
        }
        std::fs::write(slot.dir().join(DATA), vec![b'x'; bytes]).unwrap();
        slot.fill()
    }

    fn is_here(cache: &FetchCache, user: &str, address: &str) -> bool {
        matches!(cache.claim(user, address, || true).unwrap(), Some(Cached::Here(_)))
    }

    #[test]
    fn i2_what_is_fetched_once_is_found_by_its_user_only() {
        let (_dir, cache) = cache(100);
        let hold = fill(&cache, "a", "x", 10).unwrap();
        assert_eq!(std::fs::read(hold.dir().join(hold.name())).unwrap().len(), 10);
        assert!(is_here(&cache, "a", "x"));
        assert!(!is_here(&cache, "b", "x"));
        assert!(!is_here(&cache, "a", "y"));
    }

    #[test]
    fn i2_the_longest_unused_goes_and_what_is_in_use_stays() {
        let (dir, cache) = cache(100);
        drop(fill(&cache, "a", "1", 40));
        drop(fill(&cache, "a", "2", 40));
        assert!(is_here(&cache, "a", "1"), "now 2 is the one that was unused for longer");
        let held = fill(&cache, "a", "3", 50);
        assert!(held.is_some() && is_here(&cache, "a", "1") && !is_here(&cache, "a", "2"));
        assert!(fill(&cache, "a", "4", 60).is_none(), "it does not fit beside what is in use");
        assert!(is_here(&cache, "a", "1"), "for nothing, nothing is taken away");
        assert!(fill(&cache, "a", "5", 101).is_none());
        drop(held);
        assert!(fill(&cache, "a", "6", 100).is_some());
        assert_eq!(std::fs::read_dir(dir.path().join("cache")).unwrap().count(), 1);
    }

    #[test]
    fn i2_who_wants_what_is_being_fetched_waits_for_it() {
        let (_dir, cache) = cache(100);
        let first = slot(&cache, "a", "x");
        assert!(
            cache.claim("a", "x", || false).unwrap().is_none(),
            "unless it is not wanted any more"
        );
        let second = std::thread::spawn({
            let cache = cache.clone();
            move || is_here(&cache, "a", "x")
        });
        assert!(first.reserve(3));
        std::fs::write(first.dir().join(DATA), "abc").unwrap();
        let _held = first.fill().unwrap();
        assert!(second.join().unwrap());
    }

    #[test]
    fn what_could_not_be_fetched_is_fetched_by_who_waits() {
        let (_dir, cache) = cache(100);
        let first = slot(&cache, "a", "x");
        let second = std::thread::spawn({
            let cache = cache.clone();
            move || matches!(cache.claim("a", "x", || true).unwrap(), Some(Cached::Missing(_)))
        });
        assert!(first.reserve(100));
        drop(first);
        assert!(second.join().unwrap());
        assert!(fill(&cache, "a", "y", 100).is_some(), "what was set aside is given back");
    }

    #[test]
    fn a_size_is_read_without_following_links_and_kept_to() {
        let (dir, cache) = cache(100);
        let held = slot(&cache, "a", "x");
        assert_eq!(held.told_size(), None);
        std::fs::write(held.dir().join(SIZE), "12").unwrap();
        assert_eq!(held.told_size(), Some(12));
        std::fs::remove_file(held.dir().join(SIZE)).unwrap();
        std::fs::write(dir.path().join("secret"), "7").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), held.dir().join(SIZE)).unwrap();
        assert_eq!(held.told_size(), None);
        assert!(held.reserve(2));
        std::fs::write(held.dir().join(DATA), "more").unwrap();
        assert!(held.fill().is_none());
    }
}
