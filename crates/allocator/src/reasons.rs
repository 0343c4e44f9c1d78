//! Why a framework was not offered an agent's resources.
//!
//! It asks `candidate`, which also decides eligibility, so that the reason is the true one. It only
//! reads the allocation input, and never guesses: when nothing stands in the way, it gives no
//! reason.

use std::collections::BTreeSet;
use std::fmt;

use holdfast_model::{AgentId, FrameworkId, Instant, Resources, Role, Scalar};

use crate::candidate::{Candidate, Ineligibility};
use crate::input::{AgentView, Allocation, AllocationInput};
use crate::quota::{QuotaState, Stage};
use crate::roster::Contender;
use crate::wanted::{shortfalls, Shortfall};

/// Why a role of a framework is not offered an agent. `Display` says it with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The framework is not connected.
    NotConnected,
    /// The framework asked for no offers for this role.
    Suppressed,
    /// The framework declined all of this, and its filter holds until then.
    Filtered(Instant),
    /// Nothing of the agent may be offered now, for this reason.
    AgentFault(String),
    /// The framework does not want the agent for this role; this does not hold of it.
    Constrained(String),
    /// All of the agent's resources are used or offered.
    NothingFree,
    /// What is left is smaller than the smallest offer that may be made.
    BelowMinimum(Resources),
    /// What is free there is reserved for this other role.
    ReservedFor(Role),
    /// Quota lets the role and those below it have no more.
    OverLimit {
        /// The top-level role that has the limit.
        role: Role,
        /// The resource that is limited.
        name: String,
        /// How much it may have.
        limit: Scalar,
        /// How much it has, what is reserved and what is in open offers included.
        has: Scalar,
    },
    /// What is free of this resource is kept for roles that are guaranteed it.
    KeptForGuarantees(String),
    /// This role has a limit, and too few agents have said yet what it has.
    QuotaUnknown(Role),
    /// What is free there is kept for this framework, which holds it.
    HeldFor(FrameworkId),
    /// What is free there needs this capability, which the framework did not announce.
    LacksCapability(&'static str),
    /// What is free there is less than what is wanted.
    NotEnough {
        /// The resource that falls short.
        name: String,
        /// How much is wanted.
        wanted: Scalar,
        /// How much is free for this framework.
        free: Scalar,
    },
    /// What the framework was offered there is less than what is wanted.
    OfferLacks {
        /// The resource that falls short.
        name: String,
        /// How much is wanted.
        wanted: Scalar,
        /// How much is in the offer.
        offered: Scalar,
    },
    /// These frameworks come first now, and were offered what this one could have had.
    OthersFirst(BTreeSet<FrameworkId>),
}

/// One reason why one role of a framework is not offered one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyNot {
    /// The agent that is not offered.
    pub agent: AgentId,
    /// The role to which it is not offered.
    pub role: Role,
    /// What stands in the way.
    pub reason: Reason,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotConnected => f.write_str(
                "the framework is not connected; offers resume when its scheduler subscribes",
            ),
            Reason::Suppressed => f.write_str(
                "the framework suppressed offers for this role; it gets some when it revives them",
            ),
            Reason::Filtered(until) => {
                f.write_str("the framework declined all that is free for it there; it is asked again when more is free, ")?;
                f.write_str("when it revives offers, or at ")?;
                write_utc(f, *until)
            }
            Reason::AgentFault(why) => {
                write!(f, "the agent cannot be offered to anybody now: {why}")
            }
            Reason::Constrained(unmet) => {
                write!(f, "the framework's offer constraints for this role leave the agent out: {unmet}; ")?;
                f.write_str("also what it holds there is not offered to it; loosen them with UPDATE_FRAMEWORK")
            }
            Reason::NothingFree => f.write_str(
                "everything there is in use or in open offers; something must be given back first",
            ),
            Reason::BelowMinimum(left) => {
                write!(
                    f,
                    "all that is free for it there ({left}) is less than the smallest offer; free more, or lower min_allocatable_resources"
                )
            }
            Reason::ReservedFor(role) => {
                write!(f, "what is free there is reserved for role `{role}`; subscribe to that role, or unreserve it")
            }
            Reason::OverLimit { role, name, limit, has } => {
                write!(f, "role `{role}` has {has} of {name} and its quota lets it have {limit}; raise the limit, or give something back")
            }
            Reason::KeptForGuarantees(name) => {
                write!(f, "what is free of {name} in the cluster is kept for roles that are guaranteed it by quota; add agents, or guarantee less")
            }
            Reason::QuotaUnknown(role) => {
                write!(f, "role `{role}` has a limit by quota, and too few agents have told the new leader yet what it has; it is offered more when they have")
            }
            Reason::HeldFor(framework) => {
                write!(
                    f,
                    "what is free there is kept for framework {framework}, which holds it; "
                )?;
                f.write_str("others are offered it once that framework declines it or is removed")
            }
            Reason::LacksCapability(name) => {
                write!(f, "what is free there is only for frameworks with the capability {name}; announce it if it is understood")
            }
            Reason::NotEnough { name, wanted, free } => {
                write!(f, "{wanted} of {name} is wanted, but {free} is free for it there")
            }
            Reason::OfferLacks { name, wanted, offered } => {
                write!(f, "what it was offered there has {name} {offered} of {wanted} asked")
            }
            Reason::OthersFirst(others) => {
                let names: Vec<&str> = others.iter().map(FrameworkId::as_str).collect();
                write!(
                    f,
                    "others come first now and were offered what is free there: framework {}",
                    names.join(", ")
                )
            }
        }
    }
}

