//! What an agent has, what of it is used or offered, and what operations have reserved.
//!
//! What an operation gives is there once its agent has written it down, and is offered to nobody before. The later operations and tasks of
//! the same ACCEPT may build on it, since the agent does them in order; everybody else waits until all operations of that ACCEPT are
//! settled. So a destroyed volume's space is never used while its bytes lie there, what a framework claims is never offered to another
//! one before it is known whose it is, and what was claimed together is offered together. Relies on agents settling every operation; what
//! is reserved by it ends with that.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    ClaimAction, Conversion, Identity, Invalid, OperationUuid, Resource, Resources, Value,
};

/// What is in an agent's total and not to be offered until operations are settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReservedByOperation {
    /// Until these operations are settled.
    pub until: BTreeSet<OperationUuid>,
    /// What, without allocations.
    pub what: Resources,
}

/// What an agent has and who has it, without allocations.
///
/// What is free is kept by difference as long as all that is held and reserved is there, once. Where it is not (an agent that has shrunk, a
/// volume that is said to be used twice), nothing goes below zero, so it is found anew at each change.
///
/// A shared volume is free whoever holds it, from when it is there until an operation takes it away.
#[derive(Clone, Debug, Default)]
pub(super) struct Capacity {
    /// All it has, claims laid on it, as far as we know.
    total: Resources,
    /// What tasks, executors and offers hold of it.
    held: Resources,
    /// What is in the total and not to be offered yet, by the first of the operations that were sent together.
    reserved: BTreeMap<OperationUuid, ReservedByOperation>,
    /// What is neither held nor reserved.
    free: Resources,
    /// Whether not all that is held and reserved is there, once.
    is_short: bool,
}

impl Capacity {
    pub(super) fn total(&self) -> &Resources {
        &self.total
    }

    pub(super) fn set_total(&mut self, total: Resources) {
        self.total = total;
        self.find_free();
    }

    pub(super) fn held(&self) -> &Resources {
        &self.held
    }

    pub(super) fn reserved(&self) -> &BTreeMap<OperationUuid, ReservedByOperation> {
        &self.reserved
    }

    /// What is neither used nor offered nor on its way.
    pub(super) fn free(&self) -> &Resources {
        &self.free
    }

    pub(super) fn hold(&mut self, resources: &Resources) {
        self.held.add_all(resources);
        self.take(&resources.unshared());
    }

    pub(super) fn release(&mut self, resources: &Resources) {
        let resources = sized_as_in(&self.held, resources);
        let were_held = self.held.contains(&resources);
        self.held.subtract_all(&resources);
        self.give_back(&resources.unshared(), were_held);
    }

    /// Whether whoever holds these can have them. Of what is counted, no more is held than there is; of what has names or numbers (ports), these
    /// are there: an agent may have come back without others that a task still uses.
    pub(super) fn is_held_within(&self, resources: &Resources) -> bool {
        resources.entries().all(|(identity, amount)| match amount.value {
            _ if identity.shared => self.total.get(identity).is_some(),
            _ if identity.is_exclusive() => {
                let copies = |it: &Resources| it.get(identity).map_or(0, |it| it.copies);
                copies(&self.held) <= copies(&self.total)
            }
            Value::Scalar(_) => {
                let held = self.held.get(identity);
                held.is_none_or(|held| self.total.contains_amount(identity, held))
            }
            Value::Ranges(_) | Value::Set(_) => self.total.contains_amount(identity, amount),
        })
    }

    /// Forgets what is held but for `rest`.
    pub(super) fn hold_only(&mut self, rest: Resources) {
        self.held = rest;
        self.find_free();
    }

    /// Believes `action`, sent as `uuid`, one of a `group`, done before the agent says so, and reserves what it gives.
    pub(super) fn speculate(
        &mut self,
        group: OperationUuid,
        uuid: OperationUuid,
        action: &ClaimAction,
    ) -> Result<Conversion, Invalid> {
        let was_short = self.is_short;
        let conversion = action.apply(&mut self.total)?;
        self.draw(&conversion.consumed);
        let reserved = self.reserved.entry(group).or_default();
        reserved.until.insert(uuid);
        // A volume that is held stays so, whatever size it has now.
        let held = &self.held;
        let is_new = |it: &Identity| !it.is_exclusive() || held.get(it).is_none();
        reserved.what.add_all(&conversion.converted.filter(is_new));
        // What was consumed is in the total no more, and what came for it is reserved.
        match was_short {
            // It may have been enough to make up for what was short, and then the drawing has found it so with half of the change.
            true => self.find_free(),
            false => self.take(&conversion.consumed),
        }
        Ok(conversion)
    }

