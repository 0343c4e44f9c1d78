//! Whether received bytes hold every required field.
//!
//! prost gives an absent required field its default, silently. So the bytes are walked once more, along generated tables that list,
//! for each message with a required field in it or below it, those fields and the ways down. Never looks into fields below which
//! nothing is required, and never keeps more than one mark for each field that it looks at.

use std::borrow::Cow;

use prost::encoding::{decode_key, decode_varint, skip_field, DecodeContext, WireType};

use crate::binary::MAX_DEPTH;

/// A message with required fields in it or below it.
struct Shape {
    /// Full name.
    name: &'static str,
    /// By number; only those that matter here.
    fields: &'static [Field],
}

/// A field that is required or leads to one.
struct Field {
    number: u32,
    name: &'static str,
    required: bool,
    kind: Kind,
}

/// How to look at a field's content. Numbers are places in [`SHAPES`].
enum Kind {
    /// Being there is enough.
    Plain,
    /// Its number must be one of these: an unknown one counts as absent in proto2.
    Enum(&'static [i32]),
    /// One message; sent in pieces, the pieces are merged.
    Message(usize),
    /// Many messages.
    List(usize),
    /// Entries with a string as field 1 and a message as field 2.
    Map(usize),
}

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// What is wrong with the bytes.
#[derive(Debug, PartialEq)]
pub(crate) enum Flaw {
    /// The way to the absent field.
    Missing(String),
    /// What the wire format's reader said.
    Malformed(String),
    /// More than [`MAX_DEPTH`] levels.
    TooDeep,
}

impl Flaw {
    /// The same flaw, seen from one level further out.
    fn below(self, step: &str) -> Self {
        match self {
            Self::Missing(path) => Self::Missing(format!("{step}.{path}")),
            other => other,
        }
    }
}

impl From<prost::DecodeError> for Flaw {
    fn from(error: prost::DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Checks `bytes` as the message with this full name.
pub(crate) fn check(full_name: &str, bytes: &[u8]) -> Result<(), Flaw> {
    match SHAPES.binary_search_by(|shape| shape.name.cmp(full_name)) {
        Ok(index) => walk(&SHAPES[index], bytes, 0),
        Err(_) => Ok(()),
    }
}

/// What was seen of one field of the message that is being read.
enum Seen<'a> {
    No,
    Yes,
    /// The bytes of a single message, merged when it came in pieces.
    Message(Cow<'a, [u8]>),
    /// How many of a list.
    Times(usize),
}

fn walk(shape: &Shape, mut bytes: &[u8], depth: usize) -> Result<(), Flaw> {
    if depth > MAX_DEPTH {
        return Err(Flaw::TooDeep);
    }
    let mut seen: Vec<Seen<'_>> = shape.fields.iter().map(|_| Seen::No).collect();
    while !bytes.is_empty() {
        let (number, wire_type) = decode_key(&mut bytes)?;
        match shape.fields.binary_search_by_key(&number, |field| field.number) {
            Ok(index) => {
                look(&shape.fields[index], &mut seen[index], wire_type, &mut bytes, depth)?
            }
            Err(_) => skip_field(wire_type, number, &mut bytes, DecodeContext::default())?,
        }
    }
    for (field, seen) in shape.fields.iter().zip(seen) {
        match (seen, &field.kind) {
            (Seen::No, _) if field.required => return Err(Flaw::Missing(field.name.to_owned())),
            (Seen::Message(content), Kind::Message(index)) => {
                walk(&SHAPES[*index], &content, depth + 1)
                    .map_err(|flaw| flaw.below(field.name))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Notes one occurrence of `field`, and goes down into members of lists and maps at once.
fn look<'a>(
    field: &Field,
    seen: &mut Seen<'a>,
    wire_type: WireType,
    bytes: &mut &'a [u8],
    depth: usize,
) -> Result<(), Flaw> {
    match &field.kind {
        Kind::Plain => {
            skip_field(wire_type, field.number, bytes, DecodeContext::default())?;
            *seen = Seen::Yes;
        }
        Kind::Enum(numbers) => {
            expect_type(field, wire_type, WireType::Varint)?;
            // Enums travel as 64-bit varints and are cut to 32 bits.
            let number = decode_varint(bytes)? as i32;
            if numbers.binary_search(&number).is_ok() {
                *seen = Seen::Yes;
            }
        }
        Kind::Message(_) => {
            let content = take_message(field, wire_type, bytes)?;
            *seen = match std::mem::replace(seen, Seen::No) {
                Seen::Message(mut before) => {
                    before.to_mut().extend_from_slice(content);
                    Seen::Message(before)
                }
                _ => Seen::Message(Cow::Borrowed(content)),
            };
        }
        Kind::List(index) => {
            let content = take_message(field, wire_type, bytes)?;
            let place = if let Seen::Times(times) = seen { *times } else { 0 };
            *seen = Seen::Times(place + 1);
            walk(&SHAPES[*index], content, depth + 1)
                .map_err(|flaw| flaw.below(&format!("{}[{place}]", field.name)))?;
        }
        Kind::Map(index) => {
            let (key, value) = map_entry(take_message(field, wire_type, bytes)?)?;
            walk(&SHAPES[*index], &value, depth + 1)
                .map_err(|flaw| flaw.below(&format!("{}.{key}", field.name)))?;
        }
    }
    Ok(())
}

/// Key and value of a map's entry; what is absent is empty.
fn map_entry(mut bytes: &[u8]) -> Result<(String, Vec<u8>), Flaw> {
    let (mut key, mut value) = (String::new(), Vec::new());
    while !bytes.is_empty() {
        match decode_key(&mut bytes)? {
            (1, WireType::LengthDelimited) => {
                key = String::from_utf8_lossy(take(&mut bytes)?).into_owned()
            }
            (2, WireType::LengthDelimited) => value.extend_from_slice(take(&mut bytes)?),
            (number, wire_type) => {
                skip_field(wire_type, number, &mut bytes, DecodeContext::default())?
            }
        }
    }
    Ok((key, value))
}

fn take_message<'a>(
    field: &Field,
    wire_type: WireType,
    bytes: &mut &'a [u8],
) -> Result<&'a [u8], Flaw> {
    expect_type(field, wire_type, WireType::LengthDelimited)?;
    take(bytes)
}

fn expect_type(field: &Field, found: WireType, expected: WireType) -> Result<(), Flaw> {
    if found == expected {
        return Ok(());
    }
    Err(Flaw::Malformed(format!(
        "field {} has wire type {found:?} where {expected:?} belongs",
        field.name
    )))
}

/// The next length-delimited content.
fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Flaw> {
    let length = decode_varint(bytes)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len());
    let length =
        length.ok_or_else(|| Flaw::Malformed("a length reaches beyond the end".to_owned()))?;
    let (content, rest) = bytes.split_at(length);
    *bytes = rest;
    Ok(content)
}
