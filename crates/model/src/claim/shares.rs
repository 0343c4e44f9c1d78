//! Where the space of a claim came from. A volume, and a reservation on top of another, are made of what others may have reserved; when
//! they end, or give a part back, it goes to whoever it came from.
//!
//! Never keeps what goes without saying: that all of it came from the claim's own maker.

use super::Claim;
use crate::id::FrameworkId;
use crate::resource::Resource;
use crate::value::Value;

/// A part of a claim, and whose reservation it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The framework that had reserved it; `None` for an operator.
    pub framework: Option<FrameworkId>,
    /// How much, as a resource that is not reserved.
    pub amount: Resource,
}

impl Share {
    pub(super) fn new(framework: Option<FrameworkId>, name: &str, value: Value) -> Share {
        Share { framework, amount: Resource::unreserved(name, value) }
    }
}

impl Claim {
    /// Where all of it came from.
    pub fn all_shares(&self) -> Vec<Share> {
        if !self.shares.is_empty() {
            return self.shares.clone();
        }
        let (name, value) = (&self.resource.identity.name, self.resource.value.clone());
        vec![Share::new(self.framework.clone(), name, value)]
    }

    /// Makes it larger by what came from these.
    pub(super) fn add_shares(&mut self, value: &Value, more: &[Share]) {
        let had = !self.resource.value.is_empty();
        let mut all = if had { self.all_shares() } else { Vec::new() };
        self.resource.value = self.resource.value.plus(value);
        for it in more {
            match all.iter_mut().find(|old| old.framework == it.framework) {
                Some(old) => old.amount.value = old.amount.value.plus(&it.amount.value),
                None => all.push(it.clone()),
            }
        }
        self.keep_shares(all);
    }

    /// Makes it smaller, and says where that goes: what came last goes first.
    pub(super) fn take_shares(&mut self, value: &Value) -> Vec<Share> {
        let (mut all, mut gone, mut wanted) = (self.all_shares(), Vec::new(), value.clone());
        for it in all.iter_mut().rev() {
            let part = it.amount.value.common(&wanted);
            if part.is_empty() {
                continue;
            }
            (wanted, it.amount.value) = (wanted.minus(&part), it.amount.value.minus(&part));
            gone.push(Share::new(it.framework.clone(), &it.amount.identity.name, part));
        }
        all.retain(|it| !it.amount.value.is_empty());
        self.resource.value = self.resource.value.minus(value);
        self.keep_shares(all);
        gone
    }

    /// Notes where it came from, unless that goes without saying.
    pub(super) fn keep_shares(&mut self, shares: Vec<Share>) {
        let is_own = shares.iter().all(|it| it.framework == self.framework);
        self.shares = if is_own { Vec::new() } else { shares };
    }
}