    /// What `taken` needs beyond what is free comes from what is on its way: a task may build on what its own ACCEPT has made.
    pub(super) fn draw(&mut self, taken: &Resources) {
        for resource in taken.iter() {
            let mut rest = rest_of(&resource, &self.free);
            for ReservedByOperation { what, .. } in self.reserved.values_mut() {
                let Some(needed) = rest else { break };
                rest = rest_of(&needed, what);
                let drawn = what_is_drawn(&needed, rest.as_ref());
                what.subtract(&needed);
                drawn.iter().for_each(|it| self.free.add(it));
            }
        }
        if self.is_short {
            self.find_free();
        }
    }

    /// Reserves `more` until the operations of a group are settled; says whether any of them still is not.
    pub(super) fn reserve_with(&mut self, group: &OperationUuid, more: &Resources) -> bool {
        let Some(reserved) = self.reserved.get_mut(group) else { return false };
        reserved.what.add_all(more);
        self.take(more);
        true
    }

    /// The operation is settled: what waited for nothing else is free.
    pub(super) fn settled(&mut self, uuid: &OperationUuid) {
        let mut freed = Vec::new();
        self.reserved.retain(|_, it| {
            it.until.remove(uuid);
            if it.until.is_empty() {
                freed.push(std::mem::take(&mut it.what));
            }
            !it.until.is_empty()
        });
        freed.iter().for_each(|what| self.give_back(what, true));
    }

    /// The agent itself says which operations are on their way.
    pub(super) fn set_reserved(&mut self, reserved: BTreeMap<OperationUuid, ReservedByOperation>) {
        self.reserved = reserved;
        self.find_free();
    }

    /// These are free no more.
    fn take(&mut self, resources: &Resources) {
        let resources = sized_as_in(&self.total, resources);
        if self.is_short || !self.free.contains(&resources) {
            return self.find_free();
        }
        self.free.subtract_all(&resources);
        self.check_in_tests();
    }

    /// These are free again, if they were held or reserved.
    fn give_back(&mut self, resources: &Resources, were_taken: bool) {
        if self.is_short || !were_taken {
            return self.find_free();
        }
        self.free.add_all(&sized_as_in(&self.total, resources));
        self.check_in_tests();
    }

    fn find_free(&mut self) {
        (self.free, self.is_short) = self.free_anew();
    }

    /// What is free by the full sum, and whether not all that is taken is there.
    fn free_anew(&self) -> (Resources, bool) {
        let mut taken = self.held.unshared().into_owned();
        self.reserved.values().for_each(|it| taken.add_all(&it.what));
        let taken = sized_as_in(&self.total, &taken);
        let mut free = self.total.clone();
        free.subtract_all(&taken);
        let is_short = !self.total.contains(&taken);
        if is_short {
            excess(&taken, &self.total).for_each(|it| make_up_for(&mut free, &it));
        }
        (free, is_short)
    }

    /// What is held beyond what there is, of what can be divided.
    pub(super) fn overcommitted(&self) -> Vec<Resource> {
        match self.is_short {
            true => excess(&self.held, &self.total).collect(),
            false => Vec::new(),
        }
    }

    /// What is kept by difference is what the full sum says: every test of the master checks it at every change.
    fn check_in_tests(&self) {
        if cfg!(test) {
            assert_eq!(
                self.free,
                self.free_anew().0,
                "what is free is the total less what is taken"
            );
        }
    }
}

/// What there can be only one of is the same whatever size it is said to have: a task may be said to hold a volume of another size than the
/// agent has by that name.
fn sized_as_in<'a>(those: &Resources, resources: &'a Resources) -> Cow<'a, Resources> {
    let size = |identity: &Identity| match identity.is_exclusive() {
        true => those.get(identity),
        false => None,
    };
    if resources.entries().all(|(it, amount)| size(it).is_none_or(|it| it.value == amount.value)) {
        return Cow::Borrowed(resources);
    }
    let sized = |it: Resource| match size(&it.identity) {
        Some(amount) => Resource { value: amount.value.clone(), ..it },
        None => it,
    };
    Cow::Owned(resources.iter().map(sized).collect())
}

/// What of `taken` is more than there is, of what can be divided.
fn excess<'a>(taken: &'a Resources, total: &'a Resources) -> impl Iterator<Item = Resource> + 'a {
    taken.iter().filter_map(|it| rest_of(&it, total)).filter(|it| !it.identity.is_exclusive())
}

