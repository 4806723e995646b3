//! The registry an example talks to: a real one named by the environment, or the
//! emulator, started on loopback with TLS.

use std::{
    env,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn, entra::DefaultCredential};
use acr_core::{
    Endpoint, Pipeline, Result, Secret, TlsConfig, Transport, TransportBuilder, http::BoxError,
};
use acr_testkit::{FakeRegistry, Server, Tls};

use crate::wire::Wire;

/// A registry and how to sign in.
///
/// | variable | meaning |
/// |---|---|
/// | `CONTAINERREGISTRY_ENDPOINT` | login server; without it the emulator is started |
/// | `CONTAINERREGISTRY_ENTRA_TOKEN` | an Entra token for the audience `https://containerregistry.azure.net` |
/// | `CONTAINERREGISTRY_ANONYMOUS` | `true` for anonymous access; without this and a token, `DefaultCredential` signs in |
/// | `CONTAINERREGISTRY_CA_FILE` | trust only the authorities in this PEM file |
/// | `CONTAINERREGISTRY_ANONREGISTRY_ENDPOINT` | login server for [`Registry::anonymous_from_env`] |
/// | `CONTAINERREGISTRY_TRUST_HOST` | a host outside `azurecr.io` that may see the Entra token |
#[derive(Debug)]
pub struct Registry {
    endpoint: Endpoint,
    credential: Credential,
    tls: TlsConfig,
    trusted_host: Option<String>,
    emulator: Option<Server>,
}

impl Registry {
    /// The registry the environment names, or else a new emulator.
    ///
    /// # Errors
    ///
    /// When a variable is malformed or the emulator cannot start.
    pub async fn from_env() -> Result<Self, BoxError> {
        let Some(endpoint) = variable("CONTAINERREGISTRY_ENDPOINT")? else {
            for name in ["CONTAINERREGISTRY_ENTRA_TOKEN", "CONTAINERREGISTRY_CA_FILE"] {
                if variable(name)?.is_some() {
                    return Err(
                        format!("{name} is set, but CONTAINERREGISTRY_ENDPOINT is not").into()
                    );
                }
            }
            return Self::emulator(&FakeRegistry::new()).await;
        };
        Ok(Self {
            endpoint: endpoint.parse()?,
            credential: credential_from_env()?,
            tls: tls_from_env().await?,
            trusted_host: variable("CONTAINERREGISTRY_TRUST_HOST")?,
            emulator: None,
        })
    }

