//! What this machine has: read from settings, detected where they are silent (`semantics.md` A16-A23).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, Context};
use holdfast_model::convert::text;
use holdfast_model::{
    AddedDisk, DiskKind, Identity, MachineInfo, Ranges, Resource, Resources, Role, Scalar, Source,
    SourceKind, Value, VolumeLimit,
};
use holdfast_proto::mesos::v1::{value, AgentInfo, Attribute};
use sysinfo::System;

use crate::settings::agent::AgentSettings;

/// A disk that the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// What kind of place.
    pub kind: DiskKind,
    /// Its absolute path.
    pub root: PathBuf,
    /// Its size in MB, when the settings say so; else it is measured.
    pub size_mb: Option<u64>,
    /// Whether the machine's resources say already what it offers, perhaps reserved.
    pub given: bool,
    /// What keeps its volumes to their sizes.
    pub limit: VolumeLimit,
}

impl DiskPlan {
    /// A disk that an operator added.
    pub fn of_added(disk: &AddedDisk, limit: VolumeLimit) -> DiskPlan {
        let (root, size_mb) = (PathBuf::from(&disk.root), disk.size_mb);
        DiskPlan { kind: disk.kind, root, size_mb, given: false, limit: limit_on(disk.kind, limit) }
    }

    /// Whether a resource is a part of this disk.
    pub fn offers(&self, identity: &Identity) -> bool {
        let same =
            |source: &Source| source.root.as_deref().map(Path::new) == Some(self.root.as_path());
        identity.name == "disk"
            && match (&identity.source, self.kind) {
                (None, kind) => kind == DiskKind::Root,
                (Some(source), DiskKind::Path) => source.kind == SourceKind::Path && same(source),
                (Some(source), DiskKind::Mount) => source.kind == SourceKind::Mount && same(source),
                (Some(_), DiskKind::Root) => false,
            }
    }
}

/// What keeps volumes to their sizes on a disk of this kind that says nothing of its own. A MOUNT disk has one volume, of the size of its
/// file system: that holds it, and has no room for an image of its own size.
fn limit_on(kind: DiskKind, limit: VolumeLimit) -> VolumeLimit {
    match (kind, limit) {
        (DiskKind::Mount, VolumeLimit::Image) => VolumeLimit::default(),
        _ => limit,
    }
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
    /// What keeps volumes to their sizes on disks that do not say.
    pub limit: VolumeLimit,
}

impl MachinePlan {
    /// Reads the settings and the machine.
    ///
    /// # Errors
    /// What is wrong with the settings, with the flag's name.
    pub fn read(
        settings: &AgentSettings,
        dir: &Path,
        address: SocketAddr,
    ) -> anyhow::Result<MachinePlan> {
        let default_role = settings
            .default_role
            .as_deref()
            .map_or(Ok(Role::any()), Role::parse)
            .context("--default-role")?;
        let mut resources: Resources = match written(&settings.resources)
            .context("--resources")?
            .as_str()
        {
            "" => Resources::new(),
            given => text::resources(given, &default_role).context("--resources")?.iter().collect(),
        };
        resources = with_plain_roots(&resources);
        let limit = settings.volume_limit;
        let mut disks = vec![root(&resources, dir, limit)];
        disks.extend(disks_among(&resources, limit).context("--resources")?);
        detect(&mut resources)?;
        for given in &settings.disk {
            disks.push(disk(given, limit).with_context(|| format!("--disk {given}"))?);
        }
        check_apart(&disks)?;
        check_images(&disks, limit)?;
        let hostname = settings.hostname.clone().unwrap_or_else(|| address.ip().to_string());
        let attributes = attributes(&settings.attributes).context("--attributes")?;
        let wire = AgentInfo {
            hostname,
            port: Some(i32::from(address.port())),
            attributes,
            ..Default::default()
        };
        let info = holdfast_model::convert::machine::from_proto(wire)?;
        Ok(MachinePlan { info, resources, disks, limit })
    }
}

