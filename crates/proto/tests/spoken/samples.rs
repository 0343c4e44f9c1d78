//! Messages of any type, made from the descriptors and a string of random bytes.
//!
//! The bytes decide everything, so that proptest can shrink a failure; when they run out, what is optional is left out.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use prost::encoding::{encode_key, encode_varint, WireType};
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Optional messages deeper than this are left out.
const DEPTH: usize = 7;

/// All messages and enums, by full name.
pub struct Descriptors {
    pub messages: BTreeMap<String, DescriptorProto>,
    pub enums: BTreeMap<String, Vec<i32>>,
}

/// The descriptors of this crate.
pub fn descriptors() -> &'static Descriptors {
    static ALL: OnceLock<Descriptors> = OnceLock::new();
    ALL.get_or_init(|| {
        let set = FileDescriptorSet::decode(holdfast_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut all = Descriptors { messages: BTreeMap::new(), enums: BTreeMap::new() };
        for file in &set.file {
            for message in &file.message_type {
                all.add(file.package(), message);
            }
            for declared in &file.enum_type {
                let numbers = declared.value.iter().map(|value| value.number()).collect();
                all.enums.insert(format!("{}.{}", file.package(), declared.name()), numbers);
            }
        }
        all
    })
}

impl Descriptors {
    fn add(&mut self, outer: &str, message: &DescriptorProto) {
        let name = format!("{outer}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        for declared in &message.enum_type {
            self.enums.insert(
                format!("{name}.{}", declared.name()),
                declared.value.iter().map(|value| value.number()).collect(),
            );
        }
        self.messages.insert(name, message.clone());
    }

    /// An encoded message with the required fields, and whatever else `chance` wants.
    pub fn sample(&self, name: &str, chance: &mut Chance<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_message(name, chance, 0, None, &mut out);
        out
    }

    /// An encoded message with the required fields only, and without the one of this number.
    pub fn without(&self, name: &str, number: Option<i32>) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_message(name, &mut Chance::new(&[]), DEPTH, number, &mut out);
        out
    }

    fn write_message(
        &self,
        name: &str,
        chance: &mut Chance<'_>,
        depth: usize,
        leave_out: Option<i32>,
        out: &mut Vec<u8>,
    ) {
        let message = &self.messages[name];
        let map_entry = message.options.as_ref().is_some_and(|options| options.map_entry());
        let mut oneofs_done = Vec::new();
        for field in &message.field {
            if leave_out == Some(field.number()) {
                continue;
            }
            // A default that is printed even when unset is read back as set.
            let printed = field.default_value.is_some()
                && !field.options.as_ref().is_some_and(|options| options.deprecated());
            let times = match field.label() {
                Label::Required => 1,
                _ if map_entry => 1,
                _ if printed => 1,
                _ if depth >= DEPTH => 0,
                Label::Repeated => chance.up_to(3),
                Label::Optional => chance.up_to(2),
            };
            if let (Some(index), 1..) = (field.oneof_index, times) {
                if oneofs_done.contains(&index) {
                    continue;
                }
                oneofs_done.push(index);
            }
            for _ in 0..times {
                self.write_field(field, chance, depth, out);
            }
        }
    }

    fn write_field(
        &self,
        field: &FieldDescriptorProto,
        chance: &mut Chance<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) {
        let number = field.number() as u32;
        let mut varint = |value: u64| {
            encode_key(number, WireType::Varint, out);
            encode_varint(value, out);
        };
        match field.r#type() {
            Type::Bool => varint(chance.up_to(2) as u64),
            // Negative numbers travel with 64 bits.
            Type::Int32 => varint(chance.integer() as i32 as i64 as u64),
            Type::Uint32 => varint(u64::from(chance.integer() as u32)),
            Type::Int64 | Type::Uint64 => varint(chance.integer()),
            Type::Enum => {
                let numbers = &self.enums[field.type_name().trim_start_matches('.')];
                varint(numbers[chance.up_to(numbers.len())] as i64 as u64);
            }
            Type::Fixed64 => {
                encode_key(number, WireType::SixtyFourBit, out);
                out.extend_from_slice(&chance.integer().to_le_bytes());
            }
            Type::Double => {
                encode_key(number, WireType::SixtyFourBit, out);
                out.extend_from_slice(&chance.double().to_le_bytes());
            }
            kind => {
                let content = match kind {
                    Type::String => chance.text().into_bytes(),
                    Type::Bytes => chance.bytes(),
                    Type::Message => {
                        let mut inner = Vec::new();
                        self.write_message(
                            field.type_name().trim_start_matches('.'),
                            chance,
                            depth + 1,
                            None,
                            &mut inner,
                        );
                        inner
                    }
                    other => panic!("no samples of {other:?}"),
                };
                encode_key(number, WireType::LengthDelimited, out);
                encode_varint(content.len() as u64, out);
                out.extend_from_slice(&content);
            }
        }
    }
}

/// Decisions taken from random bytes; zeros when there are no more.
pub struct Chance<'a> {
    bytes: &'a [u8],
}

impl<'a> Chance<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn up_to(&mut self, end: usize) -> usize {
        self.byte() as usize % end
    }

    fn integer(&mut self) -> u64 {
        match self.up_to(8) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => i64::MAX as u64,
            4 => i64::MIN as u64,
            5 => i32::MIN as i64 as u64,
            6 => (1 << 53) + 1,
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// Any double that is equal to itself.
    fn double(&mut self) -> f64 {
        let any = match self.up_to(7) {
            0 => 0.0,
            1 => 0.1,
            2 => 30720.0,
            3 => f64::INFINITY,
            4 => f64::NEG_INFINITY,
            5 => f64::MIN_POSITIVE,
            _ => f64::from_bits(u64::from_le_bytes(std::array::from_fn(|_| self.byte()))),
        };
        if any.is_nan() {
            -1.5
        } else {
            any
        }
    }

    fn text(&mut self) -> String {
        let parts = ["", "a", "\"", "\\", "\n", "ü", "\u{1F4BE}", "\0", "role/sub", "*"];
        (0..self.up_to(4)).map(|_| parts[self.up_to(parts.len())]).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.up_to(9)).map(|_| self.byte()).collect()
    }
}
