//! How often a field occurs in JSON: required, optional, implicit (proto3), repeated, or a map.
//!
//! Each shape takes a [`Codec`] for one value; the build script names the pair in a field's serde attribute. `null` is unset
//! everywhere, in lists and maps too. Never looks at the value itself.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

/// How one value of a kind is written and read.
pub(crate) trait Codec {
    /// As the generated struct holds it.
    type Value;

    /// Writes a value.
    fn write<S: Serializer>(value: &Self::Value, to: S) -> Result<S::Ok, S::Error>;

    /// Reads a value that is not `null`.
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self::Value, D::Error>;

    /// Whether the value has a JSON form at all; in lists, one that has none is left out.
    fn can_write(_value: &Self::Value) -> bool {
        true
    }
}

/// serde's own way: strings and messages.
pub(crate) struct Plain<T>(PhantomData<T>);

impl<T: Serialize + for<'de> Deserialize<'de>> Codec for Plain<T> {
    type Value = T;

    fn write<S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::deserialize(from)
    }
}

/// A field that must be there.
pub(crate) struct Required<C>(PhantomData<C>);

impl<C: Codec> Required<C> {
    pub(crate) fn serialize<S: Serializer>(value: &C::Value, to: S) -> Result<S::Ok, S::Error> {
        C::write(value, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<C::Value, D::Error> {
        C::read(from)
    }
}

/// A field that may be absent; written only when it is there.
pub(crate) struct Optional<C>(PhantomData<C>);

impl<C: Codec> Optional<C> {
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<C::Value>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => C::write(value, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<C::Value>, D::Error> {
        Slot::<C>(PhantomData).deserialize(from)
    }
}

/// A proto3 field without presence: absent is zero, and zero is written.
pub(crate) struct Implicit<C>(PhantomData<C>);

impl<C: Codec> Implicit<C>
where
    C::Value: Default,
{
    pub(crate) fn serialize<S: Serializer>(value: &C::Value, to: S) -> Result<S::Ok, S::Error> {
        C::write(value, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<C::Value, D::Error> {
        Ok(Slot::<C>(PhantomData).deserialize(from)?.unwrap_or_default())
    }
}

/// A list.
pub(crate) struct Repeated<C>(PhantomData<C>);

impl<C: Codec> Repeated<C> {
    pub(crate) fn serialize<S: Serializer>(values: &[C::Value], to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(None)?;
        for value in values.iter().filter(|value| C::can_write(value)) {
            list.serialize_element(&Written::<C>(value))?;
        }
        list.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<C::Value>, D::Error> {
        from.deserialize_any(ListVisitor::<C>(PhantomData))
    }
}

/// An object with keys of its own.
pub(crate) struct Map<C>(PhantomData<C>);

impl<C: Codec> Map<C> {
    pub(crate) fn serialize<S: Serializer>(
        values: &BTreeMap<String, C::Value>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_map(None)?;
        for (key, value) in values.iter().filter(|(_, value)| C::can_write(value)) {
            object.serialize_entry(key, &Written::<C>(value))?;
        }
        object.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, C::Value>, D::Error> {
        from.deserialize_any(MapVisitor::<C>(PhantomData))
    }
}

/// The only member of a oneof that is set.
pub(crate) fn only_one<T, E: Error, const N: usize>(
    members: [Option<T>; N],
    names: &[&str],
) -> Result<Option<T>, E> {
    let mut chosen = None;
    for member in members.into_iter().flatten() {
        if chosen.replace(member).is_some() {
            return Err(E::custom(format_args!(
                "more than one of {} is set; set one",
                names.join(", ")
            )));
        }
    }
    Ok(chosen)
}

/// A value on its way out.
struct Written<'a, C: Codec>(&'a C::Value);

impl<C: Codec> Serialize for Written<'_, C> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        C::write(self.0, to)
    }
}

/// A place for a value or `null`.
struct Slot<C>(PhantomData<C>);

impl<'de, C: Codec> DeserializeSeed<'de> for Slot<C> {
    type Value = Option<C::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de, C: Codec> Visitor<'de> for Slot<C> {
    type Value = Option<C::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        C::read(from).map(Some)
    }
}

struct ListVisitor<C>(PhantomData<C>);

impl<'de, C: Codec> Visitor<'de> for ListVisitor<C> {
    type Value = Vec<C::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Slot::<C>(PhantomData))? {
            values.extend(value);
        }
        Ok(values)
    }
}

struct MapVisitor<C>(PhantomData<C>);

impl<'de, C: Codec> Visitor<'de> for MapVisitor<C> {
    type Value = BTreeMap<String, C::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut values = BTreeMap::new();
        while let Some(key) = object.next_key::<String>()? {
            if let Some(value) = object.next_value_seed(Slot::<C>(PhantomData))? {
                values.insert(key, value);
            }
        }
        Ok(values)
    }
}
