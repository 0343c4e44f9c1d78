//! Every status code of the master's HTTP endpoints, by rule.

use holdfast_wire::{LeadershipState, Limits, Refusal};

use crate::master_api::{Seen, Site, SUBSCRIBE};
use crate::raw::{ask, post_json, Answer};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const STREAM: (&str, &str) = ("Mesos-Stream-Id", "7f9e1c2a-0000-4000-8000-000000000001");
const REVIVE: &str = r#"{"type":"REVIVE","framework_id":{"value":"F-1"}}"#;
const ACCEPT: (&str, &str) = ("Accept", "text/html");

/// Rule, method, path, headers, body, status, and words that the answer must hold.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    u16,
    &'static str,
);

const REFUSED: &[Row] = &[
    ("H2 GET on scheduler", "GET", "/api/v1/scheduler", &[JSON], "", 405, "POST"),
    ("H2 PUT on operator", "PUT", "/master/api/v1", &[JSON], "", 405, "POST"),
    ("H2 DELETE on a page", "DELETE", "/state", &[], "", 405, "GET"),
    ("H2 empty body", "POST", "/api/v1/scheduler", &[JSON], "", 400, "JSON"),
    ("H2 empty protobuf", "POST", "/api/v1/scheduler", &[PROTOBUF], "", 400, "type"),
    ("H2 malformed JSON", "POST", "/api/v1/scheduler", &[JSON], "{\"type\":", 400, "line 1"),
    (
        "H2 malformed protobuf",
        "POST",
        "/api/v1/scheduler",
        &[PROTOBUF],
        "{\"type\":1}",
        400,
        "protobuf",
    ),
    ("H3 no content type", "POST", "/api/v1/scheduler", &[], SUBSCRIBE, 400, "Content-Type"),
    (
        "H3 other content type",
        "POST",
        "/api/v1/scheduler",
        &[("Content-Type", "text/plain")],
        SUBSCRIBE,
        415,
        "text/plain",
    ),
    (
        "H3 on operator",
        "POST",
        "/api/v1",
        &[("Content-Type", "application/recordio")],
        "{}",
        415,
        "recordio",
    ),
    ("H4 on SUBSCRIBE", "POST", "/api/v1/scheduler", &[JSON, ACCEPT], SUBSCRIBE, 406, "text/html"),
    (
        "H4 on operator",
        "POST",
        "/api/v1",
        &[JSON, ACCEPT],
        r#"{"type":"GET_ROLES"}"#,
        406,
        "text/html",
    ),
    (
        "H7 no framework_id",
        "POST",
        "/api/v1/scheduler",
        &[JSON, STREAM],
        r#"{"type":"REVIVE"}"#,
        400,
        "framework_id",
    ),
    ("H7 no stream id", "POST", "/api/v1/scheduler", &[JSON], REVIVE, 400, "Mesos-Stream-Id"),
    (
        "H7 stream id is no uuid",
        "POST",
        "/api/v1/scheduler",
        &[JSON, ("Mesos-Stream-Id", "x")],
        REVIVE,
        400,
        "uuid",
    ),
    (
        "D9 SUBSCRIBE with stream id",
        "POST",
        "/api/v1/scheduler",
        &[JSON, STREAM],
        SUBSCRIBE,
        400,
        "Mesos-Stream-Id",
    ),
    (
        "D1 SUBSCRIBE without subscribe",
        "POST",
        "/api/v1/scheduler",
        &[JSON],
        r#"{"type":"SUBSCRIBE"}"#,
        400,
        "subscribe",
    ),
    (
        "H15 missing required field",
        "POST",
        "/api/v1/scheduler",
        &[JSON],
        r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"x"}}}"#,
        400,
        "subscribe.framework_info.user",
    ),
    (
        "H15 wrong type names its path",
        "POST",
        "/api/v1/scheduler",
        &[JSON],
        r#"{"type":"ACCEPT","accept":{"offer_ids":[{"value":7}]}}"#,
        400,
        "accept.offer_ids[0].value",
    ),
    ("H15 no type", "POST", "/api/v1/scheduler", &[JSON], "{}", 400, "type"),
    ("H24 unknown call", "POST", "/api/v1/scheduler", &[JSON], r#"{"type":"DANCE"}"#, 501, "DANCE"),
    (
        "H24 type UNKNOWN",
        "POST",
        "/api/v1/scheduler",
        &[JSON],
        r#"{"type":"UNKNOWN"}"#,
        501,
        "UNKNOWN",
    ),
    ("H24 unknown number", "POST", "/api/v1/scheduler", &[PROTOBUF], "\x10\x63", 501, "99"),
    ("H24 on operator", "POST", "/api/v1", &[JSON], r#"{"type":"DANCE"}"#, 501, "DANCE"),
    (
        "H32 operator SUBSCRIBE, where the trait's default serves none",
        "POST",
        "/api/v1",
        &[JSON],
        r#"{"type":"SUBSCRIBE"}"#,
        501,
        "not served here",
    ),
    ("H38 no such page", "GET", "/nowhere", &[], "", 404, "/nowhere"),
    (
        "our own API, where the trait's default serves none",
        "GET",
        "/holdfast/v1/claims",
        &[],
        "",
        404,
        "claims",
    ),
    ("H12 jsonp with code", "GET", "/state?jsonp=alert(1)", &[], "", 400, "jsonp"),
];

#[tokio::test]
async fn refusals_by_rule() {
    let mut site = Site::start(Limits::default()).await;
    for (rule, method, path, headers, body, status, words) in REFUSED {
        let answer = ask(site.address, method, path, headers, body.as_bytes()).await;
        assert_eq!(answer.status, *status, "{rule}: {}", answer.text());
        assert!(answer.text().contains(words), "{rule}: {}", answer.text());
        assert_eq!(answer.header("allow").is_some(), *status == 405, "{rule}");
    }
    site.assert_untouched();
}

const ANSWERED: &[Row] = &[
    ("H6 scheduler call", "POST", "/api/v1/scheduler", &[JSON, STREAM], REVIVE, 202, ""),
    (
        "H1 with the process's name",
        "POST",
        "/master/api/v1/scheduler",
        &[JSON, STREAM],
        REVIVE,
        202,
        "",
    ),
    (
        "H6 UPDATE_FRAMEWORK",
        "POST",
        "/api/v1/scheduler",
        &[JSON, STREAM],
        r#"{"type":"UPDATE_FRAMEWORK","framework_id":{"value":"F-1"}}"#,
        200,
        "",
    ),
    (
        "H4 Accept does not matter for calls",
        "POST",
        "/api/v1/scheduler",
        &[JSON, STREAM, ACCEPT],
        REVIVE,
        202,
        "",
    ),
    (
        "H31 RESERVE_RESOURCES",
        "POST",
        "/api/v1",
        &[JSON],
        r#"{"type":"RESERVE_RESOURCES"}"#,
        202,
        "",
    ),
    (
        "H31 CREATE_VOLUMES at the alias",
        "POST",
        "/api/v1/operator",
        &[JSON],
        r#"{"type":"CREATE_VOLUMES"}"#,
        202,
        "",
    ),
    ("H31 TEARDOWN", "POST", "/api/v1", &[JSON], r#"{"type":"TEARDOWN"}"#, 200, ""),
    (
        "H31 with a response",
        "POST",
        "/api/v1",
        &[JSON],
        r#"{"type":"GET_ROLES"}"#,
        200,
        r#""type":"GET_ROLES""#,
    ),
    (
        "H13 a number is a type, too",
        "POST",
        "/api/v1",
        &[JSON],
        r#"{"type":14}"#,
        200,
        r#""type":"GET_ROLES""#,
    ),
    (
        "H30 GET_HEALTH",
        "POST",
        "/api/v1",
        &[JSON],
        r#"{"type":"GET_HEALTH"}"#,
        200,
        r#""healthy":true"#,
    ),
    (
        "H30 GET_VERSION",
        "POST",
        "/api/v1",
        &[JSON],
        r#"{"type":"GET_VERSION"}"#,
        200,
        r#""version":"1.11.0""#,
    ),
    (
        "H30 GET_METRICS",
        "POST",
        "/api/v1",
        &[JSON],
        r#"{"type":"GET_METRICS"}"#,
        200,
        "master/elected",
    ),
    ("H38 state", "GET", "/state", &[], "", 200, r#"{"page":"x"}"#),
    ("H38 state with the process's name", "GET", "/master/state", &[], "", 200, r#"{"page":"x"}"#),
    ("H38 state by POST", "POST", "/state", &[], "", 200, r#"{"page":"x"}"#),
    ("H38 tasks below a folder", "GET", "/tasks/", &[], "", 200, r#"{"page":"Tasks"}"#),
    ("H38 one agent", "GET", "/slaves/S1", &[], "", 200, r#"{"page":"Slaves"}"#),
    ("H12 jsonp has no semicolon", "GET", "/roles?jsonp=f", &[], "", 200, r#"f({"page":"Roles"})"#),
    ("H48 health", "GET", "/health", &[], "", 200, ""),
    ("H48 version", "GET", "/version", &[], "", 200, r#"{"version":"1.11.0"}"#),
    ("H47 snapshot", "GET", "/metrics/snapshot", &[], "", 200, r#""master/elected":1.0"#),
    (
        "Prometheus",
        "GET",
        "/metrics",
        &[],
        "",
        200,
        "# TYPE master_elected gauge\nmaster_elected 1\n",
    ),
    ("H38 list", "GET", "/", &[], "", 200, "/api/v1/scheduler"),
    (
        "H3 parameters and case",
        "POST",
        "/api/v1",
        &[("content-type", "Application/JSON; charset=UTF-8")],
        r#"{"type":"GET_ROLES"}"#,
        200,
        "GET_ROLES",
    ),
    (
        "Authorization is ignored",
        "POST",
        "/api/v1",
        &[JSON, ("Authorization", "Basic eDp5")],
        r#"{"type":"GET_ROLES"}"#,
        200,
        "GET_ROLES",
    ),
];

#[tokio::test]
async fn answers_by_rule() {
    let site = Site::start(Limits::default()).await;
    for (rule, method, path, headers, body, status, words) in ANSWERED {
        let answer = ask(site.address, method, path, headers, body.as_bytes()).await;
        assert_eq!(answer.status, *status, "{rule}: {}", answer.text());
        let text = answer.text();
        assert!(
            if words.is_empty() { text.is_empty() } else { text.contains(words) },
            "{rule}: {text}"
        );
    }
}

#[tokio::test]
async fn h6_refusals_of_the_door_keep_their_status_and_words() {
    let mut site = Site::start(Limits::default()).await;
    let calls: [(&str, &str); 3] = [
        ("/api/v1/scheduler", SUBSCRIBE),
        ("/api/v1/scheduler", REVIVE),
        ("/api/v1", r#"{"type":"RESERVE_RESOURCES"}"#),
    ];
    for (path, body) in calls {
        for status in [400, 401, 403, 409, 503] {
            site.refuse_next(Refusal::new(status, "because"));
            let headers: &[_] = if body == REVIVE { &[JSON, STREAM] } else { &[JSON] };
            let answer = ask(site.address, "POST", path, headers, body.as_bytes()).await;
            assert_eq!((answer.status, answer.text().as_str()), (status, "because"), "{path}");
        }
    }
    site.assert_untouched();
}

fn location(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("location"))
}

#[tokio::test]
async fn h5_standby_redirects_and_says_when_nobody_leads() {
    let mut site = Site::start(Limits::default()).await;
    let leader_only = [
        ("POST", "/api/v1/scheduler"),
        ("POST", "/master/api/v1"),
        ("GET", "/state?size=3"),
        ("GET", "/master/tasks"),
    ];
    site.stand(LeadershipState::Standby { leader: Some("m2:5050".to_owned()) });
    for (method, path) in leader_only {
        let answer = ask(site.address, method, path, &[], b"").await;
        assert_eq!(location(&answer), (307, Some(format!("//m2:5050{path}").as_str())));
    }
    assert_eq!(
        location(&ask(site.address, "GET", "/redirect", &[], b"").await),
        (307, Some("//m2:5050"))
    );
    for own in ["/health", "/version", "/metrics", "/metrics/snapshot", "/"] {
        assert_eq!(ask(site.address, "GET", own, &[], b"").await.status, 200, "{own}");
    }
    for leadership_state in [LeadershipState::Standby { leader: None }, LeadershipState::Recovering]
    {
        site.stand(leadership_state);
        for (method, path) in leader_only.into_iter().chain([("GET", "/master/redirect")]) {
            let answer = ask(site.address, method, path, &[], b"").await;
            assert_eq!(location(&answer), (503, None), "{path}");
        }
        assert_eq!(ask(site.address, "GET", "/health", &[], b"").await.status, 200);
    }
    site.stand(LeadershipState::Leading { address: "m1:5050".to_owned() });
    assert_eq!(
        location(&ask(site.address, "GET", "/master/redirect", &[], b"").await),
        (307, Some("//m1:5050"))
    );
    site.assert_untouched();
}

#[tokio::test]
async fn h15_null_is_unset_and_unknown_fields_are_ignored() {
    let mut site = Site::start(Limits::default()).await;
    let body = r#"{"type":"RESERVE_RESOURCES","nonsense":{"a":[1]},"teardown":null,"reserve_resources":
        {"agent_id":{"value":"S1"},"resources":[{"name":"disk","type":"SCALAR","scalar":{"value":"12.5"}}]}}"#;
    assert_eq!(post_json(site.address, "/api/v1", body).await.status, 202);
    let Seen::Operated(call) = site.next().await else { panic!("an operator's call") };
    assert_eq!(call.reserve_resources.unwrap().resources[0].scalar.unwrap().value, 12.5);
}

#[tokio::test]
async fn h11_gzip_both_ways() {
    use std::io::{Read, Write};
    let site = Site::start(Limits { body_max_bytes: 100_000, ..Limits::default() }).await;
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    let answer =
        ask(site.address, "GET", "/state?size=5000", &[("Accept-Encoding", "gzip")], b"").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut plain = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut plain).unwrap();
    assert!(plain.len() > 5000 && answer.body.len() < 500);
    let small =
        ask(site.address, "GET", "/state?size=500", &[("Accept-Encoding", "gzip")], b"").await;
    assert_eq!(small.header("content-encoding"), None);

    let headers = [JSON, ("Content-Encoding", "gzip")];
    let answer =
        ask(site.address, "POST", "/api/v1", &headers, &gzip(br#"{"type":"GET_ROLES"}"#)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bomb = gzip(&vec![b' '; 20_000_000]);
    assert!(bomb.len() < 100_000);
    assert_eq!(ask(site.address, "POST", "/api/v1", &headers, &bomb).await.status, 413);
    assert_eq!(ask(site.address, "POST", "/api/v1", &headers, b"no gzip at all").await.status, 400);
    assert_eq!(
        ask(site.address, "POST", "/api/v1", &[JSON, ("Content-Encoding", "br")], b"x")
            .await
            .status,
        415
    );
}
