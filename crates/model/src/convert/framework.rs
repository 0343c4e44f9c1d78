//! Frameworks as they describe themselves.
//!
//! Relies on the rules for roles (D10). What is not typed (web address, labels, offer filters, capabilities that we do not know) is
//! kept as received. Never believes a failover timeout that is no time.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::mesos::v1;
use v1::framework_info::Capability as WireCapability;

use super::field::{framework_id_out, some_framework, Place};
use super::resource::amount;
use super::rest;
use crate::framework::{Capability, FrameworkInfo};
use crate::offer_constraints::OfferConstraints;
use crate::resources::Quantities;
use crate::role::Role;
use crate::validate::Invalid;
use crate::value::Scalar;

/// The longest failover timeout, in seconds: 292 years, as far as 64 bits of nanoseconds go.
pub const FAILOVER_TIMEOUT_MAX_S: f64 = 9_223_372_036.0;

/// Reads a framework's description, which says nothing of offer constraints.
///
/// # Errors
/// [`Invalid`] naming the field: a role that is none, `role` beside MULTI_ROLE or `roles` without it, a timeout that is no time.
#[allow(deprecated, reason = "`role` is what frameworks with one role use")]
pub fn from_proto(mut wire: v1::FrameworkInfo) -> Result<FrameworkInfo, Invalid> {
    let mut capabilities = BTreeSet::new();
    wire.capabilities.retain(|it| match it.r#type.and_then(Capability::from_number) {
        Some(known) => {
            capabilities.insert(known);
            false
        }
        None => it.r#type.is_some_and(|number| number != 0),
    });
    let multi = capabilities.contains(&Capability::MultiRole);
    let roles = roles(multi, wire.role.take(), std::mem::take(&mut wire.roles))?;
    check_filters(&wire.offer_filters, &roles)?;
    Ok(FrameworkInfo {
        id: some_framework(wire.id.take()).at("id")?,
        name: std::mem::take(&mut wire.name),
        user: std::mem::take(&mut wire.user),
        roles,
        failover_timeout_ms: timeout_ms(wire.failover_timeout.take())?,
        // Who says nothing keeps its tasks when an agent restarts: losing them was a bad default of Mesos (MESOS-7911).
        checkpoint: wire.checkpoint.take().unwrap_or(true),
        principal: wire.principal.take(),
        hostname: wire.hostname.take(),
        capabilities,
        payload: rest::pack(&wire),
        constraints: OfferConstraints::default(),
    })
}

