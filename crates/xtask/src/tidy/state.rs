//! What a core keeps: types that change hold few things, each of them private.
//!
//! Relies on methods: a type that has one with `&mut self` is state. What never changes in place (settings, inputs, effects, views, records
//! that mirror a message) has none, and may have as many fields as it says. Never looks at tests.

use std::collections::BTreeSet;

use super::house::{House, Kind, Package};
use super::items::{Receiver, Type};
use super::limits;
use super::Complaint;

/// Crates whose state is judged.
const CORES: &[&str] = &["master", "agent", "allocator"];

/// No type of a core has too many fields, or one that another crate may touch.
pub fn check(house: &House) -> Vec<Complaint> {
    let is_core =
        |package: &&Package| package.kind == Kind::Crate && CORES.contains(&package.name.as_str());
    house.packages.iter().filter(is_core).flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Complaint> {
    let shipped = || package.sources.iter().filter(|it| !it.standing.test && !it.standing.outside);
    let bodies = shipped().flat_map(|source| &source.items.bodies);
    let changed: BTreeSet<&str> = bodies
        .filter(|body| body.receiver == Receiver::Mutable)
        .filter_map(|body| body.owner.as_deref())
        .collect();
    let most = limits::of(&package.name);
    let mut complaints = Vec::new();
    for source in shipped() {
        for it in source.items.types.iter().filter(|it| changed.contains(&*it.name)) {
            complaints.extend(check_type(&source.path, it, most));
        }
    }
    complaints
}

fn check_type(path: &str, it: &Type, most: limits::Limits) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if most.state_fields < it.fields.len() {
        let says = format!(
            "`{}` keeps {} things, the limit is {}; make a part of it a type with verbs of its own",
            it.name,
            it.fields.len(),
            most.state_fields
        );
        complaints.push(Complaint::at(path, it.line, says));
    }
    for field in it.fields.iter().filter(|field| field.public && !most.public_state) {
        let says = format!("`{}.{}` is open to other crates; give it a verb", it.name, field.name);
        complaints.push(Complaint::at(path, field.line, says));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_small_and_private() {
        let fields = |count: usize, of: &str| -> String {
            (0..count).map(|at| format!("{of}f{at}: u8, ")).collect()
        };
        let change = "impl S { fn change(&mut self) {} }";
        for (text, count) in [
            (format!("struct S {{ {} }} {change}", fields(8, "")), 0),
            (format!("struct S {{ {} }} {change}", fields(9, "")), 1),
            (format!("struct S {{ {} }} impl S {{ fn look(&self) {{}} }}", fields(9, "pub ")), 0),
            (format!("struct S {{ {} }} {change}", fields(2, "pub ")), 2),
            (format!("struct S {{ {} }} {change}", fields(2, "pub(crate) ")), 0),
            (format!("struct S {{ {} }} #[cfg(test)] {change}", fields(9, "pub ")), 0),
        ] {
            let manifest = ("crates/allocator/Cargo.toml", "[package]\nname = \"any\"");
            let house = House::of(&[manifest, ("crates/allocator/src/lib.rs", &text)]);
            let found = check(&house);
            assert_eq!(found.len(), count, "{text}: {found:?}");
        }
    }
}
