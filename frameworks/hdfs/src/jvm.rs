//! The command lines of Hadoop's programs.
//!
//! Pure.

use std::path::Path;

use crate::settings::{Jars, NodeSettings};

/// Hadoop's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A journal node.
    JournalNode,
    /// A name node, or one of its one-shot acts.
    NameNode,
    /// The failover controller of a name node.
    FailoverController,
    /// A data node.
    DataNode,
    /// What tells a name node to read again which data nodes it shall have.
    Admin,
}

impl Program {
    fn class(self) -> &'static str {
        match self {
            Program::JournalNode => "org.apache.hadoop.hdfs.qjournal.server.JournalNode",
            Program::NameNode => "org.apache.hadoop.hdfs.server.namenode.NameNode",
            Program::FailoverController => "org.apache.hadoop.hdfs.tools.DFSZKFailoverController",
            Program::DataNode => "org.apache.hadoop.hdfs.server.datanode.DataNode",
            Program::Admin => "org.apache.hadoop.hdfs.tools.DFSAdmin",
        }
    }
}

/// Packages of Java whose private parts Hadoop reaches into.
const OPENS: [&str; 4] = ["java.lang", "java.net", "java.nio", "java.util"];
/// Up to this heap the JVM starts sooner and needs less without its second compiler, in megabytes.
const SMALL_MB: u64 = 512;

/// The arguments behind `java`. The configuration and everything that is not on a volume is in the sandbox.
pub fn arguments(
    settings: &NodeSettings,
    program: Program,
    heap_mb: u64,
    sandbox: &Path,
    rest: &[&str],
) -> Vec<String> {
    let mut words = vec![format!("-Xmx{heap_mb}m"), "-XX:+ExitOnOutOfMemoryError".to_owned()];
    if heap_mb <= SMALL_MB {
        words.push("-XX:+UseSerialGC".to_owned());
        words.push("-XX:TieredStopAtLevel=1".to_owned());
    }
    words.extend(OPENS.iter().map(|it| format!("--add-opens=java.base/{it}=ALL-UNNAMED")));
    words.push("-Djava.net.preferIPv4Stack=true".to_owned());
    words.push(format!("-Dhadoop.home.dir={}", sandbox.display()));
    words.push(format!("-Dhadoop.log.dir={}", sandbox.display()));
    words.push("-cp".to_owned());
    words.push(class_path(&settings.jars, sandbox));
    words.push(program.class().to_owned());
    words.extend(rest.iter().map(|it| (*it).to_owned()));
    words
}

fn class_path(jars: &Jars, sandbox: &Path) -> String {
    let conf = sandbox.join("conf").to_string_lossy().into_owned();
    match jars {
        Jars::Directory(dir) => format!("{conf}:{}/*", dir.display()),
        Jars::Distribution(dir) => {
            let share = format!("{}/share/hadoop", dir.display());
            // The pages of Hadoop's own web interface are in the folder itself.
            format!("{conf}:{share}/common/lib/*:{share}/common/*:{share}/hdfs:{share}/hdfs/lib/*:{share}/hdfs/*")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::node_settings;

    #[test]
    fn a_program_has_its_heap_its_configuration_and_its_jars() {
        let mut settings = node_settings();
        let sandbox = Path::new("/box");
        let line = arguments(&settings, Program::NameNode, 128, sandbox, &["-format"]).join(" ");
        assert!(line.starts_with("-Xmx128m ") && line.contains("-XX:+UseSerialGC"), "{line}");
        assert!(
            line.ends_with(
                "-cp /box/conf:/j/* org.apache.hadoop.hdfs.server.namenode.NameNode -format"
            ),
            "{line}"
        );
        settings.jars = Jars::Distribution("/opt/hadoop".into());
        let line = arguments(&settings, Program::DataNode, 4_096, sandbox, &[]).join(" ");
        assert!(!line.contains("UseSerialGC"), "{line}");
        assert!(line.contains("/box/conf:/opt/hadoop/share/hadoop/common/lib/*:"), "{line}");
    }
}
