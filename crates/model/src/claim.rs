//! Claims: the durable records behind reservations and volumes, and how operations change them.
//!
//! An agent's total is its base (what the machine has) with all claims laid on it. Equal reservations of
//! one maker share one claim; those of several makers are one amount to the API, and a claim for each of
//! them here. Each volume has a claim of its own.

mod changes;
mod ownership;
mod shares;

use crate::id::{ClaimId, DiskId, FrameworkId, Instant, OperationUuid};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::shared_map::SharedMap;
use crate::validate::Invalid;
use crate::value::Value;

pub use changes::{changes, give_back, taken, ClaimChanges, Making};
pub use ownership::{can_be_refused, NotTaken, Ownership, Taken};
pub use shares::Share;

/// How many events of its history a claim keeps.
pub const HISTORY_MAX: usize = 16;

/// Where a claim is in its life; it only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimState {
    /// The agent has committed the claim; the volume's directory may not exist yet.
    Making,
    /// The claim is whole and usable.
    Ready,
    /// The owner has destroyed the claim; the bytes are on their way to the trash.
    Destroying,
}

/// Something that happened to a claim, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimEvent {
    /// When it happened.
    pub at: Instant,
    /// The claim's generation after it.
    pub generation: u64,
    /// What happened, such as `created`.
    pub what: String,
    /// Who asked: a framework or a principal.
    pub by: String,
}

/// The record behind one reservation or one volume of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name of the claim, which is never reused and names the directory of a volume.
    pub id: ClaimId,
    /// Where it is in its life.
    pub state: ClaimState,
    /// What is held, without allocation.
    pub resource: Resource,
    /// The framework that made it; `None` when an operator did, or when an older program merged what several had made.
    pub framework: Option<FrameworkId>,
    /// The number of changes of what is held; it only grows.
    pub generation: u64,
    /// When the claim was made.
    pub created: Instant,
    /// The disk that carries it, when it is a volume.
    pub disk: Option<DiskId>,
    /// The newest events, at most [`HISTORY_MAX`].
    pub history: Vec<ClaimEvent>,
    /// Whose reservations its space came from, in the order in which it was taken, where that is not all of its own maker's.
    pub shares: Vec<Share>,
    /// The operation that made it; what one operation made is shown together. `None` when an older program made it.
    pub operation: Option<OperationUuid>,
}

impl Claim {
    /// Whether it is a volume (else a reservation).
    pub fn is_volume(&self) -> bool {
        self.resource.identity.persistence.is_some()
    }

    /// The claim of a destroyed volume as it comes back: the same, and not whole before its directory is back in its place.
    pub fn undeleted(&self, at: Instant, by: &str) -> Claim {
        let mut back = Claim { state: ClaimState::Making, ..self.clone() };
        back.note(at, "undeleted", by);
        back
    }

    /// The claim as it ends, with its end as the last event of its history.
    pub fn ended(&self, at: Instant, what: &str, by: &str) -> Claim {
        let mut ended = self.clone();
        ended.note(at, what, by);
        ended
    }

    fn note(&mut self, at: Instant, what: &str, by: &str) {
        self.generation += 1;
        if HISTORY_MAX <= self.history.len() {
            self.history.remove(1); // The first one tells where it came from.
        }
        self.history.push(ClaimEvent {
            at,
            generation: self.generation,
            what: what.to_owned(),
            by: by.to_owned(),
        });
    }
}

/// The total of an agent: its base with all claims laid on it. The space of a volume that is being destroyed is in it neither as a
/// volume nor as anything else: it is given back when the bytes are in the trash, and not before.
///
/// # Errors
/// [`Invalid`] when a claim does not fit on the base, naming it; the machine has shrunk or its configuration changed.
pub fn total(base: &Resources, claims: &SharedMap<ClaimId, Claim>) -> Result<Resources, Invalid> {
    let (total, misfits) = fit(base, claims);
    match misfits.first() {
        None => Ok(total),
        Some(id) => Err(Invalid::new(
            format!("claims[{id}]"),
            format!(
                "{} no longer fits on what the machine has; give the disk or the amount back",
                claims[id].resource
            ),
        )),
    }
}

