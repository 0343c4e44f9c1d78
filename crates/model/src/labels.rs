//! Labels: what frameworks and providers write on reservations and disks, to find them again.
//!
//! Frameworks keep them in maps, which have no order, so their order says nothing, as in Mesos: they are sorted as they come in, from
//! wherever they come, and equal ones are equal everywhere. Nothing else is made equal: a label that is given twice is there twice, and
//! a key without a value is not a key with an empty one.

use std::fmt;
use std::ops::Deref;

/// A key, and its value if there is one.
pub type Label = (String, Option<String>);

/// Key and value pairs that Holdfast carries and compares, but never interprets; sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<Label>);

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Labels {
        let mut sorted: Vec<Label> = labels.into_iter().collect();
        sorted.sort();
        Labels(sorted)
    }
}

impl Deref for Labels {
    type Target = [Label];

    fn deref(&self) -> &[Label] {
        &self.0
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{key}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option::of;
    use proptest::prelude::*;

    fn labels(list: &[(&str, Option<&str>)]) -> Labels {
        list.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect()
    }

    #[test]
    fn nothing_is_equal_but_another_order() {
        let (a, b) = (("a", Some("1")), ("b", None));
        assert_eq!(labels(&[a, b]), labels(&[b, a]));
        for other in
            [&[a][..], &[a, a, b], &[a, b, b], &[a, ("b", Some(""))], &[("a", Some("2")), b]]
        {
            assert_ne!(labels(&[a, b]), labels(other), "{other:?}");
        }
        assert_eq!(labels(&[b, a, b]).to_string(), "a=1, b, b");
    }

    proptest! {
        #[test]
        fn any_order_of_the_same_is_the_same(
            list in prop::collection::vec(("[ab]{0,2}", of("[ab]{0,1}")), 0..6),
            turned in any::<prop::sample::Index>(),
            swap in any::<bool>(),
        ) {
            let mut other = list.clone();
            let turns = turned.index(list.len() + 1);
            other.rotate_left(turns.min(list.len()));
            if swap {
                other.reverse();
            }
            prop_assert_eq!(list.into_iter().collect::<Labels>(), other.into_iter().collect::<Labels>());
        }
    }
}
