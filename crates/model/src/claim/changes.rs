//! What an operation does to claims.
//!
//! Relies on `ownership` for whose claims give first, and on `shares` for who gets back what was used. Never merges the claims of two
//! makers, and takes nothing away from a framework that did not ask and was not removed.

use std::collections::{BTreeMap, BTreeSet};

use super::ownership::{in_turn, takes_away, whose, NotTaken, Ownership, Taken, Whose};
use super::shares::Share;
use super::{Claim, ClaimState};
use crate::id::{ClaimId, DiskId, FrameworkId, IdSource, Instant, OperationUuid};
use crate::operation::ClaimAction;
use crate::resource::{Identity, Resource};
use crate::value::Value;

/// What an operation does to claims: the records to write, and the claims that end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimChanges {
    /// New and changed claims, as they shall be.
    pub kept: Vec<Claim>,
    /// The reservations that end, as they were before, with their end as the last event of their history.
    pub ended: Vec<Claim>,
}

/// Who asks, and with what the new claims are made.
pub struct Making<'a> {
    /// The time of the operation.
    pub now: Instant,
    /// The framework that asks; `None` for an operator.
    pub framework: Option<&'a FrameworkId>,
    /// Whose claims it may take from.
    pub ownership: &'a Ownership,
    /// The operation, as new claims remember it.
    pub operation: Option<OperationUuid>,
    /// Who asks, for the history.
    pub by: &'a str,
    /// Where the new claims take their ids from.
    pub ids: &'a mut dyn IdSource,
    /// Which disk carries a volume with this identity.
    pub disk_of: &'a dyn Fn(&Identity) -> Option<DiskId>,
    /// The claims with this identity, in the order of their ids.
    pub claims_with: &'a dyn Fn(&Identity) -> Vec<Claim>,
}

/// What `action` (without allocations, already found to apply to the total) does to the claims. Costs as much as the action is long, however
/// many other claims there are. The space of a destroyed volume comes back by [`give_back`]. Of several steps, each finds what the earlier
/// ones left.
///
/// # Errors
/// [`NotTaken`] when another framework holds what it would take away, or the one claim that is meant has less.
pub fn changes(action: &ClaimAction, making: &mut Making<'_>) -> Result<ClaimChanges, NotTaken> {
    let mut touched = Touched::default();
    for step in action.steps() {
        touched.step(step, making)?;
    }
    Ok(touched.changes(action, making))
}

/// What gives the space of a volume that is no more back to the reservations that it came from.
pub fn give_back(volume: &Claim, making: &mut Making<'_>) -> ClaimChanges {
    let mut touched = Touched::default();
    touched.give_shares(&volume.resource.without_volume(), volume.all_shares(), making);
    let given = touched.claims.into_values().map(|mut claim| {
        if let Some(last) = claim.history.last_mut() {
            "given back by a volume".clone_into(&mut last.what);
        }
        claim
    });
    ClaimChanges { kept: given.collect(), ..ClaimChanges::default() }
}

/// Of which claims an action would take how much, if it were carried out now. What its steps make themselves is not among it.
///
/// # Errors
/// As for [`changes`], with the index of the step.
pub fn taken(
    action: &ClaimAction,
    framework: Option<&FrameworkId>,
    ownership: &Ownership,
    claims_with: &dyn Fn(&Identity) -> Vec<Claim>,
) -> Result<Vec<Taken>, (usize, NotTaken)> {
    let mut making = Making {
        now: Instant(u64::MAX),
        framework,
        ownership,
        operation: None,
        by: "",
        ids: &mut Unused(u128::MAX),
        disk_of: &|_| None,
        claims_with,
    };
    let mut touched = Touched::default();
    for (index, step) in action.steps().iter().enumerate() {
        touched.step(step, &mut making).map_err(|it| (index, it))?;
    }
    Ok(touched.taken())
}

/// Ids that are no claim's and become none.
struct Unused(u128);

impl IdSource for Unused {
    fn fresh(&mut self) -> uuid::Uuid {
        self.0 -= 1;
        uuid::Uuid::from_u128(self.0)
    }
}

/// What one resource of an action takes and gives.
struct Exchange {
    consumed: Resource,
    given: Option<Resource>,
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A claim on top of what was taken, which is given back when it ends.
    Up,
    /// A claim ends, and what is below it goes to whoever it came from.
    Down,
    /// One reservation for another: whoever asks has it.
    Aside,
}

