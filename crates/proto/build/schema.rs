//! The descriptors, flattened: every message and enum by full name, with what the generators ask about their fields.
//!
//! Never interprets: what a field means in JSON is for `attributes`, what is required for `shapes`.

use std::collections::BTreeMap;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::rust_path;

/// Everything under `/proto`, by full name without a leading dot.
#[derive(Default)]
pub struct Schema {
    pub messages: BTreeMap<String, Message>,
    pub enums: BTreeMap<String, Enum>,
}

/// One message that is not a map entry.
pub struct Message {
    pub package: String,
    /// Without the package: `Offer.Operation`.
    pub name: String,
    pub fields: Vec<Field>,
    /// Real oneofs, not those that `optional` makes in proto3.
    pub oneofs: Vec<String>,
}

/// One enum.
pub struct Enum {
    pub path: String,
    /// Name and number, as declared.
    pub values: Vec<(String, i32)>,
}

/// How often a field occurs, and how its absence shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
    /// proto3 without `optional`: absent is the same as zero.
    Implicit,
    Repeated,
    Map,
    /// Member of the oneof with this index.
    Oneof(usize),
}

/// One field.
pub struct Field {
    pub name: String,
    pub number: i32,
    pub presence: Presence,
    /// For a map, the kind of its values.
    pub kind: Kind,
    /// As written in the file; absent when deprecated, since such a default is not printed.
    pub printed_default: Option<String>,
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    Bool,
    /// The Rust type.
    Integer(&'static str),
    Double,
    String,
    Bytes,
    /// Full name.
    Enum(String),
    /// Full name.
    Message(String),
}

impl Schema {
    /// Flattens `set`.
    pub fn of(set: &FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        for file in &set.file {
            let proto3 = file.syntax() == "proto3";
            for message in &file.message_type {
                schema.add_message(file.package(), "", message, proto3);
            }
            for declared in &file.enum_type {
                schema.add_enum(file.package(), "", declared);
            }
        }
        schema
    }

    /// The Rust path of a message.
    pub fn message_path(&self, full_name: &str) -> String {
        let message = &self.messages[full_name];
        rust_path::type_path(&message.package, &message.name)
    }

    fn add_message(&mut self, package: &str, outer: &str, message: &DescriptorProto, proto3: bool) {
        let name = join(outer, message.name());
        for nested in &message.nested_type {
            if !is_map_entry(nested) {
                self.add_message(package, &name, nested, proto3);
            }
        }
        for nested in &message.enum_type {
            self.add_enum(package, &name, nested);
        }
        let synthetic = |index: usize| {
            message.field.iter().any(|f| f.proto3_optional() && f.oneof_index == Some(index as i32))
        };
        let oneofs = message.oneof_decl.iter().enumerate().filter(|(index, _)| !synthetic(*index));
        let entry = Message {
            package: package.to_owned(),
            fields: message.field.iter().map(|field| field_of(message, field, proto3)).collect(),
            oneofs: oneofs.map(|(_, oneof)| oneof.name().to_owned()).collect(),
            name: name.clone(),
        };
        self.messages.insert(join(package, &name), entry);
    }

    fn add_enum(&mut self, package: &str, outer: &str, declared: &EnumDescriptorProto) {
        let name = join(outer, declared.name());
        let values =
            declared.value.iter().map(|value| (value.name().to_owned(), value.number())).collect();
        self.enums.insert(
            join(package, &name),
            Enum { path: rust_path::type_path(package, &name), values },
        );
    }
}

fn field_of(message: &DescriptorProto, field: &FieldDescriptorProto, proto3: bool) -> Field {
    let entry = message
        .nested_type
        .iter()
        .find(|n| is_map_entry(n) && field.type_name().ends_with(&format!(".{}", n.name())));
    let kind = match entry {
        Some(entry) => {
            assert_eq!(
                kind_of(&entry.field[0]).map(|k| k == Kind::String),
                Ok(true),
                "maps need string keys: {}",
                field.name()
            );
            kind_of(&entry.field[1])
        }
        None => kind_of(field),
    };
    let kind = kind.unwrap_or_else(|r#type| {
        panic!("{}.{}: no JSON form for {type:?}", message.name(), field.name())
    });
    let presence = match (field.label(), field.oneof_index) {
        (Label::Repeated, _) if entry.is_some() => Presence::Map,
        (Label::Repeated, _) => Presence::Repeated,
        (Label::Required, _) => Presence::Required,
        (Label::Optional, Some(index)) if !field.proto3_optional() => {
            Presence::Oneof(index as usize)
        }
        _ if proto3 && !field.proto3_optional() && !matches!(kind, Kind::Message(_)) => {
            Presence::Implicit
        }
        _ => Presence::Optional,
    };
    let deprecated = field.options.as_ref().is_some_and(|options| options.deprecated());
    let printed_default = field.default_value.clone().filter(|_| !deprecated);
    Field { name: field.name().to_owned(), number: field.number(), presence, kind, printed_default }
}

fn kind_of(field: &FieldDescriptorProto) -> Result<Kind, Type> {
    let named = || field.type_name().trim_start_matches('.').to_owned();
    Ok(match field.r#type() {
        Type::Bool => Kind::Bool,
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => Kind::Integer("i32"),
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => Kind::Integer("i64"),
        Type::Uint32 | Type::Fixed32 => Kind::Integer("u32"),
        Type::Uint64 | Type::Fixed64 => Kind::Integer("u64"),
        Type::Double => Kind::Double,
        Type::String => Kind::String,
        Type::Bytes => Kind::Bytes,
        Type::Enum => Kind::Enum(named()),
        Type::Message => Kind::Message(named()),
        other @ (Type::Float | Type::Group) => return Err(other),
    })
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

/// `outer.name`, or `name` alone.
fn join(outer: &str, name: &str) -> String {
    if outer.is_empty() {
        name.to_owned()
    } else {
        format!("{outer}.{name}")
    }
}
