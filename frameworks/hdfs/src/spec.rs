//! The spec of the service: three pods, and what each member of them has for life.
//!
//! Pure.

use holdfast_sdk::model::Role;
use holdfast_sdk::spec::{
    CheckSpec, DiskClass, Goal, Placement, PodSpec, PortNumber, PortSpec, ProbeSpec, Recovery,
    ServiceSpec, Strategy, TaskSpec, VolumeSpec,
};

use crate::identity::Kind;
use crate::settings::Settings;

/// How many journal nodes there are: one may be lost.
pub const JOURNALS: u32 = 3;
/// How many name nodes there are.
pub const NAMES: u32 = 2;
/// The task that goes on.
pub const TASK: &str = "node";
/// How long a member may take to end: a name node hands over first.
const GRACE_MS: u64 = 75_000;

/// Whose service it is.
#[derive(Clone, Debug, clap::Args)]
pub struct Owner {
    /// The name of the service, with which the names of its tasks and volumes begin; it is the nameservice, too: hdfs://NAME.
    #[arg(long, default_value = "hdfs")]
    pub name: String,
    /// The role that the volumes are reserved for.
    #[arg(long, default_value = "hdfs", value_parser = Role::parse)]
    pub role: Role,
    /// The user that members run as, on each agent; without it, whoever starts this.
    #[arg(long)]
    pub user: Option<String>,
}

/// The spec.
pub fn spec(owner: &Owner, settings: &Settings, program: &str) -> ServiceSpec {
    let pods =
        [Kind::Journal, Kind::Name, Kind::Data].map(|it| pod(it, settings, program)).to_vec();
    ServiceSpec {
        name: owner.name.clone(),
        role: owner.role.clone(),
        principal: None,
        user: owner.user.clone(),
        pods,
    }
}

fn pod(kind: Kind, settings: &Settings, program: &str) -> PodSpec {
    let (count, size_mb, volumes) = match kind {
        Kind::Journal => (JOURNALS, settings.journal_disk_mb, 1),
        Kind::Name => (NAMES, settings.name_disk_mb, 1),
        Kind::Data => (settings.data_nodes, settings.data_disk_mb, settings.data_volumes),
    };
    let volumes: Vec<VolumeSpec> = (0..volumes)
        .map(|it| VolumeSpec { path: path(kind, it), size_mb, class: DiskClass::Any })
        .collect();
    let mem_mb = settings.mem_mb(kind);
    // A member has a place before its program starts: programs are told where all members are.
    let writable: Vec<String> = volumes.iter().map(|it| format!("test -w {}", it.path)).collect();
    let place = TaskSpec {
        goal: Goal::Once,
        ..TaskSpec::new("place", &writable.join(" && "), settings.cpus, mem_mb)
    };
    let line = format!("exec '{}' node", program.replace('\'', "'\\''"));
    let node = TaskSpec {
        kill_grace_ms: Some(GRACE_MS),
        // The member's own executor does it, and looks at more than the port.
        health: Some(CheckSpec::new(ProbeSpec::Tcp { port: "http".to_owned() })),
        ..TaskSpec::new(TASK, &line, settings.cpus, mem_mb)
    };
    PodSpec {
        name: kind.name().to_owned(),
        count,
        placement: Placement { max_per_agent: Some(1), ..Placement::default() },
        volumes,
        ports: ports(kind),
        tasks: vec![place, node],
        recovery: Recovery::Wait,
        // All start at once, since some must have a place before others may start. What takes members down goes one after the other: the
        // hooks see to that.
        strategy: Strategy::Parallel,
    }
}

/// The path of a volume in the sandbox.
fn path(kind: Kind, place: u32) -> String {
    match place {
        0 => kind.name().to_owned(),
        _ => format!("{}-{place}", kind.name()),
    }
}

fn ports(kind: Kind) -> Vec<PortSpec> {
    let names = match kind {
        Kind::Journal => &["rpc", "http"][..],
        Kind::Name => &["rpc", "http", "zkfc"],
        Kind::Data => &["transfer", "http", "ipc"],
    };
    let port = |name: &&str| PortSpec {
        name: (*name).to_owned(),
        number: PortNumber::KeptForLife,
        publish: *name != "zkfc",
    };
    names.iter().map(port).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::settings::tests::settings;

    /// The spec of the service `files`.
    pub(crate) fn files(words: &str) -> ServiceSpec {
        let role = Role::parse("files").unwrap();
        let owner = Owner { name: "files".to_owned(), role, user: None };
        spec(&owner, &settings(words).unwrap(), "/it's/hdfs")
    }

    #[test]
    fn the_spec_can_be_done_as_it_says() {
        let spec = files("--data-nodes 4 --data-volumes 2");
        assert_eq!(spec.check(), Ok(()));
        let data = spec.pod("data").unwrap();
        let paths: Vec<&str> = data.volumes.iter().map(|it| it.path.as_str()).collect();
        assert_eq!((data.count, paths), (4, vec!["data", "data-1"]));
        assert_eq!(data.main().unwrap().command, "exec '/it'\\''s/hdfs' node");
        assert_eq!(spec.pod("journal").unwrap().count, 3);
        assert_eq!(spec.pod("name").unwrap().ports.iter().filter(|it| it.publish).count(), 2);
    }
}