/// As [`total`], leaving out and naming the claims that do not fit. A disk that can only be taken whole is found by its identity:
/// its claim stays usable, at the size that it was made with, though the disk has grown or shrunk since; see [`drifts`].
pub fn fit<'a>(
    base: &Resources,
    claims: impl IntoIterator<Item = (&'a ClaimId, &'a Claim)>,
) -> (Resources, Vec<ClaimId>) {
    let (mut total, mut misfits) = (base.clone(), Vec::new());
    for (_, claim) in claims {
        if !lay(&mut total, claim) {
            misfits.push(claim);
        }
    }
    misfits.iter().for_each(|claim| keep_place(&mut total, claim));
    (total, misfits.iter().map(|claim| claim.id).collect())
}

/// What is left of a disk that is too small for a claim is nobody else's: the claim's bytes may lie there, and its disk may grow again.
fn keep_place(total: &mut Resources, claim: &Claim) {
    let identity = claim.resource.identity.base();
    if identity.name == "disk" && !identity.is_exclusive() {
        total.subtract(&Resource { identity, ..claim.resource.clone() });
    }
}

/// Lays one more claim on a total; false, and nothing changes, when it does not fit. What there can be only one of (a volume of a name) does
/// not fit beside another.
pub fn lay(total: &mut Resources, claim: &Claim) -> bool {
    let Some(place) = place_of(claim, total) else { return false };
    let identity = &claim.resource.identity;
    let is_there = identity.is_exclusive() && total.get(identity).is_some();
    if is_there && claim.state != ClaimState::Destroying && *identity != place.identity {
        return false;
    }
    total.subtract(&place);
    if claim.state != ClaimState::Destroying {
        total.add(&claim.resource);
    }
    true
}

/// Takes a claim off a total again on which it was laid. `base` is what the machine has.
pub fn lift(total: &mut Resources, claim: &Claim, base: &Resources) {
    if claim.state != ClaimState::Destroying {
        total.subtract(&claim.resource);
    }
    let place = place_of(claim, base).expect("the machine has what a claim was laid on");
    total.add(&place);
}

/// Claims on disks that can only be taken whole, with the size that such a disk has now, where that is not what the claim says.
pub fn drifts(base: &Resources, claims: &SharedMap<ClaimId, Claim>) -> Vec<(ClaimId, Value)> {
    let drift = |claim: &Claim| {
        let place = place_of(claim, base)
            .filter(|it| it.value != claim.resource.value && it.identity.is_exclusive())?;
        Some((claim.id, place.value))
    };
    claims.values().filter_map(drift).collect()
}

