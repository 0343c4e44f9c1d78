//! What both stores are given before they are damaged: the same commits, and a place for their files.

use holdfast_store::Entry;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub type Model = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

pub fn batch(number: u64) -> Vec<Entry> {
    let mut entries = vec![Entry::put(
        "claims",
        format!("claim-{}", number % 13),
        vec![number as u8; (number * 131 % 700) as usize],
    )];
    if number.is_multiple_of(2) {
        entries.push(Entry::put(
            "tasks",
            format!("task-{}", number % 5),
            format!("state {number}"),
        ));
    }
    if number.is_multiple_of(5) {
        entries.push(Entry::delete("claims", format!("claim-{}", (number + 6) % 13)));
        entries.push(Entry::put("blobs", "big", vec![number as u8; 5000]));
    }
    entries
}

pub fn model_at(sequence: u64) -> Model {
    let mut model = Model::new();
    for entry in (1..=sequence).flat_map(batch) {
        match entry.value {
            Some(value) => model.insert((entry.tree, entry.key), value),
            None => model.remove(&(entry.tree, entry.key)),
        };
    }
    model
}

/// Copies a store, which may live: a file that its threads remove after it was listed, such as an
/// older checkpoint, is in no copy, which begins anew then.
pub fn copy_dir(from: &Path, to: &Path) {
    for _ in 0..100 {
        match try_copy_dir(from, to) {
            Ok(()) => return,
            Err(error) if error.kind() == ErrorKind::NotFound => fs::remove_dir_all(to).unwrap(),
            Err(error) => panic!("cannot copy {}: {error}", from.display()),
        }
    }
    panic!("{} is never at rest", from.display());
}

fn try_copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            out.extend(files(&entry.path()));
        } else if entry.file_name() != "lock" {
            out.push(entry.path());
        }
    }
    out.sort();
    out
}

/// A directory in memory where the machine has one: these tests are about bytes, not about waiting
/// for a disk.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}
