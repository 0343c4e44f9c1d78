//! What lies free on one agent, piece by piece, who holds it, and who may have it.
//!
//! This is the one place where eligibility is decided: policies and [`crate::why_not`] both ask here, so that an
//! explanation cannot differ from the decision. Pieces are given whole; a piece that was given is gone.
//! Nothing here knows an order between contenders.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::resources::Amount;
use holdfast_model::{Capability, FrameworkId, Identity, Instant, Quantities, Resources, Role, Scalar};

use crate::contenders::Contender;
use crate::filters::RefusalsHere;
use crate::picture::{AgentView, Holder, Picture};
use crate::reasons::Reason;

const GPUS: &str = "gpus";
/// The capabilities that resources may need, by the names that frameworks announce.
const GPU: (Capability, &str) = (Capability::GpuResources, "GPU_RESOURCES");
const REVOCABLE: (Capability, &str) = (Capability::RevocableResources, "REVOCABLE_RESOURCES");
const SHARED: (Capability, &str) = (Capability::SharedResources, "SHARED_RESOURCES");
const REFINEMENT: (Capability, &str) = (Capability::ReservationRefinement, "RESERVATION_REFINEMENT");

/// All that is free of one identity.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub identity: &'a Identity,
    pub amount: &'a Amount,
    /// Frameworks that hold it and are connected or expected.
    pub holders: Vec<&'a FrameworkId>,
    /// The first of them that has not declined it.
    keeper: Option<&'a FrameworkId>,
}

impl Part<'_> {
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

/// Why a contender may not have something; [`Ground::reason`] makes a [`Reason`] of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bar<'a> {
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
pub(crate) struct Ground<'a> {
    pub view: &'a AgentView,
    refusals: RefusalsHere<'a>,
    parts: Vec<Part<'a>>,
    left: BTreeSet<usize>,
}

