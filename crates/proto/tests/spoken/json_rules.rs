//! The rules of the JSON mapping, one test for each, and the paths of errors.

use holdfast_proto::holdfast::ledger::v1 as ledger;
use holdfast_proto::json::{self, JsonError};
use holdfast_proto::mesos::v1 as mesos;
use mesos::scheduler::{call, Call};
use prost::Message;

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    json::from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refuse<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> JsonError {
    json::from_slice::<T>(text.as_bytes()).expect_err(text)
}

#[test]
fn names_are_those_of_the_file() {
    let stats: mesos::IpStatistics = read(r#"{"InReceives":7,"DefaultTTL":64}"#);
    assert_eq!((stats.in_receives, stats.default_ttl), (Some(7), Some(64)));
    assert_eq!(json::to_string(&stats), r#"{"DefaultTTL":64,"InReceives":7}"#);
    let kept: mesos::CommandInfo = read(r#"{"value":"x","shell":false}"#);
    assert_eq!(json::to_string(&kept), r#"{"shell":false,"value":"x"}"#);
}

#[test]
fn enums_are_names_and_may_come_as_numbers() {
    let call: Call = read(r#"{"type":"ACCEPT"}"#);
    assert_eq!(call.r#type, Some(call::Type::Accept as i32));
    assert_eq!(read::<Call>(r#"{"type":3}"#), call);
    assert_eq!(json::to_string(&call), r#"{"type":"ACCEPT"}"#);
}

#[test]
fn unknown_optional_enums_are_unset() {
    for text in [
        r#"{"type":"ACCEPT_ALL"}"#,
        r#"{"type":4711}"#,
        r#"{"type":-1}"#,
        r#"{"type":null}"#,
        r#"{"type":99999999999}"#,
    ] {
        assert_eq!(read::<Call>(text), Call::default(), "{text}");
    }
    let of_newer = Call { r#type: Some(4711), ..Call::default() };
    assert_eq!(json::to_string(&of_newer), "{}");
}

#[test]
fn unknown_required_enums_are_refused() {
    let error = refuse::<mesos::Value>(r#"{"type":"QUATERNION"}"#);
    assert_eq!(error.path, "type");
    assert!(
        error.message.contains("`QUATERNION`, expected one of `SCALAR`, `RANGES`, `SET`, `TEXT`"),
        "{error}"
    );
    let error = refuse::<mesos::Value>(r#"{"type":9}"#);
    assert!(error.message.contains("a value of mesos.v1.Value.Type"), "{error}");
    assert_eq!(
        refuse::<mesos::CapabilityInfo>(r#"{"capabilities":["KILL","FLY"]}"#).path,
        "capabilities[1]"
    );
}

#[test]
fn unknown_repeated_enums_are_not_written() {
    let newer = mesos::CapabilityInfo { capabilities: vec![1005, 4711, 1006] };
    assert_eq!(json::to_string(&newer), r#"{"capabilities":["KILL","SETGID"]}"#);
}

#[test]
fn bytes_are_base64() {
    let message = mesos::Uuid { value: vec![0xfb, 0xff, 0xfe, 1] };
    assert_eq!(json::to_string(&message), r#"{"value":"+//+AQ=="}"#);
    for text in ["+//+AQ==", "+//+AQ", "-__-AQ==", "-__-AQ"] {
        assert_eq!(read::<mesos::Uuid>(&format!(r#"{{"value":"{text}"}}"#)), message);
    }
    assert_eq!(refuse::<mesos::Uuid>(r#"{"value":"no base64!"}"#).path, "value");
    assert_eq!(refuse::<mesos::Uuid>(r#"{"value":[1,2]}"#).path, "value");
}

#[test]
fn integers_are_numbers_and_may_come_as_strings() {
    let max: mesos::value::Range =
        read(r#"{"begin":"18446744073709551615","end":18446744073709551615}"#);
    assert_eq!((max.begin, max.end), (u64::MAX, u64::MAX));
    assert_eq!(
        json::to_string(&max),
        r#"{"begin":18446744073709551615,"end":18446744073709551615}"#
    );
    let min: mesos::TimeInfo = read(r#"{"nanoseconds":"-9223372036854775808"}"#);
    assert_eq!(json::to_string(&min), r#"{"nanoseconds":-9223372036854775808}"#);
    let whole: mesos::value::Range = read(r#"{"begin":31000.0,"end":3.2e4}"#);
    assert_eq!((whole.begin, whole.end), (31000, 32000));
    assert_eq!(read::<mesos::Address>(r#"{"port":"-1"}"#).port, -1);
}

#[test]
fn integers_are_never_bent() {
    for wrong in [
        "0.5",
        "-1",
        "-1.0",
        "18446744073709551616",
        "1e300",
        "\"\"",
        "\"1.5\"",
        "\" 1\"",
        "\"0x10\"",
        "true",
        "[]",
        "{}",
        "null",
    ] {
        let error = refuse::<mesos::value::Range>(&format!(r#"{{"begin":{wrong},"end":1}}"#));
        assert_eq!(error.path, "begin", "{wrong}");
        assert!(
            error.message.contains("a whole number of 64 bits that is not negative"),
            "{error}"
        );
    }
    for wrong in ["2147483648", "-2147483649", "\"2147483648\""] {
        assert_eq!(refuse::<mesos::Address>(&format!(r#"{{"port":{wrong}}}"#)).path, "port");
    }
    assert_eq!(
        refuse::<mesos::TimeInfo>(r#"{"nanoseconds":9223372036854775808}"#).path,
        "nanoseconds"
    );
    assert_eq!(refuse::<mesos::TimeInfo>(r#"{"nanoseconds":9.3e18}"#).path, "nanoseconds");
}

#[test]
fn doubles_may_be_endless() {
    for (text, value) in [
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
        ("30720.0", 30720.0),
        ("0.1", 0.1),
    ] {
        let text = format!(r#"{{"value":{text}}}"#);
        let scalar: mesos::value::Scalar = read(&text);
        assert_eq!(scalar.value, value);
        assert_eq!(json::to_string(&scalar), text);
    }
    let nan: mesos::value::Scalar = read(r#"{"value":"NaN"}"#);
    assert!(nan.value.is_nan());
    assert_eq!(json::to_string(&nan), r#"{"value":"NaN"}"#);
    for (text, value) in [("4", 4.0), ("-3", -3.0), ("\"1.5\"", 1.5)] {
        assert_eq!(read::<mesos::value::Scalar>(&format!(r#"{{"value":{text}}}"#)).value, value);
    }
    for wrong in ["\"inf\"", "\"much\"", "true", "\"1e999\"", "1e999"] {
        refuse::<mesos::value::Scalar>(&format!(r#"{{"value":{wrong}}}"#));
    }
}

#[test]
fn booleans_may_come_as_strings() {
    for (text, value) in
        [("true", true), ("\"true\"", true), ("false", false), ("\"false\"", false)]
    {
        assert_eq!(
            read::<mesos::FrameworkInfo>(&format!(
                r#"{{"user":"u","name":"n","checkpoint":{text}}}"#
            ))
            .checkpoint,
            Some(value)
        );
    }
    for wrong in ["1", "\"yes\"", "\"True\"", "[]"] {
        let error = refuse::<mesos::FrameworkInfo>(&format!(
            r#"{{"user":"u","name":"n","checkpoint":{wrong}}}"#
        ));
        assert_eq!(error.path, "checkpoint");
    }
}

#[test]
fn unknown_fields_are_ignored_and_null_is_unset() {
    let plain: Call = read(r#"{"type":"ACCEPT","accept":{"offer_ids":[{"value":"o"}]}}"#);
    let noisy = r#"{"new":{"deep":[1,{"x":null}]},"type":"ACCEPT","framework_id":null,"subscribe":null,
        "accept":{"offer_ids":[null,{"value":"o","x":1}],"operations":null,"filters":null}}"#;
    assert_eq!(read::<Call>(noisy), plain);
    let limits: mesos::quota::QuotaConfig =
        read(r#"{"role":"r","limits":{"cpus":{"value":1},"mem":null},"guarantees":null}"#);
    assert_eq!(limits.limits.keys().collect::<Vec<_>>(), ["cpus"]);
}

#[test]
fn null_is_no_required_field() {
    assert_eq!(refuse::<mesos::OfferId>(r#"{"value":null}"#).path, "value");
    assert_eq!(
        refuse::<Call>(r#"{"subscribe":{"framework_info":null}}"#).path,
        "subscribe.framework_info"
    );
}

#[test]
fn maps_are_objects() {
    let config: mesos::quota::QuotaConfig =
        read(r#"{"role":"r","guarantees":{"mem":{"value":2},"cpus":{"value":1}}}"#);
    assert_eq!(
        json::to_string(&config),
        r#"{"role":"r","guarantees":{"cpus":{"value":1.0},"mem":{"value":2.0}}}"#
    );
    let error =
        refuse::<mesos::quota::QuotaConfig>(r#"{"role":"r","guarantees":{"cpus":{"value":"x"}}}"#);
    assert_eq!(error.path, "guarantees.cpus.value");
    assert_eq!(
        refuse::<mesos::quota::QuotaConfig>(r#"{"role":"r","guarantees":[]}"#).path,
        "guarantees"
    );
}

#[test]
fn durations_are_objects() {
    let call = r#"{"agent_id":{"value":"a"},"max_grace_period":{"seconds":5,"nanos":0},"mark_gone":false}"#;
    let drain: mesos::master::call::DrainAgent = read(call);
    assert_eq!(drain.max_grace_period.unwrap().seconds, 5);
    assert_eq!(json::to_string(&drain), call);
}

#[test]
fn defaults_are_printed_unless_deprecated() {
    let framework =
        mesos::FrameworkInfo { user: "u".into(), name: "n".into(), ..Default::default() };
    assert_eq!(
        json::to_string(&framework),
        r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}"#
    );
    assert_eq!(json::to_string(&mesos::Filters::default()), r#"{"refuse_seconds":5.0}"#);
    assert_eq!(
        json::to_string(&mesos::network_info::IpAddress::default()),
        r#"{"protocol":"IPv4"}"#
    );
    let agent = mesos::AgentInfo { hostname: "h".into(), ..Default::default() };
    assert_eq!(json::to_string(&agent), r#"{"hostname":"h","port":5051}"#);
    let plugin = mesos::CsiPluginInfo { r#type: "t".into(), ..Default::default() };
    assert_eq!(json::to_string(&plugin), r#"{"type":"t","name":"default"}"#);
}

#[test]
fn a_default_that_was_overruled_is_kept() {
    assert_eq!(
        json::to_string(&mesos::Filters { refuse_seconds: Some(0.0) }),
        r#"{"refuse_seconds":0.0}"#
    );
    let address: mesos::network_info::IpAddress = read(r#"{"protocol":"IPv6"}"#);
    assert_eq!(json::to_string(&address), r#"{"protocol":"IPv6"}"#);
    assert_eq!(read::<mesos::network_info::IpAddress>(r#"{"protocol":null}"#).protocol, None);
}

#[test]
fn one_member_of_a_oneof_is_enough() {
    use mesos::scheduler::attribute_constraint::{predicate, Predicate, Selector};
    let predicate: Predicate = read(r#"{"text_equals":{"value":"x"},"exists":null}"#);
    assert!(
        matches!(&predicate.predicate, Some(predicate::Predicate::TextEquals(t)) if t.value == "x")
    );
    assert_eq!(json::to_string(&predicate), r#"{"text_equals":{"value":"x"}}"#);
    assert_eq!(read::<Predicate>("{}"), Predicate::default());
    let error = refuse::<Predicate>(r#"{"exists":{},"not_exists":{}}"#);
    assert!(error.message.contains("more than one of exists, not_exists, text_equals"), "{error}");
    assert_eq!(read::<Selector>(r#"{"pseudoattribute_type":"CONTINENT"}"#), Selector::default());
    let selector: Selector = read(r#"{"pseudoattribute_type":"ZONE"}"#);
    assert_eq!(json::to_string(&selector), r#"{"pseudoattribute_type":"ZONE"}"#);
    let constraint = r#"{"selector":{"attribute_name":"rack"},"predicate":{"text_matches":{}}}"#;
    assert_eq!(
        refuse::<mesos::scheduler::AttributeConstraint>(constraint).path,
        "predicate.text_matches.regex"
    );
}

#[test]
fn proto3_fields_are_always_written_and_may_be_absent() {
    assert_eq!(read::<ledger::Claim>("{}"), ledger::Claim::decode(&b""[..]).unwrap());
    assert_eq!(read::<ledger::Task>("{}"), ledger::Task::decode(&b""[..]).unwrap());
    assert_eq!(
        read::<ledger::Claim>(r#"{"state":"CLAIM_STATE_OF_TOMORROW"}"#),
        ledger::Claim::default()
    );
    assert_eq!(
        read::<ledger::Claim>(r#"{"state":"CLAIM_STATE_READY"}"#).state(),
        ledger::ClaimState::Ready
    );
    assert_eq!(
        read::<ledger::Disk>(r#"{"uuid":null,"size_mb":"12"}"#),
        ledger::Disk { size_mb: 12, ..Default::default() }
    );
    let disk = json::to_string(&ledger::Disk::default());
    assert_eq!(disk, r#"{"uuid":"","kind":"","root":"","size_mb":0}"#);
}

#[test]
fn an_error_names_the_field() {
    let accept = |resource: &str| {
        format!(
            r#"{{"type":"ACCEPT","accept":{{"operations":[{{"reserve":{{"resources":[{{"name":"a","type":"SET"}},{resource}]}}}}]}}}}"#
        )
    };
    let field = "accept.operations[0].reserve.resources[1]";
    let error = refuse::<Call>(&accept(r#"{"name":"cpus","type":"SCALAR","scalar":{"value":[]}}"#));
    assert_eq!(error.path, format!("{field}.scalar.value"));
    assert!(
        error.to_string().starts_with(&format!(
            "{field}.scalar.value: invalid type: sequence, expected a number"
        )),
        "{error}"
    );
    assert_eq!(refuse::<Call>(&accept(r#"{"type":"SCALAR"}"#)).path, format!("{field}.name"));
    assert_eq!(refuse::<Call>(&accept("7")).path, field);
    assert_eq!(
        refuse::<Call>(&accept(r#"{"name":7,"type":"SCALAR"}"#)).path,
        format!("{field}.name")
    );
    assert_eq!(refuse::<Call>(r#"{"accept":{"operations":{}}}"#).path, "accept.operations");
    assert_eq!(
        refuse::<mesos::OfferId>("{}"),
        refuse::<mesos::OfferId>(r#"{"valve":"x"}"#).at_the_end_of("{}")
    );
}

/// Positions differ with the text; all else must not.
trait AtTheEndOf {
    fn at_the_end_of(self, text: &str) -> Self;
}

impl AtTheEndOf for JsonError {
    fn at_the_end_of(self, text: &str) -> Self {
        let message = self.message.split(" at line").next().unwrap_or_default().to_owned();
        Self { message: format!("{message} at line 1 column {}", text.len()), ..self }
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        r#"{"type":"#,
        "[]x",
        "nul",
        r#"{"type":"ACCEPT"}}"#,
        r#"{"type":"ACCEPT"} {}"#,
        "\u{0}",
        "7",
        "\"x\"",
        "null",
    ] {
        let error = refuse::<Call>(text);
        assert!(!error.message.is_empty(), "{text}");
    }
    assert!(json::from_slice::<Call>(b"{\"framework_id\":{\"value\":\"\xff\"}}").is_err());
    assert!(refuse::<Call>(r#"{"type":"ACCEPT","type":"DECLINE"}"#)
        .message
        .contains("duplicate field `type`"));
}

#[test]
fn lists_of_messages_are_json_too() {
    let text = r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":4.0}},{"name":"zones","type":"SET","set":{"item":["a"]}}]"#;
    let resources: Vec<mesos::Resource> = read(text);
    assert_eq!(json::to_string(&resources), text);
    assert_eq!(
        refuse::<Vec<mesos::Resource>>(r#"[{"name":"x","type":"SCALAR"},{"name":"x"}]"#).path,
        "[1].type"
    );
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    let nested = |depth: usize| {
        format!(
            r#"{}{{"value":"c"}}{}"#,
            r#"{"value":"c","parent":"#.repeat(depth),
            "}".repeat(depth)
        )
    };
    let deep: mesos::ContainerId = read(&nested(json::MAX_DEPTH - 1));
    assert_eq!(json::to_string(&deep).matches("parent").count(), json::MAX_DEPTH - 1);
    for depth in [json::MAX_DEPTH, 10_000, 1_000_000] {
        let error = refuse::<mesos::ContainerId>(&nested(depth));
        assert!(error.message.contains("recursion limit"), "{}", error.message);
    }
    let brackets = format!(r#"{{"type":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(refuse::<Call>(&brackets).path, "type");
    let ignored = format!(r#"{{"later":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(read::<Call>(&ignored), Call::default());
}
