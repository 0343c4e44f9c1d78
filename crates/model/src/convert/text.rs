//! Resources as people write them: `cpus:4;mem:1024;disk(ads):10;ports:[21000-24000];zones:{a,b}`, or a JSON array.
//!
//! Relies on the same rules as the wire. Never accepts from a configuration what only operations may make: dynamic reservations,
//! volumes, revocable or allocated resources (A19).

use std::collections::BTreeMap;

use holdfast_proto::mesos::v1;

use super::field::{each, Place};
use super::resource::{amount, from_proto};
use crate::labels::Labels;
use crate::resource::{Reservation, ReservationKind, Resource};
use crate::resources::Quantities;
use crate::role::Role;
use crate::validate::{check_intervals, check_items, check_resource, Invalid};
use crate::value::{Ranges, Value, ValueKind};

/// Reads an agent's resources. What is reserved for nobody is reserved for `default_role` (`*` = nobody), statically.
///
/// # Errors
/// [`Invalid`] whose path is the entry (`resources[2]`), with the rule.
pub fn resources(text: &str, default_role: &Role) -> Result<Vec<Resource>, Invalid> {
    let text = text.trim();
    let mut list = if text.starts_with('[') { json(text)? } else { plain(text)? };
    let mut kinds: BTreeMap<String, ValueKind> = BTreeMap::new();
    for (index, resource) in list.iter_mut().enumerate() {
        let identity = &mut resource.identity;
        if !identity.is_reserved() && !default_role.is_any() {
            identity.reservations.push(stays(default_role.clone()));
        }
        let kind = *kinds.entry(identity.name.clone()).or_insert(identity.kind);
        check_configured(resource, kind).under(format_args!("resources[{index}]"))?;
    }
    Ok(list)
}

/// Reads resources as JSON, an array of `mesos.v1.Resource` in any shape; for operators' calls.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn json(text: &str) -> Result<Vec<Resource>, Invalid> {
    let list: Vec<v1::Resource> =
        holdfast_proto::json::from_slice(text.as_bytes()).map_err(|error| {
            Invalid::new(
                format!("resources{}", error.path),
                format!("{}; give a JSON array of resources", error.message),
            )
        })?;
    each("resources", list, from_proto)
}

/// Reads amounts such as `cpus:0.01;mem:32`.
///
/// # Errors
/// [`Invalid`] naming the entry.
pub fn quantities(text: &str) -> Result<Quantities, Invalid> {
    let mut all = Quantities::new();
    for (index, entry) in entries(text, ';') {
        let field = format!("quantities[{index}]");
        let (name, value) = split(entry).under(&field)?;
        let amount = number(value).at(format_args!("{field}.{name}"))?;
        if all.insert(name.to_owned(), amount).is_some() {
            return Err(Invalid::new(
                field,
                format!("`{name}` comes twice; name each resource once"),
            ));
        }
    }
    Ok(all)
}

/// Reads the smallest offers, `cpus:0.01|mem:32`: an offer is made when it reaches all amounts of at least one set.
///
/// # Errors
/// [`Invalid`] naming the set and the entry.
pub fn smallest_offers(text: &str) -> Result<Vec<Quantities>, Invalid> {
    entries(text, '|')
        .map(|(index, set)| quantities(set).under(format_args!("sets[{index}]")))
        .collect()
}

fn plain(text: &str) -> Result<Vec<Resource>, Invalid> {
    entries(text, ';')
        .map(|(index, entry)| one(entry).under(format_args!("resources[{index}]")))
        .collect()
}

fn entries(text: &str, separator: char) -> impl Iterator<Item = (usize, &str)> {
    text.split(separator).map(str::trim).filter(|it| !it.is_empty()).enumerate()
}

fn split(entry: &str) -> Result<(&str, &str), Invalid> {
    let parts = entry.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    parts
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Invalid::new("", format!("`{entry}` is not of the form NAME:AMOUNT")))
}

fn number(text: &str) -> Result<crate::value::Scalar, Invalid> {
    let value: f64 = text.parse().map_err(|_| {
        Invalid::new("", format!("`{text}` is no amount; give a number, [FROM-TO,...] or {{A,B}}"))
    })?;
    amount(value)
}

fn one(entry: &str) -> Result<Resource, Invalid> {
    let (name, value) = split(entry)?;
    let (name, role) = match name.split_once('(') {
        None => (name, None),
        Some((name, role)) => {
            let role = role
                .strip_suffix(')')
                .ok_or_else(|| Invalid::new("", format!("`{entry}` lacks a `)` after the role")))?;
            (name.trim_end(), Some(Role::parse(role.trim())?).filter(|it| !it.is_any()))
        }
    };
    let resource = Resource::unreserved(name, amount_of(value).at(name)?);
    Ok(match role {
        Some(role) => resource.reserved(stays(role)),
        None => resource,
    })
}

fn amount_of(text: &str) -> Result<Value, Invalid> {
    if let Some(inner) = between(text, '[', ']') {
        let intervals = inner
            .split(',')
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .map(interval)
            .collect::<Result<Vec<_>, _>>()?;
        check_intervals(&intervals)?;
        return Ok(Value::Ranges(Ranges::new(intervals)));
    }
    if let Some(inner) = between(text, '{', '}') {
        let items: Vec<String> = inner
            .split(',')
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect();
        check_items(&items)?;
        return Ok(Value::Set(items.into_iter().collect()));
    }
    number(text).map(Value::Scalar)
}

fn between(text: &str, open: char, close: char) -> Option<&str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

fn interval(text: &str) -> Result<(u64, u64), Invalid> {
    let parts = text
        .split_once('-')
        .and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)));
    parts.ok_or_else(|| Invalid::new("", format!("`{text}` is not of the form FROM-TO")))
}

fn stays(role: Role) -> Reservation {
    Reservation { kind: ReservationKind::Static, role, principal: None, labels: Labels::default() }
}

fn check_configured(resource: &Resource, kind: ValueKind) -> Result<(), Invalid> {
    let identity = &resource.identity;
    let refuse = |field: &str, why: &str| Err(Invalid::new(field, why));
    if identity.kind != kind {
        return refuse("type", "differs from that of an earlier entry of the same name");
    }
    if identity.persistence.is_some() {
        return refuse("disk.persistence", "volumes are made by CREATE, not by configuration");
    }
    if identity.revocable {
        return refuse("revocable", "what is configured is never revocable");
    }
    if identity.reservations.iter().any(|it| it.kind == ReservationKind::Dynamic) {
        return refuse(
            "reservations",
            "dynamic reservations are made by RESERVE; write `NAME(ROLE)` for a static one",
        );
    }
    if identity.allocation.is_some() {
        return refuse("allocation_info", "what is configured is not allocated");
    }
    check_resource(resource)
}

#[cfg(test)]
mod tests;
