//! Collections of resources, and their algebra. Everything that is offered, used, claimed or free is one of these; agents, masters
//! and frameworks do the same sums. Never yields an amount below zero.

mod entries;
mod near_miss;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use self::entries::Entries;
use crate::id::PersistenceId;
use crate::resource::{Identity, Resource, VolumeMount};
use crate::role::Role;
use crate::value::{Scalar, Value};

/// How much of one identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The amount; for exclusive and shared things, that of one copy.
    pub value: Value,
    /// How many equal copies; 1 for what can be divided.
    pub copies: u32,
    detail: Option<Arc<VolumeDetail>>,
}

/// What a volume has beside its identity.
#[derive(Debug, PartialEq, Eq)]
struct VolumeDetail {
    mount: Option<VolumeMount>,
    creator: Option<String>,
}

impl Amount {
    fn of(resource: &Resource) -> Amount {
        let Resource { value, mount, creator, .. } = resource;
        let detail = (mount.is_some() || creator.is_some())
            .then(|| Arc::new(VolumeDetail { mount: mount.clone(), creator: creator.clone() }));
        Amount { value: value.clone(), copies: 1, detail }
    }

    /// Adds to it.
    fn grow(&mut self, identity: &Identity, value: &Value, copies: u32) {
        match (identity.is_exclusive() || identity.shared, &mut self.value, value) {
            (true, ..) => self.copies += copies,
            (false, Value::Scalar(kept), Value::Scalar(more)) => *kept = kept.plus(*more),
            (false, kept, more) => *kept = kept.plus(more),
        }
    }

    /// Takes away from it; says whether nothing is left. What is not there is ignored.
    fn shrink(&mut self, identity: &Identity, value: &Value, copies: u32) -> bool {
        if identity.is_exclusive() || identity.shared {
            if self.value != *value {
                return false;
            }
            let is_gone = self.copies <= copies;
            self.copies = self.copies.saturating_sub(copies).max(1);
            return is_gone;
        }
        match (&mut self.value, value) {
            (Value::Scalar(kept), Value::Scalar(less)) => *kept = kept.minus(*less),
            (kept, less) => *kept = kept.minus(less),
        }
        self.copies = 1;
        self.value.is_empty()
    }

    /// One copy of it as a [`Resource`].
    fn one(&self, identity: &Identity) -> Resource {
        Resource {
            identity: identity.clone(),
            value: self.value.clone(),
            mount: self.detail.as_ref().and_then(|it| it.mount.clone()),
            creator: self.detail.as_ref().and_then(|it| it.creator.clone()),
        }
    }
}

/// Amounts by identity. Nothing empty is ever kept in it.
///
/// A clone shares the amounts until one of the two changes, so whoever only reads copies nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    entries: Entries,
}

/// Scalar totals by name, whatever their reservation: for shares, quota and smallest offers.
pub type Quantities = BTreeMap<String, Scalar>;

impl Resources {
    /// The empty collection.
    pub fn new() -> Resources {
        Resources::default()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many different identities it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Each identity with its amount, in a fixed order.
    pub fn entries(&self) -> impl Iterator<Item = (&Identity, &Amount)> {
        self.entries.iter()
    }

    /// Each as a [`Resource`]; several copies come several times.
    pub fn iter(&self) -> impl Iterator<Item = Resource> + '_ {
        self.entries().flat_map(|(identity, amount)| {
            std::iter::repeat_n(amount.one(identity), amount.copies as usize)
        })
    }

    /// The amount of one identity.
    pub fn get(&self, identity: &Identity) -> Option<&Amount> {
        self.entries.get(identity)
    }

    /// One copy of what has this identity, with all that it is beside that.
    pub fn one(&self, identity: &Identity) -> Option<Resource> {
        self.get(identity).map(|it| it.one(identity))
    }