/// Resources as they were given, or what is in the file that was named in their place.
fn written(given: &str) -> anyhow::Result<String> {
    let given = given.trim();
    let path = given.strip_prefix("file://").or_else(|| given.starts_with('/').then_some(given));
    match path {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {path}")),
        None => Ok(given.to_owned()),
    }
}

/// A path without what says nothing: doubled and trailing slashes, and `.`.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// The same resources, the paths of their disks written plainly.
fn with_plain_roots(resources: &Resources) -> Resources {
    let plainly = |it: Resource| {
        let Some(source) = &it.identity.source else { return it };
        let root = source.root.as_deref().map(|it| plain(Path::new(it)));
        let root = root.map(|it| it.to_string_lossy().into_owned());
        let source = Source { root, ..source.clone() };
        it.on(source)
    };
    resources.iter().map(plainly).collect()
}

/// ROOT. As soon as any disk is named, it offers what is named of it and nothing else (A21).
fn root(resources: &Resources, dir: &Path, limit: VolumeLimit) -> DiskPlan {
    let given = resources.entries().any(|(identity, _)| identity.name == "disk");
    let size_mb =
        given.then(|| whole_mb(resources.filter(|it| it.source.is_none()).quantity("disk")));
    DiskPlan { kind: DiskKind::Root, root: dir.to_owned(), size_mb, given, limit }
}

/// The PATH and MOUNT disks that resources name, each of exactly the size that they say (A22).
fn disks_among(resources: &Resources, limit: VolumeLimit) -> anyhow::Result<Vec<DiskPlan>> {
    let mut disks: Vec<DiskPlan> = Vec::new();
    for (identity, amount) in resources.entries().filter(|(identity, _)| identity.name == "disk") {
        let Some(source) = &identity.source else { continue };
        let kind = match source.kind {
            SourceKind::Path => DiskKind::Path,
            SourceKind::Mount => DiskKind::Mount,
            SourceKind::Block | SourceKind::Raw => {
                bail!(
                    "disk.source.type: only PATH and MOUNT disks are served; leave the others out"
                )
            }
        };
        let root = PathBuf::from(
            source.root.as_deref().context("disk.source: a PATH or MOUNT disk needs its `root`")?,
        );
        if !root.is_absolute() {
            bail!("disk.source: {} is not absolute; write the full path", root.display());
        }
        let size_mb = whole_mb(amount.value.quantity());
        match disks.iter_mut().find(|it| (it.kind, &it.root) == (kind, &root)) {
            None if amount.copies == 1 => {
                let (size_mb, limit) = (Some(size_mb), limit_on(kind, limit));
                disks.push(DiskPlan { kind, root, size_mb, given: true, limit })
            }
            // Parts of it may be reserved for one role or another.
            Some(disk) if kind == DiskKind::Path => {
                disk.size_mb = disk.size_mb.map(|it| it.saturating_add(size_mb))
            }
            _ => bail!(
                "disk.source: MOUNT disk {} comes twice; it is given as a whole, in one entry",
                root.display()
            ),
        }
    }
    Ok(disks)
}

/// One place is one disk, or its space would be promised twice.
fn check_apart(disks: &[DiskPlan]) -> anyhow::Result<()> {
    for (at, disk) in disks.iter().enumerate() {
        if disks[..at].iter().any(|it| it.root == disk.root) {
            bail!(
                "{} is named as a disk twice, by --dir, --disk or --resources; name it once",
                disk.root.display()
            );
        }
    }
    Ok(())
}

fn whole_mb(size: Scalar) -> u64 {
    u64::try_from(size.as_whole()).unwrap_or(0)
}

