//! Tables of what must be there: for each message that has a required field somewhere below, its required fields and the ways down.
//!
//! Read by `src/required.rs`, which walks received bytes with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::schema::{Field, Kind, Message, Presence, Schema};

/// The tables as Rust code, sorted by full name so that they can be searched.
pub fn write(schema: &Schema) -> String {
    let demanding = demanding(schema);
    let index: BTreeMap<&str, usize> =
        demanding.iter().enumerate().map(|(index, name)| (*name, index)).collect();
    let mut code = String::from("static SHAPES: &[Shape] = &[\n");
    for name in &demanding {
        let message = &schema.messages[*name];
        let _ = writeln!(code, "    Shape {{ name: {name:?}, fields: &[");
        let mut fields: Vec<&Field> = message.fields.iter().collect();
        fields.sort_by_key(|field| field.number);
        for field in fields {
            if let Some(kind) = kind(schema, field, &index) {
                let _ = writeln!(
                    code,
                    "        Field {{ number: {}, name: {:?}, required: {}, kind: {kind} }},",
                    field.number,
                    field.name,
                    field.presence == Presence::Required
                );
            }
        }
        let _ = writeln!(code, "    ] }},");
    }
    code.push_str("];\n");
    code
}

/// How to look at a field; none when there is nothing to check.
fn kind(schema: &Schema, field: &Field, index: &BTreeMap<&str, usize>) -> Option<String> {
    let required = field.presence == Presence::Required;
    match &field.kind {
        Kind::Message(name) => match (index.get(name.as_str()), field.presence) {
            (Some(index), Presence::Map) => Some(format!("Kind::Map({index})")),
            (Some(index), Presence::Repeated) => Some(format!("Kind::List({index})")),
            (Some(index), _) => Some(format!("Kind::Message({index})")),
            (None, _) => required.then(|| "Kind::Plain".to_owned()),
        },
        Kind::Enum(name) if required => {
            let mut numbers: Vec<i32> =
                schema.enums[name].values.iter().map(|(_, number)| *number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            Some(format!("Kind::Enum(&{numbers:?})"))
        }
        _ => required.then(|| "Kind::Plain".to_owned()),
    }
}

/// Names of the messages with a required field in them or below them.
fn demanding(schema: &Schema) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        for (name, message) in &schema.messages {
            if demands(message, &found) {
                found.insert(name.as_str());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

fn demands(message: &Message, found: &BTreeSet<&str>) -> bool {
    let below =
        |field: &Field| matches!(&field.kind, Kind::Message(name) if found.contains(name.as_str()));
    message.fields.iter().any(|field| field.presence == Presence::Required || below(field))
}
