//! Whether an offer is enough, and what of it is taken: what is reserved for the role first.

use holdfast_model::{Offer, Resource, Resources, Scalar, Value};

/// What the task needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    /// Processors.
    pub cpus: Scalar,
    /// Memory in MB.
    pub mem_mb: u64,
    /// Disk for the sandbox in MB; not on a disk of its own.
    pub disk_mb: u64,
}

impl Needs {
    /// What is needed, by name.
    fn amounts(&self) -> [(&'static str, Scalar); 3] {
        let whole = |mb: u64| Scalar::whole(i64::try_from(mb).unwrap_or(i64::MAX));
        [("cpus", self.cpus), ("mem", whole(self.mem_mb)), ("disk", whole(self.disk_mb))]
    }

    /// As text, for an explanation.
    pub fn text(&self) -> String {
        let parts = self.amounts().into_iter().filter(|(_, amount)| Scalar::ZERO < *amount);
        parts.map(|(name, amount)| format!("{name}:{amount}")).collect::<Vec<_>>().join(";")
    }

    /// The parts of the offer for the task; `None` when it is not enough.
    pub fn take(&self, offer: &Offer) -> Option<Vec<Resource>> {
        let mut parts = Vec::new();
        for (name, amount) in self.amounts() {
            parts.extend(part(&offer.resources, name, amount)?);
        }
        Some(parts)
    }
}

/// That much of `name`, of as many reservations as it takes; never of volumes, of disks of their own, or of what may be taken back.
fn part(resources: &Resources, name: &str, amount: Scalar) -> Option<Vec<Resource>> {
    let usable = |it: &Resource| {
        let identity = &it.identity;
        identity.name == name
            && identity.persistence.is_none()
            && identity.source.is_none()
            && !identity.revocable
            && !identity.shared
    };
    let mut offered: Vec<Resource> = resources.iter().filter(usable).collect();
    offered.sort_by_key(|it| !it.identity.is_reserved());
    let (mut left, mut parts) = (amount, Vec::new());
    for resource in offered {
        let there = resource.value.quantity();
        let taken = left.min(there);
        if Scalar::ZERO < taken {
            left = left.minus(taken);
            parts.push(Resource { value: Value::Scalar(taken), ..resource });
        }
    }
    (left <= Scalar::ZERO).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::holdings::reservation;
    use holdfast_model::{AgentId, FrameworkId, OfferId, Role, Source};

    fn offer(resources: &[Resource]) -> Offer {
        Offer {
            id: OfferId::made("o".to_owned()),
            framework: FrameworkId::made("f".to_owned()),
            role: Role::any(),
            agent: AgentId::made("a".to_owned()),
            resources: resources.iter().collect(),
            executors: Vec::new(),
            hostname: "h".to_owned(),
            machine: Default::default(),
            claims: Vec::new(),
            unavailability: None,
        }
    }

    #[test]
    fn reserved_goes_first_and_all_must_be_there() {
        let reserved =
            |it: Resource| it.reserved(reservation(Role::parse("db").unwrap(), None, &[]));
        let scalar = |name: &str, amount| Resource::scalar(name, Scalar::whole(amount));
        let resources = [
            reserved(scalar("cpus", 1)),
            scalar("cpus", 2),
            scalar("mem", 64),
            scalar("disk", 99).on(Source::path("/d")),
        ];
        let needs = |cpus, disk_mb| Needs { cpus: Scalar::whole(cpus), mem_mb: 64, disk_mb };
        let taken: Vec<String> =
            needs(2, 0).take(&offer(&resources)).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(taken, ["cpus(db):1", "cpus:1", "mem:64"]);
        assert!(needs(4, 0).take(&offer(&resources)).is_none());
        assert!(
            needs(1, 1).take(&offer(&resources)).is_none(),
            "a disk of its own is not for sandboxes"
        );
        assert_eq!(
            (needs(2, 0).text(), needs(1, 5).text()),
            ("cpus:2;mem:64".to_owned(), "cpus:1;mem:64;disk:5".to_owned())
        );
    }
}
