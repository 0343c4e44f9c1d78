//! Offer constraints as frameworks write them, and what they look at of agents.
//!
//! Relies on Mesos's rules: no group is empty, and no role is a stranger's. Never takes so many that an agent costs much to look at.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_proto::mesos::v1;
use v1::scheduler::attribute_constraint as wire;
use wire::predicate::{Exists, NotExists, TextEquals, TextMatches, TextNotEquals, TextNotMatches};
use wire::selector::PseudoattributeType;

use super::field::{needed, Place};
use super::rest;
use crate::message::MachineInfo;
use crate::offer_constraints::{
    AttributeConstraint, OfferConstraints, Pattern, Predicate, RoleConstraints, Selector, Traits,
};
use crate::role::Role;
use crate::validate::Invalid;

/// How many constraints a framework may have.
pub const CONSTRAINTS_MAX: usize = 1024;
/// How many of them may have patterns.
pub const PATTERNS_MAX: usize = 128;
/// How long a name or text may be, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;

/// What may still come.
struct Room {
    constraints: usize,
    patterns: usize,
}

/// Reads the constraints of a framework that has these roles.
///
/// # Errors
/// [`Invalid`] naming the field: a role that the framework does not have, nothing where something has to be, a pattern that is none, or
/// more than is taken.
pub fn from_proto(
    message: v1::scheduler::OfferConstraints,
    roles: &[Role],
) -> Result<OfferConstraints, Invalid> {
    let mut room = Room { constraints: CONSTRAINTS_MAX, patterns: PATTERNS_MAX };
    let mut known = BTreeMap::new();
    for (name, message) in message.role_constraints {
        let place = format!("role_constraints.{name}");
        let Some(role) = roles.iter().find(|it| it.as_str() == name) else {
            return Err(Invalid::new(place, format!("`{name}` is no role of the framework")));
        };
        let groups = groups(message.groups, &mut room).under(place)?;
        known.insert(role.clone(), Arc::new(RoleConstraints::new(groups)));
    }
    Ok(OfferConstraints::new(known))
}

fn groups(
    messages: Vec<v1::scheduler::offer_constraints::role_constraints::Group>,
    room: &mut Room,
) -> Result<Vec<Vec<AttributeConstraint>>, Invalid> {
    if messages.is_empty() {
        return Err(Invalid::new("groups", "is empty; leave the role out, or name what it wants"));
    }
    let mut groups = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let place = format!("groups[{index}]");
        if message.attribute_constraints.is_empty() {
            let why = "is empty; leave the group out, or name what it wants";
            return Err(Invalid::new(format!("{place}.attribute_constraints"), why));
        }
        let mut group = Vec::with_capacity(message.attribute_constraints.len());
        for (at, it) in message.attribute_constraints.into_iter().enumerate() {
            let place = format!("{place}.attribute_constraints[{at}]");
            group.push(constraint(it, room).under(place)?);
        }
        groups.push(group);
    }
    Ok(groups)
}

fn constraint(
    message: v1::scheduler::AttributeConstraint,
    room: &mut Room,
) -> Result<AttributeConstraint, Invalid> {
    use wire::predicate::Predicate as Wire;
    take(&mut room.constraints, CONSTRAINTS_MAX, "constraints").at("")?;
    let selector = selector(message.selector).under("selector")?;
    let text = |field: &str, it: String| short(it).at(format_args!("predicate.{field}.value"));
    let mut pattern = |field: &str, it: String| {
        take(&mut room.patterns, PATTERNS_MAX, "patterns")
            .at(format_args!("predicate.{field}.regex"))?;
        Pattern::new(it).map_err(|why| Invalid::new(format!("predicate.{field}.regex"), why))
    };
    let predicate = match needed("predicate", message.predicate.predicate)? {
        Wire::Exists(Exists {}) => Predicate::Exists,
        Wire::NotExists(NotExists {}) => Predicate::NotExists,
        Wire::TextEquals(it) => Predicate::Equals(text("text_equals", it.value)?),
        Wire::TextNotEquals(it) => Predicate::NotEquals(text("text_not_equals", it.value)?),
        Wire::TextMatches(it) => Predicate::Matches(pattern("text_matches", it.regex)?),
        Wire::TextNotMatches(it) => Predicate::NotMatches(pattern("text_not_matches", it.regex)?),
    };
    Ok(AttributeConstraint { selector, predicate })
}