impl<'a> Ground<'a> {
    pub fn new(picture: &Picture<'a>, view: &'a AgentView) -> Ground<'a> {
        let mut holders: BTreeMap<&Identity, Vec<&FrameworkId>> = BTreeMap::new();
        for Holder { identity, framework, .. } in view.holders.iter().filter(|it| it.expected) {
            holders.entry(identity).or_default().push(framework);
        }
        let refusals = picture.filters.here(&view.id);
        let part = |(identity, amount): (&'a Identity, &'a Amount)| {
            let holders = holders.remove(identity).unwrap_or_default();
            let keeper = holders.iter().copied().find(|framework| keeps(picture, refusals, framework, (identity, amount)));
            Part { identity, amount, holders, keeper }
        };
        let parts: Vec<Part<'a>> = view.free.entries().map(part).collect();
        let left = (0..parts.len()).collect();
        Ground { view, refusals, parts, left }
    }

    /// What has not been given yet.
    pub fn left(&self) -> impl Iterator<Item = (usize, &Part<'a>)> {
        self.left.iter().map(|at| (*at, &self.parts[*at]))
    }

    pub fn part(&self, at: usize) -> &Part<'a> {
        &self.parts[at]
    }

    /// Gives one piece away.
    pub fn take(&mut self, at: usize) {
        assert!(self.left.remove(&at), "what was given once is not given again");
    }

    /// These pieces as resources.
    pub fn resources(&self, parts: &[usize]) -> Resources {
        let chosen: BTreeSet<&Identity> = parts.iter().map(|at| self.parts[*at].identity).collect();
        self.view.free.filter(|identity| chosen.contains(identity))
    }

    /// The scalars in these pieces: ranges and sets have no share.
    pub fn scalars(&self, parts: &[usize]) -> Quantities {
        let scalar = |at: &&usize| self.parts[**at].identity.kind == holdfast_model::ValueKind::Scalar;
        let mut sums = Quantities::new();
        for part in parts.iter().filter(scalar).map(|at| &self.parts[*at]) {
            let sum = sums.entry(part.identity.name.clone()).or_default();
            *sum = sum.plus(part.quantity());
        }
        sums
    }

    /// What keeps the contender from anything of this agent, whatever is free.
    pub fn standing(&self, contender: &Contender<'a>) -> Option<Bar<'a>> {
        if !contender.framework.active {
            return Some(Bar::NotConnected);
        }
        if contender.role.suppressed {
            return Some(Bar::Suppressed);
        }
        self.view.fault.as_deref().map(Bar::Fault)
    }

    /// What the contender may have of what is left.
    pub fn usable(&self, contender: &Contender<'a>) -> Vec<usize> {
        let gpus_here = self.has_gpus_left();
        self.left().filter(|(_, part)| withholds(part, contender, gpus_here).is_none()).map(|(at, _)| at).collect()
    }

    /// What is withheld from the contender of what is left, and why.
    pub fn withheld(&self, contender: &Contender<'a>) -> Vec<(usize, Bar<'a>)> {
        let gpus_here = self.has_gpus_left();
        self.left().filter_map(|(at, part)| Some((at, withholds(part, contender, gpus_here)?))).collect()
    }

    /// What the contender may be offered of what is left: all of it, or the reason why nothing.
    pub fn eligible(&self, picture: &Picture<'a>, contender: &Contender<'a>) -> Result<Vec<usize>, Bar<'a>> {
        if let Some(bar) = self.standing(contender) {
            return Err(bar);
        }
        let usable = self.usable(contender);
        if usable.is_empty() {
            return Err(self.withheld(contender).into_iter().map(|(_, bar)| bar).min().unwrap_or(Bar::NothingFree));
        }
        // A reservation or volume of the role is worth an offer however small: else its owner could not even destroy it.
        if !usable.iter().any(|at| self.parts[*at].is_claimed()) && !self.is_enough(picture, contender, &usable) {
            return Err(Bar::BelowMinimum(usable));
        }
        match self.refused(picture, contender, &usable) {
            Some(until) => Err(Bar::Filtered(until)),
            None => Ok(usable),
        }
    }

    /// What goes home to the contender before anything else: all that it holds, together with what is reserved for the
    /// same roles beside it and held by nobody. Nothing when it holds nothing here, or has declined just this.
    pub fn bundle(&self, picture: &Picture<'a>, contender: &Contender<'a>) -> Option<Vec<usize>> {
        let id = &contender.framework.id;
        if self.standing(contender).is_some() || !self.left().any(|(_, part)| part.is_held_by(id)) {
            return None;
        }
        let usable = self.usable(contender);
        let own = usable.iter().map(|at| &self.parts[*at]).filter(|part| part.is_held_by(id));
        let roles: BTreeSet<Role> = own.map(|part| part.identity.role()).collect();
        let beside = |part: &Part<'_>| part.holders.is_empty() && part.identity.is_reserved() && roles.contains(&part.identity.role());
        let bundle: Vec<usize> = usable.into_iter().filter(|at| self.parts[*at].is_held_by(id) || beside(&self.parts[*at])).collect();
        (!roles.is_empty() && self.refused(picture, contender, &bundle).is_none()).then_some(bundle)
    }

    /// The bar in words for people.
    pub fn reason(&self, bar: Bar<'a>) -> Reason {
        match bar {
            Bar::NotConnected => Reason::NotConnected,
            Bar::Suppressed => Reason::Suppressed,
            Bar::Fault(why) => Reason::AgentFault(why.to_owned()),
            Bar::NothingFree => Reason::NothingFree,
            Bar::Held(framework) => Reason::HeldFor(framework.clone()),
            Bar::Lacks(capability) => Reason::LacksCapability(capability),
            Bar::Reserved(role) => Reason::ReservedFor(role.clone()),
            Bar::BelowMinimum(parts) => Reason::BelowMinimum(self.resources(&parts)),
            Bar::Filtered(until) => Reason::Filtered(until),
        }
    }

    fn has_gpus_left(&self) -> bool {
        self.left().any(|(_, part)| part.identity.name == GPUS)
    }

    fn is_enough(&self, picture: &Picture<'a>, contender: &Contender<'a>, parts: &[usize]) -> bool {
        let sets = contender.role.min_allocatable.as_deref().unwrap_or(picture.min_allocatable);
        let have = |name: &str| {
            let named = parts.iter().map(|at| &self.parts[*at]).filter(|part| part.identity.name == name);
            named.fold(Scalar::ZERO, |sum, part| sum.plus(part.quantity()))
        };
        let reaches = |set: &Quantities| set.iter().all(|(name, least)| *least <= have(name));
        sets.is_empty() || sets.iter().any(reaches)
    }

    fn refused(&self, picture: &Picture<'a>, contender: &Contender<'a>, parts: &[usize]) -> Option<Instant> {
        let pieces = parts.iter().map(|at| (self.parts[*at].identity, self.parts[*at].amount));
        self.refusals.block(&contender.framework.id, &contender.role.role, pieces, picture.now)
    }
}

/// Whether `framework`, which holds `identity`, has first say in it: unless it is connected and declined all of it that is free.
fn keeps(picture: &Picture<'_>, refusals: RefusalsHere<'_>, framework: &FrameworkId, piece: (&Identity, &Amount)) -> bool {
    let Some(view) = picture.frameworks.get(framework).filter(|it| it.active) else { return true };
    let could = view.roles.iter().filter(|it| !it.suppressed && piece.0.is_allocatable_to(&it.role));
    let mut roles = could.map(|it| &it.role).peekable();
    if roles.peek().is_none() {
        return true; // It asked for no offers; that is no word about what it holds.
    }
    roles.any(|role| refusals.block(framework, role, std::iter::once(piece), picture.now).is_none())
}

fn withholds<'a>(part: &Part<'a>, contender: &Contender<'a>, gpus_here: bool) -> Option<Bar<'a>> {
    let (identity, id) = (part.identity, &contender.framework.id);
    if let Some(reservation) = identity.reservations.last().filter(|_| !identity.is_allocatable_to(&contender.role.role)) {
        return Some(Bar::Reserved(&reservation.role));
    }
    let needs = [
        (REFINEMENT, 1 < identity.reservations.len()),
        (REVOCABLE, identity.revocable),
        (SHARED, identity.shared),
        // Who does not know GPUs keeps off machines that have some, except for what it holds there.
        (GPU, identity.name == GPUS || (gpus_here && !part.is_held_by(id))),
    ];
    if let Some(((_, name), _)) = needs.into_iter().find(|((capability, _), needed)| *needed && !contender.can(*capability)) {
        return Some(Bar::Lacks(name));
    }
    match part.keeper {
        Some(keeper) if !part.is_held_by(id) => Some(Bar::Held(keeper)),
        _ => None,
    }
}
