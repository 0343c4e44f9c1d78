//! What is read, what is refused and how that is told, and that nothing makes the reader panic.

use holdfast_model::{Role, Scalar};
use proptest::prelude::*;

use super::*;
use crate::spec::{
    Attribute, Condition, DiskClass, Goal, PortNumber, ProbeSpec, Recovery, Strategy as Order,
};

/// A spec with every key.
const WHOLE: &str = r##"
name = "ring"
role = "db"
principal = "ops"
user = "nobody"

[pods.node]
count = 3
placement = { max_per_agent = 1, spread_over = "rack", include = { rack = ["r1", "r2"], hostname = "h" }, exclude = { old = "yes" }, near = [], not_near = ["proxy"] }
volumes = [{ path = "data", size = "1GiB", disk = "mount" }, { path = "log", size = 50, disk = { profile = "ssd" } }]
ports = [{ name = "cql", number = 9042 }, { name = "gossip", publish = false }]
recovery = { replace_after = "30m" }
strategy = { canary = 1 }

[pods.node.tasks.format]
goal = "once"
command = "mkdir -p data/x"
cpus = 1
memory = 64

[pods.node.tasks.server]
command = "exec ./serve"
cpus = 0.25
memory = "128MB"
user = "db"
kill_grace = "90s"
uris = ["https://h/a.tar.gz", { uri = "file:///b", extract = false, executable = true, cache = true, output = "b" }]
health = { http = "cql", path = "/health", every = "5s", failures = 2, grace = "1m" }
readiness = { tcp = "gossip", delay = "1s", timeout = "2s" }
[pods.node.tasks.server.environment]
NAME = "{{POD_NAME}}"
ALSO = "x"
[[pods.node.tasks.server.files]]
path = "c.yaml"
template = """
port: {{PORT_CQL}}
"""

[pods.proxy]
count = 1
recovery = "ask"
strategy = "parallel"
[pods.proxy.tasks.main]
command = "proxy"
cpus = 0.1
memory = "32MB"
health = { command = "true" }
"##;

/// As small as can be.
const SMALL: &str = "name = \"s\"\n[pods.a]\ncount = 1\n[pods.a.tasks.main]\ncommand = \"true\"\ncpus = 1\nmemory = 32\n";

fn told(text: &str) -> String {
    parse_spec("x.toml", text.as_bytes()).expect_err("it is wrong").to_string()
}