/// Writes a framework's description, whole but for offer constraints, which stand beside it.
#[allow(deprecated, reason = "`role` is what frameworks with one role use")]
pub fn to_proto(info: &FrameworkInfo) -> v1::FrameworkInfo {
    let mut wire: v1::FrameworkInfo = rest::unpack(&info.payload);
    wire.id = info.id.as_ref().map(framework_id_out);
    wire.name.clone_from(&info.name);
    wire.user.clone_from(&info.user);
    let roles = info.roles.iter().map(|it| it.as_str().to_owned());
    if info.can(Capability::MultiRole) {
        wire.roles = roles.collect();
    } else {
        wire.role = Some(roles.into_iter().next().unwrap_or_else(|| "*".to_owned()));
    }
    wire.failover_timeout = Some(info.failover_timeout_ms as f64 / 1000.0);
    wire.checkpoint = Some(info.checkpoint);
    wire.principal.clone_from(&info.principal);
    wire.hostname.clone_from(&info.hostname);
    let known = info.capabilities.iter().map(|it| WireCapability { r#type: Some(*it as i32) });
    wire.capabilities = known.chain(std::mem::take(&mut wire.capabilities)).collect();
    wire
}

fn roles(multi: bool, role: Option<String>, roles: Vec<String>) -> Result<Vec<Role>, Invalid> {
    if !multi {
        if !roles.is_empty() {
            return Err(Invalid::new(
                "roles",
                "is for frameworks with the capability MULTI_ROLE; add it, or use `role`",
            ));
        }
        return Ok(vec![Role::parse(role.as_deref().unwrap_or("*")).at("role")?]);
    }
    if role.is_some() {
        return Err(Invalid::new(
            "role",
            "is for frameworks without the capability MULTI_ROLE; use `roles`",
        ));
    }
    if roles.is_empty() {
        return Err(Invalid::new("roles", "is empty; name at least one role"));
    }
    let mut known = Vec::with_capacity(roles.len());
    let mut seen = BTreeSet::new();
    for (index, text) in roles.iter().enumerate() {
        known.push(Role::parse(text).at(format_args!("roles[{index}]"))?);
        if !seen.insert(text) {
            return Err(Invalid::new(format!("roles[{index}]"), format!("`{text}` comes twice")));
        }
    }
    Ok(known)
}

fn timeout_ms(seconds: Option<f64>) -> Result<u64, Invalid> {
    let seconds = seconds.unwrap_or(0.0);
    if !seconds.is_finite() || seconds < 0.0 {
        return Err(Invalid::new(
            "failover_timeout",
            format!("{seconds} is no time; give 0 or more seconds"),
        ));
    }
    if FAILOVER_TIMEOUT_MAX_S < seconds {
        return Err(Invalid::new(
            "failover_timeout",
            format!(
                "{seconds} is out of range; it is in seconds, at most {FAILOVER_TIMEOUT_MAX_S}"
            ),
        ));
    }
    Ok((seconds * 1000.0).round() as u64)
}

fn check_filters(
    filters: &BTreeMap<String, v1::OfferFilters>,
    roles: &[Role],
) -> Result<(), Invalid> {
    for (role, filter) in filters {
        if !roles.iter().any(|it| it.as_str() == role) {
            return Err(Invalid::new(
                format!("offer_filters.{role}"),
                "is no role of the framework; add it to `roles`",
            ));
        }
        let sets = filter.min_allocatable_resources.iter().flat_map(|it| &it.quantities);
        for (name, quantity) in sets.flat_map(|it| &it.quantities) {
            amount(quantity.value)
                .under(format_args!("offer_filters.{role}.min_allocatable_resources.{name}"))?;
        }
    }
    Ok(())
}

/// The smallest offers that a framework wants for a role (C17): an offer must reach at least one of these sets; none at all means that
/// anything goes. `None` when it says nothing of it.
pub fn smallest_offers(info: &FrameworkInfo, role: &Role) -> Option<Vec<Quantities>> {
    let wire: v1::FrameworkInfo = rest::unpack(&info.payload);
    let filter = wire.offer_filters.get(role.as_str())?.min_allocatable_resources.as_ref()?;
    let set = |it: &v1::offer_filters::ResourceQuantities| {
        let known = it
            .quantities
            .iter()
            .filter_map(|(name, quantity)| Some((name.clone(), Scalar::from_f64(quantity.value)?)));
        known.collect()
    };
    Some(filter.quantities.iter().map(set).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(change: impl FnOnce(&mut v1::FrameworkInfo)) -> v1::FrameworkInfo {
        let mut wire =
            v1::FrameworkInfo { name: "f".to_owned(), user: "u".to_owned(), ..Default::default() };
        change(&mut wire);
        wire
    }

    fn multi(roles: &[&str]) -> v1::FrameworkInfo {
        wire(|it| {
            it.roles = roles.iter().map(|it| (*it).to_owned()).collect();
            it.capabilities = vec![WireCapability { r#type: Some(Capability::MultiRole as i32) }];
        })
    }

    #[test]
    #[allow(deprecated, reason = "`role` is what frameworks with one role use")]
    fn roles_follow_the_capability() {
        assert_eq!(from_proto(wire(|_| ())).unwrap().roles, vec![Role::any()]);
        assert_eq!(
            from_proto(wire(|it| it.role = Some("db".to_owned()))).unwrap().roles[0].as_str(),
            "db"
        );
        assert_eq!(from_proto(multi(&["a", "b/c"])).unwrap().roles.len(), 2);
        for (bad, path) in [
            (wire(|it| it.roles = vec!["a".to_owned()]), "roles"),
            (wire(|it| it.role = Some("a//b".to_owned())), "role"),
            (multi(&[]), "roles"),
            (multi(&["a", "-b"]), "roles[1]"),
            (multi(&["a", "b", "a"]), "roles[2]"),
            (
                {
                    let mut it = multi(&["a"]);
                    it.role = Some("a".to_owned());
                    it
                },
                "role",
            ),
            (wire(|it| it.id = Some(v1::FrameworkId { value: "a/b".to_owned() })), "id"),
        ] {
            assert_eq!(from_proto(bad).unwrap_err().path, path);
        }
    }

    #[test]
    fn a_failover_timeout_is_a_time() {
        let week_in_ns = 604_800_000_000_000.0;
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.001, week_in_ns, f64::MAX] {
            assert_eq!(
                from_proto(wire(|it| it.failover_timeout = Some(bad))).unwrap_err().path,
                "failover_timeout"
            );
        }
        let ms = |it| {
            from_proto(wire(|wire| wire.failover_timeout = Some(it))).unwrap().failover_timeout_ms
        };
        assert_eq!((ms(0.0), ms(604_800.5)), (0, 604_800_500));
        assert_eq!(ms(f64::from(i32::MAX)), 2_147_483_647_000, "as some frameworks say for ever");
        assert_eq!(ms(FAILOVER_TIMEOUT_MAX_S), 9_223_372_036_000);
    }

    #[test]
    fn an_empty_id_is_none_and_unknown_capabilities_ride_along() {
        let unknown = WireCapability { r#type: Some(99) };
        let info = from_proto(wire(|it| {
            it.id = Some(v1::FrameworkId::default());
            it.capabilities = vec![unknown, WireCapability { r#type: Some(5) }];
        }));
        let info = info.unwrap();
        assert_eq!(info.id, None);
        assert!(info.can(Capability::PartitionAware));
        assert!(to_proto(&info).capabilities.contains(&unknown));
    }

    #[test]
    fn typed_fields_win_over_the_rest() {
        let mut info = from_proto(wire(|it| it.webui_url = Some("http://x".to_owned()))).unwrap();
        info.user = "other".to_owned();
        let wire = to_proto(&info);
        assert_eq!((wire.user.as_str(), wire.webui_url.as_deref()), ("other", Some("http://x")));
        assert_eq!(from_proto(wire).unwrap(), info);
    }

    #[test]
    fn offer_filters_are_checked() {
        let filters = |role: &str, value: f64| {
            let set = v1::offer_filters::ResourceQuantities {
                quantities: [("cpus".to_owned(), v1::value::Scalar { value })].into(),
            };
            let least = v1::offer_filters::MinAllocatableResources { quantities: vec![set] };
            let filter = v1::OfferFilters { min_allocatable_resources: Some(least) };
            let mut it = multi(&["a"]);
            it.offer_filters = [(role.to_owned(), filter)].into();
            it
        };
        let info = from_proto(filters("a", 1.5)).unwrap();
        let set = Quantities::from([("cpus".to_owned(), Scalar::thousandths(1500))]);
        assert_eq!(smallest_offers(&info, &info.roles[0]), Some(vec![set]));
        assert_eq!(smallest_offers(&info, &Role::any()), None);
        assert_eq!(from_proto(filters("b", 1.0)).unwrap_err().path, "offer_filters.b");
        assert_eq!(
            from_proto(filters("a", f64::NAN)).unwrap_err().path,
            "offer_filters.a.min_allocatable_resources.cpus.value"
        );
    }

    proptest::proptest! {
        #[test]
        fn frameworks_come_back(info in crate::convert::samples::framework()) {
            proptest::prop_assert_eq!(from_proto(to_proto(&info)), Ok(info));
        }
    }
}
