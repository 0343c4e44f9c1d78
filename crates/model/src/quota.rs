//! Quota: what a top-level role is guaranteed of the cluster, and what it may have at most, together
//! with the roles below it.
//!
//! Scalars only, by resource name. Relies on nothing. It never says what a role has now: the master
//! counts that (`allocator`'s `Usage`).

use std::collections::BTreeSet;

use crate::resources::Quantities;
use crate::role::Role;
use crate::validate::Invalid;
use crate::value::Scalar;

/// What a role and those below it are guaranteed, and what they may have at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// So much is kept free for it. What is not named is not guaranteed.
    pub guarantees: Quantities,
    /// It is offered no more than that. What is not named is not limited.
    pub limits: Quantities,
}

impl Quota {
    /// Whether it neither guarantees nor limits anything, as for roles without quota.
    pub fn is_default(&self) -> bool {
        self.guarantees.is_empty() && self.limits.is_empty()
    }
}

/// Whether a role may have a quota of its own.
///
/// # Errors
/// [`Invalid`] for `*` and for roles below others.
pub fn check_role(role: &Role) -> Result<(), Invalid> {
    if role.is_any() {
        let why = "`*` is everybody's and has no quota; name a role";
        return Err(Invalid::new("role", why));
    }
    if role.as_str().contains('/') {
        let top = role.top();
        let why = format!("`{role}` is below `{top}`; only top-level roles have quota, which counts for all roles below: give it to `{top}`");
        return Err(Invalid::new("role", why));
    }
    Ok(())
}

/// Checks quotas that are set together.
///
/// # Errors
/// [`Invalid`] naming the role that is none for quota or is named twice, or the amount that makes no sense.
pub fn check_all(all: &[(Role, Quota)]) -> Result<(), Invalid> {
    if all.is_empty() {
        return Err(Invalid::new("quota_configs", "is empty; give the quota of one role or more"));
    }
    let mut seen = BTreeSet::new();
    for (number, (role, quota)) in all.iter().enumerate() {
        let checked = check_role(role).and_then(|()| check_amounts(role, quota));
        checked.map_err(|it| it.within(format!("quota_configs[{number}]")))?;
        if !seen.insert(role) {
            let why = format!("names `{role}` a second time; each role is given once");
            return Err(Invalid::new(format!("quota_configs[{number}].role"), why));
        }
    }
    Ok(())
}

fn check_amounts(role: &Role, quota: &Quota) -> Result<(), Invalid> {
    let named = quota.guarantees.iter().map(|it| ("guarantees", it));
    for (field, (name, amount)) in named.chain(quota.limits.iter().map(|it| ("limits", it))) {
        if name.is_empty() {
            return Err(Invalid::new(field, "a resource without a name; name it, such as `cpus`"));
        }
        if *amount < Scalar::ZERO {
            let why = format!("{amount} of {name} is less than nothing");
            return Err(Invalid::new(field, why));
        }
    }
    for (name, limit) in &quota.limits {
        let guarantee = quota.guarantees.get(name).copied().unwrap_or_default();
        if *limit < guarantee {
            let why = format!(
                "`{role}` would be guaranteed {guarantee} of {name} and limited to {limit}; raise the limit, or guarantee less"
            );
            return Err(Invalid::new("limits", why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Role {
        Role::parse(name).unwrap()
    }

    fn quota(guarantee: i64, limit: i64) -> Quota {
        let cpus = |amount| Quantities::from([("cpus".to_owned(), Scalar::whole(amount))]);
        Quota { guarantees: cpus(guarantee), limits: cpus(limit) }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |all: &[(Role, Quota)]| check_all(all).map_err(|it| it.path.clone());
        let (a, b) = (role("a"), role("b"));
        assert_eq!(check(&[(a.clone(), quota(1, 2)), (b, quota(2, 2))]), Ok(()));
        let field = |name: &str| Err(name.to_owned());
        assert_eq!(check(&[]), field("quota_configs"));
        let twice = [(a.clone(), quota(1, 2)), (a.clone(), quota(1, 2))];
        assert_eq!(check(&twice), field("quota_configs[1].role"));
        assert_eq!(check(&[(Role::any(), quota(1, 2))]), field("quota_configs[0].role"));
        assert_eq!(check(&[(role("a/b"), quota(1, 2))]), field("quota_configs[0].role"));
        assert_eq!(check(&[(a.clone(), quota(3, 2))]), field("quota_configs[0].limits"));
        assert_eq!(check(&[(a, quota(-1, 2))]), field("quota_configs[0].guarantees"));
    }
}
