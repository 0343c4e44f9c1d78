//! The exit codes with which a process of the cluster ends by itself. What the command line adds to them is its own.

/// The state could not be written: restart the process.
pub const EXIT_STORE: i32 = 74;
/// Leadership was lost to another master: restart the process, and it stands by.
pub const EXIT_DEPOSED: i32 = 75;
/// A rule of the house was broken: a bug.
pub const EXIT_BUG: i32 = 70;
/// Interrupted by the person at the keyboard, as shells count it.
pub const EXIT_INTERRUPTED: i32 = 130;
