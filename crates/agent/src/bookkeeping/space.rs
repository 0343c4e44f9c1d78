//! How much of each disk there is to be claimed: never more than its file system has.
//!
//! What is claimed of a disk is never taken back. What nobody has claimed yet is offered only as far as it is there: several disks on one
//! file system share its space, and what other files take (the trash, sandboxes, anybody's) cannot be claimed. Relies on
//! what the last look measured and on the ledger for what is claimed. Never counts the unused part of a volume as free, and never offers
//! more of a disk than the settings name of it.

use std::collections::BTreeMap;

use holdfast_model::{
    AgentLedger, ClaimedSpace, DiskId, DiskSpace, Identity, Resource, Resources, Scalar, Value,
};

use crate::contract::{DiskFound, FoundSpace};

/// What is unclaimed of a disk changes in steps of this part of its size, so that each file that comes or goes is not news for the master.
const STEPS: i64 = 64;

/// What of a machine can be claimed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usable {
    /// What the machine has before any claim is laid on it.
    pub(crate) base: Resources,
    /// The space on each disk whose file system was measured.
    pub(crate) spaces: BTreeMap<DiskId, DiskSpace>,
}

/// A part of the machine's disk space with one identity.
struct Extent<'a> {
    identity: &'a Identity,
    /// As the settings say.
    declared: Scalar,
    claimed: ClaimedSpace,
    /// The disk that carries it, when that is there and well.
    disk: Option<&'a DiskFound>,
    /// What of it may be claimed beside the claims that there are.
    room: Scalar,
}

impl Extent<'_> {
    /// How much of the settings' size is not claimed, if of all extents of its file system only `part` of `whole` is there.
    fn unclaimed(&self, part: i64, whole: i64) -> Scalar {
        if self.identity.is_exclusive() && Scalar::ZERO < self.claimed.amount {
            return Scalar::ZERO;
        }
        scaled(self.declared, part, whole).minus(self.claimed.amount).max(Scalar::ZERO)
    }

    /// How much of it was said to be there to be claimed, at most what may be now.
    fn said(&self, before: &Resources) -> Option<Scalar> {
        let said = before.get(self.identity)?.value.quantity().minus(self.claimed.amount);
        Some(said.clamp(Scalar::ZERO, self.room))
    }

    /// By what it changes, in thousandths of megabytes.
    fn step(&self) -> i64 {
        (self.declared.as_whole() / STEPS).max(1) * 1000
    }

    /// What the machine is said to have of it.
    fn amount(&self) -> Scalar {
        if self.disk.is_none() {
            return self.claimed.amount; // Nobody can use it, and nobody loses it.
        }
        let is_whole =
            self.identity.is_exclusive() && self.disk.is_some_and(|it| it.space.is_none());
        match is_whole {
            true => self.declared,
            false => self.claimed.amount.min(self.declared).plus(self.room),
        }
    }
}

/// What the settings and the drivers say of the disks.
pub(crate) struct Look<'a> {
    /// What the machine has by its settings.
    pub(crate) declared: &'a Resources,
    /// The disks as they were found.
    pub(crate) found: &'a [DiskFound],
    /// Whether a disk of the ledger may be used.
    pub(crate) is_well: &'a dyn Fn(DiskId) -> bool,
    /// How much of their sizes the volumes of a disk use.
    pub(crate) used: &'a dyn Fn(DiskId) -> Scalar,
    /// Whether volumes of a disk were found that are images of fixed size, and some that are not.
    pub(crate) kinds: &'a dyn Fn(DiskId) -> (bool, bool),
}

