//! The JSON mapping, written as serde attributes on the structs that prost-build makes.
//!
//! Relies on the codecs of `src/json`, which hold the rules; this file only says which field follows which.

use std::fmt::Write as _;

use crate::rust_path;
use crate::schema::{Field, Kind, Presence, Schema};

/// Puts the attributes into `config`, and returns the code that they call: names of enums, defaults that are printed.
pub fn write(schema: &Schema, config: &mut prost_build::Config) -> String {
    let mut glue = String::new();
    config.message_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]");
    for (full_name, message) in &schema.messages {
        if !message.oneofs.is_empty() {
            // `oneofs` writes these by hand.
            continue;
        }
        for field in &message.fields {
            let path = format!(".{full_name}.{}", field.name);
            let attribute = match &field.printed_default {
                Some(default) if field.presence == Presence::Optional => {
                    let function = format!(
                        "default_of_{}",
                        format!("{full_name}_{}", field.name).replace('.', "_").to_lowercase()
                    );
                    glue.push_str(&printed_default(schema, field, &function, default));
                    format!(
                        "#[serde(rename = \"{}\", default, serialize_with = \"crate::json::glue::{function}\", \
                         deserialize_with = \"{}::deserialize\")]",
                        field.name,
                        codec(schema, field).expect("an optional scalar has a codec")
                    )
                }
                _ => serde_attribute(schema, field),
            };
            config.field_attribute(path, attribute);
        }
    }
    for (full_name, declared) in &schema.enums {
        let names: Vec<&str> = declared.values.iter().map(|(name, _)| name.as_str()).collect();
        let path = &declared.path;
        let _ = writeln!(glue, "impl crate::json::Named for {path} {{");
        let _ = writeln!(glue, "    const FULL_NAME: &'static str = {full_name:?};");
        let _ = writeln!(glue, "    const NAMES: &'static [&'static str] = &{names:?};");
        let _ = writeln!(glue, "    fn name(self) -> &'static str {{ self.as_str_name() }}");
        let _ = writeln!(
            glue,
            "    fn of_name(name: &str) -> Option<Self> {{ Self::from_str_name(name) }}\n}}"
        );
    }
    glue
}

/// The serde attribute of one field.
pub fn serde_attribute(schema: &Schema, field: &Field) -> String {
    let name = &field.name;
    let with =
        codec(schema, field).map(|codec| format!(", with = \"{codec}\"")).unwrap_or_default();
    let absent = match (&field.kind, field.presence) {
        (_, Presence::Required) => String::new(),
        (Kind::Enum(name), Presence::Implicit) => {
            format!(
                ", default = \"crate::json::ImplicitEnum::<{}>::absent\"",
                schema.enums[name].path
            )
        }
        (_, Presence::Implicit) => ", default".to_owned(),
        (_, Presence::Repeated) => ", default, skip_serializing_if = \"Vec::is_empty\"".to_owned(),
        (_, Presence::Map) => {
            ", default, skip_serializing_if = \"std::collections::BTreeMap::is_empty\"".to_owned()
        }
        (Kind::Enum(_), Presence::Optional | Presence::Oneof(_)) => {
            format!(
                ", default, skip_serializing_if = \"{}::is_absent\"",
                codec(schema, field).expect("enums have a codec")
            )
        }
        (_, Presence::Optional | Presence::Oneof(_)) => {
            ", default, skip_serializing_if = \"Option::is_none\"".to_owned()
        }
    };
    format!("#[serde(rename = \"{name}\"{absent}{with})]")
}

/// The type in `src/json` that reads and writes the field; none where serde's own way is ours.
fn codec(schema: &Schema, field: &Field) -> Option<String> {
    if let (Kind::Enum(name), Presence::Optional | Presence::Implicit | Presence::Oneof(_)) =
        (&field.kind, field.presence)
    {
        let shape =
            if field.presence == Presence::Implicit { "ImplicitEnum" } else { "OptionalEnum" };
        return Some(format!("crate::json::{shape}::<{}>", schema.enums[name].path));
    }
    let shape = match field.presence {
        Presence::Required => "Required",
        Presence::Optional | Presence::Oneof(_) => "Optional",
        Presence::Implicit => "Implicit",
        Presence::Repeated => "Repeated",
        Presence::Map => "Map",
    };
    let plain = matches!(field.kind, Kind::String | Kind::Message(_));
    if plain && matches!(shape, "Required" | "Optional") && field.printed_default.is_none() {
        return None;
    }
    Some(format!("crate::json::{shape}::<{}>", value_codec(schema, &field.kind)))
}

/// The codec of one value.
fn value_codec(schema: &Schema, kind: &Kind) -> String {
    match kind {
        Kind::Bool => "crate::json::Bool".to_owned(),
        Kind::Integer(rust) => format!("crate::json::Integer<{rust}>"),
        Kind::Double => "crate::json::Double".to_owned(),
        Kind::Bytes => "crate::json::Base64".to_owned(),
        Kind::Enum(name) => format!("crate::json::Enum<{}>", schema.enums[name].path),
        Kind::String | Kind::Message(_) => "crate::json::Plain<_>".to_owned(),
    }
}

/// A function that prints `default` for an unset field.
fn printed_default(schema: &Schema, field: &Field, function: &str, default: &str) -> String {
    let codec = value_codec(schema, &field.kind);
    let (rust, value) = match &field.kind {
        Kind::Bool => ("bool", format!("value.unwrap_or({default})")),
        Kind::Integer(rust) => (*rust, format!("value.unwrap_or({default})")),
        Kind::Double => ("f64", format!("value.unwrap_or({default} as f64)")),
        Kind::Enum(name) => {
            let declared = &schema.enums[name];
            let number = declared
                .values
                .iter()
                .find(|(name, _)| name == default)
                .expect("the compiler checked the default")
                .1;
            let known =
                format!("value.filter(|number| {}::try_from(*number).is_ok())", declared.path);
            ("i32", format!("{known}.unwrap_or({number})"))
        }
        Kind::String => {
            ("String", format!("value.clone().unwrap_or_else(|| {default:?}.to_owned())"))
        }
        Kind::Bytes | Kind::Message(_) => panic!("{function}: write how this default is printed"),
    };
    let codec = rust_codec(&codec);
    format!(
        "pub fn {function}<S: serde::Serializer>(value: &Option<{rust}>, to: S) -> Result<S::Ok, S::Error> {{\n    \
         <{codec} as crate::json::Codec>::write(&{value}, to)\n}}\n"
    )
}

/// In a function body nothing infers `_`; only strings come here.
fn rust_codec(codec: &str) -> String {
    codec.replace("Plain<_>", "Plain<String>")
}

/// The Rust type of one value of the field, for the structs that `oneofs` declares.
pub fn rust_type(schema: &Schema, kind: &Kind) -> String {
    match kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Integer(rust) => (*rust).to_owned(),
        Kind::Double => "f64".to_owned(),
        Kind::String => "String".to_owned(),
        Kind::Bytes => "Vec<u8>".to_owned(),
        Kind::Enum(_) => "i32".to_owned(),
        Kind::Message(name) => schema.message_path(name),
    }
}

/// The identifier of a field.
pub fn rust_field(field: &Field) -> String {
    rust_path::field_name(&field.name)
}
