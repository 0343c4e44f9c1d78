//! The driver for processes: containers that outlive the agent that started them.
//!
//! A [`Launcher`] starts one **shim** per container and talks to it only through a directory of
//! small files, so that an agent that dies takes nothing with it and its successor finds everything
//! again:
//!
//! ```text
//!  agent (Launcher) ─spawns─▶ shim ─forks─▶ first ─forks─▶ payload ─▶ whatever the payload starts
//!                              │             │                └ in the container's cgroups, own session, own user
//!                              │             └ first process of the container: pid 1 of its pid namespace, sees the volumes
//!                              └ own session, subreaper, holds `lock` while it lives, writes `exit.json` last
//! ```
//!
//! What it relies on: a runtime directory on a local file system (`flock`, atomic rename), `/proc`,
//! and, for a container that is more than a process tree, root with mount and pid namespaces and
//! cgroups v1 or v2. An agent under systemd needs `KillMode=process`, or systemd kills the shims
//! together with the agent.
//!
//! What it never does: it never says that a container has ended before every process of it is gone,
//! never deletes a sandbox or a volume, never creates a missing volume, and never takes a process
//! for its own because of a pid alone.

mod attach;
mod destroy;
mod doctor;
mod durable;
mod fetch;
mod fetch_cache;
mod forget;
mod hide_places;
mod isolation;
mod launch_error;
mod launcher;
mod memory_events;
mod nested;
mod output;
mod own_terminal;
mod owners;
mod process;
mod process_group;
mod record;
mod recover;
mod room;
mod sandbox;
mod shim;
mod signal;
mod spec;
mod spec_check;
mod start;
mod survivors;
mod switchboard;
mod terminal;
mod update_limits;
mod update_volumes;
mod usage;
mod wait;

pub use attach::AttachError;
pub use destroy::{DestroyError, Destroyed};
pub use doctor::{doctor, Finding};
pub use durable::FileError;
pub use fetch::{
    clear_places, fetch_main, pass_through, read_told, run as fetch, FetchError, FetchKind,
    FetchPlan, FetchSource, FetchStep, FETCH_PLAN_VARIABLE,
};
pub use fetch_cache::{CacheHold, CacheSlot, Cached, FetchCache};
pub use forget::ForgetError;
pub use hide_places::HideError;
pub use isolation::{HiddenPlace, Isolation, IsolationError};
pub use launch_error::LaunchError;
pub use launcher::{Launcher, LauncherOptions, ListError, OpenError, ShimCommand};
pub use memory_events::{MemoryEvents, OwnMemory};
pub use nested::{Inside, WindowSize};
pub use output::{is_settled, open_output, OutputEnds, OutputLimits, OutputPump, RunningPump};
pub use own_terminal::{window_size, RawTerminal};
pub use owners::Owners;
pub use process::is_root;
pub use process_group::{signal_group, GroupSignal};
pub use room::{set_aside, Room};
pub use sandbox::{stage_sandbox, SandboxError};
pub use shim::{close_inherited, shim_main};
pub use signal::SignalError;
pub use spec::{
    Command, ContainerSpec, Exit, Found, FoundState, Limits, Started, Usage, VolumeMount,
};
pub use spec_check::check_container_path;
pub use switchboard::{Attachment, Piece, PIECE_BYTES_MAX};
pub use update_limits::UpdateLimitsError;
pub use update_volumes::UpdateVolumesError;
pub use usage::UsageError;
pub use wait::WaitError;

/// The variable that every process of a container finds in its environment: the container's id.
/// Survivors of a dead shim are found by it.
pub const CONTAINER_ID_VARIABLE: &str = "HOLDFAST_CONTAINER_ID";

/// The variable by which a shim that has not yet written its identity can be found. No payload ever
/// sees it.
pub(crate) const SHIM_OF_VARIABLE: &str = "HOLDFAST_SHIM_OF";
