//! A registry as a child process on loopback.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header::HOST};
use http_body_util::Empty;
use tempfile::TempDir;
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use crate::{
    error::{Attempt as _, Error, Result},
    registry_software::{CONFIG, RegistrySoftware},
    upstream,
};

/// A running registry with a storage folder of its own; stops when dropped.
#[derive(Debug)]
pub struct RegistryProcess {
    address: SocketAddr,
    // Fields drop in order: the process ends before its folder goes.
    _child: Child,
    _folder: TempDir,
}

/// Settings of a [`RegistryProcess`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RegistryProcessBuilder {
    software: RegistrySoftware,
    locations: Locations,
    auth: Option<TokenAuth>,
    schema1: Schema1,
}

/// How a registry asks for tokens and which it accepts.
#[derive(Clone, Debug)]
pub struct TokenAuth {
    realm: String,
    service: String,
    issuer: String,
    trust_bundle: String,
}

#[derive(Clone, Copy, Debug, Default)]
enum Locations {
    #[default]
    Relative,
    Absolute,
}

#[derive(Clone, Copy, Debug, Default)]
enum Schema1 {
    #[default]
    Refused,
    Taken,
}

impl TokenAuth {
    /// Sends clients to `realm`; accepts tokens for `service` by `issuer` whose
    /// certificate is under `trust_bundle` (PEM).
    pub fn new(
        realm: impl Into<String>,
        service: impl Into<String>,
        issuer: impl Into<String>,
        trust_bundle: impl Into<String>,
    ) -> Self {
        Self {
            realm: realm.into(),
            service: service.into(),
            issuer: issuer.into(),
            trust_bundle: trust_bundle.into(),
        }
    }
}

impl RegistryProcess {
    /// A registry that asks nobody for a token and answers with relative locations:
    /// Debian's `docker-registry`, unless told otherwise.
    pub fn builder() -> RegistryProcessBuilder {
        RegistryProcessBuilder::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl RegistryProcessBuilder {
    /// Runs this software. What follows is known to distribution only.
    pub fn software(mut self, software: RegistrySoftware) -> Self {
        self.software = software;
        self
    }

    /// Answers with absolute `Location` headers, made from the request's `Host`.
    pub fn absolute_locations(mut self) -> Self {
        self.locations = Locations::Absolute;
        self
    }

    /// Takes Docker's schema 1 too, which distribution 2 signs anew whenever it is asked.
    pub fn schema1(mut self) -> Self {
        self.schema1 = Schema1::Taken;
        self
    }

    /// Demands tokens.
    pub fn token_auth(mut self, auth: TokenAuth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Starts the registry and waits until it answers.
    ///
    /// # Errors
    ///
    /// When the program is not installed or does not come up.
    pub async fn start(self) -> Result<RegistryProcess> {
        let mut last = Error::new(format!("start {}", self.software));
        for _ in 0..PORTS_TRIED {
            match self.start_once().await {
                Ok(Started::Ready(registry)) => return Ok(*registry),
                Ok(Started::Ended(why)) => last = why,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn start_once(&self) -> Result<Started> {
        let folder = TempDir::with_prefix("registry-").attempt(|| "make a folder")?;
        let address = free_port()?;
        let instance = format!("{:032x}", fastrand::u128(..));
        if self.software.reads_config() {
            write(&folder.path().join(CONFIG), &self.config(folder.path(), address, &instance))?;
        }
        if let Some(auth) = &self.auth {
            write(&folder.path().join(TRUST_BUNDLE), &auth.trust_bundle)?;
        }
        let log_path = folder.path().join("log");
        let log = fs::File::create(&log_path).attempt(|| "make the registry's log")?;
        let program = self.software.program();
        let mut child = program
            .command()
            .args(self.software.arguments(folder.path(), address)?)
            // Says nothing of itself to a collector, which distribution 3 would do.
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|source| program.not_started(source))?;
        let instance = self.software.reads_config().then_some(instance);
        for _ in 0..POLLS {
            if answers(address, instance.as_deref()).await {
                let registry = RegistryProcess { address, _child: child, _folder: folder };
                return Ok(Started::Ready(Box::new(registry)));
            }
            if let Some(status) = child.try_wait().attempt(|| "ask for the registry's end")? {
                // Most likely another process took the port between our choice and its start.
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                let text = format!("{} ended with {status}: {}", self.software, log.trim());
                return Ok(Started::Ended(Error::new(text)));
            }
            sleep(POLL_INTERVAL).await;
        }
        let log = fs::read_to_string(&log_path).unwrap_or_default();
        let software = self.software;
        Err(Error::new(format!("{software} did not answer on {address}: {}", log.trim())))
    }

    /// JSON, which is YAML too and knows how to quote.
    fn config(&self, folder: &Path, address: SocketAddr, instance: &str) -> String {
        let mut config = serde_json::json!({
            "version": 0.1,
            "log": { "level": "warn", "accesslog": { "disabled": true } },
            "storage": {
                "filesystem": { "rootdirectory": folder.join("storage") },
                "delete": { "enabled": true },
            },
            "compatibility": {
                "schema1": { "enabled": matches!(self.schema1, Schema1::Taken) },
            },
            "http": {
                "addr": address.to_string(),
                "relativeurls": matches!(self.locations, Locations::Relative),
                "headers": { INSTANCE_HEADER: [instance] },
            },
        });
        if let (Some(auth), Some(object)) = (&self.auth, config.as_object_mut()) {
            let token = serde_json::json!({
                "realm": auth.realm,
                "service": auth.service,
                "issuer": auth.issuer,
                "rootcertbundle": folder.join(TRUST_BUNDLE),
            });
            object.insert("auth".into(), serde_json::json!({ "token": token }));
        }
        config.to_string()
    }
}

enum Started {
    Ready(Box<RegistryProcess>),
    Ended(Error),
}

/// Whether *this* registry answers on the port, and not one that was quicker to take it. Only
/// software that can be told to say who it is leaves no doubt.
async fn answers(address: SocketAddr, instance: Option<&str>) -> bool {
    let request =
        Request::get("/v2/").header(HOST, address.to_string()).body(Empty::<Bytes>::new());
    let Ok(request) = request else { return false };
    let answer = timeout(ANSWER_LIMIT, upstream::send(address, request)).await;
    let Ok(Ok(response)) = answer else {
        return false;
    };
    let Some(instance) = instance else { return response.status().is_success() };
    response.headers().get(INSTANCE_HEADER).is_some_and(|found| found == instance)
}

fn free_port() -> Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .attempt(|| "find a free port")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).attempt(|| format!("write {}", path.display()))
}

const TRUST_BUNDLE: &str = "trust.pem";

/// On every answer, also on a challenge: says which process answered.
const INSTANCE_HEADER: &str = "X-Interop-Instance";

/// A port chosen by us can be lost to another process before the registry binds it.
const PORTS_TRIED: usize = 5;

/// 30 seconds: a cold start on a busy machine takes about one.
const POLLS: usize = 1500;
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The port may belong to something that accepts and never answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