    /// The volumes that bear this name, in whichever role.
    pub fn volumes_named<'a>(
        &'a self,
        id: &'a PersistenceId,
    ) -> impl Iterator<Item = &'a Identity> {
        self.entries.volumes_named(id)
    }

    /// Shares the words of what is equal in `known`, allocations put aside, so that they are in memory once.
    pub fn share(&mut self, known: &Resources) {
        self.entries.share(&known.entries);
    }

    /// Adds one resource. Empty ones are dropped.
    pub fn add(&mut self, resource: &Resource) {
        if !resource.value.is_empty() && !self.grow(&resource.identity, &resource.value, 1) {
            self.entries.insert(resource.identity.clone(), Amount::of(resource));
        }
    }

    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Resources) {
        if self.is_empty() {
            return *self = other.clone();
        }
        let grow = |identity: &Identity, kept: &mut Amount, more: &Amount| {
            kept.grow(identity, &more.value, more.copies);
        };
        if self.entries.take_in(&other.entries, grow) {
            return;
        }
        for (identity, amount) in other.entries() {
            if !self.grow(identity, &amount.value, amount.copies) {
                self.entries.insert(identity.clone(), amount.clone());
            }
        }
    }

    /// Adds to an identity; false if it is not there.
    fn grow(&mut self, identity: &Identity, value: &Value, copies: u32) -> bool {
        let Some(amount) = self.entries.get_mut(identity) else { return false };
        amount.grow(identity, value, copies);
        true
    }

    /// Takes one resource away. What is not there is ignored; nothing goes below zero.
    pub fn subtract(&mut self, resource: &Resource) {
        self.shrink(&resource.identity, &resource.value, 1);
    }

    /// Takes all of `other` away.
    pub fn subtract_all(&mut self, other: &Resources) {
        if self.entries.is_same(&other.entries) {
            return *self = Resources::new();
        }
        let shrink = |identity: &Identity, kept: &mut Amount, less: &Amount| {
            kept.shrink(identity, &less.value, less.copies)
        };
        if self.entries.take_out(&other.entries, shrink) {
            return;
        }
        for (identity, amount) in other.entries() {
            self.shrink(identity, &amount.value, amount.copies);
        }
    }

    fn shrink(&mut self, identity: &Identity, value: &Value, copies: u32) {
        let Some(kept) = self.entries.get_mut(identity) else { return };
        if kept.shrink(identity, value, copies) {
            self.entries.remove(identity);
        }
    }

    /// Whether one resource is in it.
    pub fn contains_one(&self, resource: &Resource) -> bool {
        resource.value.is_empty() || self.has(&resource.identity, &resource.value, 1)
    }

    /// Whether all of `other` is in it.
    pub fn contains(&self, other: &Resources) -> bool {
        self.entries.is_same(&other.entries)
            || other.entries().all(|(it, wanted)| self.contains_amount(it, wanted))
    }

    /// Whether so much of an identity is in it.
    pub fn contains_amount(&self, identity: &Identity, amount: &Amount) -> bool {
        self.has(identity, &amount.value, amount.copies)
    }

    fn has(&self, identity: &Identity, value: &Value, copies: u32) -> bool {
        self.entries.get(identity).is_some_and(|amount| {
            match identity.is_exclusive() || identity.shared {
                true => amount.value == *value && copies <= amount.copies,
                false => amount.value.contains(value),
            }
        })
    }

    /// The part that passes `keep`, which is asked once about each identity, in order.
    pub fn filter(&self, keep: impl Fn(&Identity) -> bool) -> Resources {
        let few = self.entries().filter(|(identity, _)| keep(identity));
        let mut kept = Vec::with_capacity(self.len().min(8));
        kept.extend(few.map(|(it, amount)| (it.clone(), amount.clone())));
        match kept.len() == self.len() {
            true => self.clone(), // The same memory says later that it is the same.
            false => Resources { entries: kept.into_iter().collect() },
        }
    }

    /// The part whose identities are not in `other`.
    pub fn without_any_of(&self, other: &Resources) -> Resources {
        if self.entries.is_same(&other.entries) {
            return Resources::new();
        }
        if let Some(entries) = self.entries.without_these(&other.entries) {
            return Resources { entries };
        }
        self.filter(|identity| other.get(identity).is_none())
    }

    /// The part that nobody reserved.
    pub fn unreserved(&self) -> Resources {
        self.filter(|identity| !identity.is_reserved())
    }

    /// The part that is reserved, for whichever role.
    pub fn reserved(&self) -> Resources {
        self.filter(|identity| identity.is_reserved())
    }

    /// The part that is reserved for exactly `role`.
    pub fn reserved_for(&self, role: &Role) -> Resources {
        self.filter(|identity| identity.reservations.last().is_some_and(|it| it.role == *role))
    }

    /// The part that is no shared volume. That is nearly always all of it, which is not copied then.
    pub fn unshared(&self) -> Cow<'_, Resources> {
        match self.entries().any(|(identity, _)| identity.shared) {
            true => Cow::Owned(self.filter(|identity| !identity.shared)),
            false => Cow::Borrowed(self),
        }
    }

    /// Adds one copy of what has this identity in `from`.
    pub fn add_one_of(&mut self, from: &Resources, identity: &Identity) {
        if let Some(one) = from.one(identity) {
            self.add(&one);
        }
    }

    /// The shared volumes.
    pub fn shared(&self) -> impl Iterator<Item = (&Identity, &Amount)> {
        self.entries().filter(|(identity, _)| identity.shared)
    }

    /// The same with one copy of each shared volume, however many share it: what one who uses them needs to be there.
    pub fn shared_once(&self) -> Cow<'_, Resources> {
        if self.shared().all(|(_, amount)| amount.copies == 1) {
            return Cow::Borrowed(self);
        }
        let mut once = self.unshared().into_owned();
        self.shared().for_each(|(identity, amount)| once.add(&amount.one(identity)));
        Cow::Owned(once)
    }

    /// The volumes.
    pub fn volumes(&self) -> Resources {
        self.filter(|identity| identity.persistence.is_some())
    }

    /// The same, allocated to `role`.
    pub fn allocated_to(&self, role: &Role) -> Resources {
        self.with_identities(|it| it.allocated_to(role))
    }

    /// The same without allocations.
    pub fn unallocated(&self) -> Resources {
        if self.entries().all(|(it, _)| it.allocation.is_none()) {
            return self.clone();
        }
        self.with_identities(Identity::unallocated)
    }

    /// The same with other allocations; what has the same identity then is added up.
    fn with_identities(&self, identity: impl Fn(&Identity) -> Identity) -> Resources {
        let allocation = self.entries().next().and_then(|(it, _)| it.allocation.as_ref());
        if self.entries().all(|(it, _)| it.allocation.as_ref() == allocation) {
            // All stay different, and in their order.
            let entries = self.entries().map(|(it, amount)| (identity(it), amount.clone()));
            return Resources { entries: entries.collect() };
        }
        let mut all = Resources::new();
        for (old, amount) in self.entries() {
            let identity = identity(old);
            if !all.grow(&identity, &amount.value, amount.copies) {
                all.entries.insert(identity, amount.clone());
            }
        }
        all
    }

    /// What the machine had before any claim was laid on it.
    pub fn base(&self) -> Resources {
        self.iter()
            .map(|it| Resource {
                identity: it.identity.base(),
                mount: None,
                creator: None,
                value: it.value,
            })
            .collect()
    }

    /// Totals by name, reservations and allocations put aside. A shared volume counts once.
    pub fn quantities(&self) -> Quantities {
        let mut totals = Quantities::new();
        for (identity, amount) in self.entries() {
            let copies = if identity.shared { 1 } else { i64::from(amount.copies) };
            let one = amount.value.quantity();
            let all = Scalar::thousandths(one.as_thousandths().saturating_mul(copies));
            match totals.get_mut(&identity.name) {
                Some(total) => *total = total.plus(all),
                None => drop(totals.insert(identity.name.clone(), all)),
            }
        }
        totals
    }

    /// The total of the resources with this name. A shared volume counts once.
    pub fn quantity(&self, name: &str) -> Scalar {
        self.entries().filter(|(identity, _)| identity.name == name).fold(
            Scalar::ZERO,
            |sum, (identity, amount)| {
                let copies = if identity.shared { 1 } else { i64::from(amount.copies) };
                let one = amount.value.quantity().as_thousandths();
                sum.plus(Scalar::thousandths(one.saturating_mul(copies)))
            },
        )
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Resources {
        let mut all = Resources::new();
        resources.into_iter().for_each(|resource| all.add(&resource));
        all
    }
}

