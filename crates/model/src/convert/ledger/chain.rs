//! The chained checksum of an agent's ledger: two ledgers of one version are the same history only if it is the same.
//!
//! Relies on records being written down with it: it is kept, and never worked out again, so that records may be written otherwise by a later
//! version. Never tells of damage: the store does that.

use sha2::{Digest, Sha256};

use super::agent::encode;
use crate::agent_ledger::AgentChange;

/// The checksum with one more commit begun, which makes this version.
pub fn begin(checksum: u64, version: u64) -> u64 {
    end(Sha256::new_with_prefix(checksum.to_be_bytes()).chain_update(version.to_be_bytes()))
}

/// The checksum with the start of a process that has the ledger. Two processes that have copies of one ledger part here.
pub fn start(checksum: u64, process: u128) -> u64 {
    end(Sha256::new_with_prefix(checksum.to_be_bytes()).chain_update(process.to_be_bytes()))
}

/// The checksum with one more change of the commit.
pub fn extend(checksum: u64, change: &AgentChange) -> u64 {
    let entry = encode(change);
    let mut sum = Sha256::new_with_prefix(checksum.to_be_bytes());
    sum.update(entry.tree);
    for part in [Some(entry.key), entry.value] {
        let part = part.as_deref();
        sum.update(part.map_or(u64::MAX, |it| it.len() as u64).to_be_bytes());
        sum.update(part.unwrap_or_default());
    }
    end(sum)
}

/// Never 0, which stands for a ledger of which it is not known.
fn end(sum: Sha256) -> u64 {
    let bytes: [u8; 8] = sum.finalize()[..8].try_into().expect("a digest has 32 bytes");
    u64::from_be_bytes(bytes).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ClaimId, DiskId};

    #[test]
    fn every_change_its_order_and_the_commits_count() {
        let claim = |number| AgentChange::ClaimGone(ClaimId(uuid::Uuid::from_u128(number)));
        let disk = AgentChange::DiskGone(DiskId(uuid::Uuid::from_u128(1)));
        let of = |changes: &[&AgentChange]| {
            changes.iter().fold(begin(0, 1), |sum, change| extend(sum, change))
        };
        let (one, two) = (claim(1), claim(2));
        let sums =
            [of(&[]), of(&[&one]), of(&[&two]), of(&[&disk]), of(&[&one, &two]), of(&[&two, &one])];
        let apart = begin(begin(0, 1), 2);
        for (at, sum) in sums.iter().enumerate() {
            assert!(!sums[..at].contains(sum) && *sum != apart, "{at}");
        }
        assert_eq!(of(&[&one, &two]), of(&[&one, &two]));
    }
}
