//! PRE, POST and ENDPOINT by example, every refusal by its path, and round trips of anything valid.

use proptest::prelude::*;

use super::*;
use crate::convert::samples;
use crate::resource::ReservationKind;
use crate::value::{Scalar, Value};

fn parse(json: &str) -> Result<Resource, Invalid> {
    from_proto(
        holdfast_proto::json::from_slice(json.as_bytes())
            .unwrap_or_else(|error| panic!("{json}: {error}")),
    )
}

fn json(resource: &Resource, shape: Shape) -> String {
    holdfast_proto::json::to_string(&to_proto(resource, Format { shape, allocation: false }))
}

fn disk(rest: &str) -> String {
    format!(r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":10}},{rest}}}"#)
}

const CPUS: &str = r#""name":"cpus","type":"SCALAR","scalar":{"value":4}"#;

#[test]
fn pre_is_upgraded() {
    let unreserved = parse(&format!(r#"{{{CPUS},"role":"*"}}"#)).unwrap();
    assert_eq!(unreserved, Resource::scalar("cpus", Scalar::whole(4)));
    assert_eq!(parse(&format!("{{{CPUS}}}")).unwrap(), unreserved);
    let fixed = parse(&format!(r#"{{{CPUS},"role":"db"}}"#)).unwrap();
    assert_eq!(fixed.identity.reservations.len(), 1);
    assert_eq!(fixed.identity.reservations[0].kind, ReservationKind::Static);
    let labels = r#""labels":{"labels":[{"key":"k","value":"v"}]}"#;
    let dynamic =
        parse(&format!(r#"{{{CPUS},"role":"db","reservation":{{"principal":"p",{labels}}}}}"#))
            .unwrap();
    let only = &dynamic.identity.reservations[0];
    assert_eq!(
        (only.kind, only.role.as_str(), only.principal.as_deref()),
        (ReservationKind::Dynamic, "db", Some("p"))
    );
    assert_eq!(*only.labels, [("k".to_owned(), Some("v".to_owned()))]);
}

#[test]
fn each_shape_by_example() {
    let one = r#""reservations":[{"type":"DYNAMIC","role":"db","principal":"p"}]"#;
    let resource = parse(&format!("{{{CPUS},{one}}}")).unwrap();
    let cpus = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":4.0},"#;
    assert_eq!(json(&resource, Shape::Post), format!("{cpus}{one}}}"));
    assert_eq!(
        json(&resource, Shape::Pre),
        format!(r#"{cpus}"role":"db","reservation":{{"principal":"p"}}}}"#)
    );
    assert_eq!(
        json(&resource, Shape::Endpoint),
        format!(r#"{cpus}"role":"db","reservation":{{"principal":"p"}},{one}}}"#)
    );
    for shape in [Shape::Pre, Shape::Post, Shape::Endpoint] {
        assert_eq!(parse(&json(&resource, shape)).unwrap(), resource, "{shape:?}");
    }
    let unreserved = Resource::scalar("cpus", Scalar::whole(4));
    assert!(json(&unreserved, Shape::Pre).contains(r#""role":"*""#));
    assert!(!json(&unreserved, Shape::Post).contains("role"));
}

#[test]
fn a_stack_stays_post_whoever_reads_it() {
    let two = r#""reservations":[{"type":"STATIC","role":"a"},{"type":"DYNAMIC","role":"a/b"}]"#;
    let resource = parse(&format!("{{{CPUS},{two}}}")).unwrap();
    for shape in [Shape::Pre, Shape::Post, Shape::Endpoint] {
        let written = json(&resource, shape);
        assert!(written.contains(two) && !written.contains(r#""reservation":"#), "{written}");
    }
}

#[test]
fn formats_follow_the_capabilities() {
    use crate::framework::Capability::{MultiRole, ReservationRefinement};
    let info = |capabilities: &[Capability]| {
        let capability =
            |it: &Capability| v1::framework_info::Capability { r#type: Some(*it as i32) };
        let mut wire = v1::FrameworkInfo {
            capabilities: capabilities.iter().map(capability).collect(),
            ..Default::default()
        };
        if capabilities.contains(&MultiRole) {
            wire.roles = vec!["a".to_owned()];
        }
        crate::convert::framework::from_proto(wire).unwrap()
    };
    assert_eq!(Format::of(&info(&[])), Format { shape: Shape::Pre, allocation: false });
    assert_eq!(Format::of(&info(&[MultiRole])), Format { shape: Shape::Pre, allocation: true });
    assert_eq!(Format::of(&info(&[MultiRole, ReservationRefinement])), Format::WHOLE);
}

#[test]
fn refusals_of_shape_name_the_field() {
    let dynamic = r#"{"type":"DYNAMIC","role":"a","principal":"p"}"#;
    for (rest, path) in [
        (r#""role":"*","reservation":{}"#.to_owned(), "reservation"),
        (r#""role":"a","reservation":{"type":"DYNAMIC"}"#.to_owned(), "reservation.type"),
        (r#""role":"a","reservation":{"role":"a"}"#.to_owned(), "reservation.role"),
        (r#""role":"a b""#.to_owned(), "role"),
        (format!(r#""role":"b","reservations":[{dynamic}]"#), "role"),
        (format!(r#""reservation":{{"principal":"q"}},"reservations":[{dynamic}]"#), "reservation"),
        (
            r#""reservation":{},"reservations":[{"type":"STATIC","role":"a"}]"#.to_owned(),
            "reservation",
        ),
        (
            format!(r#""role":"a","reservations":[{dynamic},{{"type":"DYNAMIC","role":"a/b"}}]"#),
            "role",
        ),
        (
            format!(
                r#""reservation":{{}},"reservations":[{dynamic},{{"type":"DYNAMIC","role":"a/b"}}]"#
            ),
            "reservation",
        ),
        (r#""reservations":[{"role":"a"}]"#.to_owned(), "reservations[0].type"),
        (r#""reservations":[{"type":"DYNAMIC"}]"#.to_owned(), "reservations[0].role"),
        (r#""reservations":[{"type":"DYNAMIC","role":"/"}]"#.to_owned(), "reservations[0].role"),
        (r#""reservations":[{"type":"DYNAMIC","role":"*"}]"#.to_owned(), "reservations[0].role"),
        (
            format!(r#""reservations":[{dynamic},{{"type":"DYNAMIC","role":"b"}}]"#),
            "reservations[1].role",
        ),
        (
            format!(r#""reservations":[{dynamic},{{"type":"STATIC","role":"a/b"}}]"#),
            "reservations[1].type",
        ),
        (r#""allocation_info":{"role":"a//b"}"#.to_owned(), "allocation_info.role"),
        (r#""shared":{}"#.to_owned(), "shared"),
        (r#""disk":{"source":{"type":"PATH","path":{"root":"/d"}}}"#.to_owned(), "disk"),
    ] {
        let refused = parse(&format!("{{{CPUS},{rest}}}")).unwrap_err();
        assert_eq!(refused.path, path, "{rest}: {refused}");
    }
}

#[test]
fn refusals_of_amounts_name_the_field() {
    let scalar = |value| v1::Resource {
        name: "mem".to_owned(),
        scalar: Some(v1::value::Scalar { value }),
        ..Default::default()
    };
    for bad in
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0001, 0.0004, 1.0e12 + 1.0, 1e300]
    {
        let refused = list_from_proto("resources", vec![scalar(1.0), scalar(bad)]).unwrap_err();
        assert_eq!(refused.path, "resources[1].scalar.value", "{bad}");
    }
    for (given, amount) in
        [(0.0, 0), (-0.0, 0), (0.0005, 1), (0.3, 300), (1.0e12, 1_000_000_000_000_000)]
    {
        assert_eq!(
            from_proto(scalar(given)).unwrap().value,
            Value::Scalar(Scalar::thousandths(amount)),
            "{given}"
        );
    }
    for (json, path) in [
        (r#"{"name":"","type":"SCALAR","scalar":{"value":1}}"#, "name"),
        (r#"{"name":"x","type":"TEXT"}"#, "type"),
        (r#"{"name":"x","type":"SCALAR"}"#, "scalar"),
        (r#"{"name":"x","type":"RANGES"}"#, "ranges"),
        (r#"{"name":"x","type":"SET"}"#, "set"),
        (r#"{"name":"x","type":"SCALAR","scalar":{"value":1},"set":{}}"#, "set"),
        (r#"{"name":"x","type":"SET","set":{},"scalar":{"value":1}}"#, "scalar"),
        (
            r#"{"name":"x","type":"RANGES","ranges":{"range":[{"begin":2,"end":1}]}}"#,
            "ranges.range[0]",
        ),
        (
            r#"{"name":"x","type":"RANGES","ranges":{"range":[{"begin":5,"end":10},{"begin":1,"end":6}]}}"#,
            "ranges.range",
        ),
        (r#"{"name":"x","type":"SET","set":{"item":["a","a"]}}"#, "set.item"),
        (r#"{"name":"gpus","type":"SCALAR","scalar":{"value":0.5}}"#, "scalar.value"),
    ] {
        assert_eq!(parse(json).unwrap_err().path, path, "{json}");
    }
}

#[test]
fn refusals_of_disks_name_the_field() {
    let volume = r#""volume":{"container_path":"data","mode":"RW"}"#;
    let reserved = r#""reservations":[{"type":"DYNAMIC","role":"db"}]"#;
    for (rest, path) in [
        (r#""disk":{}"#.to_owned(), "disk"),
        (format!(r#""disk":{{{volume}}}"#), "disk.volume"),
        (r#""disk":{"source":{"type":"UNKNOWN"}}"#.to_owned(), "disk.source.type"),
        (r#""disk":{"source":{"type":"PATH"}}"#.to_owned(), "disk.source"),
        (r#""disk":{"source":{"type":"PATH","path":{"root":""}}}"#.to_owned(), "disk.source.root"),
        (
            r#""disk":{"source":{"type":"PATH","mount":{"root":"/d"}}}"#.to_owned(),
            "disk.source.mount",
        ),
        (
            r#""disk":{"source":{"type":"BLOCK","path":{"root":"/d"}}}"#.to_owned(),
            "disk.source.path",
        ),
        (
            format!(r#"{reserved},"disk":{{"persistence":{{"id":"a/b"}},{volume}}}"#),
            "disk.persistence.id",
        ),
        (format!(r#"{reserved},"disk":{{"persistence":{{"id":"a"}}}}"#), "disk.volume"),
        (format!(r#""disk":{{"persistence":{{"id":"a"}},{volume}}}"#), "disk.persistence"),
        (
            format!(
                r#""revocable":{{}},"role":"s","disk":{{"persistence":{{"id":"a"}},{volume}}}"#
            ),
            "disk.persistence",
        ),
        (
            format!(
                r#"{reserved},"disk":{{"persistence":{{"id":"a"}},"volume":{{"container_path":"/x","mode":"RW"}}}}"#
            ),
            "disk.volume.container_path",
        ),
        (
            format!(
                r#"{reserved},"disk":{{"persistence":{{"id":"a"}},"volume":{{"container_path":"x","mode":"RW","host_path":"/x"}}}}"#
            ),
            "disk.volume.host_path",
        ),
    ] {
        let refused = parse(&disk(&rest)).unwrap_err();
        assert_eq!(refused.path, path, "{rest}: {refused}");
    }
    let mut wire: v1::Resource = holdfast_proto::json::from_slice(
        disk(&format!(r#"{reserved},"disk":{{"persistence":{{"id":"a"}},{volume}}}"#)).as_bytes(),
    )
    .unwrap();
    assert!(from_proto(wire.clone()).is_ok());
    wire.disk.as_mut().unwrap().volume.as_mut().unwrap().mode = 9;
    assert_eq!(from_proto(wire).unwrap_err().path, "disk.volume.mode");
}

proptest! {
    #[test]
    fn whole_resources_come_back(resource in samples::resource()) {
        prop_assert_eq!(from_proto(to_proto(&resource, Format::WHOLE)), Ok(resource));
    }

    #[test]
    fn every_shape_says_the_same(resource in samples::resource(), shape in prop::sample::select(vec![Shape::Pre, Shape::Post, Shape::Endpoint])) {
        let wire = to_proto(&resource, Format { shape, allocation: false });
        prop_assert!(wire.allocation_info.is_none());
        prop_assert_eq!(from_proto(wire), Ok(resource.unallocated()));
    }

    #[test]
    fn json_says_the_same(resource in samples::resource()) {
        let wire = to_proto(&resource, Format::ENDPOINT);
        let read: v1::Resource = holdfast_proto::json::from_slice(holdfast_proto::json::to_string(&wire).as_bytes()).unwrap();
        prop_assert_eq!(from_proto(read), Ok(resource));
    }

    #[test]
    fn sums_come_back(sum in samples::sum()) {
        prop_assert_eq!(sum_from_proto("resources", sum_to_proto(&sum, Format::WHOLE)), Ok(sum));
    }
}

#[test]
fn labels_and_metadata_in_another_order_are_the_same_resource() {
    let pair = |a: &str, b: &str| {
        format!(r#"{{"labels":[{{"key":"{a}","value":"1"}},{{"key":"{b}","value":"1"}}]}}"#)
    };
    let (one, other) = (pair("a", "b"), pair("b", "a"));
    let post = |labels: &str| {
        let stack =
            format!(r#""reservations":[{{"type":"DYNAMIC","role":"db","labels":{labels}}}]"#);
        parse(&format!("{{{CPUS},{stack}}}")).unwrap()
    };
    let pre = |labels: &str| {
        let reservation = format!(r#""role":"db","reservation":{{"labels":{labels}}}"#);
        parse(&format!("{{{CPUS},{reservation}}}")).unwrap()
    };
    assert!(post(&one) == post(&other) && pre(&one) == pre(&other) && pre(&one) == post(&other));
    let both = format!(
        r#"{{{CPUS},"role":"db","reservation":{{"labels":{one}}},"reservations":[{{"type":"DYNAMIC","role":"db","labels":{other}}}]}}"#
    );
    assert_eq!(parse(&both).unwrap(), post(&one), "PRE may repeat POST in another order");
    let sum: Resources = [post(&one), post(&other)].iter().collect();
    assert_eq!(sum.len(), 1, "they are one amount");
    let disk = |metadata: &str| {
        let source = format!(r#"{{"type":"RAW","id":"x","metadata":{metadata}}}"#);
        parse(&format!(r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":1}},"disk":{{"source":{source}}}}}"#)).unwrap()
    };
    assert_eq!(disk(&one), disk(&other));
}
