//! One agent in a division: its free resources in slices, who holds them, and who is eligible for
//! them.
//!
//! This is the one place where eligibility is decided: policies and [`crate::why_not`] both ask
//! here, so that an explanation cannot differ from the decision. Slices are granted whole, and at
//! most once. It never ranks contenders.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::resources::Amount;
use holdfast_model::{
    AgentId, Capability, FrameworkId, Identity, Instant, Quantities, Resources, Role, Scalar,
    ValueKind,
};

use crate::filters::AgentFilters;
use crate::input::{AgentView, AllocationInput, Holder};
use crate::roster::Contender;

const GPUS: &str = "gpus";
/// The capabilities that resources may need, by the names that frameworks announce.
const GPU: (Capability, &str) = (Capability::GpuResources, "GPU_RESOURCES");
const REVOCABLE: (Capability, &str) = (Capability::RevocableResources, "REVOCABLE_RESOURCES");
const SHARED: (Capability, &str) = (Capability::SharedResources, "SHARED_RESOURCES");
const REFINEMENT: (Capability, &str) =
    (Capability::ReservationRefinement, "RESERVATION_REFINEMENT");

/// All that is free of one identity on the agent.
#[derive(Debug)]
pub(crate) struct Slice<'a> {
    pub identity: &'a Identity,
    pub amount: &'a Amount,
    /// The frameworks that hold it and are connected or expected.
    pub holders: Vec<&'a FrameworkId>,
    /// The first holder that has not declined it; nobody else is eligible while there is one.
    keeper: Option<&'a FrameworkId>,
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
    NothingFree,
    // When several slices are ineligible, the first of these is reported: it says most.
    Held(&'a FrameworkId),
    Lacks(&'static str),
    Reserved(&'a Role),
    BelowMinimum(Vec<usize>),
    Filtered(Instant),
}

/// One agent during a division, with the slices that have not been granted yet.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    view: &'a AgentView,
    filters: AgentFilters<'a>,
    slices: Vec<Slice<'a>>,
    /// Which of the slices have not been granted yet.
    is_left: Vec<bool>,
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
            Slice { identity, amount, holders, keeper }
        };
        let slices: Vec<Slice<'a>> = view.free.entries().map(slice).collect();
        let is_left = vec![true; slices.len()];
        Candidate { view, filters, slices, is_left }
    }

    pub fn agent_id(&self) -> &'a AgentId {
        &self.view.id
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

    /// Returns these slices as resources.
    pub fn resources(&self, slices: &[usize]) -> Resources {
        if slices.len() == self.slices.len() {
            return self.view.free.clone();
        }
        // Slices stand in the order of entries.
        let (next, mut chosen) = (Cell::new(0), vec![false; self.slices.len()]);
        slices.iter().for_each(|at| chosen[*at] = true);
        self.view.free.filter(|_| chosen[next.replace(next.get() + 1)])
    }

    /// The scalars in these slices, by name; ranges and sets have no share.
    pub fn scalars(&self, slices: &[usize]) -> Vec<(&'a str, Scalar)> {
        let each = slices.iter().map(|at| &self.slices[*at]);
        each.filter(|slice| slice.identity.kind == ValueKind::Scalar)
            .map(|slice| (slice.identity.name.as_str(), slice.quantity()))
            .collect()
    }

    /// Why the contender may have nothing of this agent, whatever is free.
    pub fn general_ineligibility(&self, contender: &Contender<'_>) -> Option<Ineligibility<'a>> {
        if !contender.is_active {
            return Some(Ineligibility::NotConnected);
        }
        if contender.is_suppressed {
            return Some(Ineligibility::Suppressed);
        }
        self.view.fault.as_deref().map(Ineligibility::Fault)
    }

    /// The slices that the contender may have of what is left, before minimum and filters.
    pub fn usable_slices(&self, contender: &Contender<'_>) -> Vec<usize> {
        let agent_has_gpus = self.has_free_gpus();
        let mut usable = Vec::with_capacity(self.slices.len());
        let left = self
            .left()
            .filter(|(_, slice)| slice_ineligibility(slice, contender, agent_has_gpus).is_none());
        usable.extend(left.map(|(at, _)| at));
        usable
    }

    /// The slices that are left but not for the contender, and why.
    pub fn ineligible_slices<'c>(
        &'c self,
        contender: &'c Contender<'_>,
    ) -> impl Iterator<Item = (usize, Ineligibility<'a>)> + 'c {
        let agent_has_gpus = self.has_free_gpus();
        self.left().filter_map(move |(at, slice)| {
            Some((at, slice_ineligibility(slice, contender, agent_has_gpus)?))
        })
    }

    /// All that the contender may be offered of what is left, or why it may be offered nothing.
    pub fn eligible_slices(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'_>,
    ) -> Result<Vec<usize>, Ineligibility<'a>> {
        if let Some(ineligibility) = self.general_ineligibility(contender) {
            return Err(ineligibility);
        }
        let usable = self.usable_slices(contender);
        if usable.is_empty() {
            return Err(self
                .ineligible_slices(contender)
                .map(|(_, ineligibility)| ineligibility)
                .min()
                .unwrap_or(Ineligibility::NothingFree));
        }
        // A reservation or volume of the role is worth an offer however small: else its owner could
        // not even destroy it.
        if !usable.iter().any(|at| self.slices[*at].is_claimed())
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
    pub fn bundle(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'_>,
    ) -> Option<Vec<usize>> {
        let id = contender.framework;
        if self.general_ineligibility(contender).is_some()
            || !self.left().any(|(_, slice)| slice.is_held_by(id))
        {
            return None;
        }
        let usable = self.usable_slices(contender);
        let own = usable.iter().map(|at| &self.slices[*at]).filter(|slice| slice.is_held_by(id));
        let roles: BTreeSet<Role> = own.map(|slice| slice.identity.role()).collect();
        let beside = |slice: &Slice<'_>| {
            slice.holders.is_empty()
                && slice.identity.is_reserved()
                && roles.contains(&slice.identity.role())
        };
        let bundle: Vec<usize> = usable
            .into_iter()
            .filter(|at| self.slices[*at].is_held_by(id) || beside(&self.slices[*at]))
            .collect();
        (!roles.is_empty() && self.declined_until(input, contender, &bundle).is_none())
            .then_some(bundle)
    }

    /// Whether GPUs are left, which keep those off who do not know them.
    pub fn has_free_gpus(&self) -> bool {
        self.left().any(|(_, slice)| slice.identity.name == GPUS)
    }

    fn is_enough(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'_>,
        slices: &[usize],
    ) -> bool {
        let sets = contender.min_allocatable.unwrap_or(input.min_allocatable);
        let have = |name: &str| {
            let named = slices
                .iter()
                .map(|at| &self.slices[*at])
                .filter(|slice| slice.identity.name == name);
            named.fold(Scalar::ZERO, |sum, slice| sum.plus(slice.quantity()))
        };
        let reaches = |set: &Quantities| set.iter().all(|(name, least)| *least <= have(name));
        sets.is_empty() || sets.iter().any(reaches)
    }

    fn declined_until(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'_>,
        slices: &[usize],
    ) -> Option<Instant> {
        let pieces = slices.iter().map(|at| (self.slices[*at].identity, self.slices[*at].amount));
        self.filters.blocked_until(contender.framework, contender.role, pieces, input.now)
    }
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
    match slice.keeper {
        Some(keeper) if !slice.is_held_by(id) => Some(Ineligibility::Held(keeper)),
        _ => None,
    }
}
