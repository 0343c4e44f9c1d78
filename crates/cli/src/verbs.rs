//! What the command line can do: one verb a file, each a few questions to a master and an answer for a person or a script.
//!
//! Relies on the masters' own API (`/holdfast/v1/...`) for what is shown, and on the operator API for what is changed. Never opens
//! the state of a running process, and never changes what it was not told to change.

pub mod agent_drain;
pub mod agent_gone;
pub mod agent_list;
pub mod agent_recover;
pub mod agent_show;
pub mod change;
pub mod choose;
pub mod claim_apply;
pub mod claim_at;
pub mod claim_ended;
pub mod claim_export;
pub mod claim_give_up;
pub mod claim_history;
pub mod claim_list;
pub mod claim_show;
pub mod claim_where;
pub mod complete_words;
pub mod completion;
pub mod conditions;
pub mod context;
pub mod disk_add;
pub mod disk_adopt;
pub mod disk_cancel_move;
pub mod disk_list;
pub mod disk_moves;
pub mod disk_remove;
pub mod disk_show;
pub mod doctor;
pub mod explain;
pub mod framework_list;
pub mod framework_teardown;
pub mod holdings;
pub mod ledger;
pub mod listing;
pub mod maintenance;
pub mod master_api;
pub mod master_recover;
pub mod offer_list;
mod query;
pub mod quota_list;
pub mod quota_set;
pub mod reservation_create;
pub mod reservation_list;
pub mod reservation_remove;
pub mod role_list;
pub mod rows;
pub mod run;
pub mod sandbox;
pub mod service;
pub mod sheet;
pub mod show;
pub mod task_exec;
mod task_input;
pub mod task_kill;
pub mod task_list;
pub mod task_logs;
pub mod trash_list;
pub mod trash_purge;
pub mod volume_adopt;
pub mod volume_create;
pub mod volume_destroy;
pub mod volume_remove_orphan;
pub mod volume_resize;
pub mod volume_undelete;
pub mod watch;

#[cfg(test)]
mod testbed;
#[cfg(test)]
mod tests;

pub use context::Context;