fn exchanges(action: &ClaimAction) -> Vec<Exchange> {
    let up = |it: &Resource, consumed: Resource| Exchange {
        consumed,
        given: Some(it.clone()),
        way: Way::Up,
    };
    match action {
        ClaimAction::Reserve { resources, source } => {
            let Some(stack) = source.first().map(|it| &it.identity.reservations) else {
                return resources.iter().map(|it| up(it, it.popped())).collect();
            };
            let moved = |given: &Resource| {
                let mut consumed = given.clone();
                consumed.identity.reservations.clone_from(stack);
                let way = match () {
                    () if given.popped().identity == consumed.identity => Way::Up,
                    () if consumed.popped().identity == given.identity => Way::Down,
                    () => Way::Aside,
                };
                Exchange { consumed, given: Some(given.clone()), way }
            };
            resources.iter().map(moved).collect()
        }
        ClaimAction::Unreserve(list) => {
            let down = |it: &Resource| Exchange {
                consumed: it.clone(),
                given: Some(it.popped()),
                way: Way::Down,
            };
            list.iter().map(down).collect()
        }
        ClaimAction::Create(list) => list.iter().map(|it| up(it, it.without_volume())).collect(),
        ClaimAction::Destroy(list) => {
            let gone =
                |it: &Resource| Exchange { consumed: it.clone(), given: None, way: Way::Down };
            list.iter().map(gone).collect()
        }
        ClaimAction::Grow { .. } | ClaimAction::Shrink { .. } | ClaimAction::Together(_) => {
            Vec::new() // A volume changes its size; steps are done one by one.
        }
    }
}

/// What was taken of one claim.
struct Part {
    maker: Option<FrameworkId>,
    amount: Resource,
    /// Where that had come from.
    below: Vec<Share>,
}

impl Part {
    fn share(&self) -> Share {
        Share { framework: self.maker.clone(), amount: self.amount.clone() }
    }
}

/// The claims that an action has made or changed so far.
#[derive(Default)]
struct Touched {
    /// Whether the step that is being done may take nothing of what another framework holds.
    spares_others: bool,
    claims: BTreeMap<ClaimId, Claim>,
    by_identity: BTreeMap<Identity, BTreeSet<ClaimId>>,
    /// Those that were not there before.
    made: BTreeSet<ClaimId>,
    taken: Vec<Taken>,
}

impl Touched {
    /// Does one step.
    fn step(&mut self, action: &ClaimAction, making: &mut Making<'_>) -> Result<(), NotTaken> {
        self.spares_others = takes_away(action, making.framework) && !making.ownership.anybody;
        match action {
            ClaimAction::Grow { volume, addition } => {
                let parts = self.take(addition, making)?;
                let shares: Vec<Share> = parts.iter().map(Part::share).collect();
                self.resize(volume, making, |claim| claim.add_shares(&addition.value, &shares))?;
            }
            ClaimAction::Shrink { volume, subtract } => {
                let (mut gone, subtract) = (Vec::new(), Value::Scalar(*subtract));
                self.resize(volume, making, |claim| gone = claim.take_shares(&subtract))?;
                self.give_shares(&volume.without_volume(), gone, making);
            }
            _ => {
                for exchange in exchanges(action) {
                    self.exchange(exchange, making)?;
                }
            }
        }
        Ok(())
    }

    /// What was taken of claims that were there before, each once.
    fn taken(self) -> Vec<Taken> {
        let mut all: Vec<Taken> = Vec::new();
        for it in self.taken.into_iter().filter(|it| !self.made.contains(&it.claim)) {
            match all.iter_mut().find(|old| old.claim == it.claim) {
                Some(old) => old.resource.value = old.resource.value.plus(&it.resource.value),
                None => all.push(it),
            }
        }
        all
    }

    /// Notes a claim as it is by now. One operation is one event of its history.
    fn touch(&mut self, mut claim: Claim, what: &str, making: &Making<'_>) {
        if !self.claims.contains_key(&claim.id) {
            claim.note(making.now, what, making.by);
        }
        self.by_identity.entry(claim.resource.identity.clone()).or_default().insert(claim.id);
        self.claims.insert(claim.id, claim);
    }