/// `rack:r1;ssd:yes;ports:[80-90]`, divided by `;` or line feeds: a number, ranges, or else a text. Sets are for resources alone.
fn attributes(given: &str) -> anyhow::Result<Vec<Attribute>> {
    let mut attributes = Vec::new();
    for part in given.split([';', '\n']).map(str::trim).filter(|it| !it.is_empty()) {
        let Some((name, value)) = part.split_once(':') else {
            bail!("`{part}` is no attribute; write name:value")
        };
        let (name, value) = (name.trim().to_owned(), value.trim());
        let attribute = |kind: value::Type| Attribute {
            name: name.clone(),
            r#type: kind.into(),
            ..Default::default()
        };
        attributes.push(match value.parse::<f64>() {
            Ok(number) if number.is_finite() => Attribute {
                scalar: Some(value::Scalar { value: number }),
                ..attribute(value::Type::Scalar)
            },
            _ if value.starts_with('{') => {
                bail!("`{part}`: an attribute is no set; write one name for each item, or a text")
            }
            _ if value.starts_with('[') => Attribute {
                ranges: Some(ranges(value).with_context(|| format!("`{part}`"))?),
                ..attribute(value::Type::Ranges)
            },
            _ => Attribute {
                text: Some(value::Text { value: value.to_owned() }),
                ..attribute(value::Type::Text)
            },
        });
    }
    Ok(attributes)
}

fn ranges(given: &str) -> anyhow::Result<value::Ranges> {
    let resource = text::resources(&format!("ranges:{given}"), &Role::any())?;
    let Some(Value::Ranges(ranges)) = resource.first().map(|it| &it.value) else {
        bail!("write ranges as [FROM-TO,FROM-TO]")
    };
    let range =
        ranges.intervals().iter().map(|(begin, end)| value::Range { begin: *begin, end: *end });
    Ok(value::Ranges { range: range.collect() })
}

/// `limit` is what holds where it says none of its own.
fn disk(given: &str, default: VolumeLimit) -> anyhow::Result<DiskPlan> {
    let (mut kind_and_root, mut size_mb, mut limit) = (None, None, None);
    for part in given.split(',') {
        match part.split_once('=') {
            Some(("path", root)) => kind_and_root = Some((DiskKind::Path, plain(Path::new(root)))),
            Some(("mount", root)) => kind_and_root = Some((DiskKind::Mount, plain(Path::new(root)))),
            Some(("size-mb", size)) => size_mb = Some(size.parse().with_context(|| format!("`{size}` is no number of MB"))?),
            Some(("limit", given)) => limit = Some(given.parse().map_err(|why: String| anyhow!("limit={why}"))?),
            _ => bail!("`{part}` is not understood; write path=/DIR or mount=/DIR, ,size-mb=N if it shall not be measured, and ,limit=soft:refuse for another limit"),
        }
    }
    let Some((kind, root)) = kind_and_root else { bail!("say path=/DIR or mount=/DIR") };
    if !root.is_absolute() {
        bail!("{} is not absolute", root.display());
    }
    if (kind, limit) == (DiskKind::Mount, Some(VolumeLimit::Image)) {
        bail!("limit=image: a MOUNT disk has one volume, which its own file system holds to its size; leave limit=image out, or use path={} for several volumes", root.display());
    }
    let limit = limit.unwrap_or(limit_on(kind, default));
    Ok(DiskPlan { kind, root, size_mb, given: false, limit })
}

/// Images are made by tools and devices that a machine may lack: that is no surprise for whoever creates the first volume.
fn check_images(disks: &[DiskPlan], default: VolumeLimit) -> anyhow::Result<()> {
    let asks = |it: &&DiskPlan| it.limit == VolumeLimit::Image;
    let disk = disks.iter().find(asks).map(|it| it.root.display().to_string());
    let added = (default == VolumeLimit::Image).then(|| "disks that are added".to_owned());
    let Some(for_whom) = disk.or(added) else { return Ok(()) };
    match holdfast_volumes::cannot_make_images() {
        Some(why) => bail!(
            "limit=image for {for_whom}: {why}; or choose soft:report, soft:refuse or soft:stop"
        ),
        None => Ok(()),
    }
}

