//! One resource: what it is (its [`Identity`]) and how much of it.
//!
//! Two amounts merge exactly when their identities are equal, and then cannot be told apart; that is
//! how Mesos defines "addable". Where a volume is to be seen in a container is a detail, not identity.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::id::PersistenceId;
use crate::labels::Labels;
use crate::role::Role;
use crate::value::{Scalar, Value, ValueKind};

/// How a reservation came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReservationKind {
    /// By the agent's configuration; cannot be undone at run time.
    Static,
    /// By RESERVE; undone by UNRESERVE.
    Dynamic,
}

/// One level of a stack of reservations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reservation {
    /// Whether configuration or an operation made it.
    pub kind: ReservationKind,
    /// The role that it is for.
    pub role: Role,
    /// The principal that made it, if that was known.
    pub principal: Option<String>,
    /// Labels; reservations with different labels are different.
    pub labels: Labels,
}

/// Where a disk resource comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A directory that may be divided.
    Path,
    /// A whole file system, indivisible.
    Mount,
    /// A whole raw device, indivisible.
    Block,
    /// Storage of a provider that is no disk yet.
    Raw,
}

/// A disk other than the agent's own file system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Whether it may be divided, and what its fields mean.
    pub kind: SourceKind,
    /// The path of PATH and MOUNT.
    pub root: Option<String>,
    /// A provider's name for it.
    pub id: Option<String>,
    /// A provider's vendor.
    pub vendor: Option<String>,
    /// A provider's profile.
    pub profile: Option<String>,
    /// A provider's notes.
    pub metadata: Labels,
}

impl Source {
    /// A PATH disk.
    pub fn path(root: &str) -> Source {
        Source {
            kind: SourceKind::Path,
            root: Some(root.to_owned()),
            id: None,
            vendor: None,
            profile: None,
            metadata: Labels::default(),
        }
    }

    /// A MOUNT disk.
    pub fn mount(root: &str) -> Source {
        Source { kind: SourceKind::Mount, ..Source::path(root) }
    }

    /// Whether it can only be taken whole.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.kind, SourceKind::Mount | SourceKind::Block)
            || (self.kind == SourceKind::Raw && self.id.is_some())
    }
}

/// What makes two amounts the same thing, but for the role that they are allocated to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnallocatedIdentity {
    /// `cpus`, `mem`, `disk`, `ports`, ...
    pub name: String,
    /// The shape of the amount.
    pub kind: ValueKind,
    /// From the outermost to the innermost; empty = unreserved.
    pub reservations: Vec<Reservation>,
    /// The disk; `None` for ROOT and for anything but disks.
    pub source: Option<Source>,
    /// The volume's name, if this is a persistent volume.
    pub persistence: Option<PersistenceId>,
    /// Whether it may be taken back at any time.
    pub revocable: bool,
    /// Whether several tasks may use it at once.
    pub shared: bool,
    /// The resource provider.
    pub provider: Option<String>,
}

/// What makes two amounts the same thing.
///
/// Clones share all but the allocation, which stands beside it, so that a resource is offered, held and given
/// back without a copy of its words. Two that share are known to be equal without a look at them. Whoever
/// changes a field gets a copy of their own first.
#[derive(Clone, Debug)]
pub struct Identity {
    unallocated: Arc<UnallocatedIdentity>,
    /// The role that it is offered to, or that uses it.
    pub allocation: Option<Role>,
}

impl From<UnallocatedIdentity> for Identity {
    fn from(unallocated: UnallocatedIdentity) -> Identity {
        Identity { unallocated: Arc::new(unallocated), allocation: None }
    }
}

impl Deref for Identity {
    type Target = UnallocatedIdentity;

    fn deref(&self) -> &UnallocatedIdentity {
        &self.unallocated
    }
}

impl DerefMut for Identity {
    fn deref_mut(&mut self) -> &mut UnallocatedIdentity {
        Arc::make_mut(&mut self.unallocated)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        self.is_same_unallocated(other) && self.allocation == other.allocation
    }
}

impl Eq for Identity {}

impl PartialOrd for Identity {
    fn partial_cmp(&self, other: &Identity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identity {
    fn cmp(&self, other: &Identity) -> Ordering {
        let unallocated = match Arc::ptr_eq(&self.unallocated, &other.unallocated) {
            true => Ordering::Equal,
            false => self.unallocated.cmp(&other.unallocated),
        };
        unallocated.then_with(|| self.allocation.cmp(&other.allocation))
    }
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unallocated.hash(state);
        self.allocation.hash(state);
    }
}

impl Identity {
    /// Whether the two are equal, allocations put aside.
    pub fn is_same_unallocated(&self, other: &Identity) -> bool {
        Arc::ptr_eq(&self.unallocated, &other.unallocated) || self.unallocated == other.unallocated
    }

    /// Shares the words of an equal identity from now on, if that is not so already.
    pub fn share(&mut self, other: &Identity) {
        debug_assert!(self.is_same_unallocated(other), "only equal identities can share");
        if !Arc::ptr_eq(&self.unallocated, &other.unallocated) {
            self.unallocated = other.unallocated.clone();
        }
    }

    /// Whether the two have their words in the same memory.
    #[cfg(test)]
    pub(crate) fn shares_with(&self, other: &Identity) -> bool {
        Arc::ptr_eq(&self.unallocated, &other.unallocated)
    }

    /// Whether the two are equal and have their words in the same memory.
    pub(crate) fn is_same_memory(&self, other: &Identity) -> bool {
        Arc::ptr_eq(&self.unallocated, &other.unallocated) && self.allocation == other.allocation
    }

