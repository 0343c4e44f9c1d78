//! What is wrong with an input, and where. Also the rules for single resources (`semantics.md` A).

use std::collections::BTreeSet;
use std::fmt;

use crate::resource::{ReservationKind, Resource, SourceKind};
use crate::value::{Scalar, Value};

/// An input that breaks a rule: the field, and the rule with what to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Dotted path of the field, such as `accept.operations[0].reserve.resources[1].scalar`.
    pub path: String,
    /// What is wrong, and what to try.
    pub why: String,
}

impl Invalid {
    /// A broken rule at `path`.
    pub fn new(path: impl Into<String>, why: impl Into<String>) -> Invalid {
        Invalid { path: path.into(), why: why.into() }
    }

    /// The same, seen from one level further out.
    pub fn within(self, outer: impl fmt::Display) -> Invalid {
        let path =
            if self.path.is_empty() { outer.to_string() } else { format!("{outer}.{}", self.path) };
        Invalid { path, why: self.why }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

impl std::error::Error for Invalid {}

/// Checks one resource by itself, whatever is done with it.
///
/// # Errors
/// [`Invalid`] naming the field: a negative or too small amount, a reservation stack that does not go down the role tree, a disk
/// that is none, a volume that nobody reserved ...
pub fn check_resource(resource: &Resource) -> Result<(), Invalid> {
    let identity = &resource.identity;
    if identity.name.is_empty() {
        return Err(Invalid::new("name", "a resource must have a name, such as `cpus`"));
    }
    if let Value::Scalar(amount) = &resource.value {
        if *amount < Scalar::ZERO {
            return Err(Invalid::new(
                "scalar.value",
                format!("{amount} is negative; give 0 or more"),
            ));
        }
        if identity.name == "gpus" && amount.as_thousandths() % 1000 != 0 {
            return Err(Invalid::new("scalar.value", format!("gpus must be whole, not {amount}")));
        }
    }
    check_stack(resource)?;
    check_disk(resource)?;
    if identity.shared && identity.persistence.is_none() {
        return Err(Invalid::new("shared", "only persistent volumes can be shared"));
    }
    if identity.revocable && identity.is_dynamic() {
        return Err(Invalid::new("revocable", "revocable resources cannot be reserved"));
    }
    Ok(())
}

fn check_stack(resource: &Resource) -> Result<(), Invalid> {
    for (index, reservation) in resource.identity.reservations.iter().enumerate() {
        let at = |field: &str, why: String| {
            Err(Invalid::new(format!("reservations[{index}].{field}"), why))
        };
        if reservation.role.is_any() {
            return at("role", "resources cannot be reserved for `*`; name a role".to_owned());
        }
        if index == 0 {
            continue;
        }
        if reservation.kind == ReservationKind::Static {
            return at("type", "only the outermost reservation can be STATIC".to_owned());
        }
        let outer = &resource.identity.reservations[index - 1].role;
        if !reservation.role.is_below(outer) {
            return at(
                "role",
                format!(
                    "`{}` is not below `{outer}`; a refined reservation goes down the role tree",
                    reservation.role
                ),
            );
        }
    }
    Ok(())
}

fn check_disk(resource: &Resource) -> Result<(), Invalid> {
    let identity = &resource.identity;
    if identity.name != "disk" && (identity.source.is_some() || identity.persistence.is_some()) {
        return Err(Invalid::new(
            "disk",
            format!("`{}` is no disk and cannot have disk information", identity.name),
        ));
    }
    if let Some(source) = &identity.source {
        match (source.kind, &source.root) {
            (SourceKind::Path | SourceKind::Mount, None) if identity.provider.is_none() => {
                return Err(Invalid::new("disk.source", "PATH and MOUNT need their root"));
            }
            (SourceKind::Block | SourceKind::Raw, Some(_)) => {
                return Err(Invalid::new("disk.source", "BLOCK and RAW have no root"));
            }
            _ => {}
        }
    }
    if identity.persistence.is_none() {
        return Ok(());
    }
    if identity.revocable {
        return Err(Invalid::new("disk.persistence", "a volume cannot lie on revocable resources"));
    }
    if !identity.is_reserved() {
        return Err(Invalid::new(
            "disk.persistence",
            "a volume must lie on reserved disk; RESERVE it first",
        ));
    }
    match &resource.mount {
        None => Err(Invalid::new(
            "disk.volume",
            "a persistent volume needs `volume` with its container_path and mode",
        )),
        Some(mount) => {
            check_container_path(&mount.container_path).map_err(|it| it.within("disk.volume"))
        }
    }
}

/// Checks where a volume shall be seen: inside the sandbox, and nowhere else.
///
/// # Errors
/// [`Invalid`] when it is empty, absolute, or climbs with `..`.
pub fn check_container_path(path: &str) -> Result<(), Invalid> {
    let refuse = |why: &str| {
        Err(Invalid::new(
            "container_path",
            format!("`{}` {why}; use a relative path such as `data`", path.escape_debug()),
        ))
    };
    if path.is_empty() {
        return refuse("is empty");
    }
    if path.starts_with('/') {
        return refuse("is absolute");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("has an empty, `.` or `..` component");
    }
    if path.chars().any(char::is_control) || 1024 < path.len() {
        return refuse("has control characters or is longer than 1024 bytes");
    }
    Ok(())
}

/// Checks intervals as they came, before they are joined.
///
/// # Errors
/// [`Invalid`] when one ends before it begins, or two overlap.
pub fn check_intervals(intervals: &[(u64, u64)]) -> Result<(), Invalid> {
    let mut sorted = intervals.to_vec();
    sorted.sort_unstable();
    for (index, (begin, end)) in intervals.iter().enumerate() {
        if end < begin {
            return Err(Invalid::new(
                format!("ranges.range[{index}]"),
                format!("{begin}-{end} ends before it begins"),
            ));
        }
    }
    for pair in sorted.windows(2) {
        if pair[1].0 <= pair[0].1 {
            let (a, b) = (pair[0], pair[1]);
            return Err(Invalid::new(
                "ranges.range",
                format!("{}-{} and {}-{} overlap; name each number once", a.0, a.1, b.0, b.1),
            ));
        }
    }
    Ok(())
}

/// Checks that no item comes twice.
///
/// # Errors
/// [`Invalid`] naming the item.
pub fn check_items(items: &[String]) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    match items.iter().find(|item| !seen.insert(item.as_str())) {
        Some(twice) => Err(Invalid::new("set.item", format!("`{twice}` comes twice"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_may_touch_but_not_overlap() {
        assert!(check_intervals(&[(3, 4), (1, 2)]).is_ok());
        for bad in
            [vec![(5, 10), (1, 6)], vec![(1, 6), (5, 10)], vec![(2, 1)], vec![(1, 1), (1, 1)]]
        {
            assert!(check_intervals(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_container_path_stays_in_the_sandbox() {
        for bad in ["", "/data", "../x", "a/../../x", "a//b", "a\0"] {
            assert!(check_container_path(bad).is_err(), "{bad:?}");
        }
        assert!(check_container_path("var/lib/data").is_ok());
    }
}
