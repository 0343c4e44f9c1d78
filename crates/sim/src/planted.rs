//! Planted bugs, and how many seeds it may take to find each: they test the simulator.
//!
//! It relies on the feature `planted` of the cores for those that sit in a core; those that sit in
//! a shell are the simulator's own. They are never compiled into a release of anything else.

/// A bug, what it does, and within how many seeds it must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    /// The name of the bug.
    pub name: &'static str,
    /// What the bug does.
    pub about: &'static str,
    /// Seeds of the default shape, from the first on, within which a rule must break.
    pub seeds_max: u64,
}

/// All planted bugs.
pub const PLANTED: &[Planted] = &[
    Planted {
        name: "agent-tells-before-commit",
        about: "an agent tells the master first and writes it down after",
        seeds_max: 500,
    },
    Planted {
        name: "agent-replaces-missing-volumes",
        about: "an agent makes an empty volume where one is missing",
        seeds_max: 500,
    },
    Planted {
        name: "agent-hands-over-early",
        about: "an agent gives a volume to the next task before the last container is gone",
        seeds_max: 500,
    },
    Planted {
        name: "agent-forgets-updates",
        about: "an agent forgets an update when it was sent, not when it was acknowledged",
        seeds_max: 500,
    },
    Planted {
        name: "agent-ignores-terms",
        about: "an agent obeys a deposed leader",
        seeds_max: 500,
    },
    Planted {
        name: "agents-shell-believes-failed-syncs",
        about: "an agent's shell takes a failed sync for a success",
        seeds_max: 500,
    },
    Planted {
        name: "master-believes-old-reports",
        about: "a master believes a report that has not seen all its orders",
        seeds_max: 500,
    },
    Planted {
        name: "master-offers-what-is-used",
        about: "a master offers what tasks use",
        seeds_max: 500,
    },
    Planted {
        name: "masters-shell-goes-on",
        about: "a deposed leader's shell goes on after a refused append",
        seeds_max: 500,
    },
    Planted {
        name: "keeper-claims-again",
        about: "a keeper claims a second volume when an offer lacks the first",
        seeds_max: 500,
    },
    Planted {
        name: "plans-repeat-blindly",
        about: "a keeper does a plan's step again after a restart, whatever is observed",
        seeds_max: 100,
    },
];

/// A bug by its name.
pub fn by_name(name: &str) -> Option<&'static Planted> {
    PLANTED.iter().find(|it| it.name == name)
}

/// Whether the bugs are compiled in.
pub const fn is_compiled() -> bool {
    cfg!(feature = "planted")
}
