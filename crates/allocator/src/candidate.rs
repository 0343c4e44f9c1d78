//! What lies free on one agent, piece by piece, who holds it, and who may have it.
//!
//! This is the one place where eligibility is decided: policies and [`crate::why_not`] both ask here, so that an
//! explanation cannot differ from the decision. Pieces are given whole; a piece that was given is gone.
//! Nothing here knows an order between contenders.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::resources::Amount;
use holdfast_model::{
    Capability, FrameworkId, Identity, Instant, Quantities, Resources, Role, Scalar,
};

use crate::contenders::Contender;
use crate::filters::RefusalsHere;
use crate::input::{AgentView, AllocationInput, Holder};
use crate::reasons::Reason;

const GPUS: &str = "gpus";
/// The capabilities that resources may need, by the names that frameworks announce.
const GPU: (Capability, &str) = (Capability::GpuResources, "GPU_RESOURCES");
const REVOCABLE: (Capability, &str) = (Capability::RevocableResources, "REVOCABLE_RESOURCES");
const SHARED: (Capability, &str) = (Capability::SharedResources, "SHARED_RESOURCES");
const REFINEMENT: (Capability, &str) =
    (Capability::ReservationRefinement, "RESERVATION_REFINEMENT");

/// All that is free of one identity.
#[derive(Debug)]
pub(crate) struct Slice<'a> {
    pub identity: &'a Identity,
    pub amount: &'a Amount,
    /// Frameworks that hold it and are connected or expected.
    pub holders: Vec<&'a FrameworkId>,
    /// The first of them that has not declined it.
    keeper: Option<&'a FrameworkId>,
}

impl Slice<'_> {
    pub fn is_held_by(&self, framework: &FrameworkId) -> bool {
        self.holders.contains(&framework)
    }

    /// How much it is; a shared volume counts once.
    fn quantity(&self) -> Scalar {
        let copies = if self.identity.shared { 1 } else { i64::from(self.amount.copies) };
        Scalar::thousandths(self.amount.value.quantity().as_thousandths().saturating_mul(copies))
    }

    /// Whether it was set aside for a role: a reservation or a volume.
    pub fn is_claimed(&self) -> bool {
        self.identity.is_reserved() || self.identity.persistence.is_some()
    }
}

