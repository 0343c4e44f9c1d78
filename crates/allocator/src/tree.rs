//! The tree of roles, ordered by dominant share at every level, and kept in order from one division
//! to the next.
//!
//! A role's own frameworks compete with the roles below it through a leaf of their own. Shares
//! count what all frameworks have, also those that do not wait. A change costs the depth of the
//! role times a search, and nothing is ever sorted but what other totals have put out of order. It
//! never decides who is eligible.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use holdfast_model::{FrameworkId, Quantities, Role, Scalar, SharedMap};

use crate::candidate::Fit;
use crate::input::{AllocationInput, SharedAgain};
use crate::ranking::{first_of, Fits, Ranking};
use crate::roster::Contender;
use crate::shares::{add, subtract, Measured, Share, ShareBasis, WEIGHT};

/// How often each framework's role was served.
pub(crate) type Served = SharedMap<FrameworkId, BTreeMap<Role, u64>>;
/// A place among siblings: by share, then by how often it was served, then by name. The number
/// finds it. What is kept in order is the numbers alone; the rest is compared where it stands.
type Rank = (Share, u64, Name, usize);

/// What equals are told apart by: never by number or arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// A role's own frameworks come before the roles below it.
    Own,
    Role(Role),
    Framework(FrameworkId),
}

#[derive(Clone, Debug)]
struct Node {
    parent: Option<usize>,
    name: Name,
    weight: Scalar,
    /// What those below it have, but what they have of shared volumes again.
    held: Measured,
    /// What was left out of that.
    again: Measured,
    /// The share of that by which it is ranked.
    share: Share,
    /// How often those that wait below it were served.
    served: u64,
    /// In order: in a leaf, its contenders that wait; elsewhere, the child nodes with such below
    /// them.
    ranks: Vec<usize>,
    /// How many contenders are below it, waiting or not; without any it is forgotten.
    members: usize,
    /// The leaf of a role's own frameworks.
    leaf: Option<usize>,
}

/// A contender in its role's leaf.
#[derive(Clone, Debug)]
struct Entry {
    leaf: usize,
    framework: FrameworkId,
    held: Measured,
    /// The share of that by which it is ranked.
    share: Share,
    served: u64,
    waits: bool,
}

/// All roles with their shares, and the contenders in their leaves.
#[derive(Clone, Debug)]
pub(crate) struct RoleTree {
    basis: ShareBasis,
    weights: SharedMap<Role, Scalar>,
    again: SharedMap<Role, SharedAgain>,
    served: Served,
    /// The first is the root.
    nodes: Vec<Node>,
    vacant: Vec<usize>,
    by_role: BTreeMap<Role, usize>,
    /// By the contenders' numbers.
    entries: Vec<Option<Entry>>,
}

const ROOT: usize = 0;
/// To find the first of many contenders, the whole order is walked rather than sorting them, if there are no more than so many for each of
/// these.
const WALKED_FOR_EACH: usize = 16;

impl RoleTree {
    /// A tree without contenders.
    pub fn new(basis: ShareBasis, input: &AllocationInput<'_>, served: Served) -> RoleTree {
        let root = Node {
            parent: None,
            name: Name::Own,
            weight: WEIGHT,
            held: basis.nothing(),
            again: basis.nothing(),
            share: Share(0.0),
            served: 0,
            ranks: Vec::new(),
            members: 0,
            leaf: None,
        };
        RoleTree {
            basis,
            weights: input.weights.clone(),
            again: input.shared_again.clone(),
            served,
            nodes: vec![root],
            vacant: Vec::new(),
            by_role: BTreeMap::new(),
            entries: Vec::new(),
        }
    }

    pub fn basis(&self) -> &ShareBasis {
        &self.basis
    }

    pub fn served(&self) -> &Served {
        &self.served
    }

    /// Forgets how often a framework was served.
    pub fn forget(&mut self, framework: &FrameworkId) {
        self.served.remove(framework);
    }

    /// Takes over what the frameworks of these roles have of shared volumes again; a role has that once.
    pub fn share_again(&mut self, again: &SharedMap<Role, SharedAgain>, changed: &BTreeSet<Role>) {
        self.again = again.clone();
        for role in changed {
            let Some(at) = self.by_role.get(role).copied() else { continue };
            let leaf = self.nodes[at].leaf;
            let bottom = leaf.unwrap_or(at);
            self.remove_ranks_above(bottom);
            let [own, all] = self.again_of(role);
            self.leave_out(at, all);
            if let Some(leaf) = leaf {
                self.leave_out(leaf, own);
            }
            self.insert_ranks_above(bottom);
        }
    }

    /// What a role's own frameworks have again, and what those of all below it have.
    fn again_of(&self, role: &Role) -> [Measured; 2] {
        match self.again.get(role) {
            Some(again) => [&again.own, &again.all].map(|it| self.basis.measure(it)),
            None => [self.basis.nothing(), self.basis.nothing()],
        }
    }

