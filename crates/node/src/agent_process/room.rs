//! The room that the agent's own file system has, on which its ledger lies beside sandboxes and the ROOT disk.
//!
//! An agent whose file system is full cannot write its ledger, and ends. So output of tasks gives way early, sandboxes of ended tasks go, and
//! before it comes to the worst nothing new is started. For the worst a part of it is set aside, which the ledger takes when there is nothing
//! else; it is set aside again once there is room. All is as before by itself then.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_agent::Input;
use holdfast_containers::{set_aside, Room};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::core_loop::Inbox;

/// With less than this part of it free a file system is nearly full, whatever its size.
const LOW_PART: u64 = 20;
/// A small one is so much earlier: what is written without asking does not shrink with it.
const LOW_MIN_BYTES: u64 = 64 << 20;
const LOW_MIN_PART: u64 = 4;
/// A large one later.
const LOW_MAX_BYTES: u64 = 1 << 30;
/// What is set aside for the ledger: a few times what it writes between two times that it gives room back. Of a small file system less.
const RESERVE_BYTES: u64 = 8 << 20;
const RESERVE_PART: u64 = 4;
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file system's room, and what to make of it.
pub trait Reserve {
    /// With less free than this it is nearly full.
    fn low_bytes(&self) -> u64;
    /// What output of tasks leaves free: it gives way before anything else has to.
    fn output_leaves_bytes(&self) -> u64 {
        self.low_bytes().saturating_mul(2)
    }
}

impl Reserve for Room {
    fn low_bytes(&self) -> u64 {
        let small = LOW_MIN_BYTES.min(self.total_bytes / LOW_MIN_PART);
        small.max(self.total_bytes / LOW_PART).min(LOW_MAX_BYTES)
    }
}

/// The file that is set aside in an agent's directory.
pub fn reserve_file(dir: &Path) -> PathBuf {
    dir.join("reserve")
}

/// Watches the room of an agent's directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RoomKeeper {
    dir: PathBuf,
    /// Why nothing new is started, when it is not.
    fault: Arc<Mutex<Option<String>>>,
    /// Told when there is little.
    wanted: Arc<Notify>,
}

impl RoomKeeper {
    /// A keeper that has not looked yet.
    pub fn new(dir: &Path) -> RoomKeeper {
        RoomKeeper { dir: dir.to_owned(), fault: Arc::default(), wanted: Arc::default() }
    }

    /// Why nothing new is started.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who is told when there is little.
    pub fn wanted(&self) -> Arc<Notify> {
        self.wanted.clone()
    }

    /// Looks until told to stop.
    pub async fn run(self, inbox: Inbox<Input>, stop: CancellationToken) {
        let mut told = None;
        while !stop.is_cancelled() {
            self.look(Room::at(&self.dir).ok());
            let fault = self.fault();
            // That it is over, or not yet; how much is left changes all the time.
            if fault.is_some() != told.is_some() {
                inbox.tell(Input::Room(fault.clone())).await;
                told = fault;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                // tidy: sleep is the point: a file system does not say that it fills up
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Takes note of what there is.
    fn look(&self, room: Option<Room>) {
        // A file system that does not say is not found fault with.
        let Some(room) = room else { return };
        let (was, low) = (self.fault(), room.low_bytes());
        // A little more is wanted to call it well again than to call it ill, so that it does not change with each file.
        let wanted = if was.is_some() { low + low / 4 } else { low };
        let fault = (room.free_bytes < wanted).then(|| self.words(room));
        match (&was, &fault) {
            (None, Some(why)) => tracing::error!("{why}"),
            (Some(_), None) => {
                tracing::info!("there is room again on the file system of {}", self.dir.display())
            }
            _ => {}
        }
        if fault.is_some() {
            self.wanted.notify_one();
        } else {
            self.set_aside(room);
        }
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn words(&self, room: Room) -> String {
        format!(
            "the agent's own file system, on which {} lies, is nearly full: {} MB of {} MB are free, and with less than {} MB nothing new is \
             started or claimed here; remove what fills it (sandboxes of ended tasks have gone already), or make it larger",
            self.dir.display(),
            room.free_bytes >> 20,
            room.total_bytes >> 20,
            room.low_bytes() >> 20
        )
    }

    fn set_aside(&self, room: Room) {
        let (file, bytes) =
            (reserve_file(&self.dir), RESERVE_BYTES.min(room.total_bytes / RESERVE_PART));
        if file.exists() || room.free_bytes < room.low_bytes() + bytes {
            return;
        }
        if let Err(error) = set_aside(&file, bytes) {
            tracing::debug!(
                "nothing can be set aside for the ledger in {}: {error}",
                file.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_file_systems_are_nearly_full_at_a_quarter_and_large_ones_at_a_gigabyte() {
        let low_mb =
            |total_mb: u64| Room { total_bytes: total_mb << 20, free_bytes: 0 }.low_bytes() >> 20;
        let sizes = [24, 1_000, 10_000, 1_000_000];
        assert_eq!(sizes.map(low_mb), [6, 64, 500, 1_024]);
    }

    #[test]
    fn a_fault_stands_until_there_is_clearly_room_and_the_reserve_is_set_aside_then() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = RoomKeeper::new(dir.path());
        let look = |free_mb: u64| {
            keeper.look(Some(Room { total_bytes: 160 << 20, free_bytes: free_mb << 20 }));
            keeper.fault()
        };
        let why = look(39).expect("less than a quarter is free");
        assert!(
            why.contains("39 MB of 160 MB") && why.contains(&*dir.path().to_string_lossy()),
            "{why}"
        );
        assert!(look(49).is_some());
        assert!(!reserve_file(dir.path()).exists());
        assert_eq!(look(50), None);
        assert_eq!(std::fs::metadata(reserve_file(dir.path())).unwrap().len(), 8 << 20);
        assert_eq!(look(41), None);
        keeper.look(None);
        assert_eq!(keeper.fault(), None);
    }
}
