//! Credentials of one word, made of what stands elsewhere.

#[cfg(feature = "entra")]
use std::sync::Arc;

#[cfg(feature = "docker-config")]
use acr_core::{Endpoint, Error, ErrorKind, Result};

use crate::credential::Credential;
#[cfg(feature = "entra")]
use crate::credential::Kind;
#[cfg(feature = "entra")]
use crate::entra::{ManagedIdentity, ManagedIdentityCredential};
#[cfg(feature = "docker-config")]
use crate::{
    DockerConfig,
    credential::{BoxFuture, CredentialSource},
};

impl Credential {
    /// The login that Docker, podman or skopeo left for the registry on this machine, credential
    /// helpers included; looked for when it is needed first, and again after a refusal. Nobody
    /// logged in is [`acr_core::ErrorKind::Credential`]. See [`crate::DockerConfig`].
    ///
    /// ```
    /// use acr_auth::Credential;
    ///
    /// let pipeline = acr_auth::connect("registry.example", Credential::docker_config())?;
    /// # let _ = pipeline;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    #[cfg(feature = "docker-config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "docker-config")))]
    pub fn docker_config() -> Self {
        Self::sought(DockerLogins)
    }

    /// The identity of the machine the program runs on: its system-assigned one. Others are
    /// [`ManagedIdentityCredential`]s.
    ///
    /// ```
    /// use acr_auth::Credential;
    ///
    /// let pipeline = acr_auth::connect("myregistry.azurecr.io", Credential::managed_identity())?;
    /// # let _ = pipeline;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    #[cfg(feature = "entra")]
    #[cfg_attr(docsrs, doc(cfg(feature = "entra")))]
    pub fn managed_identity() -> Self {
        match ManagedIdentityCredential::new(ManagedIdentity::SystemAssigned) {
            Ok(source) => Self::entra(source.without_probe()),
            Err(error) => Self(Kind::Unusable(Arc::new(error))),
        }
    }
}

/// The logins of Docker, podman and skopeo, read when they are needed.
#[cfg(feature = "docker-config")]
#[derive(Debug)]
struct DockerLogins;

#[cfg(feature = "docker-config")]
impl CredentialSource for DockerLogins {
    fn find<'a>(&'a self, registry: &'a Endpoint) -> BoxFuture<'a, Result<Credential>> {
        Box::pin(async move {
            // Small files, read once.
            let found = DockerConfig::load()?.credential_for(registry).await?;
            found.ok_or_else(|| {
                let name = registry.authority();
                let text = format!(
                    "nobody is logged in to `{name}`: run `docker login {name}` or, for a registry \
                     of Azure, `az acr login`"
                );
                Error::new(ErrorKind::Credential, text)
            })
        })
    }
}