/// Why a contender may not have something; [`Candidate::reason`] makes a [`Reason`] of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ineligibility<'a> {
    NotConnected,
    Suppressed,
    Fault(&'a str),
    NothingFree,
    // Of several reasons why pieces are withheld, the first of these tells most.
    Held(&'a FrameworkId),
    Lacks(&'static str),
    Reserved(&'a Role),
    BelowMinimum(Vec<usize>),
    Filtered(Instant),
}

/// One agent during a division.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) view: &'a AgentView,
    refusals: RefusalsHere<'a>,
    slices: Vec<Slice<'a>>,
    left: BTreeSet<usize>,
}

impl<'a> Candidate<'a> {
    pub fn new(input: &AllocationInput<'a>, view: &'a AgentView) -> Candidate<'a> {
        let mut holders: BTreeMap<&Identity, Vec<&FrameworkId>> = BTreeMap::new();
        for Holder { identity, framework, .. } in view.holders.iter().filter(|it| it.expected) {
            holders.entry(identity).or_default().push(framework);
        }
        let refusals = input.filters.here(&view.id);
        let slice = |(identity, amount): (&'a Identity, &'a Amount)| {
            let holders = holders.remove(identity).unwrap_or_default();
            let keeper = holders
                .iter()
                .copied()
                .find(|framework| keeps(input, refusals, framework, (identity, amount)));
            Slice { identity, amount, holders, keeper }
        };
        let slices: Vec<Slice<'a>> = view.free.entries().map(slice).collect();
        let left = (0..slices.len()).collect();
        Candidate { view, refusals, slices, left }
    }

    /// What has not been given yet.
    pub fn left(&self) -> impl Iterator<Item = (usize, &Slice<'a>)> {
        self.left.iter().map(|at| (*at, &self.slices[*at]))
    }

    pub fn slice(&self, at: usize) -> &Slice<'a> {
        &self.slices[at]
    }

    /// Gives one piece away.
    pub fn take(&mut self, at: usize) {
        assert!(self.left.remove(&at), "what was given once is not given again");
    }

    /// These pieces as resources.
    pub fn resources(&self, slices: &[usize]) -> Resources {
        let chosen: BTreeSet<&Identity> =
            slices.iter().map(|at| self.slices[*at].identity).collect();
        self.view.free.filter(|identity| chosen.contains(identity))
    }

    /// The scalars in these pieces: ranges and sets have no share.
    pub fn scalars(&self, slices: &[usize]) -> Quantities {
        let scalar =
            |at: &&usize| self.slices[**at].identity.kind == holdfast_model::ValueKind::Scalar;
        let mut sums = Quantities::new();
        for slice in slices.iter().filter(scalar).map(|at| &self.slices[*at]) {
            let sum = sums.entry(slice.identity.name.clone()).or_default();
            *sum = sum.plus(slice.quantity());
        }
        sums
    }

    /// What keeps the contender from anything of this agent, whatever is free.
    pub fn standing(&self, contender: &Contender<'a>) -> Option<Ineligibility<'a>> {
        if !contender.framework.active {
            return Some(Ineligibility::NotConnected);
        }
        if contender.role.suppressed {
            return Some(Ineligibility::Suppressed);
        }
        self.view.fault.as_deref().map(Ineligibility::Fault)
    }

    /// What the contender may have of what is left.
    pub fn usable(&self, contender: &Contender<'a>) -> Vec<usize> {
        let gpus_here = self.has_gpus_left();
        self.left()
            .filter(|(_, slice)| ineligibility_for(slice, contender, gpus_here).is_none())
            .map(|(at, _)| at)
            .collect()
    }

    /// What is withheld from the contender of what is left, and why.
    pub fn withheld(&self, contender: &Contender<'a>) -> Vec<(usize, Ineligibility<'a>)> {
        let gpus_here = self.has_gpus_left();
        self.left()
            .filter_map(|(at, slice)| Some((at, ineligibility_for(slice, contender, gpus_here)?)))
            .collect()
    }

    /// What the contender may be offered of what is left: all of it, or the reason why nothing.
    pub fn eligible(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'a>,
    ) -> Result<Vec<usize>, Ineligibility<'a>> {
        if let Some(ineligibility) = self.standing(contender) {
            return Err(ineligibility);
        }
        let usable = self.usable(contender);
        if usable.is_empty() {
            return Err(self
                .withheld(contender)
                .into_iter()
                .map(|(_, ineligibility)| ineligibility)
                .min()
                .unwrap_or(Ineligibility::NothingFree));
        }
        // A reservation or volume of the role is worth an offer however small: else its owner could not even destroy it.
        if !usable.iter().any(|at| self.slices[*at].is_claimed())
            && !self.is_enough(input, contender, &usable)
        {
            return Err(Ineligibility::BelowMinimum(usable));
        }
        match self.refused(input, contender, &usable) {
            Some(until) => Err(Ineligibility::Filtered(until)),
            None => Ok(usable),
        }
    }

    /// What goes home to the contender before anything else: all that it holds, together with what is reserved for the
    /// same roles beside it and held by nobody. Nothing when it holds nothing here, or has declined just this.
    pub fn bundle(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'a>,
    ) -> Option<Vec<usize>> {
        let id = &contender.framework.id;
        if self.standing(contender).is_some() || !self.left().any(|(_, slice)| slice.is_held_by(id))
        {
            return None;
        }
        let usable = self.usable(contender);
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
        (!roles.is_empty() && self.refused(input, contender, &bundle).is_none()).then_some(bundle)
    }

    /// The bar in words for people.
    pub fn reason(&self, ineligibility: Ineligibility<'a>) -> Reason {
        match ineligibility {
            Ineligibility::NotConnected => Reason::NotConnected,
            Ineligibility::Suppressed => Reason::Suppressed,
            Ineligibility::Fault(why) => Reason::AgentFault(why.to_owned()),
            Ineligibility::NothingFree => Reason::NothingFree,
            Ineligibility::Held(framework) => Reason::HeldFor(framework.clone()),
            Ineligibility::Lacks(capability) => Reason::LacksCapability(capability),
            Ineligibility::Reserved(role) => Reason::ReservedFor(role.clone()),
            Ineligibility::BelowMinimum(slices) => Reason::BelowMinimum(self.resources(&slices)),
            Ineligibility::Filtered(until) => Reason::Filtered(until),
        }
    }

    fn has_gpus_left(&self) -> bool {
        self.left().any(|(_, slice)| slice.identity.name == GPUS)
    }

    fn is_enough(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'a>,
        slices: &[usize],
    ) -> bool {
        let sets = contender.role.min_allocatable.as_deref().unwrap_or(input.min_allocatable);
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

    fn refused(
        &self,
        input: &AllocationInput<'a>,
        contender: &Contender<'a>,
        slices: &[usize],
    ) -> Option<Instant> {
        let pieces = slices.iter().map(|at| (self.slices[*at].identity, self.slices[*at].amount));
        self.refusals.block(&contender.framework.id, &contender.role.role, pieces, input.now)
    }
}

/// Whether `framework`, which holds `identity`, has first say in it: unless it is connected and declined all of it that is free.
fn keeps(
    input: &AllocationInput<'_>,
    refusals: RefusalsHere<'_>,
    framework: &FrameworkId,
    piece: (&Identity, &Amount),
) -> bool {
    let Some(view) = input.frameworks.get(framework).filter(|it| it.active) else { return true };
    let could =
        view.roles.iter().filter(|it| !it.suppressed && piece.0.is_allocatable_to(&it.role));
    let mut roles = could.map(|it| &it.role).peekable();
    if roles.peek().is_none() {
        return true; // It asked for no offers; that is no word about what it holds.
    }
    roles.any(|role| refusals.block(framework, role, std::iter::once(piece), input.now).is_none())
}

fn ineligibility_for<'a>(
    slice: &Slice<'a>,
    contender: &Contender<'a>,
    gpus_here: bool,
) -> Option<Ineligibility<'a>> {
    let (identity, id) = (slice.identity, &contender.framework.id);
    if let Some(reservation) =
        identity.reservations.last().filter(|_| !identity.is_allocatable_to(&contender.role.role))
    {
        return Some(Ineligibility::Reserved(&reservation.role));
    }
    let needs = [
        (REFINEMENT, 1 < identity.reservations.len()),
        (REVOCABLE, identity.revocable),
        (SHARED, identity.shared),
        // Who does not know GPUs keeps off machines that have some, except for what it holds there.
        (GPU, identity.name == GPUS || (gpus_here && !slice.is_held_by(id))),
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
