//! How single values stand in our own messages: texts for ids, numbers for times and states, Mesos's messages for what is Mesos's.
//!
//! Relies on the ids' own rules and on the conversions of Mesos's messages. Never guesses: what is out of range is an error that names
//! the field.

use std::fmt::Display;

use holdfast_proto::mesos::v1;

use super::executor::{info_from_proto, info_to_proto};
use super::field::Place;
use super::operation_status::operation_state;
use super::own_message::OwnMessage;
use super::resource::Format;
use super::status::task_state;
use super::{framework, machine, offer_constraints, operation, resource, status, task};
use crate::adopted_volume::Filling;
use crate::agent_ledger::DiskKind;
use crate::claim::ClaimState;
use crate::framework::FrameworkInfo;
use crate::id::{
    AgentId, ClaimId, ClusterId, ContainerId, DiskId, ExecutorId, FrameworkId, Instant, NodeId,
    OperationUuid, StatusUuid, TaskId, Term,
};
use crate::master_ledger::Presence;
use crate::message::{MachineInfo, OperationState};
use crate::moved_disk::{LeaveStage, MoveState};
use crate::operation::{Action, ClaimAction, Expected, ExpectedClaim, Operation, Together};
use crate::resource::Resource;
use crate::role::Role;
use crate::task::{ExecutorInfo, OpaquePayload, TaskInfo, TaskState, TaskStatus};
use crate::validate::Invalid;

/// How a value `D` stands in a message's field of type `W` (a tuple when it takes several fields).
pub(crate) trait Codec<D, W> {
    /// Writes the value.
    fn write(value: &D) -> W;

    /// Reads the value of the field with this name.
    fn read(field: &dyn Display, wire: W) -> Result<D, Invalid>;
}

/// The value itself.
pub(crate) struct Same;

impl<T: Clone> Codec<T, T> for Same {
    fn write(value: &T) -> T {
        value.clone()
    }

    fn read(_: &dyn Display, wire: T) -> Result<T, Invalid> {
        Ok(wire)
    }
}

/// A text that may be missing; it is then empty.
pub(crate) struct Text;

impl Codec<Option<String>, String> for Text {
    fn write(value: &Option<String>) -> String {
        value.clone().unwrap_or_default()
    }

    fn read(_: &dyn Display, wire: String) -> Result<Option<String>, Invalid> {
        Ok(super::field::some_text(wire))
    }
}

/// A name that is written as text.
pub(crate) trait Named: Display + Sized {
    /// Reads the name.
    fn parse(text: &str) -> Result<Self, Invalid>;
}

macro_rules! named {
    ($($name:ident),+) => {$(
        impl Named for $name {
            fn parse(text: &str) -> Result<Self, Invalid> {
                $name::parse(text)
            }
        }
    )+};
}

named!(
    AgentId,
    ClaimId,
    ClusterId,
    ContainerId,
    DiskId,
    ExecutorId,
    FrameworkId,
    NodeId,
    OperationUuid,
    Role,
    StatusUuid,
    TaskId
);

/// An id or a role.
pub(crate) struct Name;

impl<T: Named> Codec<T, String> for Name {
    fn write(value: &T) -> String {
        value.to_string()
    }

    fn read(field: &dyn Display, wire: String) -> Result<T, Invalid> {
        T::parse(&wire).at(field)
    }
}

/// An id or a role that may be missing; the text is then empty.
pub(crate) struct SomeName;

impl<T: Named> Codec<Option<T>, String> for SomeName {
    fn write(value: &Option<T>) -> String {
        value.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn read(field: &dyn Display, wire: String) -> Result<Option<T>, Invalid> {
        if wire.is_empty() {
            return Ok(None);
        }
        T::parse(&wire).at(field).map(Some)
    }
}

/// A time in milliseconds since 1970.
pub(crate) struct Millis;

impl Codec<Instant, u64> for Millis {
    fn write(value: &Instant) -> u64 {
        value.0
    }

    fn read(_: &dyn Display, wire: u64) -> Result<Instant, Invalid> {
        Ok(Instant(wire))
    }
}

/// A term as its number.
pub(crate) struct TermNumber;

impl Codec<Term, u64> for TermNumber {
    fn write(value: &Term) -> u64 {
        value.0
    }

