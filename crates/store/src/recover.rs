//! Recovers an engine: gathers the witnesses, reconciles them, repairs what can be repaired, and
//! reports all of it.
//!
//! It relies on `witness` and `reconcile`. It never deletes a damaged file: it is renamed and
//! stays. Until the assessment is complete nothing on the disk is changed, so a failure to open
//! leaves everything as it was.

use crate::contract::{DamagedRecord, StoreError};
use crate::disk::Disk;
use crate::engine::{Bounds, MirrorProgress, Parts};
use crate::entry::Sequence;
use crate::fence;
use crate::identity::Identity;
use crate::journal::scan::{Part, SegmentReading};
use crate::journal::watermark::{self, Mark};
use crate::journal::{Journal, Start};
use crate::mirror::Mirror;
use crate::reconcile::{Evidence, Recovered, State};
use crate::records::Records;
use crate::report::{Finding, OpenError, OpenReport};
use crate::witness::{gather, identify, Expected, Witnesses};

/// What to open, and what to do when it is not there or not whole.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub expected: Expected,
    /// The uuid of a store that is made because none is there; `None` refuses to make one.
    pub uuid_if_new: Option<[u8; 16]>,
    pub accept_lost_commits: bool,
    pub bounds: Bounds,
}

/// The assessment of a directory, before anything is changed.
pub(crate) struct Assessment {
    pub witnesses: Witnesses,
    pub identity: Option<Identity>,
    pub state: State,
    /// Whether the newest segment can take more commits.
    pub resume: bool,
    pub standing: MirrorProgress,
    pub findings: Vec<Finding>,
    pub lost: Option<(u64, u64)>,
}

/// Reads and assesses the files without changing them; `None` when there is no store.
pub(crate) fn assess(
    disk: &mut impl Disk,
    mirror: &mut impl Mirror,
    expected: &Expected,
) -> Result<Option<Assessment>, OpenError> {
    let mut witnesses = gather(disk, mirror)?;
    let identity = identify(&mut witnesses, expected)?;
    if witnesses.is_empty() {
        return Ok(None);
    }
    let mut findings = note_files(&witnesses);
    let case = Evidence::new(&witnesses, disk.boot());
    let (mut resume, mut lost) = (false, None);
    let state = match case.recover(|| mirror.read()) {
        Recovered::Whole(whole) => {
            let newest = witnesses.newest();
            // A last commit that no watermark confirms may be in the page cache only, even after a
            // sync that "worked" once more after one that failed: it is written anew into a new
            // segment.
            let confirmed = witnesses
                .watermark
                .newest
                .as_ref()
                .is_some_and(|mark| mark.sequence == whole.sequence);
            resume = confirmed
                && newest.is_some_and(|segment| {
                    segment.is_spotless() && segment.header.number == witnesses.last_number()
                });
            whole
        }
        Recovered::Proven(proven, source) => {
            findings.push(Finding::JournalRebuilt { source, sequence: proven.sequence });
            proven
        }
        Recovered::Fenced(rest, damaged) => raise_fences(rest, damaged, &mut findings),
        Recovered::Lost { state: rest, from, to, damaged } => {
            lost = Some((from, to));
            findings.push(Finding::CommitsLost { from, to });
            raise_fences(rest, damaged, &mut findings)
        }
    };
    let unproven = findings.iter().any(|finding| matches!(finding, Finding::RecordDamaged(_)));
    let mut standing = MirrorProgress::default();
    let before = findings.len();
    if let Some((sealed, pending)) = case.mirror_behind(&state, &mut findings).filter(|_| !unproven)
    {
        (standing.sealed, standing.pending) = (Some(sealed), pending);
    }
    standing.keep_old = unproven
        || findings[before..]
            .iter()
            .any(|finding| matches!(finding, Finding::MirrorDamaged { .. }));
    Ok(Some(Assessment { witnesses, identity, state, resume, standing, findings, lost }))
}

fn raise_fences(
    mut state: State,
    damaged: Vec<DamagedRecord>,
    findings: &mut Vec<Finding>,
) -> State {
    for each in damaged {
        let raised = fence::raise(&each);
        state.records.apply(state.sequence, &raised.tree, &raised.key, raised.value.as_deref());
        findings.push(Finding::RecordDamaged(each));
    }
    state
}

/// What is wrong in a segment, without a last commit that was half written and never acknowledged.
fn damage_in<'a>(
    segment: &'a SegmentReading,
    mark: Option<&Mark>,
) -> impl Iterator<Item = Finding> + 'a {
    let half = half_written(segment, mark);
    segment
        .findings
        .iter()
        .filter(move |finding| !matches!(finding, Finding::LaneRepaired { offset, .. } if Some(*offset) == half))
        .cloned()
}

