//! The tree of roles, ordered by dominant share at every level, and kept in order while shares
//! grow.
//!
//! A role's own frameworks compete with the roles below it through a leaf of their own. Shares
//! count what all frameworks have, also those that do not contend. A change costs the depth of the
//! role times a search, not a sort. It never decides who is eligible.

use std::collections::btree_set;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{Quantities, Scalar};

use crate::contenders::Contenders;
use crate::input::AllocationInput;
use crate::ranking::{first_of, Fits, Ranking};
use crate::shares::{add, weights, Share, ShareBasis, WEIGHT};

/// How often a framework's role was served in earlier divisions.
pub(crate) type Served<'s> = &'s dyn Fn(usize) -> u64;
/// A place among siblings: by share, then by how often it was served, then by name (the order of
/// indexes).
type Rank = (Share, u64, usize);

#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    weight: Scalar,
    held: Vec<i64>,
    served: u64,
    /// In a leaf, the ranks of its contenders; elsewhere, those of the child nodes with contenders
    /// below them.
    ranks: BTreeSet<Rank>,
    is_leaf: bool,
}

/// A contender in its role's leaf.
#[derive(Debug)]
struct Entry {
    leaf: usize,
    held: Vec<i64>,
    served: u64,
}

/// All roles with their shares, and the contenders in their leaves.
#[derive(Debug)]
pub(crate) struct RoleTree {
    basis: ShareBasis,
    /// First the leaves, then the roles with all their ancestors, both in the order of names; the
    /// root is the last.
    nodes: Vec<Node>,
    entries: Vec<Entry>,
}

impl RoleTree {
    pub fn new(
        input: &AllocationInput<'_>,
        contenders: &Contenders<'_>,
        basis: ShareBasis,
        served: Served<'_>,
    ) -> RoleTree {
        let mut tree = RoleTree { basis, nodes: Vec::new(), entries: Vec::new() };
        let leaves = tree.add_nodes(input);
        for view in input.frameworks.values().flat_map(|it| &it.roles) {
            let held = tree.basis.measure(&view.allocated);
            let mut at = leaves.get(view.role.as_str()).copied();
            while let Some(node) = at {
                add(&mut tree.nodes[node].held, &held);
                at = tree.nodes[node].parent;
            }
        }
        for (at, contender) in contenders.iter() {
            let leaf = leaves[contender.role.role.as_str()];
            let (held, served) = (tree.basis.measure(&contender.role.allocated), served(at));
            tree.entries.push(Entry { leaf, held, served });
            let mut up = Some(leaf);
            while let Some(node) = up {
                tree.nodes[node].served += served;
                up = tree.nodes[node].parent;
            }
        }
        for entry in 0..tree.entries.len() {
            tree.insert_ranks(entry);
        }
        tree
    }

