//! Quota of the operator API: UPDATE_QUOTA, and its older forms, which know guarantees alone.
//!
//! Relies on `quota` for what makes sense. Never drops an amount.

use std::collections::BTreeMap;

use holdfast_proto::mesos::v1::master::call::{RemoveQuota, SetQuota, Type, UpdateQuota};
use holdfast_proto::mesos::v1::master::Call;
use holdfast_proto::mesos::v1::quota::{QuotaConfig, QuotaInfo};
use holdfast_proto::mesos::v1::value::Scalar as WireScalar;

use super::field::{part, Place};
use super::resource::{list_from_proto, list_to_proto, Format};
use crate::message::OperatorCall;
use crate::quota::{check_all, Quota};
use crate::resource::Resource;
use crate::resources::{Quantities, Resources};
use crate::role::Role;
use crate::validate::Invalid;
use crate::value::{Scalar, ValueKind};

/// Reads a call that sets quota.
///
/// # Errors
/// [`Invalid`] naming the field.
#[allow(deprecated, reason = "SET_QUOTA and REMOVE_QUOTA are what older tools speak")]
pub(super) fn from_proto(kind: Type, wire: Call) -> Result<OperatorCall, Invalid> {
    match kind {
        Type::SetQuota => {
            set_quota(part("SET_QUOTA", "set_quota", wire.set_quota)?).under("set_quota")
        }
        Type::RemoveQuota => {
            let it = part("REMOVE_QUOTA", "remove_quota", wire.remove_quota)?;
            remove_quota(&it).under("remove_quota")
        }
        _ => {
            let it = part("UPDATE_QUOTA", "update_quota", wire.update_quota)?;
            update_quota(it).under("update_quota")
        }
    }
}

fn update_quota(wire: UpdateQuota) -> Result<OperatorCall, Invalid> {
    let config = |(number, it): (usize, QuotaConfig)| {
        config_from_proto(it).map_err(|it| it.within(format!("quota_configs[{number}]")))
    };
    let quotas = wire.quota_configs.into_iter().enumerate().map(config);
    call(quotas.collect::<Result<_, Invalid>>()?, wire.force.unwrap_or_default())
}

/// What is guaranteed is the limit, too.
fn set_quota(wire: SetQuota) -> Result<OperatorCall, Invalid> {
    let request = wire.quota_request;
    let role = request.role.unwrap_or_default();
    let role = Role::parse(&role).under("quota_request")?;
    let guarantee = list_from_proto("guarantee", request.guarantee).under("quota_request")?;
    let guarantees = amounts(guarantee).under("quota_request.guarantee")?;
    if guarantees.is_empty() {
        let why = "is empty; give what is guaranteed, or use REMOVE_QUOTA";
        return Err(Invalid::new("quota_request.guarantee", why));
    }
    let quota = Quota { limits: guarantees.clone(), guarantees };
    call(vec![(role, quota)], request.force.unwrap_or_default())
}

fn remove_quota(wire: &RemoveQuota) -> Result<OperatorCall, Invalid> {
    call(vec![(Role::parse(&wire.role)?, Quota::default())], false)
}

fn call(quotas: Vec<(Role, Quota)>, force: bool) -> Result<OperatorCall, Invalid> {
    check_all(&quotas)?;
    Ok(OperatorCall::Quota { quotas, force })
}

/// Sums plain resources by name, of which there must be a number.
///
/// # Errors
/// [`Invalid`] when one is reserved, a volume, or no number.
pub fn amounts(resources: Vec<Resource>) -> Result<Quantities, Invalid> {
    for it in &resources {
        let identity = &it.identity;
        if identity.kind != ValueKind::Scalar {
            let why =
                format!("{} is no number; quota counts numbers, such as cpus:4", identity.name);
            return Err(Invalid::new("", why));
        }
        let is_plain = !identity.is_reserved()
            && identity.persistence.is_none()
            && identity.source.is_none()
            && !identity.revocable;
        if !is_plain {
            let why = format!("{it} is more than a name and an amount; give only those");
            return Err(Invalid::new("", why));
        }
    }
    Ok(resources.into_iter().collect::<Resources>().quantities())
}

fn config_from_proto(wire: QuotaConfig) -> Result<(Role, Quota), Invalid> {
    let read = |field: &str, all: BTreeMap<String, WireScalar>| {
        let one = |(name, it): (String, WireScalar)| match Scalar::from_f64(it.value) {
            Some(amount) => Ok((name, amount)),
            None => Err(Invalid::new(field, format!("{} of {name} is no amount", it.value))),
        };
        all.into_iter().map(one).collect::<Result<Quantities, Invalid>>()
    };
    let (guarantees, limits) = (read("guarantees", wire.guarantees)?, read("limits", wire.limits)?);
    Ok((Role::parse(&wire.role)?, Quota { guarantees, limits }))
}

/// Writes a role's quota.
pub fn config_to_proto(role: &Role, quota: &Quota) -> QuotaConfig {
    let amounts = |all: &Quantities| {
        let one =
            |(name, it): (&String, &Scalar)| (name.clone(), WireScalar { value: it.to_f64() });
        all.iter().map(one).collect()
    };
    QuotaConfig {
        role: role.to_string(),
        guarantees: amounts(&quota.guarantees),
        limits: amounts(&quota.limits),
    }
}

/// Writes what a role is guaranteed in the older form.
pub fn info_to_proto(role: &Role, quota: &Quota) -> QuotaInfo {
    let guarantee: Vec<Resource> =
        quota.guarantees.iter().map(|(name, it)| Resource::scalar(name, *it)).collect();
    let guarantee = list_to_proto(&guarantee, Format::WHOLE);
    QuotaInfo { role: Some(role.to_string()), principal: None, guarantee }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(value: f64) -> WireScalar {
        WireScalar { value }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let amounts = |count| Quantities::from([("cpus".to_owned(), Scalar::thousandths(count))]);
        let quota = Quota { guarantees: amounts(1_500), limits: amounts(4_000) };
        let role = Role::parse("a").unwrap();
        let config = config_to_proto(&role, &quota);
        let wire = UpdateQuota { force: Some(true), quota_configs: vec![config] };
        let quotas = vec![(role, quota)];
        assert_eq!(update_quota(wire), Ok(OperatorCall::Quota { quotas, force: true }));
    }

    #[test]
    fn an_amount_that_is_none_is_named() {
        let limits = BTreeMap::from([("cpus".to_owned(), scalar(f64::NAN))]);
        let config = QuotaConfig { role: "a".to_owned(), limits, ..QuotaConfig::default() };
        let wire = UpdateQuota { force: None, quota_configs: vec![config] };
        assert_eq!(update_quota(wire).unwrap_err().path, "quota_configs[0].limits");
    }

    #[test]
    fn the_older_form_limits_to_what_it_guarantees() {
        let guarantee = list_to_proto(&[Resource::scalar("cpus", Scalar::whole(2))], Format::WHOLE);
        let quota_request = holdfast_proto::mesos::v1::quota::QuotaRequest {
            force: None,
            role: Some("a".to_owned()),
            guarantee,
        };
        let Ok(OperatorCall::Quota { quotas, .. }) = set_quota(SetQuota { quota_request }) else {
            panic!("it is read");
        };
        assert_eq!(quotas[0].1.limits, quotas[0].1.guarantees);
    }
}
