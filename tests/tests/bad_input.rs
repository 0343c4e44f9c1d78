//! What a stranger may send: each kind of bad input is answered with a status and a sentence that helps, changes nothing, and the next
//! request is served.
//!
//! Relies on a real master and a real agent with a claim to lose. Prints what was answered as a table. Never sends anything that is well-formed
//! and allowed.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use flate2::Compression;
use holdfast_tests::calls::{self, disk, reserved, volume};
use holdfast_tests::http::{exchange, get, request, Connection};
use holdfast_tests::{until, Answer, Cluster, Scheduler};
use serde_json::{json, Value};

const MB: usize = 1 << 20;
const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
/// How much a master may grow while it refuses large bodies, in kB.
const GROWTH_MAX_KB: u64 = 96 << 10;

/// To whom it is sent.
#[derive(Clone, Copy, PartialEq)]
enum Port {
    Master,
    Agent,
}

/// One kind of bad input.
#[derive(Clone)]
struct Case {
    what: String,
    port: Port,
    bytes: Vec<u8>,
    /// The status; 0 = hung up without an answer, which is all that garbage deserves.
    status: u16,
    /// What the answer must name.
    says: String,
}

/// The cluster before which the cases are put.
struct Stage {
    cluster: Cluster,
    agent: String,
    /// A framework that wants no offers.
    framework: Scheduler,
    /// One that hung up and may come back.
    away: String,
}

impl Stage {
    fn set() -> Stage {
        let cluster = Cluster::start();
        cluster.claim_volume(0, "precious", &disk(100.0, None));
        let sandboxes = cluster.agent_dir(0).join("slaves");
        std::fs::create_dir(&sandboxes).expect("no task has run yet");
        std::os::unix::fs::symlink("/etc/passwd", sandboxes.join("leads-out"))
            .expect("it was just made");
        let agent = cluster.agent_id(0);
        let master = cluster.master.address();
        let framework = Scheduler::subscribe(master, &calls::framework_info("there", 1e6), true);
        let gone = Scheduler::subscribe(master, &calls::framework_info("gone", 1e6), true);
        let away = gone.framework_id.clone();
        gone.hang_up();
        until("a framework is seen to be away", || {
            let rows = cluster.list("frameworks");
            if rows.iter().any(|row| row["state"] == "away") {
                Ok(())
            } else {
                Err(format!("{rows:?}"))
            }
        });
        Stage { cluster, agent, framework, away }
    }

    fn address(&self, port: Port) -> SocketAddr {
        match port {
            Port::Master => self.cluster.master.address(),
            Port::Agent => self.cluster.agents[0].address(),
        }
    }

    /// All that a master knows, and what its agent says of itself.
    fn state(&self) -> Value {
        let lists = ["claims", "agents", "disks", "frameworks", "tasks", "offers", "roles"];
        let mut state: Value =
            lists.iter().map(|name| (*name, json!(self.cluster.list(name)))).collect();
        state["agent's own"] =
            get(self.address(Port::Agent), "/state").expect(200, "/state of the agent").json();
        state
    }
}

fn case(what: &str, port: Port, bytes: Vec<u8>, status: u16, says: &str) -> Case {
    Case { what: what.to_owned(), port, bytes, status, says: says.to_owned() }
}

/// An operator's call to the master.
fn operator(what: &str, body: &str, status: u16, says: &str) -> Case {
    case(what, Port::Master, request("POST", "/api/v1", &[JSON], body.as_bytes()), status, says)
}

