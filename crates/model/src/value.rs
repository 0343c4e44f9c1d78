//! Quantities: scalars as whole thousandths, ranges of whole numbers, sets of names.
//!
//! Arithmetic is exact, saturates at the borders of its types and never drifts.

use std::collections::BTreeSet;
use std::fmt;

/// A count in thousandths: cpus, megabytes, gpus. 64 bits, so `0.1 + 0.2 == 0.3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(i64);

impl Scalar {
    /// The empty count.
    pub const ZERO: Scalar = Scalar(0);

    /// So many thousandths.
    pub const fn thousandths(count: i64) -> Scalar {
        Scalar(count)
    }

    /// So many whole units.
    pub const fn whole(count: i64) -> Scalar {
        Scalar(count.saturating_mul(1000))
    }

    /// The nearest count of thousandths, halves away from zero; `None` for NaN and for what does not fit.
    pub fn from_f64(value: f64) -> Option<Scalar> {
        let scaled = (value * 1000.0).round();
        (scaled.is_finite() && scaled.abs() < 9.0e18).then_some(Scalar(scaled as i64))
    }

    /// The number that stands on the wire.
    pub fn to_f64(self) -> f64 {
        (self.0 / 1000) as f64 + (self.0 % 1000) as f64 / 1000.0
    }

    /// The count of thousandths.
    pub const fn as_thousandths(self) -> i64 {
        self.0
    }

    /// Whole units, truncated.
    pub const fn as_whole(self) -> i64 {
        self.0 / 1000
    }

    /// The sum.
    pub fn plus(self, other: Scalar) -> Scalar {
        Scalar(self.0.saturating_add(other.0))
    }

    /// The difference, which may be negative.
    pub fn minus(self, other: Scalar) -> Scalar {
        Scalar(self.0.saturating_sub(other.0))
    }
}

/// Decimal notation, as [`fmt::Display`] writes it.
impl std::str::FromStr for Scalar {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Scalar, &'static str> {
        text.parse().ok().and_then(Scalar::from_f64).ok_or("give a number, such as 0.5")
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, abs) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        match abs % 1000 {
            0 => write!(f, "{sign}{}", abs / 1000),
            rest => f.write_str(format!("{sign}{}.{rest:03}", abs / 1000).trim_end_matches('0')),
        }
    }
}

/// A set of whole numbers, kept as sorted, disjoint, non-adjacent inclusive intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The set of inclusive intervals in any order; overlapping and adjacent ones join. Intervals that end before they begin are dropped
    /// (validation refuses them earlier).
    pub fn new(intervals: impl IntoIterator<Item = (u64, u64)>) -> Ranges {
        let mut sorted: Vec<(u64, u64)> =
            intervals.into_iter().filter(|(begin, end)| begin <= end).collect();
        sorted.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for (begin, end) in sorted {
            match joined.last_mut() {
                Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => joined.push((begin, end)),
            }
        }
        Ranges(joined)
    }

    /// The intervals, sorted.
    pub fn intervals(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Whether no number is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.0
            .iter()
            .fold(0u64, |sum, (begin, end)| sum.saturating_add((end - begin).saturating_add(1)))
    }

    /// The union.
    pub fn plus(&self, other: &Ranges) -> Ranges {
        Ranges::new(self.0.iter().chain(&other.0).copied())
    }

    /// The difference.
    pub fn minus(&self, other: &Ranges) -> Ranges {
        let mut left = Vec::with_capacity(self.0.len());
        let mut cuts = other.0.iter().copied().peekable();
        for &(begin, end) in &self.0 {
            let mut at = Some(begin);
            while let Some(&(cut_begin, cut_end)) = cuts.peek() {
                if cut_end < begin {
                    cuts.next();
                    continue;
                }
                let Some(from) = at.filter(|_| cut_begin <= end) else { break };
                if from < cut_begin {
                    left.push((from, cut_begin - 1));
                }
                at = if cut_end < end { Some(cut_end.saturating_add(1).max(from)) } else { None };
                if at.is_none() {
                    break; // This cut may reach into the next interval.
                }
                cuts.next();
            }
            if let Some(from) = at.filter(|from| *from <= end) {
                left.push((from, end));
            }
        }
        Ranges(left)
    }

    /// Whether every number of `other` is in it.
    pub fn contains(&self, other: &Ranges) -> bool {
        let covers = |&(begin, end): &(u64, u64)| {
            let at = self.0.partition_point(|interval| interval.1 < begin);
            self.0.get(at).is_some_and(|interval| interval.0 <= begin && end <= interval.1)
        };
        other.0.iter().all(covers)
    }
}

/// How much of a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A count.
    Scalar(Scalar),
    /// Whole numbers.
    Ranges(Ranges),
    /// Names.
    Set(BTreeSet<String>),
}

/// The shape of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    /// A count.
    Scalar,
    /// Whole numbers.
    Ranges,
    /// Names.
    Set,
}

