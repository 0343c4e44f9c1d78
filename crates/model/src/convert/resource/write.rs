//! A resource for the wire, in the shape that its reader knows.
//!
//! Relies on the resource being valid. Never writes a stack of reservations into a shape that cannot hold it.

use holdfast_proto::mesos::v1;
use v1::resource::disk_info::{source, Persistence, Source as WireSource};
use v1::resource::reservation_info::Type as WireKind;
use v1::resource::{AllocationInfo, DiskInfo, ReservationInfo, RevocableInfo, SharedInfo};

use super::{Format, Shape};
use crate::convert::field::labels_out;
use crate::resource::{Identity, Mode, Reservation, ReservationKind, Resource, Source, SourceKind};
use crate::value::{Scalar, Value};

/// Writes one resource.
pub fn to_proto(resource: &Resource, format: Format) -> v1::Resource {
    let identity = &resource.identity;
    let mut wire = v1::Resource {
        name: identity.name.clone(),
        provider_id: identity.provider.clone().map(|value| v1::ResourceProviderId { value }),
        disk: disk(resource),
        revocable: identity.revocable.then(RevocableInfo::default),
        shared: identity.shared.then(SharedInfo::default),
        ..v1::Resource::default()
    };
    put_value(&mut wire, &resource.value);
    put_reservations(&mut wire, identity, format.shape);
    if format.allocation {
        wire.allocation_info = identity
            .allocation
            .as_ref()
            .map(|it| AllocationInfo { role: Some(it.as_str().to_owned()) });
    }
    wire
}

fn put_value(wire: &mut v1::Resource, value: &Value) {
    use v1::value::{Range, Ranges, Set, Type};
    match value {
        Value::Scalar(amount) => {
            wire.r#type = Type::Scalar.into();
            wire.scalar = Some(scalar(*amount));
        }
        Value::Ranges(ranges) => {
            wire.r#type = Type::Ranges.into();
            let range = ranges
                .intervals()
                .iter()
                .map(|(begin, end)| Range { begin: *begin, end: *end })
                .collect();
            wire.ranges = Some(Ranges { range });
        }
        Value::Set(items) => {
            wire.r#type = Type::Set.into();
            wire.set = Some(Set { item: items.iter().cloned().collect() });
        }
    }
}

/// Writes an amount.
fn scalar(amount: Scalar) -> v1::value::Scalar {
    v1::value::Scalar { value: amount.to_f64() }
}

#[allow(deprecated, reason = "PRE is what older frameworks speak")]
fn put_reservations(wire: &mut v1::Resource, identity: &Identity, shape: Shape) {
    let stack = &identity.reservations;
    if shape != Shape::Pre || 1 < stack.len() {
        wire.reservations = stack.iter().map(reservation).collect();
    }
    if shape == Shape::Post || 1 < stack.len() {
        return;
    }
    wire.role = Some(identity.role().as_str().to_owned());
    wire.reservation =
        stack.first().filter(|it| it.kind == ReservationKind::Dynamic).map(|it| ReservationInfo {
            principal: it.principal.clone(),
            labels: labels_out(&it.labels),
            ..ReservationInfo::default()
        });
}

fn reservation(it: &Reservation) -> ReservationInfo {
    let kind = match it.kind {
        ReservationKind::Static => WireKind::Static,
        ReservationKind::Dynamic => WireKind::Dynamic,
    };
    ReservationInfo {
        r#type: Some(kind.into()),
        role: Some(it.role.as_str().to_owned()),
        principal: it.principal.clone(),
        labels: labels_out(&it.labels),
    }
}

fn disk(resource: &Resource) -> Option<DiskInfo> {
    let identity = &resource.identity;
    let persistence = identity.persistence.as_ref();
    let info = DiskInfo {
        persistence: persistence.map(|it| Persistence {
            id: it.as_str().to_owned(),
            principal: resource.creator.clone(),
        }),
        volume: persistence.and(resource.mount.as_ref()).map(|mount| {
            let mode = match mount.mode {
                Mode::ReadWrite => v1::volume::Mode::Rw,
                Mode::ReadOnly => v1::volume::Mode::Ro,
            };
            v1::Volume {
                mode: mode.into(),
                container_path: mount.container_path.clone(),
                ..v1::Volume::default()
            }
        }),
        source: identity.source.as_ref().map(source_out),
    };
    Some(info).filter(|it| *it != DiskInfo::default())
}

fn source_out(source: &Source) -> WireSource {
    let (kind, path, mount) = match source.kind {
        SourceKind::Path => (source::Type::Path, source.root.clone(), None),
        SourceKind::Mount => (source::Type::Mount, None, source.root.clone()),
        SourceKind::Block => (source::Type::Block, None, None),
        SourceKind::Raw => (source::Type::Raw, None, None),
    };
    WireSource {
        r#type: kind.into(),
        path: path.map(|root| source::Path { root: Some(root) }),
        mount: mount.map(|root| source::Mount { root: Some(root) }),
        vendor: source.vendor.clone(),
        id: source.id.clone(),
        metadata: labels_out(&source.metadata),
        profile: source.profile.clone(),
    }
}
