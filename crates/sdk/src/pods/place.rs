//! Finds what a member needs in an offer: its own claim, or free resources for a new one.
//!
//! Pure functions of resources. It never takes what another member's claim has: reserved resources
//! are a member's only under its own labels.

use std::collections::BTreeMap;

use holdfast_model::{
    Identity, Labels, Offer, PersistenceId, Ranges, Reservation, ReservationKind, Resource,
    Resources, Role, Scalar, Source, SourceKind, Value,
};

use super::member::{MemberId, PodMember};
use crate::spec::{DiskClass, PodSpec, PortNumber, ServiceSpec, TaskSpec, VolumeSpec};

/// The label that names the service of a reservation.
pub(crate) const SERVICE_LABEL: &str = "holdfast.service";
/// The label that names the member of a reservation.
pub(crate) const MEMBER_LABEL: &str = "holdfast.member";

/// The labels of a member's reservations.
pub(crate) fn labels(service: &str, member: &MemberId) -> Labels {
    Labels::from_iter([
        (SERVICE_LABEL.to_owned(), Some(service.to_owned())),
        (MEMBER_LABEL.to_owned(), Some(format!("{service}-{member}"))),
    ])
}

/// What a new claim is made of, and what the first task uses of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewClaim {
    /// Processors, memory and ports, as they are offered.
    pub(crate) parts: Vec<Resource>,
    /// The disk of each volume, in the order of the spec, as it is offered.
    pub(crate) disks: Vec<Resource>,
    /// The ports by name.
    pub(crate) ports: BTreeMap<String, u16>,
}

/// What a member uses of a claim that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnClaim {
    /// Everything that its task uses.
    pub(crate) used: Vec<Resource>,
    /// The ports by name.
    pub(crate) ports: BTreeMap<String, u16>,
}

/// The resources of an offer that are not used yet.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    left: Resources,
}

impl Rest {
    /// Starts with all resources of an offer.
    pub(crate) fn of(offer: &Offer) -> Rest {
        Rest { left: offer.resources.clone() }
    }

    /// Removes what is used.
    pub(crate) fn take(&mut self, used: &[Resource]) {
        used.iter().for_each(|part| self.left.subtract(part));
    }

    /// The volume of that name.
    pub(crate) fn volume(&self, id: &PersistenceId) -> Option<Resource> {
        self.left.iter().find(|it| it.identity.persistence.as_ref() == Some(id))
    }

    /// What is reserved as these volumes are, without being a volume.
    pub(crate) fn beside(&self, volumes: &[Resource]) -> Vec<Resource> {
        let Some(first) = volumes.first() else { return Vec::new() };
        let own = &first.identity.reservations;
        let is_own =
            |it: &Resource| it.identity.persistence.is_none() && it.identity.reservations == *own;
        self.left.iter().filter(is_own).collect()
    }

