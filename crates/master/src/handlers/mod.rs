//! One file for each thing that peers, operators and time can want of a master.
//!
//! A handler checks what it was given, changes the parts that it names, and says what follows. What a peer may legitimately not know is
//! answered or passed over with a reason; a broken index of ours is an assertion.

mod accept;
mod accept_claim;
mod acknowledge;
mod adopt;
pub(crate) mod adopt_volume;
pub(crate) mod agent;
mod cancel_move;
mod disks;
pub(crate) mod drain_agent;
pub(crate) mod elected;
pub(crate) mod framework;
mod give_up;
mod kill;
mod launch;
mod learn;
mod ledger_history;
pub(crate) mod maintain;
pub(crate) mod mark_gone;
mod move_disk;
mod operation_update;
pub(crate) mod operator;
pub(crate) mod operator_claim;
pub(crate) mod passed_over;
mod reconcile;
pub(crate) mod recover;
mod report;
mod set_quota;
mod space;
mod subscribe;
mod task_update;
pub(crate) mod tick;
pub(crate) mod together;
pub(crate) mod trash;
mod update_framework;
