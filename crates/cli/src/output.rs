//! What people and scripts see: tables, JSON, YAML, colours, and the terminal itself.
//!
//! Relies on the rows of the masters' own API being JSON objects. Data go to standard output, all else to standard error. Never
//! shows in a table what the JSON would contradict.

pub mod amounts;
pub mod console;
pub mod format;
pub mod human;
pub mod ids;
pub mod table;

pub use console::Console;
pub use format::Format;
pub use table::{Cell, Column, Table};
