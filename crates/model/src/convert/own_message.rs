//! Conversion of our own messages from tables: which field of the message holds which field of the domain type, and how.
//!
//! A table yields both directions, and one table may serve several messages of the same shape (a claim as it travels on the link, and
//! as it lies on disk). A field that a table forgets does not compile. Relies on [`super::codec`] for single values, Mesos's messages
//! among them, which fit no table. Never changes a value on the way: what cannot be read is an error that names the field.

use crate::validate::Invalid;

/// A domain type that our own message `M` carries.
pub(crate) trait OwnMessage<M>: Sized {
    /// Writes the message.
    fn to_message(&self) -> M;

    /// Reads the message; the error names the field.
    fn from_message(message: M) -> Result<Self, Invalid>;
}

/// Implements [`OwnMessage`]: `Domain = Message, Message { domain_field = message_field: Codec, ... }`.
///
/// A value that takes two fields of the message names both (`info + bare`). A domain type that is no struct with these fields says how
/// it is taken apart and put together (`(ClaimId, String) as { (id, fault) } = ...`).
macro_rules! own_message {
    // The message from references to the domain's fields. All values are written before any is bound, so that no name hides another.
    (@write $message:path {
        $($field:ident = $first:ident $(+ $more:ident)*: $codec:ty),* $(,)?
    }) => {{
        #[allow(unused_parens, reason = "they make a tuple of a value that takes two fields")]
        let ($(($first $(, $more)*),)*) =
            ($(<$codec as $crate::convert::codec::Codec<_, _>>::write($field),)*);
        $message { $($first, $($more,)*)* }
    }};
    // A message without fields is read to nothing.
    (@read $value:ident, $message:path { $(,)? }) => {{
        let $message {} = $value;
    }};
    // The domain's fields as a tuple, from the message.
    (@read $value:ident, $message:path {
        $($field:ident = $first:ident $(+ $more:ident)*: $codec:ty),* $(,)?
    }) => {{
        let $message { $($first, $($more,)*)* } = $value;
        ($(
            <$codec as $crate::convert::codec::Codec<_, _>>::read(
                &stringify!($first),
                ($first $(, $more)*),
            )?,
        )*)
    }};
    ($domain:ident = $($message:path),+ {
        $($field:ident = $first:ident $(+ $more:ident)*: $codec:ty),+ $(,)?
    }) => {
        $crate::convert::own_message::own_message! {
            $domain as { $domain { $($field),+ } } = $($message),+ {
                $($field = $first $(+ $more)*: $codec),+
            }
        }
    };
    ($domain:ty as $shape:tt = $first:path, $($more:path),+ { $($table:tt)+ }) => {
        $crate::convert::own_message::own_message! { $domain as $shape = $first { $($table)+ } }
        $crate::convert::own_message::own_message! { $domain as $shape = $($more),+ { $($table)+ } }
    };
    ($domain:ty as { $($shape:tt)+ } = $message:path {
        $($field:ident = $first:ident $(+ $more:ident)*: $codec:ty),+ $(,)?
    }) => {
        impl $crate::convert::own_message::OwnMessage<$message> for $domain {
            fn to_message(&self) -> $message {
                let $($shape)+ = self;
                $crate::convert::own_message::own_message!(
                    @write $message { $($field = $first $(+ $more)*: $codec),+ }
                )
            }

            fn from_message(message: $message) -> Result<Self, $crate::validate::Invalid> {
                let ($($field,)+) = $crate::convert::own_message::own_message!(
                    @read message, $message { $($field = $first $(+ $more)*: $codec),+ }
                );
                Ok($($shape)+)
            }
        }
    };
}

pub(crate) use own_message;
