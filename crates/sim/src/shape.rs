//! The shape of a run: how many of what, for how long, and with how much random faults.

/// The conditions of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditions {
    /// Nothing fails unless somebody asks for it, and every message takes a millisecond: for
    /// scenarios and test kits.
    Still,
    /// Everything may fail while the storm lasts.
    Storm,
}

/// The shape of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Master processes; one leads.
    pub masters: usize,
    /// Machines, each with an agent.
    pub agents: usize,
    /// Disks of each machine beside its ROOT disk: PATH and MOUNT in turn.
    pub disks: usize,
    /// Journal-like frameworks.
    pub frameworks: usize,
    /// Members of each.
    pub members: u32,
    /// The number of byzantine peers.
    pub byzantine_peers: usize,
    /// How long faults strike, in milliseconds.
    pub storm_ms: u64,
    /// How long the cluster then has to heal, in milliseconds.
    pub calm_ms: u64,
    /// The conditions of a run.
    pub conditions: Conditions,
    /// Whether operators make and destroy claims of their own.
    pub operators: bool,
    /// Whether disks hang, too. The other faults of a seed stay what they are.
    pub hangs: bool,
    /// Whether the masters' journal is lost, too. The other faults of a seed stay what they are.
    pub loses_journal: bool,
    /// Whether a service of pods runs, too, of which somebody asks things.
    pub pods: bool,
    /// A bug put in on purpose, by name; needs the feature `planted`.
    pub planted: Option<&'static str>,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            masters: 3,
            agents: 4,
            disks: 2,
            frameworks: 2,
            members: 3,
            byzantine_peers: 1,
            storm_ms: 60_000,
            calm_ms: 60_000,
            conditions: Conditions::Storm,
            operators: true,
            hangs: false,
            loses_journal: false,
            pods: false,
            planted: None,
        }
    }
}

impl Shape {
    /// How many schedulers there are.
    pub fn schedulers(&self) -> usize {
        self.frameworks + usize::from(self.pods)
    }

    /// A world in which nothing happens by itself.
    pub fn still() -> Shape {
        Shape {
            masters: 1,
            agents: 0,
            frameworks: 0,
            byzantine_peers: 0,
            storm_ms: 0,
            calm_ms: 0,
            conditions: Conditions::Still,
            operators: false,
            ..Shape::default()
        }
    }
}
