//! nginx and HAProxy as reverse proxies on loopback, in front of a registry.

use std::{
    fmt, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
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

/// The software of a reverse proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MiddleBox {
    /// Debian's `nginx`.
    Nginx,
    /// Debian's `haproxy`.
    HaProxy,
}

/// What a reverse proxy does beside passing on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Habit {
    /// Takes whole requests and answers in before it passes them on.
    Buffers,
    /// Refuses bodies above this many bytes with 413.
    LimitsBodies(usize),
    /// Closes connections that were idle for a moment, without a word.
    CutsIdle,
    /// Waits so long for the answer to a `PUT`, then answers 504 and hangs up on the registry.
    GivesUp(Duration),
}

/// A running reverse proxy; stops when dropped.
#[derive(Debug)]
pub struct MiddleBoxProcess {
    address: SocketAddr,
    // Fields drop in order: the process ends before its folder goes.
    _child: Child,
    folder: TempDir,
}

impl MiddleBox {
    /// Its version, as it tells.
    ///
    /// # Errors
    ///
    /// When it is not installed.
    pub async fn version(self) -> Result<String> {
        let mut command = self.program().command();
        command.arg("-v").stderr(Stdio::piped());
        let output = command.output().await.map_err(|source| self.program().not_started(source))?;
        // nginx tells it on its standard error.
        let text = [output.stdout, output.stderr].concat();
        registry_software::number_in(&String::from_utf8_lossy(&text))
    }

    /// Starts it in front of an address and waits until it listens.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not come up.
    pub async fn start(self, upstream: SocketAddr, habit: Habit) -> Result<MiddleBoxProcess> {
        let folder = TempDir::with_prefix("middle-box-").attempt(|| "make a folder")?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .attempt(|| "find a free port")?;
        let config = folder.path().join("config");
        let text = match self {
            Self::Nginx => nginx(folder.path(), address, upstream, habit),
            Self::HaProxy => haproxy(address, upstream, habit),
        };
        fs::write(&config, text).attempt(|| "write a proxy's configuration")?;
        let log_path = folder.path().join("log");
        let log = fs::File::create(&log_path).attempt(|| "make a proxy's log")?;
        let mut command = self.program().command();
        match self {
            Self::Nginx => command.arg("-p").arg(folder.path()).arg("-c").arg(&config),
            Self::HaProxy => command.arg("-db").arg("-f").arg(&config),
        };
        let mut child = command
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|source| self.program().not_started(source))?;
        for _ in 0..POLLS {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(MiddleBoxProcess { address, _child: child, folder });
            }
            if let Some(status) = child.try_wait().attempt(|| "ask for a proxy's end")? {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                return Err(Error::new(format!("{self} ended with {status}: {}", log.trim())));
            }
            sleep(POLL_INTERVAL).await;
        }
        Err(Error::new(format!("{self} did not listen on {address}")))
    }

    fn program(self) -> Program {
        match self {
            Self::Nginx => Program::debian("nginx", "nginx-light"),
            Self::HaProxy => Program::debian("haproxy", "haproxy"),
        }
    }
}

impl MiddleBoxProcess {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The statuses it answered with, in order, as nginx's own log has them; HAProxy keeps none.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn statuses(&self) -> Result<Vec<u16>> {
        let path = self.folder.path().join("access");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let log = fs::read_to_string(path).attempt(|| "read nginx's log")?;
        Ok(log.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }
}

impl fmt::Display for MiddleBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "HAProxy",
        })
    }
}

fn nginx(folder: &Path, address: SocketAddr, upstream: SocketAddr, habit: Habit) -> String {
    let folder = folder.display();
    let settings = match habit {
        Habit::Buffers => {
            "client_max_body_size 0; proxy_request_buffering on; proxy_buffering on;".to_owned()
        }
        Habit::LimitsBodies(bytes) => format!("client_max_body_size {bytes};"),
        Habit::CutsIdle => {
            "client_max_body_size 0; keepalive_timeout 200ms; send_timeout 5s;".to_owned()
        }
        // No time-out can stand in an `if`; what is returned leads to a place with its own.
        Habit::GivesUp(_) => "client_max_body_size 0; error_page 420 = @late; \
            if ($request_method = PUT) { return 420; }"
            .to_owned(),
    };
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .collect();
    let pass = format!(
        "proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_set_header Host $http_host;"
    );
    let late = match habit {
        Habit::GivesUp(limit) => format!(
            "location @late {{ client_max_body_size 0; proxy_read_timeout {}ms; {pass} }}",
            limit.as_millis()
        ),
        _ => String::new(),
    };
    format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log stderr warn;\n\
         events {{ worker_connections 128; }}\n\
         http {{\n{paths}log_format status '$status'; access_log {folder}/access status;\n\
         server {{ listen {address}; location / {{ {settings} {pass} }} {late} }}\n}}\n"
    )
}

fn haproxy(address: SocketAddr, upstream: SocketAddr, habit: Habit) -> String {
    let (timeouts, rule) = match habit {
        Habit::Buffers => ("timeout http-keep-alive 5s", "option http-buffer-request".to_owned()),
        Habit::LimitsBodies(bytes) => (
            "timeout http-keep-alive 5s",
            format!(
                "http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {bytes} }}"
            ),
        ),
        Habit::CutsIdle => ("timeout http-keep-alive 200ms", String::new()),
        Habit::GivesUp(_) => {
            ("timeout http-keep-alive 5s", "use_backend late if { method PUT }".to_owned())
        }
    };
    let late = match habit {
        Habit::GivesUp(limit) => {
            let limit = limit.as_millis();
            format!("backend late\n timeout server {limit}ms\n server one {upstream}\n")
        }
        _ => String::new(),
    };
    format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n \
         {timeouts}\nfrontend door\n bind {address}\n {rule}\n default_backend registry\n\
         backend registry\n server one {upstream}\n{late}"
    )
}

/// 10 seconds: they start in a few milliseconds.
const POLLS: usize = 500;
const POLL_INTERVAL: Duration = Duration::from_millis(20);
