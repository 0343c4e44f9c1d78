//! Containers as an agent sees them: real shims, real payloads, real kills.

#![allow(clippy::unwrap_used, reason = "tests may unwrap: a panic there is the report")]

mod death;
mod hiding;
mod life;
mod limits;
mod nested;
mod refusals;
mod restart;
mod stage;
mod volumes;