    /// Leaves that out of what those below a node have.
    fn leave_out(&mut self, at: usize, again: Measured) {
        let Node { held, again: former, .. } = &mut self.nodes[at];
        add(held, former);
        subtract(held, &again);
        *former = again;
    }

    /// Measures all shares against other totals of the same names.
    pub fn rescale(&mut self, basis: ShareBasis) {
        assert!(self.basis.has_names_of(&basis), "amounts stay as they were measured");
        for entry in self.entries.iter_mut().flatten() {
            entry.share = basis.share(&entry.held, WEIGHT);
        }
        for node in &mut self.nodes {
            node.share = basis.share(&node.held, node.weight);
        }
        self.basis = basis;
        for at in 0..self.nodes.len() {
            let mut ranks = std::mem::take(&mut self.nodes[at].ranks);
            let compare = |one: &usize, other: &usize| self.compare(at, *one, *other);
            if !ranks.is_sorted_by(|one, other| compare(one, other) != Ordering::Greater) {
                ranks.sort_unstable_by(compare);
            }
            self.nodes[at].ranks = ranks;
        }
    }

    /// The contenders that wait, lowest share first.
    pub fn in_order(&self) -> impl Iterator<Item = usize> + '_ {
        self.walk(ROOT, None)
    }

    /// The unweighted share of a role together with all roles below it.
    pub fn share_of(&self, role: &Role) -> f64 {
        let node = self.by_role.get(role).map(|at| &self.nodes[*at]);
        node.map_or(0.0, |it| self.basis.share(&it.held, WEIGHT).0)
    }

    fn walk<'t>(&'t self, top: usize, scope: Option<&'t BTreeSet<&'t Role>>) -> Walk<'t> {
        Walk { tree: self, scope, levels: vec![self.nodes[top].ranks.iter()], entries: None }
    }

    fn entry(&self, at: usize) -> &Entry {
        self.entries[at].as_ref().expect("a contender is ranked while it is seated")
    }

    /// The leaf of a role, with all the nodes above it.
    fn leaf_of(&mut self, role: &Role) -> usize {
        let mut parent = ROOT;
        for path in with_ancestors(role.as_str()) {
            let path = Role::parse(path).expect("what is above a role is a role");
            parent = match self.by_role.get(&path) {
                Some(at) => *at,
                None => {
                    let weight = self.weights.get(&path).copied().unwrap_or(WEIGHT);
                    let at = self.add_node(parent, Name::Role(path.clone()), weight);
                    let [_, all] = self.again_of(&path);
                    self.leave_out(at, all);
                    self.by_role.insert(path, at);
                    at
                }
            };
        }
        if let Some(leaf) = self.nodes[parent].leaf {
            return leaf;
        }
        let leaf = self.add_node(parent, Name::Own, WEIGHT);
        let [own, _] = self.again_of(role);
        self.leave_out(leaf, own);
        self.nodes[parent].leaf = Some(leaf);
        leaf
    }

    fn add_node(&mut self, parent: usize, name: Name, weight: Scalar) -> usize {
        let node = Node {
            parent: Some(parent),
            name,
            weight,
            held: self.basis.nothing(),
            again: self.basis.nothing(),
            share: Share(0.0),
            served: 0,
            ranks: Vec::new(),
            members: 0,
            leaf: None,
        };
        match self.vacant.pop() {
            Some(at) => {
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        }
    }

    /// The nodes from a leaf up to the root.
    fn up_from(&self, leaf: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(leaf), |at| self.nodes[*at].parent)
    }

    fn change_each_above(&mut self, leaf: usize, mut change: impl FnMut(&mut Node)) {
        let mut up = Some(leaf);
        while let Some(at) = up {
            change(&mut self.nodes[at]);
            up = self.nodes[at].parent;
        }
    }

    /// Forgets the nodes that nobody is below of any more.
    fn prune(&mut self, leaf: usize) {
        let mut at = leaf;
        while let Some(parent) = self.nodes[at].parent.filter(|_| self.nodes[at].members == 0) {
            match std::mem::replace(&mut self.nodes[at].name, Name::Own) {
                Name::Role(role) => drop(self.by_role.remove(&role)),
                _ => self.nodes[parent].leaf = None,
            }
            self.vacant.push(at);
            at = parent;
        }
    }

    fn entry_rank(&self, at: usize) -> Rank {
        let it = self.entry(at);
        (it.share, it.served, Name::Framework(it.framework.clone()), at)
    }

    fn node_rank(&self, at: usize) -> Rank {
        let node = &self.nodes[at];
        (node.share, node.served, node.name.clone(), at)
    }

    /// Whether nothing but a leaf's contenders is ranked in a node.
    fn is_leaf(&self, at: usize) -> bool {
        at != ROOT && self.nodes[at].name == Name::Own
    }

    /// Compares two that are ranked in a node, as their ranks are.
    fn compare(&self, node: usize, one: usize, other: usize) -> Ordering {
        if self.is_leaf(node) {
            let (a, b) = (self.entry(one), self.entry(other));
            let by_share = a.share.cmp(&b.share).then_with(|| a.served.cmp(&b.served));
            return by_share
                .then_with(|| a.framework.cmp(&b.framework))
                .then_with(|| one.cmp(&other));
        }
        let (a, b) = (&self.nodes[one], &self.nodes[other]);
        let by_share = a.share.cmp(&b.share).then_with(|| a.served.cmp(&b.served));
        by_share.then_with(|| a.name.cmp(&b.name)).then_with(|| one.cmp(&other))
    }

    /// Where one stands in the order of a node, or would.
    fn rank_of(&self, node: usize, one: usize) -> Result<usize, usize> {
        self.nodes[node].ranks.binary_search_by(|it| self.compare(node, *it, one))
    }

    fn insert_into(&mut self, node: usize, one: usize) {
        if let Err(at) = self.rank_of(node, one) {
            self.nodes[node].ranks.insert(at, one);
        }
    }

    /// Takes one out that still has the share and the count that it was put in with.
    fn remove_from(&mut self, node: usize, one: usize) {
        if let Ok(at) = self.rank_of(node, one) {
            self.nodes[node].ranks.remove(at);
        }
    }

    /// Puts a contender that waits into the order of its leaf.
    fn insert_rank(&mut self, at: usize) {
        let Some(entry) = self.entries[at].as_mut().filter(|it| it.waits) else { return };
        entry.share = self.basis.share(&entry.held, WEIGHT);
        let leaf = entry.leaf;
        self.insert_into(leaf, at);
    }

    /// Puts a leaf and the nodes above it into order, if anybody waits there.
    fn insert_ranks_above(&mut self, leaf: usize) {
        let mut at = leaf;
        while let Some(parent) = self.nodes[at].parent {
            let node = &mut self.nodes[at];
            node.share = self.basis.share(&node.held, node.weight);
            if !node.ranks.is_empty() {
                self.insert_into(parent, at);
            }
            at = parent;
        }
    }

    /// Takes a leaf and the nodes above it out of the order, so that their shares may change.
    fn remove_ranks_above(&mut self, leaf: usize) {
        let mut at = leaf;
        while let Some(parent) = self.nodes[at].parent {
            self.remove_from(parent, at);
            at = parent;
        }
    }

    /// Changes a contender, and the sums above it by the difference.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Entry)) {
        let leaf = self.unrank(at);
        let entry = self.entries[at].as_mut().expect("it was just looked at");
        let (held, served) = (entry.held.clone(), entry.counted());
        change(entry);
        let (held_now, served_now) = (entry.held.clone(), entry.counted());
        self.change_each_above(leaf, |node| {
            subtract(&mut node.held, &held);
            add(&mut node.held, &held_now);
            node.served = node.served - served + served_now;
        });
        self.rank_again(at, leaf);
    }

    /// Removes the ranks that depend on a contender, so that it may change; returns its leaf.
    fn unrank(&mut self, at: usize) -> usize {
        let leaf = self.entry(at).leaf;
        self.remove_ranks_above(leaf);
        if self.entry(at).waits {
            self.remove_from(leaf, at);
        }
        leaf
    }

    /// Inserts what [`RoleTree::unrank`] has removed, as it is now.
    fn rank_again(&mut self, at: usize, leaf: usize) {
        self.insert_rank(at);
        self.insert_ranks_above(leaf);
    }

    /// A contender's place in the whole order: the ranks from the root down to it.
    fn place(&self, contender: usize) -> Vec<Rank> {
        let nodes = self.up_from(self.entry(contender).leaf).filter(|at| *at != ROOT);
        let mut place: Vec<Rank> = nodes.map(|at| self.node_rank(at)).collect();
        place.reverse();
        place.push(self.entry_rank(contender));
        place
    }
}

