//! One agent in a division: its free resources in slices, who holds them, and who is eligible for
//! them.
//!
//! This is the one place where eligibility is decided: policies and [`crate::why_not`] both ask
//! here, so that an explanation cannot differ from the decision. Slices are granted whole, but for
//! what quota cuts, and at most once. It never ranks contenders.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::resources::Amount;
use holdfast_model::totals::counted_by_quota;
use holdfast_model::{
    AgentId, Capability, FrameworkId, Identity, Instant, Quantities, Resource, Resources, Role,
    Scalar, Traits, Value, ValueKind,
};

use crate::filters::AgentFilters;
use crate::input::{AgentView, AllocationInput, Holder, Sharing};
use crate::quota::{QuotaState, Stage, Taken};
use crate::roster::Contender;

const GPUS: &str = "gpus";
/// The capabilities that resources may need, by the names that frameworks announce.
const GPU: (Capability, &str) = (Capability::GpuResources, "GPU_RESOURCES");
const REVOCABLE: (Capability, &str) = (Capability::RevocableResources, "REVOCABLE_RESOURCES");
const SHARED: (Capability, &str) = (Capability::SharedResources, "SHARED_RESOURCES");
const REFINEMENT: (Capability, &str) =
    (Capability::ReservationRefinement, "RESERVATION_REFINEMENT");

/// All that is free of one identity on the agent.
#[derive(Clone, Debug)]
pub(crate) struct Slice<'a> {
    pub identity: &'a Identity,
    pub amount: Cow<'a, Amount>,
    /// The frameworks that hold it and are connected or expected.
    pub holders: Vec<&'a FrameworkId>,
    /// The first holder that has not declined it; nobody else is eligible while there is one.
    keeper: Option<&'a FrameworkId>,
    /// Who has it beside, if it is shared and anybody has.
    sharing: Option<&'a Sharing>,
}

impl<'a> Slice<'a> {
    /// The role that the slice is reserved for, if it is.
    pub fn reserved_for(&self) -> Option<&'a Role> {
        self.identity.reservations.last().map(|it| &it.role)
    }

    pub fn is_held_by(&self, framework: &FrameworkId) -> bool {
        self.holders.contains(&framework)
    }

    /// The amount of the slice; a shared volume counts once.
    fn quantity(&self) -> Scalar {
        let copies = if self.identity.shared { 1 } else { i64::from(self.amount.copies) };
        Scalar::thousandths(self.amount.value.quantity().as_thousandths().saturating_mul(copies))
    }

    /// Whether the slice is a reservation or a volume.
    pub fn is_claimed(&self) -> bool {
        self.identity.is_reserved() || self.identity.persistence.is_some()
    }
}

