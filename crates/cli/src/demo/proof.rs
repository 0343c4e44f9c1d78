//! What a member was told is durable, held against what lies on its volume.
//!
//! Relies on the chain of checksums: each covers all records before it, so two chains with the same checksum at one position are the same up
//! to there. Never counts records only: a chain that was rolled back and written to again may be as long as before.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{ensure, Context};
use holdfast_sdk::net::{read_record, LedgerRecord};
use holdfast_sdk::KeeperChange;
use holdfast_store::{inspect, Depth};

/// What a member's scheduler was told, and wrote down: so many records are durable, and the last one's checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// How many records.
    pub count: usize,
    /// The checksum of the last of them.
    pub last: u32,
}

impl Acknowledged {
    /// Reads `COUNT:CHECKSUM`, as the journal's scheduler remembers it.
    fn read(note: &[u8]) -> Option<Acknowledged> {
        let (count, last) = std::str::from_utf8(note).ok()?.split_once(':')?;
        Some(Acknowledged { count: count.parse().ok()?, last: u32::from_str_radix(last, 16).ok()? })
    }
}

/// What the scheduler's ledger in `dir` says was acknowledged, by member. The scheduler may run or not.
///
/// # Errors
/// When the ledger, or a note in it, cannot be read.
pub fn acknowledged(dir: &Path) -> anyhow::Result<BTreeMap<u32, Acknowledged>> {
    let inspection = inspect(dir, Depth::Bytes).context("the scheduler's ledger")?;
    let mut found = BTreeMap::new();
    for record in inspection.records() {
        let read =
            read_record(record.tree, record.key, record.value).context("the scheduler's ledger")?;
        let LedgerRecord::Change(KeeperChange::Member(member)) = read else { continue };
        if !member.note.is_empty() {
            let note = String::from_utf8_lossy(&member.note);
            let said = Acknowledged::read(&member.note);
            found.insert(
                member.index,
                said.with_context(|| {
                    format!("`{note}`, the note of member {}, is not understood", member.index)
                })?,
            );
        }
    }
    Ok(found)
}

/// The records that were acknowledged before a kill: the checksum of each.
#[derive(Clone, Debug)]
pub struct Proof {
    sums: Vec<u32>,
}

impl Proof {
    /// Notes the acknowledged part of a chain, which was read after the acknowledgement.
    ///
    /// # Errors
    /// When a record that was acknowledged is not there already.
    pub fn new(acknowledged: Acknowledged, chain: &[u32]) -> anyhow::Result<Proof> {
        let Acknowledged { count, last } = acknowledged;
        ensure!(
            count <= chain.len(),
            "{count} records were acknowledged, but there are {}",
            chain.len()
        );
        let sums = chain[..count].to_vec();
        ensure!(
            sums.last().is_none_or(|it| *it == last),
            "record {} was acknowledged as {last:08x}, but another is there",
            count.max(1) - 1
        );
        Ok(Proof { sums })
    }

    /// How many records were acknowledged.
    pub fn count(&self) -> usize {
        self.sums.len()
    }

    /// How many of them are not in a chain any more.
    pub fn lost(&self, chain: &[u32]) -> usize {
        let kept = self.sums.iter().zip(chain).take_while(|(was, is)| was == is).count();
        self.sums.len() - kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: [u32; 5] = [11, 12, 13, 14, 15];

    fn proof() -> Proof {
        Proof::new(Acknowledged { count: 4, last: 14 }, &CHAIN).unwrap()
    }

    #[test]
    fn a_chain_that_only_grew_has_lost_nothing() {
        assert_eq!(
            (proof().count(), proof().lost(&CHAIN), proof().lost(&[11, 12, 13, 14])),
            (4, 0, 0)
        );
        assert_eq!(proof().lost(&[11, 12, 13, 14, 99, 98]), 0, "nobody was told of the fifth");
        assert_eq!(Proof::new(Acknowledged::default(), &[]).unwrap().lost(&[]), 0);
    }

    #[test]
    fn a_chain_that_was_rolled_back_and_written_to_again_is_found_out() {
        assert_eq!(proof().lost(&[11, 12]), 2, "cut");
        assert_eq!(
            proof().lost(&[11, 12, 23, 24, 25, 26, 27]),
            2,
            "longer than before, but two records are others"
        );
        assert_eq!(proof().lost(&[21, 22, 23, 24, 25, 26]), 4, "begun anew");
        assert_eq!(proof().lost(&[]), 4);
    }

    #[test]
    fn what_is_not_there_when_it_was_acknowledged_is_no_proof() {
        assert!(Proof::new(Acknowledged { count: 6, last: 16 }, &CHAIN).is_err());
        let other =
            Proof::new(Acknowledged { count: 4, last: 24 }, &CHAIN).unwrap_err().to_string();
        assert!(other.contains("record 3 was acknowledged as 00000018"), "{other}");
    }

    #[test]
    fn what_was_acknowledged_is_read_from_the_schedulers_ledger() {
        use holdfast_sdk::Member;
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = holdfast_sdk::net::LedgerFile::open(dir.path(), "journal").unwrap();
        let member = |index: u32, note: &[u8]| {
            KeeperChange::Member(Member { note: note.to_vec(), ..Member::new(index) })
        };
        file.commit(&[member(0, b"41:0badcafe"), member(1, b"")]).unwrap();
        let found = acknowledged(dir.path()).unwrap();
        assert_eq!(
            found,
            BTreeMap::from([(0, Acknowledged { count: 41, last: 0x0bad_cafe })]),
            "while it is open"
        );
        file.commit(&[member(1, b"41")]).unwrap();
        assert!(format!("{:#}", acknowledged(dir.path()).unwrap_err())
            .contains("`41`, the note of member 1"));
        assert!(acknowledged(&dir.path().join("elsewhere")).is_err());
    }
}
