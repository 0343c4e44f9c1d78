//! The link between agent and master, both ways.
//!
//! The messages are our own, so tables convert them. Relies on [`super::agent_state`] for what an agent owns. Never leaves out a
//! claim: an agent introduces itself with everything it owns, and one thing that cannot be read refuses the whole report by its name.
//!
//! A peer may run a newer program. Fields that this program does not know are ignored; a message of a kind that it does not know is
//! [`Received::Unknown`], which the driver answers and passes over: it never ends the link.

mod from_agent;
mod to_agent;

use holdfast_proto::holdfast::v1 as link;

pub use from_agent::{to_master_from_proto, to_master_to_proto};
pub use to_agent::{to_agent_from_proto, to_agent_to_proto};

/// What came in on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// A message of a kind that this program knows.
    Message(T),
    /// A message of a kind that this program does not know: the peer runs a newer one.
    Unknown,
    /// The peer's answer to a message that it did not know, because it runs an older program.
    NotUnderstood {
        /// The greatest number among the kinds of our messages that the peer knows.
        newest_known: u32,
    },
}

/// The newest kind of message from agents: the greatest number in the `oneof` of `FromAgent`.
const FROM_AGENT_NEWEST: u32 = 11;

/// The newest kind of message to agents: the greatest number in the `oneof` of `ToAgent`.
const TO_AGENT_NEWEST: u32 = 44;

/// A master's answer to a message that it does not know.
pub fn unknown_to_master() -> link::ToAgent {
    let answer = link::UnknownMessage { newest_known: FROM_AGENT_NEWEST };
    link::ToAgent { term: 0, message: Some(link::to_agent::Message::UnknownMessage(answer)) }
}

/// An agent's answer to a message that it does not know.
pub fn unknown_to_agent() -> link::FromAgent {
    let answer = link::UnknownMessage { newest_known: TO_AGENT_NEWEST };
    link::FromAgent { message: Some(link::from_agent::Message::UnknownMessage(answer)) }
}

/// Both directions between a closed list of messages and a `oneof`, as two functions: `field: Variant(values) = Message { table }`, or
/// `[value: Codec]` in place of the table when the whole message is one value. The variant behind `else` stands for no message.
macro_rules! own_oneof {
    ($write:ident, $read:ident: $domain:ident = $oneof:path {
        $($kind:ident: $variant:ident $shape:tt = $message:ident $table:tt,)+
    } $(else $nothing:ident)?) => {
        fn $write(it: &$domain) -> Option<$oneof> {
            use $oneof as Message;
            Some(match it {
                $($domain::$variant $shape => {
                    Message::$message(own_oneof!(@write $message $table))
                })+
                $($domain::$nothing => return None,)?
            })
        }

        fn $read(message: Option<$oneof>) -> Result<Received<$domain>, Invalid> {
            use $oneof as Message;
            Ok(Received::Message(match message {
                None => return Ok(Received::Unknown),
                Some(Message::UnknownMessage(it)) => {
                    return Ok(Received::NotUnderstood { newest_known: it.newest_known });
                }
                $(Some(Message::$message(payload)) => {
                    own_oneof!(@read $kind, payload, $domain::$variant $shape, $message $table)
                })+
            }))
        }
    };
    (@write $message:ident [$value:ident: $codec:ty]) => {
        <$codec as Codec<_, link::$message>>::write($value)
    };
    (@write $message:ident { $($table:tt)* }) => {
        own_message!(@write link::$message { $($table)* })
    };
    (
        @read $kind:ident, $payload:ident, $domain:ident::$variant:ident $shape:tt,
        $message:ident [$value:ident: $codec:ty]
    ) => {{
        let $value = <$codec as Codec<_, link::$message>>::read(&stringify!($kind), $payload)?;
        $domain::$variant $shape
    }};
    (
        @read $kind:ident, $payload:ident, $domain:ident::$variant:ident $shape:tt,
        $message:ident { $($field:ident = $first:ident $(+ $more:ident)*: $codec:ty),* $(,)? }
    ) => {{
        let read = |payload: link::$message| {
            let ($($field,)*) = own_message!(
                @read payload, link::$message { $($field = $first $(+ $more)*: $codec),* }
            );
            Ok($domain::$variant $shape)
        };
        read($payload).under(stringify!($kind))?
    }};
}

use own_oneof;

#[cfg(test)]
mod tests;
