//! What a pool has that is almost what was asked for: said in refusals, so that nobody has to compare labels by eye.
//!
//! Never makes two equal: it only says in what they differ.

use super::Resources;
use crate::resource::{Identity, Resource};

/// How many identities are looked at for one refusal, so that asking in vain costs little.
const LOOKS_MAX: usize = 1000;

impl Resources {
    /// The last part of a refusal: what is here under the same stack of roles, but reserved by another principal or with
    /// other labels, or on the same disk with other metadata. Empty when there is no such thing.
    pub fn near_miss(&self, missing: &Resource) -> String {
        let near = |(identity, amount): (&Identity, &super::Amount)| {
            let difference = difference(&missing.identity, identity)?;
            Some(format!("; there is {identity}:{}, {difference}", amount.value))
        };
        self.entries().take(LOOKS_MAX).find_map(near).unwrap_or_default()
    }
}

/// In what two differ that are alike but for principals, labels and metadata; `None` when they are equal or differ in more than that.
fn difference(wanted: &Identity, there: &Identity) -> Option<String> {
    if wanted.name != there.name || !is_alike(wanted, there) {
        return None;
    }
    for (wanted, there) in wanted.reservations.iter().zip(&there.reservations) {
        if wanted.principal != there.principal {
            let by = |it: &Option<String>| {
                it.as_ref()
                    .map_or_else(|| "no principal".to_owned(), |it| format!("principal `{it}`"))
            };
            return Some(format!(
                "which has {} instead of {}",
                by(&there.principal),
                by(&wanted.principal)
            ));
        }
        if wanted.labels != there.labels {
            return Some(format!(
                "which has the labels [{}] instead of [{}]",
                there.labels, wanted.labels
            ));
        }
    }
    let (wanted, there) = (wanted.source.as_ref()?, there.source.as_ref()?);
    (wanted.metadata != there.metadata).then(|| {
        format!("whose disk has the metadata [{}] instead of [{}]", there.metadata, wanted.metadata)
    })
}

fn is_alike(a: &Identity, b: &Identity) -> bool {
    let bare = |it: &Identity| {
        let mut it = it.unallocated();
        for reservation in &mut it.reservations {
            reservation.principal = None;
            reservation.labels = Default::default();
        }
        if let Some(source) = &mut it.source {
            source.metadata = Default::default();
        }
        it
    };
    a.allocation == b.allocation && bare(a) == bare(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;
    use crate::resource::{Reservation, ReservationKind};
    use crate::role::Role;
    use crate::value::Scalar;

    fn reserved(principal: Option<&str>, label: &str) -> Resource {
        Resource::scalar("disk", Scalar::whole(10)).reserved(Reservation {
            kind: ReservationKind::Dynamic,
            role: Role::parse("db").unwrap(),
            principal: principal.map(str::to_owned),
            labels: Labels::from_iter([("member".to_owned(), Some(label.to_owned()))]),
        })
    }

    #[test]
    fn it_says_in_what_they_differ() {
        let pool: Resources = [reserved(Some("p"), "1")].iter().collect();
        assert_eq!(
            pool.near_miss(&reserved(Some("p"), "2")),
            "; there is disk(db, p, {member=1}):10, which has the labels [member=1] instead of [member=2]"
        );
        assert_eq!(
            pool.near_miss(&reserved(None, "1")),
            "; there is disk(db, p, {member=1}):10, which has principal `p` instead of no principal"
        );
    }

    #[test]
    fn it_says_nothing_of_what_is_something_else() {
        let pool: Resources = [reserved(Some("p"), "1")].iter().collect();
        assert_eq!(pool.near_miss(&Resource::scalar("disk", Scalar::whole(10))), "");
        assert_eq!(
            pool.near_miss(&reserved(Some("p"), "1")),
            "",
            "too little of the same is no other thing"
        );
    }
}