/// The offset of the last frame, if it is in one lane only and nothing says that it was
/// acknowledged when this segment was in use: a later segment means that a recovery found it so,
/// reported it, and started anew. A closing frame is never acknowledged.
fn half_written(segment: &SegmentReading, mark: Option<&Mark>) -> Option<u64> {
    let Some(Part::Whole(last)) = segment.parts.last() else { return None };
    let past =
        |mark: &Mark| mark.sequence < last.header.sequence || mark.segment > segment.header.number;
    let last_offset = segment.next.offset - last.len as u64;
    let possible = segment.closed || mark.is_none_or(past);
    let half = |finding: &Finding| matches!(finding, Finding::LaneRepaired { offset, .. } if *offset == last_offset);
    (possible && segment.findings.iter().any(half)).then_some(last_offset)
}

fn note_files(witnesses: &Witnesses) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, reason) in &witnesses.unreadable {
        findings.push(Finding::SegmentDamaged { file: file.clone(), reason: reason.clone() });
    }
    let mark = witnesses.watermark.newest.as_ref();
    for segment in &witnesses.segments {
        findings.extend(damage_in(segment, mark));
        for hole in segment.holes() {
            let reason = format!("lane offset {}: a frame is damaged in both copies", hole.offset);
            findings.push(Finding::SegmentDamaged { file: segment.file.clone(), reason });
        }
        let torn = segment
            .tail
            .first()
            .map(|hole| hole.offset)
            .or(segment.trailing_offset)
            .or(half_written(segment, mark));
        let newest =
            witnesses.newest().is_some_and(|newest| newest.header.number == segment.header.number);
        if let Some(offset) = torn.filter(|_| newest) {
            findings.push(match mark.is_some_and(|mark| mark.sequence > segment.head().0) {
                true => {
                    let reason = format!(
                        "lane offset {offset}: acknowledged commits are damaged in both copies"
                    );
                    Finding::SegmentDamaged { file: segment.file.clone(), reason }
                }
                false => Finding::TornTail { file: segment.file.clone(), offset },
            });
        }
    }
    let numbers: Vec<u64> =
        witnesses.segments.iter().map(|segment| segment.header.number).collect();
    let newest_known = witnesses.last_number();
    if numbers.is_empty() || !numbers.contains(&newest_known) {
        findings.push(Finding::SegmentMissing { number: newest_known.max(1) });
    }
    // A crash between the first segment and the first watermark is no damage.
    let being_made =
        !witnesses.watermark.present && numbers == [1] && witnesses.segments[0].head().0 == 0;
    if let Some(offset) = witnesses.watermark.torn {
        findings.push(Finding::TornTail { file: watermark::FILE.to_owned(), offset });
    } else if (mark.is_none() || witnesses.watermark.damaged_slots > 0) && !being_made {
        let reason = match (witnesses.watermark.present, mark.is_some()) {
            (false, _) => "the file is missing".to_owned(),
            (true, true) => format!("{} of 4 slots are damaged", witnesses.watermark.damaged_slots),
            (true, false) => "no slot is whole and ours".to_owned(),
        };
        findings.push(Finding::WatermarkDamaged { reason });
    }
    findings
}

/// Opens, repairs and reports.
pub(crate) fn open(
    disk: &mut impl Disk,
    mirror: &mut impl Mirror,
    opening: &Opening,
) -> Result<(Parts, OpenReport), OpenError> {
    let Some(assessment) = assess(disk, mirror, &opening.expected)? else {
        return make(disk, opening);
    };
    if let Some((from, to)) = assessment.lost.filter(|_| !opening.accept_lost_commits) {
        let reasons: Vec<String> = assessment.findings.iter().map(ToString::to_string).collect();
        return Err(OpenError::CommitsLost { from, to, reason: reasons.join("; ") });
    }
    let identity = assessment.identity.clone().unwrap_or_else(|| {
        let uuid = opening.expected.uuid.or(opening.uuid_if_new).unwrap_or_default();
        Identity::new(opening.expected.kind.clone().unwrap_or_default(), uuid)
    });
    let Assessment { witnesses, state, resume, standing, mut findings, .. } = assessment;
    for file in &witnesses.leftovers {
        disk.remove(file).map_err(OpenError::io(file))?;
    }
    let journal = match witnesses.newest().filter(|_| resume) {
        Some(newest) => {
            // The process may have died after this segment's rename and before the directory's sync.
            disk.sync(&newest.file)
                .and_then(|()| disk.sync_names())
                .map_err(OpenError::io(&newest.file))?;
            Journal::resume(&newest.header, &newest.file, &newest.next)
        }
        None => {
            start_segment(disk, &identity, witnesses.last_number() + 1, &state, &opening.bounds)?
        }
    };
    let mark = Mark {
        identity: identity.clone(),
        turn: witnesses.watermark.newest.as_ref().map_or(1, |mark| mark.turn + 1),
        segment: journal.number(),
        sequence: state.sequence,
        term: state.term,
        mirror: standing.sealed.unwrap_or(0),
        state: state.records.digest(),
        boot: disk.boot().unwrap_or_default(),
        last: false,
    };
    // A mark that says that nothing follows must not stay: commits follow.
    let last = witnesses.watermark.newest.as_ref().is_some_and(|mark| mark.last);
    if !resume || last || witnesses.watermark.damaged_slots > 0 {
        watermark::create(disk, &mark).map_err(OpenError::io(watermark::FILE))?;
    }
    set_aside(disk, &witnesses, &mut findings)?;
    Ok(assemble(
        Parts {
            identity,
            bounds: opening.bounds.clone(),
            records: state.records,
            sequence: state.sequence,
            term: state.term,
            journal,
            mark,
            standing,
        },
        findings,
    ))
}