/// Why a contender is not eligible for something; `reasons` makes a [`crate::Reason`] of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ineligibility<'a> {
    NotConnected,
    Suppressed,
    Fault(&'a str),
    /// The constraints of the role leave the agent out.
    Constrained,
    NothingFree,
    // When several slices are ineligible, the first of these is reported: it says most.
    Held(&'a FrameworkId),
    Lacks(&'static str),
    Reserved(&'a Role),
    OverLimit {
        role: &'a Role,
        name: &'a str,
        limit: Scalar,
        has: Scalar,
    },
    KeptForGuarantees(&'a str),
    QuotaUnknown(&'a Role),
    /// It is a shared volume that the framework is offered already, or nothing else is free.
    HasShared,
    BelowMinimum(Fit),
    Filtered(Instant),
}

/// What a contender may have of an agent: these slices, of some no more than so much.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fit {
    pub slices: Vec<usize>,
    /// In the order of the slices.
    pub cuts: Vec<(usize, Scalar)>,
}

impl Fit {
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// How much it has of a slice, if not all.
    fn cut_of(&self, at: usize) -> Option<Scalar> {
        self.cuts.iter().find(|it| it.0 == at).map(|it| it.1)
    }

    /// Those of its slices.
    fn only(&self, keep: impl Fn(usize) -> bool) -> Fit {
        Fit {
            slices: self.slices.iter().copied().filter(|at| keep(*at)).collect(),
            cuts: self.cuts.iter().copied().filter(|(at, _)| keep(*at)).collect(),
        }
    }
}

/// One agent during a division, with the slices that have not been granted yet.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    view: &'a AgentView,
    filters: AgentFilters<'a>,
    slices: Vec<Slice<'a>>,
    /// Which of the slices have not been granted yet.
    is_left: Vec<bool>,
    /// How many slices there were before any was cut; what is left of those that were stands behind.
    whole: usize,
}

impl<'a> Candidate<'a> {
    pub fn new(input: &AllocationInput<'a>, view: &'a AgentView) -> Candidate<'a> {
        let mut holders: BTreeMap<&Identity, Vec<&FrameworkId>> = BTreeMap::new();
        for Holder { identity, framework, .. } in view.holders.iter().filter(|it| it.expected) {
            holders.entry(identity).or_default().push(framework);
        }
        let filters = input.filters.of_agent(&view.id);
        let slice = |(identity, amount): (&'a Identity, &'a Amount)| {
            let holders = holders.remove(identity).unwrap_or_default();
            let keeper = holders
                .iter()
                .copied()
                .find(|framework| keeps(input, filters, framework, (identity, amount)));
            // What is shared is kept from nobody of its role; its maker only comes first.
            let keeper = keeper.filter(|_| !identity.shared);
            let sharing = view.sharing_of(identity);
            Slice { identity, amount: Cow::Borrowed(amount), holders, keeper, sharing }
        };
        let slices: Vec<Slice<'a>> = view.free.entries().map(slice).collect();
        let (is_left, whole) = (vec![true; slices.len()], slices.len());
        Candidate { view, filters, slices, is_left, whole }
    }

    pub fn agent_id(&self) -> &'a AgentId {
        &self.view.id
    }

    /// What offer constraints look at.
    pub fn traits(&self) -> &'a Traits {
        &self.view.traits
    }

    /// The slices that have not been granted yet.
    pub fn left(&self) -> impl Iterator<Item = (usize, &Slice<'a>)> {
        self.slices.iter().enumerate().filter(|(at, _)| self.is_left[*at])
    }

    pub fn slice(&self, at: usize) -> &Slice<'a> {
        &self.slices[at]
    }

    /// Takes one slice out of the candidate.
    pub fn take(&mut self, at: usize) {
        let was_left = std::mem::replace(&mut self.is_left[at], false);
        assert!(was_left, "a slice is granted at most once");
    }

    /// Cuts a slice, of which so much is left to be taken; the rest is a slice of its own.
    pub fn cut(&mut self, at: usize, part: Scalar) {
        let slice = &mut self.slices[at];
        let all = slice.amount.value.quantity();
        assert!(
            Scalar::ZERO < part && part < all && slice.amount.copies == 1,
            "a cut leaves two parts"
        );
        let sized = |amount: Scalar| {
            let mut it = slice.amount.clone().into_owned();
            it.value = Value::Scalar(amount);
            Cow::Owned(it)
        };
        let rest = Slice { amount: sized(all.minus(part)), ..slice.clone() };
        slice.amount = sized(part);
        self.slices.push(rest);
        self.is_left.push(true);
    }

    /// Returns these slices as resources.
    pub fn resources(&self, slices: &[usize]) -> Resources {
        if slices.len() == self.slices.len() {
            return self.view.free.clone();
        }
        // Slices stand in the order of entries, but for those that were cut.
        let (next, mut chosen) = (Cell::new(0), vec![false; self.whole]);
        let is_whole = |at: &&usize| matches!(self.slices[**at].amount, Cow::Borrowed(_));
        slices.iter().filter(is_whole).for_each(|at| chosen[*at] = true);
        let mut all = self.view.free.filter(|_| chosen[next.replace(next.get() + 1)]);
        for at in slices.iter().filter(|it| !is_whole(it)) {
            let slice = &self.slices[*at];
            all.add(&part_of(slice.identity, slice.amount.value.quantity()));
        }
        all
    }

    /// Returns what a contender may have as resources.
    pub fn fitting(&self, fit: &Fit) -> Resources {
        let uncut: Vec<usize> =
            fit.slices.iter().copied().filter(|at| fit.cut_of(*at).is_none()).collect();
        let mut all = match fit.cuts.is_empty() {
            true => self.resources(&fit.slices),
            false => self.resources(&uncut),
        };
        fit.cuts.iter().for_each(|(at, part)| all.add(&part_of(self.slices[*at].identity, *part)));
        all
    }

    /// The scalars in these slices, by name; ranges and sets have no share.
    pub fn scalars(&self, slices: &[usize]) -> Vec<(&'a str, Scalar)> {
        let each = slices.iter().map(|at| &self.slices[*at]);
        each.filter(|slice| slice.identity.kind == ValueKind::Scalar)
            .map(|slice| (slice.identity.name.as_str(), slice.quantity()))
            .collect()
    }

    /// What quota counts of these slices when they are granted: what is reserved was counted before.
    pub fn counted(&self, slices: &[usize]) -> Vec<(&'a str, Scalar)> {
        let each = slices.iter().map(|at| &self.slices[*at]);
        let counted = each.filter(|it| !it.identity.is_reserved()).filter_map(|it| {
            Some((it.identity.name.as_str(), counted_by_quota(it.identity, &it.amount)?))
        });
        counted.collect()
    }

    /// Why the contender may have nothing of this agent, whatever is free.
    pub fn general_ineligibility(&self, contender: &Contender<'_>) -> Option<Ineligibility<'a>> {
        if !contender.is_active {
            return Some(Ineligibility::NotConnected);
        }
        if contender.is_suppressed {
            return Some(Ineligibility::Suppressed);
        }
        if let Some(fault) = &self.view.fault {
            return Some(Ineligibility::Fault(fault));
        }
        let is_left_out = contender.constraints.is_some_and(|it| !it.admit(&self.view.traits));
        is_left_out.then_some(Ineligibility::Constrained)
    }

    /// The slices that the contender may have of what is left, before minimum and filters; those
    /// that it may not have all of are refused, with the reason.
    pub fn usable(
        &self,
        quota: Option<&QuotaState<'a>>,
        contender: &Contender<'_>,
        stage: Stage,
        mut refuse: impl FnMut(usize, Ineligibility<'a>),
    ) -> Fit {
        let agent_has_gpus = self.has_free_gpus();
        let mut ration = quota.map(|it| it.ration(contender, stage));
        let mut fit = Fit { slices: Vec::with_capacity(self.slices.len()), cuts: Vec::new() };
        for (at, slice) in self.left() {
            if let Some(why) = slice_ineligibility(slice, contender, agent_has_gpus) {
                refuse(at, why);
                continue;
            }
            match ration.as_mut().map_or(Taken::Whole, |it| it.take(slice)) {
                Taken::Whole => fit.slices.push(at),
                Taken::Part(part, why) => {
                    fit.slices.push(at);
                    fit.cuts.push((at, part));
                    refuse(at, why);
                }
                Taken::Nothing(why) => refuse(at, why),
            }
        }
        fit
    }

    /// All that the contender may be offered of what is left, or why it may be offered nothing.
    pub fn eligible(
        &self,
        input: &AllocationInput<'a>,
        quota: Option<&QuotaState<'a>>,
        contender: &Contender<'_>,
    ) -> Result<Fit, Ineligibility<'a>> {
        if let Some(ineligibility) = self.general_ineligibility(contender) {
            return Err(ineligibility);
        }
        let (mut first, mut is_short) = (None, false);
        let usable = self.usable(quota, contender, Stage::Rest, |_, why| {
            is_short |= why.is_of_quota();
            if first.as_ref().is_none_or(|first| why < *first) {
                first = Some(why);
            }
        });
        if let Some(quota) = quota.filter(|_| is_short) {
            quota.is_short(contender.framework);
        }
        if usable.is_empty() {
            return Err(first.unwrap_or(Ineligibility::NothingFree));
        }
        self.worth_an_offer(input, contender, usable)
    }

    /// What the contender is offered of what its role is guaranteed and does not have, with all else
    /// that it may have here. `None` when there is none of that here, or it declined all of this.
    pub fn guaranteed(
        &self,
        input: &AllocationInput<'a>,
        quota: &QuotaState<'a>,
        contender: &Contender<'_>,
    ) -> Option<Fit> {
        if self.general_ineligibility(contender).is_some() {
            return None;
        }
        let fit = self.usable(Some(quota), contender, Stage::Guarantees, |_, _| {});
        let ration = quota.ration(contender, Stage::Guarantees);
        let is_guaranteed = |at: &usize| {
            let identity = self.slices[*at].identity;
            !identity.is_reserved() && ration.is_guaranteed(&identity.name)
        };
        if !fit.slices.iter().any(is_guaranteed) {
            return None;
        }
        self.worth_an_offer(input, contender, fit).ok()
    }

    /// What may be offered, unless it is too little or was declined.
    fn worth_an_offer(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'_>,
        usable: Fit,
    ) -> Result<Fit, Ineligibility<'a>> {
        if self.is_only_shared(&usable) {
            return Err(Ineligibility::HasShared);
        }
        // A reservation or volume of the role is worth an offer however small: else its owner could
        // not even destroy it.
        if !usable.slices.iter().any(|at| self.slices[*at].is_claimed())
            && !self.is_enough(input, contender, &usable)
        {
            return Err(Ineligibility::BelowMinimum(usable));
        }
        match self.declined_until(input, contender, &usable) {
            Some(until) => Err(Ineligibility::Filtered(until)),
            None => Ok(usable),
        }
    }

    /// What the contender is offered before anything else is divided: all that it holds, together
    /// with what is reserved for the same roles and held by nobody. `None` when it holds nothing
    /// here, or has declined all of this.
    pub fn bundle(&self, input: &AllocationInput<'a>, contender: &Contender<'_>) -> Option<Fit> {
        let id = contender.framework;
        if self.general_ineligibility(contender).is_some()
            || !self.left().any(|(_, slice)| slice.is_held_by(id))
        {
            return None;
        }
        // Quota holds back nothing that is reserved.
        let usable = self.usable(None, contender, Stage::Rest, |_, _| {});
        let own =
            usable.slices.iter().map(|at| &self.slices[*at]).filter(|slice| slice.is_held_by(id));
        let roles: BTreeSet<Role> = own.map(|slice| slice.identity.role()).collect();
        let beside = |slice: &Slice<'_>| {
            // A shared volume goes to its maker first, and along with others once somebody has it.
            (slice.holders.is_empty() || slice.sharing.is_some())
                && slice.identity.is_reserved()
                && roles.contains(&slice.identity.role())
        };
        let bundle = usable.only(|at| self.slices[at].is_held_by(id) || beside(&self.slices[at]));
        if self.is_only_shared(&bundle) {
            return None;
        }
        (!roles.is_empty() && self.declined_until(input, contender, &bundle).is_none())
            .then_some(bundle)
    }

    /// Whether it is nothing but shared volumes that others have, which come with something to use them with. One that nobody has is
    /// offered alone, too: else its owner could not even destroy it.
    fn is_only_shared(&self, fit: &Fit) -> bool {
        !fit.is_empty() && fit.slices.iter().all(|at| self.slices[*at].sharing.is_some())
    }

    /// Whether GPUs are left, which keep those off who do not know them.
    pub fn has_free_gpus(&self) -> bool {
        self.left().any(|(_, slice)| slice.identity.name == GPUS)
    }

    fn is_enough(&self, input: &AllocationInput<'a>, contender: &Contender<'_>, fit: &Fit) -> bool {
        let sets = contender.min_allocatable.unwrap_or(input.min_allocatable);
        let have = |name: &str| {
            let named = fit.slices.iter().filter(|at| self.slices[**at].identity.name == name);
            let much = |at: &usize| fit.cut_of(*at).unwrap_or_else(|| self.slices[*at].quantity());
            named.fold(Scalar::ZERO, |sum, at| sum.plus(much(at)))
        };
        let reaches = |set: &Quantities| set.iter().all(|(name, least)| *least <= have(name));
        sets.is_empty() || sets.iter().any(reaches)
    }

    fn declined_until(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'_>,
        fit: &Fit,
    ) -> Option<Instant> {
        let (framework, role, now) = (contender.framework, contender.role, input.now);
        let cut = |at: usize| {
            let mut amount = self.slices[at].amount.clone().into_owned();
            amount.value = Value::Scalar(fit.cut_of(at)?);
            Some(amount)
        };
        let cuts: Vec<(usize, Amount)> =
            fit.cuts.iter().filter_map(|(at, _)| Some((*at, cut(*at)?))).collect();
        let pieces = fit.slices.iter().map(|at| {
            let cut = cuts.iter().find(|it| it.0 == *at).map(|it| &it.1);
            (self.slices[*at].identity, cut.unwrap_or(&self.slices[*at].amount))
        });
        self.filters.blocked_until(framework, role, pieces, now)
    }
}

