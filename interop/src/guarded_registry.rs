//! A registry with token authentication behind a façade.

use crate::{
    error::Result,
    facade::{Facade, FacadeListener, TlsMode},
    oauth::Accounts,
    registry_process::{RegistryProcess, TokenAuth},
    registry_software::RegistrySoftware,
    token_signer::TokenSigner,
};

/// A registry that demands tokens and the façade that gives them.
#[derive(Debug)]
pub struct GuardedRegistry {
    facade: Facade,
    registry: RegistryProcess,
}

/// Settings of a [`GuardedRegistry`].
#[derive(Clone, Debug)]
#[must_use]
pub struct GuardedRegistryBuilder {
    software: RegistrySoftware,
    tls: TlsMode,
    realm: Option<String>,
    trust: Trust,
}

#[derive(Clone, Copy, Debug)]
enum Trust {
    Facade,
    Stranger,
}

impl GuardedRegistry {
    /// TLS, a realm that names the façade, and tokens that the registry accepts.
    pub fn builder() -> GuardedRegistryBuilder {
        GuardedRegistryBuilder {
            software: RegistrySoftware::default(),
            tls: TlsMode::On,
            realm: None,
            trust: Trust::Facade,
        }
    }

    /// The front door.
    pub fn facade(&self) -> &Facade {
        &self.facade
    }

    /// The registry itself, which the façade does not give tokens for by this address.
    pub fn registry(&self) -> &RegistryProcess {
        &self.registry
    }
}

impl GuardedRegistryBuilder {
    /// The registry behind the façade. One that cannot verify tokens lets everybody in.
    pub fn software(mut self, software: RegistrySoftware) -> Self {
        self.software = software;
        self
    }

    /// Whether the façade speaks TLS.
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.tls = mode;
        self
    }

    /// The realm that the registry names in its challenges, instead of the façade's.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// The registry trusts another signer, so it refuses every token of the façade.
    pub fn distrust(mut self) -> Self {
        self.trust = Trust::Stranger;
        self
    }

    /// Starts both.
    ///
    /// # Errors
    ///
    /// When the registry is not installed or does not come up.
    pub async fn start(self) -> Result<GuardedRegistry> {
        let signer = TokenSigner::new()?;
        let listener = FacadeListener::bind(self.tls).await?;
        let realm = self.realm.unwrap_or_else(|| listener.realm());
        let bundle = match self.trust {
            Trust::Facade => signer.trust_bundle().to_owned(),
            Trust::Stranger => TokenSigner::new()?.trust_bundle().to_owned(),
        };
        let auth = TokenAuth::new(realm, listener.authority(), signer.issuer(), bundle);
        let registry = RegistryProcess::builder().software(self.software).token_auth(auth);
        let registry = registry.start().await?;
        let facade = listener.serve(registry.address(), Accounts::random(), signer);
        Ok(GuardedRegistry { facade, registry })
    }
}