/// Before there is any call: HTTP and what surrounds a body.
fn envelopes() -> Vec<Case> {
    let body = br#"{"type":"GET_STATE"}"#;
    let post = |what, headers: &[(&str, &str)], status, says| {
        case(what, Port::Master, request("POST", "/api/v1", headers, body), status, says)
    };
    let plain =
        |what, bytes: &[u8], status, says| case(what, Port::Master, bytes.to_vec(), status, says);
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(MB));
    let many_headers: String = (0..5000).map(|index| format!("X-{index}: y\r\n")).collect();
    vec![
        post("no Content-Type", &[], 400, "Content-Type is missing"),
        post("Content-Type text/plain", &[("Content-Type", "text/plain")], 415, "text/plain"),
        post("Content-Type with bytes that are no text", &[("Content-Type", "\u{00ff}")], 415, "application/json"),
        post("Accept of something else", &[JSON, ("Accept", "text/html;q=1.0")], 406, "text/html"),
        case("GET where only POST is", Port::Master, request("GET", "/api/v1", &[], b""), 405, "POST"),
        case("a path that is not there", Port::Master, request("GET", "/nowhere", &[], b""), 404, ""),
        case("a path out of the house", Port::Master, request("GET", "/../../etc/passwd", &[], b""), 404, ""),
        case("gzip that is none", Port::Master, request("POST", "/api/v1", &[JSON, ("Content-Encoding", "gzip")], body), 400, "body"),
        case("a compression unknown here", Port::Master, request("POST", "/api/v1", &[JSON, ("Content-Encoding", "zstd")], body), 415, ""),
        plain("bytes that are no HTTP", b"\x00\xff\xfe\x01\r\n\r\n\r\n", 400, ""),
        plain("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0, ""),
        plain("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, ""),
        plain("a header without a colon", b"GET /health HTTP/1.1\r\nHost x\r\n\r\n", 400, ""),
        plain("a request line of 1 MB", long_line.as_bytes(), 431, ""),
        plain("5000 headers", format!("GET /health HTTP/1.1\r\n{many_headers}\r\n").as_bytes(), 431, ""),
        plain("a length that is no number", b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400, ""),
        plain(
            "two lengths",
            b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
            400,
            "",
        ),
        plain(
            "a chunk whose size is no number",
            b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            400,
            "body",
        ),
        plain("HTTP/2 with garbage", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0, ""),
    ]
}

/// A body that is no call.
fn bodies() -> Vec<Case> {
    let protobuf = |what, port, body: &[u8], says| {
        case(what, port, request("POST", "/api/v1", &[PROTOBUF], body), 400, says)
    };
    let unknown_field =
        |depth| format!(r#"{{"type":"NONE","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let parents = |depth| {
        let (open, close) = (r#"{"value":"c","parent":"#.repeat(depth), "}".repeat(depth));
        format!(
            r#"{{"type":"WAIT_NESTED_CONTAINER","wait_nested_container":{{"container_id":{open}{{"value":"c"}}{close}}}}}"#
        )
    };
    let agents = |what, body: &str, says| {
        case(what, Port::Agent, request("POST", "/api/v1", &[JSON], body.as_bytes()), 400, says)
    };
    vec![
        operator("malformed JSON: breaks off", r#"{"type":"#, 400, "EOF"),
        operator(
            "malformed JSON: a comma too many",
            r#"{"type":"GET_STATE",}"#,
            400,
            "line 1 column",
        ),
        case(
            "malformed JSON: no UTF-8",
            Port::Master,
            request("POST", "/api/v1", &[JSON], b"{\"type\":\"GET_\xff\xfe\"}"),
            400,
            "type",
        ),
        operator("JSON of another shape", "[1, 2]", 400, "expected"),
        operator("JSON that goes on after its end", r#"{"type":"GET_STATE"} {}"#, 400, "trailing"),
        operator("an empty body", "", 400, "EOF"),
        operator("a call without a type", "{}", 400, "type"),
        operator("an unknown call", r#"{"type":"MAKE_COFFEE"}"#, 501, "MAKE_COFFEE"),
        operator("a call of type UNKNOWN", r#"{"type":"UNKNOWN"}"#, 501, "UNKNOWN"),
        operator("a type that is a number nobody knows", r#"{"type":9999}"#, 501, "9999"),
        operator("100,000 brackets", &"[".repeat(100_000), 400, ""),
        operator("an unknown field, 100,000 deep", &unknown_field(100_000), 501, "NONE"),
        agents("a container with 100,000 parents", &parents(100_000), "recursion"),
        protobuf(
            "malformed protobuf",
            Port::Master,
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            "",
        ),
        protobuf("protobuf that breaks off", Port::Master, b"\x08\x13\xa2\x01\x7f", ""),
        protobuf(
            "protobuf with 50,000 parents",
            Port::Agent,
            &nested_containers(50_000),
            "nested more than 100",
        ),
    ]
}

/// WAIT_NESTED_CONTAINER of a container with many parents, in protobuf: each lies in field 2 of the one before.
fn nested_containers(depth: usize) -> Vec<u8> {
    // Written from the innermost outwards, back to front, so that nothing is copied twice.
    let mut reversed: Vec<u8> = b"\x0a\x01c".iter().rev().copied().collect();
    for _ in 0..depth {
        let head = field(0x12, reversed.len());
        reversed.extend(head.iter().rev());
    }
    for tag in [0x0a, 0x3a] {
        // Call.wait_nested_container is 7, its container_id is 1.
        let head = field(tag, reversed.len());
        reversed.extend(head.iter().rev());
    }
    reversed.extend([15, 0x08]); // Call.type = WAIT_NESTED_CONTAINER
    reversed.reverse();
    reversed
}

/// The head of a protobuf field that holds a message.
fn field(tag: u8, mut length: usize) -> Vec<u8> {
    let seven_bits = |length: usize| u8::try_from(length & 0x7f).expect("seven bits fit");
    let mut head = vec![tag];
    while 0x80 <= length {
        head.push(seven_bits(length) | 0x80);
        length >>= 7;
    }
    head.push(seven_bits(length));
    head
}

/// Well-formed calls of an operator about what cannot be.
fn claims(agent: &str) -> Vec<Case> {
    [reservations(agent), amounts(agent), volumes(agent), removals(agent)].concat()
}

/// One that reserves 10 MB, to be spoilt.
fn whole(agent: &str) -> String {
    calls::reserve(agent, &[reserved(&disk(10.0, None))]).to_string()
}

fn reservations(agent: &str) -> Vec<Case> {
    let nothing = r#"{"type":"RESERVE_RESOURCES"}"#.to_owned();
    let elsewhere = calls::reserve("nobody", &[reserved(&disk(1.0, None))]).to_string();
    let spoilt = |from: &str, to: &str| whole(agent).replace(from, to);
    let value = "reserve_resources.resources[0].scalar.value";
    let table = [
        ("a message that its type needs is missing", nothing, 400, "reserve_resources"),
        ("a required field is missing", spoilt("agent_id", "agent_ids"), 400, "agent_id"),
        ("a field of another type", spoilt("10.0", "\"ten\""), 400, value),
        ("an agent that is not there", elsewhere, 400, "nobody"),
        ("nothing to reserve", calls::reserve(agent, &[]).to_string(), 400, "at least one"),
        ("a disk of 1e400 MB", spoilt("10.0", "1e400"), 400, "scalar.value"),
        ("a disk of NaN MB", spoilt("10.0", "\"NaN\""), 400, "NaN"),
        ("a disk of Infinity MB", spoilt("10.0", "\"Infinity\""), 400, "scalar.value"),
        ("a role with a space", spoilt("\"db\"", "\"d b\""), 400, "role"),
        ("a role that climbs out", spoilt("\"db\"", "\"../db\""), 400, "role"),
    ];
    table.map(|(what, body, status, says)| operator(what, &body, status, says)).into()
}

fn amounts(agent: &str) -> Vec<Case> {
    let ports = |(from, to): (u32, u32), more: &[(u32, u32)]| {
        let ranges = [&[(from, to)], more].concat();
        let ranges: Vec<Value> =
            ranges.iter().map(|(from, to)| json!({ "begin": from, "end": to })).collect();
        json!({ "name": "ports", "type": "RANGES", "ranges": { "range": ranges } })
    };
    let mut allocated = disk(10.0, None);
    allocated["allocation_info"] = json!({ "role": "db" });
    let negative = "resources[0].scalar.value: -100 is negative";
    let both = ports((31000, 31010), &[(31005, 31020)]);
    let table = [
        ("a negative disk", disk(-100.0, None), 400, negative),
        ("no disk at all", disk(0.0, None), 400, "resources[0]"),
        ("more disk than there is", disk(99_999_999.0, None), 409, "not available"),
        ("overlapping ranges", both, 400, "31000-31010 and 31005-31020 overlap"),
        ("a range turned around", ports((31010, 31000), &[]), 400, "ends before it begins"),
        ("a resource that is allocated", allocated, 400, "allocation_info"),
    ];
    let reserve = |resource: &Value| calls::reserve(agent, &[reserved(resource)]).to_string();
    table
        .map(|(what, resource, status, says)| operator(what, &reserve(&resource), status, says))
        .into()
}

fn volumes(agent: &str) -> Vec<Case> {
    let named = |id: &str| volume(&disk(10.0, None), id);
    let at = |path: &str| {
        let mut volume = named("v");
        volume["disk"]["volume"]["container_path"] = json!(path);
        volume
    };
    let mut read_only = named("v");
    read_only["disk"]["volume"]["mode"] = json!("RO");
    let table = [
        ("a volume id with `/`", named("a/b"), "persistence.id: `a/b` contains '/'"),
        ("a volume id `..`", named(".."), "persistence.id"),
        ("a volume id with a zero byte", named("a\0b"), "persistence.id"),
        ("a volume id of 10,000 letters", named(&"v".repeat(10_000)), "persistence.id"),
        ("an empty volume id", named(""), "persistence.id"),
        ("container_path `../x`", at("../x"), "container_path: `../x`"),
        ("container_path `a/../../x`", at("a/../../x"), "container_path"),
        ("container_path `/etc`", at("/etc"), "container_path: `/etc` is absolute"),
        ("a volume that may not be written", read_only, "mode"),
    ];
    let create = |volume| calls::create(agent, &[volume]).to_string();
    table.map(|(what, volume, says)| operator(what, &create(volume), 400, says)).into()
}

fn removals(agent: &str) -> Vec<Case> {
    let precious = || volume(&disk(100.0, None), "precious");
    let unknown = volume(&disk(7.0, None), "unknown");
    let under_it = calls::unreserve(agent, &[reserved(&disk(100.0, None))]);
    let nobodys =
        json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": "nobody" } } });
    let table = [
        ("a volume that is there already", calls::create(agent, &[precious()]), 409, ""),
        ("a volume that is not there", calls::destroy(agent, &[unknown]), 400, "no such volume"),
        ("unreserve what carries a volume", under_it, 409, ""),
        ("unreserve a volume", calls::unreserve(agent, &[precious()]), 400, ""),
        ("a framework that is not there", nobodys, 400, "nobody"),
    ];
    table.map(|(what, body, status, says)| operator(what, &body.to_string(), status, says)).into()
}

/// A call to the scheduler endpoint with these headers.
fn scheduler(
    what: &str,
    stream_id: Option<&str>,
    body: &Value,
    (status, says): (u16, &str),
) -> Case {
    let mut headers = vec![JSON];
    headers.extend(stream_id.map(|id| ("Mesos-Stream-Id", id)));
    let bytes = request("POST", "/api/v1/scheduler", &headers, body.to_string().as_bytes());
    case(what, Port::Master, bytes, status, says)
}

/// Calls of schedulers that have no right to them, or say what cannot be.
fn schedulers(stage: &Stage) -> Vec<Case> {
    let own = stage.framework.framework_id.as_str();
    let revive = |id: &str| json!({ "type": "REVIVE", "framework_id": { "value": id } });
    let accept = |offer: &str, operations: Vec<Value>| {
        let accept = json!({ "offer_ids": [{ "value": offer }], "operations": operations });
        json!({ "type": "ACCEPT", "framework_id": { "value": own }, "accept": accept })
    };
    // These two get an OPERATION_ERROR, and would not stop the other operations of their ACCEPT.
    let negative =
        json!({ "type": "RESERVE", "reserve": { "resources": [reserved(&disk(-1.0, None))] } });
    let mut climbing = volume(&disk(1.0, None), "v");
    climbing["disk"]["volume"]["container_path"] = json!("../x");
    let climbing = json!({ "type": "CREATE", "create": { "volumes": [climbing] } });
    let (negative, climbing) =
        (accept("no-such-offer", vec![negative]), accept("no-such-offer", vec![climbing]));
    let bare = json!({ "type": "ACCEPT", "framework_id": { "value": own } });
    let coffee = json!({ "type": "MAKE_COFFEE" });
    let (away, of_offer) = (revive(&stage.away), accept("a/b", Vec::new()));
    let (own_id, none) = (Some(stage.framework.stream_id.as_str()), None);
    let other = Some("00000000-0000-4000-8000-000000000000");
    let stream = "Mesos-Stream-Id";
    let table = [
        ("another's stream id", other, revive(own), (400, stream)),
        ("a stream id that is none", Some("x"), revive(own), (400, stream)),
        ("no stream id", none, revive(own), (400, stream)),
        ("a framework that is not subscribed", other, away.clone(), (403, "not subscribed")),
        ("an unknown framework", other, revive("nobody"), (400, "nobody")),
        ("another framework's id on one's own stream", own_id, away, (403, "")),
        ("a call without a framework", own_id, json!({ "type": "REVIVE" }), (400, "framework_id")),
        ("an unknown scheduler call", own_id, coffee, (501, "MAKE_COFFEE")),
        ("ACCEPT without `accept`", own_id, bare, (400, "accept")),
        ("ACCEPT that reserves a negative disk", own_id, negative, (202, "")),
        ("ACCEPT with container_path `../x`", own_id, climbing, (202, "")),
        ("ACCEPT of an offer id with `/`", own_id, of_offer, (400, "accept.offer_ids[0]")),
    ];
    let calls = table.map(|(what, id, body, answer)| scheduler(what, id, &body, answer));
    calls.into_iter().chain(subscriptions(own)).collect()
}

/// Schedulers that introduce themselves as nobody can.
fn subscriptions(own: &str) -> Vec<Case> {
    let subscribe =
        |info: Value| json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } });
    let info = calls::framework_info("new", 0.0);
    let with = |field: &str, value: Value| {
        let mut info = info.clone();
        info[field] = value;
        subscribe(info)
    };
    let other = Some("00000000-0000-4000-8000-000000000000");
    let (user, role) = (with("user", Value::Null), with("roles", json!(["a/../b"])));
    let (twice, timeout) = (with("roles", json!(["db", "db"])), "failover_timeout");
    let negative = with(timeout, json!(-1.0));
    let one_sided = with("id", json!({ "value": own }));
    let table = [
        ("without `subscribe`", None, json!({ "type": "SUBSCRIBE" }), (400, "subscribe")),
        ("with a stream id", other, subscribe(info.clone()), (400, "Mesos-Stream-Id")),
        ("without a user", None, user, (400, "user")),
        // Of these the stream tells, in an ERROR, as schedulers of Mesos expect.
        ("with a bad role", None, role, (200, "role")),
        ("with a role twice", None, twice, (200, "role")),
        ("with a negative failover_timeout", None, negative, (200, timeout)),
        ("with an id on one side only", None, one_sided, (400, "framework_id")),
    ];
    let cases = table
        .map(|(what, id, body, answer)| scheduler(&format!("SUBSCRIBE {what}"), id, &body, answer));
    cases.into()
}

/// Calls to an agent, of executors that it does not have and about files that are not for everybody.
fn agents(stage: &Stage) -> Vec<Case> {
    let send = |path: &str, what: &str, body: Value, status, says: &str| {
        case(
            what,
            Port::Agent,
            request("POST", path, &[JSON], body.to_string().as_bytes()),
            status,
            says,
        )
    };
    let framework = &stage.framework.framework_id;
    let executor = |call: Value| {
        let mut call = call;
        call["executor_id"] = json!({ "value": "e" });
        call["framework_id"] = json!({ "value": framework });
        call
    };
    let subscribe = json!({ "type": "SUBSCRIBE", "subscribe": { "unacknowledged_tasks": [], "unacknowledged_updates": [] } });
    let message = json!({ "type": "MESSAGE", "message": { "data": "eA==" } });
    let read =
        |path: &str| json!({ "type": "READ_FILE", "read_file": { "path": path, "offset": 0 } });
    vec![
        send(
            "/api/v1/executor",
            "an unknown executor subscribes",
            executor(subscribe),
            400,
            "no executor e",
        ),
        send(
            "/api/v1/executor",
            "an executor that is not here speaks",
            executor(message),
            400,
            "is not here",
        ),
        send(
            "/api/v1",
            "an unknown call to an agent",
            json!({ "type": "MAKE_COFFEE" }),
            501,
            "MAKE_COFFEE",
        ),
        send("/api/v1", "a file outside of the sandboxes", read("/etc/passwd"), 404, "/etc/passwd"),
        send("/api/v1", "a file above the sandboxes", read("../ledger/watermark"), 403, "outside"),
        send(
            "/api/v1",
            "a link that leads out of the sandboxes",
            read("leads-out"),
            403,
            "outside",
        ),
    ]
}

/// Bodies of 100 MB, in all ways in which they may come.
fn large() -> Vec<Case> {
    let body = [br#"{"type":"GET_STATE","x":""#.as_slice(), &vec![b'a'; 100 * MB], b"\"}"].concat();
    let announced = request("POST", "/api/v1", &[JSON], &body);
    let mut chunked = b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(MB) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&body).expect("memory can be written");
    let packed = encoder.finish().expect("memory can be written");
    let bomb = request("POST", "/api/v1", &[JSON, ("Content-Encoding", "gzip")], &packed);
    let for_scheduler = request("POST", "/api/v1/scheduler", &[JSON], &body);
    vec![
        case("a body of 100 MB", Port::Master, announced, 413, "8388608"),
        case("a body of 100 MB that does not say so", Port::Master, chunked, 413, "8388608"),
        case("a body of 100 MB that unpacks from 0.4 MB", Port::Master, bomb, 413, "8388608"),
        case("a scheduler's body of 100 MB", Port::Master, for_scheduler, 413, "8388608"),
        case(
            "a body of 100 MB to an agent",
            Port::Agent,
            request("POST", "/api/v1", &[JSON], &body),
            413,
            "8388608",
        ),
    ]
}

/// Puts a case; returns what is wrong with the outcome.
fn put(stage: &Stage, case: &Case, before: &Value) -> Result<Answer, String> {
    let answer = exchange(stage.address(case.port), &case.bytes);
    if answer.status != case.status || !answer.text().contains(&case.says) {
        return Err(format!(
            "expected {} with `{}`, got {} with `{}`",
            case.status,
            case.says,
            answer.status,
            answer.text()
        ));
    }
    for port in [Port::Master, Port::Agent] {
        let health = get(stage.address(port), "/health").status;
        if health != 200 {
            return Err(format!("/health answers {health} after it"));
        }
    }
    let after = stage.state();
    if after != *before {
        return Err(format!("it changed something:\nbefore {before:#}\nafter {after:#}"));
    }
    Ok(answer)
}

fn line(what: &str, status: u16, says: &str) {
    let status = if status == 0 { "closed".to_owned() } else { status.to_string() };
    let says: String = says
        .trim()
        .chars()
        .take(140)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    println!("| {what:<46} | {status:<6} | {says}");
}

/// The claims, but for what their volumes use, which is measured now and then.
fn claims_of(cluster: &Cluster) -> Vec<Value> {
    let mut claims = cluster.list("claims");
    for claim in claims.iter_mut().filter_map(Value::as_object_mut) {
        claim.retain(|field, _| !field.starts_with("used_"));
    }
    claims
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let stage = Stage::set();
    let before = stage.state();
    assert_eq!(before["claims"].as_array().map(Vec::len), Some(1), "there is something to lose");
    let small = [envelopes(), bodies(), claims(&stage.agent), schedulers(&stage), agents(&stage)]
        .into_iter()
        .flatten();
    let mut wrong = Vec::new();
    line("what was sent", 0, "what was said");
    let peak_kb = stage.cluster.master.status_line("VmHWM");
    for case in small.chain(large()) {
        match put(&stage, &case, &before) {
            Ok(answer) => line(&case.what, answer.status, &answer.text()),
            Err(why) => wrong.push(format!("{}: {why}", case.what)),
        }
    }
    let grown_kb = stage.cluster.master.status_line("VmHWM") - peak_kb;
    println!("the master's memory peaked {} MB above where it was", grown_kb >> 10);
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(grown_kb <= GROWTH_MAX_KB, "refusing large bodies took {grown_kb} kB");
    // What was subscribed all the while still is.
    stage.framework.call(json!({ "type": "REVIVE" })).expect(202, "REVIVE");
}

/// How many connections of each kind are left half-open.
const HALF_OPEN: usize = 200;

#[test]
fn half_open_connections_neither_block_nor_stay() {
    let cluster = Cluster::start();
    cluster.claim_volume(0, "precious", &disk(100.0, None));
    let claims = claims_of(&cluster);
    let address = cluster.master.address();
    let kinds: [(&str, &[u8]); 4] = [
        ("a connection that says nothing", b""),
        ("half a header", b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-"),
        ("half a body", b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"type\":"),
        ("HTTP/2's first line alone", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ];
    let mut open = Vec::new();
    for (what, bytes) in kinds {
        for _ in 0..HALF_OPEN {
            let mut connection =
                Connection::open(address).unwrap_or_else(|error| panic!("{what}: {error}"));
            connection.send(bytes);
            open.push((what, connection));
        }
    }
    let began = Instant::now();
    let id = cluster.agent_id(0);
    cluster
        .call(&calls::reserve(&id, &[reserved(&disk(1.0, None))]))
        .expect(202, "RESERVE_RESOURCES meanwhile");
    cluster
        .call(&calls::unreserve(&id, &[reserved(&disk(1.0, None))]))
        .expect(202, "UNRESERVE_RESOURCES meanwhile");
    assert_eq!(claims_of(&cluster), claims);
    println!(
        "{} half-open connections: an operator's calls took {:?}",
        open.len(),
        began.elapsed()
    );
    let mut ends: Vec<(&str, u16, String)> = Vec::new();
    for (what, mut connection) in open {
        connection.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let answer = connection.answer();
        assert!(connection.is_closed(), "{what}: it is still open after {:?}", began.elapsed());
        if ends.iter().all(|(seen, ..)| *seen != what) {
            ends.push((
                what,
                answer.status,
                format!("{} (closed after {} s)", answer.text(), began.elapsed().as_secs()),
            ));
        }
    }
    ends.iter().for_each(|(what, status, says)| line(what, *status, says));
    assert_eq!(ends.iter().find(|it| it.0 == "half a body").map(|it| it.1), Some(408));
    until("all connections are given back", || {
        let metrics = get(address, "/metrics/snapshot").json();
        let left = metrics["wire/connections"].as_f64().unwrap_or(f64::MAX);
        // The agent's link, this question.
        if left <= 4.0 {
            Ok(())
        } else {
            Err(left)
        }
    });
    assert_eq!(claims_of(&cluster), claims);
}