    fn read(_: &dyn Display, wire: u64) -> Result<Term, Invalid> {
        Ok(Term(wire))
    }
}

/// A port; protobuf has no smaller number than 32 bits.
pub(crate) struct Port;

impl Codec<u16, u32> for Port {
    fn write(value: &u16) -> u32 {
        u32::from(*value)
    }

    fn read(field: &dyn Display, wire: u32) -> Result<u16, Invalid> {
        u16::try_from(wire)
            .map_err(|_| Invalid::new(field.to_string(), format!("{wire} is no port")))
    }
}

/// One of our own messages.
pub(crate) struct Own;

impl<M, T: OwnMessage<M>> Codec<T, M> for Own {
    fn write(value: &T) -> M {
        value.to_message()
    }

    fn read(field: &dyn Display, wire: M) -> Result<T, Invalid> {
        T::from_message(wire).under(field)
    }
}

/// A message that must be there.
pub(crate) struct Needed<C>(C);

impl<D, W, C: Codec<D, W>> Codec<D, Option<W>> for Needed<C> {
    fn write(value: &D) -> Option<W> {
        Some(C::write(value))
    }

    fn read(field: &dyn Display, wire: Option<W>) -> Result<D, Invalid> {
        let there = wire.ok_or_else(|| Invalid::new(field.to_string(), "is missing; set it"))?;
        C::read(field, there)
    }
}

/// A value that may be missing, and is then absent in the message, too.
pub(crate) struct Maybe<C>(C);

impl<D, W, C: Codec<D, W>> Codec<Option<D>, Option<W>> for Maybe<C> {
    fn write(value: &Option<D>) -> Option<W> {
        value.as_ref().map(C::write)
    }

    fn read(field: &dyn Display, wire: Option<W>) -> Result<Option<D>, Invalid> {
        wire.map(|it| C::read(field, it)).transpose()
    }
}

/// A list.
pub(crate) struct Each<C>(C);

impl<D, W, C: Codec<D, W>> Codec<Vec<D>, Vec<W>> for Each<C> {
    fn write(value: &Vec<D>) -> Vec<W> {
        value.iter().map(C::write).collect()
    }

    fn read(field: &dyn Display, wire: Vec<W>) -> Result<Vec<D>, Invalid> {
        wire.into_iter()
            .enumerate()
            .map(|(index, it)| C::read(&format_args!("{field}[{index}]"), it))
            .collect()
    }
}

/// What lies in a box.
pub(crate) struct Boxed<C>(C);

impl<D, W, C: Codec<D, W>> Codec<Box<D>, W> for Boxed<C> {
    fn write(value: &Box<D>) -> W {
        C::write(value)
    }

    fn read(field: &dyn Display, wire: W) -> Result<Box<D>, Invalid> {
        C::read(field, wire).map(Box::new)
    }
}

/// States and kinds as the numbers or words of our own messages, the same on the link and on disk.
macro_rules! chosen {
    ($($(#[$doc:meta])* $codec:ident: $domain:ident as $wire:ty {
        $($variant:ident = $value:literal),+
    } else $why:literal;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $codec;

        impl Codec<$domain, $wire> for $codec {
            fn write(value: &$domain) -> $wire {
                match value {
                    $($domain::$variant => $value.into(),)+
                }
            }

            fn read(field: &dyn Display, wire: $wire) -> Result<$domain, Invalid> {
                $(if wire == $value {
                    return Ok($domain::$variant);
                })+
                Err(Invalid::new(field.to_string(), format!($why, wire)))
            }
        }
    )+};
}

chosen! {
    /// A claim's state: a number of `ClaimState`.
    ClaimStateNumber: ClaimState as i32 { Making = 1, Ready = 2, Destroying = 3 }
        else "there is no claim state {} here; use the newer program";
    /// An agent's presence: a number of `Presence`.
    PresenceNumber: Presence as i32 { Admitted = 1, Unreachable = 2, Gone = 3 }
        else "there is no presence {} here; use the newer program";
    /// A disk's kind.
    DiskKindWord: DiskKind as String { Root = "root", Path = "path", Mount = "mount" }
        else "`{}` is no kind of disk; there are root, path and mount";
    /// How far a disk has come that is moved to another agent.
    MoveStateWord: MoveState as String {
        Fencing = "fencing", Taking = "taking", Lifting = "lifting", Moved = "moved",
        Cancelling = "cancelling", Recalling = "recalling"
    } else "`{}` is no state of a move; there are fencing, taking, lifting, moved, cancelling and recalling";
    /// What a former agent is to do about a disk.
    LeaveStageWord: LeaveStage as String { Fence = "fence", Lift = "lift", End = "end" }
        else "`{}` is no stage; there are fence, lift and end";
}

/// A task's state: a number of `mesos.v1.TaskState`.
pub(crate) struct TaskStateNumber;

impl Codec<TaskState, i32> for TaskStateNumber {
    fn write(value: &TaskState) -> i32 {
        *value as i32
    }

