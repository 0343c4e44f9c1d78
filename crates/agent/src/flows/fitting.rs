//! Fitting what the machine is said to have to what is there of its disks.
//!
//! Relies on `bookkeeping/space.rs` for the sum. Never takes back what is claimed.

use std::collections::BTreeMap;

use holdfast_model::{DiskId, DiskSpace};

use crate::bookkeeping::space::{usable, Look, Usable};
use crate::bookkeeping::telling::tell_space;
use crate::bookkeeping::Step;
use crate::parts::{Disks, MasterLink, ReportWish};

/// A change of free or used space by less than this part of a file system is no news for the master.
const NEWS: u64 = 64;

/// Finds what of the disks can be claimed now, and has the master told if that is news.
pub(crate) fn fit_to_space(step: &mut Step<'_>, disks: &mut Disks, master: &mut MasterLink) {
    step.take_space_stale();
    let released = step.take_released();
    disks.note_used(&released, step.ledger());
    let Some(machine) = disks.machine() else { return };
    let look = Look {
        declared: disks.declared(),
        found: disks.found(),
        is_well: &|disk| disks.fault(disk).is_none(),
        used: &|disk| disks.used(disk),
        kinds: &|disk| disks.kinds(disk),
    };
    let Usable { base, spaces } = usable(&look, step.ledger(), &machine.resources);
    note_overcommitment(step, disks.spaces(), &spaces);
    let is_other_base = base != machine.resources || !step.totals().has_base();
    let is_news = is_other_base || are_news(disks.spaces(), &spaces);
    if is_other_base {
        disks.set_usable(&base);
        if step.set_base(&base) {
            master.want_report(ReportWish::News);
        }
    }
    if is_news {
        disks.set_spaces(spaces);
        tell_space(step, disks, master);
    }
}

/// Says once when more is claimed of a disk than is there, and once when that is over.
fn note_overcommitment(
    step: &mut Step<'_>,
    before: &BTreeMap<DiskId, DiskSpace>,
    now: &BTreeMap<DiskId, DiskSpace>,
) {
    let short = |spaces: &BTreeMap<DiskId, DiskSpace>, disk| {
        spaces.get(disk).map_or(0, |it: &DiskSpace| it.overcommitted_mb)
    };
    for (disk, space) in now {
        match (short(before, disk), space.overcommitted_mb) {
            (0, missing) if 0 < missing => step.log(format!(
                "disk {disk}: {missing} MB of what is claimed of its file system and not used yet are not there: {} MB are free; other files take the rest",
                space.free_mb
            )),
            (1.., 0) => step.log(format!("disk {disk}: all that is claimed of it is there again")),
            _ => {}
        }
    }
}

/// Whether it is worth a report how much space there is.
fn are_news(before: &BTreeMap<DiskId, DiskSpace>, now: &BTreeMap<DiskId, DiskSpace>) -> bool {
    let is_other = |(old, new): (&DiskSpace, &DiskSpace)| {
        let step = new.total_mb / NEWS;
        let differ = |a: u64, b: u64| step < a.abs_diff(b);
        (&old.file_system, &old.limit) != (&new.file_system, &new.limit)
            || differ(old.total_mb, new.total_mb)
            || differ(old.free_mb, new.free_mb)
            || old.used_mb.is_some() != new.used_mb.is_some()
            || differ(old.used_mb.unwrap_or(0), new.used_mb.unwrap_or(0))
            || (old.overcommitted_mb == 0) != (new.overcommitted_mb == 0)
            || differ(old.overcommitted_mb, new.overcommitted_mb)
    };
    !before.keys().eq(now.keys()) || before.values().zip(now.values()).any(is_other)
}
