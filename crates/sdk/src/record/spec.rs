//! The disk format of a spec.
//!
//! Every message mirrors one type of [`crate::spec`]; fields are only ever added. What a number of a
//! newer version means is an error, never a default.

use holdfast_model::{FetchUri, Invalid, Role, Scalar};
use prost::Message;

use crate::spec::{
    Attribute, CheckSpec, Condition, ConfigFile, DiskClass, Goal, Placement, PodSpec, PortNumber,
    PortSpec, ProbeSpec, Recovery, ServiceSpec, Strategy, TaskSpec, VolumeSpec,
};

/// A service.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SpecRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    role: String,
    #[prost(string, optional, tag = "3")]
    principal: Option<String>,
    #[prost(string, optional, tag = "4")]
    user: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pods: Vec<PodRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct PodRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    count: u32,
    #[prost(message, optional, tag = "3")]
    placement: Option<PlacementRecord>,
    #[prost(message, repeated, tag = "4")]
    volumes: Vec<VolumeRecord>,
    #[prost(message, repeated, tag = "5")]
    ports: Vec<PortRecord>,
    #[prost(message, repeated, tag = "6")]
    tasks: Vec<TaskRecord>,
    /// 1 wait, 2 replace after `recovery_ms`, 3 ask.
    #[prost(uint32, tag = "7")]
    recovery: u32,
    #[prost(uint64, tag = "8")]
    recovery_ms: u64,
    /// 1 serial, 2 parallel, 3 canary of `canary`, 4 by `attribute`.
    #[prost(uint32, tag = "9")]
    strategy: u32,
    #[prost(uint32, tag = "10")]
    canary: u32,
    #[prost(string, tag = "11")]
    attribute: String,
}

#[derive(Clone, PartialEq, Message)]
struct PlacementRecord {
    #[prost(uint32, optional, tag = "1")]
    max_per_agent: Option<u32>,
    #[prost(message, optional, tag = "2")]
    spread_over: Option<AttributeRecord>,
    #[prost(message, repeated, tag = "3")]
    include: Vec<ConditionRecord>,
    #[prost(message, repeated, tag = "4")]
    exclude: Vec<ConditionRecord>,
    #[prost(string, repeated, tag = "5")]
    near: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    not_near: Vec<String>,
}