    fn read(field: &dyn Display, wire: i32) -> Result<TaskState, Invalid> {
        task_state(wire).at(field)
    }
}

/// An operation's state: a number of `mesos.v1.OperationState`.
pub(crate) struct OperationStateNumber;

impl Codec<OperationState, i32> for OperationStateNumber {
    fn write(value: &OperationState) -> i32 {
        *value as i32
    }

    fn read(field: &dyn Display, wire: i32) -> Result<OperationState, Invalid> {
        operation_state(wire).at(field)
    }
}

/// What is Mesos's travels and lies on disk as Mesos's message.
macro_rules! mesos {
    ($($(#[$doc:meta])* $codec:ident: $domain:ty as $wire:ty, $write:expr, $read:expr;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $codec;

        impl Codec<$domain, $wire> for $codec {
            fn write(value: &$domain) -> $wire {
                ($write)(value)
            }

            fn read(field: &dyn Display, wire: $wire) -> Result<$domain, Invalid> {
                ($read)(wire).under(field)
            }
        }
    )+};
}

mesos! {
    /// A resource.
    AResource: Resource as v1::Resource, |it| resource::to_proto(it, Format::WHOLE), resource::from_proto;
    /// A machine's description.
    AMachine: MachineInfo as v1::AgentInfo, |it| machine::to_proto(it, Format::WHOLE), machine::from_proto;
    /// A framework's description.
    AFramework: FrameworkInfo as v1::FrameworkInfo, framework::to_proto, framework::from_proto;
    /// A framework's description that must hold the framework's id.
    ANamedFramework: FrameworkInfo as v1::FrameworkInfo, framework::to_proto, named_framework;
    /// A status of a task.
    AStatus: TaskStatus as v1::TaskStatus, status::to_proto, status::from_proto;
    /// An operation.
    AnOperation: Operation as v1::offer::Operation, |it| operation::to_proto(it, Format::WHOLE), operation::from_record;
}

fn named_framework(wire: v1::FrameworkInfo) -> Result<FrameworkInfo, Invalid> {
    let info = framework::from_proto(wire)?;
    super::field::needed("id", info.id.as_ref())?;
    Ok(info)
}

/// A framework that has its id, with the offer constraints that stand beside its description.
pub(crate) struct FrameworkAndConstraints;

type WireConstraints = Option<v1::scheduler::OfferConstraints>;

impl Codec<FrameworkInfo, (Option<v1::FrameworkInfo>, WireConstraints)>
    for FrameworkAndConstraints
{
    fn write(value: &FrameworkInfo) -> (Option<v1::FrameworkInfo>, WireConstraints) {
        let constraints = offer_constraints::to_proto(&value.constraints);
        (Needed::<ANamedFramework>::write(value), constraints)
    }

    fn read(
        field: &dyn Display,
        (info, constraints): (Option<v1::FrameworkInfo>, WireConstraints),
    ) -> Result<FrameworkInfo, Invalid> {
        let mut info: FrameworkInfo = Needed::<ANamedFramework>::read(field, info)?;
        if let Some(it) = constraints {
            info.constraints =
                offer_constraints::from_proto(it, &info.roles).under("offer_constraints")?;
        }
        Ok(info)
    }
}

/// An operation, and once more the name that its framework gave it, for whoever looks for that. Several changes that are made together
/// are no operation of the Mesos API, and have a message of our own.
pub(crate) struct OperationAndId;

impl<M> Codec<Operation, (Option<v1::offer::Operation>, String, Option<M>)> for OperationAndId
where
    Together: OwnMessage<M>,
{
    fn write(value: &Operation) -> (Option<v1::offer::Operation>, String, Option<M>) {
        let id = value.id.clone().unwrap_or_default();
        match &value.action {
            Action::Claim(ClaimAction::Together(it)) => (None, id, Some(it.to_message())),
            _ => (Needed::<AnOperation>::write(value), id, None),
        }
    }

    fn read(
        field: &dyn Display,
        (info, id, together): (Option<v1::offer::Operation>, String, Option<M>),
    ) -> Result<Operation, Invalid> {
        let Some(together) = together else { return Needed::<AnOperation>::read(field, info) };
        let together = Together::from_message(together).under("together")?;
        let id = Some(id).filter(|it| !it.is_empty());
        Ok(Operation { id, action: Action::Claim(ClaimAction::Together(together)) })
    }
}

/// One of several changes of claims that are made together.
pub(crate) struct AStep;

impl Codec<ClaimAction, v1::offer::Operation> for AStep {
    fn write(value: &ClaimAction) -> v1::offer::Operation {
        AnOperation::write(&Operation { id: None, action: Action::Claim(value.clone()) })
    }

    fn read(field: &dyn Display, wire: v1::offer::Operation) -> Result<ClaimAction, Invalid> {
        match AnOperation::read(field, wire)?.action {
            Action::Claim(action) => Ok(action),
            _ => Err(Invalid::new(field.to_string(), "is no change of claims")),
        }
    }
}

/// What a volume is made of.
pub(crate) struct AFilling;

impl Codec<Option<Box<Filling>>, (String, u64, String)> for AFilling {
    fn write(value: &Option<Box<Filling>>) -> (String, u64, String) {
        match value.as_deref() {
            Some(Filling::Orphan { volume, generation }) => {
                (volume.to_string(), *generation, String::new())
            }
            Some(Filling::Directory(path)) => (String::new(), 0, path.clone()),
            None => Default::default(),
        }
    }

    fn read(
        field: &dyn Display,
        (volume, generation, directory): (String, u64, String),
    ) -> Result<Option<Box<Filling>>, Invalid> {
        Ok(match (volume.is_empty(), directory.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Box::new(Filling::Directory(directory))),
            (false, _) => {
                let volume = ClaimId::parse(&volume).at(field)?;
                Some(Box::new(Filling::Orphan { volume, generation }))
            }
        })
    }
}

/// How claims have to be for a change to be made.
pub(crate) struct Expectation;

impl<M> Codec<Expected, (Option<u64>, Vec<M>)> for Expectation
where
    ExpectedClaim: OwnMessage<M>,
{
    fn write(value: &Expected) -> (Option<u64>, Vec<M>) {
        (value.agent, Each::<Own>::write(&value.claims))
    }

    fn read(_: &dyn Display, (agent, claims): (Option<u64>, Vec<M>)) -> Result<Expected, Invalid> {
        Ok(Expected { agent, claims: Each::<Own>::read(&"claims", claims)? })
    }
}

/// An executor's description, and whether we made it up: then there is no description as received.
pub(crate) struct ExecutorOrBare;

impl Codec<ExecutorInfo, (Option<v1::ExecutorInfo>, bool)> for ExecutorOrBare {
    fn write(value: &ExecutorInfo) -> (Option<v1::ExecutorInfo>, bool) {
        let bare = value.payload == OpaquePayload::default();
        (Some(info_to_proto(value, Format::WHOLE)), bare)
    }

    fn read(
        field: &dyn Display,
        (info, bare): (Option<v1::ExecutorInfo>, bool),
    ) -> Result<ExecutorInfo, Invalid> {
        let mut info = super::field::needed("", info).and_then(info_from_proto).under(field)?;
        if bare {
            info.payload = OpaquePayload::default();
        }
        Ok(info)
    }
}

/// A task's description, and whether we made it up: then there is no description as received.
pub(crate) struct TaskOrBare;

impl Codec<TaskInfo, (Option<v1::TaskInfo>, bool)> for TaskOrBare {
    fn write(value: &TaskInfo) -> (Option<v1::TaskInfo>, bool) {
        let bare = value.payload == OpaquePayload::default();
        (Some(task::to_proto(value, Format::WHOLE)), bare)
    }

    fn read(
        field: &dyn Display,
        (info, bare): (Option<v1::TaskInfo>, bool),
    ) -> Result<TaskInfo, Invalid> {
        let mut info = super::field::needed("", info).and_then(task::from_proto).under(field)?;
        if bare {
            info.payload = OpaquePayload::default();
            if let Some(executor) = &mut info.executor {
                executor.payload = OpaquePayload::default();
            }
        }
        Ok(info)
    }
}
