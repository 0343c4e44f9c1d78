//! Resources of every kind: any shape of amount, any stack of reservations, any disk, volumes. Relies on the rules for resources; never
//! yields one that breaks them.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{role, text, word};
use crate::id::PersistenceId;
use crate::labels::Labels;
use crate::resource::{
    Mode, Reservation, ReservationKind, Resource, Source, SourceKind, VolumeMount,
};
use crate::resources::Resources;
use crate::role::Role;
use crate::value::{Ranges, Scalar, Value};

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::vec((text(), of(text())), 0..3).prop_map(Labels::from_iter)
}

/// A stack that goes down the tree.
fn stack() -> impl Strategy<Value = Vec<Reservation>> {
    let level = (any::<bool>(), of(text()), labels());
    prop::collection::vec(level, 0..4).prop_map(|levels| {
        let mut path = String::new();
        let one = |(index, (fixed, principal, labels)): (usize, (bool, Option<String>, Labels))| {
            path = if path.is_empty() { "a".to_owned() } else { format!("{path}/b") };
            let kind = if fixed && index == 0 {
                ReservationKind::Static
            } else {
                ReservationKind::Dynamic
            };
            // PRE has no place for a static reservation's principal and labels.
            let (principal, labels) = if kind == ReservationKind::Static {
                (None, Labels::default())
            } else {
                (principal, labels)
            };
            Reservation { kind, role: Role::parse(&path).unwrap(), principal, labels }
        };
        levels.into_iter().enumerate().map(one).collect()
    })
}

fn source() -> impl Strategy<Value = Source> {
    let kinds =
        select(vec![SourceKind::Path, SourceKind::Mount, SourceKind::Block, SourceKind::Raw]);
    (kinds, word(), of(word()), of(word()), of(word()), labels()).prop_map(
        |(kind, root, id, vendor, profile, metadata)| {
            let rooted = matches!(kind, SourceKind::Path | SourceKind::Mount);
            Source { kind, root: rooted.then(|| format!("/{root}")), id, vendor, profile, metadata }
        },
    )
}

fn value() -> impl Strategy<Value = Value> {
    let ranges = prop::collection::vec((0u64..1000, 0u64..50), 1..4)
        .prop_map(|it| Ranges::new(it.into_iter().map(|(b, n)| (b, b + n))));
    prop_oneof![
        (1i64..1_000_000_000_000).prop_map(|it| Value::Scalar(Scalar::thousandths(it))),
        ranges.prop_map(Value::Ranges),
        prop::collection::btree_set(text(), 1..4).prop_map(Value::Set),
    ]
}

/// Any valid resource, allocated or not.
pub(crate) fn resource() -> impl Strategy<Value = Resource> {
    prop_oneof![plain_resource(), disk_resource()]
}

fn plain_resource() -> impl Strategy<Value = Resource> {
    (word(), value(), stack(), of(role()), any::<bool>(), of(word())).prop_map(
        |(name, value, reservations, allocation, revocable, provider)| {
            let mut resource = Resource::unreserved(&format!("x{name}"), value);
            let dynamic = reservations.iter().any(|it| it.kind == ReservationKind::Dynamic);
            let identity = &mut resource.identity;
            identity.allocation = allocation;
            identity.revocable = revocable && !dynamic;
            (identity.reservations, identity.provider) = (reservations, provider);
            resource
        },
    )
}

fn disk_resource() -> impl Strategy<Value = Resource> {
    let mount = (word(), any::<bool>()).prop_map(|(container_path, read_only)| VolumeMount {
        container_path,
        mode: if read_only { Mode::ReadOnly } else { Mode::ReadWrite },
    });
    let volume = (word(), of(text()), mount, any::<bool>());
    (1i64..1_000_000_000, stack(), of(source()), of(volume), of(role())).prop_map(
        |(mb, reservations, source, volume, allocation)| {
            let mut resource = Resource::scalar("disk", Scalar::thousandths(mb));
            resource.identity.allocation = allocation;
            resource.identity.reservations = reservations;
            resource.identity.source = source;
            if let Some((id, creator, mount, shared)) =
                volume.filter(|_| resource.identity.is_reserved())
            {
                resource.identity.persistence = Some(PersistenceId::made(id));
                resource.identity.shared = shared;
                (resource.creator, resource.mount) = (creator, Some(mount));
            }
            resource
        },
    )
}

pub(crate) fn list() -> impl Strategy<Value = Vec<Resource>> {
    prop::collection::vec(resource(), 0..3)
}

/// A sum whose exclusive and shared entries have one copy each way of being written.
pub(crate) fn sum() -> impl Strategy<Value = Resources> {
    list().prop_map(|it| it.into_iter().collect())
}
