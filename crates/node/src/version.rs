//! What program this is, and which version of the Mesos API it speaks.

use holdfast_proto::mesos::v1::VersionInfo;

/// Digits only: clients of the Mesos API compare it with the versions of Mesos that they need.
pub const MESOS_VERSION: &str = "1.11.0";

/// The version of the API that is spoken, and of the program behind it.
pub fn info() -> VersionInfo {
    VersionInfo {
        version: MESOS_VERSION.to_owned(),
        build_user: Some(format!("holdfast {}", env!("CARGO_PKG_VERSION"))),
        ..VersionInfo::default()
    }
}