fn make(disk: &mut impl Disk, opening: &Opening) -> Result<(Parts, OpenReport), OpenError> {
    let Some(uuid) = opening.expected.uuid.or(opening.uuid_if_new) else {
        return Err(OpenError::Absent { dir: Default::default() });
    };
    let identity = Identity::new(opening.expected.kind.clone().unwrap_or_default(), uuid);
    let state = State { records: Records::default(), sequence: 0, term: 0 };
    make_from(disk, identity, state, &opening.bounds)
}

/// Makes a store that starts from `state` where there is none.
pub(crate) fn make_from(
    disk: &mut impl Disk,
    identity: Identity,
    state: State,
    bounds: &Bounds,
) -> Result<(Parts, OpenReport), OpenError> {
    let journal = start_segment(disk, &identity, 1, &state, bounds)?;
    let mark = Mark {
        identity: identity.clone(),
        turn: 1,
        segment: journal.number(),
        sequence: state.sequence,
        term: state.term,
        mirror: 0,
        state: state.records.digest(),
        boot: disk.boot().unwrap_or_default(),
        last: false,
    };
    watermark::create(disk, &mark).map_err(OpenError::io(watermark::FILE))?;
    let State { records, sequence, term } = state;
    let standing = MirrorProgress::default();
    let parts = Parts {
        identity,
        bounds: bounds.clone(),
        records,
        sequence,
        term,
        journal,
        mark,
        standing,
    };
    Ok(assemble(parts, vec![Finding::Created]))
}

fn assemble(parts: Parts, findings: Vec<Finding>) -> (Parts, OpenReport) {
    let report = OpenReport {
        identity: parts.identity.clone(),
        sequence: Sequence(parts.sequence),
        term: parts.term,
        counts: parts.records.counts(),
        digest: parts.records.digest(),
        findings,
    };
    (parts, report)
}

fn start_segment(
    disk: &mut impl Disk,
    identity: &Identity,
    number: u64,
    state: &State,
    bounds: &Bounds,
) -> Result<Journal, OpenError> {
    let start = Start {
        identity,
        number,
        sequence: state.sequence,
        term: state.term,
        records: &state.records,
        lane_bytes_min: bounds.segment_bytes,
        payload_bytes: 0,
    };
    Journal::create(disk, &start).map_err(|error| match error {
        StoreError::Write { file, source } | StoreError::Sync { file, source } => {
            OpenError::Io { file, source }
        }
        other => {
            OpenError::Io { file: "the journal".to_owned(), source: std::io::Error::other(other) }
        }
    })
}

/// Renames every damaged journal file, so that it stays as evidence and out of the way of the next
/// open.
fn set_aside(
    disk: &mut impl Disk,
    witnesses: &Witnesses,
    findings: &mut Vec<Finding>,
) -> Result<(), OpenError> {
    let mark = witnesses.watermark.newest.as_ref();
    let damaged = witnesses.segments.iter().filter(|segment| {
        let lost_tail = mark.is_some_and(|mark| {
            mark.segment == segment.header.number && mark.sequence > segment.head().0
        });
        damage_in(segment, mark).next().is_some() || segment.holes().next().is_some() || lost_tail
    });
    let files: Vec<&String> = damaged
        .map(|segment| &segment.file)
        .chain(witnesses.unreadable.iter().map(|(file, _)| file))
        .collect();
    let mut taken = witnesses.names.clone();
    for file in &files {
        let aside = crate::mirror::aside_name(|name| taken.iter().any(|known| known == name), file);
        disk.rename(file, &aside).map_err(OpenError::io(*file))?;
        taken.push(aside.clone());
        findings.push(Finding::SetAside { file: (*file).clone(), aside });
    }
    if !files.is_empty() {
        disk.sync_names().map_err(OpenError::io("the state directory"))?;
    }
    Ok(())
}