    /// The claims with this identity that live, as they are by now.
    fn living(&self, identity: &Identity, making: &Making<'_>) -> Vec<Claim> {
        let ids = self.by_identity.get(identity).into_iter().flatten();
        let mut living: Vec<Claim> = ids.map(|id| self.claims[id].clone()).collect();
        let there = (making.claims_with)(identity).into_iter();
        living.extend(there.filter(|it| !self.claims.contains_key(&it.id)));
        living.retain(|it| it.state != ClaimState::Destroying);
        living
    }

    /// The same, in the order in which they give, and whose each is.
    fn in_turn(&self, identity: &Identity, making: &Making<'_>) -> Vec<(Claim, Whose)> {
        let (framework, ownership) = (making.framework, making.ownership);
        let living = self.living(identity, making).into_iter();
        let mut living: Vec<(Claim, Whose)> = living
            .map(|it| {
                let whose = whose(&it, framework, ownership);
                (it, whose)
            })
            .collect();
        living.retain(|(it, _)| ownership.claim.is_none_or(|meant| it.id == meant));
        living.sort_by(|(one, ones), (other, others)| in_turn((one, *ones), (other, *others)));
        living
    }

    fn exchange(&mut self, exchange: Exchange, making: &mut Making<'_>) -> Result<(), NotTaken> {
        let Exchange { consumed, given, way } = exchange;
        let parts = self.take(&consumed, making)?;
        let Some(given) = given.filter(|it| it.identity.needs_checkpoint()) else {
            return Ok(());
        };
        let asker = making.framework.cloned();
        match way {
            Way::Down if !parts.is_empty() => {
                let below = parts.into_iter().flat_map(|it| it.below).collect();
                self.give_shares(&given, below, making);
            }
            Way::Up if !parts.is_empty() => {
                let shares = parts.iter().map(Part::share).collect();
                self.give(&given, asker, shares, making);
            }
            Way::Up | Way::Down | Way::Aside => self.give(&given, asker, Vec::new(), making),
        }
        Ok(())
    }

    /// Takes from as many claims as it needs. What no claim holds is just taken.
    fn take(&mut self, resource: &Resource, making: &Making<'_>) -> Result<Vec<Part>, NotTaken> {
        let (identity, mut parts) = (&resource.identity, Vec::new());
        if !identity.needs_checkpoint() {
            return Ok(parts);
        }
        let mut wanted = resource.value.clone();
        for (mut claim, whose) in self.in_turn(identity, making) {
            let part = match claim.is_volume() {
                true => claim.resource.value.clone(),
                false => claim.resource.value.common(&wanted),
            };
            if wanted.is_empty() || part.is_empty() {
                continue;
            }
            self.spare(&claim, whose, &part)?;
            let taken = Resource { value: part.clone(), ..claim.resource.clone() };
            let (id, maker) = (claim.id, claim.framework.clone());
            self.taken.push(Taken { claim: id, framework: maker.clone(), resource: taken });
            if claim.is_volume() {
                claim.state = ClaimState::Destroying;
                self.touch(claim, "destroyed", making);
                return Ok(parts);
            }
            wanted = wanted.minus(&part);
            let below = claim.take_shares(&part);
            let amount = Resource::unreserved(&identity.name, part);
            parts.push(Part { maker, amount, below });
            self.touch(claim, "shrunk", making);
        }
        match making.ownership.claim.filter(|_| !wanted.is_empty()) {
            Some(meant) => Err(NotTaken::Less(meant)),
            None => Ok(parts),
        }
    }

    /// What a framework holds that did not ask is left alone.
    fn spare(&self, claim: &Claim, whose: Whose, part: &Value) -> Result<(), NotTaken> {
        match (&claim.framework, whose) {
            (Some(framework), Whose::Others) if self.spares_others => Err(NotTaken::Held {
                claim: claim.id,
                framework: framework.clone(),
                resource: Box::new(Resource { value: part.clone(), ..claim.resource.clone() }),
            }),
            _ => Ok(()),
        }
    }

    /// The same volume, with another size.
    fn resize(
        &mut self,
        volume: &Resource,
        making: &Making<'_>,
        change: impl FnOnce(&mut Claim),
    ) -> Result<(), NotTaken> {
        let there = self.in_turn(&volume.identity, making).into_iter().next();
        let Some((mut claim, whose)) = there else { return Ok(()) };
        let before = claim.resource.value.clone();
        self.spare(&claim, whose, &before)?;
        change(&mut claim);
        let is_larger = before.quantity() < claim.resource.value.quantity();
        self.touch(claim, if is_larger { "grown" } else { "shrunk" }, making);
        Ok(())
    }

