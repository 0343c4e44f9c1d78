//! `service init`: a commented spec file to begin with.
//!
//! Relies on the gallery of the generic service, each file of which is run by a test. Never writes over a file.

use crate::verbs::Context;

/// What there is to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Members with a volume each, and every common setting explained.
    #[default]
    HelloVolume,
    /// A helper beside each member, which is told where they are.
    Sidecar,
    /// A setting that is tried out on one member first.
    Canary,
    /// Members spread over racks, and updated rack by rack.
    RackSpread,
}

/// What to begin with.
#[derive(Clone, Debug, clap::Args)]
pub struct InitArgs {
    /// What to begin with.
    #[arg(value_enum, default_value = "hello-volume")]
    pub kind: Kind,
}

impl Kind {
    /// The file.
    fn text(self) -> &'static str {
        match self {
            Kind::HelloVolume => {
                include_str!("../../../../../frameworks/service/gallery/hello-volume.toml")
            }
            Kind::Sidecar => include_str!("../../../../../frameworks/service/gallery/sidecar.toml"),
            Kind::Canary => include_str!("../../../../../frameworks/service/gallery/canary.toml"),
            Kind::RackSpread => {
                include_str!("../../../../../frameworks/service/gallery/rack-spread.toml")
            }
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// When nobody reads it.
pub fn run(context: &Context, args: &InitArgs) -> anyhow::Result<i32> {
    context.console.put(args.kind.text())?;
    if context.console.is_terminal {
        context.remark("write it to a file: holdfast service init > service.toml");
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use holdfast_sdk::net::{endpoint_variables, parse_spec};

    #[test]
    fn what_one_begins_with_can_be_run() {
        for kind in Kind::value_variants() {
            let spec = parse_spec("gallery", kind.text().as_bytes());
            let spec = spec.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            assert!(!spec.pods.is_empty() && kind.text().lines().count() <= 50, "{kind:?}");
            let told = endpoint_variables(&spec);
            let said = kind.text().lines().filter(|it| !it.starts_with('#'));
            let named = said.filter_map(|it| it.split_once("{{ENDPOINTS_")?.1.split_once("}}"));
            for (name, _) in named {
                assert!(told.contains(&format!("ENDPOINTS_{name}")), "{kind:?}: {name}");
            }
        }
    }
}
