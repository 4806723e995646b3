//! Credentials as `docker login`, `podman login` and `skopeo login` leave them.

mod entry;
mod file;
mod helper;
mod helper_answer;
mod location;
mod place;
mod server_key;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use acr_core::{Endpoint, Error, ErrorKind, Result};

use self::{
    file::{ConfigFile, Source},
    helper::Helper,
};
use crate::credential::Credential;

/// The logins of Docker, podman and skopeo: `config.json`, `auth.json` and the
/// credential helpers they name.
///
/// A credential belongs to one server, host and port: there are no wildcards, no
/// default server, and no entry for a part of a registry (`host/namespace`) is
/// used for the whole of it. A key without a scheme, or with `https://`, means
/// TLS; one with `http://` is used for no endpoint but an explicit
/// [`Endpoint::insecure_loopback`].
///
/// For each file the setting that decides is Docker's: `credHelpers` for the
/// server, else `credsStore`, else `auths`. Of an entry in `auths`, the
/// `identitytoken` counts before `auth`, and that before `username` and `password`.
///
/// ```no_run
/// use acr_auth::{AuthLayer, Credential, DockerConfig};
/// use acr_core::{Endpoint, Pipeline};
///
/// # async fn run() -> acr_core::Result<()> {
/// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
/// let login = DockerConfig::load()?.credential_for(&endpoint).await?;
/// let credential = login.unwrap_or_else(Credential::anonymous);
/// let auth = AuthLayer::new(&endpoint, credential);
/// let pipeline = Pipeline::builder(endpoint).layer_per_hop(auth).build()?;
/// # let _ = pipeline;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct DockerConfig {
    files: Vec<ConfigFile>,
    helper_path: OsString,
    helper_timeout: Duration,
}

impl DockerConfig {
    /// Reads the logins of this user.
    ///
    /// The file that `REGISTRY_AUTH_FILE` names, or else `config.json` in the
    /// folder that `DOCKER_CONFIG` names, is the only one. Without either, these
    /// are asked in turn, until one has a credential for the server:
    ///
    /// 1. `$XDG_RUNTIME_DIR/containers/auth.json`,
    /// 2. `$XDG_CONFIG_HOME/containers/auth.json`, by default in `~/.config`,
    /// 3. `~/.docker/config.json`.
    ///
    /// That is the order of podman and skopeo; for who has only Docker it is
    /// Docker's. A file that does not exist holds nothing. Files are read now and
    /// not again (blocking; at most 1 MiB each): load anew to see a later login.
    ///
    /// ```
    /// # async fn example() -> acr_core::Result<()> {
    /// use acr_auth::DockerConfig;
    ///
    /// let login = DockerConfig::load()?.credential_for(&"myregistry.azurecr.io".parse()?).await?;
    /// # let _ = login;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credential`] for a file that cannot be read or is malformed.
    /// The error names the file, never what is in it.
    pub fn load() -> Result<Self> {
        Self::load_from(|name| std::env::var_os(name))
    }

    /// As [`DockerConfig::load`], with an environment of the caller's: a function
    /// that gives the value of a variable. Asked for the variables above, `HOME`
    /// (on Windows `USERPROFILE`) and `PATH`. Helpers still inherit this process's environment.
    ///
    /// ```
    /// use acr_auth::DockerConfig;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("config.json");
    /// # std::fs::write(&file, r#"{"auths":{"myregistry.azurecr.io":{"auth":"bWU6c2VjcmV0"}}}"#).unwrap();
    ///
    /// let config = DockerConfig::load_from(|name| match name {
    ///     "DOCKER_CONFIG" => Some(folder.path().into()),
    ///     _ => None,
    /// })?;
    /// # let _ = config;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DockerConfig::load`].
    pub fn load_from(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let mut files = Vec::new();
        for path in location::files(&variable) {
            files.extend(ConfigFile::read(&path)?);
        }
        let helper_path = variable("PATH").unwrap_or_default();
        Ok(Self { files, helper_path, helper_timeout: HELPER_TIMEOUT })
    }

