//! Gathers what the files say before anything is concluded from them: segments, watermark, the seal
//! of the mirror, and the owner that they name.
//!
//! It relies on `journal`, `mirror`. It never changes a file.

use crate::disk::Disk;
use crate::identity::{Identity, KIND_BYTES_MAX};
use crate::journal::scan::{read_segment, SegmentReading, Unreadable};
use crate::journal::segment::number_of;
use crate::journal::watermark::{self, WatermarkReading};
use crate::mirror::{Mirror, Survey};
use crate::report::{Finding, OpenError};
use std::collections::BTreeMap;
use std::io;

/// All witnesses of one store.
#[derive(Debug)]
pub(crate) struct Witnesses {
    /// Readable segments of this store, by number.
    pub segments: Vec<SegmentReading>,
    /// The names of files that should be segments of this store and are not, with the reason.
    pub unreadable: Vec<(String, String)>,
    pub watermark: WatermarkReading,
    pub survey: Survey,
    /// Half-made files of an earlier crash: not part of anything.
    pub leftovers: Vec<String>,
    /// Every name in the directory.
    pub names: Vec<String>,
}

/// The owner that the store is expected to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// `None` accepts whatever is there.
    pub kind: Option<String>,
    pub uuid: Option<[u8; 16]>,
}

impl Witnesses {
    /// Whether the directory never held a store.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
            && self.unreadable.is_empty()
            && !self.watermark.present
            && matches!(self.survey, Survey::Missing)
    }

    /// The newest segment that can be read.
    pub fn newest(&self) -> Option<&SegmentReading> {
        self.segments.last()
    }

    /// The highest number any witness knows of a segment.
    pub fn last_number(&self) -> u64 {
        let named = self.names.iter().filter_map(|name| number_of(name));
        let marked = self.watermark.newest.iter().map(|mark| mark.segment);
        let read =
            self.segments.iter().map(|segment| segment.header.number + u64::from(segment.closed));
        named.chain(marked).chain(read).max().unwrap_or(0)
    }

    /// The title on the seal of the mirror, if every byte of it is as sealed.
    pub fn sealed(&self) -> Option<&crate::mirror::Title> {
        match &self.survey {
            Survey::Sealed(title) => Some(title),
            _ => None,
        }
    }
}

/// Reads every file of the store.
pub(crate) fn gather(
    disk: &mut impl Disk,
    mirror: &mut impl Mirror,
) -> Result<Witnesses, OpenError> {
    // The watermark is read before everything else: while a process commits, what is read later can
    // only be further on.
    let watermark = match disk.read(watermark::FILE) {
        Ok(bytes) => watermark::read(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => WatermarkReading::default(),
        Err(source) => return Err(OpenError::Io { file: watermark::FILE.to_owned(), source }),
    };
    let names = disk.list().map_err(OpenError::io("the state directory"))?;
    let mut unreadable = Vec::new();
    let mut by_number: BTreeMap<u64, SegmentReading> = BTreeMap::new();
    for file in names.iter().filter(|name| number_of(name).is_some()) {
        let bytes = disk.read(file).map_err(OpenError::io(file))?;
        let mut segment = match read_segment(file, &bytes) {
            Ok(segment) => segment,
            Err(Unreadable::Newer(version)) => {
                return Err(OpenError::Newer { file: file.clone(), version })
            }
            Err(Unreadable::Damaged(reason)) => {
                unreadable.push((file.clone(), reason));
                continue;
            }
        };
        let number = segment.header.number;
        if number_of(file) != Some(number) {
            let reason = format!("holds segment {number}: files were swapped or copied");
            segment.findings.push(Finding::SegmentDamaged { file: file.clone(), reason });
        }
        let rank = |segment: &SegmentReading| {
            (segment.head().0, segment.parts.len(), number_of(&segment.file) == Some(number))
        };
        let worse = match by_number.remove(&number) {
            Some(other) if rank(&other) > rank(&segment) => std::mem::replace(&mut segment, other),
            Some(other) => other,
            None => {
                by_number.insert(number, segment);
                continue;
            }
        };
        unreadable.push((worse.file, format!("a second copy of segment {number}")));
        by_number.insert(number, segment);
    }
    let survey = mirror.survey();
    if let Survey::Newer(version) = survey {
        return Err(OpenError::Newer { file: "books.seal".to_owned(), version });
    }
    let leftovers = names
        .iter()
        .filter(|name| name.ends_with(".new") && *name != "books.seal.new")
        .cloned()
        .collect();
    Ok(Witnesses {
        segments: by_number.into_values().collect(),
        unreadable,
        watermark,
        survey,
        leftovers,
        names,
    })
}

/// Finds the owner of the store: the expected one, else the one that most files name. Files of
/// others become unreadable ones. `None` when no file names an owner.
pub(crate) fn identify(
    witnesses: &mut Witnesses,
    expected: &Expected,
) -> Result<Option<Identity>, OpenError> {
    if let Some(kind) = expected
        .kind
        .as_ref()
        .filter(|kind| kind.is_empty() || kind.len() > KIND_BYTES_MAX || kind.contains('\0'))
    {
        return Err(OpenError::BadKind { kind: kind.clone() });
    }
    let mut votes: BTreeMap<Identity, u32> = BTreeMap::new();
    let segments = witnesses.segments.iter().map(|segment| &segment.header.identity);
    let mark = witnesses.watermark.newest.iter().map(|mark| &mark.identity);
    for identity in segments.chain(mark).chain(witnesses.sealed().map(|title| &title.identity)) {
        *votes.entry(identity.clone()).or_default() += 1;
    }
    let fits = |identity: &Identity| {
        expected.kind.as_ref().is_none_or(|kind| *kind == identity.kind)
            && expected.uuid.is_none_or(|uuid| uuid == identity.uuid)
    };
    let Some(most) = votes
        .iter()
        .max_by_key(|(identity, votes)| (fits(identity), **votes))
        .map(|(identity, _)| identity.clone())
    else {
        return Ok(None);
    };
    if !fits(&most) {
        let expected = Identity::new(
            expected.kind.clone().unwrap_or_default(),
            expected.uuid.unwrap_or_default(),
        );
        return Err(OpenError::WrongIdentity { found: most, expected });
    }
    let (ours, foreign): (Vec<_>, Vec<_>) = std::mem::take(&mut witnesses.segments)
        .into_iter()
        .partition(|segment| segment.header.identity == most);
    witnesses.segments = ours;
    witnesses.unreadable.extend(
        foreign
            .into_iter()
            .map(|segment| (segment.file, format!("belongs to {}", segment.header.identity))),
    );
    if witnesses.watermark.newest.as_ref().is_some_and(|mark| mark.identity != most) {
        witnesses.watermark.newest = None;
    }
    if let Some(other) =
        witnesses.sealed().map(|title| title.identity.clone()).filter(|identity| *identity != most)
    {
        witnesses.survey = Survey::Damaged(format!("they belong to {other}"));
    }
    Ok(Some(most))
}