    /// Gives each its share of a reservation.
    fn give_shares(&mut self, given: &Resource, shares: Vec<Share>, making: &mut Making<'_>) {
        if !given.identity.needs_checkpoint() {
            return;
        }
        for Share { framework, amount } in shares {
            let part = Resource { value: amount.value, ..given.clone() };
            self.give(&part, framework, Vec::new(), making);
        }
    }

    /// Gives a maker more of what it has, or a first claim of it.
    fn give(
        &mut self,
        given: &Resource,
        maker: Option<FrameworkId>,
        shares: Vec<Share>,
        making: &mut Making<'_>,
    ) {
        let living = self.living(&given.identity, making).into_iter();
        let theirs = living.filter(|it| it.framework == maker && !given.identity.is_exclusive());
        let own = || vec![Share::new(maker.clone(), &given.identity.name, given.value.clone())];
        match theirs.min_by_key(|it| (it.created, it.id)) {
            Some(mut claim) => {
                let shares = if shares.is_empty() { own() } else { shares };
                claim.add_shares(&given.value, &shares);
                self.touch(claim, "grown", making);
            }
            None => {
                let mut claim = new_claim(given, maker, making);
                claim.keep_shares(shares);
                self.made.insert(claim.id);
                let what = if claim.is_volume() { "created" } else { "reserved" };
                self.touch(claim, what, making);
            }
        }
    }

    fn changes(self, action: &ClaimAction, making: &Making<'_>) -> ClaimChanges {
        let mut changes = ClaimChanges::default();
        for (id, mut claim) in self.claims {
            if !claim.resource.value.is_empty() {
                tell_why(&mut claim, action);
                changes.kept.push(claim);
            } else if !self.made.contains(&id) {
                changes.ended.push(ended(claim, action, making));
            }
        }
        changes
    }
}

fn new_claim(resource: &Resource, maker: Option<FrameworkId>, making: &mut Making<'_>) -> Claim {
    let is_volume = resource.identity.persistence.is_some();
    Claim {
        id: ClaimId(making.ids.fresh()),
        state: if is_volume { ClaimState::Making } else { ClaimState::Ready },
        resource: resource.clone(),
        framework: maker,
        generation: 0,
        created: making.now,
        disk: if is_volume { (making.disk_of)(&resource.identity) } else { None },
        history: Vec::new(),
        shares: Vec::new(),
        operation: making.operation,
    }
}

/// The last event of a reservation of which there is more or less now says which operation that was.
fn tell_why(claim: &mut Claim, action: &ClaimAction) {
    let Some(last) =
        claim.history.last_mut().filter(|_| claim.resource.identity.persistence.is_none())
    else {
        return;
    };
    let what = match (action, last.what.as_str()) {
        (ClaimAction::Reserve { .. }, "grown") => "reserved more",
        (ClaimAction::Reserve { .. }, "shrunk") => "reserved anew in part",
        (ClaimAction::Unreserve(_), "shrunk") => "unreserved in part",
        (ClaimAction::Create(_), "shrunk") => "made a volume in part",
        (ClaimAction::Grow { .. }, "shrunk") => "grew a volume in part",
        (ClaimAction::Shrink { .. }, "grown") => "given back by a volume",
        _ => return,
    };
    what.clone_into(&mut last.what);
}