impl<'a> FromIterator<&'a Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = &'a Resource>>(resources: I) -> Resources {
        let mut all = Resources::new();
        resources.into_iter().for_each(|resource| all.add(resource));
        all
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.iter().map(|it| it.to_string()).collect();
        f.write_str(&if all.is_empty() { "nothing".to_owned() } else { all.join("; ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;
    use crate::resource::{Reservation, ReservationKind, Source};
    use crate::value::Ranges;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn role(text: &str) -> Role {
        Role::parse(text).unwrap()
    }

    fn reservation(name: &str) -> Reservation {
        Reservation {
            kind: ReservationKind::Dynamic,
            role: role(name),
            principal: None,
            labels: Labels::default(),
        }
    }

    /// Few identities, so that sums meet: divisible, exclusive, shared, reserved or not.
    fn resource() -> impl Strategy<Value = Resource> {
        let scalar = (select(vec!["cpus", "mem", "disk"]), 0i64..50_000)
            .prop_map(|(name, it)| Resource::scalar(name, Scalar::thousandths(it)));
        let ports = prop::collection::vec((0u64..80, 0u64..9), 0..4).prop_map(|it| {
            Resource::unreserved(
                "ports",
                Value::Ranges(Ranges::new(it.into_iter().map(|(b, n)| (b, b + n)))),
            )
        });
        let zones =
            prop::collection::btree_set(select(vec!["a", "b", "c", "d"]), 0..4).prop_map(|it| {
                Resource::unreserved(
                    "zones",
                    Value::Set(it.into_iter().map(str::to_owned).collect()),
                )
            });
        let mount = select(vec!["/m1", "/m2"])
            .prop_map(|it| Resource::scalar("disk", Scalar::whole(100)).on(Source::mount(it)));
        let volume = (select(vec!["v1", "v2"]), any::<bool>()).prop_map(|(id, shared)| {
            let id = PersistenceId::made(id.to_owned());
            let mut volume = Resource::scalar("disk", Scalar::whole(10))
                .reserved(reservation("db"))
                .volume(id, "data", None);
            volume.identity.shared = shared;
            volume
        });
        let any = prop_oneof![4 => scalar, 1 => ports, 1 => zones, 1 => mount, 1 => volume];
        (any, prop::option::of(select(vec!["a", "b"]))).prop_map(|(resource, name)| match name {
            Some(name) if !resource.identity.is_reserved() => resource.reserved(reservation(name)),
            _ => resource,
        })
    }

    fn sum() -> impl Strategy<Value = Resources> {
        prop::collection::vec(resource(), 0..8).prop_map(|it| it.into_iter().collect())
    }

    fn plus(a: &Resources, b: &Resources) -> Resources {
        let mut all = a.clone();
        all.add_all(b);
        all
    }

    fn minus(a: &Resources, b: &Resources) -> Resources {
        let mut all = a.clone();
        all.subtract_all(b);
        all
    }

    /// Some of it: nothing, half or all of each entry, as `cuts` says.
    fn part(all: &Resources, cuts: u64) -> Resources {
        let cut = |(index, mut it): (usize, Resource)| {
            let whole = it.identity.is_exclusive() || it.identity.shared;
            match (cuts >> (2 * (index % 32)) & 3, &it.value) {
                (0, _) => return None,
                (1, Value::Scalar(amount)) if !whole => {
                    it.value = Value::Scalar(Scalar::thousandths(amount.as_thousandths() / 2))
                }
                (1, Value::Ranges(ranges)) => {
                    it.value = Value::Ranges(Ranges::new(
                        ranges.intervals().iter().map(|(b, e)| (*b, b + (e - b) / 2)),
                    ))
                }
                (1, Value::Set(items)) => {
                    it.value = Value::Set(items.iter().skip(1).cloned().collect())
                }
                _ => {}
            }
            Some(it)
        };
        all.iter().enumerate().filter_map(cut).collect()
    }

    /// Ranges and sets are unions: what is in both is not there twice.
    fn overlap(a: &Resources, b: &Resources) -> bool {
        b.entries().any(|(identity, other)| {
            a.get(identity).is_some_and(|one| match (&one.value, &other.value) {
                (Value::Scalar(_), _) => false,
                (one, other) => one.minus(other) != *one,
            })
        })
    }

    #[test]
    fn ten_tenths_of_a_cpu_are_a_cpu() {
        let tenth = Resource::scalar("cpus", Scalar::from_f64(0.1).unwrap());
        let mut left: Resources = [Resource::scalar("cpus", Scalar::whole(1))].iter().collect();
        let mut taken = Resources::new();
        for _ in 0..10 {
            left.subtract(&tenth);
            taken.add(&tenth.clone().reserved(reservation("db")));
        }
        assert!(left.is_empty(), "{left}");
        assert_eq!(taken.quantity("cpus"), Scalar::whole(1));
    }

    #[test]
    fn reservations_that_differ_in_principal_or_labels_stay_apart() {
        let by = |principal: &str| Reservation {
            principal: Some(principal.to_owned()),
            ..reservation("db")
        };
        let labelled = Reservation {
            labels: [("k".to_owned(), None)].into_iter().collect(),
            ..reservation("db")
        };
        let cpus = || Resource::scalar("cpus", Scalar::whole(1));
        let all: Resources = [
            cpus(),
            cpus().reserved(by("p")),
            cpus().reserved(by("q")),
            cpus().reserved(labelled),
            cpus().reserved(by("p")),
        ]
        .iter()
        .collect();
        assert_eq!(all.len(), 4);
        assert_eq!(
            all.get(&cpus().reserved(by("p")).identity).map(|it| it.value.quantity()),
            Some(Scalar::whole(2))
        );
    }

    #[test]
    fn a_part_of_a_mount_disk_is_not_in_it() {
        let disk = |mb| Resource::scalar("disk", Scalar::whole(mb)).on(Source::mount("/m"));
        let all: Resources = [disk(100)].iter().collect();
        assert!(all.contains_one(&disk(100)) && !all.contains_one(&disk(50)));
        assert_eq!(minus(&all, &[disk(50)].iter().collect()), all);
    }

    #[test]
    fn copies_of_a_shared_volume_are_counted_and_their_bytes_are_not() {
        let mut volume = Resource::scalar("disk", Scalar::whole(10)).reserved(reservation("db"));
        volume = volume.volume(PersistenceId::made("v".to_owned()), "data", None);
        volume.identity.shared = true;
        let two: Resources = [volume.clone(), volume.clone()].iter().collect();
        assert_eq!((two.len(), two.iter().count()), (1, 2));
        assert_eq!(two.quantities()["disk"], Scalar::whole(10));
        assert!(two.contains(&[volume.clone()].iter().collect()));
        let one = minus(&two, &[volume.clone()].iter().collect());
        assert!(!one.is_empty() && !one.contains(&two));
        assert!(minus(&one, &[volume].iter().collect()).is_empty());
    }

    #[test]
    fn small_steps_do_not_drift() {
        let step = Resource::scalar("cpus", Scalar::from_f64(0.002).unwrap());
        let mut all = Resources::new();
        (0..10_000).for_each(|_| all.add(&step));
        assert_eq!(all.quantity("cpus"), Scalar::whole(20));
        (0..10_000).for_each(|_| all.subtract(&step));
        assert!(all.is_empty());
    }

    proptest! {
        #[test]
        fn order_does_not_matter(a in sum(), b in sum(), c in sum()) {
            prop_assert_eq!(plus(&a, &b), plus(&b, &a));
            prop_assert_eq!(plus(&plus(&a, &b), &c), plus(&a, &plus(&b, &c)));
            prop_assert_eq!(plus(&a, &Resources::new()), a);
        }

        #[test]
        fn subtracting_undoes_adding(a in sum(), b in sum()) {
            prop_assume!(!overlap(&a, &b));
            let both = plus(&a, &b);
            prop_assert!(both.contains(&a) && both.contains(&b));
            prop_assert_eq!(minus(&both, &b), a);
        }

        #[test]
        fn adding_undoes_subtracting(a in sum(), cuts in any::<u64>()) {
            let b = part(&a, cuts);
            prop_assert!(a.contains(&b));
            prop_assert_eq!(plus(&minus(&a, &b), &b), a);
        }

        #[test]
        fn a_part_of_a_sum_can_be_taken_and_given_back(list in prop::collection::vec(resource(), 0..8), keep in any::<u8>()) {
            let (mut kept, mut taken) = (Resources::new(), Resources::new());
            for (index, resource) in list.iter().enumerate() {
                if overlap(&plus(&kept, &taken), &[resource.clone()].iter().collect()) {
                    continue;
                }
                if keep >> index & 1 == 1 { kept.add(resource) } else { taken.add(resource) }
            }
            let all = plus(&kept, &taken);
            prop_assert!(all.contains(&taken));
            prop_assert_eq!(minus(&all, &taken), kept.clone());
            prop_assert_eq!(plus(&minus(&all, &taken), &taken), all);
        }

        #[test]
        fn containment_is_an_order(a in sum(), b in sum(), c in sum()) {
            prop_assert!(a.contains(&a) && a.contains(&Resources::new()));
            prop_assert!(!(a.contains(&b) && b.contains(&a)) || a == b);
            prop_assert!(!(a.contains(&b) && b.contains(&c)) || a.contains(&c));
            prop_assert_eq!(a.contains(&b), plus(&a, &c).contains(&plus(&b, &c)) && a.contains(&b));
        }

        #[test]
        fn nothing_empty_is_ever_kept(a in sum(), b in sum()) {
            for sum in [plus(&a, &b), minus(&a, &b)] {
                prop_assert!(sum.entries().all(|(_, amount)| !amount.value.is_empty() && 0 < amount.copies));
            }
            prop_assert!(minus(&a, &plus(&a, &b)).iter().all(|it| it.identity.is_exclusive() || it.identity.shared) );
        }

        #[test]
        fn quantities_add_up(a in sum(), b in sum()) {
            prop_assume!(!overlap(&a, &b));
            // A shared volume that is in both counts once.
            let (a, b) = (a.unshared(), b.unshared());
            let both = plus(&a, &b);
            for name in ["cpus", "mem", "disk", "ports", "zones"] {
                prop_assert_eq!(both.quantity(name), a.quantity(name).plus(b.quantity(name)), "{}", name);
            }
        }

        #[test]
        fn lists_and_sums_say_the_same(list in prop::collection::vec(resource(), 0..8)) {
            let sum: Resources = list.iter().collect();
            prop_assert_eq!(sum.iter().collect::<Resources>(), sum.clone());
            prop_assert_eq!(plus(&sum.reserved(), &sum.unreserved()), sum.clone());
            prop_assert_eq!(sum.allocated_to(&role("a")).unallocated(), sum);
        }
    }
}
