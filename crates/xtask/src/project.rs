//! Where the project is: its root, its target folder, its version.
//!
//! Relies on the place this package was compiled at. Never writes.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The root of the project, an absolute path.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this package lies two folders below the root").to_owned()
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR`, else `target` under the root.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root().join(path),
        None => root().join("target"),
    }
}

/// The version that all packages of the workspace share.
///
/// # Errors
/// If the workspace's manifest cannot be read, or states none.
pub fn version() -> Result<String> {
    let path = root().join("Cargo.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    version_in(&text).with_context(|| {
        format!("{} states no [workspace.package] version; add one", path.display())
    })
}

fn version_in(manifest: &str) -> Option<String> {
    let table: toml::Table = manifest.parse().ok()?;
    Some(table.get("workspace")?.get("package")?.get("version")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("crates/xtask/Cargo.toml").is_file());
        assert!(version().unwrap().split('.').count() == 3);
    }

    #[test]
    fn a_manifest_without_a_version_has_none() {
        assert_eq!(
            version_in("[workspace.package]\nversion = \"1.2.3\""),
            Some("1.2.3".to_owned())
        );
        assert_eq!(version_in("[workspace]\nmembers = []"), None);
        assert_eq!(version_in("not toml ["), None);
    }
}
