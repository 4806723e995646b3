//! Debian's `skopeo`: a client that is not ours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    command::Program,
    error::{Attempt as _, Error, Result},
    facade::Facade,
    image::ImageLayout,
};

/// Runs `skopeo`, without the settings and logins of the user who runs the tests.
#[derive(Debug)]
pub struct Skopeo {
    home: TempDir,
}

/// An image in a registry, and how to get there.
#[derive(Clone, Debug)]
#[must_use]
pub struct RemoteImage {
    name: String,
    ca_pem: Option<String>,
    login: Option<String>,
}

/// What `skopeo inspect` says about an image.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "PascalCase")]
pub struct Inspection {
    /// The manifest's digest.
    pub digest: String,
    /// The layers' digests, lowest first.
    pub layers: Vec<String>,
    /// The repository's tags.
    #[serde(default)]
    pub repo_tags: Vec<String>,
}

impl RemoteImage {
    /// An image on a registry without TLS: `127.0.0.1:5000`, `library/app:v1`.
    pub fn plain(authority: impl AsRef<str>, image: &str) -> Self {
        let name = format!("docker://{}/{image}", authority.as_ref());
        Self { name, ca_pem: None, login: None }
    }

    /// An image on a registry with a certificate under this authority (PEM).
    pub fn tls(authority: impl AsRef<str>, ca_pem: impl Into<String>, image: &str) -> Self {
        Self { ca_pem: Some(ca_pem.into()), ..Self::plain(authority, image) }
    }

    /// An image behind a façade.
    pub fn behind(facade: &Facade, image: &str) -> Self {
        let ca_pem = facade.ca_pem().map(ToOwned::to_owned);
        Self { ca_pem, ..Self::plain(facade.address().to_string(), image) }
    }

    /// Signs in.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some(format!("{user}:{password}"));
        self
    }
}

impl Skopeo {
    /// Makes a folder for its settings.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub fn new() -> Result<Self> {
        let home = TempDir::with_prefix("skopeo-").attempt(|| "make a folder for skopeo")?;
        fs::write(home.path().join(AUTH_FILE), "{}").attempt(|| "write skopeo's logins")?;
        Ok(Self { home })
    }

    /// Reads an image's digests and the repository's tags.
    ///
    /// # Errors
    ///
    /// When `skopeo` is not installed or refuses the image.
    pub async fn inspect(&self, image: &RemoteImage) -> Result<Inspection> {
        let mut command = self.command("inspect");
        command.args(self.access("", image)?).arg(&image.name);
        let output = PROGRAM.run(command).await?;
        serde_json::from_slice(&output).attempt(|| "read what skopeo inspect printed")
    }

    /// Copies an image out of a registry: `manifest.json` and one file for each
    /// blob, named by the hexadecimal part of its digest.
    ///
    /// # Errors
    ///
    /// When `skopeo` is not installed or refuses the image.
    pub async fn copy_out(&self, image: &RemoteImage, folder: &Path) -> Result<()> {
        let mut command = self.command("copy");
        command
            .arg("--preserve-digests")
            .args(self.access("src-", image)?)
            .arg(&image.name)
            .arg(format!("dir:{}", folder.display()));
        PROGRAM.run(command).await.map(drop)
    }

    /// Copies an image, for all its platforms, out of a registry into an OCI layout.
    ///
    /// # Errors
    ///
    /// When `skopeo` is not installed or refuses the image.
    pub async fn copy_to_layout(&self, image: &RemoteImage, layout: &Path) -> Result<()> {
        let mut command = self.command("copy");
        command
            .args(["--all", "--preserve-digests"])
            .args(self.access("src-", image)?)
            .arg(&image.name)
            .arg(format!("oci:{}:copied", layout.display()));
        PROGRAM.run(command).await.map(drop)
    }

    /// Copies an image from a layout into a registry, byte for byte.
    ///
    /// # Errors
    ///
    /// When `skopeo` is not installed or the registry refuses the image.
    pub async fn push(&self, layout: &ImageLayout, image: &RemoteImage) -> Result<()> {
        let mut command = self.command("copy");
        command
            .arg("--preserve-digests")
            .args(self.access("dest-", image)?)
            .arg(format!("oci:{}", layout.reference()))
            .arg(&image.name);
        PROGRAM.run(command).await.map(drop)
    }

    /// Copies an image from a layout into a registry, as a signed image of Docker's schema 1.
    ///
    /// # Errors
    ///
    /// When `skopeo` is not installed or the registry refuses the image.
    pub async fn push_schema1(&self, layout: &ImageLayout, image: &RemoteImage) -> Result<()> {
        let mut command = self.command("copy");
        command
            .args(["--format", "v2s1"])
            .args(self.access("dest-", image)?)
            .arg(format!("oci:{}", layout.reference()))
            .arg(&image.name);
        PROGRAM.run(command).await.map(drop)
    }

    /// Signs in to an image's registry, as the image says, and leaves the login in
    /// `file`, which need not exist.
    ///
    /// # Errors
    ///
    /// When `skopeo` is not installed, the image has no login, or the registry refuses it.
    pub async fn log_in(&self, image: &RemoteImage, file: &Path) -> Result<()> {
        let login = image.login.as_deref().and_then(|login| login.split_once(':'));
        let (user, password) = login.ok_or_else(|| Error::new("the image has no login"))?;
        let server = image.name.trim_start_matches("docker://").split('/').next();
        let mut command = self.command("login");
        command.arg("--authfile").arg(file).args(["--username", user, "--password", password]);
        match &image.ca_pem {
            None => command.arg("--tls-verify=false"),
            Some(pem) => command.arg("--cert-dir").arg(self.certificates(pem)?),
        };
        command.args(server);
        PROGRAM.run(command).await.map(drop)
    }

    /// The digest that `skopeo` computes of a manifest.
    ///
    /// # Errors
    ///
    /// When `skopeo` is not installed or the file is no manifest.
    pub async fn manifest_digest(&self, manifest: &Path) -> Result<String> {
        let mut command = self.command("manifest-digest");
        command.arg(manifest);
        let output = PROGRAM.run(command).await?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = PROGRAM.command();
        command
            .env("HOME", self.home.path())
            .env("REGISTRY_AUTH_FILE", self.home.path().join(AUTH_FILE))
            .env("XDG_RUNTIME_DIR", self.home.path())
            .args(["--insecure-policy", "--tmpdir"])
            .arg(self.home.path())
            .arg(verb);
        command
    }

    /// The flags for one side of a command; `prefix` says which side.
    fn access(&self, prefix: &str, image: &RemoteImage) -> Result<Vec<String>> {
        let mut flags = match &image.ca_pem {
            None => vec![format!("--{prefix}tls-verify=false")],
            Some(pem) => {
                let folder = self.certificates(pem)?;
                vec![format!("--{prefix}cert-dir={}", folder.display())]
            }
        };
        flags.push(match &image.login {
            None => format!("--{prefix}no-creds"),
            Some(login) => format!("--{prefix}creds={login}"),
        });
        Ok(flags)
    }

    fn certificates(&self, pem: &str) -> Result<PathBuf> {
        let folder = self.home.path().join(format!("certificates-{:016x}", fastrand::u64(..)));
        fs::create_dir(&folder).attempt(|| "make a folder for certificates")?;
        fs::write(folder.join("ca.crt"), pem).attempt(|| "write a certificate")?;
        Ok(folder)
    }
}

const PROGRAM: Program = Program::debian("skopeo", "skopeo");

const AUTH_FILE: &str = "auth.json";
