//! The address that the leader announced, to which a standby redirects clients.
//!
//! It relies on `durable_file`. A hint is never proof of leadership, and never synced: after a
//! power cut no hint is as good as an old one.

use crate::durable_file::{read, replace};
use crate::leadership::LeadershipError;
use std::path::Path;

const ADDRESS_BYTES_MAX: usize = 256;

/// A leader as it announced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The term it announced itself under.
    pub term: u64,
    /// The address, as `host:port`.
    pub address: String,
}

pub(crate) fn write(path: &Path, leader: &Leader) -> Result<(), LeadershipError> {
    let address = &leader.address;
    if address.is_empty()
        || address.len() > ADDRESS_BYTES_MAX
        || address.chars().any(|c| c.is_control() || c.is_whitespace())
    {
        return Err(LeadershipError::BadAddress { address: address.clone() });
    }
    let io = |source| LeadershipError::Io { file: path.to_owned(), source };
    replace(path, format!("{}\n", line(leader)).as_bytes(), false).map_err(io)
}

/// Reads the last hint; `None` when there is no whole one.
pub(crate) fn last(path: &Path) -> Result<Option<Leader>, LeadershipError> {
    let io = |source| LeadershipError::Io { file: path.to_owned(), source };
    let Some(bytes) = read(path).map_err(io)? else { return Ok(None) };
    Ok(std::str::from_utf8(&bytes).ok().and_then(parse))
}

fn line(leader: &Leader) -> String {
    let body = format!("{} {}", leader.term, leader.address);
    format!("{body} {:08x}", crc32fast::hash(body.as_bytes()))
}

fn parse(text: &str) -> Option<Leader> {
    let mut words = text.trim_end().split(' ');
    let leader = Leader { term: words.next()?.parse().ok()?, address: words.next()?.to_owned() };
    (text.trim_end() == line(&leader)).then_some(leader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn hints_round_trip_and_damage_is_no_hint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leader");
        assert_eq!(last(&path).unwrap(), None);
        let leader = Leader { term: 3, address: "127.0.0.1:5050".into() };
        write(&path, &leader).unwrap();
        assert_eq!(last(&path).unwrap(), Some(leader.clone()));
        fs::write(&path, "3 127.0.0.1:5051 00000000\n").unwrap();
        assert_eq!(last(&path).unwrap(), None);
        for address in ["", "two words", "line\nbreak"] {
            let refused = write(&path, &Leader { address: address.into(), ..leader.clone() });
            assert!(matches!(refused, Err(LeadershipError::BadAddress { .. })), "{address:?}");
        }
    }
}
