//! Where prost-build puts a message or an enum: the same renaming as prost-build's own (heck, raw identifiers).
//!
//! Never guesses: a name that prost-build would mangle in another way fails to compile in the generated code.

use heck::{ToSnakeCase, ToUpperCamelCase};

/// The path of a message or enum, from the crate's root: package `mesos.v1`, name `Offer.Operation` give
/// `crate::mesos::v1::offer::Operation`.
pub fn type_path(package: &str, name: &str) -> String {
    let mut path = module_of(package);
    let mut parts: Vec<&str> = name.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        path.push_str("::");
        path.push_str(&field_name(part));
    }
    format!("{path}::{}", last.to_upper_camel_case())
}

/// The module that holds what is nested in a message.
pub fn nested_module(package: &str, name: &str) -> String {
    name.split('.').fold(module_of(package), |path, part| format!("{path}::{}", field_name(part)))
}

/// The identifier of a field or module.
pub fn field_name(name: &str) -> String {
    let snake = name.to_snake_case();
    match snake.as_str() {
        "as" | "break" | "const" | "continue" | "else" | "enum" | "false" | "fn" | "for" | "if"
        | "impl" | "in" | "let" | "loop" | "match" | "mod" | "move" | "mut" | "pub" | "ref"
        | "return" | "static" | "struct" | "trait" | "true" | "type" | "unsafe" | "use"
        | "where" | "while" | "dyn" | "abstract" | "become" | "box" | "do" | "final" | "macro"
        | "override" | "priv" | "typeof" | "unsized" | "virtual" | "yield" | "async" | "await"
        | "try" | "gen" => format!("r#{snake}"),
        _ => snake,
    }
}

/// The identifier of a variant of a oneof, and of the oneof itself.
pub fn variant_name(name: &str) -> String {
    name.to_upper_camel_case()
}

fn module_of(package: &str) -> String {
    package
        .split('.')
        .filter(|part| !part.is_empty())
        .fold("crate".to_owned(), |path, part| format!("{path}::{}", field_name(part)))
}