/// Lists for each agent and role of `framework` why it is not offered (`wanted`, or anything at
/// all).
///
/// Agents and roles without an entry have nothing in their way: what is free there is the
/// framework's at the next division if it comes first. Several entries name several shortages.
/// Unknown frameworks get none.
pub fn why_not(
    input: &AllocationInput<'_>,
    framework: &FrameworkId,
    wanted: Option<&Resources>,
) -> Vec<WhyNot> {
    why_not_after(input, &[], framework, wanted)
}

/// The same as [`why_not`] after a division of `input` into `allocations`: why an agent was not
/// among them, or not enough of it. Open offers count as such a division of what would be free
/// without them.
pub fn why_not_after(
    input: &AllocationInput<'_>,
    allocations: &[Allocation],
    framework: &FrameworkId,
    wanted: Option<&Resources>,
) -> Vec<WhyNot> {
    let Some(framework) = input.frameworks.get(framework) else { return Vec::new() };
    let mut all = Vec::new();
    for view in input.agents.values() {
        let here: Vec<&Allocation> = allocations.iter().filter(|it| it.agent == view.id).collect();
        for role in &framework.roles {
            let own = here.iter().filter(|it| it.framework == framework.id && it.role == role.role);
            let own: Resources =
                own.flat_map(|it| it.resources.iter().collect::<Vec<_>>()).collect();
            let reasons = match own.is_empty() {
                false => {
                    wanted.map(|wanted| offer_lacks(shortfalls(&own, wanted))).unwrap_or_default()
                }
                true => reasons_after(input, view, &here, &Contender::of(framework, role), wanted),
            };
            all.extend(reasons.into_iter().map(|reason| WhyNot {
                agent: view.id.clone(),
                role: role.role.clone(),
                reason,
            }));
        }
    }
    all
}

/// Why a contender was given nothing of an agent: what makes it ineligible in any order, or else
/// those who come first.
pub(crate) fn reasons_after(
    input: &AllocationInput<'_>,
    view: &AgentView,
    given: &[&Allocation],
    contender: &Contender<'_>,
    wanted: Option<&Resources>,
) -> Vec<Reason> {
    let mut rest = view.clone();
    given.iter().for_each(|it| rest.free.subtract_all(&it.resources));
    let left = reasons(input, &Candidate::new(input, &rest), contender, wanted);
    if left.is_empty() || given.is_empty() {
        return left;
    }
    match reasons(input, &Candidate::new(input, view), contender, wanted) {
        nothing if nothing.is_empty() => {
            vec![Reason::OthersFirst(given.iter().map(|it| it.framework.clone()).collect())]
        }
        reasons => reasons,
    }
}