/// The name of an attribute; none is the name of the machine.
#[derive(Clone, PartialEq, Message)]
struct AttributeRecord {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ConditionRecord {
    #[prost(message, optional, tag = "1")]
    attribute: Option<AttributeRecord>,
    #[prost(string, repeated, tag = "2")]
    values: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct VolumeRecord {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(uint64, tag = "2")]
    size_mb: u64,
    /// 1 any, 2 root, 3 path, 4 mount, 5 `profile`.
    #[prost(uint32, tag = "3")]
    class: u32,
    #[prost(string, tag = "4")]
    profile: String,
}

#[derive(Clone, PartialEq, Message)]
struct PortRecord {
    #[prost(string, tag = "1")]
    name: String,
    /// 0 is chosen for life.
    #[prost(uint32, tag = "2")]
    number: u32,
    #[prost(bool, tag = "3")]
    publish: bool,
}

#[derive(Clone, PartialEq, Message)]
struct TaskRecord {
    #[prost(string, tag = "1")]
    name: String,
    /// 1 running, 2 once.
    #[prost(uint32, tag = "2")]
    goal: u32,
    #[prost(string, tag = "3")]
    command: String,
    #[prost(string, tag = "4")]
    cpus: String,
    #[prost(uint64, tag = "5")]
    mem_mb: u64,
    #[prost(message, repeated, tag = "6")]
    environment: Vec<PairRecord>,
    #[prost(message, repeated, tag = "7")]
    uris: Vec<UriRecord>,
    #[prost(message, repeated, tag = "8")]
    files: Vec<PairRecord>,
    #[prost(string, optional, tag = "9")]
    user: Option<String>,
    #[prost(uint64, optional, tag = "10")]
    kill_grace_ms: Option<u64>,
    #[prost(message, optional, tag = "11")]
    health: Option<CheckRecord>,
    #[prost(message, optional, tag = "12")]
    readiness: Option<CheckRecord>,
}

/// A name and its value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PairRecord {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, Message)]
struct UriRecord {
    #[prost(string, tag = "1")]
    value: String,
    #[prost(bool, tag = "2")]
    executable: bool,
    #[prost(bool, tag = "3")]
    extract: bool,
    #[prost(bool, tag = "4")]
    cache: bool,
    #[prost(string, optional, tag = "5")]
    output_file: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct CheckRecord {
    /// 1 the command `line`, 2 HTTP on `port` with `line` as path, 3 TCP on `port`.
    #[prost(uint32, tag = "1")]
    probe: u32,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(string, tag = "3")]
    port: String,
    #[prost(uint64, tag = "4")]
    delay_ms: u64,
    #[prost(uint64, tag = "5")]
    interval_ms: u64,
    #[prost(uint64, tag = "6")]
    timeout_ms: u64,
    #[prost(uint64, tag = "7")]
    grace_ms: u64,
    #[prost(uint32, tag = "8")]
    failures_max: u32,
}

/// A number that no version known here writes.
pub(super) fn unknown(field: &str, number: u32) -> Invalid {
    Invalid::new(field, format!("{number} is not known; a newer version may have written it"))
}

/// Names with their values as records.
pub(super) fn pairs(all: &[(String, String)]) -> Vec<PairRecord> {
    let pair =
        |(name, value): &(String, String)| PairRecord { name: name.clone(), value: value.clone() };
    all.iter().map(pair).collect()
}

/// Reads what [`pairs`] wrote.
pub(super) fn unpaired(all: Vec<PairRecord>) -> Vec<(String, String)> {
    all.into_iter().map(|it| (it.name, it.value)).collect()
}

/// A spec as a record.
pub(super) fn write(spec: &ServiceSpec) -> SpecRecord {
    SpecRecord {
        name: spec.name.clone(),
        role: spec.role.as_str().to_owned(),
        principal: spec.principal.clone(),
        user: spec.user.clone(),
        pods: spec.pods.iter().map(pod).collect(),
    }
}

/// Reads what [`write`] wrote.
pub(super) fn read(record: SpecRecord) -> Result<ServiceSpec, Invalid> {
    Ok(ServiceSpec {
        name: record.name,
        role: Role::parse(&record.role)?,
        principal: record.principal,
        user: record.user,
        pods: record.pods.into_iter().map(pod_of).collect::<Result<_, _>>()?,
    })
}

fn pod(it: &PodSpec) -> PodRecord {
    let (recovery, recovery_ms) = match it.recovery {
        Recovery::Wait => (1, 0),
        Recovery::ReplaceAfter(ms) => (2, ms),
        Recovery::Ask => (3, 0),
    };
    let (strategy, canary, attribute) = match &it.strategy {
        Strategy::Serial => (1, 0, String::new()),
        Strategy::Parallel => (2, 0, String::new()),
        Strategy::Canary(count) => (3, *count, String::new()),
        Strategy::ByAttribute(name) => (4, 0, name.clone()),
    };
    let place = &it.placement;
    let conditions = |all: &[Condition]| -> Vec<ConditionRecord> {
        let condition = |it: &Condition| ConditionRecord {
            attribute: Some(attribute_record(&it.attribute)),
            values: it.values.clone(),
        };
        all.iter().map(condition).collect()
    };
    PodRecord {
        name: it.name.clone(),
        count: it.count,
        placement: Some(PlacementRecord {
            max_per_agent: place.max_per_agent,
            spread_over: place.spread_over.as_ref().map(attribute_record),
            include: conditions(&place.include),
            exclude: conditions(&place.exclude),
            near: place.near.clone(),
            not_near: place.not_near.clone(),
        }),
        volumes: it.volumes.iter().map(volume).collect(),
        ports: it.ports.iter().map(port).collect(),
        tasks: it.tasks.iter().map(task).collect(),
        recovery,
        recovery_ms,
        strategy,
        canary,
        attribute,
    }
}

fn pod_of(record: PodRecord) -> Result<PodSpec, Invalid> {
    let place = record.placement.unwrap_or_default();
    let conditions = |all: Vec<ConditionRecord>| -> Vec<Condition> {
        let condition = |it: ConditionRecord| Condition {
            attribute: attribute_of(it.attribute.unwrap_or_default()),
            values: it.values,
        };
        all.into_iter().map(condition).collect()
    };
    Ok(PodSpec {
        name: record.name,
        count: record.count,
        placement: Placement {
            max_per_agent: place.max_per_agent,
            spread_over: place.spread_over.map(attribute_of),
            include: conditions(place.include),
            exclude: conditions(place.exclude),
            near: place.near,
            not_near: place.not_near,
        },
        volumes: record.volumes.into_iter().map(volume_of).collect::<Result<_, _>>()?,
        ports: record.ports.into_iter().map(port_of).collect::<Result<_, _>>()?,
        tasks: record.tasks.into_iter().map(task_of).collect::<Result<_, _>>()?,
        recovery: match record.recovery {
            1 => Recovery::Wait,
            2 => Recovery::ReplaceAfter(record.recovery_ms),
            3 => Recovery::Ask,
            other => return Err(unknown("recovery", other)),
        },
        strategy: match record.strategy {
            1 => Strategy::Serial,
            2 => Strategy::Parallel,
            3 => Strategy::Canary(record.canary),
            4 => Strategy::ByAttribute(record.attribute),
            other => return Err(unknown("strategy", other)),
        },
    })
}

fn attribute_record(it: &Attribute) -> AttributeRecord {
    match it {
        Attribute::Hostname => AttributeRecord { name: None },
        Attribute::Named(name) => AttributeRecord { name: Some(name.clone()) },
    }
}

fn attribute_of(record: AttributeRecord) -> Attribute {
    record.name.map_or(Attribute::Hostname, Attribute::Named)
}

fn volume(it: &VolumeSpec) -> VolumeRecord {
    let (class, profile) = match &it.class {
        DiskClass::Any => (1, String::new()),
        DiskClass::Root => (2, String::new()),
        DiskClass::Path => (3, String::new()),
        DiskClass::Mount => (4, String::new()),
        DiskClass::Profile(name) => (5, name.clone()),
    };
    VolumeRecord { path: it.path.clone(), size_mb: it.size_mb, class, profile }
}

fn volume_of(record: VolumeRecord) -> Result<VolumeSpec, Invalid> {
    let class = match record.class {
        1 => DiskClass::Any,
        2 => DiskClass::Root,
        3 => DiskClass::Path,
        4 => DiskClass::Mount,
        5 => DiskClass::Profile(record.profile),
        other => return Err(unknown("class", other)),
    };
    Ok(VolumeSpec { path: record.path, size_mb: record.size_mb, class })
}

fn port(it: &PortSpec) -> PortRecord {
    let number = match it.number {
        PortNumber::Fixed(number) => u32::from(number),
        PortNumber::KeptForLife => 0,
    };
    PortRecord { name: it.name.clone(), number, publish: it.publish }
}

fn port_of(record: PortRecord) -> Result<PortSpec, Invalid> {
    let number = match u16::try_from(record.number) {
        Ok(0) => PortNumber::KeptForLife,
        Ok(number) => PortNumber::Fixed(number),
        Err(_) => return Err(unknown("number", record.number)),
    };
    Ok(PortSpec { name: record.name, number, publish: record.publish })
}

fn task(it: &TaskSpec) -> TaskRecord {
    let uri = |it: &FetchUri| UriRecord {
        value: it.value.clone(),
        executable: it.executable,
        extract: it.extract,
        cache: it.cache,
        output_file: it.output_file.clone(),
    };
    let file = |it: &ConfigFile| PairRecord { name: it.path.clone(), value: it.template.clone() };
    TaskRecord {
        name: it.name.clone(),
        goal: match it.goal {
            Goal::Running => 1,
            Goal::Once => 2,
        },
        command: it.command.clone(),
        cpus: it.cpus.to_string(),
        mem_mb: it.mem_mb,
        environment: pairs(&it.environment),
        uris: it.uris.iter().map(uri).collect(),
        files: it.files.iter().map(file).collect(),
        user: it.user.clone(),
        kill_grace_ms: it.kill_grace_ms,
        health: it.health.as_ref().map(check),
        readiness: it.readiness.as_ref().map(check),
    }
}

fn task_of(record: TaskRecord) -> Result<TaskSpec, Invalid> {
    let uri = |it: UriRecord| FetchUri {
        value: it.value,
        executable: it.executable,
        extract: it.extract,
        cache: it.cache,
        output_file: it.output_file,
    };
    let cpus: Result<Scalar, _> = record.cpus.parse();
    Ok(TaskSpec {
        name: record.name,
        goal: match record.goal {
            1 => Goal::Running,
            2 => Goal::Once,
            other => return Err(unknown("goal", other)),
        },
        command: record.command,
        cpus: cpus.map_err(|_| Invalid::new("cpus", format!("`{}` is no amount", record.cpus)))?,
        mem_mb: record.mem_mb,
        environment: unpaired(record.environment),
        uris: record.uris.into_iter().map(uri).collect(),
        files: record
            .files
            .into_iter()
            .map(|it| ConfigFile { path: it.name, template: it.value })
            .collect(),
        user: record.user,
        kill_grace_ms: record.kill_grace_ms,
        health: record.health.map(check_of).transpose()?,
        readiness: record.readiness.map(check_of).transpose()?,
    })
}

fn check(it: &CheckSpec) -> CheckRecord {
    let (probe, line, port) = match &it.probe {
        ProbeSpec::Command(line) => (1, line.clone(), String::new()),
        ProbeSpec::Http { port, path } => (2, path.clone(), port.clone()),
        ProbeSpec::Tcp { port } => (3, String::new(), port.clone()),
    };
    CheckRecord {
        probe,
        line,
        port,
        delay_ms: it.delay_ms,
        interval_ms: it.interval_ms,
        timeout_ms: it.timeout_ms,
        grace_ms: it.grace_ms,
        failures_max: it.failures_max,
    }
}

fn check_of(record: CheckRecord) -> Result<CheckSpec, Invalid> {
    Ok(CheckSpec {
        probe: match record.probe {
            1 => ProbeSpec::Command(record.line),
            2 => ProbeSpec::Http { port: record.port, path: record.line },
            3 => ProbeSpec::Tcp { port: record.port },
            other => return Err(unknown("probe", other)),
        },
        delay_ms: record.delay_ms,
        interval_ms: record.interval_ms,
        timeout_ms: record.timeout_ms,
        grace_ms: record.grace_ms,
        failures_max: record.failures_max,
    })
}