#[test]
fn every_key_is_read() {
    let spec = parse_spec("x.toml", WHOLE.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((spec.name.as_str(), spec.role.as_str()), ("ring", "db"));
    assert_eq!((spec.principal.as_deref(), spec.user.as_deref()), (Some("ops"), Some("nobody")));
    assert_eq!(spec.pods.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["node", "proxy"]);
    let node = &spec.pods[0];
    assert_eq!(node.placement.max_per_agent, Some(1));
    assert_eq!(node.placement.spread_over, Some(Attribute::Named("rack".to_owned())));
    let rack = Condition {
        attribute: Attribute::Named("rack".to_owned()),
        values: vec!["r1".to_owned(), "r2".to_owned()],
    };
    let host = Condition { attribute: Attribute::Hostname, values: vec!["h".to_owned()] };
    assert_eq!(node.placement.include, [rack, host]);
    assert_eq!(node.placement.not_near, ["proxy"]);
    assert_eq!((node.volumes[0].size_mb, &node.volumes[0].class), (1024, &DiskClass::Mount));
    assert_eq!(node.volumes[1].class, DiskClass::Profile("ssd".to_owned()));
    assert_eq!(node.ports[0].number, PortNumber::Fixed(9042));
    assert_eq!((node.ports[1].number, node.ports[1].publish), (PortNumber::KeptForLife, false));
    assert_eq!(
        (node.recovery, &node.strategy),
        (Recovery::ReplaceAfter(1_800_000), &Order::Canary(1))
    );
    assert_eq!(node.tasks[0].goal, Goal::Once);
    let server = &node.tasks[1];
    assert_eq!((server.cpus, server.mem_mb), (Scalar::thousandths(250), 128));
    assert_eq!(server.kill_grace_ms, Some(90_000));
    assert_eq!(server.environment[0], ("NAME".to_owned(), "{{POD_NAME}}".to_owned()));
    assert!(server.uris[0].extract && server.uris[1].executable && server.uris[1].cache);
    assert_eq!(server.files[0].template, "port: {{PORT_CQL}}\n");
    let health = server.health.as_ref().unwrap();
    let probe = ProbeSpec::Http { port: "cql".to_owned(), path: "/health".to_owned() };
    assert_eq!((&health.probe, health.interval_ms, health.failures_max), (&probe, 5_000, 2));
    assert_eq!(server.readiness.as_ref().unwrap().delay_ms, 1_000);
    assert_eq!(spec.pods[1].recovery, Recovery::Ask);
}

#[test]
fn what_is_written_is_read_as_it_was() {
    for text in [WHOLE, SMALL] {
        let spec = parse_spec("x.toml", text.as_bytes()).unwrap();
        let written = spec_text(&spec);
        let read = parse_spec("y.toml", written.as_bytes());
        assert_eq!(read.unwrap_or_else(|error| panic!("{error}\n{written}")), spec);
    }
}

#[test]
fn what_is_left_out_is_usual() {
    let spec = parse_spec("x.toml", SMALL.as_bytes()).unwrap();
    assert_eq!((spec.role, spec.user), (Role::parse("s").unwrap(), None));
    assert_eq!((spec.pods[0].recovery, &spec.pods[0].strategy), (Recovery::Wait, &Order::Serial));
}

#[test]
fn several_things_are_told_at_once_each_at_its_place() {
    let text = "name = \"s\"\ncolour = 1\n[pods.a]\ncuont = 1\nvolumes = [{ path = \"data\", size = \"10 parsecs\" }]\n[pods.a.tasks.main]\ncommand = 5\ncpus = 1\nmemory = 32\n";
    assert_eq!(
        told(text),
        "\
x.toml:2:1: a service has no `colour`
  |
2 | colour = 1
  | ^^^^^^
  = try: a service has name, pods, principal, role, user

x.toml:3:7: a pod needs `count`
  |
3 | [pods.a]
  |       ^
  = try: add it: count = 3

x.toml:4:1: a pod has no `cuont`
  |
4 | cuont = 1
  | ^^^^^
  = try: did you mean `count`?

x.toml:5:36: `10 parsecs` is no size
  |
5 | volumes = [{ path = \"data\", size = \"10 parsecs\" }]
  |                                    ^^^^^^^^^^^^
  = try: write a number of MB (2^20 bytes), or \"512MB\", \"10GB\", \"1.5TiB\"

x.toml:7:11: `command` is a text in quotes, and this is a whole number
  |
7 | command = 5
  |           ^
  = try: write a text in quotes"
    );
}

/// A text, the place of what is wrong with it, and parts of what is told and what is to try.
type Mistake = (String, &'static str, &'static str, &'static str);

fn check_all(mistakes: &[Mistake]) {
    let mut wrong = Vec::new();
    for (text, place, what, hint) in mistakes {
        let told = told(text);
        let at = format!("x.toml:{place}: ");
        let all = [at.as_str(), what, " = try: ", hint];
        if let Some(missing) = all.iter().find(|it| !told.contains(**it)) {
            wrong.push(format!("`{missing}` is not in\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The small spec with more in its pod.
fn pod(more: &str) -> String {
    SMALL.replace("count = 1\n", &format!("count = 1\n{more}\n"))
}

/// The small spec with more in its task.
fn task(more: &str) -> String {
    format!("{SMALL}{more}\n")
}

#[test]
fn mistakes_of_the_file_have_their_place() {
    check_all(&[
        (String::new(), "1:1", "a service needs `name`", "add it: name"),
        (SMALL.replace("\"s\"", "\"S s\""), "1:8", "`name` `S s` must be", "change it"),
        (SMALL.replace("main", "Main"), "4:15", "`name` `Main` must be", ""),
        (SMALL.replace("\"s\"", "\"s"), "1:10", "this is no TOML", "toml.io"),
        (format!("{SMALL}[pods.a]\ncount = 2\n"), "8:7", "duplicate key", "rename or remove one"),
        ("name = \"s\"\nname = \"t\"".to_owned(), "2:1", "duplicate key", "rename"),
        ("[pods]\nname = 3".to_owned(), "1:1", "a service needs `name`", ""),
    ]);
}

#[test]
fn mistakes_of_volumes_and_ports_have_their_place() {
    let volume = |more: &str| pod(&format!("volumes = [{{ path = \"d\", {more} }}]"));
    let two = "{ path = \"d\", size = 1 }";
    let port = |more: &str| pod(&format!("ports = [{{ name = \"a\"{more} }}]"));
    check_all(&[
        (volume("size = 0"), "4:33", "`size` is 0", "1 to"),
        (volume("size = -1"), "4:33", "`-1` is no size", "write a number of MB"),
        (volume("size = 1, disk = \"muont\""), "4:43", "no kind of disk `muont`", "\"mount\"?"),
        (volume("size = 1, path = \"e\""), "4:36", "duplicate key", "rename"),
        (pod("volumes = [{ path = \"../d\", size = 1 }]"), "4:21", "`path` `../d`", "relative"),
        (pod(&format!("volumes = [{two}, {two}]")), "4:47", "are one within the other", ""),
        (port(", number = 1 }, { name = \"b\", number = 1"), "4:61", "of port `a`, too", ""),
        (port(" }, { name = \"a\""), "4:9", "`ports` has `a` twice", "names are unique here"),
        (port(", number = 99999"), "4:33", "`99999` is not between 1 and 65535", "a number"),
    ]);
}

#[test]
fn mistakes_of_pods_and_tasks_have_their_place() {
    check_all(&[
        (pod("strategy = { canary = 1, by = \"rack\" }"), "4:1", "either", "leave one of them out"),
        (pod("strategy = \"seriel\""), "4:12", "no strategy `seriel`", "did you mean \"serial\"?"),
        (pod("recovery = { replace_after = 30 }"), "4:30", "its unit is missing", "\"10s\""),
        (pod("placement = { near = [\"x\"] }"), "4:23", "`near` `x` is no pod", ""),
        (pod("placement = 1"), "4:13", "`placement` is a table, and this is", "write a table"),
        (task("health = { tcp = \"x\" }"), "8:18", "`port` `x` is no port", "name one of them"),
        (task("health = { every = \"1s\" }"), "8:1", "one of `command`, `http`", "\"PORT\" }"),
        (
            task("readiness = { command = \"true\", failures = 1 }"),
            "8:33",
            "a readiness check has no `failures`",
            "has command",
        ),
        (task("environment = { A = 1 }"), "8:21", "`A` is a text in quotes", "write a text"),
        (task("environment = { A = \"{{B\" }"), "8:21", "`A` has `{{` without `}}`", ""),
        (task("uris = [\"gopher://x\"]"), "8:9", "`uri`", ""),
        (SMALL.replace("cpus = 1", "cpus = nan"), "6:8", "is no number of processors", "0.5"),
    ]);
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_refused() {
    let error = parse_spec("x", b"name = \"\xff\"\n").unwrap_err();
    assert_eq!((error.problems[0].line, error.problems[0].column), (1, 9), "{error}");
    let large = vec![b' '; SPEC_FILE_BYTES_MAX + 1];
    assert!(parse_spec("x", &large).unwrap_err().to_string().contains("larger than"));
    let missing = read_spec_file(std::path::Path::new("/no/such/spec.toml")).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
}

#[test]
fn hostile_files_are_refused_within_bounds() {
    let deep = |open: &str, close: &str, count: usize| {
        format!("a = {}1{}", open.repeat(count), close.repeat(count))
    };
    let many: String = (0..60_000).map(|it| format!("k{it} = 1\n")).collect();
    let tables: String = (0..30_000).map(|it| format!("[pods.p{it}]\n")).collect();
    let dotted = format!("{}a = 1", "a.".repeat(100_000));
    for text in [
        deep("[", "]", 200_000),
        deep("{a=", "}", 100_000),
        deep("[", "", 500_000),
        many,
        tables,
        dotted,
        format!("{SMALL}[pods.a.x{}]", ".x".repeat(100_000)),
        "\"".repeat(500_000),
        format!("name = \"{}\"", "\\u0000".repeat(10_000)),
    ] {
        let error = parse_spec("x.toml", text.as_bytes()).expect_err("it is no spec");
        assert!(error.to_string().len() < 100_000);
    }
}

#[test]
fn of_a_long_file_that_is_no_toml_the_first_mistake_is_told() {
    let count = |text: &str| parse_spec("x.toml", text.as_bytes()).unwrap_err().problems.len();
    let short = "a = ]\n".repeat(100);
    assert_eq!(count(&short), MISREAD_MAX);
    // Each of these is a mistake to the parser, which would remember them all.
    assert_eq!(count(&format!("a = {{{}", ".".repeat(500_000))), 1);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Err(error) = parse_spec("x", &bytes) {
            prop_assert!(!error.problems.is_empty() && !error.to_string().is_empty());
        }
    }

    /// Whatever stands in a command or a value is written so that it is read as it was.
    #[test]
    fn any_text_survives_being_written(command in "[^\\x00]{1,60}", value in "[^\\x00{]{0,60}") {
        let mut spec = parse_spec("x", SMALL.as_bytes()).unwrap();
        prop_assume!(!command.trim().is_empty());
        spec.pods[0].tasks[0].command = command;
        spec.pods[0].tasks[0].environment = vec![("A".to_owned(), value)];
        prop_assert_eq!(parse_spec("x", spec_text(&spec).as_bytes()), Ok(spec));
    }

    /// A spec with a part replaced is read or refused with a place within it.
    #[test]
    fn a_damaged_spec_is_read_or_told(at in 0..WHOLE.len(), length in 0..40_usize, put in "[ -~\n\\[\\]{}\"=.]{0,12}") {
        prop_assume!(WHOLE.is_char_boundary(at));
        let end = (at + length).min(WHOLE.len());
        let text = format!("{}{put}{}", &WHOLE[..at], &WHOLE[end..]);
        if let Err(error) = parse_spec("x", text.as_bytes()) {
            let lines = text.split('\n').count();
            for problem in &error.problems {
                prop_assert!((1..=lines).contains(&problem.line), "{error}");
                prop_assert!(!problem.what.is_empty() && !problem.hint.is_empty(), "{error}");
            }
        }
    }
}
