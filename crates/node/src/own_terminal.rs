//! The terminal of a process of the command line, for verbs that pass it on.

pub use holdfast_containers::{window_size, RawTerminal, WindowSize};