/// Adds what the settings do not name: all cores, memory less 1 GB (or half of little), ports 31000-32000.
fn detect(resources: &mut Resources) -> anyhow::Result<()> {
    let has = |resources: &Resources, name: &str| {
        resources.entries().any(|(identity, _)| identity.name == name)
    };
    if !has(resources, "cpus") {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        resources.add(&Resource::scalar("cpus", Scalar::whole(i64::try_from(cores).unwrap_or(1))));
    }
    if !has(resources, "mem") {
        let mut system = System::new()
            .context("the machine's memory cannot be read; name it: --resources mem:MB")?;
        system.refresh_memory();
        let total_mb = system.total_memory() >> 20;
        let offered = if total_mb < 2048 { total_mb / 2 } else { total_mb - 1024 };
        resources.add(&Resource::scalar("mem", Scalar::whole(i64::try_from(offered).unwrap_or(0))));
    }
    if !has(resources, "ports") {
        resources
            .add(&Resource::unreserved("ports", Value::Ranges(Ranges::new([(31_000, 32_000)]))));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_numbers_ranges_or_texts() {
        let all =
            attributes("rack:r1; cores:4.5\nports:[21000-24000,30000-34000];odd:a:b").unwrap();
        let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["rack", "cores", "ports", "odd"]);
        assert_eq!(all[1].scalar.as_ref().map(|it| it.value), Some(4.5));
        let ports = all[2].ranges.as_ref().unwrap();
        assert_eq!((ports.range.len(), ports.range[1].begin), (2, 30_000));
        assert_eq!(all[3].text.as_ref().map(|it| it.value.as_str()), Some("a:b"));
        for wrong in ["rack", "disks:{a,b}", "ports:[9-8]", "ports:[x]"] {
            let why = format!("{:#}", attributes(wrong).unwrap_err());
            assert!(why.contains(wrong), "{why}");
        }
    }

    #[test]
    fn disks_are_named_by_kind_and_place() {
        let plan = |kind, root: &str, size_mb| DiskPlan {
            kind,
            root: root.into(),
            size_mb,
            given: false,
            limit: VolumeLimit::None,
        };
        let disk = |given: &str| disk(given, VolumeLimit::None);
        assert_eq!(disk("path=/d1,size-mb=10").unwrap(), plan(DiskKind::Path, "/d1", Some(10)));
        assert_eq!(disk("mount=/d2").unwrap(), plan(DiskKind::Mount, "/d2", None));
        for written in ["path=/d1/", "path=//d1/.//", "path=/d1/."] {
            assert_eq!(disk(written).unwrap().root.to_str(), Some("/d1"), "{written}");
        }
        for wrong in
            ["", "/d1", "path=d1", "path=/d1,size-mb=x", "size-mb=1", "path=/d1,limit=hard"]
        {
            assert!(disk(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_disk_says_its_own_limit_and_one_that_cannot_be_held_is_refused_by_its_name() {
        let limit =
            |given: &str| disk(given, VolumeLimit::default()).map(|it| it.limit.to_string());
        assert_eq!(limit("path=/d1").unwrap(), "soft:report");
        assert_eq!(limit("path=/d1,limit=soft:stop").unwrap(), "soft:stop");
        let why = limit("mount=/d1,limit=quota").unwrap_err().to_string();
        assert!(why.starts_with("limit=`quota`") && why.contains("soft:refuse"), "{why}");
        assert_eq!(limit("path=/d1,limit=image").unwrap(), "image");
        let why = limit("mount=/d1,limit=image").unwrap_err().to_string();
        assert!(why.starts_with("limit=image: a MOUNT disk") && why.contains("path=/d1"), "{why}");
        let images = |given: &str| disk(given, VolumeLimit::Image).unwrap().limit.to_string();
        assert_eq!(
            (images("path=/d1"), images("mount=/d1")),
            ("image".into(), "soft:report".into())
        );
    }

    #[test]
    fn what_is_named_is_not_detected() {
        let mut resources: Resources =
            [Resource::scalar("cpus", Scalar::whole(3))].iter().collect();
        detect(&mut resources).unwrap();
        assert_eq!(resources.quantity("cpus"), Scalar::whole(3));
        assert!(Scalar::ZERO < resources.quantity("mem"));
    }

    fn json_disk(kind: &str, root: &str, mb: u32, role: &str) -> String {
        let place = kind.to_lowercase();
        format!(
            r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":{mb}}},"role":"{role}",
                "disk":{{"source":{{"type":"{kind}","{place}":{{"root":"{root}"}}}}}}}}"#
        )
    }

    fn among(entries: &[String]) -> anyhow::Result<Vec<DiskPlan>> {
        let list = text::resources(&format!("[{}]", entries.join(",")), &Role::any())?;
        disks_among(&list.iter().collect(), VolumeLimit::default())
    }

    #[test]
    fn disks_among_resources_are_disks_of_the_size_that_is_written() {
        let entries = [
            json_disk("PATH", "/d1", 60, "db"),
            json_disk("PATH", "/d1", 40, "*"),
            json_disk("MOUNT", "/d2", 500, "*"),
        ];
        let plan = |kind, root: &str, mb| DiskPlan {
            kind,
            root: root.into(),
            size_mb: Some(mb),
            given: true,
            limit: VolumeLimit::default(),
        };
        assert_eq!(
            among(&entries).unwrap(),
            [plan(DiskKind::Path, "/d1", 100), plan(DiskKind::Mount, "/d2", 500)]
        );
        assert_eq!(
            among(&[json_disk("PATH", "/d1", 0, "*")]).unwrap(),
            [],
            "0 drops the entry (A22)"
        );
        for wrong in [
            [json_disk("MOUNT", "/d2", 500, "db"), json_disk("MOUNT", "/d2", 500, "*")],
            [json_disk("MOUNT", "/d2", 500, "*"), json_disk("MOUNT", "/d2", 500, "*")],
            [json_disk("PATH", "d1", 5, "*"), json_disk("MOUNT", "/d2", 500, "*")],
        ] {
            assert!(among(&wrong).is_err(), "{wrong:?}");
        }
        let entry = json_disk("BLOCK", "/d1", 5, "*");
        assert!(among(&[entry]).unwrap_err().to_string().contains("PATH and MOUNT"));
    }

    #[test]
    fn a_named_disk_is_the_only_one_and_is_named_once() {
        let dir = Path::new("/agent");
        let of = |text: &str| {
            root(
                &text::resources(text, &Role::any()).unwrap().iter().collect(),
                dir,
                VolumeLimit::default(),
            )
        };
        assert_eq!((of("cpus:1").given, of("cpus:1").size_mb), (false, None));
        assert_eq!(
            (of("disk:10;disk(db):5").given, of("disk:10;disk(db):5").size_mb),
            (true, Some(15))
        );
        let elsewhere = of(&format!("[{}]", json_disk("PATH", "/d1", 60, "*")));
        assert_eq!(
            (elsewhere.given, elsewhere.size_mb),
            (true, Some(0)),
            "ROOT is not added on its own (A21)"
        );
        assert!(check_apart(&[
            elsewhere.clone(),
            disk("path=/d1", VolumeLimit::default()).unwrap()
        ])
        .is_ok());
        assert!(check_apart(&[elsewhere, disk("path=/agent/", VolumeLimit::default()).unwrap()])
            .is_err());
        assert!(check_apart(&[
            disk("path=/d1", VolumeLimit::default()).unwrap(),
            disk("mount=/d1", VolumeLimit::default()).unwrap()
        ])
        .is_err());
    }

    #[test]
    fn resources_may_lie_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "cpus:7").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(written(path).unwrap(), "cpus:7");
        assert_eq!(written(&format!("file://{path}")).unwrap(), "cpus:7");
        assert_eq!(written(" cpus:8 ").unwrap(), "cpus:8");
        assert!(written("/nonexistent").unwrap_err().to_string().contains("/nonexistent"));
    }
}