    /// Reads one file, and no other.
    ///
    /// ```
    /// use acr_auth::DockerConfig;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("config.json");
    /// # std::fs::write(&file, r#"{"auths":{"myregistry.azurecr.io":{"auth":"bWU6c2VjcmV0"}}}"#).unwrap();
    ///
    /// let config = DockerConfig::from_file(&file)?;
    /// # let _ = config;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DockerConfig::load`]; also when there is no such file.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = ConfigFile::read(&path)?.ok_or_else(|| {
            let text = format!("`{}` does not exist", path.display());
            Error::new(ErrorKind::Credential, text)
        })?;
        let helper_path = std::env::var_os("PATH").unwrap_or_default();
        Ok(Self { files: vec![file], helper_path, helper_timeout: HELPER_TIMEOUT })
    }

    /// Where credential helpers are looked for, in the form of `PATH`, which is the
    /// default. Relative folders are left out.
    ///
    /// ```
    /// use acr_auth::DockerConfig;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("config.json");
    /// # std::fs::write(&file, r#"{"auths":{"myregistry.azurecr.io":{"auth":"bWU6c2VjcmV0"}}}"#).unwrap();
    ///
    /// let config = DockerConfig::from_file(&file)?.helper_path("/opt/helpers");
    /// # let _ = config;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn helper_path(mut self, path: impl Into<OsString>) -> Self {
        self.helper_path = path.into();
        self
    }

    /// How long a credential helper may take; by default one minute, since it may
    /// have to ask a person to unlock a keychain.
    ///
    /// ```
    /// use acr_auth::DockerConfig;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("config.json");
    /// # std::fs::write(&file, r#"{"auths":{"myregistry.azurecr.io":{"auth":"bWU6c2VjcmV0"}}}"#).unwrap();
    ///
    /// let limit = std::time::Duration::from_secs(5);
    /// let config = DockerConfig::from_file(&file)?.helper_timeout(limit);
    /// # let _ = config;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn helper_timeout(mut self, limit: Duration) -> Self {
        self.helper_timeout = limit;
        self
    }

    /// The credential for a registry, or `None` if nobody has logged in to it.
    ///
    /// If a credential helper is configured, its program `docker-credential-…` runs
    /// now, without a shell, and gets the server's name as Docker gives it: host, and
    /// port unless it is 443. What it hands out is kept in the credential and not
    /// asked for again, so where helpers give tokens that expire (that of
    /// `docker-credential-acr-env` lives about three hours) call this again in time
    /// and build a new pipeline.
    ///
    /// ```
    /// use acr_auth::DockerConfig;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("config.json");
    /// # std::fs::write(&file, r#"{"auths":{"myregistry.azurecr.io":{"auth":"bWU6c2VjcmV0"}}}"#).unwrap();
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let config = DockerConfig::from_file(&file)?;
    /// let login = config.credential_for(&"myregistry.azurecr.io".parse()?).await?;
    /// assert_eq!(format!("{login:?}"), "Some(Credential(password))");
    /// assert!(config.credential_for(&"other.azurecr.io".parse()?).await?.is_none());
    /// # Ok::<(), acr_core::Error>(()) })?;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credential`] for an entry that is malformed or holds only a
    /// `registrytoken`, and for a helper that is not installed, fails, or answers
    /// nonsense; [`ErrorKind::Timeout`] for one that takes too long. The error names
    /// the file and the setting, never a user, a secret, or what a helper printed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future kills the helper and, on Unix, everything it started.
    ///
    /// # Panics
    ///
    /// When a helper is to run outside of a tokio runtime with I/O and time enabled.
    pub async fn credential_for(&self, endpoint: &Endpoint) -> Result<Option<Credential>> {
        for file in &self.files {
            let found = match file.source(endpoint) {
                None => None,
                Some(Source::Entry(place, entry)) => entry.credential(&place)?,
                Some(Source::Helper(place, name)) => {
                    let (path, limit) = (&self.helper_path, self.helper_timeout);
                    Helper::new(place, name, path, limit)?.ask(endpoint.authority()).await?
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

const HELPER_TIMEOUT: Duration = Duration::from_secs(60);