/// What can be claimed of disks that look so. `before` is what was answered last.
pub(crate) fn usable(look: &Look<'_>, ledger: &AgentLedger, before: &Resources) -> Usable {
    let is_well = |it: &&DiskFound| it.fault.is_none() && (look.is_well)(it.disk.id);
    let well: Vec<&DiskFound> = look.found.iter().filter(is_well).collect();
    let declared = look.declared;
    let mut extents = extents(declared, &well, ledger);
    let mut spaces = BTreeMap::new();
    for disks in by_file_system(&well) {
        let used = disks.iter().map(|it| (look.used)(it.disk.id)).fold(Scalar::ZERO, Scalar::plus);
        if let Some(left) = share(&mut extents, &disks, used, before) {
            spaces.extend(disks.iter().filter_map(|disk| {
                let space = disk.space.as_ref()?;
                Some((disk.disk.id, space_of(space, &left, (look.kinds)(disk.disk.id))))
            }));
        }
    }
    let mut base = declared.filter(|it| !is_disk_space(it));
    for extent in &extents {
        let value = Value::Scalar(extent.amount());
        if !value.is_empty() {
            base.add(&Resource { value, ..whole(extent.identity) });
        }
    }
    Usable { base, spaces }
}

fn is_disk_space(identity: &Identity) -> bool {
    identity.name == "disk" && identity.provider.is_none()
}

fn whole(identity: &Identity) -> Resource {
    Resource { identity: identity.clone(), ..Resource::scalar("disk", Scalar::ZERO) }
}

/// What the settings name of disks, and what is claimed of them though the settings name it no more.
fn extents<'a>(
    declared: &'a Resources,
    well: &[&'a DiskFound],
    ledger: &'a AgentLedger,
) -> Vec<Extent<'a>> {
    let mut all: BTreeMap<&Identity, Extent<'a>> = BTreeMap::new();
    let extent = |identity: &'a Identity, declared| Extent {
        identity,
        declared,
        claimed: ClaimedSpace::default(),
        disk: well.iter().copied().find(|it| it.disk.carries(identity)),
        room: Scalar::ZERO,
    };
    for (identity, amount) in declared.entries().filter(|(identity, _)| is_disk_space(identity)) {
        all.insert(identity, extent(identity, amount.value.quantity()));
    }
    for (identity, claimed) in ledger.claimed_space().filter(|(it, _)| is_disk_space(it)) {
        let entry = all.entry(identity).or_insert_with(|| extent(identity, Scalar::ZERO));
        entry.claimed = *claimed;
    }
    // What no disk that was ever here carries is a claim that does not fit any more.
    all.retain(|identity, it| {
        it.disk.is_some() || ledger.disks.values().any(|disk| disk.carries(identity))
    });
    all.into_values().collect()
}

/// The disks that are well, those together that share a file system.
fn by_file_system<'a>(well: &[&'a DiskFound]) -> Vec<Vec<&'a DiskFound>> {
    let mut groups: BTreeMap<&str, Vec<&DiskFound>> = BTreeMap::new();
    let mut all = Vec::new();
    for disk in well {
        match &disk.space {
            Some(space) => groups.entry(&space.file_system).or_default().push(disk),
            None => all.push(vec![*disk]),
        }
    }
    all.extend(groups.into_values());
    all
}

/// Shares the space of one file system among its disks, whose volumes use so much of their sizes. What it has, if it was measured.
fn share(
    extents: &mut [Extent<'_>],
    disks: &[&DiskFound],
    used: Scalar,
    before: &Resources,
) -> Option<Left> {
    let is_here = |it: &Extent<'_>| {
        it.disk.is_some_and(|its| disks.iter().any(|one| std::ptr::eq(*one, its)))
    };
    let mut here: Vec<&mut Extent<'_>> = extents.iter_mut().filter(|it| is_here(it)).collect();
    let measured: Vec<&FoundSpace> = disks.iter().filter_map(|it| it.space.as_ref()).collect();
    if measured.is_empty() {
        here.iter_mut().for_each(|it| it.room = it.unclaimed(1, 1));
        return None;
    }
    let left = Left::of(&measured, &here, used);
    let named: i64 = here.iter().map(|it| it.declared.as_thousandths()).sum();
    for extent in &mut here {
        extent.room = extent.unclaimed(left.size.min(named), named);
    }
    // What a whole disk's own directories take is no reason to call it smaller than it is.
    let whole = here.iter().filter(|it| it.identity.is_exclusive());
    let slack = sum(whole.map(|it| it.room)) / STEPS;
    if left.unclaimed + slack < sum(here.iter().map(|it| it.room)) {
        divide(&mut here, left.unclaimed.max(0), before);
    }
    Some(left)
}

