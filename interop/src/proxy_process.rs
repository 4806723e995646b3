//! Debian's `tinyproxy` as a child process on loopback: a CONNECT proxy that asks for a password.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{net::TcpStream, process::Child, time::sleep};

use crate::{
    command::Program,
    error::{Attempt as _, Error, Result},
    registry_software,
};

/// A running proxy; stops when dropped.
#[derive(Debug)]
pub struct ProxyProcess {
    address: SocketAddr,
    // Fields drop in order: the process ends before its folder goes.
    _child: Child,
    folder: TempDir,
}

impl ProxyProcess {
    /// Starts a proxy that lets this user through and waits until it listens.
    ///
    /// # Errors
    ///
    /// When `tinyproxy` is not installed or does not come up.
    pub async fn start(user: &str, password: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("tinyproxy-").attempt(|| "make a folder")?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .attempt(|| "find a free port")?;
        let log = folder.path().join(LOG);
        let config = format!(
            "Port {}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nLogLevel Connect\n\
             LogFile \"{}\"\nMaxClients 50\nBasicAuth {user} {password}\n",
            address.port(),
            log.display(),
        );
        let path = folder.path().join("tinyproxy.conf");
        fs::write(&path, config).attempt(|| "write the proxy's configuration")?;
        fs::write(&log, "").attempt(|| "make the proxy's log")?;
        let mut child = PROGRAM
            .command()
            .arg("-d")
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| PROGRAM.not_started(source))?;
        for _ in 0..POLLS {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(Self { address, _child: child, folder });
            }
            if let Some(status) = child.try_wait().attempt(|| "ask for the proxy's end")? {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(Error::new(format!("tinyproxy ended with {status}: {}", log.trim())));
            }
            sleep(POLL_INTERVAL).await;
        }
        Err(Error::new(format!("tinyproxy did not listen on {address}")))
    }

    /// Its version, as it tells.
    ///
    /// # Errors
    ///
    /// When `tinyproxy` is not installed.
    pub async fn version() -> Result<String> {
        let mut command = PROGRAM.command();
        command.arg("-v");
        let printed = PROGRAM.run(command).await?;
        registry_software::number_in(&String::from_utf8_lossy(&printed))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many tunnels it was asked for, as its own log has it.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn tunnels(&self) -> Result<usize> {
        let log = fs::read_to_string(self.folder.path().join(LOG));
        let log = log.attempt(|| "read the proxy's log")?;
        Ok(log
            .lines()
            .filter(|line| line.contains("Request (") && line.contains(": CONNECT "))
            .count())
    }
}

const PROGRAM: Program = Program::debian("tinyproxy", "tinyproxy");

const LOG: &str = "log";

/// 10 seconds: it starts in a few milliseconds.
const POLLS: usize = 500;
const POLL_INTERVAL: Duration = Duration::from_millis(20);