fn selector(message: wire::Selector) -> Result<Selector, Invalid> {
    use wire::selector::Selector as Wire;
    match message.selector {
        None => Err(Invalid::new("", "is empty; name an attribute, or HOSTNAME, REGION or ZONE")),
        Some(Wire::AttributeName(name)) => {
            Ok(Selector::Attribute(short(name).at("attribute_name")?))
        }
        Some(Wire::PseudoattributeType(number)) => match PseudoattributeType::try_from(number) {
            Ok(PseudoattributeType::Hostname) => Ok(Selector::Hostname),
            Ok(PseudoattributeType::Region) => Ok(Selector::Region),
            Ok(PseudoattributeType::Zone) => Ok(Selector::Zone),
            Ok(PseudoattributeType::Unknown) | Err(_) => Err(Invalid::new(
                "pseudoattribute_type",
                format!("{number} is none; it is HOSTNAME, REGION or ZONE"),
            )),
        },
    }
}

fn short(text: String) -> Result<String, Invalid> {
    if TEXT_BYTES_MAX < text.len() {
        let why = format!("is {} bytes long, and {TEXT_BYTES_MAX} are allowed", text.len());
        return Err(Invalid::new("", why));
    }
    Ok(text)
}

fn take(left: &mut usize, max: usize, what: &str) -> Result<(), Invalid> {
    *left = left.checked_sub(1).ok_or_else(|| {
        Invalid::new("", format!("is one too many; a framework may have {max} {what}"))
    })?;
    Ok(())
}

/// Writes constraints; `None` when there are none.
pub fn to_proto(constraints: &OfferConstraints) -> Option<v1::scheduler::OfferConstraints> {
    use v1::scheduler::offer_constraints::{role_constraints::Group, RoleConstraints as Wire};
    if constraints.is_empty() {
        return None;
    }
    let group = |it: &Vec<AttributeConstraint>| Group {
        attribute_constraints: it.iter().map(constraint_out).collect(),
    };
    let role = |(role, it): (&Role, &RoleConstraints)| {
        (role.to_string(), Wire { groups: it.groups().iter().map(group).collect() })
    };
    let role_constraints = constraints.roles().map(role).collect();
    Some(v1::scheduler::OfferConstraints { role_constraints })
}

fn constraint_out(it: &AttributeConstraint) -> v1::scheduler::AttributeConstraint {
    use wire::predicate::Predicate as WirePredicate;
    use wire::selector::Selector as WireSelector;
    let pseudo = |it: PseudoattributeType| WireSelector::PseudoattributeType(it as i32);
    let selector = match &it.selector {
        Selector::Hostname => pseudo(PseudoattributeType::Hostname),
        Selector::Region => pseudo(PseudoattributeType::Region),
        Selector::Zone => pseudo(PseudoattributeType::Zone),
        Selector::Attribute(name) => WireSelector::AttributeName(name.clone()),
    };
    let regex = |it: &Pattern| it.as_str().to_owned();
    let predicate = match &it.predicate {
        Predicate::Exists => WirePredicate::Exists(Exists {}),
        Predicate::NotExists => WirePredicate::NotExists(NotExists {}),
        Predicate::Equals(it) => WirePredicate::TextEquals(TextEquals { value: it.clone() }),
        Predicate::NotEquals(it) => {
            WirePredicate::TextNotEquals(TextNotEquals { value: it.clone() })
        }
        Predicate::Matches(it) => WirePredicate::TextMatches(TextMatches { regex: regex(it) }),
        Predicate::NotMatches(it) => {
            WirePredicate::TextNotMatches(TextNotMatches { regex: regex(it) })
        }
    };
    v1::scheduler::AttributeConstraint {
        selector: wire::Selector { selector: Some(selector) },
        predicate: wire::Predicate { predicate: Some(predicate) },
    }
}

