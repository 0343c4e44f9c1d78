//! Specs for tests of this crate: a ring of three nodes, with and without a pod that has no state beside it.

use holdfast_model::{Role, Scalar};

use super::{
    ConfigFile, DiskClass, Goal, Placement, PodSpec, PortNumber, PortSpec, Recovery, ServiceSpec,
    Strategy, TaskSpec, VolumeSpec,
};

/// Three nodes with two volumes and two ports each, which are formatted once.
pub(crate) fn ring() -> ServiceSpec {
    let volume =
        |path: &str, size_mb| VolumeSpec { path: path.into(), size_mb, class: DiskClass::Any };
    let port = |name: &str, number| PortSpec { name: name.into(), number, publish: true };
    let format = TaskSpec {
        goal: Goal::Once,
        ..TaskSpec::new("format", "format data", Scalar::whole(1), 64)
    };
    let run = TaskSpec {
        environment: vec![("NAME".into(), "{{POD_NAME}}".into())],
        files: vec![ConfigFile { path: "c.yaml".into(), template: "port: {{PORT_CQL}}\n".into() }],
        ..TaskSpec::new("server", "serve data", Scalar::whole(1), 128)
    };
    let pod = PodSpec {
        name: "node".into(),
        count: 3,
        placement: Placement { max_per_agent: Some(1), ..Placement::default() },
        volumes: vec![volume("data", 100), volume("log", 50)],
        ports: vec![port("cql", PortNumber::Fixed(9042)), port("gossip", PortNumber::KeptForLife)],
        tasks: vec![format, run],
        recovery: Recovery::Wait,
        strategy: Strategy::Serial,
    };
    ServiceSpec {
        name: "ring".into(),
        role: Role::parse("db").expect("it is one"),
        principal: None,
        user: None,
        pods: vec![pod],
    }
}

/// The same with a pod without any state.
pub(crate) fn two_pods() -> ServiceSpec {
    let mut spec = ring();
    spec.pods.push(PodSpec {
        name: "proxy".into(),
        count: 1,
        placement: Placement::default(),
        volumes: Vec::new(),
        ports: Vec::new(),
        tasks: vec![TaskSpec::new("proxy", "proxy", Scalar::thousandths(100), 32)],
        recovery: Recovery::Wait,
        strategy: Strategy::Parallel,
    });
    spec
}