    /// The registry for anonymous access that `CONTAINERREGISTRY_ANONREGISTRY_ENDPOINT`
    /// names, if it is set; `CONTAINERREGISTRY_CA_FILE` as for [`Registry::from_env`].
    ///
    /// # Errors
    ///
    /// When a variable is malformed.
    pub async fn anonymous_from_env() -> Result<Option<Self>, BoxError> {
        let Some(endpoint) = variable("CONTAINERREGISTRY_ANONREGISTRY_ENDPOINT")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            endpoint: endpoint.parse()?,
            credential: Credential::anonymous(),
            tls: tls_from_env().await?,
            trusted_host: None,
            emulator: None,
        }))
    }

    /// Serves an emulator on loopback with TLS and signs in there.
    ///
    /// # Errors
    ///
    /// When it cannot start.
    pub async fn emulator(registry: &FakeRegistry) -> Result<Self, BoxError> {
        let server = registry.serve(Tls::On).await?;
        let endpoint = server.endpoint();
        Ok(Self {
            credential: token_credential(registry.entra_token().into()),
            tls: TlsConfig::only_roots(server.ca_pem().unwrap_or_default().as_bytes())?,
            trusted_host: Some(endpoint.host().to_owned()),
            endpoint,
            emulator: Some(server),
        })
    }

    /// The registry's address.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A transport that trusts the authorities of this registry. The emulator is on this
    /// machine, where no proxy reaches it, whatever the environment says.
    ///
    /// # Errors
    ///
    /// When the TLS setting cannot be used.
    pub fn transport(&self) -> Result<Transport> {
        let builder = TransportBuilder::new().tls(self.tls.clone());
        let builder = if self.is_emulator() { builder.no_proxy() } else { builder };
        builder.build()
    }

    /// The layer that signs in here. All clones share one cache of tokens.
    pub fn auth(&self) -> AuthLayer {
        let auth = AuthLayer::new(&self.endpoint, self.credential.clone());
        match &self.trusted_host {
            Some(host) => auth.trust_entra_for(host),
            None => auth,
        }
    }

    /// The settings of the client that is the front door: this registry in place of the one that
    /// [`acr_client::Registry::connect`] would name.
    pub fn builder(&self) -> acr_client::RegistryBuilder {
        self.builder_as(self.credential.clone())
    }

    /// The same, for whoever this credential is.
    pub fn builder_as(&self, credential: Credential) -> acr_client::RegistryBuilder {
        let may_be_entra = credential.may_be_entra();
        let mut builder = acr_client::Registry::builder(&self.endpoint)
            .credential(credential)
            .tls(self.tls.clone())
            .user_agent("acr-examples");
        // Beside another credential it would do nothing, and the builder says so.
        if let Some(host) = self.trusted_host.as_ref().filter(|_| may_be_entra) {
            builder = builder.trust_entra_for(host);
        }
        if self.is_emulator() { builder.no_proxy() } else { builder }
    }

    /// Whether it is the emulator.
    pub fn is_emulator(&self) -> bool {
        self.emulator.is_some()
    }

    /// Stops the emulator, if one was started.
    pub async fn shutdown(self) {
        if let Some(server) = self.emulator {
            server.shutdown().await;
        }
    }
}

/// A variable's text. Set but empty is most likely the output of a command that failed.
fn variable(name: &str) -> Result<Option<String>, BoxError> {
    match env::var(name) {
        Ok(text) if text.trim().is_empty() => Err(format!("{name} is set, but empty").into()),
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}").into()),
    }
}

/// The stack for a registry, with every exchange counted.
///
/// # Errors
///
/// When the TLS setting cannot be used.
pub fn connect(registry: &Registry, wire: &Wire) -> Result<Pipeline> {
    connect_over(registry, wire, registry.transport()?)
}

/// The same over another transport.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_over(registry: &Registry, wire: &Wire, transport: Transport) -> Result<Pipeline> {
    Pipeline::builder(registry.endpoint.clone())
        .transport(wire.count(transport))
        .application_id("acr-examples")
        .layer_per_hop(registry.auth())
        .build()
}

async fn tls_from_env() -> Result<TlsConfig, BoxError> {
    let Some(path) = variable("CONTAINERREGISTRY_CA_FILE")? else {
        return Ok(TlsConfig::default());
    };
    let pem = tokio::fs::read(&path).await;
    Ok(TlsConfig::only_roots(&pem.map_err(|e| format!("cannot read `{path}`: {e}"))?)?)
}

fn credential_from_env() -> Result<Credential, BoxError> {
    let is_anonymous = variable("CONTAINERREGISTRY_ANONYMOUS")?;
    match (variable("CONTAINERREGISTRY_ENTRA_TOKEN")?, is_anonymous.as_deref()) {
        (Some(token), None) => Ok(token_credential(token.into())),
        (None, Some("true")) => Ok(Credential::anonymous()),
        (None, None) => Ok(Credential::entra(DefaultCredential::new()?)),
        (Some(_), Some(_)) => Err("a token is set, and anonymous access".into()),
        (None, Some(_)) => Err("CONTAINERREGISTRY_ANONYMOUS is not `true`".into()),
    }
}

fn token_credential(token: Secret) -> Credential {
    Credential::entra(credential_fn(move |_scopes| {
        let token = token.clone();
        async move { Ok(AccessToken::new(token, SystemTime::now() + ASSUMED_LIFETIME)) }
    }))
}

/// Entra tokens live about an hour; nothing here runs longer.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(3600);
