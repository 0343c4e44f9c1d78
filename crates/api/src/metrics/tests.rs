//! Every number of master and agent, written out for a small cluster.

use super::*;
use crate::testbed::{self, Bed, DISK, VOLUME};

/// Name, label's value if any, and value, of all that are not 0.
fn counted(samples: &[Sample]) -> Vec<(String, f64)> {
    let name = |it: &Sample| {
        let labels: String = it.labels.iter().map(|(_, value)| format!("/{value}")).collect();
        format!("{}{labels}", it.name)
    };
    samples.iter().filter(|it| it.value != 0.0).map(|it| (name(it), it.value)).collect()
}

fn are(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn the_masters_numbers() {
    let samples = master(&Bed::usual().view());
    let expected = [
        ("master/elected", 1.0),
        ("master/slaves_active", 1.0),
        ("master/slaves_connected", 1.0),
        ("master/slaves_disconnected", 1.0),
        ("master/slaves_inactive", 1.0),
        ("master/frameworks_active", 1.0),
        ("master/frameworks_connected", 1.0),
        ("master/outstanding_offers", 1.0),
        ("holdfast/claims/volume", 1.0),
        ("holdfast/claims/reservation", 1.0),
        ("allocator/mesos/roles/db/shares/dominant", 1.0),
        ("master/tasks_running", 1.0),
        ("master/tasks_failed", 1.0),
        ("master/cpus_total", 8.0),
        ("master/cpus_used", 1.5),
        ("master/cpus_percent", 0.1875),
        ("master/mem_total", 4096.0),
        ("master/mem_used", 128.0),
        ("master/mem_percent", 0.03125),
        ("master/disk_total", 1000.0),
        ("master/disk_used", 200.0),
        ("master/disk_percent", 0.2),
        ("allocator/mesos/resources/cpus/total", 8.0),
        ("allocator/mesos/resources/cpus/offered_or_allocated", 8.0),
        ("allocator/mesos/resources/mem/total", 4096.0),
        ("allocator/mesos/resources/mem/offered_or_allocated", 4096.0),
        ("allocator/mesos/resources/disk/total", 1000.0),
        ("allocator/mesos/resources/disk/offered_or_allocated", 1000.0),
    ];
    assert_eq!(counted(&samples), are(&expected));
    assert_eq!(samples.len(), 66, "what is 0 is there, too");
    assert!(samples.iter().all(|it| it.help.ends_with('.')));
}

#[test]
fn a_master_that_has_heard_of_nobody() {
    let samples = master(&Bed::elected().view());
    let expected = [
        ("master/elected", 1.0),
        ("master/slaves_disconnected", 2.0),
        ("master/slaves_inactive", 2.0),
        ("master/frameworks_disconnected", 1.0),
        ("master/frameworks_inactive", 1.0),
        ("holdfast/claims/volume", 1.0),
        ("holdfast/claims/reservation", 1.0),
    ];
    assert_eq!(counted(&samples), are(&expected));
}

#[test]
fn the_agents_numbers() {
    let samples = agent(&testbed::agent().view());
    let volume_size = &format!("holdfast/volume_size_bytes/db/{VOLUME}/{DISK}");
    let expected = [
        ("slave/executors_running", 1.0),
        ("holdfast/claims/volume", 1.0),
        ("holdfast/claims/reservation", 1.0),
        ("holdfast/disks", 1.0),
        ("holdfast/ledger_version", 7.0),
        (volume_size, f64::from(200 << 20)),
        ("slave/frameworks_active", 1.0),
        ("slave/cpus_used", 1.5),
        ("slave/mem_used", 128.0),
        ("slave/disk_used", 200.0),
        ("slave/tasks_running", 1.0),
        ("slave/tasks_failed", 1.0),
    ];
    let counted = counted(&samples);
    let without_faults: Vec<_> =
        counted.into_iter().filter(|(name, _)| name != "holdfast/claims_unusable").collect();
    assert_eq!(without_faults, are(&expected));
}

#[test]
fn an_agent_says_of_each_volume_what_it_uses_and_when_that_was_measured() {
    let of = |bytes| counted(&agent(&testbed::agent_with_used(bytes).view()));
    let volume = format!("/db/{VOLUME}/{DISK}");
    let used = (format!("holdfast/volume_used_bytes{volume}"), f64::from(7 << 20));
    let measured = (format!("holdfast/disk_measured_timestamp_seconds/{DISK}"), 0.9);
    let over_size = ("holdfast/volumes_over_size".to_owned(), 1.0);
    let samples = of(7 << 20);
    assert!(samples.contains(&used) && samples.contains(&measured), "{samples:?}");
    assert!(!samples.contains(&over_size));
    assert!(of((200 << 20) + 1).contains(&over_size));
}
