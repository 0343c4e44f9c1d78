//! What people and their files say: flags, amounts, names, specs.

use clap::{Args, FromArgMatches};
use holdfast_model::convert::text;
use holdfast_model::{AddedDisk, AgentId, FrameworkId, Role, TaskId};
use holdfast_node::settings::agent::AgentSettings;
use holdfast_node::settings::durations::{duration_text, parse_duration};
use holdfast_node::settings::master::MasterSettings;
use holdfast_quorum::ZooKeeperAddress;
use holdfast_sdk::net::parse_spec;

/// A command line of words that line feeds divide.
fn line<S: Args + FromArgMatches>(input: &[u8]) -> Option<S> {
    let text = String::from_utf8_lossy(input);
    let command = S::augment_args(clap::Command::new("fuzz").no_binary_name(true));
    let matches = command.try_get_matches_from(text.split('\n')).ok()?;
    S::from_arg_matches(&matches).ok()
}

pub(super) fn agent_flags(input: &[u8]) {
    if let Some(settings) = line::<AgentSettings>(input) {
        drop((settings.flags(), settings.browsers()));
    }
}

pub(super) fn master_flags(input: &[u8]) {
    if let Some(settings) = line::<MasterSettings>(input) {
        drop((settings.flags(), settings.browsers(), settings.ensemble()));
    }
}

pub(super) fn resources(input: &[u8]) {
    let given = String::from_utf8_lossy(input);
    if let Ok(found) = Role::parse("*").and_then(|role| text::resources(&given, &role)) {
        drop(found);
    }
    drop((text::json(&given), text::quantities(&given), text::smallest_offers(&given)));
}

pub(super) fn service_spec(input: &[u8]) {
    drop(parse_spec("fuzz.toml", input));
}

/// The first line, and what the others say more.
pub(super) fn words(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(role) = Role::parse(first) {
        assert_eq!(role.as_str(), first);
    }
    drop((AgentId::parse(first), FrameworkId::parse(first), TaskId::parse(first)));
    drop(AddedDisk::parse("path", first, Some(rest)));
    if let Ok(address) = first.parse::<ZooKeeperAddress>() {
        // A password is never shown, so that only what is shown reads as itself.
        drop(address.to_string());
    }
    if let Ok(duration) = parse_duration(first) {
        assert_eq!(parse_duration(&duration_text(duration)), Ok(duration), "`{first}`");
    }
}
