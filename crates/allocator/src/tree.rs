//! The tree of roles, ordered by dominant share at every level, and kept in order from one division
//! to the next.
//!
//! A role's own frameworks compete with the roles below it through a leaf of their own. Shares
//! count what all frameworks have, also those that do not wait. A change costs the depth of the
//! role times a search, and nothing is ever sorted. It never decides who is eligible.

use std::collections::btree_set;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{FrameworkId, Quantities, Role, Scalar, SharedMap};

use crate::ranking::{first_of, Fits, Ranking};
use crate::roster::Contender;
use crate::shares::{add, subtract, Measured, Share, ShareBasis, WEIGHT};

/// How often each framework's role was served.
pub(crate) type Served = SharedMap<FrameworkId, BTreeMap<Role, u64>>;
/// A place among siblings: by share, then by how often it was served, then by name. The number
/// finds it.
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
    held: Measured,
    /// How often those that wait below it were served.
    served: u64,
    /// In a leaf, the ranks of its contenders that wait; elsewhere, those of the child nodes with
    /// such below them.
    ranks: BTreeSet<Rank>,
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
    served: u64,
    waits: bool,
}

/// All roles with their shares, and the contenders in their leaves.
#[derive(Clone, Debug)]
pub(crate) struct RoleTree {
    basis: ShareBasis,
    weights: SharedMap<Role, Scalar>,
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
    pub fn new(basis: ShareBasis, weights: &SharedMap<Role, Scalar>, served: Served) -> RoleTree {
        let root = Node {
            parent: None,
            name: Name::Own,
            weight: WEIGHT,
            held: basis.nothing(),
            served: 0,
            ranks: BTreeSet::new(),
            members: 0,
            leaf: None,
        };
        RoleTree {
            basis,
            weights: weights.clone(),
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

    /// Measures all shares against other totals of the same names.
    pub fn rescale(&mut self, basis: ShareBasis) {
        assert!(self.basis.has_names_of(&basis), "amounts stay as they were measured");
        self.basis = basis;
        self.nodes.iter_mut().for_each(|it| it.ranks.clear());
        for at in 0..self.entries.len() {
            self.insert_rank(at);
        }
        let waiting = self.entries.iter().flatten().filter(|it| it.waits);
        let leaves: BTreeSet<usize> = waiting.map(|it| it.leaf).collect();
        leaves.into_iter().for_each(|leaf| self.insert_ranks_above(leaf));
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
                    self.by_role.insert(path, at);
                    at
                }
            };
        }
        if let Some(leaf) = self.nodes[parent].leaf {
            return leaf;
        }
        let leaf = self.add_node(parent, Name::Own, WEIGHT);
        self.nodes[parent].leaf = Some(leaf);
        leaf
    }

    fn add_node(&mut self, parent: usize, name: Name, weight: Scalar) -> usize {
        let (held, ranks) = (self.basis.nothing(), BTreeSet::new());
        let parent = Some(parent);
        let node = Node { parent, name, weight, held, served: 0, ranks, members: 0, leaf: None };
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
        (self.basis.share(&it.held, WEIGHT), it.served, Name::Framework(it.framework.clone()), at)
    }

    fn node_rank(&self, at: usize) -> Rank {
        let node = &self.nodes[at];
        (self.basis.share(&node.held, node.weight), node.served, node.name.clone(), at)
    }

    /// Inserts the rank of a contender that waits into its leaf.
    fn insert_rank(&mut self, at: usize) {
        if let Some(leaf) = self.entries[at].as_ref().filter(|it| it.waits).map(|it| it.leaf) {
            let rank = self.entry_rank(at);
            self.nodes[leaf].ranks.insert(rank);
        }
    }

    /// Inserts the ranks of a leaf and of the nodes above it, if anybody waits there.
    fn insert_ranks_above(&mut self, leaf: usize) {
        let mut at = leaf;
        while let Some(parent) = self.nodes[at].parent {
            if !self.nodes[at].ranks.is_empty() {
                let rank = self.node_rank(at);
                self.nodes[parent].ranks.insert(rank);
            }
            at = parent;
        }
    }

    /// Removes the ranks of a leaf and of the nodes above it, so that their shares may change.
    fn remove_ranks_above(&mut self, leaf: usize) {
        let mut at = leaf;
        while let Some(parent) = self.nodes[at].parent {
            let rank = self.node_rank(at);
            self.nodes[parent].ranks.remove(&rank);
            at = parent;
        }
    }

    /// Changes a contender, and the sums above it by the difference.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Entry)) {
        let leaf = self.entry(at).leaf;
        self.remove_ranks_above(leaf);
        if self.entry(at).waits {
            let rank = self.entry_rank(at);
            self.nodes[leaf].ranks.remove(&rank);
        }
        let entry = self.entries[at].as_mut().expect("it was just looked at");
        let (held, served) = (entry.held.clone(), entry.counted());
        change(entry);
        let (held_now, served_now) = (entry.held.clone(), entry.counted());
        self.change_each_above(leaf, |node| {
            subtract(&mut node.held, &held);
            add(&mut node.held, &held_now);
            node.served = node.served - served + served_now;
        });
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
                let (held, served) = (self.basis.nothing(), served.unwrap_or_default());
                self.entries[at] = Some(Entry { leaf, framework, held, served, waits: false });
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

    fn first(&self, fits: Fits<'_>) -> Option<(usize, Vec<usize>)> {
        first_of(self.in_order(), fits)
    }

    fn first_below(&self, roles: &BTreeSet<&Role>, fits: Fits<'_>) -> Option<(usize, Vec<usize>)> {
        if roles.len() == 1 {
            let only = roles.first().and_then(|it| self.by_role.get(*it));
            return only.and_then(|top| first_of(self.walk(*top, None), fits));
        }
        first_of(self.walk(ROOT, Some(roles)), fits)
    }

    fn first_among(&self, among: &BTreeSet<usize>, fits: Fits<'_>) -> Option<(usize, Vec<usize>)> {
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
        self.change(contender, |entry| {
            add(&mut entry.held, &more);
            entry.served += 1;
        });
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
    levels: Vec<btree_set::Iter<'t, Rank>>,
    entries: Option<btree_set::Iter<'t, Rank>>,
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
            if let Some((.., contender)) = self.entries.as_mut().and_then(Iterator::next) {
                return Some(*contender);
            }
            match self.levels.last_mut()?.next() {
                None => drop(self.levels.pop()),
                Some((.., at)) if !self.enters(*at) => {}
                Some((_, _, Name::Own, at)) => {
                    self.entries = Some(self.tree.nodes[*at].ranks.iter())
                }
                Some((.., at)) => self.levels.push(self.tree.nodes[*at].ranks.iter()),
            }
        }
    }
}
