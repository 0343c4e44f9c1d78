//! What this machine has: read from settings, detected where they are silent (`semantics.md` A16-A23).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context};
use holdfast_model::convert::text;
use holdfast_model::{DiskKind, MachineInfo, Ranges, Resource, Resources, Role, Scalar, Source, Value};
use holdfast_proto::mesos::v1::{value, AgentInfo, Attribute};
use sysinfo::System;

use crate::cli::settings_agent::AgentSettings;

/// A disk that the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// What kind of place.
    pub kind: DiskKind,
    /// Its absolute path.
    pub root: PathBuf,
    /// Its size in MB, when the settings say so; else it is measured.
    pub size_mb: Option<u64>,
}

/// What the machine offers, before its disks are open.
#[derive(Clone, Debug)]
pub struct MachinePlan {
    /// Name, port, attributes.
    pub info: MachineInfo,
    /// Everything but disks that are found by opening them.
    pub resources: Resources,
    /// Disks; the first is ROOT.
    pub disks: Vec<DiskPlan>,
    /// Whether `resources` already say what ROOT offers, perhaps reserved.
    pub root_given: bool,
}

impl MachinePlan {
    /// Reads the settings and the machine.
    ///
    /// # Errors
    /// What is wrong with the settings, with the flag's name.
    pub fn read(settings: &AgentSettings, dir: &Path, address: SocketAddr) -> anyhow::Result<MachinePlan> {
        let default_role = settings.default_role.as_deref().map_or(Ok(Role::any()), Role::parse).context("--default-role")?;
        let mut resources: Resources = match settings.resources.as_str() {
            "" => Resources::new(),
            given => text::resources(given, &default_role).context("--resources")?.iter().collect(),
        };
        let given_disk = resources.entries().any(|(identity, _)| identity.name == "disk" && identity.source.is_none());
        let root_mb =
            given_disk.then(|| u64::try_from(resources.filter(|it| it.source.is_none()).quantity("disk").as_whole()).unwrap_or(0));
        detect(&mut resources)?;
        let mut disks = vec![DiskPlan { kind: DiskKind::Root, root: dir.to_owned(), size_mb: root_mb }];
        for given in &settings.disk {
            disks.push(disk(given).with_context(|| format!("--disk {given}"))?);
        }
        let hostname = settings.hostname.clone().unwrap_or_else(|| address.ip().to_string());
        let attributes = attributes(&settings.attributes).context("--attributes")?;
        let wire = AgentInfo { hostname, port: Some(i32::from(address.port())), attributes, ..Default::default() };
        let info = holdfast_model::convert::machine::from_proto(wire)?;
        Ok(MachinePlan { info, resources, disks, root_given: given_disk })
    }
}

/// `rack:r1;ssd:yes`: every attribute is a text, unless it is a number.
fn attributes(given: &str) -> anyhow::Result<Vec<Attribute>> {
    let mut attributes = Vec::new();
    for part in given.split(';').map(str::trim).filter(|it| !it.is_empty()) {
        let Some((name, value)) = part.split_once(':') else { bail!("`{part}` is no attribute; write name:value") };
        let (name, value) = (name.trim().to_owned(), value.trim());
        attributes.push(match value.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                Attribute { name, r#type: value::Type::Scalar.into(), scalar: Some(value::Scalar { value: number }), ..Default::default() }
            }
            _ => Attribute {
                name,
                r#type: value::Type::Text.into(),
                text: Some(value::Text { value: value.to_owned() }),
                ..Default::default()
            },
        });
    }
    Ok(attributes)
}

fn disk(given: &str) -> anyhow::Result<DiskPlan> {
    let (mut kind_and_root, mut size_mb) = (None, None);
    for part in given.split(',') {
        match part.split_once('=') {
            Some(("path", root)) => kind_and_root = Some((DiskKind::Path, PathBuf::from(root))),
            Some(("mount", root)) => kind_and_root = Some((DiskKind::Mount, PathBuf::from(root))),
            Some(("size-mb", size)) => size_mb = Some(size.parse().with_context(|| format!("`{size}` is no number of MB"))?),
            _ => bail!("`{part}` is not understood; write path=/DIR or mount=/DIR, and ,size-mb=N if it shall not be measured"),
        }
    }
    let Some((kind, root)) = kind_and_root else { bail!("say path=/DIR or mount=/DIR") };
    if !root.is_absolute() {
        bail!("{} is not absolute", root.display());
    }
    Ok(DiskPlan { kind, root, size_mb })
}

/// Adds what the settings do not name: all cores, memory less 1 GB (or half of little), ports 31000-32000.
fn detect(resources: &mut Resources) -> anyhow::Result<()> {
    let has = |resources: &Resources, name: &str| resources.entries().any(|(identity, _)| identity.name == name);
    if !has(resources, "cpus") {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        resources.add(&Resource::scalar("cpus", Scalar::whole(i64::try_from(cores).unwrap_or(1))));
    }
    if !has(resources, "mem") {
        let mut system = System::new().context("the machine's memory cannot be read; name it: --resources mem:MB")?;
        system.refresh_memory();
        let total_mb = system.total_memory() >> 20;
        let offered = if total_mb < 2048 { total_mb / 2 } else { total_mb - 1024 };
        resources.add(&Resource::scalar("mem", Scalar::whole(i64::try_from(offered).unwrap_or(0))));
    }
    if !has(resources, "ports") {
        resources.add(&Resource::unreserved("ports", Value::Ranges(Ranges::new([(31_000, 32_000)]))));
    }
    Ok(())
}

/// The size of ROOT when the settings do not name it: all but 5 GB, or half of little.
pub fn root_size_mb(total_mb: u64) -> u64 {
    if total_mb < 10 * 1024 {
        total_mb / 2
    } else {
        total_mb - 5 * 1024
    }
}

/// What a disk offers.
pub fn disk_resource(kind: DiskKind, root: &Path, size_mb: u64) -> Resource {
    let disk = Resource::scalar("disk", Scalar::whole(i64::try_from(size_mb).unwrap_or(0)));
    let root = root.to_string_lossy();
    match kind {
        DiskKind::Root => disk,
        DiskKind::Path => disk.on(Source::path(&root)),
        DiskKind::Mount => disk.on(Source::mount(&root)),
    }
}

/// The whole description, for reports.
pub fn describe(plan: &MachinePlan, disks: &Resources) -> MachineInfo {
    let mut resources = plan.resources.clone();
    resources.add_all(disks);
    MachineInfo { resources, ..plan.info.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_named_by_kind_and_place() {
        assert_eq!(disk("path=/d1,size-mb=10").unwrap(), DiskPlan { kind: DiskKind::Path, root: "/d1".into(), size_mb: Some(10) });
        assert_eq!(disk("mount=/d2").unwrap(), DiskPlan { kind: DiskKind::Mount, root: "/d2".into(), size_mb: None });
        for wrong in ["", "/d1", "path=d1", "path=/d1,size-mb=x", "size-mb=1"] {
            assert!(disk(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_named_is_not_detected() {
        let mut resources: Resources = [Resource::scalar("cpus", Scalar::whole(3))].iter().collect();
        detect(&mut resources).unwrap();
        assert_eq!(resources.quantity("cpus"), Scalar::whole(3));
        assert!(Scalar::ZERO < resources.quantity("mem"));
    }
}
