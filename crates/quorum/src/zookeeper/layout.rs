//! Where what lies in the ensemble: the election as Mesos lays it out, and the journal beside it.
//!
//! It relies on nothing. Nothing of ours but election nodes ever lies below the path of the
//! election, because existing clients take whatever they find there for a master.

use super::address::{ZooKeeperAddress, JOURNAL_SUFFIX};
use super::head::Pointer;

/// What the name of an election node begins with.
const CANDIDATE: &str = "json.info_";
/// Digits of an election node's number.
const CANDIDATE_DIGITS: usize = 10;
/// What a real Mesos master keeps at the path of the election.
const MESOS_LOG: &str = "log_replicas";
/// Batches in one folder of the log: a folder with very many children cannot be listed.
pub(crate) const FOLDER_BATCHES: u64 = 1_000;

/// The paths of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The path of the election.
    pub election: String,
    /// The path of the journal.
    pub journal: String,
}

impl Layout {
    pub fn new(address: &ZooKeeperAddress) -> Layout {
        let election = address.path().to_owned();
        Layout { journal: format!("{election}{JOURNAL_SUFFIX}"), election }
    }

    /// An election node by its name.
    pub fn candidate(&self, name: &str) -> String {
        format!("{}/{name}", self.election)
    }

    /// What the ensemble completes to the path of an election node.
    pub fn candidate_prefix(&self) -> String {
        self.candidate(CANDIDATE)
    }

    /// The head: what was committed last.
    pub fn head(&self) -> String {
        format!("{}/head", self.journal)
    }

    /// The leader's heartbeat.
    pub fn beat(&self) -> String {
        format!("{}/beat", self.journal)
    }

    /// The folders that a journal consists of, each after the one that it lies in.
    pub fn folders(&self) -> [String; 4] {
        [self.journal.clone(), self.log(), self.parts(), self.checkpoints()]
    }

    /// The folders of batches.
    pub fn log(&self) -> String {
        format!("{}/log", self.journal)
    }

    /// A folder of batches by its name.
    pub fn log_folder(&self, name: &str) -> String {
        format!("{}/{name}", self.log())
    }

    /// The folder that has this batch.
    pub fn folder_of(&self, sequence: u64) -> String {
        self.log_folder(&folder_name(sequence))
    }

    /// A batch.
    pub fn batch(&self, sequence: u64) -> String {
        format!("{}/{sequence:020}", self.folder_of(sequence))
    }

    /// What was too large for one node, by batch.
    pub fn parts(&self) -> String {
        format!("{}/parts", self.journal)
    }

    /// The parts of one batch.
    pub fn parts_of(&self, term: u64, sequence: u64) -> String {
        format!("{}/{}", self.parts(), stamp(term, sequence))
    }

    /// All checkpoints: one that is valid, at most, and others that are being made or removed.
    pub fn checkpoints(&self) -> String {
        format!("{}/checkpoints", self.journal)
    }

    /// One checkpoint.
    pub fn checkpoint(&self, pointer: &Pointer) -> String {
        format!("{}/{}", self.checkpoints(), stamp(pointer.term, pointer.from))
    }
}

/// One of the numbered pieces of something that is too large for one node.
pub(crate) fn piece(folder: &str, number: u64) -> String {
    format!("{folder}/{number:010}")
}

/// The name of the folder that has this batch.
pub(crate) fn folder_name(sequence: u64) -> String {
    format!("{:017}", sequence / FOLDER_BATCHES)
}

/// Whether this batch is the first of its folder, which is made with it.
pub(crate) fn begins_folder(sequence: u64) -> bool {
    sequence == 1 || sequence.is_multiple_of(FOLDER_BATCHES)
}

/// A name that only one leader ever gives to something.
fn stamp(term: u64, sequence: u64) -> String {
    format!("{term:020}-{sequence:020}")
}

/// The term and the sequence in a name that [`stamp`] made.
pub(crate) fn parse_stamp(name: &str) -> Option<(u64, u64)> {
    let (term, sequence) = name.split_once('-')?;
    Some((term.parse().ok()?, sequence.parse().ok()?))
}

/// The election nodes among the children of the election's path, the one that leads first.
pub(crate) fn candidates(children: &[String]) -> Vec<String> {
    let is_number =
        |it: &str| it.len() >= CANDIDATE_DIGITS && it.bytes().all(|c| c.is_ascii_digit());
    let is_candidate = |it: &&String| it.strip_prefix(CANDIDATE).is_some_and(is_number);
    let mut found: Vec<String> = children.iter().filter(is_candidate).cloned().collect();
    // A longer number is a greater one: they are padded to a fixed width as long as they fit.
    found.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    found
}

/// Whether a real Mesos master keeps its replicated log here.
pub(crate) fn is_of_mesos(children: &[String]) -> bool {
    children.iter().any(|it| it == MESOS_LOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_candidates_lies_below_the_elections_path() {
        let layout = Layout::new(&"zk://a:1/mesos".parse().unwrap());
        assert_eq!(layout.candidate_prefix(), "/mesos/json.info_");
        assert_eq!(layout.head(), "/mesos.holdfast/head");
        assert_eq!(
            layout.batch(12_345),
            "/mesos.holdfast/log/00000000000000012/00000000000000012345"
        );
        let parts = layout.parts_of(3, 7);
        assert_eq!(parse_stamp(parts.rsplit_once('/').unwrap().1), Some((3, 7)));
        for path in layout.folders().iter().chain([&layout.head(), &layout.batch(1), &parts]) {
            assert!(path.starts_with("/mesos.holdfast"), "{path}");
        }
    }

    #[test]
    fn a_folder_begins_with_its_first_batch() {
        let begun: Vec<u64> = (1..=2_001).filter(|it| begins_folder(*it)).collect();
        assert_eq!(begun, [1, 1_000, 2_000]);
        for sequence in 2..2_001 {
            let is_new = folder_name(sequence) != folder_name(sequence - 1);
            assert_eq!(is_new, begins_folder(sequence), "{sequence}");
        }
    }

    #[test]
    fn the_lowest_candidate_leads_and_others_are_none() {
        let children = [
            "log_replicas",
            "json.info_0000000010",
            "json.info_0000000009",
            "info_0000000001",
            "json.info_x",
        ]
        .map(str::to_owned);
        assert_eq!(candidates(&children), ["json.info_0000000009", "json.info_0000000010"]);
        assert!(is_of_mesos(&children) && !is_of_mesos(&children[1..]));
    }
}
