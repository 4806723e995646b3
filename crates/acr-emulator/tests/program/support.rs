//! The program in a process of its own, and requests as bytes.

use std::{path::Path, process::Stdio};

use acr_core::Digest;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, ChildStderr, ChildStdout, Command},
};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A running emulator; killed when dropped.
pub(crate) struct Emulator {
    child: Child,
    pub(crate) ready: Value,
    _output: tokio::io::Lines<BufReader<ChildStdout>>,
}

/// A connection that is kept for one request after another.
pub(crate) struct Kept {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer read to its end.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_acr-emulator"));
    if !arguments.contains(&"--blobs") {
        command.args(["--blobs", "direct"]);
    }
    command.args(["--user", "ann:secret"]).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a program that cannot start says.
pub(crate) async fn refused(arguments: &[&str]) -> String {
    let output = command(arguments).output().await.unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

impl Emulator {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::spawn(&mut command(arguments)).await
    }

    /// Starts a command that becomes the emulator.
    pub(crate) async fn spawn(command: &mut Command) -> Self {
        command.kill_on_drop(true).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(line) = output.next_line().await.unwrap() else {
            let mut errors = String::new();
            child.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
            panic!("the emulator did not start: {errors}");
        };
        Self { child, ready: serde_json::from_str(&line).unwrap(), _output: output }
    }

    pub(crate) async fn on(folder: &Path) -> Self {
        Self::start(&["--data", folder.to_str().unwrap()]).await
    }

    /// What it writes to standard error; can be had once.
    pub(crate) fn errors(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// With SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// With SIGKILL, while others still ask.
    pub(crate) async fn kill_now(&self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", "KILL", &id]).status().await.unwrap().success());
    }

    pub(crate) async fn stop(mut self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().await.unwrap().success());
        assert_eq!(self.child.wait().await.unwrap().code(), Some(0));
    }

    pub(crate) fn address(&self) -> &str {
        self.ready["endpoint"].as_str().unwrap().strip_prefix("http://").unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// The head of a request with the user's password.
    pub(crate) fn head(&self, line: &str, headers: &str, len: usize) -> String {
        Self::head_for(self.address(), line, headers, len)
    }

    pub(crate) fn head_for(address: &str, line: &str, headers: &str, len: usize) -> String {
        format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\nContent-Length: {len}\r\n{headers}\r\n"
        )
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn ask(&self, line: &str, body: impl AsRef<[u8]>) -> Got {
        self.ask_with(line, "", body).await
    }

    /// As `ask`; `None` when the emulator was killed meanwhile.
    pub(crate) async fn try_ask(&self, line: &str, body: String) -> Option<Got> {
        let mut stream = TcpStream::connect(self.address()).await.ok()?;
        stream.write_all(self.head(line, "", body.len()).as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok()?;
        let is_whole = bytes.windows(4).any(|four| four == b"\r\n\r\n");
        is_whole.then(|| Got::read(&bytes))
    }

    pub(crate) async fn ask_with(&self, line: &str, headers: &str, body: impl AsRef<[u8]>) -> Got {
        let body = body.as_ref();
        let mut stream = self.connect().await;
        stream.write_all(self.head(line, headers, body.len()).as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Got::read(&bytes)
    }

    pub(crate) async fn push_blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let line = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
        let got = self.ask(&line, content).await;
        assert_eq!(got.status, 201, "{got:?}");
        digest
    }

    /// Pushes an image with one layer of this content.
    pub(crate) async fn push_image(&self, name: &str, tag: &str, layer: &[u8]) -> Digest {
        let config = self.push_blob(name, b"{}").await;
        let blob = self.push_blob(name, layer).await;
        let manifest = image(&config, 2, &blob, layer.len());
        let line = format!("PUT /v2/{name}/manifests/{tag}");
        let got =
            self.ask_with(&line, &format!("Content-Type: {OCI_MANIFEST}\r\n"), &manifest).await;
        assert_eq!(got.status, 201, "{got:?}");
        Digest::sha256(manifest.as_bytes())
    }
}

impl Kept {
    pub(crate) fn to(emulator: &Emulator) -> Self {
        Self { address: emulator.address().to_owned(), stream: None }
    }

    /// Sends one request; on a new connection where the last answer closed the old one.
    pub(crate) async fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> Got {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(&self.address).await.unwrap()),
        };
        let head = Emulator::head_for(&self.address, line, headers, body.len());
        // In one piece: a second one would wait for the other side to acknowledge the first.
        let head = head.replace("Connection: close\r\n", "");
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let (mut bytes, mut length) = (Vec::new(), None);
        let (mut is_chunked, mut is_closed) = (false, false);
        loop {
            let start = bytes.len();
            assert!(stream.read_until(b'\n', &mut bytes).await.unwrap() > 0, "no whole answer");
            let text = String::from_utf8_lossy(&bytes[start..]).to_ascii_lowercase();
            match text.trim().split_once(": ") {
                Some(("content-length", value)) => length = Some(value.parse().unwrap()),
                Some(("transfer-encoding", value)) => is_chunked = value == "chunked",
                Some(("connection", value)) => is_closed = value == "close",
                _ if text == "\r\n" => break,
                _ => {}
            }
        }
        let start = bytes.len();
        if is_chunked {
            while !bytes[start..].ends_with(b"0\r\n\r\n") {
                assert!(stream.read_until(b'\n', &mut bytes).await.unwrap() > 0, "no whole body");
            }
        } else {
            bytes.resize(start + length.unwrap_or(0), 0);
            stream.read_exact(&mut bytes[start..]).await.unwrap();
        }
        self.stream = Some(stream).filter(|_| !is_closed);
        Got::read(&bytes)
    }
}

impl Got {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = bytes[end + 4..].to_vec();
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body = dechunk(&body);
        }
        Self { status, head, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        values.next().map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn image(config: &Digest, config_len: usize, layer: &Digest, len: usize) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{config_len}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{len}}}]}}"#
    )
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if len == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + len]);
        bytes = &bytes[end + len + 4..];
    }
}
