//! Compares the compiled descriptors with the table of facts about the Mesos v1 wire: every file, message, field, enum value.
//!
//! `tests/wire.tsv` is that table in a form of our own: one line per fact, sorted. Where the workshop's reference lies beside the
//! checkout, the table itself is compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};

const TABLE: &str = include_str!("../wire.tsv");

#[test]
fn descriptors_say_what_the_table_says() {
    let set = FileDescriptorSet::decode(holdfast_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut facts = BTreeSet::new();
    for file in set
        .file
        .iter()
        .filter(|file| file.package().starts_with("mesos.") || file.package() == "google.protobuf")
    {
        file_facts(file, &mut facts);
    }
    let table: BTreeSet<String> = TABLE.lines().map(str::to_owned).collect();
    assert!(table.len() > 2000, "the table is whole");
    assert_same(&facts, &table);
}

#[test]
fn table_says_what_the_reference_says() {
    let reference =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/mesos-v1-wire.tsv");
    let Ok(text) = std::fs::read_to_string(&reference) else {
        eprintln!("no {} beside this checkout; tests/wire.tsv stands alone", reference.display());
        return;
    };
    let table: BTreeSet<String> = TABLE.lines().map(str::to_owned).collect();
    assert_same(&table, &reference_facts(&text));
}

#[test]
fn a_changed_number_would_be_seen() {
    let set = FileDescriptorSet::decode(holdfast_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut file = set.file.into_iter().find(|file| file.package() == "mesos.v1").unwrap();
    let offer = file.message_type.iter_mut().find(|message| message.name() == "Offer").unwrap();
    offer.field[0].number = Some(99);
    let mut facts = BTreeSet::new();
    file_facts(&file, &mut facts);
    let table: BTreeSet<String> = TABLE.lines().map(str::to_owned).collect();
    let strange: Vec<&String> = facts.difference(&table).collect();
    assert_eq!(strange, ["field\tmesos.v1.Offer\t99\tid\trequired\tmesos.v1.OfferID\t-\t-\t-"]);
}

fn assert_same(left: &BTreeSet<String>, right: &BTreeSet<String>) {
    let only_left: Vec<&String> = left.difference(right).take(20).collect();
    let only_right: Vec<&String> = right.difference(left).take(20).collect();
    assert!(
        only_left.is_empty() && only_right.is_empty(),
        "only left: {only_left:#?}\nonly right: {only_right:#?}"
    );
}

fn file_facts(file: &FileDescriptorProto, facts: &mut BTreeSet<String>) {
    let syntax = if file.syntax().is_empty() { "proto2" } else { file.syntax() };
    facts.insert(["file", file.name(), file.package(), syntax].join("\t"));
    for message in &file.message_type {
        message_facts(file.package(), message, facts);
    }
    for declared in &file.enum_type {
        enum_facts(file.package(), declared, facts);
    }
}

fn message_facts(outer: &str, message: &DescriptorProto, facts: &mut BTreeSet<String>) {
    let name = format!("{outer}.{}", message.name());
    facts.insert(format!("message\t{name}"));
    for field in &message.field {
        facts.insert(field_fact(&name, message, field));
    }
    for nested in message.nested_type.iter().filter(|nested| !is_map_entry(nested)) {
        message_facts(&name, nested, facts);
    }
    for declared in &message.enum_type {
        enum_facts(&name, declared, facts);
    }
}

fn field_fact(owner: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let entry = message
        .nested_type
        .iter()
        .find(|n| is_map_entry(n) && field.type_name().ends_with(&format!(".{}", n.name())));
    let (label, kind) = match entry {
        Some(entry) => {
            ("map", format!("map<{},{}>", kind_name(&entry.field[0]), kind_name(&entry.field[1])))
        }
        None => (label_name(field), kind_name(field)),
    };
    let oneof = field.oneof_index.map_or("-", |index| message.oneof_decl[index as usize].name());
    let deprecated = field.options.as_ref().is_some_and(|options| options.deprecated());
    [
        "field",
        owner,
        &field.number().to_string(),
        field.name(),
        label,
        &kind,
        field.default_value.as_deref().unwrap_or("-"),
        oneof,
        if deprecated { "deprecated" } else { "-" },
    ]
    .join("\t")
}

fn enum_facts(outer: &str, declared: &EnumDescriptorProto, facts: &mut BTreeSet<String>) {
    for (index, value) in declared.value.iter().enumerate() {
        // The first one is the default of an unset field, so it is a fact of the wire; the order of the others is not.
        let first = if index == 0 { "first" } else { "-" };
        facts.insert(format!(
            "value\t{outer}.{}\t{}\t{}\t{first}",
            declared.name(),
            value.number(),
            value.name()
        ));
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

fn label_name(field: &FieldDescriptorProto) -> &'static str {
    match field.label() {
        Label::Required => "required",
        Label::Optional => "optional",
        Label::Repeated => "repeated",
    }
}

fn kind_name(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum | Type::Group => {
            field.type_name().trim_start_matches('.').to_owned()
        }
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}

/// The reference has other columns (kind, container, number, label, type, name, notes) and lists entries of maps as messages.
fn reference_facts(text: &str) -> BTreeSet<String> {
    let rows: Vec<Vec<&str>> =
        text.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let maps: BTreeMap<&str, &str> =
        rows.iter().filter(|row| row[0] == "map").map(|row| (row[1], row[4])).collect();
    let mut facts = BTreeSet::new();
    let mut enums = BTreeSet::new();
    for row in &rows {
        let [kind, owner, number, label, r#type, name] =
            [row[0], row[1], row[2], row[3], row[4], row[5]];
        let notes: Vec<&str> =
            row.get(6).map(|notes| notes.split(';').collect()).unwrap_or_default();
        let note = |prefix: &str| {
            notes.iter().find_map(|note| note.strip_prefix(prefix)).unwrap_or("-").to_owned()
        };
        match kind {
            "file" => facts.insert(format!("file\t{name}\t{owner}\t{}", notes[0])),
            "message" => facts.insert(format!("message\t{owner}")),
            "enum" => {
                let first = if enums.insert(owner) { "first" } else { "-" };
                facts.insert(format!("value\t{owner}\t{number}\t{name}\t{first}"))
            }
            "field" => {
                let (label, r#type) = maps.get(r#type).map_or((label, r#type), |map| ("map", map));
                let deprecated = if notes.contains(&"deprecated") { "deprecated" } else { "-" };
                facts.insert(format!("message\t{owner}"));
                let [default, oneof] = [note("default="), note("oneof=")];
                facts.insert(format!("field\t{owner}\t{number}\t{name}\t{label}\t{type}\t{default}\t{oneof}\t{deprecated}"))
            }
            _ => false,
        };
    }
    facts
}