/// A reservation of which nothing is left: what was held until then, and what became of it.
fn ended(claim: Claim, action: &ClaimAction, making: &Making<'_>) -> Claim {
    let before = (making.claims_with)(&claim.resource.identity);
    let before = before.into_iter().find(|it| it.id == claim.id);
    let mut ended = match before {
        Some(Claim { resource, shares, .. }) => Claim { resource, shares, ..claim },
        None => claim,
    };
    if let Some(last) = ended.history.last_mut() {
        last.what = match action {
            ClaimAction::Unreserve(_) => "unreserved",
            ClaimAction::Create(_) => "made a volume",
            ClaimAction::Grow { .. } => "grew a volume",
            ClaimAction::Reserve { .. } => "reserved anew",
            _ => "ended",
        }
        .to_owned();
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PersistenceId;
    use crate::labels::Labels;
    use crate::operation::{Expected, Together};
    use crate::resource::{Reservation, ReservationKind};
    use crate::resources::Resources;
    use crate::role::Role;
    use crate::value::Scalar;
    use proptest::prelude::*;
    use proptest::sample::select;
    use uuid::Uuid;

    struct Counter(u128);

    impl IdSource for Counter {
        fn fresh(&mut self) -> Uuid {
            self.0 += 1;
            Uuid::from_u128(self.0)
        }
    }

    /// The frameworks of a role: `a` and `b` are there, `gone` was removed.
    const NAMES: [&str; 3] = ["a", "b", "gone"];

    fn framework(name: &str) -> FrameworkId {
        FrameworkId::made(name.to_owned())
    }

    fn dynamic(role: &str) -> Reservation {
        Reservation {
            kind: ReservationKind::Dynamic,
            role: Role::parse(role).unwrap(),
            principal: None,
            labels: Labels::default(),
        }
    }

    fn disk(mb: i64) -> Resource {
        Resource::scalar("disk", Scalar::whole(mb))
    }

    fn db(mb: i64) -> Resource {
        disk(mb).reserved(dynamic("db"))
    }

    fn refined(mb: i64) -> Resource {
        db(mb).reserved(dynamic("db/x"))
    }

    fn volume(mb: i64, id: &str) -> Resource {
        db(mb).volume(PersistenceId::made(id.to_owned()), "data", None)
    }

    fn reserve(resources: &[Resource]) -> ClaimAction {
        ClaimAction::Reserve { resources: resources.to_vec(), source: Vec::new() }
    }

    /// The claims of an agent, and a clock that tells them apart by their age.
    struct Bed {
        claims: BTreeMap<ClaimId, Claim>,
        ids: Counter,
        now: u64,
        ownership: Ownership,
    }

    impl Bed {
        fn new() -> Bed {
            let ownership = Ownership { removed: vec![framework("gone")], ..Ownership::default() };
            Bed { claims: BTreeMap::new(), ids: Counter(0), now: 0, ownership }
        }

        /// One asks: a framework by its name, or an operator.
        fn perform(&mut self, by: Option<&str>, action: &ClaimAction) -> Result<(), NotTaken> {
            self.with(by, |making| changes(action, making))
        }

        fn with(
            &mut self,
            by: Option<&str>,
            work: impl FnOnce(&mut Making<'_>) -> Result<ClaimChanges, NotTaken>,
        ) -> Result<(), NotTaken> {
            self.now += 1;
            let (claims, asker) = (&self.claims, by.map(framework));
            let mut making = Making {
                now: Instant(self.now),
                framework: asker.as_ref(),
                ownership: &self.ownership,
                operation: Some(OperationUuid(Uuid::from_u128(u128::from(self.now)))),
                by: by.unwrap_or("op"),
                ids: &mut self.ids,
                disk_of: &|_| None,
                claims_with: &|identity| {
                    let same = claims.values().filter(|it| it.resource.identity == *identity);
                    same.cloned().collect()
                },
            };
            let changes = work(&mut making)?;
            for it in changes.ended {
                let was = self.claims.remove(&it.id).expect("what ends was there");
                assert_eq!((was.resource, was.shares), (it.resource, it.shares));
            }
            self.claims.extend(changes.kept.into_iter().map(|it| (it.id, it)));
            Ok(())
        }

        /// The same of what is there, if there is enough of it.
        fn possible(&self, action: ClaimAction) -> Option<ClaimAction> {
            let living = self.claims.values().filter(|it| it.state != ClaimState::Destroying);
            let resources = living.map(|it| it.resource.clone());
            let total: Resources = resources.chain([disk(1_000_000)]).collect();
            let action = match action {
                ClaimAction::Grow { volume, addition } => {
                    ClaimAction::Grow { volume: total.one(&volume.identity)?, addition }
                }
                ClaimAction::Shrink { volume, subtract } => {
                    let volume = total.one(&volume.identity)?;
                    if volume.value.quantity() <= subtract {
                        return None;
                    }
                    ClaimAction::Shrink { volume, subtract }
                }
                ClaimAction::Destroy(volumes) => {
                    ClaimAction::Destroy(vec![total.one(&volumes[0].identity)?])
                }
                other => other,
            };
            action.check_on(&total).is_ok().then_some(action)
        }

        fn empty_trash(&mut self) {
            let destroying = self.claims.values().filter(|it| it.state == ClaimState::Destroying);
            for volume in destroying.cloned().collect::<Vec<_>>() {
                self.claims.remove(&volume.id);
                self.with(None, |making| Ok(give_back(&volume, making))).unwrap();
            }
        }

        /// Who has how much of what is reserved for `db`, the oldest claim first.
        fn makers(&self) -> Vec<(&str, i64)> {
            let mut claims: Vec<&Claim> =
                self.claims.values().filter(|it| it.resource.identity == db(1).identity).collect();
            claims.sort_by_key(|it| (it.created, it.id));
            let maker = |it: &&Claim| it.framework.clone().map(|it| it.as_str().to_owned());
            claims
                .iter()
                .map(|it| {
                    let name = maker(it);
                    let name = NAMES.into_iter().find(|n| Some(*n) == name.as_deref());
                    (name.unwrap_or("role"), it.resource.value.quantity().as_thousandths() / 1000)
                })
                .collect()
        }
    }

    /// `a` has 30, the role 10, the removed framework 20, `b` 40.
    fn shared() -> Bed {
        let mut bed = Bed::new();
        for (by, mb) in [(Some("a"), 30), (Some("gone"), 20), (None, 10), (Some("b"), 40)] {
            bed.perform(by, &reserve(&[db(mb)])).unwrap();
        }
        bed
    }

    #[test]
    fn a26_j4_j17_equal_reservations_stay_the_claims_of_their_makers() {
        let mut bed = shared();
        assert_eq!(bed.makers(), [("a", 30), ("gone", 20), ("role", 10), ("b", 40)]);
        bed.perform(Some("a"), &reserve(&[db(5)])).unwrap();
        assert_eq!(bed.makers()[0], ("a", 35), "a maker's own are one claim");
        assert_eq!(bed.claims.len(), 4);
    }

    #[test]
    fn one_gives_up_ones_own_first_then_the_roles_and_never_what_another_framework_holds() {
        let mut bed = shared();
        bed.perform(Some("b"), &ClaimAction::Unreserve(vec![db(45)])).unwrap();
        assert_eq!(bed.makers(), [("a", 30), ("gone", 15), ("role", 10)], "the role's oldest");
        let too_much = ClaimAction::Unreserve(vec![db(26)]);
        let refused = bed.perform(Some("b"), &too_much).unwrap_err();
        let NotTaken::Held { claim, framework: holder, resource } = &refused else { panic!() };
        assert_eq!((bed.claims[claim].framework.as_ref(), &**resource), (Some(holder), &db(1)));
        assert_eq!(*holder, framework("a"));
        let why = refused.why(&too_much, &|it| format!("`{it}`"));
        assert!(why.contains("held by framework `a`") && why.contains(&claim.to_string()), "{why}");
        assert_eq!(bed.makers(), [("a", 30), ("gone", 15), ("role", 10)], "nothing is half done");
        bed.perform(None, &ClaimAction::Unreserve(vec![db(25)])).unwrap();
        assert!(bed.perform(None, &ClaimAction::Unreserve(vec![db(1)])).is_err());
        bed.ownership.anybody = true;
        bed.perform(Some("b"), &ClaimAction::Unreserve(vec![db(30)])).unwrap();
        assert!(bed.claims.is_empty(), "Mesos's way");
    }

    #[test]
    fn one_claim_is_meant_and_no_other() {
        let mut bed = shared();
        let of = |bed: &Bed, name: &str| {
            let theirs = |it: &&Claim| it.framework == Some(framework(name));
            bed.claims.values().find(theirs).unwrap().id
        };
        let b = of(&bed, "b");
        bed.ownership.claim = Some(b);
        assert!(bed.perform(None, &ClaimAction::Unreserve(vec![db(40)])).is_err(), "it is held");
        bed.ownership.anybody = true;
        let less = bed.perform(None, &ClaimAction::Unreserve(vec![db(41)]));
        assert_eq!(less, Err(NotTaken::Less(b)), "it is not made up from others");
        bed.perform(None, &ClaimAction::Unreserve(vec![db(40)])).unwrap();
        assert_eq!(bed.makers(), [("a", 30), ("gone", 20), ("role", 10)]);
        let again = bed.perform(None, &ClaimAction::Unreserve(vec![db(10)]));
        assert_eq!(again, Err(NotTaken::Less(b)), "it is gone");
    }

    #[test]
    fn what_a_volume_is_made_of_goes_back_to_whoever_it_came_from() {
        let mut bed = shared();
        bed.perform(Some("b"), &ClaimAction::Create(vec![volume(90, "v")])).unwrap();
        assert_eq!(bed.makers(), [("a", 10)], "its own, the role's, then what it was offered");
        let grow = ClaimAction::Grow { volume: volume(90, "v"), addition: db(10) };
        bed.perform(Some("a"), &grow).unwrap();
        assert_eq!(bed.makers(), []);
        let subtract = Scalar::whole(35);
        let shrink = ClaimAction::Shrink { volume: volume(100, "v"), subtract };
        assert!(bed.perform(Some("a"), &shrink).is_err(), "another's volume");
        assert!(bed.perform(Some("a"), &ClaimAction::Destroy(vec![volume(100, "v")])).is_err());
        bed.perform(Some("b"), &shrink).unwrap();
        assert_eq!(bed.makers(), [("a", 30), ("role", 5)], "what came last goes first");
        bed.perform(Some("b"), &ClaimAction::Destroy(vec![volume(65, "v")])).unwrap();
        assert_eq!(bed.makers(), [("a", 30), ("role", 5)], "not before it is in the trash");
        bed.empty_trash();
        let mut makers = bed.makers();
        makers.sort_unstable();
        assert_eq!(makers, [("a", 30), ("b", 40), ("gone", 20), ("role", 10)], "as before");
    }

    #[test]
    fn a_refined_reservation_is_made_of_what_is_below_it_and_gives_that_back() {
        let mut bed = shared();
        bed.perform(Some("b"), &reserve(&[refined(85)])).unwrap();
        assert_eq!(bed.makers(), [("a", 15)]);
        bed.perform(Some("b"), &ClaimAction::Unreserve(vec![refined(20)])).unwrap();
        let mut makers = bed.makers();
        makers.sort_unstable();
        assert_eq!(makers, [("a", 30), ("role", 5)]);
        assert!(bed.perform(Some("a"), &ClaimAction::Unreserve(vec![refined(65)])).is_err());
        bed.perform(Some("b"), &ClaimAction::Unreserve(vec![refined(65)])).unwrap();
        let mut makers = bed.makers();
        makers.sort_unstable();
        assert_eq!(makers, [("a", 30), ("b", 40), ("gone", 20), ("role", 10)]);
    }

    #[test]
    fn an_operator_moves_what_is_the_roles_and_another_frameworks_only_by_force() {
        let mut bed = shared();
        let moved = |mb: i64| ClaimAction::Reserve {
            resources: vec![disk(mb).reserved(dynamic("web"))],
            source: vec![db(mb)],
        };
        assert!(bed.perform(None, &moved(31)).is_err());
        bed.perform(None, &moved(30)).unwrap();
        assert_eq!(bed.makers(), [("a", 30), ("b", 40)]);
        bed.ownership.anybody = true;
        bed.perform(None, &moved(70)).unwrap();
        assert_eq!(bed.makers(), []);
    }

    #[test]
    fn what_one_operation_makes_names_it() {
        let mut bed = Bed::new();
        let cpus = Resource::scalar("cpus", Scalar::whole(2)).reserved(dynamic("db"));
        bed.perform(Some("a"), &reserve(&[cpus, db(10)])).unwrap();
        let operations: BTreeSet<_> = bed.claims.values().map(|it| it.operation).collect();
        assert_eq!((bed.claims.len(), operations.len()), (2, 1));
        assert!(operations.first().unwrap().is_some());
    }

    fn act() -> impl Strategy<Value = (Option<&'static str>, ClaimAction)> {
        let by = select(vec![None, Some("a"), Some("b"), Some("gone")]);
        let mb = || 1i64..40;
        let volume_named = || (mb(), select(vec!["v", "w"])).prop_map(|(mb, id)| volume(mb, id));
        let action = prop_oneof![
            4 => mb().prop_map(|it| reserve(&[db(it)])),
            2 => mb().prop_map(|it| reserve(&[refined(it)])),
            3 => mb().prop_map(|it| ClaimAction::Unreserve(vec![db(it)])),
            2 => mb().prop_map(|it| ClaimAction::Unreserve(vec![refined(it)])),
            3 => volume_named().prop_map(|it| ClaimAction::Create(vec![it])),
            2 => volume_named().prop_map(|it| ClaimAction::Destroy(vec![it])),
            2 => (volume_named(), mb()).prop_map(|(volume, it)| ClaimAction::Grow { volume, addition: db(it) }),
            2 => (volume_named(), mb()).prop_map(|(volume, it)| ClaimAction::Shrink { volume, subtract: Scalar::whole(it) }),
        ];
        (by, action)
    }

    /// How much each maker has reserved that is not given up, wherever it is now: in its own claims, in volumes, below refined ones.
    fn held(bed: &Bed) -> BTreeMap<String, i64> {
        let mut held = BTreeMap::new();
        let bottom = |it: &Claim| it.resource.identity == db(1).identity;
        for claim in bed.claims.values() {
            let shares = if bottom(claim) { vec![] } else { claim.all_shares() };
            let own =
                bottom(claim).then(|| (claim.framework.clone(), claim.resource.value.clone()));
            let shares = shares.into_iter().map(|it| (it.framework, it.amount.value));
            for (maker, value) in own.into_iter().chain(shares) {
                let name = maker.map_or("role".to_owned(), |it| it.as_str().to_owned());
                *held.entry(name).or_default() += value.quantity().as_thousandths();
            }
        }
        held.retain(|_, it| *it != 0);
        held
    }

    proptest! {
        /// A master tries all steps at once, and the agent does them one by one: both come to the same.
        #[test]
        fn steps_that_are_made_together_are_refused_where_they_would_be_one_by_one(
            before in prop::collection::vec(act(), 0..20),
            steps in prop::collection::vec(act(), 1..6),
        ) {
            let mut bed = Bed::new();
            for (by, action) in before {
                if let Some(action) = bed.possible(action) {
                    drop(bed.perform(by, &action));
                }
            }
            let claims = bed.claims.clone();
            let (mut asked, mut refused) = (Vec::new(), None);
            for (_, action) in steps {
                let Some(action) = bed.possible(action) else { continue };
                let outcome = bed.perform(None, &action);
                asked.push(action);
                if outcome.is_err() {
                    refused = Some(asked.len() - 1);
                    break;
                }
            }
            let (by, expected) = ("op".to_owned(), Expected::default());
            let together = ClaimAction::Together(Together { by, steps: asked, expected, filling: None });
            let there = |identity: &Identity| {
                claims.values().filter(|it| it.resource.identity == *identity).cloned().collect()
            };
            let outcome = taken(&together, None, &bed.ownership, &there);
            prop_assert_eq!(outcome.as_ref().err().map(|it| it.0), refused, "{:?}", together);
            let forced = Ownership { anybody: true, ..bed.ownership.clone() };
            for it in taken(&together, None, &forced, &there).unwrap() {
                prop_assert!(claims.contains_key(&it.claim), "what it makes itself is not taken: {it:?}");
            }
        }

        /// Whatever is done with it: what a framework that is there has reserved is its own until it gives it up itself.
        #[test]
        fn nobody_loses_what_it_has_reserved(acts in prop::collection::vec((act(), any::<bool>()), 1..40)) {
            let mut bed = Bed::new();
            for ((by, action), empties) in acts {
                let Some(action) = bed.possible(action) else { continue };
                let before = held(&bed);
                let done = bed.perform(by, &action).is_ok();
                let after = held(&bed);
                for name in ["a", "b"] {
                    let (was, is) = (before.get(name), after.get(name));
                    let gives_up = matches!(&action, ClaimAction::Unreserve(list) if list[0].identity == db(1).identity);
                    let may_lose = by == Some(name) && gives_up;
                    prop_assert!(was <= is || may_lose, "{by:?} {action:?}: {before:?} {after:?}");
                }
                let sum = |it: &BTreeMap<String, i64>| it.values().sum::<i64>();
                let mb = |it: &Resource| it.value.quantity().as_thousandths();
                let change = match &action {
                    ClaimAction::Reserve { resources, .. } if resources[0].identity == db(1).identity => mb(&resources[0]),
                    ClaimAction::Unreserve(list) if list[0].identity == db(1).identity => -mb(&list[0]),
                    _ => 0,
                };
                prop_assert_eq!(sum(&after) - sum(&before), if done { change } else { 0 });
                for claim in bed.claims.values() {
                    let of_shares = claim.all_shares().iter().fold(Scalar::ZERO, |sum, it| sum.plus(it.amount.value.quantity()));
                    prop_assert_eq!(of_shares, claim.resource.value.quantity(), "{:?}", claim);
                }
                if empties {
                    bed.empty_trash();
                    prop_assert_eq!(held(&bed), after);
                }
            }
        }
    }
}