/// What of the machine a claim lies on, if that is there.
fn place_of(claim: &Claim, left: &Resources) -> Option<Resource> {
    let mut place = Resource {
        identity: claim.resource.identity.base(),
        mount: None,
        creator: None,
        ..claim.resource.clone()
    };
    if place.identity.is_exclusive() {
        place.value = left.get(&place.identity)?.value.clone();
    }
    left.contains_one(&place).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{IdSource, PersistenceId};
    use crate::labels::Labels;
    use crate::operation::{Asker, ClaimAction};
    use crate::resource::{Identity, Reservation, ReservationKind, Source};
    use crate::role::Role;
    use crate::value::Scalar;
    use proptest::prelude::*;
    use proptest::sample::select;
    use uuid::Uuid;

    /// Fresh ids: 1, 2, 3 ...
    struct Counter(u128);

    impl IdSource for Counter {
        fn fresh(&mut self) -> Uuid {
            self.0 += 1;
            Uuid::from_u128(self.0)
        }
    }

    const DISK: DiskId = DiskId(Uuid::nil());

    fn reservation(role: &str, kind: ReservationKind) -> Reservation {
        Reservation {
            kind,
            role: Role::parse(role).unwrap(),
            principal: None,
            labels: Labels::default(),
        }
    }

    fn dynamic(role: &str) -> Reservation {
        reservation(role, ReservationKind::Dynamic)
    }

    fn disk(mb: i64) -> Resource {
        Resource::scalar("disk", Scalar::whole(mb))
    }

    fn volume(mb: i64, id: &str) -> Resource {
        disk(mb).reserved(dynamic("db")).volume(PersistenceId::made(id.to_owned()), "data", None)
    }

    /// An agent in small: its base, its claims, and its total as operations change it.
    struct Agent {
        base: Resources,
        claims: SharedMap<ClaimId, Claim>,
        total: Resources,
        ids: Counter,
    }

    impl Agent {
        fn new(base: &[Resource]) -> Agent {
            let base: Resources = base.iter().collect();
            Agent { total: base.clone(), base, claims: SharedMap::new(), ids: Counter(0) }
        }

        /// Does `action` if it can be done; true if it was. The space of destroyed volumes comes back with [`Agent::empty_trash`].
        fn perform(&mut self, action: &ClaimAction) -> bool {
            if action.check(Asker::Operator { principal: None }).is_err()
                || action.apply(&mut self.total).is_err()
            {
                return false;
            }
            if let ClaimAction::Destroy(_) = action {
                self.total.subtract_all(&action.conversion().converted);
            }
            self.note(action);
            true
        }

        fn note(&mut self, action: &ClaimAction) {
            let mut making = Making {
                now: Instant(1),
                framework: None,
                ownership: &Ownership::default(),
                operation: None,
                by: "op",
                ids: &mut self.ids,
                disk_of: &|_| Some(DISK),
                claims_with: &|identity| with(&self.claims, identity),
            };
            let changes = changes(action, &mut making).expect("nobody else has anything");
            self.fold(changes);
        }

        fn fold(&mut self, changes: ClaimChanges) {
            for claim in changes.kept {
                let old = self.claims.insert(claim.id, claim.clone());
                assert!(
                    old.is_none_or(
                        |old| old.state <= claim.state && old.generation < claim.generation
                    ),
                    "claims go forward"
                );
            }
            for it in changes.ended {
                let ended = self.claims.remove(&it.id).expect("what ends was there");
                assert_eq!(ended.resource, it.resource, "it is remembered as it was");
                let what = &it.history.last().unwrap().what;
                assert!(["unreserved", "made a volume", "grew a volume", "reserved anew"]
                    .contains(&what.as_str()));
                assert!(ended.generation < it.generation);
                assert!(
                    !ended.is_volume(),
                    "the record of a volume ends only once its bytes are in the trash"
                );
            }
        }

        fn destroying(&self) -> Vec<Claim> {
            self.claims.values().filter(|it| it.state == ClaimState::Destroying).cloned().collect()
        }

        /// The bytes of destroyed volumes are in the trash: their space is reserved disk again.
        fn empty_trash(&mut self) {
            for volume in self.destroying() {
                self.claims.remove(&volume.id);
                self.total.add(&volume.resource.without_volume());
                let mut making = Making {
                    now: Instant(1),
                    framework: None,
                    ownership: &Ownership::default(),
                    operation: None,
                    by: "op",
                    ids: &mut self.ids,
                    disk_of: &|_| Some(DISK),
                    claims_with: &|identity| with(&self.claims, identity),
                };
                let back = give_back(&volume, &mut making);
                self.fold(back);
            }
        }
    }

    fn with(claims: &SharedMap<ClaimId, Claim>, identity: &Identity) -> Vec<Claim> {
        claims.values().filter(|it| it.resource.identity == *identity).cloned().collect()
    }

    fn reserve(resources: Vec<Resource>) -> ClaimAction {
        ClaimAction::Reserve { resources, source: Vec::new() }
    }

    #[test]
    fn equal_reservations_share_a_claim_and_each_volume_has_its_own() {
        let mut agent = Agent::new(&[disk(100)]);
        assert!(agent.perform(&reserve(vec![disk(30).reserved(dynamic("db"))])));
        assert!(agent.perform(&reserve(vec![disk(30).reserved(dynamic("db"))])));
        assert_eq!(agent.claims.len(), 1);
        assert!(agent.perform(&ClaimAction::Create(vec![volume(20, "a"), volume(20, "b")])));
        assert_eq!(agent.claims.values().filter(|it| it.is_volume()).count(), 2);
        assert!(agent
            .claims
            .values()
            .filter(|it| it.is_volume())
            .all(|it| it.disk == Some(DISK) && it.state == ClaimState::Making));
        assert_eq!(agent.claims.len(), 3);
        assert!(agent.perform(&ClaimAction::Create(vec![volume(20, "c")])));
        assert_eq!(
            agent.claims.values().filter(|it| !it.is_volume()).count(),
            0,
            "nothing is left of the reservation itself"
        );
    }

    #[test]
    fn an_amount_that_several_equal_claims_hold_is_taken_from_the_oldest_first() {
        let reserved = |mb| disk(mb).reserved(dynamic("db"));
        let mut agent = Agent::new(&[disk(100)]);
        assert!(agent.perform(&reserve(vec![reserved(50)])));
        // An older program told labels in another order apart, and made two claims of what is one amount.
        let first = agent.claims.values().next().unwrap().clone();
        let half = |id: u128, created| Claim {
            id: ClaimId(Uuid::from_u128(id)),
            resource: reserved(25),
            created: Instant(created),
            ..first.clone()
        };
        agent.claims.remove(&first.id);
        for claim in [half(101, 9), half(102, 3)] {
            agent.claims.insert(claim.id, claim);
        }
        assert_eq!(total(&agent.base, &agent.claims).unwrap(), agent.total);
        assert!(agent.perform(&ClaimAction::Unreserve(vec![reserved(30)])));
        let left: Vec<_> = agent.claims.values().map(|it| (it.id, it.resource.clone())).collect();
        assert_eq!(left, [(ClaimId(Uuid::from_u128(101)), reserved(20))]);
        assert_eq!(total(&agent.base, &agent.claims).unwrap(), agent.total);
    }

    #[test]
    fn a_volume_that_is_resized_stays_itself_and_its_reservation_pays() {
        let reserved = |mb| disk(mb).reserved(dynamic("db"));
        let mut agent = Agent::new(&[disk(100)]);
        agent.perform(&reserve(vec![reserved(60)]));
        agent.perform(&ClaimAction::Create(vec![volume(20, "a")]));
        let the_volume =
            |agent: &Agent| agent.claims.values().find(|it| it.is_volume()).cloned().unwrap();
        let made = the_volume(&agent);
        let grow = ClaimAction::Grow { volume: volume(20, "a"), addition: reserved(40) };
        assert!(agent.perform(&grow));
        let grown = the_volume(&agent);
        assert_eq!((grown.id, grown.resource.clone()), (made.id, volume(60, "a")));
        assert_eq!(agent.claims.len(), 1, "all of its reservation is in it");
        assert!(!agent.perform(&grow), "it is not of that size any more");
        let shrink = ClaimAction::Shrink { volume: volume(60, "a"), subtract: Scalar::whole(50) };
        assert!(agent.perform(&shrink));
        let shrunk = the_volume(&agent);
        assert_eq!((shrunk.id, shrunk.resource.clone()), (made.id, volume(10, "a")));
        let events: Vec<&str> = shrunk.history.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(events, ["created", "grown", "shrunk"]);
        let reservation = agent.claims.values().find(|it| !it.is_volume()).unwrap();
        assert_eq!(reservation.resource, reserved(50));
        assert_eq!(total(&agent.base, &agent.claims).unwrap(), agent.total);
    }

    #[test]
    fn the_space_of_a_destroyed_volume_comes_back_with_the_trash() {
        let mut agent = Agent::new(&[disk(100)]);
        agent.perform(&reserve(vec![disk(50).reserved(dynamic("db"))]));
        agent.perform(&ClaimAction::Create(vec![volume(50, "a")]));
        assert!(agent.perform(&ClaimAction::Destroy(vec![volume(50, "a")])));
        assert_eq!((agent.destroying().len(), agent.claims.len()), (1, 1));
        assert_eq!(
            total(&agent.base, &agent.claims).unwrap(),
            [disk(50)].iter().collect(),
            "its space is not free yet"
        );
        assert!(!agent.perform(&ClaimAction::Create(vec![volume(50, "a")])));
        let destroyed = agent.destroying()[0].id;
        agent.empty_trash();
        assert_eq!(
            total(&agent.base, &agent.claims).unwrap(),
            [disk(50), disk(50).reserved(dynamic("db"))].iter().collect()
        );
        assert!(
            agent.perform(&ClaimAction::Create(vec![volume(50, "a")])),
            "its name is free again"
        );
        assert!(
            agent.claims.values().filter(|it| it.is_volume()).all(|it| it.id != destroyed),
            "a new volume is never the old one"
        );
    }

    #[test]
    fn claims_that_do_not_fit_are_named_and_kept() {
        let mut agent = Agent::new(&[disk(100)]);
        agent.perform(&reserve(vec![disk(80).reserved(dynamic("db"))]));
        let smaller: Resources = [disk(50)].iter().collect();
        let id = *agent.claims.keys().next().unwrap();
        assert_eq!(total(&smaller, &agent.claims).unwrap_err().path, format!("claims[{id}]"));
        assert_eq!(
            fit(&smaller, &agent.claims),
            (Resources::new(), vec![id]),
            "what is left of its disk is nobody else's"
        );
        let beside: Resources = [disk(50), disk(70).on(Source::path("/d2"))].iter().collect();
        let other = [disk(70).on(Source::path("/d2"))].iter().collect();
        assert_eq!(fit(&beside, &agent.claims), (other, vec![id]));
    }

    #[test]
    fn of_two_volumes_of_one_name_one_fits() {
        let mut agent = Agent::new(&[disk(100)]);
        agent.perform(&reserve(vec![disk(50).reserved(dynamic("db"))]));
        agent.perform(&ClaimAction::Create(vec![volume(30, "a")]));
        let volume = agent.claims.values().find(|it| it.is_volume()).unwrap();
        let second = Claim { id: ClaimId(Uuid::from_u128(99)), ..volume.clone() };
        let whole = total(&agent.base, &agent.claims).unwrap();
        agent.claims.insert(second.id, second.clone());
        let (total, misfits) = fit(&agent.base, &agent.claims);
        assert_eq!(misfits, [second.id]);
        let kept: Resources = [disk(30)].iter().collect();
        let mut rest = whole;
        rest.subtract_all(&kept);
        assert_eq!(total, rest);
    }

    #[test]
    fn a_mount_disk_that_has_drifted_keeps_its_claim() {
        let mount = |mb: i64| disk(mb).on(Source::mount("/d1"));
        let volume = mount(100).reserved(dynamic("db")).volume(
            PersistenceId::made("a".to_owned()),
            "data",
            None,
        );
        let mut agent = Agent::new(&[mount(100)]);
        assert!(agent.perform(&reserve(vec![mount(100).reserved(dynamic("db"))])));
        assert!(agent.perform(&ClaimAction::Create(vec![volume.clone()])));
        let id = *agent.claims.keys().next().unwrap();
        for (mb, drift) in
            [(100, vec![]), (101, vec![(id, disk(101).value)]), (99, vec![(id, disk(99).value)])]
        {
            let base: Resources = [mount(mb)].iter().collect();
            assert_eq!(
                fit(&base, &agent.claims),
                ([volume.clone()].iter().collect(), vec![]),
                "{mb} MB"
            );
            assert_eq!(drifts(&base, &agent.claims), drift);
        }
        let elsewhere: Resources = [disk(100).on(Source::mount("/d2"))].iter().collect();
        assert_eq!(fit(&elsewhere, &agent.claims).1, [id]);
        assert_eq!(drifts(&elsewhere, &agent.claims), []);
        let second = Claim { id: ClaimId(Uuid::from_u128(99)), ..agent.claims[&id].clone() };
        agent.claims.insert(second.id, second.clone());
        assert_eq!(
            fit(&[mount(101)].iter().collect(), &agent.claims).1,
            [second.id],
            "a disk is taken once"
        );
    }

    #[test]
    fn the_history_is_bounded_and_keeps_the_beginning() {
        let mut agent = Agent::new(&[disk(1000)]);
        for _ in 0..40 {
            assert!(agent.perform(&reserve(vec![disk(1).reserved(dynamic("db"))])));
        }
        let claim = agent.claims.values().next().unwrap();
        assert_eq!((claim.history.len(), claim.generation), (HISTORY_MAX, 40));
        assert_eq!((claim.history[0].what.as_str(), claim.history[0].generation), ("reserved", 1));
        assert_eq!(claim.history[HISTORY_MAX - 1].generation, 40);
    }

    fn base() -> Vec<Resource> {
        vec![
            Resource::scalar("cpus", Scalar::whole(4)),
            disk(100),
            disk(50).on(Source::path("/p")),
            disk(40).on(Source::mount("/m")),
            disk(60).reserved(reservation("s", ReservationKind::Static)),
        ]
    }

    fn stack() -> impl Strategy<Value = Vec<Reservation>> {
        select(vec![
            vec![dynamic("db")],
            vec![dynamic("db")],
            vec![dynamic("db"), dynamic("db/x")],
            vec![reservation("s", ReservationKind::Static), dynamic("s/x")],
            vec![reservation("s", ReservationKind::Static), dynamic("s/x"), dynamic("s/x/y")],
            vec![dynamic("other")],
        ])
    }

    fn stacked(mut resource: Resource, stack: Vec<Reservation>) -> Resource {
        resource.identity.reservations = stack;
        resource
    }

    fn bare() -> impl Strategy<Value = Resource> {
        prop_oneof![
            (1i64..3000).prop_map(|it| Resource::scalar("cpus", Scalar::thousandths(it))),
            (1i64..60).prop_map(disk),
            (1i64..60).prop_map(|it| disk(it).on(Source::path("/p"))),
            select(vec![disk(40).on(Source::mount("/m"))]),
        ]
    }

    /// Something that could be reserved, at some level of the tree.
    fn reserved() -> impl Strategy<Value = Resource> {
        (bare(), stack()).prop_map(|(resource, stack)| stacked(resource, stack))
    }

    /// From any stack to any other, also to and from a static reservation, and from none.
    fn re_reserved() -> impl Strategy<Value = ClaimAction> {
        let source = prop_oneof![4 => stack(), 1 => Just(Vec::new()), 1 => Just(vec![reservation("s", ReservationKind::Static)])];
        (prop::collection::vec(bare(), 1..3), source, stack()).prop_map(|(list, from, to)| {
            ClaimAction::Reserve {
                resources: list.iter().map(|it| stacked(it.clone(), to.clone())).collect(),
                source: list.iter().map(|it| stacked(it.clone(), from.clone())).collect(),
            }
        })
    }

    fn action() -> impl Strategy<Value = ClaimAction> {
        let some = || prop::collection::vec(reserved(), 1..3);
        let volumes = || {
            let one = (reserved(), select(vec!["a", "b", "c"]))
                .prop_map(|(it, id)| it.volume(PersistenceId::made(id.to_owned()), "data", None));
            prop::collection::vec(one, 1..3)
        };
        prop_oneof![
            4 => some().prop_map(reserve),
            2 => some().prop_map(ClaimAction::Unreserve),
            2 => re_reserved(),
            3 => volumes().prop_map(ClaimAction::Create),
            1 => volumes().prop_map(ClaimAction::Destroy),
        ]
    }

    /// A volume that is there, with another size.
    fn resized(agent: &Agent, pick: usize, mb: i64) -> Option<ClaimAction> {
        let volumes: Vec<&Claim> = agent
            .claims
            .values()
            .filter(|it| it.is_volume() && it.state != ClaimState::Destroying)
            .collect();
        let volume = volumes.get(pick % volumes.len().max(1))?.resource.clone();
        Some(match 0 < mb {
            true => ClaimAction::Grow {
                addition: Resource {
                    value: Value::Scalar(Scalar::whole(mb)),
                    ..volume.without_volume()
                },
                volume,
            },
            false => ClaimAction::Shrink { volume, subtract: Scalar::whole(-mb) },
        })
    }

    /// A whole reservation that is there, under another stack.
    fn moved(agent: &Agent, pick: usize, to: Vec<Reservation>) -> Option<ClaimAction> {
        let claims: Vec<&Claim> = agent.claims.values().filter(|it| !it.is_volume()).collect();
        let source = claims.get(pick % claims.len().max(1))?.resource.clone();
        Some(ClaimAction::Reserve {
            resources: vec![stacked(source.clone(), to)],
            source: vec![source],
        })
    }

    /// A whole volume or reservation that is there, so that undoing happens often enough to matter.
    fn undo(agent: &Agent, pick: usize) -> Option<ClaimAction> {
        let claims: Vec<&Claim> =
            agent.claims.values().filter(|it| it.state != ClaimState::Destroying).collect();
        let claim = claims.get(pick % claims.len().max(1))?;
        Some(match claim.is_volume() {
            true => ClaimAction::Destroy(vec![claim.resource.clone()]),
            false => ClaimAction::Unreserve(vec![claim.resource.clone()]),
        })
    }

    proptest! {
        #[test]
        fn base_and_claims_are_the_total(steps in prop::collection::vec((action(), any::<usize>(), 0u8..8, stack(), -20i64..20), 1..30)) {
            let mut agent = Agent::new(&base());
            let quantities = agent.total.quantities();
            for (action, pick, kind, to, mb) in steps {
                if let (3 | 4, Some(resized)) = (kind, resized(&agent, pick, mb)) {
                    let volume = &resized.resources()[0].identity;
                    let the_volume = |agent: &Agent| agent.claims.values().find(|it| it.resource.identity == *volume && it.state != ClaimState::Destroying).cloned().unwrap();
                    let before = the_volume(&agent);
                    let is_done = agent.perform(&resized);
                    let after = the_volume(&agent);
                    prop_assert_eq!((after.id, after.created, after.state, after.disk), (before.id, before.created, before.state, before.disk));
                    let generation = before.generation + u64::from(is_done);
                    prop_assert_eq!((after.generation, after.resource.value != before.resource.value), (generation, is_done));
                }
                if let (2, Some(moved)) = (kind, moved(&agent, pick, to)) {
                    let keeps_static = moved.conversion().consumed.base() == moved.conversion().converted.base();
                    prop_assert_eq!(agent.perform(&moved), keeps_static, "what is reserved can be moved, what is static stays: {:?}", moved);
                }
                match (kind, undo(&agent, pick)) {
                    (0, Some(undo)) => prop_assert!(agent.perform(&undo), "what is claimed can be undone: {:?}", undo),
                    (1, _) => agent.empty_trash(),
                    _ => drop(agent.perform(&action)),
                }
                prop_assert_eq!(&total(&agent.base, &agent.claims).unwrap(), &agent.total);
                let mut all = agent.total.clone();
                agent.destroying().iter().for_each(|it| all.add(&it.resource.without_volume()));
                prop_assert_eq!(all.quantities(), quantities.clone(), "no operation makes or loses anything");
                prop_assert_eq!(&all.base(), &agent.base);
                prop_assert!(agent.claims.values().all(|it| !it.resource.value.is_empty() && it.resource.identity.allocation.is_none()));
            }
            agent.empty_trash();
            prop_assert_eq!(&total(&agent.base, &agent.claims).unwrap(), &agent.total);
        }
    }
}
