//! The command line of a node: what `cassandra-env.sh` and the `jvm-server.options` of a release come to, for the resources that the
//! node was given.
//!
//! Pure.

use std::net::IpAddr;
use std::path::Path;

use crate::jars::Jars;
use crate::settings::Settings;
use crate::sizes::Sizes;

/// Packages of Java that Cassandra reaches into.
const EXPORTS: [&str; 7] = [
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/java.lang.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
];
/// Packages of Java whose private parts it reaches into.
const OPENS: [&str; 17] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
];
/// A node with at least this heap has the collector that Cassandra 5 comes with, in megabytes.
const G1_FROM_MB: i64 = 2048;

/// The arguments behind `java`.
pub fn arguments(
    settings: &Settings,
    sizes: &Sizes,
    jars: &Jars,
    address: IpAddr,
    conf: &Path,
    volume: &Path,
) -> Vec<String> {
    let mut words = vec![
        format!("-Xms{}m", sizes.heap_mb),
        format!("-Xmx{}m", sizes.heap_mb),
        format!("-XX:MaxDirectMemorySize={}m", sizes.direct_mb),
        format!("-XX:ActiveProcessorCount={}", sizes.processors),
        "-Xss256k".to_owned(),
        "-ea".to_owned(),
        "-XX:+ExitOnOutOfMemoryError".to_owned(),
        // Its memory-mapped statistics stall collections when a disk is slow.
        "-XX:+PerfDisableSharedMem".to_owned(),
        // What the JVM itself has to say goes where the log goes.
        "-XX:+DisplayVMOutputToStdout".to_owned(),
    ];
    words.extend(collector(sizes).iter().map(|it| (*it).to_owned()));
    words.push(format!("-javaagent:{}", jars.jamm.display()));
    words.push("-Djdk.attach.allowAttachSelf=true".to_owned());
    words.extend(EXPORTS.iter().map(|it| format!("--add-exports={it}=ALL-UNNAMED")));
    words.extend(OPENS.iter().map(|it| format!("--add-opens={it}=ALL-UNNAMED")));
    words.push("--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED".to_owned());
    words.extend(jmx(address, settings.jmx_port));
    if address.is_ipv4() {
        words.push("-Djava.net.preferIPv4Stack=true".to_owned());
    }
    words.push(format!("-Dcassandra.config=file://{}", conf.join("cassandra.yaml").display()));
    words.push(format!("-Dcassandra.storagedir={}", volume.display()));
    words.push(format!("-Dlogback.configurationFile={}", conf.join("logback.xml").display()));
    words.push("-Dcassandra-foreground=yes".to_owned());
    words.extend(settings.jvm_option.iter().cloned());
    words.push("-cp".to_owned());
    words.push(format!("{}:{}/*", conf.display(), jars.dir.display()));
    words.push("org.apache.cassandra.service.CassandraDaemon".to_owned());
    words
}

/// The arguments behind `java` for nodetool at this node, but for what it is told.
pub fn tool_arguments(
    settings: &Settings,
    jars: &Jars,
    address: IpAddr,
    conf: &Path,
    sandbox: &Path,
) -> Vec<String> {
    let host = if address.is_loopback() { address.to_string() } else { "127.0.0.1".to_owned() };
    let small = ["-Xmx48m", "-Xss256k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
    let mut words: Vec<String> = small.map(str::to_owned).into();
    words.extend(EXPORTS.iter().map(|it| format!("--add-exports={it}=ALL-UNNAMED")));
    words.extend(OPENS.iter().map(|it| format!("--add-opens={it}=ALL-UNNAMED")));
    words.push(format!("-Dlogback.configurationFile={}", conf.join("logback.xml").display()));
    // It writes down what it was told.
    words.push(format!("-Duser.home={}", sandbox.display()));
    words.extend(["-cp".to_owned(), format!("{}/*", jars.dir.display())]);
    let told = ["org.apache.cassandra.tools.NodeTool", "-h", &host, "-p"];
    words.extend(told.map(str::to_owned));
    words.push(settings.jmx_port.to_string());
    words
}

fn collector(sizes: &Sizes) -> &'static [&'static str] {
    if G1_FROM_MB <= sizes.heap_mb && 1 < sizes.processors {
        return &[
            "-XX:+UseG1GC",
            "-XX:+ParallelRefProcEnabled",
            "-XX:G1RSetUpdatingPauseTimePercent=5",
            "-XX:MaxGCPauseMillis=300",
            "-XX:InitiatingHeapOccupancyPercent=70",
            "-XX:+AlwaysPreTouch",
        ];
    }
    if sizes.is_small() {
        // It starts sooner without the second compiler, which needs memory, too.
        return &["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
    }
    &["-XX:+UseSerialGC"]
}

/// JMX asks nobody who he is, so it is for this machine alone. Nodes that share a machine have a loopback address each.
fn jmx(address: IpAddr, port: u16) -> Vec<String> {
    if !address.is_loopback() {
        return vec![format!("-Dcassandra.jmx.local.port={port}")];
    }
    vec![
        format!("-Dcom.sun.management.jmxremote.port={port}"),
        format!("-Dcom.sun.management.jmxremote.rmi.port={port}"),
        format!("-Dcom.sun.management.jmxremote.host={address}"),
        format!("-Djava.rmi.server.hostname={address}"),
        "-Dcom.sun.management.jmxremote.authenticate=false".to_owned(),
        "-Dcom.sun.management.jmxremote.ssl=false".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jars::Release;
    use crate::settings::tests::settings;

    fn line(words: &[&str], address: [u8; 4]) -> String {
        let settings = settings(words).unwrap();
        let jars = Jars {
            dir: "/jars".into(),
            release: Release::parse("5.0.9").unwrap(),
            jamm: "/jars/jamm-0.4.0.jar".into(),
        };
        let sizes = settings.sizes().unwrap();
        let (conf, volume) = (Path::new("/box/conf"), Path::new("/box/cassandra"));
        arguments(&settings, &sizes, &jars, address.into(), conf, volume).join(" ")
    }

    #[test]
    fn a_node_has_the_memory_and_processors_that_it_was_given() {
        let small = line(&["--mem-mb", "640", "--cpus", "0.5"], [10, 0, 0, 1]);
        assert!(
            small.starts_with(
                "-Xms298m -Xmx298m -XX:MaxDirectMemorySize=149m -XX:ActiveProcessorCount=1 "
            ),
            "{small}"
        );
        assert!(small.contains("-XX:+UseSerialGC -XX:TieredStopAtLevel=1"));
        let large = line(&["--mem-mb", "16384", "--cpus", "4"], [10, 0, 0, 1]);
        assert!(large.contains("-Xmx4096m") && large.contains("-XX:+UseG1GC"), "{large}");
        assert!(
            small.ends_with(" -cp /box/conf:/jars/* org.apache.cassandra.service.CassandraDaemon")
        );
    }

    #[test]
    fn jmx_is_never_open_to_other_machines() {
        let alone = line(&[], [10, 0, 0, 1]);
        assert!(alone.contains("-Dcassandra.jmx.local.port=7199") && !alone.contains("jmxremote"));
        let shared = line(&[], [127, 0, 0, 2]);
        assert!(shared.contains("-Dcom.sun.management.jmxremote.host=127.0.0.2"), "{shared}");
    }

    #[test]
    fn what_a_person_adds_comes_after_what_is_worked_out() {
        let words = line(&["--jvm-option", "-XX:+UseZGC"], [10, 0, 0, 1]);
        assert!(words.find("-XX:+UseSerialGC") < words.find("-XX:+UseZGC"));
    }
}