    /// The contenders, lowest share first.
    pub fn in_order(&self) -> impl Iterator<Item = usize> + '_ {
        Walk { tree: self, levels: vec![self.nodes[self.root()].ranks.iter()], entries: None }
    }

    /// Adds the nodes; returns the leaf of each role to which some framework is subscribed.
    fn add_nodes<'a>(&mut self, input: &AllocationInput<'a>) -> BTreeMap<&'a str, usize> {
        let weights = weights(input);
        let roles: BTreeSet<&str> =
            input.frameworks.values().flat_map(|it| &it.roles).map(|it| it.role.as_str()).collect();
        let paths: BTreeSet<&str> = roles.iter().flat_map(|role| with_ancestors(role)).collect();
        let index: BTreeMap<&str, usize> =
            paths.iter().enumerate().map(|(at, path)| (*path, roles.len() + at)).collect();
        let (root, nothing) = (roles.len() + paths.len(), self.basis.measure(&Quantities::new()));
        let node = |parent, weight, is_leaf| Node {
            parent,
            weight,
            held: nothing.clone(),
            served: 0,
            ranks: BTreeSet::new(),
            is_leaf,
        };
        self.nodes.extend(roles.iter().map(|role| node(Some(index[role]), WEIGHT, true)));
        self.nodes.extend(paths.iter().map(|path| {
            let parent = path.rsplit_once('/').map_or(root, |(above, _)| index[above]);
            node(Some(parent), weights.get(path).copied().unwrap_or(WEIGHT), false)
        }));
        self.nodes.push(node(None, WEIGHT, false));
        roles.into_iter().enumerate().map(|(at, role)| (role, at)).collect()
    }

    fn root(&self) -> usize {
        self.nodes.len() - 1
    }

    fn entry_rank(&self, at: usize) -> Rank {
        let entry = &self.entries[at];
        (self.basis.share(&entry.held, WEIGHT), entry.served, at)
    }

    fn node_rank(&self, at: usize) -> Rank {
        let node = &self.nodes[at];
        (self.basis.share(&node.held, node.weight), node.served, at)
    }

    /// Inserts the ranks of a contender, its leaf and their ancestors.
    fn insert_ranks(&mut self, contender: usize) {
        let (rank, mut at) = (self.entry_rank(contender), self.entries[contender].leaf);
        self.nodes[at].ranks.insert(rank);
        while let Some(parent) = self.nodes[at].parent {
            let rank = self.node_rank(at);
            if !self.nodes[parent].ranks.insert(rank) {
                break; // The ancestors' ranks are there already.
            }
            at = parent;
        }
    }

    /// Removes the ranks of a contender, its leaf and their ancestors, so that their shares may
    /// change.
    fn remove_ranks(&mut self, contender: usize) {
        let (rank, mut at) = (self.entry_rank(contender), self.entries[contender].leaf);
        self.nodes[at].ranks.remove(&rank);
        while let Some(parent) = self.nodes[at].parent {
            let rank = self.node_rank(at);
            self.nodes[parent].ranks.remove(&rank);
            at = parent;
        }
    }

    /// A contender's place in the whole order: the ranks from the root down to it.
    fn place(&self, contender: usize) -> Vec<Rank> {
        let mut place = vec![self.entry_rank(contender)];
        let mut at = self.entries[contender].leaf;
        while let Some(parent) = self.nodes[at].parent {
            place.push(self.node_rank(at));
            at = parent;
        }
        place.reverse();
        place
    }
}

impl Ranking for RoleTree {
    fn first(&self, fits: Fits<'_>) -> Option<(usize, Vec<usize>)> {
        first_of(self.in_order(), fits)
    }

    fn first_among(&self, among: &BTreeSet<usize>, fits: Fits<'_>) -> Option<(usize, Vec<usize>)> {
        let places: BTreeMap<Vec<Rank>, usize> =
            among.iter().map(|at| (self.place(*at), *at)).collect();
        first_of(places.into_values(), fits)
    }

    fn charge(&mut self, contender: usize, amounts: &Quantities) {
        let more = self.basis.measure(amounts);
        self.remove_ranks(contender);
        let entry = &mut self.entries[contender];
        add(&mut entry.held, &more);
        entry.served += 1;
        let mut up = Some(entry.leaf);
        while let Some(at) = up {
            let node = &mut self.nodes[at];
            add(&mut node.held, &more);
            node.served += 1;
            up = node.parent;
        }
        self.insert_ranks(contender);
    }
}

/// Lists `a`, `a/b` and `a/b/c` for `a/b/c`.
fn with_ancestors(role: &str) -> impl Iterator<Item = &str> {
    role.match_indices('/').map(|(at, _)| &role[..at]).chain(std::iter::once(role))
}

/// Walks down the tree without recursion, since roles come from outside and may be deep.
struct Walk<'t> {
    tree: &'t RoleTree,
    levels: Vec<btree_set::Iter<'t, Rank>>,
    entries: Option<btree_set::Iter<'t, Rank>>,
}

impl Iterator for Walk<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            if let Some((_, _, contender)) = self.entries.as_mut().and_then(Iterator::next) {
                return Some(*contender);
            }
            match self.levels.last_mut()?.next() {
                None => drop(self.levels.pop()),
                Some((_, _, at)) if self.tree.nodes[*at].is_leaf => {
                    self.entries = Some(self.tree.nodes[*at].ranks.iter())
                }
                Some((_, _, at)) => self.levels.push(self.tree.nodes[*at].ranks.iter()),
            }
        }
    }
}
