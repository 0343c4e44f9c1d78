//! The text of resources (`cpus(db):1; mem:512; ports:[1-2]`) in fewer words: what there is of each, reserved or not.
//!
//! Relies on how `model` writes resources. Never decides on what it reads: it is for the eye.

use std::collections::BTreeMap;

use super::human;

/// What is named first, in this order; everything else follows by name.
const FIRST: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

/// A short form such as `cpus 1.5, mem 2 GiB, disk 10 GiB`; only amounts that can be added.
pub fn summary(resources: &str) -> String {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for entry in resources.split("; ") {
        let Some((identity, amount)) = entry.rsplit_once(':') else { continue };
        let name = identity.split(['(', '[']).next().unwrap_or_default();
        if let Some(amount) = amount.parse::<f64>().ok().filter(|it| it.is_finite()) {
            *sums.entry(name).or_default() += amount;
        }
    }
    let others: Vec<&str> = sums.keys().copied().filter(|it| !FIRST.contains(it)).collect();
    let named = FIRST
        .into_iter()
        .chain(others)
        .filter_map(|name| sums.get(name).map(|sum| one(name, *sum)));
    let text = named.collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// One amount with its name.
fn one(name: &str, amount: f64) -> String {
    format!("{name} {}", of(name, amount))
}

/// An amount of something: memory and disk are MB, everything else a count.
pub fn of(name: &str, amount: f64) -> String {
    match name {
        "mem" | "disk" => human::size_mb(amount.max(0.0) as u64),
        // Amounts are thousandths: more digits are noise of the addition.
        _ => format!("{}", (amount * 1000.0).round() / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_added_whoever_they_are_reserved_for() {
        let text = "disk(db, p, {member=a, zone})[Path:/mnt/d:1,vol]:1024; cpus:0.1; cpus(db):0.2; mem:512; ports:[31000-32000]; disk:512; apples:3";
        assert_eq!(summary(text), "cpus 0.3, mem 512 MiB, disk 1.5 GiB, apples 3");
        for none in ["nothing", "", "ports:[1-2]", "zones:{a,b}", ":"] {
            assert!(
                ["-", " "].iter().any(|it| summary(none).starts_with(it)),
                "{none:?}: {}",
                summary(none)
            );
        }
    }
}
