//! Whether a node serves, from one look at it after the other.
//!
//! Pure. A node serves once it is a whole member of its ring and answers by CQL; it does not any more after some looks in a row that found
//! nothing, since one may be lost in a pause of the JVM.

use crate::ring::Facts;

/// How many looks in a row must fail.
const FAILURES_MAX: u32 = 3;

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    is_serving: bool,
    failures: u32,
    /// Why it did not serve yet, at the last look.
    not_yet: Option<String>,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It serves.
    Serving,
    /// It does not any more, for this reason.
    Lost(String),
    /// It does not yet, for another reason than before.
    NotYet(String),
}

impl Readiness {
    /// Whether it serves, as far as is known.
    pub fn is_serving(&self) -> bool {
        self.is_serving
    }

    /// Takes the outcome of a look.
    pub fn looked(&mut self, look: Result<&Facts, &str>) -> Option<Change> {
        let why = match look {
            Ok(facts) if facts.is_normal() => {
                (self.failures, self.not_yet) = (0, None);
                let was = std::mem::replace(&mut self.is_serving, true);
                return (!was).then_some(Change::Serving);
            }
            Ok(facts) => format!("its state in the ring is {}", facts.status),
            Err(why) => why.to_owned(),
        };
        if !self.is_serving {
            let is_news = self.not_yet.as_ref() != Some(&why);
            self.not_yet = Some(why.clone());
            return is_news.then_some(Change::NotYet(why));
        }
        self.failures += 1;
        let is_lost = FAILURES_MAX <= self.failures;
        if is_lost {
            (self.is_serving, self.not_yet) = (false, Some(why.clone()));
        }
        is_lost.then_some(Change::Lost(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_serves_from_its_first_good_look_to_the_third_bad_one() {
        let facts = |status: &str| Facts {
            cluster_name: String::new(),
            dc: String::new(),
            rack: String::new(),
            host_id: String::new(),
            tokens: Vec::new(),
            release: String::new(),
            is_bootstrapped: true,
            status: status.to_owned(),
        };
        let mut readiness = Readiness::default();
        let not_yet = |why: &str| Some(Change::NotYet(why.to_owned()));
        assert_eq!(readiness.looked(Err("it does not listen")), not_yet("it does not listen"));
        for _ in 0..9 {
            assert_eq!(readiness.looked(Err("it does not listen")), None, "that is known");
        }
        assert_eq!(readiness.looked(Err("it refuses")), not_yet("it refuses"));
        assert_eq!(readiness.looked(Ok(&facts("NORMAL"))), Some(Change::Serving));
        assert_eq!(readiness.looked(Ok(&facts("NORMAL"))), None);
        assert_eq!(readiness.looked(Err("x")), None);
        assert_eq!(readiness.looked(Ok(&facts("LEAVING"))), None);
        assert_eq!(readiness.looked(Ok(&facts("NORMAL"))), None, "it is counted anew");
        assert_eq!(readiness.looked(Err("x")), None);
        assert_eq!(readiness.looked(Err("y")), None);
        assert!(readiness.is_serving());
        let lost = Change::Lost("its state in the ring is shutdown".to_owned());
        assert_eq!(readiness.looked(Ok(&facts("shutdown"))), Some(lost));
        assert_eq!(readiness.looked(Ok(&facts("shutdown"))), None);
        assert_eq!(readiness.looked(Err("z")), not_yet("z"));
        assert_eq!(readiness.looked(Ok(&facts("NORMAL"))), Some(Change::Serving));
    }
}
