//! Enums in JSON: written as names, read as names or numbers.
//!
//! prost holds enums as numbers, so that a number of a newer protocol survives; such a number has no name here and is never written.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;

use super::presence::{Codec, Optional};

/// An enum whose values have names; implemented by the build script.
pub(crate) trait Named: Copy + Default + TryFrom<i32> + Into<i32> {
    /// As in the `.proto` file, with its package.
    const FULL_NAME: &'static str;
    /// All of them, as declared.
    const NAMES: &'static [&'static str];

    /// The value's name.
    fn name(self) -> &'static str;

    /// The value with this name.
    fn of_name(name: &str) -> Option<Self>;
}

/// A value that must be known: in required and repeated fields.
pub(crate) struct Enum<E>(PhantomData<E>);

impl<E: Named> Codec for Enum<E> {
    type Value = i32;

    fn write<S: Serializer>(value: &i32, to: S) -> Result<S::Ok, S::Error> {
        match E::try_from(*value) {
            Ok(known) => to.serialize_str(known.name()),
            Err(_) => to.serialize_i32(*value),
        }
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
        from.deserialize_any(EnumVisitor::<E>(PhantomData))?
            .map_err(|unknown| unknown.into_error::<E, _>())
    }

    fn can_write(value: &i32) -> bool {
        E::try_from(*value).is_ok()
    }
}

/// An optional enum: an unknown value is as good as none.
pub(crate) struct OptionalEnum<E>(PhantomData<E>);

impl<E: Named> OptionalEnum<E> {
    pub(crate) fn is_absent(value: &Option<i32>) -> bool {
        !value.is_some_and(|number| E::try_from(number).is_ok())
    }

    pub(crate) fn serialize<S: Serializer>(value: &Option<i32>, to: S) -> Result<S::Ok, S::Error> {
        Optional::<Enum<E>>::serialize(value, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
        Ok(Optional::<Lenient<E>>::deserialize(from)?.flatten())
    }
}

/// A proto3 enum without presence: an absent or unknown value is what prost takes for an absent one, the first declared.
pub(crate) struct ImplicitEnum<E>(PhantomData<E>);

impl<E: Named> ImplicitEnum<E> {
    pub(crate) fn absent() -> i32 {
        E::default().into()
    }

    pub(crate) fn serialize<S: Serializer>(value: &i32, to: S) -> Result<S::Ok, S::Error> {
        Enum::<E>::write(value, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
        Ok(OptionalEnum::<E>::deserialize(from)?.unwrap_or_else(Self::absent))
    }
}

/// Reads an unknown value as none.
struct Lenient<E>(PhantomData<E>);

impl<E: Named> Codec for Lenient<E> {
    type Value = Option<i32>;

    fn write<S: Serializer>(value: &Option<i32>, to: S) -> Result<S::Ok, S::Error> {
        OptionalEnum::<E>::serialize(value, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
        Ok(from.deserialize_any(EnumVisitor::<E>(PhantomData))?.ok())
    }
}

/// A value that the enum does not have.
enum Unknown {
    Name(String),
    Number(i64),
}

impl Unknown {
    fn into_error<E: Named, R: Error>(self) -> R {
        match self {
            Self::Name(name) => R::unknown_variant(&name, E::NAMES),
            Self::Number(number) => R::invalid_value(
                Unexpected::Signed(number),
                &format!("a value of {}", E::FULL_NAME).as_str(),
            ),
        }
    }
}

struct EnumVisitor<E>(PhantomData<E>);

impl<'de, E: Named> Visitor<'de> for EnumVisitor<E> {
    type Value = Result<i32, Unknown>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a {} value", E::FULL_NAME)
    }

    fn visit_str<R: Error>(self, name: &str) -> Result<Self::Value, R> {
        Ok(E::of_name(name).map(Into::into).ok_or_else(|| Unknown::Name(name.to_owned())))
    }

    fn visit_i64<R: Error>(self, number: i64) -> Result<Self::Value, R> {
        let known = i32::try_from(number).ok().filter(|number| E::try_from(*number).is_ok());
        Ok(known.ok_or(Unknown::Number(number)))
    }

    fn visit_u64<R: Error>(self, number: u64) -> Result<Self::Value, R> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