impl Ineligibility<'_> {
    /// Whether it is quota that stands in the way.
    pub fn is_of_quota(&self) -> bool {
        use Ineligibility::{KeptForGuarantees, OverLimit, QuotaUnknown};
        matches!(self, OverLimit { .. } | KeptForGuarantees(_) | QuotaUnknown(_))
    }
}

/// So much of what can be divided.
fn part_of(identity: &Identity, part: Scalar) -> Resource {
    Resource { identity: identity.clone(), value: Value::Scalar(part), mount: None, creator: None }
}

/// Whether `framework`, which holds the slice, keeps others from it: it does unless it is connected
/// and has declined all of the slice that is free.
fn keeps(
    input: &AllocationInput<'_>,
    filters: AgentFilters<'_>,
    framework: &FrameworkId,
    piece: (&Identity, &Amount),
) -> bool {
    let Some(view) = input.frameworks.get(framework).filter(|it| it.active) else { return true };
    let could =
        view.roles.iter().filter(|it| !it.suppressed && piece.0.is_allocatable_to(&it.role));
    let mut roles = could.map(|it| &it.role).peekable();
    if roles.peek().is_none() {
        return true; // It suppressed offers, which does not decline what it holds.
    }
    roles.any(|role| {
        filters.blocked_until(framework, role, std::iter::once(piece), input.now).is_none()
    })
}

