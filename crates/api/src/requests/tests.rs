//! Every request, read and refused.

use holdfast_model::{AdoptedFrom, FrameworkId, Role, Scalar, TaskId};
use holdfast_proto::json;
use holdfast_proto::mesos::v1::master::response::Type as Answered;
use serde_json::Value;

use super::*;
use crate::agent::{AgentFacts, Surroundings};
use crate::testbed::{facts, Bed, NOW};
use crate::{Parameters, Refusal};
use holdfast_model::Instant;

fn ops() -> CallerIdentity {
    CallerIdentity::Principal("ops".to_owned())
}

fn operator(call: &str) -> Result<OperatorRequest, Refusal> {
    OperatorRequest::parse(&ops(), json::from_slice(call.as_bytes()).unwrap())
}

#[test]
fn each_read_is_answered_with_its_part() {
    let bed = Bed::usual();
    for (kind, part, answered) in [
        ("GET_STATE", "get_state", Answered::GetState),
        ("GET_AGENTS", "get_agents", Answered::GetAgents),
        ("GET_FRAMEWORKS", "get_frameworks", Answered::GetFrameworks),
        ("GET_TASKS", "get_tasks", Answered::GetTasks),
        ("GET_EXECUTORS", "get_executors", Answered::GetExecutors),
        ("GET_ROLES", "get_roles", Answered::GetRoles),
        ("GET_WEIGHTS", "get_weights", Answered::GetWeights),
        ("GET_OPERATIONS", "get_operations", Answered::GetOperations),
        ("GET_MASTER", "get_master", Answered::GetMaster),
    ] {
        let request = operator(&format!(r#"{{"type":"{kind}"}}"#));
        let Ok(OperatorRequest::Read(read)) = request else { panic!("{kind}: {request:?}") };
        let answer = read.answer(&bed.view(), &facts());
        assert_eq!(answer.r#type(), answered);
        let value: Value = serde_json::to_value(&answer).unwrap();
        let parts: Vec<&String> =
            value.as_object().unwrap().keys().filter(|it| *it != "type").collect();
        assert_eq!(parts, [part], "{kind}");
    }
}

#[test]
fn changes_become_commands_in_the_callers_name() {
    let reserve = r#"{"type":"RESERVE_RESOURCES","reserve_resources":{"agent_id":{"value":"S0"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"reservations":[{"type":"DYNAMIC","role":"db"}]}]}}"#;
    let request = operator(reserve).unwrap();
    let OperatorRequest::Change(commands) = request else { panic!("{request:?}") };
    let [MasterCommand { caller, call }] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(*caller, ops());
    let OperatorCall::Claim { agent, .. } = call else { panic!("{call:?}") };
    assert_eq!(agent.as_str(), "S0");

    let teardown = operator(r#"{"type":"TEARDOWN","teardown":{"framework_id":{"value":"f-0"}}}"#);
    let call = OperatorCall::Teardown(FrameworkId::made("f-0".to_owned()));
    assert_eq!(teardown, Ok(OperatorRequest::Change(vec![MasterCommand { caller: ops(), call }])));

    let weights = operator(
        r#"{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":"db","weight":2},{"role":"web","weight":0.5}]}}"#,
    );
    let command = |role: &str, weight| MasterCommand {
        caller: ops(),
        call: OperatorCall::Weight(Role::parse(role).unwrap(), Scalar::thousandths(weight)),
    };
    let commands = vec![command("db", 2000), command("web", 500)];
    assert_eq!(weights, Ok(OperatorRequest::Change(commands)));
}

#[test]
fn wrong_calls_name_their_field() {
    let invalid = |why: &str| Err(Refusal::Invalid(why.to_owned()));
    assert_eq!(operator(r#"{"type":"UPDATE_WEIGHTS"}"#), invalid("update_weights: is missing"));
    assert_eq!(
        operator(
            r#"{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":"db","weight":0}]}}"#
        ),
        invalid("update_weights.weight_infos[0].weight: must be a number greater than 0.0005")
    );
    assert_eq!(operator(r#"{"type":"READ_FILE"}"#), invalid("read_file: is missing"));
    assert_eq!(
        operator(r#"{"type":"READ_FILE","read_file":{"path":"/x","offset":0}}"#),
        Err(Refusal::NotFound(
            "there is no file `/x` on this master; sandboxes are on the agents".to_owned()
        ))
    );
    assert_eq!(
        operator(r#"{"type":"START_MAINTENANCE"}"#),
        invalid("start_maintenance: is missing; a message of type START_MAINTENANCE needs it")
    );
    let backwards = r#"{"type":"DRAIN_AGENT","drain_agent":{"agent_id":{"value":"S0"},"max_grace_period":{"seconds":-1}}}"#;
    let why = "drain_agent.max_grace_period: must not be less than nothing";
    assert_eq!(operator(backwards), invalid(why));
    let Err(Refusal::Invalid(why)) = operator(r#"{"type":"TEARDOWN"}"#) else { panic!() };
    assert!(why.starts_with("teardown: "), "{why}");
}

fn native(posted: bool, name: &str, pairs: &[(&str, &str)]) -> Result<NativeRequest, Refusal> {
    let get = |name: &str| pairs.iter().find(|it| it.0 == name).map(|it| it.1);
    NativeRequest::parse(&ops(), posted, name, Parameters(&get))
}

#[test]
fn native_reads() {
    let bed = Bed::usual();
    for (name, rows) in [
        ("agents", 2),
        ("disks", 1),
        ("claims", 2),
        ("frameworks", 2),
        ("tasks", 2),
        ("offers", 1),
        ("roles", 1),
        ("ended-claims", 0),
    ] {
        let Ok(NativeRequest::Read(read)) = native(false, name, &[]) else { panic!("{name}") };
        let answer = read.answer(&bed.view(), Instant(NOW)).unwrap();
        let value = serde_json::to_value(answer).unwrap();
        assert_eq!(value.as_array().map(Vec::len), Some(rows), "{name}");
    }
    let request = native(false, "explain", &[("about", "f-0"), ("resources", "cpus:1")]);
    let Ok(NativeRequest::Read(NativeRead::Explain(question))) = request else { panic!() };
    assert_eq!((question.about.as_str(), question.wanted.map(|it| it.len())), ("f-0", Some(1)));
}

#[test]
fn a_kill_is_posted() {
    let pairs = [("framework", "f-0"), ("task", "db-0")];
    let Ok(NativeRequest::Ask(command, answer)) = native(true, "kill", &pairs) else { panic!() };
    let (framework, task) = (FrameworkId::made("f-0".to_owned()), TaskId::made("db-0".to_owned()));
    assert_eq!(command, MasterCommand { caller: ops(), call: OperatorCall::Kill(framework, task) });
    assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"accepted":true}"#);
    let why = Refusal::MustBePosted("POST it: it ends a task".to_owned());
    assert_eq!(native(false, "kill", &pairs), Err(why));
    let why = Refusal::Invalid("query parameter `task` is missing".to_owned());
    assert_eq!(native(true, "kill", &pairs[..1]), Err(why));
}

#[test]
fn a_plan_is_read_off_the_view_and_changes_nothing() {
    let reserve = r#"{"type":"RESERVE_RESOURCES","reserve_resources":{"agent_id":{"value":"S0"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"reservations":[{"type":"DYNAMIC","role":"db","principal":"ops"}]}]}}"#;
    let request = native(false, "plan", &[("call", reserve)]);
    let Ok(NativeRequest::Read(read)) = request else { panic!("{request:?}") };
    let answer = read.answer(&crate::testbed::Bed::usual().view(), Instant(1)).unwrap();
    let apply = r#"{"agent":"S0","if_generation":3,"operations":[{"reserve":{"resources":[{"name":"cpus","reservations":[{"principal":"ops","role":"db","type":"DYNAMIC"}],"scalar":{"value":1.0},"type":"SCALAR"}]},"type":"RESERVE"}]}"#;
    let expected = format!(
        r#"{{"action":"RESERVE","agent":"S0","apply":{apply},"gives":"cpus(db, ops):1","taken_from":[],"takes":"cpus:1"}}"#
    );
    assert_eq!(serde_json::to_string(&answer).unwrap(), expected);

    let teardown = r#"{"type":"TEARDOWN","teardown":{"framework_id":{"value":"f-0"}}}"#;
    let request = native(false, "plan", &[("call", teardown)]);
    let framework = FrameworkId::made("f-0".to_owned());
    assert_eq!(request, Ok(NativeRequest::Read(NativeRead::TeardownPlan(framework))));

    let Err(Refusal::Invalid(why)) = native(false, "plan", &[("call", r#"{"type":"GET_STATE"}"#)])
    else {
        panic!()
    };
    assert!(why.starts_with("type: only RESERVE_RESOURCES"), "{why}");
}

#[test]
fn a_claim_is_ended_by_its_id_and_by_force_only_when_that_is_said() {
    let id = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";
    let forced = |force: &str| {
        let pairs = [("agent", "S0"), ("claim", id), ("force", force)];
        native(true, "end-claim", &pairs)
    };
    for (given, expected) in [("true", true), ("false", false)] {
        let Ok(NativeRequest::Ask(command, _)) = forced(given) else { panic!() };
        let OperatorCall::EndClaim { force, claim, .. } = &command.call else { panic!() };
        assert_eq!((*force, claim.to_string().as_str()), (expected, id));
    }
    let why = "force: `yes` is neither true nor false".to_owned();
    assert_eq!(forced("yes"), Err(Refusal::Invalid(why)));
    let pairs = [("agent", "S0"), ("claim", id)];
    assert!(matches!(native(false, "end-claim", &pairs), Err(Refusal::MustBePosted(_))));
    let recovery = [("agent", "S0"), ("plan", "0123")];
    assert!(matches!(native(false, "recover-agent", &recovery), Err(Refusal::MustBePosted(_))));
    assert!(matches!(native(true, "recover-agent", &recovery), Ok(NativeRequest::Ask(..))));
    assert!(matches!(native(true, "recover-agent", &recovery[..1]), Err(Refusal::Invalid(_))));
    assert!(matches!(native(true, "end-claim", &pairs[..1]), Err(Refusal::Invalid(_))));
    assert!(matches!(native(false, "plan", &pairs), Ok(NativeRequest::Read(_))));
}

#[test]
fn changes_that_are_made_together_come_as_a_document_and_go_back_as_one() {
    let reserve = r#"{"type":"RESERVE","reserve":{"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"reservations":[{"type":"DYNAMIC","role":"db","principal":"ops"}]}]}}"#;
    let claim = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";
    let text = format!(
        r#"{{"agent":"S0","if_generation":3,"if_claims":{{"{claim}":7}},"force":true,"operations":[{reserve}]}}"#
    );
    let request = native(true, "apply", &[("document", &text)]);
    let Ok(NativeRequest::Ask(command, _)) = request else { panic!("{request:?}") };
    let OperatorCall::Apply { agent, steps, expected, force, claim: meant } = command.call else {
        panic!()
    };
    assert_eq!((agent.as_str(), steps.len(), expected.agent, force), ("S0", 1, Some(3), true));
    assert_eq!(meant, None);
    let [of] = expected.claims.as_slice() else { panic!() };
    assert_eq!((of.claim.to_string().as_str(), of.generation), (claim, 7));
    let bare = format!(r#"{{"agent":"S0","operations":[{reserve}]}}"#);
    let request = native(true, "plan", &[("document", &bare)]);
    let Ok(NativeRequest::Read(read)) = request else { panic!("{request:?}") };
    let answer = read.answer(&crate::testbed::Bed::usual().view(), Instant(1)).unwrap();
    let answer = serde_json::to_value(&answer).unwrap();
    assert_eq!(
        (&answer["apply"]["if_generation"], &answer["takes"]),
        (&3.into(), &"cpus:1".into())
    );
    let again = answer["apply"].to_string();
    let request = native(true, "apply", &[("document", &again)]);
    assert!(matches!(request, Ok(NativeRequest::Ask(..))), "{request:?}");
    for (text, word) in [
        (r#"{"agent":"S0"}"#.to_owned(), "missing field `operations`"),
        (r#"{"agent":"S0","operations":[],"froce":true}"#.to_owned(), "unknown field `froce`"),
        (
            r#"{"agent":"S0","operations":[{"type":"LAUNCH","launch":{"task_infos":[]}}]}"#
                .to_owned(),
            "operations[0]: type",
        ),
        (r#"{"agent":"S0","operations":[{"type":"CREATE"}]}"#.to_owned(), "operations[0]: create"),
        (
            bare.replace(r#"{"type":"RESERVE""#, r#"{"id":{"value":"x"},"type":"RESERVE""#),
            "operations[0]: id",
        ),
    ] {
        let refused = native(true, "apply", &[("document", &text)]);
        let Err(Refusal::Invalid(why)) = &refused else { panic!("{text}: {refused:?}") };
        assert!(why.contains(word), "{text}: {why}");
    }
    assert!(matches!(native(true, "apply", &[]), Err(Refusal::Invalid(_))));
    let one = bare.replace("RESERVE\"", "UNRESERVE\"").replace("\"reserve\"", "\"unreserve\"");
    for (operations, is_taken) in [(one.clone(), true), (bare, false)] {
        let text = operations.replacen('{', &format!(r#"{{"claim":"{claim}","#), 1);
        match native(true, "apply", &[("document", &text)]) {
            Ok(NativeRequest::Ask(command, _)) if is_taken => {
                let OperatorCall::Apply { claim: meant, .. } = command.call else { panic!() };
                assert_eq!(meant.map(|it| it.to_string()).as_deref(), Some(claim));
            }
            Err(Refusal::Invalid(why)) if !is_taken => assert!(why.starts_with("claim: "), "{why}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(native(false, "apply", &[]), Err(Refusal::MustBePosted(_))));
}

#[test]
fn an_orphan_or_a_directory_is_adopted_and_what_is_said_of_it_is_read() {
    let disk = "11111111-1111-1111-1111-111111111111";
    let adopt = |more: &[(&str, &str)]| {
        let given = [&[("agent", "S0"), ("disk", disk)][..], more].concat();
        native(true, "adopt-volume", &given)
    };
    let said = [("path", "/data//old/"), ("role", "db"), ("name", "data-0"), ("size_mb", "40")];
    let Ok(NativeRequest::Ask(command, _)) = adopt(&said) else { panic!("{:?}", adopt(&said)) };
    let OperatorCall::AdoptVolume { agent, adoption } = command.call else { panic!() };
    assert_eq!((agent.as_str(), adoption.size_mb), ("S0", Some(40)));
    assert_eq!(adoption.from, AdoptedFrom::Directory("/data/old".to_owned()));
    assert_eq!((adoption.role, adoption.container_path), (Role::parse("db").ok(), "data".into()));
    let Ok(NativeRequest::Ask(command, _)) = adopt(&[("volume", disk)]) else { panic!() };
    let OperatorCall::AdoptVolume { adoption, .. } = command.call else { panic!() };
    assert!(matches!(adoption.from, AdoptedFrom::Orphan(_)) && adoption.role.is_none());
    for (more, words) in [
        (&[("volume", disk), ("path", "/data/old")][..], "and not both"),
        (&[], "volume"),
        (&[("path", "data/old")], "is not absolute"),
        (&[("path", "/data/../old")], "goes up with `..`"),
        (&[("path", "")], "is not absolute"),
        (&[("path", "/data/old"), ("size_mb", "much")], "size_mb: `much` is no number"),
        (&[("path", "/data/old"), ("role", "a b")], "role"),
    ] {
        let Err(why) = adopt(more) else { panic!("{more:?}") };
        assert!(why.to_string().contains(words), "{more:?}: {why}");
    }
    assert!(matches!(native(false, "adopt-volume", &said), Err(Refusal::MustBePosted(_))));
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let why = "there is no `/holdfast/v1/moon`; there are agents, gone-agents, disks, disk-moves, claims, ended-claims, claims-at, frameworks, tasks, offers, roles, quotas, machines, trash, explain, outlook, kill, apply, end-claim, give-up, undelete, purge, add-disk, remove-disk, adopt-disk, cancel-move, adopt-volume, remove-orphan, recover-agent, mark-agent-gone, deactivate-agent, reactivate-agent, drain-agent, plan, undelete-plan, adopt-volume-plan, remove-orphan-plan, recover-plan";
    assert_eq!(native(false, "moon", &[]), Err(Refusal::NotFound(why.to_owned())));
}

#[test]
fn calls_of_schedulers_carry_who_speaks() {
    let wire = |text: &str| json::from_slice(text.as_bytes()).unwrap();
    let revive = r#"{"type":"REVIVE","framework_id":{"value":"f-0"}}"#;
    let (framework, command) = scheduler_call(&ops(), wire(revive)).unwrap();
    assert_eq!((framework.as_str(), &command.caller), ("f-0", &ops()));
    assert_eq!(command.call.framework, Some(framework));
    let Err(Refusal::Invalid(why)) = scheduler_call(&ops(), wire(r#"{"type":"REVIVE"}"#)) else {
        panic!()
    };
    assert!(why.starts_with("framework_id: is missing"), "{why}");
    let subscribe = r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n","roles":["db"],"capabilities":[{"type":"MULTI_ROLE"}]}}}"#;
    let command = subscription(&ops(), wire(subscribe)).unwrap();
    assert_eq!((command.call.framework.as_ref(), command.caller), (None, ops()));
    let unknown =
        holdfast_proto::mesos::v1::scheduler::Call { r#type: Some(4711), ..Default::default() };
    let refused = subscription(&ops(), unknown);
    assert!(matches!(refused, Err(NotSubscribed::Refused(Refusal::NotServed(_)))));
}

#[test]
fn an_agent_reads_few_calls() {
    use holdfast_proto::mesos::v1::agent::Call;
    let call = |text: &str| -> Call { json::from_slice(text.as_bytes()).unwrap() };
    let parse = |text: &str| AgentRead::parse(&ops(), &call(text));
    assert_eq!(parse(r#"{"type":"GET_AGENT"}"#), Ok(AgentRead::Agent));
    assert_eq!(parse(r#"{"type":"GET_TASKS"}"#), Ok(AgentRead::Tasks));
    let nested = r#"{"type":"GET_CONTAINERS","get_containers":{"show_nested":true}}"#;
    assert_eq!(parse(nested), Ok(AgentRead::Containers { show_nested: true }));
    let why = Refusal::NotServed("PRUNE_IMAGES is not served yet by this agent".to_owned());
    assert_eq!(parse(r#"{"type":"PRUNE_IMAGES"}"#), Err(why));
    let (view, facts) = (crate::testbed::agent().view(), AgentFacts::default());
    let answer = AgentRead::Tasks.answer(&view, &facts, &Surroundings::default());
    assert!(answer.get_tasks.is_some() && answer.get_agent.is_none());
    assert_eq!(agent_page(&ops()), Ok(()));
}

#[test]
fn an_executor_names_itself() {
    let wire = |text: &str| json::from_slice(text.as_bytes()).unwrap();
    let subscribe = r#"{"type":"SUBSCRIBE","executor_id":{"value":"e"},"framework_id":{"value":"f-0"},"subscribe":{}}"#;
    let request = executor_request(&ops(), wire(subscribe)).unwrap();
    assert_eq!((request.executor.0.as_str(), request.executor.1.as_str()), ("f-0", "e"));
    assert_eq!(request.caller, ops());
    let Err(Refusal::Invalid(why)) = executor_request(
        &ops(),
        wire(r#"{"type":"SUBSCRIBE","executor_id":{"value":""},"framework_id":{"value":"f-0"}}"#),
    ) else {
        panic!()
    };
    assert!(why.contains("executor_id"), "{why}");
}
