//! A resource from the wire, whatever its shape.
//!
//! Relies on nothing but the message. Never accepts NaN, infinity, or an amount too great to be counted in thousandths.

use holdfast_proto::mesos::v1;
use v1::resource::disk_info::{source, Source as WireSource};
use v1::resource::reservation_info::Type as WireKind;
use v1::resource::{DiskInfo, ReservationInfo};

use crate::convert::field::{each, labels, Place};
use crate::id::PersistenceId;
use crate::labels::Labels;
use crate::resource::{
    Identity, Mode, Reservation, ReservationKind, Resource, Source, SourceKind,
    UnallocatedIdentity, VolumeMount,
};
use crate::role::Role;
use crate::validate::{check_intervals, check_items, Invalid};
use crate::value::{Ranges, Scalar, Value};

/// The greatest amount of one resource. Up to here a double still tells thousandths apart.
const AMOUNT_MAX: f64 = 1.0e12;

/// Reads what it says; the rules for what it may say are in [`crate::validate`].
pub(crate) fn read(resource: v1::Resource) -> Result<Resource, Invalid> {
    let value = value(&resource)?;
    let reservations = reservations(&resource)?;
    let disk = resource.disk.map(|it| disk(it).under("disk")).transpose()?.unwrap_or_default();
    let allocation = resource.allocation_info.and_then(|it| it.role);
    let mut identity = Identity::from(UnallocatedIdentity {
        kind: value.kind(),
        name: resource.name,
        reservations,
        source: disk.source,
        persistence: disk.persistence,
        revocable: resource.revocable.is_some(),
        shared: resource.shared.is_some(),
        provider: resource.provider_id.map(|it| it.value),
    });
    identity.allocation =
        allocation.map(|it| Role::parse(&it).at("allocation_info.role")).transpose()?;
    Ok(Resource { identity, value, mount: disk.mount, creator: disk.creator })
}

fn value(resource: &v1::Resource) -> Result<Value, Invalid> {
    use v1::value::Type;
    let given = [
        (Type::Scalar, "scalar", resource.scalar.is_some()),
        (Type::Ranges, "ranges", resource.ranges.is_some()),
        (Type::Set, "set", resource.set.is_some()),
    ];
    let kind = match Type::try_from(resource.r#type) {
        Ok(kind) if kind != Type::Text => kind,
        _ => return Err(Invalid::new("type", "a resource is a SCALAR, RANGES or a SET")),
    };
    if let Some((_, field, _)) = given.iter().find(|(it, _, given)| *given && *it != kind) {
        return Err(Invalid::new(
            *field,
            format!("must be absent from a resource of type {}", kind.as_str_name()),
        ));
    }
    match (&resource.scalar, &resource.ranges, &resource.set) {
        (Some(scalar), None, None) => amount(scalar.value).at("scalar.value").map(Value::Scalar),
        (None, Some(ranges), None) => {
            let intervals: Vec<(u64, u64)> =
                ranges.range.iter().map(|it| (it.begin, it.end)).collect();
            check_intervals(&intervals)?;
            Ok(Value::Ranges(Ranges::new(intervals)))
        }
        (None, None, Some(set)) => {
            check_items(&set.item)?;
            Ok(Value::Set(set.item.iter().cloned().collect()))
        }
        _ => {
            let field =
                given.iter().find(|(it, ..)| *it == kind).map_or("type", |(_, field, _)| *field);
            Err(Invalid::new(
                field,
                format!("is missing; a resource of type {} needs it", kind.as_str_name()),
            ))
        }
    }
}

/// Reads an amount.
///
/// # Errors
/// [`Invalid`] when it is no number, negative, too great, or so small that nothing would be left of it.
pub(crate) fn amount(value: f64) -> Result<Scalar, Invalid> {
    let refuse = |why: String| Err(Invalid::new("value", why));
    if value < 0.0 {
        return refuse(format!("{value} is negative; give 0 or more"));
    }
    match Scalar::from_f64(value).filter(|_| value <= AMOUNT_MAX) {
        None => refuse(format!("{value} is no amount; give a number from 0 to {AMOUNT_MAX}")),
        Some(Scalar::ZERO) if value != 0.0 => {
            refuse(format!("{value} is less than a thousandth; give at least 0.001"))
        }
        Some(amount) => Ok(amount),
    }
}

#[allow(deprecated, reason = "PRE is what older frameworks speak")]
fn reservations(resource: &v1::Resource) -> Result<Vec<Reservation>, Invalid> {
    let role = resource.role.as_deref().filter(|it| *it != "*");
    if resource.reservations.is_empty() {
        return upgrade(role, resource.reservation.clone());
    }
    let stack = each("reservations", resource.reservations.clone(), reservation)?;
    if let [only] = stack.as_slice() {
        agree(only, resource)?;
    } else if resource.role.is_some() {
        return Err(Invalid::new("role", "must be absent beside several `reservations`"));
    } else if resource.reservation.is_some() {
        return Err(Invalid::new("reservation", "must be absent beside several `reservations`"));
    }
    Ok(stack)
}