fn reasons<'a>(
    input: &AllocationInput<'a>,
    candidate: &Candidate<'a>,
    contender: &Contender<'_>,
    wanted: Option<&Resources>,
) -> Vec<Reason> {
    if let (Some(wanted), None) = (wanted, candidate.general_ineligibility(contender)) {
        let short = shortages(input, candidate, contender, wanted);
        if !short.is_empty() {
            return short;
        }
    }
    candidate
        .eligible(input, QuotaState::new(input.quota).as_ref(), contender)
        .err()
        .map(|ineligibility| reason_for(candidate, contender, ineligibility))
        .into_iter()
        .collect()
}

/// Says why the contender is not eligible, in the terms of those who ask.
fn reason_for(
    candidate: &Candidate<'_>,
    contender: &Contender<'_>,
    ineligibility: Ineligibility<'_>,
) -> Reason {
    match ineligibility {
        Ineligibility::NotConnected => Reason::NotConnected,
        Ineligibility::Suppressed => Reason::Suppressed,
        Ineligibility::Fault(why) => Reason::AgentFault(why.to_owned()),
        Ineligibility::Constrained => {
            let unmet = contender.constraints.map(|it| it.unmet(candidate.traits()));
            Reason::Constrained(unmet.unwrap_or_default())
        }
        Ineligibility::NothingFree | Ineligibility::HasShared => Reason::NothingFree,
        Ineligibility::Held(framework) => Reason::HeldFor(framework.clone()),
        Ineligibility::Lacks(capability) => Reason::LacksCapability(capability),
        Ineligibility::Reserved(role) => Reason::ReservedFor(role.clone()),
        Ineligibility::OverLimit { role, name, limit, has } => {
            Reason::OverLimit { role: role.clone(), name: name.to_owned(), limit, has }
        }
        Ineligibility::KeptForGuarantees(name) => Reason::KeptForGuarantees(name.to_owned()),
        Ineligibility::QuotaUnknown(role) => Reason::QuotaUnknown(role.clone()),
        Ineligibility::BelowMinimum(fit) => Reason::BelowMinimum(candidate.fitting(&fit)),
        Ineligibility::Filtered(until) => Reason::Filtered(until),
    }
}

/// What of `wanted` is missing, and why the contender may not have it if it is there; empty when
/// nothing is usable.
fn shortages<'a>(
    input: &AllocationInput<'a>,
    candidate: &Candidate<'a>,
    contender: &Contender<'_>,
    wanted: &Resources,
) -> Vec<Reason> {
    let (quota, mut refused) = (QuotaState::new(input.quota), Vec::new());
    let refuse = |at, why| refused.push((at, why));
    let usable = candidate.usable(quota.as_ref(), contender, Stage::Rest, refuse);
    if usable.is_empty() {
        return Vec::new();
    }
    let short = shortfalls(&candidate.fitting(&usable), wanted);
    let names: BTreeSet<&str> = short.iter().map(|it| it.name.as_str()).collect();
    let obstacles = refused
        .into_iter()
        .filter(|(at, _)| names.contains(candidate.slice(*at).identity.name.as_str()));
    let ineligibilities: BTreeSet<Ineligibility<'a>> =
        obstacles.map(|(_, ineligibility)| ineligibility).collect();
    not_enough(short)
        .into_iter()
        .chain(ineligibilities.into_iter().map(|it| reason_for(candidate, contender, it)))
        .collect()
}

fn not_enough(short: Vec<Shortfall>) -> Vec<Reason> {
    short
        .into_iter()
        .map(|Shortfall { what, wanted, have, .. }| Reason::NotEnough {
            name: what,
            wanted,
            free: have,
        })
        .collect()
}

fn offer_lacks(short: Vec<Shortfall>) -> Vec<Reason> {
    short
        .into_iter()
        .map(|Shortfall { what, wanted, have, .. }| Reason::OfferLacks {
            name: what,
            wanted,
            offered: have,
        })
        .collect()
}

