//! What concerns several parts, from the bottom up: who holds what, what has ended, telling frameworks and ordering agents; above them the ways of offers,
//! tasks, operations, agents and frameworks.
//!
//! A flow may call those below it in this list and none above.

pub(crate) mod bookkeeping;
pub(crate) mod ended;
pub(crate) mod ownership;
pub(crate) mod quota;
pub(crate) mod telling;

pub(crate) mod inverse_offers;
pub(crate) mod offers;

pub(crate) mod resync;

pub(crate) mod operations;
pub(crate) mod tasks;

pub(crate) mod agents;
pub(crate) mod drain;
pub(crate) mod frameworks;
pub(crate) mod gone;
pub(crate) mod maintenance;

pub(crate) mod allocate;