    /// The same, offered to or used by `role`.
    pub fn allocated_to(&self, role: &Role) -> Identity {
        Identity { allocation: Some(role.clone()), ..self.clone() }
    }

    /// The innermost reservation's role; `*` when unreserved.
    pub fn role(&self) -> Role {
        self.reservations.last().map_or_else(Role::any, |it| it.role.clone())
    }

    /// Whether it is reserved at all.
    pub fn is_reserved(&self) -> bool {
        !self.reservations.is_empty()
    }

    /// Whether its innermost reservation was made at run time.
    pub fn is_dynamic(&self) -> bool {
        self.reservations.last().is_some_and(|it| it.kind == ReservationKind::Dynamic)
    }

    /// Whether frameworks of `role` may be offered it: unreserved, its own, or an ancestor's.
    pub fn is_allocatable_to(&self, role: &Role) -> bool {
        self.reservations.last().is_none_or(|it| it.role == *role || role.is_below(&it.role))
    }

    /// Whether it can only be taken whole: a volume or an indivisible disk.
    pub fn is_exclusive(&self) -> bool {
        self.persistence.is_some() || self.source.as_ref().is_some_and(Source::is_exclusive)
    }

    /// Whether the agent must remember it: a dynamic reservation or a volume.
    pub fn needs_checkpoint(&self) -> bool {
        self.provider.is_none() && (self.is_dynamic() || self.persistence.is_some())
    }

    /// The same without its allocation.
    pub fn unallocated(&self) -> Identity {
        Identity { allocation: None, ..self.clone() }
    }

    /// What the machine had before any claim was laid on it: a static reservation stays at the bottom.
    pub fn base(&self) -> Identity {
        let keep = usize::from(
            self.reservations.first().is_some_and(|it| it.kind == ReservationKind::Static),
        );
        if self.reservations.len() == keep && self.persistence.is_none() && !self.shared {
            return self.unallocated();
        }
        UnallocatedIdentity {
            reservations: self.reservations[..keep].to_vec(),
            persistence: None,
            shared: false,
            ..UnallocatedIdentity::clone(self)
        }
        .into()
    }
}

/// Whether a volume may be written in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Read and write.
    ReadWrite,
    /// Read only.
    ReadOnly,
}

/// How a volume shows in a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeMount {
    /// Where it shows, relative to the sandbox.
    pub container_path: String,
    /// Whether it may be written.
    pub mode: Mode,
}

/// An amount of something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// What it is an amount of.
    pub identity: Identity,
    /// How much there is of it.
    pub value: Value,
    /// How a volume shows in a container; a detail, not identity.
    pub mount: Option<VolumeMount>,
    /// Who created the volume; a detail, not identity.
    pub creator: Option<String>,
}

impl Resource {
    /// An unreserved scalar such as `cpus`.
    pub fn scalar(name: &str, amount: Scalar) -> Resource {
        Resource::unreserved(name, Value::Scalar(amount))
    }

    /// An unreserved amount.
    pub fn unreserved(name: &str, value: Value) -> Resource {
        let identity = UnallocatedIdentity {
            name: name.to_owned(),
            kind: value.kind(),
            reservations: Vec::new(),
            source: None,
            persistence: None,
            revocable: false,
            shared: false,
            provider: None,
        };
        Resource { identity: identity.into(), value, mount: None, creator: None }
    }

    /// The same with one more reservation on top.
    pub fn reserved(mut self, reservation: Reservation) -> Resource {
        self.identity.reservations.push(reservation);
        self
    }

    /// The same on another disk.
    pub fn on(mut self, source: Source) -> Resource {
        self.identity.source = Some(source);
        self
    }

    /// The same as a volume.
    pub fn volume(
        mut self,
        id: PersistenceId,
        container_path: &str,
        creator: Option<&str>,
    ) -> Resource {
        self.identity.persistence = Some(id);
        self.mount =
            Some(VolumeMount { container_path: container_path.to_owned(), mode: Mode::ReadWrite });
        self.creator = creator.map(str::to_owned);
        self
    }

    /// The same, offered to or used by `role`.
    pub fn allocated_to(mut self, role: &Role) -> Resource {
        self.identity.allocation = Some(role.clone());
        self
    }

    /// The same without allocation.
    pub fn unallocated(mut self) -> Resource {
        self.identity.allocation = None;
        self
    }

    /// The disk under a volume.
    pub fn without_volume(&self) -> Resource {
        let mut identity = self.identity.clone();
        (identity.persistence, identity.shared) = (None, false);
        Resource { identity, value: self.value.clone(), mount: None, creator: None }
    }

    /// The same less its innermost reservation.
    pub fn popped(&self) -> Resource {
        let mut popped = self.clone();
        popped.identity.reservations.pop();
        popped
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.identity)?;
        write!(f, ":{}", self.value)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.is_reserved() {
            write!(f, "({}", self.role())?;
            if let Some(principal) = self.reservations.last().and_then(|it| it.principal.as_ref()) {
                write!(f, ", {principal}")?;
            }
            if let Some(labels) = self.reservations.last().map(|it| &it.labels) {
                if !labels.is_empty() {
                    write!(f, ", {{{labels}}}")?;
                }
            }
            f.write_str(")")?;
        }
        if let Some(source) = &self.source {
            write!(f, "[{:?}:{}", source.kind, source.root.as_deref().unwrap_or("-"))?;
            if let Some(id) = &self.persistence {
                write!(f, ",{id}")?;
            }
            f.write_str("]")?;
        } else if let Some(id) = &self.persistence {
            write!(f, "[{id}]")?;
        }
        Ok(())
    }
}
