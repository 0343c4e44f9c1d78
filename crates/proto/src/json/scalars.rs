//! Numbers, booleans and bytes in JSON.
//!
//! Numbers are written as numbers and may come as strings, since many clients cannot hold 64 bits in a number. Never rounds: a
//! fraction or an overflow in an integer field is an error.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine as _;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;
use serde::Serialize;

use super::presence::Codec;

/// The integers of protobuf.
pub(crate) trait Whole: Copy + Serialize + FromStr + TryFrom<i64> + TryFrom<u64> {
    /// For error messages.
    const RANGE: &'static str;
}

impl Whole for i32 {
    const RANGE: &'static str = "a whole number of 32 bits, or a string with one";
}

impl Whole for i64 {
    const RANGE: &'static str = "a whole number of 64 bits, or a string with one";
}

impl Whole for u32 {
    const RANGE: &'static str =
        "a whole number of 32 bits that is not negative, or a string with one";
}

impl Whole for u64 {
    const RANGE: &'static str =
        "a whole number of 64 bits that is not negative, or a string with one";
}

/// An integer of any width.
pub(crate) struct Integer<T>(PhantomData<T>);

impl<T: Whole> Codec for Integer<T> {
    type Value = T;

    fn write<S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        from.deserialize_any(IntegerVisitor(PhantomData))
    }
}

struct IntegerVisitor<T>(PhantomData<T>);

impl<T: Whole> Visitor<'_> for IntegerVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::RANGE)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        // 2^63 and 2^64: the first doubles that i64 and u64 do not hold.
        let whole = match number {
            n if n.fract() != 0.0 => None,
            n if (0.0..18_446_744_073_709_551_616.0).contains(&n) => T::try_from(n as u64).ok(),
            n if (-9_223_372_036_854_775_808.0..0.0).contains(&n) => T::try_from(n as i64).ok(),
            _ => None,
        };
        whole.ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A double; the three that JSON cannot write as numbers are strings.
pub(crate) struct Double;

impl Codec for Double {
    type Value = f64;

    fn write<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        match *value {
            n if n.is_finite() => to.serialize_f64(n),
            n if n.is_nan() => to.serialize_str("NaN"),
            n if n > 0.0 => to.serialize_str("Infinity"),
            _ => to.serialize_str("-Infinity"),
        }
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        from.deserialize_any(DoubleVisitor)
    }
}

struct DoubleVisitor;

impl Visitor<'_> for DoubleVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a string with one (also \"Infinity\", \"-Infinity\", \"NaN\")")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => {
                let finite = text.parse().ok().filter(|number: &f64| number.is_finite());
                finite.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
    }
}

/// A boolean, also as a string.
pub(crate) struct Bool;

impl Codec for Bool {
    type Value = bool;

    fn write<S: Serializer>(value: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(*value)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        from.deserialize_any(BoolVisitor)
    }
}

struct BoolVisitor;

impl Visitor<'_> for BoolVisitor {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Bytes as base64: written in the standard alphabet with padding, read in the standard or the url-safe one, padded or not.
pub(crate) struct Base64;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl Codec for Base64 {
    type Value = Vec<u8>;

    fn write<S: Serializer>(value: &Vec<u8>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(value))
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_any(Base64Visitor)
    }
}

struct Base64Visitor;

impl Visitor<'_> for Base64Visitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
        engine.decode(text).map_err(|error| E::custom(format_args!("not base64: {error}")))
    }
}
