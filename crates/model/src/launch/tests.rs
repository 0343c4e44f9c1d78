//! Each rule for launches, broken once. Relies on a task that breaks none; never checks more than one rule at a time.

use super::*;
use crate::convert::{executor, task, Format};
use crate::id::{ExecutorId, TaskId};
use crate::labels::Labels;
use crate::resource::{Mode, Reservation, ReservationKind, VolumeMount};
use crate::task::OpaquePayload;

fn here() -> AgentId {
    AgentId::made("a".to_owned())
}

fn command(value: &str) -> CommandInfo {
    CommandInfo { shell: true, value: Some(value.to_owned()), ..CommandInfo::default() }
}

fn good() -> TaskInfo {
    TaskInfo {
        id: TaskId::made("t".to_owned()),
        name: "t".to_owned(),
        agent: here(),
        resources: vec![
            Resource::scalar("cpus", Scalar::whole(1)),
            Resource::scalar("mem", Scalar::whole(64)),
        ],
        executor: None,
        command: Some(command("true")),
        kill_grace_ms: None,
        payload: OpaquePayload::default(),
    }
}

fn custom() -> ExecutorInfo {
    ExecutorInfo {
        id: ExecutorId::made("e".to_owned()),
        kind: Some(ExecutorKind::Custom),
        framework: None,
        resources: Vec::new(),
        command: Some(command("./executor")),
        shutdown_grace_ms: None,
        payload: OpaquePayload::default(),
    }
}

fn group() -> ExecutorInfo {
    let resources = [
        ("cpus", Scalar::thousandths(100)),
        ("mem", Scalar::whole(32)),
        ("disk", Scalar::whole(32)),
    ];
    ExecutorInfo {
        kind: Some(ExecutorKind::Default),
        command: None,
        resources: resources
            .into_iter()
            .map(|(name, amount)| Resource::scalar(name, amount))
            .collect(),
        ..custom()
    }
}

fn volume(id: &str) -> Resource {
    let role = Role::parse("db").unwrap();
    let reservation = Reservation {
        kind: ReservationKind::Dynamic,
        role,
        principal: None,
        labels: Labels::default(),
    };
    let mut volume = Resource::scalar("disk", Scalar::whole(10)).reserved(reservation).volume(
        PersistenceId::made(id.to_owned()),
        "data",
        None,
    );
    volume.mount = Some(VolumeMount { container_path: "data".to_owned(), mode: Mode::ReadWrite });
    volume
}

/// The task as it would have been received with more in it.
fn received(change: impl FnOnce(&mut v1::TaskInfo)) -> TaskInfo {
    let mut wire = task::to_proto(&good(), Format::WHOLE);
    change(&mut wire);
    task::from_proto(wire).unwrap()
}

fn path(task: &TaskInfo) -> String {
    check_task(task, &here()).unwrap_err().path
}

fn changed(change: impl FnOnce(&mut TaskInfo)) -> TaskInfo {
    let mut task = good();
    change(&mut task);
    task
}

#[test]
fn a_plain_task_and_one_with_its_own_executor_are_good() {
    check_task(&good(), &here()).unwrap();
    check_task(&changed(|it| (it.command, it.executor) = (None, Some(custom()))), &here()).unwrap();
    check_task(&changed(|it| it.resources.push(volume("v"))), &here()).unwrap();
    let tty = v1::ContainerInfo {
        r#type: 2,
        tty_info: Some(v1::TtyInfo::default()),
        ..Default::default()
    };
    check_task(&received(|it| it.container = Some(tty)), &here()).unwrap();
}

