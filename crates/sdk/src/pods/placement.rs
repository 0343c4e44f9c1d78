//! Whether a member may get its place at an agent.
//!
//! It relies on the index, and looks at no other member one by one. It never moves anybody who has a
//! place.

use holdfast_model::convert::carried::attributes;
use holdfast_model::Offer;

use super::hooks::Hooks;
use super::ServiceKeeper;
use crate::spec::{Attribute, Condition, PodSpec};

/// What an agent is known by.
pub(super) struct Site {
    /// The name of its machine.
    pub(super) hostname: String,
    /// Its attributes.
    pub(super) attributes: Vec<(String, String)>,
}

impl Site {
    /// The site of an offer.
    pub(super) fn of(offer: &Offer) -> Site {
        Site { hostname: offer.hostname.clone(), attributes: attributes(offer) }
    }

    pub(super) fn value(&self, attribute: &Attribute) -> Option<&str> {
        match attribute {
            Attribute::Hostname => Some(&self.hostname),
            Attribute::Named(name) => {
                self.attributes.iter().find(|it| it.0 == *name).map(|it| it.1.as_str())
            }
        }
    }

    fn fulfils(&self, condition: &Condition) -> bool {
        let value = self.value(&condition.attribute);
        value.is_some_and(|value| condition.values.iter().any(|it| it == value))
    }
}

impl<H: Hooks> ServiceKeeper<H> {
    /// Remembers the values of those attributes of an offer that pods are spread over.
    pub(super) fn see_site(&mut self, site: &Site) {
        let over: Vec<Attribute> =
            self.spec().pods.iter().filter_map(|it| it.placement.spread_over.clone()).collect();
        for attribute in over {
            if let Some(value) = site.value(&attribute) {
                self.seen.entry(attribute.to_string()).or_default().insert(value.to_owned());
            }
        }
    }

    /// Why no member of the pod may get a place at the agent of this offer; `None` when one may.
    pub(super) fn misplaced(&self, pod: &PodSpec, offer: &Offer, site: &Site) -> Option<String> {
        let placement = &pod.placement;
        if let Some(it) = placement.include.iter().find(|it| !site.fulfils(it)) {
            return Some(format!("{} is none of {}", it.attribute, it.values.join(", ")));
        }
        if let Some(it) = placement.exclude.iter().find(|it| site.fulfils(it)) {
            return Some(format!("{} is excluded", it.attribute));
        }
        let at = |pod: &str| self.index.at(&offer.agent, pod);
        if let Some(most) = placement.max_per_agent.filter(|it| *it as usize <= at(&pod.name)) {
            return Some(format!("it has {most} members of the pod already"));
        }
        if let Some(other) = placement.near.iter().find(|it| at(it) == 0) {
            return Some(format!("it has no member of pod {other}"));
        }
        if let Some(other) = placement.not_near.iter().find(|it| 0 < at(it)) {
            return Some(format!("it has a member of pod {other}"));
        }
        // A pod that must not be near this one keeps this one away, too.
        let averse = self.spec().pods.iter().find(|it| {
            it.placement.not_near.contains(&pod.name) && 0 < self.index.at(&offer.agent, &it.name)
        });
        if let Some(other) = averse {
            return Some(format!("pod {} is not to be near this one", other.name));
        }
        self.unbalanced(pod, site)
    }

    /// Each value of the attribute may have its share of the members, and no more.
    fn unbalanced(&self, pod: &PodSpec, site: &Site) -> Option<String> {
        let attribute = pod.placement.spread_over.as_ref()?;
        let Some(value) = site.value(attribute) else {
            return Some(format!("it has no attribute {attribute} to spread over"));
        };
        let name = attribute.to_string();
        let values = self.seen.get(&name).map_or(1, |it| it.len().max(1));
        let values = u32::try_from(values).unwrap_or(u32::MAX);
        let share = pod.count.div_ceil(values);
        let has = self.index.spread(&pod.name, &name, value);
        (share <= has).then(|| {
            format!("{attribute} {value} has {has} members of the pod, its share of {values}")
        })
    }
}
