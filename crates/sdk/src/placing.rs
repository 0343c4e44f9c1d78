//! Finds a place for a member in an offer: its own volume, a reservation made for it, or free
//! resources for a new claim.

use holdfast_model::{
    Action, ClaimAction, Identity, Labels, Offer, Operation, PersistenceId, Reservation,
    ReservationKind, Resource, Resources, Role, Scalar, Value,
};

use crate::ledger::Member;
use crate::service::{Needs, Service};

/// The label that names the member of a reservation.
const LABEL: &str = "holdfast.member";

/// The resources of an offer that are not used yet.
#[derive(Clone, Debug)]
pub struct Rest {
    left: Resources,
}

/// Resources for one member, allocated as offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The member's volume, if it exists already.
    pub volume: Option<Resource>,
    /// Processor and memory, and without a volume the disk for it; reserved or not.
    pub parts: Vec<Resource>,
}

/// The id of the operation that makes a member's volume.
pub fn create_id(member: &Member) -> String {
    format!("create-{}", member.volume.as_ref().map(PersistenceId::as_str).unwrap_or_default())
}

/// The labels of a member's reservations.
pub fn label<S: Service>(service: &S, member: &Member) -> Labels {
    let name = format!("{}-{}", service.name(), member.index);
    Labels::from_iter([(LABEL.to_owned(), Some(name))])
}

impl Rest {
    /// Starts with all resources of an offer.
    pub fn of(offer: &Offer) -> Rest {
        Rest { left: offer.resources.clone() }
    }

    /// Removes the resources of a place.
    pub fn take(&mut self, place: &Place) {
        place.volume.iter().chain(&place.parts).for_each(|part| self.left.subtract(part));
    }

    /// Finds the volume of that id, with processor and memory beside it: those under the same
    /// reservation first.
    pub fn with_volume(&self, id: &PersistenceId, needs: &Needs) -> Option<Place> {
        let volume = self.left.iter().find(|it| it.identity.persistence.as_ref() == Some(id))?;
        let beside = &volume.identity.reservations;
        let part = |name: &str, amount| {
            self.part(name, amount, |it| it.reservations == *beside)
                .or_else(|| self.unreserved(name, amount))
        };
        let parts = vec![part("cpus", needs.cpus)?, part("mem", Scalar::whole(needs.mem_mb))?];
        Some(Place { volume: Some(volume), parts })
    }

    /// Finds what was reserved under these labels, if it is enough.
    pub fn with_reservation(&self, labels: &Labels, needs: &Needs) -> Option<Place> {
        let ours = |it: &Identity| {
            it.persistence.is_none()
                && it.reservations.last().is_some_and(|last| last.labels == *labels)
        };
        let part = |name: &str, amount| {
            self.part(name, amount, ours).or_else(|| self.unreserved(name, amount))
        };
        let disk = self.part("disk", Scalar::whole(needs.disk_mb), ours)?;
        Some(Place {
            volume: None,
            parts: vec![part("cpus", needs.cpus)?, part("mem", Scalar::whole(needs.mem_mb))?, disk],
        })
    }

    /// Finds unreserved resources.
    pub fn fresh(&self, needs: &Needs) -> Option<Place> {
        let disk = self.unreserved("disk", Scalar::whole(needs.disk_mb))?;
        let parts = vec![
            self.unreserved("cpus", needs.cpus)?,
            self.unreserved("mem", Scalar::whole(needs.mem_mb))?,
            disk,
        ];
        Some(Place { volume: None, parts })
    }

    fn unreserved(&self, name: &str, amount: Scalar) -> Option<Resource> {
        self.part(name, amount, |it| !it.is_reserved())
    }

    /// Takes from the smallest entry that is enough; what cannot be divided is taken whole.
    fn part(
        &self,
        name: &str,
        amount: Scalar,
        which: impl Fn(&Identity) -> bool,
    ) -> Option<Resource> {
        let enough = |it: &Resource| {
            it.identity.name == name
                && !it.identity.revocable
                && which(&it.identity)
                && amount <= it.value.quantity()
        };
        let mut found: Vec<Resource> =
            self.left.iter().filter(|it| it.identity.persistence.is_none() && enough(it)).collect();
        found.sort_by_key(|it| it.value.quantity());
        let mut part = found.into_iter().next()?;
        if !part.identity.is_exclusive() {
            part.value = Value::Scalar(amount);
        }
        Some(part)
    }
}

/// The operations that make a place the member's; returns what its task uses.
pub fn operations<S: Service>(
    service: &S,
    member: &Member,
    needs: &Needs,
    place: &Place,
    offer: &Offer,
    operations: &mut Vec<Operation>,
) -> Vec<Resource> {
    if let Some(volume) = &place.volume {
        return std::iter::once(volume.clone()).chain(place.parts.iter().cloned()).collect();
    }
    let reservation = Reservation {
        kind: ReservationKind::Dynamic,
        role: reserve_role(&offer.role, service.role()),
        principal: service.principal().map(str::to_owned),
        labels: label(service, member),
    };
    let fresh: Vec<Resource> =
        place.parts.iter().filter(|it| !it.identity.is_reserved()).cloned().collect();
    let reserved = |it: &Resource| {
        if it.identity.is_reserved() {
            it.clone()
        } else {
            it.clone().reserved(reservation.clone())
        }
    };
    let all: Vec<Resource> = place.parts.iter().map(reserved).collect();
    if !fresh.is_empty() {
        let resources: Vec<Resource> =
            fresh.iter().map(|it| it.clone().reserved(reservation.clone())).collect();
        let id = Some(format!(
            "reserve-{}",
            member.volume.as_ref().map(PersistenceId::as_str).unwrap_or_default()
        ));
        operations.push(Operation {
            id,
            action: Action::Claim(ClaimAction::Reserve { resources, source: Vec::new() }),
        });
    }
    let name = member.volume.clone().expect("a member that claims has named its volume");
    let make = |it: Resource| match it.identity.name.as_str() {
        "disk" => it.volume(name.clone(), &needs.container_path, service.principal()),
        _ => it,
    };
    let used: Vec<Resource> = all.into_iter().map(make).collect();
    let volumes: Vec<Resource> =
        used.iter().filter(|it| it.identity.persistence.is_some()).cloned().collect();
    operations.push(Operation {
        id: Some(create_id(member)),
        action: Action::Claim(ClaimAction::Create(volumes)),
    });
    used
}

/// The role for which claims are reserved: the one to which the offer was made.
fn reserve_role(offered: &Role, wanted: &Role) -> Role {
    if offered.is_any() {
        wanted.clone()
    } else {
        offered.clone()
    }
}
