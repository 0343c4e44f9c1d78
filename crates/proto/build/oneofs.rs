//! JSON for messages with a oneof. In JSON the members lie beside the other fields, and at most one may be set.
//!
//! serde could only say that by `flatten`, which buffers the message, loses the path of an error and turns a wrong member into an
//! absent one. So each such message gets a twin with plain optional fields that is read and written in its place.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::attributes::{rust_field, rust_type, serde_attribute};
use crate::rust_path;
use crate::schema::{Field, Message, Presence, Schema};

const DERIVE: &str = "#[derive(serde::Serialize, serde::Deserialize)]";

/// The twins and the conversions.
pub fn write(schema: &Schema) -> String {
    let mut code = String::new();
    for (full_name, message) in schema.messages.iter().filter(|(_, m)| !m.oneofs.is_empty()) {
        let path = schema.message_path(full_name);
        let twin = format!("Twin{}", rust_path::variant_name(&full_name.replace('.', "_")));
        let _ = writeln!(code, "{DERIVE}\nstruct {twin} {{");
        for field in &message.fields {
            let _ = writeln!(
                code,
                "    {}\n    {}: {},",
                serde_attribute(schema, field),
                rust_field(field),
                field_type(schema, field)
            );
        }
        let _ = writeln!(code, "}}");
        code.push_str(&serialize(message, &path, &twin));
        code.push_str(&deserialize(message, &path, &twin));
    }
    code
}

fn serialize(message: &Message, path: &str, twin: &str) -> String {
    let mut code = format!("impl serde::Serialize for {path} {{\n    fn serialize<S: serde::Serializer>(&self, to: S) -> ");
    let _ = writeln!(code, "Result<S::Ok, S::Error> {{\n        let twin = {twin} {{");
    for field in &message.fields {
        let name = rust_field(field);
        let value = match field.presence {
            Presence::Oneof(index) => {
                let oneof = &message.oneofs[index];
                let chosen = format!(
                    "{}::{}",
                    oneof_path(message, oneof),
                    rust_path::variant_name(&field.name)
                );
                let slot = rust_path::field_name(oneof);
                format!("match &self.{slot} {{ Some({chosen}(value)) => Some(value.clone()), _ => None }}")
            }
            _ => format!("self.{name}.clone()"),
        };
        let _ = writeln!(code, "            {name}: {value},");
    }
    let _ =
        writeln!(code, "        }};\n        serde::Serialize::serialize(&twin, to)\n    }}\n}}");
    code
}

fn deserialize(message: &Message, path: &str, twin: &str) -> String {
    let mut code = format!("impl<'de> serde::Deserialize<'de> for {path} {{\n    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> ");
    let _ = writeln!(code, "Result<Self, D::Error> {{\n        let twin = <{twin} as serde::Deserialize>::deserialize(from)?;");
    for (index, oneof) in message.oneofs.iter().enumerate() {
        let members: Vec<&Field> =
            message.fields.iter().filter(|f| f.presence == Presence::Oneof(index)).collect();
        let slot = rust_path::field_name(oneof);
        let names: Vec<&str> = members.iter().map(|f| f.name.as_str()).collect();
        let list: Vec<String> = members
            .iter()
            .map(|f| {
                format!(
                    "twin.{}.map({}::{})",
                    rust_field(f),
                    oneof_path(message, oneof),
                    rust_path::variant_name(&f.name)
                )
            })
            .collect();
        let _ = writeln!(
            code,
            "        let {slot} = crate::json::only_one([{}], &{names:?})?;",
            list.join(", ")
        );
    }
    let mut slots: Vec<String> =
        message.oneofs.iter().map(|oneof| rust_path::field_name(oneof)).collect();
    let others = message.fields.iter().filter(|f| !matches!(f.presence, Presence::Oneof(_)));
    slots.extend(others.map(|f| format!("{0}: twin.{0}", rust_field(f))));
    let _ = writeln!(code, "        Ok(Self {{ {} }})\n    }}\n}}", slots.join(", "));
    code
}

fn oneof_path(message: &Message, oneof: &str) -> String {
    format!(
        "{}::{}",
        rust_path::nested_module(&message.package, &message.name),
        rust_path::variant_name(oneof)
    )
}

fn field_type(schema: &Schema, field: &Field) -> String {
    let one = rust_type(schema, &field.kind);
    match field.presence {
        Presence::Required | Presence::Implicit => one,
        Presence::Optional | Presence::Oneof(_) => format!("Option<{one}>"),
        Presence::Repeated => format!("Vec<{one}>"),
        Presence::Map => format!("std::collections::BTreeMap<String, {one}>"),
    }
}

/// Messages with a oneof have their serde by hand (above), so their derive goes. prost-build can only add attributes to a message
/// together with everything nested in it, so this looks at what it wrote: the derive before a struct with a `oneof` field.
pub fn take_derives_away(out: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|ext| ext != "rs")
            || ["all.rs", "json_glue.rs", "shapes.rs"].contains(&name)
        {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let mut latest = None;
        let mut dropped = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            match line.trim() {
                DERIVE => latest = Some(number),
                // A long attribute is broken into lines.
                line if line.starts_with("#[prost(oneof = ") || line.starts_with("oneof = ") => {
                    dropped.extend(latest)
                }
                _ => {}
            }
        }
        let kept: Vec<&str> = text
            .lines()
            .enumerate()
            .filter(|(number, _)| !dropped.contains(number))
            .map(|(_, line)| line)
            .collect();
        fs::write(&path, kept.join("\n"))?;
    }
    Ok(())
}