/// Writes a time as `2026-01-31T23:59:59Z`.
fn write_utc(f: &mut fmt::Formatter<'_>, at: Instant) -> fmt::Result {
    let seconds = at.0 / 1000;
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from March 1st of the year 0, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        agent, agent_id, cpus, framework, framework_id, hold, mem, reserve, role, sum, Scene,
    };
    use holdfast_model::offer_constraints::{AttributeConstraint, Predicate, Selector};
    use holdfast_model::{Capability, RoleConstraints};
    use std::sync::Arc;

    fn why(scene: &Scene, n: u8, wanted: Option<&Resources>) -> Vec<Reason> {
        why_not(&scene.input(), &framework_id(n), wanted).into_iter().map(|it| it.reason).collect()
    }

    #[test]
    fn dates() {
        let text =
            |ms| Reason::Filtered(Instant(ms)).to_string().rsplit(' ').next().unwrap().to_owned();
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(951_782_399_999), "2000-02-28T23:59:59Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(text(1_772_323_199_000), "2026-02-28T23:59:59Z");
        assert_eq!(text(4_107_542_400_000), "2100-03-01T00:00:00Z");
        assert!(!text(u64::MAX).is_empty());
    }

    #[test]
    fn each_obstacle_has_its_reason() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["r"]));
        let with = |free: &Resources, change: &dyn Fn(&mut Scene)| {
            let mut scene = scene.clone();
            scene.agent(agent(1, free));
            change(&mut scene);
            why(&scene, 1, None)
        };
        let one = |scene: &mut Scene, change: &dyn Fn(&mut crate::FrameworkView)| {
            scene.each_framework(change)
        };
        assert_eq!(with(&cpus(1), &|_| ()), [], "nothing in its way");
        assert_eq!(with(&cpus(1), &|it| one(it, &|it| it.active = false)), [Reason::NotConnected]);
        assert_eq!(
            with(&cpus(1), &|it| one(it, &|it| it.roles[0].suppressed = true)),
            [Reason::Suppressed]
        );
        let fault = |it: &mut Scene| it.each_agent(|it| it.fault = Some("on fire".to_owned()));
        assert_eq!(with(&cpus(1), &fault), [Reason::AgentFault("on fire".to_owned())]);
        assert_eq!(with(&Resources::new(), &|_| ()), [Reason::NothingFree]);
        assert_eq!(
            with(&cpus(1), &|it| it.decline(1, "r", 1, &cpus(1))),
            [Reason::Filtered(Scene::UNTIL)]
        );
        assert_eq!(with(&cpus(2), &|it| it.decline(1, "r", 1, &cpus(1))), []);
        assert_eq!(with(&reserve(&cpus(1), "s"), &|_| ()), [Reason::ReservedFor(role("s"))]);
        let held = reserve(&cpus(1), "r");
        let away = |it: &mut Scene| it.each_agent(|it| it.holders = hold(&held, 9));
        assert_eq!(with(&held, &away), [Reason::HeldFor(framework_id(9))]);
        assert_eq!(
            with(&mem(31), &|it| it.min_allocatable = Scene::usual_minimum()),
            [Reason::BelowMinimum(mem(31))]
        );
        let rack = Selector::Attribute("rack".to_owned());
        let constraint = AttributeConstraint { selector: rack, predicate: Predicate::Exists };
        let wants_rack = Arc::new(RoleConstraints::new(vec![vec![constraint]]));
        let constrained = |it: &mut Scene| {
            one(it, &|it| it.roles[0].constraints = Some(wants_rack.clone()));
        };
        assert_eq!(
            with(&cpus(1), &constrained),
            [Reason::Constrained("attribute `rack` must be there".to_owned())]
        );
        let gpus = sum([cpus(1), crate::testing::gpus(1)]);
        assert_eq!(with(&gpus, &|_| ()), [Reason::LacksCapability("GPU_RESOURCES")]);
        assert_eq!(
            with(&gpus, &|it| one(it, &|it| it.capabilities.extend([Capability::GpuResources]))),
            []
        );
    }

    #[test]
    fn shortages_are_named_with_who_has_what_is_missing() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["r"]));
        scene.agent(agent(1, &sum([cpus(2), reserve(&cpus(6), "s"), mem(100)])));
        let short = |name: &str, wanted, free| Reason::NotEnough {
            name: name.to_owned(),
            wanted: Scalar::whole(wanted),
            free: Scalar::whole(free),
        };
        let wanted = sum([cpus(4), mem(200)]);
        assert_eq!(
            why(&scene, 1, Some(&wanted)),
            [short("cpus", 4, 2), short("mem", 200, 100), Reason::ReservedFor(role("s"))]
        );
        assert_eq!(why(&scene, 1, Some(&sum([cpus(2), mem(100)]))), []);
        scene.decline(1, "r", 1, &sum([cpus(2), mem(100)]));
        assert_eq!(why(&scene, 1, Some(&cpus(2))), [Reason::Filtered(Scene::UNTIL)]);
        assert_eq!(
            why(&scene, 1, Some(&cpus(3)))[0],
            short("cpus", 3, 2),
            "a shortage says more than the filter that it caused"
        );
    }

    #[test]
    fn after_a_division_the_losers_learn_that_others_came_first() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["r"]));
        scene.framework(framework(2, &["s"]));
        scene.agent(agent(1, &cpus(2)));
        let given = scene.divide("drf");
        let after = |n, wanted: Option<&Resources>| {
            why_not_after(&scene.input(), &given, &framework_id(n), wanted)
        };
        assert_eq!(after(1, None), []);
        assert_eq!(after(1, Some(&cpus(2))), []);
        let lacks = Reason::OfferLacks {
            name: "cpus".to_owned(),
            wanted: Scalar::whole(3),
            offered: Scalar::whole(2),
        };
        assert_eq!(
            after(1, Some(&cpus(3))),
            [WhyNot { agent: agent_id(1), role: role("r"), reason: lacks }]
        );
        let others = Reason::OthersFirst([framework_id(1)].into());
        assert_eq!(
            after(2, None),
            [WhyNot { agent: agent_id(1), role: role("s"), reason: others }]
        );
        assert!(
            matches!(
                after(2, Some(&cpus(3)))[..],
                [WhyNot { reason: Reason::NotEnough { .. }, .. }]
            ),
            "it could not use it anyway"
        );
    }

    #[test]
    fn what_is_free_beside_others_offers_is_not_said_to_be_theirs() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["r"]));
        scene.framework(framework(2, &["s"]));
        scene.agent(agent(1, &sum([cpus(4), mem(100)])));
        let offer = |framework: u8, role_name: &str, resources| Allocation {
            framework: framework_id(framework),
            role: role(role_name),
            agent: agent_id(1),
            resources,
        };
        let after = |open: &[Allocation], wanted: Resources| {
            let told = why_not_after(&scene.input(), open, &framework_id(2), Some(&wanted));
            told.into_iter().map(|it| it.reason).collect::<Vec<_>>()
        };
        let theirs = [offer(1, "r", cpus(1))];
        assert_eq!(after(&theirs, cpus(3)), [], "what is left is enough");
        assert_eq!(after(&theirs, cpus(4)), [Reason::OthersFirst([framework_id(1)].into())]);
        assert!(
            matches!(after(&theirs, cpus(5))[..], [Reason::NotEnough { free, .. }] if free == Scalar::whole(4)),
            "nor with theirs"
        );
        let two = [offer(2, "s", cpus(1)), offer(2, "s", cpus(2))];
        assert_eq!(after(&two, cpus(3)), [], "offers of one agent can be accepted together");
    }

    #[test]
    fn every_reason_is_a_sentence() {
        let reasons = [
            Reason::NotConnected,
            Reason::Suppressed,
            Reason::Filtered(Instant(1)),
            Reason::AgentFault("it is not connected".to_owned()),
            Reason::NothingFree,
            Reason::BelowMinimum(mem(1)),
            Reason::ReservedFor(role("eng/db")),
            Reason::HeldFor(framework_id(7)),
            Reason::LacksCapability("GPU_RESOURCES"),
            Reason::NotEnough {
                name: "cpus".to_owned(),
                wanted: Scalar::whole(4),
                free: Scalar::thousandths(500),
            },
            Reason::OfferLacks {
                name: "cpus".to_owned(),
                wanted: Scalar::whole(2),
                offered: Scalar::whole(1),
            },
            Reason::OthersFirst([framework_id(1), framework_id(2)].into()),
            Reason::Constrained("the zone must be `a`".to_owned()),
        ];
        let texts: Vec<String> = reasons.iter().map(Reason::to_string).collect();
        assert!(texts.iter().all(|it| 30 < it.len() && !it.contains('{')), "{texts:#?}");
        assert_eq!(texts[9], "4 of cpus is wanted, but 0.5 is free for it there");
        assert_eq!(texts[10], "what it was offered there has cpus 1 of 2 asked");
        assert!(texts[11].contains("framework F1, F2"));
        assert!(
            texts[6].contains("role `eng/db`")
                && texts[7].contains("F7")
                && texts[5].contains("mem:1")
        );
    }
}
