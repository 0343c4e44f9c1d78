//! The contenders of a division: the roles of frameworks, indexed by role and framework so that a
//! division tries only those that can be eligible.
//!
//! It relies on the allocation input alone, and never decides who comes first (policies do) or who
//! is eligible (`candidate` does).

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{Capability, FrameworkId, Role};

use crate::input::{AllocationInput, FrameworkView, RoleView};

/// One role of one framework that takes part in a division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender<'a> {
    pub framework: &'a FrameworkView,
    pub role: &'a RoleView,
}

impl Contender<'_> {
    pub fn can(&self, capability: Capability) -> bool {
        self.framework.capabilities.contains(&capability)
    }
}

/// All contenders, numbered by their places in `list`, which is in the order of framework ids.
#[derive(Debug, Default)]
pub(crate) struct Contenders<'a> {
    list: Vec<Contender<'a>>,
    by_role: BTreeMap<&'a str, Vec<usize>>,
    by_framework: BTreeMap<&'a FrameworkId, Vec<usize>>,
}

impl<'a> Contenders<'a> {
    /// The contenders that wait for offers now.
    pub fn waiting(input: &AllocationInput<'a>) -> Contenders<'a> {
        Contenders::of(input, |it| it.framework.active && !it.role.suppressed)
    }

    /// All roles of all frameworks, whether they wait for offers or not.
    pub fn all(input: &AllocationInput<'a>) -> Contenders<'a> {
        Contenders::of(input, |_| true)
    }

    fn of(
        input: &AllocationInput<'a>,
        takes_part: impl Fn(&Contender<'a>) -> bool,
    ) -> Contenders<'a> {
        let mut all = Contenders::default();
        let each = input.frameworks.values().flat_map(|framework| {
            framework.roles.iter().map(move |role| Contender { framework, role })
        });
        for contender in each.filter(takes_part) {
            let at = all.list.len();
            all.by_role.entry(contender.role.role.as_str()).or_default().push(at);
            all.by_framework.entry(&contender.framework.id).or_default().push(at);
            all.list.push(contender);
        }
        all
    }

    pub fn get(&self, at: usize) -> Contender<'a> {
        self.list[at]
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, Contender<'a>)> + '_ {
        self.list.iter().copied().enumerate()
    }

    /// The contenders of one framework.
    pub fn of_framework(&self, framework: &FrameworkId) -> &[usize] {
        self.by_framework.get(framework).map(Vec::as_slice).unwrap_or_default()
    }

    /// The contenders that may have what is reserved for `role`: its own, and those of the roles
    /// below it.
    pub fn at_or_below(&self, role: &Role) -> BTreeSet<usize> {
        let below = format!("{role}/");
        let own = self.by_role.get(role.as_str()).into_iter();
        let others = self
            .by_role
            .range(below.as_str()..)
            .take_while(|(name, _)| name.starts_with(&below))
            .map(|(_, them)| them);
        own.chain(others).flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{framework, role, Scene};

    #[test]
    fn the_subtree_of_a_role() {
        let mut scene = Scene::default();
        for (n, name) in ["a", "a-b", "a/b", "a/b/c", "ab", "b"].into_iter().enumerate() {
            scene.framework(framework(n as u8 + 1, &[name]));
        }
        scene.framework(crate::input::FrameworkView { active: false, ..framework(7, &["a"]) });
        let input = scene.input();
        let contenders = Contenders::waiting(&input);
        let names = |under| {
            contenders
                .at_or_below(&role(under))
                .into_iter()
                .map(|at| contenders.get(at).role.role.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("a"), ["a", "a/b", "a/b/c"]);
        assert_eq!(names("a/b"), ["a/b", "a/b/c"]);
        assert_eq!(names("c"), Vec::<String>::new());
        assert_eq!(
            Contenders::all(&input).at_or_below(&role("a")).len(),
            4,
            "the one that is away counts here"
        );
    }
}