impl Value {
    /// The shape of the value.
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::Scalar(_) => ValueKind::Scalar,
            Value::Ranges(_) => ValueKind::Ranges,
            Value::Set(_) => ValueKind::Set,
        }
    }

    /// Whether it is nothing: zero or less, no range, no item.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Scalar(count) => *count <= Scalar::ZERO,
            Value::Ranges(ranges) => ranges.is_empty(),
            Value::Set(items) => items.is_empty(),
        }
    }

    /// The sum or the union; values of different shapes do not mix and leave `self` as it is.
    pub fn plus(&self, other: &Value) -> Value {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(a.plus(*b)),
            (Value::Ranges(a), Value::Ranges(b)) => Value::Ranges(a.plus(b)),
            (Value::Set(a), Value::Set(b)) => Value::Set(a.union(b).cloned().collect()),
            _ => self.clone(),
        }
    }

    /// The difference; scalars may become negative, items that are absent are ignored.
    pub fn minus(&self, other: &Value) -> Value {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(a.minus(*b)),
            (Value::Ranges(a), Value::Ranges(b)) => Value::Ranges(a.minus(b)),
            (Value::Set(a), Value::Set(b)) => Value::Set(a.difference(b).cloned().collect()),
            _ => self.clone(),
        }
    }

    /// What is in both.
    pub fn common(&self, other: &Value) -> Value {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(*a.min(b)),
            _ => self.minus(&self.minus(other)),
        }
    }

    /// Whether all of `other` is in it.
    pub fn contains(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => b <= a,
            (Value::Ranges(a), Value::Ranges(b)) => a.contains(b),
            (Value::Set(a), Value::Set(b)) => b.is_subset(a),
            _ => false,
        }
    }

    /// The amount as a number: the scalar, or how many numbers or items.
    pub fn quantity(&self) -> Scalar {
        match self {
            Value::Scalar(count) => *count,
            Value::Ranges(ranges) => {
                Scalar::whole(i64::try_from(ranges.count()).unwrap_or(i64::MAX))
            }
            Value::Set(items) => Scalar::whole(i64::try_from(items.len()).unwrap_or(i64::MAX)),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |parts: Vec<String>| parts.join(", ");
        match self {
            Value::Scalar(count) => count.fmt(f),
            Value::Ranges(ranges) => {
                write!(f, "[{}]", list(ranges.0.iter().map(|(b, e)| format!("{b}-{e}")).collect()))
            }
            Value::Set(items) => write!(f, "{{{}}}", list(items.iter().cloned().collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = Ranges> {
        prop::collection::vec((0u64..60, 0u64..8), 0..8)
            .prop_map(|it| Ranges::new(it.into_iter().map(|(b, n)| (b, b + n))))
    }

    fn numbers(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.intervals().iter().flat_map(|(b, e)| *b..=*e).collect()
    }

    #[test]
    fn tenths_add_up() {
        let tenth = |n: f64| Scalar::from_f64(n).unwrap();
        assert_eq!(tenth(0.1).plus(tenth(0.2)), tenth(0.3));
        assert_eq!(tenth(0.0004), Scalar::ZERO);
        assert_eq!(tenth(0.0005), Scalar::thousandths(1));
        assert_eq!(tenth(-0.0005), Scalar::thousandths(-1));
        assert_eq!(tenth(0.3).to_string(), "0.3");
        assert_eq!(Scalar::from_f64(f64::NAN), None);
        assert_eq!(Scalar::from_f64(1e300), None);
    }

    #[test]
    fn ten_thousand_small_steps_do_not_drift() {
        let step = Scalar::from_f64(0.002).unwrap();
        let up = (0..10_000).fold(Scalar::ZERO, |sum, _| sum.plus(step));
        assert_eq!(up, Scalar::whole(20));
        assert_eq!((0..10_000).fold(up, |sum, _| sum.minus(step)), Scalar::ZERO);
    }

    #[test]
    fn the_greatest_number_has_no_neighbour() {
        let all = Ranges::new([(0, u64::MAX)]);
        assert_eq!(
            all.minus(&Ranges::new([(u64::MAX, u64::MAX)])),
            Ranges::new([(0, u64::MAX - 1)])
        );
        assert_eq!(all.count(), u64::MAX);
    }

    proptest! {
        #[test]
        fn ranges_are_sets_of_numbers(a in ranges(), b in ranges()) {
            let (x, y) = (numbers(&a), numbers(&b));
            prop_assert_eq!(numbers(&a.plus(&b)), x.union(&y).copied().collect());
            prop_assert_eq!(numbers(&a.minus(&b)), x.difference(&y).copied().collect());
            prop_assert_eq!(a.contains(&b), y.is_subset(&x));
            prop_assert_eq!(a.count(), x.len() as u64);
        }

        #[test]
        fn scalars_survive_the_wire(count in -1_000_000_000_000i64..1_000_000_000_000) {
            prop_assert_eq!(Scalar::from_f64(Scalar::thousandths(count).to_f64()), Some(Scalar::thousandths(count)));
        }
    }
}
