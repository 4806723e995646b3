//! What a sink is told on the command line.

use std::num::NonZeroU64;

use clap::Args;

/// The options of a sink; each is refused beside those of a registry.
#[derive(Args)]
pub(crate) struct SinkArguments {
    /// Be no registry but a sink, for measurements of clients: it lets everybody in, takes
    /// everything, hashes and keeps nothing, and has a repeated pattern in every blob.
    /// `/_sink/stats` tells what it counted
    #[arg(long, conflicts_with_all = OTHERS, help_heading = SINK)]
    pub(crate) sink: bool,
    /// Let each answer wait for so many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, requires = "sink", conflicts_with_all = OTHERS, help_heading = SINK)]
    pub(crate) latency_ms: u32,
    /// Take and send so many bytes a second on each connection, each way
    #[arg(long, value_name = "BYTES", requires = "sink", conflicts_with_all = OTHERS, help_heading = SINK)]
    pub(crate) rate: Option<NonZeroU64>,
    /// How many items each list has
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "sink", conflicts_with_all = OTHERS, help_heading = SINK)]
    pub(crate) items: u32,
    /// Challenge who brings no credential; any credential will do
    #[arg(long, requires = "sink", conflicts_with_all = OTHERS, help_heading = SINK)]
    pub(crate) challenges: bool,
}

const SINK: &str = "Sink";

/// What only a registry can do. The sink's options exclude it themselves: an option that needs another
/// is let through where something excludes that one.
const OTHERS: [&str; 22] = [
    "abac",
    "access_token_lifetime",
    "anonymous",
    "blobs",
    "clock_rate",
    "data",
    "entra_token",
    "era",
    "faults",
    "journal",
    "link_lifetime",
    "manifest_memory",
    "no_referrers",
    "profile",
    "quota",
    "refresh_token_lifetime",
    "scope_map",
    "seed",
    "soft_delete",
    "storage_listen",
    "upload_lifetime",
    "user",
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn every_option_is_the_sinks_or_excluded_by_it() {
        let shared = ["listen", "tls", "cert_dir"];
        let command = Arguments::command();
        for option in command.get_arguments() {
            let (id, heading) = (option.get_id().as_str(), option.get_help_heading());
            let is_for_sinks = shared.contains(&id) || heading == Some(SINK);
            assert_ne!(is_for_sinks, OTHERS.contains(&id), "`{id}` is for either");
        }
    }
}
