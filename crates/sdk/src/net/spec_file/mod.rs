//! The spec file: a service in TOML, read into a [`ServiceSpec`].
//!
//! Every key is known, and every value has a type. What is wrong is told with file, line and column,
//! the line itself and what to try, and all of it at once ([`SpecFileError`]). It relies on the rules
//! of [`ServiceSpec::check`] for what can be done, and finds the place of each of their errors by its
//! path. It never panics, whatever it is given, and never guesses what was meant.

mod nearest;
mod pod;
mod problem;
mod reader;
mod task;
mod units;
mod write;

use std::path::Path;

use holdfast_model::Role;
use toml::de::DeTable;

pub use self::problem::{Problem, SpecFileError};
use self::reader::{Item, Reader, Table};
pub use self::write::spec_text;
use super::service::unknown_variables;
use crate::spec::{ServiceSpec, SpecError};

/// The largest file that is read, in bytes.
pub const SPEC_FILE_BYTES_MAX: usize = 1 << 20;

/// Reads a spec from a file.
///
/// # Errors
/// When the file cannot be read, or is no spec.
pub fn read_spec_file(path: &Path) -> Result<ServiceSpec, SpecFileError> {
    let file = path.display().to_string();
    let bytes = std::fs::metadata(path)
        .and_then(|it| match it.len() <= SPEC_FILE_BYTES_MAX as u64 {
            true => std::fs::read(path),
            false => Err(std::io::Error::other(too_large())),
        })
        .map_err(|error| {
            let what = format!("the file cannot be read: {error}");
            whole(&file, what, "name a file that you may read; `holdfast service init` writes one")
        })?;
    parse_spec(&file, &bytes)
}

/// Reads a spec from the bytes of a file; `file` is what it is called in errors.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_spec(file: &str, bytes: &[u8]) -> Result<ServiceSpec, SpecFileError> {
    if SPEC_FILE_BYTES_MAX < bytes.len() {
        return Err(whole(file, too_large(), "write a spec of a page, not of a megabyte"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => return Err(no_text(file, bytes, error.valid_up_to())),
    };
    let document = DeTable::parse(text).map_err(|first| {
        let problems = misread_all(text, first);
        SpecFileError { file: file.to_owned(), problems }
    })?;
    let mut reader = Reader::new(text);
    let spec = service(&mut reader, document.get_ref());
    if reader.is_well() {
        match spec.as_ref().map(ServiceSpec::check) {
            Some(Err(errors)) => errors.iter().for_each(|it| ruled_out(&mut reader, it)),
            Some(Ok(())) => {
                let unknown = spec.iter().flat_map(unknown_variables);
                unknown.for_each(|it| ruled_out(&mut reader, &it));
            }
            None => reader.wrong(&(0..0), "this is no spec".to_owned(), "name its pods"),
        }
    }
    match spec {
        Some(spec) if reader.is_well() => Ok(spec),
        _ => Err(SpecFileError { file: file.to_owned(), problems: reader.problems() }),
    }
}

/// How many errors of TOML itself are told.
const MISREAD_MAX: usize = 20;
/// The largest text in which all of them are looked for, in bytes: each letter can be an error, and takes 900 bytes to remember.
const MISREAD_ALL_MAX: usize = 8 * 1024;

fn too_large() -> String {
    format!("the file is larger than {SPEC_FILE_BYTES_MAX} bytes")
}

/// An error of the file as a whole.
fn whole(file: &str, what: String, hint: &str) -> SpecFileError {
    let problem = Problem::at("", &(0..0), what, hint.to_owned());
    SpecFileError { file: file.to_owned(), problems: vec![problem] }
}

fn no_text(file: &str, bytes: &[u8], at: usize) -> SpecFileError {
    let text = String::from_utf8_lossy(bytes);
    let before = String::from_utf8_lossy(&bytes[..at]).len();
    let what = "the file is no text in UTF-8".to_owned();
    let hint = "write it with an editor; a spec is TOML".to_owned();
    let problems = vec![Problem::at(&text, &(before..before + 1), what, hint)];
    SpecFileError { file: file.to_owned(), problems }
}

/// What is no TOML in a text: all of it, or the first where the text is long.
fn misread_all(text: &str, first: toml::de::Error) -> Vec<Problem> {
    let errors = match text.len() <= MISREAD_ALL_MAX {
        true => DeTable::parse_recoverable(text).1,
        false => vec![first],
    };
    errors.iter().take(MISREAD_MAX).map(|it| misread(text, it)).collect()
}

fn misread(text: &str, error: &toml::de::Error) -> Problem {
    let range = error.span().unwrap_or(0..0);
    let said = error.message();
    let hint = match said {
        it if it.contains("duplicate key") => "each name may stand once: rename or remove one",
        it if it.contains("recursion") => "a spec is a few tables deep",
        _ => "see https://toml.io, and the commented file that `holdfast service init` writes",
    };
    Problem::at(text, &range, format!("this is no TOML: {said}"), hint.to_owned())
}

/// An error of the rules, at its place in the file.
fn ruled_out(reader: &mut Reader<'_>, error: &SpecError) {
    let (cause, hint) = error.why.split_once("; ").unwrap_or((&error.why, "change it"));
    let last = error.path.rsplit('.').next().unwrap_or_default();
    let last = last.split('[').next().unwrap_or_default();
    reader.wrong_field(&error.path, format!("`{}` {cause}", key_of(last)), hint);
}

/// How a field of the spec is called in the file.
fn key_of(field: &str) -> &str {
    match field {
        "size_mb" => "size",
        "mem_mb" => "memory",
        "class" => "disk",
        "interval_ms" => "every",
        "failures_max" => "failures",
        "value" => "uri",
        "output_file" => "output",
        other => other.strip_suffix("_ms").unwrap_or(other),
    }
}

fn service<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>) -> Option<ServiceSpec> {
    let mut table = reader.root(document, "a service");
    let name =
        table.need(reader, "name", "name", "name = \"ring\"").and_then(|it| reader.text(&it));
    let role = table.get(reader, "role", "role");
    let role = match role {
        Some(item) => role_of(reader, &item),
        None => name.as_deref().and_then(|it| Role::parse(it).ok()),
    };
    let principal = text(reader, &mut table, "principal");
    let user = text(reader, &mut table, "user");
    let pods = table.need(reader, "pods", "pods", "[pods.data]").map(|it| pods(reader, &it));
    table.close(reader);
    // A name that is no role's is told as what is wrong with the name.
    let role = role.or_else(|| Role::parse("unnamed").ok())?;
    Some(ServiceSpec { name: name?, role, principal, user, pods: pods? })
}

fn role_of<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<Role> {
    let text = reader.text(item)?;
    match Role::parse(&text) {
        Ok(role) => Some(role),
        Err(error) => {
            let hint = "write letters, digits and `-`, such as \"db\"";
            reader.wrong(&item.range, error.to_string(), hint);
            None
        }
    }
}

fn pods<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Vec<crate::spec::PodSpec> {
    let Some(table) = reader.table(item, "`pods`") else { return Vec::new() };
    let named = table.named(reader);
    named.iter().filter_map(|(name, item)| pod::read(reader, name, item)).collect()
}

/// The text of a key, which has the same name in the spec.
fn text<'t>(
    reader: &mut Reader<'t>,
    table: &mut Table<'_, 't>,
    key: &'static str,
) -> Option<String> {
    table.get(reader, key, key).and_then(|it| reader.text(&it))
}

#[cfg(test)]
mod tests;
