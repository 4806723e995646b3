//! A fake of Azure Container Registry on loopback, for clients in any language.
//!
//! Prints one line of JSON when it is ready and runs until SIGTERM or SIGINT:
//!
//! ```text
//! {"endpoint":"https://127.0.0.1:41237","storage":"https://127.0.0.1:35211","ca":"/tmp/…/ca.pem","pid":4711,"entra_token":"…"}
//! ```

use std::{
    fs,
    io::{self, Write as _},
    mem::take,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use acr_core::RepositoryName;
use acr_testkit::{
    Anonymous, BlobDelivery, Era, FakeRegistry, FakeRegistryBuilder, FaultPlan, Profile, Quota,
    Server, Tls,
};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use tempfile::TempDir;

/// What stands below the options in `--help`.
const EXAMPLES: &str = "\
Examples:
  acr-emulator --user me:secret
  acr-emulator --tls --cert-dir certs --listen 127.0.0.1:5000 --storage-listen 127.0.0.1:5001
  acr-emulator --data registry --seed layout:library/app --anonymous pull
  acr-emulator --faults 'status op=get_manifest status=503 nth=2' --journal journal.jsonl";

/// A fake of Azure Container Registry on loopback
#[derive(Parser)]
#[command(name = "acr-emulator", version, about, after_help = EXAMPLES)]
struct Arguments {
    /// Loopback address of the registry; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// Loopback address of the storage that downloads are redirected to; by default a free port
    /// beside the registry
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    storage_listen: Option<SocketAddr>,
    /// Serve HTTPS with a certificate made at start
    #[arg(long)]
    tls: bool,
    /// Folder of the certificate authority, `ca.pem` and `ca-key.pem`: made there once, then kept.
    /// By default there is a new one at each start, in a temporary folder
    #[arg(long, value_name = "DIR", requires = "tls")]
    cert_dir: Option<PathBuf>,
    /// What a client without a credential may do
    #[arg(long, value_enum, default_value_t = AnonymousArgument::None)]
    anonymous: AnonymousArgument,
    /// A user with all rights; repeatable
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    user: Vec<(String, String)>,
    /// An Entra token to accept; repeatable. Without any, one is made and printed
    #[arg(long, value_name = "TOKEN")]
    entra_token: Vec<String>,
    /// Users of limited rights: a file of JSON with scope maps and their tokens
    #[arg(long, value_name = "FILE")]
    scope_map: Option<PathBuf>,
    /// Pass over wildcards of repositories in scopes, as registries with ABAC do
    #[arg(long)]
    abac: bool,
    /// An OCI image layout to load into a repository; repeatable
    #[arg(long, value_name = "OCI_LAYOUT_DIR:REPO", value_parser = seed)]
    seed: Vec<(PathBuf, RepositoryName)>,
    /// Folder to keep everything in; without it everything is gone in the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What shall go wrong: a file of faults, or faults such as `status op=get_manifest
    /// status=503` parted by `;`, or `seeded(N)`; repeatable
    #[arg(long, value_name = "FILE|SPEC", value_parser = faults)]
    faults: Vec<FaultPlan>,
    /// File that gets one line of JSON for each request
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Let the registry's time run so many times faster
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    clock_rate: u32,
    /// How many calls a minute are taken: `basic`, `standard`, `premium` or READS:WRITES
    #[arg(long, value_name = "TIER")]
    quota: Option<Quota>,
    /// MiB of memory that manifests may take; a push beyond that is answered with 507
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    manifest_memory: Option<u32>,
    /// Keep what is deleted for so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=90))]
    soft_delete: Option<u16>,
    /// Seconds that access tokens live
    #[arg(long, value_name = "SECONDS")]
    access_token_lifetime: Option<u32>,
    /// Seconds that refresh tokens live
    #[arg(long, value_name = "SECONDS")]
    refresh_token_lifetime: Option<u32>,
    /// Seconds that download links live
    #[arg(long, value_name = "SECONDS")]
    link_lifetime: Option<u32>,
    /// Seconds that upload sessions live
    #[arg(long, value_name = "SECONDS")]
    upload_lifetime: Option<u32>,
    /// How blobs are downloaded
    #[arg(long, value_enum, default_value_t = BlobsArgument::Redirect)]
    blobs: BlobsArgument,
    /// Whose behaviour it has where a real registry and the specification differ
    #[arg(long, value_enum, default_value_t = ProfileArgument::Acr)]
    profile: ProfileArgument,
    /// Answer the referrers interface with 404, so that clients fall back to tags
    #[arg(long)]
    no_referrers: bool,
    /// The time whose behaviour it has, where that changed over the years
    #[arg(long, value_enum, default_value_t = EraArgument::Year2026)]
    era: EraArgument,
}

#[derive(Clone, Copy, ValueEnum)]
enum AnonymousArgument {
    Pull,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum BlobsArgument {
    Redirect,
    Direct,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileArgument {
    Acr,
    Oci,
}

#[derive(Clone, Copy, ValueEnum)]
enum EraArgument {
    #[value(name = "2021")]
    Year2021,
    #[value(name = "2024")]
    Year2024,
    #[value(name = "2026")]
    Year2026,
}

/// The line that tells a parent process where to connect.
#[derive(Serialize)]
struct Ready {
    endpoint: String,
    storage: String,
    ca: Option<PathBuf>,
    pid: u32,
    entra_token: String,
}

fn main() -> ExitCode {
    // Exits with code 2 for arguments that are refused.
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed too.
            let _ = writeln!(io::stderr(), "acr-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> io::Result<()> {
    // Before anything is made that has to be removed again.
    let stop = stop_signal()?;
    let tls = if arguments.tls { Tls::On } else { Tls::Off };
    let listen = arguments.listen;
    let storage = arguments.storage_listen.unwrap_or(SocketAddr::new(listen.ip(), 0));
    let cert_dir = arguments.cert_dir.clone();
    let registry = tokio::task::spawn_blocking(move || registry(arguments)).await??;
    let server = registry.serve_with_storage(listen, storage, tls).await?;
    let (ca, _folder) = write_authority(&server, cert_dir.as_deref())?;
    announce(&Ready {
        endpoint: server.endpoint().to_string(),
        storage: server.storage_url().to_owned(),
        ca,
        pid: std::process::id(),
        entra_token: registry.entra_token(),
    })?;
    stop.await;
    server.shutdown().await;
    Ok(())
}

/// Opens, seeds and spoils the registry. Reads files, so it blocks.
fn registry(mut arguments: Arguments) -> io::Result<FakeRegistry> {
    let (seeds, plans) = (take(&mut arguments.seed), take(&mut arguments.faults));
    let (data, journal) = (arguments.data.take(), arguments.journal.take());
    let builder = settings(arguments)?;
    let registry = match data {
        Some(folder) => builder.open(folder)?,
        None => builder.build(),
    };
    for (layout, repository) in seeds {
        registry.seed_layout(&layout, &repository)?;
    }
    registry.journal().print_reasons()?;
    plans.iter().for_each(|plan| registry.inject_plan(plan));
    if let Some(path) = journal {
        let named = |error| io::Error::other(format!("the journal `{}`: {error}", path.display()));
        registry.journal().append_to(&path).map_err(named)?;
    }
    Ok(registry)
}

fn settings(arguments: Arguments) -> io::Result<FakeRegistryBuilder> {
    let anonymous = match arguments.anonymous {
        AnonymousArgument::Pull => Anonymous::Pull,
        AnonymousArgument::None => Anonymous::None,
    };
    let blobs = match arguments.blobs {
        BlobsArgument::Redirect => BlobDelivery::Redirect,
        BlobsArgument::Direct => BlobDelivery::Direct,
    };
    let profile = match arguments.profile {
        ProfileArgument::Acr => Profile::Acr,
        ProfileArgument::Oci => Profile::Oci,
    };
    let era = match arguments.era {
        EraArgument::Year2021 => Era::Year2021,
        EraArgument::Year2024 => Era::Year2024,
        EraArgument::Year2026 => Era::Year2026,
    };
    let mut builder = FakeRegistry::builder().anonymous(anonymous).blobs(blobs);
    builder = builder.profile(profile).era(era).clock_rate(arguments.clock_rate);
    if arguments.no_referrers {
        builder = builder.without_referrers();
    }
    if let Some(path) = &arguments.scope_map {
        builder = builder.scope_map_file(path)?;
    }
    if arguments.abac {
        builder = builder.abac();
    }
    if let Some(folder) = &arguments.cert_dir {
        builder = builder.authority(folder);
    }
    if let Some(quota) = arguments.quota {
        builder = builder.quota(quota);
    }
    if let Some(mib) = arguments.manifest_memory {
        builder = builder.manifest_memory((mib as usize).saturating_mul(1 << 20));
    }
    if let Some(days) = arguments.soft_delete {
        builder = builder.soft_delete(Duration::from_secs(u64::from(days) * 24 * 3600));
    }
    builder = lifetimes(builder, &arguments);
    for (name, password) in arguments.user {
        builder = builder.user(name, password);
    }
    for token in arguments.entra_token {
        builder = builder.entra_token(token);
    }
    Ok(builder)
}

fn lifetimes(mut builder: FakeRegistryBuilder, arguments: &Arguments) -> FakeRegistryBuilder {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    if let Some(lifetime) = arguments.access_token_lifetime.map(seconds) {
        builder = builder.access_token_lifetime(lifetime);
    }
    if let Some(lifetime) = arguments.refresh_token_lifetime.map(seconds) {
        builder = builder.refresh_token_lifetime(lifetime);
    }
    if let Some(lifetime) = arguments.link_lifetime.map(seconds) {
        builder = builder.link_lifetime(lifetime);
    }
    if let Some(lifetime) = arguments.upload_lifetime.map(seconds) {
        builder = builder.upload_lifetime(lifetime);
    }
    builder
}

/// Where the authority's certificate is: in the folder that it is kept in, or in one that goes
/// when the guard does.
fn write_authority(
    server: &Server,
    folder: Option<&Path>,
) -> io::Result<(Option<PathBuf>, Option<TempDir>)> {
    let Some(pem) = server.ca_pem() else {
        return Ok((None, None));
    };
    if let Some(folder) = folder {
        return Ok((Some(folder.join("ca.pem")), None));
    }
    let guard = tempfile::Builder::new().prefix("acr-emulator-").tempdir()?;
    let path = guard.path().join("ca.pem");
    fs::write(&path, pem)?;
    Ok((Some(path), Some(guard)))
}

fn announce(ready: &Ready) -> io::Result<()> {
    let mut line = serde_json::to_string(ready)?;
    line.push('\n');
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes())?;
    output.flush()
}

#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
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
