//! Compares the resources that are wanted with those that are available: which fall short, and by
//! how much.
//!
//! Resources that are asked for by reservation or volume must be there as such; plain ones may come
//! from anything of the same name on the same disk, reserved or not, as a task may be launched on
//! both. It never changes what it compares.

use holdfast_model::{Identity, Resource, Resources, Scalar, Value};

/// A resource of which there is less than is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shortfall {
    /// The resource's name: `cpus`, `mem`, ...
    pub name: String,
    /// What a message calls it: the name, with the reservation, volume or ports that were asked
    /// for.
    pub what: String,
    pub wanted: Scalar,
    pub have: Scalar,
}

/// The resources of `wanted` that `have` does not cover.
pub(crate) fn shortfalls(have: &Resources, wanted: &Resources) -> Vec<Shortfall> {
    let mut left = have.unallocated();
    let (named, plain): (Vec<Resource>, Vec<Resource>) =
        wanted.unallocated().iter().partition(|it| is_named(&it.identity));
    let named = named.into_iter().filter_map(|it| take_named(&mut left, &it)).collect::<Vec<_>>();
    named.into_iter().chain(plain.into_iter().filter_map(|it| check_plain(&left, &it))).collect()
}

fn is_named(identity: &Identity) -> bool {
    identity.is_reserved() || identity.persistence.is_some()
}

fn take_named(left: &mut Resources, wanted: &Resource) -> Option<Shortfall> {
    if left.contains_one(wanted) {
        left.subtract(wanted);
        return None;
    }
    let have =
        left.get(&wanted.identity).map(|it| common(&it.value, &wanted.value)).unwrap_or_default();
    let (name, what) = (wanted.identity.name.clone(), wanted.identity.to_string());
    Some(Shortfall { name, what, wanted: wanted.value.quantity(), have })
}

fn check_plain(left: &Resources, wanted: &Resource) -> Option<Shortfall> {
    let it = &wanted.identity;
    let alike = |other: &Identity| {
        (&other.name, other.kind, other.revocable) == (&it.name, it.kind, it.revocable)
            && other.persistence.is_none()
            && same_disk(other, it)
    };
    let pool =
        left.entries().filter(|(other, _)| alike(other)).map(|(_, amount)| amount.value.clone());
    let pool = pool.reduce(|sum, more| sum.plus(&more));
    if pool.as_ref().is_some_and(|pool| pool.contains(&wanted.value)) {
        return None;
    }
    let have = pool.map(|pool| common(&pool, &wanted.value)).unwrap_or_default();
    let what = match wanted.value {
        Value::Scalar(_) => it.to_string(),
        _ => format!("{it}:{}", wanted.value),
    };
    Some(Shortfall { name: it.name.clone(), what, wanted: wanted.value.quantity(), have })
}

fn same_disk(a: &Identity, b: &Identity) -> bool {
    a.source == b.source
}

/// How much of `wanted` is in `have`; for scalars, all of `have`.
fn common(have: &Value, wanted: &Value) -> Scalar {
    match wanted {
        Value::Scalar(_) => have.quantity(),
        _ => wanted.minus(&wanted.minus(have)).quantity(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cpus, mem, reserved, volume};
    use holdfast_model::{Ranges, Source};

    fn lines(have: &[Resource], wanted: &[Resource]) -> Vec<String> {
        let short = shortfalls(&have.iter().collect(), &wanted.iter().collect());
        short.into_iter().map(|it| format!("{} {}/{}", it.what, it.have, it.wanted)).collect()
    }

    fn one(resources: Resources) -> Resource {
        resources.iter().next().unwrap()
    }

    #[test]
    fn plain_wants_are_met_from_reserved_and_unreserved_together() {
        let have = [one(cpus(2)), reserved(one(cpus(2)), "r"), one(mem(64))];
        assert_eq!(lines(&have, &[one(cpus(4))]), Vec::<String>::new());
        assert_eq!(lines(&have, &[one(cpus(5)), one(mem(65))]), ["cpus 4/5", "mem 64/65"]);
    }

    #[test]
    fn what_is_asked_for_by_reservation_is_not_met_by_other_things() {
        let mine = reserved(one(cpus(2)), "r");
        assert_eq!(lines(&[one(cpus(9))], std::slice::from_ref(&mine)), ["cpus(r) 0/2"]);
        assert_eq!(
            lines(std::slice::from_ref(&mine), &[mine.clone(), one(cpus(1))]),
            ["cpus 0/1"],
            "nothing is counted twice"
        );
        let disk = volume("v", 100, "r");
        assert_eq!(lines(&[], std::slice::from_ref(&disk)), ["disk(r)[v] 0/100"]);
        assert_eq!(
            lines(std::slice::from_ref(&disk), std::slice::from_ref(&disk)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn disks_are_told_apart() {
        let disk = |size| Resource::scalar("disk", Scalar::whole(size));
        let mount = disk(500).on(Source::mount("/d"));
        assert_eq!(lines(&[mount.clone(), volume("v", 100, "r")], &[disk(10)]), ["disk 0/10"]);
        assert_eq!(lines(&[mount], &[disk(10).on(Source::mount("/d"))]), Vec::<String>::new());
    }

    #[test]
    fn ports_must_be_the_very_ones() {
        let ports =
            |from, to| Resource::unreserved("ports", Value::Ranges(Ranges::new([(from, to)])));
        assert_eq!(lines(&[ports(1, 100)], &[ports(99, 102)]), ["ports:[99-102] 2/4"]);
        assert_eq!(lines(&[ports(1, 100)], &[ports(99, 100)]), Vec::<String>::new());
    }
}