/// What constraints can look at of a machine.
pub fn traits(machine: &MachineInfo) -> Traits {
    let wire: v1::AgentInfo = rest::unpack(&machine.payload);
    let place = wire.domain.and_then(|it| it.fault_domain);
    let (region, zone) = place.map(|it| (it.region.name, it.zone.name)).unzip();
    let mut attributes = BTreeMap::new();
    for it in wire.attributes {
        let is_text = it.r#type == v1::value::Type::Text as i32;
        let text = it.text.filter(|_| is_text).map(|it| it.value);
        attributes.entry(it.name).or_insert(text);
    }
    let attributes = attributes.into_iter().collect();
    Traits { hostname: machine.hostname.clone(), region, zone, attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(constraint: &str) -> Result<OfferConstraints, Invalid> {
        let json = format!(
            r#"{{"role_constraints":{{"db":{{"groups":[{{"attribute_constraints":[{constraint}]}}]}}}}}}"#
        );
        read(&json)
    }

    fn read(json: &str) -> Result<OfferConstraints, Invalid> {
        from_proto(
            holdfast_proto::json::from_slice(json.as_bytes()).unwrap(),
            &[Role::parse("db").unwrap()],
        )
    }

    const HOST: &str = r#""selector":{"pseudoattribute_type":"HOSTNAME"}"#;

    #[test]
    fn constraints_come_back() {
        for (selector, predicate) in [
            (r#"{"pseudoattribute_type":"HOSTNAME"}"#, r#"{"exists":{}}"#),
            (r#"{"pseudoattribute_type":"REGION"}"#, r#"{"not_exists":{}}"#),
            (r#"{"pseudoattribute_type":"ZONE"}"#, r#"{"text_equals":{"value":"z"}}"#),
            (r#"{"attribute_name":"rack"}"#, r#"{"text_not_equals":{"value":""}}"#),
            (r#"{"attribute_name":"rack"}"#, r#"{"text_matches":{"regex":"a.*"}}"#),
            (r#"{"attribute_name":"rack"}"#, r#"{"text_not_matches":{"regex":"[0-9]+"}}"#),
        ] {
            let it =
                parse(&format!(r#"{{"selector":{selector},"predicate":{predicate}}}"#)).unwrap();
            let wire = to_proto(&it).unwrap();
            assert_eq!(from_proto(wire, &[Role::parse("db").unwrap()]), Ok(it));
        }
        assert_eq!(to_proto(&read("{}").unwrap()), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let one = "role_constraints.db.groups[0].attribute_constraints[0]";
        for (constraint, path) in [
            (r#"{"selector":{},"predicate":{"exists":{}}}"#.to_owned(), "selector"),
            (
                r#"{"selector":{"pseudoattribute_type":"UNKNOWN"},"predicate":{"exists":{}}}"#
                    .to_owned(),
                "selector.pseudoattribute_type",
            ),
            (format!(r#"{{{HOST},"predicate":{{}}}}"#), "predicate"),
            (
                format!(r#"{{{HOST},"predicate":{{"text_matches":{{"regex":"("}}}}}}"#),
                "predicate.text_matches.regex",
            ),
        ] {
            assert_eq!(parse(&constraint).unwrap_err().path, format!("{one}.{path}"));
        }
        for (json, path) in [
            (r#"{"role_constraints":{"web":{"groups":[]}}}"#, "role_constraints.web"),
            (r#"{"role_constraints":{"db":{}}}"#, "role_constraints.db.groups"),
            (
                r#"{"role_constraints":{"db":{"groups":[{}]}}}"#,
                "role_constraints.db.groups[0].attribute_constraints",
            ),
        ] {
            assert_eq!(read(json).unwrap_err().path, path);
        }
    }

    #[test]
    fn there_may_be_only_so_many() {
        let many = |predicate: &str, count: usize| {
            parse(&vec![format!(r#"{{{HOST},"predicate":{predicate}}}"#); count].join(","))
        };
        assert!(many(r#"{"exists":{}}"#, CONSTRAINTS_MAX).is_ok());
        let why = many(r#"{"exists":{}}"#, CONSTRAINTS_MAX + 1).unwrap_err();
        assert_eq!(why.path, "role_constraints.db.groups[0].attribute_constraints[1024]");
        let pattern = r#"{"text_matches":{"regex":"a"}}"#;
        assert!(many(pattern, PATTERNS_MAX).is_ok());
        assert!(many(pattern, PATTERNS_MAX + 1).unwrap_err().why.contains("128 patterns"));
        let long = format!(r#"{{"text_equals":{{"value":"{}"}}}}"#, "x".repeat(TEXT_BYTES_MAX + 1));
        assert!(many(&long, 1).unwrap_err().why.contains("1025 bytes"));
    }

    #[test]
    fn c22_the_first_of_two_attributes_counts() {
        let json = r#"{"hostname":"h","domain":{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z"}}},
            "attributes":[{"name":"a","type":"TEXT","text":{"value":"1"}},{"name":"a","type":"TEXT","text":{"value":"2"}},
            {"name":"b","type":"SCALAR","scalar":{"value":3}}]}"#;
        let machine = super::super::machine::from_proto(
            holdfast_proto::json::from_slice(json.as_bytes()).unwrap(),
        );
        let it = traits(&machine.unwrap());
        assert_eq!(
            (it.hostname.as_str(), it.region.as_deref(), it.zone.as_deref()),
            ("h", Some("r"), Some("z"))
        );
        let attributes = [("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)];
        assert_eq!(it.attributes, attributes);
    }
}
