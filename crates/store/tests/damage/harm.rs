//! What is done to the files of a store: bits, pages, lengths, whole files.

use crate::ground::{files, Rng};
use std::fs;
use std::path::{Path, PathBuf};

/// Damages one file; the flag says whether a single copy of anything can be hit at all (a bit or a
/// page).
pub fn damage(dir: &Path, older: &Path, rng: &mut Rng) -> (String, bool) {
    let all = files(dir);
    let journal: Vec<&PathBuf> =
        all.iter().filter(|file| file.extension().is_some_and(|end| end == "seg")).collect();
    // Half of the damage goes to the journal: there are few of those files.
    let file = match rng.below(2) {
        0 if !journal.is_empty() => journal[rng.below(journal.len() as u64) as usize].clone(),
        _ => all[rng.below(all.len() as u64) as usize].clone(),
    };
    let name = file.strip_prefix(dir).unwrap().display().to_string();
    let mut bytes = fs::read(&file).unwrap();
    let len = bytes.len() as u64;
    let meaningful: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let context = match rng.below(9) {
        0..=2 if !meaningful.is_empty() => {
            let at = meaningful[rng.below(meaningful.len() as u64) as usize];
            bytes[at] ^= 1 << rng.below(8);
            fs::write(&file, bytes).unwrap();
            return (format!("bit flip in {name} at {at}"), true);
        }
        3 | 4 if len > 0 => {
            let page = (rng.below(len.div_ceil(4096)) * 4096) as usize;
            let end = bytes.len().min(page + 4096);
            bytes[page..end].fill(0);
            fs::write(&file, bytes).unwrap();
            return (format!("zeroed page of {name} at {page}"), true);
        }
        5 => {
            let to = rng.below(len);
            bytes.truncate(to as usize);
            fs::write(&file, bytes).unwrap();
            format!("{name} cut to {to} of {len}")
        }
        6 => {
            fs::remove_file(&file).unwrap();
            format!("{name} deleted")
        }
        7 => {
            let other = &all[rng.below(all.len() as u64) as usize];
            let content = fs::read(other).unwrap();
            fs::write(other, &bytes).unwrap();
            fs::write(&file, content).unwrap();
            format!("{name} swapped with {}", other.display())
        }
        _ => match fs::read(older.join(&name)) {
            Ok(content) => {
                fs::write(&file, content).unwrap();
                format!("{name} put back to an older version")
            }
            Err(_) => {
                let garbage: Vec<u8> = (0..len.min(5000)).map(|_| rng.below(256) as u8).collect();
                fs::write(&file, garbage).unwrap();
                format!("{name} overwritten with noise")
            }
        },
    };
    (context, false)
}
