//! What the program is told on its command line.

mod sink;

use std::{fs, io, net::SocketAddr, path::PathBuf};

use acr_core::RepositoryName;
use acr_testkit::{FaultPlan, Quota};
use clap::{Parser, ValueEnum};

use self::sink::SinkArguments;

/// What stands below the options in `--help`.
const EXAMPLES: &str = "\
Examples:
  acr-emulator --user me:secret
  acr-emulator --tls --cert-dir certs --listen 127.0.0.1:5000 --storage-listen 127.0.0.1:5001
  acr-emulator --data registry --seed layout:library/app --anonymous pull
  acr-emulator --faults 'status op=get_manifest status=503 nth=2' --journal journal.jsonl
  acr-emulator --sink --latency-ms 5 --rate 50000000";

/// A fake of Azure Container Registry on loopback
#[derive(Parser)]
#[command(name = "acr-emulator", version, about, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Loopback address of the registry; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_parser = loopback)]
    pub(crate) listen: SocketAddr,
    /// Loopback address of the storage that downloads are redirected to; by default a free port
    /// beside the registry
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) storage_listen: Option<SocketAddr>,
    /// Serve HTTPS with a certificate made at start
    #[arg(long)]
    pub(crate) tls: bool,
    /// Folder of the certificate authority, `ca.pem` and `ca-key.pem`: made there once, then kept.
    /// By default there is a new one at each start, in a temporary folder
    #[arg(long, value_name = "DIR", requires = "tls")]
    pub(crate) cert_dir: Option<PathBuf>,
    /// What a client without a credential may do
    #[arg(long, value_enum, default_value_t = AnonymousArgument::None)]
    pub(crate) anonymous: AnonymousArgument,
    /// A user with all rights; repeatable
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    pub(crate) user: Vec<(String, String)>,
    /// An Entra token to accept; repeatable. Without any, one is made and printed
    #[arg(long, value_name = "TOKEN")]
    pub(crate) entra_token: Vec<String>,
    /// Users of limited rights: a file of JSON with scope maps and their tokens
    #[arg(long, value_name = "FILE")]
    pub(crate) scope_map: Option<PathBuf>,
    /// Pass over wildcards of repositories in scopes, as registries with ABAC do
    #[arg(long)]
    pub(crate) abac: bool,
    /// An OCI image layout to load into a repository; repeatable
    #[arg(long, value_name = "OCI_LAYOUT_DIR:REPO", value_parser = seed)]
    pub(crate) seed: Vec<(PathBuf, RepositoryName)>,
    /// Folder to keep everything in; without it everything is gone in the end
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// What shall go wrong: a file of faults, or faults such as `status op=get_manifest
    /// status=503` parted by `;`, or `seeded(N)`; repeatable
    #[arg(long, value_name = "FILE|SPEC", value_parser = faults)]
    pub(crate) faults: Vec<FaultPlan>,
    /// File that gets one line of JSON for each request
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Let the registry's time run so many times faster
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clock_rate: u32,
    /// How many calls are taken in a minute of the registry's time: `basic`, `standard`, `premium` or READS:WRITES
    #[arg(long, value_name = "TIER")]
    pub(crate) quota: Option<Quota>,
    /// MiB of memory that manifests may take; a push beyond that is answered with 507
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) manifest_memory: Option<u32>,
    /// Keep what is deleted for so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=90))]
    pub(crate) soft_delete: Option<u16>,
    /// Seconds that access tokens live
    #[arg(long, value_name = "SECONDS")]
    pub(crate) access_token_lifetime: Option<u32>,
    /// Seconds that refresh tokens live
    #[arg(long, value_name = "SECONDS")]
    pub(crate) refresh_token_lifetime: Option<u32>,
    /// Seconds that download links live
    #[arg(long, value_name = "SECONDS")]
    pub(crate) link_lifetime: Option<u32>,
    /// Seconds that upload sessions live
    #[arg(long, value_name = "SECONDS")]
    pub(crate) upload_lifetime: Option<u32>,
    /// How blobs are downloaded
    #[arg(long, value_enum, default_value_t = BlobsArgument::Redirect)]
    pub(crate) blobs: BlobsArgument,
    /// Whose behaviour it has where a real registry and the specification differ
    #[arg(long, value_enum, default_value_t = ProfileArgument::Acr)]
    pub(crate) profile: ProfileArgument,
    /// Answer the referrers interface with 404, so that clients fall back to tags
    #[arg(long)]
    pub(crate) no_referrers: bool,
    /// The time whose behaviour it has, where that changed over the years
    #[arg(long, value_enum, default_value_t = EraArgument::Year2026)]
    pub(crate) era: EraArgument,
    #[command(flatten)]
    pub(crate) sink: SinkArguments,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum AnonymousArgument {
    Pull,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum BlobsArgument {
    Redirect,
    Direct,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ProfileArgument {
    Acr,
    Oci,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum EraArgument {
    #[value(name = "2021")]
    Year2021,
    #[value(name = "2024")]
    Year2024,
    #[value(name = "2026")]
    Year2026,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => &format!("127.0.0.1:{port}"),
        None => text,
    };
    let address: SocketAddr = text.parse().map_err(|_| "not an address with a port".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only loopback addresses are served".to_owned())
    }
}

fn user(text: &str) -> Result<(String, String), String> {
    let (name, password) = text.split_once(':').ok_or("the form is NAME:PASSWORD")?;
    if name.is_empty() || password.is_empty() {
        return Err("neither the name nor the password may be empty".to_owned());
    }
    Ok((name.to_owned(), password.to_owned()))
}

/// The last colon parts the two: a path may hold others.
fn seed(text: &str) -> Result<(PathBuf, RepositoryName), String> {
    let (folder, name) = text.rsplit_once(':').ok_or("the form is OCI_LAYOUT_DIR:REPO")?;
    let name = name.parse::<RepositoryName>().map_err(|error| error.to_string())?;
    Ok((PathBuf::from(folder), name))
}

/// A file if there is one of that name, else the faults themselves.
fn faults(text: &str) -> Result<FaultPlan, String> {
    match fs::read_to_string(text) {
        Ok(content) => content.parse::<FaultPlan>().map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            text.parse::<FaultPlan>().map_err(|why| format!("there is no such file, and {why}"))
        }
        Err(error) => Err(error.to_string()),
    }
}
