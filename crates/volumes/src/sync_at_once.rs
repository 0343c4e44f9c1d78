//! Syncs many files and directories at once.
//!
//! What it is for: a file system commits what many callers wait for in one go, so syncs that wait
//! beside each other cost about as much as one, and those that wait after each other cost their
//! sum. What it relies on: an `fsync` waits for its own file and for what the journal of the file
//! system holds already, never for the dirty pages of others. What it never does: order anything;
//! what must be durable before something else is synced in an earlier call.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use crate::folder::Folder;
use crate::steps::step;

/// How many syncs wait beside each other at most. More gained nothing where it was measured.
const SYNCERS_MAX: usize = 16;

/// Something that was changed and is not durable yet.
#[derive(Debug)]
pub(crate) enum Unsynced<'a> {
    /// A file, with its name.
    File(&'static str, &'a File),
    /// The names in a directory.
    Folder(&'a Folder),
}

impl Unsynced<'_> {
    fn announce(&self) -> io::Result<()> {
        match self {
            Unsynced::File(name, _) => step("fsync", name),
            Unsynced::Folder(folder) => step("sync", &folder.name()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self {
            Unsynced::File(_, file) => file.sync_all(),
            Unsynced::Folder(folder) => Ok(rustix::fs::fsync(folder)?),
        }
    }
}

/// Syncs all of them, in no order, and says of each whether it is durable.
pub(crate) fn sync_at_once(all: &[Unsynced<'_>]) -> Vec<io::Result<()>> {
    // Announced here and not where it is done: a test that crashes after n steps watches this
    // thread.
    let mut results: Vec<io::Result<()>> = all.iter().map(Unsynced::announce).collect();
    let wanted: Vec<usize> = (0..all.len()).filter(|it| results[*it].is_ok()).collect();
    let next = Mutex::new(wanted.iter().copied());
    let work = || {
        let mut done = Vec::new();
        loop {
            // Taken in a statement of its own, so that the queue is free while this thread syncs.
            let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(at) = taken else { return done };
            done.push((at, all[at].sync()));
        }
    };
    let others = wanted.len().min(SYNCERS_MAX).saturating_sub(1);
    std::thread::scope(|scope| {
        // A machine that has no thread left syncs with those it has, this one at least.
        let syncers: Vec<_> = (0..others)
            .map_while(|_| Builder::new().name("sync".to_owned()).spawn_scoped(scope, work).ok())
            .collect();
        let mut done = work();
        for syncer in syncers {
            match syncer.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        for (at, result) in done {
            results[at] = result;
        }
    });
    results
}

/// Syncs all of them, in no order.
///
/// # Errors
/// The first failure, when anything could not be synced.
pub(crate) fn sync_all_at_once(all: &[Unsynced<'_>]) -> io::Result<()> {
    sync_at_once(all).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{crash_at, record};

    #[test]
    fn each_says_whether_it_is_durable_and_a_crash_stops_those_after_it() {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let files: Vec<File> = (0..40)
            .map(|at| File::create(dir.path().join(format!("file-{at}"))).unwrap())
            .collect();
        let mut all: Vec<Unsynced<'_>> =
            files.iter().map(|file| Unsynced::File("file", file)).collect();
        all.push(Unsynced::Folder(&folder));
        let (results, steps) = record(|| sync_at_once(&all));
        assert!(results.iter().all(Result::is_ok) && steps.len() == 41, "{steps:?}");
        let (results, crashed) = crash_at(7, || sync_at_once(&all));
        assert!(crashed);
        assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 7);
        assert!(sync_at_once(&[]).is_empty());
    }

    #[test]
    fn one_that_cannot_be_synced_fails_alone() {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        // A pipe cannot be synced: EINVAL.
        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        let all = [Unsynced::File("pipe", &pipe), Unsynced::Folder(&folder)];
        let results = sync_at_once(&all);
        assert!(results[0].is_err() && results[1].is_ok(), "{results:?}");
        assert!(sync_all_at_once(&all).is_err());
    }
}
