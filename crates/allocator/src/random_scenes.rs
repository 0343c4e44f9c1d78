//! Random clusters for tests: small, and full of everything that a division looks at.
//!
//! It is never compiled but for tests of this crate.

use std::sync::Arc;

use proptest::prelude::*;

use crate::input::{AgentView, FrameworkView, Holder};
use crate::testing::*;
use holdfast_model::{Capability, Resource, Resources, Role, Scalar};

const ROLES: [&str; 5] = ["*", "a", "a/x", "a/x/y", "b"];
const CAPABILITIES: [Capability; 4] = [
    Capability::RevocableResources,
    Capability::GpuResources,
    Capability::SharedResources,
    Capability::ReservationRefinement,
];

pub(crate) fn a_role() -> impl Strategy<Value = Role> {
    prop::sample::select(&ROLES[..]).prop_map(role)
}

/// One resource of an agent, and who holds it (framework, expected).
fn piece() -> impl Strategy<Value = (Resource, Option<(u8, bool)>)> {
    let name = prop::sample::select(vec!["cpus", "mem", "disk", "gpus"]);
    let holder = prop::option::of((1u8..6, prop::bool::weighted(0.8)));
    (name, 1i64..50, prop::option::weighted(0.7, 1usize..5), any::<[bool; 3]>(), 0u8..3, holder)
        .prop_map(|(name, amount, at, [stack, shared, revocable], id, holder)| {
            let mut resource = Resource::scalar(name, Scalar::whole(amount));
            let Some(at) = at else {
                resource.identity.revocable = revocable;
                return (resource, None);
            };
            if stack && (2..4).contains(&at) {
                resource = reserved(resource, ROLES[at - 1]);
            }
            resource = reserved(resource, ROLES[at]);
            if name == "disk" {
                let volume = volume(&format!("v{id}"), amount, "a");
                resource.identity.persistence = volume.identity.persistence.clone();
                resource.identity.shared = shared;
            }
            (resource, holder)
        })
}

pub(crate) fn an_agent() -> impl Strategy<Value = (Resources, Vec<Holder>, bool)> {
    (prop::collection::vec(piece(), 0..8), prop::bool::weighted(0.1)).prop_map(|(pieces, ill)| {
        let holder = |(resource, holder): &(Resource, Option<(u8, bool)>)| {
            let (n, expected) = (*holder)?;
            Some(Holder {
                identity: resource.identity.clone(),
                framework: framework_id(n),
                expected,
            })
        };
        (
            pieces.iter().map(|(resource, _)| resource).collect(),
            pieces.iter().filter_map(holder).collect(),
            ill,
        )
    })
}

pub(crate) fn a_framework() -> impl Strategy<Value = FrameworkView> {
    let roles = prop::collection::btree_map(
        a_role(),
        (prop::bool::weighted(0.15), 0i64..50, prop::option::weighted(0.2, 0i64..20)),
        1..4,
    );
    let capabilities = prop::sample::subsequence(&CAPABILITIES[..], 0..=4);
    (roles, prop::bool::weighted(0.9), capabilities).prop_map(|(roles, active, capabilities)| {
        let names: Vec<&str> = roles.keys().map(Role::as_str).collect();
        let mut view = FrameworkView {
            active,
            capabilities: capabilities.into_iter().collect(),
            ..framework(0, &names)
        };
        for (role, (suppressed, cpus, least)) in view.roles.iter_mut().zip(roles.values()) {
            role.suppressed = *suppressed;
            role.allocated = quantities(&[("cpus", *cpus)]);
            role.min_allocatable = least.map(|mem| vec![quantities(&[("mem", mem)])]);
        }
        view
    })
}

prop_compose! {
    /// A few agents and frameworks, with all that can stand between them.
    pub(crate) fn a_scene()(
        agents in prop::collection::vec(an_agent(), 1..4),
        frameworks in prop::collection::vec(a_framework(), 1..5),
        declines in prop::collection::vec((1u8..5, a_role(), 1u8..4, any::<u8>()), 0..8),
        weights in prop::collection::btree_map(a_role(), (1i64..5).prop_map(Scalar::whole), 0..3),
    ) -> Scene {
        let weights = weights.into_iter().collect();
        let mut scene = Scene { weights, min_allocatable: Scene::usual_minimum(), ..Scene::default() };
        for (n, (free, holders, ill)) in agents.into_iter().enumerate() {
            let fault = ill.then(|| "ill".to_owned());
            let holders = Arc::new(holders);
            scene.agent(AgentView { fault, holders, ..agent(n as u8 + 1, &free) });
        }
        for (n, view) in frameworks.into_iter().enumerate() {
            scene.framework(FrameworkView { id: framework_id(n as u8 + 1), ..view });
        }
        for (framework, role, at, mask) in declines {
            let Some(view) = scene.agents.get(&agent_id(at)) else { continue };
            let chosen = view.free.iter().enumerate().filter(|(n, _)| mask >> (n % 6) & 1 == 1 || 200 < mask);
            let declined: Resources = chosen.map(|(_, resource)| resource).collect();
            scene.filters.insert(&framework_id(framework), &role, &agent_id(at), declined, Scene::UNTIL);
        }
        scene
    }
}
