//! Random damage to what Holdfast writes on a disk beside the volumes' own bytes: labels of the disk, of volumes, of the trash. After it each
//! volume is exactly the one that was claimed, or refused with a reason; never another one, an older one, an empty one or a new one; one bad
//! copy of a label is always mended; and no byte of any volume is touched.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_volumes::{
    check_volume, list_trash, list_volumes, make_volume, open_disk, relabel, trash_volume,
    DiskConfig, DiskKind, DiskLabel, OpenDisk, VolumeLabel,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const CASES: u64 = 2000;
const VOLUMES: u128 = 4;

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

fn disk_label() -> DiskLabel {
    DiskLabel { disk_uuid: Uuid::from_u128(0xd1), cluster_uuid: Uuid::from_u128(0xc1) }
}

fn volume_label(n: u128, generation: u64) -> VolumeLabel {
    VolumeLabel {
        volume_uuid: Uuid::from_u128(0xa0 + n),
        persistence_id: format!("data-{n}"),
        role: "db".into(),
        principal: None,
        generation,
        disk_uuid: disk_label().disk_uuid,
        cluster_uuid: disk_label().cluster_uuid,
        image: false,
        size_mb: 64,
        shared: false,
    }
}

fn open(root: &Path) -> Result<OpenDisk, holdfast_volumes::DiskFault> {
    let config = DiskConfig { kind: DiskKind::Path, root: root.to_owned() };
    let known = disk_label();
    open_disk(&config, Some(&known), &known)
}

/// A disk with volumes, the last of which lies in the trash; and the same disk before its volumes were labelled anew.
fn templates(root: &Path) -> (PathBuf, PathBuf) {
    let (disk, older) = (root.join("disk"), root.join("older"));
    fs::create_dir(&disk).unwrap();
    let config = DiskConfig { kind: DiskKind::Path, root: disk.clone() };
    let opened = open_disk(&config, None, &disk_label()).unwrap();
    for n in 0..VOLUMES {
        let data = make_volume(&opened, &volume_label(n, 1)).unwrap();
        fs::write(data.join("precious"), format!("bytes of {n}")).unwrap();
    }
    copy_dir(&disk, &older);
    for n in 0..VOLUMES {
        relabel(&opened, &volume_label(n, 2)).unwrap();
    }
    trash_volume(&opened, volume_label(VOLUMES - 1, 2).volume_uuid, 7).unwrap();
    (disk, older)
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(files(&entry.path())),
            false => all.push(entry.path()),
        }
    }
    all.sort();
    all
}

/// The bytes of all volumes, by the folder that bears them.
fn precious(disk: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = files(disk).into_iter().filter(|it| it.ends_with("data/precious"));
    all.map(|it| (it.strip_prefix(disk).unwrap().to_owned(), fs::read(&it).unwrap())).collect()
}

/// Damages one copy of one label.
fn damage(disk: &Path, older: &Path, rng: &mut Rng) -> String {
    let labels: Vec<PathBuf> =
        files(disk).into_iter().filter(|it| !it.ends_with("data/precious")).collect();
    let file = rng.pick(&labels).clone();
    let name = file.strip_prefix(disk).unwrap().display().to_string();
    let mut bytes = fs::read(&file).unwrap();
    let len = bytes.len() as u64;
    match rng.below(7) {
        0 | 1 if 0 < len => bytes[rng.below(len) as usize] ^= 1 << rng.below(8),
        2 => bytes.fill(0),
        3 => bytes.truncate(rng.below(len) as usize),
        4 => {
            fs::remove_file(&file).unwrap();
            return format!("{name} deleted");
        }
        5 => {
            let other = rng.pick(&labels).clone();
            fs::write(&file, fs::read(&other).unwrap()).unwrap();
            fs::write(&other, bytes).unwrap();
            return format!("{name} swapped with {}", other.display());
        }
        _ => bytes = fs::read(older.join(&name)).unwrap_or_default(),
    }
    fs::write(&file, bytes).unwrap();
    name
}

#[derive(Debug, Default)]
struct Tally {
    whole: u64,
    disk_refused: u64,
    volume_refused: u64,
}

fn one_case(case: u64, (template, older): (&Path, &Path), disk: &Path, tally: &mut Tally) {
    let mut rng = Rng(case * 7919);
    copy_dir(template, disk);
    let bytes = precious(disk);
    let mut context = format!("case {case}: {}", damage(disk, older, &mut rng));
    let is_single = !case.is_multiple_of(4) && !context.contains("swapped");
    if case.is_multiple_of(4) {
        context = format!("{context}; {}", damage(disk, older, &mut rng));
    }
    match open(disk) {
        Ok(opened) => {
            assert_eq!(*opened.label(), disk_label(), "{context}");
            let refused = (0..VOLUMES).filter(|n| !is_whole(&opened, *n, &context)).count();
            assert!(refused == 0 || !is_single, "{context}: one bad copy is mended");
            match refused {
                0 => tally.whole += 1,
                _ => tally.volume_refused += 1,
            }
            list_volumes(&opened).unwrap_or_else(|fault| panic!("{context}: {fault}"));
        }
        Err(fault) => {
            assert!(!is_single, "{context}: one bad copy is mended: {fault}");
            tally.disk_refused += 1;
        }
    }
    assert_eq!(precious(disk), bytes, "{context}: no byte of a volume is touched");
}

/// Whether the volume is the one that was claimed; if it is refused, so was nothing else given out for it.
fn is_whole(disk: &OpenDisk, n: u128, context: &str) -> bool {
    let claimed = volume_label(n, 2);
    let path = match n == VOLUMES - 1 {
        true => {
            let trash = list_trash(disk).unwrap_or_else(|fault| panic!("{context}: {fault}"));
            let entry = trash.entries.iter().find(|it| it.volume_uuid == claimed.volume_uuid);
            let path =
                entry.unwrap_or_else(|| panic!("{context}: it is in the trash")).path.clone();
            path.join("data")
        }
        false => match check_volume(disk, &claimed) {
            Ok(path) => path,
            Err(_) => return false,
        },
    };
    let found = fs::read_to_string(path.join("precious")).unwrap();
    assert_eq!(found, format!("bytes of {n}"), "{context}: each gets its own bytes");
    true
}

#[test]
fn random_damage_to_labels_is_mended_or_refused() {
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let root = root.unwrap();
    let (disk, older) = templates(root.path());
    let mut tally = Tally::default();
    for case in 0..CASES {
        let copy = root.path().join("case");
        one_case(case, (&disk, &older), &copy, &mut tally);
        fs::remove_dir_all(&copy).unwrap();
    }
    println!("{CASES} damages of labels\t{tally:?}");
    assert!(tally.whole > CASES / 2, "{tally:?}");
    assert!(tally.disk_refused > 0 && tally.volume_refused > 0, "{tally:?}");
}