impl Entry {
    /// What it counts for in the sums above it of how often those that wait were served.
    fn counted(&self) -> u64 {
        if self.waits {
            self.served
        } else {
            0
        }
    }
}

impl Ranking for RoleTree {
    fn seat(&mut self, at: usize, contender: &Contender<'_>, allocated: &Quantities) {
        let (held, waits) = (self.basis.measure(allocated), contender.waits());
        if self.entries.len() <= at {
            self.entries.resize(at + 1, None);
        }
        match &self.entries[at] {
            Some(entry) if entry.held == held && entry.waits == waits => return,
            Some(_) => {}
            None => {
                let served = self.served.get(contender.framework);
                let served = served.and_then(|it| it.get(contender.role)).copied();
                let (leaf, framework) = (self.leaf_of(contender.role), contender.framework.clone());
                self.entries[at] = Some(Entry {
                    leaf,
                    framework,
                    held: self.basis.nothing(),
                    share: Share(0.0),
                    served: served.unwrap_or_default(),
                    waits: false,
                });
                self.change_each_above(leaf, |node| node.members += 1);
            }
        }
        self.change(at, |entry| (entry.held, entry.waits) = (held, waits));
    }

    fn leave(&mut self, at: usize) {
        let nothing = self.basis.nothing();
        self.change(at, |entry| (entry.held, entry.waits) = (nothing, false));
        let entry = self.entries[at].take().expect("a contender leaves once");
        self.change_each_above(entry.leaf, |node| node.members -= 1);
        self.prune(entry.leaf);
    }

