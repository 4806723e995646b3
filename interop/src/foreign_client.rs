//! Clients that are not ours and can copy between a registry and an OCI image layout.

use std::{ffi::OsString, fmt, fs, path::Path};

use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    command::Program,
    error::{Attempt as _, Result},
    registry_software,
};

/// A client that copies whole images, indexes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignClient {
    /// Debian's `skopeo`.
    Skopeo,
    /// `crane` of go-containerregistry.
    Crane,
    /// `oras`.
    Oras,
    /// `regctl` of regclient.
    Regctl,
}

impl ForeignClient {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Skopeo, Self::Crane, Self::Oras, Self::Regctl];

    /// Its version: what it tells of itself, or what `interop/go` pins.
    ///
    /// # Errors
    ///
    /// When the program is missing or its version cannot be made out.
    pub async fn version(self) -> Result<String> {
        let module = match self {
            Self::Skopeo => {
                let mut command = self.program().command();
                command.arg("--version");
                let printed = self.program().run(command).await?;
                return registry_software::number_in(&String::from_utf8_lossy(&printed));
            }
            Self::Crane => "github.com/google/go-containerregistry",
            Self::Oras => "oras.land/oras",
            Self::Regctl => "github.com/regclient/regclient",
        };
        registry_software::pinned(module)
    }

    /// Copies `reference` (`HOST/REPOSITORY:TAG`) into a layout, under `tag`.
    ///
    /// # Errors
    ///
    /// When the client is missing or fails.
    pub async fn pull(self, at: &Site, reference: &str, layout: &Path, tag: &str) -> Result<()> {
        let there = format!("{}:{tag}", layout.display());
        let arguments: Vec<OsString> = match self {
            Self::Skopeo => vec![
                "--insecure-policy".into(),
                "copy".into(),
                "--all".into(),
                "--preserve-digests".into(),
                format!("docker://{reference}").into(),
                format!("oci:{there}").into(),
            ],
            Self::Crane => {
                vec!["pull".into(), "--format=oci".into(), reference.into(), layout.into()]
            }
            Self::Oras => vec![
                "cp".into(),
                "--from-plain-http=false".into(),
                "--to-oci-layout".into(),
                reference.into(),
                there.into(),
            ],
            Self::Regctl => {
                vec![
                    "image".into(),
                    "copy".into(),
                    reference.into(),
                    format!("ocidir://{there}").into(),
                ]
            }
        };
        self.run(at, arguments).await
    }

    /// Copies what a layout has under `tag` to `reference`.
    ///
    /// # Errors
    ///
    /// When the client is missing or fails.
    pub async fn push(self, at: &Site, layout: &Path, tag: &str, reference: &str) -> Result<()> {
        let here = format!("{}:{tag}", layout.display());
        let arguments: Vec<OsString> = match self {
            Self::Skopeo => vec![
                "--insecure-policy".into(),
                "copy".into(),
                "--all".into(),
                "--preserve-digests".into(),
                format!("oci:{here}").into(),
                format!("docker://{reference}").into(),
            ],
            // The only image of the layout, whatever its tag.
            Self::Crane => vec!["push".into(), layout.into(), reference.into()],
            Self::Oras => vec![
                "cp".into(),
                "--from-oci-layout".into(),
                "--to-plain-http=false".into(),
                here.into(),
                reference.into(),
            ],
            Self::Regctl => {
                vec![
                    "image".into(),
                    "copy".into(),
                    format!("ocidir://{here}").into(),
                    reference.into(),
                ]
            }
        };
        self.run(at, arguments).await
    }

    async fn run(self, at: &Site, arguments: Vec<OsString>) -> Result<()> {
        let home = TempDir::with_prefix("client-").attempt(|| "make a folder for a client")?;
        let logins = home.path().join("config.json");
        fs::write(&logins, at.logins()).attempt(|| "write a client's logins")?;
        let authorities = home.path().join("ca.pem");
        fs::write(&authorities, &at.ca_pem).attempt(|| "write a certificate")?;
        let mut command: Command = self.program().command();
        command
            .args(arguments)
            .env("HOME", home.path())
            .env("DOCKER_CONFIG", home.path())
            .env("REGISTRY_AUTH_FILE", &logins)
            .env("REGCTL_CONFIG", home.path().join("regctl.json"))
            .env("SSL_CERT_FILE", &authorities);
        self.program().run(command).await.map(drop)
    }

    fn program(self) -> Program {
        match self {
            Self::Skopeo => Program::debian("skopeo", "skopeo"),
            Self::Crane => Program::go("crane"),
            Self::Oras => Program::go("oras"),
            Self::Regctl => Program::go("regctl"),
        }
    }
}

impl fmt::Display for ForeignClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skopeo => "skopeo",
            Self::Crane => "crane",
            Self::Oras => "oras",
            Self::Regctl => "regctl",
        })
    }
}

/// A registry with TLS, and how to sign in there.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "test infrastructure")]
pub struct Site {
    /// Host and port.
    pub authority: String,
    /// The certificate's authority (PEM).
    pub ca_pem: String,
    /// User name and password.
    pub login: (&'static str, &'static str),
}

impl Site {
    /// What `docker login` would have left.
    fn logins(&self) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (user, password) = self.login;
        let auth = STANDARD.encode(format!("{user}:{password}"));
        serde_json::json!({ "auths": { self.authority.as_str(): { "auth": auth } } }).to_string()
    }
}