/// What a file system has beside what is promised of it, in thousandths of megabytes.
struct Left {
    /// Its size, less what is kept free.
    size: i64,
    /// What can be claimed of it.
    unclaimed: i64,
    /// What is claimed, not used yet, and not there.
    short: i64,
}

impl Left {
    fn of(measured: &[&FoundSpace], here: &[&mut Extent<'_>], used: Scalar) -> Left {
        let least = |of: &dyn Fn(&FoundSpace) -> u64| {
            thousandths(measured.iter().map(|it| of(it)).min().unwrap_or(0))
        };
        let reserve = thousandths(measured.iter().map(|it| it.reserve_mb).max().unwrap_or(0));
        let trash: i64 = measured.iter().map(|it| thousandths(it.trash_mb)).sum();
        let free_now = least(&|it| it.free_mb) + trash;
        let free_then = here_then(measured).map_or(free_now, thousandths);
        let claimed: i64 = here.iter().map(|it| it.claimed.amount.as_thousandths()).sum();
        // What volumes use is free no more, and is promised no more: what was free when they were measured goes with it.
        let promised = claimed - used.as_thousandths();
        let size = least(&|it| it.total_mb) - reserve;
        let short = Some(promised - (free_then - reserve).max(0));
        Left {
            size,
            unclaimed: (free_then - promised).min(free_now) - reserve,
            short: short.filter(|it| size / STEPS < *it).unwrap_or(0),
        }
    }
}

/// What was free, or in the trash, when all volumes of a file system were measured.
fn here_then(measured: &[&FoundSpace]) -> Option<u64> {
    let then = measured.iter().map(|it| it.used.as_ref().map(|used| used.free_mb));
    then.collect::<Option<Vec<u64>>>()?.into_iter().min()
}

fn space_of(found: &FoundSpace, left: &Left, (images, others): (bool, bool)) -> DiskSpace {
    let mb = |thousandths: i64| u64::try_from(thousandths / 1000).unwrap_or(0);
    DiskSpace {
        file_system: found.file_system.clone(),
        total_mb: found.total_mb,
        free_mb: found.free_mb,
        trash_mb: found.trash_mb,
        used_mb: found.used.as_ref().map(|it| it.volumes.values().sum::<u64>() >> 20),
        overcommitted_mb: mb(left.short),
        limit: found.limit.of_volumes(images, others),
    }
}

/// Divides what is left among extents that could take more, in proportion and in steps. As long as it is there, and none could take two steps
/// more, each has what it had: what one of them claims is no news for the others.
fn divide(here: &mut [&mut Extent<'_>], left: i64, before: &Resources) {
    let wanted = sum(here.iter().map(|it| it.room));
    let parts: Vec<Scalar> = here.iter().map(|it| scaled(it.room, left, wanted)).collect();
    let said: Vec<Option<Scalar>> = here.iter().map(|it| it.said(before)).collect();
    let is_there = sum(said.iter().flatten().copied()) <= left;
    let is_close = |((extent, part), said): ((&&mut Extent<'_>, &Scalar), &Option<Scalar>)| {
        said.is_some_and(|it| part.as_thousandths() < it.as_thousandths() + 2 * extent.step())
    };
    let is_kept = is_there && here.iter().zip(&parts).zip(&said).all(is_close);
    for ((extent, part), said) in here.iter_mut().zip(parts).zip(said) {
        let floor = Scalar::thousandths(part.as_thousandths() / extent.step() * extent.step());
        extent.room = said.filter(|_| is_kept).unwrap_or(floor);
    }
}

fn sum(amounts: impl Iterator<Item = Scalar>) -> i64 {
    amounts.fold(Scalar::ZERO, Scalar::plus).as_thousandths()
}

/// `part / whole` of an amount.
fn scaled(amount: Scalar, part: i64, whole: i64) -> Scalar {
    if whole <= part {
        return amount;
    }
    let scaled = i128::from(amount.as_thousandths()) * i128::from(part) / i128::from(whole);
    Scalar::thousandths(i64::try_from(scaled).unwrap_or(i64::MAX))
}

fn thousandths(mb: u64) -> i64 {
    Scalar::whole(i64::try_from(mb).unwrap_or(i64::MAX)).as_thousandths()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::UsedSpace;
    use crate::parts::DiskSpaces;
    use crate::testbed::{amount, reservation, Bed};
    use holdfast_model::{ClaimId, PersistenceId, Source};
    use std::sync::Arc;

    /// The disks of the testbed (ROOT, PATH /d1, MOUNT /d2) with what is claimed of /d1 by a reservation and a volume.
    struct Scene {
        bed: Bed,
        before: Resources,
    }

    impl Scene {
        fn new() -> Scene {
            Scene { bed: Bed::registered(), before: Resources::new() }
        }

        /// A reservation of `reserved` MB on /d1, of which `sizes` are volumes.
        fn claim(&mut self, reserved: i64, sizes: &[i64]) -> Vec<ClaimId> {
            let disk = |mb: i64| amount("disk", mb).on(Source::path("/d1")).reserved(reservation());
            let named = |(at, mb): (usize, &i64)| {
                let name = PersistenceId::parse(&format!("v{at}")).unwrap();
                disk(*mb).volume(name, "data", None)
            };
            let volumes: Vec<_> = sizes.iter().enumerate().map(named).collect();
            self.bed.apply(vec![Bed::reserve(disk(reserved)), Bed::create(&volumes)]);
            self.bed.settle();
            let claims = self.bed.agent.ledger().claims.values();
            claims.filter(|it| it.is_volume()).map(|it| it.id).collect()
        }

        fn space(&mut self, disk: usize, file_system: &str, total_mb: u64, free_mb: u64) {
            let space = FoundSpace {
                file_system: file_system.to_owned(),
                total_mb,
                free_mb,
                trash_mb: 0,
                reserve_mb: 0,
                limit: holdfast_model::VolumeLimit::default(),
                used: None,
            };
            self.bed.machine.disks[disk].space = Some(space);
        }

        fn used(&mut self, disk: usize, free_mb: u64, volumes: &[(ClaimId, u64)]) {
            let used = UsedSpace {
                free_mb,
                at: holdfast_model::Instant(1),
                volumes: Arc::new(volumes.iter().map(|(id, mb)| (*id, mb << 20)).collect()),
            };
            self.bed.machine.disks[disk].space.as_mut().unwrap().used = Some(used);
        }

        fn usable(&mut self) -> Usable {
            let machine = &self.bed.machine;
            let ledger = self.bed.agent.ledger();
            let mut measured = DiskSpaces::default();
            measured.note_measured(&machine.disks, ledger);
            let look = Look {
                kinds: &|_| (false, false),
                declared: &machine.info.resources,
                found: &machine.disks,
                is_well: &|_| true,
                used: &|disk| measured.used(disk),
            };
            let usable = usable(&look, ledger, &self.before);
            self.before = usable.base.clone();
            usable
        }

        /// What there is of ROOT, of /d1 and of /d2, claimed or not, in MB.
        fn sizes(&mut self) -> [i64; 3] {
            let base = self.usable().base;
            let size = |source: Option<Source>| {
                let of = base.filter(|it| it.name == "disk" && it.source == source);
                of.quantity("disk").as_whole()
            };
            [size(None), size(Some(Source::path("/d1"))), size(Some(Source::mount("/d2")))]
        }
    }

    #[test]
    fn a_disk_that_was_not_measured_is_what_its_settings_say() {
        assert_eq!(Scene::new().sizes(), [1000, 1000, 1000]);
    }

    #[test]
    fn no_more_is_offered_than_is_free() {
        let mut scene = Scene::new();
        scene.space(0, "8:1", 2000, 1500);
        scene.space(1, "8:2", 2000, 640);
        scene.space(2, "8:3", 900, 880);
        assert_eq!(scene.sizes(), [1000, 630, 870], "in steps of 15 MB where it is not all there");
    }

    #[test]
    fn disks_of_one_file_system_share_its_space() {
        let mut scene = Scene::new();
        for disk in 0..3 {
            scene.space(disk, "0:44", 1500, 1500);
        }
        assert_eq!(scene.sizes(), [500, 500, 500], "each its part of what there is once");
        for disk in 0..3 {
            scene.space(disk, "0:44", 1500, 300);
        }
        assert_eq!(scene.sizes(), [90, 90, 90]);
    }

    #[test]
    fn what_is_claimed_is_never_taken_back_and_its_unused_part_is_never_free() {
        let mut scene = Scene::new();
        let volumes = scene.claim(600, &[400]);
        scene.space(1, "8:2", 1000, 900);
        assert_eq!(scene.sizes()[1], 600 + 300);
        // 350 MB of the volume are written.
        scene.space(1, "8:2", 1000, 550);
        assert_eq!(
            scene.sizes()[1],
            600,
            "until its volumes are measured nothing more is promised"
        );
        scene.used(1, 550, &[(volumes[0], 350)]);
        assert_eq!(scene.sizes()[1], 600 + 300);
        // Somebody else writes 450 MB.
        scene.used(1, 100, &[(volumes[0], 350)]);
        scene.space_free(1, 100);
        let usable = scene.usable();
        let space = usable.spaces.values().next().unwrap();
        assert_eq!(space.overcommitted_mb, 150, "{space:?}");
        assert_eq!(scene.sizes()[1], 600);
    }

    impl Scene {
        fn space_free(&mut self, disk: usize, free_mb: u64) {
            self.bed.machine.disks[disk].space.as_mut().unwrap().free_mb = free_mb;
        }
    }

    #[test]
    fn a_volume_that_outgrew_its_size_takes_from_what_is_unclaimed() {
        let mut scene = Scene::new();
        let volumes = scene.claim(100, &[100]);
        scene.space(1, "8:2", 1000, 500);
        scene.used(1, 500, &[(volumes[0], 500)]);
        assert_eq!(scene.sizes()[1], 100 + 495);
    }

    #[test]
    fn small_changes_are_no_news_and_less_is_at_once() {
        let mut scene = Scene::new();
        let mut at = |free| {
            scene.space(1, "8:2", 1000, free);
            scene.sizes()[1]
        };
        assert_eq!([at(500), at(510), at(526)], [495, 495, 525]);
        assert_eq!([at(509), at(511), at(1000)], [495, 495, 1000]);
    }

    #[test]
    fn a_disk_that_is_ill_has_only_what_is_claimed_of_it() {
        let mut scene = Scene::new();
        scene.claim(600, &[400]);
        scene.bed.machine.disks[1].fault = Some("gone".to_owned());
        scene.bed.machine.disks[2].fault = Some("gone".to_owned());
        assert_eq!(scene.sizes(), [1000, 600, 0]);
        scene.bed.machine.disks.remove(1);
        assert_eq!(scene.sizes(), [1000, 600, 0], "nor one that the settings name no more");
    }

    #[test]
    fn a_whole_disk_keeps_the_size_that_it_was_claimed_with() {
        let mut scene = Scene::new();
        scene.space(2, "8:3", 1000, 950);
        assert_eq!(scene.sizes()[2], 945);
        let disk = amount("disk", 945).on(Source::mount("/d2")).reserved(reservation());
        scene.bed.input(crate::Input::Opened(scene.bed.machine.clone()));
        scene.bed.apply(vec![Bed::reserve(disk)]);
        scene.bed.settle();
        scene.space(2, "8:3", 1000, 100);
        assert_eq!(scene.sizes()[2], 945);
        assert!(scene.bed.agent.faults().is_empty());
    }
}