    fn first(&self, fits: Fits<'_>) -> Option<(usize, Fit)> {
        first_of(self.in_order(), fits)
    }

    fn first_below(&self, roles: &BTreeSet<&Role>, fits: Fits<'_>) -> Option<(usize, Fit)> {
        if roles.len() == 1 {
            let only = roles.first().and_then(|it| self.by_role.get(*it));
            return only.and_then(|top| first_of(self.walk(*top, None), fits));
        }
        first_of(self.walk(ROOT, Some(roles)), fits)
    }

    fn first_among(&self, among: &BTreeSet<usize>, fits: Fits<'_>) -> Option<(usize, Fit)> {
        let waiting = || among.iter().copied().filter(|at| self.entry(*at).waits);
        if waiting().nth(1).is_none() {
            return first_of(waiting(), fits);
        }
        if self.entries.len() < WALKED_FOR_EACH * among.len() {
            return first_of(self.in_order().filter(|at| among.contains(at)), fits);
        }
        let places: BTreeMap<Vec<Rank>, usize> = waiting().map(|at| (self.place(at), at)).collect();
        first_of(places.into_values(), fits)
    }

    fn charge(&mut self, contender: usize, amounts: &[(&str, Scalar)]) {
        let more = self.basis.measure_each(amounts);
        let leaf = self.unrank(contender);
        let entry = self.entries[contender].as_mut().expect("it was just looked at");
        add(&mut entry.held, &more);
        entry.served += 1;
        let served = u64::from(entry.waits);
        self.change_each_above(leaf, |node| {
            add(&mut node.held, &more);
            node.served += served;
        });
        self.rank_again(contender, leaf);
    }

    fn count(&mut self, contender: usize, as_is: &Contender<'_>, times: u64) {
        let roles = self.served.get_or_insert_with(as_is.framework.clone(), BTreeMap::new);
        let served = roles.entry(as_is.role.clone()).or_default();
        *served += times;
        let served = *served;
        if self.entry(contender).served != served {
            self.change(contender, |entry| entry.served = served);
        }
    }
}

/// Lists `a`, `a/b` and `a/b/c` for `a/b/c`.
fn with_ancestors(role: &str) -> impl Iterator<Item = &str> {
    role.match_indices('/').map(|(at, _)| &role[..at]).chain(std::iter::once(role))
}

/// Walks down the tree without recursion, since roles come from outside and may be deep.
struct Walk<'t> {
    tree: &'t RoleTree,
    /// The roles of which only contenders at or below are wanted.
    scope: Option<&'t BTreeSet<&'t Role>>,
    levels: Vec<slice::Iter<'t, usize>>,
    entries: Option<slice::Iter<'t, usize>>,
}

impl Walk<'_> {
    /// Whether anybody at or below this node is wanted.
    fn enters(&self, at: usize) -> bool {
        let Some(scope) = self.scope else { return true };
        let node = &self.tree.nodes[at];
        let (role, is_leaf) = match (&node.name, node.parent) {
            (Name::Role(role), _) => (role, false),
            (_, Some(parent)) => match &self.tree.nodes[parent].name {
                Name::Role(role) => (role, true),
                _ => return true,
            },
            _ => return true,
        };
        let is_within = |it: &&Role| role == *it || role.is_below(it);
        scope.iter().any(|it| is_within(it) || (!is_leaf && it.is_below(role)))
    }
}

impl Iterator for Walk<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            if let Some(contender) = self.entries.as_mut().and_then(Iterator::next) {
                return Some(*contender);
            }
            match self.levels.last_mut()?.next() {
                None => drop(self.levels.pop()),
                Some(at) if !self.enters(*at) => {}
                Some(at) if self.tree.is_leaf(*at) => {
                    self.entries = Some(self.tree.nodes[*at].ranks.iter())
                }
                Some(at) => self.levels.push(self.tree.nodes[*at].ranks.iter()),
            }
        }
    }
}