/// What is used beyond what there is of one kind (of what nobody has reserved, say) is not there for another (a reservation) either. Volumes are:
/// their bytes are on the disk.
fn make_up_for(free: &mut Resources, excess: &Resource) {
    let (base, mut excess) = (excess.identity.base(), excess.value.clone());
    let is_same = |it: &Resource| !it.identity.is_exclusive() && it.identity.base() == base;
    for other in free.iter().filter(is_same).collect::<Vec<_>>() {
        let left = other.value.minus(&excess);
        free.subtract(&other);
        excess = excess.minus(&other.value);
        if !left.is_empty() {
            free.add(&Resource { value: left, ..other });
        }
    }
}

/// What of `needed` is not in `there`.
fn rest_of(needed: &Resource, there: &Resources) -> Option<Resource> {
    if there.contains_one(needed) {
        return None;
    }
    let rest = match there.get(&needed.identity) {
        Some(amount) if !needed.identity.is_exclusive() => needed.value.minus(&amount.value),
        _ => needed.value.clone(),
    };
    Some(Resource { value: rest, ..needed.clone() })
}

/// What is given of `needed`, if this is the rest that is not.
fn what_is_drawn(needed: &Resource, rest: Option<&Resource>) -> Option<Resource> {
    match rest {
        None => Some(needed.clone()),
        Some(_) if needed.identity.is_exclusive() => None,
        Some(rest) => Some(Resource { value: needed.value.minus(&rest.value), ..needed.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{amount, disk, reserve, reserved, volume};
    use holdfast_model::Ranges;
    use uuid::Uuid;

    fn sum(list: &[Resource]) -> Resources {
        list.iter().collect()
    }

    fn having(list: &[Resource]) -> Capacity {
        let mut capacity = Capacity::default();
        capacity.set_total(sum(list));
        capacity
    }

    fn sent(capacity: &mut Capacity, number: u128, action: ClaimAction) {
        capacity.speculate(uuid(number / 10), uuid(number), &action).unwrap();
    }

    fn uuid(number: u128) -> OperationUuid {
        OperationUuid(Uuid::from_u128(number))
    }

    fn reserved_now(capacity: &Capacity) -> Resources {
        capacity.reserved.values().flat_map(|it| it.what.iter().collect::<Vec<_>>()).collect()
    }

    #[test]
    fn what_an_operation_gives_is_free_when_it_is_settled() {
        let mut capacity = having(&[disk(100)]);
        sent(&mut capacity, 10, reserve(&[reserved(60)]));
        assert_eq!(*capacity.free(), sum(&[disk(40)]));
        capacity.settled(&uuid(10));
        assert_eq!(*capacity.free(), sum(&[disk(40), reserved(60)]));
        assert!(capacity.reserved.is_empty());
    }

    #[test]
    fn a_volume_that_grows_is_free_when_that_is_settled_and_stays_held_under_its_task() {
        let grow = || ClaimAction::Grow { volume: volume("v", 30), addition: reserved(20) };
        let mut capacity = having(&[disk(50), reserved(20), volume("v", 30)]);
        sent(&mut capacity, 10, grow());
        assert_eq!(*capacity.free(), sum(&[disk(50)]));
        capacity.settled(&uuid(10));
        assert_eq!(*capacity.free(), sum(&[disk(50), volume("v", 50)]));
        let mut capacity = having(&[disk(50), reserved(20), volume("v", 30)]);
        capacity.hold(&sum(&[volume("v", 30)]));
        sent(&mut capacity, 10, grow());
        assert_eq!(*capacity.free(), sum(&[disk(50)]));
        capacity.settled(&uuid(10));
        assert_eq!(*capacity.free(), sum(&[disk(50)]));
        assert!(!capacity.is_short);
        capacity.release(&sum(&[volume("v", 30)]));
        assert_eq!(*capacity.free(), sum(&[disk(50), volume("v", 50)]), "by its name");
    }

    #[test]
    fn an_agent_that_shrank_has_no_more_to_offer_than_its_tasks_leave() {
        let mem = |mb| amount("mem", mb);
        let kept = || mem(600).reserved(crate::tests::bed::reservation("db"));
        let mut capacity = having(&[mem(1448), kept(), disk(100), volume("v", 30)]);
        capacity.hold(&sum(&[mem(512), disk(60)]));
        assert!(capacity.overcommitted().is_empty());
        capacity.set_total(sum(&[mem(100), kept(), disk(20), volume("v", 30)]));
        let left = mem(188).reserved(crate::tests::bed::reservation("db"));
        assert_eq!(*capacity.free(), sum(&[left, volume("v", 30)]), "600 less 412, and the volume");
        assert_eq!(capacity.overcommitted(), [disk(40), mem(412)]);
        capacity.release(&sum(&[mem(512), disk(60)]));
        assert_eq!(*capacity.free(), sum(&[mem(100), kept(), disk(20), volume("v", 30)]));
    }

    #[test]
    fn a_volume_that_is_held_is_nobody_elses_whatever_its_size_was_said_to_be() {
        let mut capacity = having(&[disk(100), volume("v", 30)]);
        capacity.hold(&sum(&[volume("v", 20)]));
        assert_eq!(*capacity.free(), sum(&[disk(100)]));
        assert!(capacity.is_held_within(&sum(&[volume("v", 30)])));
        capacity.hold(&sum(&[volume("v", 30)]));
        assert!(!capacity.is_held_within(&sum(&[volume("v", 30)])), "it is held twice now");
        capacity.release(&sum(&[volume("v", 30)]));
        capacity.release(&sum(&[volume("v", 20)]));
        assert_eq!(*capacity.free(), sum(&[disk(100), volume("v", 30)]));
    }

    #[test]
    fn an_operation_that_ends_a_shortage_takes_what_it_consumes_once() {
        let mut capacity = having(&[disk(100), reserved(100)]);
        capacity.hold(&sum(&[disk(60)]));
        capacity.set_total(sum(&[disk(50), reserved(100)]));
        sent(&mut capacity, 10, ClaimAction::Unreserve(vec![reserved(40)]));
        assert_eq!(*capacity.free(), sum(&[reserved(50)]), "10 are short until it is settled");
        capacity.settled(&uuid(10));
        assert_eq!(*capacity.free(), sum(&[disk(30), reserved(60)]));
    }

    #[test]
    fn later_operations_draw_on_earlier_ones() {
        let mut capacity = having(&[disk(100), reserved(10)]);
        sent(&mut capacity, 10, reserve(&[reserved(60)]));
        sent(&mut capacity, 20, ClaimAction::Create(vec![volume("v", 30)])); // 10 of it were free.
        assert_eq!(
            (capacity.free().clone(), reserved_now(&capacity)),
            (sum(&[disk(40)]), sum(&[reserved(40), volume("v", 30)]))
        );
        sent(&mut capacity, 30, ClaimAction::Destroy(vec![volume("v", 30)]));
        sent(&mut capacity, 40, ClaimAction::Unreserve(vec![reserved(70)]));
        assert_eq!(reserved_now(&capacity), sum(&[disk(70)]));
        capacity.settled(&uuid(40));
        assert_eq!(*capacity.free(), sum(&[disk(110)]));
    }

    #[test]
    fn what_was_asked_together_is_free_together() {
        let mut capacity = having(&[disk(100), volume("v", 30)]);
        sent(&mut capacity, 11, ClaimAction::Destroy(vec![volume("v", 30)]));
        sent(&mut capacity, 12, ClaimAction::Unreserve(vec![reserved(30)]));
        sent(&mut capacity, 13, reserve(&[reserved(50)]));
        capacity.settled(&uuid(13));
        capacity.settled(&uuid(12));
        assert_eq!(
            *capacity.free(),
            sum(&[disk(50)]),
            "the volume's bytes are not in the trash yet"
        );
        capacity.settled(&uuid(11));
        assert_eq!(*capacity.free(), sum(&[disk(80), reserved(50)]));
    }

    #[test]
    fn what_a_task_uses_is_reserved_by_its_operation_no_more() {
        let ports =
            |begin, end| Resource::unreserved("ports", Value::Ranges(Ranges::new([(begin, end)])));
        let mut capacity = having(&[disk(100), ports(1, 10), amount("cpus", 4)]);
        sent(&mut capacity, 10, reserve(&[reserved(60)]));
        let task = sum(&[reserved(50), ports(2, 3), amount("cpus", 1)]);
        capacity.draw(&task);
        capacity.hold(&task);
        let rest = Resource::unreserved("ports", Value::Ranges(Ranges::new([(1, 1), (4, 10)])));
        assert_eq!(*capacity.free(), sum(&[disk(40), rest, amount("cpus", 3)]));
        assert_eq!(reserved_now(&capacity), sum(&[reserved(10)]));
    }
}
