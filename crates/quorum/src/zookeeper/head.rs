//! The head of the journal: one line that says what was committed last, by whom, and which
//! checkpoint is valid.
//!
//! It relies on nothing but a checksum. The version that the ensemble gives to its node is the
//! fence: whoever commits names the version that he expects. It never guesses: a line that is not
//! whole, or of a newer format, is an error.

use std::fmt;

const FORMAT: &str = "holdfast-journal";
const FORMAT_VERSION: u32 = 1;

/// SHA-256 of everything that was committed, chained from batch to batch.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Checksum(pub [u8; 32]);

/// What was committed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Tells this journal from another that was made at the same path.
    pub journal: [u8; 16],
    /// The term of the last commit.
    pub term: u64,
    /// The number of the last commit; 0 when there is none.
    pub sequence: u64,
    /// The chained checksum of all commits.
    pub checksum: Checksum,
    /// Bytes of the batches that no checkpoint stands for.
    pub log_bytes: u64,
    /// The checkpoint that is valid.
    pub checkpoint: Option<Pointer>,
}

/// A checkpoint: all records as its commits left them, and some as later ones did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The term in which it was made.
    pub term: u64,
    /// It stands for all commits up to this one; what follows is carried out over it.
    pub from: u64,
    /// The chained checksum of the commit `from`.
    pub at: Checksum,
    /// The number of its chunks.
    pub chunks: u64,
    /// Bytes of all chunks.
    pub bytes: u64,
    /// The chained checksum of its chunks.
    pub checksum: Checksum,
}

/// Why the head cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A newer version wrote it.
    #[error("the journal is of format {version}, which this version does not know; run the version that wrote it")]
    Newer {
        /// The format.
        version: u32,
    },
    /// It is not a whole line of ours.
    #[error("the head of the journal is damaged: {line:?}; restore the ensemble from a backup, or look at it with zkCli.sh")]
    Damaged {
        /// What stands there.
        line: String,
    },
}

/// What became of a commit whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// It was taken.
    Taken,
    /// It was not taken, and cannot be any more.
    NotTaken,
    /// Somebody else has committed.
    Deposed {
        /// His term.
        latest: u64,
    },
}

/// Says what became of a commit that would have changed the head from `mine` to `wanted`, by what
/// was found after the head had changed. Whoever writes under another term begins with a record of
/// his own, so equal checksums are equal histories.
pub(crate) fn resolve(mine: &Head, wanted: &Head, found: &Head) -> Resolved {
    let is = |it: &Head| (it.journal, it.term, it.sequence, it.checksum);
    if is(found) == is(wanted) {
        return Resolved::Taken;
    }
    match is(found) == is(mine) {
        true => Resolved::NotTaken,
        false => Resolved::Deposed { latest: found.term },
    }
}

impl Head {
    /// The head of a journal in which nothing was committed.
    pub fn new(journal: [u8; 16]) -> Head {
        let checksum = Checksum::default();
        Head { journal, term: 0, sequence: 0, checksum, log_bytes: 0, checkpoint: None }
    }

    /// Bytes that the whole journal takes in the ensemble, as far as they are in use.
    pub fn stored_bytes(&self) -> u64 {
        self.log_bytes + self.checkpoint.map_or(0, |it| it.bytes)
    }

    pub fn encode(&self) -> Vec<u8> {
        let journal = hex(&self.journal);
        let Head { term, sequence, checksum, log_bytes, .. } = self;
        let checkpoint = self.checkpoint.map_or_else(|| "none".to_owned(), Pointer::encode);
        let body = format!(
            "{FORMAT} {FORMAT_VERSION} {journal} term {term} sequence {sequence} checksum {checksum} log-bytes {log_bytes} checkpoint {checkpoint}"
        );
        format!("{body} crc {:08x}", crc32fast::hash(body.as_bytes())).into_bytes()
    }

    pub fn decode(bytes: &[u8]) -> Result<Head, HeadError> {
        let line = String::from_utf8_lossy(bytes);
        let mut words = line.split(' ').skip(1);
        let version = words.next().and_then(|it| it.parse().ok());
        if let Some(version) = version.filter(|it| line.starts_with(FORMAT) && *it > FORMAT_VERSION)
        {
            return Err(HeadError::Newer { version });
        }
        let head = Head::parse(words).filter(|it| it.encode() == bytes);
        head.ok_or_else(|| HeadError::Damaged { line: line.chars().take(500).collect() })
    }

    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Head> {
        let journal = unhex(words.next()?)?;
        let [term, sequence] = [words.nth(1)?, words.nth(1)?].map(str::parse);
        let checksum = Checksum(unhex(words.nth(1)?)?);
        let log_bytes = words.nth(1)?.parse().ok()?;
        let checkpoint = match words.nth(1)? {
            "none" => None,
            text => Some(Pointer::parse(text)?),
        };
        let (term, sequence) = (term.ok()?, sequence.ok()?);
        Some(Head { journal, term, sequence, checksum, log_bytes, checkpoint })
    }
}

impl Pointer {
    fn encode(self) -> String {
        let Pointer { term, from, at, chunks, bytes, checksum } = self;
        format!("{term}:{from}:{at}:{chunks}:{bytes}:{checksum}")
    }

    fn parse(text: &str) -> Option<Pointer> {
        let mut words = text.split(':');
        Some(Pointer {
            term: words.next()?.parse().ok()?,
            from: words.next()?.parse().ok()?,
            at: Checksum(unhex(words.next()?)?),
            chunks: words.next()?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
            checksum: Checksum(unhex(words.next()?)?),
        })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let pointer = Pointer {
            term: 4,
            from: 90,
            at: Checksum([1; 32]),
            chunks: 3,
            bytes: 700_000,
            checksum: Checksum([2; 32]),
        };
        let checksum = Checksum([0xAB; 32]);
        let checkpoint = Some(pointer);
        Head { journal: [7; 16], term: 5, sequence: 99, checksum, log_bytes: 12, checkpoint }
    }

    #[test]
    fn a_head_comes_back_as_it_was_and_damage_is_seen() {
        for head in [head(), Head::new([9; 16])] {
            let bytes = head.encode();
            assert_eq!(Head::decode(&bytes), Ok(head));
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                assert!(Head::decode(&flipped).is_err(), "flip at {at}");
                assert!(Head::decode(&bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let newer = b"holdfast-journal 2 something that nobody knows yet";
        assert_eq!(Head::decode(newer), Err(HeadError::Newer { version: 2 }));
        assert!(matches!(Head::decode(b""), Err(HeadError::Damaged { .. })));
    }

    #[test]
    fn a_lost_answer_is_resolved_by_what_is_found() {
        let mine = head();
        let wanted = Head { sequence: 100, checksum: Checksum([3; 32]), ..mine.clone() };
        let stranger = Head { term: 6, sequence: 100, checksum: Checksum([4; 32]), ..mine.clone() };
        // Its own attempt to make sure has changed the head's version, but nothing that it says.
        assert_eq!(resolve(&mine, &wanted, &mine), Resolved::NotTaken);
        assert_eq!(resolve(&mine, &wanted, &wanted), Resolved::Taken);
        assert_eq!(resolve(&mine, &wanted, &stranger), Resolved::Deposed { latest: 6 });
        let elsewhere = Head { journal: [8; 16], ..wanted.clone() };
        assert_eq!(resolve(&mine, &wanted, &elsewhere), Resolved::Deposed { latest: 5 });
    }
}
