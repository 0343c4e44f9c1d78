//! Typed names: an `AgentId` can never be passed where a `TaskId` is wanted.
//!
//! Names given by people or frameworks are strings that were checked once, when they came in (`parse`).
//! Names that Holdfast makes are uuids; they come in with the input, never from here.

mod name;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

use self::name::Name;
use crate::validate::Invalid;

/// The greatest length of an id, in bytes.
pub const ID_BYTES_MAX: usize = 255;

macro_rules! string_id {
    ($($(#[$doc:meta])* $name:ident = $field:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Arc<Name>);
        impl PartialEq for $name {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }
        impl Eq for $name {}
        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                // Many names in memory are copies of one, which need not be read.
                match Arc::ptr_eq(&self.0, &other.0) {
                    true => Ordering::Equal,
                    false => self.0.cmp(&other.0),
                }
            }
        }
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }
        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl $name {
            /// Takes a name from outside.
            ///
            /// # Errors
            /// [`Invalid`] when it is empty, longer than [`ID_BYTES_MAX`], `.` or `..`, or holds a slash or a control character.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                check_id($field, text)?;
                Ok(Self(Arc::new(Name::new(text))))
            }

            /// Takes a name that Holdfast itself made, for instance from a counter.
            pub fn made(text: String) -> Self {
                Self(Arc::new(Name::made(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);
        impl $name {
            /// Reads the usual text form.
            ///
            /// # Errors
            /// [`Invalid`] when it is no uuid.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                Uuid::parse_str(text).map(Self).map_err(|_| Invalid::new(stringify!($name), format!("`{text}` is no uuid")))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

string_id! {
    /// An agent, named by the cluster at its admission.
    AgentId = "agent_id",
    /// An executor, named by its framework.
    ExecutorId = "executor_id",
    /// A framework, named by the cluster at its first subscription.
    FrameworkId = "framework_id",
    /// An offer; never reused.
    OfferId = "offer_id",
    /// A persistent volume, named by whoever creates it; unique within an agent and a role.
    PersistenceId = "persistence.id",
    /// A task, named by its framework.
    TaskId = "task_id",
}

uuid_id! {
    /// A claim: the record behind a reservation or a volume, and the name of a volume's directory.
    ClaimId,
    /// A cluster: all machines that one ledger of masters has ever held.
    ClusterId,
    /// A container; the agent names it, and its sandbox bears the name.
    ContainerId,
    /// A disk; the uuid is written on the disk.
    DiskId,
    /// A machine's agent, for the life of its ledger.
    NodeId,
    /// An operation; named by the master.
    OperationUuid,
    /// One status of a task or an operation, for its acknowledgement.
    StatusUuid,
}

/// One connection between two processes; belongs to one term and is never reused. A later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// The number of a leadership, which only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A time in milliseconds since 1970, by the clock of the process that gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The instant `ms` later.
    pub fn plus_ms(self, ms: u64) -> Instant {
        Instant(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 when the clock went back.
    pub fn since_ms(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where fresh uuids come from: randomness in a process, a seed in a simulation.
pub trait IdSource {
    /// A uuid never returned before.
    fn fresh(&mut self) -> Uuid;
}

/// What accompanies each input of a core: the time, and a source of fresh ids.
pub struct StepContext<'a> {
    /// The time of the step.
    pub now: Instant,
    /// Where the step takes fresh ids from.
    pub ids: &'a mut dyn IdSource,
}

/// Checks the rules that all ids share (`field` is named in the error).
///
/// # Errors
/// [`Invalid`], as for the ids' `parse`.
pub fn check_id(field: &str, text: &str) -> Result<(), Invalid> {
    let refuse = |why: &str| {
        Err(Invalid::new(
            field,
            format!("{why}; use 1 to {ID_BYTES_MAX} bytes without `/`, `\\` or control characters"),
        ))
    };
    if text.is_empty() {
        return refuse("an id must not be empty");
    }
    if ID_BYTES_MAX < text.len() {
        return refuse(&format!("an id of {} bytes is too long", text.len()));
    }
    if text == "." || text == ".." {
        return refuse(&format!("`{text}` is no id"));
    }
    if let Some(bad) = text.chars().find(|c| c.is_control() || *c == '/' || *c == '\\') {
        return refuse(&format!("`{}` contains {bad:?}", text.escape_debug()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_walk_the_file_system_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\nb", "\u{7f}", &"x".repeat(256)] {
            assert!(PersistenceId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "...", "data-1", "ünïcode", &"x".repeat(255)] {
            assert_eq!(TaskId::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn an_error_names_the_field() {
        assert_eq!(PersistenceId::parse("a/b").unwrap_err().path, "persistence.id");
    }
}