fn slice_ineligibility<'a>(
    slice: &Slice<'a>,
    contender: &Contender<'_>,
    agent_has_gpus: bool,
) -> Option<Ineligibility<'a>> {
    let (identity, id) = (slice.identity, contender.framework);
    if let Some(reservation) =
        identity.reservations.last().filter(|_| !identity.is_allocatable_to(contender.role))
    {
        return Some(Ineligibility::Reserved(&reservation.role));
    }
    let needs = [
        (REFINEMENT, 1 < identity.reservations.len()),
        (REVOCABLE, identity.revocable),
        (SHARED, identity.shared),
        // A framework without the capability is kept off machines with free GPUs, except for what
        // it holds there.
        (GPU, identity.name == GPUS || (agent_has_gpus && !slice.is_held_by(id))),
    ];
    if let Some(((_, name), _)) =
        needs.into_iter().find(|((capability, _), needed)| *needed && !contender.can(*capability))
    {
        return Some(Ineligibility::Lacks(name));
    }
    if slice.sharing.is_some_and(|it| it.offered.contains(id)) {
        return Some(Ineligibility::HasShared);
    }
    match slice.keeper {
        Some(keeper) if !slice.is_held_by(id) => Some(Ineligibility::Held(keeper)),
        _ => None,
    }
}
