//! What can be set about the processes, as flags and as environment variables; the command line takes the grammar from here.
//!
//! Relies on clap for the grammar. Never checks what only a process can know, such as whether a disk is there.

pub mod agent;
pub mod durations;
pub mod master;