/// How a good task is broken, and the field that the error then names.
type Break<T> = (fn(&mut T), &'static str);

#[test]
fn each_broken_rule_is_named() {
    let shared = |it: &mut TaskInfo| {
        let mut resource = volume("v");
        resource.identity.shared = true;
        (it.command, it.executor) =
            (None, Some(ExecutorInfo { resources: vec![resource], ..custom() }));
    };
    let revocable = |it: &mut TaskInfo| {
        it.resources.push(Resource::scalar("cpus", Scalar::whole(1)));
        it.resources[2].identity.revocable = true;
    };
    let half_a_gpu = |it: &mut TaskInfo| {
        it.resources.push(Resource::scalar("gpus", Scalar::thousandths(500)));
    };
    let custom_without_command = |it: &mut TaskInfo| {
        (it.command, it.executor) = (None, Some(ExecutorInfo { command: None, ..custom() }));
    };
    let group_with_command = |it: &mut TaskInfo| {
        let executor = ExecutorInfo { command: Some(command("x")), ..group() };
        (it.command, it.executor) = (None, Some(executor));
    };
    let rows: [Break<TaskInfo>; 13] = [
        (|it| it.agent = AgentId::made("b".to_owned()), "agent_id"),
        (|it| it.command = None, "command"),
        (|it| it.executor = Some(custom()), "executor"),
        (|it| it.resources.clear(), "resources"),
        (|it| it.resources = vec![Resource::scalar("cpus", Scalar::ZERO)], "resources"),
        (half_a_gpu, "resources[2].scalar.value"),
        (revocable, "resources"),
        (|it| it.resources.extend([volume("v"), volume("v")]), "resources"),
        (shared, "executor.resources[0].shared"),
        (|it| it.command = Some(command("")), "command.value"),
        (|it| it.command = Some(CommandInfo::default()), "command.value"),
        (custom_without_command, "executor.command"),
        (group_with_command, "executor.command"),
    ];
    for (break_it, expected) in rows {
        let bad = changed(break_it);
        assert_eq!(path(&bad), expected, "{bad:?}");
    }
}

#[test]
fn each_broken_rule_of_what_was_received_is_named() {
    fn limit(it: &mut v1::TaskInfo, name: &str, value: f64) {
        it.limits = [(name.to_owned(), v1::value::Scalar { value })].into();
    }
    let health_check = |it: &mut v1::TaskInfo| {
        let timeout_seconds = Some(f64::NAN);
        it.health_check = Some(v1::HealthCheck { timeout_seconds, ..Default::default() });
    };
    let check = |it: &mut v1::TaskInfo| {
        it.check = Some(v1::CheckInfo { delay_seconds: Some(-1.0), ..Default::default() });
    };
    let uri = |it: &mut v1::TaskInfo| {
        let uris = vec![v1::command_info::Uri::default()];
        it.command.get_or_insert_default().uris = uris;
    };
    let completion = |it: &mut v1::TaskInfo| {
        it.max_completion_time = Some(v1::DurationInfo { nanoseconds: -1 });
    };
    let rows: [Break<v1::TaskInfo>; 8] = [
        (uri, "command.uris[0].value"),
        (|it| it.data = Some(vec![0; DESCRIPTION_BYTES_MAX]), "data"),
        (completion, "max_completion_time.nanoseconds"),
        (health_check, "health_check.timeout_seconds"),
        (check, "check.delay_seconds"),
        (|it| limit(it, "disk", 1.0), "limits.disk"),
        (|it| limit(it, "mem", 63.0), "limits.mem"),
        (|it| limit(it, "mem", f64::NAN), "limits.mem"),
    ];
    for (break_it, expected) in rows {
        let bad = received(break_it);
        assert_eq!(path(&bad), expected, "{bad:?}");
    }
}

#[test]
fn b54_memory_may_have_a_limit_or_none_and_processors_have_none() {
    let limited = |name: &str, value: f64| {
        received(|it| it.limits = [(name.to_owned(), v1::value::Scalar { value })].into())
    };
    let mb = |it: &TaskInfo| memory_limit(it).map(Scalar::as_thousandths);
    assert_eq!(mb(&good()), Some(64_000), "what it asked for");
    for (value, expected) in [(64.0, Some(64_000)), (100.5, Some(100_500)), (f64::INFINITY, None)] {
        let task = limited("mem", value);
        check_task(&task, &here()).unwrap();
        assert_eq!(mb(&task), expected);
    }
    check_task(&limited("cpus", f64::INFINITY), &here()).unwrap();
    let refused = check_task(&limited("cpus", 8.0), &here()).unwrap_err();
    assert!(refused.path == "limits.cpus" && refused.why.contains("not supported"), "{refused}");
}

#[test]
fn containers_that_would_not_be_what_they_say_are_refused() {
    let image = v1::Image { r#type: 2, ..Default::default() };
    let mesos = v1::ContainerInfo { r#type: 2, ..Default::default() };
    for (container, field) in [
        (v1::ContainerInfo { r#type: 1, ..Default::default() }, "type"),
        (v1::ContainerInfo { docker: Some(Default::default()), ..mesos.clone() }, "docker"),
        (
            v1::ContainerInfo {
                mesos: Some(v1::container_info::MesosInfo { image: Some(image) }),
                ..mesos.clone()
            },
            "mesos.image",
        ),
        (v1::ContainerInfo { volumes: vec![Default::default()], ..mesos.clone() }, "volumes"),
        (
            v1::ContainerInfo {
                network_infos: vec![v1::NetworkInfo {
                    name: Some("n".to_owned()),
                    ..Default::default()
                }],
                ..mesos
            },
            "network_infos[0].name",
        ),
    ] {
        let bad = received(|it| it.container = Some(container.clone()));
        assert_eq!(path(&bad), format!("container.{field}"));
        let mut wire = executor::info_to_proto(&custom(), Format::WHOLE);
        wire.container = Some(container);
        let own = executor::info_from_proto(wire).unwrap();
        let bad = changed(|it| (it.command, it.executor) = (None, Some(own)));
        assert_eq!(path(&bad), format!("executor.container.{field}"));
    }
}

/// The field that the error about a task in this container names.
fn refused_container(container: v1::ContainerInfo) -> String {
    let container = v1::ContainerInfo { r#type: 2, ..container };
    path(&received(|it| it.container = Some(container)))
}

#[test]
fn what_a_container_asks_of_linux_and_does_not_get_is_refused_by_name() {
    use v1::linux_info::IpcMode;
    let in_linux = |it: v1::LinuxInfo| v1::ContainerInfo {
        r#type: 2,
        linux_info: Some(it),
        ..Default::default()
    };
    type Change = fn(&mut v1::LinuxInfo);
    let rows: [(Change, &str); 7] = [
        (|it| it.bounding_capabilities = Some(Default::default()), "bounding_capabilities"),
        (|it| it.effective_capabilities = Some(Default::default()), "effective_capabilities"),
        (|it| it.share_pid_namespace = Some(false), "share_pid_namespace"),
        (|it| it.seccomp = Some(Default::default()), "seccomp"),
        (|it| it.ipc_mode = Some(IpcMode::Private.into()), "ipc_mode"),
        (|it| it.shm_size = Some(64), "shm_size"),
        (|it| it.share_cgroups = Some(false), "share_cgroups"),
    ];
    for (ask, field) in rows {
        let mut linux = v1::LinuxInfo::default();
        ask(&mut linux);
        assert_eq!(refused_container(in_linux(linux)), format!("container.linux_info.{field}"));
    }
    let as_all_are = in_linux(v1::LinuxInfo {
        share_pid_namespace: Some(true),
        ipc_mode: Some(IpcMode::ShareParent.into()),
        share_cgroups: Some(true),
        ..Default::default()
    });
    check_task(&received(|it| it.container = Some(as_all_are)), &here()).unwrap();
}

#[test]
fn names_limits_and_networks_of_a_container_are_refused_by_name() {
    let none = v1::ContainerInfo::default;
    let name = v1::ContainerInfo { hostname: Some("h".to_owned()), ..none() };
    assert_eq!(refused_container(name), "container.hostname");
    for (soft, hard, field) in [
        (Some(2), Some(1), "soft"),
        (None, Some(1), "soft"),
        (Some(1), None, "hard"),
        (Some(1), Some(1), "type"),
    ] {
        let limit = v1::r_limit_info::RLimit { soft, hard, ..Default::default() };
        let limits = v1::RLimitInfo { rlimits: vec![limit] };
        let container = v1::ContainerInfo { rlimit_info: Some(limits), ..none() };
        let expected = format!("container.rlimit_info.rlimits[0].{field}");
        assert_eq!(refused_container(container), expected);
    }
    type Asked = fn(&mut v1::NetworkInfo);
    let rows: [(Asked, &str); 3] = [
        (|it| it.groups = vec!["g".to_owned()], "groups"),
        (|it| it.ip_addresses = vec![Default::default()], "ip_addresses"),
        (|it| it.port_mappings = vec![Default::default()], "port_mappings"),
    ];
    let within = |network| v1::ContainerInfo { network_infos: vec![network], ..none() };
    for (ask, field) in rows {
        let mut network = v1::NetworkInfo::default();
        ask(&mut network);
        let expected = format!("container.network_infos[0].{field}");
        assert_eq!(refused_container(within(network)), expected);
    }
    let plain = v1::ContainerInfo { r#type: 2, ..within(v1::NetworkInfo::default()) };
    check_task(&received(|it| it.container = Some(plain)), &here()).unwrap();
}

#[test]
fn no_service_starts_without_its_secret_or_its_device() {
    let secret = |command: &mut Option<v1::CommandInfo>| {
        let variable = v1::environment::Variable {
            name: "PASSWORD".to_owned(),
            r#type: Some(v1::environment::variable::Type::Secret.into()),
            secret: Some(v1::Secret { r#type: Some(1), ..Default::default() }),
            value: None,
        };
        let environment = v1::Environment { variables: vec![variable] };
        command.as_mut().unwrap().environment = Some(environment);
    };
    let bad = received(|it| secret(&mut it.command));
    assert_eq!(path(&bad), "command.environment.variables[0].secret");
    let mut wire = executor::info_to_proto(&custom(), Format::WHOLE);
    secret(&mut wire.command);
    let own = executor::info_from_proto(wire).unwrap();
    let bad = changed(|it| (it.command, it.executor) = (None, Some(own)));
    assert_eq!(path(&bad), "executor.command.environment.variables[0].secret");
    let gpu = Resource::scalar("gpus", Scalar::whole(1));
    assert_eq!(path(&changed(|it| it.resources.push(gpu.clone()))), "resources[2].name");
}

#[test]
fn a_group_has_rules_of_its_own() {
    let path = |executor: &ExecutorInfo, tasks: &[TaskInfo]| {
        check_group(executor, tasks, &here()).unwrap_err().path
    };
    let second = changed(|it| it.id = TaskId::made("u".to_owned()));
    check_group(&group(), &[good(), second.clone()], &here()).unwrap();
    let without = |name: &str| {
        let mut executor = group();
        executor.resources.retain(|it| it.identity.name != name);
        executor
    };
    for name in ["cpus", "mem", "disk"] {
        assert_eq!(path(&without(name), &[good()]), "executor.resources", "{name}");
    }
    assert_eq!(path(&ExecutorInfo { kind: None, ..group() }, &[good()]), "executor.type");
    assert_eq!(
        path(&ExecutorInfo { command: Some(command("x")), ..group() }, &[good()]),
        "executor.command"
    );
    assert_eq!(
        path(&ExecutorInfo { kind: Some(ExecutorKind::Custom), ..group() }, &[good()]),
        "executor.command"
    );
    assert_eq!(path(&group(), &[]), "task_group.tasks");
    assert_eq!(path(&group(), &[good(), good()]), "task_group.tasks[1].task_id");
    let elsewhere = changed(|it| it.agent = AgentId::made("b".to_owned()));
    assert_eq!(path(&group(), &[good(), elsewhere]), "task_group.tasks[1].agent_id");
    assert_eq!(path(&group(), &[changed(|it| it.command = None)]), "task_group.tasks[0].command");
    assert_eq!(
        path(&group(), &[changed(|it| it.executor = Some(custom()))]),
        "task_group.tasks[0].executor"
    );
    let fetching = |value: &str| {
        received(|it| {
            let uri = v1::command_info::Uri { value: value.to_owned(), ..Default::default() };
            it.command.get_or_insert_default().uris = vec![uri];
        })
    };
    check_task(&fetching("/x"), &here()).unwrap();
    check_group(&group(), &[fetching("/x")], &here()).unwrap();
    assert_eq!(path(&group(), &[fetching("x")]), "task_group.tasks[0].command.uris[0].value");
    let both = [
        changed(|it| it.resources.push(volume("v"))),
        TaskInfo { id: second.id.clone(), ..changed(|it| it.resources.push(volume("v"))) },
    ];
    assert_eq!(path(&group(), &both), "resources");
}

#[test]
fn the_tasks_of_a_group_are_their_frameworks_users() {
    let of = |user: Option<&str>| {
        let user = user.map(str::to_owned);
        changed(|it| it.command = Some(CommandInfo { user, ..command("x") }))
    };
    let check = |executor: &ExecutorInfo, user: Option<&str>| {
        check_group_users(executor, &[good(), of(user)], "db").map_err(|it| it.path)
    };
    assert_eq!((check(&group(), None), check(&group(), Some("db"))), (Ok(()), Ok(())));
    let refused = Err("task_group.tasks[1].command.user".to_owned());
    assert_eq!(check(&group(), Some("root")), refused);
    let custom = ExecutorInfo { kind: Some(ExecutorKind::Custom), ..group() };
    assert_eq!(check(&custom, Some("root")), Ok(()), "a framework's own executor sees to it");
}

#[test]
fn an_executor_belongs_to_its_framework() {
    let f = FrameworkId::made("f".to_owned());
    let foreign =
        || ExecutorInfo { framework: Some(FrameworkId::made("g".to_owned())), ..custom() };
    let own = ExecutorInfo { framework: Some(f.clone()), ..custom() };
    assert!(check_owner(&own, &f).is_ok() && check_owner(&custom(), &f).is_ok());
    assert_eq!(check_owner(&foreign(), &f).unwrap_err().path, "framework_id");
}

#[test]
fn e40_a_task_of_a_group_may_share_places_of_the_groups_sandbox_and_nothing_else() {
    use v1::volume::{source, Mode, Source};
    type Change<'a> = &'a dyn Fn(&mut v1::Volume);
    let shared = || v1::Volume {
        mode: Mode::Rw.into(),
        container_path: "mine".to_owned(),
        source: Some(Source {
            r#type: Some(source::Type::SandboxPath.into()),
            sandbox_path: Some(source::SandboxPath {
                r#type: Some(source::sandbox_path::Type::Parent.into()),
                path: "shared/x".to_owned(),
            }),
            ..Source::default()
        }),
        ..v1::Volume::default()
    };
    let with = |change: Change<'_>| {
        let mut volume = shared();
        change(&mut volume);
        received(|it| {
            it.container = Some(v1::ContainerInfo {
                r#type: 2,
                volumes: vec![shared(), volume],
                ..Default::default()
            })
        })
    };
    let of_group = |task: TaskInfo, executor: &ExecutorInfo| {
        check_group(executor, &[task], &here()).map_err(|it| it.path)
    };
    let same = |_: &mut v1::Volume| ();
    of_group(with(&same), &group()).unwrap();
    let at = "task_group.tasks[0].container.volumes";
    let kind = Some(ExecutorKind::Custom);
    let custom_group = ExecutorInfo { kind, command: Some(command("x")), ..group() };
    assert_eq!(
        of_group(with(&same), &custom_group),
        Err(at.to_owned()),
        "only our own executor does it"
    );
    assert_eq!(path(&with(&same)), "container.volumes", "a task by itself shares with nobody");
    let place = |it: &mut v1::Volume, change: &dyn Fn(&mut source::SandboxPath)| {
        change(it.source.as_mut().and_then(|it| it.sandbox_path.as_mut()).unwrap());
    };
    let bad: [(Change<'_>, &str); 8] = [
        (&|it| it.source = None, "source.type"),
        (&|it| (it.source, it.host_path) = (None, Some("/etc".to_owned())), "source.type"),
        (
            &|it| it.source.as_mut().unwrap().r#type = Some(source::Type::HostPath.into()),
            "source.type",
        ),
        (&|it| it.source.as_mut().unwrap().sandbox_path = None, "source.sandbox_path"),
        (
            &|it| place(it, &|it| it.r#type = Some(source::sandbox_path::Type::Self_.into())),
            "source.sandbox_path.type",
        ),
        (&|it| place(it, &|it| it.path = "../other".to_owned()), "source.sandbox_path.path"),
        (&|it| it.mode = Mode::Ro.into(), "mode"),
        (&|it| it.container_path = "/etc".to_owned(), "container_path"),
    ];
    for (change, expected) in bad {
        assert_eq!(of_group(with(change), &group()), Err(format!("{at}[1].{expected}")));
    }
}
