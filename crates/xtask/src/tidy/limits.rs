//! What a crate may have of what grows: one table, so that a limit that is not reached yet stands beside those that are.
//!
//! Relies on nothing. Never counts anything: the rules do.

/// The limits of one crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files that call each other in a circle.
    pub cycle_files: usize,
    /// Fields of a type that changes in place (judged in the cores).
    pub state_fields: usize,
    /// Whether such a type may have fields that other crates can touch.
    pub public_state: bool,
    /// Lines that 95 of 100 functions do not exceed.
    pub usual_function_lines: usize,
}

/// What holds where nothing else is said.
const EVERYWHERE: Limits =
    Limits { cycle_files: 3, state_fields: 8, public_state: false, usual_function_lines: 45 };

/// Crates that are on their way. A line leaves when its crate has arrived.
const ON_THEIR_WAY: &[(&str, Limits)] = &[
    // The simulator's world is one object on purpose (every fault reaches everything), in fifteen files.
    ("sim", Limits { cycle_files: 15, ..EVERYWHERE }),
];

/// The limits of a package by the name of its folder.
pub fn of(name: &str) -> Limits {
    ON_THEIR_WAY.iter().find(|(it, _)| *it == name).map_or(EVERYWHERE, |(_, limits)| *limits)
}