/// PRE: a role alone is a static reservation, a role with `reservation` a dynamic one.
fn upgrade(
    role: Option<&str>,
    reservation: Option<ReservationInfo>,
) -> Result<Vec<Reservation>, Invalid> {
    let Some(role) = role else {
        return match reservation {
            None => Ok(Vec::new()),
            Some(_) => Err(Invalid::new(
                "reservation",
                "resources cannot be reserved for `*`; name a `role`, or use `reservations`",
            )),
        };
    };
    let role = Role::parse(role).at("role")?;
    let Some(info) = reservation else {
        return Ok(vec![Reservation {
            kind: ReservationKind::Static,
            role,
            principal: None,
            labels: Labels::default(),
        }]);
    };
    for (field, given) in
        [("reservation.type", info.r#type.is_some()), ("reservation.role", info.role.is_some())]
    {
        if given {
            return Err(Invalid::new(
                field,
                "belongs into `reservations`; beside `role` leave it out",
            ));
        }
    }
    Ok(vec![Reservation {
        kind: ReservationKind::Dynamic,
        role,
        principal: info.principal,
        labels: labels(info.labels),
    }])
}

fn reservation(info: ReservationInfo) -> Result<Reservation, Invalid> {
    let kind = match info.r#type.map(WireKind::try_from) {
        Some(Ok(WireKind::Static)) => ReservationKind::Static,
        Some(Ok(WireKind::Dynamic)) => ReservationKind::Dynamic,
        _ => return Err(Invalid::new("type", "a reservation is STATIC or DYNAMIC")),
    };
    let role =
        info.role.ok_or_else(|| Invalid::new("role", "is missing; say for whom it is reserved"))?;
    Ok(Reservation {
        kind,
        role: Role::parse(&role).at("role")?,
        principal: info.principal,
        labels: labels(info.labels),
    })
}

/// POST with one reservation may repeat it in the fields of PRE.
#[allow(deprecated, reason = "PRE is what older frameworks speak")]
fn agree(only: &Reservation, resource: &v1::Resource) -> Result<(), Invalid> {
    if resource.role.as_deref().is_some_and(|it| it != only.role.as_str()) {
        return Err(Invalid::new(
            "role",
            format!("contradicts `reservations[0].role`, which is `{}`; leave it out", only.role),
        ));
    }
    let Some(info) = &resource.reservation else { return Ok(()) };
    let same = only.kind == ReservationKind::Dynamic
        && info.principal == only.principal
        && labels(info.labels.clone()) == only.labels
        && info.role.as_deref().is_none_or(|it| it == only.role.as_str());
    if same {
        Ok(())
    } else {
        Err(Invalid::new("reservation", "contradicts `reservations[0]`; leave it out"))
    }
}

#[derive(Default)]
struct Disk {
    source: Option<Source>,
    persistence: Option<PersistenceId>,
    creator: Option<String>,
    mount: Option<VolumeMount>,
}

fn disk(info: DiskInfo) -> Result<Disk, Invalid> {
    if info == DiskInfo::default() {
        return Err(Invalid::new("", "is empty; leave it out for the agent's own file system"));
    }
    if info.persistence.is_none() && info.volume.is_some() {
        return Err(Invalid::new(
            "volume",
            "a disk without `persistence` is no volume; add `persistence` or leave it out",
        ));
    }
    let mut disk = Disk {
        source: info.source.map(|it| self::source(it).under("source")).transpose()?,
        ..Disk::default()
    };
    if let Some(persistence) = info.persistence {
        disk.persistence = Some(PersistenceId::parse(&persistence.id)?);
        disk.creator = persistence.principal;
    }
    disk.mount = info.volume.map(|it| volume(it).under("volume")).transpose()?;
    Ok(disk)
}

fn source(info: WireSource) -> Result<Source, Invalid> {
    let (kind, name) = match source::Type::try_from(info.r#type) {
        Ok(source::Type::Path) => (SourceKind::Path, "PATH"),
        Ok(source::Type::Mount) => (SourceKind::Mount, "MOUNT"),
        Ok(source::Type::Block) => (SourceKind::Block, "BLOCK"),
        Ok(source::Type::Raw) => (SourceKind::Raw, "RAW"),
        _ => return Err(Invalid::new("type", "a disk is PATH, MOUNT, BLOCK or RAW; leave `source` out for the agent's own file system")),
    };
    let given = [
        ("path", SourceKind::Path, info.path.is_some()),
        ("mount", SourceKind::Mount, info.mount.is_some()),
    ];
    if let Some((field, ..)) = given.into_iter().find(|(_, of, given)| *given && *of != kind) {
        return Err(Invalid::new(field, format!("must be absent from a source of type {name}")));
    }
    let root = info.path.and_then(|it| it.root).or(info.mount.and_then(|it| it.root));
    if root.as_ref().is_some_and(|it| it.is_empty() || it.contains('\0')) {
        return Err(Invalid::new("root", "must be a path"));
    }
    Ok(Source {
        kind,
        root,
        id: info.id,
        vendor: info.vendor,
        profile: info.profile,
        metadata: labels(info.metadata),
    })
}

fn volume(info: v1::Volume) -> Result<VolumeMount, Invalid> {
    let unexpected = [
        ("host_path", info.host_path.is_some()),
        ("image", info.image.is_some()),
        ("source", info.source.is_some()),
    ];
    if let Some((field, _)) = unexpected.into_iter().find(|(_, given)| *given) {
        return Err(Invalid::new(
            field,
            "must be absent from a persistent volume; its bytes lie on its own disk",
        ));
    }
    let mode = match v1::volume::Mode::try_from(info.mode) {
        Ok(v1::volume::Mode::Rw) => Mode::ReadWrite,
        Ok(v1::volume::Mode::Ro) => Mode::ReadOnly,
        Err(_) => return Err(Invalid::new("mode", "a volume is RW or RO")),
    };
    Ok(VolumeMount { container_path: info.container_path, mode })
}