    /// Finds the member's claim, with what the task needs of it.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn own(
        &self,
        member: &PodMember,
        pod: &PodSpec,
        task: &TaskSpec,
    ) -> Result<OwnClaim, String> {
        let (mut rest, mut used) = (self.clone(), Vec::new());
        for id in &member.volumes {
            let volume =
                rest.volume(id).ok_or_else(|| format!("its volume {id} is not offered"))?;
            rest.take(std::slice::from_ref(&volume));
            used.push(volume);
        }
        let beside = used.first().map(|it| it.identity.reservations.clone()).unwrap_or_default();
        let own = |it: &Identity| it.reservations == beside;
        let ports = rest.ports(pod, &member.ports, own, &mut used)?;
        rest.amount("cpus", task.cpus, own, &mut used)?;
        rest.amount("mem", whole(task.mem_mb), own, &mut used)?;
        Ok(OwnClaim { used, ports })
    }

    /// Finds resources for a claim of a member: what is reserved under its labels already, else what
    /// is free. No volume is on one of the disks to avoid.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn fresh(
        &self,
        labels: &Labels,
        pod: &PodSpec,
        avoided: &[Option<Source>],
    ) -> Result<NewClaim, String> {
        let mut rest = self.clone();
        let own = |it: &Identity| it.reservations.last().is_some_and(|last| last.labels == *labels);
        let mut disks = Vec::new();
        for volume in &pod.volumes {
            let disk = rest.disk(volume, own, avoided)?;
            rest.take(std::slice::from_ref(&disk));
            disks.push(disk);
        }
        let mut parts = Vec::new();
        let ports = rest.ports(pod, &BTreeMap::new(), own, &mut parts)?;
        let cpus = pod.tasks.iter().map(|it| it.cpus).max().unwrap_or(Scalar::ZERO);
        let mem = pod.tasks.iter().map(|it| it.mem_mb).max().unwrap_or(0);
        rest.amount("cpus", cpus, own, &mut parts)?;
        rest.amount("mem", whole(mem), own, &mut parts)?;
        Ok(NewClaim { parts, disks, ports })
    }

    /// Takes so much of a scalar: what is the member's own first, then what is free.
    fn amount(
        &mut self,
        name: &str,
        need: Scalar,
        own: impl Fn(&Identity) -> bool,
        used: &mut Vec<Resource>,
    ) -> Result<(), String> {
        let mut left = need;
        let is_it = |it: &Resource| {
            it.identity.name == name
                && it.identity.persistence.is_none()
                && !it.identity.revocable
                && !it.value.is_empty()
        };
        let mut found: Vec<Resource> = self.left.iter().filter(is_it).collect();
        found.retain(|it| own(&it.identity) || !it.identity.is_reserved());
        found.sort_by_key(|it| !own(&it.identity));
        for mut part in found {
            if left <= Scalar::ZERO {
                break;
            }
            let taken = part.value.quantity().min(left);
            part.value = Value::Scalar(taken);
            left = left.minus(taken);
            self.take(std::slice::from_ref(&part));
            used.push(part);
        }
        match Scalar::ZERO < left {
            true => Err(format!("{name}: {need} needed, {left} of it is not offered")),
            false => Ok(()),
        }
    }

    /// Finds the disk for a volume: the smallest entry that is enough; what cannot be divided is
    /// taken whole.
    fn disk(
        &self,
        volume: &VolumeSpec,
        own: impl Fn(&Identity) -> bool,
        avoided: &[Option<Source>],
    ) -> Result<Resource, String> {
        let need = whole(volume.size_mb);
        let fits = |it: &Resource| {
            it.identity.name == "disk"
                && it.identity.persistence.is_none()
                && !it.identity.revocable
                && is_of_class(&it.identity, &volume.class)
                && need <= it.value.quantity()
                && !avoided.contains(&it.identity.source)
                && (own(&it.identity) || !it.identity.is_reserved())
        };
        let mut found: Vec<Resource> = self.left.iter().filter(fits).collect();
        found.sort_by_key(|it| (!own(&it.identity), it.value.quantity()));
        let Some(mut disk) = found.into_iter().next() else {
            let class = match &volume.class {
                DiskClass::Any => String::new(),
                other => format!(" of class {other}"),
            };
            return Err(format!("no disk{class} with {} MB for `{}`", volume.size_mb, volume.path));
        };
        if !disk.identity.is_exclusive() {
            disk.value = Value::Scalar(need);
        }
        Ok(disk)
    }

    /// Takes the ports of a member: those that it has, and for the others those that are fixed, or
    /// the first ones that are its own or free.
    fn ports(
        &mut self,
        pod: &PodSpec,
        known: &BTreeMap<String, u16>,
        own: impl Fn(&Identity) -> bool,
        used: &mut Vec<Resource>,
    ) -> Result<BTreeMap<String, u16>, String> {
        let mut ports = BTreeMap::new();
        let fixed = |it: &&crate::spec::PortSpec| match it.number {
            PortNumber::Fixed(_) => 0,
            PortNumber::KeptForLife => 1,
        };
        let mut order: Vec<&crate::spec::PortSpec> = pod.ports.iter().collect();
        order.sort_by_key(fixed);
        for port in order {
            let number = match (known.get(&port.name), port.number) {
                (Some(number), _) => Some(*number),
                (None, PortNumber::Fixed(number)) => Some(number),
                (None, PortNumber::KeptForLife) => None,
            };
            let part = self.port(number, &own).ok_or_else(|| match number {
                Some(number) => format!("port {number} (`{}`) is not offered", port.name),
                None => format!("no port is offered for `{}`", port.name),
            })?;
            self.take(std::slice::from_ref(&part.0));
            ports.insert(port.name.clone(), part.1);
            used.push(part.0);
        }
        Ok(ports)
    }

    fn port(
        &self,
        number: Option<u16>,
        own: &impl Fn(&Identity) -> bool,
    ) -> Option<(Resource, u16)> {
        let is_it = |it: &Resource| {
            it.identity.name == "ports" && (own(&it.identity) || !it.identity.is_reserved())
        };
        let mut found: Vec<Resource> = self.left.iter().filter(is_it).collect();
        found.sort_by_key(|it| !own(&it.identity));
        found.into_iter().find_map(|mut it| {
            let Value::Ranges(ranges) = &it.value else { return None };
            let chosen = match number {
                Some(number) => {
                    let wanted = Ranges::new([(u64::from(number), u64::from(number))]);
                    ranges.contains(&wanted).then_some(number)
                }
                None => {
                    let low = ranges.intervals().first().map(|it| it.0.max(1));
                    low.and_then(|it| u16::try_from(it).ok())
                }
            }?;
            it.value = Value::Ranges(Ranges::new([(u64::from(chosen), u64::from(chosen))]));
            Some((it, chosen))
        })
    }
}

fn whole(mb: u64) -> Scalar {
    Scalar::whole(i64::try_from(mb).unwrap_or(i64::MAX))
}

fn is_of_class(identity: &Identity, class: &DiskClass) -> bool {
    let kind = identity.source.as_ref().map(|it| it.kind);
    match class {
        DiskClass::Any => !matches!(kind, Some(SourceKind::Block | SourceKind::Raw)),
        DiskClass::Root => kind.is_none(),
        DiskClass::Path => kind == Some(SourceKind::Path),
        DiskClass::Mount => kind == Some(SourceKind::Mount),
        DiskClass::Profile(profile) => {
            identity.source.as_ref().is_some_and(|it| it.profile.as_ref() == Some(profile))
        }
    }
}

/// The reservation of a member in an offer to this role.
pub(crate) fn reservation(spec: &ServiceSpec, member: &MemberId, offered: &Role) -> Reservation {
    Reservation {
        kind: ReservationKind::Dynamic,
        role: if offered.is_any() { spec.role.clone() } else { offered.clone() },
        principal: spec.principal.clone(),
        labels: labels(&spec.name, member),
    }
}
