//! Programs of this workspace, built and started as real child processes.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A folder with a nested file, an empty one, two equal ones and one of several chunks.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    std::fs::create_dir(folder.path().join("below")).unwrap();
    write("below/small", b"small");
    write("empty", b"");
    write("twin-a", b"twin");
    write("twin-b", b"twin");
    let large: Vec<u8> =
        (0..20_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    write("large", &large);
    folder
}

/// The path of the example `tour`, built.
pub(crate) fn tour() -> PathBuf {
    example("tour")
}

/// The path of an example, built.
pub(crate) fn example(program: &str) -> PathBuf {
    build(&["--example", program]);
    target_folder().join("examples").join(name(program))
}

/// A running `acr-emulator`; killed when dropped.
pub(crate) struct Emulator {
    child: Child,
    pub(crate) endpoint: String,
    pub(crate) ca: PathBuf,
    pub(crate) entra_token: String,
}

impl Emulator {
    /// Starts it with TLS and these further arguments, and waits for its line of JSON.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        build(&["--bin", "acr-emulator", "--example", "tour"]);
        let mut child = Command::new(target_folder().join(name("acr-emulator")))
            .args(["--listen", "127.0.0.1:0", "--tls"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("acr-emulator starts");
        let ready = ready(&mut child);
        let text = |key: &str| ready[key].as_str().expect(key).to_owned();
        Self {
            child,
            endpoint: text("endpoint"),
            ca: text("ca").into(),
            entra_token: text("entra_token"),
        }
    }

    /// Kills it at once, as the kernel would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is running");
        self.child.wait().expect("it ends");
    }

    /// The environment that leads a program of ours to it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("CONTAINERREGISTRY_ENDPOINT", self.endpoint.clone()),
            ("CONTAINERREGISTRY_CA_FILE", self.ca.display().to_string()),
            ("CONTAINERREGISTRY_ENTRA_TOKEN", self.entra_token.clone()),
            ("CONTAINERREGISTRY_TRUST_HOST", "127.0.0.1".to_owned()),
        ]
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `embed_in_service --serve`; killed when dropped.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Proxy {
    /// Starts it in front of the registry of this environment, and waits for its line of JSON.
    pub(crate) fn start(environment: Vec<(&'static str, String)>) -> Self {
        build(&["--example", "embed_in_service"]);
        let program = target_folder().join("examples").join(name("embed_in_service"));
        let mut child = Command::new(program)
            .arg("--serve")
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("embed_in_service starts");
        let ready = ready(&mut child);
        let address = ready["listen"].as_str().expect("listen");
        let address = address.parse().expect("an address");
        Self { child, address }
    }

    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line of JSON that a program prints when it is ready.
fn ready(child: &mut Child) -> serde_json::Value {
    let mut line = String::new();
    let output = child.stdout.take().expect("its output is piped");
    BufReader::new(output).read_line(&mut line).expect("it prints a line");
    serde_json::from_str(&line).expect("the line is JSON")
}

/// Tests run with the build finished, so cargo can be called again. Of the whole workspace, and with
/// an example, it chooses the features that `cargo test --workspace` has: then it has nothing to do.
fn build(arguments: &[&str]) {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo build {arguments:?}");
}

/// `target/debug`: this test program lies in its folder `deps`.
fn target_folder() -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    own.parent().and_then(|deps| deps.parent()).expect("it lies in deps").to_owned()
}

fn name(program: &str) -> String {
    format!("{program}{}", std::env::consts::EXE_SUFFIX)
}
