//! Amounts as the old endpoints give them: one number or text for each name, whatever is reserved and whatever is not.
//!
//! Never leaves out a resource because of its name or of how many reservations share it.

use std::collections::BTreeMap;

use holdfast_model::{Quantities, Resources, Scalar, Value};
use serde::Serialize;

/// What is always there, be it 0.
const ALWAYS: [&str; 4] = ["cpus", "disk", "gpus", "mem"];

/// A number, or ranges and sets as text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Figure {
    Number(f64),
    Text(String),
}

/// Flat amounts by name; what may be taken back at any time has names of its own (`cpus_revocable`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Amounts(BTreeMap<String, Figure>);

impl Amounts {
    /// The sums of these resources: counts are added up, ranges and sets joined.
    pub fn of(resources: &Resources) -> Amounts {
        let nothing = |name: &&str| ((*name).to_owned(), Value::Scalar(Scalar::ZERO));
        let mut sums: BTreeMap<String, Value> = ALWAYS.iter().map(nothing).collect();
        for (identity, amount) in resources.entries() {
            let copies = if identity.shared { 1 } else { i64::from(amount.copies) };
            let value = match &amount.value {
                Value::Scalar(one) => {
                    let all = one.as_thousandths().saturating_mul(copies);
                    Value::Scalar(Scalar::thousandths(all))
                }
                other => other.clone(),
            };
            let name = match identity.revocable {
                true => format!("{}_revocable", identity.name),
                false => identity.name.clone(),
            };
            match sums.get_mut(&name) {
                Some(sum) => *sum = sum.plus(&value),
                None => drop(sums.insert(name, value)),
            }
        }
        Amounts(sums.into_iter().map(|(name, value)| (name, figure(&value))).collect())
    }
}

fn figure(value: &Value) -> Figure {
    match value {
        Value::Scalar(count) => Figure::Number(count.to_f64()),
        other => Figure::Text(other.to_string()),
    }
}

/// Totals by name, each a number.
pub(super) fn numbers(quantities: &Quantities) -> BTreeMap<String, f64> {
    quantities.iter().map(|(name, it)| (name.clone(), it.to_f64())).collect()
}

#[cfg(test)]
mod tests {
    use holdfast_model::{Ranges, Resource};

    use super::*;
    use crate::testbed::{amount, reservation};

    #[test]
    fn all_reservations_of_a_name_are_one_sum_and_no_name_is_left_out() {
        let ports =
            |from, to| Resource::unreserved("ports", Value::Ranges(Ranges::new([(from, to)])));
        let zones =
            |name: &str| Resource::unreserved("zones", Value::Set([name.to_owned()].into()));
        let resources: Resources = [
            ports(31000, 31009),
            ports(80, 80).reserved(reservation()),
            zones("b"),
            zones("a").reserved(reservation()),
            amount("bandwidth", 1500),
            amount("bandwidth", 500).reserved(reservation()),
            amount("cpus", 250),
        ]
        .iter()
        .collect();
        let text = serde_json::to_string(&Amounts::of(&resources)).unwrap();
        assert_eq!(
            text,
            r#"{"bandwidth":2.0,"cpus":0.25,"disk":0.0,"gpus":0.0,"mem":0.0,"ports":"[80-80, 31000-31009]","zones":"{a, b}"}"#
        );
    }

    #[test]
    fn what_may_be_taken_back_stands_apart() {
        let mut spare = amount("cpus", 1000);
        spare.identity.revocable = true;
        let resources: Resources = [spare, amount("cpus", 2000)].iter().collect();
        let text = serde_json::to_string(&Amounts::of(&resources)).unwrap();
        assert_eq!(text, r#"{"cpus":2.0,"cpus_revocable":1.0,"disk":0.0,"gpus":0.0,"mem":0.0}"#);
    }
}
